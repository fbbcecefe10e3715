#include "base.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int64_t now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * NS_PER_S + time.tv_nsec;
}

void give_up(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fputs("generator: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    exit(2);
}

void *must_alloc(uint64_t count, uint64_t size) {
    void *memory = calloc(count, size);
    if (memory == NULL)
        give_up("no memory for %llu times %llu bytes", (unsigned long long)count, (unsigned long long)size);
    return memory;
}

void *must_grow(void *old, uint64_t size) {
    void *memory = realloc(old, size);
    if (memory == NULL) give_up("no memory for %llu bytes", (unsigned long long)size);
    return memory;
}
