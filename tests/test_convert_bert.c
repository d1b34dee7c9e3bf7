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
#include <unistd.h>

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
        pith_model_file *file = test_converted_encoder(source, (pith_type)type, NULL);
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
        char said[4096] = "";
        snprintf(name, sizeof name, "style-%zu", i);
        const char *source = test_make_encoder(name, &styles[i]);
        for (int type = 0; type < PITH_N_TYPES; type++) {
            pith_model_file *file = test_converted_encoder(source, (pith_type)type, said);
            const char *wrong = test_compare_encoder(file, &tensors);
            CHECK(wrong == NULL, "style %zu, type %d: %s", i, type, wrong);
            CHECK(file->network.layers[1].down.matrix.type ==
                      (type == PITH_TYPE_INT4 ? PITH_TYPE_INT8 : (pith_type)type),
                  "style %zu, type %d: 48 columns", i, type);
            CHECK(file->network.layers[1].qkv.matrix.type == (pith_type)type, "style %zu, type %d",
                  i, type);
            pith_model_file_close(file);
        }
        CHECK(strstr(said, "pooler") == NULL && strstr(said, "position_ids") == NULL,
              "style %zu: %s", i, said);
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
        pith_status status =
            test_convert_encoder(source, test_path("shape.pith"), PITH_TYPE_F32, NULL, &error);
        CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, cases[i].words) != NULL,
              "%s: %s: %s", cases[i].config, pith_status_name(status), error.message);
    }
}

/* ---- Refusals -------------------------------------------------------------------------------- */

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
        {"{\"pruned_heads\": true}", PITH_ERROR_FORMAT, "pruned_heads: expected an object or null"},
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
        test_refuse_encoder(name, &(test_encoder){.config = cases[i].config}, cases[i].status,
                            cases[i].words);
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
        pith_model_file *file = test_converted_encoder(source, PITH_TYPE_F32, NULL);
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
    pith_model_file *file = test_converted_encoder(source, PITH_TYPE_F32, NULL);
    CHECK(file->vocab.kind == PITH_TOKENIZER_BYTE_BPE, "kind %d", (int)file->vocab.kind);
    pith_model_file_close(file);
    test_write_text(source, "tokenizer_config.json", "{\"truncation_side\": \"left\"}");
    pith_status status =
        test_convert_encoder(source, test_path("bpe.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "truncation_side") != NULL,
          "%s: %s", pith_status_name(status), error.message);
    test_write_text(source, "tokenizer_config.json", "{}");
    /* Lower-casing in front of it is known of WordPiece alone. */
    test_write_text(source, "sentence_bert_config.json", "{\"do_lower_case\": true}");
    status = test_convert_encoder(source, test_path("bpe.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_UNSUPPORTED && strstr(error.message, "do_lower_case") != NULL,
          "%s: %s", pith_status_name(status), error.message);
    CHECK(access(test_path("bpe.pith"), F_OK) != 0, "published");
    CHECK_NO_LEAKS();
}

/* With its tokenizer, from the directory as it is. */
TEST(convert_bert, takes_the_tokenizer_along) {
    pith_model_file *file =
        test_converted_encoder(test_root("golden/minilm"), PITH_TYPE_INT8, NULL);
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
    char said[4096] = "";
    const char *source = make_unconfigured("minilm", &shape);
    pith_model_file *file = test_converted_encoder(source, PITH_TYPE_F16, said);
    const pith_config *c = &file->network.config;
    CHECK(c->num_attention_heads == 12 && c->norm_eps == 1e-12F && c->max_seq_length == 512,
          "%zu heads, %zu tokens", c->num_attention_heads, c->max_seq_length);
    CHECK(strstr(said, "no config.json: the shape of all-MiniLM-L6-v2") != NULL, "%s", said);
    pith_model_file_close(file);
}

TEST(convert_bert, does_not_guess_other_shapes) {
    pith_config shape = test_encoder_config();
    pith_error error = {0};
    const char *source = make_unconfigured("small", &shape);
    pith_status status =
        test_convert_encoder(source, test_path("x.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "has shape [40, 32]") != NULL, "%s",
          error.message);
    shape.num_hidden_layers = 7;
    source = make_unconfigured("deep", &shape);
    status = test_convert_encoder(source, test_path("x.pith"), PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "more layers than the 6") != NULL,
          "%s", error.message);
    pith_config llama = test_checkpoint_config();
    test_tensors tensors = test_checkpoint_tensors(&llama, 1);
    source = test_make_directory("decoder");
    test_write_tensors(test_join(source, "model.safetensors"), &tensors, 0, tensors.n);
    test_tensors_free(&tensors);
    status = test_convert_encoder(source, test_path("x.pith"), PITH_TYPE_F32, NULL, &error);
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
