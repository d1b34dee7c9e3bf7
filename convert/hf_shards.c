/* Finding tensors in a checkpoint of one or many safetensors files. */
#include "convert/hf_shards.h"

#include "convert/hf_directory.h"
#include "families/hf_json.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Names of the only file, and of the index. */
typedef struct file_names {
    char single[40], index[40];
} file_names;

static file_names names_of(const char *stem) {
    file_names names;
    snprintf(names.single, sizeof names.single, "%.16s.safetensors", stem);
    snprintf(names.index, sizeof names.index, "%.16s.safetensors.index.json", stem);
    return names;
}

/* ---- Index ----------------------------------------------------------------------------------- */

static bool is_plain_name(const char *name) {
    size_t n = strlen(name);
    return n > 0 && n <= 255 && strchr(name, '/') == NULL && strcmp(name, ".") != 0 &&
           strstr(name, "..") == NULL;
}

static pith_status add_shard(pith_hf_index *index, const char *name, const char *where,
                             pith_error *error) {
    for (size_t i = index->n_shards; i-- > 0;) { /* most often the last one */
        if (strcmp(index->shards[i], name) == 0) {
            return PITH_OK;
        }
    }
    if (!is_plain_name(name)) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: weight_map: \"%.200s\" is no file name in the same directory", where,
                         name);
    }
    if (index->n_shards == PITH_HF_MAX_SHARDS) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: weight_map: more than %d shards", where,
                         PITH_HF_MAX_SHARDS);
    }
    index->shards[index->n_shards++] = name;
    return PITH_OK;
}

