/* config.json of the families: what layers differ in, scalars and caps, and what a page does not
 * follow. */
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

#define QWEN2 TEST_CLASS("Qwen2ForCausalLM", "qwen2")
#define QWEN3 TEST_CLASS("Qwen3ForCausalLM", "qwen3")
#define SMOLLM3 TEST_CLASS("SmolLM3ForCausalLM", "smollm3")
#define GRANITE TEST_CLASS("GraniteForCausalLM", "granite")
#define OLMO2 TEST_CLASS("Olmo2ForCausalLM", "olmo2")
#define OLMO3 TEST_CLASS("Olmo3ForCausalLM", "olmo3")
#define MINISTRAL3 TEST_CLASS("Ministral3ForCausalLM", "ministral3")
#define PHI3 TEST_CLASS("Phi3ForCausalLM", "phi3")
#define GEMMA2 TEST_CLASS("Gemma2ForCausalLM", "gemma2")
#define GEMMA3 TEST_CLASS("Gemma3ForCausalLM", "gemma3_text")
#define ARCEE TEST_CLASS("ArceeForCausalLM", "arcee") ", \"hidden_act\": \"relu2\""
#define SEED_OSS TEST_CLASS("SeedOssForCausalLM", "seed_oss")
#define ERNIE TEST_CLASS("Ernie4_5ForCausalLM", "ernie4_5")
#define HUNYUAN TEST_CLASS("HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense")
#define EXAONE4 TEST_CLASS("Exaone4ForCausalLM", "exaone4")
#define GLM4 TEST_CLASS("Glm4ForCausalLM", "glm4")
#define STABLELM TEST_CLASS("StableLmForCausalLM", "stablelm")
#define STARCODER2 \
    TEST_CLASS("Starcoder2ForCausalLM", "starcoder2") ", \"hidden_act\": \"gelu_pytorch_tanh\""

/* Of each layer: "w" has the window of 17 keys, "t" turns by base 1e4, "T" by another. */
static void describe(const pith_config *c, char *out) {
    out[0] = '\0';
    for (size_t i = 0; i < c->num_hidden_layers; i++) {
        const pith_layer_kind *kind = &c->kinds[c->kind_of[i]];
        CHECK(kind->sliding_window == 17 || kind->sliding_window == 0, "%zu", kind->sliding_window);
        strcat(out, i > 0 ? " " : "");
        strcat(out, kind->sliding_window == 17 ? "w" : "");
        strcat(out, kind->rope.dims == 0 ? "-" : kind->rope.theta == 1e4 ? "t" : "T");
    }
}

#define USED "\"sliding_window\": 17, \"use_sliding_window\": true"
#define S "\"sliding_attention\""
#define F "\"full_attention\""

