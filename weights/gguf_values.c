/* The values of a GGUF file's keys: found by name, read as the type that the caller wants. */
#include "weights/gguf.h"

#include "base/status.h"
#include "weights/gguf_inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    size_t size;
} types[PITH_GGUF_N_VALUE_TYPES] = {
    [PITH_GGUF_U8] = {"u8", 1},         [PITH_GGUF_I8] = {"i8", 1},
    [PITH_GGUF_U16] = {"u16", 2},       [PITH_GGUF_I16] = {"i16", 2},
    [PITH_GGUF_U32] = {"u32", 4},       [PITH_GGUF_I32] = {"i32", 4},
    [PITH_GGUF_F32] = {"f32", 4},       [PITH_GGUF_BOOL] = {"bool", 1},
    [PITH_GGUF_STRING] = {"string", 8}, [PITH_GGUF_ARRAY] = {"array", 1},
    [PITH_GGUF_U64] = {"u64", 8},       [PITH_GGUF_I64] = {"i64", 8},
    [PITH_GGUF_F64] = {"f64", 8},
};

size_t pith_gguf_value_size(pith_gguf_value_type type) {
    return types[type].size;
}

const char *pith_gguf_value_type_name(pith_gguf_value_type type) {
    return types[type].name;
}

/* ---- Look-up --------------------------------------------------------------------------------- */

static int compare_name(const void *name, const void *element) {
    const pith_gguf_key *key = element;
    size_t n = strlen(name);
    size_t m = n < key->n_name ? n : key->n_name;
    int order = memcmp(name, key->owner->bytes + key->name, m);
    return order != 0 ? order : (n > key->n_name) - (n < key->n_name);
}

bool pith_gguf_find(const pith_gguf *gguf, const char *key, pith_gguf_value *out) {
    const pith_gguf_key *found =
        bsearch(key, gguf->keys, gguf->n_keys, sizeof *gguf->keys, compare_name);
    if (found == NULL) {
        return false;
    }
    *out = (pith_gguf_value){
        .type = found->type,
        .is_array = found->is_array,
        .count = found->count,
        .data = gguf->bytes + found->data,
        .size = found->size,
    };
    return true;
}

pith_status pith_gguf_require(const pith_gguf *gguf, const char *key, pith_error *error) {
    pith_gguf_value ignored;
    return pith_gguf_find(gguf, key, &ignored)
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_FORMAT, "%s: there is no key %.200s", gguf->name, key);
}

static pith_status fail_type(const pith_gguf *gguf, const char *key, const pith_gguf_value *value,
                             const char *wanted, pith_error *error) {
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: key %.200s: expected %s, found %s%s",
                     gguf->name, key, wanted, value->is_array ? "an array of " : "",
                     types[value->type].name);
}

/* ---- Numbers --------------------------------------------------------------------------------- */

static bool is_integer(pith_gguf_value_type type) {
    return type != PITH_GGUF_F32 && type != PITH_GGUF_F64 && type != PITH_GGUF_BOOL &&
           type != PITH_GGUF_STRING && type != PITH_GGUF_ARRAY;
}

static bool is_signed(pith_gguf_value_type type) {
    return type == PITH_GGUF_I8 || type == PITH_GGUF_I16 || type == PITH_GGUF_I32 ||
           type == PITH_GGUF_I64;
}

bool pith_gguf_integer_at(const pith_gguf_value *value, size_t i, int64_t *out) {
    if (!is_integer(value->type)) {
        return false;
    }
    size_t size = types[value->type].size;
    uint64_t bits = pith_gguf_load(value->data + i * size, size);
    uint64_t sign = (uint64_t)1 << (8 * size - 1);
    if (is_signed(value->type) && (bits & sign) != 0) {
        bits |= ~(sign - 1); /* extends the sign */
        *out = -(int64_t)~bits - 1;
        return true;
    }
    *out = (int64_t)bits;
    return bits <= INT64_MAX;
}

pith_status pith_gguf_count(const pith_gguf *gguf, const char *key, size_t *out,
                            pith_error *error) {
    pith_gguf_value value;
    int64_t number;
    if (!pith_gguf_find(gguf, key, &value)) {
        return PITH_OK;
    }
    if (value.is_array || !pith_gguf_integer_at(&value, 0, &number) || number < 0) {
        return value.is_array || !is_integer(value.type)
                   ? fail_type(gguf, key, &value, "an integer", error)
                   : pith_fail(error, PITH_ERROR_FORMAT,
                               "%s: key %.200s: expected an integer of 0 or more", gguf->name, key);
    }
    *out = (size_t)number;
    return PITH_OK;
}

pith_status pith_gguf_number(const pith_gguf *gguf, const char *key, double *out,
                             pith_error *error) {
    pith_gguf_value value;
    int64_t integer;
    if (!pith_gguf_find(gguf, key, &value)) {
        return PITH_OK;
    }
    if (!value.is_array && value.type == PITH_GGUF_F32) {
        float number;
        memcpy(&number, value.data, sizeof number);
        *out = (double)number;
        return PITH_OK;
    }
    if (!value.is_array && value.type == PITH_GGUF_F64) {
        memcpy(out, value.data, sizeof *out);
        return PITH_OK;
    }
    if (value.is_array || !pith_gguf_integer_at(&value, 0, &integer)) {
        return fail_type(gguf, key, &value, "a number", error);
    }
    *out = (double)integer;
    return PITH_OK;
}

pith_status pith_gguf_flag(const pith_gguf *gguf, const char *key, bool *out, pith_error *error) {
    pith_gguf_value value;
    if (!pith_gguf_find(gguf, key, &value)) {
        return PITH_OK;
    }
    if (value.is_array || value.type != PITH_GGUF_BOOL) {
        return fail_type(gguf, key, &value, "a bool", error);
    }
    if (value.data[0] > 1) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: key %.200s: a bool of %u, not 0 or 1",
                         gguf->name, key, value.data[0]);
    }
    *out = value.data[0] == 1;
    return PITH_OK;
}

/* ---- Texts and arrays ------------------------------------------------------------------------ */

pith_status pith_gguf_text(const pith_gguf *gguf, const char *key, pith_text *out,
                           pith_error *error) {
    pith_gguf_value value;
    if (!pith_gguf_find(gguf, key, &value)) {
        return PITH_OK;
    }
    if (value.is_array || value.type != PITH_GGUF_STRING) {
        return fail_type(gguf, key, &value, "a string", error);
    }
    *out = (pith_text){(const char *)value.data, value.size};
    return PITH_OK;
}

pith_status pith_gguf_array(const pith_gguf *gguf, const char *key, pith_gguf_value_type type,
                            pith_gguf_value *out, pith_error *error) {
    pith_gguf_value value;
    char wanted[32];
    if (!pith_gguf_find(gguf, key, &value)) {
        return PITH_OK;
    }
    if (!value.is_array || value.type != type) {
        snprintf(wanted, sizeof wanted, "an array of %s", types[type].name);
        return fail_type(gguf, key, &value, wanted, error);
    }
    *out = value;
    return PITH_OK;
}

/* The lengths were checked when the header was read. */
bool pith_gguf_next_string(pith_gguf_strings *walk, pith_text *out) {
    pith_gguf_value *rest = &walk->rest;
    if (rest->count == 0) {
        return false;
    }
    size_t n = (size_t)pith_gguf_load(rest->data, 8);
    *out = (pith_text){(const char *)rest->data + 8, n};
    rest->data += 8 + n;
    rest->size -= 8 + n;
    rest->count--;
    return true;
}
