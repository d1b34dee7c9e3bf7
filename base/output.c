/* Publishing a file: everything is written to a temporary in the same directory, which takes its
 * final name only when its bytes are on the disk. All names are used relative to a descriptor of
 * that directory, so a change of the working directory in between does no harm. Any number of
 * writers may publish under one name: each has a temporary of its own, and the last one stays. */
#include "base/file.h"

#include "base/checked.h"
#include "base/status.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

enum {
    MOST_PER_CALL = 1 << 30,
    RANDOM_DIGITS = 16, /* hexadecimal, of a temporary's name */
    MAX_ATTEMPTS = 100, /* at a temporary of our own; each fails only by a rare coincidence */
    MAX_LINKS = 40,     /* symbolic links followed, as many as Linux follows */
    MAX_ACL = 4096,     /* bytes; an ACL of 500 entries */
};

/* Between the final name and the random digits; no other program uses such names. */
static const char temporary_mark[] = ".tmp-pith-";

struct pith_output {
    const pith_allocator *allocator;
    char *path;      /* as the caller named it, for messages */
    char *name;      /* of the file in `directory`, with symbolic links followed */
    char *temporary; /* NAME.tmp-pith-RANDOM */
    int directory;   /* AT_FDCWD before it is known */
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
    pith_release(allocator, output->name);
    pith_release(allocator, output->path);
    pith_release(allocator, output);
}

static pith_status no_memory(const char *path, pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", path);
}

/* NULL: out of memory. */
static pith_output *output_new(const char *path, const pith_allocator *allocator) {
    pith_output *output = pith_allocate_zeroed(allocator, 1, sizeof *output);
    if (output == NULL) {
        return NULL;
    }
    output->allocator = allocator;
    output->directory = AT_FDCWD;
    output->fd = -1;
    atomic_init(&output->failed, false);
    output->path = pith_copy_text(allocator, path, strlen(path));
    if (output->path == NULL) {
        output_free(output);
        return NULL;
    }
    return output;
}

/* ---- Where the file goes --------------------------------------------------------------------- */

/* Opens the directory part of `place`, which is relative to the directory so far, and takes over
 * the name behind it. */
static pith_status enter(pith_output *output, const char *place, pith_error *error) {
    const pith_allocator *allocator = output->allocator;
    const char *slash = strrchr(place, '/');
    const char *base = slash != NULL ? slash + 1 : place;
    char *name = pith_copy_text(allocator, base, strlen(base));
    char *directory = slash != NULL ? pith_copy_text(allocator, place, (size_t)(base - place))
                                    : pith_copy_text(allocator, ".", 1);
    if (name == NULL || directory == NULL) {
        pith_release(allocator, name);
        pith_release(allocator, directory);
        return no_memory(output->path, error);
    }
    int fd;
    do {
        fd = openat(output->directory, directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    } while (fd < 0 && errno == EINTR);
    int code = errno;
    pith_release(allocator, directory);
    pith_release(allocator, output->name);
    output->name = name;
    if (fd < 0) {
        return pith_fail_io(error, output->path, "open its directory", code);
    }
    if (output->directory >= 0) {
        close(output->directory);
    }
    output->directory = fd;
    return PITH_OK;
}

/* In a directory where everybody may put links, such as /tmp, only our own and those of the
 * directory's owner are followed: the rule of Linux's protected_symlinks. */
static bool link_is_trusted(int directory, const struct stat *link) {
    struct stat facts;
    return fstat(directory, &facts) == 0 &&
           ((facts.st_mode & S_IWOTH) == 0 || link->st_uid == geteuid() ||
            link->st_uid == facts.st_uid);
}

static pith_status follow_link(pith_output *output, const struct stat *link, pith_error *error) {
    char target[PATH_MAX];
    if (!link_is_trusted(output->directory, link)) {
        return pith_fail(error, PITH_ERROR_IO,
                         "%s: a symbolic link made by another user in a directory that everybody "
                         "may write to is not followed",
                         output->path);
    }
    ssize_t n = readlinkat(output->directory, output->name, target, sizeof target);
    if (n < 0 || (size_t)n == sizeof target) {
        return pith_fail_io(error, output->path, "follow the symbolic link",
                            n < 0 ? errno : ENAMETOOLONG);
    }
    target[n] = '\0';
    return enter(output, target, error);
}

static pith_status not_regular(const pith_output *output, pith_error *error) {
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: is not a regular file", output->path);
}

/* Finds the directory and the name to publish under. What rename would refuse after hours of work,
 * or, worse, replace (/dev/null), is refused at once. */
static pith_status find_place(pith_output *output, pith_error *error) {
    pith_status status = enter(output, output->path, error);
    if (status != PITH_OK) {
        return status;
    }
    if (output->name[0] == '\0') {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "'%s': does not name a file", output->path);
    }
    struct stat facts;
    if (fstatat(output->directory, output->name, &facts, 0) == 0 && !S_ISREG(facts.st_mode)) {
        return not_regular(output, error);
    }
    for (size_t n_links = 0;; n_links++) {
        if (fstatat(output->directory, output->name, &facts, AT_SYMLINK_NOFOLLOW) != 0) {
            return PITH_OK; /* a new file; if it cannot be made, the temporary will say why */
        }
        if (!S_ISLNK(facts.st_mode)) {
            return S_ISREG(facts.st_mode) ? PITH_OK : not_regular(output, error);
        }
        status = n_links < MAX_LINKS
                     ? follow_link(output, &facts, error)
                     : pith_fail_io(error, output->path, "follow the symbolic link", ELOOP);
        if (status == PITH_OK && output->name[0] == '\0') {
            status = not_regular(output, error);
        }
        if (status != PITH_OK) {
            return status;
        }
    }
}

