/* The work of a conversion: rows are read, widened, quantised and written tile by tile on all
 * threads, and hashed on the way. */
#ifndef PITH_CONVERT_STREAM_H
#define PITH_CONVERT_STREAM_H

#include "base/pool.h"
#include "convert/convert.h"
#include "convert/importance.h"
#include "convert/plan.h"
#include "convert/sources.h"
#include "weights/pith_file.h"

typedef struct pith_stream {
    const pith_plan *plan;
    const pith_sources *sources;
    const pith_importance *importance; /* or NULL */
    const pith_convert_options *options;
    pith_pool *pool;
    pith_model_writer *writer; /* laid out; part i of the plan is tensor first_index + i */
    size_t first_index;
    char (*part_hashes)[PITH_SHA256_TEXT];   /* [plan->n], filled in */
    char (*source_hashes)[PITH_SHA256_TEXT]; /* [sources->n], filled in */
} pith_stream;

/* Writes all parts of the plan and hashes all sources; reports each matrix.
 * Errors: IO, FORMAT (values), MEMORY, STOPPED. */
pith_status pith_stream_run(const pith_stream *stream, pith_error *error);

#endif
