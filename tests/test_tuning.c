/* Memory paths: the table's rows for CPUs as CPUID names them, and tuning files, of which every
 * broken form is refused by name. */
#include "simd/tuning.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- The table ------------------------------------------------------------------------------- */

static bool same_path(const pith_memory_path *a, const pith_memory_path *b) {
    return pith_fetch_same(a->few, b->few) && pith_fetch_same(a->more, b->more) &&
           a->direct == b->direct;
}

TEST(tuning, the_table_picks_a_row_by_cpu_and_kernels) {
    static const struct {
        pith_cpu_id cpu;
        const char *isa;
        pith_hint hint;
        size_t distance;
        const char *measured; /* beginning */
    } cases[] = {
        {{"AuthenticAMD", 26, 2}, "avx512-vnni", PITH_HINT_NTA, 6 << 10, "AMD EPYC of family 26"},
        {{"AuthenticAMD", 26, 68}, "avx-vnni", PITH_HINT_NTA, 6 << 10, "AMD EPYC of family 26"},
        {{"AuthenticAMD", 26, 2}, "avx2", PITH_HINT_T1, 6 << 10, "AMD EPYC of family 25, model 17"},
        {{"AuthenticAMD", 25, 17},
         "avx2",
         PITH_HINT_T1,
         6 << 10,
         "AMD EPYC of family 25, model 17"},
        {{"AuthenticAMD", 25, 17},
         "avx512-vnni",
         PITH_HINT_T1,
         6 << 10,
         "AMD EPYC of family 25, model 17"},
        {{"AuthenticAMD", 25, 97}, "avx512", PITH_HINT_T1, 6 << 10, "AMD EPYC of family 25"},
        {{"GenuineIntel", 6, 207}, "avx512-vnni", PITH_HINT_T1, 16 << 10, "Intel Emerald Rapids"},
        {{"GenuineIntel", 6, 207},
         "avx2",
         PITH_HINT_T1,
         6 << 10,
         "AMD EPYC of family 25, model 17"},
        {{"GenuineIntel", 6, 143}, "avx512-vnni", PITH_HINT_T1, 16 << 10, "not measured; Intel"},
        {{"GenuineIntel", 6, 151}, "avx-vnni", PITH_HINT_T1, 16 << 10, "not measured; Intel"},
        {{"GenuineIntel", 26, 2}, "avx512-vnni", PITH_HINT_T1, 16 << 10, "not measured; Intel"},
        {{"HygonGenuine", 24, 1}, "avx512-vnni", PITH_HINT_NTA, 6 << 10, "not measured"},
        {{"", 0, 0}, "neon", PITH_HINT_NTA, 6 << 10, "not measured"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_path_row *row = pith_memory_path_row(&cases[i].cpu, cases[i].isa);
        bool avx2 = strcmp(cases[i].isa, "avx2") == 0;
        bool zen4 = !avx2 && cases[i].cpu.family == 25;
        const pith_memory_path wanted = {{cases[i].hint, cases[i].distance},
                                         {avx2 || zen4 ? PITH_HINT_T1 : PITH_HINT_T0, 6 << 10},
                                         zen4 ? 64 : 0};
        CHECK(same_path(&row->path, &wanted), "case %zu: %s", i,
              pith_fetch_describe(row->path.few).text);
        CHECK(strncmp(row->measured, cases[i].measured, strlen(cases[i].measured)) == 0,
              "case %zu: \"%s\"", i, row->measured);
    }
}

/* Every row can be a tuning, is reached by some CPU, and the last is for all. */
TEST(tuning, rows_of_the_table_are_sound) {
    const pith_path_row *row;
    size_t n = 0;
    for (; (row = pith_memory_path_at(n)) != NULL; n++) {
        const pith_tuning tuning = {.few = row->path.few, .more = row->path.more};
        pith_cpu_id cpu = {.vendor = "", .family = row->family, .model = row->model};
        pith_error error;
        strncpy(cpu.vendor, row->vendor != NULL ? row->vendor : "other", sizeof cpu.vendor - 1);
        CHECK(pith_tuning_check(&tuning, &error) == PITH_OK, "row %zu: %s", n, error.message);
        CHECK(row->measured != NULL && row->measured[0] != 0, "row %zu says not where", n);
        CHECK(pith_memory_path_row(&cpu, row->isa != NULL ? row->isa : "x") == row,
              "row %zu is behind another that fits", n);
    }
    row = pith_memory_path_at(n - 1);
    CHECK(row->isa == NULL && row->vendor == NULL && row->family == 0 && row->model == 0,
          "the last row is not for all");
}

/* The number behind a line's name in /proc/cpuinfo, or 0. */
static unsigned cpuinfo_number(const char *text, const char *name) {
    const char *line = strstr(text, name);
    const char *colon = line != NULL ? strchr(line, ':') : NULL;
    return colon != NULL ? (unsigned)strtoul(colon + 1, NULL, 10) : 0;
}

TEST(tuning, this_cpu_has_a_name_and_a_path) {
    const pith_cpu_id cpu = pith_cpu_identify();
    CHECK((pith_cpu_describe(&cpu).text[0] != 0) == (cpu.vendor[0] != 0), "\"%s\" of \"%s\"",
          pith_cpu_describe(&cpu).text, cpu.vendor);
#if defined(__x86_64__)
    CHECK(strlen(cpu.vendor) == 12 && cpu.family > 0, "\"%s\" family %u", cpu.vendor, cpu.family);
    char text[4096] = "";
    FILE *file = fopen("/proc/cpuinfo", "r");
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = 0;
        fclose(file);
        CHECK(strstr(text, cpu.vendor) != NULL, "\"%s\"", cpu.vendor);
        CHECK(cpuinfo_number(text, "cpu family") == cpu.family, "family %u", cpu.family);
        CHECK(cpuinfo_number(text, "model\t") == cpu.model, "model %u", cpu.model);
    }
#endif
}

