/* Sessions: creation, evaluation of one or several timelines, rewinding. What memory they take as
 * they grow, and forks, are in session_memory.c. */
#include "engine/session.h"

#include <assert.h>
#include <string.h>

#include "base/checked.h"
#include "engine/lead.h"

enum {
    DEFAULT_BATCH = 512,
    MAX_BATCH = 1 << 16,
};

/* ---- Life ------------------------------------------------------------------------------------ */

/* Positions for which one kind of layer was trained. YaRN stretches the original length by its
 * factor, whatever max_position_embeddings says. */
static size_t kind_positions(const pith_config *config, const pith_rope_config *rope) {
    double stretched = rope->scaling == PITH_ROPE_YARN && rope->dims != 0
                           ? rope->factor * (double)rope->original_context
                           : 0;
    return stretched >= PITH_MAX_CONTEXT
               ? PITH_MAX_CONTEXT
               : pith_max_size(config->max_position_embeddings, (size_t)stretched);
}

static size_t trained_positions(const pith_config *config) {
    size_t least = PITH_MAX_CONTEXT;
    for (size_t i = 0; i < config->n_kinds; i++) {
        least = pith_min_size(least, kind_positions(config, &config->kinds[i].rope));
    }
    return least;
}

static bool has_dynamic_rope(const pith_config *config) {
    for (size_t i = 0; i < config->n_kinds; i++) {
        if (config->kinds[i].rope.scaling == PITH_ROPE_DYNAMIC) {
            return true;
        }
    }
    return false;
}

static pith_status check_positions(const pith_model *model, size_t n_context, pith_error *error) {
    const pith_config *config = &model->network.config;
    if (has_dynamic_rope(config) && n_context > config->max_position_embeddings) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "a context of %zu is more than %zu positions: beyond them rope_scaling "
                         "\"dynamic\" turns all keys anew with every token, which is not supported",
                         n_context, config->max_position_embeddings);
    }
    if (n_context > trained_positions(config)) {
        pith_log_write(&model->log, PITH_LOG_WARNING,
                       "a context of %zu is more than the %zu positions the model was trained for",
                       n_context, trained_positions(config));
    }
    return PITH_OK;
}

static pith_status check_options(const pith_model *model, const pith_session_options *options,
                                 pith_error *error) {
    if (options->n_context > PITH_MAX_CONTEXT) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "n_context %zu is more than %d",
                         options->n_context, PITH_MAX_CONTEXT);
    }
    if (options->n_batch > MAX_BATCH) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "n_batch %zu is more than %d",
                         options->n_batch, MAX_BATCH);
    }
    size_t head_dim = model->network.config.head_dim;
    if (options->kv_type == PITH_KV_INT8 && head_dim > PITH_KV_MAX_INT8_DIM) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "KV cache type int8 is for heads of at most %d, not %zu",
                         PITH_KV_MAX_INT8_DIM, head_dim);
    }
    if ((unsigned)options->kv_type > PITH_KV_INT8) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "unknown KV cache type %d",
                         (int)options->kv_type);
    }
    return check_positions(model, options->n_context, error);
}

pith_kv_type pith_session_default_kv(const pith_model *model) {
    return model->type == PITH_TYPE_F32 ? PITH_KV_F32 : PITH_KV_F16;
}

pith_kv_shape pith_session_kv_shape(const pith_model *model, pith_kv_type type) {
    return pith_kv_shape_of(&model->network.config, type, pith_model_kv_heads(model).n);
}

pith_status pith_session_new(pith_session **out, const pith_model *model,
                             const pith_session_options *options, pith_error *error) {
    static const pith_session_options defaults = {0};
    if (out == NULL || model == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_session_new: null argument");
    }
    if (model->network.config.role == PITH_ENCODER) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "the model is an encoder: it has no session, use pith_embed");
    }
    options = options != NULL ? options : &defaults;
    pith_status status = check_options(model, options, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_session_options full = *options;
    if (full.n_context == 0) {
        full.n_context = model->network.config.max_position_embeddings;
    }
    if (full.n_batch == 0) {
        full.n_batch = DEFAULT_BATCH;
    }
    if (full.kv_type == PITH_KV_AUTO) {
        full.kv_type = pith_session_default_kv(model);
    }
    return pith_session_create(out, model, &full, error);
}

