/* Parsing a body: the table of fields, what each endpoint requires, and the request's memory. */
#include "server/request.h"

#include "base/checked.h"
#include "base/memory.h"
#include "server/request_parts.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Blocks in a list, freed together. */
typedef struct block {
    struct block *next;
    max_align_t data[];
} block;

typedef struct request_memory {
    pith_allocator allocator;
    block *blocks;
} request_memory;

void *pith_draft_take(pith_draft *draft, size_t count, size_t size) {
    request_memory *memory = draft->request.memory;
    size_t n_bytes;
    block *b = NULL;
    if (pith_mul_size(count, size, &n_bytes) && pith_add_size(n_bytes, sizeof *b, &n_bytes)) {
        b = pith_allocate_zeroed(&memory->allocator, n_bytes, 1);
    }
    if (b == NULL) {
        pith_problem_from(draft->problem, &(pith_error){.status = PITH_ERROR_MEMORY});
        return NULL;
    }
    b->next = memory->blocks;
    memory->blocks = b;
    return b->data;
}

void pith_draft_begin_json(const pith_draft *draft, pith_json_writer *json) {
    const request_memory *memory = draft->request.memory;
    pith_json_write_begin(json, &memory->allocator);
}

bool pith_draft_keep_json(pith_draft *draft, pith_json_writer *json, const char *what,
                          pith_text *out) {
    pith_error error;
    char *text = NULL;
    if (pith_json_write_end(json, what, &error) == PITH_OK) {
        text = pith_draft_take(draft, json->bytes.size, 1);
    } else {
        pith_problem_from(draft->problem, &error);
    }
    if (text != NULL) {
        memcpy(text, json->bytes.data, json->bytes.size);
        *out = (pith_text){text, json->bytes.size};
    }
    pith_bytes_release(&json->bytes);
    return text != NULL;
}

void pith_request_release(pith_request *request) {
    request_memory *memory = request->memory;
    if (memory != NULL) {
        pith_allocator allocator = memory->allocator;
        while (memory->blocks != NULL) {
            block *next = memory->blocks->next;
            pith_release(&allocator, memory->blocks);
            memory->blocks = next;
        }
        pith_release(&allocator, memory);
    }
    *request = (pith_request){.model = NULL};
}

/* ---- Fields ---------------------------------------------------------------------------------- */

#define REQUEST(field) offsetof(pith_draft, request.field)
#define SAMPLING(field) offsetof(pith_draft, request.params.sampling.field)

