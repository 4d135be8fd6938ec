/* SPDX-License-Identifier: Apache-2.0
 *
 * know.c - knowing people, measured: know --work FOLDER [--opmaat PROGRAM] [--people N] [--events N] [--rounds N] [--tiny] [ask] [flips].
 *
 *   fold        a log of the crowd, folded with 200 and with 1,000 segments live; memory a person
 *   questions   each asked of Opmaat (a rule over everybody, defined now), of SQLite and of PostgreSQL over the same deeds: the counts
 *               must be the same, or this ends; the milliseconds stand beside each other
 *   published   the same rules put in force as segments: until everybody is in or out and the next event is taken
 *   then        time travel: counts and overlaps of another instant, one person, the difference between two
 *
 *   flips       (with --opmaat PROGRAM) decisions while everybody's membership lapses in one minute
 *
 * Each number is the median of its rounds. Fold and questions run in this process, so that its processor time is theirs. */
#include <malloc.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/rcu.h"
#include "know.h"

enum { ROUNDS_MAX = 15, ITEMS = 20000, MANY_CALLS_MAX = 300000 };

struct know { arena a; const char *work; struct server server; u32 people; isize calls, rounds; bool tiny; struct crowd crowd; struct config config; };

/* ---- the report --------------------------------------------------------------------------------------------- */

struct series { f64 at[ROUNDS_MAX]; isize n; };

static void add(struct series *s, f64 v)
{
    isize at = s->n++;
    assert(s->n <= ROUNDS_MAX);
    for (; at > 0 && s->at[at - 1] > v; at--) s->at[at] = s->at[at - 1];
    s->at[at] = v;
}

static f64 median(const struct series *s) { return s->at[s->n / 2]; }

/* ---- the fold ----------------------------------------------------------------------------------------------- */

static i64 fixed_now(void *ctx) { return *(const i64 *)ctx; }

static f64 resident_now(void) { return resident_mb(getpid()); }

static const char *fresh_folder(struct know *k, const char *name)
{
    const char *folder = arena_printf(&k->a, "%s/%s", k->work, name).ptr;
    (void)run_program(&k->a, (const char *const[]){ "/bin/rm", "-rf", folder, NULL });
    if (mkdir(folder, 0700)) give_up("%s cannot be made", folder);
    return folder;
}

/* Reading alone: what of the time is not the fold's. */
static f64 read_s(struct know *k, const char *uri)
{
    struct log *log;
    struct diag diag = { .arena = &k->a };
    arena a = { 0 };
    bool found = true;
    if (log_open(uri, &k->config, &log, &diag)) give_up("%.*s", STR_FMT(diag.what));
    i64 began = clock_cpu_us();
    for (u64 at = 1; found;) {
        struct record record;
        arena_clear(&a);
        if (log_read(log, at, &a, &record, &found, &diag)) give_up("%.*s", STR_FMT(diag.what));
        if (found) at = record.first + (u64)record.entries_n;
    }
    f64 s = (f64)(clock_cpu_us() - began) / 1e6;
    log_close(log);
    arena_fini(&a);
    return s;
}

/* How long each of the last entries was under way, seen from outside by the fold's own marker. */
struct watch { _Atomic u64 marker; _Atomic bool done; u64 from; i64 us[64]; pthread_t thread; };

static void *watch_entries(void *arg)
{
    struct watch *w = arg;
    i64 before = clock_monotonic_us();
    u64 was = 0;
    while (!atomic_load(&w->done)) {
        (void)usleep(100);
        i64 now = clock_monotonic_us();
        if (was >= w->from && was - w->from < countof(w->us)) w->us[was - w->from] += now - before;
        was = atomic_load(&w->marker);
        before = now;
    }
    return NULL;
}

