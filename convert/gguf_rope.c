/* RoPE's base and scaling. Linear and YaRN are keys; Llama 3's scaling is a tensor of divisors, one
 * for each pair of elements, whose parameters are found again here; LongRoPE has two such tensors.
 */
#include "convert/gguf_rope.h"

#include "base/checked.h"
#include "base/status.h"
#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { MAX_PAIRS = PITH_MAX_HEAD_DIM / 2 };

pith_status pith_gguf_read_scaling(const pith_gguf_reading *r, pith_gguf_scaling *out) {
    static const char type_key[] = "rope.scaling.type";
    static const char old_key[] = "rope.scale_linear";
    pith_gguf_scaling scaling = {{"none", 4}, 1, type_key};
    pith_status status =
        pith_gguf_text(r->gguf, pith_gguf_key_of(r, type_key).text, &scaling.type, r->error);
    if (status == PITH_OK) {
        status = pith_gguf_positive(r, old_key, &scaling.factor);
    }
    if (status == PITH_OK && scaling.factor != 1 && pith_text_is(scaling.type, "none")) {
        scaling.type = (pith_text){"linear", 6};
        scaling.key = old_key;
    }
    if (status == PITH_OK) {
        status = pith_gguf_positive(r, "rope.scaling.factor", &scaling.factor);
    }
    if (status == PITH_OK) {
        *out = scaling;
    }
    return status;
}

static const char original_key[] = "rope.scaling.original_context_length";

static pith_status put_yarn(pith_gguf_reading *r) {
    static const struct {
        const char *name, *member;
    } numbers[] = {
        {"rope.scaling.yarn_beta_fast", "beta_fast"},
        {"rope.scaling.yarn_beta_slow", "beta_slow"},
        {"rope.scaling.yarn_attn_factor", "attention_factor"},
        {"rope.scaling.yarn_log_multiplier", "mscale_all_dim"}, /* with a mscale of 1 */
    };
    size_t original = r->context;
    double attention = 1;
    double extrapolation = 1;
    pith_status status =
        pith_gguf_count(r->gguf, pith_gguf_key_of(r, original_key).text, &original, r->error);
    if (status == PITH_OK) {
        status = pith_gguf_positive(r, "rope.scaling.attn_factor", &attention);
    }
    if (status == PITH_OK) {
        status = pith_gguf_positive(r, "rope.scaling.yarn_ext_factor", &extrapolation);
    }
    if (status == PITH_OK && (attention != 1 || extrapolation != 1)) {
        return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                         "%s: YaRN with %s %g and yarn_ext_factor %g is not supported, only with "
                         "1 and 1",
                         pith_gguf_name(r->gguf),
                         pith_gguf_key_of(r, "rope.scaling.attn_factor").text, attention,
                         extrapolation);
    }
    if (status == PITH_OK) {
        pith_json_put_integer(&r->json, "original_max_position_embeddings",
                              (int64_t)(original <= INT32_MAX ? original : 0));
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0] && status == PITH_OK; i++) {
        double value = 0;
        if (pith_gguf_has(r, numbers[i].name)) {
            status = pith_gguf_positive(r, numbers[i].name, &value);
            pith_gguf_put_number(&r->json, numbers[i].member, value);
        }
    }
    if (strcmp(r->architecture->name, "gpt-oss") == 0) { /* as its config.json says */
        pith_json_put_bool(&r->json, "truncate", false);
    }
    pith_gguf_put_number(&r->json, "mscale", 1); /* which counts beside mscale_all_dim alone */
    return status;
}

/* ---- Llama 3 --------------------------------------------------------------------------------- */

/* What frequency i of a head is divided by: nothing where the original context holds more than
 * `high` of its waves, the factor where it holds less than `low`, in between a blend. */
static double llama3_divisor(double theta, size_t head_dim, size_t i, double factor, double low,
                             double high, double original) {
    double frequency = pow(theta, -2.0 * (double)i / (double)head_dim);
    double waves = original * frequency / (2 * acos(-1.0));
    if (waves > high) {
        return 1;
    }
    if (waves < low) {
        return factor;
    }
    double share = (waves - low) / (high - low);
    return 1 / ((1 - share) / factor + share);
}

static bool divisors_are(const pith_gguf_reading *r, const float *divisors, double theta,
                         double factor, double low, double high, double original) {
    for (size_t i = 0; i < r->head_dim / 2; i++) {
        double expected = llama3_divisor(theta, r->head_dim, i, factor, low, high, original);
        if (!(fabs((double)divisors[i] - expected) <= 1e-4 * expected)) {
            return false;
        }
    }
    return true;
}

