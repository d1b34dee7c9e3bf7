/* Arbitrary text as a JSON document: the reader must agree with jansson, stay in its buffer and, of
 * what it has written itself, read the same again. */
#include "tests/json_reference.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    const char *problem = test_json_compare((const char *)data, size);
    if (problem != NULL) {
        fprintf(stderr, "%s\n", problem);
        abort();
    }
    return 0;
}
