/* Published sentence encoders of the BERT kind: directories with the JSON files they are published
 * with, shrunk to random weights of a few dimensions. Each has to convert with the pooling,
 * normalisation, length and letter case that sentence-transformers gives it. */
#include "convert/convert.h"
#include "tests/encoder.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define TRANSFORMER(path)                             \
    "{\"idx\": 0, \"name\": \"0\", \"path\": \"" path \
    "\", \"type\": \"sentence_transformers.models.Transformer\"}"
#define POOLING                                               \
    ",{\"idx\": 1, \"name\": \"1\", \"path\": \"1_Pooling\"," \
    " \"type\": \"sentence_transformers.models.Pooling\"}"
#define NORMALIZE                                               \
    ",{\"idx\": 2, \"name\": \"2\", \"path\": \"2_Normalize\"," \
    " \"type\": \"sentence_transformers.models.Normalize\"}"

static const char shape_text[] =
    "{\"architectures\": [\"BertModel\"], \"model_type\": \"bert\", \"vocab_size\": 40,"
    " \"hidden_size\": 32, \"intermediate_size\": 48, \"num_hidden_layers\": 2,"
    " \"num_attention_heads\": 4, \"max_position_embeddings\": 512, \"type_vocab_size\": 2,"
    " \"hidden_act\": \"gelu\", \"layer_norm_eps\": 1e-12, \"pad_token_id\": 0,"
    " \"attention_probs_dropout_prob\": 0.1, \"hidden_dropout_prob\": 0.1,"
    " \"initializer_range\": 0.02}";

/* One model; NULL: it has no such file. */
typedef struct published {
    const char *name;
    const char *config;    /* what config.json has besides the shape */
    const char *modules;   /* modules.json */
    const char *pooling;   /* 1_Pooling/config.json */
    const char *sentence;  /* sentence_bert_config.json */
    const char *versions;  /* config_sentence_transformers.json */
    const char *tokenizer; /* tokenizer_config.json */
    const char *model;     /* directory of the model's own files: "" or "0_Transformer" */
    size_t n_shards;
    pith_pooling expected;
    bool normalize;
    size_t length;
} published;

#define MEAN_FLAGS                                                             \
    "{\"word_embedding_dimension\": 32, \"pooling_mode_cls_token\": false,"    \
    " \"pooling_mode_mean_tokens\": true, \"pooling_mode_max_tokens\": false," \
    " \"pooling_mode_mean_sqrt_len_tokens\": false}"

