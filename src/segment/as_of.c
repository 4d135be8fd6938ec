/* SPDX-License-Identifier: Apache-2.0
 *
 * as_of.c - a person as they stood at another instant, segments included: a stored membership says
 * nothing of then, so a rule that names a segment has that segment's rule asked too. */
#include "segment/segment.h"

static enum tri segment_as_of(const void *ctx, segment_id id)
{
    const struct as_of *at = ctx;
    const struct segment *segment = id.v < SEGMENTS_MAX ? at->set->by_id[id.v] : NULL;
    if (!segment || at->depth >= RULE_DEPTH_MAX) return TRI_FALSE;
    struct as_of deeper = *at;
    deeper.depth++;
    struct rule_facts facts = facts_as_of(&deeper);
    facts.no_timer = true;
    return rule_run(segment->rule, &facts).is;
}

struct rule_facts facts_as_of(const struct as_of *at)
{
    struct rule_facts facts = profile_facts(&at->world);
    facts.zone = at->set->zone;
    facts.segment_ctx = at;
    facts.in_segment = segment_as_of;
    return facts;
}
