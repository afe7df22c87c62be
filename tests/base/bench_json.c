/* SPDX-License-Identifier: Apache-2.0
 *
 * How fast the JSON reader is: bench_json FILE... reads each file nine times and prints the best,
 * in seconds of the processor, so that what else runs on the machine counts little. Not part of the
 * test run. */
#include <stdio.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"

static plim_status read_all(const char *path, bool keep_duplicates, size_t *events, int64_t *bytes,
                            plim_error *err)
{
    plim_json *json;
    plim_json_event event = PLIM_JSON_NULL;
    plim_json_limits limits = {.keep_duplicates = keep_duplicates};
    plim_status status =
        plim_json_open_path(&json, plim_alloc_system(), path, UINT64_MAX, &limits, err);
    if (status != PLIM_OK)
        return status;
    *events = 0;
    while (event != PLIM_JSON_END && (status = plim_json_next(json, &event, err)) == PLIM_OK)
        ++*events;
    *bytes = plim_json_offset(json);
    plim_json_close(&json);
    return status;
}

static double cpu_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        for (int keep = 0; keep < 2; keep++) {
            double best = 1e9;
            size_t events = 0;
            int64_t bytes = 0;
            for (int run = 0; run < 9; run++) {
                plim_error err;
                double start = cpu_seconds();
                if (read_all(argv[i], keep, &events, &bytes, &err) != PLIM_OK) {
                    fprintf(stderr, "%s\n", err.message);
                    return 1;
                }
                double seconds = cpu_seconds() - start;
                best = seconds < best ? seconds : best;
            }
            printf("%s%s: %.1f MB, %zu events, %.1f ms, %.0f MB/s, %.1f ns per event\n", argv[i],
                   keep ? " (duplicates kept)" : "", (double)bytes / 1e6, events, best * 1e3,
                   (double)bytes / best / 1e6, best * 1e9 / (double)events);
        }
    }
    return 0;
}
