/* pith: run Llama-family language models and sentence encoders on a CPU.
 *
 *     pith_error error;
 *     pith_model *model = NULL;
 *     pith_session *session = NULL;
 *     if (pith_model_open(&model, "tale.pith", NULL, &error) != PITH_OK) ...error.message...
 *     if (pith_session_new(&session, model, NULL, &error) != PITH_OK) ...
 *     int32_t tokens[64];
 *     size_t n;
 *     pith_text prompt = pith_text_of("Once upon a time");
 *     pith_tokenize(model, prompt, PITH_TOKENIZE_AUTO, tokens, 64, &n, &error);
 *     pith_session_eval(session, tokens, n, &error);
 *     const float *logits = pith_session_logits(session);     -- [vocab], valid until the next eval
 *     pith_session_free(session);
 *     pith_model_free(model);
 *
 * and with an encoder:
 *
 *     pith_model_info info;
 *     pith_model_open(&model, "minilm.pith", NULL, &error);
 *     pith_model_get_info(model, &info);
 *     pith_embed_input texts[] = {{.text = pith_text_of("a stone")},
 *                                 {.text = pith_text_of("a rock")}};
 *     float *vectors = malloc(2 * info.n_embd * sizeof *vectors);      -- [2, n_embd]
 *     pith_embed(model, texts, 2, NULL, vectors, NULL, &error);
 *
 * Conventions. Every function that can fail returns a pith_status and fills `error` (which may be
 * NULL) with the same status and one sentence naming what was wrong; out parameters are untouched
 * then. The library never prints, exits, aborts, or reads the environment, and has no mutable
 * globals. Text is UTF-8 and carries its length in bytes (pith_text); it need not end in NUL. Free
 * functions accept NULL.
 *
 * Threads. A pith_model is immutable to its users: any number of threads may use it at once, and
 * evaluate different sessions of it at once; so is a pith_grammar. A pith_session, a pith_sampler,
 * a pith_decoder and a pith_grammar_matcher are each used by one thread at a time; a
 * pith_generation by the one that uses its session; all sessions of a batch by the one that
 * evaluates it. A model's own threads hand work over by C11 atomics, which ThreadSanitizer follows
 * and helgrind does not: the races that helgrind reports between them are false.
 *
 * Work buffers. What an evaluation needs beside its sessions belongs to the model: sets of buffers,
 * of which each evaluation that is under way (pith_session_eval, pith_batch_eval, each step of
 * pith_generate) has one to itself. Every set is large enough for the largest n_batch, as far as
 * n_context allows it, and the largest n_context of the sessions made so far. pith_session_new
 * makes sure that there is one. An evaluation takes memory for work buffers, before it begins, only
 *   - when all sets are in use: when more threads evaluate at once than ever did since the sets
 *     became as large as they are;
 *   - when a batch has more tokens for one pass than a set has room for, as many sessions of short
 *     contexts together may have; the room grows to the next power of two.
 * A program that evaluates one session at a time takes none after pith_session_new. The sets that
 * are kept are as many as evaluations were under way at once; pith_model_free frees them.
 *
 * Memory of a session. Its KV cache and its list of tokens grow with the timeline, up to n_context.
 * An evaluation takes memory for them, before it begins, only when the timeline enters a new block
 * of positions: those that begin at 0, 16, 32, 64 and 128, and the same in every 256 positions; or
 * when positions are written that the session shares with a fork; and with all_logits for the
 * logits, when it has more tokens than any before. Between blocks it allocates nothing. Without
 * memory an evaluation returns MEMORY, names the context, and leaves the timelines and logits of
 * all its sessions as they were. A session keeps what it took until it is freed.
 * pith_session_memory and pith_model_kv_bytes count.
 *
 * OpenBLAS. Products with f32 weights go through OpenBLAS when it is installed and the options
 * allow it; it is loaded at the first pith_model_open that wants it. It starts threads of its own
 * and reads the environment: set OPENBLAS_CORETYPE=SkylakeX before creating any thread on an
 * AVX-512 machine that OpenBLAS is too old to know. How many threads it uses is one setting for the
 * whole process, made by each pith_model_open that takes it: n_threads for a decoder, 1 for an
 * encoder, whose own threads call it side by side. A program with f32 models of both kinds opens
 * the encoder first, or with PITH_BLAS_OFF: results are right either way, but an encoder opened
 * later leaves a decoder's prefill on one thread. */
#ifndef PITH_H
#define PITH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PITH_VERSION "0.4.0"

#if defined(__GNUC__)
#define PITH_API __attribute__((visibility("default")))
#else
#define PITH_API
#endif

/* ---- Status ---------------------------------------------------------------------------------- */

typedef enum pith_status {
    PITH_OK = 0,
    PITH_ERROR_ARGUMENT,    /* the caller broke the contract: null pointer, option out of range */
    PITH_ERROR_MEMORY,      /* an allocation failed */
    PITH_ERROR_IO,          /* a system call failed; the message holds the path and strerror */
    PITH_ERROR_FORMAT,      /* a file is damaged or not what it claims to be */
    PITH_ERROR_UNSUPPORTED, /* valid, but not something this version can do; the message names it */
    PITH_ERROR_CAPACITY, /* the caller's buffer is too small; the count says how much is needed */
    PITH_ERROR_CONTEXT,  /* the tokens do not fit in the session's context */
    PITH_ERROR_TOKEN,    /* a token id outside the vocabulary */
    PITH_ERROR_TEXT,     /* text is not valid UTF-8 */
    PITH_ERROR_NUMERIC,  /* the network produced NaN or infinite logits */
    PITH_ERROR_STOPPED   /* a callback asked to stop */
} pith_status;

typedef struct pith_error {
    pith_status status;
    char message[500]; /* one sentence without a final newline; NUL-terminated */
} pith_error;

/* Short lower-case name of a status ("format"); never NULL. */
PITH_API const char *pith_status_name(pith_status status);

/* The library's version, PITH_VERSION of the build. */
PITH_API const char *pith_version(void);

/* ---- Text ------------------------------------------------------------------------------------ */

/* UTF-8 text [n_bytes], which need not end in NUL. `data` may be NULL when n_bytes is 0. A
 * text that is passed to the library need not outlive the call; how long one that comes from the
 * library stays is said at each call. */
typedef struct pith_text {
    const char *data;
    size_t n_bytes;
} pith_text;

/* The text of a NUL-terminated string, which stays the caller's; the empty text of NULL. */
static inline pith_text pith_text_of(const char *string) {
    pith_text text = {string, string != NULL ? strlen(string) : 0};
    return text;
}

/* ---- Options shared by several calls --------------------------------------------------------- */

