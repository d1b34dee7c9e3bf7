/* The embedder: vectors equal to those of pith_embed, packing, fairness, failures, ends. */
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model.h"
#include "server/embedder.h"
#include "tests/golden.h"
#include "tests/jobs.h"
#include "tests/support.h"
#include "tests/test.h"

enum { HIDDEN = 48, N_TEXTS = 10 };

static const char *const words[N_TEXTS] = {"a stone", "",    "the wolf knocked", "rain",
                                           "Straße",  "two", "one two three",    "zebra",
                                           "a",       "salt"};

typedef struct stage {
    pith_model *model;
    pith_turn turn;
    pith_embedder *embedder;
} stage;

static void open_stage_of(stage *s, pith_type type, pith_embedder_options options) {
    pith_problem problem;
    s->model = test_golden_open("minilm", type, NULL, 2, PITH_BLAS_OFF);
    pith_turn_init(&s->turn);
    options.turn = &s->turn;
    CHECK(pith_embedder_new(&s->embedder, s->model, &options, &problem), "%s", problem.message);
}

static void open_stage(stage *s, pith_embedder_options options) {
    open_stage_of(s, PITH_TYPE_INT8, options);
}

static void close_stage(stage *s) {
    pith_embedder_free(s->embedder);
    pith_turn_destroy(&s->turn);
    pith_model_free(s->model);
    CHECK_NO_LEAKS();
}

/* A request and what comes of it. */
typedef struct request {
    pith_embed_input inputs[40];
    float vectors[40 * HIDDEN];
    pith_embed_result results[40];
    pith_embed_job *job;
} request;

static request *submit(const stage *s, size_t first, size_t n, int64_t key) {
    request *r = calloc(1, sizeof *r);
    pith_problem problem;
    CHECK(r != NULL, "out of memory");
    for (size_t i = 0; i < n; i++) {
        r->inputs[i].text = pith_text_of(words[(first + i) % N_TEXTS]);
    }
    CHECK(pith_embedder_submit(s->embedder, r->inputs, n, NULL, r->vectors, r->results, key,
                               &r->job, &problem),
          "%s", problem.message);
    return r;
}

static void end(request *r) {
    pith_embed_job_free(r->job);
    free(r);
}

/* Checks n vectors against those of separate calls. */
static void check_vectors(const stage *s, const request *r, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float expected[HIDDEN];
        pith_embed_result result;
        pith_error error;
        pith_status status =
            pith_embed(s->model, &r->inputs[i], 1, NULL, expected, &result, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        CHECK(memcmp(expected, r->vectors + i * HIDDEN, sizeof expected) == 0,
              "text %zu has another vector", i);
        CHECK(result.n_tokens == r->results[i].n_tokens, "text %zu: %zu tokens, not %zu", i,
              r->results[i].n_tokens, result.n_tokens);
    }
}

TEST(embedder, requests_together_equal_separate_calls) {
    stage s;
    pith_problem problem;
    open_stage(&s, (pith_embedder_options){.n_batch = 7});
    request *requests[6];
    for (size_t i = 0; i < 6; i++) {
        requests[i] = submit(&s, i, 1 + 5 * i, (int64_t)(i % 2));
    }
    for (size_t i = 0; i < 6; i++) {
        CHECK(pith_embed_job_wait(requests[i]->job, &problem), "%s", problem.message);
        check_vectors(&s, requests[i], 1 + 5 * i);
        end(requests[i]);
    }
    close_stage(&s);
}

TEST(embedder, texts_of_different_prompts_share_no_batch) {
    static const char *const prompts[] = {"wolf ", "", "rain ", "wolf "};
    stage s;
    pith_problem problem;
    pith_embed_input input = {.text = pith_text_of("the wolf knocked")};
    pith_embed_job *jobs[4];
    float vectors[4][HIDDEN];
    pith_embed_result results[4];
    open_stage(&s, (pith_embedder_options){.n_batch = 8});
    pith_turn_take(&s.turn); /* all of them wait */
    for (size_t i = 0; i < 4; i++) {
        CHECK(pith_embedder_submit(s.embedder, &input, 1, prompts[i], vectors[i], &results[i],
                                   (int64_t)i, &jobs[i], &problem),
              "%s", problem.message);
    }
    pith_turn_give(&s.turn);
    for (size_t i = 0; i < 4; i++) {
        float expected[HIDDEN];
        pith_error error;
        const pith_embed_options options = {.prompt = prompts[i]};
        CHECK(pith_embed_job_wait(jobs[i], &problem), "%s", problem.message);
        CHECK(pith_embed(s.model, &input, 1, &options, expected, NULL, &error) == PITH_OK, "%s",
              error.message);
        CHECK(memcmp(expected, vectors[i], sizeof expected) == 0, "prompt '%s'", prompts[i]);
        pith_embed_job_free(jobs[i]);
    }
    close_stage(&s);
}

/* Waits until a batch of n texts has the turn or waits for it. */
static void await_batch(const stage *s, size_t running, size_t waiting) {
    pith_embedder_state state = {.running = SIZE_MAX};
    while (state.running != running || state.waiting != waiting) {
        pith_embedder_get_state(s->embedder, &state);
        sched_yield();
    }
}

static bool is_over(const request *r) {
    struct pollfd look = {.fd = pith_embed_job_fd(r->job), .events = POLLIN};
    return poll(&look, 1, 0) == 1;
}

