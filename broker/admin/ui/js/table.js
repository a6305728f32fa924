/* Tables: paged, sorted and filtered by the broker; what was chosen is in the page's address. */
import { get, path, query, Failure } from "./api.js";
import { el } from "./dom.js";
import { number, plural } from "./format.js";

const PAGE_SIZES = [25, 50, 100, 250, 500], PIECE = 50;
const TYPING_MS = 300;

/* Columns that are shown are remembered, by table. */
function hiddenColumns(name, columns) {
    try {
        const kept = JSON.parse(localStorage.getItem(`millrace.columns.${name}`));
        if (Array.isArray(kept)) return new Set(kept);
    } catch { /* none */ }
    return new Set(columns.filter((c) => c.hidden).map((c) => c.label));
}

function columnPicker(context, name, columns, hidden) {
    const toggle = (label) => {
        if (!hidden.delete(label)) hidden.add(label);
        localStorage.setItem(`millrace.columns.${name}`, JSON.stringify([...hidden]));
        context.refresh();
    };
    return el("details", { class: "menu" }, el("summary", {}, "Columns"), el("div", { class: "box" },
        columns.filter((c) => !c.fixed).map((c) => el("label", { class: "check" },
            el("input", { type: "checkbox", checked: !hidden.has(c.label), onchange: () => toggle(c.label) }), c.label))));
}

function heading(context, column) {
    const attributes = { scope: "col", class: [column.number && "number", column.aside && "aside"].filter(Boolean).join(" ") || null };
    if (!column.sort) return el("th", attributes, column.label || el("span", { class: "hidden" }, "Actions"));
    const isThis = context.query.sort === column.sort;
    const isDown = context.query.sort_reverse === "true";
    const turn = () => context.set({ sort: column.sort, page: null,
        sort_reverse: isThis ? (isDown ? null : "true") : column.number ? "true" : null });
    return el("th", { ...attributes, "aria-sort": isThis ? (isDown ? "descending" : "ascending") : "none" },
        el("button", { type: "button", class: "sort", onclick: turn }, column.label,
            el("span", { "aria-hidden": "true" }, isThis ? (isDown ? " ▼" : " ▲") : "")));
}

/* columns: [{label, cell(row), sort?, number?, fixed?, hidden?, aside?}]; aside: not on a phone; no label: what can be
 * done with the row. */
export function table({ context, caption, columns, rows, keyOf, hidden = new Set(), empty = "Nothing." }) {
    if (rows.length === 0) return el("p", { class: "empty", key: "empty" }, empty);
    const shown = columns.filter((c) => c.fixed || !hidden.has(c.label));
    return el("div", { class: "scroll", key: "table", tabindex: "0", role: "region", "aria-label": caption },
        el("table", {}, el("caption", { class: "hidden" }, caption),
            el("thead", {}, el("tr", {}, shown.map((c) => heading(context, c)))),
            el("tbody", {}, rows.map((row) => el("tr", { key: keyOf(row) }, shown.map((c) => {
                const content = c.cell(row);
                const kind = c.number ? `number${/^0(\/s| B\/s)?$/.test(content) ? " zero" : ""}` : c.className || (c.label ? "" : "acts");
                return el("td", { class: `${kind}${c.aside ? " aside" : ""}` || null }, content);
            }))))));
}

export async function vhostNames(context) {
    if (!context.cache.vhosts || Date.now() - context.cache.vhosts.at > 15000) {
        const all = await get("vhosts?columns=name", context.signal);
        context.cache.vhosts = { at: Date.now(), names: all.map((v) => v.name).sort() };
    }
    return context.cache.vhosts.names;
}

export function vhostSelect(names, chosen, attributes = {}) {
    return el("select", { name: "vhost", ...attributes },
        names.map((name) => el("option", { value: name, selected: name === chosen }, name)));
}

/* What is typed here is `name` in the address. */
export function filterField(context, label) {
    let timer;
    return el("label", { class: "field grow" }, el("span", {}, label),
        el("input", { type: "search", id: "filter", follow: context.query.name || "", value: context.query.name, placeholder: "press / to filter", autocomplete: "off",
            spellcheck: "false", oninput() {
                clearTimeout(timer);
                timer = setTimeout(() => context.set({ name: this.value, page: null }), TYPING_MS);
            } }));
}

function filters(context, vhosts) {
    const now = context.query;
    return el("form", { class: "filters", role: "search", onsubmit: (event) => event.preventDefault() }, filterField(context, "Filter by name"),
        el("label", { class: "check" }, el("input", { type: "checkbox", follow: now.use_regex || "", checked: now.use_regex === "true",
            onchange() { context.set({ use_regex: this.checked ? "true" : null, page: null }); } }), "Regular expression"),
        vhosts && vhosts.length > 1 && el("label", { class: "field" }, el("span", {}, "Virtual host"),
            el("select", { follow: now.vhost || "", onchange() { context.set({ vhost: this.value, page: null }); } },
                el("option", { value: "", selected: !now.vhost }, "all"),
                vhosts.map((name) => el("option", { value: name, selected: now.vhost === name }, name)))));
}

