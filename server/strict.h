/* Tools with `strict`: what a model writes as a call is kept to the schemas of the tools.
 *
 * Where a call is demanded, the whole answer is one value of a grammar, and its frame (the marks of
 * the form) is written by the service. Where the model decides, a guard follows what it writes, and
 * the mask begins where the model opens a call:
 *
 *     It is in Paris.  <tool_call>  {"name": "f", "arguments": {...}}  </tool_call>  ...
 *     free ......................|  masked ........................|  free .............
 *
 * The guard parses the text as server/reply.h does, so that both see a call begin at the same
 * place; a token that would end the mark and go on behind it is ruled out. */
#ifndef PITH_SERVER_STRICT_H
#define PITH_SERVER_STRICT_H

#include "server/calling.h"

/* What is written of a call. */
typedef enum pith_strict_part {
    PITH_STRICT_CALL,      /* {"name": ..., "arguments": {...}} */
    PITH_STRICT_LIST,      /* an array of those */
    PITH_STRICT_ARGUMENTS, /* the last object alone */
} pith_strict_part;

/* The grammar of a part, of the tool with that index, or with SIZE_MAX of those that may be called.
 * The request has tool_schemas. Problems: 400 (a schema that is not supported, with its place),
 * 503. */
bool pith_strict_grammar(pith_grammar **out, const pith_model *model, const pith_calling *calling,
                         const pith_request *request, pith_strict_part part, size_t tool,
                         pith_problem *problem);

/* Where a call is demanded: the grammar of the answer behind pith_calling_open. Problems: as above,
 * 400 (one of several tools, in a form that has the name outside of the JSON). */
bool pith_strict_answer(pith_grammar **out, const pith_model *model, const pith_calling *calling,
                        const pith_request *request, pith_problem *problem);

#endif
