/* Generation: a request becomes a job of its model's scheduler, and the job an answer. */
#include "server/generation.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* ---- Preparation ----------------------------------------------------------------------------- */

static bool make_prompts(pith_generation_call *g, pith_problem *problem) {
    const pith_request *request = &g->request;
    size_t n = request->n_prompts > 0 ? request->n_prompts : 1; /* chat and infilling have one */
    g->prompts = calloc(n, sizeof *g->prompts);
    g->n_tokens = calloc(n, sizeof *g->n_tokens);
    if (g->prompts == NULL || g->n_tokens == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the prompts");
    }
    g->n_prompts = n;
    for (size_t i = 0; i < n; i++) {
        if (!pith_prompt_tokens(g->lease.model, request, i, &g->prompts[i], &g->n_tokens[i],
                                problem)) {
            return false;
        }
        if (request->chat &&
            !pith_calling_open(g->lease.calling, g->lease.model, request, &g->opening,
                               &g->prompts[i], &g->n_tokens[i], problem)) {
            return false;
        }
        if (g->n_tokens[i] == 0) {
            return pith_problem_set(problem, 400, NULL, "prompt", "the prompt has no tokens");
        }
        if (!pith_scheduler_check_prompt(g->lease.scheduler, g->n_tokens[i], problem)) {
            return false;
        }
    }
    return true;
}

static bool make_choices(pith_generation_call *g, pith_problem *problem) {
    g->n_choices = g->n_prompts * g->request.n_choices;
    g->choices = calloc(g->n_choices, sizeof *g->choices);
    g->offsets = calloc(g->n_choices, sizeof *g->offsets);
    if (g->choices == NULL || g->offsets == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the answer");
    }
    for (size_t i = 0; i < g->n_choices; i++) {
        pith_bytes_init(&g->choices[i].text, NULL);
    }
    g->head.offsets = g->offsets;
    return true;
}

/* ollama's generation uses the chat template, if there is one, and else the prompt as it is. */
static bool settle_chat(pith_generation_call *g, pith_problem *problem) {
    pith_request *r = &g->request;
    if (r->endpoint != PITH_ENDPOINT_OLLAMA_GENERATE || g->lease.info.chat_format != NULL ||
        r->template.data != NULL) {
        return true;
    }
    if (r->n_messages > 1) {
        return pith_problem_set(problem, 400, "chat_format_unknown", "system",
                                "model '%.100s' has no chat template, so that it knows no system "
                                "message",
                                g->lease.name);
    }
    r->chat = false;
    return true;
}

/* False with a problem when the model has no chat template or no infilling; the message says what
 * it can do instead. */
static bool can_do(const pith_generation_call *g, pith_problem *problem) {
    const pith_model_info *info = &g->lease.info;
    if (g->request.chat && info->chat_format == NULL && g->request.template.data == NULL) {
        return pith_problem_set(problem, 400, "chat_format_unknown", "model",
                                "model '%.100s' has no chat template; /v1/completions works with "
                                "it, the prompt holding the markup",
                                g->lease.name);
    }
    if (g->request.infill && !info->has_infill) {
        return pith_problem_set(problem, 400, "infill_unsupported", "model",
                                "model '%.100s' has no infilling tokens", g->lease.name);
    }
    return true;
}

/* Ids that the request names are the model's. The engine checks that too, but only when the request
 * was counted against its quota and waited for its turn. */
static bool knows_ids(const pith_generation_call *g, pith_problem *problem) {
    const pith_generate_params *params = &g->request.params;
    size_t n = g->lease.info.n_vocab;
    for (size_t i = 0; i < params->n_bias; i++) {
        int32_t token = params->bias[i].token;
        if (token < 0 || (size_t)token >= n) {
            return pith_problem_set(problem, 400, NULL, "logit_bias",
                                    "logit_bias has token %d; the model's ids are 0 to %zu", token,
                                    n - 1);
        }
    }
    for (size_t i = 0; i < params->n_eos; i++) {
        if (params->eos[i] < 0 || (size_t)params->eos[i] >= n) {
            return pith_problem_set(problem, 400, NULL, "stop_token_ids",
                                    "stop_token_ids has %d; the model's ids are 0 to %zu",
                                    params->eos[i], n - 1);
        }
    }
    return true;
}

