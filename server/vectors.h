/* The service's connections to the collections of its database: one for readers, one for writers,
 * each used by one thread at a time. Without a database the collections are in memory, and there is
 * one connection. */
#ifndef PITH_SERVER_VECTORS_H
#define PITH_SERVER_VECTORS_H

#include "store/store.h"

typedef struct pith_vectors pith_vectors;

/* `path` NULL: in memory. Nothing is opened before it is used. Errors: MEMORY. */
pith_status pith_vectors_new(pith_vectors **out, const char *path, pith_error *error);
void pith_vectors_free(pith_vectors *vectors); /* accepts NULL */

/* A connection for reading, in one state of the database, or for writing, in a transaction. Blocks
 * while another thread has it. Errors: those of pith_store_open and pith_store_begin. */
pith_status pith_vectors_read(pith_vectors *vectors, pith_store **out, pith_error *error);
pith_status pith_vectors_write(pith_vectors *vectors, pith_store **out, pith_error *error);

/* Give it back. A writer's changes are committed when `status` is PITH_OK, else rolled back;
 * returns the final status. */
void pith_vectors_end_read(pith_vectors *vectors);
pith_status pith_vectors_end_write(pith_vectors *vectors, pith_status status, pith_error *error);

#endif
