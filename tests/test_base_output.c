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
#include <sys/xattr.h>
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

static void publish(pith_output *output, const char *text) {
    pith_error error = {0};
    CHECK(pith_output_write(output, 0, text, strlen(text), &error) == PITH_OK, "%s", error.message);
    CHECK(pith_output_commit(output, &error) == PITH_OK, "%s", error.message);
}

static unsigned mode_of(const char *path) {
    struct stat facts;
    CHECK(lstat(path, &facts) == 0, "no %s", path);
    return (unsigned)facts.st_mode & 07777;
}

/* The only entry of a directory that has the form of a temporary, as a path. */
static const char *find_temporary(const char *directory) {
    static char found[4096];
    DIR *listing = opendir(directory);
    CHECK(listing != NULL, "cannot list %s", directory);
    const struct dirent *entry;
    size_t n = 0;
    while ((entry = readdir(listing)) != NULL) {
        if (strstr(entry->d_name, ".tmp-pith-") != NULL) {
            snprintf(found, sizeof found, "%.2000s/%.1000s", directory, entry->d_name);
            n++;
        }
    }
    closedir(listing);
    CHECK(n == 1, "%zu temporaries in %s", n, directory);
    return found;
}

TEST(output, a_new_file_honours_umask) {
    const char *path = test_path("fresh");
    mode_t before = umask(027);
    pith_output *output = create(path);
    umask(before);
    publish(output, "new");
    check_content(path, "new");
    CHECK(mode_of(path) == 0640, "mode %o", mode_of(path));
}

TEST(output, a_private_file_is_its_owners_from_the_start) {
    const char *directory = new_directory("private");
    const char *path = test_path("private/file");
    pith_output *output = NULL;
    pith_error error;
    mode_t before = umask(0);
    CHECK(pith_output_create_private(&output, path, NULL, &error) == PITH_OK, "%s", error.message);
    umask(before);
    CHECK(mode_of(find_temporary(directory)) == 0600, "mode %o",
          mode_of(find_temporary(directory)));
    publish(output, "secret");
    CHECK(mode_of(path) == 0600, "mode %o", mode_of(path));
}

TEST(output, a_replaced_file_keeps_its_permissions) {
    static const mode_t modes[] = {0600, 0640, 0444, 0755, 0666};
    const char *directory = new_directory("modes");
    const char *path = test_path("modes/file");
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        for (int private = 0; private < 2; private ++) {
            (void)remove(path);
            test_write_file(path, "old", 3);
            CHECK(chmod(path, modes[i]) == 0, "chmod failed");
            pith_output *output = NULL;
            pith_error error;
            pith_status status = (private != 0 ? pith_output_create_private
                                               : pith_output_create)(&output, path, NULL, &error);
            CHECK(status == PITH_OK, "%s", error.message);
            CHECK(mode_of(find_temporary(directory)) == 0600, "the temporary of a %o file is %o",
                  (unsigned)modes[i], mode_of(find_temporary(directory)));
            check_content(path, "old");
            publish(output, "new");
            check_content(path, "new");
            CHECK(mode_of(path) == modes[i], "%o became %o", (unsigned)modes[i], mode_of(path));
        }
    }
}

TEST(output, a_replaced_file_keeps_owner_and_group) {
    const char *path = test_path("owned");
    struct stat facts;
    test_write_file(path, "old", 3);
    if (chown(path, 12345, 54321) != 0) {
        return; /* for root only */
    }
    CHECK(chmod(path, 0640) == 0, "chmod failed");
    publish(create(path), "new");
    CHECK(stat(path, &facts) == 0 && facts.st_uid == 12345 && facts.st_gid == 54321 &&
              (facts.st_mode & 0777) == 0640,
          "owner %u, group %u, mode %o", facts.st_uid, facts.st_gid, facts.st_mode);
}

/* Another user may replace the file, where the directory lets him, but cannot give the new one the
 * old group: then the group must not read what only the other group could. */
TEST(output, a_group_that_cannot_be_kept_loses_its_rights) {
    const char *directory = new_directory("group");
    const char *path = test_path("group/file");
    struct stat facts;
    test_write_file(path, "old", 3);
    if (chown(path, 12345, 54321) != 0 || chmod(path, 0660) != 0 || chmod(directory, 0777) != 0 ||
        chmod(test_directory(), 0755) != 0 || setegid(11111) != 0 || seteuid(11111) != 0) {
        return; /* for root only */
    }
    publish(create(path), "new");
    CHECK(seteuid(0) == 0 && setegid(0) == 0, "cannot be root again");
    CHECK(stat(path, &facts) == 0 && facts.st_uid == 11111 && (facts.st_mode & 0777) == 0600,
          "owner %u, mode %o", facts.st_uid, facts.st_mode);
}

