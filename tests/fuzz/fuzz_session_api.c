/* Any sequence of calls on four sessions of one small model, with contexts, cache types, n_batch
 * and all_logits of their own: evaluated alone and together, rewound, forked, saved and loaded,
 * generated from with and without speculation, one by one and in one batch, reused, freed and made
 * anew. Each result must be bit for bit that of a fresh session of a second, equal model, which
 * evaluates the same tokens alone; and no call may change a session that is not its own.
 *
 * Input: a byte that chooses the model, two bytes of options for each session, then operations:
 * a byte for the kind, one for the session, and what the kind reads. Beyond the end all is 0. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/checked.h"
#include "pith.h"
#include "tests/fixture.h"
#include "tests/support.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
    VOCAB = 300,
    SLOTS = 4,
    LONGEST = 1400, /* tokens of a context: six chunks of attention's keys */
    WINDOW = 300,   /* of the models that have one */
    MAX_OPERATIONS = 30,
    MAX_TOKENS = 4000, /* evaluated by the sessions of one input, which bounds its time */
    MAX_TEXT = 4096,
};

static const size_t contexts[] = {5, 16, 31, 64, 255, 257, 300, 600, 1050, LONGEST};
static const size_t batches[] = {1, 2, 3, 4, 5, 16, 100, 512};
static const size_t lengths[] = {1, 1, 1, 1, 2, 3, 4, 7, 20, 64, 200, 257, 500, 1000};

typedef struct input {
    const uint8_t *data;
    size_t size;
} input;

/* A session and what is known about it. */
typedef struct slot {
    pith_session *session;
    pith_session_options options;
    int32_t tokens[LONGEST];
    size_t n;
    size_t n_last;       /* tokens of the last evaluation, whose logits are known; 0: none are */
    float logits[VOCAB]; /* of the last of them */
    bool observed;
    size_t n_seen;       /* rows that the observer was shown */
    pith_session *alone; /* of the other model; what it holds was only ever appended to; or NULL */
} slot;

typedef struct state {
    const pith_model *model, *other;
    slot slots[SLOTS];
    size_t n_evaluated;
} state;

