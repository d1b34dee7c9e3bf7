"""Every call of examples/pith.py: results equal the command's, errors arrive, objects end."""

import gc
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading

import numpy as np

from python_support import (CHAT, LIBRARY, ROOT, TALE, convert, main, open_model, path, pith,
                            raises, refused, run, same, same_bits)

ONCE = "Once upon a time there was a"
# What `pith run` does unless told otherwise.
USUAL = {"temperature": 0.8, "top_k": 40, "top_p": 0.9, "repeat_last_n": 64}


# ---- The library ---------------------------------------------------------------------------------


def python(code, before="", **environment):
    """Runs code in a fresh interpreter that has imported pith; its exit code and what it wrote."""
    done = subprocess.run([sys.executable, "-c", "import sys; sys.path.insert(0, sys.argv[1])\n"
                           f"{before}\nimport pith\n{code}", os.path.join(ROOT, "examples"), TALE],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
                          env={**os.environ, **environment})
    return done.returncode, done.stdout.decode()


def test_the_library_is_found():
    show = "print(pith.version())"
    want = (0, pith.VERSION + "\n")
    same(python(show, PITH_LIBRARY=LIBRARY), want)
    code, text = python(show, PITH_LIBRARY=path("no-such.so"))
    same(code, 1)
    assert "PithError" in text and "no-such.so" in text and "PITH_LIBRARY" in text, text
    os.makedirs(path("beside/examples"), exist_ok=True)
    shutil.copy(pith.__file__, path("beside/examples/pith.py"))
    beside = "import importlib.util as u\n" \
             f"s = u.spec_from_file_location('pith2', {path('beside/examples/pith.py')!r})\n" \
             "pith = u.module_from_spec(s); s.loader.exec_module(pith); print(pith.version())"
    for place in "beside/examples/libpith.so", "beside/build/libpith.so":
        os.makedirs(os.path.dirname(path(place)), exist_ok=True)
        shutil.copy(LIBRARY, path(place))
        same(python(beside, PITH_LIBRARY=""), want, place)
        os.remove(path(place))
    os.makedirs(path("system"), exist_ok=True)
    shutil.copy(LIBRARY, path("system/libpith.so.3"))
    same(python(beside, PITH_LIBRARY="", LD_LIBRARY_PATH=path("system")), want, "the system's")
    refused("io", "no-such.so", pith.version, path("no-such.so"))
    same(python("try:\n pith.version(sys.argv[2])\nexcept pith.PithError as e: print(e.status)"),
         (0, "io\n"), "a file that is no library:")


def test_another_version_is_refused():
    code, text = python("pith.VERSION = '9.8.7'\ntry:\n pith.version()\n"
                        "except pith.PithError as e: print(e.status, e)", PITH_LIBRARY=LIBRARY)
    same(code, 0)
    assert re.search(r"^unsupported .*is pith [0-9.]+, pith.py is for 9.8.7$", text), text


# ---- Models and text -----------------------------------------------------------------------------


def test_info_says_what_inspect_says():
    info = open_model(n_threads=2).info
    told = json.loads(run("inspect", TALE, "--json"))
    same((info.architecture, info.type), (told["architecture"], told["type"]))
    same((info.n_layers, info.n_embd, info.n_vocab),
         tuple(told["config"][key] for key in ("num_hidden_layers", "hidden_size", "vocab_size")))
    same((info.bos, info.eos, info.n_threads, info.chat_format), (1, (2,), 2, None))
    assert not hasattr(info, "n_eos")
    chat = open_model(CHAT).info
    same(chat.chat_format, "llama2")
    assert "[INST]" in chat.chat_template


