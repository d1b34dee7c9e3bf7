/* See automaton.h. */
#include "grammar/automaton.h"

#include <string.h>

#include "base/memory.h"
#include "base/status.h"
#include "base/utf8.h"

/* ---- Generations ----------------------------------------------------------------------------- */

pith_status pith_automaton_init(pith_automaton *a, const pith_rules *rules,
                                const pith_allocator *allocator, pith_error *error) {
    size_t n = PITH_AUTOMATON_FRAMES + PITH_AUTOMATON_ROOM;
    *a = (pith_automaton){.rules = rules};
    a->store = pith_allocate(allocator, n, sizeof *a->store);
    a->places = pith_allocate(allocator, PITH_AUTOMATON_FRAMES, sizeof *a->places);
    if (a->store == NULL || a->places == NULL) {
        pith_automaton_release(a, allocator);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a matcher");
    }
    a->threads = a->store + PITH_AUTOMATON_FRAMES;
    pith_automaton_begin(a);
    return PITH_OK;
}

void pith_automaton_release(pith_automaton *a, const pith_allocator *allocator) {
    pith_release(allocator, a->store);
    pith_release(allocator, a->places);
    *a = (pith_automaton){.rules = NULL};
}

void pith_automaton_open(pith_automaton *a, size_t g) {
    a->begins[g + 1] = a->begins[g];
    a->stored[g] = a->stored[g - 1];
}

void pith_automaton_push(pith_automaton *a, size_t g, const pith_frame *frame) {
    if (a->begins[g + 1] < PITH_AUTOMATON_ROOM) {
        a->threads[a->begins[g + 1]++] = *frame;
    }
}

void pith_automaton_begin(pith_automaton *a) {
    const pith_frame frame = {.parent = PITH_RULES_NONE, .phase = PITH_PHASE_TEXT};
    a->n_store = 0;
    a->stored[0] = 0;
    a->begins[0] = 0;
    a->begins[1] = 1;
    a->threads[0] = frame;
}

/* Equal states that were reached in different ways count once. */
static bool is_same(const pith_frame *x, const pith_frame *y) {
    return x->parent == y->parent && x->node == y->node && x->phase == y->phase &&
           x->depth == y->depth && x->lex == y->lex && x->additional == y->additional &&
           x->count == y->count && x->first == y->first && x->end == y->end && x->at == y->at &&
           x->code == y->code && x->number.value.whole == y->number.value.whole &&
           x->number.value.fraction == y->number.value.fraction &&
           x->number.phase == y->number.phase && x->number.n_fraction == y->number.n_fraction &&
           x->number.negative == y->number.negative;
}

/* Adds a thread to generation g + 1. */
static void add(pith_automaton *a, size_t g, const pith_frame *thread) {
    size_t first = a->begins[g + 1];
    size_t end = a->begins[g + 2];
    for (size_t i = first; i < end; i++) {
        if (is_same(&a->threads[i], thread)) {
            return;
        }
    }
    if (end - first < PITH_AUTOMATON_THREADS && end < PITH_AUTOMATON_ROOM) {
        a->threads[end] = *thread;
        a->begins[g + 2]++;
    }
}

/* Puts a frame into the store; false: it is full, and the thread is given up. */
static bool store(pith_automaton *a, const pith_frame *frame, uint32_t *place) {
    if (a->n_store == PITH_AUTOMATON_FRAMES) {
        return false;
    }
    a->store[a->n_store] = *frame;
    *place = (uint32_t)a->n_store++;
    return true;
}

/* ---- Texts and keys -------------------------------------------------------------------------- */

/* Leaves of the texts first .. end those whose byte at `at` is `byte`, and moves on. False when
 * there is none. */
