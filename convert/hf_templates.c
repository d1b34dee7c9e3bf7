/* Where transformers keeps chat templates: chat_template.jinja and additional_chat_templates/ since
 * 2025, before that a string or a list of {name, template} in tokenizer_config.json; processors of
 * several modalities had chat_template.json. */
#include "convert/hf_templates.h"

#include "base/memory.h"
#include "base/status.h"
#include "base/utf8.h"
#include "families/hf_json.h"
#include "weights/metadata.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = 128 /* bytes of a template's name */ };

static const char config_name[] = "tokenizer_config.json";
static const char file_name[] = "chat_template.jinja";
static const char json_name[] = "chat_template.json";
static const char ending[] = ".jinja";

/* ---- Keeping them ---------------------------------------------------------------------------- */

static pith_status no_memory(const char *where, pith_error *error) {
    return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for the chat template", where);
}

static pith_status copy_template(const pith_allocator *allocator, const char *text, size_t size,
                                 const char *where, char **out, pith_error *error) {
    if (size > PITH_MAX_TEMPLATE) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: a chat template of %zu bytes, more than the limit of %d", where, size,
                         PITH_MAX_TEMPLATE);
    }
    if (memchr(text, 0, size) != NULL || pith_utf8_check(text, size) != size) {
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: the chat template is not UTF-8 text",
                         where);
    }
    *out = pith_copy_text(allocator, text, size);
    return *out != NULL ? PITH_OK : no_memory(where, error);
}

static bool is_kept(const pith_hf_templates *t, const char *name) {
    bool found = strcmp(name, "default") == 0 && t->text != NULL;
    for (size_t i = 0; i < t->n_others; i++) {
        found = found || strcmp(t->others[i].name, name) == 0;
    }
    return found;
}

pith_status pith_hf_templates_keep(pith_hf_templates *t, const char *name, const char *text,
                                   size_t size, const char *where, pith_error *error) {
    if (is_kept(t, name)) {
        return PITH_OK;
    }
    if (strcmp(name, "default") == 0) {
        return copy_template(t->allocator, text, size, where, &t->text, error);
    }
    size_t n_name = strlen(name);
    if (t->n_others == PITH_MAX_TEMPLATES || n_name > MAX_NAME ||
        pith_utf8_check(name, n_name) != n_name) {
        return pith_fail(error, PITH_ERROR_FORMAT,
                         "%s: more than %d chat templates, or a name that is no UTF-8 text of at "
                         "most %d bytes",
                         where, PITH_MAX_TEMPLATES, MAX_NAME);
    }
    pith_chat_template *others =
        pith_reallocate(t->allocator, t->others, t->n_others + 1, sizeof *others);
    if (others == NULL) {
        return no_memory(where, error);
    }
    t->others = others;
    char *copy;
    pith_status status = copy_template(t->allocator, text, size, where, &copy, error);
    if (status != PITH_OK) {
        return status;
    }
    char *copied_name = pith_copy_text(t->allocator, name, n_name);
    if (copied_name == NULL) {
        pith_release(t->allocator, copy);
        return no_memory(where, error);
    }
    others[t->n_others++] = (pith_chat_template){.name = copied_name, .text = copy};
    return PITH_OK;
}

/* ---- Files ----------------------------------------------------------------------------------- */

static pith_status read_file(pith_hf_templates *t, pith_sources *sources, const char *path,
                             const char *name, pith_error *error) {
    char *text;
    size_t size;
    pith_status status =
        pith_sources_read_optional(sources, path, PITH_MAX_TEMPLATE, &text, &size, error);
    if (status != PITH_OK || text == NULL) {
        return status;
    }
    status = pith_hf_templates_keep(t, name, text, size, path, error);
    pith_release(t->allocator, text);
    return status;
}

static int is_template(const struct dirent *entry) {
    size_t n = strlen(entry->d_name);
    return n >= sizeof ending && strcmp(entry->d_name + n - (sizeof ending - 1), ending) == 0;
}

