/* Pieces that several pages have. */
import { call, path, place, query } from "./api.js";
import { ask, el, link, values } from "./dom.js";
import { features, plural, title } from "./format.js";
import { table, turner } from "./table.js";

const TYPING_FROM = 10000;

export function heading(kind, name, vhost, ...more) {
    return el("div", { class: "heading", key: "heading" }, el("h1", {}, kind && el("small", {}, kind), name),
        vhost !== undefined && vhost !== null ? el("span", { class: "in" }, "in virtual host ", el("b", {}, vhost)) : null, more);
}

export function section(name, ...body) {
    return el("section", { key: `section ${name}` }, el("h2", {}, name), body);
}

/* Closed until somebody opens it; open(body) fills it then, once. */
export function fold(name, ...body) {
    return el("details", { class: "fold", key: `fold ${name}` }, el("summary", {}, name), el("div", { class: "inside" }, body));
}

export function badges(row) {
    return el("span", { class: "badges" }, features(row).map(([letters, meaning]) =>
        el("abbr", { class: "badge", title: meaning }, letters)));
}

export function state(word) {
    const kind = ["running", "idle", "up", "single_active"].includes(word) ? "good" : ["paused", "flow", "blocked", "blocking", "waiting"].includes(word) ? "warn" : "";
    return el("span", { class: `state ${kind}` }, (word || "–").replaceAll("_", " "));
}

/* Why this consumer gets nothing just now, or that it does. */
export function why(consumer) {
    const isFine = ["nothing", "queue_empty", "lower_priority", "loading"].includes(consumer.waiting_for);
    return el("span", { class: isFine ? "why" : "why waits" }, consumer.explanation);
}

/* [[label, value, isWide], …] as a list of facts; what is null is left out. */
export function facts(pairs) {
    return el("dl", { class: "facts" }, pairs.filter((p) => p && p[1] !== null && p[1] !== undefined && p[1] !== "").map(([name, value, isWide]) =>
        el("div", { key: name, class: isWide ? "wide" : null }, el("dt", {}, name), el("dd", {}, value))));
}

export function tiles(pairs) {
    return el("div", { class: "tiles", key: "tiles" }, pairs.map(([name, value, hash, note]) =>
        el(hash ? "a" : "div", { class: "tile", href: hash || null, key: name }, el("span", {}, name), el("b", {}, value), note ? el("small", {}, note) : null)));
}

/* Any JSON, as text. */
export function value(v) {
    if (v === null || v === undefined) return el("span", { class: "faint" }, "none");
    if (Array.isArray(v)) return v.length && v.every((x) => typeof x !== "object") ? v.join(", ") : json(v);
    if (typeof v === "object") {
        const pairs = Object.entries(v);
        if (pairs.length === 0) return el("span", { class: "faint" }, "none");
        return el("dl", { class: "nested" }, pairs.map(([k, x]) => el("div", {}, el("dt", {}, k), el("dd", {}, value(x)))));
    }
    return String(v);
}

export function json(v) {
    return el("pre", {}, JSON.stringify(v, null, 2));
}

export function bar(name, used, total, show, isLimit = true) {
    const part = total > 0 ? Math.min(1, used / total) : 0;
    return el("div", { class: "meter", key: name }, el("span", {}, name), el("meter", { min: 0, max: 1, high: isLimit ? 0.8 : null, value: part, "aria-label": `${name}: ${show(used)} of ${show(total)}` }),
        el("span", { class: "number" }, `${show(used)} of ${show(total)}`));
}

/* ---- Forms. */

export function field(label, input, hint) {
    return el("label", { class: "field" }, el("span", {}, label), input, hint ? el("small", {}, hint) : null);
}

export function text(name, attributes = {}) {
    return el("input", { name, autocomplete: "off", spellcheck: "false", ...attributes });
}

export function choice(name, options, chosen, attributes = {}) {
    return el("select", { name, ...attributes }, options.map((o) => {
        const [v, label] = Array.isArray(o) ? o : [o, o];
        return el("option", { value: v, selected: v === chosen }, label);
    }));
}

export function check(name, label, checked = false) {
    return el("label", { class: "check" }, el("input", { type: "checkbox", name, checked }), label);
}

