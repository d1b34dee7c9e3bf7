/* Texts: how they end. */
#include "base/text.h"
#include "tests/test.h"

TEST(base_text, ends_with) {
    static const struct {
        const char *text, *ending;
        bool expected;
    } cases[] = {
        {"model.gguf", ".gguf", true},
        {".gguf", ".gguf", true},
        {"gguf", ".gguf", false},
        {"", ".gguf", false},
        {"", "", true},
        {"a", "", true},
        {"model.gguf", ".GGUF", false},
        {"a.gguf.gguf", ".gguf", true},
        {"a.gguf2", ".gguf", false},
        {"uf", ".gguf", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK(pith_ends_with(cases[i].text, cases[i].ending) == cases[i].expected,
              "\"%s\" and \"%s\"", cases[i].text, cases[i].ending);
    }
}
