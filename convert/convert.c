/* A conversion from end to end: read the directory, or a tokenizer beside a shape, plan, declare
 * the tensors of the new file, stream the weights through, write the metadata and publish. */
#include "convert/convert.h"

#include "convert/checkpoint.h"
#include "convert/hash.h"
#include "convert/importance.h"
#include "convert/plan.h"
#include "convert/shape_source.h"
#include "convert/stream.h"
#include "convert/tied.h"
#include "tokenizer/tokenizer.h"
#include "weights/metadata.h"
#include "weights/pith_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct conversion {
    const pith_convert_options *options;
    const pith_allocator *allocator;
    pith_type type, head_type;
    pith_checkpoint checkpoint; /* with a shape only its sources, configuration and tokenizer */
    pith_plan plan;
    pith_importance *importance; /* or NULL */
    pith_pool *pool;
    pith_model_writer *writer;
    pith_tensor_note *notes; /* [n_notes]: the plan's parts, then the tokenizer's */
    size_t n_notes;
    pith_source *source_notes;        /* [sources.n] */
    char (*hashes)[PITH_SHA256_TEXT]; /* those of the notes in their order, then the sources' */
    size_t first_index;               /* of the plan's parts in the writer */
} conversion;

static void release(conversion *c) {
    pith_model_writer_discard(c->writer);
    pith_pool_free(c->pool);
    pith_importance_free(c->importance);
    pith_release(c->allocator, c->notes);
    pith_release(c->allocator, c->source_notes);
    pith_release(c->allocator, c->hashes);
    pith_plan_free(&c->plan);
    pith_checkpoint_close(&c->checkpoint);
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool is_encoder(const conversion *c) {
    return c->checkpoint.config.family->role == PITH_ENCODER;
}

/* An encoder is converted without one, and experts, of which a text may use some only. */
static pith_status refuse_importance(const conversion *c, pith_error *error) {
    if (c->options->importance_path == NULL) {
        return PITH_OK;
    }
    if (c->checkpoint.config.config.n_experts != 0) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: a mixture of experts is converted without an importance file",
                         c->checkpoint.name);
    }
    return !is_encoder(c)
               ? PITH_OK
               : pith_fail(error, PITH_ERROR_UNSUPPORTED,
                           "%s: an encoder is converted without an importance file; 'pith "
                           "importance' measures decoders only",
                           c->checkpoint.name);
}

/* Builds the tokenizer once, so that what opening the file would refuse (a split pattern that does
 * not compile) is found before hours of work. */
static pith_status try_vocab(const pith_vocab *vocab, const pith_allocator *allocator,
                             pith_error *error) {
    pith_tokenizer *tokenizer = NULL;
    pith_status status = pith_tokenizer_new(&tokenizer, vocab, allocator, error);
    pith_tokenizer_free(tokenizer);
    return status;
}

static pith_status check_tokenizer(conversion *c, pith_error *error) {
    if (!c->checkpoint.tokenizer.present) {
        return PITH_OK;
    }
    if (c->checkpoint.lowercase &&
        c->checkpoint.tokenizer.file.vocab.kind != PITH_TOKENIZER_WORDPIECE) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "%s: do_lower_case is not supported with a tokenizer other than WordPiece",
                         c->checkpoint.name);
    }
    /* sentence-transformers puts the lower-casing in front of the tokenizer's own settings, which
     * still decide about accents. */
    c->checkpoint.tokenizer.file.vocab.lowercase =
        c->checkpoint.tokenizer.file.vocab.lowercase || c->checkpoint.lowercase;
    pith_status status = try_vocab(&c->checkpoint.tokenizer.file.vocab, c->allocator, error);
    return status == PITH_OK ? status : pith_fail_in(error, status, "%s", c->checkpoint.name);
}

static pith_status read_importance(conversion *c, pith_error *error) {
    const char *path = c->options->importance_path;
    size_t index;
    if (path == NULL) {
        return PITH_OK;
    }
    pith_status status = pith_importance_load(&c->importance, path, c->allocator, error);
    return status == PITH_OK ? pith_sources_add_path(&c->checkpoint.sources, path, &index, error)
                             : status;
}

/* True for the matrices whose quantisation the importance file guides: linear layers and the head.
 * The embedding is a table that no product reads, or a tied head, whose inputs would not be those
 * of a table. */
static bool uses_importance(const pith_plan_part *part) {
    return (part->type == PITH_TYPE_INT4 || part->type == PITH_TYPE_INT8) &&
           strcmp(part->slot.name, "model.embed_tokens.weight") != 0;
}

