/* Pre-tokenizer, normaliser and decoder as lists of objects, each with its kind in "step" and what
 * that kind needs. docs/format.md lists the keys. */
#include "weights/metadata_steps.h"

#include "base/memory.h"
#include "base/status.h"

#include <string.h>

static const char *const split_names[] = {
    [PITH_STEP_SPLIT] = "split",
    [PITH_STEP_SPACE] = "space",
    [PITH_STEP_BYTES] = "bytes",
    [PITH_STEP_MARK] = "mark",
};

static const char *const behavior_names[] = {
    [PITH_SPLIT_ISOLATED] = "isolated",
    [PITH_SPLIT_REMOVED] = "removed",
    [PITH_SPLIT_MERGED_WITH_PREVIOUS] = "merged_with_previous",
    [PITH_SPLIT_MERGED_WITH_NEXT] = "merged_with_next",
    [PITH_SPLIT_CONTIGUOUS] = "contiguous",
};

static const char *const scheme_names[] = {
    [PITH_MARK_ALWAYS] = "always",
    [PITH_MARK_FIRST] = "first",
    [PITH_MARK_NEVER] = "never",
};

static const char *const normal_names[] = {
    [PITH_NORMAL_REPLACE] = "replace",
    [PITH_NORMAL_PREPEND] = "prepend",
    [PITH_NORMAL_NFC] = "nfc",
    [PITH_NORMAL_NFD] = "nfd",
    [PITH_NORMAL_NFKC] = "nfkc",
    [PITH_NORMAL_NFKD] = "nfkd",
    [PITH_NORMAL_LOWERCASE] = "lowercase",
    [PITH_NORMAL_STRIP] = "strip",
    [PITH_NORMAL_STRIP_ACCENTS] = "strip_accents",
    [PITH_NORMAL_NMT] = "nmt",
    [PITH_NORMAL_CHARSMAP] = "charsmap",
};

static const char *const decode_names[] = {
    [PITH_DECODE_REPLACE] = "replace", [PITH_DECODE_STRIP] = "strip", [PITH_DECODE_BYTES] = "bytes",
    [PITH_DECODE_FUSE] = "fuse",       [PITH_DECODE_MARK] = "mark",   [PITH_DECODE_JOIN] = "join",
};

#define N_NAMES(names) (sizeof(names) / sizeof *(names))

size_t pith_find_name(pith_json object, const char *key, const char *const *names, size_t n_names) {
    const char *text = pith_json_text(pith_json_get(object, key));
    size_t i = 0;
    while (i < n_names && (text == NULL || strcmp(text, names[i]) != 0)) {
        i++;
    }
    return i;
}

/* ---- Writing --------------------------------------------------------------------------------- */

static void write_split(const pith_split_step *step, pith_json_writer *to) {
    pith_json_put_text(to, "step", split_names[step->kind]);
    if (step->kind == PITH_STEP_SPLIT) {
        pith_json_put_text(to, "pattern", step->pattern);
        pith_json_put_text(to, "behavior", behavior_names[step->behavior]);
        pith_json_put_bool(to, "invert", step->invert);
    } else if (step->kind == PITH_STEP_MARK) {
        pith_json_put_text(to, "mark", step->pattern);
        pith_json_put_text(to, "prefix", scheme_names[step->scheme]);
    }
}

static void write_normal(const pith_normal_step *step, pith_json_writer *to) {
    pith_json_put_text(to, "step", normal_names[step->kind]);
    if (step->kind == PITH_NORMAL_REPLACE) {
        pith_json_put_text(to, "pattern", step->pattern);
    }
    if (step->kind == PITH_NORMAL_REPLACE || step->kind == PITH_NORMAL_PREPEND) {
        pith_json_put_text(to, "text", step->text);
    }
    if (step->kind == PITH_NORMAL_STRIP) {
        pith_json_put_bool(to, "left", step->left);
        pith_json_put_bool(to, "right", step->right);
    }
}

static void write_decode(const pith_decode_step *step, pith_json_writer *to) {
    pith_json_put_text(to, "step", decode_names[step->kind]);
    switch (step->kind) {
    case PITH_DECODE_REPLACE:
        pith_json_put_text(to, "from", step->pattern);
        pith_json_put_text(to, "to", step->text);
        break;
    case PITH_DECODE_STRIP:
        pith_json_put_text(to, "character", step->text);
        pith_json_put_integer(to, "start", (int64_t)step->start);
        pith_json_put_integer(to, "stop", (int64_t)step->stop);
        break;
    case PITH_DECODE_MARK:
        pith_json_put_text(to, "mark", step->pattern);
        pith_json_put_bool(to, "drop", step->drop);
        break;
    case PITH_DECODE_BYTES:
    case PITH_DECODE_FUSE:
    case PITH_DECODE_JOIN:
        break;
    }
}

