/* rpc: events in and acknowledgements out.
 *
 * Closed loop (`--depth`): each connection keeps so many requests in flight. This finds the capacity. Its latencies
 * say little: a server that stalls also stalls the requests that would have seen it.
 *
 * Open loop (`--rate`): request n is due at start + n/rate, on connection n mod count, whatever came back so far, and
 * its latency counts from that instant. A stall delays every request behind it, and all of them are recorded.
 *
 * Seats (`--events`): the requests are Holdfast's `seat-selection-changed`. Each connection has two seats of its own and
 * wants now the one, now the other, so that each request takes a seat and gives one back. Connections with the same
 * event also get the messages about each other's seats. */
#include "base.h"
#include "modes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rpc_run {
    const struct options *options;
    const struct request_shape *shape;
    size_t answer_head_length;
    char tail[MAX_SIZE + 128]; /* what follows the number, the same for each request */
    size_t tail_length;
    size_t answer_length; /* of what follows the number in the answer */
    int64_t begin, measure_from, measure_to;
    uint64_t acks, wrong;
    struct histogram latency;
    /* Closed loop. A connection's requests have the ids slot + depth, slot + 2·depth, … */
    int64_t *sent_at; /* [connection · depth + slot] */
    /* Open loop. */
    uint32_t total, next, answered_in_all;
    uint8_t *answered;
    int64_t latest_send_ns;
    /* Seats. */
    uint32_t *turns; /* requests of each connection so far */
    uint64_t messages;
};

enum { SEATS_PER_ROW = 20 };

static size_t write_seat_request(struct load *load, struct connection *connection, uint64_t id, char *text) {
    struct rpc_run *run = load->mode;
    uint32_t events = run->options->event_count, index = connection->index;
    uint32_t seat = 2 * (index / events) + run->turns[index]++ % 2;
    return (size_t)sprintf(text, "42%llu[\"seat-selection-changed\",{\"eventId\":\"%s\",\"seats\":[\"A-%u-%u\"]}]",
        (unsigned long long)id, run->options->events[index % events], seat / SEATS_PER_ROW + 1,
        seat % SEATS_PER_ROW + 1);
}

static void send_request(struct load *load, struct connection *connection, uint64_t id) {
    struct rpc_run *run = load->mode;
    char text[MAX_SIZE + 256];
    if (run->options->event_count > 0) {
        load_send(load, connection, text, write_seat_request(load, connection, id, text));
        return;
    }
    int head = sprintf(text, "%s%llu", run->shape->head, (unsigned long long)id);
    memcpy(text + head, run->tail, run->tail_length);
    load_send(load, connection, text, (size_t)head + run->tail_length);
}

/* Returns the number of the request that this answers, -1 if it is no answer or not of the length it must have. */
static int64_t read_ack(const struct rpc_run *run, const char *text, size_t length) {
    size_t start = run->answer_head_length, at = start;
    int64_t id = 0;
    if (length < start || memcmp(text, run->shape->answer_head, start) != 0) return -1;
    for (; at < length && text[at] >= '0' && text[at] <= '9' && at < start + 12; at++) id = id * 10 + (text[at] - '0');
    if (run->options->event_count > 0)
        return at > start && memmem(text + at, length - at, "\"ok\":true", 9) != NULL ? id : -1;
    return at > start && length - at == run->answer_length ? id : -1;
}

static void on_closed_loop_ack(struct load *load, struct connection *connection, const char *text, size_t length,
    int64_t now) {
    struct rpc_run *run = load->mode;
    if (length > 1 && memcmp(text, "42", 2) == 0) { /* a greeting, or a seat's message */
        if (now >= run->measure_from && now < run->measure_to) run->messages++;
        return;
    }
    int64_t id = read_ack(run, text, length);
    if (id < 0) {
        run->wrong++;
        return;
    }
    uint32_t depth = run->options->depth;
    int64_t *sent_at = &run->sent_at[(uint64_t)connection->index * depth + (uint64_t)id % depth];
    if (now >= run->measure_from && now < run->measure_to) {
        run->acks++;
        histogram_add(&run->latency, now - *sent_at, 1);
    }
    if (now >= run->measure_to) return;
    *sent_at = now;
    send_request(load, connection, (uint64_t)id + depth);
}

static int64_t due_at(const struct rpc_run *run, uint32_t request) {
    return run->begin + (int64_t)((double)request / run->options->rate * 1e9);
}

static void on_open_loop_ack(struct load *load, struct connection *connection, const char *text, size_t length,
    int64_t now) {
    (void)connection;
    struct rpc_run *run = load->mode;
    if (length > 1 && memcmp(text, "42", 2) == 0) {
        if (now >= run->measure_from && now < run->measure_to) run->messages++;
        return;
    }
    int64_t id = read_ack(run, text, length);
    if (id < 0 || id >= run->total || run->answered[id]) {
        run->wrong++;
        return;
    }
    run->answered[id] = 1;
    run->answered_in_all++;
    int64_t due = due_at(run, (uint32_t)id);
    if (due < run->measure_from) return;
    run->acks++;
    histogram_add(&run->latency, now - due, 1);
}

