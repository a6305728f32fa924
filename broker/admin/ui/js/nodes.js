import { get, path, session } from "./api.js";
import { el } from "./dom.js";
import { bytes, duration, number } from "./format.js";
import { bar, facts, fold, heading, section, value } from "./parts.js";

const HIDDEN = /^total$|^strategy$/;

function memory(all) {
    const parts = Object.entries(all).filter(([k, v]) => !HIDDEN.test(k) && v > 0).sort((a, b) => b[1] - a[1]);
    const total = all.total?.rss || parts.reduce((sum, [, v]) => sum + v, 0);
    return parts.map(([k, v]) => bar(k.replaceAll("_", " "), v, total, bytes, false));
}

async function oneNode(context, n) {
    const used = await get(`${path("nodes", n.name)}/memory`, context.signal);
    const status = session.may("administrator") ? await get("millrace/environment", context.signal).catch(() => null) : null;
    return [heading("Node", n.name, null),
        facts([["Up for", duration(n.uptime)], ["Process", n.os_pid], ["Processors", number(n.processors)], ["Data", n.db_dir], ["Log", (n.log_files || []).join(", ")], ["Configuration", (n.config_files || []).join(", ")],
            ["Memory alarm", n.mem_alarm ? "yes" : "no"], ["Disk alarm", n.disk_free_alarm ? "yes" : "no"], ["Syncs to disk", number(n.io_sync_count)], ["Mean time of a sync", Number.isFinite(n.io_sync_avg_time) ? `${n.io_sync_avg_time.toFixed(2)} ms` : null]]),
        el("div", { class: "columns" }, section("Limits", el("div", { class: "card" }, bar("Memory", n.mem_used, n.mem_limit, bytes), bar("File descriptors", n.fd_used, n.fd_total, number), bar("Sockets", n.sockets_used, n.sockets_total, number)),
            el("p", { class: "hint" }, `Disk: ${bytes(n.disk_free)} free, alarm below ${bytes(n.disk_free_limit)}.`)),
        section("Memory", el("div", { class: "card" }, memory(used.memory)))),
        section("Versions", facts((n.applications || []).map((a) => [a.description || a.name, a.version]))),
        status && fold("Configuration", value(status))];
}

export async function nodes(context) {
    const all = await get("nodes", context.signal);
    const bodies = [];
    for (const n of all) bodies.push(await oneNode(context, n));
    return { title: "Node", body: bodies };
}