/* user::rw- user:12345:rw- group::--- mask::rw- other::---, as Linux stores it. */
TEST(output, a_replaced_file_keeps_its_acl) {
    static const unsigned char acl[] = {2,   0,   0,   0,   1,   0,    6,    0,   255, 255, 255,
                                        255, 2,   0,   6,   0,   0x39, 0x30, 0,   0,   4,   0,
                                        0,   0,   255, 255, 255, 255,  16,   0,   6,   0,   255,
                                        255, 255, 255, 32,  0,   0,    0,    255, 255, 255, 255};
    static const char name[] = "system.posix_acl_access";
    unsigned char kept[256];
    const char *path = test_path("listed");
    test_write_file(path, "old", 3);
    if (setxattr(path, name, acl, sizeof acl, 0) != 0) {
        return; /* a file system without ACLs */
    }
    publish(create(path), "new");
    ssize_t n = getxattr(path, name, kept, sizeof kept);
    CHECK(n == (ssize_t)sizeof acl && memcmp(kept, acl, sizeof acl) == 0, "%zd bytes of ACL", n);
    CHECK(mode_of(path) == 0660, "mode %o", mode_of(path)); /* the mask stands for the group */
}

TEST(output, a_symbolic_link_is_written_through) {
    new_directory("links");
    CHECK(mkdir(test_path("links/deep"), 0755) == 0, "no directory");
    test_write_file(test_path("links/deep/real"), "old", 3);
    CHECK(chmod(test_path("links/deep/real"), 0600) == 0, "chmod failed");
    CHECK(symlink("deep/second", test_path("links/first")) == 0 &&
              symlink("../deep/real", test_path("links/deep/second")) == 0 &&
              symlink("deep/new", test_path("links/dangling")) == 0 &&
              symlink("deep", test_path("links/directory")) == 0 &&
              symlink("loop", test_path("links/loop")) == 0,
          "no links");
    publish(create(test_path("links/first")), "new");
    check_content(test_path("links/deep/real"), "new");
    CHECK(mode_of(test_path("links/deep/real")) == 0600, "mode");
    publish(create(test_path("links/dangling")), "made");
    check_content(test_path("links/deep/new"), "made");
    static const char *const names[] = {"links/first", "links/deep/second", "links/dangling"};
    for (size_t i = 0; i < 3; i++) {
        struct stat facts;
        CHECK(lstat(test_path(names[i]), &facts) == 0 && S_ISLNK(facts.st_mode), "%s: no link",
              names[i]);
    }
    pith_output *output = NULL;
    pith_error error = {0};
    CHECK(pith_output_create(&output, test_path("links/directory"), NULL, &error) ==
              PITH_ERROR_FORMAT,
          "%s", error.message);
    CHECK(pith_output_create(&output, test_path("links/loop"), NULL, &error) == PITH_ERROR_IO, "%s",
          error.message);
    CHECK(count_entries(test_path("links")) == 5 && count_entries(test_path("links/deep")) == 3,
          "temporaries were left");
}

/* In a directory such as /tmp anybody can plant a link under the name that we are going to write.
 */
TEST(output, a_link_planted_by_another_user_is_not_followed) {
    new_directory("planted");
    const char *victim = test_path("victim");
    test_write_file(victim, "untouched", 9);
    if (symlink(victim, test_path("planted/file")) != 0 ||
        lchown(test_path("planted/file"), 12345, 54321) != 0 ||
        chmod(test_path("planted"), 01777) != 0) {
        return; /* for root only */
    }
    pith_output *output = NULL;
    pith_status status = pith_output_create(&output, test_path("planted/file"), NULL, NULL);
    CHECK(status == PITH_ERROR_IO && output == NULL, "status %d", (int)status);
    check_content(victim, "untouched");
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

static long dead_process(void) {
    pid_t child = fork();
    if (child == 0) {
        _exit(0);
    }
    CHECK(child > 0 && waitpid(child, NULL, 0) == child, "no child");
    return child;
}

/* Leaves a temporary as a process does that is killed while it writes. */
static void die_writing(const char *path) {
    pid_t child = fork();
    if (child == 0) {
        pith_output *output = NULL;
        if (pith_output_create(&output, path, NULL, NULL) == PITH_OK &&
            pith_output_write(output, 0, "half", 4, NULL) == PITH_OK) {
            _exit(0);
        }
        _exit(1);
    }
    int status = 1;
    CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0, "the child failed");
}

TEST(output, removes_what_dead_processes_left) {
    const char *directory = new_directory("leftovers");
    die_writing(test_path("leftovers/file"));
    CHECK(exists(find_temporary(directory)), "no leftover to remove");
    publish(create(test_path("leftovers/file")), "whole");
    check_content(test_path("leftovers/file"), "whole");
    CHECK(count_entries(directory) == 1, "%zu entries", count_entries(directory));
}

