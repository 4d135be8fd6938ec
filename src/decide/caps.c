/* SPDX-License-Identifier: Apache-2.0
 *
 * caps.c - frequency caps that hold under concurrent requests.
 *
 * What was seen stands in the person's history. What was answered and not seen yet stands here: a
 * table of atomic words, one for a person and campaign: 24 bits of tag, 32 bits of the second the
 * latest reservation was made, 8 bits of how many. A reservation lapses after 30 minutes. Two pairs
 * that meet in one slot and differ in their tag take it from each other once it has lapsed; before,
 * the newcomer goes to the next of eight slots, and when all are taken it is refused: a cap errs
 * towards showing less.
 */
#include <stdatomic.h>

#include "base/clock.h"
#include "decide/decide.h"

enum { SLOTS = 1 << 18, PROBES = 8, LAPSE_SECONDS = 30 * 60 };

struct caps { _Atomic u64 slots[SLOTS]; };

struct caps *caps_new(void) { return mem_new(sizeof(struct caps)); }
void caps_free(struct caps *caps) { mem_free(caps); }

static u64 pack(u64 tag, u64 second, u64 count) { return tag << 40 | second << 8 | count; }

/* 1 reserved, 0 refused, -1 the slot is somebody else's. */
static int try_slot(_Atomic u64 *slot, u64 tag, u64 second, i32 viewed, i32 times)
{
    u64 old = atomic_load(slot);
    for (;;) {
        u64 at = old >> 8 & 0xffffffff;
        bool lapsed = old == 0 || second >= at + LAPSE_SECONDS;
        if (!lapsed && old >> 40 != tag) return -1;
        u64 reserved = lapsed ? 0 : old & 0xff;
        if (viewed + (i32)reserved >= times || reserved == 0xff) return 0;
        if (atomic_compare_exchange_weak(slot, &old, pack(tag, second, reserved + 1))) return 1;
    }
}

bool caps_reserve(struct caps *caps, str bucketing_id, u32 campaign, i32 viewed, i32 times, i64 now_ms)
{
    u64 h = hash64(bucketing_id, campaign);
    u64 tag = (h >> 40) | 1;
    for (u64 i = 0; i < PROBES; i++) {
        int done = try_slot(&caps->slots[(h + i) % SLOTS], tag,
                            (u64)(now_ms / SECOND_MS) & 0xffffffff, viewed, times);
        if (done >= 0) return done == 1;
    }
    return false;
}

void caps_release(struct caps *caps, str bucketing_id, u32 campaign)
{
    u64 h = hash64(bucketing_id, campaign);
    u64 tag = (h >> 40) | 1;
    for (u64 i = 0; i < PROBES; i++) {
        _Atomic u64 *slot = &caps->slots[(h + i) % SLOTS];
        u64 old = atomic_load(slot);
        while (old >> 40 == tag && (old & 0xff) > 0)
            if (atomic_compare_exchange_weak(slot, &old, old - 1)) return;
    }
}

/* ---- contacts: what all campaigns show somebody, counted together ---------------------------- */

bool contact_counts(const struct book *book, const struct campaign *c)
{
    const struct settings *s = &book->settings;
    for (isize i = 0; i < s->contact_channels_n; i++)
        if (str_eq(s->contact_channels[i], book->placements[c->placement].channel)) return true;
    return s->contact_channels_n == 0;
}

/* A campaign that is not in force any more counts where all do. */
static bool entry_counts(const struct book *book, const struct history_entry *e)
{
    if (e->type != EVENT_DECISION_VIEWED || e->item != 0 || e->quantity == 0) return false;
    for (isize i = 0; i < book->campaigns_n; i++)
        if (book->campaigns[i].number == e->quantity) return contact_counts(book, &book->campaigns[i]);
    return book->settings.contact_channels_n == 0;
}

i32 contacts_since(const struct book *book, const struct profile *p, i64 since_ms, i64 now_ms)
{
    i32 n = 0;
    for (isize i = p ? p->history_n - 1 : -1; i >= 0 && p->history[i].at_ms >= since_ms; i--)
        n += p->history[i].at_ms <= now_ms && entry_counts(book, &p->history[i]);
    return n;
}
