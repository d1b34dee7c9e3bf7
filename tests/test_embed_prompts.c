/* Prompts: what the converter keeps, what pith_embed puts in front of a text, and what pooling then
 * leaves out; and the fingerprint that databases keep. */
#include "convert/convert.h"
#include "engine/encoder.h"
#include "tests/encoder.h"
#include "tests/support.h"
#include "tests/test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HIDDEN = 32 };

static pith_error error;

static const char settings_text[] =
    "{\"prompts\": {\"query\": \"query: \", \"passage\": \"passage: \", \"none\": null},"
    " \"default_prompt_name\": \"query\"}";

/* An encoder with the words of the tests; `prompts` may be NULL. */
static const char *make(const char *name, const test_encoder *encoder, const char *prompts) {
    static const char vocab[] =
        "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nquery\npassage\n:\nthe\nwolf\nkno\n##cked\n##s\n";
    const char *source = test_make_encoder(name, encoder);
    test_write_text(source, "vocab.txt", vocab);
    test_write_text(source, "tokenizer_config.json", "{\"do_lower_case\": true}");
    if (prompts != NULL) {
        test_write_text(source, "config_sentence_transformers.json", prompts);
    }
    return source;
}

static pith_model *open_model(const char *source, pith_type type) {
    const pith_convert_options how = {.type = type, .head_type = PITH_N_TYPES, .n_threads = 1};
    const pith_model_options options = {.n_threads = 2, .blas = PITH_BLAS_OFF};
    const char *path = test_path("prompts.pith");
    pith_model *model = NULL;
    CHECK(pith_convert(source, path, &how, &error) == PITH_OK, "%s", error.message);
    CHECK(pith_model_open(&model, path, &options, &error) == PITH_OK, "%s", error.message);
    return model;
}

static pith_embed_input input_of(const char *text) {
    return (pith_embed_input){.text = pith_text_of(text)};
}

static void embed(const pith_model *model, const char *text, const char *prompt, const char *name,
                  float *out) {
    const pith_embed_input input = input_of(text);
    const pith_embed_options options = {.prompt = prompt, .prompt_name = name};
    pith_status status = pith_embed(model, &input, 1, &options, out, NULL, &error);
    CHECK(status == PITH_OK, "%s: %s", text, error.message);
}

static void check_same(const pith_model *model, const char *prompt, const char *name,
                       const char *whole) {
    float a[HIDDEN];
    float b[HIDDEN];
    embed(model, "The wolf knocks", prompt, name, a);
    embed(model, whole, "", NULL, b);
    CHECK(memcmp(a, b, sizeof a) == 0, "prompt \"%s\", name %s: not \"%s\"",
          prompt != NULL ? prompt : "(null)", name != NULL ? name : "(null)", whole);
}

