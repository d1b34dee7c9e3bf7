"""pith from Python: language models and sentence encoders on a CPU, by ctypes over libpith.so.

    import pith
    model = pith.Model("story-int4.pith", n_threads=2)
    session = model.session()
    for piece in session.generate("Once upon a time", max_tokens=50, temperature=0.8, seed=1):
        print(piece, end="", flush=True)
    session.rewind(0)
    with session.record("model.layers.3") as seen:
        session.eval(model.tokenize("Once upon a time", bos="auto"))
    lens = model.logit_lens(seen["model.layers.3"])             # [tokens, n_vocab]
    print(model.token_text(lens[-1].argmax()), session.logits().argmax())
    vectors = pith.Model("minilm.pith").embed(["a stone", "a rock"])     # [2, n_embd]

One file to copy or to put on PYTHONPATH; needs Python 3.9 and NumPy. The library is looked for in
this order: Model(..., library=PATH), the environment's PITH_LIBRARY, beside this file and in
../build from it, then where the system looks. It must be of the version that this file was written
for. pith.h has every contract; names, options and limits here are those of C.

Arrays that come back are copies. Failures raise PithError. Models, sessions, samplers, decoders and
grammars are freed when nothing refers to them, or by close() or a with statement; a model's memory
stays until the last session, sampler, decoder and grammar of it is gone. A model or grammar may be
used by any number of threads; a session, sampler or decoder by one at a time. The interpreter's
lock is free while the library works.

With f32 models on an AVX-512 machine, set OPENBLAS_CORETYPE as pith.h says before importing NumPy.
"""

import atexit
import codecs
import contextlib
import ctypes
import functools
import json
import operator
import os
import queue
import threading
import types
import weakref

import numpy as np

__all__ = ["Decoder", "Generation", "Grammar", "Model", "PithError", "Sampler", "Session",
           "batch_eval", "version"]

VERSION = "0.4.0"  # of the pith.h below

# ---- pith.h: enumerations, structs, functions ----------------------------------------------------
# tests/cli/test_python.sh compares all of this with the header.

STATUSES = ("ok", "argument", "memory", "io", "format", "unsupported", "capacity", "context",
            "token", "text", "numeric", "stopped")
LOG_LEVELS = ("info", "warning")
BLAS = ("auto", "on", "off")
KV_TYPES = ("auto", "f32", "f16", "int8")
FINISHES = ("eos", "stop", "length", "context", "stopped", "complete")
TOKENIZE_BOS, TOKENIZE_SPECIAL, TOKENIZE_AUTO = 1, 2, 4

_void = ctypes.c_void_p
_text = ctypes.c_char_p
_size = ctypes.c_size_t
_bool = ctypes.c_bool
_int = ctypes.c_int  # also an enumeration
_float = ctypes.c_float
_floats = ctypes.POINTER(ctypes.c_float)
_token = ctypes.c_int32
_tokens = ctypes.POINTER(ctypes.c_int32)


class Text(ctypes.Structure):
    _fields_ = [("data", _text), ("n_bytes", _size)]

    @classmethod
    def of(cls, data):
        """The text of bytes, which it keeps."""
        return cls(data, len(data))

    def get(self, errors="strict"):
        """The text as a str."""
        data = _void.from_buffer(self)  # self.data would end at a NUL
        return ctypes.string_at(data, self.n_bytes).decode("utf-8", errors) if self.n_bytes else ""


LogFn = ctypes.CFUNCTYPE(None, _void, _int, _text)
LoadFn = ctypes.CFUNCTYPE(_bool, _void, _size, _size)
ObserveFn = ctypes.CFUNCTYPE(None, _void, _text, _floats, _size, _size)
TextFn = ctypes.CFUNCTYPE(_bool, _void, Text)
ProgressFn = ctypes.CFUNCTYPE(_bool, _void, _size, _size)


class Error(ctypes.Structure):
    _fields_ = [("status", _int), ("message", ctypes.c_char * 500)]


class Fetch(ctypes.Structure):
    _fields_ = [("hint", _int), ("distance", _size)]


class Tuning(ctypes.Structure):
    _fields_ = [("few", Fetch), ("more", Fetch), ("cpu", ctypes.c_char * 64),
                ("isa", ctypes.c_char * 16)]


class ModelOptions(ctypes.Structure):
    _fields_ = [("n_threads", _size), ("isa", _text), ("blas", _int), ("map", _bool),
                ("allocator", _void), ("log", LogFn), ("log_user", _void), ("load", LoadFn),
                ("load_user", _void), ("tuning", ctypes.POINTER(Tuning)),
                ("ranks", _void)]


class Prompt(ctypes.Structure):
    _fields_ = [("name", _text), ("text", _text)]


class ChatTemplate(ctypes.Structure):
    _fields_ = [("name", _text), ("text", _text)]