def test_texts_are_those_of_the_command():
    model = open_model()
    texts = [ONCE, "", "é\t😀 x", "word " * 3000, "a</s>"]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    for options, flags in (({}, ()), ({"bos": True}, ("--bos",)), ({"bos": "auto"}, ("--bos=auto",)),
                           ({"special": True}, ("--special",))):
        told = run("tokenize", TALE, "--json", "--pieces", *flags, text=lines).splitlines()
        for text, line in zip(texts, map(json.loads, told)):
            tokens = model.tokenize(text, **options)
            same(tokens, line["ids"], text[:20])
            same([model.token_text(token) for token in tokens], line["pieces"], text[:20])
    for text in texts[:4]:
        same(model.detokenize(model.tokenize(text)), text)
        same(model.detokenize(np.array(model.tokenize(text), dtype=np.uint16)), text)
    same(model.tokenize("é".encode()), model.tokenize("é"))
    same(model.tokenize("a\0b"), model.tokenize(b"a\0b"))
    same(len(model.tokenize("a\0b")), 3)
    llama3 = open_model(convert("golden/llama3", "py-llama3.pith", "f32"))
    same([llama3.token_text(token) for token in llama3.tokenize("é")], ["<0xC3>", "<0xA9>"])


def test_chat_and_infilling_are_the_librarys():
    model = open_model(CHAT)
    tokens = model.chat_format([("system", "Be brief."), ("user", "Hello.")])
    same(tokens, model.chat_format([{"role": "system", "content": "Be brief."},
                                    {"role": "user", "content": "Hello."}]))
    same(model.detokenize(tokens).replace(" ", ""),
         "[INST]<<SYS>>\nBebrief.\n<</SYS>>\n\nHello.[/INST]")
    same(tokens[0], model.info.bos)
    refused("argument", "role", model.chat_format, [("assistant", "Hello.")])
    refused("argument", "a role holds a NUL", model.chat_format, [("user\0", "Hello.")])
    refused("unsupported", "chat template", open_model().chat_format, [("user", "Hello.")])
    hello = [{"role": "user", "content": "Hello."}]
    same(model.chat_end(), model.info.eos[0])
    same(model.chat_end(template_name="chatml"), None)
    same(model.chat_text(hello), "<s>[INST] Hello. [/INST]")
    same(model.chat_text(hello, template_name="chatml", add_generation_prompt=False),
         "<|im_start|>user\nHello.<|im_end|>\n")
    same(model.chat_text([{"role": "user", "content": "x" * 9000, "name": "é"}], tools=[1, 2.5],
                         template_text="{{ messages[0].name }}{{ tools }}{{ messages[0].content }}"),
         "é[1, 2.5]" + "x" * 9000)
    same(model.chat_format([("user", "</s>")], template_text="{{ messages[0].content }}"),
         model.tokenize("</s>"))
    refused("argument", "no chat template is called", model.chat_format, hello, template_name="x")
    refused("unsupported", "infilling", model.infill_format, "a", "b")


# ---- Logits --------------------------------------------------------------------------------------


def models():
    """Models whose types differ, with options that give the command's bits."""
    yield TALE, {}, ()
    yield convert("golden/tale", "py-int4.pith", "int4"), {}, ()
    yield convert("golden/tale", "py-f32.pith", "f32"), {"blas": "off"}, ("--blas", "off")


def test_logits_equal_the_commands():
    for name, options, flags in models():
        run("logits", name, "--text", ONCE, "--out", path("py.npy"), *flags)
        expected = np.load(path("py.npy"))
        with open_model(name, **options) as model:
            tokens = model.tokenize(ONCE, bos=True)
            session = model.session(all_logits=True, n_batch=3)
            session.eval(tokens)
            same_bits(session.all_logits(), expected, name)
            same_bits(session.logits_at(2), expected[2], name)
            same_bits(session.logits(), expected[-1], name)
            kept = session.logits()
            session.rewind(0)
            session.eval(np.array(tokens[:1]))
            same_bits(kept, expected[-1], "a copy")
            same_bits(session.logits(), expected[0], name)


