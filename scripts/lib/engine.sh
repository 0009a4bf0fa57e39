# A Docker engine with Compose v2 and buildx for scripts/docker-test. Source it after common.sh.
# shellcheck shell=bash

COMPOSE_VERSION=v2.40.3
BUILDX_VERSION=v0.30.1
# Outside the checkout: a fresh clone finds done what took an earlier one twenty minutes.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pantry-keeper/docker
own_engine='' own_emulator=''

architecture() {
    case $(uname -m) in
    x86_64 | amd64) say amd64 ;;
    aarch64 | arm64) say arm64 ;;
    *) uname -m ;;
    esac
}
# What uname and qemu call an architecture.
machine() { case $1 in amd64) say x86_64 ;; arm64) say aarch64 ;; esac }

apt_install() { # PACKAGE...
    [ "$(id -u)" = 0 ] && have apt-get || return 1
    say "Installing $* with apt-get ..."
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } \
        >"$CACHE/apt.log" 2>&1
}

# engine_up: uses the engine that runs; starts one of its own where it can, which keeps its images in the cache.
# Fails where there is none to be had.
engine_up() {
    have docker && docker info >/dev/null 2>&1 && return 0
    [ "$(id -u)" = 0 ] || return 1
    if ! have dockerd || ! have docker || ! have iptables; then
        apt_install docker.io iptables || return 1
    fi
    export DOCKER_HOST=unix://$CACHE/run/docker.sock
    mkdir -p "$CACHE/run"
    # One that was killed leaves its number behind, which now may be another program's.
    rm -f "$CACHE/run/docker.pid"
    # The lock is for this script alone: an engine that outlived it would hold it.
    dockerd --data-root "$CACHE/engine" --exec-root "$CACHE/run" --pidfile "$CACHE/run/docker.pid" \
        --host "$DOCKER_HOST" >"$CACHE/dockerd.log" 2>&1 </dev/null 9>&- &
    own_engine=$!
    local tries
    for tries in $(seq 60); do
        docker info >/dev/null 2>&1 && break
        kill -0 "$own_engine" 2>/dev/null || break
        sleep 1
    done
    if ! docker info >/dev/null 2>&1; then
        warn "dockerd does not start here, after $tries s its log ends with:"
        tail -n 3 "$CACHE/dockerd.log" >&2
        engine_down
        return 1
    fi
    say "No engine was running: started one of our own."
}

engine_down() {
    [ -z "$own_emulator" ] || update-binfmts --disable "$own_emulator" >/dev/null 2>&1 || true
    if [ -n "$own_engine" ]; then
        kill "$own_engine" 2>/dev/null || true
        wait "$own_engine" 2>/dev/null || true
    fi
    own_emulator='' own_engine=''
}

# build_plugin NAME MODULE@VERSION PACKAGE VARIABLE: a plugin of the docker command, from its own source.
build_plugin() {
    local name=$1 module=$2 package=$3 variable=$4 source
    [ -x "$CACHE/client/cli-plugins/$name" ] && return 0
    have go || die "There is no $name, and no Go to build it with: install Docker's own package of it."
    say "Building $name ${module#*@} (some minutes, once) ..."
    export GOFLAGS=-modcacherw GOMODCACHE=$CACHE/go/mod GOCACHE=$CACHE/go/build
    source=$(go mod download -json "$module" 2>"$CACHE/$name.log" | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
    [ -n "$source" ] || die "$module cannot be fetched: see $CACHE/$name.log"
    mkdir -p "$CACHE/client/cli-plugins"
    (cd "$source" && go build -mod=readonly -trimpath -ldflags "-s -w -X $variable=${module#*@}" \
        -o "$CACHE/client/cli-plugins/.$name" "$package") >>"$CACHE/$name.log" 2>&1 ||
        die "$name cannot be built: see $CACHE/$name.log"
    mv "$CACHE/client/cli-plugins/.$name" "$CACHE/client/cli-plugins/$name"
    unset GOFLAGS GOMODCACHE GOCACHE
}

# plugins_up: what the user has, or what we built before, or what we build now.
plugins_up() {
    docker compose version >/dev/null 2>&1 && docker buildx version >/dev/null 2>&1 && return 0
    build_plugin docker-compose "github.com/docker/compose/v2@$COMPOSE_VERSION" ./cmd \
        github.com/docker/compose/v2/internal.Version
    build_plugin docker-buildx "github.com/docker/buildx@$BUILDX_VERSION" ./cmd/buildx \
        github.com/docker/buildx/version.Version
    rm -rf "$CACHE/go"
    export DOCKER_CONFIG=$CACHE/client
}

# emulator_up ARCH: makes programs of the other architecture run, in containers too; fails where that cannot be had.
emulator_up() {
    local name
    name=qemu-$(machine "$1")
    grep -qs enabled "/proc/sys/fs/binfmt_misc/$name" && return 0
    [ "$(id -u)" = 0 ] || return 1
    if ! have "$name-static" || ! have update-binfmts; then
        apt_install qemu-user-static binfmt-support || return 1
    fi
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || return 1
    update-binfmts --enable "$name" || return 1
    own_emulator=$name
}
