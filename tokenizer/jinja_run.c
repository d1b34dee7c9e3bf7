/* Runs Jinja's statements: scopes, loops, macros, blocks. Scopes are those of Jinja's compiled
 * code: a loop, a macro and a block have one, an if has none, and a macro sees the variables of
 * where it was defined as they are when it is called. */
#include "tokenizer/jinja_parts.h"

#include <string.h>

typedef pith_jinja_node node;
typedef pith_jinja_scope scope;
typedef pith_jinja_value value;

/* ---- Scopes ---------------------------------------------------------------------------------- */

bool pith_jinja_scope_set(pith_jinja *j, scope *s, uint32_t symbol, value v) {
    for (size_t i = 0; i < s->n; i++) {
        if (s->slots[i].symbol == symbol) {
            s->slots[i].value = v;
            return true;
        }
    }
    if (s->n == s->capacity) {
        size_t capacity = s->capacity * 2 + 4;
        pith_jinja_slot *slots = pith_jinja_new(j, capacity, sizeof *slots);
        if (slots == NULL) {
            return false;
        }
        if (s->n > 0) {
            memcpy(slots, s->slots, s->n * sizeof *slots);
        }
        s->slots = slots;
        s->capacity = capacity;
    }
    s->slots[s->n++] = (pith_jinja_slot){.symbol = symbol, .value = v};
    return true;
}

bool pith_jinja_lookup(pith_jinja *j, const node *name, scope *s, value *out) {
    size_t looked = 0;
    for (; s != NULL; s = s->parent) {
        for (size_t i = 0; i < s->n; i++) {
            if (s->slots[i].symbol == name->symbol) {
                *out = s->slots[i].value;
                return true;
            }
        }
        looked += s->n + 1;
    }
    if (!pith_jinja_spend(j, looked / 8)) {
        return false;
    }
    value *found = pith_jinja_dict_text(&j->context, name->name, name->n_name);
    const pith_jinja_function *function;
    if (found != NULL) {
        *out = *found;
    } else if ((function = pith_jinja_find_function(name->name)) != NULL) {
        *out = pith_jinja_of_kind(PITH_JINJA_FUNCTION);
        out->as.function = function;
    } else {
        *out = pith_jinja_undefined(name->name, name->n_name);
    }
    return true;
}

/* ---- Assignment ------------------------------------------------------------------------------ */

static bool assign(pith_jinja *j, const node *target, scope *s, value v);

static bool assign_each(pith_jinja *j, const node *targets, scope *s, value v) {
    value *items;
    size_t n;
    if (!pith_jinja_iterate(j, v, &items, &n)) {
        return false;
    }
    size_t i = 0;
    for (const node *target = targets->a; target != NULL; target = target->next, i++) {
        if (i == n) {
            return pith_jinja_refuse(j, "not enough values to unpack: %zu", n);
        }
        if (!assign(j, target, s, items[i])) {
            return false;
        }
    }
    return i == n || pith_jinja_refuse(j, "too many values to unpack: %zu for %zu names", n, i);
}

/* Targets nest as deep as the parser lets them. */
static bool assign(pith_jinja *j, const node *target, scope *s, value v) {
    value space;
    switch ((pith_jinja_type)target->type) {
    case PITH_NODE_TUPLE:
        return assign_each(j, target, s, v);
    case PITH_NODE_NSREF: {
        value key;
        if (!pith_jinja_lookup(j, target->a, s, &space)) {
            return false;
        }
        if (space.kind != PITH_JINJA_NAMESPACE) {
            return pith_jinja_refuse(j, "'%s' is no namespace, its attributes cannot be set",
                                     target->a->name);
        }
        return pith_jinja_borrow(j, target->name, target->n_name, PITH_ORIGIN_TEMPLATE, &key) &&
               pith_jinja_dict_put(j, space.as.dict, key, v);
    }
    default:
        return pith_jinja_scope_set(j, s, target->symbol, v);
    }
}

/* ---- Output ---------------------------------------------------------------------------------- */

static bool write_out(pith_jinja *j, value v) {
    return pith_jinja_str(j, v, &v) && pith_jinja_append_value(j, j->output, &v);
}