static bool narrow(const pith_rules *rules, pith_frame *f, unsigned char byte) {
    const pith_rules_text *texts = rules->texts;
    while (f->first < f->end) {
        const pith_rules_text *text = &texts[f->first];
        if (f->at < text->n_bytes && pith_rules_bytes(rules, text)[f->at] >= byte) {
            break;
        }
        f->first++;
    }
    uint32_t end = f->first;
    while (end < f->end && f->at < texts[end].n_bytes &&
           pith_rules_bytes(rules, &texts[end])[f->at] == byte) {
        end++;
    }
    f->end = end;
    f->at++;
    return f->first < f->end;
}

/* True when what was read is one of the texts: sorted, it is the first. */
static bool is_text(const pith_rules *rules, const pith_frame *f) {
    return f->first < f->end && rules->texts[f->first].n_bytes == f->at;
}

/* True when a value of the place fits in a text that has `depth` levels around it. */
static bool fits(const pith_rules *rules, uint32_t place, unsigned depth) {
    return place != PITH_RULES_NONE &&
           rules->places[place].depth <= (unsigned)PITH_RULES_MAX_DEPTH - depth;
}

/* True when the object's property may come next. */
static bool may_follow(const pith_rules *rules, const pith_frame *f, uint32_t property) {
    const pith_rules_object *object = &rules->nodes[f->node].as.object;
    const pith_rules_property *all = rules->properties + object->properties.first;
    return property >= f->count && property <= all[f->count].reach &&
           fits(rules, all[property].place, f->depth);
}

static bool any_may_follow(const pith_rules *rules, const pith_frame *f) {
    for (uint32_t i = f->first; i < f->end; i++) {
        if (may_follow(rules, f, rules->texts[i].property)) {
            return true;
        }
    }
    return false;
}

static uint32_t n_properties(const pith_rules_object *object) {
    return object->properties.end - object->properties.first;
}

/* True when properties that are required are missing. */
static bool lacks(const pith_rules *rules, const pith_frame *f) {
    return f->count < rules->nodes[f->node].as.object.n_needed;
}

/* The opening quote of a key. Whether it is a property or an additional key shows only later. */
static void open_key(pith_automaton *a, size_t g, const pith_frame *thread) {
    const pith_rules *rules = a->rules;
    const pith_rules_object *object = &rules->nodes[thread->node].as.object;
    pith_frame f = *thread;
    if (f.count < n_properties(object)) {
        f.phase = PITH_PHASE_KEY;
        f.first = object->keys.first;
        f.end = object->keys.end;
        f.at = 0;
        if (any_may_follow(rules, &f)) {
            add(a, g, &f);
        }
    }
    if (!lacks(rules, &f) && fits(rules, object->additional, f.depth)) {
        f.phase = PITH_PHASE_NEW_KEY;
        f.lex = PITH_LEX_BETWEEN;
        f.count = 0;
        f.first = object->names.first;
        f.end = object->names.end;
        f.at = 0;
        add(a, g, &f);
    }
}

static void step_key(pith_automaton *a, size_t g, const pith_frame *thread, unsigned char byte) {
    pith_frame f = *thread;
    if (!narrow(a->rules, &f, byte) || !any_may_follow(a->rules, &f)) {
        return;
    }
    if (is_text(a->rules, &f)) {
        f.count = a->rules->texts[f.first].property + 1;
        f.additional = false;
        f.phase = PITH_PHASE_COLON;
        f.first = f.end = f.at = 0;
    }
    add(a, g, &f);
}

/* The character of an escape, from the state before its last byte and that byte. */
static uint32_t escaped(const pith_frame *before, unsigned char byte) {
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    if (before->lex == PITH_LEX_ESCAPE) {
        return (unsigned char)values[strchr(names, byte) - names];
    }
    uint32_t code = before->code << 4 | (uint32_t)pith_lex_hex(byte);
    return code > 0xFFFF ? 0x10000 + ((code >> 16 & 0x3FF) << 10) + (code & 0x3FF) : code;
}

/* Compares what was read of a new key with the names that it must not be: by characters, however
 * they are spelled. */
