# pith-mpi serve: rank 0 answers, what it answers is what one process does, SIGTERM ends all ranks.
# Two decoders at once, and an encoder, which is rank 0's alone; then models that make room for each
# other.
. tests/mpi/ranks.sh

mkdir -p "$T/served"
cp "$TALE" "$T/served/tale.pith"
"$PITH" convert "$SOURCE" "$T/served/small.pith" --type int4
"$PITH" convert golden/minilm "$T/served/encoder.pith" --type int8
serve_and_ask() { # FILE COMMAND... : the answers of a service go to FILE; its exit code is returned
    python3 - "$@" <<'END'
import json, os, re, signal, subprocess, sys, threading, urllib.request

out, command = sys.argv[1], sys.argv[2:]
service = subprocess.Popen(command + ["serve", "--models", os.environ["SERVED"], "--port", "0"] +
                           os.environ["OPTIONS"].split(), stderr=subprocess.PIPE, text=True)
for line in service.stderr:
    found = re.match(r"listening on (\S+)", line)
    if found:
        break
threading.Thread(target=service.stderr.read, daemon=True).start()

def ask(number):
    path = "completions"
    body = {"model": "tale" if number % 2 else "small", "prompt": f"Once upon a time {number}",
            "max_tokens": 24, "seed": number}
    if number % 3 == 2:
        path, body = "embeddings", {"model": "encoder", "input": f"number {number}"}
    request = urllib.request.Request(found[1] + "/v1/" + path, json.dumps(body).encode())
    answer = json.load(urllib.request.urlopen(request, timeout=60))
    answers[number] = answer["choices"][0]["text"] if "choices" in answer else answer["data"]

answers = {}
threads = [threading.Thread(target=ask, args=(i,)) for i in range(6)]
for t in threads:
    t.start()
    if os.environ["OPTIONS"]:
        t.join()
for t in threads:
    t.join()
json.dump(answers, open(out, "w"), sort_keys=True)

# The launcher would end a rank a second after SIGTERM; rank 0 ends in its own time.
pid = service.pid
if len(command) > 1:
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            comm = open(f"/proc/{entry}/comm").read().strip()
            environ = open(f"/proc/{entry}/environ").read().split("\0")
        except OSError:
            continue
        if comm == "pith-mpi" and "OMPI_COMM_WORLD_RANK=0" in environ and \
                "PITH_TEST_RUN=" + os.environ["PITH_TEST_RUN"] in environ:
            pid = int(entry)
os.kill(pid, signal.SIGTERM)
sys.exit(service.wait(timeout=60))
END
}
export SERVED=$T/served OPTIONS
for OPTIONS in '' '--memory-limit 7M'; do
    expect 0 serve_and_ask "$T/alone.json" "$PITH"
    expect 0 serve_and_ask "$T/together.json" \
        mpirun -q --oversubscribe --bind-to none -x PITH_TEST_RUN -n 2 "$PITH_MPI"
    is "six answers" "$(grep -o '"[0-9]":' "$T/alone.json" | wc -l)" = 6
    expect 0 cmp "$T/alone.json" "$T/together.json"
done