/* The grammar of response_format, or of a call that is demanded. */
static bool make_grammar(pith_generation_call *g, pith_problem *problem) {
    pith_error error;
    bool demanded = g->request.tool_choice == PITH_TOOL_REQUIRED;
    if (g->request.schema.data == NULL) {
        return !demanded || g->request.tool_schemas == NULL ||
               pith_strict_answer(&g->request.params.grammar, g->lease.model, g->lease.calling,
                                  &g->request, problem);
    }
    if (demanded) {
        return pith_problem_set(problem, 400, NULL, "response_format",
                                "response_format does not go with a tool_choice that demands a "
                                "call: a call is no text of that form");
    }
    pith_status status =
        pith_grammar_new(&g->request.params.grammar, g->lease.model, g->request.schema, &error);
    if (status == PITH_OK || status == PITH_ERROR_MEMORY) {
        return status == PITH_OK || pith_problem_from(problem, &error);
    }
    return pith_problem_set(problem, 400, NULL, "response_format", "response_format: %s",
                            error.message);
}

static bool prepare(pith_generation_call *g, pith_problem *problem) {
    pith_call *call = g->call;
    pith_exchange *x = call->x;
    if (!pith_request_parse(&g->request, call->route->endpoint, x->body, x->n_body, problem)) {
        return false;
    }
    g->parsed = true;
    if (pith_request_only_unloads(&g->request)) {
        g->head = (pith_answer_head){.request = &g->request,
                                     .model = pith_request_model(&g->request, NULL)};
        return pith_models_unload(call->service->models, g->request.model, problem);
    }
    /* ollama's clients load encoders so, too, by their names. */
    bool loads = g->request.no_work && g->request.model != NULL;
    pith_model_kind kind = loads ? PITH_MODEL_ANY : PITH_MODEL_DECODER;
    if (!pith_call_lease(call, g->request.model, kind, &g->lease, problem)) {
        return false;
    }
    g->leased = true;
    pith_answer_id(g->request.endpoint, g->id);
    g->head = (pith_answer_head){
        .request = &g->request,
        .id = g->id,
        .model = pith_request_model(&g->request, g->lease.name),
        .created = (int64_t)time(NULL),
        .vocabulary = g->lease.model,
    };
    if (g->request.no_work) {
        return true;
    }
    if (!settle_chat(g, problem) || !can_do(g, problem) || !knows_ids(g, problem) ||
        !pith_scheduler_check_room(g->lease.scheduler, problem)) {
        return false;
    }
    if (g->request.chat &&
        !pith_calling_check(g->lease.calling, g->lease.name, &g->request, problem)) {
        return false;
    }
    return make_grammar(g, problem) && make_prompts(g, problem) && make_choices(g, problem) &&
           pith_generation_chat(g, problem);
}

/* Submits the job after the request was admitted; takes the admission back when the queue has no
 * room. */
static bool submit(pith_generation_call *g, pith_problem *problem) {
    pith_call *call = g->call;
    pith_job_spec spec = {
        .prompts = (const int32_t *const *)g->prompts,
        .n_tokens = g->n_tokens,
        .n_prompts = g->n_prompts,
        .n_choices = g->request.n_choices,
        .params = g->request.params,
        .key = call->key.id,
        .deadline = pith_watch_deadline(call->x->connection),
    };
    if (g->guards != NULL) {
        spec.guards = (pith_job_guards){.owner = g->guards,
                                        .of = pith_guards_of,
                                        .mask = pith_guard_mask,
                                        .accept = pith_guard_accept,
                                        .release = pith_guards_free};
    }
    size_t limit = call->key.id != 0 ? call->key.max_tokens : 0;
    if (limit > 0 && (spec.params.max_tokens == 0 || spec.params.max_tokens > limit)) {
        spec.params.max_tokens = limit;
    }
    if (!g->request.has_seed) {
        randombytes_buf(&spec.params.sampling.seed, sizeof spec.params.sampling.seed);
    }
    if (!pith_call_reserve(call, PITH_QUOTA_KIND_INFER, problem)) {
        return false;
    }
    bool made = pith_job_new(&g->job, &spec, problem);
    if (made) {
        g->guards = NULL;
    }
    if (!made || !pith_scheduler_submit(g->lease.scheduler, g->job, problem)) {
        pith_call_unreserve(call);
        return false;
    }
    return true;
}

/* ---- Pieces ---------------------------------------------------------------------------------- */

pith_answer_usage pith_generation_usage_of(const pith_generation_call *g) {
    pith_job_usage used;
    pith_job_get_usage(g->job, &used);
    double first = used.first_token_seconds > 0 ? used.first_token_seconds : used.total_seconds;
    return (pith_answer_usage){.prompt_tokens = used.prompt_tokens,
                               .generated_tokens = used.generated_tokens,
                               .cached_tokens = used.cached_tokens,
                               .load_seconds = g->call->load_seconds,
                               .prompt_seconds = first - used.queue_seconds,
                               .generate_seconds = used.total_seconds - first,
                               .total_seconds = pith_clock() - g->call->x->began};
}

