/* What a conversion writes and from where: for every tensor of the .pith file its type, its tiles
 * of 16 rows, and the rows of the checkpoint's tensors that each tile is made from, or the seed of
 * its random values. Vectors are treated as matrices of one float column. */
#ifndef PITH_CONVERT_PLAN_H
#define PITH_CONVERT_PLAN_H

#include "convert/checkpoint.h"

enum { PITH_PLAN_MAX_MISSING = 16 };

typedef struct pith_plan_part {
    pith_slot slot;   /* name and padded shape in the .pith file */
    pith_type type;   /* F32 for vectors */
    bool fell_back;   /* int4 was asked for, its columns are not a multiple of 32 */
    bool alternating; /* tiles of the two blocks in turn (gate and up), else one after another */
    size_t n_blocks;
    struct pith_plan_block {
        pith_checkpoint_tensor source; /* [rows, cols], or [rows] for a vector; none: zeros */
        size_t first_row;              /* in the source, where that has several blocks */
        size_t rows;
        size_t first_tile; /* when not alternating */
    } blocks[PITH_MAX_BLOCKS];
    size_t n_tiles;
    size_t tile_bytes; /* of a full tile */
    size_t size;       /* bytes of the tensor; the last tile of a vector may be cut */
    size_t n_weights;  /* real ones */
    uint64_t seed;     /* of random values, as the next one (weights/random_weights.h) */
    float value;       /* of all elements of a vector */
    float add;         /* to every value of a source */
} pith_plan_part;

typedef struct pith_plan {
    const pith_allocator *allocator;
    pith_plan_part *parts; /* [n], in the order of the file */
    size_t n;
    bool random; /* no block has a source: the values are random */
    size_t n_weights;
    size_t max_cols;
    size_t max_tile_bytes;
    /* Biases that the checkpoint does not have, one entry for each kind. */
    struct pith_plan_missing {
        char name[PITH_CHECKPOINT_MAX_NAME]; /* of the first layer without it */
        size_t block;
        unsigned part;
        size_t n; /* layers */
    } missing[PITH_PLAN_MAX_MISSING];
    size_t n_missing;
} pith_plan;

/* Finds and checks every tensor of the configuration; they may have the
 * family's prefix. A bias that is not there is zero, as transformers makes it. Of a tied pair
 * either may be there. Errors: FORMAT (missing tensor, shape), UNSUPPORTED (dtype), MEMORY. */
pith_status pith_plan_make(pith_plan *out, const pith_hf_config *config, pith_type type,
                           pith_type head_type, const pith_checkpoint *checkpoint,
                           pith_error *error);

/* Plans random values for every tensor of the configuration. Errors: MEMORY. */
pith_status pith_plan_make_random(pith_plan *out, const pith_hf_config *config, pith_type type,
                                  pith_type head_type, const pith_allocator *allocator,
                                  pith_error *error);
void pith_plan_free(pith_plan *plan);

/* Warns about biases that are taken as zero. */
void pith_plan_warn_missing(const pith_plan *plan, const pith_checkpoint *checkpoint,
                            const pith_log *log);

/* Warns about tensors of the checkpoint that no part of the plan reads; those that are known to be
 * of no use are skipped (pith_family.ignored). Errors: MEMORY. */
pith_status pith_plan_warn_unused(const pith_plan *plan, const pith_hf_config *config,
                                  const pith_checkpoint *checkpoint, const pith_log *log,
                                  pith_error *error);

/* The real rows of a tile: n_rows (may be 0) rows of block `block` from first_row on. */
typedef struct pith_plan_tile {
    size_t block;
    size_t first_row;
    size_t n_rows;
    size_t size; /* bytes at tile x tile_bytes of the tensor */
} pith_plan_tile;

pith_plan_tile pith_plan_tile_at(const pith_plan_part *part, size_t tile);

#endif
