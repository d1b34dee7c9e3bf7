/* The models of the service: what directories hold, leases, loading and unloading. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "server/models_found.h"
#include "server/models_inside.h"
#include "tests/checkpoint.h"
#include "tests/fixture.h"
#include "tests/gguf.h"
#include "tests/golden.h"
#include "tests/jobs.h"
#include "tests/support.h"
#include "tests/test.h"

/* A models directory, a cache and a log. */
typedef struct stage {
    const char *directory, *shipped;
    char cache[256];
    char log_path[256];
    int log_fd;
    pith_models_options options;
    pith_models *models;
} stage;

static void link_path(const char *target, const char *directory, const char *name) {
    CHECK(symlink(target, test_join(directory, name)) == 0, "symlink %s", name);
}

static void link_to(const char *target, const char *directory, const char *name) {
    char *real = realpath(test_root(target), NULL);
    CHECK(real != NULL, "no %s", target);
    link_path(real, directory, name);
    free(real);
}

/* Every stage has directories of its own: all tests may run in one process. */
static void make_stage(stage *s) {
    static int n_stages;
    char name[32];
    pith_error error;
    *s = (stage){0};
    snprintf(name, sizeof name, "models-%d", ++n_stages);
    s->directory = test_make_directory(name);
    snprintf(name, sizeof name, "shipped-%d", n_stages);
    s->shipped = test_make_directory(name);
    snprintf(name, sizeof name, "deep-%d/cache", n_stages);
    snprintf(s->cache, sizeof s->cache, "%s", test_path(name));
    snprintf(s->log_path, sizeof s->log_path, "%s", test_path("models.log"));
    FILE *log = fopen(s->log_path, "w");
    CHECK(log != NULL, "no log");
    s->log_fd = dup(fileno(log));
    fclose(log);
    CHECK(pith_server_log_new(&s->options.log, s->log_fd, PITH_LOG_WANTED_DEBUG, &error) == PITH_OK,
          "%s", error.message);
    s->options.directory = s->directory;
    s->options.shipped = s->shipped;
    s->options.cache = s->cache;
    s->options.n_threads = 1;
}

static void start(stage *s) {
    pith_problem problem;
    CHECK(pith_models_new(&s->models, &s->options, &problem), "%s", problem.message);
}

static void end_stage(stage *s) {
    pith_models_free(s->models);
    pith_server_log_free(s->options.log);
    close(s->log_fd);
    CHECK_NO_LEAKS();
}

static size_t file_size(const char *path) {
    struct stat status;
    CHECK(stat(path, &status) == 0, "no %s", path);
    return (size_t)status.st_size;
}

/* True when the log has the text. */
static bool log_has(const stage *s, const char *text) {
    size_t size;
    char *log = test_read_file(s->log_path, &size);
    bool found = strstr(log, text) != NULL;
    free(log);
    return found;
}

static void write_tiny(const char *directory, const char *name, uint64_t seed) {
    test_write_tiny_model(test_join(directory, name), PITH_TYPE_INT4, seed);
}

static void lease(const stage *s, const char *name, pith_model_kind kind, pith_lease *out) {
    pith_problem problem;
    CHECK(pith_models_lease(s->models, name, kind, NULL, NULL, out, &problem), "%s: %s",
          name == NULL ? "(default)" : name, problem.message);
}

static int lease_status(const stage *s, const char *name, pith_model_kind kind) {
    pith_problem problem = {0};
    pith_lease out;
    if (pith_models_lease(s->models, name, kind, NULL, NULL, &out, &problem)) {
        pith_models_return(s->models, &out);
        return 200;
    }
    return problem.http;
}

static void note_name(void *user, const pith_model_entry *entry) {
    char *names = user;
    size_t n = strlen(names);
    snprintf(names + n, 512 - n, "%s%s%s:%c%s ", entry->name, entry->alias_of != NULL ? "->" : "",
             entry->alias_of != NULL ? entry->alias_of : "", "?de"[entry->kind],
             entry -> loaded ? "+" : "");
    CHECK(entry->created > 1000000000, "%s: created %lld", entry->name, (long long)entry->created);
}

