/* Continue several texts at once: generate_many MODEL.pith TEXT...
 *
 * Each pass of the network evaluates what all texts need next, so that its weights are read once
 * for all of them. Each text is what generate writes for it alone. */
#include <pith.h>
#include <stdio.h>

enum { MAX_TEXTS = 16, MAX_TOKENS = 512, MAX_LENGTH = 4096 };

typedef struct request {
    pith_session *session;
    pith_generation *generation;
    char text[MAX_LENGTH];
    size_t length;
    bool done;
} request;

static bool begin(request *r, const pith_model *model, const char *prompt, pith_error *error) {
    pith_generate_params params = {.max_tokens = 100, .sampling = {.temperature = 0.8F, .seed = 1}};
    int32_t tokens[MAX_TOKENS];
    size_t n;
    return pith_session_new(&r->session, model, NULL, error) == PITH_OK &&
           pith_tokenize(model, pith_text_of(prompt), PITH_TOKENIZE_AUTO, tokens, MAX_TOKENS, &n,
                         error) == PITH_OK &&
           pith_generation_new(&r->generation, r->session, tokens, n, &params, error) == PITH_OK;
}

/* Goes on by a token in every text; *n_left is the number of texts that are not done. */
static bool step_all(request *requests, size_t n, size_t *n_left, pith_error *error) {
    pith_session *sessions[MAX_TEXTS];
    const int32_t *tokens[MAX_TEXTS];
    size_t n_tokens[MAX_TEXTS];
    size_t n_due = 0;
    bool good = true;
    for (size_t i = 0; good && i < n; i++) {
        if (!requests[i].done) {
            sessions[n_due] = requests[i].session;
            good = pith_generation_next(requests[i].generation, 0, &tokens[n_due], &n_tokens[n_due],
                                        error) == PITH_OK;
            n_due += good && n_tokens[n_due] != 0;
        }
    }
    good = good &&
           (n_due == 0 || pith_batch_eval(sessions, n_due, tokens, n_tokens, error) == PITH_OK);
    for (request *r = requests; good && r < requests + n; r++) {
        pith_step step = {.text = {"", 0}, .done = true};
        if (!r->done) {
            good = pith_generation_step(r->generation, &step, error) == PITH_OK;
            r->length += (size_t)snprintf(r->text + r->length, MAX_LENGTH - r->length, "%.*s",
                                          (int)step.text.n_bytes, step.text.data);
            r->done = step.done || r->length >= MAX_LENGTH;
            *n_left -= r->done;
        }
    }
    return good;
}

int main(int argc, char **argv) {
    static request requests[MAX_TEXTS];
    pith_error error = {.message = "usage: generate_many MODEL.pith TEXT... (at most 16)"};
    pith_model *model = NULL;
    size_t n = argc > 2 && argc <= 2 + MAX_TEXTS ? (size_t)argc - 2 : 0;
    size_t n_left = n;
    bool good = n != 0 && pith_model_open(&model, argv[1], NULL, &error) == PITH_OK;
    for (size_t i = 0; good && i < n; i++) {
        good = begin(&requests[i], model, argv[2 + i], &error);
    }
    while (good && n_left != 0) {
        good = step_all(requests, n, &n_left, &error);
    }
    for (size_t i = 0; i < n; i++) {
        printf("%s\n", requests[i].text);
        pith_generation_free(requests[i].generation);
        pith_session_free(requests[i].session);
    }
    fprintf(stderr, "%s%s", good ? "" : error.message, good ? "" : "\n");
    pith_model_free(model);
    return good ? 0 : 1;
}
