/* Opening a .pith file: header, metadata, then every tensor that the hyper-parameters call for is
 * looked up by name and checked before any weight is read; last the data is loaded and the pointers
 * are set. Nothing in the file is trusted without a check. */
#include "weights/pith_file.h"

#include "base/checked.h"
#include "base/file.h"
#include "simd/blocks.h"
#include "weights/held.h"
#include "weights/model_operand.h"

#include <stdint.h>
#include <string.h>

enum {
    MAX_NAMED_STRANGERS = 8, /* unknown tensors that get a warning of their own */
};

/* A pith_model_file with its private parts; `implementation` points to this struct. */
typedef struct opened {
    pith_model_file file;
    const pith_allocator *allocator;
    char *path;
    pith_metadata_owner *metadata_owner;
    const pith_tensor_note **notes; /* [tensors] of the file, NULL where metadata has none */
    bool *known;                    /* [tensors] the architecture uses it */
    pith_held_data held;            /* of several ranks: what this one reads */
    pith_region region;             /* the data, unless mapped or borrowed */
    const void *mapping;
    size_t mapping_size;
    pith_region vocab; /* of a mapped file: its own copy of the tokenizer's tensors */
} opened;

static pith_status opened_new(opened **out, const char *path, const pith_allocator *allocator,
                              pith_error *error) {
    allocator = pith_allocator_or_default(allocator);
    opened *o = pith_allocate_zeroed(allocator, 1, sizeof *o);
    char *copy = pith_copy_text(allocator, path, strlen(path));
    if (o == NULL || copy == NULL) {
        pith_release(allocator, o);
        pith_release(allocator, copy);
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", path);
    }
    o->allocator = allocator;
    o->path = copy;
    o->file.path = copy;
    o->file.implementation = o;
    *out = o;
    return PITH_OK;
}

static void opened_free(opened *o) {
    if (o->mapping != NULL) {
        pith_file_unmap(o->mapping, o->mapping_size);
    }
    pith_region_release(&o->region);
    pith_region_release(&o->vocab);
    pith_release(o->allocator, o->file.network.layers);
    pith_release(o->allocator, o->file.network.experts);
    pith_release(o->allocator, o->notes);
    pith_release(o->allocator, o->known);
    pith_held_data_end(&o->held, o->allocator);
    pith_metadata_free(o->metadata_owner);
    pith_safetensors_free(o->file.header);
    pith_release(o->allocator, o->path);
    pith_release(o->allocator, o);
}

static pith_status no_memory(const opened *o, pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", o->path);
}

/* ---- Checking and binding -------------------------------------------------------------------- */

/* Gives every tensor its note; a note of no tensor is an error. */
static pith_status assign_notes(opened *o, pith_error *error) {
    const pith_safetensors *header = o->file.header;
    const pith_metadata *metadata = &o->file.metadata;
    size_t n = pith_safetensors_count(header);
    o->notes = pith_allocate_zeroed(o->allocator, n, sizeof *o->notes);
    o->known = pith_allocate_zeroed(o->allocator, n, sizeof *o->known);
    if (o->notes == NULL || o->known == NULL) {
        return no_memory(o, error);
    }
    for (size_t i = 0; i < metadata->n_notes; i++) {
        const pith_tensor *tensor = pith_safetensors_find(header, metadata->notes[i].name);
        if (tensor == NULL) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: metadata describes \"%.120s\", which is not in the file", o->path,
                             metadata->notes[i].name);
        }
        o->notes[tensor - pith_safetensors_at(header, 0)] = &metadata->notes[i];
    }
    return PITH_OK;
}

