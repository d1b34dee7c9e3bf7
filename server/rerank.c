/* POST /rerank: how well documents answer a query, in the protocol of Jina, Cohere and llama.cpp's
 * server. A cross-encoder reads query and document together; of another encoder the scores are the
 * cosines of embeddings. */
#include <math.h>
#include <stdlib.h>

#include "base/json_write.h"
#include "base/rank.h"
#include "server/answer_parts.h"
#include "server/service.h"

typedef struct reranking {
    pith_call *call;
    pith_request request;
    bool parsed;
    pith_lease lease;
    bool leased;
    pith_embed_input *inputs;   /* [n_inputs + 1] of the embedder; the query's is the last */
    pith_embed_result *results; /* [n_inputs + 1] */
    float *vectors;             /* [n_inputs + 1, n_embd] */
    float *scores;              /* [n_inputs] */
    pith_ranked *order;         /* [n_inputs] best first */
    pith_json_writer json;
} reranking;

static bool prepare(reranking *r, pith_problem *problem) {
    pith_call *call = r->call;
    if (!pith_request_parse(&r->request, call->route->endpoint, call->x->body, call->x->n_body,
                            problem)) {
        return false;
    }
    r->parsed = true;
    if (!pith_call_lease(call, r->request.model, PITH_MODEL_ENCODER, &r->lease, problem)) {
        return false;
    }
    r->leased = true;
    size_t n = r->request.n_inputs;
    r->inputs = calloc(n + 1, sizeof *r->inputs);
    r->results = calloc(n + 1, sizeof *r->results);
    r->vectors = calloc((n + 1) * r->lease.info.n_embd, sizeof *r->vectors);
    r->scores = calloc(n, sizeof *r->scores);
    r->order = calloc(n, sizeof *r->order);
    if (r->inputs == NULL || r->results == NULL || r->vectors == NULL || r->scores == NULL ||
        r->order == NULL) {
        return pith_problem_set(problem, 503, NULL, NULL, "out of memory for %zu documents", n);
    }
    bool pairs = r->lease.info.is_cross_encoder;
    for (size_t i = 0; i < n; i++) {
        pith_text document = r->request.inputs[i].text;
        r->inputs[i] = pairs ? (pith_embed_input){.text = r->request.query, .pair = document}
                             : (pith_embed_input){.text = document};
    }
    r->inputs[n].text = r->request.query;
    return true;
}

static bool score(reranking *r, pith_problem *problem) {
    const pith_model *model = r->lease.model;
    const pith_model_info *info = &r->lease.info;
    const size_t n = r->request.n_inputs;
    const size_t size = info->n_embd;
    bool pairs = info->is_cross_encoder;
    const char *prompt = pairs ? "" : pith_model_prompt(model, PITH_PROMPT_DOCUMENT);
    if (!pith_call_embed(r->call, &r->lease, r->inputs, n, prompt, r->vectors, r->results,
                         problem)) {
        return false;
    }
    const float *query = r->vectors + n * size;
    if (!pairs && !pith_call_embed_more(r->call, &r->lease, r->inputs + n, 1,
                                        pith_model_prompt(model, PITH_PROMPT_QUERY),
                                        r->vectors + n * size, r->results + n, problem)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        const float *vector = r->vectors + i * size;
        r->scores[i] = pairs ? *vector : (float)pith_cosine_f32(query, vector, size);
        if (!isfinite(r->scores[i])) {
            return pith_problem_set(problem, 500, NULL, NULL,
                                    "the score of document %zu is not finite", i);
        }
    }
    return true;
}

static void put_result(reranking *r, const pith_ranked *one) {
    pith_json_writer *json = &r->json;
    pith_json_open(json, NULL, '{');
    pith_json_put_integer(json, "index", (int64_t)one->index);
    pith_put_float(json, "relevance_score", one->score);
    if (r->request.return_documents) {
        pith_text text = r->request.inputs[one->index].text;
        pith_json_open(json, "document", '{');
        pith_json_put_bytes(json, "text", text.data, text.n_bytes);
        pith_json_close(json, '}');
    }
    pith_json_close(json, '}');
}

static void answer(reranking *r) {
    const pith_request *request = &r->request;
    size_t n = request->n_inputs;
    pith_rank(r->scores, n, r->order);
    n = request->top_n != 0 && request->top_n < n ? request->top_n : n;
    pith_json_open(&r->json, NULL, '{');
    pith_json_put_text(&r->json, "object", "list");
    pith_json_put_text(&r->json, "model", pith_request_model(request, r->lease.name));
    pith_json_open(&r->json, "results", '[');
    for (size_t i = 0; i < n; i++) {
        put_result(r, &r->order[i]);
    }
    pith_json_close(&r->json, ']');
    pith_put_prompt_usage(&r->json, r->call->prompt_tokens);
    pith_json_close(&r->json, '}');
}

void pith_handle_rerank(pith_call *call) {
    pith_problem problem = {.http = 0};
    reranking r = {.call = call};
    pith_json_write_begin(&r.json, NULL);
    if (prepare(&r, &problem) && score(&r, &problem)) {
        pith_call_put_truncated(call, r.results, r.request.n_inputs + 1);
        answer(&r);
        pith_call_settle(call, false);
        pith_call_answer(call, &r.json);
    } else {
        pith_bytes_release(&r.json.bytes);
        pith_call_refuse(call, &problem);
    }
    free(r.inputs);
    free(r.results);
    free(r.vectors);
    free(r.scores);
    free(r.order);
    if (r.leased) {
        pith_models_return(call->service->models, &r.lease);
    }
    if (r.parsed) {
        pith_request_release(&r.request);
    }
}
