import { call, path, place } from "./api.js";
import { el, link } from "./dom.js";
import { bytes, number, OPTIONS, rate, rateOf } from "./format.js";
import { badges, check, choice, field, fold, form, heading, pairs, readPairs, state, text } from "./parts.js";
import { list, vhostNames, vhostSelect } from "./table.js";

const named = Object.entries(OPTIONS).filter(([name]) => name !== "alternate-exchange").map(([name, hint]) => [`x-${name}`, hint]);
const QUEUE_ARGUMENTS = { ...Object.fromEntries(named), "x-max-priority": "The highest priority, 1 to 255; fewer are better.", "x-single-active-consumer": "true: one consumer at a time, the others stand by.",
    "x-message-deduplication": "true: a message with a header x-deduplication-header that was seen is dropped." };

const columns = [
    { label: "Name", sort: "name", fixed: true, className: "name", cell: (q) => link(place("queues", q.vhost, q.name), q.name) },
    { label: "Virtual host", sort: "vhost", aside: true, cell: (q) => q.vhost },
    { label: "Type", sort: "type", aside: true, cell: (q) => q.type },
    { label: "Features", aside: true, cell: badges },
    { label: "State", sort: "state", aside: true, cell: (q) => state(q.state) },
    { label: "Ready", sort: "messages_ready", number: true, cell: (q) => number(q.messages_ready) },
    { label: "Unacked", sort: "messages_unacknowledged", number: true, cell: (q) => number(q.messages_unacknowledged) },
    { label: "Total", sort: "messages", number: true, cell: (q) => number(q.messages) },
    { label: "Bytes", sort: "message_bytes", number: true, hidden: true, cell: (q) => bytes(q.message_bytes) },
    { label: "Consumers", sort: "consumers", number: true, cell: (q) => number(q.consumers) },
    { label: "In", sort: "message_stats.publish_details.rate", number: true, cell: (q) => rate(rateOf(q, "publish")) },
    { label: "Out", sort: "message_stats.deliver_get_details.rate", number: true, cell: (q) => rate(rateOf(q, "deliver_get")) },
    { label: "Ack", sort: "message_stats.ack_details.rate", number: true, cell: (q) => rate(rateOf(q, "ack")) },
];

const FIELDS = "name,vhost,type,durable,auto_delete,exclusive,arguments,policy,operator_policy,state,messages_ready,messages_unacknowledged,messages," +
    "message_bytes,consumers,message_stats.publish_details.rate,message_stats.deliver_get_details.rate,message_stats.ack_details.rate";

export async function addQueueForm(context, type) {
    const add = (v, from) => context.act(`Queue “${v.name}” is there.`, () => call("PUT", path("queues", v.vhost, v.name),
        { durable: v.durable, auto_delete: v.auto_delete, arguments: { ...(v.type === "classic" ? {} : { "x-queue-type": v.type }), ...readPairs(from, "Arguments") } }));
    return form("Add", add, el("div", { class: "row" }, field("Virtual host", vhostSelect(await vhostNames(context), context.query.vhost || "/")), field("Name", text("name", { required: true })),
        field("Type", choice("type", ["classic", "quorum", "stream"], type))),
    el("div", { class: "row" }, check("durable", "Durable", true), check("auto_delete", "Delete itself when the last consumer goes")), pairs("Arguments", QUEUE_ARGUMENTS));
}

export async function queues(context) {
    const body = await list(context, { name: "queues", noun: "queue", where: "queues", columns, fields: FIELDS, keyOf: (q) => `${q.vhost} ${q.name}`,
        empty: "No queues yet. Add one below, or let a client declare it." });
    return { title: "Queues", body: [heading(null, "Queues"), body, fold("Add a queue", await addQueueForm(context, "classic"))] };
}