def test_layers_equal_the_commands():
    for name, options, flags in models():
        model = open_model(name, **options)
        tokens = model.tokenize(ONCE, bos=True)
        session = model.session(n_batch=4)  # several passes
        with session.record() as seen:
            session.eval(tokens)
        same(seen["model.layers.3"].shape, (len(tokens), model.info.n_embd))
        same(sorted(key for key in seen if "layers.0" in key),
             ["model.layers.0", "model.layers.0.mlp.down_proj.input",
              "model.layers.0.mlp.gate_up_proj.input", "model.layers.0.self_attn.o_proj.input",
              "model.layers.0.self_attn.qkv_proj.input"])
        for layer in range(model.info.n_layers + 1):
            run("logits", name, "--text", ONCE, "--layer", str(layer), "--out", path("py.npy"),
                *flags)
            rows = seen[f"model.layers.{layer - 1}" if layer > 0 else "model.embed_tokens"]
            same_bits(model.logit_lens(rows), np.load(path("py.npy")), f"{name}, layer {layer}")
        same_bits(model.logit_lens(rows[-1]), session.logits(), "one row")
        same_bits(model.logit_lens(rows.astype(np.float64)[::-1])[0], session.logits(), "reversed")
        same(model.logit_lens(rows[:0]).shape, (0, model.info.n_vocab))


def test_observers_end_and_their_errors_arrive():
    session = open_model().session()
    names = []
    session.observe(lambda name, rows: names.append(name), "model.layers.1", "model.norm")
    session.eval([1])
    same(names, ["model.layers.1", "model.norm"])
    with session.record("model.layers.5") as seen:
        session.eval([5])
        session.eval([6])
    same((list(seen), len(seen["model.layers.5"]), names), (["model.layers.5"], 2, names[:2]))
    session.eval([7])
    same(len(names), 4, "the first observer is back:")
    session.observe(None)
    session.eval([8])
    same(len(names), 4)

    def fail(name, rows):
        raise KeyError(name)

    session.observe(fail)
    raises(KeyError, "model.embed_tokens", session.eval, [9])
    raises(KeyError, "model.embed_tokens", list, session.generate([9], max_tokens=2))
    session.observe(None)
    session.eval([10])

    def look(name, rows):
        lenses.append(session.model.logit_lens(rows[-1]))

    lenses = []
    session.observe(look, "model.layers.5")
    session.eval([11])
    same_bits(lenses[0], session.logits(), "the lens within an observer")


# ---- Generation ----------------------------------------------------------------------------------


def test_texts_equal_those_of_run():
    stops = ["she", " the wolf"]
    long = "The king said to the queen. " * 70
    for options, settings in (
            ({"seed": 5}, USUAL), ({"seed": 2**64 - 1}, USUAL), ({"temp": 0}, USUAL),
            ({"seed": 6, "stop": stops}, USUAL), ({"seed": 7, "speculate": 8}, USUAL),
            ({"temp": 0, "repeat-penalty": 1}, {}), ({"seed": 8, "ignore-eos": True}, USUAL),
            ({"seed": 9, "min-p": 0.05, "presence-penalty": 0.5, "frequency-penalty": 0.25},
             USUAL)):
        flags = []
        for name, value in options.items():
            for one in value if isinstance(value, list) else [value]:
                flags += [f"--{name}"] if one is True else [f"--{name}", str(one)]
        settings = {**settings, **{name.replace("-", "_"): value
                                   for name, value in options.items()}}
        if "temp" in settings:
            settings["temperature"] = settings.pop("temp")
        for prompt in ONCE, long:
            expected = run("run", TALE, "-p", prompt, "-n", "80", *flags)
            generation = open_model().session().generate(prompt, max_tokens=80, **settings)
            text = "".join(generation)
            same(text, expected, f"{options}")
            assert len(expected) > 20, expected
            usage = generation.usage
            assert usage.finish in ("length", "stop", "eos", "context"), usage
            assert usage.prompt_seconds > 0 and usage.generated_tokens > 5, usage
            same((usage.drafted_tokens > 0) <= ("speculate" in options), True)
    session = open_model().session()
    first = "".join(session.generate(session.model.tokenize(ONCE, bos=True), max_tokens=9))
    prompt = session.model.tokenize(ONCE, bos=True)
    end = session.tokens[len(prompt) + 3]
    again = session.model.session().generate(ONCE, max_tokens=9, eos=[0, int(end)])
    assert first.startswith("".join(again)) and again.usage.finish == "eos"
    wolf, = session.model.tokenize(" wolf")[-1:]
    biased = session.model.session()
    for bias, expected in ({wolf: 1000}, True), ({wolf: 1000.0, wolf + 1: 2000}, False):
        biased.rewind(0)
        list(biased.generate(ONCE, max_tokens=4, ignore_eos=True, bias=bias))
        same([token == wolf for token in biased.tokens[-3:]], [expected] * 3)
    refused("token", "biased token 99999", lambda: list(session.model.session().generate(
        "x", bias={99999: 1})))
    refused("token", "end token 99999", lambda: list(session.model.session().generate("x", eos=[99999])))
    same(first, run("run", TALE, "-p", ONCE, "-n", "9", "--temp", "0", "--repeat-penalty", "1"))


