/* Answers in ollama's protocol: a document, or a stream of them, a line each (NDJSON). Times are in
 * nanoseconds. */
#include "server/answer_parts.h"

#include <stdio.h>
#include <time.h>

/* "2026-03-04T05:06:07.123456789Z" */
void pith_put_time(pith_json_writer *json, const char *key, int64_t seconds, long nanoseconds) {
    char text[64] = "";
    struct tm parts;
    time_t time = (time_t)seconds;
    if (gmtime_r(&time, &parts) != NULL) {
        size_t n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
        snprintf(text + n, sizeof text - n, ".%09ldZ", nanoseconds);
    }
    pith_json_put_text(json, key, text);
}

static void put_nanoseconds(pith_json_writer *json, const char *key, double seconds) {
    pith_json_put_integer(json, key, (int64_t)(seconds > 0 ? seconds * 1e9 : 0));
}

static void open_answer(pith_json_writer *json, const pith_answer_head *head) {
    struct timespec now = {0};
    clock_gettime(CLOCK_REALTIME, &now);
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "model", head->model);
    pith_put_time(json, "created_at", now.tv_sec, now.tv_nsec);
}

static pith_status end_line(pith_document *d) {
    pith_document_add(d, "\n", 1);
    return pith_document_end(d);
}

/* ---- What the model wrote -------------------------------------------------------------------- */

static void put_calls(pith_json_writer *json, const pith_answer_call *calls, size_t n_calls) {
    pith_json_open(json, "tool_calls", '[');
    for (size_t i = 0; i < n_calls; i++) {
        const pith_answer_call *call = &calls[i];
        pith_json_open(json, NULL, '{');
        pith_json_put_text(json, "id", call->id);
        pith_json_open(json, "function", '{');
        pith_json_put_bytes(json, "name", call->name.data, call->name.n_bytes);
        pith_json_put_raw(json, "arguments", call->arguments.data, call->arguments.n_bytes);
        pith_json_close(json, '}');
        pith_json_close(json, '}');
    }
    pith_json_close(json, ']');
}

/* "message" of a chat, "response" and "thinking" of a generation. */
static void put_content(pith_json_writer *json, const pith_answer_head *head,
                        const pith_answer_choice *choice) {
    bool chat = head->request->endpoint == PITH_ENDPOINT_OLLAMA_CHAT;
    if (chat) {
        pith_json_open(json, "message", '{');
        pith_json_put_text(json, "role", "assistant");
    }
    pith_json_put_bytes(json, chat ? "content" : "response", choice->text.data,
                        choice->text.n_bytes);
    if (choice->reasoning.n_bytes > 0) {
        pith_json_put_bytes(json, "thinking", choice->reasoning.data, choice->reasoning.n_bytes);
    }
    if (choice->n_calls > 0) {
        put_calls(json, choice->calls, choice->n_calls);
    }
    if (chat) {
        pith_json_close(json, '}');
    }
}

static void put_end(pith_json_writer *json, pith_finish finish, const pith_answer_usage *usage) {
    bool cut = finish == PITH_FINISH_LENGTH || finish == PITH_FINISH_CONTEXT;
    pith_json_put_bool(json, "done", true);
    pith_json_put_text(json, "done_reason", cut ? "length" : "stop");
    put_nanoseconds(json, "total_duration", usage->total_seconds);
    put_nanoseconds(json, "load_duration", usage->load_seconds);
    pith_json_put_integer(json, "prompt_eval_count", (int64_t)usage->prompt_tokens);
    put_nanoseconds(json, "prompt_eval_duration", usage->prompt_seconds);
    pith_json_put_integer(json, "eval_count", (int64_t)usage->generated_tokens);
    put_nanoseconds(json, "eval_duration", usage->generate_seconds);
}

void pith_put_ollama(pith_json_writer *json, const pith_answer_head *head,
                     const pith_answer_choice *choice, const pith_answer_usage *usage) {
    open_answer(json, head);
    put_content(json, head, choice);
    if (usage != NULL) {
        put_end(json, choice->finish, usage);
    } else {
        pith_json_put_bool(json, "done", false);
    }
    pith_json_close(json, '}');
}

pith_status pith_answer_ollama_line(const pith_answer_head *head, const pith_answer_choice *choice,
                                    const pith_answer_usage *usage, pith_bytes *out,
                                    pith_error *error) {
    pith_document d;
    pith_document_begin(&d, out, error);
    pith_put_ollama(&d.json, head, choice, usage);
    return end_line(&d);
}

pith_status pith_answer_ollama_loaded(const pith_answer_head *head, pith_bytes *out,
                                      pith_error *error) {
    const pith_answer_choice nothing = {.text = {"", 0}};
    pith_document d;
    pith_document_begin(&d, out, error);
    open_answer(&d.json, head);
    put_content(&d.json, head, &nothing);
    pith_json_put_bool(&d.json, "done", true);
    pith_json_put_text(&d.json, "done_reason", head->request->unload ? "unload" : "load");
    pith_json_close(&d.json, '}');
    return end_line(&d);
}

pith_status pith_answer_ollama_problem(const pith_problem *problem, pith_bytes *out,
                                       pith_error *error) {
    pith_document d;
    pith_document_begin(&d, out, error);
    pith_problem_write_short(problem, &d.json);
    return end_line(&d);
}

/* ---- Vectors --------------------------------------------------------------------------------- */

void pith_put_ollama_vectors(pith_json_writer *json, const pith_answer_head *head,
                             const float *vectors, size_t n_inputs, size_t dimension,
                             const pith_answer_usage *usage) {
    bool older = head->request->endpoint == PITH_ENDPOINT_OLLAMA_EMBEDDINGS;
    pith_json_open(json, NULL, '{');
    if (older) {
        pith_put_floats(json, "embedding", vectors, n_inputs > 0 ? dimension : 0);
        pith_json_close(json, '}');
        return;
    }
    pith_json_put_text(json, "model", head->model);
    pith_json_open(json, "embeddings", '[');
    for (size_t i = 0; i < n_inputs; i++) {
        pith_put_floats(json, NULL, vectors + i * dimension, dimension);
    }
    pith_json_close(json, ']');
    put_nanoseconds(json, "total_duration", usage->total_seconds);
    put_nanoseconds(json, "load_duration", usage->load_seconds);
    pith_json_put_integer(json, "prompt_eval_count", (int64_t)usage->prompt_tokens);
    pith_json_close(json, '}');
}
