/* Metrics and the log: what is written, whoever observes at once. */
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"
#include "server/log.h"
#include "server/metrics.h"
#include "tests/test.h"

static pith_metrics *make_metrics(void) {
    pith_metrics *metrics = NULL;
    pith_error error;
    CHECK(pith_metrics_new(&metrics, &error) == PITH_OK, "%s", error.message);
    return metrics;
}

static void check_line(pith_metrics *metrics, const char *line) {
    pith_bytes out;
    pith_bytes_init(&out, NULL);
    pith_metrics_write(metrics, &out);
    CHECK(strstr(out.data, line) != NULL, "no line %s in\n%s", line, out.data);
    pith_bytes_release(&out);
}

TEST(metrics, buckets_add_up) {
    pith_metrics *metrics = make_metrics();
    pith_metrics_observe(metrics, PITH_INTER_TOKEN, "tale", 0.01);   /* an edge is within */
    pith_metrics_observe(metrics, PITH_INTER_TOKEN, "tale", 0.0101); /* just beyond it */
    pith_metrics_observe(metrics, PITH_INTER_TOKEN, "tale", 1000);   /* beyond all */
    check_line(metrics, "pith_inter_token_seconds_bucket{model=\"tale\",le=\"0.01\"} 1\n");
    check_line(metrics, "pith_inter_token_seconds_bucket{model=\"tale\",le=\"0.025\"} 2\n");
    check_line(metrics, "pith_inter_token_seconds_bucket{model=\"tale\",le=\"80\"} 2\n");
    check_line(metrics, "pith_inter_token_seconds_bucket{model=\"tale\",le=\"+Inf\"} 3\n");
    check_line(metrics, "pith_inter_token_seconds_sum{model=\"tale\"} 1000.0201\n");
    check_line(metrics, "pith_inter_token_seconds_count{model=\"tale\"} 3\n");
    pith_metrics_free(metrics);
    CHECK_NO_LEAKS();
}

TEST(metrics, labels_are_escaped_and_bounded) {
    pith_metrics *metrics = make_metrics();
    char name[32];
    pith_metrics_add(metrics, PITH_MODEL_LOADS, "a\"b\\c\nd", 1);
    for (int i = 0; i < 300; i++) {
        snprintf(name, sizeof name, "model %d", i);
        pith_metrics_add(metrics, PITH_MODEL_LOADS, name, 1);
    }
    check_line(metrics, "pith_model_loads_total{model=\"a\\\"b\\\\c\\nd\"} 1\n");
    check_line(metrics, "pith_model_loads_total{model=\"model 254\"} 1\n");
    check_line(metrics, "pith_model_loads_total{model=\"other\"} 45\n");
    pith_metrics_free(metrics);
    pith_metrics_add(NULL, PITH_MODEL_LOADS, "x", 1);
    pith_metrics_observe(NULL, PITH_QUEUE_WAIT, "x", 1);
    pith_metrics_request(NULL, "/", 200);
    CHECK_NO_LEAKS();
}

enum { THREADS = 4, TIMES = 500 };

static void *observe_all(void *user) {
    for (int i = 0; i < TIMES; i++) {
        pith_metrics_observe(user, PITH_TIME_TO_FIRST_TOKEN, i % 2 == 0 ? "a" : "b", 0.5);
        pith_metrics_add(user, PITH_GENERATED_TOKENS, "a", 2);
        pith_metrics_request(user, "/infer", i % 5 == 0 ? 429 : 200);
    }
    return NULL;
}

TEST(metrics, threads_lose_nothing) {
    pith_metrics *metrics = make_metrics();
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, observe_all, metrics);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    check_line(metrics, "pith_time_to_first_token_seconds_count{model=\"a\"} 1000\n");
    check_line(metrics, "pith_time_to_first_token_seconds_count{model=\"b\"} 1000\n");
    check_line(metrics, "pith_generated_tokens_total{model=\"a\"} 4000\n");
    check_line(metrics, "pith_requests_total{path=\"/infer\",code=\"200\"} 1600\n");
    check_line(metrics, "pith_requests_total{path=\"/infer\",code=\"429\"} 400\n");
    pith_metrics_free(metrics);
    CHECK_NO_LEAKS();
}

/* ---- The log --------------------------------------------------------------------------------- */

