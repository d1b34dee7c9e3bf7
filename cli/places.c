/* Paths from the place of the binary and from the environment. */
#include "cli/places.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX_LEVELS = 4 }; /* directories above the binary: build/asan/pith has two */

static bool is_directory(const char *path) {
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* Cuts the last part of a path off; false when there is none. */
static bool go_up(char *path) {
    char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) {
        return false;
    }
    *slash = 0;
    return true;
}

static bool set(pith_bytes *path, const char *directory, const char *name) {
    path->size = 0;
    return pith_bytes_append_text(path, directory) && pith_bytes_append_text(path, name);
}

bool pith_places_models(pith_bytes *path) {
    static const char *const names[] = {"/share/pith/models", "/weights/models"};
    char here[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", here, sizeof here - 1);
    if (n > 0) {
        here[n] = 0;
        go_up(here);
        for (int level = 0; level < MAX_LEVELS && go_up(here); level++) {
            for (size_t i = level == 0 ? 0 : 1; i < 2; i++) {
                if (!set(path, here, names[i])) {
                    return false;
                }
                if (is_directory(path->data)) {
                    return true;
                }
            }
        }
    }
    return set(path, "", "");
}

bool pith_places_cache(pith_bytes *path) {
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    if (cache != NULL && cache[0] == '/') { /* others are to be ignored, says the specification */
        return set(path, cache, "/pith");
    }
    return home != NULL && home[0] != 0 ? set(path, home, "/.cache/pith") : set(path, "", "");
}
