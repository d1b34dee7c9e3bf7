/* Saving a session and loading it again: a safetensors file with the tokens, the used part of the
 * cache, the last logits, and a fingerprint of the model (docs/format.md, "Session files"). The
 * cache is stored as plain rows, so the layout in memory may change without a new version. */
#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/json.h"
#include "engine/lead.h"
#include "engine/session.h"

enum {
    SESSION_VERSION = 1,
    MAX_NOTE = 2048, /* bytes of the metadata document */
    HEX_TEXT = 17,   /* 16 hex digits and a NUL */
};

static const uint64_t hash_seed = UINT64_C(0xcbf29ce484222325);
static const uint64_t hash_prime = UINT64_C(0x100000001b3);

/* FNV-1a's xor and multiply on 32-bit words (the last padded with zeros), with the high half folded
 * down after each: every step is a bijection, so no single change goes unnoticed. */
static uint64_t hash_bytes(uint64_t hash, const void *data, size_t size) {
    const unsigned char *at = data;
    for (size_t i = 0; i < size; i += sizeof(uint32_t)) {
        uint32_t word = 0;
        memcpy(&word, at + i, pith_min_size(sizeof word, size - i));
        hash = (hash ^ word) * hash_prime;
        hash ^= hash >> 32;
    }
    return hash;
}

static void hex_text(uint64_t value, char text[HEX_TEXT]) {
    snprintf(text, HEX_TEXT, "%016" PRIx64, value);
}

/* What decides the numbers in a cache: configuration, types, checksums of the weights, and nothing
 * else of the model's metadata, so that a new chat template does not separate a model from its
 * sessions. */
static pith_status fingerprint(const pith_model *model, char text[HEX_TEXT], pith_error *error) {
    pith_metadata facts = {.architecture = model->architecture,
                           .type = model->type,
                           .head_type = model->network.head.type,
                           .config = model->network.config,
                           .bos = -1};
    if (model->file != NULL) {
        facts.n_notes = model->file->metadata.n_notes;
        facts.notes = model->file->metadata.notes;
    }
    char *document = NULL;
    pith_status status = pith_metadata_write(&facts, &model->allocator, &document, error);
    if (status == PITH_OK) {
        hex_text(hash_bytes(hash_seed, document, strlen(document)), text);
    }
    pith_release(&model->allocator, document);
    return status;
}

/* Which of LongRoPE's factors turned the keys of sessions of this context; NULL: the model has one
 * list of frequencies. */
static const char *rope_name(const pith_model *model, size_t n_context) {
    size_t original;
    if (!pith_config_has_longrope(&model->network.config, &original)) {
        return NULL;
    }
    return n_context > original ? "long" : "short";
}

static const char *kv_name(pith_kv_type type) {
    return type == PITH_KV_F32 ? "f32" : type == PITH_KV_F16 ? "f16" : "int8";
}

static pith_dtype kv_dtype(pith_kv_type type) {
    return type == PITH_KV_F32   ? PITH_DTYPE_F32
           : type == PITH_KV_F16 ? PITH_DTYPE_F16
                                 : PITH_DTYPE_I8;
}

typedef struct tensor_name {
    char text[32];
} tensor_name;

/* The tensors of one layer, in the order of the file's checksum; scales with int8 only. */
typedef enum layer_part { KEYS, VALUES, KEY_SCALES, VALUE_SCALES } layer_part;

static size_t n_parts(const pith_kv_shape *shape) {
    return shape->type == PITH_KV_INT8 ? 4 : 2;
}

/* "layers.3.k" and so on. */
static tensor_name layer_name(size_t layer, layer_part part) {
    static const char *const names[] = {"k", "v", "k_scales", "v_scales"};
    tensor_name name;
    snprintf(name.text, sizeof name.text, "layers.%zu.%s", layer, names[part]);
    return name;
}

static float *chunk_scales(const pith_kv_cache *kv, size_t layer, layer_part part, size_t head,
                           size_t chunk) {
    return part == KEY_SCALES ? pith_kv_key_scales(kv, layer, head, chunk * PITH_KV_CHUNK)
                              : pith_kv_value_scales(kv, layer, head, chunk * PITH_KV_CHUNK);
}

