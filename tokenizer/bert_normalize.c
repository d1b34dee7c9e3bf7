/* BERT's normalisation (Devlin et al. 2019, as Hugging Face's BertNormalizer does it): text is
 * cleaned, ideographs get spaces around them, accents are stripped through form D, and letters
 * turned to lower case, each only if the vocabulary asks for it.
 *
 * All of it happens character by character. Of the characters that remain in form D only a few
 * spacing marks have a combining class. They wait in `run` until a starter comes, and are then put
 * in canonical order (UAX #15) by a counting sort, so that a long run takes linear time. */
#include "tokenizer/internal.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <utf8proc.h>

enum {
    ROOM = 64,     /* more bytes than one character can become */
    DROPPED = 128, /* in `ascii` */
};

typedef struct writer {
    const pith_vocab *vocab;
    const pith_allocator *allocator;
    char *text; /* [capacity], size in use */
    size_t size, capacity;
    int32_t *run; /* [run_capacity], n_run in use: characters with a combining class */
    int32_t *spare;
    size_t n_run, run_capacity;
    uint8_t ascii[128]; /* what each ASCII character becomes */
} writer;

static void fill_ascii(writer *w) {
    for (unsigned c = 0; c < 128; c++) {
        unsigned to = c;
        if (w->vocab->clean_text && (c == '\t' || c == '\n' || c == '\r')) {
            to = ' ';
        } else if (w->vocab->clean_text && (c < ' ' || c == 127)) {
            to = DROPPED;
        } else if (w->vocab->lowercase && c >= 'A' && c <= 'Z') {
            to = c + ('a' - 'A');
        }
        w->ascii[c] = (uint8_t)to;
    }
}

static bool reserve(writer *w) {
    if (w->capacity - w->size >= ROOM) {
        return true;
    }
    size_t capacity = 2 * w->capacity;
    char *text = pith_reallocate(w->allocator, w->text, capacity, 1);
    if (text == NULL) {
        return false;
    }
    w->text = text;
    w->capacity = capacity;
    return true;
}

/* Writes one character, in lower case where that is asked for. */
static bool put(writer *w, int32_t code) {
    int32_t codes[2] = {code, 0};
    size_t n = w->vocab->lowercase ? pith_bert_lower((uint32_t)code, codes) : 1;
    if (!reserve(w)) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        utf8proc_uint8_t *at = (utf8proc_uint8_t *)w->text + w->size;
        w->size += (size_t)utf8proc_encode_char(codes[i], at);
    }
    return true;
}

/* Puts the run in the order of its combining classes; equal ones stay. */
static void sort_run(writer *w) {
    size_t start[257] = {0};
    for (size_t i = 0; i < w->n_run; i++) {
        start[pith_bert_combining_class((uint32_t)w->run[i]) + 1]++;
    }
    for (size_t class = 1; class < 257; class ++) {
        start[class] += start[class - 1];
    }
    for (size_t i = 0; i < w->n_run; i++) {
        w->spare[start[pith_bert_combining_class((uint32_t)w->run[i])]++] = w->run[i];
    }
    memcpy(w->run, w->spare, w->n_run * sizeof *w->run);
}

static bool flush(writer *w) {
    if (w->n_run > 1) {
        sort_run(w);
    }
    bool done = true;
    for (size_t i = 0; i < w->n_run && done; i++) {
        done = put(w, w->run[i]);
    }
    w->n_run = 0;
    return done;
}

static bool keep_for_later(writer *w, int32_t code) {
    if (w->n_run == w->run_capacity) {
        size_t capacity = w->run_capacity == 0 ? 16 : 2 * w->run_capacity;
        int32_t *run = pith_reallocate(w->allocator, w->run, capacity, sizeof *run);
        w->run = run != NULL ? run : w->run;
        int32_t *spare = pith_reallocate(w->allocator, w->spare, capacity, sizeof *spare);
        w->spare = spare != NULL ? spare : w->spare;
        if (run == NULL || spare == NULL) {
            return false;
        }
        w->run_capacity = capacity;
    }
    w->run[w->n_run++] = code;
    return true;
}

/* A character of form D: nonspacing marks are dropped, the others put in order. */
static bool put_decomposed(writer *w, int32_t code) {
    bool mark = pith_bert_class_of((uint32_t)code) == PITH_BERT_MARK;
    if (pith_bert_combining_class((uint32_t)code) != 0) {
        return mark || keep_for_later(w, code);
    }
    return flush(w) && (mark || put(w, code));
}

static bool put_character(writer *w, uint32_t code) {
    int32_t codes[PITH_MAX_DECOMPOSED];
    if (!w->vocab->strip_accents) {
        return put(w, (int32_t)code);
    }
    size_t n = pith_bert_decompose(code, codes);
    bool done = true;
    for (size_t i = 0; i < n && done; i++) {
        done = put_decomposed(w, codes[i]);
    }
    return done;
}

static bool put_space(writer *w) {
    return flush(w) && put(w, ' ');
}

/* A character beyond ASCII. */
static bool write_character(writer *w, uint32_t code) {
    if (w->vocab->clean_text) {
        if (code == 0xFFFD || pith_bert_class_of(code) == PITH_BERT_CONTROL) {
            return true;
        }
        if (pith_unicode_is_space(code)) {
            return put_space(w);
        }
    }
    if (w->vocab->split_cjk && pith_bert_is_ideograph(code)) {
        return put_space(w) && put_character(w, code) && put_space(w);
    }
    return put_character(w, code);
}

/* As much ASCII as there is at text[from], and as fits; returns where it ends. */
static size_t write_ascii(writer *w, const char *text, size_t from, size_t n) {
    size_t end = from + pith_min_size(n - from, w->capacity - w->size);
    size_t size = w->size;
    size_t i = from;
    for (; i < end && (unsigned char)text[i] < 0x80; i++) {
        uint8_t to = w->ascii[(unsigned char)text[i]];
        w->text[size] = (char)to;
        size += to != DROPPED;
    }
    w->size = size;
    return i;
}

static bool write_all(writer *w, const char *text, size_t n) {
    for (size_t i = 0; i < n;) {
        if (!reserve(w)) {
            return false;
        }
        if ((unsigned char)text[i] >= 0x80) {
            if (!write_character(w, pith_utf8_decode(text + i))) {
                return false;
            }
            i += pith_utf8_length(text[i]);
        } else if (w->n_run > 0 && w->ascii[(unsigned char)text[i]] != DROPPED) {
            if (!flush(w)) {
                return false;
            }
        } else if (w->n_run > 0) {
            i++;
        } else {
            i = write_ascii(w, text, i, n);
        }
    }
    return flush(w);
}

pith_status pith_bert_normalize(const pith_tokenizer *tokenizer, const char *text, size_t n_bytes,
                                pith_normalized *out, pith_error *error) {
    writer w = {
        .vocab = &tokenizer->vocab,
        .allocator = tokenizer->allocator,
        .capacity = n_bytes + 2 * ROOM,
    };
    w.text = pith_allocate(w.allocator, w.capacity, 1);
    fill_ascii(&w);
    bool done = w.text != NULL && write_all(&w, text, n_bytes);
    pith_release(w.allocator, w.run);
    pith_release(w.allocator, w.spare);
    if (!done) {
        pith_release(w.allocator, w.text);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for %zu bytes of text", n_bytes);
    }
    *out = (pith_normalized){.text = w.text, .n_bytes = w.size, .owned = w.text};
    return PITH_OK;
}
