# Images in the place of the official ones, for scripts/docker-test where no image registry can be reached: made of
# Debian's packages, which their registry's images are made of, too. Source it after engine.sh.
# shellcheck shell=bash

STAND_IN=pantry-keeper-test
REQUIREMENTS=("$ROOT/tools/test-requirements.txt" "$ROOT/tools/test-server-requirements.txt")

# stand_in NAME: what the image is called; one that is made differently is another one.
stand_in() {
    local recipe=("$LIB/stand_ins.sh")
    [ "$1" != server ] || recipe+=("$LIB/stand_in_server.py" "${REQUIREMENTS[@]}")
    say "$STAND_IN/$1:$(cat "${recipe[@]}" | cksum | cut -d ' ' -f 1)"
}
is_made() { docker image inspect "$(stand_in "$1")" >/dev/null 2>&1; }

# make_image NAME ARCH FOLDER: builds it from the folder, which is then removed.
make_image() {
    docker buildx build --quiet --load --platform "linux/$2" -t "$(stand_in "$1")" "$3" >"$CACHE/$1.log" 2>&1 || {
        tail -n 15 "$CACHE/$1.log" >&2
        die "The stand-in $1 cannot be built: see $CACHE/$1.log"
    }
    rm -rf "$3"
}

# stand_in_base ARCH: for debian:bookworm-slim, which leaves out the same.
stand_in_base() {
    is_made "base-$1" && return 0
    have debootstrap || apt_install debootstrap || die "debootstrap is missing."
    say "Making a Debian for $1 with debootstrap (minutes, once) ..."
    local folder=$CACHE/base-$1
    rm -rf "$folder"
    mkdir "$folder"
    debootstrap --variant=minbase --arch="$1" bookworm "$folder/root" >"$CACHE/debootstrap-$1.log" 2>&1 ||
        die "debootstrap failed: see $CACHE/debootstrap-$1.log"
    cat >"$folder/root/etc/apt/sources.list" <<'SOURCES'
deb http://deb.debian.org/debian bookworm main
deb http://deb.debian.org/debian bookworm-updates main
deb http://deb.debian.org/debian-security bookworm-security main
SOURCES
    (cd "$folder/root" && rm -rf usr/share/{doc,info,lintian,locale,man}/* var/{cache/apt,lib/apt/lists}/* var/log/*.log)
    tar -C "$folder/root" -cf "$folder/root.tar" .
    rm -rf "$folder/root"
    # An import would label it as of this machine's architecture.
    printf 'FROM scratch\nADD root.tar /\nCMD ["bash"]\n' >"$folder/Dockerfile"
    make_image "base-$1" "$1" "$folder"
}

# with_our_certificates FOLDER: behind a proxy of its own, a machine trusts more than Debian does.
with_our_certificates() {
    cp /etc/ssl/certs/ca-certificates.crt "$1/"
    say 'COPY ca-certificates.crt /etc/ssl/certs/' >>"$1/Dockerfile"
}

# stand_in_rust: Debian's own, with the target of the other architecture as a package.
stand_in_rust() {
    is_made rust && return 0
    say "Making an image with Rust (minutes, once) ..."
    local folder=$CACHE/rust
    rm -rf "$folder"
    mkdir "$folder"
    cat >"$folder/Dockerfile" <<DOCKERFILE
FROM $(stand_in "base-$NATIVE")
RUN dpkg --add-architecture $FOREIGN && apt-get update && apt-get install -y --no-install-recommends \\
    ca-certificates gcc libc6-dev cargo-web rustc-web libstd-rust-web-dev libstd-rust-web-dev:$FOREIGN
DOCKERFILE
    with_our_certificates "$folder"
    make_image rust "$NATIVE" "$folder"
}

# stand_in_go: this machine's Go.
stand_in_go() {
    is_made go && return 0
    have go || die "There is no Go to make an image of."
    say "Making an image with Go ..."
    local folder=$CACHE/go-image
    rm -rf "$folder"
    mkdir "$folder"
    tar -C "$(go env GOROOT)" --exclude=./test --exclude=./api -cf "$folder/go.tar" .
    cat >"$folder/Dockerfile" <<DOCKERFILE
FROM $(stand_in "base-$NATIVE")
ADD go.tar /usr/local/go
ENV PATH=/usr/local/go/bin:\$PATH GOTOOLCHAIN=local
DOCKERFILE
    with_our_certificates "$folder"
    make_image go "$NATIVE" "$folder"
}

# stand_in_server: a MongoDB-compatible server that takes the same settings as the official image of MongoDB.
stand_in_server() {
    is_made server && return 0
    say "Making an image with a MongoDB-compatible server ..."
    local folder=$CACHE/server
    rm -rf "$folder"
    mkdir "$folder"
    cp "${REQUIREMENTS[@]}" "$LIB/stand_in_server.py" "$folder/"
    cat >"$folder/Dockerfile" <<DOCKERFILE
FROM $(stand_in "base-$NATIVE")
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv
DOCKERFILE
    with_our_certificates "$folder"
    cat >>"$folder/Dockerfile" <<'DOCKERFILE'
COPY test-requirements.txt test-server-requirements.txt /
RUN python3 -m venv /venv && PIP_CERT=/etc/ssl/certs/ca-certificates.crt /venv/bin/pip install --quiet -r /test-server-requirements.txt
COPY stand_in_server.py /
ENTRYPOINT ["/venv/bin/python", "/stand_in_server.py"]
DOCKERFILE
    make_image server "$NATIVE" "$folder"
}

# tidy_images: in an engine of our own, nothing but this script ever removes what earlier runs left behind.
tidy_images() {
    [ -n "$own_engine" ] || return 0
    local image
    while IFS= read -r image; do
        [ "$image" = "$(stand_in "$(expr "$image" : '.*/\(.*\):')")" ] || docker rmi "$image" >/dev/null 2>&1 || true
    done < <(docker images --format '{{.Repository}}:{{.Tag}}' "$STAND_IN/*")
    docker image prune --force >/dev/null
}
