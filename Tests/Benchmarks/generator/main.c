/* A load generator for the servers of `make bench`: see docs/performance.md for what the figures mean.
 *
 *     generator connect   --port N --pid SERVER -n 2000 --tokens FILE
 *     generator reconnect --port N --pid SERVER -n 5000 --tokens FILE
 *     generator rpc     --port N --pid SERVER -n 64 --depth 4 [--seat]   capacity
 *     generator rpc     --port N --pid SERVER -n 64 --rate 1000          latency
 *     generator rpc     --port N --pid SERVER -n 64 --depth 4 --tokens FILE --events FILE    seats
 *     generator fanout  --port N --pid SERVER -n 1000 --window 8         capacity
 *     generator fanout  --port N --pid SERVER -n 1000 --rate 100         latency
 *     generator restore --port N --kill ITS_PID --publisher-port OTHER --pid OTHERS -n 5000 --inside 2500 \
 *                       --tokens FILE --events FILE
 *     generator fanout  --port N --pid SERVER -n 1000 --rate 100 --stalled 100
 *     generator storm   --port N --publisher-port OTHER --pid BOTH… -n 10000 --inside 5000 --tokens FILE --events FILE
 *     generator http    --port N --pid SERVER -n 64 --path /api/auth/me --tokens FILE [--rate 1000]
 *     generator http    --port N --pid SERVER -n 64 --path /api/queue/check/E --tokens FILE --arrivals [--rate 1000]
 *     generator line    --port N --pid SERVER -n 10000 --tokens FILE --events FILE --hold 10
 *
 * `--protocol` is socketio, nchan or centrifuge. Servers that are one may be several processes: `--pid` is given for
 * each, `--publisher-port` is that of the one that fanout's publisher uses, `--store` the pid of their Redis.
 *
 * It talks to 127.0.0.1 only, ends within --timeout seconds, and prints one JSON object. Exit status 0: measured;
 * 1: measured, but a connection failed or an answer was wrong; 2: nothing measured, the reason on standard error. */
#include "base.h"
#include "modes.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>

enum { MAX_TOKENS = 200000 };

static double number(const char *name, const char *text, double lowest, double highest) {
    char *end;
    double value = strtod(text, &end);
    if (*text == '\0' || *end != '\0' || !(value >= lowest && value <= highest))
        give_up("--%s %s: must be a number from %g to %g", name, text, lowest, highest);
    return value;
}

static char **read_lines(const char *path, uint32_t *lines) {
    char line[4096];
    FILE *file = fopen(path, "r");
    if (file == NULL) give_up("%s cannot be opened", path);
    char **texts = must_alloc(MAX_TOKENS, sizeof(char *));
    while (*lines < MAX_TOKENS && fgets(line, sizeof line, file) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0') texts[(*lines)++] = strdup(line);
    }
    fclose(file);
    if (*lines == 0) give_up("%s holds nothing", path);
    return texts;
}

static int64_t all_ready(struct load *load, int64_t now) {
    (void)now;
    load->stop = load->ready == load->count || load->failed > 0;
    return INT64_MAX;
}

void connect_all(struct load *load) {
    load->on_tick = all_ready;
    load_run(load, load->count, INT64_MAX);
    if (load->failed > 0) give_up("a connection was lost: %s", load->first_failure);
}

static void add_server(struct servers *servers, pid_t pid) {
    if (servers->count == MAX_SERVERS) give_up("--pid: more than %d", MAX_SERVERS);
    servers->pids[servers->count++] = pid;
}

