/* config.json and generation_config.json: what is read, what is assumed, and what is refused. */
#include "base/memory.h"
#include "convert/hf_config.h"
#include "tests/checkpoint.h"
#include "tests/family_config.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *copy_text(const char *text) {
    return pith_copy_text(&pith_malloc_allocator, text, strlen(text));
}

static pith_status parse_with(pith_hf_config *out, const char *text, const char *generation,
                              const pith_allocator *allocator, pith_error *error) {
    char *copies[] = {copy_text(text), generation != NULL ? copy_text(generation) : NULL};
    pith_status status =
        pith_hf_config_parse(out, copies[0], strlen(text), copies[1],
                             generation != NULL ? strlen(generation) : 0, false, allocator, error);
    free(copies[0]);
    free(copies[1]);
    return status;
}

static pith_status parse_text(pith_hf_config *out, const char *text, const char *generation,
                              pith_error *error) {
    return parse_with(out, text, generation, &pith_malloc_allocator, error);
}

/* The base configuration with edits; it must parse. */
static pith_hf_config parse_good(const char *edits, const char *generation) {
    pith_hf_config out;
    pith_error error;
    char *text = test_config_text(edits);
    pith_status status = parse_text(&out, text, generation, &error);
    CHECK(status == PITH_OK, "%s: %s", edits, error.message);
    free(text);
    return out;
}

static void check_refused(const char *edits, const char *generation, pith_status expected,
                          const char *words) {
    pith_hf_config out;
    pith_error error = {0};
    char *text = test_config_text(edits);
    memset(&out, 7, sizeof out);
    pith_hf_config before;
    memcpy(&before, &out, sizeof out);
    pith_status status = parse_text(&out, text, generation, &error);
    CHECK(status == expected, "%s: status %s, expected %s (%s)", edits, pith_status_name(status),
          pith_status_name(expected), error.message);
    CHECK(strstr(error.message, words) != NULL, "%s: no \"%s\" in \"%s\"", edits, words,
          error.message);
    CHECK(memcmp(&out, &before, sizeof out) == 0, "%s: the output was touched", edits);
    free(text);
}

TEST(convert_config, reads_every_field) {
    pith_hf_config c = parse_good(
        "{\"attention_bias\": true, \"mlp_bias\": true, \"head_dim\": 16, \"rope_theta\": 500000,"
        " \"tie_word_embeddings\": true, \"pretraining_tp\": 2, \"torch_dtype\": \"bfloat16\"}",
        NULL);
    const pith_config *l = &c.config;
    CHECK(l->vocab_size == 40 && l->hidden_size == 32 && l->intermediate_size == 48, "%zu %zu %zu",
          l->vocab_size, l->hidden_size, l->intermediate_size);
    CHECK(l->num_hidden_layers == 2 && l->num_attention_heads == 4 && l->num_key_value_heads == 2,
          "%zu %zu %zu", l->num_hidden_layers, l->num_attention_heads, l->num_key_value_heads);
    CHECK(l->head_dim == 16 && l->max_position_embeddings == 64 && l->kinds[0].sliding_window == 0,
          "%zu %zu %zu", l->head_dim, l->max_position_embeddings, l->kinds[0].sliding_window);
    CHECK(l->norm_eps == 1e-5F && l->kinds[0].rope.theta == 500000.0, "%g %g", (double)l->norm_eps,
          l->kinds[0].rope.theta);
    CHECK(l->qkv_bias && l->o_bias && l->mlp_bias && l->tie_word_embeddings, "a flag is lost");
    CHECK(l->kinds[0].rope.scaling == PITH_ROPE_NONE, "%d", l->kinds[0].rope.scaling);
    CHECK(c.bos == 1 && c.n_eos == 1 && c.eos[0] == 2, "%d %zu %d", c.bos, c.n_eos, c.eos[0]);
    CHECK_NO_LEAKS();
}

