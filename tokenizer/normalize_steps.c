/* A normaliser of several steps, applied in order (normalizer "Sequence" of a tokenizer.json). Each
 * makes a new text of the whole text, as the step of that name in Hugging Face's tokenizers does
 * (normalizers/). A vocabulary may come from a hostile file, so a text may not grow beyond a
 * multiple of its original length. */
#include "tokenizer/internal.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <utf8proc.h>

enum {
    /* NFKD turns 3 bytes into 33; the rest is for "Replace" by a few characters and "Prepend". */
    MAX_GROWTH = 64,
    SPARE_BYTES = 4096,
};

typedef struct normalizing {
    const pith_tokenizer *tokenizer;
    const char *text; /* as the steps so far have made it; `owned`, or the caller's */
    size_t n;
    char *owned;
    size_t limit; /* bytes that the text may have */
    pith_error *error;
} normalizing;

/* ---- Building -------------------------------------------------------------------------------- */

pith_status pith_normal_steps_new(pith_splitter ***out, const pith_normal_step *steps, size_t n,
                                  const pith_allocator *allocator, pith_error *error) {
    pith_splitter **splitters = pith_allocate_zeroed(allocator, n, sizeof *splitters);
    if (splitters == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the normalizer");
    }
    *out = splitters; /* the tokenizer frees it, whole or not */
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < n; i++) {
        if (steps[i].kind == PITH_NORMAL_REPLACE) {
            status = pith_splitter_new(&splitters[i], steps[i].pattern, allocator, error);
        }
    }
    return status;
}

/* ---- Texts ----------------------------------------------------------------------------------- */

static pith_status no_memory(const normalizing *w) {
    return pith_fail(w->error, PITH_ERROR_MEMORY, "no memory to normalise %zu bytes", w->n);
}

/* Makes `made` the text and takes ownership of it. */
static void take(normalizing *w, char *made, size_t n) {
    pith_release(w->tokenizer->allocator, w->owned);
    w->owned = made;
    w->text = made != NULL ? made : "";
    w->n = n;
}

/* Takes what a step has written, or releases it where the step failed. */
static pith_status finish(normalizing *w, pith_bytes *out, pith_status status) {
    if (status == PITH_OK) {
        take(w, out->data, out->size);
    } else {
        pith_bytes_release(out);
    }
    return status;
}

static pith_status too_long(const normalizing *w) {
    return pith_fail(w->error, PITH_ERROR_TEXT,
                     "the normalizer makes more than %zu bytes of a text", w->limit);
}

static pith_status append(const normalizing *w, pith_bytes *out, const char *text, size_t n) {
    if (n > w->limit - out->size) {
        return too_long(w);
    }
    return pith_bytes_append(out, text, n) ? PITH_OK : no_memory(w);
}

/* ---- Steps ----------------------------------------------------------------------------------- */

static pith_status replace(normalizing *w, const pith_normal_step *step,
                           const pith_splitter *splitter) {
    pith_split_walk walk;
    pith_bytes out;
    size_t n_content = strlen(step->text);
    size_t done = 0;
    pith_status status = PITH_OK;
    if (!pith_split_begin(&walk, splitter, w->n)) {
        return no_memory(w);
    }
    pith_bytes_init(&out, w->tokenizer->allocator);
    pith_split_search search = pith_split_search_begin(&walk, w->text, w->n);
    while (status == PITH_OK) {
        size_t start = SIZE_MAX;
        size_t end = SIZE_MAX;
        status = pith_split_search_next(&search, &start, &end, w->error);
        if (status != PITH_OK || start == SIZE_MAX) {
            break;
        }
        status = append(w, &out, w->text + done, start - done);
        if (status == PITH_OK) {
            status = append(w, &out, step->text, n_content);
        }
        done = end;
    }
    if (status == PITH_OK) {
        status = append(w, &out, w->text + done, w->n - done);
    }
    pith_split_end(&walk);
    return finish(w, &out, status);
}

static pith_status prepend(normalizing *w, const char *text) {
    pith_bytes out;
    pith_bytes_init(&out, w->tokenizer->allocator);
    pith_status status = append(w, &out, text, strlen(text));
    if (status == PITH_OK) {
        status = append(w, &out, w->text, w->n);
    }
    return finish(w, &out, status);
}

static pith_status change_form(normalizing *w, pith_form form) {
    char *made = NULL;
    size_t n = 0;
    pith_status status =
        pith_unicode_form(w->tokenizer->allocator, form, w->text, w->n, &made, &n, w->error);
    if (status != PITH_OK || made == NULL) {
        return status;
    }
    take(w, made, n);
    return n <= w->limit ? PITH_OK : too_long(w);
}

static bool is_space_at(const char *text, size_t at) {
    return pith_unicode_is_space(pith_utf8_decode(text + at));
}

