/* SIGINT as a flag, and as a descriptor to wait for beside others. The signal may come between a
 * look at the flag and a blocking read, or be taken by another thread: only a descriptor is never
 * missed (the self-pipe of D. J. Bernstein). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cli/cli.h"

/* A signal handler can reach nothing but static storage. */
static volatile sig_atomic_t interrupted;
static volatile sig_atomic_t wake_end = -1; /* write end of the pipe */

static void on_interrupt(int signal_number) {
    int saved = errno;
    (void)signal_number;
    interrupted = 1;
    if (wake_end >= 0 && write(wake_end, "", 1) < 0) {
        /* The pipe is full: it is readable, which is all that is wanted. */
    }
    errno = saved;
}

void pith_interrupt_catch(bool once) {
    struct sigaction action = {.sa_handler = on_interrupt};
    sigemptyset(&action.sa_mask);
    /* Without SA_RESTART a blocked read returns. SA_RESETHAND makes the second one deadly. */
    action.sa_flags = once ? (int)SA_RESETHAND : 0;
    interrupted = 0;
    sigaction(SIGINT, &action, NULL);
}

bool pith_interrupted(void) {
    return interrupted != 0;
}

pith_status pith_interrupt_pipe(int *read_end, pith_error *error) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return pith_fail(error, PITH_ERROR_IO, "no pipe: error %d", errno);
    }
    wake_end = ends[1];
    *read_end = ends[0];
    return PITH_OK;
}

void pith_interrupt_pipe_close(int read_end) {
    int end = wake_end;
    wake_end = -1;
    if (end >= 0) {
        close(end);
    }
    close(read_end);
}
