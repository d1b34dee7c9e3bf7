/* A body of the service's protocols, at every endpoint. What is accepted must keep the promises of
 * server/request.h, a problem must be one that can be answered with; a request's texts are answered
 * back, and the answers must be JSON. */
#include "server/answer.h"
#include "server/collections.h"

#include "base/json.h"
#include "base/memory.h"
#include "base/utf8.h"
#include "tests/fuzz/input.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N_ENDPOINTS = PITH_N_ENDPOINTS };

static void check_text(pith_text text) {
    fuzz_require(text.data != NULL && pith_utf8_check(text.data, text.n_bytes) == text.n_bytes);
}

static void check_tokens(const int32_t *tokens, size_t n) {
    fuzz_require(n <= PITH_REQUEST_MAX_TOKENS);
    for (size_t i = 0; i < n; i++) {
        fuzz_require(tokens[i] >= 0);
    }
}

/* ---- Requests -------------------------------------------------------------------------------- */

static void check_texts(const pith_request *r) {
    fuzz_require(r->n_messages <= PITH_REQUEST_MAX_MESSAGES);
    for (size_t i = 0; i < r->n_messages; i++) {
        const char *role = r->messages[i].role;
        bool known = strcmp(role, "system") == 0 || strcmp(role, "user") == 0 ||
                     strcmp(role, "assistant") == 0 || strcmp(role, "tool") == 0;
        fuzz_require(known);
        check_text(r->messages[i].content);
    }
    fuzz_require(r->n_messages == 0 ||
                 strcmp(r->messages[r->n_messages - 1].role, "assistant") != 0);
    if (r->schema.data != NULL) {
        check_text(r->schema);
        fuzz_require(r->schema.data[0] == '{');
    }
    for (size_t i = 0; i < r->n_prompts; i++) {
        if (r->prompts[i].tokens != NULL) {
            check_tokens(r->prompts[i].tokens, r->prompts[i].n_tokens);
        } else {
            check_text(r->prompts[i].text);
        }
    }
    fuzz_require(r->n_inputs <= PITH_REQUEST_MAX_INPUTS);
    for (size_t i = 0; i < r->n_inputs; i++) {
        check_text(r->inputs[i].text);
    }
    if (r->infill) {
        check_text(r->prefix);
        check_text(r->suffix);
    }
    if (r->model != NULL) {
        fuzz_require(r->model[0] != '\0' && strlen(r->model) <= 256);
    }
}

static void check_json(const char *text, size_t n) {
    pith_json root;
    pith_error error;
    char *copy = NULL;
    fuzz_require(pith_json_read_copy(&root, &copy, text, n, PITH_JSON_PYTHON, "text",
                                     &pith_malloc_allocator, &error) == PITH_OK);
    pith_release(&pith_malloc_allocator, copy);
}

/* Tools and variables of a chat. */
static void check_variables(const pith_request *r) {
    bool generates = pith_endpoint_is_ollama(r->endpoint);
    fuzz_require(r->chat || generates ||
                 (r->variables.n_bytes == 0 && r->n_tools == 0 && !r->full_messages));
    fuzz_require(r->variables.n_bytes > 0 || (r->n_tools == 0 && !r->full_messages));
    fuzz_require(r->tool_choice != PITH_TOOL_REQUIRED || r->n_tools > 0);
    if (r->variables.n_bytes > 0) {
        check_json(r->variables.data, r->variables.n_bytes);
    }
}

/* What the endpoint works on is there, and nothing else. */
static void check_kind(const pith_request *r) {
    pith_endpoint e = r->endpoint;
    bool completes = e == PITH_ENDPOINT_COMPLETION || e == PITH_ENDPOINT_OLLAMA_GENERATE;
    bool embeds = e == PITH_ENDPOINT_EMBED || e == PITH_ENDPOINT_EMBEDDING ||
                  e == PITH_ENDPOINT_OLLAMA_EMBED || e == PITH_ENDPOINT_OLLAMA_EMBEDDINGS ||
                  e == PITH_ENDPOINT_RERANK;
    if (!r->no_work && e != PITH_ENDPOINT_OLLAMA_SHOW) {
        bool both = e == PITH_ENDPOINT_OLLAMA_GENERATE;
        fuzz_require((r->n_messages > 0) == r->chat && (r->n_inputs > 0) == embeds);
        fuzz_require((r->n_prompts > 0) == ((!r->chat || both) && !embeds && !r->infill));
    }
    fuzz_require(!r->no_work || pith_endpoint_is_ollama(e));
    fuzz_require(r->template.data == NULL || (r->chat && r->template.n_bytes > 0));
    fuzz_require(!r->infill || e == PITH_ENDPOINT_INFILL || completes);
    fuzz_require((r->query.data != NULL) == (e == PITH_ENDPOINT_RERANK));
    fuzz_require(r->top_n <= INT32_MAX);
    fuzz_require(r->n_choices >= 1 &&
                 r->n_choices * (r->n_prompts + (r->n_prompts == 0)) <= PITH_REQUEST_MAX_CHOICES);
    fuzz_require(r->dimensions <= 65536);
    fuzz_require(!r->stream || r->chat || completes);
}

