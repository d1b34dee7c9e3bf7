/* Whole conversions: every reference checkpoint in every type against the checkpoint's own values,
 * and what the file says about where it came from. */
#include "convert/convert.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/pith_file.h"

#include <math.h>
#include <sodium/crypto_hash_sha256.h>
#include <sodium/utils.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const checkpoints[] = {
    "llama-mha", "llama-gqa", "codellama", "llama-tied", "llama-linear", "llama3", "llama-bias",
};
enum { N_CHECKPOINTS = sizeof checkpoints / sizeof checkpoints[0] };

static pith_convert_options options_of(pith_type type) {
    return (pith_convert_options){.type = type, .head_type = PITH_N_TYPES, .n_threads = 2};
}

static const char *checkpoint_path(const char *name) {
    char relative[64];
    snprintf(relative, sizeof relative, "golden/%s", name);
    return test_root(relative);
}

static void convert(const char *source, const char *out, const pith_convert_options *options) {
    pith_error error = {0};
    pith_status status = pith_convert(source, out, options, &error);
    CHECK(status == PITH_OK, "%s: %s", source, error.message);
}

/* ---- The checkpoint's own values ------------------------------------------------------------- */

/* Row i of the first half of what turns of a head is row 2 i of the checkpoint, of the second
 * 2 i + 1. */
static size_t neighbour_of(const pith_config *c, size_t row) {
    size_t dims = c->kinds[0].rope.dims;
    size_t within = row % c->head_dim;
    size_t half = dims / 2;
    return within < dims ? row - within + within % half * 2 + within / half : row;
}

/* Where row `row` of a joined tensor comes from; false for padding. Written from the layout's
 * description, not from the converter. */
static bool source_of_row(const pith_model_file *file, const pith_slot *slot, size_t row,
                          char name[128], size_t *source_row) {
    const pith_config *c = &file->metadata.config;
    const char *qkv = strstr(slot->name, "qkv_proj");
    const char *gate_up = strstr(slot->name, "gate_up_proj");
    *source_row = row;
    if (qkv != NULL) {
        pith_qkv_layout l = pith_config_qkv_layout(c);
        int block = row < l.k_begin ? 0 : row < l.v_begin ? 1 : 2;
        size_t begin = block == 0 ? 0 : block == 1 ? l.k_begin : l.v_begin;
        *source_row = row - begin;
        if (file->family->interleaved && block < 2) {
            *source_row = neighbour_of(c, *source_row);
        }
        snprintf(name, 128, "%.*s%c_proj%s", (int)(qkv - slot->name), slot->name, "qkv"[block],
                 qkv + strlen("qkv_proj"));
        return row - begin < (block == 0 ? l.q_rows : block == 1 ? l.k_rows : l.v_rows);
    }
    if (gate_up != NULL) {
        *source_row = c->gated ? row / 32 * 16 + row % 16 : row;
        snprintf(name, 128, "%.*s%s_proj%s", (int)(gate_up - slot->name), slot->name,
                 c->gated && row % 32 < 16 ? "gate" : "up", gate_up + strlen("gate_up_proj"));
        return *source_row < c->intermediate_size;
    }
    snprintf(name, 128, "%s", slot->name);
    return row < (slot->kind == PITH_KIND_HEAD    ? c->vocab_size
                  : slot->kind == PITH_KIND_TABLE ? c->n_experts
                                                  : c->hidden_size);
}

/* Relative error allowed for a matrix: half a unit of the last place for floats, and for the packed
 * types somewhat more than Gaussian weights give. */
static double error_limit(pith_type type) {
    static const double limits[PITH_N_TYPES] = {
        [PITH_TYPE_F32] = 0.0,   [PITH_TYPE_F16] = 0.0005, [PITH_TYPE_BF16] = 0.004,
        [PITH_TYPE_INT8] = 0.01, [PITH_TYPE_INT4] = 0.078,
    };
    return limits[type];
}

static void check_matrix(pith_model_file *file, const test_tensors *tensors, const pith_slot *slot,
                         const pith_matrix *m, const char *label) {
    float *expected = calloc(m->cols, sizeof *expected);
    float *found = calloc(m->cols, sizeof *found);
    double error = 0.0;
    double weight = 0.0;
    for (size_t row = 0; row < m->rows; row++) {
        char name[128];
        size_t source_row;
        bool real = source_of_row(file, slot, row, name, &source_row);
        memset(expected, 0, m->cols * sizeof *expected);
        if (real) {
            test_tensor_row(test_tensors_find(tensors, name), source_row, m->cols, expected);
        }
        pith_matrix_row(m, row, found);
        for (size_t k = 0; k < m->cols; k++) {
            double d = (double)expected[k] - (double)found[k];
            error += d * d;
            weight += (double)expected[k] * (double)expected[k];
            CHECK(real || found[k] == 0.0F, "%s %s: padding row %zu holds %g", label, slot->name,
                  row, (double)found[k]);
        }
    }
    CHECK(sqrt(error) <= error_limit(m->type) * sqrt(weight), "%s %s (%s): relative error %g",
          label, slot->name, pith_type_name(m->type), sqrt(error / weight));
    free(expected);
    free(found);
}

