/* Metrics: one mutex, a row of numbers for every model and a counter for every route and status.
 * They change a few times a token at most, so that a mutex costs nothing that could be measured. */
#include "server/metrics.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

enum {
    MAX_MODELS = 256, /* labels; a client cannot make more by inventing names */
    MAX_EDGES = 24,
    MAX_REQUESTS = 512, /* pairs of route and status */
};

typedef struct histogram_form {
    const char *name, *help;
    double edges[MAX_EDGES]; /* seconds, ended by a 0 */
} histogram_form;

/* vLLM's edges of time to first token, inter-token latency and (the last two) request latency. */
static const histogram_form histograms[PITH_N_HISTOGRAMS] = {
    {"pith_time_to_first_token_seconds",
     "Time from submission to the first token.",
     {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1,  0.25,  0.5,   0.75,
      1.0,   2.5,   5.0,  7.5,  10.0, 20.0, 40.0, 80.0, 160.0, 640.0, 2560.0}},
    {"pith_inter_token_seconds",
     "Time between two tokens of one text.",
     {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0, 20.0,
      40.0, 80.0}},
    {"pith_queue_wait_seconds",
     "Time from submission until the first pass began.",
     {0.3,  0.5,  0.8,  1.0,  1.5,   2.0,   2.5,   5.0,   10.0,   15.0,  20.0,
      30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0}},
    {"pith_request_seconds",
     "Time from the headers of a request to the end of its answer.",
     {0.3,  0.5,  0.8,  1.0,  1.5,   2.0,   2.5,   5.0,   10.0,   15.0,  20.0,
      30.0, 40.0, 50.0, 60.0, 120.0, 240.0, 480.0, 960.0, 1920.0, 7680.0}},
};

static const struct {
    const char *name, *help;
} counters[PITH_N_COUNTERS] = {
    {"pith_prompt_tokens_total", "Prompt tokens of generations."},
    {"pith_prompt_cached_tokens_total", "Prompt tokens that an earlier request had evaluated."},
    {"pith_generated_tokens_total", "Tokens generated."},
    {"pith_embedded_tokens_total", "Tokens embedded."},
    {"pith_model_loads_total", "Loads of the model."},
    {"pith_model_unloads_total", "Unloads of the model to make room."},
};

typedef struct histogram_row {
    uint64_t buckets[MAX_EDGES]; /* not cumulative; the last one used is beyond all edges */
    uint64_t count;
    double sum;
} histogram_row;

typedef struct model_row {
    char name[260];
    histogram_row histograms[PITH_N_HISTOGRAMS];
    uint64_t counters[PITH_N_COUNTERS];
} model_row;

typedef struct request_row {
    char path[64];
    int code;
    uint64_t count;
} request_row;

struct pith_metrics {
    pthread_mutex_t lock;
    model_row *models[MAX_MODELS + 1]; /* [n_models]; the last possible one is "other" */
    size_t n_models;
    request_row requests[MAX_REQUESTS];
    size_t n_requests;
};

pith_status pith_metrics_new(pith_metrics **out, pith_error *error) {
    pith_metrics *metrics = calloc(1, sizeof *metrics);
    if (metrics == NULL || pthread_mutex_init(&metrics->lock, NULL) != 0) {
        free(metrics);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory for metrics");
    }
    *out = metrics;
    return PITH_OK;
}

void pith_metrics_free(pith_metrics *metrics) {
    if (metrics == NULL) {
        return;
    }
    for (size_t i = 0; i < metrics->n_models; i++) {
        free(metrics->models[i]);
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics);
}

/* The row of a model, made when there is none; NULL: no memory. Called with the lock. */
static model_row *find_model(pith_metrics *metrics, const char *model) {
    const char *name = model != NULL ? model : "";
    for (size_t i = 0; i < metrics->n_models; i++) {
        if (strncmp(metrics->models[i]->name, name, sizeof metrics->models[i]->name - 1) == 0) {
            return metrics->models[i];
        }
    }
    if (metrics->n_models == MAX_MODELS + 1) {
        return metrics->models[MAX_MODELS];
    }
    model_row *row = calloc(1, sizeof *row);
    if (row != NULL) {
        snprintf(row->name, sizeof row->name, "%s",
                 metrics->n_models == MAX_MODELS ? "other" : name);
        metrics->models[metrics->n_models++] = row;
    }
    return row;
}

void pith_metrics_observe(pith_metrics *metrics, pith_histogram histogram, const char *model,
                          double seconds) {
    if (metrics == NULL) {
        return;
    }
    const double *edges = histograms[histogram].edges;
    size_t bucket = 0;
    while (edges[bucket] != 0 && seconds > edges[bucket]) {
        bucket++;
    }
    pthread_mutex_lock(&metrics->lock);
    model_row *row = find_model(metrics, model);
    if (row != NULL) {
        row->histograms[histogram].buckets[bucket]++;
        row->histograms[histogram].count++;
        row->histograms[histogram].sum += seconds;
    }
    pthread_mutex_unlock(&metrics->lock);
}

