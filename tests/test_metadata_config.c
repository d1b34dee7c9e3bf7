/* The section "config" of the metadata: keys of plain models alone for plain models, every optional
 * step and kind of layer through the file and back, and bad values by their names. */
#include "base/memory.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pith_config plain_decoder(void) {
    return (pith_config){PITH_DECODER_RECIPE,
                         .vocab_size = 300,
                         .hidden_size = 32,
                         .intermediate_size = 64,
                         .num_hidden_layers = 4,
                         .num_attention_heads = 4,
                         .num_key_value_heads = 2,
                         .head_dim = 8,
                         .max_position_embeddings = 128,
                         .norm_eps = 1e-5F,
                         .kinds[0].rope = {.dims = 8, .theta = 1e4}};
}

static pith_config plain_encoder(void) {
    pith_config c = {PITH_ENCODER_RECIPE,
                     .vocab_size = 300,
                     .hidden_size = 32,
                     .intermediate_size = 64,
                     .num_hidden_layers = 4,
                     .num_attention_heads = 4,
                     .max_position_embeddings = 128,
                     .type_vocab_size = 2,
                     .norm_eps = 1e-12F,
                     .max_seq_length = 100,
                     .pooling = PITH_POOLING_CLS};
    pith_config_set_encoder_heads(&c);
    return c;
}

/* Its JSON text, to be freed. */
static char *write_config(const pith_config *config) {
    pith_json_writer to;
    pith_error error;
    pith_json_write_begin(&to, &pith_malloc_allocator);
    pith_json_open(&to, NULL, '{');
    pith_config_write(config, &to);
    pith_json_close(&to, '}');
    CHECK(pith_json_write_end(&to, "config", &error) == PITH_OK, "%s", error.message);
    return to.bytes.data;
}

static pith_status read_config(const char *text, pith_role role, pith_config *out,
                               pith_error *error) {
    char *copy = strdup(text);
    pith_json json;
    pith_status status = pith_json_read(&json, copy, strlen(copy), PITH_JSON_STRICT, "m.pith",
                                        &pith_malloc_allocator, error);
    if (status == PITH_OK) {
        status = pith_config_read(out, role, json, "m.pith", error);
    }
    free(copy);
    return status;
}

static void check_round_trip(const pith_config *config, const char *what) {
    static pith_config read;
    pith_error error = {0};
    char *text = write_config(config);
    CHECK(read_config(text, config->role, &read, &error) == PITH_OK, "%s: %s\n%s", what,
          error.message, text);
    char *again = write_config(&read);
    CHECK(strcmp(text, again) == 0, "%s: %s\nis read as\n%s", what, text, again);
    CHECK(read.n_kinds == config->n_kinds &&
              memcmp(read.kind_of, config->kind_of, sizeof read.kind_of) == 0,
          "%s: kinds", what);
    for (size_t i = 0; i < config->n_kinds; i++) {
        const pith_layer_kind *a = &read.kinds[i];
        const pith_layer_kind *b = &config->kinds[i];
        CHECK(a->sliding_window == b->sliding_window && a->rope.dims == b->rope.dims &&
                  a->rope.theta == b->rope.theta && a->rope.scaling == b->rope.scaling &&
                  a->rope.factor == b->rope.factor &&
                  a->rope.attention_factor == b->rope.attention_factor &&
                  a->rope.query_beta == b->rope.query_beta &&
                  a->rope.original_context == b->rope.original_context &&
                  memcmp(&read.rope_factors, &config->rope_factors, sizeof read.rope_factors) == 0,
              "%s: kind %zu", what, i);
    }
    CHECK(read.qk_norm == config->qk_norm && read.activation == config->activation &&
              read.norm_type == config->norm_type && read.gated == config->gated &&
              read.embedding_scale == config->embedding_scale &&
              read.residual_scale == config->residual_scale &&
              read.attention_scale == config->attention_scale &&
              read.logit_scale == config->logit_scale &&
              read.attention_cap == config->attention_cap && read.logit_cap == config->logit_cap &&
              read.n_experts == config->n_experts &&
              read.n_experts_used == config->n_experts_used &&
              read.norm_experts == config->norm_experts &&
              read.skip_prompt == config->skip_prompt && read.pooling == config->pooling,
          "%s: %s", what, text);
    free(text);
    free(again);
}

