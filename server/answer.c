/* Complete answers of generations, and the parts that all answers share. */
#include "server/answer_parts.h"

#include "base/memory.h"
#include "base/status.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* ---- Documents ------------------------------------------------------------------------------- */

/* The writer works in `out` itself, behind what is there. */
void pith_document_begin(pith_document *document, pith_bytes *out, pith_error *error) {
    *document = (pith_document){.out = out, .before = out->size, .error = error};
    pith_json_write_begin(&document->json, out->allocator);
    document->json.bytes = *out;
}

void pith_document_add(pith_document *document, const char *text, size_t n) {
    pith_json_writer *json = &document->json;
    if (json->status == PITH_OK && !pith_bytes_append(&json->bytes, text, n)) {
        json->status = PITH_ERROR_MEMORY;
    }
}

pith_status pith_document_end(pith_document *document) {
    pith_bytes *out = document->out;
    pith_status status = document->status;
    if (status == PITH_OK) {
        status = pith_json_write_end(&document->json, "the answer", document->error);
    }
    *out = document->json.bytes;
    if (status != PITH_OK) {
        out->size = document->before;
        if (out->data != NULL) {
            out->data[out->size] = '\0';
        }
    }
    return status;
}

/* ---- Members --------------------------------------------------------------------------------- */

void pith_put_head(pith_json_writer *json, const pith_answer_head *head, const char *object) {
    pith_json_put_text(json, "id", head->id);
    pith_json_put_text(json, "object", object);
    pith_json_put_integer(json, "created", head->created);
    pith_json_put_text(json, "model", head->model);
    pith_json_put_text(json, "system_fingerprint", PITH_FINGERPRINT_TEXT);
}

void pith_put_prompt_usage(pith_json_writer *json, size_t prompt_tokens) {
    pith_json_open(json, "usage", '{');
    pith_json_put_integer(json, "prompt_tokens", (int64_t)prompt_tokens);
    pith_json_put_integer(json, "total_tokens", (int64_t)prompt_tokens);
    pith_json_close(json, '}');
}

void pith_put_usage(pith_json_writer *json, const pith_answer_usage *usage) {
    size_t total = usage->prompt_tokens + usage->generated_tokens;
    pith_json_open(json, "usage", '{');
    pith_json_put_integer(json, "prompt_tokens", (int64_t)usage->prompt_tokens);
    pith_json_put_integer(json, "completion_tokens", (int64_t)usage->generated_tokens);
    pith_json_put_integer(json, "total_tokens", (int64_t)total);
    pith_json_open(json, "prompt_tokens_details", '{');
    pith_json_put_integer(json, "cached_tokens", (int64_t)usage->cached_tokens);
    pith_json_close(json, '}');
    pith_json_close(json, '}');
}

const char *pith_answer_finish(pith_finish finish, size_t n_calls) {
    if (finish == PITH_FINISH_LENGTH || finish == PITH_FINISH_CONTEXT) {
        return "length";
    }
    return n_calls > 0 ? "tool_calls" : "stop";
}

void pith_answer_call_id(char *id) {
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    for (size_t i = 0; i + 1 < PITH_ANSWER_CALL_ID; i++) {
        id[i] = digits[randombytes_uniform(sizeof digits - 1)];
    }
    id[PITH_ANSWER_CALL_ID - 1] = '\0';
}

void pith_put_call(pith_json_writer *json, const pith_answer_call *call) {
    pith_json_put_text(json, "id", call->id);
    pith_json_put_text(json, "type", "function");
    pith_json_open(json, "function", '{');
    pith_json_put_bytes(json, "name", call->name.data, call->name.n_bytes);
    pith_json_put_bytes(json, "arguments", call->arguments.data, call->arguments.n_bytes);
    pith_json_close(json, '}');
}

