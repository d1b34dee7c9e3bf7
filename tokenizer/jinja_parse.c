/* Jinja's expressions, by recursive descent in the order of its own grammar. */
#include "tokenizer/jinja_parts.h"

#include <string.h>

/* ---- Primaries ------------------------------------------------------------------------------- */

static bool text_value(pith_jinja_parser *p, const char *text, size_t n, pith_jinja_value *out) {
    pith_jinja_buffer *b = pith_jinja_take(p->arena, 1, sizeof *b);
    pith_jinja_run *run = pith_jinja_take(p->arena, 1, sizeof *run);
    if (b == NULL || run == NULL) {
        return pith_jinja_parse_no_memory(p);
    }
    *run = (pith_jinja_run){.end = (uint32_t)n, .origin = PITH_ORIGIN_TEMPLATE};
    /* Never written: `grows` is false. */
    *b = (pith_jinja_buffer){.data = (char *)(uintptr_t)text,
                             .runs = run,
                             .used = (uint32_t)n,
                             .capacity = (uint32_t)n,
                             .n_runs = 1,
                             .run_capacity = 1};
    *out = pith_jinja_of_kind(PITH_JINJA_STRING);
    out->as.text.buffer = b;
    out->as.text.size = (uint32_t)n;
    return true;
}

/* Adjacent string literals are one. */
static bool parse_string(pith_jinja_parser *p, pith_jinja_node *node) {
    const char *text = p->token.text;
    size_t n = p->token.n;
    for (;;) {
        if (!pith_jinja_advance(p)) {
            return false;
        }
        if (p->token.kind != PITH_TOKEN_STRING) {
            return text_value(p, text, n, &node->value);
        }
        char *joined = pith_jinja_take(p->arena, n + p->token.n, 1);
        if (joined == NULL) {
            return pith_jinja_parse_no_memory(p);
        }
        memcpy(joined, text, n);
        memcpy(joined + n, p->token.text, p->token.n);
        text = joined;
        n += p->token.n;
    }
}

static bool parse_name(pith_jinja_parser *p, pith_jinja_node **out) {
    static const char *const words[] = {"true", "True", "false", "False", "none", "None"};
    for (size_t i = 0; i < 6; i++) {
        if (pith_jinja_is_name(p, words[i])) {
            pith_jinja_node *node = pith_jinja_node_new(p, PITH_NODE_CONST);
            if (node == NULL) {
                return false;
            }
            node->value = i < 4 ? pith_jinja_bool(i < 2) : pith_jinja_of_kind(PITH_JINJA_NONE);
            *out = node;
            return pith_jinja_advance(p);
        }
    }
    p->uses |= (uint8_t)((pith_jinja_is_name(p, "caller") ? PITH_USES_CALLER : 0) |
                         (pith_jinja_is_name(p, "kwargs") ? PITH_USES_KWARGS : 0) |
                         (pith_jinja_is_name(p, "varargs") ? PITH_USES_VARARGS : 0));
    *out = pith_jinja_node_new(p, PITH_NODE_NAME);
    return *out != NULL && pith_jinja_node_name(p, *out);
}

static bool parse_list(pith_jinja_parser *p, pith_jinja_node **out) {
    pith_jinja_node *list = pith_jinja_node_new(p, PITH_NODE_LIST);
    if (list == NULL || !pith_jinja_advance(p)) {
        return false;
    }
    for (pith_jinja_node **at = &list->a; !pith_jinja_is_op(p, ']'); at = &(*at)->next) {
        if ((at != &list->a && !pith_jinja_expect_op(p, ',')) || pith_jinja_is_op(p, ']')) {
            break;
        }
        if (!pith_jinja_parse_expression(p, true, at)) {
            return false;
        }
    }
    *out = list;
    return pith_jinja_expect_op(p, ']');
}

