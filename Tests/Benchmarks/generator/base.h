/* What every file of the generator needs: time in nanoseconds, and one way to give up. */
#ifndef BASE_H
#define BASE_H

#include <stdint.h>

#define NS_PER_S 1000000000LL
#define NS_PER_MS 1000000LL

/* The monotonic clock. It is read through the vDSO, about 30 ns, so once per readable socket costs nothing. */
int64_t now_ns(void);

/* Ends the run with exit status 2 and one line on standard error: the result would mean nothing. */
__attribute__((noreturn, format(printf, 1, 2))) void give_up(const char *format, ...);

/* Memory, or the end of the run: a generator that goes on without it would measure itself. */
void *must_alloc(uint64_t count, uint64_t size);
void *must_grow(void *old, uint64_t size);

#endif