/* Absent keys: LlamaConfig, MistralConfig and the like of transformers. */
TEST(convert_config, assumes_what_the_configuration_classes_do) {
    static const struct {
        const char *text;
        size_t vocab, hidden, inner, layers, heads, kv_heads, head_dim, positions, window;
        double theta;
        bool tied, qkv_bias;
        int32_t bos;
        size_t n_eos;
    } cases[] = {
        {"{\"architectures\": [\"LlamaForCausalLM\"]}", 32000, 4096, 11008, 32, 32, 32, 128, 2048,
         0, 1e4, false, false, 1, 1},
        {"{\"model_type\": \"mistral\"}", 32000, 4096, 14336, 32, 32, 8, 128, 131072, 4096, 1e4,
         false, false, 1, 1},
        {"{\"model_type\": \"qwen2\"}", 151936, 4096, 22016, 32, 32, 32, 128, 32768, 0, 1e4, false,
         true, -1, 0},
        {"{\"model_type\": \"qwen3\"}", 151936, 4096, 22016, 32, 32, 32, 128, 32768, 0, 1e4, false,
         false, -1, 0},
        {"{\"model_type\": \"qwen3\", \"hidden_size\": 2560}", 151936, 2560, 22016, 32, 32, 32, 128,
         32768, 0, 1e4, false, false, -1, 0},
        {"{\"model_type\": \"granite\"}", 32000, 4096, 11008, 32, 32, 32, 128, 2048, 0, 1e4, false,
         false, 1, 1},
        {"{\"model_type\": \"olmo2\", \"rms_norm_eps\": 1e-6}", 50304, 4096, 11008, 32, 32, 32, 128,
         2048, 0, 1e4, false, false, -1, 1},
        {"{\"model_type\": \"phi3\", \"rms_norm_eps\": 1e-6}", 32064, 3072, 8192, 32, 32, 32, 96,
         4096, 0, 1e4, false, false, 1, 1},
        {"{\"model_type\": \"ministral3\", \"rms_norm_eps\": 1e-6}", 131072, 4096, 14336, 34, 32, 8,
         128, 262144, 0, 1e6, false, false, 1, 1},
        {"{\"model_type\": \"olmo3\", \"rms_norm_eps\": 1e-6}", 50304, 4096, 11008, 32, 32, 32, 128,
         2048, 4096, 5e5, false, false, -1, 1},
        {"{\"model_type\": \"mixtral\", \"rms_norm_eps\": 1e-6}", 32000, 4096, 14336, 32, 32, 8,
         128, 131072, 0, 1e6, false, false, 1, 1},
        {"{\"model_type\": \"olmoe\", \"rms_norm_eps\": 1e-6}", 50304, 2048, 2048, 16, 16, 16, 128,
         4096, 0, 1e4, false, false, -1, 1},
        {"{\"model_type\": \"granitemoe\"}", 32000, 4096, 11008, 32, 32, 32, 128, 2048, 0, 1e4,
         false, false, 1, 1},
        {"{\"model_type\": \"qwen3_moe\"}", 151936, 2048, 768, 24, 32, 4, 64, 32768, 0, 1e4, false,
         false, -1, 0},
        {"{\"model_type\": \"gemma2\"}", 256000, 2304, 9216, 26, 8, 4, 256, 8192, 4096, 1e4, true,
         false, 2, 1},
        {"{\"model_type\": \"gemma3_text\"}", 262208, 2304, 9216, 26, 8, 4, 256, 131072, 4096, 1e4,
         true, false, 2, 1},
        {"{\"model_type\": \"smollm3\"}", 128256, 2048, 11008, 36, 16, 4, 128, 32768, 0, 2e6, true,
         false, 128000, 1},
        {"{\"model_type\": \"arcee\", \"rms_norm_eps\": 1e-6, \"vocab_size\": 128004}", 128004,
         2560, 18432, 32, 32, 32, 80, 4096, 0, 1e4, false, false, 128000, 1},
        {"{\"model_type\": \"arcee\", \"rms_norm_eps\": 1e-6}", 32000, 2560, 18432, 32, 32, 32, 80,
         4096, 0, 1e4, false, false, -1, 0},
        {"{\"model_type\": \"seed_oss\"}", 155136, 4096, 27648, 64, 80, 8, 128, 524288, 0, 1e4,
         false, true, 0, 1},
        {"{\"model_type\": \"ernie4_5\", \"rms_norm_eps\": 1e-6}", 103424, 1024, 3072, 18, 16, 2,
         128, 131072, 0, 5e5, true, false, 1, 1},
        {"{\"model_type\": \"hunyuan_v1_dense\", \"rms_norm_eps\": 1e-6}", 290943, 4096, 11008, 32,
         32, 32, 128, 2048, 0, 1e4, false, false, 1, 1},
        {"{\"model_type\": \"exaone4\", \"rms_norm_eps\": 1e-6}", 102400, 4096, 16384, 32, 32, 32,
         128, 2048, 4096, 1e4, false, false, 0, 1},
        {"{\"model_type\": \"glm4\", \"rms_norm_eps\": 1e-6}", 151552, 4096, 13696, 40, 32, 2, 128,
         131072, 0, 1e4, false, true, -1, 3},
        {"{\"model_type\": \"stablelm\", \"layer_norm_eps\": 1e-6}", 50304, 2560, 6912, 32, 32, 32,
         80, 4096, 0, 1e4, false, false, 0, 1},
        {"{\"model_type\": \"starcoder2\", \"norm_epsilon\": 1e-6, \"use_bias\": false}", 49152,
         3072, 12288, 30, 24, 2, 128, 4096, 0, 1e4, true, false, -1, 0},
        {"{\"model_type\": \"starcoder2\", \"norm_epsilon\": 1e-6, \"use_bias\": false, "
         "\"vocab_size\": 50304}",
         50304, 3072, 12288, 30, 24, 2, 128, 4096, 0, 1e4, true, false, 50256, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_hf_config c;
        pith_error error;
        pith_status status = parse_text(&c, cases[i].text, NULL, &error);
        CHECK(status == PITH_OK, "%s: %s", cases[i].text, error.message);
        const pith_config *l = &c.config;
        CHECK(l->vocab_size == cases[i].vocab && l->hidden_size == cases[i].hidden &&
                  l->intermediate_size == cases[i].inner &&
                  l->num_hidden_layers == cases[i].layers &&
                  l->num_attention_heads == cases[i].heads,
              "%s: sizes", cases[i].text);
        CHECK(l->num_key_value_heads == cases[i].kv_heads, "%s: %zu", cases[i].text,
              l->num_key_value_heads);
        CHECK(l->head_dim == cases[i].head_dim, "%s: %zu", cases[i].text, l->head_dim);
        CHECK(l->max_position_embeddings == cases[i].positions, "%s: %zu", cases[i].text,
              l->max_position_embeddings);
        CHECK(l->kinds[0].sliding_window == cases[i].window, "%s: %zu", cases[i].text,
              l->kinds[0].sliding_window);
        CHECK(l->qkv_bias == cases[i].qkv_bias && !l->o_bias && !l->mlp_bias, "%s: biases",
              cases[i].text);
        CHECK(l->norm_eps == 1e-6F && l->kinds[0].rope.theta == cases[i].theta &&
                  l->tie_word_embeddings == cases[i].tied,
              "%s: %g %g", cases[i].text, (double)l->norm_eps, l->kinds[0].rope.theta);
        CHECK(c.bos == cases[i].bos && c.n_eos == cases[i].n_eos, "%s: %d %zu", cases[i].text,
              c.bos, c.n_eos);
    }
}

TEST(convert_config, derives_heads_from_null) {
    pith_hf_config c = parse_good("{\"num_key_value_heads\": null, \"head_dim\": null}", NULL);
    CHECK(c.config.num_key_value_heads == 4, "%zu", c.config.num_key_value_heads);
    CHECK(c.config.head_dim == 8, "%zu", c.config.head_dim);
    c = parse_good("{\"num_key_value_heads\": \"(absent)\"}", NULL);
    CHECK(c.config.num_key_value_heads == 4, "%zu", c.config.num_key_value_heads);
}

#define LLAMA3                                                            \
    "\"factor\": 8, \"low_freq_factor\": 1.0, \"high_freq_factor\": 4.0," \
    " \"original_max_position_embeddings\": 32"

TEST(convert_config, reads_all_spellings_of_rope_scaling) {
    static const struct {
        const char *edits;
        pith_rope_scaling scaling;
        double factor, theta;
    } cases[] = {
        {"{\"rope_scaling\": null}", PITH_ROPE_NONE, 0, 1e4},
        {"{\"rope_scaling\": \"(absent)\"}", PITH_ROPE_NONE, 0, 1e4},
        {"{\"rope_scaling\": {\"rope_type\": \"default\"}}", PITH_ROPE_NONE, 0, 1e4},
        {"{\"rope_scaling\": {}}", PITH_ROPE_NONE, 0, 1e4},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2.0}}", PITH_ROPE_LINEAR, 2, 1e4},
        {"{\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 4}}", PITH_ROPE_LINEAR, 4,
         1e4},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"rope_type\": \"linear\", \"factor\": 3}}",
         PITH_ROPE_LINEAR, 3, 1e4},
        {"{\"rope_scaling\": {\"rope_type\": \"llama3\", " LLAMA3 "}}", PITH_ROPE_BLEND, 8, 1e4},
        {"{\"rope_scaling\": {\"type\": \"llama3\", " LLAMA3 "}}", PITH_ROPE_BLEND, 8, 1e4},
        {"{\"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 500000.0}}",
         PITH_ROPE_NONE, 0, 5e5},
        {"{\"rope_theta\": \"(absent)\", \"rope_parameters\": {\"rope_type\": \"llama3\","
         " \"rope_theta\": 500000, " LLAMA3 "}}",
         PITH_ROPE_BLEND, 8, 5e5},
        {"{\"partial_rotary_factor\": 1.0, \"rope_scaling\": {\"partial_rotary_factor\": 1}}",
         PITH_ROPE_NONE, 0, 1e4},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_hf_config c = parse_good(cases[i].edits, NULL);
        CHECK(c.config.kinds[0].rope.scaling == cases[i].scaling, "%s: %d", cases[i].edits,
              c.config.kinds[0].rope.scaling);
        CHECK(c.config.kinds[0].rope.factor == cases[i].factor, "%s: %g", cases[i].edits,
              c.config.kinds[0].rope.factor);
        CHECK(c.config.kinds[0].rope.theta == cases[i].theta, "%s: %g", cases[i].edits,
              c.config.kinds[0].rope.theta);
        if (cases[i].scaling == PITH_ROPE_BLEND) {
            CHECK(c.config.kinds[0].rope.low_freq_factor == 1 &&
                      c.config.kinds[0].rope.high_freq_factor == 4 &&
                      c.config.kinds[0].rope.original_context == 32,
                  "%s: %g %g %zu", cases[i].edits, c.config.kinds[0].rope.low_freq_factor,
                  c.config.kinds[0].rope.high_freq_factor, c.config.kinds[0].rope.original_context);
        }
    }
}

