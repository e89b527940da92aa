/* Does to files what its arguments say, one after the other, then says "done" and waits to be killed.
 *
 *   open NAME, dsync NAME        the file of what follows; the second with O_DSYNC
 *   pwrite AT BYTES LETTER       and pwritev in two parts; write, writev where the file's end is
 *   truncate SIZE, empty NAME    the second by O_TRUNC
 *   map AT LETTER                one byte, by a shared mapping
 *   fsync, fdatasync             of the file; syncdir NAME of a directory
 *   mkdir NAME, rmdir NAME, unlink NAME, rename FROM TO, link FROM TO */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static int file = -1;
static char **next;

static const char *word(void) {
    if (!*next) exit(3);
    return *next++;
}

static void must(int done, const char *verb) {
    if (done) return;
    perror(verb);
    exit(4);
}

static void write_with(const char *verb) {
    static char data[1 << 20];
    int is_placed = verb[0] == 'p';
    off_t at = is_placed ? atol(word()) : lseek(file, 0, SEEK_END);
    size_t bytes = (size_t)atol(word());
    memset(data, word()[0], bytes);
    struct iovec parts[2] = {{data, bytes / 3}, {data, bytes - bytes / 3}};
    ssize_t done = !strcmp(verb, "pwrite")    ? pwrite(file, data, bytes, at)
                   : !strcmp(verb, "pwritev") ? pwritev(file, parts, 2, at)
                   : !strcmp(verb, "write")   ? write(file, data, bytes)
                                              : writev(file, parts, 2);
    must(done == (ssize_t)bytes, verb);
}

static void map(void) {
    long at = atol(word());
    char *bytes = mmap(NULL, (size_t)at + 1, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    must(bytes != MAP_FAILED, "map");
    bytes[at] = word()[0];
}

static void sync_directory(void) {
    int directory = open(word(), O_RDONLY | O_DIRECTORY);
    must(directory >= 0 && fsync(directory) == 0, "syncdir");
    close(directory);
}

static void step(const char *verb) {
    if (!strcmp(verb, "open") || !strcmp(verb, "dsync")) {
        file = open(word(), O_RDWR | O_CREAT | (verb[0] == 'd' ? O_DSYNC : 0), 0600);
        must(file >= 0, verb);
    } else if (strstr(verb, "write")) {
        write_with(verb);
    } else if (!strcmp(verb, "truncate")) {
        must(ftruncate(file, atol(word())) == 0, verb);
    } else if (!strcmp(verb, "empty")) {
        must(open(word(), O_WRONLY | O_TRUNC) >= 0, verb);
    } else if (!strcmp(verb, "map")) {
        map();
    } else if (!strcmp(verb, "fsync")) {
        must(fsync(file) == 0, verb);
    } else if (!strcmp(verb, "fdatasync")) {
        must(fdatasync(file) == 0, verb);
    } else if (!strcmp(verb, "syncdir")) {
        sync_directory();
    } else if (!strcmp(verb, "mkdir")) {
        must(mkdir(word(), 0700) == 0, verb);
    } else if (!strcmp(verb, "rmdir")) {
        must(rmdir(word()) == 0, verb);
    } else if (!strcmp(verb, "unlink")) {
        must(unlink(word()) == 0, verb);
    } else if (!strcmp(verb, "rename") || !strcmp(verb, "link")) {
        const char *from = word(), *to = word();
        must((verb[0] == 'r' ? rename(from, to) : link(from, to)) == 0, verb);
    } else {
        must(0, verb);
    }
}

int main(int count, char **words) {
    (void)count;
    next = words + 1;
    while (*next) step(word());
    puts("done");
    fflush(stdout);
    for (;;) pause();
}
