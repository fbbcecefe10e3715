/* reconnect: all connections are cut at once, and all come back at once.
 *
 * The cut is a reset of every connection, as when a network goes. In the same instant every client opens a new
 * connection; one that is refused or loses its way is tried again after 250 ms, as often as four times. The time runs
 * from the first reset to the last client that is back. */
#include "base.h"
#include "modes.h"

#include <stdio.h>

struct reconnect_run {
    int64_t cut_at, last_back;
    struct histogram since_cut;
};

static void on_ready(struct load *load, struct connection *connection, int64_t now) {
    (void)connection;
    struct reconnect_run *run = load->mode;
    if (run->cut_at == 0) return;
    run->last_back = now;
    histogram_add(&run->since_cut, now - run->cut_at, 1);
}

static void on_message(struct load *load, struct connection *connection, const char *text, size_t length, int64_t now) {
    (void)load, (void)connection, (void)text, (void)length, (void)now;
}

static int64_t until_all_are_back(struct load *load, int64_t now) {
    (void)now;
    load->stop = load->ready + load->failed == load->count;
    return INT64_MAX;
}

static int64_t never_stop(struct load *load, int64_t now) {
    (void)load, (void)now;
    return INT64_MAX;
}

int run_reconnect(struct load *load, const struct options *options) {
    static struct reconnect_run run;
    load->mode = &run;
    load->on_ready = on_ready;
    load->on_message = on_message;
    connect_all(load);
    load->on_tick = never_stop;
    load_run(load, load->count, now_ns() + 500 * NS_PER_MS);
    if (load->failed > 0) give_up("a connection was lost before the cut: %s", load->first_failure);

    struct usage from = usage_now(&options->servers);
    run.cut_at = now_ns();
    load_close(load);
    load->handshakes = load->count;
    load->on_tick = until_all_are_back;
    load_run(load, load->count, INT64_MAX);
    struct usage to = usage_now(&options->servers);

    printf("{\"mode\":\"reconnect\",\"restored_s\":%.4f,\"retried\":%u,\"authenticated\":%s,",
           (double)(run.last_back - run.cut_at) / 1e9, load->retried, load->token_count > 0 ? "true" : "false");
    histogram_print(&run.since_cut, "since_cut_ms");
    putchar(',');
    usage_print(&from, &to);
    print_end(load);
    return load->failed == 0 ? 0 : 1;
}
