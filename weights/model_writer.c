/* Writing a .pith file. The header's size is fixed before the data is written, from the declared
 * tensors and the bound on the metadata; the rest of it is padded with spaces. The header is
 * written last, so even the temporary file is not a model until it is complete. */
#include "weights/pith_file.h"

#include "base/checked.h"
#include "base/file.h"
#include "base/json_write.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    char *name;
    pith_dtype dtype;
    size_t n_dims;
    size_t shape[PITH_SAFETENSORS_MAX_DIMS];
    size_t size;
    size_t begin;              /* in the data */
    _Atomic size_t n_received; /* bytes put so far */
} entry;

struct pith_model_writer {
    const pith_allocator *allocator;
    pith_output *output;
    entry *entries; /* [capacity], n_entries in use */
    size_t n_entries;
    size_t capacity;
    size_t data_offset; /* 0 before layout */
    size_t metadata_limit;
};

static pith_status no_memory(pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the model's header");
}

/* ---- Declaring ------------------------------------------------------------------------------- */

static pith_status writer_new(pith_model_writer **out, const char *path, bool private,
                              const pith_allocator *allocator, pith_error *error) {
    allocator = pith_allocator_or_default(allocator);
    pith_model_writer *writer = pith_allocate_zeroed(allocator, 1, sizeof *writer);
    if (writer == NULL) {
        return no_memory(error);
    }
    writer->allocator = allocator;
    pith_status status = private
                             ? pith_output_create_private(&writer->output, path, allocator, error)
                             : pith_output_create(&writer->output, path, allocator, error);
    if (status != PITH_OK) {
        pith_release(allocator, writer);
        return status;
    }
    *out = writer;
    return PITH_OK;
}

pith_status pith_model_writer_new(pith_model_writer **out, const char *path,
                                  const pith_allocator *allocator, pith_error *error) {
    return writer_new(out, path, false, allocator, error);
}

pith_status pith_model_writer_new_private(pith_model_writer **out, const char *path,
                                          const pith_allocator *allocator, pith_error *error) {
    return writer_new(out, path, true, allocator, error);
}

static void writer_free(pith_model_writer *writer) {
    for (size_t i = 0; i < writer->n_entries; i++) {
        pith_release(writer->allocator, writer->entries[i].name);
    }
    pith_release(writer->allocator, writer->entries);
    pith_release(writer->allocator, writer);
}

void pith_model_writer_discard(pith_model_writer *writer) {
    if (writer != NULL) {
        pith_output_discard(writer->output);
        writer_free(writer);
    }
}

static bool reserve_entry(pith_model_writer *writer) {
    if (writer->n_entries < writer->capacity) {
        return true;
    }
    size_t capacity = writer->capacity == 0 ? 64 : writer->capacity * 2;
    entry *entries = pith_reallocate(writer->allocator, writer->entries, capacity, sizeof *entries);
    if (entries == NULL) {
        return false;
    }
    writer->entries = entries;
    writer->capacity = capacity;
    return true;
}

static bool declared_size(pith_dtype dtype, size_t n_dims, const size_t *shape, size_t *out) {
    size_t size = pith_dtype_size(dtype);
    for (size_t i = 0; i < n_dims; i++) {
        if (!pith_mul_size(size, shape[i], &size)) {
            return false;
        }
    }
    *out = size;
    return true;
}

pith_status pith_model_writer_add(pith_model_writer *writer, const char *name, pith_dtype dtype,
                                  size_t n_dims, const size_t *shape, size_t *index,
                                  pith_error *error) {
    size_t size;
    if (writer->data_offset != 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "tensor \"%s\" declared after the layout",
                         name);
    }
    if ((unsigned)dtype >= PITH_N_DTYPES || n_dims > PITH_SAFETENSORS_MAX_DIMS ||
        !declared_size(dtype, n_dims, shape, &size)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "tensor \"%s\": dtype, dimensions or size out of range", name);
    }
    if (strcmp(name, "__metadata__") == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "\"%s\" is the container's own name", name);
    }
    if (!reserve_entry(writer)) {
        return no_memory(error);
    }
    entry *e = &writer->entries[writer->n_entries];
    memset(e, 0, sizeof *e);
    e->name = pith_copy_text(writer->allocator, name, strlen(name));
    if (e->name == NULL) {
        return no_memory(error);
    }
    e->dtype = dtype;
    e->n_dims = n_dims;
    if (n_dims != 0) {
        memcpy(e->shape, shape, n_dims * sizeof *shape);
    }
    e->size = size;
    atomic_init(&e->n_received, 0);
    *index = writer->n_entries++;
    return PITH_OK;
}

