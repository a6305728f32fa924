/* Messages of a queue: looked at without touching them, taken, moved. */
import { call, get, path, query } from "./api.js";
import { download, el, notify } from "./dom.js";
import { bytes, duration, moment, number, plural, title } from "./format.js";
import { choice, facts, field, form, sure, text, value } from "./parts.js";

const PAGE = 20, SHOWN_MAX = 4000, MOVED_AT_ONCE = 1000, FETCHED_MAX = 50000;
const UNPRINTABLE = /[\0-\x08\x0e-\x1f]/;

function bytesOf(message) {
    if (message.payload_encoding !== "base64") return new TextEncoder().encode(message.payload);
    return Uint8Array.from(atob(message.payload), (letter) => letter.charCodeAt(0));
}

function hex(all) {
    const lines = [];
    for (let i = 0; i < Math.min(all.length, 512); i += 16) {
        const part = [...all.subarray(i, i + 16)];
        lines.push(`${i.toString(16).padStart(4, "0")}  ${part.map((b) => b.toString(16).padStart(2, "0")).join(" ").padEnd(48)} ${part.map((b) => (b > 31 && b < 127 ? String.fromCharCode(b) : "·")).join("")}`);
    }
    return lines.join("\n");
}

/* JSON, indented; each number and text is as it came. */
function pretty(written) {
    if (!/^\s*[[{]/.test(written)) return written;
    try {
        JSON.parse(written);
    } catch {
        return written;
    }
    const opens = (token) => token === "{" || token === "[";
    let out = "", deep = 0, last = "";
    for (const [token] of written.matchAll(/"(?:[^"\\]|\\.)*"|[^\s"{}[\],:]+|[{}[\],:]/g)) {
        const closes = token === "}" || token === "]";
        deep -= closes;
        if (closes ? !opens(last) : opens(last) || last === ",") out += `\n${"  ".repeat(deep)}`;
        out += token === ":" ? ": " : token;
        deep += opens(token);
        last = token;
    }
    return out;
}

/* One message, as a card. */
export function message(m, ...actions) {
    const all = bytesOf(m), isUtf8 = m.payload_encoding !== "base64", isText = isUtf8 && !UNPRINTABLE.test(m.payload);
    const shown = isText ? pretty(m.payload).slice(0, SHOWN_MAX) : hex(all);
    const isCut = m.payload_bytes > all.length || (isText && m.payload.length > SHOWN_MAX) || (!isText && all.length > 512);
    const { headers, ...properties } = m.properties || {};
    const pre = el("pre", { class: "payload" }, shown);
    const swap = isText && el("button", { type: "button", class: "small", "aria-pressed": "false", onclick() {
        const isHex = this.getAttribute("aria-pressed") !== "true";
        this.setAttribute("aria-pressed", String(isHex));
        pre.textContent = isHex ? hex(all) : shown;
    } }, "Hex");
    return el("article", { class: "card message" },
        facts([["Position", m.position], ["Exchange", title(m.exchange ?? "")], ["Routing key", el("code", {}, m.routing_key)], ["Size", bytes(m.payload_bytes)], ["Redelivered", m.redelivered ? "yes" : "no"],
            ["Given out", m.delivery_count > 0 ? plural(m.delivery_count, "time") : null], ["Expires in", m.expires_in >= 0 ? duration(m.expires_in) : null],
            ...Object.entries(properties).map(([k, v]) => [k, k === "timestamp" ? `${v} (${moment(v * 1000)})` : value(v)]), ["headers", headers && Object.keys(headers).length ? value(headers) : null, true]]),
        pre, isCut && el("p", { class: "hint" }, `Not all of it: the message has ${bytes(m.payload_bytes)}.`),
        el("div", { class: "row" }, swap, el("button", { type: "button", class: "small", onclick: () => download(`message-${m.position ?? "got"}.bin`, all) }, isCut && m.payload_bytes > all.length ? "Download this part" : "Download"), actions));
}

/* Looks, and takes nothing: no message is marked, moved or held. */
export function browser(context, vhost, name, isStream) {
    const out = el("div", { class: "messages", "aria-live": "polite" });
    let last = 0;
    const drop = async (m, card) => {
        if (!await sure({ title: "Delete this message?", text: `The message at position ${m.position} of queue “${name}” is deleted.`, action: "Delete the message" })) return;
        if (await context.act("The message is deleted.", () => call("DELETE", path("queues", vhost, name, "messages", String(m.position))))) card.remove();
    };
    const look = async (offset, wanted) => {
        const page = await context.act(null, () => get(`${path("queues", vhost, name, "messages")}${query({ offset, limit: wanted ? 256 : PAGE, truncate: FETCHED_MAX })}`));
        if (!page) return;
        const fits = page.items.filter((m) => !wanted || JSON.stringify([m.routing_key, m.properties, m.payload_encoding === "base64" ? "" : m.payload]).toLowerCase().includes(wanted.toLowerCase()));
        last = page.next;
        const more = out.querySelector(".more");
        if (more) more.remove();
        out.append(...fits.slice(0, PAGE * 4).map((m) => {
            const card = message(m, m.position !== undefined && !isStream && el("button", { type: "button", class: "small", onclick: () => drop(m, card) }, "Delete this one"));
            return card;
        }));
        if (!out.querySelector(".message") && !last) out.append(el("p", { class: "empty" }, wanted ? `No waiting message has “${wanted}” in its key, properties or text.` : "Nothing is waiting in this queue."));
        if (last) out.append(el("div", { class: "more" }, wanted && el("span", { class: "hint" }, `Looked at ${number(page.items.length)} more. `), el("button", { type: "button", onclick: () => look(last, wanted) }, "Look further")));
    };
    const start = (v) => {
        out.replaceChildren();
        look(v.from || 0, v.wanted);
    };
    return el("div", { keep: true }, el("p", { class: "hint" }, "Messages stay where they are and as they are: none is taken, marked as redelivered or held back from consumers."),
        form("Look", start, el("div", { class: "row" }, field("With this in key, properties or text", text("wanted", { placeholder: "all" })),
            field("From position", text("from", { type: "number", min: 0, placeholder: "the first" })))), out);
}

