/* Reading the header of a GGUF file, piece by piece as the parser comes to it. */
#include "weights/gguf.h"

#include "base/checked.h"
#include "base/file_kind.h"
#include "base/status.h"
#include "weights/gguf_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_READ = 1 << 20, /* bytes; each further read doubles what has been read */
    LEAST_KEY = 14,       /* bytes in the file: length, one byte, type, one byte */
    LEAST_TENSOR = 33,    /* length, one byte, number of dimensions, one of them, type, offset */
};

/* The header so far. What follows `loaded` is in the file only. */
typedef struct reader {
    const pith_file *file;       /* NULL: all is in `memory` */
    const unsigned char *memory; /* [size] */
    size_t size;                 /* of the file */
    pith_gguf *gguf;             /* owns the bytes read */
    size_t loaded, capacity;
    size_t at; /* <= loaded */
    pith_error *error;
} reader;

/* ---- Bytes ----------------------------------------------------------------------------------- */

/* Reads further bytes of the file until `end` bytes are loaded. */
static pith_status load(reader *r, size_t end) {
    pith_gguf *g = r->gguf;
    if (end > PITH_GGUF_MAX_HEADER) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: the header is longer than the limit of %d bytes", g->name,
                         PITH_GGUF_MAX_HEADER);
    }
    size_t wanted = pith_max_size(end, pith_max_size(FIRST_READ, 2 * r->loaded));
    wanted = pith_min_size(wanted, pith_min_size(r->size, PITH_GGUF_MAX_HEADER));
    unsigned char *grown = pith_reallocate(g->allocator, g->bytes, wanted, 1);
    if (grown == NULL) {
        return pith_fail(r->error, PITH_ERROR_MEMORY, "%s: no memory for %zu bytes of the header",
                         g->name, wanted);
    }
    g->bytes = grown;
    pith_status status = PITH_OK;
    if (r->file != NULL) {
        status =
            pith_file_read(r->file, r->loaded, grown + r->loaded, wanted - r->loaded, r->error);
    } else {
        memcpy(grown + r->loaded, r->memory + r->loaded, wanted - r->loaded);
    }
    r->loaded = status == PITH_OK ? wanted : r->loaded;
    return status;
}

/* Advances over n bytes and sets *place to their offset in the header. `what` names what is being
 * read, for the message when the file has fewer. */
static pith_status take(reader *r, size_t n, const char *what, size_t *place) {
    if (n > r->size - r->at) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: %s: %zu bytes are needed, but only %zu are left of the file",
                         r->gguf->name, what, n, r->size - r->at);
    }
    if (r->at + n > r->loaded) {
        pith_status status = load(r, r->at + n);
        if (status != PITH_OK) {
            return status;
        }
    }
    *place = r->at;
    r->at += n;
    return PITH_OK;
}

static pith_status take_number(reader *r, size_t n, const char *what, uint64_t *out) {
    size_t place;
    pith_status status = take(r, n, what, &place);
    if (status == PITH_OK) {
        *out = pith_gguf_load(r->gguf->bytes + place, n);
    }
    return status;
}

/* Advances over a string: its length, then its bytes. */
static pith_status take_string(reader *r, const char *what, size_t *place, size_t *n) {
    uint64_t length;
    pith_status status = take_number(r, 8, what, &length);
    if (status == PITH_OK && length > SIZE_MAX) {
        length = SIZE_MAX;
    }
    *n = status == PITH_OK ? (size_t)length : 0;
    return status == PITH_OK ? take(r, *n, what, place) : status;
}

/* ---- Keys ------------------------------------------------------------------------------------ */

/* "key NAME", for messages; the name is cut. */
typedef struct label {
    char text[96];
} label;

static label key_label(const reader *r, const pith_gguf_key *key) {
    label out;
    snprintf(out.text, sizeof out.text, "key %.*s", (int)pith_min_size(key->n_name, 80),
             (const char *)r->gguf->bytes + key->name);
    return out;
}

static pith_status take_type(reader *r, const char *what, pith_gguf_value_type *out) {
    uint64_t type;
    pith_status status = take_number(r, 4, what, &type);
    if (status == PITH_OK && type >= PITH_GGUF_N_VALUE_TYPES) {
        status = pith_fail(r->error, PITH_ERROR_FORMAT, "%s: %s: type %llu is not known",
                           r->gguf->name, what, (unsigned long long)type);
    }
    if (status == PITH_OK) {
        *out = (pith_gguf_value_type)type;
    }
    return status;
}

