/* restore, storm: everybody's state comes back with their connection, on another instance.
 *
 * People join an event and its queue, until `--inside` of them are let in; each of those holds a seat of their own and
 * stands in the seats' room. Then their instance is killed (`--kill`), and all clients connect to the other instance in
 * the same moment. The time runs from the kill to the last client who was told `session-restored` with all they had: the event's room, the place in the queue or the pass, the seat. What is missing is counted as wrong.
 *
 * Storm: half of the people are on one instance, half on another (`--publisher-port`), and all are reset at once. Each
 * comes back as socket.io-client does: after 1 s, doubled up to 5 s with each failure, half more or less, to either
 * instance in turn, until a minute is over. */
#include "base.h"
#include "modes.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum stage { JOINING, WAITING, SELECTING, HOLDING, INSIDE, GONE, BACK };
enum { SEATS_PER_ROW = 20 };

/* Ids of the acknowledgements. */
enum { JOIN_EVENT, JOIN_QUEUE, SELECT, ENTER };

struct person {
    uint8_t stage;
    uint8_t attempts;
    uint32_t next; /* of those who come back in the same 10 ms, and one; 0: none */
    uint32_t position; /* the best place told; 0: none */
};

struct restore_run {
    const struct options *options;
    const char *event;
    struct person *people;
    uint32_t waiting, holding, inside, back;
    uint64_t wrong;
    const char *first_wrong;
    int64_t cut_at, last_connected, last_back;
    struct histogram since_cut;
    uint32_t due[1024]; /* storm: who opens again, by 10 ms; the first of each, and one */
    int64_t due_from;   /* the first 10 ms that were not looked at */
    uint32_t attempts, lost_again;
};

static bool has(const char *text, size_t length, const char *part) {
    return memmem(text, length, part, strlen(part)) != NULL;
}

static void wrong(struct restore_run *run, const char *reason) {
    run->wrong++;
    if (run->first_wrong == NULL) run->first_wrong = reason;
}

static void send_event(struct load *load, struct connection *connection, int id, const char *name, const char *more) {
    struct restore_run *run = load->mode;
    char text[512];
    int length = snprintf(text, sizeof text, "42%d[\"%s\",{\"eventId\":\"%s\"%s}]", id, name, run->event, more);
    load_send(load, connection, text, (size_t)length);
}

/* Everybody's own seat. */
static void write_seat(uint32_t index, char *seat, size_t size) {
    snprintf(seat, size, "[\"A-%u-%u\"]", index / SEATS_PER_ROW + 1, index % SEATS_PER_ROW + 1);
}

static uint32_t position_in(const char *text, size_t length) {
    const char *key = "\"position\":";
    const char *found = memmem(text, length, key, strlen(key));
    return found == NULL ? 0 : (uint32_t)strtoul(found + strlen(key), NULL, 10);
}

static void on_ready(struct load *load, struct connection *connection, int64_t now) {
    struct restore_run *run = load->mode;
    if (run->cut_at != 0) {
        run->last_connected = now;
        run->people[connection->index].attempts = 0;
        return;
    }
    send_event(load, connection, JOIN_EVENT, "join-event", "");
    send_event(load, connection, JOIN_QUEUE, "join-queue", "");
}

static void select_seat(struct load *load, struct connection *connection) {
    struct restore_run *run = load->mode;
    struct person *person = &run->people[connection->index];
    if (person->stage >= SELECTING) return;
    if (person->stage == WAITING) run->waiting--;
    person->stage = SELECTING;
    char seat[64], more[96];
    write_seat(connection->index, seat, sizeof seat);
    snprintf(more, sizeof more, ",\"seats\":%s", seat);
    send_event(load, connection, SELECT, "seat-selection-changed", more);
}

static void on_answer(struct load *load, struct connection *connection, const char *text, size_t length) {
    struct restore_run *run = load->mode;
    struct person *person = &run->people[connection->index];
    if (!has(text, length, "\"ok\":true")) return wrong(run, "a request was refused");
    switch (text[2] - '0') {
    case JOIN_QUEUE:
        if (has(text, length, "\"status\":\"admitted\"")) return select_seat(load, connection);
        /* That it is their turn may have overtaken this answer. */
        if (person->stage != JOINING) return;
        person->position = position_in(text, length);
        person->stage = WAITING;
        run->waiting++;
        return;
    case SELECT:
        person->stage = HOLDING;
        run->holding++;
        return;
    case ENTER:
        person->stage = INSIDE;
        run->inside++;
        return;
    default: return;
    }
}

