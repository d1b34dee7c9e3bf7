/* SentencePiece's normaliser with a map of characters (normalizer.cc, Normalize): the text is
 * replaced piece by piece, runs of spaces become one, spaces at the ends are removed where the
 * model says so, and spaces are written as U+2581. Symbols that the user defined are left as they
 * are. */
#include "tokenizer/internal.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/utf8.h"

enum { MAX_GROWTH = 64, SPARE_BYTES = 4096 }; /* as in normalize_steps.c */

typedef struct reading {
    const pith_tokenizer *tokenizer;
    const char *text;
    size_t n, at;
    pith_match symbol; /* the next one that the user defined, if any */
    bool has_symbol;
} reading;

static void find_symbol(reading *r) {
    pith_special none = {.n = 0};
    r->has_symbol = pith_matcher_next(r->tokenizer, &r->tokenizer->normalized, r->text, r->n, r->at,
                                      &none, &r->symbol);
}

/* Returns what the next stretch of the text becomes; *used is the length of that stretch. */
static const char *next_part(reading *r, size_t *n_part, size_t *used) {
    const char *here = r->text + r->at;
    if (r->has_symbol && r->symbol.start < r->at) {
        find_symbol(r);
    }
    if (r->has_symbol && r->symbol.start == r->at) {
        *used = r->symbol.end - r->symbol.start;
        *n_part = *used;
        return here;
    }
    size_t room = r->has_symbol ? r->symbol.start - r->at : r->n - r->at;
    const char *part = pith_charsmap_longest(&r->tokenizer->charsmap, here, room, used);
    if (part != NULL) {
        *n_part = strlen(part);
        return part;
    }
    *used = pith_utf8_length(*here);
    *n_part = *used;
    return here;
}

static pith_status write_part(const pith_vocab *v, const char *part, size_t n, size_t limit,
                              pith_bytes *out, pith_error *error) {
    bool good = true;
    for (size_t i = 0; good && i < n; i++) {
        bool mark = v->escape_whitespaces && part[i] == ' ';
        good = pith_bytes_append(out, mark ? PITH_SPACE_MARK : part + i,
                                 mark ? PITH_SPACE_MARK_BYTES : 1);
    }
    if (!good) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory to normalise a text");
    }
    return out->size <= limit
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_TEXT,
                           "the map of characters makes more than %zu bytes of a text", limit);
}

static void drop_last_spaces(const pith_vocab *v, pith_bytes *out) {
    const char *space = v->escape_whitespaces ? PITH_SPACE_MARK : " ";
    size_t n = strlen(space);
    while (out->size >= n && memcmp(out->data + out->size - n, space, n) == 0) {
        out->size -= n;
    }
}

pith_status pith_normalize_pieces(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                  bool prefix, pith_normalized *out, pith_error *error) {
    const pith_vocab *v = &tokenizer->vocab;
    size_t limit = n_bytes * MAX_GROWTH + SPARE_BYTES;
    reading r = {.tokenizer = tokenizer, .text = text, .n = n_bytes};
    bool after_space = v->remove_extra_whitespaces;
    bool begun = !v->remove_extra_whitespaces;
    pith_status status = PITH_OK;
    pith_bytes made;
    pith_bytes_init(&made, tokenizer->allocator);
    find_symbol(&r);
    while (status == PITH_OK && r.at < n_bytes) {
        size_t n;
        size_t used;
        const char *part = next_part(&r, &n, &used);
        r.at += used;
        if (!begun && n == 1 && *part == ' ') {
            continue; /* spaces in front of all */
        }
        if (made.size == 0 && prefix) {
            status = write_part(v, " ", 1, limit, &made, error);
            prefix = false;
        }
        begun = true;
        while (after_space && n > 0 && *part == ' ') {
            part++;
            n--;
        }
        if (status == PITH_OK && n > 0) {
            status = write_part(v, part, n, limit, &made, error);
            after_space = v->remove_extra_whitespaces && part[n - 1] == ' ';
        }
    }
    if (status != PITH_OK) {
        pith_bytes_release(&made);
        return status;
    }
    if (v->remove_extra_whitespaces) {
        drop_last_spaces(v, &made);
    }
    *out = (pith_normalized){.text = made.data != NULL ? made.data : "",
                             .n_bytes = made.size,
                             .owned = made.data};
    return PITH_OK;
}
