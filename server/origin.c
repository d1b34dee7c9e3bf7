/* Which web pages may use the service. A browser lets any page send requests to any address, also
 * to one that only this machine reaches, and asks for permission only before it shows the answer;
 * some requests it sends without asking. So a request that a page sends (it has an Origin header)
 * is refused unless the page is listed by --cors or is the service's own.
 *
 * A page of another site can make its own name lead here (DNS rebinding), and then counts as the
 * service's own for the browser, which sends no Origin with its GETs. So without keys nothing is
 * answered under a name that another site could have: one with a dot that is no address. */
#include <string.h>
#include <strings.h>

#include "server/service.h"

/* "127.0.0.1:8080", "[::1]", "localhost:8080", "pith". */
static bool is_local_name(const char *host) {
    size_t n = strcspn(host, ":");
    return host[0] == '[' ||
           (n > 0 && (memchr(host, '.', n) == NULL || strspn(host, "0123456789.") == n));
}

/* True when the service goes by a name that no other site can give itself. */
static bool is_name_trusted(const pith_call *call) {
    const char *host = pith_exchange_header(call->x, "Host");
    return host != NULL && (call->service->options->open ||
                            pith_ledger_wants_key(call->service->ledger) || is_local_name(host));
}

static bool is_own(const pith_call *call, const char *origin) {
    const char *host = pith_exchange_header(call->x, "Host");
    const char *separator = strstr(origin, "://");
    return host != NULL && separator != NULL && strcasecmp(separator + 3, host) == 0 &&
           is_name_trusted(call);
}

bool pith_origin_is_valid(const char *origin) {
    const char *host = strstr(origin, "://");
    return strcmp(origin, "*") == 0 || strcmp(origin, "null") == 0 ||
           (host != NULL && host > origin && host[3] != 0 && strpbrk(host + 3, "/?# ") == NULL);
}

static const char *listed_as(const pith_serve_options *options, const char *origin) {
    for (size_t i = 0; i < options->n_origins; i++) {
        if (strcmp(options->origins[i], "*") == 0) {
            return "*";
        }
        if (strcasecmp(options->origins[i], origin) == 0) {
            return origin;
        }
    }
    return NULL;
}

bool pith_origin_check(pith_call *call, pith_problem *problem) {
    const pith_serve_options *options = call->service->options;
    const char *origin = pith_exchange_header(call->x, "Origin");
    if (options->n_origins > 0) {
        pith_exchange_put_header(call->x, "Vary", "Origin");
    }
    if (origin == NULL) {
        return pith_exchange_header(call->x, "Host") == NULL || is_name_trusted(call) ||
               pith_problem_set(problem, 403, "host_not_allowed", NULL,
                                "without keys the service answers under an address or a name "
                                "without a dot (--open: under any)");
    }
    const char *allowed = listed_as(options, origin);
    if (allowed != NULL) {
        pith_exchange_put_header(call->x, "Access-Control-Allow-Origin", "%s", allowed);
        pith_exchange_put_header(call->x, "Access-Control-Expose-Headers",
                                 "x-request-id, retry-after, x-should-retry, x-ratelimit-limit, "
                                 "x-ratelimit-remaining, x-ratelimit-reset");
        return true;
    }
    return is_own(call, origin) ||
           pith_problem_set(problem, 403, "origin_not_allowed", NULL,
                            "pages of this origin may not use the service (--cors lists those that "
                            "may)");
}

void pith_origin_answer(pith_call *call) {
    pith_bytes nothing;
    const char *headers = pith_exchange_header(call->x, "Access-Control-Request-Headers");
    char methods[PITH_ROUTE_METHODS];
    pith_route_methods(call->route, methods, sizeof methods);
    pith_exchange_put_header(call->x, "Allow", "%s", methods);
    if (pith_exchange_header(call->x, "Origin") != NULL) {
        pith_exchange_put_header(call->x, "Access-Control-Allow-Methods", "%s", methods);
        pith_exchange_put_header(call->x, "Access-Control-Allow-Headers", "%s",
                                 headers != NULL ? headers : "authorization, content-type");
        pith_exchange_put_header(call->x, "Access-Control-Max-Age", "600");
        if (pith_exchange_header(call->x, "Access-Control-Request-Private-Network") != NULL) {
            pith_exchange_put_header(call->x, "Access-Control-Allow-Private-Network", "true");
        }
    }
    pith_bytes_init(&nothing, NULL);
    pith_exchange_answer(call->x, 204, NULL, &nothing);
}