/* send(values, form): truthy, and the form is as it was. */
export function form(action, send, ...fields) {
    return el("form", { class: "form", async onsubmit(event) {
        event.preventDefault();
        const button = this.querySelector("button[type=submit]");
        button.disabled = true;
        try {
            if (await send(values(this), this)) {
                this.reset();
                this.querySelectorAll(".pairs").forEach((p) => p.replaceChildren());
            }
        } finally {
            button.disabled = false;
        }
    } }, fields, el("div", { class: "row end" }, el("button", { type: "submit", class: "primary" }, action)));
}

/* "true", "12", "1.5", {"json": 1} are what they look like; everything else, and what is in quotes, is text. */
export function guess(written) {
    try {
        return JSON.parse(written);
    } catch {
        return written;
    }
}

/* Rows of name and value, as many as wanted.  read(form) answers the object.  known: {name: [type, hint]}. */
export function pairs(legend, known = {}, start = {}) {
    const id = `known-${legend.replace(/\W/g, "")}`;
    const body = el("div", { class: "pairs" });
    const hint = el("small", { class: "hint" });
    const add = (name = "", v = "") => {
        const key = text("", { class: "pair-name", list: id, placeholder: "name", "aria-label": `${legend}: name`, value: name,
            oninput() { hint.textContent = known[this.value] || ""; } });
        const row = el("div", { class: "pair" }, key, text("", { class: "pair-value", placeholder: "value", "aria-label": `${legend}: value`, value: v }),
            el("button", { type: "button", class: "plain", "aria-label": "Remove this line", onclick: () => row.remove() }, "×"));
        body.append(row);
        return key;
    };
    Object.entries(start).forEach(([k, v]) => add(k, typeof v === "string" && typeof guess(v) === "string" ? v : JSON.stringify(v)));
    return el("fieldset", { class: "pairs-set", keep: true }, el("legend", {}, legend), body, hint,
        el("datalist", { id }, Object.keys(known).map((name) => el("option", { value: name }))),
        el("button", { type: "button", class: "small", onclick: () => add().focus() }, `Add ${legend.toLowerCase()}`));
}

export function readPairs(form, legend) {
    const set = [...form.querySelectorAll("fieldset")].find((f) => f.querySelector("legend")?.textContent === legend);
    const out = {};
    for (const row of set ? set.querySelectorAll(".pair") : []) {
        const [name, v] = row.querySelectorAll("input");
        if (name.value !== "") out[name.value] = guess(v.value);
    }
    return out;
}

/* ---- What cannot be undone. */

/* True: yes.  What is at stake is named, and where it is much, it must be typed. */
export async function sure({ title: question, text: what, action, name, count = 0 }) {
    const answer = await ask({ title: question, body: [el("p", {}, what)], action, danger: true, typed: count > TYPING_FROM ? name : null });
    return answer !== null;
}

/* ---- Bindings. */

/* page: of the API's list; key: where its number is in the address. */
export function bindingsTable(context, { caption, page, key, vhost, side, onremove, empty }) {
    const end = (type, name) => (name === "" ? title("") : link(place(type === "queue" ? "queues" : "exchanges", vhost, name), name));
    return [turner(context, page, "binding", key), table({ caption, rows: page.items, empty, keyOf: (b) => JSON.stringify([b.source, b.destination_type, b.destination, b.properties_key]),
        columns: [
            side === "source" && { label: "From", cell: (b) => end("exchange", b.source) },
            side === "destination" && { label: "To", cell: (b) => [el("small", { class: "faint" }, `${b.destination_type} `), end(b.destination_type, b.destination)] },
            { label: "Routing key", cell: (b) => el("code", {}, b.routing_key) },
            { label: "Arguments", cell: (b) => value(b.arguments) },
            onremove && { label: "", cell: (b) => b.source !== "" && el("button", { type: "button", class: "small", onclick: () => onremove(b) }, "Unbind") },
        ].filter(Boolean) })];
}

