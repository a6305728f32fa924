/* Connections, channels and consumers. */
import { call, get, path, place, session } from "./api.js";
import { ask, el, link } from "./dom.js";
import { bytes, moment, number, rate, rateOf } from "./format.js";
import { facts, field, heading, section, state, text, value, why } from "./parts.js";
import { list, piece, table } from "./table.js";

/* Of others, only the tag monitoring shows connections and channels. */
const own = (words) => (session.may("monitoring") ? words : "None of yours. Those of other users are shown to users who have the tag monitoring.");


function consumerLink(c) {
    return link(place("queues", c.queue.vhost, c.queue.name), c.queue.name);
}

const connectionColumns = [
    { label: "Name", sort: "name", fixed: true, className: "name", cell: (c) => [link(place("connections", c.name), c.user_provided_name || c.name),
        c.user_provided_name ? el("small", { class: "faint block" }, c.name) : null] },
    { label: "Virtual host", sort: "vhost", aside: true, cell: (c) => c.vhost },
    { label: "User", sort: "user", aside: true, cell: (c) => c.user },
    { label: "State", sort: "state", cell: (c) => state(c.state) },
    { label: "TLS", sort: "ssl", aside: true, cell: (c) => (c.ssl ? "yes" : "") },
    { label: "Protocol", hidden: true, cell: (c) => c.protocol },
    { label: "Channels", sort: "channels", number: true, cell: (c) => number(c.channels) },
    { label: "From client", sort: "recv_oct_details.rate", number: true, cell: (c) => `${bytes(c.recv_oct_details?.rate ?? 0)}/s` },
    { label: "To client", sort: "send_oct_details.rate", number: true, cell: (c) => `${bytes(c.send_oct_details?.rate ?? 0)}/s` },
    { label: "Client", cell: (c) => [c.client_properties?.product, c.client_properties?.version].filter((x) => typeof x === "string").join(" ") },
    { label: "Since", sort: "connected_at", hidden: true, cell: (c) => moment(c.connected_at) },
];

const channelColumns = [
    { label: "Channel", sort: "name", fixed: true, className: "name", cell: (c) => link(place("channels", c.name), c.name) },
    { label: "Virtual host", sort: "vhost", aside: true, cell: (c) => c.vhost },
    { label: "User", sort: "user", aside: true, cell: (c) => c.user },
    { label: "Mode", aside: true, cell: (c) => [c.confirm && el("abbr", { class: "badge", title: "publisher confirms" }, "C"), c.transactional && el("abbr", { class: "badge", title: "transactions" }, "T")] },
    { label: "State", sort: "state", cell: (c) => state(c.state) },
    { label: "Consumers", sort: "consumer_count", number: true, cell: (c) => number(c.consumer_count) },
    { label: "Prefetch", sort: "prefetch_count", number: true, cell: (c) => [number(c.prefetch_count), c.global_prefetch_count > 0 && ` (${number(c.global_prefetch_count)} in all)`] },
    { label: "Unacked", sort: "messages_unacknowledged", number: true, cell: (c) => number(c.messages_unacknowledged) },
    { label: "Unconfirmed", sort: "messages_unconfirmed", number: true, cell: (c) => number(c.messages_unconfirmed) },
    { label: "Publish", sort: "message_stats.publish_details.rate", number: true, cell: (c) => rate(rateOf(c, "publish")) },
    { label: "Deliver", sort: "message_stats.deliver_get_details.rate", number: true, cell: (c) => rate(rateOf(c, "deliver_get")) },
    { label: "Ack", sort: "message_stats.ack_details.rate", number: true, cell: (c) => rate(rateOf(c, "ack")) },
];

const consumerColumns = [
    { label: "Consumer tag", sort: "consumer_tag", fixed: true, className: "name", cell: (c) => [el("code", {}, c.consumer_tag), el("small", { class: "block" }, link(place("channels", c.channel_details.name), c.channel_details.name))] },
    { label: "Queue", sort: "queue.name", cell: consumerLink },
    { label: "Virtual host", sort: "queue.vhost", aside: true, cell: (c) => c.queue.vhost },
    { label: "Acks", sort: "ack_required", aside: true, cell: (c) => (c.ack_required ? "manual" : "automatic") },
    { label: "Exclusive", sort: "exclusive", hidden: true, cell: (c) => (c.exclusive ? "yes" : "") },
    { label: "Prefetch", sort: "prefetch_count", number: true, aside: true, cell: (c) => (c.prefetch_count > 0 ? number(c.prefetch_count) : "no limit") },
    { label: "Holds", number: true, cell: (c) => number(c.messages_unacknowledged) },
    { label: "State", aside: true, cell: (c) => state(c.activity_status || (c.active ? "up" : "waiting")) },
    { label: "What it waits for", cell: why },
    { label: "Arguments", hidden: true, cell: (c) => value(c.arguments) },
];

