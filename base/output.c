/* Publishing a file: everything is written to a temporary in the same directory, which takes its
 * final name only when its bytes are on the disk. All names are used relative to a descriptor of
 * that directory, so a change of the working directory in between does no harm. */
#include "base/file.h"

#include "base/checked.h"
#include "base/status.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_PER_CALL = 1 << 30 };

struct pith_output {
    const pith_allocator *allocator;
    char *path;       /* as the caller named it, for messages */
    const char *name; /* its last component, inside `path` */
    char *temporary;  /* name.tmp-PID */
    int directory;
    int fd;
    atomic_bool failed; /* a write failed: what is there must not be published */
};

static void output_free(pith_output *output) {
    if (output->fd >= 0) {
        close(output->fd);
    }
    if (output->directory >= 0) {
        close(output->directory);
    }
    const pith_allocator *allocator = output->allocator;
    pith_release(allocator, output->temporary);
    pith_release(allocator, output->path);
    pith_release(allocator, output);
}

/* NULL: out of memory. */
static pith_output *output_new(const char *path, const pith_allocator *allocator) {
    pith_output *output = pith_allocate_zeroed(allocator, 1, sizeof *output);
    if (output == NULL) {
        return NULL;
    }
    output->allocator = allocator;
    output->directory = -1;
    output->fd = -1;
    atomic_init(&output->failed, false);
    output->path = pith_copy_text(allocator, path, strlen(path));
    if (output->path != NULL) {
        const char *slash = strrchr(output->path, '/');
        output->name = slash != NULL ? slash + 1 : output->path;
        size_t size = strlen(output->name) + sizeof ".tmp-" + 20;
        output->temporary = pith_allocate(allocator, size, 1);
        if (output->temporary != NULL) {
            snprintf(output->temporary, size, "%s.tmp-%ld", output->name, (long)getpid());
        }
    }
    if (output->temporary == NULL) {
        output_free(output);
        return NULL;
    }
    return output;
}

static pith_status open_directory(pith_output *output, pith_error *error) {
    const char *directory = ".";
    char *copy = NULL;
    size_t length = (size_t)(output->name - output->path);
    if (length > 0) {
        copy = pith_copy_text(output->allocator, output->path, length);
        if (copy == NULL) {
            return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", output->path);
        }
        directory = copy;
    }
    do {
        output->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (output->directory < 0 && errno == EINTR);
    int code = errno;
    pith_release(output->allocator, copy);
    if (output->directory < 0) {
        return pith_fail_io(error, output->path, "open its directory", code);
    }
    return PITH_OK;
}

/* Refuses at once what rename would refuse after hours, or, worse, replace: /dev/null. */
static pith_status check_target(const pith_output *output, pith_error *error) {
    struct stat facts;
    if (fstatat(output->directory, output->name, &facts, 0) == 0 && !S_ISREG(facts.st_mode)) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: is not a regular file", output->path);
    }
    return PITH_OK;
}

/* The process that `name` says it is a temporary of, or 0 when it is no temporary of ours. */
static pid_t temporary_owner(const pith_output *output, const char *name) {
    size_t length = strlen(output->name);
    if (strncmp(name, output->name, length) != 0 || strncmp(name + length, ".tmp-", 5) != 0) {
        return 0;
    }
    const char *digits = name + length + 5;
    size_t n_digits = strspn(digits, "0123456789");
    if (n_digits == 0 || n_digits > 9 || digits[n_digits] != '\0') {
        return 0;
    }
    return (pid_t)strtol(digits, NULL, 10);
}

/* Removes a temporary unless somebody writes it. Writers hold a lock on theirs, which tells apart
 * what the process number cannot: our own number used before by a process that died, and a living
 * process of another container. Unlinking happens under the lock, so that a writer who has created
 * its file but not locked it yet will notice. */
static void remove_unlocked(const pith_output *output, const char *name) {
    int fd = openat(output->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) {
        return;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK) {
        (void)unlinkat(output->directory, name, 0);
    }
    close(fd);
}

