/* The logit lens (nostalgebraist 2020, "interpreting GPT: the logit lens"): final norm and head on
 * rows of the caller's, through the end of the forward pass itself. */
#include <string.h>

#include "base/checked.h"
#include "engine/session.h"

/* Rows of one pass: as many as a session takes by default, so that even a BLAS sees the same
 * products as it did in the session's own pass. */
enum { MAX_ROWS = 512 };

/* Buffers of the call's own: it may run inside an observer, while a session's are in use. */
typedef struct lens {
    pith_region region; /* everything below that is a pointer */
    pith_scratch scratch;
    float *padded; /* [max_rows, stride], or NULL: the caller's rows are wide enough */
    size_t stride; /* of a row of logits */
} lens;

/* Lays the lens out in an arena; run twice, first to measure. */
static void take(lens *l, pith_arena *arena, const pith_model *model, size_t max_rows) {
    size_t vocab = model->llama.config.vocab_size;
    pith_scratch_take(&l->scratch, arena, model, max_rows, 1);
    l->stride = pith_round_up(vocab, PITH_TILE_ROWS);
    l->padded =
        l->stride == vocab ? NULL : pith_arena_take(arena, max_rows, l->stride * sizeof *l->padded);
}

static pith_status begin(lens *l, const pith_model *model, size_t max_rows, pith_error *error) {
    pith_arena measure = {0};
    take(l, &measure, model, max_rows);
    if (measure.overflow) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%zu rows do not fit in memory", max_rows);
    }
    pith_status status = pith_region_allocate(&l->region, measure.used, &model->allocator, error);
    if (status == PITH_OK) {
        pith_arena arena = {.base = l->region.data};
        take(l, &arena, model, max_rows);
    }
    return status;
}

/* One pass over n <= max_rows rows. */
static void run(const lens *l, const pith_model *model, const float *rows, size_t n,
                float *logits) {
    const pith_scratch *s = &l->scratch;
    const pith_llama_config *config = &model->llama.config;
    for (size_t r = 0; r < n; r++) {
        memcpy(s->x + r * s->x_stride, rows + r * config->hidden_size,
               config->hidden_size * sizeof *rows);
        s->logits[r] =
            l->padded != NULL ? l->padded + r * l->stride : logits + r * config->vocab_size;
    }
    const pith_forward pass = {.model = model, .scratch = s, .n_rows = n};
    pith_llama_head(&pass);
    for (size_t r = 0; r < n && l->padded != NULL; r++) {
        memcpy(logits + r * config->vocab_size, s->logits[r], config->vocab_size * sizeof *logits);
    }
}

pith_status pith_logit_lens(const pith_model *model, const float *rows, size_t n_rows,
                            float *logits, pith_error *error) {
    if (model == NULL || ((rows == NULL || logits == NULL) && n_rows != 0)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_logit_lens: null argument");
    }
    if (model->bert != NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model is an encoder: it has no head that gives logits");
    }
    const size_t hidden = model->llama.config.hidden_size;
    const size_t vocab = model->llama.config.vocab_size;
    if (n_rows == 0) {
        return PITH_OK;
    }
    lens l = {.stride = 0};
    pith_status status = begin(&l, model, pith_min_size(n_rows, MAX_ROWS), error);
    for (size_t done = 0; status == PITH_OK && done < n_rows;) {
        size_t n = pith_min_size(n_rows - done, l.scratch.max_rows);
        run(&l, model, rows + done * hidden, n, logits + done * vocab);
        for (size_t r = 0; status == PITH_OK && r < n; r++) {
            if (!pith_session_finite(logits + (done + r) * vocab, vocab, 1, vocab)) {
                status = pith_fail(error, PITH_ERROR_NUMERIC,
                                   "row %zu gives NaN or infinite logits", done + r);
            }
        }
        done += n;
    }
    pith_region_release(&l.region);
    return status;
}
