/* Models given by name, and as GGUF files. */
#include "cli/find_model.h"

#include <stdlib.h>
#include <string.h>

#include "base/file_kind.h"
#include "cli/model_list.h"
#include "cli/places.h"
#include "convert/convert.h"

/* Reports the conversion, but nothing before its first weights: most errors in a file are found by
 * then. */
typedef struct watch {
    pith_cli *cli;
    const char *source;
    char *path; /* where it goes; owned, NULL when that has been said */
    pith_progress progress;
} watch;

static void on_begin(void *user, const char *path) {
    watch *w = user;
    w->path = strdup(path);
}

static bool on_progress(void *user, size_t done, size_t total) {
    watch *w = user;
    if (w->path != NULL) {
        pith_cli_message(w->cli, "%s: converting it once, to %s", w->source, w->path);
        free(w->path);
        w->path = NULL;
    }
    pith_progress_update(&w->progress, done, total);
    return !pith_interrupted();
}

/* The file's name without its directory and ".gguf", for the name in the cache; malloc'ed. */
static char *stem_of(const char *path) {
    const char *slash = strrchr(path, '/');
    const char *name = slash != NULL ? slash + 1 : path;
    size_t n = strlen(name);
    return strndup(name, n > 5 && strcmp(name + n - 5, ".gguf") == 0 ? n - 5 : n);
}

static pith_status convert(pith_cli *cli, const char *source, const char *directory,
                           size_t n_threads, char **path, pith_error *error) {
    watch w = {.cli = cli, .source = source};
    char *stem = stem_of(source);
    if (stem == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a path");
    }
    const pith_convert_cache cache = {
        .directory = directory,
        .name = stem,
        .begin = on_begin,
        .user = &w,
    };
    const pith_convert_options options = {
        .type = PITH_N_TYPES,
        .head_type = PITH_N_TYPES,
        .n_threads = n_threads,
        .log = {.fn = pith_cli_log, .user = cli},
        .progress = on_progress,
        .progress_user = &w,
    };
    pith_progress_begin(&w.progress, cli, "weights");
    pith_status status = pith_convert_cached(source, &cache, &options, path, error);
    pith_progress_end(&w.progress);
    free(w.path);
    free(stem);
    if (status == PITH_ERROR_ARGUMENT) {
        return pith_fail(
            error, status,
            "%s: its weights are not quantised; 'pith convert %s OUT.pith --type int8' "
            "(or f32, f16, bf16, int4) makes a model of them",
            source, source);
    }
    return status;
}

/* By way of the cache; `source` is a GGUF file. */
static pith_status convert_once(pith_cli *cli, const char *source, size_t n_threads, char **path,
                                pith_error *error) {
    pith_bytes cache;
    pith_bytes_init(&cache, &pith_malloc_allocator);
    pith_status status = PITH_OK;
    if (!pith_places_cache(&cache)) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "no memory for a path");
    } else {
        status = convert(cli, source, cache.size > 0 ? cache.data : NULL, n_threads, path, error);
    }
    pith_bytes_release(&cache);
    return status;
}

pith_status pith_cli_find_path(const char *operand, char **path, pith_error *error) {
    pith_status status = pith_model_list_find(operand, path, error);
    if (status == PITH_OK && *path == NULL) {
        *path = strdup(operand);
        status =
            *path != NULL ? PITH_OK : pith_fail(error, PITH_ERROR_MEMORY, "no memory for a path");
    }
    return status;
}

pith_status pith_cli_find_model(pith_cli *cli, const char *operand, size_t n_threads, bool no_cache,
                                char **path, pith_error *error) {
    char *found = NULL;
    pith_status status = pith_cli_find_path(operand, &found, error);
    if (status != PITH_OK || pith_file_kind_at(found) != PITH_FILE_GGUF) {
        *path = found;
        return status;
    }
    if (no_cache) {
        status = pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "%s: is a GGUF file, which has to be converted first; without the "
                           "cache, by 'pith convert %s OUT.pith'",
                           operand, found);
    } else {
        status = convert_once(cli, found, n_threads, path, error);
    }
    free(found);
    return status;
}
