#!/usr/bin/env bash
# What ./run has its systemd do: a cluster of nine nodes by the units, as root of that machine.
set -euo pipefail

readonly NODES=(
    vixen-sync@S{1,2,3} vixen-ndb@D{1,2,3} vixen-entry@E{1,2,3}
)

fail() {
    echo "FAILED $*"
    systemctl --no-pager list-units --all 'vixen*'
    journalctl --no-pager -t vixen-sync -t vixen-ndb -t vixen-entry -t systemd | tail -n 40
    exit 1
}
trap 'fail "line $LINENO: $BASH_COMMAND"' ERR

ok() {
    echo "ok     $*"
}

# Waits for what is to come about, far longer than it takes.
until_true() {
    local tries
    for ((tries = 0; tries < 300; tries++)); do
        if "$@"; then return; fi
        sleep 0.1
    done
    fail "not within 30 s: $*"
}

property() {
    systemctl show --value --property "$1" "$2"
}

is() {
    [[ $(property "$2" "$1") == "$3" ]]
}

is_ready() {
    curl -fsS "http://127.0.0.1:$1/readyz" >/dev/null 2>&1
}

publish() {
    curl -fsS "http://127.0.0.1:$1/publish" -d "{\"topic\": \"com.example.units\", \"args\": [\"$2\"]}" >/dev/null
}

systemctl start systemd-journald
systemctl --quiet enable vixen.target "${NODES[@]}"

# One sync node alone is not ready, and is waited for.
systemctl start --no-block vixen-sync@S1
until_true curl -fs -o /dev/null http://127.0.0.1:9041/healthz
is vixen-sync@S1 ActiveState activating
ok "a node that is not ready is still starting"

systemctl start vixen.target
for node in "${NODES[@]}"; do
    is "$node" ActiveState active
done
for port in 904{1,2,3} 905{1,2,3} 903{1,2,3}; do
    is_ready "$port"
done
ok "start returns when all are ready"
publish 9031 hello
# A read asks how far the order is, and on a busy machine does not wait for the answer.
reads() {
    [[ $(curl -fsS "http://127.0.0.1:$1/history?after=0") == *"$2"* ]]
}
until_true reads 9033 hello

for node in vixen-sync@S1 vixen-ndb@D1 vixen-entry@E1; do
    status=$(cat "/proc/$(property MainPID "$node")/status")
    for line in 'NoNewPrivs:[[:space:]]1' 'Seccomp:[[:space:]]2' 'CapBnd:[[:space:]]0000000000000000' \
        "Uid:[[:space:]]$(id -u vixen)"; do
        grep -q "$line" <<<"$status" || fail "$node: no $line in: $status"
    done
    if nsenter --target "$(property MainPID "$node")" --mount touch /etc/vixen/written 2>/dev/null; then
        fail "$node could write in /etc"
    fi
done
[[ $(stat -c %U:%G:%a /var/lib/vixen /var/lib/vixen/D1) == $'vixen:vixen:750\nvixen:vixen:700' ]]
ok "nodes run as a user without rights"

for node in vixen-sync@S1:9041 vixen-ndb@D1:9051 vixen-entry@E1:9031; do
    systemctl restart "${node%:*}"
    is_ready "${node#*:}"
done
publish 9031 again
ok "restart returns when the node is ready"

systemctl reload vixen-entry@E1
until_true is vixen-entry@E1 ActiveState active
is vixen-entry@E1 NRestarts 0
is_ready 9031
ok "reload leaves the node running"

kill -KILL "$(property MainPID vixen-entry@E2)"
until_true is vixen-entry@E2 NRestarts 1
until_true is_ready 9032
ok "a node that was killed is started again"

# systemd gives up after five starts in ten seconds, if nobody tells it not to.
mv /etc/vixen/vixen.toml /etc/vixen/away
kill -KILL "$(property MainPID vixen-ndb@D3)"
until_true is vixen-ndb@D3 NRestarts 7
mv /etc/vixen/away /etc/vixen/vixen.toml
until_true is_ready 9053
ok "a node that cannot start is never given up"

systemctl stop vixen.target
stopped() {
    property InactiveEnterTimestampMonotonic "$1"
}
for node in "${NODES[@]}"; do
    until_true is "$node" ActiveState inactive
    is "$node" Result success
done
latest_entry=$(for node in "${NODES[@]:6}"; do stopped "$node"; done | sort -n | tail -n 1)
latest_ndb=$(for node in "${NODES[@]:3:3}"; do stopped "$node"; done | sort -n | tail -n 1)
for node in "${NODES[@]:3:3}"; do
    (($(stopped "$node") > latest_entry))
done
for node in "${NODES[@]:0:3}"; do
    (($(stopped "$node") > latest_ndb))
done
ok "entries stop first, sync nodes last"
