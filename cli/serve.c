/* pith serve: the HTTP service. The command finds what belongs to this machine (models that ship,
 * cache, systemd's socket); the service itself reads no environment. */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/checked.h"
#include "cli/commands.h"
#include "cli/model.h"
#include "cli/places.h"
#include "server/server.h"

enum { FIRST_SOCKET = 3 }; /* of those that systemd passes on */

typedef struct serve_settings {
    const char *models, *database, *host, *cache, *memory, *tls_cert, *tls_key, *tuning;
    pith_texts aliases, origins;
    size_t port, context, parallel, queue, threads, kv, log_level, drain, timeout;
    bool open;
} serve_settings;

static const char *const log_levels[] = {"error", "warning", "info", "debug", NULL};
_Static_assert(PITH_LOG_WANTED_ERROR == 0 && PITH_LOG_WANTED_DEBUG == 3, "--log-level is an index");

static const pith_operand operands[] = {{.name = NULL}};

static const pith_option model_options[] = {
    {.name = "models",
     .kind = PITH_OPTION_TEXT,
     .argument = "DIR",
     .low = 1,
     .help =
         "directory of models: NAME.pith, NAME.gguf, NAME/ or llama/NAME/ with Hugging Face files, "
         "all-minilm-l6-v2/; the models that ship are served beside them",
     .offset = offsetof(serve_settings, models)},
    {.name = "alias",
     .kind = PITH_OPTION_TEXTS,
     .argument = "NAME=MODEL",
     .low = 3,
     .help = "another name of a model; may be given up to 16 times",
     .offset = offsetof(serve_settings, aliases)},
    {.name = "cache",
     .kind = PITH_OPTION_TEXT,
     .argument = "DIR",
     .low = 1,
     .help = "directory for converted models, by default $XDG_CACHE_HOME/pith or ~/.cache/pith",
     .offset = offsetof(serve_settings, cache)},
    {.name = "memory-limit",
     .kind = PITH_OPTION_TEXT,
     .argument = "SIZE",
     .low = 1,
     .help = "bytes of weights and KV caches, as 8G or 500M: the model not used for longest is "
             "unloaded to make room",
     .offset = offsetof(serve_settings, memory)},
    {.name = "context",
     .letter = 'c',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1 << 24,
     .help = "positions of a conversation, by default the model's",
     .offset = offsetof(serve_settings, context)},
    {.name = "parallel",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 1024,
     .initial = "8",
     .help = "texts of a model generated at once",
     .offset = offsetof(serve_settings, parallel)},
    {.name = "queue",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 100000,
     .initial = "64",
     .help = "requests of a model that may wait; one more is answered 503",
     .offset = offsetof(serve_settings, queue)},
    {.name = "threads",
     .letter = 't',
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .low = 1,
     .high = 256,
     .help = "threads to use, by default one per usable CPU",
     .offset = offsetof(serve_settings, threads)},
    {.name = "kv",
     .kind = PITH_OPTION_CHOICE,
     .argument = "TYPE",
     .choices = pith_kv_types,
     .help = "type of the KV cache, by default f32 for f32 weights and f16 for others; int8 is "
             "half of f16",
     .offset = offsetof(serve_settings, kv)},
    {.name = "tuning",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .low = 1,
     .help =
         "fetch weights from memory as this file of 'pith bench --tune --save' says, by default "
         "as a table says for this CPU",
     .offset = offsetof(serve_settings, tuning)},
    {.name = NULL},
};

static const pith_option net_options[] = {
    {.name = "host",
     .kind = PITH_OPTION_TEXT,
     .argument = "ADDRESS",
     .low = 1,
     .initial = "127.0.0.1",
     .help = "address or name to listen on",
     .offset = offsetof(serve_settings, host)},
    {.name = "port",
     .kind = PITH_OPTION_COUNT,
     .argument = "N",
     .high = 65535,
     .initial = "8080",
     .help = "0 is a free one",
     .offset = offsetof(serve_settings, port)},
    {.name = "db",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .low = 1,
     .help = "database of keys, quotas and usage (see pith keys); made when there is none",
     .offset = offsetof(serve_settings, database)},
    {.name = "open",
     .kind = PITH_OPTION_FLAG,
     .help = "listen on an address that other machines reach although no key is asked for",
     .offset = offsetof(serve_settings, open)},
    {.name = "tls-cert",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .low = 1,
     .help = "certificate (PEM, the chain behind it): answers by HTTPS",
     .offset = offsetof(serve_settings, tls_cert)},
    {.name = "tls-key",
     .kind = PITH_OPTION_TEXT,
     .argument = "FILE",
     .low = 1,
     .help = "its private key (PEM)",
     .offset = offsetof(serve_settings, tls_key)},
    {.name = "cors",
     .kind = PITH_OPTION_TEXTS,
     .argument = "ORIGIN",
     .low = 1,
     .help = "a web page that may use the service, as https://example.org; * is any; may be given "
             "up to 16 times",
     .offset = offsetof(serve_settings, origins)},
    {.name = "timeout",
     .kind = PITH_OPTION_COUNT,
     .argument = "SECONDS",
     .low = 1,
     .high = 86400,
     .initial = "600",
     .help = "of a whole request",
     .offset = offsetof(serve_settings, timeout)},
    {.name = "drain",
     .kind = PITH_OPTION_COUNT,
     .argument = "SECONDS",
     .low = 1,
     .high = 86400,
     .initial = "30",
     .help = "that requests in progress have after SIGTERM",
     .offset = offsetof(serve_settings, drain)},
    {.name = "log-level",
     .kind = PITH_OPTION_CHOICE,
     .argument = "LEVEL",
     .choices = log_levels,
     .initial = "info",
     .help = "what is written to standard error, as JSON Lines",
     .offset = offsetof(serve_settings, log_level)},
    {.name = NULL},
};

