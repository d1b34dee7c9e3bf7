/* What several test files need: an allocator that fails on demand, a temporary directory, file
 * helpers, a small random generator. Every function that cannot do its work ends the process with a
 * message: a broken set-up is not a test result. */
#ifndef PITH_TESTS_SUPPORT_H
#define PITH_TESTS_SUPPORT_H

#include "pith.h"

/* Counts allocations, and makes the `fail_at`-th one (from 1) and, with `fail_after`, all later
 * ones fail; 0 never fails. The counters are atomic: any thread may allocate. */
typedef struct test_allocator {
    pith_allocator allocator;  /* pass &t->allocator */
    _Atomic size_t n_calls;    /* allocate + reallocate so far */
    _Atomic size_t n_live;     /* blocks not yet released */
    _Atomic size_t n_bytes;    /* in those blocks, as malloc rounds them up */
    _Atomic size_t most_bytes; /* the highest n_bytes so far */
    size_t fail_at;
    bool fail_after;
} test_allocator;

void test_allocator_init(test_allocator *t);

/* A fresh directory under $TMPDIR or /tmp, removed with its contents at exit. */
const char *test_directory(void);
/* test_directory()/name, in one of 16 rotating static buffers. */
const char *test_path(const char *name);
/* The project's root, for fixtures: from PITH_TEST_ROOT or "." */
const char *test_root(const char *relative);

void test_write_file(const char *path, const void *data, size_t size);
void *test_read_file(const char *path, size_t *size); /* malloc'ed, NUL after the end */

/* splitmix64 (Steele et al. 2014); seed it with any number. */
uint64_t test_random(uint64_t *state);
float test_random_float(uint64_t *state);  /* uniform in [-1, 1) */
float test_random_normal(uint64_t *state); /* mean 0, standard deviation 1 */

/* True when a and b differ by the rounding of a few operations at most: 1e-9 of their magnitudes.
 */
bool test_near(double a, double b);

/* [size] bytes ending right before an inaccessible page (and starting after one); release with
 * test_guarded_free(pointer, size). Size is rounded nowhere: data + size is the guard page. */
void *test_guarded(size_t size);
void test_guarded_free(void *data, size_t size);

#endif
