/* Allocation through the caller's allocator with checked sizes, aligned regions, arenas. */
#include "base/memory.h"

#include "base/checked.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#if PITH_ARENA_GAP
#include <sanitizer/asan_interface.h>
#endif

enum {
    LINE = 64,                   /* bytes of a cache line and of the widest vector */
    HUGE_PAGE = 2 * 1024 * 1024, /* bytes of a transparent huge page on x86-64 and arm64 */
    HUGE_FROM = 2 * HUGE_PAGE,   /* smaller regions would waste more than they gain */
};

/* Makes AddressSanitizer, if there is one, report every access to [size] bytes, or none. */
static void forbid(const void *start, size_t size) {
#if PITH_ARENA_GAP
    __asan_poison_memory_region(start, size);
#else
    (void)start;
    (void)size;
#endif
}

static void allow(const void *start, size_t size) {
#if PITH_ARENA_GAP
    __asan_unpoison_memory_region(start, size);
#else
    (void)start;
    (void)size;
#endif
}

static void *malloc_allocate(void *user, size_t size) {
    (void)user;
    return malloc(size);
}

static void *malloc_reallocate(void *user, void *block, size_t size) {
    (void)user;
    return realloc(block, size);
}

static void malloc_release(void *user, void *block) {
    (void)user;
    free(block);
}

const pith_allocator pith_malloc_allocator = {
    .user = NULL,
    .allocate = malloc_allocate,
    .reallocate = malloc_reallocate,
    .release = malloc_release,
};

const pith_allocator *pith_allocator_or_default(const pith_allocator *allocator) {
    return allocator != NULL ? allocator : &pith_malloc_allocator;
}

/* count x size, at least 1 so that no allocator is asked for zero bytes, and at most the size of
 * the largest object. */
static bool block_size(size_t count, size_t size, size_t *out) {
    size_t total;
    if (!pith_mul_size(count, size, &total) || total > PTRDIFF_MAX) {
        return false;
    }
    *out = pith_max_size(total, 1);
    return true;
}

void *pith_allocate(const pith_allocator *allocator, size_t count, size_t size) {
    size_t total;
    if (!block_size(count, size, &total)) {
        return NULL;
    }
    return allocator->allocate(allocator->user, total);
}

void *pith_allocate_zeroed(const pith_allocator *allocator, size_t count, size_t size) {
    void *block = pith_allocate(allocator, count, size);
    if (block != NULL) {
        memset(block, 0, count * size);
    }
    return block;
}

void *pith_reallocate(const pith_allocator *allocator, void *block, size_t count, size_t size) {
    size_t total;
    if (!block_size(count, size, &total)) {
        return NULL;
    }
    return allocator->reallocate(allocator->user, block, total);
}

void pith_release(const pith_allocator *allocator, void *block) {
    allocator->release(allocator->user, block);
}

char *pith_copy_text(const pith_allocator *allocator, const char *text, size_t n) {
    size_t size;
    if (!pith_add_size(n, 1, &size)) {
        return NULL;
    }
    char *copy = pith_allocate(allocator, size, 1);
    if (copy == NULL) {
        return NULL;
    }
    if (n > 0) {
        memcpy(copy, text, n);
    }
    copy[n] = '\0';
    return copy;
}

pith_status pith_region_allocate(pith_region *out, size_t size, const pith_allocator *allocator,
                                 pith_error *error) {
    allocator = pith_allocator_or_default(allocator);
    bool huge = size >= HUGE_FROM;
    size_t alignment = huge ? HUGE_PAGE : LINE;
    /* Whole pages, so that the last one can be huge too, and room to move the start. */
    size_t room = 0;
    bool fits = pith_add_size(size, 2 * alignment - 1, &room);
    size_t span = fits ? pith_round_up(size, alignment) : 0;
    void *block = fits ? pith_allocate(allocator, span + alignment - 1, 1) : NULL;
    if (block == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory: cannot allocate %zu bytes",
                         size);
    }
    size_t offset = (alignment - (uintptr_t)block % alignment) % alignment;
    void *data = (unsigned char *)block + offset;
    if (huge) {
        /* Advice only: without huge pages the region works, slower. */
        (void)madvise(data, span, MADV_HUGEPAGE);
    }
    *out = (pith_region){.allocator = allocator, .block = block, .data = data, .size = size};
    return PITH_OK;
}

void pith_region_release(pith_region *region) {
    if (region->block != NULL) {
        allow(region->data, region->size); /* the caller's allocator may use the memory again */
        pith_release(region->allocator, region->block);
    }
    *region = (pith_region){0};
}

/* Offset after a block that ends at `end`, and the gap. Whole lines: AddressSanitizer records for
 * each unit of 8 bytes only how many of its first bytes are valid. */
static bool skip_gap(size_t end, size_t *next) {
    if (PITH_ARENA_GAP == 0) {
        *next = end;
        return true;
    }
    size_t room;
    if (!pith_add_size(end, PITH_ARENA_GAP + LINE - 1, &room)) {
        return false;
    }
    *next = room / LINE * LINE;
    return true;
}

void *pith_arena_take(pith_arena *arena, size_t count, size_t size) {
    size_t start;
    size_t bytes;
    size_t end;
    size_t next;
    if (arena->overflow || !pith_add_size(arena->used, LINE - 1, &start) ||
        !pith_mul_size(count, size, &bytes) || !pith_add_size(start / LINE * LINE, bytes, &end) ||
        !skip_gap(end, &next)) {
        arena->overflow = true;
        return NULL;
    }
    arena->used = next;
    if (arena->base == NULL) {
        return NULL;
    }
    unsigned char *block = arena->base + start / LINE * LINE;
    allow(block, bytes);
    forbid(block + bytes, next - end);
    return block;
}
