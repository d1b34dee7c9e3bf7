/* Mean squared inputs of matrices: gathered over a text, kept in a safetensors file. */
#include "convert/importance.h"

#include "base/checked.h"
#include "base/file.h"
#include "base/json_write.h"
#include "weights/safetensors.h"

#include <math.h>
#include <string.h>

enum { MAX_COLS = 1 << 24 };

typedef struct entry {
    char *name;
    size_t n_cols;
    size_t n_rows; /* added so far; 0 when it came from a file */
    double *sums;  /* [n_cols] of squares; NULL when it came from a file */
    float *means;  /* [n_cols] */
} entry;

struct pith_importance {
    const pith_allocator *allocator;
    entry *entries; /* [n], in order of appearance */
    size_t n;
    size_t capacity;
};

pith_status pith_importance_new(pith_importance **out, const pith_allocator *allocator,
                                pith_error *error) {
    allocator = pith_allocator_or_default(allocator);
    pith_importance *importance = pith_allocate_zeroed(allocator, 1, sizeof *importance);
    if (importance == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for importance");
    }
    importance->allocator = allocator;
    *out = importance;
    return PITH_OK;
}

static void release_entry(const pith_allocator *allocator, entry *e) {
    pith_release(allocator, e->name);
    pith_release(allocator, e->sums);
    pith_release(allocator, e->means);
}

void pith_importance_free(pith_importance *importance) {
    if (importance == NULL) {
        return;
    }
    const pith_allocator *allocator = importance->allocator;
    for (size_t i = 0; i < importance->n; i++) {
        release_entry(allocator, &importance->entries[i]);
    }
    pith_release(allocator, importance->entries);
    pith_release(allocator, importance);
}

static entry *find_entry(const pith_importance *importance, const char *name) {
    for (size_t i = 0; i < importance->n; i++) {
        if (strcmp(importance->entries[i].name, name) == 0) {
            return &importance->entries[i];
        }
    }
    return NULL;
}

/* An entry with its arrays; NULL: out of memory. */
static entry *add_entry(pith_importance *importance, const char *name, size_t n_cols,
                        bool with_sums) {
    const pith_allocator *allocator = importance->allocator;
    if (importance->n == importance->capacity) {
        size_t capacity = importance->capacity * 2 + 16;
        void *entries = pith_reallocate(allocator, importance->entries, capacity, sizeof(entry));
        if (entries == NULL) {
            return NULL;
        }
        importance->entries = entries;
        importance->capacity = capacity;
    }
    entry e = {
        .name = pith_copy_text(allocator, name, strlen(name)),
        .n_cols = n_cols,
        .sums = with_sums ? pith_allocate_zeroed(allocator, n_cols, sizeof(double)) : NULL,
        .means = pith_allocate_zeroed(allocator, n_cols, sizeof(float)),
    };
    if (e.name == NULL || e.means == NULL || (with_sums && e.sums == NULL)) {
        release_entry(allocator, &e);
        return NULL;
    }
    importance->entries[importance->n] = e;
    return &importance->entries[importance->n++];
}

pith_status pith_importance_add(pith_importance *importance, const char *name, const float *rows,
                                size_t n_rows, size_t n_cols, pith_error *error) {
    entry *e = find_entry(importance, name);
    if (n_cols == 0 || n_cols > MAX_COLS ||
        (e != NULL && (e->n_cols != n_cols || e->sums == NULL))) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "importance of %.150s: %zu columns cannot be added to %zu", name, n_cols,
                         e != NULL ? e->n_cols : 0);
    }
    if (e == NULL) {
        e = add_entry(importance, name, n_cols, true);
        if (e == NULL) {
            return pith_fail(error, PITH_ERROR_MEMORY, "importance of %.150s: no memory", name);
        }
    }
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t k = 0; k < n_cols; k++) {
            double x = (double)rows[r * n_cols + k];
            e->sums[k] += x * x;
        }
    }
    e->n_rows += n_rows;
    for (size_t k = 0; k < n_cols && e->n_rows > 0; k++) {
        e->means[k] = (float)(e->sums[k] / (double)e->n_rows);
    }
    return PITH_OK;
}

const float *pith_importance_find(const pith_importance *importance, const char *name,
                                  size_t n_cols) {
    const entry *e = find_entry(importance, name);
    return e != NULL && e->n_cols == n_cols ? e->means : NULL;
}

const char *pith_importance_name(const pith_importance *importance, size_t i, size_t *n_cols) {
    if (i >= importance->n) {
        return NULL;
    }
    *n_cols = importance->entries[i].n_cols;
    return importance->entries[i].name;
}

size_t pith_importance_width(const pith_importance *importance, const char *name) {
    const entry *e = find_entry(importance, name);
    return e != NULL ? e->n_cols : 0;
}

/* ---- The file -------------------------------------------------------------------------------- */

