/* Command lines as tables: one row per option with its names, type, bounds, default and help. The
 * same table drives parsing, `pith help CMD` and the man page. */
#ifndef PITH_CLI_OPTIONS_H
#define PITH_CLI_OPTIONS_H

#include "base/status.h"

/* The type of an option fixes the type of the field it writes. */
typedef enum pith_option_kind {
    PITH_OPTION_FLAG,   /* bool: present or not; takes no value */
    PITH_OPTION_TEXT,   /* const char *: low..high bytes (high 0: any) */
    PITH_OPTION_TEXTS,  /* pith_texts: as TEXT, may be repeated */
    PITH_OPTION_COUNT,  /* size_t: decimal, low..high */
    PITH_OPTION_NUMBER, /* pith_number: as COUNT, where 0 and nothing given differ */
    PITH_OPTION_COUNTS, /* const char *: comma list of counts, low..high each, checked here and read
                           with pith_counts_next */
    PITH_OPTION_REAL,   /* double: decimal, low..high */
    PITH_OPTION_SEED,   /* pith_seed: a decimal number below 2^64 */
    PITH_OPTION_CHOICE, /* size_t: 1 + the index in `choices`; 0 when absent */
} pith_option_kind;

enum { PITH_MAX_TEXTS = 16 };

typedef struct pith_texts {
    const char *items[PITH_MAX_TEXTS];
    size_t n;
} pith_texts;

typedef struct pith_number {
    bool given;
    size_t value;
} pith_number;

typedef struct pith_seed {
    bool given;
    uint64_t value;
} pith_seed;

typedef struct pith_option {
    const char *name; /* "threads" for --threads; NULL ends a table */
    char letter;      /* 't' for -t; 0: none */
    pith_option_kind kind;
    const char *argument; /* "THREADS" in the help; NULL for a flag */
    double low, high;
    const char *const *choices; /* NULL-terminated */
    const char *initial;        /* the default, read as if given first; NULL: zero */
    const char *implied;        /* CHOICE: the value of --name alone, any other needs a '='; NULL:
                                   there must be one */
    const char *help;
    const char *hint; /* what to do, behind the message when the option is missing or its number is
                         out of range; NULL: nothing */
    size_t offset;    /* of the field, from the group's struct */
    bool required;
    bool hidden; /* accepted, but not in help, manual or completion: it changes nothing here */
} pith_option;

/* A table and where its struct lies in the settings of a command. */
typedef struct pith_option_group {
    const char *title; /* heading in the help; NULL ends the list */
    const pith_option *options;
    size_t offset;
} pith_option_group;

/* Arguments [n] in a row, in argv. */
typedef struct pith_arguments {
    char **items;
    size_t n;
} pith_arguments;

/* An argument without a dash: a const char * field. Required ones come first, but for an optional
 * one in front of a single required one: one argument alone is the required one. */
typedef struct pith_operand {
    const char *name; /* "MODEL.pith"; NULL ends a table */
    bool optional;
    bool may_be_empty;
    bool many; /* the last one only: any number of them, optional; a pith_arguments field */
    const char *const *choices; /* NULL-terminated; NULL: any text */
    const char *help;
    size_t offset;
} pith_operand;

typedef struct pith_cli pith_cli;

typedef struct pith_command {
    const char *name;
    const char *summary;     /* one line without a full stop */
    const char *description; /* paragraphs separated by "\n\n" */
    const char *example;     /* command lines separated by "\n", or NULL */
    const pith_operand *operands;
    const pith_option_group *groups;
    size_t settings_size;
    int (*run)(pith_cli *cli, const void *settings); /* returns an exit code */
} pith_command;

/* Reads the arguments after the command's name into `settings`, which must be zeroed. Forms:
 * --name VALUE, --name=VALUE, -xVALUE, -x VALUE, and -- before arguments that start with a dash.
 * Options and operands may come in any order; the last of a repeated option counts. Sets *help and
 * stops when --help or -h is met. Strings point into argv, whose order may change. Errors:
 * ARGUMENT. */
pith_status pith_options_parse(const pith_command *command, int argc, char **argv, void *settings,
                               bool *help, pith_error *error);

/* Reads the next number of a checked comma list and moves on; false at the end. */
bool pith_counts_next(const char **list, size_t *value);

#endif
