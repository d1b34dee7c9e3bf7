#!/bin/sh
# What pith needs from the machine: is it there, and which line installs what is missing.
#
#   packaging/needs.sh check NEED...     says what is missing, and fails when something is
#   packaging/needs.sh install NEED...   the same after trying apt-get, where that is there and may
#                                        be used: by root, or with sudo
#
# A NEED is a name of the table's first column; "NEED?" is installed when that can be done, and done
# without otherwise. CC and PYTHON of the environment say which compiler and which Python, DEPS which
# target of the Makefile installs the same.
#
# The machine is asked itself (pkg-config, the compiler, the PATH), not a package manager: a library
# that came another way is as good. Uses nothing but the shell and id(1).
set -u
CC=${CC:-gcc}
PYTHON=${PYTHON:-python3}

MANAGERS='apt dnf pacman apk brew'

# How each is asked for, and its package; "-": there is none, or none known.
# need        asked by                  apt                  dnf                pacman       apk              brew
TABLE='
cc            compiler:                 gcc                  gcc                gcc          gcc              gcc
libc-headers  header:stdlib.h           libc6-dev            glibc-devel        glibc        musl-dev         -
pkg-config    command:pkg-config        pkg-config           pkgconf-pkg-config pkgconf      pkgconf          pkgconf
jansson       module:jansson            libjansson-dev       jansson-devel      jansson      jansson-dev      jansson
libutf8proc   module:libutf8proc        libutf8proc-dev      utf8proc-devel     libutf8proc  utf8proc-dev     utf8proc
libpcre2-8    module:libpcre2-8         libpcre2-dev         pcre2-devel        pcre2        pcre2-dev        pcre2
libedit       module:libedit            libedit-dev          libedit-devel      libedit      libedit-dev      libedit
libmicrohttpd module:libmicrohttpd      libmicrohttpd-dev    libmicrohttpd-devel libmicrohttpd libmicrohttpd-dev libmicrohttpd
libsodium     module:libsodium          libsodium-dev        libsodium-devel    libsodium    libsodium-dev    libsodium
sqlite3       module:sqlite3            libsqlite3-dev       sqlite-devel       sqlite       sqlite-dev       sqlite
openblas      library:libopenblas.so.0  libopenblas0-pthread openblas           openblas     openblas         openblas
criterion     module:criterion          libcriterion-dev     criterion-devel    criterion    -                criterion
python3       interpreter:              python3              python3            python       python3          python3
numpy         python:numpy              python3-numpy        python3-numpy      python-numpy py3-numpy        numpy
jinja2        python:jinja2             python3-jinja2       python3-jinja2     python-jinja py3-jinja2       -
groff         command:groff             groff-base           groff-base         groff        groff            groff
sqlite3-shell command:sqlite3           sqlite3              sqlite             sqlite       sqlite           sqlite
gnuplot       command:gnuplot           gnuplot-nox          gnuplot-minimal    gnuplot      gnuplot          gnuplot
objdump       command:objdump           binutils             binutils           binutils     binutils         binutils
clang         command:clang             clang                clang              clang        clang            llvm
clang-format  command:clang-format      clang-format         clang-tools-extra  clang        clang-extra-tools clang-format
fuzzer        fuzzer:clang              libclang-rt-14-dev   compiler-rt        compiler-rt  compiler-rt      llvm
llvm-cov      command:llvm-cov          llvm                 llvm               llvm         llvm             llvm
openmpi       module:ompi-c             libopenmpi-dev       openmpi-devel      openmpi      openmpi-dev      open-mpi
mpirun        command:mpirun            openmpi-bin          openmpi            openmpi      openmpi          open-mpi
arm64-cc      command:aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu gcc-aarch64-linux-gnu aarch64-linux-gnu-gcc - -
arm64-libc    cross:aarch64-linux-gnu-gcc libc6-dev-arm64-cross - aarch64-linux-gnu-glibc - -
qemu-aarch64  command:qemu-aarch64      qemu-user            qemu-user          qemu-user    qemu-aarch64     -
'

# Sets `asked` and the package names of a need.
find_row() {
    while read -r name asked apt dnf pacman apk brew; do
        [ "$name" != "$1" ] || return 0
    done <<END
$TABLE
END
    echo "packaging/needs.sh: no row for '$1'" >&2
    exit 2
}

