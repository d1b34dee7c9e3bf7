/* What rank 0 tells the other ranks before each pass: what became of the KV caches of its sessions
 * since the last one, how far they are to be extended, and the rows of the pass. All ranks are the
 * same build on machines of the same byte order, so that numbers go as they lie in memory.
 *
 * A message is a head and a body: events, extents, rows, without gaps. Its first PITH_MESSAGE_FIRST
 * bytes are broadcast at once, which are all of it when a few tokens are generated, then the rest.
 * Then each rank says whether it is ready, and the pass begins if all are. */
#ifndef PITH_ENGINE_PASS_MESSAGE_H
#define PITH_ENGINE_PASS_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PITH_MESSAGE_FIRST = 256,
    PITH_MESSAGE_MARK = 0x50495448,
    PITH_MAX_CACHES = 4096, /* KV caches of a model of several ranks at once */
    PITH_MAX_EVENTS = 4 * PITH_MAX_CACHES,
    PITH_MAX_PASS_ROWS = 1 << 16, /* the largest n_batch */
};

typedef enum pith_message_kind { PITH_MESSAGE_PASS = 1, PITH_MESSAGE_END } pith_message_kind;

typedef struct pith_message_head {
    uint32_t mark;
    uint32_t kind;
    uint32_t n_events, n_extents, n_rows; /* 0 at the end */
} pith_message_head;

typedef enum pith_cache_event_kind {
    PITH_CACHE_BEGIN = 1, /* a new cache under a number that no cache has */
    PITH_CACHE_SHARE,     /* an empty cache shares the first n positions of another */
    PITH_CACHE_END,
} pith_cache_event_kind;

typedef struct pith_cache_event {
    uint32_t kind;
    uint32_t cache;     /* its number, 1 .. PITH_MAX_CACHES */
    uint32_t type;      /* BEGIN: a pith_kv_type */
    uint32_t n_context; /* BEGIN */
    uint32_t n_batch;   /* BEGIN: rows of a pass of its session */
    uint32_t from, n;   /* SHARE */
} pith_cache_event;

/* Positions [n_used, n_used + n) of a cache become writable. */
typedef struct pith_cache_extent {
    uint32_t cache, n_used, n;
} pith_cache_extent;

typedef struct pith_message_row {
    uint32_t cache, position;
    int32_t id;
    uint32_t wants_logits; /* 0 or 1 */
} pith_message_row;

/* What a rank says before a pass. */
typedef enum pith_readiness {
    PITH_READY = 1,
    PITH_NO_MEMORY, /* all leave the pass out */
    PITH_NONSENSE,  /* the message made no sense: the rank gives up */
} pith_readiness;

/* Bytes of a message; 0 when the head makes no sense. */
size_t pith_message_bytes(const pith_message_head *head);

#endif
