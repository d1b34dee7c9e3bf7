/* From the names and shapes of a Hugging Face checkpoint to those of a .pith file. */
#include "convert/plan.h"

#include "base/checked.h"
#include "base/status.h"
#include "convert/hf_quantised.h"
#include "simd/blocks.h"
#include "weights/random_weights.h"

#include <stdio.h>
#include <string.h>

enum { MAX_NAME = PITH_PLAN_MAX_NAME, MAX_WARNINGS = 8 };

/* Names of the tensors that a part joins, after "model.layers.N." or "encoder.layer.N." where the
 * part belongs to a layer. */
typedef struct part_source {
    const char *names[PITH_PLAN_MAX_BLOCKS];
    bool in_layer;
} part_source;

static const part_source llama_sources[PITH_LLAMA_N_PARTS] = {
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

static const part_source bert_sources[PITH_BERT_N_PARTS] = {
    [PITH_BERT_WORD_EMBED] = {{"embeddings.word_embeddings.weight"}, false},
    [PITH_BERT_POSITION_EMBED] = {{"embeddings.position_embeddings.weight"}, false},
    [PITH_BERT_TYPE_EMBED] = {{"embeddings.token_type_embeddings.weight"}, false},
    [PITH_BERT_NORM_WEIGHT] = {{"embeddings.LayerNorm.weight"}, false},
    [PITH_BERT_NORM_BIAS] = {{"embeddings.LayerNorm.bias"}, false},
    [PITH_BERT_QKV] = {{"attention.self.query.weight", "attention.self.key.weight",
                        "attention.self.value.weight"},
                       true},
    [PITH_BERT_QKV_BIAS] = {{"attention.self.query.bias", "attention.self.key.bias",
                             "attention.self.value.bias"},
                            true},
    [PITH_BERT_ATTENTION] = {{"attention.output.dense.weight"}, true},
    [PITH_BERT_ATTENTION_BIAS] = {{"attention.output.dense.bias"}, true},
    [PITH_BERT_ATTENTION_NORM_WEIGHT] = {{"attention.output.LayerNorm.weight"}, true},
    [PITH_BERT_ATTENTION_NORM_BIAS] = {{"attention.output.LayerNorm.bias"}, true},
    [PITH_BERT_UP] = {{"intermediate.dense.weight"}, true},
    [PITH_BERT_UP_BIAS] = {{"intermediate.dense.bias"}, true},
    [PITH_BERT_DOWN] = {{"output.dense.weight"}, true},
    [PITH_BERT_DOWN_BIAS] = {{"output.dense.bias"}, true},
    [PITH_BERT_OUTPUT_NORM_WEIGHT] = {{"output.LayerNorm.weight"}, true},
    [PITH_BERT_OUTPUT_NORM_BIAS] = {{"output.LayerNorm.bias"}, true},
};

static const struct {
    const part_source *sources; /* [n_parts] */
    unsigned n_parts;
    const char *layers;
} families[PITH_N_ARCHITECTURES] = {
    [PITH_ARCHITECTURE_LLAMA] = {llama_sources, PITH_LLAMA_N_PARTS, "model.layers."},
    [PITH_ARCHITECTURE_BERT] = {bert_sources, PITH_BERT_N_PARTS, "encoder.layer."},
};

/* What BertForMaskedLM and its like put before the names of BertModel. */
static const char bert_prefix[] = "bert.";

/* What a plan is made from. */
typedef struct request {
    const pith_hf_config *config;
    pith_type type, head_type;
    const pith_hf_shards *shards; /* NULL: the values are random */
    const char *prefix;           /* of all names */
} request;

static const part_source *source_of(const request *from, unsigned part) {
    return &families[from->config->architecture].sources[part];
}

static bool slot_of(const request *from, unsigned part, size_t layer, pith_slot *out) {
    const pith_hf_config *config = from->config;
    return config->architecture == PITH_ARCHITECTURE_BERT
               ? pith_bert_slot_of(&config->config, (pith_bert_part)part, layer, out)
               : pith_llama_slot_of(&config->config, (pith_llama_part)part, layer, out);
}

static size_t n_layers(const pith_hf_config *config) {
    return config->config.num_hidden_layers;
}

static void source_name(char name[MAX_NAME], const request *from, unsigned part, size_t layer,
                        size_t block) {
    const part_source *source = source_of(from, part);
    if (source->in_layer) {
        snprintf(name, MAX_NAME, "%s%s%zu.%s", from->prefix,
                 families[from->config->architecture].layers, layer, source->names[block]);
    } else {
        snprintf(name, MAX_NAME, "%s%s", from->prefix, source->names[block]);
    }
}

/* Rows of one block of a part: all blocks are alike, but for grouped query attention. */
static size_t block_rows(const request *from, unsigned part, const pith_slot *slot, size_t block) {
    size_t n_blocks = 1;
    while (n_blocks < PITH_PLAN_MAX_BLOCKS && source_of(from, part)->names[n_blocks] != NULL) {
        n_blocks++;
    }
    if (from->config->architecture == PITH_ARCHITECTURE_LLAMA && n_blocks == 3) {
        pith_qkv_layout qkv = pith_config_qkv_layout(&from->config->config);
        return block == 0 ? qkv.q_rows : block == 1 ? qkv.k_rows : qkv.v_rows;
    }
    return slot->real_rows / n_blocks;
}

/* ---- Finding tensors ------------------------------------------------------------------------- */

static void format_shape(char text[64], size_t n_dims, const size_t *shape) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n_dims && used < 40; i++) {
        used += (size_t)snprintf(text + used, 64 - used, i > 0 ? ", %zu" : "%zu", shape[i]);
    }
}