/* key: where the page's number is in the address. */
function pager(context, page, noun, key = "page", hasSizes = true) {
    const from = (page.page - 1) * page.page_size;
    const last = Math.max(1, page.page_count);
    const go = (n) => () => context.set({ [key]: n > 1 ? String(n) : null });
    const step = (label, n, words) => el("button", { type: "button", "aria-label": words, disabled: n < 1 || n > last || n === page.page, onclick: go(n) }, label);
    return el("nav", { class: "pager", "aria-label": `Pages of ${noun}s` },
        el("span", { class: "count" }, page.filtered_count === 0 ? `0 of ${plural(page.total_count, noun)}`
            : `${number(from + 1)}–${number(from + page.item_count)} of ${plural(page.filtered_count, noun)}`,
            page.filtered_count < page.total_count ? ` (${number(page.total_count)} in all)` : ""),
        last > 1 && el("span", { class: "steps" }, step("«", 1, "First page"), step("‹", page.page - 1, "Page before"),
            el("span", {}, `${number(page.page)} / ${number(last)}`),
            step("›", page.page + 1, "Next page"), step("»", last, "Last page")),
        hasSizes && el("label", { class: "field" }, el("span", { class: "hidden" }, "Rows a page"),
            el("select", { follow: page.page_size, onchange() { context.set({ page_size: this.value, page: null }); } },
                PAGE_SIZES.map((n) => el("option", { value: n, selected: n === page.page_size }, `${n} rows`)))));
}

/* Rows that are all here, a piece at a time: [those, the pager or nothing]. */
export function piece(context, rows, noun, key) {
    const last = Math.max(1, Math.ceil(rows.length / PIECE)), page = Math.min(last, Number(context.query[key]) || 1);
    const items = rows.slice((page - 1) * PIECE, page * PIECE), n = rows.length;
    return [items, turner(context, { page, page_size: PIECE, page_count: last, item_count: items.length, filtered_count: n, total_count: n }, noun, key)];
}

/* The pager of a list within a page, if it needs one. */
export function turner(context, page, noun, key) {
    return page.page_count > 1 && el("div", { key: `pager ${key}`, class: "turner" }, pager(context, page, noun, key, false));
}

/* One page of a list in the API; the first where that one is no longer there. */
export async function pageOf(context, where, key) {
    const ask = (n) => get(`${where}${query({ page: n, page_size: PIECE })}`, context.signal);
    const n = Number(context.query[key]) || 1;
    return ask(n).catch((failure) => {
        if (failure.status !== 400 || n === 1) throw failure;
        return ask(1);
    });
}

/* A whole list with its filters: {name, noun, where, columns, keyOf, empty, byVhost, more}; `where` is the API's list,
 * `fields` what it needs to send. */
export async function list(context, plan) {
    const { name, noun, where, columns, keyOf, empty, byVhost = true, fields } = plan;
    const now = context.query;
    const naming = byVhost ? vhostNames(context) : Promise.resolve(null);
    naming.catch(() => { }); /* awaited below, unless the list itself fails */
    const hidden = hiddenColumns(name, columns);
    const asked = { page: now.page || 1, page_size: now.page_size || 100, name: now.name, use_regex: now.name ? now.use_regex : null,
        sort: now.sort, sort_reverse: now.sort_reverse, columns: fields };
    let page, problem = null;
    try {
        page = await get((byVhost && now.vhost ? `${where}/${path(now.vhost)}` : where) + query(asked), context.signal);
    } catch (error) {
        if (!(error instanceof Failure) || error.status !== 400) throw error;
        if (now.page && /out of range/i.test(error.message)) return list({ ...context, query: { ...now, page: null } }, plan);
        problem = error.message;
    }
    const bar = el("div", { class: "bar", key: "bar" }, filters(context, await naming), columnPicker(context, name, columns, hidden));
    if (problem) return [bar, el("p", { class: "problem", role: "alert", key: "problem" }, problem)];
    const rows = page.items;
    const nothing = page.total_count > 0
        ? [`No ${noun}'s name fits “${now.name}”. `, el("button", { type: "button", onclick: () => context.set({ name: null, page: null }) }, "Show all")]
        : empty;
    return [bar, el("div", { key: "pager" }, pager(context, page, noun)),
        table({ context, caption: `${noun[0].toUpperCase()}${noun.slice(1)}s`, columns, rows, keyOf, hidden, empty: nothing })];
}
