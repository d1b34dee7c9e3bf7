/* Choosing a token from logits. Penalties: Keskar et al. 2019 (repeat); the frequency and presence
 * penalties subtract per occurrence and once. Top-k: Fan et al. 2018; top-p: Holtzman et al. 2020;
 * min-p: Nguyen et al. 2024. All sums run in a fixed order with one exp, so the same seed gives the
 * same tokens on every machine. */
#include "engine/sampler.h"

#include <math.h>
#include <string.h>

#include "engine/model.h"

/* A token still in the running, as a number that is larger the more likely it is and, among equals,
 * the lower its id: the logit's bits in the order of its values, then the complement of the id. One
 * comparison without a branch does for both, which a heap of random logits needs: the processor
 * guesses every second one wrong. */
typedef uint64_t candidate;

enum { SUM_STEP = 256 }; /* weights from one kept partial sum to the next */

struct pith_sampler {
    pith_allocator allocator;
    const pith_kernels *kernels;
    pith_sampling settings;
    pith_pcg pcg;
    size_t n_vocab;
    size_t n;              /* candidates: tokens that are not ruled out */
    candidate *candidates; /* [n_vocab] */
    float *weights;        /* [n_vocab] exp((logit - max) / temperature), as needed */
    double *sums;          /* [n_vocab / SUM_STEP + 1] of the last i x SUM_STEP weights */
    int32_t *window;       /* [window_size] ring of the last tokens */
    size_t window_size;
    size_t n_seen;
    uint32_t *counts; /* [n_vocab] occurrences in the window */
};

/* ---- Generator ------------------------------------------------------------------------------- */

static const uint64_t pcg_multiplier = UINT64_C(6364136223846793005);
static const uint64_t pcg_increment = UINT64_C(1442695040888963407);

void pith_pcg_seed(pith_pcg *pcg, uint64_t seed) {
    pcg->state = (seed + pcg_increment) * pcg_multiplier + pcg_increment;
}

uint32_t pith_pcg_next(pith_pcg *pcg) {
    uint64_t old = pcg->state;
    pcg->state = old * pcg_multiplier + pcg_increment;
    uint32_t mixed = (uint32_t)(((old >> 18) ^ old) >> 27);
    uint32_t turn = (uint32_t)(old >> 59);
    return mixed >> turn | mixed << (-turn & 31);
}

double pith_pcg_uniform(pith_pcg *pcg) {
    uint64_t high = pith_pcg_next(pcg);
    uint64_t low = pith_pcg_next(pcg);
    return (double)((high << 32 | low) >> 11) * 0x1p-53;
}

/* ---- Life ------------------------------------------------------------------------------------ */

static pith_status check_settings(const pith_sampling *s, pith_error *error) {
    const struct {
        const char *name;
        float value, least, most;
    } ranges[] = {
        {"temperature", s->temperature, 0.0F, 100.0F},
        {"top_p", s->top_p, 0.0F, 1.0F},
        {"min_p", s->min_p, 0.0F, 1.0F},
        {"repeat_penalty", s->repeat_penalty, 0.0F, 100.0F},
        {"frequency_penalty", s->frequency_penalty, -100.0F, 100.0F},
        {"presence_penalty", s->presence_penalty, -100.0F, 100.0F},
    };
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++) {
        if (!(ranges[i].value >= ranges[i].least && ranges[i].value <= ranges[i].most)) {
            return pith_fail(error, PITH_ERROR_ARGUMENT, "%s is %g, not within %g and %g",
                             ranges[i].name, (double)ranges[i].value, (double)ranges[i].least,
                             (double)ranges[i].most);
        }
    }
    if (s->repeat_last_n > PITH_MAX_PENALTY_WINDOW) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "repeat_last_n is %zu, more than %d",
                         s->repeat_last_n, PITH_MAX_PENALTY_WINDOW);
    }
    return PITH_OK;
}

pith_status pith_sampler_new(pith_sampler **out, const pith_model *model,
                             const pith_sampling *settings, pith_error *error) {
    static const pith_sampling greedy = {0};
    if (out == NULL || model == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_sampler_new: null argument");
    }
    settings = settings != NULL ? settings : &greedy;
    pith_status status = check_settings(settings, error);
    if (status != PITH_OK) {
        return status;
    }
    const pith_allocator *allocator = &model->allocator;
    pith_sampler *s = pith_allocate_zeroed(allocator, 1, sizeof *s);
    if (s == NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a sampler");
    }
    s->allocator = *allocator;
    s->kernels = model->kernels;
    s->settings = *settings;
    s->n_vocab = pith_model_vocab_size(model);
    s->window_size =
        settings->repeat_last_n != 0 ? settings->repeat_last_n : PITH_DEFAULT_PENALTY_WINDOW;
    pith_pcg_seed(&s->pcg, settings->seed);
    s->candidates = pith_allocate(allocator, s->n_vocab, sizeof *s->candidates);
    s->weights = pith_allocate(allocator, s->n_vocab, sizeof *s->weights);
    s->sums = pith_allocate(allocator, s->n_vocab / SUM_STEP + 1, sizeof *s->sums);
    s->window = pith_allocate(allocator, s->window_size, sizeof *s->window);
    s->counts = pith_allocate_zeroed(allocator, s->n_vocab, sizeof *s->counts);
    if (s->candidates == NULL || s->weights == NULL || s->sums == NULL || s->window == NULL ||
        s->counts == NULL) {
        pith_sampler_free(s);
        return pith_fail(error, PITH_ERROR_MEMORY, "no memory for a sampler");
    }
    *out = s;
    return PITH_OK;
}

