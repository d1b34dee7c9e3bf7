/* The scheduler's sessions: shared prefixes, the budget of the cache, slow readers, failures of one
 * among many. */
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "engine/model.h"
#include "server/scheduler_inside.h"
#include "tests/jobs.h"
#include "tests/support.h"
#include "tests/test.h"

static const pith_generate_params ten_tokens = {.max_tokens = 10, .ignore_eos = true};

typedef struct stage {
    pith_model *model;
    pith_turn turn;
    pith_scheduler *scheduler;
} stage;

static void open_stage_of(stage *s, pith_type type, pith_scheduler_options options) {
    s->model = test_open_tiny(type);
    pith_turn_init(&s->turn);
    options.turn = &s->turn;
    s->scheduler = test_scheduler(s->model, &options);
}

static void open_stage(stage *s, pith_scheduler_options options) {
    open_stage_of(s, PITH_TYPE_INT8, options);
}

static void close_stage(stage *s) {
    pith_scheduler_free(s->scheduler);
    pith_turn_destroy(&s->turn);
    pith_model_free(s->model);
    CHECK_NO_LEAKS();
}

/* ---- Prefixes -------------------------------------------------------------------------------- */

/* Runs a job, checks its text against a fresh session's and returns its cached tokens. */
static size_t run_cached(const stage *s, const int32_t *tokens, size_t n_tokens, int64_t key) {
    char text[TEST_MAX_TEXT];
    pith_usage usage;
    pith_job *job = test_job(tokens, n_tokens, &ten_tokens, key);
    test_submit(s->scheduler, job);
    test_answer *answer = test_finish(job);
    size_t n = test_generate(s->model, tokens, n_tokens, &ten_tokens, text, &usage);
    CHECK(answer->n_text[0] == n && memcmp(answer->text[0], text, n) == 0,
          "\"%.*s\", expected \"%s\"", (int)answer->n_text[0], answer->text[0], text);
    CHECK(answer->usage.prompt_tokens == n_tokens, "%zu prompt tokens",
          answer->usage.prompt_tokens);
    size_t n_cached = answer->usage.cached_tokens;
    free(answer);
    test_await_state(s->scheduler, 0, 0);
    return n_cached;
}

TEST(scheduler_sessions, a_prefix_is_shared_by_requests_of_one_key) {
    stage s;
    open_stage(&s, (pith_scheduler_options){0});
    int32_t tokens[60];
    test_prompt(tokens, 60, 1);
    CHECK(run_cached(&s, tokens, 30, 1) == 0, "nothing was there");
    CHECK(run_cached(&s, tokens, 30, 2) == 0, "another key's prefix was used");
    size_t n = run_cached(&s, tokens, 60, 1);
    CHECK(n == 30, "%zu tokens cached, not 30", n);
    n = run_cached(&s, tokens, 60, 1);
    CHECK(n == 59, "%zu tokens of the same prompt cached, not 59", n);
    close_stage(&s);
}

TEST(scheduler_sessions, a_long_conversation_survives_a_short_prompt_that_begins_alike) {
    stage s;
    open_stage(&s, (pith_scheduler_options){0});
    int32_t tokens[100];
    int32_t other[30];
    test_prompt(tokens, 100, 1);
    test_prompt(other, 30, 2);
    memcpy(other, tokens, 20 * sizeof *other);
    other[20] = tokens[20] == 260 ? 261 : 260;
    CHECK(run_cached(&s, tokens, 90, 1) == 0, "nothing was there");
    size_t n = run_cached(&s, other, 30, 1);
    CHECK(n == 20, "%zu tokens of the common beginning, not 20", n);
    n = run_cached(&s, tokens, 100, 1);
    CHECK(n == 90, "%zu tokens of the long conversation, not 90", n);
    close_stage(&s);
}

TEST(scheduler_sessions, idle_sessions_are_bounded) {
    stage s;
    open_stage(&s, (pith_scheduler_options){.n_parallel = 3});
    int32_t tokens[20];
    for (unsigned i = 0; i < 6; i++) {
        test_prompt(tokens, 20, i + 1);
        run_cached(&s, tokens, 20, 1);
    }
    pith_scheduler_state state;
    pith_scheduler_get_state(s.scheduler, &state);
    CHECK(state.idle_sessions == 3, "%zu idle sessions", state.idle_sessions);
    CHECK(state.kv_bytes > 0, "no bytes of cache");
    test_prompt(tokens, 20, 5);
    CHECK(run_cached(&s, tokens, 20, 1) == 19, "a recent session is gone");
    test_prompt(tokens, 20, 1);
    CHECK(run_cached(&s, tokens, 20, 1) == 0, "the oldest session is there");
    close_stage(&s);
}

/* ---- The budget ------------------------------------------------------------------------------ */

