# Shared by the scripts in this folder's parent. Source it; bash 3.2 is enough.
# shellcheck shell=bash

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
TOOLS=$ROOT/.tools
# shellcheck disable=SC2034  # used by the scripts that source this
LIB=$ROOT/scripts/lib

if [ -t 1 ]; then
    BOLD=$'\033[1m' RED=$'\033[31m' PLAIN=$'\033[0m'
else
    BOLD='' RED='' PLAIN=''
fi

say() { printf '%s\n' "$*"; }
title() { printf '\n%s%s%s\n' "$BOLD" "$*" "$PLAIN"; }
warn() { printf '%s%s%s\n' "$RED" "$*" "$PLAIN" >&2; }
die() {
    warn "$*"
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# version_of TEXT: the first dotted number in it.
version_of() { printf '%s\n' "$1" | sed -n 's/^[^0-9]*\([0-9][0-9]*\(\.[0-9][0-9]*\)*\).*$/\1/p' | head -n 1; }

# at_least HAVE WANT: compares dotted numbers, field by field.
at_least() {
    awk -v have="$1" -v want="$2" 'BEGIN {
        n = split(want, w, "."); split(have, h, ".")
        for (i = 1; i <= n; i++) {
            if (h[i] + 0 > w[i] + 0) exit 0
            if (h[i] + 0 < w[i] + 0) exit 1
        }
        exit have == ""
    }'
}

# user_path NAME: where NAME is on the user's own PATH, leaving out what setup itself has put into .tools.
user_path() {
    local found
    while IFS= read -r found; do
        case $found in
        "$TOOLS"/*) ;;
        *)
            printf '%s\n' "$found"
            return 0
            ;;
        esac
    done < <(type -aP "$1" 2>/dev/null)
    return 1
}

# load_tools: what scripts/setup has found and built.
load_tools() {
    [ -f "$TOOLS/env" ] || "$ROOT/scripts/setup"
    # shellcheck disable=SC1091  # written by scripts/setup
    . "$TOOLS/env"
}

# release_binary: builds pantry-keeper unless PANTRY_KEEPER_BIN names one; leaves its path in PANTRY_KEEPER_BIN.
release_binary() {
    if [ -n "${PANTRY_KEEPER_BIN:-}" ]; then
        [ -x "$PANTRY_KEEPER_BIN" ] || die "PANTRY_KEEPER_BIN is $PANTRY_KEEPER_BIN: there is no program there."
        return
    fi
    have cargo || die "cargo is missing: run scripts/setup, it says how to get it."
    (cd "$ROOT" && cargo build --release --locked --quiet)
    PANTRY_KEEPER_BIN=${CARGO_TARGET_DIR:-$ROOT/target}/release/pantry-keeper
}

# skip WHY: ends the script well, without having done its work; whoever runs it through scripts/test sees it in the summary.
skip() {
    say "SKIPPED: $*."
    say "$*" >"${PANTRY_SKIP_NOTE:-/dev/null}"
    exit 0
}
