/* Rendering a conversation with a chat template, and finding the token that ends an answer. */
#include "tokenizer/chat_template.h"

#include "base/json_write.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/internal.h"

#include <string.h>

/* ---- Variables ------------------------------------------------------------------------------- */

enum { MAX_TEXTS = 3 };

/* A rendering in progress, and the memory of its variables. */
typedef struct rendering {
    const pith_tokenizer *tokenizer;
    const pith_chat_input *input;
    pith_template *compiled;
    char *copies[2]; /* the documents of `conversation` and `variables` */
    pith_json conversation, variables;
    char *spellings[MAX_TEXTS];
    pith_template_text texts[MAX_TEXTS];
    size_t n_texts;
    pith_error *error;
} rendering;

static pith_status no_memory(rendering *r) {
    return pith_fail(r->error, PITH_ERROR_MEMORY, "no memory for the chat prompt");
}

static pith_status add_token(rendering *r, const char *name, int32_t id) {
    const char *text;
    size_t n;
    if (!pith_tokenizer_piece(r->tokenizer, id, &text, &n)) {
        return PITH_OK;
    }
    char *copy = pith_copy_text(r->tokenizer->allocator, text, n);
    if (copy == NULL) {
        return no_memory(r);
    }
    r->spellings[r->n_texts] = copy;
    r->texts[r->n_texts++] = (pith_template_text){.name = name, .text = copy};
    return PITH_OK;
}

static pith_status add_tokens(rendering *r) {
    const pith_vocab *v = &r->tokenizer->vocab;
    pith_status status = add_token(r, "bos_token", v->bos);
    if (status == PITH_OK) {
        status = add_token(r, "eos_token", v->eos);
    }
    return status == PITH_OK ? add_token(r, "unk_token", v->unk) : status;
}

static pith_status check_messages(rendering *r) {
    for (size_t i = 0; i < r->input->n_messages; i++) {
        const pith_message *m = &r->input->messages[i];
        size_t valid = pith_utf8_check(m->content.data, m->content.n_bytes);
        if (valid != m->content.n_bytes) {
            return pith_fail(r->error, PITH_ERROR_TEXT, "message %zu: invalid UTF-8 at byte %zu", i,
                             valid);
        }
        size_t n = m->role != NULL ? strlen(m->role) : 0;
        if (n == 0 || pith_utf8_check(m->role, n) != n) {
            return pith_fail(r->error, PITH_ERROR_ARGUMENT, "message %zu has no role", i);
        }
    }
    return PITH_OK;
}

/* Sets the variables that every template has. Tools and documents are null where nobody gives any,
 * as in transformers: a template may ask whether they are defined. */
static pith_status put_conversation(rendering *r) {
    const pith_allocator *allocator = r->tokenizer->allocator;
    const pith_chat_input *input = r->input;
    pith_json_writer json;
    pith_json_write_begin(&json, allocator);
    pith_json_open(&json, NULL, '{');
    pith_json_open(&json, "messages", '[');
    for (size_t i = 0; i < input->n_messages; i++) {
        const pith_message *m = &input->messages[i];
        pith_json_open(&json, NULL, '{');
        pith_json_put_text(&json, "role", m->role);
        pith_json_put_bytes(&json, "content", m->content.data, m->content.n_bytes);
        pith_json_close(&json, '}');
    }
    pith_json_close(&json, ']');
    pith_json_put_null(&json, "tools");
    pith_json_put_null(&json, "documents");
    pith_json_put_bool(&json, "add_generation_prompt", !input->no_generation_prompt);
    pith_json_close(&json, '}');
    pith_status status = pith_json_write_end(&json, "the conversation", r->error);
    if (status == PITH_OK) {
        r->copies[0] = json.bytes.data;
        status = pith_json_read(&r->conversation, json.bytes.data, json.bytes.size,
                                PITH_JSON_PYTHON, "the conversation", allocator, r->error);
    } else {
        pith_bytes_release(&json.bytes);
    }
    return status;
}

static pith_status read_variables(rendering *r) {
    pith_text text = r->input->variables;
    pith_error problem = {.status = PITH_OK};
    pith_status status = pith_json_read_copy(&r->variables, &r->copies[1], text.data, text.n_bytes,
                                             PITH_JSON_PYTHON, "the variables of the chat template",
                                             r->tokenizer->allocator, &problem);
    if (status != PITH_OK) { /* FORMAT is for files; this is the caller's text */
        status = status == PITH_ERROR_FORMAT ? PITH_ERROR_ARGUMENT : status;
        return pith_fail(r->error, status, "%s", problem.message);
    }
    return pith_json_is(r->variables, PITH_JSON_OBJECT)
               ? PITH_OK
               : pith_fail(r->error, PITH_ERROR_ARGUMENT,
                           "the variables of the chat template must be a JSON object, not %s",
                           pith_json_describe(r->variables));
}

