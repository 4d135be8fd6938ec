/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what was appended is read back; what a crash tore is cut and said; what was damaged is
 * found and named; what was erased is gone, and nothing else is. Method: small logs, of which
 * every byte is broken in turn where there are few enough, and at random where not. Whatever can
 * be asked of files is asked of memory too. */
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "log/record.h"

static arena a;
static struct diag diag = { .arena = &a };
static char folder[64], uri[80];
static struct config config;

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/opmaat-log-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(uri, sizeof uri, "file:%s/log", folder);
    config = config_default();
    config.log_file_bytes = 32 << 10;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    arena_fini(&a);
    return system(command);
}

static struct log *open_log(const char *where)
{
    struct log *log;
    diag.what = (str){ 0 };
    if (log_open(where, &config, &log, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    return log;
}

static enum log_appended add(struct log *log, i64 at_ms, str body)
{
    struct entry entry = { ENTRY_EVENT, body };
    struct record record = { .at_ms = at_ms,
                             .partition = 3,
                             .epoch = 7,
                             .fold_version = 9,
                             .entries = &entry,
                             .entries_n = 1 };
    return log_append(log, log_tail(log), &record, 1);
}

static struct record read_at(struct log *log, u64 from)
{
    struct record record;
    bool found;
    if (log_read(log, from, &a, &record, &found, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    assert_true(found);
    return record;
}

static void verify_says(const char *where, i64 entries)
{
    struct log_totals t;
    if (log_verify(where, &config, &t, &diag)) fail_msg("%.*s", STR_FMT(diag.what));
    assert_int_equal(t.entries, entries);
}

static bool says(const char *needle) { return str_find(diag.what, str_of(needle)) >= 0; }

/* ---- files, as bytes ------------------------------------------------------------------------ */
struct image { char name[64]; char *ptr; isize len; };

static void path_of(char *to, isize n, const char *name)
{
    (void)snprintf(to, (size_t)n, "%s/log/%s", folder, name);
}

static struct image load(const char *name)
{
    struct image f = { 0 };
    char path[160];
    (void)snprintf(f.name, sizeof f.name, "%s", name);
    path_of(path, sizeof path, name);
    int fd = open(path, O_RDONLY);
    struct stat st;
    assert_true(fd >= 0 && fstat(fd, &st) == 0);
    f.len = st.st_size;
    f.ptr = mem_new(f.len);
    assert_int_equal(read(fd, f.ptr, (size_t)f.len), f.len);
    (void)close(fd);
    return f;
}

static void save(const struct image *f, isize len)
{
    char path[160];
    path_of(path, sizeof path, f->name);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, f->ptr, (size_t)len), len);
    (void)close(fd);
}

/* Where record i of an image begins, and where the last one ends. */
static isize record_at(const struct image *f, isize i)
{
    isize at = 0;
    struct record_head head;
    for (; i > 0; i--) {
        assert_int_equal(record_check((str){ f->ptr + at, f->len - at }, &head), RECORD_VALID);
        at += head.bytes;
    }
    return at;
}

static isize list(char names[][64], isize most)
{
    char path[160];
    path_of(path, sizeof path, "");
    DIR *dir = opendir(path);
    isize n = 0;
    for (struct dirent *e; (e = readdir(dir));)
        if (e->d_name[0] != '.') {
            assert_true(n < most);
            (void)snprintf(names[n++], 64, "%.63s", e->d_name);
        }
    (void)closedir(dir);
    qsort(names, (size_t)n, 64, (int (*)(const void *, const void *))strcmp);
    return n;
}

static bool anywhere(const char *needle)
{
    char names[64][64];
    bool found = false;
    for (isize i = list(names, 64); i-- > 0;) {
        struct image f = load(names[i]);
        found |= memmem(f.ptr, (size_t)f.len, needle, strlen(needle)) != NULL;
        mem_free(f.ptr);
    }
    return found;
}

#define FIRST_FILE "00000000000000000001.log"

/* ---- append and read ------------------------------------------------------------------------ */
static void appends_and_reads(const char *where)
{
    struct log *log = open_log(where);
    bool found;
    struct record none;
    assert_int_equal(log_tail(log), 1);
    assert_int_equal(log_read(log, 1, &a, &none, &found, &diag), ERR_OK);
    assert_false(found);

    struct entry entries[] = { { ENTRY_EVENT, S("first") },
                               { ENTRY_TICK, S("") },
                               { ENTRY_DECISION, S("third") } };
    struct record two[] = {
        { .at_ms = 10, .partition = 1, .epoch = 2, .fold_version = 3, .entries = entries, .entries_n = 3 },
        { .at_ms = 11, .entries = entries, .entries_n = 1 },
    };
    assert_int_equal(log_append(log, 2, two, 2), LOG_CONFLICT);
    assert_int_equal(log_append(log, 1, two, 2), LOG_OK);
    assert_int_equal(two[0].first, 1);
    assert_int_equal(two[1].first, 4);
    assert_int_equal(log_tail(log), 5);
    assert_int_equal(log_append(log, 4, two, 1), LOG_CONFLICT);

    for (int round = 0; round < 2; round++) {
        for (u64 from = 3; from >= 1; from--) {
            struct record r = read_at(log, from);
            assert_int_equal(r.first, 1);
            assert_int_equal(r.entries_n, 3);
            assert_int_equal(r.at_ms, 10);
            assert_int_equal(r.partition, 1);
            assert_int_equal(r.epoch, 2);
            assert_int_equal(r.fold_version, 3);
            assert_true(hash128_eq(r.hash, two[0].hash));
            for (isize i = 0; i < 3; i++) {
                assert_int_equal(r.entries[i].kind, entries[i].kind);
                assert_true(str_eq(r.entries[i].bytes, entries[i].bytes));
            }
        }
        assert_int_equal(read_at(log, 4).at_ms, 11);
        assert_int_equal(log_read(log, 5, &a, &none, &found, &diag), ERR_OK);
        assert_false(found);
        assert_int_equal(log_last_ms(log), 11);
        assert_int_equal(log_cut_bytes(log), 0);
        struct log_totals t = log_totals(log);
        assert_int_equal(t.records, 2);
        assert_int_equal(t.entries, 4);
        if (round) break;
        log_close(log);
        log = open_log(where);
    }
    log_close(log);
    verify_says(where, 4);
}

static void what_is_appended_is_read_back_also_after_reopening(void **state)
{
    (void)state;
    appends_and_reads(uri);
    appends_and_reads("mem:append");
}

static void a_log_has_one_writer(void **state)
{
    (void)state;
    struct log *log = open_log(uri), *second;
    assert_int_equal(log_open(uri, &config, &second, &diag), ERR_CONFLICT);
    log_close(log);
    log_close(open_log(uri));
    log = open_log("mem:owned");
    assert_int_equal(log_open("mem:owned", &config, &second, &diag), ERR_CONFLICT);
    log_close(log);
    assert_int_equal(log_open("nfs:there", &config, &second, &diag), ERR_BAD_INPUT);
}

static void memory_equals_files(void **state)
{
    (void)state;
    struct log *logs[2] = { open_log(uri), open_log("mem:") };
    struct rng rng = rng_seed(11);
    for (int round = 0; round < 400; round++) {
        char body[900];
        struct entry entries[8];
        struct record records[3];
        isize n = 1 + rng_below(&rng, 3);
        memset(body, 'a' + round % 26, sizeof body);
        for (isize i = 0; i < countof(entries); i++)
            entries[i] = (struct entry){ (u8)(1 + rng_below(&rng, ENTRY_KINDS - 1)),
                                         { body, rng_below(&rng, sizeof body) } };
        for (isize i = 0; i < n; i++)
            records[i] = (struct record){ .at_ms = round, .epoch = rng_below(&rng, 9), .entries = entries,
                                          .entries_n = 1 + rng_below(&rng, 8) };
        for (int l = 0; l < 2; l++)
            assert_int_equal(log_append(logs[l], log_tail(logs[l]), records, n), LOG_OK);
    }
    assert_int_equal(log_tail(logs[0]), log_tail(logs[1]));
    assert_true(log_totals(logs[0]).files > 5);
    assert_int_equal(log_totals(logs[0]).records, log_totals(logs[1]).records);
    assert_int_equal(log_totals(logs[0]).bytes, log_totals(logs[1]).bytes);

    struct arena_mark mark = arena_mark(&a);
    for (int read = 0; read < 6000; read++) {           /* in order, then anywhere */
        u64 tail = log_tail(logs[0]),
            from = read < (int)tail - 1 ? (u64)read + 1 : 1 + rng_next(&rng) % (tail - 1);
        arena_reset(&a, mark);
        struct record x = read_at(logs[0], from), y = read_at(logs[1], from);
        assert_int_equal(x.first, y.first);
        assert_int_equal(x.entries_n, y.entries_n);
        assert_int_equal(x.at_ms, y.at_ms);
        assert_int_equal(x.epoch, y.epoch);
        for (isize i = 0; i < x.entries_n; i++) {
            assert_int_equal(x.entries[i].kind, y.entries[i].kind);
            assert_true(str_eq(x.entries[i].bytes, y.entries[i].bytes));
        }
    }
    i64 entries = (i64)log_tail(logs[0]) - 1;
    log_close(logs[0]);
    log_close(logs[1]);
    verify_says(uri, entries);
}

/* ---- torn ----------------------------------------------------------------------------------- */
static void write_three(void)
{
    struct log *log = open_log(uri);
    assert_int_equal(add(log, 1, S("the first record")), LOG_OK);
    assert_int_equal(add(log, 2, S("the second record")), LOG_OK);
    assert_int_equal(add(log, 3, S("the third record, which will be torn")), LOG_OK);
    log_close(log);
}

static void opens_with(u64 tail, i64 cut)
{
    struct log *log = open_log(uri);
    assert_int_equal(log_tail(log), tail);
    assert_int_equal(log_cut_bytes(log), cut);
    for (u64 i = 1; i < tail; i++) assert_int_equal(read_at(log, i).at_ms, i);
    assert_int_equal(add(log, (i64)tail, S("after")), LOG_OK);
    assert_int_equal(read_at(log, tail).at_ms, tail);
    log_close(log);
    verify_says(uri, (i64)tail);
    log_close(open_log(uri));
}

static void a_torn_last_record_is_cut_and_said_at_every_byte(void **state)
{
    (void)state;
    write_three();
    int loud = dup(STDERR_FILENO), quiet = open("/dev/null", O_WRONLY);
    (void)dup2(quiet, STDERR_FILENO);                   /* hundreds of cuts are said, all expected */
    struct image whole = load(FIRST_FILE), torn = load(FIRST_FILE);
    isize from = record_at(&whole, 2), to = record_at(&whole, 3);
    for (isize at = from; at < to; at++) {
        isize used = at;                                /* the prefix arrived, zeros after it */
        memcpy(torn.ptr, whole.ptr, (size_t)whole.len);
        memset(torn.ptr + at, 0, (size_t)(to - at));
        while (used > from && !torn.ptr[used - 1]) used--;
        save(&torn, torn.len);
        if (memcmp(torn.ptr, whole.ptr, (size_t)whole.len) != 0) opens_with(3, used - from);

        save(&torn, at);                                /* the same, and the file ends there */
        if (at > from) opens_with(3, used - from);

        memcpy(torn.ptr, whole.ptr, (size_t)whole.len);
        memset(torn.ptr + from, 0,
               (size_t)(at - from)); /* the suffix arrived, not what was before it */
        save(&torn, torn.len);
        if (at > from) opens_with(3, to - from);

        memcpy(torn.ptr, whole.ptr, (size_t)whole.len);
        torn.ptr[at] = (char)(torn.ptr[at] ^ 0x40);     /* one byte of it went wrong */
        save(&torn, torn.len);
        opens_with(3, to - from);
    }
    (void)dup2(loud, STDERR_FILENO);
    (void)close(loud);
    (void)close(quiet);
    mem_free(whole.ptr);
    mem_free(torn.ptr);
}

static void a_torn_append_of_several_records_is_no_damage(void **state)
{
    (void)state;
    struct log *log = open_log(uri);
    assert_int_equal(add(log, 1, S("before")), LOG_OK);
    struct entry entry = { ENTRY_EVENT, S("one of three") };
    struct record three[3];
    for (isize i = 0; i < 3; i++)
        three[i] = (struct record){ .at_ms = 2 + i, .entries = &entry, .entries_n = 1 };
    assert_int_equal(log_append(log, 2, three, 3), LOG_OK);
    log_close(log);
    struct image f = load(FIRST_FILE);
    memset(f.ptr + record_at(&f, 1) + 20, 0, 60);       /* the first of them did not arrive, the others did */
    save(&f, f.len);
    opens_with(2, 3 * (RECORD_HEADER + ENTRY_HEADER + 12));
    mem_free(f.ptr);
}

/* ---- damaged -------------------------------------------------------------------------------- */
static void any_bit_flipped_in_an_earlier_record_is_found_and_named(void **state)
{
    (void)state;
    struct log *log = open_log(uri);
    for (i64 i = 1; i <= 20; i++) assert_int_equal(add(log, i, S("a record that was acknowledged")), LOG_OK);
    log_close(log);
    struct image f = load(FIRST_FILE);
    isize last = record_at(&f, 19), each = record_at(&f, 1);
    struct rng rng = rng_seed(3);
    for (int round = 0; round < 1500; round++) {
        isize at = rng_below(&rng, (u32)last);
        u32 bit = rng_below(&rng, 8);
        char expect[96];
        struct log_totals t;
        f.ptr[at] = (char)(f.ptr[at] ^ (1 << bit));
        save(&f, f.len);
        arena_clear(&a);
        (void)snprintf(expect, sizeof expect, FIRST_FILE ": the record of entry %d at byte %d ",
                       (int)(at / each) + 1, (int)(at / each * each));
        diag.what = (str){ 0 };
        assert_int_equal(log_open(uri, &config, &log, &diag), ERR_DAMAGED);
        if (!says(expect)) fail_msg("byte %d: %.*s", (int)at, STR_FMT(diag.what));
        assert_int_equal(log_verify(uri, &config, &t, &diag), ERR_DAMAGED);
        assert_true(says(expect));
        f.ptr[at] = (char)(f.ptr[at] ^ (1 << bit));
    }
    save(&f, f.len);
    mem_free(f.ptr);
    log_close(open_log(uri));
}

static void fill(struct log *log, int n)
{
    char body[1000];
    for (int i = 1; i <= n; i++) {
        (void)snprintf(body, sizeof body, "%0999d", i);
        assert_int_equal(add(log, i, (str){ body, sizeof body }), LOG_OK);
    }
}

static void damage_in_an_older_file_or_a_missing_one_is_named(void **state)
{
    (void)state;
    struct log *log = open_log(uri);
    fill(log, 200);
    log_close(log);
    char names[64][64];
    assert_true(list(names, 64) > 5);
    struct image f = load(names[2]);
    f.ptr[500] = (char)(f.ptr[500] ^ 1);
    save(&f, f.len);
    assert_int_equal(log_open(uri, &config, &log, &diag), ERR_DAMAGED);
    assert_true(says(names[2]) && says("at byte 0 is not whole"));
    f.ptr[500] = (char)(f.ptr[500] ^ 1);
    save(&f, f.len - 10);                               /* its end is gone, and a later file exists */
    assert_int_equal(log_open(uri, &config, &log, &diag), ERR_DAMAGED);
    assert_true(says(names[2]));
    save(&f, f.len);
    log_close(open_log(uri));

    char path[160];
    path_of(path, sizeof path, names[2]);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(log_open(uri, &config, &log, &diag), ERR_DAMAGED);
    assert_true(says("is missing") && says(names[3]));
    mem_free(f.ptr);
}

static void reseal(char *record)
{
    u32 bytes = load_u32le(record + 88);
    u64 seed = hash64((str){ record, 96 }, 0);
    store_u64le(record + 96, hash64((str){ record + RECORD_HEADER, bytes - RECORD_HEADER }, seed));
}

static void verify_finds_what_was_changed_with_its_checksum(void **state)
{
    (void)state;
    write_three();
    struct image f = load(FIRST_FILE);
    isize at = record_at(&f, 1);
    f.ptr[at + RECORD_HEADER + ENTRY_HEADER] ^= 1;      /* a body, by someone who knows the format */
    reseal(f.ptr + at);
    save(&f, f.len);
    struct log_totals t;
    log_close(open_log(uri));
    assert_int_equal(log_verify(uri, &config, &t, &diag), ERR_DAMAGED);
    assert_true(says("the record of entry 2") && says("does not agree with its hash"));
    mem_free(f.ptr);
}

static void a_record_of_a_newer_version_is_refused_and_not_cut(void **state)
{
    (void)state;
    write_three();
    struct image f = load(FIRST_FILE), after;
    char *last = f.ptr + record_at(&f, 2);
    struct log *log;
    store_u16le(last + 4, RECORD_FORMAT + 1);
    reseal(last);
    save(&f, f.len);
    assert_int_equal(log_open(uri, &config, &log, &diag), ERR_REFUSED);
    assert_true(says("newer"));
    after = load(FIRST_FILE);
    assert_memory_equal(f.ptr, after.ptr, f.len);
    mem_free(f.ptr);
    mem_free(after.ptr);
}

/* ---- trim and erase ------------------------------------------------------------------------- */
static void trims(const char *where)
{
    struct log *log = open_log(where);
    fill(log, 200);
    struct log_totals before = log_totals(log);
    struct record r;
    bool found;
    assert_int_equal(log_trim(log, 150), ERR_OK);
    struct log_totals after = log_totals(log);
    assert_true(after.bytes < before.bytes / 2 && after.entries < 100 && after.entries >= 51);
    assert_int_equal(after.entries, after.records);
    assert_int_equal(log_read(log, 1, &a, &r, &found, &diag), ERR_NOT_FOUND);
    assert_int_equal(read_at(log, 150).at_ms, 150);
    assert_int_equal(log_trim(log, 100000), ERR_OK);
    assert_int_equal(read_at(log, 200).at_ms, 200);
    log_close(log);
    log = open_log(where);
    assert_int_equal(log_tail(log), 201);
    assert_int_equal(add(log, 201, S("goes on")), LOG_OK);
    i64 left = log_totals(log).entries;
    log_close(log);
    verify_says(where, left);
}

static void what_is_trimmed_is_gone_and_the_chain_goes_on(void **state)
{
    (void)state;
    trims(uri);
    trims("mem:trim");
}

static bool about_ana(void *ctx, u64 number, i64 at_ms, const struct entry *entry, struct buf *stub)
{
    (void)at_ms;
    (void)stub;
    if (ctx) ++*(i64 *)ctx;
    (void)number;
    return str_find(entry->bytes, S("ana@example.com")) >= 0;
}

static void erases(const char *where)
{
    struct log *log = open_log(where);
    struct hash128 hashes[120];
    i64 asked = 0, erased;
    for (int i = 0; i < 120; i++) {
        char ours[600], theirs[600];
        (void)snprintf(ours, sizeof ours, "%d ana@example.com %0400d", i, i);
        (void)snprintf(theirs, sizeof theirs, "%d ben@example.com %0400d", i, i);
        struct entry entries[] = { { ENTRY_EVENT, str_of(theirs) },
                                   { ENTRY_EVENT, str_of(ours) },
                                   { ENTRY_EVENT, str_of(theirs) } };
        struct record record = { .at_ms = i, .entries = entries, .entries_n = i % 10 == 9 ? 3 : 1 };
        assert_int_equal(log_append(log, log_tail(log), &record, 1), LOG_OK);
        hashes[i] = record.hash;
    }
    struct log_totals before = log_totals(log);
    assert_int_equal(log_rewrite(log, about_ana, &asked, &erased, &diag), ERR_OK);
    assert_int_equal(erased, 12);
    assert_int_equal(asked, 120 + 24);                  /* once each */
    assert_int_equal(add(log, 1000, S("goes on")), LOG_OK);
    for (int round = 0; round < 2; round++) {
        u64 at = 1;
        for (int i = 0; i < 120; i++) {
            struct record r = read_at(log, at);
            assert_int_equal(r.first, at);
            assert_true(hash128_eq(r.hash, hashes[i]));
            for (isize e = 0; e < r.entries_n; e++) {
                bool gone = i % 10 == 9 && e == 1;
                assert_int_equal(r.entries[e].kind, gone ? ENTRY_ERASED : ENTRY_EVENT);
                assert_int_equal(r.entries[e].bytes.len > 0, !gone);
            }
            at += (u64)r.entries_n;
        }
        if (round) break;
        log_close(log);
        log = open_log(where);
    }
    assert_int_equal(log_totals(log).entries, before.entries + 1);
    assert_true(log_totals(log).bytes < before.bytes);
    assert_int_equal(log_rewrite(log, about_ana, NULL, &erased, &diag), ERR_OK);
    assert_int_equal(erased, 0);
    log_close(log);
    verify_says(where, before.entries + 1);
}

/* Leaves the number in the place of what is about Ana, and nothing in the place of a stub. */
static bool with_stub(void *ctx, u64 number, i64 at_ms, const struct entry *entry, struct buf *stub)
{
    (void)at_ms;
    (void)ctx;
    bool ours = str_find(entry->bytes, S("ana@example.com")) >= 0;
    if (ours) buf_printf(stub, "here stood entry %d", (int)number);
    return ours || entry->kind == ENTRY_ERASED;
}

static void leaves_stubs(const char *where)
{
    struct log *log = open_log(where);
    i64 erased;
    for (int i = 0; i < 40; i++) {
        struct entry entries[] = { { ENTRY_EVENT, S("ben") },
                                   { ENTRY_EVENT, S("ana@example.com") },
                                   { ENTRY_DECISION, S("") } };
        struct record record = { .at_ms = i, .entries = entries, .entries_n = 3 };
        assert_int_equal(log_append(log, log_tail(log), &record, 1), LOG_OK);
    }
    for (int round = 0; round < 3; round++) {
        assert_int_equal(log_rewrite(log, with_stub, NULL, &erased, &diag), ERR_OK);
        assert_int_equal(erased, round < 2 ? 40 : 0);   /* a stub that is empty is not asked about any more */
        for (u64 at = 1; at < 120; at += 3) {
            struct record r = read_at(log, at);
            char stub[40];
            (void)snprintf(stub, sizeof stub, "here stood entry %d", (int)at + 1);
            assert_int_equal(r.entries[1].kind, ENTRY_ERASED);
            assert_true(str_eq(r.entries[1].bytes, round == 0 ? str_of(stub) : S("")));
            assert_true(str_eq(r.entries[0].bytes, S("ben")));
            assert_int_equal(r.entries[2].kind, ENTRY_DECISION);
        }
        log_close(log);
        verify_says(where, 120);
        log = open_log(where);
    }
    log_close(log);
}

static void a_stub_stands_where_something_was_erased(void **state)
{
    (void)state;
    leaves_stubs(uri);
    leaves_stubs("mem:stubs");
}

static void what_was_erased_is_copied_as_erased(void **state)
{
    (void)state;
    struct log *log = open_log("mem:copy");
    struct entry entries[] = { { ENTRY_EVENT, S("ben") },
                               { ENTRY_ERASED, S("left") },
                               { ENTRY_ERASED, S("") } };
    struct record record = { .entries = entries, .entries_n = 3 };
    assert_int_equal(log_append(log, log_tail(log), &record, 1), LOG_OK);
    struct record r = read_at(log, 1);
    assert_int_equal(r.entries[1].kind, ENTRY_ERASED);
    assert_true(str_eq(r.entries[1].bytes, S("left")));
    log_close(log);
    verify_says("mem:copy", 3);
}

static void erasing_keeps_the_chain_and_everything_else(void **state)
{
    (void)state;
    erases(uri);
    erases("mem:erase");
    assert_false(anywhere("ana@example.com"));
    assert_true(anywhere("ben@example.com"));
}

static void a_rewrite_that_was_not_finished_is_cleared_away(void **state)
{
    (void)state;
    write_three();
    struct image f = load(FIRST_FILE);
    (void)snprintf(f.name, sizeof f.name, FIRST_FILE ".new");
    save(&f, 100);
    mem_free(f.ptr);
    log_close(open_log(uri));
    char names[64][64];
    assert_int_equal(list(names, 64), 1);
    assert_string_equal(names[0], FIRST_FILE);
}

struct busy { struct log *log; _Atomic bool stop; _Atomic i64 reads; };

static void *append_meanwhile(void *ctx)
{
    struct busy *b = ctx;
    for (int i = 0; !b->stop || i < 100; i++)
        assert_int_equal(add(b->log, i, i % 3 ? S("ben, who stays") : S("ana@example.com")),
                         LOG_OK);
    return NULL;
}

static void *read_meanwhile(void *ctx)
{
    struct busy *b = ctx;
    arena mine = { 0 };
    struct rng rng = rng_seed(5);
    while (!b->stop) {
        struct record r;
        bool found;
        arena_clear(&mine);
        u64 from = 1 + rng_next(&rng) % log_tail(b->log);
        assert_int_equal(log_read(b->log, from, &mine, &r, &found, NULL), ERR_OK);
        if (found) assert_true(r.first <= from && from < r.first + (u64)r.entries_n);
        b->reads++;
    }
    arena_fini(&mine);
    return NULL;
}

static void erasing_goes_on_beside_appends_and_reads(void **state)
{
    (void)state;
    struct busy b = { .log = open_log(uri) };
    pthread_t threads[2];
    i64 erased = 0, all = 0;
    fill(b.log, 50);
    assert_int_equal(pthread_create(&threads[0], NULL, append_meanwhile, &b), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, read_meanwhile, &b), 0);
    while (all < 60 || b.reads < 100) {
        assert_int_equal(log_rewrite(b.log, about_ana, NULL, &erased, &diag), ERR_OK);
        all += erased;
    }
    b.stop = true;
    for (int i = 0; i < 2; i++) assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_int_equal(log_rewrite(b.log, about_ana, NULL, &erased, &diag), ERR_OK);
    i64 entries = (i64)log_tail(b.log) - 1;
    log_close(b.log);
    assert_false(anywhere("ana@example.com"));
    verify_says(uri, entries);
}

static void what_was_appended_in_bulk_is_read_back(void **state)
{
    (void)state;
    struct log *log = open_log(uri);
    assert_int_equal(log_bulk(log, true), LOG_OK);
    for (i64 i = 0; i < 300; i++)                       /* over several files */
        assert_int_equal(add(log, 1000 + i, arena_printf(&a, "%0200lld", (long long)i)), LOG_OK);
    assert_int_equal(log_bulk(log, false), LOG_OK);
    assert_int_equal(add(log, 2000, S("after")), LOG_OK);
    log_close(log);
    verify_says(uri, 301);
    log = open_log(uri);
    assert_int_equal(log_cut_bytes(log), 0);
    assert_true(str_eq(read_at(log, 301).entries[0].bytes, S("after")));
    log_close(log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(what_was_appended_in_bulk_is_read_back),
        TEST(what_is_appended_is_read_back_also_after_reopening),
        TEST(a_log_has_one_writer),
        TEST(memory_equals_files),
        TEST(a_torn_last_record_is_cut_and_said_at_every_byte),
        TEST(a_torn_append_of_several_records_is_no_damage),
        TEST(any_bit_flipped_in_an_earlier_record_is_found_and_named),
        TEST(damage_in_an_older_file_or_a_missing_one_is_named),
        TEST(verify_finds_what_was_changed_with_its_checksum),
        TEST(a_record_of_a_newer_version_is_refused_and_not_cut),
        TEST(what_is_trimmed_is_gone_and_the_chain_goes_on),
        TEST(erasing_keeps_the_chain_and_everything_else),
        TEST(a_stub_stands_where_something_was_erased),
        TEST(what_was_erased_is_copied_as_erased),
        TEST(a_rewrite_that_was_not_finished_is_cleared_away),
        TEST(erasing_goes_on_beside_appends_and_reads),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