/* DIRECTORY/NAME.jinja, in the order of their names. */
static pith_status read_directory(pith_hf_templates *t, pith_sources *sources,
                                  const char *directory, pith_error *error) {
    struct dirent **entries;
    char inner[PITH_SOURCES_MAX_INNER + 64];
    snprintf(inner, sizeof inner, "%s%s", sources->inner, directory);
    int n = scandirat(sources->directory_fd, inner, &entries, is_template, alphasort);
    if (n < 0) {
        return errno == ENOENT || errno == ENOTDIR ? PITH_OK
                                                   : pith_fail_io(error, inner, "list", errno);
    }
    pith_status status = PITH_OK;
    for (int i = 0; i < n; i++) {
        char path[512];
        char *name = entries[i]->d_name;
        snprintf(path, sizeof path, "%s/%s", directory, name);
        name[strlen(name) - (sizeof ending - 1)] = '\0';
        if (status == PITH_OK) {
            status = read_file(t, sources, path, name, error);
        }
        free(entries[i]);
    }
    free(entries);
    return status;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* One {name, template} of a list. */
static pith_status read_entry(pith_hf_templates *t, pith_json entry, pith_error *error) {
    const char *name = pith_hf_json_text(pith_json_get(entry, "name"));
    pith_json text = pith_json_get(entry, "template");
    char key[32 + MAX_NAME];
    if (name == NULL) {
        return pith_hf_json_fail(config_name, "chat_template", "a list of {name, template}", entry,
                                 error);
    }
    snprintf(key, sizeof key, "chat_template: %.*s", MAX_NAME, name);
    if (!pith_json_is(text, PITH_JSON_STRING)) {
        return pith_hf_json_fail(config_name, key, "a string", text, error);
    }
    return pith_hf_templates_keep(t, name, pith_json_text(text), pith_json_text_size(text),
                                  config_name, error);
}

static pith_status read_value(pith_hf_templates *t, pith_json object, const char *where,
                              pith_error *error) {
    pith_json value = pith_hf_json_get(object, "chat_template");
    if (value.at == NULL) {
        return PITH_OK;
    }
    if (pith_json_is(value, PITH_JSON_STRING)) {
        return pith_hf_templates_keep(t, "default", pith_json_text(value),
                                      pith_json_text_size(value), where, error);
    }
    if (!pith_json_is(value, PITH_JSON_ARRAY)) {
        return pith_hf_json_fail(where, "chat_template", "a string or a list of templates", value,
                                 error);
    }
    pith_status status = PITH_OK;
    pith_json_walk walk = pith_json_begin(value);
    while (status == PITH_OK && pith_json_next(&walk)) {
        status = read_entry(t, walk.value, error);
    }
    return status;
}

static pith_status read_json_file(pith_hf_templates *t, pith_sources *sources, pith_error *error) {
    char *text;
    size_t size;
    pith_json object;
    pith_status status =
        pith_sources_read_optional(sources, json_name, 2 * PITH_MAX_TEMPLATE, &text, &size, error);
    if (status != PITH_OK || text == NULL) {
        return status;
    }
    status = pith_hf_json_object(&object, text, size, json_name, t->allocator, error);
    if (status == PITH_OK) {
        status = read_value(t, object, json_name, error);
    }
    pith_release(t->allocator, text);
    return status;
}

pith_status pith_hf_templates_read(pith_hf_templates *out, pith_sources *sources, pith_json config,
                                   pith_error *error) {
    static const char *const directories[] = {"additional_chat_templates", "chat_templates"};
    pith_hf_templates t = {.allocator = sources->allocator};
    pith_status status = read_file(&t, sources, file_name, "default", error);
    for (size_t i = 0; i < 2 && status == PITH_OK; i++) {
        status = read_directory(&t, sources, directories[i], error);
    }
    if (status == PITH_OK) {
        status = read_value(&t, config, config_name, error);
    }
    if (status == PITH_OK && t.text == NULL) {
        status = read_json_file(&t, sources, error);
    }
    if (status != PITH_OK) {
        pith_hf_templates_free(&t);
        return status;
    }
    *out = t;
    return PITH_OK;
}

void pith_hf_templates_free(pith_hf_templates *templates) {
    if (templates->allocator == NULL) {
        return;
    }
    pith_release(templates->allocator, templates->text);
    for (size_t i = 0; i < templates->n_others; i++) {
        pith_release(templates->allocator, (char *)(uintptr_t)templates->others[i].name);
        pith_release(templates->allocator, (char *)(uintptr_t)templates->others[i].text);
    }
    pith_release(templates->allocator, templates->others);
    *templates = (pith_hf_templates){.n_others = 0};
}
