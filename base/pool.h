/* A pool of threads for data-parallel loops. The calling thread takes part, so a pool of one has
 * no thread of its own. Between loops workers spin briefly, then sleep. */
#ifndef PITH_BASE_POOL_H
#define PITH_BASE_POOL_H

#include "pith.h"

typedef struct pith_pool pith_pool;

enum { PITH_MAX_THREADS = 256 };

/* Processes items [begin, end) as thread `thread` (0 is the caller; < pith_pool_threads). */
typedef void (*pith_loop_fn)(void *argument, size_t begin, size_t end, size_t thread);

/* n_threads 0: one per CPU this process may use (cpus.h). Errors: ARGUMENT, MEMORY (also when the
 * system gives no thread). */
pith_status pith_pool_new(pith_pool **out, size_t n_threads, const pith_allocator *allocator,
                          pith_error *error);
void pith_pool_free(pith_pool *pool);
size_t pith_pool_threads(const pith_pool *pool); /* NULL: 1 */

/* Calls fn over all of [0, n_items) in pieces of at most `grain` > 0 items, each item exactly once,
 * and returns when all are done. Every thread starts on a contiguous range of its own, all equally
 * long to the item, and then helps the others; the last pieces of a range are ever smaller, so that
 * no thread waits long for another. When the pool is busy with a loop of another caller, the caller
 * runs its own loop alone (as thread 0), and likewise without a pool (NULL): where pieces run never
 * affects results, only speed. Not to be called from inside fn. */
void pith_pool_run(pith_pool *pool, size_t n_items, size_t grain, pith_loop_fn fn, void *argument);

#endif
