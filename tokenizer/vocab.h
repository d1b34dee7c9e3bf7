/* A compiled vocabulary: flat arrays that a .pith file stores as tensors, with the few settings
 * that go to its metadata. The converter's parsers (tokenizer.model, tokenizer.json) make one;
 * opening a model points one at the file's bytes and parses no text. */
#ifndef PITH_TOKENIZER_VOCAB_H
#define PITH_TOKENIZER_VOCAB_H

#include "base/json.h"
#include "base/memory.h"

typedef enum pith_tokenizer_kind {
    PITH_TOKENIZER_SENTENCEPIECE, /* merge by piece score (tokenizer.model), byte fallback */
    PITH_TOKENIZER_LLAMA_BPE,     /* merge by rank over characters with byte fallback: a Llama-style
                                     tokenizer.json (Metaspace, or Prepend and Replace) */
    PITH_TOKENIZER_BYTE_BPE,      /* merge by rank over bytes: GPT-2, Llama 3, Qwen2 */
    PITH_TOKENIZER_WORDPIECE,     /* BERT */
    PITH_TOKENIZER_UNIGRAM,       /* the likeliest pieces (SentencePiece, XLM-R), byte fallback */
} pith_tokenizer_kind;

/* Per piece. */
typedef enum pith_piece_type {
    PITH_PIECE_NORMAL = 1, /* the numbers of sentencepiece_model.proto */
    PITH_PIECE_UNKNOWN = 2,
    PITH_PIECE_CONTROL = 3,      /* special: no text when decoded, matched only on request */
    PITH_PIECE_USER_DEFINED = 4, /* added token with text: always matched whole */
    PITH_PIECE_UNUSED = 5,
    PITH_PIECE_BYTE = 6, /* "<0x0A>" */
} pith_piece_type;

enum {
    PITH_VOCAB_MAX_PIECES = 1 << 20,
    PITH_VOCAB_MAX_MERGES = 1 << 21,
    PITH_VOCAB_MAX_BYTES = 64 << 20,
    PITH_VOCAB_MAX_ADDED_BYTES = 512,      /* of a token that is looked for in the text */
    PITH_VOCAB_MAX_PATTERN = 4096,         /* bytes of `pattern` */
    PITH_VOCAB_MAX_STEPS = 32,             /* of a pre-tokenizer, a normalizer, a decoder */
    PITH_VOCAB_MAX_STEP_PATTERN = 1 << 15, /* bytes of a step's pattern */
    PITH_VOCAB_MAX_STEP_TEXT = 64,         /* bytes of a text that a step writes */
    PITH_VOCAB_MAX_STRIP = 16,             /* characters that a decoder's STRIP takes away */
    PITH_VOCAB_MAX_CHARSMAP = 16 << 20,    /* bytes; SentencePiece's own maps have 0.3 MB */
    PITH_VOCAB_MAX_UNIGRAM_BYTES = 512,    /* of a piece: it bounds the steps per character */
    PITH_VOCAB_MAX_WORD_CHARS = 1024,      /* of max_word_chars */
};

/* Flags of an added or special token, in `added`. */
enum {
    PITH_ADDED_LSTRIP = 1,
    PITH_ADDED_RSTRIP = 2,
    PITH_ADDED_SINGLE_WORD = 4,
    PITH_ADDED_SPECIAL = 8,     /* skipped when decoding, matched only on request */
    PITH_ADDED_NORMALIZED = 16, /* matched in the normalised text instead of the text as given */
    PITH_ADDED_BEYOND = 32,     /* WordPiece, Unigram: not in the model's own vocabulary, so that no
                                   word is ever made of it */
};

/* What happens to the matches of a step's pattern and to the text between them (Hugging Face's
 * SplitDelimiterBehavior). */
typedef enum pith_split_behavior {
    PITH_SPLIT_ISOLATED, /* each is a piece */
    PITH_SPLIT_REMOVED,  /* matches are dropped */
    PITH_SPLIT_MERGED_WITH_PREVIOUS,
    PITH_SPLIT_MERGED_WITH_NEXT,
    PITH_SPLIT_CONTIGUOUS, /* neighbouring matches are one piece */
} pith_split_behavior;