static void check_vector(pith_model_file *file, const test_tensors *tensors, const pith_slot *slot,
                         const float *values, const char *label) {
    for (size_t row = 0; row < slot->rows; row++) {
        char name[128];
        size_t source_row;
        float expected = 0.0F;
        if (source_of_row(file, slot, row, name, &source_row)) {
            test_tensor_row(test_tensors_find(tensors, name), source_row, 1, &expected);
        }
        CHECK(values[row] == expected, "%s %s element %zu: %g, expected %g", label, slot->name, row,
              (double)values[row], (double)expected);
    }
}

static void check_parts(pith_model_file *file, const test_tensors *tensors, const char *label) {
    for (unsigned part = 0; part < pith_family_n_parts(file->family); part++) {
        pith_slot slot;
        pith_slot_place place;
        for (size_t layer = pith_family_first_layer(file->family, part);
             pith_model_file_slot(file, part, layer, &slot, &place); layer++) {
            if (slot.is_matrix) {
                check_matrix(file, tensors, &slot, place.matrix, label);
            } else {
                check_vector(file, tensors, &slot, *place.vector, label);
            }
        }
    }
}

static void check_conversion(const char *name, pith_type type) {
    char label[64], out_name[80];
    snprintf(label, sizeof label, "%s-%s", name, pith_type_name(type));
    snprintf(out_name, sizeof out_name, "%s.pith", label);
    const pith_convert_options options = options_of(type);
    const char *out = test_path(out_name);
    convert(checkpoint_path(name), out, &options);
    test_tensors tensors = test_tensors_load(checkpoint_path(name));
    pith_model_file *file = test_open_file(out);
    const pith_metadata *metadata = &file->metadata;
    bool packed = type == PITH_TYPE_INT4 || type == PITH_TYPE_INT8;
    CHECK(metadata->type == type, "%s: type", label);
    CHECK(metadata->head_type == (packed ? PITH_TYPE_INT8 : type), "%s: head type", label);
    CHECK(file->network.embed.type == metadata->head_type &&
              file->network.head.type == metadata->head_type,
          "%s: embedding or head type", label);
    CHECK(metadata->n_eos == 1 && metadata->bos >= 0, "%s: special tokens", label);
    CHECK(file->vocab.n_pieces > 0 && file->vocab.n_pieces <= metadata->config.vocab_size,
          "%s: %zu pieces", label, file->vocab.n_pieces);
    check_parts(file, &tensors, label);
    pith_model_file_close(file);
    test_tensors_free(&tensors);
}

/* The rows of a joined tensor as tensors of their own. */
static void split(test_tensors *tensors, const char *joined, size_t layer, const char *const *parts,
                  const size_t *rows, size_t n_parts) {
    char name[96];
    size_t first = 0;
    snprintf(name, sizeof name, "model.layers.%zu.%s.weight", layer, joined);
    for (size_t i = 0; i < n_parts; i++) {
        char part[96];
        snprintf(part, sizeof part, "model.layers.%zu.%s.weight", layer, parts[i]);
        const test_tensor from = *test_tensors_find(tensors, name);
        size_t row_bytes = from.size / from.shape[0];
        test_tensor *to = test_tensors_add(tensors, part, from.dtype, 2, rows[i], from.shape[1]);
        memcpy(to->data, (const char *)from.data + first * row_bytes, rows[i] * row_bytes);
        first += rows[i];
    }
    CHECK(first == test_tensors_find(tensors, name)->shape[0], "%s has other rows", name);
}

