import { call, get, path, place, query } from "./api.js";
import { chart, rangeQuery, series } from "./chart.js";
import { el, link } from "./dom.js";
import { compact, number, rate, rateOf, title } from "./format.js";
import { rangeButtons } from "./overview.js";
import { badges, bindingsTable, check, choice, explainForm, facts, field, fold, form, heading, pairs, publishForm, readPairs, section, sure, text, unbind, value } from "./parts.js";
import { list, pageOf, vhostNames, vhostSelect } from "./table.js";
import { topology } from "./topology.js";

const TYPES = ["direct", "fanout", "topic", "headers", "x-consistent-hash", "x-modulus-hash", "x-random", "x-recent-history", "x-delayed-message"];
const KNOWN = { "alternate-exchange": "Where messages go that match no binding.", "x-delayed-type": "The type that an x-delayed-message exchange routes by: \"direct\", \"topic\", …",
    "hash-header": "The header that x-consistent-hash looks at.", "x-recent-history-length": "How many messages x-recent-history keeps." };
const LOOKED_AT_MAX = 6;

const columns = [
    { label: "Name", sort: "name", fixed: true, className: "name", cell: (x) => link(place("exchanges", x.vhost, x.name || "amq.default"), title(x.name)) },
    { label: "Virtual host", sort: "vhost", cell: (x) => x.vhost },
    { label: "Type", sort: "type", cell: (x) => x.type },
    { label: "Features", cell: badges },
    { label: "In", sort: "message_stats.publish_in_details.rate", number: true, cell: (x) => rate(rateOf(x, "publish_in")) },
    { label: "Out", sort: "message_stats.publish_out_details.rate", number: true, cell: (x) => rate(rateOf(x, "publish_out")) },
];

async function addForm(context) {
    const add = (v, from) => context.act(`Exchange “${v.name}” is there.`, () => call("PUT", path("exchanges", v.vhost, v.name),
        { type: v.type, durable: v.durable, auto_delete: v.auto_delete, internal: v.internal, arguments: readPairs(from, "Arguments") }));
    return fold("Add an exchange", form("Add", add, el("div", { class: "row" }, field("Virtual host", vhostSelect(await vhostNames(context), context.query.vhost || "/")),
        field("Name", text("name", { required: true })), field("Type", choice("type", TYPES, "direct"))),
    el("div", { class: "row" }, check("durable", "Durable", true), check("auto_delete", "Delete itself when the last binding goes"), check("internal", "Internal: clients cannot publish to it")), pairs("Arguments", KNOWN)));
}

export async function exchanges(context) {
    const body = await list(context, { name: "exchanges", noun: "exchange", where: "exchanges", columns, keyOf: (x) => `${x.vhost} ${x.name}`, empty: "No exchanges here." });
    return { title: "Exchanges", body: [heading(null, "Exchanges"), body, await addForm(context)] };
}

function bindForm(context, vhost, name) {
    const bind = (v, from) => context.act("The binding is there.", () => call("POST", path("bindings", vhost, "e", name, v.kind, v.destination),
        { routing_key: v.routing_key, arguments: readPairs(from, "Arguments") }));
    return form("Bind", bind, el("div", { class: "row" }, field("To", choice("kind", [["q", "queue"], ["e", "exchange"]])), field("Name", text("destination", { required: true })), field("Routing key", text("routing_key"))),
        pairs("Arguments", { "x-match": "For headers exchanges: \"all\" or \"any\"." }));
}

async function remove(context, x) {
    if (!await sure({ title: `Delete exchange “${x.name}”?`, text: "Its bindings go with it; messages that are published to it then are refused.", action: "Delete the exchange" })) return;
    context.act(`Exchange “${x.name}” is deleted.`, () => call("DELETE", path("exchanges", x.vhost, x.name)), "#/exchanges");
}

export async function exchange(context) {
    const [, vhost, name] = context.segments, own = path("exchanges", vhost, name);
    const [x, out, into] = await Promise.all([get(own + query(rangeQuery(context.query.range)), context.signal), pageOf(context, `${own}/bindings/source`, "out"), pageOf(context, `${own}/bindings/destination`, "in")]);
    const outgoing = out.items, incoming = into.items, isDefault = x.name === "", isOurs = !isDefault && !x.name.startsWith("amq.");
    const further = [...new Set(outgoing.filter((b) => b.destination_type === "exchange" && b.destination !== x.name).map((b) => b.destination))].slice(0, LOOKED_AT_MAX);
    const next = Object.fromEntries(await Promise.all(further.map(async (n) => [n, (await get(`${path("exchanges", vhost, n)}/bindings/source?page=1&page_size=50`, context.signal)).items])));
    const line = (label, name, kind) => series(context.seen, label, kind, x.message_stats[`${name}_details`], 0, true);
    const left = out.total_count - outgoing.length + into.total_count - incoming.length;
    const remover = isDefault ? null : (b) => unbind(context, vhost, b);
    return { title: `Exchange ${title(x.name)}`, body: [
        heading(`${x.type} exchange`, title(x.name), vhost, badges(x), rangeButtons(context), isOurs && el("div", { class: "actions" }, el("button", { type: "button", class: "danger", onclick: () => remove(context, x) }, "Delete"))),
        x.message_stats && el("div", { class: "charts", key: "charts" }, chart("Messages a second", [line("In", "publish_in", "one"), line("Out", "publish_out", "two")], compact)),
        facts([["In", `${rate(rateOf(x, "publish_in"))} · ${number(x.message_stats?.publish_in ?? 0)} in all`], ["Out", `${rate(rateOf(x, "publish_out"))} · ${number(x.message_stats?.publish_out ?? 0)} in all`],
            ["Held back for later", x.messages_delayed], ["Policy", x.policy && link(place("policies"), x.policy)], ["Arguments", Object.keys(x.arguments || {}).length ? value(x.arguments) : null]]),
        section("Picture", isDefault ? el("p", { class: "empty" }, "Every queue is bound to it by its own name; nothing else can be.") : [topology(vhost, x.name, incoming, outgoing, next), left > 0 && el("p", { class: "hint" }, `The picture has the bindings of the pages below; ${number(left)} more ${left === 1 ? "is" : "are"} on others.`)]),
        !isDefault && section("Routes to", bindingsTable(context, { caption: "Bindings from here", page: out, key: "out", vhost, side: "destination", onremove: remover, empty: "Nothing is bound to it." })),
        !isDefault && incoming.length > 0 && section("Gets from", bindingsTable(context, { caption: "Bindings to here", page: into, key: "in", vhost, side: "source", onremove: remover })),
        !isDefault && fold("Bind", bindForm(context, vhost, x.name)),
        !x.internal && fold("Publish a message", publishForm(context, vhost, x.name)),
        fold("Where would a message go?", explainForm(context, vhost, x.name)),
    ] };
}

