/* The memory of a session: it grows with the timeline, block by block, forks share it, and a
 * failure to grow changes nothing. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session.h"
#include "tests/calls.h"
#include "tests/fixture.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 300, CONTEXT = 900 };

static const pith_kv_type kv_types[] = {PITH_KV_F32, PITH_KV_F16, PITH_KV_INT8};

static pith_model *open_model(const pith_allocator *allocator) {
    test_model description;
    test_model_default(&description, PITH_TYPE_INT8);
    description.config.num_key_value_heads = 2;
    description.config.max_position_embeddings = CONTEXT;
    const char *path = test_path("memory.pith");
    test_write_model(path, &description);
    pith_model_options options = {.n_threads = 2, .blas = PITH_BLAS_OFF, .allocator = allocator};
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return model;
}

static pith_session *fork_of(const pith_session *session) {
    pith_session *fork = NULL;
    pith_error error;
    pith_status status = pith_session_fork(&fork, session, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    return fork;
}

static void make_tokens(int32_t *tokens, size_t n, uint64_t seed) {
    for (size_t i = 0; i < n; i++) {
        tokens[i] = (int32_t)(test_random(&seed) % VOCAB);
    }
}

/* The logits of s are those of a session that evaluates the same timeline alone. */
static void check_alone(const pith_session *s, const char *what) {
    pith_session *alone =
        test_session(s->model, (pith_session_options){.kv_type = s->kv.shape.type, .n_batch = 61});
    test_eval(alone, pith_session_tokens(s), pith_session_length(s));
    CHECK(memcmp(pith_session_logits(s), pith_session_logits(alone), VOCAB * sizeof(float)) == 0,
          "%s: logits after %zu tokens differ", what, pith_session_length(s));
    pith_session_free(alone);
}

/* ---- Growth ---------------------------------------------------------------------------------- */

static bool begins_block(size_t position) {
    size_t at = position % PITH_KV_CHUNK;
    return at == 0 || at == 16 || at == 32 || at == 64 || at == 128;
}

