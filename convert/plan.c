/* From the names and shapes of a Hugging Face checkpoint to those of a .pith file. */
#include "convert/plan.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/text.h"
#include "convert/hf_quantised.h"
#include "simd/blocks.h"
#include "weights/random_weights.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_NAME = PITH_CHECKPOINT_MAX_NAME, MAX_WARNINGS = 8 };

/* What a plan is made from. */
typedef struct request {
    const pith_hf_config *config;
    pith_type type, head_type;
    const pith_checkpoint *checkpoint; /* NULL: the values are random */
    const char *prefix;                /* of all names */
    bool newer;                        /* they are the family's newer ones */
} request;

/* One rule in one layer. */
typedef struct target {
    const pith_rule *rule;
    unsigned part; /* number of the rule in its family */
    size_t number; /* of the tensor among those of the rule */
    const pith_slot *slot;
    const char *names[PITH_MAX_BLOCKS]; /* [n_names] its sources, unless the values are random */
    size_t n_names;
} target;

static pith_naming naming_of(const request *from) {
    return from->checkpoint->form->naming;
}

/* The names of a rule's sources in this checkpoint; returns how many they are. */
static size_t sources_of(const request *from, const pith_rule *rule,
                         const char *names[PITH_MAX_BLOCKS]) {
    const pith_family *family = from->config->family;
    size_t n = pith_rule_sources(rule, naming_of(from), names);
    for (size_t i = 0; from->newer && i < family->n_newer; i++) {
        const pith_newer_name *newer = &family->newer[i];
        if (strcmp(newer->name, names[0]) != 0) {
            continue;
        }
        for (n = 0; n < PITH_MAX_BLOCKS && newer->newer[n] != NULL; n++) {
            names[n] = newer->newer[n];
        }
        break;
    }
    return n;
}

static void source_name(char name[MAX_NAME], const request *from, const target *t,
                        const char *last) {
    const pith_family *family = from->config->family;
    const char *layers = naming_of(from) == PITH_NAMES_GGUF ? "blk."
                         : from->newer                      ? family->newer_layers
                                                            : family->layers;
    int n = snprintf(name, MAX_NAME, "%s%s", from->prefix, t->rule->in_layer ? layers : "");
    pith_rule_name(name + n, MAX_NAME - (size_t)n, t->rule, &from->config->config, last, t->number);
}

/* ---- Finding tensors ------------------------------------------------------------------------- */

static void format_shape(char text[64], size_t n_dims, const size_t *shape) {
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < n_dims && used < 40; i++) {
        used += (size_t)snprintf(text + used, 64 - used, i > 0 ? ", %zu" : "%zu", shape[i]);
    }
}

/* Checkpoints older than PyTorch's names call a LayerNorm's weight gamma and its bias beta. */
static bool find_old_name(const pith_checkpoint *checkpoint, const char *name,
                          pith_checkpoint_tensor *out) {
    static const char *const names[][2] = {
        {".LayerNorm.weight", ".LayerNorm.gamma"},
        {".LayerNorm.bias", ".LayerNorm.beta"},
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (pith_ends_with(name, names[i][0])) {
            char old[MAX_NAME];
            int kept = (int)(strlen(name) - strlen(names[i][0]));
            snprintf(old, sizeof old, "%.*s%s", kept, name, names[i][1]);
            return pith_checkpoint_find(checkpoint, old, out);
        }
    }
    return false;
}

static pith_status fail_missing(const pith_checkpoint *checkpoint, const char *name,
                                pith_error *error) {
    const char *method = pith_hf_quantised_instead(checkpoint, name);
    if (method != NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: no tensor %s, but one that is quantised by %s; %s", checkpoint->name,
                         name, method, pith_hf_quantised_advice);
    }
    return pith_fail(error, PITH_ERROR_FORMAT, "%s: no tensor %s in the checkpoint",
                     checkpoint->name, name);
}

