/* SPDX-License-Identifier: Apache-2.0
 *
 * evaluate.c - search measured on judged questions, as it is served.
 *
 * The catalogue file goes through the catalogue and the index a shop's would; each question is asked
 * by search_run without a person. nDCG@k has gain 2^rating - 1 and discount 1 / log2(rank + 1), an
 * unjudged item counts 0, and the ideal is the judged items in their best order (Jarvelin, Kekalainen
 * 2002; gain as in Burges et al. 2005). Questions without any relevant item say nothing and are left
 * out, and counted. Nothing is learnt from the judgments, so there is no split to make; the intervals
 * are bootstrap over questions.
 */
#include "base/clock.h"
#include "ingest/ingest.h"
#include "search/inside.h"

#include <math.h>
#include <stdlib.h>

enum { DEPTH = 20, REPEATS = 20 };

struct judged { u32 query; u32 item; i32 rating; };
struct judgments {
    struct { struct judged *at; isize n, cap; } rows;
    struct { str *at; isize n, cap; } queries;
    struct map *by_text;
    isize unknown;                                      /* rows whose item is not in the catalogue */
};

/* ---- files ----------------------------------------------------------------------------------- */

/* Calls `take` for each line that is not empty. */
static enum err each_line(const char *path,
                          enum err (*take)(void *ctx, str text, i64 number, struct diag *diag),
                          void *ctx, struct diag *diag)
{
    struct gz *gz;
    enum err err = gz_open(path, &gz, diag);
    if (err) return err;
    struct csv *csv = csv_new(gz);
    str line;
    i64 number;
    bool found = true;
    while (!err && found) {
        err = csv_line(csv, &line, &number, &found, diag);
        if (!err && found && str_trim(line).len) err = take(ctx, line, number, diag);
    }
    csv_free(csv);
    gz_close(gz);
    return err;
}

struct loading { struct catalog *catalog; arena scratch; const char *path; isize items; };

static bool is_one_of(str name, const char *const *list, isize n)
{
    for (isize i = 0; i < n; i++)
        if (str_eq(name, str_of(list[i]))) return true;
    return false;
}

static void take_text(struct text **texts, isize *n, str value, arena *a)
{
    if (*n || value.len == 0) return;
    *texts = arena_new(a, struct text, 1);
    (*texts)[0] = (struct text){ S(""), value };
    *n = 1;
}

/* Other shops' words for ours; what has no word of ours is an attribute. "name" beside "title" says
 * the same again. */
static void take_field(struct item *item, const struct json *doc, const struct json *f, arena *a)
{
    static const char *const keys[] = { "product_key", "id", "docid", "product_id", "sku" };
    static const char *const brands[] = { "brand", "supplier", "manufacturer", "vendor" };
    static const char *const descriptions[] = { "description", "short_description", "summary" };
    static const char *const colours[] = { "colour", "color", "attr_t_product_colour" };
    static const char *const skipped[] = { "price", "date_released", "ean",      "url",
                                           "image", "img_500x500",   "currency", "name" };
    str name = f->key, text = json_text(a, f);
    if (is_one_of(name, keys, countof(keys))) { if (item->key.len == 0) item->key = text; return; }
    if (str_eq(name, S("title"))) { take_text(&item->titles, &item->titles_n, text, a); return; }
    if (str_eq(name, S("name")) && !json_get(doc, S("title"))) {
        take_text(&item->titles, &item->titles_n, text, a);
        return;
    }
    if (is_one_of(name, brands, countof(brands))) { item->brand = text; return; }
    if (is_one_of(name, descriptions, countof(descriptions))) {
        take_text(&item->descriptions, &item->descriptions_n, text, a);
        return;
    }
    if (str_eq(name, S("category")) && json_is(f, JSON_STR)) { item->category = text; return; }
    if (is_one_of(name, colours, countof(colours))) item->colour = text;
    if (is_one_of(name, skipped, countof(skipped))) return;
    bool prefixed = str_starts(name, S("attr_")) && name.len > 7 && name.ptr[6] == '_';
    struct fact fact = { .name = prefixed ? str_from(name, 7) : name };
    if (json_is(f, JSON_STR)) { fact.kind = FACT_TEXT; fact.text = f->s; }
    else if (json_is(f, JSON_BOOL)) { fact.kind = FACT_BOOL; fact.b = f->b; }
    else return;
    if (!str_eq(name, S("attr_t_product_colour"))) item->attributes[item->attributes_n++] = fact;
}

