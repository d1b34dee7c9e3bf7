# examples/pith.py, where a Python with NumPy and the shared library are there.

PYTHON=${PYTHON:-/usr/bin/python3}
if ! "$PYTHON" -c 'import numpy' 2>/dev/null; then
    skip "pith.py: $PYTHON has no numpy (Debian: python3-numpy)"
elif [ ! -e "$(dirname "$PITH")/libpith.so" ]; then
    skip "pith.py: no libpith.so beside $PITH"
else
    mkdir "$T/python"
    for part in header calls; do
        what="check_python_$part.py"
        "$PYTHON" -B "tests/cli/$what" "$PITH" "$T/python" "$TALE" "$CHAT" >"$T/out" 2>"$T/err"
        code=$?
        cp "$T/out" "$T/results"
        while read -r verdict name; do
            case $verdict in
            ok) ok ;;
            skipped) skip "pith.py: $name" ;;
            *) bad "$name" ;;
            esac
        done <"$T/results"
        is "$what ends well" $code = 0
        is "$what runs its tests" -n "$(grep '^ok' "$T/results")"
        is "$what and pith.py write no messages" ! -s "$T/err"
    done
fi