TEST(embed_prompts, are_put_in_front_of_the_text) {
    pith_model *model = open_model(make("front", &(test_encoder){0}, settings_text), PITH_TYPE_F32);
    pith_model_info info;
    pith_model_get_info(model, &info);
    CHECK(info.n_prompts == 3 && strcmp(info.prompts[0].name, "query") == 0 &&
              strcmp(info.prompts[1].text, "passage: ") == 0 &&
              strcmp(info.prompts[2].text, "") == 0 && strcmp(info.default_prompt, "query") == 0,
          "%zu prompts", info.n_prompts);
    check_same(model, NULL, NULL, "query: The wolf knocks");
    check_same(model, NULL, "query", "query: The wolf knocks");
    check_same(model, NULL, "passage", "passage: The wolf knocks");
    check_same(model, NULL, "none", "The wolf knocks");
    check_same(model, "", NULL, "The wolf knocks");
    check_same(model, "wolf", NULL, "wolfThe wolf knocks");
    /* Of a pair, in front of the first text. */
    pith_embed_input pairs[] = {input_of("the wolf"), input_of("query: the wolf")};
    pairs[0].pair = pairs[1].pair = pith_text_of("knocks");
    float a[HIDDEN];
    float b[HIDDEN];
    const pith_embed_options bare = {.prompt = ""};
    CHECK(pith_embed(model, &pairs[0], 1, NULL, a, NULL, &error) == PITH_OK &&
              pith_embed(model, &pairs[1], 1, &bare, b, NULL, &error) == PITH_OK,
          "%s", error.message);
    CHECK(memcmp(a, b, sizeof a) == 0, "a pair");
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* The prompt counts when a text is cut, and is read before it. */
TEST(embed_prompts, count_as_tokens_of_the_text) {
    pith_model *model = open_model(make("count", &(test_encoder){0}, settings_text), PITH_TYPE_F32);
    const pith_embed_input input = input_of("wolf wolf wolf wolf wolf wolf wolf wolf wolf");
    const pith_embed_options strict = {.no_truncate = true};
    const pith_embed_options strict_bare = {.no_truncate = true, .prompt = ""};
    pith_embed_result result;
    float out[HIDDEN];
    CHECK(pith_embed(model, &input, 1, NULL, out, &result, &error) == PITH_OK, "%s", error.message);
    CHECK(result.n_tokens == 12 && result.truncated, "%zu tokens", result.n_tokens);
    CHECK(pith_embed(model, &input, 1, &strict, out, NULL, &error) == PITH_ERROR_CONTEXT, "%s",
          error.message);
    CHECK(pith_embed(model, &input, 1, &strict_bare, out, &result, &error) == PITH_OK, "%s",
          error.message);
    CHECK(result.n_tokens == 11, "%zu tokens", result.n_tokens);
    pith_model_free(model);
}

TEST(embed_prompts, bad_ones_are_named) {
    static const struct {
        const char *prompt, *name;
        pith_status status;
        const char *words;
    } cases[] = {
        {NULL, "document", PITH_ERROR_ARGUMENT, "\"document\"; it has query, passage, none"},
        {"query: ", "query", PITH_ERROR_ARGUMENT, "only one"},
        {"\xff", NULL, PITH_ERROR_TEXT, "the prompt: invalid UTF-8 at byte 0"},
    };
    pith_model *model = open_model(make("bad", &(test_encoder){0}, settings_text), PITH_TYPE_F32);
    const pith_embed_input inputs[] = {input_of("a"), input_of("wolf \xff")};
    float out[2 * HIDDEN];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const pith_embed_options options = {.prompt = cases[i].prompt,
                                            .prompt_name = cases[i].name};
        for (size_t n = 0; n <= 1; n++) { /* also without any text */
            pith_status status = pith_embed(model, inputs, n, &options, out, NULL, &error);
            CHECK(status == cases[i].status && strstr(error.message, cases[i].words) != NULL,
                  "case %zu: %s: %s", i, pith_status_name(status), error.message);
        }
    }
    /* The place of a bad byte is that in the text. */
    pith_status status = pith_embed(model, inputs, 2, NULL, out, NULL, &error);
    CHECK(status == PITH_ERROR_TEXT && strstr(error.message, "text 1: ") != NULL &&
              strstr(error.message, "byte 5") != NULL,
          "%s", error.message);
    pith_model_free(model);
    model = open_model(make("without", &(test_encoder){0}, NULL), PITH_TYPE_F32);
    const pith_embed_options query = {.prompt_name = "query"};
    status = pith_embed(model, inputs, 1, &query, out, NULL, &error);
    CHECK(status == PITH_ERROR_ARGUMENT && strstr(error.message, "it has none") != NULL, "%s",
          error.message);
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* Metadata that a damaged or foreign file may hold. */
TEST(embed_prompts, bad_metadata_is_refused) {
    static const struct {
        const char *from, *to, *words; /* from and to have one length */
    } cases[] = {
        {"default_prompt\\\":\\\"query", "default_prompt\\\":\\\"quern", "default_prompt"},
        {"\\\"none\\\":\\\"\\\"", "\\\"none\\\":4242", "prompts"},
        {"skip_prompt\\\":true", "skip_prompt\\\":1234", "config.skip_prompt"},
    };
    const char *path = test_path("prompts.pith");
    const test_encoder encoder = {.pooling = "{\"include_prompt\": false}"};
    pith_model_free(open_model(make("damaged", &encoder, settings_text), PITH_TYPE_F32));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        char *bytes = test_read_file(path, &size);
        char *at = memmem(bytes, size, cases[i].from, strlen(cases[i].from));
        CHECK(at != NULL && strlen(cases[i].from) == strlen(cases[i].to), "case %zu", i);
        memcpy(at, cases[i].to, strlen(cases[i].to));
        test_write_file(test_path("damaged.pith"), bytes, size);
        free(bytes);
        pith_model *model = NULL;
        pith_status status = pith_model_open(&model, test_path("damaged.pith"), NULL, &error);
        CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, cases[i].words) != NULL,
              "case %zu: %s: %s", i, pith_status_name(status), error.message);
    }
    CHECK_NO_LEAKS();
}

