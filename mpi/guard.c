#include "mpi/guard.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mpi/crew.h"

static volatile sig_atomic_t asked_to_end; /* a signal handler reaches nothing else */

static void on_end(int signal_number) {
    (void)signal_number;
    asked_to_end = 1;
}

/* The launcher ends the other ranks by SIGTERM, and by SIGKILL a moment later: that needs no
 * message. */
static void report(const char *rank, int status) {
    int number = WTERMSIG(status);
    if (number == SIGTERM || (number == SIGKILL && asked_to_end)) {
        return;
    }
    char host[64] = "";
    gethostname(host, sizeof host - 1);
    pith_crew_say("rank %s on %s was ended by signal %d (%s): all end", rank, host, number,
                  strsignal(number));
}

static _Noreturn void watch(pid_t child, const char *rank) {
    const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGUSR1, SIGUSR2};
    struct sigaction action = {.sa_handler = on_end};
    int status;
    sigaction(SIGTERM, &action, NULL);
    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++) {
        signal(ignored[i], SIG_IGN);
    }
    prctl(PR_SET_NAME, "pith-mpi-guard");
    while (waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            _exit(1);
        }
    }
    if (WIFEXITED(status)) {
        _exit(WEXITSTATUS(status));
    }
    report(rank, status);
    _exit(1);
}

void pith_guard_begin(void) {
    const char *rank = getenv("OMPI_COMM_WORLD_RANK");
    if (rank == NULL) {
        return;
    }
    pid_t guard = getpid();
    pid_t child = fork();
    if (child > 0) {
        watch(child, rank);
    }
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != guard) {
            _exit(1); /* it died before */
        }
    }
}
