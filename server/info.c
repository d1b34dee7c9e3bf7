/* Information about the service: models, usage, metrics and health. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/service.h"

/* ---- Models ---------------------------------------------------------------------------------- */

static void put_model(pith_json_writer *json, const pith_model_entry *entry) {
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "id", entry->name);
    pith_json_put_text(json, "object", "model");
    pith_json_put_integer(json, "created", entry->created);
    pith_json_put_text(json, "owned_by", "pith");
    if (entry->alias_of != NULL) {
        pith_json_put_text(json, "alias_of", entry->alias_of);
    }
    if (entry->kind != PITH_MODEL_ANY) {
        pith_json_put_text(json, "kind", entry->kind == PITH_MODEL_ENCODER ? "encoder" : "decoder");
    }
    pith_json_put_bool(json, "loaded", entry->loaded);
    pith_json_close(json, '}');
}

static void put_each(void *user, const pith_model_entry *entry) {
    put_model(user, entry);
}

void pith_handle_models(pith_call *call) {
    pith_json_writer json;
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    pith_json_put_text(&json, "object", "list");
    pith_json_open(&json, "data", '[');
    pith_models_each(call->service->models, put_each, &json);
    pith_json_close(&json, ']');
    pith_json_close(&json, '}');
    pith_call_answer(call, &json);
}

typedef struct wanted_model {
    const char *name;
    pith_json_writer json;
    bool found;
} wanted_model;

static void put_wanted(void *user, const pith_model_entry *entry) {
    wanted_model *wanted = user;
    if (!wanted->found && strcmp(entry->name, wanted->name) == 0) {
        wanted->found = true;
        put_model(&wanted->json, entry);
    }
}

void pith_handle_model(pith_call *call) {
    wanted_model wanted = {.name = call->x->path + strlen("/v1/models/")};
    pith_json_write_begin(&wanted.json, NULL);
    pith_models_each(call->service->models, put_wanted, &wanted);
    if (wanted.found) {
        pith_call_answer(call, &wanted.json);
        return;
    }
    pith_problem problem = {.http = 0};
    pith_bytes_release(&wanted.json.bytes);
    pith_problem_set(&problem, 404, "model_not_found", "model",
                     "there is no model of that name; GET /v1/models lists those there are");
    pith_exchange_answer_problem(call->x, &problem);
}

/* ---- Usage ----------------------------------------------------------------------------------- */

static bool put_usage(void *user, const pith_usage_row *row) {
    pith_json_writer *json = user;
    char seconds[40];
    snprintf(seconds, sizeof seconds, "%.3f", row->seconds);
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "key", row->key);
    pith_json_put_text(json, "model", row->model);
    pith_json_put_text(json, "kind", row->kind == PITH_QUOTA_KIND_INFER ? "infer" : "embed");
    pith_json_put_integer(json, "requests", (int64_t)row->requests);
    pith_json_put_integer(json, "failed", (int64_t)row->failed);
    pith_json_put_integer(json, "prompt_tokens", (int64_t)row->prompt_tokens);
    pith_json_put_integer(json, "generated_tokens", (int64_t)row->generated_tokens);
    pith_json_put_raw(json, "seconds", seconds, strlen(seconds));
    pith_json_close(json, '}');
    return true;
}

static void put_quotas(pith_call *call, pith_json_writer *json) {
    static const char *const names[] = {"infer", "embed"};
    pith_json_open(json, "quota", '{');
    for (int kind = PITH_QUOTA_KIND_INFER; kind <= PITH_QUOTA_KIND_EMBED; kind++) {
        pith_quota quota;
        if (pith_ledger_quota(call->service->ledger, &call->key, (pith_quota_kind)kind, &quota,
                              NULL) == PITH_OK &&
            quota.limit > 0) {
            pith_json_open(json, names[kind], '{');
            pith_json_put_integer(json, "limit", (int64_t)quota.limit);
            pith_json_put_integer(json, "remaining", (int64_t)quota.remaining);
            pith_json_put_integer(json, "reset", (int64_t)quota.reset);
            pith_json_close(json, '}');
        }
    }
    pith_json_close(json, '}');
}

