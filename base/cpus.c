/* CPUs by affinity and by quota; see cpus.h. Control groups: Linux's
 * Documentation/admin-guide/cgroup-v2.rst (cpu.max) and scheduler/sched-bwc.rst (cpu.cfs_quota_us).
 */
#include "base/cpus.h"

#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_PATH = 1024, MAX_GROUPS = 16384 };

/* Reads a file of the kernel's into text [size], NUL-terminated; false: there is none. */
static bool read_text(const char *path, char *text, size_t size) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size_t n = fread(text, 1, size - 1, file);
    text[n] = '\0';
    fclose(file);
    return n > 0;
}

/* The quota that the files of one group set; 0: none. */
static double quota_of(const char *group) {
    char path[MAX_PATH + 32];
    char text[64];
    char period[64];
    double most;
    double length;
    snprintf(path, sizeof path, "%s/cpu.max", group);
    if (read_text(path, text, sizeof text)) { /* "100000 100000", or "max 100000" */
        return sscanf(text, "%lf %lf", &most, &length) == 2 && length > 0 ? most / length : 0;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_quota_us", group);
    if (!read_text(path, text, sizeof text)) {
        return 0;
    }
    snprintf(path, sizeof path, "%s/cpu.cfs_period_us", group);
    if (!read_text(path, period, sizeof period)) {
        return 0;
    }
    most = strtod(text, NULL); /* -1: none */
    length = strtod(period, NULL);
    return most > 0 && length > 0 ? most / length : 0;
}

static double smaller(double a, double b) {
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* The smallest quota of root/place/group and the groups it lies in. In a container the path may be
 * that of the host, which does not exist there: then the first group that exists counts. */
static double quota_up(const char *root, const char *place, const char *group, size_t n_group) {
    char path[MAX_PATH];
    int n = snprintf(path, sizeof path, "%s%s%.*s", root, place, (int)n_group, group);
    size_t n_root = strlen(root) + strlen(place);
    double quota = 0;
    if (n < 0 || (size_t)n >= sizeof path) {
        return 0;
    }
    for (size_t at = (size_t)n;;) {
        path[at] = '\0';
        quota = smaller(quota, quota_of(path));
        if (at <= n_root) {
            return quota;
        }
        while (at > n_root && path[at - 1] != '/') {
            at--;
        }
        at -= at > n_root;
    }
}

/* True when "cpu" is one of a line's controllers, "cpu,cpuacct". */
static bool controls_cpu(const char *names, size_t n) {
    for (size_t at = 0; at < n;) {
        size_t end = at;
        while (end < n && names[end] != ',') {
            end++;
        }
        if (end - at == 3 && memcmp(names + at, "cpu", 3) == 0) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

/* Lines are "0::/group" (version 2) and "4:cpu,cpuacct:/group" (version 1, below a directory that
 * has the controllers' names). */
double pith_cgroup_quota(const char *groups, const char *root) {
    double quota = 0;
    for (const char *line = groups; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        const char *names = memchr(line, ':', n);
        const char *group =
            names != NULL ? memchr(names + 1, ':', n - (size_t)(names + 1 - line)) : NULL;
        if (group != NULL) {
            char place[128] = "";
            size_t n_names = (size_t)(group - names) - 1;
            size_t n_group = n - (size_t)(group + 1 - line);
            if (n_names > 0) {
                snprintf(place, sizeof place, "/%.*s", (int)n_names, names + 1);
            }
            if (n_names == 0 || controls_cpu(names + 1, n_names)) {
                quota = smaller(quota, quota_up(root, place, group + 1, n_group));
            }
        }
        line += n + (line[n] == '\n');
    }
    return quota;
}

static size_t count_allowed(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return (size_t)CPU_COUNT(&set);
    }
    /* More CPUs than the set has bits. */
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (size_t)online : 1;
}

size_t pith_cpu_count(void) {
    char groups[MAX_GROUPS];
    size_t n = count_allowed();
    if (read_text("/proc/self/cgroup", groups, sizeof groups)) {
        double quota = pith_cgroup_quota(groups, "/sys/fs/cgroup");
        size_t whole = quota >= 1 ? (size_t)quota : 1;
        n = quota > 0 && whole < n ? whole : n;
    }
    return n;
}
