/* Conversions of checkpoints that differ from the plain kind: other architectures, tied heads that
 * are stored, odd tensors, tokenizers and chat templates. */
#include "convert/convert.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"
#include "weights/pith_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define MISTRAL "\"architectures\": [\"MistralForCausalLM\"], \"model_type\": \"mistral\""
#define QWEN2 "\"architectures\": [\"Qwen2ForCausalLM\"], \"model_type\": \"qwen2\""

static pith_status try_convert(const char *source, const char *out, pith_type type, char *warnings,
                               pith_error *error) {
    pith_convert_options options = {.type = type, .head_type = PITH_N_TYPES, .n_threads = 1};
    if (warnings != NULL) {
        warnings[0] = '\0';
        options.log = (pith_log){test_collect_warnings, warnings};
    }
    error->message[0] = '\0';
    return pith_convert(source, out, &options, error);
}

/* Converts to float32 and opens. */
static pith_model_file *convert_and_open(const char *source, const char *out, char *warnings) {
    pith_error error;
    pith_status status = try_convert(source, out, PITH_TYPE_F32, warnings, &error);
    CHECK(status == PITH_OK, "%s: %s", source, error.message);
    return test_open_file(out);
}

/* Writes model.safetensors; the tensors are freed. */
static void write_model(const char *directory, test_tensors *tensors) {
    test_write_tensors(test_join(directory, "model.safetensors"), tensors, 0, tensors->n);
    test_tensors_free(tensors);
}

static void check_fails(const char *directory, pith_type type, pith_status expected,
                        const char *words) {
    pith_error error;
    pith_status status = try_convert(directory, test_path("bad.pith"), type, NULL, &error);
    CHECK(status == expected, "\"%s\": status %s, expected %s: %s", words, pith_status_name(status),
          pith_status_name(expected), error.message);
    CHECK(strstr(error.message, words) != NULL, "no \"%s\" in \"%s\"", words, error.message);
    CHECK(strstr(test_list_directory(test_directory()), "bad.pith") == NULL,
          "\"%s\": left something behind: %s", words, test_list_directory(test_directory()));
}

TEST(convert_variants, converts_mistral_and_qwen2) {
    pith_config config = test_checkpoint_config();
    const char *mistral = test_make_checkpoint("mistral", "{" MISTRAL ", \"sliding_window\": 17}");
    pith_model_file *file = convert_and_open(mistral, test_path("mistral.pith"), NULL);
    CHECK(file->metadata.config.kinds[0].sliding_window == 17, "%zu",
          file->metadata.config.kinds[0].sliding_window);
    CHECK(file->network.layers[0].qkv.bias == NULL, "mistral has biases");
    pith_model_file_close(file);

    const char *qwen2 = test_make_checkpoint("qwen2", "{" QWEN2 "}");
    config.qkv_bias = true;
    test_tensors tensors = test_checkpoint_tensors(&config, 2);
    float k_bias =
        ((float *)test_tensors_find(&tensors, "model.layers.1.self_attn.k_proj.bias")->data)[5];
    write_model(qwen2, &tensors);
    file = convert_and_open(qwen2, test_path("qwen2.pith"), NULL);
    const pith_layer *layer = &file->network.layers[1];
    CHECK(layer->qkv.bias != NULL && layer->o.bias == NULL && layer->gate_up.bias == NULL,
          "qwen2 biases");
    size_t row = pith_config_qkv_layout(&file->metadata.config).k_begin + 5;
    CHECK(layer->qkv.bias[row] == k_bias, "%g, expected %g", (double)layer->qkv.bias[row],
          (double)k_bias);
    pith_model_file_close(file);
    CHECK_NO_LEAKS();
}

static pith_model *open_with_rope(const char *name, const char *edits, char *warnings) {
    const char *directory = test_make_checkpoint(name, edits);
    pith_error error;
    pith_model *model = NULL;
    pith_model_options options = {.n_threads = 1,
                                  .log = test_collect_warnings,
                                  .log_user = warnings};
    const char *out = test_path("rope.pith");
    pith_status status = try_convert(directory, out, PITH_TYPE_F32, NULL, &error);
    CHECK(status == PITH_OK, "%s: %s", edits, error.message);
    status = pith_model_open(&model, out, &options, &error);
    CHECK(status == PITH_OK, "%s: %s", edits, error.message);
    return model;
}

