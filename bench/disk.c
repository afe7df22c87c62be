/* SPDX-License-Identifier: Apache-2.0
 *
 * What this machine's disk gives at best: bare O_DIRECT reads of a file into freshly allocated huge
 * pages, nothing else.  The limit beside which loads are judged.
 *
 *     bench_disk FILE [--rounds N] [--bytes N]           sweep; one line of JSON
 *     bench_disk FILE --once BLOCK DEPTH [ENGINE]        one run of one configuration; seconds
 *     bench_disk FILE --populated ...                    memory is touched before the clock starts
 *
 * BLOCK in bytes; ENGINE is io_uring (the default) or threads.  The sweep goes over blocks of 1, 2,
 * 4, 8 MiB and 1, 2, 4, 8 in flight for both engines, interleaved; the best is that of the smallest
 * median. */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define HUGE_BYTES ((size_t)2 << 20)
#define ALIGN      4096u
#define MAX_ROUNDS 31
#define MAX_DEPTH  64

enum { URING, THREADS, ENGINES };
static const char *const engine_names[ENGINES] = {"io_uring", "threads"};

typedef struct job {
    int fd;
    size_t bytes, block;
    unsigned depth;
    int engine;
    bool populated;
    char *memory;
    atomic_size_t next; /* byte that nobody has asked for yet */
    atomic_int failed;
} job;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void die(const char *what, int why)
{
    fprintf(stderr, "bench_disk: %s: %s\n", what, strerror(why));
    exit(1);
}

static size_t round_up(size_t n, size_t to)
{
    return (n + to - 1) / to * to;
}

/* A block of its own for whoever asks; 0: none is left. */
static size_t take(job *j, size_t *at)
{
    *at = atomic_fetch_add(&j->next, j->block);
    if (*at >= j->bytes)
        return 0;
    return round_up(j->bytes - *at < j->block ? j->bytes - *at : j->block, ALIGN);
}

static void *read_blocks(void *arg)
{
    job *j = arg;
    size_t at, want;
    while ((want = take(j, &at)) > 0) {
        for (size_t done = 0; at + done < j->bytes && done < want;) {
            ssize_t n = pread(j->fd, j->memory + at + done, want - done, (off_t)(at + done));
            if (n <= 0) {
                atomic_store(&j->failed, n < 0 ? errno : EIO);
                return NULL;
            }
            done += (size_t)n;
        }
    }
    return NULL;
}

static void run_threads(job *j)
{
    pthread_t threads[MAX_DEPTH];
    unsigned started = 0;
    for (; started + 1 < j->depth; started++)
        if (pthread_create(&threads[started], NULL, read_blocks, j) != 0)
            die("a thread", EAGAIN);
    read_blocks(j);
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

typedef struct part {
    size_t at, want, done;
} part;

static void ask(struct io_uring *ring, const job *j, part *p)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_read(sqe, j->fd, j->memory + p->at + p->done, (unsigned)(p->want - p->done),
                       p->at + p->done);
    io_uring_sqe_set_data(sqe, p);
    int taken = io_uring_submit(ring);
    if (taken < 0)
        die("io_uring_submit", -taken);
}

static void run_uring(job *j)
{
    struct io_uring ring;
    part parts[MAX_DEPTH];
    unsigned in_flight = 0;
    int failed = io_uring_queue_init(MAX_DEPTH, &ring, 0);
    if (failed)
        die("io_uring", -failed);
    for (; in_flight < j->depth; in_flight++) {
        part *p = &parts[in_flight];
        p->done = 0;
        if ((p->want = take(j, &p->at)) == 0)
            break;
        ask(&ring, j, p);
    }
    while (in_flight > 0) {
        struct io_uring_cqe *cqe;
        failed = io_uring_wait_cqe(&ring, &cqe);
        if (failed == -EINTR)
            continue;
        if (failed)
            die("io_uring_wait_cqe", -failed);
        part *p = io_uring_cqe_get_data(cqe);
        int n = cqe->res;
        io_uring_cqe_seen(&ring, cqe);
        if (n <= 0)
            die("a read", n < 0 ? -n : EIO);
        p->done += (size_t)n;
        if (p->at + p->done < j->bytes && p->done < p->want) {
            ask(&ring, j, p);
            continue;
        }
        p->done = 0;
        if ((p->want = take(j, &p->at)) > 0)
            ask(&ring, j, p);
        else
            in_flight--;
    }
    io_uring_queue_exit(&ring);
}

