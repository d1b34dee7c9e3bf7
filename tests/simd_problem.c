/* Matrix products with random inputs (tests/simd_problem.h). */
#include "tests/simd_problem.h"

#include "tests/test.h"

const char *const test_type_names[PITH_N_TYPES] = {"f32", "f16", "bf16", "int8", "int4"};

test_problem test_problem_new(pith_type type, size_t k, size_t n_rows, size_t n_tokens,
                              test_extreme extreme, uint64_t *seed) {
    test_problem p = {.type = type, .k = k, .n_rows = n_rows, .n_tokens = n_tokens};
    p.weights = test_weights(type, n_rows, k, extreme, seed);
    p.x = test_activations_new(type, n_tokens, k, extreme, seed);
    p.y_stride = n_rows + 16;
    p.y_size = (n_tokens - 1) * p.y_stride + n_rows;
    return p;
}

void test_problem_free(test_problem *p) {
    test_buffer_free(&p->weights);
    test_activations_free(&p->x);
}

void test_problem_run_part(const test_problem *p, const pith_kernels *kernels, size_t begin,
                           size_t end, float *y) {
    pith_product product = {.weights = p->weights.data,
                            .k = p->k,
                            .n_rows = p->n_rows,
                            .x = &p->x.view,
                            .first_token = begin,
                            .n_tokens = end - begin,
                            .y = y + begin * p->y_stride,
                            .y_stride = p->y_stride,
                            .path = p->path};
    kernels->product[p->type](&product);
}

test_buffer test_problem_run(const test_problem *p, const pith_kernels *kernels) {
    test_buffer y = test_buffer_new(p->y_size * sizeof(float));
    test_problem_run_part(p, kernels, 0, p->n_tokens, y.data);
    return y;
}

void test_problem_same(const test_problem *p, const pith_kernels *kernels, const float *expected,
                       const float *actual, uint64_t seed) {
    size_t i = test_first_difference(expected, actual, p->y_size);
    CHECK(i == p->y_size,
          "%s %s seed %llu k %zu rows %zu tokens %zu: token %zu row %zu is %a, expected %a",
          kernels->name, test_type_names[p->type], (unsigned long long)seed, p->k, p->n_rows,
          p->n_tokens, i / p->y_stride, i % p->y_stride, (double)actual[i], (double)expected[i]);
}
