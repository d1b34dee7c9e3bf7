/* Texts that end with a NUL. */
#ifndef PITH_BASE_TEXT_H
#define PITH_BASE_TEXT_H

#include <stdbool.h>
#include <string.h>

/* Returns true when `text` ends with `ending`, which may be all of it: ".gguf" ends with ".gguf".
 * Who cuts the ending off must expect that nothing is left. */
static inline bool pith_ends_with(const char *text, const char *ending) {
    size_t n = strlen(text);
    size_t m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

#endif