static const pith_option_group groups[] = {
    {"Models", model_options, 0},
    {"Service", net_options, 0},
    {NULL, NULL, 0},
};

/* "8G", "500M", "4096": powers of 1024, as memory is counted. */
static pith_status read_size(const char *text, size_t *out, pith_error *error) {
    char *end = NULL;
    unsigned shift = 0;
    errno = 0;
    unsigned long long n = text[0] >= '0' && text[0] <= '9' ? strtoull(text, &end, 10) : 0;
    if (end != NULL && *end != 0) {
        const char *units = "KMGT";
        const char *unit = strchr(units, *end >= 'a' ? *end - 'a' + 'A' : *end);
        shift = unit != NULL ? 10 * (unsigned)(unit - units + 1) : 0;
        end += shift > 0 ? 1 : 0;
        end += shift > 0 && (*end == 'B' || *end == 'b') ? 1 : 0;
    }
    if (end == NULL || *end != 0 || errno != 0 || n == 0 ||
        !pith_mul_size(n, (size_t)1 << shift, out)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "--memory-limit: '%s' is no size such as 8G, 500M or 4096", text);
    }
    return PITH_OK;
}

/* The socket that systemd passes on, which the variables say is for this process. */
static int inherited_socket(void) {
    const char *process = getenv("LISTEN_PID");
    const char *count = getenv("LISTEN_FDS");
    if (process == NULL || count == NULL || strtol(process, NULL, 10) != (long)getpid() ||
        strtol(count, NULL, 10) < 1) {
        return 0;
    }
    return FIRST_SOCKET;
}

static int run_serve(pith_cli *cli, const void *arguments) {
    const serve_settings *settings = arguments;
    pith_error error;
    pith_bytes shipped;
    pith_bytes cache;
    pith_tuning tuning;
    size_t memory = 0;
    pith_bytes_init(&shipped, NULL);
    pith_bytes_init(&cache, NULL);
    pith_status status =
        settings->memory != NULL ? read_size(settings->memory, &memory, &error) : PITH_OK;
    if (status != PITH_OK) {
        return pith_cli_usage(cli, "%s", error.message);
    }
    if ((settings->tls_cert == NULL) != (settings->tls_key == NULL)) {
        return pith_cli_usage(cli, "--tls-cert and --tls-key belong together");
    }
    if (!pith_places_models(&shipped) || !pith_places_cache(&cache)) {
        status = pith_fail(&error, PITH_ERROR_MEMORY, "out of memory for a path");
        goto done;
    }
    if (settings->tuning != NULL) {
        status = pith_tuning_load(&tuning, settings->tuning, &error);
        if (status != PITH_OK) {
            goto done;
        }
    }
    pith_serve_options options = {
        .models = settings->models,
        .shipped = shipped.size > 0 ? shipped.data : NULL,
        .cache = settings->cache != NULL ? settings->cache
                 : cache.size > 0        ? cache.data
                                         : NULL,
        .database = settings->database,
        .host = settings->host,
        .port = settings->port,
        .listen_fd = inherited_socket(),
        .aliases = settings->aliases.items,
        .n_aliases = settings->aliases.n,
        .origins = settings->origins.items,
        .n_origins = settings->origins.n,
        .tls_cert = settings->tls_cert,
        .tls_key = settings->tls_key,
        .open = settings->open,
        .n_context = settings->context,
        .n_parallel = settings->parallel,
        .n_queue = settings->queue,
        .n_threads = settings->threads,
        .tuning = settings->tuning != NULL ? &tuning : NULL,
        .kv_type = (pith_kv_type)settings->kv,
        .memory_limit = memory,
        .request_seconds = (double)settings->timeout,
        .drain_seconds = (double)settings->drain,
        .log_level = (pith_log_wanted)(settings->log_level - 1),
        .before_open = cli->ranks != NULL ? cli->ranks->open_file : NULL,
        .before_open_user = cli->ranks != NULL ? cli->ranks->user : NULL,
    };
    status = pith_serve(&options, &error);
done:
    pith_bytes_release(&shipped);
    pith_bytes_release(&cache);
    if (status == PITH_ERROR_ARGUMENT) {
        return pith_cli_usage(cli, "%s", error.message);
    }
    return status == PITH_OK ? PITH_EXIT_OK : pith_cli_fail(cli, &error);
}

const pith_command pith_command_serve = {
    .name = "serve",
    .summary = "answer over HTTP: OpenAI's API, ollama's, and Spin's serverless AI",
    .description =
        "Serves language models and sentence encoders by the protocols that today's clients speak: "
        "OpenAI's (/v1/chat/completions, /v1/completions, /v1/embeddings, /v1/models), ollama's "
        "(/api/...), and that of Spin's remote_http backend (/infer, /embed). Without options the "
        "models that ship are "
        "served to this machine alone. Models are loaded when they are first asked for.\n\n"
        "With --db, usage is kept in a SQLite file; as soon as it has keys (pith keys add), each "
        "request needs one, and counts against its quota.\n\n"
        "SIGTERM ends the service when the requests in progress are answered; SIGHUP makes it read "
        "keys, limits and the models directory again. A socket that systemd passes on is used in "
        "place of --host and --port. \"listening on http://HOST:PORT\" on standard error says that "
        "requests are answered.",
    .example =
        "pith serve\n"
        "pith serve --models ~/models --alias llama2-chat=llama-2-7b-chat --memory-limit 8G\n"
        "pith serve --db usage.db --host 0.0.0.0 --tls-cert cert.pem --tls-key key.pem",
    .operands = operands,
    .groups = groups,
    .settings_size = sizeof(serve_settings),
    .run = run_serve,
};
