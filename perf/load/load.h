/* A load on an HTTP service that generates text: many connections from one thread, and how long
 * requests take. main.c reads the options and reports,
 * client.c runs the connections, answer.c reads the answers. */
#ifndef PITH_PERF_LOAD_H
#define PITH_PERF_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- Measurements (samples.c) ---------------------------------------------------------------- */

/* Durations in seconds, kept one by one so that percentiles are exact. */
typedef struct load_samples {
    double *values; /* [n] */
    size_t n, room;
} load_samples;

/* False: out of memory. */
bool load_samples_add(load_samples *samples, double seconds);
/* The value that the part `share` of all samples does not exceed; 0 of none. Sorts. */
double load_samples_quantile(load_samples *samples, double share);
void load_samples_free(load_samples *samples);

enum { LOAD_MAX_STATUS = 600 };

typedef struct load_result {
    size_t n_sent, n_done;             /* requests; done: a whole answer of any status */
    size_t n_failed;                   /* no whole answer: refused, cut, or out of time */
    size_t by_status[LOAD_MAX_STATUS]; /* answers */
    size_t n_streams, n_tokens;        /* tokens by the usage of the answers with status 200 */
    double seconds;
    load_samples first_token; /* of streams: from when the request was due to the first text */
    load_samples inter_token; /* of streams: between texts */
    load_samples latency;     /* of answers with status 200 */
    load_samples rejected;    /* of answers with another status */
} load_result;

/* ---- Answers (answer.c) ---------------------------------------------------------------------- */

/* An HTTP answer as it arrives: its head, then a body by length or in chunks, of which lines are
 * read as server-sent events. */
typedef struct load_answer {
    int status;      /* 0: the head is not complete */
    int head_status; /* of the first line, which was read */
    bool is_stream, chunked, close;
    bool complete, broken;
    size_t left;      /* bytes of the body, or of the chunk */
    bool in_chunk;    /* of a chunk's data; else in its size or behind it */
    char line[65536]; /* the line that is under way, of head, chunk size or body */
    size_t n_line;
    bool line_cut; /* it is longer than that: its end is dropped */
    char size[32]; /* a chunk's size so far */
    size_t n_size;
    size_t n_tokens;     /* by "completion_tokens" */
    double first, last;  /* when text came; 0: none has */
    load_samples *inter; /* where to put the times between */
} load_answer;

void load_answer_begin(load_answer *answer, load_samples *inter);
/* Reads n bytes that came at `now`. Bytes behind a complete answer make it broken: there was no
 * further request. */
void load_answer_read(load_answer *answer, const char *data, size_t n, double now);
/* The connection has ended: a body without a length is complete now, any other is broken. */
void load_answer_end(load_answer *answer);

/* ---- Clients (client.c) ---------------------------------------------------------------------- */

typedef struct load_settings {
    const char *host, *port;
    const char *path;
    const char *key;  /* NULL: none */
    const char *body; /* each "@N@" becomes the number of the request */
    size_t n_connections;
    size_t n_requests; /* 0: until the time is over */
    double seconds;    /* of sending; 0: until all requests are sent */
    double rate;       /* requests a second, at random moments; 0: each connection as fast as it is
                          answered */
    double timeout;    /* seconds of one request */
    uint64_t seed;
} load_settings;

/* Returns 0, or -1 with a message on stderr: no such host, no memory, no descriptors. */
int load_run(const load_settings *settings, load_result *result);

double load_clock(void);

#endif
