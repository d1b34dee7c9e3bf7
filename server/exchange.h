/* What server/http.c and server/exchange.c share: the steps of an exchange between libmicrohttpd's
 * callbacks and the handler. */
#ifndef PITH_SERVER_EXCHANGE_H
#define PITH_SERVER_EXCHANGE_H

#include <microhttpd.h>

#include "server/http.h"

/* NULL: no memory. `method` and `path` stay libmicrohttpd's. */
pith_exchange *pith_exchange_new(struct MHD_Connection *connection, const char *method,
                                 const char *path);
void pith_exchange_free(pith_exchange *exchange);
struct MHD_Connection *pith_exchange_connection(const pith_exchange *exchange);

/* Adds to the bytes of the body that came, kept or not; returns all so far. */
size_t pith_exchange_count_body(pith_exchange *exchange, size_t n);
bool pith_exchange_append_body(pith_exchange *exchange, const char *data, size_t n);

/* Keeps the problem for the end of the body, and drops the body. False: no memory. */
bool pith_exchange_refuse(pith_exchange *exchange, const pith_problem *problem);
bool pith_exchange_is_refused(const pith_exchange *exchange);
void pith_exchange_answer_refusal(pith_exchange *exchange);

/* Passes the answer to libmicrohttpd; returns NO, which closes the connection, when there is
 * none. */
enum MHD_Result pith_exchange_queue(pith_exchange *exchange, bool close);

/* The answer was written (or not): releases the stream and settles `status`. */
void pith_exchange_end(pith_exchange *exchange, bool completed);

#endif
