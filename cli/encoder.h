/* What pith index and pith search share: an encoder model, its identity, and embedding with it. */
#ifndef PITH_CLI_ENCODER_H
#define PITH_CLI_ENCODER_H

#include "cli/model.h"
#include "store/store.h"

/* --prompt, --prompt-name */
typedef struct pith_prompt_settings {
    const char *text, *name; /* NULL: not given */
} pith_prompt_settings;

extern const pith_option pith_prompt_options[];

/* True, and a message that it is a wrong usage, when both are given. */
bool pith_prompt_misused(pith_cli *cli, const pith_prompt_settings *settings);

typedef struct pith_encoder {
    pith_cli *cli;
    char *file; /* the .pith file that the operand stands for */
    pith_model *model;
    pith_model_info info;
    const char *prompt; /* in front of every text; never NULL */
    size_t max_tokens;  /* of a text, special tokens and prompt excluded; 0: no room */
} pith_encoder;

/* Opens a model and makes sure that it embeds. Without options the prompt is the model's for
 * this use. Errors also: UNSUPPORTED (not an encoder), ARGUMENT (both options, no such prompt). */
pith_status pith_encoder_open(pith_encoder *out, pith_cli *cli,
                              const pith_common_settings *settings,
                              const pith_prompt_settings *prompt, pith_prompt_use use,
                              const char *path, pith_error *error);
void pith_encoder_close(pith_encoder *encoder);

/* Fills what binds a collection to the model: its name, its fingerprint, the prompt, the dimension;
 * and what version 0.1.0 used as a fingerprint, the SHA-256 of the file's header. Errors: ARGUMENT
 * (a name or a prompt too long), MEMORY, IO, FORMAT. */
pith_status pith_encoder_identify(const pith_encoder *encoder, const char *operand,
                                  const char *name, pith_store_collection *out, pith_error *error);

/* The functions of pith_indexer_options; `user` is the pith_encoder. An interrupt is STOPPED. */
pith_status pith_encoder_embed(void *user, const pith_embed_input *inputs, size_t n, float *out,
                               pith_error *error);
pith_status pith_encoder_count(void *user, const char *text, size_t n_bytes, size_t *n_tokens,
                               pith_error *error);

#endif
