/* Decoding by a list of steps (decoder "Sequence" of a tokenizer.json), one token at a time. The
 * steps before FUSE are done to every token alone; behind it only the beginning of the whole text
 * may be stripped, for which a count of the characters dropped so far is enough. A run of byte
 * tokens is shown as in sentencepiece: Hugging Face's ByteFallback, which sees all of a run before
 * it shows any, makes every byte U+FFFD when one is wrong. */
#include "tokenizer/internal.h"

#include "base/checked.h"
#include "base/utf8.h"

/* Replaces in text [n] from left to right; returns the length of out. */
static size_t replace_all(const char *text, size_t n, const char *from, const char *to, char *out) {
    size_t n_from = strlen(from);
    size_t n_to = strlen(to);
    size_t size = 0;
    for (size_t i = 0; i < n;) {
        if (n - i >= n_from && memcmp(text + i, from, n_from) == 0) {
            memcpy(out + size, to, n_to);
            size += n_to;
            i += n_from;
        } else {
            out[size++] = text[i++];
        }
    }
    return size;
}

/* Bytes that up to `most` times the character at the beginning of text [n] take, counted in
 * *count. */
static size_t leading(const char *text, size_t n, const char *character, size_t most,
                      size_t *count) {
    size_t length = strlen(character);
    size_t at = 0;
    while (*count < most && n - at >= length && memcmp(text + at, character, length) == 0) {
        at += length;
        *count += 1;
    }
    return at;
}

static size_t strip(const pith_decode_step *step, const char *text, size_t n, char *out) {
    size_t length = strlen(step->text);
    size_t count = 0;
    size_t start = leading(text, n, step->text, step->start, &count);
    for (size_t i = 0; i < step->stop && n - start >= length; i++) {
        if (memcmp(text + n - length, step->text, length) != 0) {
            break;
        }
        n -= length;
    }
    memcpy(out, text + start, n - start);
    return n - start;
}

/* One step on text [n] of one token. */
static size_t run_step(const pith_decode_step *step, bool first, const char *text, size_t n,
                       char *out) {
    switch (step->kind) {
    case PITH_DECODE_REPLACE:
        return replace_all(text, n, step->pattern, step->text, out);
    case PITH_DECODE_STRIP:
        return strip(step, text, n, out);
    case PITH_DECODE_MARK:
        return replace_all(text, n, step->pattern, first && step->drop ? "" : " ", out);
    case PITH_DECODE_JOIN:
        *out = ' ';
        memcpy(out + !first, text, n);
        return n + !first;
    case PITH_DECODE_BYTES:
    case PITH_DECODE_FUSE:
        break;
    }
    memcpy(out, text, n);
    return n;
}

static bool has_bytes(const pith_vocab *v) {
    bool found = false;
    for (size_t i = 0; i < v->n_decoder; i++) {
        found = found || v->decoder[i].kind == PITH_DECODE_BYTES;
    }
    return found;
}

/* Drops what the step behind FUSE strips from the text as a whole: out [n] is the next part of it.
 */
static size_t strip_beginning(const pith_vocab *v, pith_decode_state *state, char *out, size_t n) {
    const pith_decode_step *last = &v->decoder[v->n_decoder - 1];
    bool fused = v->n_decoder > 1 && last[-1].kind == PITH_DECODE_FUSE;
    if (!fused || last->kind != PITH_DECODE_STRIP || state->past_start || n == 0) {
        return n;
    }
    size_t dropped = leading(out, n, last->text, last->start, &state->n_stripped);
    state->past_start = dropped < n || state->n_stripped == last->start;
    memmove(out, out + dropped, n - dropped);
    return n - dropped;
}

/* Largest factor by which all steps together lengthen a token; pith_vocab_check bounds it. */
static size_t growth(const pith_vocab *v) {
    size_t all = 1;
    for (size_t i = 0; i < v->n_decoder; i++) {
        if (v->decoder[i].kind == PITH_DECODE_REPLACE) {
            size_t from = strlen(v->decoder[i].pattern);
            all *= pith_max_size(1, (strlen(v->decoder[i].text) + from - 1) / from);
        }
    }
    return all;
}

/* Bytes of one half of `out`: a token with all its steps done, and a space before it. */
static size_t half(const pith_tokenizer *t) {
    return growth(&t->vocab) * (t->pieces.longest + PITH_VOCAB_MAX_STEPS);
}

size_t pith_decode_steps_max(const pith_tokenizer *tokenizer) {
    return 3 * PITH_DECODE_ROOM + 2 * half(tokenizer);
}

size_t pith_decode_steps(const pith_tokenizer *tokenizer, pith_decode_state *state, int32_t id,
                         const char *text, size_t n_bytes, char *out) {
    const pith_vocab *v = &tokenizer->vocab;
    bool first = !state->started;
    state->started = true;
    if (v->types[id] == PITH_PIECE_BYTE && has_bytes(v)) {
        size_t n = pith_decode_byte(state, pith_byte_value(v, (size_t)id), out);
        return strip_beginning(v, state, out, n);
    }
    size_t flushed = pith_decode_flush(state, out);
    char *halves[2] = {out + flushed, out + flushed + half(tokenizer)};
    size_t from = 0;
    memcpy(halves[0], text, n_bytes);
    for (size_t i = 0; i < v->n_decoder && v->decoder[i].kind != PITH_DECODE_FUSE; i++) {
        n_bytes = run_step(&v->decoder[i], first, halves[from], n_bytes, halves[1 - from]);
        from = 1 - from;
    }
    memmove(halves[0], halves[from], n_bytes);
    return strip_beginning(v, state, out, flushed + n_bytes);
}
