/* The hyper-parameters of a model, independent of its family: sizes, and for every optional step of
 * the forward passes the field that asks for it. A family's page (families/NAME.c) fills this
 * struct from a checkpoint's config.json; the .pith file stores it; the engine reads nothing else.
 *
 * Fields with a counterpart in config.json carry its name. */
#ifndef PITH_FAMILIES_CONFIG_H
#define PITH_FAMILIES_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* Limits of a configuration, far above every published model and low enough that no product of
 * them overflows 64 bits. */
enum {
    PITH_MAX_VOCAB = 1 << 20,
    PITH_MAX_WIDTH = 1 << 20, /* hidden, intermediate, heads x head_dim */
    PITH_MAX_LAYERS = 1024,
    PITH_MAX_HEADS = 4096,
    PITH_MAX_HEAD_DIM = 1024,
    PITH_MAX_POSITIONS = 1 << 24,
    PITH_MAX_TOKEN_TYPES = 1024,
    PITH_MAX_LAYER_KINDS = 4,
    PITH_MAX_EXPERTS = 1024,
    PITH_MAX_EXPERTS_USED = 64,
    PITH_MAX_ALL_EXPERTS = 24 << 10, /* of all layers: their tensors' notes leave 1.3 MB of the
                                        8 MiB of metadata to all else */
    PITH_MAX_DENSE = 2,              /* dense layers behind the pooling */
    PITH_MAX_BUCKETS = 1024,
    PITH_MIN_SEQ_LENGTH = 4, /* a pair of texts needs three special tokens */
};

typedef enum pith_role {
    PITH_DECODER, /* predicts the next token: engine/decoder.c */
    PITH_ENCODER, /* turns a text into one vector: engine/encoder.c */
} pith_role;

typedef enum pith_norm_type {
    PITH_RMS_NORM,   /* Zhang & Sennrich 2019 */
    PITH_LAYER_NORM, /* Ba et al. 2016 */
} pith_norm_type;

/* The activation of the MLP: with a gate h = act(G a) * U a (Shazeer 2020), else h = act(U a). */
typedef enum pith_activation {
    PITH_SILU,      /* x sigmoid(x); with a gate: SwiGLU */
    PITH_GELU,      /* Hendrycks & Gimpel 2016, by erf */
    PITH_GELU_TANH, /* the same by its approximation with tanh */
    PITH_RELU2,     /* max(x, 0)^2: So et al. 2021 */
    /* With a gate alone: g sigmoid(1.702 g) (u + 1), g at most 7, u within -7..7: OpenAI 2025
     * (gpt-oss). */
    PITH_CLAMPED_SWIGLU,
} pith_activation;

/* The RMSNorm of q and k (Henry et al. 2020; Dehghani et al. 2023), before RoPE but for the last.
 */
typedef enum pith_qk_norm {
    PITH_QK_NORM_NONE,
    PITH_QK_NORM_HEAD,  /* each head by itself; weights [head_dim] */
    PITH_QK_NORM_WHOLE, /* all heads of a row together; weights [heads x head_dim] */
    PITH_QK_NORM_AFTER, /* each head by itself, after RoPE; weights [head_dim] */
} pith_qk_norm;

typedef enum pith_rope_scaling {
    PITH_ROPE_NONE,
    PITH_ROPE_LINEAR, /* Chen et al. 2023: positions / factor */
    PITH_ROPE_BLEND,  /* Llama 3.1: long wavelengths / factor, smooth in between */
    PITH_ROPE_YARN,   /* Peng et al. 2023: dimensions / factor by their rotations, a temperature */
    /* NTK-aware: the base would grow with the length of the whole text, so that every cached key
     * would turn with it; none up to max_position_embeddings, and no session is longer. */
    PITH_ROPE_DYNAMIC,
    PITH_ROPE_LONG, /* Ding et al. 2024: every frequency / a factor of its own (below) */
} pith_rope_scaling;

