/* Vocabularies of GGUF files: SentencePiece's ("llama") and WordPiece's ("bert") here, byte-level
 * BPE ("gpt2") in gguf_bpe.c, Unigram ("t5") in gguf_unigram.c. */
#include "convert/gguf_tokenizer.h"

#include "base/bytes.h"
#include "base/checked.h"
#include "base/text.h"

#include <math.h>
#include <string.h>

bool pith_gguf_token_type(const pith_gguf_vocab *vocab, size_t i, pith_piece_type *out) {
    int64_t number = PITH_PIECE_NORMAL;
    if (vocab->types.count != 0 && (!pith_gguf_integer_at(&vocab->types, i, &number) ||
                                    number < PITH_PIECE_NORMAL || number > PITH_PIECE_BYTE)) {
        return false;
    }
    *out = (pith_piece_type)number;
    return true;
}

pith_status pith_gguf_vocab_no_memory(const pith_gguf_vocab *vocab) {
    return pith_fail(vocab->error, PITH_ERROR_MEMORY, "%s: no memory for the vocabulary",
                     pith_gguf_name(vocab->gguf));
}

static pith_status fail_count(const pith_gguf_vocab *vocab, const char *key, size_t found) {
    return pith_fail(vocab->error, PITH_ERROR_FORMAT, "%s: key %s has %zu elements for %zu tokens",
                     pith_gguf_name(vocab->gguf), key, found, vocab->tokens.count);
}

/* Finds the tokens and their types. */
static pith_status find_tokens(pith_gguf_vocab *vocab) {
    static const char tokens_key[] = "tokenizer.ggml.tokens";
    static const char types_key[] = "tokenizer.ggml.token_type";
    pith_status status = pith_gguf_require(vocab->gguf, tokens_key, vocab->error);
    if (status == PITH_OK) {
        status = pith_gguf_array(vocab->gguf, tokens_key, PITH_GGUF_STRING, &vocab->tokens,
                                 vocab->error);
    }
    if (status == PITH_OK) {
        status =
            pith_gguf_array(vocab->gguf, types_key, PITH_GGUF_I32, &vocab->types, vocab->error);
    }
    if (status != PITH_OK) {
        return status;
    }
    size_t n = vocab->tokens.count;
    if (n == 0 || n > PITH_VOCAB_MAX_PIECES || vocab->tokens.size > PITH_VOCAB_MAX_BYTES + 8 * n) {
        return pith_fail(vocab->error, PITH_ERROR_FORMAT,
                         "%s: key %s: %zu tokens in %zu bytes, not 1 to %d in at most %d",
                         pith_gguf_name(vocab->gguf), tokens_key, n, vocab->tokens.size,
                         PITH_VOCAB_MAX_PIECES, PITH_VOCAB_MAX_BYTES);
    }
    if (vocab->types.count != 0 && vocab->types.count != n) {
        return fail_count(vocab, types_key, vocab->types.count);
    }
    for (size_t i = 0; i < n; i++) {
        pith_piece_type type;
        if (!pith_gguf_token_type(vocab, i, &type)) {
            return pith_fail(vocab->error, PITH_ERROR_FORMAT,
                             "%s: key %s: the type of token %zu is not known",
                             pith_gguf_name(vocab->gguf), types_key, i);
        }
    }
    return PITH_OK;
}

/* ---- SentencePiece --------------------------------------------------------------------------- */

/* The arrays of a vocabulary, for writing. */
typedef struct pieces {
    char *bytes;
    uint32_t *offsets;
    float *scores;
    uint8_t *types, *added;
} pieces;

static bool allocate_pieces(pieces *out, pith_vocab_file *file, const pith_gguf_vocab *vocab) {
    size_t n = vocab->tokens.count;
    const pith_allocator *allocator = vocab->allocator;
    out->bytes = pith_allocate(allocator, vocab->tokens.size, 1);
    out->offsets = pith_allocate(allocator, n + 1, sizeof *out->offsets);
    out->scores = pith_allocate(allocator, n, sizeof *out->scores);
    out->types = pith_allocate(allocator, n, 1);
    out->added = pith_allocate_zeroed(allocator, n, 1);
    void *const blocks[] = {out->bytes, out->offsets, out->scores, out->types, out->added};
    bool all = true;
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
        all = pith_vocab_keep_block(file, blocks[i]) && all;
    }
    return all;
}

/* Scores decide which pieces are joined first. A file that was made from a tokenizer.json alone has
 * the same one for all. */
