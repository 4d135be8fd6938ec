/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: after a kill and a rollback exactly what was synced is there; and what the log and the
 * store acknowledged is. Method: first the shim itself against the dullest possible model of a
 * disk, over random calls. Then the log's writer and the store under it, killed at random
 * moments, again and again over the same folder: as little as a disk may keep, or torn pages.
 *
 * The program is its own child: with the name of a job it does that until it is killed.
 * UNSYNCED_SHIM and UNSYNCED_ROLLBACK say where the library and the rollback are;
 * UNSYNCED_ROUNDS how many kills. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
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
#include "log/log.h"
#include "store/store.h"

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    char path[80];
    (void)snprintf(folder, sizeof folder, "/tmp/opmaat-shim-XXXXXX");
    if (!mkdtemp(folder)) return -1;
    (void)snprintf(path, sizeof path, "%s/data", folder);
    return mkdir(path, 0700);
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

/* ---- children ------------------------------------------------------------------------------- */
/* What a child says it was told is safe: a number after another, each 8 bytes. */
static void say(u64 number)
{
    if (write(STDOUT_FILENO, &number, sizeof number) != sizeof number) _exit(3);
}

static pid_t spawn(const char *job, u64 seed, int *out)
{
    int pipes[2];
    char data[96], number[32];
    const char *shim = getenv("UNSYNCED_SHIM");
    assert_non_null(shim);
    assert_int_equal(pipe(pipes), 0);
    (void)snprintf(data, sizeof data, "%s/data", folder);
    (void)snprintf(number, sizeof number, "%" PRIu64, seed);
    pid_t child = fork();
    if (child == 0) {
        (void)dup2(pipes[1], STDOUT_FILENO);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
        (void)setenv("LD_PRELOAD", shim, 1);
        (void)setenv("UNSYNCED_DIR", data, 1);
        (void)setenv("ASAN_OPTIONS", "verify_asan_link_order=0:detect_leaks=0", 1);
        (void)execl("/proc/self/exe", "unsynced_test", job, data, number, (char *)NULL);
        _exit(4);
    }
    (void)close(pipes[1]);
    *out = pipes[0];
    return child;
}