/* Checkpoints older than PyTorch's names call a LayerNorm's weight gamma and its bias beta. */
static bool find_old_name(const pith_hf_shards *shards, const char *name, pith_hf_tensor *out) {
    static const char *const names[][2] = {
        {".LayerNorm.weight", ".LayerNorm.gamma"},
        {".LayerNorm.bias", ".LayerNorm.beta"},
    };
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t m = strlen(names[i][0]);
        if (n > m && strcmp(name + n - m, names[i][0]) == 0) {
            char old[MAX_NAME];
            snprintf(old, sizeof old, "%.*s%s", (int)(n - m), name, names[i][1]);
            return pith_hf_shards_find(shards, old, out);
        }
    }
    return false;
}

static pith_status fail_missing(const pith_hf_shards *shards, const char *name, pith_error *error) {
    const char *method = pith_hf_quantised_instead(shards, name);
    if (method != NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: no tensor %s, but one that is quantised by %s; %s",
                         shards->sources->directory, name, method, pith_hf_quantised_advice);
    }
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: no tensor %s in the checkpoint",
                     shards->sources->directory, name);
}

static pith_status fail_dtype(const pith_hf_tensor *found, const char *name, pith_error *error) {
    const pith_dtype dtype = found->tensor->dtype;
    bool original = dtype == PITH_DTYPE_F64 || dtype == PITH_DTYPE_I64 || dtype == PITH_DTYPE_U64;
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: tensor %s has dtype %s; supported are F32, F16 and BF16%s%s",
                     found->file->path, name, pith_dtype_name(dtype),
                     original ? "" : ": the weights are already quantised; ",
                     original ? "" : pith_hf_quantised_advice);
}

