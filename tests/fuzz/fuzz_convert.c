/* Converting a whole directory, and opening what came out. Input: four bytes of options (type, type
 * of the head, flags, kind of values), then files, each after a line of its own:
 *     @@NAME    the lines up to the next such line are the file
 *     @=NAME    they are the JSON header of a safetensors file; length and data are put around it
 *     @#NAME    they are the beginning of a file that is larger than any limit
 *     @~NAME    they are followed by more white space than is looked at to tell what a file is
 *     @>NAME    the first of them is what a symbolic link leads to
 *     @/NAME    a directory, with nothing in it but for files that come later
 * So mutations of the text keep lengths right, and seeds are small. What is converted must open.
 * Files may be cut while they are read. */
#include "convert/convert.h"
#include "convert/hf_tokenizer.h"
#include "tests/fuzz/input.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    MAX_FILES = 24,
    MAX_NAME = 64,
    MAX_PATH = 1024,
    SPACES = (64 << 10) + 1,
    LARGE = 1 << 28, /* bytes of a large file, which has no blocks behind most of them */
};

/* Bits of the flags. */
enum {
    WITH_IMPORTANCE = 1,
    WITH_TOKENIZER = 2, /* the directory's tokenizer.json, given by its path */
    STOP = 4,           /* halfway */
    MAP = 8,            /* what is opened */
    QUIET = 16,         /* no callbacks */
    FROM_FILE = 32,     /* config.json in place of the directory */
    NOWHERE = 64,       /* to a directory that does not exist */
    CUT = 128,          /* all files, halfway or, for even kinds of values, at the end */
};

enum { ZEROS = 255 }; /* a kind of values */

typedef struct checkpoint {
    const char *directory;
    char paths[MAX_FILES][MAX_PATH];
    size_t n;
} checkpoint;

/* ---- Files ----------------------------------------------------------------------------------- */

/* A path that does not lead out of the directory it is in. */
static bool is_name(const char *name) {
    for (const char *part = name; part != NULL; part = strchr(part, '/')) {
        part += *part == '/' && part != name;
        if (*part == '\0' || *part == '/' || *part == '.') {
            return false;
        }
    }
    return true;
}

/* Makes the directories that the next path needs. */
static bool make_path(checkpoint *c, const char *name) {
    char *path = c->paths[c->n];
    snprintf(path, MAX_PATH, "%s/%s", c->directory, name);
    for (char *slash = path + strlen(c->directory); (slash = strchr(slash + 1, '/')) != NULL;) {
        *slash = '\0';
        bool made = mkdir(path, 0700) == 0 || errno == EEXIST;
        *slash = '/';
        if (!made) {
            return false;
        }
    }
    return true;
}

static FILE *create(checkpoint *c, const char *name) {
    FILE *file = make_path(c, name) ? fopen(c->paths[c->n], "wb") : NULL; /* maybe a directory */
    c->n += file != NULL;
    return file;
}

static void create_link(checkpoint *c, const char *name, const char *text, size_t n) {
    char target[MAX_NAME];
    const char *end = memchr(text, '\n', n);
    n = end != NULL ? (size_t)(end - text) : n;
    n = n < sizeof target - 1 ? n : sizeof target - 1;
    memcpy(target, text, n);
    target[n] = '\0';
    if (is_name(target) && make_path(c, name) && symlink(target, c->paths[c->n]) == 0) {
        c->n++;
    }
}

/* Halves that are finite as F16, BF16 and pairwise as F32, or one value that is not. */
static void write_data(FILE *file, size_t size, uint8_t kind) {
    static const uint16_t odd[] = {0x7FC0, 0x7F7F, 0x7BFF, 0xFF80, 0x0001, 0x0000};
    uint16_t *data = calloc(1, size + 1);
    fuzz_require(data != NULL);
    for (size_t i = 0; i < size / 2 && kind != ZEROS; i++) {
        data[i] = (uint16_t)(0x3C00 + (i * i * 37 + i) % 128 + (i * 7919 % 3 % 2 << 15));
    }
    if (kind > 0 && kind != ZEROS && size >= 4) {
        size_t at = (size_t)kind * 7919 % (size / 4) * 2;
        data[at] = data[at + 1] = odd[kind % (sizeof odd / sizeof odd[0])];
    }
    fwrite(data, 1, size, file);
    free(data);
}

