/* The texts of all tokens of a model as they stand within a text, and which of them concern a form
 * of call: found once for a model, on the first chat whose tools are strict. */
#ifndef PITH_SERVER_TOKEN_TEXTS_H
#define PITH_SERVER_TOKEN_TEXTS_H

#include "server/calling.h"

/* Token ids. */
typedef struct pith_token_list {
    int32_t *ids; /* [n] */
    size_t n, capacity;
} pith_token_list;

typedef struct pith_token_texts {
    size_t n_tokens;
    size_t *begins; /* [n_tokens + 1] the text of token i is bytes[begins[i]] .. */
    char *bytes;
    pith_token_list crossing; /* the form's mark, and more behind it */
    pith_token_list spaces;   /* white space alone */
    pith_token_list braces;   /* '{' first */
    pith_token_list late;     /* white space or ';', then a '{' */
    pith_token_list behind;   /* LLAMA3: anything but white space and ';' in it */
} pith_token_texts;

/* Special tokens have no text, but those of calling->shown. Errors: MEMORY, UNSUPPORTED, TOKEN. */
pith_status pith_token_texts_new(pith_token_texts **out, const pith_model *model,
                                 const pith_calling *calling, pith_error *error);
void pith_token_texts_free(pith_token_texts *texts); /* accepts NULL */

static inline pith_text pith_token_text_of(const pith_token_texts *texts, int32_t token) {
    size_t begin = texts->begins[token];
    return (pith_text){texts->bytes + begin, texts->begins[token + 1] - begin};
}

#endif