/* What is left open is as transformers' _compute_yarn_parameters has it; max_position_embeddings is
 * 64. The temperatures are 0.1 m ln(factor) + 1. */
TEST(convert_config, fills_in_what_yarn_leaves_open) {
    static const struct {
        const char *keys;
        double factor;
        size_t original;
        double attention, fast, slow;
        bool truncate;
    } cases[] = {
        {"\"factor\": 4", 4, 64, 1.138629436111989, 32, 1, true},
        {"\"factor\": 4.0, \"original_max_position_embeddings\": 32", 4, 32, 1.138629436111989, 32,
         1, true},
        {"\"factor\": null, \"original_max_position_embeddings\": 32", 2, 32, 1.0693147180559945,
         32, 1, true},
        {"\"factor\": 0.5", 0.5, 64, 1, 32, 1, true},
        {"\"factor\": 4, \"attention_factor\": 1.25", 4, 64, 1.25, 32, 1, true},
        {"\"factor\": 4, \"attention_factor\": null, \"beta_fast\": null, \"beta_slow\": 0", 4, 64,
         1.138629436111989, 32, 1, true},
        {"\"factor\": 4, \"beta_fast\": 24, \"beta_slow\": 2.5, \"truncate\": false", 4, 64,
         1.138629436111989, 24, 2.5, false},
        {"\"factor\": 4, \"mscale\": 1.0, \"mscale_all_dim\": 1.0", 4, 64, 1, 32, 1, true},
        {"\"factor\": 4, \"mscale\": 2, \"mscale_all_dim\": 0.5", 4, 64, 1.1944648761087142, 32, 1,
         true},
        {"\"factor\": 4, \"mscale\": 2", 4, 64, 1.138629436111989, 32, 1, true},
        {"\"factor\": 4, \"mscale\": 2, \"mscale_all_dim\": 0", 4, 64, 1.138629436111989, 32, 1,
         true},
    };
    static const char *const places[] = {"rope_scaling\": {\"type", "rope_scaling\": {\"rope_type",
                                         "rope_parameters\": {\"rope_theta\": 1e4, \"rope_type"};
    for (size_t i = 0; i < 3 * sizeof cases / sizeof cases[0]; i++) {
        char edits[512];
        snprintf(edits, sizeof edits, "{\"%s\": \"yarn\", %s}}", places[i % 3], cases[i / 3].keys);
        const pith_config c = parse_good(edits, NULL).config;
        CHECK(c.kinds[0].rope.scaling == PITH_ROPE_YARN &&
                  c.kinds[0].rope.factor == cases[i / 3].factor &&
                  c.kinds[0].rope.original_context == cases[i / 3].original,
              "%s: %g %zu", edits, c.kinds[0].rope.factor, c.kinds[0].rope.original_context);
        CHECK(fabs(c.kinds[0].rope.attention_factor - cases[i / 3].attention) < 1e-15, "%s: %.17g",
              edits, c.kinds[0].rope.attention_factor);
        CHECK(c.kinds[0].rope.beta_fast == cases[i / 3].fast &&
                  c.kinds[0].rope.beta_slow == cases[i / 3].slow &&
                  c.kinds[0].rope.truncate == cases[i / 3].truncate,
              "%s: %g %g %d", edits, c.kinds[0].rope.beta_fast, c.kinds[0].rope.beta_slow,
              c.kinds[0].rope.truncate);
    }
    /* A length beside the section goes before one inside. */
    pith_hf_config c = parse_good("{\"original_max_position_embeddings\": 16, \"rope_scaling\":"
                                  " {\"type\": \"yarn\", \"factor\": 4,"
                                  " \"original_max_position_embeddings\": 32}}",
                                  NULL);
    CHECK(c.config.kinds[0].rope.original_context == 16, "%zu",
          c.config.kinds[0].rope.original_context);
    c = parse_good("{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2}}", NULL);
    CHECK(c.config.kinds[0].rope.scaling == PITH_ROPE_DYNAMIC && c.config.kinds[0].rope.factor == 2,
          "%g", c.config.kinds[0].rope.factor);
    CHECK_NO_LEAKS();
}

