/* What the tests of the ledger share: opening, keys, requests, and a clock that they set. */
#ifndef PITH_TESTS_LEDGER_DATA_H
#define PITH_TESTS_LEDGER_DATA_H

#include "server/ledger.h"
#include "tests/support.h"

#include <stdatomic.h>

/* Milliseconds since 1970; pass test_ledger_clock and the address of one. */
typedef _Atomic int64_t test_ledger_time;
int64_t test_ledger_clock(void *user);

/* Opens a ledger, by `time` when that is not NULL; ends the process when that fails. */
pith_ledger *test_ledger_open(const char *path, test_ledger_time *time);

/* Makes a key with `infer` and `embed` requests an hour, and authenticates it; text
 * [PITH_KEY_TEXT] receives it unless NULL. Ends the process when that fails. */
pith_key test_ledger_key(pith_ledger *ledger, const char *name, size_t infer, size_t embed,
                         char *text);

/* Reserves an inference request for "m"; ends the process when that fails. */
pith_admission test_ledger_reserve(pith_ledger *ledger, const pith_key *key, pith_quota *quota,
                                   int64_t *id);

/* The sum of the usage rows with these names since `since`, seconds since 1970. Its strings are
 * NULL.
 */
pith_usage_row test_ledger_usage(pith_ledger *ledger, const char *key, const char *model,
                                 pith_quota_kind kind, int64_t since);

#endif
