/* Sources that are no checkpoint: what the converter says that they are, and what to do. */
#include "convert/convert.h"
#include "tests/checkpoint.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LFS                                                                                  \
    "version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef0123456789abcde" \
    "f0123456789abcdef0123456789abcdef\nsize 132\n"

static void check_refused(const char *source, pith_status expected, const char *words) {
    const pith_convert_options options = {.type = PITH_TYPE_INT4, .head_type = PITH_N_TYPES};
    pith_error error = {0};
    pith_status status = pith_convert(source, test_path("out.pith"), &options, &error);
    CHECK(status == expected, "%s: status %s, expected %s: %s", source, pith_status_name(status),
          pith_status_name(expected), error.message);
    CHECK(strstr(error.message, words) != NULL, "%s: no \"%s\" in \"%s\"", source, words,
          error.message);
    CHECK(strlen(error.message) < sizeof error.message - 1, "%s: cut: \"%s\"", source,
          error.message);
}

/* A new directory with config.json, when it is to have one, and one more file. */
static const char *make(bool config, const char *file, const char *text) {
    static int n;
    char name[32];
    snprintf(name, sizeof name, "source-%d", n++);
    const char *directory = test_make_directory(name);
    if (config) {
        char *json = test_config_text(NULL);
        test_write_text(directory, "config.json", json);
        free(json);
    }
    if (file != NULL) {
        test_write_text(directory, file, text);
    }
    return directory;
}

TEST(convert_sources, other_weights_are_named) {
    static const struct {
        const char *file, *words;
    } cases[] = {
        {NULL, "no model.safetensors; the source is a Hugging Face model directory"},
        {"pytorch_model.bin", "pytorch_model.bin, PyTorch's own format"},
        {"pytorch_model-00001-of-00002.bin", "pytorch_model-00001-of-00002.bin, PyTorch's own"},
        {"PYTORCH_MODEL.BIN", "PYTORCH_MODEL.BIN, PyTorch's own"},
        {"last.ckpt", "last.ckpt, PyTorch's own format"},
        {"model.pt", "model.pt, PyTorch's own format"},
        {"training_args.bin", "no model.safetensors; the source"}, /* no weights */
        {"optimizer.pt", "no model.safetensors; the source"},
        {"consolidated.00.pth", "consolidated.00.pth, Meta's own layout"},
        {"consolidated.safetensors", "Mistral's own layout, of which params.json is missing"},
        {"consolidated-00001-of-00002.safetensors", "Mistral's own layout"},
        {"weights.safetensors", "weights.safetensors; if that is the whole model, rename it"},
        {"Model.SafeTensors", "Model.SafeTensors; if that is the whole model"},
        {"model.onnx", "model.onnx, an ONNX model"},
        {"tf_model.h5", "tf_model.h5, TensorFlow's weights"},
        {"flax_model.msgpack", "flax_model.msgpack, Flax's weights"},
        {"model.safetensors.incomplete", "an unfinished download"},
        {"model.tar.gz", "an archive: unpack it"},
        {"llama.pith", "llama.pith, which is converted already"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int config = 0; config < 2; config++) {
            const char *words = cases[i].words;
            bool nothing = strstr(words, "no model.safetensors; the source") != NULL;
            bool other = strstr(words, "rename it") != NULL || strstr(words, "whole model") != NULL;
            words = config != 0 ? words
                    : nothing   ? "no config.json; the source"
                    : other     ? "no config.json, which belongs beside "
                                : words;
            check_refused(make(config != 0, cases[i].file, "x"), PITH_ERROR_FORMAT, words);
        }
    }
    CHECK_NO_LEAKS();
}

