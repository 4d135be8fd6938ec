/* SPDX-License-Identifier: Apache-2.0
 *
 * print.c - decisions as the API answers them: content in the person's language, templates filled, items with
 * their reasons in words, and the trace for those who may see it.
 *
 * A content field is text, and a fact goes into it as it is: it is escaped once, by JSON here, and
 * by whoever puts it into a page there. The tag sets text as text, so "Anna & <b>" arrives on the
 * page as that; escaping for HTML here as well would show the shopper "&amp;". Who builds HTML from
 * an answer escapes the fields as any other text. */
#include "base/clock.h"
#include "decide/decide.h"

struct printing {
    const struct decide_world *world;
    const struct decide_request *request;
    struct jsonw *w;
    arena *a;
};

/* ---- content --------------------------------------------------------------------------------- */

/* "matched.left_behind.title": of the newest thing that made the person a member of a segment, its
 * title, product (the key), url, image or cart. */
static str matched_fact(const struct printing *p, const struct profile *profile, str name)
{
    struct str_cut key = str_cut(str_from(name, S("matched.").len), '.');
    segment_id segment = segment_find(p->world->book->segments, key.head);
    struct match made[MATCHES_PER_SEGMENT_MAX];
    if (!profile
        || !segment_matches(p->world->book->segments, p->world->catalog, profile, segment,
                            p->request->now_ms, made))
        return S("");
    if (str_eq(key.tail, S("cart"))) return profile_cart(profile, made->node, made->cart, made->at_ms);
    const struct item *item = catalog_item(p->world->catalog, (item_id){ made->item });
    if (!item) return S("");
    if (str_eq(key.tail, S("title"))) return item_text(item->titles, item->titles_n, p->request->locale);
    if (str_eq(key.tail, S("product"))) return item->key;
    if (str_eq(key.tail, S("url"))) return item->url;
    return str_eq(key.tail, S("image")) ? item->image : S("");
}

/* A fact for a template: only of a person whose identity the request has proved, and only what was
 * given or declared. */
static str verified_fact(const struct printing *p, str name)
{
    const struct decide_request *r = p->request;
    for (isize i = 0; i < r->identifiers_n; i++) {
        if (!r->identifiers[i].verified) continue;
        const struct profile *profile = people_get(
            p->world->people, identity_find(p->world->identity, r->identifiers[i]), p->a);
        if (str_starts(name, S("matched."))) return matched_fact(p, profile, name);
        const struct trait *t = profile ? profile_trait(profile, name) : NULL;
        if (t && t->origin != TRAIT_OBSERVED && t->fact.kind == FACT_TEXT) return t->fact.text;
    }
    return S("");
}

/* "Hello {{first_name|there}}" */
static str fill(const struct printing *p, str template)
{
    if (str_find(template, S("{{")) < 0) return template;
    struct buf out = { .arena = p->a };
    for (;;) {
        isize open = str_find(template, S("{{"));
        isize close = open < 0 ? -1 : str_find(str_from(template, open), S("}}"));
        if (close < 0) break;
        buf_add(&out, str_slice(template, 0, open));
        struct str_cut slot = str_cut(str_slice(template, open + 2, open + close), '|');
        str fact = p->request->secret || p->request->identifiers_n
                       ? verified_fact(p, str_trim(slot.head))
                       : S("");
        buf_add(&out, fact.len ? fact : slot.tail);
        template = str_from(template, open + close + 2);
    }
    buf_add(&out, template);
    return buf_str(&out);
}

/* {"en": "New season", "nb-NO": "Ny sesong"}: down the locale's chain, then English, then the first. */
static bool is_localised(const struct json *v)
{
    if (!json_is(v, JSON_OBJ) || v->list.n == 0) return false;
    json_each(child, v) {
        bool tag = child->key.len >= 2 && child->key.len <= 7 && json_is(child, JSON_STR)
                && (child->key.len == 2 || child->key.ptr[2] == '-');
        if (!tag) return false;
    }
    return true;
}

static void print_field(const struct printing *p, const struct json *v)
{
    if (json_is(v, JSON_STR)) { jsonw_str(p->w, fill(p, v->s)); return; }
    if (!is_localised(v)) { jsonw_value(p->w, v); return; }
    struct text *texts = arena_new(p->a, struct text, v->list.n);
    for (isize i = 0; i < v->list.n; i++) texts[i] = (struct text){ v->list.at[i].key, v->list.at[i].s };
    jsonw_str(p->w, fill(p, item_text(texts, v->list.n, p->request->locale)));
}

