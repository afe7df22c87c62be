/* SPDX-License-Identifier: Apache-2.0
 *
 * Queues of reads, each way and each engine: the right bytes for ranges of every alignment, nothing
 * written outside the blocks, files that are cut, timeouts, and what the page cache holds. */
#include "reader_test.h"

static uint64_t seed = 1;

static uint64_t next_random(uint64_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (seed >> 20) % below;
}

/* Keep `depth` in flight until all requests are done and right. */
static void run_all(bench *b, const way *w, plim_read_request *all, size_t count, unsigned depth,
                    plim_read_queue *queue)
{
    plim_error err;
    plim_read_request *done;
    size_t begun = 0, ended = 0;
    bool busy[PLIM_READER_MAX_DEPTH] = {false};
    while (ended < count) {
        while (begun < count && begun - ended < depth) {
            unsigned slot = 0;
            while (busy[slot])
                slot++;
            busy[slot] = true;
            request_make(b, w->how, slot, all[begun].offset, all[begun].bytes, &all[begun]);
            assert_int_equal(plim_read_queue_submit(queue, &all[begun], &err), PLIM_OK);
            begun++;
            assert_int_equal(plim_read_queue_in_flight(queue), begun - ended);
        }
        plim_status status = plim_read_queue_wait(queue, &done, -1, &err);
        if (status != PLIM_OK)
            fail_msg("%s: %s", w->name, err.message);
        assert_non_null(done);
        request_check(b, w->how, done);
        busy[done->tag] = false;
        ended++;
    }
    assert_int_equal(plim_read_queue_in_flight(queue), 0);
    assert_int_equal(plim_read_queue_wait(queue, &done, -1, &err), PLIM_OK);
    assert_null(done);
}

static void every_alignment(void **state)
{
    (void)state;
    bench b;
    enum { COUNT = 600 };
    static plim_read_request all[COUNT];
    size_t files = open_files();
    bench_open(&b);
    for (size_t i = 0; i < WAYS; i++) {
        for (unsigned depth = 1; depth <= PLIM_READER_MAX_DEPTH; depth *= 4) {
            for (size_t k = 0; k < COUNT; k++) {
                uint64_t bytes = k % 3 == 0   ? next_random(4098)
                                 : k % 3 == 1 ? next_random(SLOT_BYTES - 4 * BLOCK)
                                              : BLOCK * next_random(8);
                uint64_t offset = next_random(FILE_BYTES - bytes + 1);
                if (k % 4 == 0)
                    offset -= offset % BLOCK;
                if (k % 7 == 0)
                    offset = FILE_BYTES - bytes; /* to the end of the file */
                all[k].offset = offset;
                all[k].bytes = bytes;
            }
            /* half of it out of the cache */
            posix_fadvise(b.file.file.fd, 0, FILE_BYTES / 2, POSIX_FADV_DONTNEED);
            plim_read_queue *queue = queue_open(&b, &ways[i], depth);
            assert_string_equal(plim_read_queue_engine(queue), ways[i].engine);
            run_all(&b, &ways[i], all, COUNT, depth, queue);
            plim_read_queue_close(&queue);
            assert_null(queue);
            plim_read_queue_close(&queue);
        }
    }
    bench_close(&b);
    assert_int_equal(open_files(), files);
}

static void small_and_at_the_end(void **state)
{
    (void)state;
    bench b;
    enum { COUNT = 4098 };
    static plim_read_request all[COUNT];
    bench_open(&b);
    for (size_t i = 0; i < WAYS; i++) {
        for (int at_end = 0; at_end < 2; at_end++) {
            size_t count = 0;
            for (size_t k = 0; k < COUNT; k += k < 100 || k > 4000 ? 1 : 13) {
                all[count].bytes = k;
                all[count++].offset = at_end ? FILE_BYTES - k : 8 * k + 1;
            }
            plim_read_queue *queue = queue_open(&b, &ways[i], 16);
            run_all(&b, &ways[i], all, count, 16, queue);
            plim_read_queue_close(&queue);
        }
    }
    bench_close(&b);
}