/* rope_scaling "dynamic" is none up to max_position_embeddings, 64 here, and refused beyond. */
TEST(convert_variants, dynamic_rope_is_plain_up_to_its_length) {
    static const char *const edits[] = {
        "{\"rope_scaling\": null}", "{\"rope_scaling\": {\"type\": \"dynamic\", \"factor\": 2.0}}"};
    enum { VOCAB = 40, N = 64 };
    float logits[2][VOCAB];
    char warnings[4096] = "";
    int32_t tokens[N];
    for (size_t i = 0; i < N; i++) {
        tokens[i] = (int32_t)(i * 7 % VOCAB);
    }
    for (size_t i = 0; i < 2; i++) {
        pith_model *model = open_with_rope(i == 0 ? "plain" : "dynamic", edits[i], warnings);
        pith_session *session = NULL;
        pith_error error = {0};
        pith_status status = pith_session_new(&session, model, NULL, &error);
        CHECK(status == PITH_OK, "%s", error.message);
        CHECK(pith_session_context(session) == N, "%zu", pith_session_context(session));
        CHECK(pith_session_eval(session, tokens, N, &error) == PITH_OK, "%s", error.message);
        memcpy(logits[i], pith_session_logits(session), sizeof logits[i]);
        pith_session_free(session);
        session = NULL;
        const pith_session_options longer = {.n_context = N + 1};
        status = pith_session_new(&session, model, &longer, &error);
        CHECK(status == (i == 0 ? PITH_OK : PITH_ERROR_UNSUPPORTED), "%s",
              pith_status_name(status));
        CHECK(i == 0 || (session == NULL && strstr(error.message, "context of 65") != NULL &&
                         strstr(error.message, "\"dynamic\"") != NULL),
              "%s", error.message);
        pith_session_free(session);
        pith_model_free(model);
    }
    CHECK(memcmp(logits[0], logits[1], sizeof logits[0]) == 0, "dynamic changed the logits");
    CHECK_NO_LEAKS();
}

/* A model stretched by YaRN was made for factor x original positions, whatever
 * max_position_embeddings says; Qwen2.5's documents leave that as it was. */
TEST(convert_variants, yarn_counts_in_the_length_of_a_model) {
    char warnings[4096] = "";
    pith_model *model =
        open_with_rope("stretched", "{\"rope_scaling\": {\"type\": \"yarn\", \"factor\": 4.0}}",
                       warnings);
    for (size_t n = 256; n <= 257; n++) {
        pith_session *session = NULL;
        pith_error error = {0};
        const pith_session_options options = {.n_context = n};
        CHECK(pith_session_new(&session, model, &options, &error) == PITH_OK, "%s", error.message);
        CHECK((strstr(warnings, "more than the 256 positions") != NULL) == (n == 257), "%zu: %s", n,
              warnings);
        pith_session_free(session);
    }
    pith_model_free(model);
    CHECK_NO_LEAKS();
}

/* attention_bias and mlp_bias: the biases of gate and up alternate in sixteens, like their rows. */
TEST(convert_variants, joins_biases_like_their_matrices) {
    const char *directory =
        test_make_checkpoint("biases", "{\"attention_bias\": true, \"mlp_bias\": true}");
    pith_config config = test_checkpoint_config();
    config.qkv_bias = config.o_bias = config.mlp_bias = true;
    test_tensors tensors = test_checkpoint_tensors(&config, 3);
    test_write_tensors(test_join(directory, "model.safetensors"), &tensors, 0, tensors.n);
    pith_model_file *file = convert_and_open(directory, test_path("biases.pith"), NULL);
    const pith_layer *layer = &file->network.layers[0];
    const float *gate = test_tensors_find(&tensors, "model.layers.0.mlp.gate_proj.bias")->data;
    const float *up = test_tensors_find(&tensors, "model.layers.0.mlp.up_proj.bias")->data;
    const float *down = test_tensors_find(&tensors, "model.layers.0.mlp.down_proj.bias")->data;
    for (size_t i = 0; i < config.intermediate_size; i++) {
        size_t row = i / 16 * 32 + i % 16;
        CHECK(layer->gate_up.bias[row] == gate[i] && layer->gate_up.bias[row + 16] == up[i],
              "gate or up %zu", i);
    }
    for (size_t i = 0; i < config.hidden_size; i++) {
        CHECK(layer->down.bias[i] == down[i], "down %zu", i);
    }
    pith_model_file_close(file);
    test_tensors_free(&tensors);
}

