/* A queue that is fair between keys: keys take turns, and what waits under one key is served in the
 * order of arrival. Not locked: the owner's lock guards it. */
#ifndef PITH_SERVER_FAIR_H
#define PITH_SERVER_FAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pith_fair_lane;

/* Embedded in what waits; `owner` points to the container. */
typedef struct pith_fair_item {
    void *owner;
    struct pith_fair_item *next;
    struct pith_fair_lane *lane; /* NULL: not in a queue */
} pith_fair_item;

typedef struct pith_fair_lane {
    int64_t key;
    pith_fair_item *first, *last;
    struct pith_fair_lane *next;
} pith_fair_lane;

/* Zero-initialised means: empty. */
typedef struct pith_fair_queue {
    pith_fair_lane *first, *last; /* the lane whose turn it is comes first */
    size_t n_items;
} pith_fair_queue;

/* Puts an item, whose owner is set, behind all others of its key. False: out of memory. */
bool pith_fair_add(pith_fair_queue *queue, pith_fair_item *item, int64_t key);

/* The first item in the order of turns for which `fits` returns true; NULL: none. `fits` NULL
 * accepts every item. */
pith_fair_item *pith_fair_find(const pith_fair_queue *queue,
                               bool (*fits)(void *user, pith_fair_item *item), void *user);

/* The item's key had its turn: the other keys come first now. */
void pith_fair_served(pith_fair_queue *queue, const pith_fair_item *item);

void pith_fair_remove(pith_fair_queue *queue, pith_fair_item *item);

#endif
