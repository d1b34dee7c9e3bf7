/* GGUF files as checkpoints: what their keys become, rows that are put back in order, types, the
 * tokenizer, split files, and one test per way of being wrong as a model. */
#include "base/file.h"
#include "convert/convert.h"
#include "tests/checkpoint.h"
#include "tests/gguf.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Those of the last conversion. */
static char warnings[4096];

static pith_convert_options options_of(pith_type type) {
    warnings[0] = '\0';
    return (pith_convert_options){.type = type,
                                  .head_type = PITH_N_TYPES,
                                  .n_threads = 1,
                                  .log = {test_collect_warnings, warnings}};
}

static test_converted convert(const test_gguf_model *model, const pith_convert_options *options) {
    pith_error error = {0};
    const char *out = test_path("out.pith");
    test_gguf_write_model(test_path("m.gguf"), model);
    pith_status status = pith_convert(test_path("m.gguf"), out, options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return test_open_converted(out);
}

static void check_refused(const test_gguf_model *model, pith_status expected, const char *words) {
    pith_error error = {0};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    test_gguf_write_model(test_path("bad.gguf"), model);
    pith_status status =
        pith_convert(test_path("bad.gguf"), test_path("bad.pith"), &options, &error);
    CHECK(status == expected, "%s: status %s: %s", words, pith_status_name(status), error.message);
    CHECK(strstr(error.message, "bad.gguf: ") != NULL && strstr(error.message, words) != NULL,
          "\"%s\" lacks \"%s\"", error.message, words);
    CHECK(access(test_path("bad.pith"), F_OK) != 0, "%s: something was published", words);
}

/* Checks that a model with one changed key says `words` in its metadata. */
static void check_config(test_gguf_change change, const char *words) {
    const test_gguf_model model = {.changes = {change}};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    test_converted out = convert(&model, &options);
    CHECK(strstr(out.metadata, words) != NULL, "%s: no %s in %s", change.key, words, out.metadata);
    test_close_converted(&out);
}

/* ---- Configuration --------------------------------------------------------------------------- */

TEST(convert_gguf, keys_become_hyper_parameters) {
    static const char *const members[] = {
        "\"vocab_size\":40",       "\"hidden_size\":32",         "\"intermediate_size\":64",
        "\"num_hidden_layers\":1", "\"num_attention_heads\":4",  "\"num_key_value_heads\":2",
        "\"head_dim\":8",          "\"rope_scaling\":\"none\"",  "\"max_position_embeddings\":128",
        "\"sliding_window\":0",    "\"rope_theta\":10000.0",     "\"tie_word_embeddings\":false",
        "\"qkv_bias\":false",      "\"architecture\":\"llama\"",
    };
    const test_gguf_model model = {.quantised = false};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    test_converted out = convert(&model, &options);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        CHECK(strstr(out.metadata, members[i]) != NULL, "no %s in %s", members[i], out.metadata);
    }
    CHECK(strstr(warnings, "no tokenizer") != NULL, "%s", warnings);
    test_close_converted(&out);
    CHECK_NO_LEAKS();
}

TEST(convert_gguf, each_key_has_its_place) {
    check_config((test_gguf_change){"llama.rope.freq_base", TEST_GGUF_F32, 500000, NULL},
                 "\"rope_theta\":500000.0");
    /* Floats that a decimal text was rounded to become that text's number again. */
    check_config((test_gguf_change){"llama.rope.freq_base", TEST_GGUF_F32, 12345.678, NULL},
                 "\"rope_theta\":12345.678");
}

TEST(convert_gguf, a_count_for_each_layer_is_one_count) {
    check_config((test_gguf_change){"llama.attention.head_count_kv", TEST_GGUF_LIST, 2, NULL},
                 "\"num_key_value_heads\":2");
}

/* Without the key all heads have keys of their own; the tensors contradict that here. */
TEST(convert_gguf, missing_kv_heads_are_all_heads) {
    const test_gguf_model model = {
        .changes = {{"llama.attention.head_count_kv", TEST_GGUF_GONE, 0, NULL}}};
    check_refused(&model, PITH_ERROR_FORMAT,
                  "tensor blk.0.attn_k.weight has shape [16, 32], the keys ask for [32, 32]");
}

