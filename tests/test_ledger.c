/* The ledger as the service uses it: the rolling hour, repeated requests, usage. */
#include "server/ledger_internal.h"
#include "tests/ledger_data.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HOUR = 3600 * 1000, DAY = 24 * HOUR };
#define NOON (INT64_C(20000) * DAY + 12 * HOUR) /* milliseconds since 1970 */

static pith_error error;

/* ---- The rolling hour ------------------------------------------------------------------------ */

static void check_quota(const pith_quota *quota, size_t limit, size_t remaining, size_t reset,
                        const char *when) {
    CHECK(quota->limit == limit && quota->remaining == remaining && quota->reset == reset,
          "%s: limit %zu, remaining %zu, reset %zu; expected %zu, %zu, %zu", when, quota->limit,
          quota->remaining, quota->reset, limit, remaining, reset);
}

TEST(ledger, the_hour_rolls) {
    test_ledger_time now = NOON;
    pith_quota quota;
    int64_t id;
    pith_ledger *ledger = test_ledger_open(test_path("ledger-hour.db"), &now);
    pith_key key = test_ledger_key(ledger, "a", 3, 1, NULL);
    CHECK(pith_ledger_quota(ledger, &key, PITH_QUOTA_KIND_INFER, &quota, &error) == PITH_OK, "%s",
          error.message);
    check_quota(&quota, 3, 3, 0, "before");
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "first");
    check_quota(&quota, 3, 2, 3600, "first");
    now = NOON + 1000;
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "second");
    check_quota(&quota, 3, 1, 3599, "second");
    now = NOON + 1001;
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "third");
    check_quota(&quota, 3, 0, 3599, "third");
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_OVER_QUOTA, "fourth");
    check_quota(&quota, 3, 0, 3599, "fourth");
    /* Embedding requests are counted by themselves. */
    CHECK(pith_ledger_quota(ledger, &key, PITH_QUOTA_KIND_EMBED, &quota, &error) == PITH_OK, "%s",
          error.message);
    check_quota(&quota, 1, 1, 0, "embed");

    now = NOON + HOUR - 1;
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_OVER_QUOTA, "a millisecond early");
    check_quota(&quota, 3, 0, 1, "a millisecond early");
    now = NOON + HOUR;
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "after an hour");
    check_quota(&quota, 3, 0, 1, "after an hour");
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_OVER_QUOTA, "one only");
    now = NOON + HOUR + 1000;
    CHECK(pith_ledger_quota(ledger, &key, PITH_QUOTA_KIND_INFER, &quota, &error) == PITH_OK, "%s",
          error.message);
    check_quota(&quota, 3, 1, 1, "the second is gone, the third goes in a millisecond");
    now = NOON + HOUR + 1001;
    CHECK(pith_ledger_quota(ledger, &key, PITH_QUOTA_KIND_INFER, &quota, &error) == PITH_OK, "%s",
          error.message);
    check_quota(&quota, 3, 2, 3599, "two are gone");
    pith_ledger_close(ledger);
}

TEST(ledger, a_lowered_limit_waits_for_the_right_request) {
    test_ledger_time now = NOON;
    pith_quota quota;
    int64_t id;
    pith_ledger *ledger = test_ledger_open(test_path("ledger-lowered.db"), &now);
    pith_key key = test_ledger_key(ledger, "a", 5, 1, NULL);
    for (int64_t i = 0; i < 5; i++) {
        now = NOON + i * 60000;
        CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "admitted");
    }
    key.infer_per_hour = 2;
    /* The fourth must leave before there is one request of the hour. */
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_OVER_QUOTA, "over");
    check_quota(&quota, 2, 0, 3600 - 60, "lowered");
    now = NOON + 4 * 60000 + (3600 - 60) * 1000 - 1;
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_OVER_QUOTA, "early");
    now++;
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "as promised");
    key.infer_per_hour = 0;
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "no limit");
    check_quota(&quota, 0, 0, 0, "no limit");
    pith_ledger_close(ledger);
}

TEST(ledger, a_clock_set_back_admits_no_more_and_locks_nobody_out) {
    test_ledger_time now = NOON + 400 * (int64_t)DAY;
    pith_quota quota;
    int64_t id;
    pith_ledger *ledger = test_ledger_open(test_path("ledger-clock.db"), &now);
    pith_key key = test_ledger_key(ledger, "a", 2, 1, NULL);
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "first");
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "second");
    now = NOON;
    CHECK(pith_ledger_quota(ledger, &key, PITH_QUOTA_KIND_INFER, &quota, &error) == PITH_OK, "%s",
          error.message);
    check_quota(&quota, 2, 0, 3600, "looked at");
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_OVER_QUOTA, "over");
    check_quota(&quota, 2, 0, 3600, "set back");
    now = NOON + HOUR - 1;
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_OVER_QUOTA, "early");
    now = NOON + HOUR;
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "after an hour");
    pith_ledger_close(ledger);
}