static pith_status find_source(const pith_hf_shards *shards, const char *name, bool is_matrix,
                               size_t rows, size_t cols, pith_hf_tensor *out, pith_error *error) {
    const size_t expected[2] = {rows, cols};
    size_t n_dims = is_matrix ? 2 : 1;
    if (!pith_hf_shards_find(shards, name, out) && !find_old_name(shards, name, out)) {
        return fail_missing(shards, name, error);
    }
    const pith_tensor *tensor = out->tensor;
    if (tensor->dtype != PITH_DTYPE_F32 && tensor->dtype != PITH_DTYPE_F16 &&
        tensor->dtype != PITH_DTYPE_BF16) {
        return fail_dtype(out, name, error);
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

/* The embedding of a tied model may be stored under the name of the head alone. */
static void use_tied_name(char name[MAX_NAME], const request *from, unsigned part) {
    pith_hf_tensor found;
    if (from->config->architecture == PITH_ARCHITECTURE_LLAMA && part == PITH_LLAMA_EMBED &&
        from->config->config.tie_word_embeddings &&
        !pith_hf_shards_find(from->shards, name, &found) &&
        pith_hf_shards_find(from->shards, llama_sources[PITH_LLAMA_HEAD].names[0], &found)) {
        snprintf(name, MAX_NAME, "%s", llama_sources[PITH_LLAMA_HEAD].names[0]);
    }
}

static bool is_missing_bias(const request *from, const char *name) {
    static const char ending[] = ".bias";
    pith_hf_tensor found;
    size_t n = strlen(name);
    size_t m = sizeof ending - 1;
    return n > m && strcmp(name + n - m, ending) == 0 &&
           !pith_hf_shards_find(from->shards, name, &found) &&
           !find_old_name(from->shards, name, &found);
}

static void note_missing(pith_plan *plan, const char *name, unsigned part, size_t block) {
    for (size_t i = 0; i < plan->n_missing; i++) {
        if (plan->missing[i].part == part && plan->missing[i].block == block) {
            plan->missing[i].n++;
            return;
        }
    }
    if (plan->n_missing < PITH_PLAN_MAX_MISSING) { /* no architecture has so many */
        struct pith_plan_missing *missing = &plan->missing[plan->n_missing++];
        *missing = (struct pith_plan_missing){.part = part, .block = block, .n = 1};
        snprintf(missing->name, sizeof missing->name, "%s", name);
    }
}

/* Finds the source of block `b` of `part`, whose rows are known. */
static pith_status find_block(pith_plan *plan, pith_plan_part *out, const request *from,
                              unsigned part, size_t layer, size_t b, pith_error *error) {
    struct pith_plan_block *block = &out->blocks[b];
    char name[MAX_NAME];
    source_name(name, from, part, layer, b);
    use_tied_name(name, from, part);
    if (is_missing_bias(from, name)) {
        note_missing(plan, name, part, b);
        return PITH_OK;
    }
    return find_source(from->shards, name, out->slot.is_matrix, block->rows, out->slot.cols,
                       &block->source, error);
}

static pith_status find_blocks(pith_plan *plan, pith_plan_part *out, const request *from,
                               unsigned part, size_t layer, pith_error *error) {
    size_t first_tile = 0;
    for (size_t b = 0; b < PITH_PLAN_MAX_BLOCKS && source_of(from, part)->names[b] != NULL; b++) {
        struct pith_plan_block *block = &out->blocks[b];
        block->rows = block_rows(from, part, &out->slot, b);
        block->first_tile = first_tile;
        first_tile += pith_groups(block->rows, PITH_TILE_ROWS);
        pith_status status = PITH_OK;
        if (from->shards != NULL) {
            status = find_block(plan, out, from, part, layer, b, error);
        }
        if (status != PITH_OK) {
            return status;
        }
        out->n_weights += block->rows * out->slot.cols;
        out->n_blocks++;
    }
    return PITH_OK;
}

static pith_type part_type(const request *from, const pith_slot *slot) {
    switch (slot->kind) {
    case PITH_SLOT_LINEAR:
        return from->type;
    case PITH_SLOT_HEAD:
        return from->head_type;
    case PITH_SLOT_VECTOR:
    case PITH_SLOT_TABLE:
        break;
    }
    return PITH_TYPE_F32;
}

/* `out` has its slot already. */
static pith_status make_part(pith_plan *plan, pith_plan_part *out, const request *from,
                             unsigned part, size_t layer, pith_error *error) {
    size_t cols = out->slot.cols;
    out->type = part_type(from, &out->slot);
    if (out->type == PITH_TYPE_INT4 && cols % PITH_INT4_SLICE != 0) {
        out->type = PITH_TYPE_INT8;
        out->fell_back = true;
    }
    out->alternating = from->config->architecture == PITH_ARCHITECTURE_LLAMA &&
                       (part == PITH_LLAMA_GATE_UP || part == PITH_LLAMA_GATE_UP_BIAS);
    out->n_tiles = pith_groups(out->slot.rows, PITH_TILE_ROWS);
    out->tile_bytes = pith_matrix_tile_bytes(out->type, cols);
    out->size = out->slot.is_matrix ? out->n_tiles * out->tile_bytes : out->slot.rows * 4;
    out->seed = pith_random_seed(part, layer);
    out->value = pith_random_vector(from->config->architecture, part);
    return find_blocks(plan, out, from, part, layer, error);
}

/* Adds the parts that a layer has, or those outside the layers. */
static pith_status add_parts(pith_plan *plan, const request *from, size_t layer, bool in_layer,
                             pith_error *error) {
    for (unsigned part = 0; part < families[from->config->architecture].n_parts; part++) {
        pith_plan_part *out = &plan->parts[plan->n];
        memset(out, 0, sizeof *out);
        if (source_of(from, part)->in_layer != in_layer ||
            !slot_of(from, part, layer, &out->slot)) {
            continue;
        }
        pith_status status = make_part(plan, out, from, part, layer, error);
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

/* Whether the checkpoint's names begin with "bert.". */
static bool has_bert_prefix(const pith_hf_config *config, const pith_hf_shards *shards) {
    char name[MAX_NAME];
    pith_hf_tensor found;
    snprintf(name, sizeof name, "%s%s", bert_prefix, bert_sources[PITH_BERT_WORD_EMBED].names[0]);
    return config->architecture == PITH_ARCHITECTURE_BERT &&
           pith_hf_shards_find(shards, name, &found);
}

static pith_status make_plan(pith_plan *out, const request *from, const pith_allocator *allocator,
                             pith_error *error) {
    const pith_hf_config *config = from->config;
    pith_plan plan = {.allocator = allocator, .random = from->shards == NULL};
    /* One to spare: add_parts tries each part in the place after the last one. */
    size_t capacity = (n_layers(config) + 1) * families[config->architecture].n_parts + 1;
    plan.parts = pith_allocate(plan.allocator, capacity, sizeof *plan.parts);
    if (plan.parts == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the list of tensors");
    }
    pith_status status = add_parts(&plan, from, 0, false, error);
    for (size_t i = 0; i < n_layers(config) && status == PITH_OK; i++) {
        status = add_parts(&plan, from, i, true, error);
    }
    if (status != PITH_OK) {
        pith_plan_free(&plan);
        return status;
    }
    *out = plan;
    return PITH_OK;
}

pith_status pith_plan_make(pith_plan *out, const pith_hf_config *config, pith_type type,
                           pith_type head_type, const pith_hf_shards *shards, pith_error *error) {
    const request from = {
        .config = config,
        .type = type,
        .head_type = head_type,
        .shards = shards,
        .prefix = has_bert_prefix(config, shards) ? bert_prefix : "",
    };
    pith_status status = make_plan(out, &from, shards->allocator, error);
    return status == PITH_ERROR_MEMORY
               ? pith_fail_in(error, status, "%s", shards->sources->directory)
               : status;
}

pith_status pith_plan_make_random(pith_plan *out, const pith_hf_config *config, pith_type type,
                                  pith_type head_type, const pith_allocator *allocator,
                                  pith_error *error) {
    const request from = {.config = config, .type = type, .head_type = head_type, .prefix = ""};
    return make_plan(out, &from, allocator, error);
}

void pith_plan_free(pith_plan *plan) {
    if (plan->parts != NULL) {
        pith_release(plan->allocator, plan->parts);
    }
    *plan = (pith_plan){0};
}

/* ---- Tensors that are not there, and those nobody asked for
 * ---------------------------------------------------------------- */

void pith_plan_warn_missing(const pith_plan *plan, const pith_hf_shards *shards,
                            const pith_log *log) {
    for (size_t i = 0; i < plan->n_missing; i++) {
        const struct pith_plan_missing *missing = &plan->missing[i];
        char others[64] = "";
        if (missing->n > 1) {
            snprintf(others, sizeof others, " (nor in %zu other layer%s)", missing->n - 1,
                     missing->n > 2 ? "s" : "");
        }
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: no tensor %s in the checkpoint%s: taken as zero, as transformers does",
                       shards->sources->directory, missing->name, others);
    }
}

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

static bool is_harmless(const pith_hf_config *config, const char *name) {
    static const char *const of_bert[] = {
        "embeddings.position_ids",
        "embeddings.token_type_ids",
        "pooler.dense.weight",
        "pooler.dense.bias",
    };
    if (config->architecture == PITH_ARCHITECTURE_LLAMA) {
        return strstr(name, "rotary_emb.inv_freq") != NULL ||
               (config->config.tie_word_embeddings &&
                strcmp(name, llama_sources[PITH_LLAMA_HEAD].names[0]) == 0);
    }
    name += strncmp(name, bert_prefix, strlen(bert_prefix)) == 0 ? strlen(bert_prefix) : 0;
    for (size_t i = 0; i < sizeof of_bert / sizeof of_bert[0]; i++) {
        if (strcmp(name, of_bert[i]) == 0) {
            return true;
        }
    }
    return false;
}

void pith_plan_warn_unused(const pith_plan *plan, const pith_hf_config *config,
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
