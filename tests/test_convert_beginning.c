/* What the tokenizer puts around a text: from the post-processor of tokenizer.json and from
 * tokenizer_config.json, through a conversion to the ids of pith_tokenize. */
#include "convert/convert.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"
#include "tests/tokens.h"

#include <stdio.h>
#include <string.h>

#define TOKENIZER                                                                                \
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"c\":2,\"ab\":3},\"merges\":[\"a " \
    "b\"]},\"added_tokens\":[{\"id\":4,\"content\":\"<s>\",\"special\":true},"                   \
    "{\"id\":5,\"content\":\"</s>\",\"special\":true},"                                          \
    "{\"id\":6,\"content\":\"<cls>\",\"special\":true}],\"decoder\":{\"type\":\"ByteLevel\"},"   \
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false},"                     \
    "\"post_processor\":%s}"

#define TEXT "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
#define SPECIAL(name) "{\"SpecialToken\":{\"id\":\"" name "\",\"type_id\":0}}"
#define TEMPLATE(single)                                                      \
    "{\"type\":\"TemplateProcessing\",\"single\":[" single "],\"pair\":[],"   \
    "\"special_tokens\":{\"<s>\":{\"id\":\"<s>\",\"ids\":[4],\"tokens\":[]}," \
    "\"</s>\":{\"id\":\"</s>\",\"ids\":[5],\"tokens\":[]},"                   \
    "\"<cls>\":{\"id\":\"<cls>\",\"ids\":[6],\"tokens\":[]}}}"
#define BYTE_LEVEL "{\"type\":\"ByteLevel\"}"
#define BOS_FIRST TEMPLATE(SPECIAL("<s>") "," TEXT)
#define TOKENS "\"bos_token\":\"<s>\",\"eos_token\":\"</s>\""

typedef struct beginning_case {
    const char *post_processor;
    const char *config;   /* tokenizer_config.json, NULL: none */
    const char *expected; /* ids of "ab" with what the tokenizer adds */
    const char *with_bos; /* with the beginning-of-text token alone */
} beginning_case;

/* A model of the tokenizer [text] and configuration files; NULL ones are not written. */
static pith_model *convert_and_open(const char *name, const char *config, const char *tokenizer,
                                    const char *tokenizer_config) {
    const pith_convert_options options = {.type = PITH_TYPE_F32,
                                          .head_type = PITH_N_TYPES,
                                          .n_threads = 1};
    const char *directory = test_make_checkpoint(name, config);
    char out[64];
    pith_error error = {0};
    snprintf(out, sizeof out, "%s.pith", name);
    test_write_text(directory, "tokenizer.json", tokenizer);
    if (tokenizer_config != NULL) {
        test_write_text(directory, "tokenizer_config.json", tokenizer_config);
    }
    CHECK(pith_convert(directory, test_path(out), &options, &error) == PITH_OK, "%s: %s", name,
          error.message);
    pith_model *model = NULL;
    const pith_model_options few = {.n_threads = 1};
    CHECK(pith_model_open(&model, test_path(out), &few, &error) == PITH_OK, "%s: %s", name,
          error.message);
    return model;
}

static const char *ids_of(const pith_model *model, unsigned flags) {
    int32_t ids[16];
    size_t n = 0;
    pith_error error = {0};
    CHECK(pith_tokenize(model, pith_text_of("ab"), flags, ids, 16, &n, &error) == PITH_OK, "%s",
          error.message);
    return test_show_ids(ids, n);
}

static void check_beginning(size_t index, const beginning_case *c) {
    char name[32];
    char tokenizer[2048];
    snprintf(name, sizeof name, "beginning-%zu", index);
    snprintf(tokenizer, sizeof tokenizer, TOKENIZER, c->post_processor);
    pith_model *model =
        convert_and_open(name, "{\"bos_token_id\":2,\"eos_token_id\":2}", tokenizer, c->config);
    const char *actual = ids_of(model, PITH_TOKENIZE_AUTO);
    CHECK(strcmp(actual, c->expected) == 0, "case %zu: %s, expected %s", index, actual,
          c->expected);
    actual = ids_of(model, PITH_TOKENIZE_BOS);
    CHECK(strcmp(actual, c->with_bos) == 0, "case %zu with bos: %s, expected %s", index, actual,
          c->with_bos);
    actual = ids_of(model, 0);
    CHECK(strcmp(actual, "3") == 0, "case %zu without anything: %s", index, actual);
    pith_model_info info;
    pith_model_get_info(model, &info);
    size_t n = strlen(c->expected);
    CHECK(info.add_bos == (c->expected[0] != '3') && info.add_eos == (c->expected[n - 1] != '3'),
          "case %zu: add_bos %d, add_eos %d", index, info.add_bos, info.add_eos);
    pith_model_free(model);
}