TEST(convert_sources, adapters_name_their_model) {
    static const char lora[] =
        "{\"peft_type\": \"LORA\", \"base_model_name_or_path\": \"meta-llama/Llama-2-7b-hf\"}";
    for (int config = 0; config < 2; config++) {
        check_refused(make(config != 0, "adapter_config.json", lora), PITH_ERROR_FORMAT,
                      "is a LoRA adapter for meta-llama/Llama-2-7b-hf, not a whole model; merge");
        check_refused(make(config != 0, "adapter_config.json",
                           "{\"peft_type\": \"IA3\", \"base_model_name_or_path\": null}"),
                      PITH_ERROR_FORMAT, "is a PEFT adapter, not");
        check_refused(make(config != 0, "adapter_config.json", "{"), PITH_ERROR_FORMAT,
                      "is a LoRA adapter, not");
        check_refused(make(config != 0, "adapter_model.bin", "x"), PITH_ERROR_FORMAT,
                      "is a LoRA adapter, not");
    }
    /* Beside a whole model it is left out, with a warning. */
    char warnings[4096] = "";
    const pith_convert_options options = {.type = PITH_TYPE_F32,
                                          .head_type = PITH_N_TYPES,
                                          .n_threads = 1,
                                          .log = {test_collect_warnings, warnings}};
    pith_error error = {0};
    const char *whole = test_make_checkpoint("whole", NULL);
    test_write_text(whole, "adapter_config.json", lora);
    CHECK(pith_convert(whole, test_path("whole.pith"), &options, &error) == PITH_OK, "%s",
          error.message);
    CHECK(strstr(warnings, "adapter_config.json) is left out") != NULL, "%s", warnings);
    /* A GGUF file says in its metadata that it is one. */
    static const char gguf[] = "GGUF\x03\0\0\0\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0"
                               "\x0c\0\0\0\0\0\0\0general.type\x08\0\0\0\x07\0\0\0\0\0\0\0adapter"
                               "\x19\0\0\0\0\0\0\0general.base_model.0.name\x08\0\0\0"
                               "\x04\0\0\0\0\0\0\0Base";
    const char *directory = make(true, NULL, NULL);
    const char *path = test_join(directory, "lora.gguf");
    test_write_file(path, gguf, sizeof gguf - 1);
    check_refused(directory, PITH_ERROR_FORMAT, "lora.gguf: is a GGUF adapter for Base; merge");
    check_refused(path, PITH_ERROR_FORMAT, "lora.gguf: is a GGUF adapter for Base; merge");
    CHECK_NO_LEAKS();
}

TEST(convert_sources, directories_around_the_model) {
    const char *root = test_make_directory("models--org--name");
    const char *hub = test_directory();
    check_refused(hub, PITH_ERROR_FORMAT,
                  "there is models--org--name, a directory of the Hugging Face cache");
    CHECK(mkdir(test_join(root, "snapshots"), 0700) == 0, "mkdir");
    check_refused(root, PITH_ERROR_FORMAT, "models--org--name/snapshots/COMMIT");
    const char *names[] = {"snapshots/0123abcd", "snapshots/feed", "refs"};
    for (size_t i = 0; i < 3; i++) {
        CHECK(mkdir(test_join(root, names[i]), 0700) == 0, "mkdir %s", names[i]);
    }
    check_refused(root, PITH_ERROR_FORMAT, "models--org--name/snapshots/0123abcd");
    test_write_text(root, "refs/main", "feed");
    test_write_text(root, "snapshots/feed/config.json", "{\"model_type\": \"llama\"}");
    check_refused(root, PITH_ERROR_FORMAT, "models--org--name/snapshots/feed");
    /* Any directory within that has a config.json. */
    const char *outer = test_make_directory("outer");
    CHECK(mkdir(test_join(outer, "inner"), 0700) == 0, "mkdir");
    test_write_text(outer, "inner/config.json", "{\"model_type\": \"llama\"}");
    check_refused(outer, PITH_ERROR_FORMAT, "there is inner, a directory with a config.json");
    CHECK_NO_LEAKS();
}

/* Every file of a checkpoint may be a pointer or a page that a failed download left. */
TEST(convert_sources, each_file_may_be_something_else) {
    static const char *const files[] = {"config.json", "generation_config.json",
                                        "model.safetensors", "tokenizer_config.json",
                                        "tokenizer.model"};
    static const struct {
        const char *text, *words;
    } cases[] = {
        {LFS, ": is a Git LFS pointer, not the file itself; fetch it with 'git lfs pull'"},
        {"\n<!DOCTYPE html>", ": is an HTML page, not the file itself; the download failed"},
        {"", ": is empty; download it again"},
        {"PK\x03\x04", ": is a ZIP archive"},
    };
    for (size_t f = 0; f < sizeof files / sizeof files[0]; f++) {
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            char name[32], words[160];
            snprintf(name, sizeof name, "each-%zu-%zu", f, i);
            snprintf(words, sizeof words, "%s%s", files[f], cases[i].words);
            const char *directory = test_make_checkpoint(name, NULL);
            test_write_text(directory, files[f], cases[i].text);
            check_refused(directory, PITH_ERROR_FORMAT, words);
        }
    }
    /* Llama 3's tokenizer.model, without the tokenizer.json that goes with it. */
    const char *tiktoken = test_make_checkpoint("tiktoken", NULL);
    test_write_text(tiktoken, "tokenizer.model", "IQ== 0\nIg== 1\n");
    check_refused(
        tiktoken, PITH_ERROR_FORMAT,
        "tokenizer.model: is a vocabulary of tiktoken, not a SentencePiece model; take the "
        "tokenizer.json");
    test_write_text(tiktoken, "tokenizer.model", "{}");
    check_refused(tiktoken, PITH_ERROR_FORMAT,
                  "tokenizer.model: is a JSON text, not a SentencePiece model");
    check_refused(make(true, "model.safetensors.index.json", LFS), PITH_ERROR_FORMAT,
                  "model.safetensors.index.json: is a Git LFS pointer");
    check_refused(make(true, "model-00001-of-00001.safetensors", LFS), PITH_ERROR_FORMAT,
                  "model-00001-of-00001.safetensors: is a Git LFS pointer");
    check_refused(make(true, "model.safetensors", "Entry not found"), PITH_ERROR_FORMAT,
                  "model.safetensors: is a text, not the file itself (\"Entry not found\")");
    CHECK_NO_LEAKS();
}