static pith_status fail_type(const pith_checkpoint *checkpoint, const pith_checkpoint_tensor *found,
                             pith_error *error) {
    static const char *const originals[] = {"F64", "I64", "U64"};
    bool original = checkpoint->form->reads_quantised || strncmp(found->type, "MXFP4", 5) == 0;
    for (size_t i = 0; i < sizeof originals / sizeof originals[0]; i++) {
        original = original || strcmp(found->type, originals[i]) == 0;
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                     "%s: tensor %s has dtype %s; supported are %s%s%s", found->file->path,
                     found->name, found->type, checkpoint->form->types,
                     original ? "" : ": the weights are already quantised; ",
                     original ? "" : pith_hf_quantised_advice);
}

/* The dimensions of a tensor, rows before columns. */
typedef struct tensor_shape {
    size_t n_dims;
    size_t dims[3];
    bool is_vector; /* or several of one length */
    bool by_column; /* floats have columns before rows, and source->column_rows says so */
} tensor_shape;

static pith_status check_source(const pith_checkpoint *checkpoint, pith_checkpoint_tensor *source,
                                tensor_shape shape, pith_error *error) {
    if ((source->widen == NULL && source->scales.file == NULL) ||
        (shape.is_vector && source->block != 1)) {
        return fail_type(checkpoint, source, error);
    }
    if (shape.by_column && source->block == 1) {
        size_t rows = shape.dims[1];
        source->column_rows = rows;
        shape.dims[1] = shape.dims[2];
        shape.dims[2] = rows;
    }
    if (source->n_dims != shape.n_dims ||
        memcmp(source->shape, shape.dims, shape.n_dims * sizeof *shape.dims) != 0) {
        char found[64], wanted[64];
        format_shape(found, source->n_dims, source->shape);
        format_shape(wanted, shape.n_dims, shape.dims);
        return pith_fail(error, PITH_ERROR_FORMAT, "%s: tensor %s has shape [%s], %s for [%s]",
                         source->file->path, source->name, found, checkpoint->form->settings,
                         wanted);
    }
    return PITH_OK;
}

/* NULL: the family has no head. */
static const char *head_name(const pith_family *family, pith_naming naming) {
    const pith_rule *head = pith_family_rule_at(family, offsetof(pith_network, head));
    const char *names[PITH_MAX_BLOCKS] = {NULL};
    if (head != NULL) {
        pith_rule_sources(head, naming, names);
    }
    return names[0];
}

/* The embedding of a tied model may be stored under the name of the head alone. */
static void use_tied_name(char name[MAX_NAME], const request *from, const target *t) {
    const char *head = head_name(from->config->family, naming_of(from));
    pith_checkpoint_tensor found;
    if (!t->rule->in_layer && t->rule->place == offsetof(pith_network, embed) && head != NULL &&
        from->config->config.tie_word_embeddings &&
        !pith_checkpoint_find(from->checkpoint, name, &found) &&
        pith_checkpoint_find(from->checkpoint, head, &found)) {
        snprintf(name, MAX_NAME, "%s", head);
    }
}

static bool is_dense(const pith_rule *rule) {
    return rule->rows == PITH_EXTENT_DENSE_0 || rule->rows == PITH_EXTENT_DENSE_1;
}

/* The dense layers of a cross-encoder have the names of the family's page, without a prefix or with
 * it. */
static void use_score_name(char name[MAX_NAME], const request *from, const target *t,
                           const char *last) {
    const pith_family *family = from->config->family;
    pith_checkpoint_tensor found;
    if (from->config->config.scores && is_dense(t->rule)) {
        const char *layer = family->score_layers[t->rule->rows == PITH_EXTENT_DENSE_1];
        const char *part = strrchr(last, '.'); /* ".weight" */
        char longer[MAX_NAME];
        snprintf(name, MAX_NAME, "%s%s", layer, part);
        snprintf(longer, sizeof longer, "%s%s%s", family->prefix, layer, part);
        if (!pith_checkpoint_find(from->checkpoint, name, &found) &&
            pith_checkpoint_find(from->checkpoint, longer, &found)) {
            strcpy(name, longer);
        }
    }
}

static bool is_bias(const pith_rule *rule) {
    return rule->kind == PITH_KIND_BIAS || rule->kind == PITH_KIND_NORM_BIAS;
}

