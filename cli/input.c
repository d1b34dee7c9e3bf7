/* Reading texts and lines, and checking output paths before any work is done. */
#include "cli/cli.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_TEXT = 256 << 20 };

static pith_status read_failed(const char *name, pith_error *error) {
    if (errno == EINTR && pith_interrupted()) {
        return pith_fail(error, PITH_ERROR_STOPPED, "%s: interrupted", name);
    }
    return pith_fail(error, PITH_ERROR_IO, "%s: %s", name, strerror(errno));
}

/* Reads to the end of `fd`; *text grows by realloc. */
static pith_status read_to_end(int fd, const char *name, char **text, size_t *n_bytes,
                               pith_error *error) {
    size_t capacity = 0;
    for (;;) {
        if (*n_bytes + 1 >= capacity) {
            capacity = capacity == 0 ? 1 << 16 : 2 * capacity;
            char *grown = realloc(*text, capacity);
            if (grown == NULL) {
                return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", name);
            }
            *text = grown;
        }
        ssize_t n = read(fd, *text + *n_bytes, capacity - 1 - *n_bytes);
        if (n < 0 && errno == EINTR && !pith_interrupted()) {
            continue;
        }
        if (n < 0) {
            return read_failed(name, error);
        }
        if (n == 0) {
            (*text)[*n_bytes] = 0;
            return PITH_OK;
        }
        *n_bytes += (size_t)n;
        if (*n_bytes > MAX_TEXT) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s: more than the limit of %d bytes", name,
                             MAX_TEXT);
        }
    }
}

pith_status pith_cli_read(const char *path, char **text, size_t *n_bytes, pith_error *error) {
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return read_failed(name, error);
    }
    char *data = NULL;
    size_t n = 0;
    pith_status status = read_to_end(fd, name, &data, &n, error);
    if (!standard) {
        close(fd);
    }
    if (status != PITH_OK) {
        free(data);
        return status;
    }
    *text = data;
    *n_bytes = n;
    return PITH_OK;
}

pith_status pith_cli_read_line(char **line, size_t *capacity, size_t *n_bytes, bool *end,
                               pith_error *error) {
    errno = 0;
    ssize_t n = getline(line, capacity, stdin);
    if (n < 0) {
        if (ferror(stdin) != 0 || !feof(stdin)) {
            return read_failed("standard input", error);
        }
        *end = true;
        return PITH_OK;
    }
    if (n > 0 && (*line)[n - 1] == '\n') {
        (*line)[--n] = 0;
    }
    *n_bytes = (size_t)n;
    *end = false;
    return PITH_OK;
}

static bool same_file(const struct stat *a, const char *path) {
    struct stat b;
    return stat(path, &b) == 0 && a->st_dev == b.st_dev && a->st_ino == b.st_ino;
}

/* Whether a file directly in directory `path` is `file`; false when `path` is no directory. */
static bool directory_has(const char *path, const struct stat *file) {
    DIR *directory = opendir(path);
    bool found = false;
    struct dirent *entry;
    while (directory != NULL && !found && (entry = readdir(directory)) != NULL) {
        struct stat other;
        found = fstatat(dirfd(directory), entry->d_name, &other, 0) == 0 &&
                file->st_dev == other.st_dev && file->st_ino == other.st_ino;
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return found;
}

pith_status pith_cli_check_output(const char *path, const char *input, pith_error *error) {
    struct stat file;
    if (stat(path, &file) != 0) {
        return PITH_OK; /* does not exist, or the writer will say what is wrong */
    }
    if (!S_ISREG(file.st_mode)) {
        return pith_fail(error, PITH_ERROR_IO, "%s: exists and is not a regular file", path);
    }
    if (same_file(&file, input)) {
        return pith_fail(error, PITH_ERROR_IO, "%s: is also the input", path);
    }
    if (directory_has(input, &file)) {
        return pith_fail(error, PITH_ERROR_IO, "%s: is a file of the source %s", path, input);
    }
    return PITH_OK;
}
