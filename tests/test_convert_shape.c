/* Random weights of a known shape in a file: the weights are those of pith_model_random, the
 * vocabulary is the tokenizer's, and the file is the same for any number of threads. */
#include "convert/convert.h"
#include "engine/embed.h"
#include "engine/random_model.h"
#include "simd/blocks.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/pith_file.h"
#include "weights/random_weights.h"
#include "weights/shapes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static pith_convert_options options_of(const char *shape, pith_type type, const char *tokenizer) {
    return (pith_convert_options){
        .type = type,
        .head_type = PITH_N_TYPES,
        .shape = shape,
        .tokenizer_path = tokenizer,
        .n_threads = 2,
    };
}

static void convert(const pith_convert_options *options, const char *out) {
    pith_error error = {0};
    pith_status status = pith_convert(NULL, out, options, &error);
    CHECK(status == PITH_OK, "%s in %s: %s", options->shape, pith_type_name(options->type),
          error.message);
}

static pith_model *open_model(const char *path) {
    pith_model *model = NULL;
    pith_error error = {0};
    const pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF};
    CHECK(pith_model_open(&model, path, &options, &error) == PITH_OK, "%s: %s", path,
          error.message);
    return model;
}

static pith_model *random_model(const char *shape, pith_type type) {
    pith_model *model = NULL;
    pith_error error = {0};
    const pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF};
    CHECK(pith_model_random(&model, shape, type, &options, &error) == PITH_OK, "%s: %s", shape,
          error.message);
    return model;
}

/* ---- One tile -------------------------------------------------------------------------------- */

/* Bytes that no value is read from: those behind the multipliers of a last int4 group of one slice,
 * and the int8 codes that fill the last line. */
static void check_padding(pith_type type, size_t cols, const unsigned char *tile) {
    if (type == PITH_TYPE_INT4 && cols == 288) {
        size_t begin = pith_int4_group_bytes(8) + 4 * PITH_LINE_BYTES + 16;
        for (size_t i = begin; i < begin + 48; i++) {
            CHECK(tile[i] == 0, "byte %zu behind the multipliers is %d", i, tile[i]);
        }
    }
    if (type == PITH_TYPE_INT8 && cols == 34) {
        for (size_t r = 0; r < PITH_TILE_ROWS; r++) {
            const unsigned char *line = tile + 8 * PITH_LINE_BYTES + 4 * r;
            CHECK(line[2] == 0 && line[3] == 0, "row %zu has codes behind its columns", r);
        }
    }
}

static void check_trimmed(pith_type type, size_t cols, size_t n_rows) {
    pith_matrix before = {.type = type, .rows = PITH_TILE_ROWS, .cols = cols};
    CHECK(pith_matrix_size(type, PITH_TILE_ROWS, cols, &before.size), "%zu columns", cols);
    unsigned char *data = aligned_alloc(64, (before.size + 63) / 64 * 64);
    unsigned char *trimmed = aligned_alloc(64, (before.size + 63) / 64 * 64);
    float *a = calloc(cols, sizeof *a);
    float *b = calloc(cols, sizeof *b);
    CHECK(data != NULL && trimmed != NULL && a != NULL && b != NULL, "no memory");
    pith_random_tile(type, cols, pith_random_seed(3, 7), 5, data);
    memcpy(trimmed, data, before.size);
    pith_random_tile_trim(type, cols, n_rows, trimmed);
    before.data = data;
    pith_matrix after = before;
    after.data = trimmed;
    size_t n_clamped = 0;
    for (size_t r = 0; r < PITH_TILE_ROWS; r++) {
        pith_matrix_row(&before, r, a);
        pith_matrix_row(&after, r, b);
        for (size_t k = 0; k < cols; k++) {
            bool lowest =
                type == PITH_TYPE_INT8 && data[k / 4 * PITH_LINE_BYTES + 4 * r + k % 4] == 0x80;
            float expected = r >= n_rows ? 0.0F : lowest ? a[k] / 128.0F * 127.0F : a[k];
            n_clamped += lowest && r < n_rows;
            CHECK(fabsf(b[k] - expected) <= 1e-7F,
                  "%s, %zu columns, row %zu of %zu, %zu: %g, not %g", pith_type_name(type), cols, r,
                  n_rows, k, (double)b[k], (double)expected);
        }
    }
    CHECK(type != PITH_TYPE_INT8 || n_rows < 16 || cols < 256 || n_clamped > 0,
          "no code of -128 was met");
    check_padding(type, cols, trimmed);
    free(data);
    free(trimmed);
    free(a);
    free(b);
}

