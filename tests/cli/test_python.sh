# examples/pith.py, where a Python with NumPy and the shared library are there.

PYTHON=${PYTHON:-/usr/bin/python3}
if ! "$PYTHON" -c 'import numpy' 2>/dev/null; then
    skip "pith.py: $PYTHON has no numpy (Debian: python3-numpy)"
elif [ ! -e "$(dirname "$PITH")/libpith.so" ]; then
    skip "pith.py: no libpith.so beside $PITH"
else
    mkdir "$T/python"
    what="check_python.py"
    "$PYTHON" -B tests/cli/check_python.py "$PITH" "$T/python" "$TALE" "$CHAT" >"$T/out" 2>"$T/err"
    code=$?
    cp "$T/out" "$T/results"
    while read -r verdict name; do
        case $verdict in
        ok) ok ;;
        skipped) skip "pith.py: $name" ;;
        *) bad "$name" ;;
        esac
    done <"$T/results"
    is "check_python.py ends well" $code = 0
    is "check_python.py ran its tests" "$(wc -l <"$T/results")" -ge 25
    is "check_python.py and pith.py write no messages" ! -s "$T/err"
fi
