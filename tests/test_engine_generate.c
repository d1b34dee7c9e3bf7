/* Generation: limits, stop strings across tokens, callbacks, usage. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

typedef struct text {
    char bytes[4096];
    size_t n;
    size_t calls;
    size_t stop_after; /* calls; 0: never */
} text;

static bool collect(void *user, pith_text piece) {
    text *t = user;
    CHECK(t->n + piece.n_bytes < sizeof t->bytes, "too much text");
    if (piece.n_bytes != 0) {
        memcpy(t->bytes + t->n, piece.data, piece.n_bytes);
    }
    t->n += piece.n_bytes;
    t->bytes[t->n] = '\0';
    t->calls++;
    return t->calls != t->stop_after;
}

static pith_model *open_tiny(const pith_allocator *allocator) {
    const char *path = test_path("tiny.pith");
    test_write_tiny_model(path, PITH_TYPE_INT8, 3);
    pith_model *model = NULL;
    pith_error error;
    pith_model_options options = {.allocator = allocator, .n_threads = 2};
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

static const int32_t prompt[4] = {1, 280, 290, 270};

/* A generation on a fresh session of context 128. */
static pith_usage generate(const pith_model *model, const pith_generate_params *params, text *out) {
    pith_error error;
    pith_session *session = NULL;
    pith_status status = pith_session_new(&session, model, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_usage usage;
    size_t stop_after = out->stop_after;
    *out = (text){.stop_after = stop_after};
    status = pith_generate(session, prompt, 4, params, collect, out, &usage, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(usage.prompt_tokens == 4, "%zu prompt tokens", usage.prompt_tokens);
    pith_session_free(session);
    return usage;
}

TEST(engine_generate, ends_at_max_tokens_and_at_the_context) {
    pith_model *model = open_tiny(NULL);
    text out = {0};
    pith_generate_params params = {.sampling = {.temperature = 1.0F, .seed = 5},
                                   .max_tokens = 10,
                                   .ignore_eos = true};
    pith_usage usage = generate(model, &params, &out);
    CHECK(usage.finish == PITH_FINISH_LENGTH && usage.generated_tokens == 10, "%zu tokens",
          usage.generated_tokens);
    params.max_tokens = 0;
    usage = generate(model, &params, &out);
    CHECK(usage.finish == PITH_FINISH_CONTEXT, "finish %d", (int)usage.finish);
    CHECK(usage.generated_tokens == 125, "%zu tokens", usage.generated_tokens);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_generate, an_end_token_is_not_text) {
    pith_model *model = open_tiny(NULL);
    text out = {0};
    pith_generate_params params = {.max_tokens = 5, .ignore_eos = true};
    generate(model, &params, &out);
    /* Make the first greedy token an end token: nothing may come out. */
    pith_session *session = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_session_eval(session, prompt, 4, &error) == PITH_OK, "%s", error.message);
    const float *logits = pith_session_logits(session);
    int32_t best = 0;
    for (int32_t i = 1; i < 300; i++) {
        best = logits[i] > logits[best] ? i : best;
    }
    model->eos[0] = best;
    model->n_eos = 1;
    params.ignore_eos = false;
    pith_usage usage = generate(model, &params, &out);
    CHECK(usage.finish == PITH_FINISH_EOS && usage.generated_tokens == 0 && out.n == 0,
          "finish %d, %zu tokens, \"%s\"", (int)usage.finish, usage.generated_tokens, out.bytes);
    pith_session_free(session);
    pith_model_free(model);
}

/* Every substring of a generated text as a stop string: the text must end right before its first
 * occurrence, however tokens and characters fall. */
TEST(engine_generate, stop_strings_cut_exactly_across_tokens) {
    pith_model *model = open_tiny(NULL);
    text whole = {0};
    pith_generate_params params = {.sampling = {.temperature = 1.2F, .seed = 11},
                                   .max_tokens = 40,
                                   .ignore_eos = true};
    generate(model, &params, &whole);
    CHECK(whole.n > 20, "only %zu bytes of text", whole.n);
    for (size_t begin = 0; begin < whole.n; begin += 3) {
        for (size_t n = 1; n <= 9 && begin + n <= whole.n; n += 4) {
            char stop[16];
            memcpy(stop, whole.bytes + begin, n);
            stop[n] = '\0';
            if (strlen(stop) != n) {
                continue; /* holds a NUL */
            }
            const char *stops[2] = {"no such text anywhere", stop};
            params.stops = stops;
            params.n_stops = 2;
            text out = {0};
            pith_usage usage = generate(model, &params, &out);
            size_t expected = (size_t)((char *)memmem(whole.bytes, whole.n, stop, n) - whole.bytes);
            CHECK(usage.finish == PITH_FINISH_STOP && out.n == expected &&
                      memcmp(out.bytes, whole.bytes, out.n) == 0,
                  "stop at %zu+%zu: finish %d, %zu bytes, expected %zu", begin, n,
                  (int)usage.finish, out.n, expected);
        }
    }
    const char *absent[1] = {"no such text anywhere"};
    params.stops = absent;
    params.n_stops = 1;
    text out = {0};
    pith_usage usage = generate(model, &params, &out);
    CHECK(usage.finish == PITH_FINISH_LENGTH && out.n == whole.n, "held-back text was lost");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* The tokens that greedy generation chooses after the prompt, [n]. */
static void choose_greedily(const pith_model *model, int32_t *tokens, size_t n) {
    pith_session *session = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    const pith_generate_params params = {.max_tokens = n + 1, .ignore_eos = true};
    pith_status status = pith_generate(session, prompt, 4, &params, NULL, NULL, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    memcpy(tokens, pith_session_tokens(session) + 4, n * sizeof *tokens);
    pith_session_free(session);
}

/* A special token gives no text, so a stop string of its spelling would never be seen in any. */
TEST(engine_generate, the_spelling_of_a_special_token_stops_at_the_token) {
    enum { N = 12 };
    pith_model *model = open_tiny(NULL);
    int32_t tokens[N];
    choose_greedily(model, tokens, N);
    size_t last = N - 1;
    size_t first = 0; /* where that token comes for the first time */
    while (tokens[first] != tokens[last]) {
        first++;
    }
    uint8_t *type = (uint8_t *)&pith_tokenizer_vocab(model->tokenizer)->types[tokens[last]];
    *type = PITH_PIECE_CONTROL; /* the file was read into memory, not mapped */
    pith_text text_of_it;
    char spelling[64] = "";
    pith_token_text(model, tokens[last], &text_of_it, NULL);
    memcpy(spelling, text_of_it.data, text_of_it.n_bytes);
    text before = {0};
    pith_generate_params params = {.max_tokens = first, .ignore_eos = true};
    if (first > 0) {
        generate(model, &params, &before);
    }
    const char *const stops[] = {"no such text", spelling};
    char held[4200]; /* all the text may be the beginning of this one and is held back */
    snprintf(held, sizeof held, "%s and more", before.bytes);
    const char *const with_held[] = {spelling, held};
    params = (pith_generate_params){.stops = stops, .n_stops = 2, .ignore_eos = true};
    for (size_t speculate = 0; speculate <= 4; speculate += 4) {
        text out = {0};
        params.speculate = speculate;
        pith_usage usage = generate(model, &params, &out);
        CHECK(usage.finish == PITH_FINISH_STOP && usage.generated_tokens == first,
              "finish %d after %zu tokens, expected %zu", (int)usage.finish, usage.generated_tokens,
              first);
        CHECK(strcmp(out.bytes, before.bytes) == 0, "\"%s\", expected \"%s\"", out.bytes,
              before.bytes);
    }
    if (strlen(held) <= 256) {
        text out = {0};
        params = (pith_generate_params){.stops = with_held, .n_stops = 2};
        pith_usage usage = generate(model, &params, &out);
        CHECK(usage.finish == PITH_FINISH_STOP && strcmp(out.bytes, before.bytes) == 0,
              "finish %d, \"%s\", expected \"%s\"", (int)usage.finish, out.bytes, before.bytes);
    }
    pith_model_free(model);
}

/* A special token gives no text, unless it is one that is to be shown. */
TEST(engine_generate, shown_tokens_are_text) {
    static const pith_logit_bias force_bos = {.token = 1, .bias = 1000.0F};
    static const int32_t shown[] = {5, 1};
    pith_model *model = open_tiny(NULL);
    for (size_t n_shown = 0; n_shown <= 2; n_shown++) {
        text out = {0};
        const pith_generate_params params = {
            .max_tokens = 3, .bias = &force_bos, .n_bias = 1, .shown = shown, .n_shown = n_shown};
        generate(model, &params, &out);
        const char *expected = n_shown == 2 ? "<s><s><s>" : "";
        CHECK(out.n == strlen(expected) && memcmp(out.bytes, expected, out.n) == 0,
              "%zu shown: \"%.*s\"", n_shown, (int)out.n, out.bytes);
    }
    pith_session *session = NULL;
    pith_error error;
    const pith_generate_params wrong = {.shown = (const int32_t[]){300}, .n_shown = 1};
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_generate(session, prompt, 4, &wrong, NULL, NULL, NULL, &error) == PITH_ERROR_TOKEN &&
              strstr(error.message, "shown token 300") != NULL,
          "%s", error.message);
    pith_session_free(session);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

TEST(engine_generate, further_end_tokens_end_it_whatever_ignore_eos_says) {
    enum { N = 6 };
    pith_model *model = open_tiny(NULL);
    int32_t tokens[N];
    choose_greedily(model, tokens, N);
    size_t first = 0;
    while (tokens[first] != tokens[N - 1]) {
        first++;
    }
    const int32_t eos[2] = {tokens[N - 1], 0};
    for (int ignore = 0; ignore < 2; ignore++) {
        text out = {0};
        pith_generate_params params = {.ignore_eos = ignore != 0, .eos = eos, .n_eos = 2};
        pith_usage usage = generate(model, &params, &out);
        CHECK(usage.finish == PITH_FINISH_EOS && usage.generated_tokens <= first,
              "finish %d after %zu tokens, expected %zu", (int)usage.finish, usage.generated_tokens,
              first);
    }
    pith_session *session = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    const int32_t beyond[1] = {300};
    pith_generate_params params = {.eos = beyond, .n_eos = 1};
    CHECK(pith_generate(session, prompt, 4, &params, NULL, NULL, NULL, &error) ==
                  PITH_ERROR_TOKEN &&
              pith_session_length(session) == 0,
          "token 300 of 300");
    params = (pith_generate_params){.n_eos = 1};
    CHECK(pith_generate(session, prompt, 4, &params, NULL, NULL, NULL, &error) ==
              PITH_ERROR_ARGUMENT,
          "no array");
    pith_session_free(session);
    pith_model_free(model);
}

TEST(engine_generate, the_callback_can_stop_it) {
    pith_model *model = open_tiny(NULL);
    pith_generate_params params = {.sampling = {.temperature = 1.0F, .seed = 2},
                                   .max_tokens = 50,
                                   .ignore_eos = true};
    text out = {.stop_after = 3};
    pith_usage usage = generate(model, &params, &out);
    CHECK(usage.finish == PITH_FINISH_STOPPED && out.calls == 3, "%zu calls", out.calls);
    pith_model_free(model);
}

TEST(engine_generate, bad_parameters_are_refused) {
    pith_model *model = open_tiny(NULL);
    pith_session *session = NULL;
    pith_error error;
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    const char *empty[1] = {""};
    pith_generate_params params = {.stops = empty, .n_stops = 1};
    pith_status status = pith_generate(session, prompt, 4, &params, NULL, NULL, NULL, &error);
    CHECK(status == PITH_ERROR_ARGUMENT && strstr(error.message, "stop") != NULL, "%s",
          error.message);
    params = (pith_generate_params){.sampling = {.temperature = -1.0F}};
    status = pith_generate(session, prompt, 4, &params, NULL, NULL, NULL, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "status %d", (int)status);
    status = pith_generate(session, prompt, 0, NULL, NULL, NULL, NULL, &error);
    CHECK(status == PITH_ERROR_ARGUMENT, "empty prompt: %d", (int)status);
    static int32_t longer[200];
    status = pith_generate(session, longer, 200, NULL, NULL, NULL, NULL, &error);
    CHECK(status == PITH_ERROR_CONTEXT && strstr(error.message, "200") != NULL, "%s",
          error.message);
    CHECK(pith_session_length(session) == 0, "the timeline changed");
    pith_session_free(session);
    pith_model_free(model);
}

/* But for the cache and the list of tokens, where the timeline enters a new block of positions. */
TEST(engine_generate, allocations_do_not_grow_with_tokens) {
    enum { BLOCKS = 2 }; /* 16 and 32, up to 4 + 60 tokens */
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model *model = open_tiny(&counting.allocator);
    size_t calls[3]; /* the first makes the model's work buffers */
    for (size_t i = 0; i < 3; i++) {
        pith_generate_params params = {.sampling = {.temperature = 1.0F, .top_k = 40},
                                       .max_tokens = i < 2 ? 2 : 60,
                                       .ignore_eos = true};
        text out = {0};
        size_t before = counting.n_calls;
        generate(model, &params, &out);
        calls[i] = counting.n_calls - before;
    }
    CHECK(calls[2] == calls[1] + 2 * BLOCKS, "%zu allocations for 2 tokens, %zu for 60", calls[1],
          calls[2]);
    CHECK(calls[0] == calls[1] + 1, "%zu and %zu allocations", calls[0], calls[1]);
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* The prompt's text and the generated text together are the text of all tokens, spaces included. */
TEST(engine_generate, text_continues_the_prompt) {
    pith_model *model = open_tiny(NULL);
    for (uint64_t seed = 0; seed < 20; seed++) {
        pith_session *session = NULL;
        pith_error error;
        CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
        pith_generate_params params = {.sampling = {.temperature = 1.5F, .seed = seed},
                                       .max_tokens = 12,
                                       .ignore_eos = true};
        size_t n_prompt = seed % 4 + 1; /* 1: the beginning token alone */
        text out = {0};
        pith_status status =
            pith_generate(session, prompt, n_prompt, &params, collect, &out, NULL, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        char before[256];
        char after[256];
        size_t n_before = 0;
        size_t n_after = 0;
        const int32_t *tokens = pith_session_tokens(session);
        status = pith_detokenize(model, tokens, n_prompt, before, sizeof before, &n_before, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        status = pith_detokenize(model, tokens, pith_session_length(session), after, sizeof after,
                                 &n_after, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        /* The last token is not in the timeline, and half a character at its end is not text. */
        size_t n = n_after - n_before < out.n ? n_after - n_before : out.n;
        while (n > 0 && (unsigned char)after[n_before + n - 1] >= 0x80) {
            n--;
        }
        CHECK(memcmp(after + n_before, out.bytes, n) == 0, "seed %zu: \"%.*s\" and \"%s\"",
              (size_t)seed, (int)n_after, after, out.bytes);
        pith_session_free(session);
    }
    pith_model_free(model);
}

/* The same text must come out whether the prompt is evaluated here or stood in the timeline. */
TEST(engine_generate, penalties_count_what_was_evaluated_before) {
    pith_model *model = open_tiny(NULL);
    text outs[2] = {{.n = 0}, {.n = 0}};
    for (size_t before = 0; before < 2; before++) {
        pith_session *session = NULL;
        pith_error error;
        CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
        pith_generate_params params = {.sampling = {.temperature = 2.0F,
                                                    .presence_penalty = 100.0F,
                                                    .repeat_last_n = 300},
                                       .max_tokens = 120,
                                       .ignore_eos = true};
        if (before == 1) {
            CHECK(pith_session_eval(session, prompt, 3, &error) == PITH_OK, "%s", error.message);
        }
        size_t done = pith_session_length(session);
        pith_status status = pith_generate(session, prompt + done, 4 - done, &params, collect,
                                           &outs[before], NULL, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        /* So large a penalty forbids every token of the prompt and every repetition. */
        bool seen[300] = {false};
        for (size_t i = 0; i < pith_session_length(session); i++) {
            int32_t token = pith_session_tokens(session)[i];
            CHECK(!seen[token], "token %d came twice, again at %zu", (int)token, i);
            seen[token] = true;
        }
        pith_session_free(session);
    }
    CHECK(outs[0].n == outs[1].n && memcmp(outs[0].bytes, outs[1].bytes, outs[0].n) == 0,
          "\"%s\" and \"%s\"", outs[0].bytes, outs[1].bytes);
    pith_model_free(model);
}
