/* Opening, reading and mapping files, and what is said when that fails. */
#include "base/file.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void check_open_fails(const char *path, pith_status expected, const char *reason) {
    pith_file file = {.fd = -77};
    pith_error error = {0};
    pith_status status = pith_file_open(&file, path, &error);
    CHECK(status == expected && error.status == expected, "%s: status %d, expected %d", path,
          (int)status, (int)expected);
    CHECK(strstr(error.message, path) != NULL && strstr(error.message, reason) != NULL,
          "message '%s' should have the path and '%s'", error.message, reason);
    CHECK(file.fd == -77, "out changed");
}

TEST(file, open_says_what_is_wrong) {
    const char *fifo = test_path("fifo");
    CHECK(mkfifo(fifo, 0600) == 0, "no fifo");
    check_open_fails(test_path("missing"), PITH_ERROR_IO, "No such file");
    check_open_fails(test_directory(), PITH_ERROR_FORMAT, "is not a regular file");
    check_open_fails(fifo, PITH_ERROR_FORMAT, "is not a regular file");
    check_open_fails("/dev/null", PITH_ERROR_FORMAT, "is not a regular file");
    if (geteuid() != 0) {
        const char *secret = test_path("secret");
        test_write_file(secret, "x", 1);
        CHECK(chmod(secret, 0) == 0, "chmod failed");
        check_open_fails(secret, PITH_ERROR_IO, "Permission denied");
    }
}

TEST(file, reads_exactly_what_is_asked) {
    static const char digits[] = "0123456789";
    const char *path = test_path("ten");
    test_write_file(path, digits, 10);
    pith_file file;
    pith_error error;
    CHECK(pith_file_open(&file, path, &error) == PITH_OK, "%s", error.message);
    CHECK(file.size == 10, "size %zu", file.size);
    for (size_t offset = 0; offset <= 10; offset++) {
        for (size_t size = 0; offset + size <= 10; size++) {
            char data[12] = "...........";
            CHECK(pith_file_read(&file, offset, data, size, &error) == PITH_OK, "%s",
                  error.message);
            CHECK(memcmp(data, digits + offset, size) == 0 && data[size] == '.',
                  "%zu bytes at %zu gave '%s'", size, offset, data);
        }
    }
    pith_file_close(&file);
    CHECK(file.fd == -1, "fd is %d after close", file.fd);
    pith_file_close(&file);
}

TEST(file, reading_past_the_end_is_truncated) {
    const char *path = test_path("ten");
    test_write_file(path, "0123456789", 10);
    pith_file file;
    pith_error error;
    CHECK(pith_file_open(&file, path, &error) == PITH_OK, "%s", error.message);
    static const size_t bad[][2] = {{0, 11},       {10, 1},       {11, 0},
                                    {SIZE_MAX, 0}, {5, SIZE_MAX}, {SIZE_MAX, SIZE_MAX}};
    char data[16];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        pith_status status = pith_file_read(&file, bad[i][0], data, bad[i][1], &error);
        CHECK(status == PITH_ERROR_FORMAT, "%zu bytes at %zu: status %d", bad[i][1], bad[i][0],
              (int)status);
        CHECK(strstr(error.message, "truncated") != NULL && strstr(error.message, path) != NULL,
              "message '%s'", error.message);
    }
    CHECK(truncate(path, 4) == 0, "truncate failed");
    pith_status status = pith_file_read(&file, 0, data, 10, &error);
    CHECK(status == PITH_ERROR_FORMAT && strstr(error.message, "truncated") != NULL,
          "a file that shrank: status %d, '%s'", (int)status, error.message);
    CHECK(truncate(path, 100) == 0, "truncate failed");
    status = pith_file_read(&file, 0, data, 11, &error);
    CHECK(status == PITH_ERROR_FORMAT, "a file that grew is read past its first size");
    pith_file_close(&file);
}

