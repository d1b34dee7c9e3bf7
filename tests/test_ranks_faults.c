/* Several ranks of one model when something fails: a rank is lost, has no memory, has another
 * model, or gets a damaged message. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/pass_message.h"
#include "tests/fixture.h"
#include "tests/ranks.h"
#include "tests/support.h"
#include "tests/test.h"

enum { VOCAB = 300, N_TOKENS = 24 };

static void make_tokens(int32_t *tokens, size_t n) {
    uint64_t seed = 3;
    for (size_t i = 0; i < n; i++) {
        tokens[i] = (int32_t)(test_random(&seed) % VOCAB);
    }
}

/* What a program does: a prompt in two passes, a token, a fork that goes on, and a batch. Logits
 * after each step; how far it came. */
typedef struct story {
    float logits[4][VOCAB];
    size_t n_steps; /* that succeeded */
    pith_status status;
    pith_error error;
    bool retried; /* a step that had no memory was tried again */
} story;

static bool went_well(story *s, pith_status status, const pith_session *session) {
    s->status = status;
    if (status == PITH_OK) {
        memcpy(s->logits[s->n_steps++], pith_session_logits(session), sizeof s->logits[0]);
    }
    return status == PITH_OK;
}

/* Evaluates, once more when there was no memory: the timeline must then be as before. */
static pith_status eval(story *s, pith_session **sessions, size_t n_sessions,
                        const int32_t *const *tokens, const size_t *n) {
    size_t length = pith_session_length(sessions[0]);
    const float *logits = pith_session_logits(sessions[0]);
    pith_status status = pith_batch_eval(sessions, n_sessions, tokens, n, &s->error);
    if (status != PITH_OK) {
        CHECK(pith_session_length(sessions[0]) == length, "the timeline changed");
    }
    if (status == PITH_ERROR_MEMORY) {
        CHECK(pith_session_logits(sessions[0]) == logits, "the logits are gone");
        s->retried = true;
        status = pith_batch_eval(sessions, n_sessions, tokens, n, &s->error);
    }
    return status;
}

static void live(story *s, const pith_model *model) {
    int32_t tokens[N_TOKENS];
    const int32_t *next[2] = {tokens, tokens + 20};
    const size_t n[3][2] = {{18}, {1}, {2, 3}};
    const pith_session_options options = {.n_context = 64, .n_batch = 16};
    pith_session *sessions[2] = {NULL, NULL};
    make_tokens(tokens, N_TOKENS);
    s->status = pith_session_new(&sessions[0], model, &options, &s->error);
    if (s->status == PITH_OK && went_well(s, eval(s, sessions, 1, next, n[0]), sessions[0])) {
        next[0] += 18;
        went_well(s, eval(s, sessions, 1, next, n[1]), sessions[0]);
    }
    if (s->status == PITH_OK) {
        s->status = pith_session_fork(&sessions[1], sessions[0], &s->error);
        next[0]++;
    }
    if (s->status == PITH_OK && went_well(s, eval(s, sessions, 2, next, n[2]), sessions[0])) {
        went_well(s, PITH_OK, sessions[1]);
    }
    pith_session_free(sessions[1]);
    pith_session_free(sessions[0]);
}

static void live_alone(story *s, const char *path) {
    const pith_model_options options = {.n_threads = 1, .blas = PITH_BLAS_OFF};
    pith_model *model = NULL;
    CHECK(pith_model_open(&model, path, &options, &s->error) == PITH_OK, "%s", s->error.message);
    live(s, model);
    pith_model_free(model);
    CHECK(s->status == PITH_OK && s->n_steps == 4, "%s", s->error.message);
}

static void check_steps(const story *s, const story *alone, size_t at) {
    CHECK(memcmp(s->logits, alone->logits, s->n_steps * sizeof s->logits[0]) == 0,
          "logits differ where gather or allocation %zu fails", at);
}

/* ---- Lost ranks ------------------------------------------------------------------------------ */

TEST(ranks_faults, every_gather_fails_once) {
    const char *path = test_ranks_write(PITH_TYPE_INT8);
    story alone = {0};
    live_alone(&alone, path);
    for (size_t n = 2; n <= 3; n++) {
        bool whole = false;
        for (size_t at = 1; !whole; at++) {
            test_ranks ranks = {.lose_at = at};
            story s = {0};
            pith_status opened = test_ranks_open(&ranks, path, n, &s.error);
            if (opened == PITH_OK) {
                live(&s, test_ranks_model(&ranks));
            }
            size_t n_gathers = ranks.n_gathers;
            test_ranks_close(&ranks);
            whole = at > ranks.n_gathers;
            bool last = n_gathers != ranks.n_gathers; /* the one that ends it all */
            pith_status expected =
                whole || (last && at == ranks.n_gathers) ? PITH_OK : PITH_ERROR_IO;
            CHECK((opened == PITH_OK ? s.status : opened) == expected, "gather %zu of %zu: %s", at,
                  ranks.n_gathers, s.error.message);
            CHECK((ranks.ranks[n - 1].followed == PITH_OK) == whole, "gather %zu: %s", at,
                  ranks.ranks[n - 1].error.message);
            CHECK(!ranks.differs, "gather %zu differs", at);
            check_steps(&s, &alone, at);
        }
    }
    CHECK_NO_LEAKS();
}

