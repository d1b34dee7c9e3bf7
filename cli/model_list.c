/* Walking through the places that models are in. */
#include "cli/model_list.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/gguf_look.h"
#include "base/memory.h"
#include "base/text.h"
#include "cli/places.h"

enum { HASHES = 34, MAX_COMMIT = 128 }; /* "-" and 16 digits, twice */

typedef struct scan {
    pith_model_list list;
    bool no_memory;
} scan;

/* ---- Paths ----------------------------------------------------------------------------------- */

static char *join(const char *directory, const char *name) {
    char *out = NULL;
    return asprintf(&out, "%s/%s", directory, name) < 0 ? NULL : out;
}

static bool is_directory(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

static bool has_file(const char *directory, const char *name) {
    struct stat facts;
    char *path = join(directory, name);
    bool found = path != NULL && stat(path, &facts) == 0 && S_ISREG(facts.st_mode);
    free(path);
    return found;
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* Calls `visit` with the entries of a directory, by name. */
static void each_entry(scan *s, const char *directory, const char *prefix,
                       void (*visit)(scan *s, const char *directory, const char *prefix,
                                     const char *name)) {
    struct dirent **names = NULL;
    int n = scandir(directory, &names, is_visible, alphasort);
    for (int i = 0; i < n; i++) {
        visit(s, directory, prefix, names[i]->d_name);
        free(names[i]);
    }
    free(names);
}

/* ---- The list -------------------------------------------------------------------------------- */

/* Takes ownership of both texts; NULL means that its allocation failed. */
static void add(scan *s, char *name, char *path, size_t bytes) {
    pith_model_list *list = &s->list;
    if (name != NULL && path != NULL && list->n == list->capacity) {
        size_t more = 2 * list->capacity + 16;
        pith_listed_model *items = reallocarray(list->items, more, sizeof *items);
        s->no_memory = s->no_memory || items == NULL;
        list->items = items != NULL ? items : list->items;
        list->capacity = items != NULL ? more : list->capacity;
    }
    if (name == NULL || path == NULL || list->n == list->capacity) {
        s->no_memory = true;
        free(name);
        free(path);
        return;
    }
    list->items[list->n++] = (pith_listed_model){name, path, bytes};
}

static size_t file_bytes(const char *directory, const char *name) {
    struct stat facts;
    char *path = join(directory, name);
    size_t bytes = path != NULL && stat(path, &facts) == 0 && S_ISREG(facts.st_mode)
                       ? (size_t)facts.st_size
                       : 0;
    free(path);
    return bytes;
}

/* Bytes of the files in a directory whose names begin and end so, those that are not hidden. */
static size_t weight_bytes(const char *directory, const char *beginning, const char *ending) {
    size_t sum = 0;
    DIR *listing = opendir(directory);
    for (const struct dirent *entry; listing != NULL && (entry = readdir(listing)) != NULL;) {
        const char *name = entry->d_name;
        bool counts = name[0] != '.' && strncmp(name, beginning, strlen(beginning)) == 0 &&
                      pith_ends_with(name, ending);
        sum += counts ? file_bytes(directory, name) : 0;
    }
    if (listing != NULL) {
        closedir(listing);
    }
    return sum;
}

/* Bytes of a checkpoint's weights, which Mistral's repositories have in two layouts; 0: it is no
 * checkpoint. */
static size_t checkpoint_bytes(const char *directory) {
    size_t all = weight_bytes(directory, "", ".safetensors");
    size_t own = weight_bytes(directory, "consolidated", ".safetensors");
    bool described = has_file(directory, "config.json") || has_file(directory, "params.json");
    return !described ? 0 : all > own ? all - own : own;
}

static size_t gguf_bytes(const char *directory, const char *name) {
    size_t n = strlen(name);
    bool split = n > 20 && strncmp(name + n - 20, "-00001-of-", 10) == 0;
    return split ? weight_bytes(directory, "", name + n - 14) : file_bytes(directory, name);
}

/* ---- Places ---------------------------------------------------------------------------------- */

/* A GGUF file, under its name with a prefix. */
static void visit_gguf(scan *s, const char *directory, const char *prefix, const char *name) {
    if (pith_ends_with(name, ".gguf") && !pith_gguf_is_later_part(name) &&
        has_file(directory, name)) {
        add(s, join(prefix, name), join(directory, name), gguf_bytes(directory, name));
    }
}

static void visit_own(scan *s, const char *directory, const char *prefix, const char *name) {
    char *path = join(directory, name);
    (void)prefix;
    if (path == NULL) {
        s->no_memory = true;
    } else if (is_directory(path) && checkpoint_bytes(path) > 0) {
        add(s, strdup(name), strdup(path), checkpoint_bytes(path));
    } else if (pith_ends_with(name, ".pith") && has_file(directory, name)) {
        add(s, strndup(name, strlen(name) - 5), strdup(path), file_bytes(directory, name));
    } else if (pith_ends_with(name, ".gguf") && !pith_gguf_is_later_part(name) &&
               has_file(directory, name)) {
        add(s, strdup(name), strdup(path), gguf_bytes(directory, name));
    }
    free(path);
}

/* A file of our cache: the name before the two hashes. */
static void visit_cached(scan *s, const char *directory, const char *prefix, const char *name) {
    size_t n = strlen(name);
    (void)prefix;
    if (pith_ends_with(name, ".pith") && has_file(directory, name)) {
        size_t kept = n > HASHES + 5 && name[n - 5 - HASHES] == '-' ? n - 5 - HASHES : n - 5;
        add(s, strndup(name, kept), join(directory, name), file_bytes(directory, name));
    }
}

/* The directory of a repository's snapshot: the commit that refs/main holds, else the last by name;
 * malloc'ed, NULL when there is none. */
static char *snapshot_of(const char *repository) {
    char commit[MAX_COMMIT] = "";
    char *ref = join(repository, "refs/main");
    char *snapshots = join(repository, "snapshots");
    FILE *file = ref != NULL ? fopen(ref, "re") : NULL;
    char *path = NULL;
    if (file != NULL) {
        commit[fread(commit, 1, sizeof commit - 1, file)] = '\0';
        fclose(file);
    }
    commit[strcspn(commit, "/\r\n")] = '\0';
    if (snapshots != NULL && commit[0] != '\0') {
        path = join(snapshots, commit);
    }
    if (snapshots != NULL && (path == NULL || !is_directory(path))) {
        struct dirent **names = NULL;
        int n = scandir(snapshots, &names, is_visible, alphasort);
        free(path);
        path = n > 0 ? join(snapshots, names[n - 1]->d_name) : NULL;
        for (int i = 0; i < n; i++) {
            free(names[i]);
        }
        free(names);
    }
    free(ref);
    free(snapshots);
    return path;
}

/* models--OWNER--NAME: a checkpoint, GGUF files, or both. */
static void visit_hub(scan *s, const char *directory, const char *prefix, const char *name) {
    static const char mark[] = "models--";
    (void)prefix;
    if (strncmp(name, mark, sizeof mark - 1) != 0) {
        return;
    }
    char *repository = join(directory, name);
    char *snapshot = repository != NULL ? snapshot_of(repository) : NULL;
    char *own = strdup(name + sizeof mark - 1);
    char *dashes = own != NULL ? strstr(own, "--") : NULL;
    if (dashes != NULL) {
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
    }
    if (repository == NULL || own == NULL) {
        s->no_memory = true;
    } else if (snapshot != NULL) {
        if (checkpoint_bytes(snapshot) > 0) {
            add(s, strdup(own), strdup(snapshot), checkpoint_bytes(snapshot));
        }
        each_entry(s, snapshot, own, visit_gguf);
    }
    free(own);
    free(snapshot);
    free(repository);
}

/* The cache of Hugging Face's tools, by their own variables. */
static bool find_hub(pith_bytes *path) {
    const char *cache = getenv("HF_HUB_CACHE");
    const char *home = getenv("HF_HOME");
    const char *user = getenv("HOME");
    const char *xdg = getenv("XDG_CACHE_HOME");
    if (cache != NULL && cache[0] != '\0') {
        return pith_bytes_append_text(path, cache);
    }
    if (home != NULL && home[0] != '\0') {
        return pith_bytes_append_text(path, home) && pith_bytes_append_text(path, "/hub");
    }
    if (xdg != NULL && xdg[0] == '/') {
        return pith_bytes_append_text(path, xdg) &&
               pith_bytes_append_text(path, "/huggingface/hub");
    }
    return user == NULL || (pith_bytes_append_text(path, user) &&
                            pith_bytes_append_text(path, "/.cache/huggingface/hub"));
}

pith_status pith_model_list_scan(pith_model_list *out, pith_error *error) {
    scan s = {.no_memory = false};
    const char *own = getenv("PITH_MODELS");
    pith_bytes hub, cache, shipped;
    pith_bytes_init(&hub, &pith_malloc_allocator);
    pith_bytes_init(&cache, &pith_malloc_allocator);
    pith_bytes_init(&shipped, &pith_malloc_allocator);
    s.no_memory = !find_hub(&hub) || !pith_places_cache(&cache) || !pith_places_models(&shipped);
    if (own != NULL && own[0] != '\0') {
        each_entry(&s, own, "", visit_own);
    }
    if (hub.size > 0) {
        each_entry(&s, hub.data, "", visit_hub);
    }
    if (cache.size > 0) {
        each_entry(&s, cache.data, "", visit_cached);
    }
    if (shipped.size > 0) {
        each_entry(&s, shipped.data, "", visit_own);
    }
    pith_bytes_release(&hub);
    pith_bytes_release(&cache);
    pith_bytes_release(&shipped);
    if (s.no_memory) {
        pith_model_list_free(&s.list);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the list of models");
    }
    *out = s.list;
    return PITH_OK;
}

void pith_model_list_free(pith_model_list *list) {
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].name);
        free(list->items[i].path);
    }
    free(list->items);
    *list = (pith_model_list){.n = 0};
}