/* Memory for pith's own objects. All three functions are required and may be called from any
 * thread; they must not call pith. `allocate` returns memory aligned for any type, or NULL;
 * `reallocate` accepts NULL and leaves the old block alone when it fails; `release` accepts NULL.
 * NULL in place of a pith_allocator means malloc, realloc and free. */
typedef struct pith_allocator {
    void *user;
    void *(*allocate)(void *user, size_t size);
    void *(*reallocate)(void *user, void *block, size_t size);
    void (*release)(void *user, void *block);
} pith_allocator;

typedef enum pith_log_level { PITH_LOG_INFO, PITH_LOG_WARNING } pith_log_level;

/* Receives one message without a newline; may be called from the thread that called the library. */
typedef void (*pith_log_fn)(void *user, pith_log_level level, const char *message);

/* Receives how many bytes of the weights have been read, `done` rising to `total`; false stops, and
 * the model is not opened. Called every few megabytes, from the thread that called the library. */
typedef bool (*pith_load_fn)(void *user, size_t done, size_t total);

/* ---- Model ----------------------------------------------------------------------------------- */

typedef struct pith_model pith_model;

/* How a cache line of weights is fetched ahead of its use, by the prefetch instructions of x86: not
 * at all; past the L2 cache (prefetchnta); into L2 (prefetcht1); into L1 too (prefetcht0). */
typedef enum pith_hint {
    PITH_HINT_NONE,
    PITH_HINT_NTA,
    PITH_HINT_T1,
    PITH_HINT_T0,
    PITH_N_HINTS
} pith_hint;

typedef struct pith_fetch {
    pith_hint hint;
    size_t distance; /* bytes ahead: a multiple of 64, at most 1 MiB */
} pith_fetch;

/* How products of int8 and int4 weights with few tokens prefetch the weights. The fastest way
 * depends on the machine; `pith bench --tune` measures it. It changes the speed of generation and
 * nothing else: results are the same bit for bit. */
typedef struct pith_tuning {
    pith_fetch few;  /* for one and two tokens */
    pith_fetch more; /* for more tokens: T1 or T0, because weights may be read again soon */
    char cpu[64];    /* the CPU it was measured on, "AuthenticAMD family 26 model 2"; "": unknown */
    char isa[16];    /* the instruction set it was measured with, "avx512-vnni"; "": unknown */
} pith_tuning;

/* Reads a file that `pith bench --tune --save` wrote (docs/format.md). It is optional: without
 * pith_model_options.tuning the library chooses by the CPU. Errors: ARGUMENT (null pointer),
 * MEMORY, IO, FORMAT (the message names the field and its limits), UNSUPPORTED (a later version of
 * the file). */
PITH_API pith_status pith_tuning_load(pith_tuning *out, const char *path, pith_error *error);

typedef enum pith_blas { PITH_BLAS_AUTO, PITH_BLAS_ON, PITH_BLAS_OFF } pith_blas;

/* One decoder over several processes, its ranks: each opens the same file with the same options,
 * reads and keeps its own rows of every matrix and its own heads of the KV cache, and computes its
 * share of every product; in between the ranks gather what they made. No sum is ever cut, so that
 * logits are the same bit for bit at any number of ranks. Rank 0 leads: its program uses the model
 * as any other. The others call pith_model_follow, and nothing else, after they opened it.
 *
 * The library knows no network: `gather` is the caller's. It is called from the thread that opens,
 * evaluates, follows, makes a session or frees the model, by one thread at a time and in the same
 * order by every rank, with the same `offsets` and `first_only`. Two may wait for long: the first
 * one, in pith_model_open, for the rank that reads its file most slowly; and in pith_model_follow
 * the one in front of a pass, for as long as rank 0 has nothing to evaluate. */
typedef struct pith_ranks {
    size_t rank;    /* this process: less than n_ranks */
    size_t n_ranks; /* at most PITH_MAX_RANKS; 1: as without ranks, and `gather` is not called */
    /* Fills `data` from all ranks: bytes [offsets[r], offsets[r + 1]) are there on rank r, and on
     * return on every rank, or on rank 0 alone with `first_only`: the others may then return as
     * soon as their bytes may be overwritten. offsets [n_ranks + 1] begins with 0; a rank may have
     * no bytes; where rank 0 has all of them it is a broadcast. At most PITH_MAX_GATHER bytes in
     * all. `data` is mostly the same buffer of the library. False: a rank is lost, and the model
     * can only be freed from then on: evaluations return IO without calling it again. */
    bool (*gather)(void *user, void *data, const size_t *offsets, bool first_only);
    void *user; /* borrowed until pith_model_free */
} pith_ranks;

enum { PITH_MAX_RANKS = 64, PITH_MAX_GATHER = 16777216 };

/* Zero-initialised means: all defaults. */
typedef struct pith_model_options {
    size_t n_threads; /* threads of one eval, the caller's included; 0: one per usable CPU, by the
                         process's affinity and its control group's quota; at most 256 */
    const char *isa;  /* "scalar"; "avx2", "avx-vnni", "avx512", "avx512-vnni", "amx-int8" (x86-64);
                         "neon", "neon-dot", "neon-i8mm" (AArch64); NULL: the best this CPU has,
                         amx-int8 excepted. Results are the same with all of them */
    pith_blas blas;   /* AUTO: OpenBLAS for f32 weights when it is installed; ON: an error when
                         it is not; OFF: bit-identical results in f32 too. OpenBLAS and the
                         Fortran library below it end the process when memory is short while
                         they are loaded */
    bool map;         /* map the file instead of reading it into huge pages. Truncating a mapped
                         file while it is in use ends the process with SIGBUS; writing to it
                         changes results, and nothing else: all that is checked at opening (header,
                         metadata, tokenizer) is in memory of the model's own */
    const pith_allocator *allocator; /* borrowed until pith_model_free */
    pith_log_fn log;                 /* NULL: silent */
    void *log_user;
    pith_load_fn load; /* called with how far reading is; may be NULL. Not called with `map` */
    void *load_user;
    const pith_tuning
        *tuning;             /* how weights are prefetched; read during the call only. NULL: as
                                the library's table says for this CPU. A tuning measured on another
                                CPU or instruction set is used, with a warning in the log */
    const pith_ranks *ranks; /* this process's part in a model of several; read during the call
                                only. NULL: alone. Decoders only; products of f32 weights go
                                through own kernels, and `map` and BLAS ON give UNSUPPORTED */
} pith_model_options;

/* Opens a `.pith` file (docs/format.md). Everything in the file is checked before use. With ranks
 * all of them return, and either all have the model or none has; but for ARGUMENT, of which the
 * others hear only that a rank is lost.
 * Errors: ARGUMENT, MEMORY, IO (also: another rank could not open its file, or is lost), FORMAT
 * (also: another rank has another file or version of pith; the message names both), UNSUPPORTED
 * (isa not on this CPU, format version, BLAS, what ranks cannot do), STOPPED (options->load
 * returned false). */
