/* What the files that write answers share. */
#ifndef PITH_SERVER_ANSWER_PARTS_H
#define PITH_SERVER_ANSWER_PARTS_H

#include "base/json_write.h"
#include "server/answer.h"

#define PITH_FINGERPRINT_TEXT "pith-" PITH_VERSION /* system_fingerprint: results depend on it */

/* A document being written to a byte string that may hold others already. */
typedef struct pith_document {
    pith_json_writer json;
    pith_bytes *out;
    size_t before;      /* bytes of `out` in front of it */
    pith_status status; /* of failures that the writer does not know of */
    pith_error *error;
} pith_document;

void pith_document_begin(pith_document *document, pith_bytes *out, pith_error *error);
/* Adds [n] bytes around the JSON text: "data: ", line ends. */
void pith_document_add(pith_document *document, const char *text, size_t n);
/* Returns the first failure; `out` is then as it was. */
pith_status pith_document_end(pith_document *document);

/* ---- Members --------------------------------------------------------------------------------- */

/* A float with as few digits as it needs. */
void pith_put_float(pith_json_writer *json, const char *key, float x);

/* [n] of them as an array. */
void pith_put_floats(pith_json_writer *json, const char *key, const float *x, size_t n);

/* A time as ollama writes it, "2026-03-04T05:06:07.123456789Z"; `seconds` since 1970. */
void pith_put_time(pith_json_writer *json, const char *key, int64_t seconds, long nanoseconds);

/* OLLAMA_GENERATE, OLLAMA_CHAT: an answer, whole or the last piece of one; without `usage` a piece
 * that is not the last. */
void pith_put_ollama(pith_json_writer *json, const pith_answer_head *head,
                     const pith_answer_choice *choice, const pith_answer_usage *usage);
/* OLLAMA_EMBED, OLLAMA_EMBEDDINGS: vectors [n_inputs, dimension]; of the latter at most one. */
void pith_put_ollama_vectors(pith_json_writer *json, const pith_answer_head *head,
                             const float *vectors, size_t n_inputs, size_t dimension,
                             const pith_answer_usage *usage);

/* "id", "object", "created", "model", "system_fingerprint". */
void pith_put_head(pith_json_writer *json, const pith_answer_head *head, const char *object);

/* "usage": {...}. */
void pith_put_usage(pith_json_writer *json, const pith_answer_usage *usage);
/* As pith_put_usage where no text is generated: for embeddings. */
void pith_put_prompt_usage(pith_json_writer *json, size_t prompt_tokens);

/* {"id", "type", "function"} of a call, without its brackets. */
void pith_put_call(pith_json_writer *json, const pith_answer_call *call);

/* "logprobs": of a choice's tokens [n_tokens], in the form of the endpoint; null without logprobs.
 * *offset counts characters as pith_answer_head.offsets does. */
void pith_put_logprobs(pith_document *document, const pith_answer_head *head,
                       const pith_answer_token *tokens, size_t n_tokens, size_t *offset);

/* COMPLETION: the prompt that stands in front of a choice with echo. Appended to `text`; a failure
 * is the document's. */
void pith_add_echo(pith_document *document, const pith_answer_head *head, size_t choice,
                   pith_bytes *text);

/* ---- Spelling tokens (answer_spelling.c) ----------------------------------------------------- */

/* The bytes of single tokens as they stand within a text. A vocabulary's own spelling is not that:
 * SentencePiece has "\xE2\x96\x81the" for " the" and "<0x0A>" for a line end. */
typedef struct pith_speller {
    const pith_model *model;
    pith_bytes bytes; /* of the last token */
    int32_t anchor;   /* a token in front, since a text's first token loses its space */
    size_t n_anchor;  /* bytes of its text */
} pith_speller;

/* Errors: MEMORY, UNSUPPORTED (no tokenizer). */
pith_status pith_speller_open(pith_speller *speller, const pith_model *model,
                              const pith_allocator *allocator, pith_error *error);
void pith_speller_close(pith_speller *speller);

/* *out is borrowed until the next call. *special: a token without text, spelled as in the
 * vocabulary ("</s>"). Errors: MEMORY, TOKEN. */
pith_status pith_speller_spell(pith_speller *speller, int32_t token, pith_text *out, bool *special,
                               pith_error *error);

#endif
