/* SPDX-License-Identifier: Apache-2.0
 *
 * Any rule over any history at any instant: the instant that is announced lies ahead, the answer is
 * the same just before it, an explanation says what the run said, what matched is of the history,
 * and an entry that is said not to touch the rule may be taken away. The input is the rule's text,
 * a zero byte, and the history, eight bytes an entry. */
#include "rule/rule.h"

#include "rule/rule_world.h"

enum { ENTRIES_MAX = 48, ENTRY_BYTES = 8 };

static isize read_history(const u8 *at, isize len, struct history_entry *out)
{
    isize n = 0;
    i64 when = WORLD_NOW - 400 * DAY_MS;
    for (; n < ENTRIES_MAX && len >= ENTRY_BYTES; at += ENTRY_BYTES, len -= ENTRY_BYTES, n++) {
        when += ((i64)at[0] << 8 | at[1]) * ((i64)1 << (at[2] & 31)) / 64;
        out[n] = (struct history_entry){
            .at_ms = when,
            .ref = (u64)n + 1,
            .type = at[3] % (EVENT_TYPES + 2),
            .item = at[4] % 5,
            .quantity = (i8)at[5],
            .value_minor = (i8)at[6] * 100,
            .currency = at[7] & 1 ? EUR : NOK,
            .channel = (at[7] >> 1) % CHANNELS,
            .flags = at[7] & 128 ? HISTORY_BOT : 0,
        };
        if (out[n].type >= EVENT_TYPES) out[n].type = (u16)(WORLD_CUSTOM + out[n].type - EVENT_TYPES);
    }
    return n;
}

static void check_untouched(const struct rule *rule, const struct rule_facts *facts, struct rule_result with)
{
    struct history_entry less[ENTRIES_MAX];
    for (isize gone = 0; gone < facts->history_n; gone++) {
        if (facts->history[gone].at_ms > facts->now_ms
            || rule_touched_by(rule, &facts->history[gone], facts))
            continue;
        struct rule_facts without = *facts;
        memcpy(less, facts->history, (size_t)gone * sizeof *less);
        memcpy(less + gone, facts->history + gone + 1, (size_t)(facts->history_n - gone - 1) * sizeof *less);
        without.history = less;
        without.history_n--;
        struct rule_result is = rule_run(rule, &without);
        assert(is.is == with.is && is.next_change_at_ms == with.next_change_at_ms);
    }
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t len);
int LLVMFuzzerTestOneInput(const u8 *data, size_t len)
{
    struct history_entry history[ENTRIES_MAX];
    const struct history_entry *made[4];
    str whole = { (const char *)data, (isize)len };
    isize end = str_find_char(whole, 0);
    if (end < 0 || end + 2 > whole.len) return 0;
    arena a = { 0 };
    const struct rule *rule;
    struct rule_errors errors;
    struct rule_facts facts = world_facts();
    if (rule_compile(&a, str_slice(whole, 0, end), RULE_FILTER, &world_names, &rule, &errors)) {
        arena_fini(&a);
        return 0;
    }
    facts.history = history;
    facts.history_n = read_history(data + end + 2, whole.len - end - 2, history);
    facts.now_ms = WORLD_NOW - 300 * DAY_MS + data[end + 1] * 3 * DAY_MS;
    for (int hop = 0; hop < 8; hop++) {
        struct rule_result is = rule_run(rule, &facts);
        assert(is.next_change_at_ms > facts.now_ms);
        assert(rule_explain(&a, rule, &facts, 3)->is == is.is);
        isize n = rule_matched(rule, &facts, made, countof(made));
        for (isize i = 0; i < n; i++) assert(made[i] >= history && made[i] < history + facts.history_n);
        check_untouched(rule, &facts, is);
        bool timed = is.next_change_at_ms != TIME_NEVER
                     && !(rule_depends_on(rule) & (RULE_ON_CONTEXT | RULE_ON_AFFINITY));
        if (!timed) break;
        facts.now_ms = is.next_change_at_ms - 1;
        assert(rule_run(rule, &facts).is == is.is);
        facts.now_ms++;
    }
    arena_fini(&a);
    return 0;
}
