/* What the files of the tokenizer share. Encoding a text runs through these steps:
 *     added.c      tokens that are matched whole are cut out of the text
 *     normalize.c  the rest gets its prefix, its U+2581 for spaces, its NFC
 *     added.c      once more, for tokens that are matched in normalised text
 *     split.c      byte-level BPE: cut into pre-tokens by the pattern
 *     steps.c      ... or by several steps, one after the other
 *     merge.c      characters or bytes are joined to pieces
 *     unigram.c    ... or the likeliest pieces are found
 * and encode.c walks through them. For WordPiece the second step is bert_normalize.c, and the last
 * two are wordpiece.c. */
#ifndef PITH_TOKENIZER_INTERNAL_H
#define PITH_TOKENIZER_INTERNAL_H

#include "base/bytes.h"
#include "tokenizer/tables.h"
#include "tokenizer/tokenizer.h"

#include <string.h>

/* U+2581, which stands for a space in SentencePiece vocabularies. */
#define PITH_SPACE_MARK "\xE2\x96\x81"
enum { PITH_SPACE_MARK_BYTES = 3 };

static inline bool pith_at_space_mark(const char *text, size_t n_bytes) {
    return n_bytes >= PITH_SPACE_MARK_BYTES &&
           memcmp(text, PITH_SPACE_MARK, PITH_SPACE_MARK_BYTES) == 0;
}

/* ---- added.c: tokens matched whole ----------------------------------------------------------- */

typedef struct pith_added_token {
    const char *text; /* in the vocabulary, or in the matcher's `normalized` */
    uint32_t n_bytes;
    int32_t id;
} pith_added_token;

/* Tokens sorted by spelling. */
typedef struct pith_matcher {
    pith_added_token *tokens; /* [n] */
    size_t n;
    uint32_t first[257]; /* tokens that begin with byte b are first[b] .. first[b + 1] - 1 */
    char *normalized;    /* owned spellings, or NULL */
} pith_matcher;

/* A token found: it takes the place of text[start .. end). */
typedef struct pith_match {
    size_t start, end;
    int32_t id;
} pith_match;

/* Collects the added tokens that are matched in text as given, or in normalised text.
 * Errors: MEMORY, FORMAT (a spelling that cannot be normalised). */
pith_status pith_matcher_build(pith_matcher *out, const pith_tokenizer *tokenizer, bool normalized,
                               pith_error *error);
void pith_matcher_release(pith_matcher *matcher, const pith_allocator *allocator);

/* Where special tokens written in a text count: everywhere, or only within spans of a template. The
 * zero value: nowhere. A walk over the text goes forward only. */
typedef struct pith_special {
    bool everywhere;
    const pith_template_span *spans; /* [n] that divide the text */
    size_t n;
    size_t next;   /* the first span that may reach beyond the last place that was looked at */
    size_t offset; /* of the walk's text within the one that the spans divide */
} pith_special;

/* Bytes from `at` on that a special token may lie in. */
size_t pith_special_room(pith_special *special, size_t at);

/* Finds the next token at or after `from`: the leftmost, of those the longest. A special one counts
 * only where it lies within the room of `special`. The match takes in white space at its sides as
 * the token's flags say, but nothing before `from`. */
bool pith_matcher_next(const pith_tokenizer *tokenizer, const pith_matcher *matcher,
                       const char *text, size_t n_bytes, size_t from, pith_special *special,
                       pith_match *out);

/* ---- normalize.c, normalize_steps.c, forms.c
 * --------------------------------------------------------------- */

typedef struct pith_normalized {
    const char *text; /* `owned`, or the input when nothing had to change */
    size_t n_bytes;
    char *owned; /* for the caller to release; may be NULL */
} pith_normalized;

/* Normalises one stretch of text. `at_start`: it begins where the whole text begins. `flags` are
 * those of pith_encode. Errors: MEMORY, TEXT (as pith_normalize_steps). */
pith_status pith_normalize(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                           bool at_start, unsigned flags, pith_normalized *out, pith_error *error);

/* The text by the steps of vocab->normalizer; `no_prefix` leaves PREPEND out. `out` as of
 * pith_normalize. Errors: TEXT (it grew beyond its limit, a pattern ran into its limits),
 * MEMORY. */
