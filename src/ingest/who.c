/* SPDX-License-Identifier: Apache-2.0
 *
 * who.c - whom an event is about, and what it says of them.
 *
 * userId null, "" and absent are one thing. Values that programs send when they know nobody
 * ("guest", "null", "0", "[object Object]", also in quotes) are no identifiers: they would join
 * strangers into one person. E-mail and phone in traits identify too, as claims: only a secret
 * key, or a hash the shop made of the user id, makes a claim verified.
 */
#include "ingest/reading.h"

/* Alone they name nobody, in any case and in quotes. */
static const str illegal[] = {
    S_INIT("anonymous"),  S_INIT("anon"),
    S_INIT("guest"),      S_INIT("visitor"),
    S_INIT("unknown"),    S_INIT("undefined"),
    S_INIT("null"),       S_INIT("nil"),
    S_INIT("none"),       S_INIT("nan"),
    S_INIT("n/a"),        S_INIT("true"),
    S_INIT("false"),      S_INIT("[object object]"),
    S_INIT("id"),         S_INIT("user_id"),
    S_INIT("userid"),     S_INIT("user"),
    S_INIT("email"),      S_INIT("distinct_id"),
    S_INIT("distinctid"), S_INIT("not_authenticated"),
    S_INIT("-1"),         S_INIT("{}"),
    S_INIT("[]"),         S_INIT("test@example.com"),
};

static str unquote(str s)
{
    while (s.len >= 2 && s.ptr[0] == s.ptr[s.len - 1] && (s.ptr[0] == '"' || s.ptr[0] == '\''))
        s = str_trim(str_slice(s, 1, s.len - 1));
    return s;
}

static bool is_illegal(str value)
{
    str bare = unquote(value);
    bool zeros = true;                                  /* "0", "000-00": a number nobody was given */
    for (isize i = 0; i < bare.len; i++) zeros &= bare.ptr[i] == '0' || bare.ptr[i] == '-';
    if (zeros) return true;
    for (isize i = 0; i < countof(illegal); i++)
        if (str_eq_nocase(bare, illegal[i])) return true;
    return false;
}

static str lower_case(arena *a, str s)
{
    char *text = arena_new(a, char, s.len + 1);
    for (isize i = 0; i < s.len; i++)
        text[i] = s.ptr[i] >= 'A' && s.ptr[i] <= 'Z' ? (char)(s.ptr[i] + 32) : s.ptr[i];
    return (str){ text, s.len };
}

static str phone_digits(arena *a, str s)
{
    char *text = arena_new(a, char, s.len + 1);
    isize n = 0;
    if (str_starts(s, S("00"))) {
        text[n++] = '+';
        s = str_from(s, 2);
    }
    for (isize i = 0; i < s.len; i++) {
        char c = s.ptr[i];
        if ((c >= '0' && c <= '9') || (c == '+' && n == 0)) text[n++] = c;
        else if (c != ' ' && c != '-' && c != '(' && c != ')' && c != '.' && c != '/') return S("");
    }
    return n >= 6 ? (str){ text, n } : S("");
}

str ingest_identifier(arena *a, u8 kind, str value)
{
    value = str_trim(value);
    if (is_illegal(value)) return S("");
    if (kind == IDENTIFIER_PHONE) return phone_digits(a, value);
    if (kind != IDENTIFIER_EMAIL) return value;
    isize at = str_find_char(value, '@');
    bool plausible = at > 0 && at < value.len - 1 && str_find_char(value, ' ') < 0;
    return plausible ? lower_case(a, value) : S("");
}

static void identify_by(struct reading *r, u8 kind, const struct json *v, bool verified)
{
    if (!v || v->kind == JSON_NULL || (v->kind == JSON_STR && str_trim(v->s).len == 0)) return;
    str value = ingest_identifier(r->a, kind, text_of(r, v));
    struct event *e = r->out;
    if (value.len == 0) { count_one(r, ids_illegal); return; }
    if (value.len > IDENTIFIER_BYTES_MAX) { count_one(r, ids_long); return; }
    for (isize i = 0; i < e->identifiers_n; i++) {
        struct identifier *known = &e->identifiers[i];
        if (known->kind != kind || !str_eq(known->value, value)) continue;
        known->verified |= verified;
        return;
    }
    if (e->identifiers_n == EVENT_IDENTIFIERS_MAX) { count_one(r, ids_surplus); return; }
    e->identifiers[e->identifiers_n++] = (struct identifier){ kind, verified, value };
}

