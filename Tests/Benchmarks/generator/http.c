/* http: the same GET over keep-alive connections, each with its own bearer token.
 *
 * Closed loop: each connection has one request under way; this finds the capacity. Open loop (`--rate`): request n is
 * due at start + n/rate and goes out on a connection that waits for nothing; while there is none it is late, and its
 * latency counts from the instant when it was due.
 *
 * Arrivals (`--arrivals`): POST, each token once, until all have been answered or, with `--rate`, as they are due: people
 * who come to a door. Without a rate each connection has one request under way.
 *
 * Refusals (`--refusals`): 429 and 503 with `Retry-After` are counted apart and are no latency, anything else but 200 is
 * wrong; of those served, the ones answered within two seconds of when they were due count as goodput.
 *
 * It has a loop of its own, as HTTP/1.1 shares nothing with the WebSockets of load.c but the wait: requests are written
 * once and sent again and again, and of an answer only its status and its length are looked at. */
#include "base.h"
#include "histogram.h"
#include "modes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HTTP_REQUEST = 4096, HTTP_ANSWER = 128 * 1024, HTTP_EVENTS = 64 };

struct exchange {
    int fd;
    bool is_busy;
    char *request;
    size_t request_length;
    int64_t due; /* of the request under way */
    char *answer; /* what has come of it */
    size_t answer_length;
};

struct http_run {
    const struct options *options;
    struct exchange *exchanges;
    uint32_t count;
    uint32_t *idle; /* a stack of those with nothing under way */
    uint32_t idle_count;
    const struct load *load; /* of arrivals: whose tokens they come with */
    uint64_t arrived;        /* so many have been sent */
    int64_t last_answer;
    int epoll;
    int64_t begin, measure_from, measure_to;
    uint64_t next, total, answered, answers_in_time, wrong, refused, served, good;
    bool last_was_refused;
    int64_t latest_send_ns;
    struct histogram latency;
};

static int64_t due_at(const struct http_run *run, uint64_t request) {
    return run->begin + (int64_t)((double)request / run->options->rate * 1e9);
}

static void write_request(struct exchange *exchange, const struct http_run *run, uint16_t port, const char *token) {
    int length = snprintf(exchange->request, HTTP_REQUEST,
                          "%s %s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAuthorization: Bearer %s\r\n%s\r\n",
                          run->options->arrivals ? "POST" : "GET", run->options->path, port, token,
                          run->options->arrivals ? "Content-Length: 0\r\n" : "");
    if (length >= HTTP_REQUEST) give_up("a token is longer than a request may be");
    exchange->request_length = (size_t)length;
}

static void send_request(struct http_run *run, struct exchange *exchange, int64_t due) {
    if (run->options->arrivals) write_request(exchange, run, run->load->port, run->load->tokens[run->arrived++]);
    exchange->due = due;
    exchange->is_busy = true;
    exchange->answer_length = 0;
    ssize_t sent = send(exchange->fd, exchange->request, exchange->request_length, MSG_NOSIGNAL);
    if (sent != (ssize_t)exchange->request_length) give_up("a request of %zu bytes was not taken whole",
                                                           exchange->request_length);
}

/* The length of the whole answer in `text`, 0 if it has not come whole. */
static size_t whole_answer(struct http_run *run, const char *text, size_t length) {
    const char *end = memmem(text, length, "\r\n\r\n", 4);
    if (end == NULL) return 0;
    size_t head = (size_t)(end - text) + 4, body = 0;
    bool is_known = false;
    for (const char *line = memchr(text, '\n', head); line != NULL && line < end; ) {
        line++;
        if (strncasecmp(line, "content-length:", 15) == 0) {
            body = strtoul(line + 15, NULL, 10);
            is_known = true;
        }
        line = memchr(line, '\n', (size_t)(end + 2 - line));
    }
    if (!is_known) give_up("an answer has no Content-Length: %.*s", (int)(end - text), text);
    if (length < head + body) return 0;
    bool is_refusal = strncmp(text, "HTTP/1.1 503", 12) == 0 || strncmp(text, "HTTP/1.1 429", 12) == 0;
    run->last_was_refused = run->options->refusals && is_refusal && memmem(text, head, "\nRetry-After: ", 14) != NULL;
    if (!run->last_was_refused && strncmp(text, "HTTP/1.1 200", 12) != 0) {
        if (run->wrong++ == 0) fprintf(stderr, "%.*s\n", (int)length, text);
    }
    return head + body;
}

