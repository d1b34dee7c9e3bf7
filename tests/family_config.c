/* See family_config.h. */
#include "tests/family_config.h"

#include "base/memory.h"
#include "convert/hf_config.h"
#include "tests/checkpoint.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

pith_status test_family_parse(pith_config *out, const char *edits, pith_error *error) {
    char all[8192];
    int n = snprintf(all, sizeof all, "{\"num_hidden_layers\": 4, \"head_dim\": 16, %s}", edits);
    CHECK(n > 0 && (size_t)n < sizeof all, "%d bytes of edits are too long", n);
    char *text = test_config_text(all);
    pith_hf_config parsed;
    pith_status status = pith_hf_config_parse(&parsed, text, strlen(text), NULL, 0, false,
                                              &pith_malloc_allocator, error);
    if (status == PITH_OK) {
        *out = parsed.config;
    }
    free(text);
    return status;
}

pith_config test_family_config(const char *edits) {
    pith_config config = {.vocab_size = 0};
    pith_error error = {0};
    CHECK(test_family_parse(&config, edits, &error) == PITH_OK, "%s: %s", edits, error.message);
    return config;
}

void test_family_refused(const char *edits, pith_status expected, const char *words) {
    pith_config config;
    pith_error error = {0};
    pith_status status = test_family_parse(&config, edits, &error);
    CHECK(status == expected && strstr(error.message, words) != NULL, "%s: %s: %s", edits,
          pith_status_name(status), error.message);
}
