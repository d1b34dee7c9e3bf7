/* Plans: the model is opened mapped, so that no weight is read, and gets a session; the allocator
 * counts. What is printed is therefore what the library takes, not a formula for it. */
#include "cli/plan.h"

#include <errno.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PLANNED_CONTEXT = 4096 }; /* tokens, or the model's own context when that is shorter */

/* ---- Counting -------------------------------------------------------------------------------- */

static void add(void *user, void *block, bool more) {
    _Atomic size_t *bytes = user;
    size_t size = malloc_usable_size(block);
    if (more) {
        atomic_fetch_add(bytes, size);
    } else {
        atomic_fetch_sub(bytes, size);
    }
}

static void *count_allocate(void *user, size_t size) {
    void *block = malloc(size);
    add(user, block, true);
    return block;
}

static void *count_reallocate(void *user, void *block, size_t size) {
    add(user, block, false);
    void *grown = realloc(block, size);
    add(user, grown != NULL ? grown : block, true);
    return grown;
}

static void count_release(void *user, void *block) {
    add(user, block, false);
    free(block);
}

/* Bytes that the process has in memory without a model: its own code and its libraries. */
static size_t own_memory(void) {
    size_t total = 0;
    size_t resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file != NULL) {
        if (fscanf(file, "%zu %zu", &total, &resident) != 2) {
            resident = 0;
        }
        fclose(file);
    }
    return resident * (size_t)sysconf(_SC_PAGESIZE);
}

/* ---- Measuring ------------------------------------------------------------------------------- */

typedef struct plan {
    size_t disk;
    size_t program;              /* what the process takes anyway */
    size_t weights;              /* the file's data, which opening reads */
    size_t tables;               /* what opening makes beside it: tokenizer, configuration */
    size_t buffers;              /* of a session, without its cache */
    size_t n_context;            /* that the buffers are for */
    size_t kv[PITH_KV_INT8 + 1]; /* bytes for 1,000 tokens, by type */
    size_t kv_total;             /* for n_context tokens, in the type that is the default */
    pith_model_info info;
    char architecture[32], type[16];
} plan;

static pith_status measure_session(plan *out, const pith_model *model, _Atomic size_t *bytes,
                                   pith_error *error) {
    pith_session *session = NULL;
    out->n_context = out->info.n_context < PLANNED_CONTEXT ? out->info.n_context : PLANNED_CONTEXT;
    const pith_session_options options = {.n_context = out->n_context};
    size_t before = atomic_load(bytes);
    pith_status status = pith_session_new(&session, model, &options, error);
    if (status != PITH_OK) {
        return status;
    }
    out->buffers = atomic_load(bytes) - before;
    for (int type = PITH_KV_AUTO; type <= PITH_KV_INT8; type++) {
        out->kv[type] = pith_model_kv_bytes(model, (pith_kv_type)type, 1000);
    }
    out->kv_total = pith_model_kv_bytes(model, PITH_KV_AUTO, out->n_context);
    pith_session_free(session);
    return PITH_OK;
}

static pith_status measure(plan *out, const char *path, size_t n_threads, pith_error *error) {
    _Atomic size_t bytes = 0;
    const pith_allocator counting = {(void *)&bytes, count_allocate, count_reallocate,
                                     count_release};
    const pith_model_options options = {.n_threads = n_threads,
                                        .blas = PITH_BLAS_OFF,
                                        .map = true,
                                        .allocator = &counting};
    pith_model *model = NULL;
    struct stat facts;
    *out = (plan){.program = own_memory()};
    if (stat(path, &facts) != 0) {
        return pith_fail_io(error, path, "open", errno);
    }
    pith_status status = pith_model_open(&model, path, &options, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_model_get_info(model, &out->info);
    snprintf(out->architecture, sizeof out->architecture, "%s", out->info.architecture);
    snprintf(out->type, sizeof out->type, "%s", out->info.type);
    out->disk = (size_t)facts.st_size;
    out->weights = out->info.weight_bytes;
    out->tables = atomic_load(&bytes);
    if (!out->info.is_encoder) {
        status = measure_session(out, model, &bytes, error);
    }
    pith_model_free(model);
    return status;
}

/* ---- Printing -------------------------------------------------------------------------------- */

static void print_size(pith_cli *cli, const char *what, size_t bytes, const char *note) {
    pith_cli_print(cli, "%-16s%14zu bytes  %10s%s%s\n", what, bytes,
                   pith_size_format((double)bytes, "B").text, note[0] != '\0' ? "  " : "", note);
}

static void print_plan(pith_cli *cli, const plan *p) {
    static const char *const types[] = {[PITH_KV_F32] = "KV cache f32",
                                        [PITH_KV_F16] = "KV cache f16",
                                        [PITH_KV_INT8] = "KV cache int8"};
    char note[64] = "";
    bool decoder = p->n_context != 0;
    size_t total = p->program + p->weights + p->tables + p->buffers + p->kv_total;
    if (decoder) {
        snprintf(note, sizeof note, "with %zu tokens of context", p->n_context);
    }
    print_size(cli, "disk", p->disk, "");
    print_size(cli, "memory", total, note);
    print_size(cli, "  weights", p->weights, p->type);
    print_size(cli, "  tables", p->tables, "tokenizer and configuration");
    if (decoder) {
        print_size(cli, "  buffers", p->buffers, "one evaluation at a time");
        print_size(cli, "  KV cache", p->kv_total, note);
    }
    print_size(cli, "  program", p->program, "");
    for (int type = PITH_KV_F32; decoder && type <= PITH_KV_INT8; type++) {
        print_size(cli, types[type], p->kv[type],
                   p->kv[type] == p->kv[PITH_KV_AUTO] ? "for 1,000 tokens (the default)"
                                                      : "for 1,000 tokens");
    }
}

pith_status pith_cli_plan_file(pith_cli *cli, const char *path, size_t n_threads,
                               pith_error *error) {
    plan p;
    pith_status status = measure(&p, path, n_threads, error);
    if (status == PITH_OK) {
        print_plan(cli, &p);
    }
    return status;
}

/* ---- Conversions ----------------------------------------------------------------------------- */

pith_status pith_cli_plan_conversion(pith_cli *cli, const char *source,
                                     const pith_convert_options *options, pith_error *error) {
    const char *place = getenv("TMPDIR");
    char directory[256], path[300];
    plan p;
    pith_convert_options without = *options;
    without.without_weights = true;
    int n = snprintf(directory, sizeof directory, "%s/pith-plan.XXXXXX",
                     place != NULL && place[0] != '\0' ? place : "/tmp");
    if (n < 0 || (size_t)n >= sizeof directory) {
        return pith_fail_io(error, place, "create a directory in", ENAMETOOLONG);
    }
    if (mkdtemp(directory) == NULL) {
        return pith_fail_io(error, directory, "create", errno);
    }
    snprintf(path, sizeof path, "%s/plan.pith", directory);
    pith_status status = pith_convert(source, path, &without, error);
    if (status == PITH_OK) {
        status = measure(&p, path, options->n_threads, error);
    }
    unlink(path);
    rmdir(directory);
    if (status == PITH_OK) {
        print_plan(cli, &p);
    }
    return status;
}
