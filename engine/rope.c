/* Rotary frequencies and tables; see rope.h. */
#include "engine/rope.h"

#include <math.h>

static const double two_pi = 6.283185307179586476925286766559;

/* Llama 3.1: wavelengths longer than the original context / low are divided by `factor`, those
 * shorter than the original context / high are kept, in between the two are blended. */
static double scale_llama3(const pith_llama_config *config, double frequency) {
    double context = (double)config->rope_original_context;
    double low = config->rope_low_freq_factor;
    double high = config->rope_high_freq_factor;
    double turns = context * frequency / two_pi; /* rotations over the original context */
    if (turns < low) {
        return frequency / config->rope_factor;
    }
    if (turns > high) {
        return frequency;
    }
    double smooth = (turns - low) / (high - low);
    return (1.0 - smooth) * frequency / config->rope_factor + smooth * frequency;
}

void pith_rope_frequencies(const pith_llama_config *config, float *inv_freq) {
    for (size_t i = 0; i < config->head_dim / 2; i++) {
        double exponent = (double)(2 * i) / (double)config->head_dim;
        double frequency = (float)(1.0 / pow(config->rope_theta, exponent));
        if (config->rope_scaling == PITH_ROPE_LINEAR) {
            frequency /= config->rope_factor;
        } else if (config->rope_scaling == PITH_ROPE_LLAMA3) {
            frequency = scale_llama3(config, frequency);
        }
        inv_freq[i] = (float)frequency;
    }
}

void pith_rope_table(const float *inv_freq, size_t half, size_t position, float *cosines,
                     float *sines) {
    for (size_t i = 0; i < half; i++) {
        float angle = (float)position * inv_freq[i];
        cosines[i] = (float)cos((double)angle);
        sines[i] = (float)sin((double)angle);
    }
}
