/* Random models by shape; see random_model.h. */
#include "engine/random_model.h"

#include "base/status.h"
#include "engine/model.h"
#include "simd/blocks.h"
#include "weights/random_weights.h"
#include "weights/shapes.h"

/* Filling in parallel: units of one tile (16 rows) of a matrix. */
typedef struct fill_loop {
    const pith_matrix *matrix;
    unsigned char *data;
    uint64_t seed;
} fill_loop;

static void fill_tiles(void *argument, size_t begin, size_t end, size_t thread) {
    const fill_loop *loop = argument;
    const pith_matrix *m = loop->matrix;
    size_t tile = pith_matrix_tile_bytes(m->type, m->cols);
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        pith_random_tile(m->type, m->cols, loop->seed, i, loop->data + i * tile);
    }
}

/* Takes the memory of one tensor, binds it at `place`, and fills it unless the arena only measures:
 * vectors with `value`. */
static pith_status make_tensor(pith_model *model, pith_arena *arena, const pith_slot *slot,
                               pith_slot_place place, pith_type type, uint64_t seed, float value,
                               pith_error *error) {
    model->n_params += slot->real_rows * slot->cols;
    if (!slot->is_matrix) {
        float *vector = pith_arena_take(arena, slot->rows, sizeof *vector);
        for (size_t r = 0; vector != NULL && r < slot->rows; r++) {
            vector[r] = value;
        }
        *place.vector = vector;
        model->weight_bytes += slot->rows * sizeof *vector;
        return PITH_OK;
    }
    pith_matrix *m = place.matrix;
    *m = (pith_matrix){.type = type, .rows = slot->rows, .cols = slot->cols};
    if (!pith_matrix_size(m->type, m->rows, m->cols, &m->size)) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: %zu columns do not fit %s", slot->name,
                         m->cols, pith_type_name(m->type));
    }
    unsigned char *data = pith_arena_take(arena, m->size, 1);
    m->data = data;
    model->weight_bytes += m->size;
    if (data != NULL) {
        fill_loop loop = {.matrix = m, .data = data, .seed = seed};
        pith_pool_run(model->pool, m->rows / PITH_TILE_ROWS, 4, fill_tiles, &loop);
    }
    return PITH_OK;
}

static pith_status make_decoder(pith_model *model, pith_arena *arena, pith_type type,
                                pith_type head_type, pith_error *error) {
    pith_network *llama = &model->network;
    pith_status status = PITH_OK;
    for (unsigned part = 0; part < PITH_LLAMA_N_PARTS; part++) {
        bool per_layer = part >= PITH_LLAMA_INPUT_NORM;
        size_t n = per_layer ? llama->config.num_hidden_layers : 1;
        for (size_t i = 0; status == PITH_OK && i < n; i++) {
            pith_slot slot;
            pith_slot_place place = {.matrix = pith_llama_matrix(llama, (pith_llama_part)part, i),
                                     .vector = pith_llama_vector(llama, (pith_llama_part)part, i)};
            if (pith_llama_slot_of(&llama->config, (pith_llama_part)part, i, &slot)) {
                status = make_tensor(model, arena, &slot, place, per_layer ? type : head_type,
                                     pith_random_seed(part, i),
                                     pith_random_vector(PITH_ARCHITECTURE_LLAMA, part), error);
            }
        }
    }
    if (llama->config.tie_word_embeddings) {
        llama->head = llama->embed;
    }
    return status;
}

static pith_status make_encoder(pith_model *model, pith_arena *arena, pith_type type,
                                pith_type head_type, pith_error *error) {
    pith_network *bert = &model->network;
    pith_status status = PITH_OK;
    for (unsigned part = 0; part < PITH_BERT_N_PARTS; part++) {
        bool per_layer = part > PITH_BERT_NORM_BIAS;
        size_t n = per_layer ? bert->config.num_hidden_layers : 1;
        for (size_t i = 0; status == PITH_OK && i < n; i++) {
            pith_slot slot;
            if (pith_bert_slot_of(&bert->config, (pith_bert_part)part, i, &slot)) {
                pith_type of_slot = slot.kind == PITH_SLOT_TABLE  ? PITH_TYPE_F32
                                    : slot.kind == PITH_SLOT_HEAD ? head_type
                                                                  : type;
                status =
                    make_tensor(model, arena, &slot, pith_bert_place(bert, (pith_bert_part)part, i),
                                of_slot, pith_random_seed(part, i),
                                pith_random_vector(PITH_ARCHITECTURE_BERT, part), error);
            }
        }
    }
    return status;
}

static pith_status make_weights(pith_model *model, pith_arena *arena, pith_type type,
                                pith_type head_type, pith_error *error) {
    model->weight_bytes = 0;
    model->n_params = 0;
    return model->network.config.role == PITH_ENCODER
               ? make_encoder(model, arena, type, head_type, error)
               : make_decoder(model, arena, type, head_type, error);
}

/* Sets the configuration and makes the array of layers. */
static pith_status shape_model(pith_model *model, const char *name, pith_error *error) {
    const pith_allocator *allocator = &model->allocator;
    const pith_shape *shape;
    pith_status status = pith_shape_find(&shape, name, error);
    if (status != PITH_OK) {
        return status;
    }
    model->architecture = pith_architecture_name(shape->architecture);
    model->random_layers = pith_allocate_zeroed(allocator, shape->config.num_hidden_layers,
                                                sizeof *model->random_layers);
    model->network = (pith_network){.config = shape->config, .layers = model->random_layers};
    return model->random_layers != NULL
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
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
    status = shape_model(model, shape_name, error);
    if (status != PITH_OK) {
        goto done;
    }
    bool packed = type == PITH_TYPE_INT4 || type == PITH_TYPE_INT8;
    pith_type head_type = packed ? PITH_TYPE_INT8 : type;
    pith_arena measure = {0};
    status = make_weights(model, &measure, type, head_type, error);
    if (status == PITH_OK) {
        status = pith_region_allocate(&model->random, measure.used, &model->allocator, error);
    }
    if (status == PITH_OK) {
        pith_arena arena = {.base = model->random.data};
        status = make_weights(model, &arena, type, head_type, error);
    }
    if (status == PITH_OK) {
        status = pith_model_complete(model, options->blas, error);
    }
done:
    if (status != PITH_OK) {
        pith_model_free(model);
        return status;
    }
    *out = model;
    return PITH_OK;
}