/* Files of plain models are what they were before there were others. */
TEST(metadata_config, plain_models_have_the_plain_keys) {
    pith_config decoder = plain_decoder();
    pith_config encoder = plain_encoder();
    char *text = write_config(&decoder);
    CHECK(strcmp(text,
                 "{\"vocab_size\":300,\"hidden_size\":32,\"intermediate_size\":64,"
                 "\"num_hidden_layers\":4,\"num_attention_heads\":4,\"num_key_value_heads\":2,"
                 "\"head_dim\":8,\"max_position_embeddings\":128,\"sliding_window\":0,"
                 "\"rms_norm_eps\":9.9999997473787516e-6,\"rope_theta\":10000.0,"
                 "\"rope_factor\":0.0,\"rope_low_freq_factor\":0.0,\"rope_high_freq_factor\":0.0,"
                 "\"rope_original_context\":0,\"tie_word_embeddings\":false,\"qkv_bias\":false,"
                 "\"o_bias\":false,\"mlp_bias\":false,\"rope_scaling\":\"none\"}") == 0,
          "%s", text);
    free(text);
    text = write_config(&encoder);
    CHECK(strcmp(text, "{\"vocab_size\":300,\"hidden_size\":32,\"intermediate_size\":64,"
                       "\"num_hidden_layers\":4,\"num_attention_heads\":4,"
                       "\"max_position_embeddings\":128,\"type_vocab_size\":2,"
                       "\"layer_norm_eps\":9.999999960041972e-13,\"max_seq_length\":100,"
                       "\"normalize\":false,\"pooling\":\"cls\"}") == 0,
          "%s", text);
    free(text);
    check_round_trip(&decoder, "a decoder");
    check_round_trip(&encoder, "an encoder");
    CHECK_NO_LEAKS();
}

TEST(metadata_config, every_optional_step_comes_back) {
    pith_config c = plain_decoder();
    c.norm_type = PITH_LAYER_NORM;
    check_round_trip(&c, "LayerNorm");
    for (int i = PITH_QK_NORM_NONE; i <= PITH_QK_NORM_AFTER; i++) {
        c = plain_decoder();
        c.qk_norm = (pith_qk_norm)i;
        check_round_trip(&c, "norms of q and k");
    }
    for (int i = PITH_SILU; i <= PITH_RELU2; i++) {
        c = plain_decoder();
        c.activation = (pith_activation)i;
        c.gated = i % 2 == 0;
        check_round_trip(&c, "an activation");
    }
    c = plain_decoder();
    c.embedding_scale = 12;
    c.residual_scale = 0.22F;
    c.attention_scale = 0.0078125F;
    c.logit_scale = 0.0625F;
    c.attention_cap = 50;
    c.logit_cap = 30;
    check_round_trip(&c, "scalars");
    c = plain_decoder();
    c.n_experts = 5;
    c.n_experts_used = 2;
    c.norm_experts = true;
    check_round_trip(&c, "experts");
    c.mlp_bias = c.attention_sinks = true;
    c.activation = PITH_CLAMPED_SWIGLU;
    check_round_trip(&c, "experts with biases, sinks");
    c = plain_encoder();
    c.skip_prompt = true;
    check_round_trip(&c, "an encoder that skips prompts");
    CHECK_NO_LEAKS();
}

