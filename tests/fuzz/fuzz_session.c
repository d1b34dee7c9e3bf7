/* Loading a session of a small model. Input: 4 bytes, little-endian length of the header's JSON,
 * the JSON, then the data; the harness makes a file of them, so that a mutation of the JSON keeps
 * the length field right. What loads must go on: a token is evaluated, and the session is saved. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "pith.h"
#include "tests/fixture.h"
#include "tests/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static pith_model *open_model(void) {
    const char *path = test_path("fuzz.pith");
    test_write_tiny_model(path, PITH_TYPE_INT8, 1);
    pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF};
    pith_model *model = NULL;
    pith_error error;
    if (pith_model_open(&model, path, &options, &error) != PITH_OK) {
        fprintf(stderr, "%s\n", error.message);
        abort();
    }
    return model;
}

static void write_all(int fd, const void *data, size_t size) {
    if (write(fd, data, size) != (ssize_t)size) {
        abort();
    }
}

static void use(pith_session *session) {
    const int32_t token = 9;
    size_t n = pith_session_length(session);
    if (n == 0 || n > pith_session_context(session)) {
        abort();
    }
    pith_status status = pith_session_eval(session, &token, 1, NULL);
    if (status != PITH_OK && status != PITH_ERROR_CONTEXT && status != PITH_ERROR_NUMERIC) {
        abort();
    }
    if (pith_session_save(session, test_path("fuzz.session"), NULL) != PITH_OK) {
        abort();
    }
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
    memcpy(&given, data, sizeof given);
    data += sizeof given;
    size -= sizeof given;
    uint64_t n_json = pith_min_size(given, size);
    int fd = memfd_create("session", 0);
    if (fd < 0) {
        abort();
    }
    write_all(fd, &n_json, sizeof n_json);
    write_all(fd, data, size);
    char path[40];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    pith_session_options options = {.n_context = 32, .n_batch = 4};
    pith_session *session = NULL;
    if (pith_session_load(&session, model, path, &options, NULL) == PITH_OK) {
        use(session);
    }
    pith_session_free(session);
    close(fd);
    return 0;
}
