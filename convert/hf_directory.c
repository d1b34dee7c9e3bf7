/* Finds out what a directory that is no checkpoint contains. */
#include "convert/hf_directory.h"

#include "base/file_kind.h"
#include "base/status.h"
#include "families/hf_json.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_NAME = 256, MAX_ADAPTER = 1 << 20, MAX_REF = 256 };

/* What the name of an entry shows, the most informative first. */
typedef enum clue {
    ADAPTER,
    SNAPSHOTS,
    CACHE,
    MISTRAL,
    META,
    OTHER_SAFETENSORS,
    GGUF,
    PICKLE,
    ONNX,
    TENSORFLOW,
    FLAX,
    UNFINISHED,
    ARCHIVE,
    PITH,
    INNER,
    N_CLUES,
} clue;

/* Patterns of names, without regard to case: a beginning and an ending. Earlier ones go first. */
static const struct {
    const char *begin, *end;
    clue clue;
    bool directory;
} patterns[] = {
    {"adapter_config.json", "", ADAPTER, false},
    {"adapter_model.", "", ADAPTER, false},
    {"snapshots", "snapshots", SNAPSHOTS, true},
    {"models--", "", CACHE, true},
    {"onnx", "onnx", ONNX, true},
    {"consolidated", ".safetensors", MISTRAL, false},
    {"consolidated", ".pth", META, false},
    {"", ".safetensors", OTHER_SAFETENSORS, false},
    {"", ".gguf", GGUF, false},
    {"training_args", ".bin", N_CLUES, false},
    {"optimizer", "", N_CLUES, false},
    {"scheduler", "", N_CLUES, false},
    {"rng_state", "", N_CLUES, false},
    {"", ".bin", PICKLE, false},
    {"", ".bin.index.json", PICKLE, false},
    {"", ".pth", PICKLE, false},
    {"", ".pt", PICKLE, false},
    {"", ".ckpt", PICKLE, false},
    {"", ".onnx", ONNX, false},
    {"", ".h5", TENSORFLOW, false},
    {"", ".msgpack", FLAX, false},
    {"", ".incomplete", UNFINISHED, false},
    {"", ".crdownload", UNFINISHED, false},
    {"", ".part", UNFINISHED, false},
    {"", ".aria2", UNFINISHED, false},
    {"", ".zip", ARCHIVE, false},
    {"", ".tar", ARCHIVE, false},
    {"", ".tar.gz", ARCHIVE, false},
    {"", ".tgz", ARCHIVE, false},
    {"", ".pith", PITH, false},
};

/* The first entry of each clue by name; "" where there is none. */
typedef struct findings {
    char names[N_CLUES][MAX_NAME];
} findings;

static bool matches(const char *name, const char *begin, const char *end) {
    size_t n = strlen(name);
    size_t b = strlen(begin);
    size_t e = strlen(end);
    return n >= b && n >= e && strncasecmp(name, begin, b) == 0 &&
           strcasecmp(name + n - e, end) == 0;
}

static void note(findings *out, clue found, const char *name) {
    char *kept = out->names[found];
    if (kept[0] == '\0' || strcmp(name, kept) < 0) {
        snprintf(kept, MAX_NAME, "%s", name);
    }
}

/* True when config.json there is a model's: the modules of sentence-transformers have one too, of
 * pooling or of a dense layer. */
static bool has_config(int fd, const char *name) {
    char path[MAX_NAME + sizeof "/config.json"];
    char text[8192]; /* of a model's, "architectures" and "model_type" stand among the first keys */
    snprintf(path, sizeof path, "%s/config.json", name);
    int config = openat(fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = config >= 0 ? read(config, text, sizeof text) : -1;
    if (config >= 0) {
        close(config);
    }
    return n > 0 && (memmem(text, (size_t)n, "\"architectures\"", 15) != NULL ||
                     memmem(text, (size_t)n, "\"model_type\"", 12) != NULL);
}

static void look_at_entry(findings *out, int fd, const char *name) {
    struct stat facts;
    if (strlen(name) >= MAX_NAME || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        fstatat(fd, name, &facts, 0) != 0) {
        return;
    }
    bool directory = S_ISDIR(facts.st_mode);
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        if (patterns[i].directory == directory &&
            matches(name, patterns[i].begin, patterns[i].end)) {
            if (patterns[i].clue != N_CLUES) {
                note(out, patterns[i].clue, name);
            }
            return;
        }
    }
    if (directory && has_config(fd, name)) {
        note(out, INNER, name);
    }
}