TEST(file, offsets_beyond_4_gb) {
    const char *path = test_path("sparse");
    const size_t size = (size_t)5 << 30;
    test_write_file(path, "", 0);
    if (truncate(path, (off_t)size) != 0) {
        return; /* the file system has no files of this size */
    }
    pith_file file;
    pith_error error;
    CHECK(pith_file_open(&file, path, &error) == PITH_OK, "%s", error.message);
    CHECK(file.size == size, "size %zu", file.size);
    char data[8] = "xxxxxxxx";
    CHECK(pith_file_read(&file, size - 8, data, 8, &error) == PITH_OK, "%s", error.message);
    CHECK(memcmp(data, "\0\0\0\0\0\0\0\0", 8) == 0, "a hole is not zero");
    CHECK(pith_file_read(&file, size - 7, data, 8, &error) == PITH_ERROR_FORMAT, "past the end");
    const void *map;
    CHECK(pith_file_map(&file, &map, &error) == PITH_OK, "%s", error.message);
    CHECK(((const char *)map)[size - 1] == 0, "the last byte is not zero");
    pith_file_unmap(map, file.size);
    pith_file_close(&file);
}

static void check_no_links(const char *path, pith_status expected) {
    pith_file file = {.fd = -1};
    pith_error error = {0};
    char data[4];
    pith_status status = pith_file_open_no_links(&file, path, &error);
    CHECK(status == expected, "'%s': status %d, expected %d: %s", path, (int)status, (int)expected,
          error.message);
    if (status == PITH_OK) {
        CHECK(file.size == 4 && strcmp(file.path, path) == 0 &&
                  pith_file_read(&file, 0, data, 4, &error) == PITH_OK &&
                  memcmp(data, "true", 4) == 0,
              "'%s': other bytes", path);
        pith_file_close(&file);
    } else {
        CHECK(strstr(error.message, path) != NULL, "no path in '%s'", error.message);
    }
}

TEST(file, open_no_links_follows_none_and_never_waits) {
    char before[4096];
    char long_name[300];
    memset(long_name, 'n', sizeof long_name - 1);
    long_name[sizeof long_name - 1] = '\0';
    CHECK(mkdir(test_path("deep"), 0755) == 0 && mkdir(test_path("deep/er"), 0755) == 0,
          "no directories");
    test_write_file(test_path("deep/er/file"), "true", 4);
    CHECK(symlink("file", test_path("deep/er/link")) == 0 &&
              symlink("deep", test_path("directory")) == 0 &&
              mkfifo(test_path("deep/fifo"), 0600) == 0,
          "no links");
    check_no_links(test_path("deep/er/file"), PITH_OK);
    check_no_links(test_path("deep//er///file"), PITH_OK);
    check_no_links(test_path("deep/../deep/./er/file"), PITH_OK);
    check_no_links(test_path("deep/er/link"), PITH_ERROR_IO);
    check_no_links(test_path("directory/er/file"), PITH_ERROR_IO);
    check_no_links(test_path("deep/er/file/"), PITH_ERROR_IO);
    check_no_links(test_path("deep/er/none"), PITH_ERROR_IO);
    check_no_links(test_path(long_name), PITH_ERROR_IO);
    check_no_links(test_path("deep/fifo"), PITH_ERROR_FORMAT);
    check_no_links(test_path("deep"), PITH_ERROR_FORMAT);
    check_no_links("/dev/null", PITH_ERROR_FORMAT);
    check_no_links("/", PITH_ERROR_IO);
    check_no_links("", PITH_ERROR_IO);
    CHECK(getcwd(before, sizeof before) != NULL && chdir(test_path("deep")) == 0, "chdir failed");
    check_no_links("er/file", PITH_OK);
    check_no_links("../directory/er/file", PITH_ERROR_IO);
    CHECK(chdir(before) == 0, "chdir failed");
}

TEST(file, map_shows_the_bytes) {
    const char *path = test_path("mapped");
    test_write_file(path, "0123456789", 10);
    pith_file file;
    pith_error error;
    CHECK(pith_file_open(&file, path, &error) == PITH_OK, "%s", error.message);
    const void *map = NULL;
    CHECK(pith_file_map(&file, &map, &error) == PITH_OK, "%s", error.message);
    pith_file_close(&file);
    CHECK(memcmp(map, "0123456789", 10) == 0, "other bytes");
    pith_file_unmap(map, 10);
    pith_file_unmap(NULL, 0);

    const char *empty = test_path("empty");
    test_write_file(empty, "", 0);
    CHECK(pith_file_open(&file, empty, &error) == PITH_OK, "%s", error.message);
    map = &file;
    pith_status status = pith_file_map(&file, &map, &error);
    CHECK(status == PITH_ERROR_FORMAT && map == &file, "an empty file: status %d", (int)status);
    pith_file_close(&file);
}
