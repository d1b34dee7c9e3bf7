/* Tokens declared beside a tokenizer.model or vocab.txt: the slow tokenizers of Hugging Face keep
 * them in tokenizer_config.json ("added_tokens_decoder": id to token with flags) or, before 2023,
 * in added_tokens.json (token to id). They are merged into the vocabulary: tokens that it has get
 * their flags, tokens behind its end are appended. */
#include "tokenizer/hf_json.h"

#include "base/status.h"
#include "tokenizer/internal.h"

#include <stdlib.h>
#include <string.h>

/* One declaration. */
typedef struct declared {
    const char *text; /* in the JSON document */
    uint32_t n_bytes;
    uint32_t id : 24; /* as declared, before pith_vocab_add_missing_tokens gives it another */
    uint32_t flags : 8;
} declared;

_Static_assert(PITH_VOCAB_MAX_PIECES <= 1 << 24, "an id has 24 bits");

typedef struct laying {
    const char *name;
    pith_error *error;
    const pith_allocator *allocator;
    const pith_vocab *vocab;
    declared *tokens; /* [n_tokens], of different ids */
    size_t n_tokens;
    const pith_piece_table *known; /* of a tokenizer.json: spellings that have an id; else NULL */
    uint32_t *of_id;               /* [end]: index + 1 of the declaration, 0: none */
    size_t end; /* the vocabulary and one id for each declaration: an id beyond it would leave
                   others out */
    size_t n;   /* pieces of the new vocabulary; `end` when an id lies beyond */
} laying;

static pith_status no_memory(const laying *l) {
    return pith_fail(l->error, PITH_ERROR_MEMORY, "%s: no memory for added tokens", l->name);
}

static const declared *find_declared(const laying *l, size_t id) {
    return l->of_id[id] != 0 ? &l->tokens[l->of_id[id] - 1] : NULL;
}

static declared make_declared(size_t id, const char *text, size_t n, uint8_t flags) {
    return (declared){.text = text,
                      .n_bytes = (uint32_t)n,
                      .id = (uint32_t)id & 0xFFFFFF,
                      .flags = flags};
}

static pith_status declare(laying *l, size_t id, const char *text, size_t n, uint8_t flags) {
    if (id >= PITH_VOCAB_MAX_PIECES) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: added token id %zu, the limit is %d",
                         l->name, id, PITH_VOCAB_MAX_PIECES - 1);
    }
    if (l->known != NULL) {
        l->tokens[l->n_tokens] = make_declared(id, text, n, flags);
        l->n_tokens += n > 0; /* transformers ignores an empty one */
        return PITH_OK;
    }
    if (n == 0) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: added token %zu is empty", l->name, id);
    }
    if (id >= l->end) {
        l->n = l->end;
        return PITH_OK;
    }
    l->n = id >= l->n ? id + 1 : l->n;
    if (l->vocab->kind != PITH_TOKENIZER_WORDPIECE) {
        flags &= (uint8_t)~PITH_ADDED_NORMALIZED; /* nothing normalises there */
    } else if (id >= l->vocab->n_pieces) {
        flags |= PITH_ADDED_BEYOND;
    }
    const declared *token = find_declared(l, id);
    if (token == NULL) {
        l->tokens[l->n_tokens] = make_declared(id, text, n, flags);
        l->of_id[id] = (uint32_t)++l->n_tokens;
    } else if (token->n_bytes != n || memcmp(token->text, text, n) != 0) {
        return pith_fail(l->error, PITH_ERROR_FORMAT,
                         "%s: added token %zu is both \"%.60s\" and \"%.60s\"", l->name, id,
                         token->text, text);
    }
    return PITH_OK;
}

/* ---- The two documents ----------------------------------------------------------------------- */

