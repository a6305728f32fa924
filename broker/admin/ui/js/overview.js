import { call, get, place, query, session } from "./api.js";
import { chart, RANGES, rangeQuery, series } from "./chart.js";
import { el, link } from "./dom.js";
import { bytes, compact, duration, number, rate } from "./format.js";
import { bar, field, fold, form, heading, section, text, tiles } from "./parts.js";
import { table } from "./table.js";

/* Buttons for how far back. */
export function rangeButtons(context) {
    const now = context.query.range in RANGES ? context.query.range : "1 min";
    return el("div", { class: "ranges", role: "group", "aria-label": "How far back" }, Object.keys(RANGES).map((name) =>
        el("button", { type: "button", class: "small", "aria-pressed": String(name === now), onclick: () => context.set({ range: name }) }, name)));
}

/* The two charts of the broker, a virtual host or a queue. */
export function charts(context, totals, stats) {
    const gauge = (label, name, kind) => series(context.seen, label, kind, totals[`${name}_details`], totals[name], false);
    const counter = (label, name, kind) => stats[`${name}_details`] && series(context.seen, label, kind, stats[`${name}_details`], 0, true);
    const rates = [counter("Published", "publish", "one"), counter("Delivered", "deliver_get", "two"), counter("Acknowledged", "ack", "three"),
        counter("Confirmed", "confirm", "four"), counter("Redelivered", "redeliver", "five")].filter(Boolean);
    return el("div", { class: "charts", key: "charts" },
        chart("Waiting messages", [gauge("Ready", "messages_ready", "one"), gauge("Unacknowledged", "messages_unacknowledged", "two")], compact),
        rates.length ? chart("Messages a second", rates, (n) => compact(n)) : el("figure", { class: "chart" }, el("figcaption", {}, "Messages a second"), el("p", { class: "empty" }, "No traffic yet.")));
}

export function nodeLimits(node) {
    return el("div", { class: "meters" }, bar("Memory", node.mem_used, node.mem_limit, bytes), bar("File descriptors", node.fd_used, node.fd_total, number),
        bar("Sockets", node.sockets_used, node.sockets_total, number));
}

function nodeBars(node) {
    return el("div", { class: "card", key: node.name }, el("h3", {}, link("#/nodes", node.name)), nodeLimits(node),
        el("p", { class: "hint" }, `Disk: ${bytes(node.disk_free)} free, alarm below ${bytes(node.disk_free_limit)}. Up for ${duration(node.uptime)}.`));
}

function listeners(all) {
    return el("ul", { class: "plain-list" }, all.map((l) => el("li", { key: `${l.protocol} ${l.ip_address} ${l.port}` },
        el("b", {}, l.protocol), " ", el("code", {}, `${String(l.ip_address).includes(":") ? `[${l.ip_address}]` : l.ip_address}:${l.port}`))));
}

export async function overview(context) {
    const it = await get(`overview${query(rangeQuery(context.query.range))}`, context.signal);
    const all = session.may("monitoring") ? await get("nodes", context.signal) : [];
    context.cache.cluster = it.cluster_name;
    const o = it.object_totals || {}, q = it.queue_totals || {}, stats = it.message_stats || {}, churn = it.churn_rates || {};
    const churned = [["connection_created", "Connections opened"], ["connection_closed", "Connections closed"], ["channel_created", "Channels opened"],
        ["channel_closed", "Channels closed"], ["queue_declared", "Queues declared"], ["queue_created", "Queues created"], ["queue_deleted", "Queues deleted"]];
    return { title: "Overview", body: [
        heading(null, "Overview", null, rangeButtons(context)),
        tiles([["Ready", number(q.messages_ready ?? 0), "#/queues?sort=messages_ready&sort_reverse=true"], ["Unacknowledged", number(q.messages_unacknowledged ?? 0), "#/queues?sort=messages_unacknowledged&sort_reverse=true"],
            ["Connections", number(o.connections), "#/connections"], ["Channels", number(o.channels), "#/channels"], ["Consumers", number(o.consumers), "#/consumers"],
            ["Exchanges", number(o.exchanges), "#/exchanges"], ["Queues", number(o.queues), "#/queues"]]),
        charts(context, q, stats),
        (stats.return_unroutable_details?.rate > 0 || stats.drop_unroutable_details?.rate > 0) && el("p", { class: "hint", key: "unroutable" },
            `Going nowhere: ${rate(stats.drop_unroutable_details?.rate)} dropped, ${rate(stats.return_unroutable_details?.rate)} returned, because no queue takes them.`),
        el("div", { class: "columns", key: "columns" },
            all.length > 0 && section("Node", all.map(nodeBars)),
            section("Coming and going", table({ caption: "Coming and going", rows: churned, keyOf: ([name]) => name, columns: [{ label: "What", cell: ([, label]) => label },
                { label: "Now", number: true, cell: ([name]) => rate(churn[`${name}_details`]?.rate) }, { label: "In all", number: true, cell: ([name]) => number(churn[name]) }] })),
            it.listeners && section("Listeners", listeners(it.listeners))),
        session.may("administrator") && fold("Cluster name", form("Rename",
            (v) => context.act("The cluster has a new name.", () => call("PUT", "cluster-name", { name: v.name })), field("Name", text("name", { value: it.cluster_name, required: true })))),
        el("p", { class: "hint", key: "version" }, `Millrace ${it.product_version}; to clients of the API it is RabbitMQ ${it.rabbitmq_version}. `, session.may("administrator") && link(place("definitions"), "Export or import definitions")),
    ] };
}