/* ---- Pooling --------------------------------------------------------------------------------- */

/* The pooled rows [n_skipped, n) of the last hidden states, in double precision. */
static void pool(const pith_model *model, const char *text, size_t n_skipped, pith_pooling pooling,
                 double *out) {
    int32_t ids[12];
    size_t n;
    pith_encoder_scratch *scratch = NULL;
    CHECK(pith_tokenize(model, pith_text_of(text), 0, ids, 12, &n, &error) == PITH_OK &&
              pith_encoder_scratch_new(&scratch, model, 64, &error) == PITH_OK,
          "%s", error.message);
    const pith_encoder_text one = {.ids = ids, .n_tokens = n, .n_first = n};
    const pith_encoder_pass pass = pith_encoder_begin(model, NULL, &scratch, &one, 1);
    pith_encoder_forward(&pass);
    for (size_t d = 0; d < HIDDEN; d++) {
        out[d] = pooling == PITH_POOLING_MAX ? -INFINITY : 0;
        for (size_t r = n_skipped; r < n; r++) {
            double x = (double)scratch->x.data[r * scratch->x.stride + d];
            bool first = r == n_skipped;
            out[d] = pooling == PITH_POOLING_MEAN  ? out[d] + x / (double)(n - n_skipped)
                     : pooling == PITH_POOLING_MAX ? fmax(out[d], x)
                     : first                       ? x
                                                   : out[d];
        }
    }
    pith_encoder_scratch_free(scratch);
}

#define NO_NORMALIZE                                                             \
    "[{\"type\": \"sentence_transformers.models.Transformer\", \"path\": \"\"}," \
    " {\"type\": \"sentence_transformers.models.Pooling\", \"path\": \"1_Pooling\"}]"