/* The work buffers that evaluations of this session alone need. */
static pith_status reserve_scratch(const pith_session *s, pith_error *error) {
    size_t n_rows = pith_min_size(s->n_batch, s->n_context);
    return pith_scratch_reserve(s->model, pith_scratch_size_for(s->model, n_rows, s->n_context),
                                error);
}

pith_status pith_session_create(pith_session **out, const pith_model *model,
                                const pith_session_options *options, pith_error *error) {
    pith_session *s = pith_allocate_zeroed(&model->allocator, 1, sizeof *s);
    if (s == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a session");
    }
    s->model = model;
    s->all_logits = options->all_logits;
    s->n_context = options->n_context;
    s->n_batch = options->n_batch;
    s->logits_stride = pith_round_up(model->network.config.vocab_size, PITH_TILE_ROWS);

    pith_kv_shape shape = pith_session_kv_shape(model, options->kv_type);
    pith_status status = PITH_OK;
    if (!pith_kv_begin(&s->kv, &shape, s->n_context, &model->allocator)) {
        status = pith_fail(error, PITH_ERROR_MEMORY,
                           "no memory for a session with a context of %zu", s->n_context);
    }
    if (status == PITH_OK) {
        status = pith_session_make_room(s, 1, 1, error);
    }
    if (status == PITH_OK) {
        status = reserve_scratch(s, error);
    }
    if (status == PITH_OK) {
        status = pith_lead_cache(model, &s->kv, s->n_batch, error);
    }
    if (status != PITH_OK) {
        pith_session_free(s);
        return status;
    }
    *out = s;
    return PITH_OK;
}

void pith_session_free(pith_session *s) {
    if (s != NULL) {
        pith_lead_cache_end(s->model, &s->kv);
        pith_kv_end(&s->kv);
        pith_region_release(&s->logits_region);
        pith_release(&s->model->allocator, s->tokens);
        pith_release(&s->model->allocator, s);
    }
}

/* ---- Evaluation ------------------------------------------------------------------------------ */

pith_status pith_session_check(const pith_session *s, const int32_t *tokens, size_t n,
                               pith_error *error) {
    if (s == NULL || tokens == NULL || n == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "eval needs a session and at least one token");
    }
    if (n > s->n_context - s->n_tokens) {
        return pith_fail(error, PITH_ERROR_CONTEXT,
                         "%zu tokens after %zu do not fit in the context of %zu", n, s->n_tokens,
                         s->n_context);
    }
    if (s->observer.fn != NULL && s->model->team != NULL) {
        return pith_lead_refuse(s->model, "observing a session", error);
    }
    size_t vocab = s->model->network.config.vocab_size;
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] < 0 || (size_t)tokens[i] >= vocab) {
            return pith_fail(error, PITH_ERROR_TOKEN,
                             "token %d at index %zu is outside the vocabulary of %zu",
                             (int)tokens[i], i, vocab);
        }
    }
    return PITH_OK;
}

bool pith_session_finite(const float *logits, size_t stride, size_t n_rows, size_t n) {
    for (size_t r = 0; r < n_rows; r++) {
        uint32_t worst = 0;
        for (size_t i = 0; i < n; i++) {
            uint32_t bits;
            memcpy(&bits, &logits[r * stride + i], sizeof bits);
            bits &= UINT32_C(0x7fffffff);
            worst = bits > worst ? bits : worst;
        }
        if (worst >= UINT32_C(0x7f800000)) {
            return false;
        }
    }
    return true;
}

void pith_session_look_ahead(pith_session *s, pith_ahead *ahead) {
    s->ahead = ahead;
}