static bool parse_dict(pith_jinja_parser *p, pith_jinja_node **out) {
    pith_jinja_node *dict = pith_jinja_node_new(p, PITH_NODE_DICT);
    if (dict == NULL || !pith_jinja_advance(p)) {
        return false;
    }
    for (pith_jinja_node **at = &dict->a; !pith_jinja_is_op(p, '}'); at = &(*at)->next) {
        if ((at != &dict->a && !pith_jinja_expect_op(p, ',')) || pith_jinja_is_op(p, '}')) {
            break;
        }
        pith_jinja_node *pair = pith_jinja_node_new(p, PITH_NODE_PAIR);
        if (pair == NULL || !pith_jinja_parse_expression(p, true, &pair->a) ||
            !pith_jinja_expect_op(p, ':') || !pith_jinja_parse_expression(p, true, &pair->b)) {
            return false;
        }
        *at = pair;
    }
    *out = dict;
    return pith_jinja_expect_op(p, '}');
}

static bool parse_primary(pith_jinja_parser *p, pith_jinja_node **out) {
    switch (p->token.kind) {
    case PITH_TOKEN_NAME:
        return parse_name(p, out);
    case PITH_TOKEN_STRING:
        *out = pith_jinja_node_new(p, PITH_NODE_CONST);
        return *out != NULL && parse_string(p, *out);
    case PITH_TOKEN_INT:
    case PITH_TOKEN_FLOAT:
        *out = pith_jinja_node_new(p, PITH_NODE_CONST);
        if (*out == NULL) {
            return false;
        }
        (*out)->value = p->token.kind == PITH_TOKEN_INT ? pith_jinja_int(p->token.integer)
                                                        : pith_jinja_real(p->token.real);
        return pith_jinja_advance(p);
    case PITH_TOKEN_OPERATOR:
        if (p->token.op == '(') {
            return pith_jinja_advance(p) && pith_jinja_parse_tuple(p, true, true, NULL, out) &&
                   pith_jinja_expect_op(p, ')');
        }
        if (p->token.op == '[') {
            return parse_list(p, out);
        }
        if (p->token.op == '{') {
            return parse_dict(p, out);
        }
        break;
    default:
        break;
    }
    return pith_jinja_parse_fail(p, "an expression");
}

/* ---- Behind a primary: .name, [index], (arguments), |filter, is test ------------------------- */

static bool parse_argument(pith_jinja_parser *p, pith_jinja_node *arg, bool *named) {
    if (pith_jinja_is_op(p, '*') || pith_jinja_is_op(p, 'P')) {
        arg->op = p->token.op == '*' ? '*' : '2';
        return pith_jinja_advance(p) && pith_jinja_parse_expression(p, true, &arg->a);
    }
    if (p->token.kind == PITH_TOKEN_NAME && p->ahead.kind == PITH_TOKEN_OPERATOR &&
        p->ahead.op == 'a') {
        *named = true;
        return pith_jinja_node_name(p, arg) && pith_jinja_advance(p) &&
               pith_jinja_parse_expression(p, true, &arg->a);
    }
    if (*named) {
        return pith_jinja_parse_fail(p, "a keyword argument");
    }
    return pith_jinja_parse_expression(p, true, &arg->a);
}

static bool parse_arguments(pith_jinja_parser *p, pith_jinja_node **out) {
    bool named = false;
    if (!pith_jinja_expect_op(p, '(')) {
        return false;
    }
    for (pith_jinja_node **at = out; !pith_jinja_is_op(p, ')'); at = &(*at)->next) {
        if (at != out && !pith_jinja_expect_op(p, ',')) {
            return false;
        }
        if (at != out && pith_jinja_is_op(p, ')')) {
            break;
        }
        pith_jinja_node *arg = pith_jinja_node_new(p, PITH_NODE_ARG);
        if (arg == NULL || !parse_argument(p, arg, &named)) {
            return false;
        }
        *at = arg;
    }
    return pith_jinja_expect_op(p, ')');
}

static bool parse_call(pith_jinja_parser *p, pith_jinja_node *node, pith_jinja_node **out) {
    pith_jinja_node *call = pith_jinja_node_new(p, PITH_NODE_CALL);
    if (call == NULL) {
        return false;
    }
    call->a = node;
    *out = call;
    return parse_arguments(p, &call->b);
}

/* One part of a slice: nothing when ':' or ']' follows. */
static bool parse_bound(pith_jinja_parser *p, pith_jinja_node **out) {
    return pith_jinja_is_op(p, ':') || pith_jinja_is_op(p, ']') ||
           pith_jinja_parse_expression(p, true, out);
}