/* Finds a tensor declared exactly so, aligned to its elements or, for a matrix, to a cache line. */
static pith_status find_tensor(opened *o, const char *name, pith_dtype dtype, size_t n_dims,
                               const size_t *shape, size_t alignment, const pith_tensor **out,
                               pith_error *error) {
    const pith_tensor *tensor = pith_safetensors_find(o->file.header, name);
    if (tensor == NULL) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: tensor \"%s\" is missing", o->path, name);
    }
    if (tensor->dtype != dtype) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: tensor \"%s\" has dtype %s, expected %s",
                         o->path, name, pith_dtype_name(tensor->dtype), pith_dtype_name(dtype));
    }
    if (tensor->n_dims != n_dims) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: tensor \"%s\" has %zu dimensions, expected %zu", o->path, name,
                         tensor->n_dims, n_dims);
    }
    for (size_t i = 0; i < n_dims; i++) {
        if (tensor->shape[i] != shape[i]) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: tensor \"%s\" has size %zu in dimension %zu, expected %zu",
                             o->path, name, tensor->shape[i], i, shape[i]);
        }
    }
    if (tensor->offset % alignment != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: tensor \"%s\" starts at byte %zu, not a multiple of %zu", o->path,
                         name, tensor->offset, alignment);
    }
    o->known[tensor - pith_safetensors_at(o->file.header, 0)] = true;
    *out = tensor;
    return PITH_OK;
}

/* Where a tensor's bytes are; NULL before the data is there. */
static const void *tensor_data(const opened *o, const pith_tensor *tensor) {
    if (o->file.data == NULL) {
        return NULL;
    }
    if (o->held.places != NULL) {
        size_t i = (size_t)(tensor - pith_safetensors_at(o->file.header, 0));
        return (const unsigned char *)o->file.data + o->held.places[i];
    }
    return (const unsigned char *)o->file.data +
           (tensor->offset - pith_safetensors_data_offset(o->file.header));
}

static pith_status matrix_type(const opened *o, const char *name, pith_type *out,
                               pith_error *error) {
    const pith_tensor *tensor = pith_safetensors_find(o->file.header, name);
    if (tensor == NULL) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: tensor \"%s\" is missing", o->path, name);
    }
    const pith_tensor_note *note = o->notes[tensor - pith_safetensors_at(o->file.header, 0)];
    if (note == NULL || !note->is_matrix) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: metadata gives no type for matrix \"%s\"",
                         o->path, name);
    }
    *out = note->type;
    return PITH_OK;
}

static pith_status bind_slot(opened *o, unsigned part, size_t layer, pith_error *error) {
    pith_slot slot;
    pith_slot_place place;
    if (!pith_model_file_slot(&o->file, part, layer, &slot, &place)) {
        return PITH_OK;
    }
    pith_type type = PITH_TYPE_F32;
    pith_status status = slot.is_matrix ? matrix_type(o, slot.name, &type, error) : PITH_OK;
    if (status != PITH_OK) {
        return status;
    }
    if (slot.kind == PITH_KIND_TABLE && type != PITH_TYPE_F32) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: tensor \"%s\" has type %s, not f32",
                         o->path, slot.name, pith_type_name(type));
    }
    pith_dtype dtype;
    size_t n_dims;
    size_t shape[2];
    if (!pith_slot_shape(&slot, type, &dtype, &n_dims, shape)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: tensor \"%s\": %s cannot hold %zu columns",
                         o->path, slot.name, pith_type_name(type), slot.cols);
    }
    size_t alignment = slot.is_matrix ? PITH_LINE_BYTES : sizeof(float);
    const pith_tensor *tensor;
    status = find_tensor(o, slot.name, dtype, n_dims, shape, alignment, &tensor, error);
    if (status != PITH_OK) {
        return status;
    }
    if (slot.is_matrix) {
        pith_held_data_note(&o->held, (size_t)(tensor - pith_safetensors_at(o->file.header, 0)),
                            pith_family_rule(o->file.family, part)->rows, slot.rows);
        *place.matrix = (pith_matrix){
            .type = type,
            .rows = slot.rows,
            .cols = slot.cols,
            .size = tensor->size,
            .data = tensor_data(o, tensor),
        };
    } else {
        *place.vector = tensor_data(o, tensor);
    }
    o->file.weight_bytes += tensor->size;
    return PITH_OK;
}

/* Other processes can write to a mapped file, and the tokenizer relies on what pith_vocab_check has
 * checked, so it gets a copy. The first call measures its size; the second one, with memory, fills
 * it. Without a mapping the tensor stays where it is. */
