# What one does here. `just` alone lists it; `.ci/run` runs the same commands and more.

_default:
    @just --list --unsorted

# Format all code.
fmt:
    cargo fmt --all

# Formatting and lints, as CI demands them.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --locked -- -D warnings

# All Rust tests; `just test ndb` runs those whose name has `ndb` in it.
test *ARGS:
    cargo test --workspace --locked {{ARGS}}

# All machines of all tiers under faults, with more seeds, judged by what clients see.
world SEEDS="50000":
    VIXEN_WORLD_SEEDS={{SEEDS}} cargo test --release --locked -p vixen-kit --test world -- --nocapture every_seed

# One seed of that again, with its trace.
world-replay SEED:
    VIXEN_WORLD_SEED={{SEED}} cargo test --release --locked -p vixen-kit --test world -- --nocapture every_seed

# Every state of the shipped vote in larger instances, some minutes; or `just model small`, or names.
model *SETS="large":
    cargo run --release --locked -p vixen-model -- check --set {{SETS}}

# Each rule broken in turn: the World, and the model checker where it is the vote's, must notice.
mutations:
    cargo test --release --locked -p vixen-kit --test world -- --nocapture --ignored every_broken
    cargo test --release --locked -p vixen-model -- --nocapture

# How long clients wait when nodes die or pause; `just faults --fault pause --rounds 10`.
faults *ARGS:
    cargo build --release --locked --workspace --bins
    target/release/vixen-bench faults {{ARGS}}

# What storage survives: `just storage --scenario damage --damages 1000`; kill, pause, wipe, damage, full, power.
storage *ARGS:
    cargo build --release --locked --workspace --bins
    target/release/vixen-bench storage {{ARGS}}

# What subscribers survive: `just subscribers --scenario resume`; resume, stalled, sessions, drain, flood.
subscribers *ARGS:
    cargo build --release --locked --workspace --bins
    target/release/vixen-bench subscribers {{ARGS}}

# Ten minutes of faults of all kinds, judged from outside; `just campaign --time 1m --seed 7`.
campaign *ARGS:
    cargo build --release --locked --workspace --bins
    target/release/vixen-bench campaign {{ARGS}}

# Calls through vixen and through Crossbar, in turns; `just crossbar --runs 5`.
crossbar *ARGS:
    tests/crossbar/run {{ARGS}}

# Callers and callees while nodes and callees are killed, paused and cut off; `just calls-faults --rounds 200 --seed 7`.
calls-faults *ARGS:
    cargo build --release --locked --workspace --bins
    target/release/vixen-bench calls-faults {{ARGS}}

# What slow messages wait for, stage by stage, by recordings of all nodes; `just trace --rate 10000 --duration 10s`.
trace *ARGS:
    cargo build --release --locked --workspace --bins
    target/release/vixen-bench run --start-cluster --rate 2000 --trace {{ARGS}}

# Instructions and allocations of a message in each of its steps, by valgrind: the same on a busy machine.
instructions:
    micro/instructions

# This build, NATS and etcd under the same loads, in turns; needs Debian's nats-server and etcd-server.
peers *ARGS:
    cargo build --release --locked --workspace --bins --features vixen-tests/peers
    target/release/vixen-bench compare target/release nats etcd {{ARGS}}

# Two hundred hostile clients at one entry for ten minutes; `just hostile-hour --time 1m --no-latency`.
hostile-hour *ARGS:
    cargo build --release --locked --workspace --bins
    target/release/vixen-bench hostile {{ARGS}}

# Each fuzz target for a minute; `just fuzz 600 wamp_json` one of them for ten.
fuzz *ARGS:
    .ci/nightly {{ARGS}}

# The table of hostile input in docs/ anew, after its rows were changed.
hostile:
    VIXEN_HOSTILE_WRITE=1 cargo test --locked -p vixen-entry --test hostile

# Licences, sources and advisories of the dependencies; needs cargo-deny.
deny:
    cargo deny --locked check

# The API documentation, warnings denied.
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked

# Everything CI runs: the above, then real clusters and real clients.
ci:
    .ci/run

# The cluster of deploy/compose in containers, as CI tries it; needs root.
containers:
    tests/compose/run

# The workload generator; `just bench --help` tells what it can do.
bench *ARGS:
    cargo run --release --locked -p vixen-tests --bin vixen-bench -- {{ARGS}}

# Nine nodes on this machine: `just cluster up`, `status`, `demo`, `down`.
cluster *ARGS:
    deploy/cluster {{ARGS}}
