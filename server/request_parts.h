/* What the files that parse requests share: a request while it is parsed (the draft), its memory,
 * and readers of single values that check type and range.
 *
 * The fields of a body are rows of tables. The members of an object are walked once and each is
 * looked up by its name, so parsing is linear in the size of the body. Every reader returns false
 * with the draft's problem filled in, and names the field by its path, "messages[2].content". */
#ifndef PITH_SERVER_REQUEST_PARTS_H
#define PITH_SERVER_REQUEST_PARTS_H

#include "base/json.h"
#include "server/request.h"

enum {
    PITH_REQUEST_PATH = 64,             /* bytes of a field's path, as in pith_problem.param */
    PITH_REQUEST_SHOWN = 48,            /* bytes of a value that a message shows */
    PITH_REQUEST_MAX_MODEL_NAME = 256,  /* bytes */
    PITH_REQUEST_MAX_STOP_BYTES = 256,  /* bytes of a stop string, as in pith_generate_params */
    PITH_REQUEST_MAX_STOPS = 16,        /* as there */
    PITH_REQUEST_MAX_END_TOKENS = 64,   /* as there */
    PITH_REQUEST_MAX_BIASES = 1024,     /* as there */
    PITH_REQUEST_MAX_TOP_LOGPROBS = 20, /* as there */
    PITH_REQUEST_MAX_PENALTY_WINDOW = 1 << 20, /* tokens: the longest window of the sampler */
    PITH_REQUEST_PENALTY_WINDOW = 64,          /* tokens */
    PITH_REQUEST_INFER_TOKENS = 100,           /* Spin's */
    PITH_REQUEST_COMPLETION_TOKENS = 16,       /* OpenAI's */
};

/* What a message may have besides a role and a content; absent members are {NULL}. */
typedef struct pith_message_more {
    pith_json name, calls, call_id;
} pith_message_more;

typedef struct pith_draft {
    pith_request request;
    pith_problem *problem;
    const char *limit_name; /* of max_tokens, max_completion_tokens or n_predict; NULL: none */
    int64_t limit;          /* its value; -1: no limit */
    int64_t penalty_window; /* tokens; -1: the longest there is, 0: no penalties */
    int64_t best_of;        /* 0: none was given */
    const pith_message_more *more; /* [n_messages] CHAT */
    pith_json tools;               /* CHAT: the list, as it was sent */
    pith_json template_variables;  /* CHAT: chat_template_kwargs */
    pith_text line; /* INFILL: "prompt", the text between the prefix and the cursor */
    pith_text system, go_template;     /* OLLAMA_GENERATE */
    bool raw;                          /* OLLAMA_GENERATE: the prompt is used as it is */
    pith_json think;                   /* OLLAMA: a boolean, or the name of a level */
    size_t n_made_ids, n_answered_ids; /* OLLAMA_CHAT: of calls that came without one */
} pith_draft;

/* ---- Tables of fields ------------------------------------------------------------------------ */

typedef struct pith_rule pith_rule;
typedef bool (*pith_rule_fn)(pith_draft *draft, const pith_rule *rule, const char *path,
                             pith_json value);

struct pith_rule {
    const char *name;
    unsigned endpoints; /* the bit 1 << endpoint of each that knows the field */
    pith_rule_fn read;
    size_t offset;      /* in pith_draft, of what `read` sets */
    double least, most; /* of a number */
};

