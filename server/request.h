/* What a client asks for, whichever protocol it speaks.
 *
 * The bodies of all endpoints are parsed into one struct. Texts and names lie in the body, which
 * the JSON reader decodes in place (base/json.h); arrays are in memory of the request's own. */
#ifndef PITH_SERVER_REQUEST_H
#define PITH_SERVER_REQUEST_H

#include "pith.h"
#include "server/problem.h"

typedef enum pith_endpoint {
    PITH_ENDPOINT_INFER,           /* POST /infer                (Spin)   */
    PITH_ENDPOINT_EMBED,           /* POST /embed                (Spin)   */
    PITH_ENDPOINT_CHAT,            /* POST /v1/chat/completions  (OpenAI) */
    PITH_ENDPOINT_COMPLETION,      /* POST /v1/completions       (OpenAI) */
    PITH_ENDPOINT_EMBEDDING,       /* POST /v1/embeddings        (OpenAI) */
    PITH_ENDPOINT_INFILL,          /* POST /infill     {"input_prefix", "input_suffix", ...} */
    PITH_ENDPOINT_TOKENIZE,        /* POST /tokenize   {"model", "content"} -> {"tokens": [...]} */
    PITH_ENDPOINT_DETOKENIZE,      /* POST /detokenize {"model", "tokens"}  -> {"content": "..."} */
    PITH_ENDPOINT_RERANK,          /* POST /rerank     {"model", "query", "documents", ...} */
    PITH_ENDPOINT_OLLAMA_GENERATE, /* POST /api/generate   (ollama) */
    PITH_ENDPOINT_OLLAMA_CHAT,     /* POST /api/chat       (ollama) */
    PITH_ENDPOINT_OLLAMA_EMBED,    /* POST /api/embed      (ollama) */
    PITH_ENDPOINT_OLLAMA_EMBEDDINGS, /* POST /api/embeddings (ollama's older form of it) */
    PITH_ENDPOINT_OLLAMA_SHOW,       /* POST /api/show       (ollama) */
    PITH_N_ENDPOINTS,
} pith_endpoint;

enum {
    PITH_REQUEST_MAX_CHOICES = 16, /* n x prompts of one request */
    PITH_REQUEST_MAX_MESSAGES = 4096,
    PITH_REQUEST_MAX_INPUTS = 2048,    /* texts of one embedding request */
    PITH_REQUEST_MAX_TOKENS = 1 << 20, /* ids of one prompt, or of /detokenize */
};

/* A prompt as text, or as token ids. */
typedef struct pith_request_prompt {
    pith_text text;
    const int32_t *tokens; /* [n_tokens], NULL: `text` counts */
    size_t n_tokens;
} pith_request_prompt;

/* The name of a tool's schema among the definitions of a document, by its index. */
#define PITH_TOOL_SCHEMA "tools[%zu].function.parameters"

typedef enum pith_tool_choice {
    PITH_TOOL_AUTO, /* the model decides whether it calls one */
    PITH_TOOL_NONE,
    PITH_TOOL_REQUIRED, /* it calls `forced_tool`, or any where that is NULL */
} pith_tool_choice;