/* ---- Layout ---------------------------------------------------------------------------------- */

enum { N_CLASSES = 5 };

/* The place of a tensor in the file: 0 for whole cache lines, then by decreasing element size, so
 * that each tensor starts on a multiple of its element size. */
static unsigned layout_class(const entry *e) {
    switch (e->size % 64 == 0 ? 0 : pith_dtype_size(e->dtype)) {
    case 0:
        return 0;
    case 8:
        return 1;
    case 4:
        return 2;
    case 2:
        return 3;
    default:
        return 4;
    }
}

static void describe(const entry *e, pith_json_writer *to) {
    pith_json_open(to, e->name, '{');
    pith_json_put_text(to, "dtype", pith_dtype_name(e->dtype));
    pith_json_open(to, "shape", '[');
    for (size_t i = 0; i < e->n_dims; i++) {
        pith_json_put_integer(to, NULL, (int64_t)e->shape[i]);
    }
    pith_json_close(to, ']');
    pith_json_open(to, "data_offsets", '[');
    pith_json_put_integer(to, NULL, (int64_t)e->begin);
    pith_json_put_integer(to, NULL, (int64_t)(e->begin + e->size));
    pith_json_close(to, ']');
    pith_json_close(to, '}');
}

/* The header's text, tensors in the order of the file. The caller releases text->bytes, also on
 * failure. */
static pith_status make_header(const pith_model_writer *writer, const char *metadata,
                               pith_json_writer *text, pith_error *error) {
    pith_json_write_begin(text, writer->allocator);
    pith_json_open(text, NULL, '{');
    pith_json_open(text, "__metadata__", '{');
    pith_json_put_text(text, "pith", metadata);
    pith_json_close(text, '}');
    for (unsigned class = 0; class < N_CLASSES; class ++) {
        for (size_t i = 0; i < writer->n_entries; i++) {
            if (layout_class(&writer->entries[i]) == class) {
                describe(&writer->entries[i], text);
            }
        }
    }
    pith_json_close(text, '}');
    return pith_json_write_end(text, "the model's header", error);
}

static int compare_names(const void *a, const void *b) {
    const entry *const *x = a;
    const entry *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static pith_status check_names(const pith_model_writer *writer, pith_error *error) {
    size_t n = writer->n_entries;
    const entry **sorted = pith_allocate(writer->allocator, n, sizeof *sorted);
    pith_status status = PITH_OK;
    if (sorted == NULL) {
        return no_memory(error);
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = &writer->entries[i];
    }
    qsort(sorted, n, sizeof *sorted, compare_names);
    for (size_t i = 1; i < n && status == PITH_OK; i++) {
        if (compare_names(&sorted[i - 1], &sorted[i]) == 0) {
            status = pith_fail(error, PITH_ERROR_ARGUMENT, "tensor \"%s\" declared twice",
                               sorted[i]->name);
        }
    }
    pith_release(writer->allocator, sorted);
    return status;
}

/* Gives the tensors of one class their offsets. */
static pith_status place_class(pith_model_writer *writer, unsigned class, size_t *end,
                               pith_error *error) {
    for (size_t i = 0; i < writer->n_entries; i++) {
        entry *e = &writer->entries[i];
        if (layout_class(e) != class) {
            continue;
        }
        e->begin = *end;
        if (!pith_add_size(*end, e->size, end) || *end > LLONG_MAX / 2) {
            return pith_fail(error, PITH_ERROR_ARGUMENT, "tensor \"%s\": the file is too large",
                             e->name);
        }
    }
    return PITH_OK;
}

pith_status pith_model_writer_layout(pith_model_writer *writer, size_t metadata_limit,
                                     pith_error *error) {
    if (writer->data_offset != 0 || metadata_limit > PITH_MAX_METADATA) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "layout fixed twice, or metadata limit %zu above %d", metadata_limit,
                         PITH_MAX_METADATA);
    }
    size_t end = 0;
    pith_status status = check_names(writer, error);
    for (unsigned class = 0; class < N_CLASSES && status == PITH_OK; class ++) {
        status = place_class(writer, class, &end, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    pith_json_writer text;
    status = make_header(writer, "", &text, error);
    size_t bare = text.bytes.size;
    pith_bytes_release(&text.bytes);
    if (status != PITH_OK) {
        return status;
    }
    /* Compact JSON has no control characters: written as a JSON string, each byte becomes at most
     * two. */
    size_t data_offset = pith_round_up(8 + bare + 2 * metadata_limit, PITH_DATA_ALIGNMENT);
    if (data_offset > PITH_SAFETENSORS_MAX_HEADER) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "a header of %zu bytes, the limit is %d",
                         data_offset, PITH_SAFETENSORS_MAX_HEADER);
    }
    writer->metadata_limit = metadata_limit;
    writer->data_offset = data_offset;
    return PITH_OK;
}

