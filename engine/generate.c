/* pith_generate: one generation on one session, with text handed to a callback. */
#include "pith.h"

/* Evaluates what the generation needs and steps until it is done or the callback stops it. */
static pith_status run(pith_generation *generation, pith_session *session, pith_text_fn on_text,
                       void *user, bool *stopped, pith_error *error) {
    for (;;) {
        const int32_t *tokens;
        size_t n;
        pith_step step;
        pith_status status = pith_generation_next(generation, 0, &tokens, &n, error);
        if (status == PITH_OK && n != 0) {
            status = pith_session_eval(session, tokens, n, error);
        }
        if (status == PITH_OK) {
            status = pith_generation_step(generation, &step, error);
        }
        if (status != PITH_OK) {
            return status;
        }
        bool wanted = step.text.n_bytes != 0 || !step.has_token;
        if (wanted && on_text != NULL && !on_text(user, step.text)) {
            *stopped = true;
            return PITH_OK;
        }
        if (step.done) {
            return PITH_OK;
        }
    }
}

pith_status pith_generate(pith_session *session, const int32_t *prompt, size_t n_prompt,
                          const pith_generate_params *params, pith_text_fn on_text, void *user,
                          pith_usage *usage, pith_error *error) {
    pith_generation *generation = NULL;
    bool stopped = false;
    pith_status status = pith_generation_new(&generation, session, prompt, n_prompt, params, error);
    if (status == PITH_OK) {
        status = run(generation, session, on_text, user, &stopped, error);
    }
    if (status == PITH_OK && usage != NULL) {
        pith_generation_usage(generation, usage);
        usage->finish = stopped ? PITH_FINISH_STOPPED : usage->finish;
    }
    pith_generation_free(generation);
    return status;
}
