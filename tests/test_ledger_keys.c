/* The ledger's keys: made, listed, limited and revoked, here and by other processes; secrets. */
#include "server/ledger_internal.h"
#include "tests/ledger_data.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static pith_error error;

TEST(ledger, a_key_opens_until_it_is_revoked) {
    const char *path = test_path("ledger-keys.db");
    char text[PITH_KEY_TEXT];
    char other[PITH_KEY_TEXT];
    pith_key key;
    pith_ledger *ledger = test_ledger_open(path, NULL);
    CHECK(!pith_ledger_wants_key(ledger), "a key is wanted and there is none");
    pith_key made = test_ledger_key(ledger, "Zoë", 75, 200, text);
    CHECK(pith_ledger_wants_key(ledger), "no key is wanted");
    CHECK(made.infer_per_hour == 75 && made.embed_per_hour == 200 && made.max_tokens == 7 &&
              strcmp(made.name, "Zoë") == 0 && !made.revoked && made.id > 0,
          "the key differs");
    CHECK(strlen(text) == 48 && strncmp(text, "pith-", 5) == 0 &&
              strspn(text + 5,
                     "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == 43,
          "not the form of a key");
    test_ledger_key(ledger, "b", 0, 0, other);
    CHECK(strcmp(text, other) != 0, "twice the same key");
    for (size_t i = 0; i < 48; i++) {
        char wrong[PITH_KEY_TEXT];
        memcpy(wrong, text, sizeof wrong);
        wrong[i] = wrong[i] == 'A' ? 'B' : 'A';
        CHECK(pith_ledger_authenticate(ledger, wrong, 48, &key, &error) == PITH_ERROR_ARGUMENT,
              "opened with byte %zu changed", i);
        CHECK(pith_ledger_authenticate(ledger, text, i, &key, &error) == PITH_ERROR_ARGUMENT,
              "opened with %zu bytes", i);
        CHECK(strstr(error.message, text + 5) == NULL, "the message has the key");
    }
    CHECK(pith_ledger_authenticate(ledger, "", 0, &key, &error) == PITH_ERROR_ARGUMENT, "opened");
    CHECK(pith_ledger_revoke_key(ledger, "Zoë", &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_revoke_key(ledger, "Zoë", &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_authenticate(ledger, text, 48, &key, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "revoked") != NULL,
          "%s", error.message);
    CHECK(pith_ledger_authenticate(ledger, other, 48, &key, &error) == PITH_OK &&
              strcmp(key.name, "b") == 0,
          "%s", error.message);
    pith_ledger_close(ledger);
    ledger = test_ledger_open(path, NULL);
    CHECK(pith_ledger_wants_key(ledger), "keys are forgotten");
    CHECK(pith_ledger_authenticate(ledger, other, 48, &key, &error) == PITH_OK, "%s",
          error.message);
    pith_ledger_close(ledger);
}

static bool collect(void *user, const pith_key *key) {
    char *names = user;
    snprintf(names + strlen(names), 100 - strlen(names), "%s%s ", key->name,
             key->revoked ? "!" : "");
    return strcmp(key->name, "c") != 0;
}

TEST(ledger, keys_are_listed_and_their_limits_change) {
    char names[100] = "";
    char text[PITH_KEY_TEXT];
    pith_key key;
    pith_ledger *ledger = test_ledger_open(test_path("ledger-list.db"), NULL);
    test_ledger_key(ledger, "d", 1, 1, NULL);
    test_ledger_key(ledger, "c", 1, 1, NULL);
    test_ledger_key(ledger, "a", 1, 2, text);
    CHECK(pith_ledger_revoke_key(ledger, "a", &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_keys(ledger, collect, names, &error) == PITH_OK, "%s", error.message);
    CHECK(strcmp(names, "a! c ") == 0, "'%s'", names);
    CHECK(pith_ledger_find_key(ledger, "a", &key, &error) == PITH_OK && key.revoked &&
              key.embed_per_hour == 2,
          "%s", error.message);
    key.infer_per_hour = 5;
    key.embed_per_hour = 6;
    key.max_tokens = 0;
    CHECK(pith_ledger_set_limits(ledger, &key, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_find_key(ledger, "a", &key, &error) == PITH_OK && key.infer_per_hour == 5 &&
              key.embed_per_hour == 6 && key.max_tokens == 0 && key.revoked,
          "the limits did not change");
    CHECK(pith_ledger_find_key(ledger, "c", &key, &error) == PITH_OK && key.infer_per_hour == 1,
          "another key's limits changed");
    CHECK(pith_ledger_find_key(ledger, "b", &key, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "no key 'b'") != NULL,
          "%s", error.message);
    CHECK(pith_ledger_revoke_key(ledger, "b", &error) == PITH_ERROR_ARGUMENT, "revoked nothing");
    pith_ledger_close(ledger);
}

TEST(ledger, names_and_limits_have_bounds) {
    char text[PITH_KEY_TEXT] = "unchanged";
    pith_ledger *ledger = test_ledger_open(test_path("ledger-bounds.db"), NULL);
    pith_ledger *memory = test_ledger_open(NULL, NULL);
    pith_key key = {.name = ""};
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_ERROR_ARGUMENT, "no name");
    memset(key.name, 'n', sizeof key.name);
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_ERROR_ARGUMENT, "no end");
    key.name[PITH_KEY_NAME - 1] = 0;
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_find_key(ledger, key.name, &key, &error) == PITH_OK, "%s", error.message);
    snprintf(text, sizeof text, "unchanged");
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_ERROR_ARGUMENT &&
              strstr(error.message, "already") != NULL,
          "%s", error.message);
    snprintf(key.name, sizeof key.name, "a\nb");
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_ERROR_ARGUMENT, "a newline");
    snprintf(key.name, sizeof key.name, "a\xff");
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_ERROR_ARGUMENT, "no UTF-8");
    snprintf(key.name, sizeof key.name, "x");
    key.infer_per_hour = PITH_QUOTA_MAX + 1;
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_ERROR_ARGUMENT, "infer");
    key.infer_per_hour = PITH_QUOTA_MAX;
    key.embed_per_hour = (size_t)-1;
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_ERROR_ARGUMENT, "embed");
    key.embed_per_hour = 0;
    key.max_tokens = (size_t)PITH_QUOTA_MAX_TOKENS + 1;
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_ERROR_ARGUMENT, "tokens");
    key.max_tokens = 0;
    CHECK(pith_ledger_add_key(memory, &key, text, &error) == PITH_ERROR_ARGUMENT, "in memory");
    CHECK(strcmp(text, "unchanged") == 0, "the text changed");
    CHECK(pith_ledger_add_key(ledger, &key, text, &error) == PITH_OK, "%s", error.message);
    pith_ledger_close(memory);
    pith_ledger_close(ledger);
}

