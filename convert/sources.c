/* Opening the files of a checkpoint directory. */
#include "convert/sources.h"

#include "base/bytes.h"
#include "base/file_kind.h"
#include "base/status.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* The source is a file, or within one. */
static pith_status explain_file(const char *path, const pith_allocator *allocator,
                                pith_error *error) {
    static const char belongs[] = "; the source is a Hugging Face model directory with config.json "
                                  "and safetensors files";
    pith_file file;
    pith_error ignored;
    pith_file_look look = {.kind = PITH_FILE_OTHER};
    if (pith_file_open(&file, path, &ignored) == PITH_OK) {
        look = pith_file_look_in(&file, allocator);
        pith_file_close(&file);
    }
    switch (look.kind) {
    case PITH_FILE_OTHER:
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: not a directory%s", path, belongs);
    case PITH_FILE_PITH:
        return pith_fail_kind(error, path, &look,
                              ", which is converted already; another type is made from the "
                              "original checkpoint");
    case PITH_FILE_SAFETENSORS:
    case PITH_FILE_JSON:
        return pith_fail_kind(error, path, &look,
                              ", one part of a checkpoint; give the directory it is in, with "
                              "config.json, all safetensors files and the tokenizer");
    case PITH_FILE_GGUF_ADAPTER:
        return pith_fail_kind(
            error, path, &look,
            "; merge the adapter it was made from into that model, and convert the "
            "result");
    default:
        return pith_fail_kind(error, path, &look, belongs);
    }
}

pith_status pith_sources_open(pith_sources *out, const char *directory,
                              const pith_allocator *allocator, pith_error *error) {
    char hub_name[PITH_HUB_NAME];
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR) && pith_hub_name(directory, hub_name)) {
        return pith_fail_hub_name(error, directory, hub_name);
    }
    if (fd < 0 && errno == ENOTDIR) {
        return explain_file(directory, allocator, error);
    }
    if (fd < 0) {
        return pith_fail_io(error, directory, "open", errno);
    }
    char *copy = pith_copy_text(allocator, directory, strlen(directory));
    if (copy == NULL) {
        close(fd);
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory", directory);
    }
    *out = (pith_sources){.allocator = allocator, .directory = copy, .directory_fd = fd};
    return PITH_OK;
}

/* "." for a bare name. */
pith_status pith_sources_open_beside(pith_sources *out, const char *path,
                                     const pith_allocator *allocator, pith_error *error) {
    const char *slash = strrchr(path, '/');
    const char *from = slash == NULL ? "." : path;
    size_t n = slash == NULL || slash == path ? 1 : (size_t)(slash - path);
    char *directory = pith_copy_text(allocator, from, n);
    if (directory == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory to open a file", path);
    }
    pith_status status = pith_sources_open(out, directory, allocator, error);
    pith_release(allocator, directory);
    return status;
}

void pith_sources_close(pith_sources *sources) {
    if (sources->allocator == NULL) {
        return;
    }
    for (size_t i = 0; i < sources->n; i++) {
        pith_file_close(&sources->files[i].file);
        pith_release(sources->allocator, sources->files[i].name);
        pith_release(sources->allocator, sources->files[i].path);
    }
    pith_release(sources->allocator, sources->files);
    pith_release(sources->allocator, sources->directory);
    close(sources->directory_fd);
    *sources = (pith_sources){0};
}

bool pith_sources_enter(pith_sources *sources, const char *inner) {
    size_t n = strlen(inner);
    while (n > 0 && inner[n - 1] == '/') {
        n--;
    }
    if (inner[0] == '/' || strstr(inner, "..") != NULL || n + 2 > sizeof sources->inner) {
        return false;
    }
    memcpy(sources->inner, inner, n);
    strcpy(sources->inner + n, n > 0 ? "/" : "");
    return true;
}

/* inner/name; NULL: out of memory. */
static char *inner_name(const pith_sources *sources, const char *name) {
    pith_bytes full;
    pith_bytes_init(&full, sources->allocator);
    if (pith_bytes_append_text(&full, sources->inner) && pith_bytes_append_text(&full, name)) {
        return full.data;
    }
    pith_bytes_release(&full);
    return NULL;
}

/* NULL: out of memory. */
static char *join_path(const pith_sources *sources, const char *name) {
    pith_bytes path;
    pith_bytes_init(&path, sources->allocator);
    if (pith_bytes_append_text(&path, sources->directory) && pith_bytes_append_text(&path, "/") &&
        pith_bytes_append_text(&path, name)) {
        return path.data; /* released by whoever asked, as any block of the allocator */
    }
    pith_bytes_release(&path);
    return NULL;
}

bool pith_sources_has(const pith_sources *sources, const char *name) {
    char full[PITH_SOURCES_MAX_INNER + 256];
    size_t n = strlen(name);
    if (n >= 256) {
        return true;
    }
    strcpy(full, sources->inner);
    strcat(full, name);
    /* Opening reports whatever else is wrong with it. */
    return faccessat(sources->directory_fd, full, F_OK, 0) == 0 || errno != ENOENT;
}

