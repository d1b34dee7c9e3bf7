/* JSON through jansson: strict settings, and failures told apart as far as jansson allows. */
#include "weights/json.h"

#include "base/status.h"

#include <string.h>
#include <utf8proc.h>

pith_status pith_json_parse(json_t **out, const char *text, size_t n, const char *where,
                            pith_error *error) {
    json_error_t why;
    json_t *root = json_loadb(text, n, JSON_REJECT_DUPLICATES, &why);
    if (root != NULL) {
        *out = root;
        return PITH_OK;
    }
    /* jansson leaves the text empty where most of its allocations failed; the others look like
     * syntax errors. */
    if (json_error_code(&why) == json_error_out_of_memory || why.text[0] == '\0') {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory to parse JSON", where);
    }
    /* The text may quote the input: keep terminals safe. */
    for (char *c = why.text; *c != '\0'; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f) {
            *c = '?';
        }
    }
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: bad JSON at line %d, column %d: %s", where,
                     why.line, why.column, why.text);
}

static bool is_utf8(const char *text) {
    const utf8proc_uint8_t *at = (const utf8proc_uint8_t *)text;
    utf8proc_ssize_t left = (utf8proc_ssize_t)strlen(text);
    while (left > 0) {
        utf8proc_int32_t codepoint;
        utf8proc_ssize_t n = utf8proc_iterate(at, left, &codepoint);
        if (n <= 0) {
            return false;
        }
        at += n;
        left -= n;
    }
    return true;
}

pith_status pith_json_set_text(json_t *object, const char *key, const char *text,
                               pith_error *error) {
    /* Checked here, because json_string says NULL for bad text and for no memory alike. */
    if (!is_utf8(text)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "metadata %s is not UTF-8", key);
    }
    if (json_object_set_new(object, key, json_string_nocheck(text)) != 0) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for metadata");
    }
    return PITH_OK;
}