def test_a_loop_may_be_left():
    model = open_model()
    whole = model.session()
    pieces = list(whole.generate(ONCE, max_tokens=40, seed=3, **USUAL))
    for n in 1, 2, 7:
        for way in "close", "with", "use", "drop":
            session = model.session()
            generation = session.generate(ONCE, max_tokens=40, seed=3, **USUAL)
            taken = []
            for piece in generation:
                taken.append(piece)
                if len(taken) == n:
                    break
            same(threading.active_count(), 2)
            if way == "close":
                generation.close()
            elif way == "with":
                with generation:
                    pass
            elif way == "use":
                same(session.length <= whole.length, True)
            else:
                del generation
            same(threading.active_count(), 1, f"{way}: threads")
            same(taken, pieces[:n])
            same(session.tokens, whole.tokens[:session.length])
            if way != "drop":
                same(generation.usage.finish, "stopped")
                same(next(generation, None), None)
            lengths = left_lengths.setdefault(n, session.length)
            same(session.length, lengths, "the same place every time:")
            session.eval(session.model.tokenize(" and"))
    # The prompt is evaluated when the first piece is asked for, and not after a close.
    session = model.session()
    generation = session.generate(ONCE)
    same((session.length, threading.active_count()), (0, 1))
    generation.close()
    same((list(generation), generation.usage, session.length), ([], None, 0))
    # A second generation ends the first.
    one, two = session.generate(ONCE), session.generate(" there")
    next(one)
    next(two)
    same((one.usage.finish, list(one)), ("stopped", []))
    session.close()
    same((two.usage.finish, threading.active_count()), ("stopped", 1))


left_lengths = {}


def test_an_interpreter_ends_within_a_loop():
    code, text = python("g = pith.Model(sys.argv[2]).session().generate('Once')\n"
                        "for piece in g: break\nprint(g.usage)", PITH_LIBRARY=LIBRARY,
                        before="import atexit; atexit.register(lambda: print(g.usage.finish))")
    same((code, text), (0, "None\nstopped\n"))


def test_an_interrupt_ends_a_generation():
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in a background job
    session = open_model().session()
    session.observe(lambda name, rows: signal.pthread_kill(threading.main_thread().ident,
                                                           signal.SIGINT), "model.layers.0")
    generation = session.generate(ONCE)
    raises(KeyboardInterrupt, "", list, generation)
    same((threading.active_count(), list(generation), generation.usage.finish), (1, [], "stopped"))


