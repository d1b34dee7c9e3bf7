# make install and uninstall, and what a program needs to link the installed library: the lines that
# make install prints, pkg-config, CMake.

make_build() { env -u MAKEFLAGS -u MAKELEVEL -u PKG_CONFIG_PATH make BUILD="${PITH%/*}" "$@"; }
INST=$T/inst
cat >"$T/program.c" <<'END'
#include <pith.h>
#include <stdio.h>
int main(int argc, char **argv) {
    pith_model *model;
    pith_error error = {.message = "usage"};
    if (argc != 2 || pith_model_open(&model, argv[1], NULL, &error) != PITH_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    pith_model_free(model);
    return puts(pith_version()) < 0;
}
END
VERSION=$("$PITH" --version | cut -d' ' -f2)

expect 0 make_build install PREFIX="$INST"
cp "$T/out" "$T/installed"
mkdir -p "$T/linked"
cp "$T/program.c" "$T/linked"
for what_is_set in 'export PKG_CONFIG_PATH=' 'export PATH=' '-DCMAKE_PREFIX_PATH='; do
    is "make install says $what_is_set" "$(grep -c -e " $what_is_set.*$INST" "$T/installed")" = 1
done
# The lines as they are printed: one links with the path inside, one sets it.
SET=$(sed -n 's/^ *\(export PKG_CONFIG_PATH=\)/\1/p' "$T/installed")
LINK=$(sed -n 's/^ *\(cc program.c \)/\1/p' "$T/installed")
LOAD=$(sed -n 's/^ *\(export LD_LIBRARY_PATH=\)/\1/p' "$T/installed")
expect 0 bash -c "cd '$T/linked' && $SET && $LINK && ./a.out '$TALE'"
is "it runs" "$(cat "$T/out")" = "$VERSION"
expect 0 bash -c "cd '$T/linked' && $SET && ${LINK% -Wl*} && $LOAD && ./a.out '$TALE'"
is "it runs with the path set" "$(cat "$T/out")" = "$VERSION"
expect 0 "$INST/bin/pith" --version
is "pith.pc has the version" "$(PKG_CONFIG_PATH=$INST/lib/pkgconfig pkg-config --modversion pith)" = "$VERSION"

if command -v cmake >/dev/null; then
    mkdir "$T/project"
    cp "$T/program.c" "$T/project"
    cat >"$T/project/CMakeLists.txt" <<'END'
cmake_minimum_required(VERSION 3.10)
project(program C)
set(pith_USE_STATIC_LIBS ${STATIC})
find_package(pith ${WANTED} REQUIRED)
add_executable(program program.c)
target_link_libraries(program pith::pith)
END
    for static in OFF ON; do
        expect 0 cmake -S "$T/project" -B "$T/project/$static" -DCMAKE_PREFIX_PATH="$INST" \
            -DWANTED="${VERSION%.*}" -DSTATIC=$static
        expect 0 cmake --build "$T/project/$static"
        expect 0 "$T/project/$static/program" "$TALE"
        is "CMake's program runs, static $static" "$(cat "$T/out")" = "$VERSION"
        is "static $static: libpith.so is asked for" \
            "$(readelf -d "$T/project/$static/program" | grep -c 'NEEDED.*libpith')" = \
            "$([ $static = ON ] && echo 0 || echo 1)"
    done
    expect 1 cmake -S "$T/project" -B "$T/project/later" -DCMAKE_PREFIX_PATH="$INST" -DWANTED=99.0
    says "pithConfig.cmake, version: $VERSION"
else
    skip "find_package: no CMake"
fi

# Files that are not pith's stay.
echo other >"$INST/lib/other"
expect 0 make_build uninstall PREFIX="$INST"
is "uninstall leaves what is not pith's" "$(find "$INST" ! -type d)" = "$INST/lib/other"
is "nothing of CMake's directory is left" ! -e "$INST/lib/cmake/pith"
expect 0 make_build install DESTDIR="$T/stage" PREFIX=/usr
is "a staged installation says nothing about paths" "$(grep -c export "$T/out")" = 0
is "a staged installation is under DESTDIR" -x "$T/stage/usr/bin/pith"
is "pith.pc names the final place" "$(head -1 "$T/stage/usr/lib/pkgconfig/pith.pc")" = prefix=/usr
expect 0 make_build uninstall DESTDIR="$T/stage" PREFIX=/usr
is "nothing is left" -z "$(find "$T/stage" ! -type d)"
