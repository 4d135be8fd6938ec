/* SPDX-License-Identifier: Apache-2.0
 *
 * question.c - what is asked of all three: each question as a rule, and as one would write it in SQL.
 *
 * In the SQL {now} is the instant asked about, in milliseconds; {days:30} that many before it; {viewed}, {added} and {order} are types.
 * A window holds what is less than its far end ago and at least its near end: at > now - far and at <= now - near. */
#include "know.h"

#define VIEWED_3 "SELECT person FROM event WHERE type = {viewed} AND at > {days:30} AND at <= {now} GROUP BY person HAVING count(*) >= 3"
#define SPENT_100 "SELECT person FROM event WHERE type = {order} AND at > {days:365} AND at <= {now} GROUP BY person HAVING sum(value) > 10000"

const struct question questions[] = {
    { "trait", QUESTION_NOW, 0, S_INIT("gender = \"female\" and age >= 30"), S_INIT(""),
      S_INIT("SELECT id FROM person WHERE gender = 'female' AND age >= 30"), S_INIT("") },
    { "count", QUESTION_NOW, 0, S_INIT("count(product_viewed, last 30 days) >= 3"), S_INIT(""), S_INIT(VIEWED_3), S_INIT("") },
    { "category", QUESTION_NOW, 0, S_INIT("gender = \"female\" and count(product_viewed where category under \"c07\", last 90 days) >= 2"), S_INIT(""),
      S_INIT("SELECT e.person FROM event e JOIN item i ON i.id = e.item JOIN person p ON p.id = e.person WHERE e.type = {viewed} AND e.at > {days:90} "
             "AND e.at <= {now} AND i.parent = 'c07' AND p.gender = 'female' GROUP BY e.person HAVING count(*) >= 2"), S_INIT("") },
    { "spent", QUESTION_NOW, 0, S_INIT("sum(order_completed.revenue, last 365 days) > 100 EUR and days_since(last order_completed) > 14"), S_INIT(""),
      S_INIT(SPENT_100 " AND max(at) < {days:14}"), S_INIT("") },
    { "average", QUESTION_NOW, 0, S_INIT("average(order_completed.revenue, last 365 days) >= 250 EUR"), S_INIT(""),
      S_INIT("SELECT person FROM event WHERE type = {order} AND at > {days:365} AND at <= {now} GROUP BY person "
             "HAVING (CAST(sum(value) AS bigint) + count(*) / 2) / count(*) >= 25000"), S_INIT("") },
    { "cart", QUESTION_NOW, 0, S_INIT("sequence(product_added then not order_completed within 2 hours, last 7 days)"), S_INIT(""),
      S_INIT("SELECT DISTINCT a.person FROM event a WHERE a.type = {added} AND a.at > {days:7} AND a.at <= {now} - 7200000 AND NOT EXISTS "
             "(SELECT 1 FROM event o WHERE o.person = a.person AND o.type = {order} AND o.at > a.at AND o.at <= {now})"), S_INIT("") },
    { "sequence", QUESTION_NOW, 0, S_INIT("sequence(product_viewed then product_added then order_completed within 1 days, last 90 days)"), S_INIT(""),
      S_INIT("SELECT DISTINCT o.person FROM event o WHERE o.type = {order} AND o.at > {days:90} AND o.at <= {now} AND EXISTS "
             "(SELECT 1 FROM event a JOIN event v ON v.person = a.person AND v.type = {viewed} AND v.at < a.at AND v.at > o.at - 86400000 "
             "WHERE a.person = o.person AND a.type = {added} AND a.at < o.at AND a.at > o.at - 86400000)"), S_INIT("") },
    { "absence", QUESTION_NOW, 0, S_INIT("did(product_viewed, last 90 days) and not did(order_completed)"), S_INIT(""),
      S_INIT("SELECT DISTINCT person FROM event WHERE type = {viewed} AND at > {days:90} AND at <= {now} "
             "EXCEPT SELECT person FROM event WHERE type = {order} AND at <= {now}"), S_INIT("") },
    { "lapsed", QUESTION_NOW, 0, S_INIT("did(product_viewed, between 30 and 90 days ago, not since)"), S_INIT(""),
      S_INIT("SELECT person FROM event WHERE type = {viewed} AND at > {days:90} AND at <= {now} GROUP BY person HAVING max(at) <= {days:30}"), S_INIT("") },
    { "distinct", QUESTION_NOW, 0, S_INIT("distinct(product_viewed.product, last 60 days) >= 5"), S_INIT(""),
      S_INIT("SELECT person FROM event WHERE type = {viewed} AND at > {days:60} AND at <= {now} GROUP BY person HAVING count(DISTINCT item) >= 5"), S_INIT("") },
    { "count_then", QUESTION_THEN, 45, S_INIT("count(product_viewed, last 30 days) >= 3"), S_INIT(""), S_INIT(VIEWED_3), S_INIT("") },
    { "overlap_then", QUESTION_BOTH_THEN, 45, S_INIT("count(product_viewed, last 30 days) >= 3"), S_INIT("sum(order_completed.revenue, last 365 days) > 100 EUR"),
      S_INIT(VIEWED_3), S_INIT(SPENT_100) },
    { "moved_since", QUESTION_MOVED, 14, S_INIT("count(product_viewed, last 30 days) >= 3"), S_INIT(""), S_INIT(VIEWED_3), S_INIT("") },
};
const isize questions_n = countof(questions);