void pith_vocab_steps_write(const pith_vocab *vocab, pith_json_writer *to) {
    const struct {
        const char *key;
        size_t n;
    } lists[] = {
        {"pre_tokenizer", vocab->n_steps},
        {"normalizer", vocab->n_normalizer},
        {"decoder", vocab->n_decoder},
    };
    for (size_t k = 0; k < N_NAMES(lists); k++) {
        if (lists[k].n == 0) {
            continue;
        }
        pith_json_open(to, lists[k].key, '[');
        for (size_t i = 0; i < lists[k].n; i++) {
            pith_json_open(to, NULL, '{');
            if (k == 0) {
                write_split(&vocab->steps[i], to);
            } else if (k == 1) {
                write_normal(&vocab->normalizer[i], to);
            } else {
                write_decode(&vocab->decoder[i], to);
            }
            pith_json_close(to, '}');
        }
        pith_json_close(to, ']');
    }
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool read_text(pith_json object, const char *key, const char **out) {
    *out = pith_json_text(pith_json_get(object, key));
    return *out != NULL;
}

static bool read_split(pith_json object, void *to) {
    pith_split_step *out = to;
    size_t kind = pith_find_name(object, "step", split_names, N_NAMES(split_names));
    if (kind == N_NAMES(split_names)) {
        return false;
    }
    *out = (pith_split_step){.kind = (pith_step_kind)kind};
    if (out->kind == PITH_STEP_MARK) {
        size_t scheme = pith_find_name(object, "prefix", scheme_names, N_NAMES(scheme_names));
        out->scheme = (pith_mark_scheme)scheme;
        return scheme != N_NAMES(scheme_names) && read_text(object, "mark", &out->pattern);
    }
    if (out->kind != PITH_STEP_SPLIT) {
        return true;
    }
    size_t behavior = pith_find_name(object, "behavior", behavior_names, N_NAMES(behavior_names));
    out->behavior = (pith_split_behavior)behavior;
    return behavior != N_NAMES(behavior_names) &&
           pith_json_bool(pith_json_get(object, "invert"), &out->invert) &&
           read_text(object, "pattern", &out->pattern);
}

static bool read_normal(pith_json object, void *to) {
    pith_normal_step *out = to;
    size_t kind = pith_find_name(object, "step", normal_names, N_NAMES(normal_names));
    if (kind == N_NAMES(normal_names)) {
        return false;
    }
    *out = (pith_normal_step){.kind = (pith_normal_kind)kind};
    switch (out->kind) {
    case PITH_NORMAL_REPLACE:
        return read_text(object, "pattern", &out->pattern) && read_text(object, "text", &out->text);
    case PITH_NORMAL_PREPEND:
        return read_text(object, "text", &out->text);
    case PITH_NORMAL_STRIP:
        return pith_json_bool(pith_json_get(object, "left"), &out->left) &&
               pith_json_bool(pith_json_get(object, "right"), &out->right);
    default:
        return true;
    }
}

static bool read_decode(pith_json object, void *to) {
    pith_decode_step *out = to;
    size_t kind = pith_find_name(object, "step", decode_names, N_NAMES(decode_names));
    if (kind == N_NAMES(decode_names)) {
        return false;
    }
    *out = (pith_decode_step){.kind = (pith_decode_kind)kind};
    switch (out->kind) {
    case PITH_DECODE_REPLACE:
        return read_text(object, "from", &out->pattern) && read_text(object, "to", &out->text);
    case PITH_DECODE_STRIP:
        return read_text(object, "character", &out->text) &&
               pith_json_count(pith_json_get(object, "start"), &out->start) &&
               pith_json_count(pith_json_get(object, "stop"), &out->stop);
    case PITH_DECODE_MARK:
        return read_text(object, "mark", &out->pattern) &&
               pith_json_bool(pith_json_get(object, "drop"), &out->drop);
    default:
        return true;
    }
}

/* One list: its steps, of `size` bytes each, are stored in *out, which the caller releases. */
typedef struct list {
    const char *key;
    size_t size;
    bool (*read)(pith_json object, void *to);
} list;

static pith_status read_list(const list *l, pith_json object, const char *where,
                             const pith_allocator *allocator, void **out, size_t *n_out,
                             pith_error *error) {
    pith_json array = pith_json_get(object, l->key);
    size_t n = pith_json_size(array);
    if (array.at == NULL) {
        return PITH_OK;
    }
    if (!pith_json_is(array, PITH_JSON_ARRAY) || n == 0 || n > PITH_VOCAB_MAX_STEPS) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: metadata tokenizer.%s is not an array of 1 to %d steps", where,
                         l->key, PITH_VOCAB_MAX_STEPS);
    }
    char *steps = pith_allocate_zeroed(allocator, n, l->size);
    if (steps == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for metadata");
    }
    *out = steps;
    *n_out = n;
    pith_json_walk walk = pith_json_begin(array);
    for (size_t i = 0; pith_json_next(&walk); i++) {
        if (!l->read(walk.value, steps + i * l->size)) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: metadata tokenizer.%s is missing or not a list of known steps",
                             where, l->key);
        }
    }
    return PITH_OK;
}

pith_status pith_vocab_steps_read(pith_vocab *vocab, pith_vocab_lists *lists, pith_json object,
                                  const char *where, const pith_allocator *allocator,
                                  pith_error *error) {
    static const list kinds[] = {
        {"pre_tokenizer", sizeof(pith_split_step), read_split},
        {"normalizer", sizeof(pith_normal_step), read_normal},
        {"decoder", sizeof(pith_decode_step), read_decode},
    };
    size_t n[3] = {0};
    pith_status status = PITH_OK;
    for (size_t i = 0; status == PITH_OK && i < 3; i++) {
        status = read_list(&kinds[i], object, where, allocator, &lists->blocks[i], &n[i], error);
    }
    vocab->steps = lists->blocks[0];
    vocab->n_steps = n[0];
    vocab->normalizer = lists->blocks[1];
    vocab->n_normalizer = n[1];
    vocab->decoder = lists->blocks[2];
    vocab->n_decoder = n[2];
    return status;
}
