/* The layouts of a models directory:
 *
 *     <model>.pith
 *     <model>.gguf                                                the first of its parts
 *     <model>/{config.json,tokenizer.json,*.safetensors}          any Hugging Face directory
 *     <model>/{params.json,consolidated.safetensors}               Mistral's own layout
 *     llama/<model>/{config.json,tokenizer.json,*.safetensors}    Spin's place for decoders
 *     all-minilm-l6-v2/{tokenizer.json,model.safetensors}         Spin's encoder, no config.json
 *
 * When one name stands in several places, the first of this list counts. */
#include "server/models_found.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/file_kind.h"
#include "base/gguf_look.h"
#include "base/json.h"
#include "base/text.h"
#include "base/utf8.h"
#include "convert/convert.h"

enum { MAX_HEADER = 16 << 20 }; /* bytes of a .pith file's header that are read for its kind */

typedef struct scan {
    pith_found_list *list;
    bool no_memory;
} scan;

char *pith_found_join(const char *directory, const char *name) {
    size_t n = strlen(directory) + strlen(name) + 2;
    char *path = malloc(n);
    if (path != NULL) {
        snprintf(path, n, "%s/%s", directory, name);
    }
    return path;
}

/* ---- Kinds ----------------------------------------------------------------------------------- */

static pith_model_kind kind_of_config(pith_json root) {
    const char *type = pith_json_text(pith_json_get(root, "model_type"));
    pith_json list = pith_json_get(root, "architectures");
    const char *first = pith_json_text(pith_json_at(list, 0));
    return pith_convert_names_encoder(type, first) ? PITH_MODEL_ENCODER : PITH_MODEL_DECODER;
}

static pith_model_kind kind_of_metadata(pith_json root) {
    pith_json metadata = pith_json_get(root, "__metadata__");
    const char *text = pith_json_text(pith_json_get(metadata, "pith"));
    pith_json own;
    char *copy = NULL;
    pith_model_kind kind = PITH_MODEL_ANY;
    if (text != NULL && pith_json_read_copy(&own, &copy, text, strlen(text), PITH_JSON_STRICT,
                                            "pith", &pith_malloc_allocator, NULL) == PITH_OK) {
        pith_json config = pith_json_get(own, "config");
        if (pith_json_is(config, PITH_JSON_OBJECT)) { /* only encoders pool */
            kind = pith_json_get(config, "pooling").at != NULL ? PITH_MODEL_ENCODER
                                                               : PITH_MODEL_DECODER;
        }
    }
    free(copy);
    return kind;
}

/* Reads [n] bytes at `offset` as JSON and asks `kind_of`. */
static pith_model_kind kind_in(const pith_file *file, size_t offset, size_t n,
                               pith_model_kind (*kind_of)(pith_json root)) {
    pith_json root;
    pith_model_kind kind = PITH_MODEL_ANY;
    char *text = n <= MAX_HEADER ? malloc(n + 1) : NULL;
    if (text != NULL && pith_file_read(file, offset, text, n, NULL) == PITH_OK &&
        pith_json_read(&root, text, n, PITH_JSON_PYTHON, file->path, &pith_malloc_allocator,
                       NULL) == PITH_OK) {
        kind = kind_of(root);
    }
    free(text);
    return kind;
}

static pith_model_kind kind_of_file(const char *path) {
    pith_file file;
    if (pith_file_open(&file, path, NULL) != PITH_OK) {
        return PITH_MODEL_ANY;
    }
    unsigned char bytes[8];
    uint64_t n = 0;
    pith_model_kind kind = PITH_MODEL_ANY;
    if (pith_file_read(&file, 0, bytes, sizeof bytes, NULL) == PITH_OK) {
        for (size_t i = sizeof bytes; i > 0; i--) {
            n = n << 8 | bytes[i - 1];
        }
        if (n <= MAX_HEADER) {
            kind = kind_in(&file, sizeof bytes, (size_t)n, kind_of_metadata);
        }
    }
    pith_file_close(&file);
    return kind;
}

/* A checkpoint without config.json is Spin's encoder, one with modules.json one of
 * sentence-transformers, whatever network it is made of. */
static pith_model_kind kind_of_checkpoint(const char *path) {
    pith_file file;
    pith_model_kind kind = PITH_MODEL_ANY;
    char *config = pith_found_join(path, "config.json");
    char *modules = pith_found_join(path, "modules.json");
    struct stat status;
    if (modules != NULL && stat(modules, &status) == 0) {
        kind = PITH_MODEL_ENCODER;
    } else if (config != NULL && stat(config, &status) != 0 && errno == ENOENT) {
        kind = PITH_MODEL_ENCODER;
    } else if (config != NULL && pith_file_open(&file, config, NULL) == PITH_OK) {
        kind = kind_in(&file, 0, file.size, kind_of_config);
        pith_file_close(&file);
    }
    free(config);
    free(modules);
    return kind;
}

