/* One script for each shell. All three complete the same things: the command's name, then its
 * options, the choices of an option or of the first operand that has some, and file names for
 * everything else. Help sentences are cut at their first semicolon and quoted for the shell. */
#include "cli/completion.h"

#include <string.h>

typedef void (*option_fn)(pith_cli *cli, const pith_command *command, const pith_option *option);

static void each_option(pith_cli *cli, const pith_command *command, option_fn print) {
    for (const pith_option_group *group = command->groups; group->title != NULL; group++) {
        for (const pith_option *option = group->options; option->name != NULL; option++) {
            if (!option->hidden) {
                print(cli, command, option);
            }
        }
    }
}

static void print_words(pith_cli *cli, const char *const *words) {
    for (size_t i = 0; words[i] != NULL; i++) {
        pith_cli_print(cli, "%s%s", i > 0 ? " " : "", words[i]);
    }
}

static void print_choices(pith_cli *cli, const pith_option *option) {
    print_words(cli, option->choices);
}

/* The beginning of a help sentence inside single quotes; `special` characters become spaces. */
static void print_quoted(pith_cli *cli, const char *text, const char *special) {
    size_t n = strcspn(text, ";");
    pith_cli_print(cli, "'");
    for (size_t i = 0; i < n; i++) {
        bool quote = text[i] == '\'';
        if (!quote) {
            char c = strchr(special, text[i]) != NULL ? ' ' : text[i];
            pith_cli_write(cli, &c, 1);
        }
    }
    pith_cli_print(cli, "'");
}

/* ---- bash ------------------------------------------------------------------------------------ */

static void bash_name(pith_cli *cli, const pith_command *command, const pith_option *option) {
    (void)command;
    pith_cli_print(cli, " --%s", option->name);
}

static void bash_choice(pith_cli *cli, const pith_command *command, const pith_option *option) {
    if (option->kind == PITH_OPTION_CHOICE && option->implied == NULL) {
        pith_cli_print(cli, "    %s,--%s) words='", command->name, option->name);
        print_choices(cli, option);
        pith_cli_print(cli, "' ;;\n");
    }
}

static void print_bash(pith_cli *cli, const pith_command *const *commands, size_t n) {
    pith_cli_print(cli, "# pith completion bash > /etc/bash_completion.d/pith\n"
                        "_pith() {\n"
                        "    local word=${COMP_WORDS[COMP_CWORD]} words=\n"
                        "    if [ \"$COMP_CWORD\" = 1 ]; then\n"
                        "        words='help version completion");
    for (size_t i = 0; i < n; i++) {
        pith_cli_print(cli, " %s", commands[i]->name);
    }
    pith_cli_print(cli, "'\n"
                        "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                        "        return\n"
                        "    fi\n"
                        "    case ${COMP_WORDS[1]},${COMP_WORDS[COMP_CWORD-1]} in\n");
    for (size_t i = 0; i < n; i++) {
        each_option(cli, commands[i], bash_choice);
    }
    pith_cli_print(cli, "    completion,*) words='bash zsh fish' ;;\n"
                        "    *) case $word,${COMP_WORDS[1]},$COMP_CWORD in\n");
    for (size_t i = 0; i < n; i++) {
        pith_cli_print(cli, "        -*,%s,*) words='--help", commands[i]->name);
        each_option(cli, commands[i], bash_name);
        pith_cli_print(cli, "' ;;\n");
        if (commands[i]->operands->choices != NULL) {
            pith_cli_print(cli, "        *,%s,2) words='", commands[i]->name);
            print_words(cli, commands[i]->operands->choices);
            pith_cli_print(cli, "' ;;\n");
        }
    }
    pith_cli_print(cli, "        esac ;;\n"
                        "    esac\n"
                        "    mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$word\")\n"
                        "}\n"
                        "complete -o default -F _pith pith\n");
}

/* ---- zsh ------------------------------------------------------------------------------------- */