static const published models[] = {
    {
        .name = "bge-small-en-v1.5",
        .config = "{\"_name_or_path\": \"/root/.cache/torch/sentence_transformers/BAAI_bge-small\","
                  " \"classifier_dropout\": null, \"id2label\": {\"0\": \"LABEL_0\"},"
                  " \"label2id\": {\"LABEL_0\": 0}, \"position_embedding_type\": \"absolute\","
                  " \"torch_dtype\": \"float32\", \"transformers_version\": \"4.30.0\","
                  " \"use_cache\": true}",
        .modules = "[" TRANSFORMER("") POOLING NORMALIZE "]",
        .pooling = "{\"word_embedding_dimension\": 32, \"pooling_mode_cls_token\": true,"
                   " \"pooling_mode_mean_tokens\": false, \"pooling_mode_max_tokens\": false,"
                   " \"pooling_mode_mean_sqrt_len_tokens\": false}",
        .sentence = "{\"max_seq_length\": 512, \"do_lower_case\": true}",
        .versions = "{\"__version__\": {\"sentence_transformers\": \"2.2.2\","
                    " \"transformers\": \"4.28.1\", \"pytorch\": \"1.13.0+cu117\"}}",
        .tokenizer = "{\"clean_up_tokenization_spaces\": true, \"cls_token\": \"[CLS]\","
                     " \"do_basic_tokenize\": true, \"do_lower_case\": true,"
                     " \"mask_token\": \"[MASK]\", \"model_max_length\": 512,"
                     " \"never_split\": null, \"pad_token\": \"[PAD]\", \"sep_token\": \"[SEP]\","
                     " \"strip_accents\": null, \"tokenize_chinese_chars\": true,"
                     " \"tokenizer_class\": \"BertTokenizer\", \"unk_token\": \"[UNK]\"}",
        .model = "",
        .n_shards = 1,
        .expected = PITH_POOLING_CLS,
        .normalize = true,
        .length = 512,
    },
    {
        .name = "e5-small-v2",
        .config = "{\"_name_or_path\": \"tmp/\", \"classifier_dropout\": null,"
                  " \"position_embedding_type\": \"absolute\", \"torch_dtype\": \"float32\","
                  " \"transformers_version\": \"4.29.0.dev0\", \"use_cache\": true}",
        .modules = "[" TRANSFORMER("") POOLING NORMALIZE "]",
        .pooling = "{\"word_embedding_dimension\": 32, \"pooling_mode_cls_token\": false,"
                   " \"pooling_mode_mean_tokens\": true, \"pooling_mode_max_tokens\": false,"
                   " \"pooling_mode_mean_sqrt_len_tokens\": false,"
                   " \"pooling_mode_weightedmean_tokens\": false,"
                   " \"pooling_mode_lasttoken\": false, \"include_prompt\": true}",
        .sentence = "{\"max_seq_length\": 512, \"do_lower_case\": false}",
        .versions = "{\"__version__\": {\"sentence_transformers\": \"3.0.1\"},"
                    " \"prompts\": {\"query\": \"query: \", \"passage\": \"passage: \"},"
                    " \"default_prompt_name\": null, \"similarity_fn_name\": \"cosine\"}",
        .tokenizer = "{\"cls_token\": \"[CLS]\", \"do_lower_case\": true,"
                     " \"mask_token\": \"[MASK]\", \"model_max_length\": 512,"
                     " \"pad_token\": \"[PAD]\", \"sep_token\": \"[SEP]\","
                     " \"strip_accents\": null, \"tokenize_chinese_chars\": true,"
                     " \"tokenizer_class\": \"BertTokenizer\", \"unk_token\": \"[UNK]\"}",
        .model = "",
        .n_shards = 2,
        .expected = PITH_POOLING_MEAN,
        .normalize = true,
        .length = 512,
    },
    {
        .name = "gte-small",
        .config = "{\"classifier_dropout\": null, \"position_embedding_type\": \"absolute\","
                  " \"torch_dtype\": \"float16\", \"transformers_version\": \"4.28.1\","
                  " \"use_cache\": true}",
        .modules = "[" TRANSFORMER("") POOLING NORMALIZE "]",
        .pooling = MEAN_FLAGS,
        .sentence = "{\"max_seq_length\": 512, \"do_lower_case\": false}",
        .tokenizer =
            "{\"clean_up_tokenization_spaces\": true, \"do_basic_tokenize\": true,"
            " \"do_lower_case\": true, \"model_max_length\": 1000000000000000019884624838656,"
            " \"never_split\": null, \"strip_accents\": null,"
            " \"tokenize_chinese_chars\": true, \"tokenizer_class\": \"BertTokenizer\"}",
        .model = "",
        .n_shards = 1,
        .expected = PITH_POOLING_MEAN,
        .normalize = true,
        .length = 512,
    },
    {
        .name = "multi-qa-MiniLM-L6-cos-v1",
        .config = "{\"_name_or_path\": \"nreimers/MiniLM-L6-H384-uncased\","
                  " \"gradient_checkpointing\": false, \"position_embedding_type\": \"absolute\","
                  " \"transformers_version\": \"4.8.2\", \"use_cache\": true}",
        .modules = "[" TRANSFORMER("") POOLING NORMALIZE "]",
        .pooling = MEAN_FLAGS,
        .sentence = "{\"max_seq_length\": 512, \"do_lower_case\": false}",
        .versions = "{\"__version__\": {\"sentence_transformers\": \"2.0.0\","
                    " \"transformers\": \"4.6.1\", \"pytorch\": \"1.8.1\"}}",
        .tokenizer = "{\"do_lower_case\": true, \"unk_token\": \"[UNK]\","
                     " \"sep_token\": \"[SEP]\", \"pad_token\": \"[PAD]\","
                     " \"cls_token\": \"[CLS]\", \"mask_token\": \"[MASK]\","
                     " \"tokenize_chinese_chars\": true, \"strip_accents\": null,"
                     " \"name_or_path\": \"nreimers/MiniLM-L6-H384-uncased\","
                     " \"do_basic_tokenize\": true, \"never_split\": null,"
                     " \"tokenizer_class\": \"BertTokenizer\", \"model_max_length\": 512}",
        .model = "",
        .n_shards = 1,
        .expected = PITH_POOLING_MEAN,
        .normalize = true,
        .length = 512,
    },
    {
        .name = "all-MiniLM-L12-v2",
        .config = "{\"_name_or_path\": \"microsoft/MiniLM-L12-H384-uncased\","
                  " \"gradient_checkpointing\": false, \"position_embedding_type\": \"absolute\","
                  " \"transformers_version\": \"4.8.2\", \"use_cache\": true}",
        .modules = "[" TRANSFORMER("") POOLING NORMALIZE "]",
        .pooling = MEAN_FLAGS,
        .sentence = "{\"max_seq_length\": 128, \"do_lower_case\": false}",
        .versions = "{\"__version__\": {\"sentence_transformers\": \"2.0.0\","
                    " \"transformers\": \"4.6.1\", \"pytorch\": \"1.8.1\"}}",
        .tokenizer = "{\"do_lower_case\": true, \"tokenize_chinese_chars\": true,"
                     " \"strip_accents\": null, \"model_max_length\": 128,"
                     " \"tokenizer_class\": \"BertTokenizer\"}",
        .model = "",
        .n_shards = 1,
        .expected = PITH_POOLING_MEAN,
        .normalize = true,
        .length = 128,
    },
    {
        /* As sentence-transformers wrote models before 2.0. */
        .name = "old-layout",
        .config = "{\"gradient_checkpointing\": false, \"output_past\": true}",
        .modules = "[" TRANSFORMER("0_Transformer") POOLING "]",
        .pooling = MEAN_FLAGS,
        .sentence = "{\"max_seq_length\": 128, \"do_lower_case\": false}",
        .tokenizer = "{\"do_lower_case\": true, \"model_max_length\": 512}",
        .model = "0_Transformer",
        .n_shards = 1,
        .expected = PITH_POOLING_MEAN,
        .normalize = false,
        .length = 128,
    },
};

