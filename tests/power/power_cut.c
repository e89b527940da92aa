/* Preloaded into a process whose power will be cut: notes how to undo whatever it does to the files
 * below one directory, until it has asked for that to be durable.
 *
 * Environment:
 *   POWER_CUT_STORE    the directory, absolute and without symbolic links; it may not exist yet
 *   POWER_CUT_NOTES    a directory on the same file system: `notes` and removed files go there
 *   POWER_CUT_SYNC_US  each sync takes up to so many microseconds; the disk itself is not asked
 *   POWER_CUT_STANDS   a file: while it is there, no sync returns
 *   POWER_CUT_AT       the process kills itself with the note of this number, counted from 1
 *   POWER_CUT_LIES     syncs say that they are done and make nothing durable
 *
 * Notes are written before the change they undo, with write(2): they outlive the process however it
 * ends. A note's number is where it begins in the file of the notes. What they say, and how it is
 * used after the process is gone, is in `tests/src/power_cut/`.
 *
 * One lock is held over a note and its change, so notes are in the order of the changes. A sync
 * makes durable what was changed before it began, once it has returned. Calls that the stores do not
 * make and that would change files are noted as such, and fail the run: an escape must be seen. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SECTOR 512

enum kind {
    CHANGED = 1,   /* sectors of a file, with what they were before */
    SYNCED = 2,    /* of a file or directory: all notes with numbers below `at` are durable */
    WRITTEN = 3,   /* the sectors of the note `at` are durable */
    CREATED = 4,   /* a name in a directory */
    REMOVED = 5,   /* a name in a directory; what it named is kept under the note's number */
    RENAMED = 6,   /* from one name to another; what was there before is kept if `size` is 1 */
    ESCAPED = 7    /* a call that is not modelled */
};