/* All published models have factors of 1 and 4 for long and short waves, and a power of two as the
 * original context; the last divisor, of the longest wave, is the factor. */
static pith_status put_llama3(pith_gguf_reading *r, const float *divisors, double theta) {
    const double low = 1;
    const double high = 4;
    double factor = (double)divisors[r->head_dim / 2 - 1];
    for (size_t bits = 6; bits <= 20; bits++) {
        size_t original = (size_t)1 << bits;
        if (divisors_are(r, divisors, theta, factor, low, high, (double)original)) {
            pith_json_put_text(&r->json, "rope_type", "llama3");
            pith_gguf_put_number(&r->json, "factor", factor);
            pith_gguf_put_number(&r->json, "low_freq_factor", low);
            pith_gguf_put_number(&r->json, "high_freq_factor", high);
            pith_json_put_integer(&r->json, "original_max_position_embeddings", (int64_t)original);
            return PITH_OK;
        }
    }
    return pith_fail(r->error, PITH_ERROR_UNSUPPORTED,
                     "%s: tensor rope_freqs.weight is not of Llama 3's form: other divisors of "
                     "RoPE's frequencies are not supported",
                     pith_gguf_name(r->gguf));
}

/* *found is false when the file has no divisors. */
static pith_status read_divisors(const pith_gguf_reading *r, float divisors[MAX_PAIRS],
                                 bool *found) {
    size_t source;
    const pith_gguf_tensor *tensor = pith_gguf_parts_find(r->parts, "rope_freqs.weight", &source);
    *found = tensor != NULL;
    if (tensor == NULL) {
        return PITH_OK;
    }
    if (strcmp(tensor->type->name, "F32") != 0 || tensor->n_dims != 1 ||
        tensor->shape[0] != r->head_dim / 2 || tensor->shape[0] > MAX_PAIRS) {
        return pith_fail(r->error, PITH_ERROR_FORMAT,
                         "%s: tensor rope_freqs.weight is not [%zu] of F32",
                         pith_gguf_name(r->gguf), r->head_dim / 2);
    }
    return pith_file_read(&r->sources->files[source].file, tensor->offset, divisors, tensor->size,
                          r->error);
}

/* ---- All of it ------------------------------------------------------------------------------- */

/* The first elements of a head may be all that turn. */
static pith_status put_dimensions(pith_gguf_reading *r) {
    size_t dims = r->head_dim;
    pith_gguf_arch_key key = pith_gguf_key_of(r, "rope.dimension_count");
    pith_status status = pith_gguf_count(r->gguf, key.text, &dims, r->error);
    if (status == PITH_OK && (dims == 0 || dims > r->head_dim)) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: key %s is %zu, not 1 to %zu",
                         pith_gguf_name(r->gguf), key.text, dims, r->head_dim);
    }
    r->rope_dims = dims;
    if (status == PITH_OK && dims != r->head_dim) {
        pith_gguf_put_number(&r->json, "partial_rotary_factor", (double)dims / (double)r->head_dim);
    }
    return status;
}

/* ---- LongRoPE -------------------------------------------------------------------------------- */

static const char long_name[] = "rope_factors_long.weight";
static const char short_name[] = "rope_factors_short.weight";

static const pith_gguf_tensor *find_tensor(const pith_gguf_reading *r, const char *name,
                                           size_t *source) {
    return pith_gguf_parts_find(r->parts, name, source);
}

/* Writes one of the two lists. */
static pith_status put_factors(pith_gguf_reading *r, const char *name, const char *member) {
    float factors[MAX_PAIRS];
    size_t source = 0;
    const pith_gguf_tensor *tensor = find_tensor(r, name, &source);
    size_t n = r->rope_dims / 2;
    if (tensor == NULL || strcmp(tensor->type->name, "F32") != 0 || tensor->n_dims != 1 ||
        tensor->shape[0] != n || n > MAX_PAIRS) {
        return pith_fail(r->error, PITH_ERROR_FORMAT, "%s: tensor %s is %s[%zu] of F32",
                         pith_gguf_name(r->gguf), name, tensor == NULL ? "missing: it is " : "not ",
                         n);
    }
    pith_status status = pith_file_read(&r->sources->files[source].file, tensor->offset, factors,
                                        tensor->size, r->error);
    pith_json_open(&r->json, member, '[');
    for (size_t i = 0; i < n && status == PITH_OK; i++) {
        if (!isfinite(factors[i])) {
            status = pith_fail(r->error, PITH_ERROR_FORMAT, "%s: tensor %s: element %zu is %g",
                               pith_gguf_name(r->gguf), name, i, (double)factors[i]);
        } else {
            pith_gguf_put_number(&r->json, NULL, (double)factors[i]);
        }
    }
    pith_json_close(&r->json, ']');
    return status;
}

