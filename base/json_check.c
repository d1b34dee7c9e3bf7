/* Checks a JSON document and decodes its strings in place (json.h has the form). One pass without
 * recursion; the keys of open objects lie on a stack as offsets, to be sorted and compared when
 * their object closes. */
#include "base/json.h"

#include "base/json_form.h"
#include "base/memory.h"
#include "base/status.h"
#include "base/utf8.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An array or object that is not closed yet. */
typedef struct level {
    bool object;
    uint32_t first_key; /* in checker.keys */
} level;

typedef struct checker {
    char *text;
    size_t n;
    size_t at;
    size_t line, line_start; /* line from 1, offset of its first byte */
    pith_json_mode mode;
    const char *where;
    const pith_allocator *allocator;
    pith_error *error;
    level levels[PITH_JSON_MAX_DEPTH];
    size_t depth;
    uint32_t *keys; /* [key_capacity] offsets of the keys of open objects */
    size_t n_keys;
    size_t key_capacity;
} checker;

static pith_status fail(const checker *c, const char *what) {
    return pith_fail(c->error, PITH_ERROR_FORMAT, "%s: bad JSON at line %zu, column %zu: %s",
                     c->where, c->line, c->at - c->line_start + 1, what);
}

/* NUL, which is valid nowhere, stands for the end. */
static char peek(const checker *c) {
    return c->at < c->n ? c->text[c->at] : '\0';
}

static void skip_space(checker *c) {
    while (pith_json_is_space(peek(c))) {
        if (c->text[c->at++] == '\n') {
            c->line++;
            c->line_start = c->at;
        }
    }
}

/* ---- Strings --------------------------------------------------------------------------------- */

/* Four hexadecimal digits at `at`. */
static bool read_hex(const checker *c, size_t at, uint32_t *out) {
    uint32_t code = 0;
    if (c->n - at < 4) {
        return false;
    }
    for (size_t i = 0; i < 4; i++) {
        char digit = c->text[at + i];
        uint32_t value;
        if (digit >= '0' && digit <= '9') {
            value = (uint32_t)(digit - '0');
        } else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f') {
            value = (uint32_t)((digit | 0x20) - 'a') + 10;
        } else {
            return false;
        }
        code = code << 4 | value;
    }
    *out = code;
    return true;
}

/* The \uXXXX at c->at, two of them for a character beyond U+FFFF. */
static pith_status read_code(checker *c, uint32_t *out) {
    uint32_t code;
    if (!read_hex(c, c->at + 2, &code)) {
        return fail(c, "\\u without four hexadecimal digits");
    }
    size_t size = 6;
    if (code >= 0xD800 && code <= 0xDFFF) {
        uint32_t low;
        bool pair = code < 0xDC00 && c->n - c->at >= 12 && c->text[c->at + 6] == '\\' &&
                    c->text[c->at + 7] == 'u' && read_hex(c, c->at + 8, &low) && low >= 0xDC00 &&
                    low <= 0xDFFF;
        if (!pair) {
            return fail(c, "half of a surrogate pair");
        }
        code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        size = 12;
    }
    if (code == 0 && c->mode == PITH_JSON_STRICT) {
        return fail(c, "\\u0000 in a string");
    }
    c->at += size;
    *out = code;
    return PITH_OK;
}

/* The escape at c->at. */
static pith_status read_escape(checker *c, uint32_t *out) {
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    char name = c->at + 1 < c->n ? c->text[c->at + 1] : '\0';
    if (name == 'u') {
        return read_code(c, out);
    }
    const char *found = name != '\0' ? strchr(names, name) : NULL;
    if (found == NULL) {
        return fail(c, "an unknown escape");
    }
    c->at += 2;
    *out = (uint32_t)values[found - names];
    return PITH_OK;
}

/* Skips the bytes that stand for themselves. */
static pith_status skip_plain(checker *c) {
    while (c->at < c->n) {
        unsigned char byte = (unsigned char)c->text[c->at];
        if (byte == '"' || byte == '\\') {
            return PITH_OK;
        }
        if (byte < 0x20) {
            return fail(c, "a control character in a string");
        }
        if (byte < 0x80) {
            c->at++;
            continue;
        }
        int length = pith_utf8_scan((unsigned char *)c->text + c->at, c->n - c->at);
        if (length <= 0) {
            return fail(c, "invalid UTF-8");
        }
        c->at += (size_t)length;
    }
    return fail(c, "a string without an end");
}

/* Puts the size in front of the string that begins at `begin` and has decoded to `size` bytes. */
static void count_string(checker *c, size_t begin, size_t size) {
    uint32_t n = (uint32_t)size;
    memmove(c->text + begin + 1 + sizeof n, c->text + begin + 1, size);
    memcpy(c->text + begin + 1, &n, sizeof n);
    c->text[begin] = PITH_JSON_COUNTED;
}

