/* SPDX-License-Identifier: Apache-2.0
 *
 * device_map and max_memory: every form that Transformers and accelerate take, what is refused and
 * how, and which rule a tensor falls under. */
#include "api_test.h"

#include "api/device_map.h"

typedef struct reading {
    plim_arena arena;
    plim_device_map map;
    plim_error err;
    plim_status status;
} reading;

static reading *read_map(const char *text)
{
    static reading r;
    plim_arena_free(&r.arena);
    memset(&r, 0, sizeof r);
    plim_arena_init(&r.arena, plim_alloc_system());
    r.status = plim_device_map_read(&r.map, &r.arena, text, &r.err);
    return &r;
}

static void test_words(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        plim_device all;
    } cases[] = {{NULL, PLIM_DEVICE_AUTO},
                 {"auto", PLIM_DEVICE_AUTO},
                 {"cpu", PLIM_DEVICE_CPU},
                 {"disk", PLIM_DEVICE_DISK}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reading *r = read_map(cases[i].text);
        assert_int_equal(r->status, PLIM_OK);
        assert_int_equal(r->map.all, cases[i].all);
        assert_int_equal(r->map.rule_count, 0);
        bool covered = false;
        assert_int_equal(plim_device_of(&r->map, "anything", &covered), cases[i].all);
        assert_true(covered);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        plim_status status;
        const char *says;
    } cases[] = {
        {"cuda", PLIM_E_UNSUP, "GPUs are not supported yet"},
        {"cuda:3", PLIM_E_UNSUP, "GPUs are not supported yet"},
        {"0", PLIM_E_UNSUP, "GPUs are not supported yet"},
        {"mps", PLIM_E_UNSUP, "GPUs are not supported yet"},
        {"meta", PLIM_E_UNSUP, "would load nothing"},
        {"cudax", PLIM_E_USAGE, "unknown"},
        {"cuda:x", PLIM_E_USAGE, "unknown"},
        {"CPU", PLIM_E_USAGE, "unknown"},
        {"", PLIM_E_USAGE, "unknown"},
        {"{\"a\": 0}", PLIM_E_UNSUP, "module 'a' is to live on device 0"},
        {"{\"a\": \"cuda:0\"}", PLIM_E_UNSUP, "GPUs are not supported yet"},
        {"{\"a\": \"xpu:1\"}", PLIM_E_UNSUP, "GPUs are not supported yet"},
        {"{\"a\": \"meta\"}", PLIM_E_UNSUP, "would have no weights"},
        {"{\"a\": \"auto\"}", PLIM_E_USAGE, "device 'auto' is unknown"},
        {"{\"a\": -1}", PLIM_E_USAGE, "device '-1' is unknown"},
        {"{\"a\": \"cpu\\u0000\"}", PLIM_E_USAGE, "is unknown"},
        {"{\"a\\u0000b\": \"cpu\"}", PLIM_E_USAGE, "NUL"},
        {"{\"a\": null}", PLIM_E_USAGE, "want \"cpu\" or \"disk\""},
        {"{\"a\": {\"b\": \"cpu\"}}", PLIM_E_USAGE, "want \"cpu\" or \"disk\""},
        {"{\"a\": [\"cpu\"]}", PLIM_E_USAGE, "want \"cpu\" or \"disk\""},
        {"{\"a\": \"cpu\", \"a\": \"disk\"}", PLIM_E_USAGE, "a"},
        {"{\"a\": \"cpu\", \"\\u0061\": \"cpu\"}", PLIM_E_USAGE, "a"},
        {"{}", PLIM_E_USAGE, "places nothing"},
        {"{\"a\": \"cpu\"", PLIM_E_USAGE, "device_map"},
        {"{\"a\": \"cpu\"} x", PLIM_E_USAGE, "device_map"},
        {"{'a': 'cpu'}", PLIM_E_USAGE, "device_map"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reading *r = read_map(cases[i].text);
        if (r->status != cases[i].status || r->err.code != cases[i].status ||
            !strstr(r->err.message, cases[i].says))
            fail_msg("%s: %s, %s", cases[i].text, plim_status_name(r->status), r->err.message);
    }
    char *deep = malloc(10001); /* a name longer than any tensor's */
    memset(deep, 'x', 10000);
    memcpy(deep, "{\"", 2);
    memcpy(deep + 9992, "\": \"cpu\"", 8);
    deep[10000] = '\0';
    deep[9999] = '}';
    reading *r = read_map(deep);
    assert_int_equal(r->status, PLIM_E_USAGE);
    free(deep);
}