TEST(convert_families, layers_differ_in_window_and_rope) {
    static const struct {
        const char *edits, *layers;
    } cases[] = {
        {QWEN2 ", " USED ", \"max_window_layers\": 3", "t t t wt"},
        {QWEN2 ", " USED ", \"layer_types\": [" S "," F "," F "," S "]", "wt t t wt"},
        {QWEN3 ", " USED ", \"max_window_layers\": 1", "t wt wt wt"},
        {QWEN3 ", \"sliding_window\": 17, \"max_window_layers\": 1", "t t t t"},
        {QWEN3 ", " USED ", \"sliding_window\": null, \"max_window_layers\": 1", "t t t t"},
        {SMOLLM3, "t t t -"},
        {SMOLLM3 ", \"no_rope_layer_interval\": 2", "t - t -"},
        {SMOLLM3 ", \"no_rope_layers\": [0, 1, 1, 0, 1]", "- t t -"},
        {SMOLLM3 ", \"no_rope_layers\": null, " USED, "t t t w-"},
        {SMOLLM3 ", " USED ", \"layer_types\": [" S "," F "," F "," F "]", "wt t t -"},
        {OLMO3 ", \"sliding_window\": 17", "wT wT wT t"}, /* its class has a base of 500000 there */
        {OLMO3 ", \"sliding_window\": 17, \"rope_theta\": \"(absent)\"", "wT wT wT T"},
        {OLMO3 ", \"sliding_window\": 17, \"layer_types\": [" F "," S "," F "," F "]", "t wT t t"},
        {OLMO3 ", \"sliding_window\": 17, \"rope_parameters\": {" F
               ": {\"rope_type\": \"default\", \"rope_theta\": 5e5}, " S
               ": {\"rope_type\": \"default\", \"rope_theta\": 1e4}}",
         "wt wt wt T"},
        {MINISTRAL3 ", \"sliding_window\": 17", "wT wT wT wT"},
        {MINISTRAL3 ", \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": 1e6}",
         "T T T T"},
        {PHI3, "t t t t"},
        {PHI3 ", \"sliding_window\": 17", "wt wt wt wt"},
        {PHI3 ", \"sliding_window\": null", "t t t t"},
        {GEMMA2 ", \"sliding_window\": 17", "wt t wt t"},
        {GEMMA2 ", \"sliding_window\": 17, \"layer_types\": [" F "," F "," S "," F "]", "t t wt t"},
        {GEMMA3 ", \"sliding_window\": 17, \"rope_theta\": 1e6", "wt wt wt wt"},
        {GEMMA3 ", \"sliding_window\": 17, \"rope_theta\": 1e6, \"sliding_window_pattern\": 2",
         "wt T wt T"},
        {GEMMA3 ", \"sliding_window\": 17, \"rope_theta\": \"(absent)\", \"layer_types\": [" F "," S
                "," F "," S "]",
         "T wt T wt"},
        {GEMMA3 ", \"sliding_window\": 17, \"rope_local_base_freq\": 5e4,"
                " \"sliding_window_pattern\": 2",
         "wT t wT t"},
        {GEMMA3 ", \"sliding_window\": 17, \"sliding_window_pattern\": 2, \"rope_parameters\":"
                " {" F ": {\"rope_type\": \"default\", \"rope_theta\": 1e6}, " S
                ": {\"rope_type\": \"default\", \"rope_theta\": 1e4}}",
         "wt T wt T"},
        {EXAONE4 ", \"sliding_window\": 17", "wt wt wt -"},
        {EXAONE4 ", \"sliding_window\": null", "t t t t"},
        {EXAONE4 ", \"sliding_window\": 17, \"sliding_window_pattern\": 2", "wt - wt -"},
        {EXAONE4 ", \"sliding_window\": 17, \"sliding_window_pattern\": \"LLG\"", "wt wt - -"},
        {EXAONE4 ", \"sliding_window\": 17, \"sliding_window_pattern\": \"G\"", "- - - -"},
        {EXAONE4 ", \"sliding_window\": 17, \"sliding_window_pattern\": null, \"layer_types\": [" F
                 "," S "," F "," S "]",
         "- wt - wt"},
        {EXAONE4
         ", \"sliding_window\": null, \"sliding_window_pattern\": null, \"layer_types\": [" F "," F
         "," F "," F "]",
         "t t t t"},
        {STARCODER2, "t t t t"},
        {STARCODER2 ", \"sliding_window\": 17", "wt wt wt wt"},
        {STARCODER2 ", \"sliding_window\": null", "t t t t"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_config c = test_family_config(cases[i].edits);
        char found[64];
        describe(&c, found);
        CHECK(strcmp(found, cases[i].layers) == 0, "%s: %s", cases[i].edits, found);
    }
    test_family_refused(SMOLLM3 ", \"no_rope_layers\": [1]", PITH_ERROR_FORMAT,
                        "no_rope_layers: expected");
    test_family_refused(SMOLLM3 ", \"no_rope_layer_interval\": 0", PITH_ERROR_FORMAT,
                        "no_rope_layer_interval");
    test_family_refused(GEMMA2 ", \"sliding_window\": 0", PITH_ERROR_FORMAT, "sliding_window");
    test_family_refused(GEMMA3 ", \"layer_types\": [" S "]", PITH_ERROR_FORMAT, "layer_types");
    CHECK_NO_LEAKS();
}