/* Decodes the string whose quote is at c->at; *begin is its place. */
static pith_status read_string(checker *c, size_t *begin) {
    *begin = c->at++;
    size_t to = c->at;
    bool has_nul = false;
    for (;;) {
        size_t from = c->at;
        pith_status status = skip_plain(c);
        if (status != PITH_OK) {
            return status;
        }
        if (to != from) {
            memmove(c->text + to, c->text + from, c->at - from);
        }
        to += c->at - from;
        if (c->text[c->at] == '"') {
            break;
        }
        uint32_t code = 0;
        status = read_escape(c, &code);
        if (status != PITH_OK) {
            return status;
        }
        has_nul = has_nul || code == 0;
        to += pith_utf8_encode(code, c->text + to);
    }
    if (has_nul) {
        count_string(c, *begin, to - *begin - 1);
        to += sizeof(uint32_t);
    }
    c->at++;
    c->text[to] = '\0';
    memset(c->text + to + 1, PITH_JSON_FREE, c->at - to - 1);
    return PITH_OK;
}

/* ---- Scalars --------------------------------------------------------------------------------- */

static bool take_word(checker *c, const char *word) {
    size_t n = strlen(word);
    if (c->n - c->at < n || memcmp(c->text + c->at, word, n) != 0) {
        return false;
    }
    c->at += n;
    return true;
}

static size_t take_digits(checker *c) {
    size_t begin = c->at;
    while (peek(c) >= '0' && peek(c) <= '9') {
        c->at++;
    }
    return c->at - begin;
}

static bool take_one_of(checker *c, const char *characters) {
    if (peek(c) == '\0' || strchr(characters, peek(c)) == NULL) {
        return false;
    }
    c->at++;
    return true;
}

static pith_status read_number(checker *c) {
    size_t begin = c->at;
    take_one_of(c, "-");
    if (c->mode == PITH_JSON_PYTHON &&
        (take_word(c, "Infinity") || (c->at == begin && take_word(c, "NaN")))) {
        return PITH_OK;
    }
    bool zero = peek(c) == '0';
    size_t n = take_digits(c);
    bool good = n == 1 || (n > 1 && !zero);
    if (good && take_one_of(c, ".")) {
        good = take_digits(c) > 0;
    }
    if (good && take_one_of(c, "eE")) {
        take_one_of(c, "+-");
        good = take_digits(c) > 0;
    }
    if (!good) {
        return fail(c, "neither a value nor a number");
    }
    if (c->at - begin > PITH_JSON_MAX_NUMBER) {
        return fail(c, "a number of more than 400 characters");
    }
    return PITH_OK;
}

static pith_status read_scalar(checker *c) {
    size_t begin;
    if (peek(c) == '"') {
        return read_string(c, &begin);
    }
    if (take_word(c, "true") || take_word(c, "false") || take_word(c, "null")) {
        return PITH_OK;
    }
    return read_number(c);
}

/* ---- Keys ------------------------------------------------------------------------------------ */

static pith_status push_key(checker *c, size_t offset) {
    if (c->n_keys == c->key_capacity) {
        size_t capacity = c->key_capacity != 0 ? 2 * c->key_capacity : 64;
        uint32_t *keys = pith_reallocate(c->allocator, c->keys, capacity, sizeof *keys);
        if (keys == NULL) {
            return pith_fail(c->error, PITH_ERROR_MEMORY, "%s: no memory to read JSON", c->where);
        }
        c->keys = keys;
        c->key_capacity = capacity;
    }
    c->keys[c->n_keys++] = (uint32_t)offset;
    return PITH_OK;
}

/* Any total order that puts equal strings together will do. The comparison reads no further than
 * the first difference, so one long key among many short ones costs no more than its neighbours. */
static int compare_strings(const char *left, const char *right) {
    if (*left == '"' && *right == '"') {
        return strcmp(left, right);
    }
    if (*left != *right) {
        return *left == '"' ? -1 : 1;
    }
    size_t n = pith_json_string_size(left);
    size_t m = pith_json_string_size(right);
    if (n != m) {
        return n < m ? -1 : 1;
    }
    return memcmp(pith_json_string_text(left), pith_json_string_text(right), n);
}

/* Of equal keys the earlier one comes first. */
static int compare_keys(const void *a, const void *b, void *text) {
    uint32_t x;
    uint32_t y;
    memcpy(&x, a, sizeof x);
    memcpy(&y, b, sizeof y);
    int order = compare_strings((const char *)text + x, (const char *)text + y);
    return order != 0 ? order : x < y ? -1 : 1;
}

static pith_status fail_twice(const checker *c, const char *key) {
    char what[100];
    snprintf(what, sizeof what, "the object that ends here has \"%.60s\" twice",
             pith_json_string_text(key));
    for (char *at = what; *at != '\0'; at++) {
        if ((unsigned char)*at < 0x20 || *at == 0x7F) {
            *at = '?'; /* keeps terminals safe */
        }
    }
    return fail(c, what);
}