static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\n##b\n.\nB\n";

static test_tensors make_tensors(void) {
    pith_config shape = test_encoder_config();
    shape.max_position_embeddings = 512;
    return test_encoder_tensors(&shape, 1);
}

static void write_weights(const char *directory, const test_tensors *tensors, size_t n_shards) {
    if (n_shards == 1) {
        test_write_tensors(test_join(directory, "model.safetensors"), tensors, 0, tensors->n);
        return;
    }
    char index[8192] = "{\"metadata\": {\"total_size\": 1}, \"weight_map\": {";
    for (size_t i = 0; i < n_shards; i++) {
        char name[80];
        size_t begin = tensors->n * i / n_shards;
        size_t end = tensors->n * (i + 1) / n_shards;
        snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, n_shards);
        test_write_tensors(test_join(directory, name), tensors, begin, end);
        for (size_t t = begin; t < end; t++) {
            size_t n = strlen(index);
            snprintf(index + n, sizeof index - n, "%s\"%s\": \"%s\"", t > 0 ? "," : "",
                     tensors->items[t].name, name);
        }
    }
    CHECK(strlen(index) + 3 < sizeof index, "a longer index than expected");
    strcat(index, "}}");
    test_write_text(directory, "model.safetensors.index.json", index);
}

static void write_optional(const char *directory, const char *name, const char *text) {
    if (text != NULL) {
        test_write_text(directory, name, text);
    }
}

