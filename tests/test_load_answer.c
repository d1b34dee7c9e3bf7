/* The load generator's reader of HTTP answers: whatever pieces an answer comes in, it is the same.
 */
#include "perf/load/load.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

static const char stream[] =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
    "2a\r\ndata: {\"choices\":[{\"text\":\"\",\"index\":0}]}\n\r\n"
    "5\r\n: hi\n\r\n"
    "10\r\ndata: {\"choices\"\r\n1d\r\n:[{\"text\":\" a\",\"index\":0}]}\n\n\r\n"
    "2d\r\ndata: {\"choices\":[{\"text\":\" b\",\"index\":0}]}\n\n\r\n"
    "31\r\ndata: {\"usage\":{\"completion_tokens\":2,\"more\":1}}\n\r\n"
    "0\r\n\r\n";
static const char document[] =
    "HTTP/1.1 503 Busy\r\nContent-Length: 33\r\nConnection: close\r\n\r\n"
    "{\"usage\":{\"completion_tokens\":7}}";

static load_answer answer;

/* Reads an answer whose first `cut` bytes come before the others. */
static void read_cut(const char *text, size_t n, size_t cut, load_samples *inter) {
    load_answer_begin(&answer, inter);
    load_answer_read(&answer, text, cut, 1);
    load_answer_read(&answer, text + cut, n - cut, 2);
}

TEST(load_answer, a_stream_is_read_in_any_pieces) {
    for (size_t cut = 0; cut < sizeof stream; cut++) {
        load_samples inter = {.n = 0};
        read_cut(stream, sizeof stream - 1, cut < sizeof stream - 1 ? cut : sizeof stream - 1,
                 &inter);
        CHECK(answer.complete && !answer.broken && answer.status == 200, "cut at %zu: status %d",
              cut, answer.status);
        CHECK(answer.is_stream && answer.n_tokens == 2 && inter.n == 1 && answer.first > 0,
              "cut at %zu: %zu tokens, %zu times between", cut, answer.n_tokens, inter.n);
        load_samples_free(&inter);
    }
}

TEST(load_answer, a_document_ends_with_its_length) {
    for (size_t cut = 0; cut < sizeof document - 1; cut++) {
        read_cut(document, sizeof document - 1, cut, NULL);
        CHECK(answer.complete && !answer.broken && answer.status == 503 && answer.close &&
                  answer.n_tokens == 7,
              "cut at %zu: status %d, %zu tokens", cut, answer.status, answer.n_tokens);
        load_answer_begin(&answer, NULL);
        load_answer_read(&answer, document, cut, 1);
        load_answer_end(&answer);
        CHECK(answer.broken && !answer.complete, "cut at %zu is whole", cut);
    }
    read_cut(document, sizeof document, 10, NULL); /* and its NUL */
    CHECK(answer.broken, "bytes that nobody asked for");
}

TEST(load_answer, what_is_no_http_is_broken) {
    static const char *const texts[] = {
        "hello\r\n", "HTTP/1.1 9\r\n", "HTTP/1.1 600 x\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n00000000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        load_answer_begin(&answer, NULL);
        load_answer_read(&answer, texts[i], strlen(texts[i]), 1);
        CHECK(answer.broken, "'%s'", texts[i]);
    }
}

TEST(load_answer, quantiles_are_those_of_the_samples) {
    load_samples samples = {.n = 0};
    CHECK(load_samples_quantile(&samples, 0.5) == 0, "of none");
    for (size_t i = 0; i < 2000; i++) {
        CHECK(load_samples_add(&samples, (double)((i * 7919) % 2000 + 1)), "memory");
    }
    const struct {
        double share, value;
    } cases[] = {{0, 1}, {0.5, 1000}, {0.95, 1900}, {0.99, 1980}, {1, 2000}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        double value = load_samples_quantile(&samples, cases[i].share);
        CHECK(value == cases[i].value, "share %g: %g", cases[i].share, value);
    }
    load_samples_free(&samples);
}
