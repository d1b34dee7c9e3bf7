#include "tests/calls.h"

#include "tests/test.h"

pith_model *test_open_alone(const char *path) {
    const pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF};
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

pith_session *test_session(const pith_model *model, pith_session_options options) {
    pith_session *session = NULL;
    pith_error error;
    pith_status status = pith_session_new(&session, model, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return session;
}

void test_eval(pith_session *session, const int32_t *tokens, size_t n) {
    pith_error error;
    pith_status status = pith_session_eval(session, tokens, n, &error);
    CHECK(status == PITH_OK, "%s", error.message);
}