TEST(metadata_config, kinds_of_layers_come_back) {
    pith_config c = plain_decoder();
    c.kinds[0].rope.dims = 6;
    check_round_trip(&c, "partial RoPE");
    c.kinds[0].rope.query_beta = 0.1;
    c.kinds[0].rope.original_context = 64;
    check_round_trip(&c, "queries that grow");
    c = plain_decoder();
    c.n_kinds = 2;
    c.kinds[1] = (pith_layer_kind){.sliding_window = 0};
    c.kind_of[3] = 1;
    check_round_trip(&c, "a layer without RoPE");
    c.kind_of[0] = c.kind_of[1] = 1;
    c.kind_of[3] = 0;
    check_round_trip(&c, "layers without RoPE first");
    c.n_kinds = PITH_MAX_LAYER_KINDS;
    c.kinds[2] = c.kinds[0];
    c.kinds[2].sliding_window = 48;
    c.kinds[3] = (pith_layer_kind){.rope = {.dims = 4,
                                            .theta = 1e6,
                                            .scaling = PITH_ROPE_YARN,
                                            .factor = 8,
                                            .original_context = 64,
                                            .attention_factor = 1.2,
                                            .beta_fast = 32,
                                            .beta_slow = 1,
                                            .truncate = true}};
    memcpy(c.kind_of, (const uint8_t[]){0, 1, 2, 3}, 4);
    check_round_trip(&c, "as many kinds as there may be");
    CHECK_NO_LEAKS();
}

static void set_longrope(pith_config *c, size_t kind, size_t dims) {
    c->kinds[kind].rope = (pith_rope_config){.dims = dims,
                                             .theta = 1e4,
                                             .scaling = PITH_ROPE_LONG,
                                             .factor = 8,
                                             .original_context = 64,
                                             .attention_factor = 1.2};
    for (size_t i = 0; i < dims / 2; i++) {
        c->rope_factors.short_list[i] = 1.1F + (float)i;
        c->rope_factors.long_list[i] = 3.3F * (float)(i + 1);
    }
}

static void check_lists(const pith_config *c, const char *members, const char *words) {
    char *text = write_config(c);
    char all[4096];
    pith_config read = {.vocab_size = 7};
    pith_error error = {0};
    char *lists = strstr(text, ",\"rope_short_factors\"");
    CHECK(lists != NULL, "%s", text);
    snprintf(all, sizeof all, "%.*s,%s}", (int)(lists - text), text, members);
    pith_status status = read_config(all, PITH_DECODER, &read, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, words) != NULL, "%s: %s", members,
          error.message);
    free(text);
}

TEST(metadata_config, lists_of_longrope_come_back) {
    pith_config c = plain_decoder();
    set_longrope(&c, 0, 8);
    check_round_trip(&c, "longrope");
    c.n_kinds = 2;
    c.kinds[1] = c.kinds[0];
    set_longrope(&c, 0, 4);
    set_longrope(&c, 1, 8);
    c.kind_of[1] = 1;
    check_round_trip(&c, "longrope of different kinds");
    c.kinds[0].rope = (pith_rope_config){.dims = 8, .theta = 1e4};
    check_round_trip(&c, "longrope of the second kind");
#define SHORT "\"rope_short_factors\":[1,2,3,4]"
    check_lists(&c, SHORT, "config.rope_long_factors is missing");
    check_lists(&c, SHORT ",\"rope_long_factors\":[1,2,3]", "config.rope_long_factors");
    check_lists(&c, SHORT ",\"rope_long_factors\":[1,2,3,4,5]", "config.rope_long_factors");
    check_lists(&c, SHORT ",\"rope_long_factors\":[1,2,3,\"4\"]", "config.rope_long_factors");
    check_lists(&c, SHORT ",\"rope_long_factors\":[1,2,3,1e300]", "config.rope_long_factors");
    check_lists(&c, SHORT ",\"rope_long_factors\":[1,2,3,0]", "rope_long_factors[3] is 0");
    check_lists(&c, SHORT ",\"rope_long_factors\":[1,2,3,1e7]", "rope_long_factors[3] is 1e+07");
    c.kinds[0].rope = c.kinds[1].rope;
    c.kinds[0].rope.original_context = 32;
    pith_error error = {0};
    CHECK(pith_config_check(&c, "x", &error) == PITH_ERROR_UNSUPPORTED &&
              strstr(error.message, "rope_original_context differs, 32 and 64") != NULL,
          "%s", error.message);
    CHECK_NO_LEAKS();
}

/* ---- Bad values ------------------------------------------------------------------------------ */

#define WINDOW "\"sliding_window\": 5"
#define NO_ROPE                                                                    \
    WINDOW ", \"rope_theta\": 0, \"rope_factor\": 0, \"rope_low_freq_factor\": 0," \
           " \"rope_high_freq_factor\": 0, \"rope_original_context\": 0, \"rope_dims\": 0"