#define MISTRAL TEST_CLASS("MistralForCausalLM", "mistral")
#define QWEN2 TEST_CLASS("Qwen2ForCausalLM", "qwen2")
#define QWEN3 TEST_CLASS("Qwen3ForCausalLM", "qwen3")
#define SMOLLM3 TEST_CLASS("SmolLM3ForCausalLM", "smollm3")
#define SLIDING "[\"sliding_attention\", \"sliding_attention\"]"
#define FULL "[\"full_attention\", \"full_attention\"]"

TEST(convert_config, finds_the_sliding_window) {
    static const struct {
        const char *edits;
        size_t window;
    } cases[] = {
        {"{" MISTRAL "}", 4096},
        {"{" MISTRAL ", \"sliding_window\": null}", 0},
        {"{" MISTRAL ", \"sliding_window\": 17}", 17},
        {"{" MISTRAL ", \"sliding_window\": 17, \"layer_types\": " SLIDING "}", 17},
        {"{" MISTRAL ", \"sliding_window\": 17, \"layer_types\": " FULL "}", 0},
        {"{\"sliding_window\": 17}", 0}, /* LlamaForCausalLM has none */
        {"{\"layer_types\": " FULL "}", 0},
        {"{" QWEN2 ", \"sliding_window\": 17}", 0},
        {"{" QWEN2 ", \"sliding_window\": 17, \"use_sliding_window\": false}", 0},
        {"{" QWEN2 ", \"sliding_window\": 17, \"use_sliding_window\": true}", 0}, /* from 28 on */
        {"{" QWEN2 ", \"sliding_window\": 17, \"use_sliding_window\": true,"
         " \"max_window_layers\": 0}",
         17},
        {"{" QWEN2 ", \"sliding_window\": 17, \"use_sliding_window\": true,"
         " \"max_window_layers\": 2}",
         0},
        {"{" QWEN2
         ", \"sliding_window\": 17, \"use_sliding_window\": true, \"layer_types\": " SLIDING "}",
         17},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_hf_config c = parse_good(cases[i].edits, NULL);
        CHECK(c.config.kinds[0].sliding_window == cases[i].window, "%s: %zu, expected %zu",
              cases[i].edits, c.config.kinds[0].sliding_window, cases[i].window);
    }
}

