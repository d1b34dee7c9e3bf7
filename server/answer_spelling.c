/* The bytes of single tokens; see pith_speller. */
#include "server/answer_parts.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/utf8.h"

#include <stdlib.h>
#include <string.h>

static const char replacement[] = "\xEF\xBF\xBD"; /* U+FFFD, which broken bytes decode to */

/* Decodes tokens [n] into speller->bytes. */
static pith_status decode(pith_speller *speller, const int32_t *tokens, size_t n,
                          pith_error *error) {
    char text[256]; /* enough for all but strange vocabularies */
    size_t n_bytes = 0;
    speller->bytes.size = 0;
    pith_status status =
        pith_detokenize(speller->model, tokens, n, text, sizeof text, &n_bytes, error);
    if (status == PITH_OK) {
        return pith_bytes_append(&speller->bytes, text, n_bytes)
                   ? PITH_OK
                   : pith_fail(error, PITH_ERROR_MEMORY, "no memory for the text of a token");
    }
    if (status != PITH_ERROR_CAPACITY) {
        return status;
    }
    const pith_allocator *allocator = speller->bytes.allocator;
    char *long_text = pith_allocate(allocator, n_bytes, 1);
    if (long_text == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the text of a token");
    }
    status = pith_detokenize(speller->model, tokens, n, long_text, n_bytes, &n_bytes, error);
    if (status == PITH_OK && !pith_bytes_append(&speller->bytes, long_text, n_bytes)) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for the text of a token");
    }
    pith_release(allocator, long_text);
    return status;
}

pith_status pith_speller_open(pith_speller *speller, const pith_model *model,
                              const pith_allocator *allocator, pith_error *error) {
    int32_t tokens[4];
    size_t n = 0;
    *speller = (pith_speller){.model = model};
    pith_bytes_init(&speller->bytes, allocator);
    pith_status status = pith_tokenize(model, pith_text_of("a"), 0, tokens, 4, &n, error);
    if (status != PITH_OK) {
        return status;
    }
    if (n == 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED, "the tokenizer has no token for \"a\"");
    }
    speller->anchor = tokens[n - 1];
    status = decode(speller, &speller->anchor, 1, error);
    speller->n_anchor = speller->bytes.size;
    if (status != PITH_OK) {
        pith_speller_close(speller);
    }
    return status;
}

void pith_speller_close(pith_speller *speller) {
    pith_bytes_release(&speller->bytes);
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* "<0xE2>": the byte, or -1. */
static int byte_of(pith_text spelling) {
    const char *s = spelling.data;
    if (spelling.n_bytes != 6 || memcmp(s, "<0x", 3) != 0 || s[5] != '>' || hex_digit(s[3]) < 0 ||
        hex_digit(s[4]) < 0) {
        return -1;
    }
    return hex_digit(s[3]) * 16 + hex_digit(s[4]);
}

pith_status pith_speller_spell(pith_speller *speller, int32_t token, pith_text *out, bool *special,
                               pith_error *error) {
    const int32_t pair[] = {speller->anchor, token};
    pith_text spelling;
    pith_status status = pith_token_text(speller->model, token, &spelling, error);
    if (status == PITH_OK) {
        status = decode(speller, pair, 2, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    size_t skip = pith_min_size(speller->n_anchor, speller->bytes.size);
    pith_text decoded = {speller->bytes.data + skip, speller->bytes.size - skip};
    bool broken = decoded.n_bytes == sizeof replacement - 1 &&
                  memcmp(decoded.data, replacement, decoded.n_bytes) == 0;
    *special = false;
    if (pith_utf8_check(spelling.data, spelling.n_bytes) != spelling.n_bytes) {
        *out = spelling; /* byte-level BPE, a part of a character: the spelling is its bytes */
    } else if (broken && byte_of(spelling) >= 0x80) {
        speller->bytes.data[0] = (char)byte_of(spelling);
        *out = (pith_text){speller->bytes.data, 1};
    } else if (decoded.n_bytes > 0) {
        *out = decoded;
    } else {
        *special = true;
        *out = spelling;
    }
    return PITH_OK;
}
