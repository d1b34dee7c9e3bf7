/* A walk over the key-value pairs at the start of a GGUF file (ggml's docs/gguf.md, versions 2 and
 * 3, little-endian), as far as the bytes reach. */
#include "base/gguf_look.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { STRING = 8, ARRAY = 9, MAX_PAIRS = 1 << 16 };

/* Bytes of a value by its type; 0: not of fixed size. */
static const unsigned char sizes[] = {1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8};

typedef struct cursor {
    const unsigned char *at;
    size_t left;
} cursor;

static bool take(cursor *c, size_t n, const unsigned char **out) {
    if (n > c->left) {
        return false;
    }
    *out = c->at;
    c->at += n;
    c->left -= n;
    return true;
}

static bool take_number(cursor *c, size_t n, uint64_t *out) {
    const unsigned char *bytes;
    if (!take(c, n, &bytes)) {
        return false;
    }
    *out = 0;
    for (size_t i = n; i-- > 0;) {
        *out = *out << 8 | bytes[i];
    }
    return true;
}

static bool take_string(cursor *c, const unsigned char **text, size_t *n) {
    uint64_t length;
    if (!take_number(c, 8, &length) || length > c->left) {
        return false;
    }
    *n = (size_t)length;
    return take(c, *n, text);
}

static void copy_word(char out[PITH_GGUF_WORD], const unsigned char *text, size_t n) {
    size_t kept = n < PITH_GGUF_WORD ? n : PITH_GGUF_WORD - 1;
    while (kept < n && kept > 0 && (text[kept] & 0xc0) == 0x80) {
        kept--; /* not within a character */
    }
    for (size_t i = 0; i < kept; i++) {
        out[i] = (char)(text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i]);
    }
    out[kept] = '\0';
}

static void keep_word(pith_gguf_look *out, const unsigned char *key, size_t n_key,
                      const unsigned char *text, size_t n) {
    const struct {
        const char *key;
        char *word;
    } words[] = {
        {"general.type", out->type},
        {"general.architecture", out->architecture},
        {"general.name", out->name},
        {"general.base_model.0.name", out->base},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].key) == n_key && memcmp(words[i].key, key, n_key) == 0) {
            copy_word(words[i].word, text, n);
        }
    }
}

static bool skip_array(cursor *c) {
    uint64_t type, n;
    const unsigned char *text;
    size_t length;
    if (!take_number(c, 4, &type) || !take_number(c, 8, &n) || type >= sizeof sizes ||
        type == ARRAY) {
        return false;
    }
    if (type != STRING) {
        return n <= c->left / sizes[type] && take(c, (size_t)n * sizes[type], &text);
    }
    while (n-- > 0) {
        if (!take_string(c, &text, &length)) {
            return false;
        }
    }
    return true;
}

static bool take_pair(cursor *c, pith_gguf_look *out) {
    const unsigned char *key, *text;
    size_t n_key, n;
    uint64_t type;
    if (!take_string(c, &key, &n_key) || !take_number(c, 4, &type) || type >= sizeof sizes) {
        return false;
    }
    if (type == ARRAY) {
        return skip_array(c);
    }
    if (type != STRING) {
        return take(c, sizes[type], &text);
    }
    if (!take_string(c, &text, &n)) {
        return false;
    }
    keep_word(out, key, n_key, text, n);
    return true;
}

bool pith_gguf_look_at(pith_gguf_look *out, const unsigned char *bytes, size_t n) {
    static const char magic[] = "GGUF";
    cursor c = {bytes, n};
    const unsigned char *found;
    uint64_t version, n_tensors, n_pairs;
    pith_gguf_look look = {.type = ""};
    if (!take(&c, 4, &found) || memcmp(found, magic, 4) != 0) {
        return false;
    }
    if (take_number(&c, 4, &version) && version >= 2 && version <= 3 &&
        take_number(&c, 8, &n_tensors) && take_number(&c, 8, &n_pairs)) {
        for (size_t i = 0; i < n_pairs && i < MAX_PAIRS && take_pair(&c, &look); i++) {
        }
    }
    *out = look;
    return true;
}

/* ---- Names of parts -------------------------------------------------------------------------- */

/* "-00001-of-00003.gguf" */
enum { NUMBER_DIGITS = 5, SUFFIX = 20 };

bool pith_gguf_set_part(char *path, size_t number, size_t count) {
    char suffix[64];
    size_t n = strlen(path);
    int length = snprintf(suffix, sizeof suffix, "-%0*zu-of-%0*zu.gguf", NUMBER_DIGITS, number + 1,
                          NUMBER_DIGITS, count);
    if (length != SUFFIX || n <= SUFFIX) {
        return false;
    }
    char *at = path + n - SUFFIX;
    bool named = at[0] == '-' && strspn(at + 1, "0123456789") == NUMBER_DIGITS &&
                 strcmp(at + 1 + NUMBER_DIGITS, suffix + 1 + NUMBER_DIGITS) == 0;
    if (named) {
        memcpy(at, suffix, SUFFIX);
    }
    return named;
}

size_t pith_gguf_n_parts(const char *path) {
    unsigned count = 0;
    size_t n = strlen(path);
    bool first = n > SUFFIX && sscanf(path + n - SUFFIX, "-00001-of-%5u.gguf", &count) == 1;
    return first && count > 0 && count <= PITH_GGUF_MAX_PARTS ? count : 1;
}

bool pith_gguf_is_later_part(const char *name) {
    size_t n = strlen(name);
    return n > SUFFIX && name[n - SUFFIX] == '-' && strncmp(name + n - 14, "-of-", 4) == 0 &&
           strncmp(name + n - SUFFIX, "-00001", 6) != 0;
}
