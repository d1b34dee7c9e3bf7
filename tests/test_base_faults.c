/* Failures of system calls that no real file system produces on demand. The definitions below stand
 * in for the C library's in this program; with an empty plan they only pass the call on. */
#include "base/file.h"
#include "tests/support.h"
#include "tests/test.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

/* What the next calls of one kind do. Atomic, as tests of other files may write from threads. */
typedef struct plan {
    atomic_int n_interrupts;  /* first fail this often with EINTR */
    atomic_int n_good;        /* then let so many through, if `code` is set */
    atomic_int code;          /* then fail with this errno */
    atomic_int n_refusals;    /* so many times and no more; 0: for ever */
    atomic_size_t most_bytes; /* at most so many per call; 0: no limit */
    atomic_int n_calls;       /* made so far */
} plan;

static struct { plan pread, pwrite, fsync, renameat, flock; } plans;

static bool must_fail(plan *p) {
    atomic_fetch_add(&p->n_calls, 1);
    if (p->n_interrupts > 0) {
        atomic_fetch_sub(&p->n_interrupts, 1);
        errno = EINTR;
        return true;
    }
    if (p->code != 0 && atomic_fetch_sub(&p->n_good, 1) <= 0) {
        errno = p->code;
        if (p->n_refusals > 0 && atomic_fetch_sub(&p->n_refusals, 1) == 1) {
            p->code = 0;
        }
        return true;
    }
    return false;
}

static size_t cut(const plan *p, size_t size) {
    return p->most_bytes != 0 && size > p->most_bytes ? p->most_bytes : size;
}

EXPORT ssize_t pread(int fd, void *data, size_t size, off_t offset) {
    return must_fail(&plans.pread)
               ? -1
               : syscall(SYS_pread64, fd, data, cut(&plans.pread, size), offset);
}

EXPORT ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
    return must_fail(&plans.pwrite)
               ? -1
               : syscall(SYS_pwrite64, fd, data, cut(&plans.pwrite, size), offset);
}

EXPORT int fsync(int fd) {
    return must_fail(&plans.fsync) ? -1 : (int)syscall(SYS_fsync, fd);
}

EXPORT int renameat(int from_fd, const char *from, int to_fd, const char *to) {
    return must_fail(&plans.renameat) ? -1
                                      : (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, 0);
}

EXPORT int flock(int fd, int operation) {
    return must_fail(&plans.flock) ? -1 : (int)syscall(SYS_flock, fd, operation);
}

static void reset_plans(void) {
    memset(&plans, 0, sizeof plans);
}

TEST(faults, reading_survives_interruptions_and_short_reads) {
    const char *path = test_path("interrupted");
    test_write_file(path, "0123456789", 10);
    pith_file file;
    char data[10];
    pith_error error;
    CHECK(pith_file_open(&file, path, &error) == PITH_OK, "%s", error.message);
    reset_plans();
    plans.pread = (plan){.n_interrupts = 3, .most_bytes = 4};
    pith_status status = pith_file_read(&file, 0, data, sizeof data, &error);
    int n_calls = plans.pread.n_calls;
    reset_plans();
    pith_file_close(&file);
    CHECK(status == PITH_OK, "%s", error.message);
    CHECK(memcmp(data, "0123456789", sizeof data) == 0, "'%.10s'", data);
    CHECK(n_calls == 6, "%d calls for 3 interruptions and 4 + 4 + 2 bytes", n_calls);
}

TEST(faults, a_read_error_is_reported) {
    const char *path = test_path("unreadable");
    test_write_file(path, "0123456789", 10);
    pith_file file;
    char data[10];
    pith_error error;
    CHECK(pith_file_open(&file, path, &error) == PITH_OK, "%s", error.message);
    reset_plans();
    plans.pread = (plan){.n_good = 1, .code = EIO, .most_bytes = 4};
    pith_status status = pith_file_read(&file, 0, data, sizeof data, &error);
    reset_plans();
    pith_file_close(&file);
    CHECK(status == PITH_ERROR_IO, "status %d", (int)status);
    CHECK(strstr(error.message, path) != NULL && strstr(error.message, strerror(EIO)) != NULL,
          "message '%s'", error.message);
}

TEST(faults, writing_survives_interruptions_and_short_writes) {
    const char *path = test_path("written");
    pith_output *output;
    CHECK(pith_output_create(&output, path, NULL, NULL) == PITH_OK, "create failed");
    reset_plans();
    plans.pwrite = (plan){.n_interrupts = 2, .most_bytes = 3};
    plans.fsync = (plan){.n_interrupts = 2};
    pith_status written = pith_output_write(output, 0, "0123456789", 10, NULL);
    pith_status committed = pith_output_commit(output, NULL);
    int n_calls = plans.pwrite.n_calls;
    reset_plans();
    CHECK(written == PITH_OK && committed == PITH_OK, "statuses %d and %d", (int)written,
          (int)committed);
    CHECK(n_calls == 6, "%d calls for 2 interruptions and 3 + 3 + 3 + 1 bytes", n_calls);
    size_t size;
    char *data = test_read_file(path, &size);
    CHECK(size == 10 && strcmp(data, "0123456789") == 0, "'%s' [%zu]", data, size);
    free(data);
}

