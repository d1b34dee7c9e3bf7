/* What Linux says of the machine in /proc and /etc/os-release (proc(5), os-release(5)). */
#include "perf/machine.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* Copies what follows `name` and a ':' or '=' in a line, without quotes and the spaces around it.
 * Returns false when the line has another name. */
static bool read_field(const char *line, const char *name, char *out, size_t capacity) {
    size_t n = strlen(name);
    if (strncmp(line, name, n) != 0) {
        return false;
    }
    const char *value = line + n + strspn(line + n, " \t");
    if (*value != ':' && *value != '=') {
        return false;
    }
    value++;
    value += strspn(value, " \t\"");
    size_t length = strcspn(value, "\"\n");
    while (length > 0 && value[length - 1] == ' ') {
        length--;
    }
    if (length == 0) {
        return false;
    }
    snprintf(out, capacity, "%.*s", (int)length, value);
    return true;
}

static FILE *open_under(const char *root, const char *path) {
    char name[512];
    int n = snprintf(name, sizeof name, "%s%s", root, path);
    return n > 0 && (size_t)n < sizeof name ? fopen(name, "re") : NULL;
}

/* The first value of a field in a file; out stays as it is when there is none. */
static void find_field(const char *root, const char *path, const char *name, char *out,
                       size_t capacity) {
    char line[512];
    FILE *file = open_under(root, path);
    while (file != NULL && fgets(line, sizeof line, file) != NULL &&
           !read_field(line, name, out, capacity)) {
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* Virtual machines name CPUs of several generations alike ("AMD EPYC"): family and model tell them
 * apart. AArch64 has numbers only. */
static void find_cpu(const char *root, char *out, size_t capacity) {
    static const char path[] = "/proc/cpuinfo";
    char name[64] = "";
    char first[24] = "";
    char second[24] = "";
    find_field(root, path, "model name", name, sizeof name);
    find_field(root, path, "cpu family", first, sizeof first);
    find_field(root, path, "model", second, sizeof second);
    if (name[0] != 0 && first[0] != 0 && second[0] != 0) {
        snprintf(out, capacity, "%s (family %s, model %s)", name, first, second);
        return;
    }
    find_field(root, path, "CPU implementer", first, sizeof first);
    find_field(root, path, "CPU part", second, sizeof second);
    if (first[0] != 0 && second[0] != 0) {
        snprintf(out, capacity, "%s%simplementer %s, part %s", name, name[0] != 0 ? ", " : "",
                 first, second);
        return;
    }
    snprintf(out, capacity, "%s", name[0] != 0 ? name : "unknown");
}

static size_t count_cpus(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        return (size_t)CPU_COUNT(&set);
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN); /* more CPUs than the set has bits */
    return online > 0 ? (size_t)online : 1;
}

static size_t find_memory(const char *root) {
    char text[32] = "";
    find_field(root, "/proc/meminfo", "MemTotal", text, sizeof text);
    return (size_t)strtoull(text, NULL, 10) * 1024; /* "24689440 kB" */
}

static double find_load(const char *root) {
    double load = -1;
    FILE *file = open_under(root, "/proc/loadavg");
    if (file != NULL) {
        load = fscanf(file, "%lf", &load) == 1 ? load : -1;
        fclose(file);
    }
    return load;
}

void pith_machine_find(pith_machine *out, const char *root) {
    char distribution[80] = "";
    struct utsname kernel;
    find_cpu(root, out->cpu, sizeof out->cpu);
    find_field(root, "/etc/os-release", "PRETTY_NAME", distribution, sizeof distribution);
    if (uname(&kernel) != 0) {
        kernel = (struct utsname){.sysname = "unknown"};
    }
    snprintf(out->system, sizeof out->system, "%s%s%.16s %.48s %.16s", distribution,
             distribution[0] != 0 ? ", " : "", kernel.sysname, kernel.release, kernel.machine);
    out->n_cpus = count_cpus();
    out->memory_bytes = find_memory(root);
    out->load = find_load(root);
}

/* ---- Who else ran ---------------------------------------------------------------------------- */

pith_cpu_time pith_cpu_time_now(const char *root) {
    pith_cpu_time now = {0};
    double user;
    double nice;
    double system;
    double idle;
    double wait;
    double irq;
    double softirq;
    double steal;
    struct timespec own;
    double ticks = (double)sysconf(_SC_CLK_TCK);
    FILE *file = open_under(root, "/proc/stat");
    if (file == NULL) {
        return now;
    }
    if (fscanf(file, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system, &idle, &wait,
               &irq, &softirq, &steal) == 8 &&
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own) == 0 && ticks > 0) {
        double busy = (user + nice + system + irq + softirq) / ticks;
        now.all = busy + (idle + wait + steal) / ticks;
        now.steal = steal / ticks;
        now.others = busy - (double)own.tv_sec - 1e-9 * (double)own.tv_nsec;
    }
    fclose(file);
    return now;
}

/* The kernel counts in ticks, so a difference may come out a little below 0. */
static double share(double part, double all) {
    return part > 0 ? part / all : 0;
}

pith_company pith_company_of(const pith_cpu_time *before, const pith_cpu_time *after,
                             double moved) {
    pith_company company = {.moved = moved, .steal = -1, .others = -1};
    double all = after->all - before->all;
    if (before->all > 0 && all > 0) {
        company.steal = share(after->steal - before->steal, all);
        company.others = share(after->others - before->others, all);
    }
    company.busy = company.moved > PITH_BUSY_MOVED || company.steal > PITH_BUSY_STEAL ||
                   company.others > PITH_BUSY_OTHERS;
    return company;
}

double pith_moved(const double *values, size_t n) {
    double least = n > 0 ? values[0] : 0;
    double most = least;
    for (size_t i = 0; i < n; i++) {
        least = values[i] < least ? values[i] : least;
        most = values[i] > most ? values[i] : most;
    }
    return least > 0 ? most / least : 0;
}