void pith_answer_id(pith_endpoint endpoint, char *id) {
    unsigned char random[12];
    char digits[2 * sizeof random + 1];
    int initialised = sodium_init(); /* does nothing when it was called before */
    (void)initialised;               /* random numbers come from the system in any case */
    randombytes_buf(random, sizeof random);
    sodium_bin2hex(digits, sizeof digits, random, sizeof random);
    snprintf(id, PITH_ANSWER_ID, "%s-%s", endpoint == PITH_ENDPOINT_CHAT ? "chatcmpl" : "cmpl",
             digits);
}

/* ---- Echo ------------------------------------------------------------------------------------ */

static pith_status decode_prompt(const pith_answer_head *head, const pith_request_prompt *prompt,
                                 pith_bytes *text, pith_error *error) {
    size_t n_bytes = 0;
    pith_status status = pith_detokenize(head->vocabulary, prompt->tokens, prompt->n_tokens, NULL,
                                         0, &n_bytes, error);
    if (status != PITH_ERROR_CAPACITY) {
        return status; /* OK: a prompt without text */
    }
    char *decoded = pith_allocate(text->allocator, n_bytes, 1);
    if (decoded == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the text of a prompt");
    }
    status = pith_detokenize(head->vocabulary, prompt->tokens, prompt->n_tokens, decoded, n_bytes,
                             &n_bytes, error);
    if (status == PITH_OK && !pith_bytes_append(text, decoded, n_bytes)) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for the text of a prompt");
    }
    pith_release(text->allocator, decoded);
    return status;
}

void pith_add_echo(pith_document *document, const pith_answer_head *head, size_t choice,
                   pith_bytes *text) {
    const pith_request *r = head->request;
    if (!r->echo || document->status != PITH_OK) {
        return;
    }
    pith_request_prompt prompt =
        r->infill ? (pith_request_prompt){.text = r->prefix} : r->prompts[choice / r->n_choices];
    if (prompt.tokens != NULL) {
        document->status = decode_prompt(head, &prompt, text, document->error);
    } else if (!pith_bytes_append(text, prompt.text.data, prompt.text.n_bytes)) {
        document->json.status = PITH_ERROR_MEMORY;
    }
}

/* ---- Answers --------------------------------------------------------------------------------- */

/* The content is null where the model only called tools, as in OpenAI's answers. */
static void put_message(pith_json_writer *json, const pith_answer_choice *choice) {
    pith_json_open(json, "message", '{');
    pith_json_put_text(json, "role", "assistant");
    if (choice->n_calls > 0 && choice->text.n_bytes == 0) {
        pith_json_put_null(json, "content");
    } else {
        pith_json_put_bytes(json, "content", choice->text.data, choice->text.n_bytes);
    }
    if (choice->reasoning.n_bytes > 0) {
        pith_json_put_bytes(json, "reasoning_content", choice->reasoning.data,
                            choice->reasoning.n_bytes);
    }
    pith_json_put_null(json, "refusal");
    if (choice->n_calls > 0) {
        pith_json_open(json, "tool_calls", '[');
        for (size_t i = 0; i < choice->n_calls; i++) {
            pith_json_open(json, NULL, '{');
            pith_put_call(json, &choice->calls[i]);
            pith_json_close(json, '}');
        }
        pith_json_close(json, ']');
    }
    pith_json_close(json, '}');
}

static void put_chat(pith_document *d, const pith_answer_head *head,
                     const pith_answer_choice *choice, size_t index) {
    size_t offset = 0;
    pith_json_put_integer(&d->json, "index", (int64_t)index);
    put_message(&d->json, choice);
    pith_put_logprobs(d, head, choice->tokens, choice->n_tokens, &offset);
    pith_json_put_text(&d->json, "finish_reason",
                       pith_answer_finish(choice->finish, choice->n_calls));
}

