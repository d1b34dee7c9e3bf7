/* Databases on media that cannot be written to. */
#ifndef PITH_STORE_FINISHED_H
#define PITH_STORE_FINISHED_H

#include "store/internal.h"

/* After an attempt to open the file in the usual way has failed: when the file is there and was
 * closed properly, so that all of it is in the file itself, *uri is the name to open it under as a
 * file that does not change, released by the caller with pith_release, and the file's state is
 * noted in the store. Else *uri is NULL. Errors: MEMORY, IO (it was not closed properly). */
pith_status pith_finished_uri(pith_store *store, char **uri, pith_error *error);

void pith_finished_free(pith_store *store);

/* Fails when the file of a store opened so has changed since: what was read may be a mixture.
 * Succeeds for other stores. Errors: IO. */
pith_status pith_finished_check(const pith_store *store, pith_error *error);

#endif
