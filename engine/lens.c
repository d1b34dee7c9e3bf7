/* The logit lens (nostalgebraist 2020, "interpreting GPT: the logit lens"): final norm and head on
 * rows of the caller's, through the end of the forward pass itself. */
#include <string.h>

#include "base/checked.h"
#include "engine/lead.h"
#include "engine/session.h"

/* Rows of one pass: as many as a session takes by default, so that even a BLAS sees the same
 * products as it did in the session's own pass. */
enum { MAX_ROWS = 512 };

/* One pass over n <= scratch->size.rows rows. `padded` [n, stride] receives the logits when the
 * rows of `logits` are not whole tiles, else it is NULL. */
static void run(const pith_model *model, const pith_scratch *s, const float *rows, size_t n,
                float *padded, size_t stride, float *logits) {
    const pith_config *config = &model->network.config;
    for (size_t r = 0; r < n; r++) {
        memcpy(s->x.data + r * s->x.stride, rows + r * config->hidden_size,
               config->hidden_size * sizeof *rows);
        s->logits[r] = padded != NULL ? padded + r * stride : logits + r * config->vocab_size;
    }
    const pith_forward pass = pith_forward_begin(model, s, n);
    pith_decoder_head(&pass);
    for (size_t r = 0; r < n && padded != NULL; r++) {
        memcpy(logits + r * config->vocab_size, s->logits[r], config->vocab_size * sizeof *logits);
    }
}

/* Allocates room for rows of whole tiles where those of the caller's logits are not. The caller
 * releases it. */
static pith_status allocate_padded(pith_region *out, const pith_model *model, size_t n_rows,
                                   size_t stride, pith_error *error) {
    size_t size;
    if (stride == model->network.config.vocab_size) {
        return PITH_OK;
    }
    if (!pith_mul_size(n_rows, stride * sizeof(float), &size)) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%zu rows do not fit in memory", n_rows);
    }
    return pith_region_allocate(out, size, &model->allocator, error);
}

pith_status pith_logit_lens(const pith_model *model, const float *rows, size_t n_rows,
                            float *logits, pith_error *error) {
    if (model == NULL || ((rows == NULL || logits == NULL) && n_rows != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_logit_lens: null argument");
    }
    if (model->network.config.role == PITH_ENCODER) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model is an encoder: it has no head that gives logits");
    }
    if (model->team != NULL) {
        return pith_lead_refuse(model, "the logit lens", error);
    }
    const size_t hidden = model->network.config.hidden_size;
    const size_t vocab = model->network.config.vocab_size;
    if (n_rows == 0) {
        return PITH_OK;
    }
    const size_t stride = pith_round_up(vocab, PITH_TILE_ROWS);
    const size_t n_pass = pith_min_size(n_rows, MAX_ROWS);
    pith_region padded = {.data = NULL};
    pith_scratch *scratch = NULL;
    pith_status status = allocate_padded(&padded, model, n_pass, stride, error);
    if (status == PITH_OK) {
        status = pith_scratch_take(&scratch, model, pith_scratch_size_for(model, n_pass, 1), error);
    }
    for (size_t done = 0; status == PITH_OK && done < n_rows; done += n_pass) {
        size_t n = pith_min_size(n_rows - done, n_pass);
        run(model, scratch, rows + done * hidden, n, padded.data, stride, logits + done * vocab);
        for (size_t r = 0; status == PITH_OK && r < n; r++) {
            if (!pith_session_finite(logits + (done + r) * vocab, vocab, 1, vocab)) {
                status = pith_fail(error, PITH_ERROR_NUMERIC,
                                   "row %zu gives NaN or infinite logits", done + r);
            }
        }
    }
    if (scratch != NULL) {
        pith_scratch_give(model, scratch);
    }
    pith_region_release(&padded);
    return status;
}
