/* What drive.mjs and pictures.mjs share: Chromium, logging in, and the API beside the page. */
import { createRequire } from "node:module";

const { chromium } = createRequire(process.env.MODULES)("playwright-core");
export const URL_OF_PAGE = process.env.PAGE_URL;

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--force-color-profile=srgb"];

export function launch() {
    return chromium.launch({ executablePath: process.env.CHROMIUM, args: FLAGS });
}

export async function logIn(page, base = URL_OF_PAGE, name = "guest", password = "guest", hash = "") {
    await page.goto(base + hash);
    await page.getByLabel("User name").fill(name);
    await page.getByLabel("Password").fill(password);
    await page.keyboard.press("Enter");
}

/* The h1 is that page's, and the one before has gone: a look at that one may end after the place has changed. */
export async function go(page, hash) {
    await page.evaluate((h) => {
        performance.clearMarks();
        window.location.hash = h;
    }, hash);
    await page.waitForFunction(() => performance.getEntriesByName("millrace-shown").some((m) => m.detail === window.location.hash));
}

/* {status, body} */
export async function api(method, path, body, login = "guest:guest") {
    const answer = await fetch(`${URL_OF_PAGE}api/${path}`, { method, headers: { authorization: `Basic ${btoa(login)}`, "content-type": "application/json", "x-requested-with": "test" },
        body: body === undefined ? undefined : JSON.stringify(body) });
    const text = await answer.text();
    return { status: answer.status, body: text ? JSON.parse(text) : null };
}
