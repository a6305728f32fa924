/* Numbers, times and the words for what the broker says. */

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });

export function number(n) {
    return Number.isFinite(n) ? whole.format(n) : "–";
}

export function compact(n) {
    if (!Number.isFinite(n)) return "–";
    for (const [unit, name] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]])
        if (Math.abs(n) >= unit) return short.format(n / (name === "k" ? 1e3 : unit)) + name;
    return short.format(n);
}

export function rate(n) {
    return Number.isFinite(n) ? `${Math.abs(n) < 100 ? short.format(n) : whole.format(n)}/s` : "–";
}

export function bytes(n) {
    if (!Number.isFinite(n)) return "–";
    for (const [unit, name] of [[2 ** 40, "TiB"], [2 ** 30, "GiB"], [2 ** 20, "MiB"], [2 ** 10, "KiB"]])
        if (Math.abs(n) >= unit) return `${short.format(n / unit)} ${name}`;
    return `${whole.format(n)} B`;
}

export function duration(ms) {
    if (!Number.isFinite(ms)) return "–";
    const seconds = Math.floor(ms / 1000);
    const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
    const first = units.findIndex(([, size]) => seconds >= size);
    if (first < 0) return `${Math.max(0, Math.round(ms))} ms`;
    const [unit, size] = units[first];
    const next = units[first + 1];
    const rest = next ? Math.floor((seconds % size) / next[1]) : 0;
    return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${next[0]}` : ""}`;
}

export function moment(ms) {
    return Number.isFinite(ms) ? new Date(ms).toISOString().replace("T", " ").slice(0, 19) : "–";
}

export function plural(n, one, many = `${one}s`) {
    return `${number(n)} ${n === 1 ? one : many}`;
}

/* row.message_stats.publish_details.rate: rateOf(row, "publish") */
export function rateOf(row, name) {
    return row?.message_stats?.[`${name}_details`]?.rate ?? 0;
}

export function title(name) {
    return name === "" ? "(default exchange)" : name;
}

/* What the queue's or exchange's letters mean. */
export function features(row) {
    const a = row.arguments || {};
    const out = [];
    const add = (when, letters, meaning) => when && out.push([letters, meaning]);
    add(row.durable, "D", "durable: is there again after a restart");
    add(row.auto_delete, "AD", "deletes itself when nobody uses it any more");
    add(row.exclusive, "Excl", "exclusive: only for the connection that made it");
    add(row.internal, "I", "internal: clients cannot publish to it");
    add("x-message-ttl" in a, "TTL", `messages live ${a["x-message-ttl"]} ms`);
    add("x-expires" in a, "Exp", `is deleted after ${a["x-expires"]} ms without use`);
    add("x-max-length" in a, "Lim", `at most ${a["x-max-length"]} messages`);
    add("x-max-length-bytes" in a, "Lim B", `at most ${a["x-max-length-bytes"]} bytes`);
    add("x-overflow" in a, "Ovfl", `when full: ${a["x-overflow"]}`);
    add("x-dead-letter-exchange" in a, "DLX", `dead letters go to ${title(String(a["x-dead-letter-exchange"]))}`);
    add("x-dead-letter-routing-key" in a, "DLK", `dead letters' routing key: ${a["x-dead-letter-routing-key"]}`);
    add("x-max-priority" in a, "Pri", `priorities up to ${a["x-max-priority"]}`);
    add(a["x-single-active-consumer"], "SAC", "one consumer at a time");
    add("alternate-exchange" in a, "AE", `what matches nothing goes to ${a["alternate-exchange"]}`);
    add(Boolean(row.policy), String(row.policy), "policy");
    add(Boolean(row.operator_policy), String(row.operator_policy), "operator policy");
    return out;
}

/* Why this consumer gets nothing just now, or that it does: [kind, text].  The broker knows best; without its word it
 * is worked out from what is on show. */
export function whyNothing(consumer, queue, channel) {
    if (consumer.explanation) return [["nothing", "queue_empty", "lower_priority", "loading"].includes(consumer.waiting_for) ? "fine" : "waits", consumer.explanation];
    const held = consumer.messages_unacknowledged ?? (channel?.consumer_count === 1 ? channel.messages_unacknowledged : undefined);
    const limit = consumer.prefetch_count;
    const all = channel?.global_prefetch_count;
    if (queue.state === "paused") return ["waits", "The queue is paused: nobody gets anything until it is resumed."];
    if (consumer.active === false || consumer.activity_status === "waiting")
        return ["waits", "Stands by: the queue serves a single active consumer, and that is another one."];
    if (limit > 0 && held >= limit)
        return ["waits", `Holds ${number(held)} unacknowledged of the ${number(limit)} that its prefetch allows: it gets more when it acknowledges.`];
    if (all > 0 && channel.messages_unacknowledged >= all)
        return ["waits", `Its channel holds ${number(channel.messages_unacknowledged)} of the ${number(all)} that its global prefetch allows.`];
    if ((queue.messages_ready || 0) === 0) return ["fine", "Nothing is waiting in the queue: it gets the next message."];
    const above = (queue.consumer_details || []).filter((c) => priority(c) > priority(consumer));
    if (above.length > 0)
        return ["fine", `${plural(above.length, "consumer")} with a higher priority ${above.length === 1 ? "comes" : "come"} first.`];
    if (held === undefined && limit > 0) return ["fine", `Gets messages until it holds ${number(limit)} unacknowledged.`];
    return ["fine", "Is being served."];
}

function priority(consumer) {
    return Number(consumer.arguments?.["x-priority"] ?? 0);
}

/* What an alarm means to those who publish. */
export function alarms(nodes) {
    const out = [];
    for (const node of nodes) {
        if (node.mem_alarm)
            out.push(`Memory: the broker uses ${bytes(node.mem_used)} of the ${bytes(node.mem_limit)} that it may. Publishers wait until messages have been consumed; consumers go on.`);
        if (node.disk_free_alarm)
            out.push(`Disk: ${bytes(node.disk_free)} are free, and the limit is ${bytes(node.disk_free_limit)}. Publishers wait until there is room again; consumers go on.`);
        if (node.fd_total > 0 && node.fd_used / node.fd_total > 0.9)
            out.push(`File descriptors: ${number(node.fd_used)} of ${number(node.fd_total)} are in use. New connections may soon be refused.`);
    }
    return out;
}