/* How many of the last tokens [n] of an evaluation are not to be appended. */
static size_t count_ahead(const pith_session *s, const int32_t *tokens, size_t n) {
    const pith_ahead *ahead = s->ahead;
    bool meant =
        ahead != NULL && ahead->n == n && memcmp(ahead->tokens, tokens, n * sizeof *tokens) == 0;
    return meant ? ahead->n_ahead : 0;
}

static pith_status check_batch(pith_session *const *sessions, size_t n_sessions,
                               const int32_t *const *tokens, const size_t *n_tokens,
                               pith_error *error) {
    for (size_t i = 0; i < n_sessions; i++) {
        pith_status status = pith_session_check(sessions[i], tokens[i], n_tokens[i], error);
        if (status != PITH_OK) {
            return n_sessions > 1 ? pith_fail_in(error, status, "session %zu", i) : status;
        }
        if (sessions[i]->model != sessions[0]->model) {
            return pith_fail(error, PITH_ERROR_ARGUMENT, "sessions of a batch differ in model");
        }
        for (size_t j = 0; j < i; j++) {
            if (sessions[i] == sessions[j]) {
                return pith_fail(error, PITH_ERROR_ARGUMENT, "a session is twice in a batch");
            }
        }
    }
    return PITH_OK;
}

static pith_pass_token make_token(const pith_session *s, int32_t token, size_t i, float *logits) {
    return (pith_pass_token){
        .kv = &s->kv,
        .position = s->n_tokens + i,
        .id = token,
        .logits = logits,
        .observer = s->observer.fn != NULL ? &s->observer : NULL,
    };
}

/* The sessions and tokens of one evaluation, as pith_batch_eval has them. */
typedef struct batch {
    pith_session *const *sessions; /* [n_sessions] */
    size_t n_sessions;
    const int32_t *const *tokens; /* [n_sessions] */
    const size_t *n_tokens;       /* [n_sessions] */
    size_t most_rows;             /* of a pass */
    bool begun;                   /* its first pass */
} batch;

/* One pass of the scratch's first n_rows tokens. Until the first one begins, nothing has changed.
 */
static pith_status run_pass(batch *b, const pith_scratch *scratch, size_t n_rows,
                            pith_error *error) {
    const pith_model *model = b->sessions[0]->model;
    pith_forward pass = pith_forward_begin(model, scratch, n_rows);
    for (size_t r = 0; r < n_rows; r++) {
        bool observed = scratch->tokens[r].observer != NULL;
        pass.compute.keeps_floats = pass.compute.keeps_floats || observed;
    }
    pith_status status =
        pith_lead_pass(&pass, b->sessions, b->n_tokens, b->begun ? 0 : b->n_sessions, error);
    if (status != PITH_OK) {
        return status;
    }
    for (size_t i = 0; i < b->n_sessions && !b->begun; i++) {
        b->sessions[i]->n_logits = 0; /* their memory is about to change */
    }
    b->begun = true;
    pith_decoder_forward(&pass);
    return pith_lead_done(model, error);
}

/* Where the logits after token t of an evaluation go, of which n_kept are appended; NULL: nowhere.
 */
static float *place_logits(const pith_session *s, size_t t, size_t n_kept) {
    if (t >= n_kept) {
        return s->ahead->logits + (t - n_kept) * s->logits_stride;
    }
    if (s->all_logits) {
        return s->logits + t * s->logits_stride;
    }
    return t + 1 == n_kept ? s->logits : NULL;
}

