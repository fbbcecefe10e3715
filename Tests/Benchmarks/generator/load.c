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
    if (connection->phase == PHASE_READY) load->ready--;
    load->failed++;
    if (load->first_failure == NULL) load->first_failure = reason;
    drop(connection);
}

static void watch(struct load *load, struct connection *connection, int operation, bool for_room) {
    struct epoll_event event = {.events = EPOLLIN | (for_room ? EPOLLOUT : 0u), .data.u32 = connection->index};
    if (epoll_ctl(load->epoll, operation, connection->fd, &event) != 0) give_up("epoll_ctl: %s", strerror(errno));
    connection->waits_for_room = for_room;
}

/* Connections come from eight addresses of 127.0.1.0/24 in turn: one address has 28,000 ports to give. */
static void open_one(struct load *load, struct connection *connection) {
    int yes = 1;
    struct sockaddr_in from = {.sin_family = AF_INET,
        .sin_addr.s_addr = htonl(0x7F000101u + connection->index % SOURCE_ADDRESSES)};
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(load->port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    connection->opened_at = now_ns();
    connection->phase = PHASE_CONNECTING;
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (connection->fd < 0) give_up("socket: %s", strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(connection->fd, (struct sockaddr *)&from, sizeof from) != 0) give_up("bind: %s", strerror(errno));
    if (connect(connection->fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
        return fail(load, connection, "connect was refused");
    watch(load, connection, EPOLL_CTL_ADD, true);
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
    if (connection->phase != PHASE_READY) return fail(load, connection, "a message was due on a lost connection");
    queue_frame(connection, WS_TEXT, text, length);
}

static void start_upgrade(struct load *load, struct connection *connection) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return fail(load, connection, "connect was refused");
    char *out = room_for(connection, 1024);
    connection->phase = PHASE_UPGRADING;
    connection->out_length += (uint32_t)ws_write_upgrade(out, 1024, "/socket.io/?EIO=4&transport=websocket",
        load->port);
    load_flush(load, connection);
}

/* The Engine.IO handshake has come; ask for the main namespace, with a token if there are any. */
static void join_namespace(struct load *load, struct connection *connection) {
    char text[4096] = "40";
    int length = 2;
    if (load->token_count > 0)
        length = snprintf(text, sizeof text, "40{\"token\":\"%s\"}",
            load->tokens[connection->index % load->token_count]);
    if ((size_t)length >= sizeof text) give_up("a token is longer than 4 KiB");
    connection->phase = PHASE_JOINING;
    queue_frame(connection, WS_TEXT, text, (size_t)length);
}

/* One Engine.IO message: its first byte is the packet type, 0 open, 1 close, 2 ping, 4 message. */
static void handle_message(struct load *load, struct connection *connection, const char *text, size_t length,
    int64_t now) {
    if (length == 1 && text[0] == '2') {
        load->heartbeats++;
        return queue_frame(connection, WS_TEXT, "3", 1);
    }
    if (length > 0 && text[0] == '1') return fail(load, connection, "the server closed the session");
    if (connection->phase == PHASE_READY) return load->on_message(load, connection, text, length, now);
    if (connection->phase == PHASE_OPENING && length > 1 && text[0] == '0') return join_namespace(load, connection);
    if (connection->phase == PHASE_JOINING && length > 2 && memcmp(text, "40{", 3) == 0) {
        connection->phase = PHASE_READY;
        load->ready++;
        histogram_add(&load->handshake, now - connection->opened_at, 1);
        return load->on_ready(load, connection, now);
    }
    fail(load, connection, memcmp(text, "44", length < 2 ? length : 2) == 0
                               ? "CONNECT was refused"
                               : "unexpected handshake");
}

static void handle_frame(struct load *load, struct connection *connection, const struct ws_frame *frame, int64_t now) {
    switch (frame->opcode) {
    case WS_TEXT: return handle_message(load, connection, frame->payload, frame->length, now);
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
        if (upgrading) connection->phase = PHASE_OPENING;
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
        while (load->opened < target && load->opened - load->ready - load->failed < load->handshakes)
            open_one(load, &load->connections[load->opened++]);
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
    load->ready = 0;
}
