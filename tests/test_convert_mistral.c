/* Checkpoints in Mistral's own layout: the same model as in Hugging Face's gives the same tensors;
 * settings under their own names, and one test per way of being wrong. */
#include "base/file.h"
#include "convert/convert.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char params[] = "{\"dim\": 32, \"n_layers\": 2, \"head_dim\": 8, \"hidden_dim\": 48,"
                             " \"n_heads\": 4, \"n_kv_heads\": 2, \"norm_eps\": 1e-05,"
                             " \"vocab_size\": 40, \"max_seq_len\": 64, \"rope_theta\": 10000.0}";

static char warnings[4096];

/* ---- Making one ------------------------------------------------------------------------------ */

static void rename_tensor(test_tensors *tensors, const char *from, const char *to) {
    test_tensor *t = test_tensors_find(tensors, from);
    snprintf(t->name, sizeof t->name, "%s", to);
}

/* Rows (half 0, half 1) of a head become neighbours. */
static void interleave(test_tensor *t, size_t head_dim) {
    size_t bytes = t->size / t->shape[0];
    char *old = malloc(t->size);
    CHECK(old != NULL, "no memory");
    memcpy(old, t->data, t->size);
    for (size_t row = 0; row < t->shape[0]; row++) {
        size_t i = row % head_dim;
        size_t half = i >= head_dim / 2;
        size_t to = row - i + 2 * (i - half * (head_dim / 2)) + half;
        memcpy((char *)t->data + to * bytes, old + row * bytes, bytes);
    }
    free(old);
}

static test_tensors make_tensors(void) {
    static const char *const parts[][2] = {
        {"input_layernorm", "attention_norm"}, {"post_attention_layernorm", "ffn_norm"},
        {"self_attn.q_proj", "attention.wq"},  {"self_attn.k_proj", "attention.wk"},
        {"self_attn.v_proj", "attention.wv"},  {"self_attn.o_proj", "attention.wo"},
        {"mlp.gate_proj", "feed_forward.w1"},  {"mlp.down_proj", "feed_forward.w2"},
        {"mlp.up_proj", "feed_forward.w3"},
    };
    pith_config config = test_checkpoint_config();
    test_tensors tensors = test_checkpoint_tensors(&config, 1);
    rename_tensor(&tensors, "model.embed_tokens.weight", "tok_embeddings.weight");
    rename_tensor(&tensors, "model.norm.weight", "norm.weight");
    rename_tensor(&tensors, "lm_head.weight", "output.weight");
    for (size_t layer = 0; layer < 2; layer++) {
        for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
            char from[96], to[96];
            snprintf(from, sizeof from, "model.layers.%zu.%s.weight", layer, parts[i][0]);
            snprintf(to, sizeof to, "layers.%zu.%s.weight", layer, parts[i][1]);
            if (strstr(to, "attention.wq") != NULL || strstr(to, "attention.wk") != NULL) {
                interleave(test_tensors_find(&tensors, from), config.head_dim);
            }
            rename_tensor(&tensors, from, to);
        }
    }
    return tensors;
}

/* A directory with params.json, edited, and the weights in one file or in two shards. */
static const char *make(const char *edits, size_t n_shards) {
    static int n;
    char name[32];
    snprintf(name, sizeof name, "mistral-%d", n++);
    const char *directory = test_make_directory(name);
    test_tensors tensors = make_tensors();
    char *text = test_edit_json(params, edits);
    test_write_text(directory, "params.json", text);
    if (n_shards == 1) {
        test_write_tensors(test_join(directory, "consolidated.safetensors"), &tensors, 0,
                           tensors.n);
    } else {
        test_write_tensors(test_join(directory, "consolidated-00001-of-00002.safetensors"),
                           &tensors, 0, 5);
        test_write_tensors(test_join(directory, "consolidated-00002-of-00002.safetensors"),
                           &tensors, 5, tensors.n);
    }
    free(text);
    test_tensors_free(&tensors);
    return directory;
}

static pith_status convert(const char *directory, const char *out, pith_error *error) {
    const pith_convert_options options = {.type = PITH_TYPE_F32,
                                          .head_type = PITH_N_TYPES,
                                          .n_threads = 1,
                                          .log = {test_collect_warnings, warnings}};
    warnings[0] = '\0';
    return pith_convert(directory, out, &options, error);
}

