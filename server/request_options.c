/* The options of a request: sampling, limits, stop strings, log-probabilities. */
#include "server/request_parts.h"

#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* A bias of 100 is to make a token certain (OpenAI's documentation); logits of small models may lie
 * 100 apart, so it weighs more here. -100 bans the token. */
static const double certain_bias = 100;
static const float certain_weight = 1000;

static void *at(pith_draft *draft, const pith_rule *rule) {
    return (char *)draft + rule->offset;
}

/* ---- Options of one value -------------------------------------------------------------------- */

bool pith_rule_bool(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    return pith_read_bool(draft, path, value, at(draft, rule));
}

bool pith_rule_count(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    int64_t n;
    if (!pith_read_integer(draft, path, value, (int64_t)rule->least, (int64_t)rule->most, &n)) {
        return false;
    }
    *(size_t *)at(draft, rule) = n < 0 ? 0 : (size_t)n; /* -1 is "off" where it is allowed */
    return true;
}

bool pith_rule_signed(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    return pith_read_integer(draft, path, value, (int64_t)rule->least, (int64_t)rule->most,
                             at(draft, rule));
}

bool pith_rule_float(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    return pith_read_float(draft, path, value, rule->least, rule->most, at(draft, rule));
}

bool pith_rule_positive_float(pith_draft *draft, const pith_rule *rule, const char *path,
                              pith_json value) {
    float x;
    if (!pith_read_float(draft, path, value, rule->least, rule->most, &x)) {
        return false;
    }
    if (x == 0) { /* also what a float rounds to 0, which would mean "off" */
        return pith_draft_fail(draft, path, "%s must be above 0 and at most %g", path, rule->most);
    }
    *(float *)at(draft, rule) = x;
    return true;
}

bool pith_rule_text(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    return pith_read_text(draft, path, value, at(draft, rule));
}

bool pith_rule_model(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    (void)rule;
    const char *name;
    if (!pith_read_name(draft, path, value, PITH_REQUEST_MAX_MODEL_NAME, &name)) {
        return false;
    }
    draft->request.model = name[0] != '\0' ? name : NULL;
    return true;
}

bool pith_rule_limit(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    int64_t n;
    if (!pith_read_integer(draft, path, value, -1, UINT32_MAX, &n)) {
        return false;
    }
    if (n == 0) {
        return pith_draft_fail(draft, path, "%s must be at least 1, or -1 for no limit, not 0",
                               path);
    }
    if (draft->limit_name != NULL && draft->limit != n) {
        return pith_draft_fail(draft, path,
                               "%s and %s contradict each other: give only one of them",
                               draft->limit_name, path);
    }
    draft->limit_name = rule->name;
    draft->limit = n;
    return true;
}

bool pith_rule_seed(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    (void)rule;
    int64_t n;
    if (pith_json_integer(value, &n)) {
        draft->request.params.sampling.seed = (uint64_t)n;
    } else if (pith_json_is_integer(value) && *value.at != '-' &&
               pith_json_number_size(value) <= 20) {
        char digits[24] = {0};
        memcpy(digits, value.at, pith_json_number_size(value));
        errno = 0;
        draft->request.params.sampling.seed = strtoull(digits, NULL, 10);
        if (errno != 0) {
            return pith_draft_fail_type(draft, path, "an integer of 64 bits", value);
        }
    } else {
        return pith_draft_fail_type(draft, path, "an integer of 64 bits", value);
    }
    draft->request.has_seed = true;
    return true;
}

bool pith_rule_encoding(pith_draft *draft, const pith_rule *rule, const char *path,
                        pith_json value) {
    (void)rule;
    draft->request.base64 = pith_json_is_text(value, "base64");
    if (!draft->request.base64 && !pith_json_is_text(value, "float")) {
        return pith_draft_fail(draft, path, "%s must be \"float\" or \"base64\"", path);
    }
    return true;
}

/* ---- Lists ----------------------------------------------------------------------------------- */

static bool read_stop(pith_draft *draft, const char *path, pith_json value, const char **stops,
                      size_t *n) {
    if (!pith_read_name(draft, path, value, PITH_REQUEST_MAX_STOP_BYTES, &stops[*n])) {
        return false;
    }
    *n += stops[*n][0] != '\0'; /* some clients send an empty one to say that there is none */
    return true;
}

bool pith_rule_stop(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    (void)rule;
    bool is_list = pith_json_is(value, PITH_JSON_ARRAY);
    if (!is_list && !pith_json_is(value, PITH_JSON_STRING)) {
        return pith_draft_fail_type(draft, path, "a string or an array of strings", value);
    }
    size_t n_given = is_list ? pith_json_size(value) : 1;
    if (n_given > PITH_REQUEST_MAX_STOPS) {
        return pith_draft_fail(draft, path, "%s has %zu strings, at most %d are allowed", path,
                               n_given, PITH_REQUEST_MAX_STOPS);
    }
    const char **stops = pith_draft_take(draft, n_given, sizeof *stops);
    if (stops == NULL) {
        return false;
    }
    size_t n = 0;
    if (!is_list && !read_stop(draft, path, value, stops, &n)) {
        return false;
    }
    pith_json_walk walk = pith_json_begin(value);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        char element[PITH_REQUEST_PATH];
        pith_path_element(element, path, i);
        if (!read_stop(draft, element, walk.value, stops, &n)) {
            return false;
        }
    }
    draft->request.params.stops = stops;
    draft->request.params.n_stops = n;
    return true;
}

