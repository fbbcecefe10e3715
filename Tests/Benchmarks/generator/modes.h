/* What the generator can measure. Each mode prints one JSON object and returns the exit status. */
#ifndef MODES_H
#define MODES_H

#include "load.h"
#include "usage.h"

#include <stdint.h>
#include <sys/types.h>

struct options {
    struct servers servers;
    uint32_t connections;
    uint32_t depth;    /* rpc: requests in flight per connection */
    uint32_t window;   /* fanout: messages in flight; a message is in flight until its last subscriber has it */
    double rate;       /* above 0: open loop, so many per second in all, whatever the server does */
    uint32_t size;     /* bytes of the event's one string argument */
    const char *path;  /* http: what is asked for */
    bool seat;         /* rpc: a short request and `{"ok":true}`, not an echo of `size` bytes */
    bool arrivals;     /* http: POST, each token once */
    bool refusals;     /* http: 429 and 503 with Retry-After are answers, too */
    uint32_t stalled;  /* fanout: so many subscribers do not read */
    char **events;     /* rpc: choose seats of these events, one per connection in turn; see rpc.c */
    uint32_t event_count;
    pid_t doomed;      /* restore: the process that is killed */
    uint32_t inside;   /* restore: so many are let in and hold a seat; the others wait */
    double seconds;    /* measured time */
    double warm_up;    /* seconds of the same load before it, not counted */
    double hold;       /* connect: seconds from the last connection to the reading of memory */
    double grace;      /* open loop: seconds after the last intended send in which late answers still come */
};

enum { MAX_SIZE = 2048, MAX_CONNECTIONS = 60000, MAX_DEPTH = 256, MAX_WINDOW = 4096, MAX_OPEN_LOOP = 4000000 };

int run_connect(struct load *load, const struct options *options);
int run_reconnect(struct load *load, const struct options *options);
int run_restore(struct load *load, const struct options *options);
int run_storm(struct load *load, const struct options *options);
int run_rpc(struct load *load, const struct options *options);
int run_fanout(struct load *load, const struct options *options);
int run_http(struct load *load, const struct options *options);
int run_line(struct load *load, const struct options *options);

/* Opens all connections and waits until each is ready; gives up when one fails. */
void connect_all(struct load *load);

/* `,"connections":…,"failed":…,"first_failure":…,"heartbeats":…}` and a line feed: the end of every result. */
void print_end(const struct load *load);

#endif
