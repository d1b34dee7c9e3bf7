/* Makes one allocation of a process fail, for tests/oom/sweep.py: loaded by LD_PRELOAD it counts
 * the calls of malloc, calloc, realloc and their kin, by whatever library, from the start of the
 * program's constructors on. From the environment:
 *
 *     PITH_OOM_AT=K     the K-th call fails (from 1)
 *     PITH_OOM_EVER=1   so do all later ones
 *     PITH_OOM_COUNT=F  at the end the number of calls is written to the file F */
#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

/* glibc's own, under names that nobody interposes. */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *block, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static atomic_long n_calls;
static long fail_at; /* 0: never */
static bool for_ever;
static bool armed;

__attribute__((constructor)) static void arm(void) {
    const char *at = getenv("PITH_OOM_AT");
    fail_at = at != NULL ? atol(at) : 0;
    for_ever = getenv("PITH_OOM_EVER") != NULL;
    armed = true;
}

__attribute__((destructor)) static void report(void) {
    const char *path = getenv("PITH_OOM_COUNT");
    armed = false;
    FILE *file = path != NULL ? fopen(path, "w") : NULL;
    if (file != NULL) {
        fprintf(file, "%ld\n", atomic_load(&n_calls));
        fclose(file);
    }
}

static bool must_fail(void) {
    if (!armed) {
        return false;
    }
    long call = atomic_fetch_add(&n_calls, 1) + 1;
    if (fail_at == 0 || call < fail_at || (call > fail_at && !for_ever)) {
        return false;
    }
    errno = ENOMEM;
    return true;
}

void *malloc(size_t size) {
    return must_fail() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    return must_fail() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *block, size_t size) {
    return must_fail() ? NULL : __libc_realloc(block, size);
}

void *reallocarray(void *block, size_t count, size_t size) {
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) {
        errno = ENOMEM;
        return NULL;
    }
    return realloc(block, bytes);
}

void *memalign(size_t alignment, size_t size) {
    return must_fail() ? NULL : __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    return memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size) {
    void *block = memalign(alignment, size);
    if (block == NULL) {
        return ENOMEM;
    }
    *out = block;
    return 0;
}
