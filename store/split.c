/* Cutting a text into overlapping chunks. Words are what white space separates; one of more than
 * MAX_WORD bytes (longer than any word a vocabulary holds) counts as several. */
#include "store/split.h"

#include "base/memory.h"
#include "base/status.h"

enum { MAX_WORD = 512 };

typedef struct word {
    size_t begin, end, n_tokens;
} word;

typedef struct splitter {
    const char *text;
    size_t limit;
    pith_count_fn count;
    void *user;
    const pith_allocator *allocator;
    word *words; /* [capacity] */
    size_t n_words, capacity;
} splitter;

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* The last place in (begin, end] where a character begins, or `end` when there is none. */
static size_t character_before(const char *text, size_t begin, size_t end) {
    size_t at = end;
    while (at > begin && ((unsigned char)text[at] & 0xc0) == 0x80) {
        at--;
    }
    return at > begin ? at : end;
}

static pith_status out_of_memory(pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for the chunks of a document");
}

static pith_status append_word(splitter *s, word w, pith_error *error) {
    if (s->n_words == s->capacity) {
        size_t capacity = 2 * s->capacity + 256;
        word *more = pith_reallocate(s->allocator, s->words, capacity, sizeof *more);
        if (more == NULL) {
            return out_of_memory(error);
        }
        s->words = more;
        s->capacity = capacity;
    }
    s->words[s->n_words++] = w;
    return PITH_OK;
}

/* Appends [begin, end), halved until every part fits. At most log2(MAX_WORD) deep. */
static pith_status add_word(splitter *s, size_t begin, size_t end, pith_error *error) {
    word w = {begin, end, 0};
    pith_status status = s->count(s->user, s->text + begin, end - begin, &w.n_tokens, error);
    if (status != PITH_OK) {
        return status;
    }
    size_t middle =
        w.n_tokens > s->limit ? character_before(s->text, begin, begin + (end - begin) / 2) : end;
    while (middle < end && ((unsigned char)s->text[middle] & 0xc0) == 0x80) {
        middle++; /* the half lay within the first character */
    }
    if (middle == end || middle == begin) {
        return append_word(s, w, error);
    }
    status = add_word(s, begin, middle, error);
    return status != PITH_OK ? status : add_word(s, middle, end, error);
}

static pith_status find_words(splitter *s, size_t n_bytes, pith_error *error) {
    pith_status status = PITH_OK;
    size_t at = 0;
    while (status == PITH_OK) {
        while (at < n_bytes && is_space(s->text[at])) {
            at++;
        }
        if (at == n_bytes) {
            break;
        }
        size_t end = at;
        while (end < n_bytes && end - at < MAX_WORD && !is_space(s->text[end])) {
            end++;
        }
        if (end < n_bytes && !is_space(s->text[end])) {
            end = character_before(s->text, at, end);
        }
        status = add_word(s, at, end, error);
        at = end;
    }
    return status;
}

/* One past the last word of a chunk that begins with word `first`. */
static size_t chunk_end(const splitter *s, size_t first) {
    size_t tokens = s->words[first].n_tokens;
    size_t end = first + 1;
    while (end < s->n_words && tokens + s->words[end].n_tokens <= s->limit) {
        tokens += s->words[end++].n_tokens;
    }
    return end;
}

/* Where the next chunk begins: `overlap` tokens before `end`, but not so early that the word at
 * `end` would not fit. */
static size_t next_begin(const splitter *s, size_t first, size_t end, size_t overlap) {
    size_t tokens = 0;
    size_t next = end;
    while (next > first + 1 && tokens + s->words[next - 1].n_tokens <= overlap &&
           tokens + s->words[next - 1].n_tokens + s->words[end].n_tokens <= s->limit) {
        tokens += s->words[--next].n_tokens;
    }
    return next;
}

pith_status pith_store_split(const char *text, size_t n_bytes, size_t limit, size_t overlap,
                             pith_count_fn count, void *user, const pith_allocator *allocator,
                             pith_store_chunk **chunks, size_t *n_chunks, pith_error *error) {
    splitter s = {.text = text,
                  .limit = limit,
                  .count = count,
                  .user = user,
                  .allocator = pith_allocator_or_default(allocator)};
    pith_store_chunk *out = NULL;
    size_t n = 0;
    pith_status status = find_words(&s, n_bytes, error);
    if (status != PITH_OK) {
        goto done;
    }
    out = pith_allocate(s.allocator, s.n_words, sizeof *out); /* a chunk begins at a word */
    if (out == NULL) {
        status = out_of_memory(error);
        goto done;
    }
    for (size_t first = 0; first < s.n_words;) {
        size_t end = chunk_end(&s, first);
        out[n++] = (pith_store_chunk){s.words[first].begin, s.words[end - 1].end};
        first = end == s.n_words ? end : next_begin(&s, first, end, overlap);
    }
    *chunks = out;
    *n_chunks = n;
done:
    pith_release(s.allocator, s.words);
    return status;
}