/* Advances over the strings of an array. Their places are not kept: a later walk finds them
 * again. */
static pith_status skip_strings(reader *r, size_t count, const char *what) {
    char element[128];
    size_t place, n;
    pith_status status = PITH_OK;
    for (size_t i = 0; i < count && status == PITH_OK; i++) {
        /* The label is made only for a message: an array has hundreds of thousands of strings. */
        if (r->loaded - r->at < 8 ||
            pith_gguf_load(r->gguf->bytes + r->at, 8) > r->loaded - r->at - 8) {
            snprintf(element, sizeof element, "%s: element %zu", what, i);
            status = take_string(r, element, &place, &n);
        } else {
            r->at += 8 + (size_t)pith_gguf_load(r->gguf->bytes + r->at, 8);
        }
    }
    return status;
}

static pith_status take_array(reader *r, pith_gguf_key *key, const char *what) {
    uint64_t count = 0;
    pith_status status = take_type(r, what, &key->type);
    if (status == PITH_OK && key->type == PITH_GGUF_ARRAY) {
        status = pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                           "%s: %s: an array of arrays is not supported", r->gguf->name, what);
    }
    if (status == PITH_OK) {
        status = take_number(r, 8, what, &count);
    }
    if (status != PITH_OK) {
        return status;
    }
    size_t least = pith_gguf_value_size(key->type);
    if (count > (r->size - r->at) / least) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: %s: an array of %llu elements, but only %zu bytes are left of the "
                         "file",
                         r->gguf->name, what, (unsigned long long)count, r->size - r->at);
    }
    key->is_array = true;
    key->count = (size_t)count;
    key->data = r->at;
    status = key->type == PITH_GGUF_STRING ? skip_strings(r, key->count, what)
                                           : take(r, key->count * least, what, &key->data);
    key->size = r->at - key->data;
    return status;
}

static pith_status take_key(reader *r, size_t i, pith_gguf_key *key) {
    char number[32];
    snprintf(number, sizeof number, "key %zu", i);
    *key = (pith_gguf_key){.count = 1};
    pith_status status = take_string(r, number, &key->name, &key->n_name);
    if (status == PITH_OK && (key->n_name == 0 || key->n_name > PITH_GGUF_MAX_KEY)) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: %s: a name of %zu bytes, not 1 to %d",
                         r->gguf->name, number, key->n_name, PITH_GGUF_MAX_KEY);
    }
    if (status != PITH_OK) {
        return status;
    }
    label what = key_label(r, key);
    status = take_type(r, what.text, &key->type);
    if (status != PITH_OK) {
        return status;
    }
    switch (key->type) {
    case PITH_GGUF_ARRAY:
        return take_array(r, key, what.text);
    case PITH_GGUF_STRING:
        return take_string(r, what.text, &key->data, &key->size);
    default:
        key->size = pith_gguf_value_size(key->type);
        return take(r, key->size, what.text, &key->data);
    }
}

/* qsort passes no context, so each key carries a pointer to the header. */
static int compare_keys(const void *a, const void *b) {
    const pith_gguf_key *x = a;
    const pith_gguf_key *y = b;
    size_t n = pith_min_size(x->n_name, y->n_name);
    int order = memcmp(x->owner->bytes + x->name, y->owner->bytes + y->name, n);
    return order != 0 ? order : (x->n_name > y->n_name) - (x->n_name < y->n_name);
}

static pith_status read_keys(reader *r) {
    pith_gguf *g = r->gguf;
    g->keys = pith_allocate(g->allocator, g->n_keys, sizeof *g->keys);
    if (g->keys == NULL) {
        return pith_fail(r->error, PITH_ERROR_MEMORY, "%s: no memory for %zu keys", g->name,
                         g->n_keys);
    }
    for (size_t i = 0; i < g->n_keys; i++) {
        pith_status status = take_key(r, i, &g->keys[i]);
        if (status != PITH_OK) {
            return status;
        }
        g->keys[i].owner = g;
    }
    qsort(g->keys, g->n_keys, sizeof *g->keys, compare_keys);
    for (size_t i = 1; i < g->n_keys; i++) {
        if (compare_keys(&g->keys[i - 1], &g->keys[i]) == 0) {
            return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: %s is there twice", g->name,
                             key_label(r, &g->keys[i]).text);
        }
    }
    return PITH_OK;
}

