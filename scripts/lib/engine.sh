# A Docker engine with Compose v2, BuildKit and an emulator, for scripts/docker-test. Source it after common.sh.
# shellcheck shell=bash

# Outside the checkout: a fresh clone finds done what took an earlier one twenty minutes.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/pantry-keeper/docker
own_engine='' own_emulator=''

# engine_up: uses the engine that runs; starts one of its own where it can, which keeps its images in the cache.
engine_up() {
    ! docker info >/dev/null 2>&1 || return 0
    [ "$(id -u)" = 0 ] || return 1
    { have dockerd && have docker && have iptables; } || apt_install docker.io iptables || return 1
    export DOCKER_HOST=unix://$CACHE/run/docker.sock
    mkdir -p "$CACHE/run"
    # One that was killed leaves its number behind, which now may be another program's.
    rm -f "$CACHE/run/docker.pid"
    # The lock is for this script alone: an engine that outlived it would hold it.
    dockerd --data-root "$CACHE/engine" --exec-root "$CACHE/run" --pidfile "$CACHE/run/docker.pid" \
        --host "$DOCKER_HOST" >"$CACHE/dockerd.log" 2>&1 </dev/null 9>&- &
    own_engine=$!
    local _
    for _ in $(seq 60); do
        if docker info >/dev/null 2>&1; then
            say "No engine was running: started one of our own."
            return 0
        fi
        kill -0 "$own_engine" 2>/dev/null || break
        sleep 1
    done
    say "dockerd does not start here, its log ends with:"
    tail -n 3 "$CACHE/dockerd.log"
    return 1
}

engine_down() {
    [ -z "$own_emulator" ] || update-binfmts --disable "$own_emulator" >/dev/null 2>&1 || true
    if [ -n "$own_engine" ]; then
        kill "$own_engine" 2>/dev/null || true
        wait "$own_engine" 2>/dev/null || true
    fi
}

# build_plugin NAME MODULE VERSION PACKAGE VARIABLE: a plugin of the docker command, from its own source.
build_plugin() {
    local plugins=$CACHE/client/cli-plugins source
    [ ! -x "$plugins/$1" ] || return 0
    say "Building $1 $3 (some minutes, once) ..."
    mkdir -p "$plugins"
    source=$(go mod download -json "$2@$3" 2>"$CACHE/$1.log" | sed -n 's/^.*"Dir": "\(.*\)",*$/\1/p')
    [ -n "$source" ] || die "$2@$3 cannot be fetched: see $CACHE/$1.log"
    (cd "$source" && quietly "$CACHE/$1.log" go build -mod=readonly -trimpath -ldflags "-s -w -X $5=$3" -o "$plugins/.$1" "$4") ||
        die "$1 cannot be built."
    mv "$plugins/.$1" "$plugins/$1"
}

# builds_alone: docker came to need buildx for every build with its release 23; the ones before bring BuildKit themselves.
builds_alone() { [ "$(docker version --format '{{.Client.Version}}' | cut -d. -f1)" -lt 23 ]; }

# plugins_up: what the user has, or what we built before, or what we build now.
plugins_up() {
    local compose='' buildx=''
    docker compose version >/dev/null 2>&1 || compose=missing
    docker buildx version >/dev/null 2>&1 || builds_alone || buildx=missing
    [ -n "$compose$buildx" ] || return 0
    have go || die "There is no docker compose or no docker buildx, and no Go to build it: install Docker's own packages."
    export DOCKER_CONFIG=$CACHE/client
    export GOFLAGS=-modcacherw GOMODCACHE=$CACHE/go/mod GOCACHE=$CACHE/go/build
    # A folder of our own hides the plugins in the user's: both then come from here.
    build_plugin docker-compose github.com/docker/compose/v2 v2.40.3 ./cmd github.com/docker/compose/v2/internal.Version
    builds_alone || build_plugin docker-buildx github.com/docker/buildx v0.30.1 ./cmd/buildx github.com/docker/buildx/version.Version
    unset GOFLAGS GOMODCACHE GOCACHE
    rm -rf "$CACHE/go"
}

# image_build OPTION...: by BuildKit, which the plugin buildx drives where it is installed, and the engine itself elsewhere.
image_build() {
    if docker buildx version >/dev/null 2>&1; then
        docker buildx build --load "$@"
    else
        DOCKER_BUILDKIT=1 docker build "$@"
    fi
}

# emulator_up MACHINE: makes programs of the other architecture run, in containers too; fails where that cannot be had.
emulator_up() {
    local name=qemu-$1
    ! grep -qs enabled "/proc/sys/fs/binfmt_misc/$name" || return 0
    [ "$(id -u)" = 0 ] || return 1
    { have "$name-static" && have update-binfmts; } || apt_install qemu-user-static binfmt-support || return 1
    [ -e /proc/sys/fs/binfmt_misc/register ] || mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc || return 1
    update-binfmts --enable "$name" || return 1
    own_emulator=$name
}
