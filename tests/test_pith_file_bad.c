/* Opening bad .pith files: refused with the fault named, and never a crash. Bad files are good ones
 * with their header changed in memory. */
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void warn(void *user, pith_log_level level, const char *message) {
    size_t *n = user;
    if (level == PITH_LOG_WARNING && strstr(message, "unknown") != NULL) {
        (*n)++;
    }
}

static pith_status open_image(const test_image *im, pith_error *error, size_t *n_warnings) {
    pith_model_file *file = NULL;
    size_t ignored = 0;
    pith_log log = {warn, n_warnings != NULL ? n_warnings : &ignored};
    pith_status status =
        pith_model_file_open_memory(&file, im->bytes, im->size, "m.pith", &log, NULL, error);
    CHECK((status == PITH_OK) == (file != NULL), "the output was touched");
    pith_model_file_close(file);
    return status;
}

/* Frees the image. */
static void refuse_image(test_image im, pith_status expected, const char *part) {
    pith_error error = {0};
    pith_status status = open_image(&im, &error, NULL);
    CHECK(status == expected, "%s: status %s, expected %s (%s)", part, pith_status_name(status),
          pith_status_name(expected), error.message);
    CHECK(strstr(error.message, "m.pith") != NULL && strstr(error.message, part) != NULL,
          "message \"%s\" lacks \"%s\"", error.message, part);
    free(im.bytes);
}

static void refuse(const char *from, const char *to, const char *part) {
    test_image im = test_image_of_type(PITH_TYPE_INT4);
    CHECK(test_image_replace(&im, from, to) > 0, "the header has no %s", from);
    refuse_image(im, PITH_ERROR_FORMAT, part);
}

TEST(pith_file, unknown_tensors_are_warned_of) {
    test_image im = test_image_of_type(PITH_TYPE_INT4);
    pith_error error = {0};
    size_t n_warnings = 0;
    CHECK(open_image(&im, &error, &n_warnings) == PITH_OK && n_warnings == 0, "%zu warnings: %s",
          n_warnings, error.message);
    /* A model of one layer has no use for the six tensors of the second. */
    CHECK(test_image_replace(&im, "\\\"num_hidden_layers\\\":2", "\\\"num_hidden_layers\\\":1") ==
              1,
          "none");
    CHECK(open_image(&im, &error, &n_warnings) == PITH_OK && n_warnings == 6, "%zu warnings: %s",
          n_warnings, error.message);
    free(im.bytes);
}

TEST(pith_file, many_unknown_tensors_are_counted) {
    test_model model;
    test_model_default(&model, PITH_TYPE_INT8);
    model.config.num_hidden_layers = 9;
    test_image im = test_image_of(&model);
    pith_error error = {0};
    size_t n_warnings = 0;
    CHECK(test_image_replace(&im, "\\\"num_hidden_layers\\\":9", "\\\"num_hidden_layers\\\":1") ==
              1,
          "none");
    CHECK(open_image(&im, &error, &n_warnings) == PITH_OK && n_warnings == 9, "%zu warnings: %s",
          n_warnings, error.message);
    free(im.bytes);
}

/* ---- Bad files ------------------------------------------------------------------------------- */

TEST(pith_file, files_that_are_not_there_or_no_models) {
    pith_model_file *file = NULL;
    pith_error error;
    pith_status status =
        pith_model_file_open(&file, test_path("absent.pith"), false, NULL, NULL, NULL, &error);
    CHECK(status == PITH_ERROR_IO && strstr(error.message, "absent.pith") != NULL, "%s",
          error.message);
    status = pith_model_file_open(&file, test_directory(), false, NULL, NULL, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT || status == PITH_ERROR_IO, "a directory: %s",
          pith_status_name(status));
    test_write_file(test_path("empty.pith"), "", 0);
    for (int map = 0; map < 2; map++) {
        status = pith_model_file_open(&file, test_path("empty.pith"), map != 0, NULL, NULL, NULL,
                                      &error);
        CHECK(status == PITH_ERROR_FORMAT, "an empty file: %s", pith_status_name(status));
    }
    refuse("\"pith\":", "\"pine\":", "not a pith model");
    CHECK(file == NULL, "the output was touched");
    CHECK_NO_LEAKS();
}

static void refuse_path(const char *path, pith_status expected, const char *words) {
    for (int map = 0; map < 2; map++) {
        pith_model_file *file = NULL;
        pith_error error = {0};
        pith_status status = pith_model_file_open(&file, path, map != 0, NULL, NULL, NULL, &error);
        CHECK(status == expected && file == NULL, "%s: %s", path, pith_status_name(status));
        CHECK(strstr(error.message, words) != NULL, "%s: no \"%s\" in \"%s\"", path, words,
              error.message);
    }
}