/* ---- Taking back, and settling --------------------------------------------------------------- */

TEST(ledger, a_request_taken_back_is_none) {
    pith_quota quota;
    int64_t id;
    int64_t other;
    const pith_settlement cost = {.prompt_tokens = 3, .generated_tokens = 4, .seconds = 0.5};
    pith_ledger *ledger = test_ledger_open(test_path("ledger-back.db"), NULL);
    pith_key key = test_ledger_key(ledger, "a", 2, 1, NULL);
    CHECK(test_ledger_reserve(ledger, &key, &quota, &other) == PITH_ADMITTED, "first");
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "second");
    CHECK(pith_ledger_unreserve(ledger, id, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_unreserve(ledger, id, &error) == PITH_ERROR_ARGUMENT, "twice");
    CHECK(pith_ledger_settle(ledger, id, &cost, &error) == PITH_ERROR_ARGUMENT, "settled nothing");
    CHECK(pith_ledger_settle(ledger, other, &cost, &error) == PITH_OK, "%s", error.message);
    CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "second again");
    pith_usage_row row = test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, 0);
    CHECK(row.requests == 2 && row.failed == 0 && row.prompt_tokens == 3 &&
              row.generated_tokens == 4 && row.seconds == 0.5,
          "%zu requests, %zu and %zu tokens", row.requests, row.prompt_tokens,
          row.generated_tokens);
    pith_ledger_close(ledger);
}

TEST(ledger, settlements_have_bounds) {
    static const pith_settlement wrong[] = {
        {.prompt_tokens = (size_t)PITH_LEDGER_TOKENS + 1},
        {.generated_tokens = (size_t)-1},
        {.seconds = -1},
        {.seconds = 1e300},
        {.seconds = (double)NAN},
    };
    pith_quota quota;
    int64_t id;
    pith_ledger *ledger = test_ledger_open(NULL, NULL);
    test_ledger_reserve(ledger, NULL, &quota, &id);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        CHECK(pith_ledger_settle(ledger, id, &wrong[i], &error) == PITH_ERROR_ARGUMENT, "case %zu",
              i);
    }
    pith_ledger_close(ledger);
}

/* ---- Repeated requests ----------------------------------------------------------------------- */

typedef struct repeat_case {
    pith_ledger *ledger;
    pith_reservation_request request;
    pith_quota quota;
    int64_t id;
} repeat_case;

static pith_admission repeat(repeat_case *c, const char *key, const char *body) {
    pith_admission admission;
    c->request.idempotency_key = key;
    c->request.body = body;
    c->request.n_body = body != NULL ? strlen(body) : 0;
    CHECK(pith_ledger_reserve(c->ledger, &c->request, &admission, &c->quota, &c->id, &error) ==
              PITH_OK,
          "%s", error.message);
    return admission;
}