static const pith_rule rules[] = {
    {"model", PITH_AT_OTHERS, pith_rule_model, 0, 0, 0},
    {"model", PITH_AT_OLLAMA, pith_rule_ollama_model, 0, 0, 0},
    {"name", PITH_AT_OLLAMA_SHOW, pith_rule_ollama_model, 0, 0, 0},
    /* Texts. */
    {"messages", PITH_AT_CHAT | PITH_AT_OLLAMA_CHAT, pith_rule_messages, 0, 0, 0},
    {"prompt", PITH_AT_COMPLETION, pith_rule_prompt, 0, 0, 0},
    {"prompt", PITH_AT_INFER | PITH_AT_OLLAMA_GENERATE, pith_rule_text_prompt, 0, 0, 0},
    {"prompt", PITH_AT_OLLAMA_EMBEDDINGS, pith_rule_ollama_inputs, 0, 0, 0},
    {"prompt", PITH_AT_INFILL, pith_rule_text, offsetof(pith_draft, line), 0, 0},
    {"content", PITH_AT_TOKENIZE, pith_rule_text_prompt, 0, 0, 0},
    {"tokens", PITH_AT_DETOKENIZE, pith_rule_token_ids, 0, 0, 0},
    {"input", PITH_AT_EMBED | PITH_AT_EMBEDDING, pith_rule_inputs, 0, 0, 0},
    {"input", PITH_AT_OLLAMA_EMBED, pith_rule_ollama_inputs, 0, 0, 0},
    {"system", PITH_AT_OLLAMA_GENERATE, pith_rule_text, offsetof(pith_draft, system), 0, 0},
    {"template", PITH_AT_OLLAMA_GENERATE, pith_rule_text, offsetof(pith_draft, go_template), 0, 0},
    {"raw", PITH_AT_OLLAMA_GENERATE, pith_rule_bool, offsetof(pith_draft, raw), 0, 0},
    {"think", PITH_AT_OLLAMA_TEXT, pith_rule_think, 0, 0, 0},
    {"query", PITH_AT_RERANK, pith_rule_text, REQUEST(query), 0, 0},
    {"documents", PITH_AT_RERANK, pith_rule_documents, 0, 0, 0},
    {"top_n", PITH_AT_RERANK, pith_rule_count, REQUEST(top_n), 1, INT32_MAX},
    {"return_documents", PITH_AT_RERANK, pith_rule_bool, REQUEST(return_documents), 0, 0},
    {"input_prefix", PITH_AT_INFILL, pith_rule_text, REQUEST(prefix), 0, 0},
    {"input_suffix", PITH_AT_INFILL, pith_rule_text, REQUEST(suffix), 0, 0},
    {"suffix", PITH_AT_COMPLETION | PITH_AT_OLLAMA_GENERATE, pith_rule_text, REQUEST(suffix), 0, 0},
    /* Sampling. */
    {"temperature", PITH_AT_GENERATE, pith_rule_float, SAMPLING(temperature), 0, 2},
    {"top_p", PITH_AT_GENERATE, pith_rule_positive_float, SAMPLING(top_p), 0, 1},
    {"top_k", PITH_AT_GENERATE, pith_rule_count, SAMPLING(top_k), -1, INT32_MAX},
    {"min_p", PITH_AT_GENERATE, pith_rule_float, SAMPLING(min_p), 0, 1},
    {"presence_penalty", PITH_AT_GENERATE, pith_rule_float, SAMPLING(presence_penalty), -2, 2},
    {"frequency_penalty", PITH_AT_GENERATE, pith_rule_float, SAMPLING(frequency_penalty), -2, 2},
    {"repeat_penalty", PITH_AT_GENERATE, pith_rule_float, SAMPLING(repeat_penalty), 0, 100},
    {"repetition_penalty", PITH_AT_GENERATE, pith_rule_float, SAMPLING(repeat_penalty), 0, 100},
    {"repeat_last_n", PITH_AT_GENERATE, pith_rule_signed, offsetof(pith_draft, penalty_window), -1,
     INT32_MAX},
    {"seed", PITH_AT_GENERATE, pith_rule_seed, 0, 0, 0},
    {"logit_bias", PITH_AT_GENERATE, pith_rule_bias, 0, 0, 0},
    /* The end of the text. */
    {"max_tokens", PITH_AT_GENERATE, pith_rule_limit, 0, 0, 0},
    {"max_completion_tokens", PITH_AT_CHAT, pith_rule_limit, 0, 0, 0},
    {"n_predict", PITH_AT_GENERATE, pith_rule_limit, 0, 0, 0},
    {"stop", PITH_AT_GENERATE, pith_rule_stop, 0, 0, 0},
    {"stop_token_ids", PITH_AT_GENERATE, pith_rule_end_tokens, 0, 0, 0},
    {"ignore_eos", PITH_AT_GENERATE, pith_rule_bool, REQUEST(params.ignore_eos), 0, 0},
    /* The answer. */
    {"n", PITH_AT_OPENAI, pith_rule_count, REQUEST(n_choices), 1, PITH_REQUEST_MAX_CHOICES},
    {"best_of", PITH_AT_COMPLETION, pith_rule_signed, offsetof(pith_draft, best_of), 1, 1024},
    {"stream", PITH_AT_OPENAI | PITH_AT_OLLAMA_TEXT, pith_rule_bool, REQUEST(stream), 0, 0},
    {"stream_options", PITH_AT_OPENAI, pith_rule_stream_options, 0, 0, 0},
    {"echo", PITH_AT_COMPLETION, pith_rule_bool, REQUEST(echo), 0, 0},
    {"logprobs", PITH_AT_OPENAI, pith_rule_logprobs, REQUEST(params.n_top_logprobs), 0,
     PITH_REQUEST_MAX_TOP_LOGPROBS},
    {"top_logprobs", PITH_AT_CHAT, pith_rule_count, REQUEST(params.n_top_logprobs), 0,
     PITH_REQUEST_MAX_TOP_LOGPROBS},
    {"response_format", PITH_AT_OPENAI, pith_rule_response_format, 0, 0, 0},
    {"format", PITH_AT_OLLAMA_TEXT, pith_rule_ollama_format, 0, 0, 0},
    {"tools", PITH_AT_CHAT | PITH_AT_OLLAMA_CHAT, pith_rule_tools, 0, 0, 0},
    {"tool_choice", PITH_AT_CHAT, pith_rule_tool_choice, 0, 0, 0},
    {"chat_template_kwargs", PITH_AT_CHAT, pith_rule_object,
     offsetof(pith_draft, template_variables), 0, 0},
    {"options", PITH_AT_INFER, pith_rule_infer_options, 0, 0, 0},
    {"options", PITH_AT_OLLAMA_TEXT, pith_rule_ollama_options, 0, 0, 0},
    {"keep_alive", PITH_AT_OLLAMA, pith_rule_keep_alive, 0, 0, 0},
    /* Embeddings and tokens. */
    {"dimensions", PITH_AT_EMBEDDING | PITH_AT_OLLAMA_EMBED, pith_rule_count, REQUEST(dimensions),
     1, 65536},
    {"truncate", PITH_AT_OLLAMA_EMBED, pith_rule_ollama_truncate, 0, 0, 0},
    {"encoding_format", PITH_AT_EMBEDDING, pith_rule_encoding, 0, 0, 0},
    {"add_special", PITH_AT_TOKENIZE, pith_rule_bool, REQUEST(add_special), 0, 0},
    {"parse_special", PITH_AT_TOKENIZE, pith_rule_bool, REQUEST(parse_special), 0, 0},
};

/* ---- Endpoints ------------------------------------------------------------------------------- */

