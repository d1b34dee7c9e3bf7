/* pith's HTTP service: the one header that the command sees. docs/service.md describes what it
 * answers. */
#ifndef PITH_SERVER_SERVER_H
#define PITH_SERVER_SERVER_H

#include "pith.h"
#include "server/ledger.h"
#include "server/log.h"

/* Zero-initialised means: all defaults. */
typedef struct pith_serve_options {
    const char *models;         /* directory; NULL: the shipped models only */
    const char *shipped;        /* directory of the models that ship; NULL: none was found */
    const char *cache;          /* directory for converted files; NULL: none, then nothing is
                                   converted */
    const char *database;       /* keys and usage; NULL: neither is kept */
    const char *host;           /* address to listen on; NULL: 127.0.0.1 */
    size_t port;                /* 0: a free one */
    int listen_fd;              /* a TCP socket that listens already, in place of host and port
                                   (systemd's socket activation); 0: none */
    const char *const *aliases; /* [n_aliases] "NAME=MODEL" */
    size_t n_aliases;
    const char *const *origins; /* [n_origins] that browsers may call from; "*": any */
    size_t n_origins;
    const char *tls_cert, *tls_key; /* PEM files; NULL: plain HTTP */
    bool open;                      /* listen beyond this machine without keys all the same */
    size_t n_context, n_parallel, n_queue, n_threads;
    pith_kv_type kv_type;
    const pith_tuning *tuning; /* for all models; NULL: none */
    size_t memory_limit;       /* bytes; 0: none */
    size_t max_body;           /* bytes; 0: 2 MB */
    double request_seconds;    /* deadline of a whole request; 0: 600 */
    double header_seconds;     /* until the first headers are complete; 0: 10 */
    double idle_seconds;       /* from an answer to the next headers; 0: 60 */
    double body_seconds;       /* until the body is; 0: 30 */
    double write_seconds;      /* without the client reading anything; 0: 30 */
    double drain_seconds;      /* of running requests after SIGTERM; 0: 30 */
    pith_log_wanted log_level;
    /* Called before each model's file is opened, by one thread at a time; may change the options,
     * for a model that several processes run together. An error is one of opening. NULL: none. */
    pith_status (*before_open)(void *user, const char *path, pith_model_options *options,
                               pith_error *error);
    void *before_open_user;
} pith_serve_options;

/* Serves until SIGTERM or SIGINT (then OK, when all streams have ended or drain_seconds are over; a
 * second one ends at once), and reads keys, limits and models again at SIGHUP. Blocks these signals
 * in the calling thread and all it makes. Writes the log and "listening on http://HOST:PORT" to
 * standard error. Errors: ARGUMENT (an option that cannot be as it is: an alias, an origin, an
 * address other than the loopback without keys), IO (an address that is in use or unknown, files),
 * MEMORY, and those of the ledger and the models. */
pith_status pith_serve(const pith_serve_options *options, pith_error *error);

#endif