static void compare_names(const pith_rules *rules, const pith_frame *before, pith_frame *f,
                          unsigned char byte) {
    char character[4];
    bool plain = before->lex < PITH_LEX_ESCAPE;
    if (f->first == f->end) {
        return;
    }
    if (plain && f->lex != PITH_LEX_ESCAPE) {
        narrow(rules, f, byte);
    } else if (plain) {
        f->code = 0;
    } else if (f->lex == PITH_LEX_BETWEEN) {
        size_t n = pith_utf8_encode(escaped(before, byte), character);
        for (size_t i = 0; i < n; i++) {
            narrow(rules, f, (unsigned char)character[i]);
        }
        f->code = 0;
    } else if (pith_lex_hex(byte) >= 0 && before->lex != PITH_LEX_ESCAPE) {
        f->code = f->code << 4 | (uint32_t)pith_lex_hex(byte);
    }
}

/* The closing quote of a string or additional key. */
static void add_behind(pith_automaton *a, size_t g, const pith_frame *thread) {
    if (pith_automaton_may_close(a, thread)) {
        const pith_frame f = pith_automaton_behind(a, thread);
        add(a, g, &f);
    }
}

/* A byte of a string or additional key. */
static void step_string(pith_automaton *a, size_t g, const pith_frame *thread, unsigned char byte) {
    pith_frame f = *thread;
    f.lex = (uint8_t)pith_lex_step((pith_lex)f.lex, byte);
    if (f.lex == PITH_LEX_CLOSED) {
        add_behind(a, g, thread);
        return;
    }
    bool begins = thread->lex == PITH_LEX_BETWEEN; /* a character */
    if (f.lex == PITH_LEX_BAD || (begins && pith_automaton_room(a, thread) == 0)) {
        return;
    }
    f.count += begins && f.count < UINT32_MAX ? 1 : 0;
    if (f.phase == PITH_PHASE_NEW_KEY) {
        compare_names(a->rules, thread, &f, byte);
    }
    add(a, g, &f);
}

uint32_t pith_automaton_room(const pith_automaton *a, const pith_frame *thread) {
    if (thread->phase == PITH_PHASE_NEW_KEY) {
        return PITH_RULES_MAX_NAME - thread->count;
    }
    uint32_t most = a->rules->nodes[thread->node].as.string.most;
    return most != PITH_RULES_NONE ? most - thread->count : most;
}

bool pith_automaton_may_close(const pith_automaton *a, const pith_frame *thread) {
    if (thread->phase == PITH_PHASE_STRING) {
        return thread->count >= a->rules->nodes[thread->node].as.string.least;
    }
    return !is_text(a->rules, thread);
}

pith_frame pith_automaton_behind(const pith_automaton *a, const pith_frame *thread) {
    if (thread->phase == PITH_PHASE_STRING) {
        return a->store[thread->parent];
    }
    pith_frame f = *thread;
    f.phase = PITH_PHASE_COLON;
    f.additional = true;
    f.count = n_properties(&a->rules->nodes[f.node].as.object); /* they come first */
    f.lex = 0;
    f.first = f.end = f.at = f.code = 0;
    return f;
}

/* ---- Values ---------------------------------------------------------------------------------- */

/* The value that the thread was reading is whole without another byte; *out is what comes after.
 * False when it is not. */
static bool finish(const pith_automaton *a, const pith_frame *thread, pith_frame *out) {
    const pith_rules *rules = a->rules;
    bool whole = thread->phase == PITH_PHASE_NUMBER
                     ? pith_number_is_whole(&rules->nodes[thread->node].as.number, &thread->number)
                     : thread->phase == PITH_PHASE_TEXTS && is_text(rules, thread);
    if (whole) {
        *out = a->store[thread->parent];
    }
    return whole;
}

