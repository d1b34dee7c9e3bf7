/* Typed access to JSON members. */
#include "convert/hf_json.h"

#include "base/status.h"
#include "weights/json.h"

#include <math.h>

/* "a string", for messages. */
static const char *kind_of(const json_t *value) {
    if (value == NULL) {
        return "nothing";
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        return "a string";
    case JSON_INTEGER:
        return json_integer_value(value) < 0 ? "a negative integer" : "an integer";
    case JSON_REAL:
        return "a fractional number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        break;
    }
    return "null";
}

pith_status pith_hf_json_fail(const char *where, const char *key, const char *expected,
                              const json_t *found, pith_error *error) {
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: %s: expected %s, found %s", where, key,
                     expected, kind_of(found));
}

/* Takes over `root`. */
static pith_status require_object(json_t *root, json_t **out, const char *where,
                                  pith_error *error) {
    if (!json_is_object(root)) {
        pith_status status =
            pith_fail(error, PITH_ERROR_FORMAT, "%s: expected a JSON object, found %s", where,
                      kind_of(root));
        json_decref(root);
        return status;
    }
    *out = root;
    return PITH_OK;
}

pith_status pith_hf_json_object(json_t **out, const char *text, size_t size, const char *where,
                                pith_error *error) {
    json_t *root;
    pith_status status = pith_json_parse(&root, text, size, where, error);
    return status == PITH_OK ? require_object(root, out, where, error) : status;
}

pith_status pith_hf_json_texts(json_t **out, const char *text, size_t size, const char *where,
                               pith_error *error) {
    json_error_t why;
    json_t *root = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, &why);
    if (root != NULL) {
        return require_object(root, out, where, error);
    }
    if (why.text[0] == '\0' || json_error_code(&why) == json_error_out_of_memory) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory to parse JSON", where);
    }
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: bad JSON at line %d, column %d", where,
                     why.line, why.column);
}

const json_t *pith_hf_json_get(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_null(value) ? NULL : value;
}

pith_status pith_hf_json_count(const json_t *object, const char *key, const char *where,
                               size_t *out, pith_error *error) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return PITH_OK;
    }
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > INT32_MAX) {
        return pith_hf_json_fail(where, key, "an integer from 0 to 2147483647", value, error);
    }
    *out = (size_t)json_integer_value(value);
    return PITH_OK;
}

pith_status pith_hf_json_number(const json_t *object, const char *key, const char *where,
                                double *out, pith_error *error) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return PITH_OK;
    }
    if (!json_is_number(value) || !isfinite(json_number_value(value))) {
        return pith_hf_json_fail(where, key, "a number", value, error);
    }
    *out = json_number_value(value);
    return PITH_OK;
}

pith_status pith_hf_json_flag(const json_t *object, const char *key, const char *where, bool *out,
                              pith_error *error) {
    const json_t *value = json_object_get(object, key);
    if (value == NULL) {
        return PITH_OK;
    }
    if (!json_is_boolean(value)) {
        return pith_hf_json_fail(where, key, "true or false", value, error);
    }
    *out = json_is_true(value);
    return PITH_OK;
}
