/* Generation: prompt, then sample, decode and evaluate token by token, with stop strings that may
 * run across tokens. */
#include <string.h>
#include <time.h>

#include "base/checked.h"
#include "engine/session.h"

enum {
    MAX_STOPS = 16,
    MAX_STOP_BYTES = 256,
};

/* Text that came out of the decoder but may be the start of a stop string. */
typedef struct stop_filter {
    const char *const *stops;
    size_t n_stops;
    size_t longest; /* bytes of the longest stop string */
    char *held;     /* [longest + pith_decode_max] */
    size_t n_held;
} stop_filter;

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
    return n == 0 || g->on_text == NULL || g->on_text(g->user, text, n);
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

static pith_status check_params(const pith_generate_params *params, pith_error *error) {
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
        f->longest = pith_max_size(f->longest, strlen(f->stops[i]));
    }
    size_t piece = pith_decode_max(model->tokenizer);
    g->piece = pith_allocate(&model->allocator, piece, 1);
    f->held = pith_allocate(&model->allocator, f->longest + piece, 1);
    if (g->piece == NULL || f->held == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a generation");
    }
    pith_decode_begin(&g->decode, false);
    return PITH_OK;
}

static void end(generation *g) {
    const pith_allocator *allocator = &g->session->model->allocator;
    pith_sampler_free(g->sampler);
    pith_release(allocator, g->piece);
    pith_release(allocator, g->filter.held);
}

/* Decoding goes on where the prompt's text ends: it may end within a character, and only a text
 * that begins the timeline loses the space that the tokenizer put in front. */
static void continue_text(generation *g, const int32_t *prompt, size_t n) {
    const pith_model *model = g->session->model;
    bool begins = g->session->n_tokens == 0;
    for (size_t i = 0; i < n; i++) {
        begins = begins && prompt[i] == model->bos;
        pith_decode_push(model->tokenizer, &g->decode, prompt[i], g->piece);
    }
    g->decode.started = !begins;
}

static void accept_all(const generation *g, const int32_t *tokens, size_t n) {
    for (size_t i = 0; i < n; i++) {
        pith_sampler_accept(g->sampler, tokens[i]);
    }
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
    /* Penalties look at the whole timeline, however much of it this call evaluates. */
    accept_all(g, g->session->tokens, g->session->n_tokens);
    accept_all(g, prompt, n);
    continue_text(g, prompt, n);
    for (size_t done = 0; done < n;) {
        size_t chunk = pith_min_size(n - done, g->session->scratch.max_rows);
        pith_status status = pith_session_eval(g->session, prompt + done, chunk, error);
        if (status != PITH_OK) {
            return status;
        }
        done += chunk;
        if (done < n && g->on_text != NULL && !g->on_text(g->user, "", 0)) {
            *stopped = true;
            return PITH_OK;
        }
    }
    return PITH_OK;
}

static bool is_end(const pith_model *model, int32_t token) {
    for (size_t i = 0; i < model->n_eos; i++) {
        if (model->eos[i] == token) {
            return true;
        }
    }
    return false;
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
        if (!g->params->ignore_eos && is_end(model, token)) {
            usage->finish = PITH_FINISH_EOS;
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
            return PITH_OK;
        }
        if (g->session->n_tokens == g->session->n_context) {
            usage->finish = PITH_FINISH_CONTEXT;
            return PITH_OK;
        }
        status = pith_session_eval(g->session, &token, 1, error);
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
    pith_status status = check_params(params, error);
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
        if (status == PITH_OK && used.finish != PITH_FINISH_STOP &&
            used.finish != PITH_FINISH_STOPPED) {
            flush_text(&g, &used.finish);
        }
        used.generate_seconds = seconds() - started - used.prompt_seconds;
    }
    end(&g);
    if (status == PITH_OK && usage != NULL) {
        *usage = used;
    }
    return status;
}
