/* A test that leaks, on purpose. Built with AddressSanitizer it must fail; if it passes, the other
 * tests would not notice a leak either. */
#include "base/memory.h"
#include "tests/test.h"

TEST(gate, leak) {
    char *volatile text = pith_copy_text(&pith_malloc_allocator, "lost", 4);
    text = NULL;
    (void)text;
    CHECK_NO_LEAKS();
}
