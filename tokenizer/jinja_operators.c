/* Operators of the Jinja interpreter, as Python's: equality, order, membership, arithmetic. */
#include "tokenizer/jinja_parts.h"

#include <math.h>
#include <string.h>

/* ---- Equality and order ---------------------------------------------------------------------- */

static bool is_sequence(pith_jinja_value v) {
    return v.kind == PITH_JINJA_LIST || v.kind == PITH_JINJA_TUPLE || v.kind == PITH_JINJA_RANGE;
}

static bool equal_numbers(pith_jinja_value a, pith_jinja_value b) {
    int64_t x;
    int64_t y;
    if (pith_jinja_as_int(a, &x) && pith_jinja_as_int(b, &y)) {
        return x == y;
    }
    return pith_jinja_as_real(a) == pith_jinja_as_real(b);
}

static bool equal_dicts(pith_jinja *j, const pith_jinja_dict *a, const pith_jinja_dict *b,
                        bool *out) {
    *out = a->n == b->n;
    for (size_t i = 0; *out && i < a->n; i++) {
        pith_jinja_value *other;
        if (!pith_jinja_dict_find(j, b, a->entries[i].key, &other)) {
            return false;
        }
        *out = other != NULL;
        if (*out && !pith_jinja_equal(j, a->entries[i].value, *other, out)) {
            return false;
        }
    }
    return true;
}

static bool equal_inner(pith_jinja *j, pith_jinja_value a, pith_jinja_value b, bool *out) {
    if (pith_jinja_is_number(a) && pith_jinja_is_number(b)) {
        *out = equal_numbers(a, b);
        return true;
    }
    *out = false;
    if (a.kind != b.kind) {
        return true;
    }
    if (is_sequence(a)) {
        *out = a.as.list->n == b.as.list->n;
        for (size_t i = 0; *out && i < a.as.list->n; i++) {
            if (!pith_jinja_equal(j, a.as.list->items[i], b.as.list->items[i], out)) {
                return false;
            }
        }
        return true;
    }
    switch ((pith_jinja_kind)a.kind) {
    case PITH_JINJA_UNDEFINED:
    case PITH_JINJA_NONE:
        *out = true;
        return true;
    case PITH_JINJA_STRING:
        *out = a.as.text.size == b.as.text.size &&
               memcmp(pith_jinja_bytes(&a), pith_jinja_bytes(&b), a.as.text.size) == 0;
        return pith_jinja_spend(j, *out ? a.as.text.size / 32 : 0);
    case PITH_JINJA_DICT:
        return equal_dicts(j, a.as.dict, b.as.dict, out);
    case PITH_JINJA_VIEW:
    case PITH_JINJA_METHOD:
        return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "comparing a %s is not supported",
                               pith_jinja_type_name(a));
    default:
        *out = memcmp(&a.as, &b.as, sizeof a.as.dict) == 0; /* the same object */
        return true;
    }
}

bool pith_jinja_equal(pith_jinja *j, pith_jinja_value a, pith_jinja_value b, bool *out) {
    bool ok = pith_jinja_deeper(j) && pith_jinja_spend(j, 1) && equal_inner(j, a, b, out);
    j->depth--;
    return ok;
}

static int order_texts(const pith_jinja_value *a, const pith_jinja_value *b) {
    size_t n = a->as.text.size < b->as.text.size ? a->as.text.size : b->as.text.size;
    int order = memcmp(pith_jinja_bytes(a), pith_jinja_bytes(b), n); /* UTF-8: by code point */
    return order != 0 ? order
                      : (a->as.text.size > b->as.text.size) - (a->as.text.size < b->as.text.size);
}

/* Not-a-number compares as unordered: 2. */
static int order_numbers(pith_jinja_value a, pith_jinja_value b) {
    int64_t x;
    int64_t y;
    if (pith_jinja_as_int(a, &x) && pith_jinja_as_int(b, &y)) {
        return (x > y) - (x < y);
    }
    double p = pith_jinja_as_real(a);
    double q = pith_jinja_as_real(b);
    return isnan(p) || isnan(q) ? 2 : (p > q) - (p < q);
}