PITH_API pith_status pith_model_open(pith_model **out, const char *path,
                                     const pith_model_options *options, pith_error *error);

/* Frees the model. All its sessions, generations, samplers and decoders must be gone. On rank 0 it
 * ends the pith_model_follow of the others. */
PITH_API void pith_model_free(pith_model *model);

/* On a rank other than 0: takes part in all that rank 0 evaluates, until rank 0 frees its model,
 * which gives OK. Memory is taken as by the evaluations of rank 0 (above); when a rank has none,
 * the evaluation returns MEMORY on rank 0 and all go on. Called once, by one thread. Errors:
 * ARGUMENT (a model without ranks, rank 0), MEMORY, IO (a rank is lost), FORMAT (what rank 0 sent
 * makes no sense). */
PITH_API pith_status pith_model_follow(pith_model *model, pith_error *error);

/* A text that an encoder was trained to read in front of others ("query: "). */
typedef struct pith_prompt {
    const char *name; /* "query" */
    const char *text; /* may be empty */
} pith_prompt;

/* A chat template beside a checkpoint's default one ("tool_use"). */
typedef struct pith_chat_template {
    const char *name;
    const char *text;
} pith_chat_template;

typedef struct pith_model_info {
    const char *architecture;  /* the family: "llama", "bert" */
    const char *type;          /* numeric type of the linear layers: "int4" */
    const char *isa;           /* kernels in use: "avx512-vnni" */
    const char *chat_format;   /* how conversations are written: "llama2", "template" (by
                                  chat_template), or NULL when nothing says how */
    const char *chat_template; /* the checkpoint's own template text, or NULL */
    const pith_chat_template *chat_templates; /* [n_chat_templates] further ones, by name */
    size_t n_chat_templates;
    size_t n_vocab;   /* rows of the output head */
    size_t n_context; /* positions the model was trained for; of an encoder: the most
                         tokens of a text, [CLS] and [SEP] included */
    size_t n_embd;    /* hidden size; of an encoder: length of an embedding */
    size_t n_layers;
    size_t n_experts;      /* MLPs of a layer that is a mixture of experts; 0: none is */
    size_t n_experts_used; /* of them a token goes through */
    size_t n_params;
    size_t weight_bytes;  /* bytes of all weight tensors */
    size_t token_bytes;   /* weight bytes read to generate one token (embedding excluded) */
    size_t rank, n_ranks; /* of this process; 0 of 1 alone */
    size_t rank_bytes;    /* of weight_bytes, those that this process holds */
    size_t n_gathers;     /* of ranks: calls of `gather` for one token that is generated ... */
    size_t gather_bytes;  /* ... and the bytes they fill */
    size_t n_threads;
    int32_t bos; /* the tokenizer's beginning-of-sequence token; the configuration's where the
                    tokenizer names none; -1: none */
    const int32_t *eos; /* [n_eos] tokens that end a generation */
    size_t n_eos;
    bool has_infill; /* the tokenizer has Code Llama's <PRE>, <SUF>, <MID>, <EOT> */
    bool blas;       /* OpenBLAS is in use */
    bool add_bos;    /* the tokenizer puts `bos` in front of a text (PITH_TOKENIZE_AUTO) */
    bool add_eos;    /* it puts an end-of-sequence token behind it */
    const pith_prompt *prompts; /* [n_prompts] of an encoder, in the order of its checkpoint */
    size_t n_prompts;
    const char *default_prompt; /* name of the one that pith_embed uses by default; NULL: none */
    bool is_encoder;            /* for pith_embed; a decoder otherwise, for sessions */
    bool has_tokenizer;         /* the functions on text can be used */
    bool is_cross_encoder;      /* an encoder that scores pairs of texts: for pith_rerank */
} pith_model_info;

/* Facts about an open model. Strings and arrays are owned by the model. */
PITH_API void pith_model_get_info(const pith_model *model, pith_model_info *out);

/* ---- Text and tokens ------------------------------------------------------------------------- */

enum {
    PITH_TOKENIZE_BOS = 1,     /* put the beginning-of-sequence token first, if the model has one */
    PITH_TOKENIZE_SPECIAL = 2, /* read special tokens written in the text ("</s>") as such */
    PITH_TOKENIZE_AUTO = 4     /* put around the text what the tokenizer does: its BOS in front
                                   (Llama), its EOS behind, or nothing (Qwen2); what a prompt needs */
};

/* Encodes `text`. For an encoder the flags do not matter: [CLS] and [SEP] are always put around the
 * text and special tokens written in it are read as such; nothing is cut off here. Writes at most
 * `capacity` ids to `tokens` and sets *n_tokens to the number the text has; when that is more than
 * `capacity`, returns CAPACITY (and *n_tokens is set, the one exception to "untouched"). `tokens`
 * may be NULL when capacity is 0. Errors: ARGUMENT, CAPACITY, MEMORY, TEXT (invalid UTF-8, with the
 * byte offset), UNSUPPORTED. All functions of this section and pith_generate and pith_embed return
 * UNSUPPORTED for a file without a tokenizer. */
PITH_API pith_status pith_tokenize(const pith_model *model, pith_text text, unsigned flags,
                                   int32_t *tokens, size_t capacity, size_t *n_tokens,
                                   pith_error *error);

/* Decodes tokens [n_tokens] to text; special tokens give no text, bytes that are not valid UTF-8
 * become U+FFFD. An encoder's pieces are joined as words with a space between them and none before
 * most punctuation: what the tokenizer has taken from the text (case, accents, white space) is
 * lost. Capacity works as in pith_tokenize; no NUL is added. Errors: ARGUMENT, CAPACITY, MEMORY,
 * TOKEN. */
PITH_API pith_status pith_detokenize(const pith_model *model, const int32_t *tokens,
                                     size_t n_tokens, char *text, size_t capacity, size_t *n_bytes,
                                     pith_error *error);

/* The vocabulary's own spelling of one token ("▁the", "<0x0A>"), owned by the model. A byte-level
 * BPE piece is its bytes (" the"), which need not be whole UTF-8 characters. Errors: ARGUMENT,
 * TOKEN. */
PITH_API pith_status pith_token_text(const pith_model *model, int32_t token, pith_text *out,
                                     pith_error *error);

/* A decoder turns tokens into text one at a time and never emits part of a UTF-8 character. */
typedef struct pith_decoder pith_decoder;

/* Errors: ARGUMENT, MEMORY. */
PITH_API pith_status pith_decoder_new(pith_decoder **out, const pith_model *model,
                                      pith_error *error);
PITH_API void pith_decoder_free(pith_decoder *decoder);

/* Appends one token; *text is what became complete, possibly empty, borrowed until the next call.
 * Allocates nothing. Errors: ARGUMENT, TOKEN. */
