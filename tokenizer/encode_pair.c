/* What an encoder reads: one text or two with the tokens around them that its post-processor puts
 * there, cut to a number of tokens. */
#include "tokenizer/internal.h"

#include "base/checked.h"
#include "base/status.h"

/* The tokens around texts. */
typedef struct frame {
    bool bos, eos;    /* in front of all, behind each text */
    size_t n_between; /* times that eos, with what is in front of it, stands between two texts */
    size_t n;         /* all of them */
} frame;

static frame frame_of(const pith_vocab *v, bool pair) {
    bool always = v->kind == PITH_TOKENIZER_WORDPIECE;
    frame f = {.bos = always || (v->add_bos && v->bos >= 0),
               .eos = always || (v->add_eos && v->eos >= 0)};
    bool between = pair && f.eos && v->pair_form != PITH_PAIR_JOINED;
    f.n_between = !between ? 0 : v->pair_form == PITH_PAIR_DOUBLED ? 2 : 1;
    f.n = (f.bos ? 1 + v->n_after_bos : 0) + ((size_t)f.eos + f.n_between) * (1 + v->n_before_eos);
    return f;
}

/* Sets how many tokens of two texts stay when together they may have `limit`. The shorter text
 * keeps all if that leaves the other at least as many; else each keeps half, and the odd token goes
 * to the longer text, or to the second when both are equally long. */
static void longest_first(size_t limit, size_t *n_first, size_t *n_second) {
    bool first_longer = *n_first > *n_second;
    size_t *shorter = first_longer ? n_second : n_first;
    size_t *longer = first_longer ? n_first : n_second;
    if (*longer <= limit && *shorter <= limit - *longer) {
        return;
    }
    *shorter = pith_min_size(*shorter, limit / 2);
    *longer = limit - *shorter;
}

/* Cuts two neighbouring stretches of `out` that begin at `begin`; *n_first becomes the number of
 * tokens that stay of the first. Returns true when something was cut. */
static bool cut(pith_tokens *out, size_t begin, size_t *n_first, size_t n_second, size_t limit) {
    size_t n_before = *n_first;
    size_t keep_second = n_second;
    longest_first(limit, n_first, &keep_second);
    if (keep_second > 0) {
        memmove(out->ids + begin + *n_first, out->ids + begin + n_before,
                keep_second * sizeof *out->ids);
    }
    out->n = begin + *n_first + keep_second;
    return *n_first + keep_second < n_before + n_second;
}

/* Inserts the tokens that end a text, n times, in front of out->ids[at]. */
static bool insert_end(pith_tokens *out, size_t at, const pith_vocab *v, size_t n) {
    size_t n_behind = out->n - at;
    size_t n_end = v->n_before_eos + 1;
    for (size_t i = 0; i < n * n_end; i++) {
        if (!pith_tokens_push(out, v->eos)) {
            return false;
        }
    }
    if (n_behind > 0) {
        memmove(out->ids + at + n * n_end, out->ids + at, n_behind * sizeof *out->ids);
    }
    for (size_t i = 0; i < n * n_end; i++) {
        size_t k = i % n_end;
        out->ids[at + i] = k < v->n_before_eos ? v->before_eos[k] : v->eos;
    }
    return true;
}

/* Appends the ids of both texts without the tokens around them; *n_first is the number of the first
 * text's. */
static pith_status encode_texts(const pith_tokenizer *t, pith_text text, const pith_text *pair,
                                size_t limit, pith_tokens *out, size_t *n_first,
                                pith_error *error) {
    size_t begin = out->n;
    /* One token beyond the limit shows that there are more; for a pair the full lengths are
     * needed. */
    size_t enough = limit != SIZE_MAX && pair == NULL ? limit + 1 : SIZE_MAX;
    pith_status status =
        pith_encode_enough(t, text.data, text.n_bytes, PITH_ENCODE_SPECIAL, enough, out, error);
    *n_first = out->n - begin;
    if (status == PITH_OK && pair != NULL) {
        status = pith_encode(t, pair->data, pair->n_bytes, PITH_ENCODE_SPECIAL, out, error);
        if (status != PITH_OK) {
            return pith_fail_in(error, status, "second text");
        }
    }
    return status;
}

pith_status pith_encode_for_encoder(const pith_tokenizer *tokenizer, const char *text,
                                    size_t n_bytes, const char *pair, size_t n_pair_bytes,
                                    size_t max_tokens, pith_tokens *out, pith_encoded *info,
                                    pith_error *error) {
    const pith_vocab *v = &tokenizer->vocab;
    const pith_text second = {pair, n_pair_bytes};
    frame f = frame_of(v, pair != NULL);
    if (max_tokens != 0 && max_tokens <= f.n) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "at most %zu tokens, the least is %zu",
                         max_tokens, f.n + 1);
    }
    if (f.bos && (!pith_tokens_push(out, v->bos) ||
                  !pith_tokens_push_all(out, v->after_bos, v->n_after_bos))) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for token ids");
    }
    size_t begin = out->n;
    size_t limit = max_tokens != 0 ? max_tokens - f.n : SIZE_MAX;
    size_t n_first;
    pith_status status = encode_texts(tokenizer, (pith_text){text, n_bytes},
                                      pair != NULL ? &second : NULL, limit, out, &n_first, error);
    if (status != PITH_OK) {
        return status;
    }
    bool truncated = cut(out, begin, &n_first, out->n - begin - n_first, limit);
    if (!insert_end(out, begin + n_first, v, f.n_between) ||
        !insert_end(out, out->n, v, f.eos ? 1 : 0)) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for token ids");
    }
    if (info != NULL) {
        bool ended = f.eos && (pair == NULL || f.n_between > 0);
        size_t n_own =
            (f.bos ? 1 + v->n_after_bos : 0) + n_first + (ended ? 1 + v->n_before_eos : 0);
        *info = (pith_encoded){.n_first = n_own, .truncated = truncated};
    }
    return PITH_OK;
}
