/* The arena of a template or a rendering: blocks that double in size, all given back at once. */
#include "tokenizer/jinja_parts.h"

#include "base/checked.h"
#include "base/memory.h"

#include <string.h>

enum { ALIGNMENT = 16, FIRST_BLOCK = 8 << 10, LARGEST_STEP = 4 << 20 /* bytes */ };

struct pith_jinja_block {
    _Alignas(ALIGNMENT) pith_jinja_block *older;
};

static bool add_block(pith_jinja_arena *arena, size_t needed) {
    size_t size = pith_min_size(pith_max_size(arena->total, FIRST_BLOCK), LARGEST_STEP);
    size = pith_max_size(size, needed + sizeof(pith_jinja_block));
    size = pith_min_size(size, arena->limit - arena->total); /* a limit holds to the byte */
    if (size < needed + sizeof(pith_jinja_block)) {
        arena->exhausted = true;
        return false;
    }
    pith_jinja_block *block = pith_allocate(arena->allocator, size, 1);
    if (block == NULL) {
        return false;
    }
    block->older = arena->blocks;
    arena->blocks = block;
    arena->used = sizeof *block;
    arena->capacity = size;
    arena->total += size;
    return true;
}

void *pith_jinja_take(pith_jinja_arena *arena, size_t count, size_t size) {
    size_t n;
    if (!pith_mul_size(count, size, &n) || n > arena->limit) {
        arena->exhausted = true;
        return NULL;
    }
    n = pith_round_up(pith_max_size(n, 1), ALIGNMENT);
    if ((arena->blocks == NULL || n > arena->capacity - arena->used) && !add_block(arena, n)) {
        return NULL;
    }
    char *taken = (char *)arena->blocks + arena->used;
    arena->used += n;
    memset(taken, 0, n);
    return taken;
}

void pith_jinja_arena_release(pith_jinja_arena *arena) {
    while (arena->blocks != NULL) {
        pith_jinja_block *older = arena->blocks->older;
        pith_release(arena->allocator, arena->blocks);
        arena->blocks = older;
    }
}
