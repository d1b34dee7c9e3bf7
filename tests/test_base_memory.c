/* Checked sizes, the allocator wrappers, regions, arenas, byte strings. */
#include "base/bytes.h"
#include "base/checked.h"
#include "base/memory.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

TEST(checked, sums_and_products_at_the_limit) {
    size_t out = 77;
    CHECK(!pith_add_size(SIZE_MAX, 1, &out) && out == 77, "max + 1 gave %zu", out);
    CHECK(!pith_add_size(SIZE_MAX / 2 + 1, SIZE_MAX / 2 + 1, &out) && out == 77, "gave %zu", out);
    CHECK(!pith_mul_size(SIZE_MAX / 2 + 1, 2, &out) && out == 77, "2^63 * 2 gave %zu", out);
    CHECK(!pith_mul_size(SIZE_MAX, SIZE_MAX, &out) && out == 77, "max * max gave %zu", out);
    CHECK(pith_add_size(SIZE_MAX - 1, 1, &out) && out == SIZE_MAX, "max - 1 + 1 gave %zu", out);
    CHECK(pith_mul_size(SIZE_MAX / 5, 5, &out) && out == SIZE_MAX, "max / 5 * 5 gave %zu", out);
    CHECK(pith_mul_size(SIZE_MAX, 0, &out) && out == 0, "max * 0 gave %zu", out);
    CHECK(pith_mul_size(0, SIZE_MAX, &out) && out == 0, "0 * max gave %zu", out);
    CHECK(pith_round_up(0, 64) == 0 && pith_round_up(1, 64) == 64 && pith_round_up(64, 64) == 64,
          "rounding up by 64");
}

TEST(memory, sizes_that_overflow_are_refused_before_the_allocator) {
    test_allocator t;
    test_allocator_init(&t);
    const pith_allocator *a = &t.allocator;
    CHECK(pith_allocate(a, SIZE_MAX / 2 + 1, 2) == NULL, "2^64 bytes");
    CHECK(pith_allocate(a, PTRDIFF_MAX, 2) == NULL, "more than an object may have");
    CHECK(pith_allocate_zeroed(a, SIZE_MAX / 16 + 2, 16) == NULL, "2^64 + 16 bytes");
    CHECK(pith_reallocate(a, NULL, SIZE_MAX, SIZE_MAX) == NULL, "2^128 bytes");
    CHECK(pith_copy_text(a, "", SIZE_MAX) == NULL, "a text of SIZE_MAX bytes");
    CHECK(t.n_calls == 0, "the allocator was asked %zu times", (size_t)t.n_calls);
}

TEST(memory, blocks_are_distinct_zeroed_and_released) {
    test_allocator t;
    test_allocator_init(&t);
    const pith_allocator *a = &t.allocator;
    void *none = pith_allocate(a, 0, 8);
    void *also_none = pith_allocate(a, 8, 0);
    CHECK(none != NULL && also_none != NULL && none != also_none, "empty blocks are not distinct");
    unsigned char *zeroed = pith_allocate_zeroed(a, 100, 3);
    for (size_t i = 0; i < 300; i++) {
        CHECK(zeroed[i] == 0, "byte %zu is %d", i, zeroed[i]);
        zeroed[i] = (unsigned char)i;
    }
    zeroed = pith_reallocate(a, zeroed, 1000, 3);
    for (size_t i = 0; i < 300; i++) {
        CHECK(zeroed[i] == (unsigned char)i, "byte %zu became %d", i, zeroed[i]);
    }
    char *text = pith_copy_text(a, "pithy", 4);
    CHECK(strcmp(text, "pith") == 0, "copied '%s'", text);
    char *empty = pith_copy_text(a, NULL, 0);
    CHECK(empty[0] == '\0', "copied nothing as '%s'", empty);
    CHECK(t.n_live == 5, "%zu blocks live", (size_t)t.n_live);
    pith_release(a, none);
    pith_release(a, also_none);
    pith_release(a, zeroed);
    pith_release(a, text);
    pith_release(a, empty);
    pith_release(a, NULL);
    CHECK(t.n_live == 0, "%zu blocks live", (size_t)t.n_live);
    CHECK_NO_LEAKS();
}

