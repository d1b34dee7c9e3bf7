/* Documents and their vectors over HTTP: what the handlers of /collections share. */
#ifndef PITH_SERVER_COLLECTIONS_H
#define PITH_SERVER_COLLECTIONS_H

#include "server/service.h"
#include "server/vectors.h"

enum {
    PITH_COLLECTION_DOCUMENTS = 2048, /* of a request */
    PITH_COLLECTION_CHUNKS = 2048,    /* of all documents of a request */
    PITH_COLLECTION_RESULTS = 1000,   /* of a search */
    PITH_COLLECTION_FILTERS = 32,     /* members of a filter */
};

/* ---- Requests (collections_request.c) -------------------------------------------------------- */

typedef struct pith_posted_document {
    pith_text id;
    pith_text text;
    pith_json metadata; /* absent: none */
} pith_posted_document;

/* The body of a request, and the document that its values lie in. */
typedef struct pith_collection_request {
    char *body;
    const char *model;               /* NULL: not named */
    pith_posted_document *documents; /* [n_documents] */
    size_t n_documents;
    pith_text query;
    size_t k;
    pith_json filter; /* an object of scalars; absent: all documents */
} pith_collection_request;

/* {"documents": [{"id", "text", "metadata"}], "model"}, or one document in place of the list.
 * Problems: 400, 503. Release it also on failure. */
bool pith_collection_read_documents(pith_collection_request *out, const pith_exchange *x,
                                    pith_problem *problem);
/* {"query", "k", "filter", "model"} */
bool pith_collection_read_search(pith_collection_request *out, const pith_exchange *x,
                                 pith_problem *problem);
void pith_collection_request_release(pith_collection_request *request);

/* ---- Collections and their models (collections.c) -------------------------------------------- */

/* The segment of the path after "/collections/" as a name: NUL-terminated, UTF-8, short enough. */
bool pith_collection_name(const pith_call *call, char name[128], pith_problem *problem);

/* Fills in 404 collection_not_found and returns false. */
bool pith_collection_not_found(const char *name, pith_problem *problem);

/* Writes a text of the database, whose bytes may be those of a file's name: what is not UTF-8
 * becomes U+FFFD. */
void pith_collection_put_text(pith_json_writer *json, const char *key, const char *text, size_t n);

/* A failure of the database: the message goes to the log, the client learns what kind of failure it
 * is. */
bool pith_collection_problem(pith_call *call, const pith_error *error, pith_problem *problem);

/* The collection of that name as it is now; *found is true when there is one. */
bool pith_collection_look(pith_call *call, const char *name, pith_store_collection *out,
                          bool *found, pith_problem *problem);

/* An encoder for a collection: the one asked for, else the collection's own, else the first. */
typedef struct pith_collection_encoder {
    pith_lease lease;
    bool leased;
    const char *prompt; /* in front of documents or queries; "": none */
} pith_collection_encoder;

/* `collection` NULL: it is not there yet. Problems: 404 (no such model), 400 (of another model than
 * the collection's vectors). */
bool pith_collection_encoder_open(pith_collection_encoder *out, pith_call *call, const char *model,
                                  const pith_store_collection *collection, pith_prompt_use use,
                                  pith_problem *problem);
void pith_collection_encoder_close(pith_collection_encoder *encoder, pith_call *call);

#endif
