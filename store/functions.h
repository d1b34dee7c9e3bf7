/* Vectors as SQL blobs, and the SQL functions on them.
 *
 * A float vector is its elements as little-endian IEEE binary32: a multiple of 4 bytes. An int8
 * vector is its codes, zeros up to a multiple of 4, and one last byte that counts those zeros: a
 * multiple of 4, and 1. So the length of a blob tells its type. */
#ifndef PITH_STORE_FUNCTIONS_H
#define PITH_STORE_FUNCTIONS_H

#include "pith.h"

struct sqlite3;

/* Bytes of the blob of n codes; writing it: blob [that many]. */
size_t pith_blob_int8_size(size_t n);
void pith_blob_int8_write(const float *x, size_t n, uint8_t *blob);

/* Adds pith_cosine and pith_quantize to a connection; returns SQLite's result code. */
int pith_functions_register(struct sqlite3 *db);

/* Adds pith_embed, which opens models. */
int pith_embed_register(struct sqlite3 *db);

#endif
