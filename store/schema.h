/* The schema that databases have. */
#ifndef PITH_STORE_SCHEMA_H
#define PITH_STORE_SCHEMA_H

#include "store/internal.h"

enum { PITH_STORE_APPLICATION = 0x70697468 }; /* "pith": "PRAGMA application_id" */

/* Creates everything in an empty database, inside a transaction. */
pith_status pith_schema_create(pith_store *store, pith_error *error);

/* Turns a database of version 1 into one of version 2, inside a transaction. */
pith_status pith_schema_add_prompts(pith_store *store, pith_error *error);

/* Turns a database of an earlier version into one of version 3, which has the tables of
 * server/ledger.h too, inside a transaction. */
pith_status pith_schema_add_ledger(pith_store *store, pith_error *error);

/* Compares the whole schema with the one of its version, unless that was done and nothing has
 * changed since. Errors: FORMAT (the first object that is unexpected, missing or different, by
 * name; a root page that two objects share or the file does not have), those of reading. */
pith_status pith_schema_check(pith_store *store, pith_error *error);

#endif
