/* Making BERT checkpoints, and comparing a model file with one. Where a row comes from is written
 * from the layout's description, not from the converter. */
#include "tests/encoder.h"

#include "convert/convert.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

pith_config test_encoder_config(void) {
    return (pith_config){
        PITH_ENCODER_RECIPE,          .vocab_size = 40,       .hidden_size = 32,
        .intermediate_size = 48,      .num_hidden_layers = 2, .num_attention_heads = 4,
        .num_key_value_heads = 4,     .head_dim = 8,          .max_position_embeddings = 16,
        .type_vocab_size = 2,         .norm_eps = 1e-12F,     .max_seq_length = 12,
        .pooling = PITH_POOLING_MEAN, .normalize = true,
    };
}

/* cols 0: a vector. */
static void add_random(test_tensors *tensors, const char *name, size_t rows, size_t cols,
                       uint64_t *seed) {
    test_tensor *t = test_tensors_add(tensors, name, PITH_DTYPE_F32, cols == 0 ? 1 : 2, rows, cols);
    float *values = t->data;
    for (size_t i = 0; i < t->size / sizeof *values; i++) {
        values[i] = 0.05F * test_random_normal(seed);
    }
}

static void add_pair(test_tensors *tensors, const char *name, size_t rows, size_t cols,
                     uint64_t *seed) {
    char full[96];
    snprintf(full, sizeof full, "%s.weight", name);
    add_random(tensors, full, rows, cols, seed);
    snprintf(full, sizeof full, "%s.bias", name);
    add_random(tensors, full, rows, 0, seed);
}

test_tensors test_encoder_tensors(const pith_config *c, uint64_t seed) {
    test_tensors tensors = {0};
    size_t hidden = c->hidden_size;
    const struct {
        const char *name;
        size_t rows, cols;
    } list[] = {
        {"attention.self.query", hidden, hidden},
        {"attention.self.key", hidden, hidden},
        {"attention.self.value", hidden, hidden},
        {"attention.output.dense", hidden, hidden},
        {"attention.output.LayerNorm", hidden, 0},
        {"intermediate.dense", c->intermediate_size, hidden},
        {"output.dense", hidden, c->intermediate_size},
        {"output.LayerNorm", hidden, 0},
    };
    add_random(&tensors, "embeddings.word_embeddings.weight", c->vocab_size, hidden, &seed);
    add_random(&tensors, "embeddings.position_embeddings.weight", c->max_position_embeddings,
               hidden, &seed);
    add_random(&tensors, "embeddings.token_type_embeddings.weight", c->type_vocab_size, hidden,
               &seed);
    add_pair(&tensors, "embeddings.LayerNorm", hidden, 0, &seed);
    test_tensors_add(&tensors, "embeddings.position_ids", PITH_DTYPE_I64, 2, 1,
                     c->max_position_embeddings);
    for (size_t layer = 0; layer < c->num_hidden_layers; layer++) {
        for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
            char name[96];
            snprintf(name, sizeof name, "encoder.layer.%zu.%s", layer, list[i].name);
            add_pair(&tensors, name, list[i].rows, list[i].cols, &seed);
        }
    }
    add_pair(&tensors, "pooler.dense", hidden, hidden, &seed);
    return tensors;
}

/* Puts a prefix before all names, and gives the norms their older ones. */
static void rename_all(test_tensors *tensors, const test_encoder *encoder) {
    for (size_t i = 0; i < tensors->n; i++) {
        char *name = tensors->items[i].name;
        char old[96];
        char *norm = strstr(name, "LayerNorm.");
        if (encoder->old_norms && norm != NULL) {
            bool weight = strcmp(norm, "LayerNorm.weight") == 0;
            strcpy(norm, weight ? "LayerNorm.gamma" : "LayerNorm.beta");
        }
        strcpy(old, name);
        snprintf(name, sizeof tensors->items[i].name, "%.10s%.80s",
                 encoder->prefix != NULL ? encoder->prefix : "", old);
    }
}

static void write_edited(const char *directory, const char *name, const char *base,
                         const char *edits) {
    char *text = test_edit_json(base, edits);
    test_write_text(directory, name, text);
    free(text);
}

const char *test_make_encoder(const char *name, const test_encoder *encoder) {
    static const char config[] =
        "{\"architectures\": [\"BertModel\"], \"model_type\": \"bert\", \"vocab_size\": 40,"
        " \"hidden_size\": 32, \"intermediate_size\": 48, \"num_hidden_layers\": 2,"
        " \"num_attention_heads\": 4, \"max_position_embeddings\": 16, \"type_vocab_size\": 2,"
        " \"hidden_act\": \"gelu\", \"layer_norm_eps\": 1e-12,"
        " \"position_embedding_type\": \"absolute\"}";
    static const char modules[] =
        "[{\"type\": \"sentence_transformers.models.Transformer\", \"path\": \"\"},"
        " {\"type\": \"sentence_transformers.models.Pooling\", \"path\": \"1_Pooling\"},"
        " {\"type\": \"sentence_transformers.models.Normalize\", \"path\": \"2_Normalize\"}]";
    static const char pooling[] =
        "{\"word_embedding_dimension\": 32, \"pooling_mode_cls_token\": false,"
        " \"pooling_mode_mean_tokens\": true, \"pooling_mode_max_tokens\": false}";
    pith_config shape = test_encoder_config();
    const char *directory = test_make_directory(name);
    test_tensors tensors = test_encoder_tensors(&shape, 1);
    rename_all(&tensors, encoder);
    test_write_tensors(test_join(directory, "model.safetensors"), &tensors, 0, tensors.n);
    test_tensors_free(&tensors);
    write_edited(directory, "config.json", config, encoder->config);
    if (!encoder->bare) {
        mkdir(test_join(directory, "1_Pooling"), 0777);
        test_write_text(directory, "modules.json",
                        encoder->modules != NULL ? encoder->modules : modules);
        write_edited(directory, "1_Pooling/config.json", pooling, encoder->pooling);
        test_write_text(directory, "sentence_bert_config.json",
                        encoder->sentence != NULL ? encoder->sentence : "{\"max_seq_length\": 12}");
    }
    return directory;
}

