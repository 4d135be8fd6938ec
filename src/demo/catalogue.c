/* SPDX-License-Identifier: Apache-2.0
 *
 * catalogue.c - 2,000 products from a seed and the word tables.
 *
 * A hundred products a category, in the order of the table, so p-1 .. p-100 are women's jeans.
 * A title is a given name and a style; walking the names and shifting the style by one each time
 * round makes every title of a category differ without looking back. Prices are drawn towards the
 * cheap end, rounded the way shops round them, and kroner follow from euros at a fixed rate.
 * Variants are sizes times one or two colours; a product's stock is the sum of its variants'. */
#include "demo/demo.h"

#include "demo/words.h"

enum { PER_KIND = 100, SIZES_MAX = 6, NOK_PER_EUR_PERCENT = 1160, REDUCED_SHARE = 2200 };

struct size { const char *key; i32 percent; };          /* of the base price */

static const struct size sizes[][SIZES_MAX + 1] = {
    [SIZE_NONE] = { { "", 100 } },
    [SIZE_WAIST] = { { "26", 100 },
                     { "28", 100 },
                     { "30", 100 },
                     { "32", 100 },
                     { "34", 100 },
                     { "36", 100 } },
    [SIZE_LETTER] = { { "xs", 100 }, { "s", 100 }, { "m", 100 }, { "l", 100 }, { "xl", 100 } },
    [SIZE_SHOE_WOMEN] = { { "36", 100 },
                          { "37", 100 },
                          { "38", 100 },
                          { "39", 100 },
                          { "40", 100 },
                          { "41", 100 } },
    [SIZE_SHOE_MEN] = { { "41", 100 },
                        { "42", 100 },
                        { "43", 100 },
                        { "44", 100 },
                        { "45", 100 },
                        { "46", 100 } },
    [SIZE_JAR] = { { "50ml", 100 }, { "100ml", 170 } },
    [SIZE_BAG] = { { "250g", 100 }, { "500g", 185 }, { "1kg", 340 } },
    [SIZE_BINDING] = { { "paperback", 100 }, { "hardback", 160 } },
};

const char *const demo_place_keys[DEMO_PLACES] = { "web", "oslo-1", "bergen-1", "trondheim-1" };
static const char *const currency_codes[DEMO_CURRENCIES] = { "EUR", "NOK" };
static const char *const language_tags[DEMO_LANGUAGES] = { "en", "nb-NO" };

/* ---- prices ------------------------------------------------------------------------------- */

static i64 round_eur(i64 minor) { return max_i64(minor / 100 * 100 + 90, 390); }

/* To the nearest ten kroner, less one: 579.00. */
static i64 to_nok(i64 eur_minor)
{
    i64 ten_kroner = (eur_minor * NOK_PER_EUR_PERCENT / 100 + 500) / 1000;
    return max_i64(ten_kroner * 1000 - 100, 2900);
}

static void set_money(struct demo_money money[DEMO_CURRENCIES], i64 full_minor, i32 off_percent)
{
    i64 price = off_percent ? round_eur(full_minor * (100 - off_percent) / 100) : full_minor;
    money[DEMO_EUR] = (struct demo_money){ price, price < full_minor ? full_minor : 0 };
    money[DEMO_NOK] = (struct demo_money){ to_nok(price), price < full_minor ? to_nok(full_minor) : 0 };
}

/* ---- words -------------------------------------------------------------------------------- */

static isize colour_row(str key)
{
    for (isize i = 0; i < colours_n; i++)
        if (str_eq(str_of(colours[i].key), key)) return i;
    assert(!"a colour of the word tables");
    return 0;
}

/* The colours of a kind as rows; the count. */
static isize kind_colours(const struct kind *k, isize rows[KIND_COLOURS_MAX])
{
    isize n = 0;
    str rest = str_of(k->colours);
    while (rest.len > 0) {
        struct str_cut cut = str_cut(rest, ' ');
        assert(n < KIND_COLOURS_MAX);
        rows[n++] = colour_row(cut.head);
        rest = cut.tail;
    }
    return n;
}

