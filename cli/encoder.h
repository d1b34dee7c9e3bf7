/* What pith index and pith search share: an encoder model, its identity, and embedding with it. */
#ifndef PITH_CLI_ENCODER_H
#define PITH_CLI_ENCODER_H

#include "cli/model.h"
#include "store/store.h"

typedef struct pith_encoder {
    pith_cli *cli;
    pith_model *model;
    pith_model_info info;
    size_t max_tokens; /* of a text, special tokens excluded */
} pith_encoder;

/* Opens a model and makes sure that it embeds. Errors also: UNSUPPORTED (not an encoder). */
pith_status pith_encoder_open(pith_encoder *out, pith_cli *cli,
                              const pith_common_settings *settings, const char *path,
                              pith_error *error);
void pith_encoder_close(pith_encoder *encoder);

/* Fills what binds a collection to the model: its name, the SHA-256 of its file's header (which
 * holds the checksums of all weights), the dimension. Errors: ARGUMENT (a name too long), MEMORY,
 * IO, FORMAT. */
pith_status pith_encoder_identify(const pith_encoder *encoder, const char *path, const char *name,
                                  pith_store_collection *out, pith_error *error);

/* The functions of pith_indexer_options; `user` is the pith_encoder. An interrupt is STOPPED. */
pith_status pith_encoder_embed(void *user, const pith_embed_input *inputs, size_t n, float *out,
                               pith_error *error);
pith_status pith_encoder_count(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                               pith_error *error);

#endif