PITH_API pith_status pith_decoder_push(pith_decoder *decoder, int32_t token, pith_text *text,
                                       pith_error *error);

/* Ends the text: *text is what was still held back (U+FFFD for broken bytes), borrowed until the
 * next call, and the decoder is ready for a new text. */
PITH_API void pith_decoder_finish(pith_decoder *decoder, pith_text *text);

/* ---- Conversations and infilling ------------------------------------------------------------- */

typedef struct pith_message {
    const char *role; /* "system", "user", "assistant" */
    pith_text content;
} pith_message;

/* How a conversation is written. Zero-initialised means: by the model's own template, up to where
 * an answer begins. */
typedef struct pith_chat_options {
    /* A JSON object, each member of which is a variable of the template: "tools", "documents",
     * "enable_thinking" and what else it knows. "messages" among them stands in place of the
     * argument, for messages that have more than a role and a content. Empty: none. */
    pith_text variables;
    const char *template_name; /* one of the model's chat_templates, "default" for its
                                  chat_template, or one that comes with pith: chatml, llama2,
                                  llama3, mistral, mistral-v3, mistral-tekken, mistral-v7, gemma,
                                  phi3, zephyr, granite, glm4, ernie, seed-oss, olmo2. NULL:
                                  "tool_use" when there are tools and the model has it, else its
                                  chat_template */
    pith_text template_text;   /* a template in the Jinja language in place of those; not both */
    bool no_generation_prompt; /* end behind the last message */
    int64_t local_time;        /* what the template's clock shows, in seconds since 1970 of local
                                  time; 0: the system's clock, in UTC */
} pith_chat_options;

/* Renders a conversation as transformers' apply_chat_template does, as tokens. `options` may be
 * NULL. Only what the template itself writes becomes special tokens: those spelled in a message,
 * or in any other variable, stay text. A template is bounded in steps, memory and length. Capacity
 * works as in pith_tokenize. Errors: ARGUMENT (the template refuses the conversation, in its own
 * words; roles out of order; variables that are no JSON object; no template of that name),
 * CAPACITY, FORMAT (a broken template, or one that meets a limit), MEMORY, TEXT, UNSUPPORTED (the
 * model has no template; a construct that pith does not know, named with its line). */
PITH_API pith_status pith_chat_format(const pith_model *model, const pith_message *messages,
                                      size_t n_messages, const pith_chat_options *options,
                                      int32_t *tokens, size_t capacity, size_t *n_tokens,
                                      pith_error *error);

/* The text that pith_chat_format encodes, special tokens spelled as in the vocabulary. Capacity
 * works as in pith_detokenize. Errors: as pith_chat_format. */
PITH_API pith_status pith_chat_text(const pith_model *model, const pith_message *messages,
                                    size_t n_messages, const pith_chat_options *options, char *text,
                                    size_t capacity, size_t *n_bytes, pith_error *error);

/* Finds the token that the template writes behind an answer ("<|im_end|>"), which need not be among
 * the model's own end tokens: a chat passes it as one of params->eos. *token is -1 where there is
 * none. Errors: ARGUMENT, MEMORY, UNSUPPORTED. */
PITH_API pith_status pith_chat_end(const pith_model *model, const pith_chat_options *options,
                                   int32_t *token, pith_error *error);

/* Renders a Code Llama infilling prompt (Roziere et al. 2023, section 2.3):
 * <s> <PRE> prefix <SUF> suffix <MID>, or with `suffix_first` <s> <PRE> <SUF> suffix <MID> prefix.
 * Errors: ARGUMENT, CAPACITY, MEMORY, TEXT, UNSUPPORTED (no infilling tokens). */
PITH_API pith_status pith_infill_format(const pith_model *model, pith_text prefix, pith_text suffix,
                                        bool suffix_first, int32_t *tokens, size_t capacity,
                                        size_t *n_tokens, pith_error *error);

/* ---- Session: one timeline of tokens with its KV cache --------------------------------------- */

typedef struct pith_session pith_session;

typedef enum pith_kv_type { PITH_KV_AUTO, PITH_KV_F32, PITH_KV_F16, PITH_KV_INT8 } pith_kv_type;

/* Zero-initialised means: all defaults. */
typedef struct pith_session_options {
    size_t n_context;     /* most positions; 0: the model's n_context. More than the model's is
                             allowed and logged as a warning. Positions take memory as they are
                             used. With longrope it also decides which of the model's two lists of
                             RoPE's factors every position has: the one for short contexts up to the
                             original context that pith inspect shows, else the one for long */
    size_t n_batch;       /* most tokens per forward pass (prefill chunk); 0: 512; at most 65536. In
                             a batch the largest of its sessions' holds for the whole */
    pith_kv_type kv_type; /* AUTO: f32 for f32 weights, else f16. INT8: codes with a scale per
                             position and KV head, little more than half the memory of f16,
                             slightly less exact */
    bool all_logits;      /* keep the logits of every token of an eval, not only the last */
} pith_session_options;

/* Allocates the session without its cache, and work buffers (above) when the model has none that
 * are large enough. Errors: ARGUMENT, MEMORY, UNSUPPORTED (the model is an encoder; INT8 with heads
 * of more than 256 elements). The model must outlive the session. */
PITH_API pith_status pith_session_new(pith_session **out, const pith_model *model,
                                      const pith_session_options *options, pith_error *error);
PITH_API void pith_session_free(pith_session *session);

/* Appends tokens [n_tokens >= 1] to the timeline and computes the logits of the last one (of every
 * one with all_logits). On failure the timeline is as before. Allocates nothing but the cache of a
 * new block of positions, and work buffers when those of the model are all in use (above).
 * Errors: ARGUMENT, CONTEXT, MEMORY, TOKEN, NUMERIC. */
PITH_API pith_status pith_session_eval(pith_session *session, const int32_t *tokens,
                                       size_t n_tokens, pith_error *error);

/* Evaluates several sessions of one model together, in passes of at most as many tokens as the
 * largest n_batch among them: tokens[i] [n_tokens[i] >= 1] are appended to sessions[i]. The
 * sessions may differ in every option and in length. Logits are bit for bit those of separate evals
 * (with BLAS off). Sessions must be distinct. Allocates nothing but the cache of new blocks of
 * positions, and work buffers when those of the model are all in use or have room for too few
 * tokens (above). On failure every timeline is as before, and the same call may be made again. The
 * message of an error that is due to one session begins with its index ("session 3: "). NUMERIC is
 * such an error, found after the work: the other sessions are sound and can be evaluated without
 * that one. A program finds it by evaluating each session alone. Errors: as pith_session_eval. */
