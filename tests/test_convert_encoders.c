/* config.json of the encoders' pages: the defaults of their classes, what their keys become, which
 * page a decoder's checkpoint with modules goes to, and what no page follows, by key and value. */
#include "base/memory.h"
#include "convert/hf_config.h"
#include "tests/family_config.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>

#define ROBERTA TEST_CLASS("RobertaModel", "roberta")
#define XLM_ROBERTA TEST_CLASS("XLMRobertaModel", "xlm-roberta")
#define MPNET TEST_CLASS("MPNetModel", "mpnet")
#define DISTILBERT TEST_CLASS("DistilBertModel", "distilbert")
#define MODERNBERT TEST_CLASS("ModernBertModel", "modernbert")
#define NOMIC                                                                                  \
    TEST_CLASS("NomicBertModel", "nomic_bert")                                                 \
    ", \"rotary_emb_fraction\": 1.0, \"activation_function\": \"swiglu\", \"qkv_proj_bias\": " \
    "false, \"mlp_fc1_bias\": false, \"mlp_fc2_bias\": false"
#define NEWER                                                                                 \
    TEST_CLASS("NomicBertModel", "nomic_bert")                                                \
    ", \"hidden_size\": 768, \"hidden_act\": \"silu\", \"rope_parameters\": {\"rope_type\": " \
    "\"default\", \"rope_theta\": 1000.0}"
#define QWEN3 TEST_CLASS("Qwen3ForCausalLM", "qwen3")
#define GEMMA3 \
    TEST_CLASS("Gemma3TextModel", "gemma3_text") ", \"use_bidirectional_attention\": true"
#define LONGROPE "\"rope_type\": \"longrope\", \"short_factor\": [1, 2], \"long_factor\": [2, 4]"
#define SCORES TEST_CLASS("XLMRobertaForSequenceClassification", "xlm-roberta")

static pith_status parse(pith_hf_config *out, const char *members, bool embeds, pith_error *error) {
    char text[1024];
    int n = snprintf(text, sizeof text, "{%s}", members);
    CHECK(n > 0 && (size_t)n < sizeof text, "too long");
    return pith_hf_config_parse(out, text, strlen(text), NULL, 0, embeds, &pith_malloc_allocator,
                                error);
}

static pith_hf_config parse_good(const char *members) {
    pith_hf_config out = {.family = NULL};
    pith_error error = {0};
    CHECK(parse(&out, members, true, &error) == PITH_OK, "%s: %s", members, error.message);
    CHECK(out.config.role == PITH_ENCODER, "%s: no encoder", members);
    return out;
}

/* Nothing but the class: every size is its default. */
TEST(convert_encoders, absent_keys_have_the_defaults_of_the_class) {
    static const struct {
        const char *members, *name;
        size_t vocab, hidden, inner, layers, heads, positions, types, offset;
        float eps;
    } rows[] = {
        {ROBERTA, "roberta", 50265, 768, 3072, 12, 12, 512, 2, 2, 1e-12F},
        {XLM_ROBERTA, "xlm-roberta", 30522, 768, 3072, 12, 12, 512, 2, 2, 1e-12F},
        {MPNET, "mpnet", 30527, 768, 3072, 12, 12, 512, 0, 2, 1e-12F},
        {DISTILBERT, "distilbert", 30522, 768, 3072, 6, 12, 512, 0, 0, 1e-12F},
        {MODERNBERT, "modernbert", 50368, 768, 1152, 22, 12, 8192, 0, 0, 1e-5F},
        {NOMIC, "nomic_bert", 50257, 768, 3072, 12, 12, 1024, 2, 0, 1e-5F},
        {NEWER, "nomic_bert", 30528, 768, 3072, 12, 12, 2048, 2, 0, 1e-12F},
        {QWEN3, "qwen3-embedding", 151936, 4096, 22016, 32, 32, 32768, 0, 0, 1e-6F},
        {GEMMA3, "gemma3-embedding", 262208, 2304, 9216, 26, 8, 131072, 0, 0, 1e-6F},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const pith_hf_config out = parse_good(rows[i].members);
        const pith_config *c = &out.config;
        CHECK(strcmp(out.family->name, rows[i].name) == 0, "%s: page %s", rows[i].name,
              out.family->name);
        CHECK(c->vocab_size == rows[i].vocab && c->hidden_size == rows[i].hidden &&
                  c->intermediate_size == rows[i].inner && c->num_hidden_layers == rows[i].layers &&
                  c->num_attention_heads == rows[i].heads &&
                  c->max_position_embeddings == rows[i].positions,
              "%s: %zu %zu %zu %zu %zu %zu", rows[i].name, c->vocab_size, c->hidden_size,
              c->intermediate_size, c->num_hidden_layers, c->num_attention_heads,
              c->max_position_embeddings);
        CHECK(c->type_vocab_size == rows[i].types && c->position_offset == rows[i].offset &&
                  c->norm_eps == rows[i].eps &&
                  c->max_seq_length == rows[i].positions - rows[i].offset,
              "%s: %zu types, offset %zu, eps %g, length %zu", rows[i].name, c->type_vocab_size,
              c->position_offset, (double)c->norm_eps, c->max_seq_length);
    }
}

