/* Runs the tests without Criterion: one after the other in this process. Arguments are prefixes of
 * "module/name" to select; none runs all. The last line is "N passed, N failed". */
#include "tests/test.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MAX_TESTS = 1024 };

static struct {
    const char *module;
    const char *name;
    test_fn fn;
} tests[MAX_TESTS];
static int n_tests;
static jmp_buf escape;

void test_register(const char *module, const char *name, test_fn fn) {
    if (n_tests < MAX_TESTS) {
        tests[n_tests].module = module;
        tests[n_tests].name = name;
        tests[n_tests].fn = fn;
        n_tests++;
    }
}

void test_fail(const char *file, int line, const char *condition, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s:%d: %s: ", file, line, condition);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    longjmp(escape, 1);
}

static bool selected(int argc, char **argv, int i) {
    char full[256];
    snprintf(full, sizeof full, "%s/%s", tests[i].module, tests[i].name);
    for (int a = 1; a < argc; a++) {
        if (strncmp(full, argv[a], strlen(argv[a])) == 0) {
            return true;
        }
    }
    return argc < 2;
}

int main(int argc, char **argv) {
    int volatile passed = 0;
    int volatile failed = 0;
    for (int volatile i = 0; i < n_tests; i++) {
        if (!selected(argc, argv, i)) {
            continue;
        }
        if (setjmp(escape) == 0) {
            tests[i].fn();
            passed++;
        } else {
            fprintf(stderr, "FAILED %s/%s\n", tests[i].module, tests[i].name);
            failed++;
        }
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed == 0 && passed > 0 && n_tests < MAX_TESTS ? 0 : 1;
}
