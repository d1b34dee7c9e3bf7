/* The checks of a vocabulary's lists of steps: pre-tokenizer, normaliser and decoder. */
#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/internal.h"

enum {
    MAX_MARK_BYTES = 4,    /* a mark is one character */
    MAX_DECODE_GROWTH = 8, /* times that a decoder's replacements may lengthen a token */
};

/* What messages need. */
typedef struct place {
    const char *where, *section;
    size_t index;
    pith_error *error;
} place;

static pith_status bad(const place *p, const char *what) {
    return pith_fail(p->error, PITH_ERROR_FORMAT, "%s: %s: step %zu %s", p->where, p->section,
                     p->index, what);
}

/* A text of 1 to `limit` bytes. */
static bool is_text(const char *text, size_t limit) {
    size_t n = text != NULL ? strnlen(text, limit + 1) : 0;
    return n > 0 && n <= limit && pith_utf8_check(text, n) == n;
}

static bool is_character(const char *text) {
    return is_text(text, MAX_MARK_BYTES) && text[pith_utf8_length(text[0])] == '\0';
}

/* The pattern that a step must have, or must not have. */
static pith_status check_pattern(const place *p, const char *pattern, bool wanted) {
    if (wanted != (pattern != NULL)) {
        return bad(p, "has no pattern, or one for nothing");
    }
    size_t n = wanted ? strnlen(pattern, PITH_VOCAB_MAX_STEP_PATTERN + 1) : 0;
    if (n > PITH_VOCAB_MAX_STEP_PATTERN) {
        return pith_fail(p->error, PITH_ERROR_FORMAT,
                         "%s: %s: the pattern of step %zu has over %d bytes", p->where, p->section,
                         p->index, PITH_VOCAB_MAX_STEP_PATTERN);
    }
    return n == 0 || pith_utf8_check(pattern, n) == n
               ? PITH_OK
               : pith_fail(p->error, PITH_ERROR_FORMAT,
                           "%s: %s: the pattern of step %zu is not UTF-8", p->where, p->section,
                           p->index);
}

static pith_status check_count(const place *p, size_t n) {
    return n <= PITH_VOCAB_MAX_STEPS
               ? PITH_OK
               : pith_fail(p->error, PITH_ERROR_FORMAT, "%s: %s: %zu steps, more than %d", p->where,
                           p->section, n, PITH_VOCAB_MAX_STEPS);
}

/* ---- Pre-tokenizer --------------------------------------------------------------------------- */

static pith_status check_split_step(const place *p, const pith_split_step *step) {
    if ((unsigned)step->kind > PITH_STEP_MARK || (unsigned)step->behavior > PITH_SPLIT_CONTIGUOUS ||
        (unsigned)step->scheme > PITH_MARK_NEVER) {
        return bad(p, "is not known");
    }
    if (step->kind == PITH_STEP_MARK) {
        return is_character(step->pattern) ? PITH_OK : bad(p, "has no character as its mark");
    }
    return check_pattern(p, step->pattern, step->kind == PITH_STEP_SPLIT);
}

static pith_status check_pre_tokenizer(const pith_vocab *vocab, const char *where,
                                       pith_error *error) {
    place p = {.where = where, .section = "pre-tokenizer", .error = error};
    pith_status status = check_count(&p, vocab->n_steps);
    bool spelled = false;
    for (; status == PITH_OK && p.index < vocab->n_steps; p.index++) {
        const pith_split_step *step = &vocab->steps[p.index];
        bool spells = step->kind == PITH_STEP_BYTES;
        status = check_split_step(&p, step);
        /* Pieces of bytes need not be whole characters. */
        if (status == PITH_OK && spells && vocab->kind != PITH_TOKENIZER_BYTE_BPE) {
            status = bad(&p, "spells bytes, not for byte-level BPE");
        }
        if (status == PITH_OK && spelled && step->kind != PITH_STEP_SPLIT) {
            status = bad(&p, "comes after the bytes were spelled");
        }
        spelled = spelled || spells;
    }
    return status;
}

/* ---- Normaliser ------------------------------------------------------------------------------ */

static pith_status check_normal_step(const place *p, const pith_normal_step *step) {
    bool replaces = step->kind == PITH_NORMAL_REPLACE;
    bool prepends = step->kind == PITH_NORMAL_PREPEND;
    if ((unsigned)step->kind > PITH_NORMAL_CHARSMAP) {
        return bad(p, "is not known");
    }
    if ((replaces || prepends) != (step->text != NULL)) {
        return bad(p, "has no text, or one for nothing");
    }
    bool nothing = replaces && step->text[0] == '\0'; /* matches go */
    if (step->text != NULL && !nothing && !is_text(step->text, PITH_VOCAB_MAX_STEP_TEXT)) {
        return bad(p, "has a text that is too long or not UTF-8");
    }
    return check_pattern(p, step->pattern, replaces);
}