/* Holes, and a file that begins with one. */
static void sparse(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    plim_read_request r, *done;
    const uint64_t size = 9u << 20, at = (4u << 20) + 4097;
    b.folder = temp_open();
    snprintf(b.path, sizeof b.path, "%s/sparse", b.folder.path);
    int fd = open(b.path, O_CREAT | O_RDWR, 0600);
    assert_int_equal(pwrite(fd, "island", 6, (off_t)at), 6);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    close(fd);
    bench_use(&b, size);
    for (size_t i = 0; i < WAYS; i++) {
        plim_read_queue *queue = queue_open(&b, &ways[i], 2);
        const uint64_t offsets[] = {0, 4095, at - 5000, size - 10001};
        for (size_t k = 0; k < 4; k++) {
            request_make(&b, ways[i].how, 0, offsets[k], 10001, &r);
            assert_int_equal(plim_read_queue_submit(queue, &r, &err), PLIM_OK);
            assert_int_equal(plim_read_queue_wait(queue, &done, -1, &err), PLIM_OK);
            assert_ptr_equal(done, &r);
            const char *got = r.dst;
            for (size_t n = 0; n < r.bytes; n++) {
                uint64_t from = r.offset + n;
                assert_int_equal(got[n], from >= at && from < at + 6 ? "island"[from - at] : 0);
            }
        }
        plim_read_queue_close(&queue);
    }
    bench_close(&b);
}

/* Cut, grown, or only shorter than somebody believed. */
static void cut_files(void **state)
{
    (void)state;
    plim_error err;
    plim_read_request r, *done;
    for (size_t i = 0; i < WAYS; i++) {
        for (int k = 0; k < 4; k++) {
            bench b;
            bench_open(&b);
            plim_read_queue *queue = queue_open(&b, &ways[i], 4);
            const uint64_t cut = (uint64_t[]){0, 4096, 1000000, FILE_BYTES - 1}[k];
            request_make(&b, ways[i].how, 0, FILE_BYTES - 200000, 200000, &r);
            if (k == 1) { /* in use before */
                assert_int_equal(plim_read_queue_submit(queue, &r, &err), PLIM_OK);
                assert_int_equal(plim_read_queue_wait(queue, &done, -1, &err), PLIM_OK);
            }
            assert_int_equal(truncate(b.path, (off_t)cut), 0);
            memset(&err, 0, sizeof err);
            assert_int_equal(plim_read_queue_submit(queue, &r, &err), PLIM_OK);
            plim_status status = plim_read_queue_wait(queue, &done, -1, &err);
            assert_ptr_equal(done, &r);
            if (ways[i].how == PLIM_READER_MAP && k == 3) {
                /* the last page is there still, zeros after the end: the check after a load sees */
                assert_int_equal(status, PLIM_OK);
            } else {
                assert_int_equal(status, PLIM_E_CHANGED);
                assert_int_equal(err.code, PLIM_E_CHANGED);
                assert_string_equal(err.file, b.path);
                assert_non_null(strstr(err.message, "changed while in use"));
            }
            assert_int_equal(plim_read_queue_in_flight(queue), 0);
            plim_read_queue_close(&queue);
            bench_close(&b);
        }
        /* a range that was never there, of a file that is what it was */
        bench b;
        bench_open(&b);
        plim_read_queue *queue = queue_open(&b, &ways[i], 4);
        request_make(&b, ways[i].how, 0, FILE_BYTES - 1000, 200000, &r);
        if (ways[i].how != PLIM_READER_MAP) {
            assert_int_equal(plim_read_queue_submit(queue, &r, &err), PLIM_OK);
            assert_int_equal(plim_read_queue_wait(queue, &done, -1, &err), PLIM_E_TRUNC);
            assert_string_equal(err.file, b.path);
            assert_int_equal(err.offset, FILE_BYTES);
            assert_non_null(strstr(err.message, "199000 bytes are missing"));
        }
        plim_read_queue_close(&queue);
        bench_close(&b);
    }
}

