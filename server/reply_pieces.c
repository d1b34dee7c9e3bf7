/* Calls that are given while the model writes them: first the name, then the arguments as they
 * come. A call has begun when the text is one up to the brace of its arguments,
 *
 *     <tool_call> {"name": "get_weather", "arguments": {
 *
 * and stays one whatever follows. Of members in another order, or names with escapes, a call is
 * given whole (reply_calls.c); so is the object of LLAMA3 that stands without a mark, which may
 * still turn out to be an answer. */
#include "server/reply_parts.h"

#include <string.h>

/* Goes on behind white space and the word. */
static pith_call_verdict expect(pith_text text, size_t *at, const char *word) {
    size_t from = pith_reply_skip_space(text.data, text.n_bytes, *at);
    bool whole;
    if (!pith_reply_at_mark(text, from, word, &whole)) {
        return PITH_CALL_NONE;
    }
    *at = from + strlen(word);
    return whole ? PITH_CALL_READ : PITH_CALL_UNSURE;
}

/* Goes on behind a name without escapes and its quote. */
static pith_call_verdict expect_name(pith_text text, size_t *at, pith_text *name) {
    enum { MAX_NAME = 256 /* bytes */ };
    size_t end = *at;
    while (end < text.n_bytes && text.data[end] != '"') {
        if (text.data[end] == '\\' || (unsigned char)text.data[end] < ' ') {
            return PITH_CALL_NONE;
        }
        end++;
    }
    *name = (pith_text){text.data + *at, end - *at};
    *at = end + 1;
    if (name->n_bytes > MAX_NAME || (end < text.n_bytes && name->n_bytes == 0)) {
        return PITH_CALL_NONE;
    }
    return end < text.n_bytes ? PITH_CALL_READ : PITH_CALL_UNSURE;
}

/* {"name": "...", "arguments": { from `at`; *at is the last brace then. */
static pith_call_verdict read_head(pith_text text, size_t *at, pith_text *name) {
    static const char *const before[] = {"{", "\"name\"", ":", "\""};
    pith_call_verdict verdict = PITH_CALL_READ;
    for (size_t i = 0; i < 4 && verdict == PITH_CALL_READ; i++) {
        verdict = expect(text, at, before[i]);
    }
    if (verdict == PITH_CALL_READ) {
        verdict = expect_name(text, at, name);
    }
    if (verdict == PITH_CALL_READ) {
        verdict = expect(text, at, ",");
    }
    if (verdict != PITH_CALL_READ) {
        return verdict;
    }
    size_t other = *at;
    verdict = expect(text, at, "\"arguments\"");
    if (verdict == PITH_CALL_NONE) {
        *at = other;
        verdict = expect(text, at, "\"parameters\"");
    }
    if (verdict == PITH_CALL_READ) {
        verdict = expect(text, at, ":");
    }
    if (verdict == PITH_CALL_READ) {
        verdict = expect(text, at, "{");
        *at -= verdict == PITH_CALL_READ;
    }
    return verdict;
}

/* The name is known, and the arguments begin at `at` of the rest. */
static void begin(pith_reply *r, pith_text name, size_t at, pith_reply_part *out) {
    *out = (pith_reply_part){.kind = PITH_REPLY_CALL,
                             .text = {"", 0},
                             .name = name,
                             .index = r->n_calls++};
    r->at += at;
    r->scan = (pith_json_scan){.n = 0};
    r->state = PITH_REPLY_IN_ARGUMENTS;
}

/* A call of a form with the name in the JSON, whose object is at `at`. */
static pith_call_verdict open_object(pith_reply *r, size_t at, pith_reply_part *out) {
    pith_text name;
    pith_call_verdict verdict = read_head(pith_reply_rest(r), &at, &name);
    if (verdict == PITH_CALL_READ && (r->n_mark > 0 || pith_reply_is_tool(r, name))) {
        begin(r, name, at, out);
        return PITH_CALL_READ;
    }
    return verdict == PITH_CALL_UNSURE && !r->finished ? PITH_CALL_UNSURE : PITH_CALL_NONE;
}

static pith_call_verdict open_mistral(pith_reply *r, pith_reply_part *out) {
    pith_text text = pith_reply_rest(r);
    size_t at = pith_reply_skip_space(text.data, text.n_bytes, r->n_mark);
    if (at == text.n_bytes) {
        return r->finished ? PITH_CALL_NONE : PITH_CALL_UNSURE;
    }
    if (text.data[at] == '[' || text.data[at] == '{') {
        r->list = text.data[at] == '[';
        return open_object(r, at + r->list, out);
    }
    size_t n_name;
    size_t from;
    pith_call_verdict verdict = pith_calls_find_arguments(r, text, at, &n_name, &from);
    if (verdict == PITH_CALL_READ) {
        from = pith_reply_skip_space(text.data, text.n_bytes, from);
        verdict = from < text.n_bytes ? PITH_CALL_READ
                  : r->finished       ? PITH_CALL_NONE
                                      : PITH_CALL_UNSURE;
    }
    if (verdict != PITH_CALL_READ || text.data[from] != '{') {
        return verdict == PITH_CALL_UNSURE ? PITH_CALL_UNSURE : PITH_CALL_NONE;
    }
    r->bare = true;
    begin(r, (pith_text){text.data + at, n_name}, from, out);
    return PITH_CALL_READ;
}

