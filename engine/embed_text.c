/* pith_embed: texts to token ids, by all threads, and on to their embeddings (embed.c), window by
 * window. */
#include "engine/embed.h"

#include <pthread.h>
#include <string.h>

#include "base/checked.h"

/* A window of texts being tokenised. */
typedef struct encoding {
    const pith_model *model;
    const pith_embed_input *inputs; /* [n] */
    size_t n;
    size_t first; /* index of inputs[0] in the call */
    bool no_truncate;
    size_t max_tokens;
    int32_t *ids;               /* [n, max_tokens] */
    pith_bert_text *texts;      /* [n] */
    pith_embed_result *results; /* [n] */
    pthread_mutex_t lock;
    size_t bad; /* lowest index of a text that failed so far; n: none */
    pith_error error;
} encoding;

static pith_status encode_input(const encoding *w, size_t i, pith_tokens *tokens,
                                pith_error *error) {
    const pith_embed_input *input = &w->inputs[i];
    pith_encoded info = {0};
    tokens->n = 0;
    pith_status status =
        pith_encode_for_encoder(w->model->tokenizer, input->text != NULL ? input->text : "",
                                input->n_bytes, input->pair, input->n_pair_bytes, w->max_tokens,
                                tokens, &info, error);
    if (status != PITH_OK) {
        pith_fail_in(error, status, "text %zu", w->first + i);
        return status;
    }
    if (w->no_truncate && info.truncated) {
        return pith_fail(error, PITH_ERROR_CONTEXT, "text %zu has more than %zu tokens",
                         w->first + i, w->max_tokens);
    }
    int32_t *ids = w->ids + i * w->max_tokens;
    size_t n = pith_min_size(tokens->n, w->max_tokens);
    memcpy(ids, tokens->ids, n * sizeof *ids);
    w->texts[i] = (pith_bert_text){.ids = ids, .n_tokens = n, .n_first = info.n_first};
    w->results[i] = (pith_embed_result){.n_tokens = n, .truncated = info.truncated};
    return PITH_OK;
}

/* Texts after one that failed need not be read; those before it may fail too, and then count. */
static void encode_inputs(void *argument, size_t begin, size_t end, size_t thread) {
    encoding *w = argument;
    pith_tokens tokens;
    (void)thread;
    pith_tokens_init(&tokens, &w->model->allocator);
    for (size_t i = begin; i < end; i++) {
        pith_error error;
        pthread_mutex_lock(&w->lock);
        bool wanted = i < w->bad;
        pthread_mutex_unlock(&w->lock);
        if (wanted && encode_input(w, i, &tokens, &error) != PITH_OK) {
            pthread_mutex_lock(&w->lock);
            if (i < w->bad) {
                w->bad = i;
                w->error = error;
            }
            pthread_mutex_unlock(&w->lock);
        }
    }
    pith_tokens_release(&tokens);
}

static pith_status encode_window(encoding *w, pith_error *error) {
    enum { GRAIN = 16 };
    w->bad = w->n;
    pthread_mutex_init(&w->lock, NULL);
    pith_pool_run(w->model->pool, w->n, GRAIN, encode_inputs, w);
    pthread_mutex_destroy(&w->lock);
    if (w->bad < w->n) {
        return pith_fail(error, w->error.status, "%s", w->error.message);
    }
    return PITH_OK;
}

static pith_status check_call(const pith_model *model, const pith_embed_input *inputs,
                              size_t n_inputs, const float *out, pith_error *error) {
    if (model == NULL || ((inputs == NULL || out == NULL) && n_inputs != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_embed: null argument");
    }
    if (model->bert == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model is no encoder: it gives no sentence embeddings");
    }
    if (model->tokenizer == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "the model has no tokenizer");
    }
    if (pith_tokenizer_vocab(model->tokenizer)->kind != PITH_TOKENIZER_WORDPIECE) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "the model's tokenizer is not WordPiece");
    }
    for (size_t i = 0; i < n_inputs; i++) {
        if ((inputs[i].text == NULL && inputs[i].n_bytes != 0) ||
            (inputs[i].pair == NULL && inputs[i].n_pair_bytes != 0)) {
            return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_embed: text %zu is null", i);
        }
    }
    return PITH_OK;
}

pith_status pith_embed(const pith_model *model, const pith_embed_input *inputs, size_t n_inputs,
                       const pith_embed_options *options, float *out, pith_embed_result *results,
                       pith_error *error) {
    static const pith_embed_options defaults = {0};
    options = options != NULL ? options : &defaults;
    pith_status status = check_call(model, inputs, n_inputs, out, error);
    if (status != PITH_OK || n_inputs == 0) {
        return status;
    }
    const pith_allocator *allocator = &model->allocator;
    size_t most = pith_min_size(n_inputs, PITH_EMBED_WINDOW);
    encoding w = {.model = model,
                  .no_truncate = options->no_truncate,
                  .max_tokens = pith_bert_max_tokens(model->bert)};
    w.ids = pith_allocate(allocator, most * w.max_tokens, sizeof *w.ids);
    w.texts = pith_allocate(allocator, most, sizeof *w.texts);
    w.results = pith_allocate(allocator, most, sizeof *w.results);
    if (w.ids == NULL || w.texts == NULL || w.results == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu texts", most);
    }
    for (size_t first = 0; status == PITH_OK && first < n_inputs; first += PITH_EMBED_WINDOW) {
        w.inputs = inputs + first;
        w.first = first;
        w.n = pith_min_size(PITH_EMBED_WINDOW, n_inputs - first);
        status = encode_window(&w, error);
        pith_embed_window texts = {.texts = w.texts,
                                   .n_texts = w.n,
                                   .out = out + first * model->bert->config.hidden_size,
                                   .progress = options->progress,
                                   .user = options->user,
                                   .first = first,
                                   .n_total = n_inputs};
        if (status == PITH_OK) {
            status = pith_embed_run(model, &texts, error);
        }
        if (status == PITH_OK && results != NULL) {
            memcpy(results + first, w.results, w.n * sizeof *results);
        }
    }
    pith_release(allocator, w.results);
    pith_release(allocator, w.texts);
    pith_release(allocator, w.ids);
    return status;
}
