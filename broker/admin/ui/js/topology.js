/* An exchange as a picture: who feeds it, what it feeds, by which keys. */
import { place } from "./api.js";
import { el, svg } from "./dom.js";
import { plural, title } from "./format.js";

const SHOWN_MAX = 24, ROW = 38, BOX_WIDTH = 150, BOX_HEIGHT = 28, GAP = 110, LETTERS_MAX = 20, KEY_MAX = 15;

function cut(text, most) {
    const letters = [...text];
    return letters.length > most ? `${letters.slice(0, most - 1).join("")}…` : text;
}

/* Bindings to the same end are one line with several keys. */
function gather(rows, endOf) {
    const ends = new Map();
    for (const b of rows) {
        const [type, name] = endOf(b), id = `${type} ${name}`;
        if (!ends.has(id)) ends.set(id, { type, name, keys: [] });
        ends.get(id).keys.push(b.routing_key || (Object.keys(b.arguments || {}).length ? "arguments" : ""));
    }
    return [...ends.values()];
}

function box(x, y, vhost, { type, name }, kind = type) {
    const label = cut(title(name), LETTERS_MAX);
    return svg("a", { href: place(type === "queue" ? "queues" : "exchanges", vhost, name || "amq.default"), class: `node ${kind}`, "aria-label": `${type} ${title(name)}` },
        svg("title", {}, title(name)), svg("rect", { x, y: y - BOX_HEIGHT / 2, width: BOX_WIDTH, height: BOX_HEIGHT, rx: type === "queue" ? 3 : 14 }),
        svg("text", { x: x + BOX_WIDTH / 2, y: y + 4, "text-anchor": "middle" }, label));
}

function edge(x1, y1, x2, y2, keys) {
    const middle = (x1 + x2) / 2;
    const label = cut(keys.length > 1 ? `${keys[0]} +${keys.length - 1}` : keys[0], KEY_MAX);
    return [svg("path", { class: "edge", d: `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`, "marker-end": "url(#arrow)" }),
        label && svg("text", { class: "key", x: x2 > x1 ? x2 - 10 : x2, y: y2 - 5, "text-anchor": "end" }, svg("title", {}, keys.join("\n")), label)];
}

/* next: {exchange name: its bindings}, of those that this one feeds. */
export function topology(vhost, name, incoming, outgoing, next = {}) {
    const sources = gather(incoming, (b) => ["exchange", b.source]), ends = gather(outgoing, (b) => [b.destination_type, b.destination]);
    if (sources.length + ends.length === 0) return el("p", { class: "empty" }, "Nothing is bound to it: a message that is published here goes nowhere. Bind a queue below.");
    const left = sources.slice(0, SHOWN_MAX), right = ends.slice(0, SHOWN_MAX);
    const further = right.flatMap((e) => (e.type === "exchange" && next[e.name] ? gather(next[e.name], (b) => [b.destination_type, b.destination]).slice(0, 8).map((to) => ({ from: e, to })) : []));
    const rows = Math.max(left.length, right.length, further.length, 1), height = rows * ROW + 20;
    const columns = [left.length > 0 && "left", "own", right.length > 0 && "right", further.length > 0 && "further"].filter(Boolean);
    const xOf = (column) => 10 + columns.indexOf(column) * (BOX_WIDTH + GAP), width = columns.length * (BOX_WIDTH + GAP) - GAP + 20;
    const yOf = (i, n) => (height / (n + 1)) * (i + 1), own = xOf("own"), middle = height / 2;
    const summary = `${title(name)} is fed by ${plural(sources.length, "exchange")} and feeds ${ends.map((e) => `${e.type} ${e.name}`).slice(0, 10).join(", ") || "nothing"}. The tables below say the same.`;
    const hidden = sources.length - left.length + ends.length - right.length;
    return [el("div", { class: "scroll topology", tabindex: "0", role: "region", "aria-label": "Picture of the bindings" },
        svg("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "group", "aria-label": summary },
            svg("defs", {}, svg("marker", { id: "arrow", viewBox: "0 0 8 8", refX: 7, refY: 4, markerWidth: 7, markerHeight: 7, orient: "auto" }, svg("path", { class: "head", d: "M0 0L8 4L0 8z" }))),
            left.map((s, i) => edge(xOf("left") + BOX_WIDTH, yOf(i, left.length), own, middle, left.length > 1 ? [""] : s.keys)),
            right.map((e, i) => edge(own + BOX_WIDTH, middle, xOf("right"), yOf(i, right.length), e.keys)),
            further.map((f, i) => edge(xOf("right") + BOX_WIDTH, yOf(right.indexOf(f.from), right.length), xOf("further"), yOf(i, further.length), f.to.keys)),
            left.map((s, i) => box(xOf("left"), yOf(i, left.length), vhost, s)), box(own, middle, vhost, { type: "exchange", name }, "own"),
            right.map((e, i) => box(xOf("right"), yOf(i, right.length), vhost, e)), further.map((f, i) => box(xOf("further"), yOf(i, further.length), vhost, f.to)))),
    hidden > 0 ? el("p", { class: "hint" }, `${plural(hidden, "more end")} in the tables below.`) : null];
}
