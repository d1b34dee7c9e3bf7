/* Generation: prompt, then sample, decode and evaluate token by token, with stop strings that may
 * run across tokens, and with tokens evaluated ahead where the text repeats (lookup.h). */
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "engine/linear.h"
#include "engine/lookup.h"
#include "engine/session.h"

enum {
    MAX_STOPS = 16,
    MAX_STOP_BYTES = 256,
    MAX_EOS = 64,
};

/* Text that came out of the decoder but may be the start of a stop string. */
typedef struct stop_filter {
    const char *const *stops;
    size_t n_stops;
    size_t longest;            /* bytes of the longest stop string */
    int32_t tokens[MAX_STOPS]; /* the special or added token of that spelling, -1: none */
    char *held;                /* [longest + pith_decode_max] */
    size_t n_held;
} stop_filter;

/* Tokens evaluated ahead. The session's timeline does not hold them until they are chosen. */
typedef struct lookahead {
    pith_lookup_gate gate;
    size_t max_drafts;                 /* 0: off */
    int32_t tokens[PITH_MAX_DRAFT];    /* the draft */
    float *logits;                     /* [max_drafts, logits_stride] after each of its tokens */
    size_t n_drafted, n_ready, n_used; /* tokens drafted; with good logits; chosen since */
} lookahead;

/* One generation in progress. */
typedef struct generation {
    pith_session *session;
    const pith_generate_params *params;
    pith_text_fn on_text;
    void *user;
    pith_sampler *sampler;
    pith_decode_state decode;
    char *piece; /* [pith_decode_max] */
    stop_filter filter;
    lookahead ahead;
} generation;

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* ---- Stop strings ---------------------------------------------------------------------------- */

/* Offset of the earliest stop string in the held text, or n_held. */
static size_t find_stop(const stop_filter *f) {
    for (size_t at = 0; at < f->n_held; at++) {
        for (size_t i = 0; i < f->n_stops; i++) {
            size_t n = strlen(f->stops[i]);
            if (n <= f->n_held - at && memcmp(f->held + at, f->stops[i], n) == 0) {
                return at;
            }
        }
    }
    return f->n_held;
}

/* True when the token's spelling is a stop string. */
static bool is_stop_token(const stop_filter *f, int32_t token) {
    for (size_t i = 0; i < f->n_stops; i++) {
        if (f->tokens[i] == token) {
            return true;
        }
    }
    return false;
}

/* Offset from which the held text could still become a stop string, or n_held. */
static size_t find_beginning(const stop_filter *f) {
    size_t at = f->n_held > f->longest ? f->n_held - f->longest : 0;
    for (; at < f->n_held; at++) {
        for (size_t i = 0; i < f->n_stops; i++) {
            size_t n = f->n_held - at;
            if (n < strlen(f->stops[i]) && memcmp(f->held + at, f->stops[i], n) == 0) {
                return at;
            }
        }
    }
    return f->n_held;
}

static bool give(const generation *g, const char *text, size_t n) {
    return n == 0 || g->on_text == NULL || g->on_text(g->user, (pith_text){text, n});
}

/* Passes on decoded text through the filter. Sets *finish when the text ends here. */
static bool pass_text(generation *g, const char *text, size_t n, pith_finish *finish) {
    stop_filter *f = &g->filter;
    if (f->n_stops == 0) {
        if (!give(g, text, n)) {
            *finish = PITH_FINISH_STOPPED;
            return false;
        }
        return true;
    }
    memcpy(f->held + f->n_held, text, n);
    f->n_held += n;
    size_t stop = find_stop(f);
    bool stopped = stop < f->n_held;
    size_t ready = stopped ? stop : find_beginning(f);
    bool wanted = give(g, f->held, ready);
    if (!wanted || stopped) {
        *finish = wanted ? PITH_FINISH_STOP : PITH_FINISH_STOPPED;
        f->n_held = 0;
        return false;
    }
    f->n_held -= ready;
    memmove(f->held, f->held + ready, f->n_held);
    return true;
}

/* The end of the text: incomplete characters and held-back text come out. */
static void flush_text(generation *g, pith_finish *finish) {
    size_t n = pith_decode_finish(g->session->model->tokenizer, &g->decode, g->piece);
    pith_finish end = *finish;
    if (pass_text(g, g->piece, n, &end) && !give(g, g->filter.held, g->filter.n_held)) {
        end = PITH_FINISH_STOPPED;
    }
    *finish = end;
}

/* ---- The loop -------------------------------------------------------------------------------- */

static pith_status check_eos(const pith_model *model, const pith_generate_params *params,
                             pith_error *error) {
    if (params->n_eos > MAX_EOS || (params->n_eos != 0 && params->eos == NULL)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%zu end tokens, at most %d", params->n_eos,
                         MAX_EOS);
    }
    for (size_t i = 0; i < params->n_eos; i++) {
        if (params->eos[i] < 0 || (size_t)params->eos[i] >= pith_model_vocab_size(model)) {
            return pith_fail(error, PITH_ERROR_TOKEN,
                             "end token %d is outside the vocabulary of %zu", (int)params->eos[i],
                             pith_model_vocab_size(model));
        }
    }
    return PITH_OK;
}

