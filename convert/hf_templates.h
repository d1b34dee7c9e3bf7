/* The chat templates of a Hugging Face checkpoint: chat_template.jinja, the list in
 * tokenizer_config.json, chat_template.json, and the directories of further ones. */
#ifndef PITH_CONVERT_HF_TEMPLATES_H
#define PITH_CONVERT_HF_TEMPLATES_H

#include "base/json.h"
#include "convert/sources.h"

typedef struct pith_hf_templates {
    const pith_allocator *allocator;
    char *text;                 /* the default one, or NULL */
    pith_chat_template *others; /* [n_others] by name; names and texts are owned */
    size_t n_others;
} pith_hf_templates;

/* Reads them; `config` is tokenizer_config.json, or absent. A file takes precedence over a template
 * in JSON. Opened files join `sources`. Errors: IO, FORMAT, MEMORY. */
pith_status pith_hf_templates_read(pith_hf_templates *out, pith_sources *sources, pith_json config,
                                   pith_error *error);
/* Keeps a copy of a template under its name, "default" or another, unless there is one already.
 * `where` is where it comes from. Errors: FORMAT (too many, too long, not UTF-8), MEMORY. */
pith_status pith_hf_templates_keep(pith_hf_templates *templates, const char *name, const char *text,
                                   size_t size, const char *where, pith_error *error);
void pith_hf_templates_free(pith_hf_templates *templates); /* of a zeroed one too */

#endif