class ModelInfo(ctypes.Structure):
    _fields_ = [("architecture", _text), ("type", _text), ("isa", _text), ("chat_format", _text),
                ("chat_template", _text), ("chat_templates", ctypes.POINTER(ChatTemplate)),
                ("n_chat_templates", _size), ("n_vocab", _size), ("n_context", _size),
                ("n_embd", _size), ("n_layers", _size), ("n_experts", _size),
                ("n_experts_used", _size), ("n_params", _size),
                ("weight_bytes", _size), ("token_bytes", _size), ("rank", _size),
                ("n_ranks", _size), ("rank_bytes", _size), ("n_gathers", _size),
                ("gather_bytes", _size), ("n_threads", _size),
                ("bos", _token), ("eos", _tokens), ("n_eos", _size), ("has_infill", _bool),
                ("blas", _bool), ("add_bos", _bool), ("add_eos", _bool),
                ("prompts", ctypes.POINTER(Prompt)), ("n_prompts", _size),
                ("default_prompt", _text), ("is_encoder", _bool), ("has_tokenizer", _bool),
                ("is_cross_encoder", _bool)]


class Message(ctypes.Structure):
    _fields_ = [("role", _text), ("content", Text)]


class ChatOptions(ctypes.Structure):
    _fields_ = [("variables", Text), ("template_name", _text), ("template_text", Text),
                ("no_generation_prompt", _bool), ("local_time", ctypes.c_int64)]


class SessionOptions(ctypes.Structure):
    _fields_ = [("n_context", _size), ("n_batch", _size), ("kv_type", _int), ("all_logits", _bool)]


class Sampling(ctypes.Structure):
    _fields_ = [("temperature", _float), ("top_k", _size), ("top_p", _float), ("min_p", _float),
                ("repeat_penalty", _float), ("repeat_last_n", _size),
                ("frequency_penalty", _float), ("presence_penalty", _float),
                ("seed", ctypes.c_uint64)]


class LogitBias(ctypes.Structure):
    _fields_ = [("token", _token), ("bias", _float)]


class GenerateParams(ctypes.Structure):
    _fields_ = [("sampling", Sampling), ("max_tokens", _size), ("stops", ctypes.POINTER(_text)),
                ("n_stops", _size), ("ignore_eos", _bool), ("speculate", _size), ("draft", _void),
                ("eos", _tokens),
                ("n_eos", _size), ("shown", _tokens), ("n_shown", _size), ("logprobs", _bool),
                ("n_top_logprobs", _size), ("bias", ctypes.POINTER(LogitBias)), ("n_bias", _size),
                ("grammar", _void),
                ("mask", _void), ("accept", _void), ("mask_user", _void)]


class Usage(ctypes.Structure):
    _fields_ = [("prompt_tokens", _size), ("generated_tokens", _size),
                ("prompt_seconds", ctypes.c_double), ("generate_seconds", ctypes.c_double),
                ("finish", _int), ("drafted_tokens", _size), ("accepted_tokens", _size)]


class EmbedInput(ctypes.Structure):
    _fields_ = [("text", Text), ("pair", Text)]


class EmbedOptions(ctypes.Structure):
    _fields_ = [("no_truncate", _bool), ("prompt", _text), ("prompt_name", _text),
                ("dimensions", _size), ("progress", ProgressFn), ("user", _void)]


class RerankOptions(ctypes.Structure):
    _fields_ = [("no_truncate", _bool), ("progress", ProgressFn), ("user", _void)]


class EmbedResult(ctypes.Structure):
    _fields_ = [("n_tokens", _size), ("truncated", _bool)]


STRUCTS = {
    "pith_error": Error, "pith_text": Text, "pith_model_options": ModelOptions,
    "pith_fetch": Fetch, "pith_tuning": Tuning,
    "pith_model_info": ModelInfo, "pith_prompt": Prompt,
    "pith_chat_template": ChatTemplate, "pith_chat_options": ChatOptions,
    "pith_message": Message, "pith_session_options": SessionOptions, "pith_sampling": Sampling,
    "pith_logit_bias": LogitBias, "pith_generate_params": GenerateParams, "pith_usage": Usage,
    "pith_embed_input": EmbedInput,
    "pith_embed_options": EmbedOptions, "pith_embed_result": EmbedResult,
    "pith_rerank_options": RerankOptions,
}

_to = ctypes.POINTER
_error = _to(Error)
_sizes = _to(_size)
_handle = _to(_void)  # an out parameter for an opaque object

