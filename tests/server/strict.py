"""Tools with strict, called by models that write anything: all tokens are equally likely, so that
nothing but the grammar keeps a call to the schema of its tool. Random schemas, every form of call,
streamed and not, demanded and not.
    strict.py PITH [REQUESTS]"""

import concurrent.futures
import json
import os
import random
import subprocess
import sys
import tempfile

from service import ROOT, Checks, Service, events

sys.path.insert(0, os.path.join(ROOT, "tests/clients"))
sys.path.insert(0, os.path.join(ROOT, "tests/grammar"))
import scripted  # noqa: E402
from random_schemas import Maker, check_validator, problem  # noqa: E402

check = Checks()
MARKS = {"hermes": "<tool_call>", "mistral": "[TOOL_CALLS]", "mistral-named": "[TOOL_CALLS]",
         "llama3": "<|python_tag|>"}


def random_tools(seed):
    """Tools of random schemas, of which some are strict, the first one in any case."""
    tools = []
    for i in range(random.Random(seed).randint(1, 3)):
        maker = Maker(f"{seed} {i}")
        definitions = maker.schema() and maker.definitions
        parameters = maker.object(2)
        if definitions:
            parameters["$defs"] = definitions
        if maker.chance(0.2):  # one that refers to itself as a whole
            parameters["properties"]["again"] = {"$ref": "#"}
        if maker.chance(0.2):  # a name that is a keyword elsewhere
            parameters["properties"]["$ref"] = {"enum": [{"$ref": "#/nowhere"}, "#"]}
        tools.append({"type": "function", "function": {
            "name": f"tool_{i}", "parameters": parameters, "strict": i == 0 or maker.chance(0.7)}})
    return tools


def why_wrong(call, tools):
    """What is wrong with a call; None: nothing."""
    for tool in tools:
        function = tool["function"]
        if function["name"] == call["function"]["name"]:
            arguments = json.loads(call["function"]["arguments"])
            if not isinstance(arguments, dict):
                return "no object"
            return problem(function["parameters"], arguments, function["parameters"]) \
                if function["strict"] else None
    return "no such tool"


def ask(service, i):
    """(model, tools, choice, message, finish reason) of a random request."""
    rng = random.Random(i)
    model = rng.choice((*MARKS, "bare"))
    tools = random_tools(i)
    choice = rng.choice(("auto", "auto", "auto", "required", "named"))
    if choice == "required" and model == "mistral-named" and len(tools) > 1:
        choice = "named"
    ids = scripted.token_ids(model)
    mark = MARKS.get(model, "<|python_tag|>")
    bias = {ids[piece]: 2 for piece in scripted.PIECES}
    bias[ids[mark]] = 0 if model == "bare" else 3
    body = {"model": model, "tools": tools, "seed": i, "max_tokens": 900, "temperature": 1,
            "messages": [{"role": "user", "content": "Do something. <tool_call>"}],
            "logit_bias": {str(token): weight for token, weight in bias.items()}, "stream": rng.random() < 0.5}
    if choice == "named":
        body["tool_choice"] = {"type": "function", "function": {"name": "tool_0"}}
    elif choice == "required":
        body["tool_choice"] = "required"
    status, _, answer = service.request("POST", "/v1/chat/completions", body)
    if status != 200:
        return model, tools, choice, {"content": answer.decode(), "failed": True}, "error"
    if not body["stream"]:
        one = json.loads(answer)["choices"][0]
        return model, tools, choice, one["message"], one["finish_reason"]
    message, finish = {"content": "", "tool_calls": []}, None
    for event in events(answer)[:-1]:
        one = json.loads(event)["choices"][0]
        message["content"] += one["delta"].get("content") or ""
        finish = finish or one["finish_reason"]
        for delta in one["delta"].get("tool_calls", ()):
            if delta["index"] == len(message["tool_calls"]):
                message["tool_calls"].append(delta)
            else:
                message["tool_calls"][delta["index"]]["function"]["arguments"] += \
                    delta["function"]["arguments"]
    return model, tools, choice, message, finish


def main():
    pith = sys.argv[1]
    n = int(sys.argv[2]) if len(sys.argv) > 2 else 600
    check_validator()
    n_calls = {}
    with tempfile.TemporaryDirectory() as scratch:
        models = os.path.join(scratch, "models")
        os.mkdir(models)
        for name in scripted.make(os.path.join(scratch, "sources"), scripted=False):
            subprocess.run([pith, "convert", os.path.join(scratch, "sources", name),
                            os.path.join(models, name + ".pith"), "--type", "f32"], check=True,
                           capture_output=True)
        with Service(pith, "--models", models, "--queue", "1000") as service, \
                concurrent.futures.ThreadPoolExecutor(8) as pool:
            for i, (model, tools, choice, message, finish) in enumerate(
                    pool.map(lambda i: ask(service, i), range(n))):
                calls = message.get("tool_calls") or []
                content = message["content"] or ""
                name = f"{i}: {model}, {choice}"
                check(f"{name}: answered", not message.get("failed"), content)
                if finish == "length":
                    calls = calls[:-1]  # the last one may be cut
                n_calls[model] = n_calls.get(model, 0) + len(calls)
                for call in calls:
                    try:
                        why = why_wrong(call, tools)
                    except ValueError as error:
                        why = str(error)
                    check(f"{name}: the call is valid", why is None, (why, call, tools))
                if choice != "auto":
                    check(f"{name}: one call", finish == "length" or
                          (len(calls) == 1 and content == ""), (message, finish))
                elif finish != "length" and model in MARKS:
                    check(f"{name}: what was opened is a call", MARKS[model] not in content,
                          (content, finish))
            for model in (*MARKS, "bare"):
                check(f"{model}: calls were made", n_calls.get(model, 0) > n / 100, n_calls)
            refusals(service)
    print("calls:", ", ".join(f"{model} {count}" for model, count in sorted(n_calls.items())))
    check.finish()


def refusals(service):
    def refused(name, wanted, model="hermes", **more):
        parameters = more.pop("parameters", {"type": "object", "properties": {}})
        tools = [{"type": "function", "function": {"name": more.pop("tool", "f"), "strict": True,
                                                   "parameters": parameters}}]
        body = {"model": model, "messages": [{"role": "user", "content": "Hi"}],
                "tools": tools + more.pop("others", []), "max_tokens": 1, **more}
        status, _, answer = service.json("POST", "/v1/chat/completions", body)
        check(f"refused: {name}", status == 400 and wanted in answer["error"]["message"] and
              answer["error"]["param"] is not None, answer)

    refused("a keyword", 'tools[0].function.parameters/properties/a: "pattern"', parameters={
        "type": "object", "properties": {"a": {"type": "string", "pattern": "x"}}})
    refused("no object", 'must be "object" with strict', parameters={"type": "string"})
    refused("a reference to nowhere", "tools[0].function.parameters", parameters={
        "type": "object", "properties": {"a": {"$ref": "#/$defs/none"}}})
    refused("one of several in a form with names", "name the function", "mistral-named",
            tool_choice="required", others=[{"type": "function", "function": {"name": "g"}}])
    refused("a name that a form cannot hold", "the name of a function", "mistral-named", tool="f g")
    refused("a call and a form", "response_format", tool_choice="required",
            response_format={"type": "json_object"})
    status, _, answer = service.json("POST", "/v1/chat/completions", {
        "model": "hermes", "messages": [{"role": "user", "content": "Hi"}], "tools": [
            {"type": "function", "function": {"name": "f", "strict": "yes"}}]})
    check("strict is a boolean", status == 400 and
          answer["error"]["param"] == "tools[0].function.strict", answer)


main()