typedef struct pith_request {
    pith_endpoint endpoint;
    const char *model;       /* NULL: none was named */
    const char *model_shown; /* OLLAMA: the model as it was named, with ":latest"; else NULL */

    bool chat; /* the prompt is the conversation, as the chat template writes it: CHAT, OLLAMA_CHAT,
                  and OLLAMA_GENERATE, which has the prompt below too, for a model without one */
    const pith_message *messages; /* [n_messages] roles system, user, assistant, tool */
    size_t n_messages;
    pith_text variables; /* CHAT: further variables of the chat template, as pith_chat_options has
                            them; "messages" are among them with full_messages: some of them have
                            more than a role and a content */
    bool full_messages;
    pith_text template; /* OLLAMA_GENERATE: a template in the Jinja language that stands in place of
                           the model's; data NULL: none */
    const char *const *tools;      /* [n_tools] names of those that may be called */
    const bool *strict_tools;      /* [n_tools] the arguments are kept to the tool's schema */
    const pith_text *tool_schemas; /* [n_tools] of the arguments, as JSON whose references start at
                                      #/$defs/ and PITH_TOOL_SCHEMA; NULL: none that may be called
                                      is strict */
    size_t n_tools;
    pith_tool_choice tool_choice;
    const char *forced_tool;
    const pith_request_prompt *prompts; /* [n_prompts] INFER, COMPLETION, TOKENIZE, DETOKENIZE */
    size_t n_prompts;
    bool infill; /* INFILL, and COMPLETION with a suffix: one prompt, made of the texts below */
    pith_text prefix, suffix;
    const pith_embed_input *inputs; /* [n_inputs] EMBED, EMBEDDING; RERANK: the documents */
    size_t n_inputs;

    /* Generation. Options that the client left out are those of the endpoint: of INFER Spin's
     * (100 tokens, 1.1, 64, 0.8, 40, 0.9), of INFILL llama-server's (0.8, top_k 40, top_p 0.95,
     * min_p 0.05), of OLLAMA its (0.8, 40, 0.9, 1.1, 64, streamed), of the OpenAI ones temperature
     * 1, top_p 1; and no limit but the context (COMPLETION: 16 tokens). `params` borrows from the
     * request. */
    pith_generate_params params;
    bool has_seed;      /* else the server draws one */
    size_t n_choices;   /* n >= 1 of every prompt */
    bool stream;        /* of INFER and INFILL never */
    bool include_usage; /* stream_options.include_usage */
    bool echo;          /* COMPLETION: the prompt stands in front of the text */
    bool logprobs;      /* the answer has them; params.n_top_logprobs says how many */
    pith_text schema;   /* the JSON schema of the texts; data NULL: any text */

    /* Embeddings. */
    size_t dimensions;  /* 0: all of them */
    bool base64;        /* little-endian f32 as base64 in place of numbers */
    bool no_truncation; /* OLLAMA_EMBED: a text that is too long is an error */

    /* OLLAMA. */
    bool no_work; /* there is nothing to generate or embed: the model is loaded */
    bool unload;  /* keep_alive 0: and unloaded afterwards, unless others use it */

    /* RERANK. */
    pith_text query;
    size_t top_n;          /* of the documents; 0: all */
    bool return_documents; /* their texts come back */

    bool add_special;   /* TOKENIZE: BOS and EOS by the tokenizer's rule */
    bool parse_special; /* TOKENIZE: special tokens written in the text are read as such */

    void *memory; /* the arrays above; private */
} pith_request;

/* Parses a body [n_bytes], which is changed and must outlive the request. Unknown fields are
 * ignored, explicit nulls count as absent, and a known field that would change the answer and is
 * not supported is a problem that names it. On failure there is nothing to release. */
bool pith_request_parse(pith_request *out, pith_endpoint endpoint, char *body, size_t n_bytes,
                        pith_problem *problem);

/* As pith_request_parse, with memory of `allocator` in place of malloc's. */
bool pith_request_parse_with(pith_request *out, pith_endpoint endpoint, char *body, size_t n_bytes,
                             const pith_allocator *allocator, pith_problem *problem);

void pith_request_release(pith_request *request);

/* Returns true for the endpoints of ollama's protocol. */
static inline bool pith_endpoint_is_ollama(pith_endpoint endpoint) {
    return endpoint >= PITH_ENDPOINT_OLLAMA_GENERATE;
}

/* Returns true when a model that is named has only to be unloaded (OLLAMA). */
static inline bool pith_request_only_unloads(const pith_request *request) {
    return request->no_work && request->unload && request->model != NULL;
}

/* The model as an answer names it: as the client did, else `own`, its own name. */
static inline const char *pith_request_model(const pith_request *request, const char *own) {
    const char *named = request->model_shown != NULL ? request->model_shown : request->model;
    return named != NULL ? named : own;
}

#endif
