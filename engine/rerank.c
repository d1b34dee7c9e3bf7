/* pith_rerank: a query and documents, read together by a cross-encoder (Nogueira & Cho 2019), or
 * compared by their embeddings. */
#include <string.h>

#include "base/checked.h"
#include "base/utf8.h"
#include "engine/model.h"

static pith_status score_pairs(const pith_model *model, const pith_embed_input *pairs, size_t n,
                               const pith_rerank_options *options, float *scores,
                               pith_embed_result *results, pith_error *error) {
    const pith_embed_options how = {.no_truncate = options->no_truncate,
                                    .prompt = "",
                                    .progress = options->progress,
                                    .user = options->user};
    return pith_embed(model, pairs, n, &how, scores, results, error);
}

/* vectors [n + 1, n_embd]: the query's is the last. */
static pith_status score_vectors(const pith_model *model, const pith_embed_input *documents,
                                 size_t n, pith_text query, float *vectors,
                                 const pith_rerank_options *options, float *scores,
                                 pith_embed_result *results, pith_error *error) {
    const pith_embed_input asked = {.text = query};
    pith_model_info info;
    pith_model_get_info(model, &info);
    pith_embed_options how = {.no_truncate = options->no_truncate,
                              .prompt = pith_model_prompt(model, PITH_PROMPT_QUERY)};
    float *of_asked = vectors + n * info.n_embd;
    pith_error told;
    pith_status status = pith_embed(model, &asked, 1, &how, of_asked, NULL, &told);
    if (status != PITH_OK) { /* the library calls it text 0 */
        static const char text[] = "text 0";
        bool named = strncmp(told.message, text, sizeof text - 1) == 0;
        return pith_fail(error, status, "the query%s%s", named ? "" : ": ",
                         told.message + (named ? sizeof text - 1 : 0));
    }
    how.prompt = pith_model_prompt(model, PITH_PROMPT_DOCUMENT);
    how.progress = options->progress;
    how.user = options->user;
    status = pith_embed(model, documents, n, &how, vectors, results, error);
    for (size_t i = 0; status == PITH_OK && i < n; i++) {
        scores[i] = (float)pith_cosine_f32(of_asked, vectors + i * info.n_embd, info.n_embd);
    }
    return status;
}

pith_status pith_rerank(const pith_model *model, pith_text query, const pith_text *documents,
                        size_t n_documents, const pith_rerank_options *options, float *scores,
                        pith_embed_result *results, pith_error *error) {
    static const pith_rerank_options defaults = {0};
    options = options != NULL ? options : &defaults;
    if (model == NULL || (query.data == NULL && query.n_bytes != 0) ||
        ((documents == NULL || scores == NULL) && n_documents != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_rerank: null argument");
    }
    /* An empty call tells what keeps the model from embedding. */
    pith_status status = pith_embed(model, NULL, 0, NULL, NULL, NULL, error);
    size_t good = pith_utf8_check(query.data, query.n_bytes);
    if (status == PITH_OK && good != query.n_bytes) {
        status = pith_fail(error, PITH_ERROR_TEXT, "the query: invalid UTF-8 at byte %zu", good);
    }
    if (status != PITH_OK) {
        return status;
    }
    const pith_allocator *allocator = &model->allocator;
    const pith_config *config = &model->network.config;
    bool pairs = config->scores;
    size_t n_floats = 0;
    if (!pairs && !pith_mul_size(n_documents + 1, pith_config_embedding_size(config), &n_floats)) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu texts", n_documents);
    }
    pith_embed_input *inputs = pith_allocate_zeroed(allocator, n_documents + 1, sizeof *inputs);
    float *vectors = pith_allocate(allocator, n_floats + 1, sizeof *vectors);
    if (inputs == NULL || vectors == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu texts", n_documents);
    }
    for (size_t i = 0; status == PITH_OK && i < n_documents; i++) {
        static const char nothing[1] = "";
        pith_text document =
            documents[i].data != NULL ? documents[i] : (pith_text){nothing, documents[i].n_bytes};
        if (documents[i].data == NULL && documents[i].n_bytes != 0) {
            status = pith_fail(error, PITH_ERROR_ARGUMENT, "pith_rerank: text %zu is null", i);
        }
        inputs[i] = pairs ? (pith_embed_input){.text = query, .pair = document}
                          : (pith_embed_input){.text = document};
    }
    if (status == PITH_OK) {
        status = pairs ? score_pairs(model, inputs, n_documents, options, scores, results, error)
                       : score_vectors(model, inputs, n_documents, query, vectors, options, scores,
                                       results, error);
    }
    pith_release(allocator, vectors);
    pith_release(allocator, inputs);
    return status;
}
