/* connect: how fast connections come up, and what an idle one costs.
 *
 * At most `handshakes` are under way at once, so the rate is the server's and not that of a full backlog. Memory is
 * the difference between an empty server and one that holds all connections, after `hold` seconds of idling. */
#include "base.h"
#include "modes.h"

#include <stdio.h>

struct connect_run {
    uint32_t target;
    int64_t last_ready;
};

static void on_ready(struct load *load, struct connection *connection, int64_t now) {
    (void)connection;
    struct connect_run *run = load->mode;
    run->last_ready = now;
}

/* Servers may greet a client with events; an idle connection has no other traffic. */
static void on_message(struct load *load, struct connection *connection, const char *text, size_t length, int64_t now) {
    (void)load, (void)connection, (void)text, (void)length, (void)now;
}

static int64_t on_tick(struct load *load, int64_t now) {
    (void)now;
    struct connect_run *run = load->mode;
    load->stop = load->ready + load->failed >= run->target;
    return INT64_MAX;
}

static int64_t never_stop(struct load *load, int64_t now) {
    (void)load, (void)now;
    return INT64_MAX;
}

static void idle(struct load *load, double seconds) {
    load->on_tick = never_stop;
    load_run(load, load->opened, now_ns() + (int64_t)(seconds * 1e9));
    load->on_tick = on_tick;
}

void print_end(const struct load *load) {
    printf(",\"connections\":%u,\"failed\":%u,\"first_failure\":\"%s\",\"heartbeats\":%llu}\n",
           load->ready, load->failed, load->first_failure == NULL ? "" : load->first_failure,
           (unsigned long long)load->heartbeats);
}

int run_connect(struct load *load, const struct options *options) {
    struct connect_run run = {.target = 1};
    load->mode = &run;
    load->on_ready = on_ready;
    load->on_message = on_message;
    load->on_tick = on_tick;

    /* What a server allocates once, at its first connection, is not the price of a connection. One is enough for
     * that, and it stays open: a closed one would leave memory for the next to use. */
    load_run(load, 1, INT64_MAX);
    if (load->failed > 0) give_up("the first connection failed: %s", load->first_failure);
    idle(load, 0.5);
    struct memory empty = memory_of(&options->servers);
    struct usage from = usage_now(&options->servers);
    run.target = load->count;
    load_run(load, load->count, INT64_MAX);
    struct usage to = usage_now(&options->servers);
    to.at_ns = run.last_ready > from.at_ns ? run.last_ready : to.at_ns;
    idle(load, options->hold);
    struct memory full = memory_of(&options->servers);

    double added = load->ready > 1 ? load->ready - 1 : 1;
    printf("{\"mode\":\"connect\",\"connects_per_s\":%.1f,"
           "\"rss_bytes_per_connection\":%.0f,\"pss_bytes_per_connection\":%.0f,",
           added / ((double)(to.at_ns - from.at_ns) / 1e9), (double)(full.rss_bytes - empty.rss_bytes) / added,
           (double)(full.pss_bytes - empty.pss_bytes) / added);
    printf("\"rss_bytes_empty\":%lld,\"authenticated\":%s,", (long long)empty.rss_bytes,
           load->token_count > 0 ? "true" : "false");
    histogram_print(&load->handshake, "handshake_ms");
    putchar(',');
    usage_print(&from, &to);
    print_end(load);
    return load->failed == 0 ? 0 : 1;
}
