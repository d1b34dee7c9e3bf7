/* Fields of ollama's protocol: names with a tag, options in an object of their own, keep_alive. */
#include "server/request_parts.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* ---- Models ---------------------------------------------------------------------------------- */

/* "NAME:latest" is NAME: models have no other tags here. */
bool pith_rule_ollama_model(pith_draft *draft, const pith_rule *rule, const char *path,
                            pith_json value) {
    static const char latest[] = ":latest";
    pith_request *r = &draft->request;
    if (!pith_rule_model(draft, rule, path, value)) {
        return false;
    }
    r->model_shown = r->model;
    size_t n = r->model != NULL ? strlen(r->model) : 0;
    if (n < sizeof latest || strcmp(r->model + n - (sizeof latest - 1), latest) != 0) {
        return true;
    }
    n -= sizeof latest - 1;
    char *name = pith_draft_take(draft, n + 1, 1);
    if (name == NULL) {
        return false;
    }
    memcpy(name, r->model, n);
    r->model = name;
    return true;
}

/* Bytes of the unit of time at the beginning of text [n]; SIZE_MAX: there is none. */
static size_t unit_at(const char *text, size_t n) {
    static const char *const units[] = {"ns", "us", "\xC2\xB5s", "ms", "s", "m", "h"};
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t size = strlen(units[i]);
        if (size <= n && memcmp(units[i], text, size) == 0) {
            return size;
        }
    }
    return SIZE_MAX;
}

/* True when text [n] is a duration as Go writes them, "1h30m" or "-1s", or a number alone, of
 * seconds. *zero: it lasts no time. */
static bool read_duration(const char *text, size_t n, bool *zero) {
    size_t at = n > 0 && (text[0] == '-' || text[0] == '+');
    *zero = true;
    if (at == n) {
        return false;
    }
    while (at < n) {
        bool digit = false;
        for (; at < n && ((text[at] >= '0' && text[at] <= '9') || text[at] == '.'); at++) {
            digit = digit || text[at] != '.';
            *zero = *zero && (text[at] == '0' || text[at] == '.');
        }
        size_t unit = at < n ? unit_at(text + at, n - at) : 0;
        if (!digit || unit == SIZE_MAX) {
            return false;
        }
        at += unit;
    }
    return true;
}

/* A number of seconds or a duration. Models stay loaded anyway; 0 unloads. */
bool pith_rule_keep_alive(pith_draft *draft, const pith_rule *rule, const char *path,
                          pith_json value) {
    double seconds;
    bool zero;
    (void)rule;
    if (pith_json_number(value, &seconds)) {
        draft->request.unload = seconds == 0;
        return true;
    }
    if (!pith_json_is(value, PITH_JSON_STRING)) {
        return pith_draft_fail_type(draft, path, "a number of seconds or a duration", value);
    }
    if (!read_duration(pith_json_text(value), pith_json_text_size(value), &zero)) {
        return pith_draft_fail(draft, path, "%s is \"%.40s\", which is no duration such as \"5m\"",
                               path, pith_json_text(value));
    }
    draft->request.unload = zero;
    return true;
}

/* ---- Options --------------------------------------------------------------------------------- */

/* Up to 0: until the context is full. */
static bool read_limit(pith_draft *draft, const pith_rule *rule, const char *path,
                       pith_json value) {
    int64_t n;
    if (!pith_read_integer(draft, path, value, INT32_MIN, UINT32_MAX, &n)) {
        return false;
    }
    draft->limit_name = rule->name;
    draft->limit = n > 0 ? n : -1;
    return true;
}

/* -1 is ollama's way to say that there is none. */
static bool read_seed(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    int64_t n;
    if (pith_json_integer(value, &n) && n == -1) {
        draft->request.has_seed = false;
        return true;
    }
    return pith_rule_seed(draft, rule, path, value);
}

/* An option that is only accepted with the value rule->least, which changes nothing. */
static bool read_fixed(pith_draft *draft, const pith_rule *rule, const char *path,
                       pith_json value) {
    double x;
    if (!pith_json_number(value, &x)) {
        return pith_draft_fail_type(draft, path, "a number", value);
    }
    return x == rule->least ||
           pith_draft_fail(draft, path,
                           "%s is not supported: there is no such way of sampling here", path);
}

