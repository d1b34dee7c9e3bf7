"""What the service loses when it is killed, its disk is full or read-only, or a model's file is cut.
    faults.py PITH [KILLS]

A disk of its own needs root and unshare; without them those checks are skipped."""

import http.client
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time

from quota import add_key, requests_in, usage_of
from service import Checks, Service, ask, make_models, wait_until

check = Checks()
TEXT = {"model": "chat", "prompt": "Once upon a time", "max_tokens": 4, "temperature": 0}


# ---- Kills ---------------------------------------------------------------------------------------

def send_until_dead(service, header, kind, done):
    """Requests on one connection until it is cut; appends to `done` what was answered in full."""
    connection = service.connect(30)
    body = TEXT if kind == "infer" else {"model": "minilm", "input": "a stone in the rain"}
    path = "/v1/completions" if kind == "infer" else "/v1/embeddings"
    try:
        while True:
            status, _, answer = ask(connection, "POST", path, body, header)
            if status == 200:
                usage = json.loads(answer)["usage"]
                done.append((kind, usage["total_tokens"]))
    except (OSError, http.client.HTTPException, ValueError):
        connection.close()


def kills(pith, models, directory, n_kills):
    database = os.path.join(directory, "kills.db")
    key = add_key(pith, database, "anna", "--infer-per-hour", "0", "--embed-per-hour", "0")
    header = {"authorization": "Bearer " + key}
    done, damaged, clients = [], [], 6
    for kill in range(n_kills):
        with Service(pith, "--models", models, "--db", database, "-t", "1") as service:
            threads = [threading.Thread(target=send_until_dead, args=(
                service, header, ("infer", "embed")[i % 2], done)) for i in range(clients)]
            for thread in threads:
                thread.start()
            time.sleep(0.05 + 0.01 * (kill % 20))
            service.kill()
            for thread in threads:
                thread.join()
        with sqlite3.connect(database) as connection:
            whole = connection.execute("PRAGMA integrity_check").fetchone()[0]
        if whole != "ok":
            damaged.append((kill, whole))
    check(f"the database is whole after each of {n_kills} kills", not damaged, damaged[:3])
    with Service(pith, "--models", models, "--db", database) as service:
        usage = usage_of(service, key)
    counted = requests_in(usage)
    print(f"{n_kills} kills: {len(done)} requests answered in full, {counted} counted")
    check("every answered request is counted", 0 < len(done) <= counted <= len(done) +
          clients * n_kills, (len(done), counted))
    check("with its tokens", sum(row["prompt_tokens"] + row["generated_tokens"]
                                 for row in usage["usage"]) >= sum(n for _, n in done), usage)


# ---- Disks ---------------------------------------------------------------------------------------

class Disk:
    """A tmpfs of 2 MB that only the service sees, in a mount namespace of its own."""

    def __init__(self, directory):
        self.place = os.path.join(directory, "disk")
        os.makedirs(self.place, exist_ok=True)

    @staticmethod
    def possible():
        return os.geteuid() == 0 and shutil.which("unshare") and shutil.which("nsenter") and \
            subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0

    def service(self, pith, models, keys, then="true"):
        service = Service(pith, "--models", models, "--db", os.path.join(self.place, "usage.db"))
        script = ('place=$1; pith=$2; name=$3; shift 3; mount -t tmpfs -o size=2m pith "$place" && '
                  '"$pith" keys add "$place/usage.db" "$name" --infer-per-hour 0 >"$KEYFILE" && '
                  + then + ' && exec "$@"')
        service.environment["KEYFILE"] = keys
        service.command = ["unshare", "-m", "sh", "-c", script, "sh", self.place, pith, "anna",
                           *service.command]
        return service

    def run(self, service, script):
        return subprocess.run(["nsenter", "-t", str(service.process.pid), "-m", "sh", "-c", script],
                              capture_output=True, text=True, env=dict(
                                  os.environ, PLACE=self.place))


