/* SPDX-License-Identifier: Apache-2.0
 *
 * search_bench.c - how long a question takes, beside SQLite FTS5 on the same items and questions.
 * Why it matters: a search box asks at each letter. Budget: 20,000 products, with facets and typing
 * errors, p99 <= 2 ms; a million, made by cloning with other model names, p99 <= 10 ms.
 *
 *   src/search_search_bench PRODUCTS.jsonl.gz JUDGMENTS.tsv.gz [ITEMS [EVERY]]
 *
 * FTS5 is asked each EVERYth question, none at 0: it takes a fifth of a second for one among a
 * million items. A question counts with the processor time of the quickest of three tries, ours and
 * theirs, so that what else the machine does is left out.
 *
 * Questions are the judged ones as they are, each with one letter changed, and two words of a
 * random title. FTS5 answers the OR of the words by bm25, without facets, and without the changed
 * letters, which it would not find. */
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/rcu.h"
#include "search/inside.h"

enum { QUESTIONS_MAX = 2000, RANDOM = 400, REPEATS = 3 };

struct questions { str at[QUESTIONS_MAX]; bool slip[QUESTIONS_MAX]; isize n; };

static int rising(const void *x, const void *y)
{
    f64 a = *(const f64 *)x, b = *(const f64 *)y;
    return (a > b) - (a < b);
}

static void say(const char *name, f64 *us, isize n)
{
    if (n == 0) return;
    qsort(us, (size_t)n, sizeof *us, rising);
    printf("%s p50 %.0f us, p99 %.0f us, most %.0f us of CPU, of %td\n", name, us[n / 2],
           us[(n - 1) * 99 / 100], us[n - 1], n);
}

static void add(struct questions *q, str text, bool slip)
{
    if (q->n < QUESTIONS_MAX && text.len) { q->at[q->n] = text; q->slip[q->n++] = slip; }
}

static void read_questions(const char *path, struct questions *q, arena *a)
{
    FILE *f = popen(arena_printf(a, "gzip -dcf '%s' | cut -f1 | tail -n +2 | sort -u", path).ptr, "r");
    char line[256];
    while (f && fgets(line, sizeof line, f)) {
        str text = arena_str(a, str_trim(str_of(line)));
        add(q, text, false);
        str wrong = arena_str(a, text);
        isize at = wrong.len / 2;
        if (wrong.len > 4 && wrong.ptr[at] != ' ') {
            ((char *)(uintptr_t)wrong.ptr)[at] = 'q';
            add(q, wrong, true);
        }
    }
    if (f) (void)pclose(f);
}

static void random_questions(const struct catalog *c, struct questions *q, arena *a)
{
    struct rng rng = rng_seed(1);
    for (int i = 0; i < RANDOM; i++) {
        const struct item *item = catalog_item(c, (item_id){ 1 + rng_below(&rng, (u32)catalog_count(c)) });
        str title = item && item->titles_n ? item->titles[0].value : S("");
        struct str_cut first = str_cut(title, ' '), second = str_cut(first.tail, ' '),
                       third = str_cut(second.tail, ' ');
        add(q, arena_printf(a, "%.*s %.*s", STR_FMT(second.head), STR_FMT(third.head)), false);
    }
}

static void clone(struct catalog *c, isize items)
{
    isize own = catalog_count(c);
    struct rng rng = rng_seed(2);
    arena a = { 0 };
    for (isize n = own; n < items; n++) {
        const struct item *from = catalog_item(c, (item_id){ (u32)(n % own) + 1 });
        struct item_change change = { .kind = ITEM_PUT, .item = *from };
        struct text title = { S(""), arena_printf(&a, "%.*s %c%c%u", STR_FMT(from->titles[0].value),
                                                  'a' + (char)rng_below(&rng, 26),
                                                  'a' + (char)rng_below(&rng, 26),
                                                  rng_below(&rng, 100000)) };
        change.item.key = arena_printf(&a, "clone-%td", n);
        change.item.titles = &title;
        change.item.titles_n = 1;
        (void)catalog_apply(c, &change, 1);
        if (n % 1000 == 0) rcu_settle();
        arena_clear(&a);
    }
    rcu_settle();
    arena_fini(&a);
}

static str match_of(str text, arena *a)
{
    struct buf out = { .arena = a };
    str folded = word_fold(a, text);
    while (folded.len > 0) {
        struct str_cut cut = str_cut(folded, ' ');
        buf_printf(&out, "%s\"%.*s\"", out.len ? " OR " : "", STR_FMT(cut.head));
        folded = cut.tail;
    }
    return buf_str(&out);
}

