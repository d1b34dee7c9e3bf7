/* Evaluates Jinja's expressions by walking the tree. Recursion is bounded by
 * PITH_JINJA_MAX_DEPTH. */
#include "tokenizer/jinja_parts.h"

#include <string.h>

typedef pith_jinja_node node;
typedef pith_jinja_scope scope;
typedef pith_jinja_value value;

static bool eval_items(pith_jinja *j, const node *n, scope *s, value *out) {
    size_t count = 0;
    for (const node *item = n->a; item != NULL; item = item->next) {
        count++;
    }
    pith_jinja_kind kind = n->type == PITH_NODE_LIST ? PITH_JINJA_LIST : PITH_JINJA_TUPLE;
    if (!pith_jinja_list_new(j, kind, count, out)) {
        return false;
    }
    value *at = out->as.list->items;
    for (const node *item = n->a; item != NULL; item = item->next) {
        if (!pith_jinja_eval(j, item, s, at++)) {
            return false;
        }
    }
    return true;
}

static bool eval_dict(pith_jinja *j, const node *n, scope *s, value *out) {
    if (!pith_jinja_dict_new(j, out)) {
        return false;
    }
    for (const node *pair = n->a; pair != NULL; pair = pair->next) {
        value key;
        value item;
        if (!pith_jinja_eval(j, pair->a, s, &key) || !pith_jinja_eval(j, pair->b, s, &item) ||
            !pith_jinja_dict_put(j, out->as.dict, key, item)) {
            return false;
        }
    }
    return true;
}

static bool eval_index(pith_jinja *j, const node *n, scope *s, value *out) {
    value object;
    if (!pith_jinja_eval(j, n->a, s, &object)) {
        return false;
    }
    const node *index = n->b;
    if (index->type != PITH_NODE_SLICE) {
        value key;
        if (!pith_jinja_eval(j, index, s, &key)) {
            return false;
        }
        j->line = n->line;
        return pith_jinja_subscript(j, object, key, out);
    }
    value bounds[3];
    const node *const parts[3] = {index->a, index->b, index->c};
    for (size_t i = 0; i < 3; i++) {
        bounds[i] = pith_jinja_of_kind(PITH_JINJA_ABSENT);
        if (parts[i] != NULL && !pith_jinja_eval(j, parts[i], s, &bounds[i])) {
            return false;
        }
    }
    j->line = n->line;
    return pith_jinja_slice(j, object, bounds, out);
}

/* ---- Calls, filters, tests ------------------------------------------------------------------- */

/* Room for one more in arrays that grow by doubling. */
static bool add_item(pith_jinja *j, pith_jinja_args *args, size_t *capacity, value v) {
    pith_jinja_list list = {.items = args->items, .n = args->n};
    bool ok = pith_jinja_push(j, &list, capacity, v);
    args->items = list.items;
    args->n = list.n;
    return ok;
}

static bool add_named(pith_jinja *j, pith_jinja_args *args, size_t *capacity, value name, value v) {
    for (size_t i = 0; i < args->n_named; i++) {
        bool same;
        if (!pith_jinja_equal(j, args->named[i].name, name, &same)) {
            return false;
        }
        if (same) {
            return pith_jinja_refuse(j, "an argument is given twice");
        }
    }
    if (args->n_named == *capacity) {
        size_t more = *capacity * 2 + 4;
        pith_jinja_named *named = pith_jinja_new(j, more, sizeof *named);
        if (named == NULL) {
            return false;
        }
        if (args->n_named > 0) {
            memcpy(named, args->named, args->n_named * sizeof *named);
        }
        args->named = named;
        *capacity = more;
    }
    args->named[args->n_named++] = (pith_jinja_named){.name = name, .value = v};
    return true;
}

/* f(*list) and f(**mapping). */
static bool spread(pith_jinja *j, const node *arg, value v, pith_jinja_args *args, size_t *capacity,
                   size_t *named_capacity) {
    if (arg->op == '*') {
        value *items;
        size_t n;
        if (!pith_jinja_iterate(j, v, &items, &n)) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            if (!add_item(j, args, capacity, items[i])) {
                return false;
            }
        }
        return true;
    }
    if (v.kind != PITH_JINJA_DICT) {
        return pith_jinja_refuse(j, "the value behind ** is a %s", pith_jinja_type_name(v));
    }
    for (size_t i = 0; i < v.as.dict->n; i++) {
        if (v.as.dict->entries[i].key.kind != PITH_JINJA_STRING) {
            return pith_jinja_refuse(j, "the value behind ** has keys that are no strings");
        }
        if (!add_named(j, args, named_capacity, v.as.dict->entries[i].key,
                       v.as.dict->entries[i].value)) {
            return false;
        }
    }
    return true;
}

