/* Log-probabilities, in the two forms of the OpenAI protocol. */
#include "server/answer_parts.h"

#include "base/utf8.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* What OpenAI's answers have for tokens that cannot be. */
static const float least_logprob = -9999;

/* The state that the functions below share. */
typedef struct spelling_run {
    pith_document *document;
    pith_json_writer *json;
    pith_speller speller;
    pith_bytes shown; /* the last token as a text */
    pith_bytes keys;  /* of the object that is being written */
} spelling_run;

static void put_logprob(pith_json_writer *json, const char *key, float logprob) {
    pith_put_float(json, key, logprob >= least_logprob ? logprob : least_logprob);
}

/* False after a failure, which is then the document's. */
static bool spell(spelling_run *run, int32_t token, pith_text *out, bool *special) {
    pith_document *d = run->document;
    if (d->status == PITH_OK) {
        d->status = pith_speller_spell(&run->speller, token, out, special, d->error);
    }
    return d->status == PITH_OK;
}

static void show(spelling_run *run, const char *text, size_t n) {
    if (!pith_bytes_append(&run->shown, text, n)) {
        run->json->status = PITH_ERROR_MEMORY;
    }
}

/* Characters that begin in a token's text; the parts of one character count once together. */
static size_t count_characters(pith_text text) {
    size_t n = 0;
    for (size_t i = 0; i < text.n_bytes; i++) {
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    }
    return n;
}

/* ---- Chats ----------------------------------------------------------------------------------- */

/* "token", with U+FFFD in place of broken characters. */
static void put_token_text(spelling_run *run, pith_text text) {
    run->shown.size = 0;
    if (!pith_bytes_append_valid(&run->shown, text.data, text.n_bytes)) {
        run->json->status = PITH_ERROR_MEMORY;
    }
    pith_json_put_bytes(run->json, "token", run->shown.data, run->shown.size);
}

static void put_token_bytes(pith_json_writer *json, pith_text text, bool special) {
    if (special) {
        pith_json_put_null(json, "bytes"); /* it adds nothing to the text */
        return;
    }
    pith_json_open(json, "bytes", '[');
    for (size_t i = 0; i < text.n_bytes; i++) {
        pith_json_put_integer(json, NULL, (unsigned char)text.data[i]);
    }
    pith_json_close(json, ']');
}

static void put_scored(spelling_run *run, int32_t token, float logprob) {
    pith_text text;
    bool special;
    if (spell(run, token, &text, &special)) {
        put_token_text(run, text);
        put_logprob(run->json, "logprob", logprob);
        put_token_bytes(run->json, text, special);
    }
}

static void put_chat_form(spelling_run *run, const pith_answer_token *tokens, size_t n_tokens) {
    pith_json_writer *json = run->json;
    pith_json_open(json, "content", '[');
    for (size_t i = 0; i < n_tokens; i++) {
        pith_json_open(json, NULL, '{');
        put_scored(run, tokens[i].token, tokens[i].logprob);
        pith_json_open(json, "top_logprobs", '[');
        for (size_t k = 0; k < tokens[i].n_top; k++) {
            pith_json_open(json, NULL, '{');
            put_scored(run, tokens[i].top[k].token, tokens[i].top[k].logprob);
            pith_json_close(json, '}');
        }
        pith_json_close(json, ']');
        pith_json_close(json, '}');
    }
    pith_json_close(json, ']');
    pith_json_put_null(json, "refusal");
}

/* ---- Completions ----------------------------------------------------------------------------- */

/* Leaves the token in run->shown, as a C string: its text, or "bytes:\xe2\x96" when that is not
 * whole characters, as OpenAI writes it, or holds a NUL. */
static bool show_token(spelling_run *run, int32_t token, size_t *n_characters) {
    pith_text text;
    bool special;
    if (!spell(run, token, &text, &special)) {
        return false;
    }
    *n_characters = special ? 0 : count_characters(text);
    run->shown.size = 0;
    if (memchr(text.data, '\0', text.n_bytes) == NULL &&
        pith_utf8_check(text.data, text.n_bytes) == text.n_bytes) {
        show(run, text.data, text.n_bytes);
    } else {
        show(run, "bytes:", 6);
        for (size_t i = 0; i < text.n_bytes; i++) {
            char escape[8];
            snprintf(escape, sizeof escape, "\\x%02x", (unsigned)(unsigned char)text.data[i]);
            show(run, escape, 4);
        }
    }
    return run->json->status == PITH_OK;
}

