"""The declarations in examples/pith.py against include/pith.h: names and order of struct fields and
enumerators, sizes, offsets and kinds by a C compiler (CC, else cc), parameters of functions."""

import ast
import ctypes
import os
import re
import shutil
import subprocess
import sys

from python_support import LIBRARY, ROOT, Skip, main, path, pith, same


def header():
    with open(os.path.join(ROOT, "include/pith.h")) as file:
        return re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)


def header_fields(name):
    body, = re.findall(r"typedef struct %s \{(.*?)\} %s;" % (name, name), header(), re.DOTALL)
    body = re.sub(r"\(\*(\w+)\)\(.*?\)", r"\1", body, flags=re.DOTALL)
    return [re.search(r"(\w+)(\[\d+\])?\s*$", declarator).group(1)
            for line in body.split(";") for declarator in line.split(",") if declarator.strip()]


def kind_of(ctype):
    if ctype is ctypes.c_bool:
        return "bool"
    if ctype in (ctypes.c_float, ctypes.c_double):
        return "real"
    if ctype in (ctypes.c_void_p, ctypes.c_char_p) or not issubclass(ctype, ctypes._SimpleCData):
        return "other"
    return "integer"


def test_structs_are_those_of_the_header():
    compiler = shutil.which(os.environ.get("CC", "cc"))
    if compiler is None:
        raise Skip("no C compiler")
    lines, expected = [], []
    for name, struct in pith.STRUCTS.items():
        same(header_fields(name), [field for field, _ in struct._fields_], f"fields of {name}:")
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        expected.append(f"{name} {ctypes.sizeof(struct)}")
        for field, ctype in struct._fields_:
            it = f"(({name} *)0)->{field}"
            lines.append(f'printf("{name}.{field} %zu %zu %s\\n", offsetof({name}, {field}), '
                         f"sizeof({it}), KIND({it}));")
            expected.append(f"{name}.{field} {getattr(struct, field).offset} "
                            f"{ctypes.sizeof(ctype)} {kind_of(ctype)}")
    with open(path("layout.c"), "w") as file:
        file.write('#include <pith.h>\n#include <stdio.h>\n'
                   '#define KIND(x) _Generic((x), bool: "bool", float: "real", double: "real", '
                   'int: "integer", unsigned: "integer", long: "integer", '
                   'unsigned long: "integer", unsigned long long: "integer", default: "other")\n'
                   'int main(void) {\n' + "\n".join(lines) + "\nreturn 0;\n}\n")
    subprocess.run([compiler, "-std=c11", "-I", os.path.join(ROOT, "include"), path("layout.c"),
                    "-o", path("layout")], check=True)
    printed = subprocess.run([path("layout")], check=True, stdout=subprocess.PIPE).stdout.decode()
    for actual, wanted in zip(printed.splitlines(), expected):
        same(wanted, actual)
    same(len(printed.splitlines()), len(expected))


def test_enumerations_are_those_of_the_header():
    found = {}
    for body in re.findall(r"enum \w*\s*\{(.*?)\}", header(), re.DOTALL):
        value = 0
        for item in filter(None, (item.strip() for item in body.split(","))):
            name, *given = item.split("=")
            value = int(given[0]) if given else value
            found[name.strip()] = value
            value += 1
    tables = {"PITH_BLAS_": pith.BLAS, "PITH_KV_": pith.KV_TYPES, "PITH_FINISH_": pith.FINISHES,
              "PITH_LOG_": pith.LOG_LEVELS, "PITH_ERROR_": pith.STATUSES}
    for prefix, names in tables.items():
        expected = {prefix + name.upper(): i for i, name in enumerate(names)}
        if prefix == "PITH_ERROR_":
            expected["PITH_OK"] = expected.pop("PITH_ERROR_OK")
        same(expected, {name: value for name, value in found.items()
                        if name.startswith(prefix) or name == "PITH_OK" and name in expected})
    same((pith.TOKENIZE_BOS, pith.TOKENIZE_SPECIAL),
         (found["PITH_TOKENIZE_BOS"], found["PITH_TOKENIZE_SPECIAL"]))


def parameter_kind(text):
    words = text.split()
    if "*" in text or words[0].endswith("_fn") or words[0] == "pith_text":
        return "other"
    name = words[0] if words[0] != "const" else words[1]
    kinds = {"bool": ("bool", 1), "size_t": ("integer", ctypes.sizeof(ctypes.c_size_t)),
             "int32_t": ("integer", 4), "unsigned": ("integer", 4), "float": ("real", 4),
             "double": ("real", 8), "pith_status": ("integer", 4),
             "pith_log_level": ("integer", 4), "pith_kv_type": ("integer", 4), "void": None}
    return kinds[name]


def ctype_kind(ctype):
    if ctype is None or kind_of(ctype) == "other":
        return None if ctype is None else "other"
    return kind_of(ctype), ctypes.sizeof(ctype)


def test_functions_are_those_of_the_header():
    text = header()
    declared = {name: (result, parameters) for result, name, parameters
                in re.findall(r"PITH_API ([^;()]*?)(pith_\w+)\((.*?)\);", text, re.DOTALL)}
    for name, (result, *parameters) in pith.FUNCTIONS.items():
        assert name in declared, f"pith.h does not declare {name}"
        wanted = [part for part in declared[name][1].split(",") if part.strip() != "void"]
        same([ctype_kind(result)] + [ctype_kind(ctype) for ctype in parameters],
             [parameter_kind(declared[name][0])] + [parameter_kind(part) for part in wanted], name)
    for name, ctype in {"pith_log_fn": pith.LogFn, "pith_load_fn": pith.LoadFn,
                        "pith_observe_fn": pith.ObserveFn, "pith_text_fn": pith.TextFn}.items():
        (result, parameters), = re.findall(r"typedef (\w+) \(\*%s\)\((.*?)\);" % name, text,
                                           re.DOTALL)
        same([ctype_kind(ctype._restype_)] + [ctype_kind(kind) for kind in ctype._argtypes_],
             [parameter_kind(result)] + [parameter_kind(part) for part in parameters.split(",")],
             name)


def test_the_version_is_the_headers():
    with open(os.path.join(ROOT, "include/pith.h")) as file:
        found = re.search(r'#define PITH_VERSION "(.*)"', file.read()).group(1)
    same(pith.VERSION, found)
    same(pith.version(LIBRARY), found)


def test_python_39_can_read_it():
    with open(pith.__file__) as file:
        text = file.read()
    ast.parse(text, feature_version=(3, 9))
    same(max(map(len, text.splitlines())) <= 100, True, "lines of at most 100 columns:")


if __name__ == "__main__":
    sys.exit(main(globals()))
