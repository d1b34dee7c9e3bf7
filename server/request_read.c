/* Readers of single values, paths and messages of requests, and the walk over the members of an
 * object; see request_parts.h. */
#include "server/request_parts.h"

#include "base/memory.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- Paths and problems ---------------------------------------------------------------------- */

void pith_path_member(char *out, const char *path, const char *name) {
    snprintf(out, PITH_REQUEST_PATH, "%s%s%s", path, path[0] != '\0' ? "." : "", name);
}

void pith_path_element(char *out, const char *path, size_t i) {
    snprintf(out, PITH_REQUEST_PATH, "%s[%zu]", path, i);
}

bool pith_draft_fail(pith_draft *draft, const char *path, const char *format, ...) {
    char message[sizeof draft->problem->message];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    return pith_problem_set(draft->problem, 400, NULL, path, "%s", length >= 0 ? message : "");
}

/* Writes "12.5" or "a string" to shown [PITH_REQUEST_SHOWN]. */
static void show(char *shown, pith_json value) {
    size_t n = pith_json_number_size(value);
    if (n == 0) {
        snprintf(shown, PITH_REQUEST_SHOWN, "%s", pith_json_describe(value));
    } else if (n < 40) {
        snprintf(shown, PITH_REQUEST_SHOWN, "%.*s", (int)n, value.at);
    } else {
        snprintf(shown, PITH_REQUEST_SHOWN, "%.36s...", value.at);
    }
}

bool pith_draft_fail_type(pith_draft *draft, const char *path, const char *wanted,
                          pith_json value) {
    char shown[PITH_REQUEST_SHOWN];
    show(shown, value);
    return pith_draft_fail(draft, path, "%s must be %s, not %s", path, wanted, shown);
}

/* ---- Walking --------------------------------------------------------------------------------- */

static const pith_rule *find_rule(const pith_draft *draft, const pith_json_walk *walk,
                                  const pith_rule *rules, size_t n_rules) {
    unsigned here = 1U << draft->request.endpoint;
    for (size_t i = 0; i < n_rules; i++) {
        if ((rules[i].endpoints & here) != 0 && strlen(rules[i].name) == walk->key_size &&
            memcmp(rules[i].name, walk->key, walk->key_size) == 0) {
            return &rules[i];
        }
    }
    return NULL;
}

bool pith_draft_walk(pith_draft *draft, pith_json object, const char *path, const pith_rule *rules,
                     size_t n_rules) {
    char member[PITH_REQUEST_PATH];
    pith_json_walk walk = pith_json_begin(object);
    while (pith_json_next(&walk)) {
        if (pith_json_is_none(walk.value)) {
            continue;
        }
        const pith_rule *rule = find_rule(draft, &walk, rules, n_rules);
        if (rule != NULL) {
            pith_path_member(member, path, rule->name);
            if (!rule->read(draft, rule, member, walk.value)) {
                return false;
            }
        } else if (path[0] == '\0' &&
                   !pith_refuse_field(draft, walk.key, walk.key_size, walk.value)) {
            return false;
        }
    }
    return true;
}

/* ---- Values ---------------------------------------------------------------------------------- */

bool pith_read_bool(pith_draft *draft, const char *path, pith_json value, bool *out) {
    return pith_json_bool(value, out) || pith_draft_fail_type(draft, path, "true or false", value);
}

bool pith_read_integer(pith_draft *draft, const char *path, pith_json value, int64_t least,
                       int64_t most, int64_t *out) {
    int64_t n;
    if (pith_json_integer(value, &n) && n >= least && n <= most) {
        *out = n;
        return true;
    }
    char wanted[100];
    snprintf(wanted, sizeof wanted, "an integer within %" PRId64 " and %" PRId64, least, most);
    return pith_draft_fail_type(draft, path, wanted, value);
}

bool pith_read_float(pith_draft *draft, const char *path, pith_json value, double least,
                     double most, float *out) {
    double x;
    if (pith_json_number(value, &x) && x >= least && x <= most) {
        *out = (float)x;
        return true;
    }
    char wanted[100];
    snprintf(wanted, sizeof wanted, "a number within %g and %g", least, most);
    return pith_draft_fail_type(draft, path, wanted, value);
}

bool pith_read_text(pith_draft *draft, const char *path, pith_json value, pith_text *out) {
    if (!pith_json_is(value, PITH_JSON_STRING)) {
        return pith_draft_fail_type(draft, path, "a string", value);
    }
    *out = (pith_text){pith_json_text(value), pith_json_text_size(value)};
    return true;
}

bool pith_read_name(pith_draft *draft, const char *path, pith_json value, size_t most,
                    const char **out) {
    pith_text text = {NULL, 0};
    if (!pith_read_text(draft, path, value, &text)) {
        return false;
    }
    if (text.n_bytes > most) {
        return pith_draft_fail(draft, path, "%s has %zu bytes, at most %zu are allowed", path,
                               text.n_bytes, most);
    }
    if (strlen(text.data) != text.n_bytes) {
        return pith_draft_fail(draft, path, "%s must not hold the character U+0000", path);
    }
    *out = text.data;
    return true;
}

bool pith_read_tokens(pith_draft *draft, const char *path, pith_json value, size_t most,
                      const int32_t **tokens, size_t *n_tokens) {
    if (!pith_json_is(value, PITH_JSON_ARRAY)) {
        return pith_draft_fail_type(draft, path, "an array of token ids", value);
    }
    size_t n = pith_json_size(value);
    if (n > most) {
        return pith_draft_fail(draft, path, "%s has %zu token ids, at most %zu are allowed", path,
                               n, most);
    }
    int32_t *ids = pith_draft_take(draft, n, sizeof *ids);
    if (ids == NULL) {
        return false;
    }
    pith_json_walk walk = pith_json_begin(value);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        char element[PITH_REQUEST_PATH];
        int64_t id = 0;
        /* The path only when it is needed: there may be a million ids. */
        if (pith_json_integer(walk.value, &id) && id >= 0 && id <= INT32_MAX) {
            ids[i] = (int32_t)id;
            continue;
        }
        pith_path_element(element, path, i);
        return pith_read_integer(draft, element, walk.value, 0, INT32_MAX, &id);
    }
    *tokens = ids;
    *n_tokens = n;
    return true;
}
