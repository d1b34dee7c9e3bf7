/* The parameters of a generation: checked, and copied so that the caller's need not stay. */
#ifndef PITH_ENGINE_GENERATE_PARAMS_H
#define PITH_ENGINE_GENERATE_PARAMS_H

#include "engine/model.h"

/* Errors: ARGUMENT, TOKEN; sampling settings are checked by pith_sampler_new. */
pith_status pith_generate_params_check(const pith_generate_params *params, const pith_model *model,
                                       pith_error *error);

/* Lays out a copy of the arrays, except the stop strings, which pith_stops_take copies. Run twice,
 * as pith_arena requires. */
void pith_generate_params_take(pith_generate_params *to, pith_arena *arena,
                               const pith_generate_params *from);

#endif