def disks(pith, models, directory):
    if not Disk.possible():
        print("skipped: a disk of its own (root, unshare, nsenter)")
        return
    disk, keys = Disk(directory), os.path.join(directory, "key")
    with disk.service(pith, models, keys) as service:
        with open(keys) as file:
            header = {"authorization": "Bearer " + file.read().strip()}
        ask_text = lambda: service.json("POST", "/v1/completions", TEXT, header)
        check("a service on a small disk", ask_text()[0] == 200)
        disk.run(service, 'dd if=/dev/zero of="$PLACE/rest" bs=4096; true')
        for _ in range(600):  # what fits into the log that is there already may still be written
            before = service.total("pith_generated_tokens_total", header)
            status, headers, answer = ask_text()
            if status != 200:
                break
        check("with a full disk a request is refused for now", status == 503 and
              answer["error"]["code"] == "ledger_error" and "retry-after" in headers, answer)
        check("and nothing is computed for it",
              service.total("pith_generated_tokens_total", header) == before)
        check("the log tells why", wait_until(lambda: any(
            "ledger" in line and "full" in line for line in service.log)), service.log[-3:])
        check("what needs no ledger goes on", service.json("GET", "/health")[0] == 200)
        status = service.json("POST", "/collections/c/documents", {"id": "a", "text": "b"},
                              header)[0]
        check("nor are documents taken", status == 503, status)
        disk.run(service, 'rm "$PLACE/rest"')
        check("afterwards all is well", wait_until(lambda: ask_text()[0] == 200))
        whole = disk.run(service, f"exec {sys.executable} -c 'import os, sqlite3; print(sqlite3."
                         "connect(os.environ[\"PLACE\"] + \"/usage.db\").execute(\"PRAGMA "
                         "integrity_check\").fetchone()[0])'")
        check("the database is whole", whole.stdout.strip() == "ok", (whole.stdout, whole.stderr))
    try:
        disk.service(pith, models, keys, 'mount -o remount,ro "$place"').start().kill()
        check("a service on a read-only disk does not start", False)
    except RuntimeError as problem:
        check("a service on a read-only disk says why it does not start",
              "usage.db: cannot open: Read-only file system" in str(problem), problem)


# ---- Models --------------------------------------------------------------------------------------

def cut_models(pith, models):
    """A model's file loses its second half: what is loaded goes on, what is to be loaded fails."""
    path = os.path.join(models, "cut.pith")
    shutil.copyfile(os.path.join(models, "chat.pith"), path)
    body = dict(TEXT, model="cut")
    with Service(pith, "--models", models) as service:
        first = service.json("POST", "/v1/completions", body)
        os.truncate(path, os.path.getsize(path) // 2)
        second = service.json("POST", "/v1/completions", body)
        check("a model in memory needs its file no more", first[0] == second[0] == 200 and
              first[2]["choices"] == second[2]["choices"], second)
        service.process.send_signal(signal.SIGHUP)
        check("read again, it is an error for its requests", wait_until(
            lambda: service.json("POST", "/v1/completions", body)[2].get("error", {}).get("code")
            == "model_load_failed"))
        check("the others are served", service.json("POST", "/v1/completions", TEXT)[0] == 200)
        shutil.copyfile(os.path.join(models, "chat.pith"), path)
        service.process.send_signal(signal.SIGHUP)
        check("repaired, it is served again", wait_until(
            lambda: service.json("POST", "/v1/completions", body)[0] == 200))
        check("and the service lived through it", service.process.poll() is None)
    os.unlink(path)


def main():
    pith = os.path.abspath(sys.argv[1])
    n_kills = int(sys.argv[2]) if len(sys.argv) > 2 else 100
    with tempfile.TemporaryDirectory() as directory:
        models = make_models(pith, directory)
        cut_models(pith, models)
        disks(pith, models, directory)
        kills(pith, models, directory, n_kills)
    check.finish()


if __name__ == "__main__":
    main()
