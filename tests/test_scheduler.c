/* The scheduler: answers equal to those of pith_generate, order, ends, limits. */
#include <poll.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "server/fair.h"
#include "server/scheduler_inside.h"
#include "tests/jobs.h"
#include "tests/support.h"
#include "tests/test.h"

static const pith_generate_params ten_tokens = {.max_tokens = 10, .ignore_eos = true};

/* A model, its scheduler and a turn. */
typedef struct stage {
    pith_model *model;
    pith_turn turn;
    pith_scheduler *scheduler;
} stage;

static void open_stage(stage *s, pith_scheduler_options options) {
    s->model = test_open_tiny(PITH_TYPE_INT8);
    pith_turn_init(&s->turn);
    options.turn = &s->turn;
    s->scheduler = test_scheduler(s->model, &options);
}

static void close_stage(stage *s) {
    pith_scheduler_free(s->scheduler);
    pith_turn_destroy(&s->turn);
    pith_model_free(s->model);
    CHECK_NO_LEAKS();
}

/* ---- The queue ------------------------------------------------------------------------------- */

static bool is_third(void *user, pith_fair_item *item) {
    return item == (pith_fair_item *)user + 2;
}

TEST(scheduler, a_fair_queue_serves_keys_in_turn) {
    static const int64_t keys[6] = {7, 7, 7, 8, 9, 8};
    static const size_t order[6] = {0, 3, 4, 1, 5, 2};
    pith_fair_queue queue = {0};
    pith_fair_item items[6] = {0};
    for (size_t i = 0; i < 6; i++) {
        CHECK(pith_fair_add(&queue, &items[i], keys[i]), "out of memory");
    }
    CHECK(pith_fair_find(&queue, is_third, items) == &items[2], "the third is not found");
    for (size_t i = 0; i < 6; i++) {
        pith_fair_item *item = pith_fair_find(&queue, NULL, NULL);
        CHECK(item == &items[order[i]], "place %zu: item %td", i, item - items);
        pith_fair_served(&queue, item);
        pith_fair_remove(&queue, item);
    }
    CHECK(queue.n_items == 0 && queue.first == NULL && queue.last == NULL, "something is left");
    CHECK_NO_LEAKS();
}

TEST(scheduler, a_fair_queue_loses_items_in_any_order) {
    uint64_t state = 1;
    pith_fair_queue queue = {0};
    pith_fair_item items[16] = {0};
    for (size_t round = 0; round < 2000; round++) {
        size_t i = test_random(&state) % 16;
        if (items[i].lane == NULL) {
            CHECK(pith_fair_add(&queue, &items[i], (int64_t)(i % 5)), "out of memory");
        } else {
            pith_fair_served(&queue, &items[i]);
            pith_fair_remove(&queue, &items[i]);
        }
        size_t n = 0;
        for (pith_fair_lane *lane = queue.first; lane != NULL; lane = lane->next) {
            CHECK(lane->first != NULL, "round %zu: an empty lane", round);
            for (pith_fair_item *item = lane->first; item != NULL; item = item->next) {
                CHECK(item->lane == lane, "round %zu: an item of another lane", round);
                n++;
            }
        }
        CHECK(n == queue.n_items, "round %zu: %zu items, not %zu", round, n, queue.n_items);
    }
    for (pith_fair_item *item; (item = pith_fair_find(&queue, NULL, NULL)) != NULL;) {
        pith_fair_remove(&queue, item);
    }
    CHECK_NO_LEAKS();
}

/* ---- Answers --------------------------------------------------------------------------------- */

static const char *const two_stops[] = {"he", "zz"};

/* Eight requests that differ in everything. */
static pith_generate_params params_of(size_t i) {
    pith_generate_params params = {
        .sampling = {.temperature = i % 2 == 0 ? 0 : 0.5F + 0.1F * (float)i,
                     .top_k = i % 3 == 0 ? 20 : 0,
                     .repeat_penalty = i % 4 == 0 ? 1.1F : 0,
                     .seed = 100 + i},
        .max_tokens = i == 5 ? 0 : 20 + 5 * i,
        .ignore_eos = i != 3,
        .speculate = i % 3 == 1 ? 4 : 0,
        .logprobs = i == 6,
        .n_top_logprobs = i == 6 ? 3 : 0,
    };
    if (i == 2 || i == 7) {
        params.stops = two_stops;
        params.n_stops = 2;
    }
    return params;
}

