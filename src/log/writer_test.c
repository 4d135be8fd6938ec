/* SPDX-License-Identifier: Apache-2.0
 *
 * Goal: everything handed in is acknowledged exactly once, in order, after it is durable and
 * folded; the writer says no when it must, and ends with nothing left over. Method: real threads
 * and real files, a fold that only checks and counts; a small model of what must have arrived. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/queue.h"
#include "log/log.h"

/* ---- a fold on its own thread, as the real one is -------------------------------------------- */
struct fold {
    struct queue *queue;
    pthread_t thread;
    struct log_writer *writer;
    _Atomic i64 entries, groups;
    u64 next;
    i64 at_ms;
    useconds_t slow_us;
    bool gaps, back;
};

static void fold_queue(void *ctx, struct log_group *group)
{
    struct fold *f = ctx;
    while (!queue_push(f->queue, group)) (void)usleep(100);
}

static void *fold_run(void *ctx)
{
    struct fold *f = ctx;
    void *item;
    while (queue_take(f->queue, &item, 1, -1) > 0) {
        struct log_group *group = item;
        f->gaps |= group->record.first != f->next;
        f->back |= group->record.at_ms < f->at_ms;
        f->next = group->record.first + (u64)group->record.entries_n;
        f->at_ms = group->record.at_ms;
        f->entries += group->record.entries_n;
        f->groups++;
        if (f->slow_us) (void)usleep(f->slow_us);
        log_group_release(f->writer, group);
    }
    return NULL;
}

struct world {
    char dir[64], uri[80];
    struct config config;
    struct log *log;
    struct fold fold;
    struct log_writer *writer;
};

static void world_start(struct world *w, struct clock clock)
{
    struct diag diag = { 0 };
    assert_int_equal(log_open(w->uri, &w->config, &w->log, &diag), ERR_OK);
    w->fold = (struct fold){ .queue = queue_new(4), .next = log_tail(w->log), .slow_us = w->fold.slow_us };
    w->writer = w->fold.writer = log_writer_start(w->log, &w->config, clock, fold_queue, &w->fold);
    assert_int_equal(pthread_create(&w->fold.thread, NULL, fold_run, &w->fold), 0);
}

static void world_stop(struct world *w)
{
    log_writer_stop(w->writer);
    queue_close(w->fold.queue);
    assert_int_equal(pthread_join(w->fold.thread, NULL), 0);
    queue_free(w->fold.queue);
    assert_false(w->fold.gaps);
    assert_false(w->fold.back);
    log_close(w->log);
}