static void check_names(const stage *s, const char *expected) {
    char names[512] = "";
    pith_models_each(s->models, note_name, names);
    CHECK(strcmp(names, expected) == 0, "\"%s\", expected \"%s\"", names, expected);
}

/* ---- Lists ----------------------------------------------------------------------------------- */

TEST(models, every_layout_is_listed) {
    stage s;
    make_stage(&s);
    write_tiny(s.directory, "tiny.pith", 1);
    write_tiny(s.directory, ".hidden.pith", 1);
    write_tiny(s.shipped, "tiny.pith", 2);
    write_tiny(s.shipped, "other.pith", 2);
    test_write_text(s.directory, "broken.pith", "no model");
    test_write_text(s.directory, "README.md", "no model");
    CHECK(mkdir(test_join(s.directory, "llama"), 0755) == 0, "mkdir");
    CHECK(mkdir(test_join(s.directory, "empty"), 0755) == 0, "mkdir");
    link_to("golden/tale", test_join(s.directory, "llama"), "llama2-chat");
    link_to("golden/tale", test_join(s.directory, "llama"), "tiny");
    link_to("golden/tale", s.directory, "tale");
    link_to("golden/minilm", s.directory, "minilm");
    const char *bare = test_join(s.directory, "all-minilm-l6-v2");
    CHECK(mkdir(bare, 0755) == 0, "mkdir");
    link_to("golden/minilm/tokenizer.json", bare, "tokenizer.json");
    link_to("golden/minilm/model.safetensors", bare, "model.safetensors");
    static const char *const aliases[] = {"chat=llama2-chat", "a=tiny"};
    s.options.aliases = aliases;
    s.options.n_aliases = 2;
    start(&s);
    check_names(&s, "a->tiny:d all-minilm-l6-v2:e broken:? chat->llama2-chat:d llama2-chat:d "
                    "minilm:e other:d tale:d tiny:d ");
    pith_lease held;
    lease(&s, "a", PITH_MODEL_DECODER, &held);
    CHECK(strcmp(held.name, "tiny") == 0 && held.scheduler != NULL, "%s", held.name);
    check_names(&s, "a->tiny:d+ all-minilm-l6-v2:e broken:? chat->llama2-chat:d llama2-chat:d "
                    "minilm:e other:d tale:d tiny:d+ ");
    pith_models_return(s.models, &held);
    CHECK(held.entry == NULL, "the lease is still there");
    end_stage(&s);
}

TEST(models, bad_aliases_and_directories_are_refused) {
    static const char *const bad[] = {"tiny=tiny", "x=none", "x", "=tiny", "x=", "y=tiny"};
    stage s;
    pith_problem problem;
    make_stage(&s);
    write_tiny(s.directory, "tiny.pith", 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *const aliases[] = {"y=tiny", bad[i]};
        s.options.aliases = aliases;
        s.options.n_aliases = 2;
        CHECK(!pith_models_new(&s.models, &s.options, &problem) && problem.http == 400, "%s: %d",
              bad[i], problem.http);
    }
    s.options.n_aliases = 0;
    s.options.directory = test_path("nowhere");
    CHECK(!pith_models_new(&s.models, &s.options, &problem) && problem.http == 500, "%d",
          problem.http);
    s.models = NULL;
    end_stage(&s);
}

