/* The pith command but for main(), which pith-mpi has one of its own of (mpi/main.c). */
#ifndef PITH_CLI_COMMAND_LINE_H
#define PITH_CLI_COMMAND_LINE_H

#include "cli/ranks.h"

/* What must precede every thread and every file: the setting for OpenBLAS, the signals, and file
 * descriptors 0 to 2. */
void pith_command_line_begin(void);

/* Runs the command that argv[1] names and returns the exit code. `ranks` as in pith_cli. */
int pith_command_line_run(const pith_cli_ranks *ranks, int argc, char **argv);

#endif
