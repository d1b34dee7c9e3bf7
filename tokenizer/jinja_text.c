/* Operations on text that Jinja's filters and Python's methods share: strip, replace, case, lines.
 * Every byte of a result has the origin of the character it came from. */
#include "tokenizer/jinja_parts.h"

#include "base/utf8.h"
#include "tokenizer/unicode.h"

#include <string.h>
#include <utf8proc.h>

/* str.isspace of one character. */
bool pith_jinja_is_space(uint32_t code) {
    return pith_unicode_is_space(code) || (code >= 0x1C && code <= 0x1F);
}

static bool strips(const pith_jinja_value *chars, const char *at) {
    if (chars->kind != PITH_JINJA_STRING) {
        return pith_jinja_is_space(pith_utf8_decode(at));
    }
    size_t n = pith_utf8_length(*at);
    const char *set = pith_jinja_bytes(chars);
    for (size_t i = 0; i < chars->as.text.size; i += pith_utf8_length(set[i])) {
        if (memcmp(set + i, at, n) == 0) { /* a lead byte fixes the length */
            return true;
        }
    }
    return false;
}

bool pith_jinja_strip(pith_jinja *j, const pith_jinja_value *v, pith_jinja_value chars, bool left,
                      bool right, pith_jinja_value *out) {
    if (chars.kind > PITH_JINJA_NONE && chars.kind != PITH_JINJA_STRING) {
        return pith_jinja_refuse(j, "strip: the argument must be a string, not %s",
                                 pith_jinja_type_name(chars));
    }
    const char *text = pith_jinja_bytes(v);
    size_t start = 0;
    size_t end = v->as.text.size;
    size_t each = chars.kind == PITH_JINJA_STRING ? chars.as.text.size / 4 : 0;
    while (left && start < end && strips(&chars, text + start)) {
        start += pith_utf8_length(text[start]);
    }
    while (right && end > start) {
        size_t last = pith_utf8_before(text, end);
        if (!strips(&chars, text + last)) {
            break;
        }
        end = last;
    }
    *out = pith_jinja_part(*v, start, end - start);
    size_t removed = v->as.text.size - (end - start);
    return pith_jinja_spend(j, (removed + 1) * (each + 1) / 4);
}

bool pith_jinja_replace(pith_jinja *j, pith_jinja_value v, pith_jinja_value old,
                        pith_jinja_value with, int64_t count, pith_jinja_value *out) {
    if (old.kind != PITH_JINJA_STRING || with.kind != PITH_JINJA_STRING) {
        return pith_jinja_refuse(j, "replace: the arguments must be strings");
    }
    const char *text = pith_jinja_bytes(&v);
    size_t n = v.as.text.size;
    size_t step = old.as.text.size;
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, n);
    if (b == NULL || !pith_jinja_spend(j, n / 16)) {
        return false;
    }
    size_t at = 0;
    for (; count != 0; count -= count > 0) {
        size_t found = at;
        if (step > 0) {
            const char *hit = memmem(text + at, n - at, pith_jinja_bytes(&old), step);
            if (hit == NULL) {
                break;
            }
            found = (size_t)(hit - text);
        }
        pith_jinja_value before = pith_jinja_part(v, at, found - at);
        if (!pith_jinja_spend(j, 1) || !pith_jinja_append_value(j, b, &before) ||
            !pith_jinja_append_value(j, b, &with)) {
            return false;
        }
        at = found + step;
        if (step == 0) { /* between all characters, and at both ends */
            if (at == n) {
                break;
            }
            size_t size = pith_utf8_length(text[at]);
            pith_jinja_value one = pith_jinja_part(v, at, size);
            if (!pith_jinja_append_value(j, b, &one)) {
                return false;
            }
            at += size;
        }
    }
    pith_jinja_value rest = pith_jinja_part(v, at, n - at);
    bool ok = pith_jinja_append_value(j, b, &rest);
    *out = pith_jinja_finish(b);
    out->safe = v.safe;
    return ok;
}

/* ---- Case ------------------------------------------------------------------------------------ */

/* Characters whose upper case is several; the first is the title case. Python follows
 * SpecialCasing.txt, of which these are the letters that occur in text. */
static const struct special {
    uint32_t code;
    const char *upper, *title;
} specials[] = {
    {0xDF, "SS", "Ss"},     {0x149, "ʼN", "ʼN"},  {0x1F0, "J̌", "J̌"},    {0x587, "ԵՒ", "Եւ"},
    {0xFB00, "FF", "Ff"},   {0xFB01, "FI", "Fi"}, {0xFB02, "FL", "Fl"}, {0xFB03, "FFI", "Ffi"},
    {0xFB04, "FFL", "Ffl"}, {0xFB05, "ST", "St"}, {0xFB06, "ST", "St"},
};

