/* Of a mixture of experts only those that a token's routers chose are read: any other may hold
 * anything, and every chosen one matters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/model.h"
#include "tests/golden.h"
#include "tests/test.h"

enum { MOST_VOCAB = 256 };

/* Zeros behind the last of the vocabulary. False when the logits are no numbers. */
static bool logits_of(const pith_model *model, int32_t token, float *out) {
    pith_session *session = test_golden_session(model, 0);
    pith_error error = {0};
    pith_status status = pith_session_eval(session, &token, 1, &error);
    CHECK(status == PITH_OK || status == PITH_ERROR_NUMERIC, "%s", error.message);
    if (status == PITH_OK) {
        size_t n = model->network.config.vocab_size;
        CHECK(n <= MOST_VOCAB, "%zu logits", n);
        memset(out, 0, MOST_VOCAB * sizeof *out);
        memcpy(out, pith_session_logits(session), n * sizeof *out);
    }
    pith_session_free(session);
    return status == PITH_OK;
}

/* Replaces the weights of one expert by NaN. */
static void *poison(pith_matrix *m) {
    float *data = malloc(m->size);
    CHECK(data != NULL, "memory");
    for (size_t i = 0; i < m->size / sizeof *data; i++) {
        data[i] = NAN;
    }
    m->data = data;
    return data;
}

static void check_expert(pith_model *model, int32_t token, size_t e, size_t *n_used) {
    float before[MOST_VOCAB], after[MOST_VOCAB];
    pith_expert *expert = &model->network.experts[e];
    const pith_expert kept = *expert;
    CHECK(logits_of(model, token, before), "NaN from whole experts");
    void *gate_up = poison(&expert->gate_up.matrix);
    void *down = poison(&expert->down.matrix);
    bool unused = logits_of(model, token, after);
    CHECK(!unused || memcmp(before, after, sizeof before) == 0,
          "expert %zu is not read, and yet changes the logits", e);
    *n_used += !unused;
    *expert = kept;
    free(gate_up);
    free(down);
}

TEST(golden_experts, only_the_chosen_ones_are_read) {
    static const char *const names[] = {"extra/qwen3-moe", "extra/mixtral", "extra/olmoe",
                                        "extra/granitemoe", "extra/gpt_oss"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        pith_model *model = test_golden_open(names[i], PITH_TYPE_F32, NULL, 2, PITH_BLAS_OFF);
        const pith_config *c = &model->network.config;
        for (int32_t token = 3; token < 9; token++) {
            for (size_t layer = 0; layer < c->num_hidden_layers; layer++) {
                size_t n_used = 0;
                for (size_t e = 0; e < c->n_experts; e++) {
                    check_expert(model, token, layer * c->n_experts + e, &n_used);
                }
                CHECK(n_used == c->n_experts_used, "%s, token %d, layer %zu: %zu experts are read",
                      names[i], (int)token, layer, n_used);
            }
        }
        pith_model_info info;
        pith_model_get_info(model, &info);
        size_t unread = model->network.embed.size;
        for (size_t layer = 0; layer < c->num_hidden_layers; layer++) {
            const pith_expert *expert = &model->network.experts[layer * c->n_experts];
            unread += (c->n_experts - c->n_experts_used) *
                      (expert->gate_up.matrix.size + expert->down.matrix.size);
        }
        CHECK(info.token_bytes + unread <= info.weight_bytes, "%zu and %zu bytes of %zu",
              info.token_bytes, unread, info.weight_bytes);
        pith_model_free(model);
    }
    CHECK_NO_LEAKS();
}
