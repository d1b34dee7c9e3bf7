/* What a benchmark says of the machine: read from files made for the test, and the judgement of a
 * busy one. */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "perf/machine.h"
#include "tests/support.h"
#include "tests/test.h"

typedef struct fake_file {
    const char *path, *text;
} fake_file;

/* A directory with /proc and /etc of its own. */
static const char *make_root(const char *name, const fake_file *files, size_t n) {
    const char *root = test_path(name);
    char path[512];
    const char *const directories[] = {"", "/proc", "/etc"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", root, directories[i]);
        CHECK(mkdir(path, 0700) == 0, "%s cannot be made", path);
    }
    for (size_t i = 0; i < n; i++) {
        snprintf(path, sizeof path, "%s%s", root, files[i].path);
        FILE *file = fopen(path, "w");
        CHECK(file != NULL && fputs(files[i].text, file) >= 0 && fclose(file) == 0, "%s", path);
    }
    return root;
}

TEST(bench_machine, is_read_from_proc) {
    static const fake_file files[] = {
        {"/proc/cpuinfo", "processor\t: 0\nvendor_id\t: AuthenticAMD\ncpu family\t: 26\n"
                          "model\t\t: 2\nmodel name\t: AMD EPYC 9R45 \nstepping\t: 1\n\n"
                          "processor\t: 1\nmodel name\t: Another\n"},
        {"/proc/meminfo", "MemTotal:       24689440 kB\nMemFree: 1 kB\n"},
        {"/proc/loadavg", "0.52 0.30 0.10 1/123 4567\n"},
        {"/etc/os-release", "NAME=\"Debian\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n"},
    };
    pith_machine m;
    pith_machine_find(&m, make_root("machine", files, sizeof files / sizeof files[0]));
    CHECK(strcmp(m.cpu, "AMD EPYC 9R45 (family 26, model 2)") == 0, "cpu \"%s\"", m.cpu);
    CHECK(m.memory_bytes == (size_t)24689440 * 1024, "%zu bytes", m.memory_bytes);
    CHECK(m.load == 0.52, "load %g", m.load);
    const char *system = "Debian GNU/Linux 12 (bookworm), Linux ";
    CHECK(strncmp(m.system, system, strlen(system)) == 0, "system \"%s\"", m.system);
    CHECK(m.n_cpus >= 1, "%zu CPUs", m.n_cpus);
}

TEST(bench_machine, names_processors_without_a_name) {
    static const struct {
        const char *text, *cpu;
    } cases[] = {
        {"processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n",
         "implementer 0x41, part 0xd40"},
        {"model name\t: ARMv8\nCPU implementer\t: 0x41\nCPU part\t: 0xd40\n",
         "ARMv8, implementer 0x41, part 0xd40"},
        {"model name\t: Some CPU\n", "Some CPU"},
        {"model name\t:\nmodel\t: 3\n", "unknown"},
        {"", "unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char name[32];
        pith_machine m;
        fake_file file = {"/proc/cpuinfo", cases[i].text};
        snprintf(name, sizeof name, "nameless%zu", i);
        pith_machine_find(&m, make_root(name, &file, 1));
        CHECK(strcmp(m.cpu, cases[i].cpu) == 0, "case %zu: \"%s\", expected \"%s\"", i, m.cpu,
              cases[i].cpu);
        CHECK(m.memory_bytes == 0 && m.load < 0, "case %zu: %zu bytes, load %g", i, m.memory_bytes,
              m.load);
    }
}

static double own_seconds(void) {
    struct timespec now;
    CHECK(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now) == 0, "no CPU time");
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

TEST(bench_machine, cpu_time_of_others_and_of_the_host) {
    static const fake_file before = {"/proc/stat",
                                     "cpu  1000 0 500 8000 300 50 50 100 7 7\ncpu0 1\n"};
    static const fake_file after = {"/proc/stat",
                                    "cpu  1300 20 580 8490 310 60 70 170 9 9\ncpu0 1\n"};
    pith_cpu_time a = pith_cpu_time_now(make_root("stat1", &before, 1));
    double start = own_seconds();
    while (own_seconds() < start + 0.02) {
    }
    pith_cpu_time b = pith_cpu_time_now(make_root("stat2", &after, 1));
    double ticks = (b.steal - a.steal) / 70;
    CHECK(ticks > 0 && fabs(b.all - a.all - 1000 * ticks) < 1e-6, "%g seconds in all",
          b.all - a.all);
    /* This process took some of the time itself. */
    CHECK(b.others - a.others <= 430 * ticks - 0.02 + 1e-6 && b.others - a.others > 400 * ticks - 1,
          "%g seconds of others", b.others - a.others);
    pith_company company = pith_company_of(&a, &b, 1.1);
    CHECK(fabs(company.steal - 0.07) < 1e-9 && company.others > 0.3 && company.others < 0.43,
          "shares %g and %g", company.steal, company.others);
    CHECK(company.busy && company.moved == 1.1, "43%% of the time went to others");
    static const fake_file bad = {"/proc/stat", "intr 1\n"};
    pith_cpu_time none = pith_cpu_time_now(make_root("stat3", &bad, 1));
    CHECK(none.all == 0, "%g seconds out of nothing", none.all);
    company = pith_company_of(&none, &none, 1.1);
    CHECK(company.steal < 0 && company.others < 0 && !company.busy, "shares of nothing");
}

TEST(bench_machine, a_busy_machine_is_one_above_a_limit) {
    static const struct {
        double moved, steal, others;
        bool busy;
    } cases[] = {{1.05, 0, 0, false},   {1.29, 1, 9, false}, {1.31, 0, 0, true},
                 {0, 0, 0, false},      {1.05, 3, 0, true},  {1.05, 0, 11, true},
                 {1.05, -1, -1, false}, {2.5, -1, -1, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        pith_cpu_time a = {.all = 1000, .steal = 10, .others = 20};
        pith_cpu_time b = {.all = 1100,
                           .steal = 10 + cases[i].steal,
                           .others = 20 + cases[i].others};
        pith_company c = pith_company_of(&a, &b, cases[i].moved);
        CHECK(c.busy == cases[i].busy, "case %zu: %s", i, c.busy ? "busy" : "not busy");
        CHECK(c.steal >= 0 && c.others >= 0, "case %zu: shares %g and %g", i, c.steal, c.others);
    }
}

TEST(bench_machine, limits_move_by_the_largest_over_the_smallest) {
    CHECK(pith_moved((const double[]){50, 40, 80}, 3) == 2, "80 over 40");
    CHECK(pith_moved((const double[]){50}, 1) == 1, "one figure");
    CHECK(pith_moved((const double[]){50, 0}, 2) == 0, "a figure that is not there");
    CHECK(pith_moved(NULL, 0) == 0, "no figures");
}

TEST(bench_machine, this_one_has_a_processor) {
    pith_machine m;
    pith_machine_find(&m, "");
    CHECK(m.cpu[0] != 0 && m.system[0] != 0 && m.n_cpus >= 1 && m.memory_bytes > 1 << 20,
          "%s, %s, %zu CPUs, %zu bytes", m.cpu, m.system, m.n_cpus, m.memory_bytes);
    pith_cpu_time now = pith_cpu_time_now("");
    CHECK(now.all > 0 && now.others >= 0 && now.others < now.all, "%g of %g", now.others, now.all);
}