static const char *special_case(uint32_t code, char to) {
    if (to == 'l') {
        return code == 0x130 ? "i̇" : NULL;
    }
    for (size_t i = 0; i < sizeof specials / sizeof specials[0]; i++) {
        if (specials[i].code == code) {
            return to == 'u' ? specials[i].upper : specials[i].title;
        }
    }
    return NULL;
}

static bool is_cased(uint32_t code) {
    utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)code);
    return c == UTF8PROC_CATEGORY_LU || c == UTF8PROC_CATEGORY_LL || c == UTF8PROC_CATEGORY_LT;
}

/* A sigma at the end of a word is the final one. */
static bool is_final_sigma(const char *text, size_t at, size_t n) {
    size_t next = at + 2;
    bool before = at > 0 && is_cased(pith_utf8_decode(text + pith_utf8_before(text, at)));
    return before && (next >= n || !is_cased(pith_utf8_decode(text + next)));
}

/* One character in upper (u), lower (l) or title (t) case. */
static bool append_cased(pith_jinja *j, pith_jinja_buffer *b, const char *text, size_t at, size_t n,
                         char to, pith_origin origin) {
    uint32_t code = pith_utf8_decode(text + at);
    const char *special = special_case(code, to);
    if (special == NULL && to == 'l' && code == 0x3A3 && is_final_sigma(text, at, n)) {
        special = "ς";
    }
    if (special != NULL) {
        return pith_jinja_append(j, b, special, strlen(special), origin);
    }
    utf8proc_int32_t c = (utf8proc_int32_t)code;
    utf8proc_int32_t other = to == 'u'   ? utf8proc_toupper(c)
                             : to == 'l' ? utf8proc_tolower(c)
                                         : utf8proc_totitle(c);
    utf8proc_uint8_t bytes[4];
    utf8proc_ssize_t size = utf8proc_encode_char(other, bytes);
    return pith_jinja_append(j, b, (const char *)bytes, (size_t)size, origin);
}

/* The case a character gets; `first`: it begins a text or, for titles, a word. */
static char case_of(char mode, uint32_t code, bool first) {
    switch (mode) {
    case 'c':
        return first ? 't' : 'l';
    case 't':
        return first ? 't' : 'l';
    case 'T':
        return first ? 'u' : 'l';
    case 's':
        return utf8proc_category((utf8proc_int32_t)code) == UTF8PROC_CATEGORY_LL ? 'u' : 'l';
    default:
        return mode;
    }
}

/* Jinja's filter title begins a word behind white space, hyphens and opening brackets. */
static bool ends_filter_word(uint32_t code) {
    return pith_jinja_is_space(code) ||
           (code > 0 && code < 0x80 && strchr("-({[<", (int)code) != NULL);
}

bool pith_jinja_change_case(pith_jinja *j, const pith_jinja_value *v, char mode,
                            pith_jinja_value *out) {
    const char *text = pith_jinja_bytes(v);
    size_t n = v->as.text.size;
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, n);
    if (b == NULL || !pith_jinja_spend(j, n / 4)) {
        return false;
    }
    bool first = true;
    for (size_t at = 0; at < n;) {
        pith_origin origin;
        size_t end = at + pith_jinja_piece(v, at, &origin);
        while (at < end) {
            uint32_t code = pith_utf8_decode(text + at);
            if (!append_cased(j, b, text, at, n, case_of(mode, code, first), origin)) {
                return false;
            }
            first = mode == 't' ? !is_cased(code) : mode == 'T' && ends_filter_word(code);
            at += pith_utf8_length(text[at]);
        }
    }
    *out = pith_jinja_finish(b);
    out->safe = v->safe;
    return true;
}

/* ---- Lines ----------------------------------------------------------------------------------- */

/* str.splitlines ends a line at these too. */
static bool ends_line(uint32_t code) {
    return (code >= 0x0A && code <= 0x0D) || (code >= 0x1C && code <= 0x1E) || code == 0x85 ||
           code == 0x2028 || code == 0x2029;
}

bool pith_jinja_split_lines(pith_jinja *j, const pith_jinja_value *v, pith_jinja_value *out) {
    const char *text = pith_jinja_bytes(v);
    size_t n = v->as.text.size;
    size_t capacity = 0;
    if (!pith_jinja_list_new(j, PITH_JINJA_LIST, 0, out) || !pith_jinja_spend(j, n / 8)) {
        return false;
    }
    size_t start = 0;
    for (size_t at = 0; at < n;) {
        uint32_t code = pith_utf8_decode(text + at);
        size_t end = at;
        at += pith_utf8_length(text[at]);
        if (!ends_line(code)) {
            continue;
        }
        at += code == '\r' && at < n && text[at] == '\n';
        if (!pith_jinja_push(j, out->as.list, &capacity, pith_jinja_part(*v, start, end - start))) {
            return false;
        }
        start = at;
    }
    return start == n ||
           pith_jinja_push(j, out->as.list, &capacity, pith_jinja_part(*v, start, n - start));
}