static void note_missing(pith_plan *plan, const char *name, unsigned part, size_t block) {
    for (size_t i = 0; i < plan->n_missing; i++) {
        if (plan->missing[i].part == part && plan->missing[i].block == block) {
            plan->missing[i].n++;
            return;
        }
    }
    if (plan->n_missing < PITH_PLAN_MAX_MISSING) { /* no family has so many */
        struct pith_plan_missing *missing = &plan->missing[plan->n_missing++];
        *missing = (struct pith_plan_missing){.part = part, .block = block, .n = 1};
        snprintf(missing->name, sizeof missing->name, "%s", name);
    }
}

/* True when one tensor of the checkpoint has the rows of all experts, one after another. */
static bool is_stacked(const pith_rule *rule, const char *name) {
    return rule->of_expert && strchr(name, '*') == NULL;
}

/* Finds source `i` of a tensor, of `rows` rows. */
static pith_status find_named(pith_plan *plan, const request *from, const target *t, size_t i,
                              size_t rows, pith_checkpoint_tensor *out, pith_error *error) {
    const pith_checkpoint *checkpoint = from->checkpoint;
    char name[MAX_NAME];
    source_name(name, from, t, t->names[i]);
    use_tied_name(name, from, t);
    use_score_name(name, from, t, t->names[i]);
    if (!pith_checkpoint_find(checkpoint, name, out) && !find_old_name(checkpoint, name, out)) {
        bool module = is_dense(t->rule) && !from->config->config.scores;
        if (!is_bias(t->rule)) {
            return fail_missing(checkpoint, name, error);
        }
        bool first =
            !is_stacked(t->rule, t->names[i]) || t->number % from->config->config.n_experts == 0;
        if (first && !module) { /* that says itself whether it has one */
            note_missing(plan, name, t->part, i);
        }
        return PITH_OK;
    }
    tensor_shape shape = {.is_vector = !t->slot->is_matrix,
                          .by_column = t->rule->by_column && naming_of(from) == PITH_NAMES_HF};
    if (is_stacked(t->rule, t->names[i])) {
        shape.dims[shape.n_dims++] = from->config->config.n_experts;
    }
    shape.dims[shape.n_dims++] = rows;
    if (t->slot->is_matrix) {
        shape.dims[shape.n_dims++] = t->slot->cols;
    }
    return check_source(checkpoint, out, shape, error);
}

/* Notes of queries and keys (the first blocks of three) how the rows of each head lie in the file.
 * GGUF files have an order of their own (convert/gguf_config.h). */
static void interleave(pith_checkpoint_tensor *source, const request *from, const target *t,
                       size_t block) {
    const pith_config *config = &from->config->config;
    if (t->rule->rows == PITH_EXTENT_QKV && block < 2 && from->config->family->interleaved &&
        naming_of(from) == PITH_NAMES_HF) {
        source->head_rows = config->head_dim;
        source->turned_rows = config->kinds[0].rope.dims;
    }
}

/* Finds the sources of the blocks: one each, or one tensor in which they lie one after another. */
static pith_status find_sources(pith_plan *plan, pith_plan_part *out, const request *from,
                                const target *t, pith_error *error) {
    bool joined = t->n_names < out->n_blocks;
    size_t expert =
        is_stacked(t->rule, t->names[0]) ? t->number % from->config->config.n_experts : 0;
    size_t first_row = expert * t->slot->real_rows; /* of the block, where they are joined */
    bool alternates = t->rule->alternates && joined;
    pith_status status = PITH_OK;
    for (size_t b = 0; b < out->n_blocks && status == PITH_OK; b++) {
        struct pith_plan_block *block = &out->blocks[b];
        block->first_row = joined ? first_row : expert * block->rows;
        if (joined && b > 0) {
            block->source = out->blocks[0].source;
        } else {
            size_t rows = joined ? t->slot->real_rows : block->rows;
            status = find_named(plan, from, t, b, rows, &block->source, error);
        }
        block->source.row_step = alternates ? 2 : 1;
        first_row += alternates ? 1 : block->rows;
        interleave(&block->source, from, t, b);
    }
    return status;
}

