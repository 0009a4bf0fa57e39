# What there is to do here; `just` alone lists it. Each is a script or a cargo command, so that just is not needed.

_default:
    @just --list --unsorted

# Get what the tests, the demo and the benchmark need, into .tools
setup *options:
    scripts/setup {{ options }}

# See a backup, a restore and a drill on this machine, with nothing of yours
demo:
    scripts/demo

# All that must be right before a change goes in; `just test NAME` runs the tests with that name alone
test *names:
    scripts/test {{ names }}

# Write all code in the one form
fmt:
    cargo fmt

# What the compiler and clippy find
lint:
    cargo clippy --all-targets --locked -- -D warnings -D clippy::incompatible_msrv

# The code's own documentation, in the browser
doc:
    cargo doc --no-deps --document-private-items --locked --open

# Time backups and restores against stock tools; `just bench --idle` measures the scheduler while it waits
bench *options:
    scripts/bench {{ options }}

# Build the image for both architectures, and put the stack of docker-compose.yml through its life
docker *architectures:
    scripts/docker-test {{ architectures }}

# The systemd unit, the Kubernetes manifest, the workflow, the crates' licences
deploy:
    scripts/check-deploy

# The whole way between two servers that may be written to
end-to-end from to:
    scripts/end-to-end '{{ from }}' '{{ to }}'
