/* The reader of golden values itself: what it reads, and that damage is refused. */
#include "tests/npz.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

TEST(npz, reads_types_shapes_and_values) {
    test_npz *npz = test_npz_open(test_root("golden/llama-mha/expected.npz"));
    const test_array *ids = test_npz_ints(npz, "ids", 1);
    const test_array *logits = test_npz_floats(npz, "logits", 1);
    const test_array *hidden = test_npz_floats(npz, "hidden", 1);
    CHECK(ids->n_dims == 1 && ids->shape[0] == 7 && !ids->is_float, "ids_1 is not int32 [7]");
    CHECK(ids->data.ints[0] == 1, "first id %d, expected 1", ids->data.ints[0]);
    CHECK(logits->n_dims == 2 && logits->shape[0] == 7 && logits->shape[1] == 512,
          "logits_1 is not [7, 512]");
    CHECK(hidden->n_dims == 3 && hidden->count == 4 * 7 * 64, "hidden_1 has %zu values",
          hidden->count);
    CHECK(test_npz_find(npz, "no_such") == NULL, "found an array that is not there");
    test_npz_free(npz);
    CHECK_NO_LEAKS();
}

/* Reads a copy that ends at a guard page. */
static bool parses(const unsigned char *data, size_t size) {
    const char *problem = NULL;
    unsigned char *copy = test_guarded(size);
    if (size != 0) {
        memcpy(copy, data, size);
    }
    test_npz *npz = test_npz_parse(copy, size, &problem);
    bool parsed = npz != NULL;
    CHECK(parsed == (problem == NULL), "a result and a problem at once");
    test_npz_free(npz);
    test_guarded_free(copy, size);
    return parsed;
}

TEST(npz, refuses_truncated_and_survives_damaged_archives) {
    size_t size;
    uint64_t seed = 20240607;
    unsigned char *data = test_read_file(test_root("golden/extra/mqa/expected.npz"), &size);
    CHECK(parses(data, size), "the whole archive was refused");
    for (size_t cut = 1; cut < 4096; cut++) {
        CHECK(!parses(data, size - cut), "accepted without its last %zu bytes", cut);
        CHECK(!parses(data + size - cut, cut), "accepted its last %zu bytes alone", cut);
    }
    for (size_t round = 0; round < 2000; round++) {
        uint64_t r = test_random(&seed);
        size_t at = size - 1 - (size_t)(r % 2048); /* in the directory, mostly */
        unsigned char old = data[at];
        data[at] = (unsigned char)(r >> 32);
        parses(data, size);
        data[at] = old;
    }
    free(data);
    CHECK_NO_LEAKS();
}
