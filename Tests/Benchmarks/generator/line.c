/* line: people who come with a socket, join a waiting room, and wait there.
 *
 * Coming: each opens a connection and sends `join-queue` when it is in, at most `handshakes` at once. The rate is of
 * answers, the latency from the sending of a join to its answer.
 *
 * Waiting: for `hold` seconds the connections only listen. What the service spends in that time is the price of keeping
 * people informed: its CPU time and the messages. */
#include "base.h"
#include "modes.h"

#include <stdio.h>
#include <string.h>

struct line_run {
    const struct options *options;
    int64_t *sent_at;
    uint32_t joined;
    uint64_t wrong, messages, bytes;
    int64_t last_joined;
    struct histogram latency;
};

static void on_ready(struct load *load, struct connection *connection, int64_t now) {
    struct line_run *run = load->mode;
    char text[256];
    run->sent_at[connection->index] = now;
    int length = snprintf(text, sizeof text, "420[\"join-queue\",{\"eventId\":\"%s\"}]", run->options->events[0]);
    load_send(load, connection, text, (size_t)length);
}

static void on_message(struct load *load, struct connection *connection, const char *text, size_t length, int64_t now) {
    struct line_run *run = load->mode;
    if (length > 2 && memcmp(text, "42", 2) == 0) {
        run->messages++;
        run->bytes += length;
        return;
    }
    bool is_answer = length > 3 && memcmp(text, "430", 3) == 0 && memmem(text, length, "\"ok\":true", 9) != NULL;
    if (!is_answer) {
        if (run->wrong++ == 0) fprintf(stderr, "%.*s\n", (int)length, text);
        return;
    }
    run->joined++;
    run->last_joined = now;
    histogram_add(&run->latency, now - run->sent_at[connection->index], 1);
}

static int64_t until_all_joined(struct load *load, int64_t now) {
    (void)now;
    struct line_run *run = load->mode;
    load->stop = run->joined + run->wrong + load->failed >= load->count;
    return INT64_MAX;
}

static int64_t until_time(struct load *load, int64_t now) {
    (void)load, (void)now;
    return INT64_MAX;
}

int run_line(struct load *load, const struct options *options) {
    static struct line_run run;
    run.options = options;
    if (options->event_count == 0 || load->token_count == 0) give_up("--events and --tokens are needed");
    run.sent_at = must_alloc(load->count, sizeof(int64_t));
    load->mode = &run;
    load->on_ready = on_ready;
    load->on_message = on_message;
    load->on_tick = until_all_joined;
    struct usage from = usage_now(&options->servers);
    load_run(load, load->count, INT64_MAX);
    struct usage to = usage_now(&options->servers);
    double coming = (double)(run.last_joined - from.at_ns) / 1e9;
    printf("{\"mode\":\"line\",\"joins_per_s\":%.1f,\"wrong\":%llu,", run.joined / coming,
           (unsigned long long)run.wrong);
    histogram_print(&run.latency, "latency_ms");
    printf(",\"coming\":{");
    usage_print(&from, &to);
    run.messages = run.bytes = 0;
    load->stop = false;
    load->on_tick = until_time;
    from = usage_now(&options->servers);
    load_run(load, load->count, now_ns() + (int64_t)(options->hold * 1e9));
    to = usage_now(&options->servers);
    printf("},\"messages_per_s\":%.1f,\"bytes_per_s\":%.1f,", (double)run.messages / options->hold,
           (double)run.bytes / options->hold);
    usage_print(&from, &to);
    print_end(load);
    return load->failed == 0 && run.wrong == 0 ? 0 : 1;
}
