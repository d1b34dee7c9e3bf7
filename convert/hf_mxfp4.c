/* MXFP4 in two tensors; see hf_mxfp4.h. */
#include "convert/hf_mxfp4.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK = 32, BLOCK_BYTES = BLOCK / 2 };

void pith_hf_mxfp4_widen(const unsigned char *nibbles, const unsigned char *scales, size_t n,
                         float *out) {
    static const float values[16] = {0.0F,  0.5F,  1.0F,  1.5F,  2.0F,  3.0F,  4.0F,  6.0F,
                                     -0.0F, -0.5F, -1.0F, -1.5F, -2.0F, -3.0F, -4.0F, -6.0F};
    for (size_t b = 0; b < n / BLOCK; b++) {
        /* Half of the power, so that the largest of all, which times 6 is no float, and the least
         * are floats themselves. */
        const float half = scales[b] == UINT8_MAX ? NAN : ldexpf(1.0F, scales[b] - 128);
        for (size_t i = 0; i < BLOCK; i++) {
            unsigned nibble = nibbles[b * BLOCK_BYTES + i / 2] >> (i % 2 * 4) & 15;
            out[b * BLOCK + i] = 2.0F * values[nibble] * half;
        }
    }
}

/* True when the scales are one byte for each block. */
static bool fit(const pith_tensor *blocks, const pith_tensor *scales) {
    size_t n = blocks->n_dims - 1;
    return scales->dtype == PITH_DTYPE_U8 && scales->n_dims == n &&
           memcmp(scales->shape, blocks->shape, n * sizeof *blocks->shape) == 0;
}

bool pith_hf_mxfp4_find(const pith_checkpoint *checkpoint, const char *name,
                        pith_checkpoint_tensor *out) {
    char full[PITH_CHECKPOINT_MAX_NAME + 8];
    pith_hf_tensor blocks, scales;
    snprintf(full, sizeof full, "%s_blocks", name);
    if (!pith_hf_shards_find(&checkpoint->shards, full, &blocks)) {
        return false;
    }
    const pith_tensor *b = blocks.tensor;
    *out = (pith_checkpoint_tensor){
        .file = blocks.file,
        .name = b->name,
        .type = "MXFP4 without scales of its shape",
        .offset = b->offset,
        .size = b->size,
        .block = BLOCK,
        .block_bytes = BLOCK_BYTES,
    };
    snprintf(full, sizeof full, "%s_scales", name);
    if (b->dtype != PITH_DTYPE_U8 || b->n_dims < 2 || b->shape[b->n_dims - 1] != BLOCK_BYTES ||
        !pith_hf_shards_find(&checkpoint->shards, full, &scales) || !fit(b, scales.tensor)) {
        return true;
    }
    out->type = "MXFP4";
    out->scales.file = scales.file;
    out->scales.name = scales.tensor->name;
    out->scales.offset = scales.tensor->offset;
    out->scales.widen = pith_hf_mxfp4_widen;
    out->n_dims = b->n_dims - 1;
    memcpy(out->shape, b->shape, out->n_dims * sizeof *b->shape);
    out->shape[out->n_dims - 1] *= BLOCK; /* half as many bytes are in the file */
    return true;
}
