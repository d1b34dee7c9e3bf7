/* pith_cosine(a, b) and pith_quantize(vector). Compiled for the library that links SQLite
 * (SQLITE_CORE) and for the loadable extension, which gets SQLite's functions when it is loaded. */
#include "store/functions.h"
#include "store/store.h"

#include <math.h>
#include <sqlite3ext.h>
#include <stdint.h>
#include <string.h>

#ifndef SQLITE_CORE
SQLITE_EXTENSION_INIT3
#endif

/* An argument as a vector. */
typedef struct vector {
    bool is_int8;
    size_t n;
    const void *data; /* codes, or floats aligned as such */
    void *copy;       /* of floats that were not; sqlite3_free */
} vector;

size_t pith_blob_int8_size(size_t n) {
    return (n + 3) / 4 * 4 + 1;
}

void pith_blob_int8_write(const float *x, size_t n, uint8_t *blob) {
    size_t size = pith_blob_int8_size(n);
    pith_quantize_vector(x, n, (int8_t *)blob);
    memset(blob + n, 0, size - n);
    blob[size - 1] = (uint8_t)(size - 1 - n);
}

static bool refuse(sqlite3_context *context, const char *function, const char *what) {
    char *message = sqlite3_mprintf("%s: %s", function, what);
    sqlite3_result_error(context, message != NULL ? message : what, -1);
    sqlite3_free(message);
    return false;
}

/* On failure the error is set and nothing is to be freed. */
static bool read_vector(sqlite3_context *context, const char *function, sqlite3_value *value,
                        vector *out) {
    if (sqlite3_value_type(value) != SQLITE_BLOB) {
        return refuse(context, function, "a vector is a blob");
    }
    size_t size = (size_t)sqlite3_value_bytes(value); /* before zeroblob(n) takes n bytes */
    if (size > 4 * (size_t)PITH_STORE_MAX_DIMENSION) {
        return refuse(context, function, "a vector has at most 65536 elements");
    }
    const uint8_t *blob = sqlite3_value_blob(value);
    if (blob == NULL && size != 0) {
        sqlite3_result_error_nomem(context);
        return false;
    }
    *out = (vector){.is_int8 = size % 4 == 1, .n = size / 4, .data = blob};
    if (out->is_int8) {
        size_t padding = blob[size - 1];
        out->n = size - 1 - padding;
        if (padding > 3 || padding > size - 1 || out->n > PITH_STORE_MAX_DIMENSION) {
            return refuse(context, function, "not an int8 vector");
        }
    } else if (size % 4 != 0) {
        return refuse(context, function,
                      "not a vector: its length is neither 4 n (float) nor 4 n + 1 (int8)");
    } else if (size != 0 && (uintptr_t)blob % sizeof(float) != 0) {
        out->copy = sqlite3_malloc64(size);
        if (out->copy == NULL) {
            sqlite3_result_error_nomem(context);
            return false;
        }
        memcpy(out->copy, blob, size);
        out->data = out->copy;
    }
    return true;
}

static double dot(const vector *a, const vector *b) {
    return a->is_int8 ? pith_dot_int8(a->data, b->data, a->n)
                      : pith_dot_f32(a->data, b->data, a->n);
}

/* The squared norms of both arguments. SQLite keeps auxiliary data for an argument that is constant
 * in the statement, as the query of a search is, and drops it for others. */
static void find_norms(sqlite3_context *context, const vector *const *arguments, double *norms) {
    const double *known[2] = {sqlite3_get_auxdata(context, 0), sqlite3_get_auxdata(context, 1)};
    bool first = known[0] == NULL && known[1] == NULL;
    for (int i = 0; i < 2; i++) {
        norms[i] = known[i] != NULL ? *known[i] : dot(arguments[i], arguments[i]);
        double *keep = first ? sqlite3_malloc(sizeof *keep) : NULL;
        if (keep != NULL) {
            *keep = norms[i];
            sqlite3_set_auxdata(context, i, keep, sqlite3_free);
        }
    }
}

static void cosine(sqlite3_context *context, int n, sqlite3_value **arguments) {
    static const char name[] = "pith_cosine";
    vector a;
    vector b;
    (void)n;
    if (sqlite3_value_type(arguments[0]) == SQLITE_NULL ||
        sqlite3_value_type(arguments[1]) == SQLITE_NULL ||
        !read_vector(context, name, arguments[0], &a)) {
        return;
    }
    if (!read_vector(context, name, arguments[1], &b)) {
        sqlite3_free(a.copy);
        return;
    }
    if (a.is_int8 != b.is_int8) {
        refuse(context, name, "one vector is of floats, the other of int8 (see pith_quantize)");
    } else if (a.n != b.n) {
        char *text = sqlite3_mprintf("vectors of %d and %d elements", (int)a.n, (int)b.n);
        refuse(context, name, text != NULL ? text : "vectors of different lengths");
        sqlite3_free(text);
    } else {
        double norms[2];
        find_norms(context, (const vector *const[]){&a, &b}, norms);
        double product = norms[0] * norms[1];
        double result = product == 0 ? 0 : dot(&a, &b) / sqrt(product);
        if (isfinite(result)) {
            sqlite3_result_double(context, result);
        } else {
            refuse(context, name, "a vector holds NaN or infinity");
        }
    }
    sqlite3_free(a.copy);
    sqlite3_free(b.copy);
}

static void quantize(sqlite3_context *context, int n, sqlite3_value **arguments) {
    static const char name[] = "pith_quantize";
    vector x;
    (void)n;
    if (sqlite3_value_type(arguments[0]) == SQLITE_NULL ||
        !read_vector(context, name, arguments[0], &x)) {
        return;
    }
    bool finite = x.is_int8 || isfinite(pith_dot_f32(x.data, x.data, x.n));
    size_t size = pith_blob_int8_size(x.n);
    uint8_t *blob = x.is_int8 || !finite ? NULL : sqlite3_malloc64(size);
    if (x.is_int8) {
        sqlite3_result_value(context, arguments[0]);
    } else if (!finite) {
        refuse(context, name, "the vector holds NaN or infinity");
    } else if (blob == NULL) {
        sqlite3_result_error_nomem(context);
    } else {
        pith_blob_int8_write(x.data, x.n, blob);
        sqlite3_result_blob64(context, blob, size, sqlite3_free);
    }
    sqlite3_free(x.copy);
}

int pith_functions_register(sqlite3 *db) {
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS;
    int code =
        sqlite3_create_function_v2(db, "pith_cosine", 2, flags, NULL, cosine, NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_create_function_v2(db, "pith_quantize", 1, flags, NULL, quantize, NULL, NULL,
                                          NULL);
    }
    return code;
}
