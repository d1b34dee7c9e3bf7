/* What the golden tests share: the checkpoints under golden/, their conversion to temporary .pith
 * files, and comparisons of logits. A set-up that fails ends the test with its message. */
#ifndef PITH_TESTS_GOLDEN_H
#define PITH_TESTS_GOLDEN_H

#include "families/matrix.h"
#include "pith.h"
#include "tests/npz.h"

enum {
    TEST_GOLDEN_PROMPTS = 4,
    TEST_GOLDEN_CONTEXT = 640, /* the longest prompt is 600 tokens, continued by 24 */
};

/* Directories under golden/, NULL-terminated. */
extern const char *const test_golden_names[];

/* The expected values of a checkpoint; free with test_npz_free. */
test_npz *test_golden_expected(const char *name);

/* Converts a checkpoint unless this process did before; the file's path in a static buffer. */
const char *test_golden_convert(const char *name, pith_type type);

/* Opens a converted checkpoint. `isa` and `n_threads` as in pith_model_options. */
pith_model *test_golden_open(const char *name, pith_type type, const char *isa, size_t n_threads,
                             pith_blas blas);

/* A session with all_logits, TEST_GOLDEN_CONTEXT positions and the given n_batch. */
pith_session *test_golden_session(const pith_model *model, size_t n_batch);

/* Like test_golden_session, with a KV cache of the given type. */
pith_session *test_golden_session_kv(const pith_model *model, size_t n_batch, pith_kv_type kv_type);

/* Evaluates tokens [n] or ends the test. */
void test_golden_eval(pith_session *session, const int32_t *tokens, size_t n);

/* The n-th instruction set that this CPU can run, best first; NULL past the last. */
const char *test_golden_isa(size_t n);

/* Index of the first value that differs in a [n] and b [n] by more than `limit` or is not a number;
 * n when there is none. *largest is raised to the largest difference met. */
size_t test_golden_differs(const float *a, const float *b, size_t n, float limit, float *largest);

/* Kullback-Leibler divergence KL(softmax(p) || softmax(q)) in nats, float64; p, q [n] logits. */
double test_golden_kl(const float *p, const float *q, size_t n);

size_t test_golden_argmax(const float *logits, size_t n);

#endif
