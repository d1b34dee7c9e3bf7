/* pith_embed: texts to token ids, by all threads, and on to their embeddings (embed.c), window by
 * window. */
#include "engine/embed.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/checked.h"
#include "base/utf8.h"
#include "engine/prompts.h"

/* A window of texts being tokenised. */
typedef struct encoding {
    const pith_model *model;
    const pith_embed_input *inputs; /* [n] */
    size_t n;
    size_t first; /* index of inputs[0] in the call */
    bool no_truncate;
    const char *prompt; /* [n_prompt] in front of every text */
    size_t n_prompt;
    size_t n_skipped; /* tokens at the beginning of a text that are not pooled */
    size_t max_tokens;
    int32_t *ids;               /* [n, max_tokens] */
    pith_encoder_text *texts;   /* [n] */
    pith_embed_result *results; /* [n] */
    pthread_mutex_t lock;
    size_t bad; /* lowest index of a text that failed so far; n: none */
    pith_error error;
} encoding;

/* Where a thread puts prompts and texts together. */
typedef struct joint {
    char *text;
    size_t capacity;
} joint;

static pith_status encode_joined(const encoding *w, const pith_embed_input *input, joint *joined,
                                 pith_tokens *tokens, pith_encoded *info, pith_error *error) {
    const pith_tokenizer *tokenizer = w->model->tokenizer;
    const char *text = input->text.data != NULL ? input->text.data : "";
    size_t n = input->text.n_bytes;
    /* The error names the offset of invalid UTF-8 in the caller's text, not behind the prompt. */
    if (w->n_prompt != 0 && pith_utf8_check(text, n) == n) {
        size_t size = w->n_prompt + n;
        if (size > joined->capacity) {
            char *grown = pith_reallocate(&w->model->allocator, joined->text, size, 1);
            if (grown == NULL) {
                return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu bytes", size);
            }
            *joined = (joint){.text = grown, .capacity = size};
        }
        memcpy(joined->text, w->prompt, w->n_prompt);
        memcpy(joined->text + w->n_prompt, text, n);
        text = joined->text;
        n = size;
    }
    return pith_encode_for_encoder(tokenizer, text, n, input->pair.data, input->pair.n_bytes,
                                   w->max_tokens, tokens, info, error);
}

static pith_status encode_input(const encoding *w, size_t i, joint *joined, pith_tokens *tokens,
                                pith_error *error) {
    pith_encoded info = {0};
    tokens->n = 0;
    pith_status status = encode_joined(w, &w->inputs[i], joined, tokens, &info, error);
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
    w->texts[i] = (pith_encoder_text){.ids = ids,
                                      .n_tokens = n,
                                      .n_first = info.n_first,
                                      .n_skipped = w->n_skipped};
    w->results[i] = (pith_embed_result){.n_tokens = n, .truncated = info.truncated};
    return PITH_OK;
}

/* Texts after one that failed need not be encoded. One before it may fail too, and is then the one
 * reported. */
static void encode_inputs(void *argument, size_t begin, size_t end, size_t thread) {
    encoding *w = argument;
    pith_tokens tokens;
    joint joined = {.text = NULL};
    (void)thread;
    pith_tokens_init(&tokens, &w->model->allocator);
    for (size_t i = begin; i < end; i++) {
        pith_error error;
        pthread_mutex_lock(&w->lock);
        bool wanted = i < w->bad;
        pthread_mutex_unlock(&w->lock);
        if (wanted && encode_input(w, i, &joined, &tokens, &error) != PITH_OK) {
            pthread_mutex_lock(&w->lock);
            if (i < w->bad) {
                w->bad = i;
                w->error = error;
            }
            pthread_mutex_unlock(&w->lock);
        }
    }
    pith_tokens_release(&tokens);
    pith_release(&w->model->allocator, joined.text);
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
    if (model->network.config.role != PITH_ENCODER) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model is no encoder: it gives no sentence embeddings");
    }
    if (model->tokenizer == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "the model has no tokenizer");
    }
    for (size_t i = 0; i < n_inputs; i++) {
        if ((inputs[i].text.data == NULL && inputs[i].text.n_bytes != 0) ||
            (inputs[i].pair.data == NULL && inputs[i].pair.n_bytes != 0)) {
            return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_embed: text %zu is null", i);
        }
        if (model->network.config.scores && inputs[i].pair.data == NULL) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "text %zu is no pair, and the model is a cross-encoder, which scores "
                             "pairs of texts",
                             i);
        }
    }
    return PITH_OK;
}

/* ---- Embedding ------------------------------------------------------------------------------- */

/* Fills prompt, n_prompt and n_skipped. Pooling leaves out as many tokens as the prompt has when it
 * is tokenized alone, [CLS] counted and [SEP] not. This is how sentence-transformers counts, even
 * where the prompt's last word is split in another way when the text follows. */
static pith_status take_prompt(encoding *w, const pith_embed_options *options, pith_error *error) {
    const pith_model *model = w->model;
    pith_status status = pith_prompt_choose(model, options, &w->prompt, error);
    w->n_prompt = status == PITH_OK ? strlen(w->prompt) : 0;
    if (w->n_prompt == 0) {
        return status;
    }
    pith_tokens tokens;
    pith_tokens_init(&tokens, &model->allocator);
    status = pith_encode_for_encoder(model->tokenizer, w->prompt, w->n_prompt, NULL, 0,
                                     w->max_tokens, &tokens, NULL, error);
    if (status != PITH_OK) {
        pith_fail_in(error, status, "the prompt");
    } else if (model->network.config.skip_prompt) {
        w->n_skipped = tokens.n - 1;
    }
    pith_tokens_release(&tokens);
    return status;
}

pith_status pith_embed(const pith_model *model, const pith_embed_input *inputs, size_t n_inputs,
                       const pith_embed_options *options, float *out, pith_embed_result *results,
                       pith_error *error) {
    static const pith_embed_options defaults = {0};
    options = options != NULL ? options : &defaults;
    pith_status status = check_call(model, inputs, n_inputs, out, error);
    if (status != PITH_OK) {
        return status;
    }
    const pith_allocator *allocator = &model->allocator;
    size_t size = pith_config_embedding_size(&model->network.config);
    const size_t window = pith_embed_window_size(model);
    size_t most = pith_min_size(n_inputs, window);
    encoding w = {.model = model,
                  .no_truncate = options->no_truncate,
                  .max_tokens = pith_encoder_max_tokens(&model->network)};
    if (options->dimensions > size) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%zu dimensions are asked for, the model's embeddings have %zu",
                         options->dimensions, size);
    }
    size = options->dimensions != 0 ? options->dimensions : size;
    status = take_prompt(&w, options, error);
    if (status != PITH_OK || n_inputs == 0) {
        return status;
    }
    w.ids = pith_allocate(allocator, most * w.max_tokens, sizeof *w.ids);
    w.texts = pith_allocate(allocator, most, sizeof *w.texts);
    w.results = pith_allocate(allocator, most, sizeof *w.results);
    if (w.ids == NULL || w.texts == NULL || w.results == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu texts", most);
    }
    for (size_t first = 0; status == PITH_OK && first < n_inputs; first += window) {
        w.inputs = inputs + first;
        w.first = first;
        w.n = pith_min_size(window, n_inputs - first);
        status = encode_window(&w, error);
        pith_embed_window texts = {.texts = w.texts,
                                   .n_texts = w.n,
                                   .out = out + first * size,
                                   .size = size,
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
