/* Conversions by an importance file: what it changes, and the files of other models. */
#include "convert/convert.h"
#include "convert/importance.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pith_convert_options options_of(pith_type type) {
    return (pith_convert_options){.type = type, .head_type = PITH_N_TYPES, .n_threads = 2};
}

static void convert(const char *source, const char *out, const pith_convert_options *options) {
    pith_error error = {0};
    pith_status status = pith_convert(source, out, options, &error);
    CHECK(status == PITH_OK, "%s: %s", source, error.message);
}

/* Saves an importance file of llama-gqa's matrices, or of a model of other sizes: one for every
 * column, but for every fourth one of `marked`, if there is one. */
static void save_importance(const char *path, size_t n_layers, size_t hidden, const char *marked) {
    static const char *const matrices[] = {"self_attn.qkv_proj", "self_attn.o_proj",
                                           "mlp.gate_up_proj", "mlp.down_proj"};
    pith_importance *importance;
    pith_error error;
    float squares[384];
    CHECK(pith_importance_new(&importance, NULL, &error) == PITH_OK, "%s", error.message);
    for (size_t i = 0; i <= 4 * n_layers; i++) {
        char name[80] = "lm_head.weight";
        size_t n_cols = i < 4 * n_layers && i % 4 == 3 ? 384 : hidden;
        if (i < 4 * n_layers) {
            snprintf(name, sizeof name, "model.layers.%zu.%s.weight", i / 4, matrices[i % 4]);
        }
        for (size_t k = 0; k < n_cols; k++) {
            bool heavy = marked != NULL && strcmp(name, marked) == 0 && k % 4 == 0;
            squares[k] = heavy ? 30.0F : 1.0F;
        }
        CHECK(pith_importance_add(importance, name, squares, 1, n_cols, &error) == PITH_OK, "%s",
              error.message);
    }
    CHECK(pith_importance_save(importance, path, &error) == PITH_OK, "%s", error.message);
    pith_importance_free(importance);
}

/* Importance of one matrix changes that matrix and no other, and the importance file is a source.
 */
TEST(convert_importance, uses_importance) {
    static const char name[] = "model.layers.1.self_attn.qkv_proj.weight";
    save_importance(test_path("imp"), 3, 128, name);
    pith_convert_options options = options_of(PITH_TYPE_INT4);
    const char *plain_path = test_path("plain.pith");
    const char *guided_path = test_path("guided.pith");
    const char *importance_path = test_path("imp");
    convert(test_root("golden/llama-gqa"), plain_path, &options);
    options.importance_path = importance_path;
    convert(test_root("golden/llama-gqa"), guided_path, &options);
    pith_model_file *plain = test_open_file(plain_path);
    pith_model_file *guided = test_open_file(guided_path);
    for (size_t i = 0; i < plain->metadata.n_notes; i++) {
        const pith_tensor_note *a = &plain->metadata.notes[i];
        const pith_tensor_note *b = &guided->metadata.notes[i];
        bool same = strcmp(a->sha256, b->sha256) == 0;
        CHECK(same == (strcmp(a->name, name) != 0), "%s: %s", a->name, same ? "same" : "changed");
    }
    CHECK(guided->metadata.n_sources == plain->metadata.n_sources + 1, "%zu sources",
          guided->metadata.n_sources);
    pith_model_file_close(plain);
    pith_model_file_close(guided);
    CHECK_NO_LEAKS();
}

TEST(convert_importance, experts_have_no_importance) {
    pith_error error = {0};
    pith_convert_options options = options_of(PITH_TYPE_INT4);
    options.importance_path = "/dev/null";
    pith_status status =
        pith_convert(test_root("golden/extra/qwen3-moe"), test_path("moe.pith"), &options, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "experts is converted without an importance file") != NULL,
          "%s", error.message);
}

/* It would change nothing, and say nothing. */
TEST(convert_importance, refuses_the_importance_of_another_model) {
    static const struct {
        size_t n_layers, hidden;
        pith_type type, head_type;
        pith_status expected;
        const char *message;
    } cases[] = {
        {2, 128, PITH_TYPE_INT4, PITH_N_TYPES, PITH_ERROR_FORMAT,
         "of another model: it has no model.layers.2.self_attn.qkv_proj.weight"},
        {4, 128, PITH_TYPE_INT8, PITH_N_TYPES, PITH_ERROR_FORMAT,
         "of another model: this one has no model.layers.3."},
        {3, 256, PITH_TYPE_INT4, PITH_N_TYPES, PITH_ERROR_FORMAT, " has 256 columns, here 128"},
        {3, 128, PITH_TYPE_F16, PITH_N_TYPES, PITH_ERROR_ARGUMENT,
         "is used for int4 and int8 only, not for f16"},
        {3, 128, PITH_TYPE_F16, PITH_TYPE_INT8, PITH_OK, ""},
        {3, 128, PITH_TYPE_INT8, PITH_TYPE_F32, PITH_OK, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = test_path("other.importance");
        const char *out = test_path("other.pith");
        pith_convert_options options = options_of(cases[i].type);
        pith_error error = {0};
        save_importance(path, cases[i].n_layers, cases[i].hidden, NULL);
        options.head_type = cases[i].head_type;
        options.importance_path = path;
        pith_status status = pith_convert(test_root("golden/llama-gqa"), out, &options, &error);
        CHECK(status == cases[i].expected, "case %zu: %d, %s", i, (int)status, error.message);
        CHECK(strstr(error.message, cases[i].message) != NULL, "case %zu: %s", i, error.message);
        CHECK((access(out, F_OK) == 0) == (status == PITH_OK), "case %zu: the output", i);
        (void)remove(out);
    }
    CHECK_NO_LEAKS();
}
