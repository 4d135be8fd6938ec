/* SPDX-License-Identifier: Apache-2.0
 *
 * experiment.h - who gets which variation, and what a flag says to whom.
 *
 * Everything here is a pure function of ids and shares: the same person gets the same answer on
 * every channel, every node and every day, and nothing is stored to make it so. Bucketing is the
 * one that Optimizely's SDKs compute (they cannot be taught another), so our server, an
 * unmodified SDK and an OpenFeature provider agree.
 *
 *   reads    base/, math/
 *   feeds    decide/, measure/ (shares for the sample-ratio check), api/
 *   threads  pure; a compiled flag is frozen and anyone may evaluate it
 *   memory   allocations and flags live in the arena given; evaluating allocates nothing
 *
 * Shares are parts per 10,000 of those who are not held out. A holdout is taken first.
 */
#ifndef EXPERIMENT_EXPERIMENT_H
#define EXPERIMENT_EXPERIMENT_H

#include "base/json.h"
#include "experiment/bandit.h"

enum { BUCKETS = 10000, VARIATIONS_MAX = 100, RANGES_MAX = 256 };

/* ---- buckets (bucket.c) -------------------------------------------------------------------- */
/* Who, and in which experiment. The two texts are hashed one after the other with nothing between
 * ("u1" + "23" is "u12" + "3"), so experiment ids must be of fixed width: experiment_id_of. */
struct bucket_key { str bucketing_id, experiment_id; };

u32 experiment_hash(struct bucket_key key);             /* MurmurHash3 x86 32-bit, seed 1 */
i32 experiment_bucket(struct bucket_key key);           /* 0 .. BUCKETS-1 */

/* Fifteen decimal digits made of a name such as "flag/new_checkout/ramp": the same for ever, and
 * exact in a double, because other systems' SDKs carry ids as numbers. */
str experiment_id_of(arena *a, str name);

/* "34%", "33.5%", "0.01%" -> parts per 10,000. False for anything else: no sign, no more than two
 * decimals that count, not above 100%. */
bool share_parse(str text, i32 *share);
str share_print(arena *a, i32 share);                   /* 3350 -> "33.5%" */

/* ---- holdouts ------------------------------------------------------------------------------- */
/* The programme holdout: true for those who get nothing personal from anything, ever. It has an
 * experiment id of its own, so it is independent of every experiment, and raising the share only
 * adds people. */
bool holdout_contains(str bucketing_id, i32 holdout_share);
/* The same for one campaign or experience; key.experiment_id is the holdout's own id. */
bool holdout_scope_contains(struct bucket_key key, i32 holdout_share);
extern const str holdout_experiment_id;

/* ---- allocations (allocation.c) ------------------------------------------------------------- */
/* Buckets start .. end-1 belong to a variation (an index). What no range holds is a hole: those
 * people are not in the experiment. An arm may have several ranges; an empty one (start = end)
 * remembers where an arm begins that is at 0 % just now. */
struct range { i32 start, end, variation; };
struct allocation { const struct range *at; isize n; };

/* A first allocation of n shares (sum at most 10,000; ERR_BAD_INPUT says by how much it is over).
 * When they do not fill everything, starts are spread so that each arm has room to grow behind it
 * in proportion to its share. */
MUST_USE enum err experiment_allocate(arena *a, const i32 *shares, isize n, struct allocation *out,
                                      struct diag *diag);

/* New shares for a running experiment, moving only those who must move: a range's start never
 * moves; a shrinking arm gives up ends, last range first; a growing arm takes the hole behind its
 * ranges, then pieces of other holes as new ranges. Nobody whose arm did not shrink leaves it. New
 * arms are added at the end; an arm is removed by a share of 0. */
MUST_USE enum err experiment_reallocate(arena *a, struct allocation old, const i32 *shares, isize n,
                                        struct allocation *out, struct diag *diag);

/* Whether the variations of a document ([{"key": …}, …]) are those of the one before it, in the same places, perhaps with new ones behind
 * them: only then is there something to reallocate. False when there was none before. */
bool experiment_continues(const struct json *before, const struct json *now);

/* [{"start": 0, "end": 5000, "variation": 0}, ...]. Reading refuses overlaps and indexes past n. */
MUST_USE enum err experiment_allocation_read(arena *a, const struct json *ranges, isize n,
                                             struct allocation *out, struct diag *diag);
void experiment_allocation_write(struct jsonw *w, struct allocation of);

i32 experiment_share(struct allocation of, i32 variation);

