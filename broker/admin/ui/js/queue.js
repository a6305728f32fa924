import { call, get, path, place, query } from "./api.js";
import { rangeQuery } from "./chart.js";
import { el, link } from "./dom.js";
import { bytes, duration, moment, number, plural, rate, rateOf } from "./format.js";
import { browser, getForm, moveForm } from "./messages.js";
import { charts, rangeButtons } from "./overview.js";
import { badges, bindingsTable, facts, field, fold, form, heading, pairs, publishForm, readPairs, section, state, sure, text, unbind, value, why } from "./parts.js";
import { pageOf, piece, table } from "./table.js";

const HELD_MAX = 50;

function consumersTable(context, q) {
    const columns = [
        { label: "Consumer", className: "name", cell: (c) => [el("code", {}, c.consumer_tag), el("small", { class: "block" }, link(place("channels", c.channel_details.name), c.channel_details.name))] },
        { label: "Acks", aside: true, cell: (c) => (c.ack_required ? "manual" : "automatic") },
        { label: "Prefetch", number: true, aside: true, cell: (c) => (c.prefetch_count > 0 ? number(c.prefetch_count) : "no limit") },
        { label: "Holds", number: true, cell: (c) => number(c.messages_unacknowledged) },
        { label: "What it waits for", cell: why },
    ];
    const [rows, turn] = piece(context, q.consumer_details || [], "consumer", "consumers");
    const waiting = q.messages_ready > 0 ? `: ${plural(q.messages_ready, "message")} will wait until somebody does` : "";
    return [turn, table({ caption: "Consumers", columns, rows, keyOf: (c) => `${c.channel_details.name} ${c.consumer_tag}`,
        empty: q.type === "stream" ? "Nobody reads this stream." : `Nobody consumes from this queue${waiting}.` })];
}

/* Who holds what, the oldest first. */
function heldTable(held) {
    const columns = [
        { label: "For", number: true, cell: (m) => duration(m.unacked_for_seconds * 1000) },
        { label: "Held by", className: "name", cell: (m) => [m.consumer_tag === null ? "fetched" : el("code", {}, m.consumer_tag), el("small", { class: "block" }, link(place("channels", m.channel_details.name), m.channel_details.name))] },
        { label: "User", cell: (m) => m.user },
        { label: "Delivered before", number: true, cell: (m) => number(m.delivery_count) },
        { label: "Exchange", cell: (m) => m.exchange || "(default)" },
        { label: "Routing key", cell: (m) => el("code", {}, m.routing_key) },
        { label: "Size", number: true, cell: (m) => bytes(m.payload_bytes) },
    ];
    const more = held.total_count - held.items.length;
    return [table({ caption: "Messages that are not acknowledged", columns, rows: held.items, keyOf: (m) => `${m.position}`, empty: "Nobody holds a message of this queue." }),
        more > 0 && el("p", { class: "faint", key: "more" }, `These are the oldest; ${plural(more, "message")} more ${more === 1 ? "is" : "are"} out.`)];
}

/* Null: whoever asks may not read the queue. */
async function heldOf(context, own, q) {
    if (!q.messages_unacknowledged) return { items: [], total_count: 0 };
    try {
        return await get(`${own}/unacked${query({ page: 1, page_size: HELD_MAX, sort: "delivered_at" })}`, context.signal);
    } catch (failure) {
        if (failure.status === 401 || failure.status === 404) return null;
        throw failure;
    }
}

