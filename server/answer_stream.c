/* Answers as server-sent events (WHATWG HTML, section 9.2): one "data:" line each, which JSON
 * without line breaks fits, and an empty line. */
#include "server/answer_parts.h"

#include "base/status.h"

#include <string.h>

static const char data[] = "data: ";
static const char end[] = "\n\n";

/* The chunk up to its choices, and from there on. */
static void open_chunk(pith_document *d, const pith_answer_head *head, pith_bytes *out,
                       pith_error *error) {
    bool chat = head->request->endpoint == PITH_ENDPOINT_CHAT;
    pith_document_begin(d, out, error);
    pith_document_add(d, data, sizeof data - 1);
    pith_json_open(&d->json, NULL, '{');
    pith_put_head(&d->json, head, chat ? "chat.completion.chunk" : "text_completion");
    pith_json_open(&d->json, "choices", '[');
}

static pith_status close_chunk(pith_document *d, const pith_answer_head *head,
                               const pith_answer_usage *usage) {
    pith_json_close(&d->json, ']');
    if (usage != NULL) {
        pith_put_usage(&d->json, usage);
    } else if (head->request->include_usage) {
        pith_json_put_null(&d->json, "usage");
    }
    pith_json_close(&d->json, '}');
    pith_document_add(d, end, sizeof end - 1);
    return pith_document_end(d);
}

/* What a chunk says about its choice. */
typedef struct chunk {
    size_t choice;
    bool first, last;
    bool reasoning; /* the text is of the reasoning */
    pith_text text;
    const pith_answer_call *call; /* or NULL */
    bool arguments;               /* the text is of the arguments of a call */
    size_t call_index;
    const pith_answer_token *token;
    pith_finish finish;
    size_t n_calls; /* of the last one */
} chunk;

static void put_delta(pith_json_writer *json, const chunk *c) {
    pith_json_open(json, "delta", '{');
    if (c->first) {
        pith_json_put_text(json, "role", "assistant");
    }
    if (c->call != NULL || c->arguments) {
        pith_json_open(json, "tool_calls", '[');
        pith_json_open(json, NULL, '{');
        pith_json_put_integer(json, "index", (int64_t)c->call_index);
        if (c->call != NULL) {
            pith_put_call(json, c->call);
        } else {
            pith_json_open(json, "function", '{');
            pith_json_put_bytes(json, "arguments", c->text.data, c->text.n_bytes);
            pith_json_close(json, '}');
        }
        pith_json_close(json, '}');
        pith_json_close(json, ']');
    } else if (!c->last) {
        pith_json_put_bytes(json, c->reasoning ? "reasoning_content" : "content", c->text.data,
                            c->text.n_bytes);
    }
    pith_json_close(json, '}');
}

/* The chunk as a line of ollama's: a beginning has none, and an end comes with the usage. */
static pith_status write_line(const pith_answer_head *head, const chunk *c, pith_bytes *out,
                              pith_error *error) {
    pith_answer_choice piece = {.text = {"", 0}, .calls = c->call, .n_calls = c->call != NULL};
    *(c->reasoning ? &piece.reasoning : &piece.text) = c->text;
    return c->first || c->last ? PITH_OK : pith_answer_ollama_line(head, &piece, NULL, out, error);
}

static pith_status write_chunk(const pith_answer_head *head, const chunk *c, pith_bytes *out,
                               pith_error *error) {
    pith_document d;
    if (pith_endpoint_is_ollama(head->request->endpoint)) {
        return write_line(head, c, out, error);
    }
    size_t local = 0;
    size_t *offset = head->offsets != NULL ? &head->offsets[c->choice] : &local;
    bool chat = head->request->endpoint == PITH_ENDPOINT_CHAT;
    size_t before = *offset;
    open_chunk(&d, head, out, error);
    pith_json_open(&d.json, NULL, '{');
    if (chat) {
        pith_json_put_integer(&d.json, "index", (int64_t)c->choice);
        put_delta(&d.json, c);
    } else {
        pith_json_put_bytes(&d.json, "text", c->text.data, c->text.n_bytes);
        pith_json_put_integer(&d.json, "index", (int64_t)c->choice);
    }
    pith_put_logprobs(&d, head, c->token, c->token != NULL ? 1 : 0, offset);
    if (c->last) {
        pith_json_put_text(&d.json, "finish_reason", pith_answer_finish(c->finish, c->n_calls));
    } else {
        pith_json_put_null(&d.json, "finish_reason");
    }
    pith_json_close(&d.json, '}');
    pith_status status = close_chunk(&d, head, NULL);
    if (status != PITH_OK) {
        *offset = before;
    }
    return status;
}

