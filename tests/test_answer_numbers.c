/* Answers that hold numbers: log-probabilities and the spelling of tokens, embeddings, floats; and
 * answers without memory. */
#include "base/memory.h"
#include "convert/convert.h"
#include "server/answer.h"
#include "server/float_text.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES = 3, THE = 266, A = 274 }; /* tokens of the tiny model: <0x00>, "▁the", "a" */

static pith_model *open_tiny(void) {
    const char *path = test_path("tiny.pith");
    pith_model *model = NULL;
    pith_error error;
    test_write_tiny_model(path, PITH_TYPE_INT8, 1);
    CHECK(pith_model_open(&model, path, NULL, &error) == PITH_OK, "%s", error.message);
    return model;
}

static pith_answer_head head_of(const pith_request *request, const pith_model *model) {
    return (pith_answer_head){
        .request = request, .id = "x-1", .model = "m", .created = 7, .vocabulary = model};
}

/* The logprobs of an answer with one choice: the text between its marks, malloc'ed. */
static char *logprobs_of(pith_endpoint endpoint, const pith_model *model,
                         const pith_answer_token *tokens, size_t n) {
    const pith_request request = {.endpoint = endpoint, .n_choices = 1, .logprobs = true};
    const pith_answer_head head = head_of(&request, model);
    const pith_answer_choice choice = {.text = pith_text_of("x"),
                                       .tokens = tokens,
                                       .n_tokens = n,
                                       .finish = PITH_FINISH_EOS};
    const pith_answer_usage usage = {.prompt_tokens = 1};
    pith_bytes out;
    pith_error error;
    pith_bytes_init(&out, NULL);
    CHECK(pith_answer_write(&head, &choice, 1, &usage, &out, &error) == PITH_OK, "%s",
          error.message);
    char *begin = strstr(out.data, "\"logprobs\":");
    char *end = strstr(out.data, ",\"finish_reason\"");
    CHECK(begin != NULL && end > begin, "%s", out.data);
    char *found = strndup(begin + 11, (size_t)(end - begin) - 11);
    pith_bytes_release(&out);
    return found;
}

static void check_logprobs(pith_endpoint endpoint, const pith_model *model,
                           const pith_answer_token *tokens, size_t n, const char *expected) {
    char *actual = logprobs_of(endpoint, model, tokens, n);
    CHECK(strcmp(actual, expected) == 0, "\nexpected %s\nactual   %s", expected, actual);
    free(actual);
}

#define SCORED(token, logprob, bytes) \
    "\"token\":\"" token "\",\"logprob\":" logprob ",\"bytes\":" bytes

