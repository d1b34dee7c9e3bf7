/* What one of several ranks reads of a file: of every matrix that is cut its own rows, one behind
 * the other in memory, and all else whole. */
#ifndef PITH_WEIGHTS_HELD_H
#define PITH_WEIGHTS_HELD_H

#include "weights/pith_file.h"

/* A tensor of the file and how it is cut. */
typedef struct pith_held_tensor {
    pith_extent rows; /* of a matrix; PITH_EXTENT_ONE: not one */
    size_t n_rows;
} pith_held_tensor;

typedef struct pith_held_data {
    size_t rank, n_ranks;      /* 0 of 1: the members below stay NULL */
    pith_held_tensor *tensors; /* [tensors of the file] */
    size_t *places;            /* the same: where what is held of it begins in memory */
    pith_extract *extracts;    /* [n_extracts] */
    size_t n_extracts;
    size_t size; /* bytes in memory */
} pith_held_data;

/* Takes memory for the tensors of a file; nothing for a process alone. False: there is none. */
bool pith_held_data_begin(pith_held_data *held, size_t n_tensors, const pith_allocator *allocator);
void pith_held_data_end(pith_held_data *held, const pith_allocator *allocator);

/* Says that tensor i is a matrix with these rows. */
void pith_held_data_note(pith_held_data *held, size_t i, pith_extent rows, size_t n_rows);

/* Sets the places and extracts, and shares and held_bytes of the file, whose header is read and
 * whose matrices are noted. */
void pith_held_data_choose(pith_held_data *held, pith_model_file *file);

/* A hash of the first n bytes of a file (FNV-1a, 64 bits). Errors: IO, FORMAT. */
pith_status pith_held_hash(uint64_t *out, const pith_file *file, size_t n, pith_error *error);

#endif
