/* The .npz reader: the central directory names the members, each member is an .npy array. Every
 * offset is checked against the archive, so a damaged file is a message and never a wild read. */
#include "tests/npz.h"

#include "tests/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_npz {
    size_t n_arrays;
    test_array arrays[TEST_NPZ_MAX_ARRAYS];
    void *blocks[TEST_NPZ_MAX_ARRAYS]; /* data of the arrays */
};

typedef struct span {
    const unsigned char *data;
    size_t size;
} span;

enum {
    END_SIZE = 22,       /* end of central directory record, without comment */
    ENTRY_SIZE = 46,     /* central directory header, without its variable fields */
    LOCAL_SIZE = 30,     /* local file header, without its variable fields */
    NPY_PREFIX = 10,     /* magic, version, header length */
    MAX_COUNT = 1 << 26, /* elements of an array */
};

static size_t u16_at(const unsigned char *p) {
    return (size_t)p[0] | (size_t)p[1] << 8;
}

static size_t u32_at(const unsigned char *p) {
    return u16_at(p) | u16_at(p + 2) << 16;
}

static bool is_signature(const unsigned char *p, unsigned char third, unsigned char fourth) {
    return p[0] == 'P' && p[1] == 'K' && p[2] == third && p[3] == fourth;
}

/* "'shape': (7, 1000), " */
static bool parse_shape(const char *header, test_array *array) {
    const char *at = strstr(header, "'shape': (");
    if (at == NULL) {
        return false;
    }
    at += strlen("'shape': (");
    array->n_dims = 0;
    array->count = 1;
    while (*at != ')') {
        char *end;
        if (*at < '0' || *at > '9' || array->n_dims == TEST_NPZ_MAX_DIMS) {
            return false;
        }
        unsigned long long n = strtoull(at, &end, 10);
        if (n > MAX_COUNT || (n != 0 && array->count > MAX_COUNT / n)) {
            return false;
        }
        array->shape[array->n_dims++] = (size_t)n;
        array->count *= (size_t)n;
        at = end;
        while (*at == ',' || *at == ' ') {
            at++;
        }
    }
    return true;
}

static const char *parse_array(span file, test_array *array, void **block) {
    char header[4096];
    if (file.size < NPY_PREFIX || memcmp(file.data, "\x93NUMPY\x01\x00", 8) != 0) {
        return "a member is not an .npy array of version 1.0";
    }
    size_t n = u16_at(file.data + 8);
    if (n >= sizeof header || n > file.size - NPY_PREFIX) {
        return "an .npy header is longer than its member";
    }
    memcpy(header, file.data + NPY_PREFIX, n);
    header[n] = '\0';
    array->is_float = strstr(header, "'descr': '<f4'") != NULL;
    if (!array->is_float && strstr(header, "'descr': '<i4'") == NULL) {
        return "an array is neither int32 nor float32";
    }
    if (strstr(header, "'fortran_order': False") == NULL || !parse_shape(header, array)) {
        return "an .npy header has no C order or no valid shape";
    }
    if (file.size - NPY_PREFIX - n != array->count * 4) {
        return "an array's shape and size do not agree";
    }
    *block = malloc(array->count * 4 + 1);
    if (*block == NULL) {
        return "out of memory";
    }
    memcpy(*block, file.data + NPY_PREFIX + n, array->count * 4);
    if (array->is_float) {
        array->data.floats = *block;
    } else {
        array->data.ints = *block;
    }
    return NULL;
}

/* The bytes of the member that a central directory header at `entry` describes. */
static const char *find_member(span archive, const unsigned char *entry, span *member) {
    size_t size = u32_at(entry + 24);
    size_t offset = u32_at(entry + 42);
    if (u16_at(entry + 10) != 0 || u32_at(entry + 20) != size) {
        return "a member is compressed";
    }
    if (offset > archive.size || archive.size - offset < LOCAL_SIZE ||
        !is_signature(archive.data + offset, 3, 4)) {
        return "a member's local header is missing";
    }
    const unsigned char *local = archive.data + offset;
    size_t skip = LOCAL_SIZE + u16_at(local + 26) + u16_at(local + 28);
    if (skip > archive.size - offset || size > archive.size - offset - skip) {
        return "a member runs past the end of the archive";
    }
    *member = (span){local + skip, size};
    return NULL;
}

