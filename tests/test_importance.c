/* The importance file: means of squares, kept and found again. */
#include "convert/importance.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pith_importance *new_importance(void) {
    pith_importance *importance;
    pith_error error;
    CHECK(pith_importance_new(&importance, NULL, &error) == PITH_OK, "%s", error.message);
    return importance;
}

TEST(importance, keeps_mean_squares) {
    static const float rows[] = {1, 2, 3, 3, 0, -1};
    pith_importance *importance = new_importance();
    pith_importance *loaded;
    pith_error error;
    const char *path = test_path("importance");
    CHECK(pith_importance_add(importance, "a \"b\" \xE2\x96\x81", rows, 2, 3, &error) == PITH_OK,
          "%s", error.message);
    CHECK(pith_importance_add(importance, "c", rows, 1, 2, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_importance_add(importance, "c", rows + 2, 2, 2, &error) == PITH_OK, "%s",
          error.message);
    CHECK(pith_importance_add(importance, "c", rows, 0, 2, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_importance_save(importance, path, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_importance_load(&loaded, path, NULL, &error) == PITH_OK, "%s", error.message);
    for (int i = 0; i < 2; i++) { /* the one that was saved and the one that was loaded */
        pith_importance *which = i == 0 ? importance : loaded;
        const float *a = pith_importance_find(which, "a \"b\" \xE2\x96\x81", 3);
        const float *c = pith_importance_find(which, "c", 2);
        CHECK(a != NULL && a[0] == 5 && a[1] == 2 && a[2] == 5, "a of %d", i);
        CHECK(c != NULL && c[0] == 10.0F / 3 && c[1] == 14.0F / 3, "c of %d: %g %g", i,
              (double)c[0], (double)c[1]);
        CHECK(pith_importance_find(which, "c", 3) == NULL, "wrong width found");
        CHECK(pith_importance_find(which, "d", 2) == NULL, "wrong name found");
    }
    CHECK(pith_importance_add(loaded, "c", rows, 1, 2, &error) == PITH_ERROR_ARGUMENT,
          "a loaded mean cannot be added to");
    pith_importance_free(importance);
    pith_importance_free(loaded);
    CHECK_NO_LEAKS();
}

TEST(importance, refuses_what_makes_no_sense) {
    static const float row[] = {1, 2, 3};
    pith_importance *importance = new_importance();
    pith_error error;
    const char *path = test_path("importance");
    CHECK(pith_importance_save(importance, path, &error) == PITH_ERROR_ARGUMENT, "empty");
    CHECK(pith_importance_add(importance, "a", row, 1, 0, &error) == PITH_ERROR_ARGUMENT, "0");
    CHECK(pith_importance_add(importance, "a", row, 1, 3, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_importance_add(importance, "a", row, 1, 2, &error) == PITH_ERROR_ARGUMENT, "width");
    CHECK(pith_importance_save(importance, "/nonexistent/x", &error) == PITH_ERROR_IO, "%s",
          error.message);
    /* Squares beyond the range of floats: a file that could not be loaded is not published. */
    static const float huge[] = {1e30F, 0, 0};
    CHECK(pith_importance_add(importance, "a", huge, 1, 3, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_importance_save(importance, path, &error) == PITH_ERROR_FORMAT &&
              strstr(error.message, "not a mean square") != NULL,
          "%s", error.message);
    CHECK(access(path, F_OK) != 0, "%s was published", path);
    pith_importance_free(importance);
    pith_importance_free(NULL);
    CHECK_NO_LEAKS();
}

static void check_load_fails(const char *path, pith_status expected, const char *words) {
    pith_importance *importance = NULL;
    pith_error error = {0};
    pith_status status = pith_importance_load(&importance, path, NULL, &error);
    CHECK(status == expected && importance == NULL, "%s: status %s", words,
          pith_status_name(status));
    CHECK(strstr(error.message, words) != NULL, "no \"%s\" in \"%s\"", words, error.message);
}

TEST(importance, refuses_damaged_files) {
    static const struct {
        pith_dtype dtype;
        size_t n_dims, cols;
        float value;
        const char *words;
    } cases[] = {
        {PITH_DTYPE_F16, 1, 0, 1, "tensor a is not one row"},
        {PITH_DTYPE_F32, 2, 2, 1, "tensor a is not one row"},
        {PITH_DTYPE_F32, 1, 0, -1, "element 1 is -1"},
        {PITH_DTYPE_F32, 1, 0, 1e38F * 10, "element 1 is inf"},
    };
    const char *path = test_path("damaged");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_tensors tensors = {0};
        test_tensor *t =
            test_tensors_add(&tensors, "a", cases[i].dtype, cases[i].n_dims, 4, cases[i].cols);
        if (cases[i].dtype == PITH_DTYPE_F32) {
            ((float *)t->data)[1] = cases[i].value;
        }
        test_write_tensors(path, &tensors, 0, 1);
        test_tensors_free(&tensors);
        check_load_fails(path, PITH_ERROR_FORMAT, cases[i].words);
    }
    test_write_file(path, "not safetensors", 15);
    check_load_fails(path, PITH_ERROR_FORMAT, "damaged");
    check_load_fails(test_path("nothing"), PITH_ERROR_IO, "nothing");
    CHECK_NO_LEAKS();
}

TEST(importance, survives_every_failed_allocation) {
    static const float row[] = {1, 2, 3};
    const char *path = test_path("importance");
    for (size_t fail_at = 1;; fail_at++) {
        test_allocator t;
        pith_importance *importance = NULL;
        pith_importance *loaded = NULL;
        test_allocator_init(&t);
        t.fail_at = fail_at;
        pith_status status = pith_importance_new(&importance, &t.allocator, NULL);
        if (status == PITH_OK) {
            status = pith_importance_add(importance, "a", row, 1, 3, NULL);
        }
        if (status == PITH_OK) {
            status = pith_importance_save(importance, path, NULL);
        }
        if (status == PITH_OK) {
            status = pith_importance_load(&loaded, path, &t.allocator, NULL);
        }
        pith_importance_free(importance);
        pith_importance_free(loaded);
        CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", fail_at, (size_t)t.n_live);
        if (t.n_calls < fail_at) {
            CHECK(status == PITH_OK, "status %s", pith_status_name(status));
            break;
        }
        CHECK(status == PITH_ERROR_MEMORY, "allocation %zu: %s", fail_at, pith_status_name(status));
    }
}