static void split_layers(test_tensors *tensors, const pith_config *c) {
    static const char *const qkv[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"};
    static const char *const gate_up[] = {"mlp.gate_proj", "mlp.up_proj"};
    pith_qkv_layout l = pith_config_qkv_layout(c);
    for (size_t i = 0; i < c->num_hidden_layers; i++) {
        if (!c->qkv_bias) { /* GLM 4 has both apart */
            split(tensors, "self_attn.qkv_proj", i, qkv,
                  (const size_t[]){l.q_rows, l.k_rows, l.v_rows}, 3);
        }
        split(tensors, "mlp.gate_up_proj", i, gate_up,
              (const size_t[]){c->intermediate_size, c->intermediate_size}, 2);
    }
}

/* Norms that are stored as w and multiply by 1 + w. */
static void add_one_to_norms(test_tensors *tensors) {
    for (size_t i = 0; i < tensors->n; i++) {
        test_tensor *t = &tensors->items[i];
        if (strstr(t->name, "norm") == NULL) {
            continue;
        }
        float *values = calloc(t->shape[0], sizeof *values);
        for (size_t row = 0; row < t->shape[0]; row++) {
            test_tensor_row(t, row, 1, &values[row]);
            values[row] += 1;
        }
        free(t->data);
        t->data = values;
        t->dtype = PITH_DTYPE_F32;
        t->size = t->shape[0] * sizeof *values;
    }
}

/* Checkpoints of other families, as transformers 5 writes them and without tokenizers. */
TEST(convert, keeps_the_checkpoints_of_every_family) {
    static const struct {
        const char *name, *architecture;
        size_t n_kinds;
        bool joined, plus_one;
    } cases[] = {
        {"llama3-v5", "llama", 1, false, false},
        {"qwen2-window", "qwen2", 2, false, false}, /* older versions must not take it for llama */
        {"qwen3", "qwen3", 1, false, false},
        {"smollm3", "smollm3", 2, false, false},
        {"extra/granite", "granite", 1, false, false},
        {"extra/olmo2", "olmo2", 1, false, false},
        {"extra/phi3", "phi3", 1, true, false},
        {"extra/phi3-longrope", "phi3", 1, true, false},
        {"extra/ministral3", "ministral3", 1, false, false},
        {"extra/olmo3", "olmo3", 2, false, false},
        {"extra/qwen3-moe", "qwen3_moe", 1, false, false},
        {"extra/olmoe", "olmoe", 1, false, false},
        {"extra/gemma2", "gemma2", 2, false, true},
        {"extra/gemma3", "gemma3_text", 2, false, true},
        {"extra/arcee", "arcee", 1, false, false},
        {"extra/seed_oss", "seed_oss", 1, false, false},
        {"extra/ernie4_5", "ernie4_5", 1, false, false},
        {"extra/exaone4", "exaone4", 2, false, false},
        {"extra/glm4", "glm4", 1, true, false},
        {"extra/stablelm", "stablelm", 1, false, false},
    };
    for (size_t i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
        const char *name = cases[i / 2].name;
        const char *out = test_path("family.pith");
        const pith_convert_options options =
            options_of(i % 2 == 0 ? PITH_TYPE_F32 : PITH_TYPE_INT4);
        convert(checkpoint_path(name), out, &options);
        test_tensors tensors = test_tensors_load(checkpoint_path(name));
        pith_model_file *file = test_open_file(out);
        CHECK(strcmp(file->metadata.architecture, cases[i / 2].architecture) == 0, "%s: %s", name,
              file->metadata.architecture);
        CHECK(file->network.config.n_kinds == cases[i / 2].n_kinds, "%s: %zu kinds", name,
              file->network.config.n_kinds);
        if (cases[i / 2].joined) {
            split_layers(&tensors, &file->network.config);
        }
        if (cases[i / 2].plus_one) {
            add_one_to_norms(&tensors);
        }
        check_parts(file, &tensors, name);
        pith_model_file_close(file);
        test_tensors_free(&tensors);
    }
    CHECK_NO_LEAKS();
}

TEST(convert, keeps_every_checkpoint_in_every_type) {
    for (size_t i = 0; i < N_CHECKPOINTS; i++) {
        for (int type = 0; type < PITH_N_TYPES; type++) {
            check_conversion(checkpoints[i], (pith_type)type);
        }
    }
    CHECK_NO_LEAKS();
}

/* ---- What else is in the file ---------------------------------------------------------------- */

TEST(convert, carries_the_hyper_parameters) {
    static const struct {
        const char *name;
        size_t heads, kv_heads, positions;
        double theta;
        pith_rope_scaling scaling;
        int32_t bos, eos;
        bool tied, bias;
    } cases[] = {
        {"llama-gqa", 8, 2, 4096, 1e4, PITH_ROPE_NONE, 1, 2, false, false},
        {"codellama", 6, 3, 16384, 1e6, PITH_ROPE_NONE, 1, 2, false, false},
        {"llama-tied", 4, 2, 2048, 1e4, PITH_ROPE_NONE, 1, 2, true, false},
        {"llama-linear", 4, 2, 2048, 1e4, PITH_ROPE_LINEAR, 1, 2, false, false},
        {"llama3", 3, 1, 1024, 5e5, PITH_ROPE_BLEND, 756, 757, false, false},
        {"llama-bias", 3, 1, 2048, 1e4, PITH_ROPE_NONE, 1, 2, false, true},
    };
    const pith_convert_options options = options_of(PITH_TYPE_INT8);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *out = test_path("hyper.pith");
        convert(checkpoint_path(cases[i].name), out, &options);
        pith_model_file *file = test_open_file(out);
        const pith_metadata *m = &file->metadata;
        const pith_config *c = &m->config;
        CHECK(c->num_attention_heads == cases[i].heads &&
                  c->num_key_value_heads == cases[i].kv_heads &&
                  c->max_position_embeddings == cases[i].positions,
              "%s: counts", cases[i].name);
        CHECK(c->kinds[0].rope.theta == cases[i].theta &&
                  c->kinds[0].rope.scaling == cases[i].scaling,
              "%s: theta %g, scaling %d", cases[i].name, c->kinds[0].rope.theta,
              c->kinds[0].rope.scaling);
        CHECK(c->tie_word_embeddings == cases[i].tied && c->qkv_bias == cases[i].bias &&
                  c->o_bias == cases[i].bias && !c->mlp_bias,
              "%s: flags", cases[i].name);
        CHECK(m->bos == cases[i].bos && m->n_eos == 1 && m->eos[0] == cases[i].eos,
              "%s: bos %d, eos %d", cases[i].name, m->bos, m->eos[0]);
        CHECK(file->vocab.bos == cases[i].bos && file->vocab.eos == cases[i].eos,
              "%s: the tokenizer's bos %d, eos %d", cases[i].name, file->vocab.bos,
              file->vocab.eos);
        pith_model_file_close(file);
    }
}

