#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The front door: ./run.sh <what>; without a word, the demo.
set -euo pipefail
# Paths that are given count from where the caller stands.
export GRANTKIT_FROM="${GRANTKIT_FROM:-$PWD}"
# `boot` is called by the cargo of another crate, whose target folder is not the tool's.
[ "${1-}" != boot ] || unset CARGO_TARGET_DIR
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

for tool in cargo rustup; do
    if ! command -v "$tool" >/dev/null; then
        echo "error: no $tool; install Rust with rustup: https://rustup.rs" >&2
        exit 1
    fi
done

# Cargo links with cc, so the host tool can't install it itself.
if ! command -v cc >/dev/null; then
    root=""
    [ "$(id -u)" = 0 ] || root="sudo -n"
    install="apt-get install -y -q --no-install-recommends gcc libc6-dev"
    echo "installing gcc libc6-dev: there is no cc"
    export DEBIAN_FRONTEND=noninteractive
    { $root apt-get update -q && $root $install; } </dev/null >/dev/null || {
        echo "error: no C linker; type: sudo apt-get install gcc libc6-dev" >&2
        exit 1
    }
fi

folder="${CARGO_TARGET_DIR:-target}"
if ! mkdir -p "$folder" 2>/dev/null || [ ! -w "$folder" ]; then
    echo "error: cannot write to $folder; CARGO_TARGET_DIR=<folder> takes another one" >&2
    exit 1
fi

# A build on a full disk ends in words of the linker's.
free="$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')"
if [ "${free:-1000}" -lt 200 ]; then
    echo "error: $free MiB are free in $folder, and a build takes 4000: free some, or" \
        "CARGO_TARGET_DIR=<folder> takes another one" >&2
    exit 1
fi

target=x86_64-unknown-none
if ! rustup target list --installed | grep -qx "$target"; then
    echo "adding Rust target $target"
    rustup -q target add "$target"
fi

# Not incrementally: a build that is interrupted would leave files with which no later one links
# (https://github.com/rust-lang/rust/issues/81280).
export CARGO_INCREMENTAL=0
[ -x "$folder/debug/xtask" ] || echo "building the host tool, which takes a minute or two, once"
cargo build -q -p xtask || {
    status=$?
    cargo fetch -q --locked --offline 2>/dev/null ||
        echo "error: crates are missing: the network is needed once, to fetch them" >&2
    exit $status
}
exec cargo run -q -p xtask -- "$@"