bool pith_rule_end_tokens(pith_draft *draft, const pith_rule *rule, const char *path,
                          pith_json value) {
    (void)rule;
    return pith_read_tokens(draft, path, value, PITH_REQUEST_MAX_END_TOKENS,
                            &draft->request.params.eos, &draft->request.params.n_eos);
}

/* A token id as it stands in a key: digits alone, no zero in front. */
static bool read_key_id(const pith_json_walk *walk, int32_t *out) {
    int64_t id = 0;
    if (walk->key_size == 0 || walk->key_size > 10 || (walk->key[0] == '0' && walk->key_size > 1)) {
        return false;
    }
    for (size_t i = 0; i < walk->key_size; i++) {
        if (walk->key[i] < '0' || walk->key[i] > '9') {
            return false;
        }
        id = id * 10 + (walk->key[i] - '0');
    }
    if (id > INT32_MAX) {
        return false;
    }
    *out = (int32_t)id;
    return true;
}

static bool read_bias(pith_draft *draft, const char *path, const pith_json_walk *walk,
                      pith_logit_bias *out) {
    char member[PITH_REQUEST_PATH];
    char key[24];
    if (!read_key_id(walk, &out->token)) {
        return pith_draft_fail(draft, path,
                               "%s: the key \"%.40s\" is not a token id within 0 and %d", path,
                               walk->key, INT32_MAX);
    }
    memcpy(key, walk->key, walk->key_size);
    key[walk->key_size] = '\0';
    pith_path_member(member, path, key);
    if (!pith_read_float(draft, member, walk->value, -certain_bias, certain_bias, &out->bias)) {
        return false;
    }
    if (out->bias == (float)-certain_bias) {
        out->bias = -INFINITY;
    } else if (out->bias == (float)certain_bias) {
        out->bias = certain_weight;
    }
    return true;
}

bool pith_rule_bias(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value) {
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, path, "an object of token ids and numbers", value);
    }
    size_t n = pith_json_size(value);
    if (n > PITH_REQUEST_MAX_BIASES) {
        return pith_draft_fail(draft, path, "%s has %zu tokens, at most %d are allowed", path, n,
                               PITH_REQUEST_MAX_BIASES);
    }
    pith_logit_bias *biases = pith_draft_take(draft, n, sizeof *biases);
    if (biases == NULL) {
        return false;
    }
    pith_json_walk walk = pith_json_begin(value);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        if (!read_bias(draft, path, &walk, &biases[i])) {
            return false;
        }
    }
    draft->request.params.bias = biases;
    draft->request.params.n_bias = n;
    return true;
}

/* ---- Options that depend on the endpoint ----------------------------------------------------- */

/* A boolean for chats, the number of alternatives for completions. */
bool pith_rule_logprobs(pith_draft *draft, const pith_rule *rule, const char *path,
                        pith_json value) {
    pith_request *r = &draft->request;
    if (r->endpoint == PITH_ENDPOINT_CHAT) {
        return pith_read_bool(draft, path, value, &r->logprobs);
    }
    if (pith_json_is(value, PITH_JSON_BOOL) && !pith_json_is_true(value)) {
        r->logprobs = false;
        return true;
    }
    r->logprobs = pith_rule_count(draft, rule, path, value);
    return r->logprobs;
}

bool pith_rule_stream_options(pith_draft *draft, const pith_rule *rule, const char *path,
                              pith_json value) {
    static const pith_rule rules[] = {
        {"include_usage", PITH_AT_ALL, pith_rule_bool, offsetof(pith_draft, request.include_usage),
         0, 0},
    };
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, path, "an object", value);
    }
    return pith_draft_walk(draft, value, path, rules, sizeof rules / sizeof *rules);
}

/* Spin's names. Its clients send zero to leave an option out. */
bool pith_rule_infer_options(pith_draft *draft, const pith_rule *rule, const char *path,
                             pith_json value) {
#define SAMPLING(field) offsetof(pith_draft, request.params.sampling.field)
    static const pith_rule rules[] = {
        {"maxTokens", PITH_AT_ALL, pith_rule_count, offsetof(pith_draft, request.params.max_tokens),
         0, UINT32_MAX},
        {"repeatPenalty", PITH_AT_ALL, pith_rule_float, SAMPLING(repeat_penalty), 0, 100},
        {"repeatPenaltyLastNTokenCount", PITH_AT_ALL, pith_rule_signed,
         offsetof(pith_draft, penalty_window), 0, UINT32_MAX},
        {"temperature", PITH_AT_ALL, pith_rule_float, SAMPLING(temperature), 0, 100},
        {"topK", PITH_AT_ALL, pith_rule_count, SAMPLING(top_k), 0, UINT32_MAX},
        {"topP", PITH_AT_ALL, pith_rule_float, SAMPLING(top_p), 0, 1},
    };
#undef SAMPLING
    (void)rule;
    if (!pith_json_is(value, PITH_JSON_OBJECT)) {
        return pith_draft_fail_type(draft, path, "an object", value);
    }
    return pith_draft_walk(draft, value, path, rules, sizeof rules / sizeof *rules);
}

