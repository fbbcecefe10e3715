#include "usage.h"

#include "base.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static int64_t ticks_to_ns(int64_t ticks) {
    return ticks * (NS_PER_S / sysconf(_SC_CLK_TCK));
}

/* Fields 14 and 15 of /proc/PID/stat. The name in field 2 may hold spaces, so the count starts behind its bracket. */
static int64_t cpu_ns_of(pid_t server) {
    char path[64], line[1024];
    unsigned long long user = 0, system = 0;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)server);
    FILE *file = fopen(path, "r");
    if (file == NULL) give_up("the server (process %d) is gone", (int)server);
    char *bracket = fgets(line, sizeof line, file) == NULL ? NULL : strrchr(line, ')');
    fclose(file);
    if (bracket == NULL ||
        sscanf(bracket + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu", &user, &system) != 2)
        give_up("%s cannot be read", path);
    return ticks_to_ns((int64_t)(user + system));
}

/* Interrupts are left out: on loopback they are the work of the two processes that we count anyway. */
static int64_t machine_cpu_ns(void) {
    unsigned long long user, nice, system, idle, wait, hard, soft, stolen;
    FILE *file = fopen("/proc/stat", "r");
    if (file == NULL) give_up("/proc/stat cannot be opened");
    int fields = fscanf(file, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &user, &nice, &system, &idle, &wait, &hard,
                        &soft, &stolen);
    fclose(file);
    if (fields != 8) give_up("/proc/stat cannot be read");
    return ticks_to_ns((int64_t)(user + nice + system + stolen));
}

struct usage usage_now(const struct servers *servers) {
    struct timespec own;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own);
    int64_t server_ns = 0;
    for (uint32_t i = 0; i < servers->count; i++) server_ns += cpu_ns_of(servers->pids[i]);
    return (struct usage){
        .at_ns = now_ns(),
        .generator_ns = (int64_t)own.tv_sec * NS_PER_S + own.tv_nsec,
        .server_ns = server_ns,
        .store_ns = servers->store == 0 ? 0 : cpu_ns_of(servers->store),
        .machine_ns = machine_cpu_ns(),
    };
}

void usage_print(const struct usage *from, const struct usage *to) {
    double wall = (double)(to->at_ns - from->at_ns);
    double generator = (double)(to->generator_ns - from->generator_ns) / wall;
    double server = (double)(to->server_ns - from->server_ns) / wall;
    double store = (double)(to->store_ns - from->store_ns) / wall;
    double others = (double)(to->machine_ns - from->machine_ns) / wall - generator - server - store;
    printf("\"seconds\":%.3f,\"generator_cpu\":%.3f,\"server_cpu\":%.3f,\"store_cpu\":%.3f,\"others_cpu\":%.3f",
           wall / 1e9, generator, server, store, others > 0 ? others : 0);
}

static struct memory memory_of_one(pid_t server) {
    char path[64], line[256];
    long long rss_kb = -1, pss_kb = -1;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)server);
    FILE *file = fopen(path, "r");
    if (file == NULL) give_up("%s cannot be opened", path);
    while (fgets(line, sizeof line, file) != NULL) {
        sscanf(line, "Rss: %lld", &rss_kb);
        sscanf(line, "Pss: %lld", &pss_kb);
    }
    fclose(file);
    if (rss_kb < 0 || pss_kb < 0) give_up("%s has no Rss or Pss", path);
    return (struct memory){.rss_bytes = rss_kb * 1024, .pss_bytes = pss_kb * 1024};
}

struct memory memory_of(const struct servers *servers) {
    struct memory sum = {0};
    for (uint32_t i = 0; i < servers->count; i++) {
        struct memory one = memory_of_one(servers->pids[i]);
        sum.rss_bytes += one.rss_bytes;
        sum.pss_bytes += one.pss_bytes;
    }
    return sum;
}