/* Temporaries in the test's directory. */
static size_t count_temporaries(void) {
    DIR *listing = opendir(test_directory());
    CHECK(listing != NULL, "cannot list %s", test_directory());
    size_t n = 0;
    const struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        n += strstr(entry->d_name, ".tmp-") != NULL;
    }
    closedir(listing);
    return n;
}

/* Writes and commits a file under the current plans; *is_there says whether it was published. */
static pith_status publish(const char *name, bool *is_there, pith_error *error) {
    const char *path = test_path(name);
    size_t n_before = count_temporaries();
    pith_output *output;
    pith_status status = pith_output_create(&output, path, NULL, error);
    CHECK(status == PITH_OK, "%s", error->message);
    status = pith_output_write(output, 0, "data", 4, error);
    if (status == PITH_OK) {
        status = pith_output_commit(output, error);
    } else {
        pith_output_discard(output);
    }
    reset_plans();
    *is_there = access(path, F_OK) == 0;
    CHECK(count_temporaries() <= n_before, "a temporary was left");
    CHECK(status == PITH_OK || strstr(error->message, path) != NULL, "no path in '%s'",
          error->message);
    return status;
}

TEST(faults, a_full_disk_is_named_at_every_step_and_leaves_nothing) {
    for (int step = 0; step < 2; step++) {
        reset_plans();
        (step == 0 ? &plans.pwrite : &plans.fsync)->code = ENOSPC;
        bool is_there;
        pith_error error = {0};
        pith_status status = publish("full", &is_there, &error);
        CHECK(status == PITH_ERROR_IO && !is_there, "step %d: status %d", step, (int)status);
        CHECK(strstr(error.message, "no space left on device") != NULL, "step %d: '%s'", step,
              error.message);
    }
    CHECK_NO_LEAKS();
}

TEST(faults, a_failed_rename_leaves_nothing) {
    reset_plans();
    plans.renameat.code = EROFS;
    bool is_there;
    pith_error error = {0};
    pith_status status = publish("unnamed", &is_there, &error);
    CHECK(status == PITH_ERROR_IO && !is_there, "status %d", (int)status);
    CHECK(strstr(error.message, strerror(EROFS)) != NULL, "message '%s'", error.message);
    CHECK_NO_LEAKS();
}

TEST(faults, a_directory_that_cannot_be_flushed) {
    reset_plans();
    plans.fsync = (plan){.n_good = 1, .code = EIO};
    bool is_there;
    pith_error error = {0};
    pith_status status = publish("unflushed", &is_there, &error);
    CHECK(status == PITH_ERROR_IO && is_there, "EIO: status %d", (int)status);
    CHECK(strstr(error.message, "directory") != NULL, "message '%s'", error.message);
    reset_plans();
    plans.fsync = (plan){.n_good = 1, .code = EINVAL};
    status = publish("unsupported", &is_there, &error);
    CHECK(status == PITH_OK && is_there, "EINVAL: status %d", (int)status);
    CHECK_NO_LEAKS();
}

/* Without locks nobody can tell an abandoned temporary from one that is being written. */
TEST(faults, a_file_system_without_locks) {
    const char *leftover = test_path("unlocked.tmp-pith-0123456789abcdef");
    test_write_file(leftover, "half", 4);
    reset_plans();
    plans.flock.code = EOPNOTSUPP;
    bool is_there;
    pith_error error = {0};
    pith_status status = publish("unlocked", &is_there, &error);
    CHECK(status == PITH_OK && is_there, "status %d: %s", (int)status, error.message);
    CHECK(access(leftover, F_OK) == 0, "%s was removed", leftover);
    status = publish("unlocked", &is_there, &error);
    CHECK(status == PITH_OK && access(leftover, F_OK) != 0, "%s was left", leftover);
    CHECK_NO_LEAKS();
}

/* Another writer holds the lock in order to remove our file: we take another name. */
TEST(faults, a_temporary_that_is_taken_for_a_leftover) {
    reset_plans();
    plans.flock = (plan){.n_refusals = 3, .code = EWOULDBLOCK};
    bool is_there;
    pith_error error = {0};
    pith_status status = publish("contested", &is_there, &error);
    CHECK(status == PITH_OK && is_there, "status %d: %s", (int)status, error.message);
    reset_plans();
    plans.flock.code = EWOULDBLOCK; /* for ever */
    pith_output *output = NULL;
    status = pith_output_create(&output, test_path("contested"), NULL, &error);
    reset_plans();
    CHECK(status == PITH_ERROR_IO && output == NULL, "status %d", (int)status);
    CHECK(count_temporaries() == 0, "temporaries were left");
    CHECK_NO_LEAKS();
}