/* The text of the safetensors header; the caller releases text->bytes, also on failure. */
static pith_status make_header(const pith_importance *importance, pith_json_writer *text,
                               pith_error *error) {
    size_t begin = 0;
    pith_json_write_begin(text, importance->allocator);
    pith_json_open(text, NULL, '{');
    for (size_t i = 0; i < importance->n; i++) {
        const entry *e = &importance->entries[i];
        size_t end = begin + e->n_cols * sizeof(float);
        pith_json_open(text, e->name, '{');
        pith_json_put_text(text, "dtype", "F32");
        pith_json_open(text, "shape", '[');
        pith_json_put_integer(text, NULL, (int64_t)e->n_cols);
        pith_json_close(text, ']');
        pith_json_open(text, "data_offsets", '[');
        pith_json_put_integer(text, NULL, (int64_t)begin);
        pith_json_put_integer(text, NULL, (int64_t)end);
        pith_json_close(text, ']');
        pith_json_close(text, '}');
        begin = end;
    }
    pith_json_close(text, '}');
    return pith_json_write_end(text, "the header of an importance file", error);
}

static pith_status write_file(const pith_importance *importance, pith_output *output,
                              const pith_bytes *text, pith_error *error) {
    size_t n = text->size;
    uint64_t padded = pith_round_up(n, 8);
    unsigned char length[8];
    for (size_t i = 0; i < sizeof length; i++) {
        length[i] = (unsigned char)(padded >> 8 * i);
    }
    pith_status status = pith_output_write(output, 0, length, sizeof length, error);
    if (status == PITH_OK) {
        status = pith_output_write(output, sizeof length, text->data, n, error);
    }
    if (status == PITH_OK) {
        status = pith_output_write(output, sizeof length + n, "        ", padded - n, error);
    }
    size_t offset = sizeof length + padded;
    for (size_t i = 0; i < importance->n && status == PITH_OK; i++) {
        size_t size = importance->entries[i].n_cols * sizeof(float);
        status = pith_output_write(output, offset, importance->entries[i].means, size, error);
        offset += size;
    }
    return status;
}

static pith_status load_entry(pith_importance *importance, const pith_file *file,
                              const pith_tensor *tensor, pith_error *error) {
    if (tensor->dtype != PITH_DTYPE_F32 || tensor->n_dims != 1 || tensor->shape[0] == 0 ||
        tensor->shape[0] > MAX_COLS) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: tensor %.150s is not one row of up to %d F32 values", file->path,
                         tensor->name, MAX_COLS);
    }
    entry *e = add_entry(importance, tensor->name, tensor->shape[0], false);
    if (e == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory", file->path);
    }
    pith_status status = pith_file_read(file, tensor->offset, e->means, tensor->size, error);
    for (size_t k = 0; k < e->n_cols && status == PITH_OK; k++) {
        if (!isfinite(e->means[k]) || e->means[k] < 0.0f) {
            status = pith_fail(error, PITH_ERROR_FORMAT,
                               "%s: tensor %.150s: element %zu is %g, not a mean square",
                               file->path, tensor->name, k, (double)e->means[k]);
        }
    }
    return status;
}

static pith_status load_file(pith_importance **out, const pith_file *file,
                             const pith_allocator *allocator, pith_error *error) {
    pith_importance *importance = NULL;
    pith_safetensors *header = NULL;
    pith_status status = pith_safetensors_read(&header, file, allocator, error);
    if (status == PITH_OK) {
        status = pith_importance_new(&importance, allocator, error);
    }
    for (size_t i = 0; status == PITH_OK && i < pith_safetensors_count(header); i++) {
        status = load_entry(importance, file, pith_safetensors_at(header, i), error);
    }
    pith_safetensors_free(header);
    if (status != PITH_OK) {
        pith_importance_free(importance);
        return status;
    }
    *out = importance;
    return PITH_OK;
}

pith_status pith_importance_load(pith_importance **out, const char *path,
                                 const pith_allocator *allocator, pith_error *error) {
    pith_file file;
    pith_status status = pith_file_open(&file, path, error);
    if (status == PITH_OK) {
        status = load_file(out, &file, pith_allocator_or_default(allocator), error);
        pith_file_close(&file);
    }
    return status;
}

/* Reads the written file as the quantiser does: squares of huge inputs may have become infinite. */
static pith_status check_file(const pith_importance *importance, const pith_output *output,
                              pith_error *error) {
    pith_importance *loaded = NULL;
    pith_file file;
    pith_status status = pith_output_reopen(output, &file, error);
    if (status == PITH_OK) {
        status = load_file(&loaded, &file, importance->allocator, error);
        pith_file_close(&file);
    }
    pith_importance_free(loaded);
    return status;
}

pith_status pith_importance_save(const pith_importance *importance, const char *path,
                                 pith_error *error) {
    if (importance->n == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s: no importance to write", path);
    }
    pith_output *output = NULL;
    pith_json_writer text;
    pith_status status = make_header(importance, &text, error);
    if (status == PITH_OK) {
        status = pith_output_create(&output, path, importance->allocator, error);
    }
    if (status == PITH_OK) {
        status = write_file(importance, output, &text.bytes, error);
    }
    if (status == PITH_OK) {
        status = check_file(importance, output, error);
    }
    if (status == PITH_OK) {
        status = pith_output_commit(output, error);
    } else {
        pith_output_discard(output);
    }
    pith_bytes_release(&text.bytes);
    return status;
}
