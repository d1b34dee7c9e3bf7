/* The table of shapes; see shapes.h. */
#include "weights/shapes.h"

#include <string.h>

/* Sizes that every family has, and heads whose size is given. */
#define SIZES(vocab, hidden, ffn, layers, heads, kv_heads, dim, context)                        \
    .role = PITH_DECODER, .gated = true, .vocab_size = (vocab), .hidden_size = (hidden),        \
    .intermediate_size = (ffn), .num_hidden_layers = (layers), .num_attention_heads = (heads),  \
    .num_key_value_heads = (kv_heads), .head_dim = (dim), .max_position_embeddings = (context), \
    .residual_scale = 1, .logit_scale = 1

/* No embedding scale, all layers alike. */
#define PLAIN(...) SIZES(__VA_ARGS__), .embedding_scale = 1, .n_kinds = 1

#define ROPE(size, base) \
    { .dims = (size), .theta = (base) }

/* Gemma: of every six layers five have a window and the last has none; or one of every two. */
#define GEMMA(width)                                                              \
    .norm_eps = 1e-6F, .activation = PITH_GELU_TANH, .tie_word_embeddings = true, \
    .embedding_scale = (width), .attention_scale = 1.0F / 16
#define SIX 0, 0, 0, 0, 0, 1
#define EIGHT 0, 1, 0, 1, 0, 1, 0, 1
#define FOUR 0, 0, 0, 1

/* gpt-oss: every other layer has a window. */
#define GPT_OSS_ROPE                                                                       \
    {                                                                                      \
        .dims = 64, .theta = 150000, .scaling = PITH_ROPE_YARN, .factor = 32,              \
        .original_context = 4096, .attention_factor = 1.3465735902799727, .beta_fast = 32, \
        .beta_slow = 1                                                                     \
    }
#define GPT_OSS(experts)                                                                    \
    .norm_eps = 1e-5F, .activation = PITH_CLAMPED_SWIGLU, .qkv_bias = true, .o_bias = true, \
    .mlp_bias = true, .attention_sinks = true, .n_experts = (experts), .n_experts_used = 4, \
    .norm_experts = true, .embedding_scale = 1, .n_kinds = 2,                               \
    .kinds = {{.sliding_window = 128, .rope = GPT_OSS_ROPE}, {.rope = GPT_OSS_ROPE}}

#define DECODER(vocab, hidden, ffn, layers, heads, kv_heads, context, base) \
    .family = &pith_family_llama,                                           \
    .config = {PITH_DECODER_RECIPE,                                         \
               .vocab_size = (vocab),                                       \
               .hidden_size = (hidden),                                     \
               .intermediate_size = (ffn),                                  \
               .num_hidden_layers = (layers),                               \
               .num_attention_heads = (heads),                              \
               .num_key_value_heads = (kv_heads),                           \
               .head_dim = (hidden) / (heads),                              \
               .max_position_embeddings = (context),                        \
               .norm_eps = 1e-5F,                                           \
               .kinds[0].rope = {.dims = (hidden) / (heads), .theta = (base)}}

#define ENCODER(layers, hidden, ffn, heads, length)                         \
    .family = &pith_family_bert, .config = {PITH_ENCODER_RECIPE,            \
                                            .vocab_size = 30522,            \
                                            .hidden_size = (hidden),        \
                                            .intermediate_size = (ffn),     \
                                            .num_hidden_layers = (layers),  \
                                            .num_attention_heads = (heads), \
                                            .num_key_value_heads = (heads), \
                                            .head_dim = (hidden) / (heads), \
                                            .max_position_embeddings = 512, \
                                            .type_vocab_size = 2,           \
                                            .norm_eps = 1e-12F,             \
                                            .max_seq_length = (length),     \
                                            .pooling = PITH_POOLING_MEAN,   \
                                            .normalize = true}

