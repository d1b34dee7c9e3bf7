/* How the tensors of a family are declared in a .pith file. */
#ifndef PITH_WEIGHTS_SLOTS_H
#define PITH_WEIGHTS_SLOTS_H

#include "families/rules.h"
#include "weights/safetensors.h"

/* How a slot is declared in the file when its matrix has `type` (ignored for vectors): dtype and
 * shape. False when the type cannot hold the columns (pith_matrix_size). */
bool pith_slot_shape(const pith_slot *slot, pith_type type, pith_dtype *dtype, size_t *n_dims,
                     size_t shape[2]);

#endif