/* A page's function fills arrays of PITH_MAX_LAYERS: more layers must not reach it. */
TEST(convert_families, too_many_layers_are_refused) {
    static const char *const families[] = {TEST_CLASS("LlamaForCausalLM", "llama"),
                                           TEST_CLASS("MistralForCausalLM", "mistral"),
                                           QWEN2,
                                           QWEN3,
                                           SMOLLM3,
                                           OLMO3,
                                           GEMMA2,
                                           GEMMA3,
                                           EXAONE4};
    for (size_t i = 0; i < sizeof families / sizeof families[0]; i++) {
        char edits[256];
        snprintf(edits, sizeof edits, "{\"num_hidden_layers\": 2000, %s, " USED "}", families[i]);
        char *text = test_config_text(edits);
        pith_hf_config parsed;
        pith_error error = {0};
        pith_status status = pith_hf_config_parse(&parsed, text, strlen(text), NULL, 0, false,
                                                  &pith_malloc_allocator, &error);
        CHECK(status == PITH_ERROR_FORMAT &&
                  strstr(error.message, "num_hidden_layers is 2000") != NULL,
              "%s: %s", edits, error.message);
        free(text);
    }
}

TEST(convert_families, experts_and_how_many_a_token_uses) {
#define MIXTRAL TEST_CLASS("MixtralForCausalLM", "mixtral")
#define QWEN3_MOE TEST_CLASS("Qwen3MoeForCausalLM", "qwen3_moe")
#define OLMOE TEST_CLASS("OlmoeForCausalLM", "olmoe")
#define GPT_OSS TEST_CLASS("GptOssForCausalLM", "gpt_oss")
#define GRANITE_MOE TEST_CLASS("GraniteMoeForCausalLM", "granitemoe")
    static const struct {
        const char *edits;
        size_t n, used, width;
        bool norm;
    } cases[] = {
        {OLMOE ", \"clip_qkv\": null", 64, 8, 48, false},
        {OLMOE ", \"num_experts\": 6, \"num_experts_per_tok\": 3, \"norm_topk_prob\": true", 6, 3,
         48, true},
        {GRANITE_MOE ", \"num_local_experts\": 6, \"num_experts_per_tok\": 3", 6, 3, 48, true},
        {GRANITE_MOE, 8, 2, 48, true},
        {GPT_OSS, 128, 4, 48, true},
        {GPT_OSS ", \"num_local_experts\": 6, \"num_experts_per_tok\": 3", 6, 3, 48, true},
        {MIXTRAL, 8, 2, 48, true},
        {MIXTRAL ", \"num_local_experts\": 6, \"num_experts_per_tok\": 3", 6, 3, 48, true},
        {QWEN3_MOE, 128, 8, 768, false},
        {QWEN3_MOE ", \"num_experts\": 6, \"num_experts_per_tok\": 3, \"norm_topk_prob\": true,"
                   " \"moe_intermediate_size\": 24, \"mlp_only_layers\": []",
         6, 3, 24, true},
        {QWEN3_MOE ", \"num_local_experts\": 16, \"mlp_only_layers\": null", 16, 8, 768, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_config c = test_family_config(cases[i].edits);
        CHECK(c.n_experts == cases[i].n && c.n_experts_used == cases[i].used &&
                  c.intermediate_size == cases[i].width && c.norm_experts == cases[i].norm,
              "%s: %zu %zu %zu %d", cases[i].edits, c.n_experts, c.n_experts_used,
              c.intermediate_size, c.norm_experts);
    }
    test_family_refused(MIXTRAL ", \"num_local_experts\": 0", PITH_ERROR_FORMAT, "n_experts is 0");
    test_family_refused(MIXTRAL ", \"num_experts_per_tok\": 9", PITH_ERROR_FORMAT,
                        "n_experts_used is 9, more than n_experts, 8");
    test_family_refused(OLMOE ", \"clip_qkv\": 8.0", PITH_ERROR_UNSUPPORTED, "clip_qkv");
    test_family_refused(GRANITE_MOE ", \"attention_multiplier\": 0", PITH_ERROR_FORMAT,
                        "attention_multiplier is 0");
    test_family_refused(QWEN3_MOE ", \"num_experts\": 0", PITH_ERROR_FORMAT, "n_experts is 0");
    test_family_refused(QWEN3_MOE ", \"mlp_only_layers\": [1]", PITH_ERROR_UNSUPPORTED,
                        "mlp_only_layers");
    test_family_refused(QWEN3_MOE ", \"mlp_only_layers\": 1", PITH_ERROR_FORMAT,
                        "mlp_only_layers: expected an array or null, found a");
    test_family_refused(QWEN3_MOE ", \"mlp_only_layers\": \"all\"", PITH_ERROR_FORMAT,
                        "mlp_only_layers: expected an array or null, found a string");
    test_family_refused(QWEN3_MOE ", \"decoder_sparse_step\": 2", PITH_ERROR_UNSUPPORTED,
                        "decoder_sparse_step 2");
    test_family_refused(QWEN3_MOE ", \"use_sliding_window\": true", PITH_ERROR_UNSUPPORTED,
                        "use_sliding_window");
}

/* Every other layer has a window unless layer_types says which; YaRN, of dimensions that are not
 * rounded, even where no key has it. */
TEST(convert_families, what_gpt_oss_has_besides_experts) {
    pith_config c = test_family_config(GPT_OSS ", \"rope_theta\": \"(absent)\"");
    const pith_rope_config *rope = &c.kinds[1].rope;
    CHECK(c.attention_sinks && c.qkv_bias && c.o_bias && c.mlp_bias && c.gated &&
              c.activation == PITH_CLAMPED_SWIGLU,
          "its recipe");
    CHECK(c.n_kinds == 2 && c.kinds[0].sliding_window == 128 && c.kinds[1].sliding_window == 0 &&
              c.kind_of[0] == 0 && c.kind_of[1] == 1,
          "%zu kinds, windows %zu and %zu", c.n_kinds, c.kinds[0].sliding_window,
          c.kinds[1].sliding_window);
    CHECK(rope->scaling == PITH_ROPE_YARN && rope->factor == 32 && rope->theta == 150000 &&
              rope->original_context == 4096 && rope->beta_fast == 32 && rope->beta_slow == 1 &&
              !rope->truncate && fabs(rope->attention_factor - (0.1 * log(32) + 1)) < 1e-12,
          "%d %g %zu", rope->scaling, rope->factor, rope->original_context);
    c = test_family_config(GPT_OSS
                           ", \"num_hidden_layers\": 2, \"layer_types\": [\"full_attention\", "
                           "\"sliding_attention\"], \"sliding_window\": 9, "
                           "\"attention_bias\": false, \"swiglu_limit\": 7.0, "
                           "\"rope_scaling\": {\"rope_type\": \"linear\", \"factor\": 3}");
    CHECK(c.kinds[c.kind_of[0]].sliding_window == 0 && c.kinds[c.kind_of[1]].sliding_window == 9 &&
              c.kinds[0].rope.scaling == PITH_ROPE_LINEAR && !c.qkv_bias && !c.o_bias,
          "keys that are there");
    test_family_refused(GPT_OSS ", \"swiglu_limit\": 5.0", PITH_ERROR_UNSUPPORTED,
                        "swiglu_limit 5");
    test_family_refused(GPT_OSS ", \"sliding_window\": 0", PITH_ERROR_FORMAT, "sliding_window");
}

/* Of a model of texts and images the text part; what it leaves out is its class's, but for the
 * head, which the whole decides, and the ids of tokens. */
TEST(convert_families, the_text_part_of_a_larger_model) {
#define WRAPPED(class, type, text) TEST_CLASS(class, type) ", \"text_config\": {" text "}"
    static const struct {
        const char *edits;
        const pith_family *family;
        size_t hidden, heads;
        bool tied;
        int32_t eos;
    } cases[] = {
        {WRAPPED("Gemma3ForConditionalGeneration", "gemma3",
                 "\"hidden_size\": 2560") ", \"eos_token_id\": [3, 4], \"tie_word_embeddings\": "
                                          "\"(absent)\"",
         &pith_family_gemma3, 2560, 8, true, 3},
        {WRAPPED(
             "Gemma3ForConditionalGeneration", "gemma3",
             "\"model_type\": \"gemma3_text\", \"tie_word_embeddings\": false") ", "
                                                                                "\"eos_token_id\": "
                                                                                "\"(absent)\"",
         &pith_family_gemma3, 2304, 8, false, 1},
        {WRAPPED("Mistral3ForConditionalGeneration", "mistral3",
                 "\"model_type\": \"ministral3\", \"eos_token_id\": 9") ", \"eos_token_id\": "
                                                                        "\"(absent)\", "
                                                                        "\"tie_word_embeddings\": "
                                                                        "\"(absent)\"",
         &pith_family_ministral3, 4096, 32, true, 9},
        {WRAPPED("Mistral3ForConditionalGeneration", "mistral3",
                 "\"model_type\": \"ministral3\"") ", \"tie_word_embeddings\": false",
         &pith_family_ministral3, 4096, 32, false, 2},
        {WRAPPED("Mistral3ForConditionalGeneration", "mistral3", "\"num_attention_heads\": 16"),
         &pith_family_mistral, 4096, 16, false, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char edits[512];
        pith_hf_config c = {.n_eos = 0};
        pith_error error = {0};
        snprintf(edits, sizeof edits, "{%s}", cases[i].edits);
        char *text = test_config_text(edits);
        CHECK(pith_hf_config_parse(&c, text, strlen(text), NULL, 0, false, &pith_malloc_allocator,
                                   &error) == PITH_OK,
              "%s: %s", edits, error.message);
        CHECK(c.family == cases[i].family && c.wrapped && c.config.hidden_size == cases[i].hidden &&
                  c.config.num_attention_heads == cases[i].heads &&
                  c.config.tie_word_embeddings == cases[i].tied && c.eos[0] == cases[i].eos,
              "%s: %s %zu %zu %d %d", edits, c.family->name, c.config.hidden_size,
              c.config.num_attention_heads, c.config.tie_word_embeddings, c.eos[0]);
        free(text);
    }
}

static bool near(float a, double b) {
    return fabs((double)a - b) <= 1e-6 * fabs(b);
}

TEST(convert_families, scalars_and_caps) {
    pith_config c =
        test_family_config(GRANITE ", \"embedding_multiplier\": 12, \"logits_scaling\": 8,"
                                   " \"residual_multiplier\": 0.22,"
                                   " \"attention_multiplier\": 0.0078125");
    CHECK(c.embedding_scale == 12 && c.logit_scale == 0.125F && near(c.residual_scale, 0.22) &&
              c.attention_scale == 0.0078125F,
          "%g %g %g %g", (double)c.embedding_scale, (double)c.logit_scale, (double)c.residual_scale,
          (double)c.attention_scale);
    c = test_family_config(GRANITE);
    CHECK(c.embedding_scale == 1 && c.attention_scale == 1 && c.logit_scale == 1,
          "its class has 1");
    c = test_family_config(GEMMA2);
    CHECK(near(c.embedding_scale, sqrt(32)) && near(c.attention_scale, 1.0 / 16) &&
              c.attention_cap == 50 && c.logit_cap == 30 && c.activation == PITH_GELU_TANH &&
              c.gated && c.qk_norm == PITH_QK_NORM_NONE,
          "gemma2: %g %g", (double)c.embedding_scale, (double)c.attention_scale);
    c = test_family_config(GEMMA2
                           ", \"attn_logit_softcapping\": null, \"final_logit_softcapping\": null,"
                           " \"query_pre_attn_scalar\": 144");
    CHECK(c.attention_cap == 0 && c.logit_cap == 0 && near(c.attention_scale, 1.0 / 12), "%g",
          (double)c.attention_scale);
    c = test_family_config(GEMMA3);
    CHECK(c.attention_cap == 0 && c.logit_cap == 0 && c.qk_norm == PITH_QK_NORM_HEAD, "gemma3");
    c = test_family_config(OLMO2);
    CHECK(c.qk_norm == PITH_QK_NORM_WHOLE && c.activation == PITH_SILU, "olmo2");
}

TEST(convert_families, recipes_of_families) {
    static const struct {
        const char *edits;
        pith_norm_type norm_type;
        pith_qk_norm qk_norm;
        pith_activation activation;
        bool gated, qkv_bias, o_bias, mlp_bias;
    } cases[] = {
        {ARCEE, PITH_RMS_NORM, PITH_QK_NORM_NONE, PITH_RELU2, false, false, false, false},
        {ARCEE ", \"attention_bias\": true, \"mlp_bias\": true", PITH_RMS_NORM, PITH_QK_NORM_NONE,
         PITH_RELU2, false, true, true, true},
        {SEED_OSS, PITH_RMS_NORM, PITH_QK_NORM_NONE, PITH_SILU, true, true, false, false},
        {SEED_OSS ", \"attention_bias\": false, \"attention_out_bias\": true, \"mlp_bias\": true",
         PITH_RMS_NORM, PITH_QK_NORM_NONE, PITH_SILU, true, false, true, true},
        {ERNIE, PITH_RMS_NORM, PITH_QK_NORM_NONE, PITH_SILU, true, false, false, false},
        {ERNIE ", \"use_bias\": true", PITH_RMS_NORM, PITH_QK_NORM_NONE, PITH_SILU, true, true,
         true, true},
        {HUNYUAN, PITH_RMS_NORM, PITH_QK_NORM_AFTER, PITH_SILU, true, false, false, false},
        {HUNYUAN ", \"attention_bias\": true, \"use_qk_norm\": true", PITH_RMS_NORM,
         PITH_QK_NORM_AFTER, PITH_SILU, true, true, true, false},
        {EXAONE4, PITH_RMS_NORM, PITH_QK_NORM_HEAD, PITH_SILU, true, false, false, false},
        {GLM4, PITH_RMS_NORM, PITH_QK_NORM_NONE, PITH_SILU, true, true, false, false},
        {GLM4 ", \"attention_bias\": false", PITH_RMS_NORM, PITH_QK_NORM_NONE, PITH_SILU, true,
         false, false, false},
        {STABLELM, PITH_LAYER_NORM, PITH_QK_NORM_NONE, PITH_SILU, true, false, false, false},
        {STABLELM ", \"use_qkv_bias\": true", PITH_LAYER_NORM, PITH_QK_NORM_NONE, PITH_SILU, true,
         true, false, false},
        {STARCODER2, PITH_LAYER_NORM, PITH_QK_NORM_NONE, PITH_GELU_TANH, false, true, true, true},
        {STARCODER2 ", \"use_bias\": false", PITH_LAYER_NORM, PITH_QK_NORM_NONE, PITH_GELU_TANH,
         false, false, false, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *edits = cases[i].edits;
        const pith_config c = test_family_config(edits);
        CHECK(c.norm_type == cases[i].norm_type && c.qk_norm == cases[i].qk_norm &&
                  c.activation == cases[i].activation && c.gated == cases[i].gated,
              "%s: %d %d %d %d", edits, (int)c.norm_type, (int)c.qk_norm, (int)c.activation,
              c.gated);
        CHECK(c.qkv_bias == cases[i].qkv_bias && c.o_bias == cases[i].o_bias &&
                  c.mlp_bias == cases[i].mlp_bias,
              "%s: biases %d %d %d", edits, c.qkv_bias, c.o_bias, c.mlp_bias);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_families, what_a_page_does_not_follow_is_refused_by_name) {
    static const struct {
        const char *edits;
        pith_status status;
        const char *words;
    } cases[] = {
        {GRANITE ", \"attention_multiplier\": 0", PITH_ERROR_FORMAT, "attention_multiplier is 0"},
        {GRANITE ", \"logits_scaling\": 0", PITH_ERROR_FORMAT, "logit_scale is inf"},
        {GRANITE ", \"residual_multiplier\": -1", PITH_ERROR_FORMAT, "residual_scale is -1"},
        {GRANITE ", \"embedding_multiplier\": \"12\"", PITH_ERROR_FORMAT,
         "embedding_multiplier: expected a number"},
        {GEMMA2 ", \"hidden_activation\": \"gelu\"", PITH_ERROR_UNSUPPORTED,
         "hidden_activation \"gelu\" is not supported, only \"gelu_pytorch_tanh\""},
        {GEMMA3 ", \"use_bidirectional_attention\": true", PITH_ERROR_UNSUPPORTED,
         "use_bidirectional_attention"},
        {GEMMA2 ", \"query_pre_attn_scalar\": 0", PITH_ERROR_FORMAT, "attention_scale is inf"},
        {GEMMA2 ", \"num_key_value_heads\": null", PITH_ERROR_FORMAT, "num_key_value_heads"},
        {OLMO2 ", \"hidden_act\": \"gelu\"", PITH_ERROR_UNSUPPORTED, "hidden_act \"gelu\""},
        {PHI3 ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 4}", PITH_ERROR_UNSUPPORTED,
         "phi3"},
        {TEST_CLASS("ArceeForCausalLM", "arcee"), PITH_ERROR_UNSUPPORTED,
         "hidden_act \"silu\" is not supported, only \"relu2\""},
        {HUNYUAN ", \"use_qk_norm\": false", PITH_ERROR_UNSUPPORTED, "use_qk_norm false"},
        {HUNYUAN ", \"use_qk_norm\": 1", PITH_ERROR_FORMAT, "use_qk_norm: expected true or false"},
        {HUNYUAN ", \"use_cla\": true", PITH_ERROR_UNSUPPORTED, "use_cla true"},
        {HUNYUAN ", \"mlp_bias\": true", PITH_ERROR_UNSUPPORTED, "mlp_bias true"},
        {EXAONE4 ", \"sliding_window_pattern\": \"LLX\"", PITH_ERROR_FORMAT,
         "sliding_window_pattern: expected an integer or a word of L and G"},
        {EXAONE4 ", \"sliding_window_pattern\": \"\"", PITH_ERROR_FORMAT, "sliding_window_pattern"},
        {EXAONE4 ", \"sliding_window_pattern\": 0", PITH_ERROR_FORMAT,
         "sliding_window_pattern is 0"},
        {EXAONE4 ", \"sliding_window_pattern\": null", PITH_ERROR_FORMAT, "sliding_window_pattern"},
        {EXAONE4 ", \"sliding_window_pattern\": []", PITH_ERROR_FORMAT, "sliding_window_pattern"},
        {GLM4 ", \"partial_rotary_factor\": 0.95", PITH_ERROR_FORMAT, "rope_dims is 15"},
        {STABLELM ", \"qk_layernorm\": true", PITH_ERROR_UNSUPPORTED, "qk_layernorm true"},
        {STABLELM ", \"use_parallel_residual\": true", PITH_ERROR_UNSUPPORTED,
         "use_parallel_residual true is not supported"},
        {STARCODER2 ", \"norm_type\": \"rms\"", PITH_ERROR_UNSUPPORTED, "norm_type \"rms\""},
        {TEST_CLASS("Gemma3ForConditionalGeneration", "gemma3"), PITH_ERROR_FORMAT,
         "text_config: expected an object, found nothing"},
        {TEST_CLASS("Gemma3ForConditionalGeneration",
                    "gemma3") ", \"text_config\": {\"model_type\":"
                              " \"ministral3\"}",
         PITH_ERROR_UNSUPPORTED,
         "text_config of model_type ministral3 is not supported in Gemma3ForConditionalGeneration"},
        {TEST_CLASS("Mistral3ForConditionalGeneration",
                    "mistral3") ", \"text_config\": {\"hidden_act\":"
                                " \"gelu\"}",
         PITH_ERROR_UNSUPPORTED, "hidden_act \"gelu\""},
        {TEST_CLASS("Mistral3ForConditionalGeneration", "mistral3") ", \"text_config\": {},"
                                                                    " \"quantization_config\": {}",
         PITH_ERROR_UNSUPPORTED, "already quantised"},
        {TEST_CLASS("Gemma2ForSequenceClassification", "gemma2"), PITH_ERROR_UNSUPPORTED,
         "supported for gemma2: Gemma2ForCausalLM"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_family_refused(cases[i].edits, cases[i].status, cases[i].words);
    }
    CHECK_NO_LEAKS();
}
