/* The command line: finds the sub-command, reads its arguments, runs it. */
#include "cli/command_line.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/completion.h"
#include "cli/help.h"
#include "cli/suggest.h"
#include "simd/kernels.h"

static const pith_command *const commands[] = {
    &pith_command_convert,    &pith_command_importance, &pith_command_inspect,
    &pith_command_run,        &pith_command_chat,       &pith_command_tokenize,
    &pith_command_detokenize, &pith_command_template,   &pith_command_logits,
    &pith_command_embed,      &pith_command_rerank,     &pith_command_eval,
    &pith_command_bench,      &pith_command_index,      &pith_command_search,
    &pith_command_serve,      &pith_command_keys,       &pith_command_models,
};

enum { N_COMMANDS = sizeof commands / sizeof commands[0] };

static const pith_command *find_command(const char *name) {
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (strcmp(commands[i]->name, name) == 0) {
            return commands[i];
        }
    }
    return NULL;
}

/* The commands without a table of options. */
static const char *const plain_commands[] = {"help", "version", "completion"};

enum { N_PLAIN = sizeof plain_commands / sizeof plain_commands[0] };

static int unknown_command(pith_cli *cli, const char *name) {
    const char *names[N_COMMANDS + N_PLAIN];
    for (size_t i = 0; i < N_COMMANDS; i++) {
        names[i] = commands[i]->name;
    }
    memcpy(names + N_COMMANDS, plain_commands, sizeof plain_commands);
    const char *near = pith_nearest(name + strspn(name, "-"), names, N_COMMANDS + N_PLAIN);
    if (near != NULL) {
        return pith_cli_usage(cli, "unknown command '%s'; did you mean '%s'?", name, near);
    }
    return pith_cli_usage(cli, "unknown command '%s'", name);
}

/* A closed descriptor 0, 1 or 2 would be reused for the next file that is opened, and messages
 * would be written into a model. Each gets a file that fails when used as it should be. */
static void open_standard_files(void) {
    for (int fd = 0; fd < 3; fd++) {
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", fd == 1 ? O_RDONLY : O_WRONLY) != fd) {
            _exit(PITH_EXIT_FAILURE);
        }
    }
}

/* OpenBLAS reads its environment when it is loaded; its older releases do not know newer x86 CPUs
 * and would choose AVX2 kernels there. The kernel table knows what CPU and system can run. */
static void prepare_blas(void) {
    if (pith_kernels_find("avx512") != NULL) {
        setenv("OPENBLAS_CORETYPE", "SkylakeX", 0);
    }
}

/* Any of up to three names. */
static bool is_one_of(const char *argument, const char *a, const char *b, const char *c) {
    return strcmp(argument, a) == 0 || strcmp(argument, b) == 0 || strcmp(argument, c) == 0;
}

static int show_help(pith_cli *cli, int argc, char **argv) {
    if (argc == 0) {
        pith_help_overview(cli, commands, N_COMMANDS);
        return PITH_EXIT_OK;
    }
    if (argc > 1) {
        return pith_cli_usage(cli, "unexpected argument '%s'", argv[1]);
    }
    if (is_one_of(argv[0], "help", "version", "completion")) {
        pith_help_overview(cli, commands, N_COMMANDS);
        return PITH_EXIT_OK;
    }
    if (strcmp(argv[0], "--man") == 0) {
        pith_help_man(cli, commands, N_COMMANDS);
        return PITH_EXIT_OK;
    }
    const pith_command *command = find_command(argv[0]);
    if (command == NULL) {
        return unknown_command(cli, argv[0]);
    }
    pith_help_command(cli, command);
    return PITH_EXIT_OK;
}

static int run_command(pith_cli *cli, const pith_command *command, int argc, char **argv) {
    pith_error error;
    bool help;
    cli->name = command->name;
    void *settings = calloc(1, command->settings_size);
    if (settings == NULL) {
        pith_cli_message(cli, "out of memory");
        return PITH_EXIT_FAILURE;
    }
    int code = PITH_EXIT_OK;
    if (pith_options_parse(command, argc, argv, settings, &help, &error) != PITH_OK) {
        code = pith_cli_usage(cli, "%s", error.message);
    } else if (help) {
        pith_help_command(cli, command);
    } else {
        pith_interrupt_catch(true);
        code = command->run(cli, settings);
    }
    free(settings);
    return code;
}

static int show_version(pith_cli *cli) {
    pith_cli_print(cli, "pith %s\n", pith_version());
    return PITH_EXIT_OK;
}

static int print_completion(pith_cli *cli, int argc, char **argv) {
    if (argc != 1 || !pith_completion_print(cli, argv[0], commands, N_COMMANDS)) {
        return pith_cli_usage(cli, "completion takes one of bash, zsh, fish");
    }
    return PITH_EXIT_OK;
}

static int dispatch(pith_cli *cli, int argc, char **argv) {
    if (argc < 2) {
        return pith_cli_usage(cli, "a command is missing");
    }
    if (is_one_of(argv[1], "version", "--version", "-V")) {
        return show_version(cli);
    }
    if (is_one_of(argv[1], "help", "--help", "-h")) {
        return show_help(cli, argc - 2, argv + 2);
    }
    if (strcmp(argv[1], "completion") == 0) {
        return print_completion(cli, argc - 2, argv + 2);
    }
    const pith_command *command = find_command(argv[1]);
    if (command == NULL) {
        return unknown_command(cli, argv[1]);
    }
    return run_command(cli, command, argc - 2, argv + 2);
}

void pith_command_line_begin(void) {
    open_standard_files();
    pith_cli_guard_json();
    prepare_blas();
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of write, handled like others */
}

int pith_command_line_run(const pith_cli_ranks *ranks, int argc, char **argv) {
    pith_cli cli = {.ranks = ranks};
    return pith_cli_finish(&cli, dispatch(&cli, argc, argv));
}
