/* BERT's vocab.txt: one piece a line, its id the number of the line from 0. All else that a
 * tokenizer.json would say comes from tokenizer_config.json and special_tokens_map.json, with the
 * defaults of transformers' BertTokenizer. */
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
    pith_json config; /* tokenizer_config.json, or absent */
    pith_json map;    /* special_tokens_map.json, or absent */
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

/* True when the class is BertTokenizer, another name of it, or not given. */
static bool is_bert_class(pith_json value) {
    static const char *const known[] = {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer",
                                        "MobileBertTokenizer"};
    const char *class = pith_json_text(value);
    if (pith_json_is_none(value)) {
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
    pith_json value = pith_json_get(r->config, "tokenizer_class");
    const char *class = pith_json_text(value);
    if (is_bert_class(value)) {
        return PITH_OK;
    }
    return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                     "%s: tokenizer_class \"%.60s\" is not supported with a vocab.txt", r->name,
                     class != NULL ? class : "(not a string)");
}

/* A flag of tokenizer_config.json. */
static pith_status read_bool(const reading *r, const char *key, bool fallback, bool *out) {
    return pith_hf_bool(pith_json_get(r->config, key), key, fallback, r->name, out, r->error);
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
        pith_status status = read_bool(r, flags[i].key, true, flags[i].flag);
        if (status != PITH_OK) {
            return status;
        }
    }
    return read_bool(r, "strip_accents", v->lowercase, &v->strip_accents);
}

static pith_status require_words(reading *r) {
    bool basic;
    pith_status status = read_bool(r, "do_basic_tokenize", true, &basic);
    return status != PITH_OK || basic
               ? status
               : pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                           "%s: do_basic_tokenize false is not supported", r->name);
}

static bool same_normalizer(const pith_vocab *a, const pith_vocab *b) {
    return a->lowercase == b->lowercase && a->strip_accents == b->strip_accents &&
           a->split_cjk == b->split_cjk;
}

pith_status pith_vocab_apply_bert_config(pith_vocab *vocab, pith_json config, const char *name,
                                         bool *changed, pith_error *error) {
    bool normalizes =
        vocab->clean_text || vocab->lowercase || vocab->strip_accents || vocab->split_cjk;
    reading r = {.name = name, .error = error, .config = config, .file.vocab = *vocab};
    pith_status status = PITH_OK;
    if (normalizes && is_bert_class(pith_json_get(config, "tokenizer_class"))) {
        status = read_flags(&r);
    }
    if (status == PITH_OK) {
        *changed = !same_normalizer(vocab, &r.file.vocab);
        vocab->lowercase = r.file.vocab.lowercase;
        vocab->strip_accents = r.file.vocab.strip_accents;
        vocab->split_cjk = r.file.vocab.split_cjk;
    }
    return status;
}

/* ---- Special tokens -------------------------------------------------------------------------- */

static pith_json content_of(pith_json value) {
    return pith_json_is(value, PITH_JSON_OBJECT) ? pith_json_get(value, "content") : value;
}

/* A special token: a string, or an object with content and flags. *id is -1 when the vocabulary has
 * no such piece. */
static pith_status mark_special(reading *r, pith_json value, const char *fallback, int32_t *id) {
    pith_json content = content_of(value);
    bool named = pith_json_is(content, PITH_JSON_STRING);
    const char *text = named ? pith_json_text(content) : fallback;
    size_t n = named ? pith_json_text_size(content) : strlen(fallback);
    uint8_t flags = 0;
    if (!pith_json_is_none(value) && !named) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: a special token is neither a string nor an object with \"content\"",
                         r->name);
    }
    *id = find_piece(&r->file.vocab, text, n);
    if (pith_json_is(value, PITH_JSON_OBJECT)) {
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

/* What tokenizer_config.json says, else special_tokens_map.json. */
static pith_json find_setting(const reading *r, const char *key) {
    pith_json value = pith_json_get(r->config, key);
    return pith_json_is_none(value) ? pith_json_get(r->map, key) : value;
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
        pith_json value = find_setting(r, tokens[i].key);
        pith_status status = mark_special(r, value, tokens[i].spelling, tokens[i].id);
        if (status != PITH_OK) {
            return status;
        }
        if (*tokens[i].id < 0 && tokens[i].needed) {
            const char *named = pith_json_text(content_of(value));
            return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: no piece is the %s (%.60s)", r->name,
                             tokens[i].key, named != NULL ? named : tokens[i].spelling);
        }
    }
    r->types[v->unk] = PITH_PIECE_UNKNOWN;
    return PITH_OK;
}

static pith_status read_more_tokens(reading *r) {
    pith_json list = pith_hf_array(find_setting(r, "additional_special_tokens"));
    size_t n = pith_json_size(list);
    if (n > MAX_MORE_TOKENS) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: %zu additional_special_tokens, the limit is %d", r->name, n,
                         MAX_MORE_TOKENS);
    }
    pith_status status = PITH_OK;
    pith_json_walk walk = pith_json_begin(list);
    while (status == PITH_OK && pith_json_next(&walk)) {
        int32_t id;
        status = mark_special(r, walk.value, "", &id);
    }
    return status;
}

pith_status pith_vocab_from_wordpiece(pith_vocab_file *out, const char *text, size_t size,
                                      const char *name, pith_json config, pith_json map,
                                      const pith_allocator *allocator, pith_error *error) {
    allocator = pith_allocator_or_default(allocator);
    reading r = {
        .name = name,
        .error = error,
        .allocator = allocator,
        .config = config,
        .map = map,
        .file = {.allocator = allocator,
                 .vocab = {.kind = PITH_TOKENIZER_WORDPIECE,
                           .bos = -1,
                           .eos = -1,
                           .unk = -1,
                           .add_bos = true,
                           .clean_text = true,
                           .max_word_chars = MAX_WORD_CHARS}},
    };
    pith_status (*const parts[])(reading *) = {require_words, read_flags, read_more_tokens,
                                               read_special_tokens};
    pith_status status = check_class(&r);
    if (status == PITH_OK) {
        status = read_lines(&r, text, size);
    }
    for (size_t i = 0; status == PITH_OK && i < sizeof parts / sizeof parts[0]; i++) {
        status = parts[i](&r);
    }
    if (status == PITH_OK) {
        status = pith_vocab_check(&r.file.vocab, name, error);
    }
    if (status != PITH_OK) {
        pith_vocab_file_free(&r.file);
        return status;
    }
    *out = r.file;
    return PITH_OK;
}
