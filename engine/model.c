/* Opening and freeing a model, and the facts about it. */
#include "engine/model.h"

#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "engine/embed.h"
#include "engine/forward.h"
#include "engine/grammar.h"
#include "engine/lead.h"
#include "engine/rope.h"
#include "simd/tuning.h"

static pith_status fail_isa(const char *name, pith_error *error) {
    char all[120] = "";
    for (size_t i = 0; pith_kernel_names[i] != NULL; i++) {
        size_t used = strlen(all);
        if (pith_kernels_find(pith_kernel_names[i]) != NULL) {
            snprintf(all + used, sizeof all - used, "%s%s", used > 0 ? ", " : "",
                     pith_kernel_names[i]);
        }
    }
    return pith_fail(
        error, PITH_ERROR_UNSUPPORTED,
        "instruction set \"%s\" is unknown or not available on this machine, which has "
        "%s",
        name, all);
}

/* Sets the memory path from the table and, where they say one, from the options; the kernels must
 * be set. */
static pith_status choose_path(pith_model *model, const pith_tuning *tuning, pith_error *error) {
    model->path = pith_memory_path_here(model->kernels->name);
    if (tuning == NULL) {
        return PITH_OK;
    }
    pith_status status = pith_tuning_check(tuning, error);
    if (status != PITH_OK) {
        return status;
    }
    model->path.few = tuning->few;
    model->path.more = tuning->more;
    pith_tuning_log(tuning, model->kernels, &model->log);
    return PITH_OK;
}

/* What several ranks need before there are weights. */
static pith_status join_team(pith_model *model, const pith_model_options *options,
                             pith_error *error) {
    if (options->ranks == NULL || options->ranks->n_ranks == 1) {
        return PITH_OK;
    }
    if (options->map || options->blas == PITH_BLAS_ON) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: not with %zu ranks",
                         options->map ? "mapping the file" : "BLAS", options->ranks->n_ranks);
    }
    pith_status status = pith_team_new(&model->team, options->ranks, &model->allocator, error);
    return status == PITH_OK && options->ranks->rank == 0
               ? pith_leader_new(model->team, &model->allocator, error)
               : status;
}