/* ---- Tensors --------------------------------------------------------------------------------- */

static pith_status fail_tensor(const reader *r, const pith_gguf_tensor *t, const char *what) {
    return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: tensor %s: %s", r->gguf->name, t->name,
                     what);
}

static pith_status take_name(reader *r, size_t i, pith_gguf_tensor *out) {
    char number[32];
    size_t place, n;
    snprintf(number, sizeof number, "tensor %zu", i);
    pith_status status = take_string(r, number, &place, &n);
    if (status != PITH_OK) {
        return status;
    }
    const unsigned char *name = r->gguf->bytes + place;
    if (n == 0 || n > PITH_GGUF_MAX_NAME || memchr(name, '\0', n) != NULL) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: %s: a name of %zu bytes, not 1 to %d without NUL", r->gguf->name,
                         number, n, PITH_GGUF_MAX_NAME);
    }
    memcpy(out->name, name, n);
    out->name[n] = '\0';
    return PITH_OK;
}

/* The row length comes first in the file. */
static pith_status take_shape(reader *r, pith_gguf_tensor *out) {
    uint64_t n_dims, dim;
    pith_status status = take_number(r, 4, out->name, &n_dims);
    if (status == PITH_OK && (n_dims < 1 || n_dims > PITH_GGUF_MAX_DIMS)) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: tensor %s: %llu dimensions, not 1 to %d",
                         r->gguf->name, out->name, (unsigned long long)n_dims, PITH_GGUF_MAX_DIMS);
    }
    out->n_dims = status == PITH_OK ? (size_t)n_dims : 0;
    for (size_t i = out->n_dims; i-- > 0 && status == PITH_OK;) {
        status = take_number(r, 8, out->name, &dim);
        if (status == PITH_OK && (dim == 0 || dim > INT64_MAX)) {
            return pith_fail(r->error, PITH_ERROR_FORMAT,
                             "%s: tensor %s: a dimension of %lld, not a positive number",
                             r->gguf->name, out->name, (long long)dim);
        }
        out->shape[i] = status == PITH_OK ? (size_t)dim : 0;
    }
    return status;
}

static pith_status find_type(const reader *r, unsigned number, pith_gguf_tensor *out) {
    bool removed;
    out->type = pith_gguf_type_find(number, &removed);
    if (out->type != NULL) {
        return PITH_OK;
    }
    return pith_fail(r->error, removed ? PITH_ERROR_FORMAT : PITH_ERROR_UNSUPPORTED,
                     removed ? "%s: tensor %s: type %u was removed from the format"
                             : "%s: tensor %s: type %u is not known",
                     r->gguf->name, out->name, number);
}

static pith_status find_size(const reader *r, pith_gguf_tensor *t) {
    size_t cols = t->shape[t->n_dims - 1];
    size_t size = cols / t->type->block;
    if (cols % t->type->block != 0) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: tensor %s: rows of %zu are no multiple of the %zu elements of a %s "
                         "block",
                         r->gguf->name, t->name, cols, t->type->block, t->type->name);
    }
    bool fits = pith_mul_size(size, t->type->block_bytes, &size);
    for (size_t i = 0; i + 1 < t->n_dims; i++) {
        fits = fits && pith_mul_size(size, t->shape[i], &size);
    }
    if (!fits || size > INT64_MAX) {
        return fail_tensor(r, t, "its size does not fit in 63 bits");
    }
    t->size = size;
    return PITH_OK;
}

/* `t->offset` is left relative to the data. */
static pith_status take_tensor(reader *r, size_t i, pith_gguf_tensor *t) {
    uint64_t type = 0;
    uint64_t offset = 0;
    *t = (pith_gguf_tensor){.n_dims = 0};
    pith_status status = take_name(r, i, t);
    if (status == PITH_OK) {
        status = take_shape(r, t);
    }
    if (status == PITH_OK) {
        status = take_number(r, 4, t->name, &type);
    }
    if (status == PITH_OK) {
        status = take_number(r, 8, t->name, &offset);
    }
    if (status == PITH_OK) {
        status = find_type(r, (unsigned)type, t);
    }
    if (status == PITH_OK && offset > INT64_MAX) {
        status = fail_tensor(r, t, "its offset does not fit in 63 bits");
    }
    t->offset = (size_t)offset;
    return status == PITH_OK ? find_size(r, t) : status;
}