# Result, then parameters; a function whose last parameter is _error returns a status.
FUNCTIONS = {
    "pith_version": (_text,),
    "pith_model_open": (_int, _handle, _text, _to(ModelOptions), _error),
    "pith_tuning_load": (_int, _to(Tuning), _text, _error),
    "pith_model_free": (None, _void),
    "pith_model_get_info": (None, _void, _to(ModelInfo)),
    "pith_tokenize": (_int, _void, Text, ctypes.c_uint, _tokens, _size, _sizes, _error),
    "pith_detokenize": (_int, _void, _tokens, _size, _void, _size, _sizes, _error),
    "pith_token_text": (_int, _void, _token, _to(Text), _error),
    "pith_decoder_new": (_int, _handle, _void, _error),
    "pith_decoder_free": (None, _void),
    "pith_decoder_push": (_int, _void, _token, _to(Text), _error),
    "pith_decoder_finish": (None, _void, _to(Text)),
    "pith_chat_format": (_int, _void, _to(Message), _size, _to(ChatOptions), _tokens, _size, _sizes,
                         _error),
    "pith_chat_text": (_int, _void, _to(Message), _size, _to(ChatOptions), _void, _size, _sizes,
                       _error),
    "pith_chat_end": (_int, _void, _to(ChatOptions), _tokens, _error),
    "pith_infill_format": (_int, _void, Text, Text, _bool, _tokens, _size, _sizes, _error),
    "pith_session_new": (_int, _handle, _void, _to(SessionOptions), _error),
    "pith_session_free": (None, _void),
    "pith_session_eval": (_int, _void, _tokens, _size, _error),
    "pith_batch_eval": (_int, _handle, _size, _to(_tokens), _sizes, _error),
    "pith_session_logits": (_floats, _void),
    "pith_session_logits_at": (_floats, _void, _size),
    "pith_session_length": (_size, _void),
    "pith_session_tokens": (_tokens, _void),
    "pith_session_context": (_size, _void),
    "pith_session_rewind": (_int, _void, _size, _error),
    "pith_session_reuse": (_int, _void, _tokens, _size, _sizes, _error),
    "pith_session_fork": (_int, _handle, _void, _error),
    "pith_session_memory": (_size, _void),
    "pith_model_kv_bytes": (_size, _void, _int, _size),
    "pith_session_save": (_int, _void, _text, _error),
    "pith_session_load": (_int, _handle, _void, _text, _to(SessionOptions), _error),
    "pith_session_observe": (None, _void, ObserveFn, _void),
    "pith_logit_lens": (_int, _void, _floats, _size, _floats, _error),
    "pith_sampler_new": (_int, _handle, _void, _to(Sampling), _error),
    "pith_sampler_free": (None, _void),
    "pith_sampler_accept": (None, _void, _token),
    "pith_sample": (_int, _void, _floats, _tokens, _error),
    "pith_generate": (_int, _void, _tokens, _size, _to(GenerateParams), TextFn, _void, _to(Usage),
                      _error),
    "pith_grammar_new": (_int, _handle, _void, Text, _error),
    "pith_grammar_free": (None, _void),
    "pith_embed": (_int, _void, _to(EmbedInput), _size, _to(EmbedOptions), _floats,
                   _to(EmbedResult), _error),
    "pith_rerank": (_int, _void, Text, _to(Text), _size, _to(RerankOptions), _floats,
                    _to(EmbedResult), _error),
    "pith_embed_fingerprint": (_int, _void, _text, _error),
}


# ---- The library ---------------------------------------------------------------------------------


class PithError(Exception):
    """What the library refused or could not do: `status` is the name of the pith_status ("format"),
    `message` one sentence."""

    def __init__(self, status, message):
        super().__init__(message)
        self.status = status
        self.message = message

    def __reduce__(self):
        return PithError, (self.status, self.message)


def _candidates(path):
    """Where to look. A path that was asked for is the only one."""
    path = path or os.environ.get("PITH_LIBRARY")
    if path:
        return [os.path.abspath(os.fspath(path))]
    here = os.path.dirname(os.path.abspath(__file__))
    near = [os.path.join(here, name) for name in ("libpith.so", "../build/libpith.so")]
    return [name for name in near if os.path.exists(name)] + ["libpith.so.3"]


class _Library:
    """An open libpith.so; its functions are attributes without their "pith_"."""

    def __init__(self, name):
        try:
            dll = ctypes.CDLL(name)
            functions = {function: getattr(dll, function) for function in FUNCTIONS}
        except (OSError, AttributeError) as problem:
            raise PithError("io", f"{problem}: build libpith.so with 'make', or say where it is "
                                  "with PITH_LIBRARY") from None
        for function, (result, *parameters) in FUNCTIONS.items():
            functions[function].restype = result
            functions[function].argtypes = parameters
            if parameters and parameters[-1] is _error:
                functions[function] = functools.partial(self._call, functions[function])
            setattr(self, function[len("pith_"):], functions[function])
        found = self.version().decode()
        if found != VERSION:
            raise PithError("unsupported", f"{name} is pith {found}, pith.py is for {VERSION}")

    @staticmethod
    def _call(function, *arguments):
        error = Error()
        if function(*arguments, ctypes.byref(error)) != 0:
            raise PithError(STATUSES[error.status], error.message.decode("utf-8", "replace"))

    def tokens(self, function, *arguments):
        """Calls a function that ends in (tokens, capacity, n_tokens, error)."""
        n = _size(256)
        while True:
            buffer = (_token * n.value)()
            try:
                function(*arguments, buffer, n.value, ctypes.byref(n))
                return buffer[:n.value]
            except PithError as error:
                if error.status != "capacity":
                    raise


@functools.lru_cache(maxsize=None)
def _open_library(name):
    return _Library(name)


def _library(path=None):
    return _open_library(_candidates(path)[0])


def version(library=None):
    """The library's version."""
    return _library(library).version().decode()


# ---- From Python to C and back -------------------------------------------------------------------


def _fill(struct, fields):
    """A struct of the given fields. Unlike the struct's own constructor it refuses names that are
    none and numbers that do not fit."""
    kinds = {name: kind for name, kind in struct._fields_
             if kind is not _void and issubclass(kind, ctypes._SimpleCData)}
    out = struct()
    for name, value in fields.items():
        if name not in kinds:
            raise TypeError(f"no option {name!r}; there are {', '.join(kinds)}")
        if kinds[name] in (_size, ctypes.c_uint64):
            value = operator.index(value)
            if not 0 <= value < 2 ** (8 * ctypes.sizeof(kinds[name])):
                raise PithError("argument", f"{name} cannot be {value}")
        setattr(out, name, value)
    return out