pith_status pith_model_prepare(pith_model **out, const pith_model_options *options,
                               pith_error *error) {
    const pith_allocator *allocator = pith_allocator_or_default(options->allocator);
    pith_model *model = pith_allocate_zeroed(allocator, 1, sizeof *model);
    if (model == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
    }
    *out = model;
    model->allocator = *allocator;
    model->log = (pith_log){.fn = options->log, .user = options->log_user};
    model->bos = -1;
    model->infill = (pith_infill_ids){-1, -1, -1, -1};
    model->kernels = pith_kernels_find(options->isa);
    if (model->kernels == NULL) {
        return fail_isa(options->isa, error);
    }
    pith_status status = choose_path(model, options->tuning, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_pool_new(&model->pool, options->n_threads, &model->allocator, error);
    return status == PITH_OK ? join_team(model, options, error) : status;
}

pith_kv_heads pith_model_kv_heads(const pith_model *model) {
    if (model->team == NULL) {
        return (pith_kv_heads){.n = model->network.config.num_key_value_heads};
    }
    const pith_shares *s = &model->team->shares;
    return (pith_kv_heads){.first = s->kv_heads[s->rank],
                           .n = s->kv_heads[s->rank + 1] - s->kv_heads[s->rank]};
}

size_t pith_model_vocab_size(const pith_model *model) {
    return model->network.config.vocab_size;
}

static size_t weights_bytes(const pith_weights *w) {
    return w->matrix.size + (w->bias == NULL ? 0 : w->matrix.rows * sizeof *w->bias);
}

static size_t norm_bytes(const pith_layer *layer, const pith_config *config) {
    const pith_norm *norms[] = {&layer->before_attention, &layer->after_attention,
                                &layer->before_mlp, &layer->after_mlp};
    size_t n = 0;
    for (size_t i = 0; i < sizeof norms / sizeof norms[0]; i++) {
        n += norms[i]->weight != NULL ? 1 : 0;
        n += norms[i]->bias != NULL ? 1 : 0;
    }
    return n * config->hidden_size * sizeof(float);
}

/* Those of a layer's router and of the experts that one token uses, which are all of one size. */
static size_t expert_bytes(const pith_network *network, size_t layer) {
    const pith_config *c = &network->config;
    if (c->n_experts == 0) {
        return 0;
    }
    const pith_expert *expert = &network->experts[layer * c->n_experts];
    return weights_bytes(&network->layers[layer].router) +
           c->n_experts_used * (weights_bytes(&expert->gate_up) + weights_bytes(&expert->down));
}

/* Bytes of weights that one generated token reads. */
static size_t bytes_per_token(const pith_network *network) {
    size_t bytes = network->head.size;
    for (size_t i = 0; i < network->config.num_hidden_layers; i++) {
        const pith_layer *layer = &network->layers[i];
        bytes += weights_bytes(&layer->qkv) + weights_bytes(&layer->o) +
                 weights_bytes(&layer->gate_up) + weights_bytes(&layer->down);
        bytes += norm_bytes(layer, &network->config) + expert_bytes(network, i);
    }
    return bytes;
}

/* Rotary frequencies of every kind of layer; NULL when out of memory. */
static float *make_frequencies(const pith_model *model, const float *factors) {
    const pith_config *config = &model->network.config;
    /* One more: a model may have no positions at all. */
    float *out =
        pith_allocate(&model->allocator, config->n_kinds * model->rope_half + 1, sizeof *out);
    for (size_t i = 0; out != NULL && i < config->n_kinds; i++) {
        pith_rope_frequencies(&config->kinds[i].rope, factors, out + i * model->rope_half);
    }
    return out;
}

/* Rotary frequencies, and zeros; false when out of memory. */
static bool make_tables(pith_model *model) {
    const pith_config *config = &model->network.config;
    for (size_t i = 0; i < config->n_kinds; i++) {
        model->rope_half = pith_max_size(model->rope_half, config->kinds[i].rope.dims / 2);
    }
    size_t original;
    bool longrope = pith_config_has_longrope(config, &original);
    model->inv_freq = make_frequencies(model, config->rope_factors.short_list);
    if (longrope) {
        model->long_freq = make_frequencies(model, config->rope_factors.long_list);
    }
    bool encoder = config->role == PITH_ENCODER;
    bool zeros = encoder || config->norm_type == PITH_LAYER_NORM;
    size_t n_qkv = encoder ? pith_config_qkv_layout(config).total_rows : 0;
    if (zeros) {
        model->zeros =
            pith_allocate_zeroed(&model->allocator, pith_max_size(config->hidden_size, n_qkv),
                                 sizeof *model->zeros);
    }
    return model->inv_freq != NULL && (model->long_freq != NULL || !longrope) &&
           (model->zeros != NULL || !zeros);
}

const float *pith_model_frequencies(const pith_model *model, size_t kind, size_t n_context) {
    size_t original;
    bool is_long =
        pith_config_has_longrope(&model->network.config, &original) && n_context > original;
    return (is_long ? model->long_freq : model->inv_freq) + kind * model->rope_half;
}

static bool make_relative(pith_model *model) {
    const pith_network *network = &model->network;
    size_t n;
    if (network->config.relative_buckets == 0) {
        return true;
    }
    if (!pith_mul_size(network->config.num_attention_heads, 2 * pith_encoder_max_tokens(network),
                       &n)) {
        return false;
    }
    model->relative = pith_allocate(&model->allocator, n, sizeof *model->relative);
    if (model->relative != NULL) {
        pith_encoder_relative_table(network, model->relative);
    }
    return model->relative != NULL;
}

pith_status pith_model_complete(pith_model *model, pith_blas blas, pith_error *error) {
    blas = model->team != NULL ? PITH_BLAS_OFF : blas;
    if (blas == PITH_BLAS_ON || (blas == PITH_BLAS_AUTO && model->type == PITH_TYPE_F32)) {
        pith_error reason;
        if (pith_blas_load(&model->sgemm, &reason) != PITH_OK) {
            /* A lack of memory must not decide which kernels run: the same call gives the same
             * numbers. */
            if (blas == PITH_BLAS_ON || reason.status == PITH_ERROR_MEMORY) {
                return pith_fail(error, reason.status, "%s", reason.message);
            }
            pith_log_write(&model->log, PITH_LOG_INFO, "%s; using own kernels", reason.message);
        }
    }
    bool encoder = model->network.config.role == PITH_ENCODER;
    if (encoder && model->team != NULL) {
        return pith_lead_refuse(model, "an encoder", error);
    }
    if (!make_tables(model) || (encoder && !make_relative(model))) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a model");
    }
    if (encoder) {
        return pith_embed_cache_new(&model->embed_cache, &model->allocator, error);
    }
    model->token_bytes = bytes_per_token(&model->network);
    pith_status status = pith_scratch_cache_new(&model->scratch_cache, &model->allocator, error);
    return status == PITH_OK
               ? pith_lexicon_cache_new(&model->lexicon_cache, &model->allocator, error)
               : status;
}