pith_status pith_normalize_steps(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                 bool no_prefix, pith_normalized *out, pith_error *error);

/* The text as SentencePiece's normaliser with the vocabulary's map of characters makes it; `prefix`
 * puts a space in front. `out` as of pith_normalize. Errors: TEXT (it grew beyond its limit),
 * MEMORY. */
pith_status pith_normalize_pieces(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                  bool prefix, pith_normalized *out, pith_error *error);

typedef enum pith_form { PITH_FORM_C, PITH_FORM_D, PITH_FORM_KC, PITH_FORM_KD } pith_form;

/* A Unicode normalisation form. `*out` is NULL when its bytes show that the text is in that form
 * already. Errors: MEMORY. */
pith_status pith_unicode_form(const pith_allocator *allocator, pith_form form, const char *text,
                              size_t n_bytes, char **out, size_t *n_out, pith_error *error);

/* ---- charsmap.c ------------------------------------------------------------------------------ */

typedef struct pith_charsmap {
    const uint8_t *units; /* [n_units, 4] */
    size_t n_units;       /* 0: no map */
    const char *texts;    /* [n_texts], each ended by a NUL */
    size_t n_texts;
} pith_charsmap;

/* Finds the parts of a precompiled_charsmap, which are borrowed; false when it is damaged. */
bool pith_charsmap_open(pith_charsmap *out, const uint8_t *bytes, size_t n);

/* What the longest key that text [n] begins with becomes, ended by a NUL; its length in *used.
 * NULL: no key, or no map. */
const char *pith_charsmap_longest(const pith_charsmap *map, const char *text, size_t n,
                                  size_t *used);

/* Appends the text with its graphemes replaced, as Hugging Face's Precompiled does it; `out` does
 * not grow beyond `limit` bytes. Errors: TEXT (the limit), MEMORY. */
pith_status pith_charsmap_apply(const pith_charsmap *map, const char *text, size_t n, size_t limit,
                                pith_bytes *out, pith_error *error);

/* ---- split.c: pre-tokens of byte-level BPE --------------------------------------------------- */

typedef struct pith_splitter pith_splitter;

/* Errors: FORMAT (the pattern does not compile), MEMORY. */
pith_status pith_splitter_new(pith_splitter **out, const char *pattern,
                              const pith_allocator *allocator, pith_error *error);
void pith_splitter_free(pith_splitter *splitter);

/* True when the pattern can match no characters at all. */
bool pith_splitter_matches_empty(const pith_splitter *splitter);

/* One walk over one text. */
typedef struct pith_split_walk {
    const pith_splitter *splitter;
    void *match;  /* pcre2_match_data */
    void *limits; /* pcre2_match_context */
} pith_split_walk;

/* For a text of n_bytes; `splitter` may be NULL. False: no memory, and nothing to end. */
bool pith_split_begin(pith_split_walk *walk, const pith_splitter *splitter, size_t n_bytes);
void pith_split_end(pith_split_walk *walk);

/* The next match at or after `from`: *start < *end, or both n_bytes when there is none.
 * Errors: TEXT (the pattern ran into its limits), MEMORY. */
pith_status pith_split_next(const pith_split_walk *walk, const char *text, size_t n_bytes,
                            size_t from, size_t *start, size_t *end, pith_error *error);

/* All matches one after the other, as Oniguruma's iterator returns them: an empty match counts, but
 * not directly behind the match before it. */
typedef struct pith_split_search {
    const pith_split_walk *walk;
    const char *text;
    size_t n_bytes;
    size_t from; /* end of the match before */
    bool any;    /* there was one, and it ends at `from` */
} pith_split_search;

pith_split_search pith_split_search_begin(const pith_split_walk *walk, const char *text,
                                          size_t n_bytes);
/* The next match; *start is SIZE_MAX when there is none. Errors: as pith_split_next. */
pith_status pith_split_search_next(pith_split_search *search, size_t *start, size_t *end,
                                   pith_error *error);

/* ---- alphabet.c ------------------------------------------------------------------------------ */

enum { PITH_ALPHABET_BYTES = 2 }; /* of the longest character */