static void write_file(checkpoint *c, char form, const char *name, const char *text, size_t n,
                       uint8_t kind) {
    if (c->n == MAX_FILES || !is_name(name)) {
        return;
    }
    if (form == '>') {
        create_link(c, name, text, n);
        return;
    }
    if (form == '/') {
        c->n += make_path(c, name) && mkdir(c->paths[c->n], 0700) == 0;
        return;
    }
    FILE *file = create(c, name);
    if (file == NULL) {
        return;
    }
    if (form == '=') {
        uint64_t length = n;
        fwrite(&length, sizeof length, 1, file);
    }
    fwrite(text, 1, n, file);
    if (form == '=') {
        write_data(file, fuzz_data_size(text, n), kind);
    }
    for (size_t i = 0; form == '~' && i < SPACES; i++) {
        fputc(' ', file);
    }
    if (form == '#') {
        fflush(file);
        fuzz_require(ftruncate(fileno(file), LARGE) == 0);
    }
    fclose(file);
}

/* The next line that begins a file; NULL when there is none. */
static const char *next_file(const char *at, const char *end) {
    for (; end - at > 2; at++) {
        if (at[0] == '@' && memchr("@=#~>/", at[1], 6) != NULL) {
            return at;
        }
        at = memchr(at, '\n', (size_t)(end - at));
        if (at == NULL) {
            return NULL;
        }
    }
    return NULL;
}

static void write_files(checkpoint *c, const char *text, size_t size, uint8_t kind) {
    const char *end = text + size;
    const char *at = next_file(text, end);
    while (at != NULL) {
        char name[MAX_NAME];
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((line != NULL ? line : end) - at) - 2;
        const char *body = line != NULL ? line + 1 : end;
        const char *next = next_file(body, end);
        n = n < sizeof name - 1 ? n : sizeof name - 1;
        memcpy(name, at + 2, n);
        name[n] = '\0';
        const char *stop = next != NULL ? next - 1 : end; /* without the newline before it */
        write_file(c, at[1], name, body, stop > body ? (size_t)(stop - body) : 0, kind);
        at = next;
    }
}

static void remove_files(checkpoint *c) {
    for (size_t i = 0; i < c->n; i++) {
        unlink(c->paths[i]);
    }
    for (size_t i = c->n; i-- > 0;) { /* deeper ones were made later */
        rmdir(c->paths[i]);
    }
    for (size_t i = 0; i < c->n; i++) { /* the directories within, once they are empty */
        for (char *slash;
             (slash = strrchr(c->paths[i], '/')) > c->paths[i] + strlen(c->directory);) {
            *slash = '\0';
            rmdir(c->paths[i]);
        }
    }
    c->n = 0;
}

/* ---- Converting ------------------------------------------------------------------------------ */

typedef struct watch {
    const checkpoint *files;
    uint8_t flags, kind;
} watch;

static bool go_on(void *user, size_t done, size_t total) {
    const watch *w = user;
    fuzz_require(done <= total);
    if ((w->flags & CUT) != 0 && done >= (w->kind % 2 == 0 ? total : total / 2)) {
        for (size_t i = 0; i < w->files->n; i++) {
            fuzz_require(truncate(w->files->paths[i], 0) == 0 || errno == ENOENT ||
                         errno == ELOOP || errno == EISDIR);
        }
    }
    return (w->flags & STOP) == 0 || done < total / 2;
}

static void see_row(void *user, const pith_convert_row *row) {
    (void)user;
    fuzz_require(row->rows > 0 && row->cols > 0 && (unsigned)row->type < PITH_N_TYPES);
}

