"""Real clients against the service: npm openai, @ai-sdk/openai-compatible and ollama, and Spin's
bytes.
    run.py PITH DIRECTORY

The packages are installed in DIRECTORY, as package-lock.json has them. Where there is no Node.js its
clients are skipped."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "server"))
sys.path.insert(0, HERE)
import scripted  # noqa: E402
from service import Service, make_models  # noqa: E402


def install(directory):
    os.makedirs(directory, exist_ok=True)
    for name in os.listdir(HERE):
        if name.endswith((".mjs", ".json")):
            shutil.copy(os.path.join(HERE, name), directory)
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
                   cwd=directory, check=True)


def run(name, command, counts):
    print(f"---- {name}", flush=True)
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    print(done.stdout + done.stderr, end="", flush=True)
    found = re.search(r"^(\d+) passed, (\d+) failed", done.stdout, re.M)
    counts[0] += int(found[1]) if found else 0
    counts[1] += int(found[2]) if found else 1
    if done.returncode != 0 and found and found[2] == "0":
        counts[1] += 1


def main():
    pith, directory = sys.argv[1:3]
    counts = [0, 0]
    run("Spin", [sys.executable, os.path.join(HERE, "../server/spin.py"), pith], counts)
    if shutil.which("node") is None or shutil.which("npm") is None:
        print("skipped: node")
    else:
        install(directory)
        with tempfile.TemporaryDirectory() as scratch:
            models = make_models(pith, scratch)
            for name in scripted.make(os.path.join(scratch, "scripted")):
                subprocess.run([pith, "convert", os.path.join(scratch, "scripted", name),
                                os.path.join(models, name + ".pith"), "--type", "f32"], check=True,
                               capture_output=True)
            database = os.path.join(scratch, "usage.db")
            key = subprocess.run([pith, "keys", "add", database, "clients", "--infer-per-hour", "0",
                                  "--embed-per-hour", "0", "--max-tokens", "0"],
                                 capture_output=True, text=True, check=True).stdout.strip()
            with Service(pith, "--models", models, "--db", database, "--alias",
                         "llama2-chat=chat") as service:
                url = f"http://{service.address[0]}:{service.address[1]}"
                for script in ("openai.mjs", "tools.mjs", "ai_sdk.mjs", "ollama.mjs"):
                    run(script, ["node", os.path.join(directory, script), url, key], counts)
    print(f"{counts[0]} passed, {counts[1]} failed")
    sys.exit(counts[1] != 0)


main()
