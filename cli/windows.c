/* Windows over a text. */
#include "cli/windows.h"

#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/model.h"

pith_status pith_windows_load(pith_cli *cli, pith_windows *out, const pith_model *model,
                              const char *path, size_t bos, size_t length, size_t limit,
                              pith_error *error) {
    pith_windows windows = {.length = length};
    char *text = NULL;
    size_t n_bytes = 0;
    windows.bos = pith_cli_first_token(model, bos);
    unsigned flags = pith_cli_bos_flags(cli, model, bos);
    pith_status status = pith_cli_read(path, &text, &n_bytes, error);
    if (status == PITH_OK) {
        pith_cli_warn_crlf(cli, path, text, n_bytes);
        status = pith_cli_tokenize(model, text, n_bytes, flags, &windows.tokens, &windows.n_tokens,
                                   error);
        if (status != PITH_OK) {
            pith_fail_in(error, status, "%s", path);
        }
    }
    free(text);
    if (status != PITH_OK) {
        return status;
    }
    if (windows.bos >= 0) { /* it begins every window, not only the text */
        windows.n_tokens--;
        memmove(windows.tokens, windows.tokens + 1, windows.n_tokens * sizeof *windows.tokens);
    }
    size_t first = windows.bos < 0 ? 1U : 0; /* the first target */
    if (windows.n_tokens <= first) {
        free(windows.tokens);
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu tokens leave nothing to predict", path,
                         windows.n_tokens);
    }
    windows.n = (windows.n_tokens - first + length - 1) / length;
    if (limit != 0 && limit < windows.n) {
        windows.n = limit;
    }
    *out = windows;
    return PITH_OK;
}

void pith_windows_release(pith_windows *windows) {
    free(windows->tokens);
    windows->tokens = NULL;
}

/* Index of the first target of window i. */
static size_t window_begin(const pith_windows *windows, size_t i) {
    size_t begin = i * windows->length + (windows->bos < 0 ? 1U : 0);
    return begin < windows->n_tokens ? begin : windows->n_tokens;
}

size_t pith_windows_get(const pith_windows *windows, size_t i, int32_t *inputs,
                        const int32_t **targets) {
    size_t begin = window_begin(windows, i);
    size_t n = window_begin(windows, i + 1) - begin;
    inputs[0] = windows->bos < 0 ? windows->tokens[begin - 1] : windows->bos;
    memcpy(inputs + 1, windows->tokens + begin, (n - 1) * sizeof *inputs);
    *targets = windows->tokens + begin;
    return n;
}

size_t pith_windows_targets(const pith_windows *windows) {
    return window_begin(windows, windows->n) - window_begin(windows, 0);
}