static struct fold *open_log(struct know *k, const char *uri, struct watch *watch)
{
    struct fold_options options = { .config = &k->config, .clock = { fixed_now, &k->crowd.now_ms }, .log_uri = uri, .marker = watch ? &watch->marker : NULL };
    struct diag diag = { .arena = &k->a };
    struct fold *fold;
    if (fold_open(&options, &fold, &diag)) give_up("%.*s", STR_FMT(diag.what));
    rcu_settle();
    (void)malloc_trim(0);
    return fold;
}

/* What definitions and items alone take: processor time, and memory. */
static void empty_shop(struct know *k, isize segments, f64 *cpu_s, f64 *mb)
{
    const char *folder = fresh_folder(k, "log-empty");
    (void)crowd_log(&k->crowd, folder, segments, 0, NULL, NULL, 0);
    (void)malloc_trim(0);
    f64 before = resident_now();
    i64 cpu = clock_cpu_us();
    struct fold *fold = open_log(k, arena_printf(&k->a, "file:%s", folder).ptr, NULL);
    *cpu_s = (f64)(clock_cpu_us() - cpu) / 1e6;
    *mb = fmax(0, resident_now() - before);
    fold_close(fold);
    (void)malloc_trim(0);
}

static struct fold *fold_crowd(struct know *k, isize segments, isize calls, struct watch *watch, const str *keys, const str *rules, isize rules_n)
{
    const char *folder = fresh_folder(k, "log"), *uri = arena_printf(&k->a, "file:%s", folder).ptr;
    f64 empty_s, empty_mb;
    empty_shop(k, segments, &empty_s, &empty_mb);
    u64 last = crowd_log(&k->crowd, folder, segments, calls, keys, rules, rules_n);
    f64 reading = read_s(k, uri), before = resident_now();
    if (watch) {
        watch->from = last - 2 * (u64)rules_n + 1;
        (void)pthread_create(&watch->thread, NULL, watch_entries, watch);
    }
    i64 wall = clock_monotonic_us(), cpu = clock_cpu_us();
    struct fold *fold = open_log(k, uri, watch);
    f64 s = (f64)(clock_monotonic_us() - wall) / 1e6, cpu_s = (f64)(clock_cpu_us() - cpu) / 1e6 - reading - empty_s;
    if (watch) {
        atomic_store(&watch->done, true);
        (void)pthread_join(watch->thread, NULL);
    }
    i64 events = fold_totals(fold)->events, people = people_count(fold_live(fold)->people);
    (void)printf("know_fold_%lld %.0f events/s by the fold's processor time, %.1f us an event; %lld events of %lld people in %.0f s, reading the log %.1f s of it, "
                 "definitions %.1f s, %lld ticks\n", (long long)segments, (f64)events / cpu_s, cpu_s * 1e6 / (f64)events, (long long)events, (long long)people, s, reading,
                 empty_s, (long long)fold_totals(fold)->ticks);
    (void)printf("know_memory_%lld %.0f bytes a person, %.1f events each, resident, without the shop's own %.0f MB\n", (long long)segments,
                 (resident_now() - before - empty_mb) * 1048576 / (f64)people, (f64)events / (f64)people, empty_mb);
    (void)fflush(stdout);
    return fold;
}

/* ---- questions ----------------------------------------------------------------------------------------------- */

static str question_key(const struct question *q, arena *a) { return arena_printf(a, "q_%s", q->name); }

static const struct rule *compiled(struct know *k, struct fold *fold, str text)
{
    const struct rule *rule;
    struct rule_errors errors = { 0 };
    struct rule_names names = fold_names(fold);
    if (rule_compile(&k->a, text, RULE_SEGMENT, &names, &rule, &errors)) give_up("%.*s: %.*s", STR_FMT(text), STR_FMT(errors.at[0].message));
    return rule;
}

