/* The module files of sentence-transformers beside an encoder: what they become, and what is
 * refused.
 */
#include "tests/encoder.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TRANSFORMER_IN(path) \
    "{\"type\": \"sentence_transformers.models.Transformer\", \"path\": \"" path "\"}"
#define NEW_TRANSFORMER                                                          \
    "{\"type\": \"sentence_transformers.base.modules.transformer.Transformer\"," \
    " \"path\": \"\"}"
#define NEW_POOLING                                                                      \
    "{\"type\": \"sentence_transformers.sentence_transformer.modules.pooling.Pooling\"," \
    " \"path\": \"1_Pooling\"}"
#define DROPOUT "{\"type\": \"sentence_transformers.models.Dropout\", \"path\": \"3_D\"}"
#define TRANSFORMER "{\"type\": \"sentence_transformers.models.Transformer\", \"path\": \"\"}"
#define POOLING "{\"type\": \"sentence_transformers.models.Pooling\", \"path\": \"1_Pooling\"}"
#define NORMALIZE "{\"type\": \"sentence_transformers.models.Normalize\", \"path\": \"2_N\"}"

#define ABSENT_FLAGS                                                             \
    "{\"pooling_mode_mean_tokens\": \"(absent)\", \"pooling_mode_max_tokens\": " \
    "\"(absent)\", \"pooling_mode_cls_token\": \"(absent)\""

TEST(convert_modules, follows_the_module_files) {
    static const struct {
        test_encoder encoder;
        pith_pooling pooling;
        bool normalize;
        size_t length;
    } cases[] = {
        {{.modules = NULL}, PITH_POOLING_MEAN, true, 12},
        {{.modules = "[" TRANSFORMER "," POOLING "]"}, PITH_POOLING_MEAN, false, 12},
        {{.pooling = "{\"pooling_mode_cls_token\": true, \"pooling_mode_mean_tokens\": false}"},
         PITH_POOLING_CLS,
         true,
         12},
        {{.pooling = "{\"pooling_mode_max_tokens\": true, \"pooling_mode_mean_tokens\": false}"},
         PITH_POOLING_MAX,
         true,
         12},
        {{.pooling = "{\"pooling_mode_mean_tokens\": \"(absent)\"}"}, PITH_POOLING_MEAN, true, 12},
        {{.pooling = "{\"pooling_mode\": \"cls\"}"}, PITH_POOLING_CLS, true, 12},
        {{.sentence = "{\"max_seq_length\": 4, \"do_lower_case\": true}"},
         PITH_POOLING_MEAN,
         true,
         4},
        {{.sentence = "{\"max_seq_length\": 512}"}, PITH_POOLING_MEAN, true, 16},
        {{.sentence = "{\"max_seq_length\": null}"}, PITH_POOLING_MEAN, true, 16},
        {{.sentence = "{}"}, PITH_POOLING_MEAN, true, 16},
        /* all flags false, no flags, one flag, and the names of later versions */
        {{.pooling = "{\"pooling_mode_mean_tokens\": false}"}, PITH_POOLING_MEAN, true, 12},
        {{.pooling = ABSENT_FLAGS "}"}, PITH_POOLING_MEAN, true, 12},
        {{.pooling = ABSENT_FLAGS ", \"pooling_mode_cls_token\": true}"},
         PITH_POOLING_CLS,
         true,
         12},
        {{.pooling = ABSENT_FLAGS ", \"pooling_mode_max_tokens\": true}"},
         PITH_POOLING_MAX,
         true,
         12},
        {{.pooling = "{\"pooling_mode\": [\"max\"]}"}, PITH_POOLING_MAX, true, 12},
        {{.pooling = "{\"pooling_mode\": \"cls\", \"pooling_mode_max_tokens\": true}"},
         PITH_POOLING_CLS,
         true,
         12},
        {{.pooling = "{\"word_embedding_dimension\": 384}"}, PITH_POOLING_MEAN, true, 12},
        {{.pooling = "{\"word_embedding_dimension\": \"(absent)\","
                     " \"embedding_dimension\": 32}"},
         PITH_POOLING_MEAN,
         true,
         12},
        {{.modules = "[" NEW_TRANSFORMER "," NEW_POOLING "]"}, PITH_POOLING_MEAN, false, 12},
        {{.modules = "[" TRANSFORMER "," POOLING "," DROPOUT "," NORMALIZE "]"},
         PITH_POOLING_MEAN,
         true,
         12},
        {{.sentence = "{\"max_seq_length\": 9, \"tokenizer_args\": {\"model_max_length\": 7}}"},
         PITH_POOLING_MEAN,
         true,
         7},
        {{.sentence = "{\"processor_kwargs\": {\"model_max_length\": 8}}"},
         PITH_POOLING_MEAN,
         true,
         8},
        {{.sentence = "{\"max_seq_length\": 9, \"processing_kwargs\": {\"text\":"
                      " {\"max_length\": 6, \"padding\": \"max_length\", \"truncation\": true}}}"},
         PITH_POOLING_MEAN,
         true,
         6},
        {{.sentence = "{\"transformer_task\": \"feature-extraction\", \"modality_config\": {},"
                      " \"module_output_name\": \"token_embeddings\", \"max_seq_length\": 5}"},
         PITH_POOLING_MEAN,
         true,
         5},
        {{.bare = true}, PITH_POOLING_MEAN, false, 16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "modules-%zu", i);
        pith_config c = test_encoder_config_of(name, &cases[i].encoder);
        CHECK(c.pooling == cases[i].pooling && c.normalize == cases[i].normalize &&
                  c.max_seq_length == cases[i].length,
              "case %zu: %s, %d, %zu tokens", i, pith_pooling_name(c.pooling), c.normalize,
              c.max_seq_length);
    }
}