/* Turns a member that another one follows into white space. */
static void blank_member(char *key) {
    const char *end = pith_json_skip_string(key);
    end = pith_json_skip_value(pith_json_skip_gap(end));
    while (*end != ',') {
        end++;
    }
    memset(key, ' ', (size_t)(end + 1 - key));
}

/* Closes an object: of equal keys the last one counts, or in strict mode they are an error. */
static pith_status settle_keys(checker *c, size_t first) {
    size_t n = c->n_keys - first;
    c->n_keys = first;
    if (n < 2) {
        return PITH_OK; /* also when there are no keys at all yet, and so no array */
    }
    uint32_t *keys = c->keys + first;
    qsort_r(keys, n, sizeof *keys, compare_keys, c->text);
    for (size_t i = 0; i + 1 < n; i++) {
        char *key = c->text + keys[i];
        if (compare_strings(key, c->text + keys[i + 1]) == 0) {
            if (c->mode == PITH_JSON_STRICT) {
                return fail_twice(c, key);
            }
            blank_member(key);
        }
    }
    return PITH_OK;
}

/* ---- The document ---------------------------------------------------------------------------- */

static pith_status read_key(checker *c) {
    size_t begin = 0;
    skip_space(c);
    if (peek(c) != '"') {
        return fail(c, "no key");
    }
    pith_status status = read_string(c, &begin);
    if (status == PITH_OK) {
        status = push_key(c, begin);
    }
    if (status != PITH_OK) {
        return status;
    }
    skip_space(c);
    return take_one_of(c, ":") ? PITH_OK : fail(c, "no colon behind a key");
}

static pith_status open_level(checker *c) {
    if (c->depth == PITH_JSON_MAX_DEPTH) {
        return fail(c, "more than 128 arrays and objects inside each other");
    }
    bool object = c->text[c->at++] == '{';
    c->levels[c->depth++] = (level){.object = object, .first_key = (uint32_t)c->n_keys};
    return PITH_OK;
}

static pith_status close_level(checker *c) {
    const level *top = &c->levels[--c->depth];
    pith_status status = top->object ? settle_keys(c, top->first_key) : PITH_OK;
    c->at++;
    return status;
}

/* True when the innermost container ends here. */
static bool at_end(const checker *c) {
    return peek(c) == (c->levels[c->depth - 1].object ? '}' : ']');
}

/* Closes what ends behind a value and reads the comma and the key of the next one. */
static pith_status read_between(checker *c) {
    for (;;) {
        skip_space(c);
        if (c->depth == 0) {
            return c->at == c->n ? PITH_OK : fail(c, "text behind the end of the document");
        }
        if (!at_end(c)) {
            break;
        }
        pith_status status = close_level(c);
        if (status != PITH_OK) {
            return status;
        }
    }
    if (!take_one_of(c, ",")) {
        return fail(c, c->at == c->n ? "the document is not complete" : "no comma or end");
    }
    return c->levels[c->depth - 1].object ? read_key(c) : PITH_OK;
}

static pith_status read_document(checker *c) {
    skip_space(c);
    if (peek(c) != '{' && peek(c) != '[') {
        return fail(c, "neither an object nor an array");
    }
    do {
        skip_space(c);
        bool container = peek(c) == '{' || peek(c) == '[';
        pith_status status = container ? open_level(c) : read_scalar(c);
        if (status == PITH_OK && container) {
            skip_space(c);
            if (!at_end(c)) {
                status = c->levels[c->depth - 1].object ? read_key(c) : PITH_OK;
                if (status == PITH_OK) {
                    continue;
                }
            }
        }
        if (status == PITH_OK) {
            status = read_between(c);
        }
        if (status != PITH_OK) {
            return status;
        }
    } while (c->depth != 0);
    return PITH_OK;
}

pith_status pith_json_read(pith_json *root, char *text, size_t n, pith_json_mode mode,
                           const char *where, const pith_allocator *allocator, pith_error *error) {
    if (n > PITH_JSON_MAX_SIZE) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: %zu bytes of JSON, the limit is %d", where,
                         n, PITH_JSON_MAX_SIZE);
    }
    checker c = {.text = text,
                 .n = n,
                 .line = 1,
                 .mode = mode,
                 .where = where,
                 .allocator = allocator,
                 .error = error};
    pith_status status = read_document(&c);
    pith_release(allocator, c.keys);
    if (status == PITH_OK) {
        while (pith_json_is_space(*text)) {
            text++;
        }
        root->at = text;
    }
    return status;
}

pith_status pith_json_read_copy(pith_json *root, char **copy, const char *text, size_t n,
                                pith_json_mode mode, const char *where,
                                const pith_allocator *allocator, pith_error *error) {
    *copy = pith_allocate(allocator, n, 1);
    if (*copy == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for %zu bytes of JSON", where, n);
    }
    if (n > 0) {
        memcpy(*copy, text, n);
    }
    return pith_json_read(root, *copy, n, mode, where, allocator, error);
}
