/* What happens to text before it is merged, by settings: SentencePiece's normaliser without a
 * character map (Kudo and Richardson 2018: a dummy prefix, white space escaped as U+2581), Hugging
 * Face's Prepend, Replace and Metaspace, and form C for byte-level BPE. Other normalisers are lists
 * of steps (normalize_steps.c), or a SentencePiece model's with its map (normalize_pieces.c). */
#include "tokenizer/internal.h"

#include "base/status.h"

#include <string.h>

static bool wants_prefix(const pith_vocab *v, const char *text, size_t n, bool at_start,
                         unsigned flags) {
    if (at_start && (flags & PITH_ENCODE_NO_PREFIX) != 0) {
        return false;
    }
    if (v->kind == PITH_TOKENIZER_BYTE_BPE) {
        return v->add_prefix_space && text[0] != ' ';
    }
    if (!v->add_dummy_prefix) {
        return false;
    }
    bool at_space = text[0] == ' ' || pith_at_space_mark(text, n);
    return (at_start || !v->prefix_first_only) && !(v->prefix_unless_space && at_space);
}

/* Bytes at the end of text[0 .. n) that are spaces. */
static size_t trailing_spaces(const char *text, size_t n, bool marks) {
    size_t left = n;
    for (;;) {
        if (left > 0 && text[left - 1] == ' ') {
            left--;
        } else if (marks && left >= PITH_SPACE_MARK_BYTES &&
                   pith_at_space_mark(text + left - PITH_SPACE_MARK_BYTES, PITH_SPACE_MARK_BYTES)) {
            left -= PITH_SPACE_MARK_BYTES;
        } else {
            return n - left;
        }
    }
}

/* Writes text with its prefix and its spaces escaped; returns the length. With `out` NULL it only
 * counts. `squeeze`: a space after a space is dropped. */
static size_t write_escaped(const pith_vocab *v, const char *text, size_t n, bool prefix,
                            bool squeeze, char *out) {
    bool escape = v->kind != PITH_TOKENIZER_BYTE_BPE && v->escape_whitespaces;
    size_t space = escape ? PITH_SPACE_MARK_BYTES : 1;
    const char *spelling = escape ? PITH_SPACE_MARK : " ";
    size_t size = 0;
    if (prefix) {
        if (out != NULL) {
            memcpy(out, spelling, space);
        }
        size += space;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] != ' ') {
            if (out != NULL) {
                out[size] = text[i];
            }
            size++;
        } else if (!squeeze || i == 0 || text[i - 1] != ' ') {
            if (out != NULL) {
                memcpy(out + size, spelling, space);
            }
            size += space;
        }
    }
    return size;
}

static pith_status escape_text(const pith_tokenizer *t, const char *text, size_t n, bool prefix,
                               bool squeeze, pith_normalized *out, pith_error *error) {
    size_t size = write_escaped(&t->vocab, text, n, prefix, squeeze, NULL);
    char *escaped = pith_allocate(t->allocator, size, 1);
    if (escaped == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu bytes of text", size);
    }
    write_escaped(&t->vocab, text, n, prefix, squeeze, escaped);
    *out = (pith_normalized){.text = escaped, .n_bytes = size, .owned = escaped};
    return PITH_OK;
}

static pith_status normalize_bytewise(const pith_tokenizer *t, const char *text, size_t n,
                                      bool at_start, unsigned flags, pith_normalized *out,
                                      pith_error *error) {
    char *composed = NULL;
    if (t->vocab.nfc) {
        pith_status status =
            pith_unicode_form(t->allocator, PITH_FORM_C, text, n, &composed, &n, error);
        if (status != PITH_OK) {
            return status;
        }
        text = composed != NULL ? composed : text;
    }
    if (!wants_prefix(&t->vocab, text, n, at_start, flags)) {
        *out = (pith_normalized){.text = text, .n_bytes = n, .owned = composed};
        return PITH_OK;
    }
    pith_status status = escape_text(t, text, n, true, false, out, error);
    pith_release(t->allocator, composed);
    return status;
}

pith_status pith_normalize(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                           bool at_start, unsigned flags, pith_normalized *out, pith_error *error) {
    const pith_vocab *v = &tokenizer->vocab;
    if (n_bytes == 0) {
        *out = (pith_normalized){.text = text};
        return PITH_OK;
    }
    if (v->kind == PITH_TOKENIZER_WORDPIECE) {
        return pith_bert_normalize(tokenizer, text, n_bytes, out, error);
    }
    if (v->n_normalizer != 0) {
        bool no_prefix = at_start && (flags & PITH_ENCODE_NO_PREFIX) != 0;
        return pith_normalize_steps(tokenizer, text, n_bytes, no_prefix, out, error);
    }
    if (v->kind == PITH_TOKENIZER_BYTE_BPE) {
        return normalize_bytewise(tokenizer, text, n_bytes, at_start, flags, out, error);
    }
    if (v->n_charsmap != 0) {
        bool space = v->add_dummy_prefix && wants_prefix(v, text, n_bytes, at_start, flags);
        return pith_normalize_pieces(tokenizer, text, n_bytes, space, out, error);
    }
    bool squeeze = pith_is_sentencepiece(v) && v->remove_extra_whitespaces;
    if (squeeze) {
        while (n_bytes > 0 && *text == ' ') {
            text++;
            n_bytes--;
        }
        if (n_bytes == 0) {
            *out = (pith_normalized){.text = text};
            return PITH_OK;
        }
        n_bytes -= trailing_spaces(text, n_bytes, v->escape_whitespaces);
    }
    /* A text of U+2581 alone is squeezed to nothing, its prefix included. */
    bool prefix = n_bytes > 0 && wants_prefix(v, text, n_bytes, at_start, flags);
    return escape_text(tokenizer, text, n_bytes, prefix, squeeze, out, error);
}
