/* See input.h. */
#include "tests/fuzz/input.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void fuzz_require(bool condition) {
    if (!condition) {
        abort();
    }
}

/* ---- Fields ---------------------------------------------------------------------------------- */

uint8_t fuzz_byte(fuzz_input *in) {
    if (in->left == 0) {
        return 0;
    }
    in->left--;
    return *in->at++;
}

char *fuzz_text(fuzz_input *in, size_t *n_bytes) {
    *n_bytes = 0;
    if (in->left == 0) {
        return NULL;
    }
    const uint8_t *end = memchr(in->at, '\0', in->left);
    size_t n = end != NULL ? (size_t)(end - in->at) : in->left;
    char *copy = fuzz_copy(in->at, n);
    in->at += n + (end != NULL);
    in->left -= n + (end != NULL);
    *n_bytes = n;
    return copy;
}

char *fuzz_copy(const void *data, size_t n) {
    char *copy = malloc(n > 0 ? n : 1);
    fuzz_require(copy != NULL);
    if (n > 0) {
        memcpy(copy, data, n);
    }
    return copy;
}

/* ---- Memory ---------------------------------------------------------------------------------- */

uint64_t fuzz_hash(const uint8_t *data, size_t size) {
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    }
    return hash ^ hash >> 29;
}

void fuzz_allocator_arm(test_allocator *t, const uint8_t *data, size_t size) {
    uint64_t hash = fuzz_hash(data, size);
    atomic_store(&t->n_calls, 0);
    t->fail_at = 0;
    if (hash % 4 == 0) {
        /* Among the first 2, 4, ... 512: early allocations are on every path. */
        size_t among = (size_t)2 << (hash >> 2) % 9;
        t->fail_at = 1 + (size_t)(hash >> 8) % among;
    }
}

void fuzz_allocator_init(test_allocator *t, const uint8_t *data, size_t size) {
    test_allocator_init(t);
    fuzz_allocator_arm(t, data, size);
}

bool fuzz_allocation_failed(const test_allocator *t) {
    return t->fail_at != 0 && atomic_load(&t->n_calls) >= t->fail_at;
}

static sqlite3_mem_methods sqlite_memory;
static size_t sqlite_calls_left; /* before one fails; 0: none will */

static bool sqlite_fails(void) {
    return sqlite_calls_left > 0 && --sqlite_calls_left == 0;
}

static void *allocate(int size) {
    return sqlite_fails() ? NULL : sqlite_memory.xMalloc(size);
}

static void *reallocate(void *block, int size) {
    return sqlite_fails() ? NULL : sqlite_memory.xRealloc(block, size);
}

void fuzz_sqlite_init(void) {
    fuzz_require(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &sqlite_memory) == SQLITE_OK);
    sqlite3_mem_methods methods = sqlite_memory;
    methods.xMalloc = allocate;
    methods.xRealloc = reallocate;
    fuzz_require(sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK &&
                 sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK);
}

void fuzz_sqlite_arm(const uint8_t *data, size_t size) {
    uint64_t hash = fuzz_hash(data, size);
    size_t among = (size_t)8 << (hash >> 50) % 13;
    sqlite_calls_left = 1 + (size_t)(hash >> 24 & 0xffffff) % among;
}

void fuzz_sqlite_disarm(void) {
    sqlite_calls_left = 0;
}

void fuzz_tokenizer_rebuild(test_tokenizer *t, const test_allocator *memory) {
    pith_tokenizer_free(t->tokenizer);
    fuzz_require(pith_tokenizer_new(&t->tokenizer, &t->file.vocab, &memory->allocator, NULL) ==
                 PITH_OK);
}

/* ---- Files ----------------------------------------------------------------------------------- */

void fuzz_file_open(fuzz_file *file) {
    file->fd = memfd_create("fuzz", MFD_CLOEXEC);
    fuzz_require(file->fd >= 0);
    snprintf(file->path, sizeof file->path, "/proc/self/fd/%d", file->fd);
}

void fuzz_file_write(const fuzz_file *file, const void *data, size_t size) {
    fuzz_require(write(file->fd, data, size) == (ssize_t)size);
}

void fuzz_file_close(fuzz_file *file) {
    close(file->fd);
}

enum { MAX_DATA = 1 << 20 }; /* bytes of the tensors of one file */

size_t fuzz_data_size(const char *text, size_t n) {
    static const char key[] = "\"data_offsets\":";
    size_t most = 0;
    const char *end = text + n;
    for (const char *at = text; (at = memmem(at, (size_t)(end - at), key, sizeof key - 1)) != NULL;
         at++) {
        char number[32];
        const char *comma = memchr(at + sizeof key - 1, ',', (size_t)(end - at) - sizeof key + 1);
        if (comma != NULL) {
            size_t left = (size_t)(end - comma) - 1;
            left = left < sizeof number - 1 ? left : sizeof number - 1;
            memcpy(number, comma + 1, left);
            number[left] = '\0';
            size_t value = strtoull(number, NULL, 10);
            most = value > most && value <= MAX_DATA ? value : most;
        }
    }
    return most;
}
