/* A BERT encoder that gives sentence embeddings: hyper-parameters and the struct of pointers that
 * the forward pass reads. Devlin et al. 2019 (BERT), Reimers & Gurevych 2019 (pooling). */
#ifndef PITH_WEIGHTS_BERT_H
#define PITH_WEIGHTS_BERT_H

#include "weights/slots.h"

/* How the vectors of a text's tokens become one. */
typedef enum pith_pooling {
    PITH_POOLING_MEAN, /* mean over all tokens, [CLS] and [SEP] included */
    PITH_POOLING_CLS,  /* the first token's */
    PITH_POOLING_MAX,  /* largest value of each element */
    PITH_N_POOLINGS,
} pith_pooling;

const char *pith_pooling_name(pith_pooling pooling); /* "mean" */
bool pith_pooling_find(const char *name, pith_pooling *out);

/* Named as in config.json, then what sentence-transformers' module files say. */
typedef struct pith_bert_config {
    size_t vocab_size;
    size_t hidden_size;
    size_t intermediate_size;
    size_t num_hidden_layers;
    size_t num_attention_heads; /* head_dim is hidden_size / this */
    size_t max_position_embeddings;
    size_t type_vocab_size;
    float layer_norm_eps;
    size_t max_seq_length; /* tokens of a text, [CLS] and [SEP] included; longer texts are cut */
    pith_pooling pooling;
    bool normalize;   /* the embedding is divided by its L2 norm */
    bool skip_prompt; /* the tokens of a prompt, and [CLS] in front of it, are not pooled */
} pith_bert_config;

/* Limits of a configuration, as of a decoder: no product of them overflows 64 bits. */
enum {
    PITH_BERT_MAX_VOCAB = 1 << 20,
    PITH_BERT_MAX_WIDTH = 1 << 20, /* hidden, intermediate */
    PITH_BERT_MAX_LAYERS = 1024,
    PITH_BERT_MAX_HEADS = 4096,
    PITH_BERT_MAX_HEAD_DIM = 1024,
    PITH_BERT_MAX_POSITIONS = 1 << 24,
    PITH_BERT_MAX_TYPES = 1024,
    PITH_BERT_LEAST_TOKENS = 4, /* of max_seq_length: a pair of texts needs three special tokens */
};

/* Bounds and relations of a configuration. hidden and intermediate must be even, so that 16 rows of
 * any type are a multiple of 64 bytes. `where` names the source in messages. Errors: FORMAT,
 * UNSUPPORTED. */
pith_status pith_bert_config_check(const pith_bert_config *config, const char *where,
                                   pith_error *error);

typedef struct pith_bert_layer {
    pith_matrix qkv; /* [qkv rows, hidden]: the blocks of q, k and v, each padded to 16 rows */
    const float *qkv_bias;              /* [qkv rows] */
    pith_matrix attention;              /* [hidden, hidden], attention.output.dense */
    const float *attention_bias;        /* [hidden rounded up to 16] */
    const float *attention_norm_weight; /* [hidden] */
    const float *attention_norm_bias;   /* [hidden] */
    pith_matrix up;                     /* [intermediate, hidden], intermediate.dense */
    const float *up_bias;               /* [intermediate rounded up to 16] */
    pith_matrix down;                   /* [hidden, intermediate], output.dense */
    const float *down_bias;             /* [hidden rounded up to 16] */
    const float *output_norm_weight;    /* [hidden] */
    const float *output_norm_bias;      /* [hidden] */
} pith_bert_layer;

typedef struct pith_bert {
    pith_bert_config config;
    pith_matrix word_embed;     /* [vocab, hidden] */
    pith_matrix position_embed; /* [max_position_embeddings, hidden], f32 */
    pith_matrix type_embed;     /* [type_vocab_size, hidden], f32 */
    const float *norm_weight;   /* [hidden] */
    const float *norm_bias;     /* [hidden] */
    pith_bert_layer *layers;    /* [num_hidden_layers] */
} pith_bert;

/* First padded row of k and of v in qkv (q begins at 0), and all rows. */
typedef struct pith_bert_qkv_layout {
    size_t k_begin, v_begin, total_rows;
} pith_bert_qkv_layout;

pith_bert_qkv_layout pith_bert_qkv_layout_of(const pith_bert_config *config);

/* One tensor that a .pith file of this architecture holds, in file-independent order. */
typedef enum pith_bert_part {
    PITH_BERT_WORD_EMBED,
    PITH_BERT_POSITION_EMBED,
    PITH_BERT_TYPE_EMBED,
    PITH_BERT_NORM_WEIGHT,
    PITH_BERT_NORM_BIAS, /* layer is 0 up to here */
    PITH_BERT_QKV,
    PITH_BERT_QKV_BIAS,
    PITH_BERT_ATTENTION,
    PITH_BERT_ATTENTION_BIAS,
    PITH_BERT_ATTENTION_NORM_WEIGHT,
    PITH_BERT_ATTENTION_NORM_BIAS,
    PITH_BERT_UP,
    PITH_BERT_UP_BIAS,
    PITH_BERT_DOWN,
    PITH_BERT_DOWN_BIAS,
    PITH_BERT_OUTPUT_NORM_WEIGHT,
    PITH_BERT_OUTPUT_NORM_BIAS,
    PITH_BERT_N_PARTS,
} pith_bert_part;

/* Fills *out for a part and layer; false when a model of this configuration has no such tensor. The
 * single place that knows names and shapes. */
bool pith_bert_slot_of(const pith_bert_config *config, pith_bert_part part, size_t layer,
                       pith_slot *out);

/* Where the bound pointer of a part lives in the struct. */
pith_slot_place pith_bert_place(pith_bert *bert, pith_bert_part part, size_t layer);

/* Real weights of a model, padding excluded. */
size_t pith_bert_n_params(const pith_bert_config *config);

#endif
