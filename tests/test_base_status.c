/* Error messages, status names, logging. */
#include "base/status.h"
#include "tests/support.h"
#include "tests/test.h"

#include <string.h>

TEST(status, every_status_has_its_own_name) {
    for (int i = PITH_OK; i <= PITH_ERROR_STOPPED; i++) {
        const char *name = pith_status_name((pith_status)i);
        CHECK(name != NULL && strcmp(name, "unknown") != 0, "status %d has no name", i);
        for (int j = PITH_OK; j < i; j++) {
            CHECK(strcmp(name, pith_status_name((pith_status)j)) != 0,
                  "statuses %d and %d are both called %s", i, j, name);
        }
    }
    CHECK(strcmp(pith_status_name((pith_status)1000), "unknown") == 0, "got %s",
          pith_status_name((pith_status)1000));
    CHECK(strcmp(pith_version(), PITH_VERSION) == 0, "got %s", pith_version());
}

TEST(status, fail_fills_the_error_and_returns_the_status) {
    pith_error error;
    pith_status status = pith_fail(&error, PITH_ERROR_FORMAT, "%s: field %d", "a.pith", 7);
    CHECK(status == PITH_ERROR_FORMAT && error.status == status, "status %d, in the error %d",
          (int)status, (int)error.status);
    CHECK(strcmp(error.message, "a.pith: field 7") == 0, "message '%s'", error.message);
    status = pith_fail(NULL, PITH_ERROR_IO, "nobody reads this %d", 1);
    CHECK(status == PITH_ERROR_IO, "status %d", (int)status);
}

TEST(status, fail_accepts_its_own_message_as_an_argument) {
    pith_error error;
    pith_fail(&error, PITH_ERROR_TEXT, "inner");
    pith_fail(&error, PITH_ERROR_FORMAT, "[%s|%s]", error.message, error.message);
    CHECK(strcmp(error.message, "[inner|inner]") == 0, "message '%s'", error.message);
}

TEST(status, fail_in_prepends_and_keeps_the_first_status) {
    pith_error error;
    pith_fail(&error, PITH_ERROR_TEXT, "byte %d", 3);
    pith_status status = pith_fail_in(&error, PITH_ERROR_IO, "line %d", 9);
    CHECK(status == PITH_ERROR_TEXT && error.status == status, "status %d", (int)status);
    CHECK(strcmp(error.message, "line 9: byte 3") == 0, "message '%s'", error.message);
    status = pith_fail_in(NULL, PITH_ERROR_IO, "line %d", 9);
    CHECK(status == PITH_ERROR_IO, "status %d", (int)status);
}

/* A message of n_before letters, then many copies of one character, is cut to whole characters. */
static void check_cut(size_t n_before, const char *character) {
    pith_error error;
    char text[4 * sizeof error.message + 1];
    size_t width = strlen(character);
    size_t n = 0;
    while (n < n_before) {
        text[n++] = 'x';
    }
    while (n + width < sizeof text) {
        memcpy(text + n, character, width);
        n += width;
    }
    text[n] = '\0';
    pith_fail(&error, PITH_ERROR_IO, "%s", text);
    size_t expected = n_before + (sizeof error.message - 1 - n_before) / width * width;
    CHECK(strlen(error.message) == expected, "%zu letters, then '%s': %zu bytes, expected %zu",
          n_before, character, strlen(error.message), expected);
    CHECK(memcmp(error.message, text, expected) == 0, "the text changed");
}

static void keep_message(void *user, pith_log_level level, const char *message) {
    (void)level;
    strcpy(user, message);
}

/* Names and values in messages come out of files; a terminal would carry out the control characters
 * in them. */
TEST(status, control_characters_are_replaced) {
    static const struct {
        const char *given, *shown;
    } cases[] = {
        {"\x1b[31mred\x1b[0m\a\n\t\x7f", "?[31mred?[0m????"},
        {"\xc2\x80|\xc2\x9b|\xc2\x9f", "??|??|??"},
        {"\xc2\xa0\xc3\x80\xe2\x96\x81\xc2", "\xc2\xa0\xc3\x80\xe2\x96\x81\xc2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char logged[1000];
        pith_log log = {keep_message, logged};
        pith_error error;
        pith_fail(&error, PITH_ERROR_FORMAT, "%s", cases[i].given);
        pith_log_write(&log, PITH_LOG_WARNING, "%s", cases[i].given);
        CHECK(strcmp(error.message, cases[i].shown) == 0, "case %zu: %s", i, error.message);
        CHECK(strcmp(logged, cases[i].shown) == 0, "case %zu: %s", i, logged);
    }
}

TEST(status, long_messages_end_between_characters) {
    for (size_t n_before = 0; n_before < 8; n_before++) {
        check_cut(n_before, "y");
        check_cut(n_before, "\xc3\xa9");
        check_cut(n_before, "\xe2\x96\x81");
        check_cut(n_before, "\xf0\x9f\x99\x82");
    }
}

TEST(status, broken_utf8_is_cut_too) {
    pith_error error;
    char text[2 * sizeof error.message];
    memset(text, 0x80, sizeof text - 1);
    text[sizeof text - 1] = '\0';
    pith_fail(&error, PITH_ERROR_IO, "%s", text);
    CHECK(strlen(error.message) == sizeof error.message - 1, "%zu bytes", strlen(error.message));
}

typedef struct heard {
    int n;
    pith_log_level level;
    char message[64];
} heard;

static void listen(void *user, pith_log_level level, const char *message) {
    heard *h = user;
    h->n++;
    h->level = level;
    strncpy(h->message, message, sizeof h->message - 1);
}

TEST(status, log_reaches_its_callback_or_nobody) {
    heard h = {0};
    pith_log log = {.fn = listen, .user = &h};
    pith_log_write(&log, PITH_LOG_WARNING, "context %d", 4096);
    CHECK(h.n == 1 && h.level == PITH_LOG_WARNING, "%d calls, level %d", h.n, (int)h.level);
    CHECK(strcmp(h.message, "context 4096") == 0, "message '%s'", h.message);
    pith_log silent = {0};
    pith_log_write(&silent, PITH_LOG_INFO, "nothing");
    pith_log_write(NULL, PITH_LOG_INFO, "nothing");
    CHECK(h.n == 1, "%d calls", h.n);
}
