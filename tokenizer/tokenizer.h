/* Encoding and decoding with a compiled vocabulary. A tokenizer is immutable and shared by threads;
 * encoding takes O(n log n) time in the length of the text. */
#ifndef PITH_TOKENIZER_TOKENIZER_H
#define PITH_TOKENIZER_TOKENIZER_H

#include "tokenizer/jinja.h"
#include "tokenizer/vocab.h"

typedef struct pith_tokenizer pith_tokenizer;

/* Builds the look-up tables. The vocabulary's arrays are borrowed and must outlive it; the vocab
 * must have passed pith_vocab_check. Errors: MEMORY, FORMAT (pattern does not compile; spellings
 * made to collide; one of an added token that cannot be normalised). */
pith_status pith_tokenizer_new(pith_tokenizer **out, const pith_vocab *vocab,
                               const pith_allocator *allocator, pith_error *error);
void pith_tokenizer_free(pith_tokenizer *tokenizer);
const pith_vocab *pith_tokenizer_vocab(const pith_tokenizer *tokenizer);

/* A growing list of token ids. */
typedef struct pith_tokens {
    const pith_allocator *allocator;
    int32_t *ids; /* [capacity], n in use */
    size_t n;
    size_t capacity;
} pith_tokens;

void pith_tokens_init(pith_tokens *tokens, const pith_allocator *allocator);
void pith_tokens_release(pith_tokens *tokens);
bool pith_tokens_push(pith_tokens *tokens, int32_t id); /* false: out of memory */
bool pith_tokens_push_all(pith_tokens *tokens, const int32_t *ids, size_t n);

/* How a piece of text is read. */
enum {
    PITH_ENCODE_SPECIAL = 1,   /* match special tokens written in the text; WordPiece always does */
    PITH_ENCODE_NO_PREFIX = 2, /* no dummy prefix: the text continues what stands before */
};

enum { PITH_ENCODE_MAX_BYTES = 1 << 29 }; /* of one text */

/* Appends the ids of `text` [n_bytes]; the caller adds bos and eos. On failure `out` may have
 * grown. Errors: TEXT (invalid UTF-8, with byte offset; a pattern gave up; a normaliser makes too
 * much of it; a Unigram without an unknown token cannot spell it), MEMORY, ARGUMENT (more than
 * PITH_ENCODE_MAX_BYTES). */
pith_status pith_encode(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                        unsigned flags, pith_tokens *out, pith_error *error);

/* As pith_encode for a text of several origins, which the spans [n_spans] divide: special tokens
 * written in it are read as such where they lie wholly in the template's own text. The text between
 * two special tokens is one stretch, whatever its origin. */
pith_status pith_encode_spans(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                              const pith_template_span *spans, size_t n_spans, pith_tokens *out,
                              pith_error *error);

/* Appends what a decoder reads of a text: its ids with the tokens around it that `flags`, those of
 * pith_tokenize, ask for. `bos` is the model's beginning-of-sequence token, which may be one that
 * the vocabulary does not name; -1: it has none. On failure `out` may have grown. Errors: as
 * pith_encode. */
pith_status pith_encode_for_decoder(const pith_tokenizer *tokenizer, pith_text text, unsigned flags,
                                    int32_t bos, pith_tokens *out, pith_error *error);

/* What an encoder reads: with WordPiece [CLS] text [SEP], or [CLS] text [SEP] pair [SEP]; with
 * other tokenizers the tokens that their post-processor puts around texts. */
typedef struct pith_encoded {
    size_t n_first; /* ids of [CLS], the text and its [SEP]; those after are of token type 1, if the
                       model has such */
    bool truncated;
} pith_encoded;

/* Appends the ids of a text [n_bytes] or, with `pair` not NULL, of two texts. Special tokens
 * written in the text are always read as such. With max_tokens (more than the tokens around, of
 * WordPiece at least 3 for a text and 4 for a pair; 0: no limit) the end of the text is cut so that
 * all fits; of a pair as "longest first" of Hugging Face's Rust tokenizers does it: the shorter
 * text stays whole if it takes no more than half of the room; else both get half, and the odd token
 * goes to the longer text, or to the second when both are equally long. `info` may be NULL; it is
 * filled on success. On failure `out` may have grown. Errors: as pith_encode; ARGUMENT (max_tokens
 * too small). */
