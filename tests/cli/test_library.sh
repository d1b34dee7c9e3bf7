# The library as a program sees it: the README's C program as it stands there, and the header in the
# languages that may include it.

LIBRARY=${PITH%/*}
mkdir -p "$T/elsewhere"
awk '/^```c$/ { inside = 1; next } /^```$/ { inside = 0 } inside' README.md >"$T/elsewhere/program.c"
is "README has one C program" "$(grep -c 'int main' "$T/elsewhere/program.c")" = 1
LINK="-I$ROOT/include -L$LIBRARY -lpith -Wl,-rpath,$LIBRARY"
# shellcheck disable=SC2086
expect 0 cc -std=c11 -Wall -Wextra -Wpedantic -Werror "$T/elsewhere/program.c" -o "$T/program" $LINK
silent
expect 0 "$T/program"
silent
prints '[a-z]+ [a-z]+ [a-z]+'
# In another directory the model's path leads nowhere: one line, no use of what was not made.
expect 1 env -C "$T/elsewhere" "$T/program"
is "the error, and nothing else" "$(cat "$T/err")" = \
    "weights/models/story-int4.pith: cannot open: No such file or directory"
no_output
if command -v valgrind >/dev/null; then
    expect 1 env -C "$T/elsewhere" valgrind -q --error-exitcode=99 --leak-check=full "$T/program"
else
    skip "the README's program under valgrind: not installed"
fi

echo '#include <pith.h>' >"$T/header.c"
cp "$T/header.c" "$T/header.cpp"
CHECK='-pedantic -Wall -Wextra -Werror -Iinclude -fsyntax-only'
for standard in c99 c11 c17; do
    # shellcheck disable=SC2086
    expect 0 cc -std=$standard $CHECK "$T/header.c"
    silent
done
if command -v g++ >/dev/null; then
    for standard in c++98 c++11 c++20; do
        # shellcheck disable=SC2086
        expect 0 g++ -std=$standard $CHECK "$T/header.cpp"
        silent
    done
else
    skip "pith.h in C++: no g++"
fi
