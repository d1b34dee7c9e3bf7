/* Tokens declared beside a tokenizer.model or vocab.txt: the slow tokenizers of Hugging Face keep
 * them in tokenizer_config.json ("added_tokens_decoder": id to token with flags) or, before 2023,
 * in added_tokens.json (token to id). They are laid over the vocabulary: the ones it has get their
 * flags, the ones behind its end are appended. */
#include "tokenizer/hf_json.h"

#include "base/status.h"

#include <stdlib.h>
#include <string.h>

/* One declaration. */
typedef struct declared {
    const char *text; /* owned by the JSON document; NULL: none for this id */
    size_t n_bytes;
    uint8_t flags;
} declared;

typedef struct laying {
    const char *name;
    pith_error *error;
    const pith_allocator *allocator;
    const pith_vocab *vocab;
    declared *tokens; /* [n] by id */
    size_t n;         /* pieces of the new vocabulary */
    size_t capacity;
} laying;

static pith_status no_memory(const laying *l) {
    return pith_fail(l->error, PITH_ERROR_MEMORY, "%s: no memory for added tokens", l->name);
}

static pith_status load(const laying *l, const char *text, size_t size, size_t flags,
                        json_t **out) {
    json_error_t problem;
    *out = NULL;
    if (text == NULL) {
        return PITH_OK;
    }
    *out = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | flags, &problem);
    if (*out == NULL && problem.text[0] == '\0') {
        return no_memory(l);
    }
    if (!json_is_object(*out)) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: line %d: %s", l->name,
                         *out == NULL ? problem.line : 1,
                         *out == NULL ? problem.text : "not a JSON object");
    }
    return PITH_OK;
}

/* Room for the id; ids without a declaration keep what the vocabulary has. */
static pith_status reserve(laying *l, size_t id) {
    if (id >= PITH_VOCAB_MAX_PIECES) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: added token id %zu, the limit is %d",
                         l->name, id, PITH_VOCAB_MAX_PIECES - 1);
    }
    if (id >= l->capacity) {
        size_t capacity = id + 1 > 2 * l->capacity ? id + 1 : 2 * l->capacity;
        declared *tokens = pith_reallocate(l->allocator, l->tokens, capacity, sizeof *tokens);
        if (tokens == NULL) {
            return no_memory(l);
        }
        memset(tokens + l->capacity, 0, (capacity - l->capacity) * sizeof *tokens);
        l->tokens = tokens;
        l->capacity = capacity;
    }
    l->n = id >= l->n ? id + 1 : l->n;
    return PITH_OK;
}

static pith_status declare(laying *l, size_t id, const char *text, size_t n, uint8_t flags) {
    pith_status status = reserve(l, id);
    if (l->vocab->kind != PITH_TOKENIZER_WORDPIECE) {
        flags &= (uint8_t)~PITH_ADDED_NORMALIZED; /* nothing normalises there */
    } else if (id >= l->vocab->n_pieces) {
        flags |= PITH_ADDED_BEYOND;
    }
    if (status != PITH_OK) {
        return status;
    }
    declared *token = &l->tokens[id];
    if (n == 0) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: added token %zu is empty", l->name, id);
    }
    if (token->text == NULL) {
        *token = (declared){.text = text, .n_bytes = n, .flags = flags};
    } else if (token->n_bytes != n || memcmp(token->text, text, n) != 0) {
        return pith_fail(l->error, PITH_ERROR_FORMAT,
                         "%s: added token %zu is both \"%.60s\" and \"%.60s\"", l->name, id,
                         token->text, text);
    }
    return PITH_OK;
}

/* ---- The two documents ----------------------------------------------------------------------- */