TEST(models, a_name_of_none_is_the_first_of_its_kind) {
    stage s;
    pith_lease held;
    make_stage(&s);
    write_tiny(s.shipped, "aaa.pith", 1);
    start(&s);
    lease(&s, NULL, PITH_MODEL_DECODER, &held);
    CHECK(strcmp(held.name, "aaa") == 0, "%s", held.name);
    pith_models_return(s.models, &held);
    CHECK(lease_status(&s, NULL, PITH_MODEL_ENCODER) == 404, "an encoder");
    CHECK(lease_status(&s, "none", PITH_MODEL_ANY) == 404, "no model");
    pith_models_free(s.models);
    write_tiny(s.directory, "zzz.pith", 1);
    link_to("golden/minilm", s.directory, "bbb");
    start(&s);
    lease(&s, NULL, PITH_MODEL_DECODER, &held);
    CHECK(strcmp(held.name, "zzz") == 0, "%s", held.name);
    pith_models_return(s.models, &held);
    lease(&s, NULL, PITH_MODEL_ENCODER, &held);
    CHECK(strcmp(held.name, "bbb") == 0 && held.embedder != NULL, "%s", held.name);
    pith_models_return(s.models, &held);
    CHECK(lease_status(&s, "bbb", PITH_MODEL_DECODER) == 400, "an encoder as a decoder");
    CHECK(lease_status(&s, "zzz", PITH_MODEL_ENCODER) == 400, "a decoder as an encoder");
    end_stage(&s);
}

/* ---- Conversion ------------------------------------------------------------------------------ */

TEST(models, a_checkpoint_is_converted_once_and_again_when_it_changes) {
    stage s;
    pith_lease held;
    make_stage(&s);
    const char *source = test_make_checkpoint("source", NULL);
    link_path(source, s.directory, "tale");
    start(&s);
    lease(&s, "tale", PITH_MODEL_DECODER, &held);
    CHECK(strcmp(held.info.type, "int4") == 0, "type %s", held.info.type);
    pith_models_return(s.models, &held);
    pith_models_free(s.models);
    char first[256];
    snprintf(first, sizeof first, "%s", test_list_directory(s.cache));
    CHECK(strncmp(first, "tale-", 5) == 0 && strchr(first, ' ')[1] == '\0', "cache: %s", first);
    CHECK(log_has(&s, "model tale: converting") && log_has(&s, "% converted"), "no progress");
    struct stat before;
    struct stat after;
    char *name = strndup(first, strcspn(first, " "));
    CHECK(stat(test_join(s.cache, name), &before) == 0, "no %s", name);
    start(&s);
    lease(&s, "tale", PITH_MODEL_DECODER, &held);
    pith_models_return(s.models, &held);
    CHECK(stat(test_join(s.cache, name), &after) == 0 && before.st_ino == after.st_ino,
          "converted again");
    free(name);
    test_write_text(source, "generation_config.json", "{\"eos_token_id\": [2, 7]}");
    pith_problem problem;
    CHECK(pith_models_reload(s.models, &s.options, &problem), "%s", problem.message);
    lease(&s, "tale", PITH_MODEL_DECODER, &held);
    CHECK(held.info.n_eos == 2, "%zu end tokens", held.info.n_eos);
    pith_models_return(s.models, &held);
    char second[256];
    snprintf(second, sizeof second, "%s", test_list_directory(s.cache));
    CHECK(strcmp(first, second) != 0 && strchr(second, ' ')[1] == '\0', "cache: %s", second);
    end_stage(&s);
}

TEST(models, gguf_files_are_offered_and_converted) {
    stage s;
    pith_lease held;
    make_stage(&s);
    const test_gguf_model quantised = {.quantised = true, .tokenizer = true};
    const test_gguf_model plain = {.tokenizer = true};
    test_gguf_write_model(test_join(s.directory, "quantised.gguf"), &quantised);
    test_gguf_write_model(test_join(s.directory, "plain.gguf"), &plain);
    test_write_text(s.directory, "plain-00002-of-00002.gguf", "GGUF");
    start(&s);
    lease(&s, "quantised", PITH_MODEL_DECODER, &held);
    CHECK(strcmp(held.info.type, "int8") == 0, "type %s", held.info.type);
    pith_models_return(s.models, &held);
    lease(&s, "plain", PITH_MODEL_DECODER, &held);
    CHECK(strcmp(held.info.type, "int4") == 0, "type %s", held.info.type);
    pith_models_return(s.models, &held);
    CHECK(lease_status(&s, "plain-00002-of-00002", PITH_MODEL_ANY) == 404, "a later part");
    end_stage(&s);
}