static pith_status check_params(const pith_model *model, const pith_generate_params *params,
                                pith_error *error) {
    if (params->speculate > PITH_MAX_DRAFT) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "speculate is %zu, more than %d",
                         params->speculate, PITH_MAX_DRAFT);
    }
    if (params->n_stops > MAX_STOPS || (params->n_stops != 0 && params->stops == NULL)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%zu stop strings, at most %d",
                         params->n_stops, MAX_STOPS);
    }
    for (size_t i = 0; i < params->n_stops; i++) {
        size_t n = params->stops[i] == NULL ? 0 : strlen(params->stops[i]);
        if (n == 0 || n > MAX_STOP_BYTES) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "stop string %zu has %zu bytes, not 1 to %d", i, n, MAX_STOP_BYTES);
        }
    }
    return check_eos(model, params, error);
}

/* Room for the logits of drafts. All tokens of a draft and the one before it go in one pass, and
 * through our own kernels: OpenBLAS would give them other logits than a pass of their own. */
static pith_status begin_lookahead(generation *g, pith_error *error) {
    const pith_session *s = g->session;
    lookahead *a = &g->ahead;
    a->max_drafts = pith_min_size(g->params->speculate, s->n_batch - 1);
    if (s->model->sgemm != NULL) {
        a->max_drafts = pith_min_size(a->max_drafts, PITH_BLAS_MIN_ROWS - 2);
    }
    a->gate.most = a->max_drafts;
    if (a->max_drafts != 0) {
        a->logits = pith_allocate(&s->model->allocator, a->max_drafts * s->logits_stride,
                                  sizeof *a->logits);
        if (a->logits == NULL) {
            return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a generation");
        }
    }
    return PITH_OK;
}

static pith_status begin(generation *g, pith_error *error) {
    const pith_model *model = g->session->model;
    pith_status status = pith_sampler_new(&g->sampler, model, &g->params->sampling, error);
    if (status != PITH_OK) {
        return status;
    }
    stop_filter *f = &g->filter;
    f->stops = g->params->stops;
    f->n_stops = g->params->n_stops;
    for (size_t i = 0; i < f->n_stops; i++) {
        size_t n = strlen(f->stops[i]);
        f->longest = pith_max_size(f->longest, n);
        f->tokens[i] = pith_tokenizer_find_added(model->tokenizer, f->stops[i], n);
    }
    size_t piece = pith_decode_max(model->tokenizer);
    g->piece = pith_allocate(&model->allocator, piece, 1);
    f->held = pith_allocate(&model->allocator, f->longest + piece, 1);
    if (g->piece == NULL || f->held == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a generation");
    }
    pith_decode_begin(&g->decode, false);
    return begin_lookahead(g, error);
}

static void end(generation *g) {
    const pith_allocator *allocator = &g->session->model->allocator;
    pith_sampler_free(g->sampler);
    pith_release(allocator, g->piece);
    pith_release(allocator, g->filter.held);
    pith_release(allocator, g->ahead.logits);
}

/* Decoding and penalties go on where the timeline ends, whoever evaluated it: its text may end
 * within a character, and only a text that begins it loses the space that the tokenizer put in
 * front. */
static void continue_text(generation *g) {
    const pith_session *s = g->session;
    bool begins = true;
    for (size_t i = 0; i < s->n_tokens; i++) {
        begins = begins && s->tokens[i] == s->model->bos;
        pith_decode_push(s->model->tokenizer, &g->decode, s->tokens[i], g->piece);
        pith_sampler_accept(g->sampler, s->tokens[i]);
    }
    g->decode.started = !begins;
}

/* Evaluates the prompt in chunks; *stopped when the callback asked to stop between two. */
static pith_status eval_prompt(generation *g, const int32_t *prompt, size_t n, bool *stopped,
                               pith_error *error) {
    size_t room = g->session->n_context - g->session->n_tokens;
    if (n > room) {
        return pith_fail(error, PITH_ERROR_CONTEXT,
                         "the prompt's %zu tokens after %zu do not fit in the context of %zu", n,
                         g->session->n_tokens, g->session->n_context);
    }
    for (size_t done = 0; done < n;) {
        size_t chunk = pith_min_size(n - done, g->session->n_batch);
        pith_status status = pith_session_eval(g->session, prompt + done, chunk, error);
        if (status != PITH_OK) {
            return status;
        }
        done += chunk;
        if (done < n && g->on_text != NULL && !g->on_text(g->user, pith_text_of(""))) {
            *stopped = true;
            return PITH_OK;
        }
    }
    continue_text(g);
    return PITH_OK;
}

static bool is_among(const int32_t *tokens, size_t n, int32_t token) {
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] == token) {
            return true;
        }
    }
    return false;
}