static bool need(pith_draft *draft, bool present, const char *name) {
    return present || pith_draft_fail(draft, name, "%s is missing", name);
}

static bool check_required(pith_draft *draft) {
    const pith_request *r = &draft->request;
    switch (r->endpoint) {
    case PITH_ENDPOINT_INFER:
    case PITH_ENDPOINT_COMPLETION:
        return need(draft, r->prompts != NULL, "prompt");
    case PITH_ENDPOINT_EMBED:
    case PITH_ENDPOINT_EMBEDDING:
        return need(draft, r->inputs != NULL, "input");
    case PITH_ENDPOINT_CHAT:
        return need(draft, r->messages != NULL, "messages");
    case PITH_ENDPOINT_INFILL:
        return need(draft, r->prefix.data != NULL, "input_prefix") &&
               need(draft, r->suffix.data != NULL, "input_suffix");
    case PITH_ENDPOINT_TOKENIZE:
        return need(draft, r->prompts != NULL, "content");
    case PITH_ENDPOINT_DETOKENIZE:
        return need(draft, r->prompts != NULL, "tokens");
    case PITH_ENDPOINT_RERANK:
        return need(draft, r->query.data != NULL, "query") &&
               need(draft, r->inputs != NULL, "documents");
    case PITH_ENDPOINT_OLLAMA_SHOW:
        return need(draft, r->model != NULL, "model");
    default: /* ollama's load the model where there is no more to do */
        break;
    }
    return true;
}

/* The text up to the cursor: the prefix and what stands before the cursor on its line. */
static bool join_line(pith_draft *draft) {
    pith_request *r = &draft->request;
    if (draft->line.n_bytes == 0) {
        return true;
    }
    char *joined = pith_draft_take(draft, r->prefix.n_bytes + draft->line.n_bytes, 1);
    if (joined == NULL) {
        return false;
    }
    memcpy(joined, r->prefix.data, r->prefix.n_bytes);
    memcpy(joined + r->prefix.n_bytes, draft->line.data, draft->line.n_bytes);
    r->prefix = (pith_text){joined, r->prefix.n_bytes + draft->line.n_bytes};
    return true;
}

/* A completion with a suffix is filled in between its prompt and the suffix. */
static bool settle_infill(pith_draft *draft) {
    pith_request *r = &draft->request;
    r->infill = r->endpoint == PITH_ENDPOINT_INFILL || (r->suffix.n_bytes > 0 && !r->no_work);
    if (!r->infill) {
        return true;
    }
    if (r->endpoint == PITH_ENDPOINT_INFILL) {
        return join_line(draft);
    }
    if (r->n_prompts != 1 || r->prompts[0].tokens != NULL) {
        return pith_draft_fail(draft, "suffix", "suffix needs one prompt, as a string");
    }
    r->prefix = r->prompts[0].text;
    r->prompts = NULL;
    r->n_prompts = 0;
    return true;
}

static bool parse_object(pith_draft *draft, pith_json root) {
    if (!pith_json_is(root, PITH_JSON_OBJECT)) {
        return pith_draft_fail(draft, NULL, "the body must be a JSON object, not %s",
                               pith_json_describe(root));
    }
    pith_draft_set_defaults(draft);
    return pith_draft_walk(draft, root, "", rules, sizeof rules / sizeof *rules) &&
           check_required(draft) && pith_draft_settle_ollama(draft) && settle_infill(draft) &&
           pith_draft_settle_options(draft) && pith_draft_settle_chat(draft);
}

static bool read_json(pith_draft *draft, char *body, size_t n_bytes, pith_json *root) {
    const request_memory *memory = draft->request.memory;
    pith_error error;
    if (n_bytes == 0) {
        return pith_draft_fail(draft, NULL, "the body is empty: a JSON object is expected");
    }
    pith_status status = pith_json_read(root, body, n_bytes, PITH_JSON_PYTHON, "the body",
                                        &memory->allocator, &error);
    if (status == PITH_ERROR_FORMAT) {
        return pith_draft_fail(draft, NULL, "%s", error.message);
    }
    return status == PITH_OK || pith_problem_from(draft->problem, &error);
}

bool pith_request_parse_with(pith_request *out, pith_endpoint endpoint, char *body, size_t n_bytes,
                             const pith_allocator *allocator, pith_problem *problem) {
    pith_draft draft = {.request.endpoint = endpoint, .problem = problem};
    pith_json root = {NULL};
    request_memory *memory = pith_allocate_zeroed(allocator, 1, sizeof *memory);
    if (memory == NULL) {
        return pith_problem_from(problem, &(pith_error){.status = PITH_ERROR_MEMORY});
    }
    memory->allocator = *allocator;
    draft.request.memory = memory;
    if (!read_json(&draft, body, n_bytes, &root) || !parse_object(&draft, root)) {
        pith_request_release(&draft.request);
        return false;
    }
    *out = draft.request;
    return true;
}

bool pith_request_parse(pith_request *out, pith_endpoint endpoint, char *body, size_t n_bytes,
                        pith_problem *problem) {
    return pith_request_parse_with(out, endpoint, body, n_bytes, &pith_malloc_allocator, problem);
}
