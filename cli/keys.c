/* pith keys: the API keys of the service, in the database that `pith serve --db` reads. */
#include <sodium.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/utf8.h"
#include "cli/cli.h"
#include "cli/commands.h"
#include "server/ledger.h"

typedef struct keys_settings {
    const char *action, *database, *name;
    pith_number infer, embed, tokens;
    bool json;
} keys_settings;

static const char *const actions[] = {"add", "list", "revoke", "limits", NULL};

static const pith_operand operands[] = {
    {.name = "ACTION",
     .choices = actions,
     .help =
         "add makes a key and prints it, list shows names and limits, revoke ends a key, limits "
         "changes the limits that are given",
     .offset = offsetof(keys_settings, action)},
    {.name = "DB",
     .help = "the database; add makes it, or uses one of pith index",
     .offset = offsetof(keys_settings, database)},
    {.name = "NAME",
     .optional = true,
     .help = "the key's name, for all but list; it is what usage is counted by",
     .offset = offsetof(keys_settings, name)},
    {.name = NULL},
};

static const pith_option options[] = {
    {.name = "infer-per-hour",
     .kind = PITH_OPTION_NUMBER,
     .argument = "N",
     .high = PITH_QUOTA_MAX,
     .help = "completions and chats in any hour, 0 for no limit; a new key has 75",
     .hint = "0 is no limit",
     .offset = offsetof(keys_settings, infer)},
    {.name = "embed-per-hour",
     .kind = PITH_OPTION_NUMBER,
     .argument = "N",
     .high = PITH_QUOTA_MAX,
     .help = "embedding requests in any hour, 0 for no limit; a new key has 200",
     .hint = "0 is no limit",
     .offset = offsetof(keys_settings, embed)},
    {.name = "max-tokens",
     .kind = PITH_OPTION_NUMBER,
     .argument = "N",
     .high = PITH_QUOTA_MAX_TOKENS,
     .help = "tokens of one answer, 0 for no limit; a new key has 1024",
     .hint = "0 is no limit",
     .offset = offsetof(keys_settings, tokens)},
    {.name = "json",
     .kind = PITH_OPTION_FLAG,
     .help = "list: one JSON object a line",
     .offset = offsetof(keys_settings, json)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Options", options, 0},
    {NULL, NULL, 0},
};

/* ---- list ------------------------------------------------------------------------------------ */

/* "2026-11-27", UTC. */
static void format_date(int64_t seconds, char *text, size_t size) {
    time_t time = (time_t)seconds;
    struct tm date;
    if (gmtime_r(&time, &date) == NULL || strftime(text, size, "%Y-%m-%d", &date) == 0) {
        snprintf(text, size, "?");
    }
}

static void print_limit(pith_cli *cli, size_t limit) {
    char text[24];
    snprintf(text, sizeof text, "%zu", limit);
    pith_cli_print(cli, "  %10s", limit > 0 ? text : "no limit");
}

static void print_key(pith_cli *cli, const pith_key *key) {
    char date[24];
    format_date(key->created, date, sizeof date);
    pith_cli_print(cli, "%-10s  %-7s", date, key->revoked ? "revoked" : "valid");
    print_limit(cli, key->infer_per_hour);
    print_limit(cli, key->embed_per_hour);
    print_limit(cli, key->max_tokens);
    pith_cli_print(cli, "  ");
    pith_cli_print_name(cli, key->name);
    pith_cli_print(cli, "\n");
}

/* A hostile database may have names that are not UTF-8, which JSON cannot express. */
static pith_status print_json(pith_cli *cli, const pith_key *key, pith_error *error) {
    pith_json_writer json;
    size_t n = strlen(key->name);
    pith_json_write_begin(&json, NULL);
    json.style = PITH_JSON_SPACED;
    pith_json_open(&json, NULL, '{');
    if (pith_utf8_check(key->name, n) == n) {
        pith_json_put_text(&json, "name", key->name);
    } else {
        pith_json_put_null(&json, "name");
    }
    pith_json_put_integer(&json, "infer_per_hour", (int64_t)key->infer_per_hour);
    pith_json_put_integer(&json, "embed_per_hour", (int64_t)key->embed_per_hour);
    pith_json_put_integer(&json, "max_tokens", (int64_t)key->max_tokens);
    pith_json_put_integer(&json, "created", key->created);
    pith_json_put_bool(&json, "revoked", key->revoked);
    pith_json_close(&json, '}');
    return pith_cli_print_document(cli, &json, error);
}

typedef struct key_printer {
    pith_cli *cli;
    bool json;
    size_t n;
    pith_status status; /* of printing */
    pith_error *error;
} key_printer;

static bool print_next(void *user, const pith_key *key) {
    key_printer *printer = user;
    if (printer->json) {
        printer->status = print_json(printer->cli, key, printer->error);
    } else {
        if (printer->n == 0) {
            pith_cli_print(printer->cli, "%-10s  %-7s  %10s  %10s  %10s  %s\n", "made", "state",
                           "infer/hour", "embed/hour", "max tokens", "name");
        }
        print_key(printer->cli, key);
    }
    printer->n++;
    return printer->status == PITH_OK && printer->cli->output_error == 0;
}

static pith_status list(pith_cli *cli, const keys_settings *settings, pith_ledger *ledger,
                        pith_error *error) {
    key_printer printer = {.cli = cli, .json = settings->json, .error = error};
    pith_status status = pith_ledger_keys(ledger, print_next, &printer, error);
    return status == PITH_OK ? printer.status : status;
}

/* ---- The other actions ----------------------------------------------------------------------- */

static void set_limits(const keys_settings *settings, pith_key *key) {
    key->infer_per_hour = settings->infer.given ? settings->infer.value : key->infer_per_hour;
    key->embed_per_hour = settings->embed.given ? settings->embed.value : key->embed_per_hour;
    key->max_tokens = settings->tokens.given ? settings->tokens.value : key->max_tokens;
}

static pith_status add(pith_cli *cli, const keys_settings *settings, pith_ledger *ledger,
                       pith_error *error) {
    char text[PITH_KEY_TEXT];
    pith_key key = {.infer_per_hour = PITH_QUOTA_INFER,
                    .embed_per_hour = PITH_QUOTA_EMBED,
                    .max_tokens = PITH_QUOTA_TOKENS};
    memcpy(key.name, settings->name, strlen(settings->name) + 1);
    set_limits(settings, &key);
    pith_status status = pith_ledger_add_key(ledger, &key, text, error);
    if (status == PITH_OK) {
        pith_cli_print(cli, "%s\n", text);
        sodium_memzero(text, sizeof text);
        /* A key that could not be printed is of no use, and its name would stay taken. */
        if (!pith_cli_flush(cli)) {
            status = pith_ledger_revoke_key(ledger, key.name, error);
        }
    }
    return status;
}

static pith_status change_limits(const keys_settings *settings, pith_ledger *ledger,
                                 pith_error *error) {
    pith_key key;
    pith_status status = pith_ledger_find_key(ledger, settings->name, &key, error);
    if (status != PITH_OK) {
        return status;
    }
    set_limits(settings, &key);
    return pith_ledger_set_limits(ledger, &key, error);
}

/* ---- Running --------------------------------------------------------------------------------- */

/* Says what is wrong about an action's arguments; NULL: nothing. */
static const char *find_misuse(const keys_settings *settings, bool listing, bool limiting) {
    bool limits = settings->infer.given || settings->embed.given || settings->tokens.given;
    if (listing) {
        return settings->name != NULL ? "list takes no NAME"
               : limits               ? "limits belong to add and limits"
                                      : NULL;
    }
    return settings->name == NULL                    ? "NAME is missing"
           : settings->json                          ? "--json belongs to list"
           : strlen(settings->name) >= PITH_KEY_NAME ? "NAME has more than 127 bytes"
           : limiting && !limits ? "give at least one of --infer-per-hour, --embed-per-hour and "
                                   "--max-tokens"
           : limits && !limiting && strcmp(settings->action, "add") != 0
               ? "limits belong to add and limits"
               : NULL;
}

_Static_assert(PITH_KEY_NAME == 128, "the message above");

static int run_keys(pith_cli *cli, const void *arguments) {
    const keys_settings *settings = arguments;
    bool adding = strcmp(settings->action, "add") == 0;
    bool listing = strcmp(settings->action, "list") == 0;
    bool limiting = strcmp(settings->action, "limits") == 0;
    pith_ledger *ledger = NULL;
    pith_error error;
    const char *misuse = find_misuse(settings, listing, limiting);
    if (misuse != NULL) {
        return pith_cli_usage(cli, "%s", misuse);
    }
    pith_status status = adding ? pith_ledger_open(&ledger, settings->database, &error)
                                : pith_ledger_open_existing(&ledger, settings->database, &error);
    if (status == PITH_OK) {
        status = adding     ? add(cli, settings, ledger, &error)
                 : listing  ? list(cli, settings, ledger, &error)
                 : limiting ? change_limits(settings, ledger, &error)
                            : pith_ledger_revoke_key(ledger, settings->name, &error);
    }
    pith_ledger_close(ledger);
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_keys = {
    .name = "keys",
    .summary = "make, list, limit and revoke the API keys of the service",
    .description =
        "A database with keys makes 'pith serve --db DB' ask for one. 'pith keys add' prints the "
        "new key, alone, on standard output: it is shown once, as the database has only its hash. "
        "Limits count requests in any 60 minutes; a request for several answers or with several "
        "texts is one.\n\nA running service sees every change at once. A revoked key stays in the "
        "list, for its usage, and its name is not used again.",
    .example = "pith keys add service.db alice > alice.key\n"
               "pith keys add service.db batch --infer-per-hour 0 --max-tokens 4096\n"
               "pith keys limits service.db alice --embed-per-hour 1000\n"
               "pith keys list service.db\n"
               "pith keys revoke service.db alice",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(keys_settings),
    .run = run_keys,
};