/* True when the token ends the text; *finish says how. */
static bool is_end(const generation *g, int32_t token, pith_finish *finish) {
    const pith_model *model = g->session->model;
    bool own = !g->params->ignore_eos && is_among(model->eos, model->n_eos, token);
    if (own || is_among(g->params->eos, g->params->n_eos, token)) {
        *finish = PITH_FINISH_EOS;
        return true;
    }
    if (is_stop_token(&g->filter, token)) {
        *finish = PITH_FINISH_STOP;
        return true;
    }
    return false;
}

/* Tokens worth drafting after the one that generation chose last: at most those that can still be
 * generated from. */
static size_t draft(generation *g, int32_t token, size_t n_generated) {
    pith_session *s = g->session;
    lookahead *a = &g->ahead;
    size_t most = a->max_drafts == 0 ? 0 : pith_lookup_gate_next(&a->gate);
    most = pith_min_size(most, s->n_context - s->n_tokens - 1);
    if (g->params->max_tokens != 0) {
        most = pith_min_size(most, g->params->max_tokens - n_generated - 1);
    }
    if (most == 0) {
        return 0;
    }
    s->tokens[s->n_tokens] = token; /* where the evaluation will put it */
    return pith_lookup(s->tokens, s->n_tokens + 1, a->tokens, most);
}

/* Appends the token that was chosen, and so provides the logits for the next one: from the draft if
 * it guessed the token, else by a pass that takes a new draft along. */
static pith_status append(generation *g, int32_t token, pith_usage *usage, pith_error *error) {
    pith_session *s = g->session;
    lookahead *a = &g->ahead;
    if (a->n_used < a->n_ready && a->tokens[a->n_used] == token) {
        pith_session_follow(s, token, a->logits + a->n_used * s->logits_stride);
        a->n_used++;
        usage->accepted_tokens++;
        return PITH_OK;
    }
    if (a->n_drafted != 0) {
        pith_lookup_gate_tell(&a->gate, a->n_drafted, a->n_used);
    }
    a->n_drafted = draft(g, token, usage->generated_tokens);
    a->n_ready = 0;
    a->n_used = 0;
    if (a->n_drafted == 0) {
        return pith_session_eval(s, &token, 1, error);
    }
    int32_t pass[1 + PITH_MAX_DRAFT];
    pass[0] = token;
    memcpy(pass + 1, a->tokens, a->n_drafted * sizeof *pass);
    usage->drafted_tokens += a->n_drafted;
    return pith_session_eval_ahead(s, pass, 1 + a->n_drafted, a->logits, &a->n_ready, error);
}

/* Samples and evaluates until something ends the text. */
static pith_status generate_tokens(generation *g, double started, pith_usage *usage,
                                   pith_error *error) {
    const pith_model *model = g->session->model;
    for (;;) {
        int32_t token = 0;
        pith_status status =
            pith_sample(g->sampler, pith_session_logits(g->session), &token, error);
        if (status != PITH_OK) {
            return status;
        }
        if (usage->generated_tokens == 0) {
            usage->prompt_seconds = seconds() - started;
        }
        if (is_end(g, token, &usage->finish)) {
            flush_text(g, &usage->finish);
            return PITH_OK;
        }
        pith_sampler_accept(g->sampler, token);
        usage->generated_tokens++;
        size_t n = pith_decode_push(model->tokenizer, &g->decode, token, g->piece);
        if (!pass_text(g, g->piece, n, &usage->finish)) {
            return PITH_OK;
        }
        if (usage->generated_tokens == g->params->max_tokens) {
            usage->finish = PITH_FINISH_LENGTH;
            flush_text(g, &usage->finish);
            return PITH_OK;
        }
        if (g->session->n_tokens == g->session->n_context) {
            usage->finish = PITH_FINISH_CONTEXT;
            flush_text(g, &usage->finish);
            return PITH_OK;
        }
        status = append(g, token, usage, error);
        if (status != PITH_OK) {
            return status;
        }
    }
}

pith_status pith_generate(pith_session *session, const int32_t *prompt, size_t n_prompt,
                          const pith_generate_params *params, pith_text_fn on_text, void *user,
                          pith_usage *usage, pith_error *error) {
    static const pith_generate_params defaults = {0};
    if (session == NULL || prompt == NULL || n_prompt == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_generate needs a session and a prompt");
    }
    if (session->model->tokenizer == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "the model has no tokenizer");
    }
    params = params != NULL ? params : &defaults;
    pith_status status = check_params(session->model, params, error);
    if (status != PITH_OK) {
        return status;
    }
    generation g = {.session = session, .params = params, .on_text = on_text, .user = user};
    pith_usage used = {.prompt_tokens = n_prompt};
    double started = seconds();
    bool stopped = false;
    status = begin(&g, error);
    if (status == PITH_OK) {
        status = eval_prompt(&g, prompt, n_prompt, &stopped, error);
    }
    if (status == PITH_OK && stopped) {
        used.finish = PITH_FINISH_STOPPED;
        used.prompt_seconds = seconds() - started;
    } else if (status == PITH_OK) {
        status = generate_tokens(&g, started, &used, error);
        used.generate_seconds = seconds() - started - used.prompt_seconds;
    }
    end(&g);
    if (status == PITH_OK && usage != NULL) {
        *usage = used;
    }
    return status;
}