static void print_content(const struct printing *p, const struct json *content)
{
    jsonw_key_begin(p->w, "content", '{');
    json_each(field, content) {
        jsonw_key(p->w, field->key);
        print_field(p, field);
    }
    jsonw_end(p->w, '}');
}

/* ---- items ----------------------------------------------------------------------------------- */

static str title_of(const struct printing *p, u32 id)
{
    const struct item *item = catalog_item(p->world->catalog, (item_id){ id });
    if (!item) return S("");
    str title = item_text(item->titles, item->titles_n, p->request->locale);
    return title.len ? title : item->key;
}

const char *decide_source_name(u8 source)
{
    if (source < RECOMMENDERS) return recommender_name(source);
    return source == SOURCE_PIN ? "pin" : "catalogue";
}

static enum phrase phrase_of(const struct decided_item *it)
{
    if (it->answer.len) return PHRASE_ANSWERED;
    if (it->because_n) {
        bool joins = it->source == RECOMMENDER_BUNDLES || it->source == RECOMMENDER_COMPLEMENTS
                     || it->source == RECOMMENDER_OUTFIT;
        if (it->source == RECOMMENDER_UPSELL) return PHRASE_STEP_UP;
        return joins || it->source == RECOMMENDER_COOC ? PHRASE_GOES_WITH
               : it->bought                            ? PHRASE_BOUGHT
                                                       : PHRASE_VIEWED;
    }
    switch (it->source) {
    /* each followed by its country's and its store's, as enum place_kind */
    case RECOMMENDER_TRENDING_HERE: return PHRASE_TRENDING + it->near;
    case RECOMMENDER_BESTSELLERS_HERE: return PHRASE_BESTSELLER + it->near;
    case RECOMMENDER_POPULAR_HERE: return PHRASE_POPULAR + it->near;
    case RECOMMENDER_TRENDING: return PHRASE_TRENDING;
    case RECOMMENDER_BESTSELLERS: return PHRASE_BESTSELLER;
    case RECOMMENDER_POPULAR: return PHRASE_POPULAR;
    case RECOMMENDER_RECENT: return PHRASE_RECENT;
    case RECOMMENDER_REPLENISH: return PHRASE_REPLENISH;
    case SOURCE_CATALOGUE: return PHRASE_CATALOGUE;
    case SOURCE_PIN: return PHRASE_PICKED;
    default: return PHRASE_FOR_YOU;
    }
}

/* What brought it, and, when the person's liking lifted it, that as well. */
static void print_because_text(const struct printing *p, const struct decided_item *it)
{
    u8 language = because_language(p->request->locale);
    str parts[2 * BECAUSE_PARTS], liked = it->liked_as < TASTE_GENDER ? it->liked : S("");
    if (it->liked_as == TASTE_CATEGORY)
        for (isize at; (at = str_find(liked, S(" > "))) >= 0;) liked = str_from(liked, at + 3);
    isize n = 0;
    if (liked.len && it->chosen) {
        n = because_parts(PHRASE_CHOSE, language, liked, parts);
    } else {
        n = because_parts(phrase_of(it), language,
                          it->answer.len  ? it->answer
                          : it->because_n ? title_of(p, it->because[0])
                                          : S(""),
                          parts);
        if (liked.len) n += because_parts(PHRASE_AND_LIKES, language, liked, parts + n);
    }
    jsonw_name(p->w, S("text"));
    jsonw_strs(p->w, parts, n);
}

/* Most of an answer is these: what of an item is the same for everybody is kept as it is sent
 * (item_print), the rest is written once, where it goes. */