TEST(tuning, fetches_have_names) {
    CHECK(strcmp(pith_fetch_describe((pith_fetch){PITH_HINT_T1, 16 << 10}).text, "t1 16 KB") == 0,
          "%s", pith_fetch_describe((pith_fetch){PITH_HINT_T1, 16 << 10}).text);
    CHECK(strcmp(pith_fetch_describe((pith_fetch){PITH_HINT_NTA, 192}).text, "nta 192 B") == 0,
          "%s", pith_fetch_describe((pith_fetch){PITH_HINT_NTA, 192}).text);
    CHECK(strcmp(pith_fetch_describe((pith_fetch){PITH_HINT_NONE, 64}).text, "none") == 0, "%s",
          pith_fetch_describe((pith_fetch){PITH_HINT_NONE, 64}).text);
}

/* ---- Files ----------------------------------------------------------------------------------- */

static pith_status parse(const char *text, pith_tuning *out, pith_error *error) {
    return pith_tuning_parse(out, text, strlen(text), "t.json", error);
}

#define FEW "\"few\": {\"hint\": \"nta\", \"distance\": 6144}"
#define MORE "\"more\": {\"hint\": \"t0\", \"distance\": 0}"
#define HEAD "{\"pith_tuning\": 1, \"cpu\": \"A\", \"isa\": \"avx2\", "

TEST(tuning, a_file_is_read) {
    pith_tuning t;
    pith_error error;
    CHECK(parse(HEAD FEW ", " MORE "}", &t, &error) == PITH_OK, "%s", error.message);
    CHECK(strcmp(t.cpu, "A") == 0 && strcmp(t.isa, "avx2") == 0, "\"%s\", \"%s\"", t.cpu, t.isa);
    CHECK(pith_fetch_same(t.few, (pith_fetch){PITH_HINT_NTA, 6144}) &&
              pith_fetch_same(t.more, (pith_fetch){PITH_HINT_T0, 0}),
          "few %s, more %s", pith_fetch_describe(t.few).text, pith_fetch_describe(t.more).text);
}