/* Older checkpoints name the file after their network; sentence_bert_config.json goes first. */
TEST(convert_modules, finds_the_older_names_of_the_length_file) {
    static const char *const names[] = {
        "sentence_xlnet_config.json",      "sentence_xlm-roberta_config.json",
        "sentence_albert_config.json",     "sentence_camembert_config.json",
        "sentence_distilbert_config.json", "sentence_roberta_config.json",
        "sentence_bert_config.json",
    };
    const char *source = test_make_encoder("older", &(test_encoder){.sentence = "{}"});
    CHECK(remove(test_join(source, "sentence_bert_config.json")) == 0, "no file");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char text[40];
        snprintf(text, sizeof text, "{\"max_seq_length\": %zu}", 5 + i);
        test_write_text(source, names[i], text);
        pith_model_file *file = test_converted_encoder(source, PITH_TYPE_F32, NULL);
        size_t found = file->network.config.max_seq_length;
        CHECK(found == 5 + i, "%s: %zu tokens", names[i], found);
        pith_model_file_close(file);
    }
    test_write_text(source, names[0], "{\"max_seq_length\": 2}");
    CHECK(remove(test_join(source, names[6])) == 0, "no file");
    for (size_t i = 1; i < 6; i++) {
        CHECK(remove(test_join(source, names[i])) == 0, "no %s", names[i]);
    }
    pith_error error = {0};
    pith_status status =
        test_convert_encoder(source, test_path("older.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, names[0]) != NULL, "%s",
          error.message);
}