static pith_status write_echo(const pith_answer_head *head, size_t choice, pith_bytes *out,
                              pith_error *error) {
    pith_document d;
    pith_bytes text;
    pith_document_begin(&d, out, error); /* only for its failures */
    pith_bytes_init(&text, out->allocator);
    pith_add_echo(&d, head, choice, &text);
    pith_status status = pith_document_end(&d);
    if (status == PITH_OK && text.size > 0) {
        chunk c = {.choice = choice, .text = {text.data, text.size}};
        status = write_chunk(head, &c, out, error);
    }
    pith_bytes_release(&text);
    return status;
}

pith_status pith_answer_stream_open(const pith_answer_head *head, size_t choice, pith_bytes *out,
                                    pith_error *error) {
    if (head->request->endpoint != PITH_ENDPOINT_CHAT) {
        return write_echo(head, choice, out, error);
    }
    chunk c = {.choice = choice, .first = true, .text = {"", 0}};
    return write_chunk(head, &c, out, error);
}

pith_status pith_answer_stream_piece(const pith_answer_head *head, size_t choice, pith_text text,
                                     const pith_answer_token *token, pith_bytes *out,
                                     pith_error *error) {
    token = head->request->logprobs ? token : NULL;
    if (text.n_bytes == 0 && token == NULL) {
        return PITH_OK;
    }
    chunk c = {.choice = choice, .text = text, .token = token};
    return write_chunk(head, &c, out, error);
}

pith_status pith_answer_stream_reasoning(const pith_answer_head *head, size_t choice,
                                         pith_text text, pith_bytes *out, pith_error *error) {
    chunk c = {.choice = choice, .reasoning = true, .text = text};
    return write_chunk(head, &c, out, error);
}

pith_status pith_answer_stream_call(const pith_answer_head *head, size_t choice, size_t index,
                                    const pith_answer_call *call, pith_bytes *out,
                                    pith_error *error) {
    chunk c = {.choice = choice, .call = call, .call_index = index};
    return write_chunk(head, &c, out, error);
}

pith_status pith_answer_stream_arguments(const pith_answer_head *head, size_t choice, size_t index,
                                         pith_text text, pith_bytes *out, pith_error *error) {
    chunk c = {.choice = choice, .arguments = true, .text = text, .call_index = index};
    return write_chunk(head, &c, out, error);
}

pith_status pith_answer_stream_finish(const pith_answer_head *head, size_t choice,
                                      pith_finish finish, size_t n_calls, pith_bytes *out,
                                      pith_error *error) {
    chunk c = {
        .choice = choice, .last = true, .text = {"", 0}, .finish = finish, .n_calls = n_calls};
    return write_chunk(head, &c, out, error);
}

pith_status pith_answer_stream_usage(const pith_answer_head *head, const pith_answer_usage *usage,
                                     pith_bytes *out, pith_error *error) {
    pith_document d;
    if (!head->request->include_usage) {
        return PITH_OK;
    }
    open_chunk(&d, head, out, error);
    return close_chunk(&d, head, usage);
}

pith_status pith_answer_stream_problem(const pith_problem *problem, pith_bytes *out,
                                       pith_error *error) {
    pith_document d;
    pith_document_begin(&d, out, error);
    pith_document_add(&d, data, sizeof data - 1);
    pith_problem_write(problem, &d.json);
    pith_document_add(&d, end, sizeof end - 1);
    return pith_document_end(&d);
}

pith_status pith_answer_stream_done(pith_bytes *out, pith_error *error) {
    return pith_bytes_append_text(out, "data: [DONE]\n\n")
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_MEMORY, "no memory for the answer");
}