/* Bytes of one head's part of a position, and the most that they are. */
static size_t row_bytes(const pith_kv_shape *shape, layer_part part) {
    return part >= KEY_SCALES ? sizeof(float) : shape->head_dim * shape->element;
}

static size_t most_row_bytes(const pith_kv_shape *shape) {
    return pith_max_size(row_bytes(shape, KEYS), row_bytes(shape, KEY_SCALES));
}

/* Heads are written and read a chunk of the cache at a time: of n positions those in chunk c. */
static size_t chunk_positions(size_t n, size_t c) {
    return pith_min_size(n - c * PITH_KV_CHUNK, PITH_KV_CHUNK);
}

/* ---- Saving ---------------------------------------------------------------------------------- */

/* Everything that a save declares first and writes later, by the writer's indices: tokens, logits
 * (if any), then the parts of every layer. */
static pith_status declare(pith_model_writer *writer, const pith_session *s, pith_error *error) {
    const pith_config *config = &s->model->network.config;
    size_t index;
    pith_status status =
        pith_model_writer_add(writer, "tokens", PITH_DTYPE_I32, 1, &s->n_tokens, &index, error);
    if (status == PITH_OK && s->n_logits != 0) {
        status = pith_model_writer_add(writer, "logits", PITH_DTYPE_F32, 1, &config->vocab_size,
                                       &index, error);
    }
    const size_t shape[3] = {s->kv.shape.n_kv_heads, s->n_tokens, s->kv.shape.head_dim};
    size_t parts = n_parts(&s->kv.shape);
    for (size_t i = 0; i < parts * config->num_hidden_layers && status == PITH_OK; i++) {
        layer_part part = (layer_part)(i % parts);
        bool scales = part >= KEY_SCALES;
        status = pith_model_writer_add(writer, layer_name(i / parts, part).text,
                                       scales ? PITH_DTYPE_F32 : kv_dtype(s->kv.shape.type),
                                       scales ? 2 : 3, shape, &index, error);
    }
    return status == PITH_OK ? pith_model_writer_layout(writer, MAX_NOTE, error) : status;
}

static pith_status put(pith_model_writer *writer, size_t index, size_t offset, const void *data,
                       size_t size, uint64_t *hash, pith_error *error) {
    *hash = hash_bytes(*hash, data, size);
    return pith_model_writer_put(writer, index, offset, data, size, error);
}

/* Writes one part of a layer; `rows` holds one head's keys of a chunk. */
static pith_status put_part(pith_model_writer *writer, size_t index, const pith_session *s,
                            size_t layer, layer_part part, void *rows, uint64_t *hash,
                            pith_error *error) {
    const pith_kv_shape *shape = &s->kv.shape;
    pith_status status = PITH_OK;
    size_t offset = 0;
    for (size_t head = 0; head < shape->n_kv_heads; head++) {
        for (size_t c = 0; c * PITH_KV_CHUNK < s->n_tokens && status == PITH_OK; c++) {
            size_t n = chunk_positions(s->n_tokens, c);
            size_t size = n * row_bytes(shape, part);
            const void *data = rows;
            if (part == KEYS) {
                pith_kv_get_keys(&s->kv, layer, head, c, n, rows);
            } else if (part == VALUES) {
                data = pith_kv_values(&s->kv, layer, head, c * PITH_KV_CHUNK);
            } else {
                data = chunk_scales(&s->kv, layer, part, head, c);
            }
            status = put(writer, index, offset, data, size, hash, error);
            offset += size;
        }
    }
    return status;
}

/* Writes all tensors. */
static pith_status put_data(pith_model_writer *writer, const pith_session *s, void *rows,
                            uint64_t *hash, pith_error *error) {
    const pith_config *config = &s->model->network.config;
    size_t index = 0;
    pith_status status =
        put(writer, index++, 0, s->tokens, s->n_tokens * sizeof *s->tokens, hash, error);
    if (status == PITH_OK && s->n_logits != 0) {
        status = put(writer, index++, 0, pith_session_logits(s), config->vocab_size * sizeof(float),
                     hash, error);
    }
    size_t parts = n_parts(&s->kv.shape);
    for (size_t i = 0; i < parts * config->num_hidden_layers && status == PITH_OK; i++) {
        status =
            put_part(writer, index++, s, i / parts, (layer_part)(i % parts), rows, hash, error);
    }
    return status;
}