def _choice(name, value, choices):
    if value not in choices:
        raise PithError("argument", f"{name} is one of {', '.join(choices)}, not {value!r}")
    return choices.index(value)


def _bytes(text):
    """UTF-8; a lone surrogate becomes bytes that the library refuses with their place."""
    return text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")


def _string(name, text):
    """A text that C finds the end of by itself."""
    data = _bytes(text)
    if b"\0" in data:
        raise PithError("argument", f"{name} holds a NUL")
    return data


def _path(path):
    return _string("the path", os.fsencode(path))


def _token_array(tokens):
    """Token ids as int32 [n]."""
    array = np.asarray(tokens)
    if array.ndim != 1 or (array.size != 0 and array.dtype.kind not in "iu"):
        raise TypeError("tokens are a list of integers")
    for i in np.flatnonzero((array < -2**31) | (array >= 2**31))[:1]:
        raise PithError("token", f"token {array[i]} at index {i} is outside the vocabulary")
    return np.ascontiguousarray(array, dtype=np.int32)


def _data(array):
    return array.ctypes.data_as(_tokens if array.dtype == np.int32 else _floats)


def _text_of(function, capacity, *arguments):
    """The text that a function writes to a buffer that is large enough."""
    n = _size(capacity)
    while True:
        buffer = ctypes.create_string_buffer(n.value + 1)
        try:
            function(*arguments, buffer, n.value, ctypes.byref(n))
            return buffer.raw[:n.value].decode()
        except PithError as error:
            if error.status != "capacity":
                raise


def _conversation(messages, template_name, template_text, add_generation_prompt, local_time,
                  variables):
    """Messages [n] and options for the functions of chats."""
    pairs = [(m["role"], m["content"]) if isinstance(m, dict) and m.keys() == {"role", "content"}
             else m for m in messages]
    if any(isinstance(pair, dict) or not isinstance(pair[1], (str, bytes)) for pair in pairs):
        variables = {"messages": [m if isinstance(m, dict) else {"role": m[0], "content": m[1]}
                                  for m in messages], **variables}
        pairs = []
    options = ChatOptions(no_generation_prompt=not add_generation_prompt, local_time=local_time)
    if variables:
        options.variables = Text.of(json.dumps(variables).encode())
    if template_name is not None:
        options.template_name = _string("template_name", template_name)
    if template_text is not None:
        options.template_text = Text.of(_bytes(template_text))
    array = (Message * len(pairs))()
    for c, (role, content) in zip(array, pairs):
        c.role, c.content = _string("a role", role), Text.of(_bytes(content))
    return array, len(pairs), options


def _copy(pointer, *shape):
    return np.ctypeslib.as_array(pointer, shape=shape).copy()


def _hex_bytes(error):
    return "".join(f"<0x{byte:02X}>" for byte in error.object[error.start:error.end]), error.end


codecs.register_error("pith-hex", _hex_bytes)  # as `pith tokenize --pieces` shows bytes


class _Callback:
    """A Python function to be called from C: the first exception in it is kept and raised by check
    once C has returned; the calls after it answer `failed`."""

    def __init__(self, function, failed=None):
        self.function = function
        self.failed = failed
        self.exception = None

    def __call__(self, *arguments):
        if self.exception is not None:
            return self.failed
        try:
            return self.function(*arguments)
        except BaseException as exception:  # C must not be unwound
            self.exception = exception
            return self.failed

    def check(self):
        exception, self.exception = self.exception, None
        try:
            if exception is not None:
                raise exception
        finally:
            del exception  # its traceback holds this frame


def _go_on(function):
    """For callbacks that C asks whether to go on: only False says no. Not called when None."""
    return _Callback(lambda user, *arguments: function(*arguments) is not False, False)


# ---- Model ---------------------------------------------------------------------------------------


class _SharedModel:
    """A pith_model, freed when the Model and everything made from it have let go."""

    def __init__(self, library, pointer, keep):
        self.library = library
        self.pointer = pointer
        self.keep = keep  # callbacks that C may call
        self.users = 0
        self.lock = threading.Lock()

    def retain(self):
        with self.lock:
            self.users += 1

    def release(self):
        with self.lock:
            self.users -= 1
            last = self.users == 0
        if last:
            self.library.model_free(self.pointer)


class _Owner:
    """Owns a C object of a model: frees it once, by close(), a with statement, or in the end."""

    _name = "object"
    _shared = None
    _pointer = None

    def _own(self, shared, pointer, free=None):
        shared.retain()
        self._shared = shared
        self._pointer = pointer
        self._free = free

    @property
    def _c(self):
        if self._pointer is None:
            raise PithError("argument", f"the {self._name} is closed")
        return self._pointer

    @property
    def _lib(self):
        return self._shared.library

    def close(self):
        pointer, self._pointer = self._pointer, None
        if pointer is not None:
            if self._free is not None:
                self._free(pointer)
            self._shared.release()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        self.close()