/* As many weights as the published models have, without the encoders' pooler and images. */
TEST(convert_shape, shapes_are_those_of_the_models) {
    static const struct {
        const char *name;
        size_t n_params;
    } published[] = {
        {"llama2-7b", 6738415616},      {"llama3-8b", 8030261248},
        {"mistral-7b", 7241732096},     {"tinyllama-1b", 1100048384},
        {"qwen3-4b", 4022468096},       {"gemma2-2b", 2614341888},
        {"gemma3-4b", 3880263168},      {"phi3-mini", 3821079552},
        {"phi4-mini", 3836021760},      {"olmo2-1b", 1484916736},
        {"olmo3-7b", 7298011136},       {"smollm3-3b", 3075098624},
        {"granite3-8b", 8170864640},    {"mixtral-8x7b", 46702792704},
        {"qwen3-30b-a3b", 30532122624}, {"gpt-oss-20b", 20914757184},
        {"gpt-oss-120b", 116829156672},
    };
    for (size_t i = 0; pith_shape_at(i) != NULL; i++) {
        const pith_shape *shape = pith_shape_at(i);
        pith_error error = {0};
        CHECK(pith_config_check(&shape->config, shape->name, &error) == PITH_OK, "%s",
              error.message);
        CHECK(pith_family_check(shape->family, &shape->config, shape->name, &error) == PITH_OK,
              "%s", error.message);
        CHECK(shape->config.role == shape->family->role, "%s: its role", shape->name);
    }
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        const pith_shape *shape = NULL;
        pith_error error = {0};
        CHECK(pith_shape_find(&shape, published[i].name, &error) == PITH_OK, "%s", error.message);
        size_t n = pith_family_n_params(shape->family, &shape->config);
        CHECK(n == published[i].n_params, "%s has %zu weights, not %zu", published[i].name, n,
              published[i].n_params);
    }
}

TEST(convert_shape, tiles_are_trimmed_to_what_the_format_asks) {
    static const size_t cols[] = {34, 96, 256, 288, 384};
    static const size_t rows[] = {16, 10, 1, 0};
    for (int type = 0; type < PITH_N_TYPES; type++) {
        for (size_t c = type == PITH_TYPE_INT4; c < sizeof cols / sizeof *cols; c++) {
            for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
                check_trimmed((pith_type)type, cols[c], rows[r]);
            }
        }
    }
}

/* ---- Decoders -------------------------------------------------------------------------------- */

enum { PIECES = 4096, WIDTH = 288 }; /* of the tokenizer, of stories-15m */

static const char *tale_tokenizer(void) {
    return test_root("golden/tale/tokenizer.model");
}

