/* The safetensors container (github.com/huggingface/safetensors, "Format"): parsing and checking of
 * the header. Its text is decoded in place and kept, since names and metadata strings live in it.
 */
#include "weights/safetensors.h"

#include "base/checked.h"
#include "base/file_kind.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} dtypes[PITH_N_DTYPES] = {
    [PITH_DTYPE_BOOL] = {"BOOL", 1},       [PITH_DTYPE_U8] = {"U8", 1},
    [PITH_DTYPE_I8] = {"I8", 1},           [PITH_DTYPE_F8_E4M3] = {"F8_E4M3", 1},
    [PITH_DTYPE_F8_E5M2] = {"F8_E5M2", 1}, [PITH_DTYPE_I16] = {"I16", 2},
    [PITH_DTYPE_U16] = {"U16", 2},         [PITH_DTYPE_F16] = {"F16", 2},
    [PITH_DTYPE_BF16] = {"BF16", 2},       [PITH_DTYPE_I32] = {"I32", 4},
    [PITH_DTYPE_U32] = {"U32", 4},         [PITH_DTYPE_F32] = {"F32", 4},
    [PITH_DTYPE_I64] = {"I64", 8},         [PITH_DTYPE_U64] = {"U64", 8},
    [PITH_DTYPE_F64] = {"F64", 8},
};

struct pith_safetensors {
    const pith_allocator *allocator;
    char *text;         /* the header as pith_json_read leaves it */
    pith_json root;     /* in text */
    pith_json metadata; /* in root, or absent */
    size_t n_tensors;
    pith_tensor *tensors;        /* [n_tensors] by offset */
    const pith_tensor **by_name; /* [n_tensors] */
    size_t data_offset;
};

/* What the messages and bounds of one header need. */
typedef struct parse {
    const char *file;
    size_t data_offset;
    size_t data_size;
    pith_error *error;
} parse;

const char *pith_dtype_name(pith_dtype dtype) {
    return (unsigned)dtype < PITH_N_DTYPES ? dtypes[dtype].name : "unknown";
}

size_t pith_dtype_size(pith_dtype dtype) {
    return (unsigned)dtype < PITH_N_DTYPES ? dtypes[dtype].size : 0;
}

/* ---- One tensor ------------------------------------------------------------------------------ */

static pith_status bad_tensor(const parse *p, const char *name, const char *what) {
    return pith_fail(p->error, PITH_ERROR_FORMAT, "%s: tensor \"%.120s\": %s", p->file, name, what);
}

/* Names end up in messages and on terminals. */
static bool has_control_character(const char *name) {
    for (const unsigned char *c = (const unsigned char *)name; *c != 0; c++) {
        if (*c < 0x20 || *c == 0x7f) {
            return true;
        }
    }
    return false;
}

static pith_status parse_dtype(const parse *p, const char *name, pith_json info, pith_dtype *out) {
    const char *text = pith_json_text(pith_json_get(info, "dtype"));
    if (text == NULL) {
        return bad_tensor(p, name, "dtype is not a string");
    }
    for (unsigned i = 0; i < PITH_N_DTYPES; i++) {
        if (strcmp(text, dtypes[i].name) == 0) {
            *out = (pith_dtype)i;
            return PITH_OK;
        }
    }
    if (has_control_character(text)) {
        return bad_tensor(p, name, "dtype holds a control character");
    }
    return pith_fail(p->error, PITH_ERROR_UNSUPPORTED, "%s: tensor \"%.120s\": unknown dtype %.40s",
                     p->file, name, text);
}

