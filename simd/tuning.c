/* Reading and writing tuning files:
 *
 *     {"pith_tuning": 1, "cpu": "AuthenticAMD family 26 model 2", "isa": "avx512-vnni",
 *      "few": {"hint": "nta", "distance": 6144}, "more": {"hint": "t0", "distance": 6144}}
 *
 * Every member is required and no other is allowed, so that a damaged or mistyped file is refused
 * instead of making the model slower. */
#include "simd/tuning.h"

#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/json_write.h"

const char *const pith_hint_names[PITH_N_HINTS] = {[PITH_HINT_NONE] = "none",
                                                   [PITH_HINT_NTA] = "nta",
                                                   [PITH_HINT_T1] = "t1",
                                                   [PITH_HINT_T0] = "t0"};

pith_fetch_text pith_fetch_describe(pith_fetch fetch) {
    pith_fetch_text t;
    if (fetch.hint == PITH_HINT_NONE) {
        snprintf(t.text, sizeof t.text, "none");
    } else if (fetch.distance % 1024 == 0) {
        snprintf(t.text, sizeof t.text, "%s %zu KB", pith_hint_names[fetch.hint],
                 fetch.distance / 1024);
    } else {
        snprintf(t.text, sizeof t.text, "%s %zu B", pith_hint_names[fetch.hint], fetch.distance);
    }
    return t;
}

bool pith_fetch_same(pith_fetch a, pith_fetch b) {
    return a.hint == b.hint && a.distance == b.distance;
}

/* ---- Checking -------------------------------------------------------------------------------- */

/* `name` is "few" or "more"; `status` is the error to return. */
static pith_status check_fetch(const pith_fetch *fetch, bool cached, const char *name,
                               pith_status status, pith_error *error) {
    const int hint = (int)fetch->hint;
    if (hint < 0 || hint >= PITH_N_HINTS) {
        return pith_fail(error, status, "%s.hint is %d, which is no pith_hint", name, hint);
    }
    if (cached && hint != PITH_HINT_T1 && hint != PITH_HINT_T0) {
        return pith_fail(error, status, "%s.hint is \"%s\"; of more than two tokens it is t1 or t0",
                         name, pith_hint_names[hint]);
    }
    if (fetch->distance > PITH_TUNING_DISTANCE ||
        fetch->distance % PITH_TUNING_DISTANCE_UNIT != 0) {
        return pith_fail(error, status,
                         "%s.distance is %zu; it is a multiple of %d bytes, at most %d", name,
                         fetch->distance, PITH_TUNING_DISTANCE_UNIT, PITH_TUNING_DISTANCE);
    }
    return PITH_OK;
}

/* Requires printable ASCII that ends within [size], because it is put into messages. */
static pith_status check_text(const char *text, size_t size, const char *name, pith_status status,
                              pith_error *error) {
    const size_t n = strnlen(text, size);
    if (n == size) {
        return pith_fail(error, status, "%s has more than %zu bytes", name, size - 1);
    }
    for (size_t i = 0; i < n; i++) {
        if (text[i] < ' ' || text[i] > '~') {
            return pith_fail(error, status, "%s is not printable ASCII", name);
        }
    }
    return PITH_OK;
}

static pith_status check(const pith_tuning *t, pith_status status, pith_error *error) {
    pith_status result = check_fetch(&t->few, false, "few", status, error);
    if (result == PITH_OK) {
        result = check_fetch(&t->more, true, "more", status, error);
    }
    if (result == PITH_OK) {
        result = check_text(t->cpu, sizeof t->cpu, "cpu", status, error);
    }
    return result == PITH_OK ? check_text(t->isa, sizeof t->isa, "isa", status, error) : result;
}

pith_status pith_tuning_check(const pith_tuning *tuning, pith_error *error) {
    pith_status status = check(tuning, PITH_ERROR_ARGUMENT, error);
    return status == PITH_OK ? status : pith_fail_in(error, status, "tuning");
}

/* ---- Using ----------------------------------------------------------------------------------- */

static bool may_be(const char *measured, const char *here) {
    return measured[0] == 0 || strcmp(measured, here) == 0;
}

static const char *or_unknown(const char *text) {
    return text[0] != 0 ? text : "unknown";
}

