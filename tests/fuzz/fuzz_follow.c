/* What rank 0 tells another rank of a model: the input is all that comes from it, message after
 * message, each in 256 bytes and what is left of it. Where it ends, rank 0 is lost. The other rank
 * must come to an end with a status, and leave nothing behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/pass_message.h"
#include "tests/fixture.h"
#include "tests/fuzz/input.h"

/* Rank 1, and the input. */
typedef struct sender {
    fuzz_input in;
    bool open;       /* the model is; before that rank 0 says what rank 1 says */
    bool in_message; /* which is not answered yet */
} sender;

/* Gives the next n bytes of the input; false when there are not as many. */
static bool send(sender *s, unsigned char *bytes, size_t n) {
    if (s->in.left < n) {
        return false;
    }
    memcpy(bytes, s->in.at, n);
    s->in.at += n;
    s->in.left -= n;
    return true;
}

/* The bytes of messages are the input's, to which rank 0 is always ready; its part of a pass is
 * zeros, and never as long as the beginning of a message: a row has 192 bytes. */
static bool gather(void *user, void *data, const size_t *offsets, bool first_only) {
    sender *s = user;
    unsigned char *bytes = data;
    size_t n = offsets[1];
    (void)first_only;
    if (!s->open) {
        memcpy(bytes, bytes + n, n);
        return true;
    }
    if (offsets[2] == n && (s->in_message || n == PITH_MESSAGE_FIRST)) {
        s->in_message = true;
        return send(s, bytes, n);
    }
    memset(bytes, s->in_message ? PITH_READY : 0, n);
    s->in_message = false;
    return true;
}

static const char *model_path(void) {
    static char path[200];
    if (path[0] == 0) {
        test_model description;
        test_model_default(&description, PITH_TYPE_INT8);
        description.config.num_key_value_heads = 2;
        description.config.hidden_size = 48;
        description.tokenizer = false;
        description.chat_format = NULL;
        snprintf(path, sizeof path, "%s", test_path("follow.pith"));
        test_write_model(path, &description);
    }
    return path;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    test_allocator memory;
    sender s = {.in = {.at = data, .left = size}};
    const pith_ranks ranks = {.rank = 1, .n_ranks = 2, .gather = gather, .user = &s};
    pith_model_options options = {.n_threads = 1, .ranks = &ranks};
    const char *path = model_path();
    pith_model *model = NULL;
    pith_error error = {.status = PITH_OK};
    fuzz_require(pith_model_follow(NULL, &error) == PITH_ERROR_ARGUMENT);
    test_allocator_init(&memory);
    options.allocator = &memory.allocator;
    fuzz_require(pith_model_open(&model, path, &options, &error) == PITH_OK);
    s.open = true;
    fuzz_allocator_arm(&memory, data, size);
    pith_status status = pith_model_follow(model, &error);
    fuzz_require(status == PITH_OK || status == PITH_ERROR_FORMAT || status == PITH_ERROR_IO ||
                 (status == PITH_ERROR_MEMORY && fuzz_allocation_failed(&memory)));
    fuzz_require(status == PITH_OK || (error.status == status && error.message[0] != '\0'));
    pith_model_free(model);
    fuzz_require(memory.n_live == 0);
    return 0;
}
