/* Preloaded by test_exchange.sh: between the moment that a directory walk looks at a file and the
 * moment that the command opens it, the file becomes a link, a FIFO, or a file behind a linked
 * directory. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void exchange(const char *path, const char *how) {
    if (strcmp(how, "fifo") == 0) {
        unlink(path);
        mkfifo(path, 0600);
        if (fork() == 0) { /* somebody who would feed it, and goes away if nobody reads */
            alarm(10);
            FILE *fifo = fopen(path, "w");
            if (fifo != NULL) {
                fputs("secret", fifo);
                fclose(fifo);
            }
            _exit(0);
        }
    } else if (strcmp(how, "link") == 0) {
        unlink(path);
        (void)!symlink(getenv("SECRET"), path);
    } else { /* its directory becomes a link to another that has a file of this name */
        char directory[4096];
        char moved[4200];
        snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(path, '/') - path), path);
        snprintf(moved, sizeof moved, "%s.moved", directory);
        rename(directory, moved);
        (void)!symlink(getenv("SECRET"), directory);
    }
}

__attribute__((visibility("default"))) int lstat(const char *path, struct stat *facts) {
    static bool done;
    union {
        void *object;
        int (*function)(const char *, struct stat *);
    } real = {.object = dlsym(RTLD_NEXT, "lstat")};
    int result = real.function(path, facts);
    const char *name = strrchr(path, '/');
    const char *how = getenv("EXCHANGE");
    if (result == 0 && how != NULL && !done && name != NULL &&
        strcmp(name, "/exchanged.txt") == 0) {
        done = true;
        exchange(path, how);
    }
    return result;
}