static void zsh_option(pith_cli *cli, const pith_command *command, const pith_option *option) {
    (void)command;
    const char *value = option->kind == PITH_OPTION_FLAG ? ""
                        : option->implied != NULL        ? "=-"
                                                         : "=";
    pith_cli_print(cli, "            '*--%s%s'", option->name, value);
    pith_cli_print(cli, "\\[");
    print_quoted(cli, option->help, "[]:\\");
    pith_cli_print(cli, "\\]");
    if (option->kind == PITH_OPTION_CHOICE) {
        pith_cli_print(cli, option->implied != NULL ? "'::%s:(" : "':%s:(", option->name);
        print_choices(cli, option);
        pith_cli_print(cli, ")'");
    } else if (option->kind != PITH_OPTION_FLAG) {
        pith_cli_print(cli, "':%s:_files'", option->name);
    }
    pith_cli_print(cli, " \\\n");
}

static void print_zsh(pith_cli *cli, const pith_command *const *commands, size_t n) {
    pith_cli_print(cli, "#compdef pith\n"
                        "# pith completion zsh > _pith, in a directory of $fpath\n"
                        "_pith() {\n"
                        "    if (( CURRENT == 2 )); then\n"
                        "        local -a names\n"
                        "        names=(help version completion");
    for (size_t i = 0; i < n; i++) {
        pith_cli_print(cli, "\n            %s\\:", commands[i]->name);
        print_quoted(cli, commands[i]->summary, ":\\");
    }
    pith_cli_print(cli, ")\n"
                        "        _describe command names\n"
                        "        return\n"
                        "    fi\n"
                        "    local name=$words[2]\n"
                        "    shift words\n"
                        "    (( CURRENT-- ))\n"
                        "    case $name in\n"
                        "    completion) _values shell bash zsh fish ;;\n");
    for (size_t i = 0; i < n; i++) {
        pith_cli_print(cli, "    %s)\n        _arguments -s \\\n", commands[i]->name);
        each_option(cli, commands[i], zsh_option);
        if (commands[i]->operands->choices != NULL) {
            pith_cli_print(cli, "            '1:%s:(", commands[i]->operands->name);
            print_words(cli, commands[i]->operands->choices);
            pith_cli_print(cli, ")' \\\n");
        }
        pith_cli_print(cli, "            '*:file:_files' ;;\n");
    }
    pith_cli_print(cli, "    esac\n}\n_pith \"$@\"\n");
}

/* ---- fish ------------------------------------------------------------------------------------ */

static void fish_option(pith_cli *cli, const pith_command *command, const pith_option *option) {
    pith_cli_print(cli, "complete -c pith -n '__fish_seen_subcommand_from %s' -l %s", command->name,
                   option->name);
    if (option->letter != 0) {
        pith_cli_print(cli, " -s %c", option->letter);
    }
    if (option->kind == PITH_OPTION_CHOICE) {
        pith_cli_print(cli, option->implied != NULL ? " -f -a '" : " -x -a '");
        print_choices(cli, option);
        pith_cli_print(cli, "'");
    } else if (option->kind != PITH_OPTION_FLAG) {
        pith_cli_print(cli, " -r");
    }
    pith_cli_print(cli, " -d ");
    print_quoted(cli, option->help, "\\");
    pith_cli_print(cli, "\n");
}

static void print_fish(pith_cli *cli, const pith_command *const *commands, size_t n) {
    pith_cli_print(cli, "# pith completion fish > ~/.config/fish/completions/pith.fish\n"
                        "complete -c pith -n __fish_use_subcommand -f "
                        "-a 'help version completion'\n"
                        "complete -c pith -n '__fish_seen_subcommand_from completion' -f "
                        "-a 'bash zsh fish'\n");
    for (size_t i = 0; i < n; i++) {
        pith_cli_print(cli, "complete -c pith -n __fish_use_subcommand -f -a %s -d ",
                       commands[i]->name);
        print_quoted(cli, commands[i]->summary, "\\");
        pith_cli_print(cli, "\n");
        if (commands[i]->operands->choices != NULL) {
            pith_cli_print(cli, "complete -c pith -n '__fish_seen_subcommand_from %s' -a '",
                           commands[i]->name);
            print_words(cli, commands[i]->operands->choices);
            pith_cli_print(cli, "'\n");
        }
        each_option(cli, commands[i], fish_option);
    }
}

bool pith_completion_print(pith_cli *cli, const char *shell, const pith_command *const *commands,
                           size_t n) {
    static const struct {
        const char *shell;
        void (*print)(pith_cli *cli, const pith_command *const *commands, size_t n);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof shells / sizeof shells[0]; i++) {
        if (strcmp(shells[i].shell, shell) == 0) {
            shells[i].print(cli, commands, n);
            return true;
        }
    }
    return false;
}