TEST(convert_config, knows_the_biases_of_each_architecture) {
    pith_hf_config c = parse_good("{" QWEN2 "}", NULL);
    CHECK(c.config.qkv_bias && !c.config.o_bias && !c.config.mlp_bias, "qwen2");
    c = parse_good("{" MISTRAL ", \"attention_bias\": true, \"mlp_bias\": true}", NULL);
    CHECK(!c.config.qkv_bias && !c.config.o_bias && !c.config.mlp_bias, "mistral");
    c = parse_good("{\"attention_bias\": true}", NULL);
    CHECK(c.config.qkv_bias && c.config.o_bias && !c.config.mlp_bias, "llama");
    CHECK(c.config.qk_norm == PITH_QK_NORM_NONE, "llama");
    c = parse_good("{" QWEN3 ", \"attention_bias\": true}", NULL);
    CHECK(c.config.qkv_bias && c.config.o_bias && !c.config.mlp_bias, "qwen3");
    CHECK(c.config.qk_norm == PITH_QK_NORM_HEAD, "qwen3");
}

TEST(convert_config, takes_ids_from_generation_config_first) {
    pith_hf_config c =
        parse_good(NULL, "{\"bos_token_id\": 7, \"eos_token_id\": [8, 9, 3], \"top_p\": 0.9}");
    CHECK(c.bos == 7 && c.n_eos == 3 && c.eos[0] == 8 && c.eos[1] == 9 && c.eos[2] == 3,
          "%d, %zu: %d %d %d", c.bos, c.n_eos, c.eos[0], c.eos[1], c.eos[2]);
    c = parse_good(NULL, "{\"bos_token_id\": null}");
    CHECK(c.bos == 1 && c.n_eos == 1 && c.eos[0] == 2, "%d %zu", c.bos, c.n_eos);
    c = parse_good("{\"bos_token_id\": null, \"eos_token_id\": null}", "{}");
    CHECK(c.bos == -1 && c.n_eos == 0, "%d %zu", c.bos, c.n_eos);
    c = parse_good("{\"eos_token_id\": [4, 39]}", NULL);
    CHECK(c.n_eos == 2 && c.eos[0] == 4 && c.eos[1] == 39, "%zu", c.n_eos);
}

