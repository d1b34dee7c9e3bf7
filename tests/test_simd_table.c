/* The kernel tables themselves: names, order, completeness. */
#include "tests/simd_data.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>

TEST(simd_table, scalar_is_always_there_and_last) {
    size_t n = 0;
    while (pith_kernel_names[n] != NULL) {
        n++;
    }
    CHECK(n >= 1, "no kernel names");
    CHECK(strcmp(pith_kernel_names[n - 1], "scalar") == 0, "the last name is %s",
          pith_kernel_names[n - 1]);
    CHECK(pith_kernels_find("scalar") != NULL, "scalar was not found");
}

TEST(simd_table, find_gives_the_named_table) {
    for (size_t i = 0; pith_kernel_names[i] != NULL; i++) {
        const pith_kernels *kernels = pith_kernels_find(pith_kernel_names[i]);
        CHECK(kernels == NULL || strcmp(kernels->name, pith_kernel_names[i]) == 0,
              "%s gave the table %s", pith_kernel_names[i], kernels->name);
    }
}

TEST(simd_table, without_a_name_the_best_available_is_found) {
    const pith_kernels *best = pith_kernels_find(NULL);
    CHECK(best != NULL && best == test_table(0), "found %s", best == NULL ? "none" : best->name);
}

TEST(simd_table, best_has_the_dot_products_that_find_gives_without_a_name) {
    const pith_kernels *best = pith_kernels_best();
    const pith_kernels *found = pith_kernels_find(NULL);
    CHECK(best->dot_int8 == found->dot_int8 && best->dot_f32 == found->dot_f32,
          "best is %s, find gave %s", best->name, found->name);
    CHECK(best == found || strcmp(found->name, "avx-vnni") == 0, "best is %s, find gave %s",
          best->name, found->name);
}

/* For emulators told which processor to be: PITH_TEST_BEST_ISA names what must be found there, and
 * every later name of the list with it; but AVX-512 does not imply AVX-VNNI. */
TEST(simd_table, an_expected_instruction_set_is_the_best) {
    const char *expected = getenv("PITH_TEST_BEST_ISA");
    bool seen = expected == NULL;
    for (size_t i = 0; pith_kernel_names[i] != NULL && expected != NULL; i++) {
        const char *name = pith_kernel_names[i];
        if (strcmp(name, "avx-vnni") == 0 && strcmp(name, expected) != 0) {
            continue;
        }
        seen = seen || strcmp(name, expected) == 0;
        CHECK((pith_kernels_find(name) != NULL) == seen, "%s was %s, the best should be %s", name,
              seen ? "not found" : "found", expected);
    }
    CHECK(seen, "%s is not known to this build", expected);
}

TEST(simd_table, unknown_names_are_refused) {
    static const char *const names[] = {"",           "avx",          "avx-vnn", "avx2-vnni",
                                        "avx512-vnn", "avx512-vnnix", "Scalar"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        CHECK(pith_kernels_find(names[i]) == NULL, "\"%s\" was found", names[i]);
    }
}

TEST(simd_table, every_entry_is_filled) {
    const pith_kernels *k;
    for (size_t i = 0; (k = test_table(i)) != NULL; i++) {
        for (size_t type = 0; type < PITH_N_TYPES; type++) {
            CHECK(k->product[type] != NULL, "%s has no product of type %zu", k->name, type);
        }
        CHECK(k->rmsnorm && k->quantize && k->rmsnorm_quantize && k->rope && k->swiglu &&
                  k->f32_to_f16 && k->scores_f32 && k->scores_f16 && k->softmax && k->values_f32 &&
                  k->values_f16 && k->scores_int8 && k->values_int8 && k->multiply && k->blend &&
                  k->exp && k->add_layernorm && k->bias_gelu && k->key_blocks && k->affine &&
                  k->dot_int8 && k->dot_f32,
              "%s has an empty entry", k->name);
    }
}