static void add_sentence(struct buf *out, const char *sentence, str brand, const char *material)
{
    if (out->len > 0) buf_byte(out, ' ');
    for (const char *at = sentence; *at; at++) {
        if (at[0] == '{' && at[2] == '}') {
            assert(at[1] == 'b' || at[1] == 'm');
            buf_add(out, at[1] == 'b' ? brand : str_of(material));
            at += 2;
        } else {
            buf_byte(out, *at);
        }
    }
}

static str title_of(arena *perm, const struct kind *k, const struct demo_product *p, isize nth,
                    isize language)
{
    if (k->naming != NAME_BOOK)
        return arena_printf(perm, "%.*s %s", STR_FMT(p->name), k->styles[p->style].in[language]);
    struct str_cut cut = str_cut(str_of(book_openings[nth % 10].in[language]), '%');
    return arena_printf(perm, "%.*s%s", STR_FMT(cut.head), book_places[nth / 10 % 10]);
}

static str name_of(const struct kind *k, isize nth)
{
    switch (k->naming) {
    case NAME_WOMAN: return str_of(names_woman[nth % NAMES]);
    case NAME_MAN: return str_of(names_man[nth % NAMES]);
    case NAME_PLACE: return str_of(names_place[nth % NAMES]);
    case NAME_BOOK: return str_of(book_places[nth / 10 % 10]);
    }
    return S("");
}

static void describe(arena *perm, struct rng *r, const struct kind *k, struct demo_product *p)
{
    u32 opener = rng_below(r, SENTENCES), detail = rng_below(r, SENTENCES),
        care = rng_below(r, CARE_SENTENCES);
    for (isize language = 0; language < DEMO_LANGUAGES; language++) {
        struct buf text = { .arena = perm };
        const char *material = k->materials[p->material].in[language];
        add_sentence(&text, k->openers[opener].in[language], p->brand, material);
        add_sentence(&text, k->details[detail].in[language], p->brand, material);
        add_sentence(&text, care_sentences[k->care][care].in[language], p->brand, material);
        p->description[language] = buf_str(&text);
    }
}

/* ---- variants ----------------------------------------------------------------------------- */

/* One product in twenty is sold out on the web; the shops hold a few of some sizes. */
static void fill_stock(struct rng *r, struct demo_variant *v, bool sold_out)
{
    v->stock[DEMO_WEB] = sold_out || rng_below(r, 8) == 0 ? 0 : (i32)(1 + rng_below(r, 24));
    for (isize place = DEMO_OSLO; place < DEMO_PLACES; place++)
        v->stock[place] = rng_below(r, 2) ? (i32)rng_below(r, 7) : 0;
}

static void add_variants(arena *perm, struct rng *r, const struct kind *k, struct demo_product *p,
                         i64 full_minor, i32 off_percent)
{
    isize rows[KIND_COLOURS_MAX], rows_n = kind_colours(k, rows), sizes_n = 0, at = 0;
    while (sizes_n < SIZES_MAX && sizes[k->sizing][sizes_n].key) sizes_n++;
    bool one_colour = k->care == CARE_BEAUTY || k->care == CARE_TASTE || k->care == CARE_BOOK;
    isize first = (isize)rng_below(r, (u32)rows_n),
          colour_count = one_colour ? 1 : 1 + (isize)rng_below(r, 2);
    bool sold_out = rng_below(r, 20) == 0;
    struct demo_variant *variants = arena_new(perm, struct demo_variant, sizes_n * colour_count);
    for (isize c = 0; c < colour_count; c++) {
        isize colour = rows[(first + c * (1 + rows_n / 2)) % rows_n];
        for (isize s = 0; s < sizes_n; s++) {
            const struct size *size = &sizes[k->sizing][s];
            struct demo_variant *v = &variants[at++];
            v->size = str_of(size->key);
            v->colour = colour;
            v->key = size->key[0]
                         ? arena_printf(perm, "%.*s-%s-%s", STR_FMT(p->key), size->key,
                                        colours[colour].key)
                         : arena_printf(perm, "%.*s-%s", STR_FMT(p->key), colours[colour].key);
            set_money(v->money,
                      size->percent == 100 ? full_minor
                                           : round_eur(full_minor * size->percent / 100),
                      off_percent);
            fill_stock(r, v, sold_out);
            for (isize place = 0; place < DEMO_PLACES; place++) p->stock[place] += v->stock[place];
        }
    }
    p->colour = rows[first];
    p->variants = variants;
    p->variants_n = at;
}

