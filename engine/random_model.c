/* Random models by shape; see random_model.h. */
#include "engine/random_model.h"

#include "base/status.h"
#include "engine/model.h"
#include "engine/team.h"
#include "simd/blocks.h"
#include "weights/random_weights.h"
#include "weights/shapes.h"

/* Filling in parallel: units of one tile (16 rows) of a matrix. */
typedef struct fill_loop {
    const pith_matrix *matrix;
    const pith_run *run; /* the tiles to fill */
    unsigned char *data;
    uint64_t seed;
} fill_loop;

static void fill_tiles(void *argument, size_t begin, size_t end, size_t thread) {
    const fill_loop *loop = argument;
    const pith_matrix *m = loop->matrix;
    size_t tile = pith_matrix_tile_bytes(m->type, m->cols);
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        pith_random_tile(m->type, m->cols, loop->seed, loop->run->first / PITH_TILE_ROWS + i,
                         loop->data + (loop->run->at / PITH_TILE_ROWS + i) * tile);
    }
}

/* The rows of a matrix that this process holds. */
static pith_held held_of(const pith_model *model, pith_extent extent, size_t rows) {
    return model->team != NULL
               ? pith_shares_held(&model->team->shares, &model->network.config, extent, rows)
               : pith_held_whole(rows);
}

/* Takes the memory of one tensor, binds it at `place`, and fills it unless the arena only measures:
 * vectors with the value of their kind. */
static pith_status make_tensor(pith_model *model, pith_arena *arena, const pith_slot *slot,
                               pith_slot_place place, pith_type type, pith_extent extent,
                               uint64_t seed, pith_error *error) {
    model->n_params += slot->real_rows * slot->cols;
    if (!slot->is_matrix) {
        float *vector = pith_arena_take(arena, slot->rows, sizeof *vector);
        for (size_t r = 0; vector != NULL && r < slot->rows; r++) {
            vector[r] = pith_random_vector(slot->kind);
        }
        *place.vector = vector;
        model->weight_bytes += slot->rows * sizeof *vector;
        model->held_bytes += slot->rows * sizeof *vector;
        return PITH_OK;
    }
    pith_matrix *m = place.matrix;
    *m = (pith_matrix){.type = type, .rows = slot->rows, .cols = slot->cols};
    if (!pith_matrix_size(m->type, m->rows, m->cols, &m->size)) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: %zu columns do not fit %s", slot->name,
                         m->cols, pith_type_name(m->type));
    }
    const pith_held held = held_of(model, extent, m->rows);
    size_t size = held.n_rows / PITH_TILE_ROWS * pith_matrix_tile_bytes(m->type, m->cols);
    unsigned char *data = pith_arena_take(arena, size, 1);
    m->data = data;
    model->weight_bytes += m->size;
    model->held_bytes += size;
    for (size_t i = 0; data != NULL && i < held.n_runs; i++) {
        fill_loop loop = {.matrix = m, .run = &held.runs[i], .data = data, .seed = seed};
        pith_pool_run(model->pool, held.runs[i].n / PITH_TILE_ROWS, 4, fill_tiles, &loop);
    }
    return PITH_OK;
}

static pith_type type_of(pith_kind kind, pith_type type, pith_type head_type) {
    return kind == PITH_KIND_TABLE ? PITH_TYPE_F32 : kind == PITH_KIND_HEAD ? head_type : type;
}

static pith_status make_weights(pith_model *model, const pith_family *family, pith_arena *arena,
                                pith_type type, pith_type head_type, pith_error *error) {
    pith_network *network = &model->network;
    pith_status status = PITH_OK;
    model->weight_bytes = 0;
    model->held_bytes = 0;
    model->n_params = 0;
    for (unsigned part = 0; part < pith_family_n_parts(family); part++) {
        const pith_rule *rule = pith_family_rule(family, part);
        pith_slot slot;
        for (size_t i = rule->first;
             status == PITH_OK && pith_family_slot(family, &network->config, part, i, &slot); i++) {
            status = make_tensor(model, arena, &slot, pith_rule_place(rule, network, i),
                                 type_of(slot.kind, type, head_type), rule->rows,
                                 pith_random_seed(part, i), error);
        }
    }
    if (network->config.tie_word_embeddings) {
        network->head = network->embed;
    }
    return status;
}

/* Sets the configuration and makes the array of layers. */
static pith_status shape_model(pith_model *model, const pith_shape *shape, pith_error *error) {
    const pith_allocator *allocator = &model->allocator;
    model->architecture = pith_family_architecture(shape->family, &shape->config);
    model->random_layers = pith_allocate_zeroed(allocator, shape->config.num_hidden_layers,
                                                sizeof *model->random_layers);
    model->network = (pith_network){.config = shape->config, .layers = model->random_layers};
    if (model->team != NULL) {
        const pith_ranks *ranks = &model->team->ranks;
        model->team->shares = pith_shares_of(&shape->config, ranks->rank, ranks->n_ranks);
    }
    if (shape->config.n_experts != 0) {
        model->random_experts =
            pith_allocate_zeroed(allocator,
                                 shape->config.num_hidden_layers * shape->config.n_experts,
                                 sizeof *model->random_experts);
        model->network.experts = model->random_experts;
    }
    return model->random_layers != NULL &&
                   (model->random_experts != NULL || shape->config.n_experts == 0)
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
}

/* A hash of name and type (FNV-1a). */
static pith_identity identity_of(const char *name, pith_type type) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (; *name != 0; name++) {
        hash = (hash ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    }
    return (pith_identity){.header_hash = (hash ^ (uint64_t)type) * UINT64_C(0x100000001b3)};
}

pith_status pith_model_random(pith_model **out, const char *shape_name, pith_type type,
                              const pith_model_options *options, pith_error *error) {
    static const pith_model_options defaults = {0};
    options = options != NULL ? options : &defaults;
    pith_model *model = NULL;
    pith_status status = pith_model_prepare(&model, options, error);
    if (status != PITH_OK) {
        goto done;
    }
    model->type = type;
    const pith_shape *shape = NULL;
    status = pith_shape_find(&shape, shape_name, error);
    if (status == PITH_OK) {
        status = shape_model(model, shape, error);
    }
    if (status != PITH_OK) {
        goto done;
    }
    bool packed = type == PITH_TYPE_INT4 || type == PITH_TYPE_INT8;
    pith_type head_type = packed ? PITH_TYPE_INT8 : type;
    pith_arena measure = {0};
    status = make_weights(model, shape->family, &measure, type, head_type, error);
    if (status == PITH_OK) {
        status = pith_region_allocate(&model->random, measure.used, &model->allocator, error);
    }
    if (status == PITH_OK) {
        pith_arena arena = {.base = model->random.data};
        status = make_weights(model, shape->family, &arena, type, head_type, error);
    }
    if (status == PITH_OK) {
        status = pith_model_complete(model, options->blas, error);
    }
done:
    status = pith_model_agree(model, options->ranks, status, identity_of(shape_name, type), error);
    if (status != PITH_OK) {
        pith_model_free(model);
        return status;
    }
    *out = model;
    return PITH_OK;
}