/* Why what came back is not what was had; NULL if it is. */
static const char *missing(struct restore_run *run, const struct connection *connection, const char *text,
    size_t length) {
    const struct person *person = &run->people[connection->index];
    char own[64], part[128];
    snprintf(part, sizeof part, "\"eventId\":\"%s\"", run->event);
    if (!has(text, length, part)) return "the event's room is missing";
    snprintf(part, sizeof part, "\"queueEventId\":\"%s\"", run->event);
    if (!has(text, length, part)) return "the queue is missing";
    if (person->position == 0) {
        write_seat(connection->index, own, sizeof own);
        snprintf(part, sizeof part, "\"selectedSeats\":%s", own);
        if (!has(text, length, part)) return "the seat is missing";
        snprintf(part, sizeof part, "\"seatEventId\":\"%s\"", run->event);
        if (!has(text, length, part)) return "the seats' room is missing";
        return has(text, length, "\"fence\":") ? NULL : "the fence is missing";
    }
    uint32_t position = position_in(text, length);
    return position > 0 && position <= person->position ? NULL : "the place is missing, or worse";
}

static void on_message(struct load *load, struct connection *connection, const char *text, size_t length, int64_t now) {
    static const char restored[] = "42[\"session-restored\",", allowed[] = "42[\"queue-entry-allowed\",";
    struct restore_run *run = load->mode;
    struct person *person = &run->people[connection->index];
    if (run->cut_at == 0) {
        if (length > 3 && memcmp(text, "43", 2) == 0) on_answer(load, connection, text, length);
        if (length >= sizeof allowed && memcmp(text, allowed, sizeof allowed - 1) == 0) {
            person->position = 0;
            select_seat(load, connection);
        }
        return;
    }
    if (person->stage != GONE || length < sizeof restored || memcmp(text, restored, sizeof restored - 1) != 0) return;
    const char *reason = missing(run, connection, text, length);
    if (reason != NULL) wrong(run, reason);
    person->stage = BACK;
    run->back++;
    run->last_back = now;
    histogram_add(&run->since_cut, now - run->cut_at, 1);
}

/* The port of either instance, another one at each attempt. */
static uint16_t either_port(const struct load *load, const struct connection *connection) {
    const struct restore_run *run = load->mode;
    uint32_t turn = connection->index + run->people[connection->index].attempts;
    return turn % 2 == 0 ? load->port : load->publisher_port;
}

/* As backo2 has it, which socket.io-client uses: 1 s, factor 2, jitter 0.5, then at most 5 s. */
static void come_back_later(struct restore_run *run, uint32_t index, int64_t now) {
    struct person *person = &run->people[index];
    double delay_ms = 1000.0 * (double)(1u << (person->attempts < 8 ? person->attempts : 8));
    delay_ms += delay_ms * 0.5 * (2.0 * (double)rand() / (double)RAND_MAX - 1.0);
    if (delay_ms > 5000) delay_ms = 5000;
    if (person->attempts < 255) person->attempts++;
    uint32_t slot = (uint32_t)((now / NS_PER_MS + (int64_t)delay_ms) / 10 % 1024);
    person->next = run->due[slot];
    run->due[slot] = index + 1;
}

static void on_lost(struct load *load, struct connection *connection, bool was_ready) {
    struct restore_run *run = load->mode;
    if (run->cut_at == 0) {
        load->failed++;
        return;
    }
    if (was_ready) run->lost_again++;
    if (run->people[connection->index].stage == BACK) {
        run->people[connection->index].stage = GONE;
        run->back--;
    }
    come_back_later(run, connection->index, now_ns());
}

static int64_t bring_back(struct load *load, int64_t now) {
    struct restore_run *run = load->mode;
    for (; run->due_from <= now / NS_PER_MS / 10; run->due_from++) {
        uint32_t *slot = &run->due[run->due_from % 1024];
        while (*slot != 0) {
            struct connection *connection = &load->connections[*slot - 1];
            *slot = run->people[connection->index].next;
            run->attempts++;
            load_open(load, connection);
        }
    }
    load->stop = run->back == load->count;
    return run->due_from * 10 * NS_PER_MS;
}

static int64_t until_all_have_joined(struct load *load, int64_t now) {
    (void)now;
    struct restore_run *run = load->mode;
    uint32_t inside = run->options->inside;
    load->stop = load->failed > 0 || run->wrong > 0 || (run->holding == inside && run->waiting == load->count - inside);
    return INT64_MAX;
}

static int64_t until_all_are_inside(struct load *load, int64_t now) {
    (void)now;
    struct restore_run *run = load->mode;
    load->stop = load->failed > 0 || run->wrong > 0 || run->inside == run->holding;
    return INT64_MAX;
}

