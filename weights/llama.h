/* A Llama-family decoder: hyper-parameters, the names and shapes of its tensors in a .pith file,
 * and the struct of pointers that the forward pass reads. Touvron et al. 2023 (Llama, Llama 2),
 * Jiang et al. 2023 (Mistral: sliding window), Bai et al. 2023 (Qwen: q, k, v biases). */
#ifndef PITH_WEIGHTS_LLAMA_H
#define PITH_WEIGHTS_LLAMA_H

#include "weights/slots.h"

typedef enum pith_rope_scaling {
    PITH_ROPE_NONE,
    PITH_ROPE_LINEAR, /* Chen et al. 2023: positions / factor */
    PITH_ROPE_LLAMA3, /* Llama 3.1: long wavelengths / factor, smooth in between */
    PITH_ROPE_YARN,   /* Peng et al. 2023: dimensions / factor by their rotations, a temperature */
    /* NTK-aware: the base would grow with the length of the whole text, so that every cached key
     * would turn with it; none up to max_position_embeddings, and no session is longer. */
    PITH_ROPE_DYNAMIC,
} pith_rope_scaling;

/* Named as in config.json. */
typedef struct pith_llama_config {
    size_t vocab_size;
    size_t hidden_size;
    size_t intermediate_size;
    size_t num_hidden_layers;
    size_t num_attention_heads;
    size_t num_key_value_heads;
    size_t head_dim;
    size_t max_position_embeddings;
    size_t sliding_window; /* keys a query sees, itself included; 0: all */
    float rms_norm_eps;
    double rope_theta;
    pith_rope_scaling rope_scaling;
    double rope_factor;
    double rope_low_freq_factor; /* llama3 only, as the next one */
    double rope_high_freq_factor;
    size_t rope_original_context; /* llama3 and yarn */
    double rope_attention_factor; /* yarn only, as the next three: multiplies cos and sin */
    double rope_beta_fast;        /* rotations over the original context from which on a dimension
                                     is left alone ... */
    double rope_beta_slow;        /* ... and up to which it is divided by the factor */
    bool rope_truncate;           /* the two dimensions are rounded to whole ones */
    bool tie_word_embeddings;
    bool qkv_bias;
    bool o_bias;
    bool mlp_bias;
} pith_llama_config;

/* Limits of a configuration, far above every published model and low enough that no product of
 * them overflows 64 bits. */
enum {
    PITH_LLAMA_MAX_VOCAB = 1 << 20,
    PITH_LLAMA_MAX_WIDTH = 1 << 20, /* hidden, intermediate, heads x head_dim */
    PITH_LLAMA_MAX_LAYERS = 1024,
    PITH_LLAMA_MAX_HEADS = 4096,
    PITH_LLAMA_MAX_HEAD_DIM = 1024,
    PITH_LLAMA_MAX_POSITIONS = 1 << 24,
};

/* Bounds and relations of a configuration (counts within limits, heads divide, head_dim even, ...).
 * hidden and intermediate must be even, so that 16 rows of any type are a multiple of 64 bytes.
 * `where` names the source in messages. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_llama_config_check(const pith_llama_config *config, const char *where,
                                    pith_error *error);

/* Rows of the joined qkv matrix: the blocks of q, k and v, each padded to 16 rows. */
typedef struct pith_qkv_layout {
    size_t q_rows, k_rows, v_rows;       /* real rows */
    size_t k_begin, v_begin, total_rows; /* first padded row of k and v (q begins at 0), the sum */
} pith_qkv_layout;

pith_qkv_layout pith_llama_qkv_layout(const pith_llama_config *config);

/* Rows of gate_up: tiles of 16 rows of gate and of up in alternation, 2 x intermediate rounded up
 * to 16 rows in all. Row r of gate is row r / 16 * 32 + r % 16, of up 16 more. */
size_t pith_llama_gate_up_rows(const pith_llama_config *config);

typedef struct pith_llama_layer {
    const float *input_norm;     /* [hidden] */
    pith_matrix qkv;             /* [qkv total_rows, hidden] */
    const float *qkv_bias;       /* [qkv total_rows] or NULL */
    pith_matrix o;               /* [hidden, heads x head_dim] */
    const float *o_bias;         /* [hidden rounded up to 16] or NULL, as the two below */
    const float *post_attn_norm; /* [hidden] */
    pith_matrix gate_up;         /* [gate_up rows, hidden] */
    const float *gate_up_bias;   /* [gate_up rows] */
    pith_matrix down;            /* [hidden, intermediate] */
    const float *down_bias;      /* [hidden rounded up to 16] */
} pith_llama_layer;

typedef struct pith_llama {
    pith_llama_config config;
    pith_matrix embed;        /* [vocab, hidden]; the same data as head when tied */
    const float *norm;        /* [hidden] */
    pith_matrix head;         /* [vocab, hidden] */
    pith_llama_layer *layers; /* [num_hidden_layers] */
} pith_llama;

/* One tensor that a .pith file of this architecture holds, in file-independent order. */
typedef enum pith_llama_part {
    PITH_LLAMA_EMBED,
    PITH_LLAMA_HEAD,
    PITH_LLAMA_NORM, /* layer is 0 for these */
    PITH_LLAMA_INPUT_NORM,
    PITH_LLAMA_QKV,
    PITH_LLAMA_QKV_BIAS,
    PITH_LLAMA_O,
    PITH_LLAMA_O_BIAS,
    PITH_LLAMA_POST_ATTN_NORM,
    PITH_LLAMA_GATE_UP,
    PITH_LLAMA_GATE_UP_BIAS,
    PITH_LLAMA_DOWN,
    PITH_LLAMA_DOWN_BIAS,
    PITH_LLAMA_N_PARTS,
} pith_llama_part;

/* Fills *out for a part and layer; false when a model of this configuration has no such tensor
 * (head of a tied model, absent biases). The single place that knows names and shapes: reader,
 * converter and random models all use it. */
bool pith_llama_slot_of(const pith_llama_config *config, pith_llama_part part, size_t layer,
                        pith_slot *out);

/* Real weights of a model: padding excluded, a tied pair counted once. */
size_t pith_llama_n_params(const pith_llama_config *config);

/* Where the bound pointer of a part lives in the struct: exactly one of the results is non-NULL. */
pith_matrix *pith_llama_matrix(pith_llama *llama, pith_llama_part part, size_t layer);
const float **pith_llama_vector(pith_llama *llama, pith_llama_part part, size_t layer);

#endif