static void *allocate_something(void *user, size_t size) {
    (void)user;
    return size > 0 ? malloc(size) : NULL;
}

static void *reallocate_something(void *user, void *block, size_t size) {
    (void)user;
    return size > 0 ? realloc(block, size) : NULL;
}

static void release_something(void *user, void *block) {
    (void)user;
    free(block);
}

TEST(memory, no_allocator_is_asked_for_nothing) {
    const pith_allocator a = {
        .allocate = allocate_something,
        .reallocate = reallocate_something,
        .release = release_something,
    };
    void *block = pith_allocate(&a, 0, 4);
    CHECK(block != NULL, "allocate gave NULL");
    block = pith_reallocate(&a, block, 4, 0);
    CHECK(block != NULL, "reallocate gave NULL");
    pith_release(&a, block);
    block = pith_allocate_zeroed(&a, 0, 0);
    CHECK(block != NULL, "allocate_zeroed gave NULL");
    pith_release(&a, block);
    CHECK_NO_LEAKS();
}

TEST(memory, default_allocator_is_malloc) {
    CHECK(pith_allocator_or_default(NULL) == &pith_malloc_allocator, "another default");
    char *block = pith_reallocate(&pith_malloc_allocator, NULL, 3, 1);
    block = pith_reallocate(&pith_malloc_allocator, block, 100000, 1);
    CHECK(block != NULL, "malloc failed");
    pith_release(&pith_malloc_allocator, block);
    CHECK_NO_LEAKS();
}

TEST(memory, failing_allocator_gives_null) {
    test_allocator t;
    test_allocator_init(&t);
    char *kept = pith_copy_text(&t.allocator, "kept", 4);
    t.fail_at = 2;
    t.fail_after = true;
    CHECK(pith_allocate(&t.allocator, 1, 1) == NULL, "allocate succeeded");
    CHECK(pith_allocate_zeroed(&t.allocator, 1, 1) == NULL, "allocate_zeroed succeeded");
    CHECK(pith_reallocate(&t.allocator, kept, 9, 1) == NULL, "reallocate succeeded");
    CHECK(pith_copy_text(&t.allocator, "a", 1) == NULL, "copy_text succeeded");
    CHECK(strcmp(kept, "kept") == 0 && t.n_live == 1, "the old block became '%s'", kept);
    pith_release(&t.allocator, kept);
}

enum { MEGABYTE = 1024 * 1024 };

TEST(region, is_aligned_and_writable_to_its_last_byte) {
    static const size_t sizes[] = {0,
                                   1,
                                   63,
                                   64,
                                   4097,
                                   MEGABYTE,
                                   4 * MEGABYTE - 1,
                                   4 * MEGABYTE,
                                   4 * MEGABYTE + 1,
                                   7 * MEGABYTE + 13};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        pith_region region;
        pith_status status = pith_region_allocate(&region, sizes[i], NULL, NULL);
        CHECK(status == PITH_OK, "%zu bytes: status %d", sizes[i], (int)status);
        uintptr_t alignment = sizes[i] >= 4 * MEGABYTE ? 2 * MEGABYTE : 64;
        CHECK((uintptr_t)region.data % alignment == 0, "%zu bytes: %p is not %zu-aligned", sizes[i],
              region.data, (size_t)alignment);
        CHECK(region.size == sizes[i], "%zu bytes: size %zu", sizes[i], region.size);
        memset(region.data, 0xa5, sizes[i]);
        pith_region_release(&region);
        CHECK(region.block == NULL && region.data == NULL && region.size == 0, "not zeroed");
        pith_region_release(&region);
    }
    CHECK_NO_LEAKS();
}

