/* The hyper-parameters in the metadata of a .pith file: the section "config" of each architecture.
 */
#ifndef PITH_WEIGHTS_CONFIG_H
#define PITH_WEIGHTS_CONFIG_H

#include "base/json.h"
#include "base/json_write.h"
#include "weights/metadata.h"

/* Writes the members that metadata->architecture has. */
void pith_config_write(const pith_metadata *metadata, pith_json_writer *to);

/* Reads and checks them, by metadata->architecture. `where` names the file. Errors: FORMAT,
 * UNSUPPORTED. */
pith_status pith_config_read(pith_metadata *metadata, pith_json object, const char *where,
                             pith_error *error);

/* Rows of the token embedding. */
size_t pith_config_vocab_size(const pith_metadata *metadata);

#endif
