/* Lines over time, from the API's samples, or what this page has seen. */
import { el, show as become, svg } from "./dom.js";

const WIDTH = 600, HEIGHT = 160, SEEN_MAX = 200;

export const RANGES = { "1 min": [60, 5], "10 min": [600, 5], "1 h": [3600, 60], "8 h": [28800, 600], "24 h": [86400, 1800] };

export function rangeQuery(name) {
    const [age, incr] = RANGES[name] || RANGES["1 min"];
    return { lengths_age: age, lengths_incr: incr, msg_rates_age: age, msg_rates_incr: incr };
}

/* Samples, newest first, as points in the order of time; counters as what was added a second. */
function pointsOf(samples, isCounter) {
    const all = samples.map(({ sample, timestamp }) => [timestamp, sample]).sort((a, b) => a[0] - b[0]);
    if (!isCounter) return all;
    const out = [];
    for (let i = 1; i < all.length; i++)
        if (all[i][0] > all[i - 1][0]) out.push([all[i][0], Math.max(0, (all[i][1] - all[i - 1][1]) * 1000 / (all[i][0] - all[i - 1][0]))]);
    return out;
}

/* The newest sample may have only begun. */
function settled(points, rate) {
    if (rate > 0 && points.length > 1 && points[points.length - 1][1] === 0) points.pop();
    return points;
}

/* {details: {rate, samples?}, value}: points; `seen` (a Map) remembers what had no samples. */
export function series(seen, name, kind, details, value, isCounter) {
    if (details && Array.isArray(details.samples))
        return { name, kind, now: isCounter ? details.rate : value, points: isCounter ? settled(pointsOf(details.samples, true), details.rate) : pointsOf(details.samples, false) };
    const now = isCounter ? details?.rate ?? 0 : value ?? 0;
    const points = seen.get(name) || [];
    if (points.length === 0 || Date.now() - points[points.length - 1][0] > 1000) points.push([Date.now(), now]);
    if (points.length > SEEN_MAX) points.shift();
    seen.set(name, points);
    return { name, kind, now, points };
}

function ceiling(n) {
    if (n <= 4) return 4;
    const unit = 10 ** Math.floor(Math.log10(n));
    return [1, 2, 4, 5, 10].map((f) => f * unit).find((c) => c >= n);
}

function clock(ms, isLong) {
    return new Date(ms).toTimeString().slice(0, isLong ? 5 : 8);
}

/* Where the pointer is in which chart, from 0 to 1. */
const pointed = new Map();

function nearest(points, t) {
    return points.reduce((best, p) => (Math.abs(p[0] - t) < Math.abs(best[0] - t) ? p : best), [Infinity, 0]);
}

/* Below a pointer the legend has the values of that time. */
export function chart(title, lines, show) {
    const all = lines.flatMap((line) => line.points);
    const first = Math.min(...all.map((p) => p[0])), last = Math.max(...all.map((p) => p[0]));
    const most = Math.max(0, ...all.map((p) => p[1]));
    const top = ceiling(most), span = Math.max(1, last - first);
    const x = (t) => ((t - first) / span) * WIDTH;
    const y = (v) => HEIGHT - 1 - (v / top) * (HEIGHT - 6);
    const path = (points) => points.map((p, i) => `${i ? "L" : "M"}${x(p[0]).toFixed(1)} ${y(p[1]).toFixed(1)}`).join("");
    const summary = `${title}: ${lines.map((l) => `${l.name} ${show(l.now)}`).join(", ")}; at most ${show(most)} in this time`;
    const drawn = (part) => {
        const isAt = part !== undefined && last > first, t = isAt ? nearest(all, first + part * span)[0] : last;
        return [el("figcaption", {}, title, isAt && el("small", {}, ` at ${clock(t, span > 7200000)}`)),
            el("div", { class: "plot" },
                el("div", { class: "scale", "aria-hidden": "true" }, [top, top / 2, 0].map((v) => el("span", {}, show(v)))),
                svg("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": summary },
                    [0, 0.5, 1].map((p) => svg("line", { class: "grid", x1: 0, x2: WIDTH, y1: y(top * p), y2: y(top * p) })),
                    isAt && svg("line", { class: "grid now", x1: x(t), x2: x(t), y1: 0, y2: HEIGHT }),
                    lines.map((l) => l.points.length > 1 && svg("path", { class: `line ${l.kind}`, d: path(l.points) }))),
                el("div", { class: "times", "aria-hidden": "true" }, last > first
                    ? [first, first + span / 2, last].map((v) => el("span", {}, clock(v, span > 7200000)))
                    : el("span", {}, "The line begins with the next look, in a few seconds."))),
            el("ul", { class: "legend" }, lines.map((l) =>
                el("li", {}, el("i", { class: `swatch ${l.kind}` }), l.name, el("b", {}, show(isAt ? nearest(l.points, t)[1] : l.now)))))];
    };
    return el("figure", { class: "chart", onpointermove(event) {
        const box = this.querySelector("svg").getBoundingClientRect();
        pointed.set(title, Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
        become(this, drawn(pointed.get(title)));
    }, onpointerleave() {
        pointed.delete(title);
        become(this, drawn());
    } }, drawn(pointed.get(title)));
}
