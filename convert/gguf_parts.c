/* Opening a GGUF file and its other parts. */
#include "convert/gguf_parts.h"

#include "base/gguf_look.h"
#include "base/status.h"

#include <string.h>

/* What a file says about the set that it belongs to. */
typedef struct split {
    size_t number; /* from 0 */
    size_t count;  /* 1: it is whole */
    size_t n_tensors;
} split;

static pith_status read_split(const pith_gguf *gguf, split *out, pith_error *error) {
    *out = (split){.count = 1, .n_tensors = SIZE_MAX};
    pith_status status = pith_gguf_count(gguf, "split.count", &out->count, error);
    if (status == PITH_OK) {
        status = pith_gguf_count(gguf, "split.no", &out->number, error);
    }
    if (status == PITH_OK) {
        status = pith_gguf_count(gguf, "split.tensors.count", &out->n_tensors, error);
    }
    if (status != PITH_OK) {
        return status;
    }
    out->count = out->count == 0 ? 1 : out->count;
    if (out->count > PITH_GGUF_MAX_PARTS || out->number >= out->count) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: part %zu of %zu, not one of at most %d parts", pith_gguf_name(gguf),
                         out->number, out->count, PITH_GGUF_MAX_PARTS);
    }
    return PITH_OK;
}

static pith_status add_part(pith_gguf_parts *parts, pith_sources *sources, const char *path,
                            pith_error *error) {
    struct pith_gguf_part *part = &parts->parts[parts->n];
    pith_status status = pith_sources_add_path(sources, path, &part->source, error);
    if (status == PITH_OK) {
        status = pith_gguf_read(&part->header, &sources->files[part->source].file, parts->allocator,
                                error);
    }
    parts->n += status == PITH_OK;
    return status;
}

/* Checks that part `number` agrees with what the first one says. */
static pith_status check_part(const pith_gguf *gguf, const split *first, size_t number,
                              pith_error *error) {
    split found;
    pith_status status = read_split(gguf, &found, error);
    if (status == PITH_OK && (found.number != number || found.count != first->count)) {
        status = pith_fail(error, PITH_ERROR_FORMAT,
                           "%s: it is part %zu of %zu, its name says part %zu of %zu",
                           pith_gguf_name(gguf), found.number + 1, found.count, number + 1,
                           first->count);
    }
    return status;
}

/* No tensor is in two parts, and there are as many as the first part says. */
static pith_status check_tensors(const pith_gguf_parts *parts, const split *first,
                                 pith_error *error) {
    size_t n_tensors = 0;
    for (size_t i = 0; i < parts->n; i++) {
        const pith_gguf *gguf = parts->parts[i].header;
        n_tensors += pith_gguf_n_tensors(gguf);
        for (size_t t = 0; t < pith_gguf_n_tensors(gguf); t++) {
            const char *name = pith_gguf_tensor_at(gguf, t)->name;
            size_t source;
            if (pith_gguf_parts_find(parts, name, &source) != pith_gguf_tensor_at(gguf, t)) {
                return pith_fail(error, PITH_ERROR_FORMAT, "%s: tensor %s is in another part too",
                                 pith_gguf_name(gguf), name);
            }
        }
    }
    if (first->n_tensors != SIZE_MAX && first->n_tensors != n_tensors) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: key split.tensors.count is %zu, but all parts have %zu tensors",
                         pith_gguf_name(parts->parts[0].header), first->n_tensors, n_tensors);
    }
    return PITH_OK;
}

static pith_status add_others(pith_gguf_parts *parts, pith_sources *sources, char *path,
                              const split *first, pith_error *error) {
    const char *name = pith_gguf_name(parts->parts[0].header);
    if (first->number != 0) {
        bool named = pith_gguf_set_part(path, 0, first->count);
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: is part %zu of %zu; give the first one%s%s",
                         name, first->number + 1, first->count, named ? ", " : "",
                         named ? path : "");
    }
    pith_status status = PITH_OK;
    for (size_t i = 1; i < first->count && status == PITH_OK; i++) {
        if (!pith_gguf_set_part(path, i, first->count)) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s: is the first of %zu parts, and the others cannot be found: its "
                             "name does not end in -00001-of-%05zu.gguf",
                             name, first->count, first->count);
        }
        status = add_part(parts, sources, path, error);
        if (status == PITH_OK) {
            status = check_part(parts->parts[i].header, first, i, error);
        }
    }
    return status == PITH_OK ? check_tensors(parts, first, error) : status;
}

pith_status pith_gguf_parts_open(pith_gguf_parts *out, pith_sources *sources, const char *path,
                                 pith_error *error) {
    const pith_allocator *allocator = sources->allocator;
    pith_gguf_parts parts = {.allocator = allocator};
    split first = {.count = 1};
    char *copy = pith_copy_text(allocator, path, strlen(path));
    parts.parts = pith_allocate(allocator, PITH_GGUF_MAX_PARTS, sizeof *parts.parts);
    pith_status status = PITH_OK;
    if (copy == NULL || parts.parts == NULL) {
        status = pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory to open it", path);
    }
    if (status == PITH_OK) {
        status = add_part(&parts, sources, path, error);
    }
    if (status == PITH_OK) {
        status = read_split(parts.parts[0].header, &first, error);
    }
    if (status == PITH_OK && first.count > 1) {
        status = add_others(&parts, sources, copy, &first, error);
    }
    pith_release(allocator, copy);
    if (status != PITH_OK) {
        pith_gguf_parts_close(&parts);
        return status;
    }
    *out = parts;
    return PITH_OK;
}

void pith_gguf_parts_close(pith_gguf_parts *parts) {
    for (size_t i = 0; i < parts->n; i++) {
        pith_gguf_free(parts->parts[i].header);
    }
    if (parts->parts != NULL) {
        pith_release(parts->allocator, parts->parts);
    }
    *parts = (pith_gguf_parts){0};
}

const pith_gguf *pith_gguf_keys(const pith_gguf_parts *parts) {
    return parts->parts[0].header;
}

const pith_gguf_tensor *pith_gguf_parts_find(const pith_gguf_parts *parts, const char *name,
                                             size_t *source) {
    for (size_t i = 0; i < parts->n; i++) {
        const pith_gguf_tensor *found = pith_gguf_find_tensor(parts->parts[i].header, name);
        if (found != NULL) {
            *source = parts->parts[i].source;
            return found;
        }
    }
    return NULL;
}

const pith_gguf_tensor *pith_gguf_parts_at(const pith_gguf_parts *parts, size_t i, size_t *source) {
    for (size_t p = 0; p < parts->n; p++) {
        size_t n = pith_gguf_n_tensors(parts->parts[p].header);
        if (i < n) {
            *source = parts->parts[p].source;
            return pith_gguf_tensor_at(parts->parts[p].header, i);
        }
        i -= n;
    }
    return NULL;
}
