/* See tables.h. Spellings are hashed by FNV-1a (Fowler, Noll, Vo 1991), pairs by multiplication
 * with the golden ratio (Knuth, The Art of Computer Programming 3, section 6.4); both end in a
 * shift-multiply step so that all bits reach the low ones. */
#include "tokenizer/tables.h"

#include "base/status.h"

#include <string.h>

static uint64_t mix(uint64_t hash) {
    hash ^= hash >> 32;
    hash *= UINT64_C(0x9E3779B97F4A7C15);
    return hash ^ hash >> 29;
}

static uint64_t hash_text(const char *text, size_t n) {
    uint64_t hash = UINT64_C(0xCBF29CE484222325);
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001B3);
    }
    return mix(hash);
}

static uint64_t hash_pair(uint32_t left, uint32_t right) {
    return mix(((uint64_t)left << 32 | right) * UINT64_C(0x9E3779B97F4A7C15));
}

/* A power of two with room for n items at half load. */
static size_t slots_for(size_t n) {
    size_t slots = 16;
    while (slots < 2 * n) {
        slots *= 2;
    }
    return slots;
}

/* A slot of the pieces' table has 32 bits, so that the table of a large vocabulary fits in a cache,
 * and that of a hostile file takes less memory than the file. */
enum { ID_BITS = 21 };
#define ID_MASK ((UINT32_C(1) << ID_BITS) - 1)
_Static_assert(PITH_VOCAB_MAX_PIECES <= ID_MASK, "an id and one more must fit");

static uint32_t tag_of(uint64_t hash) {
    return (uint32_t)(hash >> 32) & ~ID_MASK;
}

static uint32_t id_of(uint32_t slot) {
    return (slot & ID_MASK) - 1;
}

static bool spelled(const pith_piece_table *table, uint32_t id, const char *text, size_t n) {
    uint32_t start = table->offsets[id];
    return table->offsets[id + 1] - start == n && memcmp(table->bytes + start, text, n) == 0;
}

/* The slot of a spelling or the empty one where it belongs; NULL when the probe is too long. */
static uint32_t *piece_slot(const pith_piece_table *table, uint64_t hash, const char *text,
                            size_t n) {
    size_t at = (size_t)hash & table->mask;
    for (size_t probe = 0; probe < PITH_TABLE_MAX_PROBES; probe++) {
        uint32_t slot = table->slots[at];
        if (slot == 0 ||
            ((slot & ~ID_MASK) == tag_of(hash) && spelled(table, id_of(slot), text, n))) {
            return &table->slots[at];
        }
        at = (at + 1) & table->mask;
    }
    return NULL;
}

pith_status pith_piece_table_build(pith_piece_table *out, const char *bytes,
                                   const uint32_t *offsets, const uint8_t *types, size_t n_pieces,
                                   const pith_allocator *allocator, pith_error *error) {
    size_t n_slots = slots_for(n_pieces);
    pith_piece_table table = {.bytes = bytes, .offsets = offsets, .mask = n_slots - 1};
    table.slots = pith_allocate_zeroed(allocator, n_slots, sizeof *table.slots);
    if (table.slots == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a table of %zu pieces", n_pieces);
    }
    for (size_t id = 0; id < n_pieces; id++) {
        const char *text = bytes + offsets[id];
        size_t n = offsets[id + 1] - offsets[id];
        if (n == 0 || types[id] == 0) {
            continue;
        }
        uint64_t hash = hash_text(text, n);
        uint32_t *slot = piece_slot(&table, hash, text, n);
        if (slot == NULL) {
            pith_release(allocator, table.slots);
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "piece %zu: its spelling collides with %d others", id,
                             PITH_TABLE_MAX_PROBES);
        }
        bool better = *slot != 0 && types[id] == PITH_PIECE_NORMAL &&
                      types[id_of(*slot)] != PITH_PIECE_NORMAL;
        if (*slot == 0 || better) {
            *slot = tag_of(hash) | (uint32_t)(id + 1);
        }
        table.longest = n > table.longest ? n : table.longest;
    }
    *out = table;
    return PITH_OK;
}

int32_t pith_piece_table_find(const pith_piece_table *table, const char *text, size_t n_bytes) {
    if (n_bytes == 0 || n_bytes > table->longest) {
        return -1;
    }
    const uint32_t *slot = piece_slot(table, hash_text(text, n_bytes), text, n_bytes);
    return slot != NULL && *slot != 0 ? (int32_t)id_of(*slot) : -1;
}

static pith_merge_slot *merge_slot(const pith_merge_table *table, uint32_t left, uint32_t right) {
    size_t at = (size_t)hash_pair(left, right) & table->mask;
    for (size_t probe = 0; probe < PITH_TABLE_MAX_PROBES; probe++) {
        pith_merge_slot *slot = &table->slots[at];
        if (slot->rank == UINT32_MAX || (slot->left == left && slot->right == right)) {
            return slot;
        }
        at = (at + 1) & table->mask;
    }
    return NULL;
}

pith_status pith_merge_table_build(pith_merge_table *out, const uint32_t *merges, size_t n_merges,
                                   const uint8_t *types, const pith_allocator *allocator,
                                   pith_error *error) {
    size_t n_slots = slots_for(n_merges);
    pith_merge_table table = {.mask = n_slots - 1};
    table.slots = pith_allocate(allocator, n_slots, sizeof *table.slots);
    if (table.slots == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a table of %zu merges", n_merges);
    }
    memset(table.slots, 0xFF, n_slots * sizeof *table.slots);
    for (size_t rank = 0; rank < n_merges; rank++) {
        const uint32_t *merge = merges + 3 * rank;
        if (types[merge[2]] == PITH_PIECE_CONTROL) {
            continue;
        }
        pith_merge_slot *slot = merge_slot(&table, merge[0], merge[1]);
        if (slot == NULL) {
            pith_release(allocator, table.slots);
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "merge %zu: its pair collides with %d others", rank,
                             PITH_TABLE_MAX_PROBES);
        }
        *slot = (pith_merge_slot){merge[0], merge[1], (uint32_t)rank, merge[2]};
    }
    *out = table;
    return PITH_OK;
}

const pith_merge_slot *pith_merge_table_find(const pith_merge_table *table, uint32_t left,
                                             uint32_t right) {
    const pith_merge_slot *slot = merge_slot(table, left, right);
    return slot != NULL && slot->rank != UINT32_MAX ? slot : NULL;
}