export async function unbind(context, vhost, b) {
    if (!await sure({ title: "Remove this binding?", text: `“${b.source}” will no longer route “${b.routing_key}” to ${b.destination_type} “${b.destination}”.`, action: "Unbind" })) return;
    const kind = b.destination_type === "queue" ? "q" : "e";
    context.act("The binding is removed.", () =>
        call("DELETE", path("bindings", vhost, "e", b.source, kind, b.destination, b.properties_key)));
}

/* ---- Publishing. */

const PROPERTIES = ["content_type", "content_encoding", "priority", "correlation_id", "reply_to", "expiration", "message_id", "timestamp", "type", "user_id", "app_id", "cluster_id"];
const NUMBERS = ["priority", "timestamp", "delivery_mode"];

async function base64Of(file) {
    const bytes = new Uint8Array(await file.arrayBuffer());
    let out = "";
    for (let i = 0; i < bytes.length; i += 32768) out += String.fromCharCode(...bytes.subarray(i, i + 32768));
    return btoa(out);
}

export function publishForm(context, vhost, exchange, key) {
    const send = async (v, from) => {
        const properties = readPairs(from, "Properties");
        for (const name of NUMBERS) if (name in properties) properties[name] = Number(properties[name]);
        for (const name in properties) if (!NUMBERS.includes(name)) properties[name] = String(properties[name]);
        const headers = readPairs(from, "Headers");
        if (Object.keys(headers).length) properties.headers = headers;
        properties.delivery_mode = v.persistent ? 2 : 1;
        const body = { routing_key: v.routing_key, properties, payload: v.payload, payload_encoding: v.encoding };
        if (v.file) Object.assign(body, { payload: await base64Of(v.file), payload_encoding: "base64" });
        const answer = await context.act(null, () => call("POST", `${path("exchanges", vhost, exchange || "amq.default")}/publish`, body));
        if (answer) context.act(answer.routed ? "The message was routed." : "The message was published, but no queue takes it: it is gone.", async () => { });
        return false;
    };
    return form("Publish", send, field("Routing key", text("routing_key", { value: key || "" })),
        field("Payload", el("textarea", { name: "payload", rows: 4, spellcheck: "false" })),
        el("div", { class: "row" }, field("Payload is", choice("encoding", [["string", "text"], ["base64", "base64"]])), field("or a file", el("input", { type: "file", name: "file" })),
            check("persistent", "Persistent", true)),
        pairs("Properties", Object.fromEntries(PROPERTIES.map((p) => [p, ""]))), pairs("Headers"));
}

/* ---- Where would a message go? */

export function explainForm(context, vhost, exchange) {
    const out = el("div", { class: "explained", keep: true, "aria-live": "polite" });
    const send = async (v, from) => {
        const headers = readPairs(from, "Headers");
        const place = from.parentNode.querySelector(".explained");
        const answer = await context.act(null, () => call("GET", path("exchanges", vhost, exchange || "amq.default", "explain") +
            query({ routing_key: v.routing_key || undefined, headers: Object.keys(headers).length ? JSON.stringify(headers) : undefined })));
        place.replaceChildren(...(answer ? [explained(answer)] : []));
        return false;
    };
    return el("div", {}, form("Explain", send, field("Routing key", text("routing_key")), pairs("Headers")), out);
}

function explained(answer) {
    const queues = answer.queues || [], others = (answer.bindings || []).filter((b) => !b.matched);
    const places = (things, each) => el("ul", { class: "plain-list" }, things.map((t) => el("li", {}, each(t))));
    return el("div", {}, el("h3", {}, queues.length ? `${plural(queues.length, "queue")} would get it.` : "No queue would get this message."),
        places(queues, (q) => [link(place("queues", answer.vhost, q.name), q.name), q.certain === false ? " (perhaps) " : " ", el("span", {}, q.explanation || ""),
            (q.dead_letters || []).map((d) => el("small", { class: "block" }, d.explanation || ""))]),
        answer.explanation && el("p", {}, answer.explanation),
        others.length > 0 && el("details", {}, el("summary", {}, `${plural(others.length, "binding")} that ${others.length === 1 ? "does" : "do"} not match`),
            places(others, (b) => [el("code", {}, b.routing_key), ` to ${b.destination}: `, b.why || ""])),
        answer.left_off > 0 && el("p", { class: "hint" }, `${plural(answer.left_off, "more")} left off.`));
}
