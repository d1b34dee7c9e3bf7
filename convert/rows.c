/* Reading and widening rows. Tensors of a checkpoint need not be aligned: elements are copied. */
#include "convert/rows.h"

#include "base/checked.h"
#include "base/status.h"
#include "families/matrix.h"

#include <math.h>
#include <string.h>

enum { SCRATCH = 64 << 10 };

size_t pith_rows_scratch(size_t cols) {
    return pith_max_size(SCRATCH, cols * sizeof(float));
}

/* The row of the file that is row `row` of the tensor: there the two halves of the rows of a head
 * that turn alternate. */
static size_t stored_row(const pith_checkpoint_tensor *source, size_t row) {
    size_t turned = source->turned_rows;
    size_t within = turned != 0 ? row % source->head_rows : 0;
    if (within >= turned) {
        return row;
    }
    size_t half = within >= turned / 2;
    return row - within + 2 * (within - half * (turned / 2)) + half;
}

/* Rows of the file from one of the tensor to the next. */
static size_t step_of(const pith_checkpoint_tensor *source) {
    return pith_max_size(source->row_step, 1);
}

/* Where the element of a row of the file and a column is among those of the tensor. */
static size_t element_at(const pith_checkpoint_tensor *source, size_t cols, size_t row,
                         size_t col) {
    size_t rows = source->column_rows;
    return rows == 0 ? row * cols + col : row / rows * rows * cols + col * rows + row % rows;
}

/* Reads what lies in columns: of each the elements from the first row to the last one. */
static pith_status read_columns(const pith_checkpoint_tensor *source, size_t cols, size_t first,
                                size_t n, void *scratch, float *out, pith_error *error) {
    if (n == 0) {
        return PITH_OK;
    }
    size_t step = step_of(source);
    size_t span = (n - 1) * step + 1;
    float *column = scratch;
    unsigned char *raw = (unsigned char *)(column + span);
    for (size_t k = 0; k < cols; k++) {
        size_t offset = source->offset + element_at(source, cols, first, k) * source->block_bytes;
        pith_status status =
            pith_file_read(source->file, offset, raw, span * source->block_bytes, error);
        if (status != PITH_OK) {
            return status;
        }
        source->widen(raw, span, column);
        for (size_t i = 0; i < n; i++) {
            out[i * cols + k] = column[i * step];
        }
    }
    return PITH_OK;
}

/* Reads n rows that lie one after another, from row `row` of the file on. */
static pith_status read_run(const pith_checkpoint_tensor *source, size_t cols, size_t row, size_t n,
                            unsigned char *raw, float *out, pith_error *error) {
    size_t blocks = n * (cols / source->block);
    size_t first = row * (cols / source->block);
    size_t bytes = blocks * source->block_bytes;
    pith_status status = pith_file_read(source->file, source->offset + first * source->block_bytes,
                                        raw, bytes, error);
    if (status == PITH_OK && source->scales.file != NULL) {
        status = pith_file_read(source->scales.file, source->scales.offset + first, raw + bytes,
                                blocks, error);
    }
    if (status == PITH_OK && source->scales.file != NULL) {
        source->scales.widen(raw, raw + bytes, n * cols, out);
    } else if (status == PITH_OK) {
        source->widen(raw, n * cols, out);
    }
    return status;
}

pith_status pith_rows_read(const pith_checkpoint_tensor *source, size_t cols, size_t first,
                           size_t n, void *scratch, float *out, pith_error *error) {
    if (source->file == NULL) {
        memset(out, 0, n * cols * sizeof *out);
        return PITH_OK;
    }
    if (source->column_rows != 0) {
        return read_columns(source, cols, first, n, scratch, out, error);
    }
    size_t block_bytes = source->block_bytes + (source->scales.file != NULL);
    size_t row_bytes = cols / source->block * block_bytes;
    bool scattered = source->turned_rows != 0 || source->row_step > 1;
    size_t at_once = scattered ? 1 : pith_rows_scratch(cols) / row_bytes;
    for (size_t done = 0; done < n;) {
        size_t m = pith_min_size(n - done, at_once);
        size_t row = stored_row(source, first + done * step_of(source));
        pith_status status = read_run(source, cols, row, m, scratch, out + done * cols, error);
        if (status != PITH_OK) {
            return status;
        }
        done += m;
    }
    return PITH_OK;
}

/* The largest magnitude that a type holds without becoming infinite or being cut badly: half a unit
 * beyond the largest f16 rounds to infinity, and so for bf16; the scale of the quantised types is
 * an f16 and their largest codes are 127 and 10 x 9. */
static float largest_value(pith_type type) {
    switch (type) {
    case PITH_TYPE_F16:
        return 0x1.ffdffep15f;
    case PITH_TYPE_BF16:
        return 0x1.fefffep127f;
    case PITH_TYPE_INT8:
        return 65504.0f * 127.0f;
    case PITH_TYPE_INT4:
        return 65504.0f * 90.0f;
    case PITH_TYPE_F32:
    case PITH_N_TYPES:
        break;
    }
    return 0x1.fffffep127f;
}

static pith_status fail_value(const pith_checkpoint_tensor *source, pith_type type, float value,
                              size_t element, pith_error *error) {
    if (!isfinite(value)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: tensor %.150s: element %zu is not finite",
                         source->file->path, source->name, element);
    }
    return pith_fail(error, PITH_ERROR_FORMAT,
                     "%s: tensor %.150s: element %zu is %g: the value exceeds %s",
                     source->file->path, source->name, element, (double)value,
                     pith_type_name(type));
}

pith_status pith_rows_check(const pith_checkpoint_tensor *source, pith_type type, const float *rows,
                            size_t n, size_t cols, size_t first, pith_error *error) {
    float limit = largest_value(type);
    int32_t limit_bits, largest = 0;
    memcpy(&limit_bits, &limit, sizeof limit_bits);
    for (size_t i = 0; i < n * cols; i++) {
        int32_t bits;
        memcpy(&bits, &rows[i], sizeof bits);
        bits &= INT32_MAX; /* magnitudes are ordered as their bits, NaN above all */
        largest = largest > bits ? largest : bits;
    }
    if (largest <= limit_bits) {
        return PITH_OK;
    }
    for (size_t i = 0; i < n * cols; i++) {
        if (!(fabsf(rows[i]) <= limit)) {
            size_t row = first + i / cols * step_of(source);
            return fail_value(source, type, rows[i], element_at(source, cols, row, i % cols),
                              error);
        }
    }
    return PITH_OK;
}
