/* What differs between the servers that we measure: how a client gets in, and what a broadcast and a request look
 * like. Everything else in the generator is the same for all of them. */
#ifndef PROTOCOL_H
#define PROTOCOL_H

#include <stdbool.h>
#include <stddef.h>

struct load;
struct connection;

/* An event with an answer: `head`, a number, `body`; then `answer_head`, the number, exactly `answer_body`. */
struct request_shape {
    const char *head, *body;
    const char *answer_head, *answer_body;
};

struct protocol {
    const char *name;
    const char *path, *publisher_path; /* of the upgrade */
    bool has_lines;                    /* one frame may hold several messages, separated by line feeds */

    /* Called when the upgrade was accepted, and with each message before the client is in. Sends what is next;
     * returns NULL, or why it failed. `*is_in` becomes true when the server has taken the client in. */
    const char *(*upgraded)(struct load *, struct connection *, bool *is_in);
    const char *(*handshake)(struct load *, struct connection *, const char *text, size_t length, bool *is_in);
    /* True if the message was the server's heartbeat or goodbye; `*failure` is set for the latter. */
    bool (*housekeeping)(struct load *, struct connection *, const char *text, size_t length, const char **failure);

    /* Rooms. A message's text is ten digits and filler. */
    const char *join, *joined;               /* asks for the room, begins the answer; NULL: one is in by connecting */
    const char *publish_head, *publish_tail; /* around the text, from publisher to server */
    const char *delivery;                    /* in front of the text, from server to subscriber */
    struct request_shape seat, echo;         /* of `echo`, both bodies get the text between `[…"` and `"]` */
};

/* The protocol of that name; ends the process if there is none. */
const struct protocol *protocol_named(const char *name);

#endif
