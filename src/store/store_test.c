/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: what was committed is there after any end, what was deleted is not, and the write-ahead
 * log stays short while people read and write. Method: real files; the bytes of the file and its
 * WAL are looked at, not only what SQLite says about them. */
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "store/store.h"

static arena a;
static struct diag diag = { .arena = &a };
static char folder[64], path[128];

static const struct migration schema[] = {
    { 1, "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, data BLOB);" },
    { 2,
      "CREATE TABLE visit (person INTEGER NOT NULL REFERENCES person, at_ms INTEGER);"
      "CREATE INDEX visit_at ON visit (at_ms);" },
    { 3, "ALTER TABLE person ADD COLUMN worth REAL" },
};

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(folder, sizeof folder, "/tmp/opmaat-store-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(path, sizeof path, "%s/state.db", folder);
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

static void well(enum err err)
{
    if (err) fail_msg("%s: %.*s", err_name(err), STR_FMT(diag.what));
}

static struct store *open_store(enum store_mode mode)
{
    struct store *store;
    well(store_open(path, mode, &store, &diag));
    if (mode == STORE_WRITER) well(store_migrate(store, schema, countof(schema), &diag));
    return store;
}

static enum err insert(struct store *store, i64 id, str name, str data)
{
    struct statement *s = store_statement(store, "INSERT INTO person (id, name, data) VALUES (?, ?, ?)");
    bind_i64(s, 1, id);
    bind_str(s, 2, name);
    bind_blob(s, 3, data);
    return statement_run(s);
}

static i64 ask(struct store *store, const char *sql)
{
    struct statement *s = store_statement(store, sql);
    bool row;
    well(statement_step(s, &row));
    assert_true(row);
    i64 v = column_i64(s, 0);
    statement_reset(s);
    return v;
}

static i64 size_of(const char *suffix)
{
    char file[160];
    struct stat st;
    (void)snprintf(file, sizeof file, "%s%s", path, suffix);
    return stat(file, &st) == 0 ? (i64)st.st_size : 0;
}

static bool bytes_hold(const char *suffix, const char *needle)
{
    char file[160];
    (void)snprintf(file, sizeof file, "%s%s", path, suffix);
    isize n = size_of(suffix);
    if (n == 0) return false;
    int fd = open(file, O_RDONLY);
    char *bytes = mem_new(n);
    assert_int_equal(read(fd, bytes, (size_t)n), n);
    bool found = memmem(bytes, (size_t)n, needle, strlen(needle)) != NULL;
    (void)close(fd);
    mem_free(bytes);
    return found;
}

/* ---- schema --------------------------------------------------------------------------------- */
static void migrations_run_once_each_and_go_on_where_they_were(void **state)
{
    (void)state;
    struct store *store;
    well(store_open(path, STORE_WRITER, &store, &diag));
    assert_int_equal(store_version(store), 0);
    well(store_migrate(store, schema, 2, &diag));
    assert_int_equal(store_version(store), 2);
    well(insert(store, 1, S("ana"), S("kept")));
    store_close(store);

    well(store_open(path, STORE_WRITER, &store, &diag));
    well(store_migrate(store, schema, 3, &diag));
    well(store_migrate(store, schema, 3, &diag));
    assert_int_equal(store_version(store), 3);
    assert_int_equal(ask(store, "SELECT count(*) FROM person WHERE worth IS NULL"), 1);
    store_close(store);
}

static void a_file_from_a_newer_program_is_refused_and_left_alone(void **state)
{
    (void)state;
    store_close(open_store(STORE_WRITER));
    struct store *store;
    well(store_open(path, STORE_WRITER, &store, &diag));
    assert_int_equal(store_migrate(store, schema, 2, &diag), ERR_REFUSED);
    assert_true(str_find(diag.what, S("newer version: its schema is 3, this program knows 2")) > 0);
    assert_int_equal(store_version(store), 3);
    store_close(store);
}

static void a_migration_that_fails_leaves_nothing_behind(void **state)
{
    (void)state;
    static const struct migration broken[] = {
        { 1, "CREATE TABLE one (id INTEGER PRIMARY KEY)" },
        { 2, "CREATE TABLE two (id INTEGER PRIMARY KEY); INSERT INTO nowhere VALUES (1)" },
    };
    struct store *store;
    well(store_open(path, STORE_WRITER, &store, &diag));
    assert_int_equal(store_migrate(store, broken, 2, &diag), ERR_INTERNAL);
    assert_true(str_find(diag.what, S("nowhere")) > 0);
    assert_int_equal(store_version(store), 1);
    assert_int_equal(ask(store, "SELECT count(*) FROM sqlite_schema WHERE name = 'two'"), 0);
    store_close(store);
}

static void opening_says_what_is_wrong(void **state)
{
    (void)state;
    struct store *store;
    assert_int_equal(store_open(path, STORE_READER, &store, &diag), ERR_NOT_FOUND);
    assert_int_equal(store_open("/nowhere/at/all", STORE_WRITER, &store, &diag), ERR_DISK);
    int fd = open(path, O_WRONLY | O_CREAT, 0600);
    char junk[8192];
    memset(junk, 'j', sizeof junk);
    assert_int_equal(write(fd, junk, sizeof junk), sizeof junk);
    (void)close(fd);
    assert_int_equal(store_open(path, STORE_WRITER, &store, &diag), ERR_DAMAGED);
    assert_null(store);
}

/* ---- rows ----------------------------------------------------------------------------------- */
static void what_is_bound_comes_back(void **state)
{
    (void)state;
    struct store *store = open_store(STORE_WRITER);
    struct statement *s = store_statement(store, "INSERT INTO person VALUES (?, ?, ?, ?)");
    bind_i64(s, 1, INT64_MIN);
    bind_str(s, 2, S("h\xc3\xa9l\xc3\xa8ne"));
    bind_blob(s, 3, (str){ "\0\1\2\0", 4 });
    bind_f64(s, 4, 0.1);
    well(statement_run(s));
    assert_int_equal(store_last_id(store), INT64_MIN);
    assert_int_equal(store_changes(store), 1);
    s = store_statement(store, "INSERT INTO person (id, name, data) VALUES (?, ?, ?)");
    bind_i64(s, 1, 7);
    bind_str(s, 2, S(""));
    bind_null(s, 3);
    well(statement_run(s));

    s = store_statement(store, "SELECT id, name, data, worth FROM person ORDER BY id");
    enum err err;
    bool row;
    int n = 0;
    while (!(err = statement_step(s, &row)) && row) {
        if (n++ == 0) {
            assert_true(column_i64(s, 0) == INT64_MIN && column_f64(s, 3) == 0.1);
            assert_true(str_eq(column_str(s, 1), S("h\xc3\xa9l\xc3\xa8ne")));
            assert_true(str_eq(column_blob(s, 2), (str){ "\0\1\2\0", 4 }));
        } else {
            assert_true(column_str(s, 1).len == 0 && !column_null(s, 1) && column_null(s, 2));
        }
    }
    assert_int_equal(err, ERR_OK);
    assert_int_equal(n, 2);
    assert_int_equal(insert(store, 7, S("again"), S("")), ERR_CONFLICT);
    well(store_run(store, "INSERT INTO visit VALUES (7, 1)", &diag));
    assert_int_equal(store_run(store, "INSERT INTO visit VALUES (8, 1)", &diag),
                     ERR_CONFLICT); /* foreign keys */
    store_close(store);
}

static void a_transaction_is_whole_or_not_there(void **state)
{
    (void)state;
    struct store *store = open_store(STORE_WRITER), *reader = open_store(STORE_READER);
    well(store_begin(store));
    well(insert(store, 1, S("ana"), S("")));
    assert_int_equal(ask(reader, "SELECT count(*) FROM person"), 0);
    store_abort(store);
    store_abort(store);
    assert_int_equal(ask(store, "SELECT count(*) FROM person"), 0);

    well(store_begin(store));
    well(insert(store, 1, S("ana"), S("")));
    well(store_commit(store));
    assert_int_equal(ask(reader, "SELECT count(*) FROM person"), 1);
    well(store_begin(reader));                          /* one moment, whatever is written beside it */
    assert_int_equal(ask(reader, "SELECT count(*) FROM person"), 1);
    well(insert(store, 2, S("ben"), S("")));
    assert_int_equal(ask(reader, "SELECT count(*) FROM person"), 1);
    well(store_commit(reader));
    assert_int_equal(ask(reader, "SELECT count(*) FROM person"), 2);
    assert_int_equal(store_run(reader, "DELETE FROM person", &diag), ERR_DISK);

    well(store_begin(store));
    well(insert(store, 3, S("given up"), S("")));
    store_close(reader);
    store_close(store);
    store = open_store(STORE_WRITER);
    assert_int_equal(ask(store, "SELECT count(*) FROM person"), 2);
    store_close(store);
}

static void what_was_committed_survives_a_kill(void **state)
{
    (void)state;
    store_close(open_store(STORE_WRITER));
    pid_t child = fork();
    if (child == 0) {
        struct store *store;
        if (store_open(path, STORE_WRITER, &store, NULL) || store_begin(store)
            || insert(store, 1, S("ana"), S("")) || store_commit(store) || store_begin(store)
            || insert(store, 2, S("ben"), S("")))
            _exit(1);
        (void)raise(SIGKILL);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    struct store *reader = open_store(STORE_READER);    /* recovers the WAL by itself */
    assert_int_equal(ask(reader, "SELECT count(*) FROM person"), 1);
    store_close(reader);
}

/* ---- the disk ------------------------------------------------------------------------------- */
static void a_full_disk_is_an_error_and_nothing_half_done(void **state)
{
    (void)state;
    struct store *store = open_store(STORE_WRITER);
    well(insert(store, 1, S("ana"), S("")));
    well(store_run(store, "PRAGMA max_page_count = 40", &diag));
    char big[8000];
    memset(big, 'b', sizeof big);
    enum err err = ERR_OK;
    well(store_begin(store));
    for (i64 i = 2; i < 200 && !err; i++) {
        char name[16];
        (void)snprintf(name, sizeof name, "p%d", (int)i);
        err = insert(store, i, str_of(name), (str){ big, sizeof big });
    }
    assert_int_equal(err, ERR_DISK);
    assert_int_equal(store_why(store, ERR_DISK, &diag), ERR_DISK);
    assert_true(str_find(diag.what, S("full")) >= 0);
    store_abort(store);
    assert_int_equal(ask(store, "SELECT count(*) FROM person"), 1);
    well(store_run(store, "PRAGMA max_page_count = 100000", &diag));
    well(insert(store, 2, S("ben"), (str){ big, sizeof big }));     /* room again */
    store_close(store);
}

static void what_is_deleted_is_gone_from_the_file_and_the_wal(void **state)
{
    (void)state;
    struct store *store = open_store(STORE_WRITER);
    char ours[3000], theirs[3000];
    for (i64 i = 1; i <= 200; i++) {
        char name[64];
        (void)snprintf(name, sizeof name, "%s-%d@example.com", i % 7 ? "stays" : "forget", (int)i);
        memset(ours, 'o', sizeof ours);
        (void)snprintf(ours, sizeof ours, "history of %s", name);
        memcpy(theirs, ours, sizeof ours);
        well(insert(store, i, str_of(name), (str){ theirs, sizeof theirs }));
    }
    assert_true(bytes_hold("-wal", "forget-7@example.com") || bytes_hold("", "forget-7@example.com"));
    well(store_begin(store));
    well(store_run(store, "DELETE FROM person WHERE id % 7 = 0", &diag));
    well(store_commit(store));
    well(store_wal_truncate(store, &diag));
    assert_int_equal(size_of("-wal"), 0);
    for (int again = 0; again < 2; again++) {
        assert_false(bytes_hold("", "forget-"));
        assert_false(bytes_hold("-wal", "forget-"));
        assert_true(bytes_hold("", "stays-8@example.com"));
        if (!again) store_close(store);
    }
}

/* ---- checkpoints ---------------------------------------------------------------------------- */
static void write_much(struct store *store, i64 *id, isize mebibytes, i64 *longest)
{
    static char data[16 << 10];
    for (isize i = 0; i < mebibytes; i++) {
        well(store_begin(store));
        for (int row = 0; row < 64; row++) {
            char name[32];
            (void)snprintf(name, sizeof name, "row %" PRId64, ++*id);
            well(insert(store, *id, str_of(name), (str){ data, sizeof data }));
        }
        well(store_commit(store));
        *longest = max_i64(*longest, size_of("-wal"));
    }
}

static void the_wal_stays_short_under_load_and_empties_after_it(void **state)
{
    (void)state;
    struct store *store = open_store(STORE_WRITER);
    i64 id = 0, longest = 0;
    write_much(store, &id, 120, &longest);
    assert_true(longest < 48 << 20);
    struct store_totals t = store_totals(store);
    assert_int_equal(t.checkpoints_failed, 0);
    assert_true(t.checkpoints + t.restarts > 0);
    for (int i = 0; i < 100 && size_of("") < 120 << 20; i++) (void)usleep(20000);
    assert_true(size_of("") >= 120 << 20);              /* the thread moved the rest without being asked */
    store_close(store);
}

static void a_reader_of_the_past_delays_checkpoints_and_no_more(void **state)
{
    (void)state;
    struct store *store = open_store(STORE_WRITER), *reader = open_store(STORE_READER);
    i64 id = 0, longest = 0;
    write_much(store, &id, 1, &longest);
    well(store_begin(reader));
    assert_int_equal(ask(reader, "SELECT count(*) FROM person"), 64);
    write_much(store, &id, 70, &longest);
    struct store_totals t = store_totals(store);
    assert_true(longest > 64 << 20);
    assert_true(t.restarts_blocked > 0 && t.restarts_blocked < 20);
    assert_int_equal(store_wal_truncate(store, &diag), ERR_OVERLOADED);
    assert_int_equal(ask(reader, "SELECT count(*) FROM person"), 64);
    well(store_commit(reader));
    for (int i = 0; i < 20 && store_totals(store).wal_bytes > 48 << 20; i++)
        write_much(store, &id, 10, &longest);
    assert_true(store_totals(store).wal_bytes < 48 << 20);      /* short again, by writing on alone */
    enum err err = store_wal_truncate(store, &diag);
    for (int i = 0; i < 100 && err == ERR_OVERLOADED; i++) {    /* the checkpointer may be at it */
        (void)usleep(100000);
        err = store_wal_truncate(store, &diag);
    }
    well(err);
    assert_int_equal(size_of("-wal"), 0);
    store_close(reader);
    store_close(store);
}

/* ---- backup --------------------------------------------------------------------------------- */
struct meanwhile { struct store *store; _Atomic bool stop; _Atomic i64 written; i64 reports, pages; };

static void *write_on(void *ctx)
{
    struct meanwhile *m = ctx;
    for (i64 id = 1000000; !m->stop; id += 2) {         /* two rows a transaction: a copy has both or none */
        char one[32], two[32];
        (void)snprintf(one, sizeof one, "one %" PRId64, id);
        (void)snprintf(two, sizeof two, "two %" PRId64, id);
        if (store_begin(m->store) || insert(m->store, id, str_of(one), S("x"))
            || insert(m->store, id + 1, str_of(two), S("x")) || store_commit(m->store))
            return m;
        m->written += 2;
    }
    return NULL;
}

static bool reported(void *ctx, i64 done, i64 pages)
{
    struct meanwhile *m = ctx;
    m->reports++;
    m->pages = pages;
    assert_true(done <= pages);
    i64 written = m->written;
    while (m->written < written + 20) (void)usleep(100);        /* the source changes between all steps */
    return true;
}

static bool stopped(void *ctx, i64 done, i64 pages)
{
    (void)ctx;
    (void)done;
    (void)pages;
    return false;
}

static void a_backup_beside_writes_opens_and_is_of_one_moment(void **state)
{
    (void)state;
    struct meanwhile m = { .store = open_store(STORE_WRITER) };
    char copy[128];
    i64 id = 0, longest = 0;
    pthread_t thread;
    void *failed;
    (void)snprintf(copy, sizeof copy, "%s/copy.db", folder);
    write_much(m.store, &id, 20, &longest);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &m), 0);
    well(store_backup(m.store, copy, (struct store_progress){ reported, &m }, &diag));
    assert_int_equal(store_backup(m.store, copy, (struct store_progress){ stopped, NULL }, &diag),
                     ERR_CONFLICT);
    m.stop = true;
    assert_int_equal(pthread_join(thread, &failed), 0);
    assert_null(failed);
    assert_true(m.reports >= 5 && m.reports < 12);
    store_close(m.store);

    (void)snprintf(path, sizeof path, "%s", copy);
    assert_int_equal(size_of("-wal"), 0);
    assert_int_equal(size_of(".new"), 0);
    struct store *store = open_store(STORE_READER);
    assert_int_equal(ask(store, "SELECT count(*) FROM person WHERE id < 1000000"), id);
    assert_int_equal(ask(store, "SELECT count(*) % 2 FROM person"), 0);
    assert_int_equal(
        ask(store, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check != 'ok'"), 0);
    store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        TEST(migrations_run_once_each_and_go_on_where_they_were),
        TEST(a_file_from_a_newer_program_is_refused_and_left_alone),
        TEST(a_migration_that_fails_leaves_nothing_behind),
        TEST(opening_says_what_is_wrong),
        TEST(what_is_bound_comes_back),
        TEST(a_transaction_is_whole_or_not_there),
        TEST(what_was_committed_survives_a_kill),
        TEST(a_full_disk_is_an_error_and_nothing_half_done),
        TEST(what_is_deleted_is_gone_from_the_file_and_the_wal),
        TEST(the_wal_stays_short_under_load_and_empties_after_it),
        TEST(a_reader_of_the_past_delays_checkpoints_and_no_more),
        TEST(a_backup_beside_writes_opens_and_is_of_one_moment),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
