/* BERT models in .pith files: shapes of their tensors, bad files, and what a decoder's calls say to
 * an encoder. */
#include "convert/convert.h"
#include "tests/encoder.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/pith_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A small encoder file on disk; the name stays valid for a while. */
static const char *make_file(pith_type type) {
    const char *out = test_path("small.pith");
    static unsigned n_made;
    char name[32];
    snprintf(name, sizeof name, "small-%u", n_made++);
    const char *source = test_make_encoder(name, &(test_encoder){.bare = false});
    pith_error error = {0};
    const pith_convert_options options = {.type = type, .head_type = PITH_N_TYPES, .n_threads = 1};
    CHECK(pith_convert(source, out, &options, &error) == PITH_OK, "%s", error.message);
    return out;
}

static test_image make_image(pith_type type) {
    test_image im = {0};
    char *bytes = test_read_file(make_file(type), &im.size);
    im.room = (im.size + 4096) / 64 * 64;
    im.bytes = aligned_alloc(64, im.room);
    CHECK(im.bytes != NULL, "memory");
    memcpy(im.bytes, bytes, im.size);
    free(bytes);
    return im;
}

static pith_status open_image(const test_image *im, pith_model_file **file, pith_error *error) {
    return pith_model_file_open_memory(file, im->bytes, im->size, "m.pith", NULL, NULL, error);
}

/* ---- Bad files ------------------------------------------------------------------------------- */

static void refuse(const char *from, const char *to, pith_status expected, const char *words) {
    test_image im = make_image(PITH_TYPE_F16);
    pith_model_file *file = NULL;
    pith_error error = {0};
    CHECK(test_image_replace(&im, from, to) > 0, "the header has no %s", from);
    pith_status status = open_image(&im, &file, &error);
    CHECK(status == expected && file == NULL && strstr(error.message, words) != NULL, "%s: %s: %s",
          to, pith_status_name(status), error.message);
    free(im.bytes);
}