static double parse(int count, char **arguments, struct load *load, struct options *options) {
    static const struct option known[] = {
        {"port", 1, NULL, 'p'}, {"pid", 1, NULL, 'P'},     {"connections", 1, NULL, 'n'}, {"handshakes", 1, NULL, 'H'},
        {"depth", 1, NULL, 'd'}, {"window", 1, NULL, 'w'}, {"rate", 1, NULL, 'r'},        {"size", 1, NULL, 's'},
        {"seconds", 1, NULL, 't'}, {"warm-up", 1, NULL, 'u'}, {"hold", 1, NULL, 'h'},     {"grace", 1, NULL, 'g'},
        {"tokens", 1, NULL, 'k'}, {"timeout", 1, NULL, 'T'}, {"protocol", 1, NULL, 'x'}, {"seat", 0, NULL, 'S'},
        {"publisher-port", 1, NULL, 'o'}, {"path", 1, NULL, 'a'}, {"store", 1, NULL, 'R'}, {"events", 1, NULL, 'e'},
        {"arrivals", 0, NULL, 'A'}, {"refusals", 0, NULL, 'F'}, {"stalled", 1, NULL, 'l'},
        {"inside", 1, NULL, 'i'}, {"kill", 1, NULL, 'K'},
        {NULL, 0, NULL, 0},
    };
    double timeout = 60;
    int letter, index = 0;
    while ((letter = getopt_long(count, arguments, "n:", known, &index)) != -1) {
        const char *name = letter == 'n' ? "connections" : known[index].name;
        switch (letter) {
        case 'p': load->port = (uint16_t)number(name, optarg, 1, 65535); break;
        case 'o': load->publisher_port = (uint16_t)number(name, optarg, 1, 65535); break;
        case 'P': add_server(&options->servers, (pid_t)number(name, optarg, 1, 4194304)); break;
        case 'K': options->doomed = (pid_t)number(name, optarg, 2, 4194304); break;
        case 'i': options->inside = (uint32_t)number(name, optarg, 0, MAX_CONNECTIONS); break;
        case 'R': options->servers.store = (pid_t)number(name, optarg, 1, 4194304); break;
        case 'x': load->protocol = protocol_named(optarg); break;
        case 'a': options->path = optarg; break;
        case 'A': options->arrivals = true; break;
        case 'F': options->refusals = true; break;
        case 'l': options->stalled = (uint32_t)number(name, optarg, 0, MAX_CONNECTIONS); break;
        case 'S': options->seat = true; break;
        case 'n': options->connections = (uint32_t)number(name, optarg, 1, MAX_CONNECTIONS); break;
        case 'H': load->handshakes = (uint32_t)number(name, optarg, 1, 4096); break;
        case 'd': options->depth = (uint32_t)number(name, optarg, 1, MAX_DEPTH); break;
        case 'w': options->window = (uint32_t)number(name, optarg, 1, MAX_WINDOW); break;
        case 'r': options->rate = number(name, optarg, 0.1, 1e6); break;
        case 's': options->size = (uint32_t)number(name, optarg, 16, MAX_SIZE); break;
        case 't': options->seconds = number(name, optarg, 0.1, 600); break;
        case 'u': options->warm_up = number(name, optarg, 0, 600); break;
        case 'h': options->hold = number(name, optarg, 0, 600); break;
        case 'g': options->grace = number(name, optarg, 0, 600); break;
        case 'T': timeout = number(name, optarg, 1, 1800); break;
        case 'k': load->tokens = read_lines(optarg, &load->token_count); break;
        case 'e': options->events = read_lines(optarg, &options->event_count); break;
        default: exit(64);
        }
    }
    if (load->port == 0 || options->servers.count == 0) give_up("--port and --pid are needed");
    if (load->publisher_port == 0) load->publisher_port = load->port;
    if (options->rate * (options->warm_up + options->seconds) > MAX_OPEN_LOOP)
        give_up("more than %d paced messages in one run", MAX_OPEN_LOOP);
    return timeout;
}

int main(int count, char **arguments) {
    static struct load load = {.handshakes = 64};
    load.protocol = protocol_named("socketio");
    struct options options = {.connections = 64, .depth = 4, .window = 8, .size = 200, .seconds = 3, .warm_up = 1,
                              .hold = 2, .grace = 3, .path = "/"};
    if (count < 2) give_up("the first argument is a mode: connect, reconnect, restore, storm, rpc, fanout, http or line");
    const char *mode = arguments[1];
    double timeout = parse(count - 1, arguments + 1, &load, &options);
    bool fanout = strcmp(mode, "fanout") == 0;
    load.has_publisher = fanout;
    load.count = options.connections + (fanout ? 1 : 0); /* the last one publishes */
    bool restore = strcmp(mode, "restore") == 0;
    load.retries = restore || strcmp(mode, "reconnect") == 0;
    load.give_up_at = now_ns() + (int64_t)(timeout * 1e9);
    signal(SIGPIPE, SIG_IGN);
    /* Sleeps end up to 50 µs late by default, which would be in every paced latency. */
    prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    int status;
    if (strcmp(mode, "http") == 0) return run_http(&load, &options);
    load_prepare(&load);
    if (strcmp(mode, "storm") == 0) status = run_storm(&load, &options);
    else if (strcmp(mode, "connect") == 0) status = run_connect(&load, &options);
    else if (restore) status = run_restore(&load, &options);
    else if (load.retries) status = run_reconnect(&load, &options);
    else if (strcmp(mode, "rpc") == 0) status = run_rpc(&load, &options);
    else if (strcmp(mode, "line") == 0) status = run_line(&load, &options);
    else if (fanout) status = run_fanout(&load, &options);
    else give_up("%s is no mode: connect, reconnect, restore, storm, rpc, fanout, http or line", mode);
    load_close(&load);
    return status;
}
