#!/usr/bin/python3
"""What tests/cli/test_gguf.sh cannot do in shell. Exit code 0: all is well.

    check_gguf.py expand OUT            the GGUF files of golden/gguf into OUT, and checkpoints that say what they say
    check_gguf.py same A.pith B.pith    the same weights, byte for byte, and the same hyper-parameters
    check_gguf.py tokens PITH M.pith N  the ids of `pith tokenize` are those of llama.cpp for file N
    check_gguf.py logits PITH M.pith    the logits are those of golden/gguf/k256-Q4_K_M.npz
"""
import json
import lzma
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
# Hyper-parameters that a GGUF file does not hold.
NOT_IN_GGUF = {"max_seq_length"}
# Files whose tokenizer puts no beginning-of-text token before a text.
WITHOUT_BOS = {"minilm", "llama3-v5", "qwen3", "smollm3"}


def expand(out):
    sys.path.insert(0, str(GOLDEN / "gguf"))
    import pack

    for delta in sorted((GOLDEN / "gguf").glob("*.delta")):
        checkpoint = GOLDEN / delta.stem.removesuffix("-json")
        old = b"".join(f.read_bytes() for f in sorted(checkpoint.glob("*.safetensors")))
        (out / f"{delta.stem}.gguf").write_bytes(pack.unpack(delta.read_bytes(), old))
    for name in ("containers", "broken"):
        with lzma.open(GOLDEN / f"gguf/{name}.tar.xz") as data, tarfile.open(fileobj=data) as tar:
            tar.extractall(out / name)
    # SmolLM3's layers without RoPE are not in a GGUF file: it is every fourth one, the default.
    says = shutil.copytree(GOLDEN / "smollm3", out / "smollm3")
    config = json.loads((says / "config.json").read_text())
    del config["no_rope_layers"], config["no_rope_layer_interval"]
    (says / "config.json").write_text(json.dumps(config))


def read(path):
    data = Path(path).read_bytes()
    n = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + n])
    about = json.loads(header.pop("__metadata__")["pith"])
    begin = 8 + n
    weights = {}
    for name, t in header.items():
        if not name.startswith("tokenizer."):
            first, last = t["data_offsets"]
            weights[name] = (t["dtype"], t["shape"], data[begin + first : begin + last])
    config = {k: v for k, v in about["config"].items() if k not in NOT_IN_GGUF}
    return weights, config


def same(a, b):
    (wa, ca), (wb, cb) = read(a), read(b)
    for name in sorted(wa.keys() | wb.keys()):
        if wa.get(name) != wb.get(name):
            sys.exit(f"tensor {name} differs")
    if ca != cb:
        sys.exit(f"the configurations differ: {ca} {cb}")
    print(len(wa), "tensors")


def tokens(pith, model, name):
    golden = json.loads((GOLDEN / "gguf/tokens.json").read_text())
    expected = golden["files"][name]
    texts = "".join(json.dumps({"text": t}) + "\n" for t in golden["texts"])
    bos = [] if name in WITHOUT_BOS else ["--bos"]
    run = subprocess.run([pith, "tokenize", model, "--json", *bos], input=texts, text=True,
                         stdout=subprocess.PIPE, check=True)
    found = [json.loads(line)["ids"] for line in run.stdout.splitlines()]
    for text, f, e in zip(golden["texts"], found, expected, strict=True):
        if f != e:
            sys.exit(f"{text!r} is {f}, not {e}")


def logits(pith, model):
    import numpy as np

    golden = np.load(GOLDEN / "gguf/k256-Q4_K_M.npz")
    out = Path(model).with_suffix(".npy")
    for i in range(3):
        ids = ",".join(map(str, golden[f"ids_{i}"]))
        subprocess.run([pith, "logits", model, "--tokens", ids, "--out", out], check=True)
        found = np.load(out)[golden[f"positions_{i}"]]
        worst = float(np.abs(found - golden[f"logits_{i}"]).max())
        if not worst <= 2e-4:
            sys.exit(f"prompt {i}: logits differ by {worst}")
        out.unlink()


def ids(pith, model, path):
    """Every line of `path` has a text and its ids."""
    lines = [json.loads(line) for line in Path(path).read_text().splitlines()]
    texts = "".join(json.dumps({"text": line["text"]}) + "\n" for line in lines)
    run = subprocess.run([pith, "tokenize", model, "--json", "--special"], input=texts, text=True,
                         stdout=subprocess.PIPE, check=True)
    for line, found in zip(lines, run.stdout.splitlines(), strict=True):
        if json.loads(found)["ids"] != line["ids"]:
            sys.exit(f"{line['text']!r} is {json.loads(found)['ids']}, not {line['ids']}")
    print(len(lines), "texts")


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    if command == "expand":
        expand(Path(arguments[0]))
    else:
        {"same": same, "tokens": tokens, "ids": ids, "logits": logits}[command](*arguments)