/* Phi's scaling: two tensors of divisors, mostly without a type among the keys. */
static pith_status put_longrope(pith_gguf_reading *r) {
    size_t original = 0;
    double attention = 1;
    pith_gguf_arch_key key = pith_gguf_key_of(r, original_key);
    pith_status status = pith_gguf_require(r->gguf, key.text, r->error);
    if (status == PITH_OK) {
        status = pith_gguf_count(r->gguf, key.text, &original, r->error);
    }
    if (status == PITH_OK) {
        status = pith_gguf_positive(r, "rope.scaling.attn_factor", &attention);
    }
    if (status != PITH_OK) {
        return status;
    }
    pith_json_open(&r->json, "rope_scaling", '{');
    pith_json_put_text(&r->json, "rope_type", "longrope");
    pith_json_put_integer(&r->json, "original_max_position_embeddings",
                          (int64_t)(original <= INT32_MAX ? original : 0));
    pith_gguf_put_number(&r->json, "attention_factor", attention);
    status = put_factors(r, short_name, "short_factor");
    if (status == PITH_OK) {
        status = put_factors(r, long_name, "long_factor");
    }
    pith_json_close(&r->json, '}');
    return status;
}

/* ---- Any of them ----------------------------------------------------------------------------- */

/* Refuses a type that is not known, and one beside tensors that are another scaling. */
static pith_status check_type(const pith_gguf_reading *r, const pith_gguf_scaling *scaling,
                              bool lists, bool divided) {
    bool none = pith_text_is(scaling->type, "none");
    bool known =
        none || pith_text_is(scaling->type, "linear") || pith_text_is(scaling->type, "yarn");
    if (known && !lists && (!divided || none)) {
        return PITH_OK;
    }
    return pith_fail(r->error, PITH_ERROR_UNSUPPORTED, "%s: key %s: %.*s%s is not supported",
                     pith_gguf_name(r->gguf), pith_gguf_key_of(r, scaling->key).text,
                     (int)pith_min_size(scaling->type.n_bytes, 60), scaling->type.data,
                     !known  ? ""
                     : lists ? " together with tensors rope_factors_long.weight"
                             : " together with a tensor rope_freqs.weight");
}

static pith_status put_scaling(pith_gguf_reading *r, double theta) {
    pith_gguf_scaling scaling;
    float divisors[MAX_PAIRS];
    bool divided;
    size_t source;
    pith_status status = pith_gguf_read_scaling(r, &scaling);
    if (status == PITH_OK) {
        status = read_divisors(r, divisors, &divided);
    }
    if (status != PITH_OK) {
        return status;
    }
    bool none = pith_text_is(scaling.type, "none");
    bool lists =
        find_tensor(r, long_name, &source) != NULL || find_tensor(r, short_name, &source) != NULL;
    if (lists && !divided && (none || pith_text_is(scaling.type, "longrope"))) {
        return put_longrope(r);
    }
    status = check_type(r, &scaling, lists, divided);
    if (status != PITH_OK || (none && !divided)) {
        return status;
    }
    pith_json_open(&r->json, "rope_scaling", '{');
    if (divided) {
        status = put_llama3(r, divisors, theta);
    } else {
        pith_json_put_bytes(&r->json, "rope_type", scaling.type.data, scaling.type.n_bytes);
        pith_gguf_put_number(&r->json, "factor", scaling.factor);
        status = pith_text_is(scaling.type, "yarn") ? put_yarn(r) : PITH_OK;
    }
    pith_json_close(&r->json, '}');
    return status;
}

pith_status pith_gguf_put_rope(pith_gguf_reading *r) {
    double theta = 10000;
    pith_status status = pith_gguf_positive(r, "rope.freq_base", &theta);
    if (status != PITH_OK) {
        return status;
    }
    pith_gguf_put_number(&r->json, "rope_theta", theta);
    status = put_dimensions(r);
    return status == PITH_OK ? put_scaling(r, theta) : status;
}
