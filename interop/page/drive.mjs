/* TAP: every page and every action of the web page, by what the API says afterwards; markup that stays text; keys alone;
 * small windows, dark and light; ten thousand queues.  See `run`, which makes the world for it. */
import fs from "node:fs";
import path from "node:path";
import { api, go, launch, logIn, URL_OF_PAGE } from "./browser.mjs";

const MARKUP = JSON.parse(process.env.MARKUP);
const TRIES_FOR_SPEED = 5;
const enc = encodeURIComponent;

const browser = await launch();
const troubles = [];
let context, page, number = 0, failures = 0, expected = [];

function check(condition, what) {
    if (!condition) throw new Error(what);
}

function equal(got, want, what) {
    check(JSON.stringify(got) === JSON.stringify(want), `${what}: got ${JSON.stringify(got)}, want ${JSON.stringify(want)}`);
}

async function until(what, condition) {
    for (let i = 0; i < 600; i++) {
        if (await condition()) return;
        await new Promise((resolve) => { setTimeout(resolve, 50); });
    }
    throw new Error(`waited in vain: ${what}`);
}

/* Whatever the browser complains of is a failure of the test during which it does. */
function watch(p) {
    p.setDefaultTimeout(30000);
    p.on("console", (m) => ["error", "warning"].includes(m.type()) && troubles.push(`console: ${m.text()}`));
    p.on("pageerror", (e) => troubles.push(`exception: ${e.stack}`));
    p.on("requestfailed", (r) => r.failure().errorText !== "net::ERR_ABORTED" && troubles.push(`request failed: ${r.url()} ${r.failure().errorText}`));
    p.on("response", (r) => r.status() >= 400 && troubles.push(`status ${r.status()}: ${r.request().method()} ${r.url()}`));
    p.on("dialog", (d) => {
        troubles.push(`a dialog of the browser: ${d.message()}`);
        d.dismiss();
    });
}

async function newContext(options = {}) {
    const c = await browser.newContext({ viewport: { width: 1280, height: 900 }, acceptDownloads: true, ...options });
    await c.addInitScript(() => {
        window.canary = 0;
        document.addEventListener("securitypolicyviolation", (e) => console.error(`CSP: ${e.violatedDirective} ${e.blockedURI}`));
    });
    return c;
}

async function test(name, work) {
    number += 1;
    expected = [];
    troubles.length = 0;
    try {
        await work();
        await unharmed(page);
        const bad = troubles.filter((t) => !expected.some((e) => t.includes(e)));
        check(bad.length === 0, bad.slice(0, 5).join("\n"));
        console.log(`ok ${number} - ${name}`);
    } catch (error) {
        failures += 1;
        console.log(`not ok ${number} - ${name}`);
        String(error.stack || error).split("\n").slice(0, 14).forEach((line) => console.log(`# ${line}`));
        const folder = path.join(process.env.FOLDER, "failed");
        fs.mkdirSync(folder, { recursive: true });
        await page.screenshot({ path: path.join(folder, `${number}.png`), caret: "initial" }).catch(() => { });
        await page.keyboard.press("Escape").catch(() => { });
        await page.evaluate(() => document.querySelectorAll("dialog").forEach((d) => d.close())).catch(() => { });
    }
}

/* No element is there that only markup in data can have made. */
async function unharmed(p) {
    const found = await p.evaluate(() => {
        const bad = [];
        if (window.canary !== 0) bad.push(`canary ${window.canary}`);
        const named = Object.entries(window).filter(([k]) => k === "canary").length;
        if (named !== 1) bad.push("no canary");
        for (const node of document.querySelectorAll("*")) {
            const tag = node.nodeName.toLowerCase();
            if (["iframe", "object", "embed", "base", "form[action]"].includes(tag)) bad.push(tag);
            if (tag === "script" && node.getAttribute("src") !== "js/main.js") bad.push(`script ${node.outerHTML}`);
            if (tag === "img" && node.getAttribute("src") !== "icon.svg") bad.push(`img ${node.outerHTML}`);
            for (const a of node.attributes) {
                if (/^on/i.test(a.name) || a.name === "style" || a.name === "srcdoc") bad.push(`attribute ${a.name} of ${tag}`);
                if (/^(href|src|action|formaction|xlink:href)$/i.test(a.name) && /^\s*(javascript|data|vbscript):/i.test(a.value)) bad.push(`${a.name}=${a.value}`);
            }
        }
        return bad;
    });
    check(found.length === 0, `data became markup: ${found.slice(0, 4).join("; ")}`);
}

const hasText = (text) => page.waitForFunction((t) => document.body.innerText.includes(t), text);
const said = (text) => page.locator(".notice", { hasText: text }).first().waitFor();
const h1 = () => page.locator("h1").innerText();

async function fold(name) {
    const summary = page.locator("details.fold > summary", { hasText: name }).first();
    await summary.waitFor();
    if (await summary.evaluate((s) => !s.parentNode.open)) await summary.click();
    return summary.locator("..");
}

async function confirmWith(action, typed) {
    const dialog = page.locator("dialog");
    await dialog.waitFor();
    if (typed !== undefined) await dialog.locator("input[name=typed]").fill(typed);
    await dialog.getByRole("button", { name: action, exact: true }).click();
    await dialog.waitFor({ state: "detached" });
}

async function addPair(form, legend, name, value) {
    await form.getByRole("button", { name: `Add ${legend.toLowerCase()}` }).click();
    await form.locator("fieldset", { hasText: legend }).locator(".pair-name").last().fill(name);
    await form.locator("fieldset", { hasText: legend }).locator(".pair-value").last().fill(value);
}

const get = async (where) => (await api("GET", where)).body;
const status = async (where) => (await api("GET", where)).status;
const depth = async (q) => (await get(`queues/%2F/${enc(q)}`)).messages_ready;

context = await newContext();
page = await context.newPage();
watch(page);

/* ---- Coming in. */

await test("a wrong password is told, and nobody gets in", async () => {
    expected = ["status 401", "status of 401"];
    await logIn(page, URL_OF_PAGE, "guest", "wrong");
    await page.locator(".problem").waitFor();
    check((await page.locator(".problem").innerText()).length > 3, "no reason");
    equal(await page.locator("#menu").count(), 0, "menus");
});

await test("a login opens the overview, and no cookie is kept", async () => {
    await logIn(page);
    await page.locator("#menu").waitFor();
    equal(await h1(), "Overview", "heading");
    equal(await page.title(), "Overview · Millrace", "title");
    equal(await context.cookies(), [], "cookies");
    check(await page.evaluate(() => localStorage.length === 0 || !JSON.stringify(localStorage).includes("Basic")), "the login is in localStorage");
});

