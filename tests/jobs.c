#include "tests/jobs.h"

#include <math.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

pith_model *test_open_tiny(pith_type type) {
    const char *path = test_path("tiny.pith");
    test_write_tiny_model(path, type, 3);
    pith_model *model = NULL;
    pith_error error;
    pith_model_options options = {.n_threads = 2, .blas = PITH_BLAS_OFF};
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

pith_job *test_job_of(const pith_job_spec *spec) {
    pith_job *job = NULL;
    pith_problem problem;
    CHECK(pith_job_new(&job, spec, &problem), "%s", problem.message);
    return job;
}

pith_job *test_job(const int32_t *tokens, size_t n_tokens, const pith_generate_params *params,
                   int64_t key) {
    pith_job_spec spec = {
        .prompts = &tokens,
        .n_tokens = &n_tokens,
        .n_prompts = 1,
        .n_choices = 1,
        .params = *params,
        .key = key,
    };
    return test_job_of(&spec);
}

void test_prompt(int32_t *tokens, size_t n, unsigned seed) {
    uint64_t state = seed;
    tokens[0] = 1;
    for (size_t i = 1; i < n; i++) {
        tokens[i] = (int32_t)(259 + test_random(&state) % 41);
    }
}

pith_scheduler *test_scheduler(const pith_model *model, const pith_scheduler_options *options) {
    pith_scheduler *scheduler = NULL;
    pith_problem problem;
    CHECK(pith_scheduler_new(&scheduler, model, options, &problem), "%s", problem.message);
    return scheduler;
}

void test_submit(pith_scheduler *scheduler, pith_job *job) {
    pith_problem problem;
    CHECK(pith_scheduler_submit(scheduler, job, &problem), "%s", problem.message);
}

void test_take(pith_job *job, test_answer *answer) {
    pith_job_piece piece;
    while (pith_job_take(job, &piece)) {
        CHECK(!answer->failed, "a piece after the failure");
        answer->failed = piece.failed;
        if (piece.failed) {
            answer->problem = piece.problem;
            continue;
        }
        size_t i = piece.choice;
        CHECK(i < TEST_MAX_CHOICES && !answer->done[i], "a piece of choice %zu", i);
        CHECK(answer->n_text[i] + piece.text.n_bytes < TEST_MAX_TEXT, "too much text");
        memcpy(answer->text[i] + answer->n_text[i], piece.text.data, piece.text.n_bytes);
        answer->n_text[i] += piece.text.n_bytes;
        answer->n_tokens[i] += piece.has_token ? 1 : 0;
        answer->done[i] = piece.done;
        answer->finish[i] = piece.finish;
    }
}

test_answer *test_finish(pith_job *job) {
    test_answer *answer = calloc(1, sizeof *answer);
    CHECK(answer != NULL, "out of memory");
    while (!pith_job_finished(job)) {
        struct pollfd wait = {.fd = pith_job_fd(job), .events = POLLIN};
        CHECK(poll(&wait, 1, -1) == 1, "poll");
        test_take(job, answer);
    }
    pith_job_get_usage(job, &answer->usage);
    pith_job_release(job);
    return answer;
}

typedef struct collected {
    char *text; /* [TEST_MAX_TEXT] */
    size_t n;
} collected;

static bool collect(void *user, pith_text text) {
    collected *c = user;
    CHECK(c->n + text.n_bytes < TEST_MAX_TEXT, "too much text");
    if (text.n_bytes != 0) {
        memcpy(c->text + c->n, text.data, text.n_bytes);
    }
    c->n += text.n_bytes;
    c->text[c->n] = '\0';
    return true;
}

size_t test_generate(const pith_model *model, const int32_t *tokens, size_t n_tokens,
                     const pith_generate_params *params, char *text, pith_usage *usage) {
    pith_session *session = NULL;
    pith_error error;
    collected out = {.text = text};
    text[0] = '\0';
    pith_status status = pith_session_new(&session, model, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    status = pith_generate(session, tokens, n_tokens, params, collect, &out, usage, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    pith_session_free(session);
    return out.n;
}

void test_spoil_row(const pith_matrix *matrix, size_t row) {
    enum { TILE = 16 };
    float *data = (float *)(uintptr_t)matrix->data;
    float *values = calloc(matrix->cols, sizeof *values);
    size_t first = row / TILE * TILE * matrix->cols;
    bool spoilt = false;
    CHECK(matrix->type == PITH_TYPE_F32 && values != NULL, "no f32 matrix");
    for (size_t i = first; i < first + TILE * matrix->cols && !spoilt; i++) {
        float before = data[i];
        data[i] = NAN;
        pith_matrix_row(matrix, row, values);
        for (size_t c = 0; c < matrix->cols; c++) {
            spoilt = spoilt || isnan(values[c]);
        }
        data[i] = spoilt ? data[i] : before;
    }
    free(values);
    CHECK(spoilt, "row %zu is not where it should be", row);
}

void test_await_pass(pith_turn *turn) {
    uint64_t ahead = 0;
    while (ahead < 2) {
        pthread_mutex_lock(&turn->lock);
        ahead = turn->next - turn->now;
        pthread_mutex_unlock(&turn->lock);
        sched_yield();
    }
}

void test_one_pass(pith_turn *turn) {
    test_await_pass(turn);
    pthread_mutex_lock(&turn->lock);
    uint64_t ticket = turn->next++; /* before the pass can ask for its next turn */
    turn->now++;
    pthread_cond_broadcast(&turn->changed);
    while (turn->now != ticket) {
        pthread_cond_wait(&turn->changed, &turn->lock);
    }
    pthread_mutex_unlock(&turn->lock);
}

void test_await_state(pith_scheduler *scheduler, size_t running, size_t waiting) {
    pith_scheduler_state state = {.running = SIZE_MAX};
    while (state.running != running || state.waiting != waiting) {
        pith_scheduler_get_state(scheduler, &state);
        sched_yield();
    }
}