/* Keys that an object has, each with its NUL. */
static bool has_key(const pith_bytes *keys, const char *key) {
    for (size_t at = 0; at < keys->size; at += strlen(keys->data + at) + 1) {
        if (strcmp(keys->data + at, key) == 0) {
            return true;
        }
    }
    return false;
}

/* A member "token": logprob. Two tokens may have one text; the more likely one, which comes first,
 * counts. */
static void put_alternative(spelling_run *run, int32_t token, float logprob) {
    size_t n_characters;
    if (!show_token(run, token, &n_characters) || has_key(&run->keys, run->shown.data)) {
        return;
    }
    put_logprob(run->json, run->shown.data, logprob);
    if (!pith_bytes_append(&run->keys, run->shown.data, run->shown.size + 1)) {
        run->json->status = PITH_ERROR_MEMORY;
    }
}

/* The most likely tokens and, when it is not among them, the chosen one. */
static void put_alternatives(spelling_run *run, const pith_answer_token *token) {
    run->keys.size = 0;
    pith_json_open(run->json, NULL, '{');
    for (size_t k = 0; k < token->n_top; k++) {
        put_alternative(run, token->top[k].token, token->top[k].logprob);
    }
    put_alternative(run, token->token, token->logprob);
    pith_json_close(run->json, '}');
}

static void put_completion_form(spelling_run *run, const pith_answer_token *tokens, size_t n_tokens,
                                size_t *offset) {
    pith_json_writer *json = run->json;
    size_t n_characters = 0;
    size_t begin = *offset;
    pith_json_open(json, "tokens", '[');
    for (size_t i = 0; i < n_tokens && show_token(run, tokens[i].token, &n_characters); i++) {
        pith_json_put_text(json, NULL, run->shown.data);
    }
    pith_json_close(json, ']');
    pith_json_open(json, "token_logprobs", '[');
    for (size_t i = 0; i < n_tokens; i++) {
        put_logprob(json, NULL, tokens[i].logprob);
    }
    pith_json_close(json, ']');
    pith_json_open(json, "top_logprobs", '[');
    for (size_t i = 0; i < n_tokens; i++) {
        put_alternatives(run, &tokens[i]);
    }
    pith_json_close(json, ']');
    pith_json_open(json, "text_offset", '[');
    for (size_t i = 0; i < n_tokens && show_token(run, tokens[i].token, &n_characters); i++) {
        pith_json_put_integer(json, NULL, (int64_t)begin);
        begin += n_characters;
    }
    pith_json_close(json, ']');
    *offset = begin;
}

/* ---- Both ------------------------------------------------------------------------------------ */

void pith_put_logprobs(pith_document *document, const pith_answer_head *head,
                       const pith_answer_token *tokens, size_t n_tokens, size_t *offset) {
    pith_json_writer *json = &document->json;
    const pith_allocator *allocator = json->bytes.allocator;
    if (!head->request->logprobs || tokens == NULL) {
        pith_json_put_null(json, "logprobs");
        return;
    }
    if (document->status != PITH_OK) {
        return;
    }
    spelling_run run = {.document = document, .json = json};
    document->status =
        pith_speller_open(&run.speller, head->vocabulary, allocator, document->error);
    if (document->status != PITH_OK) {
        return;
    }
    pith_bytes_init(&run.shown, allocator);
    pith_bytes_init(&run.keys, allocator);
    show(&run, "", 0); /* so that there is a C string even for an empty token */
    pith_json_open(json, "logprobs", '{');
    if (head->request->endpoint == PITH_ENDPOINT_CHAT) {
        put_chat_form(&run, tokens, n_tokens);
    } else {
        put_completion_form(&run, tokens, n_tokens, offset);
    }
    pith_json_close(json, '}');
    pith_bytes_release(&run.shown);
    pith_bytes_release(&run.keys);
    pith_speller_close(&run.speller);
}
