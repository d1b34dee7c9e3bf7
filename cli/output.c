/* Standard output, messages, and the errors that end a command. */
#include "cli/cli.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool output_failed(pith_cli *cli) {
    if (cli->output_error == 0) {
        cli->output_error = errno != 0 ? errno : EIO;
    }
    return false;
}

bool pith_cli_write(pith_cli *cli, const char *text, size_t n_bytes) {
    if (cli->output_error != 0) {
        return false;
    }
    errno = 0;
    return fwrite(text, 1, n_bytes, stdout) == n_bytes || output_failed(cli);
}

bool pith_cli_print(pith_cli *cli, const char *format, ...) {
    if (cli->output_error != 0) {
        return false;
    }
    va_list arguments;
    va_start(arguments, format);
    errno = 0;
    int n = vprintf(format, arguments);
    va_end(arguments);
    return n >= 0 || output_failed(cli);
}

bool pith_cli_flush(pith_cli *cli) {
    if (cli->output_error != 0) {
        return false;
    }
    errno = 0;
    return fflush(stdout) == 0 || output_failed(cli);
}

static char printable(char c) {
    return (unsigned char)c < 0x20 || c == 0x7f ? '?' : c;
}

bool pith_cli_print_name(pith_cli *cli, const char *text) {
    bool good = true;
    for (size_t i = 0; good && text[i] != 0; i++) {
        char c = printable(text[i]);
        good = pith_cli_write(cli, &c, 1);
    }
    return good;
}

pith_status pith_cli_print_document(pith_cli *cli, pith_json_writer *json, pith_error *error) {
    pith_status status = pith_json_write_end(json, "the result", error);
    if (status == PITH_OK) {
        pith_cli_write(cli, json->bytes.data, json->bytes.size);
        pith_cli_write(cli, "\n", 1);
    }
    pith_bytes_release(&json->bytes);
    return status;
}

/* jansson's hooks take no user pointer. */
static atomic_bool json_out_of_memory;

static void *json_allocate(size_t size) {
    void *block = json_out_of_memory ? NULL : malloc(size);
    if (block == NULL) {
        json_out_of_memory = true;
    }
    return block;
}

void pith_cli_guard_json(void) {
    json_set_alloc_funcs(json_allocate, free);
}

static int write_json(const char *text, size_t n_bytes, void *user) {
    return pith_cli_write(user, text, n_bytes) ? 0 : -1;
}

bool pith_cli_print_json(pith_cli *cli, const void *json, size_t flags) {
    if (json_out_of_memory || json_dump_callback(json, write_json, cli, flags) != 0 ||
        json_out_of_memory) {
        errno = ENOMEM;
        return output_failed(cli);
    }
    return pith_cli_write(cli, "\n", 1);
}

static void write_message(pith_cli *cli, const char *kind, const char *text) {
    char line[1200];
    const char *space = cli->name != NULL ? " " : "";
    int n = snprintf(line, sizeof line, "pith%s%s: %s%s", space, cli->name != NULL ? cli->name : "",
                     kind, text);
    for (int i = 0; i < n && line[i] != 0; i++) {
        line[i] = printable(line[i]);
    }
    fprintf(stderr, "%s%s\n", cli->bar ? "\r\033[K" : "", line);
    cli->bar = false;
}

void pith_cli_message(pith_cli *cli, const char *format, ...) {
    char text[1000];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    write_message(cli, "", text);
}

void pith_cli_tell(pith_cli *cli, const char *format, ...) {
    char text[1000];
    if (!cli->verbose && isatty(STDERR_FILENO) == 0) {
        return;
    }
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    write_message(cli, "", text);
}

void pith_cli_await(pith_cli *cli, const char *what) {
    if (isatty(STDIN_FILENO) != 0) {
        pith_cli_message(cli, "reading %s, from the terminal; Ctrl-D ends", what);
    }
}

void pith_cli_warn_crlf(pith_cli *cli, const char *name, const char *text, size_t n_bytes) {
    if (memmem(text, n_bytes, "\r\n", 2) != NULL) {
        pith_cli_message(cli,
                         "warning: %s has Windows line endings (CRLF): each costs a token that the "
                         "model rarely saw; sed 's/\\r$//' takes them out",
                         name);
    }
}

void pith_cli_log(void *user, pith_log_level level, const char *message) {
    pith_cli *cli = user;
    if (level == PITH_LOG_WARNING || cli->verbose) {
        write_message(cli, level == PITH_LOG_WARNING ? "warning: " : "", message);
    }
}

int pith_cli_usage(pith_cli *cli, const char *format, ...) {
    char text[800];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    pith_cli_message(cli, "%s (see 'pith help%s%s')", text, cli->name != NULL ? " " : "",
                     cli->name != NULL ? cli->name : "");
    return PITH_EXIT_USAGE;
}

int pith_cli_fail(pith_cli *cli, const pith_error *error) {
    if (cli->output_error != 0) {
        return PITH_EXIT_FAILURE; /* pith_cli_finish says why */
    }
    if (error->status == PITH_ERROR_STOPPED && pith_interrupted()) {
        return PITH_EXIT_INTERRUPTED;
    }
    write_message(cli, "", error->message);
    return PITH_EXIT_FAILURE;
}

int pith_cli_finish(pith_cli *cli, int code) {
    pith_cli_flush(cli);
    if (cli->output_error == 0) {
        return code;
    }
    if (cli->output_error != EPIPE) {
        pith_cli_message(cli, "writing standard output: %s", strerror(cli->output_error));
    }
    return code == PITH_EXIT_OK ? PITH_EXIT_FAILURE : code;
}