PITH_API pith_status pith_batch_eval(pith_session *const *sessions, size_t n_sessions,
                                     const int32_t *const *tokens, const size_t *n_tokens,
                                     pith_error *error);

/* Logits [n_vocab] of the last token, borrowed until the next eval; NULL before the first. */
PITH_API const float *pith_session_logits(const pith_session *session);

/* With all_logits: logits [n_vocab] of the i-th token of the last eval; NULL when out of range. */
PITH_API const float *pith_session_logits_at(const pith_session *session, size_t i);

/* Number of tokens in the timeline, and the tokens themselves (borrowed until the next call). */
PITH_API size_t pith_session_length(const pith_session *session);
PITH_API const int32_t *pith_session_tokens(const pith_session *session);
PITH_API size_t pith_session_context(const pith_session *session);

/* Forgets everything after the first n_tokens tokens. Logits become unavailable. The session keeps
 * its memory, so that going on allocates nothing up to where it was; a fork that outlives it holds
 * only the memory of what is left. Errors: ARGUMENT (n_tokens beyond the timeline). */
PITH_API pith_status pith_session_rewind(pith_session *session, size_t n_tokens, pith_error *error);

/* Rewinds to the longest beginning that the timeline shares with tokens [n_tokens >= 1], short of
 * the last of them, whose evaluation gives the logits. *n_kept is the length left: evaluate, or
 * give to pith_generate, tokens + *n_kept. Errors: ARGUMENT. */
PITH_API pith_status pith_session_reuse(pith_session *session, const int32_t *tokens,
                                        size_t n_tokens, size_t *n_kept, pith_error *error);

/* A second session with the same options, timeline, cache and logits; from then on each goes its
 * own way. The two share the memory of the cache, so that a fork of a long timeline costs little:
 * it allocates a new session with its tokens and logits, and copies those. Which of the two goes on
 * first copies the last block of positions, at most 256, as part of that evaluation; with n forks
 * that all go on there are n copies of that block and one of all before it. Sessions that share may
 * be used and freed by different threads at once. An observer stays with the original.
 * Errors: ARGUMENT, MEMORY. */
PITH_API pith_status pith_session_fork(pith_session **out, const pith_session *session,
                                       pith_error *error);

/* Bytes of KV cache that the session holds now, with padding and without what the allocator adds.
 * What it shares with forks counts in full for each of them. */
PITH_API size_t pith_session_memory(const pith_session *session);

/* Bytes of KV cache that a timeline of n_positions takes in a session of its own: what
 * pith_session_memory returns after their evaluation, or a little more when n_context ends in the
 * last 256 of them. It does not fall as n_positions rises. `type` AUTO means as in the options.
 * Returns SIZE_MAX when it does not fit in size_t; 0 for an encoder and for an unknown type. */
PITH_API size_t pith_model_kv_bytes(const pith_model *model, pith_kv_type type, size_t n_positions);

/* Writes the timeline, its cache and the logits of its last token, when they are available, to a
 * file (docs/format.md, "Session files"), which appears whole or not at all and replaces one of the
 * same name. A new file may be read by its owner only, as it holds the text of a conversation; one
 * that is replaced keeps its permissions, and a symbolic link is written through. Several saves to
 * one path at a time all succeed; the last one stays. Errors: ARGUMENT (no tokens), IO, MEMORY,
 * FORMAT (the path is no regular file). */
PITH_API pith_status pith_session_save(const pith_session *session, const char *path,
                                       pith_error *error);

/* A new session with what pith_session_save wrote. `options` are those of pith_session_new, except
 * that kv_type AUTO takes the type in the file. Only a session of the same model is accepted: same
 * configuration, types and weight checksums. Everything in the file is checked.
 * Errors: ARGUMENT (also: another kv_type than the file's), CONTEXT (the timeline does not fit in
 * n_context), MEMORY, IO, FORMAT (damaged, of another model, or of a context with other factors of
 * longrope than this one's), UNSUPPORTED (version; an encoder). */
PITH_API pith_status pith_session_load(pith_session **out, const pith_model *model,
                                       const char *path, const pith_session_options *options,
                                       pith_error *error);

/* Watches the inside of the network while a session evaluates, for research and calibration. Called
 * with the rows of one named tensor, data [n_rows, n_cols], valid during the call, on the thread
 * that called eval:
 *     "model.embed_tokens"                       [n_tokens, n_embd] token embeddings
 *     "model.layers.L"                           [n_tokens, n_embd] residual stream after layer L
 *     "model.norm"                               [n_rows, n_embd] after the final RMSNorm
 *     "model.layers.L.self_attn.qkv_proj.input"  inputs of the linear layers: [n_tokens, columns];
 *     ...self_attn.o_proj.input, ...mlp.gate_up_proj.input, ...mlp.down_proj.input, lm_head.input
 * Inputs are the float values before activation quantisation; those of experts are not shown. In a
 * batch each session's observer is called with the rows of its own session alone, between the calls
 * of the others'. An observer may read the length and tokens of a session that is being evaluated,
 * nothing else. NULL stops. Slows evaluation. */
typedef void (*pith_observe_fn)(void *user, const char *name, const float *data, size_t n_rows,
                                size_t n_cols);
PITH_API void pith_session_observe(pith_session *session, pith_observe_fn fn, void *user);

/* The logit lens (nostalgebraist 2020): applies the final RMSNorm and the output head of a decoder
 * to rows [n_rows, n_embd] of the residual stream, out: logits [n_rows, n_vocab]. The rows are any
 * floats of the caller's: those of an observed "model.layers.L", a mean of them, one changed by
 * hand. Kernels, types and order are those of the forward pass, so the rows after the last layer
 * give the session's logits bit for bit, for quantised heads too and however the rows are grouped
 * (with OpenBLAS: when the session's pass had the same rows, at most 512).
 * Rows and logits stay the caller's and must not overlap. Uses the model's work buffers for at most
 * 512 rows, as an eval does, and allocates them when they are in use or too small. Any thread, also
 * within an observer; concurrent calls on one model are allowed and share its threads. On failure
 * `logits` may be partly written.
 * Errors: ARGUMENT, MEMORY, NUMERIC (with the index of the row), UNSUPPORTED (an encoder). */
PITH_API pith_status pith_logit_lens(const pith_model *model, const float *rows, size_t n_rows,
                                     float *logits, pith_error *error);

/* ---- Sampling -------------------------------------------------------------------------------- */

/* Zero-initialised means: greedy. Filters apply in this order: penalties, top-k, temperature,
 * top-p, min-p. */
