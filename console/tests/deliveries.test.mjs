// The screen of deliveries, against a real host and a receiver that is down at night.

import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Browser, assertAccessible, assertClean } from "./browser.mjs";
import { Host } from "./host.mjs";

const HOSTILE = "<img src=x onerror=alert(1)> a\u202eb https://evil.example/";
const HOSTILE_SHOWN = "<img src=x onerror=alert(1)> a\\u{202E}b https://evil.example/";
const GROUP = /^status: the server answered 503/;

let host, browser, admin, receiver;

// A receiver whose answers the test sets.
class Receiver {
  static async start() {
    const receiver = new Receiver();
    receiver.bodies = [];
    receiver.status = 503;
    receiver.server = createServer((request, response) => {
      let body = "";
      request.on("data", (bytes) => (body += bytes));
      request.on("end", () => {
        if (receiver.status === 200) receiver.bodies.push(body);
        response.writeHead(receiver.status, { "content-type": "text/plain; charset=utf-8" });
        response.end(HOSTILE);
      });
    });
    receiver.server.listen(0, "127.0.0.1");
    await once(receiver.server, "listening");
    return receiver;
  }

  get port() {
    return this.server.address().port;
  }
}

before(async () => {
  receiver = await Receiver.start();
  host = await Host.start(`
sources: { lab: { scheme: none, plugin: none } }
webhooks: { unused: { url: "http://127.0.0.1:${receiver.port}/", allow_networks: [127.0.0.0/8] } }
destinations:
  soc: { type: http, url: "http://127.0.0.1:${receiver.port}/in?token=x", allow_networks: [127.0.0.0/8], retry_schedule: [], disable_after: 1s }
notifications: [{ name: payloads, trigger: event_received, notify: [{ to: soc }] }]
`);
  browser = await Browser.start();
  admin = host.token("admin", "operator");
});

after(async () => {
  await browser?.stop();
  await host?.stop();
  receiver?.server.close();
});

async function opened(token = admin, options = {}) {
  const page = await browser.signedIn(host.url, token, options);
  await page.keyboard.press("d");
  await page.getByRole("heading", { name: "Deliveries", exact: true }).waitFor();
  return page;
}

test("without deliveries, the screen says how there will be some", async () => {
  const page = await opened();
  await page.getByText("There are none. A delivery becomes a dead letter").waitFor();
  await page.getByText("There is no delivery yet. A delivery is made when").waitFor();
  await page.getByRole("button", { name: "Test… unused" }).click();
  await page.getByText("No notification names this destination").waitFor();
  await assertAccessible(page);
  await page.keyboard.press("Escape");
  await page.getByRole("button", { name: "Test… soc" }).click();
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByText("There is no event yet that a message could be about").waitFor();
  assertClean(page);
});

