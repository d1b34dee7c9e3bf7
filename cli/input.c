/* Reading texts and lines, and checking output paths before any work is done. */
#include "base/memory.h"
#include "cli/cli.h"

#include "base/checked.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Bytes of a text or line. A buffer has room for one more, which tells that there is more, and a
 * NUL: so what is too long is noticed whatever the sizes of reads. */
enum { MAX_TEXT = 256 << 20, MOST_CAPACITY = MAX_TEXT + 2 };

/* read() that an interrupt ends. *n is 0 at the end of the file. */
static pith_status read_some(int fd, const char *name, char *data, size_t capacity, size_t *n,
                             pith_error *error) {
    for (;;) {
        pith_wait wait = pith_interrupt_wait(fd);
        if (wait == PITH_WAIT_INTERRUPTED) {
            return pith_fail(error, PITH_ERROR_STOPPED, "%s: interrupted", name);
        }
        if (wait == PITH_WAIT_SIGNAL) {
            continue;
        }
        ssize_t got = read(fd, data, capacity);
        if (got >= 0) {
            *n = (size_t)got;
            return PITH_OK;
        }
        if (errno != EINTR) {
            return pith_fail(error, PITH_ERROR_IO, "%s: %s", name, strerror(errno));
        }
    }
}

static pith_status too_long(const char *name, pith_error *error) {
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: more than the limit of %d bytes", name,
                     MAX_TEXT);
}

/* Makes room for at least one byte and a NUL after data[size]. */
static pith_status make_room(char **data, size_t size, size_t *capacity, const char *name,
                             pith_error *error) {
    if (size + 1 < *capacity) {
        return PITH_OK;
    }
    if (size > MAX_TEXT) {
        return too_long(name, error);
    }
    size_t grown = pith_min_size(*capacity == 0 ? 1 << 16 : 2 * *capacity, MOST_CAPACITY);
    char *bigger = realloc(*data, grown);
    if (bigger == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", name);
    }
    *data = bigger;
    *capacity = grown;
    return PITH_OK;
}

/* Reads to the end of `fd`. A file that is too long already is not read in vain. */
static pith_status read_to_end(int fd, const char *name, char **text, size_t *n_bytes,
                               pith_error *error) {
    char *data = NULL;
    size_t size = 0;
    size_t capacity = 0;
    size_t n = 1;
    struct stat facts;
    pith_status status = PITH_OK;
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_size > MAX_TEXT) {
        return too_long(name, error);
    }
    while (status == PITH_OK && n > 0) {
        status = make_room(&data, size, &capacity, name, error);
        if (status == PITH_OK) {
            status = read_some(fd, name, data + size, capacity - 1 - size, &n, error);
        }
        size += status == PITH_OK ? n : 0;
    }
    if (status != PITH_OK) {
        free(data);
        return status;
    }
    data[size] = 0;
    *text = data;
    *n_bytes = size;
    return PITH_OK;
}

pith_status pith_cli_read(const char *path, char **text, size_t *n_bytes, pith_error *error) {
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    int fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == EINTR && pith_interrupted()) {
        return pith_fail(error, PITH_ERROR_STOPPED, "%s: interrupted", name);
    }
    if (fd < 0) {
        return pith_fail(error, PITH_ERROR_IO, "%s: %s", name, strerror(errno));
    }
    pith_status status = read_to_end(fd, name, text, n_bytes, error);
    if (!standard) {
        close(fd);
    }
    return status;
}

pith_status pith_cli_read_file(const pith_file *file, char **text, size_t *n_bytes,
                               pith_error *error) {
    return read_to_end(file->fd, file->path, text, n_bytes, error);
}

/* Gives out [begin, end of line) and steps over the newline, if there is one. */
static void give_line(pith_lines *lines, size_t n, char **line, size_t *n_bytes) {
    static const char mark[] = "\xef\xbb\xbf";
    *line = lines->data + lines->begin;
    *n_bytes = n;
    lines->begin += n;
    if (lines->begin < lines->end) {
        lines->begin++;
    }
    if (lines->number++ == 0 && n >= sizeof mark - 1 && memcmp(*line, mark, sizeof mark - 1) == 0) {
        *line += sizeof mark - 1;
        *n_bytes -= sizeof mark - 1;
    }
}

pith_status pith_cli_read_line(pith_lines *lines, char **line, size_t *n_bytes, bool *end,
                               pith_error *error) {
    static const char name[] = "standard input";
    size_t searched = 0; /* bytes after begin known to hold no newline */
    *end = false;
    for (;;) {
        size_t rest = lines->end - lines->begin;
        const char *newline = NULL;
        if (rest > searched) {
            newline = memchr(lines->data + lines->begin + searched, '\n', rest - searched);
        }
        if (newline != NULL || (lines->finished && rest > 0)) {
            size_t n = newline != NULL ? (size_t)(newline - lines->data) - lines->begin : rest;
            give_line(lines, n, line, n_bytes);
            return PITH_OK;
        }
        if (lines->finished) {
            *end = true;
            return PITH_OK;
        }
        searched = rest;
        if (lines->begin > 0) {
            memmove(lines->data, lines->data + lines->begin, rest);
            lines->begin = 0;
            lines->end = rest;
        }
        size_t n = 0;
        pith_status status = make_room(&lines->data, rest, &lines->capacity, name, error);
        if (status == PITH_OK) {
            status = read_some(STDIN_FILENO, name, lines->data + rest, lines->capacity - 1 - rest,
                               &n, error);
        }
        if (status != PITH_OK) {
            return status;
        }
        lines->end += n;
        lines->finished = n == 0;
    }
}

static bool is_blank(const char *line, size_t n_bytes) {
    for (size_t i = 0; i < n_bytes; i++) {
        if (line[i] != ' ' && line[i] != '\t' && line[i] != '\r') {
            return false;
        }
    }
    return true;
}

pith_status pith_cli_read_json_line(pith_lines *lines, char **line, size_t *n_bytes, bool *end,
                                    pith_error *error) {
    pith_status status;
    do {
        status = pith_cli_read_line(lines, line, n_bytes, end, error);
    } while (status == PITH_OK && !*end && is_blank(*line, *n_bytes));
    return status;
}

void pith_lines_release(pith_lines *lines) {
    free(lines->data);
    *lines = (pith_lines){.data = NULL};
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

void pith_cli_name_line(const size_t *numbers, size_t n, pith_error *error) {
    static const char *const forms[] = {"text %zu%n", "the embedding of text %zu%n"};
    const pith_error told = *error;
    size_t i = 0;
    int n_read = 0;
    if ((sscanf(told.message, forms[0], &i, &n_read) != 1 &&
         sscanf(told.message, forms[1], &i, &n_read) != 1) ||
        i >= n) {
        return;
    }
    const char *rest = told.message + n_read;
    bool colon = strncmp(rest, ": ", 2) == 0;
    const char *subject = colon ? "" : "the text";
    rest = colon ? rest + 2 : rest;
    if (numbers == NULL) {
        pith_fail(error, told.status, "%s%s", subject, rest);
    } else {
        pith_fail(error, told.status, "standard input, line %zu: %s%s", numbers[i], subject, rest);
    }
}