typedef struct pith_sampling {
    float temperature;    /* 0: arg max */
    size_t top_k;         /* keep the k most likely; 0: all */
    float top_p;          /* nucleus (Holtzman et al. 2020); 0 or 1: off */
    float min_p;          /* keep p >= min_p * max p; 0: off */
    float repeat_penalty; /* Keskar et al. 2019: positive logits / r, negative x r; 0 or 1: off */
    size_t repeat_last_n; /* window of the three penalties; 0: 64 */
    float frequency_penalty; /* subtracted once per occurrence in the window */
    float presence_penalty;  /* subtracted once if the token occurs in the window */
    uint64_t seed;           /* generator: PCG-XSH-RR 64/32 (O'Neill 2014) */
} pith_sampling;

typedef struct pith_sampler pith_sampler;

/* Errors: ARGUMENT (a setting out of range, named), MEMORY. */
PITH_API pith_status pith_sampler_new(pith_sampler **out, const pith_model *model,
                                      const pith_sampling *settings, pith_error *error);
PITH_API void pith_sampler_free(pith_sampler *sampler);

/* Records a token in the penalty window (prompt tokens, and each token that pith_sample chose). */
PITH_API void pith_sampler_accept(pith_sampler *sampler, int32_t token);

/* Chooses a token from logits [n_vocab], which are not changed. Same seed, settings and logits:
 * same tokens on every machine. Ties go to the lower id. A token with the logit -infinity is never
 * chosen. Allocates nothing.
 * Errors: ARGUMENT (also: all logits are -infinity), NUMERIC (NaN or +infinity). */
PITH_API pith_status pith_sample(pith_sampler *sampler, const float *logits, int32_t *token,
                                 pith_error *error);

/* ---- Generation ------------------------------------------------------------------------------ */

/* What may be written: JSON of a schema. */
typedef struct pith_grammar pith_grammar;

typedef enum pith_finish {
    PITH_FINISH_EOS,     /* the model ended the text */
    PITH_FINISH_STOP,    /* a stop string, or its token, was found; the text ends before it */
    PITH_FINISH_LENGTH,  /* max_tokens reached */
    PITH_FINISH_CONTEXT, /* the context is full */
    PITH_FINISH_STOPPED, /* the callback asked to stop */
    PITH_FINISH_COMPLETE /* the text of the grammar is whole, and nothing may follow */
} pith_finish;

/* A number that is added to the logit of a token. */
typedef struct pith_logit_bias {
    int32_t token;
    float bias; /* finite, or -INFINITY: the token is never chosen */
} pith_logit_bias;

/* Zero-initialised means: greedy, until EOS or the context is full. */
typedef struct pith_generate_params {
    pith_sampling sampling;
    size_t max_tokens;        /* 0: until the context is full */
    const char *const *stops; /* [n_stops] NUL-terminated stop strings, each 1..256 bytes. One that
                                 is the spelling of a special or added token ("<|im_end|>") stops
                                 at that token too, which gives no text */
    size_t n_stops;           /* at most 16 */
    bool ignore_eos;          /* go on after the model's own end tokens */
    size_t speculate; /* prompt-lookup decoding: most tokens drafted at a time, at most 16; 0: off.
                         Tokens that followed the last few before are evaluated together with the
                         next one; those the sampler chooses too cost nothing more. The text is the
                         same with any value; only speed differs, most where text repeats */
    pith_session *draft;  /* of a smaller model with the same vocabulary, which drafts tokens where
                             nothing repeats, as many as `speculate` (0: 8) says; NULL: none. While
                             the generation lasts, it alone uses this session and changes its
                             timeline. The text is the same; where drafts do not pay they are left
                             out */
    const int32_t *eos;   /* [n_eos] further end tokens, which ignore_eos leaves as they are */
    size_t n_eos;         /* at most 64 */
    const int32_t *shown; /* [n_shown] special tokens that give their spelling as text, where others
                             give none: the mark of a tool call */
    size_t n_shown;       /* at most 64 */
    bool logprobs;        /* pith_generation_step reports the log probability of the token it chose,
                             and of the n_top_logprobs most likely ones; pith_generate has no use
                             for them */
    size_t n_top_logprobs;       /* with logprobs; at most 20, at most the vocabulary */
    const pith_logit_bias *bias; /* [n_bias] added to the logits before penalties and all else; of a
                                    token that is named twice both are */
    size_t n_bias;               /* at most 1024 */
    pith_grammar *grammar;       /* the text is one of this grammar of the same model (below), but
                                    for what a limit or stop string cuts off; NULL: any text */
    /* For a grammar of the caller's own: called before each choice of a token with the logits
     * [n_vocab], biases added and those that `grammar` rules out at -INFINITY, of which it may set
     * any to -INFINITY, which rules the token out. NULL: none is. */
    void (*mask)(void *user, float *logits);
    /* Called with each token that was chosen, an end token too. NULL: not called. */
    void (*accept)(void *user, int32_t token);
    void *mask_user; /* of mask and accept */
} pith_generate_params;

typedef struct pith_usage {
    size_t prompt_tokens;
    size_t generated_tokens; /* the end token excluded */
    double prompt_seconds;   /* evaluating the prompt: time to the first token */
    double generate_seconds; /* everything after it */
    pith_finish finish;
    size_t drafted_tokens;  /* with speculate or draft: evaluated ahead */
    size_t accepted_tokens; /* of these: chosen, so that they needed no pass of their own */
} pith_usage;

/* Receives text as it becomes complete (whole UTF-8 characters; text that may be the start of a
 * stop string is held back). Also called with an empty text after each chunk of a long prompt.
 * `text` is valid during the call. Return false to stop. */
typedef bool (*pith_text_fn)(void *user, pith_text text);

/* Appends the prompt tokens [n_prompt >= 1] to the session, then generates. The session's timeline
 * afterwards holds the prompt and the generated tokens, except the last one, which has not been
 * evaluated yet; after an error or a stop within the prompt, the chunks evaluated so far. The text
 * continues the timeline's: a word that follows comes with its space in front, and the penalties'
 * window holds the timeline's last tokens, however they came to be evaluated. `on_text` may be
 * NULL. `usage` may be NULL; it is filled on success. A callback returning false is success with
 * finish STOPPED. Errors: as pith_session_eval, ARGUMENT (also: every token is ruled out), MEMORY,
 * TOKEN (params->eos, params->bias). */
PITH_API pith_status pith_generate(pith_session *session, const int32_t *prompt, size_t n_prompt,
                                   const pith_generate_params *params, pith_text_fn on_text,
                                   void *user, pith_usage *usage, pith_error *error);

/* A generation that its caller drives, so that many sessions can be evaluated together:
 *
 *     for (;;) {
 *         for each generation i that is not done
 *             pith_generation_next(generations[i], 0, &tokens[n], &n_tokens[n], &error);
 *             -- with n_tokens[n] > 0: sessions[n] = its session, n++
 *         pith_batch_eval(sessions, n, tokens, n_tokens, &error);
 *         for each of them
 *             pith_generation_step(generations[i], &step, &error);  -- step.text, step.done
 *     }
 *
 * Text, tokens and counts are those of pith_generate, token for token, whatever else is in the
 * batch (with BLAS off). */