/* Files of other programs and of the user, whatever they are called, are left alone. */
TEST(output, removes_no_file_of_the_users) {
    new_directory("mine");
    long dead = dead_process();
    char names[8][96];
    snprintf(names[0], sizeof names[0], "mine/file.tmp-%ld", dead);
    snprintf(names[1], sizeof names[1], "mine/file.tmp-%ld", (long)getpid());
    snprintf(names[2], sizeof names[2], "mine/file.tmp-pith-%ld", dead);
    snprintf(names[3], sizeof names[3], "mine/tale.tmp-pith-0123456789abcdef");
    snprintf(names[4], sizeof names[4], "mine/file.tmp-pith-0123456789abcdef0");
    snprintf(names[5], sizeof names[5], "mine/file.tmp-pith-0123456789abcdeF");
    snprintf(names[6], sizeof names[6], "mine/file.tmp-pith-0123456789abcde");
    snprintf(names[7], sizeof names[7], "mine/file.tmp-");
    for (size_t i = 0; i < 8; i++) {
        test_write_file(test_path(names[i]), "kept", 4);
    }
    /* Of the right form, but somebody has a second name for it, or it is no file. */
    test_write_file(test_path("mine/second"), "kept", 4);
    CHECK(link(test_path("mine/second"), test_path("mine/file.tmp-pith-00000000000000aa")) == 0 &&
              mkfifo(test_path("mine/file.tmp-pith-00000000000000bb"), 0600) == 0 &&
              symlink("second", test_path("mine/file.tmp-pith-00000000000000cc")) == 0,
          "cannot make them");
    publish(create(test_path("mine/file")), "whole");
    for (size_t i = 0; i < 8; i++) {
        CHECK(exists(test_path(names[i])), "%s was removed", names[i]);
    }
    size_t n_entries = count_entries(test_path("mine"));
    CHECK(n_entries == 8 + 4 + 1, "%zu entries", n_entries);
}

TEST(output, keeps_a_temporary_that_is_being_written) {
    const char *path = test_path("shared");
    pith_output *output = create(path);
    pith_output *second = create(path);
    pith_output_discard(second);
    publish(output, "first");
    check_content(path, "first");
}

TEST(output, writers_of_one_path_do_not_mix) {
    const char *path = test_path("twice");
    pith_output *first = create(path);
    pith_output *second = create(path);
    CHECK(pith_output_write(second, 0, "the second", 10, NULL) == PITH_OK, "write failed");
    publish(first, "first");
    check_content(path, "first");
    CHECK(pith_output_commit(second, NULL) == PITH_OK, "commit failed");
    check_content(path, "the second");
    CHECK_NO_LEAKS();
}

enum { N_WRITERS = 4, N_SAVES = 100, SAVE_BYTES = 3000 };

static void *save_often(void *path) {
    size_t *n_failed = calloc(1, sizeof *n_failed);
    for (size_t i = 0; i < N_SAVES; i++) {
        static _Atomic unsigned char next;
        char text[SAVE_BYTES];
        memset(text, 'a' + next++ % 26, sizeof text);
        pith_output *output = NULL;
        pith_status status = pith_output_create(&output, path, NULL, NULL);
        if (status == PITH_OK) {
            status = pith_output_write(output, 0, text, sizeof text, NULL);
        }
        if (status == PITH_OK) {
            status = pith_output_commit(output, NULL);
        }
        *n_failed += status != PITH_OK;
    }
    return n_failed;
}

TEST(output, threads_and_processes_may_save_to_one_path) {
    const char *directory = new_directory("crowd");
    char path[512];
    snprintf(path, sizeof path, "%s", test_path("crowd/file"));
    pid_t child = fork();
    CHECK(child >= 0, "no child");
    pthread_t threads[N_WRITERS];
    size_t n_failed = 0;
    for (size_t i = 0; i < N_WRITERS; i++) {
        CHECK(pthread_create(&threads[i], NULL, save_often, path) == 0, "no thread");
    }
    for (size_t i = 0; i < N_WRITERS; i++) {
        void *result;
        CHECK(pthread_join(threads[i], &result) == 0, "no result");
        n_failed += *(size_t *)result;
        free(result);
    }
    if (child == 0) {
        _exit(n_failed != 0);
    }
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child && status == 0, "saves of the other process failed");
    CHECK(n_failed == 0, "%zu of %d saves failed", n_failed, N_WRITERS * N_SAVES);
    size_t size;
    char *data = test_read_file(path, &size);
    CHECK(size == SAVE_BYTES, "%zu bytes", size);
    for (size_t i = 1; i < size; i++) {
        CHECK(data[i] == data[0], "byte %zu is of another writer", i);
    }
    free(data);
    CHECK(count_entries(directory) == 1, "%zu entries", count_entries(directory));
}

/* A link planted under a name that earlier versions used changes nothing. */
TEST(output, a_planted_temporary_does_not_hinder) {
    const char *victim = test_path("other");
    char planted[64];
    snprintf(planted, sizeof planted, "linked.tmp-%ld", (long)getpid());
    test_write_file(victim, "untouched", 9);
    CHECK(symlink(victim, test_path(planted)) == 0, "no link");
    publish(create(test_path("linked")), "saved");
    check_content(test_path("linked"), "saved");
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
