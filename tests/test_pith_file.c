/* Opening .pith files: what a good one gives, and what happens when memory ends. */
#include "base/pool.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Good files ------------------------------------------------------------------------------ */

static void check_matrix(const pith_config *config, pith_extent rows, const pith_matrix *matrix,
                         const pith_slot *slot) {
    float row[128];
    CHECK((uintptr_t)matrix->data % 64 == 0, "%s is not aligned", slot->name);
    CHECK(matrix->rows == slot->rows && matrix->cols == slot->cols && slot->cols <= 128,
          "%s is %zu x %zu", slot->name, matrix->rows, matrix->cols);
    for (size_t r = 0; r < matrix->rows; r++) {
        float sum = 0;
        pith_matrix_row(matrix, r, row);
        for (size_t k = 0; k < matrix->cols; k++) {
            sum += row[k] * row[k];
        }
        if (test_is_real_row(config, slot, rows, r)) {
            CHECK(isfinite(sum) && sum > 0.1F && sum < 10, "%s, row %zu: norm %g", slot->name, r,
                  (double)sum);
        } else {
            CHECK(sum == 0, "%s, padding row %zu: norm %g", slot->name, r, (double)sum);
        }
    }
}

static void check_weights(pith_network *llama) {
    size_t n = 0;
    const pith_family *family = &pith_family_llama;
    for (size_t part = 0; part < pith_family_n_parts(family); part++) {
        const pith_rule *rule = pith_family_rule(family, part);
        pith_slot slot;
        for (size_t layer = pith_family_first_layer(family, part);
             pith_family_slot(family, &llama->config, part, layer, &slot); layer++) {
            const pith_slot_place place = pith_rule_place(rule, llama, layer);
            if (slot.is_matrix) {
                check_matrix(&llama->config, rule->rows, place.matrix, &slot);
            } else {
                const float *v = *place.vector;
                CHECK(v != NULL && isfinite(v[0]) && v[0] != 0, "%s", slot.name);
            }
            n++;
        }
    }
    CHECK(n >= 3 + 6 * llama->config.num_hidden_layers - 1, "%zu tensors", n);
}

