#!/bin/sh
# Starts the version that is current; PREFIX/current names it in its first line.
prefix=$(readlink -f -- "$0")
prefix=${prefix%/bin/*}
if ! read -r program < "$prefix/current"; then
    echo "Fracture Edge is not installed in $prefix. Run install.sh from the stick." >&2
    exit 5
fi
# Without /proc, as in a bare chroot, a program cannot tell where it lies, nor find its libraries there.
[ -e /proc/self/exe ] || export LD_LIBRARY_PATH="$prefix/$program/runtime/lib"
exec "$prefix/$program/runtime/bin/python3" -IB -m edge_app.installed "$@"
