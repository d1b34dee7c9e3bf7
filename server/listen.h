/* The socket that the service listens on. */
#ifndef PITH_SERVER_LISTEN_H
#define PITH_SERVER_LISTEN_H

#include "pith.h"

typedef struct pith_listener {
    int fd;
    bool loopback; /* only this machine can reach it */
    char host[80]; /* "127.0.0.1", "[::1]": as in a URL */
    unsigned port;
} pith_listener;

/* Listens on the first address of `host` that can be: a name, an IPv4 or an IPv6 address; port 0 is
 * a free one. Errors: ARGUMENT (no such host), IO (address in use). */
pith_status pith_listen(pith_listener *out, const char *host, size_t port, pith_error *error);

/* Fills *out for a socket that listens already (systemd's). Errors: ARGUMENT. */
pith_status pith_listen_on(pith_listener *out, int fd, pith_error *error);

#endif