typedef enum pith_step_kind {
    PITH_STEP_SPLIT, /* cut by a pattern */
    PITH_STEP_SPACE, /* a space in front of each piece, unless there is one */
    PITH_STEP_BYTES, /* byte-level only: spell the bytes in GPT-2's alphabet for the steps that
                        follow */
    PITH_STEP_MARK,  /* spaces become `pattern`, and one is put in front (Metaspace) */
} pith_step_kind;

/* Before which pieces MARK puts one, where none stands. */
typedef enum pith_mark_scheme {
    PITH_MARK_ALWAYS,
    PITH_MARK_FIRST, /* the piece that the text begins with */
    PITH_MARK_NEVER,
} pith_mark_scheme;

/* One step of a pre-tokenizer. */
typedef struct pith_split_step {
    pith_step_kind kind;
    const char *pattern; /* of SPLIT, PCRE2; of MARK the text itself; else NULL */
    pith_split_behavior behavior;
    bool invert; /* what lies between the matches counts as the matches */
    pith_mark_scheme scheme;
} pith_split_step;

/* One step of a normaliser, in the words of Hugging Face's tokenizers. */
typedef enum pith_normal_kind {
    PITH_NORMAL_REPLACE, /* matches of `pattern` become `text` */
    PITH_NORMAL_PREPEND, /* `text` in front */
    PITH_NORMAL_NFC,
    PITH_NORMAL_NFD,
    PITH_NORMAL_NFKC,
    PITH_NORMAL_NFKD,
    PITH_NORMAL_LOWERCASE,
    PITH_NORMAL_STRIP,         /* white space at the ends: `left`, `right` */
    PITH_NORMAL_STRIP_ACCENTS, /* no marks (class M) */
    PITH_NORMAL_NMT,      /* control characters are dropped, unusual white space becomes spaces */
    PITH_NORMAL_CHARSMAP, /* the vocabulary's character map, grapheme by grapheme */
} pith_normal_kind;

typedef struct pith_normal_step {
    pith_normal_kind kind;
    const char *pattern; /* of REPLACE, PCRE2; else NULL */
    const char *text;    /* of REPLACE and PREPEND; else NULL */
    bool left, right;    /* of STRIP */
} pith_normal_step;

/* One step of a decoder. Steps before FUSE apply to every token by itself. */
typedef enum pith_decode_kind {
    PITH_DECODE_REPLACE, /* `pattern`, a text, becomes `text` */
    PITH_DECODE_STRIP,   /* up to `start` and `stop` times the character `text` at the ends */
    PITH_DECODE_BYTES,   /* tokens like <0x0A> are bytes */
    PITH_DECODE_FUSE,    /* all tokens are one text from here on */
    PITH_DECODE_MARK,    /* `pattern` is a space; with `drop` it is nothing in the first token */
    PITH_DECODE_JOIN,    /* a space between tokens */
} pith_decode_kind;

typedef struct pith_decode_step {
    pith_decode_kind kind;
    const char *pattern, *text; /* or NULL */
    size_t start, stop;
    bool drop;
} pith_decode_step;

/* What stands between two texts that are read together. */
typedef enum pith_pair_form {
    PITH_PAIR_SEPARATED, /* eos: BERT */
    PITH_PAIR_DOUBLED,   /* eos twice: RoBERTa */
    PITH_PAIR_JOINED,    /* nothing */
} pith_pair_form;

enum { PITH_VOCAB_MAX_AROUND = 7 }; /* tokens on a side of a text, besides bos or eos */

