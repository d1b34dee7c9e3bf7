/* The progress bar on standard error, only where that is a terminal. */
#include "cli/cli.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

double pith_cli_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

pith_size_text pith_size_format(double amount, const char *unit) {
    static const char *const prefixes[] = {"", "k", "M", "G", "T"};
    pith_size_text out;
    size_t i = 0;
    while (amount >= 999.5 && i + 1 < sizeof prefixes / sizeof prefixes[0]) {
        amount /= 1000;
        i++;
    }
    int decimals = i == 0 || amount >= 99.95 ? 0 : amount >= 9.995 ? 1 : 2;
    snprintf(out.text, sizeof out.text, "%.*f %s%s", decimals, amount, prefixes[i], unit);
    return out;
}

/* A dumb terminal cannot erase a line. */
static bool can_draw(void) {
    const char *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) != 0 && (terminal == NULL || strcmp(terminal, "dumb") != 0);
}

void pith_progress_begin(pith_progress *progress, pith_cli *cli, const char *unit) {
    double now = pith_cli_seconds();
    *progress =
        (pith_progress){.cli = cli, .unit = unit, .shown = can_draw(), .start = now, .drawn = now};
}

static void draw(pith_progress *progress, double part, const char *text, double left) {
    enum { WIDTH = 30 };
    char bar[WIDTH + 1];
    size_t filled = (size_t)(part * WIDTH);
    memset(bar, '-', WIDTH);
    memset(bar, '#', filled);
    bar[WIDTH] = 0;
    fprintf(stderr, "\r\033[K[%s] %3.0f%%  %s  %.0f:%02.0f left", bar, 100 * part, text,
            floor(left / 60), floor(fmod(left, 60)));
    fflush(stderr);
    progress->cli->bar = true;
}

/* True when the bar is to be drawn again, at `now`. */
static bool is_due(pith_progress *progress, double now) {
    if (!progress->shown || now - progress->drawn < 0.1) {
        return false;
    }
    progress->drawn = now;
    return true;
}

void pith_progress_update(pith_progress *progress, size_t done, size_t total) {
    double now = pith_cli_seconds();
    char text[32];
    if (total == 0 || !is_due(progress, now)) {
        return;
    }
    double rate = (double)done / (now - progress->start);
    double left = done > 0 ? (double)(total - done) / rate : 0;
    snprintf(text, sizeof text, "%s/s", pith_size_format(rate, progress->unit).text);
    draw(progress, fmin((double)done / (double)total, 1), text, left);
}

void pith_progress_show(pith_progress *progress, double part, const char *text) {
    double now = pith_cli_seconds();
    if (is_due(progress, now)) {
        double left = part > 0 ? (now - progress->start) * (1 - part) / part : 0;
        draw(progress, fmin(part, 1), text, fmax(left, 0));
    }
}

void pith_progress_end(pith_progress *progress) {
    if (progress->cli->bar) {
        fputs("\r\033[K", stderr);
        progress->cli->bar = false;
    }
}
