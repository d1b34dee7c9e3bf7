/* Tuning files, from memory and from a file. What is read is sound, can be described, and comes
 * back the same when it is written and read again; what a caller breaks in it is refused, and so
 * are places that cannot be written to. */
#include "simd/tuning.h"
#include "tests/fuzz/input.h"

#include <string.h>

static bool same(const pith_tuning *a, const pith_tuning *b) {
    return pith_fetch_same(a->few, b->few) && pith_fetch_same(a->more, b->more) &&
           strcmp(a->cpu, b->cpu) == 0 && strcmp(a->isa, b->isa) == 0;
}

static void require_message(const pith_error *error, pith_status status) {
    fuzz_require(error->status == status && error->message[0] != '\0');
}

static void write_and_read(const pith_tuning *tuning) {
    pith_error error;
    pith_tuning back;
    const char *path = test_path("tuning.json");
    fuzz_require(pith_tuning_save(tuning, path, &error) == PITH_OK);
    fuzz_require(pith_tuning_load(&back, path, &error) == PITH_OK);
    fuzz_require(same(tuning, &back));
    fuzz_require(pith_tuning_save(tuning, test_path("no/tuning.json"), &error) == PITH_ERROR_IO);
    require_message(&error, PITH_ERROR_IO);
    fuzz_require(pith_fetch_describe(tuning->few).text[0] != '\0' &&
                 pith_fetch_describe(tuning->more).text[0] != '\0');
}

/* Fields that only a caller can set. */
static void check_broken(const pith_tuning *tuning, uint64_t hash) {
    pith_tuning broken = *tuning;
    pith_error error = {.status = PITH_OK};
    switch (hash % 6) {
    case 0:
        broken.few.hint = (pith_hint)PITH_N_HINTS;
        break;
    case 1:
        broken.more.hint = (pith_hint)-1;
        break;
    case 2:
        broken.more.distance = PITH_TUNING_DISTANCE + PITH_TUNING_DISTANCE_UNIT;
        break;
    case 3:
        broken.few.distance = 1;
        break;
    case 4:
        memset(broken.cpu, 'x', sizeof broken.cpu);
        break;
    default:
        memset(broken.isa, '\n', sizeof broken.isa - 1);
        broken.isa[sizeof broken.isa - 1] = '\0';
        break;
    }
    fuzz_require(pith_tuning_check(&broken, &error) == PITH_ERROR_ARGUMENT);
    require_message(&error, PITH_ERROR_ARGUMENT);
    fuzz_require(pith_tuning_save(&broken, test_path("broken.json"), &error) ==
                 PITH_ERROR_ARGUMENT);
}

/* The same bytes in a file. */
static void read_file(const uint8_t *data, size_t size, pith_status expected,
                      const pith_tuning *tuning) {
    pith_tuning back;
    pith_error error = {.status = PITH_OK};
    fuzz_file file;
    fuzz_file_open(&file);
    fuzz_file_write(&file, data, size);
    pith_status status = pith_tuning_load(&back, file.path, &error);
    fuzz_require(status == expected && (status != PITH_OK || same(tuning, &back)));
    fuzz_file_close(&file);
    fuzz_require(pith_tuning_load(&back, file.path, &error) == PITH_ERROR_IO); /* it is gone */
    require_message(&error, PITH_ERROR_IO);
    fuzz_require(pith_tuning_load(NULL, file.path, &error) == PITH_ERROR_ARGUMENT &&
                 pith_tuning_load(&back, NULL, &error) == PITH_ERROR_ARGUMENT);
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
        check_broken(&tuning, fuzz_hash(data, size));
    } else {
        fuzz_require(status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED ||
                     status == PITH_ERROR_MEMORY);
        fuzz_require(error.message[0] != '\0');
    }
    read_file(data, size, status, &tuning);
    return 0;
}