TEST(bert_file, refuses_bad_configurations) {
    static const struct {
        const char *from, *to;
        pith_status status;
        const char *words;
    } cases[] = {
        {"\\\"architecture\\\":\\\"bert\\\"", "\\\"architecture\\\":\\\"bort\\\"",
         PITH_ERROR_UNSUPPORTED, "\"bort\""},
        {"\\\"architecture\\\":\\\"bert\\\"", "\\\"architecture\\\":\\\"llama\\\"",
         PITH_ERROR_FORMAT, "config"},
        {"\\\"pooling\\\":\\\"mean\\\"", "\\\"pooling\\\":\\\"last\\\"", PITH_ERROR_FORMAT,
         "config.pooling"},
        {"\\\"normalize\\\":true", "\\\"normalize\\\":1", PITH_ERROR_FORMAT, "normalize"},
        {"\\\"max_seq_length\\\":12", "\\\"max_seq_length\\\":17", PITH_ERROR_FORMAT,
         "max_seq_length is 17"},
        {"\\\"max_seq_length\\\":12", "\\\"max_seq_length\\\":3", PITH_ERROR_FORMAT,
         "max_seq_length is 3"},
        {"\\\"num_attention_heads\\\":4", "\\\"num_attention_heads\\\":5", PITH_ERROR_FORMAT,
         "num_attention_heads 5"},
        {"\\\"num_attention_heads\\\":4", "\\\"num_attention_heads\\\":0", PITH_ERROR_FORMAT,
         "num_attention_heads is 0"},
        {"\\\"num_hidden_layers\\\":2", "\\\"num_hidden_layers\\\":3", PITH_ERROR_FORMAT,
         "encoder.layer.2"},
        {"\\\"type_vocab_size\\\":2", "\\\"type_vocab_size\\\":17", PITH_ERROR_FORMAT,
         "token_type_embeddings"},
        {"\\\"hidden_size\\\":32", "\\\"hidden_size\\\":64", PITH_ERROR_FORMAT, "word_embeddings"},
        {"attention.self.qkv.bias", "attention.self.qkx.bias", PITH_ERROR_FORMAT,
         "attention.self.qkv.bias\" is missing"},
        {"token_type_embeddings.weight\\\":{\\\"type\\\":\\\"f32\\\"",
         "token_type_embeddings.weight\\\":{\\\"type\\\":\\\"f16\\\"", PITH_ERROR_FORMAT,
         "has type f16, not f32"},
        {"\\\"bos\\\":-1", "\\\"bos\\\":40", PITH_ERROR_FORMAT, "tokens.bos"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        refuse(cases[i].from, cases[i].to, cases[i].status, cases[i].words);
    }
    CHECK_NO_LEAKS();
}

TEST(bert_file, refuses_truncation) {
    test_image im = make_image(PITH_TYPE_INT4);
    pith_error error;
    pith_model_file *file = NULL;
    size_t full = im.size;
    size_t header = 8 + test_image_header(&im);
    for (im.size = 0; im.size < full; im.size += im.size < header ? 1 : 61) {
        CHECK(open_image(&im, &file, &error) == PITH_ERROR_FORMAT && file == NULL, "%zu of %zu",
              im.size, full);
    }
    im.size = full;
    CHECK(open_image(&im, &file, &error) == PITH_OK, "%s", error.message);
    pith_model_file_close(file);
    free(im.bytes);
    CHECK_NO_LEAKS();
}

/* Uses what a file that opened promises. */
static float use(pith_model_file *file) {
    float row[256];
    float sum = 0;
    pith_slot slot;
    pith_slot_place place;
    for (unsigned part = 0; part < pith_family_n_parts(file->family); part++) {
        for (size_t layer = pith_family_first_layer(file->family, part);
             pith_model_file_slot(file, part, layer, &slot, &place); layer++) {
            if (!slot.is_matrix) {
                sum += (*place.vector)[slot.rows - 1];
            } else if (slot.cols <= 256) {
                pith_matrix_row(place.matrix, slot.rows - 1, row);
                sum += row[slot.cols - 1];
            }
        }
    }
    return sum;
}

TEST(bert_file, survives_every_flipped_bit_of_the_header) {
    test_image im = make_image(PITH_TYPE_INT4);
    size_t n_opened = 0;
    volatile float sink = 0;
    size_t end = 8 + test_image_header(&im);
    while (im.bytes[end - 1] == ' ') {
        end--;
    }
    for (size_t bit = 0; bit < end * 8; bit++) {
        pith_model_file *file = NULL;
        pith_error error;
        im.bytes[bit / 8] = (unsigned char)(im.bytes[bit / 8] ^ 1U << bit % 8);
        pith_status status = open_image(&im, &file, &error);
        im.bytes[bit / 8] = (unsigned char)(im.bytes[bit / 8] ^ 1U << bit % 8);
        CHECK(status == PITH_OK || status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED,
              "bit %zu: %s", bit, pith_status_name(status));
        if (status == PITH_OK) {
            sink += use(file);
            n_opened++;
        }
        pith_model_file_close(file);
    }
    CHECK(n_opened > 0 && n_opened < end * 8 / 2, "%zu of %zu opened", n_opened, end * 8);
    (void)sink;
    free(im.bytes);
    CHECK_NO_LEAKS();
}

TEST(bert_file, survives_every_failed_allocation) {
    const char *path = make_file(PITH_TYPE_INT8);
    size_t n = 1;
    for (bool more = true; more; n++) {
        test_allocator t;
        pith_error error = {0};
        pith_model_file *file = NULL;
        test_allocator_init(&t);
        t.fail_at = n;
        pith_status status =
            pith_model_file_open(&file, path, false, NULL, NULL, &t.allocator, &error);
        more = t.n_calls >= n;
        CHECK(status == (more ? PITH_ERROR_MEMORY : PITH_OK) && (file != NULL) == !more,
              "allocation %zu: %s", n, error.message);
        pith_model_file_close(file);
        CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", n, (size_t)t.n_live);
    }
    CHECK(n > 5, "only %zu allocations", n);
    CHECK_NO_LEAKS();
}

/* ---- As a model ------------------------------------------------------------------------------ */

TEST(bert_file, decoder_calls_refuse_an_encoder) {
    pith_model *model = NULL;
    pith_session *session = NULL;
    pith_model_info info;
    pith_error error = {0};
    const pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF};
    const char *path = make_file(PITH_TYPE_INT8);
    CHECK(pith_model_open(&model, path, &options, &error) == PITH_OK, "%s", error.message);
    pith_model_get_info(model, &info);
    CHECK(strcmp(info.architecture, "bert") == 0 && info.n_vocab == 40 && info.n_context == 12 &&
              info.n_embd == 32 && info.n_layers == 2 && info.bos == -1 && info.n_eos == 0,
          "%s: %zu, %zu, %zu, %zu", info.architecture, info.n_vocab, info.n_context, info.n_embd,
          info.n_layers);
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_ERROR_UNSUPPORTED &&
              session == NULL && strstr(error.message, "encoder") != NULL,
          "%s", error.message);
    CHECK(pith_session_load(&session, model, path, NULL, &error) == PITH_ERROR_UNSUPPORTED &&
              session == NULL && strstr(error.message, "encoder") != NULL,
          "%s", error.message);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}
