/* Unicode normalisation form C (UAX #15). utf8proc decomposes and composes; what is done here is
 * the canonical ordering in between, by counting, because utf8proc's own takes quadratic time on a
 * long run of combining marks, and the division of the text into stretches that can be treated
 * alone: no character below U+0300 changes, moves or combines with one before it. */
#include "tokenizer/internal.h"

#include "base/bytes.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

enum {
    FIRST_MARK_LEAD = 0xCC, /* first byte of U+0300 */
    MAX_DECOMPOSED = 4,     /* code points one can decompose to in form D (UAX #15, table 5) */
};

/* Room for one stretch as code points. */
typedef struct stretch {
    utf8proc_int32_t *codes; /* [capacity] */
    utf8proc_int32_t *spare; /* [capacity] */
    size_t capacity;
} stretch;

static bool is_plain(char lead) {
    return (unsigned char)lead < FIRST_MARK_LEAD;
}

static bool stretch_reserve(stretch *s, size_t needed, const pith_allocator *allocator) {
    if (needed <= s->capacity) {
        return true;
    }
    size_t capacity = pith_max_size(2 * s->capacity, needed);
    utf8proc_int32_t *codes = pith_reallocate(allocator, s->codes, capacity, sizeof *codes);
    if (codes == NULL) {
        return false;
    }
    s->codes = codes;
    utf8proc_int32_t *spare = pith_reallocate(allocator, s->spare, capacity, sizeof *spare);
    if (spare == NULL) {
        return false;
    }
    s->spare = spare;
    s->capacity = capacity;
    return true;
}

static unsigned class_of(utf8proc_int32_t code) {
    return (unsigned)utf8proc_get_property(code)->combining_class & 0xFF;
}

/* Puts codes [n], all with a combining class, in the order of their classes; equal ones stay. */
static void sort_marks(utf8proc_int32_t *codes, utf8proc_int32_t *spare, size_t n) {
    size_t start[257] = {0};
    bool ordered = true;
    for (size_t i = 0; i < n; i++) {
        ordered = ordered && (i == 0 || class_of(codes[i - 1]) <= class_of(codes[i]));
    }
    if (ordered) {
        return;
    }
    for (size_t i = 0; i < n; i++) {
        start[class_of(codes[i]) + 1]++;
    }
    for (size_t class = 1; class <= 256; class ++) {
        start[class] += start[class - 1];
    }
    memcpy(spare, codes, n * sizeof *codes);
    for (size_t i = 0; i < n; i++) {
        codes[start[class_of(spare[i])]++] = spare[i];
    }
}

static void order_marks(stretch *s, size_t n) {
    size_t i = 0;
    while (i < n) {
        size_t end = i;
        while (end < n && class_of(s->codes[end]) != 0) {
            end++;
        }
        if (end > i + 1) {
            sort_marks(s->codes + i, s->spare, end - i);
        }
        i = end + 1;
    }
}

/* Appends the form C of text [n], n > 0. */
static bool compose_stretch(stretch *s, const char *text, size_t n, pith_bytes *out) {
    if (!stretch_reserve(s, n * MAX_DECOMPOSED, out->allocator)) {
        return false;
    }
    utf8proc_ssize_t n_codes = 0;
    for (size_t i = 0; i < n; i += pith_utf8_length(text[i])) {
        utf8proc_ssize_t room = (utf8proc_ssize_t)s->capacity - n_codes;
        int boundary = 0;
        n_codes += utf8proc_decompose_char((utf8proc_int32_t)pith_utf8_decode(text + i),
                                           s->codes + n_codes, room,
                                           UTF8PROC_STABLE | UTF8PROC_COMPOSE, &boundary);
    }
    order_marks(s, (size_t)n_codes);
    n_codes = utf8proc_normalize_utf32(s->codes, n_codes, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < n_codes; i++) {
        utf8proc_uint8_t character[4];
        utf8proc_ssize_t length = utf8proc_encode_char(s->codes[i], character);
        if (!pith_bytes_append(out, character, (size_t)length)) {
            return false;
        }
    }
    return true;
}

/* Takes the text apart: characters below U+0300 as they are, but the last one before a higher one
 * goes with those that follow it. */
static bool compose(stretch *s, const char *text, size_t n, pith_bytes *out) {
    size_t done = 0;
    size_t i = 0;
    while (i < n) {
        size_t base = i;
        while (i < n && is_plain(text[i])) {
            base = i;
            i += pith_utf8_length(text[i]);
        }
        if (i == n) {
            break;
        }
        if (!pith_bytes_append(out, text + done, base - done)) {
            return false;
        }
        while (i < n && !is_plain(text[i])) {
            i += pith_utf8_length(text[i]);
        }
        if (!compose_stretch(s, text + base, i - base, out)) {
            return false;
        }
        done = i;
    }
    return pith_bytes_append(out, text + done, n - done);
}

pith_status pith_nfc(const pith_allocator *allocator, const char *text, size_t n_bytes, char **out,
                     size_t *n_out, pith_error *error) {
    size_t i = 0;
    while (i < n_bytes && is_plain(text[i])) {
        i += pith_utf8_length(text[i]);
    }
    if (i == n_bytes) {
        *out = NULL;
        *n_out = n_bytes;
        return PITH_OK;
    }
    stretch s = {0};
    pith_bytes composed;
    pith_bytes_init(&composed, allocator);
    bool done = compose(&s, text, n_bytes, &composed);
    pith_release(allocator, s.codes);
    pith_release(allocator, s.spare);
    if (!done) {
        pith_bytes_release(&composed);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu bytes in form C", n_bytes);
    }
    *out = composed.data;
    *n_out = composed.size;
    return PITH_OK;
}