/* Seconds of one run, from having no memory to having all bytes. */
static double run(job *j)
{
    const size_t held = round_up(j->bytes, HUGE_BYTES), map_bytes = held + HUGE_BYTES;
    atomic_store(&j->next, 0);
    atomic_store(&j->failed, 0);
    double start = now();
    char *map = mmap(NULL, map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED)
        die("memory", errno);
    j->memory = (char *)round_up((size_t)map, HUGE_BYTES);
    madvise(j->memory, held, MADV_HUGEPAGE);
    if (j->populated) {
        for (size_t i = 0; i < held; i += ALIGN)
            ((volatile char *)j->memory)[i] = 0;
        start = now();
    }
    if (j->engine == URING)
        run_uring(j);
    else
        run_threads(j);
    double seconds = now() - start;
    if (atomic_load(&j->failed))
        die("a read", atomic_load(&j->failed));
    munmap(map, map_bytes);
    return seconds;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct row {
    int engine;
    size_t block;
    unsigned depth;
    double seconds[MAX_ROUNDS], sorted[MAX_ROUNDS];
} row;

static void print_row(const row *r, double median, size_t bytes)
{
    printf("{\"engine\": \"%s\", \"block\": %zu, \"depth\": %u, \"seconds\": %.4f, "
           "\"bytes_per_second\": %.0f}",
           engine_names[r->engine], r->block, r->depth, median, (double)bytes / median);
}

static void sweep(job *j, const char *path, int rounds)
{
    static row rows[ENGINES * 16];
    int count = 0, best = 0;
    for (int engine = 0; engine < ENGINES; engine++)
        for (size_t block = (size_t)1 << 20; block <= (size_t)8 << 20; block *= 2)
            for (unsigned depth = 1; depth <= 8; depth *= 2)
                rows[count++] = (row){.engine = engine, .block = block, .depth = depth};
    for (int round = -1; round < rounds; round++) /* the first wakes disk and memory up */
        for (int i = 0; i < (round < 0 ? 1 : count); i++) {
            /* each round begins elsewhere: nobody always comes after the same neighbour */
            row *r = &rows[round < 0 ? i : (i + round * 7) % count];
            j->engine = r->engine;
            j->block = r->block;
            j->depth = r->depth;
            double seconds = run(j);
            if (round >= 0)
                r->seconds[round] = seconds;
        }
    for (int i = 0; i < count; i++) {
        memcpy(rows[i].sorted, rows[i].seconds, sizeof rows[i].sorted);
        qsort(rows[i].sorted, (size_t)rounds, sizeof(double), compare);
        if (rows[i].sorted[rounds / 2] < rows[best].sorted[rounds / 2])
            best = i;
    }
    printf("{\"file\": \"");
    for (const char *c = path; *c; c++)
        printf((unsigned char)*c < 0x20 ? "\\u%04x" : *c == '"' || *c == '\\' ? "\\%c" : "%c", *c);
    printf("\", \"bytes\": %zu, \"rounds\": %d, \"populated\": %s, \"best\": ", j->bytes, rounds,
           j->populated ? "true" : "false");
    print_row(&rows[best], rows[best].sorted[rounds / 2], j->bytes);
    printf(", \"runs\": [");
    for (int i = 0; i < count; i++) {
        printf("%s", i ? ", " : "");
        print_row(&rows[i], rows[i].sorted[rounds / 2], j->bytes);
    }
    printf("]}\n");
}

static void usage(void)
{
    fprintf(stderr, "usage: bench_disk FILE [--populated] [--bytes N] "
                    "[--rounds N | --once BLOCK DEPTH [io_uring|threads]]\n");
    exit(2);
}

int main(int argc, char **argv)
{
    job j = {.engine = URING};
    int rounds = 3;
    bool once = false;
    struct stat st;
    if (argc < 2)
        usage();
    j.fd = open(argv[1], O_RDONLY | O_DIRECT | O_CLOEXEC);
    if (j.fd < 0 || fstat(j.fd, &st) != 0)
        die(argv[1], errno);
    j.bytes = (size_t)st.st_size;
    for (int i = 2; i < argc; i++) {
        if (!strcmp(argv[i], "--populated")) {
            j.populated = true;
        } else if (!strcmp(argv[i], "--rounds") && i + 1 < argc) {
            rounds = atoi(argv[++i]);
        } else if (!strcmp(argv[i], "--bytes") && i + 1 < argc) {
            size_t most = strtoull(argv[++i], NULL, 10);
            j.bytes = most < j.bytes ? most : j.bytes;
        } else if (!strcmp(argv[i], "--once") && i + 2 < argc) {
            once = true;
            j.block = strtoull(argv[++i], NULL, 10);
            j.depth = (unsigned)atoi(argv[++i]);
            if (i + 1 < argc && argv[i + 1][0] != '-')
                j.engine = !strcmp(argv[++i], engine_names[THREADS]) ? THREADS : URING;
        } else {
            usage();
        }
    }
    if (rounds < 1 || rounds > MAX_ROUNDS || j.bytes == 0)
        usage();
    if (once && (j.depth < 1 || j.depth > MAX_DEPTH || j.block == 0 || j.block % ALIGN != 0 ||
                 j.block > (size_t)1 << 30))
        usage();
    if (once)
        printf("%.6f\n", run(&j));
    else
        sweep(&j, argv[1], rounds);
    close(j.fd);
    return 0;
}