const ROUTES = ["#/", "#/connections", "#/channels", "#/consumers", "#/exchanges", "#/exchanges/%2F/orders", "#/exchanges/%2F/amq.default", "#/queues", "#/queues/%2F/payments", "#/queues/%2F/orders.new",
    "#/streams", "#/queues/%2F/clicks", "#/policies", "#/vhosts", "#/vhosts/%2F", "#/users", "#/users/guest", "#/definitions", "#/nodes", "#/logs"];

await test("every page has a title, one first heading, a name for each field and each table", async () => {
    for (const route of ROUTES) {
        await go(page, route);
        check(await page.locator("h1").count() === 1, `${route}: headings`);
        const name = await h1();
        check(name !== "" && !/no such page|is not there|refuses/.test(name), `${route}: ${name}`);
        check((await page.title()).endsWith(" · Millrace"), `${route}: title ${await page.title()}`);
        const unnamed = await page.evaluate(() => [...document.querySelectorAll("input, select, textarea, button, meter")].filter((n) =>
            !(n.labels && n.labels.length && n.labels[0].textContent.trim()) && !n.getAttribute("aria-label") && !n.textContent.trim()).map((n) => n.outerHTML.slice(0, 80)));
        equal(unnamed, [], `${route}: fields without a name`);
    }
});

await test("what is not there, and what is no page, is said", async () => {
    expected = ["status 404", "status of 404"];
    await go(page, "#/queues/%2F/nowhere");
    check(/nowhere is not there/.test(await h1()), await h1());
    await go(page, "#/nothing/like/it");
    check(/no such page/.test(await h1()), await h1());
    await go(page, "#/queues/%zz/%");
    check(/no such page/.test(await h1()), await h1());
});

await test("the overview counts as the API does and draws what happens", async () => {
    await go(page, "#/");
    const o = (await get("overview")).object_totals;
    const tile = (name) => page.locator(".tile", { hasText: name }).locator("b").innerText();
    equal(await tile("Queues"), new Intl.NumberFormat("en").format(o.queues), "queues");
    equal(await tile("Exchanges"), new Intl.NumberFormat("en").format(o.exchanges), "exchanges");
    await page.waitForFunction(() => document.querySelectorAll(".chart path.line").length >= 4);
    await page.waitForFunction(() => [...document.querySelectorAll(".legend li")].some((l) => /^Published[1-9]/.test(l.textContent)));
    await page.getByRole("button", { name: "10 min" }).click();
    await page.waitForFunction(() => document.querySelector("button[aria-pressed=true]")?.textContent === "10 min");
    check(page.url().includes("range=10+min"), page.url());
});

/* ---- Queues and their messages. */

await test("a queue is added with arguments", async () => {
    await go(page, "#/queues");
    const form = await fold("Add a queue");
    await form.getByLabel("Virtual host").selectOption("/");
    await form.getByLabel("Name", { exact: true }).fill("made here");
    await addPair(form, "Arguments", "x-dead-letter-exchange", "dead");
    await addPair(form, "Arguments", "x-max-length", "20000");
    await form.getByRole("button", { name: "Add", exact: true }).click();
    await said("made here");
    const q = await get("queues/%2F/made%20here");
    equal([q.durable, q.arguments], [true, { "x-dead-letter-exchange": "dead", "x-max-length": 20000 }], "queue");
    equal(await form.locator(".pair").count(), 0, "lines left in the form");
});

await test("messages are published, with properties and headers", async () => {
    await go(page, "#/queues/%2F/made%20here");
    const form = await fold("Publish a message");
    for (let i = 0; i < 3; i++) {
        await form.getByLabel("Payload", { exact: true }).fill(`{"n": ${i}, "what": "${MARKUP[0].replaceAll("\"", "'")}"}`);
        if (i === 0) {
            await addPair(form, "Properties", "priority", "3");
            await addPair(form, "Properties", "content_type", "application/json");
            await addPair(form, "Headers", "tenant", MARKUP[1]);
        }
        await form.getByRole("button", { name: "Publish", exact: true }).click();
        await said("was routed");
        await page.locator(".notice button").first().click();
    }
    const all = (await get("queues/%2F/made%20here/messages")).items;
    equal(all.length, 3, "messages");
    equal([all[0].properties.priority, all[0].properties.content_type, all[0].properties.headers, all[0].properties.delivery_mode], [3, "application/json", { tenant: MARKUP[1] }, 2], "properties");
});

await test("a file is published as it is, and shown as bytes", async () => {
    const form = await fold("Publish a message");
    await form.getByLabel("or a file").setInputFiles({ name: "x.bin", mimeType: "application/octet-stream", buffer: Buffer.from([0, 255, 60, 105]) });
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await said("was routed");
    const last = (await get("queues/%2F/made%20here/messages")).items[3];
    equal([last.payload, last.payload_encoding], ["AP88aQ==", "base64"], "payload");
    await form.getByLabel("or a file").setInputFiles([]);
});

