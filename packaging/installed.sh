#!/bin/sh
# Says what a program still needs to find the libpith just installed, when its directory is not one
# that pkg-config, CMake and the loader search by themselves.
# Usage: packaging/installed.sh PREFIX
set -u
prefix=$1
lib=$prefix/lib
PATH=$PATH:/sbin:/usr/sbin

# found DIRECTORY LIST: is it in the list, with : or white space between?
found() {
    for directory in $(echo "$2" | tr ':' ' '); do
        if [ "$(readlink -f "$directory")" = "$(readlink -f "$1")" ]; then
            return 0
        fi
    done
    return 1
}

# The directories that ldconfig searches, or musl's default.
loader_path() {
    if command -v ldconfig >/dev/null && [ ! -e /etc/alpine-release ]; then
        echo /lib /usr/lib
        ldconfig -v -N -X 2>/dev/null | sed -n 's/^\(\/[^:]*\):.*/\1/p'
    else
        echo /lib /usr/local/lib /usr/lib
    fi
}

echo "pith is installed in $prefix"
if ! found "$lib/pkgconfig" \
    "${PKG_CONFIG_PATH:-}:$(pkg-config --variable pc_path pkg-config 2>/dev/null)"; then
    echo "pkg-config does not look there; for a program that links pith:"
    echo "    export PKG_CONFIG_PATH=$lib/pkgconfig"
    echo "and with CMake: -DCMAKE_PREFIX_PATH=$prefix"
fi
if ! found "$lib" "$(loader_path)"; then
    echo "The loader does not look there; link with the path inside the program, or set it:"
    echo "    cc program.c \$(pkg-config --cflags --libs pith) -Wl,-rpath,$lib"
    echo "    export LD_LIBRARY_PATH=$lib"
elif command -v ldconfig >/dev/null && ! ldconfig -p 2>/dev/null | grep -q "=> $lib/libpith.so"; then
    echo "So that the loader knows the new library, as root:"
    echo "    ldconfig"
fi
if ! found "$prefix/bin" "$PATH"; then
    echo "The command is $prefix/bin/pith; to type only pith:"
    echo "    export PATH=\$PATH:$prefix/bin"
fi
