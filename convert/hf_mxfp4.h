/* Weights in MXFP4 as gpt-oss is published: two tensors of bytes, NAME_blocks [..., rows, groups,
 * 16] and NAME_scales [..., rows, groups], in place of NAME [..., rows, 32 x groups]. OCP
 * Microscaling Formats 1.0, sections 5.2 to 5.4 and 6.3. */
#ifndef PITH_CONVERT_HF_MXFP4_H
#define PITH_CONVERT_HF_MXFP4_H

#include "convert/checkpoint.h"

/* Finds the two tensors of a name; false when there are no blocks. Where the scales are missing or
 * not those of the blocks, the tensor's type says so and no function widens it. */
bool pith_hf_mxfp4_find(const pith_checkpoint *checkpoint, const char *name,
                        pith_checkpoint_tensor *out);

/* Writes the values of n elements, a multiple of 32: nibbles [n / 2], the first of two in the low
 * bits, are numbers with a sign, two bits of exponent and one of mantissa; scales [n / 32] are
 * powers of two with a bias of 127, 255 is NaN. Exact, but for numbers from 2^128 on, which become
 * infinite. */
void pith_hf_mxfp4_widen(const unsigned char *nibbles, const unsigned char *scales, size_t n,
                         float *out);

#endif