/* The logits of the first PIECES tokens after a few. */
static void eval(const pith_model *model, float *logits) {
    static const int32_t tokens[] = {1, 403, 407, 3, 9, 27, 4095};
    pith_session *session = NULL;
    pith_error error = {0};
    CHECK(pith_session_new(&session, model, NULL, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_session_eval(session, tokens, sizeof tokens / sizeof *tokens, &error) == PITH_OK,
          "%s", error.message);
    memcpy(logits, pith_session_logits(session), PIECES * sizeof *logits);
    pith_session_free(session);
}

static void check_config(const pith_model_file *file, pith_type type) {
    const pith_config *c = &file->network.config;
    bool packed = type == PITH_TYPE_INT4 || type == PITH_TYPE_INT8;
    CHECK(file->family == &pith_family_llama && c->hidden_size == WIDTH &&
              c->num_hidden_layers == 6 && c->intermediate_size == 768 && c->tie_word_embeddings,
          "%s: not the shape", pith_type_name(type));
    CHECK(c->vocab_size == PIECES && file->vocab.n_pieces == PIECES, "%zu tokens, %zu pieces",
          c->vocab_size, file->vocab.n_pieces);
    CHECK(file->metadata.n_eos == 1 && file->metadata.eos[0] == 2 && file->metadata.bos == 1,
          "%zu ends, beginning %d", file->metadata.n_eos, file->metadata.bos);
    CHECK(file->network.embed.type == (packed ? PITH_TYPE_INT8 : type) &&
              file->network.layers[5].down.matrix.type == type,
          "%s: types", pith_type_name(type));
    CHECK(file->metadata.n_sources == 2 &&
              strcmp(file->metadata.sources[0].name, "tokenizer.model") == 0,
          "%zu sources", file->metadata.n_sources);
}

/* A larger vocabulary has more rows of the same values, so the smaller one's logits are among
 * those of the whole shape. */
TEST(convert_shape, a_decoder_computes_what_the_model_in_memory_does) {
    const char *out = test_path("decoder.pith");
    float *expected = calloc(PIECES, sizeof *expected);
    float *found = calloc(PIECES, sizeof *found);
    for (int type = 0; type < PITH_N_TYPES; type++) {
        const pith_convert_options options =
            options_of("stories-15m", (pith_type)type, tale_tokenizer());
        convert(&options, out);
        pith_model_file *file = test_open_file(out);
        check_config(file, (pith_type)type);
        pith_model_file_close(file);
        pith_model *model = open_model(out);
        pith_model *in_memory = random_model("stories-15m", (pith_type)type);
        eval(model, found);
        eval(in_memory, expected);
        /* In int8, the head's type with int4, one code in 256 differs by one. */
        bool exact = type != PITH_TYPE_INT8 && type != PITH_TYPE_INT4;
        double error = 0.0;
        double weight = 0.0;
        for (size_t i = 0; i < PIECES; i++) {
            CHECK(!exact || found[i] == expected[i], "%s, token %zu: %g, not %g",
                  pith_type_name((pith_type)type), i, (double)found[i], (double)expected[i]);
            error += pow((double)found[i] - (double)expected[i], 2);
            weight += pow((double)expected[i], 2);
        }
        CHECK(weight > 0 && error < 0.01 * weight, "%s: error %g of %g",
              pith_type_name((pith_type)type), error, weight);
        pith_model_free(in_memory);
        pith_model_free(model);
    }
    free(expected);
    free(found);
    CHECK_NO_LEAKS();
}

/* ---- Encoders -------------------------------------------------------------------------------- */

enum { EMBEDDING = 384, N_IDS = 12 };

static void embed(const pith_model *model, float *out) {
    int32_t ids[N_IDS];
    pith_error error = {0};
    for (size_t i = 0; i < N_IDS; i++) {
        ids[i] = (int32_t)(i * 7919 % 30522);
    }
    const pith_encoder_text text = {.ids = ids, .n_tokens = N_IDS, .n_first = N_IDS};
    CHECK(pith_embed_tokens(model, &text, 1, NULL, NULL, out, &error) == PITH_OK, "%s",
          error.message);
}

TEST(convert_shape, an_encoder_computes_what_the_model_in_memory_does) {
    const char *out = test_path("encoder.pith");
    for (int type = 0; type < PITH_N_TYPES; type++) {
        const pith_convert_options options =
            options_of("minilm-l6", (pith_type)type, test_root("golden/minilm"));
        float expected[EMBEDDING];
        float found[EMBEDDING];
        convert(&options, out);
        pith_model *model = open_model(out);
        pith_model *in_memory = random_model("minilm-l6", (pith_type)type);
        pith_model_info info;
        pith_model_get_info(model, &info);
        CHECK(info.n_vocab == 30522 && info.n_embd == EMBEDDING && info.n_context == 256,
              "%zu tokens, %zu wide, %zu long", info.n_vocab, info.n_embd, info.n_context);
        embed(model, found);
        embed(in_memory, expected);
        double cosine = 0.0;
        for (size_t i = 0; i < EMBEDDING; i++) {
            cosine += (double)found[i] * (double)expected[i];
            CHECK(type == PITH_TYPE_INT8 || type == PITH_TYPE_INT4 || found[i] == expected[i],
                  "%s, element %zu: %g, not %g", pith_type_name((pith_type)type), i,
                  (double)found[i], (double)expected[i]);
        }
        CHECK(cosine > 0.999, "%s: cosine %g", pith_type_name((pith_type)type), cosine);
        pith_model_free(in_memory);
        pith_model_free(model);
    }
    CHECK_NO_LEAKS();
}

/* ---- The file -------------------------------------------------------------------------------- */

TEST(convert_shape, any_number_of_threads_writes_the_same_bytes) {
    const char *paths[] = {test_path("one.pith"), test_path("five.pith"), test_path("again.pith")};
    static const size_t n_threads[] = {1, 5, 1};
    size_t sizes[3];
    char *bytes[3];
    for (size_t i = 0; i < 3; i++) {
        pith_convert_options options =
            options_of("stories-15m", PITH_TYPE_INT4, test_root("golden/llama3"));
        options.n_threads = n_threads[i];
        convert(&options, paths[i]);
        bytes[i] = test_read_file(paths[i], &sizes[i]);
    }
    for (size_t i = 1; i < 3; i++) {
        CHECK(sizes[i] == sizes[0] && memcmp(bytes[i], bytes[0], sizes[0]) == 0,
              "%zu threads write other bytes", n_threads[i]);
    }
    for (size_t i = 0; i < 3; i++) {
        free(bytes[i]);
    }
}

TEST(convert_shape, what_does_not_fit_is_refused_by_name) {
    static const struct {
        const char *shape, *tokenizer;
        pith_status status;
        const char *parts[2]; /* of the message */
    } cases[] = {
        {"llama9-1b", "golden/llama3", PITH_ERROR_ARGUMENT, {"\"llama9-1b\"", "stories-15m"}},
        {"stories-15m", "golden", PITH_ERROR_FORMAT, {"golden", "no tokenizer.json"}},
        {"stories-15m", "golden/no-such.json", PITH_ERROR_IO, {"no-such.json", "No such file"}},
        {"stories-15m", "golden/minilm", PITH_ERROR_UNSUPPORTED, {"WordPiece", "decoder"}},
    };
    const char *out = test_path("refused.pith");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_error error = {0};
        const pith_convert_options options =
            options_of(cases[i].shape, PITH_TYPE_INT8, test_root(cases[i].tokenizer));
        pith_status status = pith_convert(NULL, out, &options, &error);
        CHECK(status == cases[i].status && strstr(error.message, cases[i].parts[0]) != NULL &&
                  strstr(error.message, cases[i].parts[1]) != NULL,
              "case %zu: %s: %s", i, pith_status_name(status), error.message);
        CHECK(access(out, F_OK) != 0, "case %zu left a file", i);
    }
}

