/* SPDX-License-Identifier: Apache-2.0
 *
 * show.ts - what was decided, put into the page. A placement is an element of the page that
 * carries data-opmaat-placement; what it holds and how high it is before we come is the box we may fill.
 *
 * Nothing is ever hidden and nothing moves: the content goes into the height the box has, and
 * into a box without height only below the visible part of the page. Text is set as text and
 * addresses must be http(s), so content can never become script. A page that draws for itself
 * listens for the event "opmaat:decision" on the element and calls preventDefault().
 */
import { listen } from "./time";

export interface Item {
    product_key: string;
    title: string;
    url?: string;
    image?: string;
    ticket?: string;
    price?: { price?: Money; list?: Money };
    because?: { text?: string };
}
export interface Money {
    minor: number;
    currency: string;
}
export interface Decision {
    status: string;
    render: string;
    ticket?: string;
    preview?: boolean;
    decision_key?: string;
    content?: Record<string, string>;
    items?: Item[];
    rows?: { title: string; items: string[] }[];
}

/* :where() has no weight: any rule of the shop's own style sheets wins over these. */
const STYLE = `.opmaat-banner{display:flex;position:relative;height:100%;color:inherit;text-decoration:none}
.opmaat-banner img{position:absolute;width:100%;height:100%;object-fit:cover}
.opmaat-text{position:relative;align-self:end;padding:1.5rem}
.opmaat-headline{display:block;font-size:1.5em;font-weight:700;margin:0 0 .5rem}
.opmaat-button{display:inline-block;margin-top:.75rem;padding:.4em 1em;border:1px solid;border-radius:2em}
.opmaat-row{display:flex;gap:1rem;margin:0;padding:0;list-style:none;overflow-x:auto}
.opmaat-card{flex:0 0 11rem}
.opmaat-card a{display:block;color:inherit;text-decoration:none}
.opmaat-card img{display:block;width:100%;aspect-ratio:3/4;object-fit:cover}
.opmaat-card span{display:block;margin-top:.25rem}
.opmaat-because{font-size:.85em;opacity:.75}`;

let styled = false;

function style(): void {
    if (styled) return;
    styled = true;
    try {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(STYLE.replace(/^(.*?){/gm, ":where($1){"));
        document.adoptedStyleSheets = [...document.adoptedStyleSheets, sheet];
    } catch {
        /* an older browser shows it with the shop's own styles alone */
    }
}

function make(tag: string, name: string, text?: string): HTMLElement {
    const e = document.createElement(tag);
    if (name) e.className = "opmaat-" + name;
    if (text) e.textContent = text;
    return e;
}

function safe(url?: string): string {
    try {
        const to = new URL(url!, location.href);
        return url && /^https?:$/.test(to.protocol) ? to.href : "";
    } catch {
        return "";
    }
}

function picture(url?: string): HTMLElement | "" {
    const src = safe(url);
    if (!src) return "";
    const img = document.createElement("img");
    img.alt = "";
    img.src = src;
    return img;
}

function link(url: string | undefined, name: string): HTMLElement {
    const href = safe(url);
    const e = make(href ? "a" : "div", name);
    if (href) (e as HTMLAnchorElement).href = href;
    return e;
}

const formats: Record<string, Intl.NumberFormat> = {}; /* dear to make, so one a currency */

function money(m: Money): string {
    const { currency } = m;
    const format = (formats[currency] ||= new Intl.NumberFormat(
        document.documentElement.lang || undefined,
        { style: "currency", currency },
    ));
    return format.format(m.minor / 10 ** format.resolvedOptions().maximumFractionDigits!);
}

function banner(content: Record<string, string>): HTMLElement {
    const e = link(content.link, "banner");
    const text = make("div", "text");
    if (content.headline) text.append(make("strong", "headline", content.headline));
    if (content.text) text.append(make("span", "body", content.text));
    if (content.button) text.append(make("span", "button", content.button));
    e.append(picture(content.image), text);
    return e;
}

function card(item: Item, clicked: (item: Item) => void): HTMLElement {
    const li = make("li", "card");
    const a = link(item.url, "");
    const { price, list } = item.price || {};
    a.append(picture(item.image), make("span", "title", item.title));
    if (price) {
        const line = make("span", "price", money(price) + " ");
        if (list && list.minor > price.minor) line.append(make("s", "", money(list)));
        a.append(line);
    }
    if (item.because && item.because.text) a.append(make("span", "because", item.because.text));
    listen(a, "click", () => clicked(item));
    li.append(a);
    return li;
}

function row(items: Item[], title: string | undefined, clicked: (item: Item) => void): Node[] {
    const ul = make("ul", "row");
    ul.setAttribute("role", "list");
    if (title) ul.setAttribute("aria-label", title);
    ul.append(...items.map((item) => card(item, clicked)));
    return title ? [make("strong", "headline", title), ul] : [ul];
}

/* Fills the box without moving anything the person sees; false when that can not be. Its height is
 * held, and so are its two edges: what was in the box may have had margins that reached outside.
 * A change of the window's size lets go again. */
function fill(box: HTMLElement, nodes: Node[]): boolean {
    const { height, top } = box.getBoundingClientRect();
    const grows = box.hasAttribute("data-opmaat-grow");
    if (!grows && height < 1 && top < innerHeight) return false;
    const next = box.nextElementSibling;
    const edge = () =>
        next ? next.getBoundingClientRect().top : box.parentElement!.getBoundingClientRect().bottom;
    const below = edge();
    const { style } = box;
    const margin = (side: "marginTop" | "marginBottom", by: number) => {
        if (by) style[side] = parseFloat(getComputedStyle(box)[side]) + by + "px";
    };
    box.replaceChildren(...nodes);
    if (grows || height < 1) return true;
    style.boxSizing = "border-box";
    style.height = height + "px";
    style.overflow = "auto";
    /* Twice: where margins overlap, the first only reaches as far as the neighbour's own. */
    for (let pass = 0; pass < 2; pass++) {
        margin("marginTop", top - box.getBoundingClientRect().top);
        margin("marginBottom", below - edge());
    }
    addEventListener(
        "resize",
        () => {
            style.height = style.overflow = style.marginTop = style.marginBottom = "";
        },
        { once: true },
    );
    return true;
}

/** Draws the decision into the box; false when the page stays as it was. */
export function draw(box: HTMLElement, d: Decision, clicked: (item: Item) => void): boolean {
    const content = d.content || {};
    const items = d.items || [];
    const event = new CustomEvent("opmaat:decision", { detail: d, bubbles: true, cancelable: true });
    if (!box.dispatchEvent(event)) return true;
    if (
        d.render === "passthrough"
        || !(items.length || content.headline || content.text || content.image)
    )
        return false;
    style();
    const rows = (d.rows || []).flatMap((r) =>
        row(items.filter((item) => r.items.includes(item.product_key)), r.title, clicked),
    );
    const drawn = fill(
        box,
        rows.length ? rows : items.length ? row(items, content.headline, clicked) : [banner(content)],
    );
    if (!drawn) console.warn("opmaat: the placement has no height to fill; give it a min-height", box);
    return drawn;
}