static enum err take_product(void *ctx, str line, i64 number, struct diag *diag)
{
    struct loading *l = ctx;
    const struct json *doc;
    struct item_change change = { .kind = ITEM_PUT, .item = { .kind = ITEM_PRODUCT } };
    struct diag inner = { .arena = diag->arena };
    if (json_parse(&l->scratch, line, &doc, &inner) || !json_is(doc, JSON_OBJ))
        return diag_set(diag, ERR_BAD_INPUT, "%s line %lld: expected a JSON object of one product",
                        l->path, (long long)number);
    change.item.attributes = arena_new(&l->scratch, struct fact, json_len(doc));
    json_each(f, doc) take_field(&change.item, doc, f, &l->scratch);
    if (change.item.key.len == 0 || change.item.key.len > WORD_BYTES_MAX)
        return diag_set(diag, ERR_BAD_INPUT, "%s line %lld: no id (product_key, id or docid)",
                        l->path, (long long)number);
    l->items += catalog_apply(l->catalog, &change, 1).v > 0;
    arena_clear(&l->scratch);
    return ERR_OK;
}

enum err search_read_products(const char *path, struct catalog *catalog, isize *products, struct diag *diag)
{
    struct loading l = { .catalog = catalog, .path = path };
    enum err err = each_line(path, take_product, &l, diag);
    arena_fini(&l.scratch);
    *products = l.items;
    return err;
}

struct judging { struct judgments *j; const struct catalog *catalog; const char *path; arena *a; };

static enum err take_judgment(void *ctx, str line, i64 number, struct diag *diag)
{
    struct judging *g = ctx;
    struct str_cut query = str_cut(line, '\t'), doc = str_cut(query.tail, '\t');
    i64 rating;
    if (number == 1 && !str_to_i64(str_trim(doc.tail), &rating)) return ERR_OK;         /* the header */
    if (!query.found || !doc.found || !str_to_i64(str_trim(doc.tail), &rating) || rating < 0 || rating > 10)
        return diag_set(diag, ERR_BAD_INPUT,
                        "%s line %lld: expected query, docid and rating (0 to 10), tab separated",
                        g->path, (long long)number);
    str text = str_trim(query.head);
    struct hash128 h = term_hash(text);
    u64 at = map_get(g->j->by_text, h, UINT64_MAX);
    if (at == UINT64_MAX) {
        at = (u64)g->j->queries.n;
        vec_push(&g->j->queries, arena_str(g->a, text));
        (void)map_put(g->j->by_text, h, at);
    }
    u32 item = catalog_find(g->catalog, str_trim(doc.head)).v;
    g->j->unknown += item == 0;
    vec_push(&g->j->rows, (struct judged){ (u32)at, item, (i32)rating });
    return ERR_OK;
}

/* ---- measuring ------------------------------------------------------------------------------- */

enum measure { NDCG_5, NDCG_10, NDCG_20, MRR_10, PRECISION_10, RECALL_20, MEASURES };
static const char *const measure_names[MEASURES] = { "ndcg@5", "ndcg@10",      "ndcg@20",
                                                     "mrr@10", "precision@10", "recall@20" };
struct marks { f64 of[MEASURES]; };

static int falling(const void *x, const void *y) { return *(const i32 *)y - *(const i32 *)x; }

static f64 gain(i32 rating) { return pow(2, rating) - 1; }