/* Traits that identify, and what externalIds may call them. */
static const struct { const char *names; u8 kind; } named[] = {
    { "email", IDENTIFIER_EMAIL },
    { "phone", IDENTIFIER_PHONE },
    { "member_id memberId loyalty_id loyaltyId", IDENTIFIER_MEMBER_ID },
    { "erp_id erpId customer_number customerNumber", IDENTIFIER_ERP_ID },
    { "card_token cardToken", IDENTIFIER_CARD },
};

static void identify_by_traits(struct reading *r, const struct json *traits)
{
    for (isize i = 0; i < countof(named); i++)
        identify_by(r, named[i].kind, json_any(traits, named[i].names), r->envelope->verified);
}

static bool external_kind(str type, u8 *out)
{
    static const struct { str name; u8 kind; } more[] = {
        { S_INIT("loyalty_id"), IDENTIFIER_MEMBER_ID }, { S_INIT("customer_number"), IDENTIFIER_ERP_ID },
        { S_INIT("card_token"), IDENTIFIER_CARD }, { S_INIT("android.id"), IDENTIFIER_DEVICE_ID },
        { S_INIT("ios.id"), IDENTIFIER_DEVICE_ID }, { S_INIT("cross_domain_id"), IDENTIFIER_ANONYMOUS_ID },
    };
    if (identifier_kind_of(type, out)) return true;
    for (isize i = 0; i < countof(more); i++)
        if (str_eq(type, more[i].name)) { *out = more[i].kind; return true; }
    return false;
}

static void identify_by_external_ids(struct reading *r)
{
    const struct json *list = context_get(r, "externalIds");
    if (!json_is(list, JSON_ARR)) return;
    json_each(one, list) {
        u8 kind;
        if (external_kind(text_of(r, json_get(one, S("type"))), &kind))
            identify_by(r, kind, json_get(one, S("id")), r->envelope->verified);
        else count_one(r, ids_surplus);
    }
}

static bool is_proved(struct reading *r, const struct json *user_id)
{
    const struct ingest_envelope *v = r->envelope;
    str hash = text_of(r, json_either(context_get(r, "userHash"), context_get(r, "user_hash")));
    return v->verified || (v->proves && hash.len && v->proves(v->ctx, text_of(r, user_id), hash));
}

/* ---- traits -------------------------------------------------------------------------------- */

/* Segment's reserved traits in camel case, as rules and templates call them. */
static str trait_name(str name)
{
    static const struct { str sent, ours; } same[] = {
        { S_INIT("firstName"), S_INIT("first_name") }, { S_INIT("lastName"), S_INIT("last_name") },
        { S_INIT("createdAt"), S_INIT("created_at") }, { S_INIT("memberId"), S_INIT("member_id") },
        { S_INIT("birthDate"), S_INIT("birthday") }, { S_INIT("birthdate"), S_INIT("birthday") },
    };
    for (isize i = 0; i < countof(same); i++)
        if (str_eq(name, same[i].sent)) return same[i].ours;
    return name;
}

static void trait_add(struct event *e, struct fact fact)
{
    for (isize i = 0; i < e->traits_n; i++)
        if (str_eq(e->traits[i].name, fact.name)) return;      /* what came first, the event's own, stands */
    e->traits[e->traits_n++] = fact;
}