/* Fills shape, and *bytes by its product with the size of an element. */
static pith_status parse_shape(const parse *p, pith_json info, pith_tensor *tensor, size_t *bytes) {
    pith_json shape = pith_json_get(info, "shape");
    if (!pith_json_is(shape, PITH_JSON_ARRAY)) {
        return bad_tensor(p, tensor->name, "shape is not an array");
    }
    tensor->n_dims = pith_json_size(shape);
    if (tensor->n_dims > PITH_SAFETENSORS_MAX_DIMS) {
        return pith_fail(p->error, PITH_ERROR_FORMAT,
                         "%s: tensor \"%.120s\": %zu dimensions, the limit is %d", p->file,
                         tensor->name, tensor->n_dims, PITH_SAFETENSORS_MAX_DIMS);
    }
    *bytes = pith_dtype_size(tensor->dtype);
    pith_json_walk walk = pith_json_begin(shape);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        if (!pith_json_count(walk.value, &tensor->shape[i])) {
            return bad_tensor(p, tensor->name, "shape holds something other than a count");
        }
        if (!pith_mul_size(*bytes, tensor->shape[i], bytes)) {
            return bad_tensor(p, tensor->name, "shape x dtype overflows");
        }
    }
    return PITH_OK;
}

static pith_status parse_span(const parse *p, pith_json info, pith_tensor *tensor, size_t bytes) {
    pith_json span = pith_json_get(info, "data_offsets");
    size_t begin;
    size_t end;
    if (!pith_json_is(span, PITH_JSON_ARRAY) || pith_json_size(span) != 2 ||
        !pith_json_count(pith_json_at(span, 0), &begin) ||
        !pith_json_count(pith_json_at(span, 1), &end)) {
        return bad_tensor(p, tensor->name, "data_offsets is not a pair of counts");
    }
    if (begin > end || end > p->data_size) {
        return pith_fail(p->error, PITH_ERROR_FORMAT,
                         "%s: tensor \"%.120s\": data_offsets [%zu, %zu] are outside the data, "
                         "which has %zu bytes: the file is damaged or incomplete",
                         p->file, tensor->name, begin, end, p->data_size);
    }
    if (end - begin != bytes) {
        return pith_fail(p->error, PITH_ERROR_FORMAT,
                         "%s: tensor \"%.120s\": shape x dtype is %zu bytes, data_offsets span %zu",
                         p->file, tensor->name, bytes, end - begin);
    }
    tensor->offset = p->data_offset + begin;
    tensor->size = bytes;
    return PITH_OK;
}

static pith_status parse_tensor(const parse *p, const char *name, pith_json info,
                                pith_tensor *out) {
    pith_tensor tensor = {.name = name};
    size_t bytes = 0;
    if (has_control_character(name)) {
        return pith_fail(p->error, PITH_ERROR_FORMAT, "%s: a tensor name holds a control character",
                         p->file);
    }
    if (!pith_json_is(info, PITH_JSON_OBJECT)) {
        return bad_tensor(p, name, "its description is not an object");
    }
    pith_status status = parse_dtype(p, name, info, &tensor.dtype);
    if (status == PITH_OK) {
        status = parse_shape(p, info, &tensor, &bytes);
    }
    if (status == PITH_OK) {
        status = parse_span(p, info, &tensor, bytes);
    }
    if (status == PITH_OK) {
        *out = tensor;
    }
    return status;
}

/* ---- The header ------------------------------------------------------------------------------ */