/* The cache and a reload know a changed checkpoint by its stamp. */
TEST(models, a_gguf_file_is_another_when_a_later_part_is) {
    const char *directory = test_make_directory("parts");
    char stamps[2][PITH_MODEL_STAMP];
    test_write_text(directory, "a-00001-of-00002.gguf", "GGUF");
    for (size_t i = 0; i < 2; i++) {
        pith_problem problem;
        pith_found_list list;
        test_write_text(directory, "a-00002-of-00002.gguf", i == 0 ? "GGUF" : "GGUF.");
        CHECK(pith_found_scan(&list, directory, NULL, &problem), "%s", problem.message);
        CHECK(list.n == 1 && list.items[0].size == 8 + i, "%zu models", list.n);
        memcpy(stamps[i], list.items[0].stamp, sizeof stamps[i]);
        pith_found_release(&list);
    }
    CHECK(strcmp(stamps[0], stamps[1]) != 0, "the same stamp of other files");
}

TEST(models, without_a_cache_nothing_is_converted) {
    stage s;
    make_stage(&s);
    s.options.cache = NULL;
    link_to("golden/tale", s.directory, "tale");
    start(&s);
    CHECK(lease_status(&s, "tale", PITH_MODEL_ANY) == 500, "converted without a cache");
    end_stage(&s);
}

/* ---- Loading --------------------------------------------------------------------------------- */

typedef struct visitor {
    const stage *s;
    const char *name;
    atomic_int *n_served;
    int rounds;
} visitor;

static void *visit(void *user) {
    const visitor *v = user;
    for (int i = 0; i < v->rounds; i++) {
        pith_lease held;
        pith_problem problem;
        if (pith_models_lease(v->s->models, v->name, PITH_MODEL_ANY, NULL, NULL, &held, &problem)) {
            int32_t tokens[4];
            test_prompt(tokens, 4, (unsigned)i);
            pith_generate_params params = {.max_tokens = 3, .ignore_eos = true};
            pith_job *job = test_job(tokens, 4, &params, 0);
            if (pith_scheduler_submit(held.scheduler, job, &problem)) {
                test_answer *answer = test_finish(job);
                *v->n_served += answer->done[0] ? 1 : 0;
                free(answer);
            } else {
                pith_job_release(job);
            }
            pith_models_return(v->s->models, &held);
        }
    }
    return NULL;
}

static size_t count(const stage *s, const char *text) {
    size_t size;
    size_t n = 0;
    char *log = test_read_file(s->log_path, &size);
    for (const char *at = strstr(log, text); at != NULL; at = strstr(at + 1, text)) {
        n++;
    }
    free(log);
    return n;
}