typedef struct pith_vocab {
    pith_tokenizer_kind kind;
    size_t n_pieces;   /* ids 0 .. n_pieces - 1 */
    const char *bytes; /* [n_bytes] spellings, one after the other; byte-level BPE stores the
                          real bytes, not the GPT-2 byte alphabet */
    size_t n_bytes;
    const uint32_t
        *offsets;        /* [n_pieces + 1] into bytes, ascending, offsets[n_pieces] == n_bytes */
    const float *scores; /* [n_pieces]; SentencePiece only, else NULL */
    const double *log_probabilities; /* [n_pieces]; Unigram only, else NULL */
    const uint8_t *types;            /* [n_pieces], pith_piece_type */
    const uint8_t *added; /* [n_pieces] flags of added tokens (PITH_ADDED_*), 0 for others */
    size_t n_merges;
    const uint32_t *merges; /* [n_merges, 3]: left id, right id, merged id; rank is the index.
                               Both BPE kinds by rank, else NULL */

    int32_t bos, eos, unk; /* -1: none. WordPiece has all three: [CLS], [SEP], [UNK] */
    bool add_bos, add_eos; /* the tokenizer puts bos in front of a text, eos behind it */
    int32_t after_bos[PITH_VOCAB_MAX_AROUND]; /* [n_after_bos] and these between bos and the text */
    size_t n_after_bos;                       /* (GLM-4: "<sop>"); 0 without add_bos */
    int32_t before_eos[PITH_VOCAB_MAX_AROUND]; /* [n_before_eos] and these between text and eos */
    size_t n_before_eos;                       /* 0 without add_eos */
    size_t pair_form;                          /* pith_pair_form */

    bool add_dummy_prefix; /* SentencePiece: put a space in front; LLAMA_BPE: Prepend */
    bool remove_extra_whitespaces;
    bool escape_whitespaces;  /* ' ' is U+2581 in pieces */
    bool prefix_first_only;   /* the prefix stands at the beginning of the text only, not behind a
                                 special token (Metaspace prepend_scheme "first"; legacy false) */
    bool prefix_unless_space; /* ... and not where a space stands already (Metaspace) */
    bool byte_fallback;
    bool fuse_unk;
    bool ignore_merges;    /* a whole pre-token that is a piece is that piece */
    bool add_prefix_space; /* byte-level: ' ' in front unless there is white space */
    bool nfc;              /* NFC normalisation first (Qwen2) */
    bool lowercase, strip_accents, clean_text, split_cjk; /* WordPiece (BertNormalizer) */
    size_t max_word_chars;                                /* WordPiece: 100; longer is unk */
    const char *pattern; /* byte-level: PCRE2 pattern whose matches are the pre-tokens; what
                            lies between matches is a pre-token too; NUL-terminated. NULL: the
                            text is one pre-token, or cut by `steps` */
    const pith_split_step *steps; /* [n_steps] both BPE kinds by rank and Unigram: the
                               pre-tokenizer, each step applied
                               to the pieces of the one before; only without `pattern` */
    size_t n_steps;
    const pith_normal_step *normalizer; /* [n_normalizer] both BPE kinds by rank and Unigram, in
                               place of the settings above that change text */
    size_t n_normalizer;
    const pith_decode_step *decoder; /* [n_decoder] LLAMA_BPE and Unigram: what becomes of tokens;
                               0: what the settings above undo */
    size_t n_decoder;
    const uint8_t *charsmap; /* [n_charsmap] SentencePiece's map of characters
                                (precompiled_charsmap): for CHARSMAP, and of a SentencePiece model
                                before anything else; n_charsmap 0: none */
    size_t n_charsmap;
    bool single_precision; /* Unigram: sums are rounded as sentencepiece's, not as the Rust
                              library's, and pieces of type USER_DEFINED go before all others */
} pith_vocab;

/* True when a vocabulary of this kind marks added tokens that its model does not have
 * (PITH_ADDED_BEYOND): all of its pieces are matched against text. */
static inline bool pith_vocab_marks_beyond(const pith_vocab *vocab) {
    return vocab->kind == PITH_TOKENIZER_WORDPIECE || vocab->kind == PITH_TOKENIZER_UNIGRAM;
}

/* Checks everything that the encoder relies on: counts within limits, offsets ascending, merges
 * that join two pieces to a third which is spelled so, scores finite, types and flags known, byte
 * pieces spelled "<0x0A>", UTF-8 where text is meant. Only a piece of type UNUSED may be empty.
 * `where` names the source. Errors: FORMAT. */
pith_status pith_vocab_check(const pith_vocab *vocab, const char *where, pith_error *error);

/* A vocabulary that owns its arrays, as the parsers make it. */
typedef struct pith_vocab_file {
    pith_vocab vocab;
    const pith_allocator *allocator;
    void *blocks[14]; /* what to release */
} pith_vocab_file;

/* Notes a block of the file's allocator, which is released with the file; false when it is NULL.
 * No parser has more blocks than there are places. */
bool pith_vocab_keep_block(pith_vocab_file *file, void *block);