TEST(convert_modules, says_what_is_otherwise) {
    static const struct {
        const char *modules, *file, *text, *words;
    } cases[] = {
        {NULL, "1_Pooling/config.json", "{\"word_embedding_dimension\": 384}",
         "384 elements are declared, the model's have 32"},
        {NULL, "config_sentence_transformers.json", "{\"similarity_fn_name\": \"dot\"}", NULL},
        {NULL, "config_sentence_transformers.json", "{\"similarity_fn_name\": \"cosine\"}", NULL},
        {NULL, "config_sentence_transformers.json", "{\"similarity_fn_name\": null}", NULL},
        {NULL, "config_sentence_transformers.json", "{\"similarity_fn_name\": \"manhattan\"}",
         "similarity_fn_name is \"manhattan\", but pith search compares by cosine"},
        {"[" TRANSFORMER "," POOLING "]", "config_sentence_transformers.json",
         "{\"similarity_fn_name\": \"dot\"}",
         "similarity_fn_name is \"dot\", but pith search compares by cosine"},
        {"[" TRANSFORMER "," POOLING "]", "config_sentence_transformers.json",
         "{\"similarity_fn_name\": \"cosine\", \"truncate_dim\": 32}", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        char said[4096] = "";
        snprintf(name, sizeof name, "said-%zu", i);
        const char *source = test_make_encoder(name, &(test_encoder){.modules = cases[i].modules});
        test_write_text(source, cases[i].file, cases[i].text);
        pith_model_file_close(test_converted_encoder(source, PITH_TYPE_F32, said));
        CHECK(cases[i].words != NULL ? strstr(said, cases[i].words) != NULL
                                     : strstr(said, "similarity") == NULL,
              "case %zu: %s", i, said);
    }
}

/* Where sentence_bert_config.json says nothing, the tokenizer's limit goes, if it is one. */
TEST(convert_modules, takes_the_limit_of_the_tokenizer) {
    static const struct {
        const char *text;
        size_t length;
    } cases[] = {
        {"{\"model_max_length\": 9}", 9},
        {"{\"model_max_length\": 1000000000000000019884624838656}", 16},
        {"{\"model_max_length\": 400}", 16},
        {"{\"model_max_length\": 0}", 16},
        {"{\"model_max_length\": -7}", 16},
        {"{\"model_max_length\": \"many\"}", 16},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "limit-%zu", i);
        const char *source = test_make_encoder(name, &(test_encoder){.bare = true});
        test_write_text(source, "tokenizer_config.json", cases[i].text);
        char said[4096] = "";
        pith_model_file *file = test_converted_encoder(source, PITH_TYPE_INT8, said);
        size_t found = file->network.config.max_seq_length;
        CHECK(found == cases[i].length, "%s: %zu", cases[i].text, found);
        CHECK(strstr(said, "modules.json: embeddings are the mean") != NULL, "%s", said);
        size_t n = 0; /* read for two purposes, listed once */
        for (size_t s = 0; s < file->metadata.n_sources; s++) {
            n += strcmp(file->metadata.sources[s].name, "tokenizer_config.json") == 0;
        }
        CHECK(n == 1, "tokenizer_config.json is listed %zu times", n);
        pith_model_file_close(file);
    }
}

TEST(convert_modules, records_the_module_files) {
    const char *source = test_make_encoder("recorded", &(test_encoder){.bare = false});
    pith_model_file *file = test_converted_encoder(source, PITH_TYPE_F16, NULL);
    static const char *const names[] = {"modules.json", "config.json", "model.safetensors",
                                        "1_Pooling/config.json", "sentence_bert_config.json"};
    CHECK(file->metadata.n_sources == 5, "%zu sources", file->metadata.n_sources);
    for (size_t i = 0; i < 5; i++) {
        const pith_source *s = &file->metadata.sources[i];
        CHECK(strcmp(s->name, names[i]) == 0 && strlen(s->sha256) == 64, "%zu: %s", i, s->name);
    }
    CHECK(file->metadata.bos == -1 && file->metadata.n_eos == 0, "tokens of a generation");
    pith_model_file_close(file);
}

