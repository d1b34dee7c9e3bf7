/* Arbitrary bytes as a map of characters (precompiled_charsmap) and a text, both ways of using it:
 * the one of sentencepiece, and that of Hugging Face's tokenizers. Byte 0 is the length of the
 * text, which must be UTF-8; the map follows it. */
#include "base/utf8.h"
#include "tests/fuzz/input.h"
#include "tokenizer/internal.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    enum { LIMIT = 4096 };
    fuzz_input in = {data, size};
    size_t n_text = fuzz_byte(&in);
    n_text = n_text < in.left ? n_text : in.left;
    const char *text = (const char *)in.at;
    const uint8_t *map_bytes = in.at + n_text;
    size_t n_map = in.left - n_text;
    pith_charsmap map = {.n_units = 0};
    if (pith_utf8_check(text, n_text) != n_text || !pith_charsmap_open(&map, map_bytes, n_map)) {
        return 0;
    }
    test_allocator memory;
    fuzz_allocator_init(&memory, data, size);
    pith_bytes out;
    pith_bytes_init(&out, &memory.allocator);
    pith_error error;
    pith_status status = pith_charsmap_apply(&map, text, n_text, LIMIT, &out, &error);
    fuzz_require(status == PITH_OK || status == PITH_ERROR_TEXT || fuzz_allocation_failed(&memory));
    fuzz_require(out.size <= LIMIT && pith_utf8_check(out.data, out.size) == out.size);
    pith_bytes_release(&out);
    for (size_t at = 0; at < n_text;) {
        size_t used = 0;
        const char *becomes = pith_charsmap_longest(&map, text + at, n_text - at, &used);
        fuzz_require(becomes == NULL ||
                     (used > 0 && used <= n_text - at &&
                      pith_utf8_check(becomes, strlen(becomes)) == strlen(becomes)));
        at += becomes != NULL ? used : pith_utf8_length(text[at]);
        fuzz_require(at == n_text || ((unsigned char)text[at] & 0xC0) != 0x80);
    }
    fuzz_require(memory.n_live == 0);
    return 0;
}
