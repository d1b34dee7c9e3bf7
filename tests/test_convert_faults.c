/* Conversions that do not end well: no memory, no place to write, a user who stops them, a kill.
 * Nothing may be published or left behind. */
#include "convert/convert.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pith_convert_options plain_options(void) {
    return (
        pith_convert_options){.type = PITH_TYPE_INT4, .head_type = PITH_N_TYPES, .n_threads = 1};
}

/* A checkpoint with all the small files beside it. */
static const char *make_full_checkpoint(const char *name) {
    const char *directory = test_make_checkpoint(name, NULL);
    test_write_text(directory, "generation_config.json", "{\"eos_token_id\": [2, 3]}");
    test_write_text(directory, "tokenizer_config.json",
                    "{\"chat_template\": \"x\", \"bos_token\": \"<s>\"}");
    test_write_text(directory, "special_tokens_map.json", "{\"eos_token\": \"</s>\"}");
    return directory;
}

/* Runs a conversion with the `fail_at`-th allocation failing; false when there were fewer. */
static bool run_with_failure(const char *source, const char *out, size_t fail_at, bool after) {
    test_allocator t;
    pith_error error = {0};
    pith_convert_options options = plain_options();
    test_allocator_init(&t);
    t.fail_at = fail_at;
    t.fail_after = after;
    options.allocator = &t.allocator;
    pith_status status = pith_convert(source, out, &options, &error);
    CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", fail_at, (size_t)t.n_live);
    if (t.n_calls < fail_at) {
        CHECK(status == PITH_OK, "%s", error.message);
        return false;
    }
    CHECK(status == PITH_ERROR_MEMORY, "allocation %zu: %s: %s", fail_at, pith_status_name(status),
          error.message);
    CHECK(error.message[0] != '\0' && access(out, F_OK) != 0, "allocation %zu", fail_at);
    return true;
}

TEST(convert_faults, survives_every_failed_allocation) {
    const char *source = make_full_checkpoint("memory");
    const char *out = test_path("memory.pith");
    size_t n = 1;
    while (run_with_failure(source, out, n, false)) {
        n++;
    }
    CHECK(n > 20, "only %zu allocations", n);
    remove(out);
    for (n = 1; run_with_failure(source, out, n, true); n++) {
    }
    remove(out);
    CHECK_NO_LEAKS();
}

static size_t count_open_files(void) {
    const char *list = test_list_directory("/proc/self/fd");
    size_t n = 0;
    for (const char *c = list; *c != '\0'; c++) {
        n += *c == ' ';
    }
    return n;
}

TEST(convert_faults, closes_its_files) {
    const char *source = make_full_checkpoint("files");
    pith_convert_options options = plain_options();
    pith_error error = {0};
    size_t before = count_open_files();
    CHECK(pith_convert(source, test_path("files.pith"), &options, &error) == PITH_OK, "%s",
          error.message);
    CHECK(count_open_files() == before, "%zu files open, %zu before", count_open_files(), before);
    test_write_text(source, "tokenizer_config.json", "[]");
    CHECK(pith_convert(source, test_path("files.pith"), &options, &error) == PITH_ERROR_FORMAT,
          "%s", error.message);
    CHECK(count_open_files() == before, "%zu files open, %zu before", count_open_files(), before);
}

/* ---- Stopping -------------------------------------------------------------------------------- */

typedef struct stopper {
    size_t n_calls, stop_at;
    size_t done, total;
    bool fell; /* progress went back */
} stopper;

static bool count_progress(void *user, size_t done, size_t total) {
    stopper *s = user;
    s->fell = s->fell || done < s->done || done > total;
    s->done = done;
    s->total = total;
    return ++s->n_calls != s->stop_at;
}

