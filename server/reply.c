/* Parsing replies: the walk from reasoning to text to calls. Marks are looked for in the text that
 * is not taken yet; what may be the beginning of one, and white space in front of it, waits. */
#include "server/reply_parts.h"

#include "base/memory.h"

#include <string.h>

/* ---- A reply --------------------------------------------------------------------------------- */

bool pith_reply_new(pith_reply **out, const pith_reply_settings *settings,
                    const pith_allocator *allocator) {
    allocator = pith_allocator_or_default(allocator);
    pith_reply *r = pith_allocate_zeroed(allocator, 1, sizeof *r);
    if (r == NULL) {
        return false;
    }
    r->allocator = allocator;
    r->settings = *settings;
    pith_bytes_init(&r->pending, allocator);
    pith_bytes_init(&r->scratch, allocator);
    if (settings->reasons) {
        r->state = PITH_REPLY_IN_THOUGHT;
        r->skip_space = true;
    }
    *out = r;
    return true;
}

void pith_reply_free(pith_reply *reply) {
    if (reply != NULL) {
        pith_bytes_release(&reply->pending);
        pith_bytes_release(&reply->scratch);
        pith_release(reply->allocator, reply->document);
        pith_release(reply->allocator, reply);
    }
}

bool pith_reply_push(pith_reply *reply, pith_text text) {
    pith_bytes *pending = &reply->pending;
    if (reply->at > 0) {
        memmove(pending->data, pending->data + reply->at, pending->size - reply->at);
        pending->size -= reply->at;
        reply->at = 0;
    }
    reply->failed = reply->failed || !pith_bytes_append(pending, text.data, text.n_bytes);
    return !reply->failed;
}

void pith_reply_finish(pith_reply *reply) {
    reply->finished = true;
}

bool pith_reply_failed(const pith_reply *reply) {
    return reply->failed;
}

size_t pith_reply_calls(const pith_reply *reply) {
    return reply->n_calls;
}

/* ---- Marks ----------------------------------------------------------------------------------- */

/* Place of the first mark in text [n]; n when there is none. */
static size_t find_mark(const char *text, size_t n, const char *mark) {
    const char *found = n > 0 ? memmem(text, n, mark, strlen(mark)) : NULL;
    return found != NULL ? (size_t)(found - text) : n;
}

static void drop_space(pith_reply *r) {
    pith_text rest = pith_reply_rest(r);
    size_t n = r->skip_space ? pith_reply_skip_space(rest.data, rest.n_bytes, 0) : 0;
    r->at += n;
    r->skip_space = r->skip_space && n == rest.n_bytes;
}

/* Gives the text that is known to stand in front of the mark; *mark_at is the place of the mark in
 * what is left then, behind nothing but white space, or SIZE_MAX. */
static bool give_before(pith_reply *r, const char *mark, pith_reply_kind kind, size_t *mark_at,
                        pith_reply_part *out) {
    drop_space(r);
    pith_text rest = pith_reply_rest(r);
    size_t found = find_mark(rest.data, rest.n_bytes, mark);
    bool here = found < rest.n_bytes;
    size_t n = found;
    if (!here && !r->finished) {
        n -= pith_reply_part_of_mark(rest.data, n, mark);
    }
    if (here || !r->finished) {
        n = pith_reply_without_space(rest.data, n);
    }
    r->at += n;
    *mark_at = here ? found - n : SIZE_MAX;
    *out = (pith_reply_part){.kind = kind, .text = {rest.data, n}};
    return n > 0;
}

/* ---- The walk -------------------------------------------------------------------------------- */

/* Reasoning begins the answer or is not there. Returns true when the state changed. */
static bool begin(pith_reply *r) {
    pith_text rest = pith_reply_rest(r);
    size_t n = pith_reply_skip_space(rest.data, rest.n_bytes, 0);
    bool whole;
    bool fits = pith_reply_at_mark(rest, n, PITH_THINK_MARK, &whole);
    if (fits && !whole && !r->finished) {
        return false;
    }
    r->state = PITH_REPLY_AT_TEXT;
    if (fits && whole) {
        r->at += n + sizeof PITH_THINK_MARK - 1;
        r->state = PITH_REPLY_IN_THOUGHT;
        r->skip_space = true;
    }
    return true;
}

/* The call, or the text that it turned out to be, is next, behind a mark with the white space in
 * front of it. */