TEST(models, threads_that_want_one_model_load_it_once) {
    enum { N = 12 };
    stage s;
    make_stage(&s);
    write_tiny(s.directory, "a.pith", 1);
    start(&s);
    pthread_t threads[N];
    atomic_int n_served = 0;
    visitor v = {.s = &s, .name = "a", .n_served = &n_served, .rounds = 2};
    for (size_t i = 0; i < N; i++) {
        CHECK(pthread_create(&threads[i], NULL, visit, &v) == 0, "no thread");
    }
    for (size_t i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(n_served == 2 * N, "%d served", n_served);
    CHECK(count(&s, "model a: loaded") == 1, "loaded %zu times", count(&s, "model a: loaded"));
    end_stage(&s);
}

TEST(models, are_unloaded_on_demand_unless_they_are_in_use) {
    stage s;
    make_stage(&s);
    write_tiny(s.directory, "a.pith", 1);
    start(&s);
    pith_lease held;
    pith_problem problem = {0};
    CHECK(!pith_models_unload(s.models, "b", &problem) && problem.http == 404, "there is no b");
    CHECK(pith_models_unload(s.models, "a", &problem), "one that is not loaded");
    lease(&s, "a", PITH_MODEL_ANY, &held);
    CHECK(pith_models_unload(s.models, "a", &problem), "one that is in use");
    check_names(&s, "a:d+ ");
    pith_models_return(s.models, &held);
    CHECK(pith_models_unload(s.models, "a", &problem), "a");
    check_names(&s, "a:d ");
    lease(&s, "a", PITH_MODEL_ANY, &held);
    pith_models_return(s.models, &held);
    CHECK(count(&s, "model a: loaded") == 2, "loaded %zu times", count(&s, "model a: loaded"));
    end_stage(&s);
}

TEST(models, a_broken_file_is_not_read_again_for_every_request) {
    stage s;
    make_stage(&s);
    test_write_text(s.directory, "broken.pith", "not a model at all");
    start(&s);
    for (int i = 0; i < 20; i++) {
        CHECK(lease_status(&s, "broken", PITH_MODEL_ANY) == 500, "a broken model");
    }
    CHECK(count(&s, "model broken:") <= 2, "tried %zu times", count(&s, "model broken:"));
    CHECK(!pith_models_loading(s.models), "still loading");
    end_stage(&s);
}

/* A request that names no model is answered by the first whose file is whole. */
TEST(models, a_broken_file_is_passed_over_where_no_model_is_named) {
    stage s;
    make_stage(&s);
    write_tiny(s.directory, "a.pith", 1);
    write_tiny(s.directory, "b.pith", 2);
    const char *path = test_join(s.directory, "a.pith");
    CHECK(truncate(path, (off_t)(file_size(path) / 2)) == 0, "truncate");
    start(&s);
    for (int i = 0; i < 3; i++) {
        pith_lease held;
        lease(&s, i == 1 ? "b" : NULL, PITH_MODEL_DECODER, &held);
        CHECK(strcmp(held.name, "b") == 0, "%s", held.name);
        pith_models_return(s.models, &held);
    }
    CHECK(lease_status(&s, "a", PITH_MODEL_DECODER) == 500, "a broken model by its name");
    CHECK(lease_status(&s, NULL, PITH_MODEL_ENCODER) == 404, "no encoder");
    pith_models_stop(s.models);
    CHECK(lease_status(&s, "b", PITH_MODEL_DECODER) == 503, "a model that is loaded, at the end");
    end_stage(&s);

    make_stage(&s);
    write_tiny(s.directory, "a.pith", 1);
    write_tiny(s.directory, "b.pith", 1);
    for (int i = 0; i < 2; i++) {
        path = test_join(s.directory, i == 0 ? "a.pith" : "b.pith");
        CHECK(truncate(path, (off_t)(file_size(path) / 2)) == 0, "truncate");
    }
    start(&s);
    CHECK(lease_status(&s, NULL, PITH_MODEL_DECODER) == 500, "no other model");
    end_stage(&s);
}

static bool never(void *user) {
    (void)user;
    return false;
}

TEST(models, a_client_that_leaves_ends_its_wait_alone) {
    stage s;
    pith_problem problem;
    pith_lease held;
    make_stage(&s);
    link_path(test_make_checkpoint("left", NULL), s.directory, "tale");
    start(&s);
    CHECK(!pith_models_lease(s.models, "tale", PITH_MODEL_ANY, never, NULL, &held, &problem) &&
              problem.http == 499,
          "%d", problem.http);
    lease(&s, "tale", PITH_MODEL_DECODER, &held);
    CHECK(count(&s, "model tale: converting") == 1, "converted again");
    pith_models_return(s.models, &held);
    end_stage(&s);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* A limit with room for one of two models and its cache. */
static void start_limited(stage *s) {
    make_stage(s);
    write_tiny(s->directory, "a.pith", 1);
    write_tiny(s->directory, "b.pith", 2);
    size_t one = file_size(test_join(s->directory, "a.pith"));
    s->options.memory_limit = one + one / 2;
    s->options.scheduler.kv_bytes = one / 4;
    start(s);
}

TEST(models, the_least_recently_used_is_unloaded) {
    stage s;
    pith_lease held;
    start_limited(&s);
    lease(&s, "a", PITH_MODEL_ANY, &held);
    pith_models_return(s.models, &held);
    check_names(&s, "a:d+ b:d ");
    lease(&s, "b", PITH_MODEL_ANY, &held);
    check_names(&s, "a:d b:d+ ");
    pith_models_return(s.models, &held);
    lease(&s, "a", PITH_MODEL_ANY, &held);
    check_names(&s, "a:d+ b:d ");
    CHECK(s.models->bytes <= s.options.memory_limit, "%zu bytes", s.models->bytes);
    pith_models_return(s.models, &held);
    CHECK(count(&s, ": unloaded") == 2, "unloaded %zu times", count(&s, ": unloaded"));
    end_stage(&s);
}

TEST(models, one_that_was_used_since_stays) {
    static const char *const names[] = {"a", "b", "a", "c"};
    stage s;
    pith_lease held;
    make_stage(&s);
    write_tiny(s.directory, "a.pith", 1);
    write_tiny(s.directory, "b.pith", 2);
    write_tiny(s.directory, "c.pith", 3);
    size_t one = file_size(test_join(s.directory, "a.pith"));
    s.options.memory_limit = 2 * one + 3 * one / 4;
    s.options.scheduler.kv_bytes = one / 4;
    start(&s);
    for (size_t i = 0; i < 4; i++) {
        lease(&s, names[i], PITH_MODEL_ANY, &held);
        pith_models_return(s.models, &held);
    }
    check_names(&s, "a:d+ b:d c:d+ ");
    end_stage(&s);
}

TEST(models, a_model_over_the_limit_is_refused_by_name) {
    stage s;
    pith_problem problem;
    pith_lease held;
    make_stage(&s);
    write_tiny(s.directory, "a.pith", 1);
    s.options.memory_limit = 1000;
    start(&s);
    CHECK(!pith_models_lease(s.models, "a", PITH_MODEL_ANY, NULL, NULL, &held, &problem) &&
              problem.http == 503 && strstr(problem.message, "'a'") != NULL,
          "%d %s", problem.http, problem.message);
    end_stage(&s);
}

TEST(models, two_models_under_a_limit_for_one_take_turns) {
    enum { N = 8, ROUNDS = 5 };
    stage s;
    start_limited(&s);
    pthread_t threads[N];
    atomic_int n_served = 0;
    visitor visitors[2] = {{&s, "a", &n_served, ROUNDS}, {&s, "b", &n_served, ROUNDS}};
    for (size_t i = 0; i < N; i++) {
        CHECK(pthread_create(&threads[i], NULL, visit, &visitors[i % 2]) == 0, "no thread");
    }
    for (size_t i = 0; i < N; i++) {
        pthread_join(threads[i], NULL);
    }
    CHECK(n_served == N * ROUNDS, "%d served", n_served);
    CHECK(s.models->bytes <= s.options.memory_limit, "%zu bytes", s.models->bytes);
    end_stage(&s);
}

static bool five_times(void *user) {
    atomic_int *n = user;
    return ++*n < 5;
}

TEST(models, one_in_use_is_not_unloaded) {
    stage s;
    pith_lease held;
    pith_lease other;
    pith_problem problem;
    atomic_int n = 0;
    start_limited(&s);
    lease(&s, "a", PITH_MODEL_ANY, &held);
    CHECK(!pith_models_lease(s.models, "b", PITH_MODEL_ANY, five_times, &n, &other, &problem) &&
              problem.http == 499,
          "%d", problem.http);
    check_names(&s, "a:d+ b:d ");
    lease(&s, "a", PITH_MODEL_ANY, &other); /* the wait for b is over: leases go on */
    pith_models_return(s.models, &other);
    pith_models_return(s.models, &held);
    lease(&s, "b", PITH_MODEL_ANY, &held);
    pith_models_return(s.models, &held);
    end_stage(&s);
}

typedef struct waiter {
    const stage *s;
    atomic_bool got;
} waiter;

static void *wait_for_b(void *user) {
    waiter *w = user;
    pith_lease held;
    lease(w->s, "b", PITH_MODEL_ANY, &held);
    w->got = true;
    pith_models_return(w->s->models, &held);
    return NULL;
}

TEST(models, one_that_is_always_in_use_makes_room_for_another) {
    stage s;
    pith_lease held;
    pith_lease other;
    pith_problem problem;
    pthread_t thread;
    atomic_int n = 0;
    start_limited(&s);
    lease(&s, "a", PITH_MODEL_ANY, &held);
    waiter w = {.s = &s};
    CHECK(pthread_create(&thread, NULL, wait_for_b, &w) == 0, "no thread");
    for (bool draining = false; !draining; sched_yield()) {
        pthread_mutex_lock(&s.models->lock);
        draining = s.models->offers->draining;
        pthread_mutex_unlock(&s.models->lock);
    }
    CHECK(!pith_models_lease(s.models, "a", PITH_MODEL_ANY, five_times, &n, &other, &problem) &&
              problem.http == 499,
          "a new lease while another model waits: %d", problem.http);
    CHECK(!w.got, "unloaded while in use");
    pith_models_return(s.models, &held);
    pthread_join(thread, NULL);
    CHECK(w.got, "the other model did not come");
    lease(&s, "a", PITH_MODEL_ANY, &held);
    pith_models_return(s.models, &held);
    end_stage(&s);
}

/* ---- Reload ---------------------------------------------------------------------------------- */

TEST(models, a_reload_swaps_the_lists) {
    static const char *const alias[] = {"x=a"};
    stage s;
    pith_lease held;
    pith_problem problem;
    make_stage(&s);
    write_tiny(s.directory, "a.pith", 1);
    write_tiny(s.directory, "b.pith", 1);
    start(&s);
    lease(&s, "a", PITH_MODEL_ANY, &held);
    write_tiny(s.directory, "c.pith", 1);
    CHECK(unlink(test_join(s.directory, "a.pith")) == 0, "unlink");
    s.options.aliases = alias;
    s.options.n_aliases = 1;
    CHECK(!pith_models_reload(s.models, &s.options, &problem) && problem.http == 400, "%d",
          problem.http);
    check_names(&s, "a:d+ b:d ");
    s.options.n_aliases = 0;
    CHECK(pith_models_reload(s.models, &s.options, &problem), "%s", problem.message);
    check_names(&s, "b:d c:d ");
    CHECK(lease_status(&s, "a", PITH_MODEL_ANY) == 404, "a is still there");
    CHECK(count(&s, "model a: unloaded") == 0, "unloaded while in use");
    CHECK(strcmp(held.name, "a") == 0 && held.info.n_vocab == 300, "the lease is spoilt");
    pith_models_return(s.models, &held);
    CHECK(count(&s, "model a: unloaded") == 1, "not unloaded when it came back");
    lease(&s, "c", PITH_MODEL_ANY, &held);
    pith_models_return(s.models, &held);
    CHECK(pith_models_reload(s.models, &s.options, &problem), "%s", problem.message);
    check_names(&s, "b:d c:d+ ");
    end_stage(&s);
}
