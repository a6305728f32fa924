import { call, get, path, place, query, session } from "./api.js";
import { rangeQuery } from "./chart.js";
import { el, link } from "./dom.js";
import { bytes, number, plural, rate, rateOf } from "./format.js";
import { charts, rangeButtons } from "./overview.js";
import { choice, facts, field, fold, form, heading, section, sure, text } from "./parts.js";
import { list, table } from "./table.js";
import { limits, permissionColumns } from "./users.js";

const columns = [
    { label: "Name", sort: "name", fixed: true, className: "name", cell: (v) => link(place("vhosts", v.name), v.name) },
    { label: "Description", cell: (v) => v.description || v.metadata?.description || "" },
    { label: "Default type", hidden: true, cell: (v) => v.default_queue_type },
    { label: "Ready", sort: "messages_ready", number: true, cell: (v) => number(v.messages_ready) },
    { label: "Unacked", sort: "messages_unacknowledged", number: true, cell: (v) => number(v.messages_unacknowledged) },
    { label: "From clients", sort: "recv_oct_details.rate", number: true, cell: (v) => `${bytes(v.recv_oct_details?.rate ?? 0)}/s` },
    { label: "To clients", sort: "send_oct_details.rate", number: true, cell: (v) => `${bytes(v.send_oct_details?.rate ?? 0)}/s` },
    { label: "In", number: true, cell: (v) => rate(rateOf(v, "publish")) },
    { label: "Out", number: true, cell: (v) => rate(rateOf(v, "deliver_get")) },
];

export async function vhosts(context) {
    const body = await list(context, { name: "vhosts", noun: "virtual host", where: "vhosts", columns, byVhost: false, keyOf: (v) => v.name, empty: "None that you may see." });
    const add = (v) => {
        delete context.cache.vhosts;
        return context.act(`Virtual host “${v.name}” is there.`, () => call("PUT", path("vhosts", v.name), { description: v.description, tags: v.tags, ...(v.type ? { default_queue_type: v.type } : {}) }));
    };
    return { title: "Virtual hosts", body: [heading(null, "Virtual hosts"), body, session.may("administrator") && fold("Add a virtual host", form("Add", add,
        el("div", { class: "row" }, field("Name", text("name", { required: true })), field("Description", text("description")), field("Tags", text("tags")), field("Type of new queues", choice("type", [["", "classic"], "quorum", "stream"])))))] };
}

export async function vhost(context) {
    const name = context.segments[1], isAdmin = session.may("administrator");
    const [v, limited, permissions] = await Promise.all([get(`${path("vhosts", name)}${query(rangeQuery(context.query.range))}`, context.signal), get(`vhost-limits/${path(name)}`, context.signal),
        isAdmin ? get(`${path("vhosts", name)}/permissions`, context.signal) : []]);
    const remove = async () => {
        if (await sure({ title: `Delete virtual host “${name}”?`, text: `Everything in it goes: its queues with ${plural(v.messages ?? 0, "message")}, exchanges, bindings, policies and permissions. Its connections are closed.`, action: "Delete all of it", name, count: v.messages > 0 ? Infinity : 0 })) {
            delete context.cache.vhosts;
            context.act(`Virtual host “${name}” is deleted.`, () => call("DELETE", path("vhosts", name)), "#/vhosts");
        }
    };
    return { title: `Virtual host ${name}`, body: [
        heading("Virtual host", name, null, rangeButtons(context), isAdmin && el("div", { class: "actions" }, el("button", { type: "button", class: "danger", onclick: remove }, "Delete"))),
        charts(context, v, v.message_stats || {}),
        facts([["Description", v.description], ["Tags", Array.isArray(v.tags) && v.tags.join(", ")], ["Type of new queues", v.default_queue_type], ["Queues", link(`#/queues?vhost=${encodeURIComponent(name)}`, "show them")], ["Exchanges", link(`#/exchanges?vhost=${encodeURIComponent(name)}`, "show them")]]),
        isAdmin && section("Who may enter", table({ caption: "Permissions", columns: permissionColumns(context, "vhost"), rows: permissions.sort((a, b) => (a.user < b.user ? -1 : 1)), keyOf: (p) => p.user, empty: "Nobody: give a user permissions on its page." })),
        isAdmin && section("Limits", limits(context, "vhost-limits", name, ["max-connections", "max-queues"], limited[0]?.value || {})),
    ] };
}
