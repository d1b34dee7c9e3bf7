# Ranks that are killed in load, prompt and generation; stopped ones; ranks that do not fit together.
. tests/mpi/ranks.sh
gcc -shared -fPIC -O2 -o "$T/slow.so" tests/mpi/slow.c
N=3

# kill_rank SIGNAL R READY COMMAND... : sends the signal to rank R of N once the shell condition
# READY holds; all end within five seconds (SECONDS of the deadline more) with exit code 1.
kill_rank() {
    local signal=$1 rank=$2 ready=$3 child began
    shift 3
    : >"$T/out"
    : >"$T/err"
    what="rank $rank, $signal: ${*//$T\//}"
    ranks $N "$@" >"$T/out" 2>"$T/err" &
    child=$!
    while kill -0 $child 2>/dev/null && ! eval "$ready"; do
        sleep 0.05
    done
    kill "-$signal" "$(rank_process "$rank")"
    began=$(date +%s%N)
    wait $child
    is "$what: exit code 1" $? = 1
    is "$what: ends in time" $((($(date +%s%N) - began) / 1000000)) -lt "${most_ms:-5000}"
    is "$what: none is left" -z "$(rank_process 0)$(rank_process 1)$(rank_process 2)"
}

for rank in 0 1 2; do
    rm -f "$T/loading"
    kill_rank KILL $rank '[ -e "$T/loading" ]' env LD_PRELOAD="$T/slow.so" PITH_TEST_SLOW="$T/loading" \
        "$PITH_MPI" run "$TALE" -p Once -n 5
    says "^pith-mpi: rank $rank on [^ ]* was ended by signal 9 \(Killed\): all end$"
    no_output
    kill_rank KILL $rank 'grep -q "threads, loaded" "$T/out"' \
        "$PITH_MPI" bench "$TALE" -p 512 -n 0 -r 1000
    says "^pith-mpi: rank $rank on [^ ]* was ended by signal 9 \(Killed\): all end$"
    kill_rank KILL $rank '[ -s "$T/out" ]' "$PITH_MPI" run "$TALE" -p Once -c 100000 --ignore-eos
    says "^pith-mpi: rank $rank on [^ ]* was ended by signal 9 \(Killed\): all end$"
    # A file that is being written keeps its old content.
    rm -f "$T"/kept.npy*
    echo old >"$T/kept.npy"
    kill_rank KILL $rank 'ls "$T"/kept.npy.tmp* >/dev/null 2>&1' "$PITH_MPI" logits "$TALE" \
        --tokens "$(seq -s, 1 4000)" --context 4096 --chunk 1 --out "$T/kept.npy"
    is "the file that was there" "$(head -c 100 "$T/kept.npy" | tr -d "\\0")" = old
    # The process hangs: the deadline.
    most_ms=15000 kill_rank STOP $rank '[ -s "$T/out" ]' \
        "$PITH_MPI" --deadline 2 run "$TALE" -p Once -c 100000 --ignore-eos
    says "^pith-mpi: rank $rank on [^ ]* has not answered for 2 s: all end$"
done

# A rank that reads its file slowly is not missing, however short the deadline.
expect 0 ranks 2 env LD_PRELOAD="$T/slow.so" PITH_TEST_SLOW="$T/loading" PITH_TEST_SLOW_RANK=1 \
    "$PITH_MPI" --deadline 1 run "$TALE" -p Once -n 5 --temp 0

# Another file under the same name, none at all, and another version of pith.
mkdir -p "$T/a" "$T/b" "$T/c"
cp "$TALE" "$T/a/model.pith"
"$PITH" convert "$SOURCE" "$T/b/model.pith" --type int4
different() {
    mpirun -q --oversubscribe -n 1 -wdir "$T/a" "$PITH_MPI" "${@:2}" : -n 1 -wdir "$1" "$PITH_MPI" "${@:2}"
}
expect 1 different "$T/b" run model.pith -p Once -n 5
says 'rank 1 has another model than rank 0: '
no_output
expect 1 different "$T/c" run model.pith -p Once -n 5
says '^pith-mpi: rank 1 on [^ ]*: model.pith: cannot open: No such file or directory$'
no_output
sed 's/0\.4\.0/0.3.9/g' "$PITH_MPI" >"$T/older"
chmod +x "$T/older"
expect 1 mpirun -q --oversubscribe -n 1 "$PITH_MPI" run "$TALE" -p Once : -n 1 "$T/older" run "$TALE" -p Once
says '^pith-mpi: rank 1 on [^ ]* is pith 0\.3\.9, rank 0 on [^ ]* is 0\.4\.0: all ranks must be of one version$'
no_output

# MPI is in pith-mpi alone.
expect 0 ldd build/libpith.so
is "libpith.so has no MPI" -z "$(grep -i mpi "$T/out")"
expect 0 ldd "$PITH"
is "pith has no MPI" -z "$(grep -i mpi "$T/out")"
expect 0 ldd "$PITH_MPI"
prints libmpi
