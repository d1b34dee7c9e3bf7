# The exchange alone: gathers of any sizes, ranks that are killed or stopped.
. tests/mpi/ranks.sh

for n in 1 2 3 4; do
    expect 0 ranks $n "$CREW" check
    silent
done
expect 0 ranks 3 "$CREW" idle
silent
for victim in 0 1 2; do
    expect 1 ranks 3 "$CREW" die $victim
    says "^pith-mpi: rank $victim on [^ ]* was ended by signal 9 \(Killed\): all end$"
    one_line
    expect 1 ranks 3 "$CREW" hang $victim
    says "^pith-mpi: rank $victim on [^ ]* has not answered for 2 s: all end$"
    one_line
done
for victim in 1 2 3; do
    expect 1 ranks 4 "$CREW" torn $victim
    says "^pith-mpi: rank $victim on [^ ]* has not answered for 2 s: all end$"
    one_line
done
