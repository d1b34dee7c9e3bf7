/* The functions of a call that use the ledger and the models. */
#include <string.h>
#include <strings.h>

#include "server/service.h"

enum { LONG_WAIT = 60 }; /* seconds; no client waits longer before it tries again */

/* A message of the ledger names its file, so it goes to the log and the client gets a general one.
 * A locked database, a full disk and a lack of memory are temporary: 503. */
static bool ledger_problem(pith_call *call, const pith_error *error, pith_problem *problem) {
    pith_server_log_write(call->service->log, PITH_LOG_WANTED_ERROR, "ledger: %s", error->message);
    bool passes = error->status == PITH_ERROR_MEMORY || error->status == PITH_ERROR_IO;
    return pith_problem_set(problem, passes ? 503 : 500, "ledger_error", NULL,
                            "the ledger of keys and usage cannot be used");
}

bool pith_call_authenticate(pith_call *call, pith_problem *problem) {
    pith_ledger *ledger = call->service->ledger;
    if (!pith_ledger_wants_key(ledger)) {
        return true;
    }
    pith_error error;
    const char *text = pith_exchange_header(call->x, "Authorization");
    if (text != NULL && strncasecmp(text, "Bearer ", 7) == 0) {
        text += 7 + strspn(text + 7, " ");
        size_t n = strlen(text);
        while (n > 0 && (text[n - 1] == ' ' || text[n - 1] == '\t')) { /* RFC 9110, 5.5 */
            n--;
        }
        pith_status status = pith_ledger_authenticate(ledger, text, n, &call->key, &error);
        if (status == PITH_OK) {
            return true;
        }
        call->key = (pith_key){.id = 0};
        if (status != PITH_ERROR_ARGUMENT) {
            return ledger_problem(call, &error, problem);
        }
    } else {
        text = NULL;
    }
    pith_exchange_put_header(call->x, "WWW-Authenticate", "Bearer realm=\"pith\"");
    return pith_problem_set(problem, 401, "invalid_api_key", NULL,
                            text != NULL ? "the API key is not valid"
                                         : "an API key is needed: Authorization: Bearer KEY");
}

static bool is_still_there(void *user) {
    const pith_call *call = user;
    return !pith_exchange_gone(call->x) && pith_clock() < pith_watch_deadline(call->x->connection);
}

bool pith_call_lease(pith_call *call, const char *name, pith_model_kind kind, pith_lease *out,
                     pith_problem *problem) {
    double began = pith_clock();
    if (!pith_models_lease(call->service->models, name, kind, is_still_there, call, out, problem)) {
        if (problem->http == 499 && !pith_exchange_gone(call->x)) {
            pith_problem_set(problem, 504, "deadline", NULL,
                             "the model was not loaded before the request's deadline");
        }
        return false;
    }
    call->load_seconds = pith_clock() - began;
    if (!out->info.has_tokenizer) {
        pith_problem_set(problem, 400, "no_tokenizer", "model", "model '%.100s' has no tokenizer",
                         out->name);
        pith_models_return(call->service->models, out);
        return false;
    }
    size_t n = strlen(out->name);
    n = n < sizeof call->model ? n : sizeof call->model - 1;
    memcpy(call->model, out->name, n);
    call->model[n] = 0;
    return true;
}

void pith_call_return(pith_call *call, pith_lease *lease, bool unload) {
    pith_models_return(call->service->models, lease);
    if (unload) {
        pith_problem gone; /* a reload took the model away meanwhile */
        pith_models_unload(call->service->models, call->model, &gone);
    }
}

static void put_quota(pith_call *call, const pith_quota *quota) {
    if (quota->limit == 0) {
        return;
    }
    pith_exchange_put_header(call->x, "x-ratelimit-limit", "%zu", quota->limit);
    pith_exchange_put_header(call->x, "x-ratelimit-remaining", "%zu", quota->remaining);
    pith_exchange_put_header(call->x, "x-ratelimit-reset", "%zu", quota->reset);
    /* OpenAI's names, and its way to write a time. */
    pith_exchange_put_header(call->x, "x-ratelimit-limit-requests", "%zu", quota->limit);
    pith_exchange_put_header(call->x, "x-ratelimit-remaining-requests", "%zu", quota->remaining);
    pith_exchange_put_header(call->x, "x-ratelimit-reset-requests", "%zus", quota->reset);
}