/* ---- Defaults and what concerns several options ---------------------------------------------- */

void pith_draft_set_defaults(pith_draft *draft) {
    pith_request *r = &draft->request;
    pith_sampling *sampling = &r->params.sampling;
    r->n_choices = 1;
    r->parse_special = true;
    r->chat = r->endpoint == PITH_ENDPOINT_CHAT || r->endpoint == PITH_ENDPOINT_OLLAMA_CHAT;
    draft->penalty_window = PITH_REQUEST_PENALTY_WINDOW;
    switch (r->endpoint) {
    case PITH_ENDPOINT_INFER: /* Spin's */
        r->params.max_tokens = PITH_REQUEST_INFER_TOKENS;
        *sampling = (pith_sampling){.temperature = 0.8F,
                                    .top_k = 40,
                                    .top_p = 0.9F,
                                    .repeat_penalty = 1.1F};
        break;
    case PITH_ENDPOINT_INFILL: /* llama-server's */
        *sampling =
            (pith_sampling){.temperature = 0.8F, .top_k = 40, .top_p = 0.95F, .min_p = 0.05F};
        break;
    case PITH_ENDPOINT_OLLAMA_GENERATE: /* ollama's */
    case PITH_ENDPOINT_OLLAMA_CHAT:
        r->stream = true;
        *sampling = (pith_sampling){.temperature = 0.8F,
                                    .top_k = 40,
                                    .top_p = 0.9F,
                                    .repeat_penalty = 1.1F};
        break;
    default: /* OpenAI's */
        *sampling = (pith_sampling){.temperature = 1, .top_p = 1};
        break;
    }
}

static void settle_limit(pith_draft *draft) {
    pith_generate_params *params = &draft->request.params;
    if (draft->request.endpoint == PITH_ENDPOINT_INFER) {
        if (params->max_tokens == 0) {
            params->max_tokens = PITH_REQUEST_INFER_TOKENS;
        }
    } else if (draft->limit_name != NULL) {
        params->max_tokens = draft->limit > 0 ? (size_t)draft->limit : 0;
    } else if (draft->request.endpoint == PITH_ENDPOINT_COMPLETION) {
        params->max_tokens = PITH_REQUEST_COMPLETION_TOKENS;
    }
}

/* The sampler's window of 0 is its default, so that no window means no penalties. */
static void settle_penalties(pith_draft *draft) {
    pith_sampling *sampling = &draft->request.params.sampling;
    int64_t window = draft->penalty_window;
    if (window == 0) {
        sampling->repeat_penalty = 0;
        sampling->frequency_penalty = 0;
        sampling->presence_penalty = 0;
        return;
    }
    bool longest = window < 0 || window > PITH_REQUEST_MAX_PENALTY_WINDOW;
    sampling->repeat_last_n = longest ? PITH_REQUEST_MAX_PENALTY_WINDOW : (size_t)window;
}

static bool settle_logprobs(pith_draft *draft) {
    pith_request *r = &draft->request;
    if (r->params.n_top_logprobs > 0 && !r->logprobs) {
        return pith_draft_fail(draft, "top_logprobs", "top_logprobs needs logprobs to be true");
    }
    if (r->logprobs && r->echo) {
        return pith_draft_fail(draft, "echo",
                               "echo with logprobs is not supported: the tokens of a prompt have "
                               "no log-probabilities here");
    }
    r->params.logprobs = r->logprobs;
    return true;
}

bool pith_draft_settle_options(pith_draft *draft) {
    pith_request *r = &draft->request;
    if (draft->best_of != 0 && (uint64_t)draft->best_of != r->n_choices) {
        return pith_draft_fail(draft, "best_of",
                               "best_of other than n is not supported: all texts that are "
                               "generated are returned");
    }
    size_t n_prompts = r->n_prompts > 0 ? r->n_prompts : 1;
    if (r->n_choices * n_prompts > PITH_REQUEST_MAX_CHOICES) {
        return pith_draft_fail(draft, "n",
                               "n of %zu for %zu prompts asks for %zu texts, at most %d "
                               "are allowed",
                               r->n_choices, n_prompts, r->n_choices * n_prompts,
                               PITH_REQUEST_MAX_CHOICES);
    }
    settle_limit(draft);
    settle_penalties(draft);
    return settle_logprobs(draft);
}