static void enter_call(pith_reply *r, size_t n_mark) {
    r->state = PITH_REPLY_IN_CALL;
    r->n_mark = n_mark;
    r->scanning = false;
}

/* Of LLAMA3 an answer that begins with an object may be a call. Returns true when the state
 * changed. */
static bool begin_text(pith_reply *r) {
    pith_text rest = pith_reply_rest(r);
    size_t n = pith_reply_skip_space(rest.data, rest.n_bytes, 0);
    bool bare = r->settings.form == PITH_CALLS_LLAMA3;
    if (bare && n == rest.n_bytes && !r->finished) {
        return false;
    }
    r->state = PITH_REPLY_IN_TEXT;
    if (bare && n < rest.n_bytes && rest.data[n] == '{') {
        enter_call(r, 0);
    }
    return true;
}

/* Returns true with a part; false with *more when the state changed. */
static bool give_text(pith_reply *r, bool *more, pith_reply_part *out) {
    const char *mark = pith_call_mark(r->settings.form);
    if (mark == NULL) {
        drop_space(r);
        *out = (pith_reply_part){.kind = PITH_REPLY_TEXT, .text = pith_reply_rest(r)};
        r->at = r->pending.size;
        return out->text.n_bytes > 0;
    }
    size_t mark_at;
    bool given = give_before(r, mark, PITH_REPLY_TEXT, &mark_at, out);
    if (mark_at != SIZE_MAX) {
        enter_call(r, mark_at + strlen(mark));
        *more = true;
    }
    return given;
}

static bool give_thought(pith_reply *r, bool *more, pith_reply_part *out) {
    size_t mark_at;
    bool given = give_before(r, PITH_THINK_END, PITH_REPLY_REASONING, &mark_at, out);
    if (mark_at != SIZE_MAX) {
        r->at += mark_at + sizeof PITH_THINK_END - 1;
        *more = true;
        r->state = PITH_REPLY_AT_TEXT;
        r->skip_space = true;
    }
    return given;
}

/* What turned out not to be a call is text, with its mark, so that the search for the next mark
 * goes on behind it. */
static bool give_call(pith_reply *r, bool *more, pith_reply_part *out) {
    pith_call_verdict opened = r->settings.pieces ? pith_pieces_open(r, out) : PITH_CALL_NONE;
    if (opened != PITH_CALL_NONE) {
        return opened == PITH_CALL_READ;
    }
    r->list = false; /* a list is read as a whole */
    switch (pith_calls_read(r)) {
    case PITH_CALL_UNSURE:
        return false;
    case PITH_CALL_READ:
        *more = true;
        return false;
    case PITH_CALL_NONE:
        break;
    }
    r->state = PITH_REPLY_IN_TEXT;
    *more = true;
    *out = (pith_reply_part){.kind = PITH_REPLY_TEXT, .text = {pith_reply_rest(r).data, r->n_mark}};
    r->at += r->n_mark;
    return r->n_mark > 0;
}

bool pith_reply_next(pith_reply *reply, pith_reply_part *out) {
    bool given = false;
    bool more = true;
    while (more && !given && !reply->failed) {
        more = false;
        switch (reply->state) {
        case PITH_REPLY_AT_START:
            more = begin(reply);
            break;
        case PITH_REPLY_IN_THOUGHT:
            given = give_thought(reply, &more, out);
            break;
        case PITH_REPLY_AT_TEXT:
            drop_space(reply);
            more = begin_text(reply);
            break;
        case PITH_REPLY_IN_TEXT:
            given = give_text(reply, &more, out);
            break;
        case PITH_REPLY_IN_CALL:
            given = give_call(reply, &more, out);
            break;
        case PITH_REPLY_GIVING:
            given = pith_calls_next(reply, out);
            more = !given;
            break;
        case PITH_REPLY_IN_ARGUMENTS:
            given = pith_pieces_give(reply, &more, out);
            break;
        case PITH_REPLY_BEHIND_ARGUMENTS:
            more = pith_pieces_end_object(reply);
            break;
        case PITH_REPLY_BEHIND_CALL:
            more = pith_pieces_end_call(reply);
            break;
        case PITH_REPLY_IN_LIST:
            given = pith_pieces_next(reply, &more, out);
            break;
        }
    }
    return given && !reply->failed;
}
