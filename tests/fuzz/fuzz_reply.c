/* Replies split into their parts. The first byte chooses the form, whether the answer begins within
 * its reasoning, and whether calls come in pieces; the text follows. Cut anywhere, it has the same
 * parts as in one piece; calls are JSON objects, unless they come in pieces; and without calls and
 * reasoning the text comes out as it went in. Of some inputs an allocation fails besides. The text
 * is judged as the name of a tool, too. */
#include "server/reply_parts.h"

#include "base/bytes.h"
#include "base/json.h"
#include "base/memory.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

/* The parts as bytes: a mark of the kind in front of each, but where one goes on. */
typedef struct parts {
    pith_bytes bytes;
    size_t n_text; /* bytes of text alone */
    bool only_text;
    int last;
} parts;

static void check_call(const pith_reply_part *part) {
    pith_json root;
    char *copy = NULL;
    fuzz_require(part->name.n_bytes > 0);
    fuzz_require(pith_json_read_copy(&root, &copy, part->text.data, part->text.n_bytes,
                                     PITH_JSON_STRICT, "call", &pith_malloc_allocator,
                                     NULL) == PITH_OK &&
                 pith_json_is(root, PITH_JSON_OBJECT));
    pith_release(&pith_malloc_allocator, copy);
}

static void take(pith_reply *reply, bool pieces, parts *out) {
    pith_reply_part part;
    while (pith_reply_next(reply, &part)) {
        bool call = part.kind == PITH_REPLY_CALL;
        bool more = part.kind == PITH_REPLY_ARGUMENTS; /* of the call that was the last part */
        fuzz_require(call || part.text.n_bytes > 0);
        fuzz_require(!more || (pieces && out->last == PITH_REPLY_ARGUMENTS));
        if (call) {
            if (!pieces || part.text.n_bytes > 0) {
                check_call(&part);
            }
            fuzz_require(part.name.n_bytes > 0);
            pith_bytes_append(&out->bytes, part.name.data, part.name.n_bytes);
        }
        if (call || (int)part.kind != out->last) {
            pith_bytes_append(&out->bytes, &"\xFD\xFE\xFF\xFC"[part.kind], 1);
        }
        pith_bytes_append(&out->bytes, part.text.data, part.text.n_bytes);
        out->last = call && part.text.n_bytes == 0 ? PITH_REPLY_ARGUMENTS
                    : call                         ? -1
                                                   : (int)part.kind;
        out->n_text += part.kind == PITH_REPLY_TEXT ? part.text.n_bytes : 0;
        out->only_text = out->only_text && part.kind == PITH_REPLY_TEXT;
    }
}

static void take_apart(const pith_reply_settings *settings, const uint8_t *text, size_t n,
                       uint64_t seed, parts *out) {
    pith_reply *reply;
    *out = (parts){.only_text = true, .last = -1};
    pith_bytes_init(&out->bytes, NULL);
    fuzz_require(pith_reply_new(&reply, settings, NULL));
    for (size_t at = 0; at < n;) {
        size_t size = seed == 0 ? n : 1 + test_random(&seed) % 7;
        size = size < n - at ? size : n - at;
        char *piece = fuzz_copy(text + at, size);
        fuzz_require(pith_reply_push(reply, (pith_text){piece, size}));
        free(piece);
        take(reply, settings->pieces, out);
        at += size;
    }
    pith_reply_finish(reply);
    take(reply, settings->pieces, out);
    fuzz_require(!pith_reply_failed(reply));
    pith_reply_free(reply);
}

/* With an allocator that fails the answer is cut, and says so. */
static void with_little_memory(const pith_reply_settings *settings, const uint8_t *data,
                               size_t size) {
    test_allocator memory;
    pith_reply *reply;
    fuzz_allocator_init(&memory, data, size);
    if (pith_reply_new(&reply, settings, &memory.allocator)) {
        pith_reply_part part;
        bool good = true;
        for (size_t at = 1; good && at < size; at += 5) {
            size_t n = size - at < 5 ? size - at : 5;
            good = pith_reply_push(reply, (pith_text){(const char *)data + at, n});
            while (pith_reply_next(reply, &part)) {
            }
        }
        pith_reply_finish(reply);
        while (pith_reply_next(reply, &part)) {
        }
        fuzz_require(!pith_reply_failed(reply) || fuzz_allocation_failed(&memory));
        fuzz_require(good || pith_reply_failed(reply));
        pith_reply_free(reply);
    } else {
        fuzz_require(fuzz_allocation_failed(&memory));
    }
    fuzz_require(memory.n_live == 0);
}

/* Names stand bare in front of a call's arguments. */
static void check_name(const uint8_t *text, size_t n) {
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.";
    bool good = n > 0 && n <= 256;
    for (size_t i = 0; good && i < n; i++) {
        good = memchr(letters, text[i], sizeof letters - 1) != NULL;
    }
    fuzz_require(pith_reply_is_name((pith_text){(const char *)text, n}) == good);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char *const tools[] = {"f", "get_weather"};
    if (size == 0) {
        return 0;
    }
    const pith_reply_settings settings = {.form = (pith_call_form)(data[0] % 4),
                                          .tools = tools,
                                          .n_tools = 2,
                                          .reasons = data[0] / 4 % 2 != 0,
                                          .pieces = data[0] / 8 % 2 != 0,
                                          .certain = data[0] / 16 % 2 != 0,
                                          .channels = data[0] / 32 % 2 != 0};
    parts whole;
    parts cut;
    take_apart(&settings, data + 1, size - 1, 0, &whole);
    take_apart(&settings, data + 1, size - 1, fuzz_hash(data, size) | 1, &cut);
    fuzz_require(
        whole.bytes.size == cut.bytes.size &&
        (whole.bytes.size == 0 || memcmp(whole.bytes.data, cut.bytes.data, whole.bytes.size) == 0));
    with_little_memory(&settings, data, size);
    check_name(data + 1, size - 1);
    if (whole.only_text && !settings.reasons && !settings.channels &&
        memmem(data, size, "<think>", 7) == NULL) {
        fuzz_require(whole.n_text == size - 1);
    }
    pith_bytes_release(&whole.bytes);
    pith_bytes_release(&cut.bytes);
    return 0;
}
