/* Converted checkpoints in the cache directory: NAME-PATH-STAMP.pith, where PATH is a hash of the
 * checkpoint's path and STAMP one of its files' names, sizes and times, of pith's version and of
 * the types. A checkpoint that changes is converted again, under another name, and its older files
 * are removed then; a model that is still open keeps its file. pith_convert publishes whole files
 * only, so two processes that convert the same checkpoint at once both end well.
 *
 * Decoders become int4, which halves the time of a token against int8; encoders int8, whose
 * vectors are close to the checkpoint's (docs/scheduling.md has the figures). */
#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "convert/convert.h"
#include "server/models_inside.h"

enum { HASH_DIGITS = 16 };

static pith_type type_of(const pith_found *found) {
    return found->kind == PITH_MODEL_ENCODER ? PITH_TYPE_INT8 : PITH_TYPE_INT4;
}

/* ---- Names ----------------------------------------------------------------------------------- */

/* digits [HASH_DIGITS + 1] */
static void hash_text(const char *text, char *digits) {
    unsigned char digest[crypto_generichash_BYTES_MIN];
    crypto_generichash(digest, sizeof digest, (const unsigned char *)text, strlen(text), NULL, 0);
    sodium_bin2hex(digits, HASH_DIGITS + 1, digest, HASH_DIGITS / 2);
}

/* "NAME-PATH-" to prefix [n]. */
static void cache_prefix(const pith_found *found, char *prefix, size_t n) {
    char digits[HASH_DIGITS + 1];
    char *real = realpath(found->path, NULL);
    hash_text(real != NULL ? real : found->path, digits);
    free(real);
    snprintf(prefix, n, "%s-%s-", found->name, digits);
}

/* "STAMP.pith" to name [n]. */
static void cache_suffix(const pith_found *found, char *name, size_t n) {
    char digits[HASH_DIGITS + 1];
    char text[128];
    snprintf(text, sizeof text, "%s %s %d", found->stamp, PITH_VERSION, (int)type_of(found));
    hash_text(text, digits);
    snprintf(name, n, "%s.pith", digits);
}

/* ---- The directory --------------------------------------------------------------------------- */

/* Makes the directory and those above it. */
static pith_status make_directory(const char *path, pith_error *error) {
    char *copy = strdup(path);
    if (copy == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a path");
    }
    int failed = 0;
    for (char *slash = strchr(copy + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(copy, 0755);
        *slash = '/';
    }
    if (mkdir(copy, 0700) != 0 && errno != EEXIST) {
        failed = errno;
    }
    free(copy);
    return failed == 0 ? PITH_OK : pith_fail_io(error, path, "create", failed);
}

/* Removes what older states of the checkpoint were converted to. */
static void remove_older(const char *cache, const char *prefix, const char *suffix) {
    DIR *directory = opendir(cache);
    if (directory == NULL) {
        return;
    }
    size_t n = strlen(prefix);
    for (struct dirent *entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
        const char *name = entry->d_name;
        if (strncmp(name, prefix, n) == 0 && strlen(name) == n + strlen(suffix) &&
            strspn(name + n, "0123456789abcdef") == HASH_DIGITS && strcmp(name + n, suffix) != 0) {
            unlinkat(dirfd(directory), name, 0);
        }
    }
    closedir(directory);
}

/* ---- Conversion ------------------------------------------------------------------------------ */

typedef struct progress {
    const pith_found *found;
    pith_server_log *log;
    bool (*go_on)(void *user);
    void *user;
    size_t percent; /* logged last */
} progress;

static bool report_progress(void *user, size_t done, size_t total) {
    progress *p = user;
    size_t percent = total == 0 ? 100 : (size_t)((double)done / (double)total * 100);
    if (percent >= p->percent + 10 && percent < 100) {
        p->percent = percent / 10 * 10;
        pith_server_log_write(p->log, PITH_LOG_WANTED_INFO, "model %s: %zu %% converted",
                              p->found->name, p->percent);
    }
    return p->go_on(p->user);
}

static void log_message(void *user, pith_log_level level, const char *message) {
    const progress *p = user;
    pith_server_log_write(p->log,
                          level == PITH_LOG_WARNING ? PITH_LOG_WANTED_WARNING
                                                    : PITH_LOG_WANTED_DEBUG,
                          "model %s: %s", p->found->name, message);
}

static pith_status convert(const pith_found *found, const char *path, size_t n_threads, progress *p,
                           pith_error *error) {
    pith_convert_options options = {
        .type = type_of(found),
        .head_type = PITH_N_TYPES,
        .n_threads = n_threads,
        .log = {log_message, p},
        .progress = report_progress,
        .progress_user = p,
    };
    pith_server_log_write(p->log, PITH_LOG_WANTED_INFO, "model %s: converting %s", found->name,
                          found->path);
    return pith_convert(found->path, path, &options, error);
}

pith_status pith_models_convert(const pith_found *found, const char *cache, size_t n_threads,
                                pith_server_log *log, bool (*go_on)(void *user), void *user,
                                char **path, pith_error *error) {
    if (cache == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s has to be converted, and there is no cache directory", found->path);
    }
    char prefix[PITH_MODEL_NAME + HASH_DIGITS + 3];
    char suffix[HASH_DIGITS + 6];
    char name[sizeof prefix + sizeof suffix];
    struct stat status;
    cache_prefix(found, prefix, sizeof prefix);
    cache_suffix(found, suffix, sizeof suffix);
    snprintf(name, sizeof name, "%s%s", prefix, suffix);
    char *file = pith_found_join(cache, name);
    if (file == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a path");
    }
    pith_status result = PITH_OK;
    if (stat(file, &status) != 0) {
        progress p = {.found = found, .log = log, .go_on = go_on, .user = user};
        result = make_directory(cache, error);
        if (result == PITH_OK) {
            result = convert(found, file, n_threads, &p, error);
        }
        if (result == PITH_OK) {
            remove_older(cache, prefix, suffix);
        }
    }
    if (result != PITH_OK) {
        free(file);
        return result;
    }
    *path = file;
    return PITH_OK;
}