TEST(ledger, a_repeated_request_is_counted_once) {
    test_ledger_time now = NOON;
    const pith_settlement cost = {.prompt_tokens = 3, .generated_tokens = 4, .seconds = 0.5};
    const pith_settlement gone = {.prompt_tokens = 3, .failed = true};
    repeat_case c = {.ledger = test_ledger_open(test_path("ledger-repeat.db"), &now)};
    pith_key key = test_ledger_key(c.ledger, "a", 2, 2, NULL);
    pith_key other = test_ledger_key(c.ledger, "b", 2, 2, NULL);
    c.request = (pith_reservation_request){.key = &key, .model = "m"};
    CHECK(repeat(&c, "k", "body") == PITH_ADMITTED, "first");
    int64_t first = c.id;
    CHECK(pith_ledger_settle(c.ledger, first, &gone, &error) == PITH_OK, "%s", error.message);
    CHECK(repeat(&c, "k", "body") == PITH_ADMITTED_AGAIN && c.id == first, "again");
    check_quota(&c.quota, 2, 1, 3600, "again");
    CHECK(pith_ledger_settle(c.ledger, c.id, &cost, &error) == PITH_OK, "%s", error.message);
    CHECK(repeat(&c, "k", "bodY") == PITH_OTHER_BODY, "another body");
    CHECK(repeat(&c, "k", NULL) == PITH_OTHER_BODY, "no body");
    check_quota(&c.quota, 2, 1, 3600, "another body");
    c.request.path = "/infer";
    CHECK(repeat(&c, "k", "body") == PITH_OTHER_BODY, "another path");
    c.request.path = NULL;
    /* The key belongs to the API key and the kind. */
    c.request.key = &other;
    CHECK(repeat(&c, "k", "bodY") == PITH_ADMITTED && c.id != first, "another API key");
    c.request.key = &key;
    c.request.kind = PITH_QUOTA_KIND_EMBED;
    CHECK(repeat(&c, "k", "bodY") == PITH_ADMITTED && c.id != first, "another kind");
    c.request.kind = PITH_QUOTA_KIND_INFER;
    CHECK(repeat(&c, "K", "body") == PITH_ADMITTED && c.id != first, "another idempotency key");
    /* At the limit what was counted is still admitted, and nothing else. */
    CHECK(repeat(&c, "k", "body") == PITH_ADMITTED_AGAIN && c.id == first, "at the limit");
    CHECK(repeat(&c, "l", "body") == PITH_OVER_QUOTA, "a third request");
    pith_usage_row row = test_ledger_usage(c.ledger, "a", "m", PITH_QUOTA_KIND_INFER, 0);
    CHECK(row.requests == 2 && row.failed == 0 && row.prompt_tokens == 6 &&
              row.generated_tokens == 4,
          "%zu requests, %zu failed, %zu and %zu tokens", row.requests, row.failed,
          row.prompt_tokens, row.generated_tokens);
    now = NOON + PITH_IDEMPOTENCY_SECONDS * 1000 - 1;
    CHECK(repeat(&c, "k", "body") == PITH_ADMITTED_AGAIN, "just before 10 minutes");
    CHECK(repeat(&c, "k", "body") == PITH_OVER_QUOTA, "a fifth time");
    CHECK(repeat(&c, "k", "bodY") == PITH_OTHER_BODY, "another body after that");
    now++;
    CHECK(repeat(&c, "k", "body") == PITH_OVER_QUOTA, "after 10 minutes");
    now = NOON + HOUR;
    CHECK(repeat(&c, "k", "another") == PITH_ADMITTED && c.id != first, "after an hour");
    for (int i = 1; i < PITH_IDEMPOTENCY_TIMES; i++) {
        CHECK(repeat(&c, "k", "another") == PITH_ADMITTED_AGAIN && c.id != first, "and again");
    }
    first = c.id;
    CHECK(repeat(&c, "k", "another") == PITH_ADMITTED && c.id != first, "counted anew");
    CHECK(repeat(&c, "k", "another") == PITH_ADMITTED_AGAIN && c.id != first, "and that again");
    pith_ledger_close(c.ledger);
}