/* A GGUF file names its architecture in its first keys. */
static pith_model_kind kind_of_gguf(const char *path) {
    pith_file file;
    pith_gguf_look look;
    pith_model_kind kind = PITH_MODEL_ANY;
    if (pith_file_open(&file, path, NULL) != PITH_OK) {
        return kind;
    }
    size_t n = file.size < PITH_FILE_LOOK ? file.size : PITH_FILE_LOOK;
    unsigned char *bytes = malloc(n + 1);
    if (bytes != NULL && pith_file_read(&file, 0, bytes, n, NULL) == PITH_OK &&
        pith_gguf_look_at(&look, bytes, n) && look.architecture[0] != '\0') {
        kind = pith_convert_gguf_names_encoder(look.architecture) ? PITH_MODEL_ENCODER
                                                                  : PITH_MODEL_DECODER;
    }
    free(bytes);
    pith_file_close(&file);
    return kind;
}

/* ---- Stamps ---------------------------------------------------------------------------------- */

static void stamp_file(pith_found *item, crypto_generichash_state *hash, const char *name,
                       const struct stat *status) {
    char text[96];
    snprintf(text, sizeof text, " %lld %lld.%09ld\n", (long long)status->st_size,
             (long long)status->st_mtim.tv_sec, status->st_mtim.tv_nsec);
    crypto_generichash_update(hash, (const unsigned char *)name, strlen(name));
    crypto_generichash_update(hash, (const unsigned char *)text, strlen(text));
    item->size += (size_t)status->st_size;
    if (status->st_mtim.tv_sec > item->changed) {
        item->changed = status->st_mtim.tv_sec;
    }
}

static int by_bytes(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void free_names(struct dirent **names, int n) {
    for (int i = 0; i < n; i++) {
        free(names[i]);
    }
    free(names);
}

/* Adds the files of a checkpoint, and those one directory further down (1_Pooling). */
static void stamp_directory(pith_found *item, crypto_generichash_state *hash, const char *path,
                            bool deeper) {
    struct dirent **names = NULL;
    int n = scandir(path, &names, is_visible, by_bytes);
    for (int i = 0; i < n; i++) {
        struct stat status;
        char *inside = pith_found_join(path, names[i]->d_name);
        if (inside != NULL && stat(inside, &status) == 0) {
            if (S_ISREG(status.st_mode)) {
                stamp_file(item, hash, names[i]->d_name, &status);
            } else if (S_ISDIR(status.st_mode) && deeper) {
                stamp_directory(item, hash, inside, false);
            }
        }
        free(inside);
    }
    free_names(names, n);
}

/* Adds the other parts of a split GGUF file. */
static void stamp_parts(pith_found *item, crypto_generichash_state *hash) {
    struct stat status;
    size_t n_parts = pith_gguf_n_parts(item->path);
    char *part = n_parts > 1 ? strdup(item->path) : NULL;
    for (size_t i = 1; i < n_parts && part != NULL; i++) {
        if (pith_gguf_set_part(part, i, n_parts) && stat(part, &status) == 0) {
            stamp_file(item, hash, "", &status);
        }
    }
    free(part);
}

static void stamp(pith_found *item, const struct stat *status) {
    crypto_generichash_state hash;
    unsigned char digest[(PITH_MODEL_STAMP - 1) / 2];
    crypto_generichash_init(&hash, NULL, 0, sizeof digest);
    if (S_ISDIR(status->st_mode)) {
        stamp_directory(item, &hash, item->path, true);
    } else {
        stamp_file(item, &hash, "", status);
        stamp_parts(item, &hash);
    }
    crypto_generichash_final(&hash, digest, sizeof digest);
    sodium_bin2hex(item->stamp, sizeof item->stamp, digest, sizeof digest);
}

/* ---- The list -------------------------------------------------------------------------------- */

void pith_found_item_release(pith_found *item) {
    free(item->name);
    free(item->path);
    *item = (pith_found){0};
}

void pith_found_release(pith_found_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        pith_found_item_release(&list->items[i]);
    }
    free(list->items);
    *list = (pith_found_list){0};
}

/* Names that can stand in JSON, in a log line and in a file name. */
static bool is_good_name(const char *name, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < 0x20 || name[i] == 0x7F) {
            return false;
        }
    }
    return n > 0 && n <= PITH_MODEL_NAME && pith_utf8_check(name, n) == n;
}

static bool has(const pith_found_list *list, const char *name, size_t n) {
    for (size_t i = 0; i < list->n; i++) {
        if (strlen(list->items[i].name) == n && memcmp(list->items[i].name, name, n) == 0) {
            return true;
        }
    }
    return false;
}

/* Adds the model `name` [n], unless there is one. `path` belongs to the list afterwards,
 * or is freed. */