TEST(convert_modules, refuses_other_modules_by_name) {
    static const char dense[] =
        "[" TRANSFORMER "," POOLING
        ",{\"type\": \"sentence_transformers.models.Normalize\", \"path\": \"2\"}"
        ",{\"type\": \"sentence_transformers.models.Dense\", \"path\": \"3_Dense\"}]";
    static const char inner[] = "[" TRANSFORMER_IN("0_T") "," POOLING "]";
    static const char outer[] =
        "[" TRANSFORMER ",{\"type\": \"sentence_transformers.models.Pooling\", \"path\": "
        "\"../1_Pooling\"}]";
    static const char nowhere[] =
        "[" TRANSFORMER ",{\"type\": \"sentence_transformers.models.Pooling\", \"path\": "
        "\"7_Pooling\"}]";
    static const char own_code[] =
        "[{\"type\": \"custom_st.Transformer\", \"path\": \"\"}," POOLING "]";
    static const struct {
        test_encoder encoder;
        pith_status status;
        const char *words;
    } cases[] = {
        {{.modules = dense}, PITH_ERROR_UNSUPPORTED, "models.Dense"},
        {{.modules = own_code}, PITH_ERROR_UNSUPPORTED, "custom_st.Transformer"},
        {{.modules = "[" TRANSFORMER "," NORMALIZE "," POOLING "]"},
         PITH_ERROR_UNSUPPORTED,
         "models.Normalize"},
        {{.modules = "[" TRANSFORMER "," POOLING "," POOLING "]"},
         PITH_ERROR_UNSUPPORTED,
         "models.Pooling"},
        {{.modules = "[" POOLING "]"}, PITH_ERROR_UNSUPPORTED, "models.Pooling"},
        {{.modules = "[" TRANSFORMER "]"}, PITH_ERROR_UNSUPPORTED, "without the modules"},
        {{.modules = "[]"}, PITH_ERROR_UNSUPPORTED, "without the modules"},
        {{.modules = "{}"}, PITH_ERROR_FORMAT, "modules.json: expected an array"},
        {{.modules = "[1]"}, PITH_ERROR_FORMAT, "modules.json: expected modules"},
        {{.modules = "["}, PITH_ERROR_FORMAT, "modules.json"},
        {{.modules = inner}, PITH_ERROR_FORMAT, "no 0_T/config.json"},
        {{.sentence = "{\"tokenizer_args\": {\"do_lower_case\": false}}"},
         PITH_ERROR_UNSUPPORTED,
         "tokenizer_args"},
        {{.modules = outer}, PITH_ERROR_FORMAT, "same directory"},
        {{.modules = nowhere}, PITH_ERROR_FORMAT, "7_Pooling/config.json is missing"},
        {{.pooling = "{\"pooling_mode_max_tokens\": true}"},
         PITH_ERROR_UNSUPPORTED,
         "pooling by max and mean at once"},
        {{.pooling = "{\"pooling_mode_mean_tokens\": false,"
                     " \"pooling_mode_weightedmean_tokens\": true}"},
         PITH_ERROR_UNSUPPORTED,
         "pooling by weightedmean"},
        {{.pooling = "{\"pooling_mode_mean_tokens\": false,"
                     " \"pooling_mode_mean_sqrt_len_tokens\": true}"},
         PITH_ERROR_UNSUPPORTED,
         "pooling by mean_sqrt_len_tokens"},
        {{.pooling = "{\"pooling_mode\": [\"mean\", \"max\"]}"},
         PITH_ERROR_UNSUPPORTED,
         "pooling by mean and max at once"},
        {{.pooling = "{\"pooling_mode\": 7}"},
         PITH_ERROR_FORMAT,
         "pooling_mode: expected a string"},
        {{.pooling = "{\"include_prompt\": 1}"}, PITH_ERROR_FORMAT, "include_prompt"},
        {{.sentence = "{\"transformer_task\": \"sequence-classification\"}"},
         PITH_ERROR_UNSUPPORTED,
         "transformer_task sequence-classification"},
        {{.sentence = "{\"module_output_name\": \"scores\"}"},
         PITH_ERROR_UNSUPPORTED,
         "module_output_name scores"},
        {{.sentence = "{\"query_length\": 8}"}, PITH_ERROR_UNSUPPORTED, "query_length"},
        {{.sentence = "{\"config_args\": {\"hidden_act\": \"relu\"}}"},
         PITH_ERROR_UNSUPPORTED,
         "config_args: hidden_act"},
        {{.sentence = "{\"processing_kwargs\": {\"text\": {\"add_special_tokens\": false}}}"},
         PITH_ERROR_UNSUPPORTED,
         "processing_kwargs: add_special_tokens"},
        {{.sentence = "{\"processing_kwargs\": {\"text\": {\"truncation\": false}}}"},
         PITH_ERROR_UNSUPPORTED,
         "truncation"},
        {{.sentence = "{\"processing_kwargs\": {\"words\": {}}}"},
         PITH_ERROR_UNSUPPORTED,
         "processing_kwargs: words"},
        {{.pooling = "{\"pooling_mode_cls_token\": 1}"},
         PITH_ERROR_FORMAT,
         "1_Pooling/config.json: pooling_mode_cls_token"},
        {{.sentence = "{\"max_seq_length\": 3}"}, PITH_ERROR_FORMAT, "max_seq_length is 3"},
        {{.sentence = "{\"max_seq_length\": \"x\"}"}, PITH_ERROR_FORMAT, "max_seq_length"},
        {{.sentence = "[]"}, PITH_ERROR_FORMAT, "sentence_bert_config.json"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "refused-%zu", i);
        test_refuse_encoder(name, &cases[i].encoder, cases[i].status, cases[i].words);
    }
    CHECK_NO_LEAKS();
}