/* Rotary positions: Su et al. 2021. */
typedef struct pith_rope_config {
    size_t dims; /* the first `dims` elements of each head turn, the rest pass; 0: none turn */
    double theta;
    pith_rope_scaling scaling;
    double factor;          /* not with PITH_ROPE_NONE; longrope's is in attention_factor already */
    double low_freq_factor; /* llama3 only, as the next one */
    double high_freq_factor;
    size_t original_context; /* llama3, yarn and longrope */
    double attention_factor; /* yarn and longrope: multiplies cos and sin */
    double beta_fast;        /* yarn only, as the next two: rotations over the original context from
                                which on a dimension is left alone ... */
    double beta_slow;        /* ... and up to which it is divided by the factor */
    bool truncate;           /* the two dimensions are rounded to whole ones */
    /* Llama 4's: a query at position p is multiplied by 1 + query_beta ln(1 + floor(p / original
     * context)), which is 1 within that; 0: none is. */
    double query_beta;
} pith_rope_config;

/* What LongRoPE divides the frequencies by, [dims / 2] each: a session whose context is at most the
 * original one takes the short factors at every position, any other the long ones. All layers that
 * have this scaling share them. */
typedef struct pith_rope_factors {
    float short_list[PITH_MAX_HEAD_DIM / 2];
    float long_list[PITH_MAX_HEAD_DIM / 2];
} pith_rope_factors;

/* What the attention of a layer may differ in from that of another. */
typedef struct pith_layer_kind {
    size_t sliding_window; /* keys a query sees, itself included; 0: all. Those on both sides of a
                              query in an encoder that is not causal: |key - query| < window */
    pith_rope_config rope;
} pith_layer_kind;

/* How the vectors of a text's tokens become one. */
typedef enum pith_pooling {
    PITH_POOLING_MEAN, /* mean over all tokens, [CLS] and [SEP] included */
    PITH_POOLING_CLS,  /* the first token's */
    PITH_POOLING_MAX,  /* largest value of each element */
    PITH_POOLING_LAST, /* the last token's */
    PITH_N_POOLINGS,
} pith_pooling;

const char *pith_pooling_name(pith_pooling pooling); /* "mean" */
bool pith_pooling_find(const char *name, pith_pooling *out);

/* What a dense layer behind the pooling does to W x + b. */
typedef enum pith_dense_activation {
    PITH_DENSE_IDENTITY,
    PITH_DENSE_TANH,
    PITH_DENSE_SIGMOID,
    PITH_DENSE_RELU,
    PITH_DENSE_GELU, /* by erf */
} pith_dense_activation;

typedef struct pith_dense {
    size_t width; /* elements that come out; 0: there is no such layer */
    pith_dense_activation activation;
} pith_dense;

typedef struct pith_config {
    pith_role role;

    size_t vocab_size;
    size_t hidden_size;
    size_t intermediate_size;
    size_t num_hidden_layers;
    size_t num_attention_heads;
    size_t num_key_value_heads;
    size_t head_dim;
    size_t max_position_embeddings;

    pith_norm_type norm_type;
    float norm_eps;
    bool norm_sums; /* norms after a sub-layer f: x = norm(x + f(x)), not x + norm(f(x)) */
    pith_qk_norm qk_norm;
    pith_activation activation;
    bool gated; /* the MLP has a gate */
    bool tie_word_embeddings;
    bool qkv_bias, o_bias, mlp_bias; /* mlp_bias: with experts the router's, too */
    bool attention_sinks; /* each head of a layer has a logit that the softmax's sum counts, without
                             a value: Xiao et al. 2023; OpenAI 2025 (gpt-oss) */

    /* In place of one MLP: a router and n_experts MLPs, intermediate_size wide each. A row uses the
     * n_experts_used experts with the largest router logits. */
    size_t n_experts;      /* 0: one MLP, no router */
    size_t n_experts_used; /* 1..n_experts */
    bool norm_experts;     /* the shares of the chosen ones are their softmax among each other, not
                              among all */

    /* Scalars; each step is left out where its value is 1, or for the caps 0. */
    float embedding_scale; /* x = E[token] times this */
    float residual_scale;  /* x += this times the output of a sub-layer */
    float attention_scale; /* of q k^T; 0: 1 / sqrt(head_dim) */
    float logit_scale;     /* logits times this */
    float attention_cap;   /* scores become cap tanh(score / cap): Gemma 2 report, section 2 */
    float logit_cap;       /* logits likewise */

    /* Layer i is of kind kinds[kind_of[i]]. */
    size_t n_kinds; /* 1 .. PITH_MAX_LAYER_KINDS */
    pith_layer_kind kinds[PITH_MAX_LAYER_KINDS];
    uint8_t kind_of[PITH_MAX_LAYERS];
    pith_rope_factors rope_factors; /* of kinds with PITH_ROPE_LONG */

    /* Encoders only. */
    size_t type_vocab_size;   /* token types; 0: none */
    bool no_positions;        /* no table of learned positions */
    size_t position_offset;   /* row of a text's first token in that table; where it is not 0, the
                                 token before it is padding, which takes its own row and is not
                                 counted: Liu et al. 2019 (RoBERTa), in fairseq's numbering */
    size_t relative_buckets;  /* of distances, each with a number for every head that is added to
                                 the scores (Raffel et al. 2020, section 2.1); 0: none */
    size_t relative_distance; /* from which on all are in the last bucket */
    bool causal;              /* a token sees those before it only */
    size_t max_seq_length;    /* tokens of a text, [CLS] and [SEP] included; longer texts are cut */
    pith_pooling pooling;
    pith_dense dense[PITH_MAX_DENSE]; /* behind the pooling, in this order; the first that is not
                                         there ends them */
    bool scores;      /* what comes out is one number: how well a pair of texts fits */
    bool normalize;   /* the embedding is divided by its L2 norm */
    bool skip_prompt; /* the tokens of a prompt, and [CLS] in front of it, are not pooled */
} pith_config;

