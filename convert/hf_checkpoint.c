/* A Hugging Face directory as a checkpoint: config.json, safetensors files, a tokenizer and the
 * small files beside them. */
#include "convert/checkpoint.h"

#include "base/file_kind.h"
#include "convert/hf_bert.h"
#include "convert/hf_directory.h"
#include "convert/hf_mxfp4.h"
#include "convert/mistral_checkpoint.h"
#include "convert/shape_source.h"
#include "weights/gguf_blocks.h"

#include <stdio.h>
#include <string.h>

enum { MAX_CONFIG = 16 << 20 };

/* ---- Configuration --------------------------------------------------------------------------- */

/* *assumed is set when there is no config.json. */
static pith_status read_config(pith_checkpoint *c, bool *assumed, pith_error *error) {
    char *config = NULL;
    char *generation = NULL;
    size_t config_size, generation_size;
    pith_status status = pith_sources_read_optional(&c->sources, "config.json", MAX_CONFIG, &config,
                                                    &config_size, error);
    if (status == PITH_OK && config == NULL) {
        *assumed = true;
        return PITH_OK;
    }
    if (status == PITH_OK) {
        status = pith_sources_read_optional(&c->sources, "generation_config.json", MAX_CONFIG,
                                            &generation, &generation_size, error);
    }
    if (status == PITH_OK) {
        bool embeds = pith_sources_has(&c->sources, "modules.json") ||
                      c->sources.inner[0] != '\0'; /* which modules.json has named */
        status = pith_hf_config_parse(&c->config, config, config_size, generation, generation_size,
                                      embeds, c->allocator, error);
        if (status != PITH_OK) {
            pith_fail_in(error, status, "%s", c->sources.directory);
        }
    }
    pith_release(c->allocator, config);
    pith_release(c->allocator, generation);
    return status;
}

/* Without config.json: such copies of all-MiniLM-L6-v2 exist. Only the number of heads does not
 * follow from the tensors. */
static pith_status assume_config(pith_checkpoint *c, pith_error *error) {
    const char *const prefixes[] = {"", pith_family_bert.prefix};
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        char name[96];
        pith_hf_tensor found;
        snprintf(name, sizeof name, "%sembeddings.word_embeddings.weight", prefixes[i]);
        if (!pith_hf_shards_find(&c->shards, name, &found)) {
            continue;
        }
        pith_status status = pith_shape_config(&c->config, "minilm-l6", error);
        if (status != PITH_OK) {
            return status;
        }
        pith_config *config = &c->config.config;
        config->max_seq_length = config->max_position_embeddings;
        config->normalize = false;
        snprintf(name, sizeof name, "%sencoder.layer.%zu.output.dense.weight", prefixes[i],
                 config->num_hidden_layers);
        if (pith_hf_shards_find(&c->shards, name, &found)) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: no config.json, and more layers than the %zu of all-MiniLM-L6-v2",
                             c->sources.directory, config->num_hidden_layers);
        }
        pith_log_write(c->log, PITH_LOG_WARNING,
                       "%s: no config.json: the shape of all-MiniLM-L6-v2 is assumed",
                       c->sources.directory);
        return PITH_OK;
    }
    return pith_hf_explain_directory(&c->sources, "config.json", error);
}

/* A decoder that sentence-transformers turns into an encoder would generate nonsense. */
static pith_status refuse_embedding_decoder(const pith_checkpoint *c, pith_error *error) {
    if (!pith_sources_has(&c->sources, "modules.json")) {
        return PITH_OK;
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: modules.json: this is an embedding model of sentence-transformers, made "
                     "of a decoder of "
                     "type %s, which is not supported",
                     c->sources.directory, c->config.family->name);
}

