/* The table of shapes; see shapes.h. */
#include "weights/shapes.h"

#include <string.h>

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
    {.name = "stories-15m",
     DECODER(32000, 288, 768, 6, 6, 6, 256, 1e4),
     .config.tie_word_embeddings = true},
    {.name = "minilm-l6", ENCODER(6, 384, 1536, 12, 256)},
    {.name = "minilm-l12", ENCODER(12, 384, 1536, 12, 128)},
    {.name = "bert-base", ENCODER(12, 768, 3072, 12, 512)},
};
enum { N_SHAPES = sizeof shapes / sizeof shapes[0] };

static void add_name(char *names, size_t size, const char *name) {
    strncat(names, names[0] != '\0' ? ", " : "", size - strlen(names) - 1);
    strncat(names, name, size - strlen(names) - 1);
}

pith_status pith_shape_find(const pith_shape **out, const char *name, pith_error *error) {
    char names[300] = "";
    for (size_t i = 0; i < N_SHAPES; i++) {
        if (strcmp(shapes[i].name, name) == 0) {
            *out = &shapes[i];
            return PITH_OK;
        }
        add_name(names, sizeof names, shapes[i].name);
    }
    return pith_fail(error, PITH_ERROR_ARGUMENT, "unknown shape \"%.60s\"; known: %s", name, names);
}