static const void *vocab_data(const opened *o, const pith_tensor *tensor, pith_arena *arena) {
    const void *data = tensor_data(o, tensor);
    if (o->mapping == NULL) {
        return data;
    }
    void *copy = pith_arena_take(arena, tensor->size, 1);
    if (copy != NULL) {
        memcpy(copy, data, tensor->size);
    }
    return copy;
}

static pith_status bind_vocab(opened *o, pith_arena *arena, pith_error *error) {
    pith_vocab *vocab = &o->file.vocab;
    *vocab = o->file.metadata.vocab;
    for (unsigned part = 0; part < PITH_VOCAB_N_PARTS; part++) {
        pith_vocab_slot slot;
        const pith_tensor *tensor;
        if (!pith_vocab_slot_of(vocab, (pith_vocab_part)part, &slot)) {
            continue;
        }
        pith_status status = find_tensor(o, slot.name, slot.dtype, slot.n_dims, slot.shape,
                                         pith_dtype_size(slot.dtype), &tensor, error);
        if (status != PITH_OK) {
            return status;
        }
        const void *data = vocab_data(o, tensor, arena);
        switch ((pith_vocab_part)part) {
        case PITH_VOCAB_BYTES:
            vocab->bytes = data;
            break;
        case PITH_VOCAB_OFFSETS:
            vocab->offsets = data;
            break;
        case PITH_VOCAB_SCORES:
            vocab->scores = data;
            break;
        case PITH_VOCAB_LOG_PROBABILITIES:
            vocab->log_probabilities = data;
            break;
        case PITH_VOCAB_TYPES:
            vocab->types = data;
            break;
        case PITH_VOCAB_ADDED:
            vocab->added = data;
            break;
        case PITH_VOCAB_MERGES:
            vocab->merges = data;
            break;
        case PITH_VOCAB_CHARSMAP:
            vocab->charsmap = data;
            break;
        case PITH_VOCAB_N_PARTS:
            break;
        }
    }
    return PITH_OK;
}

/* Checks every tensor against what the configuration calls for and points the structs at the data.
 * Runs once before the data is there, for the checks, and once after. */
static pith_status bind_all(opened *o, pith_error *error) {
    pith_network *network = &o->file.network;
    size_t n_parts = pith_family_n_parts(o->file.family);
    o->file.weight_bytes = 0;
    pith_status status = PITH_OK;
    for (unsigned part = 0; part < n_parts && status == PITH_OK; part++) {
        size_t n = pith_rule_n_tensors(pith_family_rule(o->file.family, part), &network->config);
        for (size_t number = 0; number < n && status == PITH_OK; number++) {
            status = bind_slot(o, part, number, error);
        }
    }
    if (status != PITH_OK) {
        return status;
    }
    if (network->config.tie_word_embeddings) {
        network->head = network->embed;
    }
    pith_arena arena = {.base = NULL};
    status = bind_vocab(o, &arena, error);
    if (status != PITH_OK || o->mapping == NULL || arena.used == 0) {
        return status;
    }
    status = pith_region_allocate(&o->vocab, arena.used, o->allocator, error);
    if (status != PITH_OK) {
        return pith_fail_in(error, status, "%s", o->path);
    }
    arena = (pith_arena){.base = o->vocab.data};
    return bind_vocab(o, &arena, error);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static void warn_of_strangers(const opened *o, const pith_log *log) {
    size_t n = pith_safetensors_count(o->file.header);
    size_t n_unknown = 0;
    for (size_t i = 0; i < n; i++) {
        if (!o->known[i] && n_unknown++ < MAX_NAMED_STRANGERS) {
            pith_log_write(log, PITH_LOG_WARNING, "%s: tensor \"%.120s\" is unknown and not used",
                           o->path, pith_safetensors_at(o->file.header, i)->name);
        }
    }
    if (n_unknown > MAX_NAMED_STRANGERS) {
        pith_log_write(log, PITH_LOG_WARNING, "%s: %zu more unknown tensors", o->path,
                       n_unknown - MAX_NAMED_STRANGERS);
    }
}

/* Copies the configuration and allocates the layers. */
static pith_status prepare_layers(opened *o, pith_error *error) {
    pith_model_file *file = &o->file;
    pith_network *network = &file->network;
    file->family = pith_family_find(file->metadata.architecture);
    network->config = file->metadata.config;
    file->n_params = pith_family_n_params(file->family, &network->config);
    network->layers = pith_allocate_zeroed(o->allocator, network->config.num_hidden_layers,
                                           sizeof *network->layers);
    if (network->config.n_experts != 0) {
        network->experts =
            pith_allocate_zeroed(o->allocator,
                                 network->config.num_hidden_layers * network->config.n_experts,
                                 sizeof *network->experts);
    }
    bool whole =
        network->layers != NULL && (network->experts != NULL || network->config.n_experts == 0);
    return whole ? PITH_OK : no_memory(o, error);
}

/* Everything that the header alone decides. */
static pith_status check_header(opened *o, const pith_log *log, pith_error *error) {
    pith_model_file *file = &o->file;
    size_t data_offset = pith_safetensors_data_offset(file->header);
    if (data_offset % PITH_LINE_BYTES != 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: the data starts at byte %zu, not a multiple of %d", o->path,
                         data_offset, PITH_LINE_BYTES);
    }
    char *text = pith_safetensors_take_metadata(file->header, "pith");
    if (text == NULL) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: not a pith model: __metadata__ has no key \"pith\"", o->path);
    }
    pith_status status =
        pith_metadata_read(&file->metadata, &o->metadata_owner, text, o->path, o->allocator, error);
    if (status == PITH_OK) {
        status = assign_notes(o, error);
    }
    if (status == PITH_OK) {
        status = prepare_layers(o, error);
    }
    if (status == PITH_OK) {
        status = bind_all(o, error);
    }
    if (status == PITH_OK) {
        warn_of_strangers(o, log);
    }
    return status;
}

