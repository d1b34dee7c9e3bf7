/* Files and directories for pith index. */
#include "cli/index_run.h"

#include <errno.h>
#include <fts.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/utf8.h"

enum { BINARY_LOOK = 8192 }; /* bytes searched for a NUL, which texts do not have */

/* Where text [n] stops being valid UTF-8, or n. */
static size_t invalid_at(const char *text, size_t n) {
    const unsigned char *bytes = (const unsigned char *)text;
    for (size_t at = 0; at < n;) {
        int step = pith_utf8_scan(bytes + at, n - at);
        if (step <= 0) {
            return at;
        }
        at += (size_t)step;
    }
    return n;
}

/* Reports a file and forgets what the collection held of it. */
static pith_status refuse(pith_index *run, const char *path, const char *message,
                          pith_error *error) {
    bool removed;
    pith_cli_message(run->cli, "%s", message);
    run->n_refused++;
    return pith_store_remove(run->store, &run->collection, path, strlen(path), &removed, error);
}

static int64_t nanoseconds(const struct timespec *time) {
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

/* Opens a file that the walk has seen, and reads it with its size and time. What lies there now may
 * be something else: a link is not followed, a FIFO or device is refused without waiting. */
static pith_status read_document(const char *path, pith_store_document *document, char **text,
                                 pith_error *error) {
    pith_file file;
    struct stat facts;
    pith_status status = pith_file_open_no_links(&file, path, error);
    if (status != PITH_OK) {
        return status;
    }
    status = fstat(file.fd, &facts) == 0
                 ? pith_cli_read_file(&file, text, &document->n_bytes, error)
                 : pith_fail_io(error, path, "read its size", errno);
    pith_file_close(&file);
    if (status == PITH_OK) {
        document->text = *text;
        document->size = facts.st_size;
        document->mtime = nanoseconds(&facts.st_mtim);
    }
    return status;
}

/* `facts` are those of the walk, and only tell what need not be opened. */
static pith_status index_file(pith_index *run, const char *path, const struct stat *facts,
                              pith_error *error) {
    pith_store_state state;
    pith_error problem;
    bool removed;
    char *text = NULL;
    pith_store_document document = {.key = path, .n_key = strlen(path), .is_file = true};
    pith_status status =
        pith_store_find(run->store, &run->collection, path, document.n_key, &state, error);
    if (status != PITH_OK) {
        return status;
    }
    if (state.found && state.is_file && state.size == facts->st_size &&
        state.mtime == nanoseconds(&facts->st_mtim)) {
        run->n_unchanged++;
        return PITH_OK;
    }
    status = read_document(path, &document, &text, &problem);
    if (status == PITH_ERROR_STOPPED || status == PITH_ERROR_MEMORY) {
        return pith_fail(error, status, "%s", problem.message);
    }
    if (status != PITH_OK) {
        return refuse(run, path, problem.message, error);
    }
    size_t bad;
    if (memchr(text, 0, document.n_bytes < BINARY_LOOK ? document.n_bytes : BINARY_LOOK) != NULL) {
        run->n_binary++;
        status =
            pith_store_remove(run->store, &run->collection, path, document.n_key, &removed, error);
    } else if ((bad = invalid_at(text, document.n_bytes)) != document.n_bytes) {
        pith_fail(&problem, PITH_ERROR_TEXT, "%s: not valid UTF-8 at byte %zu", path, bad);
        status = refuse(run, path, problem.message, error);
    } else {
        status = pith_index_document(run, &document, error);
    }
    free(text);
    return status;
}

static int by_name(const FTSENT **a, const FTSENT **b) {
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

/* Looks at every file below `root`: adds up their bytes (`total`), or indexes them. */
static pith_status walk(pith_index *run, char *root, size_t *total, bool count_only,
                        pith_error *error) {
    char *roots[] = {root, NULL};
    FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
    pith_status status = PITH_OK;
    size_t done = 0;
    if (tree == NULL) {
        return pith_fail(error, PITH_ERROR_IO, "%s: %s", root, strerror(errno));
    }
    while (status == PITH_OK) {
        errno = 0;
        FTSENT *entry = fts_read(tree);
        if (entry == NULL && errno != 0) {
            status = pith_fail(error, PITH_ERROR_IO, "%s: %s", root, strerror(errno));
        }
        if (entry == NULL) {
            break;
        }
        if (pith_interrupted() || run->cli->output_error != 0) {
            status = pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
        } else if (entry->fts_level > FTS_ROOTLEVEL && entry->fts_name[0] == '.') {
            fts_set(tree, entry, FTS_SKIP);
        } else if (entry->fts_info == FTS_F && count_only) {
            *total += (size_t)entry->fts_statp->st_size;
        } else if (entry->fts_info == FTS_F && S_ISREG(entry->fts_statp->st_mode)) {
            status = index_file(run, entry->fts_path, entry->fts_statp, error);
            done += (size_t)entry->fts_statp->st_size;
            pith_progress_update(&run->progress, done, *total);
        } else if (!count_only && (entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR ||
                                   entry->fts_info == FTS_NS)) {
            pith_cli_message(run->cli, "%s: %s", entry->fts_path, strerror(entry->fts_errno));
            run->n_refused++;
        }
    }
    fts_close(tree);
    return status;
}

/* A file that cannot be looked at is not known to have vanished. */
static bool still_there(void *user, const char *key, size_t n_key) {
    struct stat facts;
    (void)user;
    (void)n_key;
    return lstat(key, &facts) == 0 ? S_ISREG(facts.st_mode) : errno != ENOENT && errno != ENOTDIR;
}

static pith_status index_path(pith_index *run, const char *path, pith_error *error) {
    size_t total = 0;
    size_t removed = 0;
    char *root = realpath(path, NULL);
    if (root == NULL) {
        return pith_fail(error, PITH_ERROR_IO, "%s: %s", path, strerror(errno));
    }
    pith_status status = PITH_OK;
    if (run->progress.shown) {
        status = walk(run, root, &total, true, error);
    }
    if (status == PITH_OK) {
        status = walk(run, root, &total, false, error);
    }
    if (status == PITH_OK) {
        status = pith_store_remove_files(run->store, &run->collection, root, still_there, NULL,
                                         &removed, error);
    }
    run->n_removed += removed;
    free(root);
    return status;
}

/* True when the walk of `root` comes to `path`: it lies below, and no part of it on the way is
 * hidden. Both are as realpath gives them. */
static bool is_walked(const char *path, const char *root) {
    size_t n = strlen(root);
    return strncmp(path, root, n) == 0 && path[n] == '/' && strstr(path + n, "/.") == NULL;
}

/* True when another of roots [n], NULL for those that do not exist, brings roots[i] with it. */
static bool is_covered(char *const *roots, size_t n, size_t i) {
    for (size_t j = 0; roots[i] != NULL && j < n; j++) {
        if (roots[j] != NULL && j != i &&
            ((j < i && strcmp(roots[i], roots[j]) == 0) || is_walked(roots[i], roots[j]))) {
            return true;
        }
    }
    return false;
}

pith_status pith_index_paths(pith_index *run, const pith_arguments *paths, pith_error *error) {
    pith_status status = PITH_OK;
    char **roots = calloc(paths->n, sizeof *roots);
    if (roots == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for %zu paths", paths->n);
    }
    for (size_t i = 0; i < paths->n; i++) {
        roots[i] = realpath(paths->items[i], NULL);
    }
    for (size_t i = 0; status == PITH_OK && i < paths->n; i++) {
        if (!is_covered(roots, paths->n, i)) {
            status = index_path(run, paths->items[i], error);
        }
    }
    for (size_t i = 0; i < paths->n; i++) {
        free(roots[i]);
    }
    free(roots);
    return status;
}
