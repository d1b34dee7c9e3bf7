/* Inputs for the kernel tests: random packed weights and activations in buffers that end at a guard
 * page, and the comparison of float bits. Set-up failures end the process, as in tests/support.h.
 */
#ifndef PITH_TESTS_SIMD_DATA_H
#define PITH_TESTS_SIMD_DATA_H

#include "simd/kernels.h"
#include "tests/support.h"

/* The tables of this build that run on this CPU, best first, scalar last; those for CPUs of another
 * maker follow the ones found here. */
const pith_kernels *test_table(size_t i); /* NULL after the last */

/* Equal bit for bit, or both NaN. */
bool test_same_float(float a, float b);
/* Index of the first difference of two float arrays, or n. */
size_t test_first_difference(const float *a, const float *b, size_t n);
uint32_t test_float_bits(float value);

/* A guarded buffer filled with bytes 0xff (NaN as floats). */
typedef struct test_buffer {
    void *data;
    size_t size;
} test_buffer;

test_buffer test_buffer_new(size_t size);
void test_buffer_free(test_buffer *buffer);

/* Random floats in a guarded buffer. */
test_buffer test_buffer_normal(size_t n, uint64_t *seed);

/* Bytes of n_rows rows of a weight type. */
size_t test_weight_bytes(pith_type type, size_t n_rows, size_t k);

typedef enum test_extreme { TEST_RANDOM, TEST_LARGEST, TEST_SMALLEST, TEST_MIXED } test_extreme;

/* Random weights [n_rows, k]: any nibbles and multipliers for int4, codes in [-127, 127] for int8,
 * finite scales. LARGEST and SMALLEST make every quantised weight the most positive or most
 * negative there is (int4: +-100), MIXED picks one of the two at random. */
test_buffer test_weights(pith_type type, size_t n_rows, size_t k, test_extreme extreme,
                         uint64_t *seed);

/* One weight widened to double, read by the definition in simd/blocks.h. */
double test_weight_at(pith_type type, const void *weights, size_t k, size_t row, size_t i);

/* Random activations with exact extents; for quantised types `extreme` chooses
 * the codes: random or +-127. */
typedef struct test_activations {
    pith_activations view;
    test_buffer x, codes, scales, group_offset, block_offset;
} test_activations;

test_activations test_activations_new(pith_type type, size_t n_tokens, size_t k,
                                      test_extreme extreme, uint64_t *seed);
void test_activations_free(test_activations *activations);

#endif