typedef struct pith_generation pith_generation;

/* A token with the natural logarithm of its probability under the model: softmax of the logits as
 * the network computed them, without bias, mask, penalties and temperature. */
typedef struct pith_scored_token {
    int32_t token;
    float logprob;
} pith_scored_token;

/* The result of one step of a generation. */
typedef struct pith_step {
    bool has_token; /* a token was chosen: false while some of the prompt is not evaluated */
    int32_t token;  /* also the end token, when that is what was chosen */
    pith_text text; /* that became complete, as for pith_text_fn; borrowed until the next call on
                       the generation, but for pith_generation_usage */
    bool done;      /* the generation is over: `finish` says how */
    pith_finish finish;
    float logprob;                /* of the token, with params->logprobs */
    const pith_scored_token *top; /* [n_top] most likely tokens, best first; borrowed as the text */
    size_t n_top;
} pith_step;

/* Begins a generation that appends the prompt [n_prompt >= 1] to the session. Evaluates nothing.
 * Prompt and params are copied with all that they point at, except mask_user; the grammar is
 * retained. Allocates all that the generation needs; its other functions allocate nothing. The
 * session must outlive the generation. Until the generation is done or freed, nothing but its
 * tokens may be evaluated on the session, the session may not be rewound, and it cannot have a
 * second generation. Errors: ARGUMENT, CONTEXT (the prompt does not fit), MEMORY, TOKEN (of the
 * prompt, params->eos, params->bias), UNSUPPORTED (no tokenizer). */
PITH_API pith_status pith_generation_new(pith_generation **out, pith_session *session,
                                         const int32_t *prompt, size_t n_prompt,
                                         const pith_generate_params *params, pith_error *error);

/* Frees the generation, done or not. The session stays usable, with the tokens evaluated so far. */
PITH_API void pith_generation_free(pith_generation *generation);

/* Returns in *tokens [*n] what must be evaluated next on the session, in one call of
 * pith_session_eval or pith_batch_eval; borrowed until the next call on the generation, but for
 * pith_generation_usage. Of the prompt these are at most `most` tokens (0: the session's n_batch).
 * *n is 0 when the logits are at hand: a draft guessed right, or the tokens are evaluated already.
 * A second call before the evaluation returns the same tokens, or other chunks of the prompt.
 * With params->speculate the last tokens may be a draft of what follows. An evaluation of exactly
 * these tokens appends only the first of them to the timeline, and logits after a draft that are
 * not finite fail nothing. An observer sees the rows of drafts too.
 * Errors: ARGUMENT (the generation is done; the session's timeline is not what it left). */
PITH_API pith_status pith_generation_next(pith_generation *generation, size_t most,
                                          const int32_t **tokens, size_t *n, pith_error *error);

/* Chooses a token, unless some of the prompt is left. To be called once after each
 * pith_generation_next, when its tokens are evaluated or there were none. *out is filled on
 * success. After a failure the same step can be tried again; `mask` is then called again.
 * Errors: ARGUMENT (also: the tokens are not evaluated, pith_generation_next was not called, the
 * generation is done, every token is ruled out), NUMERIC (a bias or the mask made a logit NaN or
 * +infinity). */
PITH_API pith_status pith_generation_step(pith_generation *generation, pith_step *out,
                                          pith_error *error);

/* Fills *out with the counts and times from pith_generation_new to the last step. `finish` is
 * meaningful once the generation is done. */
PITH_API void pith_generation_usage(const pith_generation *generation, pith_usage *out);

/* ---- Grammars -------------------------------------------------------------------------------- */

/* A grammar keeps the text of a generation to the JSON values that a schema allows: before each
 * choice the tokens that lead out of it are ruled out, so that nothing is left to the model but
 * which of the values it writes. The generation ends where the value does, with finish COMPLETE, or
 * EOS where more might follow (the digits of a number). One that max_tokens, the context or a stop
 * string ends earlier has written the beginning of a value.
 *
 *     pith_grammar *grammar = NULL;
 *     pith_text schema = pith_text_of("{\"type\": \"array\", \"items\": {\"type\": \"integer\"}}");
 *     if (pith_grammar_new(&grammar, model, schema, &error) != PITH_OK) ...
 *     pith_generate_params params = {.grammar = grammar, .max_tokens = 400};
 *     pith_generate(session, tokens, n, &params, on_text, NULL, &usage, &error);
 *     pith_grammar_free(grammar);
 *
 * The text is UTF-8 without white space but for at most one space after each colon and comma.
 * docs/grammar.md says which schemas are known and which of their values are written.
 *
 * A grammar is immutable and may be used by any number of threads, generations and matchers at
 * once. Those retain it, so that it may be freed before them. The model must outlive it. */

/* Compiles a JSON schema; {"type": "object"} is any JSON object, {} any value. The first grammar of
 * a model arranges the vocabulary, which the model keeps, in about 50 bytes a token: 0.2 s for
 * 128,000 tokens. Errors: ARGUMENT, FORMAT (the schema is no JSON, a keyword has a value that it
 * cannot have, no value is allowed), UNSUPPORTED (a keyword that is not known, by name and place in
 * the schema; a limit, named; an encoder, a file without a tokenizer), MEMORY. */
PITH_API pith_status pith_grammar_new(pith_grammar **out, const pith_model *model, pith_text schema,
                                      pith_error *error);

/* Adds a reference, which must be freed too; returns the grammar. */
PITH_API pith_grammar *pith_grammar_retain(pith_grammar *grammar);

/* Gives a reference back; the last one frees the grammar. */
PITH_API void pith_grammar_free(pith_grammar *grammar);

/* A grammar's place in one text, for programs that choose tokens themselves:
 *
 *     while (!pith_grammar_matcher_is_over(matcher)) {
 *         ...logits: a copy of pith_session_logits...
 *         pith_grammar_matcher_mask(matcher, logits);
 *         pith_sample(sampler, logits, &token, &error);
 *         if (...token is an end token...) break;
 *         pith_grammar_matcher_accept(matcher, token, &error);
 *         ...pith_session_eval(session, &token, 1, &error)...
 *     }
 *
 * Used by one thread at a time. pith_grammar_matcher_new takes all memory, less than a megabyte;
 * the other functions allocate nothing. Errors: ARGUMENT, MEMORY. */
typedef struct pith_grammar_matcher pith_grammar_matcher;

PITH_API pith_status pith_grammar_matcher_new(pith_grammar_matcher **out, pith_grammar *grammar,
                                              pith_error *error);
PITH_API void pith_grammar_matcher_free(pith_grammar_matcher *matcher);