TEST(engine_memory, an_eval_allocates_where_a_block_begins_and_nowhere_else) {
    static int32_t tokens[CONTEXT];
    make_tokens(tokens, CONTEXT, 1);
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model *model = open_model(&counting.allocator);
    for (size_t k = 0; k < 3; k++) {
        pith_session *s = test_session(model, (pith_session_options){.kv_type = kv_types[k]});
        CHECK(pith_session_memory(s) == 0, "%zu bytes of an empty cache", pith_session_memory(s));
        for (size_t i = 0; i < CONTEXT; i++) {
            size_t calls = counting.n_calls;
            test_eval(s, tokens + i, 1);
            CHECK((counting.n_calls != calls) == begins_block(i), "%zu allocations at position %zu",
                  (size_t)counting.n_calls - calls, i);
            size_t held = pith_session_memory(s);
            size_t counted = pith_model_kv_bytes(model, kv_types[k], i + 1);
            size_t whole = CONTEXT / PITH_KV_CHUNK * PITH_KV_CHUNK; /* the rest is cut short */
            CHECK(held <= counted && (held == counted || i >= whole + 128),
                  "kv type %d: %zu bytes after %zu positions, %zu counted", (int)kv_types[k], held,
                  i + 1, counted);
        }
        check_alone(s, "grown");
        CHECK(pith_session_memory(s) < pith_model_kv_bytes(model, kv_types[k], CONTEXT),
              "the last chunk is longer than the context");
        size_t calls = counting.n_calls;
        CHECK(pith_session_rewind(s, 3, NULL) == PITH_OK, "rewind");
        test_eval(s, tokens, CONTEXT - 3);
        CHECK(counting.n_calls == calls, "a rewind lost memory");
        check_alone(s, "rewound");
        pith_session_free(s);
    }
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* With all logits, also where an eval has more tokens than any before. */
TEST(engine_memory, logits_take_memory_as_evals_get_longer) {
    static int32_t tokens[CONTEXT];
    make_tokens(tokens, CONTEXT, 2);
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model *model = open_model(&counting.allocator);
    pith_session_free(test_session(model, (pith_session_options){0})); /* work buffers */
    size_t before = counting.n_bytes;
    pith_session *s = test_session(model, (pith_session_options){.all_logits = true});
    size_t row = s->logits_stride * sizeof(float);
    size_t list = (CONTEXT + 255) / 256 * sizeof(void *);
    CHECK(counting.n_bytes - before < 2 * row + sizeof *s + list + 512, "%zu bytes when new",
          (size_t)counting.n_bytes - before);
    static const size_t lengths[] = {1, 5, 16, 40, 40, 200, 1, 300};
    for (size_t i = 0, at = 0; i < sizeof lengths / sizeof *lengths; i++) {
        test_eval(s, tokens + at, lengths[i]);
        at += lengths[i];
        CHECK(pith_session_logits_at(s, lengths[i] - 1) == pith_session_logits(s) &&
                  pith_session_logits_at(s, lengths[i]) == NULL,
              "eval %zu: not %zu rows", i, lengths[i]);
        check_alone(s, "all logits");
    }
    pith_session *fork = fork_of(s);
    for (size_t i = 0; i < 300; i++) {
        CHECK(memcmp(pith_session_logits_at(fork, i), pith_session_logits_at(s, i),
                     VOCAB * sizeof(float)) == 0,
              "row %zu of the fork", i);
    }
    pith_session_free(s);
    check_alone(fork, "fork");
    pith_session_free(fork);
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* Four tokens of a cache like that of Llama 2 7B, 0.5 MB a position. */
TEST(engine_memory, a_few_tokens_of_a_large_model_take_a_few_megabytes) {
    test_model description;
    test_model_default(&description, PITH_TYPE_INT4);
    description.config.num_hidden_layers = 32;
    description.config.num_attention_heads = 32;
    description.config.num_key_value_heads = 32;
    description.config.head_dim = 128;
    description.config.max_position_embeddings = 4096;
    const char *path = test_path("large.pith");
    test_write_model(path, &description);
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model_options options = {.allocator = &counting.allocator, .blas = PITH_BLAS_OFF};
    pith_model *model = NULL;
    pith_error error;
    pith_status status = pith_model_open(&model, path, &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    const int32_t tokens[4] = {5, 6, 7, 8};
    pith_session *first = test_session(model, (pith_session_options){0});
    size_t before = counting.n_bytes;
    pith_session *second = test_session(model, (pith_session_options){0});
    test_eval(second, tokens, 4);
    CHECK(counting.n_bytes - before < 20000000, "%zu bytes", (size_t)counting.n_bytes - before);
    size_t held = pith_session_memory(second);
    CHECK(held == pith_model_kv_bytes(model, PITH_KV_AUTO, 4) && held >= 16 * (1 << 19),
          "%zu bytes held", held);
    pith_session_free(first);
    pith_session_free(second);
    pith_model_free(model);
}

TEST(engine_memory, bytes_are_counted_in_any_range) {
    pith_model *model = open_model(NULL);
    size_t last = 0;
    for (size_t n = 0; n < 1100; n++) {
        size_t bytes = pith_model_kv_bytes(model, PITH_KV_AUTO, n);
        CHECK(bytes >= last && bytes == pith_model_kv_bytes(model, PITH_KV_F16, n) &&
                  (bytes > last) == (begins_block(n - 1) && n != 0),
              "%zu bytes for %zu positions, %zu for one less", bytes, n, last);
        CHECK(n == 0 || pith_model_kv_bytes(model, PITH_KV_F32, n) > bytes, "f32 takes less");
        last = bytes;
    }
    CHECK(pith_model_kv_bytes(model, PITH_KV_F16, SIZE_MAX) == SIZE_MAX, "more than size_t holds");
    CHECK(pith_model_kv_bytes(model, PITH_KV_F16, SIZE_MAX / 16) == SIZE_MAX, "an overflow");
    CHECK(pith_model_kv_bytes(model, (pith_kv_type)4, 1) == 0, "an unknown type");
    pith_model_free(model);
}

/* ---- Failures -------------------------------------------------------------------------------- */

/* Sessions that are evaluated together, with what they were before. */
typedef struct group {
    pith_session *sessions[3];
    const int32_t *lists[3];
    size_t lengths[3];
    float logits[3][2][VOCAB]; /* the last two rows, of the second session with all logits */
} group;

static void check_unchanged(const group *g, const size_t *lengths, const int32_t *tokens,
                            size_t k) {
    for (size_t i = 0; i < 3; i++) {
        const pith_session *s = g->sessions[i];
        CHECK(pith_session_length(s) == lengths[i] &&
                  memcmp(pith_session_tokens(s), tokens, lengths[i] * sizeof *tokens) == 0,
              "allocation %zu failed: timeline %zu changed", k, i);
        CHECK(memcmp(pith_session_logits(s), g->logits[i][0], sizeof g->logits[i][0]) == 0,
              "allocation %zu failed: logits %zu changed", k, i);
    }
    CHECK(memcmp(pith_session_logits_at(g->sessions[1], 0), g->logits[1][1],
                 sizeof g->logits[1][1]) == 0,
          "allocation %zu failed: the first row of logits changed", k);
}

/* Every allocation of a batch's growth made to fail in turn, from lengths where one session enters
 * a block, one a chunk, and one several; then success. */
TEST(engine_memory, growth_without_memory_changes_nothing) {
    static int32_t tokens[CONTEXT];
    make_tokens(tokens, CONTEXT, 3);
    static const size_t lengths[3] = {16, 250, 30};
    static const size_t counts[3] = {1, 300, 600};
    test_allocator failing;
    test_allocator_init(&failing);
    pith_model *model = open_model(&failing.allocator);
    size_t k = 0;
    pith_status status = PITH_ERROR_MEMORY;
    while (status != PITH_OK) {
        k++;
        group g;
        for (size_t i = 0; i < 3; i++) {
            g.sessions[i] = test_session(model, (pith_session_options){.all_logits = i == 1,
                                                                       .kv_type = kv_types[i]});
            test_eval(g.sessions[i], tokens, lengths[i]);
            memcpy(g.logits[i][0], pith_session_logits(g.sessions[i]), sizeof g.logits[i][0]);
            g.lists[i] = tokens + lengths[i];
        }
        memcpy(g.logits[1][1], pith_session_logits_at(g.sessions[1], 0), sizeof g.logits[1][1]);
        pith_error error = {.status = PITH_OK};
        failing.fail_at = failing.n_calls + k;
        status = pith_batch_eval(g.sessions, 3, g.lists, counts, &error);
        failing.fail_at = 0;
        if (status != PITH_OK) {
            CHECK(status == PITH_ERROR_MEMORY && strstr(error.message, "900") != NULL,
                  "allocation %zu: status %d: %s", k, (int)status, error.message);
            check_unchanged(&g, lengths, tokens, k);
            CHECK(pith_batch_eval(g.sessions, 3, g.lists, counts, &error) == PITH_OK, "%s",
                  error.message);
        }
        for (size_t i = 0; i < 3; i++) {
            if (k == 1 || status == PITH_OK) {
                check_alone(g.sessions[i], "after a failure");
            }
            pith_session_free(g.sessions[i]);
        }
    }
    /* Tokens, chunk; tokens, logits, two or three chunks; tokens, four or so. */
    CHECK(k > 8, "only %zu allocations", k - 1);
    pith_model_free(model);
    CHECK(failing.n_live == 0, "%zu blocks leaked", (size_t)failing.n_live);
}

/* Without memory, tokens that are evaluated ahead and the first eval of a fork change nothing
 * either. */
TEST(engine_memory, ahead_and_forked_growth_without_memory_changes_nothing) {
    static int32_t tokens[CONTEXT];
    make_tokens(tokens, CONTEXT, 4);
    test_allocator failing;
    test_allocator_init(&failing);
    pith_model *model = open_model(&failing.allocator);
    pith_session *s = test_session(model, (pith_session_options){0});
    test_eval(s, tokens, 31);
    pith_session *fork = fork_of(s);
    pith_session *third = fork_of(s); /* for which the others copy what they share */
    float *ahead = test_guarded(3 * s->logits_stride * sizeof *ahead);
    for (int step = 0; step < 2; step++) {
        pith_session *changed = step == 0 ? s : fork;
        size_t k = 0;
        pith_status status;
        pith_ahead looked = {.tokens = tokens + 31, .n = 4, .n_ahead = 3, .logits = ahead};
        do {
            pith_error error = {.status = PITH_OK};
            if (step == 0) {
                pith_session_look_ahead(s, &looked);
            }
            failing.fail_at = failing.n_calls + ++k;
            status = pith_session_eval(changed, tokens + 31, step == 0 ? 4 : 1, &error);
            failing.fail_at = 0;
            CHECK(status == PITH_OK ||
                      (status == PITH_ERROR_MEMORY && pith_session_length(changed) == 31),
                  "step %d, allocation %zu: status %d", step, k, (int)status);
            CHECK(pith_session_logits(changed) != NULL, "step %d: no logits", step);
        } while (status != PITH_OK);
        CHECK(k == (step == 0 ? 3 : 2), "step %d: %zu allocations", step, k - 1);
        check_alone(changed, "after failures");
    }
    test_guarded_free(ahead, 3 * s->logits_stride * sizeof *ahead);
    pith_session_free(s);
    pith_session_free(fork);
    pith_session_free(third);
    pith_model_free(model);
    CHECK(failing.n_live == 0, "%zu blocks leaked", (size_t)failing.n_live);
}

/* ---- Forks ----------------------------------------------------------------------------------- */

TEST(engine_memory, a_fork_shares_the_cache_until_it_goes_on) {
    enum { FORKS = 5, LENGTH = 600 };
    static int32_t tokens[CONTEXT];
    make_tokens(tokens, CONTEXT, 5);
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model *model = open_model(&counting.allocator);
    for (size_t k = 0; k < 3; k++) {
        pith_session *s = test_session(model, (pith_session_options){.kv_type = kv_types[k]});
        test_eval(s, tokens, LENGTH);
        size_t whole = pith_model_kv_bytes(model, kv_types[k], 512);
        size_t tail = pith_session_memory(s) - whole;
        pith_session *forks[FORKS];
        for (size_t i = 0; i < FORKS; i++) {
            size_t before = counting.n_bytes;
            forks[i] = fork_of(s);
            size_t cost = counting.n_bytes - before;
            CHECK(cost < tail / 2, "fork %zu costs %zu bytes of %zu", i, cost,
                  pith_session_memory(s));
            CHECK(pith_session_memory(forks[i]) == whole + tail, "fork %zu holds %zu bytes", i,
                  pith_session_memory(forks[i]));
        }
        size_t before = counting.n_bytes;
        for (size_t i = 0; i < FORKS; i++) {
            test_eval(forks[i], tokens + LENGTH + i, 1 + 7 * i);
        }
        size_t cost = counting.n_bytes - before;
        CHECK(cost < FORKS * (tail + 1024), "the forks go on for %zu bytes, blocks have %zu", cost,
              tail);
        size_t calls = counting.n_calls;
        test_eval(s, tokens, 1);
        CHECK(counting.n_calls == calls, "the last one to share copies, too");
        check_alone(s, "the original");
        pith_session_free(s);
        for (size_t i = 0; i < FORKS; i++) {
            test_eval(forks[i], tokens + 5, 2);
            check_alone(forks[i], "a fork");
            pith_session_free(forks[i]);
        }
    }
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}

/* Timelines that go back into what they share and on from there. */
TEST(engine_memory, a_rewound_fork_leaves_the_others_alone) {
    static const size_t places[] = {0, 1, 15, 16, 200, 255, 256, 257, 511, 512, 513, 599, 600};
    static int32_t tokens[CONTEXT];
    make_tokens(tokens, CONTEXT, 6);
    pith_model *model = open_model(NULL);
    for (size_t p = 0; p < sizeof places / sizeof *places; p++) {
        pith_session *s = test_session(model, (pith_session_options){.kv_type = kv_types[p % 3]});
        test_eval(s, tokens, 600);
        pith_session *fork = fork_of(s);
        pith_session *second = fork_of(fork);
        pith_session *changed = p % 2 == 0 ? fork : s;
        pith_session *kept = p % 2 == 0 ? s : fork;
        CHECK(pith_session_rewind(changed, places[p], NULL) == PITH_OK, "rewind");
        pith_session *rest = fork_of(changed);
        CHECK(pith_session_memory(rest) <= pith_model_kv_bytes(model, kv_types[p % 3], 768) &&
                  (places[p] != 0 || pith_session_memory(rest) == 0) &&
                  (places[p] > 256 ||
                   pith_session_memory(rest) <= pith_model_kv_bytes(model, kv_types[p % 3], 256)),
              "a fork of %zu tokens holds %zu bytes", places[p], pith_session_memory(rest));
        test_eval(changed, tokens + 100, 290);
        test_eval(rest, tokens + 200, 3);
        check_alone(changed, "rewound");
        check_alone(rest, "fork of the rewound");
        pith_session_free(changed);
        test_eval(kept, tokens + 600, 2);
        check_alone(kept, "kept");
        test_eval(second, tokens + 601, 1);
        check_alone(second, "second");
        pith_session_free(kept);
        pith_session_free(second);
        pith_session_free(rest);
    }
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

enum { WORKERS = 4, ROUNDS = 5 };

typedef struct worker {
    pith_session *session;
    const int32_t *tokens;
    size_t index;
    pith_status status;
} worker;

/* Goes on, forks itself, goes back, and frees what it had. */
static void *run_worker(void *argument) {
    worker *w = argument;
    for (size_t round = 0; round < ROUNDS && w->status == PITH_OK; round++) {
        pith_session *next = NULL;
        w->status = pith_session_eval(w->session, w->tokens + w->index, 1 + w->index, NULL);
        if (w->status == PITH_OK) {
            w->status = pith_session_fork(&next, w->session, NULL);
        }
        if (w->status == PITH_OK) {
            pith_session_free(w->session);
            w->session = next;
            w->status = pith_session_rewind(next, 300 - 10 * round, NULL);
        }
        if (w->status == PITH_OK) {
            w->status = pith_session_eval(next, w->tokens + 2 * w->index, 3, NULL);
        }
    }
    return NULL;
}

TEST(engine_memory, threads_share_one_prompt) {
    static int32_t tokens[CONTEXT];
    make_tokens(tokens, CONTEXT, 7);
    pith_model *model = open_model(NULL);
    pith_session *prompt = test_session(model, (pith_session_options){0});
    test_eval(prompt, tokens, 310);
    worker workers[WORKERS];
    pthread_t threads[WORKERS];
    for (size_t i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.session = fork_of(prompt), .tokens = tokens, .index = i};
    }
    pith_session_free(prompt);
    for (size_t i = 0; i < WORKERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, run_worker, &workers[i]) == 0, "no thread");
    }
    for (size_t i = 0; i < WORKERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(workers[i].status == PITH_OK, "worker %zu: status %d", i, (int)workers[i].status);
    }
    for (size_t i = 0; i < WORKERS; i++) {
        check_alone(workers[i].session, "worker");
        pith_session_free(workers[i].session);
    }
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* ---- Files ----------------------------------------------------------------------------------- */

TEST(engine_memory, saved_timelines_of_several_chunks_go_on_alike) {
    static const size_t lengths[] = {16, 17, 255, 256, 257, 600};
    static int32_t tokens[CONTEXT];
    make_tokens(tokens, CONTEXT, 8);
    const char *path = test_path("long.session");
    pith_model *model = open_model(NULL);
    for (size_t i = 0; i < 3 * sizeof lengths / sizeof *lengths; i++) {
        size_t n = lengths[i / 3];
        pith_kv_type type = kv_types[i % 3];
        pith_session *s = test_session(model, (pith_session_options){.kv_type = type});
        test_eval(s, tokens, n);
        pith_error error;
        CHECK(pith_session_save(s, path, &error) == PITH_OK, "%s", error.message);
        pith_session *loaded = NULL;
        pith_session_options options = {.n_context = n + 40};
        CHECK(pith_session_load(&loaded, model, path, &options, &error) == PITH_OK, "%s",
              error.message);
        CHECK(pith_session_memory(loaded) <= pith_session_memory(s), "%zu bytes, not %zu",
              pith_session_memory(loaded), pith_session_memory(s));
        CHECK(memcmp(pith_session_logits(loaded), pith_session_logits(s), VOCAB * 4) == 0,
              "logits after %zu tokens", n);
        test_eval(loaded, tokens, 40);
        check_alone(loaded, "loaded");
        pith_session_free(s);
        pith_session_free(loaded);
    }
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* A file whose header promises a long timeline and lacks a part of it. */
TEST(engine_memory, a_file_without_a_part_takes_no_cache) {
    static int32_t tokens[CONTEXT];
    make_tokens(tokens, CONTEXT, 9);
    const char *path = test_path("part.session");
    test_allocator counting;
    test_allocator_init(&counting);
    pith_model *model = open_model(&counting.allocator);
    pith_session *s = test_session(model, (pith_session_options){.kv_type = PITH_KV_F32});
    test_eval(s, tokens, CONTEXT);
    pith_error error;
    CHECK(pith_session_save(s, path, &error) == PITH_OK, "%s", error.message);
    size_t cache = pith_session_memory(s);
    pith_session_free(s);
    size_t size = 0;
    char *bytes = test_read_file(path, &size);
    char *name = strstr(bytes + 8, "layers.1.v");
    CHECK(name != NULL, "no such tensor");
    name[7] = '7';
    test_write_file(path, bytes, size);
    free(bytes);
    size_t before = counting.n_bytes;
    counting.most_bytes = before;
    pith_session *loaded = NULL;
    pith_status status = pith_session_load(&loaded, model, path, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT && loaded == NULL &&
              strstr(error.message, "layers.1.v\" is missing") != NULL,
          "status %d: %s", (int)status, error.message);
    CHECK(counting.most_bytes - before < cache / 4, "%zu bytes, the cache has %zu",
          (size_t)counting.most_bytes - before, cache);
    pith_model_free(model);
    CHECK(counting.n_live == 0, "%zu blocks leaked", (size_t)counting.n_live);
}