static void check_range(float x, float least, float most) {
    fuzz_require(x >= least && x <= most);
}

/* The limits of pith_generate. */
static void check_params(const pith_generate_params *p, bool logprobs) {
    const pith_sampling *s = &p->sampling;
    check_range(s->temperature, 0, 100);
    check_range(s->top_p, 0, 1);
    check_range(s->min_p, 0, 1);
    check_range(s->repeat_penalty, 0, 100);
    check_range(s->frequency_penalty, -2, 2);
    check_range(s->presence_penalty, -2, 2);
    fuzz_require(s->repeat_last_n <= 1 << 20 && p->max_tokens <= UINT32_MAX);
    fuzz_require(p->n_stops <= 16 && p->n_eos <= 64 && p->n_bias <= 1024);
    for (size_t i = 0; i < p->n_stops; i++) {
        fuzz_require(p->stops[i][0] != '\0' && strlen(p->stops[i]) <= 256);
    }
    check_tokens(p->eos, p->n_eos);
    for (size_t i = 0; i < p->n_bias; i++) {
        float bias = p->bias[i].bias;
        fuzz_require(p->bias[i].token >= 0 && (isfinite(bias) || bias == -INFINITY));
    }
    fuzz_require(p->logprobs == logprobs && p->n_top_logprobs <= 20 &&
                 (logprobs || p->n_top_logprobs == 0));
}

/* ---- Answers --------------------------------------------------------------------------------- */

static void answer(pith_request *r, const test_allocator *memory) {
    char id[PITH_ANSWER_ID];
    const pith_answer_head head = {.request = r,
                                   .id = id,
                                   .model = r->model != NULL ? r->model : "default",
                                   .created = 1};
    const pith_answer_usage usage = {.prompt_tokens = 1};
    pith_text text = r->n_messages > 0 ? r->messages[0].content : r->prefix;
    const pith_answer_choice choice = {.text = text};
    const float vector[] = {1, -0.125F};
    pith_error error;
    pith_bytes out;
    pith_status status;
    pith_bytes_init(&out, &memory->allocator);
    pith_answer_id(r->endpoint, id);
    if (r->n_prompts > 0 && r->prompts[0].tokens != NULL) {
        r->echo = false; /* there is no vocabulary here */
    }
    if (r->n_inputs > 0) {
        status = pith_answer_embeddings(&head, vector, 1, 2, &usage, &out, &error);
    } else {
        status = pith_answer_write(&head, &choice, 1, &usage, &out, &error);
    }
    fuzz_require(status == PITH_OK ||
                 (status == PITH_ERROR_MEMORY && fuzz_allocation_failed(memory)));
    if (status == PITH_OK) {
        check_json(out.data, out.size);
    }
    pith_bytes_release(&out);
}

static void refuse(const pith_problem *problem, const test_allocator *memory) {
    pith_json_writer json;
    pith_error error;
    fuzz_require(problem->message[0] != '\0');
    fuzz_require(problem->http == 400 || (problem->http == 503 && fuzz_allocation_failed(memory)));
    pith_json_write_begin(&json, NULL);
    pith_problem_write(problem, &json);
    fuzz_require(pith_json_write_end(&json, "problem", &error) == PITH_OK);
    check_json(json.bytes.data, json.bytes.size);
    pith_bytes_release(&json.bytes);
}

/* ---- Collections ----------------------------------------------------------------------------- */

static void check_collections(const uint8_t *data, size_t size) {
    for (int documents = 0; documents < 2; documents++) {
        pith_collection_request r;
        pith_problem problem = {.http = 0};
        char *body = fuzz_copy(data, size);
        pith_exchange x = {.body = body, .n_body = size};
        if (documents != 0 ? pith_collection_read_documents(&r, &x, &problem)
                           : pith_collection_read_search(&r, &x, &problem)) {
            for (size_t i = 0; i < r.n_documents; i++) {
                check_text(r.documents[i].id);
                check_text(r.documents[i].text);
                fuzz_require(r.documents[i].id.n_bytes > 0);
            }
            fuzz_require(documents != 0 ? r.n_documents > 0 : r.k > 0);
        } else {
            fuzz_require((problem.http == 400 || problem.http == 503) && problem.message[0] != 0);
        }
        fuzz_require(memcmp(body, data, size) == 0);
        pith_collection_request_release(&r);
        free(body);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    check_collections(data, size);
    for (int endpoint = 0; endpoint < N_ENDPOINTS; endpoint++) {
        pith_request request;
        pith_problem problem = {.http = 0};
        test_allocator memory;
        char *body = fuzz_copy(data, size);
        fuzz_allocator_init(&memory, data, size);
        if (pith_request_parse_with(&request, (pith_endpoint)endpoint, body, size,
                                    &memory.allocator, &problem)) {
            fuzz_require(request.endpoint == (pith_endpoint)endpoint);
            check_texts(&request);
            check_kind(&request);
            check_variables(&request);
            check_params(&request.params, request.logprobs);
            answer(&request, &memory);
            pith_request_release(&request);
            pith_request_release(&request); /* of what is released already: nothing */
        } else {
            refuse(&problem, &memory);
        }
        fuzz_require(memory.n_live == 0);
        free(body);
    }
    return 0;
}
