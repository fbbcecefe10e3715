#include "load.h"

#include "base.h"
#include "ws.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* Paced messages leave between two batches of sockets. Of 64 the slowest takes about half a millisecond; of 512 a message
 * would leave several late, and the server would be charged for it. */
enum { EVENTS_PER_WAIT = 64, SHARED_BUFFER = 512 * 1024, MAX_QUEUED = 64 * 1024 * 1024, SOURCE_ADDRESSES = 8 };

/* Connections opened between two looks at the sockets: all of a storm at once would leave the server's first answers
 * unread for a tenth of a second. */
enum { OPENS_PER_ROUND = 64 };

static const int64_t RETRY_AFTER = 250 * NS_PER_MS;
/* A failed connection is tried so often in all. */
enum { RETRIES_PER_CONNECTION = 4 };

/* All sockets are read into this one buffer; a connection owns memory only while it holds a part of a frame. */
static char shared_buffer[SHARED_BUFFER];

void load_prepare(struct load *load) {
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < load->count + 64) give_up("%u connections need a higher limit on open files", load->count);
    load->connections = must_alloc(load->count, sizeof(struct connection));
    for (uint32_t i = 0; i < load->count; i++) load->connections[i] = (struct connection){.fd = -1, .index = i};
    if (load->retries) load->again = must_alloc((uint64_t)load->count * RETRIES_PER_CONNECTION, sizeof(uint32_t));
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->epoll < 0) give_up("epoll_create1: %s", strerror(errno));
}

static void drop(struct connection *connection) {
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    if (connection->fd >= 0) {
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(connection->fd);
    }
    free(connection->held);
    free(connection->out);
    *connection = (struct connection){.fd = -1, .index = connection->index};
}

static void fail(struct load *load, struct connection *connection, const char *reason) {
    if (connection->phase == PHASE_CLOSED) return;
    bool was_ready = connection->phase == PHASE_READY;
    if (load->first_failure == NULL) load->first_failure = reason;
    drop(connection);
    if (load->on_lost != NULL) {
        if (was_ready) load->ready--;
        return load->on_lost(load, connection, was_ready);
    }
    if (load->retries && !was_ready && load->again_to < load->count * RETRIES_PER_CONNECTION) {
        load->again[load->again_to++] = connection->index;
        connection->opened_at = now_ns();
        return;
    }
    if (was_ready) load->ready--;
    load->failed++;
}

static bool is_publisher(const struct load *load, const struct connection *connection) {
    return load->has_publisher && connection->index + 1 == load->count;
}

static void watch(struct load *load, struct connection *connection, int operation, bool for_room) {
    struct epoll_event event = {.events = EPOLLIN | (for_room ? EPOLLOUT : 0u), .data.u32 = connection->index};
    if (epoll_ctl(load->epoll, operation, connection->fd, &event) != 0) give_up("epoll_ctl: %s", strerror(errno));
    connection->waits_for_room = for_room;
}

