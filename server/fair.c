/* Keys as a list of lanes, each a list of items; the lists are as short as the bounded queues of
 * the service, so they are walked. */
#include "server/fair.h"

#include <stdlib.h>

static pith_fair_lane *find_lane(const pith_fair_queue *queue, int64_t key) {
    pith_fair_lane *lane = queue->first;
    while (lane != NULL && lane->key != key) {
        lane = lane->next;
    }
    return lane;
}

static void append_lane(pith_fair_queue *queue, pith_fair_lane *lane) {
    lane->next = NULL;
    if (queue->last == NULL) {
        queue->first = lane;
    } else {
        queue->last->next = lane;
    }
    queue->last = lane;
}

static void unlink_lane(pith_fair_queue *queue, pith_fair_lane *lane) {
    pith_fair_lane *before = NULL;
    for (pith_fair_lane *at = queue->first; at != lane; at = at->next) {
        before = at;
    }
    if (before == NULL) {
        queue->first = lane->next;
    } else {
        before->next = lane->next;
    }
    if (queue->last == lane) {
        queue->last = before;
    }
}

bool pith_fair_add(pith_fair_queue *queue, pith_fair_item *item, int64_t key) {
    pith_fair_lane *lane = find_lane(queue, key);
    if (lane == NULL) {
        lane = calloc(1, sizeof *lane);
        if (lane == NULL) {
            return false;
        }
        lane->key = key;
        append_lane(queue, lane);
    }
    item->next = NULL;
    item->lane = lane;
    if (lane->last == NULL) {
        lane->first = item;
    } else {
        lane->last->next = item;
    }
    lane->last = item;
    queue->n_items++;
    return true;
}

pith_fair_item *pith_fair_find(const pith_fair_queue *queue,
                               bool (*fits)(void *user, pith_fair_item *item), void *user) {
    for (pith_fair_lane *lane = queue->first; lane != NULL; lane = lane->next) {
        for (pith_fair_item *item = lane->first; item != NULL; item = item->next) {
            if (fits == NULL || fits(user, item)) {
                return item;
            }
        }
    }
    return NULL;
}

void pith_fair_served(pith_fair_queue *queue, const pith_fair_item *item) {
    unlink_lane(queue, item->lane);
    append_lane(queue, item->lane);
}

void pith_fair_remove(pith_fair_queue *queue, pith_fair_item *item) {
    pith_fair_lane *lane = item->lane;
    pith_fair_item *before = NULL;
    for (pith_fair_item *at = lane->first; at != item; at = at->next) {
        before = at;
    }
    if (before == NULL) {
        lane->first = item->next;
    } else {
        before->next = item->next;
    }
    if (lane->last == item) {
        lane->last = before;
    }
    item->lane = NULL;
    item->next = NULL;
    queue->n_items--;
    if (lane->first == NULL) {
        unlink_lane(queue, lane);
        free(lane);
    }
}
