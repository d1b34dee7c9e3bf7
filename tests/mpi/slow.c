/* Preloaded: makes reading a file slow, and says so. Each pread of at least 4 KB takes a tenth of a
 * second longer, 40 of them at most, and creates the file that PITH_TEST_SLOW names; with
 * PITH_TEST_SLOW_RANK only on that rank. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { MOST = 40 };

static int is_slow(void) {
    const char *only = getenv("PITH_TEST_SLOW_RANK");
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    return rank != NULL && (only == NULL || strcmp(only, rank) == 0);
}

static void wait_here(size_t n) {
    static int n_waits;
    const struct timespec time = {.tv_nsec = 100000000};
    const char *path = getenv("PITH_TEST_SLOW");
    if (n >= 4096 && path != NULL && is_slow() && n_waits < MOST) {
        n_waits++;
        int fd = open(path, O_CREAT | O_WRONLY, 0600);
        close(fd);
        nanosleep(&time, NULL);
    }
}

ssize_t pread(int fd, void *data, size_t n, off_t offset) {
    static ssize_t (*real)(int, void *, size_t, off_t);
    if (real == NULL) {
        real = (ssize_t(*)(int, void *, size_t, off_t))dlsym(RTLD_NEXT, "pread");
    }
    wait_here(n);
    return real(fd, data, n, offset);
}