static pith_type part_type(const request *from, pith_kind kind) {
    switch (kind) {
    case PITH_KIND_LINEAR:
        return from->type;
    case PITH_KIND_HEAD:
        return from->head_type;
    default:
        return PITH_TYPE_F32;
    }
}

/* `out` has its slot already. */
static pith_status make_part(pith_plan *plan, pith_plan_part *out, const request *from,
                             const target *t, pith_error *error) {
    size_t rows[PITH_MAX_BLOCKS];
    size_t cols = out->slot.cols;
    size_t first_tile = 0;
    out->type = part_type(from, out->slot.kind);
    if (out->type == PITH_TYPE_INT4 && cols % PITH_INT4_SLICE != 0) {
        out->type = PITH_TYPE_INT8;
        out->fell_back = true;
    }
    out->alternating = pith_rule_alternates(t->rule, &from->config->config);
    out->n_tiles = pith_groups(out->slot.rows, PITH_TILE_ROWS);
    out->tile_bytes = pith_matrix_tile_bytes(out->type, cols);
    out->size = out->slot.is_matrix ? out->n_tiles * out->tile_bytes : out->slot.rows * 4;
    out->seed = pith_random_seed(t->part, t->number);
    out->value = pith_random_vector(out->slot.kind);
    out->n_blocks = pith_rule_blocks(t->rule, &from->config->config, rows);
    for (size_t b = 0; b < out->n_blocks; b++) {
        out->blocks[b].rows = rows[b];
        out->blocks[b].first_tile = first_tile;
        out->n_weights += rows[b] * cols;
        first_tile += pith_groups(rows[b], PITH_TILE_ROWS);
    }
    if (from->checkpoint == NULL) {
        return PITH_OK;
    }
    out->add = naming_of(from) == PITH_NAMES_GGUF ? 0 : t->rule->add;
    return find_sources(plan, out, from, t, error);
}

/* Adds the tensor of this number of a rule, if the model has it. */
static pith_status add_part(pith_plan *plan, const request *from, unsigned part, size_t number,
                            pith_error *error) {
    const pith_family *family = from->config->family;
    pith_plan_part *out = &plan->parts[plan->n];
    target t = {.rule = pith_family_rule(family, part),
                .part = part,
                .number = number,
                .slot = &out->slot};
    memset(out, 0, sizeof *out);
    if (!pith_family_slot(family, &from->config->config, part, number, &out->slot)) {
        return PITH_OK;
    }
    if (from->checkpoint != NULL) {
        t.n_names = sources_of(from, t.rule, t.names);
    }
    pith_status status = make_part(plan, out, from, &t, error);
    if (status == PITH_OK) {
        plan->n++;
        plan->n_weights += out->n_weights;
        plan->max_cols = pith_max_size(plan->max_cols, out->slot.cols);
        plan->max_tile_bytes = pith_max_size(plan->max_tile_bytes, out->tile_bytes);
    }
    return status;
}

