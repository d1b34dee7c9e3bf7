# What the machine must have (packaging/needs.sh, make), on machines made of stubs: a PATH that holds
# only what is put there.

REAL=$PATH
BIN=$T/bin
# machine TOOL... : the PATH of a machine with these; each appends how it was called to "$T/calls".
# id says who the user is; pkg-config knows what "$T/modules" lists.
machine() {
    rm -rf "$BIN"
    mkdir "$BIN"
    : >"$T/calls"
    local tool
    for tool in id "$@"; do
        printf '#!/bin/sh\necho "%s $*" >>"%s/calls"\n' "$tool" "$T" >"$BIN/$tool"
        case $tool in
        id) echo "echo $USER_ID" ;;
        sudo) echo 'exec "$@"' ;;
        gcc) echo 'for a; do case $a in -print-file-name=*) echo "/there/${a#*=}" ;; esac; done' ;;
        pkg-config) echo "while read -r m; do [ \"\$m\" != \"\$2\" ] || exit 0; done <'$T/modules'; exit 1" ;;
        apt-get) echo "[ \$1 != install ] || echo jansson >>'$T/modules'" ;;
        esac >>"$BIN/$tool"
        chmod +x "$BIN/$tool"
    done
}
needs() { PATH=$BIN /bin/sh packaging/needs.sh "$@"; }
called() { if grep -Eq -- "$1" "$T/calls"; then ok; else bad "not called: $1"; fi; }
not_called() { if grep -Eq -- "$1" "$T/calls"; then bad "called: $1"; else ok; fi; }
modules() { printf '%s\n' "$@" >"$T/modules"; }
NEEDS="cc libc-headers pkg-config jansson libedit openblas?"

# All is there: nothing is said, whatever package manager there is or is not.
USER_ID=1000
modules jansson libedit
for manager in '' apt-get dnf pacman apk brew; do
    # shellcheck disable=SC2086
    machine gcc pkg-config $manager
    for mode in check install; do
        # shellcheck disable=SC2086
        expect 0 needs $mode $NEEDS
        silent
        no_output
        not_called "^(apt-get|dnf|pacman|apk|brew)"
    done
done

# Two libraries are missing: one message, with the line of the package manager that is there.
modules libedit
for manager in 'apt-get:apt-get update && apt-get install libjansson-dev libsodium-dev' \
    'dnf:dnf install jansson-devel libsodium-devel' 'apk:apk add jansson-dev libsodium-dev' \
    'pacman:pacman -S --needed jansson libsodium'; do
    machine gcc pkg-config "${manager%%:*}"
    expect 1 needs install cc jansson libedit libsodium
    is "${manager%%:*}: the message" "$(cat "$T/err")" = "missing: jansson, libsodium
install as root with:
    ${manager#*:}"
    no_output
    not_called "^${manager%%:*}"
done
machine gcc pkg-config brew
expect 1 needs check jansson libsodium
is "brew: the message" "$(cat "$T/err")" = "missing: jansson, libsodium
install with:
    brew install jansson libsodium"
machine gcc pkg-config
expect 1 needs check jansson criterion
for line in 'apt-get install libjansson-dev libcriterion-dev' 'dnf install jansson-devel' \
    'pacman -S --needed jansson' 'brew install jansson' \
    'apk add jansson-dev +# no package known for: criterion'; do
    says "^    .*$line"
done
machine dnf sudo
expect 1 needs check cc pkg-config jansson
is "sudo stands in the line" "$(cat "$T/err")" = "missing: gcc, pkg-config, jansson
install with:
    sudo dnf install gcc pkgconf-pkg-config jansson-devel"
machine pkg-config
expect 1 env CC='clang -m64' PATH="$BIN" /bin/sh packaging/needs.sh check cc
says '^missing: clang$'
says 'dnf install clang$'
expect 2 needs check no-such-need
says "no row for 'no-such-need'"

# apt-get is run by root and with sudo, after saying so; for others the line is what there is.
for who in 0: 0:sudo 1000:sudo; do
    USER_ID=${who%:*}
    modules libedit
    # shellcheck disable=SC2086
    machine gcc pkg-config apt-get ${who#*:}
    # shellcheck disable=SC2086
    expect 0 needs install $NEEDS
    is "who installs says so" "$(cat "$T/out")" = "Installing missing Debian packages: libjansson-dev"
    silent
    called '^apt-get update'
    called '^apt-get install -y .*libjansson-dev$'
    if [ "$who" = 1000:sudo ]; then called '^sudo apt-get install'; else not_called '^sudo'; fi
done
USER_ID=0
modules libedit
machine gcc pkg-config apt-get
expect 1 env DEPS=deps-test PATH="$BIN" /bin/sh packaging/needs.sh check jansson
says '^or: make deps-test$'
not_called '^apt-get'
printf '#!/bin/sh\nexit 100\n' >"$BIN/apt-get"
expect 1 needs install jansson
says 'apt-get did not succeed'
says '^    apt-get update && apt-get install libjansson-dev$'
printf '#!/bin/sh\n' >"$BIN/apt-get"
expect 1 needs install jansson
says '^missing: jansson'

# What it goes on without.
USER_ID=1000
machine dnf
expect 0 needs install 'openblas?' 'groff?'
prints '^going on without: openblas, groff$'
prints '^    dnf install openblas groff-base$'
expect 0 needs check 'openblas?'
silent

# Every need of the Makefile has a row.
for list in lib build unit test bench coverage ci arm64; do
    # shellcheck disable=SC2046
    expect 1 needs check $(make -pqn 2>/dev/null | sed -n "s/^NEEDS_$list := //p")
    says '^missing: gcc'
done

# make looks before it compiles, and only for what its target needs.
USER_ID=1000
modules jansson libutf8proc libpcre2-8 libedit libmicrohttpd sqlite3
machine dnf pkg-config
make_here() { env -u MAKEFLAGS -u MAKELEVEL PATH="$BIN:$REAL" make BUILD="$T/here" "$@"; }
expect 2 make_here
says '^missing: libsodium$'
says 'libsodium-d'
is "nothing was compiled" "$(grep -c CC "$T/out")" = 0
# The stub of a compiler writes nothing: it gets as far as the archive.
machine dnf pkg-config gcc
expect 2 make_here lib CC="$BIN/gcc"
prints '^  CC'
modules libutf8proc
rm -rf "$T/here"
expect 2 make_here lib
says '^missing: libpcre2-8$'
is "nothing was compiled" "$(grep -c CC "$T/out")" = 0
