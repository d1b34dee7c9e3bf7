/* The sub-commands, one file each. */
#ifndef PITH_CLI_COMMANDS_H
#define PITH_CLI_COMMANDS_H

#include "cli/options.h"

extern const pith_command pith_command_convert;
extern const pith_command pith_command_importance;
extern const pith_command pith_command_inspect;
extern const pith_command pith_command_models;
extern const pith_command pith_command_run;
extern const pith_command pith_command_chat;
extern const pith_command pith_command_tokenize;
extern const pith_command pith_command_detokenize;
extern const pith_command pith_command_template;
extern const pith_command pith_command_logits;
extern const pith_command pith_command_embed;
extern const pith_command pith_command_rerank;
extern const pith_command pith_command_eval;
extern const pith_command pith_command_bench;
extern const pith_command pith_command_index;
extern const pith_command pith_command_search;
extern const pith_command pith_command_serve;
extern const pith_command pith_command_keys;

#endif