TEST(ledger, a_repeated_request_taken_back) {
    repeat_case c = {.ledger = test_ledger_open(test_path("ledger-again.db"), NULL)};
    pith_key key = test_ledger_key(c.ledger, "a", 1, 1, NULL);
    c.request = (pith_reservation_request){.key = &key, .model = "m"};
    CHECK(repeat(&c, "k", "x") == PITH_ADMITTED && c.quota.remaining == 0, "first");
    CHECK(repeat(&c, "k", "x") == PITH_ADMITTED_AGAIN, "again");
    CHECK(pith_ledger_unreserve(c.ledger, c.id, &error) == PITH_OK, "%s", error.message);
    CHECK(repeat(&c, "l", "x") == PITH_OVER_QUOTA, "the first is still there");
    CHECK(repeat(&c, "k", "y") == PITH_OTHER_BODY, "with its body");
    CHECK(repeat(&c, "k", "x") == PITH_ADMITTED_AGAIN, "again");
    CHECK(pith_ledger_unreserve(c.ledger, c.id, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_unreserve(c.ledger, c.id, &error) == PITH_OK, "%s", error.message);
    CHECK(repeat(&c, "k", "y") == PITH_ADMITTED, "both were taken back");
    pith_ledger_close(c.ledger);
}

TEST(ledger, names_of_requests_have_bounds) {
    char name[PITH_LEDGER_MODEL + 1];
    pith_admission admission;
    pith_quota quota;
    int64_t id;
    pith_ledger *ledger = test_ledger_open(NULL, NULL);
    pith_reservation_request request = {.model = name, .idempotency_key = "k"};
    memset(name, 'm', sizeof name);
    name[sizeof name - 1] = 0;
    CHECK(pith_ledger_reserve(ledger, &request, &admission, &quota, &id, &error) ==
              PITH_ERROR_ARGUMENT,
          "a model of 256 bytes");
    request = (pith_reservation_request){.model = "m", .idempotency_key = name};
    CHECK(pith_ledger_reserve(ledger, &request, &admission, &quota, &id, &error) ==
              PITH_ERROR_ARGUMENT,
          "an idempotency key of 256 bytes");
    request.idempotency_key = "";
    CHECK(pith_ledger_reserve(ledger, &request, &admission, &quota, &id, &error) ==
              PITH_ERROR_ARGUMENT,
          "an empty idempotency key");
    request = (pith_reservation_request){.model = name + 1, .idempotency_key = name + 1};
    CHECK(pith_ledger_reserve(ledger, &request, &admission, &quota, &id, &error) == PITH_OK, "%s",
          error.message);
    pith_ledger_close(ledger);
}

/* ---- Usage ----------------------------------------------------------------------------------- */

TEST(ledger, usage_in_memory_counts_this_run) {
    pith_quota quota;
    int64_t id;
    const pith_settlement cost = {.prompt_tokens = 3, .generated_tokens = 4, .seconds = 0.5};
    pith_ledger *ledger = test_ledger_open(NULL, NULL);
    CHECK(!pith_ledger_wants_key(ledger), "keys in memory");
    for (size_t i = 0; i < 1000; i++) {
        CHECK(test_ledger_reserve(ledger, NULL, &quota, &id) == PITH_ADMITTED, "request %zu", i);
        CHECK(pith_ledger_settle(ledger, id, &cost, &error) == PITH_OK, "%s", error.message);
    }
    pith_usage_row row = test_ledger_usage(ledger, "", "m", PITH_QUOTA_KIND_INFER, 0);
    CHECK(row.requests == 1000 && row.prompt_tokens == 3000 && row.generated_tokens == 4000 &&
              row.seconds == 500,
          "%zu requests", row.requests);
    pith_ledger_close(ledger);
}

static bool append_row(void *user, const pith_usage_row *row) {
    char *text = user;
    snprintf(text + strlen(text), 200 - strlen(text), "%s/%s/%d:%zu ", row->key, row->model,
             (int)row->kind, row->requests);
    return strlen(text) < 60;
}

TEST(ledger, usage_is_sorted_and_of_the_keys_asked_for) {
    char all[200] = "";
    char one[200] = "";
    pith_admission admission;
    pith_quota quota;
    int64_t id;
    pith_ledger *ledger = test_ledger_open(test_path("ledger-sorted.db"), NULL);
    pith_key b = test_ledger_key(ledger, "b", 0, 0, NULL);
    pith_key a = test_ledger_key(ledger, "a", 0, 0, NULL);
    const pith_reservation_request requests[] = {
        {.key = &b, .model = "m"},
        {.key = &a, .model = "n"},
        {.key = &a, .model = "m", .kind = PITH_QUOTA_KIND_EMBED},
        {.key = &a, .model = "m"},
        {.model = "m"},
        {.key = &b, .model = "m"},
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        CHECK(pith_ledger_reserve(ledger, &requests[i], &admission, &quota, &id, &error) == PITH_OK,
              "%s", error.message);
    }
    CHECK(pith_ledger_usage(ledger, 0, 0, append_row, all, &error) == PITH_OK, "%s", error.message);
    CHECK(strcmp(all, "/m/0:1 a/m/0:1 a/m/1:1 a/n/0:1 b/m/0:2 ") == 0, "'%s'", all);
    CHECK(pith_ledger_usage(ledger, b.id, 0, append_row, one, &error) == PITH_OK, "%s",
          error.message);
    CHECK(strcmp(one, "b/m/0:2 ") == 0, "'%s'", one);
    pith_ledger_close(ledger);
}

static int64_t number(const pith_ledger *ledger, const char *sql) {
    int64_t value = -1;
    CHECK(pith_store_number(ledger->store, sql, &value, &error) == PITH_OK, "%s", error.message);
    return value;
}

/* Three days, a request a minute: totals never change, and the rows that quotas count in are those
 * of a day. */
TEST(ledger, old_requests_are_folded_and_no_total_changes) {
    enum { MINUTES = 3 * 24 * 60 };
    test_ledger_time now = NOON;
    pith_quota quota;
    int64_t id;
    pith_ledger *ledger = test_ledger_open(test_path("ledger-fold.db"), &now);
    pith_key key = test_ledger_key(ledger, "a", 60, 0, NULL);
    size_t prompt = 0;
    size_t failed = 0;
    for (size_t i = 0; i < MINUTES; i++) {
        now = NOON + (int64_t)i * 60000;
        CHECK(test_ledger_reserve(ledger, &key, &quota, &id) == PITH_ADMITTED, "minute %zu", i);
        const pith_settlement cost = {.prompt_tokens = i % 7,
                                      .generated_tokens = 1,
                                      .seconds = 0.25,
                                      .failed = i % 5 == 0};
        if (i % 3 != 0) { /* the others were killed */
            prompt += cost.prompt_tokens;
            failed += cost.failed ? 1 : 0;
            CHECK(pith_ledger_settle(ledger, id, &cost, &error) == PITH_OK, "%s", error.message);
        }
        if (i % 500 == 499 || i == MINUTES - 1) {
            pith_usage_row row = test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, 0);
            CHECK(row.requests == i + 1 && row.prompt_tokens == prompt && row.failed == failed &&
                      row.generated_tokens == i - i / 3 &&
                      row.seconds == 0.25 * (double)(i - i / 3),
                  "minute %zu: %zu requests, %zu and %zu tokens", i, row.requests,
                  row.prompt_tokens, row.generated_tokens);
        }
    }
    int64_t n_rows = number(ledger, "SELECT count(*) FROM requests");
    CHECK(n_rows <= 24 * 60 + 512, "%lld rows", (long long)n_rows);
    CHECK(number(ledger, "SELECT count(*) FROM usage_days") == 3, "%lld days",
          (long long)number(ledger, "SELECT count(*) FROM usage_days"));
    CHECK(number(ledger, "SELECT min(requests) FROM usage_days") > 0, "an empty day");
    /* Within the last day to the millisecond; before it by whole days. */
    for (int64_t hours = 0; hours < 24; hours++) {
        int64_t since = now / 1000 - hours * 3600;
        pith_usage_row row = test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, since);
        CHECK(row.requests == (size_t)hours * 60 + 1, "%zu requests of %lld hours", row.requests,
              (long long)hours);
    }
    int64_t second_day = NOON / 1000 + 12 * 3600;
    CHECK(test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, second_day).requests ==
              MINUTES - 12 * 60,
          "the first day is not left out");
    CHECK(test_ledger_usage(ledger, "a", "m", PITH_QUOTA_KIND_INFER, second_day + 7200).requests ==
              MINUTES - 12 * 60,
          "the second day is not counted whole");
    pith_ledger_close(ledger);
}