/* The weights of dense modules, each in a directory of its own. */
static pith_status open_dense(pith_checkpoint *c, const pith_hf_beside *beside, pith_error *error) {
    char inner[PITH_SOURCES_MAX_INNER];
    pith_status status = PITH_OK;
    strcpy(inner, c->sources.inner);
    for (size_t i = 0; status == PITH_OK && i < PITH_MAX_DENSE && beside->dense[i][0] != '\0';
         i++) {
        c->sources.inner[0] = '\0';
        pith_sources_enter(&c->sources, beside->dense[i]);
        status = pith_hf_shards_open(&c->dense[i], &c->sources, PITH_HF_STEM, error);
        pith_hf_tensor found;
        if (status == PITH_OK && beside->dense_bias[i] &&
            !pith_hf_shards_find(&c->dense[i], "linear.bias", &found)) {
            status = pith_fail(error, PITH_ERROR_FORMAT,
                               "%s: no tensor linear.bias in %s, which "
                               "says that it has one",
                               c->sources.directory, beside->dense[i]);
        }
    }
    strcpy(c->sources.inner, inner);
    return status;
}

/* What an encoder has besides its shape. */
static pith_status read_encoder(pith_checkpoint *c, pith_error *error) {
    if (c->config.family->role != PITH_ENCODER) {
        return refuse_embedding_decoder(c, error);
    }
    pith_hf_beside beside;
    pith_status status =
        pith_hf_bert_read_modules(&c->config.config, &beside, &c->sources, c->log, error);
    if (status == PITH_OK) {
        c->lowercase = beside.lowercase;
        c->prompts = beside.prompts;
        status = open_dense(c, &beside, error);
    }
    for (size_t i = 0; status == PITH_OK && i < c->prompts.n; i++) {
        const pith_prompt *prompt = &c->prompts.prompts[i];
        bool used = c->prompts.default_prompt == prompt->name;
        pith_log_write(c->log, PITH_LOG_INFO, "prompt %.60s%s: \"%.150s\"", prompt->name,
                       used ? " (the default)" : "", prompt->text);
    }
    return status;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

/* The types that rows are read of. The bytes are those of GGUF's types of the same names. */
static pith_gguf_widen_fn find_widen(pith_dtype dtype) {
    enum { F32 = 0, F16 = 1, BF16 = 30 }; /* numbers in GGUF */
    bool removed;
    switch (dtype) {
    case PITH_DTYPE_F32:
        return pith_gguf_type_find(F32, &removed)->widen;
    case PITH_DTYPE_F16:
        return pith_gguf_type_find(F16, &removed)->widen;
    case PITH_DTYPE_BF16:
        return pith_gguf_type_find(BF16, &removed)->widen;
    default:
        return NULL;
    }
}

static pith_checkpoint_tensor tensor_of(const pith_file *file, const pith_tensor *tensor) {
    pith_checkpoint_tensor out = {
        .file = file,
        .name = tensor->name,
        .type = pith_dtype_name(tensor->dtype),
        .n_dims = tensor->n_dims,
        .offset = tensor->offset,
        .size = tensor->size,
        .block = 1,
        .block_bytes = pith_dtype_size(tensor->dtype),
        .widen = find_widen(tensor->dtype),
    };
    memcpy(out.shape, tensor->shape, sizeof out.shape);
    return out;
}

/* The rules of dense layers name them "dense.0.weight": in the directory of a module that is
 * "linear.weight". */
static bool find_dense(const pith_checkpoint *c, const char *name, pith_hf_tensor *found) {
    static const char dense[] = "dense.";
    const pith_family *family = c->config.family;
    char full[PITH_CHECKPOINT_MAX_NAME];
    size_t n = family->prefix != NULL ? strlen(family->prefix) : 0;
    name += n > 0 && strncmp(name, family->prefix, n) == 0 ? n : 0;
    if (strncmp(name, dense, sizeof dense - 1) != 0) {
        return false;
    }
    size_t i = (size_t)(name[sizeof dense - 1] - '0');
    if (i >= PITH_MAX_DENSE) {
        return false;
    }
    snprintf(full, sizeof full, "linear%s", name + sizeof dense);
    return pith_hf_shards_find(&c->dense[i], full, found);
}

bool pith_hf_find_tensor(const pith_checkpoint *c, const char *name, pith_checkpoint_tensor *out) {
    pith_hf_tensor found;
    if (!pith_hf_shards_find(&c->shards, name, &found) && !find_dense(c, name, &found)) {
        return c->config.family->mxfp4 && strstr(name, ".experts.") != NULL &&
               pith_hf_mxfp4_find(c, name, out);
    }
    *out = tensor_of(found.file, found.tensor);
    return true;
}

/* The text part of a model of texts and images has longer names: language_model.model.norm.weight
 * and language_model.lm_head.weight, or since transformers 4.52 model.language_model.norm.weight
 * and lm_head.weight. */
static bool find(const pith_checkpoint *c, const char *name, pith_checkpoint_tensor *out) {
    static const char outer[] = "model.";
    char longer[PITH_CHECKPOINT_MAX_NAME + 32];
    if (pith_hf_find_tensor(c, name, out)) {
        return true;
    }
    if (!c->config.wrapped) {
        return false;
    }
    snprintf(longer, sizeof longer, "language_model.%s", name);
    if (pith_hf_find_tensor(c, longer, out)) {
        return true;
    }
    if (strncmp(name, outer, sizeof outer - 1) != 0) {
        return false;
    }
    snprintf(longer, sizeof longer, "model.language_model.%s", name + sizeof outer - 1);
    return pith_hf_find_tensor(c, longer, out);
}

bool pith_hf_tensor_at(const pith_checkpoint *c, size_t i, pith_checkpoint_tensor *out) {
    for (size_t s = 0; s < c->shards.n; s++) {
        const struct pith_hf_shard *shard = &c->shards.shards[s];
        size_t n = pith_safetensors_count(shard->header);
        if (i < n) {
            const pith_tensor *tensor = pith_safetensors_at(shard->header, i);
            *out = tensor_of(&c->sources.files[shard->source].file, tensor);
            out->quantised = c->config.family->mxfp4 && tensor->dtype == PITH_DTYPE_U8;
            return true;
        }
        i -= n;
    }
    return false;
}

/* ---- The form -------------------------------------------------------------------------------- */

pith_status pith_hf_read_tokenizer(pith_checkpoint *c, const char *path, pith_error *error) {
    pith_status status = pith_hf_tokenizer_read(&c->tokenizer, &c->sources, path,
                                                c->config.config.vocab_size, c->log, error);
    return status == PITH_OK && c->config.config.role == PITH_ENCODER
               ? pith_hf_truncation_check(&c->sources, error)
               : status;
}

void pith_hf_close_shards(pith_checkpoint *c) {
    pith_hf_shards_close(&c->shards);
    for (size_t i = 0; i < PITH_MAX_DENSE; i++) {
        pith_hf_shards_close(&c->dense[i]);
    }
}

static const pith_checkpoint_form form = {
    .naming = PITH_NAMES_HF,
    .settings = "config.json asks",
    .types = PITH_HF_TYPES,
    .find = find,
    .at = pith_hf_tensor_at,
    .read_tokenizer = pith_hf_read_tokenizer,
    .close = pith_hf_close_shards,
};

pith_status pith_hf_checkpoint_open(pith_checkpoint *c, const char *path, pith_error *error) {
    bool assumed = false;
    pith_status status = pith_sources_open(&c->sources, path, c->allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    c->name = c->sources.directory;
    if (pith_mistral_checkpoint_is_there(&c->sources)) {
        return pith_mistral_checkpoint_open(c, error);
    }
    c->form = &form;
    status = pith_hf_bert_enter_model(&c->sources, error);
    if (status == PITH_OK) {
        status = read_config(c, &assumed, error);
    }
    if (status == PITH_OK && assumed && !pith_hf_shards_are_there(&c->sources, PITH_HF_STEM)) {
        return pith_hf_explain_directory(&c->sources, "config.json", error);
    }
    if (status == PITH_OK) {
        status = pith_hf_shards_open(&c->shards, &c->sources, PITH_HF_STEM, error);
    }
    if (status == PITH_OK && assumed) {
        status = assume_config(c, error);
    }
    if (status == PITH_OK && pith_sources_has(&c->sources, "adapter_config.json")) {
        pith_log_write(c->log, PITH_LOG_WARNING,
                       "%s: the adapter beside the model (adapter_config.json) is left out",
                       c->sources.directory);
    }
    return status == PITH_OK ? read_encoder(c, error) : status;
}