/* Takes ownership of `path`, also on failure; NULL means that its allocation failed. */
static pith_status add_file(pith_sources *sources, char *path, const char *name, size_t *index,
                            pith_error *error) {
    pith_source_file added = {.path = path};
    pith_status status = PITH_ERROR_MEMORY;
    if (path == NULL) {
        goto done;
    }
    if (sources->n == sources->capacity) {
        size_t capacity = sources->capacity * 2 + 8;
        void *files = pith_reallocate(sources->allocator, sources->files, capacity, sizeof added);
        if (files == NULL) {
            goto done;
        }
        sources->files = files;
        sources->capacity = capacity;
    }
    added.name = pith_copy_text(sources->allocator, name, strlen(name));
    if (added.name == NULL) {
        goto done;
    }
    status = pith_file_open(&added.file, path, error);
    if (status == PITH_OK) {
        *index = sources->n;
        sources->files[sources->n++] = added;
        return PITH_OK;
    }
done:
    if (status == PITH_ERROR_MEMORY) {
        pith_fail(error, status, "%s: no memory to open a file", sources->directory);
    }
    pith_release(sources->allocator, added.name);
    pith_release(sources->allocator, path);
    return status;
}

pith_status pith_sources_add(pith_sources *sources, const char *name, size_t *index,
                             pith_error *error) {
    char *full = inner_name(sources, name);
    if (full == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory to open a file",
                         sources->directory);
    }
    for (size_t i = 0; i < sources->n; i++) {
        if (sources->files[i].inside && strcmp(sources->files[i].name, full) == 0) {
            *index = i;
            pith_release(sources->allocator, full);
            return PITH_OK;
        }
    }
    pith_status status = add_file(sources, join_path(sources, full), full, index, error);
    pith_release(sources->allocator, full);
    if (status == PITH_OK) {
        sources->files[*index].inside = true;
    }
    return status;
}

pith_status pith_sources_add_path(pith_sources *sources, const char *path, size_t *index,
                                  pith_error *error) {
    const char *slash = strrchr(path, '/');
    return add_file(sources, pith_copy_text(sources->allocator, path, strlen(path)),
                    slash != NULL ? slash + 1 : path, index, error);
}

/* The files read as a whole are texts and tokenizers: any other kind that is recognised by its
 * first bytes is a mistake. Templates and lists of words may be empty. */
static pith_status check_kind(const pith_sources *sources, size_t index, const char *data,
                              pith_error *error) {
    const pith_file *file = &sources->files[index].file;
    const char *name = sources->files[index].name;
    size_t n = file->size < PITH_FILE_LOOK ? file->size : PITH_FILE_LOOK;
    const pith_file_look look = pith_file_look_at(data, n, file->size);
    switch (look.kind) {
    case PITH_FILE_OTHER:
    case PITH_FILE_TEXT: /* its reader says what is wrong with it */
    case PITH_FILE_JSON:
    case PITH_FILE_TIKTOKEN:
        return PITH_OK;
    case PITH_FILE_EMPTY:
        if (pith_ends_with(name, ".jinja") || pith_ends_with(name, ".txt")) {
            return PITH_OK;
        }
        break;
    default:
        break;
    }
    return pith_fail_kind(error, file->path, &look,
                          pith_ends_with(name, ".json") ? ", not a JSON text"
                                                        : ", not a tokenizer");
}

pith_status pith_sources_read(const pith_sources *sources, size_t index, size_t limit, char **text,
                              size_t *size, pith_error *error) {
    const pith_file *file = &sources->files[index].file;
    if (file->size > limit) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu bytes, more than the limit of %zu",
                         file->path, file->size, limit);
    }
    char *data = pith_allocate(sources->allocator, file->size + 1, 1);
    if (data == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for %zu bytes", file->path,
                         file->size);
    }
    pith_status status = pith_file_read(file, 0, data, file->size, error);
    if (status != PITH_OK) {
        pith_release(sources->allocator, data);
        return status;
    }
    status = check_kind(sources, index, data, error);
    if (status != PITH_OK) {
        pith_release(sources->allocator, data);
        return status;
    }
    data[file->size] = '\0';
    *text = data;
    *size = file->size;
    return PITH_OK;
}

pith_status pith_sources_read_optional(pith_sources *sources, const char *name, size_t limit,
                                       char **text, size_t *size, pith_error *error) {
    if (!pith_sources_has(sources, name)) {
        *text = NULL;
        *size = 0;
        return PITH_OK;
    }
    size_t index;
    pith_status status = pith_sources_add(sources, name, &index, error);
    return status == PITH_OK ? pith_sources_read(sources, index, limit, text, size, error) : status;
}