/* What people give in place of a .pith file, and what they are told to do. */
TEST(pith_file, other_files_are_named) {
    static const struct {
        const char *name, *text, *words;
    } cases[] = {
        {"x.gguf", "GGUF\x03", "x.gguf: is a GGUF file; 'pith convert' makes the .pith file that"},
        {"lfs.pith", "version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer, not"},
        {"page.pith", "<!doctype html><title>Log in</title>",
         "is an HTML page, not the file itself"},
        {"text.pith", "Repository not found", "is a text, not the file itself (\"Repository not"},
        {"x.bin", "PK\x03\x04", "is a ZIP archive, as PyTorch writes checkpoints; a model is a"},
        {"config.json", "{\"a\": 1}", "is a JSON text; a model is a .pith file"},
        {"nothing.pith", "", "nothing.pith: is empty; download it again"},
        {"noise.pith", "\xff\xff\xff\xff\xff\xff\xff\xff{", "header length"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = test_path(cases[i].name);
        test_write_file(path, cases[i].text, strlen(cases[i].text));
        refuse_path(path, PITH_ERROR_FORMAT, cases[i].words);
    }
    const char safetensors[] = "\x02\0\0\0\0\0\0\0{}";
    test_write_file(test_path("w.safetensors"), safetensors, sizeof safetensors - 1);
    refuse_path(test_path("w.safetensors"), PITH_ERROR_FORMAT,
                "is a safetensors file; a model is a .pith file, which 'pith convert' makes");
    CHECK(mkdir(test_path("checkpoint"), 0700) == 0, "mkdir");
    refuse_path(test_path("checkpoint"), PITH_ERROR_FORMAT,
                "is a directory; a model is a .pith file, which 'pith convert' makes");
    test_write_file(test_path("checkpoint/config.json"), "{}", 2);
    refuse_path(test_path("checkpoint/"), PITH_ERROR_FORMAT,
                "checkpoint.pith --type int4' makes the .pith file");
    refuse_path("some-owner/some-model", PITH_ERROR_IO,
                "'hf download some-owner/some-model --local-dir some-model' and converted by "
                "'pith convert some-model some-model.pith --type int4'");
    refuse_path("some-owner/some-model.pith", PITH_ERROR_IO, "cannot open");
    CHECK_NO_LEAKS();
}

TEST(pith_file, refuses_truncation_at_every_byte) {
    test_image im = test_image_smallest();
    size_t full = im.size;
    pith_error error = {0};
    for (im.size = 0; im.size < full; im.size++) {
        pith_status status = open_image(&im, &error, NULL);
        CHECK(status == PITH_ERROR_FORMAT, "%zu of %zu bytes: %s", im.size, full,
              pith_status_name(status));
    }
    CHECK(open_image(&im, &error, NULL) == PITH_OK, "%s", error.message);
    free(im.bytes);
    CHECK_NO_LEAKS();
}

TEST(pith_file, refuses_truncated_files_on_disk) {
    const char *path = test_path("cut.pith");
    test_image im = test_image_smallest();
    for (size_t i = 0; i < 60; i++) {
        size_t size = i < 20 ? i : i < 40 ? im.size - 1 - (i - 20) : im.size * (i - 40) / 20;
        test_write_file(path, im.bytes, size);
        for (int map = 0; map < 2; map++) {
            pith_model_file *file = NULL;
            pith_status status =
                pith_model_file_open(&file, path, map != 0, NULL, NULL, NULL, NULL);
            CHECK(status == PITH_ERROR_FORMAT && file == NULL, "%zu bytes, map %d: %s", size, map,
                  pith_status_name(status));
        }
    }
    free(im.bytes);
    CHECK_NO_LEAKS();
}

/* Uses what a file that opened promises. */
static void use(pith_model_file *file) {
    float row[256];
    volatile float sink = 0;
    pith_slot slot;
    pith_slot_place place;
    for (unsigned part = 0; part < pith_family_n_parts(file->family); part++) {
        for (size_t layer = pith_family_first_layer(file->family, part);
             pith_model_file_slot(file, part, layer, &slot, &place); layer++) {
            if (!slot.is_matrix) {
                sink += (*place.vector)[slot.rows - 1];
            } else if (slot.cols <= 256) {
                pith_matrix_row(place.matrix, slot.rows - 1, row);
                sink += row[0];
            }
        }
    }
    for (size_t i = 0; i < file->vocab.n_pieces; i++) {
        sink += (float)file->vocab.bytes[file->vocab.offsets[i + 1] - 1];
    }
    (void)sink;
}

TEST(pith_file, survives_every_flipped_bit_of_the_header) {
    test_image im = test_image_smallest();
    size_t n_opened = 0;
    size_t end = 8 + test_image_header(&im);
    while (im.bytes[end - 1] == ' ') {
        end--;
    }
    for (size_t bit = 0; bit < (end + 1) * 8; bit++) {
        pith_model_file *file = NULL;
        pith_error error;
        im.bytes[bit / 8] = (unsigned char)(im.bytes[bit / 8] ^ 1U << bit % 8);
        pith_status status =
            pith_model_file_open_memory(&file, im.bytes, im.size, "m.pith", NULL, NULL, &error);
        im.bytes[bit / 8] = (unsigned char)(im.bytes[bit / 8] ^ 1U << bit % 8);
        CHECK(status == PITH_OK || status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED,
              "bit %zu: %s", bit, pith_status_name(status));
        if (status == PITH_OK) {
            use(file);
            n_opened++;
        }
        pith_model_file_close(file);
    }
    /* Checksums and free texts can change unnoticed; names, shapes and offsets cannot. */
    CHECK(n_opened > 0 && n_opened < end * 8 / 2, "%zu of %zu opened", n_opened, end * 8);
    free(im.bytes);
    CHECK_NO_LEAKS();
}

TEST(pith_file, missing_tensors_are_named) {
    refuse("\"lm_head.weight\":", "\"lm_hexd.weight\":", "describes \"lm_head.weight\"");
    test_image im = test_image_of_type(PITH_TYPE_INT4);
    CHECK(test_image_replace(&im, "lm_head.weight", "lm_hexd.weight") == 2,
          "not in header and metadata");
    refuse_image(im, PITH_ERROR_FORMAT, "\"lm_head.weight\" is missing");
    im = test_image_of_type(PITH_TYPE_INT4);
    CHECK(test_image_replace(&im, "layers.1.input_layernorm", "layers.9.input_layernorm") == 2,
          "norm");
    refuse_image(im, PITH_ERROR_FORMAT, "\"model.layers.1.input_layernorm.weight\" is missing");
    im = test_image_of_type(PITH_TYPE_INT4);
    CHECK(test_image_replace(&im, "tokenizer.scores", "tokenizer.spores") == 2, "scores");
    refuse_image(im, PITH_ERROR_FORMAT, "\"tokenizer.scores\" is missing");
    refuse("\\\"num_hidden_layers\\\":2", "\\\"num_hidden_layers\\\":3", "model.layers.2");
    refuse("\\\"qkv_bias\\\":false", "\\\"qkv_bias\\\":true", "qkv_proj.bias\" is missing");
}

TEST(pith_file, wrong_declarations_are_named) {
    refuse("\"model.norm.weight\":{\"dtype\":\"F32\"", "\"model.norm.weight\":{\"dtype\":\"I32\"",
           "\"model.norm.weight\" has dtype I32, expected F32");
    refuse("\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[32]",
           "\"model.norm.weight\":{\"dtype\":\"F32\",\"shape\":[32,1]",
           "\"model.norm.weight\" has 2 dimensions, expected 1");
    refuse("\"lm_head.weight\":{\"dtype\":\"U8\",\"shape\":[19,576]",
           "\"lm_head.weight\":{\"dtype\":\"U8\",\"shape\":[576,19]",
           "\"lm_head.weight\" has size 576 in dimension 0, expected 19");
    refuse("\"lm_head.weight\":{\"dtype\":\"U8\"", "\"lm_head.weight\":{\"dtype\":\"I8\"",
           "\"lm_head.weight\" has dtype I8");
    refuse("\\\"hidden_size\\\":32", "\\\"hidden_size\\\":64", "expected");
    refuse("\\\"vocab_size\\\":300", "\\\"vocab_size\\\":400", "model.embed_tokens.weight");
    refuse("\\\"intermediate_size\\\":96", "\\\"intermediate_size\\\":160", "gate_up_proj");
}

TEST(pith_file, types_of_matrices_come_from_the_metadata) {
    refuse("\\\"lm_head.weight\\\":{\\\"type\\\":\\\"int8\\\",", "\\\"lm_head.weight\\\":{",
           "no type for matrix \"lm_head.weight\"");
    refuse("\\\"lm_head.weight\\\":{\\\"type\\\":\\\"int8\\\",",
           "\\\"lm_head.weight\\\":{\\\"type\\\":\\\"f16\\\",", "has dtype U8, expected F16");
    refuse("\\\"lm_head.weight\\\":{\\\"type\\\":\\\"int8\\\",",
           "\\\"lm_head.weight\\\":{\\\"type\\\":\\\"int4\\\",", "dimension 1, expected 384");
    test_model model;
    test_model_default(&model, PITH_TYPE_INT8);
    model.config.intermediate_size = 48;
    test_image im = test_image_of(&model);
    CHECK(test_image_replace(&im, "down_proj.weight\\\":{\\\"type\\\":\\\"int8\\\"",
                             "down_proj.weight\\\":{\\\"type\\\":\\\"int4\\\"") == 2,
          "down");
    refuse_image(im, PITH_ERROR_FORMAT, "int4 cannot hold 48 columns");
}

TEST(pith_file, absurd_vocabularies_are_refused) {
    refuse("\\\"n_pieces\\\":300", "\\\"n_pieces\\\":99999999", "n_pieces");
    refuse("\\\"n_pieces\\\":300", "\\\"n_pieces\\\":301", "tokenizer.offsets");
    refuse("\\\"n_bytes\\\":1617", "\\\"n_bytes\\\":1616", "tokenizer.bytes");
    refuse("\\\"kind\\\":\\\"sentencepiece\\\"", "\\\"kind\\\":\\\"byte_bpe\\\"",
           "tokenizer.merges");
    refuse("\\\"unk\\\":0", "\\\"unk\\\":300", "unk");
}

/* The file offset of a tensor. */
static size_t offset_of(const test_image *im, const char *name) {
    pith_safetensors *st = NULL;
    pith_error error;
    pith_status status =
        pith_safetensors_parse(&st, (const char *)im->bytes + 8, test_image_header(im), im->size,
                               "m", &pith_malloc_allocator, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    size_t offset = pith_safetensors_find(st, name)->offset;
    pith_safetensors_free(st);
    return offset;
}

TEST(pith_file, contents_of_the_vocabulary_are_checked) {
    static const char *const names[] = {"tokenizer.offsets", "tokenizer.scores", "tokenizer.types"};
    for (size_t i = 0; i < 3; i++) {
        test_image im = test_image_of_type(PITH_TYPE_INT4);
        memset(im.bytes + offset_of(&im, names[i]) + 8, 0xff, 4);
        refuse_image(im, PITH_ERROR_FORMAT, "");
    }
}

TEST(pith_file, data_must_start_on_a_cache_line) {
    test_image im = test_image_of_type(PITH_TYPE_INT4);
    size_t n = test_image_header(&im);
    CHECK(im.bytes[8 + n - 1] == ' ', "no padding to take away");
    memmove(im.bytes + n, im.bytes + 8 + n, im.size - 8 - n);
    im.size -= 8;
    im.bytes[0] = (unsigned char)(im.bytes[0] - 8);
    refuse_image(im, PITH_ERROR_FORMAT, "the data starts at byte");
}

/* Puts four bytes in front of the data: every offset moves, nothing else changes. */
static void shift_data(test_image *im) {
    size_t n = test_image_header(im);
    char *text = malloc(n + 1);
    char *at = text;
    memcpy(text, im->bytes + 8, n);
    text[n] = '\0';
    size_t used = 0;
    char *out = malloc(2 * n + 1000);
    used +=
        (size_t)sprintf(out, "{\"first\":{\"dtype\":\"U8\",\"shape\":[4],\"data_offsets\":[0,4]},");
    at++;
    char *span;
    while ((span = strstr(at, "\"data_offsets\":[")) != NULL) {
        size_t begin;
        size_t end;
        int length;
        span += strlen("\"data_offsets\":[");
        CHECK(sscanf(span, "%zu,%zu%n", &begin, &end, &length) == 2, "%.40s", span);
        memcpy(out + used, at, (size_t)(span - at));
        used += (size_t)(span - at);
        used += (size_t)sprintf(out + used, "%zu,%zu", begin + 4, end + 4);
        at = span + length;
    }
    size_t rest = strcspn(at, " ");
    memcpy(out + used, at, rest);
    used += rest;
    CHECK(used <= n, "the new header needs %zu bytes of %zu", used, n);
    memset(im->bytes + 8, ' ', n);
    memcpy(im->bytes + 8, out, used);
    memmove(im->bytes + 8 + n + 4, im->bytes + 8 + n, im->size - 8 - n);
    im->size += 4;
    free(text);
    free(out);
}

TEST(pith_file, matrices_must_start_on_a_cache_line) {
    test_image im = test_image_smallest();
    shift_data(&im);
    refuse_image(im, PITH_ERROR_FORMAT, "not a multiple of 64");
}

TEST(pith_file, other_versions_are_unsupported) {
    test_image im = test_image_of_type(PITH_TYPE_INT4);
    CHECK(test_image_replace(&im, "\\\"format_version\\\":1", "\\\"format_version\\\":3") == 1,
          "none");
    refuse_image(im, PITH_ERROR_UNSUPPORTED, "format version 3; this build reads versions 1 to 2");
}