/* Connections come from eight addresses of 127.0.1.0/24 in turn: one address has 28,000 ports to give. */
void load_open(struct load *load, struct connection *connection) {
    int yes = 1, small = 4096;
    struct sockaddr_in from = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7F000101u + connection->index % SOURCE_ADDRESSES)};
    struct sockaddr_in to = {.sin_family = AF_INET, 
        .sin_port = htons(load->port_of != NULL ? load->port_of(load, connection)
                          : is_publisher(load, connection) ? load->publisher_port : load->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connection->opened_at = now_ns();
    connection->phase = PHASE_CONNECTING;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) give_up("socket: %s", strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (load->is_stalled != NULL && load->is_stalled(load, connection))
        setsockopt(connection->fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(connection->fd, (struct sockaddr *)&from, sizeof from) != 0) give_up("bind: %s", strerror(errno));
    if (connect(connection->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
        return fail(load, connection, "connect was refused");
    watch(load, connection, EPOLL_CTL_ADD, true);
}

void load_stall(struct load *load, struct connection *connection) {
    struct epoll_event none = {.events = 0, .data.u32 = connection->index};
    if (epoll_ctl(load->epoll, EPOLL_CTL_MOD, connection->fd, &none) != 0) give_up("epoll_ctl: %s", strerror(errno));
}

void load_flush(struct load *load, struct connection *connection) {
    if (connection->phase == PHASE_CLOSED || connection->phase == PHASE_CONNECTING) return;
    while (connection->out_sent < connection->out_length) {
        ssize_t sent = send(connection->fd, connection->out + connection->out_sent,
                            connection->out_length - connection->out_sent, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR) continue;
        if (sent < 0 && errno == EAGAIN) {
            if (!connection->waits_for_room) watch(load, connection, EPOLL_CTL_MOD, true);
            return;
        }
        if (sent < 0) return fail(load, connection, "send failed");
        connection->out_sent += (uint32_t)sent;
    }
    connection->out_sent = connection->out_length = 0;
    if (connection->waits_for_room) watch(load, connection, EPOLL_CTL_MOD, false);
}

static char *room_for(struct connection *connection, uint32_t bytes) {
    uint32_t needed = connection->out_length + bytes;
    if (needed > MAX_QUEUED) give_up("64 MiB wait to be sent on one connection: the server stopped reading");
    if (needed > connection->out_capacity) {
        connection->out_capacity = needed < 512 ? 512 : needed * 2;
        connection->out = must_grow(connection->out, connection->out_capacity);
    }
    return connection->out + connection->out_length;
}

static void queue_frame(struct connection *connection, enum ws_opcode opcode, const char *payload, size_t length) {
    /* A cheap sequence of differing masks: servers must do the work of unmasking, nobody has to be unable to guess. */
    static uint32_t mask = 0x9E3779B9u;
    mask = mask * 1664525u + 1013904223u;
    char *out = room_for(connection, (uint32_t)length + WS_MAX_HEADER);
    connection->out_length += (uint32_t)ws_write_frame(out, opcode, payload, length, mask);
}

void load_send(struct load *load, struct connection *connection, const char *text, size_t length) {
    if (length > 4096) give_up("a message of %zu bytes is longer than 4096", length);
    if (connection->phase != PHASE_READY && connection->phase != PHASE_JOINING)
        return fail(load, connection, "a message was due on a lost connection");
    queue_frame(connection, WS_TEXT, text, length);
}

static void start_upgrade(struct load *load, struct connection *connection) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(load, connection, "connect was refused");
    char *out = room_for(connection, 1024);
    connection->phase = PHASE_UPGRADING;
    const char *path = is_publisher(load, connection) ? load->protocol->publisher_path : load->protocol->path;
    connection->out_length += (uint32_t)ws_write_upgrade(out, 1024, path, load->port);
    load_flush(load, connection);
}

static void take_in(struct load *load, struct connection *connection, int64_t now) {
    connection->phase = PHASE_READY;
    load->ready++;
    histogram_add(&load->handshake, now - connection->opened_at, 1);
    load->on_ready(load, connection, now);
}

static void upgrade_accepted(struct load *load, struct connection *connection, int64_t now) {
    bool is_in = false;
    connection->phase = PHASE_JOINING;
    const char *failure = load->protocol->upgraded(load, connection, &is_in);
    if (failure != NULL) return fail(load, connection, failure);
    if (is_in) take_in(load, connection, now);
}

static void handle_message(struct load *load, struct connection *connection, const char *text, size_t length,
    int64_t now) {
    const char *failure = NULL;
    bool is_in = false;
    if (load->protocol->housekeeping(load, connection, text, length, &failure)) {
        if (failure != NULL) fail(load, connection, failure);
        return;
    }
    if (connection->phase == PHASE_READY) return load->on_message(load, connection, text, length, now);
    failure = load->protocol->handshake(load, connection, text, length, &is_in);
    if (failure != NULL) return fail(load, connection, failure);
    if (is_in) take_in(load, connection, now);
}

static void handle_text(struct load *load, struct connection *connection, const char *text, size_t length,
    int64_t now) {
    if (!load->protocol->has_lines) return handle_message(load, connection, text, length, now);
    const char *end = text + length;
    while (text < end && connection->phase != PHASE_CLOSED) {
        const char *feed = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = feed == NULL ? end : feed;
        if (line_end > text) handle_message(load, connection, text, (size_t)(line_end - text), now);
        text = line_end + 1;
    }
}

static void handle_frame(struct load *load, struct connection *connection, const struct ws_frame *frame, int64_t now) {
    switch (frame->opcode) {
    case WS_TEXT: return handle_text(load, connection, frame->payload, frame->length, now);
    case WS_PING: return queue_frame(connection, WS_PONG, frame->payload, frame->length);
    case WS_PONG: return;
    case WS_CLOSE: return fail(load, connection, "the server sent a close frame");
    default: return fail(load, connection, "unexpected frame");
    }
}

/* Takes whole frames off the front of `bytes`; returns how many bytes were used. */
static size_t handle_bytes(struct load *load, struct connection *connection, const char *bytes, size_t length,
    int64_t now) {
    size_t used = 0;
    while (connection->phase != PHASE_CLOSED && used < length) {
        size_t consumed = 0;
        struct ws_frame frame = {0};
        bool upgrading = connection->phase == PHASE_UPGRADING;
        enum ws_result result = upgrading ? ws_read_upgrade(bytes + used, length - used, &consumed)
                                          : ws_read_frame(bytes + used, length - used, &frame, &consumed);
        if (result == WS_INCOMPLETE) break;
        if (result == WS_INVALID) {
            fail(load, connection, upgrading ? "the upgrade was refused" : "invalid frame");
            break;
        }
        used += consumed;
        if (upgrading) upgrade_accepted(load, connection, now);
        else handle_frame(load, connection, &frame, now);
    }
    return used;
}

static void handle_readable(struct load *load, struct connection *connection) {
    uint32_t held = connection->held_length;
    if (held > 0) memcpy(shared_buffer, connection->held, held);
    ssize_t got = recv(connection->fd, shared_buffer + held, sizeof shared_buffer - held, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) return fail(load, connection, "the server closed the connection");
    size_t length = held + (size_t)got;
    size_t used = handle_bytes(load, connection, shared_buffer, length, now_ns());
    if (connection->phase == PHASE_CLOSED) return;
    uint32_t rest = (uint32_t)(length - used);
    if (rest > connection->held_capacity) {
        connection->held = must_grow(connection->held, rest);
        connection->held_capacity = rest;
    }
    if (rest > 0) memcpy(connection->held, shared_buffer + used, rest);
    connection->held_length = rest;
    load_flush(load, connection);
}

static void handle_event(struct load *load, const struct epoll_event *event) {
    struct connection *connection = &load->connections[event->data.u32];
    if (connection->phase == PHASE_CONNECTING) return start_upgrade(load, connection);
    if (connection->phase != PHASE_CLOSED && (event->events & EPOLLOUT) != 0) load_flush(load, connection);
    if (connection->phase != PHASE_CLOSED && (event->events & ~(uint32_t)EPOLLOUT) != 0)
        handle_readable(load, connection);
}

/* Opens what may be opened now; returns when there is more to open, INT64_MAX if that depends on the server. */
static int64_t open_more(struct load *load, uint32_t target, int64_t now) {
    int opens = 0;
    while (load->again_from < load->again_to) {
        struct connection *connection = &load->connections[load->again[load->again_from]];
        if (now < connection->opened_at + RETRY_AFTER) break;
        if (opens++ == OPENS_PER_ROUND) return now;
        load->again_from++;
        load->retried++;
        load_open(load, connection);
    }
    uint32_t waiting = load->again_to - load->again_from;
    while (load->opened < target && load->opened - load->ready - load->failed - waiting < load->handshakes) {
        if (opens++ == OPENS_PER_ROUND) return now;
        load_open(load, &load->connections[load->opened++]);
    }
    return waiting == 0 ? INT64_MAX : load->connections[load->again[load->again_from]].opened_at + RETRY_AFTER;
}

void load_run(struct load *load, uint32_t target, int64_t until) {
    static struct epoll_event events[EVENTS_PER_WAIT];
    load->stop = false;
    for (;;) {
        int64_t now = now_ns();
        if (now >= load->give_up_at)
            give_up("not done in time: %u of %u ready, %u failed (%s)", load->ready, load->count, load->failed,
                    load->first_failure == NULL ? "no reason known" : load->first_failure);
        int64_t wake = load->on_tick(load, now);
        if (load->stop || now >= until) return;
        int64_t next_open = open_more(load, target, now);
        if (wake > next_open) wake = next_open;
        if (wake > until) wake = until;
        if (wake > load->give_up_at) wake = load->give_up_at;
        int64_t pause = wake > now ? wake - now : 0;
        struct timespec timeout = {.tv_sec = pause / NS_PER_S, .tv_nsec = pause % NS_PER_S};
        int count = epoll_pwait2(load->epoll, events, EVENTS_PER_WAIT, &timeout, NULL);
        if (count < 0 && errno != EINTR) give_up("epoll_pwait2: %s", strerror(errno));
        for (int i = 0; i < count; i++) handle_event(load, &events[i]);
    }
}

void load_close(struct load *load) {
    for (uint32_t i = 0; i < load->count; i++) drop(&load->connections[i]);
    load->opened = load->ready = load->failed = load->again_from = load->again_to = 0;
}