/* ---- By name --------------------------------------------------------------------------------- */

static bool is_called(const char *full, const char *name) {
    const char *slash = strrchr(full, '/');
    const char *last = slash != NULL ? slash + 1 : full;
    size_t n = strlen(last);
    bool bare =
        pith_ends_with(last, ".gguf") && strlen(name) == n - 5 && strncmp(last, name, n - 5) == 0;
    return strcmp(full, name) == 0 || strcmp(last, name) == 0 || bare;
}

/* The first place with the whole name decides, so a file that is converted already takes precedence
 * over the GGUF file that it was made from. If the name is only a part of others, there must be
 * exactly one of them. */
static pith_status choose(const pith_model_list *list, const char *name, char **path,
                          pith_error *error) {
    const pith_listed_model *found = NULL;
    const pith_listed_model *other = NULL;
    bool whole = false;
    for (size_t i = 0; i < list->n && !whole; i++) {
        const pith_listed_model *m = &list->items[i];
        whole = strcmp(m->name, name) == 0;
        if (whole) {
            found = m;
            other = NULL;
        } else if (is_called(m->name, name)) {
            other = found != NULL ? m : other;
            found = found != NULL ? found : m;
        }
    }
    if (other != NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s: several models are called so: %s, %s; 'pith models' lists them", name,
                         found->name, other->name);
    }
    *path = found != NULL ? strdup(found->path) : NULL;
    return found == NULL || *path != NULL
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_MEMORY, "no memory for a path");
}

pith_status pith_model_list_find(const char *name, char **path, pith_error *error) {
    const char *slash = strrchr(name, '/');
    struct stat facts;
    *path = NULL;
    if (stat(name, &facts) == 0) {
        if (strncmp(slash != NULL ? slash + 1 : name, "models--", 8) == 0 && is_directory(name)) {
            *path = snapshot_of(name);
        }
        return PITH_OK;
    }
    pith_model_list list;
    pith_status status = pith_model_list_scan(&list, error);
    if (status == PITH_OK) {
        status = choose(&list, name, path, error);
        pith_model_list_free(&list);
    }
    return status;
}
