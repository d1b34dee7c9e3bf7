/* The parameters of a generation: checked, and copied so that the caller's may go. */
#ifndef PITH_ENGINE_GENERATE_PARAMS_H
#define PITH_ENGINE_GENERATE_PARAMS_H

#include "engine/model.h"

/* Errors: ARGUMENT, TOKEN; sampling settings are checked by pith_sampler_new. */
pith_status pith_generate_params_check(const pith_generate_params *params, const pith_model *model,
                                       pith_error *error);

/* Lays out a copy of the arrays but for the stop strings (pith_stops_take), of which `to` has none.
 * Run twice, as pith_arena has it. */
void pith_generate_params_take(pith_generate_params *to, pith_arena *arena,
                               const pith_generate_params *from);

#endif