/* Back to the beginning of a text. */
PITH_API void pith_grammar_matcher_begin(pith_grammar_matcher *matcher);

/* Sets the logits [n_vocab] of all tokens that may not come next to -INFINITY. The model's end
 * tokens may where the text may end. */
PITH_API void pith_grammar_matcher_mask(pith_grammar_matcher *matcher, float *logits);

/* Advances by a token, which must not be an end token. Errors: ARGUMENT (it may not come next;
 * nothing has changed), TOKEN. */
PITH_API pith_status pith_grammar_matcher_accept(pith_grammar_matcher *matcher, int32_t token,
                                                 pith_error *error);

/* True when the text may end here; and when nothing may follow, either. */
PITH_API bool pith_grammar_matcher_may_end(const pith_grammar_matcher *matcher);
PITH_API bool pith_grammar_matcher_is_over(const pith_grammar_matcher *matcher);

/* ---- Sentence embeddings --------------------------------------------------------------------- */

typedef enum pith_prompt_use {
    PITH_PROMPT_QUERY,   /* the prompt "query" */
    PITH_PROMPT_DOCUMENT /* the first that the model has of "document", "passage" and "corpus" */
} pith_prompt_use;

/* The text that an encoder reads in front of queries, or of the documents that answer them: the
 * model's prompt for that use, else its default, else "". Lives as long as the model. */
PITH_API const char *pith_model_prompt(const pith_model *model, pith_prompt_use use);

/* One text, or a pair of texts that the encoder reads together. */
typedef struct pith_embed_input {
    pith_text text;
    pith_text pair; /* the second text; data NULL: there is none */
} pith_embed_input;

/* Zero-initialised means: all defaults. */
typedef struct pith_embed_options {
    bool no_truncate;        /* a text over the model's limit is an error instead of being cut */
    const char *prompt;      /* put in front of every text, of a pair in front of the first, before
                                it is tokenized and cut; "": nothing is. NULL: the model's own */
    const char *prompt_name; /* with `prompt` NULL: which of the model's prompts (pith_model_info);
                                NULL: its default_prompt, if it has one */
    size_t dimensions;       /* elements of an embedding that are kept, the first ones, which are
                                then normalised (Kusupati et al. 2022); 0 or n_embd: all, as the
                                model gives them */
    /* Called now and then from the thread that called pith_embed; false stops. May be NULL. */
    bool (*progress)(void *user, size_t n_done, size_t n_inputs);
    void *user;
} pith_embed_options;

/* What became of one text. */
typedef struct pith_embed_result {
    size_t n_tokens; /* that were encoded, [CLS] and [SEP] included */
    bool truncated;  /* the text had more: its end was cut off */
} pith_embed_result;

/* Embeds texts [n_inputs] with an encoder model: out [n_inputs, n_embd], or [n_inputs, dimensions]
 * where the options ask for less; results [n_inputs] or NULL. Texts are packed by length and spread
 * over the model's threads; a text's embedding does not depend on the other texts (bit for bit,
 * with BLAS off). A cross-encoder takes pairs and gives one number for each, its score (n_embd is
 * 1). The tokens of a prompt count as the text's; a model whose pooling leaves the prompt out pools
 * the others only, [CLS] excluded too, as sentence-transformers does. Concurrent calls on one model
 * are allowed and share its threads. On failure `out` and `results` may be partly written. Errors:
 * ARGUMENT (also: both prompts, no prompt of that name, and those there are are listed; more
 * dimensions than there are; for a cross-encoder a text without a pair, with the index), MEMORY,
 * TEXT (invalid UTF-8, with the index of the text and the byte offset), CONTEXT (no_truncate, with
 * the index), TOKEN (a file whose tokenizer has ids beyond its weights), STOPPED, UNSUPPORTED (not
 * an encoder, no tokenizer), NUMERIC (with the index). */
PITH_API pith_status pith_embed(const pith_model *model, const pith_embed_input *inputs,
                                size_t n_inputs, const pith_embed_options *options, float *out,
                                pith_embed_result *results, pith_error *error);

/* Zero-initialised means: all defaults. */
typedef struct pith_rerank_options {
    bool no_truncate; /* texts over the model's limit are an error instead of being cut */
    /* As in pith_embed_options. */
    bool (*progress)(void *user, size_t n_done, size_t n_inputs);
    void *user;
} pith_rerank_options;

/* How well each of some documents [n_documents] answers a query: scores [n_documents], the higher
 * the better; results [n_documents] or NULL. A cross-encoder (pith_model_info) reads query and
 * document together, and its scores are what its checkpoint's activation makes of them: mostly 0 to
 * 1, or logits. Any other encoder embeds them behind its prompts for queries and for documents
 * (pith_model_prompt), and the scores are cosines. A score does not depend on the other documents.
 * Errors: as pith_embed; the index is that of the document. */
PITH_API pith_status pith_rerank(const pith_model *model, pith_text query,
                                 const pith_text *documents, size_t n_documents,
                                 const pith_rerank_options *options, float *scores,
                                 pith_embed_result *results, pith_error *error);

enum { PITH_FINGERPRINT = 33 }; /* 32 hexadecimal digits and a NUL */

/* Writes to out [PITH_FINGERPRINT] what decides an encoder's vectors: weights, types, tokenizer,
 * pooling, normalisation and length, as a hash; not prompts, nor where the file came from. Vectors
 * kept beside it can be compared with new ones as long as it is the same, in later versions too.
 * Weights come in by the checksums in the file, which it need not have. Errors: ARGUMENT, MEMORY,
 * UNSUPPORTED (not an encoder). */
PITH_API pith_status pith_embed_fingerprint(const pith_model *model, char *out, pith_error *error);

/* Cosine of the angle between two vectors [n]: dot product and squared norms of int8 vectors are
 * exact integers (n <= 65536), of float vectors sums of exact products in double precision; then
 * dot / sqrt(norm x norm) in double. 0 when a vector is all zero. Any thread, no state. */
PITH_API double pith_cosine_f32(const float *a, const float *b, size_t n);
PITH_API double pith_cosine_int8(const int8_t *a, const int8_t *b, size_t n);

/* The dot products of it, for a search that computes the norm of its query once: the same sums, so
 * that dot / sqrt(norm x norm) is the same double. n <= 65536 for int8. Any thread, no state. */
PITH_API double pith_dot_f32(const float *a, const float *b, size_t n);
PITH_API double pith_dot_int8(const int8_t *a, const int8_t *b, size_t n);

/* The int8 form of a vector [n] for storage: codes = round to even(x * 127 / max |x|). The scale is
 * not kept: cosines do not need it. A vector with NaN or infinity gives zeros. */
PITH_API void pith_quantize_vector(const float *x, size_t n, int8_t *codes);

#ifdef __cplusplus
}
#endif
#endif