/* The metadata document. */
static pith_status write_note(const pith_session *s, uint64_t hash, char text[MAX_NOTE],
                              pith_error *error) {
    char model[HEX_TEXT];
    char checksum[HEX_TEXT];
    char rope[24] = "";
    pith_status status = fingerprint(s->model, model, error);
    if (status != PITH_OK) {
        return status;
    }
    hex_text(hash, checksum);
    if (rope_name(s->model, s->n_context) != NULL) {
        snprintf(rope, sizeof rope, "\"rope\":\"%s\",", rope_name(s->model, s->n_context));
    }
    snprintf(text, MAX_NOTE,
             "{\"session_version\":%d,\"generator\":\"pith %s\",\"architecture\":\"%s\","
             "\"type\":\"%s\",\"model\":\"%s\",\"kv_type\":\"%s\",%s\"checksum\":\"%s\"}",
             SESSION_VERSION, pith_version(), s->model->architecture,
             pith_type_name(s->model->type), model, kv_name(s->kv.shape.type), rope, checksum);
    return PITH_OK;
}

pith_status pith_session_save(const pith_session *s, const char *path, pith_error *error) {
    if (s == NULL || path == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_session_save: null argument");
    }
    if (s->n_tokens == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: a session without tokens is not saved",
                         path);
    }
    if (s->model->team != NULL) {
        return pith_lead_refuse(s->model, "saving a session", error);
    }
    const pith_allocator *allocator = &s->model->allocator;
    pith_model_writer *writer = NULL;
    uint64_t hash = hash_seed;
    char note[MAX_NOTE];
    pith_status status = PITH_OK;
    void *rows = pith_allocate(allocator, PITH_KV_CHUNK, most_row_bytes(&s->kv.shape));
    if (rows == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory to save a session", path);
        goto done;
    }
    status = pith_model_writer_new_private(&writer, path, allocator, error);
    if (status == PITH_OK) {
        status = declare(writer, s, error);
    }
    if (status == PITH_OK) {
        status = put_data(writer, s, rows, &hash, error);
    }
    if (status == PITH_OK) {
        status = write_note(s, hash, note, error);
    }
    if (status == PITH_OK) {
        status = pith_model_writer_finish(writer, note, error);
        writer = NULL;
    }
done:
    pith_model_writer_discard(writer);
    pith_release(allocator, rows);
    return status;
}

/* ---- Loading --------------------------------------------------------------------------------- */

typedef struct loading {
    const pith_model *model;
    pith_file file;
    pith_safetensors *header;
    pith_json note; /* in the header */
    pith_session *session;
    size_t n_tokens;
    uint64_t hash;
    pith_error *error;
} loading;

/* Compares a text of the note with what it must be. */
static pith_status expect_text(const loading *l, const char *key, const char *expected,
                               const char *meaning) {
    const char *text = pith_json_text(pith_json_get(l->note, key));
    if (text == NULL) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: its metadata lacks \"%s\"", l->file.path,
                         key);
    }
    if (strcmp(text, expected) != 0) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: %s: %s is %.40s, not %s", l->file.path,
                         meaning, key, text, expected);
    }
    return PITH_OK;
}

static pith_status read_note(loading *l) {
    const char *path = l->file.path;
    char *text = pith_safetensors_take_metadata(l->header, "pith");
    if (text == NULL) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: is not a session file", path);
    }
    pith_status status = pith_json_read(&l->note, text, strlen(text), PITH_JSON_STRICT, path,
                                        &l->model->allocator, l->error);
    if (status != PITH_OK) {
        return status;
    }
    int64_t version;
    if (!pith_json_integer(pith_json_get(l->note, "session_version"), &version)) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: is not a session file", path);
    }
    if (version != SESSION_VERSION) {
        return pith_fail(l->error, PITH_ERROR_UNSUPPORTED,
                         "%s: session version %" PRId64 ", this program reads %d", path, version,
                         SESSION_VERSION);
    }
    static const char other[] = "was saved with another model";
    char model[HEX_TEXT];
    status = fingerprint(l->model, model, l->error);
    if (status == PITH_OK) {
        status = expect_text(l, "architecture", l->model->architecture, other);
    }
    if (status == PITH_OK) {
        status = expect_text(l, "type", pith_type_name(l->model->type), other);
    }
    return status == PITH_OK ? expect_text(l, "model", model, other) : status;
}