/* ollama's other options are for its own runner (num_ctx, num_gpu, num_thread, ...). */
bool pith_rule_ollama_options(pith_draft *draft, const pith_rule *rule, const char *path,
                              pith_json value) {
#define SAMPLING(field) offsetof(pith_draft, request.params.sampling.field)
    static const pith_rule rules[] = {
        {"num_predict", PITH_AT_ALL, read_limit, 0, 0, 0},
        {"temperature", PITH_AT_ALL, pith_rule_float, SAMPLING(temperature), 0, 100},
        {"top_p", PITH_AT_ALL, pith_rule_positive_float, SAMPLING(top_p), 0, 1},
        {"top_k", PITH_AT_ALL, pith_rule_count, SAMPLING(top_k), -1, INT32_MAX},
        {"min_p", PITH_AT_ALL, pith_rule_float, SAMPLING(min_p), 0, 1},
        {"presence_penalty", PITH_AT_ALL, pith_rule_float, SAMPLING(presence_penalty), -2, 2},
        {"frequency_penalty", PITH_AT_ALL, pith_rule_float, SAMPLING(frequency_penalty), -2, 2},
        {"repeat_penalty", PITH_AT_ALL, pith_rule_float, SAMPLING(repeat_penalty), 0, 100},
        {"repeat_last_n", PITH_AT_ALL, pith_rule_signed, offsetof(pith_draft, penalty_window), -1,
         INT32_MAX},
        {"seed", PITH_AT_ALL, read_seed, 0, 0, 0},
        {"stop", PITH_AT_ALL, pith_rule_stop, 0, 0, 0},
        {"typical_p", PITH_AT_ALL, read_fixed, 0, 1, 1},
        {"tfs_z", PITH_AT_ALL, read_fixed, 0, 1, 1},
        {"mirostat", PITH_AT_ALL, read_fixed, 0, 0, 0},
    };
#undef SAMPLING
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, path, "an object", value);
    }
    return pith_draft_walk(draft, value, path, rules, sizeof rules / sizeof *rules);
}

/* "json", a schema, or nothing ("" too). */
bool pith_rule_ollama_format(pith_draft *draft, const pith_rule *rule, const char *path,
                             pith_json value) {
    (void)rule;
    if (pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_keep_schema(draft, value);
    }
    if (pith_json_is_text(value, "json")) {
        draft->request.schema = pith_text_of("{\"type\":\"object\"}");
        return true;
    }
    draft->request.schema = (pith_text){NULL, 0};
    return pith_json_is_text(value, "") ||
           pith_draft_fail(draft, path, "%s must be \"json\" or a JSON schema", path);
}

bool pith_rule_think(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_BOOL) && !pith_json_is(value, PITH_JSON_STRING)) {
        return pith_draft_fail_type(draft, path, "true, false or the name of a level", value);
    }
    draft->think = value;
    return true;
}

/* ---- Texts ----------------------------------------------------------------------------------- */

/* No texts, and an empty one alone, embed nothing. */
bool pith_rule_ollama_inputs(pith_draft *draft, const pith_rule *rule, const char *path,
                             pith_json value) {
    bool older = draft->request.endpoint == PITH_ENDPOINT_OLLAMA_EMBEDDINGS;
    bool list = pith_json_is(value, PITH_JSON_ARRAY);
    if (older && !pith_json_is(value, PITH_JSON_STRING)) {
        return pith_draft_fail_type(draft, path, "a string", value);
    }
    if (pith_json_is_text(value, "") || (list && pith_json_size(value) == 0)) {
        draft->request.n_inputs = 0;
        return true;
    }
    return pith_rule_inputs(draft, rule, path, value);
}

bool pith_rule_ollama_truncate(pith_draft *draft, const pith_rule *rule, const char *path,
                               pith_json value) {
    bool truncate;
    (void)rule;
    if (!pith_read_bool(draft, path, value, &truncate)) {
        return false;
    }
    draft->request.no_truncation = !truncate;
    return true;
}

/* ---- What is to be done ---------------------------------------------------------------------- */

/* The prompt as a conversation: a message of the system, where there is one, and the user's. */
static bool make_messages(pith_draft *draft) {
    pith_request *r = &draft->request;
    pith_message *messages = pith_draft_take(draft, 2, sizeof *messages);
    if (messages == NULL) {
        return false;
    }
    if (draft->system.n_bytes > 0) {
        messages[r->n_messages++] = (pith_message){"system", draft->system};
    }
    messages[r->n_messages++] = (pith_message){"user", r->prompts[0].text};
    r->messages = messages;
    r->chat = true;
    return true;
}

static bool settle_generate(pith_draft *draft) {
    pith_request *r = &draft->request;
    bool infill = r->suffix.n_bytes > 0;
    if (r->n_prompts == 0 || r->prompts[0].text.n_bytes == 0) {
        r->no_work = true;
        return true;
    }
    if (draft->raw || infill) {
        const char *other = draft->system.n_bytes > 0        ? "system"
                            : draft->go_template.n_bytes > 0 ? "template"
                            : draft->raw && infill           ? "suffix"
                                                             : NULL;
        return other == NULL ||
               pith_draft_fail(draft, other,
                               "%s does not go with %s: no chat template is used then", other,
                               draft->raw ? "raw" : "suffix");
    }
    return make_messages(draft) && (draft->go_template.n_bytes == 0 ||
                                    pith_draft_translate_template(draft, draft->go_template));
}

bool pith_draft_settle_ollama(pith_draft *draft) {
    pith_request *r = &draft->request;
    switch (r->endpoint) {
    case PITH_ENDPOINT_OLLAMA_GENERATE:
        return settle_generate(draft);
    case PITH_ENDPOINT_OLLAMA_CHAT:
        r->no_work = r->n_messages == 0;
        return true;
    case PITH_ENDPOINT_OLLAMA_EMBED:
    case PITH_ENDPOINT_OLLAMA_EMBEDDINGS:
        r->no_work = r->n_inputs == 0;
        return true;
    default:
        return true;
    }
}
