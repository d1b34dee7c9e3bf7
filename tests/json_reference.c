/* base/json beside jansson; see json_reference.h. */
#include "tests/json_reference.h"

#include "base/json.h"
#include "base/json_write.h"
#include "base/memory.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *compare_values(pith_json ours, const json_t *theirs);

static const char *compare_numbers(pith_json ours, const json_t *theirs) {
    int64_t integer;
    double real;
    if (json_is_integer(theirs)) {
        return pith_json_integer(ours, &integer) && integer == json_integer_value(theirs)
                   ? NULL
                   : "an integer differs";
    }
    return pith_json_number(ours, &real) && !pith_json_is_integer(ours) &&
                   real == json_real_value(theirs)
               ? NULL
               : "a real number differs";
}

static const char *compare_arrays(pith_json ours, const json_t *theirs) {
    size_t n = 0;
    pith_json_walk walk = pith_json_begin(ours);
    while (pith_json_next(&walk)) {
        const char *problem = compare_values(walk.value, json_array_get(theirs, n++));
        if (walk.key != NULL) {
            return "an element has a key";
        }
        if (problem != NULL) {
            return problem;
        }
    }
    return n == json_array_size(theirs) && n == pith_json_size(ours) ? NULL
                                                                     : "an array's size differs";
}

/* Only members that jansson has a key for: it knows no NUL in a key. */
static const char *compare_objects(pith_json ours, const json_t *theirs) {
    size_t n = 0;
    pith_json_walk walk = pith_json_begin(ours);
    while (pith_json_next(&walk)) {
        const char *problem = compare_values(walk.value, json_object_get(theirs, walk.key));
        if (problem != NULL) {
            return problem;
        }
        if (pith_json_get(ours, walk.key).at != walk.value.at) {
            return "a member is not found by its key";
        }
        n++;
    }
    return n == json_object_size(theirs) && n == pith_json_size(ours) ? NULL
                                                                      : "an object's size differs";
}

static const char *compare_values(pith_json ours, const json_t *theirs) {
    if (theirs == NULL) {
        return "jansson has no such value";
    }
    switch (pith_json_kind_of(ours)) {
    case PITH_JSON_NULL:
        return json_is_null(theirs) ? NULL : "null differs";
    case PITH_JSON_BOOL:
        return json_is_boolean(theirs) && json_is_true(theirs) == pith_json_is_true(ours)
                   ? NULL
                   : "a boolean differs";
    case PITH_JSON_NUMBER:
        return json_is_number(theirs) ? compare_numbers(ours, theirs) : "a number differs";
    case PITH_JSON_STRING:
        return json_is_string(theirs) && pith_json_text_size(ours) == json_string_length(theirs) &&
                       memcmp(pith_json_text(ours), json_string_value(theirs),
                              json_string_length(theirs)) == 0
                   ? NULL
                   : "a string differs";
    case PITH_JSON_ARRAY:
        return json_is_array(theirs) ? compare_arrays(ours, theirs) : "an array differs";
    case PITH_JSON_OBJECT:
        return json_is_object(theirs) ? compare_objects(ours, theirs) : "an object differs";
    case PITH_JSON_ABSENT:
        break;
    }
    return "a value is absent";
}

/* True when jansson refuses the document for a number that it cannot hold. */
static bool refuses_number(const json_error_t *error) {
    return json_error_code(error) == json_error_numeric_overflow;
}

static bool too_deep(const json_t *value, size_t depth) {
    if (json_is_array(value) || json_is_object(value)) {
        if (depth == PITH_JSON_MAX_DEPTH) {
            return true;
        }
    }
    size_t i;
    const char *key;
    json_t *inner;
    json_array_foreach(value, i, inner) {
        if (too_deep(inner, depth + 1)) {
            return true;
        }
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, inner) {
        if (too_deep(inner, depth + 1)) {
            return true;
        }
    }
    return false;
}

/* A number of more than PITH_JSON_MAX_NUMBER characters, in or out of a string. */
static bool has_long_number(const char *text, size_t n) {
    size_t run = 0;
    for (size_t i = 0; i < n; i++) {
        run = text[i] != '\0' && strchr("0123456789+-.eE", text[i]) != NULL ? run + 1 : 0;
        if (run > PITH_JSON_MAX_NUMBER) {
            return true;
        }
    }
    return false;
}

/* True where jansson may read what is none: a number of any length, any depth, and a NUL byte
 * behind a number, which its 2.14 drops. */
