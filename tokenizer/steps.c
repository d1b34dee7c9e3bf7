/* A pre-tokenizer of several steps, applied in order: each cuts the pieces that the one before it
 * left (pre_tokenizer "Sequence" of a tokenizer.json). A step sees one piece at a time, so what an
 * expression looks ahead or back at ends with the piece. What a match becomes follows the rules of
 * Hugging Face's tokenizers (normalizer.rs, NormalizedString::split). */
#include "tokenizer/internal.h"

#include "base/status.h"

#include <string.h>

/* ---- Building -------------------------------------------------------------------------------- */

pith_status pith_steps_new(pith_splitter ***out, const pith_split_step *steps, size_t n,
                           const pith_allocator *allocator, pith_error *error) {
    pith_splitter **splitters = pith_allocate_zeroed(allocator, n, sizeof *splitters);
    if (splitters == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the pre-tokenizer");
    }
    *out = splitters; /* the tokenizer frees it, whole or not */
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < n; i++) {
        if (steps[i].kind == PITH_STEP_SPLIT) {
            status = pith_splitter_new(&splitters[i], steps[i].pattern, allocator, error);
        }
    }
    return status;
}

void pith_steps_free(pith_splitter **splitters, size_t n, const pith_allocator *allocator) {
    for (size_t i = 0; splitters != NULL && i < n; i++) {
        pith_splitter_free(splitters[i]);
    }
    pith_release(allocator, splitters);
}

pith_status pith_steps_begin(pith_cutting *cutting, const pith_tokenizer *tokenizer, size_t n_bytes,
                             pith_piece_fn fn, void *user, pith_error *error) {
    size_t n = tokenizer->vocab.n_steps;
    *cutting = (pith_cutting){.tokenizer = tokenizer, .fn = fn, .user = user, .error = error};
    if (n == 0) {
        return PITH_OK;
    }
    cutting->walks = pith_allocate_zeroed(tokenizer->allocator, n, sizeof *cutting->walks);
    bool good = cutting->walks != NULL;
    for (size_t i = 0; good && i < n; i++) {
        good = pith_split_begin(&cutting->walks[i], tokenizer->steps[i], n_bytes);
    }
    return good ? PITH_OK : pith_fail(error, PITH_ERROR_MEMORY, "no memory to encode text");
}

void pith_steps_end(pith_cutting *cutting) {
    for (size_t i = 0; cutting->walks != NULL && i < cutting->tokenizer->vocab.n_steps; i++) {
        pith_split_end(&cutting->walks[i]);
    }
    if (cutting->walks != NULL) {
        pith_release(cutting->tokenizer->allocator, cutting->walks);
    }
}

/* ---- One step -------------------------------------------------------------------------------- */

/* A split of one piece under way. Spans come in order, matches and what lies between them. */
typedef struct split {
    pith_cutting *cutting;
    size_t step;
    const char *text;
    bool first;        /* the text begins with it */
    size_t start, end; /* of a span that may still grow */
    bool waiting;      /* there is one */
    bool matched;      /* it is a match */
} split;

/* `first`: the piece is what the text begins with. */
static pith_status cut(pith_cutting *c, size_t step, const char *text, size_t n, bool first);

static pith_status give(const split *s, size_t start, size_t end) {
    return cut(s->cutting, s->step + 1, s->text + start, end - start, s->first && start == 0);
}

static pith_status give_waiting(split *s) {
    bool waiting = s->waiting;
    s->waiting = false;
    return waiting ? give(s, s->start, s->end) : PITH_OK;
}

static pith_status wait_for_more(split *s, size_t start, size_t end, bool match) {
    pith_status status = give_waiting(s);
    s->waiting = true;
    s->matched = match;
    s->start = start;
    s->end = end;
    return status;
}

/* The waiting span and this one are one piece. */
static pith_status give_joined(split *s, size_t end) {
    s->waiting = false;
    return give(s, s->start, end);
}

static pith_status add_span(split *s, pith_split_behavior behavior, size_t start, size_t end,
                            bool match) {
    switch (behavior) {
    case PITH_SPLIT_REMOVED:
        return match ? PITH_OK : give(s, start, end);
    case PITH_SPLIT_MERGED_WITH_PREVIOUS:
        if (!match) {
            return wait_for_more(s, start, end, false);
        }
        return s->waiting ? give_joined(s, end) : give(s, start, end);
    case PITH_SPLIT_MERGED_WITH_NEXT:
        if (match) {
            return wait_for_more(s, start, end, true);
        }
        return s->waiting ? give_joined(s, end) : give(s, start, end);
    case PITH_SPLIT_CONTIGUOUS:
        if (s->waiting && s->matched == match) {
            s->end = end;
            return PITH_OK;
        }
        return wait_for_more(s, start, end, match);
    case PITH_SPLIT_ISOLATED:
        break;
    }
    return give(s, start, end);
}

