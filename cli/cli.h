/* What every sub-command shares: exit codes, writing to standard output, messages, interrupts, the
 * progress bar, and reading texts.
 *
 * Standard output carries data only. Everything else goes to standard error as one line,
 * "pith CMD: what was wrong". A command returns an exit code and never exits by itself. */
#ifndef PITH_CLI_CLI_H
#define PITH_CLI_CLI_H

#include "base/file.h"
#include "base/json_write.h"
#include "base/status.h"
#include "cli/options.h"
#include "cli/ranks.h"

enum {
    PITH_EXIT_OK = 0,
    PITH_EXIT_FAILURE = 1,
    PITH_EXIT_USAGE = 2,
    PITH_EXIT_INTERRUPTED = 130, /* 128 + SIGINT, as shells count */
};

/* One run of a command. */
struct pith_cli {
    const char *name;            /* of the command, for messages; NULL before it is known */
    int output_error;            /* errno of the first failed write to standard output; 0: none */
    bool bar;                    /* a progress bar stands on the terminal's last line */
    bool verbose;                /* information from the library is shown, not only warnings */
    const pith_cli_ranks *ranks; /* that open each decoder too; NULL: this process is alone */
};

/* ---- Output ---------------------------------------------------------------------------------- */

/* All three return false when standard output has failed, now or before; once it has, nothing more
 * is written. */
bool pith_cli_write(pith_cli *cli, const char *text, size_t n_bytes);
bool pith_cli_print(pith_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool pith_cli_flush(pith_cli *cli);

/* As pith_cli_print for strings that came from a file: control characters become '?', so that a
 * file cannot steer the terminal. */
bool pith_cli_print_name(pith_cli *cli, const char *text);

/* Writes the document that `json` holds and a newline, and releases it. Errors: those of
 * pith_json_write_end, which nothing is written for; a failing standard output is none of them. */
pith_status pith_cli_print_document(pith_cli *cli, pith_json_writer *json, pith_error *error);

/* Makes the first failed allocation of jansson one that no later one follows, so that
 * pith_cli_print_json knows of it. jansson itself may go on with part of a document. Called once,
 * before any JSON value is made. */
void pith_cli_guard_json(void);

/* Writes a JSON document (a json_t *) and a newline. False also when memory ran out at any time
 * since pith_cli_guard_json. */
bool pith_cli_print_json(pith_cli *cli, const void *json, size_t flags);

/* Flushes standard output and returns the exit code: `code`, or failure when output has failed. A
 * closed pipe gets no message. */
int pith_cli_finish(pith_cli *cli, int code);

/* ---- Messages -------------------------------------------------------------------------------- */

/* One line on standard error, without control characters. */
void pith_cli_message(pith_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As pith_cli_message, for success: only where standard error is a terminal, or with --verbose. */
void pith_cli_tell(pith_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* On a terminal says what the command waits for: "reading texts, one a line, from the terminal;
 * Ctrl-D ends". `what`: "texts, one a line". */
void pith_cli_await(pith_cli *cli, const char *what);

/* Reports an error and returns the exit code: 130 without a message when the user stopped the
 * command. */
int pith_cli_fail(pith_cli *cli, const pith_error *error);

/* Reports wrong usage; returns PITH_EXIT_USAGE. */
int pith_cli_usage(pith_cli *cli, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The log callback; `user` is the pith_cli. */
void pith_cli_log(void *user, pith_log_level level, const char *message);

/* ---- Interrupts ------------------------------------------------------------------------------ */

/* From now on SIGINT sets a flag (cleared here) and interrupts a blocking read. With `once` a
 * second SIGINT ends the process. */
void pith_interrupt_catch(bool once);
bool pith_interrupted(void);

typedef enum pith_wait {
    PITH_WAIT_READABLE,    /* read will not block; an error is for it to report */
    PITH_WAIT_INTERRUPTED, /* SIGINT came, now or since pith_interrupt_catch */
    PITH_WAIT_SIGNAL,      /* another signal was handled */
} pith_wait;

/* Waits for a descriptor to become readable, missing no SIGINT. */
pith_wait pith_interrupt_wait(int fd);

/* ---- Progress -------------------------------------------------------------------------------- */

typedef struct pith_progress {
    pith_cli *cli;
    const char *unit; /* "weights" */
    bool shown;       /* standard error is a terminal */
    double start;     /* seconds */
    double drawn;     /* when the bar was last drawn */
} pith_progress;

void pith_progress_begin(pith_progress *progress, pith_cli *cli, const char *unit);
void pith_progress_update(pith_progress *progress, size_t done, size_t total);
/* For work whose steps differ: `part` of the time (0 to 1) and a word for what is under way. */
void pith_progress_show(pith_progress *progress, double part, const char *text);
void pith_progress_end(pith_progress *progress); /* removes the bar, until the next update */

double pith_cli_seconds(void); /* a monotonic clock */

/* A size for people: "4.18 GB" (powers of 1000). */
typedef struct pith_size_text {
    char text[24];
} pith_size_text;
pith_size_text pith_size_format(double amount, const char *unit);

/* ---- Files ----------------------------------------------------------------------------------- */

/* Reads all of a file, pipe or standard input ("-"), at most 256 MiB; *text is malloc'ed and has a
 * NUL after its *n_bytes bytes. Errors: IO, FORMAT (too large), MEMORY, STOPPED. */
pith_status pith_cli_read(const char *path, char **text, size_t *n_bytes, pith_error *error);

/* As pith_cli_read, from an open file that nothing was read of. */
pith_status pith_cli_read_file(const pith_file *file, char **text, size_t *n_bytes,
                               pith_error *error);

/* Replaces the escapes \n, \t, \r, \e, \\, \", \', \xHH and \uHHHH in `text`, which gets
 * shorter. Errors: ARGUMENT (another escape, \x00, a surrogate). */
pith_status pith_cli_unescape(char *text, pith_error *error);

/* Warns of Windows line endings, which cost a token each and mislead the model. */
void pith_cli_warn_crlf(pith_cli *cli, const char *name, const char *text, size_t n_bytes);

/* Standard input line by line; starts zeroed. A byte order mark before the first line is skipped.
 */
typedef struct pith_lines {
    char *data; /* [capacity], of which [begin, end) is not yet given out */
    size_t begin, end, capacity;
    bool finished; /* nothing more to read */
    size_t number; /* lines given out, blank ones included */
} pith_lines;

/* Returns the next line without its newline, borrowed until the next call; the caller may change
 * it; *end is set instead at the end of the input. Errors: IO, FORMAT (a line longer than 256 MiB),
 * MEMORY, STOPPED. */
pith_status pith_cli_read_line(pith_lines *lines, char **line, size_t *n_bytes, bool *end,
                               pith_error *error);

/* As pith_cli_read_line for JSON Lines: skips lines of white space alone. */
pith_status pith_cli_read_json_line(pith_lines *lines, char **line, size_t *n_bytes, bool *end,
                                    pith_error *error);
void pith_lines_release(pith_lines *lines);

/* The library counts the texts of a call; whoever reads the message counts lines: in a message that
 * names one of n texts puts the number of its line, numbers [n] from 1. NULL: the text was no line,
 * and the only one. */
void pith_cli_name_line(const size_t *numbers, size_t n, pith_error *error);

/* Refuses an output path that exists and is not a regular file, or that is the same file as
 * `input` (or one of the files in it, when it is a directory). Errors: IO. */
pith_status pith_cli_check_output(const char *path, const char *input, pith_error *error);

#endif
