/* Completion scripts for shells, printed from the command tables. */
#ifndef PITH_CLI_COMPLETION_H
#define PITH_CLI_COMPLETION_H

#include "cli/cli.h"

/* Prints the script for "bash", "zsh" or "fish" that completes commands, options, choices and file
 * names; false, and nothing printed, for another shell. */
bool pith_completion_print(pith_cli *cli, const char *shell, const pith_command *const *commands,
                           size_t n);

#endif
