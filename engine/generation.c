/* A generation step by step: what to evaluate next, then the choice of a token, its text, and
 * whether the text ends there. Where the text repeats (lookup.h), and where a smaller model knows
 * it (draft.h), tokens are evaluated ahead: those that are chosen afterwards need no evaluation of
 * their own. */
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "engine/draft.h"
#include "engine/generate_params.h"
#include "engine/grammar.h"
#include "engine/linear.h"
#include "engine/logprobs.h"
#include "engine/lookup.h"
#include "engine/session.h"
#include "engine/stops.h"

typedef enum phase {
    PROMPT, /* some of the prompt is not evaluated */
    READY,  /* the session has the logits for the next token */
    CHOSEN, /* a token was chosen; the timeline does not have it */
    PASS,   /* `pass`, that token and a draft, is to be evaluated */
    DONE
} phase;

struct pith_generation {
    pith_session *session;
    pith_generate_params params; /* arrays in the region */
    pith_region region;          /* every array below but those of the sampler */
    int32_t *prompt;             /* [n_prompt] */
    size_t n_prompt;
    size_t n_prompt_done; /* evaluated */

    phase phase;
    size_t length;        /* of the timeline, as the generation knows it */
    const int32_t *asked; /* [n_asked] to be evaluated by now; NULL: pith_generation_next is due */
    size_t n_asked;
    size_t n_kept; /* of these: tokens that stay in the timeline */

    pith_sampler *sampler;
    pith_decode_state decode;
    pith_stop_filter stops;
    pith_grammar_matcher *matcher; /* NULL: there is no grammar */
    int32_t *ends;                 /* [n_ends] with a grammar: tokens that end the text */
    size_t n_ends;
    float *shaped;          /* [n_vocab] logits with bias and masks; NULL: there are none */
    pith_scored_token *top; /* [n_top_logprobs] */
    int32_t token;          /* the one that was chosen last */

    pith_lookup_gate gate;
    pith_draft drafter;
    bool by_model;                    /* the tokens ahead are the drafter's, not looked up */
    double asked_at;                  /* when `pass` was asked for */
    double pass_seconds;              /* until it was evaluated */
    size_t max_drafts;                /* 0: nothing is evaluated ahead */
    int32_t pass[1 + PITH_MAX_DRAFT]; /* a token and a draft of what follows */
    pith_ahead ahead;                 /* of `pass` */
    size_t n_good, n_used;            /* drafted tokens with good logits; of these: chosen */

    double started, stepped; /* seconds on the monotonic clock */
    bool has_token;          /* one was chosen */
    pith_usage usage;        /* without generate_seconds */
};

/* ---- Life ------------------------------------------------------------------------------------ */

/* All tokens of a draft and the one before it go in one pass, and through our own kernels: OpenBLAS
 * would compute other logits for them than in a pass of their own. */
_Static_assert(PITH_MAX_DRAFT + 1 < PITH_BLAS_MIN_ROWS, "a pass of a draft uses OpenBLAS");

static size_t limit_drafts(const pith_session *s, const pith_generate_params *params) {
    enum { USUAL = 8 };
    bool usual = params->speculate == 0 && params->draft != NULL;
    return pith_min_size(usual ? USUAL : params->speculate, s->n_batch - 1);
}

/* Lays out the end tokens: those of the params, and the model's own unless they are ignored. */
static void take_ends(pith_generation *g, pith_arena *arena, const pith_generate_params *params) {
    const pith_model *model = g->session->model;
    size_t n_own = params->ignore_eos ? 0 : model->n_eos;
    g->n_ends = n_own + params->n_eos;
    g->ends = pith_arena_take(arena, g->n_ends, sizeof *g->ends);
    if (g->ends != NULL) {
        for (size_t i = 0; i < g->n_ends; i++) {
            g->ends[i] = i < n_own ? model->eos[i] : params->eos[i - n_own];
        }
    }
}