/* What modules make of a configuration is checked as config.json is: no file is written that could
 * not be read. */
TEST(convert_modules, a_dense_layer_has_the_limits_of_a_width) {
    static const char modules[] =
        "[" TRANSFORMER "," POOLING
        ",{\"type\": \"sentence_transformers.models.Dense\", \"path\": \"2_Dense\"}]";
    const char *source = test_make_encoder("dense", &(test_encoder){.modules = modules});
    const char *directory = test_join(source, "2_Dense");
    CHECK(mkdir(directory, 0700) == 0, "%s", directory);
    static const struct {
        size_t width;
        const char *words;
    } cases[] = {
        {PITH_MAX_WIDTH, "2_Dense"}, /* its weights are missing */
        {PITH_MAX_WIDTH + 1, "config.json and its modules: width of a dense layer is 1048577, not "
                             "in 0..1048576"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[96];
        pith_error error = {0};
        snprintf(text, sizeof text, "{\"in_features\": 32, \"out_features\": %zu}", cases[i].width);
        test_write_text(directory, "config.json", text);
        pith_status status =
            test_convert_encoder(source, test_path("dense.pith"), PITH_TYPE_F32, NULL, &error);
        CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, cases[i].words) != NULL,
              "%zu: %s: %s", cases[i].width, pith_status_name(status), error.message);
    }
    CHECK_NO_LEAKS();
}

/* Without a bias of its two layers a cross-encoder is read as transformers reads it, and says so; a
 * module instead says itself whether it has one. */
TEST(convert_modules, scores_without_a_bias_are_told) {
    static const char *const without[] = {NULL, "classifier.bias", "pooler.dense.bias",
                                          "classifier.weight"};
    const pith_config shape = test_encoder_config();
    const char *directory = test_make_encoder(
        "scores",
        &(test_encoder){.config = "{\"architectures\": [\"BertForSequenceClassification\"],"
                                  " \"num_labels\": 1}",
                        .bare = true});
    for (size_t i = 0; i < sizeof without / sizeof without[0]; i++) {
        test_tensors tensors = test_encoder_tensors(&shape, 1);
        char said[4096] = "";
        pith_error error = {0};
        char words[96];
        test_tensors_add(&tensors, "classifier.weight", PITH_DTYPE_F32, 2, 1, shape.hidden_size);
        test_tensors_add(&tensors, "classifier.bias", PITH_DTYPE_F32, 1, 1, 0);
        if (without[i] != NULL) {
            test_tensors_remove(&tensors, without[i]);
        }
        test_write_tensors(test_join(directory, "model.safetensors"), &tensors, 0, tensors.n);
        test_tensors_free(&tensors);
        pith_status status =
            test_convert_encoder(directory, test_path("scores.pith"), PITH_TYPE_F32, said, &error);
        snprintf(words, sizeof words, "no tensor %s in the checkpoint", i > 0 ? without[i] : "");
        CHECK(status == (i < 3 ? PITH_OK : PITH_ERROR_FORMAT), "%zu: %s: %s", i,
              pith_status_name(status), error.message);
        CHECK(i == 0 ? strstr(said, "no tensor") == NULL
                     : strstr(i < 3 ? said : error.message, words) != NULL,
              "%s: %s%s", words, said, error.message);
    }
    CHECK_NO_LEAKS();
}
