import { call, get, path, place } from "./api.js";
import { ask, el, link } from "./dom.js";
import { field, fold, form, heading, section, sure, text } from "./parts.js";
import { list, table, vhostNames, vhostSelect } from "./table.js";

const TAGS = ["management", "policymaker", "monitoring", "administrator"];

export function tagsField(now = []) {
    return el("div", {}, field("Tags", text("tags", { value: now.join(", "), list: "tags" }), "management: may log in here; policymaker: policies, too; monitoring: sees all; administrator: everything"),
        el("datalist", { id: "tags" }, TAGS.map((t) => el("option", { value: t }))));
}

const columns = (context) => [
    { label: "Name", sort: "name", fixed: true, className: "name", cell: (u) => link(place("users", u.name), u.name) },
    { label: "Tags", cell: (u) => u.tags.join(", ") },
    { label: "Virtual hosts", cell: (u) => context.access.get(u.name)?.join(", ") || el("span", { class: "faint" }, "no access") },
    { label: "Password", cell: (u) => (u.password_hash ? "set" : el("span", { class: "faint" }, "none")) },
];

async function remove(context, names) {
    const what = names.length === 1 ? `user “${names[0]}”` : `${names.length} users`;
    if (!await sure({ title: `Delete ${what}?`, text: `${names.join(", ")}: connections are closed and permissions go.`, action: "Delete" })) return;
    context.act(`Deleted: ${names.join(", ")}.`, () => (names.length === 1 ? call("DELETE", path("users", names[0])) : call("POST", "users/bulk-delete", { users: names })), context.segments.length > 1 ? "#/users" : null);
}

export async function users(context) {
    const permissions = await get("permissions", context.signal);
    const access = new Map();
    for (const p of permissions) access.set(p.user, [...(access.get(p.user) || []), p.vhost]);
    const mine = { ...context, access };
    const body = await list(mine, { name: "users", noun: "user", where: "users", byVhost: false, keyOf: (u) => u.name, empty: "No users.",
        columns: [{ label: "Choose", fixed: true, cell: (u) => el("input", { type: "checkbox", class: "chosen", value: u.name, "aria-label": `Choose ${u.name}` }) }, ...columns(mine)] });
    const add = (v) => context.act(`User “${v.name}” is there.`, () => call("PUT", path("users", v.name), { ...(v.password ? { password: v.password } : { password_hash: "" }), tags: v.tags }));
    const removeChosen = () => {
        const names = [...document.querySelectorAll("input.chosen:checked")].map((i) => i.value);
        if (names.length) remove(context, names);
    };
    return { title: "Users", body: [heading(null, "Users", null, el("div", { class: "actions" }, el("button", { type: "button", class: "danger", onclick: removeChosen }, "Delete chosen"))), body,
        fold("Add a user", form("Add", add, el("div", { class: "row" }, field("Name", text("name", { required: true })), field("Password", text("password", { type: "password", autocomplete: "new-password" }), "empty: cannot log in with a password")), tagsField(["management"])))] };
}

export function permissionColumns(context, of) {
    const drop = async (p) => {
        if (await sure({ title: `Take away these permissions?`, text: `User “${p.user}” will not get into virtual host “${p.vhost}” any more.`, action: "Take away" }))
            context.act("The permissions are gone.", () => call("DELETE", path("permissions", p.vhost, p.user)));
    };
    return [of === "user" ? { label: "Virtual host", cell: (p) => link(place("vhosts", p.vhost), p.vhost) } : { label: "User", cell: (p) => link(place("users", p.user), p.user) },
        ...["configure", "write", "read"].map((k) => ({ label: k[0].toUpperCase() + k.slice(1), cell: (p) => el("code", {}, p[k]) })),
        { label: "", cell: (p) => el("button", { type: "button", class: "small", onclick: () => drop(p) }, "Take away") }];
}

function topicColumns(context) {
    const drop = async (p) => {
        if (await sure({ title: "Take away these topic permissions?", text: `In virtual host “${p.vhost}”, its permissions alone say then what user “${p.user}” may do with the topics of ${p.exchange ? `exchange “${p.exchange}”` : "all exchanges"}.`, action: "Take away" }))
            context.act("The topic permissions are gone.", () => call("DELETE", path("topic-permissions", p.vhost, p.user, p.exchange)));
    };
    return [{ label: "Virtual host", cell: (p) => p.vhost }, { label: "Exchange", cell: (p) => p.exchange || "all" }, { label: "Write", cell: (p) => el("code", {}, p.write) }, { label: "Read", cell: (p) => el("code", {}, p.read) },
        { label: "", cell: (p) => el("button", { type: "button", class: "small", onclick: () => drop(p) }, "Take away") }];
}