static int64_t open_loop_tick(struct load *load, int64_t now) {
    struct rpc_run *run = load->mode;
    while (run->next < run->total && due_at(run, run->next) <= now) {
        struct connection *connection = &load->connections[run->next % load->count];
        int64_t late = now_ns() - due_at(run, run->next);
        if (late > run->latest_send_ns) run->latest_send_ns = late;
        send_request(load, connection, run->next++);
        load_flush(load, connection);
    }
    load->stop = run->answered_in_all == run->total;
    return run->next < run->total ? due_at(run, run->next) : INT64_MAX;
}

static int64_t wait_for_time(struct load *load, int64_t now) {
    (void)load, (void)now;
    return INT64_MAX;
}

static void on_ready(struct load *load, struct connection *connection, int64_t now) {
    (void)load, (void)connection, (void)now;
}

/* Runs the warm-up and the measured time; the two readings of the CPU clocks enclose exactly the latter. */
static void closed_loop(struct load *load, struct usage *from, struct usage *to) {
    struct rpc_run *run = load->mode;
    uint32_t depth = run->options->depth;
    run->sent_at = must_alloc((uint64_t)load->count * depth, sizeof(int64_t));
    load->on_message = on_closed_loop_ack;
    load->on_tick = wait_for_time;
    for (uint32_t i = 0; i < load->count; i++) {
        for (uint32_t slot = 0; slot < depth; slot++) {
            run->sent_at[(uint64_t)i * depth + slot] = now_ns();
            send_request(load, &load->connections[i], slot + depth); /* from above 0, which Centrifuge takes for none */
        }
        load_flush(load, &load->connections[i]);
    }
    load_run(load, load->count, run->measure_from);
    *from = usage_now(&run->options->servers);
    load_run(load, load->count, run->measure_to);
    *to = usage_now(&run->options->servers);
    free(run->sent_at);
}

static void open_loop(struct load *load, struct usage *from, struct usage *to) {
    struct rpc_run *run = load->mode;
    run->total = (uint32_t)(run->options->rate * (run->options->warm_up + run->options->seconds));
    run->answered = must_alloc(run->total, 1);
    load->on_message = on_open_loop_ack;
    load->on_tick = open_loop_tick;
    load_run(load, load->count, run->measure_from);
    *from = usage_now(&run->options->servers);
    load_run(load, load->count, run->measure_to);
    *to = usage_now(&run->options->servers);
    if (run->answered_in_all < run->total) load_run(load, load->count, now_ns() + (int64_t)(run->options->grace * 1e9));
    /* An answer that never came is at least as late as the end of the run. */
    int64_t end = now_ns();
    for (uint32_t i = 0; i < run->total; i++)
        if (!run->answered[i] && due_at(run, i) >= run->measure_from)
            histogram_add(&run->latency, end - due_at(run, i), 1);
    free(run->answered);
}

static void prepare_request(struct rpc_run *run, const struct protocol *protocol) {
    run->shape = run->options->seat || run->options->event_count > 0 ? &protocol->seat : &protocol->echo;
    if (run->shape->head == NULL) give_up("no such request in the protocol %s", protocol->name);
    run->answer_head_length = strlen(run->shape->answer_head);
    run->tail_length = (size_t)sprintf(run->tail, "%s", run->shape->body);
    run->answer_length = strlen(run->shape->answer_body);
    if (run->shape == &protocol->seat) return;
    memset(run->tail + run->tail_length, 'x', run->options->size);
    memcpy(run->tail + run->tail_length + run->options->size, "\"]", 2);
    run->tail_length += run->options->size + 2;
    run->answer_length += run->options->size + 2;
}

int run_rpc(struct load *load, const struct options *options) {
    static struct rpc_run run;
    bool paced = options->rate > 0;
    run.options = options;
    prepare_request(&run, load->protocol);
    load->mode = &run;
    run.turns = must_alloc(load->count, sizeof(uint32_t));
    load->on_ready = on_ready;
    load->on_message = on_closed_loop_ack;
    run.measure_to = INT64_MAX;
    connect_all(load);

    struct usage from, to;
    run.begin = now_ns() + 10 * NS_PER_MS;
    run.measure_from = run.begin + (int64_t)(options->warm_up * 1e9);
    run.measure_to = run.measure_from + (int64_t)(options->seconds * 1e9);
    if (paced) open_loop(load, &from, &to);
    else closed_loop(load, &from, &to);

    printf("{\"mode\":\"rpc\",\"paced\":%s,\"acks_per_s\":%.1f,\"messages_per_s\":%.1f,\"wrong\":%llu,",
           paced ? "true" : "false", (double)run.acks / options->seconds, (double)run.messages / options->seconds,
           (unsigned long long)run.wrong);
    if (paced)
        printf("\"rate\":%.1f,\"missing\":%u,\"latest_send_ms\":%.3f,", options->rate, run.total - run.answered_in_all,
               (double)run.latest_send_ns / 1e6);
    histogram_print(&run.latency, "latency_ms");
    putchar(',');
    usage_print(&from, &to);
    print_end(load);
    return load->failed == 0 && run.wrong == 0 ? 0 : 1;
}