void pith_metrics_add(pith_metrics *metrics, pith_counter counter, const char *model, size_t n) {
    if (metrics == NULL || n == 0) {
        return;
    }
    pthread_mutex_lock(&metrics->lock);
    model_row *row = find_model(metrics, model);
    if (row != NULL) {
        row->counters[counter] += n;
    }
    pthread_mutex_unlock(&metrics->lock);
}

void pith_metrics_request(pith_metrics *metrics, const char *path, int code) {
    if (metrics == NULL) {
        return;
    }
    pthread_mutex_lock(&metrics->lock);
    size_t i = 0;
    while (i < metrics->n_requests &&
           (metrics->requests[i].code != code || strcmp(metrics->requests[i].path, path) != 0)) {
        i++;
    }
    if (i == metrics->n_requests && i < MAX_REQUESTS) {
        snprintf(metrics->requests[i].path, sizeof metrics->requests[i].path, "%s", path);
        metrics->requests[i].code = code;
        metrics->n_requests++;
    }
    if (i < metrics->n_requests) {
        metrics->requests[i].count++;
    }
    pthread_mutex_unlock(&metrics->lock);
}

/* ---- Writing --------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static void put(pith_bytes *out, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (n > 0) {
        pith_bytes_append(out, text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
    }
}

/* {label="value"; the caller closes it. */
static void put_label(pith_bytes *out, const char *label, const char *value) {
    put(out, "{%s=\"", label);
    for (const char *c = value; *c != 0; c++) {
        if (*c == '\n') {
            pith_bytes_append(out, "\\n", 2);
            continue;
        }
        if (*c == '"' || *c == '\\') {
            pith_bytes_append(out, "\\", 1);
        }
        pith_bytes_append(out, c, 1);
    }
    pith_bytes_append(out, "\"", 1);
}

void pith_metrics_write_head(pith_bytes *out, const char *name, const char *type,
                             const char *help) {
    put(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void pith_metrics_write_gauge(pith_bytes *out, const char *name, const char *label,
                              const char *label_value, double value) {
    pith_bytes_append_text(out, name);
    if (label != NULL) {
        put_label(out, label, label_value);
        pith_bytes_append(out, "}", 1);
    }
    put(out, " %.15g\n", value);
}

static void write_histogram(pith_bytes *out, const histogram_form *form, const char *model,
                            const histogram_row *row) {
    uint64_t sum = 0;
    for (size_t i = 0; form->edges[i] != 0; i++) {
        sum += row->buckets[i];
        put(out, "%s_bucket", form->name);
        put_label(out, "model", model);
        put(out, ",le=\"%g\"} %llu\n", form->edges[i], (unsigned long long)sum);
    }
    put(out, "%s_bucket", form->name);
    put_label(out, "model", model);
    put(out, ",le=\"+Inf\"} %llu\n%s_sum", (unsigned long long)row->count, form->name);
    put_label(out, "model", model);
    put(out, "} %.9g\n%s_count", row->sum, form->name);
    put_label(out, "model", model);
    put(out, "} %llu\n", (unsigned long long)row->count);
}

static void write_counters(pith_metrics *metrics, pith_bytes *out) {
    for (size_t c = 0; c < PITH_N_COUNTERS; c++) {
        pith_metrics_write_head(out, counters[c].name, "counter", counters[c].help);
        for (size_t m = 0; m < metrics->n_models; m++) {
            pith_bytes_append_text(out, counters[c].name);
            put_label(out, "model", metrics->models[m]->name);
            put(out, "} %llu\n", (unsigned long long)metrics->models[m]->counters[c]);
        }
    }
}

void pith_metrics_write(pith_metrics *metrics, pith_bytes *out) {
    pthread_mutex_lock(&metrics->lock);
    pith_metrics_write_head(out, "pith_requests_total", "counter", "Requests answered.");
    for (size_t i = 0; i < metrics->n_requests; i++) {
        put(out, "pith_requests_total{path=\"%s\",code=\"%d\"} %llu\n", metrics->requests[i].path,
            metrics->requests[i].code, (unsigned long long)metrics->requests[i].count);
    }
    write_counters(metrics, out);
    for (size_t h = 0; h < PITH_N_HISTOGRAMS; h++) {
        pith_metrics_write_head(out, histograms[h].name, "histogram", histograms[h].help);
        for (size_t m = 0; m < metrics->n_models; m++) {
            const model_row *row = metrics->models[m];
            if (row->histograms[h].count > 0) {
                write_histogram(out, &histograms[h], row->name, &row->histograms[h]);
            }
        }
    }
    pthread_mutex_unlock(&metrics->lock);
}
