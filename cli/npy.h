/* NumPy files, format version 1.0 of numpy.lib.format. */
#ifndef PITH_CLI_NPY_H
#define PITH_CLI_NPY_H

#include "base/file.h"

enum { PITH_NPY_HEADER = 128 }; /* bytes; the data follows */

/* Writes the header of a float32 array [rows, cols] at the start of the file. Errors: IO. */
pith_status pith_npy_write_header(pith_output *output, size_t rows, size_t cols, pith_error *error);

#endif