/* variation is -1 in a hole; share and propensity are then those of not being in it. */
struct assignment { i32 bucket, variation, share; f64 propensity; };
struct assignment experiment_assign(struct bucket_key key, struct allocation of);

/* ---- flags (flag.c) ------------------------------------------------------------------------- */
enum flag_type { FLAG_BOOL, FLAG_STRING, FLAG_NUMBER, FLAG_JSON };
enum flag_rule_kind { FLAG_FORCE, FLAG_ROLLOUT, FLAG_EXPERIMENT };
/* Which hash puts people into buckets. OPT3 is Optimizely's, ours and the default; GB2 and GB1 are
 * GrowthBook's, for experiments that its SDKs are to compute by themselves. */
enum flag_hash { HASH_OPT3, HASH_GB2, HASH_GB1 };
enum flag_reason {
    FLAG_BY_DEFAULT,
    FLAG_BY_TARGET,
    FLAG_BY_ROLLOUT,
    FLAG_BY_EXPERIMENT,
    FLAG_BY_HOLDOUT,
    FLAG_BY_PAUSE,
    FLAG_BY_FORCE,
    FLAG_BY_PREVIEW,
};
enum { FLAG_RULES_MAX = 200, FLAG_FORCED_MAX = 1000, FLAG_REQUIREMENTS_MAX = 16, FLAG_FACTORS_MAX = 4 };

struct flag_variation { str key, value; i32 share; u8 levels[FLAG_FACTORS_MAX]; };
/* A mutual exclusion: whoever is hashed into [from, to) of the layer may be in the rule, nobody
 * else. Rules of one layer whose ranges do not overlap share nobody. */
struct flag_layer { str key, id; i32 from, to; };       /* key empty: in none */
struct flag_forced { str id; i32 variation; };
/* another flag, and the value it must have (JSON text) */
struct flag_requirement { str flag, value; };
struct flag_factor { str key; const str *levels; isize levels_n; };
struct flag_rule {
    enum flag_rule_kind kind;
    str key, id;                        /* id: what is hashed and measured */
    str target;                         /* rule text, empty for everyone */
    str value;                          /* force and rollout: JSON text */
    i32 share;                          /* rollout */
    enum flag_hash hash;
    struct flag_layer layer;
    /* of those the target holds for: they get the default and nothing after this rule */
    i32 holdout_share;
    str holdout_id;
    /* who has seen a variation keeps it while it lives, whatever became of target and shares */
    bool sticky;
    /* these ids get this variation, whatever the target says */
    const struct flag_forced *forced; isize forced_n;
    const struct flag_requirement *requires; isize requires_n;
    /* a factorial test: a variation is a level of each */
    const struct flag_factor *factors; isize factors_n;
    const struct flag_variation *variations;            /* experiment */
    isize variations_n;
    struct allocation allocation;
};
struct flag {
    str key, value;                     /* value: the default, JSON text */
    enum flag_type type;
    bool paused;
    i32 holdout_share;
    const struct flag_rule *rules;
    isize rules_n;
};

/* From a definition:
 *   {"key", "type": "bool|string|number|json", "default", "paused"?, "rules": [
 *     {"key", "kind": "force",   "target"?, "value"},
 *     {"key", "kind": "rollout", "target"?, "value", "share": "20%", "id"?},
 *     {"key", "kind": "experiment", "target"?, "id"?, "ranges"?, "sticky"?, "forced"?: {"ana-77": "b"},
 *      "variations": [{"key", "share": "50%", "value"}, ...],
 *      "factors"?: {"headline": ["old", "new"], "image": ["a", "b"]}}]}
 * and in any rule "requires": [{"flag", "value"}], in rollouts and experiments "hash": "opt3|gb2|gb1", "holdout": "10%" and
 * "layer": {"key", "from": "0%", "to": "50%"}. With factors each variation says {"levels": {"headline": "new", ...}}.
 * Fields of the definition beside these are somebody else's and are let be; unknown fields of a rule
 * are refused by name. Without "id" it is made from the flag's and the rule's key, so both must stay.
 * "ranges" is what experiment_reallocate made; its sums must equal the shares. holdout_share is the
 * programme's. ERR_BAD_INPUT names the rule and what is wrong. */
MUST_USE enum err experiment_flag_compile(arena *a, const struct json *definition, i32 holdout_share,
                                          const struct flag **out, struct diag *diag);

/* Who asks, and the questions that only the caller can answer; each may be null. `matches`: does
 * the target of rule `rule` hold (asked only for rules that have one; null: no). `has`: has another
 * flag this value (null: no). `kept`: the variation they have seen in a sticky rule, -1 for none. */