/* Opens the directory that names are looked up in; -1 when that is not possible. */
static int open_inner(const pith_sources *sources, const char *name) {
    char path[PITH_SOURCES_MAX_INNER + MAX_NAME + 2];
    snprintf(path, sizeof path, "./%s%s", sources->inner, name);
    return openat(sources->directory_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static findings look_through(const pith_sources *sources) {
    findings out;
    memset(&out, 0, sizeof out);
    int fd = open_inner(sources, "");
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL && fd >= 0) {
        close(fd);
    }
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        look_at_entry(&out, fd, entry->d_name);
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return out;
}

/* Reads a small file into text [limit]; "" when that is not possible. */
static void read_small(const pith_sources *sources, const char *name, char *text, size_t limit) {
    char path[PITH_SOURCES_MAX_INNER + MAX_NAME + 2];
    snprintf(path, sizeof path, "./%s%s", sources->inner, name);
    int fd = openat(sources->directory_fd, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd >= 0 ? read(fd, text, limit - 1) : -1;
    text[n > 0 ? n : 0] = '\0';
    if (fd >= 0) {
        close(fd);
    }
}

/* adapter_config.json names what the adapter is, and the model it belongs to. */
static pith_status explain_adapter(const pith_sources *sources, pith_error *error) {
    pith_error ignored;
    pith_json config = {NULL};
    char *text = pith_allocate(sources->allocator, MAX_ADAPTER, 1);
    if (text != NULL) {
        read_small(sources, "adapter_config.json", text, MAX_ADAPTER);
        pith_hf_json_object(&config, text, strlen(text), "adapter_config.json", sources->allocator,
                            &ignored);
    }
    const char *base = pith_hf_json_text(pith_json_get(config, "base_model_name_or_path"));
    const char *type = pith_hf_json_text(pith_json_get(config, "peft_type"));
    pith_status status =
        pith_fail(error, PITH_ERROR_FORMAT,
                  "%s: is %s adapter%s%.150s, not a whole model; merge it into that model first "
                  "(merge_and_unload of Python's peft), and convert the result",
                  sources->directory,
                  type == NULL || strcmp(type, "LORA") == 0 ? "a LoRA" : "a PEFT",
                  base != NULL ? " for " : "", base != NULL ? base : "");
    pith_release(sources->allocator, text);
    return status;
}

/* A directory of huggingface_hub's cache: the model is in snapshots/, under the commit that
 * refs/main holds. */
static pith_status explain_snapshots(const pith_sources *sources, pith_error *error) {
    char commit[MAX_REF];
    findings inner = {.names = {""}};
    read_small(sources, "refs/main", commit, sizeof commit);
    commit[strcspn(commit, "\r\n")] = '\0';
    int fd = open_inner(sources, "snapshots");
    if (fd >= 0 && (commit[0] == '\0' || !has_config(fd, commit))) {
        commit[0] = '\0';
        int copy = dup(fd);
        DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
        for (const struct dirent *entry;
             directory != NULL && (entry = readdir(directory)) != NULL;) {
            if (entry->d_name[0] != '.' && strlen(entry->d_name) < MAX_REF) {
                note(&inner, INNER, entry->d_name);
            }
        }
        if (directory != NULL) {
            closedir(directory);
        } else if (copy >= 0) {
            close(copy);
        }
        snprintf(commit, sizeof commit, "%.*s", MAX_REF - 1, inner.names[INNER]);
    }
    if (fd >= 0) {
        close(fd);
    }
    return pith_fail(error, PITH_ERROR_FORMAT,
                     "%s: is a directory of the Hugging Face cache; the model's files are in "
                     "%s/%ssnapshots/%s",
                     sources->directory, sources->directory, sources->inner,
                     commit[0] != '\0' ? commit : "COMMIT");
}

/* A GGUF file may be an adapter, which has a model that it is for. */
static pith_status explain_gguf(const pith_sources *sources, const char *name, pith_error *error) {
    char path[4096];
    pith_file file;
    pith_error ignored;
    pith_file_look look = {.kind = PITH_FILE_GGUF};
    int n = snprintf(path, sizeof path, "%s/%s%s", sources->directory, sources->inner, name);
    if (n > 0 && (size_t)n < sizeof path && pith_file_open(&file, path, &ignored) == PITH_OK) {
        look = pith_file_look_in(&file, sources->allocator);
        pith_file_close(&file);
    }
    return pith_fail_kind(error, path, &look,
                          look.kind == PITH_FILE_GGUF_ADAPTER
                              ? "; merge the adapter it was made from into that model, and convert "
                                "the result"
                              : ": give that file in place of the directory");
}

static pith_status explain_missing(const pith_sources *sources, const char *missing,
                                   const char *found, const char *advice, pith_error *error) {
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: no %s%s, but there is %.150s%s",
                     sources->directory, sources->inner, missing, found, advice);
}

static pith_status explain_nothing(const pith_sources *sources, const char *missing,
                                   pith_error *error) {
    return pith_fail(error, PITH_ERROR_FORMAT,
                     "%s: no %s%s; the source is a Hugging Face model directory with config.json, "
                     "safetensors files and a tokenizer",
                     sources->directory, sources->inner, missing);
}

pith_status pith_hf_explain_directory(const pith_sources *sources, const char *missing,
                                      pith_error *error) {
    static const char *const advice[N_CLUES] = {
        [CACHE] = ", a directory of the Hugging Face cache: give its snapshots/COMMIT",
        [MISTRAL] =
            ", Mistral's own layout, of which params.json is missing; take that too, or the "
            "repository's model*.safetensors and config.json",
        [META] = ", Meta's own layout; take the repository in the Hugging Face format",
        [OTHER_SAFETENSORS] = "; if that is the whole model, rename it to model.safetensors",
        [PICKLE] = ", PyTorch's own format, which can hold any program and is not read; take a "
                   "repository with safetensors files, or save the model as such (save_pretrained "
                   "of Python's transformers)",
        [ONNX] =
            ", an ONNX model, which pith does not read; take the repository's safetensors files",
        [TENSORFLOW] = ", TensorFlow's weights, which pith does not read; take a repository with "
                       "safetensors files",
        [FLAX] = ", Flax's weights, which pith does not read; take a repository with safetensors "
                 "files",
        [UNFINISHED] = ", an unfinished download",
        [ARCHIVE] = ", an archive: unpack it first",
        [PITH] = ", which is converted already",
        [INNER] = ", a directory with a config.json: give that one",
    };
    const findings found = look_through(sources);
    for (size_t i = 0; i < N_CLUES; i++) {
        const char *name = found.names[i];
        if (name[0] == '\0') {
            continue;
        }
        switch ((clue)i) {
        case OTHER_SAFETENSORS:
            if (strcmp(missing, "config.json") == 0) {
                return pith_fail(error, PITH_ERROR_FORMAT,
                                 "%s: no %s%s, which belongs beside %.150s, with the tokenizer: "
                                 "take both from the same repository",
                                 sources->directory, sources->inner, missing, name);
            }
            return explain_missing(sources, missing, name, advice[i], error);
        case ADAPTER:
            return explain_adapter(sources, error);
        case SNAPSHOTS:
            return explain_snapshots(sources, error);
        case GGUF:
            return explain_gguf(sources, name, error);
        default:
            return explain_missing(sources, missing, name, advice[i], error);
        }
    }
    return explain_nothing(sources, missing, error);
}
