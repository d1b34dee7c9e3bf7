/* Publishing files: whole or not at all, and nothing left behind. */
#include "base/file.h"
#include "base/pool.h"
#include "tests/support.h"
#include "tests/test.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static pith_output *create(const char *path) {
    pith_output *output = NULL;
    pith_error error;
    CHECK(pith_output_create(&output, path, NULL, &error) == PITH_OK, "%s", error.message);
    return output;
}

static void check_content(const char *path, const char *expected) {
    size_t size;
    char *data = test_read_file(path, &size);
    bool same = size == strlen(expected) && memcmp(data, expected, size) == 0;
    CHECK(same, "%s holds '%s', expected '%s'", path, data, expected);
    free(data);
}

static bool exists(const char *path) {
    struct stat facts;
    return lstat(path, &facts) == 0;
}

/* A new directory inside the test's own. */
static const char *new_directory(const char *name) {
    const char *path = test_path(name);
    CHECK(mkdir(path, 0755) == 0, "cannot create %s", path);
    return path;
}

static size_t count_entries(const char *path) {
    DIR *listing = opendir(path);
    CHECK(listing != NULL, "cannot list %s", path);
    size_t n = 0;
    const struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    }
    closedir(listing);
    return n;
}

TEST(output, appears_only_when_committed) {
    const char *directory = new_directory("publish");
    const char *path = test_path("publish/file");
    pith_output *output = create(path);
    CHECK(!exists(path) && count_entries(directory) == 1, "before the commit");
    CHECK(pith_output_write(output, 4, "5678", 4, NULL) == PITH_OK, "write failed");
    CHECK(pith_output_write(output, 0, "1234", 4, NULL) == PITH_OK, "write failed");
    CHECK(pith_output_write(output, 3, "", 0, NULL) == PITH_OK, "empty write failed");
    CHECK(!exists(path), "visible before the commit");
    CHECK(pith_output_commit(output, NULL) == PITH_OK, "commit failed");
    check_content(path, "12345678");
    CHECK(count_entries(directory) == 1, "%zu entries", count_entries(directory));
    CHECK_NO_LEAKS();
}

TEST(output, replaces_an_old_file_and_honours_umask) {
    const char *path = test_path("replaced");
    test_write_file(path, "old", 3);
    mode_t before = umask(027);
    pith_output *output = create(path);
    umask(before);
    CHECK(pith_output_write(output, 0, "new", 3, NULL) == PITH_OK, "write failed");
    check_content(path, "old");
    CHECK(pith_output_commit(output, NULL) == PITH_OK, "commit failed");
    check_content(path, "new");
    struct stat facts;
    CHECK(stat(path, &facts) == 0 && (facts.st_mode & 0777) == 0640, "mode %o", facts.st_mode);
}

TEST(output, discard_leaves_nothing) {
    const char *directory = new_directory("discard");
    pith_output *output = create(test_path("discard/file"));
    CHECK(pith_output_write(output, 100, "x", 1, NULL) == PITH_OK, "write failed");
    pith_output_discard(output);
    pith_output_discard(NULL);
    CHECK(count_entries(directory) == 0, "%zu entries", count_entries(directory));
    CHECK_NO_LEAKS();
}

TEST(output, survives_a_change_of_the_working_directory) {
    new_directory("start");
    char before[4096];
    CHECK(getcwd(before, sizeof before) != NULL, "no working directory");
    CHECK(chdir(test_path("start")) == 0, "chdir failed");
    pith_output *output = create("relative");
    CHECK(chdir(before) == 0, "chdir failed");
    CHECK(pith_output_write(output, 0, "here", 4, NULL) == PITH_OK, "write failed");
    CHECK(pith_output_commit(output, NULL) == PITH_OK, "commit failed");
    check_content(test_path("start/relative"), "here");
}

static void write_part(void *argument, size_t begin, size_t end, size_t thread) {
    (void)thread;
    for (size_t i = begin; i < end; i++) {
        unsigned char block[97];
        memset(block, (int)(i % 251), sizeof block);
        (void)pith_output_write(argument, i * sizeof block, block, sizeof block, NULL);
    }
}

TEST(output, several_threads_write_at_once) {
    const char *path = test_path("parallel");
    pith_pool *pool;
    CHECK(pith_pool_new(&pool, 3, NULL, NULL) == PITH_OK, "no pool");
    pith_output *output = create(path);
    pith_pool_run(pool, 1000, 1, write_part, output);
    pith_pool_free(pool);
    CHECK(pith_output_commit(output, NULL) == PITH_OK, "commit failed");
    size_t size;
    unsigned char *data = test_read_file(path, &size);
    CHECK(size == 97000, "size %zu", size);
    for (size_t i = 0; i < size; i++) {
        CHECK(data[i] == i / 97 % 251, "byte %zu is %d, expected %zu", i, data[i], i / 97 % 251);
    }
    free(data);
}