static void check_answer(const pith_model *model, const int32_t *tokens, size_t n_tokens,
                         const pith_generate_params *params, const test_answer *answer,
                         size_t choice, const char *what) {
    char text[TEST_MAX_TEXT];
    pith_usage usage;
    size_t n = test_generate(model, tokens, n_tokens, params, text, &usage);
    CHECK(answer->done[choice] && !answer->failed, "%s: not done: %s", what,
          answer->problem.message);
    CHECK(answer->n_text[choice] == n && memcmp(answer->text[choice], text, n) == 0,
          "%s: text \"%.*s\", expected \"%s\"", what, (int)answer->n_text[choice],
          answer->text[choice], text);
    CHECK(answer->finish[choice] == usage.finish, "%s: finish %d, expected %d", what,
          (int)answer->finish[choice], (int)usage.finish);
}

TEST(scheduler, eight_jobs_together_equal_separate_generations) {
    stage s;
    enum { N = 8 };
    size_t n_tokens[N];
    int32_t tokens[N][60];
    pith_job *jobs[N];
    char what[32];
    for (size_t chunk = 16; chunk <= 64; chunk *= 4) {
        open_stage(&s, (pith_scheduler_options){.prefill_chunk = chunk});
        for (size_t i = 0; i < N; i++) {
            pith_generate_params params = params_of(i);
            n_tokens[i] = 3 + 8 * i;
            test_prompt(tokens[i], n_tokens[i], (unsigned)i);
            jobs[i] = test_job(tokens[i], n_tokens[i], &params, (int64_t)i % 3);
            test_submit(s.scheduler, jobs[i]);
        }
        for (size_t i = 0; i < N; i++) {
            pith_generate_params params = params_of(i);
            pith_usage usage;
            char text[TEST_MAX_TEXT];
            test_answer *answer = test_finish(jobs[i]);
            snprintf(what, sizeof what, "chunk %zu, job %zu", chunk, i);
            check_answer(s.model, tokens[i], n_tokens[i], &params, answer, 0, what);
            test_generate(s.model, tokens[i], n_tokens[i], &params, text, &usage);
            CHECK(answer->usage.generated_tokens == usage.generated_tokens &&
                      answer->usage.prompt_tokens == n_tokens[i] &&
                      answer->usage.cached_tokens == 0,
                  "%s: %zu generated, %zu of the prompt, %zu cached", what,
                  answer->usage.generated_tokens, answer->usage.prompt_tokens,
                  answer->usage.cached_tokens);
            CHECK(!params.logprobs || answer->n_tokens[0] == usage.generated_tokens,
                  "%s: %zu pieces with tokens", what, answer->n_tokens[0]);
            CHECK(answer->usage.first_token_seconds > 0 &&
                      answer->usage.total_seconds >= answer->usage.first_token_seconds &&
                      answer->usage.first_token_seconds >= answer->usage.queue_seconds,
                  "%s: times %g %g %g", what, answer->usage.queue_seconds,
                  answer->usage.first_token_seconds, answer->usage.total_seconds);
            free(answer);
        }
        close_stage(&s);
    }
}

TEST(scheduler, choices_and_prompt_arrays_have_seeds_of_their_own) {
    stage s;
    char what[32];
    open_stage(&s, (pith_scheduler_options){.n_parallel = 3, .prefill_chunk = 16});
    int32_t tokens[2][40];
    const int32_t *prompts[2] = {tokens[0], tokens[1]};
    size_t n_tokens[2] = {40, 25};
    test_prompt(tokens[0], 40, 1);
    test_prompt(tokens[1], 25, 2);
    pith_job_spec spec = {
        .prompts = prompts,
        .n_tokens = n_tokens,
        .n_prompts = 2,
        .n_choices = 5,
        .params = {.sampling = {.temperature = 1, .seed = 77}, .max_tokens = 12},
    };
    pith_job *job = test_job_of(&spec);
    test_submit(s.scheduler, job);
    test_answer *answer = test_finish(job);
    for (size_t i = 0; i < 10; i++) {
        pith_generate_params params = spec.params;
        params.sampling.seed = 77 + i;
        snprintf(what, sizeof what, "choice %zu", i);
        check_answer(s.model, prompts[i / 5], n_tokens[i / 5], &params, answer, i, what);
    }
    CHECK(answer->usage.prompt_tokens == 65 && answer->usage.cached_tokens == 0,
          "%zu prompt tokens, %zu cached", answer->usage.prompt_tokens,
          answer->usage.cached_tokens);
    free(answer);
    close_stage(&s);
}

