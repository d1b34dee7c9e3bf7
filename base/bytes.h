/* A growable byte string. */
#ifndef PITH_BASE_BYTES_H
#define PITH_BASE_BYTES_H

#include "pith.h"

typedef struct pith_bytes {
    const pith_allocator *allocator;
    char *data; /* [capacity]; data[size] is NUL once anything was appended */
    size_t size;
    size_t capacity;
} pith_bytes;

void pith_bytes_init(pith_bytes *bytes, const pith_allocator *allocator);
void pith_bytes_release(pith_bytes *bytes);
/* Appends [n] bytes, which are not part of `bytes` itself; false: out of memory, nothing changed.
 */
bool pith_bytes_append(pith_bytes *bytes, const void *data, size_t n);
bool pith_bytes_append_text(pith_bytes *bytes, const char *text);
/* Appends text [n] with U+FFFD in place of each byte that is not UTF-8; false: out of memory, part
 * of it may have been appended. */
bool pith_bytes_append_valid(pith_bytes *bytes, const char *text, size_t n);

#endif