/* Finds the alignment of data and tensors, a power of two. */
static pith_status find_alignment(const reader *r, size_t *out) {
    static const char key[] = "general.alignment";
    pith_gguf_value value;
    size_t alignment = 32;
    if (pith_gguf_find(r->gguf, key, &value) && (value.type != PITH_GGUF_U32 || value.is_array)) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: key %s: its type is %s, not u32",
                         r->gguf->name, key, pith_gguf_value_type_name(value.type));
    }
    pith_status status = pith_gguf_count(r->gguf, key, &alignment, r->error);
    if (status == PITH_OK && (alignment < 8 || alignment > PITH_GGUF_MAX_ALIGNMENT ||
                              (alignment & (alignment - 1)) != 0)) {
        status = pith_fail(r->error, PITH_ERROR_FORMAT,
                           "%s: key %s: %zu is no power of two from 8 to %d", r->gguf->name, key,
                           alignment, PITH_GGUF_MAX_ALIGNMENT);
    }
    *out = alignment;
    return status;
}

/* Tensors lie one after the other, each at the next multiple of the alignment, and within the file.
 * No sum overflows: a tensor is added only when it ends within the file. */
static pith_status place_tensors(const reader *r) {
    pith_gguf *g = r->gguf;
    size_t alignment = 0;
    pith_status status = find_alignment(r, &alignment);
    if (status != PITH_OK) {
        return status;
    }
    size_t data = pith_round_up(r->at, alignment);
    size_t end = data;
    for (size_t i = 0; i < g->n_tensors; i++) {
        pith_gguf_tensor *t = &g->tensors[i];
        size_t expected = pith_round_up(end - data, alignment);
        if (t->offset != expected) {
            return pith_fail(r->error, PITH_ERROR_FORMAT,
                             "%s: tensor %s: its offset is %zu, not %zu, the first multiple of %zu "
                             "behind the tensor before it",
                             g->name, t->name, t->offset, expected, alignment);
        }
        t->offset += data;
        if (t->offset > r->size || t->size > r->size - t->offset) {
            return pith_fail(r->error, PITH_ERROR_FORMAT,
                             "%s: tensor %s: %zu bytes from %zu on, but the file ends at %zu; the "
                             "download may not be complete",
                             g->name, t->name, t->size, t->offset, r->size);
        }
        end = t->offset + t->size;
    }
    return PITH_OK;
}

static int compare_tensors(const void *a, const void *b) {
    const pith_gguf_tensor *const *x = a;
    const pith_gguf_tensor *const *y = b;
    return strcmp((*x)->name, (*y)->name);
}

static pith_status sort_tensors(const reader *r) {
    pith_gguf *g = r->gguf;
    for (size_t i = 0; i < g->n_tensors; i++) {
        g->by_name[i] = &g->tensors[i];
    }
    qsort(g->by_name, g->n_tensors, sizeof(pith_gguf_tensor *), compare_tensors);
    for (size_t i = 1; i < g->n_tensors; i++) {
        if (strcmp(g->by_name[i - 1]->name, g->by_name[i]->name) == 0) {
            return fail_tensor(r, g->by_name[i], "it is there twice");
        }
    }
    return PITH_OK;
}

static pith_status read_tensors(reader *r) {
    pith_gguf *g = r->gguf;
    g->tensors = pith_allocate(g->allocator, g->n_tensors, sizeof *g->tensors);
    g->by_name = pith_allocate(g->allocator, g->n_tensors, sizeof(pith_gguf_tensor *));
    if (g->tensors == NULL || g->by_name == NULL) {
        return pith_fail(r->error, PITH_ERROR_MEMORY, "%s: no memory for %zu tensors", g->name,
                         g->n_tensors);
    }
    pith_status status = PITH_OK;
    for (size_t i = 0; i < g->n_tensors && status == PITH_OK; i++) {
        status = take_tensor(r, i, &g->tensors[i]);
    }
    if (status == PITH_OK) {
        status = sort_tensors(r);
    }
    return status == PITH_OK ? place_tensors(r) : status;
}

/* ---- The header ------------------------------------------------------------------------------ */

static pith_status check_version(const reader *r, uint64_t version) {
    const char *name = r->gguf->name;
    if (version != 0 && (version & 0xffff) == 0) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: a big-endian GGUF file is not supported; take the little-endian one",
                         name);
    }
    if (version < 2 || version > 3) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: GGUF version %llu is not supported, only 2 and 3", name,
                         (unsigned long long)version);
    }
    return PITH_OK;
}