/* The byte that a character of the alphabet stands for; -1: it is none. */
int pith_alphabet_byte(uint32_t code);

/* Spells bytes [n] in the alphabet, out: [n * PITH_ALPHABET_BYTES]; returns the length. */
size_t pith_alphabet_encode(const char *text, size_t n, char *out);

/* Writes the bytes that text [n] in the alphabet means, and returns how many they are; `out` may be
 * `text` or before it. */
size_t pith_alphabet_decode(const char *text, size_t n, char *out);

/* Compiles the patterns of a normaliser's REPLACE steps; as pith_steps_new. */
pith_status pith_normal_steps_new(pith_splitter ***out, const pith_normal_step *steps, size_t n,
                                  const pith_allocator *allocator, pith_error *error);

/* ---- steps.c: pre-tokenizers of several steps ------------------------------------------------ */

/* Compiles the steps' patterns; *out [n] is for pith_steps_free, also on failure when it was set.
 * Errors: FORMAT, MEMORY. */
pith_status pith_steps_new(pith_splitter ***out, const pith_split_step *steps, size_t n,
                           const pith_allocator *allocator, pith_error *error);
void pith_steps_free(pith_splitter **splitters, size_t n, const pith_allocator *allocator);

/* Receives a pre-token. */
typedef pith_status (*pith_piece_fn)(void *user, const char *text, size_t n_bytes);

/* Pre-tokenization of one text. */
typedef struct pith_cutting {
    const pith_tokenizer *tokenizer;
    pith_split_walk *walks; /* [n_steps] */
    bool spelled;           /* pieces are in the byte alphabet */
    bool no_prefix;         /* no mark before the piece that the text begins with */
    pith_piece_fn fn;
    void *user;
    pith_error *error;
} pith_cutting;

/* For a text of n_bytes; pith_steps_end is needed also on failure. Errors: MEMORY. */
pith_status pith_steps_begin(pith_cutting *cutting, const pith_tokenizer *tokenizer, size_t n_bytes,
                             pith_piece_fn fn, void *user, pith_error *error);
void pith_steps_end(pith_cutting *cutting);

/* Cuts a stretch of the text and calls fn with each pre-token; its failure ends the cutting.
 * `first`: the whole text begins with it. Errors: TEXT (a pattern ran into its limits), MEMORY. */
pith_status pith_steps_cut(pith_cutting *cutting, const char *text, size_t n_bytes, bool first);

/* ---- merge.c --------------------------------------------------------------------------------- */

/* A stretch of text that is, or became, one piece. */
typedef struct pith_symbol {
    uint32_t previous, next; /* neighbours */
    uint32_t start;          /* offset in the text */
    uint32_t n_bytes;        /* 0: was joined to the symbol on its left */
    int32_t id;              /* -1: not a piece */
} pith_symbol;

/* Two neighbours that could be joined. */
typedef struct pith_candidate {
    uint64_t order;   /* least first: priority in the upper half, left symbol in the lower */
    uint32_t n_bytes; /* of both together, to notice that one of them has changed since */
    int32_t id;       /* what they become */
} pith_candidate;

/* Working memory of one encoding. */
typedef struct pith_merger {
    const pith_tokenizer *tokenizer;
    pith_symbol *symbols; /* [capacity] */
    pith_candidate *heap; /* [2 * capacity] */
    size_t capacity;
    size_t n_symbols;
    size_t n_heap;
    uint32_t *halves; /* [n_pieces] bytes of the left half an unused piece was joined from; NULL
                         when the vocabulary has no unused pieces */
} pith_merger;

pith_status pith_merger_init(pith_merger *merger, const pith_tokenizer *tokenizer,
                             pith_error *error);
void pith_merger_release(pith_merger *merger);

/* Appends the ids of one pre-token, or of text that has none. Errors: MEMORY. */
pith_status pith_merge(pith_merger *merger, const char *text, size_t n_bytes, pith_tokens *out,
                       pith_error *error);

/* ---- bert_unicode.c, bert_normalize.c: what BERT does to text -------------------------------- */

