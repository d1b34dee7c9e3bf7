/* Writing .pith files: the layout, determinism, and that nothing but a complete file is ever seen.
 */
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t shape_one[] = {1};
static const size_t shape_64[] = {64};

static pith_model_writer *new_writer(const char *path) {
    pith_model_writer *writer = NULL;
    pith_error error;
    CHECK(pith_model_writer_new(&writer, path, NULL, &error) == PITH_OK, "%s", error.message);
    return writer;
}

static size_t add(pith_model_writer *writer, const char *name, pith_dtype dtype, size_t n) {
    size_t index = SIZE_MAX;
    pith_error error;
    CHECK(pith_model_writer_add(writer, name, dtype, 1, &n, &index, &error) == PITH_OK, "%s",
          error.message);
    return index;
}

static size_t files_in(const char *directory) {
    DIR *d = opendir(directory);
    size_t n = 0;
    while (d != NULL && readdir(d) != NULL) {
        n++;
    }
    closedir(d);
    return n - 2;
}

/* An empty directory of its own for one test. */
static const char *fresh_directory(const char *name) {
    char command[4200];
    const char *path = test_path(name);
    snprintf(command, sizeof command, "mkdir '%s'", path);
    CHECK(system(command) == 0, "%s", command);
    return path;
}

static pith_safetensors *read_header(const char *path) {
    pith_file file;
    pith_safetensors *st = NULL;
    pith_error error;
    CHECK(pith_file_open(&file, path, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_safetensors_read(&st, &file, &pith_malloc_allocator, &error) == PITH_OK, "%s",
          error.message);
    pith_file_close(&file);
    return st;
}

/* A file of tensors with awkward sizes, put in the given order. */
static void write_awkward(const char *path, const size_t order[5]) {
    static const unsigned char data[128] = {1, 2, 3, 4, 5, 6, 7, 8};
    pith_model_writer *writer = new_writer(path);
    pith_error error;
    size_t sizes[5];
    sizes[add(writer, "bytes", PITH_DTYPE_U8, 3)] = 3;
    sizes[add(writer, "floats", PITH_DTYPE_F32, 5)] = 20;
    sizes[add(writer, "lines", PITH_DTYPE_U8, 128)] = 128;
    sizes[add(writer, "halves", PITH_DTYPE_F16, 7)] = 14;
    sizes[add(writer, "longs", PITH_DTYPE_I64, 3)] = 24;
    CHECK(pith_model_writer_layout(writer, 100, &error) == PITH_OK, "%s", error.message);
    for (size_t i = 0; i < 5; i++) {
        size_t half = sizes[order[i]] / 2;
        CHECK(pith_model_writer_put(writer, order[i], half, data, sizes[order[i]] - half, &error) ==
                  PITH_OK,
              "%s", error.message);
        CHECK(pith_model_writer_put(writer, order[i], 0, data, half, &error) == PITH_OK, "%s",
              error.message);
    }
    CHECK(pith_model_writer_finish(writer, "{\"quoted\":\"\\\"\"}", &error) == PITH_OK, "%s",
          error.message);
}

/* Looks at a file before it is published: it must be whole, and not yet there. */
static pith_status look(void *user, const pith_file *file, pith_error *error) {
    pith_safetensors *header = NULL;
    const char *path = user;
    CHECK(strcmp(file->path, path) == 0, "path %s", file->path);
    CHECK(access(path, F_OK) != 0, "%s is there before it was looked at", path);
    CHECK(pith_safetensors_read(&header, file, &pith_malloc_allocator, error) == PITH_OK &&
              pith_safetensors_count(header) == 1,
          "not whole");
    pith_safetensors_free(header);
    return pith_fail(error, PITH_ERROR_UNSUPPORTED, "no");
}

TEST(model_writer, what_fails_its_check_is_not_published) {
    char path[512];
    snprintf(path, sizeof path, "%s", test_path("checked.pith"));
    pith_model_writer *writer = new_writer(path);
    pith_error error;
    size_t index = add(writer, "bytes", PITH_DTYPE_U8, 3);
    CHECK(pith_model_writer_layout(writer, 100, &error) == PITH_OK &&
              pith_model_writer_put(writer, index, 0, "abc", 3, &error) == PITH_OK,
          "%s", error.message);
    pith_status status = pith_model_writer_finish_checked(writer, "{}", look, path, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strcmp(error.message, "no") == 0, "status %d",
          (int)status);
    CHECK(access(path, F_OK) != 0, "%s was published", path);
    CHECK_NO_LEAKS();
}

TEST(model_writer, aligns_tensors_and_data) {
    const char *path = test_path("awkward.pith");
    write_awkward(path, (const size_t[]){0, 1, 2, 3, 4});
    static const char *const order[] = {"lines", "longs", "floats", "halves", "bytes"};
    pith_safetensors *st = read_header(path);
    CHECK(pith_safetensors_data_offset(st) % PITH_DATA_ALIGNMENT == 0, "data at %zu",
          pith_safetensors_data_offset(st));
    CHECK(pith_safetensors_count(st) == 5, "%zu tensors", pith_safetensors_count(st));
    for (size_t i = 0; i < 5; i++) {
        const pith_tensor *tensor = pith_safetensors_at(st, i);
        CHECK(strcmp(tensor->name, order[i]) == 0, "tensor %zu is %s", i, tensor->name);
        CHECK(tensor->offset % pith_dtype_size(tensor->dtype) == 0, "%s at %zu", tensor->name,
              tensor->offset);
    }
    const char *metadata = pith_safetensors_metadata(st, "pith");
    CHECK(strcmp(metadata, "{\"quoted\":\"\\\"\"}") == 0, "metadata %s", metadata);
    pith_safetensors_free(st);
    CHECK_NO_LEAKS();
}

TEST(model_writer, gives_the_same_bytes_in_any_order) {
    size_t size_a;
    size_t size_b;
    write_awkward(test_path("a.pith"), (const size_t[]){0, 1, 2, 3, 4});
    write_awkward(test_path("b.pith"), (const size_t[]){3, 2, 4, 1, 0});
    char *a = test_read_file(test_path("a.pith"), &size_a);
    char *b = test_read_file(test_path("b.pith"), &size_b);
    CHECK(size_a == size_b && memcmp(a, b, size_a) == 0, "files of %zu and %zu bytes differ",
          size_a, size_b);
    free(a);
    free(b);
}

TEST(model_writer, gives_the_same_model_twice) {
    for (unsigned type = 0; type < PITH_N_TYPES; type++) {
        size_t size_a;
        size_t size_b;
        test_write_tiny_model(test_path("a.pith"), (pith_type)type, 5);
        test_write_tiny_model(test_path("b.pith"), (pith_type)type, 5);
        char *a = test_read_file(test_path("a.pith"), &size_a);
        char *b = test_read_file(test_path("b.pith"), &size_b);
        CHECK(size_a == size_b && memcmp(a, b, size_a) == 0, "%s: files of %zu and %zu bytes",
              pith_type_name((pith_type)type), size_a, size_b);
        free(a);
        free(b);
    }
}

TEST(model_writer, discard_leaves_nothing) {
    const char *directory = fresh_directory("discard");
    char path[4200];
    pith_error error;
    snprintf(path, sizeof path, "%s/m.pith", directory);
    pith_model_writer *writer = new_writer(path);
    size_t index = add(writer, "t", PITH_DTYPE_U8, 4);
    CHECK(pith_model_writer_layout(writer, 10, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_model_writer_put(writer, index, 0, "abcd", 4, &error) == PITH_OK, "%s",
          error.message);
    pith_model_writer_discard(writer);
    pith_model_writer_discard(NULL);
    CHECK(files_in(directory) == 0, "%zu files are left", files_in(directory));
    CHECK_NO_LEAKS();
}

TEST(model_writer, a_killed_writer_leaves_the_old_file) {
    const char *directory = fresh_directory("killed");
    char path[4200];
    size_t size;
    snprintf(path, sizeof path, "%s/m.pith", directory);
    test_write_file(path, "old", 3);
    pid_t child = fork();
    CHECK(child >= 0, "fork failed");
    if (child == 0) {
        pith_model_writer *writer = NULL;
        size_t index;
        (void)pith_model_writer_new(&writer, path, NULL, NULL);
        (void)pith_model_writer_add(writer, "t", PITH_DTYPE_U8, 1, shape_64, &index, NULL);
        (void)pith_model_writer_layout(writer, 10, NULL);
        (void)pith_model_writer_put(writer, index, 0, path, 64, NULL);
        raise(SIGKILL);
    }
    int state = 0;
    CHECK(waitpid(child, &state, 0) == child && WIFSIGNALED(state), "the child ended with %d",
          state);
    char *old = test_read_file(path, &size);
    CHECK(size == 3 && memcmp(old, "old", 3) == 0, "the file has %zu bytes", size);
    free(old);
    CHECK(files_in(directory) == 2, "%zu files", files_in(directory));
    test_write_tiny_model(path, PITH_TYPE_INT4, 1);
    CHECK(files_in(directory) == 1, "%zu files: the temporary was not removed",
          files_in(directory));
}

TEST(model_writer, refuses_an_incomplete_model) {
    const char *directory = fresh_directory("incomplete");
    char path[4200];
    pith_error error;
    snprintf(path, sizeof path, "%s/m.pith", directory);
    pith_model_writer *writer = new_writer(path);
    size_t index = add(writer, "part", PITH_DTYPE_U8, 4);
    CHECK(pith_model_writer_layout(writer, 10, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_model_writer_put(writer, index, 0, "abc", 3, &error) == PITH_OK, "%s",
          error.message);
    CHECK(pith_model_writer_finish(writer, "{}", &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "\"part\": 3 of its 4") != NULL,
          "%s", error.message);
    CHECK(pith_model_writer_finish(new_writer(path), "{}", &error) == PITH_ERROR_ARGUMENT,
          "finished before the layout");
    CHECK(files_in(directory) == 0, "%zu files are left", files_in(directory));
    CHECK_NO_LEAKS();
}

TEST(model_writer, refuses_bad_declarations) {
    pith_model_writer *writer = new_writer(test_path("bad.pith"));
    pith_error error;
    size_t index = 77;
    const size_t huge[] = {SIZE_MAX / 2, 3};
    const size_t nine[9] = {1, 1, 1, 1, 1, 1, 1, 1, 1};
    (void)add(writer, "t", PITH_DTYPE_U8, 1);
    const struct {
        const char *name;
        pith_dtype dtype;
        size_t n_dims;
        const size_t *shape;
    } cases[] = {
        {"__metadata__", PITH_DTYPE_U8, 1, shape_one},
        {"u", PITH_DTYPE_U8, 2, huge},
        {"u", PITH_DTYPE_F64, 1, huge},
        {"u", PITH_N_DTYPES, 1, shape_one},
        {"u", PITH_DTYPE_U8, 9, nine},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_status status = pith_model_writer_add(writer, cases[i].name, cases[i].dtype,
                                                   cases[i].n_dims, cases[i].shape, &index, &error);
        CHECK(status == PITH_ERROR_ARGUMENT && index == 77, "case %zu: %s", i,
              pith_status_name(status));
    }
    CHECK(pith_model_writer_put(writer, 0, 0, "a", 1, &error) == PITH_ERROR_ARGUMENT,
          "put before the layout");
    CHECK(pith_model_writer_layout(writer, (size_t)PITH_MAX_METADATA + 1, &error) ==
              PITH_ERROR_ARGUMENT,
          "metadata limit");
    CHECK(pith_model_writer_layout(writer, 0, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_model_writer_layout(writer, 0, &error) == PITH_ERROR_ARGUMENT, "a second layout");
    CHECK(pith_model_writer_add(writer, "u", PITH_DTYPE_U8, 1, shape_one, &index, &error) ==
              PITH_ERROR_ARGUMENT,
          "added after the layout");
    CHECK(pith_model_writer_put(writer, 0, 1, "a", 1, &error) == PITH_ERROR_ARGUMENT, "beyond");
    CHECK(pith_model_writer_put(writer, 0, SIZE_MAX, "ab", 2, &error) == PITH_ERROR_ARGUMENT,
          "wrapping");
    CHECK(pith_model_writer_put(writer, 1, 0, "a", 1, &error) == PITH_ERROR_ARGUMENT, "index");
    pith_model_writer_discard(writer);
    CHECK_NO_LEAKS();
}

TEST(model_writer, a_name_that_was_declared_twice_is_refused) {
    static const char *const names[] = {"b", "a", "c", "", "a"};
    pith_model_writer *writer = new_writer(test_path("twice.pith"));
    pith_error error;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)add(writer, names[i], PITH_DTYPE_U8, 1);
    }
    CHECK(pith_model_writer_layout(writer, 0, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "tensor \"a\" declared twice") != NULL,
          "%s", error.message);
    pith_model_writer_discard(writer);
    CHECK_NO_LEAKS();
}

TEST(model_writer, sizes_that_add_up_to_too_much_are_refused) {
    pith_model_writer *writer = new_writer(test_path("sum.pith"));
    pith_error error;
    (void)add(writer, "a", PITH_DTYPE_U8, SIZE_MAX / 2);
    (void)add(writer, "b", PITH_DTYPE_U8, SIZE_MAX / 2);
    (void)add(writer, "c", PITH_DTYPE_U8, SIZE_MAX / 2);
    CHECK(pith_model_writer_layout(writer, 0, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "too large") != NULL,
          "%s", error.message);
    pith_model_writer_discard(writer);
}

TEST(model_writer, refuses_bad_metadata) {
    static const struct {
        const char *text;
        size_t limit;
        const char *part;
    } cases[] = {
        {"{\"a\":1}", 6, "7 bytes, 6 were announced"},
        {"{\"\xff\":1}", 20, "UTF-8"},
    };
    for (size_t i = 0; i < 2; i++) {
        const char *path = test_path("metadata.pith");
        pith_model_writer *writer = new_writer(path);
        pith_error error;
        CHECK(pith_model_writer_layout(writer, cases[i].limit, &error) == PITH_OK, "%s",
              error.message);
        CHECK(pith_model_writer_finish(writer, cases[i].text, &error) == PITH_ERROR_ARGUMENT &&
                  strstr(error.message, cases[i].part) != NULL,
              "%s", error.message);
        CHECK(access(path, F_OK) != 0, "a file was published");
    }
    CHECK_NO_LEAKS();
}

TEST(model_writer, quotes_and_backslashes_fit_whatever_their_number) {
    enum { N = 5000 };
    char text[N + 1];
    memset(text, '"', N);
    text[N] = '\0';
    for (size_t n = N; n > N - 70; n--) { /* every remainder of the padding */
        pith_error error;
        const char *path = test_path("quotes.pith");
        pith_model_writer *writer = new_writer(path);
        text[n] = '\0';
        CHECK(pith_model_writer_layout(writer, n, &error) == PITH_OK, "%s", error.message);
        CHECK(pith_model_writer_finish(writer, text, &error) == PITH_OK, "%zu: %s", n,
              error.message);
        pith_safetensors *st = read_header(path);
        CHECK(strcmp(pith_safetensors_metadata(st, "pith"), text) == 0, "%zu quotes changed", n);
        pith_safetensors_free(st);
    }
}

/* Writes a file of two tensors, with the n-th allocation failing. */
static pith_status write_with(const test_allocator *t, const char *path) {
    static const unsigned char data[64];
    const size_t shape[] = {2, 2};
    pith_model_writer *writer = NULL;
    size_t a;
    size_t b;
    pith_status status = pith_model_writer_new(&writer, path, &t->allocator, NULL);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_model_writer_add(writer, "a", PITH_DTYPE_U8, 1, shape_64, &a, NULL);
    if (status == PITH_OK) {
        status = pith_model_writer_add(writer, "b", PITH_DTYPE_F32, 2, shape, &b, NULL);
    }
    if (status == PITH_OK) {
        status = pith_model_writer_layout(writer, 20, NULL);
    }
    if (status == PITH_OK) {
        status = pith_model_writer_put(writer, a, 0, data, 64, NULL);
    }
    if (status == PITH_OK) {
        status = pith_model_writer_put(writer, b, 0, data, 16, NULL);
    }
    if (status != PITH_OK) {
        pith_model_writer_discard(writer);
        return status;
    }
    return pith_model_writer_finish(writer, "{}", NULL);
}

TEST(model_writer, survives_every_failing_allocation) {
    const char *directory = fresh_directory("memory");
    char path[4200];
    snprintf(path, sizeof path, "%s/m.pith", directory);
    test_allocator t;
    test_allocator_init(&t);
    pith_status status = PITH_ERROR_MEMORY;
    size_t n = 0;
    while (status != PITH_OK) {
        CHECK(files_in(directory) == 0, "allocation %zu: %zu files are left", n,
              files_in(directory));
        t.n_calls = 0;
        t.fail_at = ++n;
        status = write_with(&t, path);
        CHECK(status == PITH_OK || status == PITH_ERROR_MEMORY, "allocation %zu: %s", n,
              pith_status_name(status));
        CHECK(status == PITH_OK || t.n_calls >= n, "fails without a failing allocation");
        CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", n, (size_t)t.n_live);
    }
    CHECK(n > 10 && files_in(directory) == 1, "%zu allocations, %zu files", n, files_in(directory));
}