static void add(scan *s, const char *name, size_t n, char *path, const struct stat *status,
                bool shipped) {
    pith_found_list *list = s->list;
    bool gguf = pith_ends_with(path, ".gguf");
    if (!is_good_name(name, n) || has(list, name, n)) {
        free(path);
        return;
    }
    if (list->n == list->capacity) {
        size_t more = list->capacity == 0 ? 16 : 2 * list->capacity;
        pith_found *items = reallocarray(list->items, more, sizeof *items);
        if (items == NULL) {
            s->no_memory = true;
            free(path);
            return;
        }
        list->items = items;
        list->capacity = more;
    }
    pith_found *item = &list->items[list->n];
    *item = (pith_found){
        .name = strndup(name, n),
        .path = path,
        .gguf = gguf,
        .checkpoint = gguf || S_ISDIR(status->st_mode),
        .shipped = shipped,
    };
    if (item->name == NULL) {
        s->no_memory = true;
        pith_found_item_release(item);
        return;
    }
    list->n++;
    stamp(item, status);
    item->kind = gguf               ? kind_of_gguf(path)
                 : item->checkpoint ? kind_of_checkpoint(path)
                                    : kind_of_file(path);
}

static bool exists(scan *s, const char *directory, const char *name) {
    struct stat status;
    char *path = pith_found_join(directory, name);
    s->no_memory = s->no_memory || path == NULL;
    bool found = path != NULL && stat(path, &status) == 0 && S_ISREG(status.st_mode);
    free(path);
    return found;
}

static int is_safetensors(const struct dirent *entry) {
    static const char suffix[] = ".safetensors";
    size_t n = strlen(entry->d_name);
    return n >= sizeof suffix && entry->d_name[0] != '.' &&
           strcmp(entry->d_name + n - (sizeof suffix - 1), suffix) == 0;
}

/* scandir(3), which notes when memory was short: a directory must not look empty then. */
static int list_names(scan *s, const char *directory, int (*filter)(const struct dirent *),
                      struct dirent ***names) {
    int n = scandir(directory, names, filter, by_bytes);
    s->no_memory = s->no_memory || (n < 0 && errno == ENOMEM);
    return n;
}

static bool is_checkpoint(scan *s, const char *path) {
    struct dirent **names = NULL;
    int n = list_names(s, path, is_safetensors, &names);
    free_names(names, n);
    return n > 0 && (exists(s, path, "config.json") || exists(s, path, "tokenizer.json") ||
                     exists(s, path, "params.json"));
}

typedef enum layout { FILES, CHECKPOINTS } layout;

/* Adds the models of one layout in one directory; false when it cannot be read. */
static bool scan_directory(scan *s, const char *directory, layout wanted, bool shipped) {
    struct dirent **names = NULL;
    int n = list_names(s, directory, is_visible, &names);
    if (n < 0) {
        return false;
    }
    for (int i = 0; i < n; i++) {
        const char *name = names[i]->d_name;
        size_t length = strlen(name);
        bool named = pith_ends_with(name, ".pith") ||
                     (pith_ends_with(name, ".gguf") && !pith_gguf_is_later_part(name));
        struct stat status;
        char *path = pith_found_join(directory, name);
        if (path == NULL) {
            s->no_memory = true;
        } else if (stat(path, &status) != 0) {
            free(path);
        } else if (wanted == FILES && named && S_ISREG(status.st_mode)) {
            add(s, name, length - 5, path, &status, shipped);
        } else if (wanted == CHECKPOINTS && S_ISDIR(status.st_mode) && is_checkpoint(s, path)) {
            add(s, name, length, path, &status, shipped);
        } else {
            free(path);
        }
    }
    free_names(names, n);
    return true;
}

static int by_name(const void *a, const void *b) {
    const pith_found *left = a;
    const pith_found *right = b;
    return left->shipped != right->shipped ? (int)left->shipped - (int)right->shipped
                                           : strcmp(left->name, right->name);
}

bool pith_found_scan(pith_found_list *out, const char *directory, const char *shipped,
                     pith_problem *problem) {
    pith_found_list list = {0};
    scan s = {.list = &list};
    bool good = true;
    if (directory != NULL) {
        good = scan_directory(&s, directory, FILES, false) &&
               scan_directory(&s, directory, CHECKPOINTS, false);
        if (!good) {
            pith_problem_set(problem, 500, NULL, NULL,
                             "the models directory %.200s cannot be read: %s", directory,
                             strerror(errno));
        }
        char *llama = pith_found_join(directory, "llama");
        if (llama == NULL) {
            s.no_memory = true;
        } else {
            scan_directory(&s, llama, CHECKPOINTS, false);
        }
        free(llama);
    }
    if (good && shipped != NULL) {
        scan_directory(&s, shipped, FILES, true);
    }
    if (good && s.no_memory) {
        good = pith_problem_set(problem, 503, NULL, NULL, "the server is out of memory");
    }
    if (!good) {
        pith_found_release(&list);
        return false;
    }
    if (list.n != 0) {
        qsort(list.items, list.n, sizeof *list.items, by_name);
    }
    *out = list;
    return true;
}
