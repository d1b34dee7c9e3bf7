/* Ledgers, keys and requests for the tests of the ledger. */
#include "tests/ledger_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(pith_status status, const pith_error *error) {
    if (status != PITH_OK) {
        fprintf(stderr, "%s\n", error->message);
        exit(1);
    }
}

int64_t test_ledger_clock(void *user) {
    return *(test_ledger_time *)user;
}

pith_ledger *test_ledger_open(const char *path, test_ledger_time *time) {
    pith_ledger *ledger;
    pith_error error;
    must(pith_ledger_open(&ledger, path, &error), &error);
    if (time != NULL) {
        pith_ledger_set_clock(ledger, test_ledger_clock, time);
    }
    return ledger;
}

pith_key test_ledger_key(pith_ledger *ledger, const char *name, size_t infer, size_t embed,
                         char *text) {
    pith_key key = {.infer_per_hour = infer, .embed_per_hour = embed, .max_tokens = 7};
    char made[PITH_KEY_TEXT];
    pith_error error;
    snprintf(key.name, sizeof key.name, "%s", name);
    must(pith_ledger_add_key(ledger, &key, made, &error), &error);
    must(pith_ledger_authenticate(ledger, made, strlen(made), &key, &error), &error);
    if (text != NULL) {
        memcpy(text, made, sizeof made);
    }
    return key;
}

pith_admission test_ledger_reserve(pith_ledger *ledger, const pith_key *key, pith_quota *quota,
                                   int64_t *id) {
    const pith_reservation_request request = {.key = key,
                                              .kind = PITH_QUOTA_KIND_INFER,
                                              .model = "m"};
    pith_admission admission;
    pith_error error;
    must(pith_ledger_reserve(ledger, &request, &admission, quota, id, &error), &error);
    return admission;
}

typedef struct wanted_row {
    const char *key, *model;
    pith_quota_kind kind;
    pith_usage_row found;
} wanted_row;

static bool look_at(void *user, const pith_usage_row *row) {
    wanted_row *wanted = user;
    if (strcmp(row->key, wanted->key) == 0 && strcmp(row->model, wanted->model) == 0 &&
        row->kind == wanted->kind) {
        wanted->found.requests += row->requests;
        wanted->found.failed += row->failed;
        wanted->found.prompt_tokens += row->prompt_tokens;
        wanted->found.generated_tokens += row->generated_tokens;
        wanted->found.seconds += row->seconds;
    }
    return true;
}

pith_usage_row test_ledger_usage(pith_ledger *ledger, const char *key, const char *model,
                                 pith_quota_kind kind, int64_t since) {
    wanted_row wanted = {.key = key, .model = model, .kind = kind};
    pith_error error;
    must(pith_ledger_usage(ledger, 0, since, look_at, &wanted, &error), &error);
    return wanted.found;
}