typedef enum pith_bert_class {
    PITH_BERT_OTHER,
    PITH_BERT_MARK,        /* nonspacing: an accent */
    PITH_BERT_PUNCTUATION, /* in ASCII symbols, too */
    PITH_BERT_CONTROL,     /* control and format characters, private use */
} pith_bert_class;

pith_bert_class pith_bert_class_of(uint32_t code);
bool pith_bert_is_ideograph(uint32_t code); /* gets spaces around it */

/* Form D of one character, without the canonical ordering: number of code points in out. */
enum { PITH_MAX_DECOMPOSED = 4 };
size_t pith_bert_decompose(uint32_t code, int32_t *out /* [PITH_MAX_DECOMPOSED] */);
unsigned pith_bert_combining_class(uint32_t code); /* 0 to 255 */

/* Lower case of one character, whatever stands beside it: number of code points in out. */
size_t pith_bert_lower(uint32_t code, int32_t *out /* [2] */);

/* Normalises as the WordPiece vocabulary asks for. Errors: MEMORY. */
pith_status pith_bert_normalize(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                pith_normalized *out, pith_error *error);

/* ---- trie.c ---------------------------------------------------------------------------------- */

/* Pieces as a tree of bytes: the children of node i are the nodes first .. first of i + 1. */
typedef struct pith_trie_node {
    uint32_t first;
    int32_t id; /* of the piece that ends here, -1: none */
} pith_trie_node;

typedef struct pith_trie {
    pith_trie_node *nodes;   /* [n + 1]; 0 is the root */
    uint8_t *bytes;          /* [n] last byte of what a node stands for */
    uint32_t roots[2][256];  /* node of each first byte of a word, and after "##"; 0: none */
    uint8_t characters[128]; /* WordPiece: what each ASCII character is in text to be split */
} pith_trie;

/* Returns true for pieces that belong in the tree; n_bytes is the length of the piece. */
typedef bool (*pith_trie_fn)(const pith_vocab *vocab, size_t id, size_t n_bytes);

/* Of equal spellings the last one counts, as in a dictionary. Errors: MEMORY. */
pith_status pith_trie_build(pith_trie *out, const pith_vocab *vocab, pith_trie_fn wanted,
                            const pith_allocator *allocator, pith_error *error);
void pith_trie_release(pith_trie *trie, const pith_allocator *allocator);

/* The child by that byte, or 0. */
uint32_t pith_trie_child(const pith_trie *trie, uint32_t node, uint8_t byte);

/* ---- unigram.c ------------------------------------------------------------------------------- */

/* The best way to spell the text up to one place. */
typedef struct pith_path {
    double score;
    uint32_t n_bytes; /* of its last piece; 0: no way leads here */
    int32_t id;       /* of that piece */
} pith_path;

/* Working memory of one encoding. */
typedef struct pith_lattice {
    const pith_tokenizer *tokenizer;
    pith_path *paths; /* [capacity] */
    size_t capacity;
} pith_lattice;

/* Builds the tree of the pieces that text can become, and the numbers that the search needs.
 * Errors: MEMORY. */
pith_status pith_unigram_build(pith_tokenizer *tokenizer, pith_error *error);
void pith_lattice_release(pith_lattice *lattice);

/* Appends the ids of one pre-token [n_bytes > 0], or of text that has none. Errors: MEMORY, TEXT (a
 * character without a piece, where there is no unknown token). */
pith_status pith_unigram_encode(pith_lattice *lattice, const char *text, size_t n_bytes,
                                pith_tokens *out, pith_error *error);

/* ---- wordpiece.c ----------------------------------------------------------------------------- */

/* Errors: MEMORY. */
pith_status pith_wordpiece_build(pith_trie *out, const pith_vocab *vocab,
                                 const pith_allocator *allocator, pith_error *error);

/* Appends the ids of normalised text. Errors: MEMORY. */
pith_status pith_wordpiece_encode(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                  pith_tokens *out, pith_error *error);

/* ---- decode_steps.c -------------------------------------------------------------------------- */

/* The text that one token becomes by the steps of vocab->decoder, to out; returns its length. As
 * pith_decode_push. */
size_t pith_decode_steps(const pith_tokenizer *tokenizer, pith_decode_state *state, int32_t id,
                         const char *text, size_t n_bytes, char *out);

