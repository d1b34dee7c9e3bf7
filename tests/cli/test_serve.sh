# pith serve: options, what it refuses to start with, and README's example. Endpoints and operation are
# checked by tests/server/operation.py, which runs here too.

fails 2 'belong together' "$PITH" serve --tls-cert cert.pem
for size in 8Q 0 G -1 8GBs 99999999999999999999 9999999999T; do
    fails 2 "$size' is no size" "$PITH" serve --memory-limit=$size
done
fails 2 '65535' "$PITH" serve --port 65536
fails 2 'error, warning, info, debug' "$PITH" serve --log-level loud
fails 2 '0\.0\.0\.0 .*pith keys add.*--open' "$PITH" serve --host 0.0.0.0 --port 0
fails 1 'cannot listen on .*nobody\.invalid' "$PITH" serve --host nobody.invalid
fails 1 "$T/nothing" "$PITH" serve --models "$T/nothing" --port 0
for origin in example.org https://example.org/ https:// '://x' 'https://a b'; do
    fails 2 "'$origin' is no origin" "$PITH" serve --cors "$origin" --port 0
done
fails 2 'nobody' "$PITH" serve --alias name=nobody --port 0
fails 2 "alias 'name' is not NAME=MODEL" "$PITH" serve --alias name --port 0
fails 1 "$T/cert.pem" "$PITH" serve --tls-cert "$T/cert.pem" --tls-key "$T/cert.pem" --port 0
cp README.md "$T/text.db"
fails 1 'not a SQLite database' "$PITH" serve --db "$T/text.db" --port 0
expect 0 cmp README.md "$T/text.db"

# What README shows is what is answered, but for the id and the time.
cat >"$T/readme.py" <<'END'
import http.client, json, re, subprocess, sys
with open("README.md") as file:
    request, shown = re.search(
        r"^\$ curl http://127.0.0.1:8080(/\S+ -d '.*')\n(.*)$", file.read(), re.M).groups()
path, body = re.fullmatch(r"(\S+) -d '(.*)'", request).groups()
service = subprocess.Popen([sys.argv[1], "serve", "--port", "0"], stderr=subprocess.PIPE, text=True)
address = re.fullmatch(r"listening on http://(.*)\n", service.stderr.readline())[1]
connection = http.client.HTTPConnection(address)
connection.request("POST", path, body)
answer = json.loads(connection.getresponse().read())
service.terminate()
same = {key: value for key, value in json.loads(shown).items() if key not in ("id", "created")}
for key in same:
    if answer[key] != same[key]:
        sys.exit(f"{key}: {answer[key]}, not {same[key]}")
sys.exit(service.wait())
END
expect 0 python3 "$T/readme.py" "$PITH"

expect 0 python3 tests/server/operation.py "$PITH"
prints '^[0-9]{3} passed, 0 failed$'

# The unit is one that systemd accepts.
if command -v systemd-analyze >/dev/null; then
    sed "s|@PREFIX@/bin/pith|$PITH|" server/pith.service >"$T/pith.service"
    cp server/pith.socket "$T/"
    expect 0 systemd-analyze verify --man=no "$T/pith.service" "$T/pith.socket"
    silent
else
    skip "the unit (no systemd-analyze)"
fi
