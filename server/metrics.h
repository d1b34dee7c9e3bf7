/* Counters and histograms in Prometheus's text format (version 0.0.4), names "pith_...". */
#ifndef PITH_SERVER_METRICS_H
#define PITH_SERVER_METRICS_H

#include "base/bytes.h"

typedef struct pith_metrics pith_metrics;

/* Seconds, labelled by model; the bucket edges are vLLM's, so that its dashboards fit. */
typedef enum pith_histogram {
    PITH_TIME_TO_FIRST_TOKEN, /* pith_time_to_first_token_seconds */
    PITH_INTER_TOKEN,         /* pith_inter_token_seconds */
    PITH_QUEUE_WAIT,          /* pith_queue_wait_seconds */
    PITH_REQUEST_TIME,        /* pith_request_seconds */
    PITH_N_HISTOGRAMS
} pith_histogram;

typedef enum pith_counter {
    PITH_PROMPT_TOKENS,    /* pith_prompt_tokens_total */
    PITH_CACHED_TOKENS,    /* pith_prompt_cached_tokens_total */
    PITH_GENERATED_TOKENS, /* pith_generated_tokens_total */
    PITH_EMBEDDED_TOKENS,  /* pith_embedded_tokens_total */
    PITH_MODEL_LOADS,      /* pith_model_loads_total */
    PITH_MODEL_UNLOADS,    /* pith_model_unloads_total */
    PITH_N_COUNTERS
} pith_counter;

pith_status pith_metrics_new(pith_metrics **out, pith_error *error);
void pith_metrics_free(pith_metrics *metrics);

/* Any thread; `metrics` may be NULL. A model beyond the first 256 counts as "other". */
void pith_metrics_observe(pith_metrics *metrics, pith_histogram histogram, const char *model,
                          double seconds);
void pith_metrics_add(pith_metrics *metrics, pith_counter counter, const char *model, size_t n);
/* pith_requests_total{path,code}: path is one of the routes, or "other". */
void pith_metrics_request(pith_metrics *metrics, const char *path, int code);

void pith_metrics_write(pith_metrics *metrics, pith_bytes *out);

/* # HELP, # TYPE and the sample lines of gauges that others keep. Label values are escaped. */
void pith_metrics_write_head(pith_bytes *out, const char *name, const char *type, const char *help);
void pith_metrics_write_gauge(pith_bytes *out, const char *name, const char *label,
                              const char *label_value, double value);

#endif
