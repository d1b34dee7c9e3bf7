/* What a file is by its first bytes, and names of models on a hub. */
#include "base/file_kind.h"
#include "base/gguf_look.h"
#include "tests/support.h"
#include "tests/test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LFS                                                                                  \
    "version https://git-lfs.github.com/spec/v1\noid sha256:0123456789abcdef0123456789abcde" \
    "f0123456789abcdef0123456789abcdef\nsize 132\n"
#define BYTES(text) text, sizeof text - 1

TEST(file_kind, is_told_by_the_first_bytes) {
    static const struct {
        const char *bytes;
        size_t n;
        pith_file_kind kind;
    } cases[] = {
        {BYTES(""), PITH_FILE_EMPTY},
        {BYTES(LFS), PITH_FILE_LFS_POINTER},
        {BYTES("version https://hawser.github.com/spec/v1\n"), PITH_FILE_LFS_POINTER},
        {BYTES("<!DOCTYPE html>\n<html class=\"\">"), PITH_FILE_HTML},
        {BYTES("\xef\xbb\xbf \n\t<!doctype HTML>"), PITH_FILE_HTML},
        {BYTES("\r\n<HTML>"), PITH_FILE_HTML},
        {BYTES("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code></Error>"), PITH_FILE_HTML},
        {BYTES("../../blobs/6f2c0a"), PITH_FILE_LINK},
        {BYTES("./model.safetensors\n"), PITH_FILE_LINK},
        {BYTES("../a b"), PITH_FILE_TEXT},
        {BYTES("Entry not found"), PITH_FILE_TEXT},
        {BYTES("Invalid username or password."), PITH_FILE_TEXT},
        {BYTES("{\"error\": \"Repository not found\"}"), PITH_FILE_JSON},
        {BYTES("\xef\xbb\xbf[1]"), PITH_FILE_JSON},
        {BYTES("\x02\0\0\0\0\0\0\0{}"), PITH_FILE_SAFETENSORS},
        {BYTES("\x1c\0\0\0\0\0\0\0{\"__metadata__\":{\"pith\":\"\"}}"), PITH_FILE_PITH},
        {BYTES("\x03\0\0\0\0\0\0\0{}"), PITH_FILE_OTHER}, /* longer than the file */
        {BYTES("GGUF\x03\0\0\0"), PITH_FILE_GGUF},
        {BYTES("GGUF"), PITH_FILE_GGUF},
        {BYTES("tjgg\x03\0\0\0"), PITH_FILE_GGML},
        {BYTES("algg\x01\0\0\0"), PITH_FILE_GGML},
        {BYTES("\x80\x02\x8a\nl\xfc\x9c"), PITH_FILE_PICKLE},
        {BYTES("PK\x03\x04\0\0"), PITH_FILE_ZIP},
        {BYTES("\x1f\x8b\x08\0\0"), PITH_FILE_COMPRESSED},
        {BYTES("\x89HDF\r\n\x1a\n\0"), PITH_FILE_HDF5},
        {BYTES("\x93NUMPY\x01"), PITH_FILE_NUMPY},
        {BYTES("\x08\x07\x12\x07pytorch\x1a\x05"), PITH_FILE_ONNX},
        {BYTES("SQLite format 3\0\x10"), PITH_FILE_SQLITE},
        {BYTES("IQ== 0\nIg== 1\n"), PITH_FILE_TIKTOKEN},
        {BYTES("IQ=0\n"), PITH_FILE_TEXT},
        {BYTES("\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02"), PITH_FILE_OTHER}, /* SentencePiece */
        {BYTES("\xff\xfe\0\0"), PITH_FILE_OTHER},
    };
    bool seen[PITH_N_FILE_KINDS] = {false};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_file_look look = pith_file_look_at(cases[i].bytes, cases[i].n, cases[i].n);
        CHECK(look.kind == cases[i].kind, "case %zu: %s, expected %s", i,
              pith_file_kind_what(look.kind), pith_file_kind_what(cases[i].kind));
        seen[look.kind] = true;
        /* No prefix is read beyond its end. */
        for (size_t n = 0; n <= cases[i].n; n++) {
            char *copy = malloc(n + 1);
            memcpy(copy, cases[i].bytes, n);
            pith_file_look_at(copy, n, cases[i].n);
            free(copy);
        }
    }
    for (size_t k = 0; k < PITH_N_FILE_KINDS; k++) {
        CHECK(seen[k] || k == PITH_FILE_GGUF_ADAPTER, "%s: no case",
              pith_file_kind_what((pith_file_kind)k));
    }
}

