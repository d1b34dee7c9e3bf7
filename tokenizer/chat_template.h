/* Conversations through a chat template: the step between messages and pith_encode_spans. The
 * variables are those of transformers' apply_chat_template. */
#ifndef PITH_TOKENIZER_CHAT_TEMPLATE_H
#define PITH_TOKENIZER_CHAT_TEMPLATE_H

#include "tokenizer/tokenizer.h"

typedef struct pith_chat_input {
    pith_text source;             /* the template */
    const pith_message *messages; /* [n_messages] */
    size_t n_messages;
    pith_text variables; /* a JSON object of further variables, or empty; one with "messages" is
                            instead of the argument */
    bool no_generation_prompt;
    pith_template_time now; /* what strftime_now shows */
} pith_chat_input;

/* Renders a conversation; bos_token, eos_token and unk_token are the vocabulary's. `out` is the
 * caller's to release, untouched on failure. Errors: ARGUMENT (the template refused the
 * conversation; variables that are no JSON object; messages given twice), TEXT (a message is not
 * UTF-8), FORMAT (no template; a limit), UNSUPPORTED, MEMORY. */
pith_status pith_chat_render(const pith_tokenizer *tokenizer, const pith_chat_input *input,
                             pith_template_output *out, pith_error *error);

/* Renders a conversation as token ids, appended to out. */
pith_status pith_chat_render_tokens(const pith_tokenizer *tokenizer, const pith_chat_input *input,
                                    pith_tokens *out, pith_error *error);

/* Finds the token that the template writes behind an answer, by rendering one: *token is -1 where
 * there is none, or the template refuses the conversation. Of `input` only the source and the time
 * count. Errors: MEMORY. */
pith_status pith_chat_find_end(const pith_tokenizer *tokenizer, const pith_chat_input *input,
                               int32_t *token, pith_error *error);

/* A template that comes with pith, for models whose files have none; NULL: no such name. */
const char *pith_chat_builtin(const char *name);

/* The names of all of them, with ", " between. */
extern const char pith_chat_builtin_names[];

#endif
