/* The hyper-parameters: their bounds and relations, and the layouts of joined matrices. */
#include "families/config.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <string.h>

static pith_config llama2_7b(void) {
    return (pith_config){
        PITH_DECODER_RECIPE,
        .vocab_size = 32000,
        .hidden_size = 4096,
        .intermediate_size = 11008,
        .num_hidden_layers = 32,
        .num_attention_heads = 32,
        .num_key_value_heads = 32,
        .head_dim = 128,
        .max_position_embeddings = 4096,
        .norm_eps = 1e-5F,
        .kinds[0].rope = {.dims = 128, .theta = 10000},
    };
}

static pith_config llama3(void) {
    pith_config c = llama2_7b();
    c.kinds[0].rope.scaling = PITH_ROPE_BLEND;
    c.kinds[0].rope.factor = 8;
    c.kinds[0].rope.low_freq_factor = 1;
    c.kinds[0].rope.high_freq_factor = 4;
    c.kinds[0].rope.original_context = 8192;
    return c;
}

static void refuse(const pith_config *config, pith_status expected, const char *part) {
    pith_error error = {0};
    pith_status status = pith_config_check(config, "config.json", &error);
    CHECK(status == expected, "%s: status %s, expected %s", part, pith_status_name(status),
          pith_status_name(expected));
    CHECK(strstr(error.message, "config.json") != NULL && strstr(error.message, part) != NULL,
          "message \"%s\" lacks \"%s\"", error.message, part);
}

TEST(config, accepts_published_shapes) {
    pith_error error;
    pith_config c = llama2_7b();
    CHECK(pith_config_check(&c, "c", &error) == PITH_OK, "7B: %s", error.message);
    c = llama3();
    CHECK(pith_config_check(&c, "c", &error) == PITH_OK, "llama3: %s", error.message);
    c.hidden_size = 8192;
    c.num_attention_heads = 64;
    c.num_key_value_heads = 8;
    c.intermediate_size = 28672;
    c.num_hidden_layers = 80;
    CHECK(pith_config_check(&c, "c", &error) == PITH_OK, "70B: %s", error.message);
}

TEST(config, bounds_every_count) {
    static const struct {
        size_t offset, most;
        const char *name;
    } counts[] = {
        {offsetof(pith_config, vocab_size), PITH_MAX_VOCAB, "vocab_size"},
        {offsetof(pith_config, hidden_size), PITH_MAX_WIDTH, "hidden_size"},
        {offsetof(pith_config, intermediate_size), PITH_MAX_WIDTH, "intermediate_size"},
        {offsetof(pith_config, num_hidden_layers), PITH_MAX_LAYERS, "num_hidden_layers"},
        {offsetof(pith_config, num_attention_heads), PITH_MAX_HEADS, "num_attention_heads"},
        {offsetof(pith_config, num_key_value_heads), PITH_MAX_HEADS, "num_key_value_heads"},
        {offsetof(pith_config, head_dim), PITH_MAX_HEAD_DIM, "head_dim"},
        {offsetof(pith_config, max_position_embeddings), PITH_MAX_POSITIONS,
         "max_position_embeddings"},
    };
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        const size_t bad[] = {0, counts[i].most + 1, SIZE_MAX};
        for (size_t j = 0; j < 3; j++) {
            pith_config c = llama2_7b();
            memcpy((char *)&c + counts[i].offset, &bad[j], sizeof bad[j]);
            refuse(&c, PITH_ERROR_FORMAT, counts[i].name);
        }
    }
    pith_config c = llama2_7b();
    c.kinds[0].sliding_window = PITH_MAX_POSITIONS + 1;
    refuse(&c, PITH_ERROR_FORMAT, "sliding_window");
}

TEST(config, checks_relations) {
    pith_config c = llama2_7b();
    c.num_key_value_heads = 5;
    refuse(&c, PITH_ERROR_FORMAT, "multiple");
    c.num_key_value_heads = 64;
    refuse(&c, PITH_ERROR_FORMAT, "multiple");
    c = llama2_7b();
    c.head_dim = 127;
    refuse(&c, PITH_ERROR_FORMAT, "odd");
    c = llama2_7b();
    c.num_attention_heads = 4096;
    c.head_dim = 1024;
    refuse(&c, PITH_ERROR_FORMAT, "exceeds");
    c = llama2_7b();
    c.hidden_size = 4095;
    refuse(&c, PITH_ERROR_UNSUPPORTED, "odd");
    c = llama2_7b();
    c.intermediate_size = 11007;
    refuse(&c, PITH_ERROR_UNSUPPORTED, "odd");
}