void pith_generation_settle(pith_generation_call *g, bool failed) {
    if (g->job != NULL) {
        pith_job_usage used;
        pith_job_get_usage(g->job, &used);
        g->call->prompt_tokens = used.prompt_tokens;
        g->call->generated_tokens = used.generated_tokens;
        g->call->queue_seconds = used.queue_seconds;
        g->call->first_token_seconds = used.first_token_seconds;
    }
    pith_call_settle(g->call, failed);
}

static bool keep_token(pith_choice *choice, const pith_job_piece *piece) {
    if (choice->n_tokens == choice->capacity) {
        size_t capacity = choice->capacity == 0 ? 64 : 2 * choice->capacity;
        pith_answer_token *tokens = realloc(choice->tokens, capacity * sizeof *tokens);
        if (tokens == NULL) {
            return false;
        }
        choice->tokens = tokens;
        choice->capacity = capacity;
    }
    pith_answer_token kept = {.token = piece->token, .logprob = piece->logprob};
    if (piece->n_top > 0) {
        pith_scored_token *top = malloc(piece->n_top * sizeof *top);
        if (top == NULL) {
            return false;
        }
        memcpy(top, piece->top, piece->n_top * sizeof *top);
        kept.top = top;
        kept.n_top = piece->n_top;
    }
    choice->tokens[choice->n_tokens++] = kept;
    return true;
}

/* ---- A whole answer -------------------------------------------------------------------------- */

static bool keep_call(pith_choice *choice, const pith_reply_part *part) {
    pith_answer_call *calls = realloc(choice->calls, (choice->n_calls + 1) * sizeof *calls);
    if (calls == NULL) {
        return false;
    }
    choice->calls = calls;
    char *name = malloc(part->name.n_bytes + part->text.n_bytes);
    if (name == NULL) {
        return false;
    }
    char *arguments = name + part->name.n_bytes;
    memcpy(name, part->name.data, part->name.n_bytes);
    memcpy(arguments, part->text.data, part->text.n_bytes);
    pith_answer_call *call = &calls[choice->n_calls++];
    *call = (pith_answer_call){.name = {name, part->name.n_bytes},
                               .arguments = {arguments, part->text.n_bytes}};
    pith_answer_call_id(call->id);
    return true;
}

static bool keep_part(void *user, size_t index, const pith_reply_part *part,
                      pith_problem *problem) {
    pith_generation_call *g = user;
    pith_choice *choice = &g->choices[index];
    bool kept =
        part->kind == PITH_REPLY_CALL
            ? keep_call(choice, part)
            : pith_bytes_append(part->kind == PITH_REPLY_TEXT ? &choice->text : &choice->reasoning,
                                part->text.data, part->text.n_bytes);
    return kept || pith_problem_set(problem, 503, NULL, NULL, "out of memory for the answer");
}

static bool keep_text(pith_generation_call *g, const pith_job_piece *piece, pith_problem *problem) {
    if (g->choices[piece->choice].reply != NULL) {
        return pith_choice_reply(g, piece, keep_part, g, problem);
    }
    return pith_bytes_append(&g->choices[piece->choice].text, piece->text.data,
                             piece->text.n_bytes) ||
           pith_problem_set(problem, 503, NULL, NULL, "out of memory for the answer");
}

static bool keep_piece(pith_generation_call *g, const pith_job_piece *piece,
                       pith_problem *problem) {
    if (piece->failed) {
        *problem = piece->problem;
        return false;
    }
    pith_choice *choice = &g->choices[piece->choice];
    if (!keep_text(g, piece, problem)) {
        return false;
    }
    if (piece->has_token && g->request.logprobs && !keep_token(choice, piece)) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the answer");
    }
    if (piece->done) {
        choice->finish = piece->finish;
    }
    return true;
}

/* Waits until all is generated. False with a problem, or without one (http 0) when the client has
 * gone. */