static struct asked ask_fold(struct know *k, struct fold *fold, const struct question *q, const struct rule *rule, const struct rule *and_rule)
{
    static const isize both[] = { 0, 1 };
    const struct live *live = fold_live(fold);
    const struct segment_set *set = atomic_load(&live->book)->segments;        /* nobody publishes meanwhile */
    i64 then_ms = k->crowd.now_ms - q->ago_days * DAY_MS, began = clock_monotonic_us();
    struct asked asked = { 0 };
    arena a = { 0 };
    struct past_identity then = { .at_ms = then_ms }, now = { .at_ms = k->crowd.now_ms };
    past_owners(&then, live->identity, &a);
    now.owner = then.owner;
    now.people = then.people;
    struct sweep people = { .people = live->people, .identity = live->identity, .past = &then };
    if (q->kind == QUESTION_BOTH_THEN) {
        struct segment pair[] = { { .rule = rule }, { .rule = and_rule } };
        struct segment_set two = { .at = pair, .n = 2, .zone = set->zone };
        asked.count = past_count(&people, &two, live->catalog, both, 2, true, &a).pair[1];
    } else if (q->kind == QUESTION_MOVED) {
        struct past_moved moved = past_move(&people, &then, &now, set, live->catalog, rule, &a);
        asked.count = moved.n;
        mem_free(moved.ids);
    } else {
        asked.count = segment_preview(&people, live->catalog, rule, set, then_ms).count;
    }
    arena_fini(&a);
    asked.ms = (f64)(clock_monotonic_us() - began) / 1e3;
    return asked;
}

struct compared { struct series ours, sqlite, postgres; i64 count; };

static void check(const struct question *q, const char *whose, i64 count, i64 ours)
{
    if (count != ours) give_up("%s: %s counts %lld, Opmaat %lld", q->name, whose, (long long)count, (long long)ours);
}

/* Rules put in force: how long the fold was at it, and whether the live counts are those of the questions. */
static void report_published(struct know *k, struct fold *fold, const struct watch *watch, const struct compared *c)
{
    const struct live *live = fold_live(fold);
    const struct segment_set *set = atomic_load(&live->book)->segments;
    for (isize i = 0, n = 0; i < questions_n; i++) {
        if (questions[i].kind != QUESTION_NOW) continue;
        segment_id id = segment_find(set, question_key(&questions[i], &k->a));
        check(&questions[i], "the live segment", roll_count(live->roll, id), c[i].count);
        (void)printf("know_published_%s %.0f ms until everybody is in or out (%lld in), among %lld segments\n", questions[i].name, (f64)watch->us[2 * n + 1] / 1e3,
                     (long long)c[i].count, (long long)set->n);
        n++;
    }
}