/* With the data in place: sets the pointers and checks the vocabulary's contents. */
static pith_status bind_data(opened *o, const void *data, pith_error *error) {
    o->file.data = data;
    pith_status status = bind_all(o, error);
    if (status == PITH_OK && o->file.vocab.n_pieces != 0) {
        status = pith_vocab_check(&o->file.vocab, o->path, error);
    }
    pith_release(o->allocator, o->notes);
    pith_release(o->allocator, o->known);
    o->notes = NULL;
    o->known = NULL;
    return status;
}

static pith_status read_data(opened *o, const pith_file *file, pith_pool *pool,
                             const pith_load_watch *watch, pith_error *error) {
    size_t offset = pith_safetensors_data_offset(o->file.header);
    pith_extract whole = {.offset = offset, .n = file->size - offset};
    const bool all = o->held.extracts == NULL;
    pith_status status =
        pith_region_allocate(&o->region, all ? whole.n : o->held.size, o->allocator, error);
    if (status != PITH_OK) {
        return pith_fail_in(error, status, "%s", o->path);
    }
    return pith_read_extracts(file, all ? &whole : o->held.extracts, all ? 1 : o->held.n_extracts,
                              o->region.data, pool, watch, error);
}

static pith_status map_data(opened *o, const pith_file *file, pith_error *error) {
    pith_status status = pith_file_map(file, &o->mapping, error);
    if (status == PITH_OK) {
        o->mapping_size = file->size;
    }
    return status;
}

typedef enum loading { READ, MAP, CHECK_ONLY } loading;

/* What only one of several ranks does with the header: finds its rows, and a hash that all can
 * compare. */
static pith_status choose_rows(opened *o, const pith_file *file, pith_error *error) {
    if (o->held.places == NULL) {
        return PITH_OK;
    }
    if (o->file.network.config.role == PITH_ENCODER) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: an encoder runs in one process, not in %zu ranks", o->path,
                         o->held.n_ranks);
    }
    pith_held_data_choose(&o->held, &o->file);
    return pith_held_hash(&o->file.header_hash, file, pith_safetensors_data_offset(o->file.header),
                          error);
}