enum {
    PITH_AT_INFER = 1 << PITH_ENDPOINT_INFER,
    PITH_AT_EMBED = 1 << PITH_ENDPOINT_EMBED,
    PITH_AT_CHAT = 1 << PITH_ENDPOINT_CHAT,
    PITH_AT_COMPLETION = 1 << PITH_ENDPOINT_COMPLETION,
    PITH_AT_EMBEDDING = 1 << PITH_ENDPOINT_EMBEDDING,
    PITH_AT_INFILL = 1 << PITH_ENDPOINT_INFILL,
    PITH_AT_TOKENIZE = 1 << PITH_ENDPOINT_TOKENIZE,
    PITH_AT_DETOKENIZE = 1 << PITH_ENDPOINT_DETOKENIZE,
    PITH_AT_RERANK = 1 << PITH_ENDPOINT_RERANK,
    PITH_AT_OPENAI = PITH_AT_CHAT | PITH_AT_COMPLETION,
    PITH_AT_GENERATE = PITH_AT_OPENAI | PITH_AT_INFILL,
    PITH_AT_OLLAMA_GENERATE = 1 << PITH_ENDPOINT_OLLAMA_GENERATE,
    PITH_AT_OLLAMA_CHAT = 1 << PITH_ENDPOINT_OLLAMA_CHAT,
    PITH_AT_OLLAMA_EMBED = 1 << PITH_ENDPOINT_OLLAMA_EMBED,
    PITH_AT_OLLAMA_EMBEDDINGS = 1 << PITH_ENDPOINT_OLLAMA_EMBEDDINGS,
    PITH_AT_OLLAMA_SHOW = 1 << PITH_ENDPOINT_OLLAMA_SHOW,
    PITH_AT_OLLAMA_TEXT = PITH_AT_OLLAMA_GENERATE | PITH_AT_OLLAMA_CHAT,
    PITH_AT_OLLAMA_VECTORS = PITH_AT_OLLAMA_EMBED | PITH_AT_OLLAMA_EMBEDDINGS,
    PITH_AT_OLLAMA = PITH_AT_OLLAMA_TEXT | PITH_AT_OLLAMA_VECTORS | PITH_AT_OLLAMA_SHOW,
    PITH_AT_OTHERS = (1 << PITH_ENDPOINT_OLLAMA_GENERATE) - 1, /* all but ollama's */
    PITH_AT_ALL = PITH_AT_OTHERS | PITH_AT_OLLAMA,
};

/* Reads the members of `object` that rules [n_rules] know at the request's endpoint; nulls count as
 * absent. `path` is that of the object, "" for the body. Members that no rule knows are passed to
 * pith_refuse_field when the object is the body. */
bool pith_draft_walk(pith_draft *draft, pith_json object, const char *path, const pith_rule *rules,
                     size_t n_rules);

/* Refuses a field that would change the answer and is not supported, unless its value says that
 * the client does not want it either. True for unknown fields. request_refused.c has the table. */
bool pith_refuse_field(pith_draft *draft, const char *name, size_t n_name, pith_json value);

/* ---- Problems and memory --------------------------------------------------------------------- */

