/* A mapped model whose file another process rewrites in place: numbers may change, the tokenizer
 * does not, and nothing outside of memory is read. */
#include "convert/convert.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { N_MOST = 512 };

static const char text[] = "the hare and the tortoise, 12 <s> \xc3\xa9t\xc3\xa9\n  went on";

/* What the tokenizer says, in one string: ids of the text, and the text of every token. */
static size_t ask_tokenizer(const pith_model *model, char *out, size_t size) {
    pith_error error;
    int32_t ids[N_MOST];
    pith_model_info info;
    size_t n = 0;
    size_t used = 0;
    pith_model_get_info(model, &info);
    CHECK(pith_tokenize(model, pith_text_of(text), PITH_TOKENIZE_SPECIAL, ids, N_MOST, &n,
                        &error) == PITH_OK,
          "%s", error.message);
    for (size_t i = 0; i < n; i++) {
        used += (size_t)snprintf(out + used, size - used, "%d ", (int)ids[i]);
    }
    for (int32_t id = 0; (size_t)id < info.n_vocab && used + 1024 < size; id++) {
        pith_text piece;
        if (pith_token_text(model, id, &piece, NULL) == PITH_OK && piece.n_bytes < 512) {
            memcpy(out + used, piece.data, piece.n_bytes);
            used += piece.n_bytes;
        }
        if (pith_detokenize(model, &id, 1, out + used, 512, &n, NULL) == PITH_OK) {
            used += n;
        }
    }
    return used;
}

/* Overwrites all bytes after the header, without truncating the file. */
static void rewrite(const char *path, uint64_t seed) {
    size_t size;
    unsigned char *bytes = test_read_file(path, &size);
    size_t header = 8;
    for (size_t i = 0; i < 8; i++) {
        header += (size_t)bytes[i] << (8 * i);
    }
    for (size_t i = header; i < size; i++) {
        bytes[i] = seed == 0 ? 255 : (unsigned char)test_random(&seed);
    }
    int fd = open(path, O_WRONLY);
    CHECK(fd >= 0 &&
              pwrite(fd, bytes + header, size - header, (off_t)header) == (ssize_t)(size - header),
          "cannot rewrite %s", path);
    close(fd);
    free(bytes);
}

/* Uses the weights; what comes out is as random as they are. */
static void use_weights(const pith_model *model) {
    static const int32_t tokens[] = {1, 5, 9, 3};
    pith_session *session = NULL;
    pith_embed_input input = {.text = pith_text_of(text)};
    float vector[N_MOST];
    pith_model_info info;
    pith_model_get_info(model, &info);
    if (strcmp(info.architecture, "bert") == 0) {
        CHECK(info.n_embd <= N_MOST, "%zu", info.n_embd);
        (void)pith_embed(model, &input, 1, NULL, vector, NULL, NULL);
        return;
    }
    const pith_session_options options = {.n_context = 16};
    CHECK(pith_session_new(&session, model, &options, NULL) == PITH_OK, "no session");
    (void)pith_session_eval(session, tokens, 4, NULL);
    pith_session_free(session);
}

static void check_file(const char *path) {
    enum { ROOM = 1 << 20 };
    char *before = calloc(ROOM, 1);
    char *after = calloc(ROOM, 1);
    pith_model *model = NULL;
    pith_error error;
    const pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF, .map = true};
    CHECK(before != NULL && after != NULL, "memory");
    CHECK(pith_model_open(&model, path, &options, &error) == PITH_OK, "%s", error.message);
    size_t n = ask_tokenizer(model, before, ROOM);
    CHECK(n > 100, "%zu bytes", n);
    for (uint64_t seed = 0; seed < 3; seed++) {
        rewrite(path, seed);
        size_t n_after = ask_tokenizer(model, after, ROOM);
        CHECK(n_after == n && memcmp(before, after, n) == 0,
              "seed %d: the tokenizer has changed with the file", (int)seed);
        use_weights(model);
    }
    pith_model_free(model);
    free(before);
    free(after);
    CHECK_NO_LEAKS();
}

static void check_converted(const char *source) {
    char out[512];
    snprintf(out, sizeof out, "%s", test_path("m.pith"));
    pith_error error;
    const pith_convert_options options = {.type = PITH_TYPE_INT4,
                                          .head_type = PITH_N_TYPES,
                                          .n_threads = 1};
    CHECK(pith_convert(test_root(source), out, &options, &error) == PITH_OK, "%s", error.message);
    check_file(out);
}

TEST(mapped, a_decoder_rewritten_in_place) {
    for (unsigned type = 0; type < PITH_N_TYPES; type++) {
        char path[512];
        snprintf(path, sizeof path, "%s", test_path("tiny.pith"));
        test_write_tiny_model(path, (pith_type)type, type);
        check_file(path);
    }
}

TEST(mapped, a_byte_level_decoder_rewritten_in_place) {
    check_converted("golden/llama3");
}

TEST(mapped, an_encoder_rewritten_in_place) {
    check_converted("golden/minilm");
}
