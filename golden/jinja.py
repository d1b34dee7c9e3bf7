"""Jinja2 with the settings of transformers' apply_chat_template: the reference for chat templates.

Needs Debian's python3-jinja2, or jinja2 from PyPI, 3.1 or later."""

import datetime
import json

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

NOW = datetime.datetime(2026, 3, 4, 5, 6, 7)


class Generation(jinja2.ext.Extension):
    """{% generation %}, which marks what the assistant wrote; the text stays as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller):
        return caller()


def tojson(value, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators,
                      sort_keys=sort_keys)


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def environment():
    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True,
        extensions=[Generation, "jinja2.ext.loopcontrols"])
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = NOW.strftime
    return made


def render(template, conversation):
    """("output", text) or ("error", what went wrong)."""
    variables = {key: value for key, value in conversation.items() if key != "strftime_now"}
    try:
        text = environment().from_string(template).render(**variables)
        text.encode()
        return "output", text
    except Exception as problem:  # whatever Python raises, an engine must refuse too
        return "error", f"{type(problem).__name__}: {problem}"