/* ---- The same model -------------------------------------------------------------------------- */

static test_converted convert_and_open(const char *directory, const char *name) {
    pith_error error = {0};
    CHECK(convert(directory, test_path(name), &error) == PITH_OK, "%s", error.message);
    return test_open_converted(test_path(name));
}

static void check_same(const test_converted *a, const test_converted *b) {
    size_t n = pith_safetensors_count(a->header);
    CHECK(n == pith_safetensors_count(b->header) && n > 0, "%zu tensors", n);
    for (size_t i = 0; i < n; i++) {
        const pith_tensor *left = pith_safetensors_at(a->header, i);
        const pith_tensor *right = pith_safetensors_find(b->header, left->name);
        CHECK(right != NULL && right->size == left->size, "%s", left->name);
        unsigned char *bytes = malloc(2 * left->size + 1);
        CHECK(bytes != NULL, "no memory");
        CHECK(pith_file_read(&a->file, left->offset, bytes, left->size, NULL) == PITH_OK &&
                  pith_file_read(&b->file, right->offset, bytes + left->size, left->size, NULL) ==
                      PITH_OK,
              "%s cannot be read", left->name);
        CHECK(memcmp(bytes, bytes + left->size, left->size) == 0, "%s differs", left->name);
        free(bytes);
    }
}

TEST(convert_mistral, the_same_model_gives_the_same_tensors) {
    test_converted hf = convert_and_open(test_make_checkpoint("hf", NULL), "hf.pith");
    for (size_t n_shards = 1; n_shards <= 2; n_shards++) {
        test_converted own = convert_and_open(make(NULL, n_shards), "own.pith");
        check_same(&hf, &own);
        CHECK(strstr(warnings, "left out") == NULL, "%s", warnings);
        test_close_converted(&own);
    }
    test_close_converted(&hf);
    CHECK_NO_LEAKS();
}

/* Hugging Face's files go first, where a repository has both. */
TEST(convert_mistral, hugging_face_goes_first) {
    pith_error error = {0};
    const char *both = make("{\"dim\": 999}", 1);
    pith_config config = test_checkpoint_config();
    test_tensors tensors = test_checkpoint_tensors(&config, 1);
    char *text = test_config_text(NULL);
    test_write_text(both, "config.json", text);
    test_write_tensors(test_join(both, "model.safetensors"), &tensors, 0, tensors.n);
    CHECK(convert(both, test_path("both.pith"), &error) == PITH_OK, "%s", error.message);
    free(text);
    test_tensors_free(&tensors);
    CHECK_NO_LEAKS();
}

/* ---- Settings -------------------------------------------------------------------------------- */

static void check_config(const char *edits, const char *words, const char *warning) {
    test_converted out = convert_and_open(make(edits, 1), "config.pith");
    CHECK(strstr(out.metadata, words) != NULL, "%s: no %s in %s", edits, words, out.metadata);
    CHECK((strstr(warnings, "a context of") != NULL) == (warning != NULL), "%s", warnings);
    CHECK(warning == NULL || strstr(warnings, warning) != NULL, "%s", warnings);
    test_close_converted(&out);
}

TEST(convert_mistral, settings_become_hyper_parameters) {
    check_config(NULL, "\"max_position_embeddings\":64", NULL);
    check_config("{\"max_position_embeddings\": 96}", "\"max_position_embeddings\":96", NULL);
    check_config("{\"max_seq_len\": null}", "\"max_position_embeddings\":32768",
                 "a context of 32768 tokens is assumed");
    check_config(NULL, "\"sliding_window\":0", NULL);
    check_config("{\"sliding_window\": 16}", "\"sliding_window\":16", NULL);
    check_config("{\"rope_theta\": 500000.0}", "\"rope_theta\":500000.0", NULL);
    /* The program's own defaults: the base depends on the window. */
    check_config("{\"rope_theta\": null}", "\"rope_theta\":1000000.0", NULL);
    check_config("{\"rope_theta\": null, \"sliding_window\": 16}", "\"rope_theta\":10000.0", NULL);
    check_config("{\"moe\": null, \"use_biases\": false, \"max_batch_size\": 8, \"causal\": true}",
                 "\"num_hidden_layers\":2", NULL);
    CHECK_NO_LEAKS();
}