static int compare_offsets(const void *a, const void *b) {
    const pith_tensor *x = a;
    const pith_tensor *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    /* An empty tensor may share its offset with the next one: it comes first. */
    if (x->size != y->size) {
        return x->size < y->size ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static int compare_names(const void *a, const void *b) {
    const pith_tensor *const *x = a;
    const pith_tensor *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static int compare_name(const void *key, const void *element) {
    const pith_tensor *const *tensor = element;
    return strcmp(key, (*tensor)->name);
}

static pith_status check_tiling(const parse *p, const pith_safetensors *st) {
    size_t expected = p->data_offset;
    for (size_t i = 0; i < st->n_tensors; i++) {
        const pith_tensor *tensor = &st->tensors[i];
        if (tensor->offset != expected) {
            return pith_fail(p->error, PITH_ERROR_FORMAT,
                             "%s: tensor \"%.120s\" starts at data offset %zu, %s %zu", p->file,
                             tensor->name, tensor->offset - p->data_offset,
                             tensor->offset > expected ? "leaving a gap from"
                                                       : "overlapping the one that ends at",
                             expected - p->data_offset);
        }
        expected += tensor->size;
    }
    if (expected - p->data_offset != p->data_size) {
        return pith_fail(p->error, PITH_ERROR_FORMAT,
                         "%s: the tensors end at data offset %zu, the data has %zu bytes", p->file,
                         expected - p->data_offset, p->data_size);
    }
    return PITH_OK;
}

static pith_status check_metadata(const parse *p, pith_json metadata) {
    if (!pith_json_is(metadata, PITH_JSON_OBJECT)) {
        return pith_fail(p->error, PITH_ERROR_FORMAT, "%s: __metadata__ is not an object", p->file);
    }
    pith_json_walk walk = pith_json_begin(metadata);
    while (pith_json_next(&walk)) {
        if (!pith_json_is(walk.value, PITH_JSON_STRING)) {
            return pith_fail(p->error, PITH_ERROR_FORMAT,
                             "%s: __metadata__ holds a value that is not a string", p->file);
        }
    }
    return PITH_OK;
}

/* Checks every member of the header and counts the tensors; with `tensors` it also fills them in.
 * Memory is allocated between a first and a second walk, so that only real tensors cost any. */
static pith_status walk_header(const parse *p, pith_safetensors *st, pith_tensor *tensors) {
    pith_json_walk walk = pith_json_begin(st->root);
    pith_status status = PITH_OK;
    st->n_tensors = 0;
    while (status == PITH_OK && pith_json_next(&walk)) {
        if (strcmp(walk.key, "__metadata__") == 0) {
            status = check_metadata(p, walk.value);
            st->metadata = walk.value;
        } else {
            pith_tensor unused;
            pith_tensor *tensor = tensors != NULL ? &tensors[st->n_tensors] : &unused;
            status = parse_tensor(p, walk.key, walk.value, tensor);
            st->n_tensors++;
        }
    }
    return status;
}

static pith_status collect_tensors(const parse *p, pith_safetensors *st) {
    pith_status status = walk_header(p, st, NULL);
    if (status != PITH_OK) {
        return status;
    }
    st->tensors = pith_allocate(st->allocator, st->n_tensors, sizeof *st->tensors);
    st->by_name = pith_allocate(st->allocator, st->n_tensors, sizeof *st->by_name);
    if (st->tensors == NULL || st->by_name == NULL) {
        return pith_fail(p->error, PITH_ERROR_MEMORY, "%s: no memory for %zu tensors", p->file,
                         st->n_tensors);
    }
    status = walk_header(p, st, st->tensors);
    if (status != PITH_OK) {
        return status;
    }
    qsort(st->tensors, st->n_tensors, sizeof *st->tensors, compare_offsets);
    for (size_t i = 0; i < st->n_tensors; i++) {
        st->by_name[i] = &st->tensors[i];
    }
    qsort(st->by_name, st->n_tensors, sizeof *st->by_name, compare_names);
    return check_tiling(p, st);
}

static pith_status check_length(size_t n, size_t file_size, const char *name, pith_error *error) {
    if (file_size < 8 || n > file_size - 8) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: header length %zu exceeds the file, which has %zu bytes: the file is "
                         "incomplete, or of another kind",
                         name, n, file_size);
    }
    if (n > PITH_SAFETENSORS_MAX_HEADER) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: header length %zu exceeds the limit of %d",
                         name, n, PITH_SAFETENSORS_MAX_HEADER);
    }
    return PITH_OK;
}

/* Parses `text` [n], which becomes the header's, or is released on failure. */
static pith_status parse_owned(pith_safetensors **out, char *text, size_t n, size_t file_size,
                               const char *name, const pith_allocator *allocator,
                               pith_error *error) {
    parse p = {name, 8 + n, file_size - 8 - n, error};
    pith_safetensors *st = pith_allocate_zeroed(allocator, 1, sizeof *st);
    if (st == NULL) {
        pith_release(allocator, text);
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for the header", name);
    }
    st->allocator = allocator;
    st->text = text;
    st->data_offset = p.data_offset;
    pith_status status = PITH_OK;
    if (n == 0 || text[0] != '{') {
        status =
            pith_fail(error, PITH_ERROR_FORMAT, "%s: the header does not start with '{'", name);
    }
    if (status == PITH_OK) {
        status = pith_json_read(&st->root, text, n, PITH_JSON_STRICT, name, allocator, error);
    }
    if (status == PITH_OK) {
        status = collect_tensors(&p, st);
    }
    if (status != PITH_OK) {
        pith_safetensors_free(st);
        return status;
    }
    *out = st;
    return PITH_OK;
}