bool pith_jinja_capture(pith_jinja *j, const node *body, scope *s, value *out) {
    enum { FIRST = 64 };
    pith_jinja_buffer *outer = j->output;
    pith_jinja_buffer *b = pith_jinja_buffer_new(j, FIRST);
    j->output = b;
    bool ok = b != NULL && pith_jinja_run_body(j, body, s);
    j->output = outer;
    if (ok) {
        *out = pith_jinja_finish(b);
    }
    return ok;
}

/* The filters of a block around its text: from the innermost, whose value is none. */
static bool apply_filters(pith_jinja *j, const node *filter, scope *s, value *text) {
    pith_jinja_args args;
    return filter == NULL ||
           (apply_filters(j, filter->a, s, text) && pith_jinja_eval_args(j, filter->b, s, &args) &&
            pith_jinja_filter(j, filter->name, *text, &args, text));
}

/* ---- Loops ----------------------------------------------------------------------------------- */

/* Only what passes the loop's own if. */
static bool filter_items(pith_jinja *j, const node *n, scope *outer, value **items, size_t *count) {
    scope inner = {.parent = outer};
    value kept;
    size_t capacity = 0;
    if (!pith_jinja_list_new(j, PITH_JINJA_LIST, 0, &kept)) {
        return false;
    }
    for (size_t i = 0; i < *count; i++) {
        value passes;
        inner.n = 0;
        if (!assign(j, n->a, &inner, (*items)[i]) || !pith_jinja_eval(j, n->e, &inner, &passes) ||
            (pith_jinja_truth(passes) &&
             !pith_jinja_push(j, kept.as.list, &capacity, (*items)[i]))) {
            return false;
        }
    }
    *items = kept.as.list->items;
    *count = kept.as.list->n;
    return true;
}

/* The symbol of "loop", or one that nothing has. */
static uint32_t loop_symbol(const pith_jinja *j) {
    uint32_t i = 0;
    while (i < j->source->n_names && strcmp(j->source->names[i], "loop") != 0) {
        i++;
    }
    return i;
}

bool pith_jinja_run_for(pith_jinja *j, const node *n, scope *outer, value iterable, size_t depth0) {
    value *items;
    size_t count;
    if (!pith_jinja_iterate(j, iterable, &items, &count) ||
        (n->e != NULL && !filter_items(j, n, outer, &items, &count))) {
        return false;
    }
    scope *inner = pith_jinja_new(j, 1, sizeof *inner);
    value loop = pith_jinja_of_kind(PITH_JINJA_LOOP);
    loop.as.loop = pith_jinja_new(j, 1, sizeof *loop.as.loop);
    if (inner == NULL || loop.as.loop == NULL) {
        return false;
    }
    *loop.as.loop =
        (pith_jinja_loop){.items = items, .n = count, .depth0 = depth0, .node = n, .scope = outer};
    inner->parent = outer;
    uint32_t symbol = loop_symbol(j);
    bool complete = false; /* as Jinja has it, else is for loops that never reached their end */
    bool stop = false;
    for (size_t i = 0; !stop && i < count; i++) {
        loop.as.loop->index0 = i;
        inner->n = 0;
        if (!pith_jinja_scope_set(j, inner, symbol, loop) || !assign(j, n->a, inner, items[i]) ||
            !pith_jinja_run_body(j, n->c, inner)) {
            return false;
        }
        stop = j->flow == PITH_FLOW_BREAK;
        complete = complete || j->flow == PITH_FLOW_ON;
        j->flow = PITH_FLOW_ON;
    }
    inner->n = 0;
    return complete || pith_jinja_run_body(j, n->d, inner);
}

/* ---- Macros ---------------------------------------------------------------------------------- */

static bool is_name(const value *v, const char *name) {
    return pith_jinja_is_text(v, name);
}

static value *find_named(const pith_jinja_args *args, const char *name, bool *used) {
    for (size_t i = 0; i < args->n_named; i++) {
        if (is_name(&args->named[i].name, name)) {
            used[i] = true;
            return &args->named[i].value;
        }
    }
    return NULL;
}

/* The symbol of a name that the macro's body uses. */
static uint32_t symbol_of(const pith_jinja *j, const char *name) {
    uint32_t i = 0;
    while (i < j->source->n_names && strcmp(j->source->names[i], name) != 0) {
        i++;
    }
    return i;
}

