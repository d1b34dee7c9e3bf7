/* A mixture of experts: a router chooses for each row a few of many MLPs, whose results are added
 * by their shares. Shazeer et al. 2017; Jiang et al. 2024 (Mixtral). */
#ifndef PITH_ENGINE_EXPERTS_H
#define PITH_ENGINE_EXPERTS_H

#include "engine/forward.h"

/* x += sum of share x expert(a) over the experts that each row chose, in the order of their
 * numbers, so that no other row changes a result. a [n, hidden] are floats, the normalised x; x
 * [n, hidden]. */
void pith_experts(const pith_forward *f, size_t layer, pith_rows x, pith_rows a);

#endif