static pith_status check_normalizer(const pith_vocab *vocab, const char *where, pith_error *error) {
    place p = {.where = where, .section = "normalizer", .error = error};
    pith_status status = check_count(&p, vocab->n_normalizer);
    bool mapped = false;
    for (; status == PITH_OK && p.index < vocab->n_normalizer; p.index++) {
        status = check_normal_step(&p, &vocab->normalizer[p.index]);
        mapped = mapped || vocab->normalizer[p.index].kind == PITH_NORMAL_CHARSMAP;
    }
    bool set = vocab->add_dummy_prefix || vocab->escape_whitespaces || vocab->nfc ||
               vocab->add_prefix_space || vocab->remove_extra_whitespaces;
    if (status == PITH_OK && vocab->n_normalizer > 0 && set) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: normalizer: steps beside settings that change text", where);
    }
    if (status == PITH_OK && mapped && vocab->n_charsmap == 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: normalizer: a step without its map of characters", where);
    }
    return status;
}

static pith_status check_charsmap(const pith_vocab *vocab, const char *where, pith_error *error) {
    pith_charsmap map;
    if (vocab->n_charsmap == 0) {
        return PITH_OK;
    }
    if (vocab->n_charsmap > PITH_VOCAB_MAX_CHARSMAP) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: a map of characters of %zu bytes, more than %d", where,
                         vocab->n_charsmap, PITH_VOCAB_MAX_CHARSMAP);
    }
    return vocab->charsmap != NULL && pith_charsmap_open(&map, vocab->charsmap, vocab->n_charsmap)
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_FORMAT, "%s: the map of characters is damaged", where);
}

/* ---- Decoder --------------------------------------------------------------------------------- */

static pith_status check_decode_step(const place *p, const pith_decode_step *step) {
    bool replaces = step->kind == PITH_DECODE_REPLACE;
    bool strips = step->kind == PITH_DECODE_STRIP;
    bool marks = step->kind == PITH_DECODE_MARK;
    if ((unsigned)step->kind > PITH_DECODE_JOIN) {
        return bad(p, "is not known");
    }
    if ((replaces && (!is_text(step->pattern, PITH_VOCAB_MAX_STEP_TEXT) || step->text == NULL ||
                      (step->text[0] != '\0' && !is_text(step->text, PITH_VOCAB_MAX_STEP_TEXT)))) ||
        (strips && !is_character(step->text)) || (marks && !is_character(step->pattern))) {
        return bad(p, "lacks a text, or has one that is too long or not UTF-8");
    }
    if (step->start > PITH_VOCAB_MAX_STRIP || step->stop > PITH_VOCAB_MAX_STRIP) {
        return bad(p, "strips too many characters");
    }
    return PITH_OK;
}

static pith_status check_decoder(const pith_vocab *vocab, const char *where, pith_error *error) {
    place p = {.where = where, .section = "decoder", .error = error};
    pith_status status = check_count(&p, vocab->n_decoder);
    size_t growth = 1;
    size_t n_behind = 0; /* steps behind FUSE */
    bool fused = false;
    for (; status == PITH_OK && p.index < vocab->n_decoder; p.index++) {
        const pith_decode_step *step = &vocab->decoder[p.index];
        status = check_decode_step(&p, step);
        n_behind += fused;
        bool strips = step->kind == PITH_DECODE_STRIP && step->stop == 0;
        if (status == PITH_OK && fused && (!strips || n_behind > 1)) {
            status = bad(&p, "cannot be done as tokens come");
        }
        fused = fused || step->kind == PITH_DECODE_FUSE;
        if (status == PITH_OK && step->kind == PITH_DECODE_REPLACE) {
            size_t from = strlen(step->pattern);
            growth *= pith_max_size(1, (strlen(step->text) + from - 1) / from);
        }
        if (status == PITH_OK && growth > MAX_DECODE_GROWTH) {
            status = bad(&p, "lengthens tokens too much");
        }
    }
    return status;
}

/* ---- All ------------------------------------------------------------------------------------- */

pith_status pith_vocab_check_steps(const pith_vocab *vocab, const char *where, pith_error *error) {
    bool by_rank =
        vocab->kind == PITH_TOKENIZER_LLAMA_BPE || vocab->kind == PITH_TOKENIZER_BYTE_BPE;
    bool unigram = vocab->kind == PITH_TOKENIZER_UNIGRAM && !vocab->single_precision;
    if (vocab->n_steps > 0 && (!(by_rank || unigram) || vocab->pattern != NULL)) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: pre-tokenizer: steps, where a split pattern or the kind of tokenizer "
                         "allows none",
                         where);
    }
    if (vocab->n_normalizer > 0 && !(by_rank || unigram)) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: normalizer: steps, where the kind of tokenizer allows none", where);
    }
    if (vocab->n_decoder > 0 && !(unigram || vocab->kind == PITH_TOKENIZER_LLAMA_BPE)) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: decoder: steps, where the kind of tokenizer allows none", where);
    }
    if (vocab->n_charsmap > 0 && !pith_is_sentencepiece(vocab) && vocab->n_normalizer == 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: a map of characters for nothing", where);
    }
    pith_status status = check_pre_tokenizer(vocab, where, error);
    if (status == PITH_OK) {
        status = check_charsmap(vocab, where, error);
    }
    if (status == PITH_OK) {
        status = check_normalizer(vocab, where, error);
    }
    return status == PITH_OK ? check_decoder(vocab, where, error) : status;
}
