/* RoPE in config.json of the families: its scalings in all spellings, the share of a head that
 * turns, and whose layers have it. */
#include "tests/family_config.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define QWEN3 TEST_CLASS("Qwen3ForCausalLM", "qwen3")
#define OLMO3 TEST_CLASS("Olmo3ForCausalLM", "olmo3")
#define MINISTRAL3 TEST_CLASS("Ministral3ForCausalLM", "ministral3")
#define PHI3 TEST_CLASS("Phi3ForCausalLM", "phi3")
#define GEMMA3 TEST_CLASS("Gemma3ForCausalLM", "gemma3_text")
#define MODERNBERT TEST_CLASS("ModernBertModel", "modernbert")
#define HUNYUAN TEST_CLASS("HunYuanDenseV1ForCausalLM", "hunyuan_v1_dense")
#define GLM4 TEST_CLASS("Glm4ForCausalLM", "glm4")
#define STABLELM TEST_CLASS("StableLmForCausalLM", "stablelm")

#define S "\"sliding_attention\""
#define F "\"full_attention\""

TEST(convert_rope, scaled_rope_is_of_full_layers_only) {
    static const char *const spellings[] = {
        GEMMA3 ", \"sliding_window_pattern\": 2, \"rope_scaling\": {\"rope_type\": \"linear\","
               " \"factor\": 8}",
        GEMMA3 ", \"sliding_window_pattern\": 2, \"rope_parameters\": {" F
               ": {\"rope_type\": \"linear\", \"factor\": 8}, " S ": {\"rope_type\": \"default\"}}",
        GEMMA3 ", \"sliding_window_pattern\": 2, \"rope_parameters\": {" F
               ": {\"rope_type\": \"linear\", \"factor\": 8}}",
        OLMO3 ", \"layer_types\": [" S "," F "," S "," F
              "], \"rope_scaling\": {\"type\": \"linear\","
              " \"factor\": 8}",
    };
    for (size_t i = 0; i < sizeof spellings / sizeof spellings[0]; i++) {
        const pith_config c = test_family_config(spellings[i]);
        const pith_rope_config *local = &c.kinds[c.kind_of[0]].rope;
        const pith_rope_config *full = &c.kinds[c.kind_of[1]].rope;
        CHECK(local->scaling == PITH_ROPE_NONE && full->scaling == PITH_ROPE_LINEAR &&
                  full->factor == 8,
              "%s: %d %d %g", spellings[i], local->scaling, full->scaling, full->factor);
    }
}

TEST(convert_rope, a_share_of_each_head_turns) {
    pith_config c = test_family_config(PHI3 ", \"partial_rotary_factor\": 0.75");
    CHECK(c.kinds[0].rope.dims == 12, "%zu", c.kinds[0].rope.dims);
    c = test_family_config(PHI3 ", \"partial_rotary_factor\": 0.75, \"rope_parameters\":"
                                " {\"rope_type\": \"default\", \"partial_rotary_factor\": 0.5}");
    CHECK(c.kinds[0].rope.dims == 8, "the section goes first: %zu", c.kinds[0].rope.dims);
    c = test_family_config(PHI3);
    CHECK(c.kinds[0].rope.dims == 16, "%zu", c.kinds[0].rope.dims);
    c = test_family_config(GLM4);
    CHECK(c.kinds[0].rope.dims == 8, "half is glm4's default: %zu", c.kinds[0].rope.dims);
    c = test_family_config(STABLELM);
    CHECK(c.kinds[0].rope.dims == 4, "a quarter is stablelm's: %zu", c.kinds[0].rope.dims);
    c = test_family_config(STABLELM ", \"partial_rotary_factor\": 1.0");
    CHECK(c.kinds[0].rope.dims == 16, "a key goes first: %zu", c.kinds[0].rope.dims);
    test_family_refused(PHI3 ", \"partial_rotary_factor\": 0", PITH_ERROR_FORMAT,
                        "partial_rotary_factor");
    test_family_refused(PHI3 ", \"partial_rotary_factor\": 1.5", PITH_ERROR_FORMAT,
                        "partial_rotary_factor");
    test_family_refused(PHI3 ", \"partial_rotary_factor\": 0.95", PITH_ERROR_FORMAT,
                        "rope_dims is 15");
    test_family_refused(QWEN3 ", \"partial_rotary_factor\": 0.5", PITH_ERROR_UNSUPPORTED,
                        "partial_rotary_factor 0.5");
}