pith_call_verdict pith_pieces_open(pith_reply *r, pith_reply_part *out) {
    r->list = false;
    r->bare = false;
    switch (r->settings.form) {
    case PITH_CALLS_MISTRAL:
        return open_mistral(r, out);
    case PITH_CALLS_LLAMA3:
        return r->n_mark > 0 || r->settings.certain ? open_object(r, r->n_mark, out)
                                                    : PITH_CALL_NONE;
    case PITH_CALLS_HERMES:
        return open_object(r, r->n_mark, out);
    case PITH_CALLS_NONE:
        break;
    }
    return PITH_CALL_NONE;
}

/* ---- Behind the arguments -------------------------------------------------------------------- */

/* Where text goes on behind calls. */
static void leave(pith_reply *r) {
    r->state = r->settings.form == PITH_CALLS_LLAMA3 ? PITH_REPLY_AT_TEXT : PITH_REPLY_IN_TEXT;
    r->skip_space = true;
}

bool pith_pieces_give(pith_reply *r, bool *more, pith_reply_part *out) {
    pith_text rest = pith_reply_rest(r);
    pith_call_verdict verdict = pith_reply_scan(&r->scan, rest.data, rest.n_bytes);
    size_t n = r->scan.n;
    r->scan.n = 0;
    r->at += n;
    *out = (pith_reply_part){.kind = PITH_REPLY_ARGUMENTS,
                             .text = {rest.data, n},
                             .index = r->n_calls - 1};
    if (verdict == PITH_CALL_READ) {
        r->state = PITH_REPLY_BEHIND_ARGUMENTS;
        r->scan = (pith_json_scan){.n = 0, .depth = 1};
        *more = true;
    }
    return n > 0;
}

/* Takes the end of the object that holds name and arguments, and other members in front of it.
 * Returns false when there is no more to do for the moment. */
bool pith_pieces_end_object(pith_reply *r) {
    pith_text rest = pith_reply_rest(r);
    r->state = PITH_REPLY_BEHIND_CALL;
    if (r->bare) {
        return true;
    }
    size_t at = pith_reply_skip_space(rest.data, rest.n_bytes, 0);
    bool goes_on = at < rest.n_bytes && (rest.data[at] == '}' || rest.data[at] == ',');
    if (at < rest.n_bytes && !goes_on) {
        leave(r);
        return true;
    }
    if (pith_reply_scan(&r->scan, rest.data, rest.n_bytes) == PITH_CALL_READ) {
        r->at += r->scan.n;
        return true;
    }
    r->state = PITH_REPLY_BEHIND_ARGUMENTS;
    if (r->finished) {
        leave(r);
    }
    return r->finished && at < rest.n_bytes;
}

/* Takes what stands between calls, or ends them. */
bool pith_pieces_end_call(pith_reply *r) {
    pith_text rest = pith_reply_rest(r);
    size_t at = 0;
    pith_call_verdict verdict = PITH_CALL_READ;
    if (r->settings.form == PITH_CALLS_HERMES) {
        verdict = expect(rest, &at, PITH_HERMES_END);
    } else if (r->list) {
        verdict = expect(rest, &at, "]");
        if (verdict == PITH_CALL_NONE) {
            at = 0;
            verdict = expect(rest, &at, ",");
            r->state = verdict == PITH_CALL_READ ? PITH_REPLY_IN_LIST : r->state;
            r->scanning = false;
        }
    } else if (r->settings.form == PITH_CALLS_LLAMA3) {
        verdict = expect(rest, &at, ";");
    }
    if (verdict == PITH_CALL_UNSURE && !r->finished) {
        return false;
    }
    r->at += verdict == PITH_CALL_READ ? at : verdict == PITH_CALL_UNSURE ? rest.n_bytes : 0;
    if (r->state != PITH_REPLY_IN_LIST) {
        leave(r);
    }
    return true;
}

/* The next call of a list. Returns true with a part, false with *more when the state changed. */
bool pith_pieces_next(pith_reply *r, bool *more, pith_reply_part *out) {
    pith_call_verdict verdict = open_object(r, 0, out);
    if (verdict == PITH_CALL_NONE) {
        verdict = pith_calls_read_one(r);
        *more = verdict != PITH_CALL_UNSURE;
        if (verdict == PITH_CALL_NONE) {
            leave(r);
        }
        return false;
    }
    return verdict == PITH_CALL_READ;
}