TEST(convert_variants, leaves_out_what_is_not_part_of_the_model) {
    char warnings[4096];
    const char *directory = test_make_checkpoint("extra", NULL);
    pith_config config = test_checkpoint_config();
    test_tensors tensors = test_checkpoint_tensors(&config, 1);
    test_tensors_add(&tensors, "model.layers.0.self_attn.rotary_emb.inv_freq", PITH_DTYPE_F32, 1, 4,
                     0);
    test_tensors_add(&tensors, "model.vision.weight", PITH_DTYPE_I64, 2, 3, 3);
    write_model(directory, &tensors);
    pith_model_file *file = convert_and_open(directory, test_path("extra.pith"), warnings);
    CHECK(strstr(warnings, "model.vision.weight") != NULL, "%s", warnings);
    CHECK(strstr(warnings, "inv_freq") == NULL, "%s", warnings);
    CHECK(strstr(warnings, "no tokenizer") != NULL && file->vocab.n_pieces == 0, "%s", warnings);
    pith_model_file_close(file);
}

/* tie_word_embeddings with a head in the file: dropped when it is the embedding, kept when fine-
 * tuning has parted the two. */
TEST(convert_variants, keeps_the_head_of_a_tied_model_only_if_it_differs) {
    for (int differs = 0; differs < 2; differs++) {
        char warnings[4096];
        const char *directory =
            test_make_checkpoint(differs ? "tied-2" : "tied-1", "{\"tie_word_embeddings\": true}");
        pith_config config = test_checkpoint_config();
        test_tensors tensors = test_checkpoint_tensors(&config, 4);
        test_tensor *embed = test_tensors_find(&tensors, "model.embed_tokens.weight");
        test_tensor *head = test_tensors_find(&tensors, "lm_head.weight");
        memcpy(head->data, embed->data, head->size);
        ((float *)head->data)[99] += (float)differs;
        float expected = ((float *)head->data)[99];
        write_model(directory, &tensors);
        pith_model_file *file = convert_and_open(directory, test_path("tied.pith"), warnings);
        float row[32];
        pith_matrix_row(&file->network.head, 3, row);
        CHECK((file->network.head.data == file->network.embed.data) == (differs == 0), "%d",
              differs);
        CHECK(file->metadata.config.tie_word_embeddings == (differs == 0), "%d", differs);
        CHECK(row[3] == expected, "%g, expected %g", (double)row[3], (double)expected);
        CHECK((strstr(warnings, "lm_head.weight differs") != NULL) == (differs == 1), "%s",
              warnings);
        CHECK(strstr(warnings, "left out") == NULL, "%s", warnings);
        pith_model_file_close(file);
    }
    CHECK_NO_LEAKS();
}

/* A tied pair is stored under either name. */
TEST(convert_variants, finds_a_tied_pair_by_either_name) {
    static const char *const names[] = {"model.embed_tokens.weight", "lm_head.weight"};
    for (size_t i = 0; i < 2; i++) {
        char warnings[4096];
        const char *directory = test_make_checkpoint(i == 0 ? "tied-embed" : "tied-head",
                                                     "{\"tie_word_embeddings\": true}");
        pith_config config = test_checkpoint_config();
        test_tensors tensors = test_checkpoint_tensors(&config, 4);
        float expected = ((float *)test_tensors_find(&tensors, names[i])->data)[99];
        test_tensors_remove(&tensors, names[1 - i]);
        write_model(directory, &tensors);
        pith_model_file *file = convert_and_open(directory, test_path("tied.pith"), warnings);
        float row[32];
        pith_matrix_row(&file->network.embed, 3, row);
        CHECK(file->network.head.data == file->network.embed.data, "%s: stored twice", names[i]);
        CHECK(row[3] == expected, "%s: %g, expected %g", names[i], (double)row[3],
              (double)expected);
        CHECK(strstr(warnings, names[i]) == NULL, "%s", warnings);
        pith_model_file_close(file);
    }
    /* Without the promise of a tied pair one name is not enough. */
    const char *directory = test_make_checkpoint("untied-head", NULL);
    pith_config config = test_checkpoint_config();
    test_tensors tensors = test_checkpoint_tensors(&config, 4);
    test_tensors_remove(&tensors, names[1]);
    write_model(directory, &tensors);
    check_fails(directory, PITH_TYPE_F32, PITH_ERROR_FORMAT, "no tensor lm_head.weight");
    CHECK_NO_LEAKS();
}

