/* Token ids to text, one token at a time. Bytes are held back until they are whole characters; the
 * rules for broken ones and for the dummy prefix are SentencePiece's (sentencepiece_processor.cc,
 * Decode): a byte that no valid character contains becomes one U+FFFD, and the first piece loses
 * one leading U+2581. WordPiece pieces are whole characters and joined as Hugging Face's decoder
 * does. */
#include "tokenizer/internal.h"

#include "base/utf8.h"

#include <string.h>

#define REPLACEMENT "\xEF\xBF\xBD" /* U+FFFD */
enum { REPLACEMENT_BYTES = 3 };

void pith_decode_begin(pith_decode_state *state, bool show_special) {
    *state = (pith_decode_state){.show_special = show_special};
}

size_t pith_decode_max(const pith_tokenizer *tokenizer) {
    return tokenizer->vocab.n_decoder > 0
               ? pith_decode_steps_max(tokenizer)
               : REPLACEMENT_BYTES * (PITH_DECODE_ROOM + tokenizer->pieces.longest);
}

static size_t write_replacement(char *out) {
    memcpy(out, REPLACEMENT, REPLACEMENT_BYTES);
    return REPLACEMENT_BYTES;
}

size_t pith_decode_byte(pith_decode_state *state, unsigned char byte, char *out) {
    size_t size = 0;
    state->pending[state->n_pending++] = byte;
    while (state->n_pending > 0) {
        int length = pith_utf8_scan(state->pending, state->n_pending);
        if (length == 0) {
            break;
        }
        size_t used = 1;
        if (length > 0) {
            used = (size_t)length;
            memcpy(out + size, state->pending, used);
            size += used;
        } else {
            size += write_replacement(out + size);
        }
        state->n_pending -= used;
        memmove(state->pending, state->pending + used, state->n_pending);
    }
    return size;
}

size_t pith_decode_flush(pith_decode_state *state, char *out) {
    size_t size = 0;
    for (; state->n_pending > 0; state->n_pending--) {
        size += write_replacement(out + size);
    }
    return size;
}

static size_t push_bytes(pith_decode_state *state, const char *text, size_t n, char *out) {
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        size += pith_decode_byte(state, (unsigned char)text[i], out + size);
    }
    return size;
}

/* What Hugging Face's WordPiece decoder does to each piece with the space in front of it. */
static const struct {
    const char *from, *to;
} clean_ups[] = {
    {" .", "."},   {" ?", "?"},     {" !", "!"},     {" ,", ","},
    {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},   {" do not", " don't"},
    {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
};

/* Replaces in text [n] from left to right; no replacement is longer than what it replaces. */
static size_t replace_all(char *text, size_t n, const char *from, const char *to) {
    size_t n_from = strlen(from);
    size_t n_to = strlen(to);
    size_t size = 0;
    for (size_t i = 0; i < n;) {
        if (n - i >= n_from && memcmp(text + i, from, n_from) == 0) {
            memcpy(text + size, to, n_to);
            size += n_to;
            i += n_from;
        } else {
            text[size++] = text[i++];
        }
    }
    return size;
}

/* A piece of WordPiece: "##" joins it to the text, anything else is a new word. */
static size_t push_wordpiece(pith_decode_state *state, const char *text, size_t n, char *out) {
    size_t size = 0;
    if (state->started && n >= 2 && memcmp(text, "##", 2) == 0) {
        text += 2;
        n -= 2;
    } else if (state->started) {
        out[size++] = ' ';
    }
    state->started = true;
    memcpy(out + size, text, n);
    size += n;
    for (size_t i = 0; i < sizeof clean_ups / sizeof clean_ups[0]; i++) {
        size = replace_all(out, size, clean_ups[i].from, clean_ups[i].to);
    }
    return size;
}

/* A piece of text in which U+2581 is a space. */
static size_t push_piece(const pith_vocab *v, pith_decode_state *state, const char *text, size_t n,
                         char *out) {
    bool squeeze = pith_is_sentencepiece(v) && v->remove_extra_whitespaces;
    bool drop = !state->started && (v->add_dummy_prefix || squeeze);
    size_t i = 0;
    if (drop && v->escape_whitespaces && pith_at_space_mark(text, n)) {
        i = PITH_SPACE_MARK_BYTES;
    } else if (drop && !v->escape_whitespaces && text[0] == ' ') {
        i = 1;
    }
    state->started = i < n || !squeeze;
    size_t size = 0;
    while (i < n) {
        if (v->escape_whitespaces && pith_at_space_mark(text + i, n - i)) {
            size += pith_decode_byte(state, ' ', out + size);
            i += PITH_SPACE_MARK_BYTES;
        } else {
            size += pith_decode_byte(state, (unsigned char)text[i++], out + size);
        }
    }
    return size;
}

static bool is_special(const pith_vocab *v, int32_t id) {
    return v->types[id] == PITH_PIECE_CONTROL || (v->added[id] & PITH_ADDED_SPECIAL) != 0;
}

size_t pith_decode_push(const pith_tokenizer *tokenizer, pith_decode_state *state, int32_t id,
                        char *out) {
    const pith_vocab *v = &tokenizer->vocab;
    const char *text;
    size_t n;
    if (!pith_tokenizer_piece(tokenizer, id, &text, &n) || n == 0) {
        return 0;
    }
    bool special = is_special(v, id);
    if (v->kind == PITH_TOKENIZER_WORDPIECE) {
        return special && !state->show_special ? 0 : push_wordpiece(state, text, n, out);
    }
    if (v->n_decoder > 0) {
        return special && !state->show_special
                   ? 0
                   : pith_decode_steps(tokenizer, state, id, text, n, out);
    }
    bool bytewise = v->kind == PITH_TOKENIZER_BYTE_BPE;
    if (v->types[id] == PITH_PIECE_BYTE) {
        state->started = true;
        return pith_decode_byte(state, pith_byte_value(v, (size_t)id), out);
    }
    /* In SentencePiece a character never spans bytes on both sides of another token. */
    size_t size = bytewise ? 0 : pith_decode_flush(state, out);
    if (special) {
        if (!state->show_special) {
            return size;
        }
        state->started = true;
        return size + push_bytes(state, text, n, out + size);
    }
    return size + (bytewise ? push_bytes(state, text, n, out + size)
                            : push_piece(v, state, text, n, out + size));
}

size_t pith_decode_finish(const pith_tokenizer *tokenizer, pith_decode_state *state, char *out) {
    (void)tokenizer;
    size_t size = pith_decode_flush(state, out);
    state->started = false;
    return size;
}

size_t pith_token_bytes(const pith_tokenizer *tokenizer, int32_t id, char *out) {
    const pith_vocab *v = &tokenizer->vocab;
    const char *text;
    size_t n;
    if (!pith_tokenizer_piece(tokenizer, id, &text, &n) || is_special(v, id) ||
        v->kind == PITH_TOKENIZER_WORDPIECE) {
        return 0;
    }
    if (v->types[id] == PITH_PIECE_BYTE) {
        out[0] = (char)pith_byte_value(v, (size_t)id);
        return 1;
    }
    bool marks = v->kind != PITH_TOKENIZER_BYTE_BPE && v->escape_whitespaces;
    size_t size = 0;
    for (size_t i = 0; i < n;) {
        bool space = marks && pith_at_space_mark(text + i, n - i);
        out[size++] = space ? ' ' : text[i];
        i += space ? PITH_SPACE_MARK_BYTES : 1;
    }
    return size;
}