static pith_model_file *open_path(const char *path, bool map, pith_pool *pool) {
    pith_model_file *file = NULL;
    pith_error error;
    pith_status status = pith_model_file_open(&file, path, map, pool, NULL, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return file;
}

TEST(pith_file, opens_every_type) {
    for (unsigned type = 0; type < PITH_N_TYPES; type++) {
        const char *path = test_path("model.pith");
        test_model model;
        test_model_default(&model, (pith_type)type);
        test_write_model(path, &model);
        pith_model_file *file = open_path(path, false, NULL);
        CHECK(strcmp(file->path, path) == 0, "path %s", file->path);
        CHECK(file->network.config.norm_eps == model.config.norm_eps &&
                  file->network.config.num_key_value_heads == 1,
              "configuration");
        CHECK(file->metadata.type == type && file->network.layers[1].down.matrix.type == type &&
                  file->network.head.type == model.head_type,
              "types");
        CHECK(file->metadata.bos == 1 && file->metadata.n_eos == 1 && file->metadata.eos[0] == 2,
              "tokens");
        check_weights(&file->network);
        pith_model_file_close(file);
    }
    pith_model_file_close(NULL);
    CHECK_NO_LEAKS();
}

TEST(pith_file, opens_biases_and_tied_embeddings) {
    const char *path = test_path("model.pith");
    test_model model;
    test_model_default(&model, PITH_TYPE_INT8);
    model.config.qkv_bias = model.config.o_bias = model.config.mlp_bias = true;
    model.config.tie_word_embeddings = true;
    model.config.hidden_size = 36; /* rows and columns that need padding */
    model.config.intermediate_size = 50;
    test_write_model(path, &model);
    pith_model_file *file = open_path(path, false, NULL);
    check_weights(&file->network);
    CHECK(file->network.head.data == file->network.embed.data && file->network.head.data != NULL &&
              file->network.head.rows == 304,
          "the head is not the embedding");
    CHECK(file->network.layers[0].down.bias != NULL && file->network.layers[1].qkv.bias != NULL,
          "biases");
    CHECK(file->n_params ==
              300 * 36 + 36 +
                  2 * (2 * 36 + 48 * 36 + 48 + 36 * 32 + 36 + 3 * 36 * 50 + 2 * 50 + 36),
          "%zu parameters", file->n_params);
    pith_model_file_close(file);
}

TEST(pith_file, gives_the_vocabulary) {
    test_image im = test_image_of_type(PITH_TYPE_F16);
    pith_model_file *file = NULL;
    pith_error error;
    pith_status status =
        pith_model_file_open_memory(&file, im.bytes, im.size, "m", NULL, NULL, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    const pith_vocab *v = &file->vocab;
    const pith_vocab *e = test_vocab();
    CHECK(v->n_pieces == e->n_pieces && v->n_bytes == e->n_bytes && v->unk == e->unk, "counts");
    CHECK(memcmp(v->bytes, e->bytes, e->n_bytes) == 0, "bytes");
    CHECK(memcmp(v->offsets, e->offsets, (e->n_pieces + 1) * 4) == 0, "offsets");
    CHECK(memcmp(v->scores, e->scores, e->n_pieces * 4) == 0, "scores");
    CHECK(memcmp(v->types, e->types, e->n_pieces) == 0, "types");
    CHECK(memcmp(v->added, e->added, e->n_pieces) == 0, "added");
    CHECK(v->merges == NULL && v->n_merges == 0, "merges");
    pith_model_file_close(file);
    free(im.bytes);
}

TEST(pith_file, opens_without_a_tokenizer) {
    const char *path = test_path("bare.pith");
    test_model model;
    test_model_default(&model, PITH_TYPE_INT4);
    model.tokenizer = false;
    model.chat_format = NULL;
    test_write_model(path, &model);
    pith_model_file *file = open_path(path, false, NULL);
    CHECK(file->vocab.n_pieces == 0 && file->vocab.bytes == NULL, "a vocabulary");
    CHECK(file->metadata.chat_format == NULL, "a chat format");
    pith_model_file_close(file);
}

/* Large enough for several pieces of the parallel read. */
TEST(pith_file, read_mapped_and_in_memory_give_the_same_bytes) {
    const char *path = test_path("large.pith");
    test_model model;
    pith_pool *pool = NULL;
    pith_error error;
    test_model_default(&model, PITH_TYPE_F32);
    model.config.hidden_size = 1024;
    model.config.vocab_size = 3000;
    model.config.num_hidden_layers = 1;
    test_write_model(path, &model);
    CHECK(pith_pool_new(&pool, 3, &pith_malloc_allocator, &error) == PITH_OK, "%s", error.message);
    pith_model_file *files[] = {
        open_path(path, false, NULL),
        open_path(path, false, pool),
        open_path(path, true, NULL),
    };
    size_t size = 0;
    unsigned char *bytes = test_read_file(path, &size);
    size_t offset = pith_safetensors_data_offset(files[0]->header);
    CHECK(size > (20 << 20), "only %zu bytes", size);
    for (size_t i = 0; i < 3; i++) {
        CHECK(memcmp(files[i]->data, bytes + offset, size - offset) == 0, "way %zu differs", i);
        CHECK((const unsigned char *)files[i]->network.head.data -
                      (const unsigned char *)files[i]->data ==
                  (const unsigned char *)files[0]->network.head.data -
                      (const unsigned char *)files[0]->data,
              "way %zu: the head is elsewhere", i);
        CHECK(files[i]->weight_bytes == files[0]->weight_bytes, "way %zu: %zu bytes", i,
              files[i]->weight_bytes);
    }
    for (size_t i = 0; i < 3; i++) {
        pith_model_file_close(files[i]);
    }
    pith_pool_free(pool);
    free(bytes);
    CHECK_NO_LEAKS();
}

/* What a watch saw; it says no after `patience` calls. */
typedef struct watcher {
    size_t n_calls, patience, done, total;
    bool orderly; /* never fewer bytes than before, never more than all */
} watcher;

static bool watch_load(void *user, size_t done, size_t total) {
    watcher *w = user;
    w->orderly = w->orderly && done >= w->done && done <= total && (done > 0 || w->n_calls == 0) &&
                 (w->n_calls == 0 || total == w->total);
    w->done = done;
    w->total = total;
    return ++w->n_calls < w->patience;
}

TEST(pith_file, loading_is_watched_and_can_be_stopped) {
    const char *path = test_path("watched.pith");
    test_model model;
    pith_error error;
    test_model_default(&model, PITH_TYPE_F32);
    model.config.intermediate_size = 65536; /* 25 MB: several pieces */
    model.config.num_hidden_layers = 1;
    test_write_model(path, &model);
    for (size_t n_threads = 0; n_threads <= 3; n_threads++) {
        pith_pool *pool = NULL;
        CHECK(n_threads == 0 || pith_pool_new(&pool, n_threads, NULL, &error) == PITH_OK, "%s",
              error.message);
        watcher w = {.patience = SIZE_MAX, .orderly = true};
        pith_load_watch watch = {.fn = watch_load, .user = &w};
        pith_model_file *file = NULL;
        pith_status status = pith_model_file_open_watched(&file, path, false, pool, &watch, NULL,
                                                          NULL, NULL, &error);
        CHECK(status == PITH_OK, "%zu threads: %s", n_threads, error.message);
        CHECK(w.orderly && w.total > (20 << 20) && w.done == w.total,
              "%zu threads: %zu of %zu bytes after %zu calls", n_threads, w.done, w.total,
              w.n_calls);
        CHECK(n_threads > 1 || w.n_calls > 3, "%zu threads: %zu calls", n_threads, w.n_calls);
        pith_model_file_close(file);
        for (size_t patience = 1; patience <= (n_threads > 1 ? 1U : w.n_calls); patience++) {
            watcher impatient = {.patience = patience, .orderly = true};
            watch.user = &impatient;
            file = NULL;
            status = pith_model_file_open_watched(&file, path, false, pool, &watch, NULL, NULL,
                                                  NULL, &error);
            CHECK(status == PITH_ERROR_STOPPED && file == NULL &&
                      strstr(error.message, "watched.pith") != NULL,
                  "%zu threads, call %zu: %s", n_threads, patience, pith_status_name(status));
            CHECK(impatient.n_calls == patience, "%zu threads: %zu calls, not %zu", n_threads,
                  impatient.n_calls, patience);
        }
        pith_pool_free(pool);
    }
    CHECK_NO_LEAKS();
}

TEST(pith_file, memory_must_be_aligned) {
    test_image im = test_image_of_type(PITH_TYPE_INT4);
    pith_model_file *file = NULL;
    memmove(im.bytes + 8, im.bytes, im.size);
    pith_status status =
        pith_model_file_open_memory(&file, im.bytes + 8, im.size, "m", NULL, NULL, NULL);
    CHECK(status == PITH_ERROR_ARGUMENT && file == NULL, "%s", pith_status_name(status));
    free(im.bytes);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

TEST(pith_file, survives_every_failing_allocation) {
    const char *path = test_path("memory.pith");
    test_allocator t;
    test_allocator_init(&t);
    test_write_tiny_model(path, PITH_TYPE_INT4, 1);
    for (int map = 0; map < 2; map++) {
        pith_status status = PITH_ERROR_MEMORY;
        size_t n = 0;
        while (status != PITH_OK) {
            pith_model_file *file = NULL;
            pith_error error;
            t.n_calls = 0;
            t.fail_at = ++n;
            status = pith_model_file_open(&file, path, map != 0, NULL, NULL, &t.allocator, &error);
            CHECK(status == PITH_OK || status == PITH_ERROR_MEMORY, "allocation %zu: %s", n,
                  error.message);
            pith_model_file_close(file);
            CHECK(status == PITH_OK || t.n_calls >= n, "fails without a failing allocation");
            CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", n, (size_t)t.n_live);
        }
        CHECK(n > 10, "only %zu allocations", n);
    }
}

TEST(pith_file, survives_the_end_of_memory) {
    const char *path = test_path("memory.pith");
    test_allocator t;
    test_allocator_init(&t);
    test_write_tiny_model(path, PITH_TYPE_INT4, 1);
    t.fail_after = true;
    pith_status status = PITH_ERROR_MEMORY;
    size_t n = 0;
    while (status != PITH_OK) {
        pith_model_file *file = NULL;
        t.n_calls = 0;
        t.fail_at = ++n;
        status = pith_model_file_open(&file, path, false, NULL, NULL, &t.allocator, NULL);
        CHECK(status == PITH_OK || status == PITH_ERROR_MEMORY, "allocation %zu: %s", n,
              pith_status_name(status));
        pith_model_file_close(file);
        CHECK(status == PITH_OK || t.n_calls >= n, "fails without a failing allocation");
        CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", n, (size_t)t.n_live);
    }
    CHECK(n > 10, "only %zu allocations", n);
}