/* A text that is whole and the beginning of no other one has ended. */
static void add_texts(pith_automaton *a, size_t g, const pith_frame *f) {
    const pith_rules_text *texts = a->rules->texts;
    bool last = is_text(a->rules, f) && texts[f->end - 1].n_bytes == f->at;
    add(a, g, last ? &a->store[f->parent] : f);
}

/* Begins a value of a node with its first byte. `f` has parent and depth. */
static void begin_value(pith_automaton *a, size_t g, pith_frame f, unsigned char byte) {
    const pith_rules_node *node = &a->rules->nodes[f.node];
    switch (node->kind) {
    case PITH_RULES_STRING:
        f.phase = PITH_PHASE_STRING;
        f.lex = PITH_LEX_BETWEEN;
        if (byte == '"') {
            add(a, g, &f);
        }
        break;
    case PITH_RULES_NUMBER:
        f.phase = PITH_PHASE_NUMBER;
        if (pith_number_step(&node->as.number, &f.number, byte)) {
            add(a, g, &f);
        }
        break;
    case PITH_RULES_TEXTS:
        f.phase = PITH_PHASE_TEXTS;
        f.first = node->as.texts.first;
        f.end = node->as.texts.end;
        if (narrow(a->rules, &f, byte)) {
            add_texts(a, g, &f);
        }
        break;
    case PITH_RULES_OBJECT:
    case PITH_RULES_ARRAY:
        f.phase = node->kind == PITH_RULES_OBJECT ? PITH_PHASE_FIRST_KEY : PITH_PHASE_FIRST_ITEM;
        f.depth++;
        if (byte == (node->kind == PITH_RULES_OBJECT ? '{' : '[')) {
            add(a, g, &f);
        }
        break;
    }
}

/* A value of the place begins with the byte; `after` is the thread's state behind the value. */
static void begin_place(pith_automaton *a, size_t g, const pith_frame *after, uint32_t place,
                        unsigned char byte) {
    const pith_rules *rules = a->rules;
    pith_rules_range options = rules->places[place].options;
    pith_frame f = {.depth = after->depth};
    if (!store(a, after, &f.parent)) {
        return;
    }
    for (uint32_t i = options.first; i < options.end; i++) {
        f.node = rules->options[i];
        if (rules->nodes[f.node].depth <= (unsigned)PITH_RULES_MAX_DEPTH - f.depth) {
            begin_value(a, g, f, byte);
        }
    }
}

/* ---- Arrays and objects ---------------------------------------------------------------------- */

static void add_phase(pith_automaton *a, size_t g, const pith_frame *thread, pith_phase phase) {
    pith_frame f = *thread;
    f.phase = (uint8_t)phase;
    add(a, g, &f);
}

static void begin_member(pith_automaton *a, size_t g, const pith_frame *thread,
                         unsigned char byte) {
    const pith_rules_object *object = &a->rules->nodes[thread->node].as.object;
    pith_frame after = *thread;
    after.phase = PITH_PHASE_MEMBER_END;
    after.additional = false;
    uint32_t place = thread->additional
                         ? object->additional
                         : a->rules->properties[object->properties.first + thread->count - 1].place;
    begin_place(a, g, &after, place, byte);
}

static void begin_item(pith_automaton *a, size_t g, const pith_frame *thread, unsigned char byte) {
    const pith_rules_array *array = &a->rules->nodes[thread->node].as.array;
    pith_frame after = *thread;
    after.phase = PITH_PHASE_ITEM_END;
    after.count += after.count < UINT32_MAX ? 1 : 0;
    begin_place(a, g, &after, array->items, byte);
}

/* True when the array may have one more item. */
static bool has_room(const pith_automaton *a, const pith_frame *thread) {
    const pith_rules_array *array = &a->rules->nodes[thread->node].as.array;
    return thread->count < array->most && fits(a->rules, array->items, thread->depth);
}

