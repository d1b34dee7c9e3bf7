/* A test that writes behind a block of an arena, into the next, on purpose. Built with
 * AddressSanitizer it must fail; if it passes, the other tests would not notice such a write
 * either.
 */
#include "base/memory.h"
#include "tests/test.h"

TEST(gate, arena) {
    pith_region region;
    pith_status status = pith_region_allocate(&region, 1024 + 2 * PITH_ARENA_GAP, NULL, NULL);
    CHECK(status == PITH_OK, "no memory");
    pith_arena arena = {.base = region.data};
    volatile float *first = pith_arena_take(&arena, 16, sizeof *first);
    volatile float *second = pith_arena_take(&arena, 16, sizeof *second);
    second[0] = 1.0F;
    size_t volatile behind = 16;
    first[behind] = 2.0F;
    float found = second[0];
    pith_region_release(&region);
    CHECK(found == found, "unreachable under AddressSanitizer");
}
