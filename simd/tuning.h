/* Tuning files, which hold a memory path that was measured on a machine: checking and writing.
 * Reading is pith_tuning_load in pith.h; docs/format.md describes the format. */
#ifndef PITH_SIMD_TUNING_H
#define PITH_SIMD_TUNING_H

#include "base/status.h"
#include "simd/kernels.h"

enum {
    PITH_TUNING_VERSION = 1,
    PITH_TUNING_BYTES = 4096,       /* most bytes of a file */
    PITH_TUNING_DISTANCE = 1 << 20, /* most bytes ahead; a power of two */
    PITH_TUNING_DISTANCE_UNIT = 64, /* a cache line */
};

/* By enum: "none", "nta", "t1", "t0". */
extern const char *const pith_hint_names[PITH_N_HINTS];

/* "t1 16 KB", "none". */
typedef struct pith_fetch_text {
    char text[32];
} pith_fetch_text;
pith_fetch_text pith_fetch_describe(pith_fetch fetch);

bool pith_fetch_same(pith_fetch a, pith_fetch b);

/* Errors: ARGUMENT, naming the field and its limits. */
pith_status pith_tuning_check(const pith_tuning *tuning, pith_error *error);

/* As pith_tuning_load, from the file's text [n]; `where` names the file in messages. */
pith_status pith_tuning_parse(pith_tuning *out, const char *text, size_t n, const char *where,
                              pith_error *error);

/* Writes a file that pith_tuning_load reads. Errors: ARGUMENT (pith_tuning_check),
 * MEMORY, IO, FORMAT (there is something else than a regular file under this name). */
pith_status pith_tuning_save(const pith_tuning *tuning, const char *path, pith_error *error);

/* Logs what using the tuning with these kernels on this CPU means: a warning when it was measured
 * on another CPU or with others (what it does not say counts as the same), and how it fetches. */
void pith_tuning_log(const pith_tuning *tuning, const pith_kernels *kernels, const pith_log *log);

#endif
