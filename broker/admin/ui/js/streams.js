import { get, path, place, query } from "./api.js";
import { el, link } from "./dom.js";
import { bytes, number, rate, rateOf } from "./format.js";
import { badges, fold, heading, state } from "./parts.js";
import { addQueueForm } from "./queues.js";
import { table } from "./table.js";

const SHOWN_MAX = 500;

const columns = [
    { label: "Name", className: "name", cell: (q) => link(place("queues", q.vhost, q.name), q.name) },
    { label: "Virtual host", cell: (q) => q.vhost },
    { label: "State", cell: (q) => state(q.state) },
    { label: "Features", cell: badges },
    { label: "Kept for", cell: (q) => q.arguments?.["x-max-age"] ?? "as long as there is room" },
    { label: "Kept at most", number: true, cell: (q) => (q.arguments?.["x-max-length-bytes"] ? bytes(q.arguments["x-max-length-bytes"]) : "no limit") },
    { label: "Messages", number: true, cell: (q) => number(q.messages) },
    { label: "Bytes", number: true, cell: (q) => bytes(q.message_bytes_ready ?? q.message_bytes) },
    { label: "Readers", number: true, cell: (q) => number(q.consumers) },
    { label: "In", number: true, cell: (q) => rate(rateOf(q, "publish")) },
    { label: "Out", number: true, cell: (q) => rate(rateOf(q, "deliver_get")) },
];

/* "stream" sorts behind the other types. */
export async function streams(context) {
    const where = context.query.vhost ? `queues/${path(context.query.vhost)}` : "queues";
    const page = await get(where + query({ page: 1, page_size: SHOWN_MAX, sort: "type", sort_reverse: true }), context.signal);
    const rows = page.items.filter((q) => q.type === "stream");
    return { title: "Streams", body: [heading(null, "Streams"),
        el("p", { class: "hint" }, "A stream keeps what it was given; any number of consumers read it, each from where it wants to (x-stream-offset)."),
        table({ caption: "Streams", columns, rows, keyOf: (q) => `${q.vhost} ${q.name}`, empty: "No streams yet. Add one below, or declare a queue with x-queue-type “stream”." }),
        rows.length === SHOWN_MAX && el("p", { class: "hint" }, "There are more: the list of queues has them all."),
        fold("Add a stream", await addQueueForm(context, "stream"))] };
}
