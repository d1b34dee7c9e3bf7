/* Element-wise functions: the activations of an MLP, and the soft cap. They are plain C, except
 * that exponentials and the error function come from the kernels, so every instruction set gives
 * the same bits. */
#ifndef PITH_ENGINE_ACTIVATION_H
#define PITH_ENGINE_ACTIVATION_H

#include "families/config.h"
#include "simd/kernels.h"

/* x = act(x + bias) [n]; bias NULL: none. Of an activation without a gate. */
void pith_activate(const pith_kernels *kernels, pith_activation activation, float *x,
                   const float *bias, size_t n);

/* out[16 t + r] = act(gate) * up for n_pairs pairs of 16-row tiles: gate at y[32 t + r], up at
 * y[32 t + 16 + r]. Shazeer 2020. */
void pith_activate_gated(const pith_kernels *kernels, pith_activation activation, const float *y,
                         size_t n_pairs, float *out);

/* x = cap tanh(x / cap), error at most 2e-6 x cap: Gemma Team 2024 (Gemma 2), section 2. */
void pith_soft_cap(const pith_kernels *kernels, float cap, float *x, size_t n);

#endif