/* ---- products ----------------------------------------------------------------------------- */

static void make_product(arena *perm, struct rng *r, struct demo_product *p, isize nth, i64 now_ms)
{
    const struct kind *k = &kinds[p->kind];
    isize name = (nth + p->kind * 7) % NAMES;
    p->style = (nth % NAMES + nth / NAMES) % STYLES_MAX;
    if (k->naming == NAME_BOOK) name = nth;
    p->name = name_of(k, name);
    str made_of = str_of(k->styles[p->style].made_of);
    p->material = made_of.ptr[rng_below(r, (u32)made_of.len)] - '0';
    p->brand = str_of(k->brands[rng_below(r, countof(k->brands))]);
    for (isize language = 0; language < DEMO_LANGUAGES; language++)
        p->title[language] = title_of(perm, k, p, nth, language);
    describe(perm, r, k, p);

    f64 level = rng_unit(r);
    i64 full_minor = round_eur(k->price_low + (i64)((f64)(k->price_high - k->price_low) * level * level));
    i32 off_percent = (i32)rng_below(r, 10000) < REDUCED_SHARE ? 15 + 5 * (i32)rng_below(r, 5) : 0;
    p->cost_minor = full_minor * (32 + (i64)rng_below(r, 30)) / 100;
    p->repurchase_days = k->repurchase_days;
    add_variants(perm, r, k, p, full_minor, off_percent);
    memcpy(p->money, p->variants[0].money, sizeof p->money);

    f64 liked = rng_unit(r);
    p->appeal = 0.1 + liked * liked * liked * liked;
    i64 age_days = rng_below(r, 10) == 0 ? 1 + rng_below(r, 21) : 22 + rng_below(r, 378);
    p->published_at_ms = now_ms - now_ms % DAY_MS - age_days * DAY_MS;
}

struct demo_catalogue demo_catalogue_new(arena *perm, u64 seed, i64 now_ms)
{
    struct rng r = rng_seed(seed);
    isize n = KINDS * PER_KIND;
    struct demo_product *products = arena_new(perm, struct demo_product, n);
    for (isize i = 0; i < n; i++) {
        products[i].kind = i / PER_KIND;
        products[i].key = arena_printf(perm, "p-%td", i + 1);
        products[i].url = arena_printf(perm, "/shop/p/p-%td", i + 1);
        products[i].image = arena_printf(perm, "/shop/img/p-%td.svg", i + 1);
        make_product(perm, &r, &products[i], i % PER_KIND, now_ms);
    }
    return (struct demo_catalogue){ seed, products, n };
}

const struct demo_product *demo_product_by_key(const struct demo_catalogue *c, str key)
{
    i64 number = 0;
    if (!str_starts(key, S("p-")) || !str_to_i64(str_from(key, 2), &number)) return NULL;
    if (number < 1 || number > c->products_n) return NULL;
    const struct demo_product *p = &c->products[number - 1];
    return str_eq(p->key, key) ? p : NULL;
}

/* ---- NDJSON ------------------------------------------------------------------------------- */

static void write_money(struct jsonw *w, const char *key, i64 minor, enum demo_currency currency)
{
    jsonw_key_begin(w, key, '{');
    jsonw_key_int(w, "minor", minor);
    jsonw_key_str(w, "currency", str_of(currency_codes[currency]));
    jsonw_end(w, '}');
}

static void write_prices(struct jsonw *w, const struct demo_money money[DEMO_CURRENCIES])
{
    write_money(w, "price", money[DEMO_EUR].price_minor, DEMO_EUR);
    if (money[DEMO_EUR].list_minor) write_money(w, "list", money[DEMO_EUR].list_minor, DEMO_EUR);
    jsonw_key_begin(w, "prices", '[');
    jsonw_begin(w, '{');
    jsonw_key_str(w, "market", S("no"));
    write_money(w, "price", money[DEMO_NOK].price_minor, DEMO_NOK);
    if (money[DEMO_NOK].list_minor) write_money(w, "list", money[DEMO_NOK].list_minor, DEMO_NOK);
    jsonw_end(w, '}');
    jsonw_end(w, ']');
}