/* The page of all of them. */
const listed = (title, plan) => async (context) => {
    const name = title.toLowerCase();
    return { title, body: [heading(null, title), await list(context, { name, noun: name.slice(0, -1), where: name, byVhost: false, ...plan() })] };
};

const connections = listed("Connections", () => ({ columns: connectionColumns, keyOf: (c) => c.name,
    empty: own("No client is connected. Give one the address of an AMQP listener: they are on the overview.") }));

async function closeConnection(context, c) {
    const answer = await ask({ title: "Close this connection?", danger: true, action: "Close the connection", body: [
        el("p", {}, `“${c.user_provided_name || c.name}” of user “${c.user}” is told why and closed. Most clients connect again.`),
        field("Reason, which the client sees", text("reason", { value: "Closed via management plugin" }))] });
    if (!answer) return;
    const reason = answer.reason.replace(/[^\x20-\x7e]/g, "?");
    context.act("The connection is closed.", () => call("DELETE", path("connections", c.name), undefined, { headers: { "x-reason": reason } }), "#/connections");
}

async function connection(context) {
    const name = context.segments[1];
    const c = await get(path("connections", name), context.signal);
    const [channels, turn] = piece(context, await get(`${path("connections", name)}/channels`, context.signal), "channel", "channels");
    return { title: `Connection ${c.user_provided_name || name}`, body: [
        heading("Connection", c.user_provided_name || name, c.vhost, el("div", { class: "actions" },
            el("button", { type: "button", class: "danger", onclick: () => closeConnection(context, c) }, "Close"))),
        facts([["State", state(c.state)], ["User", session.may("administrator") ? link(place("users", c.user), c.user) : c.user], ["Name", c.name], ["Protocol", c.protocol], ["Login by", c.auth_mechanism],
            ["Connected since", moment(c.connected_at)], ["Heartbeat", c.timeout ? `${c.timeout} s` : "none"], ["Largest frame", bytes(c.frame_max)],
            ["Channels", `${number(c.channels)} of ${number(c.channel_max)}`], ["From client", `${bytes(c.recv_oct)} · ${bytes(c.recv_oct_details?.rate ?? 0)}/s`],
            ["To client", `${bytes(c.send_oct)} · ${bytes(c.send_oct_details?.rate ?? 0)}/s`], ["TLS", c.ssl ? [c.ssl_protocol, c.ssl_cipher].filter(Boolean).join(", ") || "yes" : "no"],
            ["Certificate", c.peer_cert_subject], ["Issued by", c.peer_cert_issuer], ["Valid", c.peer_cert_validity]]),
        section("Channels", turn, table({ caption: "Channels", columns: channelColumns.filter((x) => x.label !== "Virtual host").map((x) => ({ ...x, sort: null })),
            rows: channels, keyOf: (x) => x.name, empty: "It has no channel open." })),
        section("What the client says of itself", el("div", { class: "card" }, value(c.client_properties))),
    ] };
}

const channels = listed("Channels", () => ({ columns: channelColumns, keyOf: (c) => c.name, empty: own("No channel is open.") }));

async function channel(context) {
    const c = await get(path("channels", context.segments[1]), context.signal);
    const of = c.connection_details || {}, [rows, turn] = piece(context, c.consumer_details || [], "consumer", "consumers");
    return { title: `Channel ${c.name}`, body: [
        heading("Channel", c.name, c.vhost),
        facts([["Connection", link(place("connections", of.name), of.name)], ["State", state(c.state)], ["User", c.user],
            ["Mode", c.confirm ? "publisher confirms" : c.transactional ? "transactions" : "plain"], ["Prefetch of each new consumer", number(c.prefetch_count)], ["Prefetch of the channel", number(c.global_prefetch_count)],
            ["Unacknowledged", number(c.messages_unacknowledged)], ["Unconfirmed", number(c.messages_unconfirmed)], ["Published", `${number(c.message_stats?.publish ?? 0)} · ${rate(rateOf(c, "publish"))}`],
            ["Delivered", `${number(c.message_stats?.deliver_get ?? 0)} · ${rate(rateOf(c, "deliver_get"))}`], ["Acknowledged", `${number(c.message_stats?.ack ?? 0)} · ${rate(rateOf(c, "ack"))}`]]),
        section("Consumers", turn, table({ caption: "Consumers", columns: consumerColumns.filter((x) => x.label !== "Virtual host" && !x.hidden).map((x) => ({ ...x, sort: null })),
            rows, keyOf: (x) => x.consumer_tag, empty: "It consumes from no queue." })),
    ] };
}

const consumers = listed("Consumers", () => ({ columns: consumerColumns, keyOf: (c) => `${c.channel_details.name} ${c.consumer_tag}`, byVhost: true,
    empty: "Nobody consumes. A client that wants messages subscribes to a queue." }));

export const brokerClients = { connections, connection, channels, channel, consumers };
