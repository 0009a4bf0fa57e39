# Pantry Keeper's image, for linux/amd64 and linux/arm64. All is compiled on the machine that builds, for the one it is
# meant for; nothing runs in the final stage, so no emulator is needed. BuildKit builds it, as Docker does by default.
#
#   docker compose build                                                            for this machine
#   docker buildx build --platform linux/amd64,linux/arm64 -t NAME:TAG --push .     for both
#
# A newer release of the MongoDB Database Tools: --build-arg MONGO_TOOLS_VERSION=100.13.0. Without it you get the one
# that tools/mongodb pins, down to the last byte.

ARG RUST_IMAGE=rust:1.96.0-bookworm
ARG GO_IMAGE=golang:1.26.8-bookworm
ARG BASE_IMAGE=debian:bookworm-20260824-slim

# --- mongodump and mongorestore ---
FROM --platform=$BUILDPLATFORM $GO_IMAGE AS tools
WORKDIR /build
COPY tools/mongodb .
ARG MONGO_TOOLS_VERSION=
RUN if [ -n "$MONGO_TOOLS_VERSION" ]; then ./move-to "$MONGO_TOOLS_VERSION"; fi && go mod download
ARG TARGETARCH
RUN GOARCH=$TARGETARCH ./build /out mongodump mongorestore

# --- Pantry Keeper ---
FROM --platform=$BUILDPLATFORM $RUST_IMAGE AS program
WORKDIR /build
# What we depend on changes less often than what we write: an empty program has it fetched and compiled in layers of
# their own, which the next build finds done.
COPY Cargo.toml Cargo.lock ./
RUN mkdir src && touch src/lib.rs && echo 'fn main() {}' >src/main.rs && cargo fetch --locked
ARG BUILDARCH
ARG TARGETARCH
# The compiler's version comes with the image; Debian drops old versions of a package, so naming one would soon fail.
# hadolint ignore=DL3008
RUN set -eu; \
    case $TARGETARCH in \
        amd64) machine=x86_64 compiler=gcc-x86-64-linux-gnu ;; \
        arm64) machine=aarch64 compiler=gcc-aarch64-linux-gnu ;; \
        *) echo "There is no Pantry Keeper for $TARGETARCH, only for amd64 and arm64." >&2; exit 1 ;; \
    esac; \
    if [ "$TARGETARCH" != "$BUILDARCH" ]; then \
        apt-get update; \
        apt-get install -y --no-install-recommends "$compiler" "libc6-dev-$TARGETARCH-cross"; \
        rm -rf /var/lib/apt/lists/*; \
        # A distribution's own Rust has no rustup: there the targets are packages.
        if command -v rustup >/dev/null; then rustup target add "$machine-unknown-linux-gnu"; fi; \
    fi; \
    mkdir .cargo; \
    # Relocations packed, as glibc has understood them since 2.36: a tenth less to download, and to have in memory.
    printf '[build]\ntarget = "%s"\n[target.%s]\nlinker = "%s"\nrustflags = ["-Clink-arg=-Wl,-z,pack-relative-relocs"]\n' \
        "$machine-unknown-linux-gnu" "$machine-unknown-linux-gnu" "$machine-linux-gnu-gcc" >.cargo/config.toml
RUN cargo build --release --locked
COPY src src
# Its files may be older than those of the empty program, which cargo would then take for the newer ones.
RUN touch src/lib.rs src/main.rs && cargo build --release --locked \
    && install -d -m 700 /out/folders/backups /out/folders/logs && mv target/*/release/pantry-keeper /out/
# The authorities that Debian trusts, and none that the machine that builds adds to them.
RUN cat /usr/share/ca-certificates/mozilla/*.crt >/out/ca-certificates.crt

# --- OpenSSH's client, for copies by SFTP ---
# Of the Debian that the final image is, unpacked and not installed: one program, and what it needs that is not there yet.
FROM --platform=$BUILDPLATFORM $RUST_IMAGE AS ssh
WORKDIR /build
ARG TARGETARCH
RUN set -eu; \
    packages="openssh-client libssl3 libgssapi-krb5-2 libkrb5-3 libk5crypto3 libkrb5support0 libcom-err2 libkeyutils1"; \
    libraries="libcrypto.so.3 libgssapi_krb5.so.2 libkrb5.so.3 libk5crypto.so.3 libkrb5support.so.0 libcom_err.so.2 libkeyutils.so.1"; \
    dpkg --add-architecture "$TARGETARCH"; \
    apt-get update; \
    for package in $packages; do \
        apt-get download "$package:$TARGETARCH"; \
        dpkg-deb --extract "$package"_*.deb found; \
        # What it may be used for.
        install -D -m 644 "found/usr/share/doc/$package/copyright" "/out/usr/share/doc/$package/copyright"; \
    done; \
    install -D found/usr/bin/ssh /out/usr/bin/ssh; \
    for library in $libraries; do \
        file=$(find found -name "$library"); \
        install -D -m 644 "$file" "/out/usr/lib/${file#*lib/}"; \
    done; \
    # ssh does not run as a user without a name.
    install -d /out/etc; \
    { cat /usr/share/base-passwd/passwd.master; \
        echo '_apt:*:42:65534::/nonexistent:/usr/sbin/nologin'; \
        echo 'pantry-keeper:*:1000:1000::/tmp:/usr/sbin/nologin'; } >/out/etc/passwd

# --- The image ---
FROM $BASE_IMAGE
COPY --from=ssh /out/ /
COPY --from=program /out/ca-certificates.crt /etc/ssl/certs/
COPY --from=tools /out/ /usr/local/bin/
COPY --from=program /out/pantry-keeper /usr/local/bin/
COPY LICENSE THIRD-PARTY.md /usr/share/doc/pantry-keeper/
# On a Pi, and most Linux machines, 1000 is whoever sits at it: mounted folders and the archives are theirs. Any
# other user (docker run --user) does as well; only ssh needs an entry in /etc/passwd.
COPY --from=program --chown=1000:1000 /out/folders/ /
USER 1000:1000
ENV BACKUP_DIR=/backups LOG_DIR=/logs

ARG VERSION=0.1.0
ARG REVISION=
LABEL org.opencontainers.image.title="Pantry Keeper" \
    org.opencontainers.image.description="MongoDB backups that prove themselves" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"

STOPSIGNAL SIGTERM
HEALTHCHECK --interval=1m --timeout=15s --start-period=1m CMD ["pantry-keeper", "health"]
ENTRYPOINT ["pantry-keeper"]
CMD ["run"]
