/* The random generator behind sampling, for tests: PCG-XSH-RR 64/32 (O'Neill 2014). */
#ifndef PITH_ENGINE_SAMPLER_H
#define PITH_ENGINE_SAMPLER_H

#include "pith.h"

typedef struct pith_pcg {
    uint64_t state;
} pith_pcg;

enum { PITH_MAX_PENALTY_WINDOW = 1 << 20, PITH_DEFAULT_PENALTY_WINDOW = 64 };

void pith_pcg_seed(pith_pcg *pcg, uint64_t seed);
uint32_t pith_pcg_next(pith_pcg *pcg);
double pith_pcg_uniform(pith_pcg *pcg); /* [0, 1), 53 random bits of two draws */

#endif