static void take_answer(struct http_run *run, uint32_t index) {
    struct exchange *exchange = &run->exchanges[index];
    ssize_t got = recv(exchange->fd, exchange->answer + exchange->answer_length,
                       HTTP_ANSWER - exchange->answer_length, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) give_up("the server closed a connection");
    exchange->answer_length += (size_t)got;
    size_t length = whole_answer(run, exchange->answer, exchange->answer_length);
    if (length == 0) {
        if (exchange->answer_length == HTTP_ANSWER) give_up("an answer is longer than %d bytes", HTTP_ANSWER);
        return;
    }
    if (length != exchange->answer_length || !exchange->is_busy) give_up("the server sent more than was asked for");
    int64_t now = now_ns();
    bool is_paced = run->options->rate > 0;
    if (exchange->due >= run->measure_from && (is_paced || now < run->measure_to)) {
        run->answers_in_time++;
        if (run->last_was_refused) {
            run->refused++;
        } else {
            run->served++;
            if (now - exchange->due <= 2 * NS_PER_S) run->good++;
            histogram_add(&run->latency, now - exchange->due, 1);
        }
    }
    run->answered++;
    run->last_answer = now;
    exchange->is_busy = false;
    bool goes_on = run->options->arrivals ? run->arrived < run->total : now < run->measure_to;
    if (!is_paced && goes_on) send_request(run, exchange, now);
    else run->idle[run->idle_count++] = index;
}

/* Waits for answers until `until` at most. */
static void turn(struct http_run *run, int64_t until) {
    struct epoll_event events[HTTP_EVENTS];
    int64_t wait = until - now_ns();
    struct timespec timeout = {.tv_sec = wait > 0 ? wait / NS_PER_S : 0, .tv_nsec = wait > 0 ? wait % NS_PER_S : 0};
    int count = epoll_pwait2(run->epoll, events, HTTP_EVENTS, &timeout, NULL);
    for (int i = 0; i < count; i++) take_answer(run, events[i].data.u32);
}

static void send_due(struct http_run *run) {
    for (int64_t now = now_ns(); run->next < run->total && run->idle_count > 0; now = now_ns()) {
        int64_t due = due_at(run, run->next);
        if (due > now) return;
        if (now - due > run->latest_send_ns) run->latest_send_ns = now - due;
        run->next++;
        send_request(run, &run->exchanges[run->idle[--run->idle_count]], due);
    }
}

static void run_until(struct http_run *run, int64_t until) {
    bool is_paced = run->options->rate > 0;
    while (now_ns() < until) {
        if (is_paced) send_due(run);
        int64_t next = is_paced && run->next < run->total && run->idle_count > 0 ? due_at(run, run->next) : until;
        turn(run, next < until ? next : until);
    }
}

static void open_exchange(struct http_run *run, uint32_t index, uint16_t port, const char *token) {
    struct exchange *exchange = &run->exchanges[index];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int yes = 1;
    exchange->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (exchange->fd < 0) give_up("socket: %s", strerror(errno));
    if (connect(exchange->fd, (struct sockaddr *)&to, sizeof to) != 0) give_up("connect: %s", strerror(errno));
    setsockopt(exchange->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    exchange->request = must_alloc(1, HTTP_REQUEST);
    exchange->answer = must_alloc(1, HTTP_ANSWER);
    write_request(exchange, run, port, token);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = index};
    if (epoll_ctl(run->epoll, EPOLL_CTL_ADD, exchange->fd, &event) != 0) give_up("epoll_ctl: %s", strerror(errno));
    run->idle[run->idle_count++] = index;
}

/* Thousands of connections are opened and used before the time begins: taking them in is another measurement, and the
 * server closes those that say nothing. */
static void use_all_once(struct http_run *run, uint16_t port) {
    enum { AT_ONCE = 64 };
    run->idle_count = 0;
    for (uint32_t i = 0; i < run->count; i++) {
        struct exchange *exchange = &run->exchanges[i];
        int length = snprintf(exchange->request, HTTP_REQUEST,
                              "GET /health/live HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n\r\n", port);
        exchange->due = now_ns();
        exchange->is_busy = true;
        exchange->answer_length = 0;
        if (send(exchange->fd, exchange->request, (size_t)length, MSG_NOSIGNAL) != length)
            give_up("a request was not taken whole");
        while (i + 1 - run->idle_count >= AT_ONCE) turn(run, now_ns() + NS_PER_S);
    }
    while (run->idle_count < run->count) turn(run, now_ns() + NS_PER_S);
    run->answered = run->answers_in_time = run->wrong = run->refused = run->served = run->good = 0;
    run->latency = (struct histogram){0};
    run->begin = now_ns() + (int64_t)(run->options->hold * 1e9);
}

