/* BERT's vocab.txt: one piece a line, its id the number of the line from 0. What a tokenizer.json
 * would say besides comes from tokenizer_config.json and special_tokens_map.json, with the defaults
 * of transformers' BertTokenizer. */
#include "tokenizer/hf_json.h"

#include "base/status.h"

#include <string.h>

enum {
    MAX_WORD_CHARS = 100,
    MAX_MORE_TOKENS = 1024, /* in additional_special_tokens; each is looked for in all pieces */
};

typedef struct reading {
    const char *name;
    pith_error *error;
    const pith_allocator *allocator;
    json_t *config; /* tokenizer_config.json, or NULL */
    json_t *map;    /* special_tokens_map.json, or NULL */
    pith_vocab_file file;
    uint8_t *types, *added; /* of the vocabulary, for writing */
} reading;

static pith_status no_memory(const reading *r) {
    return pith_fail(r->error, PITH_ERROR_MEMORY, "%s: no memory for the vocabulary", r->name);
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

/* Bytes of the line at text [n > 0], without its end; *next is where the next one begins. */
static size_t line_length(const char *text, size_t n, size_t *next) {
    const char *end = memchr(text, '\n', n);
    size_t length = end != NULL ? (size_t)(end - text) : n;
    *next = end != NULL ? length + 1 : n;
    return length > 0 && text[length - 1] == '\r' ? length - 1 : length;
}

static size_t count_lines(const char *text, size_t size) {
    size_t n = 0;
    size_t next;
    for (size_t at = 0; at < size; at += next) {
        line_length(text + at, size - at, &next);
        n++;
    }
    return n;
}

static pith_status read_lines(reading *r, const char *text, size_t size) {
    size_t n = size <= PITH_VOCAB_MAX_BYTES ? count_lines(text, size) : 0;
    if (n == 0 || n > PITH_VOCAB_MAX_PIECES) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: %zu bytes in %zu lines, not 1 to %d lines of up to %d bytes", r->name,
                         size, n, PITH_VOCAB_MAX_PIECES, PITH_VOCAB_MAX_BYTES);
    }
    char *bytes = pith_allocate(r->allocator, size, 1);
    uint32_t *offsets = pith_allocate(r->allocator, n + 1, sizeof *offsets);
    r->types = pith_allocate(r->allocator, n, 1);
    r->added = pith_allocate_zeroed(r->allocator, n, 1);
    r->file.blocks[0] = bytes;
    r->file.blocks[1] = offsets;
    r->file.blocks[2] = r->types;
    r->file.blocks[3] = r->added;
    if (bytes == NULL || offsets == NULL || r->types == NULL || r->added == NULL) {
        return no_memory(r);
    }
    size_t n_bytes = 0;
    size_t next;
    size_t id = 0;
    for (size_t at = 0; at < size; at += next) {
        size_t length = line_length(text + at, size - at, &next);
        memcpy(bytes + n_bytes, text + at, length);
        offsets[id] = (uint32_t)n_bytes;
        r->types[id++] = length > 0 ? PITH_PIECE_NORMAL : PITH_PIECE_UNUSED;
        n_bytes += length;
    }
    offsets[n] = (uint32_t)n_bytes;
    pith_vocab *v = &r->file.vocab;
    v->n_pieces = n;
    v->bytes = bytes;
    v->n_bytes = n_bytes;
    v->offsets = offsets;
    v->types = r->types;
    v->added = r->added;
    return PITH_OK;
}

/* Of equal lines the last one counts, as in a dictionary. */
static int32_t find_piece(const pith_vocab *v, const char *text, size_t n) {
    for (size_t id = v->n_pieces; id-- > 0;) {
        size_t begin = v->offsets[id];
        if (n > 0 && v->offsets[id + 1] - begin == n && memcmp(v->bytes + begin, text, n) == 0) {
            return (int32_t)id;
        }
    }
    return -1;
}

/* ---- Settings -------------------------------------------------------------------------------- */