TEST(tuning, broken_files_are_refused_by_name) {
    static const struct {
        const char *text;
        pith_status status;
        const char *message; /* a part */
    } cases[] = {
        {"", PITH_ERROR_FORMAT, "t.json"},
        {"{", PITH_ERROR_FORMAT, "t.json"},
        {"[1]", PITH_ERROR_FORMAT, "no tuning file: an array"},
        {"{}", PITH_ERROR_FORMAT, "\"pith_tuning\" is nothing, not its version"},
        {"{\"pith_tuning\": 0}", PITH_ERROR_FORMAT, "not its version"},
        {"{\"pith_tuning\": 1.0}", PITH_ERROR_FORMAT, "not its version"},
        {"{\"pith_tuning\": \"1\"}", PITH_ERROR_FORMAT, "\"pith_tuning\" is a string"},
        {"{\"pith_tuning\": 2, \"new\": 1}", PITH_ERROR_UNSUPPORTED, "version 2 of tuning files"},
        {HEAD FEW ", " MORE "} ", PITH_OK, ""},
        {HEAD FEW ", " MORE "} 1", PITH_ERROR_FORMAT, "t.json"},
        {HEAD FEW ", " MORE ", \"x\": 1}", PITH_ERROR_FORMAT, "unknown member \"x\""},
        {HEAD FEW ", " FEW ", " MORE "}", PITH_ERROR_FORMAT, "few"},
        {HEAD FEW "}", PITH_ERROR_FORMAT, "\"more\" is nothing, not an object"},
        {HEAD MORE "}", PITH_ERROR_FORMAT, "\"few\" is nothing, not an object"},
        {"{\"pith_tuning\": 1, \"isa\": \"avx2\", " FEW ", " MORE "}", PITH_ERROR_FORMAT,
         "\"cpu\" is nothing, not a string"},
        {"{\"pith_tuning\": 1, \"cpu\": \"A\", \"isa\": 3, " FEW ", " MORE "}", PITH_ERROR_FORMAT,
         "\"isa\" is an integer, not a string"},
        {"{\"pith_tuning\": 1, \"cpu\": \"A\", \"isa\": \"0123456789abcdef\", " FEW ", " MORE "}",
         PITH_ERROR_FORMAT, "\"isa\" has more than 15 bytes"},
        {"{\"pith_tuning\": 1, \"cpu\": \"A\\u001b[2J\", \"isa\": \"\", " FEW ", " MORE "}",
         PITH_ERROR_FORMAT, "cpu is not printable ASCII"},
        {"{\"pith_tuning\": 1, \"cpu\": \"\xC3\xA9\", \"isa\": \"\", " FEW ", " MORE "}",
         PITH_ERROR_FORMAT, "cpu is not printable ASCII"},
        {HEAD "\"few\": [], " MORE "}", PITH_ERROR_FORMAT, "\"few\" is an array, not an object"},
        {HEAD "\"few\": {\"distance\": 64}, " MORE "}", PITH_ERROR_FORMAT,
         "\"few.hint\" is not one of none, nta, t1, t0"},
        {HEAD "\"few\": {\"hint\": \"T1\", \"distance\": 64}, " MORE "}", PITH_ERROR_FORMAT,
         "\"few.hint\" is not one of"},
        {HEAD "\"few\": {\"hint\": 2, \"distance\": 64}, " MORE "}", PITH_ERROR_FORMAT,
         "\"few.hint\" is not one of"},
        {HEAD "\"few\": {\"hint\": \"t1\"}, " MORE "}", PITH_ERROR_FORMAT,
         "\"few.distance\" is nothing"},
        {HEAD "\"few\": {\"hint\": \"t1\", \"distance\": -64}, " MORE "}", PITH_ERROR_FORMAT,
         "\"few.distance\" is"},
        {HEAD "\"few\": {\"hint\": \"t1\", \"distance\": 6.4e1}, " MORE "}", PITH_ERROR_FORMAT,
         "\"few.distance\" is"},
        {HEAD "\"few\": {\"hint\": \"t1\", \"distance\": 99999999999999999999}, " MORE "}",
         PITH_ERROR_FORMAT, "\"few.distance\" is"},
        {HEAD "\"few\": {\"hint\": \"t1\", \"distance\": 100}, " MORE "}", PITH_ERROR_FORMAT,
         "few.distance is 100; it is a multiple of 64 bytes, at most 1048576"},
        {HEAD "\"few\": {\"hint\": \"t1\", \"distance\": 1048640}, " MORE "}", PITH_ERROR_FORMAT,
         "few.distance is 1048640"},
        {HEAD "\"few\": {\"hint\": \"t1\", \"distance\": 1048576}, " MORE "}", PITH_OK, ""},
        {HEAD "\"few\": {\"hint\": \"t1\", \"distance\": 64, \"ahead\": 1}, " MORE "}",
         PITH_ERROR_FORMAT, "unknown member \"few.ahead\""},
        {HEAD FEW ", \"more\": {\"hint\": \"nta\", \"distance\": 64}}", PITH_ERROR_FORMAT,
         "more.hint is \"nta\"; of more than two tokens it is t1 or t0"},
        {HEAD FEW ", \"more\": {\"hint\": \"none\", \"distance\": 0}}", PITH_ERROR_FORMAT,
         "more.hint is \"none\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_tuning t;
        pith_tuning before;
        pith_error error = {.status = PITH_OK, .message = ""};
        memset(&t, 0x5a, sizeof t);
        before = t;
        pith_status status = parse(cases[i].text, &t, &error);
        CHECK(status == cases[i].status, "case %zu, %s: status %s: %s", i, cases[i].text,
              pith_status_name(status), error.message);
        CHECK(strstr(error.message, cases[i].message) != NULL, "case %zu, %s: \"%s\"", i,
              cases[i].text, error.message);
        CHECK(status == PITH_OK || (strstr(error.message, "t.json") == error.message &&
                                    memcmp(&t, &before, sizeof t) == 0),
              "case %zu: \"%s\", or the output was touched", i, error.message);
    }
}

/* Any beginning of a file, and any file with one byte changed, is refused or means a sound tuning.
 */
TEST(tuning, damage_is_refused_or_sound) {
    static const char whole[] = HEAD FEW ", " MORE "}";
    char text[sizeof whole];
    pith_tuning t;
    pith_error error;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        CHECK(pith_tuning_parse(&t, whole, n, "t.json", &error) == PITH_ERROR_FORMAT,
              "the first %zu bytes are read", n);
    }
    for (size_t i = 0; i < sizeof whole - 1; i++) {
        for (int byte = 0; byte < 256; byte++) {
            memcpy(text, whole, sizeof whole);
            text[i] = (char)byte;
            if (pith_tuning_parse(&t, text, sizeof whole - 1, "t.json", &error) == PITH_OK) {
                CHECK(pith_tuning_check(&t, &error) == PITH_OK, "byte %zu is %d: %s", i, byte,
                      error.message);
            }
        }
    }
}

