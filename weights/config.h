/* The hyper-parameters in the metadata of a .pith file: the section "config". */
#ifndef PITH_WEIGHTS_CONFIG_H
#define PITH_WEIGHTS_CONFIG_H

#include "base/json.h"
#include "base/json_write.h"
#include "families/config.h"

/* Writes the members that a model of config->role has. */
void pith_config_write(const pith_config *config, pith_json_writer *to);

/* Writes only those members of an encoder that BERT does not have. */
void pith_config_write_further(const pith_config *config, pith_json_writer *to);

/* The lowest version of the format whose readers, if they know the architecture, read all of this
 * configuration. */
int pith_config_format_version(const pith_config *config);

/* Reads and checks them. `where` names the file. Errors: FORMAT, UNSUPPORTED. */
pith_status pith_config_read(pith_config *out, pith_role role, pith_json object, const char *where,
                             pith_error *error);

#endif
