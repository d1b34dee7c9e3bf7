/* /tokenize and /detokenize: text to the ids of a model and back. */
#include <stdlib.h>

#include "server/service.h"

static bool tokenize(const pith_lease *lease, const pith_request *request, pith_json_writer *json,
                     pith_problem *problem) {
    int32_t *tokens = NULL;
    size_t n = 0;
    if (!pith_prompt_tokens(lease->model, request, 0, &tokens, &n, problem)) {
        return false;
    }
    pith_json_open(json, NULL, '{');
    pith_json_open(json, "tokens", '[');
    for (size_t i = 0; i < n; i++) {
        pith_json_put_integer(json, NULL, tokens[i]);
    }
    pith_json_close(json, ']');
    pith_json_close(json, '}');
    free(tokens);
    return true;
}

static bool detokenize(const pith_lease *lease, const pith_request *request, pith_json_writer *json,
                       pith_problem *problem) {
    pith_error error;
    const pith_request_prompt *prompt = &request->prompts[0];
    size_t n = 0;
    pith_status status =
        pith_detokenize(lease->model, prompt->tokens, prompt->n_tokens, NULL, 0, &n, &error);
    char *text = malloc(n + 1);
    if (text == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the text");
    }
    if (status == PITH_OK || status == PITH_ERROR_CAPACITY) {
        status =
            pith_detokenize(lease->model, prompt->tokens, prompt->n_tokens, text, n, &n, &error);
    }
    if (status != PITH_OK) {
        free(text);
        return pith_problem_from(problem, &error);
    }
    pith_json_open(json, NULL, '{');
    pith_json_put_bytes(json, "content", text, n);
    pith_json_close(json, '}');
    free(text);
    return true;
}

static void handle(pith_call *call, bool (*write)(const pith_lease *, const pith_request *,
                                                  pith_json_writer *, pith_problem *)) {
    pith_problem problem = {.http = 0};
    pith_request request;
    pith_lease lease;
    pith_json_writer json;
    if (!pith_request_parse(&request, call->route->endpoint, call->x->body, call->x->n_body,
                            &problem)) {
        pith_exchange_answer_problem(call->x, &problem);
        return;
    }
    pith_json_write_begin(&json, NULL);
    bool leased = pith_call_lease(call, request.model, PITH_MODEL_ANY, &lease, &problem);
    if (leased && write(&lease, &request, &json, &problem)) {
        pith_call_answer(call, &json);
    } else {
        pith_bytes_release(&json.bytes);
        pith_call_refuse(call, &problem);
    }
    if (leased) {
        pith_models_return(call->service->models, &lease);
    }
    pith_request_release(&request);
}

void pith_handle_tokenize(pith_call *call) {
    handle(call, tokenize);
}

void pith_handle_detokenize(pith_call *call) {
    handle(call, detokenize);
}
