/* What the tests of the service's schedulers share: jobs, their answers, and a turn that a test
 * holds to say when a pass may run. A set-up that fails ends the test with its message. */
#ifndef PITH_TESTS_JOBS_H
#define PITH_TESTS_JOBS_H

#include "families/matrix.h"
#include "pith.h"
#include "server/scheduler.h"

enum { TEST_MAX_CHOICES = 64, TEST_MAX_TEXT = 4096 };

/* The answers to a job, as its connection would see them. */
typedef struct test_answer {
    char text[TEST_MAX_CHOICES][TEST_MAX_TEXT];
    size_t n_text[TEST_MAX_CHOICES];
    size_t n_tokens[TEST_MAX_CHOICES]; /* pieces with a token */
    pith_finish finish[TEST_MAX_CHOICES];
    bool done[TEST_MAX_CHOICES];
    bool failed;
    pith_problem problem;
    pith_job_usage usage;
} test_answer;

/* A tiny model of 300 tokens and 128 positions, on two threads. */
pith_model *test_open_tiny(pith_type type);

/* A job of one prompt. */
pith_job *test_job(const int32_t *tokens, size_t n_tokens, const pith_generate_params *params,
                   int64_t key);
/* A job of any kind. */
pith_job *test_job_of(const pith_job_spec *spec);

/* Prompt tokens [n] that look like none before: 1, then a sequence that `seed` decides. */
void test_prompt(int32_t *tokens, size_t n, unsigned seed);

pith_scheduler *test_scheduler(const pith_model *model, const pith_scheduler_options *options);
void test_submit(pith_scheduler *scheduler, pith_job *job);

/* Reads the job's pieces until it is over, waiting on its descriptor, and releases it. The answer
 * is malloc'ed. */
test_answer *test_finish(pith_job *job);
/* Reads the pieces that are there, without waiting. */
void test_take(pith_job *job, test_answer *answer);

/* What pith_generate generates on a session of its own: text [TEST_MAX_TEXT], whose bytes are
 * returned, and usage. */
size_t test_generate(const pith_model *model, const int32_t *tokens, size_t n_tokens,
                     const pith_generate_params *params, char *text, pith_usage *usage);

/* Makes an element of a row of an f32 matrix NaN. */
void test_spoil_row(const pith_matrix *matrix, size_t row);

/* While a test has taken the turn: lets exactly one pass run, and returns with the turn taken. */
void test_one_pass(pith_turn *turn);
/* Waits until a pass is waiting for the turn. */
void test_await_pass(pith_turn *turn);

/* Waits until the scheduler has so many choices in progress and jobs in its queue. */
void test_await_state(pith_scheduler *scheduler, size_t running, size_t waiting);

#endif