def test_errors_of_a_generation_arrive():
    model = open_model()
    session = model.session(n_context=16)
    refused("context", "do not fit in the context of 16", list, session.generate("word " * 30))
    refused("argument", "temperature", list, session.generate("a", temperature=-1))
    refused("argument", "stop", list, session.generate("a", stop=[""]))
    refused("argument", "a stop text holds a NUL", session.generate, "a", stop=["\0"])
    refused("argument", "stop", list, session.generate("a", stop=["x"] * 17))
    refused("argument", "speculate", list, session.generate("a", speculate=17))
    refused("argument", "max_tokens cannot be -1", session.generate, "a", max_tokens=-1)
    refused("argument", "top_k cannot be -1", session.generate, "a", top_k=-1)
    refused("argument", "seed cannot be 18446744073709551616", session.generate, "a", seed=2**64)
    raises(TypeError, "no option 'temprature'; there are temperature", session.generate, "a",
           temprature=1)
    refused("token", "token 4096", list, session.generate([4096]))
    refused("argument", "prompt", list, session.generate([]))
    refused("text", "byte 1", session.generate, b"a\xff")
    same(session.length, 0)
    generation = session.generate("a", temperature=-1)
    refused("argument", "temperature", next, generation)
    same((next(generation, None), generation.usage, threading.active_count()), (None, None, 1))
    full = session.generate("a", ignore_eos=True)
    list(full)
    same(full.usage.finish, "context")


def test_grammars_shape_texts():
    schema = {"type": "array", "items": {"enum": ["cat", 12]}, "minItems": 2, "maxItems": 2}
    model = open_model()
    grammar = model.grammar(schema)
    with open(path("schema.json"), "w") as file:
        json.dump(schema, file)
    for seed in range(4):
        generation = model.session().generate(ONCE, grammar=grammar, seed=seed, **USUAL)
        text = "".join(generation)
        same(generation.usage.finish, "complete")
        value = json.loads(text)
        assert len(value) == 2 and all(one in ("cat", 12) for one in value), text
        same(run("run", TALE, ONCE, "--json-schema", path("schema.json"), "--seed", str(seed)),
             text)
    generation = model.session().generate(ONCE, grammar=grammar)
    grammar.close()
    refused("argument", "the grammar is closed", next, generation)
    refused("unsupported", '#/items: "format" is not supported', model.grammar,
            {"items": {"format": "date"}})
    refused("format", "bad JSON", model.grammar, "{")


def test_sampler_and_decoder_make_the_same_text():
    model = open_model()
    expected = "".join(model.session().generate(ONCE, max_tokens=30, seed=3, **USUAL))
    session, sampler, decoder = model.session(), model.sampler(seed=3, **USUAL), model.decoder()
    for token in model.tokenize(ONCE, bos=True):
        session.eval([token])
        sampler.accept(token)
        decoder.push(token)
    text = ""
    for _ in range(30):
        token = sampler.sample(session.logits())
        sampler.accept(token)
        text += decoder.push(token)
        session.eval([token])
    same(text + decoder.finish(), expected)
    refused("argument", "temperature", model.sampler, temperature=-1)
    raises(TypeError, "no option", model.sampler, temp=1)
    refused("argument", r"\(3,\)", sampler.sample, np.zeros(3))
    refused("numeric", "NaN", sampler.sample, np.full(4096, np.nan))
    refused("token", "token 4096", decoder.push, 4096)
    refused("token", "token 4294967297", decoder.push, 2**32 + 1)


# ---- Sessions ------------------------------------------------------------------------------------


def test_sessions_fork_save_and_reuse():
    model = open_model()
    session = model.session(n_context=64, kv_type="int8")
    tokens = model.tokenize(ONCE, bos=True)
    same((session.context, session.length, session.tokens), (64, 0, []))
    session.eval(tokens)
    same(session.tokens, tokens)
    fork = session.fork()
    same((session.memory, fork.memory), (model.kv_bytes(len(tokens), kv_type="int8"),) * 2)
    session.save(path("py.session"))
    loaded = model.load_session(path("py.session"), n_context=64)
    session.eval([5])
    for other in fork, loaded:
        other.eval([5])
        same_bits(other.logits(), session.logits(), "a session made from another")
    same(session.reuse(tokens[:3] + [7, 8]), 3)
    same(session.length, 3)
    refused("argument", "rewind", session.rewind, 4)
    refused("argument", "KV cache of int8", model.load_session, path("py.session"), kv_type="f32")
    refused("format", "not a session file", model.load_session, TALE)
    refused("io", "no-such", session.save, path("no-such/x"))


