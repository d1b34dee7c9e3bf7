/* The loadable extension, build/pith_sqlite.so: pith_cosine, pith_quantize, and
 * pith_embed(model, text [, prompt]), which keeps the models it has opened as long as the
 * connection. */
#include "store/functions.h"

#include <sqlite3ext.h>
#include <string.h>

#ifndef SQLITE_CORE
SQLITE_EXTENSION_INIT1
#endif

/* Models by path, one list per connection: the user data of pith_embed. */
typedef struct open_model {
    struct open_model *next;
    pith_model *model;
    size_t dimension;
    char path[];
} open_model;

typedef struct open_models {
    open_model *first;
} open_models;

static void free_models(void *user) {
    open_models *models = user;
    while (models->first != NULL) {
        open_model *entry = models->first;
        models->first = entry->next;
        pith_model_free(entry->model);
        sqlite3_free(entry);
    }
    sqlite3_free(models);
}

/* NULL with `error` filled on failure. */
static const open_model *find_model(open_models *models, const char *path, pith_error *error) {
    for (const open_model *entry = models->first; entry != NULL; entry = entry->next) {
        if (strcmp(entry->path, path) == 0) {
            return entry;
        }
    }
    size_t size = strlen(path) + 1;
    open_model *entry = sqlite3_malloc64(sizeof *entry + size);
    if (entry == NULL) {
        *error = (pith_error){.status = PITH_ERROR_MEMORY, .message = "out of memory"};
        return NULL;
    }
    if (pith_model_open(&entry->model, path, NULL, error) != PITH_OK) {
        sqlite3_free(entry);
        return NULL;
    }
    pith_model_info info;
    pith_model_get_info(entry->model, &info);
    memcpy(entry->path, path, size);
    entry->dimension = info.n_embd;
    entry->next = models->first;
    models->first = entry;
    return entry;
}

static void embed(sqlite3_context *context, int n, sqlite3_value **arguments) {
    pith_error error;
    for (int i = 0; i < n; i++) {
        if (sqlite3_value_type(arguments[i]) == SQLITE_NULL) {
            return;
        }
    }
    const char *path = (const char *)sqlite3_value_text(arguments[0]);
    const char *text = (const char *)sqlite3_value_text(arguments[1]);
    const char *prompt = n > 2 ? (const char *)sqlite3_value_text(arguments[2]) : NULL;
    if (path == NULL || text == NULL || (n > 2 && prompt == NULL)) {
        sqlite3_result_error_nomem(context);
        return;
    }
    const open_model *entry = find_model(sqlite3_user_data(context), path, &error);
    if (entry == NULL) {
        sqlite3_result_error(context, error.message, -1);
        return;
    }
    const pith_embed_options options = {.prompt = prompt};
    const pith_embed_input input = {.text = {text, (size_t)sqlite3_value_bytes(arguments[1])}};
    float *vector = sqlite3_malloc64(entry->dimension * sizeof *vector);
    if (vector == NULL) {
        sqlite3_result_error_nomem(context);
    } else if (pith_embed(entry->model, &input, 1, &options, vector, NULL, &error) != PITH_OK) {
        sqlite3_result_error(context, error.message, -1);
        sqlite3_free(vector);
    } else {
        sqlite3_result_blob64(context, vector, entry->dimension * sizeof *vector, sqlite3_free);
    }
}

/* A hostile schema must not be able to open files. */
int pith_embed_register(sqlite3 *db) {
    open_models *models = sqlite3_malloc64(sizeof *models);
    if (models == NULL) {
        return SQLITE_NOMEM;
    }
    models->first = NULL;
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY;
    int code = sqlite3_create_function_v2(db, "pith_embed", 2, flags, models, embed, NULL, NULL,
                                          free_models);
    return code == SQLITE_OK ? sqlite3_create_function_v2(db, "pith_embed", 3, flags, models, embed,
                                                          NULL, NULL, NULL)
                             : code;
}

/* The name that SQLite derives from the file's. */
PITH_API int sqlite3_pithsqlite_init(sqlite3 *db, char **message, const sqlite3_api_routines *api);

int sqlite3_pithsqlite_init(sqlite3 *db, char **message, const sqlite3_api_routines *api) {
    (void)message;
    (void)api;
#ifndef SQLITE_CORE
    SQLITE_EXTENSION_INIT2(api)
#endif
    int code = pith_functions_register(db);
    return code == SQLITE_OK ? pith_embed_register(db) : code;
}
