/* Talk with a chat model, one line a turn: chat MODEL.pith
 *
 * Each turn formats the whole conversation. What the session has evaluated already is kept, so only
 * the new part costs time. */
#include <pith.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGES = 64, MAX_TOKENS = 4096, MAX_LINE = 4096, MAX_ANSWER = 32768 };

typedef struct answer_text {
    char text[MAX_ANSWER];
    size_t n_bytes;
} answer_text;

static bool on_text(void *user, pith_text text) {
    answer_text *answer = user;
    if (answer->n_bytes + text.n_bytes > sizeof answer->text) {
        return false;
    }
    memcpy(answer->text + answer->n_bytes, text.data, text.n_bytes);
    answer->n_bytes += text.n_bytes;
    return fwrite(text.data, 1, text.n_bytes, stdout) == text.n_bytes && fflush(stdout) == 0;
}

/* Appends a copy of the text to the conversation. */
static bool add(pith_message *messages, size_t *n, const char *role, pith_text text) {
    char *copy = *n < MAX_MESSAGES ? malloc(text.n_bytes + 1) : NULL;
    if (copy == NULL) {
        return false;
    }
    memcpy(copy, text.data, text.n_bytes);
    messages[(*n)++] = (pith_message){.role = role, .content = {copy, text.n_bytes}};
    return true;
}

static bool reply(const pith_model *model, pith_session *session, const pith_message *messages,
                  size_t n_messages, answer_text *answer, pith_error *error) {
    int32_t tokens[MAX_TOKENS];
    int32_t end; /* what the model's template writes behind an answer */
    size_t n;
    if (pith_chat_end(model, NULL, &end, error) != PITH_OK ||
        pith_chat_format(model, messages, n_messages, NULL, tokens, MAX_TOKENS, &n, error) !=
            PITH_OK) {
        return false;
    }
    const pith_generate_params params = {
        .max_tokens = 200,
        .sampling = {.temperature = 0.8F, .top_p = 0.9F, .seed = 1},
        .eos = &end,
        .n_eos = end >= 0,
    };
    size_t kept;
    answer->n_bytes = 0;
    return pith_session_reuse(session, tokens, n, &kept, error) == PITH_OK &&
           pith_generate(session, tokens + kept, n - kept, &params, on_text, answer, NULL, error) ==
               PITH_OK;
}

int main(int argc, char **argv) {
    static answer_text answer;
    static char line[MAX_LINE];
    pith_error error = {.message = "usage: chat MODEL.pith"};
    pith_model *model = NULL;
    pith_session *session = NULL;
    pith_message messages[MAX_MESSAGES];
    size_t n = 0;
    bool good = argc == 2 && pith_model_open(&model, argv[1], NULL, &error) == PITH_OK &&
                pith_session_new(&session, model, NULL, &error) == PITH_OK;
    while (good && fgets(line, sizeof line, stdin) != NULL) {
        error.message[0] = 0;
        good = add(messages, &n, "user", (pith_text){line, strcspn(line, "\n")}) &&
               reply(model, session, messages, n, &answer, &error) &&
               add(messages, &n, "assistant", (pith_text){answer.text, answer.n_bytes});
        putchar('\n');
    }
    if (!good) {
        fprintf(stderr, "%s\n", error.message[0] != 0 ? error.message : "conversation too long");
    }
    for (size_t i = 0; i < n; i++) {
        free((void *)messages[i].content.data);
    }
    pith_session_free(session);
    pith_model_free(model);
    return good ? 0 : 1;
}