/* ---- Memory ---------------------------------------------------------------------------------- */

TEST(ranks_faults, every_allocation_of_a_follower_fails_once) {
    const char *path = test_ranks_write(PITH_TYPE_INT4);
    story alone = {0};
    bool whole = false;
    size_t n_retried = 0;
    live_alone(&alone, path);
    for (size_t at = 1; !whole; at++) {
        test_allocator allocator;
        test_allocator_init(&allocator);
        allocator.fail_at = at;
        test_ranks ranks = {.allocators = {[1] = &allocator.allocator}};
        story s = {0};
        pith_status opened = test_ranks_open(&ranks, path, 2, &s.error);
        if (opened == PITH_OK) {
            live(&s, test_ranks_model(&ranks));
        }
        test_ranks_close(&ranks);
        whole = at > allocator.n_calls;
        bool lost = ranks.ranks[1].followed != PITH_OK;
        CHECK(!lost || ranks.ranks[1].followed == PITH_ERROR_MEMORY, "%s",
              ranks.ranks[1].error.message);
        CHECK(opened == PITH_OK || (opened == PITH_ERROR_IO && lost), "%s", s.error.message);
        CHECK(opened != PITH_OK || s.status == PITH_OK || s.status == PITH_ERROR_MEMORY ||
                  (s.status == PITH_ERROR_IO && lost),
              "allocation %zu: %s", at, s.error.message);
        n_retried += s.retried && s.status == PITH_OK;
        CHECK(!whole || (s.status == PITH_OK && s.n_steps == 4), "%s", s.error.message);
        check_steps(&s, &alone, at);
        CHECK(allocator.n_live == 0, "allocation %zu: %zu blocks are left", at,
              (size_t)allocator.n_live);
    }
    CHECK(n_retried >= 2, "%zu evaluations were tried again", n_retried);
    CHECK_NO_LEAKS();
}

/* ---- Another model --------------------------------------------------------------------------- */

static void check_refused(test_ranks *ranks, const char *path, pith_status expected,
                          const char *message) {
    pith_error error;
    pith_status status = test_ranks_open(ranks, path, 3, &error);
    test_ranks_close(ranks);
    CHECK(status == expected && strstr(error.message, message) != NULL, "%s, not %s: %s", message,
          pith_status_name(status), error.message);
    for (size_t r = 1; r < 3; r++) {
        CHECK(ranks->ranks[r].opened != PITH_OK, "rank %zu has opened its model", r);
    }
}

/* Changes the version that rank 0 says it has. */
static void tell_version(void *user, size_t gather, unsigned char *bytes, size_t n) {
    (void)user;
    (void)n;
    if (gather == 1) {
        memcpy(bytes, "0.3.99", 7);
    }
}

TEST(ranks_faults, another_model) {
    const char *path = test_ranks_write(PITH_TYPE_INT8);
    const char *other = test_path("other.pith");
    test_write_tiny_model(other, PITH_TYPE_INT8, 2);
    test_ranks differs = {.paths = {[2] = other}};
    check_refused(&differs, path, PITH_ERROR_FORMAT, "rank 2 has another model than rank 0");
    test_ranks missing = {.paths = {[1] = test_path("missing.pith")}};
    check_refused(&missing, path, PITH_ERROR_IO, "rank 1 could not open its model");
    CHECK(strstr(missing.ranks[2].error.message, "rank 1 could not") != NULL, "%s",
          missing.ranks[2].error.message);
    test_ranks first = {.paths = {[0] = test_path("missing.pith")}};
    check_refused(&first, path, PITH_ERROR_IO, "missing.pith");
    CHECK(strstr(first.ranks[2].error.message, "rank 0 could not") != NULL, "%s",
          first.ranks[2].error.message);
    test_ranks version = {.tamper = tell_version};
    check_refused(&version, path, PITH_ERROR_FORMAT,
                  "rank 1 is pith " PITH_VERSION ", rank 0 is pith 0.3.99");
    CHECK_NO_LEAKS();
}

/* ---- Damaged messages ------------------------------------------------------------------------ */

/* A word of the first message of a kind, and what it becomes. */
typedef struct damage {
    size_t message; /* from 1 */
    size_t word;
    uint32_t value;
    const char *what; /* NULL: it does no harm */
} damage;

typedef struct tampering {
    const damage *damage;
    size_t n_messages;
} tampering;

static void damage_word(void *user, size_t gather, unsigned char *bytes, size_t n) {
    tampering *t = user;
    uint32_t mark = 0;
    (void)gather;
    if (n == PITH_MESSAGE_FIRST) {
        memcpy(&mark, bytes, sizeof mark);
    }
    if (mark == PITH_MESSAGE_MARK && ++t->n_messages == t->damage->message) {
        memcpy(bytes + t->damage->word * sizeof(uint32_t), &t->damage->value, sizeof(uint32_t));
    }
}

