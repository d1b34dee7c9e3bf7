/* Every JSON file of a checkpoint is read as Python's json reads it, and refused with its name,
 * line and column where that would fail. */
#include "convert/convert.h"
#include "tests/encoder.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What strict readers refuse, in members that nobody reads. */
#define QUIRKS                                                                                   \
    "\"q1\": NaN, \"q2\": [-Infinity, Infinity], \"q3\": 123456789012345678901234567890, \"q4\"" \
    ": \"\\u0000\", \"\\u0000\": 1e999, \"q5\": 1, \"q5\": 2"

#define BPE "\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, \"merges\": [\"a b\"]"
#define MODULE(name, path) \
    "{\"type\": \"sentence_transformers.models." name "\", \"path\": \"" path "\"}"

/* A kind of file. `good` and `bad` are the same member with a value that is accepted and one that
 * is not: of the two the last counts. */
typedef struct kind {
    bool encoder;
    const char *file, *before, *good, *bad, *after;
    const char *words; /* of the message about `bad` */
} kind;

static const kind kinds[] = {
    {false, "config.json",
     "{\"model_type\": \"llama\", \"vocab_size\": 40, \"hidden_size\": 32, \"intermediate_size\": "
     "48, \"num_hidden_layers\": 2, \"num_attention_heads\": 4, \"max_position_embeddings\": "
     "64, " QUIRKS ", ",
     "\"num_key_value_heads\": 2", "\"num_key_value_heads\": \"x\"", "}",
     "config.json: num_key_value_heads: expected"},
    {false, "generation_config.json", "{" QUIRKS ", ", "\"eos_token_id\": 3",
     "\"eos_token_id\": \"x\"", "}", "generation_config.json: eos_token_id: expected"},
    {false, "tokenizer.json", "{" QUIRKS ", \"model\": {" BPE ", " QUIRKS ", ",
     "\"fuse_unk\": false", "\"fuse_unk\": 0", "}}", "tokenizer.json: \"fuse_unk\" is not"},
    {false, "tokenizer_config.json", "{" QUIRKS ", ", "\"chat_template\": \"x\"",
     "\"chat_template\": 1", "}", "tokenizer_config.json: chat_template: expected"},
    {false, "special_tokens_map.json", "{" QUIRKS ", ", "\"mask_token\": \"[UNK]\"",
     "\"mask_token\": 1", "}", "vocab.txt: a special token is neither"},
    {false, "added_tokens.json", "{", "\"<x>\": 4", "\"<x>\": \"4\"", "}",
     "the id of added token \"<x>\" is not a number"},
    {false, "model.safetensors.index.json", "{" QUIRKS ", \"weight_map\": {",
     "\"lm_head.weight\": \"one.safetensors\"", "\"lm_head.weight\": 1", "}}",
     "lm_head.weight: expected a file name"},
    {true, "modules.json", "[" MODULE("Transformer", "") ", {" QUIRKS ", \"path\": \"1_Pooling\", ",
     "\"type\": \"sentence_transformers.models.Pooling\"", "\"type\": \"x.Dense\"", "}]",
     "modules.json: module x.Dense"},
    {true, "1_Pooling/config.json", "{\"word_embedding_dimension\": 32, " QUIRKS ", ",
     "\"pooling_mode_mean_tokens\": true", "\"pooling_mode_mean_tokens\": 1", "}",
     "1_Pooling/config.json: pooling_mode_mean_tokens: expected"},
    {true, "sentence_bert_config.json", "{" QUIRKS ", ", "\"max_seq_length\": 5",
     "\"max_seq_length\": \"x\"", "}", "sentence_bert_config.json: max_seq_length: expected"},
    {true, "config_sentence_transformers.json", "{" QUIRKS ", ", "\"truncate_dim\": null",
     "\"truncate_dim\": 8", "}", "config_sentence_transformers.json: truncate_dim"},
    {true, "tokenizer_config.json", "{" QUIRKS ", ", "\"truncation_side\": \"right\"",
     "\"truncation_side\": \"left\"", "}", "tokenizer_config.json: truncation_side \"left\""},
    {true, "config.json",
     "{\"model_type\": \"bert\", \"vocab_size\": 40, \"hidden_size\": 32, \"intermediate_size\": "
     "48, \"num_hidden_layers\": 2, \"max_position_embeddings\": 16, " QUIRKS ", ",
     "\"num_attention_heads\": 4", "\"num_attention_heads\": -4", "}",
     "config.json: num_attention_heads: expected"},
};
enum { N_KINDS = sizeof kinds / sizeof kinds[0] };