pith_status pith_encode_for_encoder(const pith_tokenizer *tokenizer, const char *text,
                                    size_t n_bytes, const char *pair, size_t n_pair_bytes,
                                    size_t max_tokens, pith_tokens *out, pith_encoded *info,
                                    pith_error *error);

/* Id of the token spelled exactly so, or -1. */
int32_t pith_tokenizer_find(const pith_tokenizer *tokenizer, const char *spelling, size_t n_bytes);

/* As pith_tokenizer_find, for special and added tokens only: those that are matched whole. */
int32_t pith_tokenizer_find_added(const pith_tokenizer *tokenizer, const char *spelling,
                                  size_t n_bytes);

/* Spelling of a token as stored; false when out of range. */
bool pith_tokenizer_piece(const pith_tokenizer *tokenizer, int32_t id, const char **text,
                          size_t *n_bytes);

/* Streaming detokenisation. Plain data; initialise with pith_decode_begin. */
enum { PITH_DECODE_ROOM = 8 };

typedef struct pith_decode_state {
    unsigned char pending[PITH_DECODE_ROOM]; /* bytes of an unfinished character */
    size_t n_pending;
    bool started;      /* some text came out: the dummy prefix has been dropped */
    bool show_special; /* special tokens give their spelling instead of nothing */
    size_t n_stripped; /* characters that a decoder's last step has dropped at the beginning */
    bool past_start;   /* ... and drops no more */
} pith_decode_state;

void pith_decode_begin(pith_decode_state *state, bool show_special);

/* Largest number of bytes one push or finish can produce with this vocabulary. */
size_t pith_decode_max(const pith_tokenizer *tokenizer);

/* Writes the text that token `id` completes to out [pith_decode_max]; returns its length. Each byte
 * that cannot be part of valid UTF-8 becomes one U+FFFD, as in SentencePiece. An id out of range
 * gives nothing (callers check). */
size_t pith_decode_push(const pith_tokenizer *tokenizer, pith_decode_state *state, int32_t id,
                        char *out);
size_t pith_decode_finish(const pith_tokenizer *tokenizer, pith_decode_state *state, char *out);

/* Writes the bytes that token `id` adds within a text to out [pith_decode_max], which need not be
 * whole characters; returns how many. Special tokens, ids out of range and all of WordPiece add
 * none. */
size_t pith_token_bytes(const pith_tokenizer *tokenizer, int32_t id, char *out);

/* "llama2", the chat format that is written without a template. */
extern const char pith_chat_reference[];

/* Renders a conversation; see pith_chat_format. `format` is the name of a chat format ("llama2") or
 * NULL; a format that is not known is UNSUPPORTED, named. Appends to out. */
pith_status pith_chat_encode(const pith_tokenizer *tokenizer, const char *format,
                             const pith_message *messages, size_t n_messages, pith_tokens *out,
                             pith_error *error);

/* The chat format of a checkpoint's template, found by rendering a few conversations with it:
 * "llama2", or NULL for any other. A template that refuses a system message is none: the format
 * would write one where the model never saw it. `chat_template` may be NULL. Errors: MEMORY. */
pith_status pith_chat_recognise(const char *chat_template, const pith_allocator *allocator,
                                const char **format, pith_error *error);

/* Code Llama infilling; see pith_infill_format. Special ids come from the vocabulary, spelled
 * "▁<PRE>", "▁<SUF>", "▁<MID>", "▁<EOT>" (tokenizer.model) or "<PRE>"... */
typedef struct pith_infill_ids {
    int32_t prefix, suffix, middle, end; /* -1: none */
} pith_infill_ids;
pith_infill_ids pith_tokenizer_infill(const pith_tokenizer *tokenizer);
pith_status pith_infill_encode(const pith_tokenizer *tokenizer, pith_text prefix, pith_text suffix,
                               bool suffix_first, pith_tokens *out, pith_error *error);

#endif
