/* Calls of the library that a test expects to succeed: when one does not, the test fails with its
 * message. */
#ifndef PITH_TESTS_CALLS_H
#define PITH_TESTS_CALLS_H

#include "pith.h"

/* A model on one thread, without BLAS. */
pith_model *test_open_alone(const char *path);

pith_session *test_session(const pith_model *model, pith_session_options options);
void test_eval(pith_session *session, const int32_t *tokens, size_t n);

#endif