/* ours_us: what each question took us, for the ratio. */
static void bench_fts5(const struct catalog *c, const struct questions *q, isize every, const f64 *ours_us)
{
    sqlite3 *db;
    sqlite3_stmt *insert, *ask;
    arena a = { 0 };
    f64 us[QUESTIONS_MAX], ratios[QUESTIONS_MAX];
    isize n = 0;
    i64 began = clock_monotonic_us();
    (void)sqlite3_open(":memory:", &db);
    (void)sqlite3_exec(
        db,
        "create virtual table t using fts5(title, brand, description, attributes, tokenize='porter'); begin",
        NULL, NULL, NULL);
    (void)sqlite3_prepare_v2(db, "insert into t values (?, ?, ?, ?)", -1, &insert, NULL);
    for (u32 id = 1; id <= (u32)catalog_count(c); id++) {
        const struct item *item = catalog_item(c, (item_id){ id });
        struct buf attributes = { .arena = &a };
        for (isize i = 0; i < item->attributes_n; i++)
            if (item->attributes[i].kind == FACT_TEXT) {
                buf_add(&attributes, item->attributes[i].text);
                buf_byte(&attributes, ' ');
            }
        const str columns[] = { item->titles_n ? item->titles[0].value : S(""), item->brand,
                                item->descriptions_n ? item->descriptions[0].value : S(""),
                                buf_str(&attributes) };
        for (int i = 0; i < 4; i++)
            (void)sqlite3_bind_text(insert, i + 1, columns[i].ptr, (int)columns[i].len,
                                    SQLITE_TRANSIENT);
        (void)sqlite3_step(insert);
        (void)sqlite3_reset(insert);
        arena_clear(&a);
    }
    (void)sqlite3_exec(db, "commit", NULL, NULL, NULL);
    printf("search_fts5_build %.2f s\n", (f64)(clock_monotonic_us() - began) / 1e6);
    (void)sqlite3_prepare_v2(
        db, "select rowid from t where t match ? order by bm25(t, 10, 5, 2, 1) limit 20", -1, &ask,
        NULL);
    for (isize i = 0; i < q->n; i += every) {
        if (q->slip[i]) continue;
        str match = match_of(q->at[i], &a);
        f64 best = 1e12;
        for (int k = 0; k < REPEATS; k++) {
            began = clock_cpu_us();
            (void)sqlite3_bind_text(ask, 1, match.ptr, (int)match.len, SQLITE_TRANSIENT);
            while (sqlite3_step(ask) == SQLITE_ROW) { }
            best = fmin(best, (f64)(clock_cpu_us() - began));
            (void)sqlite3_reset(ask);
        }
        ratios[n] = best / fmax(1, ours_us[i]);
        us[n++] = best;
        arena_clear(&a);
    }
    say("search_fts5", us, n);
    qsort(ratios, (size_t)n, sizeof *ratios, rising);
    if (n)
        printf(
            "search_fts5_ratio %.1f times ours in the median question, %.1f at least, %.1f at most\n",
            ratios[n / 2], ratios[0], ratios[n - 1]);
    (void)sqlite3_finalize(insert);
    (void)sqlite3_finalize(ask);
    (void)sqlite3_close(db);
    arena_fini(&a);
}

static void bench_ours(const struct catalog *c, const struct questions *q, f64 *ours_us)
{
    static const str facets[] = { S_INIT("category"), S_INIT("brand"), S_INIT("colour"), S_INIT("price") };
    struct search_index *index = search_build(c, S("en"), NULL, 0);
    struct search_card card = search_card(index);
    arena a = { 0 };
    f64 plain[QUESTIONS_MAX], slips[QUESTIONS_MAX];
    isize plain_n = 0, slips_n = 0;
    i64 check = 0;
    printf("search_build %.2f s, %td items, %td words, %.0f MB\n", (f64)card.took_us / 1e6,
           card.items, card.words, (f64)card.bytes / 1e6);
    for (isize i = 0; i < q->n; i++) {
        struct search_request r = { .text = q->at[i],
                                    .catalog = c,
                                    .limit = 20,
                                    .facets = facets,
                                    .facets_n = countof(facets),
                                    .dial = 50 };
        struct search_answer answer;
        f64 us = 1e12;
        for (int k = 0; k < REPEATS; k++) {
            arena_clear(&a);
            i64 began = clock_cpu_us();
            search_run(index, &r, &a, &answer);
            us = fmin(us, (f64)(clock_cpu_us() - began));
        }
        ours_us[i] = us;
        if (q->slip[i]) slips[slips_n++] = us;
        else plain[plain_n++] = us;
        check += answer.total;
    }
    say("search_ours", plain, plain_n);
    say("search_ours_typing_error", slips, slips_n);
    printf("search_check %lld\n", (long long)check);
    search_free(index);
    arena_fini(&a);
}

int main(int n, char **words)
{
    static struct questions questions;
    static f64 ours_us[QUESTIONS_MAX];
    arena a = { 0 };
    struct diag diag = { .arena = &a };
    struct catalog *c = catalog_new();
    isize products;
    rcu_thread_start();
    const char *shared = getenv("OPMAAT_SHARED");       /* without words: the products that the tests have */
    str folder = arena_printf(&a, "%s/data/icecat-search", shared ? shared : "../shared");
    if (n == 2) {
        printf("usage: %s [PRODUCTS.jsonl.gz JUDGMENTS.tsv.gz [ITEMS [EVERY]]]\n", words[0]);
        return 2;
    }
    const char *catalogue =
        n > 2 ? words[1] : arena_printf(&a, "%.*s/products.jsonl.gz", STR_FMT(folder)).ptr;
    const char *judgments =
        n > 2 ? words[2] : arena_printf(&a, "%.*s/judgments_dev.tsv.gz", STR_FMT(folder)).ptr;
    if (search_read_products(catalogue, c, &products, &diag)) {
        printf("%.*s\n", STR_FMT(diag.what));
        return 1;
    }
    read_questions(judgments, &questions, &a);
    random_questions(c, &questions, &a);
    if (n > 3) clone(c, (isize)strtol(words[3], NULL, 10));
    isize every = n > 4 ? (isize)strtol(words[4], NULL, 10) : 1;
    bench_ours(c, &questions, ours_us);
    if (every > 0) bench_fts5(c, &questions, every, ours_us);
    catalog_free(c);
    arena_fini(&a);
    rcu_thread_stop();
    return 0;
}