/* Renamed and replaced while open: what was opened is what is read. */
static void renamed_files(void **state)
{
    (void)state;
    plim_error err;
    plim_read_request r, *done;
    for (size_t i = 0; i < WAYS; i++) {
        bench b;
        char other[300];
        bench_open(&b);
        snprintf(other, sizeof other, "%s-other", b.path);
        assert_int_equal(rename(b.path, other), 0);
        FILE *f = fopen(b.path, "w");
        fputs("another file", f);
        fclose(f);
        plim_read_queue *queue = queue_open(&b, &ways[i], 4);
        request_make(&b, ways[i].how, 0, 12345, 100000, &r);
        assert_int_equal(plim_read_queue_submit(queue, &r, &err), PLIM_OK);
        assert_int_equal(plim_read_queue_wait(queue, &done, -1, &err), PLIM_OK);
        request_check(&b, ways[i].how, &r);
        plim_read_queue_close(&queue);
        bench_close(&b);
    }
}

static void timeouts(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    plim_read_request r[16], *done;
    bench_open(&b);
    for (size_t i = 0; i < WAYS; i++) {
        plim_read_queue *queue = queue_open(&b, &ways[i], 16);
        assert_int_equal(plim_read_queue_wait(queue, &done, 0, &err), PLIM_OK);
        assert_null(done);
        double start = plim_now();
        assert_int_equal(plim_read_queue_wait(queue, &done, 10000, &err), PLIM_OK);
        assert_null(done); /* none is in flight: not waited for */
        assert_true(plim_now() - start < 5);
        for (unsigned k = 0; k < 16; k++) {
            request_make(&b, ways[i].how, k, 100000 * k + k, 150000, &r[k]);
            assert_int_equal(plim_read_queue_submit(queue, &r[k], &err), PLIM_OK);
        }
        assert_int_equal(plim_read_queue_in_flight(queue), 16);
        unsigned ended = 0, looks = 0;
        uint64_t seen = 0;
        while (ended < 16) {
            assert_int_equal(plim_read_queue_wait(queue, &done, looks++ % 2, &err), PLIM_OK);
            assert_true(plim_now() - start < 60);
            if (done) {
                request_check(&b, ways[i].how, done);
                assert_false(seen >> done->tag & 1);
                seen |= 1u << done->tag;
                ended++;
            }
            assert_int_equal(plim_read_queue_in_flight(queue), 16 - ended);
        }
        plim_read_queue_close(&queue);
    }
    bench_close(&b);
}

/* Closed with requests in flight: their memory is the caller's again, nothing writes to it. */
static void closed_early(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    plim_read_request r[16];
    size_t files = open_files();
    bench_open(&b);
    for (size_t i = 0; i < WAYS; i++) {
        for (unsigned count = 1; count <= 16; count += 5) {
            posix_fadvise(b.file.file.fd, 0, 0, POSIX_FADV_DONTNEED);
            plim_read_queue *queue = queue_open(&b, &ways[i], 16);
            for (unsigned k = 0; k < count; k++) {
                request_make(&b, ways[i].how, k, 150000 * k, 200000, &r[k]);
                assert_int_equal(plim_read_queue_submit(queue, &r[k], &err), PLIM_OK);
            }
            plim_read_queue_close(&queue);
            memset(b.ring.base, 0x11, b.ring.bytes);
            usleep(500);
            for (size_t n = 0; n < b.ring.bytes; n += 97)
                assert_int_equal(((uint8_t *)b.ring.base)[n], 0x11);
        }
    }
    bench_close(&b);
    assert_int_equal(open_files(), files);
}