/* The cache type to use: that of the file, which the caller may only confirm. */
static pith_status choose_kv_type(const loading *l, pith_kv_type wanted, pith_kv_type *out) {
    const char *text = pith_json_text(pith_json_get(l->note, "kv_type"));
    pith_kv_type type = PITH_KV_AUTO;
    for (pith_kv_type t = PITH_KV_F32; t <= PITH_KV_INT8 && text != NULL; t++) {
        type = strcmp(text, kv_name(t)) == 0 ? t : type;
    }
    if (type == PITH_KV_AUTO) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: kv_type is not f32, f16 or int8",
                         l->file.path);
    }
    if (wanted != PITH_KV_AUTO && wanted != type) {
        return pith_fail(l->error, PITH_ERROR_ARGUMENT,
                         "%s: was saved with a KV cache of %s, another was asked for", l->file.path,
                         kv_name(type));
    }
    *out = type;
    return PITH_OK;
}

/* Keys that LongRoPE's short factors turned are of no use among those of the long ones. */
static pith_status check_rope(const loading *l, size_t n_context) {
    const char *needed = rope_name(l->model, n_context);
    return needed == NULL ? PITH_OK
                          : expect_text(l, "rope", needed,
                                        "was saved in a context with other factors of longrope");
}

/* A tensor by its name, type and shape [n_dims]. */
static pith_status find(const loading *l, const char *name, pith_dtype dtype, size_t n_dims,
                        const size_t *shape, const pith_tensor **out) {
    const pith_tensor *tensor = pith_safetensors_find(l->header, name);
    if (tensor == NULL) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: tensor \"%s\" is missing", l->file.path,
                         name);
    }
    bool good = tensor->dtype == dtype && tensor->n_dims == n_dims;
    for (size_t i = 0; i < n_dims && good; i++) {
        good = tensor->shape[i] == shape[i];
    }
    if (!good) {
        return pith_fail(l->error, PITH_ERROR_FORMAT,
                         "%s: tensor \"%s\" has another type or shape than this model's sessions",
                         l->file.path, name);
    }
    *out = tensor;
    return PITH_OK;
}

static pith_status read_part(loading *l, const pith_tensor *tensor, size_t offset, void *data,
                             size_t size) {
    pith_status status = pith_file_read(&l->file, tensor->offset + offset, data, size, l->error);
    if (status == PITH_OK) {
        l->hash = hash_bytes(l->hash, data, size);
    }
    return status;
}

static pith_status read_tokens(loading *l) {
    pith_session *s = l->session;
    const pith_tensor *tensor = NULL;
    pith_status status = find(l, "tokens", PITH_DTYPE_I32, 1, &l->n_tokens, &tensor);
    if (status == PITH_OK) {
        status = read_part(l, tensor, 0, s->tokens, tensor->size);
    }
    size_t vocab = l->model->network.config.vocab_size;
    for (size_t i = 0; i < l->n_tokens && status == PITH_OK; i++) {
        if (s->tokens[i] < 0 || (size_t)s->tokens[i] >= vocab) {
            status = pith_fail(l->error, PITH_ERROR_FORMAT,
                               "%s: token %d at index %zu is outside the vocabulary of %zu",
                               l->file.path, (int)s->tokens[i], i, vocab);
        }
    }
    return status;
}

