/* Reading and mapping regular files. System calls are repeated when interrupted and split below the
 * 2 GB that Linux moves in one call. */
#include "base/file.h"

#include "base/checked.h"
#include "base/status.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_PER_CALL = 1 << 30 };

pith_status pith_fail_io(pith_error *error, const char *path, const char *action, int code) {
    const char *reason = code == ENOSPC ? "no space left on device" : strerror(code);
    return pith_fail(error, PITH_ERROR_IO, "%s: cannot %s: %s", path, action, reason);
}

/* O_NONBLOCK: opening a FIFO must not wait for a writer; regular files ignore it. */
enum { OPEN_FLAGS = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK };

static int open_at(int directory, const char *name, int flags) {
    int fd;
    do {
        fd = openat(directory, name, flags);
    } while (fd < 0 && errno == EINTR);
    return fd;
}

/* Opens one part of the path after the other. */
static int open_no_links(const char *path) {
    int at = path[0] == '/' ? open_at(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD;
    while (at >= 0 || at == AT_FDCWD) {
        char name[NAME_MAX + 1];
        path += strspn(path, "/");
        size_t n = strcspn(path, "/");
        bool last = path[n] == '\0';
        int next = -1;
        if (n < sizeof name) {
            memcpy(name, path, n);
            name[n] = '\0';
            next = open_at(at, name,
                           O_NOFOLLOW | (last ? OPEN_FLAGS : O_PATH | O_DIRECTORY | O_CLOEXEC));
        } else {
            errno = ENAMETOOLONG;
        }
        int code = errno;
        if (at >= 0) {
            close(at);
        }
        errno = code;
        if (last || next < 0) {
            return next;
        }
        at = next;
        path += n;
    }
    return at;
}

static pith_status check_open(pith_file *out, int fd, const char *path, pith_error *error) {
    if (fd < 0) {
        return pith_fail_io(error, path, "open", errno);
    }
    pith_status status = PITH_OK;
    struct stat facts;
    if (fstat(fd, &facts) != 0) {
        status = pith_fail_io(error, path, "read its size", errno);
    } else if (!S_ISREG(facts.st_mode)) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: is not a regular file", path);
    } else if ((uintmax_t)facts.st_size > SIZE_MAX) {
        status =
            pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: is too large for this machine", path);
    }
    if (status != PITH_OK) {
        close(fd);
        return status;
    }
    *out = (pith_file){.fd = fd, .size = (size_t)facts.st_size, .path = path};
    return PITH_OK;
}

pith_status pith_file_open(pith_file *out, const char *path, pith_error *error) {
    return check_open(out, open_at(AT_FDCWD, path, OPEN_FLAGS), path, error);
}

pith_status pith_file_open_no_links(pith_file *out, const char *path, pith_error *error) {
    return check_open(out, open_no_links(path), path, error);
}

void pith_file_close(pith_file *file) {
    if (file->fd >= 0) {
        close(file->fd);
    }
    *file = (pith_file){.fd = -1};
}

static pith_status fail_truncated(const pith_file *file, size_t offset, size_t size,
                                  pith_error *error) {
    return pith_fail(error, PITH_ERROR_FORMAT,
                     "%s: truncated: %zu bytes wanted at offset %zu, the file had %zu when opened",
                     file->path, size, offset, file->size);
}

pith_status pith_file_read(const pith_file *file, size_t offset, void *data, size_t size,
                           pith_error *error) {
    if (offset > file->size || size > file->size - offset) {
        return fail_truncated(file, offset, size, error);
    }
    unsigned char *to = data;
    size_t done = 0;
    while (done < size) {
        size_t part = pith_min_size(size - done, MOST_PER_CALL);
        ssize_t n = pread(file->fd, to + done, part, (off_t)(offset + done));
        if (n > 0) {
            done += (size_t)n;
        } else if (n == 0) { /* it shrank since it was opened */
            return fail_truncated(file, offset, size, error);
        } else if (errno != EINTR) {
            return pith_fail_io(error, file->path, "read", errno);
        }
    }
    return PITH_OK;
}

void pith_file_advise_sequential(const pith_file *file) {
    (void)posix_fadvise(file->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

pith_status pith_file_map(const pith_file *file, const void **data, pith_error *error) {
    if (file->size == 0) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: is empty", file->path);
    }
    void *start = mmap(NULL, file->size, PROT_READ, MAP_SHARED, file->fd, 0);
    if (start == MAP_FAILED) {
        return pith_fail_io(error, file->path, "map", errno);
    }
    *data = start;
    return PITH_OK;
}

void pith_file_advise_mapped(const void *data, size_t size) {
    (void)madvise((void *)(uintptr_t)data, size, MADV_HUGEPAGE);
    (void)madvise((void *)(uintptr_t)data, size, MADV_WILLNEED);
}

void pith_file_unmap(const void *data, size_t size) {
    if (data != NULL) {
        (void)munmap((void *)(uintptr_t)data, size);
    }
}
