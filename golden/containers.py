"""Files: the safetensors container and Hugging Face model directories, read and written with numpy.

The container is an 8-byte little-endian header length, that many bytes of JSON, and the data; the
JSON maps names to {"dtype", "shape", "data_offsets"}. Nothing here is shared with the C code.
"""

import json
import os
import struct

import numpy as np

DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4",
          "U32": "<u4", "I16": "<i2", "U16": "<u2", "I8": "i1", "U8": "u1", "BOOL": "?"}


def bf16_to_f32(bits):
    return (bits.astype(np.uint32) << 16).view(np.float32)


def f32_to_bf16(x):
    """Rounds to nearest even; finite values only."""
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def read_safetensors(path):
    """Returns (metadata, tensors): a dict of strings and a dict of name -> (dtype name, array).
    BF16 arrays are the raw uint16 bits."""
    with open(path, "rb") as file:
        data = file.read()
    (n,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + n])
    metadata = header.pop("__metadata__", {})
    tensors = {}
    for name, entry in header.items():
        begin, end = entry["data_offsets"]
        flat = np.frombuffer(data[8 + n + begin : 8 + n + end], DTYPES[entry["dtype"]])
        tensors[name] = (entry["dtype"], flat.reshape(entry["shape"]))
    return metadata, tensors


def to_f32(dtype, array):
    return bf16_to_f32(array) if dtype == "BF16" else array.astype(np.float32)


def write_safetensors(path, tensors):
    """Writes name -> (dtype name, array) in name order; the same bytes for the same tensors."""
    header = {"__metadata__": {"format": "pt"}}
    blobs = []
    offset = 0
    for name in sorted(tensors):
        dtype, array = tensors[name]
        blob = np.ascontiguousarray(array, DTYPES[dtype]).tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape),
                        "data_offsets": [offset, offset + len(blob)]}
        offset += len(blob)
        blobs.append(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def read_config(directory):
    with open(os.path.join(directory, "config.json")) as file:
        return json.load(file)


def read_checkpoint(directory):
    """All tensors of a Hugging Face directory, sharded or not, as float32 by name."""
    index = os.path.join(directory, "model.safetensors.index.json")
    names = ["model.safetensors"]
    if os.path.exists(index):
        with open(index) as file:
            names = sorted(set(json.load(file)["weight_map"].values()))
    tensors = {}
    for name in names:
        _, shard = read_safetensors(os.path.join(directory, name))
        for key, (dtype, array) in shard.items():
            tensors[key] = to_f32(dtype, array)
    return tensors
