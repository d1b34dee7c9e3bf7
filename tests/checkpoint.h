/* Small Hugging Face checkpoints for the tests of the converter. */
#ifndef PITH_TESTS_CHECKPOINT_H
#define PITH_TESTS_CHECKPOINT_H

#include "families/config.h"
#include "pith.h"
#include "weights/pith_file.h"
#include "weights/safetensors.h"

/* One tensor of a checkpoint file to write. */
typedef struct test_tensor {
    char name[96];
    pith_dtype dtype;
    size_t n_dims;
    size_t shape[2];
    size_t size; /* bytes */
    void *data;  /* owned */
} test_tensor;

typedef struct test_tensors {
    test_tensor *items; /* [n] */
    size_t n;
} test_tensors;

/* 2 layers, hidden 32, intermediate 48, 4 heads of 8 over 2 KV heads, 40 tokens, untied. */
pith_config test_checkpoint_config(void);

/* All tensors of a configuration in F32, normally distributed with deviation 0.05. */
test_tensors test_checkpoint_tensors(const pith_config *config, uint64_t seed);
/* Those of a checkpoint in one file or two shards, read without the converter. */
test_tensors test_tensors_load(const char *directory);
void test_tensors_free(test_tensors *tensors);
/* The one of that name; ends the process when there is none. */
test_tensor *test_tensors_find(const test_tensors *tensors, const char *name);
/* Adds one with room for its data, zeroed. */
test_tensor *test_tensors_add(test_tensors *tensors, const char *name, pith_dtype dtype,
                              size_t n_dims, size_t rows, size_t cols);
void test_tensors_remove(test_tensors *tensors, const char *name);

/* Writes tensors [begin, end) as a safetensors file. */
void test_write_tensors(const char *path, const test_tensors *tensors, size_t begin, size_t end);

/* The text of a config.json of test_checkpoint_config, to be freed: `edits` (JSON object text or
 * NULL) adds and replaces members, and a member that is "(absent)" there is taken out. */
char *test_config_text(const char *edits);

/* Like test_config_text, with the JSON object text `base` in place of the config.json's. */
char *test_edit_json(const char *base, const char *edits);

/* An empty directory test_path(name), made; its name stays valid for the next 64 of them. */
const char *test_make_directory(const char *name);
/* directory/name in one of 16 rotating static buffers. */
const char *test_join(const char *directory, const char *name);
/* Writes text to directory/name. */
void test_write_text(const char *directory, const char *name, const char *text);

/* A whole checkpoint: config.json with edits and model.safetensors with random tensors. */
const char *test_make_checkpoint(const char *name, const char *edits);

/* A pith_log's function, whose user is a char [4096]: warnings as they come, each ended by a
 * newline. */
void test_collect_warnings(void *user, pith_log_level level, const char *message);

/* Opens a .pith file, which must be a good one; closed with pith_model_file_close. */
pith_model_file *test_open_file(const char *path);

/* A converted file as a container: its header, and its metadata as text. */
typedef struct test_converted {
    pith_file file;
    pith_safetensors *header;
    const char *metadata;
} test_converted;
test_converted test_open_converted(const char *path);
void test_close_converted(test_converted *converted);

/* Names of the entries of a directory, sorted, each followed by a space; static. */
const char *test_list_directory(const char *directory);

/* Row `row` of a tensor as floats: independent of the converter's own reader. */
void test_tensor_row(const test_tensor *tensor, size_t row, size_t cols, float *out);

#endif