static const pith_shape shapes[] = {
    {.name = "llama2-7b", DECODER(32000, 4096, 11008, 32, 32, 32, 4096, 1e4)},
    {.name = "llama2-13b", DECODER(32000, 5120, 13824, 40, 40, 40, 4096, 1e4)},
    {.name = "llama2-70b", DECODER(32000, 8192, 28672, 80, 64, 8, 4096, 1e4)},
    {.name = "codellama-7b", DECODER(32016, 4096, 11008, 32, 32, 32, 16384, 1e6)},
    {.name = "codellama-13b", DECODER(32016, 5120, 13824, 40, 40, 40, 16384, 1e6)},
    {.name = "llama3-8b", DECODER(128256, 4096, 14336, 32, 32, 8, 8192, 5e5)},
    {.name = "mistral-7b", DECODER(32000, 4096, 14336, 32, 32, 8, 32768, 1e4)},
    {.name = "tinyllama-1b", DECODER(32000, 2048, 5632, 22, 32, 4, 2048, 1e4)},
    {.name = "qwen3-4b",
     .family = &pith_family_qwen3,
     .config = {PLAIN(151936, 2560, 9728, 36, 32, 8, 128, 40960), .norm_eps = 1e-6F,
                .qk_norm = PITH_QK_NORM_HEAD, .tie_word_embeddings = true,
                .kinds = {{.rope = ROPE(128, 1e6)}}}},
    {.name = "gemma2-2b",
     .family = &pith_family_gemma2,
     .config = {SIZES(256000, 2304, 9216, 26, 8, 4, 256, 8192), GEMMA(48), .attention_cap = 50,
                .logit_cap = 30, .n_kinds = 2,
                .kinds = {{4096, ROPE(256, 1e4)}, {0, ROPE(256, 1e4)}},
                .kind_of = {EIGHT, EIGHT, EIGHT, 0, 1}}},
    {.name = "gemma3-4b",
     .family = &pith_family_gemma3,
     .config = {SIZES(262208, 2560, 10240, 34, 8, 4, 256, 131072), GEMMA(50.596443F),
                .qk_norm = PITH_QK_NORM_HEAD, .n_kinds = 2,
                .kinds = {{1024, ROPE(256, 1e4)},
                          {0,
                           {.dims = 256, .theta = 1e6, .scaling = PITH_ROPE_LINEAR, .factor = 8}}},
                .kind_of = {SIX, SIX, SIX, SIX, SIX}}},
    {.name = "phi3-mini",
     .family = &pith_family_phi3,
     .config = {PLAIN(32064, 3072, 8192, 32, 32, 32, 96, 4096), .norm_eps = 1e-5F,
                .kinds = {{2047, ROPE(96, 1e4)}}}},
    {.name = "phi4-mini", /* without the factors of its longrope */
     .family = &pith_family_phi3,
     .config = {PLAIN(200064, 3072, 8192, 32, 24, 8, 128, 131072), .norm_eps = 1e-5F,
                .tie_word_embeddings = true, .kinds = {{.rope = ROPE(96, 1e4)}}}},
    {.name = "ministral3-8b",
     .family = &pith_family_ministral3,
     .config = {PLAIN(131072, 4096, 14336, 34, 32, 8, 128, 262144), .norm_eps = 1e-5F,
                .kinds = {{.rope = {.dims = 128,
                                    .theta = 1e6,
                                    .scaling = PITH_ROPE_YARN,
                                    .factor = 16,
                                    .original_context = 16384,
                                    .attention_factor = 1,
                                    .beta_fast = 32,
                                    .beta_slow = 1,
                                    .truncate = true,
                                    .query_beta = 0.1}}}}},
    {.name = "olmo2-1b",
     .family = &pith_family_olmo2,
     .config = {PLAIN(100352, 2048, 8192, 16, 16, 16, 128, 4096), .norm_eps = 1e-6F,
                .qk_norm = PITH_QK_NORM_WHOLE, .kinds = {{.rope = ROPE(128, 5e5)}}}},
    {.name = "olmo3-7b",
     .family = &pith_family_olmo3,
     .config = {SIZES(100278, 4096, 11008, 32, 32, 32, 128, 65536), .norm_eps = 1e-6F,
                .qk_norm = PITH_QK_NORM_WHOLE, .embedding_scale = 1, .n_kinds = 2,
                .kinds = {{4096, ROPE(128, 5e5)}, {0, ROPE(128, 5e5)}},
                .kind_of = {FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR}}},
    {.name = "granite3-8b",
     .family = &pith_family_granite,
     .config = {.role = PITH_DECODER,
                .gated = true,
                .vocab_size = 49159,
                .hidden_size = 4096,
                .intermediate_size = 12800,
                .num_hidden_layers = 40,
                .num_attention_heads = 32,
                .num_key_value_heads = 8,
                .head_dim = 128,
                .max_position_embeddings = 131072,
                .norm_eps = 1e-5F,
                .tie_word_embeddings = true,
                .embedding_scale = 12,
                .residual_scale = 0.22F,
                .attention_scale = 1.0F / 128,
                .logit_scale = 1.0F / 16,
                .n_kinds = 1,
                .kinds = {{.rope = ROPE(128, 1e7)}}}},
    {.name = "smollm3-3b",
     .family = &pith_family_smollm3,
     .config = {SIZES(128256, 2048, 11008, 36, 16, 4, 128, 65536), .norm_eps = 1e-6F,
                .tie_word_embeddings = true, .embedding_scale = 1, .n_kinds = 2,
                .kinds = {{.rope = ROPE(128, 5e6)}, {.rope = {.dims = 0}}},
                .kind_of = {FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR, FOUR}}},
    {.name = "mixtral-8x7b",
     .family = &pith_family_mixtral,
     .config = {PLAIN(32000, 4096, 14336, 32, 32, 8, 128, 32768), .norm_eps = 1e-5F, .n_experts = 8,
                .n_experts_used = 2, .norm_experts = true, .kinds = {{.rope = ROPE(128, 1e6)}}}},
    {.name = "qwen3-30b-a3b",
     .family = &pith_family_qwen3_moe,
     .config = {PLAIN(151936, 2048, 768, 48, 32, 4, 128, 40960), .norm_eps = 1e-6F,
                .qk_norm = PITH_QK_NORM_HEAD, .n_experts = 128, .n_experts_used = 8,
                .norm_experts = true, .kinds = {{.rope = ROPE(128, 1e6)}}}},
    {.name = "gpt-oss-20b",
     .family = &pith_family_gpt_oss,
     .config = {SIZES(201088, 2880, 2880, 24, 64, 8, 64, 131072), GPT_OSS(32),
                .kind_of = {EIGHT, EIGHT, EIGHT}}},
    {.name = "gpt-oss-120b",
     .family = &pith_family_gpt_oss,
     .config = {SIZES(201088, 2880, 2880, 36, 64, 8, 64, 131072), GPT_OSS(128),
                .kind_of = {EIGHT, EIGHT, EIGHT, EIGHT, 0, 1, 0, 1}}},
    {.name = "stories-15m",
     DECODER(32000, 288, 768, 6, 6, 6, 256, 1e4),
     .config.tie_word_embeddings = true},
    {.name = "minilm-l6", ENCODER(6, 384, 1536, 12, 256)},
    {.name = "minilm-l12", ENCODER(12, 384, 1536, 12, 128)},
    {.name = "bert-base", ENCODER(12, 768, 3072, 12, 512)},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

const pith_shape *pith_shape_at(size_t i) {
    return i < N_SHAPES ? &shapes[i] : NULL;
}

static void add_name(char *names, size_t size, const char *name) {
    strncat(names, names[0] != '\0' ? ", " : "", size - strlen(names) - 1);
    strncat(names, name, size - strlen(names) - 1);
}

pith_status pith_shape_find(const pith_shape **out, const char *name, pith_error *error) {
    char names[500] = "";
    for (size_t i = 0; i < N_SHAPES; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            *out = &shapes[i];
            return PITH_OK;
        }
        add_name(names, sizeof names, shapes[i].name);
    }
    return pith_fail(error, PITH_ERROR_ARGUMENT, "unknown shape \"%.60s\"; known: %s", name, names);
}
