/* Directories on this machine: the models that ship with pith, and the user's cache. */
#ifndef PITH_CLI_PLACES_H
#define PITH_CLI_PLACES_H

#include "base/bytes.h"

/* Directory of the models that ship, found from where the running binary lies: PREFIX/share/pith
 * beside PREFIX/bin, or weights/models of the tree it was built in. An empty text when there is
 * none. False: out of memory. */
bool pith_places_models(pith_bytes *path);

/* $XDG_CACHE_HOME/pith or ~/.cache/pith; an empty text when neither variable is set. False: out of
 * memory. */
bool pith_places_cache(pith_bytes *path);

#endif
