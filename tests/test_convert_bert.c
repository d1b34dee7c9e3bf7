/* Conversions of BERT checkpoints: every tensor in its place, the module files, and what is
 * refused.
 */
#include "convert/convert.h"
#include "tests/encoder.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the converter said, all messages after one another. */
typedef struct heard {
    char text[4096];
} heard;

static void listen(void *user, pith_log_level level, const char *message) {
    heard *h = user;
    size_t n = strlen(h->text);
    (void)level;
    snprintf(h->text + n, sizeof h->text - n, "%s\n", message);
}

static pith_status convert(const char *source, const char *out, pith_type type, heard *said,
                           pith_error *error) {
    heard ignored = {""};
    const pith_convert_options options = {
        .type = type,
        .head_type = PITH_N_TYPES,
        .n_threads = 2,
        .log = {listen, said != NULL ? said : &ignored},
    };
    return pith_convert(source, out, &options, error);
}

/* Converts what must convert and opens it. */
static pith_model_file *converted(const char *source, pith_type type, heard *said) {
    const char *out = test_path("encoder.pith");
    pith_model_file *file = NULL;
    pith_error error = {0};
    CHECK(convert(source, out, type, said, &error) == PITH_OK, "%s: %s", source, error.message);
    CHECK(pith_model_file_open(&file, out, false, NULL, NULL, NULL, &error) == PITH_OK, "%s: %s",
          source, error.message);
    CHECK(file->family == &pith_family_bert, "%s: not an encoder", source);
    return file;
}

static pith_config config_of(const char *name, const test_encoder *encoder) {
    pith_model_file *file = converted(test_make_encoder(name, encoder), PITH_TYPE_INT8, NULL);
    pith_config config = file->network.config;
    pith_model_file_close(file);
    return config;
}

/* ---- Weights --------------------------------------------------------------------------------- */

/* The reference checkpoint's weights and module files. */
static const char *link_reference(const char *name) {
    static const char *const names[] = {"config.json", "model.safetensors", "modules.json",
                                        "1_Pooling", "sentence_bert_config.json"};
    const char *directory = test_make_directory(name);
    char *source = realpath(test_root("golden/minilm"), NULL);
    CHECK(source != NULL, "no golden/minilm");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int failed = symlink(test_join(source, names[i]), test_join(directory, names[i]));
        CHECK(failed == 0, "%s", names[i]);
    }
    free(source);
    return directory;
}

static void check_types(const pith_model_file *file, pith_type type) {
    bool packed = type == PITH_TYPE_INT8 || type == PITH_TYPE_INT4;
    const pith_network *bert = &file->network;
    pith_type narrow = type == PITH_TYPE_INT4 ? PITH_TYPE_INT8 : type; /* 48 columns */
    CHECK(bert->embed.type == (packed ? PITH_TYPE_INT8 : type), "%d: words", type);
    CHECK(bert->position_embed.type == PITH_TYPE_F32 && bert->type_embed.type == PITH_TYPE_F32,
          "%d: tables", type);
    for (size_t i = 0; i < bert->config.num_hidden_layers; i++) {
        const pith_layer *l = &bert->layers[i];
        CHECK(l->qkv.matrix.type == narrow && l->o.matrix.type == narrow &&
                  l->gate_up.matrix.type == narrow && l->down.matrix.type == type,
              "%d: layer %zu", type, i);
    }
}

TEST(convert_bert, keeps_the_reference_in_every_type) {
    const char *source = link_reference("reference");
    test_tensors tensors = test_tensors_load(source);
    for (int type = 0; type < PITH_N_TYPES; type++) {
        pith_model_file *file = converted(source, (pith_type)type, NULL);
        const pith_config *c = &file->network.config;
        CHECK(c->vocab_size == 30522 && c->hidden_size == 48 && c->intermediate_size == 192 &&
                  c->num_hidden_layers == 3 && c->num_attention_heads == 4 &&
                  c->max_position_embeddings == 512 && c->type_vocab_size == 2,
              "type %d: counts", type);
        CHECK(c->norm_eps == 1e-12F && c->max_seq_length == 256 &&
                  c->pooling == PITH_POOLING_MEAN && c->normalize,
              "type %d: the rest", type);
        size_t stored = 0; /* what the checkpoint has and the model needs */
        for (size_t i = 0; i < tensors.n; i++) {
            bool needed = strncmp(tensors.items[i].name, "pooler", 6) != 0 &&
                          strcmp(tensors.items[i].name, "embeddings.position_ids") != 0;
            stored += needed ? tensors.items[i].size / 2 : 0;
        }
        CHECK(file->n_params == stored, "type %d: %zu parameters, not %zu", type, file->n_params,
              stored);
        check_types(file, (pith_type)type);
        const char *wrong = test_compare_encoder(file, &tensors);
        CHECK(wrong == NULL, "type %d: %s", type, wrong);
        pith_model_file_close(file);
    }
    test_tensors_free(&tensors);
    CHECK_NO_LEAKS();
}

