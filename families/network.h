/* The network that the forward passes read: pointers to the weights of every layer, with every
 * optional part of every family. What a model does not have is NULL (a norm's weight, a bias) or
 * has no rows (a matrix). families/rules.h says which tensor belongs where. */
#ifndef PITH_FAMILIES_NETWORK_H
#define PITH_FAMILIES_NETWORK_H

#include "families/config.h"
#include "families/matrix.h"

typedef struct pith_norm {
    const float *weight; /* [width]; NULL: there is no norm here */
    const float *bias;   /* [width], of a LayerNorm that has one, or NULL */
} pith_norm;

/* A linear layer: y = W x + b. */
typedef struct pith_weights {
    pith_matrix matrix; /* [rows, cols] */
    const float *bias;  /* [rows of the matrix, padded] or NULL */
} pith_weights;

typedef struct pith_layer {
    pith_norm before_attention; /* [hidden] */
    pith_weights qkv;           /* [qkv total_rows, hidden]: q, k, v rows, each padded to 16 */
    pith_norm q, k;             /* [head_dim], or [heads x head_dim] and [KV heads x head_dim] */
    const float *sinks;         /* [heads] a logit each in the softmax's sum, or NULL */
    pith_weights o;             /* [hidden, heads x head_dim] */
    pith_norm after_attention;  /* [hidden] */
    pith_norm before_mlp;       /* [hidden] */
    pith_weights gate_up;       /* [gate_up rows, hidden]; without a gate: up alone */
    pith_weights down;          /* [hidden, intermediate] */
    pith_norm after_mlp;        /* [hidden] */
    pith_weights router; /* [experts, hidden], f32; or no rows: gate_up and down are an MLP */
} pith_layer;

/* One MLP of several in a layer. */
typedef struct pith_expert {
    pith_weights gate_up, down; /* as a layer's */
} pith_expert;

typedef struct pith_network {
    pith_config config;
    pith_matrix embed;          /* [vocab, hidden] */
    pith_matrix position_embed; /* [max_position_embeddings, hidden], f32; or no rows */
    pith_matrix type_embed;     /* [type_vocab_size, hidden], f32; or no rows */
    pith_norm embed_norm;       /* [hidden] */
    pith_matrix relative_bias;  /* [relative_buckets, heads], f32; or no rows */
    pith_layer *layers;         /* [num_hidden_layers] */
    pith_expert *experts;       /* [num_hidden_layers, n_experts], or NULL */
    pith_norm norm;             /* [hidden] */
    pith_matrix head;           /* [vocab, hidden]; the data of embed when tied; or no rows */
    pith_weights dense[PITH_MAX_DENSE]; /* [width, width before it], f32, of an encoder; or no
                                           rows */
} pith_network;

#endif
