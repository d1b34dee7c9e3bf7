/* pith_serve: puts the parts together, waits for signals, takes the parts down again. */
#include "server/server.h"

#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/checked.h"
#include "base/file.h"
#include "server/listen.h"
#include "server/service.h"
#include "server/vectors.h"

enum {
    MAX_PEM = 1 << 20, /* bytes of a certificate or key file */
    DEFAULT_BODY = 2 << 20,
    BODIES = 64,         /* bodies of the largest size in memory at once */
    WANTED_FILES = 8192, /* descriptors */
    OWN_FILES = 40,      /* of them: the database's, the models', the service's own */
    FILES_EACH = 3,      /* of a connection: its own, its request's, and one to close it gently */
};

/* ---- Settings -------------------------------------------------------------------------------- */

static double seconds_or(double given, double otherwise) {
    return given > 0 ? given : otherwise;
}

/* Asks for enough descriptors. Returns the number of connections that the available descriptors
 * suffice for: if accepting one more failed, the socket would stay readable, and the accepting
 * thread would spin. */
static size_t allow_files(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return PITH_HTTP_MAX_CONNECTIONS;
    }
    if (limit.rlim_cur < WANTED_FILES) {
        limit.rlim_cur = limit.rlim_max < WANTED_FILES ? limit.rlim_max : WANTED_FILES;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    size_t files = limit.rlim_cur < WANTED_FILES ? (size_t)limit.rlim_cur : WANTED_FILES;
    size_t most = files > OWN_FILES + FILES_EACH ? (files - OWN_FILES) / FILES_EACH : 1;
    return pith_min_size(most, PITH_HTTP_MAX_CONNECTIONS);
}

static void ignore(int signal_number) {
    (void)signal_number;
}

/* The signals wait for sigtimedwait. A signal that is ignored, as SIGHUP under nohup, would be
 * dropped instead: it gets a handler that is never called. */
