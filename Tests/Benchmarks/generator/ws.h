/* The client's half of RFC 6455, as far as a load generator needs it: the upgrade, and whole frames. */
#ifndef WS_H
#define WS_H

#include <stddef.h>
#include <stdint.h>

enum ws_opcode { WS_CONTINUATION = 0, WS_TEXT = 1, WS_BINARY = 2, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10 };

/* Longest frame header we write: two bytes, eight of length, four of mask. */
enum { WS_MAX_HEADER = 14 };

/* Longest payload we accept. Nothing that the benchmark asks for comes near it. */
enum { WS_MAX_PAYLOAD = 65536 };

struct ws_frame {
    uint8_t opcode;
    const char *payload;
    size_t length;
};

enum ws_result { WS_FRAME, WS_INCOMPLETE, WS_INVALID };

/* Writes the HTTP request of the upgrade; returns its length. */
size_t ws_write_upgrade(char *out, size_t capacity, const char *path, uint16_t port);

/* Looks at the answer to the upgrade. WS_FRAME means it was accepted, and `consumed` is the length of its head. */
enum ws_result ws_read_upgrade(const char *bytes, size_t length, size_t *consumed);

/* Writes one final, masked frame, as a client must; returns its length, at most `length + WS_MAX_HEADER`. */
size_t ws_write_frame(char *out, enum ws_opcode opcode, const char *payload, size_t length, uint32_t mask);

/* Reads one unmasked, unfragmented frame, as a server must or may send it. The payload points into `bytes`. */
enum ws_result ws_read_frame(const char *bytes, size_t length, struct ws_frame *frame, size_t *consumed);

#endif
