/* Tests of requests by rows; see request_rows.h. */
#include "tests/request_rows.h"

#include "base/json_write.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Requests as text ------------------------------------------------------------------------ */

static void put_text(pith_json_writer *w, const char *key, pith_text text) {
    pith_json_put_bytes(w, key, text.data, text.n_bytes);
}

static void put_ids(pith_json_writer *w, const char *key, const int32_t *ids, size_t n) {
    pith_json_open(w, key, '[');
    for (size_t i = 0; i < n; i++) {
        pith_json_put_integer(w, NULL, ids[i]);
    }
    pith_json_close(w, ']');
}

static void put_texts(pith_json_writer *w, const pith_request *r) {
    if (r->messages != NULL) {
        pith_json_open(w, "messages", '[');
        for (size_t i = 0; i < r->n_messages; i++) {
            put_text(w, NULL, pith_text_of(r->messages[i].role));
            put_text(w, NULL, r->messages[i].content);
        }
        pith_json_close(w, ']');
    }
    if (r->variables.n_bytes > 0) {
        pith_json_put_raw(w, r->full_messages ? "whole" : "variables", r->variables.data,
                          r->variables.n_bytes);
    }
    if (r->n_tools > 0) {
        pith_json_open(w, "tools", '[');
        for (size_t i = 0; i < r->n_tools; i++) {
            put_text(w, NULL, pith_text_of(r->tools[i]));
        }
        pith_json_close(w, ']');
    }
    if (r->tool_schemas != NULL) {
        char name[64];
        pith_json_open(w, "schemas", '{');
        for (size_t i = 0; i < r->n_tools; i++) {
            snprintf(name, sizeof name, PITH_TOOL_SCHEMA, i);
            pith_json_put_raw(w, name, r->tool_schemas[i].data, r->tool_schemas[i].n_bytes);
        }
        pith_json_close(w, '}');
    }
    if (r->tool_choice == PITH_TOOL_REQUIRED) {
        put_text(w, "call", pith_text_of(r->forced_tool));
    }
    if (r->prompts != NULL) {
        pith_json_open(w, "prompts", '[');
        for (size_t i = 0; i < r->n_prompts; i++) {
            if (r->prompts[i].tokens != NULL) {
                put_ids(w, NULL, r->prompts[i].tokens, r->prompts[i].n_tokens);
            } else {
                put_text(w, NULL, r->prompts[i].text);
            }
        }
        pith_json_close(w, ']');
    }
    if (r->infill) {
        put_text(w, "prefix", r->prefix);
        put_text(w, "suffix", r->suffix);
    }
    if (r->inputs != NULL) {
        pith_json_open(w, "inputs", '[');
        for (size_t i = 0; i < r->n_inputs; i++) {
            put_text(w, NULL, r->inputs[i].text);
        }
        pith_json_close(w, ']');
    }
}

/* Six digits are enough to tell the rows apart; exact floats have a test of their own. */
static void put_float(pith_json_writer *w, const char *key, float x) {
    char text[32];
    int n = snprintf(text, sizeof text, "%g", (double)x);
    if (x != 0) {
        pith_json_put_raw(w, key, text, (size_t)n);
    }
}

static void put_count(pith_json_writer *w, const char *key, size_t n, size_t usual) {
    if (n != usual) {
        pith_json_put_integer(w, key, (int64_t)n);
    }
}

static void put_flag(pith_json_writer *w, const char *key, bool flag) {
    if (flag) {
        pith_json_put_bool(w, key, true);
    }
}

static void put_options(pith_json_writer *w, const pith_request *r) {
    const pith_sampling *s = &r->params.sampling;
    put_float(w, "temperature", s->temperature);
    put_count(w, "top_k", s->top_k, 0);
    put_float(w, "top_p", s->top_p);
    put_float(w, "min_p", s->min_p);
    put_float(w, "repeat", s->repeat_penalty);
    put_count(w, "last_n", s->repeat_last_n, 64);
    put_float(w, "frequency", s->frequency_penalty);
    put_float(w, "presence", s->presence_penalty);
    if (r->has_seed) {
        pith_json_put_integer(w, "seed", (int64_t)s->seed);
    }
    put_count(w, "max", r->params.max_tokens, 0);
    if (r->params.n_stops > 0) {
        pith_json_open(w, "stops", '[');
        for (size_t i = 0; i < r->params.n_stops; i++) {
            pith_json_put_text(w, NULL, r->params.stops[i]);
        }
        pith_json_close(w, ']');
    }
    if (r->params.n_eos > 0) {
        put_ids(w, "eos", r->params.eos, r->params.n_eos);
    }
    put_flag(w, "ignore_eos", r->params.ignore_eos);
    for (size_t i = 0; i < r->params.n_bias; i++) {
        char key[32];
        char value[32];
        snprintf(key, sizeof key, "bias %d", r->params.bias[i].token);
        int n = snprintf(value, sizeof value, "%g", (double)r->params.bias[i].bias);
        pith_json_put_raw(w, key, value, (size_t)n);
    }
    put_count(w, "n", r->n_choices, 1);
    put_flag(w, "stream", r->stream);
    put_flag(w, "usage", r->include_usage);
    put_flag(w, "echo", r->echo);
    if (r->schema.data != NULL) {
        put_text(w, "schema", r->schema);
    }
    put_flag(w, "logprobs", r->logprobs && r->params.logprobs);
    put_count(w, "top_logprobs", r->params.n_top_logprobs, 0);
}

