#include "ws.h"

#include <stdio.h>
#include <string.h>

/* One key for all connections, the RFC's own example, so the expected answer is a constant and no SHA-1 is needed.
 * The key only protects against caches and servers that do not speak WebSocket; there are none on loopback. */
static const char KEY[] = "dGhlIHNhbXBsZSBub25jZQ==";
static const char ACCEPT[] = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

size_t ws_write_upgrade(char *out, size_t capacity, const char *path, uint16_t port) {
    int length = snprintf(out, capacity,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
                          "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n\r\n",
                          path, port, KEY);
    return length > 0 && (size_t)length < capacity ? (size_t)length : 0;
}

enum ws_result ws_read_upgrade(const char *bytes, size_t length, size_t *consumed) {
    const char *end = memmem(bytes, length, "\r\n\r\n", 4);
    if (end == NULL) return length > 8192 ? WS_INVALID : WS_INCOMPLETE;
    *consumed = (size_t)(end - bytes) + 4;
    if (*consumed < 12 || memcmp(bytes, "HTTP/1.1 101", 12) != 0) return WS_INVALID;
    return memmem(bytes, *consumed, ACCEPT, sizeof ACCEPT - 1) == NULL ? WS_INVALID : WS_FRAME;
}

/* The mask is laid over eight bytes at a time: with 200-byte messages a byte loop would be visible in the
 * generator's own share of its core. */
static void copy_masked(char *out, const char *payload, size_t length, uint32_t mask) {
    uint64_t wide = (uint64_t)mask << 32 | mask;
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        uint64_t word;
        memcpy(&word, payload + at, 8);
        word ^= wide;
        memcpy(out + at, &word, 8);
    }
    for (unsigned shift = 0; at < length; at++, shift += 8) out[at] = (char)(payload[at] ^ (char)(wide >> shift));
}

size_t ws_write_frame(char *out, enum ws_opcode opcode, const char *payload, size_t length, uint32_t mask) {
    size_t at = 0;
    out[at++] = (char)(0x80 | opcode);
    if (length < 126) {
        out[at++] = (char)(0x80 | length);
    } else if (length < 65536) {
        out[at++] = (char)(0x80 | 126);
        out[at++] = (char)(length >> 8);
        out[at++] = (char)length;
    } else {
        out[at++] = (char)(0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8) out[at++] = (char)((uint64_t)length >> shift);
    }
    memcpy(out + at, &mask, 4);
    copy_masked(out + at + 4, payload, length, mask);
    return at + 4 + length;
}

enum ws_result ws_read_frame(const char *bytes, size_t length, struct ws_frame *frame, size_t *consumed) {
    const unsigned char *head = (const unsigned char *)bytes;
    if (length < 2) return WS_INCOMPLETE;
    /* Final frame, no extension negotiated, not masked. A server that fragments would need a buffer here. */
    if ((head[0] & 0xF0) != 0x80 || (head[1] & 0x80) != 0) return WS_INVALID;
    size_t payload = head[1], start = 2;
    if (payload == 126) {
        if (length < 4) return WS_INCOMPLETE;
        payload = (size_t)head[2] << 8 | head[3];
        start = 4;
    } else if (payload == 127) {
        if (length < 10) return WS_INCOMPLETE;
        payload = 0;
        for (int i = 2; i < 10; i++) payload = payload << 8 | head[i];
        start = 10;
    }
    if (payload > WS_MAX_PAYLOAD) return WS_INVALID;
    if (length - start < payload) return WS_INCOMPLETE;
    *frame = (struct ws_frame){.opcode = head[0] & 0x0F, .payload = bytes + start, .length = payload};
    *consumed = start + payload;
    return WS_FRAME;
}