await test("messages are looked at, searched, and none is touched", async () => {
    const form = await fold("Look at messages");
    await form.getByRole("button", { name: "Look", exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll(".message").length === 4);
    await hasText("\"what\": \"<img src=x onerror='canary=1'>\"");
    await hasText("0000  00 ff 3c 69");
    await form.getByLabel("With this in key, properties or text").fill("\\\"n\\\": 1");
    await form.getByLabel("With this in key, properties or text").fill("n\\\": 1");
    await form.getByRole("button", { name: "Look", exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll(".message").length === 1);
    const all = (await get("queues/%2F/made%20here/messages")).items;
    equal([all.length, all.some((m) => m.redelivered)], [4, false], "messages");
    equal(await depth("made here"), 4, "depth");
});

await test("one message is deleted, another taken, another becomes a dead letter", async () => {
    const form = await fold("Look at messages");
    await form.getByLabel("With this in key").fill("");
    await form.getByRole("button", { name: "Look", exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll(".message").length === 4);
    await form.locator(".message").nth(3).getByRole("button", { name: "Delete this one" }).click();
    await confirmWith("Delete the message");
    await said("The message is deleted");
    equal(await depth("made here"), 3, "depth after delete");
    const taker = await fold("Get messages");
    await taker.getByRole("button", { name: "Get", exact: true }).click();
    await taker.locator(".message").waitFor();
    equal(await depth("made here"), 3, "depth after a look");
    await taker.getByLabel("And then").selectOption("ack_requeue_false");
    await taker.getByRole("button", { name: "Get", exact: true }).click();
    await confirmWith("Take them");
    await until("one is taken", async () => await depth("made here") === 2);
    await taker.getByLabel("And then").selectOption("reject_requeue_false");
    await taker.getByRole("button", { name: "Get", exact: true }).click();
    await confirmWith("Take them");
    await until("one is dead", async () => await depth("made here") === 1 && await depth("dead-letters") === 1);
});

await test("dead letters go back to where they died", async () => {
    await go(page, "#/queues/%2F/dead-letters");
    const form = await fold("Move messages");
    await form.locator("select[name=to]").selectOption("x-death-origin");
    await form.getByRole("button", { name: "Move", exact: true }).click();
    await confirmWith("Move them");
    await hasText("1 message moved.");
    equal([await depth("dead-letters"), await depth("made here")], [0, 2], "depths");
});

await test("messages are moved to another queue, and a queue that is not there moves none", async () => {
    expected = ["status 40", "status of 40"];
    await go(page, "#/queues/%2F/made%20here");
    const form = await fold("Move messages");
    await form.getByLabel("Queue or exchange").fill("nowhere at all");
    await form.getByRole("button", { name: "Move", exact: true }).click();
    await confirmWith("Move them");
    await page.locator(".notice.failed").waitFor();
    equal(await depth("made here"), 2, "depth");
    await form.getByLabel("Queue or exchange").fill("billing");
    await form.getByRole("button", { name: "Move", exact: true }).click();
    await confirmWith("Move them");
    await hasText("2 messages moved.");
    equal([await depth("made here"), await depth("billing")], [0, 2], "depths");
});

await test("a queue is paused, says so, and goes on", async () => {
    await page.getByRole("button", { name: "Pause" }).click();
    await hasText("This queue is paused");
    equal((await get("queues/%2F/made%20here")).state, "paused", "state");
    await page.getByRole("button", { name: "Resume" }).click();
    await page.getByRole("button", { name: "Pause" }).waitFor();
    equal((await get("queues/%2F/made%20here")).state, "running", "state");
});

await test("more than 10,000 messages are not purged without typing the name", async () => {
    await go(page, "#/queues/%2F/deep");
    await page.getByRole("button", { name: "Purge" }).click();
    const button = page.locator("dialog").getByRole("button", { name: "Purge", exact: true });
    check(/10,001 messages from “deep”/.test(await page.locator("dialog h2").innerText()), "the number is not named");
    check(await button.isDisabled(), "it can be done without typing");
    await page.locator("dialog input[name=typed]").fill("dee");
    await page.keyboard.press("Enter");
    check(await button.isDisabled(), "half a name is enough");
    equal(await depth("deep"), 10001, "depth");
    await confirmWith("Purge", "deep");
    await until("it is empty", async () => await depth("deep") === 0);
});

await test("a queue is deleted only when that is meant", async () => {
    await go(page, "#/queues/%2F/made%20here");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await confirmWith("Cancel");
    equal(await status("queues/%2F/made%20here"), 200, "after Cancel");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.locator("dialog").waitFor();
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    equal(await status("queues/%2F/made%20here"), 200, "after Escape");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await confirmWith("Delete the queue");
    await page.waitForFunction(() => location.hash === "#/queues");
    equal(await status("queues/%2F/made%20here"), 404, "status");
});

await test("why a consumer gets nothing is said", async () => {
    await go(page, "#/queues/%2F/orders.new");
    await page.waitForFunction(() => /prefetch/.test(document.querySelector(".why.waits")?.innerText));
    const row = page.locator("tr", { hasText: "worker-7", has: page.locator(".why") });
    check(/\b5\b/.test(await row.innerText()), await row.innerText());
    await go(page, "#/consumers?name=worker-7");
    const own = page.locator("tbody tr", { hasText: "worker-7" });
    await own.locator(".why.waits", { hasText: "prefetch is 5" }).waitFor();
    equal(await own.locator("td.number").allInnerTexts(), ["5", "5"], "prefetch and what it holds");
});

await test("who holds a queue's messages, and since when, is said", async () => {
    await go(page, "#/queues/%2F/orders.new");
    const held = page.locator("section", { has: page.getByRole("heading", { name: "Held by consumers" }) }).locator("tbody tr");
    await page.waitForFunction(() => /worker-7/.test([...document.querySelectorAll("section")].find((s) => /Held by/.test(s.querySelector("h2")?.innerText))?.innerText));
    const rows = await held.allInnerTexts();
    equal(rows.length, (await get("queues/%2F/orders.new/unacked")).length, "rows");
    check(rows.every((r) => /worker-7/.test(r) && /order\.created\./.test(r) && /guest/.test(r)), rows.join("; "));
    const channel = (await get("queues/%2F/orders.new/unacked"))[0].channel_details.name;
    await held.first().getByRole("link", { name: channel }).click();
    await page.waitForFunction((name) => location.hash.includes(encodeURIComponent(name)), channel);
});

await test("JSON is shown with each number as it came, and what cannot be printed as bytes", async () => {
    await api("PUT", "queues/%2F/numbers", { durable: true });
    const publish = (payload) => api("POST", "exchanges/%2F/amq.default/publish", { routing_key: "numbers", properties: { timestamp: 1700000000 }, payload, payload_encoding: "string" });
    await publish("{\"id\":12345678901234567891,\"price\":1.10,\"none\":{},\"list\":[ ],\"t\":\"a{b\\\"}\",\"id\":[1,{\"x\":null}]}");
    await publish("a\u0001\u0000b");
    await go(page, "#/queues/%2F/numbers");
    const form = await fold("Look at messages");
    await form.getByRole("button", { name: "Look", exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll(".message").length === 2);
    equal(await form.locator(".payload").first().innerText(), "{\n  \"id\": 12345678901234567891,\n  \"price\": 1.10,\n  \"none\": {},\n  \"list\": [],\n  \"t\": \"a{b\\\"}\",\n  \"id\": [\n    1,\n    {\n      \"x\": null\n    }\n  ]\n}", "JSON");
    check((await form.locator(".payload").nth(1).innerText()).startsWith("0000  61 01 00 62"), "not as bytes");
    check(/1700000000 \(2023-11-1[45] \d\d:\d\d:20\)/.test(await form.locator(".message").first().innerText()), "no time");
    await form.getByLabel("From position").fill("1");
    await form.getByRole("button", { name: "Look", exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll(".message").length === 1);
    await api("DELETE", "queues/%2F/numbers");
});

await test("of a long message only a part is fetched", async () => {
    await api("PUT", "queues/%2F/long", { durable: true });
    await api("POST", "exchanges/%2F/amq.default/publish", { routing_key: "long", properties: {}, payload: "x".repeat(300000), payload_encoding: "string" });
    await go(page, "#/queues/%2F/long");
    const form = await fold("Look at messages");
    const [answer] = await Promise.all([page.waitForResponse((r) => r.url().includes("/long/messages")), form.getByRole("button", { name: "Look", exact: true }).click()]);
    equal((await answer.json()).items[0].payload.length, 50000, "letters fetched");
    await hasText("Not all of it: the message has 293 KiB.");
    await form.getByRole("button", { name: "Download this part" }).waitFor();
    await api("DELETE", "queues/%2F/long");
});

await test("a stream's messages are looked at, and none can be deleted", async () => {
    await go(page, "#/queues/%2F/clicks");
    const form = await fold("Look at messages");
    await form.getByRole("button", { name: "Look", exact: true }).click();
    await form.locator(".message", { hasText: "click" }).nth(5).waitFor();
    equal(await form.getByRole("button", { name: "Delete this one" }).count(), 0, "buttons");
});

/* ---- Exchanges. */

await test("hundreds of bindings: pages of them, and a picture of those", async () => {
    expected = ["status 400", "status of 400"]; /* the third page, when there are but two */
    await api("PUT", "exchanges/%2F/wide", { type: "topic", durable: true });
    for (let i = 0; i < 120; i++) await api("POST", "bindings/%2F/e/wide/q/mail", { routing_key: `k.${i}` });
    await go(page, "#/exchanges/%2F/wide");
    await hasText("1–50 of 120 bindings");
    equal(await page.locator("tbody tr").count(), 50, "rows");
    await hasText("70 more are on others.");
    await page.getByRole("button", { name: "Last page" }).click();
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 20);
    check(page.url().includes("out=3"), page.url());
    for (let i = 0; i < 30; i++) await api("DELETE", `bindings/%2F/e/wide/q/mail/k.${i}`);
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 50, null, { timeout: 30000 });
    await api("DELETE", "exchanges/%2F/wide");
});

await test("an exchange is added, bound, drawn, unbound and deleted", async () => {
    await go(page, "#/exchanges");
    const form = await fold("Add an exchange");
    await form.getByLabel("Virtual host").selectOption("/");
    await form.getByLabel("Name", { exact: true }).fill("new one");
    await form.getByLabel("Type").selectOption("topic");
    await addPair(form, "Arguments", "alternate-exchange", "audit");
    await form.getByRole("button", { name: "Add", exact: true }).click();
    await said("new one");
    equal((await get("exchanges/%2F/new%20one")).arguments, { "alternate-exchange": "audit" }, "arguments");
    await go(page, "#/exchanges/%2F/new%20one");
    const bind = await fold("Bind");
    await bind.getByLabel("Name").fill("mail");
    await bind.getByLabel("Routing key").fill("a.*");
    await bind.getByRole("button", { name: "Bind", exact: true }).click();
    await said("binding is there");
    await page.locator(".topology .node.queue", { hasText: "mail" }).waitFor();
    await page.locator(".topology .key", { hasText: "a.*" }).waitFor();
    await bind.locator("select[name=kind]").selectOption("e");
    await bind.getByLabel("Name").fill("orders");
    await bind.getByRole("button", { name: "Bind", exact: true }).click();
    await page.locator(".topology .node.exchange", { hasText: "orders" }).first().waitFor();
    await page.locator(".topology .node.queue", { hasText: "billing" }).first().waitFor();
    check(/new one is fed by 0 exchanges and feeds/.test(await page.locator(".topology svg").getAttribute("aria-label")), "no words for the picture");
    const why = await fold("Where would a message go?");
    await why.getByLabel("Routing key").fill("a.b");
    await why.getByRole("button", { name: "Explain" }).click();
    await hasText("would get it.");
    await page.locator("tr", { hasText: "a.*" }).getByRole("button", { name: "Unbind" }).click();
    await confirmWith("Unbind");
    await said("binding is removed");
    equal((await get("exchanges/%2F/new%20one/bindings/source")).map((b) => b.destination), ["orders"], "bindings");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await confirmWith("Delete the exchange");
    await page.waitForFunction(() => location.hash === "#/exchanges");
    equal(await status("exchanges/%2F/new%20one"), 404, "status");
});

await test("a message that goes nowhere is not said to be routed", async () => {
    await go(page, "#/exchanges/%2F/amq.topic");
    const form = await fold("Publish a message");
    await form.getByRole("button", { name: "Publish", exact: true }).click();
    await said("no queue takes it");
});

/* ---- Clients. */

await test("a connection is closed, with a reason", async () => {
    await go(page, "#/connections?name=to+be");
    await page.locator("tbody tr", { hasText: "to be closed" }).waitFor();
    equal(await page.locator("tbody tr").count(), 1, "rows that fit");
    const all = await get("connections");
    const c = all.find((x) => x.user_provided_name === "to be closed");
    await go(page, `#/connections/${enc(c.name)}`);
    equal(await page.locator("h1").evaluate((n) => n.lastChild.textContent), "to be closed", "heading");
    await page.getByRole("button", { name: "Close", exact: true }).click();
    await page.getByLabel("Reason").fill("no longer wanted");
    await confirmWith("Close the connection");
    await page.waitForFunction(() => location.hash === "#/connections");
    await until("it has gone", async () => !(await get("connections")).some((x) => x.name === c.name));
});

await test("a channel's page has its consumers", async () => {
    const c = (await get("consumers")).find((x) => x.consumer_tag === "worker-7");
    await go(page, `#/channels/${enc(c.channel_details.name)}`);
    await hasText("worker-7");
});

/* ---- Users, virtual hosts, policies, definitions. */

await test("a user is added, given rights, tags, limits, a password, and deleted", async () => {
    await go(page, "#/users");
    const form = await fold("Add a user");
    await form.getByLabel("Name", { exact: true }).fill("eve & co");
    await form.getByLabel("Password").fill("first");
    await form.getByLabel("Tags").fill("monitoring");
    await form.getByRole("button", { name: "Add", exact: true }).click();
    await said("eve & co");
    equal((await get("users/eve%20%26%20co")).tags, ["monitoring"], "tags");
    await go(page, "#/users/eve%20%26%20co");
    await hasText("This user has no permissions");
    const main = page.locator("section", { hasText: "Permissions" }).first();
    await main.getByLabel("Virtual host").selectOption("/");
    await main.getByLabel("Configure").fill("^a");
    await main.getByRole("button", { name: "Set permissions" }).click();
    await said("permissions are set");
    equal((await get("permissions/%2F/eve%20%26%20co")).configure, "^a", "configure");
    const topics = await fold("Set topic permissions");
    await topics.getByLabel("Virtual host").selectOption("/");
    await topics.getByLabel("Write").fill("^b");
    await topics.getByRole("button", { name: "Set topic permissions" }).click();
    await said("topic permissions are set");
    equal((await get("users/eve%20%26%20co/topic-permissions"))[0].write, "^b", "write");
    await page.getByLabel("Tags").fill("management, policymaker");
    await page.getByRole("button", { name: "Set tags" }).click();
    await said("tags are set");
    equal((await get("users/eve%20%26%20co")).tags, ["management", "policymaker"], "tags");
    equal((await api("GET", "whoami", undefined, "eve & co:first")).status, 200, "the password after the tags");
    await page.getByLabel("Value").fill("7");
    await page.getByRole("button", { name: "Set the limit" }).click();
    await said("limit is set");
    await page.getByRole("button", { name: "Remove", exact: true }).click();
    await confirmWith("Cancel");
    equal((await get("user-limits/eve%20%26%20co"))[0].value, { "max-connections": 7 }, "limit");
    await page.getByRole("button", { name: "Set password" }).click();
    await page.locator("dialog").getByLabel("Password").fill("second");
    await confirmWith("Set it");
    await said("password is set");
    equal([(await api("GET", "whoami", undefined, "eve & co:second")).status, (await get("users/eve%20%26%20co")).tags], [200, ["management", "policymaker"]], "the new password");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await confirmWith("Delete");
    await page.waitForFunction(() => location.hash === "#/users");
    equal(await status("users/eve%20%26%20co"), 404, "status");
});

await test("a virtual host is added, limited and deleted", async () => {
    await go(page, "#/vhosts");
    const form = await fold("Add a virtual host");
    await form.getByLabel("Name", { exact: true }).fill("a/b c");
    await form.getByLabel("Description").fill("for a while");
    await form.getByRole("button", { name: "Add", exact: true }).click();
    await said("a/b c");
    equal((await get("vhosts/a%2Fb%20c")).description, "for a while", "description");
    await go(page, "#/vhosts/a%2Fb%20c");
    await page.locator("select[name=limit]").selectOption("max-queues");
    await page.getByLabel("Value").fill("3");
    await page.getByRole("button", { name: "Set the limit" }).click();
    await said("limit is set");
    equal((await get("vhost-limits/a%2Fb%20c"))[0].value, { "max-queues": 3 }, "limit");
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await confirmWith("Delete all of it");
    await page.waitForFunction(() => location.hash === "#/vhosts");
    equal(await status("vhosts/a%2Fb%20c"), 404, "status");
});

await test("a policy is added with arguments, changed and deleted; an operator's too", async () => {
    expected = ["status 400", "status of 400"];
    await go(page, "#/policies");
    const form = await fold("Add or replace a policy");
    await form.getByLabel("Virtual host").selectOption("/");
    await form.getByLabel("Name", { exact: true }).fill("short");
    await form.getByLabel("Pattern").fill("^bill");
    await addPair(form, "Definition", "max-length", "-5");
    await form.getByRole("button", { name: "Save" }).click();
    await page.locator(".notice.failed", { hasText: "-5 is not a valid maximum length" }).waitFor();
    equal(await form.getByLabel("Pattern").inputValue(), "^bill", "what was typed, after a refusal");
    await form.locator(".pair-value").last().fill("50");
    await form.getByRole("button", { name: "Save" }).click();
    await said("“short” is there");
    equal((await get("policies/%2F/short")).definition, { "max-length": 50 }, "definition");
    await page.locator("tr", { hasText: "^bill" }).getByRole("button", { name: "Change" }).click();
    await page.locator("dialog").getByLabel("Priority").fill("4");
    await confirmWith("Save");
    await said("“short” is changed");
    const changed = await get("policies/%2F/short");
    equal([changed.priority, changed.definition], [4, { "max-length": 50 }], "changed");
    await page.locator("tr", { hasText: "^bill" }).getByRole("button", { name: "Delete" }).click();
    await confirmWith("Delete");
    await said("Deleted “short”");
    equal(await status("policies/%2F/short"), 404, "status");
    const other = await fold("Add or replace an operator policy");
    await other.getByLabel("Virtual host").selectOption("/");
    await other.getByLabel("Name", { exact: true }).fill("cap");
    await other.getByLabel("Pattern").fill("^mail");
    await addPair(other, "Definition", "message-ttl", "60000");
    await other.getByRole("button", { name: "Save" }).click();
    await said("“cap” is there");
    equal((await get("operator-policies/%2F/cap")).definition, { "message-ttl": 60000 }, "operator policy");
    await api("DELETE", "operator-policies/%2F/cap");
});

await test("definitions are exported, and imported after a look at what is in them", async () => {
    await go(page, "#/definitions");
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
    const exported = JSON.parse(fs.readFileSync(await file.path(), "utf8"));
    check(exported.queues.some((q) => q.name === "orders.new") && exported.users.length > 0, "the export lacks something");
    const small = { queues: [{ name: "from a file", vhost: "/", durable: true, auto_delete: false, arguments: {} },
        { name: "billing", vhost: "/", durable: false, auto_delete: false, arguments: {} }] };
    await page.getByLabel("File").setInputFiles({ name: "small.json", mimeType: "application/json", buffer: Buffer.from(JSON.stringify(small)) });
    await page.getByRole("button", { name: "See what would change" }).click();
    await page.locator("dialog").waitFor();
    const preview = await page.locator("dialog").innerText();
    check(preview.includes("Created: 1") && preview.includes("queue 'from a file' in vhost '/'") && /Conflicts: 1\n.*inequivalent arg 'durable' for queue 'billing'/.test(preview), preview);
    equal(await status("queues/%2F/from%20a%20file"), 404, "before it is confirmed");
    await confirmWith("Import");
    await said("definitions are imported");
    equal(await status("queues/%2F/from%20a%20file"), 200, "afterwards");
});

await test("a file that is no JSON, or no definitions, is refused here", async () => {
    await page.getByLabel("File").setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from("{nope") });
    await page.getByRole("button", { name: "See what would change" }).click();
    await page.locator(".notice.failed", { hasText: "not JSON" }).waitFor();
    await page.getByLabel("File").setInputFiles({ name: "x.json", mimeType: "application/json", buffer: Buffer.from("[1]") });
    await page.getByRole("button", { name: "See what would change" }).click();
    await page.locator(".notice.failed", { hasText: "has no definitions" }).waitFor();
});

/* ---- The log. */

await test("the log's newest lines are there, filtered and saved", async () => {
    await api("PUT", "vhosts/logged%20%C3%BC%0A%C3%BC", {});
    await api("DELETE", "vhosts/logged%20%C3%BC%0A%C3%BC");
    await go(page, "#/logs");
    await page.keyboard.press("/");
    await page.keyboard.type("logged \u00fc");
    await page.waitForFunction(() => {
        const rows = [...document.querySelectorAll("tbody tr")].map((r) => r.innerText);
        return rows.length > 0 && rows.every((r) => r.includes("logged \u00fc") && /20\d\d-\d\d-\d\d[ T]\d\d:/.test(r));
    });
    const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download" }).click()]);
    const saved = fs.readFileSync(await file.path(), "utf8");
    check(/^\S+ \[info\] <\S+> .*logged/m.test(saved), "not in the file");
    check(saved.trimEnd().split("\n").every((l) => /^20[ -~]*\\x0a\\xc3\\xbc/.test(l)), "a line that somebody else has written");
    equal(await page.getByLabel("Rows a page").count(), 0, "choices that choose nothing");
    await page.getByLabel("Level").selectOption("critical");
    await hasText("No line fits.");
    const { items, next } = await get("millrace/log");
    check(items.every((l, i) => l.id === next - items.length + i && l.msg !== undefined), "ids");
    equal((await get(`millrace/log?from=${next - 2}`)).items.map((l) => l.id).slice(0, 2), [next - 2, next - 1], "from");
    equal(await status("millrace/log?from=x"), 400, "what is no number");
});

/* ---- Data that is markup. */

await test("markup in every name, argument, property, header, payload and tag stays text", async () => {
    const [image, script, url, frame] = MARKUP, v = enc(image);
    const shown = async (hash, ...texts) => {
        await go(page, hash);
        for (const text of texts) await hasText(text);
        await unharmed(page);
    };
    await shown("#/");
    await shown(`#/queues?vhost=${enc(image)}`, image, script, url, frame);
    await shown(`#/queues?name=${enc("\"><script>")}`, script);
    for (const q of MARKUP) await shown(`#/queues/${v}/${enc(q)}`, q, "x-dead-letter-exchange");
    await shown(`#/exchanges?vhost=${enc(image)}`, image, url);
    await shown(`#/exchanges/${v}/${enc(image)}`, image, script, frame);
    await shown(`#/streams?vhost=${enc(image)}`, `s${image}`);
    await shown("#/connections", image);
    const evil = (await get("connections")).find((c) => c.vhost === image);
    await shown(`#/connections/${enc(evil.name)}`, image, script, url, frame);
    await shown(`#/channels/${enc(`${evil.name} (1)`)}`, image, script);
    await shown("#/consumers", image, script);
    await shown("#/users", script, image);
    await shown(`#/users/${enc(script)}`, script, image);
    await shown("#/vhosts", image, script);
    await shown(`#/vhosts/${v}`, image, script);
    await shown("#/policies", script, image, frame, url);
    await shown("#/definitions", "Definitions");
    await shown(`#/logs?name=${enc(image)}`, image);
    await shown(`#/nothing/${v}`);
});

await test("markup in messages stays text, looked at and taken", async () => {
    const [image, script, url, frame] = MARKUP;
    await go(page, `#/queues/${enc(image)}/${enc(image)}`);
    const form = await fold("Look at messages");
    await form.getByRole("button", { name: "Look", exact: true }).click();
    await page.waitForFunction(() => document.querySelectorAll(".message").length >= 6);
    for (const text of MARKUP) await hasText(text);
    await unharmed(page);
    const taker = await fold("Get messages");
    await taker.getByLabel("How many").fill("10");
    await taker.getByRole("button", { name: "Get", exact: true }).click();
    await taker.locator(".message").nth(5).waitFor();
    check((await taker.innerText()).includes(frame), "not shown");
    await unharmed(page);
    const why = `#/exchanges/${enc(image)}/${enc(image)}`;
    await go(page, why);
    const explain = await fold("Where would a message go?");
    await explain.getByLabel("Routing key").fill(script);
    await explain.getByRole("button", { name: "Explain" }).click();
    await hasText("would get it");
    check((await explain.innerText()).includes(url), "the explanation names no queue");
});

await test("a link in a page leads nowhere but into the page", async () => {
    for (const route of [...ROUTES, `#/queues?vhost=${enc(MARKUP[0])}`, `#/exchanges/${enc(MARKUP[0])}/${enc(MARKUP[0])}`]) {
        await go(page, route);
        const out = await page.evaluate(() => [...document.querySelectorAll("a")].map((a) => a.getAttribute("href")).filter((h) => h !== "#main" && !h.startsWith("#/")));
        equal(out, [], route);
    }
});

/* ---- Refreshing. */

await test("a refresh leaves focus, what was typed and what is open", async () => {
    await go(page, "#/queues/%2F/payments");
    const form = await fold("Publish a message");
    const payload = form.getByLabel("Payload", { exact: true });
    await payload.fill("half a sen");
    await addPair(form, "Headers", "kept", "yes");
    await payload.focus();
    const one = page.locator(".facts").first();
    await one.evaluate((n) => { n.sameAsBefore = true; });
    let looks = 0;
    const count = (r) => { if (r.url().includes("/api/queues/%2F/payments?")) looks += 1; };
    page.on("response", count);
    await until("two refreshes", () => looks >= 2);
    page.off("response", count);
    await page.keyboard.type("tence");
    equal(await payload.inputValue(), "half a sentence", "payload");
    equal(await form.locator(".pair-value").inputValue(), "yes", "header");
    check(await one.evaluate((n) => n.sameAsBefore === true), "the page was built anew");
});

await test("a broker that goes away is said, what was there stays, and it comes back", async () => {
    expected = ["request failed", "net::ERR_FAILED"];
    await go(page, "#/queues/%2F/payments");
    const form = await fold("Publish a message");
    await form.getByLabel("Payload", { exact: true }).fill("half");
    await page.route("**/api/**", (route) => route.abort());
    await page.locator("#stale", { hasText: "The broker does not answer. What is shown is old. Trying again." }).waitFor();
    check(await page.locator(".chart").count() > 0, "nothing is left");
    await page.unroute("**/api/**");
    await page.locator("#stale p").waitFor({ state: "detached" });
    equal(await form.getByLabel("Payload", { exact: true }).inputValue(), "half", "what was typed");
});

await test("one look is under way at a time, and none while the page is hidden", async () => {
    const c = await newContext(), p = await c.newPage();
    watch(p);
    await p.clock.install();
    await logIn(p);
    await p.locator("#menu").waitFor();
    await p.evaluate(() => {
        Object.defineProperty(document, "hidden", { configurable: true, get: () => window.isHiddenNow === true });
        window.isHiddenNow = true;
        document.dispatchEvent(new Event("visibilitychange"));
    });
    await p.waitForLoadState("networkidle");
    let asked = 0, open = 0, most = 0;
    const isLook = (r) => r.url().includes("/api/overview");
    p.on("request", (r) => { if (isLook(r)) { asked += 1; open += 1; most = Math.max(most, open); } });
    const end = (r) => { if (isLook(r)) open -= 1; };
    p.on("requestfinished", end);
    p.on("requestfailed", end);
    await p.clock.runFor(60000);
    equal(asked, 0, "looks while hidden");
    await p.evaluate(() => {
        window.isHiddenNow = false;
        document.dispatchEvent(new Event("visibilitychange"));
        for (let i = 0; i < 20; i++) document.dispatchEvent(new Event("visibilitychange"));
    });
    await until("it looks again", () => asked > 0);
    await until("it looks five times", async () => {
        await until("the answer is there", () => open === 0);
        await p.clock.runFor(5000);
        return asked >= 5;
    });
    equal(most, 1, "looks at once");
    await c.close();
});

/* ---- Keys alone. */

async function tabWalk(p) {
    return p.evaluate(() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")].filter((n) =>
        !n.disabled && n.checkVisibility() && !n.closest("details:not([open]) > :not(summary)") && n.id !== "skip").length);
}