def test_a_batch_equals_separate_evals():
    model = open_model()
    lists = [[1, 5, 9], [2], [7] * 20]
    sessions = [model.session() for _ in lists]
    pith.batch_eval(sessions, lists)
    for session, tokens in zip(sessions, lists):
        alone = model.session()
        alone.eval(tokens)
        same_bits(session.logits(), alone.logits(), "of a batch")
    refused("argument", "twice", pith.batch_eval, sessions[:1] * 2, lists[:2])
    refused("argument", "3 sessions and 1 lists", pith.batch_eval, sessions, lists[:1])
    refused("argument", "0 sessions", pith.batch_eval, [], [])


def test_threads_share_a_model():
    model = open_model(n_threads=2)
    expected = "".join(model.session().generate(ONCE, max_tokens=40, seed=3, **USUAL))
    texts = [None] * 4

    def work(i):
        texts[i] = "".join(model.session().generate(ONCE, max_tokens=40, seed=3, **USUAL))

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(texts))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    same(texts, [expected] * len(texts))


def count_calls(library, name, calls):
    function = getattr(library, name)

    def counted(*arguments):
        calls.append(name)
        return function(*arguments)

    setattr(library, name, counted)


def test_objects_live_as_long_as_they_are_needed():
    library = pith._Library(LIBRARY)
    freed = []
    for name in "model_free", "session_free", "sampler_free", "decoder_free", "grammar_free":
        count_calls(library, name, freed)
    opened, pith._library = pith._library, lambda path: library
    model = open_model()
    pith._library = opened
    session, sampler, decoder = model.session(), model.sampler(), model.decoder()
    grammar = model.grammar({})
    generation = session.fork().generate([1], max_tokens=3)
    next(generation)
    model.close()
    model.close()
    session.eval([1, 2])
    same(freed, [])
    del decoder, generation
    gc.collect()
    same(freed, ["decoder_free", "session_free"])
    same(sampler.sample(session.logits()) >= 0, True)
    refused("argument", "the model is closed", model.tokenize, "a")
    refused("argument", "the model is closed", model.session)
    session.close()
    sampler.close()
    grammar.close()
    refused("argument", "the session is closed", session.eval, [1])
    refused("argument", "the session is closed", session.generate, [1])
    refused("argument", "the sampler is closed", sampler.accept, 1)
    same(freed[2:], ["session_free", "sampler_free", "grammar_free", "model_free"])
    generation = open_model().session().generate(ONCE, max_tokens=3)
    gc.collect()
    same(len("".join(generation)) > 3, True, "a generation keeps its session and model:")


# ---- Embeddings ----------------------------------------------------------------------------------


def test_rerank_and_dimensions_are_the_librarys():
    name = path("py-scores.pith")
    run("convert", os.path.join(ROOT, "golden/encoders/bert-scores"), name, "--type", "int8")
    model = open_model(name)
    documents = ["a king", "", "the wolf at the door"]
    scores = model.embed([("who knocked", text) for text in documents])
    same(model.info.is_cross_encoder, True)
    same_bits(model.rerank("who knocked", documents), scores[:, 0], "scores")
    refused("argument", "text 0 is no pair", model.embed, ["a"])
    run("convert", os.path.join(ROOT, "golden/encoders/gemma3"), name, "--type", "int8")
    model = open_model(name)
    run("embed", name, "--json", "--dimensions", "5", "--out", path("py.npy"),
        text="".join('{"text": "%s"}\n' % text for text in documents))
    same_bits(model.embed(documents, dimensions=5), np.load(path("py.npy")), "five dimensions")
    refused("argument", "25 dimensions", model.embed, documents, dimensions=25)