/* More files than descriptors are kept for; and a line that leaves no room. */
static void many_files(void **state)
{
    (void)state;
    enum { FILES = 100 };
    bench b;
    plim_error err;
    plim_read_request r, *done;
    static plim_stored_file files[FILES];
    size_t before = open_files();
    bench_open(&b);
    for (size_t i = 0; i < FILES; i++) {
        files[i] = b.file;
        assert_int_equal(plim_file_open(&files[i].file, b.path, &err), PLIM_OK);
    }
    b.set.files = files;
    b.set.file_count = FILES;
    size_t opened = open_files();
    for (size_t i = 0; i < WAYS; i++) {
        plim_read_queue *queue = queue_open(&b, &ways[i], 4);
        for (uint32_t k = 0; k < 3 * FILES; k++) {
            request_make(&b, ways[i].how, 0, 4097 * k, 5000, &r);
            r.file = k * 7 % FILES;
            assert_int_equal(plim_read_queue_submit(queue, &r, &err), PLIM_OK);
            assert_int_equal(plim_read_queue_wait(queue, &done, -1, &err), PLIM_OK);
            request_check(&b, ways[i].how, &r);
            assert_true(open_files() <= opened + 33);
        }
        plim_read_queue_close(&queue);
        assert_int_equal(open_files(), opened);
    }
    for (size_t i = 0; i < FILES; i++)
        plim_file_close(&files[i].file);
    bench_close(&b);
    assert_int_equal(open_files(), before);
}

static void below_the_line(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    bench_open(&b);
    for (size_t i = 0; i < WAYS; i++) {
        bool opened = false;
        uint64_t most = plim_read_queue_bytes(ways[i].how, 16);
        for (unsigned part = 0; part <= 20; part++) {
            const uint64_t line = most * part / 20;
            plim_ledger *ledger;
            plim_read_queue *queue;
            assert_int_equal(plim_ledger_open(&ledger, line ? line : 1, 0, NULL, &err), PLIM_OK);
            const plim_read_setup setup = {
                ways[i].how, &b.set, ledger, ways[i].ring ? &b.ring : NULL, 16, ways[i].without};
            plim_status status = plim_read_queue_open(&queue, &setup, &err);
            assert_true(status == PLIM_OK || status == PLIM_E_BUDGET);
            assert_true(status != PLIM_OK ? !queue && err.code == PLIM_E_BUDGET : queue != NULL);
            assert_true(status == PLIM_OK || !opened); /* more room never does less */
            opened = status == PLIM_OK;
            plim_read_queue_close(&queue);
            plim_memory left;
            plim_ledger_read(ledger, &left);
            assert_int_equal(left.anonymous.now, 0);
            plim_ledger_close(&ledger);
        }
        assert_true(opened);
    }
    bench_close(&b);
}

/* Read nearly all of the file; what of two pages that were in the cache before, and of the whole,
 * is there afterwards. */
static void read_beside_the_cache(bench *b, const way *w, uint64_t *kept, uint64_t *resident)
{
    plim_error err;
    plim_read_request r, *done;
    uint8_t warm[8192];
    const int fd = b->file.file.fd;
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM); /* no more than these */
    assert_int_equal(pread(fd, warm, 8192, 1 << 20), 8192);
    posix_fadvise(fd, 0, 0, POSIX_FADV_NORMAL);
    plim_read_queue *queue = queue_open(b, w, 4);
    for (unsigned k = 0; k < 15; k++) {
        request_make(b, w->how, 0, k * 200000, 200000, &r);
        assert_int_equal(plim_read_queue_submit(queue, &r, &err), PLIM_OK);
        assert_int_equal(plim_read_queue_wait(queue, &done, -1, &err), PLIM_OK);
        request_check(b, w->how, &r);
    }
    plim_read_queue_close(&queue);
    assert_true(plim_fd_resident(fd, 1 << 20, 8192, kept));
    assert_true(plim_fd_resident(fd, 0, FILE_BYTES, resident));
}

/* Direct reads leave the page cache as it was; buffered ones nearly so where the kernel can. */
static void page_cache(void **state)
{
    (void)state;
    bench b;
    uint64_t kept = 0, resident = 0;
    size_t got;
    char one;
    bench_open(&b);
    plim_region_close(&b.map, b.ledger);
    if (!plim_fd_resident(b.file.file.fd, 0, FILE_BYTES, &resident)) {
        print_message("SKIPPED: no cachestat here\n");
        bench_close(&b);
        skip();
    }
    const bool knows = plim_fd_read(b.file.file.fd, &one, 1, 0, true, &got) == 0;
    print_message("reads that leave nothing in the page cache: %s\n", knows ? "yes" : "no");
    for (size_t i = 0; i < WAYS; i++) {
        if (ways[i].how == PLIM_READER_MAP)
            continue;
        /* again where somebody else emptied the machine's page cache meanwhile */
        for (int tries = 0; tries < 20 && kept != 8192; tries++)
            read_beside_the_cache(&b, &ways[i], &kept, &resident);
        print_message("%s: %llu KiB in the page cache, 8 before\n", ways[i].name,
                      (unsigned long long)resident / 1024);
        assert_int_equal(kept, 8192); /* what was there stays */
        if (ways[i].how == PLIM_READER_DIRECT)
            assert_int_equal(resident, 8192);
        else if (knows) /* what was read ahead beyond the last range stays */
            assert_true(resident < FILE_BYTES / 4);
        kept = 0;
    }
    bench_close(&b);
}

