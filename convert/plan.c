/* From the names and shapes of a Hugging Face checkpoint to those of a .pith file. */
#include "convert/plan.h"

#include "base/checked.h"
#include "base/status.h"
#include "simd/blocks.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NAME = 128, MAX_WARNINGS = 8 };

/* Names of the tensors that a part joins, after "model.layers.N." where the part belongs to a
 * layer; the same in all supported architectures. */
static const struct {
    const char *names[PITH_PLAN_MAX_BLOCKS];
    bool in_layer;
} table[PITH_LLAMA_N_PARTS] = {
    [PITH_LLAMA_EMBED] = {{"model.embed_tokens.weight"}, false},
    [PITH_LLAMA_HEAD] = {{"lm_head.weight"}, false},
    [PITH_LLAMA_NORM] = {{"model.norm.weight"}, false},
    [PITH_LLAMA_INPUT_NORM] = {{"input_layernorm.weight"}, true},
    [PITH_LLAMA_QKV] = {{"self_attn.q_proj.weight", "self_attn.k_proj.weight",
                         "self_attn.v_proj.weight"},
                        true},
    [PITH_LLAMA_QKV_BIAS] = {{"self_attn.q_proj.bias", "self_attn.k_proj.bias",
                              "self_attn.v_proj.bias"},
                             true},
    [PITH_LLAMA_O] = {{"self_attn.o_proj.weight"}, true},
    [PITH_LLAMA_O_BIAS] = {{"self_attn.o_proj.bias"}, true},
    [PITH_LLAMA_POST_ATTN_NORM] = {{"post_attention_layernorm.weight"}, true},
    [PITH_LLAMA_GATE_UP] = {{"mlp.gate_proj.weight", "mlp.up_proj.weight"}, true},
    [PITH_LLAMA_GATE_UP_BIAS] = {{"mlp.gate_proj.bias", "mlp.up_proj.bias"}, true},
    [PITH_LLAMA_DOWN] = {{"mlp.down_proj.weight"}, true},
    [PITH_LLAMA_DOWN_BIAS] = {{"mlp.down_proj.bias"}, true},
};

static void source_name(char name[MAX_NAME], pith_llama_part part, size_t layer, size_t block) {
    if (table[part].in_layer) {
        snprintf(name, MAX_NAME, "model.layers.%zu.%s", layer, table[part].names[block]);
    } else {
        snprintf(name, MAX_NAME, "%s", table[part].names[block]);
    }
}

/* Rows of one block of a part: what the padded slot does not tell. */
static size_t block_rows(const pith_llama_config *config, pith_llama_part part, size_t block) {
    pith_qkv_layout qkv = pith_llama_qkv_layout(config);
    switch (part) {
    case PITH_LLAMA_EMBED:
    case PITH_LLAMA_HEAD:
        return config->vocab_size;
    case PITH_LLAMA_QKV:
    case PITH_LLAMA_QKV_BIAS:
        return block == 0 ? qkv.q_rows : block == 1 ? qkv.k_rows : qkv.v_rows;
    case PITH_LLAMA_GATE_UP:
    case PITH_LLAMA_GATE_UP_BIAS:
        return config->intermediate_size;
    default:
        return config->hidden_size;
    }
}

/* ---- Finding tensors ------------------------------------------------------------------------- */

static void format_shape(char text[64], size_t n_dims, const size_t *shape) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n_dims && used < 40; i++) {
        used += (size_t)snprintf(text + used, 64 - used, i > 0 ? ", %zu" : "%zu", shape[i]);
    }
}