static void require(bool condition, const char *what) {
    if (!condition) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

static void require_ok(pith_status status, const pith_error *error) {
    require(status == PITH_OK, error->message);
}

static uint8_t next(input *in) {
    if (in->size == 0) {
        return 0;
    }
    in->size--;
    return *in->data++;
}

/* ---- Models ---------------------------------------------------------------------------------- */

/* Grouped queries; every second one has a sliding window. */
static void write_model(const char *path, size_t index) {
    test_model description;
    test_model_default(&description, (pith_type)(index / 2));
    description.config.intermediate_size = 64;
    description.config.num_key_value_heads = 2;
    description.config.max_position_embeddings = LONGEST;
    description.config.kinds[0].sliding_window = index % 2 != 0 ? WINDOW : 0;
    test_write_model(path, &description);
}

static const pith_model *open_model(const char *path, size_t n_threads) {
    pith_model_options options = {.n_threads = n_threads, .blas = PITH_BLAS_OFF};
    pith_model *model = NULL;
    pith_error error;
    require_ok(pith_model_open(&model, path, &options, &error), &error);
    return model;
}

/* The model under test is opened for one input: its work buffers begin small. Every second one has
 * two threads. */
static void open_models(state *s, uint8_t choice) {
    enum { N = 10 };
    static const pith_model *others[N];
    size_t index = choice % N;
    char name[32];
    snprintf(name, sizeof name, "api-%zu.pith", index);
    const char *path = test_path(name);
    if (others[index] == NULL) {
        write_model(path, index);
        others[index] = open_model(path, 1);
    }
    s->other = others[index];
    s->model = open_model(path, 1 + index % 2);
}

/* ---- Comparison ------------------------------------------------------------------------------ */

static void count_rows(void *user, const char *name, const float *data, size_t n_rows,
                       size_t n_cols) {
    (void)data;
    (void)n_cols;
    slot *of = user;
    of->n_seen += strcmp(name, "model.embed_tokens") == 0 ? n_rows : 0;
}

/* The timeline and the logits of its last token are what they were. */
static void check_unchanged(const slot *of) {
    const pith_session *session = of->session;
    require(pith_session_length(session) == of->n, "the length changed");
    require(of->n == 0 ||
                memcmp(pith_session_tokens(session), of->tokens, of->n * sizeof *of->tokens) == 0,
            "the timeline changed");
    require(pith_session_context(session) == of->options.n_context, "the context changed");
    const float *logits = pith_session_logits(session);
    require((logits != NULL) == (of->n_last != 0), "logits came or went");
    require(logits == NULL || memcmp(logits, of->logits, sizeof of->logits) == 0,
            "the logits changed");
}

/* Makes the fresh session of the slot hold its first n tokens. */
static void follow(state *s, slot *of, size_t n) {
    size_t done = of->alone != NULL ? pith_session_length(of->alone) : 0;
    pith_error error;
    if (of->alone != NULL && (done > n || memcmp(pith_session_tokens(of->alone), of->tokens,
                                                 done * sizeof *of->tokens) != 0)) {
        pith_session_free(of->alone);
        of->alone = NULL;
        done = 0;
    }
    if (of->alone == NULL) {
        pith_session_options options = {.n_context = LONGEST,
                                        .kv_type = of->options.kv_type,
                                        .all_logits = true};
        require_ok(pith_session_new(&of->alone, s->other, &options, &error), &error);
    }
    if (done < n) {
        require_ok(pith_session_eval(of->alone, of->tokens + done, n - done, &error), &error);
    }
}

static void remember(slot *of, size_t n_last) {
    of->n_last = n_last;
    if (n_last != 0) {
        memcpy(of->logits, pith_session_logits(of->session), sizeof of->logits);
    }
}

/* The slot's session has evaluated the tokens [n] that were appended to what is known of it. */
static void check_evaluated(state *s, slot *of, const int32_t *tokens, size_t n) {
    memcpy(of->tokens + of->n, tokens, n * sizeof *tokens);
    of->n += n;
    follow(s, of, of->n - n);
    follow(s, of, of->n); /* n tokens at once: all their logits can be had */
    for (size_t i = 0; i < n; i++) {
        const float *wanted = pith_session_logits_at(of->alone, i);
        const float *actual = pith_session_logits_at(of->session, i);
        require((actual != NULL) == of->options.all_logits, "logits of one token");
        require(actual == NULL || memcmp(actual, wanted, sizeof of->logits) == 0,
                "logits of a token differ");
    }
    require(pith_session_logits_at(of->session, n) == NULL, "logits of no token");
    require(memcmp(pith_session_logits(of->session), pith_session_logits(of->alone),
                   sizeof of->logits) == 0,
            "logits differ");
    require(of->n_seen == (of->observed ? n : 0), "the observer saw other rows");
    remember(of, n);
    s->n_evaluated += n;
}

/* ---- Operations ------------------------------------------------------------------------------ */

static pith_session_options read_options(input *in) {
    uint8_t a = next(in);
    uint8_t b = next(in);
    return (pith_session_options){
        .n_context = contexts[a % 16 % (sizeof contexts / sizeof *contexts)],
        .n_batch = batches[b % 8],
        .kv_type = (pith_kv_type)(PITH_KV_F32 + a / 16 % 3),
        .all_logits = b / 8 % 4 == 3,
    };
}

/* Tokens to evaluate, at most LONGEST: drawn, or such as repeat the timeline. */
static size_t read_tokens(input *in, const slot *of, int32_t *tokens) {
    uint8_t code = next(in);
    uint64_t seed = next(in);
    size_t room = of->options.n_context - of->n;
    size_t n = code % 16 < sizeof lengths / sizeof *lengths
                   ? lengths[code % 16]
                   : pith_max_size(room, 1 + code / 64) - code / 64; /* nearly all there is */
    size_t period = code / 16 % 4 != 0 ? 0 : 1 + seed % 9;
    for (size_t i = 0; i < n; i++) {
        if (period != 0 && of->n + i >= period) {
            tokens[i] = i >= period ? tokens[i - period] : of->tokens[of->n + i - period];
        } else {
            tokens[i] = (int32_t)(test_random(&seed) % VOCAB);
        }
    }
    return n;
}

static void evaluate(state *s, slot *of, input *in) {
    int32_t tokens[LONGEST];
    size_t n = read_tokens(in, of, tokens);
    of->n_seen = 0;
    pith_status status = pith_session_eval(of->session, tokens, n, NULL);
    if (n > of->options.n_context - of->n) {
        require(status == PITH_ERROR_CONTEXT, "too many tokens");
    } else {
        require(status == PITH_OK, "an eval failed");
        check_evaluated(s, of, tokens, n);
    }
}

/* The sessions of a mask, from the given one on. */
static void evaluate_together(state *s, size_t first, input *in) {
    static int32_t tokens[SLOTS][LONGEST];
    const int32_t *lists[SLOTS];
    size_t counts[SLOTS];
    slot *slots[SLOTS];
    pith_session *sessions[SLOTS];
    size_t n = 0;
    bool fits = true;
    uint8_t mask = next(in);
    for (size_t i = 0; i < SLOTS; i++) {
        if (i == 0 || (mask >> i & 1) != 0) {
            slot *of = &s->slots[(first + i) % SLOTS];
            counts[n] = read_tokens(in, of, tokens[n]);
            fits = fits && counts[n] <= of->options.n_context - of->n;
            of->n_seen = 0;
            slots[n] = of;
            sessions[n] = of->session;
            lists[n] = tokens[n];
            n++;
        }
    }
    pith_status status = pith_batch_eval(sessions, n, lists, counts, NULL);
    require(status == (fits ? PITH_OK : PITH_ERROR_CONTEXT), "a batch");
    for (size_t i = 0; i < n && fits; i++) {
        check_evaluated(s, slots[i], tokens[i], counts[i]);
    }
}

static void renew(state *s, slot *of, input *in) {
    pith_error error;
    pith_session_free(of->session);
    pith_session_free(of->alone);
    *of = (slot){.options = read_options(in)};
    require_ok(pith_session_new(&of->session, s->model, &of->options, &error), &error);
}

static void rewind_slot(slot *of, input *in) {
    size_t n = of->n * next(in) / 255;
    require(pith_session_rewind(of->session, n, NULL) == PITH_OK, "rewind");
    of->n = n;
    of->n_last = 0;
}

/* Puts a new session in the place of another, with what is known of the first. */
static void replace(slot *to, const slot *from, pith_session *session,
                    const pith_session_options *options) {
    pith_session_free(to->session);
    pith_session_free(to->alone);
    *to = *from;
    to->session = session;
    to->options = *options;
    to->observed = false;
    to->alone = NULL;
}

static void fork_slot(const slot *from, slot *to) {
    pith_session *session = NULL;
    pith_error error;
    require_ok(pith_session_fork(&session, from->session, &error), &error);
    if (from != to) {
        replace(to, from, session, &from->options);
    } else {
        pith_session_free(session);
    }
}

static void save_and_load(state *s, const slot *from, slot *to, input *in) {
    const char *path = test_path("api.session");
    pith_session_options options = read_options(in);
    pith_session *session = NULL;
    pith_status status = pith_session_save(from->session, path, NULL);
    options.kv_type = from->options.kv_type;
    if (from->n == 0) {
        require(status == PITH_ERROR_ARGUMENT, "an empty session was saved");
        return;
    }
    require(status == PITH_OK, "save");
    status = pith_session_load(&session, s->model, path, &options, NULL);
    if (from->n > options.n_context) {
        require(status == PITH_ERROR_CONTEXT, "a context too small");
        return;
    }
    require(status == PITH_OK, "load");
    if (from != to) {
        replace(to, from, session, &options);
        to->n_last = from->n_last != 0; /* of the last token only */
    } else {
        pith_session_free(session);
    }
}

typedef struct text {
    char bytes[MAX_TEXT];
    size_t n;
} text;

static bool collect(void *user, pith_text piece) {
    text *t = user;
    require(piece.n_bytes <= sizeof t->bytes - t->n, "too much text");
    if (piece.n_bytes != 0) {
        memcpy(t->bytes + t->n, piece.data, piece.n_bytes);
    }
    t->n += piece.n_bytes;
    return true;
}

static pith_generate_params read_params(input *in) {
    static const float temperatures[] = {0.0F, 0.3F, 1.0F, 1.0F};
    static const char *const stops[] = {"e", "th", "zz"};
    uint8_t how = next(in);
    return (pith_generate_params){
        .sampling = {.temperature = temperatures[how % 4], .seed = how},
        .max_tokens = 1 + how % 24,
        .ignore_eos = how % 3 != 0,
        .stops = stops,
        .n_stops = how / 64,
        .speculate = next(in) % 17,
    };
}

/* Checks that a generation on the slot's session gave what the other session gives without
 * speculation. */
static void check_generated(state *s, slot *of, const int32_t *prompt, size_t n,
                            pith_generate_params params, const text *actual,
                            const pith_usage *usage) {
    text wanted = {.n = 0};
    pith_usage alone;
    follow(s, of, of->n);
    params.speculate = 0;
    /* The other context is longer: where this one ended the text, so many tokens are left. */
    params.max_tokens = pith_min_size(params.max_tokens, of->options.n_context - of->n - n + 1);
    pith_status status =
        pith_generate(of->alone, prompt, n, &params, collect, &wanted, &alone, NULL);
    require(status == PITH_OK, "generate alone");
    require(usage->generated_tokens == alone.generated_tokens, "number of tokens");
    require(actual->n == wanted.n && memcmp(actual->bytes, wanted.bytes, wanted.n) == 0,
            "the texts differ");
    size_t length = pith_session_length(of->alone);
    require(pith_session_length(of->session) == length, "the lengths differ");
    memcpy(of->tokens, pith_session_tokens(of->alone), length * sizeof *of->tokens);
    s->n_evaluated += length - of->n;
    of->n = length;
    require(memcmp(pith_session_logits(of->session), pith_session_logits(of->alone),
                   sizeof of->logits) == 0,
            "logits after a generation differ");
    remember(of, 1);
}

static void generate(state *s, slot *of, input *in) {
    int32_t prompt[LONGEST];
    size_t n = read_tokens(in, of, prompt);
    pith_generate_params params = read_params(in);
    text actual = {.n = 0};
    pith_usage usage;
    pith_status status =
        pith_generate(of->session, prompt, n, &params, collect, &actual, &usage, NULL);
    if (n > of->options.n_context - of->n) {
        require(status == PITH_ERROR_CONTEXT, "a prompt too long");
        return;
    }
    require(status == PITH_OK, "generate");
    check_generated(s, of, prompt, n, params, &actual, &usage);
}

/* A generation among others. */
typedef struct going {
    slot *of;
    pith_generation *generation; /* NULL: over */
    int32_t prompt[LONGEST];
    size_t n_prompt;
    pith_generate_params params;
    text text;
    size_t n_left; /* steps until it is given up */
} going;

/* One that is given up leaves in the timeline what was evaluated. */
static void give_up(state *s, going *g) {
    slot *of = g->of;
    pith_generation_free(g->generation);
    g->generation = NULL;
    size_t length = pith_session_length(of->session);
    require(length >= of->n, "the timeline became shorter");
    if (length > of->n) {
        memcpy(of->tokens + of->n, pith_session_tokens(of->session) + of->n,
               (length - of->n) * sizeof *of->tokens);
        s->n_evaluated += length - of->n;
        of->n = length;
        follow(s, of, length);
        require(memcmp(pith_session_logits(of->session), pith_session_logits(of->alone),
                       sizeof of->logits) == 0,
                "logits within a generation differ");
        remember(of, 1);
    }
}

static void step_one(state *s, going *g) {
    pith_step step;
    pith_error error;
    require_ok(pith_generation_step(g->generation, &step, &error), &error);
    collect(&g->text, step.text);
    if (step.done) {
        pith_usage usage;
        pith_generation_usage(g->generation, &usage);
        require(usage.finish == step.finish && step.has_token, "the end");
        pith_generation_free(g->generation);
        g->generation = NULL;
        check_generated(s, g->of, g->prompt, g->n_prompt, g->params, &g->text, &usage);
    } else if (g->n_left-- == 0) {
        give_up(s, g);
    }
}

/* Generations on the sessions of a mask, in one batch. */
static void generate_together(state *s, size_t first, input *in) {
    static going all[SLOTS];
    size_t n = 0;
    size_t n_going = 0;
    pith_error error;
    uint8_t mask = next(in);
    size_t most = mask / 16; /* tokens of a prompt in one evaluation */
    for (size_t i = 0; i < SLOTS; i++) {
        if (i != 0 && (mask >> i & 1) == 0) {
            continue;
        }
        going *g = &all[n];
        *g = (going){.of = &s->slots[(first + i) % SLOTS]};
        g->n_prompt = read_tokens(in, g->of, g->prompt);
        g->params = read_params(in);
        g->n_left = next(in);
        pith_status status = pith_generation_new(&g->generation, g->of->session, g->prompt,
                                                 g->n_prompt, &g->params, &error);
        bool fits = g->n_prompt <= g->of->options.n_context - g->of->n;
        require(status == (fits ? PITH_OK : PITH_ERROR_CONTEXT), "a generation");
        n += fits;
    }
    do {
        pith_session *sessions[SLOTS];
        const int32_t *tokens[SLOTS];
        size_t n_tokens[SLOTS];
        size_t n_evaluated = 0;
        for (size_t i = 0; i < n; i++) {
            if (all[i].generation != NULL) {
                require_ok(pith_generation_next(all[i].generation, most, &tokens[n_evaluated],
                                                &n_tokens[n_evaluated], &error),
                           &error);
                sessions[n_evaluated] = all[i].of->session;
                n_evaluated += n_tokens[n_evaluated] != 0;
            }
        }
        if (n_evaluated != 0) {
            require_ok(pith_batch_eval(sessions, n_evaluated, tokens, n_tokens, &error), &error);
        }
        n_going = 0;
        for (size_t i = 0; i < n; i++) {
            if (all[i].generation != NULL) {
                step_one(s, &all[i]);
                n_going += all[i].generation != NULL;
            }
        }
    } while (n_going != 0);
}

static void reuse(slot *of, input *in) {
    int32_t tokens[LONGEST];
    size_t shared = of->n * next(in) / 255;
    size_t n = pith_min_size(shared + 1 + next(in) % 8, LONGEST);
    memcpy(tokens, of->tokens, shared * sizeof *tokens);
    for (size_t i = shared; i < n; i++) {
        tokens[i] = (int32_t)(i * 31 % VOCAB);
    }
    size_t wanted = 0;
    while (wanted + 1 < n && wanted < of->n && tokens[wanted] == of->tokens[wanted]) {
        wanted++;
    }
    size_t kept = 0;
    require(pith_session_reuse(of->session, tokens, n, &kept, NULL) == PITH_OK, "reuse");
    require(kept == wanted, "another length was kept");
    of->n_last = kept < of->n ? 0 : of->n_last;
    of->n = kept;
}

/* Refused calls. */
static void misuse(slot *of, input *in) {
    int32_t tokens[2] = {5, next(in) % 2 != 0 ? -1 : VOCAB};
    pith_session *twice[2] = {of->session, of->session};
    const int32_t *lists[2] = {tokens, tokens};
    const size_t counts[2] = {1, 1};
    pith_status status = pith_session_eval(of->session, tokens, 2, NULL);
    require(status == PITH_ERROR_TOKEN || status == PITH_ERROR_CONTEXT, "a bad token");
    require(pith_session_rewind(of->session, of->n + 1, NULL) == PITH_ERROR_ARGUMENT, "forward");
    status = pith_batch_eval(twice, 2, lists, counts, NULL);
    require(status == PITH_ERROR_ARGUMENT || status == PITH_ERROR_CONTEXT, "a session twice");
}

static void operate(state *s, input *in) {
    uint8_t kind = next(in);
    uint8_t which = next(in);
    slot *of = &s->slots[which % SLOTS];
    slot *other = &s->slots[which / SLOTS % SLOTS];
    switch (kind % 16) {
    case 0:
    case 1:
        evaluate(s, of, in);
        break;
    case 2:
        renew(s, of, in);
        break;
    case 3:
        rewind_slot(of, in);
        break;
    case 4:
        fork_slot(of, other);
        break;
    case 5:
        save_and_load(s, of, other, in);
        break;
    case 6:
    case 7:
        generate(s, of, in);
        break;
    case 11:
    case 12:
        generate_together(s, which % SLOTS, in);
        break;
    case 8:
        reuse(of, in);
        break;
    case 9:
        misuse(of, in);
        break;
    case 10:
        of->observed = !of->observed;
        pith_session_observe(of->session, of->observed ? count_rows : NULL, of);
        break;
    default:
        evaluate_together(s, which % SLOTS, in);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static state s;
    input in = {.data = data, .size = size};
    s = (state){.n_evaluated = 0};
    open_models(&s, next(&in));
    for (size_t i = 0; i < SLOTS; i++) {
        renew(&s, &s.slots[i], &in);
    }
    for (size_t i = 0; i < MAX_OPERATIONS && in.size != 0 && s.n_evaluated < MAX_TOKENS; i++) {
        operate(&s, &in);
        for (size_t j = 0; j < SLOTS; j++) {
            check_unchanged(&s.slots[j]);
        }
    }
    for (size_t i = 0; i < SLOTS; i++) {
        pith_session_free(s.slots[i].session);
        pith_session_free(s.slots[i].alone);
    }
    pith_model_free((pith_model *)(uintptr_t)s.model);
    return 0;
}