/* PATH.tmp-PID in one of a few static buffers. */
static const char *temporary_of(const char *name, long pid) {
    char full[256];
    snprintf(full, sizeof full, "%s.tmp-%ld", name, pid);
    return test_path(full);
}

static long dead_process(void) {
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, NULL, 0) == child, "no child");
    return child;
}

TEST(output, removes_what_dead_processes_left) {
    const char *directory = new_directory("leftovers");
    long dead = dead_process();
    const char *stale = temporary_of("leftovers/file", dead);
    const char *recycled = temporary_of("leftovers/file", getpid());
    test_write_file(stale, "half", 4);
    test_write_file(recycled, "half", 4); /* of an earlier process with our number */
    char suffixed[64];
    snprintf(suffixed, sizeof suffixed, "leftovers/file.tmp-%ldx", dead);
    const char *kept[] = {
        temporary_of("leftovers/file", 1),    temporary_of("leftovers/file", getppid()),
        temporary_of("leftovers/tale", dead), test_path(suffixed),
        test_path("leftovers/file.tmp-"),     test_path("leftovers/file.tmp-99999999999999"),
        test_path("leftovers/file.tmp--5"),
    };
    enum { N_KEPT = sizeof kept / sizeof kept[0] };
    for (size_t i = 0; i < N_KEPT; i++) {
        test_write_file(kept[i], "kept", 4);
    }
    pith_output *output = create(test_path("leftovers/file"));
    CHECK(!exists(stale), "%s is still there", stale);
    CHECK(pith_output_write(output, 0, "whole", 5, NULL) == PITH_OK, "write failed");
    CHECK(pith_output_commit(output, NULL) == PITH_OK, "commit failed");
    check_content(test_path("leftovers/file"), "whole");
    for (size_t i = 0; i < N_KEPT; i++) {
        CHECK(exists(kept[i]), "%s was removed", kept[i]);
    }
    size_t n_distinct = getppid() == 1 ? N_KEPT - 1 : N_KEPT;
    CHECK(count_entries(directory) == n_distinct + 1, "%zu entries", count_entries(directory));
}

/* A temporary that a living process holds is kept even when its number says otherwise, as between
 * containers; here the lock is held by a file of our own under a dead process's number. */
TEST(output, keeps_a_temporary_that_is_being_written) {
    const char *path = test_path("shared");
    pith_output *output = create(path);
    const char *foreign = temporary_of("shared", dead_process());
    CHECK(rename(temporary_of("shared", getpid()), foreign) == 0, "rename failed");
    pith_output *second = create(path);
    CHECK(exists(foreign), "the file of a living writer was removed");
    pith_output_discard(second);
    CHECK(rename(foreign, temporary_of("shared", getpid())) == 0, "rename failed");
    CHECK(pith_output_commit(output, NULL) == PITH_OK, "commit failed");
}

TEST(output, two_writers_of_one_path_do_not_mix) {
    const char *path = test_path("twice");
    pith_output *first = create(path);
    pith_output *second = NULL;
    pith_error error;
    pith_status status = pith_output_create(&second, path, NULL, &error);
    CHECK(status == PITH_ERROR_IO && second == NULL, "status %d", (int)status);
    CHECK(strstr(error.message, "already being written") != NULL, "message '%s'", error.message);
    CHECK(pith_output_write(first, 0, "first", 5, NULL) == PITH_OK, "write failed");
    CHECK(pith_output_commit(first, NULL) == PITH_OK, "commit failed");
    check_content(path, "first");
    CHECK_NO_LEAKS();
}

TEST(output, follows_no_link_in_place_of_its_temporary) {
    const char *victim = test_path("victim");
    test_write_file(victim, "untouched", 9);
    CHECK(symlink(victim, temporary_of("linked", getpid())) == 0, "no link");
    pith_output *output = NULL;
    pith_status status = pith_output_create(&output, test_path("linked"), NULL, NULL);
    CHECK(status == PITH_ERROR_IO && output == NULL, "status %d", (int)status);
    check_content(victim, "untouched");
}

static void check_create_fails(const char *path, pith_status expected, const char *reason) {
    pith_output *output = NULL;
    pith_error error = {0};
    pith_status status = pith_output_create(&output, path, NULL, &error);
    CHECK(status == expected && error.status == expected && output == NULL,
          "'%s': status %d, expected %d", path, (int)status, (int)expected);
    CHECK(strstr(error.message, path) != NULL && strstr(error.message, reason) != NULL,
          "message '%s' should have the path and '%s'", error.message, reason);
}