/* Waits for the child's death, reads on what it said. The last number, and how many. */
static u64 buried(pid_t child, int out, i64 *n)
{
    u64 last = 0, number;
    *n = 0;
    while (read(out, &number, sizeof number) == sizeof number) {
        last = number;
        ++*n;
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    if (!WIFSIGNALED(status)) fail_msg("the child ended by itself, %d", WEXITSTATUS(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    (void)close(out);
    return last;
}

static void roll_back(bool torn, u64 seed)
{
    char command[512], number[48] = "";
    const char *program = getenv("UNSYNCED_ROLLBACK");
    assert_non_null(program);
    if (torn) (void)snprintf(number, sizeof number, "--torn %" PRIu64, seed);
    (void)snprintf(command, sizeof command, "'%s' %s '%s/data' > '%s/said'", program, number, folder, folder);
    assert_int_equal(system(command), 0);
}

static i64 rounds(i64 otherwise)
{
    const char *z = getenv("UNSYNCED_ROUNDS");
    i64 n;
    return z && str_to_i64(str_of(z), &n) ? n : otherwise;
}

/* ---- against a model of a disk --------------------------------------------------------------- */
/* An inode has bytes now and bytes at its last sync; a name leads to an inode now and at the
 * folder's last sync. */
enum { NAMES = 4, INODES = 400, BYTES_MAX = 20000, STEPS = 300 };

struct inode { char now[BYTES_MAX], synced[BYTES_MAX]; isize now_n, synced_n; };
struct disk { struct inode *inodes; int inodes_n; int now[NAMES], synced[NAMES]; };      /* 0: no such name */

/* One random step on the model; when `real` also on the folder. The same numbers are drawn
 * either way. */
static void step(struct disk *d, struct rng *rng, bool real)
{
    static char bytes[BYTES_MAX], zeros[BYTES_MAX];
    char name[8], other[8];
    int i = (int)rng_below(rng, NAMES), j = (int)rng_below(rng, NAMES), what = (int)rng_below(rng, 12);
    isize at = rng_below(rng, BYTES_MAX), n = 1 + rng_below(rng, (u32)(BYTES_MAX - at));
    u32 how = rng_below(rng, 4);
    memset(bytes, 'a' + (int)rng_below(rng, 26), sizeof bytes);
    if (how == 0) memset(bytes, 0, sizeof bytes);
    (void)snprintf(name, sizeof name, "f%d", i);
    (void)snprintf(other, sizeof other, "f%d", j);
    int fd = -1;
    if (what <= 8) { /* something is done to a file, made when it is not there */
        if (!d->now[i]) d->now[i] = ++d->inodes_n;
        assert(d->inodes_n < INODES);
        if (real) fd = open(name, (how == 1 ? O_WRONLY : O_RDWR) | O_CREAT, 0600);
        if (real && fd < 0) _exit(5);
    }
    struct inode *f = &d->inodes[d->now[i]];
    switch (what) {
    case 0: case 1: case 2: case 3:
        if (real
            && (how < 2                         ? pwrite(fd, bytes, (size_t)n, at)
                : lseek(fd, at, SEEK_SET) == at ? write(fd, bytes, (size_t)n)
                                                : 0)
                   != n)
            _exit(6);
        if (at > f->now_n) memcpy(f->now + f->now_n, zeros, (size_t)(at - f->now_n));
        memcpy(f->now + at, bytes, (size_t)n);
        f->now_n = max_isize(f->now_n, at + n);
        break;
    case 4: case 5:
        if (real && (how == 3 ? fallocate(fd, 0, 0, at) : ftruncate(fd, at)) < 0
            && !(how == 3 && at == 0))
            _exit(7);
        if (how == 3 && at <= f->now_n) break;
        if (at > f->now_n) memcpy(f->now + f->now_n, zeros, (size_t)(at - f->now_n));
        f->now_n = at;
        break;
    case 6: case 7: case 8:
        if (real && (how < 2 ? fsync(fd) : fdatasync(fd)) < 0) _exit(8);
        memcpy(f->synced, f->now, sizeof f->now);
        f->synced_n = f->now_n;
        break;
    case 9:
        if (real && unlink(name) < 0 && errno != ENOENT) _exit(9);
        d->now[i] = 0;
        break;
    case 10:
        if (real && rename(name, other) < 0 && errno != ENOENT) _exit(10);
        if (i != j && d->now[i]) {
            d->now[j] = d->now[i];
            d->now[i] = 0;
        }
        break;
    default:
        if (real) {
            fd = open(".", O_RDONLY | O_DIRECTORY);
            if (fd < 0 || fsync(fd) < 0) _exit(11);
        }
        memcpy(d->synced, d->now, sizeof d->now);
    }
    if (real && fd >= 0) (void)close(fd);
}

static void play(struct disk *d, u64 seed, bool real)
{
    struct rng rng = rng_seed(seed);
    u32 steps = 1 + rng_below(&rng, STEPS);
    for (u32 i = 0; i < steps; i++) step(d, &rng, real);
}

static struct disk disk_new(void)
{
    return (struct disk){ .inodes = mem_new(INODES * (isize)sizeof(struct inode)) };
}

static void job_model(const char *data, u64 seed)
{
    struct disk d = disk_new();
    if (chdir(data) < 0) _exit(12);
    play(&d, seed, true);
    (void)raise(SIGKILL);
}

static void what_a_model_of_a_disk_kept_is_there_and_nothing_else(void **state)
{
    (void)state;
    struct disk d = disk_new();
    for (u64 seed = 1; seed <= (u64)rounds(40); seed++) {
        int out;
        i64 said;
        memset(d.inodes, 0, INODES * sizeof(struct inode));
        d = (struct disk){ .inodes = d.inodes };
        play(&d, seed, false);
        pid_t child = spawn("model", seed, &out);
        (void)buried(child, out, &said);
        roll_back(false, 0);
        for (int i = 0; i < NAMES; i++) {
            char path[96], bytes[BYTES_MAX + 1];
            (void)snprintf(path, sizeof path, "%s/data/f%d", folder, i);
            int fd = open(path, O_RDONLY);
            const struct inode *f = &d.inodes[d.synced[i]];
            if ((fd >= 0) != (d.synced[i] > 0))
                fail_msg("seed %d: f%d is %s", (int)seed, i, fd >= 0 ? "there" : "not there");
            if (fd < 0) continue;
            isize n = read(fd, bytes, sizeof bytes);
            if (n != f->synced_n || memcmp(bytes, f->synced, (size_t)n) != 0)
                fail_msg("seed %d: f%d differs", (int)seed, i);
            (void)close(fd);
            assert_int_equal(unlink(path), 0);
        }
    }
    mem_free(d.inodes);
}

/* ---- the log --------------------------------------------------------------------------------- */
static struct log_writer *writer;
static _Atomic i64 in_flight;

struct note { struct append append; struct entry entry; char text[64]; };

static void acked(struct append *append, enum err err, u64 first)
{
    if (err) _exit(13);
    say(first);
    in_flight--;
    mem_free(append->ctx);
}

static void release_at_once(void *ctx, struct log_group *group)
{
    (void)ctx;
    log_group_release(writer, group);
}

static bool says_ana(void *ctx, u64 number, i64 at_ms, const struct entry *entry, struct buf *stub)
{
    (void)ctx;
    (void)number;
    (void)at_ms;
    (void)stub;
    return str_starts(entry->bytes, S("ana"));
}

static struct config small_files(void)
{
    struct config config = config_default();
    config.log_file_bytes = 64 << 10;
    config.commit_wait_us = 200;
    config.disk_free_bytes = 0;
    return config;
}

static void job_log(const char *data, u64 seed)
{
    char uri[128];
    struct config config = small_files();
    struct log *log;
    struct rng rng = rng_seed(seed);
    (void)snprintf(uri, sizeof uri, "file:%s/log", data);
    if (log_open(uri, &config, &log, NULL)) _exit(14);
    writer = log_writer_start(log, &config, clock_system(), release_at_once, NULL);
    for (u64 i = 0;; i++) {
        struct note *note = mem_new(sizeof *note);
        int n = snprintf(note->text, sizeof note->text, "%s %" PRIu64 " %040u",
                         i % 5 ? "ben" : "ana", i, rng_below(&rng, 9));
        note->entry = (struct entry){ ENTRY_EVENT, { note->text, n } };
        note->append = (struct append){ .entries = &note->entry, .entries_n = 1, .done = acked, .ctx = note };
        in_flight++;
        while (in_flight > 100) (void)usleep(50);
        if (log_submit(writer, &note->append)) _exit(15);
        i64 erased;
        if (rng_below(&rng, 2000) == 0 && log_rewrite(log, says_ana, NULL, &erased, NULL)) _exit(16);
    }
}

static void kill_after(pid_t child, int out, struct rng *rng)
{
    struct pollfd p = { .fd = out, .events = POLLIN };
    assert_int_equal(poll(&p, 1, 20000), 1);            /* it runs */
    (void)usleep(1000 + rng_below(rng, 60000));
    assert_int_equal(kill(child, SIGKILL), 0);
}

static void what_the_log_acknowledged_survives_a_power_cut(void **state)
{
    (void)state;
    struct config config = small_files();
    struct rng rng = rng_seed(42);
    char uri[128];
    i64 acks = 0;
    u64 highest = 0;
    (void)snprintf(uri, sizeof uri, "file:%s/data/log", folder);
    for (i64 round = 0; round < rounds(12); round++) {
        int out;
        i64 n;
        arena a = { 0 };
        struct diag diag = { .arena = &a };
        pid_t child = spawn("log", rng_next(&rng), &out);
        kill_after(child, out, &rng);
        u64 last = buried(child, out, &n);
        assert_true(last > highest);
        highest = last;
        acks += n;
        roll_back(round % 2, rng_next(&rng));
        struct log *log;
        if (log_open(uri, &config, &log, &diag)) fail_msg("round %d: %.*s", (int)round, STR_FMT(diag.what));
        if (log_tail(log) <= last)
            fail_msg("round %d: %d was acknowledged, the log ends at %d", (int)round, (int)last,
                     (int)log_tail(log));
        log_close(log);
        struct log_totals t;
        if (log_verify(uri, &config, &t, &diag)) fail_msg("round %d: %.*s", (int)round, STR_FMT(diag.what));
        assert_true(t.entries >= acks);
        arena_fini(&a);
    }
}

/* ---- the store ------------------------------------------------------------------------------- */
static const struct migration schema[] = {
    { 1,
      "CREATE TABLE step (id INTEGER PRIMARY KEY, data BLOB);"
      "CREATE TABLE total (n INTEGER); INSERT INTO total VALUES (0)" },
};

static void job_store(const char *data, u64 seed)
{
    static char blob[3000];
    char path[128], copy[128];
    struct store *store;
    struct rng rng = rng_seed(seed);
    (void)snprintf(path, sizeof path, "%s/state.db", data);
    (void)snprintf(copy, sizeof copy, "%s/copy.db", data);
    if (store_open(path, STORE_WRITER, &store, NULL)
        || store_migrate(store, schema, countof(schema), NULL))
        _exit(17);
    for (;;) {
        bool row;
        struct statement *s = store_statement(store, "INSERT INTO step (data) VALUES (?)");
        bind_blob(s, 1, (str){ blob, rng_below(&rng, sizeof blob) });
        if (store_begin(store) || statement_run(s)) _exit(18);
        u64 id = (u64)store_last_id(store);
        s = store_statement(
            store,
            "DELETE FROM step WHERE id = ?"); /* now and then, so that pages are used again */
        bind_i64(s, 1, rng_below(&rng, 8) == 0 ? 1 + rng_below(&rng, (u32)id) : 0);
        if (statement_run(s) || statement_run(store_statement(store, "UPDATE total SET n = n + 1"))
            || store_commit(store))
            _exit(19);
        s = store_statement(store, "SELECT n FROM total");
        if (statement_step(s, &row) || !row) _exit(20);
        say((u64)column_i64(s, 0));
        statement_reset(s);
        if (rng_below(&rng, 60) == 0 && store_wal_truncate(store, NULL)) _exit(21);
        if (rng_below(&rng, 400) == 0
            && store_backup(store, copy, (struct store_progress){ 0 }, NULL))
            _exit(22);
        if (rng_below(&rng, 400) == 0) {
            store_close(store);
            if (store_open(path, STORE_WRITER, &store, NULL)) _exit(23);
        }
    }
}

static i64 ask(struct store *store, const char *sql)
{
    bool row;
    struct statement *s = store_statement(store, sql);
    assert_int_equal(statement_step(s, &row), ERR_OK);
    assert_true(row);
    i64 v = column_i64(s, 0);
    statement_reset(s);
    return v;
}

static void what_the_store_committed_survives_a_power_cut(void **state)
{
    (void)state;
    struct rng rng = rng_seed(43);
    char path[128];
    (void)snprintf(path, sizeof path, "%s/data/state.db", folder);
    for (i64 round = 0; round < rounds(12); round++) {
        int out;
        i64 n;
        pid_t child = spawn("store", rng_next(&rng), &out);
        kill_after(child, out, &rng);
        u64 last = buried(child, out, &n);
        roll_back(round % 2, rng_next(&rng));
        struct store *store;
        assert_int_equal(store_open(path, STORE_WRITER, &store, NULL), ERR_OK);
        i64 total = ask(store, "SELECT n FROM total");
        if (total < (i64)last || total > (i64)last + 1)
            fail_msg("round %d: %d of %d", (int)round, (int)total, (int)last);
        assert_int_equal(ask(store, "SELECT max(id) <= (SELECT n FROM total) FROM step"), 1);
        assert_int_equal(
            ask(store, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check != 'ok'"),
            0);
        store_close(store);
    }
}

int main(int n, char **arguments)
{
    if (n == 4) {
        u64 seed = strtoull(arguments[3], NULL, 10);
        if (strcmp(arguments[1], "model") == 0) job_model(arguments[2], seed);
        if (strcmp(arguments[1], "log") == 0) job_log(arguments[2], seed);
        if (strcmp(arguments[1], "store") == 0) job_store(arguments[2], seed);
        return 2;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_a_model_of_a_disk_kept_is_there_and_nothing_else,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_log_acknowledged_survives_a_power_cut, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_the_store_committed_survives_a_power_cut, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests_name("unsynced", tests, NULL, NULL);
}