/* Lays out the arrays; run twice, first to measure. */
static void take(pith_generation *g, pith_arena *arena, const int32_t *prompt,
                 const pith_generate_params *params) {
    const pith_session *s = g->session;
    g->prompt = pith_arena_take(arena, g->n_prompt, sizeof *g->prompt);
    if (g->prompt != NULL) {
        memcpy(g->prompt, prompt, g->n_prompt * sizeof *prompt);
    }
    pith_generate_params_take(&g->params, arena, params);
    pith_stops_take(&g->stops, arena, s->model->tokenizer, params->stops, params->n_stops);
    if (params->grammar != NULL) {
        take_ends(g, arena, params);
    }
    if (params->n_bias != 0 || params->mask != NULL || params->grammar != NULL) {
        g->shaped = pith_arena_take(arena, pith_model_vocab_size(s->model), sizeof *g->shaped);
    }
    g->top = pith_arena_take(arena, params->n_top_logprobs, sizeof *g->top);
    g->max_drafts = limit_drafts(s, params);
    g->gate.most = g->max_drafts;
    g->ahead.tokens = g->pass;
    g->ahead.logits =
        pith_arena_take(arena, g->max_drafts * s->logits_stride, sizeof *g->ahead.logits);
}

static pith_status allocate(pith_generation *g, const int32_t *prompt,
                            const pith_generate_params *params, pith_error *error) {
    const pith_allocator *allocator = &g->session->model->allocator;
    pith_arena measure = {0};
    take(g, &measure, prompt, params);
    if (measure.overflow ||
        pith_region_allocate(&g->region, measure.used, allocator, NULL) != PITH_OK) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a generation");
    }
    pith_arena arena = {.base = g->region.data};
    take(g, &arena, prompt, params);
    pith_status status = pith_sampler_new(&g->sampler, g->session->model, &params->sampling, error);
    if (status == PITH_OK && params->grammar != NULL) {
        status = pith_grammar_matcher_new(&g->matcher, params->grammar, error);
    }
    return status;
}

static pith_status check_prompt(const pith_session *s, const int32_t *prompt, size_t n,
                                pith_error *error) {
    if (n > s->n_context - s->n_tokens) {
        return pith_fail(error, PITH_ERROR_CONTEXT,
                         "the prompt's %zu tokens after %zu do not fit in the context of %zu", n,
                         s->n_tokens, s->n_context);
    }
    return pith_session_check(s, prompt, n, error);
}