static pith_status read_scores(const pith_gguf_vocab *vocab, float *out, const pith_log *log) {
    static const char key[] = "tokenizer.ggml.scores";
    pith_gguf_value scores = {.count = 0};
    bool same = true;
    pith_status status = pith_gguf_require(vocab->gguf, key, vocab->error);
    if (status == PITH_OK) {
        status = pith_gguf_array(vocab->gguf, key, PITH_GGUF_F32, &scores, vocab->error);
    }
    if (status != PITH_OK) {
        return status;
    }
    if (scores.count != vocab->tokens.count) {
        return fail_count(vocab, key, scores.count);
    }
    memcpy(out, scores.data, scores.count * sizeof *out);
    for (size_t i = 0; i < scores.count; i++) {
        if (!isfinite(out[i])) {
            return pith_fail(vocab->error, PITH_ERROR_FORMAT,
                             "%s: key %s: element %zu is not finite", pith_gguf_name(vocab->gguf),
                             key, i);
        }
        same = same && out[i] == out[0];
    }
    if (same && scores.count > 1) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: all scores of the tokenizer are the same: the converter has lost the "
                       "order in which pieces are joined, and some texts become other tokens than "
                       "the model has seen",
                       pith_gguf_name(vocab->gguf));
    }
    return PITH_OK;
}

/* Flags of the pieces of each type. SentencePiece normalises a text before it looks for symbols of
 * the user; of a Unigram they are matched in the text as given, as transformers adds them. */
static uint8_t flags_of(pith_piece_type type, bool unigram) {
    bool special = type == PITH_PIECE_CONTROL || type == PITH_PIECE_UNKNOWN;
    bool symbol = type == PITH_PIECE_USER_DEFINED && !unigram;
    return special ? PITH_ADDED_SPECIAL : symbol ? PITH_ADDED_NORMALIZED : 0;
}

static void fill_pieces(pith_vocab *out, const pieces *p, bool unigram,
                        const pith_gguf_vocab *vocab) {
    pith_gguf_strings walk = {vocab->tokens};
    pith_text token;
    size_t n_bytes = 0;
    size_t n_byte_pieces = 0;
    for (size_t i = 0; pith_gguf_next_string(&walk, &token); i++) {
        pith_piece_type type = PITH_PIECE_NORMAL;
        pith_gguf_token_type(vocab, i, &type);
        type = token.n_bytes == 0 ? PITH_PIECE_UNUSED : type;
        p->offsets[i] = (uint32_t)n_bytes;
        memcpy(p->bytes + n_bytes, token.data, token.n_bytes);
        n_bytes += token.n_bytes;
        p->types[i] = (uint8_t)type;
        p->added[i] = flags_of(type, unigram);
        n_byte_pieces += type == PITH_PIECE_BYTE;
        if (type == PITH_PIECE_UNKNOWN && out->unk < 0) {
            out->unk = (int32_t)i;
        }
    }
    p->offsets[vocab->tokens.count] = (uint32_t)n_bytes;
    out->n_pieces = vocab->tokens.count;
    out->bytes = p->bytes;
    out->n_bytes = n_bytes;
    out->offsets = p->offsets;
    out->scores = p->scores;
    out->types = p->types;
    out->added = p->added;
    out->byte_fallback = n_byte_pieces > 0;
}

/* The unknown piece, where no token has that type: converters type all added tokens CONTROL. */
static pith_status find_unknown(pith_vocab *out, const pieces *p, const pith_gguf_vocab *vocab) {
    size_t id = 0;
    pith_status status =
        pith_gguf_count(vocab->gguf, "tokenizer.ggml.unknown_token_id", &id, vocab->error);
    if (status == PITH_OK && out->unk < 0 && id < out->n_pieces) {
        out->unk = (int32_t)id;
        p->types[id] = PITH_PIECE_UNKNOWN;
        p->added[id] = PITH_ADDED_SPECIAL;
    }
    return status;
}

static pith_status read_sentencepiece(pith_vocab_file *out, const pith_gguf_vocab *vocab,
                                      bool unigram, const pith_log *log) {
    pieces p;
    pith_vocab settings = {
        .kind = PITH_TOKENIZER_SENTENCEPIECE,
        .bos = -1,
        .eos = -1,
        .unk = -1,
        .add_bos = true,
        .add_dummy_prefix = true,
        .escape_whitespaces = true,
        .fuse_unk = true,
    };
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        {"tokenizer.ggml.add_space_prefix", &settings.add_dummy_prefix},
        {"tokenizer.ggml.remove_extra_whitespaces", &settings.remove_extra_whitespaces},
    };
    if (!allocate_pieces(&p, out, vocab)) {
        return pith_gguf_vocab_no_memory(vocab);
    }
    pith_status status = read_scores(vocab, p.scores, log);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && status == PITH_OK; i++) {
        status = pith_gguf_flag(vocab->gguf, flags[i].key, flags[i].flag, vocab->error);
    }
    if (status == PITH_OK) {
        fill_pieces(&settings, &p, unigram, vocab);
        status = find_unknown(&settings, &p, vocab);
    }
    out->vocab = settings;
    return status == PITH_OK && unigram ? pith_gguf_make_unigram(out, vocab) : status;
}

