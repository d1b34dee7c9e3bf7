/* The files of a checkpoint directory that a conversion reads. Each is opened once and stays open:
 * what is hashed for the metadata is what was read. */
#ifndef PITH_CONVERT_SOURCES_H
#define PITH_CONVERT_SOURCES_H

#include "base/file.h"

typedef struct pith_source_file {
    char *name; /* within the directory; of a file elsewhere its base name */
    char *path;
    pith_file file;
    bool inside; /* the directory */
} pith_source_file;

enum { PITH_SOURCES_MAX_INNER = 128 }; /* bytes of a directory within, with its end */

typedef struct pith_sources {
    const pith_allocator *allocator;
    char *directory;
    char inner[PITH_SOURCES_MAX_INNER]; /* where names are looked up: "", or "0_Transformer/" */
    int directory_fd;
    pith_source_file *files; /* [n], in the order of opening */
    size_t n;
    size_t capacity;
} pith_sources;

/* Errors: IO, FORMAT (not a directory), MEMORY. */
pith_status pith_sources_open(pith_sources *out, const char *directory,
                              const pith_allocator *allocator, pith_error *error);
/* Opens the directory that the file `path` is in. Errors: as pith_sources_open. */
pith_status pith_sources_open_beside(pith_sources *out, const char *path,
                                     const pith_allocator *allocator, pith_error *error);
void pith_sources_close(pith_sources *sources);

/* Looks names up in a directory within from now on, "" for the outermost: false when the path is
 * too long or leads out of the directory. */
bool pith_sources_enter(pith_sources *sources, const char *inner);

/* True when the directory has an entry with that name. */
bool pith_sources_has(const pith_sources *sources, const char *name);

/* Opens directory/name, or finds it among those opened; *index is its place in `files`. Errors: IO,
 * FORMAT, MEMORY. */
pith_status pith_sources_add(pith_sources *sources, const char *name, size_t *index,
                             pith_error *error);

/* As pith_sources_add for a file anywhere. */
pith_status pith_sources_add_path(pith_sources *sources, const char *path, size_t *index,
                                  pith_error *error);

/* Reads a whole file of at most `limit` bytes; *text ends with a NUL after its *size bytes and is
 * released by the caller. Errors: IO, FORMAT (longer than the limit), MEMORY. */
pith_status pith_sources_read(const pith_sources *sources, size_t index, size_t limit, char **text,
                              size_t *size, pith_error *error);

/* Opens and reads directory/name when it is there; *text is NULL when it is not. */
pith_status pith_sources_read_optional(pith_sources *sources, const char *name, size_t limit,
                                       char **text, size_t *size, pith_error *error);

#endif
