/* The machine's one turn: every model has threads of its own, and two models computing at once
 * would only slow each other down, so a pass of any model holds the turn. Passes get the turn in
 * the order in which they asked for it. */
#ifndef PITH_SERVER_TURN_H
#define PITH_SERVER_TURN_H

#include <pthread.h>
#include <stdint.h>

typedef struct pith_turn {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t next, now; /* the next ticket, and the one whose turn it is */
} pith_turn;

void pith_turn_init(pith_turn *turn);
void pith_turn_destroy(pith_turn *turn);
void pith_turn_take(pith_turn *turn);
void pith_turn_give(pith_turn *turn);

#endif