/* ---- WordPiece ------------------------------------------------------------------------------- */

/* The converter marks the beginnings of words, while BERT marks their inner pieces. */
static bool put_word_piece(pith_bytes *text, pith_text token) {
    static const char mark[] = "\xE2\x96\x81"; /* U+2581 */
    bool special =
        token.n_bytes > 1 && token.data[0] == '[' && token.data[token.n_bytes - 1] == ']';
    bool begins = token.n_bytes > 3 && memcmp(token.data, mark, 3) == 0;
    bool inner = !special && !begins && token.n_bytes > 0;
    size_t skipped = begins ? 3 : 0;
    return (!inner || pith_bytes_append_text(text, "##")) &&
           pith_bytes_append(text, token.data + skipped, token.n_bytes - skipped) &&
           pith_bytes_append_text(text, "\n");
}

/* Puts the tokens back into the lines of vocab.txt. */
static pith_status put_lines(pith_bytes *text, const pith_gguf_vocab *vocab) {
    pith_gguf_strings walk = {vocab->tokens};
    pith_text token;
    for (size_t i = 0; pith_gguf_next_string(&walk, &token); i++) {
        if (memchr(token.data, '\n', token.n_bytes) != NULL) {
            return pith_fail(vocab->error, PITH_ERROR_FORMAT,
                             "%s: key tokenizer.ggml.tokens: token %zu of a WordPiece vocabulary "
                             "holds a line break",
                             pith_gguf_name(vocab->gguf), i);
        }
        if (!put_word_piece(text, token)) {
            return pith_gguf_vocab_no_memory(vocab);
        }
    }
    return PITH_OK;
}

static pith_status read_wordpiece(pith_vocab_file *out, const pith_gguf_vocab *vocab) {
    const pith_json absent = {NULL};
    bool lowercase = true;
    bool strip_accents = true;
    pith_bytes text;
    pith_bytes_init(&text, vocab->allocator);
    pith_status status = pith_gguf_flag(vocab->gguf, "tokenizer.ggml.normalizer.lowercase",
                                        &lowercase, vocab->error);
    if (status == PITH_OK) {
        strip_accents = lowercase;
        status = pith_gguf_flag(vocab->gguf, "tokenizer.ggml.normalizer.strip_accents",
                                &strip_accents, vocab->error);
    }
    if (status == PITH_OK) {
        status = put_lines(&text, vocab);
    }
    if (status == PITH_OK) {
        status = pith_vocab_from_wordpiece(out, text.data, text.size, pith_gguf_name(vocab->gguf),
                                           absent, absent, vocab->allocator, vocab->error);
    }
    pith_bytes_release(&text);
    if (status == PITH_OK) {
        out->vocab.lowercase = lowercase;
        out->vocab.strip_accents = strip_accents;
    }
    return status;
}

/* ---- What stands around a text --------------------------------------------------------------- */

/* A token's id; ids that no token has are warned about and left out. */
static pith_status read_id(const pith_gguf_vocab *vocab, const char *key, size_t n_pieces,
                           const pith_log *log, int32_t *out) {
    size_t id = SIZE_MAX;
    pith_status status = pith_gguf_count(vocab->gguf, key, &id, vocab->error);
    if (status == PITH_OK && id != SIZE_MAX && id >= n_pieces) {
        pith_log_write(log, PITH_LOG_WARNING, "%s: key %s is %zu, of %zu tokens: left out",
                       pith_gguf_name(vocab->gguf), key, id, n_pieces);
        id = SIZE_MAX;
    }
    *out = id < n_pieces ? (int32_t)id : -1;
    return status;
}

/* Reads the id that the first of up to three keys has which names a token; -1 when none does. NULL
 * ends the list. */
static pith_status read_end(const pith_gguf_vocab *vocab, const char *const keys[3],
                            size_t n_pieces, const pith_log *log, int32_t *out) {
    *out = -1;
    pith_status status = PITH_OK;
    for (size_t i = 0; i < 3 && status == PITH_OK && *out < 0 && keys[i] != NULL; i++) {
        status = read_id(vocab, keys[i], n_pieces, log, out);
    }
    return status;
}

