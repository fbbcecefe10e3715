/* Who used the cores, and how much memory the server holds: read from /proc, printed as differences. */
#ifndef USAGE_H
#define USAGE_H

#include <stdint.h>
#include <sys/types.h>

enum { MAX_SERVERS = 4 };

/* The processes under test, and one that they lean on: a store on the generator's core. */
struct servers {
    uint32_t count;
    pid_t pids[MAX_SERVERS];
    pid_t store; /* 0: none */
};

struct usage {
    int64_t at_ns;
    int64_t generator_ns; /* CPU time of this process */
    int64_t server_ns;    /* CPU time of the servers, all threads; in steps of 10 ms */
    int64_t store_ns;     /* CPU time of the store; in steps of 10 ms */
    int64_t machine_ns;   /* CPU time of all processes together, and what the hypervisor took; in steps of 10 ms */
};

struct memory {
    int64_t rss_bytes; /* resident: what `ps` shows */
    int64_t pss_bytes; /* the same with shared pages divided by the number of processes that share them */
};

struct usage usage_now(const struct servers *servers);

/* `"seconds":…,"generator_cpu":…,"server_cpu":…,"store_cpu":…,"others_cpu":…`, each CPU figure in cores. `others_cpu` far above 0
 * says that the machine was busy with something else and the figures are too low. */
void usage_print(const struct usage *from, const struct usage *to);

struct memory memory_of(const struct servers *servers);

#endif
