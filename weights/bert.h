/* A BERT encoder that gives sentence embeddings: hyper-parameters and the struct of pointers that
 * the forward pass reads. Devlin et al. 2019 (BERT), Reimers & Gurevych 2019 (pooling). */
#ifndef PITH_WEIGHTS_BERT_H
#define PITH_WEIGHTS_BERT_H

#include "weights/matrix.h"

/* How the vectors of a text's tokens become one. */
typedef enum pith_pooling {
    PITH_POOLING_MEAN, /* mean over all tokens, [CLS] and [SEP] included */
    PITH_POOLING_CLS,  /* the first token's */
    PITH_POOLING_MAX,  /* largest value of each element */
} pith_pooling;

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
    bool normalize; /* the embedding is divided by its L2 norm */
} pith_bert_config;

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

#endif
