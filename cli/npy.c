/* The header of a NumPy file; see npy.h. */
#include "cli/npy.h"

#include <stdio.h>
#include <string.h>

/* Magic, version 1.0, the header's length, and a Python dictionary padded so that the data starts
 * on a multiple of 64. */
pith_status pith_npy_write_header(pith_output *output, size_t rows, size_t cols,
                                  pith_error *error) {
    enum { PREFIX = 10 };
    const uint16_t one = 1;
    bool little = *(const unsigned char *)&one == 1;
    char header[PITH_NPY_HEADER + 1];
    memset(header, ' ', PITH_NPY_HEADER);
    memcpy(header, "\x93NUMPY\x01\x00", 8);
    header[8] = (char)(PITH_NPY_HEADER - PREFIX);
    header[9] = 0;
    int n = snprintf(header + PREFIX, PITH_NPY_HEADER - PREFIX,
                     "{'descr': '%cf4', 'fortran_order': False, 'shape': (%zu, %zu), }",
                     little ? '<' : '>', rows, cols);
    header[PREFIX + n] = ' ';
    header[PITH_NPY_HEADER - 1] = '\n';
    return pith_output_write(output, 0, header, PITH_NPY_HEADER, error);
}