/* Names as BertModel, as BertForMaskedLM and as before PyTorch: the same model. */
TEST(convert_bert, finds_every_style_of_names) {
    static const test_encoder styles[] = {
        {.prefix = NULL},
        {.prefix = "bert.", .config = "{\"architectures\": [\"BertForMaskedLM\"]}"},
        {.prefix = "bert.", .old_norms = true},
        {.old_norms = true, .config = "{\"architectures\": \"(absent)\"}"},
        {.config = "{\"model_type\": \"(absent)\"}"},
    };
    pith_config shape = test_encoder_config();
    test_tensors tensors = test_encoder_tensors(&shape, 1);
    for (size_t i = 0; i < sizeof styles / sizeof styles[0]; i++) {
        char name[16];
        heard said = {""};
        snprintf(name, sizeof name, "style-%zu", i);
        const char *source = test_make_encoder(name, &styles[i]);
        for (int type = 0; type < PITH_N_TYPES; type++) {
            pith_model_file *file = converted(source, (pith_type)type, &said);
            const char *wrong = test_compare_encoder(file, &tensors);
            CHECK(wrong == NULL, "style %zu, type %d: %s", i, type, wrong);
            CHECK(file->network.layers[1].down.matrix.type ==
                      (type == PITH_TYPE_INT4 ? PITH_TYPE_INT8 : (pith_type)type),
                  "style %zu, type %d: 48 columns", i, type);
            CHECK(file->network.layers[1].qkv.matrix.type == (pith_type)type, "style %zu, type %d",
                  i, type);
            pith_model_file_close(file);
        }
        CHECK(strstr(said.text, "pooler") == NULL && strstr(said.text, "position_ids") == NULL,
              "style %zu: %s", i, said.text);
    }
    test_tensors_free(&tensors);
    CHECK_NO_LEAKS();
}

TEST(convert_bert, names_missing_and_misshapen_tensors) {
    static const struct {
        const char *config, *words;
    } cases[] = {
        {"{\"num_hidden_layers\": 3}", "no tensor encoder.layer.2.attention.self.query.weight"},
        {"{\"vocab_size\": 41}", "word_embeddings.weight has shape [40, 32]"},
        {"{\"max_position_embeddings\": 17}", "position_embeddings.weight has shape [16, 32]"},
        {"{\"type_vocab_size\": 1}", "token_type_embeddings.weight has shape [2, 32]"},
        {"{\"intermediate_size\": 64}", "intermediate.dense.weight has shape [48, 32]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        pith_error error = {0};
        snprintf(name, sizeof name, "shape-%zu", i);
        const test_encoder encoder = {.config = cases[i].config};
        const char *source = test_make_encoder(name, &encoder);
        pith_status status = convert(source, test_path("shape.pith"), PITH_TYPE_F32, NULL, &error);
        CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, cases[i].words) != NULL,
              "%s: %s: %s", cases[i].config, pith_status_name(status), error.message);
    }
}

/* ---- Module files ---------------------------------------------------------------------------- */

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

TEST(convert_bert, follows_the_module_files) {
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
        pith_config c = config_of(name, &cases[i].encoder);
        CHECK(c.pooling == cases[i].pooling && c.normalize == cases[i].normalize &&
                  c.max_seq_length == cases[i].length,
              "case %zu: %s, %d, %zu tokens", i, pith_pooling_name(c.pooling), c.normalize,
              c.max_seq_length);
    }
}

