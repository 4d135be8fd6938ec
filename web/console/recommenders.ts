/* SPDX-License-Identifier: Apache-2.0
 *
 * recommenders.ts - what each recommender is, as one says it and at more length, and how a strategy's mix is read.
 */
import { Doc } from "./api";
import { sentence } from "./words";

export const RECOMMENDERS: [string, string, string][] = [
    ["session", "Visits like this one", "what they held next"],
    ["slist", "Beside and after it", "in the same visits"],
    ["cooc", "Seen and bought together", "with what this person dealt with"],
    ["rules", "What comes after it", "in the order people went"],
    ["ease", "Together, less what a third explains", ""],
    ["spectral", "The broad strokes of taste", ""],
    ["als", "The person's whole taste", ""],
    ["content", "Alike", "by category, brand, colour"],
    ["complements", "Goes with it", "with the cart or the product in view"],
    ["crosssell", "Goes with it", "with the cart or the product in view"],
    ["upsell", "A step up in price", ""],
    ["bundles", "Bought together", ""],
    ["outfit", "The rest of the outfit", ""],
    ["replenish", "Due again", ""],
    ["quiz", "As the quiz was answered", ""],
    ["trending", "Rising", "for everybody"],
    ["bestsellers", "Selling", "for everybody"],
    ["popular", "Dealt with most", "for everybody"],
    ["trending_here", "Rising where they are", "in their store, else their country"],
    ["bestsellers_here", "Selling where they are", "in their store, else their country"],
    ["popular_here", "Dealt with most where they are", "in their store, else their country"],
    ["recently_viewed", "Looked at lately", ""],
];
export const told = (name: string) => RECOMMENDERS.find(([known]) => known === name) ?? [name, sentence(name), ""];

const EVERYBODYS = ["trending", "bestsellers", "popular"];

/* Weights as the engine reads a list: each next counts 0.7 of the one before, what is everybody's 0.3. Said by hand they stand apart. */
export function mixOf(doc: Doc): [string, number][] {
    const mix = doc?.mix ?? {};
    const byHand = doc?.weights && typeof doc.weights === "object" ? doc.weights : {};
    const weights: [string, number][] = Array.isArray(mix)
        ? mix.map((name: string, i: number) => [name, +((EVERYBODYS.includes(name.replace("_here", "")) ? 0.3 : 1) * 0.7 ** i).toFixed(3)])
        : Object.entries(mix);
    return weights.map(([name, weight]) => [name, byHand[name] ?? weight]);
}

export type Way = "learnt" | "defaults" | "hand";
/** Where a strategy's weights come from: a list learns unless it is told not to, an object is by hand unless told to learn. */
export function wayOf(doc: Doc): Way {
    if (doc?.weights === "learnt" || doc?.weights === "defaults") return doc.weights;
    return doc?.weights || !Array.isArray(doc?.mix) ? "hand" : "learnt";
}
