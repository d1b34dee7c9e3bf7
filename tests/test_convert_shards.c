/* Finding tensors: one file, an index with shards, and directories that are not what they should
 * be. */
#include "base/memory.h"
#include "convert/convert.h"
#include "convert/hf_shards.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char index_name[] = "model.safetensors.index.json";

/* Opens directory and shards; on success they are closed again and *n_shards set. */
static pith_status open_shards(const char *directory, size_t *n_shards, pith_error *error) {
    pith_sources sources;
    pith_hf_shards shards;
    pith_status status = pith_sources_open(&sources, directory, &pith_malloc_allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_hf_shards_open(&shards, &sources, PITH_HF_STEM, error);
    if (status == PITH_OK) {
        *n_shards = shards.n;
        pith_hf_shards_close(&shards);
    }
    pith_sources_close(&sources);
    return status;
}

static void check_open_fails(const char *directory, pith_status expected, const char *words) {
    size_t n_shards = 99;
    pith_error error = {0};
    pith_status status = open_shards(directory, &n_shards, &error);
    CHECK(status == expected, "%s: status %s, expected %s: %s", words, pith_status_name(status),
          pith_status_name(expected), error.message);
    CHECK(strstr(error.message, words) != NULL, "no \"%s\" in \"%s\"", words, error.message);
    CHECK(n_shards == 99, "%s: the output was touched", words);
}

/* Three one-row tensors "a", "b" and "c". */
static test_tensors three_tensors(void) {
    test_tensors tensors = {0};
    test_tensors_add(&tensors, "a", PITH_DTYPE_F32, 1, 4, 0);
    test_tensors_add(&tensors, "b", PITH_DTYPE_F16, 1, 4, 0);
    test_tensors_add(&tensors, "c", PITH_DTYPE_F32, 1, 4, 0);
    return tensors;
}

/* A directory with shards one.safetensors (a, b) and two.safetensors (b or c, c) and an index. */
static const char *sharded(const char *name, size_t second, const char *index) {
    const char *directory = test_make_directory(name);
    test_tensors tensors = three_tensors();
    test_write_tensors(test_join(directory, "one.safetensors"), &tensors, 0, 2);
    test_write_tensors(test_join(directory, "two.safetensors"), &tensors, second, 3);
    test_write_text(directory, index_name, index);
    test_tensors_free(&tensors);
    return directory;
}

TEST(convert_shards, finds_tensors_across_files) {
    pith_sources sources;
    pith_hf_shards shards;
    pith_error error;
    const char *directory = test_root("golden/llama-gqa");
    pith_status status = pith_sources_open(&sources, directory, &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    status = pith_hf_shards_open(&shards, &sources, PITH_HF_STEM, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(shards.n == 2, "%zu shards", shards.n);
    static const struct {
        const char *tensor, *file;
    } places[] = {
        {"model.embed_tokens.weight", "model-00001-of-00002.safetensors"},
        {"model.layers.1.mlp.gate_proj.weight", "model-00001-of-00002.safetensors"},
        {"model.layers.1.mlp.up_proj.weight", "model-00002-of-00002.safetensors"},
        {"lm_head.weight", "model-00002-of-00002.safetensors"},
    };
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        pith_hf_tensor found;
        CHECK(pith_hf_shards_find(&shards, places[i].tensor, &found), "no %s", places[i].tensor);
        CHECK(strstr(found.file->path, places[i].file) != NULL, "%s is in %s", places[i].tensor,
              found.file->path);
        CHECK(strcmp(found.tensor->name, places[i].tensor) == 0, "%s", found.tensor->name);
    }
    pith_hf_tensor none;
    CHECK(!pith_hf_shards_find(&shards, "model.layers.9.mlp.up_proj.weight", &none), "found");
    pith_hf_shards_close(&shards);
    pith_sources_close(&sources);
    CHECK_NO_LEAKS();
}

TEST(convert_shards, prefers_the_single_file) {
    const char *directory = sharded("both", 2, "{\"weight_map\": {\"a\": \"one.safetensors\"}}");
    test_tensors tensors = three_tensors();
    size_t n_shards;
    pith_error error;
    test_write_tensors(test_join(directory, "model.safetensors"), &tensors, 0, 3);
    test_tensors_free(&tensors);
    pith_status status = open_shards(directory, &n_shards, &error);
    CHECK(status == PITH_OK && n_shards == 1, "%s, %zu shards", error.message, n_shards);
}

TEST(convert_shards, refuses_a_hostile_index) {
    static const struct {
        const char *text, *words;
    } cases[] = {
        {"", "bad JSON"},
        {"[]", "expected a JSON object"},
        {"{}", "weight_map: expected an object of file names, found nothing"},
        {"{\"weight_map\": []}", "weight_map"},
        {"{\"weight_map\": {}}", "weight_map"},
        {"{\"weight_map\": {\"a\": 1}}", "a: expected a file name"},
        {"{\"weight_map\": {\"a\": \"\"}}", "no file name"},
        {"{\"weight_map\": {\"a\": \"/etc/passwd\"}}", "\"/etc/passwd\" is no file name"},
        {"{\"weight_map\": {\"a\": \"x/y\"}}", "\"x/y\" is no file name"},
        {"{\"weight_map\": {\"a\": \"..\"}}", "\"..\" is no file name"},
        {"{\"weight_map\": {\"a\": \".\"}}", "\".\" is no file name"},
        {"{\"weight_map\": {\"a\": \"x\", \"a\": 1}}", "a: expected a file name"},
        {"{\"weight_map\": {\"a\": \"x\\u0000y\"}}", "found a string with U+0000"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_hf_index index = {.n_shards = 99};
        pith_error error = {0};
        char *text = pith_copy_text(&pith_malloc_allocator, cases[i].text, strlen(cases[i].text));
        pith_status status = pith_hf_index_parse(&index, text, strlen(cases[i].text), "index.json",
                                                 &pith_malloc_allocator, &error);
        free(text);
        CHECK(status == PITH_ERROR_FORMAT, "%s: status %s", cases[i].text,
              pith_status_name(status));
        CHECK(strstr(error.message, cases[i].words) != NULL &&
                  strstr(error.message, "index.json") != NULL,
              "%s: \"%s\"", cases[i].text, error.message);
        CHECK(index.n_shards == 99, "%s: the output was touched", cases[i].text);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_shards, bounds_the_number_of_shards) {
    char *text = malloc(1 << 16);
    for (size_t extra = 0; extra < 2; extra++) {
        pith_hf_index index;
        pith_error error = {0};
        size_t n = (size_t)sprintf(text, "{\"weight_map\": {\"t\": \"s\"");
        for (size_t i = 1; i < PITH_HF_MAX_SHARDS + extra; i++) {
            n += (size_t)sprintf(text + n, ", \"t%zu\": \"s%zu\"", i, i);
        }
        n += (size_t)sprintf(text + n, ", \"u\": \"s\"}}");
        pith_status status =
            pith_hf_index_parse(&index, text, n, "index.json", &pith_malloc_allocator, &error);
        if (extra == 0) {
            CHECK(status == PITH_OK && index.n_shards == PITH_HF_MAX_SHARDS, "%s", error.message);
        } else {
            CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "512") != NULL, "%s: %s",
                  pith_status_name(status), error.message);
        }
    }
    free(text);
}

TEST(convert_shards, refuses_shards_that_do_not_match) {
    check_open_fails(sharded("missing", 2,
                             "{\"weight_map\": {\"a\": \"one.safetensors\","
                             " \"c\": \"one.safetensors\"}}"),
                     PITH_ERROR_FORMAT, "tensor c is not in one.safetensors");
    check_open_fails(sharded("twice", 1,
                             "{\"weight_map\": {\"a\": \"one.safetensors\","
                             " \"c\": \"two.safetensors\"}}"),
                     PITH_ERROR_FORMAT, "tensor b is both in one.safetensors and in two");
    check_open_fails(sharded("gone", 2,
                             "{\"weight_map\": {\"a\": \"one.safetensors\","
                             " \"c\": \"three.safetensors\"}}"),
                     PITH_ERROR_IO, "three.safetensors");
    CHECK_NO_LEAKS();
}

/* Shards whose index was not downloaded are known by their names. */
TEST(convert_shards, reads_shards_without_an_index) {
    const char *directory = test_make_directory("no-index");
    test_tensors tensors = three_tensors();
    size_t n_shards = 0;
    pith_error error;
    test_write_tensors(test_join(directory, "model-00001-of-00002.safetensors"), &tensors, 0, 2);
    check_open_fails(directory, PITH_ERROR_FORMAT,
                     "shard model-00002-of-00002.safetensors is missing");
    test_write_tensors(test_join(directory, "model-00002-of-00002.safetensors"), &tensors, 2, 3);
    pith_status status = open_shards(directory, &n_shards, &error);
    CHECK(status == PITH_OK && n_shards == 2, "%s, %zu shards", error.message, n_shards);
    /* Others beside those called "model" do not count ... */
    test_write_tensors(test_join(directory, "a-00001-of-00001.safetensors"), &tensors, 0, 1);
    status = open_shards(directory, &n_shards, &error);
    CHECK(status == PITH_OK && n_shards == 2, "%s, %zu shards", error.message, n_shards);
    /* ... but two sets of that name are one too many, and so are tensors in two shards. */
    test_write_tensors(test_join(directory, "model-00001-of-00003.safetensors"), &tensors, 0, 1);
    check_open_fails(directory, PITH_ERROR_FORMAT, "several sets of shards");
    directory = test_make_directory("no-index-twice");
    test_write_tensors(test_join(directory, "pytorch_model-00001-of-00002.safetensors"), &tensors,
                       0, 2);
    test_write_tensors(test_join(directory, "pytorch_model-00002-of-00002.safetensors"), &tensors,
                       1, 3);
    check_open_fails(directory, PITH_ERROR_FORMAT, "tensor b is both in");
    test_tensors_free(&tensors);
    CHECK_NO_LEAKS();
}

TEST(convert_shards, names_that_are_no_shards) {
    static const char *const names[] = {"model-00000-of-00002.safetensors",
                                        "model-00003-of-00002.safetensors",
                                        "model-1-of-2.safetensors",
                                        "consolidated-00001-of-00001.safetensors",
                                        "adapter_model-00001-of-00001.safetensors"};
    test_tensors tensors = three_tensors();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "no-shards-%zu", i);
        const char *directory = test_make_directory(name);
        test_write_tensors(test_join(directory, names[i]), &tensors, 0, 3);
        check_open_fails(directory, PITH_ERROR_FORMAT, i < 4 ? names[i] : "adapter");
    }
    test_tensors_free(&tensors);
    CHECK_NO_LEAKS();
}
