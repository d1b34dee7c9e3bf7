/* Rotary frequencies and tables; see rope.h. */
#include "engine/rope.h"

#include <math.h>

static const double two_pi = 6.283185307179586476925286766559;

/* Llama 3.1: wavelengths longer than the original context / low are divided by `factor`, those
 * shorter than the original context / high are kept, in between the two are blended. */
static double scale_blend(const pith_rope_config *rope, double frequency) {
    double context = (double)rope->original_context;
    double low = rope->low_freq_factor;
    double high = rope->high_freq_factor;
    double turns = context * frequency / two_pi; /* rotations over the original context */
    if (turns < low) {
        return frequency / rope->factor;
    }
    if (turns > high) {
        return frequency;
    }
    double smooth = (turns - low) / (high - low);
    return (1.0 - smooth) * frequency / rope->factor + smooth * frequency;
}

/* The dimension (a pair's index, not whole) that turns `rotations` times over the original context:
 * Peng et al. 2023, section 3.2, solved for it. */
static double yarn_dimension(const pith_rope_config *rope, double rotations) {
    double context = (double)rope->original_context;
    return (double)rope->dims * log(context / (rotations * two_pi)) / (2.0 * log(rope->theta));
}

/* YaRN's ramp: 0 for dimensions that are left alone, 1 for those divided by the factor; computed as
 * in transformers, with its rounding to whole dimensions, which the published models were trained
 * with. */
static double yarn_ramp(const pith_rope_config *rope, size_t i) {
    double low = yarn_dimension(rope, rope->beta_fast);
    double high = yarn_dimension(rope, rope->beta_slow);
    if (rope->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0);
    high = fmin(high, (double)(rope->dims - 1));
    if (low == high) {
        high += 0.001; /* a step instead of a ramp */
    }
    return fmin(fmax(((double)i - low) / (high - low), 0), 1);
}

static double scale_yarn(const pith_rope_config *rope, size_t i, double frequency) {
    double ramp = yarn_ramp(rope, i);
    return frequency / rope->factor * ramp + frequency * (1.0 - ramp);
}

void pith_rope_frequencies(const pith_rope_config *rope, const float *factors, float *inv_freq) {
    for (size_t i = 0; i < rope->dims / 2; i++) {
        double exponent = (double)(2 * i) / (double)rope->dims;
        double frequency = (float)(1.0 / pow(rope->theta, exponent));
        switch (rope->scaling) {
        case PITH_ROPE_NONE:
        case PITH_ROPE_DYNAMIC:
            break;
        case PITH_ROPE_LINEAR:
            frequency /= rope->factor;
            break;
        case PITH_ROPE_BLEND:
            frequency = scale_blend(rope, frequency);
            break;
        case PITH_ROPE_YARN:
            frequency = scale_yarn(rope, i, frequency);
            break;
        case PITH_ROPE_LONG:
            frequency /= (double)factors[i];
            break;
        }
        inv_freq[i] = (float)frequency;
    }
}

float pith_rope_scale(const pith_rope_config *rope) {
    bool scaled = rope->scaling == PITH_ROPE_YARN || rope->scaling == PITH_ROPE_LONG;
    return scaled ? (float)rope->attention_factor : 1.0F;
}

float pith_rope_query_scale(const pith_rope_config *rope, size_t position) {
    if (rope->query_beta == 0 || position < rope->original_context) {
        return 1;
    }
    return (float)(1 + rope->query_beta * log(1 + (double)(position / rope->original_context)));
}

void pith_rope_table(const float *inv_freq, size_t half, float scale, size_t position,
                     float *cosines, float *sines) {
    for (size_t i = 0; i < half; i++) {
        float angle = (float)position * inv_freq[i];
        cosines[i] = (float)cos((double)angle) * scale;
        sines[i] = (float)sin((double)angle) * scale;
    }
}