static pith_status put_variables(rendering *r) {
    if (r->input->variables.n_bytes > 0) {
        pith_status status = read_variables(r);
        if (status != PITH_OK) {
            return status;
        }
    }
    pith_json messages = pith_json_get(r->variables, "messages");
    if (r->input->n_messages > 0 && messages.at != NULL) {
        return pith_fail(r->error, PITH_ERROR_ARGUMENT,
                         "the messages are given twice, as such and as a variable");
    }
    return r->input->n_messages > 0 || pith_json_size(messages) > 0
               ? PITH_OK
               : pith_fail(r->error, PITH_ERROR_ARGUMENT, "the conversation has no messages");
}

static void end_rendering(rendering *r) {
    const pith_allocator *allocator = r->tokenizer->allocator;
    for (size_t i = 0; i < r->n_texts; i++) {
        pith_release(allocator, r->spellings[i]);
    }
    pith_release(allocator, r->copies[0]);
    pith_release(allocator, r->copies[1]);
    pith_template_free(r->compiled);
}

/* ---- Rendering ------------------------------------------------------------------------------- */

pith_status pith_chat_render(const pith_tokenizer *tokenizer, const pith_chat_input *input,
                             pith_template_output *out, pith_error *error) {
    rendering r = {.tokenizer = tokenizer, .input = input, .error = error};
    pith_status (*const steps[])(rendering *) = {check_messages, add_tokens, put_conversation,
                                                 put_variables};
    pith_status status =
        pith_template_compile(&r.compiled, input->source.data, input->source.n_bytes, NULL,
                              tokenizer->allocator, error);
    for (size_t i = 0; i < sizeof steps / sizeof *steps && status == PITH_OK; i++) {
        status = steps[i](&r);
    }
    if (status == PITH_OK) {
        const pith_template_input variables = {
            .conversation = r.conversation,
            .variables = r.variables,
            .texts = r.texts,
            .n_texts = r.n_texts,
            .now = &input->now,
        };
        status = pith_template_render(r.compiled, &variables, out, error);
    }
    end_rendering(&r);
    return status;
}

pith_status pith_chat_render_tokens(const pith_tokenizer *tokenizer, const pith_chat_input *input,
                                    pith_tokens *out, pith_error *error) {
    pith_template_output text;
    pith_status status = pith_chat_render(tokenizer, input, &text, error);
    if (status == PITH_OK) {
        status = pith_encode_spans(tokenizer, text.text.data, text.text.size, text.spans,
                                   text.n_spans, out, error);
        pith_template_output_release(&text);
    }
    return status;
}

/* ---- The end of an answer -------------------------------------------------------------------- */

static const char probe_answer[] = "Answer27183";

/* Byte behind the last place where the rendered answer stands; 0: nowhere. */
static size_t find_answer(const pith_bytes *text) {
    size_t n = sizeof probe_answer - 1;
    for (size_t end = text->size; end >= n; end--) {
        if (memcmp(text->data + end - n, probe_answer, n) == 0) {
            return end;
        }
    }
    return 0;
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The added token that text [n] begins with, behind white space: a special one, or one with a
 * spelling that is more than white space. */
static int32_t token_at(const pith_tokenizer *t, const char *text, size_t n) {
    const pith_matcher *const matchers[] = {&t->as_given, &t->normalized};
    size_t from = 0;
    while (from < n && is_space(text[from])) {
        from++;
    }
    for (size_t i = 0; i < 2; i++) {
        pith_special special = {.everywhere = true};
        pith_match match;
        if (from < n && pith_matcher_next(t, matchers[i], text, n, from, &special, &match) &&
            match.start == from) {
            return match.id;
        }
    }
    return -1;
}

pith_status pith_chat_find_end(const pith_tokenizer *tokenizer, const pith_chat_input *input,
                               int32_t *token, pith_error *error) {
    const pith_message messages[] = {
        {.role = "user", .content = pith_text_of("Question")},
        {.role = "assistant", .content = pith_text_of(probe_answer)},
    };
    const pith_chat_input probe = {.source = input->source,
                                   .messages = messages,
                                   .n_messages = 2,
                                   .no_generation_prompt = true,
                                   .now = input->now};
    pith_template_output out;
    pith_error refused = {.status = PITH_OK};
    pith_status status = pith_chat_render(tokenizer, &probe, &out, &refused);
    if (status == PITH_ERROR_MEMORY) {
        return pith_fail(error, status, "%s", refused.message);
    }
    *token = -1;
    if (status == PITH_OK) {
        size_t end = find_answer(&out.text);
        if (end > 0) {
            *token = token_at(tokenizer, out.text.data + end, out.text.size - end);
        }
        pith_template_output_release(&out);
    }
    return PITH_OK;
}
