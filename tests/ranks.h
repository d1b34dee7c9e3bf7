/* Several ranks of one model in one process, for tests: each has a model of its own and a thread,
 * and they gather through memory. */
#ifndef PITH_TESTS_RANKS_H
#define PITH_TESTS_RANKS_H

#include <pthread.h>
#include <stdatomic.h>

#include "tests/calls.h"
#include "tests/fixture.h"

enum { TEST_MAX_RANKS = 8 };

typedef struct test_ranks test_ranks;

/* What a rank is called with. */
typedef struct test_rank {
    test_ranks *all;
    size_t rank;
    pith_ranks options;
    pith_model_options model_options;
    pith_model *model;
    pthread_t thread;
    pith_status opened, followed;
    pith_error error;
    pith_model_info info; /* of the model while it was open */
} test_rank;

/* Set before test_ranks_open; zero-initialised: nothing fails. */
struct test_ranks {
    size_t n;
    const char *paths[TEST_MAX_RANKS];                /* NULL: that of test_ranks_open */
    const pith_allocator *allocators[TEST_MAX_RANKS]; /* or NULL */
    size_t n_threads;                                 /* of each; 0: 1 */
    size_t lose_at; /* gather that fails on all, from 1; 0: none does */
    /* Called by rank 0 in front of a gather of its bytes [n]; may change them. */
    void (*tamper)(void *user, size_t gather, unsigned char *bytes, size_t n);
    void *user;

    test_rank ranks[TEST_MAX_RANKS];
    size_t n_gathers; /* so far */
    size_t n_bytes;   /* so far */
    bool differs;     /* two ranks called for different gathers: a mistake */

    pthread_mutex_t lock;
    pthread_cond_t turn;
    bool lost;
    size_t n_arrived, n_left, generation;
    const size_t *offsets[TEST_MAX_RANKS];
    bool first_only[TEST_MAX_RANKS];
    unsigned char *data[TEST_MAX_RANKS];
};

/* Opens a model on n ranks at once, of which those from 1 on follow. Returns what rank 0's
 * pith_model_open did. test_ranks_close is due in any case. */
pith_status test_ranks_open(test_ranks *ranks, const char *path, size_t n, pith_error *error);

/* The model of rank 0. */
pith_model *test_ranks_model(test_ranks *ranks);

/* Frees rank 0's model and waits for the others, whose statuses are then set. */
void test_ranks_close(test_ranks *ranks);

/* The same where all of it is expected to go well: the model of rank 0, and at the end a test that
 * fails when ranks called for different gathers or one could not follow. */
pith_model *test_ranks_run(test_ranks *ranks, const char *path, size_t n);
void test_ranks_end(test_ranks *ranks);

/* Writes a small model with two KV heads and returns its path. */
const char *test_ranks_write(pith_type type);

#endif