static void put_completion(pith_document *d, const pith_answer_head *head,
                           const pith_answer_choice *choice, size_t index) {
    size_t offset = 0;
    pith_bytes text;
    pith_bytes_init(&text, d->json.bytes.allocator);
    pith_add_echo(d, head, index, &text);
    if (!pith_bytes_append(&text, choice->text.data, choice->text.n_bytes)) {
        d->json.status = PITH_ERROR_MEMORY;
    }
    pith_json_put_bytes(&d->json, "text", text.data, text.size);
    pith_bytes_release(&text);
    pith_json_put_integer(&d->json, "index", (int64_t)index);
    pith_put_logprobs(d, head, choice->tokens, choice->n_tokens, &offset);
    pith_json_put_text(&d->json, "finish_reason", pith_answer_finish(choice->finish, 0));
}

static void put_openai(pith_document *d, const pith_answer_head *head,
                       const pith_answer_choice *choices, size_t n_choices,
                       const pith_answer_usage *usage) {
    bool chat = head->request->endpoint == PITH_ENDPOINT_CHAT;
    pith_json_open(&d->json, NULL, '{');
    pith_put_head(&d->json, head, chat ? "chat.completion" : "text_completion");
    pith_json_open(&d->json, "choices", '[');
    for (size_t i = 0; i < n_choices; i++) {
        pith_json_open(&d->json, NULL, '{');
        (chat ? put_chat : put_completion)(d, head, &choices[i], i);
        pith_json_close(&d->json, '}');
    }
    pith_json_close(&d->json, ']');
    pith_put_usage(&d->json, usage);
    pith_json_close(&d->json, '}');
}

static void put_infer(pith_json_writer *json, const pith_answer_choice *choice,
                      const pith_answer_usage *usage) {
    pith_json_open(json, NULL, '{');
    pith_json_put_bytes(json, "text", choice->text.data, choice->text.n_bytes);
    pith_json_open(json, "usage", '{');
    pith_json_put_integer(json, "promptTokenCount", (int64_t)usage->prompt_tokens);
    pith_json_put_integer(json, "generatedTokenCount", (int64_t)usage->generated_tokens);
    pith_json_close(json, '}');
    pith_json_close(json, '}');
}

/* llama-server's names. */
static void put_infill(pith_json_writer *json, const pith_answer_head *head,
                       const pith_answer_choice *choice, const pith_answer_usage *usage) {
    bool ended = choice->finish == PITH_FINISH_EOS || choice->finish == PITH_FINISH_COMPLETE;
    const char *type = ended ? "eos" : choice->finish == PITH_FINISH_STOP ? "word" : "limit";
    pith_json_open(json, NULL, '{');
    pith_json_put_integer(json, "index", 0);
    pith_json_put_bytes(json, "content", choice->text.data, choice->text.n_bytes);
    pith_json_put_bool(json, "stop", true);
    pith_json_put_text(json, "model", head->model);
    pith_json_put_integer(json, "tokens_predicted", (int64_t)usage->generated_tokens);
    pith_json_put_integer(json, "tokens_evaluated", (int64_t)usage->prompt_tokens);
    pith_json_put_integer(json, "tokens_cached", (int64_t)usage->cached_tokens);
    pith_json_put_bool(json, "truncated", false);
    pith_json_put_text(json, "stop_type", type);
    pith_json_close(json, '}');
}

pith_status pith_answer_write(const pith_answer_head *head, const pith_answer_choice *choices,
                              size_t n_choices, const pith_answer_usage *usage, pith_bytes *out,
                              pith_error *error) {
    pith_document d;
    pith_document_begin(&d, out, error);
    switch (head->request->endpoint) {
    case PITH_ENDPOINT_INFER:
        put_infer(&d.json, &choices[0], usage);
        break;
    case PITH_ENDPOINT_INFILL:
        put_infill(&d.json, head, &choices[0], usage);
        break;
    case PITH_ENDPOINT_OLLAMA_GENERATE:
    case PITH_ENDPOINT_OLLAMA_CHAT:
        pith_put_ollama(&d.json, head, &choices[0], usage);
        break;
    default:
        put_openai(&d, head, choices, n_choices, usage);
        break;
    }
    return pith_document_end(&d);
}