class Model(_Owner):
    """An open .pith file. Options are the fields of pith_model_options: n_threads, isa, blas
    ("auto", "on", "off"), map; tuning is the path of a file of `pith bench --tune --save`. log is
    called with ("info" or "warning", message), load with (bytes read, bytes in all) and stops the
    reading by returning False."""

    _name = "model"

    def __init__(self, path, *, library=None, blas="auto", isa=None, log=None, load=None,
                 tuning=None, **options):
        lib = _library(library)
        c = _fill(ModelOptions, options)
        c.blas = _choice("blas", blas, BLAS)
        c.isa = None if isa is None else _string("isa", isa)
        if tuning is not None:
            c.tuning = ctypes.pointer(Tuning())
            lib.tuning_load(c.tuning, _path(tuning))
        keep = []
        reading = _go_on(load)
        if log is not None:
            c.log = LogFn(lambda user, level, text: log(LOG_LEVELS[level],
                                                        text.decode("utf-8", "replace")))
            keep.append(c.log)
        if load is not None:
            c.load = LoadFn(reading)
        pointer = _void()
        try:
            lib.model_open(ctypes.byref(pointer), _path(path), ctypes.byref(c))
        except PithError:
            reading.check()
            raise
        self._own(_SharedModel(lib, pointer, keep), pointer)
        self.info = self._read_info()

    def _read_info(self):
        """The fields of pith_model_info, with `eos` as a tuple, `prompts` and `chat_templates` as
        dictionaries."""
        c = ModelInfo()
        self._lib.model_get_info(self._c, ctypes.byref(c))
        info = {name: getattr(c, name) for name, _ in c._fields_
                if name not in ("n_eos", "n_prompts", "n_chat_templates")}
        info = {name: value.decode("utf-8", "replace") if isinstance(value, bytes) else value
                for name, value in info.items()}
        info["eos"] = tuple(c.eos[:c.n_eos])
        info["chat_templates"] = {t.name.decode(): t.text.decode("utf-8", "replace")
                                  for t in c.chat_templates[:c.n_chat_templates]}
        info["prompts"] = {p.name.decode(): p.text.decode() for p in c.prompts[:c.n_prompts]}
        return types.SimpleNamespace(**info)

    def tokenize(self, text, *, bos=False, special=False):
        """The text's token ids. With bos="auto" what the tokenizer puts around a text is there too,
        with True its beginning-of-text token alone."""
        data = Text.of(_bytes(text))
        flags = TOKENIZE_AUTO if bos == "auto" else TOKENIZE_BOS if bos else 0
        flags |= TOKENIZE_SPECIAL if special else 0
        return self._lib.tokens(self._lib.tokenize, self._c, data, flags)

    def detokenize(self, tokens):
        """The text of token ids."""
        tokens = _token_array(tokens)
        return _text_of(self._lib.detokenize, 8 * len(tokens), self._c, _data(tokens), len(tokens))

    def token_text(self, token):
        """The vocabulary's spelling of a token; bytes that are no character are "<0xE2>"."""
        text = Text()
        self._lib.token_text(self._c, int(_token_array([token])[0]), ctypes.byref(text))
        return text.get("pith-hex")

    def chat_format(self, messages, *, template_name=None, template_text=None,
                    add_generation_prompt=True, local_time=0, **variables):
        """Token ids of a conversation by the model's template; messages are (role, content) pairs,
        or dictionaries as the template knows them. The template's clock shows local_time, seconds
        since 1970, or the time in UTC. Further arguments are variables of the template: tools,
        documents, enable_thinking."""
        array, n, options = _conversation(messages, template_name, template_text,
                                          add_generation_prompt, local_time, variables)
        return self._lib.tokens(self._lib.chat_format, self._c, array, n, ctypes.byref(options))

    def chat_text(self, messages, *, template_name=None, template_text=None,
                  add_generation_prompt=True, local_time=0, **variables):
        """The text that chat_format encodes."""
        array, n, options = _conversation(messages, template_name, template_text,
                                          add_generation_prompt, local_time, variables)
        return _text_of(self._lib.chat_text, 4096, self._c, array, n, ctypes.byref(options))

    def chat_end(self, *, template_name=None, template_text=None):
        """The token that the template writes behind an answer; None where there is none."""
        token = _token(-1)
        options = _conversation([], template_name, template_text, True, 0, {})[2]
        self._lib.chat_end(self._c, ctypes.byref(options), ctypes.byref(token))
        return token.value if token.value >= 0 else None

    def infill_format(self, prefix, suffix, *, suffix_first=False):
        """Token ids of a Code Llama infilling prompt."""
        return self._lib.tokens(self._lib.infill_format, self._c, Text.of(_bytes(prefix)),
                                Text.of(_bytes(suffix)), suffix_first)

    def session(self, *, kv_type="auto", **options):
        """A new Session. Options are the fields of pith_session_options: n_context, n_batch,
        all_logits, and kv_type ("auto", "f32", "f16", "int8")."""
        return self._session("session_new", (), kv_type, options)

    def kv_bytes(self, n_positions, *, kv_type="auto"):
        """Bytes of KV cache that a timeline of n_positions takes."""
        return self._lib.model_kv_bytes(self._c, _choice("kv_type", kv_type, KV_TYPES),
                                        operator.index(n_positions))

    def load_session(self, path, *, kv_type="auto", **options):
        """The Session that Session.save wrote."""
        return self._session("session_load", (_path(path),), kv_type, options)

    def _session(self, function, arguments, kv_type, options):
        c = _fill(SessionOptions, options)
        c.kv_type = _choice("kv_type", kv_type, KV_TYPES)
        pointer = _void()
        getattr(self._lib, function)(ctypes.byref(pointer), self._c, *arguments, ctypes.byref(c))
        return Session(self, pointer)

    def sampler(self, **settings):
        """A Sampler. Settings are the fields of pith_sampling: temperature (0: greedy), top_k,
        top_p, min_p, repeat_penalty, repeat_last_n, frequency_penalty, presence_penalty, seed."""
        return Sampler(self, settings)

    def decoder(self):
        return Decoder(self)

    def grammar(self, schema):
        """A Grammar of a JSON schema: a text, or what json.dumps makes one of."""
        return Grammar(self, schema)

    def logit_lens(self, rows):
        """Final norm and head on rows of the residual stream: [n, n_embd] to [n, n_vocab], one row
        [n_embd] to [n_vocab]."""
        rows = np.ascontiguousarray(rows, dtype=np.float32)
        if rows.ndim not in (1, 2) or rows.shape[-1] != self.info.n_embd:
            raise PithError("argument", f"rows have the shape {rows.shape}, not [n, n_embd = "
                                        f"{self.info.n_embd}]")
        out = np.empty(rows.shape[:-1] + (self.info.n_vocab,), dtype=np.float32)
        n = 1 if rows.ndim == 1 else len(rows)
        self._lib.logit_lens(self._c, _data(rows), n, _data(out))
        return out

    def embed(self, texts, *, prompt=None, prompt_name=None, dimensions=None, truncate=True,
              progress=None, details=False):
        """Embeddings [n, n_embd] of texts with an encoder, or the first dimensions of them,
        normalised; a text may be a pair (text, text), of a cross-encoder it must.
        In front of each comes prompt, or the model's prompt of that name (info.prompts has them),
        or without either the model's default, if it has one; prompt="" is none.
        progress is called with (done, n) and stops by returning False. With details also a list
        with n_tokens and truncated of each text."""
        if isinstance(texts, (str, bytes)):
            raise TypeError("texts is a list of texts, not one text")
        texts = list(texts)
        inputs = (EmbedInput * len(texts))()
        for c, text in zip(inputs, texts):
            if not isinstance(text, (str, bytes)):
                text, pair = text
                c.pair = Text.of(_bytes(pair))
            c.text = Text.of(_bytes(text))
        options = EmbedOptions(no_truncate=not truncate)
        options.prompt = None if prompt is None else _string("a prompt", prompt)
        options.prompt_name = (None if prompt_name is None
                               else _string("a prompt's name", prompt_name))
        options.dimensions = dimensions or 0
        callback = _go_on(progress)
        if progress is not None:
            options.progress = ProgressFn(callback)
        out = np.empty((len(texts), dimensions or self.info.n_embd), dtype=np.float32)
        results = (EmbedResult * len(texts))()
        try:
            self._lib.embed(self._c, inputs, len(texts), ctypes.byref(options), _data(out),
                            results)
        finally:
            callback.check()
        if not details:
            return out
        return out, [types.SimpleNamespace(n_tokens=r.n_tokens, truncated=r.truncated)
                     for r in results]

    def rerank(self, query, documents, *, truncate=True):
        """How well each of the documents answers the query, [n]: the scores of a cross-encoder, or
        cosines of an encoder's embeddings, with its prompts for queries and documents."""
        documents = [_bytes(text) for text in documents]
        texts = (Text * len(documents))(*map(Text.of, documents))
        out = np.empty(len(documents), dtype=np.float32)
        self._lib.rerank(self._c, Text.of(_bytes(query)), texts, len(documents),
                         ctypes.byref(RerankOptions(no_truncate=not truncate)), _data(out), None)
        return out

    def embed_fingerprint(self):
        """What decides an encoder's vectors, as 32 digits to be kept beside them."""
        text = ctypes.create_string_buffer(33)
        self._lib.embed_fingerprint(self._c, text)
        return text.value.decode()


