/* Loading a session of a small model. Input: 4 bytes, little-endian length of the header's JSON,
 * the JSON, then the data; the harness makes a file of them, so that a mutation of the JSON keeps
 * the length field right. What loads must go on: a token is evaluated, and the session is saved. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "tests/fixture.h"
#include "tests/fuzz/input.h"

static test_allocator memory;

enum { MOST_CONTEXT = 32, N_BATCH = 4 };

/* The largest session leaves the model with the scratch memory that all others find there. */
static void keep_scratch(const pith_model *model) {
    const pith_session_options options = {.n_context = MOST_CONTEXT, .n_batch = N_BATCH};
    pith_session *session = NULL;
    fuzz_require(pith_session_new(&session, model, &options, NULL) == PITH_OK);
    pith_session_free(session);
}

/* Calls that are refused whatever stands in a file. */
static void refuse(const pith_model *model) {
    pith_session *session = NULL;
    fuzz_require(pith_session_load(NULL, model, "x", NULL, NULL) == PITH_ERROR_ARGUMENT);
    fuzz_require(pith_session_load(&session, NULL, "x", NULL, NULL) == PITH_ERROR_ARGUMENT);
    fuzz_require(pith_session_load(&session, model, NULL, NULL, NULL) == PITH_ERROR_ARGUMENT);
    fuzz_require(pith_session_load(&session, model, "/proc/no/such", NULL, NULL) != PITH_OK);
    fuzz_require(pith_session_new(&session, model, NULL, NULL) == PITH_OK);
    fuzz_require(pith_session_save(session, test_path("none"), NULL) == PITH_ERROR_ARGUMENT);
    fuzz_require(pith_session_save(session, NULL, NULL) == PITH_ERROR_ARGUMENT);
    fuzz_require(pith_session_save(NULL, "x", NULL) == PITH_ERROR_ARGUMENT);
    pith_session_free(session);
}

static pith_model *open_model(void) {
    const char *path = test_path("fuzz.pith");
    test_write_tiny_model(path, PITH_TYPE_INT8, 1);
    test_allocator_init(&memory);
    pith_model_options options = {.n_threads = 1,
                                  .blas = PITH_BLAS_OFF,
                                  .allocator = &memory.allocator};
    pith_model *model = NULL;
    pith_error error;
    if (pith_model_open(&model, path, &options, &error) != PITH_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    keep_scratch(model);
    refuse(model);
    return model;
}

static void use(pith_session *session, const uint8_t *data, size_t size) {
    const int32_t token = 9;
    size_t n = pith_session_length(session);
    fuzz_require(n > 0 && n <= pith_session_context(session));
    pith_status status = pith_session_eval(session, &token, 1, NULL);
    fuzz_require(status == PITH_OK || status == PITH_ERROR_CONTEXT ||
                 status == PITH_ERROR_NUMERIC || fuzz_allocation_failed(&memory));
    fuzz_allocator_arm(&memory, data, size);
    fuzz_require(pith_session_save(session, test_path("fuzz.session"), NULL) == PITH_OK ||
                 fuzz_allocation_failed(&memory));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static pith_model *model;
    uint32_t given;
    if (size < sizeof given) {
        return 0;
    }
    if (model == NULL) {
        model = open_model();
    }
    fuzz_allocator_arm(&memory, data, size);
    size_t n_live = memory.n_live;
    memcpy(&given, data, sizeof given);
    data += sizeof given;
    size -= sizeof given;
    uint64_t n_json = pith_min_size(given, size);
    fuzz_file file;
    fuzz_file_open(&file);
    fuzz_file_write(&file, &n_json, sizeof n_json);
    fuzz_file_write(&file, data, size);
    /* Of eight inputs one gets too little, one the wrong type. */
    uint64_t hash = fuzz_hash(data, size);
    pith_session_options options = {.n_context = hash >> 40 & 7 ? MOST_CONTEXT : 2,
                                    .n_batch = N_BATCH,
                                    .kv_type = hash >> 43 & 7 ? PITH_KV_AUTO : PITH_KV_F32};
    bool as_is = (hash >> 46 & 7) == 0; /* the context of the model */
    pith_session *session = NULL;
    if (pith_session_load(&session, model, file.path, as_is ? NULL : &options, NULL) == PITH_OK) {
        use(session, data, size);
    }
    pith_session_free(session);
    fuzz_require(memory.n_live == n_live);
    fuzz_file_close(&file);
    return 0;
}