TEST(convert_faults, stops_when_told_to) {
    const char *source = make_full_checkpoint("stopped");
    const char *place = test_make_directory("stopped-out");
    const char *out = test_join(place, "m.pith");
    stopper all = {0};
    pith_error error = {0};
    pith_convert_options options = plain_options();
    options.progress = count_progress;
    options.progress_user = &all;
    CHECK(pith_convert(source, out, &options, &error) == PITH_OK, "%s", error.message);
    size_t weights = 2 * 40 * 32 + 2 * (32 * 32 * 2 + 16 * 32 * 2 + 3 * 48 * 32 + 2 * 32) + 32;
    CHECK(!all.fell && all.done == all.total && all.total == weights, "%zu of %zu, expected %zu",
          all.done, all.total, weights);
    remove(out);
    for (size_t stop_at = 1; stop_at <= all.n_calls; stop_at++) {
        stopper s = {.stop_at = stop_at};
        options.progress_user = &s;
        pith_status status = pith_convert(source, out, &options, &error);
        CHECK(status == PITH_ERROR_STOPPED, "call %zu: %s", stop_at, pith_status_name(status));
        CHECK(s.n_calls == stop_at, "call %zu: called %zu times", stop_at, s.n_calls);
        CHECK(test_list_directory(place)[0] == '\0', "call %zu left %s", stop_at,
              test_list_directory(place));
    }
    CHECK_NO_LEAKS();
}

/* A failure leaves an older file of the same name alone. */
TEST(convert_faults, keeps_the_old_file_on_failure) {
    const char *source = make_full_checkpoint("kept");
    const char *out = test_path("kept.pith");
    size_t size;
    stopper s = {.stop_at = 3};
    pith_error error;
    pith_convert_options options = plain_options();
    options.progress = count_progress;
    options.progress_user = &s;
    test_write_file(out, "old", 3);
    CHECK(pith_convert(source, out, &options, &error) == PITH_ERROR_STOPPED, "not stopped");
    char *text = test_read_file(out, &size);
    CHECK(size == 3 && strcmp(text, "old") == 0, "%zu bytes", size);
    free(text);
}

TEST(convert_faults, reports_where_it_cannot_write) {
    const char *source = make_full_checkpoint("unwritable");
    static const char *const places[] = {"/proc/m.pith", "/nonexistent/m.pith"};
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        pith_error error = {0};
        pith_convert_options options = plain_options();
        pith_status status = pith_convert(source, places[i], &options, &error);
        CHECK(status == PITH_ERROR_IO && strstr(error.message, places[i]) != NULL, "%s: %s: %s",
              places[i], pith_status_name(status), error.message);
    }
    pith_error error = {0};
    pith_convert_options options = plain_options();
    const char *directory = test_make_directory("a-directory");
    pith_status status = pith_convert(source, directory, &options, &error);
    CHECK(status == PITH_ERROR_FORMAT || status == PITH_ERROR_IO, "%s", pith_status_name(status));
}

TEST(convert_faults, refuses_bad_arguments) {
    pith_convert_options options = plain_options();
    pith_error error;
    CHECK(pith_convert(NULL, "x", &options, &error) == PITH_ERROR_ARGUMENT, "source");
    CHECK(pith_convert("x", NULL, &options, &error) == PITH_ERROR_ARGUMENT, "out");
    CHECK(pith_convert("x", "x", NULL, &error) == PITH_ERROR_ARGUMENT, "options");
    options.type = (pith_type)(PITH_N_TYPES + 1);
    CHECK(pith_convert("x", "x", &options, &error) == PITH_ERROR_ARGUMENT, "type");
}

static bool kill_self(void *user, size_t done, size_t total) {
    (void)user;
    if (done > total / 2) {
        raise(SIGKILL);
    }
    return true;
}

/* SIGKILL in the middle leaves a temporary and nothing else; the next conversion removes it. */
TEST(convert_faults, leaves_only_a_temporary_when_killed) {
    const char *source = make_full_checkpoint("killed");
    const char *place = test_make_directory("killed-out");
    const char *out = test_join(place, "m.pith");
    pith_convert_options options = plain_options();
    pith_error error = {0};
    options.progress = kill_self;
    pid_t child = fork();
    CHECK(child >= 0, "fork");
    if (child == 0) {
        pith_convert(source, out, &options, &error);
        _exit(0);
    }
    int how = 0;
    CHECK(waitpid(child, &how, 0) == child && WIFSIGNALED(how) && WTERMSIG(how) == SIGKILL, "%d",
          how);
    const char *left = test_list_directory(place);
    CHECK(strncmp(left, "m.pith.tmp-pith-", 16) == 0 && strchr(left, ' ') == strrchr(left, ' '),
          "left \"%s\"", left);
    options.progress = NULL;
    CHECK(pith_convert(source, out, &options, &error) == PITH_OK, "%s", error.message);
    CHECK(strcmp(test_list_directory(place), "m.pith ") == 0, "\"%s\"", test_list_directory(place));
}