void pith_tuning_log(const pith_tuning *tuning, const pith_kernels *kernels, const pith_log *log) {
    const pith_cpu_id cpu = pith_cpu_identify();
    const pith_cpu_text here = pith_cpu_describe(&cpu);
    if (!may_be(tuning->cpu, here.text) || !may_be(tuning->isa, kernels->name)) {
        pith_log_write(log, PITH_LOG_WARNING,
                       "the tuning was measured on another machine: %s, %s; here it is %s, %s",
                       or_unknown(tuning->cpu), or_unknown(tuning->isa), or_unknown(here.text),
                       kernels->name);
    }
    pith_log_write(log, PITH_LOG_INFO,
                   "tuning: weights are fetched ahead by %s for one and two tokens, %s for more%s",
                   pith_fetch_describe(tuning->few).text, pith_fetch_describe(tuning->more).text,
                   kernels->takes_path ? "" : ", by other kernels than these");
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* Refuses members that are not in `names` [n]; missing ones are reported where they are read.
 * `path` is "" at the root, "few." inside of "few". */
static pith_status check_members(pith_json object, const char *const *names, size_t n,
                                 const char *where, const char *path, pith_error *error) {
    pith_json_walk walk = pith_json_begin(object);
    while (pith_json_next(&walk)) {
        size_t i = 0;
        while (i < n && strcmp(names[i], walk.key) != 0) {
            i++;
        }
        if (i == n) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: unknown member \"%s%.40s\"", where,
                             path, walk.key);
        }
    }
    return PITH_OK;
}

static pith_status read_fetch(pith_json root, const char *name, const char *where, pith_fetch *out,
                              pith_error *error) {
    static const char *const members[] = {"hint", "distance"};
    const pith_json object = pith_json_get(root, name);
    char path[16];
    if (!pith_json_is(object, PITH_JSON_OBJECT)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: \"%s\" is %s, not an object", where, name,
                         pith_json_describe(object));
    }
    snprintf(path, sizeof path, "%s.", name);
    pith_status status = check_members(object, members, 2, where, path, error);
    if (status != PITH_OK) {
        return status;
    }
    const pith_json hint = pith_json_get(object, "hint");
    int i = 0;
    while (i < PITH_N_HINTS && !pith_json_is_text(hint, pith_hint_names[i])) {
        i++;
    }
    if (i == PITH_N_HINTS) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: \"%s.hint\" is not one of none, nta, t1, t0", where, name);
    }
    out->hint = (pith_hint)i;
    const pith_json distance = pith_json_get(object, "distance");
    if (!pith_json_count(distance, &out->distance)) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: \"%s.distance\" is %s; it is a multiple of %d bytes, at most %d",
                         where, name, pith_json_describe(distance), PITH_TUNING_DISTANCE_UNIT,
                         PITH_TUNING_DISTANCE);
    }
    return PITH_OK;
}

static pith_status read_text(pith_json root, const char *name, const char *where, char *out,
                             size_t size, pith_error *error) {
    const pith_json value = pith_json_get(root, name);
    if (!pith_json_is(value, PITH_JSON_STRING)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: \"%s\" is %s, not a string", where, name,
                         pith_json_describe(value));
    }
    if (pith_json_text_size(value) >= size) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: \"%s\" has more than %zu bytes", where,
                         name, size - 1);
    }
    memcpy(out, pith_json_text(value), pith_json_text_size(value) + 1);
    return PITH_OK;
}

/* Called before anything else is read: a later version may have other members. */
static pith_status check_version(pith_json root, const char *where, pith_error *error) {
    const pith_json value = pith_json_get(root, "pith_tuning");
    size_t version;
    if (!pith_json_count(value, &version) || version == 0) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: no tuning file: \"pith_tuning\" is %s, not its version", where,
                         pith_json_describe(value));
    }
    if (version > PITH_TUNING_VERSION) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: version %zu of tuning files; this pith reads version %d", where,
                         version, PITH_TUNING_VERSION);
    }
    return PITH_OK;
}

