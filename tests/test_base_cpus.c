/* CPU quotas of control groups, in directories made for the test. */
#include "base/cpus.h"
#include "tests/support.h"
#include "tests/test.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* Writes root/name, whose directories are made. */
static void write_file(const char *root, const char *name, const char *text) {
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", root, name);
    for (char *at = path + strlen(root); (at = strchr(at + 1, '/')) != NULL;) {
        *at = '\0';
        mkdir(path, 0700);
        *at = '/';
    }
    FILE *file = fopen(path, "w");
    CHECK(file != NULL, "cannot write %s", path);
    fputs(text, file);
    fclose(file);
}

static void check(const char *root, const char *groups, double expected) {
    double quota = pith_cgroup_quota(groups, root);
    CHECK(quota == expected, "'%s': %g CPUs, expected %g", groups, quota, expected);
}

TEST(base_cpus, version_2_has_one_file) {
    const char *root = test_path("v2");
    mkdir(root, 0700);
    write_file(root, "a/b/cpu.max", "150000 100000\n");
    write_file(root, "a/cpu.max", "max 100000\n");
    write_file(root, "tight/b/cpu.max", "max 100000\n");
    write_file(root, "tight/cpu.max", "50000 100000\n");
    check(root, "0::/a/b\n", 1.5);
    check(root, "0::/a\n", 0);
    check(root, "0::/tight/b\n", 0.5);
    check(root, "0::/\n", 0);
    check(root, "0::/not/there\n", 0);
    check(root, "", 0);
    check(root, "nonsense\n:\n::\n", 0);
    write_file(root, "cpu.max",
               "200000 100000\n"); /* a container that sees its own group as root */
    check(root, "0::/system.slice/docker-1.scope\n", 2);
    check(root, "0::/a/b", 1.5);
}

TEST(base_cpus, version_1_has_a_directory_for_each_controller) {
    const char *root = test_path("v1");
    mkdir(root, 0700);
    write_file(root, "cpu,cpuacct/x/cpu.cfs_quota_us", "300000\n");
    write_file(root, "cpu,cpuacct/x/cpu.cfs_period_us", "100000\n");
    write_file(root, "cpu,cpuacct/y/cpu.cfs_quota_us", "-1\n");
    write_file(root, "cpu,cpuacct/y/cpu.cfs_period_us", "100000\n");
    write_file(root, "memory/x/cpu.cfs_quota_us", "100000\n");
    write_file(root, "memory/x/cpu.cfs_period_us", "100000\n");
    check(root, "5:memory:/x\n4:cpu,cpuacct:/x\n0::/\n", 3);
    check(root, "5:memory:/x\n4:cpu,cpuacct:/y\n", 0);
    check(root, "3:cpuset:/x\n2:cpuacct:/x\n", 0);
}

TEST(base_cpus, there_is_one_at_least) {
    CHECK(pith_cpu_count() >= 1, "none");
}
