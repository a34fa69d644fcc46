#!/bin/sh
# Installs Fracture Edge from this folder. Checks itself, then lets the folder's own Python do the rest.
#   ./install.sh [--yes] [--prefix DIR] [--no-service] [--port N] [--trusted-key FILE] [--allow-older]
set -eu

stop() {  # exit code, sentence
    code=$1
    shift
    printf '%s\n' "$*" >&2
    exit "$code"
}

main() {
    umask 022
    here=$(cd -P -- "$(dirname -- "$0")" && pwd)
    [ "$(uname -s) $(uname -m)" = "Linux x86_64" ] ||
        stop 4 "This is the file for 64-bit PCs with Linux; this is $(uname -s) $(uname -m). Get the file for this PC."
    has=$(getconf GNU_LIBC_VERSION 2>/dev/null | sed 's/^glibc //')
    oldest=$(printf '%s\n' "$has" "@GLIBC@" | sort -V | head -n 1)
    [ "$oldest" = "@GLIBC@" ] ||
        stop 4 "This PC has glibc ${has:-none}, needed is @GLIBC@ or later. Use a newer Linux."
    printf 'Checking that every file is as it was released ... '
    (cd -- "$here" && sha256sum --check --quiet --strict SHA256SUMS >&2 2>/dev/null) ||
        stop 5 "no." "A file is damaged, or its copy was cut off: copy it to the stick again."
    printf 'yes\n'
    # Without /proc, as in a bare chroot, a program cannot tell where it lies, nor find its libraries there.
    [ -e /proc/self/exe ] || export LD_LIBRARY_PATH="$here/runtime/lib"
    "$here/runtime/bin/python3" -IBc '' 2>/dev/null ||
        stop 8 "Programs cannot be started from $here. Unpack the file elsewhere, such as in the home folder."
    exec "$here/runtime/bin/python3" -IB -m edge_app.installed install --source "$here" "$@"
}

main "$@"
