/* Struct fields to JSON and back. Fields are moved by memcpy: a table of offsets knows only the
 * kind of a field, not its type. */
#include "families/fields.h"

#include "base/status.h"

#include <float.h>
#include <math.h>
#include <string.h>

static void write_field(const pith_field *field, const char *at, pith_json_writer *to) {
    size_t count;
    int32_t id;
    bool flag;
    float single;
    double real;
    switch (field->kind) {
    case PITH_FIELD_COUNT:
        memcpy(&count, at, sizeof count);
        pith_json_put_integer(to, field->key, (int64_t)count);
        break;
    case PITH_FIELD_ID:
        memcpy(&id, at, sizeof id);
        pith_json_put_integer(to, field->key, id);
        break;
    case PITH_FIELD_FLAG:
        memcpy(&flag, at, sizeof flag);
        pith_json_put_bool(to, field->key, flag);
        break;
    case PITH_FIELD_FLOAT:
        memcpy(&single, at, sizeof single);
        pith_json_put_real(to, field->key, (double)single);
        break;
    case PITH_FIELD_DOUBLE:
        memcpy(&real, at, sizeof real);
        pith_json_put_real(to, field->key, real);
        break;
    }
}

void pith_fields_write(const pith_field *fields, size_t n_fields, const void *base,
                       pith_json_writer *to) {
    for (size_t i = 0; i < n_fields; i++) {
        write_field(&fields[i], (const char *)base + fields[i].offset, to);
    }
}

static bool read_integer(pith_json value, int64_t least, size_t most, int64_t *out) {
    return pith_json_integer(value, out) && *out >= least && *out <= (int64_t)most;
}

/* An integer is a number too: other writers may drop the ".0". */
static bool read_number(pith_json value, double *out) {
    return pith_json_number(value, out) && isfinite(*out);
}

static bool read_field(const pith_field *field, pith_json value, char *at) {
    int64_t integer;
    double number;
    bool flag;
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
        if (pith_json_bool(value, &flag)) {
            memcpy(at, &flag, sizeof flag);
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
                             pith_json object, const char *where, const char *section,
                             pith_error *error) {
    static const char *const expected[] = {
        [PITH_FIELD_COUNT] = "a count within its limit",
        [PITH_FIELD_ID] = "an id within its limit",
        [PITH_FIELD_FLAG] = "true or false",
        [PITH_FIELD_FLOAT] = "a number",
        [PITH_FIELD_DOUBLE] = "a number",
    };
    for (size_t i = 0; i < n_fields; i++) {
        pith_json value = pith_json_get(object, fields[i].key);
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