/* ---- Data and header ------------------------------------------------------------------------- */

pith_status pith_model_writer_put(pith_model_writer *writer, size_t index, size_t offset,
                                  const void *data, size_t size, pith_error *error) {
    if (writer->data_offset == 0 || index >= writer->n_entries) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "tensor %zu is not laid out", index);
    }
    entry *e = &writer->entries[index];
    if (offset > e->size || size > e->size - offset) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "tensor \"%s\": bytes %zu + %zu are outside its %zu", e->name, offset,
                         size, e->size);
    }
    pith_status status = pith_output_write(writer->output, writer->data_offset + e->begin + offset,
                                           data, size, error);
    if (status == PITH_OK) {
        atomic_fetch_add(&e->n_received, size);
    }
    return status;
}

pith_status pith_model_writer_leave_out(pith_model_writer *writer, pith_error *error) {
    size_t end = 0;
    for (size_t i = 0; i < writer->n_entries; i++) {
        entry *e = &writer->entries[i];
        bool last = e->size > 0 && e->begin + e->size > end;
        end = last ? e->begin + e->size : end;
        if (atomic_exchange(&e->n_received, e->size) < e->size && last) {
            pith_status status =
                pith_output_write(writer->output, writer->data_offset + end - 1, "", 1, error);
            if (status != PITH_OK) {
                return status;
            }
        }
    }
    return PITH_OK;
}

static pith_status check_complete(const pith_model_writer *writer, pith_error *error) {
    if (writer->data_offset == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "a model is finished before its layout");
    }
    for (size_t i = 0; i < writer->n_entries; i++) {
        const entry *e = &writer->entries[i];
        size_t n = atomic_load(&e->n_received);
        if (n < e->size) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "tensor \"%s\": %zu of its %zu bytes were written", e->name, n,
                             e->size);
        }
    }
    return PITH_OK;
}

/* Writes the header: its length, its text, and spaces up to the data. */
static pith_status put_header(pith_model_writer *writer, const pith_bytes *text,
                              pith_error *error) {
    size_t size = writer->data_offset;
    if (text->size > size - 8) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "metadata is not compact JSON: it does not fit in the header");
    }
    char *block = pith_allocate(writer->allocator, size, 1);
    if (block == NULL) {
        return no_memory(error);
    }
    uint64_t length = size - 8;
    for (size_t i = 0; i < 8; i++) {
        block[i] = (char)(unsigned char)(length >> (8 * i));
    }
    memcpy(block + 8, text->data, text->size);
    memset(block + 8 + text->size, ' ', size - 8 - text->size);
    pith_status status = pith_output_write(writer->output, 0, block, size, error);
    pith_release(writer->allocator, block);
    return status;
}

static pith_status check_written(const pith_model_writer *writer, pith_model_check_fn check,
                                 void *user, pith_error *error) {
    pith_file file;
    pith_status status = pith_output_reopen(writer->output, &file, error);
    if (status == PITH_OK) {
        status = check(user, &file, error);
        pith_file_close(&file);
    }
    return status;
}

static pith_status write_header(pith_model_writer *writer, const char *metadata,
                                pith_error *error) {
    size_t size = strlen(metadata);
    if (size > writer->metadata_limit) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "metadata of %zu bytes, %zu were announced",
                         size, writer->metadata_limit);
    }
    pith_json_writer text;
    pith_status status = make_header(writer, metadata, &text, error);
    if (status == PITH_OK) {
        status = put_header(writer, &text.bytes, error);
    }
    pith_bytes_release(&text.bytes);
    return status;
}

pith_status pith_model_writer_finish(pith_model_writer *writer, const char *metadata,
                                     pith_error *error) {
    return pith_model_writer_finish_checked(writer, metadata, NULL, NULL, error);
}

pith_status pith_model_writer_finish_checked(pith_model_writer *writer, const char *metadata,
                                             pith_model_check_fn check, void *user,
                                             pith_error *error) {
    pith_status status = check_complete(writer, error);
    if (status == PITH_OK) {
        status = write_header(writer, metadata, error);
    }
    if (status == PITH_OK && check != NULL) {
        status = check_written(writer, check, user, error);
    }
    if (status == PITH_OK) {
        status = pith_output_commit(writer->output, error);
    } else {
        pith_output_discard(writer->output);
    }
    writer_free(writer);
    return status;
}
