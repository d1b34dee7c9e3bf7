/* Listening sockets: made here, or inherited from systemd. */
#include "server/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/status.h"

enum { BACKLOG = 1024 };

static bool is_loopback(const struct sockaddr_storage *address) {
    if (address->ss_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        return ntohl(in->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *in6 = (const void *)address;
    if (IN6_IS_ADDR_V4MAPPED(&in6->sin6_addr)) {
        return in6->sin6_addr.s6_addr[12] == 127;
    }
    return IN6_IS_ADDR_LOOPBACK(&in6->sin6_addr);
}

pith_status pith_listen_on(pith_listener *out, int fd, pith_error *error) {
    struct sockaddr_storage address;
    socklen_t n = sizeof address;
    int listening = 0;
    socklen_t n_listening = sizeof listening;
    char host[INET6_ADDRSTRLEN];
    if (getsockname(fd, (struct sockaddr *)&address, &n) != 0 ||
        (address.ss_family != AF_INET && address.ss_family != AF_INET6) ||
        getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &n_listening) != 0 || !listening) {
        return pith_fail(error, PITH_ERROR_IO, "descriptor %d is no TCP socket that listens", fd);
    }
    const struct sockaddr_in *in = (const void *)&address;
    const struct sockaddr_in6 *in6 = (const void *)&address;
    bool six = address.ss_family == AF_INET6;
    const void *bytes = six ? (const void *)&in6->sin6_addr : (const void *)&in->sin_addr;
    if (inet_ntop(address.ss_family, bytes, host, sizeof host) == NULL) {
        return pith_fail(error, PITH_ERROR_IO, "descriptor %d has an unreadable address", fd);
    }
    out->fd = fd;
    out->loopback = is_loopback(&address);
    snprintf(out->host, sizeof out->host, six ? "[%s]" : "%s", host);
    out->port = ntohs(six ? in6->sin6_port : in->sin_port);
    return PITH_OK;
}

/* A listening socket, or -1 and errno. */
static int listen_at(const struct addrinfo *address) {
    int one = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, BACKLOG) != 0) {
        int code = errno;
        close(fd);
        errno = code;
        return -1;
    }
    return fd;
}

/* What to do about an errno of bind; "" when there is no advice. */
static const char *way_out(int reason) {
    switch (reason) {
    case EADDRINUSE:
        return " by another program; --port chooses another port, 0 a free one";
    case EACCES:
        return "; --port chooses a port that needs no privilege, 1024 or above";
    case EADDRNOTAVAIL:
        return "; --host takes an address of this machine, 0.0.0.0 for all of them";
    default:
        return "";
    }
}

pith_status pith_listen(pith_listener *out, const char *host, size_t port, pith_error *error) {
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found = NULL;
    char name[256];
    char service[16];
    /* "[::1]" as in a URL is accepted too. */
    size_t n = strlen(host);
    bool brackets = n > 2 && host[0] == '[' && host[n - 1] == ']';
    snprintf(name, sizeof name, "%.*s", (int)(brackets ? n - 2 : n), host + (brackets ? 1 : 0));
    snprintf(service, sizeof service, "%zu", port);
    int code = getaddrinfo(name, service, &wanted, &found);
    if (code != 0) {
        return pith_fail(error, PITH_ERROR_IO, "cannot listen on '%s': %s", host,
                         gai_strerror(code));
    }
    int fd = -1;
    int reason = 0;
    for (const struct addrinfo *a = found; fd < 0 && a != NULL; a = a->ai_next) {
        fd = listen_at(a);
        reason = errno;
    }
    freeaddrinfo(found);
    if (fd < 0) {
        return pith_fail(error, PITH_ERROR_IO, "cannot listen on %s, port %zu: %s%s", host, port,
                         strerror(reason), way_out(reason));
    }
    return pith_listen_on(out, fd, error);
}
