/* pith inspect: what a model file holds. Bits per weight count the packed bytes, padding and scales
 * included, over the real weights. */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file_kind.h"
#include "cli/commands.h"
#include "cli/find_model.h"
#include "cli/model.h"
#include "cli/plan.h"
#include "cli/verify.h"
#include "weights/config.h"
#include "weights/pith_file.h"

typedef struct inspect_settings {
    const char *model;
    bool json, verify, plan, no_cache;
    size_t threads;
} inspect_settings;

static const pith_operand operands[] = {
    {.name = "MODEL.pith", .help = "the model", .offset = offsetof(inspect_settings, model)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "print one JSON object, with every tensor",
     .offset = offsetof(inspect_settings, json)},
    {.name = "verify",
     .kind = PITH_OPTION_FLAG,
     .help = "recompute the SHA-256 of every tensor; fail when one differs",
     .offset = offsetof(inspect_settings, verify)},
    {.name = "plan",
     .kind = PITH_OPTION_FLAG,
     .help =
         "print what the model takes on disk and in memory instead; of a GGUF file before it is "
         "converted",
     .offset = offsetof(inspect_settings, plan)},
    {.name = "no-cache",
     .kind = PITH_OPTION_FLAG,
     .help = "refuse a GGUF file instead of converting it once into the cache",
     .offset = offsetof(inspect_settings, no_cache)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Threads (for --verify)", pith_threads_options, offsetof(inspect_settings, threads)},
    {NULL, NULL, 0},
};

/* All matrices of one rule together. */
typedef struct matrix_kind {
    const char *name;
    size_t count;
    pith_type type; /* of the first; `mixed` when another differs */
    bool mixed;
    size_t rows, cols; /* of one, without padding */
    double weights;    /* of all */
    double bytes;
} matrix_kind;

enum { MAX_KINDS = 16 };

typedef struct summary {
    matrix_kind kinds[MAX_KINDS];
    size_t n_kinds;
    double weights, bytes;           /* of all matrices */
    double int4_weights, int4_bytes; /* of the int4 ones */
} summary;

static double bits(double bytes, double weights) {
    return weights > 0 ? 8 * bytes / weights : 0;
}

static void add_kind(summary *sum, const char *name, unsigned part, pith_model_file *file) {
    matrix_kind *kind = &sum->kinds[sum->n_kinds];
    pith_slot slot;
    pith_slot_place place;
    *kind = (matrix_kind){.name = name};
    for (size_t layer = pith_family_first_layer(file->family, part);
         pith_model_file_slot(file, part, layer, &slot, &place); layer++) {
        const pith_matrix *matrix = place.matrix;
        kind->mixed = kind->mixed || (kind->count > 0 && matrix->type != kind->type);
        kind->type = kind->count == 0 ? matrix->type : kind->type;
        kind->count++;
        kind->rows = slot.real_rows;
        kind->cols = slot.cols;
        double weights = (double)kind->rows * (double)kind->cols;
        kind->weights += weights;
        kind->bytes += (double)matrix->size;
        if (matrix->type == PITH_TYPE_INT4) {
            sum->int4_weights += weights;
            sum->int4_bytes += (double)matrix->size;
        }
    }
    sum->weights += kind->weights;
    sum->bytes += kind->bytes;
    sum->n_kinds += kind->count > 0; /* a tied model has no head of its own */
}

static summary summarise(pith_model_file *file) {
    bool tied = file->network.config.tie_word_embeddings;
    summary sum = {.n_kinds = 0};
    for (unsigned part = 0; part < pith_family_n_parts(file->family); part++) {
        const pith_rule *rule = pith_family_rule(file->family, part);
        bool embed = !rule->in_layer && rule->place == offsetof(pith_network, embed);
        if (rule->label != NULL && sum.n_kinds < MAX_KINDS) {
            add_kind(&sum, embed && tied ? "embedding and head" : rule->label, part, file);
        }
    }
    return sum;
}

static const char *kind_type(const matrix_kind *kind) {
    return kind->mixed ? "mixed" : pith_type_name(kind->type);
}

static const char *tokenizer_kind(const pith_vocab *vocab) {
    static const char *const names[] = {
        [PITH_TOKENIZER_SENTENCEPIECE] = "SentencePiece BPE",
        [PITH_TOKENIZER_LLAMA_BPE] = "Llama BPE",
        [PITH_TOKENIZER_BYTE_BPE] = "byte-level BPE",
        [PITH_TOKENIZER_UNIGRAM] = "Unigram",
        [PITH_TOKENIZER_WORDPIECE] = "WordPiece",
    };
    return vocab->n_pieces == 0 ? "none" : names[vocab->kind];
}

/* ---- Text ------------------------------------------------------------------------------------ */

static void print_string(pith_cli *cli, const char *label, const char *value) {
    pith_cli_print(cli, "%-15s ", label);
    pith_cli_print_name(cli, value);
    pith_cli_print(cli, "\n");
}

static void print_rope(pith_cli *cli, const pith_rope_config *rope, size_t head_dim) {
    if (rope->dims == 0) {
        pith_cli_print(cli, "none\n");
        return;
    }
    pith_cli_print(cli, "theta %g", rope->theta);
    if (rope->dims != head_dim) {
        pith_cli_print(cli, ", %zu of %zu dimensions", rope->dims, head_dim);
    }
    if (rope->scaling == PITH_ROPE_LINEAR) {
        pith_cli_print(cli, ", linear scaling by %g", rope->factor);
    } else if (rope->scaling == PITH_ROPE_BLEND) {
        pith_cli_print(cli, ", llama3 scaling by %g (low %g, high %g, original context %zu)",
                       rope->factor, rope->low_freq_factor, rope->high_freq_factor,
                       rope->original_context);
    } else if (rope->scaling == PITH_ROPE_YARN) {
        pith_cli_print(cli, ", yarn scaling by %g (original context %zu, attention factor %g)",
                       rope->factor, rope->original_context, rope->attention_factor);
    } else if (rope->scaling == PITH_ROPE_LONG) {
        pith_cli_print(cli,
                       ", longrope (short factors in a context of at most %zu, long ones beyond, "
                       "attention factor %g)",
                       rope->original_context, rope->attention_factor);
    } else if (rope->scaling == PITH_ROPE_DYNAMIC) {
        pith_cli_print(cli, ", dynamic scaling beyond the context: none within");
    }
    if (rope->query_beta != 0) {
        pith_cli_print(cli, ", queries growing by %g beyond position %zu", rope->query_beta,
                       rope->original_context);
    }
    pith_cli_print(cli, "\n");
}

static size_t layers_of_kind(const pith_config *config, size_t kind) {
    size_t n = 0;
    for (size_t i = 0; i < config->num_hidden_layers; i++) {
        n += config->kind_of[i] == kind;
    }
    return n;
}

/* Where layers differ: how many there are of each kind, with what window and RoPE. */
static void print_kinds(pith_cli *cli, const pith_config *config) {
    for (size_t i = 0; i < config->n_kinds; i++) {
        const pith_layer_kind *kind = &config->kinds[i];
        if (config->n_kinds == 1) {
            pith_cli_print(cli, "rope            ");
        } else {
            size_t n = layers_of_kind(config, i);
            pith_cli_print(cli, "%-15s %zu layer%s", i == 0 ? "kinds" : "", n, n == 1 ? "" : "s");
            if (kind->sliding_window != 0) {
                pith_cli_print(cli, ", sliding window of %zu", kind->sliding_window);
            }
            pith_cli_print(cli, ", rope: ");
        }
        print_rope(cli, &kind->rope, config->head_dim);
    }
}

/* Prints the scalars that differ from a plain model's. */
static void print_scalars(pith_cli *cli, const pith_config *config) {
    const struct {
        const char *name;
        float value, plain;
    } scalars[] = {
        {"embedding", config->embedding_scale, 1}, {"residual", config->residual_scale, 1},
        {"scores", config->attention_scale, 0},    {"logits", config->logit_scale, 1},
        {"scores' cap", config->attention_cap, 0}, {"logits' cap", config->logit_cap, 0},
    };
    size_t n = 0;
    for (size_t i = 0; i < sizeof scalars / sizeof scalars[0]; i++) {
        if (scalars[i].value != scalars[i].plain) {
            pith_cli_print(cli, "%s%s %g", n++ == 0 ? "scalars         " : ", ", scalars[i].name,
                           (double)scalars[i].value);
        }
    }
    pith_cli_print(cli, "%s", n > 0 ? "\n" : "");
}

static void print_decoder(pith_cli *cli, const pith_config *config) {
    pith_cli_print(cli, "context         %zu", config->max_position_embeddings);
    if (config->n_kinds == 1 && config->kinds[0].sliding_window != 0) {
        pith_cli_print(cli, ", sliding window of %zu", config->kinds[0].sliding_window);
    }
    pith_cli_print(cli, "\nlayers          %zu\n", config->num_hidden_layers);
    pith_cli_print(cli, "width           %zu, feed-forward %zu\n", config->hidden_size,
                   config->intermediate_size);
    if (config->n_experts != 0) {
        pith_cli_print(cli, "experts         %zu in a layer, %zu of a token\n", config->n_experts,
                       config->n_experts_used);
    }
    pith_cli_print(cli, "heads           %zu, key/value heads %zu, of %zu%s\n",
                   config->num_attention_heads, config->num_key_value_heads, config->head_dim,
                   config->qk_norm != PITH_QK_NORM_NONE ? ", q and k normalised" : "");
    print_kinds(cli, config);
    pith_cli_print(cli, "%-16s%g\n",
                   config->norm_type == PITH_RMS_NORM ? "rms norm eps" : "layer norm eps",
                   (double)config->norm_eps);
    print_scalars(cli, config);
    pith_cli_print(cli, "biases          %s%s%s%s\n", config->qkv_bias ? "qkv " : "",
                   config->o_bias ? "o " : "", config->mlp_bias ? "mlp" : "",
                   config->qkv_bias || config->o_bias || config->mlp_bias ? "" : "none");
}

static void print_encoder(pith_cli *cli, const pith_config *config) {
    static const char *const pooling_texts[PITH_N_POOLINGS] = {
        [PITH_POOLING_MEAN] = "mean of all tokens",
        [PITH_POOLING_CLS] = "the vector of [CLS]",
        [PITH_POOLING_MAX] = "largest values of all tokens",
        [PITH_POOLING_LAST] = "the vector of the last token",
    };
    bool grouped = config->num_key_value_heads != config->num_attention_heads;
    pith_cli_print(cli, "longest text    %zu tokens, of %zu positions\n", config->max_seq_length,
                   pith_config_positions(config));
    pith_cli_print(cli, "layers          %zu\n", config->num_hidden_layers);
    pith_cli_print(cli, "width           %zu, feed-forward %zu\n", config->hidden_size,
                   config->intermediate_size);
    pith_cli_print(cli, "heads           %zu", config->num_attention_heads);
    if (grouped) {
        pith_cli_print(cli, ", key/value heads %zu,", config->num_key_value_heads);
    }
    pith_cli_print(cli, " of %zu\n", config->head_dim);
    pith_cli_print(cli, "layer norm eps  %g\n", (double)config->norm_eps);
    pith_cli_print(cli, "%-15s %s%s%s", config->scores ? "score of pairs" : "embedding",
                   pooling_texts[config->pooling],
                   config->skip_prompt ? ", the prompt's left out" : "",
                   config->normalize ? ", normalised" : "");
    for (size_t i = 0; i < PITH_MAX_DENSE && config->dense[i].width != 0; i++) {
        pith_cli_print(cli, "%s %zu", i == 0 ? ", through dense layers of" : " and",
                       config->dense[i].width);
    }
    pith_cli_print(cli, "\n");
}

static void print_prompts(pith_cli *cli, const pith_metadata *metadata) {
    for (size_t i = 0; i < metadata->n_prompts; i++) {
        const pith_prompt *prompt = &metadata->prompts[i];
        pith_cli_print(cli, "%-15s ", i == 0 ? "prompts" : "");
        pith_cli_print_name(cli, prompt->name);
        pith_cli_print(cli, "%s: \"", metadata->default_prompt == prompt->name ? " (default)" : "");
        pith_cli_print_name(cli, prompt->text);
        pith_cli_print(cli, "\"\n");
    }
}

/* Prints special tokens and chat templates, which only decoders have. */
static void print_generation(pith_cli *cli, const pith_metadata *metadata) {
    pith_cli_print(cli, "special tokens  beginning %d%s, end", metadata->bos,
                   metadata->vocab.add_bos ? " (in front of a text)" : "");
    for (size_t i = 0; i < metadata->n_eos; i++) {
        pith_cli_print(cli, " %d", metadata->eos[i]);
    }
    pith_cli_print(cli, "%s\n", metadata->n_eos == 0 ? " none" : "");
    print_string(cli, "chat format",
                 metadata->chat_format != NULL     ? metadata->chat_format
                 : metadata->chat_template != NULL ? "template"
                                                   : "none");
    for (size_t i = 0; i < metadata->n_chat_templates; i++) {
        print_string(cli, i == 0 ? "chat templates" : "", metadata->chat_templates[i].name);
    }
}

static void print_model(pith_cli *cli, const pith_model_file *file) {
    const pith_metadata *metadata = &file->metadata;
    bool encoder = file->family->role == PITH_ENCODER;
    print_string(cli, "architecture", metadata->architecture);
    print_string(cli, "written by", metadata->generator);
    pith_cli_print(cli, "types           linear layers %s, %s %s\n", pith_type_name(metadata->type),
                   encoder ? "word embedding" : "embedding and head",
                   pith_type_name(metadata->head_type));
    pith_cli_print(cli, "parameters      %zu\n", file->n_params);
    if (encoder) {
        print_encoder(cli, &metadata->config);
        print_prompts(cli, metadata);
    } else {
        print_decoder(cli, &metadata->config);
    }
    pith_cli_print(cli, "tokenizer       %s, %zu pieces, %zu merges\n",
                   tokenizer_kind(&file->vocab), file->vocab.n_pieces, file->vocab.n_merges);
    if (!encoder) {
        print_generation(cli, metadata);
    }
}

static void print_matrices(pith_cli *cli, const summary *sum) {
    pith_cli_print(cli, "\n%-18s  count  type   %15s  %13s  bits/weight\n", "matrices", "shape",
                   "bytes");
    for (size_t i = 0; i < sum->n_kinds; i++) {
        const matrix_kind *kind = &sum->kinds[i];
        char shape[48];
        snprintf(shape, sizeof shape, "%zu x %zu", kind->rows, kind->cols);
        pith_cli_print(cli, "%-18s  %5zu  %-5s  %15s  %13.0f  %11.4f\n", kind->name, kind->count,
                       kind_type(kind), shape, kind->bytes, bits(kind->bytes, kind->weights));
    }
    if (sum->int4_weights > 0) {
        pith_cli_print(cli, "%-18s  %5s  %5s  %15s  %13.0f  %11.4f\n", "all int4", "", "", "",
                       sum->int4_bytes, bits(sum->int4_bytes, sum->int4_weights));
    }
    pith_cli_print(cli, "%-18s  %5s  %5s  %15s  %13.0f  %11.4f\n", "all", "", "", "", sum->bytes,
                   bits(sum->bytes, sum->weights));
}

static void print_text(pith_cli *cli, pith_model_file *file) {
    summary sum = summarise(file);
    print_model(cli, file);
    print_matrices(cli, &sum);
    pith_cli_print(cli, "\nfile            %zu tensors, %zu bytes of weights\n",
                   pith_safetensors_count(file->header), file->weight_bytes);
    pith_cli_print(cli, "\nsources\n");
    for (size_t i = 0; i < file->metadata.n_sources; i++) {
        const pith_source *source = &file->metadata.sources[i];
        pith_cli_print(cli, "%s  %12zu  ", source->sha256, source->size);
        pith_cli_print_name(cli, source->name);
        pith_cli_print(cli, "\n");
    }
}

/* ---- JSON ------------------------------------------------------------------------------------ */

static void put_matrices(pith_json_writer *json, const summary *sum) {
    pith_json_open(json, "matrices", '[');
    for (size_t i = 0; i < sum->n_kinds; i++) {
        const matrix_kind *kind = &sum->kinds[i];
        pith_json_open(json, NULL, '{');
        pith_json_put_text(json, "kind", kind->name);
        pith_json_put_integer(json, "count", (int64_t)kind->count);
        pith_json_put_text(json, "type", kind_type(kind));
        pith_json_put_integer(json, "rows", (int64_t)kind->rows);
        pith_json_put_integer(json, "cols", (int64_t)kind->cols);
        pith_json_put_integer(json, "bytes", (int64_t)kind->bytes);
        pith_json_put_real(json, "bits_per_weight", bits(kind->bytes, kind->weights));
        pith_json_close(json, '}');
    }
    pith_json_close(json, ']');
}

static void put_sources(pith_json_writer *json, const pith_metadata *metadata) {
    pith_json_open(json, "sources", '[');
    for (size_t i = 0; i < metadata->n_sources; i++) {
        const pith_source *source = &metadata->sources[i];
        pith_json_open(json, NULL, '{');
        pith_json_put_text(json, "name", source->name);
        pith_json_put_integer(json, "size", (int64_t)source->size);
        pith_json_put_text(json, "sha256", source->sha256);
        pith_json_close(json, '}');
    }
    pith_json_close(json, ']');
}

static void put_tensors(pith_json_writer *json, const pith_model_file *file) {
    pith_json_open(json, "tensors", '[');
    for (size_t i = 0; i < pith_safetensors_count(file->header); i++) {
        const pith_tensor *tensor = pith_safetensors_at(file->header, i);
        pith_json_open(json, NULL, '{');
        pith_json_put_text(json, "name", tensor->name);
        pith_json_put_text(json, "dtype", pith_dtype_name(tensor->dtype));
        pith_json_open(json, "shape", '[');
        for (size_t d = 0; d < tensor->n_dims; d++) {
            pith_json_put_integer(json, NULL, (int64_t)tensor->shape[d]);
        }
        pith_json_close(json, ']');
        pith_json_put_integer(json, "bytes", (int64_t)tensor->size);
        pith_json_close(json, '}');
    }
    pith_json_close(json, ']');
}

static void put_tokenizer(pith_json_writer *json, const pith_model_file *file) {
    pith_json_open(json, "tokenizer", '{');
    pith_json_put_text(json, "kind", tokenizer_kind(&file->vocab));
    pith_json_put_integer(json, "pieces", (int64_t)file->vocab.n_pieces);
    pith_json_put_integer(json, "merges", (int64_t)file->vocab.n_merges);
    pith_json_put_integer(json, "bos", file->metadata.bos);
    pith_json_close(json, '}');
    pith_json_open(json, "eos", '[');
    for (size_t i = 0; i < file->metadata.n_eos; i++) {
        pith_json_put_integer(json, NULL, file->metadata.eos[i]);
    }
    pith_json_close(json, ']');
}

static void put_text_or_null(pith_json_writer *json, const char *key, const char *text) {
    if (text != NULL) {
        pith_json_put_text(json, key, text);
    } else {
        pith_json_put_null(json, key);
    }
}

static pith_status print_json(pith_cli *cli, pith_model_file *file, bool verified,
                              pith_error *error) {
    const pith_metadata *metadata = &file->metadata;
    summary sum = summarise(file);
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    json.style = PITH_JSON_INDENTED;
    pith_json_open(&json, NULL, '{');
    pith_json_put_text(&json, "architecture", metadata->architecture);
    pith_json_put_text(&json, "generator", metadata->generator);
    pith_json_put_text(&json, "type", pith_type_name(metadata->type));
    pith_json_put_text(&json, "head_type", pith_type_name(metadata->head_type));
    pith_json_put_integer(&json, "params", (int64_t)file->n_params);
    pith_json_put_integer(&json, "weight_bytes", (int64_t)file->weight_bytes);
    pith_json_put_real(&json, "bits_per_weight", bits(sum.bytes, sum.weights));
    pith_json_open(&json, "config", '{');
    pith_config_write(&metadata->config, &json); /* the hyper-parameters as in the file */
    pith_json_close(&json, '}');
    put_tokenizer(&json, file);
    put_text_or_null(&json, "chat_format", metadata->chat_format);
    put_text_or_null(&json, "chat_template", metadata->chat_template);
    pith_json_open(&json, "chat_templates", '{');
    for (size_t i = 0; i < metadata->n_chat_templates; i++) {
        pith_json_put_text(&json, metadata->chat_templates[i].name,
                           metadata->chat_templates[i].text);
    }
    pith_json_close(&json, '}');
    put_matrices(&json, &sum);
    put_sources(&json, metadata);
    put_tensors(&json, file);
    if (sum.int4_weights > 0) {
        pith_json_put_real(&json, "int4_bits_per_weight", bits(sum.int4_bytes, sum.int4_weights));
    }
    if (verified) {
        pith_json_put_bool(&json, "verified", true);
    }
    pith_json_close(&json, '}');
    return pith_cli_print_document(cli, &json, error);
}

/* ---------------------------------------------------------------------------------------------- */

/* A GGUF file is planned as what its conversion into the cache would be, one that is not quantised
 * as int8: pith convert --dry-run plans other types. */
static int print_plan(pith_cli *cli, const inspect_settings *settings) {
    pith_error error;
    char *path = NULL;
    pith_convert_facts facts;
    pith_convert_options convert = {
        .type = PITH_N_TYPES,
        .head_type = PITH_N_TYPES,
        .n_threads = settings->threads,
        .log = {.fn = pith_cli_log, .user = cli},
    };
    pith_status status = pith_cli_find_path(settings->model, &path, &error);
    if (status == PITH_OK && pith_file_kind_at(path) == PITH_FILE_GGUF) {
        status = pith_convert_look(path, &facts, &pith_malloc_allocator, &error);
        if (status == PITH_OK && !facts.quantised) {
            convert.type = PITH_TYPE_INT8;
        }
        if (status == PITH_OK) {
            status = pith_cli_plan_conversion(cli, path, &convert, &error);
        }
    } else if (status == PITH_OK) {
        status = pith_cli_plan_file(cli, path, settings->threads, &error);
    }
    free(path);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

static int run(pith_cli *cli, const void *arguments) {
    const inspect_settings *settings = arguments;
    if (settings->plan && (settings->json || settings->verify)) {
        return pith_cli_usage(cli, "--plan does not go with --json and --verify");
    }
    if (settings->plan) {
        return print_plan(cli, settings);
    }
    pith_error error;
    pith_pool *pool = NULL;
    pith_model_file *file = NULL;
    char *path = NULL;
    pith_log log = {.fn = pith_cli_log, .user = cli};
    pith_status status = pith_pool_new(&pool, 1, &pith_malloc_allocator, &error);
    if (status == PITH_OK) {
        status = pith_cli_find_model(cli, settings->model, settings->threads, settings->no_cache,
                                     &path, &error);
    }
    if (status == PITH_OK) {
        status =
            pith_model_file_open(&file, path, true, pool, &log, &pith_malloc_allocator, &error);
    }
    if (status == PITH_OK && settings->verify) {
        status = pith_verify_file(cli, file, settings->threads, &error);
    }
    if (status == PITH_OK && settings->json) {
        status = print_json(cli, file, settings->verify, &error);
    } else if (status == PITH_OK) {
        print_text(cli, file);
        pith_cli_print(cli, "%s", settings->verify ? "\nall checksums are right\n" : "");
    }
    if (file != NULL) {
        pith_model_file_close(file);
    }
    pith_pool_free(pool);
    free(path);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_inspect = {
    .name = "inspect",
    .summary = "show what a model file holds",
    .description =
        "Prints the architecture, the hyper-parameters, the tokenizer, the numeric types with "
        "their bits per weight (packed bytes, scales and padding included, over real weights), and "
        "the files the model was made from. Opening checks the file's structure, --verify also "
        "its contents.",
    .example = "pith inspect tale.pith --verify",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(inspect_settings),
    .run = run,
};