TEST(convert_rope, queries_of_ministral3_grow) {
    static const struct {
        const char *edits;
        pith_rope_scaling scaling;
        size_t original;
        double attention, beta;
    } cases[] = {
        {"\"rope_parameters\": null", PITH_ROPE_YARN, 16384, 1, 0.1}, /* the class's */
        {"\"rope_parameters\": {\"rope_type\": \"yarn\", \"type\": \"yarn\", \"factor\": 48.0,"
         " \"original_max_position_embeddings\": 8192, \"mscale\": 1.0, \"mscale_all_dim\": 1.0,"
         " \"llama_4_scaling_beta\": 0.25, \"rope_theta\": 1e8}",
         PITH_ROPE_YARN, 8192, 1, 0.25},
        {"\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 1,"
         " \"original_max_position_embeddings\": 64}",
         PITH_ROPE_YARN, 64, 1, 0},
        {"\"rope_parameters\": {\"rope_type\": \"default\", \"llama_4_scaling_beta\": null}",
         PITH_ROPE_NONE, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char edits[512];
        snprintf(edits, sizeof edits, MINISTRAL3 ", %s", cases[i].edits);
        const pith_config c = test_family_config(edits);
        const pith_rope_config *r = &c.kinds[0].rope;
        CHECK(r->scaling == cases[i].scaling && r->original_context == cases[i].original &&
                  r->attention_factor == cases[i].attention && r->query_beta == cases[i].beta,
              "%s: %d %zu %g %g", edits, r->scaling, r->original_context, r->attention_factor,
              r->query_beta);
    }
#define BETA(value) \
    MINISTRAL3      \
    ", \"rope_parameters\": {\"rope_type\": \"default\", \"llama_4_scaling_beta\": " value "}"
    test_family_refused(BETA("0.1"), PITH_ERROR_FORMAT, "rope_original_context is 0");
    test_family_refused(BETA("-1"), PITH_ERROR_FORMAT, "rope_query_beta is -1");
    test_family_refused(BETA("\"1\""), PITH_ERROR_FORMAT,
                        "llama_4_scaling_beta: expected a number");
    CHECK_NO_LEAKS();
}

#define LISTS "\"short_factor\": [1.5, 2, 3], \"long_factor\": [1, 4, 9]"

/* The context of 64 is what the helper's text has. */
TEST(convert_rope, longrope_in_all_spellings) {
    static const struct {
        const char *edits;
        size_t original;
        double attention;
    } cases[] = {
        {"\"rope_scaling\": {\"type\": \"longrope\", " LISTS "}, "
         "\"original_max_position_embeddings\": 16",
         16, 1.224744871391589}, /* sqrt(1 + ln(4) / ln(16)) */
        {"\"rope_scaling\": {\"type\": \"su\", " LISTS "}, "
         "\"original_max_position_embeddings\": 16",
         16, 1.224744871391589},
        {"\"rope_scaling\": {\"type\": \"yarn\", " LISTS "}, "
         "\"original_max_position_embeddings\": 64",
         64, 1},
        {"\"rope_scaling\": {\"rope_type\": \"longrope\", " LISTS
         ", \"attention_factor\": 1.25, \"original_max_position_embeddings\": 32}",
         32, 1.25},
        {"\"rope_parameters\": {\"rope_type\": \"longrope\", \"rope_theta\": 1e4, " LISTS
         ", \"factor\": 8, \"original_max_position_embeddings\": 8}",
         8, 1.4142135623730951},
        {"\"rope_scaling\": {\"type\": \"longrope\", " LISTS "}", 4096, 1}, /* the class's */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char edits[512];
        snprintf(edits, sizeof edits, PHI3 ", \"partial_rotary_factor\": 0.375, %s",
                 cases[i].edits);
        const pith_config c = test_family_config(edits);
        const pith_rope_config *r = &c.kinds[0].rope;
        CHECK(r->scaling == PITH_ROPE_LONG && r->dims == 6 &&
                  r->original_context == cases[i].original &&
                  fabs(r->attention_factor - cases[i].attention) < 1e-15,
              "%s: %d %zu %zu %.17g", edits, r->scaling, r->dims, r->original_context,
              r->attention_factor);
        CHECK(c.rope_factors.short_list[0] == 1.5F && c.rope_factors.short_list[2] == 3 &&
                  c.rope_factors.long_list[1] == 4 && c.rope_factors.long_list[2] == 9,
              "%s: the factors", edits);
    }
}

TEST(convert_rope, longrope_that_is_no_longrope) {
#define LONGROPE(members) \
    PHI3 ", \"partial_rotary_factor\": 0.375, \"rope_scaling\": {\"type\": \"longrope\"" members "}"
#define LONG ", \"long_factor\": [1, 4, 9]"
    static const struct {
        const char *edits, *words;
    } cases[] = {
        {LONGROPE(""), "rope_scaling: short_factor: expected 3 numbers, one for each pair of "
                       "elements that turns, found nothing of 0"},
        {LONGROPE(LONG ", \"short_factor\": [1, 2]"), "short_factor: expected 3 numbers"},
        {LONGROPE(LONG ", \"short_factor\": [1, 2, \"3\"]"), "short_factor: expected an array of"},
        {LONGROPE(LONG ", \"short_factor\": [1, 2, 1e300]"), "short_factor: expected an array of"},
        {LONGROPE(LONG ", \"short_factor\": [1, 0, 3]"), "rope_short_factors[1] is 0, not in"},
        {LONGROPE(", \"short_factor\": [1, 2, 3], \"long_factor\": [1, 2, -3]"),
         "rope_long_factors[2] is -3"},
        {LONGROPE(", \"short_factor\": [1, 2, 3], \"long_factor\": 7"),
         "long_factor: expected 3 numbers"},
        {LONGROPE(LONG ", \"short_factor\": [1, 2, 3], \"attention_factor\": 0"),
         "rope_attention_factor is 0"},
        {LONGROPE(LONG ", \"short_factor\": [1, 2, 3], \"original_max_position_embeddings\": 0"),
         "rope_original_context is 0"},
        {LONGROPE(LONG ", \"short_factor\": [1, 2, 3], \"original_max_position_embeddings\": 1"),
         "rope_attention_factor is inf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_family_refused(cases[i].edits, PITH_ERROR_FORMAT, cases[i].words);
    }
    /* Nobody else means longrope by this name. */
    test_family_refused(QWEN3 ", \"rope_scaling\": {\"type\": \"su\", " LISTS "}",
                        PITH_ERROR_UNSUPPORTED, "\"su\"");
    CHECK_NO_LEAKS();
}

/* A model has one pair of lists, that of the layers which see all keys: another one, read into the
 * same place, would turn both. */
TEST(convert_rope, longrope_of_layers_with_a_window) {
#define LIST(number) "[" number ", 1, 1, 1, 1, 1, 1, " number "]"
#define OF(type, number)                                            \
    type ": {\"rope_type\": \"longrope\", \"short_factor\": " LIST( \
        number) ", \"long_factor\": " LIST(number) ", \"original_max_position_embeddings\": 16}"
#define PARAMETERS(lists) ", \"rope_parameters\": {" lists "}"
#define LAYERS ", \"layer_types\": [" S "," S "," S "," F "]"
    static const char *const refused[] = {
        GEMMA3 LAYERS PARAMETERS(OF(S, "2")),
        GEMMA3 LAYERS PARAMETERS(OF(F, "3") ", " OF(S, "2")),
        OLMO3 LAYERS PARAMETERS(OF(F, "3") ", " OF(S, "2")),
        MODERNBERT PARAMETERS(OF(S, "2")),
    };
    static const char *const good[] = {GEMMA3 LAYERS PARAMETERS(OF(F, "3")),
                                       OLMO3 LAYERS PARAMETERS(OF(F, "3"))};
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        test_family_refused(
            refused[i], PITH_ERROR_UNSUPPORTED,
            "rope_parameters: longrope of sliding_attention layers is not supported");
    }
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        const pith_config c = test_family_config(good[i]);
        CHECK(c.rope_factors.short_list[7] == 3 && c.rope_factors.long_list[0] == 3 &&
                  c.kinds[c.kind_of[0]].rope.scaling == PITH_ROPE_NONE &&
                  c.kinds[c.kind_of[3]].rope.scaling == PITH_ROPE_LONG,
              "%s: %g", good[i], (double)c.rope_factors.short_list[7]);
    }
    CHECK_NO_LEAKS();
}