await test("everything that can be clicked is reached by Tab, and shows that it has the focus", async () => {
    for (const route of ["#/queues?page_size=25", "#/queues/%2F/orders.new", "#/exchanges/%2F/orders", "#/users", "#/policies"]) {
        await go(page, route);
        const wanted = await tabWalk(page);
        await page.evaluate(() => { document.body.tabIndex = -1; document.body.focus(); document.body.removeAttribute("tabindex"); window.reached = new Set(); window.unseen = []; });
        for (let i = 0; i < wanted + 12; i++) {
            await page.keyboard.press("Tab");
            await page.evaluate(() => {
                const n = document.activeElement;
                if (n === document.body || n.id === "skip") return;
                window.reached.add(n);
                const s = getComputedStyle(n);
                if (s.outlineStyle === "none" && n.nodeName !== "HTML" && !n.matches(".node")) window.unseen.push(n.outerHTML.slice(0, 80));
            });
        }
        const missed = await page.evaluate(() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary")].filter((n) =>
            !n.disabled && n.checkVisibility() && !n.closest("details:not([open]) > :not(summary)") && n.id !== "skip" && !window.reached.has(n)).map((n) => n.outerHTML.slice(0, 90)));
        equal(missed, [], `${route}: not reached`);
        equal(await page.evaluate(() => window.unseen), [], `${route}: focus that is not seen`);
    }
});