struct note {
    uint32_t kind;
    uint32_t bytes;  /* that follow */
    uint64_t file;   /* inode of the file, or of the directory with the name */
    uint64_t at;     /* CHANGED: first byte, a whole sector; RENAMED: inode of the other directory */
    uint64_t span;   /* CHANGED: bytes from there that change, whole sectors */
    uint64_t size;   /* CHANGED: of the file before */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char store[PATH_MAX], kept[PATH_MAX];
static size_t store_length;
static int notes = -1, lies;
static long sync_us, cut_at, noted;
static const char *stands;

/* The function behind the one of this library. */
#define REAL(real, type, name, ...)                                                                \
    static type (*real)(__VA_ARGS__);                                                              \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

static void give_up(const char *what) {
    char text[PATH_MAX + 100];
    int length = snprintf(text, sizeof text, "power_cut: %s: %s\n", what, strerror(errno));
    if (write(STDERR_FILENO, text, (size_t)length) < 0) _exit(98);
    _exit(97);
}

__attribute__((constructor)) static void begin(void) {
    const char *directory = getenv("POWER_CUT_STORE"), *beside = getenv("POWER_CUT_NOTES");
    if (!directory || !beside) return;
    char path[PATH_MAX];
    snprintf(store, sizeof store, "%s", directory);
    snprintf(kept, sizeof kept, "%s", beside);
    if (snprintf(path, sizeof path, "%s/notes", beside) >= (int)sizeof path) give_up("path");
    const char *us = getenv("POWER_CUT_SYNC_US");
    sync_us = us ? atol(us) : 0;
    const char *at = getenv("POWER_CUT_AT");
    cut_at = at ? atol(at) : 0;
    stands = getenv("POWER_CUT_STANDS");
    lies = getenv("POWER_CUT_LIES") != NULL;
    REAL(real, int, "open", const char *, int, ...);
    notes = real(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (notes < 0) give_up(path);
    store_length = strlen(store);
}

/* ---- notes ---- */

static uint64_t end_of_notes(void) {
    struct stat now;
    if (fstat(notes, &now) != 0) give_up("fstat of the notes");
    return (uint64_t)now.st_size;
}

/* Returns the note's number. */
static uint64_t note(struct note head, const void *data, size_t bytes) {
    REAL(real, ssize_t, "writev", int, const struct iovec *, int);
    uint64_t number = end_of_notes();
    head.bytes = (uint32_t)bytes;
    struct iovec parts[2] = {{&head, sizeof head}, {(void *)data, bytes}};
    ssize_t whole = (ssize_t)(sizeof head + bytes);
    if (real(notes, parts, bytes ? 2 : 1) != whole) give_up("a note");
    if (++noted == cut_at) kill(getpid(), SIGKILL);
    return number;
}

static void escaped(const char *call) {
    pthread_mutex_lock(&lock);
    note((struct note){.kind = ESCAPED}, call, strlen(call));
    pthread_mutex_unlock(&lock);
}

/* ---- which files ---- */

static int is_in_store(const char *path) {
    return store_length && strncmp(path, store, store_length) == 0 &&
           (path[store_length] == '/' || path[store_length] == 0 || path[store_length] == ' ');
}

static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return 1;
}

/* Whether it is a regular file of the store, also one that was removed. */
static int is_ours(int fd, struct stat *now) {
    char path[PATH_MAX];
    int before = errno, ours = 0;
    if (store_length && fd != notes && fstat(fd, now) == 0 && S_ISREG(now->st_mode) &&
        path_of(fd, path))
        ours = is_in_store(path) || strncmp(path, kept, strlen(kept)) == 0;
    errno = before;
    return ours;
}

/* The whole path of a name; 0 when it is none of the store. */
static int whole_path(int directory, const char *name, char *path) {
    char base[PATH_MAX];
    if (!store_length || !name) return 0;
    if (name[0] == '/') {
        if (strlen(name) >= PATH_MAX) return 0;
        strcpy(path, name);
    } else {
        if (directory == AT_FDCWD ? !getcwd(base, sizeof base) : !path_of(directory, base)) return 0;
        if (snprintf(path, PATH_MAX, "%s/%s", base, name) >= PATH_MAX) return 0;
    }
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') path[--length] = 0;
    return is_in_store(path);
}

/* Splits off the last name and gives the inode of the directory before it. */
static uint64_t parent_of(const char *path, const char **name) {
    char parent[PATH_MAX];
    struct stat found;
    strcpy(parent, path);
    char *slash = strrchr(parent, '/');
    *name = path + (slash - parent) + 1;
    *(slash == parent ? slash + 1 : slash) = 0;
    if (stat(parent, &found) != 0) return 0;
    return found.st_ino;
}

/* ---- changes of content ---- */

/* Notes what is in a range that is about to change; up to the end of the file if it shrinks. */
static uint64_t note_range(int fd, const struct stat *now, uint64_t from, uint64_t to) {
    uint64_t size = (uint64_t)now->st_size, start = from / SECTOR * SECTOR;
    uint64_t end = (to + SECTOR - 1) / SECTOR * SECTOR;
    uint64_t stored = end < size ? end : size;
    size_t bytes = stored > start ? (size_t)(stored - start) : 0;
    char path[64];
    char *before = malloc(bytes ? bytes : 1);
    if (!before) give_up("memory");
    if (bytes) {
        /* The descriptor at hand may be for writing alone. */
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        REAL(real, int, "open", const char *, int, ...);
        int reader = real(path, O_RDONLY | O_CLOEXEC);
        if (reader < 0) give_up("reading what was before");
        for (size_t have = 0; have < bytes;) {
            ssize_t got = pread(reader, before + have, bytes - have, (off_t)(start + have));
            if (got <= 0) give_up("reading what was before");
            have += (size_t)got;
        }
        close(reader);
    }
    struct note head = {CHANGED, 0, now->st_ino, start, end > start ? end - start : 0, size};
    uint64_t number = note(head, before, bytes);
    free(before);
    return number;
}

static void wait_as_a_disk(void) {
    static __thread unsigned state;
    while (stands && access(stands, F_OK) == 0) nanosleep(&(struct timespec){0, 1000000}, NULL);
    if (sync_us <= 0) return;
    if (!state) state = (unsigned)getpid() ^ (unsigned)(uintptr_t)&state ^ (unsigned)time(NULL);
    long us = (long)(rand_r(&state) % (unsigned)sync_us);
    struct timespec span = {us / 1000000, us % 1000000 * 1000};
    nanosleep(&span, NULL);
}

static void made_durable(enum kind kind, uint64_t file, uint64_t number) {
    if (lies) return;
    pthread_mutex_lock(&lock);
    note((struct note){.kind = kind, .file = file, .at = number}, NULL, 0);
    pthread_mutex_unlock(&lock);
}

/* Runs `call` on a range of a file of the store, with its note. */
#define CHANGE(fd, now, from, to, type, call)                                                      \
    pthread_mutex_lock(&lock);                                                                     \
    if (fstat(fd, &now) != 0) give_up("fstat");                                                    \
    uint64_t number = note_range(fd, &now, from, to);                                              \
    type done = call;                                                                              \
    int error = errno;                                                                             \
    pthread_mutex_unlock(&lock);                                                                   \
    if (done >= 0 && (fcntl(fd, F_GETFL) & O_DSYNC)) {                                             \
        wait_as_a_disk();                                                                          \
        made_durable(WRITTEN, now.st_ino, number);                                                 \
    }                                                                                              \
    errno = error;                                                                                 \
    return done

static uint64_t bytes_of(const struct iovec *parts, int count) {
    uint64_t bytes = 0;
    for (int i = 0; i < count; i++) bytes += parts[i].iov_len;
    return bytes;
}

/* Where write() writes. */
static uint64_t place_of(int fd, const struct stat *now) {
    if (fcntl(fd, F_GETFL) & O_APPEND) return (uint64_t)now->st_size;
    off_t place = lseek(fd, 0, SEEK_CUR);
    return place < 0 ? 0 : (uint64_t)place;
}

ssize_t pwrite(int fd, const void *data, size_t bytes, off_t at) {
    REAL(real, ssize_t, "pwrite", int, const void *, size_t, off_t);
    struct stat now;
    if (!is_ours(fd, &now)) return real(fd, data, bytes, at);
    CHANGE(fd, now, (uint64_t)at, (uint64_t)at + bytes, ssize_t, real(fd, data, bytes, at));
}

ssize_t write(int fd, const void *data, size_t bytes) {
    REAL(real, ssize_t, "write", int, const void *, size_t);
    struct stat now;
    if (!is_ours(fd, &now)) return real(fd, data, bytes);
    uint64_t at = place_of(fd, &now);
    CHANGE(fd, now, at, at + bytes, ssize_t, real(fd, data, bytes));
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(real, ssize_t, "writev", int, const struct iovec *, int);
    struct stat now;
    if (!is_ours(fd, &now)) return real(fd, parts, count);
    uint64_t at = place_of(fd, &now);
    CHANGE(fd, now, at, at + bytes_of(parts, count), ssize_t, real(fd, parts, count));
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at) {
    REAL(real, ssize_t, "pwritev", int, const struct iovec *, int, off_t);
    struct stat now;
    if (!is_ours(fd, &now)) return real(fd, parts, count, at);
    uint64_t from = (uint64_t)at;
    CHANGE(fd, now, from, from + bytes_of(parts, count), ssize_t, real(fd, parts, count, at));
}

int ftruncate(int fd, off_t size) {
    REAL(real, int, "ftruncate", int, off_t);
    struct stat now;
    if (!is_ours(fd, &now)) return real(fd, size);
    uint64_t to = now.st_size > size ? (uint64_t)now.st_size : (uint64_t)size;
    CHANGE(fd, now, (uint64_t)size, to, int, real(fd, size));
}

/* Changes by a shared mapping come later and unseen: none of the file is certain from now on. */
void *mmap(void *address, size_t bytes, int protection, int flags, int fd, off_t at) {
    REAL(real, void *, "mmap", void *, size_t, int, int, int, off_t);
    struct stat now;
    if ((protection & PROT_WRITE) && (flags & MAP_SHARED) && fd >= 0 && is_ours(fd, &now)) {
        pthread_mutex_lock(&lock);
        note_range(fd, &now, (uint64_t)at, (uint64_t)at + bytes);
        pthread_mutex_unlock(&lock);
    }
    return real(address, bytes, protection, flags, fd, at);
}

/* ---- syncs ---- */

static int sync_file(int fd, int (*real)(int)) {
    char path[PATH_MAX];
    struct stat now;
    if (!store_length || fstat(fd, &now) != 0 || !path_of(fd, path)) return real(fd);
    size_t length = strlen(path);
    /* The directory with the store's own name, too. */
    int is_parent = S_ISDIR(now.st_mode) && length < store_length && store[length] == '/' &&
                    strncmp(path, store, length) == 0;
    if (!is_in_store(path) && !is_parent && strncmp(path, kept, strlen(kept)) != 0) return real(fd);
    pthread_mutex_lock(&lock);
    uint64_t until = end_of_notes();
    pthread_mutex_unlock(&lock);
    wait_as_a_disk();
    made_durable(SYNCED, now.st_ino, until);
    return 0;
}

int fsync(int fd) {
    REAL(real, int, "fsync", int);
    return sync_file(fd, real);
}

int fdatasync(int fd) {
    REAL(real, int, "fdatasync", int);
    return sync_file(fd, real);
}

/* ---- changes of names ---- */

static void note_name(enum kind kind, const char *path) {
    const char *name;
    uint64_t directory = parent_of(path, &name);
    note((struct note){.kind = kind, .file = directory}, name, strlen(name));
}

static int open_as(int (*real)(int, const char *, int, ...), int directory, const char *name,
                   int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat before;
    if (!(flags & (O_CREAT | O_TRUNC)) || !whole_path(directory, name, path))
        return real(directory, name, flags, mode);
    pthread_mutex_lock(&lock);
    int was_there = fstatat(directory, name, &before, 0) == 0;
    if (!was_there && (flags & O_CREAT)) {
        const char *last;
        if (parent_of(path, &last)) note_name(CREATED, path);
    }
    int fd = real(directory, name, flags & ~(was_there ? O_TRUNC : 0), mode);
    int error = errno;
    if (fd >= 0 && was_there && (flags & O_TRUNC) && before.st_size > 0) {
        note_range(fd, &before, 0, (uint64_t)before.st_size);
        REAL(cut, int, "ftruncate", int, off_t);
        if (cut(fd, 0) != 0) give_up("truncating");
    }
    pthread_mutex_unlock(&lock);
    errno = error;
    return fd;
}

#define MODE(flags)                                                                                \
    mode_t mode = 0;                                                                               \
    if ((flags) & (O_CREAT | __O_TMPFILE)) {                                                       \
        va_list rest;                                                                              \
        va_start(rest, flags);                                                                     \
        mode = va_arg(rest, mode_t);                                                               \
        va_end(rest);                                                                              \
    }

int openat(int directory, const char *name, int flags, ...) {
    REAL(real, int, "openat", int, const char *, int, ...);
    MODE(flags);
    return open_as(real, directory, name, flags, mode);
}

int open(const char *name, int flags, ...) {
    REAL(real, int, "openat", int, const char *, int, ...);
    MODE(flags);
    return open_as(real, AT_FDCWD, name, flags, mode);
}

int creat(const char *name, mode_t mode) { return open(name, O_CREAT | O_WRONLY | O_TRUNC, mode); }

int mkdirat(int directory, const char *name, mode_t mode) {
    REAL(real, int, "mkdirat", int, const char *, mode_t);
    char path[PATH_MAX];
    struct stat before;
    if (!whole_path(directory, name, path) || fstatat(directory, name, &before, 0) == 0)
        return real(directory, name, mode);
    pthread_mutex_lock(&lock);
    const char *last;
    if (parent_of(path, &last)) note_name(CREATED, path);
    int done = real(directory, name, mode), error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int mkdir(const char *name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

static int is_empty(const char *path) {
    DIR *directory = opendir(path);
    int entries = 0;
    while (directory && readdir(directory)) entries++;
    if (directory) closedir(directory);
    return entries <= 2;
}

static void path_to_keep(char *path) {
    if (snprintf(path, PATH_MAX, "%s/%llu", kept, (unsigned long long)end_of_notes()) >= PATH_MAX)
        give_up("path");
}

/* Moves it away instead: its inode is not given to another file. */
int unlinkat(int directory, const char *name, int flags) {
    REAL(real, int, "unlinkat", int, const char *, int);
    char path[PATH_MAX], away[PATH_MAX];
    struct stat before;
    if (!whole_path(directory, name, path) ||
        fstatat(directory, name, &before, AT_SYMLINK_NOFOLLOW) != 0 ||
        S_ISDIR(before.st_mode) != !!(flags & AT_REMOVEDIR) ||
        (S_ISDIR(before.st_mode) && !is_empty(path)))
        return real(directory, name, flags);
    pthread_mutex_lock(&lock);
    path_to_keep(away);
    note_name(REMOVED, path);
    REAL(move, int, "rename", const char *, const char *);
    int done = move(path, away), error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int unlink(const char *name) { return unlinkat(AT_FDCWD, name, 0); }

int rmdir(const char *name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int remove(const char *name) {
    struct stat before;
    int is_directory = lstat(name, &before) == 0 && S_ISDIR(before.st_mode);
    return unlinkat(AT_FDCWD, name, is_directory ? AT_REMOVEDIR : 0);
}

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
    REAL(real, int, "renameat", int, const char *, int, const char *);
    char old[PATH_MAX], new[PATH_MAX], away[PATH_MAX], names[2 * PATH_MAX];
    int is_from = whole_path(from_directory, from, old), is_to = whole_path(to_directory, to, new);
    struct stat before;
    if (is_from != is_to) escaped("rename out of the store or into it");
    if (!is_from || !is_to || stat(old, &before) != 0)
        return real(from_directory, from, to_directory, to);
    if (strcmp(old, store) == 0 || strcmp(new, store) == 0) escaped("rename of the store");
    pthread_mutex_lock(&lock);
    const char *last, *new_last;
    struct note head = {.kind = RENAMED, .file = parent_of(old, &last)};
    head.at = parent_of(new, &new_last);
    path_to_keep(away);
    head.size = lstat(new, &before) == 0;
    int bytes = snprintf(names, sizeof names, "%s%c%s", last, 0, new_last);
    note(head, names, (size_t)bytes);
    REAL(keep, int, "linkat", int, const char *, int, const char *, int);
    if (head.size && !S_ISDIR(before.st_mode) && keep(AT_FDCWD, new, AT_FDCWD, away, 0) != 0)
        give_up("keeping what is replaced");
    if (head.size && S_ISDIR(before.st_mode))
        note((struct note){.kind = ESCAPED}, "a directory is replaced", 23);
    int done = real(AT_FDCWD, old, AT_FDCWD, new), error = errno;
    pthread_mutex_unlock(&lock);
    errno = error;
    return done;
}

int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

/* ---- what the stores do not do ---- */

int renameat2(int from_directory, const char *from, int to_directory, const char *to,
              unsigned flags) {
    char path[PATH_MAX];
    if (flags && whole_path(to_directory, to, path)) escaped("renameat2 with flags");
    return renameat(from_directory, from, to_directory, to);
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags) {
    REAL(real, int, "linkat", int, const char *, int, const char *, int);
    char path[PATH_MAX];
    if (whole_path(to_directory, to, path)) escaped("link");
    return real(from_directory, from, to_directory, to, flags);
}

int link(const char *from, const char *to) { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int symlinkat(const char *target, int directory, const char *name) {
    REAL(real, int, "symlinkat", const char *, int, const char *);
    char path[PATH_MAX];
    if (whole_path(directory, name, path)) escaped("symlink");
    return real(target, directory, name);
}

int symlink(const char *target, const char *name) { return symlinkat(target, AT_FDCWD, name); }

#define ESCAPE(fd, call)                                                                           \
    do {                                                                                           \
        struct stat now;                                                                           \
        if (is_ours(fd, &now)) escaped(call);                                                      \
    } while (0)

int truncate(const char *name, off_t size) {
    REAL(real, int, "truncate", const char *, off_t);
    char path[PATH_MAX];
    if (whole_path(AT_FDCWD, name, path)) escaped("truncate");
    return real(name, size);
}

ssize_t pwritev2(int fd, const struct iovec *parts, int count, off_t at, int flags) {
    REAL(real, ssize_t, "pwritev2", int, const struct iovec *, int, off_t, int);
    ESCAPE(fd, "pwritev2");
    return real(fd, parts, count, at, flags);
}

int fallocate(int fd, int mode, off_t at, off_t bytes) {
    REAL(real, int, "fallocate", int, int, off_t, off_t);
    ESCAPE(fd, "fallocate");
    return real(fd, mode, at, bytes);
}

int posix_fallocate(int fd, off_t at, off_t bytes) {
    REAL(real, int, "posix_fallocate", int, off_t, off_t);
    ESCAPE(fd, "posix_fallocate");
    return real(fd, at, bytes);
}

ssize_t copy_file_range(int in, off_t *in_at, int out, off_t *out_at, size_t bytes,
                        unsigned flags) {
    REAL(real, ssize_t, "copy_file_range", int, off_t *, int, off_t *, size_t, unsigned);
    ESCAPE(out, "copy_file_range");
    return real(in, in_at, out, out_at, bytes, flags);
}

ssize_t sendfile(int out, int in, off_t *at, size_t bytes) {
    REAL(real, ssize_t, "sendfile", int, int, off_t *, size_t);
    ESCAPE(out, "sendfile");
    return real(out, in, at, bytes);
}

int sync_file_range(int fd, off_t at, off_t bytes, unsigned flags) {
    REAL(real, int, "sync_file_range", int, off_t, off_t, unsigned);
    ESCAPE(fd, "sync_file_range");
    return real(fd, at, bytes, flags);
}

/* The stores map for writing only what needs not be durable. */
int msync(void *address, size_t bytes, int flags) {
    REAL(real, int, "msync", void *, size_t, int);
    if (store_length) escaped("msync");
    return real(address, bytes, flags);
}

/* ---- the same by their other names: off_t has 64 bits ---- */

_Static_assert(sizeof(off_t) == 8, "off_t has 64 bits");

#define SAME(name) __attribute__((alias(name)))
ssize_t pwrite64(int, const void *, size_t, off_t) SAME("pwrite");
ssize_t pwritev64(int, const struct iovec *, int, off_t) SAME("pwritev");
ssize_t pwritev64v2(int, const struct iovec *, int, off_t, int) SAME("pwritev2");
int ftruncate64(int, off_t) SAME("ftruncate");
int truncate64(const char *, off_t) SAME("truncate");
void *mmap64(void *, size_t, int, int, int, off_t) SAME("mmap");
int open64(const char *, int, ...) SAME("open");
int openat64(int, const char *, int, ...) SAME("openat");
int creat64(const char *, mode_t) SAME("creat");
int fallocate64(int, int, off_t, off_t) SAME("fallocate");
int posix_fallocate64(int, off_t, off_t) SAME("posix_fallocate");
ssize_t sendfile64(int, int, off_t *, size_t) SAME("sendfile");
