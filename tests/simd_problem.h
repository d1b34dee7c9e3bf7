/* A matrix product with random inputs in guarded buffers, run by any kernel table, for the tests
 * that compare tables bit for bit. */
#ifndef PITH_TESTS_SIMD_PROBLEM_H
#define PITH_TESTS_SIMD_PROBLEM_H

#include "tests/simd_data.h"

extern const char *const test_type_names[PITH_N_TYPES];

/* One product problem and its output buffer, rows 16 floats apart beyond what is written. */
typedef struct test_problem {
    pith_type type;
    size_t k, n_rows, n_tokens;
    test_buffer weights;
    test_activations x;
    size_t y_stride;
    size_t y_size; /* floats, up to the last one written */
    pith_memory_path path;
} test_problem;

test_problem test_problem_new(pith_type type, size_t k, size_t n_rows, size_t n_tokens,
                              test_extreme extreme, uint64_t *seed);
void test_problem_free(test_problem *problem);

/* Runs tokens [begin, end) into y [y_size]. */
void test_problem_run_part(const test_problem *problem, const pith_kernels *kernels, size_t begin,
                           size_t end, float *y);

/* Runs all tokens into a new buffer of y_size floats. */
test_buffer test_problem_run(const test_problem *problem, const pith_kernels *kernels);

/* Ends the test when two outputs [y_size] differ; `kernels` made `actual`. */
void test_problem_same(const test_problem *problem, const pith_kernels *kernels,
                       const float *expected, const float *actual, uint64_t seed);

#endif