static void write_stock(struct jsonw *w, const i32 stock[DEMO_PLACES])
{
    jsonw_key_begin(w, "stock", '{');
    for (isize place = 0; place < DEMO_PLACES; place++)
        jsonw_key_int(w, demo_place_keys[place], stock[place]);
    jsonw_end(w, '}');
}

static void write_texts(struct jsonw *w, const char *key, const str text[DEMO_LANGUAGES])
{
    jsonw_key_begin(w, key, '{');
    for (isize language = 0; language < DEMO_LANGUAGES; language++)
        jsonw_key_str(w, language_tags[language], text[language]);
    jsonw_end(w, '}');
}

static void write_category(struct jsonw *w, const struct kind *k)
{
    jsonw_key_begin(w, "category", '[');
    jsonw_str(w, str_of(k->path[0].in[DEMO_EN]));
    jsonw_str(w, str_of(k->path[1].in[DEMO_EN]));
    jsonw_end(w, ']');
}

static void write_variant(struct jsonw *w, const struct demo_product *p, const struct demo_variant *v)
{
    jsonw_begin(w, '{');
    jsonw_key_str(w, "variant_key", v->key);
    if (v->size.len) jsonw_key_str(w, "size", v->size);
    jsonw_key_str(w, "colour", str_of(colours[v->colour].key));
    if (v->money[DEMO_EUR].price_minor != p->money[DEMO_EUR].price_minor) write_prices(w, v->money);
    write_stock(w, v->stock);
    jsonw_end(w, '}');
}

static void write_product(struct buf *out, const struct demo_product *p)
{
    const struct kind *k = &kinds[p->kind];
    struct jsonw w = { .out = out };
    jsonw_begin(&w, '{');
    jsonw_key_str(&w, "product_key", p->key);
    write_texts(&w, "title", p->title);
    write_texts(&w, "description", p->description);
    jsonw_key_str(&w, "url", p->url);
    jsonw_key_str(&w, "image", p->image);
    jsonw_key_str(&w, "brand", p->brand);
    write_category(&w, k);
    jsonw_key_str(&w, "gender", str_of(k->gender));
    jsonw_key_str(&w, "colour", str_of(colours[p->colour].key));
    write_prices(&w, p->money);
    write_money(&w, "cost", p->cost_minor, DEMO_EUR);
    write_stock(&w, p->stock);
    jsonw_key_begin(&w, "attributes", '{');
    jsonw_key_str(&w, k->attribute, str_of(k->styles[p->style].value));
    if (k->naming != NAME_BOOK) jsonw_key_str(&w, "material", str_of(k->materials[p->material].in[DEMO_EN]));
    jsonw_end(&w, '}');
    if (p->repurchase_days) jsonw_key_int(&w, "repurchase_days", p->repurchase_days);
    jsonw_key_begin(&w, "variants", '[');
    for (isize i = 0; i < p->variants_n; i++) write_variant(&w, p, &p->variants[i]);
    jsonw_end(&w, ']');
    jsonw_key_time(&w, "published_at", p->published_at_ms);
    jsonw_end(&w, '}');
    buf_byte(out, '\n');
}

void demo_catalogue_write(const struct demo_catalogue *c, struct buf *out)
{
    for (isize i = 0; i < c->products_n; i++) write_product(out, &c->products[i]);
}

void demo_content_write(arena *scratch, struct buf *out)
{
    for (isize i = 0; i < CONTENTS; i++) {
        const struct article *a = &articles[i];
        struct jsonw w = { .out = out };
        jsonw_begin(&w, '{');
        jsonw_key_str(&w, "content_key", arena_printf(scratch, "a-%td", i + 1));
        jsonw_key_str(&w, "kind", S("article"));
        write_texts(&w, "title", (str[]){ str_of(a->title.in[0]), str_of(a->title.in[1]) });
        write_texts(&w, "description", (str[]){ str_of(a->teaser.in[0]), str_of(a->teaser.in[1]) });
        jsonw_key_str(&w, "url", arena_printf(scratch, "/shop/guide/a-%td", i + 1));
        write_category(&w, &kinds[a->kind]);
        jsonw_end(&w, '}');
        buf_byte(out, '\n');
    }
}