TEST(convert_encoders, windows_and_bases) {
    const pith_config modern = parse_good(MODERNBERT).config;
    const pith_config gemma =
        parse_good(GEMMA3 ", \"sliding_window\": 512, \"num_hidden_layers\": 7").config;
    const pith_config causal = parse_good(TEST_CLASS("Gemma3TextModel", "gemma3_text")).config;
    for (size_t i = 0; i < 7; i++) {
        const pith_layer_kind *m = &modern.kinds[modern.kind_of[i]];
        const pith_layer_kind *g = &gemma.kinds[gemma.kind_of[i]];
        CHECK(m->sliding_window == (i % 3 == 0 ? 0 : 65) &&
                  m->rope.theta == (i % 3 == 0 ? 160000 : 10000) && m->rope.dims == 64,
              "ModernBERT, layer %zu: %zu %g", i, m->sliding_window, m->rope.theta);
        CHECK(g->sliding_window == (i == 5 ? 0 : 257) && g->rope.theta == (i == 5 ? 1e6 : 1e4),
              "Gemma, layer %zu: %zu %g", i, g->sliding_window, g->rope.theta);
    }
    CHECK(!gemma.causal && causal.causal && causal.kinds[causal.kind_of[0]].sliding_window == 4096,
          "%d %d", gemma.causal, causal.causal);
    const pith_config other =
        parse_good(MODERNBERT ", \"hidden_activation\": \"silu\", \"local_attention\": 16, "
                              "\"global_attn_every_n_layers\": 2, \"rope_parameters\": "
                              "{\"full_attention\": {\"rope_type\": \"default\", \"rope_theta\": "
                              "5e4}, \"sliding_attention\": {\"rope_type\": \"default\"}}")
            .config;
    CHECK(other.activation == PITH_SILU && other.kinds[other.kind_of[0]].rope.theta == 5e4 &&
              other.kinds[other.kind_of[1]].rope.theta == 1e4 &&
              other.kinds[other.kind_of[1]].sliding_window == 9,
          "%g %g %zu", other.kinds[0].rope.theta, other.kinds[1].rope.theta,
          other.kinds[1].sliding_window);
}

TEST(convert_encoders, decoders_become_encoders_by_their_modules_alone) {
    pith_hf_config out;
    pith_error error = {0};
    CHECK(parse(&out, QWEN3, false, &error) == PITH_OK && out.config.role == PITH_DECODER, "%s",
          error.message);
    CHECK(parse(&out, TEST_CLASS("Qwen3Model", "qwen3"), true, &error) == PITH_OK &&
              out.config.role == PITH_ENCODER && out.config.causal && out.config.gated,
          "%s", error.message);
    CHECK(parse(&out, TEST_CLASS("Qwen3Model", "qwen3"), false, &error) == PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "Qwen3Model") != NULL,
          "%s", error.message);
    CHECK(parse(&out, TEST_CLASS("Qwen2ForCausalLM", "qwen2"), true, &error) == PITH_OK &&
              out.config.role == PITH_DECODER,
          "%s", error.message);
}

