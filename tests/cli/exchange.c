/* Preloaded by test_exchange.sh: between the moment that a directory walk sees a file and the
 * moment that the command opens it, the file becomes a link, a FIFO, or a file behind a linked
 * directory. */
#include <dlfcn.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

__attribute__((visibility("default"))) FTSENT *fts_read(FTS *tree) {
    union {
        void *object;
        FTSENT *(*function)(FTS *);
    } real = {.object = dlsym(RTLD_NEXT, "fts_read")};
    FTSENT *entry = real.function(tree);
    const char *how = getenv("EXCHANGE");
    if (entry == NULL || how == NULL || entry->fts_info != FTS_F ||
        strcmp(entry->fts_name, "exchanged.txt") != 0) {
        return entry;
    }
    if (strcmp(how, "fifo") == 0) {
        unlink(entry->fts_path);
        mkfifo(entry->fts_path, 0600);
        if (fork() == 0) { /* somebody who would feed it, and goes away if nobody reads */
            alarm(10);
            FILE *fifo = fopen(entry->fts_path, "w");
            if (fifo != NULL) {
                fputs("secret", fifo);
                fclose(fifo);
            }
            _exit(0);
        }
    } else if (strcmp(how, "link") == 0) {
        unlink(entry->fts_path);
        (void)!symlink(getenv("SECRET"), entry->fts_path);
    } else { /* its directory becomes a link to another that has a file of this name */
        char directory[4096];
        char moved[4200];
        snprintf(directory, sizeof directory, "%.*s",
                 (int)(strrchr(entry->fts_path, '/') - entry->fts_path), entry->fts_path);
        snprintf(moved, sizeof moved, "%s.moved", directory);
        rename(directory, moved);
        (void)!symlink(getenv("SECRET"), directory);
    }
    return entry;
}
