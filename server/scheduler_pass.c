/* One pass: the next tokens of all choices that decode, and a chunk of the prompts of those that do
 * not yet, evaluated together. */
#include "base/checked.h"
#include "base/clock.h"
#include "server/metrics.h"
#include "server/scheduler_inside.h"

/* ---- Ends ------------------------------------------------------------------------------------ */

/* The job of a choice fails; its other choices end when they are looked at next. */
static void fail_choice(pith_scheduler *s, pith_choice *choice, const pith_error *error) {
    pith_problem problem;
    pith_problem_from(&problem, error);
    pith_job_fail(choice->job, &problem);
    pith_scheduler_end_choice(s, choice, false);
}

static void fail_memory(pith_scheduler *s, pith_choice *choice) {
    pith_problem problem;
    pith_problem_set(&problem, 503, NULL, NULL, "the server is out of memory");
    pith_job_fail(choice->job, &problem);
    pith_scheduler_end_choice(s, choice, false);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* Counts the tokens that a step has generated; returns true when there was one. */
static bool count_tokens(pith_scheduler *s, pith_choice *choice) {
    pith_usage usage;
    pith_generation_usage(choice->generation, &usage);
    size_t n = usage.generated_tokens - choice->n_generated;
    if (n == 0) {
        return false;
    }
    double now = pith_clock();
    double seconds = 0;
    choice->n_generated = usage.generated_tokens;
    pith_job_count(choice->job, 0, 0, n);
    pith_metrics_add(s->options.metrics, PITH_GENERATED_TOKENS, s->name, n);
    if (choice->last_token > 0) {
        pith_metrics_observe(s->options.metrics, PITH_INTER_TOKEN, s->name,
                             now - choice->last_token);
    } else if (pith_job_first_token(choice->job, &seconds)) {
        pith_metrics_observe(s->options.metrics, PITH_TIME_TO_FIRST_TOKEN, s->name, seconds);
    }
    choice->last_token = now;
    return true;
}

/* Takes a step after an evaluation. Returns false when the choice is over and its slot free. */
static bool step(pith_scheduler *s, pith_choice *choice) {
    pith_step out;
    pith_error error;
    s->stepped = true;
    if (pith_generation_step(choice->generation, &out, &error) != PITH_OK) {
        fail_choice(s, choice, &error);
        return false;
    }
    if (!out.has_token && !out.done) {
        return true;
    }
    bool counts = count_tokens(s, choice);
    pith_job_piece piece = {
        .choice = choice->index,
        .text = out.text,
        .has_token = counts,
        .token = out.token,
        .logprob = out.logprob,
        .top = counts ? out.top : NULL,
        .n_top = counts ? out.n_top : 0,
        .done = out.done,
        .finish = out.finish,
    };
    bool wanted = out.done || out.text.n_bytes != 0 || (counts && choice->job->params.logprobs);
    if (wanted && !pith_job_push(choice->job, &piece)) {
        fail_memory(s, choice);
        return false;
    }
    if (out.done) {
        pith_scheduler_end_choice(s, choice, true);
        return false;
    }
    return true;
}

/* ---- What goes into the pass ----------------------------------------------------------------- */

static void add(pith_pass *pass, pith_choice *choice) {
    pass->choices[pass->n] = choice;
    pass->sessions[pass->n] = choice->session;
    pass->tokens[pass->n] = choice->tokens;
    pass->n_tokens[pass->n] = choice->n_tokens;
    pass->n++;
}

/* Asks for at most `most` tokens of the prompt, or for those of a decode step. Tokens that drafts
 * guessed right need no evaluation and are stepped over here, a few at a time, so that no other
 * choice waits for them. */
static void prepare(pith_scheduler *s, pith_choice *choice, size_t most) {
    pith_error error;
    do {
        if (pith_generation_next(choice->generation, most, &choice->tokens, &choice->n_tokens,
                                 &error) != PITH_OK) {
            fail_choice(s, choice, &error);
            return;
        }
        if (choice->n_tokens != 0) {
            add(&s->pass, choice);
            return;
        }
    } while (step(s, choice) && !pith_job_is_full(choice->job));
}

/* Prompt tokens that a pass may evaluate in about PITH_SCHEDULER_PASS_SECONDS. */
static size_t chunk(const pith_scheduler *s) {
    double n = PITH_SCHEDULER_FIRST_CHUNK;
    if (s->row_seconds > 0) {
        n = PITH_SCHEDULER_PASS_SECONDS / s->row_seconds;
    }
    size_t most = s->options.prefill_chunk;
    size_t tokens = n < (double)most ? (size_t)n : most;
    size_t rounded = tokens / PITH_SCHEDULER_LEAST_CHUNK * PITH_SCHEDULER_LEAST_CHUNK;
    return pith_min_size(pith_max_size(rounded, PITH_SCHEDULER_LEAST_CHUNK), most);
}

/* Choices whose prompt is not evaluated, the one with the least left first. */
static size_t sort_prompts(pith_scheduler *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->options.n_parallel; i++) {
        pith_choice *choice = &s->choices[i];
        if (choice->job == NULL || choice->n_left == 0) {
            continue;
        }
        size_t at = n++;
        for (; at > 0 && s->order[at - 1]->n_left > choice->n_left; at--) {
            s->order[at] = s->order[at - 1];
        }
        s->order[at] = choice;
    }
    return n;
}

