/* Help on the terminal (80 columns) and the manual page in the man macros of roff, both rendered
 * from the command tables. */
#include "cli/help.h"

#include <stdio.h>
#include <string.h>

enum { COLUMNS = 79, HELP_COLUMN = 26 };

/* Writes words of text[0, n) wrapped at COLUMNS, starting at `column`, later lines at `indent`. */
static void write_wrapped(pith_cli *cli, const char *text, size_t n, size_t column, size_t indent) {
    bool first = true;
    while (n > 0) {
        size_t word = 0;
        while (word < n && text[word] != ' ') {
            word++;
        }
        if (!first && column + 1 + word > COLUMNS) {
            pith_cli_print(cli, "\n%*s", (int)indent, "");
            column = indent;
        } else if (!first) {
            pith_cli_write(cli, " ", 1);
            column++;
        }
        pith_cli_write(cli, text, word);
        column += word;
        first = false;
        text += word;
        n -= word;
        while (n > 0 && *text == ' ') {
            text++;
            n--;
        }
    }
    pith_cli_write(cli, "\n", 1);
}

/* "-t, --threads THREADS" */
static void option_label(const pith_option *option, char *out, size_t capacity) {
    char letter[8] = "    ";
    if (option->letter != 0) {
        snprintf(letter, sizeof letter, "-%c, ", option->letter);
    }
    const char *format = option->implied != NULL    ? "%s--%s[=%s]"
                         : option->argument != NULL ? "%s--%s %s"
                                                    : "%s--%s%s";
    snprintf(out, capacity, format, letter, option->name,
             option->argument != NULL ? option->argument : "");
}

/* The help sentence with choices, bounds and default in parentheses, as far as the table has them.
 */
static void option_text(const pith_option *option, char *out, size_t capacity) {
    char facts[300] = "";
    size_t n = 0;
    for (size_t i = 0; option->kind == PITH_OPTION_CHOICE && option->choices[i] != NULL; i++) {
        n += (size_t)snprintf(facts + n, sizeof facts - n, "%s%s", i == 0 ? "" : ", ",
                              option->choices[i]);
    }
    if (option->kind == PITH_OPTION_COUNT || option->kind == PITH_OPTION_COUNTS ||
        option->kind == PITH_OPTION_NUMBER) {
        n += (size_t)snprintf(facts + n, sizeof facts - n, "%.0f to %.0f", option->low,
                              option->high);
    } else if (option->kind == PITH_OPTION_REAL) {
        n += (size_t)snprintf(facts + n, sizeof facts - n, "%g to %g", option->low, option->high);
    }
    const char *joint = n > 0 ? "; " : "";
    if (option->required) {
        n += (size_t)snprintf(facts + n, sizeof facts - n, "%srequired", joint);
    } else if (option->initial != NULL) {
        n += (size_t)snprintf(facts + n, sizeof facts - n, "%sdefault %s", joint, option->initial);
    }
    snprintf(out, capacity, n > 0 ? "%s (%s)" : "%s%s", option->help, facts);
}

/* "pith run [OPTION]... MODEL.pith" with the required options spelled out. */
static void write_synopsis(pith_cli *cli, const pith_command *command, const char *bold,
                           const char *plain) {
    pith_cli_print(cli, "%spith %s%s", bold, command->name, plain);
    for (const pith_operand *operand = command->operands; operand->name != NULL; operand++) {
        const char *format = operand->many ? " [%s...]" : operand->optional ? " [%s]" : " %s";
        pith_cli_print(cli, format, operand->name);
    }
    bool more = false;
    for (const pith_option_group *group = command->groups; group->title != NULL; group++) {
        for (const pith_option *option = group->options; option->name != NULL; option++) {
            if (option->required) {
                pith_cli_print(cli, " %s--%s%s %s", bold, option->name, plain, option->argument);
            } else {
                more = true;
            }
        }
    }
    pith_cli_print(cli, "%s\n", more ? " [OPTION]..." : "");
}

static void write_entry(pith_cli *cli, const char *label, const char *text) {
    size_t column = 2 + strlen(label);
    pith_cli_print(cli, "  %s", label);
    if (column + 2 > HELP_COLUMN) {
        pith_cli_write(cli, "\n", 1);
        column = 0;
    }
    pith_cli_print(cli, "%*s", (int)(HELP_COLUMN - column), "");
    write_wrapped(cli, text, strlen(text), HELP_COLUMN, HELP_COLUMN);
}

void pith_help_overview(pith_cli *cli, const pith_command *const *commands, size_t n) {
    pith_cli_print(cli, "pith runs Llama-family language models and sentence encoders on a "
                        "CPU.\n\n"
                        "Usage: pith COMMAND [ARGUMENT]...\n\nCommands\n");
    for (size_t i = 0; i < n; i++) {
        pith_cli_print(cli, "  %-12s %s\n", commands[i]->name, commands[i]->summary);
    }
    pith_cli_print(
        cli, "\n'pith help COMMAND' explains one, 'pith help --man' prints the manual page,\n"
             "'pith version' the version, 'pith completion bash' (or zsh, fish) a script that\n"
             "completes commands and options.\n\n"
             "Exit codes: 0 success, 1 failure, 2 wrong usage, 130 interrupted.\n");
}

