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

/* Where the reader is, as the charts' times are. */
export function moment(ms) {
    if (!Number.isFinite(ms)) return "–";
    const t = new Date(ms);
    return `${t.getFullYear()}-${[t.getMonth() + 1, t.getDate()].map((n) => String(n).padStart(2, "0")).join("-")} ${t.toTimeString().slice(0, 8)}`;
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

/* What a policy can say; with x- before it, a queue's arguments, too. */
export const OPTIONS = {
    "message-ttl": "Milliseconds that a message may wait before it is a dead letter.",
    expires: "Milliseconds without use after which a queue deletes itself.",
    "max-length": "How many messages may wait in a queue.",
    "max-length-bytes": "How many bytes may wait in a queue.",
    overflow: "What happens when a queue is full: drop-head, reject-publish or reject-publish-dlx.",
    "delivery-limit": "How often a message is given out before it is a dead letter.",
    "max-publish-rate": "Messages a second that publishers may put into a queue.",
    "dead-letter-exchange": "Where rejected, expired and dropped messages go.",
    "dead-letter-routing-key": "Their routing key, instead of the one they had.",
    "dead-letter-strategy": "at-most-once or at-least-once.",
    "consumer-timeout": "Milliseconds that a consumer may hold a message.",
    "alternate-exchange": "Of exchanges: where messages go that match no binding.",
    "max-age": "Of streams: how long messages are kept, like 7D or 12h.",
    "stream-max-segment-size-bytes": "Of streams: how large a piece on disk is.",
};

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