pith_status pith_generation_new(pith_generation **out, pith_session *session, const int32_t *prompt,
                                size_t n_prompt, const pith_generate_params *params,
                                pith_error *error) {
    static const pith_generate_params defaults = {0};
    if (out == NULL || session == NULL || prompt == NULL || n_prompt == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "a generation needs a session and a prompt");
    }
    const pith_model *model = session->model;
    if (model->tokenizer == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "the model has no tokenizer");
    }
    params = params != NULL ? params : &defaults;
    pith_status status = pith_generate_params_check(params, model, error);
    if (status == PITH_OK) {
        status = check_prompt(session, prompt, n_prompt, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    pith_generation *g = pith_allocate_zeroed(&model->allocator, 1, sizeof *g);
    if (g == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a generation");
    }
    g->session = session;
    g->n_prompt = n_prompt;
    g->length = session->n_tokens;
    g->usage.prompt_tokens = n_prompt;
    g->started = g->stepped = pith_clock();
    pith_decode_begin(&g->decode, false);
    status = allocate(g, prompt, params, error);
    if (status == PITH_OK) {
        status = pith_draft_init(&g->drafter, params->draft, model, g->max_drafts, error);
    }
    if (status != PITH_OK) {
        pith_generation_free(g);
        return status;
    }
    *out = g;
    return PITH_OK;
}

void pith_generation_free(pith_generation *g) {
    if (g == NULL) {
        return;
    }
    const pith_allocator *allocator = &g->session->model->allocator;
    if (g->session->ahead == &g->ahead) {
        pith_session_look_ahead(g->session, NULL);
    }
    pith_grammar_matcher_free(g->matcher);
    pith_sampler_free(g->sampler);
    pith_region_release(&g->region);
    pith_release(allocator, g);
}

/* ---- What to evaluate ------------------------------------------------------------------------ */

/* Drafts what may follow the token that was chosen last and puts it behind that token in `pass`; no
 * more tokens than the generation can still use. Looking up costs next to nothing, so a draft model
 * is asked only where the text does not repeat at length. Returns the number of drafted tokens. */
static size_t draft(pith_generation *g) {
    pith_session *s = g->session;
    size_t room = pith_min_size(g->max_drafts, s->n_context - s->n_tokens - 1);
    if (g->params.max_tokens != 0) {
        room = pith_min_size(room, g->params.max_tokens - g->usage.generated_tokens - 1);
    }
    g->by_model = false;
    if (room == 0) {
        return 0;
    }
    size_t n = 0;
    size_t most = pith_min_size(pith_lookup_gate_next(&g->gate), room);
    size_t least = g->drafter.session != NULL ? PITH_LOOKUP_GRAM : 1;
    s->tokens[s->n_tokens] = g->token; /* where the evaluation will put it */
    if (most > 0) {
        n = pith_lookup(s->tokens, s->n_tokens + 1, least, g->pass + 1, most);
    }
    if (n == 0) {
        n = pith_draft_guess(&g->drafter, s->tokens, s->n_tokens + 1, g->pass + 1, room);
        g->by_model = n > 0;
    }
    return n;
}

/* Reports the outcome to the drafter: the look-up or the draft model. */
static void tell(pith_generation *g) {
    if (g->by_model) {
        pith_draft_tell(&g->drafter, g->ahead.n_ahead, g->n_used, g->pass_seconds);
    } else if (g->ahead.n_ahead != 0) {
        pith_lookup_gate_tell(&g->gate, g->ahead.n_ahead, g->n_used);
    } else if (g->pass_seconds > 0) {
        pith_draft_tell_plain(&g->drafter, g->pass_seconds);
    }
}

/* Appends the token that was chosen: from the draft, if that guessed it, and else by a pass to be
 * evaluated, with a new draft. */
static void append(pith_generation *g) {
    pith_session *s = g->session;
    if (g->n_used < g->n_good && g->pass[1 + g->n_used] == g->token) {
        pith_session_follow(s, g->token, g->ahead.logits + g->n_used * s->logits_stride);
        g->n_used++;
        g->length++;
        g->usage.accepted_tokens++;
        g->phase = READY;
        return;
    }
    tell(g);
    g->pass[0] = g->token;
    g->ahead.n_ahead = draft(g);
    g->ahead.n = 1 + g->ahead.n_ahead;
    g->n_good = 0;
    g->n_used = 0;
    g->usage.drafted_tokens += g->ahead.n_ahead;
    g->phase = PASS;
}

/* True when what was asked for is evaluated, or nothing was. */
static bool is_evaluated(const pith_generation *g) {
    const pith_session *s = g->session;
    return s->n_tokens == g->length + g->n_kept &&
           memcmp(s->tokens + g->length, g->asked, g->n_kept * sizeof *g->asked) == 0;
}

static pith_status fail_done(pith_error *error) {
    return pith_fail(error, PITH_ERROR_ARGUMENT, "the generation is done");
}

pith_status pith_generation_next(pith_generation *g, size_t most, const int32_t **tokens, size_t *n,
                                 pith_error *error) {
    if (g == NULL || tokens == NULL || n == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_generation_next: null argument");
    }
    if (g->phase == DONE) {
        return fail_done(error);
    }
    pith_session *s = g->session;
    if (g->asked != NULL && is_evaluated(g)) {
        *tokens = g->asked;
        *n = 0;
        return PITH_OK;
    }
    if (s->n_tokens != g->length) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "the session has %zu tokens, its generation left %zu", s->n_tokens,
                         g->length);
    }
    if (g->phase == CHOSEN) {
        append(g);
    }
    g->asked = g->pass;
    g->n_asked = g->n_kept = 0;
    if (g->phase == PROMPT) {
        g->asked = g->prompt + g->n_prompt_done;
        g->n_asked = pith_min_size(g->n_prompt - g->n_prompt_done, most != 0 ? most : s->n_batch);
        g->n_kept = g->n_asked;
    } else if (g->phase == PASS) {
        g->n_asked = g->ahead.n;
        g->n_kept = 1;
        pith_session_look_ahead(s, g->ahead.n_ahead != 0 ? &g->ahead : NULL);
        g->asked_at = pith_clock();
    }
    *tokens = g->asked;
    *n = g->n_asked;
    return PITH_OK;
}

