/* Reads the .npz files under golden/: zip archives without compression (APPNOTE.TXT 6.3, sections
 * 4.3.7 to 4.3.16) of .npy arrays, version 1.0 (numpy.lib.format), little-endian int32 or float32
 * in C order. Everything else is refused. */
#ifndef PITH_TESTS_NPZ_H
#define PITH_TESTS_NPZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TEST_NPZ_MAX_ARRAYS = 64, TEST_NPZ_MAX_DIMS = 4, TEST_NPZ_MAX_NAME = 48 };

typedef struct test_array {
    char name[TEST_NPZ_MAX_NAME]; /* without ".npy" */
    bool is_float;
    size_t n_dims;
    size_t shape[TEST_NPZ_MAX_DIMS];
    size_t count; /* elements */
    union {
        const int32_t *ints;
        const float *floats;
    } data; /* [count], owned by the archive */
} test_array;

typedef struct test_npz test_npz;

/* Reads an archive in memory; the bytes are copied. NULL and *problem when it is damaged or holds
 * what this reader does not know. */
test_npz *test_npz_parse(const void *data, size_t size, const char **problem);

/* Like test_npz_parse, for a file; ends the process with a message when it cannot be read. */
test_npz *test_npz_open(const char *path);
void test_npz_free(test_npz *npz);

/* NULL when there is no such array. */
const test_array *test_npz_find(const test_npz *npz, const char *name);

/* The array NAME_INDEX ("logits_2") of the given type; ends the process when it is missing. */
const test_array *test_npz_floats(const test_npz *npz, const char *name, size_t index);
const test_array *test_npz_ints(const test_npz *npz, const char *name, size_t index);

#endif