static pith_status read_root(pith_json root, const char *where, pith_tuning *out,
                             pith_error *error) {
    static const char *const members[] = {"pith_tuning", "cpu", "isa", "few", "more"};
    if (!pith_json_is(root, PITH_JSON_OBJECT)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: no tuning file: %s", where,
                         pith_json_describe(root));
    }
    pith_status status = check_version(root, where, error);
    if (status == PITH_OK) {
        status = check_members(root, members, sizeof members / sizeof members[0], where, "", error);
    }
    if (status == PITH_OK) {
        status = read_text(root, "cpu", where, out->cpu, sizeof out->cpu, error);
    }
    if (status == PITH_OK) {
        status = read_text(root, "isa", where, out->isa, sizeof out->isa, error);
    }
    if (status == PITH_OK) {
        status = read_fetch(root, "few", where, &out->few, error);
    }
    if (status == PITH_OK) {
        status = read_fetch(root, "more", where, &out->more, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    status = check(out, PITH_ERROR_FORMAT, error);
    return status == PITH_OK ? status : pith_fail_in(error, status, "%s", where);
}

pith_status pith_tuning_parse(pith_tuning *out, const char *text, size_t n, const char *where,
                              pith_error *error) {
    pith_tuning tuning = {.cpu = ""};
    char *copy = NULL;
    pith_json root;
    if (n > PITH_TUNING_BYTES) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu bytes; a tuning file has at most %d",
                         where, n, PITH_TUNING_BYTES);
    }
    pith_status status = pith_json_read_copy(&root, &copy, text, n, PITH_JSON_STRICT, where,
                                             &pith_malloc_allocator, error);
    if (status == PITH_OK) {
        status = read_root(root, where, &tuning, error);
    }
    pith_release(&pith_malloc_allocator, copy);
    if (status == PITH_OK) {
        *out = tuning;
    }
    return status;
}

pith_status pith_tuning_load(pith_tuning *out, const char *path, pith_error *error) {
    char text[PITH_TUNING_BYTES];
    pith_file file;
    if (out == NULL || path == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_tuning_load: null argument");
    }
    pith_status status = pith_file_open(&file, path, error);
    if (status != PITH_OK) {
        return status;
    }
    if (file.size > sizeof text) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu bytes; a tuning file has at most %d",
                           path, file.size, PITH_TUNING_BYTES);
    } else {
        status = pith_file_read(&file, 0, text, file.size, error);
    }
    if (status == PITH_OK) {
        status = pith_tuning_parse(out, text, file.size, path, error);
    }
    pith_file_close(&file);
    return status;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void put_fetch(pith_json_writer *w, const char *key, const pith_fetch *fetch) {
    pith_json_open(w, key, '{');
    pith_json_put_text(w, "hint", pith_hint_names[fetch->hint]);
    pith_json_put_integer(w, "distance", (int64_t)fetch->distance);
    pith_json_close(w, '}');
}

static pith_status write_file(const char *path, const pith_bytes *bytes, pith_error *error) {
    pith_output *output = NULL;
    pith_status status = pith_output_create(&output, path, &pith_malloc_allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_output_write(output, 0, bytes->data, bytes->size, error);
    if (status == PITH_OK) {
        status = pith_output_write(output, bytes->size, "\n", 1, error);
    }
    if (status != PITH_OK) {
        pith_output_discard(output);
        return status;
    }
    return pith_output_commit(output, error);
}

pith_status pith_tuning_save(const pith_tuning *tuning, const char *path, pith_error *error) {
    pith_json_writer w;
    pith_status status = pith_tuning_check(tuning, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_json_write_begin(&w, &pith_malloc_allocator);
    w.style = PITH_JSON_INDENTED;
    pith_json_open(&w, NULL, '{');
    pith_json_put_integer(&w, "pith_tuning", PITH_TUNING_VERSION);
    pith_json_put_text(&w, "cpu", tuning->cpu);
    pith_json_put_text(&w, "isa", tuning->isa);
    put_fetch(&w, "few", &tuning->few);
    put_fetch(&w, "more", &tuning->more);
    pith_json_close(&w, '}');
    status = pith_json_write_end(&w, "tuning", error);
    if (status == PITH_OK) {
        status = write_file(path, &w.bytes, error);
    }
    pith_bytes_release(&w.bytes);
    return status;
}
