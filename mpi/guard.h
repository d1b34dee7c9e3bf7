/* A process that watches over a rank: when the rank is killed, it says which one and ends with exit
 * code 1, so that the launcher ends all with that code. Without it mpirun would end with the
 * signal's. */
#ifndef PITH_MPI_GUARD_H
#define PITH_MPI_GUARD_H

/* Returns in a child process, which is to begin MPI; the calling process, the guard, waits for the
 * child and ends as it does. The guard leaves signals to the child, which gets them too as the
 * launcher sends them to the group. If the guard is killed, so is the child. Does nothing when the
 * environment names no launcher (OMPI_COMM_WORLD_RANK), or the system gives no process. To be
 * called before there are threads. */
void pith_guard_begin(void);

#endif
