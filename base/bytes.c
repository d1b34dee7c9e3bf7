/* A growable byte string; capacity doubles, so appending is linear over all. */
#include "base/bytes.h"

#include "base/checked.h"
#include "base/memory.h"
#include "base/utf8.h"

#include <string.h>

enum { FIRST_CAPACITY = 64 };

void pith_bytes_init(pith_bytes *bytes, const pith_allocator *allocator) {
    *bytes = (pith_bytes){.allocator = pith_allocator_or_default(allocator)};
}

void pith_bytes_release(pith_bytes *bytes) {
    if (bytes->data != NULL) {
        pith_release(bytes->allocator, bytes->data);
    }
    pith_bytes_init(bytes, bytes->allocator);
}

static bool reserve(pith_bytes *bytes, size_t needed) {
    if (needed <= bytes->capacity) {
        return true;
    }
    size_t doubled;
    if (!pith_mul_size(bytes->capacity, 2, &doubled)) {
        doubled = needed;
    }
    size_t capacity = pith_max_size(pith_max_size(doubled, needed), FIRST_CAPACITY);
    char *data = pith_reallocate(bytes->allocator, bytes->data, capacity, 1);
    if (data == NULL) {
        return false;
    }
    bytes->data = data;
    bytes->capacity = capacity;
    return true;
}

bool pith_bytes_append(pith_bytes *bytes, const void *data, size_t n) {
    size_t needed;
    if (!pith_add_size(bytes->size, n, &needed) || !pith_add_size(needed, 1, &needed) ||
        !reserve(bytes, needed)) {
        return false;
    }
    if (n > 0) {
        memcpy(bytes->data + bytes->size, data, n);
    }
    bytes->size += n;
    bytes->data[bytes->size] = '\0';
    return true;
}

bool pith_bytes_append_text(pith_bytes *bytes, const char *text) {
    return pith_bytes_append(bytes, text, strlen(text));
}

bool pith_bytes_append_valid(pith_bytes *bytes, const char *text, size_t n) {
    for (size_t at = 0; at < n;) {
        size_t good = pith_utf8_check(text + at, n - at);
        if (!pith_bytes_append(bytes, text + at, good)) {
            return false;
        }
        at += good;
        if (at < n) {
            if (!pith_bytes_append_text(bytes, "\xEF\xBF\xBD")) {
                return false;
            }
            at++;
        }
    }
    return true;
}
