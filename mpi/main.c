/* pith-mpi: the pith command over several processes that mpirun starts. Rank 0 runs the command as
 * ever; the others open the models that it opens and compute their shares. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command_line.h"
#include "mpi/guard.h"
#include "mpi/leader.h"
#include "mpi/order.h"

enum { EXIT_USAGE = 2, MOST_SECONDS = 86400 };

/* Reads --deadline SECONDS in front of the command and moves the arguments over it. False: it is no
 * number of seconds. */
static bool read_deadline(int *argc, char **argv, size_t *deadline) {
    const char *name = "--deadline";
    const size_t n = strlen(name);
    *deadline = PITH_CREW_DEADLINE;
    if (*argc < 2 || strncmp(argv[1], name, n) != 0 || (argv[1][n] != 0 && argv[1][n] != '=')) {
        return true;
    }
    int used = argv[1][n] == '=' ? 1 : 2;
    const char *text = used == 1 ? argv[1] + n + 1 : *argc > 2 ? argv[2] : "";
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != 0 || errno != 0 || value < 1 ||
        value > MOST_SECONDS) {
        return false;
    }
    *deadline = value;
    memmove(argv + 1, argv + 1 + used, (size_t)(*argc - used) * sizeof *argv);
    *argc -= used;
    return true;
}

/* The threads that MPI makes must not take the signals of the command. */
static bool begin_exchange(pith_crew *x, size_t deadline) {
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool good = pith_crew_begin(x, deadline);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return good;
}

/* A command that failed may have left the others anywhere: the launcher ends them. */
static int lead(pith_crew *x, int argc, char **argv) {
    pith_cli_ranks ranks;
    pith_leader leader;
    pith_leader_begin(&leader, x, &ranks);
    int code = pith_command_line_run(x->n_ranks > 1 ? &ranks : NULL, argc, argv);
    if (atomic_load(&x->lost)) {
        code = EXIT_FAILURE;
    }
    if (code != EXIT_SUCCESS && x->n_ranks > 1) {
        _exit(code); /* standard output has been flushed */
    }
    pith_leader_end(&leader);
    pith_crew_end(x);
    return code;
}

int main(int argc, char **argv) {
    size_t deadline;
    pith_crew x;
    pith_command_line_begin();
    pith_guard_begin();
    if (!read_deadline(&argc, argv, &deadline)) {
        pith_crew_say("--deadline takes seconds, 1 to %d", MOST_SECONDS);
        return EXIT_USAGE;
    }
    if (!begin_exchange(&x, deadline)) {
        return EXIT_FAILURE;
    }
    if (x.rank == 0) {
        return lead(&x, argc, argv);
    }
    /* The launcher passes on SIGTERM: a service ends when rank 0 has answered what it has begun. */
    signal(SIGTERM, SIG_IGN);
    int code = pith_crew_follow(&x);
    if (code != EXIT_SUCCESS) {
        _exit(code);
    }
    pith_crew_end(&x);
    return code;
}
