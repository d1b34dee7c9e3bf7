/* Another parser's opinion of a JSON document: what base/json reads must agree with jansson. */
#ifndef PITH_TESTS_JSON_REFERENCE_H
#define PITH_TESTS_JSON_REFERENCE_H

#include <stddef.h>

/* Reads `text` [n] with both, strictly and as Python does, compares verdicts and values, and writes
 * what was read and reads it again. Every buffer has the exact size of its document, so that
 * AddressSanitizer sees a step beyond it. NULL: they agree; else what differs. */
const char *test_json_compare(const char *text, size_t n);

#endif
