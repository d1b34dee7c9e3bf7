/* Text to token ids: the walk through the steps of internal.h. */
#include "tokenizer/internal.h"

#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

/* One call of pith_encode. */
typedef struct encoding {
    const pith_tokenizer *tokenizer;
    unsigned flags;
    pith_special special; /* in the text as given */
    pith_merger merger;
    pith_lattice lattice;
    pith_split_walk walk;
    pith_cutting cutting;
    pith_tokens *out;
    pith_error *error;
} encoding;

static pith_status push(encoding *e, int32_t id) {
    return pith_tokens_push(e->out, id)
               ? PITH_OK
               : pith_fail(e->error, PITH_ERROR_MEMORY, "no memory for token ids");
}

/* End of the word that begins at `from`: where U+2581 follows something else. */
static size_t word_end(const char *text, size_t n, size_t from) {
    bool after_mark = false;
    for (size_t i = from; i < n; i += pith_utf8_length(text[i])) {
        bool mark = pith_at_space_mark(text + i, n - i);
        if (mark && !after_mark && i > from) {
            return i;
        }
        after_mark = mark;
    }
    return n;
}

static pith_status encode_words(encoding *e, const char *text, size_t n) {
    pith_status status = PITH_OK;
    for (size_t from = 0; status == PITH_OK && from < n;) {
        size_t end = e->tokenizer->words_apart ? word_end(text, n, from) : n;
        status = pith_merge(&e->merger, text + from, end - from, e->out, e->error);
        from = end;
    }
    return status;
}

/* The piece that is a whole pre-token, byte pieces by their spelling ("<0x0A>"); or -1. */
static int32_t find_whole(const pith_tokenizer *t, const char *text, size_t n) {
    int32_t id = pith_tokenizer_find(t, text, n);
    bool byte = id >= 0 && t->vocab.types[id] == PITH_PIECE_BYTE;
    return byte ? id : pith_find_plain(t, text, n);
}

static pith_status encode_pretoken(encoding *e, const char *text, size_t n) {
    if (n == 0) {
        return PITH_OK;
    }
    if (e->tokenizer->vocab.ignore_merges) {
        int32_t id = find_whole(e->tokenizer, text, n);
        if (id >= 0) {
            return push(e, id);
        }
    }
    switch (e->tokenizer->vocab.kind) {
    case PITH_TOKENIZER_UNIGRAM:
        return pith_unigram_encode(&e->lattice, text, n, e->out, e->error);
    case PITH_TOKENIZER_BYTE_BPE:
        return pith_merge(&e->merger, text, n, e->out, e->error);
    default:
        return encode_words(e, text, n);
    }
}

static pith_status take_piece(void *user, const char *text, size_t n) {
    return encode_pretoken(user, text, n);
}

static pith_status encode_pretokens(encoding *e, const char *text, size_t n) {
    pith_status status = PITH_OK;
    for (size_t from = 0; status == PITH_OK && from < n;) {
        size_t start = n;
        size_t end = n;
        status = pith_split_next(&e->walk, text, n, from, &start, &end, e->error);
        if (status == PITH_OK) {
            status = encode_pretoken(e, text + from, start - from);
        }
        if (status == PITH_OK) {
            status = encode_pretoken(e, text + start, end - start);
        }
        from = end;
    }
    return status;
}

/* Text without added tokens. `first`: the whole text begins with it. */
static pith_status encode_plain(encoding *e, const char *text, size_t n, bool first) {
    if (n == 0) {
        return PITH_OK;
    }
    if (e->tokenizer->vocab.kind == PITH_TOKENIZER_WORDPIECE) {
        return pith_wordpiece_encode(e->tokenizer, text, n, e->out, e->error);
    }
    if (e->tokenizer->steps != NULL) {
        return pith_steps_cut(&e->cutting, text, n, first);
    }
    if (e->tokenizer->splitter != NULL) {
        return encode_pretokens(e, text, n);
    }
    return encode_pretoken(e, text, n);
}

/* Where special tokens count in a stretch of the text [from, from + n) that was normalised. In a
 * stretch that was changed the origin of a byte is not known: there they count when the whole
 * stretch is the template's. */
static pith_special special_in(const encoding *e, size_t from, size_t n, bool changed) {
    pith_special special = e->special;
    special.next = 0;
    if (changed && !special.everywhere) {
        return (pith_special){.everywhere = n > 0 && pith_special_room(&special, from) >= n};
    }
    special.offset = from;
    return special;
}

/* Text [from, from + n) without added tokens that are matched as given. */
static pith_status encode_stretch(encoding *e, const char *whole, size_t from_byte, size_t n) {
    const char *text = whole + from_byte;
    bool at_start = from_byte == 0;
    pith_normalized normalized;
    pith_status status =
        pith_normalize(e->tokenizer, text, n, at_start, e->flags, &normalized, e->error);
    if (status != PITH_OK) {
        return status;
    }
    pith_special special = special_in(e, from_byte, n, normalized.owned != NULL);
    /* In a SentencePiece model such symbols are pieces like others, with a very high score. */
    bool pieces =
        e->tokenizer->vocab.kind == PITH_TOKENIZER_UNIGRAM && e->tokenizer->vocab.single_precision;
    size_t from = 0;
    pith_match match;
    while (status == PITH_OK && !pieces &&
           pith_matcher_next(e->tokenizer, &e->tokenizer->normalized, normalized.text,
                             normalized.n_bytes, from, &special, &match)) {
        status = encode_plain(e, normalized.text + from, match.start - from, at_start && from == 0);
        if (status == PITH_OK) {
            status = push(e, match.id);
        }
        from = match.end;
    }
    if (status == PITH_OK) {
        status = encode_plain(e, normalized.text + from, normalized.n_bytes - from,
                              at_start && from == 0);
    }
    pith_release(e->tokenizer->allocator, normalized.owned);
    return status;
}