/* ---- The temporary --------------------------------------------------------------------------- */

/* True when `name` is what name_temporary makes for this file. */
static bool is_temporary(const pith_output *output, const char *name) {
    size_t length = strlen(output->name);
    const size_t n_mark = sizeof temporary_mark - 1;
    if (strncmp(name, output->name, length) != 0 ||
        strncmp(name + length, temporary_mark, n_mark) != 0) {
        return false;
    }
    const char *digits = name + length + n_mark;
    return strspn(digits, "0123456789abcdef") == RANDOM_DIGITS && digits[RANDOM_DIGITS] == '\0';
}

/* Removes a temporary that nobody writes. Writers hold a lock on theirs from its creation to its
 * end, so a file that can be locked was left by a process that was killed. On a file system without
 * locks nothing is removed. Unlinking happens under the lock, so that a writer who has created its
 * file but not locked it yet will notice. */
static void remove_abandoned(const pith_output *output, const char *name) {
    struct stat facts;
    int fd =
        openat(output->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return;
    }
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && facts.st_nlink == 1 &&
        facts.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0) {
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
        if (is_temporary(output, entry->d_name)) {
            remove_abandoned(output, entry->d_name);
        }
    }
    closedir(listing);
}

/* Random digits only keep writers apart, so the clock will do where the system has no random
 * numbers. */
static uint64_t random_number(const pith_output *output) {
    uint64_t number;
    if (getrandom(&number, sizeof number, GRND_NONBLOCK) != (ssize_t)sizeof number) {
        struct timespec now = {0};
        clock_gettime(CLOCK_MONOTONIC, &now);
        number = ((uint64_t)now.tv_nsec << 32 ^ (uint64_t)(uintptr_t)output) + (uint64_t)getpid();
    }
    return number;
}

/* Creates a file of a random name and locks it. Returns false when another name is wanted: this one
 * is in use, or another writer has taken our new file for a leftover. Any other failure leaves
 * output->fd negative and says why in errno. */