TEST(config, checks_numbers) {
    static const double bad[] = {0, -1, (double)INFINITY, (double)NAN};
    for (size_t i = 0; i < 4; i++) {
        pith_config c = llama3();
        c.norm_eps = (float)bad[i];
        refuse(&c, PITH_ERROR_FORMAT, "rms_norm_eps");
        c = llama3();
        c.kinds[0].rope.theta = bad[i];
        refuse(&c, PITH_ERROR_FORMAT, "rope_theta");
        c = llama3();
        c.kinds[0].rope.factor = bad[i];
        refuse(&c, PITH_ERROR_FORMAT, "rope_factor");
        c.kinds[0].rope.scaling = PITH_ROPE_LINEAR;
        refuse(&c, PITH_ERROR_FORMAT, "rope_factor");
        c = llama3();
        c.kinds[0].rope.low_freq_factor = bad[i];
        refuse(&c, PITH_ERROR_FORMAT, "rope_low_freq_factor");
        c = llama3();
        c.kinds[0].rope.high_freq_factor = bad[i];
        refuse(&c, PITH_ERROR_FORMAT, "rope_high_freq_factor");
    }
    pith_config c = llama3();
    c.kinds[0].rope.high_freq_factor = c.kinds[0].rope.low_freq_factor;
    refuse(&c, PITH_ERROR_FORMAT, "rope_high_freq_factor");
    c = llama3();
    c.kinds[0].rope.original_context = 0;
    refuse(&c, PITH_ERROR_FORMAT, "rope_original_context");
    c = llama3();
    c.kinds[0].rope.scaling = (pith_rope_scaling)9;
    refuse(&c, PITH_ERROR_UNSUPPORTED, "rope_scaling");
}

TEST(config, checks_experts) {
    pith_config c = llama3();
    c.n_experts = 8;
    refuse(&c, PITH_ERROR_FORMAT, "n_experts_used is 0, not in 1..64");
    c.n_experts_used = 9;
    refuse(&c, PITH_ERROR_FORMAT, "n_experts_used is 9, more than n_experts, 8");
    c.n_experts_used = 2;
    pith_error error = {0};
    CHECK(pith_config_check(&c, "m", &error) == PITH_OK, "%s", error.message);
    c.mlp_bias = true;
    CHECK(pith_config_check(&c, "m", &error) == PITH_OK, "%s", error.message);
    c.gated = false;
    refuse(&c, PITH_ERROR_UNSUPPORTED, "experts without a gate");
    c = llama3();
    c.activation = PITH_CLAMPED_SWIGLU;
    CHECK(pith_config_check(&c, "m", &error) == PITH_OK, "%s", error.message);
    c.gated = false;
    refuse(&c, PITH_ERROR_FORMAT, "activation clamped_swiglu without a gate");
    c = llama3();
    c.n_experts = 1025;
    refuse(&c, PITH_ERROR_FORMAT, "n_experts is 1025");
    c.n_experts = 1024;
    c.n_experts_used = 65;
    refuse(&c, PITH_ERROR_FORMAT, "n_experts_used is 65");
    c.n_experts_used = 64;
    c.num_hidden_layers = 24;
    CHECK(pith_config_check(&c, "m", &error) == PITH_OK, "%s", error.message);
    c.num_hidden_layers = 25;
    refuse(&c, PITH_ERROR_FORMAT, "n_experts 1024 in 25 layers are more than 24576");
}

TEST(config, pads_the_blocks_of_qkv) {
    pith_config c = {PITH_DECODER_RECIPE, .num_attention_heads = 3, .num_key_value_heads = 1,
                     .head_dim = 6};
    pith_qkv_layout l = pith_config_qkv_layout(&c);
    CHECK(l.q_rows == 18 && l.k_rows == 6 && l.v_rows == 6, "%zu %zu %zu", l.q_rows, l.k_rows,
          l.v_rows);
    CHECK(l.k_begin == 32 && l.v_begin == 48 && l.total_rows == 64, "%zu %zu %zu", l.k_begin,
          l.v_begin, l.total_rows);
    c.intermediate_size = 18;
    CHECK(pith_config_gate_up_rows(&c) == 64, "%zu", pith_config_gate_up_rows(&c));
}