static pith_status no_room(size_t n, const char *name, pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for a header of %zu bytes", name, n);
}

pith_status pith_safetensors_parse(pith_safetensors **out, const char *text, size_t n,
                                   size_t file_size, const char *name,
                                   const pith_allocator *allocator, pith_error *error) {
    pith_status status = check_length(n, file_size, name, error);
    if (status != PITH_OK) {
        return status;
    }
    char *copy = pith_copy_text(allocator, text, n);
    if (copy == NULL) {
        return no_room(n, name, error);
    }
    return parse_owned(out, copy, n, file_size, name, allocator, error);
}

/* The length field, little-endian on every machine. */
static uint64_t load_u64(const unsigned char bytes[8]) {
    uint64_t value = 0;
    for (int i = 7; i >= 0; i--) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static pith_status read_header(pith_safetensors **out, const pith_file *file,
                               const pith_allocator *allocator, pith_error *error) {
    unsigned char length[8];
    if (file->size < sizeof length) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: %zu bytes are too few for a safetensors file", file->path,
                         file->size);
    }
    pith_status status = pith_file_read(file, 0, length, sizeof length, error);
    if (status != PITH_OK) {
        return status;
    }
    size_t n = (size_t)load_u64(length);
    status = check_length(n, file->size, file->path, error);
    if (status != PITH_OK) {
        return status;
    }
    char *text = pith_allocate(allocator, n, 1);
    if (text == NULL) {
        return no_room(n, file->path, error);
    }
    status = pith_file_read(file, sizeof length, text, n, error);
    if (status != PITH_OK) {
        pith_release(allocator, text);
        return status;
    }
    return parse_owned(out, text, n, file->size, file->path, allocator, error);
}

pith_status pith_safetensors_read(pith_safetensors **out, const pith_file *file,
                                  const pith_allocator *allocator, pith_error *error) {
    pith_status status = read_header(out, file, allocator, error);
    if (status != PITH_ERROR_FORMAT) {
        return status;
    }
    pith_file_look look = pith_file_look_in(file, allocator);
    bool known = look.kind != PITH_FILE_OTHER && look.kind != PITH_FILE_SAFETENSORS &&
                 look.kind != PITH_FILE_PITH;
    return known ? pith_fail_kind(error, file->path, &look, ", not a safetensors file") : status;
}

void pith_safetensors_free(pith_safetensors *st) {
    if (st != NULL) {
        pith_release(st->allocator, st->text);
        pith_release(st->allocator, st->tensors);
        pith_release(st->allocator, st->by_name);
        pith_release(st->allocator, st);
    }
}

/* ---- Look-up --------------------------------------------------------------------------------- */

size_t pith_safetensors_count(const pith_safetensors *st) {
    return st->n_tensors;
}

const pith_tensor *pith_safetensors_at(const pith_safetensors *st, size_t i) {
    return &st->tensors[i];
}

const pith_tensor *pith_safetensors_find(const pith_safetensors *st, const char *name) {
    const pith_tensor **found =
        bsearch(name, st->by_name, st->n_tensors, sizeof *st->by_name, compare_name);
    return found != NULL ? *found : NULL;
}

size_t pith_safetensors_data_offset(const pith_safetensors *st) {
    return st->data_offset;
}

const char *pith_safetensors_metadata(const pith_safetensors *st, const char *key) {
    return pith_json_text(pith_json_get(st->metadata, key));
}

char *pith_safetensors_take_metadata(pith_safetensors *st, const char *key) {
    const char *found = pith_safetensors_metadata(st, key);
    st->metadata = (pith_json){NULL};
    return found != NULL ? st->text + (found - st->text) : NULL;
}
