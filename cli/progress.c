/* SPDX-License-Identifier: Apache-2.0
 *
 * Progress on standard error. */
#include "progress.h"

#include <stdio.h>
#include <unistd.h>

#include "interrupt.h"
#include "values.h"

#define WIDTH        76
#define DRAW_SECONDS 0.1 /* callbacks come more often than anybody can read */

void progress_open(cli_progress *progress, const char *what, bool quiet)
{
    progress->what = what;
    progress->on = !quiet && isatty(STDERR_FILENO);
    progress->shown = false;
}

static bool due(const cli_progress *progress, const plim_progress *p)
{
    double since = p->seconds - progress->drawn; /* below 0: something else is in progress now */
    return !progress->shown || since < 0 || since >= DRAW_SECONDS ||
           p->done_bytes >= p->total_bytes;
}

int progress_show(void *user, const plim_progress *p)
{
    cli_progress *progress = user;
    if (progress->on && due(progress, p)) {
        char done[24], total[24], speed[24], line[160], left[32] = "";
        double rate = p->seconds > 0 ? (double)p->done_bytes / p->seconds : 0;
        double share =
            p->total_bytes ? 100.0 * (double)p->done_bytes / (double)p->total_bytes : 100.0;
        if (p->eta_seconds >= 0)
            snprintf(left, sizeof left, "  %.0f s left", p->eta_seconds);
        text_of_bytes(done, sizeof done, p->done_bytes);
        text_of_bytes(total, sizeof total, p->total_bytes);
        text_of_bytes(speed, sizeof speed, (uint64_t)rate);
        snprintf(line, sizeof line, "%s %s of %s  %.0f %%  %s/s%s", progress->what, done, total,
                 share, speed, left);
        fprintf(stderr, "\r%-*.*s", WIDTH, WIDTH, line);
        fflush(stderr);
        progress->shown = true;
        progress->drawn = p->seconds;
    }
    return interrupt_seen();
}

void progress_clear(cli_progress *progress)
{
    if (progress->shown)
        fprintf(stderr, "\r%*s\r", WIDTH, "");
    progress->shown = false;
}
