/* fanout: one publisher, a room full of subscribers.
 *
 * Window (`--window`): the publisher keeps so many messages on their way; the next one leaves when the oldest has
 * reached its last subscriber. This finds the capacity in deliveries per second, without an endless queue.
 *
 * Open loop (`--rate`): message n is due at start + n/rate. A delivery's latency counts from that instant, so the
 * time a message spent behind its predecessors is in it. Deliveries that never came are recorded as late as the end.
 *
 * Stalled (`--stalled`): so many of the subscribers join and read nothing from then on, with little room in their kernel's
 * buffers. What they miss is not counted; what the server does about them shows in the latency of the others. */
#include "base.h"
#include "modes.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A message carries its number in ten digits at the front of its text; the rest is filler. */
enum { DIGITS = 10 };

struct fanout_run {
    const struct options *options;
    uint32_t subscribers, joined;
    uint32_t audience; /* those of the subscribers who read: the first ones */
    bool paced;
    char text[MAX_SIZE + 256]; /* the publisher's packet; its digits are rewritten for each message */
    size_t text_length, digits_at;
    size_t delivery_length, joined_length; /* of the protocol's marks */
    int64_t begin, measure_from, measure_to;
    uint32_t next;    /* number of the next message to send */
    uint32_t oldest;  /* lowest number that has not reached everybody */
    uint32_t total;   /* open loop: messages in all */
    uint32_t *missing; /* deliveries that message n still lacks; in the window mode at n mod MAX_WINDOW */
    uint32_t *expected; /* per subscriber, the number that has to come next */
    uint64_t deliveries, misordered;
    int64_t latest_send_ns;
    struct histogram latency;
};

static uint32_t *missing_of(struct fanout_run *run, uint32_t message) {
    return &run->missing[run->paced ? message : message % MAX_WINDOW];
}

static int64_t due_at(const struct fanout_run *run, uint32_t message) {
    return run->begin + (int64_t)((double)message / run->options->rate * 1e9);
}

static struct connection *publisher(struct load *load) {
    struct fanout_run *run = load->mode;
    return &load->connections[run->subscribers];
}

static void publish(struct load *load) {
    struct fanout_run *run = load->mode;
    uint32_t number = run->next++;
    *missing_of(run, number) = run->audience;
    for (int i = DIGITS - 1; i >= 0; i--, number /= 10)
        run->text[run->digits_at + (size_t)i] = (char)('0' + number % 10);
    load_send(load, publisher(load), run->text, run->text_length);
}

static void on_ready(struct load *load, struct connection *connection, int64_t now) {
    (void)now;
    struct fanout_run *run = load->mode;
    const char *join = load->protocol->join;
    /* The publisher stays outside the room. */
    if (connection->index == run->subscribers || join == NULL) run->joined++;
    else load_send(load, connection, join, strlen(join));
}

static void on_delivery(struct load *load, struct connection *connection, const char *text, int64_t now) {
    struct fanout_run *run = load->mode;
    uint32_t number = 0;
    for (size_t i = 0; i < DIGITS; i++) number = number * 10 + (uint32_t)(text[run->delivery_length + i] - '0');
    if (number != run->expected[connection->index]) run->misordered++;
    if (number < run->oldest || number >= run->next) return;
    run->expected[connection->index] = number + 1;
    --*missing_of(run, number);
    if (now >= run->measure_from && now < run->measure_to) run->deliveries++;
    if (run->paced && due_at(run, number) >= run->measure_from)
        histogram_add(&run->latency, now - due_at(run, number), 1);
    while (run->oldest < run->next && *missing_of(run, run->oldest) == 0) run->oldest++;
}

static void on_message(struct load *load, struct connection *connection, const char *text, size_t length, int64_t now) {
    struct fanout_run *run = load->mode;
    const struct protocol *protocol = load->protocol;
    if (connection->index == run->subscribers) return; /* answers to the publisher */
    if (connection->index >= run->audience && run->begin != 0) return;
    if (length >= run->delivery_length + run->options->size &&
        memcmp(text, protocol->delivery, run->delivery_length) == 0)
        return on_delivery(load, connection, text, now);
    if (protocol->join != NULL && length >= run->joined_length &&
        memcmp(text, protocol->joined, run->joined_length) == 0)
        run->joined++;
}

static int64_t wait_for_joins(struct load *load, int64_t now) {
    (void)now;
    struct fanout_run *run = load->mode;
    load->stop = run->joined == load->count || load->failed > 0;
    return INT64_MAX;
}

/* Runs between batches of sockets, so a window that opened while a batch was read is filled by one send. */
static int64_t keep_window(struct load *load, int64_t now) {
    struct fanout_run *run = load->mode;
    if (load->failed > 0) give_up("a connection was lost: %s", load->first_failure);
    while (now < run->measure_to && run->next - run->oldest < run->options->window) publish(load);
    load_flush(load, publisher(load));
    return INT64_MAX;
}