# ---- Session -------------------------------------------------------------------------------------


class Session(_Owner):
    """One timeline of tokens with its KV cache; made by Model.session."""

    _name = "session"
    _running = staticmethod(lambda: None)  # then a weak reference to the last Generation

    def __init__(self, model, pointer):
        self.model = model
        self._own(model._shared, pointer, model._lib.session_free)
        self._observer = None  # (function, names, _Callback, ObserveFn)

    @property
    def _c(self):
        """The C session, with no generation going on in it."""
        generation = self._running()
        if generation is not None and generation.started:
            generation.close()
        return super()._c

    def close(self):
        if self._pointer is not None:
            self._c  # ends a generation
        super().close()

    def eval(self, tokens):
        """Appends token ids to the timeline."""
        tokens = _token_array(tokens)
        try:
            self._lib.session_eval(self._c, _data(tokens), len(tokens))
        finally:
            self._check_observer()

    def logits(self):
        """Logits [n_vocab] of the last token."""
        return self._logits(self._lib.session_logits(self._c))

    def logits_at(self, i):
        """With all_logits: logits [n_vocab] of the i-th token of the last eval."""
        return self._logits(self._lib.session_logits_at(self._c, operator.index(i)))

    def all_logits(self):
        """With all_logits: logits [n, n_vocab] of all tokens of the last eval."""
        rows = [self.logits_at(0)]
        while self._lib.session_logits_at(self._c, len(rows)):
            rows.append(self.logits_at(len(rows)))
        return np.stack(rows)

    def _logits(self, pointer):
        if not pointer:
            raise PithError("argument", "no such logits: nothing was evaluated, the session was "
                                        "rewound, or it was made without all_logits")
        return _copy(pointer, self.model.info.n_vocab)

    @property
    def length(self):
        return self._lib.session_length(self._c)

    @property
    def tokens(self):
        return self._lib.session_tokens(self._c)[:self.length]

    @property
    def context(self):
        return self._lib.session_context(self._c)

    @property
    def memory(self):
        """Bytes of KV cache that the session holds now, shared with forks or not."""
        return self._lib.session_memory(self._c)

    def rewind(self, n_tokens):
        """Forgets everything after the first n_tokens tokens."""
        self._lib.session_rewind(self._c, operator.index(n_tokens))

    def reuse(self, tokens):
        """Rewinds to what the timeline and tokens have in common; how many tokens that is."""
        tokens, n = _token_array(tokens), _size()
        self._lib.session_reuse(self._c, _data(tokens), len(tokens), ctypes.byref(n))
        return n.value

    def fork(self):
        """A second Session that goes on from here by itself."""
        pointer = _void()
        self._lib.session_fork(ctypes.byref(pointer), self._c)
        return Session(self.model, pointer)

    def save(self, path):
        """Writes the session to a file, for Model.load_session."""
        self._lib.session_save(self._c, _path(path))

    def observe(self, function, *names):
        """From now on calls function(name, rows) with the float32 rows [n, columns] of every tensor
        that pith_session_observe knows, or only of those named; None ends it."""
        if function is None:
            self._lib.session_observe(self._c, ObserveFn(), None)
            self._observer = None
            return
        wanted = frozenset(names)

        def receive(user, name, data, n_rows, n_cols):
            name = name.decode()
            if not wanted or name in wanted:
                function(name, _copy(data, n_rows, n_cols))

        callback = _Callback(receive)
        observer = function, names, callback, ObserveFn(callback)
        self._lib.session_observe(self._c, observer[-1], None)
        self._observer = observer

    def _check_observer(self):
        if self._observer is not None:
            self._observer[2].check()

    @contextlib.contextmanager
    def record(self, *names):
        """Collects what observe sees: after the with block the dictionary holds the rows of every
        tensor, or of those named, over all that was evaluated within."""
        function, before, *_ = self._observer or (None, ())
        rows, seen = {}, {}
        self.observe(lambda name, data: rows.setdefault(name, []).append(data), *names)
        try:
            yield seen
        finally:
            self.observe(function, *before)
            seen.update((name, np.concatenate(parts)) for name, parts in rows.items())

    def generate(self, prompt, *, max_tokens=0, stop=(), ignore_eos=False, speculate=0, eos=(),
                 bias=None, grammar=None, **sampling):
        """A Generation: iterate over it for the text after the prompt. A prompt is a text, around
        which comes what the tokenizer puts there if the timeline is empty, or token ids. `eos`
        holds further end tokens, `bias` numbers to add to the logits of tokens, by their ids;
        `grammar` is a Grammar that the text keeps to. Sampling settings are those of
        Model.sampler."""
        begins = self.length == 0
        if isinstance(prompt, (str, bytes)):
            prompt = self.model.tokenize(prompt, bos="auto" if begins else False)
        stops = [_string("a stop text", text)
                 for text in ((stop,) if isinstance(stop, (str, bytes)) else stop)]
        params = _fill(GenerateParams, {"max_tokens": max_tokens, "ignore_eos": ignore_eos,
                                        "speculate": speculate, "n_stops": len(stops)})
        eos = _token_array(eos)
        params.eos, params.n_eos = _data(eos), len(eos)
        params.sampling = _fill(Sampling, sampling)
        params.stops = (_text * len(stops))(*stops)
        bias = bias or {}
        ids = _token_array(list(bias)) if bias else ()
        pairs = (LogitBias * len(bias))(*zip(map(int, ids), map(float, bias.values())))
        params.bias, params.n_bias = pairs, len(bias)
        params.kept = eos, pairs  # which C only points at
        return Generation(self, _token_array(prompt), params, grammar)