/* Sets the parameters from arguments and defaults; *taken: positional arguments used. */
static bool bind_parameters(pith_jinja *j, const node *n, const pith_jinja_args *args, scope *s,
                            bool *used, size_t *taken) {
    size_t i = 0;
    for (const node *p = n->a; p != NULL; p = p->next, i++) {
        value v;
        value *named = i < args->n ? NULL : find_named(args, p->name, used);
        if (i < args->n) {
            v = args->items[i];
        } else if (named != NULL) {
            v = *named;
        } else if (p->a == NULL) {
            v = pith_jinja_undefined(p->name, p->n_name);
        } else if (!pith_jinja_eval(j, p->a, s, &v)) {
            return false;
        }
        if (!pith_jinja_scope_set(j, s, p->symbol, v)) {
            return false;
        }
    }
    *taken = i < args->n ? i : args->n;
    return true;
}

/* The names varargs, kwargs and caller, where the body uses them; other leftovers are refused. */
static bool bind_rest(pith_jinja *j, const node *n, const pith_jinja_args *args, scope *s,
                      bool *used, size_t taken) {
    const char *name = n->name != NULL ? n->name : "caller";
    if ((n->uses & PITH_USES_CALLER) != 0) {
        value *given = find_named(args, "caller", used);
        value v = given != NULL ? *given : pith_jinja_undefined("caller", 6);
        bool parameter = false;
        for (const node *p = n->a; p != NULL; p = p->next) {
            parameter = parameter || strcmp(p->name, "caller") == 0;
        }
        if (!parameter && !pith_jinja_scope_set(j, s, symbol_of(j, "caller"), v)) {
            return false;
        }
    }
    if ((n->uses & PITH_USES_VARARGS) != 0) {
        value rest;
        if (!pith_jinja_list_new(j, PITH_JINJA_TUPLE, args->n - taken, &rest)) {
            return false;
        }
        for (size_t i = taken; i < args->n; i++) {
            rest.as.list->items[i - taken] = args->items[i];
        }
        if (!pith_jinja_scope_set(j, s, symbol_of(j, "varargs"), rest)) {
            return false;
        }
    } else if (taken < args->n) {
        return pith_jinja_refuse(j, "macro '%s' takes at most %zu arguments", name, taken);
    }
    value named;
    if (!pith_jinja_dict_new(j, &named)) {
        return false;
    }
    for (size_t i = 0; i < args->n_named; i++) {
        if (!used[i] && (n->uses & PITH_USES_KWARGS) == 0) {
            return pith_jinja_refuse(j, "macro '%s' takes no keyword '%.*s'", name,
                                     (int)args->named[i].name.as.text.size,
                                     pith_jinja_bytes(&args->named[i].name));
        }
        if (!used[i] &&
            !pith_jinja_dict_put(j, named.as.dict, args->named[i].name, args->named[i].value)) {
            return false;
        }
    }
    return (n->uses & PITH_USES_KWARGS) == 0 ||
           pith_jinja_scope_set(j, s, symbol_of(j, "kwargs"), named);
}

bool pith_jinja_call_macro(pith_jinja *j, const pith_jinja_macro *macro,
                           const pith_jinja_args *args, value *out) {
    scope *s = pith_jinja_new(j, 1, sizeof *s);
    bool *used = pith_jinja_new(j, args->n_named, sizeof *used);
    size_t taken;
    if (s == NULL || used == NULL) {
        return false;
    }
    s->parent = macro->scope;
    return bind_parameters(j, macro->node, args, s, used, &taken) &&
           bind_rest(j, macro->node, args, s, used, taken) &&
           pith_jinja_capture(j, macro->node->b, s, out);
}

static bool make_macro(pith_jinja *j, const node *n, scope *s, value *out) {
    *out = pith_jinja_of_kind(PITH_JINJA_MACRO);
    out->as.macro = pith_jinja_new(j, 1, sizeof *out->as.macro);
    if (out->as.macro == NULL) {
        return false;
    }
    *out->as.macro = (pith_jinja_macro){.node = n, .scope = s};
    return true;
}