await test("the keys alone filter, sort, turn pages, and are held by a dialog", async () => {
    await go(page, "#/queues");
    await page.keyboard.press("/");
    equal(await page.evaluate(() => document.activeElement.id), "filter", "after /");
    await page.keyboard.type("device.0012");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 10);
    check(page.url().includes("name=device.0012"), page.url());
    equal(await page.evaluate(() => document.activeElement.id), "filter", "focus after filtering");
    await page.locator("th button", { hasText: "Name" }).focus();
    await page.keyboard.press("Enter");
    await page.locator("th[aria-sort=ascending]", { hasText: "Name" }).waitFor();
    await page.keyboard.press("Enter");
    await page.locator("th[aria-sort=descending]", { hasText: "Name" }).waitFor();
    await page.waitForFunction(() => document.querySelector("tbody tr td").innerText === "device.00129");
    await page.locator("tbody a").first().focus();
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("h1").innerText.includes("device.00129"));
    await page.getByRole("button", { name: "Delete", exact: true }).focus();
    await page.keyboard.press("Enter");
    await page.locator("dialog").waitFor();
    for (let i = 0; i < 6; i++) {
        await page.keyboard.press("Tab");
        check(await page.evaluate(() => document.activeElement === document.body || document.activeElement.closest("dialog") !== null), "the focus left the dialog");
    }
    await page.keyboard.press("Escape");
    await page.locator("dialog").waitFor({ state: "detached" });
    equal(await page.evaluate(() => document.activeElement.innerText), "Delete", "focus after the dialog");
    equal(await status("queues/many/device.00129"), 200, "the queue");
});

