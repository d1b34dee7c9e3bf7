/* A test that reads behind a block, on purpose. Built with AddressSanitizer it must fail; if it
 * passes, the other tests would not notice such a read either. */
#include "base/memory.h"
#include "tests/test.h"

TEST(gate, overflow) {
    volatile char *text = pith_copy_text(&pith_malloc_allocator, "four", 4);
    size_t volatile behind = 5;
    char found = text[behind];
    pith_release(&pith_malloc_allocator, (void *)(uintptr_t)text);
    CHECK(found == found, "unreachable under AddressSanitizer");
}
