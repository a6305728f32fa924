import { call, get, path, session } from "./api.js";
import { ask, el } from "./dom.js";
import { OPTIONS } from "./format.js";
import { choice, field, fold, form, heading, pairs, readPairs, section, sure, text, value } from "./parts.js";
import { table, vhostNames, vhostSelect } from "./table.js";

const OPERATORS = ["message-ttl", "expires", "max-length", "max-length-bytes", "overflow", "delivery-limit", "max-publish-rate"];
const APPLY = ["all", "queues", "classic_queues", "quorum_queues", "streams", "exchanges"];

function fields(vhosts, keys, p) {
    return [el("div", { class: "row" }, p ? null : field("Virtual host", vhostSelect(vhosts, "/")), p ? null : field("Name", text("name", { required: true })),
        field("Pattern", text("pattern", { required: true, value: p ? p.pattern : "", placeholder: "^orders\\." }), "regular expression on names"),
        field("Applies to", choice("apply", p && !APPLY.includes(p["apply-to"]) ? [p["apply-to"], ...APPLY] : APPLY, p ? p["apply-to"] : "queues")), field("Priority", text("priority", { type: "number", value: p ? p.priority : 0 }), "the highest that fits wins")),
    pairs("Definition", keys, p ? p.definition : {})];
}

function put(kind, vhost, name, v, from) {
    return call("PUT", path(kind, vhost, name), { pattern: v.pattern, definition: readPairs(from, "Definition"), priority: Number(v.priority) || 0, "apply-to": v.apply });
}

function part(context, kind, noun, rows, vhosts, keys, mayWrite, empty) {
    const remove = async (p) => {
        if (await sure({ title: `Delete ${noun} “${p.name}”?`, text: `What fits “${p.pattern}” in “${p.vhost}” is no longer bound by it.`, action: "Delete" }))
            context.act(`Deleted “${p.name}”.`, () => call("DELETE", path(kind, p.vhost, p.name)));
    };
    const edit = async (p) => {
        const body = el("div", { class: "form" }, fields(vhosts, keys, p));
        const v = await ask({ title: `${noun[0].toUpperCase()}${noun.slice(1)} “${p.name}”`, action: "Save", body });
        if (v) context.act(`“${p.name}” is changed.`, () => put(kind, p.vhost, p.name, v, body));
    };
    const columns = [
        { label: "Name", className: "name", cell: (p) => p.name }, { label: "Virtual host", aside: true, cell: (p) => p.vhost }, { label: "Pattern", cell: (p) => el("code", {}, p.pattern) }, { label: "Applies to", aside: true, cell: (p) => p["apply-to"] },
        { label: "Definition", cell: (p) => value(p.definition) }, { label: "Priority", number: true, cell: (p) => p.priority },
        mayWrite && { label: "", cell: (p) => el("span", { class: "row" }, el("button", { type: "button", class: "small", onclick: () => edit(p) }, "Change"), el("button", { type: "button", class: "small", onclick: () => remove(p) }, "Delete")) },
    ].filter(Boolean);
    return [table({ caption: noun, columns, rows, keyOf: (p) => `${p.vhost} ${p.name}`, empty }),
        mayWrite && fold(`Add or replace ${noun.startsWith("o") ? "an" : "a"} ${noun}`, form("Save", (v, from) => context.act(`“${v.name}” is there.`, () => put(kind, v.vhost, v.name, v, from)), fields(vhosts, keys, null)))];
}

export async function policies(context) {
    const [own, operators, vhosts] = await Promise.all([get("policies", context.signal), get("operator-policies", context.signal), vhostNames(context)]);
    const few = Object.fromEntries(OPERATORS.map((k) => [k, OPTIONS[k]]));
    return { title: "Policies", body: [heading(null, "Policies"),
        section("Policies", part(context, "policies", "policy", own, vhosts, OPTIONS, session.may("policymaker"), "No policies. One gives every queue or exchange whose name fits the same settings.")),
        section("Operator policies", part(context, "operator-policies", "operator policy", operators, vhosts, few, session.may("administrator"), "No operator policies. They are limits that users' policies cannot go beyond."))] };
}
