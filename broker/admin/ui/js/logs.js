/* The newest lines of the log, the newest first. */
import { get } from "./api.js";
import { download, el } from "./dom.js";
import { plural } from "./format.js";
import { choice, heading } from "./parts.js";
import { filterField, piece, table } from "./table.js";

const LEVELS = ["debug", "info", "notice", "warning", "error", "critical"];

/* Each byte that is not ASCII is a character of its own in the log. */
function words(text) {
    return new TextDecoder().decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
}

/* As in the log's file: one line, whatever was said. */
function plain(text) {
    return text.replace(/[^ -~]/g, (letter) => `\\x${letter.charCodeAt(0).toString(16).padStart(2, "0")}`);
}

const columns = [
    { label: "Time", className: "time", cell: (l) => l.time.slice(0, 23).replace("T", " ") },
    { label: "Level", cell: (l) => el("span", { class: `level ${l.level}` }, l.level) },
    { label: "Where", aside: true, cell: (l) => el("code", {}, l.pid) },
    { label: "What", className: "what", cell: (l) => words(l.msg) },
];

export async function logs(context) {
    const all = (await get("millrace/log", context.signal)).items.reverse(), { level = "debug", name = "" } = context.query;
    const fits = all.filter((l) => LEVELS.indexOf(l.level) >= LEVELS.indexOf(level) && `${l.pid} ${words(l.msg)}`.toLowerCase().includes(name.toLowerCase()));
    const [rows, turn] = piece(context, fits, "line", "page");
    const save = () => download("millrace.log", fits.map((l) => `${l.time} [${l.level}] ${l.pid} ${plain(l.msg)}\n`).reverse().join(""), "text/plain");
    return { title: "Log", body: [heading(null, "Log"),
        el("div", { class: "bar", key: "bar" }, el("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, filterField(context, "With this in it"),
            el("label", { class: "field" }, el("span", {}, "Level"), choice("level", LEVELS.map((l) => [l, `${l} and above`]), level, { follow: level, onchange() { context.set({ level: this.value, page: null }); } }))),
        el("button", { type: "button", onclick: save }, "Download")),
        turn || el("p", { class: "hint", key: "count" }, `${plural(fits.length, "line")} of the ${plural(all.length, "newest line")}: the console or a file has them all.`),
        table({ caption: "Lines of the log", columns, rows, keyOf: (l) => `${l.id} ${l.time}`, empty: all.length ? "No line fits." : "Nothing was logged." })] };
}