TEST(embedder, keys_share_the_batches) {
    stage s;
    pith_problem problem;
    open_stage(&s, (pith_embedder_options){.n_batch = 4});
    pith_turn_take(&s.turn);
    request *first = submit(&s, 0, 1, 1);
    await_batch(&s, 1, 0);
    request *large = submit(&s, 0, 40, 1);
    request *small = submit(&s, 0, 2, 2);
    await_batch(&s, 1, 42);
    test_one_pass(&s.turn); /* the first text */
    test_one_pass(&s.turn); /* two of each */
    await_batch(&s, 4, 34);
    CHECK(is_over(first) && is_over(small) && !is_over(large), "over: %d %d %d",
          (int)is_over(first), (int)is_over(small), (int)is_over(large));
    pith_turn_give(&s.turn);
    CHECK(pith_embed_job_wait(large->job, &problem), "%s", problem.message);
    check_vectors(&s, large, 40);
    end(first);
    end(large);
    end(small);
    close_stage(&s);
}

TEST(embedder, bad_texts_and_full_queues_are_refused) {
    stage s;
    pith_problem problem;
    pith_embed_job *job;
    open_stage(&s, (pith_embedder_options){.n_queue = 10});
    request *r = submit(&s, 0, 3, 1);
    pith_embed_input inputs[11] = {{.text = pith_text_of("good")},
                                   {.text = pith_text_of("bad \xC3\x28")}};
    CHECK(!pith_embedder_submit(s.embedder, inputs, 2, NULL, r->vectors, r->results, 1, &job,
                                &problem) &&
              problem.http == 400 && strcmp(problem.param, "input[1]") == 0,
          "%d %s", problem.http, problem.param);
    inputs[1] = inputs[0];
    inputs[1].pair = pith_text_of("\xFF");
    CHECK(!pith_embedder_submit(s.embedder, inputs, 2, NULL, r->vectors, r->results, 1, &job,
                                &problem) &&
              problem.http == 400,
          "a bad pair: %d", problem.http);
    CHECK(!pith_embedder_submit(s.embedder, inputs, 0, NULL, NULL, NULL, 1, &job, &problem) &&
              problem.http == 400,
          "no texts: %d", problem.http);
    memset(inputs, 0, sizeof inputs);
    CHECK(!pith_embedder_submit(s.embedder, inputs, 11, NULL, NULL, NULL, 1, &job, &problem) &&
              problem.http == 503 && problem.retry_after > 0,
          "a full queue: %d", problem.http);
    CHECK(pith_embed_job_wait(r->job, &problem), "%s", problem.message);
    end(r);
    close_stage(&s);
}

TEST(embedder, a_job_that_is_freed_ends_early) {
    stage s;
    pith_problem problem;
    open_stage(&s, (pith_embedder_options){.n_batch = 4});
    pith_turn_take(&s.turn);
    request *first = submit(&s, 0, 1, 1);
    await_batch(&s, 1, 0);
    request *queued = submit(&s, 0, 40, 1);
    request *other = submit(&s, 3, 5, 1);
    end(queued);
    await_batch(&s, 1, 5);
    pith_turn_give(&s.turn);
    end(first); /* in the batch under way, or just over */
    CHECK(pith_embed_job_wait(other->job, &problem), "%s", problem.message);
    check_vectors(&s, other, 5);
    end(other);
    close_stage(&s);
}

TEST(embedder, a_text_that_fails_fails_its_request_alone) {
    stage s;
    pith_problem problem;
    open_stage_of(&s, PITH_TYPE_F32, (pith_embedder_options){0});
    int32_t ids[8];
    size_t n = 0;
    pith_error error;
    pith_status status = pith_tokenize(s.model, pith_text_of("zebra"), 0, ids, 8, &n, &error);
    CHECK(status == PITH_OK && n >= 3, "%s", error.message);
    test_spoil_row(&s.model->network.embed, (size_t)ids[1]);
    pith_turn_take(&s.turn);
    request *first = submit(&s, 0, 1, 1);
    await_batch(&s, 1, 0);
    request *bad = submit(&s, 5, 4, 1); /* "two", "one two three", "zebra", "a" */
    request *good = submit(&s, 2, 3, 1);
    pith_turn_give(&s.turn);
    CHECK(!pith_embed_job_wait(bad->job, &problem) && problem.http == 500, "%d", problem.http);
    CHECK(pith_embed_job_wait(good->job, &problem), "%s", problem.message);
    CHECK(pith_embed_job_wait(first->job, &problem), "%s", problem.message);
    check_vectors(&s, good, 3);
    end(first);
    end(bad);
    end(good);
    close_stage(&s);
}

static void *free_embedder(void *embedder) {
    pith_embedder_free(embedder);
    return NULL;
}

TEST(embedder, freeing_it_fails_what_waits) {
    stage s;
    pith_problem problem;
    open_stage(&s, (pith_embedder_options){.n_batch = 2});
    pith_turn_take(&s.turn);
    request *first = submit(&s, 0, 2, 1);
    await_batch(&s, 2, 0);
    request *queued = submit(&s, 0, 5, 1);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_embedder, s.embedder) == 0, "no thread");
    pith_embed_job *refused = NULL;
    float vector[HIDDEN];
    pith_embed_result result;
    while (pith_embedder_submit(s.embedder, queued->inputs, 1, NULL, vector, &result, 1, &refused,
                                &problem)) {
        pith_embed_job_free(refused);
    }
    pith_turn_give(&s.turn);
    pthread_join(thread, NULL);
    s.embedder = NULL;
    CHECK(pith_embed_job_wait(first->job, &problem), "%s", problem.message);
    CHECK(!pith_embed_job_wait(queued->job, &problem) && problem.http == 503, "%d", problem.http);
    end(first);
    end(queued);
    close_stage(&s);
}
