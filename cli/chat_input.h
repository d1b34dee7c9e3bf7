/* Lines typed by the user: edited with libedit on a terminal, read plainly from anything else. */
#ifndef PITH_CLI_CHAT_INPUT_H
#define PITH_CLI_CHAT_INPUT_H

#include "base/status.h"

typedef struct pith_chat_input pith_chat_input;

pith_status pith_chat_input_new(pith_chat_input **out, pith_error *error);
void pith_chat_input_free(pith_chat_input *input);
bool pith_chat_input_is_terminal(const pith_chat_input *input);

/* Reads one line, without its newline; *line is borrowed until the next call. *end is set instead
 * at the end of the input. Ctrl-C on a line with text clears it; on an empty line, and when the
 * input is no terminal, it is STOPPED. Errors: IO, MEMORY, STOPPED. */
pith_status pith_chat_input_read(pith_chat_input *input, const char **line, size_t *n_bytes,
                                 bool *end, pith_error *error);

#endif
