/* A BERT encoder that gives sentence embeddings: the names and shapes of its tensors in a .pith
 * file, and where their pointers live in the network. Devlin et al. 2019 (BERT), Reimers & Gurevych
 * 2019 (pooling). */
#ifndef PITH_WEIGHTS_BERT_H
#define PITH_WEIGHTS_BERT_H

#include "families/network.h"
#include "weights/slots.h"

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
bool pith_bert_slot_of(const pith_config *config, pith_bert_part part, size_t layer,
                       pith_slot *out);

/* Where the bound pointer of a part lives in the struct. */
pith_slot_place pith_bert_place(pith_network *bert, pith_bert_part part, size_t layer);

/* Real weights of a model, padding excluded. */
size_t pith_bert_n_params(const pith_config *config);

#endif