static const pith_plan_part *find_part(const pith_plan *plan, const char *name) {
    for (size_t i = 0; i < plan->n; i++) {
        if (strcmp(plan->parts[i].slot.name, name) == 0) {
            return &plan->parts[i];
        }
    }
    return NULL;
}

/* Without this check a file of another model would silently change nothing, or only some layers. */
static pith_status check_importance(const conversion *c, pith_error *error) {
    const char *path = c->options->importance_path;
    size_t n_used = 0;
    for (size_t i = 0; c->importance != NULL && i < c->plan.n; i++) {
        const pith_plan_part *part = &c->plan.parts[i];
        if (!uses_importance(part)) {
            continue;
        }
        size_t width = pith_importance_width(c->importance, part->slot.name);
        n_used++;
        if (width == 0) {
            return pith_fail(error, PITH_ERROR_FORMAT, "%s is of another model: it has no %s", path,
                             part->slot.name);
        }
        if (width != part->slot.cols) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s is of another model: %s has %zu columns, here %zu", path,
                             part->slot.name, width, part->slot.cols);
        }
    }
    if (c->importance != NULL && n_used == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s: an importance file is used for int4 and int8 only, not for %s", path,
                         pith_type_name(c->type));
    }
    size_t width;
    const char *name;
    for (size_t i = 0;
         c->importance != NULL && (name = pith_importance_name(c->importance, i, &width)) != NULL;
         i++) {
        /* The file has the inputs of a tied head, too. */
        if (find_part(&c->plan, name) == NULL && strcmp(name, "lm_head.weight") != 0) {
            return pith_fail(error, PITH_ERROR_FORMAT,
                             "%s is of another model: this one has no %.150s", path, name);
        }
    }
    return PITH_OK;
}

static pith_status make_plan(conversion *c, pith_error *error) {
    pith_hf_config *config = &c->checkpoint.config;
    pith_status status =
        pith_tied_resolve(config->family, &config->config, &c->checkpoint, &c->options->log, error);
    if (status == PITH_OK) {
        status = pith_plan_make(&c->plan, config, c->type, c->head_type, &c->checkpoint, error);
    }
    if (status == PITH_OK) {
        pith_plan_warn_missing(&c->plan, &c->checkpoint, &c->options->log);
        status = pith_plan_warn_unused(&c->plan, config, &c->checkpoint, &c->options->log, error);
    }
    return status;
}

/* Quantised weights of any kind become int8: their blocks differ from pith's, and quantising them
 * again to 4 bits would add a second error to the first. */
static pith_status choose_type(conversion *c, pith_error *error) {
    if (c->type != PITH_N_TYPES) {
        return PITH_OK;
    }
    if (!pith_checkpoint_quantised(&c->checkpoint)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "%s: the weights are not quantised, so --type must say what they become: "
                         "f32, f16, bf16, int8 or int4",
                         c->checkpoint.name);
    }
    c->type = PITH_TYPE_INT8;
    c->head_type = c->head_type != PITH_N_TYPES ? c->head_type : PITH_TYPE_INT8;
    return PITH_OK;
}

/* Bytes of the plan's tensors, with the linear layers as int4 if asked. */
static size_t plan_bytes(const pith_plan *plan, bool int4) {
    size_t sum = 0;
    for (size_t i = 0; i < plan->n; i++) {
        const pith_plan_part *part = &plan->parts[i];
        size_t size = part->size;
        if (int4 && part->slot.kind == PITH_KIND_LINEAR) {
            pith_matrix_size(PITH_TYPE_INT4, part->slot.rows, part->slot.cols, &size);
        }
        sum += size;
    }
    return sum;
}

/* Where the type was chosen here, and the machine cannot hold the model, says what would fit. */
static void advise_on_memory(const conversion *c) {
    size_t memory = c->options->memory;
    if (memory == 0) {
        memory = (size_t)sysconf(_SC_PHYS_PAGES) * (size_t)sysconf(_SC_PAGESIZE);
    }
    size_t needed = plan_bytes(&c->plan, false);
    if (c->options->type == PITH_N_TYPES && needed > memory) {
        pith_log_write(&c->options->log, PITH_LOG_WARNING,
                       "%s: as int8 the weights take %zu MB, and this machine has %zu MB of "
                       "memory; --type int4 takes %zu MB",
                       c->checkpoint.name, needed / 1000000, memory / 1000000,
                       plan_bytes(&c->plan, true) / 1000000);
    }
}

