/* The JSON document in a .pith file's metadata: the one place that knows its keys (docs/format.md
 * lists them). The converter fills this struct and writes it; the reader parses into it. */
#ifndef PITH_WEIGHTS_METADATA_H
#define PITH_WEIGHTS_METADATA_H

#include "families/family.h"
#include "tokenizer/vocab.h"

enum {
    PITH_MAX_EOS = 16,
    PITH_SHA256_TEXT = 65,       /* 64 hex digits and a NUL */
    PITH_MAX_METADATA = 8 << 20, /* bytes of the JSON document */
    PITH_MAX_PROMPTS = 256,
    PITH_MAX_PROMPT = 64 << 10,  /* bytes of a prompt, and of its name */
    PITH_MAX_TEMPLATES = 64,     /* chat templates beside the default one */
    PITH_MAX_TEMPLATE = 1 << 20, /* bytes of each */
};

/* A source file the weights came from. */
typedef struct pith_source {
    const char *name; /* base name, or path within the directory of the checkpoint */
    size_t size;
    const char *sha256; /* lower-case hex digits; "" or NULL: not recorded */
} pith_source;

/* One tensor of the file. */
typedef struct pith_tensor_note {
    const char *name;
    bool is_matrix;
    pith_type type;     /* of a matrix */
    const char *sha256; /* of its bytes in the file; "" or NULL: not recorded */
} pith_tensor_note;

typedef struct pith_metadata {
    const char *architecture; /* the name of a family: "llama" */
    const char *generator;    /* "pith 0.4.0" */
    pith_type type;
    pith_type head_type;
    pith_config config;
    int32_t bos;
    int32_t eos[PITH_MAX_EOS];
    size_t n_eos;
    const char *chat_format;   /* or NULL */
    const char *chat_template; /* or NULL */
    size_t n_chat_templates;
    const pith_chat_template *chat_templates; /* others than that, by name */
    size_t n_prompts;
    const pith_prompt *prompts; /* of an encoder */
    const char *default_prompt; /* name of one of them, or NULL */
    pith_vocab vocab;           /* settings and counts only: its array pointers are not used here
                                   (pattern is); n_pieces 0: no tokenizer */
    size_t n_sources;
    const pith_source *sources;
    size_t n_notes;
    const pith_tensor_note *notes;
} pith_metadata;

/* Compact JSON, the same bytes for the same contents; the caller releases *text with
 * pith_release. Errors: MEMORY, ARGUMENT (a text is not UTF-8, a number not finite, the document
 * longer than PITH_MAX_METADATA). */
pith_status pith_metadata_write(const pith_metadata *metadata, const pith_allocator *allocator,
                                char **text, pith_error *error);

/* Parses and checks a document. `text` is changed, also on failure; *out points into it and into
 * *owner, which the caller frees with pith_metadata_free. Errors: FORMAT (names the key),
 * UNSUPPORTED (version, architecture), MEMORY. */
typedef struct pith_metadata_owner pith_metadata_owner;
pith_status pith_metadata_read(pith_metadata *out, pith_metadata_owner **owner, char *text,
                               const char *where, const pith_allocator *allocator,
                               pith_error *error);
void pith_metadata_free(pith_metadata_owner *owner);

#endif
