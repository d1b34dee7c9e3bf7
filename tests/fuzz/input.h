/* What the fuzz harnesses share: cutting an input into fields, an allocator that fails now and
 * then, files in memory. */
#ifndef PITH_TESTS_FUZZ_INPUT_H
#define PITH_TESTS_FUZZ_INPUT_H

#include "tests/support.h"
#include "tests/tokens.h"

/* libFuzzer's entry point, which every harness defines. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process, which is a finding, unless the condition holds. */
void fuzz_require(bool condition);

/* ---- Fields ---------------------------------------------------------------------------------- */

/* An input that is read from its front. */
typedef struct fuzz_input {
    const uint8_t *at;
    size_t left; /* bytes */
} fuzz_input;

/* The next byte; 0 at the end. */
uint8_t fuzz_byte(fuzz_input *in);

/* A copy of the bytes up to the next NUL byte, which is skipped, or up to the end: malloc'ed to the
 * byte, so that reading beyond it is seen. NULL at the end of the input. */
char *fuzz_text(fuzz_input *in, size_t *n_bytes);

/* A copy of [n] bytes, malloc'ed to the byte. */
char *fuzz_copy(const void *data, size_t n);

/* ---- Memory ---------------------------------------------------------------------------------- */

/* Starts an allocator; with every fourth input, going by a hash of its bytes, one allocation fails,
 * which one depends on the hash too. So a mutation anywhere may fail another one, and an input
 * always fails the same one. Afterwards t->n_live must be 0. */
void fuzz_allocator_init(test_allocator *t, const uint8_t *data, size_t size);

/* The choice of the function above anew, for an allocator in use. */
void fuzz_allocator_arm(test_allocator *t, const uint8_t *data, size_t size);

/* True when an allocation has failed. */
bool fuzz_allocation_failed(const test_allocator *t);

/* Puts an allocator that can fail under SQLite, and takes its lookaside memory away, which would
 * hide it. Called once, before SQLite is used. */
void fuzz_sqlite_init(void);

/* Makes one of SQLite's next allocations fail, by a hash of the input; fuzz_sqlite_disarm ends
 * that. */
void fuzz_sqlite_arm(const uint8_t *data, size_t size);
void fuzz_sqlite_disarm(void);

/* Builds a tokenizer again, over the same vocabulary, with an allocator that must outlive it. */
void fuzz_tokenizer_rebuild(test_tokenizer *t, const test_allocator *memory);

/* Hash of bytes (FNV-1a), for choices that need no place in the input. */
uint64_t fuzz_hash(const uint8_t *data, size_t size);

/* ---- Files ----------------------------------------------------------------------------------- */

/* A file without a name that a path leads to. */
typedef struct fuzz_file {
    int fd;
    char path[40];
} fuzz_file;

void fuzz_file_open(fuzz_file *file);
void fuzz_file_write(const fuzz_file *file, const void *data, size_t size); /* appends */
void fuzz_file_close(fuzz_file *file);

/* Where the data ends that the header of a safetensors file asks for, which is JSON more or less:
 * the largest second number of all "data_offsets" up to 1 MiB, in bytes; 0 when there is none. */
size_t fuzz_data_size(const char *text, size_t n);

#endif