static pith_status read_all(conversion *c, const char *source, pith_error *error) {
    pith_status status =
        pith_checkpoint_open(&c->checkpoint, source, c->allocator, &c->options->log, error);
    if (status == PITH_OK) {
        status = choose_type(c, error);
    }
    if (status == PITH_OK) {
        status = refuse_importance(c, error);
    }
    if (status == PITH_OK) {
        status = pith_checkpoint_read_tokenizer(&c->checkpoint, c->options->tokenizer_path, error);
    }
    if (status == PITH_OK) {
        status = check_tokenizer(c, error);
    }
    if (status == PITH_OK) {
        status = read_importance(c, error);
    }
    if (status == PITH_OK) {
        status = make_plan(c, error);
    }
    if (status == PITH_OK) {
        advise_on_memory(c);
    }
    return status == PITH_OK ? check_importance(c, error) : status;
}

/* In place of read_all, where a shape is given: the tokenizer and a plan of random weights. */
static pith_status read_shape(conversion *c, pith_error *error) {
    const pith_convert_options *options = c->options;
    const char *file;
    c->checkpoint.allocator = c->allocator;
    pith_status status = pith_shape_config(&c->checkpoint.config, options->shape, error);
    if (status == PITH_OK) {
        status = pith_shape_open_tokenizer(&c->checkpoint.sources, &file, options->tokenizer_path,
                                           c->allocator, error);
        c->checkpoint.name = c->checkpoint.sources.directory;
    }
    if (status == PITH_OK) {
        status = pith_hf_tokenizer_read(&c->checkpoint.tokenizer, &c->checkpoint.sources, file,
                                        PITH_VOCAB_MAX_PIECES, &options->log, error);
    }
    if (status == PITH_OK) {
        status = check_tokenizer(c, error);
    }
    if (status == PITH_OK) {
        status = pith_shape_fit_vocab(&c->checkpoint.config, options->shape,
                                      &c->checkpoint.tokenizer.file.vocab, options->tokenizer_path,
                                      &options->log, error);
    }
    return status == PITH_OK ? pith_plan_make_random(&c->plan, &c->checkpoint.config, c->type,
                                                     c->head_type, c->allocator, error)
                             : status;
}

/* ---- Declaring ------------------------------------------------------------------------------- */

/* Room for as many tensors as there may be. */
static size_t note_capacity(const conversion *c) {
    return c->plan.n + PITH_VOCAB_N_PARTS;
}

static pith_status allocate_notes(conversion *c, pith_error *error) {
    size_t capacity = note_capacity(c);
    c->notes = pith_allocate_zeroed(c->allocator, capacity, sizeof *c->notes);
    c->source_notes =
        pith_allocate_zeroed(c->allocator, c->checkpoint.sources.n, sizeof *c->source_notes);
    c->hashes = pith_allocate(c->allocator, capacity + c->checkpoint.sources.n, sizeof *c->hashes);
    if (c->notes == NULL || c->source_notes == NULL || c->hashes == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "%s: no memory for the list of tensors",
                         c->checkpoint.name);
    }
    /* As many digits as a hash has, so that the size of the metadata is known before the hashes. */
    for (size_t i = 0; i < capacity + c->checkpoint.sources.n; i++) {
        memset(c->hashes[i], '0', PITH_SHA256_TEXT - 1);
        c->hashes[i][PITH_SHA256_TEXT - 1] = '\0';
    }
    for (size_t i = 0; i < c->checkpoint.sources.n; i++) {
        const pith_source_file *file = &c->checkpoint.sources.files[i];
        c->source_notes[i] = (pith_source){.name = file->name,
                                           .size = file->file.size,
                                           .sha256 = c->hashes[capacity + i]};
    }
    return PITH_OK;
}

static pith_status declare_weights(conversion *c, pith_error *error) {
    for (size_t i = 0; i < c->plan.n; i++) {
        const pith_plan_part *part = &c->plan.parts[i];
        pith_dtype dtype;
        size_t n_dims, index, shape[2];
        c->notes[c->n_notes++] = (pith_tensor_note){.name = part->slot.name,
                                                    .is_matrix = part->slot.is_matrix,
                                                    .type = part->type,
                                                    .sha256 = c->hashes[i]};
        if (!pith_slot_shape(&part->slot, part->type, &dtype, &n_dims, shape)) {
            return pith_fail(error, PITH_ERROR_UNSUPPORTED, "%s: tensor %s is too large",
                             c->checkpoint.name, part->slot.name);
        }
        pith_status status =
            pith_model_writer_add(c->writer, part->slot.name, dtype, n_dims, shape, &index, error);
        if (status != PITH_OK) {
            return status;
        }
        c->first_index = i == 0 ? index : c->first_index;
    }
    return PITH_OK;
}