/* vocab.txt with `n` words. */
static const char *make_vocabulary(const char *name, size_t n) {
    static const char special[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    const char *directory = test_make_directory(name);
    FILE *f = fopen(test_join(directory, "vocab.txt"), "w");
    CHECK(f != NULL, "no vocab.txt");
    fputs(special, f);
    for (size_t i = 5; i < n; i++) {
        fprintf(f, "w%zu\n", i);
    }
    fclose(f);
    return directory;
}

TEST(convert_shape, the_vocabulary_is_the_tokenizers_up_to_the_shapes) {
    const char *out = test_path("vocabulary.pith");
    static const size_t sizes[] = {5, 1000, 30522, 30523};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char name[32];
        pith_error error = {0};
        snprintf(name, sizeof name, "words-%zu", sizes[i]);
        const pith_convert_options options =
            options_of("minilm-l6", PITH_TYPE_INT8, make_vocabulary(name, sizes[i]));
        pith_status status = pith_convert(NULL, out, &options, &error);
        if (sizes[i] > 30522) {
            CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "30523") != NULL &&
                      strstr(error.message, "minilm-l6, whose vocabulary has 30522") != NULL,
                  "%s: %s", pith_status_name(status), error.message);
            continue;
        }
        CHECK(status == PITH_OK, "%zu words: %s", sizes[i], error.message);
        pith_model_file *file = test_open_file(out);
        CHECK(file->network.config.vocab_size == sizes[i] && file->vocab.n_pieces == sizes[i],
              "%zu rows for %zu words", file->network.config.vocab_size, sizes[i]);
        pith_model_file_close(file);
    }
}