/* As Python reads a file and transformers takes it. */
TEST(convert_config, reads_what_transformers_reads) {
    static const struct {
        const char *more, *generation; /* behind the last member */
        int32_t bos, eos;              /* -1: none */
        size_t vocab_size;
    } cases[] = {
        {"\"x\": NaN, \"y\": [0.0, Infinity, -Infinity]", NULL, 1, 2, 40},
        {"\"huge\": 123456789012345678901", NULL, 1, 2, 40},
        {"\"vocab_size\": 7, \"vocab_size\": 50", NULL, 1, 2, 50},
        {"\"rope_theta\": \"no\", \"rope_theta\": 10000", NULL, 1, 2, 40},
        {"\"x\": \"a\\u0000b\"", NULL, 1, 2, 40},
        {"\"bos_token_id\": [3]", NULL, 3, 2, 40},
        {"\"bos_token_id\": []", NULL, -1, 2, 40},
        {"\"bos_token_id\": -1", NULL, -1, 2, 40},
        {"\"bos_token_id\": 40", NULL, -1, 2, 40},
        {"\"eos_token_id\": -1", NULL, 1, -1, 40},
        {"\"eos_token_id\": 40", NULL, 1, -1, 40},
        {"\"eos_token_id\": 123456789012345678901", NULL, 1, -1, 40},
        {"\"eos_token_id\": [-1, 3, 40]", NULL, 1, 3, 40},
        {"\"eos_token_id\": []", NULL, 1, -1, 40},
        {"\"x\": 1", "{\"eos_token_id\": -1}", 1, -1, 40},
        {"\"x\": 1", "{\"eos_token_id\": 4, \"eos_token_id\": [40, 5], \"t\": Infinity}", 1, 5, 40},
        {"\"x\": 1", "{\"bos_token_id\": [4]}", 4, 2, 40},
    };
    char *base = test_config_text(NULL);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[4096];
        pith_hf_config c;
        pith_error error = {0};
        *strrchr(base, '}') = '\0';
        snprintf(text, sizeof text, "%s, %s}", base, cases[i].more);
        strcat(base, "}");
        pith_status status = parse_text(&c, text, cases[i].generation, &error);
        CHECK(status == PITH_OK, "%s: %s", cases[i].more, error.message);
        CHECK(c.bos == cases[i].bos && c.config.vocab_size == cases[i].vocab_size, "%s: %d, %zu",
              cases[i].more, c.bos, c.config.vocab_size);
        CHECK(c.n_eos == (cases[i].eos >= 0) && (c.n_eos == 0 || c.eos[0] == cases[i].eos),
              "%s: %zu, %d", cases[i].more, c.n_eos, c.eos[0]);
    }
    free(base);
    CHECK_NO_LEAKS();
}

