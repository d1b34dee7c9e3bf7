/* Continue a text: generate MODEL.pith PROMPT */
#include <pith.h>
#include <stdio.h>

static bool print_text(void *user, pith_text text) {
    (void)user;
    return fwrite(text.data, 1, text.n_bytes, stdout) == text.n_bytes && fflush(stdout) == 0;
}

int main(int argc, char **argv) {
    pith_error error = {.message = "usage: generate MODEL.pith PROMPT"};
    pith_generate_params params = {.max_tokens = 100, .sampling = {.temperature = 0.8F, .seed = 1}};
    pith_model *model = NULL;
    pith_session *session = NULL;
    int32_t tokens[512];
    size_t n;
    bool good =
        argc == 3 && pith_model_open(&model, argv[1], NULL, &error) == PITH_OK &&
        pith_session_new(&session, model, NULL, &error) == PITH_OK &&
        pith_tokenize(model, pith_text_of(argv[2]), PITH_TOKENIZE_AUTO, tokens, 512, &n, &error) ==
            PITH_OK &&
        pith_generate(session, tokens, n, &params, print_text, NULL, NULL, &error) == PITH_OK;
    if (good) {
        putchar('\n');
    } else {
        fprintf(stderr, "%s\n", error.message);
    }
    pith_session_free(session);
    pith_model_free(model);
    return good ? 0 : 1;
}
