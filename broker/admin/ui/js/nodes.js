import { get, path, session } from "./api.js";
import { el } from "./dom.js";
import { bytes, duration, number } from "./format.js";
import { nodeLimits } from "./overview.js";
import { bar, facts, fold, heading, section, value } from "./parts.js";

const HIDDEN = /^total$|^strategy$/;
/* RabbitMQ's words for them, in plain ones. */
const NAMES = { binary: "messages' bodies", msg_index: "messages' places", mgmt_db: "this page and its API", code: "the program", other_proc: "everything else" };

function memory(all) {
    const parts = Object.entries(all).filter(([k, v]) => !HIDDEN.test(k) && v > 0).sort((a, b) => b[1] - a[1]);
    const total = all.total?.rss || parts.reduce((sum, [, v]) => sum + v, 0);
    return el("div", { class: "meters" }, parts.map(([k, v]) => bar(NAMES[k] || k.replaceAll("_", " "), v, total, bytes, false)));
}

async function oneNode(context, n) {
    const used = await get(`${path("nodes", n.name)}/memory`, context.signal);
    const status = session.may("administrator") ? await get("millrace/environment", context.signal).catch(() => null) : null;
    return [heading("Node", n.name, null),
        facts([["Up for", duration(n.uptime)], ["Process", n.os_pid], ["Processors", number(n.processors)], ["Data", n.db_dir], ["Log", (n.log_files || []).join(", ")], ["Configuration", (n.config_files || []).join(", ")],
            ["Memory alarm", n.mem_alarm ? "yes" : "no"], ["Disk alarm", n.disk_free_alarm ? "yes" : "no"], ["Syncs to disk", number(n.io_sync_count)], ["Mean time of a sync", Number.isFinite(n.io_sync_avg_time) ? `${n.io_sync_avg_time.toFixed(2)} ms` : null]]),
        el("div", { class: "columns" }, section("Limits", el("div", { class: "card" }, nodeLimits(n), el("p", { class: "hint" }, `Disk: ${bytes(n.disk_free)} free, alarm below ${bytes(n.disk_free_limit)}.`))),
        section("Memory", el("div", { class: "card" }, memory(used.memory)))),
        section("What clients of the API see", facts((n.applications || []).map((a) => [a.description || a.name, a.version]))),
        status && fold("Configuration", value(status))];
}

export async function nodes(context) {
    const all = await get("nodes", context.signal);
    const bodies = [];
    for (const n of all) bodies.push(await oneNode(context, n));
    return { title: "Node", body: bodies };
}