/* True when the object may have one more member. */
static bool has_members(const pith_automaton *a, const pith_frame *thread) {
    const pith_rules *rules = a->rules;
    const pith_rules_object *object = &rules->nodes[thread->node].as.object;
    if (!lacks(rules, thread) && fits(rules, object->additional, thread->depth)) {
        return true;
    }
    for (uint32_t i = thread->count; i < n_properties(object); i++) {
        if (may_follow(rules, thread, i)) {
            return true;
        }
    }
    return false;
}

static void step_object(pith_automaton *a, size_t g, const pith_frame *thread, unsigned char byte) {
    pith_phase phase = (pith_phase)thread->phase;
    bool between = phase == PITH_PHASE_FIRST_KEY || phase == PITH_PHASE_MEMBER_END;
    if (between && byte == '}') {
        if (!lacks(a->rules, thread)) {
            add(a, g, &a->store[thread->parent]);
        }
    } else if (phase == PITH_PHASE_MEMBER_END) {
        if (byte == ',' && has_members(a, thread)) {
            add_phase(a, g, thread, PITH_PHASE_COMMA);
        }
    } else if (byte == ' ') {
        if (phase == PITH_PHASE_COMMA) {
            add_phase(a, g, thread, PITH_PHASE_COMMA_SPACED);
        }
    } else if (byte == '"') {
        open_key(a, g, thread);
    }
}

static void step_array(pith_automaton *a, size_t g, const pith_frame *thread, unsigned char byte) {
    pith_phase phase = (pith_phase)thread->phase;
    bool between = phase == PITH_PHASE_FIRST_ITEM || phase == PITH_PHASE_ITEM_END;
    if (between && byte == ']') {
        if (thread->count >= a->rules->nodes[thread->node].as.array.least) {
            add(a, g, &a->store[thread->parent]);
        }
    } else if (phase == PITH_PHASE_ITEM_END) {
        if (byte == ',' && has_room(a, thread)) {
            add_phase(a, g, thread, PITH_PHASE_ITEM);
        }
    } else if (byte == ' ') {
        if (phase == PITH_PHASE_ITEM) {
            add_phase(a, g, thread, PITH_PHASE_ITEM_SPACED);
        }
    } else if (has_room(a, thread)) {
        begin_item(a, g, thread, byte);
    }
}

/* ---- Steps ----------------------------------------------------------------------------------- */

/* A number or text goes on, or has ended and the byte belongs to what is around it. */
static void step_scalar(pith_automaton *a, size_t g, const pith_frame *thread, unsigned char byte) {
    const pith_rules_node *node = &a->rules->nodes[thread->node];
    pith_frame f = *thread;
    if (f.phase == PITH_PHASE_NUMBER && pith_number_step(&node->as.number, &f.number, byte)) {
        add(a, g, &f);
    } else if (f.phase == PITH_PHASE_TEXTS && narrow(a->rules, &f, byte)) {
        add_texts(a, g, &f);
    } else if (finish(a, thread, &f)) {
        if (f.phase == PITH_PHASE_ITEM_END) {
            step_array(a, g, &f, byte);
        } else if (f.phase == PITH_PHASE_MEMBER_END) {
            step_object(a, g, &f, byte);
        }
    }
}