static bool parse_index(pith_jinja_parser *p, pith_jinja_node **out) {
    pith_jinja_node *slice = pith_jinja_node_new(p, PITH_NODE_SLICE);
    if (slice == NULL || !parse_bound(p, &slice->a)) {
        return false;
    }
    if (!pith_jinja_is_op(p, ':')) {
        *out = slice->a;
        return slice->a != NULL || pith_jinja_parse_fail(p, "an index");
    }
    bool again;
    if (!pith_jinja_advance(p) || !parse_bound(p, &slice->b) ||
        !pith_jinja_skip_op(p, ':', &again) || (again && !parse_bound(p, &slice->c))) {
        return false;
    }
    *out = slice;
    return true;
}

static bool parse_subscript(pith_jinja_parser *p, pith_jinja_node *node, pith_jinja_node **out) {
    bool dot = pith_jinja_is_op(p, '.');
    pith_jinja_node *item = pith_jinja_node_new(p, dot ? PITH_NODE_ATTR : PITH_NODE_ITEM);
    if (item == NULL || !pith_jinja_advance(p)) {
        return false;
    }
    item->a = node;
    *out = item;
    if (dot && p->token.kind == PITH_TOKEN_INT) {
        item->type = PITH_NODE_ITEM;
        return parse_primary(p, &item->b);
    }
    if (dot) {
        return pith_jinja_node_name(p, item);
    }
    return parse_index(p, &item->b) && pith_jinja_expect_op(p, ']');
}

/* Filters and tests may have dotted names, which nothing here has. */
static bool refuse_dot(pith_jinja_parser *p) {
    return !pith_jinja_is_op(p, '.') || pith_jinja_parse_fail(p, "a name without dots");
}

bool pith_jinja_parse_filters(pith_jinja_parser *p, pith_jinja_node *node, bool inline_first,
                              pith_jinja_node **out) {
    *out = node;
    while (inline_first || pith_jinja_is_op(p, '|')) {
        if (!inline_first && !pith_jinja_advance(p)) {
            return false;
        }
        inline_first = false;
        pith_jinja_node *filter = pith_jinja_node_new(p, PITH_NODE_FILTER);
        if (filter == NULL || !pith_jinja_node_name(p, filter) || !refuse_dot(p) ||
            (pith_jinja_is_op(p, '(') && !parse_arguments(p, &filter->b))) {
            return false;
        }
        if (!p->soft && !pith_jinja_filter_exists(filter->name)) {
            return pith_jinja_lex_fail(&p->lexer, PITH_ERROR_UNSUPPORTED, filter->line,
                                       "no filter named '%.60s'", filter->name);
        }
        filter->a = *out;
        *out = filter;
    }
    return true;
}

static bool parse_postfix(pith_jinja_parser *p, pith_jinja_node **node) {
    size_t n = 0;
    bool ok = true;
    while (ok) {
        if (pith_jinja_is_op(p, '.') || pith_jinja_is_op(p, '[')) {
            ok = parse_subscript(p, *node, node);
        } else if (pith_jinja_is_op(p, '(')) {
            ok = parse_call(p, *node, node);
        } else {
            break;
        }
        /* The tree is as deep as the chain is long. */
        ok = ok && pith_jinja_enter(p);
        n++;
    }
    while (n-- > 0) {
        pith_jinja_leave(p);
    }
    return ok;
}

