/* The option parser. Numbers are read strictly: decimal digits within the bounds of the table, no
 * sign of its own, no space, nothing after them. */
#include "cli/options.h"

#include "cli/suggest.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 40, MAX_NAMES = 64 };

static bool read_u64(const char *text, size_t n, uint64_t *out) {
    char digits[24];
    if (n == 0 || n >= sizeof digits) {
        return false;
    }
    memcpy(digits, text, n);
    digits[n] = 0;
    if (strspn(digits, "0123456789") != n) {
        return false;
    }
    errno = 0;
    *out = strtoull(digits, NULL, 10);
    return errno == 0;
}

static bool read_count(const pith_option *option, const char *text, size_t n, size_t *out) {
    uint64_t value;
    if (!read_u64(text, n, &value) || value > SIZE_MAX || (double)value < option->low ||
        (double)value > option->high) {
        return false;
    }
    *out = (size_t)value;
    return true;
}

static bool read_real(const pith_option *option, const char *text, double *out) {
    if (*text == 0 || text[strspn(text, "0123456789+-.eE")] != 0) {
        return false;
    }
    char *end;
    double value = strtod(text, &end);
    if (*end != 0 || !isfinite(value) || value < option->low || value > option->high) {
        return false;
    }
    *out = value;
    return true;
}

static bool check_counts(const pith_option *option, const char *text) {
    for (;;) {
        size_t n = strcspn(text, ",");
        size_t value;
        if (!read_count(option, text, n, &value)) {
            return false;
        }
        if (text[n] == 0) {
            return true;
        }
        text += n + 1;
    }
}

bool pith_counts_next(const char **list, size_t *value) {
    if (**list == 0) {
        return false;
    }
    char *end;
    *value = (size_t)strtoull(*list, &end, 10);
    *list = *end == ',' ? end + 1 : end;
    return true;
}

static pith_status bad_value(const pith_option *option, const char *text, pith_error *error) {
    char name[MAX_NAME];
    snprintf(name, sizeof name, "--%s", option->name);
    switch (option->kind) {
    case PITH_OPTION_COUNT:
    case PITH_OPTION_NUMBER:
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s takes a whole number from %.0f to %.0f, not '%s'%s%s", name,
                         option->low, option->high, text, option->hint != NULL ? ": " : "",
                         option->hint != NULL ? option->hint : "");
    case PITH_OPTION_COUNTS:
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s takes whole numbers from %.0f to %.0f separated by commas, not '%s'",
                         name, option->low, option->high, text);
    case PITH_OPTION_REAL:
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s takes a number from %g to %g, not '%s'",
                         name, option->low, option->high, text);
    case PITH_OPTION_SEED:
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s takes a whole number below 2^64, not '%s'",
                         name, text);
    case PITH_OPTION_TEXT:
    case PITH_OPTION_TEXTS:
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s takes a text of %.0f to %.0f bytes, not %zu", name, option->low,
                         option->high, strlen(text));
    case PITH_OPTION_FLAG:
    case PITH_OPTION_CHOICE:
        break;
    }
    return pith_fail(error, PITH_ERROR_ARGUMENT, "%s takes no value", name);
}

/* *out: 1 + the index of `text` in `choices`. `name` is "--type" or "ACTION". */
static pith_status set_choice(const char *name, const char *const *choices, const char *text,
                              size_t *out, pith_error *error) {
    char all[160] = "";
    size_t n = 0;
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(choices[i], text) == 0) {
            *out = i + 1;
            return PITH_OK;
        }
        size_t used = strlen(all);
        snprintf(all + used, sizeof all - used, "%s%s", i > 0 ? ", " : "", choices[i]);
        n++;
    }
    const char *near = pith_nearest(text, choices, n);
    return pith_fail(error, PITH_ERROR_ARGUMENT, "%s takes one of %s, not '%s'%s%s%s", name, all,
                     text, near != NULL ? "; did you mean " : "", near != NULL ? near : "",
                     near != NULL ? "?" : "");
}

static pith_status set_value(const pith_option *option, const char *text, void *field,
                             pith_error *error) {
    size_t length = text != NULL ? strlen(text) : 0;
    bool fits =
        option->high <= 0 || ((double)length >= option->low && (double)length <= option->high);
    bool good = false;
    switch (option->kind) {
    case PITH_OPTION_FLAG:
        good = text == NULL;
        *(bool *)field = true;
        break;
    case PITH_OPTION_TEXT:
        good = fits;
        *(const char **)field = text;
        break;
    case PITH_OPTION_TEXTS: {
        pith_texts *texts = field;
        if (texts->n == PITH_MAX_TEXTS) {
            return pith_fail(error, PITH_ERROR_ARGUMENT, "--%s may be given at most %d times",
                             option->name, PITH_MAX_TEXTS);
        }
        good = fits;
        texts->items[texts->n++] = text;
        break;
    }
    case PITH_OPTION_COUNT:
        good = read_count(option, text, length, field);
        break;
    case PITH_OPTION_NUMBER: {
        pith_number *number = field;
        number->given = true;
        good = read_count(option, text, length, &number->value);
        break;
    }
    case PITH_OPTION_COUNTS:
        good = check_counts(option, text);
        *(const char **)field = text;
        break;
    case PITH_OPTION_REAL:
        good = read_real(option, text, field);
        break;
    case PITH_OPTION_SEED: {
        pith_seed *seed = field;
        seed->given = true;
        good = read_u64(text, length, &seed->value);
        break;
    }
    case PITH_OPTION_CHOICE: {
        char name[MAX_NAME];
        snprintf(name, sizeof name, "--%s", option->name);
        return set_choice(name, option->choices, text, field, error);
    }
    }
    return good ? PITH_OK : bad_value(option, text, error);
}