/* ---- Choosing a token ------------------------------------------------------------------------ */

/* Decoding and penalties continue from the end of the timeline, whoever evaluated it: its text may
 * end inside a character, and only text at its beginning loses the space that the tokenizer put in
 * front. */
static void continue_text(pith_generation *g) {
    const pith_session *s = g->session;
    bool begins = true;
    for (size_t i = 0; i < s->n_tokens; i++) {
        begins = begins && s->tokens[i] == s->model->bos;
        pith_decode_push(s->model->tokenizer, &g->decode, s->tokens[i], g->stops.text);
        pith_sampler_accept(g->sampler, s->tokens[i]);
    }
    g->decode.started = !begins;
    if (g->matcher != NULL) {
        g->decode.n_pending = 0; /* an unfinished end of the prompt is not of the grammar's text */
    }
}

/* Updates the state after an evaluation. */
static void note_evaluated(pith_generation *g) {
    g->length += g->n_kept;
    if (g->phase == PROMPT) {
        g->n_prompt_done += g->n_kept;
        if (g->n_prompt_done < g->n_prompt) {
            g->asked = NULL;
            return;
        }
        continue_text(g);
    } else if (g->phase == PASS) {
        g->n_good = g->ahead.n_ahead != 0 ? g->ahead.n_good : 0;
        g->pass_seconds = pith_clock() - g->asked_at;
    }
    g->n_asked = g->n_kept = 0; /* if the choice fails, it can be made again */
    g->phase = READY;
}

/* The logits to choose from. */
static const float *shape(const pith_generation *g, const float *logits) {
    const pith_generate_params *params = &g->params;
    if (g->shaped == NULL) {
        return logits;
    }
    memcpy(g->shaped, logits, pith_model_vocab_size(g->session->model) * sizeof *logits);
    for (size_t i = 0; i < params->n_bias; i++) {
        g->shaped[params->bias[i].token] += params->bias[i].bias;
    }
    if (g->matcher != NULL) {
        pith_grammar_matcher_shape(g->matcher, g->shaped, g->ends, g->n_ends);
    }
    if (params->mask != NULL) {
        params->mask(params->mask_user, g->shaped);
    }
    return g->shaped;
}

static void score(const pith_generation *g, const float *logits, pith_step *out) {
    size_t n_vocab = pith_model_vocab_size(g->session->model);
    double log_sum = pith_log_sum_exp(logits, n_vocab);
    out->logprob = (float)((double)logits[out->token] - log_sum);
    out->n_top = g->params.n_top_logprobs;
    out->top = g->top;
    pith_top_logprobs(logits, n_vocab, log_sum, g->top, out->n_top);
}

static bool is_among(const int32_t *tokens, size_t n, int32_t token) {
    for (size_t i = 0; i < n; i++) {
        if (tokens[i] == token) {
            return true;
        }
    }
    return false;
}

