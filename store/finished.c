/* Reading a finished database where nothing can be written: SQLite reads even a database in WAL
 * mode without the files beside it when it is told that the file does not change (immutable=1). It
 * then takes no locks and looks for no log. So this is done only when it cannot be opened in any
 * other way and there is no log with contents, and the file is checked for changes after use. */
#include "store/finished.h"

#include "base/checked.h"
#include "base/file.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

typedef struct pith_finished {
    struct stat facts;
    char *log, *journal; /* names of the files that must not appear */
} finished;

/* The name behind a symbolic link: SQLite's files lie beside that. */
static const char *real_name(const pith_store *store) {
    const char *name = sqlite3_db_filename(store->db, "main");
    return name != NULL && name[0] != 0 ? name : store->path;
}

static char *with_suffix(const pith_store *store, const char *suffix) {
    const char *name = real_name(store);
    size_t n = strlen(name) + strlen(suffix);
    char *text = pith_allocate(store->allocator, n + 1, 1);
    if (text != NULL) {
        snprintf(text, n + 1, "%s%s", name, suffix);
    }
    return text;
}

/* False only when there is surely nothing in the file. */
static bool holds_something(const char *name) {
    struct stat facts;
    return stat(name, &facts) == 0 ? facts.st_size != 0 : errno != ENOENT;
}

/* file:///PATH?immutable=1, with everything but plain characters escaped. */
static char *make_uri(const pith_store *store) {
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789/._-";
    static const char suffix[] = "?immutable=1";
    const char *name = real_name(store);
    const char *prefix = name[0] == '/' ? "file://" : "file:";
    size_t n = strlen(name);
    char *uri = pith_allocate(store->allocator, n + 8, 3);
    if (uri == NULL) {
        return NULL;
    }
    size_t used = strlen(prefix);
    memcpy(uri, prefix, used);
    for (size_t i = 0; i < n; i++) {
        bool escaped = strchr(plain, name[i]) == NULL;
        used += (size_t)snprintf(uri + used, 4, escaped ? "%%%02X" : "%c",
                                 escaped ? (unsigned)(unsigned char)name[i] : (unsigned)name[i]);
    }
    memcpy(uri + used, suffix, sizeof suffix);
    return uri;
}

void pith_finished_free(pith_store *store) {
    if (store->finished != NULL) {
        pith_release(store->allocator, store->finished->log);
        pith_release(store->allocator, store->finished->journal);
        pith_release(store->allocator, store->finished);
        store->finished = NULL;
    }
}

pith_status pith_finished_uri(pith_store *store, char **uri, pith_error *error) {
    struct stat facts;
    *uri = NULL;
    if (stat(store->path, &facts) != 0 || !S_ISREG(facts.st_mode)) {
        return PITH_OK;
    }
    finished *f = pith_allocate_zeroed(store->allocator, 1, sizeof *f);
    store->finished = f;
    if (f == NULL || (f->log = with_suffix(store, "-wal")) == NULL ||
        (f->journal = with_suffix(store, "-journal")) == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
    }
    f->facts = facts;
    if (holds_something(f->log) || holds_something(f->journal)) {
        return pith_fail(error, PITH_ERROR_IO,
                         "%s: cannot open: its directory is read-only, and it was not closed: "
                         "'%s' has to be read too, which needs a directory that can be written to",
                         store->path, holds_something(f->log) ? f->log : f->journal);
    }
    *uri = make_uri(store);
    return *uri != NULL ? PITH_OK
                        : pith_fail(error, PITH_ERROR_MEMORY, "%s: out of memory", store->path);
}

pith_status pith_finished_check(const pith_store *store, pith_error *error) {
    const finished *f = store->finished;
    struct stat now;
    if (f == NULL) {
        return PITH_OK;
    }
    bool same = stat(store->path, &now) == 0 && now.st_dev == f->facts.st_dev &&
                now.st_ino == f->facts.st_ino && now.st_size == f->facts.st_size &&
                now.st_mtim.tv_sec == f->facts.st_mtim.tv_sec &&
                now.st_mtim.tv_nsec == f->facts.st_mtim.tv_nsec && !holds_something(f->log) &&
                !holds_something(f->journal);
    return same ? PITH_OK
                : pith_fail(error, PITH_ERROR_IO,
                            "%s: was written to while it was read from a directory that is "
                            "read-only here: try again",
                            store->path);
}
