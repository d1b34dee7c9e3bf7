/* Look inside a decoder: observe MODEL.pith TEXT
 *
 * For the last position of the text and for every layer, prints the norm of the residual stream and
 * the token that the logit lens reads from it: what the model would say if it ended there. */
#include <math.h>
#include <pith.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_TOKENS = 512 };

typedef struct watcher {
    size_t n_layers, n_embd;
    float
        *rows; /* [n_layers + 1, n_embd]: row 0 is the embedding, row i the stream after layer i */
} watcher;

/* Keeps the last row of each layer; a long text comes in several passes, the last of which counts.
 */
static void watch(void *user, const char *name, const float *data, size_t n_rows, size_t n_cols) {
    watcher *w = user;
    unsigned layer;
    char rest;
    size_t row = w->n_layers + 1;
    if (strcmp(name, "model.embed_tokens") == 0) {
        row = 0;
    } else if (sscanf(name, "model.layers.%u%c", &layer, &rest) == 1) {
        row = layer + 1;
    }
    if (row <= w->n_layers) {
        memcpy(w->rows + row * w->n_embd, data + (n_rows - 1) * n_cols, n_cols * sizeof *data);
    }
}

static void print_layer(const pith_model *model, size_t layer, const float *row, size_t n_embd,
                        const float *logits, size_t n_vocab) {
    double squares = 0;
    double total = 0;
    size_t top = 0;
    for (size_t i = 0; i < n_embd; i++) {
        squares += (double)row[i] * (double)row[i];
    }
    for (size_t i = 1; i < n_vocab; i++) {
        top = logits[i] > logits[top] ? i : top;
    }
    for (size_t i = 0; i < n_vocab; i++) {
        total += exp((double)(logits[i] - logits[top]));
    }
    pith_text piece = {"", 0};
    pith_token_text(model, (int32_t)top, &piece, NULL);
    printf("%5zu  %9.3f  %5.3f  %6zu  %.*s\n", layer, sqrt(squares), 1 / total, top,
           (int)piece.n_bytes, piece.data);
}

static bool observe(const pith_model *model, pith_session *session, const char *text,
                    pith_error *error) {
    pith_model_info info;
    int32_t tokens[MAX_TOKENS];
    size_t n = 0;
    pith_model_get_info(model, &info);
    const size_t n_rows = info.n_layers + 1;
    watcher w = {.n_layers = info.n_layers, .n_embd = info.n_embd};
    w.rows = calloc(n_rows * info.n_embd, sizeof *w.rows);
    float *logits = calloc(n_rows * info.n_vocab, sizeof *logits);
    bool good = w.rows != NULL && logits != NULL;
    if (good) {
        pith_session_observe(session, watch, &w);
        good = pith_tokenize(model, pith_text_of(text), PITH_TOKENIZE_AUTO, tokens, MAX_TOKENS, &n,
                             error) == PITH_OK &&
               pith_session_eval(session, tokens, n, error) == PITH_OK &&
               pith_logit_lens(model, w.rows, n_rows, logits, error) == PITH_OK;
        pith_session_observe(session, NULL, NULL);
    } else {
        snprintf(error->message, sizeof error->message, "out of memory");
    }
    if (good) {
        printf("layer       norm      p      id  token\n");
    }
    for (size_t i = 0; good && i < n_rows; i++) {
        print_layer(model, i, w.rows + i * info.n_embd, info.n_embd, logits + i * info.n_vocab,
                    info.n_vocab);
    }
    free(w.rows);
    free(logits);
    return good;
}

int main(int argc, char **argv) {
    pith_error error = {.message = "usage: observe MODEL.pith TEXT"};
    pith_model *model = NULL;
    pith_session *session = NULL;
    bool good = argc == 3 && pith_model_open(&model, argv[1], NULL, &error) == PITH_OK &&
                pith_session_new(&session, model, NULL, &error) == PITH_OK &&
                observe(model, session, argv[2], &error);
    if (!good) {
        fprintf(stderr, "%s\n", error.message);
    }
    pith_session_free(session);
    pith_model_free(model);
    return good ? 0 : 1;
}