static pith_status choose(pith_generation *g, pith_step *out, pith_error *error) {
    const float *logits = pith_session_logits(g->session);
    if (logits == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "the session of the generation has no logits any more");
    }
    pith_status status = pith_sample(g->sampler, shape(g, logits), &out->token, error);
    if (status == PITH_OK && g->matcher != NULL && !is_among(g->ends, g->n_ends, out->token)) {
        status = pith_grammar_matcher_accept(g->matcher, out->token, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    out->has_token = true;
    if (g->params.logprobs) {
        score(g, logits, out);
    }
    if (g->params.accept != NULL) {
        g->params.accept(g->params.mask_user, out->token);
    }
    g->token = out->token;
    g->phase = CHOSEN;
    g->asked = NULL;
    return PITH_OK;
}

/* True when the token ends the text; *finish says how. */
static bool is_end(const pith_generation *g, int32_t token, pith_finish *finish) {
    const pith_model *model = g->session->model;
    bool own = !g->params.ignore_eos && is_among(model->eos, model->n_eos, token);
    if (own || is_among(g->params.eos, g->params.n_eos, token)) {
        *finish = PITH_FINISH_EOS;
        return true;
    }
    if (pith_stops_at_token(&g->stops, token)) {
        *finish = PITH_FINISH_STOP;
        return true;
    }
    return false;
}

/* The end of the text: incomplete characters and held-back text come out. */
static void flush_text(pith_generation *g, pith_finish *finish) {
    size_t n =
        pith_decode_finish(g->session->model->tokenizer, &g->decode, pith_stops_room(&g->stops));
    if (pith_stops_push(&g->stops, n)) {
        *finish = PITH_FINISH_STOP;
    } else {
        pith_stops_end(&g->stops);
    }
}

/* Adds the text of the token that was chosen. Returns true when the generation ends with it. */
static bool add_text(pith_generation *g, pith_finish *finish) {
    const pith_session *s = g->session;
    if (is_end(g, g->token, finish)) {
        flush_text(g, finish);
        return true;
    }
    pith_sampler_accept(g->sampler, g->token);
    g->usage.generated_tokens++;
    g->decode.show_special = is_among(g->params.shown, g->params.n_shown, g->token);
    size_t n =
        pith_decode_push(s->model->tokenizer, &g->decode, g->token, pith_stops_room(&g->stops));
    if (pith_stops_push(&g->stops, n)) {
        *finish = PITH_FINISH_STOP;
        return true;
    }
    if (g->matcher != NULL && pith_grammar_matcher_is_over(g->matcher)) {
        *finish = PITH_FINISH_COMPLETE;
        flush_text(g, finish);
        return true;
    }
    bool last = g->usage.generated_tokens == g->params.max_tokens;
    if (!last && s->n_tokens < s->n_context) {
        return false;
    }
    *finish = last ? PITH_FINISH_LENGTH : PITH_FINISH_CONTEXT;
    flush_text(g, finish);
    return true;
}

static pith_status check_step(const pith_generation *g, const pith_step *out, pith_error *error) {
    if (g == NULL || out == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_generation_step: null argument");
    }
    if (g->phase == DONE) {
        return fail_done(error);
    }
    if (g->asked == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "pith_generation_step without pith_generation_next before it");
    }
    if (!is_evaluated(g)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "the tokens that pith_generation_next asked for are not evaluated: the "
                         "session has %zu tokens, not %zu",
                         g->session->n_tokens, g->length + g->n_kept);
    }
    return PITH_OK;
}

pith_status pith_generation_step(pith_generation *g, pith_step *out, pith_error *error) {
    pith_status status = check_step(g, out, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_step step = {.text = {"", 0}};
    note_evaluated(g);
    if (g->phase == READY) {
        status = choose(g, &step, error);
        if (status != PITH_OK) {
            return status;
        }
        pith_stops_begin(&g->stops);
        step.done = add_text(g, &step.finish);
        step.text = (pith_text){g->stops.text, g->stops.n_ready};
        g->usage.finish = step.finish;
        g->phase = step.done ? DONE : g->phase;
    }
    g->stepped = pith_clock();
    if (!g->has_token) {
        g->usage.prompt_seconds = g->stepped - g->started;
        g->has_token = step.has_token;
    }
    *out = step;
    return PITH_OK;
}

void pith_generation_usage(const pith_generation *g, pith_usage *out) {
    *out = g->usage;
    out->generate_seconds = g->stepped - g->started - g->usage.prompt_seconds;
}