def batch_eval(sessions, tokens):
    """Evaluates several sessions of one model in one pass, appending tokens[i] to sessions[i]."""
    arrays = [_token_array(some) for some in tokens]
    if len(arrays) != len(sessions) or not arrays:
        raise PithError("argument", f"{len(sessions)} sessions and {len(arrays)} lists of tokens")
    n = len(arrays)
    try:
        sessions[0]._lib.batch_eval((_void * n)(*(s._c for s in sessions)), n,
                                    (_tokens * n)(*map(_data, arrays)),
                                    (_size * n)(*map(len, arrays)))
    finally:
        sessions[0]._check_observer()


# ---- Generation ----------------------------------------------------------------------------------


class _Run:
    """pith_generate in a thread, in step with its consumer: after each piece of text it waits until
    the next one is asked for. So the timeline ends where the consumer stopped."""

    def __init__(self, session, tokens, params, grammar):
        self.session = session
        self.tokens = tokens
        self.params = params
        self.grammar = grammar
        self.pieces = queue.SimpleQueue()  # texts, then None
        self.wanted = threading.Semaphore(0)
        self.stopped = False
        self.error = None
        self.usage = None

    def on_text(self, user, text):
        if text.n_bytes != 0 and not self.stopped:
            self.pieces.put(text.get())
            self.wanted.acquire()
        return not self.stopped

    def work(self):
        usage = Usage()
        callback = _Callback(self.on_text, False)
        try:
            self.session._lib.generate(self.session._pointer, _data(self.tokens),
                                       len(self.tokens), ctypes.byref(self.params),
                                       TextFn(callback), None, ctypes.byref(usage))
            callback.check()
            self.session._check_observer()
            self.usage = {name: getattr(usage, name) for name, _ in usage._fields_}
            self.usage["finish"] = FINISHES[usage.finish]
        except BaseException as error:  # for the consumer
            self.error = error
        finally:
            self.pieces.put(None)