TEST(scheduler_sessions, choices_are_admitted_as_the_budget_allows) {
    stage s = {0};
    pith_model *model = test_open_tiny(PITH_TYPE_INT8);
    size_t need = pith_model_kv_bytes(model, PITH_KV_AUTO, 50);
    size_t all = pith_model_kv_bytes(model, PITH_KV_AUTO, 128);
    pith_model_free(model);
    size_t limit = all > 2 * need ? all : 2 * need;
    size_t most = limit / need;
    CHECK(most >= 2 && most < 8, "%zu would fit", most);
    open_stage(&s, (pith_scheduler_options){.n_parallel = 10, .kv_bytes = limit});
    int32_t tokens[40];
    pith_job *jobs[10];
    pith_turn_take(&s.turn);
    for (size_t i = 0; i < 10; i++) {
        test_prompt(tokens, 40, (unsigned)i);
        jobs[i] = test_job(tokens, 40, &ten_tokens, (int64_t)i);
        test_submit(s.scheduler, jobs[i]);
        test_await_pass(&s.turn);
    }
    size_t most_running = 0;
    for (size_t pass = 0; pass < 20; pass++) {
        pith_scheduler_state state;
        test_one_pass(&s.turn);
        pith_scheduler_get_state(s.scheduler, &state);
        most_running = state.running > most_running ? state.running : most_running;
        CHECK(state.kv_bytes <= limit, "pass %zu: %zu bytes, limit %zu", pass, state.kv_bytes,
              limit);
    }
    pith_turn_give(&s.turn);
    for (size_t i = 0; i < 10; i++) {
        test_answer *answer = test_finish(jobs[i]);
        CHECK(answer->done[0], "job %zu: %s", i, answer->problem.message);
        free(answer);
    }
    CHECK(most_running == most, "%zu at once, not %zu", most_running, most);
    pith_scheduler_state state;
    test_await_state(s.scheduler, 0, 0);
    pith_scheduler_get_state(s.scheduler, &state);
    CHECK(state.kv_bytes <= limit && state.idle_sessions >= 1, "%zu bytes, %zu idle",
          state.kv_bytes, state.idle_sessions);
    close_stage(&s);
}

TEST(scheduler_sessions, a_small_budget_shortens_the_context) {
    stage s;
    pith_model *model = test_open_tiny(PITH_TYPE_INT8);
    size_t limit = pith_model_kv_bytes(model, PITH_KV_AUTO, 32);
    pith_model_free(model);
    open_stage(&s, (pith_scheduler_options){.kv_bytes = limit});
    size_t n_context = pith_scheduler_context(s.scheduler);
    CHECK(n_context >= 32 && n_context < 128, "a context of %zu", n_context);
    CHECK(pith_model_kv_bytes(s.model, PITH_KV_AUTO, n_context) <= limit &&
              pith_model_kv_bytes(s.model, PITH_KV_AUTO, n_context + 1) > limit,
          "a context of %zu is not the longest that fits", n_context);
    int32_t tokens[128];
    pith_problem problem;
    test_prompt(tokens, 128, 1);
    pith_job *job = test_job(tokens, n_context, &ten_tokens, 1);
    CHECK(!pith_scheduler_submit(s.scheduler, job, &problem) && problem.http == 400, "%d",
          problem.http);
    pith_job_release(job);
    pith_generate_params endless = {.ignore_eos = true};
    job = test_job(tokens, 10, &endless, 1);
    test_submit(s.scheduler, job);
    test_answer *answer = test_finish(job);
    CHECK(answer->done[0] && answer->usage.generated_tokens == n_context - 9, "%zu tokens",
          answer->usage.generated_tokens);
    free(answer);
    close_stage(&s);
}

/* ---- Slow readers ---------------------------------------------------------------------------- */

/* A job whose pieces nobody takes, as large as it gets. */
static pith_job *submit_unread(const stage *s, double deadline) {
    int32_t tokens[4];
    size_t n_tokens = 4;
    const int32_t *prompt = tokens;
    test_prompt(tokens, 4, 1);
    pith_job_spec spec = {
        .prompts = &prompt,
        .n_tokens = &n_tokens,
        .n_prompts = 1,
        .n_choices = TEST_MAX_CHOICES,
        .params = {.sampling = {.temperature = 1},
                   .ignore_eos = true,
                   .logprobs = true,
                   .n_top_logprobs = 20},
        .deadline = deadline,
    };
    pith_job *job = test_job_of(&spec);
    test_submit(s->scheduler, job);
    return job;
}

