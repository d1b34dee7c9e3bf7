/* The kernel tables themselves: names, order, completeness. */
#include "simd/detect.h"
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
    CHECK(strcmp(best->name, found->name) == 0 || strcmp(found->name, "avx-vnni") == 0,
          "best is %s, find gave %s", best->name, found->name);
}

static void check_choice(unsigned features, const char *name) {
    const pith_kernels *best = pith_kernels_choose(NULL, features);
    CHECK(best != NULL && strcmp(best->name, name) == 0, "features %#x give %s, not %s", features,
          best == NULL ? "nothing" : best->name, name);
}

/* Each bit switched off takes away the tables that need it, and no others. */
TEST(simd_table, without_a_feature_the_next_table_is_chosen) {
    static const struct {
        const char *name;
        unsigned needs;
    } needs[] = {{"amx-int8",
                  PITH_CPU_AVX2 | PITH_CPU_AVX512 | PITH_CPU_AVX512_VNNI | PITH_CPU_AMX_INT8},
                 {"avx512-vnni", PITH_CPU_AVX2 | PITH_CPU_AVX512 | PITH_CPU_AVX512_VNNI},
                 {"avx512", PITH_CPU_AVX2 | PITH_CPU_AVX512},
                 {"avx-vnni", PITH_CPU_AVX2 | PITH_CPU_AVX_VNNI},
                 {"avx2", PITH_CPU_AVX2},
                 {"neon-i8mm", PITH_CPU_NEON | PITH_CPU_NEON_DOT | PITH_CPU_NEON_I8MM},
                 {"neon-dot", PITH_CPU_NEON | PITH_CPU_NEON_DOT},
                 {"neon", PITH_CPU_NEON},
                 {"scalar", 0}};
    const size_t n = sizeof needs / sizeof needs[0];
    for (unsigned features = 0; features <= PITH_CPU_ALL; features++) {
        const char *best = NULL;
        for (size_t i = 0; pith_kernel_names[i] != NULL; i++) {
            size_t at = 0;
            while (at < n && strcmp(needs[at].name, pith_kernel_names[i]) != 0) {
                at++;
            }
            CHECK(at < n, "%s is not in the test", pith_kernel_names[i]);
            bool can = (features & needs[at].needs) == needs[at].needs;
            bool found = pith_kernels_choose(pith_kernel_names[i], features) != NULL;
            CHECK(found == can, "features %#x: %s was %s", features, pith_kernel_names[i],
                  found ? "found" : "not found");
            bool by_name = strcmp(pith_kernel_names[i], "amx-int8") == 0;
            best = best == NULL && can && !by_name ? pith_kernel_names[i] : best;
        }
        check_choice(features, best);
    }
}

/* Fetching by a memory path is for products that wait for memory and for nothing else. */
TEST(simd_table, some_tables_take_a_memory_path) {
    static const char *const those[] = {"avx2", "avx-vnni", "avx512-vnni", "amx-int8"};
    for (size_t i = 0; pith_kernel_names[i] != NULL; i++) {
        const char *name = pith_kernel_names[i];
        const pith_kernels *kernels = pith_kernels_choose(name, PITH_CPU_ALL);
        bool wanted = false;
        for (size_t j = 0; j < sizeof those / sizeof those[0]; j++) {
            wanted = wanted || strcmp(name, those[j]) == 0;
        }
        CHECK(kernels->takes_path == wanted, "%s %s a memory path", name,
              kernels->takes_path ? "takes" : "takes no");
    }
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
    static const char *const names[] = {"",          "avx",        "avx-vnn",
                                        "avx2-vnni", "avx512-vnn", "avx512-vnnix",
                                        "Scalar",    "amx",        "amx-bf16"};
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