/* The arrays of the tokenizer; their hashes are made here. `indices` [PITH_VOCAB_N_PARTS]. */
static pith_status declare_tokenizer(conversion *c, size_t *indices, pith_error *error) {
    for (int i = 0; i < PITH_VOCAB_N_PARTS; i++) {
        pith_vocab_slot slot;
        if (!pith_vocab_slot_of(&c->checkpoint.tokenizer.file.vocab, (pith_vocab_part)i, &slot)) {
            continue;
        }
        char *hash_text = c->hashes[c->n_notes];
        crypto_hash_sha256_state hash;
        size_t size = pith_dtype_size(slot.dtype) * slot.shape[0];
        size *= slot.n_dims > 1 ? slot.shape[1] : 1;
        c->notes[c->n_notes++] = (pith_tensor_note){.name = slot.name, .sha256 = hash_text};
        crypto_hash_sha256_init(&hash);
        crypto_hash_sha256_update(&hash, slot.data, size);
        pith_hash_finish(&hash, hash_text);
        pith_status status = pith_model_writer_add(c->writer, slot.name, slot.dtype, slot.n_dims,
                                                   slot.shape, &indices[i], error);
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

static pith_status put_tokenizer(conversion *c, const size_t *indices, pith_error *error) {
    for (int i = 0; i < PITH_VOCAB_N_PARTS; i++) {
        pith_vocab_slot slot;
        if (!pith_vocab_slot_of(&c->checkpoint.tokenizer.file.vocab, (pith_vocab_part)i, &slot)) {
            continue;
        }
        size_t size = pith_dtype_size(slot.dtype) * slot.shape[0];
        size *= slot.n_dims > 1 ? slot.shape[1] : 1;
        pith_status status =
            pith_model_writer_put(c->writer, indices[i], 0, slot.data, size, error);
        if (status != PITH_OK) {
            return status;
        }
    }
    return PITH_OK;
}

/* ---- Writing --------------------------------------------------------------------------------- */

/* The beginning-of-text token is the tokenizer's; the configuration's only where the tokenizer
 * names none. */
static int32_t find_bos(const conversion *c) {
    const pith_hf_tokenizer *t = &c->checkpoint.tokenizer;
    if (is_encoder(c) || !t->present) {
        return c->checkpoint.config.bos;
    }
    int32_t bos = t->file.vocab.bos;
    return bos >= 0 || t->no_bos ? bos : c->checkpoint.config.bos;
}

/* The markup that the conversations of this model have; *out is NULL when it is not known. */
static pith_status find_chat_format(const conversion *c, const char **out, pith_error *error) {
    *out = c->checkpoint.tokenizer.llama2_markup ? "llama2" : NULL;
    return c->checkpoint.tokenizer.templates.text != NULL
               ? pith_chat_recognise(c->checkpoint.tokenizer.templates.text, c->allocator, out,
                                     error)
               : PITH_OK;
}

static pith_status write_metadata(const conversion *c, char **text, pith_error *error) {
    const char *chat_format = NULL;
    pith_status status = find_chat_format(c, &chat_format, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_metadata metadata = {
        .architecture =
            pith_family_architecture(c->checkpoint.config.family, &c->checkpoint.config.config),
        .generator = "pith " PITH_VERSION,
        .type = c->type,
        .head_type = c->head_type,
        .config = c->checkpoint.config.config,
        .bos = find_bos(c),
        .n_eos = c->checkpoint.config.n_eos,
        .chat_format = chat_format,
        .chat_template = c->checkpoint.tokenizer.templates.text,
        .n_chat_templates = c->checkpoint.tokenizer.templates.n_others,
        .chat_templates = c->checkpoint.tokenizer.templates.others,
        .n_prompts = c->checkpoint.prompts.n,
        .prompts = c->checkpoint.prompts.prompts,
        .default_prompt = c->checkpoint.prompts.default_prompt,
        .vocab = c->checkpoint.tokenizer.file.vocab,
        .n_sources = c->checkpoint.sources.n,
        .sources = c->source_notes,
        .n_notes = c->n_notes,
        .notes = c->notes,
    };
    memcpy(metadata.eos, c->checkpoint.config.eos, sizeof metadata.eos);
    return pith_metadata_write(&metadata, c->allocator, text, error);
}

static pith_status lay_out_file(conversion *c, pith_error *error) {
    char *text;
    pith_status status = write_metadata(c, &text, error);
    if (status != PITH_OK) {
        return status;
    }
    status = pith_model_writer_layout(c->writer, strlen(text), error);
    pith_release(c->allocator, text);
    return status;
}

static pith_status stream_weights(conversion *c, pith_error *error) {
    pith_status status = pith_pool_new(&c->pool, c->options->n_threads, c->allocator, error);
    if (status != PITH_OK) {
        return status;
    }
    const pith_stream stream = {
        .plan = &c->plan,
        .sources = &c->checkpoint.sources,
        .importance = c->importance,
        .options = c->options,
        .pool = c->pool,
        .writer = c->writer,
        .first_index = c->first_index,
        .part_hashes = c->hashes,
        .source_hashes = c->hashes + note_capacity(c),
    };
    return pith_stream_run(&stream, error);
}

/* Opens the written file as every command does: an error that would come then must come now. */
static pith_status check_file(void *user, const pith_file *file, pith_error *error) {
    const conversion *c = user;
    pith_model_file *model = NULL;
    pith_status status = pith_model_file_open_to_check(&model, file, c->allocator, error);
    if (status == PITH_OK && model->vocab.n_pieces != 0) {
        status = try_vocab(&model->vocab, c->allocator, error);
    }
    if (status != PITH_OK) {
        pith_fail_in(error, status, "%s: not published, as nothing could open it",
                     c->checkpoint.name);
    }
    pith_model_file_close(model);
    return status;
}

static pith_status publish(conversion *c, pith_error *error) {
    char *text;
    pith_status status = write_metadata(c, &text, error);
    if (status != PITH_OK) {
        return status;
    }
    pith_model_writer *writer = c->writer;
    c->writer = NULL; /* finish frees it in any case */
    status = pith_model_writer_finish_checked(writer, text, check_file, c, error);
    pith_release(c->allocator, text);
    return status;
}

static pith_status write_all(conversion *c, const char *out_path, pith_error *error) {
    size_t indices[PITH_VOCAB_N_PARTS];
    pith_status status = allocate_notes(c, error);
    if (status == PITH_OK) {
        status = pith_model_writer_new(&c->writer, out_path, c->allocator, error);
    }
    if (status == PITH_OK) {
        status = declare_weights(c, error);
    }
    if (status == PITH_OK) {
        status = declare_tokenizer(c, indices, error);
    }
    if (status == PITH_OK) {
        status = lay_out_file(c, error);
    }
    if (status == PITH_OK) {
        status = put_tokenizer(c, indices, error);
    }
    if (status == PITH_OK && c->options->without_weights) {
        status = pith_model_writer_leave_out(c->writer, error);
    } else if (status == PITH_OK) {
        status = stream_weights(c, error);
    }
    return status == PITH_OK ? publish(c, error) : status;
}

/* A shape stands in for the source, and has neither inputs to weigh nor errors to report. */
static bool is_source_given(const char *source, const pith_convert_options *options) {
    return options->shape == NULL ? source != NULL
                                  : source == NULL && options->tokenizer_path != NULL &&
                                        options->importance_path == NULL && options->report == NULL;
}

pith_status pith_convert(const char *source, const char *out_path,
                         const pith_convert_options *options, pith_error *error) {
    if (out_path == NULL || options == NULL || !is_source_given(source, options) ||
        (unsigned)options->type > PITH_N_TYPES || (unsigned)options->head_type > PITH_N_TYPES ||
        (options->type == PITH_N_TYPES && options->shape != NULL)) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_convert: a bad argument");
    }
    bool packed = options->type == PITH_TYPE_INT4 || options->type == PITH_TYPE_INT8;
    conversion c = {
        .options = options,
        .allocator = pith_allocator_or_default(options->allocator),
        .type = options->type,
        .head_type = options->head_type != PITH_N_TYPES ? options->head_type
                     : packed                           ? PITH_TYPE_INT8
                                                        : options->type,
    };
    pith_status status =
        options->shape != NULL ? read_shape(&c, error) : read_all(&c, source, error);
    if (status == PITH_OK) {
        status = write_all(&c, out_path, error);
    }
    release(&c);
    return status;
}

pith_status pith_convert_look(const char *source, pith_convert_facts *out,
                              const pith_allocator *allocator, pith_error *error) {
    const pith_convert_options options = {.type = PITH_TYPE_INT8, .head_type = PITH_TYPE_INT8};
    conversion c = {
        .options = &options,
        .allocator = pith_allocator_or_default(allocator),
        .type = options.type,
        .head_type = options.head_type,
    };
    pith_status status = read_all(&c, source, error);
    if (status == PITH_OK) {
        *out = (pith_convert_facts){.quantised = pith_checkpoint_quantised(&c.checkpoint),
                                    .n_weights = c.plan.n_weights};
        snprintf(out->architecture, sizeof out->architecture, "%s",
                 pith_family_architecture(c.checkpoint.config.family, &c.checkpoint.config.config));
    }
    release(&c);
    return status;
}