/* Message 1 has one event (7 words from 5 on), an extent (3 from 12 on) and 16 rows (4 each from 15
 * on); message 2 two rows from 5 on; message 3 an extent from 5 on and a row from 8 on; message 4
 * two events from 5 on, of which the second shares, and two extents from 19 on. */
static const damage damages[] = {
    {1, 0, 7, "the head"},
    {1, 1, 3, "the head"},
    {1, 2, PITH_MAX_EVENTS + 1, "the head"},
    {1, 3, PITH_MAX_CACHES + 1, "the head"},
    {1, 4, PITH_MAX_PASS_ROWS + 1, "the head"},
    {1, 5, 0, "what happens to a cache"},
    {1, 5, 4, "what happens to a cache"},
    {1, 5, PITH_CACHE_END, "a cache that ends"},
    {1, 5, PITH_CACHE_SHARE, "shared caches"},
    {1, 6, 0, "a new cache"},
    {1, 6, PITH_MAX_CACHES + 1, "a new cache"},
    {1, 6, 2, "a cache that grows"},
    {1, 7, 0, "the type"},
    {1, 7, 4, "the type"},
    {1, 8, 0, "the size of a cache"},
    {1, 8, 17, "the positions of a cache that grows"},
    {1, 8, (1 << 24) + 1, "the size of a cache"},
    {1, 9, 0, "the size of a cache"},
    {1, 9, PITH_MAX_PASS_ROWS + 1, "the size of a cache"},
    {1, 12, 2, "a cache that grows"},
    {1, 13, 1, "the positions of a cache that grows"},
    {1, 14, 0, "the positions of a cache that grows"},
    {1, 14, 65, "the positions of a cache that grows"},
    {1, 14, UINT32_MAX, "the positions of a cache that grows"},
    {1, 14, 15, "the position of a row"},
    {1, 15, 2, "the cache of a row"},
    {1, 16, 1, "the position of a row"},
    {1, 17, VOCAB, "the token"},
    {1, 17, UINT32_MAX, "the token"},
    {1, 18, 2, "the token"},
    {1, 20, 0, "the order of rows"},
    {2, 6, 19, "the position of a row"},
    {2, 10, 16, "the order of rows"},
    {2, 9, 0, "the cache of a row"},
    {3, 9, 19, "the position of a row"},
    {3, 6, 19, "the positions of a cache that grows"},
    {4, 13, 3, "shared caches"},
    {4, 17, 2, "shared caches"},
    {4, 18, 20, "the positions of a shared cache"},
    {4, 6, 1, "a new cache"},
};

TEST(ranks_faults, a_damaged_message_is_refused) {
    const char *path = test_ranks_write(PITH_TYPE_INT8);
    for (size_t i = 0; i < sizeof damages / sizeof damages[0]; i++) {
        tampering t = {.damage = &damages[i]};
        test_ranks ranks = {.tamper = damage_word, .user = &t};
        story s = {0};
        CHECK(test_ranks_open(&ranks, path, 2, &s.error) == PITH_OK, "%s", s.error.message);
        live(&s, test_ranks_model(&ranks));
        test_ranks_close(&ranks);
        const test_rank *follower = &ranks.ranks[1];
        CHECK(follower->followed == PITH_ERROR_FORMAT &&
                  strstr(follower->error.message, damages[i].what) != NULL,
              "%zu: word %zu of message %zu as %u: %s, \"%s\", not \"%s\"", i, damages[i].word,
              damages[i].message, (unsigned)damages[i].value, pith_status_name(follower->followed),
              follower->followed != PITH_OK ? follower->error.message : "", damages[i].what);
        CHECK(s.status == PITH_ERROR_IO, "rank 0 says %s", pith_status_name(s.status));
    }
    CHECK_NO_LEAKS();
}

typedef struct flips {
    uint64_t seed;
    size_t gather; /* that is damaged */
} flips;

static void flip_bits(void *user, size_t gather, unsigned char *bytes, size_t n) {
    flips *f = user;
    if (gather >= f->gather && n > 2) {
        size_t n_flips = 1 + test_random(&f->seed) % 3;
        for (size_t i = 0; i < n_flips; i++) {
            bytes[test_random(&f->seed) % n] ^= (unsigned char)(1U << test_random(&f->seed) % 8);
        }
        f->gather = SIZE_MAX;
    }
}

/* Nothing breaks, whatever it is that arrives. */
TEST(ranks_faults, random_damage) {
    const char *path = test_ranks_write(PITH_TYPE_INT8);
    size_t n_refused = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        flips f = {.seed = seed, .gather = 2 + seed % 20};
        test_ranks ranks = {.tamper = flip_bits, .user = &f};
        story s = {0};
        CHECK(test_ranks_open(&ranks, path, 3, &s.error) == PITH_OK, "%s", s.error.message);
        live(&s, test_ranks_model(&ranks));
        test_ranks_close(&ranks);
        n_refused += ranks.ranks[1].followed == PITH_ERROR_FORMAT;
    }
    CHECK(n_refused > 5, "%zu", n_refused);
    CHECK_NO_LEAKS();
}