/* The members of an initializer that make the plain blocks; sizes, base and dimensions of RoPE and
 * what a model does otherwise come after them. */

/* Touvron et al. 2023: RMSNorm before each sub-layer, SwiGLU, no biases, every layer alike. */
#define PITH_DECODER_RECIPE                                                         \
    .role = PITH_DECODER, .gated = true, .embedding_scale = 1, .residual_scale = 1, \
    .logit_scale = 1, .n_kinds = 1

/* Devlin et al. 2019: LayerNorm of the sum after each sub-layer, GELU, biases, no RoPE. */
#define PITH_ENCODER_RECIPE                                                      \
    .role = PITH_ENCODER, .norm_type = PITH_LAYER_NORM, .norm_sums = true,       \
    .activation = PITH_GELU, .qkv_bias = true, .o_bias = true, .mlp_bias = true, \
    .embedding_scale = 1, .residual_scale = 1, .logit_scale = 1, .n_kinds = 1

/* Gives an encoder the block of a decoder: RMSNorm before each sub-layer, SwiGLU, no biases, no
 * learned positions; q, k, v and o keep what bias they have. */
void pith_config_set_decoder_block(pith_config *config);

/* Sets the head sizes that an encoder has unless its configuration says otherwise: they follow from
 * hidden_size and num_attention_heads. */
void pith_config_set_encoder_heads(pith_config *config);

/* True when sessions of some context take LongRoPE's short factors and others its long ones;
 * *original is the longest context with the short ones. */
bool pith_config_has_longrope(const pith_config *config, size_t *original);

/* Largest number of tokens of a text that an encoder has positions for. */
size_t pith_config_positions(const pith_config *config);

/* Elements of an encoder's result for a text: the width of its last dense layer, or hidden_size. */
size_t pith_config_embedding_size(const pith_config *config);

/* Checks bounds and relations (counts within limits, heads divide, head_dim even, ...). hidden and
 * intermediate must be even, so that 16 rows of any type are a multiple of 64 bytes. `where` names
 * the source in messages. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_config_check(const pith_config *config, const char *where, pith_error *error);

/* Rows of the joined qkv matrix: the blocks of q, k and v, each padded to 16 rows. */
typedef struct pith_qkv_layout {
    size_t q_rows, k_rows, v_rows;       /* real rows */
    size_t k_begin, v_begin, total_rows; /* first padded row of k and v (q begins at 0), the sum */
} pith_qkv_layout;

pith_qkv_layout pith_config_qkv_layout(const pith_config *config);

/* Rows of the joined gate_up matrix: tiles of 16 rows of gate and of up in alternation, 2 x
 * intermediate rounded up to 16 rows in all. Row r of gate is row r / 16 * 32 + r % 16, of up 16
 * more. Without a gate: intermediate rounded up to 16. */
size_t pith_config_gate_up_rows(const pith_config *config);

#endif
