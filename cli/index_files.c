/* Files and directories for pith index. */
#include "cli/index_run.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
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

/* Reports a file and removes its document from the collection. */
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

/* `facts` are those of the walk, and only show which files need not be opened. */
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

/* A walk over a directory, which adds up the files' bytes (count_only) or indexes them. */
typedef struct walk {
    pith_index *run;
    bool count_only;
    size_t *total; /* bytes of all files */
    size_t done;   /* bytes of those that were looked at */
} walk;

static pith_status visit(walk *w, const char *path, pith_error *error);

/* Not alphasort, which asks the locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Hidden files stay out, and the directory and its parent with them. */
static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

/* What cannot be looked at is reported and left out, unless memory is short. */
static pith_status report(walk *w, const char *path, int code, pith_error *error) {
    if (code == ENOMEM) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", path);
    }
    if (!w->count_only) {
        pith_cli_message(w->run->cli, "%s: %s", path, strerror(code));
        w->run->n_refused++;
    }
    return PITH_OK;
}

/* All files below a directory in the order of their names. glibc's fts would do, but its fts_open
 * uses the root's entry without a check that there was memory for it. */
static pith_status visit_directory(walk *w, const char *path, pith_error *error) {
    struct dirent **entries = NULL;
    int n = scandir(path, &entries, is_visible, by_name);
    if (n < 0) {
        return report(w, path, errno, error);
    }
    pith_status status = PITH_OK;
    for (int i = 0; i < n; i++) {
        char *inner = NULL;
        if (status == PITH_OK &&
            asprintf(&inner, "%s/%s", strcmp(path, "/") == 0 ? "" : path, entries[i]->d_name) < 0) {
            inner = NULL;
            status = report(w, path, ENOMEM, error);
        }
        if (status == PITH_OK) {
            status = visit(w, inner, error);
        }
        free(inner);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static pith_status visit(walk *w, const char *path, pith_error *error) {
    struct stat facts;
    if (pith_interrupted() || w->run->cli->output_error != 0) {
        return pith_fail(error, PITH_ERROR_STOPPED, "interrupted");
    }
    if (lstat(path, &facts) != 0) {
        return report(w, path, errno, error);
    }
    if (S_ISDIR(facts.st_mode)) {
        return visit_directory(w, path, error);
    }
    if (!S_ISREG(facts.st_mode)) {
        return PITH_OK;
    }
    if (w->count_only) {
        *w->total += (size_t)facts.st_size;
        return PITH_OK;
    }
    pith_status status = index_file(w->run, path, &facts, error);
    w->done += (size_t)facts.st_size;
    pith_progress_update(&w->run->progress, w->done, *w->total);
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
        status = visit(&(walk){.run = run, .count_only = true, .total = &total}, root, error);
    }
    if (status == PITH_OK) {
        status = visit(&(walk){.run = run, .total = &total}, root, error);
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

/* True when roots[i] is covered by another of roots [n], which are NULL where they do not exist. */
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
