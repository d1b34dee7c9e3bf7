/* Floats as decimal text. */
#ifndef PITH_SERVER_FLOAT_TEXT_H
#define PITH_SERVER_FLOAT_TEXT_H

#include <stddef.h>

enum { PITH_FLOAT_TEXT = 32 }; /* bytes that a float has at most, with a NUL */

/* Writes a finite x to out [PITH_FLOAT_TEXT] as a JSON number with a point or an exponent, which
 * reads back as the same float, by way of a double too, and is the same in every locale. Where
 * 1e-13 <= |x| < 1e22 as few digits as that needs, if the number is not to lie right between two
 * floats; elsewhere 9. Returns the number of bytes, which a
 * NUL follows. */
size_t pith_float_text(float x, char *out);

#endif