static bool collect(pith_generation_call *g, pith_problem *problem) {
    pith_exchange *x = g->call->x;
    for (;;) {
        pith_job_piece piece;
        while (pith_job_take(g->job, &piece)) {
            if (!keep_piece(g, &piece, problem)) {
                return false;
            }
        }
        if (pith_job_finished(g->job)) {
            return true;
        }
        /* The scheduler enforces the deadline; this later limit is a safeguard. */
        double until = pith_watch_deadline(x->connection) + 5;
        switch (pith_exchange_wait(x, pith_job_fd(g->job), until)) {
        case PITH_WAITED_READY:
            break;
        case PITH_WAITED_GONE:
            return false;
        case PITH_WAITED_TIME:
            return pith_problem_set(problem, 504, "deadline", NULL,
                                    "the request took longer than its deadline allows");
        }
    }
}

static void answer_document(pith_generation_call *g, pith_problem *problem) {
    pith_error error;
    pith_bytes out;
    pith_bytes_init(&out, NULL);
    if (!collect(g, problem)) {
        return;
    }
    pith_answer_choice *choices = calloc(g->n_choices, sizeof *choices);
    if (choices == NULL) {
        pith_problem_set(problem, 503, NULL, NULL, "out of memory for the answer");
        return;
    }
    for (size_t i = 0; i < g->n_choices; i++) {
        const pith_choice *from = &g->choices[i];
        choices[i] = (pith_answer_choice){.text = {from->text.data, from->text.size},
                                          .reasoning = {from->reasoning.data, from->reasoning.size},
                                          .calls = from->calls,
                                          .n_calls = from->n_calls,
                                          .finish = from->finish,
                                          .tokens = from->tokens,
                                          .n_tokens = from->n_tokens};
    }
    pith_answer_usage usage = pith_generation_usage_of(g);
    pith_status status = pith_answer_write(&g->head, choices, g->n_choices, &usage, &out, &error);
    free(choices);
    if (status != PITH_OK) {
        pith_bytes_release(&out);
        pith_problem_from(problem, &error);
        return;
    }
    pith_generation_settle(g, false);
    pith_bytes_append(&out, "\n", 1);
    pith_exchange_answer(g->call->x, 200, "application/json", &out);
}

/* Answers a request that only loads the model. */
static void answer_loaded(pith_generation_call *g, pith_problem *problem) {
    pith_error error;
    pith_bytes out;
    pith_bytes_init(&out, NULL);
    if (pith_answer_ollama_loaded(&g->head, &out, &error) != PITH_OK) {
        pith_bytes_release(&out);
        pith_problem_from(problem, &error);
        return;
    }
    pith_exchange_answer(g->call->x, 200, "application/json", &out);
}

/* ---- The handler ----------------------------------------------------------------------------- */

static void free_choices(pith_generation_call *g) {
    for (size_t i = 0; g->choices != NULL && i < g->n_choices; i++) {
        pith_choice *choice = &g->choices[i];
        for (size_t t = 0; t < choice->n_tokens; t++) {
            if (choice->tokens[t].n_top > 0) {
                free((void *)(uintptr_t)choice->tokens[t].top);
            }
        }
        free(choice->tokens);
        pith_bytes_release(&choice->text);
        pith_choice_free_chat(choice);
    }
    free(g->choices);
    free(g->offsets);
}

void pith_generation_call_free(pith_generation_call *g) {
    if (g->job != NULL) {
        pith_job_cancel(g->job); /* nothing when it is over */
        pith_generation_settle(g, true);
        pith_job_release(g->job);
    }
    free_choices(g);
    for (size_t i = 0; i < g->n_prompts; i++) {
        free(g->prompts[i]);
    }
    free(g->prompts);
    free(g->n_tokens);
    pith_grammar_free(g->request.params.grammar);
    pith_guards_free(g->guards);
    pith_bytes_release(&g->opening.text);
    if (g->leased) {
        pith_call_return(g->call, &g->lease, g->request.unload);
    }
    if (g->parsed) {
        pith_request_release(&g->request);
    }
    free(g);
}

void pith_handle_generation(pith_call *call) {
    pith_problem problem = {.http = 0};
    pith_generation_call *g = calloc(1, sizeof *g);
    if (g == NULL) {
        pith_problem_set(&problem, 503, NULL, NULL, "out of memory");
        pith_exchange_answer_problem(call->x, &problem);
        return;
    }
    g->call = call;
    pith_bytes_init(&g->opening.text, NULL);
    bool ready = prepare(g, &problem);
    if (ready && g->request.no_work) {
        answer_loaded(g, &problem);
    } else if (ready && submit(g, &problem)) {
        if (g->request.stream) {
            pith_generation_stream(g);
            return;
        }
        answer_document(g, &problem);
    }
    pith_call_refuse(call, &problem);
    pith_generation_call_free(g);
}