pith_status pith_model_agree(pith_model *model, const pith_ranks *ranks, pith_status status,
                             pith_identity identity, pith_error *error) {
    if (ranks == NULL || ranks->n_ranks == 1 || pith_ranks_check(ranks, NULL) != PITH_OK) {
        return status;
    }
    status = pith_team_agree(ranks, status, &identity, error);
    if (status == PITH_OK) {
        model->team->agreed = true;
    }
    return status;
}

/* Takes over what the file says beyond the weights. */
static pith_status adopt_file(pith_model *model, pith_error *error) {
    const pith_model_file *file = model->file;
    model->network = file->network;
    model->architecture = file->metadata.architecture;
    model->type = file->metadata.type;
    const pith_vocab *vocab = &file->vocab;
    model->bos = vocab->n_pieces > 0 && vocab->bos >= 0 ? vocab->bos : file->metadata.bos;
    model->add_bos = vocab->add_bos && model->bos >= 0;
    model->add_eos = vocab->n_pieces > 0 && vocab->add_eos && vocab->eos >= 0;
    model->n_eos = file->metadata.n_eos;
    memcpy(model->eos, file->metadata.eos, model->n_eos * sizeof *model->eos);
    model->chat_format = file->metadata.chat_format;
    model->chat_template = file->metadata.chat_template;
    if (model->chat_format == NULL && model->chat_template != NULL) {
        model->chat_format = "template";
    }
    model->chat_templates = file->metadata.chat_templates;
    model->n_chat_templates = file->metadata.n_chat_templates;
    model->n_params = file->n_params;
    model->weight_bytes = file->weight_bytes;
    model->held_bytes = file->weight_bytes;
    if (model->team != NULL) {
        model->team->shares = file->shares;
        model->held_bytes = file->held_bytes;
    }
    if (file->vocab.n_pieces == 0) {
        return PITH_OK;
    }
    pith_status status =
        pith_tokenizer_new(&model->tokenizer, &file->vocab, &model->allocator, error);
    if (status == PITH_OK) {
        model->infill = pith_tokenizer_infill(model->tokenizer);
        if (model->infill.end >= 0) {
            model->eos[model->n_eos++] = model->infill.end;
        }
    }
    return status;
}

