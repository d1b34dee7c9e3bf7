/* The machine's one turn: a lock that threads get in the order in which they ask for it. A plain
 * mutex may be taken again at once by the thread that released it, and another model would wait for
 * long. */
#include "server/turn.h"

void pith_turn_init(pith_turn *turn) {
    pthread_mutex_init(&turn->lock, NULL);
    pthread_cond_init(&turn->changed, NULL);
    turn->next = 0;
    turn->now = 0;
}

void pith_turn_destroy(pith_turn *turn) {
    pthread_cond_destroy(&turn->changed);
    pthread_mutex_destroy(&turn->lock);
}

void pith_turn_take(pith_turn *turn) {
    pthread_mutex_lock(&turn->lock);
    uint64_t ticket = turn->next++;
    while (turn->now != ticket) {
        pthread_cond_wait(&turn->changed, &turn->lock);
    }
    pthread_mutex_unlock(&turn->lock);
}

void pith_turn_give(pith_turn *turn) {
    pthread_mutex_lock(&turn->lock);
    turn->now++;
    pthread_cond_broadcast(&turn->changed);
    pthread_mutex_unlock(&turn->lock);
}