static void ask_all(struct know *k, struct fold *fold, const struct watch *watch)
{
    struct compared *c = arena_new(&k->a, struct compared, questions_n);
    str *sql = arena_new(&k->a, str, questions_n), why = S("");
    f64 sqlite_load, postgres_load = 0;
    struct sqlite_side *sqlite = sqlite_side_open(&k->crowd, fresh_folder(k, "sqlite"), &sqlite_load);
    const char *csv = fresh_folder(k, "csv");
    crowd_csv(&k->crowd, csv);
    struct postgres postgres = { 0 };
    bool there = postgres_open(&postgres, csv, &k->a, &postgres_load, &why);
    for (isize i = 0; i < questions_n; i++) sql[i] = question_sql(&questions[i], k->crowd.now_ms, &k->a);
    for (isize i = 0; i < questions_n; i++) {
        const struct question *q = &questions[i];
        const struct rule *rule = compiled(k, fold, q->rule), *and_rule = q->and_rule.len ? compiled(k, fold, q->and_rule) : NULL;
        (void)sqlite_side_ask(sqlite, sql[i]);          /* its pages are in memory from here on */
        for (isize r = 0; r < k->rounds; r++) {
            struct asked ours = ask_fold(k, fold, q, rule, and_rule), theirs = sqlite_side_ask(sqlite, sql[i]);
            add(&c[i].ours, ours.ms);
            add(&c[i].sqlite, theirs.ms);
            c[i].count = ours.count;
            check(q, "SQLite", theirs.count, ours.count);
        }
    }
    if (there) {
        struct asked *said = arena_new(&k->a, struct asked, questions_n * (k->rounds + 1));
        postgres_ask(&postgres, sql, questions_n, k->rounds + 1, said, &k->a);
        for (isize i = questions_n; i < questions_n * (k->rounds + 1); i++) {
            add(&c[i % questions_n].postgres, said[i].ms);
            check(&questions[i % questions_n], "PostgreSQL", said[i].count, c[i % questions_n].count);
        }
        postgres_close(&postgres, &k->a);
    } else {
        (void)printf("# %.*s: its column is left out\n", STR_FMT(why));
    }
    (void)printf("# loading and indexing: SQLite %.0f s, PostgreSQL %.0f s\n", sqlite_load, postgres_load);
    for (isize i = 0; i < questions_n; i++) {
        f64 ours = median(&c[i].ours);
        (void)printf("know_%s %.1f ms (%.1f..%.1f of %lld) of %lld people; SQLite %.1f ms (%.1fx)", questions[i].name, ours, c[i].ours.at[0],
                     c[i].ours.at[c[i].ours.n - 1], (long long)k->rounds, (long long)c[i].count, median(&c[i].sqlite), median(&c[i].sqlite) / ours);
        if (there) (void)printf(", PostgreSQL %.1f ms (%.1fx)", median(&c[i].postgres), median(&c[i].postgres) / ours);
        (void)putchar('\n');
    }
    report_published(k, fold, watch, c);
    (void)fflush(stdout);
    sqlite_side_close(sqlite);
}

/* ---- all there is to say of another instant ----------------------------------------------------------------- */

/* What no single SQL statement says: everybody in every segment, and one person in every segment, 45 days ago. */
static void ask_then(struct know *k, struct fold *fold)
{
    enum { PERSONS = 10000 };
    const struct live *live = fold_live(fold);
    const struct segment_set *set = atomic_load(&live->book)->segments;
    struct series all = { 0 }, one = { 0 };
    for (isize r = 0; r < k->rounds; r++) {
        arena a = { 0 }, person = { 0 };
        i64 began = clock_monotonic_us();
        struct past_identity then = past_of(live->identity, k->crowd.now_ms - 45 * DAY_MS, &a);
        past_owners(&then, live->identity, &a);
        struct sweep people = { .people = live->people, .identity = live->identity, .past = &then };
        isize *chosen = arena_new(&a, isize, set->n);
        for (isize i = 0; i < set->n; i++) chosen[i] = i;
        (void)past_count(&people, set, live->catalog, chosen, set->n, false, &a);
        add(&all, (f64)(clock_monotonic_us() - began) / 1e3);
        bool *in = arena_new(&a, bool, set->n);
        began = clock_monotonic_us();
        for (u32 i = 0; i < PERSONS; i++) {
            struct swept who;
            const struct profile *parts[NODES_PER_PERSON_MAX];
            rcu_read_begin();
            isize n = sweep_meet(&people, 1 + (u32)((u64)i * then.people / PERSONS), &person, &who) ? past_people(&then, &who, &person, parts, countof(parts)) : 0;
            for (isize p = 0; p < n; p++) past_segments(set, live->catalog, parts[p], then.at_ms, &person, in);
            rcu_read_end();
            arena_clear(&person);
        }
        add(&one, (f64)(clock_monotonic_us() - began) / PERSONS);
        arena_fini(&person);
        arena_fini(&a);
    }
    (void)printf("know_all_then %.0f ms (%.0f..%.0f of %lld) everybody in each of %lld segments as of 45 days ago\n", median(&all), all.at[0], all.at[all.n - 1],
                 (long long)k->rounds, (long long)set->n);
    (void)printf("know_person_then %.1f us (%.1f..%.1f of %lld) a person in each of %lld segments as of 45 days ago\n", median(&one), one.at[0], one.at[one.n - 1],
                 (long long)k->rounds, (long long)set->n);
    (void)fflush(stdout);
}

