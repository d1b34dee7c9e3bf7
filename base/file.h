/* Files: reading and mapping, and publishing a new file so that a reader never sees half of it. */
#ifndef PITH_BASE_FILE_H
#define PITH_BASE_FILE_H

#include "base/memory.h"

/* Fills `error` with IO and "PATH: cannot ACTION: REASON", the reason being that of the errno value
 * `code`. */
pith_status pith_fail_io(pith_error *error, const char *path, const char *action, int code);

/* A regular file open for reading. */
typedef struct pith_file {
    int fd;
    size_t size;
    const char *path; /* borrowed from the caller of pith_file_open */
} pith_file;

/* Errors: IO (with path and strerror), FORMAT (not a regular file). */
pith_status pith_file_open(pith_file *out, const char *path, pith_error *error);
/* As pith_file_open, without following a symbolic link in any part of the path: for files found by
 * walking a directory, where somebody may replace what was found. A link is IO. */
pith_status pith_file_open_no_links(pith_file *out, const char *path, pith_error *error);
void pith_file_close(pith_file *file);

/* Reads exactly `size` bytes at `offset`; a short file is FORMAT ("truncated"). Thread-safe. After
 * a failure the content of `data` is unspecified. */
pith_status pith_file_read(const pith_file *file, size_t offset, void *data, size_t size,
                           pith_error *error);

/* Tells the system that the whole file is about to be read from front to back, so that it reads
 * further ahead. Advice only. */
void pith_file_advise_sequential(const pith_file *file);

/* Maps [size] bytes from the start of the file read-only, without reading any of them. An empty
 * file is FORMAT. */
pith_status pith_file_map(const pith_file *file, const void **data, pith_error *error);
/* Asks the system to begin reading a mapped file and to use huge pages if it can. Advice only. */
void pith_file_advise_mapped(const void *data, size_t size);
void pith_file_unmap(const void *data, size_t size);

/* A file being written: a temporary beside the final path, named PATH.tmp-pith- and 16 random
 * hexadecimal digits. Commit makes it visible under its own name with fsync, rename and fsync of
 * the directory. Several writers of one path do not disturb each other; the last to commit stays.
 * The next pith_output_create of the same path removes a temporary that was left by a process that
 * is gone: one of this form, ours, and without the lock that its writer holds. */
typedef struct pith_output pith_output;

/* A new file has the permissions that the umask allows; one made by pith_output_create_private may
 * be read by its owner only. One that replaces a file keeps that one's permissions, POSIX ACL, and,
 * where the system allows, owner and group; other extended attributes are lost. A symbolic link
 * stays, and the file it leads to is created or replaced. Errors: IO, MEMORY, ARGUMENT (the path
 * names no file), FORMAT (there is something else than a regular file under this name). */
pith_status pith_output_create(pith_output **out, const char *path, const pith_allocator *allocator,
                               pith_error *error);
pith_status pith_output_create_private(pith_output **out, const char *path,
                                       const pith_allocator *allocator, pith_error *error);
/* Writes at any offset; thread-safe. Errors: IO (disk full is named). */
pith_status pith_output_write(pith_output *output, size_t offset, const void *data, size_t size,
                              pith_error *error);
/* Opens what has been written so far, to check it before it is published. The path is that of the
 * final file. Close it before commit or discard. Errors: IO. */
pith_status pith_output_reopen(const pith_output *output, pith_file *out, pith_error *error);
/* Publishes and frees, also on failure: then nothing is published and the temporary is removed. The
 * one exception is a failure to flush the directory after the rename, named in the message: the new
 * file is in place, but might not survive a power cut. Fails when a write has failed before. */
pith_status pith_output_commit(pith_output *output, pith_error *error);
/* Removes the temporary and frees; accepts NULL. */
void pith_output_discard(pith_output *output);

#endif