static pith_status find_source(const pith_hf_shards *shards, const char *name, bool is_matrix,
                               size_t rows, size_t cols, pith_hf_tensor *out, pith_error *error) {
    const size_t expected[2] = {rows, cols};
    size_t n_dims = is_matrix ? 2 : 1;
    if (!pith_hf_shards_find(shards, name, out)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: no tensor %s in the checkpoint",
                         shards->sources->directory, name);
    }
    const pith_tensor *tensor = out->tensor;
    if (tensor->dtype != PITH_DTYPE_F32 && tensor->dtype != PITH_DTYPE_F16 &&
        tensor->dtype != PITH_DTYPE_BF16) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: tensor %s has dtype %s; supported are F32, F16 and BF16",
                         out->file->path, name, pith_dtype_name(tensor->dtype));
    }
    if (tensor->n_dims != n_dims ||
        memcmp(tensor->shape, expected, n_dims * sizeof *expected) != 0) {
        char found[64], wanted[64];
        format_shape(found, tensor->n_dims, tensor->shape);
        format_shape(wanted, n_dims, expected);
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: tensor %s has shape [%s], config.json asks for [%s]", out->file->path,
                         name, found, wanted);
    }
    return PITH_OK;
}

static pith_status find_blocks(pith_plan_part *out, const pith_llama_config *config,
                               pith_llama_part part, size_t layer, const pith_hf_shards *shards,
                               pith_error *error) {
    size_t first_tile = 0;
    for (size_t b = 0; b < PITH_PLAN_MAX_BLOCKS && table[part].names[b] != NULL; b++) {
        struct pith_plan_block *block = &out->blocks[b];
        char name[MAX_NAME];
        source_name(name, part, layer, b);
        block->rows = block_rows(config, part, b);
        block->first_tile = first_tile;
        first_tile += pith_groups(block->rows, PITH_TILE_ROWS);
        pith_status status = find_source(shards, name, out->slot.is_matrix, block->rows,
                                         out->slot.cols, &block->source, error);
        if (status != PITH_OK) {
            return status;
        }
        out->n_weights += block->rows * out->slot.cols;
        out->n_blocks++;
    }
    return PITH_OK;
}

/* What a plan is made from. */
typedef struct request {
    const pith_llama_config *config;
    pith_type type, head_type;
    const pith_hf_shards *shards;
} request;

/* `out` has its slot already. */
static pith_status make_part(pith_plan_part *out, const request *from, pith_llama_part part,
                             size_t layer, pith_error *error) {
    bool head = part == PITH_LLAMA_EMBED || part == PITH_LLAMA_HEAD;
    size_t cols = out->slot.cols;
    out->type = !out->slot.is_matrix ? PITH_TYPE_F32 : head ? from->head_type : from->type;
    if (out->type == PITH_TYPE_INT4 && cols % PITH_INT4_SLICE != 0) {
        out->type = PITH_TYPE_INT8;
        out->fell_back = true;
    }
    out->alternating = part == PITH_LLAMA_GATE_UP || part == PITH_LLAMA_GATE_UP_BIAS;
    out->n_tiles = pith_groups(out->slot.rows, PITH_TILE_ROWS);
    out->tile_bytes = pith_matrix_tile_bytes(out->type, cols);
    out->size = out->slot.is_matrix ? out->n_tiles * out->tile_bytes : out->slot.rows * 4;
    return find_blocks(out, from->config, part, layer, from->shards, error);
}

/* Adds the parts that a layer has, or those outside the layers. */
static pith_status add_parts(pith_plan *plan, const request *from, size_t layer, bool in_layer,
                             pith_error *error) {
    for (int i = 0; i < PITH_LLAMA_N_PARTS; i++) {
        pith_llama_part part = (pith_llama_part)i;
        pith_plan_part *out = &plan->parts[plan->n];
        memset(out, 0, sizeof *out);
        if (table[part].in_layer != in_layer ||
            !pith_llama_slot_of(from->config, part, layer, &out->slot)) {
            continue;
        }
        pith_status status = make_part(out, from, part, layer, error);
        if (status != PITH_OK) {
            return status;
        }
        plan->n++;
        plan->n_weights += out->n_weights;
        plan->max_cols = pith_max_size(plan->max_cols, out->slot.cols);
        plan->max_tile_bytes = pith_max_size(plan->max_tile_bytes, out->tile_bytes);
    }
    return PITH_OK;
}