static bool score_query(const struct judgments *j, u32 query, const struct search_answer *answer,
                        arena *a, struct marks *out)
{
    i32 *ideal = arena_new(a, i32, j->rows.n);
    isize n = 0, relevant = 0, found = 0, found_10 = 0, first = 0;
    for (isize i = 0; i < j->rows.n; i++)
        if (j->rows.at[i].query == query) {
            ideal[n++] = j->rows.at[i].rating;
            relevant += j->rows.at[i].rating > 0;
        }
    if (relevant == 0) return false;
    qsort(ideal, (size_t)n, sizeof *ideal, falling);
    f64 got = 0, best = 0;
    *out = (struct marks){ 0 };
    for (isize i = 0; i < DEPTH; i++) {
        i32 rating = 0;
        for (isize k = 0; i < answer->hits_n && k < j->rows.n; k++)
            if (j->rows.at[k].query == query && j->rows.at[k].item == answer->hits[i].item)
                rating = j->rows.at[k].rating;
        got += gain(rating) / log2((f64)i + 2);
        if (i < n) best += gain(ideal[i]) / log2((f64)i + 2);
        found += rating > 0;
        found_10 += rating > 0 && i < 10;
        if (rating > 0 && first == 0) first = i + 1;
        if (i == 4) out->of[NDCG_5] = got / best;
        if (i == 9) out->of[NDCG_10] = got / best;
        if (i == 19) out->of[NDCG_20] = got / best;
    }
    out->of[MRR_10] = first && first <= 10 ? 1 / (f64)first : 0;
    out->of[PRECISION_10] = (f64)found_10 / 10;
    out->of[RECALL_20] = (f64)found / (f64)relevant;
    return true;
}

static int rising(const void *x, const void *y)
{
    f64 a = *(const f64 *)x, b = *(const f64 *)y;
    return (a > b) - (a < b);
}

struct scored_questions { const struct marks *at; isize n; };

static void take_means(const void *ctx, const u32 *times, f64 *out)
{
    const struct scored_questions *s = ctx;
    for (isize i = 0; i < s->n; i++)
        for (isize m = 0; m < MEASURES; m++) out[m] += times[i] * s->at[i].of[m] / (f64)s->n;
}

/* ---- saying ---------------------------------------------------------------------------------- */

static const char protocol[] =
    "each question over the whole catalogue, without a person; gain 2^rating-1, unjudged 0; questions without a relevant item left out";

struct report {
    struct search_card card;
    isize products, queries, scored, judgments, unknown;
    struct estimate measures[MEASURES];
    /* ndcg@10 of every other question: how far it depends on which were asked */
    f64 half[2];
    f64 p50, p99;
    u64 seed; isize resamples;
};

static void report_json(const struct report *r, struct buf *out)
{
    struct jsonw w = { .out = out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "protocol", str_of(protocol));
    jsonw_key_begin(&w, "train", '{');
    jsonw_key_int(&w, "products", r->products);
    jsonw_key_int(&w, "words", r->card.words);
    jsonw_key_int(&w, "index_bytes", r->card.bytes);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "test", '{');
    jsonw_key_int(&w, "queries", r->queries);
    jsonw_key_int(&w, "scored", r->scored);
    jsonw_key_int(&w, "judgments", r->judgments);
    jsonw_key_int(&w, "unknown_items", r->unknown);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "metrics", '{');
    for (isize m = 0; m < MEASURES; m++) {
        jsonw_key_begin(&w, measure_names[m], '{');
        jsonw_key_num(&w, "value", r->measures[m].value);
        jsonw_key_num(&w, "low", r->measures[m].low);
        jsonw_key_num(&w, "high", r->measures[m].high);
        jsonw_end(&w, '}');
    }
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "halves", '[');
    jsonw_num(&w, r->half[0]);
    jsonw_num(&w, r->half[1]);
    jsonw_end(&w, ']');
    jsonw_key_begin(&w, "bootstrap", '{');
    jsonw_key_int(&w, "seed", (i64)r->seed);
    jsonw_key_int(&w, "resamples", r->resamples);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "seconds", '{');
    jsonw_key_num(&w, "train", (f64)r->card.took_us / 1e6);
    jsonw_end(&w, '}');
    jsonw_key_begin(&w, "latency_us", '{');
    jsonw_key_num(&w, "p50", r->p50);
    jsonw_key_num(&w, "p99", r->p99);
    jsonw_end(&w, '}');
    jsonw_end(&w, '}');
    buf_byte(out, '\n');
}

