/* Answers of embedding requests, whose size is that of their numbers. */
#include "server/answer_parts.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/status.h"
#include "server/float_text.h"

#include <math.h>
#include <sodium.h>
#include <string.h>

void pith_put_float(pith_json_writer *json, const char *key, float x) {
    char text[PITH_FLOAT_TEXT];
    size_t n = pith_float_text(x, text);
    pith_json_put_raw(json, key, text, n);
}

void pith_put_floats(pith_json_writer *json, const char *key, const float *x, size_t n) {
    pith_json_open(json, key, '[');
    for (size_t i = 0; i < n; i++) {
        pith_put_float(json, NULL, x[i]);
    }
    pith_json_close(json, ']');
}

/* ---- base64 ---------------------------------------------------------------------------------- */

/* Room for a vector as bytes and as base64. */
typedef struct base64_room {
    unsigned char *bytes; /* [4 n] */
    char *text;           /* [n_text] with its NUL */
    size_t n_text;
} base64_room;

static bool open_room(base64_room *room, const pith_allocator *allocator, size_t n) {
    size_t n_bytes;
    *room = (base64_room){.bytes = NULL};
    if (!pith_mul_size(n, sizeof(float), &n_bytes)) {
        return false;
    }
    room->n_text = sodium_base64_encoded_len(n_bytes, sodium_base64_VARIANT_ORIGINAL);
    room->bytes = pith_allocate(allocator, n_bytes, 1);
    room->text = pith_allocate(allocator, room->n_text, 1);
    return room->bytes != NULL && room->text != NULL;
}

static void close_room(base64_room *room, const pith_allocator *allocator) {
    pith_release(allocator, room->bytes);
    pith_release(allocator, room->text);
}

static void put_base64(pith_json_writer *json, const char *key, const float *vector, size_t n,
                       const base64_room *room) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &vector[i], sizeof bits);
        for (size_t k = 0; k < sizeof bits; k++) {
            room->bytes[4 * i + k] = (unsigned char)(bits >> 8 * k);
        }
    }
    sodium_bin2base64(room->text, room->n_text, room->bytes, 4 * n, sodium_base64_VARIANT_ORIGINAL);
    pith_json_put_text(json, key, room->text);
}

/* ---- Answers --------------------------------------------------------------------------------- */

static pith_status check_finite(const float *vectors, size_t n_inputs, size_t dimension,
                                pith_error *error) {
    for (size_t i = 0; i < n_inputs; i++) {
        for (size_t k = 0; k < dimension; k++) {
            if (!isfinite(vectors[i * dimension + k])) {
                return pith_fail(error, PITH_ERROR_NUMERIC,
                                 "embedding %zu has a number that is not finite", i);
            }
        }
    }
    return PITH_OK;
}

/* {"embeddings":[[...]],"usage":{"promptTokenCount":n}} */
static void put_embed(pith_json_writer *json, const float *vectors, size_t n_inputs,
                      size_t dimension, size_t prompt_tokens) {
    pith_json_open(json, NULL, '{');
    pith_json_open(json, "embeddings", '[');
    for (size_t i = 0; i < n_inputs; i++) {
        pith_put_floats(json, NULL, vectors + i * dimension, dimension);
    }
    pith_json_close(json, ']');
    pith_json_open(json, "usage", '{');
    pith_json_put_integer(json, "promptTokenCount", (int64_t)prompt_tokens);
    pith_json_close(json, '}');
    pith_json_close(json, '}');
}

static void put_list(pith_json_writer *json, const pith_answer_head *head, const float *vectors,
                     size_t n_inputs, size_t dimension, size_t prompt_tokens) {
    const pith_allocator *allocator = json->bytes.allocator;
    base64_room room = {.bytes = NULL};
    bool base64 = head->request->base64;
    if (base64 && !open_room(&room, allocator, dimension)) {
        json->status = PITH_ERROR_MEMORY;
        base64 = false;
    }
    pith_json_open(json, NULL, '{');
    pith_json_put_text(json, "object", "list");
    pith_json_open(json, "data", '[');
    for (size_t i = 0; i < n_inputs && json->status == PITH_OK; i++) {
        pith_json_open(json, NULL, '{');
        pith_json_put_text(json, "object", "embedding");
        pith_json_put_integer(json, "index", (int64_t)i);
        if (base64) {
            put_base64(json, "embedding", vectors + i * dimension, dimension, &room);
        } else {
            pith_put_floats(json, "embedding", vectors + i * dimension, dimension);
        }
        pith_json_close(json, '}');
    }
    pith_json_close(json, ']');
    pith_json_put_text(json, "model", head->model);
    pith_put_prompt_usage(json, prompt_tokens);
    pith_json_close(json, '}');
    close_room(&room, allocator);
}

pith_status pith_answer_embeddings(const pith_answer_head *head, const float *vectors,
                                   size_t n_inputs, size_t dimension,
                                   const pith_answer_usage *usage, pith_bytes *out,
                                   pith_error *error) {
    pith_document d;
    pith_status status = check_finite(vectors, n_inputs, dimension, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_document_begin(&d, out, error);
    if (pith_endpoint_is_ollama(head->request->endpoint)) {
        pith_put_ollama_vectors(&d.json, head, vectors, n_inputs, dimension, usage);
    } else if (head->request->endpoint == PITH_ENDPOINT_EMBED) {
        put_embed(&d.json, vectors, n_inputs, dimension, usage->prompt_tokens);
    } else {
        put_list(&d.json, head, vectors, n_inputs, dimension, usage->prompt_tokens);
    }
    return pith_document_end(&d);
}
