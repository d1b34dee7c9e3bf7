# What the tests of pith-mpi share; run by tests/cli/run.sh.
PITH_MPI=$(realpath "${PITH_MPI:-build/pith-mpi}")
CREW=$(realpath "${CREW:-build/mpi-crew}")
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Ours among the processes of this machine.
export PITH_TEST_RUN=$T

# ranks N COMMAND... : by mpirun, also where there are fewer CPUs than ranks.
ranks() {
    local n=$1
    shift
    mpirun -q --oversubscribe --bind-to none -x PITH_TEST_RUN -n "$n" "$@"
}

# rank_process R : the process that is rank R of what runs now, not its guard.
rank_process() {
    local directory
    for directory in /proc/[0-9]*; do
        if [ "$(cat "$directory/comm" 2>/dev/null)" = pith-mpi ] &&
            grep -zqx "OMPI_COMM_WORLD_RANK=$1" "$directory/environ" 2>/dev/null &&
            grep -zqx "PITH_TEST_RUN=$T" "$directory/environ" 2>/dev/null; then
            echo "${directory#/proc/}"
        fi
    done
}