/* Older checkpoints name the file after their network; sentence_bert_config.json goes first. */
TEST(convert_bert, finds_the_older_names_of_the_length_file) {
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
        pith_model_file *file = converted(source, PITH_TYPE_F32, NULL);
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
    pith_status status = convert(source, test_path("older.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, names[0]) != NULL, "%s",
          error.message);
}

TEST(convert_bert, says_what_is_otherwise) {
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
        heard said = {""};
        snprintf(name, sizeof name, "said-%zu", i);
        const char *source = test_make_encoder(name, &(test_encoder){.modules = cases[i].modules});
        test_write_text(source, cases[i].file, cases[i].text);
        pith_model_file_close(converted(source, PITH_TYPE_F32, &said));
        CHECK(cases[i].words != NULL ? strstr(said.text, cases[i].words) != NULL
                                     : strstr(said.text, "similarity") == NULL,
              "case %zu: %s", i, said.text);
    }
}

/* Where sentence_bert_config.json says nothing, the tokenizer's limit goes, if it is one. */
TEST(convert_bert, takes_the_limit_of_the_tokenizer) {
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
        heard said = {""};
        pith_model_file *file = converted(source, PITH_TYPE_INT8, &said);
        size_t found = file->network.config.max_seq_length;
        CHECK(found == cases[i].length, "%s: %zu", cases[i].text, found);
        CHECK(strstr(said.text, "modules.json: embeddings are the mean") != NULL, "%s", said.text);
        size_t n = 0; /* read for two purposes, listed once */
        for (size_t s = 0; s < file->metadata.n_sources; s++) {
            n += strcmp(file->metadata.sources[s].name, "tokenizer_config.json") == 0;
        }
        CHECK(n == 1, "tokenizer_config.json is listed %zu times", n);
        pith_model_file_close(file);
    }
}

