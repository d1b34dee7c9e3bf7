/* Strings of the Jinja interpreter: views of buffers whose runs know the origin of every byte. */
#include "tokenizer/jinja_parts.h"

#include "base/checked.h"

#include <string.h>

pith_jinja_buffer *pith_jinja_buffer_new(pith_jinja *j, size_t capacity) {
    enum { FIRST_RUNS = 4 };
    pith_jinja_buffer *b = pith_jinja_new(j, 1, sizeof *b);
    if (b == NULL) {
        return NULL;
    }
    b->data = pith_jinja_new(j, capacity, 1);
    b->runs = pith_jinja_new(j, FIRST_RUNS, sizeof *b->runs);
    b->capacity = (uint32_t)capacity;
    b->run_capacity = FIRST_RUNS;
    b->grows = true;
    return b->data != NULL && b->runs != NULL ? b : NULL;
}

/* Room for n bytes and one run more. */
static bool reserve(pith_jinja *j, pith_jinja_buffer *b, size_t n) {
    size_t needed = b->used + n;
    if (n > PITH_JINJA_MAX_OUTPUT || needed > PITH_JINJA_MAX_OUTPUT) {
        return pith_jinja_fail(j, PITH_ERROR_FORMAT, "a text longer than %d bytes",
                               PITH_JINJA_MAX_OUTPUT);
    }
    if (needed > b->capacity) {
        size_t capacity = pith_max_size(needed, (size_t)b->capacity * 2);
        char *data = pith_jinja_new(j, capacity, 1);
        if (data == NULL) {
            return false;
        }
        memcpy(data, b->data, b->used);
        b->data = data;
        b->capacity = (uint32_t)capacity;
    }
    if (b->n_runs == b->run_capacity) {
        size_t capacity = (size_t)b->run_capacity * 2;
        pith_jinja_run *runs = pith_jinja_new(j, capacity, sizeof *runs);
        if (runs == NULL) {
            return false;
        }
        memcpy(runs, b->runs, b->n_runs * sizeof *runs);
        b->runs = runs;
        b->run_capacity = (uint32_t)capacity;
    }
    return true;
}

bool pith_jinja_append(pith_jinja *j, pith_jinja_buffer *b, const char *text, size_t n,
                       pith_origin origin) {
    if (n == 0) {
        return true;
    }
    if (!pith_jinja_spend(j, n / 32) || !reserve(j, b, n)) {
        return false;
    }
    memcpy(b->data + b->used, text, n);
    b->used += (uint32_t)n;
    if (b->n_runs > 0 && b->runs[b->n_runs - 1].origin == origin) {
        b->runs[b->n_runs - 1].end = b->used;
    } else {
        b->runs[b->n_runs++] = (pith_jinja_run){.end = b->used, .origin = origin};
    }
    return true;
}

size_t pith_jinja_piece(const pith_jinja_value *v, size_t at, pith_origin *origin) {
    const pith_jinja_buffer *b = v->as.text.buffer;
    size_t place = v->as.text.start + at;
    size_t low = 0;
    size_t high = b->n_runs;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (b->runs[middle].end <= place) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    *origin = b->runs[low].origin;
    return pith_min_size(b->runs[low].end - place, v->as.text.size - at);
}

bool pith_jinja_append_value(pith_jinja *j, pith_jinja_buffer *b, const pith_jinja_value *text) {
    for (size_t at = 0; at < text->as.text.size;) {
        pith_origin origin;
        size_t n = pith_jinja_piece(text, at, &origin);
        /* Room first: the text may be a view of this very buffer. */
        if (!reserve(j, b, n) || !pith_jinja_append(j, b, pith_jinja_bytes(text) + at, n, origin)) {
            return false;
        }
        at += n;
    }
    return true;
}

pith_jinja_value pith_jinja_finish(pith_jinja_buffer *b) {
    pith_jinja_value v = pith_jinja_of_kind(PITH_JINJA_STRING);
    v.as.text.buffer = b;
    v.as.text.size = b->used;
    return v;
}

bool pith_jinja_borrow(pith_jinja *j, const char *text, size_t n, pith_origin origin,
                       pith_jinja_value *out) {
    if (n > PITH_JINJA_MAX_OUTPUT) {
        return pith_jinja_fail(j, PITH_ERROR_FORMAT, "a text longer than %d bytes",
                               PITH_JINJA_MAX_OUTPUT);
    }
    pith_jinja_buffer *b = pith_jinja_new(j, 1, sizeof *b);
    pith_jinja_run *run = pith_jinja_new(j, 1, sizeof *run);
    if (b == NULL || run == NULL) {
        return false;
    }
    *run = (pith_jinja_run){.end = (uint32_t)n, .origin = origin};
    /* Never written: `grows` is false. */
    *b = (pith_jinja_buffer){.data = (char *)(uintptr_t)text,
                             .runs = run,
                             .used = (uint32_t)n,
                             .capacity = (uint32_t)n,
                             .n_runs = 1,
                             .run_capacity = 1};
    *out = pith_jinja_finish(b);
    return true;
}

pith_jinja_value pith_jinja_part(pith_jinja_value v, size_t start, size_t size) {
    v.as.text.start += (uint32_t)start;
    v.as.text.size = (uint32_t)size;
    return v;
}

/* A string that was just made is extended where it is, so that a text built piece by piece costs
 * as much as it is long, not its square. Views of it keep their own length. */
bool pith_jinja_concat(pith_jinja *j, pith_jinja_value a, pith_jinja_value b,
                       pith_jinja_value *out) {
    pith_jinja_buffer *buffer = a.as.text.buffer;
    bool whole = a.as.text.start + a.as.text.size == buffer->used;
    if (a.as.text.size == 0 || b.as.text.size == 0) {
        *out = a.as.text.size == 0 ? b : a;
        return true;
    }
    if (!whole || !buffer->grows) {
        size_t n = (size_t)a.as.text.size + b.as.text.size;
        buffer = pith_jinja_buffer_new(j, n + n / 2 + 16);
        if (buffer == NULL || !pith_jinja_append_value(j, buffer, &a)) {
            return false;
        }
        a.as.text.start = 0;
    }
    if (!pith_jinja_append_value(j, buffer, &b)) {
        return false;
    }
    *out = a;
    out->as.text.buffer = buffer;
    out->as.text.size += b.as.text.size;
    return true;
}

bool pith_jinja_is_text(const pith_jinja_value *v, const char *text) {
    size_t n = strlen(text);
    return v->kind == PITH_JINJA_STRING && v->as.text.size == n &&
           memcmp(pith_jinja_bytes(v), text, n) == 0;
}

size_t pith_jinja_count_chars(const pith_jinja_value *v) {
    const char *text = pith_jinja_bytes(v);
    size_t n = 0;
    for (size_t i = 0; i < v->as.text.size; i++) {
        n += ((unsigned char)text[i] & 0xC0) != 0x80;
    }
    return n;
}