pith_status pith_hf_index_parse(pith_hf_index *out, char *text, size_t size, const char *where,
                                const pith_allocator *allocator, pith_error *error) {
    pith_json root;
    pith_status status = pith_hf_json_object(&root, text, size, where, allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_hf_index index = {.weight_map = pith_json_get(root, "weight_map")};
    if (!pith_json_is(index.weight_map, PITH_JSON_OBJECT) ||
        pith_json_size(index.weight_map) == 0) {
        return pith_hf_json_fail(where, "weight_map", "an object of file names", index.weight_map,
                                 error);
    }
    pith_json_walk walk = pith_json_begin(index.weight_map);
    while (pith_json_next(&walk)) {
        const char *shard = pith_hf_json_text(walk.value);
        status = shard != NULL
                     ? add_shard(&index, shard, where, error)
                     : pith_hf_json_fail(where, walk.key, "a file name", walk.value, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    *out = index;
    return PITH_OK;
}

/* ---- Shards ---------------------------------------------------------------------------------- */

static pith_status add_file(pith_hf_shards *shards, pith_sources *sources, const char *name,
                            pith_error *error) {
    struct pith_hf_shard *shard = &shards->shards[shards->n];
    pith_status status = pith_sources_add(sources, name, &shard->source, error);
    if (status == PITH_OK) {
        status = pith_safetensors_read(&shard->header, &sources->files[shard->source].file,
                                       shards->allocator, error);
    }
    shards->n += status == PITH_OK;
    return status;
}

/* Every tensor of the index is in the shard it names. */
static pith_status check_index(const pith_hf_shards *shards, const pith_hf_index *index,
                               const char *where, pith_error *error) {
    pith_json_walk walk = pith_json_begin(index->weight_map);
    while (pith_json_next(&walk)) {
        size_t i = 0;
        while (strcmp(index->shards[i], pith_json_text(walk.value)) != 0) {
            i++;
        }
        if (pith_safetensors_find(shards->shards[i].header, walk.key) == NULL) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s/%s: tensor %.150s is not in %.150s as the index says",
                             shards->sources->directory, where, walk.key, index->shards[i]);
        }
    }
    return PITH_OK;
}

/* No tensor is in two shards. */
static pith_status check_duplicates(const pith_hf_shards *shards, pith_error *error) {
    for (size_t i = 1; i < shards->n; i++) {
        const pith_safetensors *header = shards->shards[i].header;
        for (size_t t = 0; t < pith_safetensors_count(header); t++) {
            const char *name = pith_safetensors_at(header, t)->name;
            for (size_t j = 0; j < i; j++) {
                if (pith_safetensors_find(shards->shards[j].header, name) != NULL) {
                    const pith_source_file *files = shards->sources->files;
                    return pith_fail(error, PITH_ERROR_FORMAT,
                                     "%s: tensor %.150s is both in %.100s and in %.100s",
                                     shards->sources->directory, name,
                                     files[shards->shards[j].source].name,
                                     files[shards->shards[i].source].name);
                }
            }
        }
    }
    return PITH_OK;
}

/* ---- Shards by their names ---- */

/* PREFIX-00001-of-00003.safetensors. */
typedef struct shard_set {
    char prefix[128];
    size_t n;     /* shards that the names speak of; 0: no such file was found */
    bool several; /* sets of shards, of which none is called as the stem */
} shard_set;

static bool read_digits(const char *text, size_t *out) {
    *out = 0;
    for (size_t i = 0; i < 5; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        *out = *out * 10 + (size_t)(text[i] - '0');
    }
    return true;
}

/* Mistral's and PEFT's files are of other layouts than Hugging Face's. */
static bool has_layout(const char *name, const char *stem) {
    bool mistral = strncmp(name, PITH_MISTRAL_STEM, sizeof PITH_MISTRAL_STEM - 1) == 0;
    return mistral == (strcmp(stem, PITH_MISTRAL_STEM) == 0) && strncmp(name, "adapter", 7) != 0;
}

static bool parse_shard_name(const char *name, const char *stem, shard_set *out) {
    static const char ending[] = "-00000-of-00000.safetensors";
    size_t n = strlen(name);
    size_t m = sizeof ending - 1;
    size_t shard, total;
    if (n <= m || n - m >= sizeof out->prefix || strcmp(name + n - 12, ".safetensors") != 0) {
        return false;
    }
    const char *at = name + n - m;
    if (at[0] != '-' || !read_digits(at + 1, &shard) || memcmp(at + 6, "-of-", 4) != 0 ||
        !read_digits(at + 10, &total) || total == 0 || shard == 0 || shard > total ||
        !has_layout(name, stem)) {
        return false;
    }
    *out = (shard_set){.n = total};
    memcpy(out->prefix, name, n - m);
    return true;
}

static void choose_set(shard_set *chosen, const shard_set *found, const char *stem) {
    bool same = strcmp(chosen->prefix, found->prefix) == 0 && chosen->n == found->n;
    bool model = strcmp(found->prefix, stem) == 0;
    bool had_model = strcmp(chosen->prefix, stem) == 0;
    if (chosen->n == 0 || (model && !had_model)) {
        *chosen = *found;
    } else if (!same && (model || !had_model)) {
        chosen->several = true;
    }
}

static shard_set find_shards(const pith_sources *sources, const char *stem) {
    shard_set chosen = {.n = 0};
    char path[PITH_SOURCES_MAX_INNER + 3];
    snprintf(path, sizeof path, "./%s", sources->inner);
    int fd = openat(sources->directory_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *directory = fd >= 0 ? fdopendir(fd) : NULL;
    if (directory == NULL && fd >= 0) {
        close(fd);
    }
    for (const struct dirent *entry; directory != NULL && (entry = readdir(directory)) != NULL;) {
        shard_set found;
        if (parse_shard_name(entry->d_name, stem, &found)) {
            choose_set(&chosen, &found, stem);
        }
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return chosen;
}

bool pith_hf_shards_are_there(const pith_sources *sources, const char *stem) {
    const file_names names = names_of(stem);
    return pith_sources_has(sources, names.single) || pith_sources_has(sources, names.index) ||
           find_shards(sources, stem).n != 0;
}

static pith_status open_by_names(pith_hf_shards *shards, pith_sources *sources,
                                 const shard_set *set, const char *index_name, pith_error *error) {
    if (set->several) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: no %s, and there are several sets of shards; without the index it is "
                         "not known which of them is the model: download it too",
                         sources->directory, index_name);
    }
    if (set->n > PITH_HF_MAX_SHARDS) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu shards, more than the limit of %d",
                         sources->directory, set->n, PITH_HF_MAX_SHARDS);
    }
    pith_status status = PITH_OK;
    for (size_t i = 1; i <= set->n && status == PITH_OK; i++) {
        char name[192];
        snprintf(name, sizeof name, "%s-%05zu-of-%05zu.safetensors", set->prefix, i, set->n);
        if (!pith_sources_has(sources, name)) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: shard %s is missing: the download is not complete",
                             sources->directory, name);
        }
        status = add_file(shards, sources, name, error);
    }
    return status == PITH_OK ? check_duplicates(shards, error) : status;
}