/* Finds an option by name [n], or by letter when `name` is NULL. */
static const pith_option *find_option(const pith_command *command, const char *name, size_t n,
                                      char letter, size_t *offset) {
    for (const pith_option_group *group = command->groups; group->title != NULL; group++) {
        for (const pith_option *option = group->options; option->name != NULL; option++) {
            bool same = name != NULL
                            ? strlen(option->name) == n && memcmp(option->name, name, n) == 0
                            : option->letter == letter;
            if (same) {
                *offset = group->offset + option->offset;
                return option;
            }
        }
    }
    return NULL;
}

/* "-m" and "--model" are how other programs are told the model. */
static bool means_model(const pith_command *command, const char *name) {
    const char *first = command->operands->name;
    return first != NULL && strncmp(first, "MODEL", 5) == 0 &&
           (strcmp(name, "m") == 0 || strcmp(name, "model") == 0 ||
            strcmp(name, "model-path") == 0);
}

static pith_status unknown_model_option(const pith_command *command, const char *option,
                                        pith_error *error) {
    return pith_fail(error, PITH_ERROR_ARGUMENT,
                     "unknown option %s; the model is an argument of its own: pith %s %s", option,
                     command->name, command->operands->name);
}

static pith_status unknown_option(const pith_command *command, const char *name, size_t n,
                                  pith_error *error) {
    const char *names[MAX_NAMES];
    size_t n_names = 0;
    char typed[MAX_NAME + 1];
    for (const pith_option_group *group = command->groups; group->title != NULL; group++) {
        for (const pith_option *option = group->options; option->name != NULL; option++) {
            assert(n_names < MAX_NAMES);
            names[n_names++] = option->name;
        }
    }
    snprintf(typed, sizeof typed, "%.*s", (int)(n < MAX_NAME ? n : MAX_NAME), name);
    if (means_model(command, typed)) {
        return unknown_model_option(command, "--model", error);
    }
    const char *near = pith_nearest(typed, names, n_names);
    if (near != NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "unknown option --%s; did you mean --%s?",
                         typed, near);
    }
    return pith_fail(error, PITH_ERROR_ARGUMENT, "unknown option --%s", typed);
}

typedef struct parse_state {
    const pith_command *command;
    int argc;
    char **argv;
    int next; /* argument to look at */
    unsigned char *settings;
    size_t n_operands;
    const pith_option *given[MAX_NAMES]; /* options met so far */
    size_t n_given;
} parse_state;

/* A value that is no number but a choice of another option ("-t int4") was probably meant for that
 * option. */
static pith_status suggest_choice(const pith_command *command, const char *value,
                                  pith_error *error) {
    for (const pith_option_group *group = command->groups; group->title != NULL; group++) {
        for (const pith_option *option = group->options; option->name != NULL; option++) {
            for (size_t i = 0; option->choices != NULL && option->choices[i] != NULL; i++) {
                if (error != NULL && strcmp(option->choices[i], value) == 0) {
                    char message[sizeof error->message];
                    memcpy(message, error->message, sizeof message);
                    return pith_fail(error, PITH_ERROR_ARGUMENT, "%s; did you mean --%s %s?",
                                     message, option->name, value);
                }
            }
        }
    }
    return PITH_ERROR_ARGUMENT;
}

/* Sets the option; its value is `value`, or the next argument when that is NULL. */
static pith_status take_option(parse_state *state, const pith_option *option, size_t offset,
                               const char *value, pith_error *error) {
    if (value == NULL && option->implied != NULL) {
        value = option->implied;
    } else if (value == NULL && option->kind != PITH_OPTION_FLAG) {
        if (state->next == state->argc) {
            return pith_fail(error, PITH_ERROR_ARGUMENT, "--%s needs a value: --%s %s",
                             option->name, option->name, option->argument);
        }
        value = state->argv[state->next++];
    }
    if (state->n_given < MAX_NAMES) {
        state->given[state->n_given++] = option;
    }
    pith_status status = set_value(option, value, state->settings + offset, error);
    bool number = option->kind == PITH_OPTION_COUNT || option->kind == PITH_OPTION_REAL;
    return status != PITH_OK && number ? suggest_choice(state->command, value, error) : status;
}

