/* A config.json of any family for the tests of its page: test_config_text's with four layers, heads
 * of 16 elements and `edits`, members of a JSON object. */
#ifndef PITH_TESTS_FAMILY_CONFIG_H
#define PITH_TESTS_FAMILY_CONFIG_H

#include "families/config.h"

/* The two members that name a family. */
#define TEST_CLASS(class, type) "\"architectures\": [\"" class "\"], \"model_type\": \"" type "\""

/* Reads it as the converter does; *out is left alone on failure. */
pith_status test_family_parse(pith_config *out, const char *edits, pith_error *error);

/* Reads one that must be accepted. */
pith_config test_family_config(const char *edits);

/* Checks that one is refused with this status and these words in the message. */
void test_family_refused(const char *edits, pith_status expected, const char *words);

#endif
