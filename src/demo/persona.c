/* SPDX-License-Identifier: Apache-2.0
 *
 * persona.c - six people to log in as, each easy to tell apart by what they are shown. */
#include "demo/demo.h"

const struct demo_persona demo_personas[DEMO_PERSONAS] = {
    { "kari-1", "Kari", "Lunde", "kari@example.com", "female", "indigo", "Kvistheim",
      { "Jeans, tops and a good cup of coffee", "Jeans, topper og en god kopp kaffe" }, { 0, 2, 18 } },
    { "ola-2", "Ola", "Bakken", "ola@example.com", "male", "forest", "Varde & Sønn",
      { "Outdoors in all weathers, jackets and boots", "Ute i all slags vær, jakker og støvler" }, { 7, 13, 8 } },
    { "ingrid-3", "Ingrid", "Solheim", "ingrid@example.com", "female", "rose", "Fjellrose",
      { "Dresses, skin care and novels", "Kjoler, hudpleie og romaner" }, { 1, 14, 17 } },
    { "amir-4", "Amir", "Haddad", "amir@example.com", "male", "navy", "Havbris",
      { "Raw denim, plain shirts, filter coffee", "Rå denim, enkle skjorter, filterkaffe" }, { 5, 6, 18 } },
    { "solveig-5", "Solveig", "Myhre", "solveig@example.com", "female", "sage", "Ullvåg",
      { "A home with lamps, wool and tea", "Et hjem med lamper, ull og te" }, { 9, 10, 19 } },
    { "jonas-6", "Jonas", "Eide", "jonas@example.com", "male", "mustard", "Lekestua",
      { "Small children, wooden toys, mugs that last", "Små barn, treleker, krus som varer" }, { 16, 11, 12 } },
};
