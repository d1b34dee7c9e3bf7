/* SentencePiece's map of characters (precompiled_charsmap): a double-array trie of what is replaced
 * (Aoe 1989, as darts-clone lays it out) and the replacements, each ended by a NUL:
 *
 *     uint32 n; uint32 units[n / 4]; char replacements[]
 *
 * A unit has the label of the edge that leads to it (bits 0-7), an offset to its children (bits
 * 10-30, times 256 with bit 9) and whether a key ends with it (bit 8); the child by byte b of unit
 * i is at i ^ offset ^ b, and the value of a key that ends, with bit 31 set, at i ^ offset.
 *
 * There are two ways to use it. sentencepiece replaces the longest key that the rest of the text
 * begins with (normalizer.cc, NormalizePrefix). Hugging Face's Precompiled looks at one grapheme
 * after the other (precompiled.rs): one of at most five bytes becomes what the shortest key that it
 * begins with becomes, whole; any other is taken character by character. */
#include "tokenizer/internal.h"

#include "base/bytes.h"
#include "base/status.h"
#include "base/utf8.h"

#include <utf8proc.h>

enum {
    UNIT_BYTES = 4,
    LABEL_MASK = 0xFF,
    HAS_LEAF = 1 << 8,
    WIDE_OFFSET = 1 << 9,
    GRAPHEME_BYTES = 5, /* Hugging Face looks up graphemes of fewer than six */
};

#define IS_VALUE (UINT32_C(1) << 31)

static uint32_t read_word(const uint8_t *bytes) {
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

bool pith_charsmap_open(pith_charsmap *out, const uint8_t *bytes, size_t n) {
    if (n < UNIT_BYTES) {
        return false;
    }
    uint32_t n_trie = read_word(bytes);
    if (n_trie == 0 || n_trie % UNIT_BYTES != 0 || n_trie > n - UNIT_BYTES) {
        return false;
    }
    const char *texts = (const char *)bytes + UNIT_BYTES + n_trie;
    size_t n_texts = n - UNIT_BYTES - n_trie;
    if (n_texts == 0 || texts[n_texts - 1] != '\0' || pith_utf8_check(texts, n_texts) != n_texts) {
        return false;
    }
    *out = (pith_charsmap){.units = bytes + UNIT_BYTES,
                           .n_units = n_trie / UNIT_BYTES,
                           .texts = texts,
                           .n_texts = n_texts};
    return true;
}

static uint32_t unit_at(const pith_charsmap *map, uint32_t index) {
    return index < map->n_units ? read_word(map->units + (size_t)index * UNIT_BYTES) : 0;
}

static uint32_t offset_of(uint32_t unit) {
    return (unit >> 10 & 0x1FFFFF) << ((unit & WIDE_OFFSET) != 0 ? 8 : 0);
}

/* The replacement that is a unit's value; NULL when there is none, or when it does not begin with a
 * whole character. */
static const char *text_of(const pith_charsmap *map, uint32_t unit) {
    size_t at = unit & ~IS_VALUE;
    bool good = (unit & IS_VALUE) != 0 && at < map->n_texts &&
                ((unsigned char)map->texts[at] & 0xC0) != 0x80;
    return good ? map->texts + at : NULL;
}

/* The longest or shortest key that text [n] begins with, its length in *used; NULL: none. Only
 * whole characters count. */
static const char *find(const pith_charsmap *map, const char *text, size_t n, bool longest,
                        size_t *used) {
    const char *best = NULL;
    uint32_t at = offset_of(unit_at(map, 0));
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = (uint8_t)text[i];
        at ^= byte;
        uint32_t unit = unit_at(map, at);
        if ((unit & (IS_VALUE | LABEL_MASK)) != byte) {
            break;
        }
        at ^= offset_of(unit);
        bool whole = i + 1 == n || ((unsigned char)text[i + 1] & 0xC0) != 0x80;
        const char *found = (unit & HAS_LEAF) != 0 && whole ? text_of(map, unit_at(map, at)) : NULL;
        if (found != NULL) {
            best = found;
            *used = i + 1;
            if (!longest) {
                break;
            }
        }
    }
    return best;
}

const char *pith_charsmap_longest(const pith_charsmap *map, const char *text, size_t n,
                                  size_t *used) {
    return map->n_units > 0 ? find(map, text, n, true, used) : NULL;
}

/* End of the grapheme that begins at `from`. */
static size_t grapheme_end(const char *text, size_t n, size_t from) {
    utf8proc_int32_t state = 0;
    utf8proc_int32_t before = (utf8proc_int32_t)pith_utf8_decode(text + from);
    size_t at = from + pith_utf8_length(text[from]);
    while (at < n) {
        utf8proc_int32_t next = (utf8proc_int32_t)pith_utf8_decode(text + at);
        if (utf8proc_grapheme_break_stateful(before, next, &state)) {
            break;
        }
        before = next;
        at += pith_utf8_length(text[at]);
    }
    return at;
}

typedef struct writer {
    const pith_charsmap *map;
    pith_bytes *out;
    size_t limit;
    pith_error *error;
} writer;

static pith_status put(const writer *w, const char *text, size_t n) {
    if (n > w->limit - w->out->size) {
        return pith_fail(w->error, PITH_ERROR_TEXT,
                         "the map of characters makes more than %zu bytes of a text", w->limit);
    }
    return pith_bytes_append(w->out, text, n)
               ? PITH_OK
               : pith_fail(w->error, PITH_ERROR_MEMORY, "no memory to normalise a text");
}

/* Writes what text [n], a grapheme or one character of it, becomes; *found is false, and nothing is
 * written, when it begins with no key. */
static pith_status put_found(const writer *w, const char *text, size_t n, bool *found) {
    size_t used;
    const char *becomes = find(w->map, text, n, false, &used);
    *found = becomes != NULL;
    return becomes != NULL ? put(w, becomes, strlen(becomes)) : PITH_OK;
}

static pith_status put_grapheme(const writer *w, const char *text, size_t n) {
    bool found = false;
    pith_status status = PITH_OK;
    if (n <= GRAPHEME_BYTES) {
        status = put_found(w, text, n, &found);
    }
    size_t length;
    for (size_t i = 0; status == PITH_OK && !found && i < n; i += length) {
        bool mapped;
        length = pith_utf8_length(text[i]);
        status = put_found(w, text + i, length, &mapped);
        if (status == PITH_OK && !mapped) {
            status = put(w, text + i, length);
        }
    }
    return status;
}

pith_status pith_charsmap_apply(const pith_charsmap *map, const char *text, size_t n, size_t limit,
                                pith_bytes *out, pith_error *error) {
    const writer w = {.map = map, .out = out, .limit = limit, .error = error};
    pith_status status = PITH_OK;
    for (size_t from = 0; status == PITH_OK && from < n;) {
        size_t end = grapheme_end(text, n, from);
        status = put_grapheme(&w, text + from, end - from);
        from = end;
    }
    return status;
}