TEST(file_kind, messages_say_what_to_do) {
    static const struct {
        const char *bytes;
        size_t n;
        const char *message;
    } cases[] = {
        {BYTES(LFS),
         "x: is a Git LFS pointer, not the file itself; fetch it with 'git lfs pull', or "
         "download the file"},
        {BYTES("<html>"), "x: is an HTML page, not the file itself; the download failed, or the "
                          "repository asks for a login"},
        {BYTES("\nEntry not found\n\nx"),
         "x: is a text, not the file itself (\"Entry not found\"); "
         "the download failed, or the repository asks for a login"},
        {BYTES(""), "x: is empty; download it again"},
        {BYTES("PK\x03\x04"), "x: is a ZIP archive, as PyTorch writes checkpoints, not this"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_error error;
        pith_file_look look = pith_file_look_at(cases[i].bytes, cases[i].n, cases[i].n);
        pith_status status = pith_fail_kind(&error, "x", &look, ", not this");
        CHECK(status == PITH_ERROR_FORMAT, "%s", pith_status_name(status));
        CHECK(strcmp(error.message, cases[i].message) == 0, "\"%s\", expected \"%s\"",
              error.message, cases[i].message);
    }
}

/* ---- GGUF ------------------------------------------------------------------------------------ */

typedef struct gguf {
    unsigned char bytes[1024];
    size_t n;
} gguf;

static void put(gguf *g, unsigned long long value, size_t n) {
    for (size_t i = 0; i < n; i++) {
        g->bytes[g->n++] = (unsigned char)(i < sizeof value ? value >> 8 * i : 0);
    }
}

static void put_text(gguf *g, const char *text) {
    put(g, strlen(text), 8);
    memcpy(g->bytes + g->n, text, strlen(text));
    g->n += strlen(text);
}

static void put_word(gguf *g, const char *key, const char *value) {
    put_text(g, key);
    put(g, 8, 4);
    put_text(g, value);
}

static gguf make_gguf(const char *type, const char *base) {
    gguf g = {.n = 0};
    memcpy(g.bytes, "GGUF", 4);
    g.n = 4;
    put(&g, 3, 4);
    put(&g, 0, 8);
    put(&g, 7, 8);
    put_text(&g, "general.quantization_version");
    put(&g, 4, 4);
    put(&g, 2, 4);
    put_text(&g, "general.tags"); /* an array of strings, then one of numbers */
    put(&g, 9, 4);
    put(&g, 8, 4);
    put(&g, 2, 8);
    put_text(&g, "a");
    put_text(&g, "b");
    put_text(&g, "scores");
    put(&g, 9, 4);
    put(&g, 6, 4);
    put(&g, 3, 8);
    put(&g, 0, 12);
    put_word(&g, "general.architecture", "llama");
    put_word(&g, "general.type", type);
    put_word(&g, "general.name", "Tiny Llama");
    put_word(&g, "general.base_model.0.name", base);
    return g;
}

TEST(file_kind, gguf_files_say_what_they_are) {
    gguf g = make_gguf("model", "Base");
    pith_file_look look = pith_file_look_at(g.bytes, g.n, g.n);
    CHECK(look.kind == PITH_FILE_GGUF && strcmp(look.detail, " of Tiny Llama") == 0, "%s",
          look.detail);
    g = make_gguf("adapter", "Base 7B");
    look = pith_file_look_at(g.bytes, g.n, g.n);
    CHECK(look.kind == PITH_FILE_GGUF_ADAPTER && strcmp(look.detail, " for Base 7B") == 0, "%s",
          look.detail);
    g = make_gguf("adapter", "");
    look = pith_file_look_at(g.bytes, g.n, g.n);
    CHECK(look.kind == PITH_FILE_GGUF_ADAPTER && strcmp(look.detail, " for llama") == 0, "%s",
          look.detail);
    g = make_gguf("adapter", "a\nb");
    look = pith_file_look_at(g.bytes, g.n, g.n);
    CHECK(strcmp(look.detail, " for a?b") == 0, "%s", look.detail);
}

/* Every cut and every changed byte: the message may differ, nothing is read beyond the end. */
TEST(file_kind, gguf_files_may_be_broken) {
    const gguf g = make_gguf("adapter", "Base");
    for (size_t i = 0; i < g.n; i++) {
        unsigned char *copy = malloc(i + 1);
        pith_gguf_look look;
        memcpy(copy, g.bytes, i);
        CHECK(pith_gguf_look_at(&look, copy, i) == (i >= 4), "%zu bytes", i);
        free(copy);
        copy = malloc(g.n);
        memcpy(copy, g.bytes, g.n);
        copy[i] = 0xff;
        pith_gguf_look_at(&look, copy, g.n);
        CHECK(memchr(look.base, 0, sizeof look.base) != NULL, "byte %zu", i);
        free(copy);
    }
}

/* ---- Names on a hub -------------------------------------------------------------------------- */

TEST(file_kind, names_of_models_on_a_hub) {
    static const struct {
        const char *path, *name; /* NULL: none */
    } cases[] = {
        {"meta-llama/Llama-3.2-1B", "meta-llama/Llama-3.2-1B"},
        {"Qwen/Qwen2.5-0.5B-Instruct", "Qwen/Qwen2.5-0.5B-Instruct"},
        {"https://huggingface.co/Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B"},
        {"https://huggingface.co/Qwen/Qwen2.5-0.5B/tree/main", "Qwen/Qwen2.5-0.5B"},
        {"hf.co/a/b", "a/b"},
        {"model.pith", NULL},
        {"models/x.pith", NULL},
        {"models/x.gguf", NULL},
        {"./a/b", NULL},
        {"../a", NULL},
        {"/a/b", NULL},
        {"a/b/c", NULL},
        {"a/", NULL},
        {"a b/c", NULL},
        {"https://example.org/a/b", NULL},
    };
    char name[PITH_HUB_NAME];
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(here >= 0 && chdir(test_directory()) == 0, "no temporary directory");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool found = pith_hub_name(cases[i].path, name);
        CHECK(found == (cases[i].name != NULL), "%s: %d", cases[i].path, found);
        CHECK(!found || strcmp(name, cases[i].name) == 0, "%s: %s", cases[i].path, name);
    }
    /* With such a directory it is a path with a typing error. */
    CHECK(mkdir("Qwen", 0700) == 0, "mkdir");
    CHECK(!pith_hub_name("Qwen/Qwen2.5-0.5B-Instruct", name), "a path");
    CHECK(fchdir(here) == 0 && close(here) == 0, "the way back");
    pith_error error;
    pith_fail_hub_name(&error, "a/b", "a/b");
    CHECK(strstr(error.message, "'hf download a/b --local-dir b'") != NULL, "%s", error.message);
}