/* The lists have room for the largest head: read before its size was checked, these 540 numbers
 * went beyond the configuration. */
TEST(convert_rope, longrope_of_too_large_a_head) {
    enum { PAIRS = 540 };
    char list[2 * PAIRS + 1], edits[3000];
    for (size_t i = 0; i < PAIRS; i++) {
        memcpy(list + 2 * i, "1,", 2);
    }
    list[2 * PAIRS - 1] = '\0';
    snprintf(edits, sizeof edits,
             PHI3 ", \"head_dim\": 1080, \"rope_scaling\": {\"type\": \"longrope\", "
                  "\"short_factor\": [%s], \"long_factor\": [%s]}",
             list, list);
    test_family_refused(edits, PITH_ERROR_FORMAT,
                        "rope_scaling: longrope of 1080 elements of a head, the limit is 1024");
}

#define ALPHA(number) "{\"type\": \"dynamic\", \"factor\": 1.0, \"alpha\": " number "}"

/* Heads are of 16 elements: 1e4 alpha^(16 / 14). */
TEST(convert_rope, alpha_makes_the_base_larger) {
    static const struct {
        const char *edits;
        double theta;
        pith_rope_scaling scaling;
    } cases[] = {
        {HUNYUAN ", \"rope_scaling\": " ALPHA("1000.0"), 26826957.952797, PITH_ROPE_DYNAMIC},
        {HUNYUAN ", \"rope_scaling\": null, \"rope_parameters\": " ALPHA("1000"), 26826957.952797,
         PITH_ROPE_DYNAMIC},
        {HUNYUAN ", \"rope_scaling\": " ALPHA("0"), 1e4, PITH_ROPE_DYNAMIC},
        {HUNYUAN ", \"rope_scaling\": " ALPHA("null"), 1e4, PITH_ROPE_DYNAMIC},
        {HUNYUAN ", \"rope_scaling\": {\"type\": \"linear\", \"factor\": 2, \"alpha\": 1000}", 1e4,
         PITH_ROPE_LINEAR},
        {HUNYUAN, 1e4, PITH_ROPE_NONE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_rope_config rope = test_family_config(cases[i].edits).kinds[0].rope;
        CHECK(fabs(rope.theta / cases[i].theta - 1) < 1e-9 && rope.scaling == cases[i].scaling,
              "%s: %.17g %d", cases[i].edits, rope.theta, (int)rope.scaling);
    }
    test_family_refused(HUNYUAN ", \"rope_scaling\": " ALPHA("-2"), PITH_ERROR_FORMAT, "alpha -2");
    test_family_refused(HUNYUAN ", \"head_dim\": 2, \"rope_scaling\": " ALPHA("2"),
                        PITH_ERROR_FORMAT, "alpha 2 of heads of 2");
    test_family_refused(HUNYUAN ", \"rope_scaling\": " ALPHA("\"2\""), PITH_ERROR_FORMAT,
                        "alpha: expected a number");
    test_family_refused(HUNYUAN ", \"rope_scaling\": " ALPHA("1e308"), PITH_ERROR_FORMAT,
                        "rope_theta is inf");
}
