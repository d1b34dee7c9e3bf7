/* Checkpoints of the models directory, converted into the cache once (pith_convert_cached).
 *
 * Decoders become int4, which halves the time of a token against int8; encoders int8, whose
 * vectors are close to the checkpoint's (docs/scheduling.md has the figures). What is quantised
 * already, mostly a GGUF file, becomes int8: as int4 it would be rounded twice. */
#include "convert/convert.h"
#include "server/models_inside.h"

static pith_status find_type(const pith_found *found, pith_type *out, pith_error *error) {
    pith_convert_facts facts = {.quantised = false};
    *out = PITH_TYPE_INT8;
    if (found->kind == PITH_MODEL_ENCODER) {
        return PITH_OK;
    }
    pith_status status = pith_convert_look(found->path, &facts, NULL, error);
    *out = facts.quantised ? PITH_N_TYPES : PITH_TYPE_INT4;
    return status;
}

typedef struct progress {
    const pith_found *found;
    pith_server_log *log;
    bool (*go_on)(void *user);
    void *user;
    size_t percent; /* logged last */
} progress;

static bool report_progress(void *user, size_t done, size_t total) {
    progress *p = user;
    size_t percent = total == 0 ? 100 : (size_t)((double)done / (double)total * 100);
    if (percent >= p->percent + 10 && percent < 100) {
        p->percent = percent / 10 * 10;
        pith_server_log_write(p->log, PITH_LOG_WANTED_INFO, "model %s: %zu %% converted",
                              p->found->name, p->percent);
    }
    return p->go_on(p->user);
}

static void log_message(void *user, pith_log_level level, const char *message) {
    const progress *p = user;
    pith_server_log_write(p->log,
                          level == PITH_LOG_WARNING ? PITH_LOG_WANTED_WARNING
                                                    : PITH_LOG_WANTED_DEBUG,
                          "model %s: %s", p->found->name, message);
}

static void report_begin(void *user, const char *path) {
    const progress *p = user;
    (void)path;
    pith_server_log_write(p->log, PITH_LOG_WANTED_INFO, "model %s: converting %s", p->found->name,
                          p->found->path);
}

pith_status pith_models_convert(const pith_found *found, const char *cache, size_t n_threads,
                                pith_server_log *log, bool (*go_on)(void *user), void *user,
                                char **path, pith_error *error) {
    progress p = {.found = found, .log = log, .go_on = go_on, .user = user};
    pith_type type;
    pith_status status = find_type(found, &type, error);
    if (status != PITH_OK) {
        return status;
    }
    const pith_convert_cache place = {
        .directory = cache,
        .name = found->name,
        .stamp = found->stamp,
        .begin = report_begin,
        .user = &p,
    };
    const pith_convert_options options = {
        .type = type,
        .head_type = PITH_N_TYPES,
        .n_threads = n_threads,
        .log = {log_message, &p},
        .progress = report_progress,
        .progress_user = &p,
    };
    return pith_convert_cached(found->path, &place, &options, path, error);
}
