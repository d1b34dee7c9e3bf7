/* config.json and generation_config.json of a Hugging Face checkpoint of any family; of a model of
 * texts and images (Gemma 3, Mistral Small 3 and Ministral 3) those of its text part. */
#ifndef PITH_CONVERT_HF_CONFIG_H
#define PITH_CONVERT_HF_CONFIG_H

#include "weights/metadata.h"

typedef struct pith_hf_config {
    const pith_family *family;
    bool
        wrapped; /* the text part of a model of texts and images, whose tensors have longer names */
    pith_config config; /* of an encoder: what its module files say is not here yet (hf_bert.h) */
    int32_t bos;        /* -1: none */
    int32_t eos[PITH_MAX_EOS];
    size_t n_eos;
} pith_hf_config;

/* Reads the text of config.json, and of generation_config.json unless that is NULL, whose token ids
 * go first; with `embeds` a decoder is read as the encoder that is made of it, if pith knows one;
 * ids that no token has are left out. Both texts are changed, also on failure. An absent key has
 * the default of the architecture's configuration class in transformers; a key that asks for
 * something pith does not compute is UNSUPPORTED by its name. Errors: FORMAT (file, field, what was
 * expected), UNSUPPORTED, MEMORY. */
pith_status pith_hf_config_parse(pith_hf_config *out, char *config, size_t config_size,
                                 char *generation, size_t generation_size, bool embeds,
                                 const pith_allocator *allocator, pith_error *error);

#endif