static pith_status load(const reading *r, const char *place, const char *text, size_t size,
                        json_t **out) {
    json_error_t problem;
    if (text == NULL) {
        return PITH_OK;
    }
    /* model_max_length may be a number beyond 64 bits; no number matters here. */
    size_t flags = JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL;
    *out = json_loadb(text, size, flags, &problem);
    if (*out == NULL && problem.text[0] == '\0') {
        return no_memory(r);
    }
    if (!json_is_object(*out)) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s%s: line %d: %s", place, r->name,
                         *out == NULL ? problem.line : 1,
                         *out == NULL ? problem.text : "not a JSON object");
    }
    return PITH_OK;
}

/* Whether it is BertTokenizer, another name of it, or not said. */
static bool is_bert_class(const json_t *value) {
    static const char *const known[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                        "MobileBertTokenizer"};
    const char *class = json_string_value(value);
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    for (size_t i = 0; class != NULL && i < sizeof known / sizeof known[0]; i++) {
        size_t n = strlen(known[i]);
        if (strncmp(class, known[i], n) == 0 &&
            (class[n] == '\0' || strcmp(class + n, "Fast") == 0)) {
            return true;
        }
    }
    return false;
}

/* Other classes with a vocab.txt split words in their own ways, or use other special tokens. */
static pith_status check_class(const reading *r) {
    const json_t *value = json_object_get(r->config, "tokenizer_class");
    const char *class = json_string_value(value);
    if (is_bert_class(value)) {
        return PITH_OK;
    }
    return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                     "%s: tokenizer_class \"%.60s\" is not supported with a vocab.txt", r->name,
                     class != NULL ? class : "(not a string)");
}

/* What the normaliser does. */
static pith_status read_flags(reading *r) {
    pith_vocab *v = &r->file.vocab;
    const struct {
        const char *key;
        bool *flag;
    } flags[] = {
        {"do_lower_case", &v->lowercase},
        {"tokenize_chinese_chars", &v->split_cjk},
    };
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        pith_status status =
            pith_hf_bool(r->config, flags[i].key, true, r->name, flags[i].flag, r->error);
        if (status != PITH_OK) {
            return status;
        }
    }
    return pith_hf_bool(r->config, "strip_accents", v->lowercase, r->name, &v->strip_accents,
                        r->error);
}

static pith_status require_words(reading *r) {
    bool basic;
    pith_status status =
        pith_hf_bool(r->config, "do_basic_tokenize", true, r->name, &basic, r->error);
    return status != PITH_OK || basic
               ? status
               : pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                           "%s: do_basic_tokenize false is not supported", r->name);
}

static bool same_normalizer(const pith_vocab *a, const pith_vocab *b) {
    return a->lowercase == b->lowercase && a->strip_accents == b->strip_accents &&
           a->split_cjk == b->split_cjk;
}

pith_status pith_vocab_apply_bert_config(pith_vocab *vocab, const char *text, size_t size,
                                         const char *name, bool *changed, pith_error *error) {
    bool normalizes =
        vocab->clean_text || vocab->lowercase || vocab->strip_accents || vocab->split_cjk;
    reading r = {.name = name, .error = error, .file.vocab = *vocab};
    pith_status status = load(&r, "", text, size, &r.config);
    if (status == PITH_OK && normalizes &&
        is_bert_class(json_object_get(r.config, "tokenizer_class"))) {
        status = read_flags(&r);
    }
    json_decref(r.config);
    if (status == PITH_OK) {
        *changed = !same_normalizer(vocab, &r.file.vocab);
        vocab->lowercase = r.file.vocab.lowercase;
        vocab->strip_accents = r.file.vocab.strip_accents;
        vocab->split_cjk = r.file.vocab.split_cjk;
    }
    return status;
}

/* ---- Special tokens -------------------------------------------------------------------------- */

static bool is_named(const json_t *value) {
    return value != NULL && !json_is_null(value);
}

static const json_t *content_of(const json_t *value) {
    return json_is_object(value) ? json_object_get(value, "content") : value;
}

/* A special token: a string, or an object with content and flags. *id is -1 when the vocabulary has
 * no such piece. */
