/* Help texts and the man page, from the command tables. */
#ifndef PITH_CLI_HELP_H
#define PITH_CLI_HELP_H

#include "cli/cli.h"

void pith_help_overview(pith_cli *cli, const pith_command *const *commands, size_t n);
void pith_help_command(pith_cli *cli, const pith_command *command);
void pith_help_man(pith_cli *cli, const pith_command *const *commands, size_t n); /* roff */

#endif