class Generation:
    """An iterator over text. Leaving the loop early ends the generation: at the latest when the
    session is used again, this object is gone, or close() is called. Afterwards `usage` has the
    fields of pith_usage (None after an error); its times include what the loop's body took."""

    _thread = None  # while pith_generate runs

    def __init__(self, session, tokens, params, grammar):
        self._run = _Run(session, tokens, params, grammar)
        self._done = False
        self.usage = None

    @property
    def started(self):
        return self._thread is not None

    def __iter__(self):
        return self

    def __next__(self):
        if self._done:
            raise StopIteration
        try:
            if self.started:
                self._run.wanted.release()
            else:
                self._start()
            piece = self._run.pieces.get()
        except BaseException:  # Ctrl-C while waiting
            self.close()
            raise
        if piece is not None:
            return piece
        self.close()
        error, self._run.error = self._run.error, None
        try:
            raise error or StopIteration
        finally:
            del error  # its traceback holds this frame

    def _start(self):
        session = self._run.session
        session._c  # ends another generation; fails when the session is closed
        if self._run.grammar is not None:
            self._run.params.grammar = self._run.grammar._c
        self._thread = threading.Thread(target=self._run.work, daemon=True)
        session._running = weakref.ref(self)
        _started.add(self)
        self._thread.start()

    def close(self):
        """Ends the generation, if it still goes on, and waits for its last step."""
        thread, self._done = self._thread, True
        if thread is threading.current_thread():
            raise PithError("argument", "the session is used from within its own generation")
        if thread is not None:
            self._run.stopped = True
            self._run.wanted.release()
            if thread.ident is not None:  # it could be started
                thread.join()
            self._thread = None
        if self._run.usage is not None:
            self.usage = types.SimpleNamespace(**self._run.usage)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def __del__(self):
        if self._thread is not threading.current_thread():
            self.close()


_started = weakref.WeakSet()


@atexit.register
def _end_generations():
    """Once the interpreter goes down, a thread that waits in it can no longer be joined."""
    for generation in list(_started):
        generation.close()


# ---- Sampling and decoding by hand ---------------------------------------------------------------


class Sampler(_Owner):
    """Chooses tokens from logits; made by Model.sampler."""

    _name = "sampler"

    def __init__(self, model, settings):
        pointer = _void()
        model._lib.sampler_new(ctypes.byref(pointer), model._c,
                               ctypes.byref(_fill(Sampling, settings)))
        self._own(model._shared, pointer, model._lib.sampler_free)
        self._n_vocab = model.info.n_vocab

    def accept(self, token):
        """Records a token in the penalty window."""
        self._lib.sampler_accept(self._c, int(_token_array([token])[0]))

    def sample(self, logits):
        """A token chosen from logits [n_vocab]."""
        logits = np.ascontiguousarray(logits, dtype=np.float32)
        if logits.shape != (self._n_vocab,):
            raise PithError("argument", f"logits have the shape {logits.shape}, not "
                                        f"({self._n_vocab},)")
        token = _token()
        self._lib.sample(self._c, _data(logits), ctypes.byref(token))
        return token.value


class Grammar(_Owner):
    """The JSON values that a schema allows; made by Model.grammar, for any number of generations,
    also at once."""

    _name = "grammar"

    def __init__(self, model, schema):
        text = schema if isinstance(schema, (str, bytes)) else json.dumps(schema)
        pointer = _void()
        model._lib.grammar_new(ctypes.byref(pointer), model._c, Text.of(_bytes(text)))
        self._own(model._shared, pointer, model._lib.grammar_free)


class Decoder(_Owner):
    """Turns tokens into text one at a time; made by Model.decoder."""

    _name = "decoder"

    def __init__(self, model):
        pointer = _void()
        model._lib.decoder_new(ctypes.byref(pointer), model._c)
        self._own(model._shared, pointer, model._lib.decoder_free)

    def push(self, token):
        """The text that became complete with this token, maybe none."""
        text = Text()
        self._lib.decoder_push(self._c, int(_token_array([token])[0]), ctypes.byref(text))
        return text.get()

    def finish(self):
        """The text that was held back; the decoder is then ready for a new one."""
        text = Text()
        self._lib.decoder_finish(self._c, ctypes.byref(text))
        return text.get()