TEST(scheduler_sessions, pieces_that_nobody_takes_stay_bounded) {
    stage s;
    open_stage(&s, (pith_scheduler_options){.n_parallel = TEST_MAX_CHOICES + 1});
    pith_job *unread = submit_unread(&s, 0);
    while (!pith_job_is_full(unread)) {
        sched_yield();
    }
    /* Others go on meanwhile. */
    int32_t tokens[10];
    test_prompt(tokens, 10, 2);
    for (int64_t key = 2; key < 5; key++) {
        pith_job *other = test_job(tokens, 10, &ten_tokens, key);
        test_submit(s.scheduler, other);
        test_answer *answer = test_finish(other);
        CHECK(answer->done[0], "%s", answer->problem.message);
        free(answer);
    }
    size_t n = atomic_load(&unread->n_backlog);
    CHECK(n <= PITH_JOB_BACKLOG + TEST_MAX_CHOICES * 1000, "%zu bytes wait", n);
    CHECK(!pith_job_finished(unread), "it is finished: it proves nothing");
    test_answer *answer = test_finish(unread);
    for (size_t i = 0; i < TEST_MAX_CHOICES; i++) {
        CHECK(answer->done[i] && answer->n_tokens[i] == 125, "choice %zu: %zu tokens", i,
              answer->n_tokens[i]);
    }
    CHECK(answer->usage.generated_tokens == TEST_MAX_CHOICES * (size_t)125, "%zu tokens",
          answer->usage.generated_tokens);
    free(answer);
    close_stage(&s);
}

TEST(scheduler_sessions, a_deadline_ends_a_job_that_nobody_reads) {
    stage s;
    open_stage(&s, (pith_scheduler_options){.n_parallel = TEST_MAX_CHOICES});
    pith_job *unread = submit_unread(&s, pith_clock() + 0.5);
    test_await_state(s.scheduler, 0, 0); /* with nothing to do but to wait for the deadline */
    CHECK(pith_job_is_over(unread), "it ended by itself: it proves nothing");
    test_answer *answer = test_finish(unread);
    CHECK(answer->failed && answer->problem.http == 504, "%d", answer->problem.http);
    free(answer);
    close_stage(&s);
}

/* ---- Failures of one ------------------------------------------------------------------------- */

static void spoil(void *user, float *logits) {
    (void)user;
    logits[3] = NAN;
}

TEST(scheduler_sessions, a_step_that_fails_fails_its_job_alone) {
    stage s;
    open_stage(&s, (pith_scheduler_options){0});
    int32_t tokens[10];
    test_prompt(tokens, 10, 1);
    pith_generate_params bad = {.max_tokens = 10, .mask = spoil};
    pith_generate_params refused = {.max_tokens = 10, .sampling = {.temperature = -1}};
    pith_job *first = test_job(tokens, 10, &bad, 1);
    pith_job *second = test_job(tokens, 10, &refused, 1);
    pith_turn_take(&s.turn);
    test_submit(s.scheduler, first);
    test_submit(s.scheduler, second);
    pith_turn_give(&s.turn);
    run_cached(&s, tokens, 10, 3);
    test_answer *answer = test_finish(first);
    CHECK(answer->failed && answer->problem.http == 500, "%d", answer->problem.http);
    free(answer);
    answer = test_finish(second);
    CHECK(answer->failed && answer->problem.http == 400, "%d", answer->problem.http);
    free(answer);
    close_stage(&s);
}

TEST(scheduler_sessions, a_pass_that_fails_fails_the_culprit_alone) {
    stage s;
    open_stage_of(&s, PITH_TYPE_F32, (pith_scheduler_options){0});
    int32_t tokens[5][12];
    pith_job *jobs[5];
    test_spoil_row(&s.model->network.embed, 299);
    pith_turn_take(&s.turn);
    for (size_t i = 0; i < 5; i++) {
        test_prompt(tokens[i], 12, (unsigned)i);
        for (size_t t = 0; t < 12; t++) {
            tokens[i][t] = tokens[i][t] == 299 ? 298 : tokens[i][t];
        }
        tokens[i][11] = i == 2 ? 299 : tokens[i][11];
        const pith_logit_bias never = {.token = 299, .bias = -INFINITY};
        pith_generate_params params = ten_tokens;
        params.bias = &never;
        params.n_bias = 1;
        jobs[i] = test_job(tokens[i], 12, &params, (int64_t)i);
        test_submit(s.scheduler, jobs[i]);
    }
    pith_turn_give(&s.turn);
    for (size_t i = 0; i < 5; i++) {
        test_answer *answer = test_finish(jobs[i]);
        CHECK(answer->failed == (i == 2), "job %zu: %s", i, answer->problem.message);
        CHECK(i != 2 || answer->problem.http == 500, "%d", answer->problem.http);
        CHECK(i == 2 || answer->usage.generated_tokens == 10, "job %zu: %zu tokens", i,
              answer->usage.generated_tokens);
        free(answer);
    }
    close_stage(&s);
}
