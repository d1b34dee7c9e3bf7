/* The test macros. The same bodies run under Criterion, and under a plain main (tests/plain.c) for
 * ThreadSanitizer and emulators, where Criterion does not start.
 *
 *     TEST(pool, runs_every_item_once) { CHECK(n == 10, "n is %zu", n); }
 *
 * CHECK ends the test when it fails and must be called on the test's own thread. */
#ifndef PITH_TESTS_TEST_H
#define PITH_TESTS_TEST_H

#ifdef PITH_TEST_PLAIN

#include <stdbool.h>

typedef void (*test_fn)(void);
void test_register(const char *module, const char *name, test_fn fn);
_Noreturn void test_fail(const char *file, int line, const char *condition, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#define TEST(module, name)                                                      \
    static void test_##module##_##name(void);                                   \
    __attribute__((constructor)) static void register_##module##_##name(void) { \
        test_register(#module, #name, test_##module##_##name);                  \
    }                                                                           \
    static void test_##module##_##name(void)
#define CHECK(condition, ...)                                       \
    do {                                                            \
        if (!(condition)) {                                         \
            test_fail(__FILE__, __LINE__, #condition, __VA_ARGS__); \
        }                                                           \
    } while (0)

#else

#include <criterion/criterion.h>

#define TEST(module, name) Test(module, name)
#define CHECK(condition, ...) cr_assert(condition, __VA_ARGS__)

#endif

/* A LeakSanitizer report alone does not fail a Criterion test: bodies that must not leak end so. */
#if defined(__SANITIZE_ADDRESS__)
#define PITH_TEST_LSAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PITH_TEST_LSAN 1
#endif
#endif

#ifdef PITH_TEST_LSAN
int __lsan_do_recoverable_leak_check(void);
#define CHECK_NO_LEAKS() \
    CHECK(__lsan_do_recoverable_leak_check() == 0, "memory leaked (see the report above)")
#else
#define CHECK_NO_LEAKS() ((void)0)
#endif

#endif
