/* The shared set-up of the tests; see support.h. */
#include "tests/support.h"

#include <ftw.h>
#include <malloc.h>
#include <math.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

_Noreturn __attribute__((format(printf, 1, 2))) static void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("test support: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(3);
}

/* ---- The failing allocator ------------------------------------------------------------------- */

static bool must_fail(test_allocator *t) {
    size_t call = atomic_fetch_add(&t->n_calls, 1) + 1;
    return t->fail_at != 0 && (call == t->fail_at || (t->fail_after && call > t->fail_at));
}

static void count_block(test_allocator *t, void *block) {
    size_t size = malloc_usable_size(block);
    size_t now = atomic_fetch_add(&t->n_bytes, size) + size;
    size_t most = atomic_load(&t->most_bytes);
    while (now > most && !atomic_compare_exchange_weak(&t->most_bytes, &most, now)) {
    }
    atomic_fetch_add(&t->n_live, 1);
}

static void uncount_block(test_allocator *t, size_t size) {
    atomic_fetch_sub(&t->n_bytes, size);
    atomic_fetch_sub(&t->n_live, 1);
}

static void *counted_allocate(void *user, size_t size) {
    test_allocator *t = user;
    void *block = must_fail(t) ? NULL : malloc(size);
    if (block != NULL) {
        count_block(t, block);
    }
    return block;
}

static void *counted_reallocate(void *user, void *block, size_t size) {
    test_allocator *t = user;
    bool fresh = block == NULL;
    size_t old_size = fresh ? 0 : malloc_usable_size(block);
    void *moved = must_fail(t) ? NULL : realloc(block, size);
    if (moved != NULL) {
        count_block(t, moved); /* both exist while the contents are copied */
        if (!fresh) {
            uncount_block(t, old_size);
        }
    }
    return moved;
}

static void counted_release(void *user, void *block) {
    test_allocator *t = user;
    if (block != NULL) {
        uncount_block(t, malloc_usable_size(block));
    }
    free(block);
}

void test_allocator_init(test_allocator *t) {
    t->allocator = (pith_allocator){
        .user = t,
        .allocate = counted_allocate,
        .reallocate = counted_reallocate,
        .release = counted_release,
    };
    atomic_init(&t->n_calls, 0);
    atomic_init(&t->n_live, 0);
    atomic_init(&t->n_bytes, 0);
    atomic_init(&t->most_bytes, 0);
    t->fail_at = 0;
    t->fail_after = false;
}

/* ---- Paths and files ------------------------------------------------------------------------- */

enum { N_PATHS = 16, PATH_SIZE = 4096 };

static char directory[PATH_SIZE - 256];
static pid_t directory_owner;

static int remove_entry(const char *path, const struct stat *facts, int type, struct FTW *where) {
    (void)facts;
    (void)type;
    (void)where;
    return remove(path);
}

/* A forked child must not remove its parent's directory. */
static void remove_directory(void) {
    if (directory_owner == getpid()) {
        (void)nftw(directory, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    }
}

const char *test_directory(void) {
    if (directory_owner == getpid()) {
        return directory;
    }
    const char *parent = getenv("TMPDIR");
    int length = snprintf(directory, sizeof directory, "%s/pith-test-XXXXXX",
                          parent != NULL && parent[0] != '\0' ? parent : "/tmp");
    if (length < 0 || (size_t)length >= sizeof directory || mkdtemp(directory) == NULL) {
        give_up("cannot create a directory like %s", directory);
    }
    directory_owner = getpid();
    if (atexit(remove_directory) != 0) {
        give_up("atexit failed");
    }
    return directory;
}

static const char *join(const char *parent, const char *name) {
    static char paths[N_PATHS][PATH_SIZE];
    static atomic_uint next;
    char *path = paths[atomic_fetch_add(&next, 1) % N_PATHS];
    int length = snprintf(path, PATH_SIZE, "%s/%s", parent, name);
    if (length < 0 || length >= PATH_SIZE) {
        give_up("the path %s/%s is too long", parent, name);
    }
    return path;
}

const char *test_path(const char *name) {
    return join(test_directory(), name);
}

const char *test_root(const char *relative) {
    const char *root = getenv("PITH_TEST_ROOT");
    return join(root != NULL && root[0] != '\0' ? root : ".", relative);
}

void test_write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");
    if (file == NULL) {
        give_up("cannot create %s", path);
    }
    bool written = size == 0 || fwrite(data, 1, size, file) == size;
    if (fclose(file) != 0 || !written) {
        give_up("cannot write %s", path);
    }
}

void *test_read_file(const char *path, size_t *size) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        give_up("cannot open %s", path);
    }
    long end = ftell(file);
    if (end < 0 || fseek(file, 0, SEEK_SET) != 0) {
        give_up("cannot find the size of %s", path);
    }
    char *data = malloc((size_t)end + 1);
    if (data == NULL || fread(data, 1, (size_t)end, file) != (size_t)end) {
        give_up("cannot read %s", path);
    }
    fclose(file);
    data[end] = '\0';
    *size = (size_t)end;
    return data;
}

/* ---- Random numbers -------------------------------------------------------------------------- */

/* Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014), section 4, with
 * the finalizer of Stafford's variant 13. */
uint64_t test_random(uint64_t *state) {
    *state += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t mixed = *state;
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

float test_random_float(uint64_t *state) {
    return (float)(test_random(state) >> 40) * 0x1p-23f - 1.0f;
}

/* Box and Muller (1958). */
float test_random_normal(uint64_t *state) {
    double radius = (double)((test_random(state) >> 11) + 1) * 0x1p-53; /* in (0, 1] */
    double angle = (double)(test_random(state) >> 11) * 0x1p-53;
    return (float)(sqrt(-2.0 * log(radius)) * cos(2.0 * 3.14159265358979323846 * angle));
}

bool test_near(double a, double b) {
    return fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b));
}

/* ---- Guard pages ----------------------------------------------------------------------------- */

static size_t page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t whole_pages(size_t size) {
    return (size + page_size() - 1) / page_size() * page_size();
}

void *test_guarded(size_t size) {
    size_t page = page_size();
    size_t inner = whole_pages(size);
    unsigned char *start =
        mmap(NULL, inner + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (start == MAP_FAILED) {
        give_up("cannot map %zu bytes", inner + 2 * page);
    }
    if (inner > 0 && mprotect(start + page, inner, PROT_READ | PROT_WRITE) != 0) {
        give_up("cannot open %zu bytes", inner);
    }
    return start + page + inner - size;
}

void test_guarded_free(void *data, size_t size) {
    if (data != NULL) {
        size_t page = page_size();
        size_t inner = whole_pages(size);
        unsigned char *start = (unsigned char *)data + size - inner - page;
        if (munmap(start, inner + 2 * page) != 0) {
            give_up("cannot unmap %zu bytes", inner + 2 * page);
        }
    }
}