/* The text with its {…} filled in for an instant. */
static void fill(struct buf *out, str sql, i64 now_ms)
{
    static const struct { str name; int type; } types[] = {
        { S_INIT("viewed"), EVENT_PRODUCT_VIEWED }, { S_INIT("added"), EVENT_PRODUCT_ADDED }, { S_INIT("order"), EVENT_ORDER_COMPLETED },
    };
    isize open;
    while ((open = str_find_char(sql, '{')) >= 0) {
        isize close = str_find_char(sql, '}');
        str name = str_slice(sql, open + 1, close);
        i64 days;
        buf_add(out, str_slice(sql, 0, open));
        if (str_eq(name, S("now"))) buf_printf(out, "%lld", (long long)now_ms);
        else if (name.len > 5 && str_to_i64(str_from(name, 5), &days)) buf_printf(out, "%lld", (long long)(now_ms - days * DAY_MS));
        for (isize i = 0; i < countof(types); i++)
            if (str_eq(name, types[i].name)) buf_printf(out, "%d", types[i].type);
        sql = str_from(sql, close + 1);
    }
    buf_add(out, sql);
}

static str filled(arena *a, str sql, i64 now_ms)
{
    struct buf out = { .arena = a };
    fill(&out, sql, now_ms);
    return buf_str(&out);
}

str question_sql(const struct question *q, i64 now_ms, arena *a)
{
    i64 then_ms = now_ms - q->ago_days * DAY_MS;
    str then = filled(a, q->sql, then_ms), now = filled(a, q->sql, now_ms);
    if (q->kind == QUESTION_NOW || q->kind == QUESTION_THEN) return arena_printf(a, "SELECT count(*) FROM (%.*s) q", STR_FMT(then));
    if (q->kind == QUESTION_BOTH_THEN) {
        str other = filled(a, q->and_sql, then_ms);
        return arena_printf(a, "SELECT count(*) FROM (%.*s INTERSECT %.*s) q", STR_FMT(then), STR_FMT(other));
    }
    return arena_printf(a, "WITH was AS (%.*s), is_now AS (%.*s) SELECT (SELECT count(*) FROM (SELECT person FROM was EXCEPT SELECT person FROM is_now) x) "
                        "+ (SELECT count(*) FROM (SELECT person FROM is_now EXCEPT SELECT person FROM was) y)", STR_FMT(then), STR_FMT(now));
}
