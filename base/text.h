/* Comparing texts. */
#ifndef PITH_BASE_TEXT_H
#define PITH_BASE_TEXT_H

#include "pith.h"

#include <stdbool.h>
#include <string.h>

/* Returns true when `text` ends with `ending`, which may be all of it: ".gguf" ends with ".gguf".
 * Who cuts the ending off must expect that nothing is left. */
static inline bool pith_ends_with(const char *text, const char *ending) {
    size_t n = strlen(text);
    size_t m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

/* Returns true when `text`, which may hold NULs, is `word` and nothing more. */
static inline bool pith_text_is(pith_text text, const char *word) {
    return text.n_bytes == strlen(word) && memcmp(text.data, word, text.n_bytes) == 0;
}

#endif