static pith_status take_long(parse_state *state, const char *argument, pith_error *error) {
    size_t n = strcspn(argument, "=");
    size_t offset;
    const pith_option *option = find_option(state->command, argument, n, 0, &offset);
    if (option == NULL) {
        return unknown_option(state->command, argument, n, error);
    }
    return take_option(state, option, offset, argument[n] == '=' ? argument + n + 1 : NULL, error);
}

static pith_status take_short(parse_state *state, const char *argument, pith_error *error) {
    size_t offset;
    const pith_option *option = find_option(state->command, NULL, 0, argument[0], &offset);
    if (option == NULL) {
        const char name[] = {argument[0], '\0'};
        return means_model(state->command, name)
                   ? unknown_model_option(state->command, "-m", error)
                   : pith_fail(error, PITH_ERROR_ARGUMENT, "unknown option -%s", name);
    }
    return take_option(state, option, offset, argument[1] != 0 ? argument + 1 : NULL, error);
}

static pith_status take_operand(parse_state *state, char *argument, pith_error *error) {
    const pith_operand *operand = state->command->operands;
    for (size_t i = 0; i < state->n_operands && operand->name != NULL && !operand->many; i++) {
        operand++;
    }
    if (operand->name == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "unexpected argument '%s'", argument);
    }
    if (*argument == 0 && !operand->may_be_empty) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "%s is empty", operand->name);
    }
    if (operand->many) {
        /* They gather at the beginning of argv, where all has been read. */
        pith_arguments *arguments = (pith_arguments *)(void *)(state->settings + operand->offset);
        arguments->items = state->argv;
        arguments->items[arguments->n++] = argument;
        return PITH_OK;
    }
    if (operand->choices != NULL) {
        size_t choice;
        pith_status status = set_choice(operand->name, operand->choices, argument, &choice, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    const char *text = argument;
    memcpy(state->settings + operand->offset, &text, sizeof text);
    state->n_operands++;
    return PITH_OK;
}

static pith_status set_defaults(parse_state *state, pith_error *error) {
    for (const pith_option_group *group = state->command->groups; group->title != NULL; group++) {
        for (const pith_option *option = group->options; option->name != NULL; option++) {
            void *field = state->settings + group->offset + option->offset;
            pith_status status = PITH_OK;
            if (option->initial != NULL) {
                status = set_value(option, option->initial, field, error);
            }
            if (status != PITH_OK) {
                return status;
            }
        }
    }
    return PITH_OK;
}

/* Moves the one argument of "[SRC] OUT.pith" from the first operand to the second. */
static void yield_operand(parse_state *state) {
    const pith_operand *first = state->command->operands;
    if (state->n_operands == 1 && first[0].optional && first[1].name != NULL &&
        !first[1].optional && !first[1].many) {
        static const char *const none = NULL;
        memcpy(state->settings + first[1].offset, state->settings + first[0].offset, sizeof none);
        memcpy(state->settings + first[0].offset, &none, sizeof none);
        state->n_operands = 2;
    }
}

static pith_status check_required(const parse_state *state, pith_error *error) {
    size_t i = 0;
    for (const pith_operand *operand = state->command->operands; operand->name != NULL; operand++) {
        if (i++ >= state->n_operands && !operand->optional && !operand->many) {
            return pith_fail(error, PITH_ERROR_ARGUMENT, "%s is missing", operand->name);
        }
    }
    for (const pith_option_group *group = state->command->groups; group->title != NULL; group++) {
        for (const pith_option *option = group->options; option->name != NULL; option++) {
            bool given = !option->required;
            for (size_t g = 0; g < state->n_given; g++) {
                given = given || state->given[g] == option;
            }
            if (!given) {
                return pith_fail(error, PITH_ERROR_ARGUMENT, "--%s %s is missing%s%s", option->name,
                                 option->argument, option->hint != NULL ? ": " : "",
                                 option->hint != NULL ? option->hint : "");
            }
        }
    }
    return PITH_OK;
}

pith_status pith_options_parse(const pith_command *command, int argc, char **argv, void *settings,
                               bool *help, pith_error *error) {
    parse_state state = {.command = command, .argc = argc, .argv = argv, .settings = settings};
    bool options_end = false;
    pith_status status = set_defaults(&state, error);
    *help = false;
    while (status == PITH_OK && state.next < argc) {
        char *argument = argv[state.next++];
        if (options_end || argument[0] != '-' || argument[1] == 0) {
            status = take_operand(&state, argument, error);
        } else if (strcmp(argument, "--") == 0) {
            options_end = true;
        } else if (strcmp(argument, "--help") == 0 || strcmp(argument, "-h") == 0) {
            *help = true;
            return PITH_OK;
        } else if (argument[1] == '-') {
            status = take_long(&state, argument + 2, error);
        } else {
            status = take_short(&state, argument + 1, error);
        }
    }
    if (status != PITH_OK) {
        return status;
    }
    yield_operand(&state);
    return check_required(&state, error);
}
