/* Recognises what was given in place of a .pith file. */
#include "weights/model_operand.h"

#include "base/file_kind.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool has_file(const char *directory, const char *name) {
    char path[4096];
    struct stat facts;
    int n = snprintf(path, sizeof path, "%s/%s", directory, name);
    return n > 0 && (size_t)n < sizeof path && stat(path, &facts) == 0;
}

static pith_status explain_directory(const char *path, pith_error *error) {
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') {
        n--;
    }
    if (has_file(path, "config.json")) {
        return pith_fail(
            error, PITH_ERROR_FORMAT,
            "%s: is a Hugging Face model directory; 'pith convert %.*s %.*s.pith --type "
            "int4' makes the .pith file that pith opens",
            path, (int)n, path, (int)n, path);
    }
    return pith_fail(
        error, PITH_ERROR_FORMAT,
        "%s: is a directory; a model is a .pith file, which 'pith convert' makes from a "
        "Hugging Face model directory",
        path);
}

static pith_status explain_file(const char *path, pith_status status,
                                const pith_allocator *allocator, pith_error *error) {
    pith_file file;
    pith_error ignored;
    if (pith_file_open(&file, path, &ignored) != PITH_OK) {
        return status;
    }
    pith_file_look look = pith_file_look_in(&file, allocator);
    pith_file_close(&file);
    if (look.kind == PITH_FILE_OTHER || look.kind == PITH_FILE_PITH) {
        return status;
    }
    if (look.kind == PITH_FILE_GGUF) {
        return pith_fail_kind(error, path, &look,
                              "; 'pith convert' makes the .pith file that pith opens of it");
    }
    return pith_fail_kind(
        error, path, &look,
        "; a model is a .pith file, which 'pith convert' makes from a Hugging Face "
        "model directory with config.json, safetensors files and a tokenizer");
}

pith_status pith_explain_model_operand(const char *path, pith_status status,
                                       const pith_allocator *allocator, pith_error *error) {
    char hub_name[PITH_HUB_NAME];
    struct stat facts;
    if (status != PITH_ERROR_IO && status != PITH_ERROR_FORMAT &&
        status != PITH_ERROR_UNSUPPORTED) {
        return status;
    }
    if (stat(path, &facts) != 0) {
        return pith_hub_name(path, hub_name) ? pith_fail_hub_name(error, path, hub_name) : status;
    }
    if (S_ISDIR(facts.st_mode)) {
        return explain_directory(path, error);
    }
    return S_ISREG(facts.st_mode) ? explain_file(path, status, allocator, error) : status;
}
