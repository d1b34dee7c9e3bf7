/* Converted checkpoints in a cache directory: NAME-PATH-STAMP.pith, where PATH is a hash of the
 * checkpoint's path and STAMP a hash of the sizes and times of its files, of pith's version and of
 * the type. A checkpoint that changes is converted again under another name, and its older .pith
 * files are then removed; a model that is still open keeps its file. pith_convert publishes whole
 * files only, so two processes that convert the same checkpoint at once both end well. */
#include "convert/convert.h"

#include "base/file.h"
#include "base/gguf_look.h"
#include "base/memory.h"
#include "weights/pith_file.h"

#include <dirent.h>
#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    HASH_DIGITS = 16,
    MAX_NAME = 200, /* bytes of a name: all of a file's name must stay below 255 */
};

/* ---- Names ----------------------------------------------------------------------------------- */

/* digits [HASH_DIGITS + 1] */
static void hash_text(const char *text, char *digits) {
    unsigned char digest[crypto_generichash_BYTES_MIN];
    crypto_generichash(digest, sizeof digest, (const unsigned char *)text, strlen(text), NULL, 0);
    sodium_bin2hex(digits, HASH_DIGITS + 1, digest, HASH_DIGITS / 2);
}

static void add_facts(crypto_generichash_state *hash, const struct stat *facts) {
    char text[96];
    int n = snprintf(text, sizeof text, "%lld %lld.%09ld\n", (long long)facts->st_size,
                     (long long)facts->st_mtim.tv_sec, facts->st_mtim.tv_nsec);
    crypto_generichash_update(hash, (const unsigned char *)text, (unsigned long long)n);
}

/* Sizes and times of a file and of the parts that belong to it. */
static void stamp_files(const char *path, char *digits) {
    unsigned char digest[crypto_generichash_BYTES_MIN];
    crypto_generichash_state hash;
    struct stat facts;
    size_t n_parts = pith_gguf_n_parts(path);
    char *part = strdup(path);
    crypto_generichash_init(&hash, NULL, 0, sizeof digest);
    for (size_t i = 0; i < n_parts && part != NULL; i++) {
        if (n_parts > 1) {
            pith_gguf_set_part(part, i, n_parts);
        }
        if (stat(part, &facts) == 0) {
            add_facts(&hash, &facts);
        }
    }
    free(part);
    crypto_generichash_final(&hash, digest, sizeof digest);
    sodium_bin2hex(digits, HASH_DIGITS + 1, digest, HASH_DIGITS / 2);
}

/* "NAME-PATH-" to prefix [n]. */
static void make_prefix(const char *source, const char *name, char *prefix, size_t n) {
    char digits[HASH_DIGITS + 1];
    char *real = realpath(source, NULL);
    hash_text(real != NULL ? real : source, digits);
    free(real);
    snprintf(prefix, n, "%.*s-%s-", MAX_NAME, name, digits);
}

/* "STAMP.pith" to suffix [n]. */
static void make_suffix(const char *source, const char *stamp, pith_type type, char *suffix,
                        size_t n) {
    char digits[HASH_DIGITS + 1];
    char text[128];
    if (stamp == NULL) {
        stamp_files(source, digits);
        stamp = digits;
    }
    snprintf(text, sizeof text, "%s %s %d", stamp, PITH_VERSION, (int)type);
    hash_text(text, digits);
    snprintf(suffix, n, "%s.pith", digits);
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

/* Removes the .pith files of older states of the checkpoint. */
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

/* False when there is no such file, or a damaged one, which is removed: the user, who asked for the
 * checkpoint, need not know of it. */
static bool is_there(const char *path) {
    pith_file file;
    pith_error error;
    pith_model_file *model = NULL;
    if (pith_file_open(&file, path, &error) != PITH_OK) {
        return false;
    }
    pith_status status =
        pith_model_file_open_to_check(&model, &file, &pith_malloc_allocator, &error);
    pith_model_file_close(model);
    pith_file_close(&file);
    if (status == PITH_ERROR_FORMAT) {
        unlink(path);
    }
    return status != PITH_ERROR_FORMAT;
}

pith_status pith_convert_cached(const char *source, const pith_convert_cache *cache,
                                const pith_convert_options *options, char **path,
                                pith_error *error) {
    if (cache->directory == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s has to be converted, and there is no cache directory", source);
    }
    char prefix[MAX_NAME + HASH_DIGITS + 3];
    char suffix[HASH_DIGITS + 6];
    make_prefix(source, cache->name, prefix, sizeof prefix);
    make_suffix(source, cache->stamp, options->type, suffix, sizeof suffix);
    size_t n = strlen(cache->directory) + strlen(prefix) + strlen(suffix) + 2;
    char *file = malloc(n);
    if (file == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a path");
    }
    snprintf(file, n, "%s/%s%s", cache->directory, prefix, suffix);
    pith_status result = PITH_OK;
    if (!is_there(file)) {
        if (cache->begin != NULL) {
            cache->begin(cache->user, file);
        }
        result = make_directory(cache->directory, error);
        if (result == PITH_OK) {
            result = pith_convert(source, file, options, error);
        }
        if (result == PITH_OK) {
            remove_older(cache->directory, prefix, suffix);
        }
    }
    if (result != PITH_OK) {
        free(file);
        return result;
    }
    *path = file;
    return PITH_OK;
}
