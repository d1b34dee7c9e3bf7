/* JSON Lines of pith embed, index, tokenize and detokenize: every line of the input, as each of the
 * four. What is read must be text and numbers as the commands rely on them. */
#include "cli/json_lines.h"
#include "tests/fuzz/input.h"
#include "tokenizer/tokenizer.h"

#include <stdlib.h>
#include <string.h>

/* True when the line was read; a message says why it was not. */
static bool was_read(pith_status status, const pith_error *error) {
    fuzz_require(status == PITH_OK || (status == PITH_ERROR_FORMAT && error->status == status &&
                                       error->message[0] != '\0'));
    return status == PITH_OK;
}

static void check_text(const char *text, size_t n) {
    fuzz_require(text != NULL && text[n] == '\0' && pith_utf8_check(text, n) == n);
}

static void read_texts(const char *line, size_t n) {
    pith_error error;
    json_t *root;
    const char *text;
    size_t n_text;
    pith_embed_input input;
    bool alone = was_read(pith_line_text(line, n, &root, &text, &n_text, &error), &error);
    if (alone) {
        check_text(text, n_text);
        json_decref(root);
    }
    if (was_read(pith_line_texts(line, n, &root, &input, &error), &error)) {
        fuzz_require(alone && input.n_bytes == n_text);
        check_text(input.text, input.n_bytes);
        if (input.pair != NULL) {
            check_text(input.pair, input.n_pair_bytes);
        }
        json_decref(root);
    }
}

static void read_ids(const char *line, size_t n) {
    pith_error error;
    int32_t *ids;
    size_t n_ids;
    if (was_read(pith_line_ids(line, n, &ids, &n_ids, &error), &error)) {
        volatile int32_t sink = 0;
        for (size_t i = 0; i < n_ids; i++) {
            sink = ids[i];
        }
        (void)sink;
        free(ids);
    }
}

static void read_document(const char *line, size_t n) {
    pith_error error;
    pith_line_document read;
    if (was_read(pith_line_document_read(&read, line, n, &error), &error)) {
        const pith_store_document *document = &read.document;
        check_text(document->key, document->n_key);
        check_text(document->text, document->n_bytes);
        fuzz_require(document->n_key > 0 && document->n_key <= PITH_STORE_MAX_KEY);
        fuzz_require(document->metadata == NULL || document->metadata[0] != '\0');
        fuzz_require(!document->is_file);
        pith_line_document_release(&read);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    while (size > 0) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t n = end != NULL ? (size_t)(end - data) : size;
        char *line = malloc(n + 1); /* of its own, so that reading beyond it is seen */
        memcpy(line, data, n);
        line = realloc(line, n > 0 ? n : 1);
        read_texts(line, n);
        read_ids(line, n);
        read_document(line, n);
        free(line);
        data += n + (end != NULL);
        size -= n + (end != NULL);
    }
    return 0;
}