/* A checkpoint that has everything but the file itself. */
static const char *make_source(const kind *k, size_t i) {
    char name[32];
    snprintf(name, sizeof name, "json-%zu", i);
    const char *source = k->encoder ? test_make_encoder(name, &(test_encoder){.prefix = NULL})
                                    : test_make_checkpoint(name, NULL);
    if (strcmp(k->file, "tokenizer.json") != 0) {
        test_write_text(source, "vocab.txt", "[UNK]\n[CLS]\n[SEP]\na\n");
    }
    if (strcmp(k->file, "model.safetensors.index.json") == 0) {
        int failed =
            rename(test_join(source, "model.safetensors"), test_join(source, "one.safetensors"));
        CHECK(failed == 0, "rename");
    }
    return source;
}

static pith_status convert(const char *source, pith_error *error) {
    const pith_convert_options options = {.type = PITH_TYPE_F32,
                                          .head_type = PITH_N_TYPES,
                                          .n_threads = 1};
    return pith_convert(source, test_path("json.pith"), &options, error);
}

TEST(convert_json, every_file_is_read_as_python_reads_it) {
    for (size_t i = 0; i < N_KINDS; i++) {
        const kind *k = &kinds[i];
        const char *source = make_source(k, i);
        char text[2048];
        pith_error error = {0};
        snprintf(text, sizeof text, "%s%s, %s%s", k->before, k->bad, k->good, k->after);
        test_write_text(source, k->file, text);
        CHECK(convert(source, &error) == PITH_OK, "%s: %s", k->file, error.message);
        snprintf(text, sizeof text, "%s%s, %s%s", k->before, k->good, k->bad, k->after);
        test_write_text(source, k->file, text);
        pith_status status = convert(source, &error);
        CHECK((status == PITH_ERROR_FORMAT || status == PITH_ERROR_UNSUPPORTED) &&
                  strstr(error.message, k->words) != NULL,
              "%s: %s: %s", k->file, pith_status_name(status), error.message);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_json, broken_files_are_refused_with_name_line_and_column) {
    static const struct {
        const char *text, *words;
    } cases[] = {
        {" ", "line 1, column 2"},
        {"\n {\"a\": tru}", "line 2, column 8"},
        {"{\"a\": 1,\n \"b\": 2,}", "line 2, column 9: no key"},
        {"{\"a\": \"\\x\"}", "an unknown escape"},
        {"{\"a\": \"\xff\"}", "invalid UTF-8"},
        {"{} {}", "text behind the end"},
        {"3", "neither an object nor an array"},
    };
    for (size_t i = 0; i < N_KINDS; i++) {
        const kind *k = &kinds[i];
        const char *source = make_source(k, i);
        for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
            char words[128];
            pith_error error = {0};
            snprintf(words, sizeof words, "%s: bad JSON at line", k->file);
            test_write_text(source, k->file, cases[c].text);
            pith_status status = convert(source, &error);
            CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, words) != NULL &&
                      strstr(error.message, cases[c].words) != NULL,
                  "%s, case %zu: %s: %s", k->file, c, pith_status_name(status), error.message);
        }
        pith_error error = {0};
        test_write_text(source, k->file, strcmp(k->file, "modules.json") == 0 ? "{}" : "[]");
        pith_status status = convert(source, &error);
        CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, k->file) != NULL, "%s: %s: %s",
              k->file, pith_status_name(status), error.message);
    }
    CHECK_NO_LEAKS();
}
