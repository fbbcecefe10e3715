/* Latencies in buckets whose width grows with the value: each power of two is cut into 128 equal parts, so a
 * percentile is off by less than 1 %, at any scale from a nanosecond to hours, in fixed memory and without sorting. */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stdint.h>

enum { HISTOGRAM_PART_BITS = 7, HISTOGRAM_BUCKETS = (64 - HISTOGRAM_PART_BITS + 1) << HISTOGRAM_PART_BITS };

struct histogram {
    uint64_t total;
    int64_t largest_ns;
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

/* Negative values count as zero: two reads of the clock may come out in either order within its resolution. */
void histogram_add(struct histogram *histogram, int64_t value_ns, uint64_t times);

/* The smallest recorded value that at least `share` (0 to 1) of all values do not exceed; 0 when empty. */
int64_t histogram_percentile(const struct histogram *histogram, double share);

/* `"name":{"count":…,"p50":…,"p90":…,"p99":…,"p999":…,"max":…}` in milliseconds, without a comma at either end. */
void histogram_print(const struct histogram *histogram, const char *name);

#endif