/* `is` [not] name [argument]. */
static bool parse_test(pith_jinja_parser *p, pith_jinja_node **node) {
    bool negated;
    if (!pith_jinja_advance(p) || !pith_jinja_skip_name(p, "not", &negated)) {
        return false;
    }
    pith_jinja_node *test = pith_jinja_node_new(p, PITH_NODE_TEST);
    if (test == NULL || !pith_jinja_node_name(p, test) || !refuse_dot(p)) {
        return false;
    }
    if (!p->soft && !pith_jinja_test_exists(test->name)) {
        return pith_jinja_lex_fail(&p->lexer, PITH_ERROR_UNSUPPORTED, test->line,
                                   "no test named '%.60s'", test->name);
    }
    test->a = *node;
    *node = test;
    bool word = p->token.kind == PITH_TOKEN_NAME && !pith_jinja_is_name(p, "else") &&
                !pith_jinja_is_name(p, "or") && !pith_jinja_is_name(p, "and");
    bool literal = p->token.kind >= PITH_TOKEN_STRING && p->token.kind <= PITH_TOKEN_FLOAT;
    if (pith_jinja_is_op(p, '(')) {
        if (!parse_arguments(p, &test->b)) {
            return false;
        }
    } else if (word || literal || pith_jinja_is_op(p, '[') || pith_jinja_is_op(p, '{')) {
        if (pith_jinja_is_name(p, "is")) {
            return pith_jinja_parse_fail(p, "one test, as tests do not chain");
        }
        test->b = pith_jinja_node_new(p, PITH_NODE_ARG);
        if (test->b == NULL || !parse_primary(p, &test->b->a) || !parse_postfix(p, &test->b->a)) {
            return false;
        }
    }
    if (!negated) {
        return true;
    }
    pith_jinja_node *not = pith_jinja_node_new(p, PITH_NODE_UNARY);
    if (not == NULL) {
        return false;
    }
    not ->op = '!';
    not ->a = *node;
    *node = not ;
    return true;
}

static bool parse_filter_chain(pith_jinja_parser *p, pith_jinja_node **node) {
    size_t n = 0;
    bool ok = true;
    while (ok) {
        if (pith_jinja_is_op(p, '|')) {
            ok = pith_jinja_parse_filters(p, *node, false, node);
        } else if (pith_jinja_is_name(p, "is")) {
            ok = parse_test(p, node);
        } else if (pith_jinja_is_op(p, '(')) {
            ok = parse_call(p, *node, node);
        } else {
            break;
        }
        ok = ok && pith_jinja_enter(p);
        n++;
    }
    while (n-- > 0) {
        pith_jinja_leave(p);
    }
    return ok;
}

/* ---- Operators, the tightest first ----------------------------------------------------------- */

static bool parse_unary(pith_jinja_parser *p, bool filters, pith_jinja_node **out) {
    bool ok = pith_jinja_enter(p);
    if (ok && (pith_jinja_is_op(p, '-') || pith_jinja_is_op(p, '+'))) {
        pith_jinja_node *node = pith_jinja_node_new(p, PITH_NODE_UNARY);
        ok = node != NULL;
        if (ok) {
            node->op = p->token.op;
            ok = pith_jinja_advance(p) && parse_unary(p, false, &node->a);
            *out = node;
        }
    } else {
        ok = ok && parse_primary(p, out);
    }
    ok = ok && parse_postfix(p, out) && (!filters || parse_filter_chain(p, out));
    pith_jinja_leave(p);
    return ok;
}

static bool parse_operand(pith_jinja_parser *p, pith_jinja_node **out) {
    return parse_unary(p, true, out);
}

typedef bool (*parse_fn)(pith_jinja_parser *p, pith_jinja_node **out);

/* next (op next)*, to the left; `ops` are the operators of this level. */
static bool parse_left(pith_jinja_parser *p, const char *ops, parse_fn next,
                       pith_jinja_node **out) {
    size_t n = 0;
    bool ok = next(p, out);
    while (ok && p->token.kind == PITH_TOKEN_OPERATOR && strchr(ops, p->token.op) != NULL) {
        pith_jinja_node *node = pith_jinja_node_new(p, PITH_NODE_BINARY);
        if (node == NULL) {
            return false;
        }
        node->op = p->token.op;
        node->a = *out;
        *out = node;
        /* A long sum nests to the left: the limit on depth is met here, not on the stack later. */
        ok = pith_jinja_advance(p) && pith_jinja_enter(p) && next(p, &node->b);
        n++;
    }
    while (n-- > 0) {
        pith_jinja_leave(p);
    }
    return ok;
}

static bool parse_power(pith_jinja_parser *p, pith_jinja_node **out) {
    return parse_left(p, "P", parse_operand, out);
}

static bool parse_product(pith_jinja_parser *p, pith_jinja_node **out) {
    return parse_left(p, "*/F%", parse_power, out);
}

static bool parse_concat(pith_jinja_parser *p, pith_jinja_node **out) {
    return parse_left(p, "~", parse_product, out);
}