TEST(convert_bert, records_the_module_files) {
    const char *source = test_make_encoder("recorded", &(test_encoder){.bare = false});
    pith_model_file *file = converted(source, PITH_TYPE_F16, NULL);
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

/* ---- Refusals -------------------------------------------------------------------------------- */

static void check_refused(const char *name, const test_encoder *encoder, pith_status expected,
                          const char *words) {
    pith_error error = {0};
    const char *source = test_make_encoder(name, encoder);
    pith_status status = convert(source, test_path("refused.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == expected && strstr(error.message, words) != NULL,
          "%s: %s: \"%s\", expected \"%s\"", name, pith_status_name(status), error.message, words);
    CHECK(access(test_path("refused.pith"), F_OK) != 0, "%s: published", name);
}

TEST(convert_bert, refuses_other_networks_by_name) {
    static const struct {
        const char *config;
        pith_status status;
        const char *words;
    } cases[] = {
        {"{\"hidden_act\": \"gelu_new\"}", PITH_ERROR_UNSUPPORTED, "hidden_act \"gelu_new\""},
        {"{\"hidden_act\": \"relu\"}", PITH_ERROR_UNSUPPORTED, "hidden_act \"relu\""},
        {"{\"hidden_act\": 3}", PITH_ERROR_FORMAT, "hidden_act: expected a string"},
        {"{\"position_embedding_type\": \"relative_key\"}", PITH_ERROR_UNSUPPORTED,
         "position_embedding_type \"relative_key\""},
        {"{\"is_decoder\": true}", PITH_ERROR_UNSUPPORTED, "is_decoder"},
        {"{\"add_cross_attention\": true}", PITH_ERROR_UNSUPPORTED, "add_cross_attention"},
        {"{\"pruned_heads\": {\"1\": [0]}}", PITH_ERROR_UNSUPPORTED, "pruned_heads"},
        {"{\"quantization_config\": {}}", PITH_ERROR_UNSUPPORTED, "quantization_config"},
        {"{\"architectures\": [\"BertForSequenceClassification\"]}", PITH_ERROR_UNSUPPORTED,
         "BertForSequenceClassification"},
        {"{\"architectures\": [7]}", PITH_ERROR_FORMAT, "architectures"},
        {"{\"model_type\": \"roberta\"}", PITH_ERROR_UNSUPPORTED, "roberta"},
        {"{\"num_attention_heads\": 5}", PITH_ERROR_FORMAT, "num_attention_heads 5"},
        {"{\"num_attention_heads\": 0}", PITH_ERROR_FORMAT, "num_attention_heads is 0"},
        {"{\"hidden_size\": 33, \"num_attention_heads\": 3}", PITH_ERROR_UNSUPPORTED, "odd"},
        {"{\"hidden_size\": 2097152}", PITH_ERROR_FORMAT, "hidden_size is 2097152"},
        {"{\"num_hidden_layers\": 1025}", PITH_ERROR_FORMAT, "num_hidden_layers is 1025"},
        {"{\"max_position_embeddings\": 3}", PITH_ERROR_FORMAT, "max_position_embeddings is 3"},
        {"{\"type_vocab_size\": 0}", PITH_ERROR_FORMAT, "type_vocab_size is 0"},
        {"{\"layer_norm_eps\": 0}", PITH_ERROR_FORMAT, "layer_norm_eps is 0"},
        {"{\"layer_norm_eps\": 1e300}", PITH_ERROR_FORMAT, "layer_norm_eps is inf"},
        {"{\"vocab_size\": -1}", PITH_ERROR_FORMAT, "vocab_size: expected"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "network-%zu", i);
        check_refused(name, &(test_encoder){.config = cases[i].config}, cases[i].status,
                      cases[i].words);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_bert, refuses_other_modules_by_name) {
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
        check_refused(name, &cases[i].encoder, cases[i].status, cases[i].words);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_bert, refuses_an_importance_file) {
    const char *source = test_make_encoder("importance", &(test_encoder){.bare = true});
    pith_error error = {0};
    const pith_convert_options options = {.type = PITH_TYPE_INT4,
                                          .head_type = PITH_N_TYPES,
                                          .importance_path = "/dev/null"};
    pith_status status = pith_convert(source, test_path("x.pith"), &options, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "importance") != NULL, "%s",
          error.message);
}

/* do_lower_case lower-cases whatever the tokenizer does, and leaves accents to it. */
TEST(convert_bert, lower_cases_texts_where_it_is_asked_to) {
    static const char vocab[] = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\n##b\n";
    static const struct {
        const char *settings, *sentence;
        bool lowercase, strip_accents;
    } cases[] = {
        {"{\"do_lower_case\": true}", "{\"do_lower_case\": true}", true, true},
        {"{\"do_lower_case\": false}", "{\"do_lower_case\": true}", true, false},
        {"{\"do_lower_case\": false}", "{\"do_lower_case\": false}", false, false},
        {"{\"do_lower_case\": true}", "{\"do_lower_case\": false}", true, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "case-%zu", i);
        const char *source =
            test_make_encoder(name, &(test_encoder){.sentence = cases[i].sentence});
        test_write_text(source, "vocab.txt", vocab);
        test_write_text(source, "tokenizer_config.json", cases[i].settings);
        pith_model_file *file = converted(source, PITH_TYPE_F32, NULL);
        CHECK(file->vocab.lowercase == cases[i].lowercase &&
                  file->vocab.strip_accents == cases[i].strip_accents,
              "%s, %s: %d, %d", cases[i].settings, cases[i].sentence, file->vocab.lowercase,
              file->vocab.strip_accents);
        pith_model_file_close(file);
    }
}

/* XLM-R's tokenizer in front of BERT's block is what multilingual MiniLMs are made of. */
TEST(convert_bert, takes_any_kind_of_tokenizer) {
    static const char bpe[] =
        "{\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false},"
        " \"decoder\": {\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\","
        " \"vocab\": {\"a\": 0, \"b\": 1, \"ab\": 2}, \"merges\": [\"a b\"]}}";
    pith_error error = {0};
    const char *source = test_make_encoder("bpe", &(test_encoder){.bare = true});
    test_write_text(source, "tokenizer.json", bpe);
    pith_model_file *file = converted(source, PITH_TYPE_F32, NULL);
    CHECK(file->vocab.kind == PITH_TOKENIZER_BYTE_BPE, "kind %d", (int)file->vocab.kind);
    pith_model_file_close(file);
    test_write_text(source, "tokenizer_config.json", "{\"truncation_side\": \"left\"}");
    pith_status status = convert(source, test_path("bpe.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "truncation_side") != NULL,
          "%s: %s", pith_status_name(status), error.message);
    test_write_text(source, "tokenizer_config.json", "{}");
    /* Lower-casing in front of it is known of WordPiece alone. */
    test_write_text(source, "sentence_bert_config.json", "{\"do_lower_case\": true}");
    status = convert(source, test_path("bpe.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "do_lower_case") != NULL,
          "%s: %s", pith_status_name(status), error.message);
    CHECK(access(test_path("bpe.pith"), F_OK) != 0, "published");
    CHECK_NO_LEAKS();
}

/* With its tokenizer, from the directory as it is. */
TEST(convert_bert, takes_the_tokenizer_along) {
    pith_model_file *file = converted(test_root("golden/minilm"), PITH_TYPE_INT8, NULL);
    CHECK(file->vocab.kind == PITH_TOKENIZER_WORDPIECE && file->vocab.n_pieces == 30522 &&
              file->vocab.bos == 101 && file->vocab.eos == 102 && file->vocab.lowercase,
          "kind %d, %zu pieces", (int)file->vocab.kind, file->vocab.n_pieces);
    pith_model_file_close(file);
}

/* ---- No config.json -------------------------------------------------------------------------- */

static const char *make_unconfigured(const char *name, const pith_config *shape) {
    const char *directory = test_make_directory(name);
    test_tensors tensors = test_encoder_tensors(shape, 1);
    test_write_tensors(test_join(directory, "model.safetensors"), &tensors, 0, tensors.n);
    test_tensors_free(&tensors);
    return directory;
}

TEST(convert_bert, knows_the_shape_of_minilm) {
    pith_config shape = {
        .vocab_size = 30522,
        .hidden_size = 384,
        .intermediate_size = 1536,
        .num_hidden_layers = 6,
        .max_position_embeddings = 512,
        .type_vocab_size = 2,
    };
    heard said = {""};
    const char *source = make_unconfigured("minilm", &shape);
    pith_model_file *file = converted(source, PITH_TYPE_F16, &said);
    const pith_config *c = &file->network.config;
    CHECK(c->num_attention_heads == 12 && c->norm_eps == 1e-12F && c->max_seq_length == 512,
          "%zu heads, %zu tokens", c->num_attention_heads, c->max_seq_length);
    CHECK(strstr(said.text, "no config.json: the shape of all-MiniLM-L6-v2") != NULL, "%s",
          said.text);
    pith_model_file_close(file);
}

TEST(convert_bert, does_not_guess_other_shapes) {
    pith_config shape = test_encoder_config();
    pith_error error = {0};
    const char *source = make_unconfigured("small", &shape);
    pith_status status = convert(source, test_path("x.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "has shape [40, 32]") != NULL, "%s",
          error.message);
    shape.num_hidden_layers = 7;
    source = make_unconfigured("deep", &shape);
    status = convert(source, test_path("x.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "more layers than the 6") != NULL,
          "%s", error.message);
    pith_config llama = test_checkpoint_config();
    test_tensors tensors = test_checkpoint_tensors(&llama, 1);
    source = test_make_directory("decoder");
    test_write_tensors(test_join(source, "model.safetensors"), &tensors, 0, tensors.n);
    test_tensors_free(&tensors);
    status = convert(source, test_path("x.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT &&
              strstr(error.message, "no config.json, which belongs beside model.safet") != NULL,
          "%s", error.message);
}

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Converts with the `fail_at`-th allocation failing; false when there were fewer. */
static bool run_with_failure(const char *source, const char *out, size_t fail_at) {
    test_allocator t;
    pith_error error = {0};
    pith_convert_options options = {.type = PITH_TYPE_INT8,
                                    .head_type = PITH_N_TYPES,
                                    .n_threads = 1};
    test_allocator_init(&t);
    t.fail_at = fail_at;
    options.allocator = &t.allocator;
    pith_status status = pith_convert(source, out, &options, &error);
    CHECK(t.n_live == 0, "allocation %zu: %zu blocks leaked", fail_at, (size_t)t.n_live);
    if (t.n_calls < fail_at) {
        CHECK(status == PITH_OK, "%s", error.message);
        return false;
    }
    CHECK(status == PITH_ERROR_MEMORY, "allocation %zu: %s: %s", fail_at, pith_status_name(status),
          error.message);
    CHECK(error.message[0] != '\0' && access(out, F_OK) != 0, "allocation %zu", fail_at);
    return true;
}

TEST(convert_bert, survives_every_failed_allocation) {
    const char *source = test_make_encoder("memory", &(test_encoder){.sentence = "{}"});
    const char *out = test_path("memory.pith");
    test_write_text(source, "tokenizer_config.json", "{\"model_max_length\": 9}");
    size_t n = 1;
    while (run_with_failure(source, out, n)) {
        n++;
    }
    CHECK(n > 20, "only %zu allocations", n);
    CHECK_NO_LEAKS();
}
