/* Finds the .pith file for what a user gave as a model. */
#ifndef PITH_CLI_FIND_MODEL_H
#define PITH_CLI_FIND_MODEL_H

#include "cli/cli.h"

/* A name that is no path is looked for in the usual places (cli/model_list.h). A GGUF file is
 * converted into the user's cache the first time, which is said on standard error,
 * and found there later; any other operand is its own path. With no_cache nothing is written and a
 * GGUF file is refused. *path is malloc'ed. Errors: those of pith_convert, UNSUPPORTED (no_cache,
 * no place for a cache). */
pith_status pith_cli_find_model(pith_cli *cli, const char *operand, size_t n_threads, bool no_cache,
                                char **path, pith_error *error);

/* Does the first part of that: finds the path of the file or directory that is meant. *path is
 * malloc'ed.
 * Errors: ARGUMENT (several models have that name), MEMORY. */
pith_status pith_cli_find_path(const char *operand, char **path, pith_error *error);

#endif
