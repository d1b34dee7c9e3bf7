/* Struct fields to JSON and back. Fields are moved by memcpy: a table of offsets knows nothing of
 * the types that stand there beyond their kind. */
#include "weights/fields.h"

#include "base/status.h"

#include <float.h>
#include <math.h>
#include <string.h>

static json_t *field_value(const pith_field *field, const char *at) {
    size_t count;
    int32_t id;
    bool flag;
    float single;
    double real;
    switch (field->kind) {
    case PITH_FIELD_COUNT:
        memcpy(&count, at, sizeof count);
        return json_integer((json_int_t)count);
    case PITH_FIELD_ID:
        memcpy(&id, at, sizeof id);
        return json_integer(id);
    case PITH_FIELD_FLAG:
        memcpy(&flag, at, sizeof flag);
        return json_boolean(flag);
    case PITH_FIELD_FLOAT:
        memcpy(&single, at, sizeof single);
        return json_real((double)single);
    case PITH_FIELD_DOUBLE:
        memcpy(&real, at, sizeof real);
        return json_real(real);
    }
    return NULL;
}

/* False for numbers that JSON has no spelling for. */
static bool field_is_finite(const pith_field *field, const char *at) {
    float single = 0;
    double real = 0;
    if (field->kind == PITH_FIELD_FLOAT) {
        memcpy(&single, at, sizeof single);
    } else if (field->kind == PITH_FIELD_DOUBLE) {
        memcpy(&real, at, sizeof real);
    }
    return isfinite(single) && isfinite(real);
}

pith_status pith_fields_write(const pith_field *fields, size_t n_fields, const void *base,
                              json_t *object, pith_error *error) {
    for (size_t i = 0; i < n_fields; i++) {
        const char *at = (const char *)base + fields[i].offset;
        if (!field_is_finite(&fields[i], at)) {
            return pith_fail(error, PITH_ERROR_ARGUMENT, "%s is not finite", fields[i].key);
        }
        if (json_object_set_new(object, fields[i].key, field_value(&fields[i], at)) != 0) {
            return pith_fail(error, PITH_ERROR_MEMORY, "no memory for metadata");
        }
    }
    return PITH_OK;
}

static bool read_integer(const json_t *value, json_int_t least, size_t most, json_int_t *out) {
    if (!json_is_integer(value) || json_integer_value(value) < least ||
        json_integer_value(value) > (json_int_t)most) {
        return false;
    }
    *out = json_integer_value(value);
    return true;
}

/* An integer is a number too: other writers may drop the ".0". */
static bool read_number(const json_t *value, double *out) {
    if (!json_is_number(value)) {
        return false;
    }
    *out = json_number_value(value);
    return true;
}

static bool read_field(const pith_field *field, const json_t *value, char *at) {
    json_int_t integer;
    double number;
    switch (field->kind) {
    case PITH_FIELD_COUNT:
        if (read_integer(value, 0, field->limit, &integer)) {
            memcpy(at, &(size_t){(size_t)integer}, sizeof(size_t));
            return true;
        }
        return false;
    case PITH_FIELD_ID:
        if (read_integer(value, -1, field->limit, &integer)) {
            memcpy(at, &(int32_t){(int32_t)integer}, sizeof(int32_t));
            return true;
        }
        return false;
    case PITH_FIELD_FLAG:
        if (json_is_boolean(value)) {
            memcpy(at, &(bool){json_is_true(value)}, sizeof(bool));
            return true;
        }
        return false;
    case PITH_FIELD_FLOAT:
        if (read_number(value, &number) && fabs(number) <= (double)FLT_MAX) {
            memcpy(at, &(float){(float)number}, sizeof(float));
            return true;
        }
        return false;
    case PITH_FIELD_DOUBLE:
        if (read_number(value, &number)) {
            memcpy(at, &number, sizeof number);
            return true;
        }
        return false;
    }
    return false;
}

pith_status pith_fields_read(const pith_field *fields, size_t n_fields, void *base,
                             const json_t *object, const char *where, const char *section,
                             pith_error *error) {
    static const char *const expected[] = {
        [PITH_FIELD_COUNT] = "a count within its limit",
        [PITH_FIELD_ID] = "an id within its limit",
        [PITH_FIELD_FLAG] = "true or false",
        [PITH_FIELD_FLOAT] = "a number",
        [PITH_FIELD_DOUBLE] = "a number",
    };
    for (size_t i = 0; i < n_fields; i++) {
        const json_t *value = json_object_get(object, fields[i].key);
        if (!read_field(&fields[i], value, (char *)base + fields[i].offset)) {
            const char *kind = expected[fields[i].kind];
            if (fields[i].kind == PITH_FIELD_COUNT || fields[i].kind == PITH_FIELD_ID) {
                return pith_fail(error, PITH_ERROR_FORMAT,
                                 "%s: metadata %s.%s is missing or not %s of %zu", where, section,
                                 fields[i].key, kind, fields[i].limit);
            }
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: metadata %s.%s is missing or not %s",
                             where, section, fields[i].key, kind);
        }
    }
    return PITH_OK;
}