TEST(scheduler, choices_wait_for_their_prompt_and_fork_it) {
    stage s;
    int32_t tokens[40];
    size_t n_tokens = 40;
    const int32_t *prompt = tokens;
    pith_scheduler_state state;
    open_stage(&s, (pith_scheduler_options){.n_parallel = 4, .prefill_chunk = 16});
    test_prompt(tokens, 40, 1);
    pith_job_spec spec = {
        .prompts = &prompt,
        .n_tokens = &n_tokens,
        .n_prompts = 1,
        .n_choices = 3,
        .params = ten_tokens,
    };
    pith_turn_take(&s.turn);
    pith_job *job = test_job_of(&spec);
    test_submit(s.scheduler, job);
    for (size_t pass = 0; pass < 4; pass++) {
        test_one_pass(&s.turn);
        test_await_pass(&s.turn);
        pith_scheduler_get_state(s.scheduler, &state);
        size_t expected = pass < 3 ? 1 : 3; /* 16 + 16 + 8 tokens, then one of each choice */
        CHECK(state.running == expected, "pass %zu: %zu running, not %zu", pass, state.running,
              expected);
    }
    pith_job_usage usage;
    pith_job_get_usage(job, &usage);
    CHECK(usage.generated_tokens == 4, "%zu tokens, not 2 + 1 + 1", usage.generated_tokens);
    pith_turn_give(&s.turn);
    free(test_finish(job));
    close_stage(&s);
}

/* ---- Order ----------------------------------------------------------------------------------- */

/* Notes in which order jobs have their first token. */
typedef struct order {
    atomic_size_t *next;
    size_t place; /* from 1; 0: none yet */
} order;

static void note_order(void *user, int32_t token) {
    order *o = user;
    (void)token;
    if (o->place == 0) {
        o->place = ++*o->next;
    }
}

TEST(scheduler, keys_take_turns) {
    static const int64_t keys[5] = {1, 1, 1, 2, 2};
    static const size_t expected[5] = {1, 3, 5, 2, 4};
    stage s;
    open_stage(&s, (pith_scheduler_options){.n_parallel = 1});
    int32_t tokens[5];
    test_prompt(tokens, 5, 1);
    atomic_size_t next = 0;
    order orders[5];
    pith_job *jobs[5];
    pith_turn_take(&s.turn);
    pith_job *first = test_job(tokens, 5, &ten_tokens, 1); /* has the only slot meanwhile */
    test_submit(s.scheduler, first);
    test_await_pass(&s.turn);
    for (size_t i = 0; i < 5; i++) {
        orders[i] = (order){.next = &next};
        pith_generate_params params = ten_tokens;
        params.accept = note_order;
        params.mask_user = &orders[i];
        jobs[i] = test_job(tokens, 5, &params, keys[i]);
        test_submit(s.scheduler, jobs[i]);
    }
    pith_turn_give(&s.turn);
    free(test_finish(first));
    for (size_t i = 0; i < 5; i++) {
        free(test_finish(jobs[i]));
    }
    for (size_t i = 0; i < 5; i++) {
        CHECK(orders[i].place == expected[i], "job %zu came in place %zu, not %zu", i,
              orders[i].place, expected[i]);
    }
    close_stage(&s);
}

static size_t generated(const pith_job *job) {
    pith_job_usage usage;
    pith_job_get_usage(job, &usage);
    return usage.generated_tokens;
}

TEST(scheduler, a_long_prompt_holds_up_neither_a_short_one_nor_streams) {
    stage s;
    open_stage(&s, (pith_scheduler_options){.prefill_chunk = 16});
    int32_t tokens[110];
    test_prompt(tokens, 110, 1);
    pith_generate_params many = {.max_tokens = 100, .ignore_eos = true};
    pith_turn_take(&s.turn);
    pith_job *stream = test_job(tokens, 4, &many, 1);
    test_submit(s.scheduler, stream);
    test_one_pass(&s.turn);
    test_await_pass(&s.turn);
    pith_job *long_one = test_job(tokens, 110, &ten_tokens, 2);
    test_submit(s.scheduler, long_one);
    test_one_pass(&s.turn); /* was made up before the submission */
    test_one_pass(&s.turn);
    test_await_pass(&s.turn);
    pith_job *short_one = test_job(tokens + 1, 6, &ten_tokens, 3);
    test_submit(s.scheduler, short_one);
    test_one_pass(&s.turn);
    test_one_pass(&s.turn);
    test_await_pass(&s.turn);
    CHECK(generated(short_one) == 1, "%zu tokens of the short one", generated(short_one));
    CHECK(generated(long_one) == 0, "%zu tokens of the long one", generated(long_one));
    CHECK(generated(stream) == 5, "%zu tokens of the stream", generated(stream));
    pith_turn_give(&s.turn);
    free(test_finish(stream));
    free(test_finish(long_one));
    free(test_finish(short_one));
    close_stage(&s);
}