TEST(convert_gguf, scaling_is_read) {
    static const test_gguf_model linear = {
        .changes = {{"llama.rope.scaling.type", TEST_GGUF_TEXT, 0, "linear"},
                    {"llama.rope.scaling.factor", TEST_GGUF_F32, 2.5, NULL}}};
    static const test_gguf_model old = {
        .changes = {{"llama.rope.scale_linear", TEST_GGUF_F32, 4, NULL}}};
    static const test_gguf_model yarn = {
        .changes = {{"llama.rope.scaling.type", TEST_GGUF_TEXT, 0, "yarn"},
                    {"llama.rope.scaling.factor", TEST_GGUF_F32, 4, NULL},
                    {"llama.rope.scaling.original_context_length", TEST_GGUF_U32, 32, NULL},
                    {"llama.rope.scaling.yarn_beta_fast", TEST_GGUF_F32, 24, NULL}}};
    /* The type is the newer key's, the factor the old one's. */
    static const test_gguf_model yarn_by_old_key = {
        .changes = {{"llama.rope.scaling.type", TEST_GGUF_TEXT, 0, "yarn"},
                    {"llama.rope.scale_linear", TEST_GGUF_F32, 4, NULL},
                    {"llama.rope.scaling.original_context_length", TEST_GGUF_U32, 32, NULL}}};
    static const struct {
        const test_gguf_model *model;
        const char *words[3];
    } cases[] = {
        {&linear, {"\"rope_scaling\":\"linear\"", "\"rope_factor\":2.5", ""}},
        {&old, {"\"rope_scaling\":\"linear\"", "\"rope_factor\":4.0", ""}},
        {&yarn, {"\"rope_scaling\":\"yarn\"", "\"rope_original_context\":32", "fast\":24.0"}},
        {&yarn_by_old_key, {"\"rope_scaling\":\"yarn\"", "\"rope_factor\":4.0", ""}},
    };
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_converted out = convert(cases[i].model, &options);
        for (size_t w = 0; w < 3; w++) {
            CHECK(strstr(out.metadata, cases[i].words[w]) != NULL, "no %s in %s", cases[i].words[w],
                  out.metadata);
        }
        test_close_converted(&out);
    }
}

/* Divisors by Llama 3.1's formula: waves of the original context that are longer than it are
 * stretched, those shorter than a quarter are not. */
static void llama3_divisors(double factor, double original, float out[4]) {
    for (int i = 0; i < 4; i++) {
        double wave = 2 * acos(-1.0) * pow(10000, 2.0 * i / 8);
        double share = (original / wave - 1) / (4 - 1);
        out[i] = (float)(wave < original / 4 ? 1
                         : wave > original   ? factor
                                             : 1 / ((1 - share) / factor + share));
    }
}

TEST(convert_gguf, finds_llama3_scaling_from_its_divisors) {
    float divisors[4];
    const test_gguf_model model = {.rope_freqs = divisors};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    llama3_divisors(8, 128, divisors);
    CHECK(divisors[1] > 1 && divisors[1] < 8, "no blend: %g", (double)divisors[1]);
    test_converted out = convert(&model, &options);
    CHECK(strstr(out.metadata, "\"rope_scaling\":\"llama3\"") != NULL &&
              strstr(out.metadata, "\"rope_factor\":8.0") != NULL &&
              strstr(out.metadata, "\"rope_original_context\":128") != NULL &&
              strstr(out.metadata, "\"rope_low_freq_factor\":1.0") != NULL &&
              strstr(out.metadata, "\"rope_high_freq_factor\":4.0") != NULL,
          "%s", out.metadata);
    test_close_converted(&out);
    CHECK(strstr(warnings, "rope_freqs") == NULL, "%s", warnings);
    divisors[1] *= 1.01F;
    check_refused(&model, PITH_ERROR_UNSUPPORTED, "rope_freqs.weight is not of Llama 3's form");
    divisors[1] = NAN;
    check_refused(&model, PITH_ERROR_UNSUPPORTED, "rope_freqs.weight is not of Llama 3's form");
}

