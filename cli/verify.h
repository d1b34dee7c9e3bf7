/* Recomputing the checksums of a model file. */
#ifndef PITH_CLI_VERIFY_H
#define PITH_CLI_VERIFY_H

#include "cli/cli.h"
#include "weights/pith_file.h"

/* Compares the SHA-256 of every tensor with the one recorded in the metadata.
 * Errors: FORMAT (names the first tensor that differs or has none), STOPPED, MEMORY. */
pith_status pith_verify_file(pith_cli *cli, const pith_model_file *file, size_t n_threads,
                             pith_error *error);

#endif
