/* JSON Lines of pith embed, index, tokenize and detokenize: every line of the input, as each of the
 * four. What is read must be text and numbers as the commands rely on them. */
#include "base/utf8.h"
#include "cli/json_lines.h"
#include "tests/fuzz/input.h"

#include <stdlib.h>
#include <string.h>

/* A line of the input, of which every reader gets a copy: it changes it. */
typedef struct source {
    const uint8_t *data;
    size_t n;
    test_allocator memory;
} source;

static char *copy_line(source *s) {
    fuzz_allocator_arm(&s->memory, s->data, s->n);
    return fuzz_copy(s->data, s->n);
}

/* True when the line was read; a message says why it was not. */
static bool was_read(const source *s, pith_status status, const pith_error *error) {
    fuzz_require(status == PITH_OK ||
                 (error->status == status && error->message[0] != '\0' &&
                  (status != PITH_ERROR_MEMORY || fuzz_allocation_failed(&s->memory))));
    return status == PITH_OK;
}

static void check_text(const char *text, size_t n) {
    fuzz_require(text != NULL && text[n] == '\0' && pith_utf8_check(text, n) == n);
}

static void read_texts(source *s) {
    pith_error error;
    const char *text;
    size_t n_text;
    pith_embed_input input;
    const pith_allocator *allocator = &s->memory.allocator;
    char *line = copy_line(s);
    bool alone = was_read(s, pith_line_text(line, s->n, allocator, &text, &n_text, &error), &error);
    if (alone) {
        check_text(text, n_text);
    }
    free(line);
    line = copy_line(s);
    if (was_read(s, pith_line_texts(line, s->n, allocator, &input, &error), &error)) {
        fuzz_require(alone && input.text.n_bytes == n_text);
        check_text(input.text.data, input.text.n_bytes);
        if (input.pair.data != NULL) {
            check_text(input.pair.data, input.pair.n_bytes);
        }
    }
    free(line);
}

static void read_ids(source *s) {
    pith_error error;
    int32_t *ids;
    size_t n_ids;
    char *line = copy_line(s);
    const pith_allocator *allocator = &s->memory.allocator;
    if (was_read(s, pith_line_ids(line, s->n, allocator, &ids, &n_ids, &error), &error)) {
        volatile int32_t sink = 0;
        for (size_t i = 0; i < n_ids; i++) {
            sink = ids[i];
        }
        (void)sink;
        pith_release(allocator, ids);
    }
    free(line);
}

static void read_document(source *s) {
    pith_error error;
    pith_line_document read;
    char *line = copy_line(s);
    const pith_allocator *allocator = &s->memory.allocator;
    if (was_read(s, pith_line_document_read(&read, line, s->n, allocator, &error), &error)) {
        const pith_store_document *document = &read.document;
        check_text(document->key, document->n_key);
        check_text(document->text, document->n_bytes);
        fuzz_require(document->n_key > 0 && document->n_key <= PITH_STORE_MAX_KEY);
        fuzz_require(document->metadata == NULL || document->metadata[0] != '\0');
        fuzz_require(!document->is_file);
        pith_line_document_release(&read);
    }
    free(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        source s = {.data = data, .n = end != NULL ? (size_t)(end - data) : size};
        test_allocator_init(&s.memory);
        read_texts(&s);
        read_ids(&s);
        read_document(&s);
        fuzz_require(s.memory.n_live == 0);
        data += s.n + (end != NULL);
        size -= s.n + (end != NULL);
    }
    return 0;
}