export function getForm(context, vhost, name) {
    const out = el("div", { class: "messages", "aria-live": "polite" });
    const take = async (v) => {
        const gone = !v.ackmode.endsWith("true");
        if (gone && !await sure({ title: "Take messages out of the queue?", text: `Up to ${plural(Number(v.count), "message")} will leave queue “${name}” ${v.ackmode.startsWith("ack") ? "for good" : "as dead letters"}.`, action: "Take them", name, count: Number(v.count) })) return false;
        const got = await context.act(null, () => call("POST", `${path("queues", vhost, name)}/get`, { count: Number(v.count), ackmode: v.ackmode, encoding: v.encoding, truncate: FETCHED_MAX }));
        if (Array.isArray(got)) out.replaceChildren(...(got.length ? got.map((m) => message(m)) : [el("p", { class: "empty" }, "The queue is empty.")]));
        return false;
    };
    return el("div", { keep: true }, form("Get", take, el("div", { class: "row" }, field("How many", text("count", { type: "number", min: 1, max: 1000, value: 1, required: true })),
        field("And then", choice("ackmode", [["ack_requeue_true", "put them back (marked as redelivered)"], ["ack_requeue_false", "remove them"], ["reject_requeue_true", "reject, put them back"], ["reject_requeue_false", "reject: dead letters"]])),
        field("Show as", choice("encoding", [["auto", "text if it is text"], ["base64", "base64"]])))), out);
}

/* Piece by piece, with what has been moved on show; a click stops it. */
async function moveAll(context, vhost, name, where, count, out) {
    let moved = 0, stop = false, kept = 0, said = null, idle = 0;
    const status = el("p", { role: "status" });
    out.replaceChildren(el("progress", { max: Math.max(1, count), value: 0, "aria-label": "Moved" }), status, el("button", { type: "button", onclick: () => { stop = true; } }, "Stop"));
    let at = {};
    while (!stop && moved < count) {
        const answer = await context.act(null, () => call("POST", `${path("queues", vhost, name)}/move`, { ...where, ...at, limit: Math.min(MOVED_AT_ONCE, count - moved) }));
        if (!answer) break;
        moved += answer.moved;
        kept += answer.kept || 0;
        at = { position: answer.position, end: answer.end };
        out.querySelector("progress").value = moved;
        status.textContent = `${plural(moved, "message")} moved`;
        idle = answer.moved === 0 ? idle + 1 : 0;
        if (answer.stopped) said = answer.stopped;
        if (answer.done || answer.stopped || idle > 5) break;
    }
    out.replaceChildren(el("p", { role: "status" }, `${plural(moved, "message")} moved.${kept ? ` ${plural(kept, "message")} stayed: it is not known where they came from, or they cannot go there.` : ""}`));
    if (said) notify(said, "failed");
    context.refresh();
}

export function moveForm(context, vhost, name, countOf) {
    const out = el("div", { "aria-live": "polite" });
    const move = async (v) => {
        const count = Math.min(countOf(), Number(v.limit) || Infinity);
        const where = v.to === "queue" ? { to: "queue", queue: v.name } : v.to === "exchange" ? { to: "exchange", exchange: v.name, ...(v.key ? { routing_key: v.key } : {}) } : { to: v.to };
        const words = v.to === "queue" ? `to queue “${v.name}”` : v.to === "exchange" ? `to exchange “${v.name}”` : v.to === "x-death-origin" ? "back to the queues where they died" : "back to the exchanges that they came through";
        if (await sure({ title: `Move ${plural(count, "message")}?`, text: `They go from “${name}” ${words}. A message leaves this queue only when the other one has it.`, action: "Move them", name, count }))
            await moveAll(context, vhost, name, where, count, out);
        return false;
    };
    return el("div", { keep: true }, form("Move", move, el("div", { class: "row" },
        field("To", choice("to", [["queue", "a queue"], ["exchange", "an exchange"], ["x-death-origin", "dead letters: the queue where each died"], ["x-death-exchange", "dead letters: the exchange each came through"]])),
        field("Queue or exchange", text("name"), "not needed for dead letters"), field("Routing key", text("key"), "of an exchange; empty: its own"), field("At most", text("limit", { type: "number", min: 1, placeholder: "all" })))), out);
}
