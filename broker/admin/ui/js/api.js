/* The HTTP API, relative to where this page is, and who asks it.  The login is kept for this tab alone and sent by
 * hand: never as a cookie, never by the browser on its own. */

const LOGIN = "millrace.login";
const TIMEOUT_MS = 30000;
const SESSION_MINUTES = 480;

export class Failure extends Error {
    constructor(status, reason, body) {
        super(reason);
        this.status = status;
        this.body = body;
    }
}

function stored() {
    try {
        return JSON.parse(sessionStorage.getItem(LOGIN));
    } catch {
        return null;
    }
}

export const session = {
    user: null,
    get authorization() {
        const login = stored();
        return login && Date.now() < login.until ? login.authorization : null;
    },
    begin(name, password, minutes = SESSION_MINUTES) {
        const bytes = new TextEncoder().encode(`${name}:${password}`);
        const authorization = `Basic ${btoa(Array.from(bytes, (b) => String.fromCharCode(b)).join(""))}`;
        sessionStorage.setItem(LOGIN, JSON.stringify({ authorization, until: Date.now() + minutes * 60000 }));
    },
    limit(minutes) {
        const login = stored();
        if (login && !login.limited)
            sessionStorage.setItem(LOGIN, JSON.stringify({ ...login, limited: true, until: Date.now() + minutes * 60000 }));
    },
    end() {
        sessionStorage.removeItem(LOGIN);
        this.user = null;
    },
    /* Tags include others, as RabbitMQ has them. */
    may(tag) {
        const tags = this.user ? this.user.tags : [];
        const including = { management: ["policymaker", "monitoring", "administrator"], policymaker: ["administrator"],
            monitoring: ["administrator"], administrator: [] };
        return tags.includes(tag) || including[tag].some((other) => tags.includes(other));
    },
};

/* Names to a path: each one segment. */
export function path(...names) {
    return names.map(encodeURIComponent).join("/");
}

/* The same for where the page is. */
export function place(...names) {
    return `#/${path(...names)}`;
}

export function query(values) {
    const pairs = Object.entries(values).filter(([, v]) => v !== undefined && v !== null && v !== "" && v !== false);
    return pairs.length ? `?${new URLSearchParams(pairs)}` : "";
}

export async function call(method, where, body, { signal, headers = {}, text = false } = {}) {
    const stop = AbortSignal.timeout(TIMEOUT_MS);
    let answer, content;
    try {
        answer = await fetch(`api/${where}`, {
            method,
            credentials: "omit",
            cache: "no-store",
            referrerPolicy: "no-referrer",
            signal: signal && AbortSignal.any ? AbortSignal.any([signal, stop]) : signal || stop,
            headers: { authorization: session.authorization || "", "x-requested-with": "millrace",
                ...(method === "GET" ? {} : { "content-type": "application/json" }), ...headers },
            body: body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body),
        });
        content = await answer.text();
    } catch (error) {
        if (signal && signal.aborted) throw error;
        throw new Failure(0, error.name === "TimeoutError" ? "The broker did not answer in time." : "The broker does not answer.");
    }
    let json = null;
    try {
        json = content && !text ? JSON.parse(content) : null;
    } catch { /* not JSON: as text below */ }
    if (!answer.ok) {
        const reason = json && json.reason !== undefined ? json.reason : content || `${answer.status} ${answer.statusText}`;
        throw new Failure(answer.status, typeof reason === "string" ? reason : JSON.stringify(reason), json);
    }
    return text ? content : json;
}

export function get(where, signal) {
    return call("GET", where, undefined, { signal });
}
