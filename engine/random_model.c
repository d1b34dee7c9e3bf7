/* Random models by shape; see random_model.h. */
#include "engine/random_model.h"

#include <string.h>

#include "base/bytes.h"
#include "base/checked.h"
#include "base/half.h"
#include "engine/model.h"
#include "simd/blocks.h"

#define SHAPE(vocab, hidden, ffn, layers, heads, kv_heads, context, theta)                 \
    {                                                                                      \
        .vocab_size = (vocab), .hidden_size = (hidden), .intermediate_size = (ffn),        \
        .num_hidden_layers = (layers), .num_attention_heads = (heads),                     \
        .num_key_value_heads = (kv_heads), .head_dim = (hidden) / (heads),                 \
        .max_position_embeddings = (context), .rms_norm_eps = 1e-5F, .rope_theta = (theta) \
    }

const pith_model_shape pith_model_shapes[] = {
    {"llama2-7b", SHAPE(32000, 4096, 11008, 32, 32, 32, 4096, 1e4)},
    {"llama2-13b", SHAPE(32000, 5120, 13824, 40, 40, 40, 4096, 1e4)},
    {"llama2-70b", SHAPE(32000, 8192, 28672, 80, 64, 8, 4096, 1e4)},
    {"codellama-7b", SHAPE(32016, 4096, 11008, 32, 32, 32, 16384, 1e6)},
    {"codellama-13b", SHAPE(32016, 5120, 13824, 40, 40, 40, 16384, 1e6)},
    {"llama3-8b", SHAPE(128256, 4096, 14336, 32, 32, 8, 8192, 5e5)},
    {"mistral-7b", SHAPE(32000, 4096, 14336, 32, 32, 8, 32768, 1e4)},
    {"tinyllama-1b", SHAPE(32000, 2048, 5632, 22, 32, 4, 2048, 1e4)},
    {NULL, {0}},
};

/* Filling in parallel: units of one tile (16 rows) of a matrix. */
typedef struct fill_loop {
    const pith_matrix *matrix;
    unsigned char *data;
    uint64_t seed;
} fill_loop;

/* splitmix64 (Steele et al. 2014). */
static uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* Floats in (-0.035, 0.035), standard deviation 0.02, in a 16- or 32-bit type. */
static void fill_floats(const pith_matrix *m, unsigned char *to, uint64_t *state) {
    for (size_t i = 0; i < m->cols * PITH_TILE_ROWS; i++) {
        float value = ((float)(next_random(state) >> 40) * 0x1p-23F - 1.0F) * 0.0346F;
        if (m->type == PITH_TYPE_F32) {
            memcpy(to + i * 4, &value, 4);
        } else {
            uint16_t half =
                m->type == PITH_TYPE_F16 ? pith_f32_to_f16(value) : pith_f32_to_bf16(value);
            memcpy(to + i * 2, &half, 2);
        }
    }
}

/* Any bytes are codes and multipliers; the scales make the weights' deviation about 0.02. */
static void fill_packed(const pith_matrix *m, unsigned char *to, uint64_t *state) {
    size_t group = m->type == PITH_TYPE_INT4 ? PITH_INT4_GROUP : PITH_INT8_GROUP;
    size_t n_groups = pith_groups(m->cols, group);
    size_t tile = pith_matrix_tile_bytes(m->type, m->cols);
    size_t codes = tile - pith_scales_bytes(n_groups);
    for (size_t i = 0; i < codes; i += 8) {
        uint64_t bits = next_random(state);
        memcpy(to + i, &bits, 8);
    }
    uint16_t scale = pith_f32_to_f16(m->type == PITH_TYPE_INT4 ? 0.02F / 38.0F : 0.02F / 74.0F);
    memset(to + codes, 0, tile - codes);
    for (size_t i = 0; i < n_groups * PITH_TILE_ROWS; i++) {
        memcpy(to + codes + 2 * i, &scale, 2);
    }
}

