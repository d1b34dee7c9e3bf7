/* Shapes of published models, known by name: with random weights they stand for the real models
 * where only sizes matter. */
#ifndef PITH_WEIGHTS_SHAPES_H
#define PITH_WEIGHTS_SHAPES_H

#include "base/status.h"
#include "families/family.h"

typedef struct pith_shape {
    const char *name; /* "llama2-7b" */
    const pith_family *family;
    pith_config config;
} pith_shape;

/* Shape i; NULL when there are no more. */
const pith_shape *pith_shape_at(size_t i);

/* Sets *out to the shape of that name, which is static.
 * Errors: ARGUMENT (unknown shape, the message lists those known). */
pith_status pith_shape_find(const pith_shape **out, const char *name, pith_error *error);

#endif