pith_status pith_model_open(pith_model **out, const char *path, const pith_model_options *options,
                            pith_error *error) {
    static const pith_model_options defaults = {0};
    if (out == NULL || path == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_model_open: null argument");
    }
    options = options != NULL ? options : &defaults;
    pith_model *model = NULL;
    pith_status status = pith_model_prepare(&model, options, error);
    if (status == PITH_OK) {
        const pith_load_watch watch = {.fn = options->load, .user = options->load_user};
        status = pith_model_file_open_watched(&model->file, path, options->map, model->pool, &watch,
                                              model->team != NULL ? &model->team->ranks : NULL,
                                              &model->log, &model->allocator, error);
    }
    if (status == PITH_OK) {
        status = adopt_file(model, error);
    }
    if (status == PITH_OK) {
        status = pith_model_complete(model, options->blas, error);
    }
    const pith_identity identity = {
        .file_size = status == PITH_OK ? model->file->file_size : 0,
        .header_hash = status == PITH_OK ? model->file->header_hash : 0,
    };
    status = pith_model_agree(model, options->ranks, status, identity, error);
    if (status != PITH_OK) {
        pith_model_free(model);
        return status;
    }
    *out = model;
    return PITH_OK;
}

void pith_model_free(pith_model *model) {
    if (model == NULL) {
        return;
    }
    pith_allocator allocator = model->allocator;
    if (model->team != NULL) {
        pith_lead_end(model->team);
        pith_leader_free(model->team, &allocator);
        pith_team_free(model->team, &allocator);
    }
    pith_embed_cache_free(model->embed_cache);
    pith_scratch_cache_free(model->scratch_cache);
    pith_lexicon_cache_free(model->lexicon_cache);
    pith_release(&allocator, model->inv_freq);
    pith_release(&allocator, model->long_freq);
    pith_release(&allocator, model->zeros);
    pith_release(&allocator, model->relative);
    pith_tokenizer_free(model->tokenizer);
    pith_model_file_close(model->file);
    pith_release(&allocator, model->random_layers);
    pith_release(&allocator, model->random_experts);
    pith_region_release(&model->random);
    pith_pool_free(model->pool);
    pith_release(&allocator, model);
}

static void get_rank_info(const pith_model *model, pith_model_info *out) {
    const pith_team *team = model->team;
    out->n_ranks = 1;
    out->rank_bytes = model->held_bytes;
    if (team != NULL) {
        out->rank = team->ranks.rank;
        out->n_ranks = team->ranks.n_ranks;
        out->n_gathers =
            pith_team_traffic(team, &model->network.config, model->type, &out->gather_bytes);
    }
}

void pith_model_get_info(const pith_model *model, pith_model_info *out) {
    const pith_config *config = &model->network.config;
    *out = (pith_model_info){
        .architecture = model->architecture,
        .type = pith_type_name(model->type),
        .isa = model->kernels->name,
        .chat_format = model->chat_format,
        .chat_template = model->chat_template,
        .chat_templates = model->chat_templates,
        .n_chat_templates = model->n_chat_templates,
        .n_vocab = config->vocab_size,
        .n_context =
            config->role == PITH_ENCODER ? config->max_seq_length : config->max_position_embeddings,
        .n_embd =
            config->role == PITH_ENCODER ? pith_config_embedding_size(config) : config->hidden_size,
        .n_layers = config->num_hidden_layers,
        .n_params = model->n_params,
        .weight_bytes = model->weight_bytes,
        .token_bytes = model->token_bytes,
        .n_threads = pith_pool_threads(model->pool),
        .bos = model->bos,
        .eos = model->eos,
        .n_eos = model->n_eos,
        .has_infill =
            model->infill.prefix >= 0 && model->infill.suffix >= 0 && model->infill.middle >= 0,
        .blas = model->sgemm != NULL,
        .add_bos = model->add_bos,
        .add_eos = model->add_eos,
        .n_experts = config->n_experts,
        .n_experts_used = config->n_experts_used,
        .is_encoder = config->role == PITH_ENCODER,
        .is_cross_encoder = config->scores,
        .has_tokenizer = model->tokenizer != NULL,
    };
    get_rank_info(model, out);
    if (model->file != NULL) {
        const pith_metadata *metadata = &model->file->metadata;
        out->prompts = metadata->prompts;
        out->n_prompts = metadata->n_prompts;
        out->default_prompt = metadata->default_prompt;
    }
}
