/* pith inspect: what a model file holds. Bits per weight count the packed bytes, padding and scales
 * included, over the real weights. */
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/model.h"
#include "cli/verify.h"
#include "weights/pith_file.h"

typedef struct inspect_settings {
    const char *model;
    bool json, verify;
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
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {"Threads (for --verify)", pith_threads_options, offsetof(inspect_settings, threads)},
    {NULL, NULL, 0},
};

/* All matrices of one kind together. */
typedef struct matrix_kind {
    const char *name;
    pith_llama_part part;
    size_t count;
    pith_type type; /* of the first; `mixed` when another differs */
    bool mixed;
    size_t rows, cols; /* of one, without padding */
    double weights;    /* of all */
    double bytes;
} matrix_kind;

enum { N_KINDS = 6 };

typedef struct summary {
    matrix_kind kinds[N_KINDS];
    double weights, bytes;           /* of all matrices */
    double int4_weights, int4_bytes; /* of the int4 ones */
} summary;

static double bits(double bytes, double weights) {
    return weights > 0 ? 8 * bytes / weights : 0;
}

/* Rows of a matrix without padding. */
static size_t real_rows(const pith_llama_config *config, pith_llama_part part) {
    pith_qkv_layout qkv;
    switch (part) {
    case PITH_LLAMA_QKV:
        qkv = pith_llama_qkv_layout(config);
        return qkv.q_rows + qkv.k_rows + qkv.v_rows;
    case PITH_LLAMA_GATE_UP:
        return 2 * config->intermediate_size;
    case PITH_LLAMA_O:
    case PITH_LLAMA_DOWN:
        return config->hidden_size;
    default:
        return config->vocab_size;
    }
}

