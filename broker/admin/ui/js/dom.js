/* Elements from data, and how a page that is there becomes the one that should be.
 *
 * Whatever comes from the broker (names, arguments, properties, payloads) becomes text nodes and attributes here and
 * nowhere else; no markup is ever made of a string. */

const SVG = "http://www.w3.org/2000/svg";

function dispatch(event) {
    const handler = this.handlers[event.type];
    if (handler) handler.call(this, event);
}

function listen(node, handlers) {
    const had = node.handlers || {};
    for (const type in handlers) if (!(type in had)) node.addEventListener(type, dispatch);
    node.handlers = { ...Object.fromEntries(Object.keys(had).map((type) => [type, null])), ...handlers };
}

function fill(node, attributes, children) {
    const handlers = {};
    for (const [name, value] of Object.entries(attributes || {})) {
        if (value === null || value === undefined || value === false) continue;
        if (["key", "keep", "follow"].includes(name)) node[name] = value;
        else if (typeof value === "function") handlers[name.slice(2)] = value;
        else node.setAttribute(name, value === true ? "" : String(value));
    }
    listen(node, handlers);
    append(node, children);
    return node;
}

function append(node, children) {
    for (const child of children.flat(Infinity)) {
        if (child === null || child === undefined || child === false) continue;
        node.append(child instanceof Node ? child : document.createTextNode(String(child)));
    }
}

/* el("a", { href: "#/", onclick: f }, "text", node, [more]); `key` tells it from its brothers, `keep` leaves what is
 * inside to whoever made it, a field shows what it should when its `follow` is another. */
export function el(tag, attributes, ...children) {
    return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes, ...children) {
    return fill(document.createElementNS(SVG, tag), attributes, children);
}

/* A link never leads anywhere but to a place of this page. */
export function link(hash, ...children) {
    return el("a", { href: hash.startsWith("#/") ? hash : "#/" }, ...children);
}

function becomes(from, to) {
    if (from.nodeType !== Node.ELEMENT_NODE) {
        if (from.data !== to.data) from.data = to.data;
        return;
    }
    listen(from, to.handlers || {});
    for (const { name } of [...from.attributes])
        if (!to.hasAttribute(name) && name !== "open") from.removeAttribute(name);
    for (const { name, value } of [...to.attributes])
        if (from.getAttribute(name) !== value && name !== "open") from.setAttribute(name, value);
    if (!(from.keep && to.keep)) childrenBecome(from, to);
    if (to.follow === from.follow) return;
    from.follow = to.follow;
    if (from !== document.activeElement) for (const what of ["value", "checked"]) from[what] = to[what];
}

function childrenBecome(from, to) {
    const wanted = new Set([...to.childNodes].map((child) => child.key).filter((key) => key !== undefined));
    const keyed = new Map();
    for (const child of [...from.childNodes]) {
        if (child.key === undefined) continue;
        if (wanted.has(child.key)) keyed.set(child.key, child);
        else child.remove();
    }
    let at = from.firstChild;
    for (const next of [...to.childNodes]) {
        let match = next.key === undefined ? at : keyed.get(next.key);
        if (match && (match.nodeName !== next.nodeName || match.key !== next.key)) match = null;
        if (!match) {
            from.insertBefore(next, at);
            continue;
        }
        if (match === at) at = at.nextSibling;
        else from.insertBefore(match, at);
        becomes(match, next);
    }
    while (at) {
        const gone = at;
        at = at.nextSibling;
        gone.remove();
    }
}

/* Makes these node's children; keeps focus, what was typed, what is open. */
export function show(node, ...children) {
    const active = document.activeElement;
    const to = document.createDocumentFragment();
    append(to, children);
    childrenBecome(node, to);
    if (active && active !== document.activeElement && active.isConnected) active.focus({ preventScroll: true });
}

/* ---- What is said to whoever looks. */

export function notify(text, kind = "done") {
    const place = document.getElementById("notices");
    if (!place) return;
    const close = () => notice.remove();
    const notice = el("div", { class: `notice ${kind}`, role: kind === "failed" ? "alert" : "status" },
        el("span", {}, text), el("button", { type: "button", class: "plain", "aria-label": "Dismiss", onclick: close }, "×"));
    place.append(notice);
    while (place.children.length > 4) place.firstChild.remove();
    if (kind === "done") setTimeout(close, 6000);
}

export function clearNotices() {
    const place = document.getElementById("notices");
    if (place) place.querySelectorAll(".failed").forEach((n) => n.remove());
}

/* A dialog: the focus stays in it, Escape closes it.  Answers the form's values, or null. */
export function ask({ title, body = [], action = "OK", danger = false, typed = null }) {
    return new Promise((resolve) => {
        const before = document.activeElement;
        const ok = el("button", { type: "submit", class: danger ? "danger" : "primary", disabled: typed !== null }, action);
        const check = typed === null ? null : el("label", { class: "field" }, el("span", {}, "Type ", el("code", {}, typed), " to go on"),
            el("input", { name: "typed", autocomplete: "off", oninput() { ok.disabled = this.value !== typed; } }));
        let answer = null;
        const dialog = el("dialog", { "aria-labelledby": "dialog-title", onclose() {
            dialog.remove();
            if (before && before.isConnected) before.focus();
            resolve(answer);
        } }, el("form", { method: "dialog", onsubmit(event) {
            event.preventDefault();
            if (ok.disabled) return;
            answer = values(this);
            dialog.close();
        } }, el("h2", { id: "dialog-title" }, title), body, check, el("div", { class: "row end" },
            el("button", { type: "button", onclick: () => dialog.close() }, "Cancel"), ok)));
        document.body.append(dialog);
        dialog.showModal();
        const first = dialog.querySelector("input, select, textarea") || dialog.querySelector("button");
        first.focus();
    });
}

export function values(form) {
    const out = {};
    for (const field of form.elements) {
        if (!field.name) continue;
        if (field.type === "checkbox") out[field.name] = field.checked;
        else if (field.type === "file") out[field.name] = field.files[0] || null;
        else if (field.type !== "radio" || field.checked) out[field.name] = field.value;
    }
    return out;
}

export function download(name, content, type = "application/octet-stream") {
    const url = URL.createObjectURL(new Blob([content], { type }));
    el("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
}
