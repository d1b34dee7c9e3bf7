/* Memory through the caller's allocator, 64-byte aligned blocks for tensors, and the arena that
 * models and sessions are carved from. */
#ifndef PITH_BASE_MEMORY_H
#define PITH_BASE_MEMORY_H

#include "pith.h"

/* The allocator of malloc, realloc and free. */
extern const pith_allocator pith_malloc_allocator;

/* count x size bytes, checked for overflow; NULL on failure. `allocator` is never NULL here: use
 * pith_allocator_or_default at the API boundary. Zero bytes give a valid, distinct block. */
void *pith_allocate(const pith_allocator *allocator, size_t count, size_t size);
void *pith_allocate_zeroed(const pith_allocator *allocator, size_t count, size_t size);
void *pith_reallocate(const pith_allocator *allocator, void *block, size_t count, size_t size);
void pith_release(const pith_allocator *allocator, void *block);
const pith_allocator *pith_allocator_or_default(const pith_allocator *allocator);

/* Copies [n] bytes and appends a NUL; NULL on failure. */
char *pith_copy_text(const pith_allocator *allocator, const char *text, size_t n);

/* A block aligned to 64 bytes, or to 2 MB with transparent huge pages asked for when it is at least
 * 4 MB. `block` is what the allocator gave, `data` the aligned start inside it. */
typedef struct pith_region {
    const pith_allocator *allocator;
    void *block;
    void *data;
    size_t size;
} pith_region;

/* `allocator` may be NULL. Errors: MEMORY. */
pith_status pith_region_allocate(pith_region *out, size_t size, const pith_allocator *allocator,
                                 pith_error *error);
void pith_region_release(pith_region *region); /* leaves it zeroed */

/* Minimum number of unused bytes after each block of an arena: 0, or with AddressSanitizer a page,
 * so that it reports a read or write past the end of a block. It does not see masked vector stores,
 * such as those of attention's values: the gap is as long as what they may step over between two
 * scalar ones. */
#if defined(__SANITIZE_ADDRESS__)
#define PITH_ARENA_GAP 4096
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define PITH_ARENA_GAP 4096
#endif
#endif
#ifndef PITH_ARENA_GAP
#define PITH_ARENA_GAP 0
#endif

/* Bump allocation out of one region. Lay an object out with a function that takes everything from
 * an arena; run it once on a zeroed arena to measure (all pointers come back NULL, `used` is the
 * size needed), allocate a region of that size, and run it again. Nothing is freed singly; a
 * region may be carved again. */
typedef struct pith_arena {
    unsigned char *base; /* NULL while measuring */
    size_t used;
    bool overflow; /* a size did not fit in size_t */
} pith_arena;

/* count x size bytes aligned to 64; not zeroed. */
void *pith_arena_take(pith_arena *arena, size_t count, size_t size);

#endif
