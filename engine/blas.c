/* dlopen of OpenBLAS; see blas.h. */
#include "engine/blas.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>

#include "base/status.h"

/* Reports why dlopen failed. Memory may have been short for dlopen, for the library's constructors
 * or as address space; the text of dlerror names the cases that errno does not. */
static pith_status load_failed(int code, pith_error *error) {
    const char *text = dlerror();
    if (code == ENOMEM || text == NULL || strstr(text, "memory") != NULL) {
        return pith_fail(error, PITH_ERROR_MEMORY, "OpenBLAS: no memory for libopenblas.so.0");
    }
    return pith_fail(error, PITH_ERROR_UNSUPPORTED, "OpenBLAS: libopenblas.so.0 cannot be loaded");
}

pith_status pith_blas_load(pith_sgemm_fn *out, pith_error *error) {
    errno = 0;
    /* NODELETE: its threads outlive any handle. */
    void *library = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
    if (library == NULL) {
        return load_failed(errno, error);
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
    set_threads(1);
    *out = sgemm;
    return PITH_OK;
}