static void hash_text(const void *data, size_t size, char text[PITH_SHA256_TEXT]) {
    unsigned char digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(digest, data, size);
    sodium_bin2hex(text, PITH_SHA256_TEXT, digest, sizeof digest);
}

/* Every hash in the metadata against the bytes in question. */
static void check_hashes(const char *source, const char *path) {
    pith_model_file *file = test_open_file(path);
    const pith_metadata *metadata = &file->metadata;
    char expected[PITH_SHA256_TEXT];
    size_t size;
    for (size_t i = 0; i < metadata->n_sources; i++) {
        const pith_source *note = &metadata->sources[i];
        void *bytes = test_read_file(test_join(source, note->name), &size);
        hash_text(bytes, size, expected);
        CHECK(note->size == size && strcmp(note->sha256, expected) == 0, "%s: %zu bytes, %s",
              note->name, note->size, note->sha256);
        free(bytes);
    }
    unsigned char *bytes = test_read_file(path, &size);
    CHECK(metadata->n_notes == pith_safetensors_count(file->header), "%zu notes, %zu tensors",
          metadata->n_notes, pith_safetensors_count(file->header));
    for (size_t i = 0; i < metadata->n_notes; i++) {
        const pith_tensor_note *note = &metadata->notes[i];
        const pith_tensor *tensor = pith_safetensors_find(file->header, note->name);
        hash_text(bytes + tensor->offset, tensor->size, expected);
        CHECK(strcmp(note->sha256, expected) == 0, "%s: %s, expected %s", note->name, note->sha256,
              expected);
    }
    free(bytes);
    pith_model_file_close(file);
}

TEST(convert, records_hashes_of_sources_and_tensors) {
    static const char *const names[] = {
        "config.json",
        "generation_config.json",
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
        "model.safetensors.index.json",
        "special_tokens_map.json",
        "tokenizer.json",
        "tokenizer_config.json",
    };
    enum { N_NAMES = sizeof names / sizeof names[0] };
    const pith_convert_options options = options_of(PITH_TYPE_INT4);
    const char *out = test_path("hashes.pith");
    convert(checkpoint_path("llama-gqa"), out, &options);
    check_hashes(checkpoint_path("llama-gqa"), out);
    pith_model_file *file = test_open_file(out);
    CHECK(file->metadata.n_sources == N_NAMES, "%zu sources", file->metadata.n_sources);
    for (size_t i = 0; i < N_NAMES; i++) {
        size_t j = 0;
        while (j < N_NAMES && strcmp(file->metadata.sources[j].name, names[i]) != 0) {
            j++;
        }
        CHECK(j < N_NAMES, "%s is not among the sources", names[i]);
    }
    pith_model_file_close(file);
    CHECK_NO_LEAKS();
}

/* Tensors that take several rounds on one thread (2.3 million weights each), and an odd last tile.
 */