function actions(context, q, own) {
    const isPaused = q.state === "paused";
    const what = plural(q.messages, "message");
    const purge = async () => {
        if (await sure({ title: `Delete ${plural(q.messages_ready, "message")} from “${q.name}”?`, text: "They are gone for good, and are not dead-lettered. Messages that a consumer holds stay.", action: "Purge", name: q.name, count: q.messages_ready }))
            context.act(`Queue “${q.name}” is purged.`, () => call("DELETE", `${own}/contents`));
    };
    const remove = async () => {
        if (await sure({ title: `Delete queue “${q.name}” with ${what}?`, text: `Its messages are gone for good. ${q.consumers ? `${plural(q.consumers, "consumer")} will be cancelled.` : "Nobody consumes from it."}`, action: "Delete the queue", name: q.name, count: q.messages }))
            context.act(`Queue “${q.name}” is deleted.`, () => call("DELETE", own), "#/queues");
    };
    const pause = () => context.act(isPaused ? "Consumers get messages again." : "The queue is paused: it takes messages and gives none out.", () => call("PUT", `${own}/${isPaused ? "resume" : "pause"}`));
    return el("div", { class: "actions" }, q.type !== "stream" && el("button", { type: "button", onclick: pause }, isPaused ? "Resume" : "Pause"),
        q.type !== "stream" && el("button", { type: "button", class: "danger", onclick: purge }, "Purge"), el("button", { type: "button", class: "danger", onclick: remove }, "Delete"));
}

function details(q) {
    const policy = (name) => name && link(place("policies"), name);
    return facts([["State", state(q.state)], ["Ready", number(q.messages_ready)], ["Unacknowledged", number(q.messages_unacknowledged)], ["Total", number(q.messages)], ["Delayed", q.messages_delayed > 0 ? number(q.messages_delayed) : null],
        ["Bytes ready", bytes(q.message_bytes_ready)], ["Consumers", number(q.consumers)], ["In", rate(rateOf(q, "publish"))], ["Out", rate(rateOf(q, "deliver_get"))], ["Acknowledged", rate(rateOf(q, "ack"))],
        ["Oldest message", q.head_message_age_seconds > 0 ? duration(q.head_message_age_seconds * 1000) : null], ["Idle since", q.idle_since && moment(Date.parse(q.idle_since))],
        ["Dead letters on their way", q.messages_dlx > 0 ? number(q.messages_dlx) : null], ["Owner", q.owner_pid_details?.name && link(place("connections", q.owner_pid_details.name), q.owner_pid_details.name)],
        ["Policy", policy(q.policy)], ["Operator policy", policy(q.operator_policy)], ["Arguments", Object.keys(q.arguments || {}).length ? value(q.arguments) : null],
        ["Policies amount to", Object.keys(q.effective_policy_definition || {}).length ? value(q.effective_policy_definition) : null]]);
}

export async function queue(context) {
    const [, vhost, name] = context.segments, own = path("queues", vhost, name);
    const [q, bound] = await Promise.all([get(`${own}${query(rangeQuery(context.query.range))}`, context.signal), pageOf(context, `${own}/bindings`, "bindings")]);
    const held = q.type === "stream" ? null : await heldOf(context, own, q);
    const isStream = q.type === "stream";
    context.cache.depth = { ...context.cache.depth, [own]: q.messages_ready };
    const bind = (v, from) => context.act("The binding is there.", () => call("POST", path("bindings", vhost, "e", v.source, "q", name), { routing_key: v.routing_key, arguments: readPairs(from, "Arguments") }));
    return { title: `Queue ${q.name}`, body: [
        heading(isStream ? "stream" : `${q.type} queue`, q.name, vhost, badges(q), rangeButtons(context), actions(context, q, own)),
        q.state === "paused" && el("p", { class: "problem", key: "paused" }, "This queue is paused: it takes messages and gives none out until it is resumed."),
        charts(context, q, q.message_stats || {}), el("div", { key: "details" }, details(q)),
        section("Consumers", consumersTable(context, q)),
        held && section("Held by consumers", heldTable(held)),
        section("Bindings", bindingsTable(context, { caption: "Bindings to this queue", page: bound, key: "bindings", vhost, side: "source", onremove: (b) => unbind(context, vhost, b), empty: "Nothing routes to it." })),
        fold("Bind to an exchange", form("Bind", bind, el("div", { class: "row" }, field("Exchange", text("source", { required: true })), field("Routing key", text("routing_key"))), pairs("Arguments"))),
        fold("Look at messages", browser(context, vhost, name, isStream)),
        fold("Publish a message", publishForm(context, vhost, "", name)),
        !isStream && fold("Get messages", getForm(context, vhost, name)),
        !isStream && fold("Move messages, or put dead letters back", moveForm(context, vhost, name, () => context.cache.depth[own])),
    ] };
}