static pith_status split_piece(pith_cutting *c, size_t step, const char *text, size_t n,
                               bool first) {
    const pith_split_step *how = &c->tokenizer->vocab.steps[step];
    split s = {.cutting = c, .step = step, .text = text, .first = first};
    pith_split_search search = pith_split_search_begin(&c->walks[step], text, n);
    size_t done = 0;
    pith_status status = PITH_OK;
    while (status == PITH_OK) {
        size_t start = SIZE_MAX;
        size_t end = SIZE_MAX;
        status = pith_split_search_next(&search, &start, &end, c->error);
        if (status != PITH_OK || start == SIZE_MAX) {
            break;
        }
        if (start > done) {
            status = add_span(&s, how->behavior, done, start, how->invert);
        }
        if (status == PITH_OK) {
            status = add_span(&s, how->behavior, start, end, !how->invert);
        }
        done = end;
    }
    if (status == PITH_OK && done < n) {
        status = add_span(&s, how->behavior, done, n, how->invert);
    }
    return status == PITH_OK ? give_waiting(&s) : status;
}

/* A space in front, unless there is one. */
static pith_status prefix_piece(pith_cutting *c, size_t step, const char *text, size_t n,
                                bool first) {
    if (text[0] == ' ') {
        return cut(c, step + 1, text, n, first);
    }
    char *longer = pith_allocate(c->tokenizer->allocator, n + 1, 1);
    if (longer == NULL) {
        return pith_fail(c->error, PITH_ERROR_MEMORY, "no memory for %zu bytes of text", n + 1);
    }
    longer[0] = ' ';
    memcpy(longer + 1, text, n);
    pith_status status = cut(c, step + 1, longer, n + 1, first);
    pith_release(c->tokenizer->allocator, longer);
    return status;
}

/* Spaces become the mark, and one is put in front where the scheme says so and none stands. */
static pith_status mark_piece(pith_cutting *c, size_t step, const char *text, size_t n,
                              bool first) {
    const pith_split_step *how = &c->tokenizer->vocab.steps[step];
    size_t n_mark = strlen(how->pattern);
    size_t n_spaces = 0;
    for (size_t i = 0; i < n; i++) {
        n_spaces += text[i] == ' ';
    }
    bool marked = text[0] == ' ' || (n >= n_mark && memcmp(text, how->pattern, n_mark) == 0);
    bool wanted = how->scheme == PITH_MARK_ALWAYS || (how->scheme == PITH_MARK_FIRST && first);
    bool prefix = wanted && !marked && !(first && c->no_prefix);
    if (n_spaces == 0 && !prefix) {
        return cut(c, step + 1, text, n, first);
    }
    size_t size = n + n_spaces * n_mark + (prefix ? n_mark : 0);
    char *longer = pith_allocate(c->tokenizer->allocator, size, 1);
    if (longer == NULL) {
        return pith_fail(c->error, PITH_ERROR_MEMORY, "no memory for %zu bytes of text", size);
    }
    size = 0;
    if (prefix) {
        memcpy(longer, how->pattern, n_mark);
        size = n_mark;
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] == ' ') {
            memcpy(longer + size, how->pattern, n_mark);
            size += n_mark;
        } else {
            longer[size++] = text[i];
        }
    }
    pith_status status = cut(c, step + 1, longer, size, first);
    pith_release(c->tokenizer->allocator, longer);
    return status;
}

/* The piece in GPT-2's byte alphabet, for the steps that follow. */
static pith_status spell_piece(pith_cutting *c, size_t step, const char *text, size_t n,
                               bool first) {
    char *spelled = pith_allocate(c->tokenizer->allocator, n, PITH_ALPHABET_BYTES);
    if (spelled == NULL) {
        return pith_fail(c->error, PITH_ERROR_MEMORY, "no memory for %zu bytes of text",
                         n * PITH_ALPHABET_BYTES);
    }
    size_t size = pith_alphabet_encode(text, n, spelled);
    c->spelled = true;
    pith_status status = cut(c, step + 1, spelled, size, first);
    c->spelled = false;
    pith_release(c->tokenizer->allocator, spelled);
    return status;
}

/* A piece that has gone through all steps. */
static pith_status finish_piece(pith_cutting *c, const char *text, size_t n) {
    if (!c->spelled) {
        return c->fn(c->user, text, n);
    }
    char *bytes = pith_allocate(c->tokenizer->allocator, n, 1);
    if (bytes == NULL) {
        return pith_fail(c->error, PITH_ERROR_MEMORY, "no memory for %zu bytes of text", n);
    }
    size_t size = pith_alphabet_decode(text, n, bytes);
    pith_status status = c->fn(c->user, bytes, size);
    pith_release(c->tokenizer->allocator, bytes);
    return status;
}

static pith_status cut(pith_cutting *c, size_t step, const char *text, size_t n, bool first) {
    if (n == 0) {
        return PITH_OK;
    }
    if (step == c->tokenizer->vocab.n_steps) {
        return finish_piece(c, text, n);
    }
    switch (c->tokenizer->vocab.steps[step].kind) {
    case PITH_STEP_SPACE:
        return prefix_piece(c, step, text, n, first);
    case PITH_STEP_BYTES:
        return spell_piece(c, step, text, n, first);
    case PITH_STEP_MARK:
        return mark_piece(c, step, text, n, first);
    case PITH_STEP_SPLIT:
        break;
    }
    return split_piece(c, step, text, n, first);
}

pith_status pith_steps_cut(pith_cutting *cutting, const char *text, size_t n_bytes, bool first) {
    return cut(cutting, 0, text, n_bytes, first);
}
