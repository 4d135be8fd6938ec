/* SPDX-License-Identifier: Apache-2.0
 *
 * bandit_json_fuzz.c - any JSON as a policy: refused, or it gives shares that add up anywhere. */
#include "experiment/experiment.h"

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);

int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
    arena a = { 0 };
    const struct json *json = NULL;
    struct bandit_policy *policy = NULL;
    if (!json_parse(&a, (str){ (const char *)data, (isize)size }, &json, NULL)
        && !bandit_policy_read(&a, json, &policy, NULL)) {
        for (int i = 0; i < 8; i++) {
            f64 x[BANDIT_FEATURES_MAX];
            i32 shares[BANDIT_ARMS_MAX], leaf, all = 0;
            for (isize f = 0; f < policy->features_n; f++)
                x[f] = bandit_code(&policy->features[f], i & 1 ? S("7") : S("x"));
            bandit_policy_shares(policy, x, shares, &leaf);
            for (isize k = 0; k < policy->arms; k++) all += shares[k];
            assert(all == BUCKETS);
        }
        struct buf out = { .arena = &a };
        struct jsonw w = { .out = &out };
        (void)bandit_policy_leaves(policy, &w);
    }
    arena_fini(&a);
    return 0;
}