static pith_status read_logits(loading *l) {
    pith_session *s = l->session;
    size_t vocab = l->model->network.config.vocab_size;
    const pith_tensor *tensor = NULL;
    if (pith_safetensors_find(l->header, "logits") == NULL) {
        return PITH_OK;
    }
    pith_status status = find(l, "logits", PITH_DTYPE_F32, 1, &vocab, &tensor);
    if (status == PITH_OK) {
        status = read_part(l, tensor, 0, s->logits, tensor->size);
    }
    if (status == PITH_OK && !pith_session_finite(s->logits, 0, 1, vocab)) {
        status =
            pith_fail(l->error, PITH_ERROR_FORMAT, "%s: logits hold NaN or infinity", l->file.path);
    }
    if (status == PITH_OK) {
        s->n_logits = 1;
    }
    return status;
}

/* True when elements [n] of the cache hold no NaN, no infinity, and no code that the quantiser
 * cannot produce. */
static bool elements_valid(pith_kv_type type, const void *data, size_t n) {
    if (type == PITH_KV_F32) {
        return pith_session_finite(data, 0, 1, n);
    }
    if (type == PITH_KV_INT8) {
        return memchr(data, 0x80, n) == NULL;
    }
    const uint16_t *half = data;
    unsigned worst = 0;
    for (size_t i = 0; i < n; i++) {
        unsigned bits = half[i] & 0x7fffU;
        worst = bits > worst ? bits : worst;
    }
    return worst < 0x7c00U;
}

static bool scales_valid(const float *scales, size_t n) {
    bool valid = true;
    for (size_t i = 0; i < n; i++) {
        valid = valid && scales[i] >= 0 && scales[i] <= FLT_MAX;
    }
    return valid;
}

/* The tensor of one part of a layer. */
static pith_status find_part(const loading *l, size_t layer, layer_part part,
                             const pith_tensor **out) {
    const pith_kv_shape *kv = &l->session->kv.shape;
    const size_t shape[3] = {kv->n_kv_heads, l->n_tokens, kv->head_dim};
    bool scales = part >= KEY_SCALES;
    return find(l, layer_name(layer, part).text, scales ? PITH_DTYPE_F32 : kv_dtype(kv->type),
                scales ? 2 : 3, shape, out);
}

/* All parts have their place in the file: the cache takes no more memory than its size calls for.
 */
static pith_status check_parts(const loading *l) {
    const pith_kv_shape *kv = &l->session->kv.shape;
    const pith_tensor *tensor = NULL;
    pith_status status = PITH_OK;
    for (size_t i = 0; i < n_parts(kv) * kv->n_layers && status == PITH_OK; i++) {
        status = find_part(l, i / n_parts(kv), (layer_part)(i % n_parts(kv)), &tensor);
    }
    return status;
}

/* Checks n positions of one head's part, read into `rows`, and puts them into a chunk. */
static pith_status store_rows(const loading *l, size_t layer, layer_part part, size_t head,
                              size_t chunk, size_t n, const void *rows) {
    const pith_kv_cache *kv = &l->session->kv;
    const char *wrong = NULL;
    if (part >= KEY_SCALES) {
        wrong = scales_valid(rows, n) ? NULL : "a scale that is negative, NaN or infinite";
    } else if (!elements_valid(kv->shape.type, rows, n * kv->shape.head_dim)) {
        wrong = kv->shape.type == PITH_KV_INT8 ? "a code below -127" : "NaN or infinity";
    }
    if (wrong != NULL) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: tensor \"%s\" holds %s", l->file.path,
                         layer_name(layer, part).text, wrong);
    }
    if (part == KEYS) {
        pith_kv_put_keys(kv, layer, head, chunk, n, rows);
    } else if (part == VALUES) {
        pith_kv_put_values(kv, layer, head, chunk, n, rows);
    } else {
        memcpy(chunk_scales(kv, layer, part, head, chunk), rows, n * sizeof(float));
    }
    return PITH_OK;
}

