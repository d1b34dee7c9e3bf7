/* A mixture of experts in a GGUF file: keys that are put into the words of config.json. */
#ifndef PITH_CONVERT_GGUF_EXPERTS_H
#define PITH_CONVERT_GGUF_EXPERTS_H

#include "convert/gguf_reading.h"

/* What a class of models calls the number of experts, and what no key says. */
typedef struct pith_gguf_mixture {
    const char *model_type; /* in config.json where there are experts; NULL: the architecture's,
                               which are never without */
    const char *count;      /* of experts, there */
    bool own_width;         /* of an expert: not that of an MLP */
    bool norm;              /* shares are a softmax among the chosen experts, where no key says */
    bool either;            /* config.json can say it */
    bool biases;            /* of every expert */
} pith_gguf_mixture;

extern const pith_gguf_mixture pith_gguf_mixtral, pith_gguf_qwen3_moe, pith_gguf_olmoe,
    pith_gguf_granitemoe, pith_gguf_gpt_oss;

/* Writes what a mixture has beside its MLP's width, and which model_type that makes it; nothing for
 * architectures without experts and Llama's with none. Errors: FORMAT (a key is missing, is 0),
 * UNSUPPORTED (another router, shared experts, layers without experts). */
pith_status pith_gguf_put_experts(pith_gguf_reading *r, const char **model_type);

#endif
