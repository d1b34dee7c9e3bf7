/* How many CPUs this process may use. */
#ifndef PITH_BASE_CPUS_H
#define PITH_BASE_CPUS_H

#include <stddef.h>

/* At least 1: the CPUs that the affinity mask allows (taskset, cpuset), and no more than the whole
 * CPUs of the control group's quota. A thread beyond the quota would be stopped for the rest of a
 * period in the middle of a loop, while the others wait for it. */
size_t pith_cpu_count(void);

/* The quota in CPUs of the control groups (version 1 or 2) that `groups`, the text of
 * /proc/self/cgroup, names below `root`, usually /sys/fs/cgroup: the smallest one of a group and
 * those it lies in; 0: there is none. */
double pith_cgroup_quota(const char *groups, const char *root);

#endif