TEST(convert, takes_large_tensors_in_bands) {
    const char *source = test_make_checkpoint("bands", "{\"vocab_size\": 70003}");
    pith_config config = test_checkpoint_config();
    config.vocab_size = 70003;
    test_tensors tensors = test_checkpoint_tensors(&config, 5);
    test_write_tensors(test_join(source, "model.safetensors"), &tensors, 0, tensors.n);
    for (size_t n = 1; n <= 2; n++) {
        pith_convert_options options = options_of(PITH_TYPE_INT8);
        options.n_threads = n;
        const char *out = test_path(n == 1 ? "bands-1.pith" : "bands-2.pith");
        convert(source, out, &options);
        check_hashes(source, out);
        pith_model_file *file = test_open_file(out);
        check_parts(file, &tensors, "bands");
        pith_model_file_close(file);
    }
    test_tensors_free(&tensors);
}

TEST(convert, gives_the_same_bytes_for_any_number_of_threads) {
    static const char *const names[] = {"llama-gqa", "llama-bias"};
    for (size_t i = 0; i < 2; i++) {
        void *first = NULL;
        size_t first_size = 0;
        for (size_t n = 1; n <= 3; n++) {
            pith_convert_options options = options_of(PITH_TYPE_INT4);
            options.n_threads = n;
            const char *out = test_path("threads.pith");
            size_t size;
            convert(checkpoint_path(names[i]), out, &options);
            void *bytes = test_read_file(out, &size);
            CHECK(n == 1 || (size == first_size && memcmp(bytes, first, size) == 0),
                  "%s: %zu threads give another file", names[i], n);
            if (n == 1) {
                first = bytes;
                first_size = size;
            } else {
                free(bytes);
            }
        }
        free(first);
    }
}

/* ---- Reports --------------------------------------------------------------------------------- */

typedef struct rows {
    size_t n, n_int4, n_int8, n_fell_back;
    double worst;
    size_t weights;
    char first[96];
} rows;

static void count_row(void *user, const pith_convert_row *row) {
    rows *seen = user;
    if (seen->n++ == 0) {
        snprintf(seen->first, sizeof seen->first, "%s", row->name);
    }
    seen->n_int4 += row->type == PITH_TYPE_INT4;
    seen->n_int8 += row->type == PITH_TYPE_INT8;
    seen->n_fell_back += row->fell_back;
    seen->weights += row->rows * row->cols;
    seen->worst = fmax(seen->worst, row->relative_error);
}

TEST(convert, reports_every_matrix) {
    rows seen = {0};
    pith_convert_options options = options_of(PITH_TYPE_INT4);
    options.report = count_row;
    options.report_user = &seen;
    convert(checkpoint_path("llama-gqa"), test_path("report.pith"), &options);
    CHECK(seen.n == 2 + 3 * 4 && seen.n_int4 == 3 * 4 && seen.n_int8 == 2, "%zu rows: %zu %zu",
          seen.n, seen.n_int4, seen.n_int8);
    CHECK(strcmp(seen.first, "model.embed_tokens.weight") == 0, "first is %s", seen.first);
    CHECK(seen.n_fell_back == 0 && seen.worst > 0.06 && seen.worst < 0.075, "%zu fell back, %g",
          seen.n_fell_back, seen.worst);
    size_t layer = 128 * (128 + 32 + 32 + 128) + 3 * 128 * 384;
    CHECK(seen.weights == 2 * 1000 * 128 + 3 * layer, "%zu weights", seen.weights);
}

/* ffn 172: the down projection of llama-mha cannot be int4. */
TEST(convert, falls_back_to_int8_where_int4_does_not_fit) {
    rows seen = {0};
    pith_convert_options options = options_of(PITH_TYPE_INT4);
    const char *out = test_path("fallback.pith");
    options.report = count_row;
    options.report_user = &seen;
    options.head_type = PITH_TYPE_INT4;
    convert(checkpoint_path("llama-mha"), out, &options);
    CHECK(seen.n_fell_back == 3 && seen.n_int8 == 3 && seen.n_int4 == 2 + 3 * 3,
          "%zu fell back, %zu int8, %zu int4", seen.n_fell_back, seen.n_int8, seen.n_int4);
    pith_model_file *file = test_open_file(out);
    CHECK(file->network.layers[1].down.matrix.type == PITH_TYPE_INT8, "down");
    CHECK(file->network.layers[1].gate_up.matrix.type == PITH_TYPE_INT4, "gate_up");
    CHECK(file->network.embed.type == PITH_TYPE_INT4, "embed");
    pith_model_file_close(file);
}