/* Every token once. */
static int run_arrivals(struct http_run *run, const struct load *load) {
    bool is_paced = run->options->rate > 0;
    run->total = load->token_count;
    run->measure_from = 0;
    run->measure_to = INT64_MAX;
    if (is_paced) use_all_once(run, load->port);
    while (now_ns() < run->begin) turn(run, run->begin);
    struct usage from = usage_now(&run->options->servers);
    while (!is_paced && run->idle_count > 0 && run->arrived < run->total)
        send_request(run, &run->exchanges[run->idle[--run->idle_count]], now_ns());
    while (run->answered < run->total && now_ns() < load->give_up_at) run_until(run, now_ns() + 10 * NS_PER_MS);
    struct usage to = usage_now(&run->options->servers);
    printf("{\"mode\":\"arrivals\",\"paced\":%s,\"refused\":%llu,\"served\":%llu,\"good\":%llu,\"seconds\":%.3f,"
           "\"requests_per_s\":%.1f,\"wrong\":%llu,\"missing\":%llu,\"latest_send_ms\":%.3f,",
           is_paced ? "true" : "false", (unsigned long long)run->refused, (unsigned long long)run->served,
           (unsigned long long)run->good, (double)(run->last_answer - from.at_ns) / 1e9,
           (double)run->answered / ((double)(run->last_answer - from.at_ns) / 1e9), (unsigned long long)run->wrong,
           (unsigned long long)(run->total - run->answered), (double)run->latest_send_ns / 1e6);
    histogram_print(&run->latency, "latency_ms");
    putchar(',');
    usage_print(&from, &to);
    printf(",\"connections\":%u,\"failed\":0,\"first_failure\":\"\"}\n", run->count);
    return run->wrong == 0 && run->answered == run->total ? 0 : 1;
}

int run_http(struct load *load, const struct options *options) {
    static struct http_run run;
    bool is_paced = options->rate > 0;
    run.options = options;
    run.count = options->connections;
    run.exchanges = must_alloc(run.count, sizeof(struct exchange));
    run.idle = must_alloc(run.count, sizeof(uint32_t));
    run.epoll = epoll_create1(EPOLL_CLOEXEC);
    if (load->token_count == 0) give_up("--tokens is needed");
    run.load = load;
    for (uint32_t i = 0; i < run.count; i++)
        open_exchange(&run, i, load->port, load->tokens[i % load->token_count]);

    run.begin = now_ns() + 10 * NS_PER_MS;
    if (options->arrivals) return run_arrivals(&run, load);
    run.measure_from = run.begin + (int64_t)(options->warm_up * 1e9);
    run.measure_to = run.measure_from + (int64_t)(options->seconds * 1e9);
    run.total = (uint64_t)(options->rate * (options->warm_up + options->seconds));
    while (!is_paced && run.idle_count > 0) send_request(&run, &run.exchanges[run.idle[--run.idle_count]], now_ns());
    run_until(&run, run.measure_from);
    struct usage from = usage_now(&options->servers);
    run_until(&run, run.measure_to);
    struct usage to = usage_now(&options->servers);
    int64_t give_up_at = now_ns() + (int64_t)(options->grace * 1e9);
    while (run.idle_count < run.count && now_ns() < give_up_at) run_until(&run, now_ns() + 10 * NS_PER_MS);
    int64_t end = now_ns();
    for (uint32_t i = 0; i < run.count; i++)
        if (run.exchanges[i].is_busy && is_paced) histogram_add(&run.latency, end - run.exchanges[i].due, 1);
    for (uint64_t i = run.next; i < run.total; i++) histogram_add(&run.latency, end - due_at(&run, i), 1);

    printf("{\"mode\":\"http\",\"paced\":%s,\"requests_per_s\":%.1f,\"wrong\":%llu,", is_paced ? "true" : "false",
           (double)run.answers_in_time / options->seconds, (unsigned long long)run.wrong);
    if (is_paced)
        printf("\"rate\":%.1f,\"missing\":%llu,\"latest_send_ms\":%.3f,", options->rate,
               (unsigned long long)(run.total - run.answered), (double)run.latest_send_ns / 1e6);
    histogram_print(&run.latency, "latency_ms");
    putchar(',');
    usage_print(&from, &to);
    printf(",\"connections\":%u,\"failed\":0,\"first_failure\":\"\"}\n", run.count);
    return run.wrong == 0 ? 0 : 1;
}