/* Fills in a 400 about the field at `path` and returns false. */
bool pith_draft_fail(pith_draft *draft, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* "PATH must be WANTED, not an array"; numbers are shown. */
bool pith_draft_fail_type(pith_draft *draft, const char *path, const char *wanted, pith_json value);

/* count x size zeroed bytes that live as long as the request; NULL: the problem is filled in. */
void *pith_draft_take(pith_draft *draft, size_t count, size_t size);

/* A text of JSON that lives as long as the request: what is written between the two. keep_json ends
 * the writer, whose bytes are released, and names what it wrote as `what` in a problem. */
void pith_draft_begin_json(const pith_draft *draft, pith_json_writer *json);
bool pith_draft_keep_json(pith_draft *draft, pith_json_writer *json, const char *what,
                          pith_text *out);

/* Writes "path.name" or, for "" as path, "name" to out [PITH_REQUEST_PATH], cut to fit. */
void pith_path_member(char *out, const char *path, const char *name);
/* Writes "path[i]". */
void pith_path_element(char *out, const char *path, size_t i);

/* ---- Readers of single values ---------------------------------------------------------------- */

/* They set *out and return true, or leave it unchanged. */
bool pith_read_bool(pith_draft *draft, const char *path, pith_json value, bool *out);
bool pith_read_integer(pith_draft *draft, const char *path, pith_json value, int64_t least,
                       int64_t most, int64_t *out);
bool pith_read_float(pith_draft *draft, const char *path, pith_json value, double least,
                     double most, float *out);
bool pith_read_text(pith_draft *draft, const char *path, pith_json value, pith_text *out);
/* A text without U+0000, of at most `most` bytes: C strings have no place for that character. */
bool pith_read_name(pith_draft *draft, const char *path, pith_json value, size_t most,
                    const char **out);
/* An array of token ids, `most` at most. */
bool pith_read_tokens(pith_draft *draft, const char *path, pith_json value, size_t most,
                      const int32_t **tokens, size_t *n_tokens);

/* ---- Fields, by the file that reads them ----------------------------------------------------- */

/* request_chat.c */
bool pith_rule_messages(pith_draft *draft, const pith_rule *rule, const char *path,
                        pith_json value);
bool pith_rule_object(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
/* Puts tools, variables and what messages have besides their texts into request.variables. */
bool pith_draft_settle_chat(pith_draft *draft);

/* request_tools.c */
bool pith_rule_tools(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_tool_choice(pith_draft *draft, const pith_rule *rule, const char *path,
                           pith_json value);
/* Which of the tools may be called, and their schemas. */
bool pith_draft_settle_tools(pith_draft *draft);

/* request_texts.c */
bool pith_rule_prompt(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_text_prompt(pith_draft *draft, const pith_rule *rule, const char *path,
                           pith_json value);
bool pith_rule_inputs(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_documents(pith_draft *draft, const pith_rule *rule, const char *path,
                         pith_json value);
bool pith_rule_token_ids(pith_draft *draft, const pith_rule *rule, const char *path,
                         pith_json value);

/* request_options.c */
bool pith_rule_bool(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_count(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_signed(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_float(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
/* A float above 0; 0 is an error. */
bool pith_rule_positive_float(pith_draft *draft, const pith_rule *rule, const char *path,
                              pith_json value);
bool pith_rule_text(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_model(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_limit(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_seed(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_stop(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_end_tokens(pith_draft *draft, const pith_rule *rule, const char *path,
                          pith_json value);
bool pith_rule_bias(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
bool pith_rule_logprobs(pith_draft *draft, const pith_rule *rule, const char *path,
                        pith_json value);
bool pith_rule_stream_options(pith_draft *draft, const pith_rule *rule, const char *path,
                              pith_json value);
bool pith_rule_infer_options(pith_draft *draft, const pith_rule *rule, const char *path,
                             pith_json value);
bool pith_rule_encoding(pith_draft *draft, const pith_rule *rule, const char *path,
                        pith_json value);

/* request_format.c */
bool pith_rule_response_format(pith_draft *draft, const pith_rule *rule, const char *path,
                               pith_json value);

/* Keeps a schema as text of its own: the body has its strings decoded. */
bool pith_draft_keep_schema(pith_draft *draft, pith_json schema);

/* request_ollama.c */
bool pith_rule_ollama_model(pith_draft *draft, const pith_rule *rule, const char *path,
                            pith_json value);
bool pith_rule_ollama_options(pith_draft *draft, const pith_rule *rule, const char *path,
                              pith_json value);
bool pith_rule_ollama_inputs(pith_draft *draft, const pith_rule *rule, const char *path,
                             pith_json value);
bool pith_rule_ollama_format(pith_draft *draft, const pith_rule *rule, const char *path,
                             pith_json value);
bool pith_rule_ollama_truncate(pith_draft *draft, const pith_rule *rule, const char *path,
                               pith_json value);
bool pith_rule_keep_alive(pith_draft *draft, const pith_rule *rule, const char *path,
                          pith_json value);
bool pith_rule_think(pith_draft *draft, const pith_rule *rule, const char *path, pith_json value);
/* Decides what OLLAMA_GENERATE is to do with its texts. */
bool pith_draft_settle_ollama(pith_draft *draft);

/* request_template.c: sets request.template, in which the source's branches are decided by the
 * draft's texts. */
bool pith_draft_translate_template(pith_draft *draft, pith_text source);

/* Sets what the endpoint's options are when the client leaves them out. */
void pith_draft_set_defaults(pith_draft *draft);

/* What concerns several options at once: limits, penalties, logprobs, n. */
bool pith_draft_settle_options(pith_draft *draft);

#endif