TEST(convert_encoders, scores_of_one_label) {
#define LABEL ", \"id2label\": {\"0\": \"LABEL_0\"}"
    static const struct {
        const char *more;
        pith_dense_activation activation;
    } rows[] = {
        {LABEL, PITH_DENSE_SIGMOID},
        {LABEL ", \"num_labels\": 3", PITH_DENSE_SIGMOID},
        {", \"num_labels\": 1", PITH_DENSE_SIGMOID},
        {", \"id2label\": null, \"num_labels\": 1", PITH_DENSE_SIGMOID},
        {LABEL ", \"sbert_ce_default_activation_function\": \"torch.nn.modules.linear.Identity\"",
         PITH_DENSE_IDENTITY},
        {LABEL
         ", \"sentence_transformers\": {\"activation_fn\": \"torch.nn.modules.linear.Identity\"}",
         PITH_DENSE_IDENTITY},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char members[400];
        snprintf(members, sizeof members, "%s%s", SCORES, rows[i].more);
        const pith_config c = parse_good(members).config;
        CHECK(c.scores && c.pooling == PITH_POOLING_CLS && c.dense[0].width == 768 &&
                  c.dense[0].activation == PITH_DENSE_TANH && c.dense[1].width == 1 &&
                  c.dense[1].activation == rows[i].activation,
              "%s", members);
    }
}

