# JSON of a given form: run --json, run --json-schema, and random schemas.

SHIPPED=$ROOT/weights/models/story-int4.pith
echo '{"type": "array", "items": {"type": "integer", "minimum": 3, "maximum": 5}, "minItems": 2, "maxItems": 2}' >"$T/schema.json"
expect 0 "$PITH" run "$SHIPPED" 'One, two, ' --json-schema "$T/schema.json" --stats
prints '^\[[345], ?[345]\]$'
says 'ended by end of the JSON'
expect 0 "$PITH" run "$SHIPPED" 'One, two, ' --json-schema - --ignore-eos --speculate 4 <"$T/schema.json"
prints '^\[[345], ?[345]\]$'
silent
expect 0 "$PITH" run "$SHIPPED" 'The king said ' --json -n 20
prints '^\{'
fails 2 'json and --json-schema exclude each other' "$PITH" run "$SHIPPED" x --json --json-schema "$T/schema.json"
fails 1 'no-such-file' "$PITH" run "$SHIPPED" x --json-schema "$T/no-such-file"
echo '{"properties": {"a": {"pattern": "b"}}}' >"$T/schema.json"
fails 1 'schema.json: #/properties/a: "pattern" is not supported' "$PITH" run "$SHIPPED" x --json-schema "$T/schema.json"
echo '{"type": }' >"$T/schema.json"
fails 1 'schema.json: .*bad JSON at line 1, column 10' "$PITH" run "$SHIPPED" x --json-schema "$T/schema.json"

PYTHON=${PYTHON:-/usr/bin/python3}
library=$(dirname "$PITH")/libpith.so
if ! "$PYTHON" -c 'import numpy' 2>/dev/null; then
    skip "random schemas: $PYTHON has no numpy (Debian: python3-numpy)"
elif [ ! -e "$library" ]; then
    skip "random schemas: no libpith.so beside $PITH"
else
    expect 0 "$PYTHON" -B tests/grammar/random_schemas.py "$library" "$SHIPPED" 40 7
    prints '^41 passed, 0 failed$'
fi
fails 2 'cannot both be standard input' "$PITH" run "$TALE" --json-schema -
