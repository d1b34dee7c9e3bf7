/* Unicode's normalisation forms (UAX #15). utf8proc decomposes and composes; what is done here is
 * the canonical ordering in between, by a counting sort, because utf8proc's own takes quadratic
 * time on a long run of combining marks, and the division of the text into stretches that can be
 * treated alone: a plain character never changes, moves or combines with one before it. For form C,
 * which composes what the others take apart, characters below U+0300 are plain; for the other forms
 * ASCII is. */
#include "tokenizer/internal.h"

#include "base/bytes.h"
#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

enum {
    FIRST_MARK_LEAD = 0xCC, /* first byte of U+0300 */
    MAX_DECOMPOSED = 18,    /* code points one can decompose to (UAX #15, table 5: U+FDFA) */
};

/* What a form asks of utf8proc. */
static const struct {
    utf8proc_option_t options;
    unsigned char first_lead; /* first bytes from here on are of characters that are not plain */
    bool composed;
} forms[] = {
    [PITH_FORM_C] = {UTF8PROC_STABLE | UTF8PROC_COMPOSE, FIRST_MARK_LEAD, true},
    [PITH_FORM_D] = {UTF8PROC_STABLE | UTF8PROC_DECOMPOSE, 0x80, false},
    [PITH_FORM_KC] = {UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT, 0x80, true},
    [PITH_FORM_KD] = {UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, 0x80, false},
};

/* Room for one stretch as code points. */
typedef struct stretch {
    pith_form form;
    utf8proc_int32_t *codes; /* [capacity] */
    utf8proc_int32_t *spare; /* [capacity] */
    size_t capacity;
} stretch;

static bool is_plain(pith_form form, char lead) {
    return (unsigned char)lead < forms[form].first_lead;
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

/* Appends text [n], n > 0, in its form. */
static bool write_stretch(stretch *s, const char *text, size_t n, pith_bytes *out) {
    const utf8proc_option_t options = forms[s->form].options;
    utf8proc_ssize_t n_codes = 0;
    for (size_t i = 0; i < n; i += pith_utf8_length(text[i])) {
        if (!stretch_reserve(s, (size_t)n_codes + MAX_DECOMPOSED, out->allocator)) {
            return false;
        }
        int boundary = 0;
        n_codes += utf8proc_decompose_char((utf8proc_int32_t)pith_utf8_decode(text + i),
                                           s->codes + n_codes, MAX_DECOMPOSED, options, &boundary);
    }
    order_marks(s, (size_t)n_codes);
    if (forms[s->form].composed) {
        n_codes = utf8proc_normalize_utf32(s->codes, n_codes, options);
    }
    for (utf8proc_ssize_t i = 0; i < n_codes; i++) {
        utf8proc_uint8_t character[4];
        utf8proc_ssize_t length = utf8proc_encode_char(s->codes[i], character);
        if (!pith_bytes_append(out, character, (size_t)length)) {
            return false;
        }
    }
    return true;
}

/* Writes the text in its form: plain characters as they are, except that the last one before others
 * goes into the stretch with them. */
static bool write_form(stretch *s, const char *text, size_t n, pith_bytes *out) {
    size_t done = 0;
    size_t i = 0;
    while (i < n) {
        size_t base = i;
        while (i < n && is_plain(s->form, text[i])) {
            base = i;
            i += pith_utf8_length(text[i]);
        }
        if (i == n) {
            break;
        }
        if (!pith_bytes_append(out, text + done, base - done)) {
            return false;
        }
        while (i < n && !is_plain(s->form, text[i])) {
            i += pith_utf8_length(text[i]);
        }
        if (!write_stretch(s, text + base, i - base, out)) {
            return false;
        }
        done = i;
    }
    return pith_bytes_append(out, text + done, n - done);
}

pith_status pith_unicode_form(const pith_allocator *allocator, pith_form form, const char *text,
                              size_t n_bytes, char **out, size_t *n_out, pith_error *error) {
    size_t i = 0;
    while (i < n_bytes && is_plain(form, text[i])) {
        i += pith_utf8_length(text[i]);
    }
    if (i == n_bytes) {
        *out = NULL;
        *n_out = n_bytes;
        return PITH_OK;
    }
    stretch s = {.form = form};
    pith_bytes written;
    pith_bytes_init(&written, allocator);
    bool done = write_form(&s, text, n_bytes, &written);
    pith_release(allocator, s.codes);
    pith_release(allocator, s.spare);
    if (!done) {
        pith_bytes_release(&written);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory to normalise %zu bytes", n_bytes);
    }
    *out = written.data;
    *n_out = written.size;
    return PITH_OK;
}
