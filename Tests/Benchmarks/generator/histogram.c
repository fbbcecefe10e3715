#include "histogram.h"

#include <stdio.h>

enum { PARTS = 1 << HISTOGRAM_PART_BITS };

/* Below 128 a value is its own bucket. Above, the leading bit picks the group and the seven bits after it the part. */
static uint32_t bucket_of(uint64_t value) {
    if (value < PARTS) return (uint32_t)value;
    uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - HISTOGRAM_PART_BITS;
    return ((shift + 1) << HISTOGRAM_PART_BITS) | (uint32_t)((value >> shift) & (PARTS - 1));
}

static int64_t middle_of(uint32_t bucket) {
    if (bucket < PARTS) return bucket;
    uint32_t shift = (bucket >> HISTOGRAM_PART_BITS) - 1;
    uint64_t lowest = (uint64_t)(PARTS | (bucket & (PARTS - 1))) << shift;
    return (int64_t)(lowest + ((1ULL << shift) >> 1));
}

void histogram_add(struct histogram *histogram, int64_t value_ns, uint64_t times) {
    if (value_ns < 0) value_ns = 0;
    histogram->buckets[bucket_of((uint64_t)value_ns)] += times;
    histogram->total += times;
    if (times > 0 && value_ns > histogram->largest_ns) histogram->largest_ns = value_ns;
}

int64_t histogram_percentile(const struct histogram *histogram, double share) {
    double wanted = share * (double)histogram->total;
    uint64_t seen = 0;
    for (uint32_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
        seen += histogram->buckets[bucket];
        if (seen == 0 || (double)seen < wanted) continue;
        int64_t value = middle_of(bucket);
        return value < histogram->largest_ns ? value : histogram->largest_ns;
    }
    return histogram->largest_ns;
}

void histogram_print(const struct histogram *histogram, const char *name) {
    printf("\"%s\":{\"count\":%llu", name, (unsigned long long)histogram->total);
    static const struct {
        const char *name;
        double share;
    } points[] = {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}};
    for (unsigned i = 0; i < sizeof points / sizeof points[0]; i++)
        printf(",\"%s\":%.4f", points[i].name, (double)histogram_percentile(histogram, points[i].share) / 1e6);
    printf(",\"max\":%.4f}", (double)histogram->largest_ns / 1e6);
}