TEST(region, failure_names_the_size_and_leaves_out_alone) {
    test_allocator t;
    test_allocator_init(&t);
    t.fail_at = 1;
    pith_error error;
    pith_region region = {.size = 42};
    pith_status status = pith_region_allocate(&region, 12345, &t.allocator, &error);
    CHECK(status == PITH_ERROR_MEMORY, "status %d", (int)status);
    CHECK(strstr(error.message, "12345") != NULL, "message '%s'", error.message);
    CHECK(region.size == 42, "out changed");
    static const size_t impossible[] = {SIZE_MAX, SIZE_MAX - MEGABYTE, PTRDIFF_MAX};
    for (size_t i = 0; i < 3; i++) {
        status = pith_region_allocate(&region, impossible[i], &t.allocator, &error);
        CHECK(status == PITH_ERROR_MEMORY && region.size == 42, "%zu bytes: status %d",
              impossible[i], (int)status);
    }
    CHECK(t.n_calls == 1, "the allocator was asked %zu times", (size_t)t.n_calls);
}

typedef struct layout {
    float *a;
    char *b;
    double *none;
    double *c;
} layout;

static layout lay_out(pith_arena *arena) {
    return (layout){
        .a = pith_arena_take(arena, 17, sizeof(float)),
        .b = pith_arena_take(arena, 1, 1),
        .none = pith_arena_take(arena, 0, sizeof(double)),
        .c = pith_arena_take(arena, 3, sizeof(double)),
    };
}

TEST(arena, measures_then_carves_the_same_layout) {
    pith_arena measure = {0};
    layout l = lay_out(&measure);
    CHECK(l.a == NULL && l.b == NULL && l.none == NULL && l.c == NULL, "pointers while measuring");
    size_t gap = PITH_ARENA_GAP;
    size_t last = gap != 0 ? 64 + gap : 24;
    CHECK(measure.used == 128 + 64 + 3 * gap + last && !measure.overflow, "measured %zu",
          measure.used);
    pith_region region;
    CHECK(pith_region_allocate(&region, measure.used, NULL, NULL) == PITH_OK, "no memory");
    pith_arena arena = {.base = region.data};
    l = lay_out(&arena);
    CHECK(arena.used == measure.used, "used %zu, measured %zu", arena.used, measure.used);
    unsigned char *base = region.data;
    CHECK((unsigned char *)l.a == base && (unsigned char *)l.b == base + 128 + gap &&
              (unsigned char *)l.none == base + 192 + 2 * gap &&
              (unsigned char *)l.c == base + 192 + 3 * gap,
          "offsets %td %td %td", (unsigned char *)l.a - base, (unsigned char *)l.b - base,
          (unsigned char *)l.c - base);
    pith_region_release(&region);
    CHECK_NO_LEAKS();
}

#if PITH_ARENA_GAP

#include <sanitizer/asan_interface.h>

/* One region for all, as an allocator with a memory of its own has. */
static void *allocate_same(void *user, size_t size) {
    (void)size;
    return user;
}

static void release_nothing(void *user, void *block) {
    (void)user;
    (void)block;
}

static void check_forbidden(const unsigned char *start, size_t n, bool expected, const char *what) {
    for (size_t i = 0; i < n; i++) {
        CHECK((__asan_address_is_poisoned(start + i) != 0) == expected, "%s: byte %zu of %zu", what,
              i, n);
    }
}

/* AddressSanitizer knows every byte between blocks, and forgets it with the region. */
TEST(arena, nothing_between_blocks_may_be_touched) {
    enum { SIZE = 1024 + 4 * (PITH_ARENA_GAP + 64) };
    static _Alignas(64) unsigned char memory[SIZE + 128];
    const pith_allocator same = {.user = memory,
                                 .allocate = allocate_same,
                                 .reallocate = reallocate_something,
                                 .release = release_nothing};
    pith_region region;
    pith_status status = pith_region_allocate(&region, SIZE, &same, NULL);
    CHECK(status == PITH_OK, "status %d", (int)status);
    unsigned char *base = region.data;
    check_forbidden(base, SIZE, false, "a region");
    pith_arena arena = {.base = base};
    layout l = lay_out(&arena);
    unsigned char *a = (unsigned char *)l.a;
    unsigned char *b = (unsigned char *)l.b;
    unsigned char *c = (unsigned char *)l.c;
    check_forbidden(a, 17 * sizeof(float), false, "a block");
    check_forbidden(a + 17 * sizeof(float), (size_t)(b - a) - 17 * sizeof(float), true, "after a");
    check_forbidden(b, 1, false, "a byte");
    check_forbidden(b + 1, (size_t)(c - b) - 1, true, "after b, nothing included");
    check_forbidden(c, 3 * sizeof(double), false, "the last block");
    check_forbidden(c + 3 * sizeof(double), PITH_ARENA_GAP, true, "after the last block");
    /* Carved again in another way. */
    arena = (pith_arena){.base = base};
    unsigned char *whole = pith_arena_take(&arena, 500, 1);
    check_forbidden(whole, 500, false, "a block where blocks were");
    check_forbidden(whole + 500, PITH_ARENA_GAP, true, "after it");
    pith_region_release(&region);
    check_forbidden(memory, sizeof memory, false, "what was given back");
}