/* `pith keys` while the service runs: nothing must be told to it. */
TEST(ledger, another_process_makes_and_revokes_keys) {
    char text[PITH_KEY_TEXT];
    pith_key key;
    const char *path = test_path("ledger-both.db");
    pith_ledger *service = test_ledger_open(path, NULL);
    pith_ledger *command = test_ledger_open(path, NULL);
    CHECK(!pith_ledger_wants_key(service), "no key yet");
    test_ledger_key(command, "a", 1, 1, text);
    CHECK(pith_ledger_wants_key(service), "the new key is not seen");
    CHECK(pith_ledger_authenticate(service, text, 48, &key, &error) == PITH_OK, "%s",
          error.message);
    CHECK(pith_ledger_revoke_key(command, "a", &error) == PITH_OK, "%s", error.message);
    CHECK(pith_ledger_authenticate(service, text, 48, &key, &error) == PITH_ERROR_ARGUMENT,
          "opened by a revoked key");
    CHECK(pith_ledger_reload(service, &error) == PITH_OK && pith_ledger_wants_key(service), "%s",
          error.message);
    pith_ledger_close(command);
    pith_ledger_close(service);
}

static bool file_has(const char *path, const char *text) {
    struct stat facts;
    size_t size;
    if (stat(path, &facts) != 0) {
        return false;
    }
    char *bytes = test_read_file(path, &size);
    bool found = memmem(bytes, size, text, strlen(text)) != NULL;
    free(bytes);
    return found;
}

TEST(ledger, secrets_are_nowhere_in_its_files) {
    static const char *const ends[] = {"", "-wal", "-shm"};
    static const char body[] = "{\"prompt\": \"canary prompt\"}";
    char text[PITH_KEY_TEXT];
    char path[400];
    char name[420];
    pith_admission admission;
    pith_quota quota;
    int64_t id;
    size_t n_found = 0;
    snprintf(path, sizeof path, "%s", test_path("ledger-secret.db"));
    pith_ledger *ledger = test_ledger_open(path, NULL);
    pith_key key = test_ledger_key(ledger, "canary-name", 3, 3, text);
    const pith_reservation_request request = {.key = &key,
                                              .model = "canary-model",
                                              .idempotency_key = "canary-repeat",
                                              .body = body,
                                              .n_body = sizeof body - 1};
    CHECK(pith_ledger_reserve(ledger, &request, &admission, &quota, &id, &error) == PITH_OK, "%s",
          error.message);
    for (int closed = 0; closed < 2; closed++) {
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
            snprintf(name, sizeof name, "%s%s", path, ends[i]);
            CHECK(!file_has(name, text) && !file_has(name, text + 5), "%s has the key", name);
            CHECK(!file_has(name, "canary-repeat") && !file_has(name, "canary prompt"),
                  "%s has the idempotency key or the body", name);
            n_found += file_has(name, "canary-name") && file_has(name, "canary-model") ? 1 : 0;
        }
        pith_ledger_close(closed == 0 ? ledger : NULL);
    }
    CHECK(n_found == 2, "the names were found %zu times: the search is wrong", n_found);
}
