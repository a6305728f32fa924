/* The frame around the pages: place, login, alarms, a look every five seconds. */
import { get, session, Failure } from "./api.js";
import { clearNotices, el, link, notify, show } from "./dom.js";
import { alarms } from "./format.js";
import { brokerClients } from "./clients.js";
import { definitions } from "./definitions.js";
import { exchange, exchanges } from "./exchanges.js";
import { logs } from "./logs.js";
import { nodes } from "./nodes.js";
import { overview } from "./overview.js";
import { policies } from "./policies.js";
import { queue } from "./queue.js";
import { queues } from "./queues.js";
import { streams } from "./streams.js";
import { user, users } from "./users.js";
import { vhost, vhosts } from "./vhosts.js";

const REFRESH_MS = 5000;

/* Name in the address, in the menu, who may see it, the page of all and the page of one. */
const PAGES = [
    ["", "Overview", "management", overview],
    ["connections", "Connections", "management", brokerClients.connections, brokerClients.connection],
    ["channels", "Channels", "management", brokerClients.channels, brokerClients.channel],
    ["consumers", "Consumers", "management", brokerClients.consumers],
    ["exchanges", "Exchanges", "management", exchanges, exchange],
    ["queues", "Queues", "management", queues, queue],
    ["streams", "Streams", "management", streams],
    ["policies", "Policies", "management", policies],
    ["vhosts", "Virtual hosts", "management", vhosts, vhost],
    ["users", "Users", "administrator", users, user],
    ["definitions", "Definitions", "administrator", definitions],
    ["nodes", "Node", "monitoring", nodes],
    ["logs", "Log", "administrator", logs],
];

const cache = {}, scrolls = new Map();
let places = 0, seen = new Map(), here = null, running = null, again = false, timer = null, main = null;