/* Each bias may be missing by itself, in all layers or in one: zero, with a warning of its own. */
TEST(convert_variants, takes_a_missing_bias_as_zero) {
    static const char *const parts[] = {"self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj",
                                        "self_attn.o_proj", "mlp.gate_proj",    "mlp.up_proj",
                                        "mlp.down_proj"};
    pith_config config = test_checkpoint_config();
    config.qkv_bias = config.o_bias = config.mlp_bias = true;
    pith_qkv_layout qkv = pith_config_qkv_layout(&config);
    const char *directory =
        test_make_checkpoint("missing", "{\"attention_bias\": true, \"mlp_bias\": true}");
    for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
        char name[96], warnings[4096], both[160];
        test_tensors tensors = test_checkpoint_tensors(&config, 3);
        for (size_t layer = 0; layer < 2; layer++) {
            snprintf(name, sizeof name, "model.layers.%zu.%s.bias", layer, parts[p]);
            if (layer == 1 || p % 2 == 0) {
                test_tensors_remove(&tensors, name);
            }
        }
        write_model(directory, &tensors);
        pith_model_file *file = convert_and_open(directory, test_path("missing.pith"), warnings);
        const pith_layer *layer = &file->network.layers[1];
        const float *found[] = {
            layer->qkv.bias, layer->qkv.bias + qkv.k_begin, layer->qkv.bias + qkv.v_begin,
            layer->o.bias,   layer->gate_up.bias,           layer->gate_up.bias + 16,
            layer->down.bias};
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            CHECK((found[i][5] == 0) == (i == p), "%s missing: %s is %g", parts[p], parts[i],
                  (double)found[i][5]);
        }
        snprintf(both, sizeof both, "no tensor model.layers.%d.%s.bias in the checkpoint%s: taken",
                 p % 2 == 0 ? 0 : 1, parts[p], p % 2 == 0 ? " (nor in 1 other layer)" : "");
        CHECK(strstr(warnings, both) != NULL, "no \"%s\" in \"%s\"", both, warnings);
        pith_model_file_close(file);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_variants, refuses_tensors_that_do_not_fit) {
    static const struct {
        const char *name;
        pith_dtype dtype;
        size_t n_dims, rows, cols;
        pith_status status;
        const char *words;
    } cases[] = {
        {"model.layers.1.mlp.up_proj.weight", PITH_DTYPE_F32, 2, 48, 31, PITH_ERROR_FORMAT,
         "has shape [48, 31], config.json asks for [48, 32]"},
        {"model.layers.1.self_attn.k_proj.weight", PITH_DTYPE_F32, 2, 32, 32, PITH_ERROR_FORMAT,
         "has shape [32, 32], config.json asks for [16, 32]"},
        {"model.embed_tokens.weight", PITH_DTYPE_F32, 1, 1280, 0, PITH_ERROR_FORMAT,
         "has shape [1280], config.json asks for [40, 32]"},
        {"model.norm.weight", PITH_DTYPE_F32, 2, 32, 1, PITH_ERROR_FORMAT, "asks for [32]"},
        {"lm_head.weight", PITH_DTYPE_F64, 2, 40, 32, PITH_ERROR_UNSUPPORTED, "dtype F64"},
        {"model.layers.0.mlp.gate_proj.weight", PITH_DTYPE_I8, 2, 48, 32, PITH_ERROR_UNSUPPORTED,
         "dtype I8"},
    };
    const char *directory = test_make_checkpoint("misfits", NULL);
    pith_config config = test_checkpoint_config();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_tensors tensors = test_checkpoint_tensors(&config, 1);
        test_tensors_remove(&tensors, cases[i].name);
        test_tensors_add(&tensors, cases[i].name, cases[i].dtype, cases[i].n_dims, cases[i].rows,
                         cases[i].cols);
        write_model(directory, &tensors);
        check_fails(directory, PITH_TYPE_INT8, cases[i].status, cases[i].words);
        check_fails(directory, PITH_TYPE_INT8, cases[i].status, cases[i].name);
    }
    test_tensors tensors = test_checkpoint_tensors(&config, 1);
    test_tensors_remove(&tensors, "model.layers.1.post_attention_layernorm.weight");
    write_model(directory, &tensors);
    check_fails(directory, PITH_TYPE_INT8, PITH_ERROR_FORMAT,
                "misfits: no tensor model.layers.1.post_attention_layernorm.weight");
    test_write_text(directory, "model.safetensors", "{}");
    check_fails(directory, PITH_TYPE_INT8, PITH_ERROR_FORMAT, "model.safetensors");
    CHECK_NO_LEAKS();
}