static void remove_leftovers(const pith_output *output) {
    int copy = openat(output->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *listing = copy >= 0 ? fdopendir(copy) : NULL;
    if (listing == NULL) {
        if (copy >= 0) {
            close(copy);
        }
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        pid_t owner = temporary_owner(output, entry->d_name);
        bool gone = owner > 0 && (owner == getpid() || (kill(owner, 0) != 0 && errno == ESRCH));
        if (gone) {
            remove_unlocked(output, entry->d_name);
        }
    }
    closedir(listing);
}

static pith_status open_temporary(pith_output *output, pith_error *error) {
    do {
        output->fd = openat(output->directory, output->temporary,
                            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (output->fd < 0 && errno == EINTR);
    if (output->fd < 0 && errno != EEXIST) {
        return pith_fail_io(error, output->path, "create a temporary beside it", errno);
    }
    /* Another writer may have taken our new file for a leftover. Without locks on this file system
     * the process number alone protects it. */
    struct stat facts;
    bool taken = output->fd < 0 ||
                 (flock(output->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) ||
                 (fstat(output->fd, &facts) == 0 && facts.st_nlink == 0);
    if (taken) {
        return pith_fail(error, PITH_ERROR_IO, "%s: is already being written (as %s)", output->path,
                         output->temporary);
    }
    return PITH_OK;
}

pith_status pith_output_create(pith_output **out, const char *path, const pith_allocator *allocator,
                               pith_error *error) {
    pith_output *output = output_new(path, pith_allocator_or_default(allocator));
    if (output == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", path);
    }
    pith_status status = PITH_OK;
    if (output->name[0] == '\0') {
        status = pith_fail(error, PITH_ERROR_ARGUMENT, "'%s': does not name a file", path);
        goto done;
    }
    status = open_directory(output, error);
    if (status != PITH_OK) {
        goto done;
    }
    status = check_target(output, error);
    if (status != PITH_OK) {
        goto done;
    }
    remove_leftovers(output);
    status = open_temporary(output, error);
done:
    if (status != PITH_OK) {
        output_free(output);
        return status;
    }
    *out = output;
    return PITH_OK;
}

pith_status pith_output_write(pith_output *output, size_t offset, const void *data, size_t size,
                              pith_error *error) {
    if (offset > INT64_MAX || size > INT64_MAX - offset) {
        atomic_store(&output->failed, true);
        return pith_fail_io(error, output->path, "write", EFBIG);
    }
    const unsigned char *from = data;
    size_t done = 0;
    while (done < size) {
        size_t part = pith_min_size(size - done, MOST_PER_CALL);
        ssize_t n = pwrite(output->fd, from + done, part, (off_t)(offset + done));
        if (n >= 0) {
            done += (size_t)n;
        } else if (errno != EINTR) {
            int code = errno;
            atomic_store(&output->failed, true);
            return pith_fail_io(error, output->path, "write", code);
        }
    }
    return PITH_OK;
}

static int sync_retrying(int fd) {
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result;
}

pith_status pith_output_commit(pith_output *output, pith_error *error) {
    pith_status status = PITH_OK;
    if (atomic_load(&output->failed)) {
        status = pith_fail(error, PITH_ERROR_IO, "%s: not published: a write to it failed",
                           output->path);
    } else if (sync_retrying(output->fd) != 0) {
        status = pith_fail_io(error, output->path, "flush to disk", errno);
    } else if (renameat(output->directory, output->temporary, output->directory, output->name) !=
               0) {
        status = pith_fail_io(error, output->path, "rename the temporary to it", errno);
    }
    if (status != PITH_OK) {
        pith_output_discard(output);
        return status;
    }
    /* Some file systems cannot flush a directory and say EINVAL: there is nothing more to do. */
    if (sync_retrying(output->directory) != 0 && errno != EINVAL) {
        status = pith_fail_io(error, output->path, "flush its directory to disk", errno);
    }
    output_free(output);
    return status;
}

void pith_output_discard(pith_output *output) {
    if (output == NULL) {
        return;
    }
    (void)unlinkat(output->directory, output->temporary, 0);
    output_free(output);
}
