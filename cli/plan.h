/* What a model takes on disk and in memory, found without reading or writing a weight. */
#ifndef PITH_CLI_PLAN_H
#define PITH_CLI_PLAN_H

#include "cli/cli.h"
#include "convert/convert.h"

/* Prints the plan of a .pith file. Errors: those of pith_model_open and pith_session_new. */
pith_status pith_cli_plan_file(pith_cli *cli, const char *path, size_t n_threads,
                               pith_error *error);

/* Prints the plan of the file that a conversion would write: it is made in a temporary directory
 * without its weights, which are a hole there. Errors: those of pith_convert, and as above. */
pith_status pith_cli_plan_conversion(pith_cli *cli, const char *source,
                                     const pith_convert_options *options, pith_error *error);

#endif