/* Adds the parts that a layer has, or those outside the layers. */
static pith_status add_parts(pith_plan *plan, const request *from, size_t layer, bool in_layer,
                             pith_error *error) {
    const pith_family *family = from->config->family;
    for (unsigned part = 0; part < pith_family_n_parts(family); part++) {
        const pith_rule *rule = pith_family_rule(family, part);
        size_t n = rule->of_expert ? from->config->config.n_experts : 1;
        pith_status status = PITH_OK;
        for (size_t i = 0; rule->in_layer == in_layer && i < n && status == PITH_OK; i++) {
            status = add_part(plan, from, part, layer * n + i, error);
        }
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

/* The prefix that the checkpoint's names have: the first one begins with it, or none does. */
static const char *find_prefix(const pith_family *family, const pith_checkpoint *checkpoint) {
    char name[MAX_NAME];
    pith_checkpoint_tensor found;
    if (family->prefix == NULL) {
        return "";
    }
    snprintf(name, sizeof name, "%s%s", family->prefix, pith_family_rule(family, 0)->name);
    return pith_checkpoint_find(checkpoint, name, &found) ? family->prefix : "";
}

/* True when the checkpoint has the first of the family's newer names. */
static bool has_newer_names(const pith_family *family, const pith_checkpoint *checkpoint,
                            const char *prefix) {
    char name[MAX_NAME];
    pith_checkpoint_tensor found;
    if (family->n_newer == 0 || checkpoint->form->naming != PITH_NAMES_HF) {
        return false;
    }
    snprintf(name, sizeof name, "%s%s", prefix, family->newer[0].newer[0]);
    return pith_checkpoint_find(checkpoint, name, &found);
}

static pith_status make_plan(pith_plan *out, const request *from, const pith_allocator *allocator,
                             pith_error *error) {
    const pith_hf_config *config = from->config;
    pith_plan plan = {.allocator = allocator, .random = from->checkpoint == NULL};
    /* One to spare: add_part tries each part in the place after the last one. */
    size_t n_layers = config->config.num_hidden_layers;
    size_t capacity = 1;
    for (size_t part = 0; part < pith_family_n_parts(config->family); part++) {
        capacity += pith_rule_n_tensors(pith_family_rule(config->family, part), &config->config);
    }
    plan.parts = pith_allocate(plan.allocator, capacity, sizeof *plan.parts);
    if (plan.parts == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for the list of tensors");
    }
    pith_status status = add_parts(&plan, from, 0, false, error);
    for (size_t i = 0; i < n_layers && status == PITH_OK; i++) {
        status = add_parts(&plan, from, i, true, error);
    }
    if (status != PITH_OK) {
        pith_plan_free(&plan);
        return status;
    }
    *out = plan;
    return PITH_OK;
}

pith_status pith_plan_make(pith_plan *out, const pith_hf_config *config, pith_type type,
                           pith_type head_type, const pith_checkpoint *checkpoint,
                           pith_error *error) {
    const char *prefix = find_prefix(config->family, checkpoint);
    const request from = {
        .config = config,
        .type = type,
        .head_type = head_type,
        .checkpoint = checkpoint,
        .prefix = prefix,
        .newer = has_newer_names(config->family, checkpoint, prefix),
    };
    pith_status status = make_plan(out, &from, checkpoint->allocator, error);
    return status == PITH_ERROR_MEMORY ? pith_fail_in(error, status, "%s", checkpoint->name)
                                       : status;
}

pith_status pith_plan_make_random(pith_plan *out, const pith_hf_config *config, pith_type type,
                                  pith_type head_type, const pith_allocator *allocator,
                                  pith_error *error) {
    const request from = {.config = config, .type = type, .head_type = head_type, .prefix = ""};
    return make_plan(out, &from, allocator, error);
}

void pith_plan_free(pith_plan *plan) {
    if (plan->parts != NULL) {
        pith_release(plan->allocator, plan->parts);
    }
    *plan = (pith_plan){0};
}

/* ---- Tensors that are missing, and those that are not used ----------------------------------- */

void pith_plan_warn_missing(const pith_plan *plan, const pith_checkpoint *checkpoint,
                            const pith_log *log) {
    for (size_t i = 0; i < plan->n_missing; i++) {
        const struct pith_plan_missing *missing = &plan->missing[i];
        char others[64] = "";
        if (missing->n > 1) {
            snprintf(others, sizeof others, " (nor in %zu other layer%s)", missing->n - 1,
                     missing->n > 2 ? "s" : "");
        }
        pith_log_write(log, PITH_LOG_WARNING,
                       "%s: no tensor %s in the checkpoint%s: taken as zero, as transformers does",
                       checkpoint->name, missing->name, others);
    }
}

/* By address: equal names of a checkpoint are equal pointers. */
static int compare_names(const void *a, const void *b) {
    const char *const *x = a;
    const char *const *y = b;
    return ((uintptr_t)*x > (uintptr_t)*y) - ((uintptr_t)*x < (uintptr_t)*y);
}

/* Returns the names [*n] of the sources of all blocks, sorted; NULL: no memory. */
static const char **sources_sorted(const pith_plan *plan, size_t *n) {
    const char **names =
        pith_allocate(plan->allocator, 2 * plan->n * PITH_MAX_BLOCKS, sizeof *names);
    *n = 0;
    for (size_t i = 0; i < plan->n && names != NULL; i++) {
        for (size_t b = 0; b < plan->parts[i].n_blocks; b++) {
            const pith_checkpoint_tensor *source = &plan->parts[i].blocks[b].source;
            names[(*n)++] = source->name;
            if (source->scales.file != NULL) {
                names[(*n)++] = source->scales.name;
            }
        }
    }
    if (*n > 0) {
        qsort(names, *n, sizeof *names, compare_names);
    }
    return names;
}

/* Tensors of a GGUF file that are settings of RoPE. */
static bool is_setting(const char *name) {
    static const char *const names[] = {"rope_freqs.weight", "rope_factors_long.weight",
                                        "rope_factors_short.weight"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Tensors of a model of texts and images that its text part does not use. */
static bool is_of_images(const char *name) {
    return strstr(name, "vision_tower.") != NULL || strstr(name, "multi_modal_projector.") != NULL;
}

static bool is_harmless(const pith_hf_config *config, pith_naming naming, const char *name) {
    const pith_family *family = config->family;
    const char *head = head_name(family, naming);
    for (size_t i = 0; i < sizeof family->ignored / sizeof family->ignored[0]; i++) {
        if (family->ignored[i] != NULL && pith_ends_with(name, family->ignored[i])) {
            return true;
        }
    }
    return (naming == PITH_NAMES_GGUF && is_setting(name)) ||
           (config->wrapped && is_of_images(name)) ||
           (head != NULL && config->config.tie_word_embeddings && strcmp(name, head) == 0);
}

/* The name of the file that a tensor is in, as messages have it. */
static const char *file_name(const pith_checkpoint *checkpoint,
                             const pith_checkpoint_tensor *tensor) {
    size_t i = 0;
    while (&checkpoint->sources.files[i].file != tensor->file) {
        i++;
    }
    return checkpoint->sources.files[i].name;
}

pith_status pith_plan_warn_unused(const pith_plan *plan, const pith_hf_config *config,
                                  const pith_checkpoint *checkpoint, const pith_log *log,
                                  pith_error *error) {
    size_t n = 0, n_used;
    pith_checkpoint_tensor tensor;
    const char **used = sources_sorted(plan, &n_used);
    if (used == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for the names of its tensors",
                         checkpoint->name);
    }
    for (size_t i = 0; pith_checkpoint_at(checkpoint, i, &tensor); i++) {
        if (is_harmless(config, checkpoint->form->naming, tensor.name) ||
            bsearch(&tensor.name, used, n_used, sizeof *used, compare_names) != NULL) {
            continue;
        }
        if (n++ < MAX_WARNINGS) {
            pith_log_write(log, PITH_LOG_WARNING,
                           "%s: tensor %.150s is not part of the model and was left out",
                           file_name(checkpoint, &tensor), tensor.name);
        }
    }
    if (n > MAX_WARNINGS) {
        pith_log_write(log, PITH_LOG_WARNING, "%s: %zu more tensors were left out",
                       checkpoint->name, n - MAX_WARNINGS);
    }
    pith_release(plan->allocator, used);
    return PITH_OK;
}

/* ---- Tiles ----------------------------------------------------------------------------------- */

pith_plan_tile pith_plan_tile_at(const pith_plan_part *part, size_t tile) {
    pith_plan_tile out = {.block = tile % 2, .first_row = tile / 2 * PITH_TILE_ROWS};
    if (!part->alternating) {
        out.block = part->n_blocks - 1;
        while (part->blocks[out.block].first_tile > tile) {
            out.block--;
        }
        out.first_row = (tile - part->blocks[out.block].first_tile) * PITH_TILE_ROWS;
    }
    size_t rows = part->blocks[out.block].rows;
    out.n_rows = rows > out.first_row ? pith_min_size(rows - out.first_row, PITH_TILE_ROWS) : 0;
    out.size = pith_min_size(part->tile_bytes, part->size - tile * part->tile_bytes);
    return out;
}
