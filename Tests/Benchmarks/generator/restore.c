/* restore: everybody's state comes back with their connection, on another instance.
 *
 * People join an event and its queue, until `--inside` of them are let in; each of those holds a seat of their own and
 * stands in the seats' room. Then their instance is killed (`--kill`), and all clients connect to the other instance in
 * the same moment. The time runs from the kill to the last client who was told `session-restored` with all they had: the event's room, the place in the queue or the pass, the seat. What is missing is counted as wrong. */
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

int run_restore(struct load *load, const struct options *options) {
    static struct restore_run run;
    if (options->event_count == 0 || options->doomed == 0) give_up("restore needs --events and --kill");
    run.options = options;
    run.event = options->events[0];
    run.people = must_alloc(load->count, sizeof(struct person));
    load->mode = &run;
    load->on_ready = on_ready;
    load->on_message = on_message;
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