static const char *make_published(const published *m, const test_tensors *tensors) {
    const char *directory = test_make_directory(m->name);
    char inner[512];
    snprintf(inner, sizeof inner, "%s/%s", directory, m->model);
    if (m->model[0] != '\0') {
        mkdir(inner, 0777);
        test_write_text(directory, "config.json", "{\"__version__\": \"0.2.0\"}");
    }
    char *config = test_edit_json(shape_text, m->config);
    test_write_text(inner, "config.json", config);
    free(config);
    write_weights(inner, tensors, m->n_shards);
    test_write_text(inner, "vocab.txt", vocab);
    test_write_text(inner, "special_tokens_map.json",
                    "{\"unk_token\": \"[UNK]\", \"sep_token\": \"[SEP]\", \"pad_token\": \"[PAD]\","
                    " \"cls_token\": \"[CLS]\", \"mask_token\": \"[MASK]\"}");
    write_optional(inner, "tokenizer_config.json", m->tokenizer);
    write_optional(inner, "sentence_bert_config.json", m->sentence);
    mkdir(test_join(directory, "1_Pooling"), 0777);
    test_write_text(directory, "modules.json", m->modules);
    test_write_text(directory, "1_Pooling/config.json", m->pooling);
    write_optional(directory, "config_sentence_transformers.json", m->versions);
    return directory;
}

static pith_status convert(const char *source, const char *out, pith_error *error) {
    const pith_convert_options options = {.type = PITH_TYPE_F32,
                                          .head_type = PITH_N_TYPES,
                                          .n_threads = 1};
    return pith_convert(source, out, &options, error);
}

TEST(convert_published, models_keep_pooling_length_and_case) {
    test_tensors tensors = make_tensors();
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        const published *m = &models[i];
        const char *source = make_published(m, &tensors);
        const char *out = test_path("published.pith");
        pith_model_file *file = NULL;
        pith_error error = {0};
        CHECK(convert(source, out, &error) == PITH_OK, "%s: %s", m->name, error.message);
        CHECK(pith_model_file_open(&file, out, false, NULL, NULL, NULL, &error) == PITH_OK,
              "%s: %s", m->name, error.message);
        const pith_config *c = &file->network.config;
        CHECK(c->pooling == m->expected && c->normalize == m->normalize &&
                  c->max_seq_length == m->length,
              "%s: %s, %d, %zu tokens", m->name, pith_pooling_name(c->pooling), c->normalize,
              c->max_seq_length);
        CHECK(file->vocab.kind == PITH_TOKENIZER_WORDPIECE && file->vocab.lowercase &&
                  file->vocab.strip_accents && file->vocab.split_cjk,
              "%s: its tokenizer", m->name);
        const char *wrong = test_compare_encoder(file, &tensors);
        CHECK(wrong == NULL, "%s: %s", m->name, wrong);
        pith_model_file_close(file);
    }
    test_tensors_free(&tensors);
    CHECK_NO_LEAKS();
}

/* Published directories with one file changed so that the embeddings would be others. */
TEST(convert_published, what_would_change_the_result_is_refused) {
    static const struct {
        const char *name, *text, *words;
    } cases[] = {
        {"config_sentence_transformers.json",
         "{\"prompts\": {\"query\": \"query: \"}, \"default_prompt_name\": \"passage\"}",
         "default_prompt_name \"passage\" is none of the prompts"},
        {"config_sentence_transformers.json", "{\"prompts\": [\"query: \"]}", "prompts: expected"},
        {"config_sentence_transformers.json", "{\"prompts\": {\"query\": 7}}", "prompts: expected"},
        {"config_sentence_transformers.json", "{\"model_type\": \"CrossEncoder\"}",
         "model_type CrossEncoder"},
        {"config_sentence_transformers.json", "{\"truncate_dim\": 8}", "truncate_dim"},
        {"config_sentence_transformers.json", "[]", "config_sentence_transformers.json"},
        {"tokenizer_config.json", "{\"truncation_side\": \"left\"}", "truncation_side \"left\""},
    };
    test_tensors tensors = make_tensors();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        published model = models[0];
        char name[24];
        pith_error error = {0};
        snprintf(name, sizeof name, "changed-%zu", i);
        model.name = name;
        const char *source = make_published(&model, &tensors);
        test_write_text(source, cases[i].name, cases[i].text);
        pith_status status = convert(source, test_path("changed.pith"), &error);
        CHECK((status == PITH_ERROR_UNSUPPORTED || status == PITH_ERROR_FORMAT) &&
                  strstr(error.message, cases[i].words) != NULL,
              "%s %s: %s: %s", cases[i].name, cases[i].text, pith_status_name(status),
              error.message);
    }
    test_tensors_free(&tensors);
    CHECK_NO_LEAKS();
}

