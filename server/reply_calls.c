/* Reading the calls of tools in a reply: JSON in the forms that models write. */
#include "server/reply_parts.h"

#include "base/json_write.h"
#include "base/memory.h"
#include "base/text.h"

#include <string.h>

const char *pith_call_mark(pith_call_form form) {
    switch (form) {
    case PITH_CALLS_HERMES:
        return PITH_HERMES_MARK;
    case PITH_CALLS_MISTRAL:
        return PITH_MISTRAL_MARK;
    case PITH_CALLS_LLAMA3:
        return PITH_LLAMA3_MARK;
    case PITH_CALLS_NONE:
        break;
    }
    return NULL;
}

/* ---- Where a value ends ---------------------------------------------------------------------- */

pith_call_verdict pith_reply_scan(pith_json_scan *scan, const char *text, size_t n) {
    if (scan->n > 0 && scan->depth == 0) {
        return PITH_CALL_READ;
    }
    while (scan->n < n) {
        char c = text[scan->n++];
        if (scan->in_string) {
            scan->in_string = scan->escaped || c != '"';
            scan->escaped = c == '\\' && !scan->escaped;
        } else if (c == '"') {
            scan->in_string = true;
        } else if (c == '{' || c == '[') {
            scan->depth++;
        } else if ((c == '}' || c == ']') && --scan->depth == 0) {
            return PITH_CALL_READ;
        }
    }
    return PITH_CALL_UNSURE;
}

/* The value that begins at text[from], an object or, with `list`, an array: *size are its bytes. */
static pith_call_verdict find_value(pith_reply *r, pith_text text, size_t from, bool list,
                                    size_t *size) {
    if (from == text.n_bytes) {
        return r->finished ? PITH_CALL_NONE : PITH_CALL_UNSURE;
    }
    if (text.data[from] != '{' && !(list && text.data[from] == '[')) {
        return PITH_CALL_NONE;
    }
    if (!r->scanning || r->value != from) {
        r->scanning = true;
        r->value = from;
        r->scan = (pith_json_scan){.n = 0};
    }
    pith_call_verdict verdict = pith_reply_scan(&r->scan, text.data + from, text.n_bytes - from);
    *size = r->scan.n;
    bool endless = verdict == PITH_CALL_UNSURE && (r->finished || *size > PITH_REPLY_MAX_CALL);
    return endless ? PITH_CALL_NONE : verdict;
}

/* ---- Documents ------------------------------------------------------------------------------- */

/* Arguments of an object of a call: one of two names, an object or the text of one. */
static pith_json arguments_of(pith_json call) {
    pith_json arguments = pith_json_get(call, "arguments");
    return arguments.at != NULL ? arguments : pith_json_get(call, "parameters");
}

bool pith_reply_is_tool(const pith_reply *r, pith_text name) {
    for (size_t i = 0; i < r->settings.n_tools; i++) {
        if (pith_text_is(name, r->settings.tools[i])) {
            return true;
        }
    }
    return false;
}

static bool is_call(const pith_reply *r, pith_json call) {
    pith_json name = pith_json_get(call, "name");
    pith_json arguments = arguments_of(call);
    if (!pith_json_is(name, PITH_JSON_STRING) || pith_json_text_size(name) == 0 ||
        !(arguments.at == NULL || pith_json_is(arguments, PITH_JSON_OBJECT))) {
        return false;
    }
    return r->n_mark > 0 ||
           pith_reply_is_tool(r, (pith_text){pith_json_text(name), pith_json_text_size(name)});
}

/* Reads text [n], one object or a list of them; `named`: the object is the arguments of a call. */
static pith_call_verdict read_document(pith_reply *r, const char *text, size_t n, bool named) {
    pith_json root;
    pith_status status = pith_json_read_copy(&root, &r->document, text, n, PITH_JSON_STRICT, "call",
                                             r->allocator, NULL);
    bool good = status == PITH_OK;
    bool list = good && pith_json_is(root, PITH_JSON_ARRAY);
    pith_json_walk walk = pith_json_begin(list ? root : (pith_json){NULL});
    bool any = !list;
    while (good && pith_json_next(&walk)) {
        any = true;
        good = is_call(r, walk.value);
    }
    good = good && any && (list || named || is_call(r, root));
    if (!good) {
        r->failed = status == PITH_ERROR_MEMORY;
        pith_release(r->allocator, r->document);
        r->document = NULL;
        return PITH_CALL_NONE;
    }
    r->walk = pith_json_begin(list ? root : (pith_json){NULL});
    r->lone = list ? (pith_json){NULL} : root;
    r->state = PITH_REPLY_GIVING;
    return PITH_CALL_READ;
}

