/* Checking and copying the parameters of a generation. */
#include "engine/generate_params.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "engine/grammar.h"
#include "engine/logprobs.h"
#include "engine/lookup.h"
#include "engine/stops.h"

enum { MAX_LIST = 64, MAX_BIAS = 1024 };

static pith_status check_token(const pith_model *model, const char *what, int32_t token,
                               pith_error *error) {
    size_t n_vocab = pith_model_vocab_size(model);
    if (token < 0 || (size_t)token >= n_vocab) {
        return pith_fail(error, PITH_ERROR_TOKEN, "%s %d is outside the vocabulary of %zu", what,
                         (int)token, n_vocab);
    }
    return PITH_OK;
}

/* Checks one of the lists of tokens. `what` names a token of the list in messages. */
static pith_status check_list(const int32_t *tokens, size_t n, const char *what,
                              const pith_model *model, pith_error *error) {
    if (n > MAX_LIST || (n != 0 && tokens == NULL)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%zu %ss, at most %d", n, what, MAX_LIST);
    }
    for (size_t i = 0; i < n; i++) {
        pith_status status = check_token(model, what, tokens[i], error);
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

static pith_status check_bias(const pith_generate_params *params, const pith_model *model,
                              pith_error *error) {
    if (params->n_bias > MAX_BIAS || (params->n_bias != 0 && params->bias == NULL)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%zu logit biases, at most %d", params->n_bias,
                         MAX_BIAS);
    }
    for (size_t i = 0; i < params->n_bias; i++) {
        float bias = params->bias[i].bias;
        pith_status status = check_token(model, "biased token", params->bias[i].token, error);
        if (status != PITH_OK) {
            return status;
        }
        if (!isfinite(bias) && !(bias < 0.0F)) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "logit bias %zu is %g, neither finite nor -infinity", i, (double)bias);
        }
    }
    return PITH_OK;
}

static pith_status check_stops(const pith_generate_params *params, pith_error *error) {
    if (params->n_stops > PITH_MAX_STOPS || (params->n_stops != 0 && params->stops == NULL)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%zu stop strings, at most %d",
                         params->n_stops, PITH_MAX_STOPS);
    }
    for (size_t i = 0; i < params->n_stops; i++) {
        size_t n = params->stops[i] == NULL ? 0 : strlen(params->stops[i]);
        if (n == 0 || n > PITH_MAX_STOP_BYTES) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "stop string %zu has %zu bytes, not 1 to %d", i, n,
                             PITH_MAX_STOP_BYTES);
        }
    }
    return PITH_OK;
}

static pith_status check_logprobs(const pith_generate_params *params, const pith_model *model,
                                  pith_error *error) {
    size_t most = pith_min_size(PITH_MAX_TOP_LOGPROBS, pith_model_vocab_size(model));
    if (params->n_top_logprobs > most) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "n_top_logprobs is %zu, more than %zu",
                         params->n_top_logprobs, most);
    }
    if (params->n_top_logprobs != 0 && !params->logprobs) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "n_top_logprobs is %zu without logprobs",
                         params->n_top_logprobs);
    }
    return PITH_OK;
}

pith_status pith_generate_params_check(const pith_generate_params *params, const pith_model *model,
                                       pith_error *error) {
    if (params->speculate > PITH_MAX_DRAFT) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "speculate is %zu, more than %d",
                         params->speculate, PITH_MAX_DRAFT);
    }
    if (params->grammar != NULL && pith_grammar_model(params->grammar) != model) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "the grammar was made for another model");
    }
    pith_status status = check_stops(params, error);
    if (status == PITH_OK) {
        status = check_list(params->eos, params->n_eos, "end token", model, error);
    }
    if (status == PITH_OK) {
        status = check_list(params->shown, params->n_shown, "shown token", model, error);
    }
    if (status == PITH_OK) {
        status = check_bias(params, model, error);
    }
    if (status == PITH_OK) {
        status = check_logprobs(params, model, error);
    }
    return status;
}

/* A copy of `from` [count] elements of `size` bytes; NULL while measuring. */
static void *copy_array(pith_arena *arena, const void *from, size_t count, size_t size) {
    void *to = pith_arena_take(arena, count, size);
    if (to != NULL && count != 0) {
        memcpy(to, from, count * size);
    }
    return to;
}

void pith_generate_params_take(pith_generate_params *to, pith_arena *arena,
                               const pith_generate_params *from) {
    *to = *from;
    to->stops = NULL;
    to->n_stops = 0;
    to->eos = copy_array(arena, from->eos, from->n_eos, sizeof *from->eos);
    to->shown = copy_array(arena, from->shown, from->n_shown, sizeof *from->shown);
    to->bias = copy_array(arena, from->bias, from->n_bias, sizeof *from->bias);
}