char *test_request_describe(const pith_request *r) {
    pith_json_writer w;
    pith_error error;
    bool generates =
        r->endpoint == PITH_ENDPOINT_INFER || r->endpoint == PITH_ENDPOINT_CHAT ||
        r->endpoint == PITH_ENDPOINT_COMPLETION || r->endpoint == PITH_ENDPOINT_INFILL ||
        r->endpoint == PITH_ENDPOINT_OLLAMA_GENERATE || r->endpoint == PITH_ENDPOINT_OLLAMA_CHAT;
    pith_json_write_begin(&w, NULL);
    pith_json_open(&w, NULL, '{');
    if (r->model != NULL) {
        pith_json_put_text(&w, "model", r->model);
    }
    if (r->model_shown != NULL && strcmp(r->model_shown, r->model) != 0) {
        pith_json_put_text(&w, "shown", r->model_shown);
    }
    put_texts(&w, r);
    if (r->template.data != NULL) {
        put_text(&w, "template", r->template);
    }
    put_flag(&w, "no_work", r->no_work);
    put_flag(&w, "unload", r->unload);
    put_flag(&w, "no_truncation", r->no_truncation);
    if (generates) {
        put_options(&w, r);
    }
    put_count(&w, "dimensions", r->dimensions, 0);
    put_flag(&w, "base64", r->base64);
    if (r->query.data != NULL) {
        put_text(&w, "query", r->query);
    }
    if (r->top_n != 0) {
        pith_json_put_integer(&w, "top_n", (int64_t)r->top_n);
    }
    put_flag(&w, "return_documents", r->return_documents);
    put_flag(&w, "add_special", r->add_special);
    if (!r->parse_special) {
        pith_json_put_bool(&w, "parse_special", false);
    }
    pith_json_close(&w, '}');
    CHECK(pith_json_write_end(&w, "request", &error) == PITH_OK, "%s", error.message);
    return w.bytes.data;
}

/* ---- Running rows ---------------------------------------------------------------------------- */

test_outcome test_parse_bytes(pith_endpoint endpoint, const char *body, size_t n) {
    pith_request request;
    test_outcome result = {.ok = false};
    char *copy = test_guarded(n);
    memcpy(copy, body, n);
    result.ok = pith_request_parse(&request, endpoint, copy, n, &result.problem);
    if (result.ok) {
        result.text = test_request_describe(&request);
        pith_request_release(&request);
    } else {
        result.text = strdup(result.problem.message);
    }
    test_guarded_free(copy, n);
    return result;
}

static test_outcome parse(pith_endpoint endpoint, const char *body) {
    return test_parse_bytes(endpoint, body, strlen(body));
}

void test_check_accepted(const test_accepted *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        test_outcome result = parse(rows[i].endpoint, rows[i].body);
        CHECK(result.ok && strcmp(result.text, rows[i].request) == 0,
              "row %zu, %s:\nexpected %s\nactual   %s", i, rows[i].body, rows[i].request,
              result.text);
        free(result.text);
    }
    CHECK_NO_LEAKS();
}

void test_check_refused(const test_refused *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        test_outcome result = parse(rows[i].endpoint, rows[i].body);
        CHECK(!result.ok && result.problem.http == 400 && result.problem.code == NULL &&
                  strcmp(result.problem.param, rows[i].param) == 0 &&
                  strcmp(result.text, rows[i].message) == 0,
              "row %zu, %s:\nexpected %s: %s\nactual   %s: %s", i, rows[i].body, rows[i].param,
              rows[i].message, result.problem.param, result.text);
        free(result.text);
    }
    CHECK_NO_LEAKS();
}
