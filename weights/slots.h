/* What the architectures have in common in a .pith file: their names, and the slot, one tensor with
 * its name, shape and kind of type. llama.h and bert.h give the slots of their models. */
#ifndef PITH_WEIGHTS_SLOTS_H
#define PITH_WEIGHTS_SLOTS_H

#include "families/matrix.h"
#include "weights/safetensors.h"

typedef enum pith_architecture {
    PITH_ARCHITECTURE_LLAMA, /* a decoder: weights/llama.h */
    PITH_ARCHITECTURE_BERT,  /* an encoder: weights/bert.h */
    PITH_N_ARCHITECTURES,
} pith_architecture;

const char *pith_architecture_name(pith_architecture architecture); /* "llama" */
bool pith_architecture_find(const char *name, pith_architecture *out);

/* What decides the type of a slot's values. */
typedef enum pith_slot_kind {
    PITH_SLOT_VECTOR, /* f32, no matrix */
    PITH_SLOT_LINEAR, /* the type of the linear layers */
    PITH_SLOT_HEAD,   /* the type of embedding and head */
    PITH_SLOT_TABLE,  /* a matrix that is f32 always */
} pith_slot_kind;

typedef struct pith_slot {
    char name[96];  /* "model.layers.3.self_attn.qkv_proj.weight" */
    bool is_matrix; /* else a float vector of `rows` elements (shape [rows], dtype F32) */
    pith_slot_kind kind;
    size_t rows;      /* padded to 16 for matrices and biases */
    size_t real_rows; /* without padding */
    size_t cols;      /* 1 for vectors */
} pith_slot;

/* Where the bound pointer of a slot lives: exactly one is not NULL. */
typedef struct pith_slot_place {
    pith_matrix *matrix;
    const float **vector;
} pith_slot_place;

/* How a slot is declared in the file when its matrix has `type` (ignored for vectors): dtype and
 * shape. False when the type cannot hold the columns (pith_matrix_size). */
bool pith_slot_shape(const pith_slot *slot, pith_type type, pith_dtype *dtype, size_t *n_dims,
                     size_t shape[2]);

#endif