static pith_status read_ends(pith_vocab *out, const pith_gguf_vocab *vocab, const pith_log *log) {
    bool encoder = out->add_eos; /* until a key says otherwise */
    const char *const begins[3] = {"tokenizer.ggml.bos_token_id",
                                   encoder ? "tokenizer.ggml.cls_token_id" : NULL};
    const char *const ends[3] = {"tokenizer.ggml.eos_token_id",
                                 encoder ? "tokenizer.ggml.seperator_token_id"
                                         : NULL, /* as converters have written it */
                                 encoder ? "tokenizer.ggml.separator_token_id" : NULL};
    pith_status status = read_end(vocab, begins, out->n_pieces, log, &out->bos);
    if (status == PITH_OK) {
        status = read_end(vocab, ends, out->n_pieces, log, &out->eos);
    }
    if (status == PITH_OK) {
        status = pith_gguf_flag(vocab->gguf, "tokenizer.ggml.add_bos_token", &out->add_bos,
                                vocab->error);
    }
    if (status == PITH_OK) {
        status = pith_gguf_flag(vocab->gguf, "tokenizer.ggml.add_eos_token", &out->add_eos,
                                vocab->error);
    }
    bool lacks = (out->add_bos && out->bos < 0) || (out->add_eos && out->eos < 0);
    if (status == PITH_OK && encoder && lacks) {
        status = pith_fail(vocab->error, PITH_ERROR_FORMAT,
                           "%s: neither %s nor the encoder's keys name the token that %s a text",
                           pith_gguf_name(vocab->gguf), out->bos < 0 ? begins[0] : ends[0],
                           out->bos < 0 ? "begins" : "ends");
    }
    out->add_bos = out->add_bos && out->bos >= 0;
    out->add_eos = out->add_eos && out->eos >= 0;
    return status;
}

/* ---- All of it ------------------------------------------------------------------------------- */

static pith_status read_vocab(pith_hf_tokenizer *out, pith_gguf_vocab *vocab, pith_text model,
                              const pith_log *log) {
    pith_status status = find_tokens(vocab);
    if (status != PITH_OK) {
        return status;
    }
    out->present = true; /* from here on there may be something to free */
    out->file.allocator = vocab->allocator;
    if (pith_text_is(model, "llama")) {
        status = read_sentencepiece(&out->file, vocab, false, log);
    } else if (pith_text_is(model, "t5")) {
        status = read_sentencepiece(&out->file, vocab, true, log);
    } else if (pith_text_is(model, "gpt2")) {
        status = pith_gguf_read_bpe(&out->file, vocab);
    } else if (pith_text_is(model, "bert")) {
        return read_wordpiece(&out->file, vocab);
    } else {
        return pith_fail(vocab->error, PITH_ERROR_UNSUPPORTED,
                         "%s: a tokenizer of kind %.*s is not supported, only llama "
                         "(SentencePiece BPE), t5 (Unigram), gpt2 (byte-level BPE) and bert "
                         "(WordPiece)",
                         pith_gguf_name(vocab->gguf), (int)pith_min_size(model.n_bytes, 60),
                         model.data);
    }
    return status == PITH_OK ? read_ends(&out->file.vocab, vocab, log) : status;
}

static pith_status read_template(pith_hf_tokenizer *out, const pith_gguf *gguf, pith_error *error) {
    pith_text text = {NULL, 0};
    pith_status status = pith_gguf_text(gguf, "tokenizer.chat_template", &text, error);
    return status == PITH_OK && text.data != NULL
               ? pith_hf_templates_keep(&out->templates, "default", text.data, text.n_bytes,
                                        pith_gguf_name(gguf), error)
               : status;
}

pith_status pith_gguf_tokenizer_read(pith_hf_tokenizer *out, const pith_gguf *gguf,
                                     size_t vocab_size, const pith_allocator *allocator,
                                     const pith_log *log, pith_error *error) {
    pith_hf_tokenizer tokenizer = {.allocator = allocator, .templates.allocator = allocator};
    pith_gguf_vocab vocab = {.gguf = gguf, .allocator = allocator, .error = error};
    pith_text model = {NULL, 0};
    pith_status status = pith_gguf_text(gguf, "tokenizer.ggml.model", &model, error);
    if (status == PITH_OK && (model.data == NULL || pith_text_is(model, "none"))) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: no tokenizer.ggml.model: the model will have no tokenizer",
                       pith_gguf_name(gguf));
        *out = tokenizer;
        return PITH_OK;
    }
    if (status == PITH_OK) {
        status = read_vocab(&tokenizer, &vocab, model, log);
    }
    if (status == PITH_OK) {
        status = pith_hf_tokenizer_fit(&tokenizer.file.vocab, vocab_size, pith_gguf_name(gguf), log,
                                       error);
    }
    if (status == PITH_OK) {
        status = pith_vocab_check(&tokenizer.file.vocab, pith_gguf_name(gguf), error);
    }
    if (status == PITH_OK) {
        status = read_template(&tokenizer, gguf, error);
    }
    if (status != PITH_OK) {
        pith_hf_tokenizer_free(&tokenizer);
        return status;
    }
    *out = tokenizer;
    return PITH_OK;
}
