/* Connections to the collections; see vectors.h. */
#include "server/vectors.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/status.h"

typedef struct connection {
    pthread_mutex_t mutex;
    pith_store *store; /* NULL: not opened yet */
} connection;

struct pith_vectors {
    char *path; /* NULL: in memory */
    connection reader, writer;
};

pith_status pith_vectors_new(pith_vectors **out, const char *path, pith_error *error) {
    pith_vectors *vectors = calloc(1, sizeof *vectors);
    char *copy = path != NULL ? strdup(path) : NULL;
    if (vectors == NULL || (path != NULL && copy == NULL)) {
        free(vectors);
        free(copy);
        return pith_fail(error, PITH_ERROR_MEMORY, "out of memory");
    }
    vectors->path = copy;
    pthread_mutex_init(&vectors->reader.mutex, NULL);
    pthread_mutex_init(&vectors->writer.mutex, NULL);
    *out = vectors;
    return PITH_OK;
}

void pith_vectors_free(pith_vectors *vectors) {
    if (vectors == NULL) {
        return;
    }
    pith_store_close(vectors->reader.store);
    pith_store_close(vectors->writer.store);
    pthread_mutex_destroy(&vectors->reader.mutex);
    pthread_mutex_destroy(&vectors->writer.mutex);
    free(vectors->path);
    free(vectors);
}

/* A database in memory is visible only to the connection that made it. */
static connection *reader_of(pith_vectors *vectors) {
    return vectors->path != NULL ? &vectors->reader : &vectors->writer;
}

/* Locks the connection, and opens it when it was not; on failure nothing is locked. */
static pith_status enter(const pith_vectors *vectors, connection *c,
                         pith_status (*begin)(pith_store *, pith_error *), pith_store **out,
                         pith_error *error) {
    pith_status status = PITH_OK;
    pthread_mutex_lock(&c->mutex);
    if (c->store == NULL) {
        const pith_store_options options = {.in_memory = vectors->path == NULL};
        const char *path = vectors->path != NULL ? vectors->path : "collections in memory";
        status = pith_store_open(&c->store, path, &options, error);
    }
    if (status == PITH_OK) {
        status = begin(c->store, error);
    }
    if (status != PITH_OK) {
        pthread_mutex_unlock(&c->mutex);
        return status;
    }
    *out = c->store;
    return PITH_OK;
}

pith_status pith_vectors_read(pith_vectors *vectors, pith_store **out, pith_error *error) {
    return enter(vectors, reader_of(vectors), pith_store_begin_reading, out, error);
}

pith_status pith_vectors_write(pith_vectors *vectors, pith_store **out, pith_error *error) {
    return enter(vectors, &vectors->writer, pith_store_begin, out, error);
}

void pith_vectors_end_read(pith_vectors *vectors) {
    connection *c = reader_of(vectors);
    pith_store_rollback(c->store);
    pthread_mutex_unlock(&c->mutex);
}

pith_status pith_vectors_end_write(pith_vectors *vectors, pith_status status, pith_error *error) {
    connection *c = &vectors->writer;
    if (status == PITH_OK) {
        status = pith_store_commit(c->store, error);
    } else {
        pith_store_rollback(c->store);
    }
    pthread_mutex_unlock(&c->mutex);
    return status;
}
