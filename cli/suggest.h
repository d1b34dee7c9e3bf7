/* What a person may have meant by a name that is not known. */
#ifndef PITH_CLI_SUGGEST_H
#define PITH_CLI_SUGGEST_H

#include <stddef.h>

/* The name (of `n`, one may be NULL) that was probably meant: a synonym in use elsewhere
 * ("max-tokens" for "n-predict"), a name that begins with what was typed or the other way round, or
 * the closest by edit distance; NULL when none is near. */
const char *pith_nearest(const char *typed, const char *const *names, size_t n);

#endif