static pith_status mark_special(reading *r, const json_t *value, const char *fallback,
                                int32_t *id) {
    const json_t *content = content_of(value);
    const char *text = json_is_string(content) ? json_string_value(content) : fallback;
    size_t n = json_is_string(content) ? json_string_length(content) : strlen(fallback);
    uint8_t flags = 0;
    if (is_named(value) && !json_is_string(content)) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: a special token is neither a string nor an object with \"content\"",
                         r->name);
    }
    *id = find_piece(&r->file.vocab, text, n);
    if (json_is_object(value)) {
        pith_status status = pith_hf_flags(value, r->name, &flags, r->error);
        if (status != PITH_OK) {
            return status;
        }
    }
    if (*id >= 0) {
        r->types[*id] = PITH_PIECE_CONTROL;
        r->added[*id] = flags | PITH_ADDED_SPECIAL;
    }
    return PITH_OK;
}

static pith_status read_special_tokens(reading *r) {
    pith_vocab *v = &r->file.vocab;
    int32_t pad;
    int32_t mask;
    const struct {
        const char *key, *spelling;
        int32_t *id;
        bool needed;
    } tokens[] = {
        {"cls_token", "[CLS]", &v->bos, true},  {"sep_token", "[SEP]", &v->eos, true},
        {"unk_token", "[UNK]", &v->unk, true},  {"pad_token", "[PAD]", &pad, false},
        {"mask_token", "[MASK]", &mask, false},
    };
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        const json_t *value = json_object_get(r->config, tokens[i].key);
        if (!is_named(value)) {
            value = json_object_get(r->map, tokens[i].key);
        }
        pith_status status = mark_special(r, value, tokens[i].spelling, tokens[i].id);
        if (status != PITH_OK) {
            return status;
        }
        if (*tokens[i].id < 0 && tokens[i].needed) {
            const char *named = json_string_value(content_of(value));
            return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: no piece is the %s (%.60s)", r->name,
                             tokens[i].key, named != NULL ? named : tokens[i].spelling);
        }
    }
    r->types[v->unk] = PITH_PIECE_UNKNOWN;
    return PITH_OK;
}

static pith_status read_more_tokens(reading *r) {
    const json_t *list = json_object_get(r->config, "additional_special_tokens");
    if (!is_named(list)) {
        list = json_object_get(r->map, "additional_special_tokens");
    }
    if (json_array_size(list) > MAX_MORE_TOKENS) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: %zu additional_special_tokens, the limit is %d", r->name,
                         json_array_size(list), MAX_MORE_TOKENS);
    }
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < json_array_size(list); i++) {
        int32_t id;
        status = mark_special(r, json_array_get(list, i), "", &id);
    }
    return status;
}

pith_status pith_vocab_from_wordpiece(pith_vocab_file *out, const char *text, size_t size,
                                      const char *name, const char *config_text, size_t config_size,
                                      const char *map_text, size_t map_size,
                                      const pith_allocator *allocator, pith_error *error) {
    allocator = pith_allocator_or_default(allocator);
    reading r = {
        .name = name,
        .error = error,
        .allocator = allocator,
        .file = {.allocator = allocator,
                 .vocab = {.kind = PITH_TOKENIZER_WORDPIECE,
                           .bos = -1,
                           .eos = -1,
                           .unk = -1,
                           .add_bos = true,
                           .clean_text = true,
                           .max_word_chars = MAX_WORD_CHARS}},
    };
    pith_status status = load(&r, "beside ", config_text, config_size, &r.config);
    if (status == PITH_OK) {
        status = load(&r, "beside ", map_text, map_size, &r.map);
    }
    pith_status (*const parts[])(reading *) = {require_words, read_flags, read_more_tokens,
                                               read_special_tokens};
    if (status == PITH_OK) {
        status = check_class(&r);
    }
    if (status == PITH_OK) {
        status = read_lines(&r, text, size);
    }
    for (size_t i = 0; status == PITH_OK && i < sizeof parts / sizeof parts[0]; i++) {
        status = parts[i](&r);
    }
    if (status == PITH_OK) {
        status = pith_vocab_check(&r.file.vocab, name, error);
    }
    json_decref(r.config);
    json_decref(r.map);
    if (status != PITH_OK) {
        pith_vocab_file_free(&r.file);
        return status;
    }
    *out = r.file;
    return PITH_OK;
}