/* A tokenizer.json beside it: transformers builds the normaliser from tokenizer_config.json. */
TEST(convert_published, the_tokenizer_configuration_overrules_the_normalizer) {
    static const char json[] =
        "{\"version\": \"1.0\", \"added_tokens\": [], \"normalizer\": {\"type\": "
        "\"BertNormalizer\", \"clean_text\": true, \"handle_chinese_chars\": true, "
        "\"strip_accents\": null, \"lowercase\": %s}, \"pre_tokenizer\": {\"type\": "
        "\"BertPreTokenizer\"}, \"post_processor\": {\"type\": \"BertProcessing\", \"sep\": "
        "[\"[SEP]\", 3], \"cls\": [\"[CLS]\", 2]}, \"decoder\": {\"type\": \"WordPiece\", "
        "\"prefix\": \"##\", \"cleanup\": true}, \"model\": {\"type\": \"WordPiece\", "
        "\"unk_token\": \"[UNK]\", \"continuing_subword_prefix\": \"##\", "
        "\"max_input_chars_per_word\": 100, \"vocab\": {\"[PAD]\": 0, \"[UNK]\": 1, \"[CLS]\": 2, "
        "\"[SEP]\": 3, \"a\": 4}}}";
    static const struct {
        const char *lowercase, *config;
        bool lower, strip, cjk;
    } cases[] = {
        {"true", NULL, true, true, true},
        {"false", NULL, false, false, true},
        {"true", "{\"do_lower_case\": true}", true, true, true},
        {"true", "{\"do_lower_case\": false}", false, false, true},
        {"false", "{\"do_lower_case\": true}", true, true, true},
        {"false", "{}", true, true, true}, /* the class's own default */
        {"true", "{\"do_lower_case\": true, \"strip_accents\": false}", true, false, true},
        {"true", "{\"do_lower_case\": false, \"strip_accents\": true}", false, true, true},
        {"true", "{\"tokenize_chinese_chars\": false}", true, true, false},
        {"true", "{\"tokenizer_class\": \"BertTokenizerFast\", \"do_lower_case\": false}", false,
         false, true},
        {"false", "{\"tokenizer_class\": \"PreTrainedTokenizerFast\", \"do_lower_case\": true}",
         false, false, true},
    };
    test_tensors tensors = make_tensors();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        published model = models[4];
        char name[24], text[2048];
        pith_error error = {0};
        pith_model_file *file = NULL;
        snprintf(name, sizeof name, "overruled-%zu", i);
        model.name = name;
        model.tokenizer = cases[i].config;
        const char *source = make_published(&model, &tensors);
        snprintf(text, sizeof text, json, cases[i].lowercase);
        test_write_text(source, "tokenizer.json", text);
        const char *out = test_path("overruled.pith");
        CHECK(convert(source, out, &error) == PITH_OK, "case %zu: %s", i, error.message);
        CHECK(pith_model_file_open(&file, out, false, NULL, NULL, NULL, &error) == PITH_OK,
              "case %zu: %s", i, error.message);
        const pith_vocab *v = &file->vocab;
        CHECK(v->lowercase == cases[i].lower && v->strip_accents == cases[i].strip &&
                  v->split_cjk == cases[i].cjk && v->clean_text,
              "case %zu: %d %d %d", i, v->lowercase, v->strip_accents, v->split_cjk);
        pith_model_file_close(file);
    }
    test_tensors_free(&tensors);
    CHECK_NO_LEAKS();
}