static pith_status read_config(laying *l, pith_json decoder) {
    pith_json_walk walk = pith_json_begin(decoder);
    while (pith_json_next(&walk)) {
        pith_json content = pith_json_get(walk.value, "content");
        size_t n_digits = strspn(walk.key, "0123456789");
        if (n_digits == 0 || n_digits > 9 || n_digits != walk.key_size) {
            return pith_fail(l->error, PITH_ERROR_FORMAT,
                             "%s: added_tokens_decoder has the id \"%.60s\"", l->name, walk.key);
        }
        if (!pith_json_is(content, PITH_JSON_STRING)) {
            return pith_fail(l->error, PITH_ERROR_FORMAT,
                             "%s: added token %s has no content string", l->name, walk.key);
        }
        uint8_t flags;
        pith_status status = pith_hf_flags(walk.value, l->name, &flags, l->error);
        if (status == PITH_OK) {
            status = declare(l, strtoul(walk.key, NULL, 10), pith_json_text(content),
                             pith_json_text_size(content), flags);
        }
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

static pith_status read_added(laying *l, pith_json added) {
    pith_json_walk walk = pith_json_begin(added);
    while (pith_json_next(&walk)) {
        size_t id;
        if (!pith_json_count(walk.value, &id)) {
            return pith_fail(l->error, PITH_ERROR_FORMAT,
                             "%s: the id of added token \"%.60s\" is not a number", l->name,
                             walk.key);
        }
        pith_status status = declare(l, id, walk.key, walk.key_size, PITH_ADDED_NORMALIZED);
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

static pith_status read_documents(laying *l, pith_json config, pith_json added) {
    const pith_json documents[] = {config, added};
    for (size_t i = 0; i < 2; i++) {
        if (documents[i].at != NULL && !pith_json_is(documents[i], PITH_JSON_OBJECT)) {
            return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: not a JSON object", l->name);
        }
    }
    pith_json decoder = pith_json_get(config, "added_tokens_decoder");
    if (decoder.at != NULL && !pith_json_is(decoder, PITH_JSON_OBJECT)) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: added_tokens_decoder is not an object",
                         l->name);
    }
    size_t n = pith_json_size(decoder) + pith_json_size(added);
    if (n > PITH_VOCAB_MAX_PIECES) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: %zu added tokens, the limit is %d",
                         l->name, n, PITH_VOCAB_MAX_PIECES);
    }
    l->end += n;
    l->tokens = pith_allocate(l->allocator, n, sizeof *l->tokens);
    l->of_id = pith_allocate_zeroed(l->allocator, l->end, sizeof *l->of_id);
    if (l->tokens == NULL || l->of_id == NULL) {
        return no_memory(l);
    }
    pith_status status = read_config(l, decoder);
    return status == PITH_OK ? read_added(l, added) : status;
}

/* ---- The new vocabulary ---------------------------------------------------------------------- */

static const char *old_text(const pith_vocab *v, size_t id, size_t *n) {
    *n = v->offsets[id + 1] - v->offsets[id];
    return v->bytes + v->offsets[id];
}

/* Ordinary and byte pieces cannot get a new spelling: text is merged to them. */
static pith_status check_declared(const laying *l, size_t id) {
    const declared *token = find_declared(l, id);
    if (id >= l->vocab->n_pieces) {
        return token != NULL
                   ? PITH_OK
                   : pith_fail(l->error, PITH_ERROR_FORMAT,
                               "%s: added tokens leave out id %zu, behind a vocabulary of %zu",
                               l->name, id, l->vocab->n_pieces);
    }
    if (token == NULL) {
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

static pith_status allocate_arrays(const laying *l, const pith_vocab_file *file,
                                   pith_vocab_arrays *out) {
    size_t total = l->vocab->n_bytes;
    for (size_t i = 0; i < l->n_tokens; i++) {
        total += l->tokens[i].n_bytes; /* an old spelling that is replaced leaves room unused */
    }
    if (total > PITH_VOCAB_MAX_BYTES) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: %zu bytes of tokens, more than %d",
                         l->name, total, PITH_VOCAB_MAX_BYTES);
    }
    return pith_vocab_arrays_new(out, file, l->n, total, l->name, l->error);
}

static void fill_arrays(const laying *l, pith_vocab_arrays *a) {
    const pith_vocab *v = l->vocab;
    for (size_t id = 0; id < l->n; id++) {
        bool old = id < v->n_pieces;
        const declared *token = find_declared(l, id);
        size_t n = token != NULL ? token->n_bytes : 0;
        const char *text = token != NULL ? token->text : old_text(v, id, &n);
        uint8_t type = old ? v->types[id] : PITH_PIECE_UNUSED;
        if (old && v->scores != NULL) {
            a->scores[id] = v->scores[id];
        }
        if (old && v->log_probabilities != NULL) {
            a->log_probabilities[id] = v->log_probabilities[id];
        }
        pith_vocab_arrays_put(a, text, n, token != NULL ? declared_type(type, token->flags) : type,
                              token != NULL ? token->flags : v->added[id]);
    }
}