TEST(answer_numbers, logprobs_of_a_chat) {
    pith_model *model = open_tiny();
    const pith_scored_token top[] = {{THE, -0.5F}, {BYTES + 0xC3, -INFINITY}};
    const pith_answer_token tokens[] = {
        {.token = THE, .logprob = -0.5F, .top = top, .n_top = 2},
        {.token = BYTES + 0xC3, .logprob = -0.1F},
        {.token = BYTES + 0xA9, .logprob = 0},
        {.token = BYTES + '\n', .logprob = -1e-8F},
        {.token = 2, .logprob = -20000},
    };
    check_logprobs(
        PITH_ENDPOINT_CHAT, model, tokens, 5,
        "{\"content\":[{" SCORED(" the", "-0.5", "[32,116,104,101]") ",\"top_logprobs\":[{" SCORED(
            " the", "-0.5",
            "[32,116,104,101]") "},{" SCORED("\xEF\xBF\xBD", "-9999.0",
                                             "[195]") "}]},"
                                                      "{" SCORED(
                                                          "\xEF\xBF\xBD", "-0.1",
                                                          "[195]") ",\"top_logprobs\":[]},"
                                                                   "{" SCORED(
                                                                       "\xEF\xBF\xBD", "0.0",
                                                                       "[169]") ",\"top_logprobs\":"
                                                                                "[]},"
                                                                                "{" SCORED(
                                                                                    "\\n", "-1e-8",
                                                                                    "[10]") ",\"top"
                                                                                            "_logpr"
                                                                                            "obs\":"
                                                                                            "[]},"
                                                                                            "{" SCORED(
                                                                                                "</"
                                                                                                "s"
                                                                                                ">",
                                                                                                "-9"
                                                                                                "99"
                                                                                                "9."
                                                                                                "0",
                                                                                                "nu"
                                                                                                "l"
                                                                                                "l") ",\"top_logprobs\":[]}],\"refusal\":null}");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(answer_numbers, logprobs_of_a_completion) {
    pith_model *model = open_tiny();
    /* <0x61> and "a" are one text: the more likely one counts. */
    const pith_scored_token top[] = {{A, -0.25F}, {BYTES + 'a', -3}};
    const pith_answer_token tokens[] = {
        {.token = THE, .logprob = -0.5F},
        {.token = BYTES + 0xC3, .logprob = -1, .top = top, .n_top = 2},
        {.token = BYTES + 0xA9, .logprob = -2},
        {.token = BYTES, .logprob = -3},
        {.token = A, .logprob = -0.25F, .top = top, .n_top = 2},
    };
    check_logprobs(PITH_ENDPOINT_COMPLETION, model, tokens, 5,
                   "{\"tokens\":[\" the\",\"bytes:\\\\xc3\",\"bytes:\\\\xa9\",\"bytes:\\\\x00\","
                   "\"a\"],\"token_logprobs\":[-0.5,-1.0,-2.0,-3.0,-0.25],\"top_logprobs\":[{"
                   "\" the\":-0.5},{\"a\":-0.25,\"bytes:\\\\xc3\":-1.0},{\"bytes:\\\\xa9\":-2.0},{"
                   "\"bytes:\\\\x00\":-3.0},{\"a\":-0.25}],\"text_offset\":[0,4,5,5,6]}");
    check_logprobs(PITH_ENDPOINT_COMPLETION, model, tokens, 0,
                   "{\"tokens\":[],\"token_logprobs\":"
                   "[],\"top_logprobs\":[],"
                   "\"text_offset\":[]}");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* Byte-level BPE: ids of golden/llama3/tokenizer.json. */
TEST(answer_numbers, spells_byte_level_tokens) {
    const char *path = test_path("llama3.pith");
    const pith_convert_options options = {.type = PITH_TYPE_F32};
    pith_model *model = NULL;
    pith_error error;
    CHECK(pith_convert(test_root("golden/llama3"), path, &options, &error) == PITH_OK, "%s",
          error.message);
    CHECK(pith_model_open(&model, path, NULL, &error) == PITH_OK, "%s", error.message);
    const pith_answer_token tokens[] = {{.token = 279}, {.token = 127}, {.token = 102},
                                        {.token = 198}, {.token = 757}, {.token = 220}};
    check_logprobs(
        PITH_ENDPOINT_CHAT, model, tokens, 6,
        "{\"content\":[{" SCORED(
            " the", "0.0",
            "[32,116,104,101]") ",\"top_logprobs\":[]"
                                "},{" SCORED(
                                    "\xEF\xBF\xBD", "0.0",
                                    "[195]") ",\"top_logprobs\":[]},"
                                             "{" SCORED(
                                                 "\xEF\xBF\xBD", "0.0",
                                                 "[169]") ",\"top_logprobs\":[]},"
                                                          "{" SCORED(
                                                              "\\n", "0.0",
                                                              "[10]") ",\"top_logprobs\":[]},"
                                                                      "{" SCORED(
                                                                          "<|end_of_text|>", "0.0",
                                                                          "null") ",\"top_"
                                                                                  "logprobs\":[]},"
                                                                                  "{" SCORED(
                                                                                      " ", "0.0",
                                                                                      "[32]") ",\"t"
                                                                                              "op_"
                                                                                              "logp"
                                                                                              "robs"
                                                                                              "\":["
                                                                                              "]}],"
                                                                                              "\"re"
                                                                                              "fusa"
                                                                                              "l\":"
                                                                                              "null"
                                                                                              "}");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(answer_numbers, refuses_a_token_beyond_the_vocabulary) {
    pith_model *model = open_tiny();
    const pith_request request = {.endpoint = PITH_ENDPOINT_CHAT, .n_choices = 1, .logprobs = true};
    const pith_answer_head head = head_of(&request, model);
    const pith_answer_token token = {.token = 300};
    pith_bytes out;
    pith_error error;
    pith_bytes_init(&out, NULL);
    CHECK(pith_answer_stream_piece(&head, 0, pith_text_of("x"), &token, &out, &error) ==
                  PITH_ERROR_TOKEN &&
              out.size == 0,
          "%s", error.message);
    pith_bytes_release(&out);
    pith_model_free(model);
}

TEST(answer_numbers, offsets_go_on_through_a_stream) {
    pith_model *model = open_tiny();
    const pith_request request = {.endpoint = PITH_ENDPOINT_COMPLETION,
                                  .n_choices = 2,
                                  .logprobs = true};
    pith_answer_head head = head_of(&request, model);
    size_t offsets[2] = {0, 0};
    pith_bytes out;
    pith_error error;
    head.offsets = offsets;
    pith_bytes_init(&out, NULL);
    const pith_answer_token the = {.token = THE};
    for (size_t i = 0; i < 3; i++) { /* a token whose text is held back has a chunk, too */
        pith_text text = pith_text_of(i == 1 ? "" : " the");
        CHECK(pith_answer_stream_piece(&head, i % 2, text, &the, &out, &error) == PITH_OK, "%s",
              error.message);
        const char *expected[] = {"\"text_offset\":[0]}", "\"text_offset\":[0]}",
                                  "\"text_offset\":[4]}"};
        CHECK(strstr(out.data, expected[i]) != NULL, "piece %zu: %s", i, out.data);
        out.size = 0;
    }
    CHECK(offsets[0] == 8 && offsets[1] == 4, "%zu and %zu", offsets[0], offsets[1]);
    pith_bytes_release(&out);
    pith_model_free(model);
}

TEST(answer_numbers, echoes_a_prompt_of_ids) {
    pith_model *model = open_tiny();
    const int32_t ids[] = {1, THE, A};
    const pith_request_prompt prompt = {.tokens = ids, .n_tokens = 3};
    const pith_request request = {.endpoint = PITH_ENDPOINT_COMPLETION,
                                  .n_choices = 1,
                                  .prompts = &prompt,
                                  .n_prompts = 1,
                                  .echo = true};
    const pith_answer_head head = head_of(&request, model);
    pith_bytes out;
    pith_error error;
    pith_bytes_init(&out, NULL);
    CHECK(pith_answer_stream_open(&head, 0, &out, &error) == PITH_OK, "%s", error.message);
    CHECK(strstr(out.data, "{\"text\":\"thea\",") != NULL, "%s", out.data);
    pith_bytes_release(&out);
    pith_model_free(model);
}

/* ---- Embeddings ------------------------------------------------------------------------------ */

static const pith_answer_usage nine = {.prompt_tokens = 9};

static void check_embeddings(pith_endpoint endpoint, bool base64, const char *expected) {
    const float vectors[] = {1, -0.5F, 0.1F, 1e-10F};
    const pith_request request = {.endpoint = endpoint, .base64 = base64};
    const pith_answer_head head = head_of(&request, NULL);
    pith_bytes out;
    pith_error error;
    pith_bytes_init(&out, NULL);
    CHECK(pith_answer_embeddings(&head, vectors, 2, 2, &nine, &out, &error) == PITH_OK, "%s",
          error.message);
    CHECK(strcmp(out.data, expected) == 0, "\nexpected %s\nactual   %s", expected, out.data);
    pith_bytes_release(&out);
}

TEST(answer_numbers, embeddings) {
    check_embeddings(
        PITH_ENDPOINT_EMBED, false,
        "{\"embeddings\":[[1.0,-0.5],[0.1,1e-10]],\"usage\":{\"promptTokenCount\":9}}");
    check_embeddings(
        PITH_ENDPOINT_EMBEDDING, false,
        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
        "\"embedding\":[1.0,-0.5]},{\"object\":\"embedding\",\"index\":1,\"embedding\":"
        "[0.1,1e-10]}],\"model\":\"m\",\"usage\":{\"prompt_tokens\":9,"
        "\"total_tokens\":9}}");
    /* 0000803f 000000bf, cdcccc3d fffedb2e: Python's base64.b64encode(struct.pack("<ff", ...)). */
    check_embeddings(
        PITH_ENDPOINT_EMBEDDING, true,
        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
        "\"embedding\":\"AACAPwAAAL8=\"},{\"object\":\"embedding\",\"index\":1,"
        "\"embedding\":\"zczMPf/m2y4=\"}],\"model\":\"m\",\"usage\":{\"prompt_tokens\":"
        "9,\"total_tokens\":9}}");
}

TEST(answer_numbers, embeddings_must_be_finite) {
    const float vectors[] = {1, 2, NAN, 4};
    const pith_request request = {.endpoint = PITH_ENDPOINT_EMBEDDING, .base64 = true};
    const pith_answer_head head = head_of(&request, NULL);
    pith_bytes out;
    pith_error error;
    pith_bytes_init(&out, NULL);
    CHECK(pith_answer_embeddings(&head, vectors, 2, 2, &nine, &out, &error) == PITH_ERROR_NUMERIC &&
              strcmp(error.message, "embedding 1 has a number that is not finite") == 0,
          "%s", error.message);
    pith_bytes_release(&out);
}

/* ---- Floats ---------------------------------------------------------------------------------- */

TEST(float_text, forms) {
    static const struct {
        float x;
        const char *text;
    } rows[] = {{0.0F, "0.0"},
                {-0.0F, "-0.0"},
                {1, "1.0"},
                {-2.5F, "-2.5"},
                {100, "100.0"},
                {0.1F, "0.1"},
                {0.9F, "0.9"},
                {1.1F, "1.1"},
                {16777216, "16777216.0"},
                {123456792, "123456790.0"},
                {1e9F, "1e9"},
                /* 131433980 lies right between two floats. */
                {131433984, "131433984.0"},
                {0.00001F, "0.00001"},
                {0.000001F, "1e-6"},
                {-1.5e-7F, "-1.5e-7"},
                {0x1p-149F, "1.40129846e-45"},
                {-3.4028234663852886e38F, "-3.40282347e+38"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[PITH_FLOAT_TEXT];
        size_t n = pith_float_text(rows[i].x, text);
        CHECK(strcmp(text, rows[i].text) == 0 && n == strlen(text), "%a: %s, not %s",
              (double)rows[i].x, text, rows[i].text);
    }
}

/* Digits of a number, without the zeros around them. */
static size_t count_digits(const char *text) {
    char digits[40];
    size_t n = 0;
    for (; *text != '\0' && *text != 'e'; text++) {
        if ((*text > '0' || (*text == '0' && n > 0)) && *text <= '9') {
            digits[n++] = *text;
        }
    }
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    return n;
}

/* A number right between two floats does not count: not all readers round it alike. */
static bool reads_back(double decimal, float x) {
    return (float)decimal == x && (float)nextafter(decimal, -INFINITY) == x &&
           (float)nextafter(decimal, INFINITY) == x;
}

TEST(float_text, every_float_survives_in_the_fewest_digits) {
    uint64_t random = 1;
    for (size_t i = 0; i < 200000; i++) {
        char text[PITH_FLOAT_TEXT];
        char printed[40];
        uint32_t bits = (uint32_t)test_random(&random);
        float x;
        memcpy(&x, &bits, sizeof x);
        if (i % 2 == 0) { /* of the size that embeddings have, too */
            x = test_random_normal(&random) * 0.05F;
        }
        if (!isfinite(x)) {
            continue;
        }
        size_t n = pith_float_text(x, text);
        CHECK(n == strlen(text) && strtof(text, NULL) == x && (float)strtod(text, NULL) == x,
              "seed 1, %zu: %a became %s", i, (double)x, text);
        if (fabsf(x) < 1e-13F || fabsf(x) >= 1e22F) {
            continue;
        }
        int least = 1;
        while (snprintf(printed, sizeof printed, "%.*e", least - 1, (double)x) > 0 &&
               !reads_back(strtod(printed, NULL), x)) {
            least++;
        }
        CHECK(count_digits(text) <= (size_t)least, "seed 1, %zu: %a became %s, %s is enough", i,
              (double)x, text, printed);
    }
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Everything that an answer is made of, once. */
static pith_status write_all(const pith_model *model, pith_bytes *out, pith_error *error) {
    const int32_t ids[] = {THE, A};
    const float vectors[] = {1, 2};
    const pith_scored_token top[] = {{A, -1}, {BYTES + 0xC3, -2}};
    const pith_answer_token token = {.token = THE, .top = top, .n_top = 2};
    const pith_request_prompt prompt = {.tokens = ids, .n_tokens = 2};
    const pith_answer_usage usage = {.prompt_tokens = 1};
    pith_request request = {.endpoint = PITH_ENDPOINT_COMPLETION,
                            .n_choices = 1,
                            .prompts = &prompt,
                            .n_prompts = 1,
                            .logprobs = true,
                            .include_usage = true,
                            .echo = true,
                            .base64 = true};
    const pith_answer_head head = head_of(&request, model);
    const pith_answer_choice choice = {.text = pith_text_of("x"), .tokens = &token, .n_tokens = 1};
    pith_status status = pith_answer_write(&head, &choice, 1, &usage, out, error);
    status = status != PITH_OK ? status : pith_answer_stream_open(&head, 0, out, error);
    request.endpoint = PITH_ENDPOINT_CHAT;
    status = status != PITH_OK
                 ? status
                 : pith_answer_stream_piece(&head, 0, choice.text, &token, out, error);
    status = status != PITH_OK ? status : pith_answer_stream_usage(&head, &usage, out, error);
    request.endpoint = PITH_ENDPOINT_EMBEDDING;
    status = status != PITH_OK ? status
                               : pith_answer_embeddings(&head, vectors, 1, 2, &usage, out, error);
    return status != PITH_OK ? status : pith_answer_stream_done(out, error);
}

TEST(answer_numbers, every_allocation_may_fail) {
    pith_model *model = open_tiny();
    pith_status status = PITH_ERROR_MEMORY;
    size_t n_whole = 0;
    for (size_t round = 1; status != PITH_OK; round++) {
        pith_error error = {.message = ""};
        pith_bytes out;
        test_allocator memory;
        test_allocator_init(&memory);
        memory.fail_at = round;
        pith_bytes_init(&out, &memory.allocator);
        status = write_all(model, &out, &error);
        CHECK((status == PITH_OK) == (memory.n_calls < round), "allocation %zu: %s", round,
              error.message);
        CHECK(status == PITH_OK || (status == PITH_ERROR_MEMORY && error.message[0] != '\0'),
              "allocation %zu: %s", round, error.message);
        CHECK(out.data == NULL || strlen(out.data) == out.size, "allocation %zu: half an answer",
              round);
        n_whole = out.size;
        pith_bytes_release(&out);
        CHECK(memory.n_live == 0, "allocation %zu: %zu blocks leaked", round,
              (size_t)memory.n_live);
    }
    CHECK(n_whole > 1000, "%zu bytes", n_whole);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}