TEST(tuning, large_files_are_refused) {
    char text[PITH_TUNING_BYTES + 2];
    pith_tuning t;
    pith_error error;
    memset(text, ' ', sizeof text);
    static const char whole[] = HEAD FEW ", " MORE "}";
    memcpy(text, whole, sizeof whole - 1);
    const char *path = test_path("large.json");
    test_write_file(path, text, PITH_TUNING_BYTES);
    CHECK(pith_tuning_load(&t, path, &error) == PITH_OK, "%s", error.message);
    test_write_file(path, text, PITH_TUNING_BYTES + 1);
    CHECK(pith_tuning_load(&t, path, &error) == PITH_ERROR_FORMAT &&
              strstr(error.message, "4097 bytes; a tuning file has at most 4096") != NULL,
          "%s", error.message);
    CHECK(pith_tuning_parse(&t, text, PITH_TUNING_BYTES + 1, "t", &error) == PITH_ERROR_FORMAT,
          "a long text is read");
}

TEST(tuning, a_saved_file_is_read_back) {
    const char *path = test_path("saved.json");
    pith_error error;
    for (int hint = 0; hint < PITH_N_HINTS; hint++) {
        const pith_tuning t = {.few = {(pith_hint)hint, 64 * (size_t)hint},
                               .more = {PITH_HINT_T1, 1 << 20},
                               .cpu = "GenuineIntel family 6 model 207 \"x\" \\",
                               .isa = "avx512-vnni"};
        pith_tuning back;
        CHECK(pith_tuning_save(&t, path, &error) == PITH_OK, "%s", error.message);
        CHECK(pith_tuning_load(&back, path, &error) == PITH_OK, "%s", error.message);
        CHECK(pith_fetch_same(t.few, back.few) && pith_fetch_same(t.more, back.more) &&
                  strcmp(t.cpu, back.cpu) == 0 && strcmp(t.isa, back.isa) == 0,
              "hint %d comes back as %s, \"%s\", \"%s\"", hint, pith_fetch_describe(back.few).text,
              back.cpu, back.isa);
    }
    CHECK_NO_LEAKS();
}

