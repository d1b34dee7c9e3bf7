/* Rank 0 of several (team.h): tells the other ranks of its sessions' caches and of its passes. The
 * other end is follow.c. Without a team these do nothing, and every pass may begin. */
#ifndef PITH_ENGINE_LEAD_H
#define PITH_ENGINE_LEAD_H

#include "engine/session.h"
#include "engine/team.h"

/* Errors: MEMORY. */
pith_status pith_leader_new(pith_team *team, const pith_allocator *allocator, pith_error *error);
void pith_leader_free(pith_team *team, const pith_allocator *allocator);

/* On rank 0 of ranks that agreed: sends all others home. */
void pith_lead_end(pith_team *team);

/* A new cache, of a session with this n_batch: gives it a number. The others hear of it with the
 * next pass, at the latest when many have begun. Any thread, as the next two. Errors: MEMORY, IO,
 * UNSUPPORTED (rank 0 alone has sessions; more than PITH_MAX_CACHES). */
pith_status pith_lead_cache(const pith_model *model, pith_kv_cache *kv, size_t n_batch,
                            pith_error *error);

/* pith_kv_share, right after pith_lead_cache(to). */
void pith_lead_share(const pith_model *model, const pith_kv_cache *to, const pith_kv_cache *from,
                     size_t n);

/* pith_kv_end. */
void pith_lead_cache_end(const pith_model *model, const pith_kv_cache *kv);

/* Tells the others of a pass, in front of which the caches of sessions [n_sessions] are extended by
 * n_tokens each. With PITH_OK the pass begins, and pith_lead_done must follow it; until then other
 * threads that begin a pass wait. Errors: MEMORY (a rank has none; nothing has changed), IO (a rank
 * is lost). */
pith_status pith_lead_pass(const pith_forward *pass, pith_session *const *sessions,
                           const size_t *n_tokens, size_t n_sessions, pith_error *error);

/* UNSUPPORTED when the model has several ranks, which cannot do `what`. */
pith_status pith_lead_refuse(const pith_model *model, const char *what, pith_error *error);

/* Errors: IO (a rank was lost, and what the pass computed is of no use). */
pith_status pith_lead_done(const pith_model *model, pith_error *error);

#endif