static void see_log(void *user, pith_log_level level, const char *message) {
    (void)user;
    (void)level;
    fuzz_require(message[0] != '\0');
}

/* What was published opens, and can be used as far as its tokenizer goes. */
static void use(const char *path, bool map) {
    static const char text[] = "ab Hello <s> \xC3\xA9";
    pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF, .map = map};
    pith_model *model = NULL;
    pith_error error;
    if (pith_model_open(&model, path, &options, &error) != PITH_OK) {
        fprintf(stderr, "converted, but: %s\n", error.message);
        abort();
    }
    int32_t ids[64];
    size_t n;
    pith_tokenize(model, (pith_text){text, sizeof text - 1}, PITH_TOKENIZE_BOS, ids, 64, &n,
                  &error);
    pith_model_free(model);
}

/* The tokenizer alone, as a shape of random weights takes it. */
static void read_tokenizer(const char *path, const test_allocator *memory, bool quiet) {
    const pith_log log = {quiet ? NULL : see_log, NULL};
    pith_hf_tokenizer tokenizer;
    pith_error error = {0};
    if (pith_hf_tokenizer_read_file(&tokenizer, path, &memory->allocator, &log, &error) ==
        PITH_OK) {
        pith_hf_tokenizer_free(&tokenizer);
    } else {
        fuzz_require(error.message[0] != '\0');
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static checkpoint c;
    fuzz_input in = {data, size};
    uint8_t type = fuzz_byte(&in);
    uint8_t head = fuzz_byte(&in);
    uint8_t flags = fuzz_byte(&in);
    uint8_t kind = fuzz_byte(&in);
    if (c.directory == NULL) {
        static char directory[MAX_PATH];
        snprintf(directory, sizeof directory, "%s", test_path("source"));
        fuzz_require(mkdir(directory, 0700) == 0);
        c.directory = directory;
    }
    bool quiet = (flags & QUIET) != 0;
    write_files(&c, (const char *)in.at, in.left, kind);

    char importance[MAX_PATH + 32];
    char tokenizer[MAX_PATH + 32];
    snprintf(importance, sizeof importance, "%s/importance.safetensors", c.directory);
    snprintf(tokenizer, sizeof tokenizer, "%s/tokenizer.json", c.directory);
    test_allocator memory;
    watch watched = {&c, flags, kind};
    fuzz_allocator_init(&memory, data, size);
    pith_convert_options options = {
        .type = (pith_type)(type % PITH_N_TYPES),
        .head_type = (pith_type)(head % (PITH_N_TYPES + 1)),
        .importance_path = (flags & WITH_IMPORTANCE) != 0 ? importance : NULL,
        .tokenizer_path = (flags & WITH_TOKENIZER) != 0 ? tokenizer : NULL,
        .n_threads = 1,
        .allocator = &memory.allocator,
        .log = {quiet ? NULL : see_log, NULL},
        .progress = quiet ? NULL : go_on,
        .progress_user = &watched,
        .report = quiet ? NULL : see_row,
    };
    char from[MAX_PATH + 32];
    snprintf(from, sizeof from, "%s%s", c.directory,
             (flags & FROM_FILE) != 0 ? "/config.json" : "");
    const char *out = test_path((flags & NOWHERE) != 0 ? "nowhere/out.pith" : "out.pith");
    pith_error error = {0};
    if ((flags & WITH_TOKENIZER) != 0) {
        read_tokenizer(tokenizer, &memory, quiet);
        fuzz_allocator_arm(&memory, data, size);
    }
    pith_status status = pith_convert(from, out, &options, &error);
    fuzz_require(memory.n_live == 0);
    if (status == PITH_OK) {
        use(out, (flags & MAP) != 0);
        unlink(out);
    } else {
        fuzz_require(error.status == status && error.message[0] != '\0');
        fuzz_require(access(out, F_OK) != 0);
    }
    remove_files(&c);
    return 0;
}