bool pith_call_reserve(pith_call *call, pith_quota_kind kind, pith_problem *problem) {
    pith_error error;
    pith_admission admission;
    pith_quota quota = {.limit = 0};
    pith_reservation_request request = {
        .key = &call->key,
        .kind = kind,
        .model = call->model,
        .idempotency_key = pith_exchange_header(call->x, "Idempotency-Key"),
        .path = call->x->path,
        .body = call->x->body,
        .n_body = call->x->n_body,
    };
    size_t n_key = request.idempotency_key != NULL ? strlen(request.idempotency_key) : 1;
    if (n_key == 0 || n_key >= PITH_IDEMPOTENCY_KEY) {
        return pith_problem_set(problem, 400, NULL, "idempotency-key",
                                "the idempotency-key has %zu bytes; it must have 1 to %d", n_key,
                                PITH_IDEMPOTENCY_KEY - 1);
    }
    if (pith_ledger_reserve(call->service->ledger, &request, &admission, &quota, &call->reservation,
                            &error) != PITH_OK) {
        return ledger_problem(call, &error, problem);
    }
    call->reserved = admission == PITH_ADMITTED || admission == PITH_ADMITTED_AGAIN;
    put_quota(call, &quota);
    if (call->reserved) {
        return true;
    }
    if (admission == PITH_OTHER_BODY) {
        return pith_problem_set(problem, 422, "idempotency_error", "idempotency-key",
                                "this idempotency-key came with another path or body before");
    }
    pith_problem_set(problem, 429, "rate_limit_exceeded", NULL,
                     "the quota of %zu %s requests an hour is used up; the next one is admitted in "
                     "%zu seconds",
                     quota.limit, kind == PITH_QUOTA_KIND_INFER ? "inference" : "embedding",
                     quota.reset);
    problem->retry_after = quota.reset > 0 ? quota.reset : 1;
    problem->no_retry = quota.reset > LONG_WAIT;
    return false;
}

void pith_call_unreserve(pith_call *call) {
    pith_error error;
    if (call->reserved &&
        pith_ledger_unreserve(call->service->ledger, call->reservation, &error) != PITH_OK) {
        pith_server_log_write(call->service->log, PITH_LOG_WANTED_ERROR, "ledger: %s",
                              error.message);
    }
    call->reserved = false;
}

void pith_call_settle(pith_call *call, bool failed) {
    pith_error error;
    pith_settlement settlement = {
        .prompt_tokens = call->prompt_tokens,
        .generated_tokens = call->generated_tokens,
        .seconds = pith_clock() - call->x->began,
        .failed = failed,
    };
    if (call->reserved && pith_ledger_settle(call->service->ledger, call->reservation, &settlement,
                                             &error) != PITH_OK) {
        pith_server_log_write(call->service->log, PITH_LOG_WANTED_ERROR, "ledger: %s",
                              error.message);
    }
    call->reserved = false;
}

void pith_call_fail(pith_call *call, const pith_error *error) {
    pith_problem problem = {.http = 0};
    pith_problem_from(&problem, error);
    pith_exchange_answer_problem(call->x, &problem);
}

void pith_call_refuse(pith_call *call, const pith_problem *problem) {
    if (problem->http != 0 && problem->http != 499) {
        pith_exchange_answer_problem(call->x, problem);
    }
}

void pith_call_answer(pith_call *call, pith_json_writer *json) {
    pith_error error;
    if (pith_json_write_end(json, "answer", &error) != PITH_OK) {
        pith_bytes_release(&json->bytes);
        if (error.status == PITH_ERROR_ARGUMENT) { /* it is not the client's fault */
            error.status = PITH_ERROR_FORMAT;
        }
        pith_call_fail(call, &error);
        return;
    }
    pith_bytes_append(&json->bytes, "\n", 1);
    pith_exchange_answer(call->x, 200, "application/json", &json->bytes);
}