static int64_t until_all_are_back(struct load *load, int64_t now) {
    (void)now;
    struct restore_run *run = load->mode;
    load->stop = run->back + load->failed == load->count;
    return INT64_MAX;
}

static int64_t never_stop(struct load *load, int64_t now) {
    (void)load, (void)now;
    return INT64_MAX;
}

static void check(const struct load *load, const struct restore_run *run, const char *where) {
    if (load->failed > 0) give_up("a connection was lost %s: %s", where, load->first_failure);
    if (run->wrong > 0) give_up("%s: %s", where, run->first_wrong);
}

/* All have joined before anybody enters the seats' room, so that nobody's seat is told to thousands. */
static void prepare(struct load *load, struct restore_run *run) {
    load->on_tick = until_all_have_joined;
    load_run(load, load->count, INT64_MAX);
    check(load, run, "while joining");
    for (uint32_t i = 0; i < load->count; i++) {
        if (run->people[i].stage != HOLDING) continue;
        send_event(load, &load->connections[i], ENTER, "join-seat-selection", "");
        load_flush(load, &load->connections[i]);
    }
    load->on_tick = until_all_are_inside;
    load_run(load, load->count, INT64_MAX);
    check(load, run, "while entering");
    load->on_tick = never_stop;
    load_run(load, load->count, now_ns() + 2 * NS_PER_S);
    check(load, run, "before the cut");
}

static void begin(struct load *load, struct restore_run *run, const struct options *options) {
    run->options = options;
    run->event = options->events[0];
    run->people = must_alloc(load->count, sizeof(struct person));
    load->mode = run;
    load->on_ready = on_ready;
    load->on_message = on_message;
}

int run_storm(struct load *load, const struct options *options) {
    static struct restore_run run;
    if (options->event_count == 0) give_up("storm needs --events");
    begin(load, &run, options);
    load->port_of = either_port;
    load->on_lost = on_lost;
    prepare(load, &run);

    for (uint32_t i = 0; i < load->count; i++) run.people[i].stage = GONE;
    struct usage from = usage_now(&options->servers);
    run.cut_at = now_ns();
    run.due_from = run.cut_at / NS_PER_MS / 10;
    load_close(load);
    for (uint32_t i = 0; i < load->count; i++) come_back_later(&run, i, run.cut_at);
    load->on_tick = bring_back;
    load_run(load, 0, run.cut_at + 60 * NS_PER_S);
    struct usage to = usage_now(&options->servers);

    printf("{\"mode\":\"storm\",\"back\":%u,\"restored_s\":%.4f,\"connected_s\":%.4f,\"attempts\":%u,"
           "\"lost_again\":%u,\"wrong\":%llu,\"first_wrong\":\"%s\",", run.back,
           (double)(run.last_back - run.cut_at) / 1e9, (double)(run.last_connected - run.cut_at) / 1e9, run.attempts,
           run.lost_again, (unsigned long long)run.wrong, run.first_wrong == NULL ? "" : run.first_wrong);
    histogram_print(&run.since_cut, "since_cut_ms");
    putchar(',');
    usage_print(&from, &to);
    print_end(load);
    return run.wrong == 0 ? 0 : 1;
}

int run_restore(struct load *load, const struct options *options) {
    static struct restore_run run;
    if (options->event_count == 0 || options->doomed == 0) give_up("restore needs --events and --kill");
    begin(load, &run, options);
    prepare(load, &run);

    for (uint32_t i = 0; i < load->count; i++) run.people[i].stage = GONE;
    struct usage from = usage_now(&options->servers);
    run.cut_at = now_ns();
    if (kill(options->doomed, SIGKILL) != 0) give_up("process %d cannot be killed", (int)options->doomed);
    load_close(load);
    load->port = load->publisher_port;
    load->handshakes = load->count;
    load->on_tick = until_all_are_back;
    load_run(load, load->count, INT64_MAX);
    struct usage to = usage_now(&options->servers);

    printf("{\"mode\":\"restore\",\"restored_s\":%.4f,\"connected_s\":%.4f,\"retried\":%u,\"inside\":%u,\"wrong\":%llu,"
           "\"first_wrong\":\"%s\",", (double)(run.last_back - run.cut_at) / 1e9,
           (double)(run.last_connected - run.cut_at) / 1e9, load->retried, run.inside, (unsigned long long)run.wrong,
           run.first_wrong == NULL ? "" : run.first_wrong);
    histogram_print(&run.since_cut, "since_cut_ms");
    putchar(',');
    usage_print(&from, &to);
    print_end(load);
    free(run.people);
    return load->failed == 0 && run.wrong == 0 ? 0 : 1;
}
