/* A Llama-family decoder: the names and shapes of its tensors in a .pith file, and where their
 * pointers live in the network. Touvron et al. 2023 (Llama, Llama 2),
 * Jiang et al. 2023 (Mistral: sliding window), Bai et al. 2023 (Qwen: q, k, v biases). */
#ifndef PITH_WEIGHTS_LLAMA_H
#define PITH_WEIGHTS_LLAMA_H

#include "families/network.h"
#include "weights/slots.h"

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
bool pith_llama_slot_of(const pith_config *config, pith_llama_part part, size_t layer,
                        pith_slot *out);

/* Real weights of a model: padding excluded, a tied pair counted once. */
size_t pith_llama_n_params(const pith_config *config);

/* Where the bound pointer of a part lives in the struct: exactly one of the results is non-NULL. */
pith_matrix *pith_llama_matrix(pith_network *llama, pith_llama_part part, size_t layer);
const float **pith_llama_vector(pith_network *llama, pith_llama_part part, size_t layer);

#endif