static int64_t keep_pace(struct load *load, int64_t now) {
    struct fanout_run *run = load->mode;
    while (run->next < run->total && due_at(run, run->next) <= now) {
        int64_t late = now_ns() - due_at(run, run->next);
        if (late > run->latest_send_ns) run->latest_send_ns = late;
        publish(load);
        load_flush(load, publisher(load));
    }
    load->stop = run->oldest == run->total || load->failed > 0;
    return run->next < run->total ? due_at(run, run->next) : INT64_MAX;
}

/* What every subscriber should have had by now and has not, counted as late as this very moment. */
static uint64_t record_missing(struct fanout_run *run) {
    uint64_t missing = 0;
    int64_t end = now_ns();
    for (uint32_t i = run->oldest; i < run->total; i++) {
        uint32_t lacking = i < run->next ? *missing_of(run, i) : run->audience;
        if (due_at(run, i) < run->measure_from) continue;
        histogram_add(&run->latency, end - due_at(run, i), lacking);
        missing += lacking;
    }
    return missing;
}

static bool is_stalled(const struct load *load, const struct connection *connection) {
    const struct fanout_run *run = load->mode;
    return connection->index >= run->audience && connection->index < run->subscribers;
}

static void on_lost(struct load *load, struct connection *connection, bool was_ready) {
    (void)was_ready;
    if (!is_stalled(load, connection)) load->failed++;
}

/* How many files the first server has open: it cuts those off who do not read, and they hear nothing of it. */
static int descriptors_of(const struct options *options) {
    char path[64];
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)options->servers.pids[0]);
    DIR *directory = opendir(path);
    if (directory == NULL) return 0;
    while (readdir(directory) != NULL) count++;
    closedir(directory);
    return count;
}

static void prepare(struct load *load, struct fanout_run *run, const struct options *options) {
    const struct protocol *protocol = load->protocol;
    size_t head = strlen(protocol->publish_head), tail = strlen(protocol->publish_tail);
    run->options = options;
    run->paced = options->rate > 0;
    run->subscribers = load->count - 1;
    if (options->stalled >= run->subscribers) give_up("--stalled: nobody would read");
    run->audience = run->subscribers - options->stalled;
    load->is_stalled = is_stalled;
    if (options->stalled > 0) load->on_lost = on_lost;
    run->digits_at = head;
    run->text_length = head + options->size + tail;
    run->delivery_length = strlen(protocol->delivery);
    run->joined_length = protocol->joined == NULL ? 0 : strlen(protocol->joined);
    memset(run->text, 'x', run->text_length);
    memcpy(run->text, protocol->publish_head, head);
    memcpy(run->text + run->text_length - tail, protocol->publish_tail, tail);
    run->total = run->paced ? (uint32_t)(options->rate * (options->warm_up + options->seconds)) : 0;
    run->missing = must_alloc(run->paced ? run->total : MAX_WINDOW, sizeof(uint32_t));
    run->expected = must_alloc(run->subscribers, sizeof(uint32_t));
    load->mode = run;
    load->on_ready = on_ready;
    load->on_message = on_message;
    load->on_tick = wait_for_joins;
}

int run_fanout(struct load *load, const struct options *options) {
    static struct fanout_run run;
    prepare(load, &run, options);
    load_run(load, load->count, INT64_MAX);
    if (load->failed > 0) give_up("a connection was lost: %s", load->first_failure);

    int descriptors = descriptors_of(options);
    for (uint32_t i = run.audience; i < run.subscribers; i++) load_stall(load, &load->connections[i]);
    struct usage from, to;
    run.begin = now_ns() + 200 * NS_PER_MS;
    run.measure_from = run.begin + (int64_t)(options->warm_up * 1e9);
    run.measure_to = run.measure_from + (int64_t)(options->seconds * 1e9);
    load->on_tick = run.paced ? keep_pace : keep_window;
    load_run(load, load->count, run.measure_from);
    from = usage_now(&options->servers);
    load_run(load, load->count, run.measure_to);
    to = usage_now(&options->servers);
    if (run.paced && run.oldest < run.total) load_run(load, load->count, now_ns() + (int64_t)(options->grace * 1e9));

    printf("{\"mode\":\"fanout\",\"paced\":%s,\"subscribers\":%u,\"deliveries_per_s\":%.1f,\"misordered\":%llu,",
           run.paced ? "true" : "false", run.subscribers, (double)run.deliveries / options->seconds,
           (unsigned long long)run.misordered);
    printf("\"stalled\":%u,\"cut_off\":%d,", options->stalled, descriptors - descriptors_of(options));
    if (run.paced) {
        printf("\"rate\":%.2f,\"missing\":%llu,\"latest_send_ms\":%.3f,", options->rate,
               (unsigned long long)record_missing(&run), (double)run.latest_send_ns / 1e6);
        histogram_print(&run.latency, "latency_ms");
        putchar(',');
    }
    usage_print(&from, &to);
    print_end(load);
    free(run.missing);
    free(run.expected);
    return load->failed == 0 && run.misordered == 0 ? 0 : 1;
}
