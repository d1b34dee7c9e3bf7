/* Typed access to JSON members. */
#include "families/hf_json.h"

#include "base/status.h"

#include <math.h>
#include <string.h>

pith_status pith_hf_json_fail(const char *where, const char *key, const char *expected,
                              pith_json found, pith_error *error) {
    bool with_nul = pith_json_text(found) != NULL && pith_hf_json_text(found) == NULL;
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s: expected %s, found %s", where, key,
                     expected, with_nul ? "a string with U+0000" : pith_json_describe(found));
}

pith_status pith_hf_json_object(pith_json *out, char *text, size_t size, const char *where,
                                const pith_allocator *allocator, pith_error *error) {
    pith_json root;
    pith_status status =
        pith_json_read(&root, text, size, PITH_JSON_PYTHON, where, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    if (!pith_json_is(root, PITH_JSON_OBJECT)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: expected a JSON object, found %s", where,
                         pith_json_describe(root));
    }
    *out = root;
    return PITH_OK;
}

pith_json pith_hf_json_get(pith_json object, const char *key) {
    pith_json value = pith_json_get(object, key);
    return pith_json_is_none(value) ? (pith_json){NULL} : value;
}

const char *pith_hf_json_text(pith_json value) {
    const char *text = pith_json_text(value);
    return text != NULL && strlen(text) == pith_json_text_size(value) ? text : NULL;
}

pith_status pith_hf_json_count(pith_json object, const char *key, const char *where, size_t *out,
                               pith_error *error) {
    pith_json value = pith_json_get(object, key);
    size_t n = 0;
    if (value.at == NULL) {
        return PITH_OK;
    }
    if (!pith_json_count(value, &n) || n > INT32_MAX) {
        return pith_hf_json_fail(where, key, "an integer from 0 to 2147483647", value, error);
    }
    *out = n;
    return PITH_OK;
}

pith_status pith_hf_json_number(pith_json object, const char *key, const char *where, double *out,
                                pith_error *error) {
    pith_json value = pith_json_get(object, key);
    double number = 0;
    if (value.at == NULL) {
        return PITH_OK;
    }
    if (!pith_json_number(value, &number)) {
        return pith_hf_json_fail(where, key, "a number", value, error);
    }
    if (!isfinite(number)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s: expected a number, found %s", where,
                         key, isnan(number) ? "NaN" : "infinity");
    }
    *out = number;
    return PITH_OK;
}

pith_status pith_hf_json_flag(pith_json object, const char *key, const char *where, bool *out,
                              pith_error *error) {
    pith_json value = pith_json_get(object, key);
    return value.at == NULL || pith_json_bool(value, out)
               ? PITH_OK
               : pith_hf_json_fail(where, key, "true or false", value, error);
}
