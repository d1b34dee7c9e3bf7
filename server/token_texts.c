/* The texts of a model's tokens; see token_texts.h. */
#include "server/token_texts.h"

#include "base/status.h"
#include "server/answer_parts.h"
#include "server/reply_parts.h"

#include <stdlib.h>
#include <string.h>

static bool add(pith_token_list *list, size_t token) {
    if (list->n == list->capacity) {
        size_t capacity = list->capacity == 0 ? 64 : 2 * list->capacity;
        int32_t *ids = realloc(list->ids, capacity * sizeof *ids);
        if (ids == NULL) {
            return false;
        }
        list->ids = ids;
        list->capacity = capacity;
    }
    list->ids[list->n++] = (int32_t)token;
    return true;
}

/* Puts the token into the lists that its text belongs to. */
static bool sort_token(pith_token_texts *texts, size_t token, pith_text text, pith_call_form form) {
    const char *mark = pith_call_mark(form);
    size_t space = pith_reply_skip_space(text.data, text.n_bytes, 0);
    size_t skip = pith_reply_skip_separators(text);
    size_t n_mark = mark != NULL ? strlen(mark) : 0;
    const char *found = n_mark > 0 && text.n_bytes > n_mark
                            ? memmem(text.data, text.n_bytes - 1, mark, n_mark)
                            : NULL;
    bool brace = skip < text.n_bytes && text.data[skip] == '{';
    return (text.n_bytes == 0 || space < text.n_bytes || add(&texts->spaces, token)) &&
           (found == NULL || add(&texts->crossing, token)) &&
           (!brace || add(skip == 0 ? &texts->braces : &texts->late, token)) &&
           (form != PITH_CALLS_LLAMA3 || skip == text.n_bytes || add(&texts->behind, token));
}

static bool is_shown(const pith_calling *calling, size_t token) {
    for (size_t i = 0; i < calling->n_shown; i++) {
        if ((size_t)calling->shown[i] == token) {
            return true;
        }
    }
    return false;
}

static pith_status spell_all(pith_token_texts *texts, pith_speller *speller,
                             const pith_calling *calling, pith_bytes *bytes, pith_error *error) {
    for (size_t i = 0; i < texts->n_tokens; i++) {
        pith_text text;
        bool special;
        pith_status status = pith_speller_spell(speller, (int32_t)i, &text, &special, error);
        if (status != PITH_OK) {
            return status;
        }
        if (special && !is_shown(calling, i)) {
            text.n_bytes = 0;
        }
        texts->begins[i] = bytes->size;
        if (!sort_token(texts, i, text, calling->form) ||
            !pith_bytes_append(bytes, text.data, text.n_bytes)) {
            return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the texts of tokens");
        }
    }
    texts->begins[texts->n_tokens] = bytes->size;
    return PITH_OK;
}

pith_status pith_token_texts_new(pith_token_texts **out, const pith_model *model,
                                 const pith_calling *calling, pith_error *error) {
    pith_model_info info;
    pith_speller speller;
    pith_bytes bytes;
    pith_model_get_info(model, &info);
    pith_bytes_init(&bytes, NULL);
    pith_token_texts *texts = calloc(1, sizeof *texts);
    size_t *begins = calloc(info.n_vocab + 1, sizeof *begins);
    if (texts == NULL || begins == NULL) {
        free(texts);
        free(begins);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the texts of tokens");
    }
    texts->n_tokens = info.n_vocab;
    texts->begins = begins;
    pith_status status = pith_speller_open(&speller, model, NULL, error);
    if (status == PITH_OK) {
        status = spell_all(texts, &speller, calling, &bytes, error);
        pith_speller_close(&speller);
    }
    texts->bytes = bytes.data;
    if (status != PITH_OK) {
        pith_token_texts_free(texts);
        return status;
    }
    *out = texts;
    return PITH_OK;
}

void pith_token_texts_free(pith_token_texts *texts) {
    if (texts != NULL) {
        free(texts->begins);
        free(texts->bytes);
        free(texts->crossing.ids);
        free(texts->spaces.ids);
        free(texts->braces.ids);
        free(texts->late.ids);
        free(texts->behind.ids);
        free(texts);
    }
}