static bool try_temporary(pith_output *output, size_t size, mode_t mode) {
    struct stat facts;
    snprintf(output->temporary, size, "%s%s%0*" PRIx64, output->name, temporary_mark, RANDOM_DIGITS,
             random_number(output));
    output->fd =
        openat(output->directory, output->temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (output->fd < 0) {
        return errno != EEXIST && errno != EINTR;
    }
    bool taken = (flock(output->fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) ||
                 (fstat(output->fd, &facts) == 0 && facts.st_nlink == 0);
    if (taken) {
        (void)unlinkat(output->directory, output->temporary, 0);
        close(output->fd);
        output->fd = -1;
        errno = EEXIST;
    }
    return !taken;
}

static pith_status open_temporary(pith_output *output, bool private, pith_error *error) {
    struct stat old;
    size_t size = strlen(output->name) + sizeof temporary_mark + RANDOM_DIGITS;
    output->temporary = pith_allocate(output->allocator, size, 1);
    if (output->temporary == NULL) {
        return no_memory(output->path, error);
    }
    /* Until it has the permissions of the file that it replaces, nobody else may read it. */
    bool replaces = fstatat(output->directory, output->name, &old, AT_SYMLINK_NOFOLLOW) == 0;
    mode_t mode = private || replaces ? 0600 : 0666;
    for (size_t i = 0; i < MAX_ATTEMPTS; i++) {
        if (try_temporary(output, size, mode)) {
            break;
        }
    }
    if (output->fd < 0) {
        return pith_fail_io(error, output->path, "create a temporary beside it", errno);
    }
    return PITH_OK;
}

static pith_status create(pith_output **out, const char *path, bool private,
                          const pith_allocator *allocator, pith_error *error) {
    pith_output *output = output_new(path, pith_allocator_or_default(allocator));
    if (output == NULL) {
        return no_memory(path, error);
    }
    pith_status status = find_place(output, error);
    if (status == PITH_OK) {
        remove_leftovers(output);
        status = open_temporary(output, private, error);
    }
    if (status != PITH_OK) {
        output_free(output);
        return status;
    }
    *out = output;
    return PITH_OK;
}

pith_status pith_output_create(pith_output **out, const char *path, const pith_allocator *allocator,
                               pith_error *error) {
    return create(out, path, false, allocator, error);
}

pith_status pith_output_create_private(pith_output **out, const char *path,
                                       const pith_allocator *allocator, pith_error *error) {
    return create(out, path, true, allocator, error);
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

pith_status pith_output_reopen(const pith_output *output, pith_file *out, pith_error *error) {
    struct stat facts;
    int fd = fcntl(output->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0 || fstat(fd, &facts) != 0) {
        int code = errno;
        if (fd >= 0) {
            close(fd);
        }
        return pith_fail_io(error, output->path, "open to check it", code);
    }
    *out = (pith_file){.fd = fd, .size = (size_t)facts.st_size, .path = output->path};
    return PITH_OK;
}

static int sync_retrying(int fd) {
    int result;
    do {
        result = fsync(fd);
    } while (result != 0 && errno == EINTR);
    return result;
}

/* ---- Publishing ------------------------------------------------------------------------------ */

/* Leaves the group only the permissions that everybody has, for a file whose group is not the old
 * one's. */
static mode_t without_group(mode_t mode) {
    return (mode & ~(mode_t)S_IRWXG) | (mode & (mode & S_IRWXO) << 3);
}

/* Copies the access control list of the replaced file. Returns false when it has one that cannot be
 * copied. */
static bool copy_acl(const pith_output *output) {
    static const char name[] = "system.posix_acl_access";
    char acl[MAX_ACL];
    int old = openat(output->directory, output->name,
                     O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
    ssize_t n = old >= 0 ? fgetxattr(old, name, acl, sizeof acl) : 0;
    bool has_one = n > 0 || (n < 0 && errno == ERANGE);
    if (old >= 0) {
        close(old);
    }
    if (!has_one) {
        (void)fremovexattr(output->fd, name); /* one that the directory gives to new files */
        return true;
    }
    return n > 0 && fsetxattr(output->fd, name, acl, (size_t)n, 0) == 0;
}

/* Gives the temporary the owner, group, permissions and ACL of the file that it replaces, as far as
 * the system allows. Where the group cannot be kept, its permissions are reduced. */
static pith_status keep_access(const pith_output *output, pith_error *error) {
    struct stat old;
    struct stat new;
    if (fstatat(output->directory, output->name, &old, AT_SYMLINK_NOFOLLOW) != 0 ||
        !S_ISREG(old.st_mode)) {
        return PITH_OK; /* it replaces nothing */
    }
    mode_t mode = old.st_mode & (S_IRWXU | S_IRWXG | S_IRWXO);
    if (fstat(output->fd, &new) != 0) {
        return pith_fail_io(error, output->path, "read its permissions", errno);
    }
    if (new.st_gid != old.st_gid && fchown(output->fd, (uid_t)-1, old.st_gid) != 0) {
        mode = without_group(mode);
    }
    if (new.st_uid != old.st_uid) { /* only root can give a file away */
        int given = fchown(output->fd, old.st_uid, (gid_t)-1);
        (void)given;
    }
    (void)fchmod(output->fd, mode);
    if (!copy_acl(output)) {
        mode = without_group(mode);
        (void)fchmod(output->fd, mode);
    }
    if (fstat(output->fd, &new) != 0 || (new.st_mode &(S_IRWXG | S_IRWXO) & ~mode) != 0) {
        return pith_fail(error, PITH_ERROR_IO,
                         "%s: cannot give the new file the permissions of the old one",
                         output->path);
    }
    return PITH_OK;
}

pith_status pith_output_commit(pith_output *output, pith_error *error) {
    pith_status status = PITH_OK;
    if (atomic_load(&output->failed)) {
        status = pith_fail(error, PITH_ERROR_IO, "%s: not published: a write to it failed",
                           output->path);
    } else {
        status = keep_access(output, error);
    }
    if (status == PITH_OK && sync_retrying(output->fd) != 0) {
        status = pith_fail_io(error, output->path, "flush to disk", errno);
    }
    if (status == PITH_OK &&
        renameat(output->directory, output->temporary, output->directory, output->name) != 0) {
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