/* Reads a count of things that take at least `least` bytes each. */
static pith_status take_total(reader *r, const char *what, size_t least, size_t limit,
                              size_t *out) {
    uint64_t n;
    pith_status status = take_number(r, 8, what, &n);
    if (status != PITH_OK) {
        return status;
    }
    if (n > limit || n > (r->size - r->at) / least) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: %llu %s, more than the limit of %zu or than %zu bytes can hold",
                         r->gguf->name, (unsigned long long)n, what, limit, r->size - r->at);
    }
    *out = (size_t)n;
    return PITH_OK;
}

static pith_status read_header(reader *r) {
    static const char magic[] = "GGUF";
    pith_gguf *g = r->gguf;
    size_t place;
    uint64_t version;
    pith_status status = take(r, sizeof magic - 1, "the beginning", &place);
    if (status == PITH_OK && memcmp(g->bytes + place, magic, sizeof magic - 1) != 0) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: does not begin with \"GGUF\"", g->name);
    }
    if (status == PITH_OK) {
        status = take_number(r, 4, "the version", &version);
    }
    if (status == PITH_OK) {
        status = check_version(r, version);
    }
    if (status == PITH_OK) {
        status = take_total(r, "tensors", LEAST_TENSOR, PITH_GGUF_MAX_TENSORS, &g->n_tensors);
    }
    if (status == PITH_OK) {
        status = take_total(r, "keys", LEAST_KEY, PITH_GGUF_MAX_KEYS, &g->n_keys);
    }
    if (status == PITH_OK) {
        status = read_keys(r);
    }
    return status == PITH_OK ? read_tensors(r) : status;
}

static pith_status read_from(pith_gguf **out, reader *r, const char *name,
                             const pith_allocator *allocator) {
    pith_gguf *g = pith_allocate_zeroed(allocator, 1, sizeof *g);
    if (g == NULL) {
        return pith_fail(r->error, PITH_ERROR_MEMORY, "%s: no memory for the header", name);
    }
    g->allocator = allocator;
    g->name = name;
    r->gguf = g;
    pith_status status = read_header(r);
    if (status != PITH_OK) {
        pith_gguf_free(g);
        return status;
    }
    *out = g;
    return PITH_OK;
}

pith_status pith_gguf_read(pith_gguf **out, const pith_file *file, const pith_allocator *allocator,
                           pith_error *error) {
    reader r = {.file = file, .size = file->size, .error = error};
    pith_status status = read_from(out, &r, file->path, allocator);
    if (status != PITH_ERROR_FORMAT) {
        return status;
    }
    pith_file_look look = pith_file_look_in(file, allocator);
    bool known = look.kind != PITH_FILE_OTHER && look.kind != PITH_FILE_GGUF &&
                 look.kind != PITH_FILE_GGUF_ADAPTER;
    return known ? pith_fail_kind(error, file->path, &look, ", not a GGUF file") : status;
}

pith_status pith_gguf_parse(pith_gguf **out, const void *bytes, size_t n, const char *name,
                            const pith_allocator *allocator, pith_error *error) {
    reader r = {.memory = bytes, .size = n, .error = error};
    return read_from(out, &r, name, allocator);
}

void pith_gguf_free(pith_gguf *gguf) {
    if (gguf != NULL) {
        pith_release(gguf->allocator, gguf->bytes);
        pith_release(gguf->allocator, gguf->keys);
        pith_release(gguf->allocator, gguf->tensors);
        pith_release(gguf->allocator, gguf->by_name);
        pith_release(gguf->allocator, gguf);
    }
}

/* ---- Look-up --------------------------------------------------------------------------------- */

const char *pith_gguf_name(const pith_gguf *gguf) {
    return gguf->name;
}

size_t pith_gguf_n_tensors(const pith_gguf *gguf) {
    return gguf->n_tensors;
}

const pith_gguf_tensor *pith_gguf_tensor_at(const pith_gguf *gguf, size_t i) {
    return &gguf->tensors[i];
}

static int compare_name(const void *name, const void *tensor) {
    const pith_gguf_tensor *const *t = tensor;
    return strcmp(name, (*t)->name);
}

const pith_gguf_tensor *pith_gguf_find_tensor(const pith_gguf *gguf, const char *name) {
    const pith_gguf_tensor **found =
        bsearch(name, gguf->by_name, gguf->n_tensors, sizeof(pith_gguf_tensor *), compare_name);
    return found != NULL ? *found : NULL;
}