static struct world *world_new(void)
{
    struct world *w = mem_new(sizeof *w);
    (void)snprintf(w->dir, sizeof w->dir, "/tmp/opmaat-writer-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    (void)snprintf(w->uri, sizeof w->uri, "file:%s/log", w->dir);
    w->config = config_default();
    w->config.log_file_bytes = 8 << 20;
    w->config.disk_free_bytes = 0;
    return w;
}

static void world_free(struct world *w)
{
    char command[128];
    (void)snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
    assert_int_equal(system(command), 0);
    mem_free(w);
}

/* ---- many threads --------------------------------------------------------------------------- */
enum { THREADS = 4 };

struct sent {
    struct append append;
    struct entry entry;
    char text[40];
    _Atomic int acks;
    u64 first;
    struct sender *by;
};
struct sender {
    struct world *world;
    struct sent *sent;
    isize n;
    int id;
    bool lazy;                                          /* every other one is sent without waiting */
    _Atomic isize acked, refused;
};

static void acked(struct append *append, enum err err, u64 first)
{
    struct sent *s = append->ctx;
    struct sender *by = s->by;
    s->first = first;
    s->acks += err == ERR_OK ? 1 : 1000;
    by->acked++;
}

static void *send_all(void *ctx)
{
    struct sender *s = ctx;
    for (isize i = 0; i < s->n; i++) {
        struct sent *it = &s->sent[i];
        int len = snprintf(it->text, sizeof it->text, "thread %d number %d", s->id, (int)i);
        it->by = s;
        it->entry = (struct entry){ ENTRY_EVENT, { it->text, len } };
        it->append = (struct append){ .entries = &it->entry, .entries_n = 1, .ctx = it, .done = acked };
        if (s->lazy && i % 2) it->append.done = NULL;
        while (log_submit(s->world->writer, &it->append) == ERR_OVERLOADED) {
            s->refused++;
            (void)usleep(200);
        }
        if (!it->append.done) memset(it->text, 'x', sizeof it->text);       /* it was copied */
    }
    return NULL;
}

static void send_from_threads(struct world *w, isize n, bool lazy)
{
    struct sender senders[THREADS] = { 0 };
    pthread_t threads[THREADS];
    world_start(w, clock_system());
    for (int t = 0; t < THREADS; t++) {
        senders[t] = (struct sender){ .world = w, .n = n, .id = t, .lazy = lazy };
        senders[t].sent = mem_new(n * (isize)sizeof(struct sent));
        assert_int_equal(pthread_create(&threads[t], NULL, send_all, &senders[t]), 0);
    }
    for (int t = 0; t < THREADS; t++) assert_int_equal(pthread_join(threads[t], NULL), 0);
    struct log_writer_totals totals;
    do totals = log_writer_totals(w->writer); while (totals.entries < THREADS * n);
    world_stop(w);
    assert_int_equal(w->fold.entries, THREADS * n);
    assert_int_equal(totals.appends, THREADS * n);

    /* Each acknowledged once, its number the place where its bytes now stand, each thread's in
     * its order. */
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    struct log *log;
    assert_int_equal(log_open(w->uri, &w->config, &log, &diag), ERR_OK);
    isize seen[THREADS] = { 0 };
    struct arena_mark mark = arena_mark(&a);
    for (u64 at = 1; at < log_tail(log);) {
        struct record record;
        bool found;
        arena_reset(&a, mark);
        assert_int_equal(log_read(log, at, &a, &record, &found, &diag), ERR_OK);
        assert_true(found);
        for (isize i = 0; i < record.entries_n; i++, at++) {
            char text[64] = "";
            memcpy(text, record.entries[i].bytes.ptr, (size_t)record.entries[i].bytes.len);
            int thread, number;
            assert_int_equal(sscanf(text, "thread %d number %d", &thread, &number), 2);
            assert_int_equal(number, seen[thread]++);
            struct sent *it = &senders[thread].sent[number];
            bool waited = it->append.done != NULL;
            assert_int_equal(it->acks, waited ? 1 : 0);
            if (waited) assert_int_equal(it->first, at);
        }
    }
    for (int t = 0; t < THREADS; t++) {
        assert_int_equal(seen[t], n);
        mem_free(senders[t].sent);
    }
    log_close(log);
    struct log_totals verified;
    assert_int_equal(log_verify(w->uri, &w->config, &verified, &diag), ERR_OK);
    assert_int_equal(verified.entries, THREADS * n);
    arena_fini(&a);
}

static void many_threads_get_each_ack_once_and_keep_their_order(void **state)
{
    (void)state;
    struct world *w = world_new();
    send_from_threads(w, 20000, false);
    world_free(w);
}

static void what_nobody_waits_for_is_copied_and_written_too(void **state)
{
    (void)state;
    struct world *w = world_new();
    send_from_threads(w, 5000, true);
    world_free(w);
}

static void a_full_queue_refuses_and_a_slow_fold_loses_nothing(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config.log_queue = 64;
    w->fold.slow_us = 2000;
    send_from_threads(w, 500, true);
    world_free(w);
}

/* ---- one at a time -------------------------------------------------------------------------- */
struct one { struct append append; struct entry entry; _Atomic int acks; enum err err; u64 first; };

static void one_acked(struct append *append, enum err err, u64 first)
{
    struct one *one = append->ctx;
    one->err = err;
    one->first = first;
    one->acks++;
}

static enum err one_send(struct world *w, struct one *one, u8 kind, bool wait)
{
    *one = (struct one){ .entry = { kind, S("one") } };
    one->append = (struct append){
        .entries = &one->entry, .entries_n = 1, .ctx = one, .done = wait ? one_acked : NULL
    };
    enum err err = log_submit(w->writer, &one->append);
    while (!err && wait && !one->acks) (void)usleep(50);
    return err;
}

static void what_nobody_waits_for_is_on_disk_within_a_second(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_start(w, clock_system());
    struct one one;
    i64 began = clock_monotonic_us();
    assert_int_equal(one_send(w, &one, ENTRY_DECISION, false), ERR_OK);
    while (log_tail(w->log) == 1) (void)usleep(1000);
    assert_true(clock_monotonic_us() - began < 1500 * 1000);
    world_stop(w);
    world_free(w);
}

static void stopping_commits_what_is_queued_and_takes_no_more(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config.commit_wait_us = 100000;
    world_start(w, clock_system());
    struct one ones[50];
    for (isize i = 0; i < countof(ones); i++) {
        ones[i] = (struct one){ .entry = { ENTRY_EVENT, S("one") } };
        ones[i].append = (struct append){
            .entries = &ones[i].entry, .entries_n = 1, .ctx = &ones[i], .done = one_acked
        };
        assert_int_equal(log_submit(w->writer, &ones[i].append), ERR_OK);
    }
    log_writer_stop(w->writer);
    for (isize i = 0; i < countof(ones); i++) {
        assert_int_equal(ones[i].acks, 1);
        assert_int_equal(ones[i].first, i + 1);
    }
    assert_int_equal(log_tail(w->log), countof(ones) + 1);
    queue_close(w->fold.queue);
    assert_int_equal(pthread_join(w->fold.thread, NULL), 0);
    queue_free(w->fold.queue);
    log_close(w->log);
    world_free(w);
}

static void a_disk_below_its_floor_refuses_strangers_but_not_the_operator(void **state)
{
    (void)state;
    struct world *w = world_new();
    w->config.disk_free_bytes = 1ll << 60;
    world_start(w, clock_system());
    struct one one;
    assert_int_equal(one_send(w, &one, ENTRY_EVENT, true), ERR_OVERLOADED);
    assert_int_equal(one_send(w, &one, ENTRY_PEOPLE, true), ERR_OK);
    assert_int_equal(log_writer_totals(w->writer).refused, 1);

    w->config.disk_free_bytes = 0;                      /* room again: noticed within a second or so */
    log_writer_reload(w->writer, &w->config);
    i64 began = clock_monotonic_us();
    while (one_send(w, &one, ENTRY_EVENT, true) == ERR_OVERLOADED) {
        assert_true(clock_monotonic_us() - began < 3000 * 1000);
        (void)usleep(10000);
    }
    world_stop(w);
    world_free(w);
}

static i64 told_time(void *ctx) { return atomic_load((_Atomic i64 *)ctx); }

static void time_never_runs_backwards_not_even_over_a_restart(void **state)
{
    (void)state;
    struct world *w = world_new();
    _Atomic i64 now = 5000;
    struct one one;
    world_start(w, (struct clock){ told_time, &now });
    assert_int_equal(one_send(w, &one, ENTRY_TICK, true), ERR_OK);
    now = 1000;
    assert_int_equal(one_send(w, &one, ENTRY_TICK, true), ERR_OK);
    assert_int_equal(w->fold.at_ms, 5000);
    world_stop(w);

    world_start(w, (struct clock){ told_time, &now });
    assert_int_equal(one_send(w, &one, ENTRY_TICK, true), ERR_OK);
    assert_int_equal(one.first, 3);
    assert_int_equal(w->fold.at_ms, 5000);
    now = 6000;
    assert_int_equal(one_send(w, &one, ENTRY_TICK, true), ERR_OK);
    assert_int_equal(w->fold.at_ms, 6000);
    world_stop(w);
    world_free(w);
}

static void while_it_is_held_the_end_of_the_log_is_the_callers(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_start(w, clock_system());
    for (int round = 0; round < 20; round++) {
        struct entry ours = { ENTRY_PEOPLE, S("ours") }, theirs = { ENTRY_EVENT, S("theirs") };
        struct record record = { .at_ms = log_last_ms(w->log), .entries = &ours, .entries_n = 1 };
        struct append lazy = { .entries = &theirs, .entries_n = 1 };
        for (int i = 0; i < 50; i++) assert_int_equal(log_submit(w->writer, &lazy), ERR_OK);
        while (!log_writer_hold(w->writer)) (void)usleep(100);
        u64 tail = log_tail(w->log);
        assert_int_equal(w->fold.next, tail);
        for (int i = 0; i < 50; i++) assert_int_equal(log_submit(w->writer, &lazy), ERR_OK);
        assert_int_equal(log_append(w->log, tail, &record, 1), LOG_OK);
        w->fold.next++;
        w->fold.at_ms = record.at_ms;
        log_writer_go(w->writer);
    }
    world_stop(w);
    assert_int_equal(w->fold.entries, 20 * 100);
    world_free(w);
}

static void an_append_above_the_limit_is_too_big(void **state)
{
    (void)state;
    struct world *w = world_new();
    world_start(w, clock_system());
    isize n = (64 << 20) + 1;
    struct entry entry = { ENTRY_EVENT, { mem_new(n), n } };
    struct append append = { .entries = &entry, .entries_n = 1 };
    assert_int_equal(log_submit(w->writer, &append), ERR_TOO_BIG);
    mem_free((char *)(uintptr_t)entry.bytes.ptr);
    world_stop(w);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_threads_get_each_ack_once_and_keep_their_order),
        cmocka_unit_test(what_nobody_waits_for_is_copied_and_written_too),
        cmocka_unit_test(a_full_queue_refuses_and_a_slow_fold_loses_nothing),
        cmocka_unit_test(what_nobody_waits_for_is_on_disk_within_a_second),
        cmocka_unit_test(stopping_commits_what_is_queued_and_takes_no_more),
        cmocka_unit_test(a_disk_below_its_floor_refuses_strangers_but_not_the_operator),
        cmocka_unit_test(time_never_runs_backwards_not_even_over_a_restart),
        cmocka_unit_test(while_it_is_held_the_end_of_the_log_is_the_callers),
        cmocka_unit_test(an_append_above_the_limit_is_too_big),
    };
    return cmocka_run_group_tests_name("log writer", tests, NULL, NULL);
}