static void fill_tiles(void *argument, size_t begin, size_t end, size_t thread) {
    const fill_loop *loop = argument;
    const pith_matrix *m = loop->matrix;
    size_t tile = pith_matrix_tile_bytes(m->type, m->cols);
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        uint64_t state = loop->seed + (uint64_t)i * UINT64_C(0x5851f42d4c957f2d);
        if (m->type == PITH_TYPE_INT4 || m->type == PITH_TYPE_INT8) {
            fill_packed(m, loop->data + i * tile, &state);
        } else {
            fill_floats(m, loop->data + i * tile, &state);
        }
    }
}

/* Takes the memory of every tensor, binds it, and fills it unless the arena only measures. */
static pith_status make_weights(pith_model *model, pith_arena *arena, pith_type type,
                                pith_type head_type, pith_error *error) {
    pith_llama *llama = &model->llama;
    model->weight_bytes = 0;
    model->n_params = 0;
    for (unsigned part = 0; part < PITH_LLAMA_N_PARTS; part++) {
        bool per_layer = part >= PITH_LLAMA_INPUT_NORM;
        for (size_t i = 0; i < (per_layer ? llama->config.num_hidden_layers : 1); i++) {
            pith_slot slot;
            if (!pith_llama_slot_of(&llama->config, (pith_llama_part)part, i, &slot)) {
                continue;
            }
            model->n_params += slot.rows * slot.cols;
            if (!slot.is_matrix) {
                float *vector = pith_arena_take(arena, slot.rows, sizeof *vector);
                for (size_t r = 0; vector != NULL && r < slot.rows; r++) {
                    vector[r] = 1.0F;
                }
                *pith_llama_vector(llama, (pith_llama_part)part, i) = vector;
                model->weight_bytes += slot.rows * sizeof *vector;
                continue;
            }
            pith_matrix *m = pith_llama_matrix(llama, (pith_llama_part)part, i);
            *m = (pith_matrix){.type = per_layer ? type : head_type,
                               .rows = slot.rows,
                               .cols = slot.cols};
            if (!pith_matrix_size(m->type, m->rows, m->cols, &m->size)) {
                return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: %zu columns do not fit %s",
                                 slot.name, m->cols, pith_type_name(m->type));
            }
            unsigned char *data = pith_arena_take(arena, m->size, 1);
            m->data = data;
            model->weight_bytes += m->size;
            if (data != NULL) {
                fill_loop loop = {.matrix = m, .data = data, .seed = (uint64_t)part << 32 | i};
                pith_pool_run(model->pool, m->rows / PITH_TILE_ROWS, 4, fill_tiles, &loop);
            }
        }
    }
    return PITH_OK;
}

static const pith_model_shape *find_shape(const char *name, pith_error *error) {
    const pith_model_shape *shape = pith_model_shapes;
    while (shape->name != NULL && strcmp(shape->name, name) != 0) {
        shape++;
    }
    if (shape->name != NULL) {
        return shape;
    }
    char names[300] = "";
    for (shape = pith_model_shapes; shape->name != NULL; shape++) {
        strncat(names, names[0] != '\0' ? ", " : "", sizeof names - strlen(names) - 1);
        strncat(names, shape->name, sizeof names - strlen(names) - 1);
    }
    pith_fail(error, PITH_ERROR_ARGUMENT, "unknown shape \"%s\"; known: %s", name, names);
    return NULL;
}

pith_status pith_model_random(pith_model **out, const char *shape_name, pith_type type,
                              const pith_model_options *options, pith_error *error) {
    static const pith_model_options defaults = {0};
    const pith_model_shape *shape = find_shape(shape_name, error);
    if (shape == NULL) {
        return PITH_ERROR_ARGUMENT;
    }
    options = options != NULL ? options : &defaults;
    pith_model *model = NULL;
    pith_status status = pith_model_prepare(&model, options, error);
    if (status != PITH_OK) {
        goto done;
    }
    model->llama.config = shape->config;
    model->type = type;
    model->random_layers = pith_allocate_zeroed(&model->allocator, shape->config.num_hidden_layers,
                                                sizeof *model->random_layers);
    if (model->random_layers == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
        goto done;
    }
    model->llama.layers = model->random_layers;
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