/* ---- Comparing ------------------------------------------------------------------------------- */

/* The source of row `row`, of the tensor's own name but for q, k and v; NULL for padding. */
static const test_tensor *source_of_row(const test_tensors *tensors, const pith_slot *slot,
                                        size_t hidden, size_t row, size_t *source_row) {
    static const char *const blocks[] = {"query", "key", "value"};
    const char *qkv = strstr(slot->name, ".qkv.");
    char name[128];
    *source_row = row;
    snprintf(name, sizeof name, "%s", slot->name);
    if (qkv != NULL) {
        size_t block = (hidden + 15) / 16 * 16;
        *source_row = row % block;
        snprintf(name, sizeof name, "%.*s.%s.%s", (int)(qkv - slot->name), slot->name,
                 blocks[row / block], qkv + strlen(".qkv."));
    }
    const test_tensor *t = test_tensors_find(tensors, name);
    return *source_row < t->shape[0] ? t : NULL;
}

/* Half a unit of the last place for floats; for the packed types, of blocks of a few dozen columns,
 * somewhat more than Gaussian weights give. */
static double error_limit(pith_type type) {
    static const double limits[PITH_N_TYPES] = {
        [PITH_TYPE_F32] = 0.0,   [PITH_TYPE_F16] = 0.0005, [PITH_TYPE_BF16] = 0.004,
        [PITH_TYPE_INT8] = 0.01, [PITH_TYPE_INT4] = 0.078,
    };
    return limits[type];
}

static const char *compare_slot(const test_tensors *tensors, const pith_slot *slot,
                                const pith_slot_place *place, size_t hidden) {
    static char what[256];
    float found[1024], wanted[1024];
    double error = 0, weight = 0;
    for (size_t row = 0; row < slot->rows; row++) {
        size_t source_row;
        const test_tensor *t = source_of_row(tensors, slot, hidden, row, &source_row);
        memset(wanted, 0, sizeof wanted);
        if (t != NULL) {
            test_tensor_row(t, source_row, slot->cols, wanted);
        }
        if (slot->is_matrix) {
            pith_matrix_row(place->matrix, row, found);
        } else {
            found[0] = (*place->vector)[row];
        }
        bool exact = t == NULL || !slot->is_matrix || slot->kind == PITH_KIND_TABLE;
        for (size_t k = 0; k < slot->cols; k++) {
            double difference = (double)found[k] - (double)wanted[k];
            if (exact && difference != 0.0) {
                snprintf(what, sizeof what, "%s: row %zu, column %zu: %g, expected %g", slot->name,
                         row, k, (double)found[k], (double)wanted[k]);
                return what;
            }
            error += difference * difference;
            weight += (double)wanted[k] * (double)wanted[k];
        }
    }
    double limit = slot->is_matrix ? error_limit(place->matrix->type) : 0.0;
    if (sqrt(error) > limit * sqrt(weight)) {
        snprintf(what, sizeof what, "%s: relative error %g, limit %g", slot->name,
                 sqrt(error / weight), limit);
        return what;
    }
    return NULL;
}

const char *test_compare_encoder(pith_model_file *file, const test_tensors *tensors) {
    pith_slot slot;
    pith_slot_place place;
    for (unsigned part = 0; part < pith_family_n_parts(file->family); part++) {
        for (size_t layer = pith_family_first_layer(file->family, part);
             pith_model_file_slot(file, part, layer, &slot, &place); layer++) {
            const char *wrong =
                compare_slot(tensors, &slot, &place, file->network.config.hidden_size);
            if (wrong != NULL) {
                return wrong;
            }
        }
    }
    return NULL;
}

/* ---- Conversions ----------------------------------------------------------------------------- */

pith_status test_convert_encoder(const char *source, const char *out, pith_type type,
                                 char *warnings, pith_error *error) {
    char ignored[4096] = "";
    const pith_convert_options options = {
        .type = type,
        .head_type = PITH_N_TYPES,
        .n_threads = 2,
        .log = {test_collect_warnings, warnings != NULL ? warnings : ignored},
    };
    return pith_convert(source, out, &options, error);
}

pith_model_file *test_converted_encoder(const char *source, pith_type type, char *warnings) {
    const char *out = test_path("encoder.pith");
    pith_error error = {0};
    CHECK(test_convert_encoder(source, out, type, warnings, &error) == PITH_OK, "%s: %s", source,
          error.message);
    pith_model_file *file = test_open_file(out);
    CHECK(file->family == &pith_family_bert, "%s: not an encoder", source);
    return file;
}

pith_config test_encoder_config_of(const char *name, const test_encoder *encoder) {
    pith_model_file *file =
        test_converted_encoder(test_make_encoder(name, encoder), PITH_TYPE_INT8, NULL);
    pith_config config = file->network.config;
    pith_model_file_close(file);
    return config;
}

void test_refuse_encoder(const char *name, const test_encoder *encoder, pith_status expected,
                         const char *words) {
    pith_error error = {0};
    const char *source = test_make_encoder(name, encoder);
    pith_status status =
        test_convert_encoder(source, test_path("refused.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == expected && strstr(error.message, words) != NULL,
          "%s: %s: \"%s\", expected \"%s\"", name, pith_status_name(status), error.message, words);
    CHECK(access(test_path("refused.pith"), F_OK) != 0, "%s: published", name);
}