void pith_handle_usage(pith_call *call) {
    pith_error error;
    pith_json_writer json;
    const char *since = pith_exchange_argument(call->x, "since");
    char *end = NULL;
    long long seconds = since != NULL ? strtoll(since, &end, 10) : 0;
    if (since != NULL && (end == since || *end != 0 || seconds < 0)) {
        pith_problem problem = {.http = 0};
        pith_problem_set(&problem, 400, NULL, "since",
                         "'since' must be a count of seconds since 1970");
        pith_exchange_answer_problem(call->x, &problem);
        return;
    }
    pith_json_write_begin(&json, NULL);
    pith_json_open(&json, NULL, '{');
    pith_json_open(&json, "usage", '[');
    if (pith_ledger_usage(call->service->ledger, call->key.id, seconds, put_usage, &json, &error) !=
        PITH_OK) {
        pith_bytes_release(&json.bytes);
        pith_call_fail(call, &error);
        return;
    }
    pith_json_close(&json, ']');
    if (call->key.id != 0) {
        put_quotas(call, &json);
    }
    pith_json_close(&json, '}');
    pith_call_answer(call, &json);
}

/* ---- Metrics --------------------------------------------------------------------------------- */

enum { MAX_KEYS = 1000 }; /* whose quotas are among the metrics */

typedef struct key_list {
    pith_key *keys; /* [MAX_KEYS] */
    size_t n;
} key_list;

static bool note_key(void *user, const pith_key *key) {
    key_list *list = user;
    if (!key->revoked) {
        list->keys[list->n++] = *key;
    }
    return list->n < MAX_KEYS;
}

static void write_quotas(pith_service *service, pith_bytes *out) {
    static const char *const names[] = {"pith_quota_infer_remaining", "pith_quota_embed_remaining"};
    static const char *const helps[] = {"Inference requests left of the rolling hour.",
                                        "Embedding requests left of the rolling hour."};
    key_list list = {.keys = calloc(MAX_KEYS, sizeof(pith_key))};
    if (list.keys == NULL || pith_ledger_keys(service->ledger, note_key, &list, NULL) != PITH_OK ||
        list.n == 0) {
        free(list.keys);
        return;
    }
    for (int kind = PITH_QUOTA_KIND_INFER; kind <= PITH_QUOTA_KIND_EMBED; kind++) {
        pith_metrics_write_head(out, names[kind], "gauge", helps[kind]);
        for (size_t i = 0; i < list.n; i++) {
            pith_quota quota;
            if (pith_ledger_quota(service->ledger, &list.keys[i], (pith_quota_kind)kind, &quota,
                                  NULL) == PITH_OK &&
                quota.limit > 0) {
                pith_metrics_write_gauge(out, names[kind], "key", list.keys[i].name,
                                         (double)quota.remaining);
            }
        }
    }
    free(list.keys);
}

void pith_handle_metrics(pith_call *call) {
    pith_service *service = call->service;
    pith_bytes out;
    pith_bytes_init(&out, NULL);
    pith_metrics_write_head(&out, "pith_connections", "gauge", "Connections open.");
    pith_metrics_write_gauge(&out, "pith_connections", NULL, NULL,
                             (double)pith_watch_count(service->watch));
    pith_models_write_metrics(service->models, &out);
    write_quotas(service, &out);
    pith_metrics_write(service->metrics, &out);
    pith_exchange_answer(call->x, 200, "text/plain; version=0.0.4; charset=utf-8", &out);
}

/* ---- Health --------------------------------------------------------------------- */

void pith_handle_health(pith_call *call) {
    bool loading = pith_models_loading(call->service->models);
    pith_bytes out;
    pith_bytes_init(&out, NULL);
    pith_bytes_append_text(&out, loading ? "{\"status\":\"loading\"}\n" : "{\"status\":\"ok\"}\n");
    if (loading) {
        pith_exchange_put_header(call->x, "Retry-After", "1");
    }
    pith_exchange_answer(call->x, loading ? 503 : 200, "application/json", &out);
}