/* Values that are not finite or that the type cannot hold: named by tensor and place. */
TEST(convert_variants, refuses_values_that_cannot_be_stored) {
    static const struct {
        uint32_t bits;
        pith_type type;
        const char *words; /* NULL: it converts */
    } cases[] = {
        {0x7F800000, PITH_TYPE_F32, "element 777 is not finite"},
        {0xFF800000, PITH_TYPE_INT4, "element 777 is not finite"},
        {0x7FC00000, PITH_TYPE_BF16, "element 777 is not finite"},
        {0xFFC00001, PITH_TYPE_INT8, "element 777 is not finite"},
        {0x477FF000, PITH_TYPE_F16, "element 777 is 65520: the value exceeds f16"},
        {0x477FEFFF, PITH_TYPE_F16, NULL}, /* just below: rounds to 65504 */
        {0x7F7FFFFF, PITH_TYPE_F32, NULL},
        {0x7F7FFFFF, PITH_TYPE_BF16, "the value exceeds bf16"},
        {0x7F7F7FFF, PITH_TYPE_BF16, NULL},
        {0x4B000000, PITH_TYPE_INT8, "the value exceeds int8"},
        {0x4B000000, PITH_TYPE_INT4, "the value exceeds int4"},
    };
    static const char name[] = "model.layers.1.mlp.up_proj.weight";
    const char *directory = test_make_checkpoint("values", NULL);
    pith_config config = test_checkpoint_config();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        test_tensors tensors = test_checkpoint_tensors(&config, 1);
        memcpy((char *)test_tensors_find(&tensors, name)->data + 777 * 4, &cases[i].bits, 4);
        write_model(directory, &tensors);
        if (cases[i].words != NULL) {
            check_fails(directory, cases[i].type, PITH_ERROR_FORMAT, cases[i].words);
            check_fails(directory, cases[i].type, PITH_ERROR_FORMAT, name);
        } else {
            pith_error error;
            pith_status status =
                try_convert(directory, test_path("value.pith"), cases[i].type, NULL, &error);
            CHECK(status == PITH_OK, "case %zu: %s", i, error.message);
        }
    }
}

/* ---- Tokenizers and templates ---------------------------------------------------------------- */

/* Copies a fixture's file into a checkpoint directory. */
static void copy_file(const char *relative, const char *directory, const char *name) {
    size_t size;
    void *bytes = test_read_file(test_root(relative), &size);
    test_write_file(test_join(directory, name), bytes, size);
    free(bytes);
}

/* A checkpoint whose vocabulary is as large as the fixtures' (512 pieces). */
static const char *make_wide_checkpoint(const char *name, size_t vocab_size) {
    char edits[64];
    snprintf(edits, sizeof edits, "{\"vocab_size\": %zu}", vocab_size);
    const char *directory = test_make_checkpoint(name, edits);
    pith_config config = test_checkpoint_config();
    config.vocab_size = vocab_size;
    test_tensors tensors = test_checkpoint_tensors(&config, 1);
    write_model(directory, &tensors);
    return directory;
}