/* Shares the chunk: the shortest rest first, so that a short request need not wait for a long one;
 * but a quarter belongs to the oldest, so that many short ones cannot hold up a long one for ever.
 */
static void add_prompts(pith_scheduler *s) {
    size_t n = sort_prompts(s);
    size_t left = chunk(s);
    const pith_choice *oldest = NULL;
    for (size_t i = 0; i < n; i++) {
        oldest = oldest == NULL || s->order[i]->age < oldest->age ? s->order[i] : oldest;
    }
    size_t kept = oldest == NULL ? 0 : pith_min_size(left / 4, oldest->n_left);
    for (size_t i = 0; i < n; i++) {
        pith_choice *choice = s->order[i];
        kept = choice == oldest ? 0 : kept;
        size_t most = pith_min_size(left - kept, choice->n_left);
        if (most != 0) {
            prepare(s, choice, most);
            left -= most;
        }
    }
}

static void add_decoding(pith_scheduler *s) {
    for (size_t i = 0; i < s->options.n_parallel; i++) {
        pith_choice *choice = &s->choices[i];
        if (choice->job != NULL && choice->n_left == 0 && !pith_job_is_full(choice->job)) {
            prepare(s, choice, 0);
        }
    }
}

/* ---- Evaluation ------------------------------------------------------------------------------ */

/* The pass as a whole has failed and changed nothing: evaluates its sessions one by one, so that
 * only those that fail by themselves end with an error. */
static void evaluate_apart(pith_scheduler *s) {
    pith_pass *pass = &s->pass;
    size_t n = 0;
    for (size_t i = 0; i < pass->n; i++) {
        pith_error error;
        pith_turn_take(s->options.turn);
        pith_status status =
            pith_session_eval(pass->sessions[i], pass->tokens[i], pass->n_tokens[i], &error);
        pith_turn_give(s->options.turn);
        if (status != PITH_OK) {
            fail_choice(s, pass->choices[i], &error);
        } else {
            pass->choices[n++] = pass->choices[i];
        }
    }
    pass->n = n;
}

static void evaluate(pith_scheduler *s, size_t n_prompt) {
    pith_pass *pass = &s->pass;
    pith_turn_take(s->options.turn);
    double began = pith_clock();
    pith_status status =
        pith_batch_eval(pass->sessions, pass->n, pass->tokens, pass->n_tokens, NULL);
    if (status == PITH_ERROR_MEMORY) {
        pith_scheduler_drop_idle(s);
        status = pith_batch_eval(pass->sessions, pass->n, pass->tokens, pass->n_tokens, NULL);
    }
    double seconds = pith_clock() - began;
    pith_turn_give(s->options.turn);
    if (status != PITH_OK) {
        evaluate_apart(s);
        return;
    }
    if (n_prompt >= PITH_SCHEDULER_LEAST_CHUNK) {
        double row = seconds / (double)n_prompt;
        s->row_seconds = s->row_seconds > 0 ? 0.5 * (s->row_seconds + row) : row;
    }
}

/* Counts evaluated tokens of the prompt, once for all choices of it. */
static void count_prompt(pith_scheduler *s, const pith_choice *choice, size_t n) {
    if (choice->index % choice->job->n_choices == 0) {
        pith_job_count(choice->job, n, 0, 0);
        pith_metrics_add(s->options.metrics, PITH_PROMPT_TOKENS, s->name, n);
    }
}

bool pith_scheduler_pass(pith_scheduler *s) {
    pith_pass *pass = &s->pass;
    pass->n = 0;
    s->stepped = false;
    add_decoding(s);
    add_prompts(s);
    if (pass->n == 0) {
        return s->stepped;
    }
    size_t n_prompt = 0;
    for (size_t i = 0; i < pass->n; i++) {
        pith_choice *choice = pass->choices[i];
        double seconds = 0;
        n_prompt += choice->n_left != 0 ? choice->n_tokens : 0;
        if (pith_job_begin(choice->job, &seconds)) {
            pith_metrics_observe(s->options.metrics, PITH_QUEUE_WAIT, s->name, seconds);
        }
    }
    evaluate(s, n_prompt);
    for (size_t i = 0; i < pass->n; i++) {
        pith_choice *choice = pass->choices[i];
        if (choice->n_left != 0) {
            count_prompt(s, choice, choice->n_tokens);
            choice->n_left -= choice->n_tokens;
        }
        step(s, choice);
    }
    return true;
}