/* ---- main ----------------------------------------------------------------------------------------------------- */

static void run_ask(struct know *k)
{
    i64 began = clock_monotonic_us();
    k->crowd = crowd_make(k->people, ITEMS, k->calls, 7, &k->a);
    isize most = 0, one = 0;
    u16 *deeds = mem_new(((isize)k->people + 1) * (isize)sizeof *deeds);
    for (isize i = 0; i < k->crowd.deeds; i++) deeds[k->crowd.deed[i].person]++;
    for (u32 id = 1; id <= k->people; id++) {
        most = max_isize(most, deeds[id]);
        one += deeds[id] <= 3;
    }
    mem_free(deeds);
    (void)printf("# crowd: %u people, %lld events, %d items, %d days; %.0f%% of the people did at most 3 things, one did %lld; made in %.0f s\n", k->people,
                 (long long)k->crowd.calls, ITEMS, CROWD_DAYS, 100.0 * (f64)one / k->people, (long long)most, (f64)(clock_monotonic_us() - began) / 1e6);
    (void)fflush(stdout);
    struct fold *many = fold_crowd(k, 1000, min_isize(k->crowd.calls, MANY_CALLS_MAX), NULL, NULL, NULL, 0);
    fold_close(many);
    struct watch watch = { 0 };
    str keys[32], rules[32];
    isize n = 0;
    for (isize i = 0; i < questions_n; i++) {
        if (questions[i].kind != QUESTION_NOW) continue;
        keys[n] = question_key(&questions[i], &k->a);
        rules[n++] = questions[i].rule;
    }
    struct fold *fold = fold_crowd(k, 200, k->crowd.calls, &watch, keys, rules, n);
    ask_then(k, fold);
    ask_all(k, fold, &watch);
    fold_close(fold);
}

static bool wanted(char **names, int n, const char *name)
{
    for (int i = 0; i < n; i++)
        if (str_eq(str_of(names[i]), str_of(name))) return true;
    return n == 0;
}

int main(int argc, char **argv)
{
    struct know k = { .people = 50000, .calls = 500000, .rounds = 5, .config = config_default() };
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) {
        str option = str_of(argv[at]);
        if (str_eq(option, S("--tiny"))) { k.people = 2000; k.calls = 20000; k.rounds = 1; k.tiny = true; continue; }
        if (at + 1 == argc) give_up("%s needs a value", argv[at]);
        const char *value = argv[++at];
        if (str_eq(option, S("--work"))) k.work = value;
        else if (str_eq(option, S("--opmaat"))) k.server.program = value;
        else if (str_eq(option, S("--people"))) k.calls = 10 * (isize)(k.people = (u32)strtoul(value, NULL, 10));
        else if (str_eq(option, S("--events"))) k.calls = strtol(value, NULL, 10);
        else if (str_eq(option, S("--rounds"))) k.rounds = min_i64(ROUNDS_MAX, max_i64(1, strtoll(value, NULL, 10)));
        else give_up("there is no option %s", argv[at - 1]);
    }
    if (!k.work || k.people < 1) give_up("usage: know --work FOLDER [--opmaat PROGRAM] [--people N] [--events N] [--rounds N] [--tiny] [ask] [flips]");
    (void)mkdir(k.work, 0700);
    rcu_thread_start();
    if (wanted(argv + at, argc - at, "ask")) run_ask(&k);
    if (k.server.program && wanted(argv + at, argc - at, "flips"))
        flips_run(&k.server, fresh_folder(&k, "flips"), k.people, k.tiny ? 50 : 500, k.tiny ? 5000 : 60000, &k.a);
    rcu_thread_stop();
    arena_fini(&k.a);
    return 0;
}