static const char *parse_entry(span archive, span directory, test_npz *npz, size_t *used) {
    test_array *array = &npz->arrays[npz->n_arrays];
    span member;
    if (directory.size < ENTRY_SIZE || !is_signature(directory.data, 1, 2)) {
        return "the central directory is damaged";
    }
    size_t n_name = u16_at(directory.data + 28);
    *used = ENTRY_SIZE + n_name + u16_at(directory.data + 30) + u16_at(directory.data + 32);
    if (*used > directory.size || n_name < 5 || n_name - 4 >= TEST_NPZ_MAX_NAME ||
        memcmp(directory.data + ENTRY_SIZE + n_name - 4, ".npy", 4) != 0) {
        return "a member's name is damaged";
    }
    memcpy(array->name, directory.data + ENTRY_SIZE, n_name - 4);
    array->name[n_name - 4] = '\0';
    const char *problem = find_member(archive, directory.data, &member);
    if (problem == NULL) {
        problem = parse_array(member, array, &npz->blocks[npz->n_arrays]);
    }
    if (problem == NULL) {
        npz->n_arrays++;
    }
    return problem;
}

static const char *parse_archive(span archive, test_npz *npz) {
    if (archive.size < END_SIZE || !is_signature(archive.data + archive.size - END_SIZE, 5, 6)) {
        return "no end of central directory record";
    }
    const unsigned char *end = archive.data + archive.size - END_SIZE;
    size_t n_entries = u16_at(end + 10);
    size_t size = u32_at(end + 12);
    size_t offset = u32_at(end + 16);
    if (n_entries > TEST_NPZ_MAX_ARRAYS) {
        return "too many members";
    }
    if (offset > archive.size - END_SIZE || size > archive.size - END_SIZE - offset) {
        return "the central directory is out of place";
    }
    span directory = {archive.data + offset, size};
    for (size_t i = 0; i < n_entries; i++) {
        size_t used;
        const char *problem = parse_entry(archive, directory, npz, &used);
        if (problem != NULL) {
            return problem;
        }
        directory.data += used;
        directory.size -= used;
    }
    return NULL;
}

test_npz *test_npz_parse(const void *data, size_t size, const char **problem) {
    test_npz *npz = calloc(1, sizeof *npz);
    *problem = npz == NULL ? "out of memory" : parse_archive((span){data, size}, npz);
    if (*problem != NULL) {
        test_npz_free(npz);
        return NULL;
    }
    return npz;
}

test_npz *test_npz_open(const char *path) {
    const char *problem;
    size_t size;
    void *data = test_read_file(path, &size);
    test_npz *npz = test_npz_parse(data, size, &problem);
    free(data);
    if (npz == NULL) {
        fprintf(stderr, "%s: %s\n", path, problem);
        exit(1);
    }
    return npz;
}

void test_npz_free(test_npz *npz) {
    if (npz != NULL) {
        for (size_t i = 0; i < TEST_NPZ_MAX_ARRAYS; i++) {
            free(npz->blocks[i]);
        }
        free(npz);
    }
}

const test_array *test_npz_find(const test_npz *npz, const char *name) {
    for (size_t i = 0; i < npz->n_arrays; i++) {
        if (strcmp(npz->arrays[i].name, name) == 0) {
            return &npz->arrays[i];
        }
    }
    return NULL;
}

static const test_array *find_indexed(const test_npz *npz, const char *name, size_t index,
                                      bool is_float) {
    char full[TEST_NPZ_MAX_NAME];
    snprintf(full, sizeof full, "%s_%zu", name, index);
    const test_array *array = test_npz_find(npz, full);
    if (array == NULL || array->is_float != is_float) {
        fprintf(stderr, "no array %s of the expected type in the .npz file\n", full);
        exit(1);
    }
    return array;
}

const test_array *test_npz_floats(const test_npz *npz, const char *name, size_t index) {
    return find_indexed(npz, name, index, true);
}

const test_array *test_npz_ints(const test_npz *npz, const char *name, size_t index) {
    return find_indexed(npz, name, index, false);
}
