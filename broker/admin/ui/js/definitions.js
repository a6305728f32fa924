import { call, path } from "./api.js";
import { ask, download, el } from "./dom.js";
import { field, form, heading, section } from "./parts.js";
import { plural } from "./format.js";
import { vhostNames } from "./table.js";

const NAMED_MAX = 12;

function vhostChoice(names) {
    return el("select", { name: "vhost" }, el("option", { value: "" }, "all, with users"), names.map((n) => el("option", { value: n }, n)));
}

function where(vhost) {
    return vhost ? `definitions/${path(vhost)}` : "definitions";
}

function nameOf(thing) {
    return typeof thing === "string" ? thing : [thing.object, thing.type || thing.kind, thing.vhost, thing.name ?? thing.user ?? [thing.source, thing.destination, thing.routing_key].filter((x) => x !== undefined).join(" → "), thing.reason].filter((x) => x !== undefined && x !== "").join(" · ");
}

/* {created, changed, conflicts, deleted, …}: each a number, a list, or an object of those by kind. */
function preview(answer) {
    return Object.entries(answer).map(([what, things]) => {
        const all = Array.isArray(things) ? things : things && typeof things === "object" ? Object.entries(things).flatMap(([kind, x]) => (Array.isArray(x) ? x.map((t) => `${kind} · ${nameOf(t)}`) : [`${kind}: ${x}`])) : null;
        return el("section", {}, el("h3", {}, `${what[0].toUpperCase()}${what.slice(1)}: ${all ? all.length : things}`), all && all.length > 0 &&
            el("ul", { class: "plain-list" }, all.slice(0, NAMED_MAX).map((t) => el("li", {}, nameOf(t))), all.length > NAMED_MAX && el("li", { class: "faint" }, `and ${all.length - NAMED_MAX} more`)));
    });
}

async function importFile(context, v) {
    if (!v.file) return false;
    const content = await v.file.text();
    let document;
    try {
        document = JSON.parse(content);
    } catch (error) {
        return context.act(null, async () => {
            throw new Error(`The file is not JSON: ${error.message}`);
        });
    }
    if (typeof document !== "object" || !document || Array.isArray(document))
        return context.act(null, async () => {
            throw new Error("The file is JSON, but has no definitions: they are an object with users, queues, bindings and so on.");
        });
    const tried = await context.act(null, () => call("POST", `${where(v.vhost)}?dry_run=true`, content));
    if (tried === null) return false;
    const yes = await ask({ title: `Import “${v.file.name}”?`, action: "Import", body: el("div", { class: "preview" }, preview(tried), el("p", { class: "hint" }, "Nothing that is there already is deleted.")) });
    return yes && context.act("The definitions are imported.", () => call("POST", where(v.vhost), content));
}

export async function definitions(context) {
    const names = await vhostNames(context);
    const exportFile = async (v) => {
        const content = await context.act(null, () => call("GET", where(v.vhost), undefined, { text: true }));
        if (content) {
            download(`millrace-definitions-${new Date().toISOString().slice(0, 10)}.json`, content, "application/json");
            context.act(`Exported: ${plural(content.length, "byte")}.`, async () => { });
        }
        return false;
    };
    return { title: "Definitions", body: [heading(null, "Definitions"),
        el("p", { class: "hint" }, "Users, permissions, virtual hosts, policies, exchanges, queues and bindings, as one JSON file; messages are not in it. Files of RabbitMQ 3.8 and later can be imported."),
        el("div", { class: "columns" }, section("Export", form("Download", exportFile, field("Virtual host", vhostChoice(names)))),
            section("Import", form("See what would change…", (v) => importFile(context, v), field("File", el("input", { type: "file", name: "file", accept: ".json,application/json", required: true })), field("Into virtual host", vhostChoice(names)))))] };
}