void pith_sampler_free(pith_sampler *s) {
    if (s != NULL) {
        pith_allocator allocator = s->allocator;
        pith_release(&allocator, s->candidates);
        pith_release(&allocator, s->weights);
        pith_release(&allocator, s->sums);
        pith_release(&allocator, s->window);
        pith_release(&allocator, s->counts);
        pith_release(&allocator, s);
    }
}

void pith_sampler_accept(pith_sampler *s, int32_t token) {
    if (token < 0 || (size_t)token >= s->n_vocab) {
        return;
    }
    size_t slot = s->n_seen % s->window_size;
    if (s->n_seen >= s->window_size) {
        s->counts[s->window[slot]]--;
    }
    s->window[slot] = token;
    s->counts[token]++;
    s->n_seen++;
}

/* ---- Choosing -------------------------------------------------------------------------------- */

/* -0 counts as 0, so that their ids decide. */
static candidate candidate_of(float logit, size_t token) {
    uint32_t bits;
    logit += 0.0F;
    memcpy(&bits, &logit, sizeof bits);
    bits ^= bits >> 31 != 0 ? UINT32_MAX : UINT32_C(1) << 31;
    return (uint64_t)bits << 32 | (uint32_t)~token;
}

static float logit_of(candidate c) {
    uint32_t bits = (uint32_t)(c >> 32);
    bits ^= bits >> 31 != 0 ? UINT32_C(1) << 31 : UINT32_MAX;
    float logit;
    memcpy(&logit, &bits, sizeof logit);
    return logit;
}

static int32_t token_of(candidate c) {
    return (int32_t) ~(uint32_t)c;
}

static void sift_down(candidate *heap, size_t n, size_t i) {
    candidate moving = heap[i];
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= n) {
            break;
        }
        if (child + 1 < n && heap[child + 1] > heap[child]) {
            child++;
        }
        if (heap[child] < moving) {
            break;
        }
        heap[i] = heap[child];
        i = child;
    }
    heap[i] = moving;
}

/* Moves the best of heap [n] to heap[n - 1]. */
static void pop_best(candidate *heap, size_t n) {
    candidate best = heap[0];
    heap[0] = heap[n - 1];
    sift_down(heap, n - 1, 0);
    heap[n - 1] = best;
}

/* Puts the larger of the two at *parent. */
static void order(candidate *parent, candidate *child) {
    candidate a = *parent;
    candidate b = *child;
    *parent = a > b ? a : b;
    *child = a > b ? b : a;
}

/* Every node goes down to a leaf by its larger children, with no branch on a comparison: below the
 * place where it stays nothing is out of order. */
static void heapify(candidate *heap, size_t n) {
    for (size_t node = n / 2; node-- > 0;) {
        size_t i = node;
        while (2 * i + 2 < n) {
            size_t child = 2 * i + 1;
            child += heap[child + 1] > heap[child];
            order(&heap[i], &heap[child]);
            i = child;
        }
        if (2 * i + 1 < n) {
            order(&heap[i], &heap[2 * i + 1]);
        }
    }
}

/* Copies the logits but for those of -infinity, with penalties applied; false when one is NaN or
 * +infinity. */
static bool fill_candidates(pith_sampler *s, const float *logits) {
    const float repeat = s->settings.repeat_penalty != 0.0F ? s->settings.repeat_penalty : 1.0F;
    const uint32_t *counts = s->counts;
    candidate *next = s->candidates;
    for (size_t i = 0; i < s->n_vocab; i++) {
        float logit = logits[i];
        if (!isfinite(logit)) {
            if (logit < 0.0F) {
                continue;
            }
            return false;
        }
        if (counts[i] != 0) {
            logit = logit > 0.0F ? logit / repeat : logit * repeat;
            logit -= s->settings.frequency_penalty * (float)counts[i];
            logit -= s->settings.presence_penalty;
        }
        *next++ = candidate_of(logit, i);
    }
    s->n = (size_t)(next - s->candidates);
    return true;
}

