/* The tokens of a request's prompt, by the rule of its endpoint. */
#include <stdlib.h>
#include <string.h>

#include "base/status.h"
#include "server/service.h"

/* Templates of ollama leave the BOS to the tokenizer, if the tokenizer puts one. */
static pith_status put_bos(const pith_model *model, int32_t *tokens, size_t capacity, size_t *n,
                           pith_error *error) {
    pith_model_info info;
    pith_model_get_info(model, &info);
    if (!info.add_bos || info.bos < 0 || (*n > 0 && tokens[0] == info.bos)) {
        return PITH_OK;
    }
    if (*n + 1 > capacity) {
        ++*n;
        return pith_fail(error, PITH_ERROR_CAPACITY, "no room for the prompt's BOS");
    }
    memmove(tokens + 1, tokens, *n * sizeof *tokens);
    tokens[0] = info.bos;
    ++*n;
    return PITH_OK;
}

static pith_status write_chat(const pith_model *model, const pith_request *request, int32_t *tokens,
                              size_t capacity, size_t *n, pith_error *error) {
    const pith_chat_options options = {.variables = request->variables,
                                       .template_text = request->template};
    pith_status status = pith_chat_format(model, request->full_messages ? NULL : request->messages,
                                          request->full_messages ? 0 : request->n_messages,
                                          &options, tokens, capacity, n, error);
    if (request->template.data == NULL) {
        return status;
    }
    if (status == PITH_ERROR_CAPACITY) {
        ++*n; /* of the BOS, which may stand in front */
    }
    return status == PITH_OK ? put_bos(model, tokens, capacity, n, error) : status;
}

/* One of the library's three ways from text to tokens; capacity as in pith_tokenize. */
static pith_status write_tokens(const pith_model *model, const pith_request *request, size_t prompt,
                                int32_t *tokens, size_t capacity, size_t *n, pith_error *error) {
    /* A prompt holds its markup, special tokens included. */
    unsigned flags = PITH_TOKENIZE_AUTO | PITH_TOKENIZE_SPECIAL;
    if (request->chat) {
        return write_chat(model, request, tokens, capacity, n, error);
    }
    if (request->infill) {
        return pith_infill_format(model, request->prefix, request->suffix, false, tokens, capacity,
                                  n, error);
    }
    if (request->endpoint == PITH_ENDPOINT_TOKENIZE) {
        flags = (request->add_special ? PITH_TOKENIZE_AUTO : 0u) |
                (request->parse_special ? PITH_TOKENIZE_SPECIAL : 0u);
    }
    return pith_tokenize(model, request->prompts[prompt].text, flags, tokens, capacity, n, error);
}

/* An estimate of the tokens that is seldom too small. */
static size_t guess(const pith_request *request, size_t prompt) {
    size_t bytes = request->prefix.n_bytes + request->suffix.n_bytes + request->variables.n_bytes +
                   request->template.n_bytes;
    for (size_t i = 0; i < request->n_messages; i++) {
        bytes += request->messages[i].content.n_bytes + 64;
    }
    if (prompt < request->n_prompts) {
        bytes += request->prompts[prompt].text.n_bytes;
    }
    return bytes / 2 + 64;
}

static bool copy_tokens(const pith_model *model, const pith_request_prompt *prompt,
                        int32_t **tokens, pith_problem *problem) {
    pith_model_info info;
    pith_model_get_info(model, &info);
    for (size_t i = 0; i < prompt->n_tokens; i++) {
        if (prompt->tokens[i] < 0 || (size_t)prompt->tokens[i] >= info.n_vocab) {
            return pith_problem_set(problem, 400, NULL, "prompt",
                                    "token %zu of the prompt is %d; the model's ids are 0 to %zu",
                                    i, (int)prompt->tokens[i], info.n_vocab - 1);
        }
    }
    *tokens = malloc((prompt->n_tokens + 1) * sizeof **tokens);
    if (*tokens == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the prompt");
    }
    memcpy(*tokens, prompt->tokens, prompt->n_tokens * sizeof **tokens);
    return true;
}

bool pith_prompt_tokens(const pith_model *model, const pith_request *request, size_t prompt,
                        int32_t **tokens, size_t *n_tokens, pith_problem *problem) {
    pith_error error;
    if (prompt < request->n_prompts && request->prompts[prompt].tokens != NULL) {
        *n_tokens = request->prompts[prompt].n_tokens;
        return copy_tokens(model, &request->prompts[prompt], tokens, problem);
    }
    size_t capacity = guess(request, prompt);
    int32_t *room = NULL;
    pith_status status = PITH_ERROR_CAPACITY;
    for (int tries = 0; status == PITH_ERROR_CAPACITY && tries < 2; tries++) {
        free(room);
        room = malloc(capacity * sizeof *room);
        if (room == NULL) {
            return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the prompt");
        }
        status = write_tokens(model, request, prompt, room, capacity, n_tokens, &error);
        capacity = *n_tokens > 0 ? *n_tokens : 1;
    }
    if (status != PITH_OK) {
        free(room);
        bool template =
            request->chat && (status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED);
        return template ? pith_problem_set(problem, 400, "chat_template", "messages", "%s",
                                           error.message)
                        : pith_problem_from(problem, &error);
    }
    *tokens = room;
    return true;
}