#define KIND "{" NO_ROPE ", \"rope_scaling\": \"none\"}"

TEST(metadata_config, bad_values_are_refused_by_name) {
    static const struct {
        const char *members;
        pith_status status;
        const char *words;
    } cases[] = {
        {"\"qk_norm\": \"row\"", PITH_ERROR_FORMAT,
         "config.qk_norm is missing or not none, head, whole or after"},
        {"\"activation\": 3", PITH_ERROR_FORMAT, "config.activation is missing or not silu, gelu,"},
        {"\"norm_type\": \"\"", PITH_ERROR_FORMAT, "config.norm_type is missing or not rms or lay"},
        {"\"gated\": 1", PITH_ERROR_FORMAT, "config.gated"},
        {"\"norm_sums\": true", PITH_ERROR_UNSUPPORTED, "norm_sums"},
        {"\"embedding_scale\": 0", PITH_ERROR_FORMAT, "embedding_scale is 0"},
        {"\"residual_scale\": -1", PITH_ERROR_FORMAT, "residual_scale"},
        {"\"attention_cap\": -50", PITH_ERROR_FORMAT, "attention_cap"},
        {"\"logit_cap\": \"30\"", PITH_ERROR_FORMAT, "config.logit_cap"},
        {"\"rope_query_beta\": \"0.1\"", PITH_ERROR_FORMAT, "config.rope_query_beta"},
        {"\"rope_query_beta\": -1", PITH_ERROR_FORMAT, "rope_query_beta is -1"},
        {"\"rope_query_beta\": 0.1", PITH_ERROR_FORMAT, "rope_original_context is 0"},
        /* Queries grow without RoPE, too, by a division by it. */
        {"\"rope_dims\": 0, \"rope_query_beta\": 0.1", PITH_ERROR_FORMAT,
         "rope_original_context is 0"},
        {"\"rope_dims\": 9", PITH_ERROR_FORMAT, "rope_dims is 9"},
        {"\"rope_dims\": 10", PITH_ERROR_FORMAT, "rope_dims is 10"},
        {"\"layer_kinds\": [" KIND "]", PITH_ERROR_FORMAT, "config.kind_of_layer"},
        {"\"kind_of_layer\": [0, 0, 0, 0]", PITH_ERROR_FORMAT, "config.layer_kinds"},
        {"\"layer_kinds\": [], \"kind_of_layer\": [0, 0, 0, 0]", PITH_ERROR_FORMAT,
         "config.layer_kinds is missing or not an array of 1 to 3 objects"},
        {"\"layer_kinds\": [" KIND "," KIND "," KIND "," KIND "], \"kind_of_layer\": [0, 0, 0, 0]",
         PITH_ERROR_FORMAT, "config.layer_kinds"},
        {"\"layer_kinds\": [" KIND "], \"kind_of_layer\": [0, 0, 0]", PITH_ERROR_FORMAT,
         "config.kind_of_layer is missing or not an array of one number for each layer"},
        {"\"layer_kinds\": [" KIND "], \"kind_of_layer\": [0, 0, 0, 2]", PITH_ERROR_FORMAT,
         "config.kind_of_layer"},
        {"\"layer_kinds\": [" KIND "], \"kind_of_layer\": [0, 0, 0, -1]", PITH_ERROR_FORMAT,
         "config.kind_of_layer"},
        {"\"layer_kinds\": [{" NO_ROPE "}], \"kind_of_layer\": [0, 0, 0, 1]", PITH_ERROR_FORMAT,
         "config.layer_kinds.rope_scaling"},
        {"\"layer_kinds\": [{" WINDOW ", \"rope_scaling\": \"none\"}],"
         " \"kind_of_layer\": [0, 0, 0, 1]",
         PITH_ERROR_FORMAT, "config.layer_kinds.rope_theta"},
        {"\"layer_kinds\": [7], \"kind_of_layer\": [0, 0, 0, 1]", PITH_ERROR_FORMAT,
         "config.layer_kinds.sliding_window"},
    };
    pith_config c = plain_decoder();
    char *plain = write_config(&c);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[4096];
        pith_config read = {.vocab_size = 7};
        pith_error error = {0};
        snprintf(text, sizeof text, "%.*s,%s}", (int)strlen(plain) - 1, plain, cases[i].members);
        pith_status status = read_config(text, PITH_DECODER, &read, &error);
        CHECK(status == cases[i].status && strstr(error.message, cases[i].words) != NULL,
              "%s: %s: %s", cases[i].members, pith_status_name(status), error.message);
        CHECK(read.vocab_size == 7 && read.hidden_size == 0, "%s: touched", cases[i].members);
    }
    free(plain);
    CHECK_NO_LEAKS();
}