await test("the way back goes through sorting and pages, to where one was", async () => {
    await go(page, "#/queues?vhost=many");
    await page.getByRole("button", { name: "Next page" }).click();
    await page.locator("tbody a", { hasText: "device.00100" }).waitFor();
    await page.getByRole("button", { name: "Next page" }).click();
    const link = page.locator("tbody a", { hasText: "device.00290" });
    await link.waitFor();
    await link.scrollIntoViewIfNeeded();
    await page.waitForFunction(() => window.scrollY > 500);
    const down = await page.evaluate(() => window.scrollY);
    await link.click();
    await page.waitForFunction(() => document.querySelector("h1").innerText.includes("device.00290") && window.scrollY === 0);
    await page.goBack();
    await page.waitForFunction((y) => document.querySelector("h1").innerText === "Queues" && Math.abs(window.scrollY - y) < 2, down);
    check(page.url().includes("page=3"), page.url());
    await page.goBack();
    await page.locator("tbody a", { hasText: "device.00100" }).waitFor();
    await page.getByLabel("Filter by name").fill("nothing like it");
    await page.getByRole("button", { name: "Show all" }).click();
    await page.locator("tbody a").first().waitFor();
    equal(await page.getByLabel("Filter by name").inputValue(), "", "the filter");
});

await test("a chart says what was at the time below the pointer", async () => {
    await go(page, "#/");
    const chart = page.locator(".chart").last();
    await chart.locator("path.line").first().waitFor();
    const box = await chart.locator("svg").boundingBox();
    await page.mouse.move(box.x + box.width / 4, box.y + 20);
    await chart.locator("figcaption small", { hasText: /at \d\d:\d\d:\d\d/ }).waitFor();
    equal(await chart.locator("line.now").count(), 1, "lines");
    await page.mouse.move(0, 0);
    await chart.locator("line.now").waitFor({ state: "detached" });
});