TEST(convert_variants, bounds_the_tokenizer_by_the_head) {
    const char *narrow = make_wide_checkpoint("narrow", 511);
    copy_file("golden/llama-mha/tokenizer.model", narrow, "tokenizer.model");
    check_fails(narrow, PITH_TYPE_F32, PITH_ERROR_FORMAT,
                "tokenizer.model: 512 tokens, but vocab_size in config.json is 511");
    const char *wide = make_wide_checkpoint("wide", 530);
    copy_file("golden/llama-mha/tokenizer.model", wide, "tokenizer.model");
    pith_model_file *file = convert_and_open(wide, test_path("wide.pith"), NULL);
    CHECK(file->vocab.n_pieces == 512 && file->metadata.config.vocab_size == 530, "%zu, %zu",
          file->vocab.n_pieces, file->metadata.config.vocab_size);
    pith_model_file_close(file);
}

TEST(convert_variants, takes_the_tokenizer_it_is_told_to) {
    pith_error error;
    const char *directory = make_wide_checkpoint("told", 512);
    pith_convert_options options = {.type = PITH_TYPE_INT8, .head_type = PITH_N_TYPES};
    options.tokenizer_path = test_root("golden/llama-mha/tokenizer.model");
    pith_status status = pith_convert(directory, test_path("told.pith"), &options, &error);
    CHECK(status == PITH_OK, "%s", error.message);
    options.tokenizer_path = test_join(directory, "nothing.model");
    status = pith_convert(directory, test_path("told.pith"), &options, &error);
    CHECK(status == PITH_ERROR_IO, "%s", pith_status_name(status));
}

static const char llama2_template[] =
    "{% set ns = namespace(system='') %}{% for m in messages %}{% if m.role == 'system' %}"
    "{% set ns.system = '<<SYS>>\n' + m.content + '\n<</SYS>>\n\n' %}{% elif m.role == 'user' %}"
    "{{ bos_token + '[INST] ' + ns.system + m.content + ' [/INST]' }}{% set ns.system = '' %}"
    "{% else %}{{ ' ' + m.content + ' ' + eos_token }}{% endif %}{% endfor %}";