void pith_vocab_file_free(pith_vocab_file *file); /* contents only; leaves it zeroed */

/* Parses a SentencePiece model (protobuf wire format; BPE or Unigram). `name` is the file's name
 * for messages. Errors: FORMAT, MEMORY, UNSUPPORTED (named). */
pith_status pith_vocab_from_sentencepiece(pith_vocab_file *out, const void *data, size_t size,
                                          const char *name, const pith_allocator *allocator,
                                          pith_error *error);

/* Turns a Unigram that was read from a SentencePiece model into XLM-R's: fairseq numbers its pieces
 * as <s> 0, <pad> 1, </s> 2, <unk> 3, each further one by 1 more than the model, <mask> last; the
 * rest is what pith_vocab_frame_xlm_roberta does. The ids are those of the tokenizer.json that
 * transformers makes of such a model. `name` is the name of the file. On failure the vocabulary is
 * as before. Errors: UNSUPPORTED (what the model has otherwise, named), FORMAT, MEMORY. */
pith_status pith_vocab_number_as_fairseq(pith_vocab_file *file, const char *name,
                                         pith_error *error);

/* Gives a Unigram the steps of XLM-R's tokenizer.json in place of a SentencePiece model's settings:
 * the map of characters, if there is one, cuts at white space, U+2581 in front of each word. Unless
 * `squeeze`, no space is dropped: each one is a U+2581, and another one stands before the text. <s>
 * and </s> stand around a text, and two </s> between the texts of a pair. The steps are
 * constants, and nobody's to free. */
void pith_vocab_frame_xlm_roberta(pith_vocab *vocab, bool squeeze);

/* Parses a Hugging Face tokenizer.json of the supported kinds; any normaliser, pre-tokenizer or
 * model field that would change ids and is not supported is UNSUPPORTED by name. The text is
 * changed, also on failure; nothing of it is needed afterwards. Errors: FORMAT, MEMORY,
 * UNSUPPORTED. */
pith_status pith_vocab_from_json(pith_vocab_file *out, char *text, size_t size, const char *name,
                                 const pith_allocator *allocator, pith_error *error);

/* Parses BERT's vocab.txt, one piece a line. The objects of tokenizer_config.json (do_lower_case,
 * strip_accents, tokenize_chinese_chars, names of special tokens) and special_tokens_map.json may
 * be absent: then all is as in BERT's own uncased model. Errors: FORMAT, MEMORY, UNSUPPORTED
 * (tokenizer classes that split words in other ways, named). */
pith_status pith_vocab_from_wordpiece(pith_vocab_file *out, const char *text, size_t size,
                                      const char *name, pith_json config, pith_json map,
                                      const pith_allocator *allocator, pith_error *error);

/* Lets tokenizer_config.json overrule the normaliser of a WordPiece tokenizer.json, as
 * transformers' fast BertTokenizer does: do_lower_case, strip_accents and tokenize_chinese_chars
 * hold, absent ones with that class's defaults. With another tokenizer_class, or without any
 * normaliser, nothing changes. *changed is true when something did. `name` is the name of the file.
 * Errors: FORMAT. */
pith_status pith_vocab_apply_bert_config(pith_vocab *vocab, pith_json config, const char *name,
                                         bool *changed, pith_error *error);

/* Adds the tokens that tokenizer_config.json ("added_tokens_decoder") or added_tokens.json declare
 * in addition to those of a tokenizer.model or vocab.txt, or in their place; ids must be contiguous
 * with the vocabulary or already in it. Where both declare an id, the first gives its flags.
 * "add_bos_token" of the first is read too. Either may be absent. On failure the vocabulary is as
 * before. Errors: FORMAT, MEMORY. */
pith_status pith_vocab_add_tokens(pith_vocab_file *file, pith_json config, pith_json added,
                                  const char *name, pith_error *error);

/* As pith_vocab_add_tokens for a vocabulary from a tokenizer.json, which takes precedence where
 * both declare a token: only tokens that it does not have as added tokens are added, in the order
 * of their ids, as transformers does: a spelling that the vocabulary has keeps its id, others get
 * the next ones.
 * Errors: FORMAT, MEMORY. */
pith_status pith_vocab_add_missing_tokens(pith_vocab_file *file, pith_json config, pith_json added,
                                          const char *name, pith_error *error);

#endif