static enum err read_traits(struct reading *r)
{
    const struct json *own = json_get(r->event, S("traits")), *more = context_get(r, "traits");
    if (own && own->kind != JSON_OBJ && own->kind != JSON_NULL)
        return reading_refuse(r, "traits must be an object");
    isize n = json_len(own) + (json_is(more, JSON_OBJ) ? json_len(more) : 0);
    struct event *e = r->out;
    e->traits = arena_new(r->a, struct fact, n);
    json_each(one, own) trait_add(e, fact_read(r->a, trait_name(one->key), one));
    if (json_is(more, JSON_OBJ))
        json_each(one, more) trait_add(e, fact_read(r->a, trait_name(one->key), one));
    if (e->traits_n > EVENT_TRAITS_MAX)
        return diag_set(r->why, ERR_TOO_BIG, "there are %td traits, the limit is %d", e->traits_n,
                        EVENT_TRAITS_MAX);
    for (isize i = 0; i < e->traits_n; i++)
        if (e->traits[i].name.len == 0 || e->traits[i].name.len > IDENTIFIER_BYTES_MAX)
            return reading_refuse(r, "a trait's name must have 1 to %d bytes", IDENTIFIER_BYTES_MAX);
    return ERR_OK;
}

/* An answer is a lasting fact: trait "quiz.QUESTION", or "quiz.QUIZ" when the quiz is one question. */
static enum err read_quiz(struct reading *r)
{
    str question = text_of(r, json_get(r->properties, S("question")));
    if (question.len == 0) question = text_of(r, json_get(r->properties, S("quiz")));
    const struct json *answer = json_get(r->properties, S("answer"));
    if (question.len == 0 || question.len > 200)
        return reading_refuse(r, "properties.question (or quiz) must have 1 to 200 bytes");
    if (!answer) return reading_refuse(r, "properties.answer is missing");
    r->out->traits = arena_new(r->a, struct fact, 1);
    r->out->traits[0] = fact_read(r->a, arena_printf(r->a, "quiz.%.*s", STR_FMT(question)), answer);
    r->out->traits_n = 1;
    return ERR_OK;
}

static bool is_order(u16 type) { return type >= EVENT_ORDER_COMPLETED && type <= EVENT_ORDER_CANCELLED; }
static bool order_or_checkout(u16 type) { return type == EVENT_CHECKOUT_STARTED || is_order(type); }

enum err read_who(struct reading *r)
{
    struct event *e = r->out;
    e->identifiers = arena_new(r->a, struct identifier, EVENT_IDENTIFIERS_MAX);
    const struct json *user_id = json_any(r->event, "userId user_id");
    const struct json *anonymous_id = json_any(r->event, "anonymousId anonymous_id");
    bool given = text_of(r, user_id).len > 0 || text_of(r, anonymous_id).len > 0;
    identify_by(r, IDENTIFIER_USER_ID, user_id, is_proved(r, user_id));
    identify_by(r, IDENTIFIER_ANONYMOUS_ID, anonymous_id, r->envelope->verified);
    identify_by(r, IDENTIFIER_DEVICE_ID, context_get(r, "device.id"), r->envelope->verified);
    const struct json *traits = json_get(r->event, S("traits"));
    if (e->type != EVENT_GROUPED) identify_by_traits(r, traits);    /* a group's e-mail is not its member's */
    identify_by_traits(r, context_get(r, "traits"));
    if (order_or_checkout(e->type))
        identify_by(r, IDENTIFIER_EMAIL, json_get(r->properties, S("email")),
                    r->envelope->verified);
    identify_by_external_ids(r);
    /* A till sells to whom it does not know: the shop's own word for an order needs no person. */
    bool unnamed = is_order(e->type) && r->envelope->verified;
    bool other = !given && e->identifiers_n == 0 && !unnamed;
    if (other) return reading_refuse(r, "userId or anonymousId is missing");

    if (e->type == EVENT_ALIASED) {
        e->previous_id = ingest_identifier(
            r->a, IDENTIFIER_USER_ID, text_of(r, json_any(r->event, "previousId previous_id")));
        if (e->previous_id.len == 0 || e->previous_id.len > IDENTIFIER_BYTES_MAX)
            return reading_refuse(r, "previousId is missing, too long or names nobody");
    }
    if (e->type == EVENT_IDENTIFIED) return read_traits(r);
    if (e->type == EVENT_QUIZ_ANSWERED) return read_quiz(r);
    return ERR_OK;
}