/* ---- Forms ----------------------------------------------------------------------------------- */

/* <tool_call> {...} </tool_call>; the answer may end without the last mark. */
static pith_call_verdict read_hermes(pith_reply *r, pith_text text) {
    size_t from = pith_reply_skip_space(text.data, text.n_bytes, r->n_mark);
    size_t size;
    pith_call_verdict verdict = find_value(r, text, from, false, &size);
    if (verdict != PITH_CALL_READ) {
        return verdict;
    }
    size_t end = pith_reply_skip_space(text.data, text.n_bytes, from + size);
    bool whole;
    if (!pith_reply_at_mark(text, end, PITH_HERMES_END, &whole)) {
        return PITH_CALL_NONE;
    }
    if (!whole && !r->finished) {
        return PITH_CALL_UNSURE;
    }
    verdict = read_document(r, text.data + from, size, false);
    if (verdict == PITH_CALL_READ) {
        r->at += whole ? end + sizeof PITH_HERMES_END - 1 : text.n_bytes;
    }
    return verdict;
}

/* The name in front of [ARGS] or [CALL_ID]. Returns where its end is; SIZE_MAX: it is no name. */
static size_t name_end(pith_text text, size_t from) {
    enum { MAX_NAME = 256 };
    size_t at = from;
    while (at < text.n_bytes && at - from <= MAX_NAME) {
        char c = text.data[at];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                    c == '_' || c == '-' || c == '.';
        if (!good) {
            break;
        }
        at++;
    }
    return at > from && at - from <= MAX_NAME ? at : SIZE_MAX;
}

bool pith_reply_is_name(pith_text name) {
    return name.n_bytes > 0 && name_end(name, 0) == name.n_bytes;
}

pith_call_verdict pith_calls_find_arguments(const pith_reply *r, pith_text text, size_t name,
                                            size_t *n_name, size_t *from) {
    size_t end = name_end(text, name);
    bool whole = false;
    if (end == SIZE_MAX) {
        return name == text.n_bytes && !r->finished ? PITH_CALL_UNSURE : PITH_CALL_NONE;
    }
    *n_name = end - name;
    if (pith_reply_at_mark(text, end, PITH_MISTRAL_ID, &whole) && whole) {
        size_t id = end + sizeof PITH_MISTRAL_ID - 1;
        end = name_end(text, id);
        if (end == SIZE_MAX) {
            return id == text.n_bytes && !r->finished ? PITH_CALL_UNSURE : PITH_CALL_NONE;
        }
    } else if (end < text.n_bytes && pith_reply_at_mark(text, end, PITH_MISTRAL_ID, &whole) &&
               !r->finished) {
        return PITH_CALL_UNSURE;
    }
    if (!pith_reply_at_mark(text, end, PITH_MISTRAL_ARGUMENTS, &whole)) {
        return PITH_CALL_NONE;
    }
    *from = end + sizeof PITH_MISTRAL_ARGUMENTS - 1;
    return whole ? PITH_CALL_READ : r->finished ? PITH_CALL_NONE : PITH_CALL_UNSURE;
}

static pith_call_verdict read_mistral_named(pith_reply *r, pith_text text, size_t name) {
    size_t n_name;
    size_t from;
    size_t size;
    pith_call_verdict verdict = pith_calls_find_arguments(r, text, name, &n_name, &from);
    if (verdict != PITH_CALL_READ) {
        return verdict;
    }
    from = pith_reply_skip_space(text.data, text.n_bytes, from);
    verdict = find_value(r, text, from, false, &size);
    if (verdict != PITH_CALL_READ) {
        return verdict;
    }
    verdict = read_document(r, text.data + from, size, true);
    if (verdict == PITH_CALL_READ) {
        r->name = (pith_text){text.data + name, n_name};
        r->at += from + size;
    }
    return verdict;
}

static pith_call_verdict read_mistral(pith_reply *r, pith_text text) {
    size_t from = pith_reply_skip_space(text.data, text.n_bytes, r->n_mark);
    if (from < text.n_bytes && text.data[from] != '[' && text.data[from] != '{') {
        return read_mistral_named(r, text, from);
    }
    size_t size;
    pith_call_verdict verdict = find_value(r, text, from, true, &size);
    if (verdict == PITH_CALL_READ) {
        verdict = read_document(r, text.data + from, size, false);
    }
    if (verdict == PITH_CALL_READ) {
        r->at += from + size;
    }
    return verdict;
}

