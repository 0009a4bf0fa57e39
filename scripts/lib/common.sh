# Shared by the scripts in this folder's parent. Source it; bash 3.2 is enough.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS=$ROOT/.tools
# shellcheck disable=SC2034  # used by the scripts that source this
SUPPORT=$ROOT/tests/support

BOLD='' RED='' PLAIN=''
[ ! -t 1 ] || BOLD=$'\033[1m' RED=$'\033[31m' PLAIN=$'\033[0m'

say() { printf '%s\n' "$*"; }
title() { printf '\n%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }
die() {
    printf '%s%s%s\n' "$RED" "$*" "$PLAIN" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# quietly LOG COMMAND...: what it says goes to the log, and is shown when it fails.
quietly() {
    local log=$1
    shift
    "$@" >"$log" 2>&1 || {
        tail -n 25 "$log" >&2
        return 1
    }
}

# version_of COMMAND...: the first dotted number in what it says.
version_of() { "$@" 2>&1 | sed -n 's/^[^0-9]*\([0-9][0-9.]*[0-9]\).*$/\1/p;' | head -n 1; }

# at_least HAVE WANT: compares dotted numbers.
at_least() { [ -n "$1" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$2" ]; }

# apt_install PACKAGE...: only as root, and only where apt-get is; fails quietly elsewhere.
apt_install() {
    [ "$(id -u)" = 0 ] && have apt-get || return 1
    say "Installing $* with apt-get ..." >&2
    mkdir -p "$TOOLS"
    { apt-get update -qq || true; DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } \
        >>"$TOOLS/apt.log" 2>&1
}

# make_venv FOLDER REQUIREMENTS [OPTION...]: a Python environment of these packages, made anew when they change. One that was
# moved does not work either, so its path is part of the stamp.
make_venv() {
    local venv=$1 requirements=$2 want
    shift 2
    want="$venv $(cat "$ROOT"/tools/test-requirements.txt "$requirements")"
    [ "$want" != "$(cat "$venv/stamp" 2>/dev/null)" ] || return 0
    say "Installing the Python packages of $(basename "$requirements") ..." >&2
    rm -rf "$venv"
    mkdir -p "$venv"
    { "${PYTHON:-python3}" -m venv "$venv" && "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input \
        "$@" -r "$requirements"; } >"$venv.log" 2>&1 || {
        tail -n 15 "$venv.log" >&2
        return 1
    }
    printf '%s\n' "$want" >"$venv/stamp"
}

# load_tools: what scripts/setup finds, installs and builds.
load_tools() {
    "$ROOT/scripts/setup" --quiet
    # shellcheck disable=SC1091  # written by scripts/setup
    . "$TOOLS/env"
}

# find_binary PROFILE: builds pantry-keeper unless PANTRY_KEEPER_BIN names one; leaves its whole path there.
find_binary() {
    local profile=(--locked --quiet)
    [ "$1" = debug ] || profile+=(--release)
    if [ -z "${PANTRY_KEEPER_BIN:-}" ]; then
        [ -x "${CARGO_TARGET_DIR:-$ROOT/target}/$1/pantry-keeper" ] || say "Building Pantry Keeper (minutes, the first time) ..."
        (cd "$ROOT" && cargo build "${profile[@]}")
        PANTRY_KEEPER_BIN=${CARGO_TARGET_DIR:-$ROOT/target}/$1/pantry-keeper
    fi
    [ -x "$PANTRY_KEEPER_BIN" ] || die "PANTRY_KEEPER_BIN is $PANTRY_KEEPER_BIN: there is no program there."
    PANTRY_KEEPER_BIN=$(cd "$(dirname "$PANTRY_KEEPER_BIN")" && pwd)/$(basename "$PANTRY_KEEPER_BIN")
    export PANTRY_KEEPER_BIN
}

# skip WHY: ends the script well, without having done its work; whoever runs it through scripts/test sees it in the summary.
skip() {
    say "SKIPPED: $*."
    say "$*" >"${PANTRY_SKIP_NOTE:-/dev/null}"
    exit 0
}