static bool order_inner(pith_jinja *j, pith_jinja_value a, pith_jinja_value b, int *out) {
    if (pith_jinja_is_number(a) && pith_jinja_is_number(b)) {
        *out = order_numbers(a, b);
        return true;
    }
    if (a.kind == PITH_JINJA_STRING && b.kind == PITH_JINJA_STRING) {
        *out = order_texts(&a, &b);
        return true;
    }
    if (a.kind != b.kind || (a.kind != PITH_JINJA_LIST && a.kind != PITH_JINJA_TUPLE)) {
        return pith_jinja_refuse(j, "a %s and a %s have no order", pith_jinja_type_name(a),
                                 pith_jinja_type_name(b));
    }
    size_t n = a.as.list->n < b.as.list->n ? a.as.list->n : b.as.list->n;
    for (size_t i = 0; i < n; i++) {
        bool same;
        if (!pith_jinja_equal(j, a.as.list->items[i], b.as.list->items[i], &same)) {
            return false;
        }
        if (!same) {
            return pith_jinja_order(j, a.as.list->items[i], b.as.list->items[i], out);
        }
    }
    *out = (a.as.list->n > b.as.list->n) - (a.as.list->n < b.as.list->n);
    return true;
}

bool pith_jinja_order(pith_jinja *j, pith_jinja_value a, pith_jinja_value b, int *out) {
    bool ok = pith_jinja_deeper(j) && pith_jinja_spend(j, 1) && order_inner(j, a, b, out);
    j->depth--;
    return ok;
}

bool pith_jinja_contains(pith_jinja *j, pith_jinja_value container, pith_jinja_value item,
                         bool *out) {
    if (container.kind == PITH_JINJA_STRING) {
        if (item.kind != PITH_JINJA_STRING) {
            return pith_jinja_refuse(j, "'in <string>' requires a string, not %s",
                                     pith_jinja_type_name(item));
        }
        *out =
            item.as.text.size == 0 || memmem(pith_jinja_bytes(&container), container.as.text.size,
                                             pith_jinja_bytes(&item), item.as.text.size) != NULL;
        return pith_jinja_spend(j, container.as.text.size / 16);
    }
    if (container.kind == PITH_JINJA_DICT) {
        pith_jinja_value *found;
        bool ok = pith_jinja_dict_find(j, container.as.dict, item, &found);
        *out = found != NULL;
        return ok;
    }
    pith_jinja_value *items;
    size_t n;
    *out = false;
    if (!pith_jinja_iterate(j, container, &items, &n)) {
        return false;
    }
    for (size_t i = 0; !*out && i < n; i++) {
        if (!pith_jinja_equal(j, items[i], item, out)) {
            return false;
        }
    }
    return true;
}

/* ---- Arithmetic ------------------------------------------------------------------------------ */

static bool beyond(pith_jinja *j) {
    return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "an integer beyond 64 bits");
}

static bool integer_power(pith_jinja *j, int64_t x, int64_t y, pith_jinja_value *out) {
    int64_t result = 1;
    if (y < 0) {
        if (x == 0) {
            return pith_jinja_refuse(j, "0 to a negative power");
        }
        *out = pith_jinja_real(pow((double)x, (double)y));
        return true;
    }
    for (; y > 0; y >>= 1) {
        if ((y & 1) != 0 && __builtin_mul_overflow(result, x, &result)) {
            return beyond(j);
        }
        if (y > 1 && __builtin_mul_overflow(x, x, &x)) {
            return beyond(j);
        }
    }
    *out = pith_jinja_int(result);
    return true;
}

/* Python's // and %: towards minus infinity, the remainder with the divisor's sign. */
static bool integer_divide(pith_jinja *j, char op, int64_t x, int64_t y, pith_jinja_value *out) {
    if (y == 0) {
        return pith_jinja_refuse(j, "division by zero");
    }
    if (y == -1) { /* INT64_MIN / -1 overflows */
        if (op == 'F' && x == INT64_MIN) {
            return beyond(j);
        }
        *out = pith_jinja_int(op == 'F' ? -x : 0);
        return true;
    }
    int64_t remainder = x % y;
    bool adjust = remainder != 0 && (remainder < 0) != (y < 0);
    *out = pith_jinja_int(op == 'F' ? x / y - adjust : remainder + (adjust ? y : 0));
    return true;
}

