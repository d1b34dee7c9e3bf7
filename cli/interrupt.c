/* SIGINT as a flag, and as a descriptor to wait for beside others. The signal may come between a
 * look at the flag and a blocking read, or be taken by another thread: only a descriptor is never
 * missed (the self-pipe of D. J. Bernstein). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "cli/cli.h"

/* A signal handler can reach nothing but static storage. The pipe is made once and kept; without it
 * (no descriptors left) waiting may miss a signal. */
static volatile sig_atomic_t interrupted;
static int pipe_ends[2] = {-1, -1};

static void on_interrupt(int signal_number) {
    int saved = errno;
    (void)signal_number;
    interrupted = 1;
    if (write(pipe_ends[1], "", 1) < 0) {
        /* No pipe, or a full one: that is readable, which is all that is wanted. */
    }
    errno = saved;
}

void pith_interrupt_catch(bool once) {
    struct sigaction action = {.sa_handler = on_interrupt};
    char bytes[64];
    sigemptyset(&action.sa_mask);
    /* Without SA_RESTART a blocked call returns. SA_RESETHAND makes the second one deadly. */
    action.sa_flags = once ? (int)SA_RESETHAND : 0;
    if (pipe_ends[0] < 0 && pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        pipe_ends[0] = -1;
        pipe_ends[1] = -1;
    }
    while (read(pipe_ends[0], bytes, sizeof bytes) > 0) {
    }
    interrupted = 0;
    sigaction(SIGINT, &action, NULL);
}

bool pith_interrupted(void) {
    return interrupted != 0;
}

pith_wait pith_interrupt_wait(int fd) {
    struct pollfd files[] = {{.fd = fd, .events = POLLIN}, {.fd = pipe_ends[0], .events = POLLIN}};
    int n = poll(files, 2, -1);
    if (pith_interrupted() || (n > 0 && files[1].revents != 0)) {
        return PITH_WAIT_INTERRUPTED;
    }
    return n < 0 && errno == EINTR ? PITH_WAIT_SIGNAL : PITH_WAIT_READABLE;
}