void pith_help_command(pith_cli *cli, const pith_command *command) {
    pith_cli_print(cli, "Usage: ");
    write_synopsis(cli, command, "", "");
    const char *text = command->description;
    while (*text != 0) {
        const char *end = strstr(text, "\n\n");
        size_t n = end != NULL ? (size_t)(end - text) : strlen(text);
        pith_cli_write(cli, "\n", 1);
        write_wrapped(cli, text, n, 0, 0);
        text += end != NULL ? n + 2 : n;
    }
    if (command->operands->name != NULL) {
        pith_cli_print(cli, "\nArguments\n");
    }
    for (const pith_operand *operand = command->operands; operand->name != NULL; operand++) {
        write_entry(cli, operand->name, operand->help);
    }
    for (const pith_option_group *group = command->groups; group->title != NULL; group++) {
        pith_cli_print(cli, "\n%s\n", group->title);
        for (const pith_option *option = group->options; option->name != NULL; option++) {
            char label[80];
            char help[600];
            if (option->hidden) {
                continue;
            }
            option_label(option, label, sizeof label);
            option_text(option, help, sizeof help);
            write_entry(cli, label, help);
        }
    }
    if (command->example != NULL) {
        pith_cli_print(cli, "\nExamples\n");
        for (const char *line = command->example; *line != 0;) {
            size_t n = strcspn(line, "\n");
            pith_cli_print(cli, "  %.*s\n", (int)n, line);
            line += line[n] == '\n' ? n + 1 : n;
        }
    }
}

/* Plain text to roff: '\', '-' and leading '.' and '\'' are escaped; a blank line is a paragraph.
 */
static void write_roff(pith_cli *cli, const char *text) {
    bool line_start = true;
    for (; *text != 0; text++) {
        if (line_start && (*text == '.' || *text == '\'')) {
            pith_cli_print(cli, "\\&");
        }
        line_start = *text == '\n';
        if (text[0] == '\n' && text[1] == '\n') {
            pith_cli_print(cli, "\n.PP\n");
            text++;
        } else if (*text == '\\') {
            pith_cli_print(cli, "\\e");
        } else if (*text == '-') {
            pith_cli_print(cli, "\\-");
        } else {
            pith_cli_write(cli, text, 1);
        }
    }
    pith_cli_write(cli, "\n", 1);
}

static void write_roff_entry(pith_cli *cli, const char *label, const char *text) {
    pith_cli_print(cli, ".TP\n.B ");
    write_roff(cli, label);
    write_roff(cli, text);
}

static void write_man_command(pith_cli *cli, const pith_command *command) {
    pith_cli_print(cli, ".SS pith %s\n", command->name);
    write_synopsis(cli, command, "\\fB", "\\fR");
    pith_cli_print(cli, ".PP\n");
    write_roff(cli, command->description);
    for (const pith_operand *operand = command->operands; operand->name != NULL; operand++) {
        write_roff_entry(cli, operand->name, operand->help);
    }
    for (const pith_option_group *group = command->groups; group->title != NULL; group++) {
        pith_cli_print(cli, ".PP\n");
        write_roff(cli, group->title);
        for (const pith_option *option = group->options; option->name != NULL; option++) {
            char label[80];
            char help[600];
            if (option->hidden) {
                continue;
            }
            option_label(option, label, sizeof label);
            option_text(option, help, sizeof help);
            write_roff_entry(cli, label + strspn(label, " "), help);
        }
    }
    if (command->example != NULL) {
        pith_cli_print(cli, ".PP\nExamples:\n.PP\n.nf\n.RS\n");
        write_roff(cli, command->example);
        pith_cli_print(cli, ".RE\n.fi\n");
    }
}

void pith_help_man(pith_cli *cli, const pith_command *const *commands, size_t n) {
    pith_cli_print(cli,
                   ".TH PITH 1 \"\" \"pith %s\" \"User Commands\"\n.SH NAME\n"
                   "pith \\- run Llama-family language models and sentence encoders on a CPU\n"
                   ".SH SYNOPSIS\n",
                   PITH_VERSION);
    for (size_t i = 0; i < n; i++) {
        write_synopsis(cli, commands[i], "\\fB", "\\fR");
        pith_cli_print(cli, "%s", i + 1 < n ? ".br\n" : "");
    }
    pith_cli_print(cli, ".SH DESCRIPTION\n");
    write_roff(cli, "Each command has options of its own. An option's value may follow as the next "
                    "argument or, after --name, an equals sign; after a letter also without a "
                    "space. Options and operands may come in any order; -- ends the options. The "
                    "last of a repeated option counts.\n\n"
                    "Standard output carries data only: messages and the progress bar go to "
                    "standard error, the bar only when that is a terminal.");
    pith_cli_print(cli, ".SH COMMANDS\n");
    for (size_t i = 0; i < n; i++) {
        write_man_command(cli, commands[i]);
    }
    pith_cli_print(cli, ".SH EXIT STATUS\n");
    write_roff_entry(cli, "0", "Success.");
    write_roff_entry(cli, "1", "Failure; one line on standard error says what was wrong.");
    write_roff_entry(cli, "2", "Wrong usage.");
    write_roff_entry(cli, "130",
                     "Interrupted (Ctrl-C). A second interrupt ends the command at once.");
    pith_cli_print(cli, ".SH ENVIRONMENT\n");
    write_roff_entry(cli, "OPENBLAS_CORETYPE",
                     "Set to SkylakeX on a CPU with AVX-512 unless it is set already: releases of "
                     "OpenBLAS older than the CPU would use slower kernels.");
    write_roff_entry(cli, "XDG_CACHE_HOME",
                     "pith serve keeps converted models in its directory pith; by default in "
                     "~/.cache/pith.");
    write_roff_entry(cli, "LISTEN_PID, LISTEN_FDS",
                     "Set by systemd when it passes a socket on, which pith serve then listens "
                     "on.");
}
