/* The tokens of a request's prompt: the room for them, which is guessed first. */
#include "server/service.h"
#include "tests/jobs.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Of tiny models, whose vocabulary has no piece with Q and puts a space in front of a text. */
enum { BOS = 1, FIRST_BYTE = 3, SPACE = 273 };

/* A generation with a template of ollama's that writes `literal` times Q, the system message of
 * `system` times Q, and the prompt Q: every Q is a token. */
static void check_template(const pith_model *model, const char *mark, size_t literal,
                           size_t system) {
    char *body = malloc(literal + system + 200);
    char *of_literal = malloc(literal + 1);
    char *of_system = malloc(system + 1);
    memset(of_literal, 'Q', literal);
    memset(of_system, 'Q', system);
    of_literal[literal] = of_system[system] = '\0';
    int n = sprintf(body,
                    "{\"prompt\":\"Q\",\"system\":\"%s\",\"template\":\"%s%s{{ .System }}"
                    "{{ .Prompt }}\"}",
                    of_system, mark, of_literal);
    pith_request request;
    pith_problem problem = {.http = 0};
    int32_t *tokens = NULL;
    size_t n_tokens = 0;
    CHECK(pith_request_parse(&request, PITH_ENDPOINT_OLLAMA_GENERATE, body, (size_t)n, &problem),
          "%s", problem.message);
    CHECK(pith_prompt_tokens(model, &request, 0, &tokens, &n_tokens, &problem),
          "%zu of the template, %zu of the system: %s", literal, system, problem.message);
    CHECK(n_tokens == 2 + literal + system + 1 && tokens[0] == BOS && tokens[1] == SPACE,
          "%zu of the template, %zu of the system: %zu tokens, the first is %d", literal, system,
          n_tokens, (int)tokens[0]);
    for (size_t i = 2; i < n_tokens; i++) {
        CHECK(tokens[i] == FIRST_BYTE + 'Q', "token %zu of %zu is %d", i, n_tokens, (int)tokens[i]);
    }
    free(tokens);
    pith_request_release(&request);
    free(of_system);
    free(of_literal);
    free(body);
}

TEST(prompt, a_template_of_any_length_has_room_for_its_bos) {
    static const char *const marks[] = {"", "<s>"}; /* the BOS is put in front, or written */
    pith_model *model = test_open_tiny(PITH_TYPE_F32);
    for (size_t i = 0; i < sizeof marks / sizeof *marks; i++) {
        for (size_t n = 0; n < 300; n++) {
            check_template(model, marks[i], n, 0);
            check_template(model, marks[i], 0, n);
        }
        check_template(model, marks[i], 60000, 0);
        check_template(model, marks[i], 1, 200000);
    }
    pith_model_free(model);
    CHECK_NO_LEAKS();
}