/* ---- Ten thousand queues. */

await test("ten thousand queues: the list is there in under a second", async () => {
    const times = [];
    for (let i = 0; i < TRIES_FOR_SPEED; i++) {
        await page.goto("about:blank");
        await page.goto(`${URL_OF_PAGE}#/queues?sort=messages&sort_reverse=true`);
        await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 100);
        times.push(await page.evaluate(() => performance.getEntriesByName("millrace-shown")[0].startTime));
    }
    console.log(`# from navigation to rows, of ${(await get("overview")).object_totals.queues} queues: ${times.map((t) => `${Math.round(t)} ms`).join(", ")}`);
    check(Math.min(...times) < 1000, `${Math.min(...times)} ms at best`);
    await hasText("1–100 of");
    await page.getByRole("button", { name: "Last page" }).click();
    await page.waitForFunction(() => /(\d+) \/ \1\b/.test(document.querySelector(".pager").innerText.replaceAll(",", "")));
});

await test("a bad expression is told, and what was typed stays", async () => {
    expected = ["status 400", "status of 400"];
    await go(page, "#/queues");
    await page.getByLabel("Filter by name").fill("a(");
    await page.getByLabel("Regular expression").check();
    await page.locator("main .problem").waitFor();
    equal(await page.getByLabel("Filter by name").inputValue(), "a(", "filter");
    await page.getByLabel("Filter by name").fill("^deep$");
    await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
});