static void add_kind(summary *sum, matrix_kind *kind, pith_llama *llama) {
    bool per_layer = kind->part != PITH_LLAMA_EMBED && kind->part != PITH_LLAMA_HEAD;
    size_t n_layers = per_layer ? llama->config.num_hidden_layers : 1;
    for (size_t layer = 0; layer < n_layers; layer++) {
        pith_slot slot;
        if (!pith_llama_slot_of(&llama->config, kind->part, layer, &slot)) {
            continue; /* the head of a tied model */
        }
        const pith_matrix *matrix = pith_llama_matrix(llama, kind->part, layer);
        kind->mixed = kind->mixed || (kind->count > 0 && matrix->type != kind->type);
        kind->type = kind->count == 0 ? matrix->type : kind->type;
        kind->count++;
        kind->rows = real_rows(&llama->config, kind->part);
        kind->cols = matrix->cols;
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
}

static summary summarise(const pith_model_file *file) {
    pith_llama llama = file->llama;
    summary sum = {
        .kinds = {{.name = llama.config.tie_word_embeddings ? "embedding and head" : "embedding",
                   .part = PITH_LLAMA_EMBED},
                  {.name = "head", .part = PITH_LLAMA_HEAD},
                  {.name = "qkv", .part = PITH_LLAMA_QKV},
                  {.name = "o", .part = PITH_LLAMA_O},
                  {.name = "gate_up", .part = PITH_LLAMA_GATE_UP},
                  {.name = "down", .part = PITH_LLAMA_DOWN}},
    };
    for (size_t i = 0; i < N_KINDS; i++) {
        add_kind(&sum, &sum.kinds[i], &llama);
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

static void print_rope(pith_cli *cli, const pith_llama_config *config) {
    pith_cli_print(cli, "rope            theta %g", config->rope_theta);
    if (config->rope_scaling == PITH_ROPE_LINEAR) {
        pith_cli_print(cli, ", linear scaling by %g", config->rope_factor);
    } else if (config->rope_scaling == PITH_ROPE_LLAMA3) {
        pith_cli_print(cli, ", llama3 scaling by %g (low %g, high %g, original context %zu)",
                       config->rope_factor, config->rope_low_freq_factor,
                       config->rope_high_freq_factor, config->rope_original_context);
    }
    pith_cli_print(cli, "\n");
}

static void print_model(pith_cli *cli, const pith_model_file *file) {
    const pith_metadata *metadata = &file->metadata;
    const pith_llama_config *config = &metadata->config;
    print_string(cli, "architecture", metadata->architecture);
    print_string(cli, "written by", metadata->generator);
    pith_cli_print(cli, "types           linear layers %s, embedding and head %s\n",
                   pith_type_name(metadata->type), pith_type_name(metadata->head_type));
    pith_cli_print(cli, "parameters      %zu\n", file->n_params);
    pith_cli_print(cli, "context         %zu", config->max_position_embeddings);
    if (config->sliding_window != 0) {
        pith_cli_print(cli, ", sliding window of %zu", config->sliding_window);
    }
    pith_cli_print(cli, "\nlayers          %zu\n", config->num_hidden_layers);
    pith_cli_print(cli, "width           %zu, feed-forward %zu\n", config->hidden_size,
                   config->intermediate_size);
    pith_cli_print(cli, "heads           %zu, key/value heads %zu, of %zu\n",
                   config->num_attention_heads, config->num_key_value_heads, config->head_dim);
    print_rope(cli, config);
    pith_cli_print(cli, "rms norm eps    %g\n", (double)config->rms_norm_eps);
    pith_cli_print(cli, "biases          %s%s%s%s\n", config->qkv_bias ? "qkv " : "",
                   config->o_bias ? "o " : "", config->mlp_bias ? "mlp" : "",
                   config->qkv_bias || config->o_bias || config->mlp_bias ? "" : "none");
    pith_cli_print(cli, "tokenizer       %s, %zu pieces, %zu merges\n",
                   tokenizer_kind(&file->vocab), file->vocab.n_pieces, file->vocab.n_merges);
    pith_cli_print(cli, "special tokens  beginning %d, end", metadata->bos);
    for (size_t i = 0; i < metadata->n_eos; i++) {
        pith_cli_print(cli, " %d", metadata->eos[i]);
    }
    pith_cli_print(cli, "%s\n", metadata->n_eos == 0 ? " none" : "");
    print_string(cli, "chat format",
                 metadata->chat_format != NULL     ? metadata->chat_format
                 : metadata->chat_template != NULL ? "a template that pith does not know"
                                                   : "none");
}

static void print_matrices(pith_cli *cli, const summary *sum) {
    pith_cli_print(cli, "\n%-18s  count  type   %15s  %13s  bits/weight\n", "matrices", "shape",
                   "bytes");
    for (size_t i = 0; i < N_KINDS; i++) {
        const matrix_kind *kind = &sum->kinds[i];
        if (kind->count == 0) {
            continue;
        }
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

static void print_text(pith_cli *cli, const pith_model_file *file) {
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

static json_t *config_json(const pith_llama_config *config) {
    static const char *const scalings[] = {"none", "linear", "llama3"};
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:s,s:f,s:b,s:b,s:b,s:b}",
                     "vocab_size", (json_int_t)config->vocab_size, "hidden_size",
                     (json_int_t)config->hidden_size, "intermediate_size",
                     (json_int_t)config->intermediate_size, "num_hidden_layers",
                     (json_int_t)config->num_hidden_layers, "num_attention_heads",
                     (json_int_t)config->num_attention_heads, "num_key_value_heads",
                     (json_int_t)config->num_key_value_heads, "head_dim",
                     (json_int_t)config->head_dim, "max_position_embeddings",
                     (json_int_t)config->max_position_embeddings, "sliding_window",
                     (json_int_t)config->sliding_window, "rms_norm_eps",
                     (double)config->rms_norm_eps, "rope_theta", config->rope_theta, "rope_scaling",
                     scalings[config->rope_scaling], "rope_factor", config->rope_factor,
                     "tie_word_embeddings", config->tie_word_embeddings, "qkv_bias",
                     config->qkv_bias, "o_bias", config->o_bias, "mlp_bias", config->mlp_bias);
}

static json_t *matrices_json(const summary *sum) {
    json_t *list = json_array();
    for (size_t i = 0; i < N_KINDS; i++) {
        const matrix_kind *kind = &sum->kinds[i];
        if (kind->count == 0) {
            continue;
        }
        json_array_append_new(list,
                              json_pack("{s:s,s:I,s:s,s:I,s:I,s:I,s:f}", "kind", kind->name,
                                        "count", (json_int_t)kind->count, "type", kind_type(kind),
                                        "rows", (json_int_t)kind->rows, "cols",
                                        (json_int_t)kind->cols, "bytes", (json_int_t)kind->bytes,
                                        "bits_per_weight", bits(kind->bytes, kind->weights)));
    }
    return list;
}

static json_t *sources_json(const pith_metadata *metadata) {
    json_t *list = json_array();
    for (size_t i = 0; i < metadata->n_sources; i++) {
        const pith_source *source = &metadata->sources[i];
        json_array_append_new(list, json_pack("{s:s,s:I,s:s}", "name", source->name, "size",
                                              (json_int_t)source->size, "sha256", source->sha256));
    }
    return list;
}

static json_t *tensors_json(const pith_model_file *file) {
    json_t *list = json_array();
    for (size_t i = 0; i < pith_safetensors_count(file->header); i++) {
        const pith_tensor *tensor = pith_safetensors_at(file->header, i);
        json_t *shape = json_array();
        for (size_t d = 0; d < tensor->n_dims; d++) {
            json_array_append_new(shape, json_integer((json_int_t)tensor->shape[d]));
        }
        json_array_append_new(list, json_pack("{s:s,s:s,s:o,s:I}", "name", tensor->name, "dtype",
                                              pith_dtype_name(tensor->dtype), "shape", shape,
                                              "bytes", (json_int_t)tensor->size));
    }
    return list;
}

static json_t *eos_json(const pith_metadata *metadata) {
    json_t *list = json_array();
    for (size_t i = 0; i < metadata->n_eos; i++) {
        json_array_append_new(list, json_integer(metadata->eos[i]));
    }
    return list;
}

static pith_status print_json(pith_cli *cli, const pith_model_file *file, bool verified,
                              pith_error *error) {
    const pith_metadata *metadata = &file->metadata;
    summary sum = summarise(file);
    json_t *out =
        json_pack("{s:s,s:s,s:s,s:s,s:I,s:I,s:f,s:o,s:{s:s,s:I,s:I,s:i},s:o,s:s?,s:s?,s:o,s:o,s:o}",
                  "architecture", metadata->architecture, "generator", metadata->generator, "type",
                  pith_type_name(metadata->type), "head_type", pith_type_name(metadata->head_type),
                  "params", (json_int_t)file->n_params, "weight_bytes",
                  (json_int_t)file->weight_bytes, "bits_per_weight", bits(sum.bytes, sum.weights),
                  "config", config_json(&metadata->config), "tokenizer", "kind",
                  tokenizer_kind(&file->vocab), "pieces", (json_int_t)file->vocab.n_pieces,
                  "merges", (json_int_t)file->vocab.n_merges, "bos", (int)metadata->bos, "eos",
                  eos_json(metadata), "chat_format", metadata->chat_format, "chat_template",
                  metadata->chat_template, "matrices", matrices_json(&sum), "sources",
                  sources_json(metadata), "tensors", tensors_json(file));
    if (out != NULL && sum.int4_weights > 0) {
        json_object_set_new(out, "int4_bits_per_weight",
                            json_real(bits(sum.int4_bytes, sum.int4_weights)));
    }
    if (out != NULL && verified) {
        json_object_set_new(out, "verified", json_true());
    }
    if (out == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the description");
    }
    pith_cli_print_json(cli, out, JSON_INDENT(2));
    json_decref(out);
    return PITH_OK;
}

/* ---------------------------------------------------------------------------------------------- */

static int run(pith_cli *cli, const void *arguments) {
    const inspect_settings *settings = arguments;
    pith_error error;
    pith_pool *pool = NULL;
    pith_model_file *file = NULL;
    pith_log log = {.fn = pith_cli_log, .user = cli};
    pith_status status = pith_pool_new(&pool, 1, &pith_malloc_allocator, &error);
    if (status == PITH_OK) {
        status = pith_model_file_open(&file, settings->model, true, pool, &log,
                                      &pith_malloc_allocator, &error);
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