/* Limits of a user or a virtual host. */
export function limits(context, where, name, known, now) {
    const set = (v) => context.act("The limit is set.", () => call("PUT", path(where, name, v.limit), { value: Number(v.value) }));
    const drop = async (limit) => {
        if (await sure({ title: `Remove the limit ${limit} of “${name}”?`, text: "There is no limit then.", action: "Remove" }))
            context.act("The limit is gone.", () => call("DELETE", path(where, name, limit)));
    };
    const rows = Object.entries(now);
    return [table({ caption: "Limits", rows, keyOf: ([k]) => k, empty: "No limits.", columns: [{ label: "Limit", cell: ([k]) => k }, { label: "Value", number: true, cell: ([, v]) => (v < 0 ? "no limit" : String(v)) },
        { label: "", cell: ([k]) => el("button", { type: "button", class: "small", onclick: () => drop(k) }, "Remove") }] }),
    form("Set the limit", set, el("div", { class: "row" }, field("Limit", el("select", { name: "limit" }, known.map((k) => el("option", { value: k }, k)))), field("Value", text("value", { type: "number", required: true }), "negative: no limit")))];
}

export async function user(context) {
    const name = context.segments[1], own = path("users", name);
    const [u, permissions, topics, limited, vhosts] = await Promise.all([get(own, context.signal), get(`${own}/permissions`, context.signal), get(`${own}/topic-permissions`, context.signal),
        get(`user-limits/${path(name)}`, context.signal), vhostNames(context)]);
    const setPermissions = (v) => context.act("The permissions are set.", () => call("PUT", path("permissions", v.vhost, name), { configure: v.configure, write: v.write, read: v.read }));
    const setTopics = (v) => context.act("The topic permissions are set.", () => call("PUT", path("topic-permissions", v.vhost, name), { exchange: v.exchange, write: v.write, read: v.read }));
    const keep = () => ({ password_hash: u.password_hash, hashing_algorithm: u.hashing_algorithm });
    const setTags = (v) => context.act("The tags are set.", () => call("PUT", own, { ...keep(), tags: v.tags }));
    const setPassword = async () => {
        const v = await ask({ title: `New password of “${name}”`, action: "Set it", body: field("Password", text("password", { type: "password", autocomplete: "new-password" }), "empty: no login with a password any more") });
        if (v) context.act("The password is set.", () => call("PUT", own, { ...(v.password ? { password: v.password } : { password_hash: "" }), tags: u.tags.join(",") }));
    };
    return { title: `User ${name}`, body: [
        heading("User", name, null, el("div", { class: "actions" }, el("button", { type: "button", onclick: setPassword }, "Set password"), el("button", { type: "button", class: "danger", onclick: () => remove(context, [name]) }, "Delete"))),
        permissions.length === 0 && el("p", { class: "problem", key: "none" }, "This user has no permissions: it cannot open a connection to any virtual host."),
        section("Permissions", table({ caption: "Permissions", columns: permissionColumns(context, "user"), rows: permissions, keyOf: (p) => p.vhost, empty: "None yet." }),
            form("Set permissions", setPermissions, el("div", { class: "row" }, field("Virtual host", vhostSelect(vhosts, "/")), ...["configure", "write", "read"].map((k) => field(k[0].toUpperCase() + k.slice(1), text(k, { value: ".*" })))))),
        section("Topic permissions", table({ caption: "Topic permissions", columns: topicColumns(context), rows: topics, keyOf: (p) => `${p.vhost} ${p.exchange}`, empty: "None: its permissions decide alone." }),
            fold("Set topic permissions", form("Set topic permissions", setTopics, el("div", { class: "row" }, field("Virtual host", vhostSelect(vhosts, "/")), field("Exchange", text("exchange", { value: "amq.topic" })),
                field("Write", text("write", { value: ".*" })), field("Read", text("read", { value: ".*" })))))),
        section("Tags", form("Set tags", setTags, tagsField(u.tags))),
        section("Limits", limits(context, "user-limits", name, ["max-connections", "max-channels"], limited[0]?.value || {})),
    ] };
}