typedef bool flag_matches(void *ctx, isize rule, str target);
struct flag_asker {
    str id;                             /* what is hashed; may be empty */
    flag_matches *matches;
    bool (*has)(void *ctx, const struct flag_requirement *requirement);
    i32 (*kept)(void *ctx, isize rule);
    void *ctx;
    bool preview;                       /* show preview_variation of preview_rule, whoever they are */
    isize preview_rule;
    i32 preview_variation;
};

struct flag_answer {
    str value;                          /* JSON text */
    enum flag_reason reason;
    str rule, experiment_id, variation; /* keys; empty unless a rule answered (an experiment did) */
    i32 rule_index, variation_index;    /* -1: none */
    i32 bucket;                         /* -1 when nothing was hashed */
    f64 propensity;                     /* of this variation among those the rule applies to; else 1 */
    bool no_bucketing_id;               /* a rule was passed over because there was no id to hash */
    bool kept;                          /* a sticky variation */
};

/* Those held out get the default whatever the rules say. Then the first rule that applies answers;
 * one whose target fails, or whose bucket is not in its share, is passed over. Inside a rule: its
 * holdout, forced ids, what was kept, target, requirements, layer, bucket. Allocates nothing. */
struct flag_answer experiment_flag_evaluate(const struct flag *flag, const struct flag_asker *asker);
str flag_reason_name(enum flag_reason reason);          /* "default" "target" "rollout" ... */
str flag_hash_name(enum flag_hash hash);
i32 flag_bucket(enum flag_hash hash, struct bucket_key key);    /* 0 .. BUCKETS-1 */

/* ---- other products' files (file.c, growthbook.c, optimizely.c) ------------------------------ */
/* A GrowthBook payload or an Optimizely datafile, evaluated as it lies there by its own product's
 * rules, so that a shop that moves here keeps every assignment. */
/* frozen; lives in the arena it was read with, as does the JSON it was read from */
struct flag_file;
enum flag_dialect { DIALECT_GROWTHBOOK, DIALECT_OPTIMIZELY };

/* ERR_BAD_INPUT says what is not as the format has it. */
MUST_USE enum err flag_file_read(arena *a, enum flag_dialect dialect, const struct json *from,
                                 const struct flag_file **out, struct diag *diag);
isize flag_file_flags(const struct flag_file *file, const str **out);      /* keys, in the file's order */
/* what of it cannot be done here, one sentence each */
isize flag_file_notes(const struct flag_file *file, const str **out);

struct file_request {
    const struct json *attributes;      /* an object */
    str user_id;                        /* Optimizely's; GrowthBook hashes attributes */
    str url;                            /* GrowthBook: ?experiment-key=1 forces a variation */
    const struct json *forced_variations;       /* GrowthBook: {"experiment": 1} */
    const struct json *forced_flags;            /* GrowthBook: {"flag": value} or [["flag", value]] */
    /* null: off. GrowthBook: documents by "attribute||value"; Optimizely: by experiment id */
    const struct json *sticky;
    const str *segments; isize segments_n;      /* Optimizely: those the person is qualified for */
};
struct file_answer {
    str flag;
    /* null: JSON null. Optimizely: the variables, or whether it is enabled when it has none */
    const struct json *value;
    bool enabled;
    const struct json *variables;       /* Optimizely only */
    str variation, rule, experiment;    /* keys (Optimizely's experiment: its id); empty when none decided */
    i32 variation_index;                /* GrowthBook; -1 when none */
    /* GrowthBook's `source`; Optimizely: experiment forced sticky rollout holdout default unknown */
    str reason;
    const struct json *from;            /* the rule that answered, as the file has it; may be null */
    str hash_attribute, hash_value;     /* GrowthBook, of an experiment */
    f64 bucket;
    bool hashed, sticky;
};
/* Strings point into the file or `a`. */
struct file_answer flag_file_evaluate(const struct flag_file *file, str flag,
                                      const struct file_request *request, arena *a);
/* {"flag", "value", "variation", "enabled", "reason", "rule", ...} */
void flag_file_print(const struct flag_file *file, const struct file_answer *answer, struct jsonw *w);

/* GrowthBook's two hashes over UTF-16 code units: [0, 1). False for a version other than 1 and 2. */
bool growthbook_hash(str seed, str value, i64 version, f64 *out);

/* Evaluations a second on this core, of a flag with a rollout and an experiment rule and no
 * targets, measured for about span_us. */
f64 experiment_flag_speed(i64 span_us);

#endif