/* Memory as a file system: its files are not on a disk. */
static void in_memory_files(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    int fd;
    enum { COUNT = 200 };
    static plim_read_request all[COUNT];
    strcpy(b.folder.path, "/dev/shm/plimsoll-test-XXXXXX");
    if (!mkdtemp(b.folder.path)) {
        print_message("SKIPPED: no /dev/shm here\n");
        skip();
    }
    snprintf(b.path, sizeof b.path, "%s/file", b.folder.path);
    bench_write(b.path, FILE_BYTES);
    bench_use(&b, FILE_BYTES);
    bool direct = plim_file_open_direct(&fd, &b.file.file, b.path);
    print_message("tmpfs %s O_DIRECT here\n", direct ? "takes" : "refuses");
    plim_fd_close(&fd);
    for (size_t i = 0; i < WAYS; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            all[k].bytes = next_random(SLOT_BYTES - 4 * BLOCK);
            all[k].offset = next_random(FILE_BYTES - all[k].bytes + 1);
        }
        plim_read_queue *queue = queue_open(&b, &ways[i], 8);
        run_all(&b, &ways[i], all, COUNT, 8, queue);
        plim_read_queue_close(&queue);
    }
    plim_error_clear(&err);
    bench_close(&b);
}

/* The ways themselves, without a queue. */
static void fetching(void **state)
{
    (void)state;
    bench b;
    plim_error err;
    plim_read_request r;
    int direct;
    bench_open(&b);
    assert_true(plim_file_open_direct(&direct, &b.file.file, b.path));
    const struct {
        const plim_reader_ops *ops;
        plim_reader how;
        int fd;
        const char *name;
    } of[] = {{&plim_reader_map, PLIM_READER_MAP, b.file.file.fd, "map"},
              {&plim_reader_buffered, PLIM_READER_BUFFERED, b.file.file.fd, "buffered"},
              {&plim_reader_direct, PLIM_READER_DIRECT, direct, "direct"},
              /* a descriptor that can't read so: through the page cache */
              {&plim_reader_direct, PLIM_READER_DIRECT, -1, "direct"}};
    for (size_t i = 0; i < sizeof of / sizeof *of; i++) {
        assert_string_equal(of[i].ops->name, of[i].name);
        request_make(&b, of[i].how, 3, 777, 100001, &r);
        assert_int_equal(of[i].ops->fetch(&b.file, of[i].fd, &r, &err), PLIM_OK);
        request_check(&b, of[i].how, &r);
        if (of[i].how == PLIM_READER_MAP)
            continue;
        request_make(&b, of[i].how, 3, FILE_BYTES - 5, 100, &r);
        assert_int_equal(of[i].ops->fetch(&b.file, of[i].fd, &r, &err), PLIM_E_TRUNC);
        assert_int_equal(err.offset, FILE_BYTES);
    }
    plim_fd_close(&direct);
    bench_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_alignment), cmocka_unit_test(small_and_at_the_end),
        cmocka_unit_test(sparse),          cmocka_unit_test(cut_files),
        cmocka_unit_test(renamed_files),   cmocka_unit_test(timeouts),
        cmocka_unit_test(closed_early),    cmocka_unit_test(many_files),
        cmocka_unit_test(below_the_line),  cmocka_unit_test(page_cache),
        cmocka_unit_test(in_memory_files), cmocka_unit_test(fetching),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
