/* Random values for the tensors of a model: of about the usual size, so that logits stay finite,
 * and the same on every machine. `pith bench --shape` makes models of them in memory, `pith convert
 * --shape` writes them to a file. */
#ifndef PITH_WEIGHTS_RANDOM_WEIGHTS_H
#define PITH_WEIGHTS_RANDOM_WEIGHTS_H

#include "families/rules.h"

/* The seed of the matrix of rule `part` of a family in a layer. */
uint64_t pith_random_seed(unsigned part, size_t layer);

/* The value of all elements of a vector: 1 for the weights of norms, 0 for biases. */
float pith_random_vector(pith_kind kind);

/* Fills tile `tile`, 16 rows, of a matrix with `cols` columns. The bytes depend on the arguments
 * alone, so tiles can be filled in any order from any thread. Packed types have random bytes for
 * all codes and multipliers: -128 is among the int8 codes, and rows beyond the real ones are filled
 * like others, which does no harm in memory. out [pith_matrix_tile_bytes(type, cols)]. */
void pith_random_tile(pith_type type, size_t cols, uint64_t seed, size_t tile, unsigned char *out);

/* Changes a filled tile to what docs/format.md requires of a file: rows from `n_rows` on are zero,
 * int8 codes -128 become -127, and the bytes behind a group's int4 multipliers are zero. */
void pith_random_tile_trim(pith_type type, size_t cols, size_t n_rows, unsigned char *tile);

#endif