/* include_prompt false: as many tokens as the prompt alone has, [CLS] counted, are left out. */
TEST(embed_prompts, are_left_out_of_the_pooling) {
    static const struct {
        const char *pooling;
        pith_pooling mode;
        const char *prompt;
        size_t n_skipped;
    } cases[] = {
        {"{\"include_prompt\": false}", PITH_POOLING_MEAN, NULL, 3},
        {"{\"include_prompt\": false}", PITH_POOLING_MEAN, "the wolf kno", 4},
        {"{\"include_prompt\": false}", PITH_POOLING_MEAN, "", 0}, /* [CLS] is pooled then */
        {"{\"include_prompt\": true}", PITH_POOLING_MEAN, NULL, 0},
        {"{\"include_prompt\": false, \"pooling_mode\": \"max\"}", PITH_POOLING_MAX, NULL, 3},
        {"{\"include_prompt\": false, \"pooling_mode\": \"cls\"}", PITH_POOLING_CLS, NULL, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        char whole[64];
        float actual[HIDDEN];
        double expected[HIDDEN];
        snprintf(name, sizeof name, "pooling-%zu", i);
        const test_encoder encoder = {.modules = NO_NORMALIZE, .pooling = cases[i].pooling};
        pith_model *model = open_model(make(name, &encoder, settings_text), PITH_TYPE_F32);
        const char *prompt = cases[i].prompt != NULL ? cases[i].prompt : "query: ";
        snprintf(whole, sizeof whole, "%s%s", prompt, "the wolf");
        embed(model, "the wolf", cases[i].prompt, NULL, actual);
        pool(model, whole, cases[i].n_skipped, cases[i].mode, expected);
        for (size_t d = 0; d < HIDDEN; d++) {
            CHECK(fabs((double)actual[d] - expected[d]) <= 1e-6,
                  "case %zu, element %zu: %g, not %g", i, d, (double)actual[d], expected[d]);
        }
        pith_model_free(model);
    }
    CHECK_NO_LEAKS();
}

/* A prompt whose last word grows together with the text may leave nothing: a mean of zero, as
 * sentence-transformers has it. */
TEST(embed_prompts, that_leave_nothing_give_zero) {
    const test_encoder encoder = {.pooling = "{\"include_prompt\": false}"};
    pith_model *model = open_model(make("nothing", &encoder, settings_text), PITH_TYPE_F32);
    float out[HIDDEN];
    embed(model, "", "wolfs", NULL, out); /* wolf ##s: [SEP] is pooled */
    CHECK(out[0] != 0, "[SEP] was left out");
    embed(model, "knx", "wolf : ", NULL, out);
    CHECK(out[0] != 0, "[UNK] and [SEP] were left out");
    embed(model, "x", "wolfsss", NULL, out); /* wolf ##s ##s ##s; then one [UNK] */
    for (size_t d = 0; d < HIDDEN; d++) {
        CHECK(out[d] == 0, "element %zu is %g", d, (double)out[d]);
    }
    pith_model_free(model);
}

/* ---- Fingerprints ---------------------------------------------------------------------------- */

static void fingerprint(const char *source, pith_type type, char *out) {
    pith_model *model = open_model(source, type);
    CHECK(pith_embed_fingerprint(model, out, &error) == PITH_OK, "%s", error.message);
    pith_model_free(model);
}

/* The value is written down: databases of this version must be found by later ones. */
TEST(embed_prompts, the_fingerprint_stays_what_it_was) {
    char text[PITH_FINGERPRINT];
    fingerprint(make("stays", &(test_encoder){0}, NULL), PITH_TYPE_F32, text);
    CHECK(strcmp(text, "e06d5dc43139d2f5f911ae3a1d646cc5") == 0, "%s", text);
}

TEST(embed_prompts, the_fingerprint_is_of_what_decides_vectors) {
    static const struct {
        const char *name;
        test_encoder encoder;
        const char *prompts, *file, *text;
        pith_type type;
        bool same;
    } cases[] = {
        {.name = "version",
         .encoder = {.config = "{\"transformers_version\": \"4.50\"}"},
         .same = true},
        {.name = "prompts", .prompts = settings_text, .same = true},
        {.name = "special", .file = "special_tokens_map.json", .text = "{}", .same = true},
        {.name = "weights", .encoder = {.config = "{\"layer_norm_eps\": 1e-6}"}},
        {.name = "length", .encoder = {.sentence = "{\"max_seq_length\": 11}"}},
        {.name = "pooling", .encoder = {.pooling = "{\"pooling_mode\": \"max\"}"}},
        {.name = "skip", .encoder = {.pooling = "{\"include_prompt\": false}"}},
        {.name = "normalize", .encoder = {.modules = NO_NORMALIZE}},
        {.name = "case", .file = "tokenizer_config.json", .text = "{\"do_lower_case\": false}"},
        {.name = "words", .file = "vocab.txt", .text = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nb\n"},
        {.name = "type", .type = PITH_TYPE_INT8},
    };
    char plain[PITH_FINGERPRINT];
    fingerprint(make("plain", &(test_encoder){0}, NULL), PITH_TYPE_F32, plain);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[PITH_FINGERPRINT];
        const char *source = make(cases[i].name, &cases[i].encoder, cases[i].prompts);
        if (cases[i].file != NULL) {
            test_write_text(source, cases[i].file, cases[i].text);
        }
        fingerprint(source, cases[i].type, text);
        CHECK((strcmp(text, plain) == 0) == cases[i].same, "%s: %s and %s", cases[i].name, text,
              plain);
    }
    CHECK_NO_LEAKS();
}