static void print_item(const struct printing *p, const struct decided_item *it)
{
    struct jsonw *w = p->w;
    const struct item *item = catalog_item(p->world->catalog, it->item);
    if (!item) return;
    item_print(item, p->request->market, p->request->locale, w);
    jsonw_key_decimal(w, "score", it->score, 6);
    jsonw_key_begin(w, "because", '{');
    print_because_text(p, it);
    jsonw_key_begin(w, "products", '[');
    for (isize i = 0; i < it->because_n; i++) {
        const struct item *why = catalog_item(p->world->catalog, (item_id){ it->because[i] });
        if (why) jsonw_str(w, why->key);
    }
    jsonw_end(w, ']');
    jsonw_key_str(w, "source", str_of(decide_source_name(it->source)));
    if (it->answer.len) jsonw_key_str(w, "answer", it->answer);
    if (it->place.len) jsonw_key_str(w, it->near == PLACE_STORE ? "store" : "country", it->place);
    if (it->liked.len) {
        jsonw_key_begin(w, "likes", '{');
        jsonw_key(w, it->liked_as < TASTES ? taste_name(it->liked_as) : S("price"));
        jsonw_str(w, it->liked);
        if (it->chosen) jsonw_key_bool(w, "chosen", true);
        jsonw_end(w, '}');
    }
    jsonw_key_begin(w, "weights", '{');
    for (u8 r = 0; r < RECOMMENDERS; r++) {
        if (!(it->parts[r] > 0)) continue;
        jsonw_name(w, str_of(recommender_name(r)));
        jsonw_decimal(w, it->parts[r], 4);
    }
    jsonw_end(w, '}');
    jsonw_end(w, '}');
    if (it->ticket.len) jsonw_key_str(w, "ticket", it->ticket);
}

void decide_print_item(const struct decide_world *world, const struct decide_request *request,
                       const struct decided_item *item, arena *a, struct jsonw *w)
{
    struct printing p = { world, request, w, a };
    print_item(&p, item);
}

/* ---- the trace ------------------------------------------------------------------------------- */

static const char *const outcomes[] = {
    "won", "paused", "not_yet", "over", "other_market", "target_not_met", "experience_holdout", "discount_guard", "capped", "lost", "no_consent", "contact_cap",
};
const char *decide_outcome_name(u8 outcome)
{
    return outcome < countof(outcomes) ? outcomes[outcome] : "lost";
}

static const struct campaign *campaign_by_id(const struct book *book, u32 id)
{
    for (isize i = 0; i < book->campaigns_n; i++)
        if (book->campaigns[i].id == id) return &book->campaigns[i];
    return NULL;
}

/* As the book knows them: a shop's own since it was compiled are in no rule of it. */
static str event_name(const void *ctx, u16 type)
{
    const struct book *book = ctx;
    isize at = EVENT_TYPES - 1 + type - EVENT_CUSTOM_FIRST;
    return type >= EVENT_CUSTOM_FIRST && at < book->event_names_n ? book->event_names[at]
                                                                  : str_of(event_type_name(type));
}