TEST(scheduler, many_short_prompts_do_not_starve_a_long_one) {
    stage s;
    open_stage(&s, (pith_scheduler_options){.n_parallel = 3, .prefill_chunk = 16});
    int32_t tokens[120];
    test_prompt(tokens, 120, 1);
    pith_generate_params one = {.max_tokens = 1, .ignore_eos = true};
    pith_turn_take(&s.turn);
    pith_job *long_one = test_job(tokens, 120, &one, 1);
    test_submit(s.scheduler, long_one);
    pith_job *shorts[60];
    for (size_t i = 0; i < 60; i++) {
        int32_t other[20];
        test_prompt(other, 20, (unsigned)(i + 2));
        shorts[i] = test_job(other, 20, &one, 2);
        test_submit(s.scheduler, shorts[i]);
    }
    for (size_t pass = 0; pass < 35; pass++) {
        test_one_pass(&s.turn);
    }
    test_await_pass(&s.turn);
    CHECK(generated(long_one) == 1, "the long prompt is not through");
    CHECK(generated(shorts[59]) == 0, "the short ones are: they prove nothing");
    pith_turn_give(&s.turn);
    free(test_finish(long_one));
    for (size_t i = 0; i < 60; i++) {
        free(test_finish(shorts[i]));
    }
    close_stage(&s);
}

/* ---- Ends ------------------------------------------------------------------------------------ */

TEST(scheduler, cancelled_jobs_leave_queue_prefill_and_decoding) {
    stage s;
    open_stage(&s, (pith_scheduler_options){.n_parallel = 2, .prefill_chunk = 16});
    int32_t tokens[100];
    test_prompt(tokens, 100, 1);
    pith_generate_params many = {.max_tokens = 100, .ignore_eos = true};
    pith_turn_take(&s.turn);
    pith_job *decoding = test_job(tokens, 4, &many, 1);
    test_submit(s.scheduler, decoding);
    test_one_pass(&s.turn);
    test_await_pass(&s.turn);
    pith_job *prefill = test_job(tokens, 100, &many, 1);
    pith_job *queued = test_job(tokens, 100, &many, 1);
    test_submit(s.scheduler, prefill);
    test_submit(s.scheduler, queued);
    test_one_pass(&s.turn);
    test_one_pass(&s.turn);
    test_await_pass(&s.turn);
    test_await_state(s.scheduler, 2, 1);
    pith_job_cancel(queued);
    test_one_pass(&s.turn);
    test_await_state(s.scheduler, 2, 0);
    pith_job_cancel(prefill);
    test_one_pass(&s.turn);
    test_one_pass(&s.turn);
    test_await_state(s.scheduler, 1, 0);
    size_t before = generated(decoding);
    pith_job_cancel(decoding);
    pith_turn_give(&s.turn);
    test_await_state(s.scheduler, 0, 0);
    CHECK(generated(decoding) <= before + 1, "%zu tokens after the end",
          generated(decoding) - before);
    test_answer *answers[3] = {test_finish(queued), test_finish(prefill), test_finish(decoding)};
    CHECK(answers[0]->usage.prompt_tokens == 0, "%zu tokens of a job that never ran",
          answers[0]->usage.prompt_tokens);
    CHECK(answers[1]->usage.prompt_tokens > 0 && answers[1]->usage.prompt_tokens < 100,
          "%zu tokens of half a prompt", answers[1]->usage.prompt_tokens);
    for (size_t i = 0; i < 3; i++) {
        CHECK(answers[i]->failed && answers[i]->problem.http == 499, "job %zu: %d", i,
              answers[i]->problem.http);
        free(answers[i]);
    }
    close_stage(&s);
}