TEST(convert_gguf, refuses_bad_keys) {
    static const struct {
        test_gguf_change change;
        pith_status status;
        const char *words;
    } cases[] = {
        {{"general.architecture", TEST_GGUF_GONE, 0, NULL},
         PITH_ERROR_FORMAT,
         "there is no key general.architecture"},
        {{"general.architecture", TEST_GGUF_TEXT, 0, "llam"},
         PITH_ERROR_UNSUPPORTED,
         "architecture llam is not supported; supported are llama, qwen2, qwen3, smollm3,"},
        {{"llama.block_count", TEST_GGUF_GONE, 0, NULL},
         PITH_ERROR_FORMAT,
         "there is no key llama.block_count"},
        {{"llama.block_count", TEST_GGUF_U32, 0, NULL},
         PITH_ERROR_FORMAT,
         "key llama.block_count is 0, not 1 to"},
        {{"llama.block_count", TEST_GGUF_EMPTY, 0, NULL},
         PITH_ERROR_FORMAT,
         "key llama.block_count is 0, not 1 to"},
        {{"llama.embedding_length", TEST_GGUF_EMPTY, 0, NULL},
         PITH_ERROR_FORMAT,
         "key llama.embedding_length is 0, not 1 to"},
        {{"llama.block_count", TEST_GGUF_U32, 2, NULL},
         PITH_ERROR_FORMAT,
         "no tensor blk.1.attn_norm.weight"},
        {{"llama.block_count", TEST_GGUF_TEXT, 0, "1"},
         PITH_ERROR_FORMAT,
         "key llama.block_count: expected an integer, found string"},
        {{"llama.attention.head_count", TEST_GGUF_U32, 3, NULL},
         PITH_ERROR_FORMAT,
         "key llama.attention.head_count_kv is 2, no divisor of the 3 heads"},
        {{"llama.attention.head_count_kv", TEST_GGUF_LIST, 4, NULL},
         PITH_ERROR_UNSUPPORTED,
         "head_count_kv: layers with 2 and 4 are not supported: all must be alike"},
        {{"llama.attention.value_length", TEST_GGUF_U32, 16, NULL},
         PITH_ERROR_UNSUPPORTED,
         "values of 16 elements with keys of 8"},
        {{"llama.attention.layer_norm_rms_epsilon", TEST_GGUF_F32, (double)NAN, NULL},
         PITH_ERROR_FORMAT,
         "layer_norm_rms_epsilon is nan, not positive and finite"},
        {{"llama.rope.freq_base", TEST_GGUF_F32, 0, NULL},
         PITH_ERROR_FORMAT,
         "key llama.rope.freq_base is 0, not positive"},
        {{"llama.rope.dimension_count", TEST_GGUF_U32, 16, NULL},
         PITH_ERROR_FORMAT,
         "key llama.rope.dimension_count is 16, not 1 to 8"},
        {{"llama.rope.dimension_count", TEST_GGUF_U32, 4, NULL},
         PITH_ERROR_UNSUPPORTED,
         "partial_rotary_factor 0.5"},
        {{"llama.rope.scaling.type", TEST_GGUF_TEXT, 0, "longrope"},
         PITH_ERROR_UNSUPPORTED,
         "key llama.rope.scaling.type: longrope is not supported"},
        {{"llama.expert_count", TEST_GGUF_U32, 8, NULL},
         PITH_ERROR_FORMAT,
         "there is no key llama.expert_used_count"},
        {{"llama.logit_scale", TEST_GGUF_F32, 0.5, NULL},
         PITH_ERROR_UNSUPPORTED,
         "key llama.logit_scale of 0.5"},
        {{"llama.feed_forward_length", TEST_GGUF_U32, 32, NULL},
         PITH_ERROR_FORMAT,
         "tensor blk.0.ffn_gate.weight has shape [64, 32], the keys ask for [32, 32]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const test_gguf_model model = {.changes = {cases[i].change}};
        check_refused(&model, cases[i].status, cases[i].words);
    }
}

/* Mistral's architecture is called llama too; only its window tells. */
TEST(convert_gguf, a_window_makes_it_mistral) {
    check_config((test_gguf_change){"llama.attention.sliding_window", TEST_GGUF_U32, 48, NULL},
                 "\"sliding_window\":48");
}

enum { MISTRAL3_CHANGES = 9 };

static test_gguf_model mistral3_model(void) {
    return (test_gguf_model){
        .changes = {{"general.architecture", TEST_GGUF_TEXT, 0, "mistral3"},
                    {"mistral3.block_count", TEST_GGUF_U32, 1, NULL},
                    {"mistral3.context_length", TEST_GGUF_U32, 128, NULL},
                    {"mistral3.embedding_length", TEST_GGUF_U32, TEST_GGUF_WIDTH, NULL},
                    {"mistral3.feed_forward_length", TEST_GGUF_U32, 64, NULL},
                    {"mistral3.attention.head_count", TEST_GGUF_U32, 4, NULL},
                    {"mistral3.attention.head_count_kv", TEST_GGUF_U32, 2, NULL},
                    {"mistral3.attention.layer_norm_rms_epsilon", TEST_GGUF_F32, 1e-5, NULL},
                    {"mistral3.rope.freq_base", TEST_GGUF_F32, 5e5, NULL}}};
}

/* Architecture mistral3 is Ministral 3's by its scaling; Mistral's without one have it, too. Keys
 * that say so in either way, and queries that grow, which Mistral's do not. */
TEST(convert_gguf, mistral3_without_scaling_is_mistral) {
    test_gguf_model model = mistral3_model();
    static const char key[] = "mistral3.rope.scaling.type";
    static const test_gguf_change types[] = {{key, TEST_GGUF_GONE, 0, NULL},
                                             {key, TEST_GGUF_TEXT, 0, "none"}};
    const test_gguf_change beta = {"mistral3.attention.temperature_scale", TEST_GGUF_F32, 0.25,
                                   NULL};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    for (size_t i = 0; i < 2; i++) {
        model.changes[9] = types[i];
        model.changes[10].key = NULL;
        test_converted out = convert(&model, &options);
        CHECK(strstr(out.metadata, "\"architecture\":\"llama\"") != NULL &&
                  strstr(out.metadata, "\"sliding_window\":0") != NULL &&
                  strstr(out.metadata, "\"rope_scaling\":\"none\"") != NULL &&
                  strstr(out.metadata, "\"rope_theta\":500000.0") != NULL,
              "%zu: %s", i, out.metadata);
        test_close_converted(&out);
        model.changes[10] = beta;
        check_refused(&model, PITH_ERROR_UNSUPPORTED,
                      "key mistral3.attention.temperature_scale of 0.25 is not supported");
    }
    model.changes[9] = (test_gguf_change){key, TEST_GGUF_TEXT, 0, "yarn"};
    test_converted out = convert(&model, &options);
    CHECK(strstr(out.metadata, "\"rope_scaling\":\"yarn\"") != NULL &&
              strstr(out.metadata, "\"rope_query_beta\":0.25") != NULL,
          "%s", out.metadata);
    test_close_converted(&out);
}

/* The old key of a linear scaling says as much as the newer one: it is no model without a scaling.
 * Queries that grow need the original context with either. */
TEST(convert_gguf, mistral3_may_have_the_old_key) {
    static const test_gguf_change linear[2][2] = {
        {{"mistral3.rope.scale_linear", TEST_GGUF_F32, 2, NULL},
         {"mistral3.rope.scaling.factor", TEST_GGUF_F32, 4, NULL}},
        {{"mistral3.rope.scaling.type", TEST_GGUF_TEXT, 0, "linear"},
         {"mistral3.rope.scaling.factor", TEST_GGUF_F32, 4, NULL}}};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    for (size_t i = 0; i < 2; i++) {
        test_gguf_model model = mistral3_model();
        memcpy(&model.changes[MISTRAL3_CHANGES], linear[i], sizeof linear[i]);
        test_converted out = convert(&model, &options);
        CHECK(strstr(out.metadata, "\"rope_scaling\":\"linear\"") != NULL &&
                  strstr(out.metadata, "\"rope_factor\":4.0") != NULL,
              "%zu: %s", i, out.metadata);
        test_close_converted(&out);
        model.changes[MISTRAL3_CHANGES + 2] =
            (test_gguf_change){"mistral3.attention.temperature_scale", TEST_GGUF_F32, 0.25, NULL};
        check_refused(&model, PITH_ERROR_FORMAT, "rope_original_context is 0");
    }
}

/* ---- Tensors --------------------------------------------------------------------------------- */

/* Row `row` of an f32 matrix of the file holds `expected` everywhere. */
static void check_row(const test_converted *c, const char *name, size_t row, float expected) {
    float values[TEST_GGUF_WIDTH];
    pith_error error;
    const pith_tensor *tensor = pith_safetensors_find(c->header, name);
    CHECK(tensor != NULL && tensor->dtype == PITH_DTYPE_F32 && tensor->n_dims == 2 &&
              tensor->shape[1] == TEST_GGUF_WIDTH,
          "no f32 matrix %s", name);
    pith_status status = pith_file_read(&c->file, tensor->offset + row * sizeof values, values,
                                        sizeof values, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < TEST_GGUF_WIDTH; i++) {
        CHECK(values[i] == expected, "%s: row %zu is %g, not %g", name, row, (double)values[i],
              (double)expected);
    }
}

/* Rows r of a head of 8 are stored at 0 2 4 6 1 3 5 7; those of values are in order. */
TEST(convert_gguf, puts_rows_of_q_and_k_back) {
    static const size_t places[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    static const char qkv[] = "model.layers.0.self_attn.qkv_proj.weight";
    const test_gguf_model model = {.quantised = true};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    test_converted out = convert(&model, &options);
    for (size_t row = 0; row < 32; row++) {
        check_row(&out, qkv, row, (float)(row / 8 * 8 + places[row % 8]) / 64);
    }
    for (size_t row = 0; row < 16; row++) {
        check_row(&out, qkv, 32 + row, (float)(row / 8 * 8 + places[row % 8]) / 64);
        check_row(&out, qkv, 48 + row, (float)row / 64);
    }
    /* Tiles of 16 rows of gate and up in turn; Q8_0 here. */
    for (size_t row = 0; row < 128; row++) {
        check_row(&out, "model.layers.0.mlp.gate_up_proj.weight", row,
                  (float)(row / 32 * 16 + row % 16) / 64);
    }
    test_close_converted(&out);
    CHECK_NO_LEAKS();
}

TEST(convert_gguf, puts_biases_of_q_and_k_back) {
    static const size_t places[8] = {0, 2, 4, 6, 1, 3, 5, 7};
    float values[64];
    pith_error error;
    const test_gguf_model model = {.biases = true};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    test_converted out = convert(&model, &options);
    const pith_tensor *bias =
        pith_safetensors_find(out.header, "model.layers.0.self_attn.qkv_proj.bias");
    CHECK(bias != NULL && bias->size == sizeof values, "no bias of 64 elements");
    CHECK(pith_file_read(&out.file, bias->offset, values, sizeof values, &error) == PITH_OK, "%s",
          error.message);
    for (size_t i = 0; i < 64; i++) {
        size_t row = i < 32 ? i : i < 48 ? i - 32 : i - 48;
        size_t from = i < 48 ? row / 8 * 8 + places[row % 8] : row;
        CHECK(values[i] == (float)from / 64, "element %zu is %g", i, (double)values[i]);
    }
    test_close_converted(&out);
}

TEST(convert_gguf, a_missing_head_is_the_embedding) {
    const test_gguf_model model = {.without = "output.weight"};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    test_converted out = convert(&model, &options);
    CHECK(strstr(out.metadata, "\"tie_word_embeddings\":true") != NULL, "%s", out.metadata);
    CHECK(pith_safetensors_find(out.header, "lm_head.weight") == NULL, "there is a head");
    test_close_converted(&out);
    const test_gguf_model worse = {.without = "blk.0.ffn_up.weight"};
    check_refused(&worse, PITH_ERROR_FORMAT, "no tensor blk.0.ffn_up.weight");
}

/* ---- The type -------------------------------------------------------------------------------- */

TEST(convert_gguf, quantised_weights_become_int8) {
    const test_gguf_model model = {.quantised = true, .tokenizer = true};
    pith_convert_options options = options_of(PITH_N_TYPES);
    test_converted out = convert(&model, &options);
    CHECK(strstr(out.metadata, "\"type\":\"int8\"") != NULL &&
              strstr(out.metadata, "\"head_type\":\"int8\"") != NULL,
          "%s", out.metadata);
    CHECK(warnings[0] == '\0', "%s", warnings);
    test_close_converted(&out);
    options.memory = 10000;
    out = convert(&model, &options);
    CHECK(strstr(warnings, "as int8 the weights take 0 MB, and this machine has 0 MB of memory; "
                           "--type int4 takes 0 MB") != NULL,
          "%s", warnings);
    test_close_converted(&out);
}

TEST(convert_gguf, other_weights_ask_for_a_type) {
    const test_gguf_model model = {.tokenizer = true};
    const pith_convert_options options = options_of(PITH_N_TYPES);
    pith_error error = {0};
    test_gguf_write_model(test_path("plain.gguf"), &model);
    pith_status status =
        pith_convert(test_path("plain.gguf"), test_path("plain.pith"), &options, &error);
    CHECK(status == PITH_ERROR_ARGUMENT && strstr(error.message, "--type must say") != NULL, "%s",
          error.message);
    CHECK_NO_LEAKS();
}

/* ---- Tokenizer ------------------------------------------------------------------------------- */

TEST(convert_gguf, all_end_tokens_end_a_text) {
    static const test_gguf_model model = {
        .changes = {{"tokenizer.ggml.eot_token_id", TEST_GGUF_U32, 7, NULL},
                    {"tokenizer.ggml.eom_token_id", TEST_GGUF_U32, 2, NULL},
                    {"tokenizer.chat_template", TEST_GGUF_TEXT, 0, "{{ messages }}"}},
        .tokenizer = true};
    const pith_convert_options options = options_of(PITH_TYPE_F32);
    test_converted out = convert(&model, &options);
    CHECK(strstr(out.metadata, "\"eos\":[2,7]") != NULL, "%s", out.metadata);
    CHECK(strstr(out.metadata, "\"bos\":1") != NULL, "%s", out.metadata);
    CHECK(strstr(out.metadata, "\"add_bos\":true") != NULL, "%s", out.metadata);
    CHECK(strstr(out.metadata, "{{ messages }}") != NULL, "%s", out.metadata);
    CHECK(pith_safetensors_find(out.header, "tokenizer.scores") != NULL, "no scores");
    test_close_converted(&out);
    CHECK_NO_LEAKS();
}

TEST(convert_gguf, refuses_a_tokenizer_beside_the_file) {
    const test_gguf_model model = {.tokenizer = true};
    pith_convert_options options = options_of(PITH_TYPE_F32);
    pith_error error = {0};
    options.tokenizer_path = "tokenizer.model";
    test_gguf_write_model(test_path("own.gguf"), &model);
    pith_status status =
        pith_convert(test_path("own.gguf"), test_path("own.pith"), &options, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "its own tokenizer") != NULL,
          "%s", error.message);
}

/* ---- Faults ---------------------------------------------------------------------------------- */

TEST(convert_gguf, survives_every_failed_allocation) {
    const test_gguf_model model = {.quantised = true, .tokenizer = true};
    const char *directory = test_make_directory("memory-of-gguf");
    bool failed = true;
    size_t n = 0;
    test_gguf_write_model(test_join(directory, "m.gguf"), &model);
    while (failed) {
        test_allocator memory;
        pith_error error = {0};
        pith_convert_options options = options_of(PITH_N_TYPES);
        test_allocator_init(&memory);
        memory.fail_at = ++n;
        options.allocator = &memory.allocator;
        pith_status status = pith_convert(test_join(directory, "m.gguf"),
                                          test_join(directory, "m.pith"), &options, &error);
        failed = memory.n_calls >= n;
        CHECK(memory.n_live == 0, "allocation %zu: %zu blocks leaked", n, (size_t)memory.n_live);
        CHECK(status == (failed ? PITH_ERROR_MEMORY : PITH_OK), "allocation %zu: %s: %s", n,
              pith_status_name(status), error.message);
    }
    CHECK(n > 20, "only %zu allocations", n);
    CHECK_NO_LEAKS();
}

/* The weights are cut off while they are read: their size was checked when the file was opened. */
static bool cut_file(void *user, size_t done, size_t total) {
    (void)done;
    (void)total;
    return truncate(user, 4096) == 0;
}

TEST(convert_gguf, reports_a_file_that_shrinks) {
    const test_gguf_model model = {.tokenizer = true};
    char path[512];
    pith_error error = {0};
    pith_convert_options options = options_of(PITH_TYPE_F32);
    snprintf(path, sizeof path, "%s", test_path("shrinks.gguf"));
    test_gguf_write_model(path, &model);
    options.progress = cut_file;
    options.progress_user = path;
    pith_status status = pith_convert(path, test_path("shrinks.pith"), &options, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "truncated") != NULL, "%s",
          error.message);
    CHECK_NO_LEAKS();
}
