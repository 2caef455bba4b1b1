#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# The entry point: ./run.sh <command>; without one, the demo.
set -euo pipefail
# Paths in arguments are relative to the caller's working directory.
export GRANTKIT_FROM="${GRANTKIT_FROM:-$PWD}"
# Cargo calls `boot` from another crate, whose target folder is not the tool's.
[ "${1-}" != boot ] || unset CARGO_TARGET_DIR
cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")"

for tool in cargo rustup; do
    if ! command -v "$tool" >/dev/null; then
        echo "error: no $tool; install Rust with rustup: https://rustup.rs" >&2
        exit 1
    fi
done

# Cargo needs cc to link the host tool, so that tool can't install it.
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
    echo "error: cannot write to $folder; set CARGO_TARGET_DIR=<folder> to use another" >&2
    exit 1
fi

# On a full disk the build would end with an error of the linker's.
free="$(df -Pk "$folder" | awk 'NR == 2 { print int($4 / 1024) }')"
if [ "${free:-1000}" -lt 200 ]; then
    echo "error: $free MiB are free in $folder, but a build takes 4000: free some, or" \
        "set CARGO_TARGET_DIR=<folder> to use another" >&2
    exit 1
fi

target=x86_64-unknown-none
if ! rustup target list --installed | grep -qx "$target"; then
    echo "adding Rust target $target"
    rustup -q target add "$target"
fi

# Not incremental: an interrupted build would leave files that make every later one fail to link
# (https://github.com/rust-lang/rust/issues/81280).
export CARGO_INCREMENTAL=0
[ -x "$folder/debug/xtask" ] || echo "building the host tool, which takes a minute or two the first time"
cargo build -q -p xtask || {
    status=$?
    host="$(rustc -vV | sed -n 's/^host: //p')"
    cargo fetch -q --locked --offline --target "$host" 2>/dev/null ||
        echo "error: crates are missing: the network is needed once to fetch them" >&2
    exit $status
}
exec cargo run -q -p xtask -- "$@"