TEST(scheduler, a_full_queue_and_prompts_that_do_not_fit_are_refused) {
    stage s;
    open_stage(&s, (pith_scheduler_options){.n_parallel = 1, .n_queue = 2});
    int32_t tokens[128];
    test_prompt(tokens, 128, 1);
    pith_problem problem;
    pith_job *jobs[3];
    pith_turn_take(&s.turn);
    for (size_t i = 0; i < 3; i++) {
        CHECK(pith_scheduler_check_room(s.scheduler, &problem), "%zu jobs: %s", i, problem.message);
        jobs[i] = test_job(tokens, 4, &ten_tokens, 1);
        test_submit(s.scheduler, jobs[i]);
        test_await_pass(&s.turn);
    }
    CHECK(!pith_scheduler_check_room(s.scheduler, &problem) && problem.http == 503 &&
              strcmp(problem.code, "queue_full") == 0 && problem.retry_after >= 1,
          "a full queue has room: %d", problem.http);
    pith_job *refused = test_job(tokens, 4, &ten_tokens, 2);
    CHECK(!pith_scheduler_submit(s.scheduler, refused, &problem) && problem.http == 503,
          "a full queue: %d", problem.http);
    CHECK(problem.retry_after >= 1 && problem.retry_after <= 60, "retry after %zu",
          problem.retry_after);
    pith_job_release(refused);
    pith_turn_give(&s.turn);
    for (size_t i = 0; i < 3; i++) {
        free(test_finish(jobs[i]));
    }
    refused = test_job(tokens, 128, &ten_tokens, 2);
    CHECK(!pith_scheduler_submit(s.scheduler, refused, &problem) && problem.http == 400 &&
              strcmp(problem.code, "context_length_exceeded") == 0,
          "a long prompt: %d", problem.http);
    pith_job_release(refused);
    pith_job *fits = test_job(tokens, 127, &ten_tokens, 2);
    test_submit(s.scheduler, fits);
    test_answer *answer = test_finish(fits);
    CHECK(answer->done[0] && answer->finish[0] == PITH_FINISH_CONTEXT &&
              answer->usage.generated_tokens == 2,
          "%zu tokens, finish %d", answer->usage.generated_tokens, (int)answer->finish[0]);
    free(answer);
    close_stage(&s);
}

TEST(scheduler, deadlines_end_jobs_in_queue_and_slots) {
    stage s;
    open_stage(&s, (pith_scheduler_options){.n_parallel = 1});
    int32_t tokens[4];
    size_t n_tokens = 4;
    const int32_t *prompt = tokens;
    test_prompt(tokens, 4, 1);
    pith_job_spec spec = {
        .prompts = &prompt,
        .n_tokens = &n_tokens,
        .n_prompts = 1,
        .n_choices = 1,
        .params = {.max_tokens = 100, .ignore_eos = true},
    };
    pith_turn_take(&s.turn);
    pith_job *jobs[2];
    for (size_t i = 0; i < 2; i++) {
        spec.deadline = pith_clock() + 0.02;
        jobs[i] = test_job_of(&spec);
        test_submit(s.scheduler, jobs[i]);
        test_await_pass(&s.turn);
    }
    while (pith_clock() < spec.deadline) {
        sched_yield();
    }
    pith_turn_give(&s.turn);
    for (size_t i = 0; i < 2; i++) {
        test_answer *answer = test_finish(jobs[i]);
        CHECK(answer->failed && answer->problem.http == 504 &&
                  strcmp(answer->problem.code, "deadline") == 0,
              "job %zu: %d", i, answer->problem.http);
        CHECK(answer->usage.generated_tokens == 1 - i, "job %zu: %zu tokens", i,
              answer->usage.generated_tokens);
        free(answer);
    }
    close_stage(&s);
}

static void *free_scheduler(void *scheduler) {
    pith_scheduler_free(scheduler);
    return NULL;
}

TEST(scheduler, freeing_it_fails_what_is_left) {
    stage s;
    open_stage(&s, (pith_scheduler_options){.n_parallel = 2});
    int32_t tokens[4];
    test_prompt(tokens, 4, 1);
    pith_job *jobs[4];
    pith_generate_params endless = {.ignore_eos = true};
    pith_turn_take(&s.turn);
    for (size_t i = 0; i < 4; i++) {
        jobs[i] = test_job(tokens, 4, &endless, 1);
        test_submit(s.scheduler, jobs[i]);
    }
    test_await_pass(&s.turn);
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, free_scheduler, s.scheduler) == 0, "no thread");
    for (bool stopping = false; !stopping; sched_yield()) {
        pthread_mutex_lock(&s.scheduler->lock);
        stopping = s.scheduler->stopping;
        pthread_mutex_unlock(&s.scheduler->lock);
    }
    pith_turn_give(&s.turn);
    pthread_join(thread, NULL);
    s.scheduler = NULL;
    for (size_t i = 0; i < 4; i++) {
        pith_job_cancel(jobs[i]); /* nobody is there to hear it */
        test_answer *answer = test_finish(jobs[i]);
        CHECK(answer->failed && answer->problem.http == 503, "job %zu: %d", i,
              answer->problem.http);
        free(answer);
    }
    close_stage(&s);
}