is_there() {
    of=${asked#*:}
    case $asked in
    command:*) command -v "$of" ;;
    compiler:) command -v "${CC%% *}" ;;
    interpreter:) command -v "$PYTHON" ;;
    module:*) pkg-config --exists "$of" ;;
    header:*) echo "#include <$of>" | $CC -E - ;;
    cross:*) echo "#include <stdlib.h>" | $of -E - ;;
    # The compiler answers with the bare name when it finds no such file.
    library:*) [ "$($CC -print-file-name="$of")" != "$of" ] && command -v "${CC%% *}" ;;
    python:*) "$PYTHON" -c "import $of" ;;
    fuzzer:*) echo 'int LLVMFuzzerTestOneInput(const void *p, unsigned long n) { return !p && n; }' |
        $of -fsanitize=fuzzer -x c - -o /dev/null ;;
    esac >/dev/null 2>&1
}

# look NEED... sets what is missing: needed, optional (names); apt, dnf ... of both together.
look() {
    needed=''
    optional=''
    for one in $MANAGERS; do
        eval "all_$one='' without_$one=''"
    done
    for need in "$@"; do
        find_row "${need%\?}"
        is_there && continue
        if [ "$asked" = compiler: ]; then
            case $CC in
            clang*) find_row clang ;;
            esac
            name=${CC%% *}
        fi
        case $need in
        *\?) optional="$optional${optional:+, }$name" ;;
        *) needed="$needed${needed:+, }$name" ;;
        esac
        add apt "$apt"
        add dnf "$dnf"
        add pacman "$pacman"
        add apk "$apk"
        add brew "$brew"
    done
}

# add MANAGER PACKAGE: once each; a need without a package is kept too.
add() {
    list=without_$1
    [ "$2" = - ] || list=all_$1
    [ "$2" = - ] && set -- "$1" "$name"
    eval "so_far=\$$list"
    # shellcheck disable=SC2154
    case " $so_far " in
    *" $2 "*) ;;
    *) eval "$list=\"\$so_far\${so_far:+ }$2\"" ;;
    esac
}

has() {
    command -v "$1" >/dev/null 2>&1
}

# The line of one manager, with what it needs before it to be allowed to.
line() {
    eval "packages=\$all_$1 without=\$without_$1"
    [ -z "$without" ] || without="   # no package known for: $without"
    if [ -z "$packages" ]; then
        echo "    $1:$without"
        return
    fi
    packages=$packages$without
    case $1 in
    apt) echo "    ${as_root}apt-get update && ${as_root}apt-get install $packages" ;;
    dnf) echo "    ${as_root}dnf install $packages" ;;
    pacman) echo "    ${as_root}pacman -S --needed $packages" ;;
    apk) echo "    ${as_root}apk add $packages" ;;
    brew) echo "    brew install $packages" ;;
    esac
}

# how TO: the lines for this machine, or all of them when it has none of the five managers.
how() {
    manager=''
    for one in apt-get dnf pacman apk brew; do
        if [ -z "$manager" ] && has "$one"; then
            manager=${one%-get}
        fi
    done
    if [ -z "$manager" ]; then
        echo "$1 with the line of this system, as root:"
        for one in $MANAGERS; do
            line "$one"
        done
    elif [ "$may" = no ] && [ "$manager" != brew ]; then
        echo "$1 as root with:"
        line "$manager"
    else
        echo "$1 with:"
        line "$manager"
    fi
}

mode=$1
shift
may=yes
as_root=''
if [ "$(id -u 2>/dev/null)" != 0 ]; then
    if has sudo; then
        as_root='sudo '
    else
        may=no
    fi
fi

look "$@"
if [ "$mode" = install ] && [ -n "$needed$optional" ] && has apt-get && [ $may = yes ]; then
    # shellcheck disable=SC2154
    echo "Installing missing Debian packages: $all_apt"
    # shellcheck disable=SC2086,SC2154
    if ${as_root}apt-get update -qq &&
        DEBIAN_FRONTEND=noninteractive ${as_root}apt-get install -y -qq --no-install-recommends \
            $all_apt >/dev/null; then
        look "$@"
    else
        echo "apt-get did not succeed." >&2
    fi
fi

if [ -n "$needed" ]; then
    {
        echo "missing: $needed"
        how install
        if [ "$mode" = check ] && [ -n "${DEPS:-}" ] && has apt-get && [ $may = yes ]; then
            echo "or: make $DEPS"
        fi
    } >&2
    exit 1
fi
if [ "$mode" = install ] && [ -n "$optional" ]; then
    echo "going on without: $optional"
    how "install it"
fi
exit 0