static pith_status strip(normalizing *w, bool left, bool right) {
    size_t start = 0;
    size_t end = w->n;
    while (left && start < end && is_space_at(w->text, start)) {
        start += pith_utf8_length(w->text[start]);
    }
    while (right && end > start && is_space_at(w->text, pith_utf8_before(w->text, end))) {
        end = pith_utf8_before(w->text, end);
    }
    if (w->owned != NULL) {
        memmove(w->owned, w->owned + start, end - start);
    } else {
        w->text += start;
    }
    w->n = end - start;
    return PITH_OK;
}

/* What becomes of one character: code points in out [2], 0 to 2 of them. */
typedef size_t (*character_fn)(uint32_t code, int32_t *out);

static size_t drop_mark(uint32_t code, int32_t *out) {
    utf8proc_category_t category =
        code < 0x80 ? UTF8PROC_CATEGORY_CN : utf8proc_category((utf8proc_int32_t)code);
    out[0] = (int32_t)code;
    return category != UTF8PROC_CATEGORY_MN && category != UTF8PROC_CATEGORY_MC &&
           category != UTF8PROC_CATEGORY_ME;
}

/* The table of sentencepiece's nmt_nfkc (builder.cc), as the Rust library has it. */
static size_t nmt(uint32_t code, int32_t *out) {
    bool space = code == '\t' || code == '\n' || code == '\f' || code == '\r' || code == 0x1680 ||
                 (code >= 0x200B && code <= 0x200F) || code == 0x2028 || code == 0x2029 ||
                 code == 0x2581 || code == 0xFEFF || code == 0xFFFD;
    bool control = (code >= 1 && code < ' ') || code == 0x7F || code == 0x8F || code == 0x9F;
    out[0] = space ? ' ' : (int32_t)code;
    return space || !control;
}

static pith_status map_characters(normalizing *w, character_fn fn) {
    pith_bytes out;
    pith_bytes_init(&out, w->tokenizer->allocator);
    pith_status status = PITH_OK;
    size_t same = 0; /* from here to i the text has not changed and is not written yet */
    size_t length;
    for (size_t i = 0; status == PITH_OK && i < w->n; i += length) {
        int32_t codes[2];
        uint32_t code = pith_utf8_decode(w->text + i);
        size_t n = fn(code, codes);
        length = pith_utf8_length(w->text[i]);
        if (n == 1 && codes[0] == (int32_t)code) {
            continue;
        }
        status = append(w, &out, w->text + same, i - same);
        for (size_t k = 0; status == PITH_OK && k < n; k++) {
            char character[4];
            status = append(w, &out, character, pith_utf8_encode((uint32_t)codes[k], character));
        }
        same = i + length;
    }
    if (status == PITH_OK && same == 0) {
        pith_bytes_release(&out); /* nothing has changed */
        return PITH_OK;
    }
    if (status == PITH_OK) {
        status = append(w, &out, w->text + same, w->n - same);
    }
    return finish(w, &out, status);
}

static pith_status apply_charsmap(normalizing *w) {
    pith_bytes out;
    pith_bytes_init(&out, w->tokenizer->allocator);
    pith_status status =
        pith_charsmap_apply(&w->tokenizer->charsmap, w->text, w->n, w->limit, &out, w->error);
    return finish(w, &out, status);
}

static pith_status run_step(normalizing *w, size_t index, bool no_prefix) {
    const pith_normal_step *step = &w->tokenizer->vocab.normalizer[index];
    switch (step->kind) {
    case PITH_NORMAL_REPLACE:
        return replace(w, step, w->tokenizer->normal_steps[index]);
    case PITH_NORMAL_PREPEND:
        return no_prefix ? PITH_OK : prepend(w, step->text);
    case PITH_NORMAL_NFC:
        return change_form(w, PITH_FORM_C);
    case PITH_NORMAL_NFD:
        return change_form(w, PITH_FORM_D);
    case PITH_NORMAL_NFKC:
        return change_form(w, PITH_FORM_KC);
    case PITH_NORMAL_NFKD:
        return change_form(w, PITH_FORM_KD);
    case PITH_NORMAL_LOWERCASE:
        return map_characters(w, pith_bert_lower);
    case PITH_NORMAL_STRIP:
        return strip(w, step->left, step->right);
    case PITH_NORMAL_STRIP_ACCENTS:
        return map_characters(w, drop_mark);
    case PITH_NORMAL_NMT:
        return map_characters(w, nmt);
    case PITH_NORMAL_CHARSMAP:
        return apply_charsmap(w);
    }
    return PITH_OK;
}

pith_status pith_normalize_steps(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                 bool no_prefix, pith_normalized *out, pith_error *error) {
    normalizing w = {.tokenizer = tokenizer,
                     .text = text,
                     .n = n_bytes,
                     .limit = n_bytes * MAX_GROWTH + SPARE_BYTES,
                     .error = error};
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && w.n > 0 && i < tokenizer->vocab.n_normalizer; i++) {
        status = run_step(&w, i, no_prefix);
    }
    if (status != PITH_OK) {
        pith_release(tokenizer->allocator, w.owned);
        return status;
    }
    *out = (pith_normalized){.text = w.text, .n_bytes = w.n, .owned = w.owned};
    return PITH_OK;
}