TEST(convert_encoders, what_a_page_does_not_follow_is_refused_by_name) {
    static const struct {
        const char *members, *words;
        pith_status status;
    } rows[] = {
        {ROBERTA ", \"hidden_act\": \"relu\"", "hidden_act \"relu\"", PITH_ERROR_UNSUPPORTED},
        {ROBERTA ", \"type_vocab_size\": 0", "type_vocab_size is 0", PITH_ERROR_FORMAT},
        {XLM_ROBERTA ", \"is_decoder\": true", "is_decoder", PITH_ERROR_UNSUPPORTED},
        {XLM_ROBERTA ", \"position_embedding_type\": \"relative_key\"",
         "position_embedding_type \"relative_key\"", PITH_ERROR_UNSUPPORTED},
        {XLM_ROBERTA ", \"pad_token_id\": 510", "position_offset is 511", PITH_ERROR_FORMAT},
        {MPNET ", \"relative_attention_num_buckets\": 30", "relative_buckets is 30",
         PITH_ERROR_UNSUPPORTED},
        {MPNET ", \"relative_attention_num_buckets\": 1024", "relative_distance is 128",
         PITH_ERROR_FORMAT},
        {DISTILBERT ", \"activation\": \"relu\"", "activation \"relu\"", PITH_ERROR_UNSUPPORTED},
        {DISTILBERT ", \"dim\": 770", "hidden_size 770", PITH_ERROR_FORMAT},
        {MODERNBERT ", \"norm_bias\": true", "norm_bias", PITH_ERROR_UNSUPPORTED},
        {MODERNBERT ", \"attention_bias\": true", "attention_bias", PITH_ERROR_UNSUPPORTED},
        {MODERNBERT ", \"mlp_bias\": true", "mlp_bias", PITH_ERROR_UNSUPPORTED},
        {MODERNBERT ", \"hidden_activation\": \"relu\"", "hidden_activation \"relu\"",
         PITH_ERROR_UNSUPPORTED},
        {NOMIC ", \"num_experts\": 8", "num_experts 8", PITH_ERROR_UNSUPPORTED},
        {NOMIC ", \"moe_every_n_layers\": 2", "moe_every_n_layers 2", PITH_ERROR_UNSUPPORTED},
        {NOMIC ", \"prenorm\": true", "prenorm 1", PITH_ERROR_UNSUPPORTED},
        {NOMIC ", \"rotary_scaling_factor\": 2.0", "rotary_scaling_factor 2",
         PITH_ERROR_UNSUPPORTED},
        {NOMIC ", \"rotary_emb_interleaved\": true", "rotary_emb_interleaved 1",
         PITH_ERROR_UNSUPPORTED},
        {TEST_CLASS("NomicBertModel", "nomic_bert"), "rotary_emb_fraction 0 (where it is not said)",
         PITH_ERROR_UNSUPPORTED},
        {NEWER ", \"attention_bias\": true", "attention_bias", PITH_ERROR_UNSUPPORTED},
        {NEWER ", \"head_dim\": 32", "head_dim 32", PITH_ERROR_UNSUPPORTED},
        {NEWER ", \"num_key_value_heads\": 4", "num_key_value_heads 4", PITH_ERROR_UNSUPPORTED},
        {NEWER ", \"moe_every_n_layers\": 2", "moe_every_n_layers 2", PITH_ERROR_UNSUPPORTED},
        {NEWER ", \"rotary_emb_fraction\": 0.5", "rotary_emb_fraction 0.5", PITH_ERROR_UNSUPPORTED},
        {TEST_CLASS("NomicBertModel",
                    "nomic_bert") ", \"hidden_size\": 768, \"rope_theta\": 1000.0",
         "there is no hidden_act, which versions of transformers assume differently",
         PITH_ERROR_UNSUPPORTED},
        {TEST_CLASS("NomicBertModel",
                    "nomic_bert") ", \"hidden_size\": 768, \"hidden_act\": \"silu\","
                                  " \"rope_parameters\": {\"rope_type\": \"default\"}",
         "there is no rope_theta", PITH_ERROR_UNSUPPORTED},
        {TEST_CLASS("NomicBertModel",
                    "nomic_bert") ", \"hidden_size\": 768, \"hidden_act\": \"gelu\"",
         "hidden_act \"gelu\"", PITH_ERROR_UNSUPPORTED},
        {QWEN3 ", \"hidden_act\": \"gelu\"", "hidden_act \"gelu\"", PITH_ERROR_UNSUPPORTED},
        {GEMMA3 ", \"attn_logit_softcapping\": 50.0", "attention_cap", PITH_ERROR_UNSUPPORTED},
        {SCORES, "2 labels", PITH_ERROR_UNSUPPORTED},
        {SCORES ", \"id2label\": {\"0\": \"a\", \"1\": \"b\", \"2\": \"c\"}", "3 labels",
         PITH_ERROR_UNSUPPORTED},
        {SCORES ", \"id2label\": null", "2 labels", PITH_ERROR_UNSUPPORTED},
        {SCORES ", \"id2label\": [\"a\"]", "id2label: expected an object or null",
         PITH_ERROR_FORMAT},
        {SCORES ", \"num_labels\": 1, \"sbert_ce_default_activation_function\": \"torch.nn.modules."
                "activation.Softmax\"",
         "torch.nn.modules.activation.Softmax", PITH_ERROR_UNSUPPORTED},
        /* The lists are a decoder's alone in a .pith file. */
        {MODERNBERT ", \"hidden_size\": 48, \"rope_parameters\": {\"full_attention\": {" LONGROPE
                    "}}",
         "rope_scaling (longrope) is not supported for an encoder", PITH_ERROR_UNSUPPORTED},
        {QWEN3 ", \"head_dim\": 4, \"rope_scaling\": {" LONGROPE "}",
         "rope_scaling (longrope) is not supported for an encoder", PITH_ERROR_UNSUPPORTED},
        {MODERNBERT ", \"num_hidden_layers\": 2000", "num_hidden_layers is 2000",
         PITH_ERROR_FORMAT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        pith_hf_config out;
        pith_error error = {0};
        pith_status status = parse(&out, rows[i].members, true, &error);
        CHECK(status == rows[i].status && strstr(error.message, rows[i].words) != NULL,
              "%s: %s: %s", rows[i].members, pith_status_name(status), error.message);
    }
    CHECK_NO_LEAKS();
}