static pith_status lay_over(laying *l, pith_vocab_file *file, bool add_bos) {
    pith_status status = PITH_OK;
    for (size_t id = 0; status == PITH_OK && id < l->n; id++) {
        status = check_declared(l, id);
    }
    pith_vocab_arrays a;
    if (status == PITH_OK) {
        status = allocate_arrays(l, file, &a);
    }
    if (status != PITH_OK) {
        return status;
    }
    fill_arrays(l, &a);
    pith_vocab settings = *l->vocab;
    settings.add_bos = add_bos;
    return pith_vocab_arrays_replace(file, &a, &settings, l->name, l->error);
}

/* ---- Beside a tokenizer.json ----------------------------------------------------------------- */

/* By id, and of equal ids by spelling, so that the two declarations of a token in both files are
 * neighbours. */
static int compare_ids(const void *left, const void *right) {
    const declared *a = left;
    const declared *b = right;
    if (a->id != b->id) {
        return a->id < b->id ? -1 : 1;
    }
    if (a->n_bytes != b->n_bytes) {
        return a->n_bytes < b->n_bytes ? -1 : 1;
    }
    return memcmp(a->text, b->text, a->n_bytes);
}

/* True when the token is one that tokenizer.json declares already. */
static bool is_added(const pith_vocab *v, int32_t id) {
    return v->added[id] != 0 || v->types[id] == PITH_PIECE_CONTROL ||
           v->types[id] == PITH_PIECE_USER_DEFINED;
}

/* Gives the declared tokens the ids that transformers gives them. */
static void assign_ids(laying *l) {
    const pith_vocab *v = l->vocab;
    /* True when text is normalised before tokens are looked for. */
    bool normalizes = v->nfc || v->n_normalizer > 0 || v->kind == PITH_TOKENIZER_WORDPIECE ||
                      (v->kind == PITH_TOKENIZER_LLAMA_BPE && !v->prefix_unless_space);
    qsort(l->tokens, l->n_tokens, sizeof *l->tokens, compare_ids);
    for (size_t i = 0; i < l->n_tokens; i++) {
        declared *token = &l->tokens[i];
        int32_t id = pith_piece_table_find(l->known, token->text, token->n_bytes);
        bool twice = i > 0 && compare_ids(token - 1, token) == 0; /* in both files */
        if (twice || (id >= 0 && is_added(v, id))) {
            continue;
        }
        size_t place = id >= 0 ? (size_t)id : l->n++;
        if (!normalizes) {
            token->flags &= ~(unsigned)PITH_ADDED_NORMALIZED & 0xFF;
        }
        if (id < 0 && pith_vocab_marks_beyond(v)) {
            token->flags |= PITH_ADDED_BEYOND;
        }
        l->of_id[place] = (uint32_t)i + 1;
    }
}

pith_status pith_vocab_add_missing_tokens(pith_vocab_file *file, pith_json config, pith_json added,
                                          const char *name, pith_error *error) {
    const pith_vocab *v = &file->vocab;
    pith_piece_table known = {0};
    laying l = {
        .name = name,
        .error = error,
        .allocator = file->allocator,
        .vocab = v,
        .known = &known,
        .end = v->n_pieces,
        .n = v->n_pieces,
    };
    pith_status status = pith_piece_table_build(&known, v->bytes, v->offsets, v->types, v->n_pieces,
                                                file->allocator, error);
    if (status == PITH_OK) {
        status = read_documents(&l, config, added);
    }
    if (status == PITH_OK) {
        assign_ids(&l);
        status = lay_over(&l, file, v->add_bos);
    }
    pith_release(l.allocator, known.slots);
    pith_release(l.allocator, l.tokens);
    pith_release(l.allocator, l.of_id);
    return status;
}

pith_status pith_vocab_add_tokens(pith_vocab_file *file, pith_json config, pith_json added,
                                  const char *name, pith_error *error) {
    laying l = {
        .name = name,
        .error = error,
        .allocator = file->allocator,
        .vocab = &file->vocab,
        .end = file->vocab.n_pieces,
        .n = file->vocab.n_pieces,
    };
    pith_status status = read_documents(&l, config, added);
    if (status == PITH_OK) {
        bool add_bos = file->vocab.add_bos;
        pith_json_bool(pith_json_get(config, "add_bos_token"), &add_bos);
        status = lay_over(&l, file, add_bos);
    }
    pith_release(l.allocator, l.tokens);
    pith_release(l.allocator, l.of_id);
    return status;
}
