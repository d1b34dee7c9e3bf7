/* Chats: what the model writes is taken apart into text, reasoning and calls of tools. */
#include "server/generation.h"

#include <stdlib.h>
#include <string.h>

static bool no_memory(pith_problem *problem) {
    return pith_problem_set(problem, 503, NULL, NULL, "out of memory for the answer");
}

/* The end of an answer stops a chat, unless the client wants to go on after end tokens. */
static bool add_end(pith_generation_call *g, pith_problem *problem) {
    pith_generate_params *params = &g->request.params;
    if (g->lease.calling->end < 0 || params->ignore_eos) {
        return true;
    }
    if (params->n_eos == PITH_REQUEST_MAX_ENDS - 1) {
        return pith_problem_set(problem, 400, NULL, "stop_token_ids",
                                "stop_token_ids has %zu ids, in a chat at most %d are allowed",
                                params->n_eos, PITH_REQUEST_MAX_ENDS - 2);
    }
    if (params->n_eos > 0) {
        memcpy(g->ends, params->eos, params->n_eos * sizeof *g->ends);
    }
    g->ends[params->n_eos++] = g->lease.calling->end;
    params->eos = g->ends;
    return true;
}

bool pith_generation_chat(pith_generation_call *g, pith_problem *problem) {
    if (!g->request.chat) {
        return true;
    }
    pith_generate_params *params = &g->request.params;
    const pith_calling *calling = g->lease.calling;
    bool tools = g->request.n_tools > 0 && g->request.schema.data == NULL;
    params->shown = calling->shown;
    params->n_shown = tools ? calling->n_shown : calling->n_thought;
    const pith_reply_settings settings = {
        .form = tools ? calling->form : PITH_CALLS_NONE,
        .tools = g->request.tools,
        .n_tools = g->request.n_tools,
        .reasons = g->opening.reasons,
        .channels = calling->channels && !tools,
        .pieces = g->request.stream && g->request.endpoint == PITH_ENDPOINT_CHAT,
        .certain = g->request.tool_schemas != NULL,
    };
    const pith_text opening = {g->opening.text.data, g->opening.text.size};
    for (size_t i = 0; i < g->n_choices; i++) {
        pith_choice *choice = &g->choices[i];
        pith_bytes_init(&choice->reasoning, NULL);
        if (!pith_reply_new(&choice->reply, &settings, NULL) ||
            !pith_reply_push(choice->reply, opening)) {
            return no_memory(problem);
        }
    }
    bool guarded = g->request.tool_schemas != NULL && g->request.schema.data == NULL &&
                   g->request.tool_choice == PITH_TOOL_AUTO;
    return add_end(g, problem) &&
           (!guarded || pith_guards_new(&g->guards, g->lease.model, g->lease.calling, &g->request,
                                        g->opening.reasons, g->n_choices, problem));
}

void pith_choice_free_chat(pith_choice *choice) {
    pith_reply_free(choice->reply);
    if (choice->reply != NULL) {
        pith_bytes_release(&choice->reasoning);
    }
    for (size_t i = 0; i < choice->n_calls; i++) {
        free((char *)(uintptr_t)choice->calls[i].name.data);
    }
    free(choice->calls);
}

/* True when the grammar of a demanded call has ended it. */
static bool is_whole_call(const pith_generation_call *g, const pith_job_piece *piece) {
    return piece->done && piece->finish == PITH_FINISH_COMPLETE &&
           g->request.tool_choice == PITH_TOOL_REQUIRED;
}

bool pith_choice_reply(pith_generation_call *g, const pith_job_piece *piece, pith_part_fn take,
                       void *user, pith_problem *problem) {
    pith_reply *reply = g->choices[piece->choice].reply;
    pith_reply_part part;
    const char *closing = is_whole_call(g, piece) ? pith_calling_closing(g->lease.calling) : "";
    if (!pith_reply_push(reply, piece->text) || !pith_reply_push(reply, pith_text_of(closing))) {
        return no_memory(problem);
    }
    if (piece->done) {
        pith_reply_finish(reply);
    }
    while (pith_reply_next(reply, &part)) {
        if (!take(user, piece->choice, &part, problem)) {
            return false;
        }
    }
    return !pith_reply_failed(reply) || no_memory(problem);
}