/* All tokens in order, session after session, in passes of at most most_rows rows. */
static pith_status run_passes(batch *b, const pith_scratch *scratch, pith_error *error) {
    size_t n_rows = 0;
    for (size_t i = 0; i < b->n_sessions; i++) {
        const pith_session *s = b->sessions[i];
        size_t n_ahead = count_ahead(s, b->tokens[i], b->n_tokens[i]);
        for (size_t t = 0; t < b->n_tokens[i]; t++) {
            float *logits = place_logits(s, t, b->n_tokens[i] - n_ahead);
            scratch->tokens[n_rows++] = make_token(s, b->tokens[i][t], t, logits);
            if (n_rows == b->most_rows) {
                pith_status status = run_pass(b, scratch, n_rows, error);
                if (status != PITH_OK) {
                    return status;
                }
                n_rows = 0;
            }
        }
    }
    return n_rows != 0 ? run_pass(b, scratch, n_rows, error) : PITH_OK;
}

/* Sets most_rows; takes buffers for passes of the batch: for as many rows as it has or its sessions
 * allow, and for the longest of their timelines. */
static pith_status take_scratch(batch *b, pith_scratch **out, pith_error *error) {
    size_t n_rows = 0;
    size_t longest = 0;
    b->most_rows = 0;
    for (size_t i = 0; i < b->n_sessions; i++) {
        const pith_session *s = b->sessions[i];
        n_rows += b->n_tokens[i]; /* at most PITH_MAX_CONTEXT each: far from SIZE_MAX */
        longest = pith_max_size(longest, s->n_tokens + b->n_tokens[i]);
        b->most_rows = pith_max_size(b->most_rows, s->n_batch);
    }
    const pith_model *model = b->sessions[0]->model;
    n_rows = pith_min_size(n_rows, b->most_rows);
    return pith_scratch_take(out, model, pith_scratch_size_for(model, n_rows, longest), error);
}

/* Rows of logits that an evaluation of n_kept tokens leaves. */
static size_t kept_logits(const pith_session *s, size_t n_kept) {
    return s->all_logits ? n_kept : 1;
}

static bool kept_are_finite(const pith_session *s, size_t n_kept) {
    return pith_session_finite(s->logits, s->logits_stride, kept_logits(s, n_kept),
                               s->model->network.config.vocab_size);
}

/* Rows that are good from the first on. */
static size_t count_good(const pith_session *s, const float *logits, size_t n) {
    size_t good = 0;
    while (good < n && pith_session_finite(logits + good * s->logits_stride, 0, 1,
                                           s->model->network.config.vocab_size)) {
        good++;
    }
    return good;
}

/* Checks what session i was evaluated to. NaN of a token ahead reaches earlier rows of its pass
 * through attention, as 0 x NaN: the tokens before it are then evaluated again without it. */
static pith_status check_logits(const batch *b, size_t i, const pith_scratch *scratch,
                                pith_error *error) {
    pith_session *s = b->sessions[i];
    size_t n_ahead = count_ahead(s, b->tokens[i], b->n_tokens[i]);
    size_t n_kept = b->n_tokens[i] - n_ahead;
    bool good = kept_are_finite(s, n_kept);
    if (n_ahead != 0) {
        s->ahead->n_good = good ? count_good(s, s->ahead->logits, n_ahead) : 0;
    }
    if (!good && n_ahead != 0) {
        batch kept = {.sessions = &b->sessions[i],
                      .n_sessions = 1,
                      .tokens = &b->tokens[i],
                      .n_tokens = &n_kept,
                      .most_rows = b->most_rows};
        pith_status status = run_passes(&kept, scratch, error);
        if (status != PITH_OK) {
            return status;
        }
        good = kept_are_finite(s, n_kept);
    }
    if (good) {
        return PITH_OK;
    }
    pith_status status = pith_fail(error, PITH_ERROR_NUMERIC,
                                   "the network gave NaN or infinite logits at position %zu",
                                   s->n_tokens + n_kept - 1);
    return b->n_sessions > 1 ? pith_fail_in(error, status, "session %zu", i) : status;
}

static void append(pith_session *s, const int32_t *tokens, size_t n) {
    size_t n_ahead = count_ahead(s, tokens, n);
    size_t n_kept = n - n_ahead;
    memcpy(s->tokens + s->n_tokens, tokens, n_kept * sizeof *tokens);
    s->n_tokens += n_kept;
    s->n_logits = kept_logits(s, n_kept);
    s->ahead = NULL;
}

