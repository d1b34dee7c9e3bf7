#include <math.h>
#include <stdlib.h>

#include "perf/load/load.h"

bool load_samples_add(load_samples *samples, double seconds) {
    if (samples->n == samples->room) {
        size_t room = samples->room > 0 ? 2 * samples->room : 1024;
        double *values = realloc(samples->values, room * sizeof *values);
        if (values == NULL) {
            return false;
        }
        samples->values = values;
        samples->room = room;
    }
    samples->values[samples->n++] = seconds;
    return true;
}

static int compare(const void *a, const void *b) {
    const double *x = a;
    const double *y = b;
    return (*x > *y) - (*x < *y);
}

double load_samples_quantile(load_samples *samples, double share) {
    if (samples->n == 0) {
        return 0;
    }
    qsort(samples->values, samples->n, sizeof *samples->values, compare);
    double rank = ceil(share * (double)samples->n);
    return samples->values[rank < 1 ? 0 : (size_t)rank - 1];
}

void load_samples_free(load_samples *samples) {
    free(samples->values);
    *samples = (load_samples){.n = 0};
}