TEST(convert_shape, arguments_exclude_each_other) {
    const char *out = test_path("argument.pith");
    const pith_convert_options good =
        options_of("stories-15m", PITH_TYPE_INT4, test_root("golden/llama3"));
    pith_convert_options cases[] = {good, good, good, good};
    cases[1].tokenizer_path = NULL;
    cases[2].importance_path = "importance";
    cases[3].shape = NULL;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_error error = {0};
        pith_status status =
            pith_convert(i == 0 ? test_root("golden/llama3") : NULL, out, &cases[i], &error);
        CHECK(status == PITH_ERROR_ARGUMENT, "case %zu: %s", i, pith_status_name(status));
        CHECK(access(out, F_OK) != 0, "case %zu left a file", i);
    }
}

/* ---- Failures -------------------------------------------------------------------------------- */

static bool stop_at_third(void *user, size_t done, size_t total) {
    size_t *n = user;
    CHECK(done <= total, "%zu of %zu", done, total);
    return ++*n < 3;
}

TEST(convert_shape, stops_when_told_to) {
    const char *place = test_make_directory("stopped");
    pith_convert_options options =
        options_of("stories-15m", PITH_TYPE_INT4, test_root("golden/llama3"));
    size_t n = 0;
    pith_error error = {0};
    options.progress = stop_at_third;
    options.progress_user = &n;
    pith_status status = pith_convert(NULL, test_join(place, "m.pith"), &options, &error);
    CHECK(status == PITH_ERROR_STOPPED && n == 3, "%s after %zu calls", pith_status_name(status),
          n);
    CHECK(test_list_directory(place)[0] == '\0', "left %s", test_list_directory(place));
    CHECK_NO_LEAKS();
}

TEST(convert_shape, survives_every_failed_allocation) {
    const char *place = test_make_directory("memory");
    const char *tokenizer = test_join(make_vocabulary("few-words", 20), "vocab.txt");
    const char *out = test_join(place, "m.pith");
    for (size_t fail_at = 1;; fail_at++) {
        test_allocator t;
        pith_error error = {0};
        pith_convert_options options = options_of("minilm-l6", PITH_TYPE_INT4, tokenizer);
        test_allocator_init(&t);
        t.fail_at = fail_at;
        options.allocator = &t.allocator;
        pith_status status = pith_convert(NULL, out, &options, &error);
        CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", fail_at, (size_t)t.n_live);
        if (t.n_calls < fail_at) {
            CHECK(status == PITH_OK && fail_at > 20, "%zu allocations: %s", fail_at, error.message);
            break;
        }
        CHECK(status == PITH_ERROR_MEMORY && error.message[0] != '\0', "allocation %zu: %s: %s",
              fail_at, pith_status_name(status), error.message);
        CHECK(test_list_directory(place)[0] == '\0', "allocation %zu left %s", fail_at,
              test_list_directory(place));
    }
    CHECK_NO_LEAKS();
}