static int32_t most_likely(const pith_sampler *s) {
    candidate best = s->candidates[0];
    for (size_t i = 1; i < s->n; i++) {
        best = s->candidates[i] > best ? s->candidates[i] : best;
    }
    return token_of(best);
}

/* In four chains, so that no addition waits for the one before it. */
static double sum_up(const float *x, size_t n) {
    double sums[4] = {0};
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (size_t j = 0; j < 4; j++) {
            sums[j] += (double)x[i + j];
        }
    }
    for (; i < n; i++) {
        sums[0] += (double)x[i];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

/* Sum of exp((logit - top) / temperature) over the candidates, from the last one down (the order in
 * which the heap leaves the best ones). */
static double weigh(pith_sampler *s, float top) {
    const float temperature = s->settings.temperature;
    for (size_t i = 0; i < s->n; i++) {
        s->weights[i] = logit_of(s->candidates[i]) - top;
    }
    for (size_t i = 0; temperature != 1.0F && i < s->n; i++) {
        s->weights[i] /= temperature;
    }
    s->kernels->exp(s->weights, s->weights, s->n);
    double sum = 0.0;
    for (size_t step = 0, left = s->n; left > 0; step++) {
        size_t n = left < SUM_STEP ? left : SUM_STEP;
        left -= n;
        s->sums[step] = sum;
        sum += sum_up(s->weights + left, n);
    }
    return sum;
}

/* The token at which the running sum of weights passes `target`, from the last candidate down;
 * `sum` is that of those behind `end`. */
static int32_t pick(const pith_sampler *s, size_t first, size_t end, double sum, double target) {
    for (size_t i = end; i-- > first;) {
        sum += (double)s->weights[i];
        if (sum > target) {
            return token_of(s->candidates[i]);
        }
    }
    return token_of(s->candidates[first]); /* rounding of the last sum */
}

/* Picks from all candidates, starting at the last kept sum that does not exceed `target`; the
 * result is that of `pick`. */
static int32_t pick_weighed(const pith_sampler *s, double target) {
    size_t step = (s->n - 1) / SUM_STEP;
    while (step > 0 && s->sums[step] > target) {
        step--;
    }
    return pick(s, 0, s->n - step * SUM_STEP, s->sums[step], target);
}

/* Filters and draws. Candidates that survive so far are [first, s->n), best last once sorted. */
static int32_t draw(pith_sampler *s) {
    const pith_sampling *settings = &s->settings;
    size_t n = s->n;
    bool top_k = settings->top_k != 0 && settings->top_k < n;
    bool top_p = settings->top_p > 0.0F && settings->top_p < 1.0F;
    bool min_p = settings->min_p > 0.0F;
    heapify(s->candidates, n);
    float top = logit_of(s->candidates[0]);

    if (!top_k && !top_p && !min_p) {
        double total = weigh(s, top);
        return pick_weighed(s, pith_pcg_uniform(&s->pcg) * total);
    }
    size_t keep = top_k ? settings->top_k : n;
    double enough = INFINITY; /* of weight: where top-p stops */
    if (top_p && !top_k) {
        enough = weigh(s, top) * (double)settings->top_p;
    }
    size_t first = n; /* kept: [first, n), each popped in order of rank */
    double sum = 0.0;
    while (n - first < keep && sum < enough) {
        pop_best(s->candidates, first);
        first--;
        float weight = pith_exp((logit_of(s->candidates[first]) - top) / settings->temperature);
        if (min_p && !top_p && weight < settings->min_p && first + 1 < n) {
            first++; /* the rest is less likely still */
            break;
        }
        s->weights[first] = weight;
        sum += (double)weight;
    }
    if (top_p && top_k) {
        double limit = sum * (double)settings->top_p;
        size_t end = n;
        for (sum = 0.0; end > first && sum < limit;) {
            sum += (double)s->weights[--end];
        }
        first = end;
    }
    while (min_p && first + 1 < n && s->weights[first] < settings->min_p) {
        sum -= (double)s->weights[first++];
    }
    return pick(s, first, n, 0.0, pith_pcg_uniform(&s->pcg) * sum);
}

pith_status pith_sample(pith_sampler *s, const float *logits, int32_t *token, pith_error *error) {
    if (s == NULL || logits == NULL || token == NULL) {
        return pith_fail(error, PITH_ERROR_ARGUMENT, "pith_sample: null argument");
    }
    if (!fill_candidates(s, logits)) {
        return pith_fail(error, PITH_ERROR_NUMERIC, "logits hold NaN or infinity");
    }
    if (s->n == 0) {
        return pith_fail(error, PITH_ERROR_ARGUMENT,
                         "every token is ruled out: all logits are -infinity");
    }
    *token = s->settings.temperature == 0.0F ? most_likely(s) : draw(s);
    return PITH_OK;
}
