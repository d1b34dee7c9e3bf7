/* Answers as JSON documents and as chunks of server-sent events; no sockets here. */
#ifndef PITH_SERVER_ANSWER_H
#define PITH_SERVER_ANSWER_H

#include "base/bytes.h"
#include "server/request.h"

/* A generated token and how likely it was (with request->logprobs). */
typedef struct pith_answer_token {
    int32_t token;
    float logprob;
    const pith_scored_token *top; /* [n_top] */
    size_t n_top;
} pith_answer_token;

enum { PITH_ANSWER_CALL_ID = 10 };

/* A call of a tool. The id has nine letters and digits, as Mistral's templates ask for. */
typedef struct pith_answer_call {
    char id[PITH_ANSWER_CALL_ID];
    pith_text name, arguments; /* arguments: the text of a JSON object */
} pith_answer_call;

typedef struct pith_answer_choice {
    pith_text text;
    pith_text reasoning;           /* CHAT; empty: none */
    const pith_answer_call *calls; /* [n_calls] CHAT */
    size_t n_calls;
    pith_finish finish;
    const pith_answer_token *tokens; /* [n_tokens] with logprobs, else NULL */
    size_t n_tokens;
} pith_answer_choice;

typedef struct pith_answer_usage {
    size_t prompt_tokens;    /* of all prompts, each once */
    size_t generated_tokens; /* of all choices; end tokens are none */
    size_t cached_tokens;    /* of the prompt, that an earlier request had evaluated */
    /* Of ollama's answers: waiting for the model, evaluating the prompt, the rest, and all of it.
     */
    double load_seconds, prompt_seconds, generate_seconds, total_seconds;
} pith_answer_usage;

/* What every document or chunk of one answer repeats. */
typedef struct pith_answer_head {
    const pith_request *request;
    const char *id;               /* "chatcmpl-..." or "cmpl-...", never empty */
    const char *model;            /* as the client named it */
    int64_t created;              /* seconds since 1970 */
    const pith_model *vocabulary; /* spells the tokens of logprobs, and of prompts with echo */
    /* Streams of COMPLETION with logprobs: for each choice the characters that its tokens had so
     * far (text_offset), which stream_piece counts on; zeros at first. NULL: each piece starts at
     * 0. */
    size_t *offsets;
} pith_answer_head;

/* A choice's finish_reason: "length" when max_tokens or the context ended it, else "tool_calls"
 * when the model called tools, else "stop". */
const char *pith_answer_finish(pith_finish finish, size_t n_calls);

/* A random id for a call. */
void pith_answer_call_id(char *id /* [PITH_ANSWER_CALL_ID] */);

/* "chatcmpl-" (CHAT) or "cmpl-" and 24 random hexadecimal digits. id [PITH_ANSWER_ID]. */
enum { PITH_ANSWER_ID = 40 };
void pith_answer_id(pith_endpoint endpoint, char *id);

/* A whole answer: of INFER, CHAT, COMPLETION, INFILL, OLLAMA_GENERATE, OLLAMA_CHAT. Appends the
 * document to `out`, which is as before when this or any other function here fails. With echo each
 * choice's prompt is put in front of its text here: prompt i has the choices i x n_choices and the
 * n_choices - 1 behind it. The tokens of a choice are those of its text, without an end token.
 * Errors: MEMORY, ARGUMENT (a text is not UTF-8), TOKEN, UNSUPPORTED. */
pith_status pith_answer_write(const pith_answer_head *head, const pith_answer_choice *choices,
                              size_t n_choices, const pith_answer_usage *usage, pith_bytes *out,
                              pith_error *error);

/* Events of a stream (CHAT, COMPLETION), "data: {...}\n\n" each, appended to `out`. The pieces may
 * also be of OLLAMA_GENERATE and OLLAMA_CHAT, a line each, whose opening and finish are nothing.
 *
 * the first of a choice (CHAT: role, content ""; COMPLETION: its prompt with echo, else nothing), a
 * piece of its text (`token` may be NULL; nothing when there is neither text nor token), its end
 * (finish_reason), the usage of all (nothing without include_usage), a failure, and "[DONE]". */
pith_status pith_answer_stream_open(const pith_answer_head *head, size_t choice, pith_bytes *out,
                                    pith_error *error);
pith_status pith_answer_stream_piece(const pith_answer_head *head, size_t choice, pith_text text,
                                     const pith_answer_token *token, pith_bytes *out,
                                     pith_error *error);
/* CHAT: a piece of its reasoning; a call, whose index counts the choice's calls, with its arguments
 * or their beginning; more of the arguments. */
pith_status pith_answer_stream_reasoning(const pith_answer_head *head, size_t choice,
                                         pith_text text, pith_bytes *out, pith_error *error);
pith_status pith_answer_stream_call(const pith_answer_head *head, size_t choice, size_t index,
                                    const pith_answer_call *call, pith_bytes *out,
                                    pith_error *error);
pith_status pith_answer_stream_arguments(const pith_answer_head *head, size_t choice, size_t index,
                                         pith_text text, pith_bytes *out, pith_error *error);
pith_status pith_answer_stream_finish(const pith_answer_head *head, size_t choice,
                                      pith_finish finish, size_t n_calls, pith_bytes *out,
                                      pith_error *error);
pith_status pith_answer_stream_usage(const pith_answer_head *head, const pith_answer_usage *usage,
                                     pith_bytes *out, pith_error *error);
pith_status pith_answer_stream_problem(const pith_problem *problem, pith_bytes *out,
                                       pith_error *error);
pith_status pith_answer_stream_done(pith_bytes *out, pith_error *error);

/* A line of a stream in ollama's protocol, "{...}\n" (answer_ollama.c): the last one has the usage,
 * those before it none and what `choice` has of the answer's text, reasoning and calls. */
pith_status pith_answer_ollama_line(const pith_answer_head *head, const pith_answer_choice *choice,
                                    const pith_answer_usage *usage, pith_bytes *out,
                                    pith_error *error);
pith_status pith_answer_ollama_problem(const pith_problem *problem, pith_bytes *out,
                                       pith_error *error);
/* The answer where nothing was to be generated (request->no_work). */
pith_status pith_answer_ollama_loaded(const pith_answer_head *head, pith_bytes *out,
                                      pith_error *error);

/* EMBED, EMBEDDING, and ollama's: vectors [n_inputs, dimension] as they are to be sent. Errors:
 * MEMORY, NUMERIC (a number that is not finite). */
pith_status pith_answer_embeddings(const pith_answer_head *head, const float *vectors,
                                   size_t n_inputs, size_t dimension,
                                   const pith_answer_usage *usage, pith_bytes *out,
                                   pith_error *error);

#endif