static void assert_place(const reading *r, const char *name, plim_device want, bool want_covered)
{
    bool covered;
    plim_device device = plim_device_of(&r->map, name, &covered);
    if (device != want || covered != want_covered)
        fail_msg("%s: device %d, covered %d", name, device, covered);
}

static void test_longest_match(void **state)
{
    (void)state;
    reading *r = read_map(" {\"model\": \"cpu\", \"model.layers.1\": \"disk\", "
                          "\"model.layers.1.mlp\": \"cpu\", \"model.layers.10.mlp\": \"disk\", "
                          "\"lm_head\": \"disk\"}");
    assert_int_equal(r->status, PLIM_OK);
    assert_int_equal(r->map.rule_count, 5);
    assert_place(r, "model.embed_tokens.weight", PLIM_DEVICE_CPU, true);
    assert_place(r, "model.layers.1", PLIM_DEVICE_DISK, true);
    assert_place(r, "model.layers.1.self_attn.q_proj.weight", PLIM_DEVICE_DISK, true);
    assert_place(r, "model.layers.1.mlp.up_proj.weight", PLIM_DEVICE_CPU, true);
    assert_place(r, "model.layers.1.mlpx.weight", PLIM_DEVICE_DISK, true);
    assert_place(r, "model.layers.10.self_attn.q_proj.weight", PLIM_DEVICE_CPU, true);
    assert_place(r, "model.layers.10.mlp.up_proj.weight", PLIM_DEVICE_DISK, true);
    assert_place(r, "model.layers.11.mlp.up_proj.weight", PLIM_DEVICE_CPU, true);
    assert_place(r, "lm_head.weight", PLIM_DEVICE_DISK, true);
    assert_place(r, "lm_heads.weight", PLIM_DEVICE_AUTO, false);
    assert_place(r, "mode", PLIM_DEVICE_AUTO, false);
    assert_place(r, "models", PLIM_DEVICE_AUTO, false);
    r = read_map("{\"\": \"disk\", \"a\": \"cpu\"}");
    assert_place(r, "b.weight", PLIM_DEVICE_DISK, true);
    assert_place(r, "a.weight", PLIM_DEVICE_CPU, true);
    assert_place(r, "ab.weight", PLIM_DEVICE_DISK, true);
}

/* More rules than the first block of the list holds. */
static void test_many_rules(void **state)
{
    (void)state;
    char text[8192] = "{", name[64];
    for (int i = 0; i < 200; i++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s\"layers.%d\": \"%s\"",
                 i ? ", " : "", i, i % 3 ? "cpu" : "disk");
    strcat(text, "}");
    reading *r = read_map(text);
    assert_int_equal(r->status, PLIM_OK);
    assert_int_equal(r->map.rule_count, 200);
    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "layers.%d.weight", i);
        assert_place(r, name, i % 3 ? PLIM_DEVICE_CPU : PLIM_DEVICE_DISK, true);
    }
}

/* Every allocation that fails is told, and nothing leaks (the sanitizer sees to that). */
static void *no_memory(const plim_alloc *self, size_t bytes, plim_error *err)
{
    int *left = self->user;
    if (!(*left)--)
        return plim_fail(err, PLIM_E_NOMEM, "none left"), NULL;
    return plim_alloc_system()->alloc(plim_alloc_system(), bytes, err);
}

static void no_memory_free(const plim_alloc *self, void *ptr)
{
    (void)self;
    plim_delete(plim_alloc_system(), ptr);
}

static void *no_memory_resize(const plim_alloc *self, void *ptr, size_t bytes, plim_error *err)
{
    (void)self;
    return plim_alloc_system()->resize(plim_alloc_system(), ptr, bytes, err);
}

static void test_without_memory(void **state)
{
    (void)state;
    int fails = 0;
    for (int n = 0;; n++) {
        int left = n;
        plim_alloc alloc = {no_memory, no_memory_free, no_memory_resize, &left};
        plim_arena arena;
        plim_device_map map;
        plim_error err;
        plim_arena_init(&arena, &alloc);
        plim_status status = plim_device_map_read(&map, &arena, "{\"a\": \"cpu\"}", &err);
        plim_arena_free(&arena);
        if (status == PLIM_OK)
            break;
        assert_int_equal(status, PLIM_E_NOMEM);
        fails++;
    }
    assert_true(fails > 1);
}