static bool integers(pith_jinja *j, char op, int64_t x, int64_t y, pith_jinja_value *out) {
    int64_t result = 0;
    bool over = false;
    switch (op) {
    case '+':
        over = __builtin_add_overflow(x, y, &result);
        break;
    case '-':
        over = __builtin_sub_overflow(x, y, &result);
        break;
    case '*':
        over = __builtin_mul_overflow(x, y, &result);
        break;
    case '/':
        if (y == 0) {
            return pith_jinja_refuse(j, "division by zero");
        }
        /* Python rounds the exact quotient; doubles hold only 53 bits exactly. */
        if (x > (1LL << 53) || x < -(1LL << 53) || y > (1LL << 53) || y < -(1LL << 53)) {
            return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED, "/ of integers beyond 53 bits");
        }
        *out = pith_jinja_real((double)x / (double)y);
        return true;
    case 'P':
        return integer_power(j, x, y, out);
    default:
        return integer_divide(j, op, x, y, out);
    }
    *out = pith_jinja_int(result);
    return !over || beyond(j);
}

static double real_modulo(double x, double y) {
    double r = fmod(x, y);
    if (r != 0) {
        return (r < 0) != (y < 0) ? r + y : r;
    }
    return copysign(0, y);
}

/* The steps of Python's float_floor_div, whose rounding is visible in results. */
static double real_floor_divide(double x, double y) {
    double remainder = fmod(x, y);
    double quotient = (x - remainder) / y;
    if (remainder != 0 && (y < 0) != (remainder < 0)) {
        quotient -= 1;
    }
    if (quotient == 0) {
        return copysign(0, x / y);
    }
    double whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1 : whole;
}

static bool reals(pith_jinja *j, char op, double x, double y, pith_jinja_value *out) {
    double result = 0;
    if ((op == '/' || op == 'F' || op == '%') && y == 0) {
        return pith_jinja_refuse(j, "division by zero");
    }
    switch (op) {
    case '+':
        result = x + y;
        break;
    case '-':
        result = x - y;
        break;
    case '*':
        result = x * y;
        break;
    case '/':
        result = x / y;
        break;
    case 'F':
        result = real_floor_divide(x, y);
        break;
    case '%':
        result = real_modulo(x, y);
        break;
    default:
        result = pow(x, y);
        if ((x < 0 && floor(y) != y) || (isinf(result) && !isinf(x) && !isinf(y))) {
            return pith_jinja_fail(j, PITH_ERROR_UNSUPPORTED,
                                   "a power that is no finite real number");
        }
        break;
    }
    *out = pith_jinja_real(result);
    return true;
}

/* A text or list n times. */
static bool repeat(pith_jinja *j, pith_jinja_value v, int64_t n, pith_jinja_value *out) {
    size_t size = v.kind == PITH_JINJA_STRING ? v.as.text.size : v.as.list->n;
    size_t times = n > 0 ? (size_t)n : 0;
    if (size > 0 && times > PITH_JINJA_MAX_OUTPUT / size) {
        return pith_jinja_fail(j, PITH_ERROR_FORMAT, "a repetition of more than %d bytes or items",
                               PITH_JINJA_MAX_OUTPUT);
    }
    times = size > 0 ? times : 0;
    if (v.kind == PITH_JINJA_STRING) {
        pith_jinja_buffer *b = pith_jinja_buffer_new(j, size * times);
        for (size_t i = 0; b != NULL && i < times; i++) {
            if (!pith_jinja_spend(j, 1) || !pith_jinja_append_value(j, b, &v)) {
                return false;
            }
        }
        if (b == NULL) {
            return false;
        }
        *out = pith_jinja_finish(b);
        out->safe = v.safe;
        return true;
    }
    if (!pith_jinja_list_new(j, (pith_jinja_kind)v.kind, size * times, out)) {
        return false;
    }
    for (size_t i = 0; i < size * times; i++) {
        out->as.list->items[i] = v.as.list->items[i % size];
    }
    return true;
}

static bool join_lists(pith_jinja *j, pith_jinja_value a, pith_jinja_value b,
                       pith_jinja_value *out) {
    size_t n = a.as.list->n;
    if (!pith_jinja_list_new(j, (pith_jinja_kind)a.kind, n + b.as.list->n, out)) {
        return false;
    }
    for (size_t i = 0; i < out->as.list->n; i++) {
        out->as.list->items[i] = i < n ? a.as.list->items[i] : b.as.list->items[i - n];
    }
    return true;
}