static pith_status open_file(opened *o, const pith_file *file, loading how, pith_pool *pool,
                             const pith_load_watch *watch, const pith_log *log, pith_error *error) {
    o->file.file_size = file->size;
    pith_status status = pith_safetensors_read(&o->file.header, file, o->allocator, error);
    if (status == PITH_OK) {
        status =
            pith_held_data_begin(&o->held, pith_safetensors_count(o->file.header), o->allocator)
                ? check_header(o, log, error)
                : no_memory(o, error);
    }
    if (status == PITH_OK) {
        status = choose_rows(o, file, error);
    }
    if (status == PITH_OK) {
        status = how == READ ? read_data(o, file, pool, watch, error) : map_data(o, file, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    const void *data = o->region.data;
    if (how == MAP) {
        pith_file_advise_mapped(o->mapping, o->mapping_size);
    }
    if (how != READ) {
        data = (const unsigned char *)o->mapping + pith_safetensors_data_offset(o->file.header);
    }
    return bind_data(o, data, error);
}

pith_status pith_model_file_open(pith_model_file **out, const char *path, bool map, pith_pool *pool,
                                 const pith_log *log, const pith_allocator *allocator,
                                 pith_error *error) {
    return pith_model_file_open_watched(out, path, map, pool, NULL, NULL, log, allocator, error);
}

pith_status pith_model_file_open_watched(pith_model_file **out, const char *path, bool map,
                                         pith_pool *pool, const pith_load_watch *watch,
                                         const pith_ranks *ranks, const pith_log *log,
                                         const pith_allocator *allocator, pith_error *error) {
    opened *o;
    pith_file file;
    pith_status status = opened_new(&o, path, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    o->held.rank = ranks != NULL ? ranks->rank : 0;
    o->held.n_ranks = ranks != NULL ? ranks->n_ranks : 1;
    status = pith_file_open(&file, o->path, error);
    if (status == PITH_OK) {
        status = open_file(o, &file, map ? MAP : READ, pool, watch, log, error);
        pith_file_close(&file);
    }
    if (status != PITH_OK) {
        status = pith_explain_model_operand(o->path, status, o->allocator, error);
        opened_free(o);
        return status;
    }
    *out = &o->file;
    return PITH_OK;
}

pith_status pith_model_file_open_to_check(pith_model_file **out, const pith_file *file,
                                          const pith_allocator *allocator, pith_error *error) {
    static const pith_log silent = {.fn = NULL};
    opened *o;
    pith_status status = opened_new(&o, file->path, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    status = open_file(o, file, CHECK_ONLY, NULL, NULL, &silent, error);
    if (status != PITH_OK) {
        opened_free(o);
        return status;
    }
    *out = &o->file;
    return PITH_OK;
}

static pith_status open_bytes(opened *o, const unsigned char *bytes, size_t size,
                              const pith_log *log, pith_error *error) {
    uint64_t length = 0;
    if (size < sizeof length) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu bytes are too few for a model", o->path,
                         size);
    }
    for (size_t i = sizeof length; i-- > 0;) {
        length = length << 8 | bytes[i];
    }
    pith_status status =
        pith_safetensors_parse(&o->file.header, (const char *)bytes + sizeof length, (size_t)length,
                               size, o->path, o->allocator, error);
    if (status == PITH_OK) {
        status = check_header(o, log, error);
    }
    if (status == PITH_OK) {
        status = bind_data(o, bytes + pith_safetensors_data_offset(o->file.header), error);
    }
    return status;
}

pith_status pith_model_file_open_memory(pith_model_file **out, const void *bytes, size_t size,
                                        const char *name, const pith_log *log,
                                        const pith_allocator *allocator, pith_error *error) {
    opened *o;
    if ((uintptr_t)bytes % PITH_LINE_BYTES != 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: the bytes are not 64-byte aligned", name);
    }
    pith_status status = opened_new(&o, name, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    status = open_bytes(o, bytes, size, log, error);
    if (status != PITH_OK) {
        opened_free(o);
        return status;
    }
    *out = &o->file;
    return PITH_OK;
}

void pith_model_file_close(pith_model_file *file) {
    if (file != NULL) {
        opened_free(file->implementation);
    }
}