def test_embeddings_equal_the_commands():
    texts = ["a stone", "", "é 😀", "the wolf " * 300, "a stone"]
    lines = [json.dumps({"text": text}) for text in texts] + \
        [json.dumps({"text": "a", "pair": "b"})]
    for kind, options, flags in ("f32", {"blas": "off"}, ("--blas", "off")), ("int8", {}, ()):
        name = convert("golden/minilm", f"py-minilm-{kind}.pith", kind)
        run("embed", name, "--json", "--out", path("py.npy"), *flags, text="\n".join(lines))
        model = open_model(name, **options)
        vectors, results = model.embed(texts + [("a", "b")], details=True)
        same_bits(vectors, np.load(path("py.npy")), kind)
        same([result.truncated for result in results], [False] * 3 + [True] + [False] * 2)
        same((results[1].n_tokens, results[3].n_tokens, results[5].n_tokens), (2, 256, 5))
        same_bits(model.embed(texts[:1]), vectors[:1], "alone")
        same(model.embed([]).shape, (0, model.info.n_embd))
        same_bits(model.embed(text for text in texts), vectors[:5], "of an iterator")
    refused("context", "text 3", model.embed, texts, truncate=False)
    refused("text", "text 1: .*byte 1", model.embed, ["a", b"a\xff"])
    refused("text", "text 0", model.embed, ["\ud800"])
    raises(TypeError, "a list of texts", model.embed, "a stone")
    seen = []
    model.embed(texts, progress=lambda done, n: seen.append((done, n)))
    same(seen[-1][1], 5)
    refused("stopped", "", model.embed, texts, progress=lambda done, n: False)
    raises(ZeroDivisionError, "", model.embed, texts, progress=lambda done, n: 1 // 0)
    refused("unsupported", "encoder", open_model().embed, ["a"])
    refused("unsupported", "encoder", model.session)
    refused("unsupported", "encoder", model.logit_lens, np.zeros(48))


def test_prompts_equal_the_commands():
    source = path("py-prompted")
    if not os.path.exists(source):
        shutil.copytree(os.path.join(ROOT, "golden/minilm"), source)
        with open(os.path.join(source, "config_sentence_transformers.json"), "w") as file:
            json.dump({"prompts": {"query": "query: ", "document": "text: "},
                       "default_prompt_name": "document"}, file)
    run("convert", source, path("py-prompted.pith"), "--type", "f32")
    model = open_model(path("py-prompted.pith"))
    same(model.info.prompts, {"query": "query: ", "document": "text: "})
    same(model.info.default_prompt, "document")
    for options, flags, whole in (({}, (), "text: a"),
                                  ({"prompt_name": "query"}, ("--prompt-name", "query"), "query: a"),
                                  ({"prompt": "x "}, ("--prompt", "x "), "x a"),
                                  ({"prompt": ""}, ("--prompt", ""), "a")):
        run("embed", path("py-prompted.pith"), "--out", path("py.npy"), *flags, text="a")
        vectors = model.embed(["a"], **options)
        same_bits(vectors, np.load(path("py.npy")), str(options))
        same_bits(vectors, model.embed([whole], prompt=""), whole)
    refused("argument", "it has query, document", model.embed, ["a"], prompt_name="none")
    same(model.embed_fingerprint(),
         open_model(convert("golden/minilm", "py-minilm-f32.pith", "f32")).embed_fingerprint())


# ---- What the documents show ---------------------------------------------------------------------


def test_examples_in_the_documents_run():
    with open(os.path.join(ROOT, "README.md")) as file:
        readme, = re.findall(r"```python\n(.*?)```", file.read(), re.DOTALL)
    docstring = "".join(line[4:] for line in pith.__doc__.splitlines(keepends=True)
                        if line.startswith("    "))
    for text in readme, docstring:
        code = re.sub(r'"[^"]*story-int4.pith"', repr(TALE), text).replace(
            '"minilm.pith"', repr(convert("golden/minilm", "py-minilm-f32.pith", "f32")))
        done, printed = python(code + "\nprint(vectors.shape)", PITH_LIBRARY=LIBRARY)
        same((done, printed.splitlines()[-1]), (0, "(2, 48)"), printed)


# ---- Wrong use -----------------------------------------------------------------------------------


def test_models_that_cannot_be_had():
    refused("io", "no-such.pith", open_model, path("no-such.pith"))
    refused("argument", "the path holds a NUL", open_model, TALE + "\0")
    refused("format", "", open_model, __file__)
    refused("unsupported", "mmx", open_model, isa="mmx")
    refused("argument", "blas is one of auto, on, off, not 'yes'", open_model, blas="yes")
    refused("argument", "n_threads cannot be -1", open_model, n_threads=-1)
    refused("argument", "257|256", open_model, n_threads=257)
    raises(TypeError, "no option 'threads'; there are n_threads", open_model, threads=2)
    raises(TypeError, "no option 'allocator'", open_model, allocator=0)
    calls = []
    open_model(load=lambda done, total: calls.append((done, total)))
    same(calls[-1][0], calls[-1][1])
    refused("stopped", "", open_model, load=lambda done, total: False)
    with open(path("tuning.json"), "w") as file:
        json.dump({"pith_tuning": 1, "cpu": "", "isa": "", "few": {"hint": "t0", "distance": 2048},
                   "more": {"hint": "t1", "distance": 64}}, file)
    log = []
    open_model(tuning=path("tuning.json"), log=lambda level, message: log.append((level, message)))
    same(len(log), 1)
    assert log[0][0] == "info" and "t0 2 KB for one and two tokens, t1 64 B" in log[0][1], log
    refused("io", "no-such.json", open_model, tuning=path("no-such.json"))
    refused("format", "", open_model, tuning=TALE)
    raises(ZeroDivisionError, "", open_model, load=lambda done, total: 1 // 0)
    log = []
    model = open_model(log=lambda level, message: log.append((level, message)))
    model.session(n_context=1000)
    same([level for level, _ in log], ["warning"])
    assert "1000" in log[0][1], log


def test_arguments_that_cannot_be():
    model = open_model()
    session = model.session()
    refused("argument", "no such logits", session.logits)
    refused("argument", "no such logits", session.all_logits)
    session.eval([1])
    refused("argument", "no such logits", session.logits_at, 0)
    refused("argument", "at least one token", session.eval, [])
    refused("token", "token -1 ", session.eval, [-1])
    refused("token", "token 4294967297 at index 1", session.eval, [1, 2**32 + 1])
    raises(TypeError, "list of integers", session.eval, [1.5])
    raises(TypeError, "list of integers", session.eval, "text")
    raises(TypeError, "list of integers", session.eval, [[1, 2]])
    raises(TypeError, "list of integers", session.eval, 1)
    refused("context", "", session.eval, [1] * 512)
    refused("argument", "kv_type is one of auto, f32, f16, int8", model.session, kv_type="F16")
    raises(TypeError, "no option 'context'; there are n_context", model.session, context=4)
    refused("argument", "n_batch", model.session, n_batch=1 << 20)
    refused("text", "byte 1", model.tokenize, "a\udcff")
    refused("token", "token 4096", model.detokenize, [4096])
    refused("token", "token -1", model.token_text, -1)
    refused("argument", r"shape \(3,\)", model.logit_lens, np.zeros(3))
    refused("argument", r"shape \(1, 1, 256\)", model.logit_lens, np.zeros((1, 1, 256)))
    refused("numeric", "row 1", model.logit_lens, np.array([[1.0] * 256, [np.nan] * 256]))
    same(session.length, 1)


if __name__ == "__main__":
    sys.exit(main(globals()))
