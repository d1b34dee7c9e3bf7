/* How the commands write conversations: --chat-template and --template-var of run and chat. */
#ifndef PITH_CLI_CONVERSATION_H
#define PITH_CLI_CONVERSATION_H

#include "cli/options.h"

typedef struct pith_template_settings {
    const char *chat_template; /* a name or a file; NULL: the model's own */
    pith_texts variables;      /* "name=value" */
} pith_template_settings;

extern const pith_option pith_template_options[];

/* The settings in the library's words. */
typedef struct pith_conversation {
    const pith_model *model;
    pith_chat_options options;
    int32_t end; /* the token behind an answer; -1: none */
    char *source, *variables;
} pith_conversation;

/* Returns false when a variable is not NAME=VALUE, and says so. */
bool pith_conversation_check(const pith_template_settings *settings, pith_error *error);

/* Returns false when --chat-template is neither a name that the model (not NULL) knows nor a file:
 * pith_conversation_open fails then. */
bool pith_conversation_knows(const pith_model *model, const pith_template_settings *settings);

/* Reads the template where it is a file, and takes the time of day. A model without a template of
 * its own needs --chat-template. Errors: IO, ARGUMENT, UNSUPPORTED, MEMORY. */
pith_status pith_conversation_open(pith_conversation *out, const pith_model *model,
                                   const char *model_path, const pith_template_settings *settings,
                                   pith_error *error);
void pith_conversation_close(pith_conversation *conversation);

/* Encodes messages [n_messages], up to where an answer begins; *tokens is malloc'ed. Errors: as
 * pith_chat_format. */
pith_status pith_conversation_tokens(const pith_conversation *conversation,
                                     const pith_message *messages, size_t n_messages,
                                     int32_t **tokens, size_t *n_tokens, pith_error *error);

/* Adds the token behind an answer to params->eos, which is `eos` [PITH_MAX_TEXTS + 1]. */
void pith_conversation_end(const pith_conversation *conversation, pith_generate_params *params,
                           int32_t *eos);

#endif