TEST(metadata_config, every_step_of_an_encoder_comes_back) {
    pith_config c = plain_encoder();
    c.num_key_value_heads = 2;
    c.head_dim = 16;
    c.qkv_bias = c.o_bias = c.mlp_bias = c.norm_sums = false;
    c.no_positions = c.causal = c.gated = true;
    c.type_vocab_size = 0;
    c.norm_type = PITH_RMS_NORM;
    c.qk_norm = PITH_QK_NORM_HEAD;
    c.activation = PITH_SILU;
    c.embedding_scale = 3;
    c.attention_scale = 0.25F;
    c.pooling = PITH_POOLING_LAST;
    c.dense[0] = (pith_dense){24, PITH_DENSE_GELU};
    c.dense[1] = (pith_dense){1, PITH_DENSE_SIGMOID};
    c.scores = c.skip_prompt = true;
    c.kinds[0].rope = (pith_rope_config){.dims = 16, .theta = 1e6};
    c.kinds[1] = (pith_layer_kind){.sliding_window = 9, .rope = {.dims = 8, .theta = 1e4}};
    c.n_kinds = 2;
    c.kind_of[1] = 1;
    check_round_trip(&c, "all but positions");
    CHECK(pith_config_format_version(&c) == 2, "dense layers");
    c = plain_encoder();
    CHECK(pith_config_format_version(&c) == 1, "a plain one");
    c.position_offset = 2;
    c.relative_buckets = 32;
    c.relative_distance = 128;
    check_round_trip(&c, "positions");
    CHECK_NO_LEAKS();
}

TEST(metadata_config, bad_dense_layers_are_refused) {
    static const char *const lists[] = {
        "[]",     "{}", "[{}]", "[{\"width\":3}]", "[{\"width\":3,\"activation\":\"softmax\"}]",
        "[1,2,3]"};
    pith_config c = plain_encoder();
    char *plain = write_config(&c);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        char text[2048];
        pith_config read;
        pith_error error = {0};
        snprintf(text, sizeof text, "%.*s,\"dense\":%s}", (int)strlen(plain) - 1, plain, lists[i]);
        pith_status status = read_config(text, PITH_ENCODER, &read, &error);
        CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "dense") != NULL, "%s: %s",
              lists[i], error.message);
    }
    free(plain);
    CHECK_NO_LEAKS();
}

/* Steps that the encoder's pass does not have: a file that asks for one must not reach it. */
TEST(metadata_config, encoders_lack_some_steps) {
    static const char *const members[] = {
        "\"norm_type\": \"rms\"",
        "\"qk_norm\": \"whole\"",
        "\"residual_scale\": 0.5",
        "\"attention_cap\": 1",
        "\"relative_buckets\": 30",
        "\"qk_norm\": \"after\"",
        "\"rope_query_beta\": 0.1, \"sliding_window\": 0, \"rope_theta\": 1e4, \"rope_factor\": 0, "
        "\"rope_low_freq_factor\": 0, \"rope_high_freq_factor\": 0, \"rope_original_context\": 64, "
        "\"rope_scaling\": \"none\"",
    };
    pith_config c = plain_encoder();
    char *plain = write_config(&c);
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        char text[2048], key[32];
        pith_config read;
        pith_error error = {0};
        sscanf(members[i], "\"%31[a-z_]", key);
        snprintf(text, sizeof text, "%.*s,%s}", (int)strlen(plain) - 1, plain, members[i]);
        pith_status status = read_config(text, PITH_ENCODER, &read, &error);
        CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, key) != NULL, "%s: %s",
              members[i], error.message);
    }
    free(plain);
}
