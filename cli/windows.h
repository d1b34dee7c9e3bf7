/* A text cut into consecutive windows for measuring a model on it: eval and importance. */
#ifndef PITH_CLI_WINDOWS_H
#define PITH_CLI_WINDOWS_H

#include "cli/cli.h"

/* Every token of the text is predicted exactly once (without a beginning-of-text token all but the
 * first). Window i holds `length` input tokens, the last one fewer, and as many targets: input j is
 * followed by target j. The first input of a window is the token that begins a text; when there is
 * none, the token before the first target. */
typedef struct pith_windows {
    int32_t *tokens; /* [n_tokens] of the whole text */
    size_t n_tokens;
    int32_t bos; /* -1: none */
    size_t length;
    size_t n; /* windows */
} pith_windows;

/* Reads and encodes the text in `path`, with a warning when it has Windows line endings; `bos` is
 * that of --bos. Windows have `length` inputs; at most `limit` of them are used (0: all). Errors:
 * IO, FORMAT (nothing to predict), TEXT, MEMORY. */
pith_status pith_windows_load(pith_cli *cli, pith_windows *out, const pith_model *model,
                              const char *path, size_t bos, size_t length, size_t limit,
                              pith_error *error);
void pith_windows_release(pith_windows *windows);

/* Inputs [length] of window i and its targets (borrowed); returns how many there are. */
size_t pith_windows_get(const pith_windows *windows, size_t i, int32_t *inputs,
                        const int32_t **targets);

/* Targets of all windows together. */
size_t pith_windows_targets(const pith_windows *windows);

#endif