/* Reads one part of a layer; `rows` holds one head's of a chunk. */
static pith_status read_rows(loading *l, size_t layer, layer_part part, void *rows) {
    const pith_kv_shape *shape = &l->session->kv.shape;
    const pith_tensor *tensor = NULL;
    pith_status status = find_part(l, layer, part, &tensor);
    size_t offset = 0;
    for (size_t head = 0; head < shape->n_kv_heads; head++) {
        for (size_t c = 0; c * PITH_KV_CHUNK < l->n_tokens && status == PITH_OK; c++) {
            size_t n = chunk_positions(l->n_tokens, c);
            size_t size = n * row_bytes(shape, part);
            status = read_part(l, tensor, offset, rows, size);
            if (status == PITH_OK) {
                status = store_rows(l, layer, part, head, c, n, rows);
            }
            offset += size;
        }
    }
    return status;
}

static pith_status read_data(loading *l) {
    const pith_allocator *allocator = &l->model->allocator;
    const pith_kv_shape *shape = &l->session->kv.shape;
    pith_status status = check_parts(l);
    if (status == PITH_OK) {
        status = pith_session_grow(l->session, l->n_tokens, 1, l->error);
    }
    if (status == PITH_OK) {
        status = read_tokens(l);
    }
    if (status == PITH_OK) {
        status = read_logits(l);
    }
    if (status != PITH_OK) {
        return status;
    }
    void *rows = pith_allocate(allocator, PITH_KV_CHUNK, most_row_bytes(shape));
    if (rows == NULL) {
        return pith_fail(l->error, PITH_ERROR_MEMORY, "%s: no memory to load a session",
                         l->file.path);
    }
    size_t parts = n_parts(&l->session->kv.shape);
    size_t n = parts * l->model->network.config.num_hidden_layers;
    for (size_t i = 0; i < n && status == PITH_OK; i++) {
        status = read_rows(l, i / parts, (layer_part)(i % parts), rows);
    }
    pith_release(allocator, rows);
    char checksum[HEX_TEXT];
    hex_text(l->hash, checksum);
    return status == PITH_OK ? expect_text(l, "checksum", checksum, "is damaged") : status;
}

/* Makes the session that the file is read into. */
static pith_status open_session(loading *l, const pith_session_options *options) {
    const pith_tensor *tokens = pith_safetensors_find(l->header, "tokens");
    if (tokens == NULL || tokens->n_dims != 1 || tokens->shape[0] == 0) {
        return pith_fail(l->error, PITH_ERROR_FORMAT, "%s: has no list of tokens", l->file.path);
    }
    l->n_tokens = tokens->shape[0];
    pith_session_options chosen = *options;
    pith_status status = choose_kv_type(l, options->kv_type, &chosen.kv_type);
    if (status != PITH_OK) {
        return status;
    }
    size_t n_context = options->n_context != 0 ? options->n_context
                                               : l->model->network.config.max_position_embeddings;
    if (l->n_tokens > n_context) {
        return pith_fail(l->error, PITH_ERROR_CONTEXT,
                         "%s: its %zu tokens do not fit in the context of %zu", l->file.path,
                         l->n_tokens, n_context);
    }
    status = check_rope(l, n_context);
    return status == PITH_OK ? pith_session_new(&l->session, l->model, &chosen, l->error) : status;
}

pith_status pith_session_load(pith_session **out, const pith_model *model, const char *path,
                              const pith_session_options *options, pith_error *error) {
    static const pith_session_options defaults = {0};
    if (out == NULL || model == NULL || path == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_session_load: null argument");
    }
    if (model->network.config.role == PITH_ENCODER) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model is an encoder: it has no session, use pith_embed");
    }
    loading l = {.model = model, .hash = hash_seed, .error = error};
    pith_status status = pith_lead_refuse(model, "loading a session", error);
    if (status != PITH_OK || (status = pith_file_open(&l.file, path, error)) != PITH_OK) {
        return status;
    }
    status = pith_safetensors_read(&l.header, &l.file, &model->allocator, error);
    if (status == PITH_OK) {
        status = read_note(&l);
    }
    if (status == PITH_OK) {
        status = open_session(&l, options != NULL ? options : &defaults);
    }
    if (status == PITH_OK) {
        status = read_data(&l);
    }
    if (status == PITH_OK) {
        l.session->n_tokens = l.n_tokens;
        *out = l.session;
        l.session = NULL;
    }
    pith_session_free(l.session);
    pith_safetensors_free(l.header);
    pith_file_close(&l.file);
    return status;
}