/* Bytes that pith_decode_steps writes at most. */
size_t pith_decode_steps_max(const pith_tokenizer *tokenizer);

/* Adds a byte of the text, held back until its character is whole; returns the number of bytes
 * written (decode.c). pith_decode_flush writes what is held back, each byte as U+FFFD. */
size_t pith_decode_byte(pith_decode_state *state, unsigned char byte, char *out);
size_t pith_decode_flush(pith_decode_state *state, char *out);

/* ---- vocab_steps.c --------------------------------------------------------------------------- */

/* The part of pith_vocab_check that is about lists of steps and the map of characters. */
pith_status pith_vocab_check_steps(const pith_vocab *vocab, const char *where, pith_error *error);

/* ---- vocab_arrays.c -------------------------------------------------------------------------- */

/* Pieces that are to replace those of a vocabulary. */
typedef struct pith_vocab_arrays {
    char *bytes;
    uint32_t *offsets;
    uint8_t *types, *added;
    float *scores;             /* NULL where the vocabulary has none, ... */
    double *log_probabilities; /* ... as here */
    size_t n, n_bytes;         /* pieces that were put, and their bytes */
} pith_vocab_arrays;

/* Allocates room for n pieces with n_bytes bytes together. All scores are 0. Errors: MEMORY. */
pith_status pith_vocab_arrays_new(pith_vocab_arrays *out, const pith_vocab_file *file, size_t n,
                                  size_t n_bytes, const char *name, pith_error *error);

/* Appends a piece. */
void pith_vocab_arrays_put(pith_vocab_arrays *a, const char *text, size_t n_bytes, uint8_t type,
                           uint8_t flags);

/* Makes `settings` with these pieces the vocabulary of the file, and releases its old arrays. On
 * failure the new ones are released, and the file is as before. Errors: FORMAT (pith_vocab_check,
 * with `name`). */
pith_status pith_vocab_arrays_replace(pith_vocab_file *file, const pith_vocab_arrays *a,
                                      const pith_vocab *settings, const char *name,
                                      pith_error *error);

/* ---- encode.c -------------------------------------------------------------------------------- */

/* As pith_encode, but all ids after the first `enough` may be left out (SIZE_MAX: none). */
pith_status pith_encode_enough(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                               unsigned flags, size_t enough, pith_tokens *out, pith_error *error);

/* ---- tokenizer.c ----------------------------------------------------------------------------- */

struct pith_tokenizer {
    pith_vocab vocab; /* its arrays are borrowed */
    const pith_allocator *allocator;
    pith_piece_table pieces;
    pith_merge_table merges;
    pith_trie trie;          /* WordPiece and Unigram only */
    int32_t byte_ids[256];   /* the piece of each byte (byte-level BPE: of that spelling; else of
                                type BYTE), -1: none */
    int32_t ascii_ids[128];  /* the piece of each ASCII character, -1: none */
    pith_matcher as_given;   /* added tokens matched in the text as given */
    pith_matcher normalized; /* those matched in normalised text */
    pith_splitter *splitter; /* NULL: no pattern */
    pith_splitter **steps;   /* [vocab.n_steps], NULL where a step has no pattern */
    pith_splitter **normal_steps; /* [vocab.n_normalizer], likewise */
    pith_charsmap charsmap;
    double unknown_score; /* Unigram: of a character without a piece */
    double best_score;    /* Unigram: of any piece */
    bool has_unused;
    bool words_apart; /* no piece spans the start of a word (U+2581 after something else), so words
                         can be encoded one by one; WordPiece: no added token holds white space */
};

/* The piece that text merged or split may become: of type NORMAL or UNUSED; or -1. Special tokens
 * never come out of ordinary text. */
int32_t pith_find_plain(const pith_tokenizer *t, const char *text, size_t n_bytes);

/* True for a vocabulary from a SentencePiece model. */
static inline bool pith_is_sentencepiece(const pith_vocab *v) {
    return v->kind == PITH_TOKENIZER_SENTENCEPIECE ||
           (v->kind == PITH_TOKENIZER_UNIGRAM && v->single_precision);
}

/* The value of a piece of type BYTE. */
unsigned char pith_byte_value(const pith_vocab *vocab, size_t id);

#endif