TEST(output, create_says_what_is_wrong) {
    char slash[4096];
    snprintf(slash, sizeof slash, "%s/", test_directory());
    char long_name[300];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    check_create_fails("", PITH_ERROR_ARGUMENT, "does not name a file");
    check_create_fails(slash, PITH_ERROR_ARGUMENT, "does not name a file");
    check_create_fails(test_path("no/where"), PITH_ERROR_IO, "No such file");
    check_create_fails(test_directory(), PITH_ERROR_FORMAT, "is not a regular file");
    check_create_fails("/dev/null", PITH_ERROR_FORMAT, "is not a regular file");
    check_create_fails(test_path(long_name), PITH_ERROR_IO, "too long");
    CHECK_NO_LEAKS();
}

TEST(output, read_only_directory) {
    const char *directory = new_directory("sealed");
    CHECK(chmod(test_directory(), 0755) == 0 && chmod(directory, 0555) == 0, "chmod failed");
    bool root = geteuid() == 0;
    CHECK(!root || seteuid(65534) == 0, "cannot stop being root");
    check_create_fails(test_path("sealed/file"), PITH_ERROR_IO, "Permission denied");
    CHECK(!root || seteuid(0) == 0, "cannot be root again");
    CHECK(count_entries(directory) == 0, "%zu entries", count_entries(directory));
}

/* Fills a file until a write fails, then gives up on it as a converter would. */
static void check_full(const char *path, const char *reason) {
    static char block[65536];
    pith_output *output = create(path);
    pith_error error = {0};
    pith_status status = PITH_OK;
    for (size_t i = 0; i < 1000 && status == PITH_OK; i++) {
        memset(block, (int)i, sizeof block);
        status = pith_output_write(output, i * sizeof block, block, sizeof block, &error);
    }
    CHECK(status == PITH_ERROR_IO, "status %d", (int)status);
    CHECK(strstr(error.message, path) != NULL && strstr(error.message, reason) != NULL,
          "message '%s' should have the path and '%s'", error.message, reason);
    status = pith_output_commit(output, &error);
    CHECK(status == PITH_ERROR_IO && strstr(error.message, "not published") != NULL,
          "a file with a failed write was published: %d", (int)status);
    CHECK(!exists(path), "%s exists", path);
}

TEST(output, disk_full_is_named_and_leaves_nothing) {
    /* A mount of its own, in a namespace that ends with this process: for root only. */
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) != 0) {
        return;
    }
    const char *directory = new_directory("small");
    if (mount("none", directory, "tmpfs", 0, "size=256k") != 0) {
        return;
    }
    check_full(test_path("small/file"), "no space left on device");
    size_t n_entries = count_entries(directory);
    umount2(directory, MNT_DETACH);
    CHECK(n_entries == 0, "%zu entries", n_entries);
    CHECK_NO_LEAKS();
}

TEST(output, file_size_limit_is_named_and_leaves_nothing) {
    struct rlimit before;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0, "no limit");
    struct rlimit limit = {.rlim_cur = 300000, .rlim_max = before.rlim_max};
    const char *directory = new_directory("limited");
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0, "limit refused");
    check_full(test_path("limited/file"), "File too large");
    setrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, handler);
    CHECK(count_entries(directory) == 0, "%zu entries", count_entries(directory));
}

TEST(output, offsets_that_no_file_has_are_refused) {
    const char *path = test_path("offsets");
    static const size_t bad[][2] = {{SIZE_MAX, 1}, {INT64_MAX, 1}, {1, INT64_MAX}};
    for (size_t i = 0; i < 3; i++) {
        pith_output *output = create(path);
        pith_error error;
        pith_status status = pith_output_write(output, bad[i][0], "x", bad[i][1], &error);
        CHECK(status == PITH_ERROR_IO && strstr(error.message, path) != NULL, "status %d",
              (int)status);
        pith_output_discard(output);
    }
}

TEST(output, allocation_failure_leaves_nothing) {
    const char *directory = new_directory("memory");
    const char *path = test_path("memory/file");
    test_allocator t;
    test_allocator_init(&t);
    pith_output *output = NULL;
    CHECK(pith_output_create(&output, path, &t.allocator, NULL) == PITH_OK, "create failed");
    size_t n_calls = t.n_calls;
    pith_output_discard(output);
    bool had_input = fcntl(STDIN_FILENO, F_GETFD) >= 0;
    CHECK(n_calls > 0 && t.n_live == 0, "%zu allocations, %zu live", n_calls, (size_t)t.n_live);
    for (size_t i = 1; i <= n_calls; i++) {
        test_allocator_init(&t);
        t.fail_at = i;
        output = NULL;
        pith_error error = {0};
        pith_status status = pith_output_create(&output, path, &t.allocator, &error);
        CHECK(status == PITH_ERROR_MEMORY && error.status == status && output == NULL,
              "allocation %zu fails: status %d", i, (int)status);
        CHECK(t.n_live == 0 && count_entries(directory) == 0,
              "allocation %zu fails: %zu live, %zu entries", i, (size_t)t.n_live,
              count_entries(directory));
    }
    CHECK((fcntl(STDIN_FILENO, F_GETFD) >= 0) == had_input, "standard input was closed");
    CHECK_NO_LEAKS();
}