/* Where very many come, the newest are kept, and those of the hour in any case. */
TEST(ledger, very_many_requests_are_folded_after_an_hour) {
    test_ledger_time now = NOON;
    pith_quota quota;
    int64_t id;
    pith_ledger *ledger = test_ledger_open(NULL, &now);
    ledger->max_rows = 100;
    for (size_t i = 0; i < 3000; i++) {
        now = NOON + (int64_t)i * 4000; /* 900 an hour */
        test_ledger_reserve(ledger, NULL, &quota, &id);
    }
    int64_t n_rows = number(ledger, "SELECT count(*) FROM requests");
    CHECK(n_rows >= 900 && n_rows < 900 + 512, "%lld rows", (long long)n_rows);
    CHECK(test_ledger_usage(ledger, "", "m", PITH_QUOTA_KIND_INFER, 0).requests == 3000, "lost");
    CHECK(test_ledger_usage(ledger, "", "m", PITH_QUOTA_KIND_INFER, now / 1000 - 3599).requests ==
              900,
          "the last hour");
    pith_ledger_close(ledger);
}

/* Rows from a future that never comes do not stop folding. */
TEST(ledger, a_clock_set_back_does_not_stop_folding) {
    test_ledger_time now = NOON + 400 * (int64_t)DAY;
    pith_quota quota;
    int64_t id;
    pith_key other = {.id = 77};
    pith_ledger *ledger = test_ledger_open(NULL, &now);
    for (size_t i = 0; i < 600; i++) {
        test_ledger_reserve(ledger, &other, &quota, &id);
    }
    for (size_t i = 0; i < 4000; i++) {
        now = NOON + (int64_t)i * 60000;
        test_ledger_reserve(ledger, NULL, &quota, &id);
    }
    int64_t n_rows = number(ledger, "SELECT count(*) FROM requests");
    CHECK(n_rows <= 24 * 60 + 512, "%lld rows", (long long)n_rows);
    CHECK(test_ledger_usage(ledger, "", "m", PITH_QUOTA_KIND_INFER, 0).requests == 4600, "lost");
    pith_ledger_close(ledger);
}