static pith_status add_indexed(pith_hf_shards *shards, pith_sources *sources, const char *name,
                               const char *index_name, pith_error *error) {
    if (!pith_sources_has(sources, name)) {
        return pith_fail(error, PITH_ERROR_IO,
                         "%s: shard %s of %s is missing: the download is not complete",
                         sources->directory, name, index_name);
    }
    return add_file(shards, sources, name, error);
}

static pith_status open_indexed(pith_hf_shards *shards, pith_sources *sources,
                                const char *index_name, pith_error *error) {
    char *text = NULL;
    size_t size, place;
    pith_hf_index index = {0};
    pith_status status = pith_sources_add(sources, index_name, &place, error);
    if (status == PITH_OK) {
        status = pith_sources_read(sources, place, PITH_HF_MAX_INDEX, &text, &size, error);
    }
    if (status == PITH_OK) {
        status = pith_hf_index_parse(&index, text, size, index_name, sources->allocator, error);
    }
    for (size_t i = 0; i < index.n_shards && status == PITH_OK; i++) {
        status = add_indexed(shards, sources, index.shards[i], index_name, error);
    }
    if (status == PITH_OK) {
        status = check_index(shards, &index, index_name, error);
    }
    pith_release(sources->allocator, text);
    return status == PITH_OK ? check_duplicates(shards, error) : status;
}

pith_status pith_hf_shards_open(pith_hf_shards *out, pith_sources *sources, const char *stem,
                                pith_error *error) {
    const file_names names = names_of(stem);
    pith_hf_shards shards = {.allocator = sources->allocator, .sources = sources};
    shards.shards = pith_allocate(sources->allocator, PITH_HF_MAX_SHARDS, sizeof *shards.shards);
    pith_status status;
    shard_set set = {.n = 0};
    if (shards.shards == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory", sources->directory);
    } else if (pith_sources_has(sources, names.single)) {
        status = add_file(&shards, sources, names.single, error);
    } else if (pith_sources_has(sources, names.index)) {
        status = open_indexed(&shards, sources, names.index, error);
    } else if ((set = find_shards(sources, stem)).n != 0) {
        status = open_by_names(&shards, sources, &set, names.index, error);
    } else {
        status = pith_hf_explain_directory(sources, names.single, error);
    }
    if (status != PITH_OK) {
        pith_hf_shards_close(&shards);
        return status;
    }
    *out = shards;
    return PITH_OK;
}

void pith_hf_shards_close(pith_hf_shards *shards) {
    for (size_t i = 0; i < shards->n; i++) {
        pith_safetensors_free(shards->shards[i].header);
    }
    if (shards->shards != NULL) {
        pith_release(shards->allocator, shards->shards);
    }
    *shards = (pith_hf_shards){0};
}

bool pith_hf_shards_find(const pith_hf_shards *shards, const char *name, pith_hf_tensor *out) {
    for (size_t i = 0; i < shards->n; i++) {
        const pith_tensor *tensor = pith_safetensors_find(shards->shards[i].header, name);
        if (tensor != NULL) {
            out->file = &shards->sources->files[shards->shards[i].source].file;
            out->tensor = tensor;
            return true;
        }
    }
    return false;
}