TEST(convert_sources, files_are_not_directories) {
    static const struct {
        const char *name, *text, *words;
    } cases[] = {
        {"model.gguf", "GGUF", "model.gguf: the version: 4 bytes are needed"},
        {"named.gguf", "\xff\xff\xff\xff", "named.gguf: does not begin with \"GGUF\""},
        {"config.json", "{}",
         "config.json: is a JSON text, one part of a checkpoint; give the dir"},
        {"pytorch_model.bin", "PK\x03\x04",
         "is a ZIP archive, as PyTorch writes checkpoints; the s"},
        {"unknown", "\xff\xff", "unknown: not a directory; the source is a Hugging Face model dir"},
        {"pointer", LFS, "pointer: is a Git LFS pointer"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *path = test_path(cases[i].name);
        test_write_file(path, cases[i].text, strlen(cases[i].text));
        check_refused(path, PITH_ERROR_FORMAT, cases[i].words);
    }
    const pith_convert_options options = {.type = PITH_TYPE_F32, .head_type = PITH_N_TYPES};
    pith_error error = {0};
    const char *directory = test_make_checkpoint("good", NULL);
    check_refused(test_join(directory, "model.safetensors"), PITH_ERROR_FORMAT,
                  "is a safetensors file, one part of a checkpoint; give the directory it is in");
    CHECK(pith_convert(directory, test_path("good.pith"), &options, &error) == PITH_OK, "%s",
          error.message);
    check_refused(test_path("good.pith"), PITH_ERROR_FORMAT,
                  "good.pith: is a .pith file, which is converted already");
    check_refused(test_path("nowhere"), PITH_ERROR_IO, "nowhere: cannot open");
    check_refused("some-owner/some-model", PITH_ERROR_IO,
                  "'hf download some-owner/some-model --local-dir some-model'");
    CHECK_NO_LEAKS();
}

/* A decoder that sentence-transformers uses as an encoder is no writer of text. */
TEST(convert_sources, embedding_models_that_are_decoders) {
    const char *directory = test_make_checkpoint("decoder-embedding", NULL);
    test_write_text(directory, "modules.json", "[]");
    check_refused(directory, PITH_ERROR_UNSUPPORTED, "this is an embedding model");
    CHECK_NO_LEAKS();
}

/* Quantised tensors without a word in config.json, as AutoGPTQ's quantize_config.json goes. */
TEST(convert_sources, quantised_tensors_are_recognised) {
    static const struct {
        const char *tensor, *words;
    } cases[] = {
        {"model.layers.1.mlp.up_proj.qweight", "quantised by GPTQ or AWQ; take the repository"},
        {"model.layers.1.mlp.up_proj.weight_packed", "quantised by compressed-tensors; take"},
        {"model.layers.1.mlp.up_proj.W_q", "quantised by HQQ; take"},
        {"model.layers.1.mlp.up_proj.weight", "has dtype U8; supported are F32, F16 and BF16: the "
                                              "weights are already quantised; take"},
    };
    pith_config config = test_checkpoint_config();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        snprintf(name, sizeof name, "quantised-%zu", i);
        const char *directory = test_make_checkpoint(name, NULL);
        test_tensors tensors = test_checkpoint_tensors(&config, 1);
        test_tensors_remove(&tensors, "model.layers.1.mlp.up_proj.weight");
        test_tensors_add(&tensors, cases[i].tensor, PITH_DTYPE_U8, 2, 48, 32);
        test_write_tensors(test_join(directory, "model.safetensors"), &tensors, 0, tensors.n);
        test_tensors_free(&tensors);
        check_refused(directory, PITH_ERROR_UNSUPPORTED, cases[i].words);
    }
    CHECK_NO_LEAKS();
}