/* The next line that was written, as JSON in text [capacity]. */
static pith_json read_line(FILE *file, char *text, size_t capacity) {
    pith_json root = {NULL};
    pith_error error = {.message = ""};
    CHECK(fgets(text, (int)capacity, file) != NULL, "no line");
    CHECK(pith_json_read(&root, text, strlen(text), PITH_JSON_STRICT, "line",
                         &pith_malloc_allocator, &error) == PITH_OK,
          "%s", error.message);
    return root;
}

TEST(metrics, the_log_is_json_lines) {
    int pipes[2];
    char text[4096];
    pith_error error;
    pith_server_log *log = NULL;
    CHECK(pipe(pipes) == 0, "pipe");
    CHECK(pith_server_log_new(&log, pipes[1], PITH_LOG_WANTED_INFO, &error) == PITH_OK, "%s",
          error.message);
    pith_server_log_write(log, PITH_LOG_WANTED_DEBUG, "unwanted");
    pith_server_log_write(log, PITH_LOG_WANTED_ERROR, "\"%s\"\n\xff", "quoted");
    pith_server_log_access(log, &(pith_access){.method = "GET",
                                               .path = "/",
                                               .id = "a",
                                               .client = "::1",
                                               .status = 200,
                                               .seconds = 0.25});
    pith_server_log_access(log, &(pith_access){.method = "POST",
                                               .path = "/infer",
                                               .id = "b",
                                               .client = "::1",
                                               .key = "alice",
                                               .model = "tale",
                                               .status = 499,
                                               .generated_tokens = 7});
    close(pipes[1]);
    FILE *file = fdopen(pipes[0], "r");
    pith_json line = read_line(file, text, sizeof text);
    CHECK(pith_json_is_text(pith_json_get(line, "message"), "\"quoted\"??"), "%s",
          pith_json_text(pith_json_get(line, "message")));
    CHECK(pith_json_is_text(pith_json_get(line, "level"), "error"), "the level");
    double seconds;
    line = read_line(file, text, sizeof text);
    CHECK(pith_json_number(pith_json_get(line, "seconds"), &seconds) && seconds == 0.25, "seconds");
    CHECK(pith_json_is_none(pith_json_get(line, "key")), "a key that there is none of");
    size_t n = 0;
    line = read_line(file, text, sizeof text);
    CHECK(pith_json_count(pith_json_get(line, "generated_tokens"), &n) && n == 7, "%zu", n);
    CHECK(pith_json_is_text(pith_json_get(line, "key"), "alice"), "the key's name");
    CHECK(fgets(text, sizeof text, file) == NULL, "one line too many: %s", text);
    fclose(file);
    pith_server_log_free(log);
    CHECK_NO_LEAKS();
}

/* Fills the pipe until it takes no more. */
static void fill_pipe(int fd) {
    char junk[4096] = {0};
    int flags = fcntl(fd, F_GETFL);
    fcntl(fd, F_SETFL, flags | O_NONBLOCK);
    while (write(fd, junk, sizeof junk) > 0) {
    }
    fcntl(fd, F_SETFL, flags);
}

TEST(metrics, a_log_that_nobody_reads_holds_nothing_up) {
    int pipes[2];
    char text[4096];
    pith_error error;
    pith_server_log *log = NULL;
    CHECK(pipe(pipes) == 0, "pipe");
    CHECK(pith_server_log_new(&log, pipes[1], PITH_LOG_WANTED_INFO, &error) == PITH_OK, "%s",
          error.message);
    fill_pipe(pipes[1]);
    alarm(60); /* in place of waiting for ever */
    for (int i = 0; i < 1000; i++) {
        pith_server_log_write(log, PITH_LOG_WANTED_INFO, "line %d", i);
    }
    alarm(0);
    fcntl(pipes[0], F_SETFL, O_NONBLOCK);
    while (read(pipes[0], text, sizeof text) > 0) {
    }
    fcntl(pipes[0], F_SETFL, 0);
    pith_server_log_write(log, PITH_LOG_WANTED_INFO, "read again");
    close(pipes[1]);
    FILE *file = fdopen(pipes[0], "r");
    pith_json line = read_line(file, text, sizeof text);
    const char *message = pith_json_text(pith_json_get(line, "message"));
    CHECK(strncmp(message, "1000 lines are missing", 22) == 0, "%s", message);
    line = read_line(file, text, sizeof text);
    message = pith_json_text(pith_json_get(line, "message"));
    CHECK(strcmp(message, "read again") == 0, "%s", message);
    CHECK(fgets(text, sizeof text, file) == NULL, "one line too many: %s", text);
    fclose(file);
    pith_server_log_free(log);
    CHECK_NO_LEAKS();
}
