/* The pictures in docs/screenshots, of a small shop under load: `make screenshots`. */
import path from "node:path";
import { go, launch, logIn } from "./browser.mjs";

const browser = await launch();

async function shoot(name, hash, { width = 1200, height = 760, scheme = "light", before } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce" });
    const page = await context.newPage();
    await logIn(page);
    await page.locator("#menu").waitFor({ state: "attached" });
    await go(page, hash);
    if (before) await before(page);
    await page.screenshot({ path: path.join(process.env.PICTURES, `${name}.png`), caret: "initial" });
    await context.close();
}

/* A minute of load, so that the lines have a shape: as soon as there is no sample left from before it. */
const traffic = (page) => page.waitForFunction(() => {
    const line = document.querySelector(".chart:last-child path.line");
    return line && !line.getAttribute("d").split(/[ML]/).some((p) => p.endsWith(" 159.0"));
}, null, { timeout: 180000 });

async function open(page, name) {
    const summary = page.locator("details.fold > summary", { hasText: name }).first();
    await summary.click();
    return summary.locator("..");
}

async function look(page) {
    const form = await open(page, "Look at messages");
    await form.getByRole("button", { name: "Look", exact: true }).click();
    await page.locator(".message").nth(1).waitFor();
    await form.evaluate((n) => n.scrollIntoView());
}

async function explain(page) {
    const form = await open(page, "Where would a message go?");
    await form.getByLabel("Routing key").fill("order.paid.mail");
    await form.getByRole("button", { name: "Explain" }).click();
    await page.locator(".explained h3").waitFor();
    await page.getByRole("heading", { name: "Picture" }).evaluate((n) => n.scrollIntoView());
}

await shoot("overview", "#/", { before: traffic });
await shoot("overview-dark", "#/", { scheme: "dark", before: traffic });
await shoot("queues", "#/queues?sort=messages&sort_reverse=true", { height: 560 });
await shoot("queue", "#/queues/%2F/payments", { before: traffic });
await shoot("consumer", "#/queues/%2F/orders.new", { height: 860 });
await shoot("messages", "#/queues/%2F/orders.new", { before: look });
await shoot("exchange", "#/exchanges/%2F/orders", { height: 1120, before: explain });
await shoot("phone-dark", "#/queues/%2F/payments", { width: 360, height: 720, scheme: "dark" });
await browser.close();