TEST(convert_beginning, the_tokenizer_decides_what_stands_around_a_text) {
    static const beginning_case cases[] = {
        /* The shape of Qwen2, SmolLM and Yi: nothing, whatever config.json says. */
        {"null", "{\"add_bos_token\":false,\"bos_token\":null,\"eos_token\":\"</s>\"}", "3", "3"},
        {BYTE_LEVEL, "{\"tokenizer_class\":\"Qwen2Tokenizer\",\"add_bos_token\":false}", "3",
         "2 3"},
        {"null", "{\"tokenizer_class\":\"GPT2Tokenizer\"," TOKENS "}", "3", "4 3"},
        {"null", "{\"tokenizer_class\":\"LlamaTokenizer\",\"add_bos_token\":false," TOKENS "}", "3",
         "4 3"},
        /* The post-processor, when nothing else is said. */
        {BOS_FIRST, NULL, "4 3", "4 3"},
        {BOS_FIRST, "{\"tokenizer_class\":\"PreTrainedTokenizerFast\"," TOKENS "}", "4 3", "4 3"},
        {BOS_FIRST, "{\"tokenizer_class\":\"TokenizersBackend\",\"add_bos_token\":null," TOKENS "}",
         "4 3", "4 3"},
        {TEMPLATE(SPECIAL("<s>") "," TEXT "," SPECIAL("</s>")), "{" TOKENS "}", "4 3 5", "4 3"},
        {TEMPLATE(TEXT "," SPECIAL("</s>")), "{" TOKENS "}", "3 5", "4 3"},
        /* Several on a side, as GLM-4 has them. */
        {TEMPLATE(SPECIAL("<cls>") "," SPECIAL("<s>") "," TEXT), NULL, "6 4 3", "6 3"},
        {TEMPLATE(SPECIAL("<cls>") "," SPECIAL("<s>") "," TEXT),
         "{\"tokenizer_class\":\"PreTrainedTokenizerFast\",\"eos_token\":\"</s>\"}", "6 4 3",
         "6 3"},
        {TEMPLATE(SPECIAL("<s>") "," SPECIAL("<s>") "," SPECIAL("<cls>") "," TEXT "," SPECIAL(
             "<cls>") "," SPECIAL("<s>") "," SPECIAL("</s>")),
         NULL, "4 4 6 3 6 4 5", "4 3"},
        /* The configuration's own token in place of the first one, and none at all. */
        {TEMPLATE(SPECIAL("<cls>") "," SPECIAL("<s>") "," TEXT),
         "{\"add_bos_token\":true," TOKENS "}", "4 3", "4 3"},
        {TEMPLATE(SPECIAL("<cls>") "," SPECIAL("<s>") "," TEXT),
         "{\"add_bos_token\":false," TOKENS "}", "3", "4 3"},
        {"{\"type\":\"Sequence\",\"processors\":[" BYTE_LEVEL "," BOS_FIRST "]}", "{" TOKENS "}",
         "4 3", "4 3"},
        {"{\"type\":\"RobertaProcessing\",\"sep\":[\"</s>\",5],\"cls\":[\"<s>\",4]}",
         "{" TOKENS "}", "4 3 5", "4 3"},
        {"{\"type\":\"BertProcessing\",\"sep\":[\"</s>\",5],\"cls\":[\"<cls>\",6]}", "{" TOKENS "}",
         "6 3 5", "6 3"},
        {BOS_FIRST, "{\"bos_token\":null}", "4 3", "4 3"},
        /* The flags win where they stand. */
        {BOS_FIRST, "{\"add_bos_token\":false," TOKENS "}", "3", "4 3"},
        {"null", "{\"add_bos_token\":true," TOKENS "}", "4 3", "4 3"},
        {"null", "{\"add_eos_token\":true," TOKENS "}", "3 5", "4 3"},
        {"null", "{\"add_bos_token\":true,\"add_eos_token\":true," TOKENS "}", "4 3 5", "4 3"},
        {TEMPLATE(TEXT "," SPECIAL("</s>")), "{\"add_eos_token\":false," TOKENS "}", "3", "4 3"},
        {TEMPLATE(SPECIAL("<cls>") "," TEXT), "{\"add_bos_token\":true," TOKENS "}", "4 3", "4 3"},
        /* Classes that always decide it themselves. */
        {"null", "{\"tokenizer_class\":\"LlamaTokenizerFast\"," TOKENS "}", "4 3", "4 3"},
        {"null", "{\"tokenizer_class\":\"LlamaTokenizer\",\"add_bos_token\":null}", "4 3", "4 3"},
        {"null", "{\"tokenizer_class\":\"LLaMATokenizer\"}", "4 3", "4 3"},
        {"null", "{\"tokenizer_class\":\"CodeLlamaTokenizer\",\"add_eos_token\":true}", "4 3 5",
         "4 3"},
        {TEMPLATE(TEXT "," SPECIAL("</s>")),
         "{\"tokenizer_class\":\"GemmaTokenizerFast\",\"bos_token\":{\"content\":\"<cls>\"}}",
         "6 3", "6 3"},
        /* config.json's token is the last resort. */
        {"null", "{\"add_bos_token\":true}", "2 3", "2 3"},
        {"null", NULL, "3", "2 3"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_beginning(i, &cases[i]);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_beginning, special_tokens_map_names_tokens_too) {
    char tokenizer[2048];
    const char *directory = test_make_checkpoint("beginning-map", NULL);
    snprintf(tokenizer, sizeof tokenizer, TOKENIZER, "null");
    test_write_text(directory, "special_tokens_map.json",
                    "{\"bos_token\":{\"content\":\"<cls>\"}}");
    const pith_convert_options options = {.type = PITH_TYPE_F32,
                                          .head_type = PITH_N_TYPES,
                                          .n_threads = 1};
    test_write_text(directory, "tokenizer.json", tokenizer);
    test_write_text(directory, "tokenizer_config.json", "{\"add_bos_token\":true}");
    pith_error error = {0};
    const char *out = test_path("beginning-map.pith");
    CHECK(pith_convert(directory, out, &options, &error) == PITH_OK, "%s", error.message);
    pith_model *model = NULL;
    CHECK(pith_model_open(&model, out, NULL, &error) == PITH_OK, "%s", error.message);
    const char *ids = ids_of(model, PITH_TOKENIZE_AUTO);
    CHECK(strcmp(ids, "6 3") == 0, "%s", ids);
    pith_model_free(model);
}
