/* SPDX-License-Identifier: Apache-2.0
 *
 * setup.c - what the demo shop's people have authored: the documents as they would type them. */
#include "demo/demo.h"

const struct demo_definition demo_setup[] = {
    { "settings", "shop", "{\"kind\":\"settings\",\"key\":\"shop\",\"holdout\":\"10%\",\"discount_quiet_days\":14,\"repurchase_days\":180,"
      "\"currency\":\"EUR\",\"rates\":{\"NOK\":0.087},\"zone_minutes\":60}" },

    { "segment", "jeans_women", "{\"kind\":\"segment\",\"key\":\"jeans_women\",\"title\":\"Interested in women's jeans\",\"owner\":\"kari@demo.shop\","
      "\"rule\":\"count(product_viewed where category under \\\"Women > Jeans\\\", last 30 days) >= 3\"}" },
    { "segment", "jeans_men", "{\"kind\":\"segment\",\"key\":\"jeans_men\",\"title\":\"Interested in men's jeans\",\"owner\":\"kari@demo.shop\","
      "\"rule\":\"count(product_viewed where category under \\\"Men > Jeans\\\", last 30 days) >= 3\"}" },
    { "segment", "coffee_and_tea", "{\"kind\":\"segment\",\"key\":\"coffee_and_tea\",\"title\":\"Coffee and tea people\",\"owner\":\"kari@demo.shop\","
      "\"rule\":\"count(product_viewed where category under \\\"coffee\\\" or category under \\\"tea\\\", last 30 days) >= 3\"}" },
    { "segment", "loyal", "{\"kind\":\"segment\",\"key\":\"loyal\",\"title\":\"Two orders in 60 days\",\"owner\":\"kari@demo.shop\","
      "\"rule\":\"count(order_completed, last 60 days) >= 2\"}" },
    { "segment", "cart_left", "{\"kind\":\"segment\",\"key\":\"cart_left\",\"title\":\"Left something in the cart\",\"owner\":\"kari@demo.shop\","
      "\"rule\":\"sequence(product_added then not order_completed within 2 hours)\"}" },
    { "segment", "just_looking", "{\"kind\":\"segment\",\"key\":\"just_looking\",\"title\":\"Five views this week, no order in 60 days\","
      "\"owner\":\"kari@demo.shop\",\"rule\":\"count(product_viewed, last 7 days) >= 5 and not did(order_completed, last 60 days)\"}" },

    { "strategy", "for_you", "{\"kind\":\"strategy\",\"key\":\"for_you\",\"title\":\"For you\",\"mix\":[\"session\",\"cooc\",\"trending\"],"
      "\"filter\":\"item.in_stock\",\"diversity\":{\"max_per_category\":4},\"fallback\":[\"trending\",\"bestsellers\"]}" },
    { "strategy", "goes_with", "{\"kind\":\"strategy\",\"key\":\"goes_with\",\"title\":\"Goes with this\",\"mix\":[\"cooc\",\"session\"],"
      "\"filter\":\"item.in_stock\",\"fallback\":[\"trending\",\"bestsellers\"]}" },
    { "strategy", "cart", "{\"kind\":\"strategy\",\"key\":\"cart\",\"title\":\"Goes with the cart, or a step up\",\"mix\":{\"crosssell\":1,\"upsell\":0.6},"
      "\"filter\":\"item.in_stock\",\"diversity\":{\"max_per_category\":3},\"fallback\":[\"cooc\",\"trending\",\"bestsellers\"]}" },
    { "strategy", "taste", "{\"kind\":\"strategy\",\"key\":\"taste\",\"title\":\"In your taste\",\"mix\":{\"session\":1,\"cooc\":0.7,\"trending\":0.3},"
      "\"filter\":\"item.in_stock\",\"likes\":{\"colour\":1,\"brand\":0.5},\"diversity\":{\"max_per_category\":3,\"lambda\":0.8},\"fallback\":[\"trending\",\"bestsellers\"],"
      "\"notes\":[{\"text\":\"Colours first: people who love green look for green.\",\"author\":\"kari@demo.shop\"}]}" },
    { "strategy", "guides", "{\"kind\":\"strategy\",\"key\":\"guides\",\"title\":\"To read\",\"kind_of_item\":\"content\",\"mix\":[\"session\",\"trending\"],"
      "\"fallback\":[\"trending\",\"bestsellers\"]}" },

    { "strategy", "in_store", "{\"kind\":\"strategy\",\"key\":\"in_store\",\"title\":\"Rising in the store\",\"mix\":[\"trending_here\",\"bestsellers_here\"],"
      "\"filter\":\"item.in_stock\",\"diversity\":{\"max_per_category\":3}}" },
    { "strategy", "departments", "{\"kind\":\"strategy\",\"key\":\"departments\",\"title\":\"Departments for you\",\"mix\":[\"session\",\"cooc\",\"trending\"],"
      "\"filter\":\"item.in_stock\",\"diversity\":{\"max_per_category\":5},\"rows\":{\"by\":\"category\",\"items\":5}}" },
    { "strategy", "brands", "{\"kind\":\"strategy\",\"key\":\"brands\",\"title\":\"Brands for you\",\"mix\":[\"session\",\"cooc\",\"trending\"],"
      "\"filter\":\"item.in_stock\",\"diversity\":{\"max_per_brand\":5},\"rows\":{\"by\":\"brand\",\"items\":5}}" },

    { "search", "shop", "{\"kind\":\"search\",\"key\":\"shop\",\"title\":\"Search\",\"owner\":\"kari@demo.shop\",\"dial\":60,"
      "\"synonyms\":[[\"sweater\",\"jumper\",\"pullover\"],[\"trousers\",\"pants\"],[\"sneakers\",\"trainers\"],[\"bukse\",\"bukser\",\"jeans\"]],"
      "\"redirects\":[{\"query\":\"privacy\",\"url\":\"/shop/privacy\"}]}" },

    { "quiz", "style", "{\"kind\":\"quiz\",\"key\":\"style\",\"title\":{\"en\":\"What are you here for?\",\"nb-NO\":\"Hva er du ute etter?\"},\"owner\":\"kari@demo.shop\","
      "\"thanks\":{\"en\":\"Thank you. The shop looks a little more like you now.\",\"nb-NO\":\"Takk. Nå ligner butikken litt mer på deg.\"},\"questions\":["
      "{\"key\":\"occasion\",\"text\":{\"en\":\"Whom do you shop for today?\",\"nb-NO\":\"Hvem handler du til i dag?\"},\"answers\":["
      "{\"key\":\"myself\",\"text\":{\"en\":\"Myself\",\"nb-NO\":\"Meg selv\"}},{\"key\":\"gift\",\"text\":{\"en\":\"Somebody else\",\"nb-NO\":\"En annen\"}}]},"
      "{\"key\":\"weather\",\"text\":{\"en\":\"A good day is spent\",\"nb-NO\":\"En god dag tilbringes\"},\"answers\":["
      "{\"key\":\"outdoors\",\"text\":{\"en\":\"Outdoors, whatever falls from the sky\",\"nb-NO\":\"Ute, uansett vær\"}},"
      "{\"key\":\"indoors\",\"text\":{\"en\":\"Indoors, with something hot\",\"nb-NO\":\"Inne, med noe varmt\"}}]}]}" },

    { "placement", "home_hero", "{\"kind\":\"placement\",\"key\":\"home_hero\",\"title\":\"Banner on the home page\",\"channel\":\"web\","
      "\"schema\":{\"headline\":\"text\",\"text\":\"text?\",\"button\":\"text?\",\"image\":\"url?\",\"link\":\"url?\"},"
      /* Word for word what the page says by itself (page.c), so that it does not change before the eyes of those for whom nothing was made. */
      "\"default\":{\"headline\":{\"en\":\"Things that last, from the coast and the forest\",\"nb-NO\":\"Ting som varer, fra kysten og skogen\"},"
      "\"text\":{\"en\":\"Clothes, home and good coffee. Free delivery over €50.\",\"nb-NO\":\"Klær, hjem og god kaffe. Fri frakt over 500 kr.\"},"
      "\"image\":\"/shop/img/hero-fjord.svg\",\"link\":\"/shop/c/women-jackets\"}}" },
    { "placement", "home_recs", "{\"kind\":\"placement\",\"key\":\"home_recs\",\"title\":\"Row on the home page\",\"channel\":\"web\",\"strategy\":\"for_you\","
      "\"min_items\":4,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "product_recs", "{\"kind\":\"placement\",\"key\":\"product_recs\",\"title\":\"Row on a product page\",\"channel\":\"web\",\"strategy\":\"goes_with\","
      "\"min_items\":2,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "cart_recs", "{\"kind\":\"placement\",\"key\":\"cart_recs\",\"title\":\"Row in the cart\",\"channel\":\"web\",\"strategy\":\"cart\","
      "\"min_items\":2,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "category_recs", "{\"kind\":\"placement\",\"key\":\"category_recs\",\"title\":\"Row under a category\",\"channel\":\"web\",\"strategy\":\"taste\","
      "\"min_items\":4,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "search_recs", "{\"kind\":\"placement\",\"key\":\"search_recs\",\"title\":\"Row under search results\",\"channel\":\"web\",\"strategy\":\"taste\","
      "\"min_items\":4,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "home_guides", "{\"kind\":\"placement\",\"key\":\"home_guides\",\"title\":\"Guides on the home page\",\"channel\":\"web\",\"strategy\":\"guides\","
      "\"min_items\":3,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "category_guides", "{\"kind\":\"placement\",\"key\":\"category_guides\",\"title\":\"Guides under a category\",\"channel\":\"web\",\"strategy\":\"guides\","
      "\"min_items\":3,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "store_recs", "{\"kind\":\"placement\",\"key\":\"store_recs\",\"title\":\"What rises in the visitor's shop\",\"channel\":\"web\",\"strategy\":\"in_store\","
      "\"min_items\":4,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "home_rows", "{\"kind\":\"placement\",\"key\":\"home_rows\",\"title\":\"Departments on the home page\",\"channel\":\"web\",\"strategy\":\"departments\","
      "\"min_items\":4,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "brand_rows", "{\"kind\":\"placement\",\"key\":\"brand_rows\",\"title\":\"Brands under a category\",\"channel\":\"web\",\"strategy\":\"brands\","
      "\"min_items\":4,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "guide_more", "{\"kind\":\"placement\",\"key\":\"guide_more\",\"title\":\"Guides under a guide\",\"channel\":\"web\",\"strategy\":\"guides\","
      "\"min_items\":3,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "newsletter", "{\"kind\":\"placement\",\"key\":\"newsletter\",\"title\":\"Row in the newsletter\",\"channel\":\"email\",\"strategy\":\"taste\","
      "\"schema\":{\"headline\":\"text?\"},\"default\":{\"headline\":{\"en\":\"In your taste\",\"nb-NO\":\"I din smak\"}}}" },
    { "placement", "thanks_recs", "{\"kind\":\"placement\",\"key\":\"thanks_recs\",\"title\":\"Row after an order\",\"channel\":\"web\",\"strategy\":\"for_you\","
      "\"min_items\":2,\"schema\":{\"headline\":\"text?\"}}" },
    { "placement", "guide_recs", "{\"kind\":\"placement\",\"key\":\"guide_recs\",\"title\":\"Row under a guide\",\"channel\":\"web\",\"strategy\":\"for_you\","
      "\"schema\":{\"headline\":\"text?\"}}" },

    { "campaign", "jeans", "{\"kind\":\"campaign\",\"key\":\"jeans\",\"title\":\"Jeans for those who look for jeans\",\"placement\":\"home_hero\",\"owner\":\"kari@demo.shop\","
      "\"goal\":\"find jeans that fit, quickly\",\"metric\":\"order_rate\",\"priority\":20,\"experiences\":["
      "{\"key\":\"women\",\"target\":\"in segment \\\"jeans_women\\\"\",\"choose\":\"experiment\",\"variations\":["
      "{\"key\":\"as_before\",\"share\":\"34%\",\"render\":\"passthrough\"},"
      "{\"key\":\"fit\",\"share\":\"33%\",\"content\":{\"headline\":{\"en\":\"Jeans that fit you, {{first_name|friend}}\",\"nb-NO\":\"Jeans som passer deg, {{first_name|venn}}\"},"
      "\"button\":{\"en\":\"See them\",\"nb-NO\":\"Se dem\"},\"image\":\"/shop/img/hero-women-jeans.svg\",\"link\":\"/shop/c/women-jeans\"}},"
      "{\"key\":\"new\",\"share\":\"33%\",\"content\":{\"headline\":{\"en\":\"New in: jeans\",\"nb-NO\":\"Nytt: jeans\"},"
      "\"button\":{\"en\":\"See what is new\",\"nb-NO\":\"Se nyhetene\"},\"image\":\"/shop/img/hero-women-jeans.svg\",\"link\":\"/shop/c/women-jeans\"}}]},"
      "{\"key\":\"men\",\"target\":\"in segment \\\"jeans_men\\\"\",\"choose\":\"fixed\",\"variations\":["
      "{\"key\":\"fit\",\"content\":{\"headline\":{\"en\":\"Jeans that keep their shape\",\"nb-NO\":\"Jeans som holder fasongen\"},"
      "\"button\":{\"en\":\"See them\",\"nb-NO\":\"Se dem\"},\"image\":\"/shop/img/hero-men-jeans.svg\",\"link\":\"/shop/c/men-jeans\"}}]}]}" },
    { "campaign", "welcome_offer", "{\"kind\":\"campaign\",\"key\":\"welcome_offer\",\"title\":\"Ten per cent for those who hesitate\",\"placement\":\"home_hero\","
      "\"owner\":\"kari@demo.shop\",\"goal\":\"make the first order easier\",\"metric\":\"order_rate\",\"priority\":10,\"discount\":true,"
      "\"cap\":{\"times\":3,\"per\":\"1 day\"},\"experiences\":[{\"key\":\"hesitating\",\"target\":\"in segment \\\"just_looking\\\"\",\"choose\":\"experiment\",\"variations\":["
      "{\"key\":\"as_before\",\"share\":\"50%\",\"render\":\"passthrough\"},"
      "{\"key\":\"ten_percent\",\"share\":\"50%\",\"content\":{\"headline\":{\"en\":\"10 % off your first order\",\"nb-NO\":\"10 % på første ordre\"},"
      "\"text\":{\"en\":\"Take your time. The offer waits a week.\",\"nb-NO\":\"Ta deg tid. Tilbudet venter en uke.\"},"
      "\"button\":{\"en\":\"Have a look\",\"nb-NO\":\"Se deg om\"},\"image\":\"/shop/img/hero-fjord.svg\",\"link\":\"/shop/c/women-knitwear\"}}]}]}" },
    { "flag", DEMO_FLAG_DELIVERY, "{\"kind\":\"flag\",\"key\":\"" DEMO_FLAG_DELIVERY "\",\"title\":\"What is missing to free delivery, in the cart\","
      "\"owner\":\"kari@demo.shop\",\"type\":\"bool\",\"default\":false,\"rules\":["
      "{\"key\":\"norway\",\"kind\":\"force\",\"target\":\"context.market = \\\"no\\\"\",\"value\":true},"
      "{\"key\":\"elsewhere\",\"kind\":\"rollout\",\"share\":\"50%\",\"value\":true}]}" },
    { "flag", DEMO_FLAG_WAY_OUT, "{\"kind\":\"flag\",\"key\":\"" DEMO_FLAG_WAY_OUT "\",\"title\":\"The way out of the cart\",\"owner\":\"kari@demo.shop\","
      "\"type\":\"json\",\"default\":{\"button\":\"checkout\",\"promise\":\"none\"},\"rules\":["
      "{\"key\":\"words\",\"kind\":\"experiment\",\"metric\":\"order_rate\","
      "\"factors\":{\"button\":[\"checkout\",\"buy\"],\"promise\":[\"none\",\"returns\"]},\"variations\":["
      "{\"key\":\"checkout_none\",\"share\":\"25%\",\"value\":{\"button\":\"checkout\",\"promise\":\"none\"},\"levels\":{\"button\":\"checkout\",\"promise\":\"none\"}},"
      "{\"key\":\"checkout_returns\",\"share\":\"25%\",\"value\":{\"button\":\"checkout\",\"promise\":\"returns\"},\"levels\":{\"button\":\"checkout\",\"promise\":\"returns\"}},"
      "{\"key\":\"buy_none\",\"share\":\"25%\",\"value\":{\"button\":\"buy\",\"promise\":\"none\"},\"levels\":{\"button\":\"buy\",\"promise\":\"none\"}},"
      "{\"key\":\"buy_returns\",\"share\":\"25%\",\"value\":{\"button\":\"buy\",\"promise\":\"returns\"},\"levels\":{\"button\":\"buy\",\"promise\":\"returns\"}}]}]}" },

    /* Waits for a reader that fetches (docs/guide/connectors.md), so it needs nobody at the other end. */
    { "connector", "warehouse", "{\"kind\":\"connector\",\"key\":\"warehouse\",\"title\":\"Data warehouse\",\"owner\":\"kari@demo.shop\",\"type\":\"poll\","
      "\"events\":[\"Order Completed\"],\"segments\":[\"loyal\"],\"purpose\":\"analytics\"}" },
};
const isize demo_setup_n = countof(demo_setup);
