/* dlopen of OpenBLAS; see blas.h. */
#include "engine/blas.h"

#include <dlfcn.h>
#include <string.h>

#include "base/status.h"

pith_status pith_blas_load(pith_sgemm_fn *out, size_t n_threads, pith_error *error) {
    /* NODELETE: its threads outlive any handle. */
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "OpenBLAS: libopenblas.so.0 cannot be loaded");
    }
    pith_sgemm_fn sgemm = NULL;
    void (*set_threads)(int) = NULL;
    void *symbol = dlsym(library, "cblas_sgemm");
    memcpy(&sgemm, &symbol, sizeof sgemm); /* ISO C has no cast from object to function pointer */
    symbol = dlsym(library, "openblas_set_num_threads");
    memcpy(&set_threads, &symbol, sizeof set_threads);
    dlclose(library);
    if (sgemm == NULL || set_threads == NULL) {
        return pith_fail(error, PITH_ERROR_UNSUPPORTED,
                         "OpenBLAS: libopenblas.so.0 lacks cblas_sgemm");
    }
    set_threads((int)n_threads);
    *out = sgemm;
    return PITH_OK;
}
