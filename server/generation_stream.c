/* The stream of a generation: server-sent events, made while libmicrohttpd writes them. */
#include "server/generation.h"

/* Proxies and browsers give up on a connection that says nothing; a comment is no event. */
#define PING_SECONDS 15.0
#define PING ": waiting\n\n"

static bool is_ollama(const pith_generation_call *g) {
    return pith_endpoint_is_ollama(g->request.endpoint);
}

/* ollama's lines have no comments: a piece without text says as little. */
static bool append_ping(const pith_generation_call *g, pith_bytes *out) {
    const pith_answer_choice nothing = {.text = {"", 0}};
    pith_error error;
    return is_ollama(g) ? pith_answer_ollama_line(&g->head, &nothing, NULL, out, &error) == PITH_OK
                        : pith_bytes_append_text(out, PING);
}

static bool append_open(pith_generation_call *g, pith_bytes *out, pith_problem *problem) {
    pith_error error;
    for (size_t i = 0; i < g->n_choices; i++) {
        if (pith_answer_stream_open(&g->head, i, out, &error) != PITH_OK) {
            return pith_problem_from(problem, &error);
        }
    }
    return true;
}

/* What the parts of a piece are written to. */
typedef struct part_writer {
    pith_generation_call *g;
    pith_bytes *out;
    const pith_answer_token *token; /* of the piece, until a part took it along */
} part_writer;

static bool append_part(void *user, size_t choice, const pith_reply_part *part,
                        pith_problem *problem) {
    part_writer *w = user;
    pith_error error;
    pith_answer_call call = {.name = part->name, .arguments = part->text};
    pith_status status = PITH_OK;
    switch (part->kind) {
    case PITH_REPLY_TEXT:
        status =
            pith_answer_stream_piece(&w->g->head, choice, part->text, w->token, w->out, &error);
        w->token = NULL;
        break;
    case PITH_REPLY_REASONING:
        status = pith_answer_stream_reasoning(&w->g->head, choice, part->text, w->out, &error);
        break;
    case PITH_REPLY_CALL:
        pith_answer_call_id(call.id);
        status = pith_answer_stream_call(&w->g->head, choice, part->index, &call, w->out, &error);
        break;
    case PITH_REPLY_ARGUMENTS:
        status = pith_answer_stream_arguments(&w->g->head, choice, part->index, part->text, w->out,
                                              &error);
        break;
    }
    return status == PITH_OK || pith_problem_from(problem, &error);
}

/* The parts that the text of a piece completes, and its token. */
static bool append_text(part_writer *w, const pith_job_piece *piece, pith_problem *problem) {
    pith_error error;
    pith_text text = piece->text;
    if (w->g->choices[piece->choice].reply != NULL) {
        if (!pith_choice_reply(w->g, piece, append_part, w, problem)) {
            return false;
        }
        text = (pith_text){"", 0};
    }
    pith_status status =
        pith_answer_stream_piece(&w->g->head, piece->choice, text, w->token, w->out, &error);
    return status == PITH_OK || pith_problem_from(problem, &error);
}

static bool append_piece(pith_generation_call *g, const pith_job_piece *piece, pith_bytes *out,
                         pith_problem *problem) {
    pith_error error;
    if (piece->failed) {
        *problem = piece->problem;
        return false;
    }
    const pith_answer_token token = {.token = piece->token,
                                     .logprob = piece->logprob,
                                     .top = piece->top,
                                     .n_top = piece->n_top};
    bool listed = piece->has_token && g->request.logprobs;
    part_writer w = {.g = g, .out = out, .token = listed ? &token : NULL};
    if (!append_text(&w, piece, problem)) {
        return false;
    }
    const pith_reply *reply = g->choices[piece->choice].reply;
    pith_status status = PITH_OK;
    if (piece->done) {
        g->choices[piece->choice].finish = piece->finish;
        status =
            pith_answer_stream_finish(&g->head, piece->choice, piece->finish,
                                      reply != NULL ? pith_reply_calls(reply) : 0, out, &error);
    }
    return status == PITH_OK || pith_problem_from(problem, &error);
}

static bool append_end(pith_generation_call *g, pith_bytes *out, pith_problem *problem) {
    pith_error error;
    pith_answer_usage usage = pith_generation_usage_of(g);
    pith_status status = PITH_OK;
    if (is_ollama(g)) {
        pith_answer_choice end = {.text = {"", 0}, .finish = g->choices[0].finish};
        status = pith_answer_ollama_line(&g->head, &end, &usage, out, &error);
    } else {
        status = pith_answer_stream_usage(&g->head, &usage, out, &error);
        status = status == PITH_OK ? pith_answer_stream_done(out, &error) : status;
    }
    if (status != PITH_OK) {
        return pith_problem_from(problem, &error);
    }
    pith_generation_settle(g, false);
    return true;
}

/* The status has been sent already, so an error becomes an event. */
static pith_fill fail(pith_generation_call *g, const pith_problem *problem, pith_bytes *out) {
    pith_error error;
    g->closed = true;
    pith_job_cancel(g->job);
    pith_generation_settle(g, true);
    if (is_ollama(g)) {
        return pith_answer_ollama_problem(problem, out, &error) == PITH_OK ? PITH_FILL_END
                                                                           : PITH_FILL_BROKEN;
    }
    if (pith_answer_stream_problem(problem, out, &error) != PITH_OK ||
        pith_answer_stream_done(out, &error) != PITH_OK) {
        return PITH_FILL_BROKEN;
    }
    return PITH_FILL_END;
}

/* Appends what there is; false with a problem. */
static bool append_ready(pith_generation_call *g, pith_bytes *out, pith_problem *problem) {
    pith_job_piece piece;
    if (!g->opened) {
        g->opened = true;
        if (!append_open(g, out, problem)) {
            return false;
        }
    }
    while (out->size < 16384 && pith_job_take(g->job, &piece)) {
        if (!append_piece(g, &piece, out, problem)) {
            return false;
        }
    }
    if (pith_job_finished(g->job)) {
        g->closed = true;
        return append_end(g, out, problem);
    }
    return true;
}

static pith_fill fill(void *user, pith_bytes *out) {
    pith_generation_call *g = user;
    pith_exchange *x = g->call->x;
    for (;;) {
        pith_problem problem = {.http = 0};
        if (!append_ready(g, out, &problem)) {
            return fail(g, &problem, out);
        }
        double now = pith_clock();
        if (out->size > 0) {
            g->next_ping = now + PING_SECONDS;
            return g->closed ? PITH_FILL_END : PITH_FILL_MORE;
        }
        switch (pith_exchange_wait(x, pith_job_fd(g->job), g->next_ping)) {
        case PITH_WAITED_READY:
            break;
        case PITH_WAITED_GONE:
            return PITH_FILL_BROKEN;
        case PITH_WAITED_TIME:
            if (!append_ping(g, out)) {
                return PITH_FILL_BROKEN;
            }
            g->next_ping = now + 2 * PING_SECONDS;
            return PITH_FILL_MORE;
        }
    }
}

static void release(void *user) {
    pith_generation_call_free(user);
}

void pith_generation_stream(pith_generation_call *g) {
    pith_exchange_put_header(g->call->x, "Cache-Control", "no-cache");
    pith_exchange_put_header(g->call->x, "X-Accel-Buffering", "no"); /* nginx */
    g->next_ping = pith_clock() + PING_SECONDS;
    pith_exchange_answer_stream(g->call->x, 200,
                                is_ollama(g) ? "application/x-ndjson"
                                             : "text/event-stream; charset=utf-8",
                                &(pith_stream){.user = g, .fill = fill, .release = release});
}