static void test_max_memory(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        plim_status status;
        uint64_t bytes;
    } cases[] = {
        {NULL, PLIM_OK, 0},
        {"{}", PLIM_OK, 0},
        {"{\"cpu\": 123456}", PLIM_OK, 123456},
        {"{\"cpu\": \"10GiB\"}", PLIM_OK, 10ull << 30},
        {"{\"cpu\": \"10GB\"}", PLIM_OK, 10000000000ull},
        {"{\"cpu\": \"10G\", \"0\": 0}", PLIM_OK, 10000000000ull},
        {"{\"0\": \"0GiB\", \"1\": 0, \"cpu\": \"1MiB\", \"disk\": \"1TB\"}", PLIM_OK, 1 << 20},
        {"{\"disk\": \"100GB\"}", PLIM_OK, 0},
        {"{\"0\": \"10GiB\"}", PLIM_E_UNSUP, 0},
        {"{\"cuda:0\": 1}", PLIM_E_UNSUP, 0},
        {"{\"cpu\": 0}", PLIM_E_USAGE, 0},
        {"{\"cpu\": -1}", PLIM_E_USAGE, 0},
        {"{\"cpu\": 1.5}", PLIM_E_USAGE, 0},
        {"{\"cpu\": \"lots\"}", PLIM_E_USAGE, 0},
        {"{\"cpu\": null}", PLIM_E_USAGE, 0},
        {"{\"gpu\": 1}", PLIM_E_USAGE, 0},
        {"{\"meta\": 1}", PLIM_E_USAGE, 0},
        {"{\"cpu\": 1, \"cpu\": 2}", PLIM_E_USAGE, 0},
        {"10GiB", PLIM_E_USAGE, 0},
        {"[1]", PLIM_E_USAGE, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t bytes = 77;
        plim_error err = {0};
        plim_status status = plim_max_memory_read(&bytes, cases[i].text, plim_alloc_system(), &err);
        if (status != cases[i].status || (!status && bytes != cases[i].bytes) ||
            (status && err.code != status))
            fail_msg("%s: %s, %llu, %s", cases[i].text, plim_status_name(status),
                     (unsigned long long)bytes, err.message);
    }
}

/* As accelerate's convert_file_size_to_int, which takes any case but counts in bits for a small b.
 */
static void test_sizes(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool right;
        uint64_t bytes;
    } cases[] = {{"5", true, 5},
                 {"5B", true, 5},
                 {"1KiB", true, 1024},
                 {"1kib", true, 1024},
                 {"1MiB", true, 1 << 20},
                 {"2TiB", true, 2ull << 40},
                 {"1.5GiB", true, 3ull << 29},
                 {"0.25MB", true, 250000},
                 {"1KB", true, 1000},
                 {"1GB", true, 1000000000},
                 {"1gB", true, 1000000000},
                 {"8Gb", true, 1000000000},
                 {"3M", true, 3000000},
                 {"3T", true, 3000000000000},
                 {"18446744073709551615", true, UINT64_MAX},
                 {"18446744073709551616", false, 0},
                 {"99999999999GiB", false, 0},
                 {"1.5", false, 0},
                 {"1.GiB", false, 0},
                 {".5GiB", false, 0},
                 {"1.0000001GiB", false, 0},
                 {"1 GiB", false, 0},
                 {"GiB", false, 0},
                 {"1XiB", false, 0},
                 {"1GiBs", false, 0},
                 {"1Gi", false, 0},
                 {"-1", false, 0},
                 {"", false, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint64_t bytes = 0;
        bool right = plim_parse_size(cases[i].text, strlen(cases[i].text), &bytes);
        if (right != cases[i].right || (right && bytes != cases[i].bytes))
            fail_msg("%s: %d, %llu", cases[i].text, right, (unsigned long long)bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),          cmocka_unit_test(test_refused),
        cmocka_unit_test(test_longest_match),  cmocka_unit_test(test_many_rules),
        cmocka_unit_test(test_without_memory), cmocka_unit_test(test_max_memory),
        cmocka_unit_test(test_sizes),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    read_map(NULL);
    return failed;
}