/* {% call(x) f(y) %} body {% endcall %}: f gets the body as its keyword `caller`. */
static bool run_call_block(pith_jinja *j, const node *n, scope *s) {
    value callee;
    value caller;
    value text;
    pith_jinja_args args;
    if (!pith_jinja_eval(j, n->c->a, s, &callee) || !make_macro(j, n, s, &caller) ||
        !pith_jinja_eval_args(j, n->c->b, s, &args)) {
        return false;
    }
    pith_jinja_named *named = pith_jinja_new(j, args.n_named + 1, sizeof *named);
    if (named == NULL) {
        return false;
    }
    if (args.n_named > 0) {
        memcpy(named, args.named, args.n_named * sizeof *named);
    }
    named[args.n_named].value = caller;
    if (!pith_jinja_borrow(j, "caller", 6, PITH_ORIGIN_TEMPLATE, &named[args.n_named].name)) {
        return false;
    }
    args.named = named;
    args.n_named++;
    return pith_jinja_call(j, callee, &args, &text) && write_out(j, text);
}

/* ---- Statements ------------------------------------------------------------------------------ */

static bool run_with(pith_jinja *j, const node *n, scope *outer) {
    scope *inner = pith_jinja_new(j, 1, sizeof *inner);
    if (inner == NULL) {
        return false;
    }
    for (const node *pair = n->a; pair != NULL; pair = pair->next) {
        value v;
        if (!pith_jinja_eval(j, pair->b, outer, &v) ||
            !pith_jinja_scope_set(j, inner, pair->a->symbol, v)) {
            return false;
        }
    }
    inner->parent = outer;
    return pith_jinja_run_body(j, n->b, inner);
}

/* A body in a scope of its own, as text. */
static bool capture_block(pith_jinja *j, const node *body, scope *outer, value *out) {
    scope *inner = pith_jinja_new(j, 1, sizeof *inner);
    if (inner == NULL) {
        return false;
    }
    inner->parent = outer;
    return pith_jinja_capture(j, body, inner, out);
}

static bool run_if(pith_jinja *j, const node *n, scope *s) {
    /* elif is an if in the else: a loop here keeps a long chain off the stack. */
    for (;;) {
        value test;
        if (!pith_jinja_eval(j, n->a, s, &test)) {
            return false;
        }
        if (pith_jinja_truth(test)) {
            return pith_jinja_run_body(j, n->b, s);
        }
        const node *otherwise = n->c;
        if (otherwise == NULL || otherwise->type != PITH_NODE_IF || otherwise->next != NULL) {
            return pith_jinja_run_body(j, otherwise, s);
        }
        n = otherwise;
    }
}

static bool run_statement(pith_jinja *j, const node *n, scope *s) {
    value v;
    switch ((pith_jinja_type)n->type) {
    case PITH_NODE_TEXT:
        return pith_jinja_append_value(j, j->output, &n->value);
    case PITH_NODE_OUTPUT:
        return pith_jinja_eval(j, n->a, s, &v) && write_out(j, v);
    case PITH_NODE_IF:
        return run_if(j, n, s);
    case PITH_NODE_FOR:
        return pith_jinja_eval(j, n->b, s, &v) && pith_jinja_run_for(j, n, s, v, 0);
    case PITH_NODE_SET:
        return pith_jinja_eval(j, n->b, s, &v) && assign(j, n->a, s, v);
    case PITH_NODE_SETBLOCK:
        return capture_block(j, n->c, s, &v) && apply_filters(j, n->b, s, &v) &&
               assign(j, n->a, s, v);
    case PITH_NODE_MACRO:
        return make_macro(j, n, s, &v) && pith_jinja_scope_set(j, s, n->symbol, v);
    case PITH_NODE_CALLBLOCK:
        return run_call_block(j, n, s);
    case PITH_NODE_FILTERBLOCK:
        return capture_block(j, n->b, s, &v) && apply_filters(j, n->a, s, &v) && write_out(j, v);
    case PITH_NODE_WITH:
        return run_with(j, n, s);
    case PITH_NODE_GENERATION:
        return capture_block(j, n->b, s, &v) && write_out(j, v);
    case PITH_NODE_BREAK:
        j->flow = PITH_FLOW_BREAK;
        return true;
    case PITH_NODE_CONTINUE:
        j->flow = PITH_FLOW_CONTINUE;
        return true;
    default:
        return pith_jinja_refuse(j, "not a statement");
    }
}

bool pith_jinja_run_body(pith_jinja *j, const node *body, scope *s) {
    bool ok = pith_jinja_deeper(j);
    for (const node *n = body; ok && n != NULL && j->flow == PITH_FLOW_ON; n = n->next) {
        j->line = n->line;
        ok = pith_jinja_spend(j, 1) && run_statement(j, n, s);
    }
    j->depth--;
    return ok;
}
