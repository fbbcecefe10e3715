#include "protocol.h"

#include "base.h"
#include "load.h"

#include <stdio.h>
#include <string.h>

static bool begins(const char *text, size_t length, const char *start) {
    size_t wanted = strlen(start);
    return length >= wanted && memcmp(text, start, wanted) == 0;
}

static const char *token_of(const struct load *load, const struct connection *connection) {
    return load->tokens[connection->index % load->token_count];
}

static void send_with_token(struct load *load, struct connection *connection, const char *head, const char *tail) {
    char text[4096];
    int length = snprintf(text, sizeof text, "%s%s%s", head, token_of(load, connection), tail);
    if ((size_t)length >= sizeof text) give_up("a token is longer than 4 KiB");
    load_send(load, connection, text, (size_t)length);
}

static bool no_housekeeping(struct load *load, struct connection *connection, const char *text, size_t length,
    const char **failure) {
    (void)load, (void)connection, (void)text, (void)length, (void)failure;
    return false;
}

/* Socket.IO: the Engine.IO handshake comes by itself; then we ask for the main namespace, with a token if there are
 * any. A message's first byte is Engine.IO's packet type: 0 open, 1 close, 2 ping, 4 message. */

static const char *socketio_upgraded(struct load *load, struct connection *connection, bool *is_in) {
    (void)load, (void)connection, (void)is_in;
    return NULL;
}

static const char *socketio_handshake(struct load *load, struct connection *connection, const char *text,
    size_t length, bool *is_in) {
    if (begins(text, length, "0{")) {
        if (load->token_count > 0) send_with_token(load, connection, "40{\"token\":\"", "\"}");
        else load_send(load, connection, "40", 2);
        return NULL;
    }
    *is_in = begins(text, length, "40{");
    if (*is_in) return NULL;
    return begins(text, length, "44") ? "CONNECT was refused" : "unexpected handshake";
}

static bool socketio_housekeeping(struct load *load, struct connection *connection, const char *text, size_t length,
    const char **failure) {
    if (length == 1 && text[0] == '2') {
        load->heartbeats++;
        load_send(load, connection, "3", 1);
        return true;
    }
    if (length > 0 && text[0] == '1') *failure = "the server closed the session";
    return *failure != NULL;
}

/* Nchan: a WebSocket is a subscription. There is nobody to authenticate. */

static const char *nchan_upgraded(struct load *load, struct connection *connection, bool *is_in) {
    (void)load, (void)connection;
    *is_in = true;
    return NULL;
}

static const char *nchan_handshake(struct load *load, struct connection *connection, const char *text, size_t length,
    bool *is_in) {
    (void)load, (void)connection, (void)text, (void)length, (void)is_in;
    return "unexpected handshake";
}

/* Centrifuge: JSON commands with ids; the first one connects. */

static const char *centrifuge_upgraded(struct load *load, struct connection *connection, bool *is_in) {
    (void)is_in;
    static const char connect[] = "{\"id\":1}";
    if (load->token_count > 0) send_with_token(load, connection, "{\"id\":1,\"params\":{\"token\":\"", "\"}}");
    else load_send(load, connection, connect, sizeof connect - 1);
    return NULL;
}

static const char *centrifuge_handshake(struct load *load, struct connection *connection, const char *text,
    size_t length, bool *is_in) {
    (void)load, (void)connection;
    *is_in = begins(text, length, "{\"id\":1,\"result\":");
    return *is_in ? NULL : "the connect command was refused";
}

static const struct protocol protocols[] = {
    {
        .name = "socketio",
        .path = "/socket.io/?EIO=4&transport=websocket",
        .publisher_path = "/socket.io/?EIO=4&transport=websocket",
        .upgraded = socketio_upgraded,
        .handshake = socketio_handshake,
        .housekeeping = socketio_housekeeping,
        .join = "420[\"join\",\"bench\"]",
        .joined = "430[",
        .publish_head = "42[\"room-emit\",\"bench\",\"",
        .publish_tail = "\"]",
        .delivery = "42[\"room-message\",\"",
        .seat = {"42", "[\"seat\",{\"event\":\"bench\",\"seats\":[17]}]", "43", "[{\"ok\":true}]"},
        .echo = {"42", "[\"message-with-ack\",\"", "43", "[\""},
    },
    {
        .name = "nchan",
        .path = "/sub?id=bench",
        .publisher_path = "/pub?id=bench",
        .upgraded = nchan_upgraded,
        .handshake = nchan_handshake,
        .housekeeping = no_housekeeping,
        .publish_head = "",
        .publish_tail = "",
        .delivery = "",
    },
    {
        .name = "centrifuge",
        .path = "/connection/websocket",
        .publisher_path = "/connection/websocket",
        .has_lines = true,
        .upgraded = centrifuge_upgraded,
        .handshake = centrifuge_handshake,
        .housekeeping = no_housekeeping,
        .join = "{\"id\":2,\"method\":1,\"params\":{\"channel\":\"bench\"}}",
        .joined = "{\"id\":2,\"result\":",
        .publish_head = "{\"id\":3,\"method\":3,\"params\":{\"channel\":\"bench\",\"data\":\"",
        .publish_tail = "\"}}",
        .delivery = "{\"result\":{\"channel\":\"bench\",\"data\":{\"data\":\"",
        .seat = {"{\"id\":", ",\"method\":9,\"params\":{\"data\":{\"event\":\"bench\",\"seats\":[17]}}}", "{\"id\":",
            ",\"result\":{\"data\":{\"ok\":true}}}"},
    },
};

const struct protocol *protocol_named(const char *name) {
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        if (strcmp(protocols[i].name, name) == 0) return &protocols[i];
    give_up("--protocol %s: must be socketio, nchan or centrifuge", name);
}
