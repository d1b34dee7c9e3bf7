/* Tuning files. What is read is sound, and comes back the same when it is written and read again.
 */
#include "simd/tuning.h"
#include "tests/fuzz/input.h"

#include <string.h>

static void write_and_read(const pith_tuning *tuning) {
    pith_error error;
    pith_tuning back;
    const char *path = test_path("tuning.json");
    fuzz_require(pith_tuning_save(tuning, path, &error) == PITH_OK);
    fuzz_require(pith_tuning_load(&back, path, &error) == PITH_OK);
    fuzz_require(pith_fetch_same(tuning->few, back.few) &&
                 pith_fetch_same(tuning->more, back.more) && strcmp(tuning->cpu, back.cpu) == 0 &&
                 strcmp(tuning->isa, back.isa) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    pith_tuning tuning;
    pith_error error = {.status = PITH_OK};
    pith_status status =
        pith_tuning_parse(&tuning, (const char *)data, size, "tuning.json", &error);
    fuzz_require(error.status == status);
    if (status == PITH_OK) {
        fuzz_require(pith_tuning_check(&tuning, &error) == PITH_OK);
        write_and_read(&tuning);
    } else {
        fuzz_require(status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED ||
                     status == PITH_ERROR_MEMORY);
        fuzz_require(error.message[0] != '\0');
    }
    return 0;
}