bool pith_jinja_eval_args(pith_jinja *j, const node *list, scope *s, pith_jinja_args *out) {
    size_t capacity = 0;
    size_t named_capacity = 0;
    *out = (pith_jinja_args){.what = "the call"};
    for (const node *arg = list; arg != NULL; arg = arg->next) {
        value v;
        bool ok = pith_jinja_eval(j, arg->a, s, &v);
        if (ok && arg->op != '\0') {
            ok = spread(j, arg, v, out, &capacity, &named_capacity);
        } else if (ok && arg->name != NULL) {
            value name;
            ok = pith_jinja_borrow(j, arg->name, arg->n_name, PITH_ORIGIN_TEMPLATE, &name) &&
                 add_named(j, out, &named_capacity, name, v);
        } else if (ok) {
            ok = add_item(j, out, &capacity, v);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool eval_call(pith_jinja *j, const node *n, scope *s, value *out) {
    value callee;
    pith_jinja_args args;
    if (!pith_jinja_eval(j, n->a, s, &callee) || !pith_jinja_eval_args(j, n->b, s, &args)) {
        return false;
    }
    j->line = n->line;
    return pith_jinja_call(j, callee, &args, out);
}

static bool eval_filter(pith_jinja *j, const node *n, scope *s, value *out) {
    value v;
    pith_jinja_args args;
    if (!pith_jinja_eval(j, n->a, s, &v) || !pith_jinja_eval_args(j, n->b, s, &args)) {
        return false;
    }
    j->line = n->line;
    return pith_jinja_filter(j, n->name, v, &args, out);
}

static bool eval_test(pith_jinja *j, const node *n, scope *s, value *out) {
    value v;
    pith_jinja_args args;
    bool passes = false;
    if (!pith_jinja_eval(j, n->a, s, &v) || !pith_jinja_eval_args(j, n->b, s, &args)) {
        return false;
    }
    j->line = n->line;
    if (!pith_jinja_test(j, n->name, v, &args, &passes)) {
        return false;
    }
    *out = pith_jinja_bool(passes);
    return true;
}

/* ---- Operators ------------------------------------------------------------------------------- */

static bool eval_binary(pith_jinja *j, const node *n, scope *s, value *out) {
    value a;
    value b;
    if (!pith_jinja_eval(j, n->a, s, &a) || !pith_jinja_eval(j, n->b, s, &b)) {
        return false;
    }
    j->line = n->line;
    return pith_jinja_binary(j, n->op, a, b, out);
}

static bool compare(pith_jinja *j, char op, value a, value b, bool *out) {
    int order;
    bool ok;
    switch (op) {
    case '=':
        return pith_jinja_equal(j, a, b, out);
    case '!':
        ok = pith_jinja_equal(j, a, b, out);
        *out = !*out;
        return ok;
    case 'i':
        return pith_jinja_contains(j, b, a, out);
    case 'n':
        ok = pith_jinja_contains(j, b, a, out);
        *out = !*out;
        return ok;
    default:
        if (!pith_jinja_order(j, a, b, &order)) {
            return false;
        }
        /* 2 is unordered: nothing holds. */
        *out = op == '<'   ? order < 0
               : op == '>' ? order == 1 || (order > 0 && order != 2)
               : op == 'l' ? order <= 0
                           : order == 0 || (order > 0 && order != 2);
        return true;
    }
}

/* a < b < c: each operand is evaluated once, and none behind the first that fails. */
static bool eval_compare(pith_jinja *j, const node *n, scope *s, value *out) {
    value left;
    bool holds = true;
    if (!pith_jinja_eval(j, n->a, s, &left)) {
        return false;
    }
    for (const node *operand = n->b; holds && operand != NULL; operand = operand->next) {
        value right;
        if (!pith_jinja_eval(j, operand->a, s, &right)) {
            return false;
        }
        j->line = operand->line;
        if (!compare(j, operand->op, left, right, &holds)) {
            return false;
        }
        left = right;
    }
    *out = pith_jinja_bool(holds);
    return true;
}

static bool eval_either(pith_jinja *j, const node *n, scope *s, value *out) {
    if (!pith_jinja_eval(j, n->a, s, out)) {
        return false;
    }
    bool decided = pith_jinja_truth(*out) == (n->type == PITH_NODE_OR);
    return decided || pith_jinja_eval(j, n->b, s, out);
}

static bool eval_conditional(pith_jinja *j, const node *n, scope *s, value *out) {
    value test;
    if (!pith_jinja_eval(j, n->b, s, &test)) {
        return false;
    }
    if (pith_jinja_truth(test)) {
        return pith_jinja_eval(j, n->a, s, out);
    }
    if (n->c != NULL) {
        return pith_jinja_eval(j, n->c, s, out);
    }
    *out = pith_jinja_undefined("an if without else", 18);
    return true;
}

static bool eval_inner(pith_jinja *j, const node *n, scope *s, value *out) {
    value a;
    switch ((pith_jinja_type)n->type) {
    case PITH_NODE_CONST:
        *out = n->value;
        return true;
    case PITH_NODE_NAME:
        return pith_jinja_lookup(j, n, s, out);
    case PITH_NODE_TUPLE:
    case PITH_NODE_LIST:
        return eval_items(j, n, s, out);
    case PITH_NODE_DICT:
        return eval_dict(j, n, s, out);
    case PITH_NODE_ATTR:
        if (!pith_jinja_eval(j, n->a, s, &a)) {
            return false;
        }
        j->line = n->line;
        return pith_jinja_attribute(j, a, n->name, n->n_name, out);
    case PITH_NODE_ITEM:
        return eval_index(j, n, s, out);
    case PITH_NODE_CALL:
        return eval_call(j, n, s, out);
    case PITH_NODE_FILTER:
        return eval_filter(j, n, s, out);
    case PITH_NODE_TEST:
        return eval_test(j, n, s, out);
    case PITH_NODE_UNARY:
        return pith_jinja_eval(j, n->a, s, &a) && pith_jinja_unary(j, n->op, a, out);
    case PITH_NODE_AND:
    case PITH_NODE_OR:
        return eval_either(j, n, s, out);
    case PITH_NODE_BINARY:
        return eval_binary(j, n, s, out);
    case PITH_NODE_COMPARE:
        return eval_compare(j, n, s, out);
    case PITH_NODE_COND:
        return eval_conditional(j, n, s, out);
    default:
        return pith_jinja_refuse(j, "not an expression");
    }
}

bool pith_jinja_eval(pith_jinja *j, const node *n, scope *s, value *out) {
    j->line = n->line;
    bool ok = pith_jinja_deeper(j) && pith_jinja_spend(j, 1) && eval_inner(j, n, s, out);
    j->depth--;
    return ok;
}