pith_call_verdict pith_calls_read_one(pith_reply *r) {
    pith_text text = pith_reply_rest(r);
    size_t from = pith_reply_skip_space(text.data, text.n_bytes, 0);
    size_t size;
    pith_call_verdict verdict = find_value(r, text, from, false, &size);
    if (verdict == PITH_CALL_READ) {
        verdict = read_document(r, text.data + from, size, false);
    }
    if (verdict == PITH_CALL_READ) {
        r->at += from + size;
    }
    return verdict;
}

/* An object, with or without a mark; the next one may stand behind a ';'. Without a mark the whole
 * answer must be calls, so the first is one only when another or the end follows. */
static pith_call_verdict read_llama3(pith_reply *r, pith_text text) {
    size_t from = pith_reply_skip_space(text.data, text.n_bytes, r->n_mark);
    size_t size;
    pith_call_verdict verdict = find_value(r, text, from, false, &size);
    if (verdict != PITH_CALL_READ) {
        return verdict;
    }
    size_t end = pith_reply_skip_space(text.data, text.n_bytes, from + size);
    if (end == text.n_bytes && !r->finished) {
        return PITH_CALL_UNSURE;
    }
    if (r->n_mark == 0 && end < text.n_bytes && text.data[end] != ';' && text.data[end] != '{') {
        return PITH_CALL_NONE;
    }
    verdict = read_document(r, text.data + from, size, false);
    if (verdict == PITH_CALL_READ) {
        r->at += end + (end < text.n_bytes && text.data[end] == ';');
    }
    return verdict;
}

pith_call_verdict pith_calls_read(pith_reply *r) {
    pith_text text = pith_reply_rest(r);
    switch (r->settings.form) {
    case PITH_CALLS_HERMES:
        return read_hermes(r, text);
    case PITH_CALLS_MISTRAL:
        return read_mistral(r, text);
    case PITH_CALLS_LLAMA3:
        return read_llama3(r, text);
    case PITH_CALLS_NONE:
        break;
    }
    return PITH_CALL_NONE;
}

/* ---- Giving ---------------------------------------------------------------------------------- */

/* Copies name and arguments to the scratch buffer and points the part at them. */
static bool give(pith_reply *r, pith_text name, pith_json arguments, pith_reply_part *out) {
    pith_json_writer json;
    pith_json_write_begin(&json, r->allocator);
    json.bytes = r->scratch;
    json.bytes.size = 0;
    if (arguments.at != NULL) {
        pith_json_put_copy(&json, NULL, arguments);
    } else {
        pith_json_open(&json, NULL, '{');
        pith_json_close(&json, '}');
    }
    bool good = pith_json_write_end(&json, "arguments", NULL) == PITH_OK;
    r->scratch = json.bytes;
    size_t n = r->scratch.size;
    if (!good || !pith_bytes_append(&r->scratch, name.data, name.n_bytes)) {
        r->failed = true;
        return false;
    }
    *out = (pith_reply_part){.kind = PITH_REPLY_CALL,
                             .text = {r->scratch.data, n},
                             .name = {r->scratch.data + n, name.n_bytes},
                             .index = r->n_calls++};
    return true;
}

bool pith_calls_next(pith_reply *r, pith_reply_part *out) {
    pith_json call = r->lone;
    r->lone = (pith_json){NULL};
    if (call.at == NULL && pith_json_next(&r->walk)) {
        call = r->walk.value;
    }
    if (call.at == NULL) {
        pith_release(r->allocator, r->document);
        r->document = NULL;
        r->state = r->settings.form == PITH_CALLS_LLAMA3 ? PITH_REPLY_AT_TEXT
                   : r->list                             ? PITH_REPLY_BEHIND_CALL
                                                         : PITH_REPLY_IN_TEXT;
        r->skip_space = true;
        return false;
    }
    pith_text name = r->name;
    r->name = (pith_text){NULL, 0};
    if (name.data != NULL) {
        return give(r, name, call, out);
    }
    pith_json spelled = pith_json_get(call, "name");
    return give(r, (pith_text){pith_json_text(spelled), pith_json_text_size(spelled)},
                arguments_of(call), out);
}