TEST(convert_config, refuses_numbers_that_are_none_in_fields_it_needs) {
    static const struct {
        const char *member, *words;
    } cases[] = {
        {"\"rms_norm_eps\": NaN", "rms_norm_eps: expected a number, found NaN"},
        {"\"rope_theta\": Infinity", "rope_theta: expected a number, found infinity"},
        {"\"rope_theta\": 1e999", "rope_theta: expected a number, found infinity"},
        {"\"vocab_size\": 123456789012345678901", "vocab_size: expected an integer from 0"},
        {"\"model_type\": \"llama\\u0000\"", "model_type: expected a string, found a string with"},
        {"\"model_type\": \"ll\\u001b[31mama\"", "model_type ll?[31mama"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[256];
        pith_hf_config c;
        pith_error error = {0};
        snprintf(text, sizeof text, "{\"architectures\": [\"LlamaForCausalLM\"], %s}",
                 cases[i].member);
        pith_status status = parse_text(&c, text, NULL, &error);
        CHECK(status != PITH_OK && strstr(error.message, cases[i].words) != NULL, "%s: %s: %s",
              cases[i].member, pith_status_name(status), error.message);
    }
    check_refused("{\"bos_token_id\": [1, 2]}", NULL, PITH_ERROR_UNSUPPORTED,
                  "bos_token_id: a list of 2 ids");
    CHECK_NO_LEAKS();
}

TEST(convert_config, refuses_what_is_not_supported_by_name) {
    static const struct {
        const char *edits, *words;
    } cases[] = {
        {"{\"architectures\": [\"T5EncoderModel\"], \"model_type\": \"t5\"}", "T5EncoderModel"},
        {"{\"architectures\": [\"GemmaForCausalLM\"]}", "GemmaForCausalLM"},
        {"{\"architectures\": \"(absent)\", \"model_type\": \"phi\"}", "phi"},
        {"{\"model_type\": \"mistral\"}", "mistral"}, /* contradicts the architecture */
        {"{\"hidden_act\": \"gelu\"}", "\"gelu\""},
        {"{\"partial_rotary_factor\": 0.5}", "partial_rotary_factor 0.5"},
        {"{\"rope_parameters\": {\"rope_type\": \"proportional\"}}", "\"proportional\""},
        {"{\"rope_parameters\": {\"full_attention\": {\"rope_theta\": 1e4}}}", "by type of layer"},
        {"{\"layer_types\": " SLIDING "}", "sliding_attention"},
        {"{" MISTRAL ", \"layer_types\": [\"full_attention\", \"sliding_attention\"]}",
         "layer_types"},
        {"{" MISTRAL ", \"layer_types\": [\"linear_attention\", \"full_attention\"]}",
         "linear_attention"},
        {"{\"architectures\": [\"GPT2LMHeadModel\"], \"model_type\": \"gpt2\"}",
         "supported types are llama, mistral, qwen2, qwen3, smollm3, granite, gemma2, gemma3_text, "
         "olmo2, olmo3, phi3, ministral3, mixtral, qwen3_moe, olmoe, granitemoe, gpt_oss, arcee, "
         "seed_oss, "
         "ernie4_5, "
         "hunyuan_v1_dense, exaone4, glm4, stablelm, starcoder2, bert, roberta, xlm-roberta, "
         "mpnet, distilbert, modernbert and nomic_bert"},
        {"{\"architectures\": [\"Qwen3ForTokenClassification\"], \"model_type\": \"qwen3\"}",
         "supported for qwen3: Qwen3ForCausalLM"},
        {"{" SMOLLM3 ", \"hidden_act\": \"relu\"}", "hidden_act \"relu\""},
        {"{\"hidden_size\": 33, \"head_dim\": 8}", "hidden_size 33"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_refused(cases[i].edits, NULL, PITH_ERROR_UNSUPPORTED, cases[i].words);
    }
}

#define BY "the weights are already quantised by "

TEST(convert_config, names_the_method_of_quantised_weights) {
    static const struct {
        const char *edits, *words;
    } cases[] = {
        {"{\"quantization_config\": {\"quant_method\": \"gptq\"}}",
         "quantization_config: " BY "GPTQ;"},
        {"{\"quantization_config\": {\"quant_method\": \"awq\", \"bits\": 4}}", BY "AWQ;"},
        {"{\"quantization_config\": {\"quant_method\": \"bitsandbytes\"}}", BY "bitsandbytes;"},
        {"{\"quantization_config\": {\"load_in_4bit\": true, \"load_in_8bit\": false}}",
         BY "bitsandbytes;"},
        {"{\"quantization_config\": {\"quant_method\": \"fp8\"}}", BY "FP8;"},
        {"{\"quantization_config\": {\"quant_method\": \"compressed-tensors\"}}",
         BY "compressed-tensors;"},
        {"{\"quantization_config\": {\"quant_method\": \"torchao\"}}", BY "torchao;"},
        {"{\"quantization_config\": {\"quant_method\": \"hqq\"}}", BY "HQQ;"},
        {"{\"quantization_config\": {\"quant_method\": \"tomorrow\"}}", BY "tomorrow;"},
        {"{\"quantization\": {\"group_size\": 64, \"bits\": 4}}", "quantization: " BY "MLX;"},
        {"{\"quantization\": {\"group_size\": 64, \"bits\": 4},"
         " \"quantization_config\": {\"group_size\": 64, \"bits\": 4}}",
         BY "MLX; take the repository with the original weights"},
        {"{\"quantization_config\": {}}", BY "an unnamed method"},
        {"{\"compression_config\": {}}", "compression_config"},
        /* A family that is not supported is named first. */
        {"{\"architectures\": [\"GemmaForCausalLM\"], \"model_type\": \"gemma\","
         " \"quantization_config\": {\"quant_method\": \"gptq\"}}",
         "GemmaForCausalLM"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_refused(cases[i].edits, NULL, PITH_ERROR_UNSUPPORTED, cases[i].words);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_config, names_fields_of_the_wrong_type) {
    static const char *const keys[] = {
        "vocab_size",
        "hidden_size",
        "intermediate_size",
        "num_hidden_layers",
        "num_attention_heads",
        "num_key_value_heads",
        "max_position_embeddings",
        "head_dim",
        "rms_norm_eps",
        "rope_theta",
        "attention_bias",
        "mlp_bias",
        "tie_word_embeddings",
        "bos_token_id",
        "eos_token_id",
        "architectures",
        "rope_scaling",
        "layer_types",
        "partial_rotary_factor",
    };
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        char edits[128], words[128];
        snprintf(edits, sizeof edits, "{\"%s\": \"many\"}", keys[i]);
        snprintf(words, sizeof words, "config.json: %s: expected", keys[i]);
        check_refused(edits, NULL, PITH_ERROR_FORMAT, words);
    }
    check_refused("{\"hidden_act\": 3}", NULL, PITH_ERROR_FORMAT, "hidden_act: expected a string");
    check_refused("{\"hidden_size\": 32.5}", NULL, PITH_ERROR_FORMAT, "found a fractional number");
    check_refused("{\"model_type\": []}", NULL, PITH_ERROR_FORMAT, "model_type: expected a string");
}

TEST(convert_config, refuses_broken_values) {
    static const struct {
        const char *edits, *generation, *words;
    } cases[] = {
        {"{\"architectures\": \"(absent)\", \"model_type\": \"(absent)\"}", NULL, "neither"},
        {"{\"architectures\": []}", NULL, "architectures"},
        {"{\"vocab_size\": -1}", NULL, "found a negative integer"},
        {"{\"vocab_size\": 4294967296}", NULL, "vocab_size"},
        {"{\"vocab_size\": 0}", NULL, "vocab_size"},
        {"{\"num_attention_heads\": 0}", NULL, "num_attention_heads"},
        {"{\"num_attention_heads\": 5}", NULL, "no multiple of num_attention_heads"},
        {"{\"num_key_value_heads\": 3}", NULL, "num_key_value_heads"},
        {"{\"rms_norm_eps\": 0}", NULL, "rms_norm_eps"},
        {"{\"rms_norm_eps\": 1e300}", NULL, "rms_norm_eps"},
        {"{\"rope_theta\": -1}", NULL, "rope_theta"},
        {"{\"rope_scaling\": {\"type\": \"linear\"}}", NULL, "rope_scaling: no factor"},
        {"{\"rope_scaling\": {\"type\": 3}}", NULL, "rope_scaling"},
        {"{\"rope_scaling\": {\"type\": \"linear\", \"rope_type\": \"llama3\"}}", NULL,
         "contradict"},
        {"{\"rope_scaling\": {\"type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 1}}", NULL,
         "no high_freq_factor"},
        {"{\"rope_scaling\": {\"type\": \"yarn\"}}", NULL, "rope_scaling: no factor"},
        {"{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": \"4\"}}", NULL, "factor: expected"},
        {"{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 0}}", NULL, "rope_factor is 0"},
        {"{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"beta_slow\": -1}}", NULL,
         "rope_beta_slow"},
        {"{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4, \"attention_factor\": 0}}", NULL,
         "rope_attention_factor"},
        {"{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4,"
         " \"original_max_position_embeddings\": 0}}",
         NULL, "rope_original_context"},
        {"{\"rope_theta\": 1, \"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4}}", NULL,
         "rope_theta is 1"},
        {"{\"rope_scaling\": {\"type\": \"dynamic\"}}", NULL, "rope_scaling: no factor"},
        {"{" MISTRAL ", \"sliding_window\": 0}", NULL, "sliding_window"},
        {"{" MISTRAL ", \"sliding_window\": \"wide\"}", NULL, "sliding_window"},
        {"{\"layer_types\": [\"full_attention\"]}", NULL, "layer_types"},
        {"{\"bos_token_id\": 1.0}", NULL, "config.json: bos_token_id: expected a token id"},
        {"{\"eos_token_id\": {}}", NULL, "config.json: eos_token_id: expected a token id"},
        {"{}", "{\"eos_token_id\": [1, \"x\"]}", "generation_config.json: eos_token_id"},
        {"{}", "{\"eos_token_id\": [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]}", "limit of 16"},
        {"{}", "[]", "generation_config.json: expected a JSON object"},
        {"{}", "{", "generation_config.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_refused(cases[i].edits, cases[i].generation, PITH_ERROR_FORMAT, cases[i].words);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_config, reports_running_out_of_memory) {
    char *text = test_config_text("{\"rope_scaling\": {\"type\": \"linear\", \"factor\": 2}}");
    for (size_t fail_at = 1;; fail_at++) {
        test_allocator t;
        pith_hf_config out;
        pith_error error;
        test_allocator_init(&t);
        t.fail_at = fail_at;
        pith_status status =
            parse_with(&out, text, "{\"eos_token_id\": [3]}", &t.allocator, &error);
        CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", fail_at, (size_t)t.n_live);
        if (t.n_calls < fail_at) {
            CHECK(status == PITH_OK, "%s", error.message);
            break;
        }
        CHECK(status == PITH_ERROR_MEMORY, "allocation %zu: %s: %s", fail_at,
              pith_status_name(status), error.message);
    }
    free(text);
}