static void report_text(const struct report *r, struct buf *out)
{
    buf_printf(out, "protocol   %s\n", protocol);
    buf_printf(out, "catalogue  %td products, %td words; index %.1f MB in %.2f s\n", r->products,
               r->card.words, (f64)r->card.bytes / 1e6, (f64)r->card.took_us / 1e6);
    buf_printf(
        out,
        "questions  %td, of which %td have a relevant item; %td judgments, %td of items not in the catalogue\n",
        r->queries, r->scored, r->judgments, r->unknown);
    for (isize m = 0; m < MEASURES; m++)
        buf_printf(out, "%-13s %.4f  [%.4f, %.4f]\n", measure_names[m], r->measures[m].value,
                   r->measures[m].low, r->measures[m].high);
    buf_printf(out, "halves     ndcg@10 %.4f and %.4f over every other question\n", r->half[0], r->half[1]);
    buf_printf(out, "latency    p50 %.0f us, p99 %.0f us, with facets of brand and colour\n", r->p50, r->p99);
}

static void measure(const struct catalog *catalog, const struct search_index *index,
                    const struct judgments *j, struct report *r, arena *a)
{
    static const str facets[] = { S_INIT("brand"), S_INIT("colour") };
    struct marks *scores = arena_new(a, struct marks, j->queries.n + 1);
    f64 *took = arena_new(a, f64, j->queries.n * REPEATS + 1);
    isize tooks = 0;
    f64 sum[2] = { 0 };
    isize count[2] = { 0 };
    arena scratch = { 0 };
    for (isize q = 0; q < j->queries.n; q++) {
        struct search_request request = { .text = j->queries.at[q],
                                          .catalog = catalog,
                                          .limit = DEPTH,
                                          .facets = facets,
                                          .facets_n = countof(facets) };
        struct search_answer answer = { 0 };
        for (isize i = 0; i < REPEATS; i++) {
            arena_clear(&scratch);
            i64 began = clock_monotonic_us();
            search_run(index, &request, &scratch, &answer);
            took[tooks++] = (f64)(clock_monotonic_us() - began);
        }
        if (!score_query(j, (u32)q, &answer, &scratch, &scores[r->scored])) continue;
        sum[r->scored % 2] += scores[r->scored].of[NDCG_10];
        count[r->scored % 2]++;
        r->scored++;
    }
    arena_fini(&scratch);
    struct scored_questions all = { scores, r->scored };
    bootstrap(take_means, &all, all.n, r->seed, r->resamples, MEASURES, r->measures, a);
    for (int h = 0; h < 2; h++) r->half[h] = count[h] ? sum[h] / (f64)count[h] : 0;
    qsort(took, (size_t)tooks, sizeof *took, rising);
    r->p50 = tooks ? took[tooks / 2] : 0;
    r->p99 = tooks ? took[(tooks - 1) * 99 / 100] : 0;
}

enum err search_evaluate_run(const struct search_evaluate *options, struct buf *out, struct diag *diag)
{
    arena a = { 0 };
    struct catalog *catalog = catalog_new();
    struct judgments j = { .by_text = map_new(256) };
    struct judging judging = { &j, catalog, options->judgments, &a };
    struct report r = { .seed = options->seed ? options->seed : 1,
                        .resamples = options->resamples ? options->resamples : 1000 };
    struct search_index *index = NULL;
    enum err err = search_read_products(options->catalogue, catalog, &r.products, diag);
    if (!err) err = each_line(options->judgments, take_judgment, &judging, diag);
    if (!err && j.queries.n == 0)
        err = diag_set(diag, ERR_REFUSED, "%s holds no judgment", options->judgments);
    if (!err) {
        index = search_build(catalog, S("en"), NULL, 0);
        r.card = search_card(index);
        r.queries = j.queries.n;
        r.judgments = j.rows.n;
        r.unknown = j.unknown;
        measure(catalog, index, &j, &r, &a);
        if (options->json) report_json(&r, out);
        else report_text(&r, out);
    }
    search_free(index);
    map_free(j.by_text);
    vec_fini(&j.rows);
    vec_fini(&j.queries);
    catalog_free(catalog);
    arena_fini(&a);
    return err;
}