/* Llama-2-7b-chat-hf of July 2023 has no template but this key. */
TEST(convert_variants, the_first_llama_2_chat_models_have_its_markup) {
    static const struct {
        const char *config;
        bool llama2;
    } cases[] = {
        {"{\"use_default_system_prompt\": true}", true},
        {"{\"use_default_system_prompt\": true, \"chat_template\": null}", true},
        {"{\"use_default_system_prompt\": true, \"chat_template\": \"plain\"}", false},
        {"{\"use_default_system_prompt\": false}", false},
        {"{}", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[16];
        snprintf(name, sizeof name, "july-%zu", i);
        const char *directory = test_make_checkpoint(name, NULL);
        test_write_text(directory, "tokenizer_config.json", cases[i].config);
        pith_model_file *file = convert_and_open(directory, test_path("july.pith"), NULL);
        const char *format = file->metadata.chat_format;
        CHECK((format != NULL && strcmp(format, "llama2") == 0) == cases[i].llama2, "%s: %s",
              cases[i].config, format != NULL ? format : "none");
        pith_model_file_close(file);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_variants, keeps_the_chat_template) {
    static const struct {
        const char *config, *file, *expected;
    } cases[] = {
        {"{\"chat_template\": \"plain\"}", NULL, "plain"},
        {"{\"chat_template\": null}", NULL, NULL},
        {"{\"model_max_length\": 1000000000000000019884624838656}", NULL, NULL},
        {"{\"chat_template\": [{\"name\": \"tools\", \"template\": \"a\"},"
         " {\"name\": \"default\", \"template\": \"b\"}]}",
         NULL, "b"},
        {"{\"chat_template\": [{\"name\": \"tools\", \"template\": \"a\"}]}", NULL, NULL},
        {"{\"chat_template\": \"plain\"}", llama2_template, llama2_template},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "template-%zu", i);
        const char *directory = test_make_checkpoint(name, NULL);
        test_write_text(directory, "tokenizer_config.json", cases[i].config);
        if (cases[i].file != NULL) {
            test_write_text(directory, "chat_template.jinja", cases[i].file);
        }
        pith_model_file *file = convert_and_open(directory, test_path("template.pith"), NULL);
        const char *found = file->metadata.chat_template;
        CHECK((found == NULL) == (cases[i].expected == NULL) &&
                  (found == NULL || strcmp(found, cases[i].expected) == 0),
              "case %zu: \"%s\"", i, found != NULL ? found : "(none)");
        const char *format = file->metadata.chat_format;
        CHECK((format != NULL && strcmp(format, "llama2") == 0) == (cases[i].file != NULL),
              "case %zu: format %s", i, format != NULL ? format : "(none)");
        pith_model_file_close(file);
    }
    const char *directory = test_make_checkpoint("template-bad", NULL);
    test_write_text(directory, "tokenizer_config.json",
                    "{\"chat_template\": [{\"name\": \"tools\", \"template\": 1}]}");
    check_fails(directory, PITH_TYPE_F32, PITH_ERROR_FORMAT,
                "chat_template: tools: expected a string");

    test_write_text(directory, "tokenizer_config.json", "{\"chat_template\": 3}");
    check_fails(directory, PITH_TYPE_F32, PITH_ERROR_FORMAT, "chat_template: expected a string");
    test_write_text(directory, "tokenizer_config.json", "{}");
    test_write_text(directory, "chat_template.jinja", "\xff");
    check_fails(directory, PITH_TYPE_F32, PITH_ERROR_FORMAT, "chat_template.jinja");
    CHECK_NO_LEAKS();
}

/* A file goes before the list, the default one is apart, and directories add to both. */
TEST(convert_variants, keeps_the_chat_templates_by_their_names) {
    const char *directory = test_make_checkpoint("templates", NULL);
    test_write_text(directory, "tokenizer_config.json",
                    "{\"chat_template\": [{\"name\": \"default\", \"template\": \"a\"}, "
                    "{\"name\": \"tool_use\", \"template\": \"b\"}, "
                    "{\"name\": \"rag\", \"template\": \"c\"}]}");
    test_write_text(directory, "chat_template.jinja", "d");
    test_write_text(directory, "chat_template.json", "{\"chat_template\": \"never read\"}");
    CHECK(mkdir(test_join(directory, "additional_chat_templates"), 0777) == 0, "mkdir");
    test_write_text(directory, "additional_chat_templates/tool_use.jinja", "e");
    test_write_text(directory, "additional_chat_templates/think.jinja", "f");
    test_write_text(directory, "additional_chat_templates/.jinja", "g");
    test_write_text(directory, "additional_chat_templates/notes.txt", "h");
    pith_model_file *file = convert_and_open(directory, test_path("templates.pith"), NULL);
    static const char *const expected[][2] = {{"think", "f"}, {"tool_use", "e"}, {"rag", "c"}};
    const pith_metadata *m = &file->metadata;
    CHECK(strcmp(m->chat_template, "d") == 0 && m->n_chat_templates == 3, "\"%s\" and %zu others",
          m->chat_template, m->n_chat_templates);
    for (size_t i = 0; i < 3; i++) {
        CHECK(strcmp(m->chat_templates[i].name, expected[i][0]) == 0 &&
                  strcmp(m->chat_templates[i].text, expected[i][1]) == 0,
              "template %zu is %s: %s", i, m->chat_templates[i].name, m->chat_templates[i].text);
    }
    pith_model_file_close(file);

    directory = test_make_checkpoint("template-json", NULL);
    test_write_text(directory, "chat_template.json", "{\"chat_template\": \"i\"}");
    file = convert_and_open(directory, test_path("templates.pith"), NULL);
    CHECK(file->metadata.chat_template != NULL && strcmp(file->metadata.chat_template, "i") == 0,
          "chat_template.json is not read");
    pith_model_file_close(file);
    CHECK_NO_LEAKS();
}