static bool is_lenient(const char *text, size_t n, const json_t *theirs) {
    return memchr(text, 0, n) != NULL || too_deep(theirs, 0) || has_long_number(text, n);
}

static const char *compare_strict(const char *text, size_t n) {
    char *copy = NULL;
    pith_json root;
    json_error_t why = {.line = 0};
    pith_status status = pith_json_read_copy(&root, &copy, text, n, PITH_JSON_STRICT, "doc",
                                             &pith_malloc_allocator, NULL);
    json_t *theirs = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    const char *problem = NULL;
    if (status == PITH_OK) {
        problem = theirs != NULL         ? compare_values(root, theirs)
                  : refuses_number(&why) ? NULL
                                         : "jansson refuses what is read strictly";
    } else if (theirs != NULL && !is_lenient(text, n, theirs)) {
        problem = "jansson reads what is refused";
    }
    json_decref(theirs);
    free(copy);
    return problem;
}

/* Writes a value in a style and checks that reading and writing it again gives the same bytes. */
static const char *write_again(pith_json value, pith_json_style style) {
    pith_json_writer first;
    pith_json_writer second;
    pith_json again;
    char *copy = NULL;
    const char *problem = NULL;
    pith_json_write_begin(&first, NULL);
    pith_json_write_begin(&second, NULL);
    first.style = second.style = style;
    pith_json_put_value(&first, NULL, value);
    if (pith_json_write_end(&first, "first", NULL) == PITH_OK) { /* else a number is not finite */
        if (pith_json_read_copy(&again, &copy, first.bytes.data, first.bytes.size, PITH_JSON_PYTHON,
                                "doc", &pith_malloc_allocator, NULL) != PITH_OK) {
            problem = "what was written is not read";
        } else {
            pith_json_put_value(&second, NULL, again);
            if (first.bytes.size != second.bytes.size ||
                memcmp(first.bytes.data, second.bytes.data, first.bytes.size) != 0) {
                problem = "what was written and read is written differently";
            }
        }
    }
    free(copy);
    pith_bytes_release(&first.bytes);
    pith_bytes_release(&second.bytes);
    return problem;
}

/* What jansson would write of the same document. */
static const char *compare_writing(pith_json root, const char *text, size_t n) {
    static const size_t flags[] = {JSON_COMPACT | JSON_SORT_KEYS, JSON_SORT_KEYS,
                                   JSON_INDENT(2) | JSON_SORT_KEYS};
    json_t *theirs = json_loadb(text, n, JSON_ALLOW_NUL, NULL);
    const char *problem = NULL;
    for (int style = PITH_JSON_COMPACT; style <= PITH_JSON_INDENTED && problem == NULL; style++) {
        problem = write_again(root, (pith_json_style)style);
        pith_json_writer ours;
        pith_json_write_begin(&ours, NULL);
        ours.style = (pith_json_style)style;
        pith_json_put_value(&ours, NULL, root);
        char *expected = theirs != NULL ? json_dumps(theirs, flags[style]) : NULL;
        if (expected != NULL && problem == NULL &&
            (pith_json_write_end(&ours, "doc", NULL) != PITH_OK ||
             strcmp(expected, ours.bytes.data) != 0)) {
            problem = "jansson writes it differently";
        }
        free(expected);
        pith_bytes_release(&ours.bytes);
    }
    json_decref(theirs);
    return problem;
}

static const char *compare_python(const char *text, size_t n) {
    char *copy = NULL;
    pith_json root;
    json_error_t why = {.line = 0};
    pith_status status = pith_json_read_copy(&root, &copy, text, n, PITH_JSON_PYTHON, "doc",
                                             &pith_malloc_allocator, NULL);
    json_t *theirs = json_loadb(text, n, JSON_ALLOW_NUL, &why);
    const char *problem = NULL;
    if (status == PITH_OK) {
        problem = theirs != NULL ? compare_values(root, theirs) : NULL;
        problem = problem != NULL ? problem : compare_writing(root, text, n);
    } else if (theirs != NULL && !is_lenient(text, n, theirs)) {
        problem = "jansson reads what Python's mode refuses";
    }
    json_decref(theirs);
    free(copy);
    return problem;
}

const char *test_json_compare(const char *text, size_t n) {
    const char *problem = compare_strict(text, n);
    return problem != NULL ? problem : compare_python(text, n);
}
