/* Reading parts of a file; see extracts.h. */
#include "weights/extracts.h"

#include <stdatomic.h>

#include "base/checked.h"
#include "base/status.h"

enum {
    READ_PIECE = 8 << 20, /* bytes of one read: large enough to stream, small enough to share */
};

/* One parallel read; the first failing piece leaves its error here. */
typedef struct reading {
    const pith_file *file;
    const pith_extract *extracts; /* [n_extracts] */
    size_t n_extracts;
    size_t n_pieces;
    size_t size; /* bytes of all */
    unsigned char *data;
    const pith_load_watch *watch; /* may be NULL */
    atomic_size_t next;           /* piece */
    atomic_size_t done;           /* bytes */
    atomic_bool stop;
    atomic_flag failed;
    pith_status status;
    pith_error error;
} reading;

static void read_failed(reading *r, pith_status status, const pith_error *why) {
    if (!atomic_flag_test_and_set(&r->failed)) {
        r->status = status;
        r->error = *why;
    }
    atomic_store(&r->stop, true);
}

/* Only the calling thread reports. */
static void report_progress(reading *r, size_t thread) {
    const pith_load_watch *watch = r->watch;
    if (thread == 0 && watch != NULL && watch->fn != NULL &&
        !watch->fn(watch->user, atomic_load(&r->done), r->size)) {
        pith_error why;
        read_failed(r, pith_fail(&why, PITH_ERROR_STOPPED, "%s: stopped", r->file->path), &why);
    }
}

/* The extract that a piece is of: the last one with no more pieces ahead of it. */
static const pith_extract *extract_of(const reading *r, size_t piece) {
    size_t low = 0;
    size_t high = r->n_extracts;
    while (high - low > 1) {
        size_t middle = low + (high - low) / 2;
        if (r->extracts[middle].n_ahead <= piece) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &r->extracts[low];
}

/* Every thread takes the next piece in file order, for the sake of the system's read-ahead and of
 * disks that seek, and is the first to touch the piece's memory: huge pages are zeroed in parallel
 * and filled while they are in the cache. */
static void read_pieces(void *argument, size_t begin, size_t end, size_t thread) {
    reading *r = argument;
    (void)begin;
    (void)end;
    while (!atomic_load(&r->stop)) {
        size_t piece = atomic_fetch_add(&r->next, 1);
        if (piece >= r->n_pieces) {
            return;
        }
        const pith_extract *extract = extract_of(r, piece);
        size_t at = (piece - extract->n_ahead) * READ_PIECE;
        size_t n = pith_min_size(extract->n - at, READ_PIECE);
        pith_error why;
        pith_status status =
            pith_file_read(r->file, extract->offset + at, r->data + extract->at + at, n, &why);
        if (status != PITH_OK) {
            read_failed(r, status, &why);
            return;
        }
        atomic_fetch_add(&r->done, n);
        report_progress(r, thread);
    }
}

pith_status pith_read_extracts(const pith_file *file, pith_extract *extracts, size_t n_extracts,
                               unsigned char *data, pith_pool *pool, const pith_load_watch *watch,
                               pith_error *error) {
    reading r = {
        .file = file,
        .extracts = extracts,
        .n_extracts = n_extracts,
        .data = data,
        .watch = watch,
        .failed = ATOMIC_FLAG_INIT,
    };
    for (size_t i = 0; i < n_extracts; i++) {
        extracts[i].n_ahead = r.n_pieces;
        r.n_pieces += extracts[i].n / READ_PIECE + (extracts[i].n % READ_PIECE != 0);
        r.size += extracts[i].n;
    }
    pith_file_advise_sequential(file);
    if (pool != NULL) {
        pith_pool_run(pool, pith_pool_threads(pool), 1, read_pieces, &r);
    } else {
        read_pieces(&r, 0, 1, 0);
    }
    if (r.status == PITH_OK) {
        report_progress(&r, 0); /* pieces that other threads finished last */
    }
    if (r.status != PITH_OK) {
        return pith_fail(error, r.status, "%s", r.error.message);
    }
    return PITH_OK;
}