/* Transformers' slow tokenizers (legacy false) put the prefix in front before they look for added
 * tokens, and take it back only in front of a special one. */
static pith_status encode_lone_prefix(encoding *e, int32_t first) {
    const pith_vocab *v = &e->tokenizer->vocab;
    bool special = v->types[first] == PITH_PIECE_CONTROL || (v->added[first] & PITH_ADDED_SPECIAL);
    if (!pith_is_sentencepiece(v) || !v->add_dummy_prefix || !v->prefix_first_only ||
        v->prefix_unless_space || special || (e->flags & PITH_ENCODE_NO_PREFIX) != 0) {
        return PITH_OK;
    }
    return encode_plain(e, PITH_SPACE_MARK, PITH_SPACE_MARK_BYTES, true);
}

static pith_status encode_text(encoding *e, const char *text, size_t n) {
    size_t from = 0;
    pith_match match;
    pith_special special = e->special;
    while (
        pith_matcher_next(e->tokenizer, &e->tokenizer->as_given, text, n, from, &special, &match)) {
        pith_status status = match.start == 0 ? encode_lone_prefix(e, match.id)
                                              : encode_stretch(e, text, from, match.start - from);
        if (status == PITH_OK) {
            status = push(e, match.id);
        }
        if (status != PITH_OK) {
            return status;
        }
        from = match.end;
    }
    return encode_stretch(e, text, from, n - from);
}

/* End of a stretch of WordPiece text that begins at `from` and can be read by itself: before the
 * first white space at some distance. */
static size_t stretch_end(const char *text, size_t n, size_t from) {
    enum { LEAST = 2048 };
    for (size_t i = from + LEAST; i < n; i++) {
        if (text[i] == ' ' || text[i] == '\t' || text[i] == '\n' || text[i] == '\r') {
            return i;
        }
    }
    return n;
}

/* Encodes stretch by stretch where that gives the same ids, so that the rest can be left out once
 * there are enough. */
static pith_status encode_enough(encoding *e, const char *text, size_t n, size_t enough) {
    if (enough == SIZE_MAX || e->tokenizer->vocab.kind != PITH_TOKENIZER_WORDPIECE ||
        !e->tokenizer->words_apart) {
        return encode_text(e, text, n);
    }
    size_t n_before = e->out->n;
    pith_status status = PITH_OK;
    for (size_t from = 0; status == PITH_OK && from < n && e->out->n - n_before < enough;) {
        size_t end = stretch_end(text, n, from);
        status = encode_text(e, text + from, end - from);
        from = end;
    }
    return status;
}

/* Encodes with what `e` says: its tokenizer, flags, special tokens, output and error. */
static pith_status encode(encoding *e, const char *text, size_t n_bytes, size_t enough) {
    if (n_bytes > PITH_ENCODE_MAX_BYTES) {
        return pith_fail(e->error, PITH_ERROR_ARGUMENT, "text of %zu bytes, more than %d", n_bytes,
                         PITH_ENCODE_MAX_BYTES);
    }
    if (n_bytes == 0) {
        return PITH_OK;
    }
    size_t valid = pith_utf8_check(text, n_bytes);
    if (valid != n_bytes) {
        return pith_fail(e->error, PITH_ERROR_TEXT, "invalid UTF-8 at byte %zu", valid);
    }
    const pith_tokenizer *tokenizer = e->tokenizer;
    e->lattice.tokenizer = tokenizer;
    pith_status status = pith_merger_init(&e->merger, tokenizer, e->error);
    if (status == PITH_OK && !pith_split_begin(&e->walk, tokenizer->splitter, n_bytes)) {
        status = pith_fail(e->error, PITH_ERROR_MEMORY, "no memory to encode text");
    }
    if (status == PITH_OK) {
        status = pith_steps_begin(&e->cutting, tokenizer, n_bytes, take_piece, e, e->error);
        e->cutting.no_prefix = (e->flags & PITH_ENCODE_NO_PREFIX) != 0;
    }
    if (status == PITH_OK) {
        status = encode_enough(e, text, n_bytes, enough);
    }
    pith_steps_end(&e->cutting);
    pith_split_end(&e->walk);
    pith_merger_release(&e->merger);
    pith_lattice_release(&e->lattice);
    return status;
}

pith_status pith_encode(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                        unsigned flags, pith_tokens *out, pith_error *error) {
    return pith_encode_enough(tokenizer, text, n_bytes, flags, SIZE_MAX, out, error);
}

pith_status pith_encode_enough(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                               unsigned flags, size_t enough, pith_tokens *out, pith_error *error) {
    bool all =
        (flags & PITH_ENCODE_SPECIAL) != 0 || tokenizer->vocab.kind == PITH_TOKENIZER_WORDPIECE;
    encoding e = {.tokenizer = tokenizer,
                  .flags = flags,
                  .special = {.everywhere = all},
                  .out = out,
                  .error = error};
    return encode(&e, text, n_bytes, enough);
}

pith_status pith_encode_spans(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                              const pith_template_span *spans, size_t n_spans, pith_tokens *out,
                              pith_error *error) {
    encoding e = {.tokenizer = tokenizer,
                  .special = {.spans = spans, .n = n_spans},
                  .out = out,
                  .error = error};
    return encode(&e, text, n_bytes, SIZE_MAX);
}