/* #/queues/%2F/name?page=2 */
function whereWeAre() {
    const [way, rest = ""] = location.hash.replace(/^#\/?/, "").split("?");
    let segments;
    try {
        segments = way.split("/").filter((s) => s !== "").map(decodeURIComponent);
    } catch {
        segments = ["?"];
    }
    return { hash: location.hash, way, segments, query: Object.fromEntries(new URLSearchParams(rest)) };
}

function hashOf(way, query) {
    const kept = Object.entries(query).filter(([, v]) => v !== null && v !== undefined && v !== "");
    return `#/${way}${kept.length ? `?${new URLSearchParams(kept)}` : ""}`;
}

function contextOf(place, signal) {
    return {
        ...place, signal, seen, cache,
        refresh: () => look(),
        /* What was typed makes no step to go back to; what was clicked does. */
        set(changes) {
            const now = whereWeAre(), hash = hashOf(now.way, { ...now.query, ...changes });
            if (changes.name) history.replaceState(history.state, "", hash);
            else history.pushState({ at: newPlace() }, "", hash);
            look(true);
        },
        /* Does something and says so; the API's reason, word for word, if it may not be.  `leave`: where to go when it
         * is done, for what this page shows is gone then. */
        async act(done, work, leave) {
            if (leave) giveUp();
            try {
                const result = await work();
                if (leave) location.hash = leave;
                if (done) notify(done);
                if (!leave) look();
                return result === undefined || result === null ? true : result;
            } catch (error) {
                notify(error.message, "failed");
                if (leave || !session.authorization) look();
                return null;
            }
        },
    };
}

/* Each step of the history has a number: how far down was it? */
function newPlace() {
    places += 1;
    return `${performance.timeOrigin} ${places}`;
}

function keepPlace() {
    if (!history.state?.at) history.replaceState({ at: newPlace() }, "");
}

/* The look under way comes to nothing. */
function giveUp() {
    clearTimeout(timer);
    if (running) running.abort();
    running = null;
}

function menu(name) {
    const items = PAGES.filter(([, , tag]) => session.may(tag)).map(([way, label]) =>
        el("li", {}, el("a", { href: `#/${way}`, "aria-current": way === name ? "page" : null, onclick: closeMenu }, label)));
    const open = (event) => {
        const isOpen = document.body.classList.toggle("menu-open");
        event.currentTarget.setAttribute("aria-expanded", String(isOpen));
    };
    return [el("header", { class: "top" },
        link("#/", el("img", { src: "icon.svg", alt: "", width: 26, height: 26 }), el("strong", {}, "Millrace")),
        el("span", { class: "cluster" }, cache.cluster || ""),
        el("span", { class: "who" }, session.user.name, el("small", {}, session.user.tags.join(", "))),
        el("button", { type: "button", onclick: logout }, "Log out"),
        el("button", { type: "button", class: "burger", "aria-expanded": "false", "aria-controls": "menu", onclick: open }, "Menu")),
    el("nav", { id: "menu", "aria-label": "Pages" }, el("ul", {}, items))];
}

function closeMenu() {
    document.body.classList.remove("menu-open");
}

function frame(name) {
    show(document.getElementById("app"), menu(name), el("div", { class: "content", key: "content" },
        el("div", { id: "alarm", role: "alert", keep: true }), el("div", { id: "stale", keep: true }),
        el("main", { id: "main", tabindex: "-1", keep: true })),
    el("div", { id: "notices", keep: true }));
    main = document.getElementById("main");
}

function logout() {
    session.end();
    here = null;
    clearNotices();
    look(true);
}

function loginPage(problem) {
    clearTimeout(timer);
    document.title = "Log in · Millrace";
    main = null;
    async function enter(event) {
        event.preventDefault();
        const name = this.elements.username.value, password = this.elements.password.value;
        session.begin(name, password);
        try {
            await whoAmI();
            here = null;
            look(true);
        } catch (error) {
            session.end();
            loginPage(error.status === 401 && !/\S/.test(error.message) ? "Login failed" : error.message);
        }
    }
    const app = document.getElementById("app");
    const isThere = app.querySelector(".login");
    show(app, el("main", { class: "login", id: "main", key: "login" },
        el("h1", {}, el("img", { src: "icon.svg", alt: "", width: 40, height: 40 }), "Millrace"),
        el("form", { onsubmit: enter },
            el("label", { class: "field" }, el("span", {}, "User name"), el("input", { name: "username", autocomplete: "username", required: true, autocapitalize: "none", spellcheck: "false" })),
            el("label", { class: "field" }, el("span", {}, "Password"), el("input", { name: "password", type: "password", autocomplete: "current-password" })),
            problem ? el("p", { class: "problem", role: "alert" }, problem) : null,
            el("button", { type: "submit", class: "primary" }, "Log in")),
        el("p", { class: "hint" }, "A user needs the tag ", el("code", {}, "management"), ", or one that includes it: ", el("code", {}, "millracectl set_user_tags NAME management"), "."),
        el("div", { id: "notices", keep: true })));
    if (!isThere) app.querySelector("input").focus();
}

async function whoAmI(signal) {
    session.user = await get("whoami", signal);
    if (session.user.login_session_timeout > 0) session.limit(session.user.login_session_timeout);
}

async function lookAtAlarms(signal) {
    const found = session.may("monitoring") ? alarms(await get("nodes", signal)) : await get("health/checks/alarms", signal).then(() => [], (failure) =>
        (failure.status === 503 ? ["The broker is short of memory or of disk. Publishers wait until that is over; consumers go on."] : []));
    const place = document.getElementById("alarm");
    if (place) show(place, found.map((text) => el("p", {}, el("strong", {}, "Alarm. "), text)));
}

async function pageOf(context) {
    const page = PAGES.find(([way]) => way === (context.segments[0] || ""));
    const make = page && session.may(page[2]) ? (context.segments.length > 1 ? page[4] : page[3]) : null;
    if (!make) return { title: "Not here", body: [el("h1", {}, "There is no such page"), el("p", {}, link("#/", "Go to the overview"))] };
    try {
        return await make(context);
    } catch (error) {
        if (!(error instanceof Failure) || error.status === 401 && !session.authorization || error.status === 0) throw error;
        const name = context.segments.slice(1).join(" / ");
        return { title: "Not found", body: [el("h1", {}, error.status === 404 ? `${name} is not there` : "The broker refuses this"),
            el("p", { class: "problem", role: "alert" }, error.message), el("p", {}, link(`#/${page[0]}`, `All ${page[1].toLowerCase()}`))] };
    }
}

function sayStale(text) {
    const place = document.getElementById("stale");
    if (place) show(place, text ? el("p", { class: "problem", role: "alert" }, text, " What is shown is old. Trying again.") : null);
}

/* One look at a time; it is given up when the place changes. */
async function look(isNew = false) {
    clearTimeout(timer);
    if (!session.authorization) {
        giveUp();
        return loginPage(here === null ? null : "You were logged out.");
    }
    if (running && !isNew) {
        again = true;
        return undefined;
    }
    giveUp();
    const mine = running = new AbortController();
    const place = whereWeAre();
    const isElsewhere = here !== place.way;
    if (isElsewhere) seen = new Map();
    try {
        if (!session.user) await whoAmI(mine.signal);
        const page = await pageOf(contextOf(place, mine.signal));
        if (mine.signal.aborted) return undefined;
        frame(place.segments[0] || "");
        document.title = `${page.title} · Millrace`;
        const was = here;
        here = place.way;
        if (isElsewhere) {
            main.replaceChildren();
            clearNotices();
        }
        show(main, page.body);
        if (isElsewhere && was !== null) {
            window.scrollTo(0, scrolls.get(history.state?.at) || 0);
            main.focus({ preventScroll: true });
        }
        keepPlace();
        sayStale(null);
        performance.mark("millrace-shown", { detail: place.hash });
        if (!cache.cluster) {
            cache.cluster = (await get("cluster-name", mine.signal)).name;
            if (!mine.signal.aborted) frame(place.segments[0] || "");
        }
        await lookAtAlarms(mine.signal);
    } catch (error) {
        if (mine.signal.aborted) return undefined;
        if (error.status === 401) {
            session.end();
            return loginPage(error.message);
        }
        if (main) sayStale(error.message);
        else loginPage(error.message);
        if (!(error instanceof Failure)) console.error(error);
    } finally {
        if (running === mine) {
            running = null;
            clearTimeout(timer);
            if (again) {
                again = false;
                look();
            } else if (!document.hidden && session.authorization) {
                timer = setTimeout(look, REFRESH_MS);
            }
        }
    }
    return undefined;
}

history.scrollRestoration = "manual";
window.addEventListener("scroll", () => history.state?.at && scrolls.set(history.state.at, window.scrollY), { passive: true });
window.addEventListener("hashchange", () => {
    closeMenu();
    look(true);
});
document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : look()));
document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
});
document.addEventListener("keydown", (event) => {
    const isTyping = event.target.closest("input, textarea, select, dialog");
    const filter = document.getElementById("filter");
    if (event.key === "Escape" && document.body.classList.contains("menu-open")) closeMenu();
    if (event.key !== "/" || isTyping || !filter || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    filter.focus();
    filter.select();
});
look(true);
