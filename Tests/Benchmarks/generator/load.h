/* Many WebSocket clients on one thread.
 *
 * A mode (connect, reconnect, rpc, fanout) hands `struct load` its callbacks and calls `load_run`; the loop opens connections,
 * takes each through its handshakes, answers heartbeats, and gives the mode whole messages.
 *
 * It is epoll-light: one wait returns up to 64 sockets, one recv takes all that a socket holds, and what a mode
 * sends while it handles that goes out in one send. Without this the generator, not the server, would be the limit. */
#ifndef LOAD_H
#define LOAD_H

#include "histogram.h"
#include "protocol.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum phase { PHASE_CLOSED, PHASE_CONNECTING, PHASE_UPGRADING, PHASE_JOINING, PHASE_READY };

struct connection {
    int fd;
    uint8_t phase;
    bool waits_for_room; /* EPOLLOUT is armed: the kernel took less than we had */
    uint32_t index;
    int64_t opened_at; /* or, of one that waits to be opened again, when it failed */
    char *held; /* bytes of a frame that has not come whole */
    uint32_t held_length, held_capacity;
    char *out; /* bytes not sent yet: `out_sent` up to `out_length` */
    uint32_t out_sent, out_length, out_capacity;
};

struct load {
    /* Set by the caller. */
    const struct protocol *protocol;
    uint16_t port, publisher_port; /* the last connection is the publisher's if `has_publisher` */
    bool has_publisher;
    uint32_t count;        /* connections in all */
    uint32_t handshakes;   /* at most this many handshakes at once */
    bool retries;          /* a connection that fails before it is ready is opened again after a pause */
    char **tokens;         /* JWTs, one per connection in turn; none if token_count is 0 */
    uint32_t token_count;
    int64_t give_up_at;    /* monotonic; the whole run is over by then */
    void *mode;
    void (*on_ready)(struct load *, struct connection *, int64_t now);
    void (*on_message)(struct load *, struct connection *, const char *text, size_t length, int64_t now);
    /* If set, told of each connection that is lost; it may be opened again with load_open. Nothing counts as failed. */
    void (*on_lost)(struct load *, struct connection *, bool was_ready);
    /* If set, chooses the port of each connection. */
    uint16_t (*port_of)(const struct load *, const struct connection *);
    bool (*is_stalled)(const struct load *, const struct connection *); /* if set: those that take little and read nothing */
    /* Called once per round of the loop; returns when it wants to be called again, INT64_MAX for never. */
    int64_t (*on_tick)(struct load *, int64_t now);

    /* Kept by the loop. */
    struct connection *connections;
    int epoll;
    uint32_t opened, ready, failed;
    uint32_t *again; /* with `retries`: those to open again, in order of failure, from `again_from` up to `again_to` */
    uint32_t again_from, again_to, retried;
    const char *first_failure;
    uint64_t heartbeats;
    bool stop; /* a mode sets it to leave load_run */
    struct histogram handshake;
};

/* Makes room for `count` connections, and raises the limit on open files. Opens none. */
void load_prepare(struct load *load);

/* Opens connections until `target` were opened, keeps all of them served, and returns when a mode has set `stop` or
 * at `until`. Ends the process at `give_up_at`. */
void load_run(struct load *load, uint32_t target, int64_t until);

/* Opens a connection that is closed. */
void load_open(struct load *load, struct connection *connection);

/* Stops reading a connection: what the server sends it stays with the kernel, then with the server. */
void load_stall(struct load *load, struct connection *connection);

/* Queues one message as a text frame. It is sent when the callback returns. At most 4 KiB of text. */
void load_send(struct load *load, struct connection *connection, const char *text, size_t length);

/* Sends what is queued: for modes that send outside a callback of the same connection. */
void load_flush(struct load *load, struct connection *connection);

/* Closes everything with a reset, as if the network had gone, and so that no port is left in TIME_WAIT for the next
 * run. Connections may be opened anew afterwards. */
void load_close(struct load *load);

#endif
