/* What the pages of RoBERTa and XLM-R share: all but names and the size of the vocabulary. */
#ifndef PITH_FAMILIES_ROBERTA_H
#define PITH_FAMILIES_ROBERTA_H

#include "families/family.h"

/* The keys behind vocab_size. */
#define PITH_ROBERTA_KEYS                                                         \
    PITH_COUNT(hidden_size, 768), PITH_COUNT(intermediate_size, 3072),            \
        PITH_COUNT(num_hidden_layers, 12), PITH_COUNT(num_attention_heads, 12),   \
        PITH_COUNT(max_position_embeddings, 512), PITH_COUNT(type_vocab_size, 2), \
        PITH_KEY(PITH_FIELD_COUNT, "pad_token_id", position_offset, 1),           \
        PITH_KEY(PITH_FIELD_FLOAT, "layer_norm_eps", norm_eps, 1e-12)

/* The members of the page behind its names and keys. */
#define PITH_ROBERTA_PAGE                                                                      \
    .role = PITH_ENCODER, .score_layers = {"classifier.dense", "classifier.out_proj"},         \
    .score_activation = PITH_DENSE_TANH,                                                       \
    .rules = {&pith_rules_bert_ends, &pith_rules_bert_attention, &pith_rules_bert_mlp,         \
              &pith_rules_dense},                                                              \
    .layers = "encoder.layer.", .prefix = "roberta.",                                          \
    .ignored = {"embeddings.position_ids", "embeddings.token_type_ids", "pooler.dense.weight", \
                "pooler.dense.bias"},                                                          \
    .fixed = {{"hidden_act", "gelu"},                                                          \
              {"position_embedding_type", "absolute"},                                         \
              {"is_decoder", NULL},                                                            \
              {"add_cross_attention", NULL},                                                   \
              {"is_encoder_decoder", NULL}},                                                   \
    .bos = -1, .eos = -1, .read = pith_roberta_read

/* Positions are counted from behind the id of the padding, which the keys have put into
 * position_offset. Errors: FORMAT (no token types). */
pith_status pith_roberta_read(pith_config *config, pith_json json, pith_error *error);

#endif