static void check_refused(const char *directory, pith_status expected, const char *words) {
    pith_error error = {0};
    pith_status status = convert(directory, test_path("bad.pith"), &error);
    CHECK(status == expected, "%s: status %s: %s", words, pith_status_name(status), error.message);
    CHECK(strstr(error.message, words) != NULL, "\"%s\" lacks \"%s\"", error.message, words);
    CHECK(access(test_path("bad.pith"), F_OK) != 0, "%s: something was published", words);
}

TEST(convert_mistral, other_settings_are_refused) {
    static const struct {
        const char *edits;
        pith_status status;
        const char *words;
    } cases[] = {
        {"{\"moe\": {\"num_experts\": 8}}", PITH_ERROR_UNSUPPORTED, "params.json: moe is not"},
        {"{\"yarn\": {\"factor\": 8}}", PITH_ERROR_UNSUPPORTED, "params.json: yarn is not"},
        {"{\"vision_encoder\": {}}", PITH_ERROR_UNSUPPORTED, "vision_encoder is not supported"},
        {"{\"use_biases\": true}", PITH_ERROR_UNSUPPORTED, "use_biases is not supported"},
        {"{\"causal\": false, \"x\": 0}", PITH_ERROR_UNSUPPORTED, "params.json: x is not"},
        {"{\"dim\": \"(absent)\"}", PITH_ERROR_FORMAT, "params.json: dim: expected a number"},
        {"{\"n_kv_heads\": null}", PITH_ERROR_FORMAT, "n_kv_heads: expected a number"},
        {"{\"n_layers\": -1}", PITH_ERROR_FORMAT, "params.json: n_layers: expected a count"},
        {"{\"n_layers\": 2.5}", PITH_ERROR_FORMAT, "params.json: n_layers: expected a count"},
        {"{\"sliding_window\": [4, 8]}", PITH_ERROR_FORMAT, "sliding_window: expected a count"},
        {"{\"norm_eps\": \"small\"}", PITH_ERROR_FORMAT, "norm_eps: expected a number"},
        {"{\"norm_eps\": true}", PITH_ERROR_FORMAT,
         "params.json, by other names: config.json: rms_norm_eps"},
        {"{\"n_heads\": 3}", PITH_ERROR_FORMAT, "params.json, by other names: "},
        {"{\"hidden_dim\": 56}", PITH_ERROR_FORMAT,
         "tensor layers.0.feed_forward.w1.weight has shape [48, 32], params.json asks for "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check_refused(make(cases[i].edits, 1), cases[i].status, cases[i].words);
    }
    CHECK_NO_LEAKS();
}

TEST(convert_mistral, files_that_are_wrong_are_refused) {
    const char *broken = make(NULL, 1);
    test_write_text(broken, "params.json", "{\"dim\": ");
    check_refused(broken, PITH_ERROR_FORMAT, "params.json");
    const char *shard = make(NULL, 2);
    CHECK(unlink(test_join(shard, "consolidated-00002-of-00002.safetensors")) == 0, "no shard");
    check_refused(shard, PITH_ERROR_FORMAT,
                  "shard consolidated-00002-of-00002.safetensors is missing");
    const char *tekken = make(NULL, 1);
    test_write_text(tekken, "tekken.json", "{}");
    check_refused(tekken, PITH_ERROR_UNSUPPORTED, "tekken.json, Mistral's own form, is not");
    CHECK_NO_LEAKS();
}

TEST(convert_mistral, its_tokenizers_names_are_known) {
    pith_error error = {0};
    const char *directory = make(NULL, 1);
    test_write_text(directory, "tokenizer.model.v3", "no model");
    CHECK(convert(directory, test_path("v3.pith"), &error) == PITH_ERROR_FORMAT, "%s",
          error.message);
    CHECK(strstr(error.message, "tokenizer.model.v3") != NULL, "%s", error.message);
    CHECK_NO_LEAKS();
}