TEST(tuning, what_no_file_may_hold_is_not_written_nor_used) {
    static const pith_tuning sound = {.few = {PITH_HINT_T1, 64}, .more = {PITH_HINT_T0, 64}};
    const char *path = test_path("unwritten.json");
    pith_error error;
    pith_model *model = NULL;
    for (int i = 0; i < 5; i++) {
        pith_tuning t = sound;
        switch (i) {
        case 0:
            t.few.hint = (pith_hint)PITH_N_HINTS;
            break;
        case 1:
            t.few.distance = 63;
            break;
        case 2:
            t.more.hint = PITH_HINT_NONE;
            break;
        case 3:
            memset(t.cpu, 'a', sizeof t.cpu);
            break;
        default:
            t.isa[0] = '\n';
        }
        const pith_model_options options = {.n_threads = 1, .tuning = &t};
        CHECK(pith_tuning_save(&t, path, &error) == PITH_ERROR_ARGUMENT, "case %d is written", i);
        CHECK(pith_model_open(&model, test_root("weights/models/story-int4.pith"), &options,
                              &error) == PITH_ERROR_ARGUMENT &&
                  strncmp(error.message, "tuning: ", 8) == 0 && model == NULL,
              "case %d is used: %s", i, error.message);
    }
    CHECK(pith_tuning_load(NULL, path, &error) == PITH_ERROR_ARGUMENT, "no output");
    pith_tuning t;
    CHECK(pith_tuning_load(&t, NULL, &error) == PITH_ERROR_ARGUMENT, "no path");
    CHECK(pith_tuning_load(&t, path, &error) == PITH_ERROR_IO, "a file was written");
    CHECK(pith_tuning_load(&t, test_directory(), &error) == PITH_ERROR_FORMAT, "a directory");
}

/* ---- Models ---------------------------------------------------------------------------------- */

typedef struct heard {
    char info[300], warning[300];
} heard;

static void hear(void *user, pith_log_level level, const char *message) {
    heard *h = user;
    if (strstr(message, "fetched ahead") != NULL && level == PITH_LOG_INFO) {
        strncpy(h->info, message, sizeof h->info - 1);
    } else if (strstr(message, "tuning") != NULL && level == PITH_LOG_WARNING) {
        strncpy(h->warning, message, sizeof h->warning - 1);
    }
}

static heard open_with(const pith_tuning *tuning, const char *isa) {
    heard h = {.info = ""};
    pith_error error;
    pith_model *model = NULL;
    const pith_model_options options = {
        .n_threads = 1, .isa = isa, .log = hear, .log_user = &h, .tuning = tuning};
    CHECK(pith_model_open(&model, test_root("weights/models/story-int4.pith"), &options, &error) ==
              PITH_OK,
          "%s", error.message);
    pith_model_free(model);
    return h;
}

TEST(tuning, a_model_says_how_weights_are_fetched) {
    const pith_cpu_id cpu = pith_cpu_identify();
    pith_tuning t = {.few = {PITH_HINT_NTA, 192}, .more = {PITH_HINT_T1, 2048}, .isa = "scalar"};
    memcpy(t.cpu, pith_cpu_describe(&cpu).text, sizeof t.cpu);
    heard h = open_with(&t, "scalar");
    CHECK(strstr(h.info, "nta 192 B for one and two tokens, t1 2 KB for more, by other kernels") !=
                  NULL &&
              h.warning[0] == 0,
          "\"%s\", \"%s\"", h.info, h.warning);
    memcpy(t.cpu, "another", sizeof "another");
    h = open_with(&t, "scalar");
    CHECK(strstr(h.warning, "measured on another machine: another, scalar; here it is") != NULL,
          "\"%s\"", h.warning);
    memcpy(t.isa, "avx2", sizeof "avx2");
    t.cpu[0] = 0;
    h = open_with(&t, "scalar");
    CHECK(strstr(h.warning, ": unknown, avx2; here it is") != NULL, "\"%s\"", h.warning);
    t.isa[0] = 0;
    h = open_with(&t, NULL);
    CHECK(h.info[0] != 0 && h.warning[0] == 0, "\"%s\", \"%s\"", h.info, h.warning);
    h = open_with(NULL, NULL);
    CHECK(h.info[0] == 0 && h.warning[0] == 0, "\"%s\", \"%s\"", h.info, h.warning);
}