pith_status pith_batch_eval(pith_session *const *sessions, size_t n_sessions,
                            const int32_t *const *tokens, const size_t *n_tokens,
                            pith_error *error) {
    if (sessions == NULL || tokens == NULL || n_tokens == NULL || n_sessions == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_batch_eval: null argument");
    }
    pith_status status = check_batch(sessions, n_sessions, tokens, n_tokens, error);
    if (status != PITH_OK) {
        return status;
    }
    batch b = {.sessions = sessions,
               .n_sessions = n_sessions,
               .tokens = tokens,
               .n_tokens = n_tokens};
    for (size_t i = 0; i < n_sessions && status == PITH_OK; i++) {
        size_t n_logits = sessions[i]->all_logits ? n_tokens[i] : 1;
        status = pith_session_grow(sessions[i], n_tokens[i], n_logits, error);
    }
    pith_scratch *scratch = NULL;
    if (status == PITH_OK) {
        status = take_scratch(&b, &scratch, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    status = run_passes(&b, scratch, error);
    for (size_t i = 0; i < n_sessions && status == PITH_OK; i++) {
        status = check_logits(&b, i, scratch, error);
    }
    pith_scratch_give(sessions[0]->model, scratch);
    for (size_t i = 0; i < n_sessions && status == PITH_OK; i++) {
        append(sessions[i], tokens[i], n_tokens[i]);
    }
    return status;
}

pith_status pith_session_eval(pith_session *session, const int32_t *tokens, size_t n_tokens,
                              pith_error *error) {
    return pith_batch_eval(&session, 1, &tokens, &n_tokens, error);
}

void pith_session_follow(pith_session *s, int32_t token, const float *logits) {
    assert(s->n_tokens < s->n_context);
    s->tokens[s->n_tokens++] = token;
    memcpy(s->logits, logits, s->logits_stride * sizeof *logits);
    s->n_logits = 1;
}

/* ---- State ----------------------------------------------------------------------------------- */

const float *pith_session_logits(const pith_session *s) {
    if (s == NULL || s->n_logits == 0) {
        return NULL;
    }
    return s->logits + (s->n_logits - 1) * s->logits_stride;
}

const float *pith_session_logits_at(const pith_session *s, size_t i) {
    if (s == NULL || !s->all_logits || i >= s->n_logits) {
        return NULL;
    }
    return s->logits + i * s->logits_stride;
}

size_t pith_session_length(const pith_session *s) {
    return s->n_tokens;
}

const int32_t *pith_session_tokens(const pith_session *s) {
    return s->tokens;
}

size_t pith_session_context(const pith_session *s) {
    return s->n_context;
}

pith_status pith_session_rewind(pith_session *s, size_t n_tokens, pith_error *error) {
    if (s == NULL || n_tokens > s->n_tokens) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "cannot rewind a timeline of %zu tokens to %zu",
                         s == NULL ? 0 : s->n_tokens, n_tokens);
    }
    s->n_tokens = n_tokens;
    s->n_logits = 0;
    return PITH_OK;
}

pith_status pith_session_reuse(pith_session *s, const int32_t *tokens, size_t n_tokens,
                               size_t *n_kept, pith_error *error) {
    if (s == NULL || tokens == NULL || n_tokens == 0 || n_kept == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "pith_session_reuse needs a session and at least one token");
    }
    size_t most = pith_min_size(s->n_tokens, n_tokens - 1);
    size_t kept = 0;
    while (kept < most && s->tokens[kept] == tokens[kept]) {
        kept++;
    }
    if (kept < s->n_tokens) {
        s->n_tokens = kept;
        s->n_logits = 0;
    }
    *n_kept = kept;
    return PITH_OK;
}

void pith_session_observe(pith_session *s, pith_observe_fn fn, void *user) {
    s->observer = (pith_observer){.fn = fn, .user = user};
}
