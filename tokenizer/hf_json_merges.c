/* What a tokenizer.json of BPE has beyond pieces: the merges, and the byte alphabet. Byte-level
 * vocabularies are spelled in GPT-2's, where every byte is a printable character; here they become
 * the bytes they mean. */
#include "tokenizer/hf_json.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/utf8.h"
#include "tokenizer/internal.h"

#include <string.h>

static pith_status no_memory(const pith_hf *hf) {
    return pith_fail(hf->error, PITH_ERROR_MEMORY, "%s: no memory for the merges", hf->name);
}

/* The two halves of a merge: "a b", or ["a", "b"]. */
typedef struct halves {
    const char *text[2];
    size_t n[2];
} halves;

static bool read_halves(pith_json merge, halves *out) {
    if (pith_json_is(merge, PITH_JSON_ARRAY)) {
        size_t k = 0;
        pith_json_walk walk = pith_json_begin(merge);
        for (; pith_json_next(&walk); k++) {
            if (k == 2 || !pith_json_is(walk.value, PITH_JSON_STRING)) {
                return false;
            }
            out->text[k] = pith_json_text(walk.value);
            out->n[k] = pith_json_text_size(walk.value);
        }
        return k == 2;
    }
    const char *text = pith_json_text(merge);
    size_t n = pith_json_text_size(merge);
    const char *space = text != NULL ? memchr(text, ' ', n) : NULL;
    if (space == NULL) {
        return false;
    }
    size_t left = (size_t)(space - text);
    if (memchr(space + 1, ' ', n - left - 1) != NULL) {
        return false;
    }
    *out = (halves){.text = {text, space + 1}, .n = {left, n - left - 1}};
    return true;
}

/* A line that the merges.txt of old models begins with. */
static bool is_comment(pith_json merge) {
    const char *text = pith_json_text(merge);
    return text != NULL && strncmp(text, "#version", 8) == 0;
}

/* Counts the merges and checks their form, so that none costs more memory than it has bytes. */
static pith_status count_merges(pith_hf *hf) {
    halves h;
    pith_json_walk walk = pith_json_begin(hf->model.merges);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        if (is_comment(walk.value)) {
            continue;
        }
        if (!read_halves(walk.value, &h)) {
            return pith_fail(hf->error, PITH_ERROR_FORMAT,
                             "%s: merges[%zu] is neither \"a b\" nor [\"a\", \"b\"]", hf->name, i);
        }
        hf->n_merges++;
    }
    if (!pith_json_is(hf->model.merges, PITH_JSON_ARRAY) || hf->n_merges > PITH_VOCAB_MAX_MERGES) {
        return pith_fail(hf->error, PITH_ERROR_FORMAT,
                         "%s: \"merges\" is not a list of at most %d merges", hf->name,
                         PITH_VOCAB_MAX_MERGES);
    }
    return PITH_OK;
}

static pith_status read_merge(const pith_hf *hf, const pith_piece_table *table, size_t index,
                              pith_json merge, pith_bytes *joined, uint32_t *out /* [3] */) {
    halves h = {{NULL}, {0}};
    read_halves(merge, &h); /* count_merges has seen it */
    joined->size = 0;
    if (!pith_bytes_append(joined, h.text[0], h.n[0]) ||
        !pith_bytes_append(joined, h.text[1], h.n[1])) {
        return no_memory(hf);
    }
    const char *texts[3] = {h.text[0], h.text[1], joined->data};
    const size_t sizes[3] = {h.n[0], h.n[1], joined->size};
    for (size_t k = 0; k < 3; k++) {
        int32_t id = pith_piece_table_find(table, texts[k], sizes[k]);
        if (id < 0) {
            return pith_fail(hf->error, PITH_ERROR_FORMAT,
                             "%s: merges[%zu]: \"%.*s\" is not in the vocabulary", hf->name, index,
                             (int)pith_min_size(sizes[k], 60), texts[k]);
        }
        out[k] = (uint32_t)id;
    }
    return PITH_OK;
}

pith_status pith_hf_read_merges(pith_hf *hf, const pith_piece_table *table) {
    pith_status status = count_merges(hf);
    if (status != PITH_OK) {
        return status;
    }
    hf->merges = pith_allocate(hf->allocator, hf->n_merges, 3 * sizeof *hf->merges);
    if (hf->merges == NULL) {
        return no_memory(hf);
    }
    pith_bytes joined;
    pith_bytes_init(&joined, hf->allocator);
    pith_json_walk walk = pith_json_begin(hf->model.merges);
    uint32_t *out = hf->merges;
    for (size_t i = 0; status == PITH_OK && pith_json_next(&walk); i++) {
        if (!is_comment(walk.value)) {
            status = read_merge(hf, table, i, walk.value, &joined, out);
            out += 3;
        }
    }
    pith_bytes_release(&joined);
    return status;
}

/* ---- The byte alphabet ----------------------------------------------------------------------- */

static bool is_in_alphabet(const char *text, size_t n) {
    for (size_t i = 0; i < n; i += pith_utf8_length(text[i])) {
        if (pith_alphabet_byte(pith_utf8_decode(text + i)) < 0) {
            return false;
        }
    }
    return true;
}

/* Undoes the alphabet in all spellings, which move together. literal[id] is for pieces with
 * characters outside it, which stand for their own spelling so that no text can be merged to
 * them. */
static void decode_spellings(pith_hf *hf, bool *literal) {
    size_t size = 0;
    for (size_t id = 0; id < hf->n_pieces; id++) {
        const char *text = hf->bytes + hf->offsets[id];
        size_t n = hf->offsets[id + 1] - hf->offsets[id];
        char *out = hf->bytes + size;
        literal[id] = hf->types[id] != PITH_PIECE_NORMAL || !is_in_alphabet(text, n);
        hf->offsets[id] = (uint32_t)size;
        if (!literal[id]) {
            n = pith_alphabet_decode(text, n, out);
        } else if (n > 0) {
            memmove(out, text, n);
        }
        size += n;
    }
    hf->offsets[hf->n_pieces] = (uint32_t)size;
}

/* Merges of tokens that no text can lead to. */
static void drop_literal_merges(pith_hf *hf, const bool *literal) {
    size_t n = 0;
    for (size_t i = 0; i < hf->n_merges; i++) {
        const uint32_t *ids = hf->merges + 3 * i;
        if (!literal[ids[0]] && !literal[ids[1]] && !literal[ids[2]]) {
            memmove(hf->merges + 3 * n, ids, 3 * sizeof *ids);
            n++;
        }
    }
    hf->n_merges = n;
}

pith_status pith_hf_undo_alphabet(pith_hf *hf) {
    bool *literal = pith_allocate(hf->allocator, hf->n_pieces, sizeof *literal);
    if (literal == NULL) {
        return no_memory(hf);
    }
    decode_spellings(hf, literal);
    drop_literal_merges(hf, literal);
    pith_release(hf->allocator, literal);
    return PITH_OK;
}
