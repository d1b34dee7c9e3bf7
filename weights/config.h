/* The hyper-parameters in the metadata of a .pith file: the section "config" of each architecture.
 */
#ifndef PITH_WEIGHTS_CONFIG_H
#define PITH_WEIGHTS_CONFIG_H

#include "weights/metadata.h"

#include <jansson.h>

/* Adds the members that metadata->architecture has to an object. Errors: MEMORY, ARGUMENT (a number
 * that JSON cannot hold, an unknown architecture). */
pith_status pith_config_write(const pith_metadata *metadata, json_t *object, pith_error *error);

/* Reads and checks them, by metadata->architecture. `where` names the file. Errors: FORMAT,
 * UNSUPPORTED. */
pith_status pith_config_read(pith_metadata *metadata, const json_t *object, const char *where,
                             pith_error *error);

/* Rows of the token embedding. */
size_t pith_config_vocab_size(const pith_metadata *metadata);

#endif