static void step_thread(pith_automaton *a, size_t g, const pith_frame *thread, unsigned char byte) {
    static const pith_frame end = {.parent = PITH_RULES_NONE, .phase = PITH_PHASE_END};
    switch ((pith_phase)thread->phase) {
    case PITH_PHASE_TEXT:
        begin_place(a, g, &end, PITH_RULES_ROOT, byte);
        break;
    case PITH_PHASE_END:
        break;
    case PITH_PHASE_FIRST_KEY:
    case PITH_PHASE_MEMBER_END:
    case PITH_PHASE_COMMA:
    case PITH_PHASE_COMMA_SPACED:
        step_object(a, g, thread, byte);
        break;
    case PITH_PHASE_KEY:
        step_key(a, g, thread, byte);
        break;
    case PITH_PHASE_COLON:
        if (byte == ':') {
            add_phase(a, g, thread, PITH_PHASE_MEMBER);
        }
        break;
    case PITH_PHASE_MEMBER:
    case PITH_PHASE_MEMBER_SPACED:
        if (byte == ' ' && thread->phase == PITH_PHASE_MEMBER) {
            add_phase(a, g, thread, PITH_PHASE_MEMBER_SPACED);
        } else {
            begin_member(a, g, thread, byte);
        }
        break;
    case PITH_PHASE_FIRST_ITEM:
    case PITH_PHASE_ITEM_END:
    case PITH_PHASE_ITEM:
    case PITH_PHASE_ITEM_SPACED:
        step_array(a, g, thread, byte);
        break;
    case PITH_PHASE_NEW_KEY:
    case PITH_PHASE_STRING:
        step_string(a, g, thread, byte);
        break;
    case PITH_PHASE_NUMBER:
    case PITH_PHASE_TEXTS:
        step_scalar(a, g, thread, byte);
        break;
    }
}

bool pith_automaton_step(pith_automaton *a, size_t g, unsigned char byte) {
    a->n_store = a->stored[g];
    a->begins[g + 2] = a->begins[g + 1];
    for (size_t i = a->begins[g]; i < a->begins[g + 1]; i++) {
        step_thread(a, g, &a->threads[i], byte);
    }
    a->stored[g + 1] = (uint16_t)a->n_store;
    return a->begins[g + 2] > a->begins[g + 1];
}

bool pith_automaton_may_end(const pith_automaton *a) {
    for (size_t i = 0; i < a->begins[1]; i++) {
        const pith_frame *thread = &a->threads[i];
        pith_frame after;
        if (thread->phase == PITH_PHASE_END ||
            (finish(a, thread, &after) && after.phase == PITH_PHASE_END)) {
            return true;
        }
    }
    return false;
}

bool pith_automaton_is_over(pith_automaton *a) {
    if (!pith_automaton_may_end(a)) {
        return false; /* every state leads on, or may end */
    }
    for (unsigned byte = 0; byte < 256; byte++) {
        if (pith_automaton_step(a, 0, (unsigned char)byte)) {
            return false;
        }
    }
    return true;
}

/* ---- Tidying --------------------------------------------------------------------------------- */

/* Marks a frame of the store and those below it. */
static void mark(pith_automaton *a, uint32_t frame) {
    while (frame != PITH_RULES_NONE && a->places[frame] == PITH_RULES_NONE) {
        a->places[frame] = 0;
        frame = a->store[frame].parent;
    }
}

/* Frames refer to earlier ones only, so moving them forward in order is enough. */
void pith_automaton_settle(pith_automaton *a, size_t g) {
    size_t n = pith_automaton_n(a, g);
    size_t n_kept = 0;
    memmove(a->threads, a->threads + a->begins[g], n * sizeof *a->threads);
    a->begins[0] = 0;
    a->begins[1] = (uint16_t)n;
    a->n_store = a->stored[g];
    memset(a->places, 0xFF, a->n_store * sizeof *a->places);
    for (size_t i = 0; i < n; i++) {
        mark(a, a->threads[i].parent);
    }
    for (size_t i = 0; i < a->n_store; i++) {
        if (a->places[i] != PITH_RULES_NONE) {
            pith_frame *frame = &a->store[n_kept];
            *frame = a->store[i];
            frame->parent =
                frame->parent != PITH_RULES_NONE ? a->places[frame->parent] : PITH_RULES_NONE;
            a->places[i] = (uint32_t)n_kept++;
        }
    }
    for (size_t i = 0; i < n; i++) {
        uint32_t parent = a->threads[i].parent;
        a->threads[i].parent = parent != PITH_RULES_NONE ? a->places[parent] : PITH_RULES_NONE;
    }
    a->n_store = n_kept;
    a->stored[0] = (uint16_t)n_kept;
}