static pith_status read_config(laying *l, json_t *config) {
    json_t *decoder = json_object_get(config, "added_tokens_decoder");
    if (decoder != NULL && !json_is_object(decoder)) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: added_tokens_decoder is not an object",
                         l->name);
    }
    for (void *i = json_object_iter(decoder); i != NULL; i = json_object_iter_next(decoder, i)) {
        const char *key = json_object_iter_key(i);
        const json_t *token = json_object_iter_value(i);
        const json_t *content = json_object_get(token, "content");
        size_t n_digits = strspn(key, "0123456789");
        if (n_digits == 0 || n_digits > 9 || key[n_digits] != '\0') {
            return pith_fail(l->error, PITH_ERROR_FORMAT,
                             "%s: added_tokens_decoder has the id \"%.60s\"", l->name, key);
        }
        if (!json_is_string(content)) {
            return pith_fail(l->error, PITH_ERROR_FORMAT,
                             "%s: added token %s has no content string", l->name, key);
        }
        uint8_t flags;
        pith_status status = pith_hf_flags(token, l->name, &flags, l->error);
        if (status == PITH_OK) {
            status = declare(l, strtoul(key, NULL, 10), json_string_value(content),
                             json_string_length(content), flags);
        }
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

static pith_status read_added(laying *l, json_t *added) {
    for (void *i = json_object_iter(added); i != NULL; i = json_object_iter_next(added, i)) {
        const char *text = json_object_iter_key(i);
        const json_t *id = json_object_iter_value(i);
        if (!json_is_integer(id) || json_integer_value(id) < 0) {
            return pith_fail(l->error, PITH_ERROR_FORMAT,
                             "%s: the id of added token \"%.60s\" is not a number", l->name, text);
        }
        pith_status status =
            declare(l, (size_t)json_integer_value(id), text, strlen(text), PITH_ADDED_NORMALIZED);
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

/* ---- The new vocabulary ---------------------------------------------------------------------- */

static const char *old_text(const pith_vocab *v, size_t id, size_t *n) {
    *n = v->offsets[id + 1] - v->offsets[id];
    return v->bytes + v->offsets[id];
}

/* Ordinary and byte pieces cannot be spelled anew: text is merged to them. */
static pith_status check_declared(const laying *l, size_t id) {
    const declared *token = id < l->capacity ? &l->tokens[id] : NULL;
    if (id >= l->vocab->n_pieces) {
        bool there = token != NULL && token->text != NULL;
        return there ? PITH_OK
                     : pith_fail(l->error, PITH_ERROR_FORMAT,
                                 "%s: added tokens leave out id %zu, behind a vocabulary of %zu",
                                 l->name, id, l->vocab->n_pieces);
    }
    if (token == NULL || token->text == NULL) {
        return PITH_OK;
    }
    size_t n;
    const char *text = old_text(l->vocab, id, &n);
    bool same = n == token->n_bytes && memcmp(text, token->text, n) == 0;
    uint8_t type = l->vocab->types[id];
    if (!same && (type == PITH_PIECE_NORMAL || type == PITH_PIECE_BYTE)) {
        return pith_fail(l->error, PITH_ERROR_FORMAT,
                         "%s: added token %zu is \"%.60s\", the vocabulary has \"%.*s\"", l->name,
                         id, token->text, (int)(n < 60 ? n : 60), text);
    }
    return PITH_OK;
}

static uint8_t declared_type(uint8_t old, uint8_t flags) {
    if (old == PITH_PIECE_UNKNOWN || old == PITH_PIECE_BYTE || old == PITH_PIECE_CONTROL) {
        return old;
    }
    return (flags & PITH_ADDED_SPECIAL) != 0 ? PITH_PIECE_CONTROL : PITH_PIECE_USER_DEFINED;
}

/* The arrays of the new vocabulary; released by the caller when something fails. */
typedef struct arrays {
    char *bytes;
    uint32_t *offsets;
    float *scores;
    uint8_t *types;
    uint8_t *added;
    size_t n_bytes;
} arrays;

static pith_status allocate_arrays(const laying *l, arrays *a) {
    size_t total = l->vocab->n_bytes;
    for (size_t id = 0; id < l->capacity; id++) {
        total += l->tokens[id].n_bytes; /* an old spelling that is replaced leaves room unused */
    }
    if (total > PITH_VOCAB_MAX_BYTES) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: %zu bytes of tokens, more than %d",
                         l->name, total, PITH_VOCAB_MAX_BYTES);
    }
    a->bytes = pith_allocate(l->allocator, total, 1);
    a->offsets = pith_allocate(l->allocator, l->n + 1, sizeof *a->offsets);
    a->scores = l->vocab->scores != NULL
                    ? pith_allocate_zeroed(l->allocator, l->n, sizeof *a->scores)
                    : NULL;
    a->types = pith_allocate(l->allocator, l->n, 1);
    a->added = pith_allocate(l->allocator, l->n, 1);
    bool scored = l->vocab->scores == NULL || a->scores != NULL;
    return a->bytes != NULL && a->offsets != NULL && scored && a->types != NULL && a->added != NULL
               ? PITH_OK
               : no_memory(l);
}

static void fill_arrays(const laying *l, arrays *a) {
    const pith_vocab *v = l->vocab;
    for (size_t id = 0; id < l->n; id++) {
        bool old = id < v->n_pieces;
        bool given = id < l->capacity && l->tokens[id].text != NULL;
        size_t n = given ? l->tokens[id].n_bytes : 0;
        const char *text = given ? l->tokens[id].text : old_text(v, id, &n);
        a->offsets[id] = (uint32_t)a->n_bytes;
        memcpy(a->bytes + a->n_bytes, text, n);
        a->n_bytes += n;
        if (old && v->scores != NULL) {
            a->scores[id] = v->scores[id];
        }
        uint8_t type = old ? v->types[id] : PITH_PIECE_UNUSED;
        a->types[id] = given ? declared_type(type, l->tokens[id].flags) : type;
        a->added[id] = given ? l->tokens[id].flags : v->added[id];
    }
    a->offsets[l->n] = (uint32_t)a->n_bytes;
}

/* Replaces one block of the file. */
static void put_block(pith_vocab_file *file, const void *old, void *new) {
    for (size_t i = 0; i < sizeof file->blocks / sizeof file->blocks[0]; i++) {
        if (file->blocks[i] != NULL && file->blocks[i] == old) {
            pith_release(file->allocator, file->blocks[i]);
            file->blocks[i] = new;
            return;
        }
    }
}

static pith_status lay_over(laying *l, pith_vocab_file *file, bool add_bos) {
    pith_status status = PITH_OK;
    for (size_t id = 0; status == PITH_OK && id < l->n; id++) {
        status = check_declared(l, id);
    }
    arrays a = {0};
    pith_vocab vocab = *l->vocab;
    if (status == PITH_OK) {
        status = allocate_arrays(l, &a);
    }
    if (status == PITH_OK) {
        fill_arrays(l, &a);
        vocab.n_pieces = l->n;
        vocab.bytes = a.bytes;
        vocab.n_bytes = a.n_bytes;
        vocab.offsets = a.offsets;
        vocab.scores = a.scores;
        vocab.types = a.types;
        vocab.added = a.added;
        vocab.add_bos = add_bos;
        status = pith_vocab_check(&vocab, l->name, l->error);
    }
    if (status != PITH_OK) {
        void *const blocks[] = {a.bytes, a.offsets, a.scores, a.types, a.added};
        for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++) {
            pith_release(l->allocator, blocks[i]);
        }
        return status;
    }
    put_block(file, file->vocab.bytes, a.bytes);
    put_block(file, file->vocab.offsets, a.offsets);
    put_block(file, file->vocab.scores, a.scores);
    put_block(file, file->vocab.types, a.types);
    put_block(file, file->vocab.added, a.added);
    file->vocab = vocab;
    return PITH_OK;
}

pith_status pith_vocab_add_tokens(pith_vocab_file *file, const char *config_text,
                                  size_t config_size, const char *added_text, size_t added_size,
                                  const char *name, pith_error *error) {
    laying l = {
        .name = name,
        .error = error,
        .allocator = file->allocator,
        .vocab = &file->vocab,
        .n = file->vocab.n_pieces,
    };
    json_t *config = NULL;
    json_t *added = NULL;
    /* model_max_length may be a number beyond 64 bits; no number matters here. */
    pith_status status = load(&l, config_text, config_size, JSON_DECODE_INT_AS_REAL, &config);
    if (status == PITH_OK) {
        status = load(&l, added_text, added_size, 0, &added);
    }
    if (status == PITH_OK) {
        status = read_config(&l, config);
    }
    if (status == PITH_OK) {
        status = read_added(&l, added);
    }
    if (status == PITH_OK) {
        const json_t *add_bos = json_object_get(config, "add_bos_token");
        bool given = json_is_boolean(add_bos);
        status = lay_over(&l, file, given ? json_is_true(add_bos) : file->vocab.add_bos);
    }
    pith_release(l.allocator, l.tokens);
    json_decref(config);
    json_decref(added);
    return status;
}