#endif

TEST(arena, overflow_is_remembered) {
    pith_arena product = {0};
    pith_arena_take(&product, SIZE_MAX / 2, 3);
    CHECK(product.overflow, "a product of sizes");
    pith_arena sum = {0};
    pith_arena_take(&sum, SIZE_MAX - 200 - 2 * PITH_ARENA_GAP, 1);
    size_t used = sum.used;
    CHECK(!sum.overflow, "the largest size that fits");
    pith_arena_take(&sum, 300, 1);
    CHECK(sum.overflow, "a sum of sizes");
    pith_arena_take(&sum, 1, 1);
    CHECK(sum.overflow && sum.used == used, "used %zu afterwards", sum.used);
    pith_arena alignment = {.used = SIZE_MAX - 10};
    pith_arena_take(&alignment, 0, 1);
    CHECK(alignment.overflow, "rounding up");
}

TEST(bytes, grow_and_stay_terminated) {
    test_allocator t;
    test_allocator_init(&t);
    pith_bytes bytes;
    pith_bytes_init(&bytes, &t.allocator);
    CHECK(pith_bytes_append(&bytes, NULL, 0) && bytes.data[0] == '\0', "appending nothing");
    for (size_t i = 0; i < 10000; i++) {
        char byte = (char)('a' + i % 26);
        CHECK(pith_bytes_append(&bytes, &byte, 1), "append %zu failed", i);
        CHECK(bytes.size == i + 1 && bytes.data[i + 1] == '\0', "append %zu: size %zu", i,
              bytes.size);
    }
    for (size_t i = 0; i < 10000; i++) {
        CHECK(bytes.data[i] == (char)('a' + i % 26), "byte %zu is %d", i, bytes.data[i]);
    }
    CHECK(t.n_calls < 12, "%zu allocations for 10000 bytes", (size_t)t.n_calls);
    CHECK(pith_bytes_append_text(&bytes, "end") && bytes.size == 10003, "size %zu", bytes.size);
    pith_bytes_release(&bytes);
    CHECK(t.n_live == 0 && bytes.data == NULL && bytes.size == 0, "not released");
    CHECK(pith_bytes_append_text(&bytes, "again"), "unusable after release");
    pith_bytes_release(&bytes);
    CHECK_NO_LEAKS();
}

TEST(bytes, out_of_memory_changes_nothing) {
    test_allocator t;
    test_allocator_init(&t);
    pith_bytes bytes;
    pith_bytes_init(&bytes, &t.allocator);
    t.fail_at = 1;
    CHECK(!pith_bytes_append_text(&bytes, "first") && bytes.data == NULL, "first append");
    CHECK(pith_bytes_append_text(&bytes, "some"), "second append");
    size_t live = t.n_live;
    CHECK(!pith_bytes_append(&bytes, "x", SIZE_MAX - 4), "an append that overflows");
    t.fail_at = t.n_calls + 1;
    char large[1000] = {0};
    CHECK(!pith_bytes_append(&bytes, large, sizeof large), "a growing append");
    CHECK(strcmp(bytes.data, "some") == 0 && bytes.size == 4 && t.n_live == live,
          "became '%s' [%zu]", bytes.data, bytes.size);
    pith_bytes_release(&bytes);
    CHECK(t.n_live == 0, "%zu blocks live", (size_t)t.n_live);
    CHECK_NO_LEAKS();
}