pith_status pith_plan_make(pith_plan *out, const pith_llama_config *config, pith_type type,
                           pith_type head_type, const pith_hf_shards *shards, pith_error *error) {
    const request from = {config, type, head_type, shards};
    pith_plan plan = {.allocator = shards->allocator};
    /* One to spare: add_parts tries each part in the place after the last one. */
    size_t capacity = (config->num_hidden_layers + 1) * PITH_LLAMA_N_PARTS + 1;
    plan.parts = pith_allocate(plan.allocator, capacity, sizeof *plan.parts);
    if (plan.parts == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for the list of tensors",
                         shards->sources->directory);
    }
    pith_status status = add_parts(&plan, &from, 0, false, error);
    for (size_t i = 0; i < config->num_hidden_layers && status == PITH_OK; i++) {
        status = add_parts(&plan, &from, i, true, error);
    }
    if (status != PITH_OK) {
        pith_plan_free(&plan);
        return status;
    }
    *out = plan;
    return PITH_OK;
}

void pith_plan_free(pith_plan *plan) {
    if (plan->parts != NULL) {
        pith_release(plan->allocator, plan->parts);
    }
    *plan = (pith_plan){0};
}

/* ---- Tensors nobody asked for ---------------------------------------------------------------- */

static bool is_used(const pith_plan *plan, const pith_tensor *tensor) {
    for (size_t i = 0; i < plan->n; i++) {
        for (size_t b = 0; b < plan->parts[i].n_blocks; b++) {
            if (plan->parts[i].blocks[b].source.tensor == tensor) {
                return true;
            }
        }
    }
    return false;
}

static bool is_harmless(const pith_llama_config *config, const char *name) {
    return strstr(name, "rotary_emb.inv_freq") != NULL ||
           (config->tie_word_embeddings && strcmp(name, table[PITH_LLAMA_HEAD].names[0]) == 0);
}

void pith_plan_warn_unused(const pith_plan *plan, const pith_llama_config *config,
                           const pith_hf_shards *shards, const pith_log *log) {
    size_t n = 0;
    for (size_t i = 0; i < shards->n; i++) {
        const pith_safetensors *header = shards->shards[i].header;
        for (size_t t = 0; t < pith_safetensors_count(header); t++) {
            const pith_tensor *tensor = pith_safetensors_at(header, t);
            if (is_harmless(config, tensor->name) || is_used(plan, tensor)) {
                continue;
            }
            if (n++ < MAX_WARNINGS) {
                pith_log_write(log, PITH_LOG_WARNING,
                               "%s: tensor %.150s is not part of the model and was left out",
                               shards->sources->files[shards->shards[i].source].name, tensor->name);
            }
        }
    }
    if (n > MAX_WARNINGS) {
        pith_log_write(log, PITH_LOG_WARNING, "%s: %zu more tensors were left out",
                       shards->sources->directory, n - MAX_WARNINGS);
    }
}

/* ---- Tiles ----------------------------------------------------------------------------------- */

pith_plan_tile pith_plan_tile_at(const pith_plan_part *part, size_t tile) {
    pith_plan_tile out = {.block = tile % 2, .first_row = tile / 2 * PITH_TILE_ROWS};
    if (!part->alternating) {
        out.block = part->n_blocks - 1;
        while (part->blocks[out.block].first_tile > tile) {
            out.block--;
        }
        out.first_row = (tile - part->blocks[out.block].first_tile) * PITH_TILE_ROWS;
    }
    size_t rows = part->blocks[out.block].rows;
    out.n_rows = rows > out.first_row ? pith_min_size(rows - out.first_row, PITH_TILE_ROWS) : 0;
    out.size = pith_min_size(part->tile_bytes, part->size - tile * part->tile_bytes);
    return out;
}