static void take_signals(sigset_t *set) {
    struct sigaction action = {.sa_handler = ignore};
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    sigaction(SIGHUP, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static pith_status read_pem(const char *path, char **out, pith_error *error) {
    pith_file file;
    pith_status status = pith_file_open(&file, path, error);
    if (status != PITH_OK) {
        return status;
    }
    char *text = file.size <= MAX_PEM ? malloc(file.size + 1) : NULL;
    if (file.size > MAX_PEM) {
        status = pith_fail(error, PITH_ERROR_FORMAT, "%s: has %zu bytes, more than a PEM file",
                           path, file.size);
    } else if (text == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", path);
    } else {
        status = pith_file_read(&file, 0, text, file.size, error);
        text[file.size] = 0;
    }
    pith_file_close(&file);
    if (status == PITH_OK) {
        *out = text;
    } else {
        free(text);
    }
    return status;
}

static void wipe(char *secret) {
    if (secret != NULL) {
        sodium_memzero(secret, strlen(secret));
        free(secret);
    }
}

static pith_status problem_status(const pith_problem *problem, pith_error *error) {
    pith_status status = problem->http == 503   ? PITH_ERROR_MEMORY
                         : problem->http == 400 ? PITH_ERROR_ARGUMENT
                                                : PITH_ERROR_IO;
    return pith_fail(error, status, "%s", problem->message);
}

/* ---- Parts ----------------------------------------------------------------------------------- */

typedef struct parts {
    pith_service service;
    pith_models_options models;
    pith_listener listener;
    bool inherited; /* the socket is systemd's */
    size_t max_connections;
    char *tls_cert, *tls_key;
} parts;

static pith_status open_socket(parts *p, pith_error *error) {
    const pith_serve_options *options = p->service.options;
    p->inherited = options->listen_fd > 0;
    pith_status status =
        p->inherited
            ? pith_listen_on(&p->listener, options->listen_fd, error)
            : pith_listen(&p->listener, options->host != NULL ? options->host : "127.0.0.1",
                          options->port, error);
    if (status == PITH_OK && !p->listener.loopback && !options->open &&
        !pith_ledger_wants_key(p->service.ledger)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s can be reached from other machines, and no key is asked for: make one "
                         "with 'pith keys add DB NAME' and serve with --db DB, or say --open",
                         p->listener.host);
    }
    return status;
}

static pith_status open_models(parts *p, pith_error *error) {
    const pith_serve_options *options = p->service.options;
    pith_problem problem = {.http = 0};
    p->models = (pith_models_options){
        .directory = options->models,
        .shipped = options->shipped,
        .cache = options->cache,
        .aliases = options->aliases,
        .n_aliases = options->n_aliases,
        .memory_limit = options->memory_limit,
        .n_threads = options->n_threads,
        .tuning = options->tuning,
        .before_open = options->before_open,
        .before_open_user = options->before_open_user,
        .scheduler = {.n_context = options->n_context,
                      .n_parallel = options->n_parallel,
                      .n_queue = options->n_queue,
                      .kv_type = options->kv_type,
                      .metrics = p->service.metrics},
        .log = p->service.log,
        .metrics = p->service.metrics,
    };
    return pith_models_new(&p->service.models, &p->models, &problem)
               ? PITH_OK
               : problem_status(&problem, error);
}

static pith_status start_http(parts *p, pith_error *error) {
    const pith_serve_options *options = p->service.options;
    size_t max_body = options->max_body > 0 ? options->max_body : DEFAULT_BODY;
    pith_watch_limits limits = {
        .header = seconds_or(options->header_seconds, 10),
        .idle = seconds_or(options->idle_seconds, 60),
        .body = seconds_or(options->body_seconds, 30),
        .write = seconds_or(options->write_seconds, 30),
        .request = seconds_or(options->request_seconds, 600),
    };
    pith_status status = pith_watch_new(&p->service.watch, &limits, error);
    if (status == PITH_OK && options->tls_cert != NULL) {
        status = read_pem(options->tls_cert, &p->tls_cert, error);
    }
    if (status == PITH_OK && options->tls_key != NULL) {
        status = read_pem(options->tls_key, &p->tls_key, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    pith_http_options http = {
        .fd = p->listener.fd,
        .tls_cert = p->tls_cert,
        .tls_key = p->tls_key,
        .max_connections = p->max_connections,
        .max_body = max_body,
        .max_bodies = max_body * BODIES,
        .watch = p->service.watch,
        .log = p->service.log,
        .handler = {.user = &p->service,
                    .admit = pith_route_admit,
                    .handle = pith_route_handle,
                    .done = pith_route_done},
    };
    return pith_http_start(&p->service.http, &http, error);
}

static pith_status start(parts *p, pith_error *error) {
    const pith_serve_options *options = p->service.options;
    if ((options->tls_cert == NULL) != (options->tls_key == NULL)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "a certificate and its key belong together");
    }
    for (size_t i = 0; i < options->n_origins; i++) {
        if (!pith_origin_is_valid(options->origins[i])) {
            return pith_fail(error, PITH_ERROR_ARGUMENT,
                             "'%s' is no origin such as https://example.org", options->origins[i]);
        }
    }
    if (sodium_init() < 0) {
        return pith_fail(error, PITH_ERROR_IO, "libsodium does not start");
    }
    pith_status status =
        pith_server_log_new(&p->service.log, STDERR_FILENO, options->log_level, error);
    if (status == PITH_OK) {
        status = pith_metrics_new(&p->service.metrics, error);
    }
    if (status == PITH_OK) {
        status = pith_ledger_open(&p->service.ledger, options->database, error);
    }
    if (status == PITH_OK) {
        status = pith_vectors_new(&p->service.vectors, options->database, error);
    }
    if (status == PITH_OK) {
        status = open_socket(p, error);
    }
    if (status == PITH_OK) {
        status = open_models(p, error);
    }
    return status == PITH_OK ? start_http(p, error) : status;
}

static void take_down(parts *p) {
    pith_http_stop(p->service.http);
    pith_watch_free(p->service.watch);
    pith_models_free(p->service.models);
    pith_vectors_free(p->service.vectors);
    pith_ledger_close(p->service.ledger);
    pith_metrics_free(p->service.metrics);
    pith_server_log_free(p->service.log);
    if (p->listener.fd > 0) {
        close(p->listener.fd);
    }
    wipe(p->tls_cert);
    wipe(p->tls_key);
}

/* ---- What is served -------------------------------------------------------------------------- */

typedef struct model_names {
    char text[800]; /* ", a, b", as many as a line of the log has room for */
    size_t used, n, n_shipped;
    bool left_out;
} model_names;

static void add_name(void *user, const pith_model_entry *entry) {
    model_names *names = user;
    size_t room = sizeof names->text - names->used;
    int n = snprintf(names->text + names->used, room, ", %s", entry->name);
    if (n > 0 && (size_t)n < room) {
        names->used += (size_t)n;
    } else {
        names->text[names->used] = '\0';
        names->left_out = true;
    }
    names->n++;
    names->n_shipped += entry->shipped ? 1 : 0;
}

/* Warns about a directory without any known layout: it would look as if it had not been read. */
static void log_models(const parts *p) {
    model_names names = {.n = 0};
    pith_models_each(p->service.models, add_name, &names);
    pith_server_log *log = p->service.log;
    pith_server_log_write(log, PITH_LOG_WANTED_INFO, "models: %s%s",
                          names.n == 0 ? "none" : names.text + 2,
                          names.left_out ? ", and more (GET /v1/models)" : "");
    if (p->models.directory != NULL && names.n == names.n_shipped) {
        pith_server_log_write(log, PITH_LOG_WANTED_WARNING,
                              "%.500s holds no model: NAME.pith, or NAME/ with config.json, "
                              "tokenizer.json and *.safetensors",
                              p->models.directory);
    }
}

/* ---- Signals --------------------------------------------------------------------------------- */

static void reload(parts *p) {
    pith_error error;
    pith_problem problem = {.http = 0};
    pith_server_log *log = p->service.log;
    if (pith_ledger_reload(p->service.ledger, &error) != PITH_OK) {
        pith_server_log_write(log, PITH_LOG_WANTED_ERROR, "ledger: %s", error.message);
    }
    if (!pith_models_reload(p->service.models, &p->models, &problem)) {
        pith_server_log_write(log, PITH_LOG_WANTED_ERROR, "models: %s", problem.message);
    }
    pith_server_log_write(log, PITH_LOG_WANTED_INFO, "keys, limits and models are read again");
    log_models(p);
}

/* Waits until no request is in progress, at most so long, and not after a second signal. */
static void wait_active(parts *p, const sigset_t *set, double seconds) {
    double until = pith_clock() + seconds;
    struct timespec step = {.tv_nsec = 20000000};
    while (pith_http_active(p->service.http) > 0 && pith_clock() < until) {
        int number = sigtimedwait(set, NULL, &step);
        if (number == SIGTERM || number == SIGINT) {
            return;
        }
    }
}

/* For the rest of a body, and for telling clients that their text ends here. */
#define LAST_SECONDS 2.0

static void drain(parts *p, const sigset_t *set) {
    pith_server_log *log = p->service.log;
    pith_server_log_write(log, PITH_LOG_WANTED_INFO, "ending: %zu requests are in progress",
                          pith_http_active(p->service.http));
    pith_http_drain(p->service.http);
    if (!p->inherited) {
        /* Connections are refused from now on; systemd's socket goes on collecting them for the
         * next instance. */
        shutdown(p->listener.fd, SHUT_RDWR);
    }
    pith_watch_hurry(p->service.watch, LAST_SECONDS);
    wait_active(p, set, seconds_or(p->service.options->drain_seconds, 30));
    if (pith_http_active(p->service.http) > 0) {
        pith_models_stop(p->service.models); /* clients hear of it */
        wait_active(p, set, LAST_SECONDS);
    }
    size_t left = pith_http_active(p->service.http);
    if (left > 0) {
        pith_server_log_write(log, PITH_LOG_WANTED_WARNING, "%zu requests are cut off", left);
        pith_watch_shut_all(p->service.watch);
    }
}

static void serve(parts *p) {
    sigset_t set;
    take_signals(&set);
    for (;;) {
        int number = sigwaitinfo(&set, NULL);
        if (number == SIGHUP) {
            reload(p);
        } else if (number == SIGTERM || number == SIGINT) {
            drain(p, &set);
            return;
        }
    }
}

pith_status pith_serve(const pith_serve_options *options, pith_error *error) {
    parts p = {.service = {.options = options}};
    sigset_t set;
    take_signals(&set);
    p.max_connections = allow_files();
    pith_status status = start(&p, error);
    if (status == PITH_OK) {
        dprintf(STDERR_FILENO, "listening on %s://%s:%u\n",
                options->tls_cert != NULL ? "https" : "http", p.listener.host, p.listener.port);
        log_models(&p);
        serve(&p);
    }
    take_down(&p);
    return status;
}