/* ---- How it looks. */

/* Letters on what is behind them: those below 4.5 to 1 (3 to 1 where they are large). */
function contrast() {
    const channel = (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    const parse = (text) => { const n = text.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] === undefined ? 1 : n[3]]; };
    const light = (c) => 0.2126 * channel(c[0] / 255) + 0.7152 * channel(c[1] / 255) + 0.0722 * channel(c[2] / 255);
    const behind = (node) => {
        for (let n = node; n; n = n.parentElement) {
            const c = parse(getComputedStyle(n).backgroundColor);
            if (c[3] > 0.99) return c;
        }
        return [255, 255, 255, 1];
    };
    const bad = new Set(), walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.data.trim() || !node.checkVisibility({ opacityProperty: true }) || node.closest("svg, :disabled, option, .hidden")) continue;
        const style = getComputedStyle(node), a = light(parse(style.color)), b = light(behind(node));
        const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05), size = parseFloat(style.fontSize);
        if (ratio < (size >= 24 || (size >= 18.6 && style.fontWeight >= 700) ? 3 : 4.5)) bad.add(`${ratio.toFixed(2)} ${node.nodeName}.${node.className}: ${walker.currentNode.data.slice(0, 30)}`);
    }
    return [...bad];
}

for (const scheme of ["light", "dark"]) {
    await test(`360 pixels wide, ${scheme}: no page scrolls sideways, all text has contrast`, async () => {
        const c = await newContext({ viewport: { width: 360, height: 740 }, colorScheme: scheme, reducedMotion: "reduce" }), p = await c.newPage();
        watch(p);
        await logIn(p);
        await p.locator("main h1").waitFor();
        for (const route of [...ROUTES, `#/queues/${enc(MARKUP[0])}/${enc(MARKUP[3])}`, `#/connections?name=${enc(MARKUP[0])}`]) {
            await go(p, route);
            await p.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
            const wide = await p.evaluate(() => document.documentElement.scrollWidth);
            check(wide <= 360, `${route}: ${wide} wide, by ${await p.evaluate(() => [...document.querySelectorAll("main *")].filter((n) => n.getBoundingClientRect().right > 361 && !n.closest(".scroll")).slice(0, 3).map((n) => n.outerHTML.slice(0, 80)).join(" "))}`);
            equal(await p.evaluate(contrast), [], `${route}: too faint`);
        }
        await p.getByRole("button", { name: "Menu" }).click();
        await p.getByRole("link", { name: "Virtual hosts" }).click();
        await p.waitForFunction(() => document.querySelector("h1").innerText === "Virtual hosts");
        await c.close();
    });
}

/* ---- Who may do what. */

await test("what a user's tags do not allow is not offered, and a refusal is shown word for word", async () => {
    expected = ["status 401", "status of 401"];
    await api("PUT", "users/clerk", { password: "clerk", tags: "management" });
    await api("PUT", "permissions/%2F/clerk", { configure: "^$", write: ".*", read: ".*" });
    const c = await newContext(), p = await c.newPage();
    watch(p);
    await logIn(p, URL_OF_PAGE, "clerk", "clerk");
    await p.locator("#menu").waitFor();
    const menu = await p.locator("#menu a").allInnerTexts();
    equal(["Users", "Definitions", "Node", "Log"].filter((n) => menu.includes(n)), [], "offered");
    check(menu.includes("Queues") && menu.includes("Policies"), "too little is offered");
    equal(await p.locator(".cluster").innerText(), (await get("cluster-name")).name, "cluster");
    await go(p, "#/connections");
    check(/users who have the tag monitoring/.test(await p.locator(".empty").innerText()), "not said why there are none");
    await go(p, "#/policies");
    equal(await p.locator("details.fold").count(), 0, "forms for policies");
    await go(p, "#/users");
    check(/no such page/.test(await p.locator("h1").innerText()), "users");
    await go(p, "#/queues/%2F/billing");
    await p.getByRole("button", { name: "Delete", exact: true }).click();
    await p.locator("dialog").getByRole("button", { name: "Delete the queue" }).click();
    const { reason } = (await api("DELETE", "queues/%2F/billing", undefined, "clerk:clerk")).body;
    await p.locator(".notice.failed", { hasText: reason }).waitFor();
    equal(await status("queues/%2F/billing"), 200, "the queue");
    await unharmed(p);
    await c.close();
    await api("DELETE", "users/clerk");
});

await test("a session that is over, and a logout, leave nothing behind", async () => {
    await go(page, "#/queues");
    await page.evaluate(() => {
        const login = JSON.parse(sessionStorage.getItem("millrace.login"));
        sessionStorage.setItem("millrace.login", JSON.stringify({ ...login, until: Date.now() - 1 }));
    });
    await page.evaluate(() => { window.location.hash = "#/users"; });
    await page.getByLabel("User name").waitFor();
    equal(await page.locator("table").count(), 0, "tables");
    await logIn(page);
    await page.locator("#menu").waitFor();
    await page.getByRole("button", { name: "Log out" }).click();
    await page.getByLabel("User name").waitFor();
    equal(await page.evaluate(() => [sessionStorage.length, document.querySelectorAll("table, .tile").length]), [0, 0], "left behind");
});

await test("it works where a proxy has put it", async () => {
    const c = await newContext(), p = await c.newPage();
    watch(p);
    await logIn(p, process.env.PREFIXED_URL);
    await p.locator("#menu").waitFor();
    await go(p, "#/queues");
    equal(await p.locator("h1").innerText(), "Queues", "heading");
    await c.close();
});

console.log(`1..${number}`);
await browser.close();
process.exitCode = failures ? 1 : 0;