static bool parse_sum(pith_jinja_parser *p, pith_jinja_node **out) {
    return parse_left(p, "+-", parse_concat, out);
}

/* The comparison at the current token, 0: none; "not in" is two tokens. */
static char comparison(const pith_jinja_parser *p) {
    if (p->token.kind == PITH_TOKEN_OPERATOR) {
        return strchr("=!<>lg", p->token.op) != NULL ? p->token.op : '\0';
    }
    if (pith_jinja_is_name(p, "in")) {
        return 'i';
    }
    return pith_jinja_is_name(p, "not") && pith_jinja_token_is(&p->ahead, "in") ? 'n' : '\0';
}

static bool parse_compare(pith_jinja_parser *p, pith_jinja_node **out) {
    pith_jinja_node *first = NULL;
    if (!parse_sum(p, &first)) {
        return false;
    }
    *out = first;
    if (comparison(p) == '\0') {
        return true;
    }
    pith_jinja_node *node = pith_jinja_node_new(p, PITH_NODE_COMPARE);
    if (node == NULL) {
        return false;
    }
    node->a = first;
    *out = node;
    for (pith_jinja_node **at = &node->b; comparison(p) != '\0'; at = &(*at)->next) {
        pith_jinja_node *operand = pith_jinja_node_new(p, PITH_NODE_OPERAND);
        if (operand == NULL) {
            return false;
        }
        operand->op = comparison(p);
        if ((operand->op == 'n' && !pith_jinja_advance(p)) || !pith_jinja_advance(p) ||
            !parse_sum(p, &operand->a)) {
            return false;
        }
        *at = operand;
    }
    return true;
}

static bool parse_not(pith_jinja_parser *p, pith_jinja_node **out) {
    if (!pith_jinja_is_name(p, "not")) {
        return parse_compare(p, out);
    }
    pith_jinja_node *node = pith_jinja_node_new(p, PITH_NODE_UNARY);
    if (node == NULL || !pith_jinja_enter(p)) {
        return false;
    }
    node->op = '!';
    *out = node;
    bool ok = pith_jinja_advance(p) && parse_not(p, &node->a);
    pith_jinja_leave(p);
    return ok;
}

/* next (word next)*. */
static bool parse_words(pith_jinja_parser *p, const char *word, pith_jinja_type type, parse_fn next,
                        pith_jinja_node **out) {
    size_t n = 0;
    bool ok = next(p, out);
    while (ok && pith_jinja_is_name(p, word)) {
        pith_jinja_node *node = pith_jinja_node_new(p, type);
        if (node == NULL) {
            return false;
        }
        node->a = *out;
        *out = node;
        ok = pith_jinja_advance(p) && pith_jinja_enter(p) && next(p, &node->b);
        n++;
    }
    while (n-- > 0) {
        pith_jinja_leave(p);
    }
    return ok;
}

static bool parse_and(pith_jinja_parser *p, pith_jinja_node **out) {
    return parse_words(p, "and", PITH_NODE_AND, parse_not, out);
}

static bool parse_or(pith_jinja_parser *p, pith_jinja_node **out) {
    return parse_words(p, "or", PITH_NODE_OR, parse_and, out);
}

static bool parse_conditional(pith_jinja_parser *p, pith_jinja_node **out) {
    bool ok = parse_or(p, out);
    size_t n = 0;
    while (ok && pith_jinja_is_name(p, "if")) {
        pith_jinja_node *node = pith_jinja_node_new(p, PITH_NODE_COND);
        if (node == NULL) {
            return false;
        }
        node->a = *out;
        *out = node;
        bool otherwise = false;
        ok = pith_jinja_advance(p) && pith_jinja_enter(p) && parse_or(p, &node->b) &&
             pith_jinja_skip_name(p, "else", &otherwise) &&
             (!otherwise || parse_conditional(p, &node->c));
        n++;
    }
    while (n-- > 0) {
        pith_jinja_leave(p);
    }
    return ok;
}

bool pith_jinja_parse_expression(pith_jinja_parser *p, bool conditional, pith_jinja_node **out) {
    bool ok = pith_jinja_enter(p) && (conditional ? parse_conditional(p, out) : parse_or(p, out));
    pith_jinja_leave(p);
    return ok;
}
