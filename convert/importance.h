/* The importance file: for every linear layer the mean square of each input column over a text
 * (a safetensors file, one F32 tensor [columns] per matrix name). The quantiser weighs squared
 * errors by it. */
#ifndef PITH_CONVERT_IMPORTANCE_H
#define PITH_CONVERT_IMPORTANCE_H

#include "base/status.h"

typedef struct pith_importance pith_importance;

pith_status pith_importance_new(pith_importance **out, const pith_allocator *allocator,
                                pith_error *error);
void pith_importance_free(pith_importance *importance);

/* Adds rows [n_rows, n_cols] of inputs of the matrix `name`. Errors: MEMORY, ARGUMENT (n_cols
 * differs from before). */
pith_status pith_importance_add(pith_importance *importance, const char *name, const float *rows,
                                size_t n_rows, size_t n_cols, pith_error *error);

/* Writes the means, atomically. Errors: IO, MEMORY, ARGUMENT (nothing was added), FORMAT (a mean is
 * not finite: the file could not be loaded, and is not published). */
pith_status pith_importance_save(const pith_importance *importance, const char *path,
                                 pith_error *error);

/* Loads a file. Errors: IO, FORMAT, MEMORY. */
pith_status pith_importance_load(pith_importance **out, const char *path,
                                 const pith_allocator *allocator, pith_error *error);

/* Mean squares [n_cols] for a matrix, or NULL when the file has none of that name or width. */
const float *pith_importance_find(const pith_importance *importance, const char *name,
                                  size_t n_cols);

/* The i-th matrix of the file and its columns; NULL when i is beyond the last one. */
const char *pith_importance_name(const pith_importance *importance, size_t i, size_t *n_cols);

/* Columns of a matrix; 0 when the file does not have it. */
size_t pith_importance_width(const pith_importance *importance, const char *name);

#endif