// NOLINTNEXTLINE(misc-no-recursion): as deep as the rule parser let it be
void decide_print_why(const struct trace_names *names, const struct rule_trace *t, struct jsonw *w)
{
    static const char *const results[] = { "false", "true", "unknown" };
    jsonw_begin(w, '{');
    jsonw_key_str(w, "text", t->text);
    jsonw_key_str(w, "result", str_of(results[t->is]));
    if (t->value.len) jsonw_key_str(w, "value", t->value);
    jsonw_key_time(w, "next_change_at", t->next_change_at_ms);
    jsonw_key_begin(w, "events", '[');
    for (isize i = 0; i < t->events_n; i++) {
        jsonw_begin(w, '{');
        jsonw_key_time(w, "at", t->events[i].at_ms);
        jsonw_key_str(w, "type", names->event(names->ctx, t->events[i].type));
        item_print_named(names->catalog, (item_id){ t->events[i].item }, w);
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_key_begin(w, "children", '[');
    for (isize i = 0; i < t->children_n; i++) decide_print_why(names, &t->children[i], w);
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

void decide_print_trace(const struct decide_world *world, const struct trace_names *names,
                        const struct rule_facts *facts, const struct decision *d, arena *a,
                        struct jsonw *w)
{
    jsonw_begin(w, '{');
    jsonw_key_bool(w, "personal", d->personal);
    jsonw_key_bool(w, "programme_holdout", d->programme_holdout);
    jsonw_key_int(w, "propensity", d->propensity);
    jsonw_key_int(w, "version", (i64)d->book_version);
    jsonw_key_begin(w, "campaigns", '[');
    for (isize i = 0; i < d->considered_n; i++) {
        const struct considered *c = &d->considered[i];
        const struct campaign *campaign = campaign_by_id(world->book, c->campaign);
        jsonw_begin(w, '{');
        jsonw_key_str(w, "campaign", campaign ? campaign->key : S("(archived)"));
        jsonw_key_str(w, "outcome", str_of(decide_outcome_name(c->outcome)));
        if (campaign && facts) {
            jsonw_key_begin(w, "targets", '[');
            for (isize x = 0; x < campaign->experiences_n; x++) {
                const struct experience *e = &campaign->experiences[x];
                jsonw_begin(w, '{');
                jsonw_key_str(w, "experience", e->key);
                if (e->target) {
                    jsonw_key(w, S("rule"));
                    decide_print_why(names, rule_explain(a, e->target, facts, 5), w);
                }
                jsonw_end(w, '}');
            }
            jsonw_end(w, ']');
        }
        jsonw_end(w, '}');
    }
    jsonw_end(w, ']');
    jsonw_end(w, '}');
}

/* ---- the answer ------------------------------------------------------------------------------ */

static str decision_name(arena *a, u64 key)
{
    enum { DIGITS = 16 };
    char *text = arena_room(a, char, 2 + DIGITS);
    text[0] = 'd';
    text[1] = '_';
    for (isize i = 0; i < DIGITS; i++) text[2 + i] = "0123456789abcdef"[key >> (60 - 4 * i) & 15];
    return (str){ text, 2 + DIGITS };
}

void decide_print_unbuilt(const struct decide_world *world, const struct strategy *strategy, struct jsonw *w)
{
    u32 missing = strategy && world->model
                      ? query_recommenders(&strategy->query) & ~model_card(world->model).built
                      : 0;
    if (!missing) return;
    jsonw_key_begin(w, "not_built_yet", '[');
    for (u8 r = 0; r < RECOMMENDERS; r++)
        if (missing >> r & 1) jsonw_str(w, str_of(recommender_name(r)));
    jsonw_end(w, ']');
}

static void print_decision(const struct printing *p, const struct decision *d)
{
    static const char *const renders[] = { "content", "default", "passthrough" };
    struct jsonw *w = p->w;
    jsonw_key(w, d->placement_key);
    jsonw_begin(w, '{');
    jsonw_key_str(w, "status", d->placed ? S("ok") : S("unknown_placement"));
    jsonw_key_str(w, "decision_key", decision_name(p->a, d->key));
    jsonw_key_str(w, "render", str_of(renders[d->render]));
    jsonw_key_str(w, "reason", str_of(decide_reason_name(d->reason)));
    jsonw_key_int(w, "version", (i64)d->book_version);
    if (d->campaigned) {
        const struct experience *x = &d->campaigned->experiences[d->experience];
        jsonw_key_str(w, "campaign", d->campaigned->key);
        jsonw_key_str(w, "experience", x->key);
        jsonw_key_str(w, "variation", x->variations[d->variation].key);
    }
    bool has_items = d->items_n > 0;
    if (has_items) jsonw_key_str(w, "strategy", d->strategy ? d->strategy->key : S("for_you"));
    if (d->preview) jsonw_key_bool(w, "preview", true);
    if (d->render != RENDER_PASSTHROUGH && d->content) print_content(p, d->content);
    if (has_items) {
        jsonw_key_begin(w, "items", '[');
        for (isize i = 0; i < d->items_n; i++) {
            jsonw_begin(w, '{');
            print_item(p, &d->items[i]);
            jsonw_end(w, '}');
        }
        jsonw_end(w, ']');
        decide_print_unbuilt(p->world, d->strategy, w);
        decide_print_rows(p->world, d->strategy, d->items, d->items_n, w);
    }
    if (d->ticket.len) jsonw_key_str(w, "ticket", d->ticket);
    if (p->request->explain && p->request->secret) {
        struct rule_facts facts = decide_facts(p->world, p->request, p->a);
        jsonw_key(w, S("trace"));
        struct trace_names names = { p->world->catalog, p->world->book, event_name };
        decide_print_trace(p->world, &names, &facts, d, p->a, w);
    }
    jsonw_end(w, '}');
}

void decide_print(const struct decide_world *world, const struct decide_request *request,
                  const struct decision *decisions, isize n, arena *a, struct jsonw *w)
{
    struct printing p = { world, request, w, a };
    jsonw_begin(w, '{');
    for (isize i = 0; i < n; i++) print_decision(&p, &decisions[i]);
    jsonw_end(w, '}');
}
