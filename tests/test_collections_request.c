/* The bodies of requests about collections. */
#include "server/collections.h"
#include "tests/support.h"
#include "tests/test.h"

#include <string.h>

static bool read(const char *body, bool documents, pith_collection_request *request,
                 pith_problem *problem) {
    char copy[1000];
    pith_exchange x = {.body = copy, .n_body = strlen(body)};
    memcpy(copy, body, strlen(body) + 1);
    bool good = documents ? pith_collection_read_documents(request, &x, problem)
                          : pith_collection_read_search(request, &x, problem);
    CHECK(strcmp(copy, body) == 0, "the body is hashed for idempotency later, and has changed");
    return good;
}

TEST(collections_request, documents_are_read) {
    pith_collection_request r;
    pith_problem problem;
    CHECK(read("{\"model\": \"m\", \"documents\": [{\"id\": \"a\\n\", \"text\": \"\", "
               "\"metadata\": {\"x\": [1]}}, {\"id\": \"b\", \"text\": \"t\", \"metadata\": "
               "null, \"other\": 1}]}",
               true, &r, &problem),
          "%s", problem.message);
    CHECK(r.n_documents == 2 && strcmp(r.model, "m") == 0, "%zu documents", r.n_documents);
    CHECK(r.documents[0].id.n_bytes == 2 && memcmp(r.documents[0].id.data, "a\n", 2) == 0, "id");
    CHECK(r.documents[0].text.n_bytes == 0 && r.documents[1].text.data[0] == 't', "texts");
    CHECK(pith_json_is(r.documents[0].metadata, PITH_JSON_OBJECT), "metadata");
    pith_collection_request_release(&r);
    CHECK(read("{\"id\": \"a\", \"text\": \"one\", \"model\": \"\"}", true, &r, &problem), "%s",
          problem.message);
    CHECK(r.n_documents == 1 && r.model == NULL && r.documents[0].text.n_bytes == 3,
          "a single one");
    pith_collection_request_release(&r);
    CHECK_NO_LEAKS();
}

TEST(collections_request, searches_are_read) {
    pith_collection_request r;
    pith_problem problem;
    CHECK(read("{\"query\": \"q\"}", false, &r, &problem), "%s", problem.message);
    CHECK(r.k == 10 && r.filter.at == NULL && r.query.n_bytes == 1, "defaults");
    pith_collection_request_release(&r);
    CHECK(read("{\"query\": \"\", \"k\": 1000, \"filter\": {\"a\": 1, \"b\": null}}", false, &r,
               &problem),
          "%s", problem.message);
    CHECK(r.k == 1000 && pith_json_size(r.filter) == 2, "what was given");
    pith_collection_request_release(&r);
    CHECK_NO_LEAKS();
}

TEST(collections_request, what_is_wrong_is_named) {
    static const struct {
        const char *body;
        bool documents;
        const char *param, *message;
    } cases[] = {
        {"[1]", true, "", "the body must be a JSON object"},
        {"{\"id\": \"a\"", true, "", "body"},
        {"{\"documents\": {}}", true, "documents", "an array of objects"},
        {"{\"documents\": []}", true, "documents", "has 0 elements"},
        {"{\"documents\": [3]}", true, "documents[0]", "an object with id and text, not 3"},
        {"{\"documents\": [{\"text\": \"t\"}]}", true, "documents[0].id", "a string, not nothing"},
        {"{\"documents\": [{\"id\": \"\", \"text\": \"t\"}]}", true, "documents[0].id", "0 bytes"},
        {"{\"id\": \"a\"}", true, "text", "a string, not nothing"},
        {"{\"id\": \"a\", \"text\": \"t\", \"metadata\": 1}", true, "metadata", "an object, not 1"},
        {"{\"id\": \"a\", \"text\": \"t\", \"model\": 1}", true, "model", "not 1"},
        {"{\"k\": 1}", false, "query", "a string"},
        {"{\"query\": \"q\", \"k\": 1001}", false, "k", "within 1 and 1000"},
        {"{\"query\": \"q\", \"k\": 1.5}", false, "k", "within 1 and 1000"},
        {"{\"query\": \"q\", \"filter\": []}", false, "filter", "an object"},
        {"{\"query\": \"q\", \"filter\": {\"a\": {}}}", false, "filter.a", "not an object"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pith_collection_request r;
        pith_problem problem = {.http = 0};
        CHECK(!read(cases[i].body, cases[i].documents, &r, &problem), "%s", cases[i].body);
        CHECK(problem.http == 400 && strcmp(problem.param, cases[i].param) == 0 &&
                  strstr(problem.message, cases[i].message) != NULL,
              "%s: %d, param '%s', '%s'", cases[i].body, problem.http, problem.param,
              problem.message);
        pith_collection_request_release(&r);
    }
    CHECK_NO_LEAKS();
}
