# pith-mpi, where Open MPI is: one text over two ranks. `make mpi-test` has the rest.

if [ -x "${PITH%/*}/pith-mpi" ] && command -v mpirun >/dev/null; then
    story() { "$@" run "$TALE" -p 'Once upon a time' -n 30 --seed 7; }
    together() {
        OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 \
            mpirun -q --oversubscribe --bind-to none -n 2 "${PITH%/*}/pith-mpi" "$@" 2>&1
    }
    is "a text over two ranks" "$(story together)" = "$(story "$PITH")"
else
    skip "Open MPI is not there, or pith-mpi not built (make mpi)"
fi