test("an operator finds why a destination was disabled at night, and makes it drain", async () => {
  const page = await opened();
  const row = page.locator(".destinations tr", { has: page.getByRole("link", { name: "soc", exact: true }) });
  for (let number = 0; number < 15; number += 1) await host.post("lab", `payload ${number} ${HOSTILE}`);
  // The breaker pauses the destination after ten failures; the attempt after the pause disables it.
  await row.getByText("‖ paused").waitFor();
  await assertAccessible(page);
  await row.getByText("✗ disabled").waitFor();
  await row.getByText("every attempt failed during the time of `disable_after`").waitFor();
  await row.getByText(/the server answered 503/).waitFor();

  const group = page.locator(".groups tr", { hasText: "503" });
  await group.getByText(GROUP).waitFor();
  const dead = Number(await group.getByRole("link").first().textContent());
  assert.ok(dead >= 10 && dead < 15, `${dead} with this cause`);
  await group.getByRole("link", { name: "Newest" }).click();
  await page.getByRole("heading", { name: /^Delivery / }).waitFor();
  // The host replaces characters of answers that cannot be seen.
  await page.getByRole("cell", { name: /^<img src=x onerror=alert\(1\)> a.?b https:\/\/evil.example\/$/ }).waitFor();
  const body = page.getByRole("region", { name: "Body" });
  await body.waitFor();
  assert.ok((await body.textContent()).includes(HOSTILE_SHOWN));
  await page.getByRole("region", { name: "Request" }).getByText(`POST http://127.0.0.1:${receiver.port}/in`).waitFor();
  assert.equal(await page.locator("#main img").count(), 0);
  await assertAccessible(page);

  receiver.status = 200;
  await page.goBack();
  await row.getByRole("button", { name: "Test… soc" }).click();
  await page.getByRole("button", { name: "Send", exact: true }).click();
  await page.getByText(/✓ sent to soc in \d+ ms, status 200/).waitFor();
  await assertAccessible(page);
  assert.equal(receiver.bodies.length, 1);
  await page.keyboard.press("Escape");
  await row.getByRole("button", { name: "Enable soc" }).click();
  await page.getByText("soc is enabled.").waitFor();
  await row.getByText("✓ works").waitFor();

  await group.getByRole("button", { name: "Retry all…" }).click();
  await page.getByRole("dialog").getByText("All dead letters of this destination with this cause").waitFor();
  await assertAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Retry" }).click();
  await page.getByText(`${dead} deliveries are due again.`).waitFor();
  await group.waitFor({ state: "detached" });
  // The others were given up with another cause, and are retried by their time.
  await page.locator(".groups tr", { hasText: "disable_after" }).waitFor();
  const since = new Date(Date.now() - 24 * 60 * 60 * 1000).toISOString().slice(0, 16);
  await page.getByLabel("Retry what was queued since").fill(since);
  await page.getByRole("button", { name: "Retry since…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Retry" }).click();
  await page.getByText("There are none. A delivery becomes a dead letter").waitFor();
  await page.waitForFunction(() => document.querySelectorAll("#main table:last-of-type .status.delivered").length >= 15);
  assert.equal(receiver.bodies.length, 16);
  await row
    .getByText(/^\d+ ms$/)
    .first()
    .waitFor();
  await assertAccessible(page);
  assertClean(page);
});

test("one delivery is retried, and a reader sees why it cannot", async () => {
  receiver.status = 422;
  await host.post("lab", "refused");
  const reader = await opened(host.token("read", "reader"));
  await reader.getByText("Changes need a token of scope admin.").waitFor();
  assert.ok(await reader.getByRole("button", { name: "Test… soc" }).isDisabled());
  await reader.locator(".groups tr", { hasText: "422" }).getByRole("link", { name: "Newest" }).click();
  await reader.getByText("Messages are shown to a token of scope admin.").waitFor();
  assert.ok(await reader.getByRole("button", { name: "Retry now" }).isDisabled());
  await assertAccessible(reader);
  receiver.status = 200;
  const page = await opened();
  await page.goto(reader.url());
  await page.getByRole("button", { name: "Retry now" }).click();
  await page.getByText("Due now: the next attempt at soc follows.").waitFor();
  await page.locator("dd .status.delivered").waitFor();
  assertClean(reader);
  assertClean(page);
});

test("the list is filtered by links and by keyboard", async () => {
  const page = await opened();
  await page.locator(".destinations").getByRole("link", { name: "soc", exact: true }).click();
  await page.getByRole("heading", { name: "Some deliveries" }).waitFor();
  assert.equal(new URL(page.url()).search, "?destination=soc");
  await page.getByRole("combobox", { name: "Status" }).selectOption("pending");
  await page.getByText("No delivery matches.").waitFor();
  await page.getByRole("combobox", { name: "Status" }).selectOption("delivered");
  await page.getByText(/^\d+ shown$/).waitFor();
  await page.locator("h1").click();
  await page.locator("[aria-label='Table of deliveries'] tbody tr").first().waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: /^Delivery / }).waitFor();
  assertClean(page);
});

test("both themes are readable, and a narrow page does not scroll sideways", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await opened(admin, { colorScheme, viewport: { width: 320, height: 640 } });
    await page.locator(".destinations").waitFor();
    await assertAccessible(page);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, colorScheme);
    assertClean(page);
  }
});