/* HTML escapes, which a string marked safe forces upon what it is joined with. */
static bool escape_html(pith_jinja *j, pith_jinja_value *v) {
    static const char special[] = "&<>'\"";
    static const char *const names[] = {"&amp;", "&lt;", "&gt;", "&#39;", "&#34;"};
    if (v->safe) {
        return true;
    }
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, v->as.text.size);
    if (b == NULL || !pith_jinja_spend(j, v->as.text.size / 4)) {
        return false;
    }
    const char *text = pith_jinja_bytes(v);
    for (size_t at = 0; at < v->as.text.size; at++) {
        pith_origin origin;
        pith_jinja_piece(v, at, &origin);
        const char *found = text[at] != '\0' ? strchr(special, text[at]) : NULL;
        const char *piece = found != NULL ? names[found - special] : text + at;
        if (!pith_jinja_append(j, b, piece, found != NULL ? strlen(piece) : 1, origin)) {
            return false;
        }
    }
    *v = pith_jinja_finish(b);
    return true;
}

static bool add_texts(pith_jinja *j, pith_jinja_value a, pith_jinja_value b,
                      pith_jinja_value *out) {
    bool safe = a.safe || b.safe;
    if (safe && (!escape_html(j, &a) || !escape_html(j, &b))) {
        return false;
    }
    a.safe = safe;
    b.safe = safe;
    return pith_jinja_concat(j, a, b, out);
}

static bool tilde(pith_jinja *j, pith_jinja_value a, pith_jinja_value b, pith_jinja_value *out) {
    pith_jinja_value x;
    pith_jinja_value y;
    if (!pith_jinja_str(j, a, &x) || !pith_jinja_str(j, b, &y)) {
        return false;
    }
    x.safe = false;
    y.safe = false;
    return pith_jinja_concat(j, x, y, out);
}

bool pith_jinja_binary(pith_jinja *j, char op, pith_jinja_value a, pith_jinja_value b,
                       pith_jinja_value *out) {
    if (op == '~') {
        return tilde(j, a, b, out);
    }
    if (op == '%' && a.kind == PITH_JINJA_STRING) { /* of an undefined value too: "" */
        return pith_jinja_percent(j, a, b, out);
    }
    int64_t x;
    int64_t y;
    bool left = pith_jinja_as_int(a, &x);
    bool right = pith_jinja_as_int(b, &y);
    uint8_t origin = a.origin | b.origin;
    if (a.kind == PITH_JINJA_UNDEFINED || b.kind == PITH_JINJA_UNDEFINED) {
        pith_jinja_value u = a.kind == PITH_JINJA_UNDEFINED ? a : b;
        return pith_jinja_refuse(j, "'%.*s' is undefined", (int)u.as.missing.size,
                                 u.as.missing.name);
    }
    if (pith_jinja_is_number(a) && pith_jinja_is_number(b)) {
        bool ok = left && right ? integers(j, op, x, y, out)
                                : reals(j, op, pith_jinja_as_real(a), pith_jinja_as_real(b), out);
        out->origin = origin;
        return ok;
    }
    bool list = a.kind == PITH_JINJA_LIST || a.kind == PITH_JINJA_TUPLE;
    if (op == '+' && a.kind == b.kind && (list || a.kind == PITH_JINJA_STRING)) {
        return list ? join_lists(j, a, b, out) : add_texts(j, a, b, out);
    }
    if (op == '*' && right && (list || a.kind == PITH_JINJA_STRING)) {
        return repeat(j, a, y, out);
    }
    if (op == '*' && left &&
        (b.kind == PITH_JINJA_STRING || b.kind == PITH_JINJA_LIST || b.kind == PITH_JINJA_TUPLE)) {
        return repeat(j, b, x, out);
    }
    return pith_jinja_refuse(j, "%s %s %s is not possible", pith_jinja_type_name(a),
                             op == 'F'   ? "//"
                             : op == 'P' ? "**"
                                         : (char[]){op, '\0'},
                             pith_jinja_type_name(b));
}

bool pith_jinja_unary(pith_jinja *j, char op, pith_jinja_value a, pith_jinja_value *out) {
    int64_t integer;
    if (op == '!') {
        *out = pith_jinja_bool(!pith_jinja_truth(a));
    } else if (pith_jinja_as_int(a, &integer)) {
        if (op == '-' && integer == INT64_MIN) {
            return beyond(j);
        }
        *out = pith_jinja_int(op == '-' ? -integer : integer);
    } else if (a.kind == PITH_JINJA_FLOAT) {
        *out = pith_jinja_real(op == '-' ? -a.as.real : a.as.real);
    } else {
        return pith_jinja_refuse(j, "%c of a %s is not possible", op, pith_jinja_type_name(a));
    }
    out->origin = a.origin;
    return true;
}
