/* Embeddings: the texts of a request become a job of its model's embedder. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "server/answer.h"
#include "server/service.h"

typedef struct embedding {
    pith_call *call;
    pith_request request;
    bool parsed;
    pith_lease lease;
    bool leased;
    float *vectors;             /* [n_inputs, n_embd], later [n_inputs, dimension] */
    pith_embed_result *results; /* [n_inputs] */
} embedding;

static bool prepare(embedding *e, pith_problem *problem) {
    pith_call *call = e->call;
    if (!pith_request_parse(&e->request, call->route->endpoint, call->x->body, call->x->n_body,
                            problem)) {
        return false;
    }
    e->parsed = true;
    if (pith_request_only_unloads(&e->request)) {
        return pith_models_unload(call->service->models, e->request.model, problem);
    }
    if (!pith_call_lease(call, e->request.model, PITH_MODEL_ENCODER, &e->lease, problem)) {
        return false;
    }
    e->leased = true;
    size_t n_embd = e->lease.info.n_embd;
    if (e->lease.info.is_cross_encoder) {
        return pith_problem_set(problem, 400, NULL, "model",
                                "model '%.100s' scores pairs of texts: it is for POST /rerank",
                                e->lease.name);
    }
    if (e->request.dimensions > n_embd) {
        return pith_problem_set(problem, 400, NULL, "dimensions",
                                "dimensions is %zu; the model's vectors have %zu",
                                e->request.dimensions, n_embd);
    }
    size_t n = e->request.n_inputs;
    e->vectors = calloc(n * n_embd + 1, sizeof *e->vectors);
    e->results = calloc(n + 1, sizeof *e->results);
    if (e->vectors == NULL || e->results == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for %zu vectors", n);
    }
    return true;
}

/* Cuts the vectors to the dimension asked for, and normalises what is left, as models that were
 * trained for shorter vectors require (Kusupati et al. 2022). */
static size_t cut(embedding *e) {
    size_t n_embd = e->lease.info.n_embd;
    size_t dimension = e->request.dimensions;
    if (dimension == 0 || dimension == n_embd) {
        return n_embd;
    }
    for (size_t i = 0; i < e->request.n_inputs; i++) {
        const float *from = e->vectors + i * n_embd;
        float *to = e->vectors + i * dimension;
        double norm = 0;
        for (size_t k = 0; k < dimension; k++) {
            norm += (double)from[k] * (double)from[k];
        }
        double scale = norm > 0 ? 1 / sqrt(norm) : 0;
        for (size_t k = 0; k < dimension; k++) {
            to[k] = (float)((double)from[k] * scale);
        }
    }
    return dimension;
}

static bool wait_for(pith_call *call, pith_embed_job *job, pith_problem *problem) {
    switch (pith_exchange_wait(call->x, pith_embed_job_fd(job),
                               pith_watch_deadline(call->x->connection))) {
    case PITH_WAITED_READY:
        return pith_embed_job_wait(job, problem);
    case PITH_WAITED_GONE:
        return false;
    case PITH_WAITED_TIME:
        break;
    }
    return pith_problem_set(problem, 504, "deadline", NULL,
                            "the request took longer than its deadline allows");
}

/* Waits for a job, frees it, and counts its tokens, of one that failed too. */
static bool end_job(pith_call *call, pith_embed_job *job, size_t n_inputs,
                    const pith_embed_result *results, pith_problem *problem) {
    bool embedded = wait_for(call, job, problem);
    pith_embed_job_free(job);
    for (size_t i = 0; i < n_inputs; i++) {
        call->prompt_tokens += results[i].n_tokens;
    }
    return embedded;
}

bool pith_call_embed_more(pith_call *call, const pith_lease *lease, const pith_embed_input *inputs,
                          size_t n_inputs, const char *prompt, float *vectors,
                          pith_embed_result *results, pith_problem *problem) {
    pith_embed_job *job = NULL;
    if (!pith_embedder_submit(lease->embedder, inputs, n_inputs, prompt, vectors, results,
                              call->key.id, &job, problem)) {
        return false;
    }
    return end_job(call, job, n_inputs, results, problem);
}

bool pith_call_embed(pith_call *call, const pith_lease *lease, const pith_embed_input *inputs,
                     size_t n_inputs, const char *prompt, float *vectors,
                     pith_embed_result *results, pith_problem *problem) {
    pith_embed_job *job = NULL;
    if (!pith_call_reserve(call, PITH_QUOTA_KIND_EMBED, problem)) {
        return false;
    }
    if (!pith_embedder_submit(lease->embedder, inputs, n_inputs, prompt, vectors, results,
                              call->key.id, &job, problem)) {
        pith_call_unreserve(call);
        return false;
    }
    call->prompt_tokens = 0;
    return end_job(call, job, n_inputs, results, problem);
}

static size_t count_truncated(const pith_embed_result *results, size_t n) {
    size_t n_cut = 0;
    for (size_t i = 0; i < n; i++) {
        n_cut += results[i].truncated;
    }
    return n_cut;
}

void pith_call_put_truncated(pith_call *call, const pith_embed_result *results, size_t n) {
    size_t n_cut = count_truncated(results, n);
    if (n_cut > 0) {
        pith_exchange_put_header(call->x, "x-pith-truncated", "%zu", n_cut);
    }
}

/* A client of ollama's protocol may want no text to be cut. */
static bool keeps_whole(const embedding *e, pith_problem *problem) {
    bool wanted = e->request.no_truncation;
    size_t n_cut = wanted ? count_truncated(e->results, e->request.n_inputs) : 0;
    return n_cut == 0 ||
           pith_problem_set(problem, 400, "context_length_exceeded", "input",
                            "%zu of the texts are longer than the %zu tokens that the model reads",
                            n_cut, e->lease.info.n_context);
}

static void answer(embedding *e, pith_problem *problem) {
    pith_call *call = e->call;
    pith_error error;
    pith_bytes out;
    pith_answer_head head = {
        .request = &e->request,
        .id = "",
        .model = pith_request_model(&e->request, e->lease.name),
        .created = (int64_t)time(NULL),
        .vocabulary = e->lease.model,
    };
    if (!keeps_whole(e, problem)) {
        return;
    }
    pith_call_put_truncated(call, e->results, e->request.n_inputs);
    size_t dimension = cut(e);
    pith_answer_usage usage = {.prompt_tokens = call->prompt_tokens,
                               .load_seconds = call->load_seconds,
                               .total_seconds = pith_clock() - call->x->began};
    pith_bytes_init(&out, NULL);
    if (pith_answer_embeddings(&head, e->vectors, e->request.n_inputs, dimension, &usage, &out,
                               &error) != PITH_OK) {
        pith_bytes_release(&out);
        pith_problem_from(problem, &error);
        return;
    }
    pith_call_settle(call, false);
    pith_bytes_append(&out, "\n", 1);
    pith_exchange_answer(call->x, 200, "application/json", &out);
}

void pith_handle_embedding(pith_call *call) {
    pith_problem problem = {.http = 0};
    embedding e = {.call = call};
    if (prepare(&e, &problem) &&
        (e.request.no_work || pith_call_embed(call, &e.lease, e.request.inputs, e.request.n_inputs,
                                              NULL, e.vectors, e.results, &problem))) {
        answer(&e, &problem);
    }
    pith_call_refuse(call, &problem);
    free(e.vectors);
    free(e.results);
    if (e.leased) {
        pith_call_return(call, &e.lease, e.request.unload);
    }
    if (e.parsed) {
        pith_request_release(&e.request);
    }
}
