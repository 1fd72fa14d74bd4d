// The screens of events: what arrives and what is refused, the way of one event, and replays.

import assert from "node:assert/strict";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Browser, assertAccessible, assertClean } from "./browser.mjs";
import { Host } from "./host.mjs";

const CONFIG = `
sources:
  lab: { scheme: none, plugin: none }
  late: { scheme: none, plugin: absent }
  later: { scheme: none, plugin: later }
  edr: { scheme: none, plugin: crowdstrike }
  many: { scheme: none, plugin: none }
  signed: { scheme: github, secret: "a-secret-of-the-tests-only", plugin: none }
`;
const SEED = readFileSync(new URL("../../plugins/crowdstrike/payloads/seed.json", import.meta.url), "utf8");
const HOSTILE = `{"html": "<img src=x onerror=alert(1)>", "quote": "it's", "bidi": "\u202e", "control": "\u0007", "line": "a\nb"}`;

let host, browser, admin;

before(async () => {
  host = await Host.start(CONFIG);
  browser = await Browser.start();
  admin = host.token("admin", "operator");
});

after(async () => {
  await browser?.stop();
  await host?.stop();
});

async function signedIn(token = admin, options = {}) {
  const page = await browser.signedIn(host.url, token, options);
  await page.keyboard.press("e");
  await page.getByRole("heading", { name: "Events" }).waitFor();
  return page;
}

const link = (page, id) => page.locator(`tbody a[href$="${id}"]`).first();

test("events appear as they arrive, and a stream that was cut mends itself without a gap", async () => {
  // What arrived before the screen was opened counts too.
  const first = await host.post("lab", "first");
  const page = await signedIn();
  await link(page, first).waitFor();
  await page.getByText(/^[1-9]\d* events?$/).waitFor();
  await page.getByText(/^[1-9]\d* in the last minute$/).waitFor();
  await assertAccessible(page);
  await page.context().route("**/api/events/stream*", (route) => route.abort());
  // A tab in the background has no connection, and makes one when it is shown again.
  const show = (state) =>
    page.evaluate((hidden) => {
      Object.defineProperty(document, "hidden", { configurable: true, value: hidden });
      document.dispatchEvent(new Event("visibilitychange"));
    }, state === "hidden");
  await show("hidden");
  await show("visible");
  await page.getByText("Not current: the connection was cut. Trying again.").waitFor();
  const missed = [];
  for (let number = 0; number < 3; number += 1) missed.push(await host.post("lab", `missed ${number}`));
  assert.equal(await link(page, missed[0]).count(), 0);
  await page.context().unroute("**/api/events/stream*");
  for (const id of missed) await link(page, id).waitFor();
  await page.getByText(/^\d+ shown$/).waitFor();
  // New events wait while the list is paused; changes of shown events do not.
  const queued = await host.post("late", "to discard");
  await link(page, queued).waitFor();
  await page.keyboard.press("p");
  const paused = await host.post("lab", "while paused");
  await page.getByRole("button", { name: "1 new" }).waitFor();
  assert.equal(await link(page, paused).count(), 0);
  const headers = { authorization: `Bearer ${admin}` };
  assert.ok((await fetch(`${host.url}/api/events/${queued}/discard`, { method: "POST", headers })).ok);
  await page.locator("tr", { has: page.locator(`a[href$="${queued}"]`) }).getByText("discarded").waitFor();
  await page.keyboard.press("p");
  await link(page, paused).waitFor();
  // A row of the stream and one of the list show how long storing took.
  for (const id of [paused, missed[0]]) {
    await page.locator("tr", { has: page.locator(`a[href$="${id}"]`) }).getByRole("cell", { name: /^\d+ ms$/ }).waitFor();
  }
  assertClean(page);
});

test("refused requests are shown with their cause", async () => {
  const page = await signedIn();
  await fetch(`${host.url}/api/webhooks/signed`, { method: "POST", body: "{}" });
  await fetch(`${host.url}/api/webhooks/${encodeURIComponent("<img src=x onerror=alert(1)>\u202e")}`, { method: "POST", body: "{}" });
  await page.getByText(/^Refused requests: /).waitFor();
  await page.getByText(/^Refused requests: /).click();
  const table = page.getByRole("region", { name: "Refused requests" });
  await table.getByText("the header `x-hub-signature-256` is missing").waitFor();
  await table.getByText("<img src=x onerror=alert(1)>").waitFor();
  assert.equal(await page.locator("#main img").count(), 0);
  await assertAccessible(page);
  await page.reload();
  await page.getByText(/^Refused requests: /).waitFor();
  assertClean(page);
});

test("selected events are replayed, with a dry run before, and exported", async () => {
  const ids = [await host.post("edr", SEED), await host.post("late", "to replay")];
  const page = await signedIn();
  for (const id of ids) {
    await link(page, id).waitFor();
    await page.getByRole("checkbox", { name: `Select event ${id}` }).press("Space");
  }
  await page.getByText("2 selected").waitFor();
  await page.getByRole("button", { name: "Dry-run a replay" }).press("Enter");
  const results = page.getByRole("region", { name: "Results" });
  await results.getByText(/^would be mapped/).waitFor();
  await results.getByText(/^would be queued/).waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "Replay…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Replay" }).click();
  await results.getByText(/^mapped/).waitFor();
  const row = page.locator("tr", { has: page.locator(`a[href$="${ids[0]}"]`) });
  assert.match(await row.getByRole("link", { name: /^INC-/ }).first().getAttribute("href"), /\/incidents\/INC-/);
  await results.getByText(/^queued/).waitFor();
  const saving = page.waitForEvent("download");
  await page.getByRole("button", { name: "Export the selected as NDJSON" }).click();
  const lines = readFileSync(await (await saving).path(), "utf8").trim().split("\n");
  assert.deepEqual(lines.map((line) => JSON.parse(line).id).sort(), [...ids].sort());
  assertClean(page);
  const reader = await signedIn(host.token("read", "reader"));
  await reader.getByText("A replay and its dry run need a token of scope admin.").waitFor();
  assertClean(reader);
});

test("events are counted, and all that match are replayed", async () => {
  for (let number = 0; number < 60; number += 1) await host.post("many", `payload ${number}`);
  const page = await signedIn();
  await page.goto(`${host.url}/console/events?source=many`);
  await page.getByText(/^60 of [\d,]+ events match$/).waitFor();
  await page.getByRole("button", { name: "Select all or none" }).click();
  await page.getByText("50 selected").waitFor();
  await page.getByRole("button", { name: "Select all 60 events that match" }).press("Enter");
  await page.getByText("all 60 events that match: selected").waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "Dry-run a replay" }).click();
  await page.getByText("60 of 60 events tried.").waitFor();
  assert.equal(await page.getByRole("region", { name: "Results" }).locator("tbody tr").count(), 60);
  await page.getByRole("button", { name: "Replay…" }).click();
  await page.getByRole("dialog", { name: "Replay all 60 events that match?" }).getByRole("button", { name: "Cancel" }).click();
  assertClean(page);
});

test("a long failure message keeps the table in its form", async () => {
  const id = await host.post("lab", "long failure");
  const page = await signedIn();
  const message = `trapped: ${"x".repeat(5000)}\nlog: \u202e<b>second line</b>`;
  await page.route(/\/api\/events\?/, async (route) => {
    const response = await route.fetch();
    const { data, next_cursor } = await response.json();
    const failed = data.map((row) => (row.id === id ? { ...row, status: "quarantined", error: { code: "trapped", message } } : row));
    await route.fulfill({ response, json: { data: failed, next_cursor } });
  });
  await page.reload();
  const row = page.locator("tr", { has: page.locator(`a[href$="${id}"]`) });
  await row.getByText(/^trapped: x+…$/).waitFor();
  assert.ok((await row.evaluate((found) => found.clientHeight)) < 250);
  assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 1280);
  assertClean(page);
});

test("the journey shows field by field what the event changed", async () => {
  const payload = (severity) => JSON.stringify({ ...JSON.parse(SEED), event: { ...JSON.parse(SEED).event, DetectId: "ldt:journey", Severity: severity } });
  const ids = [await host.post("edr", payload(3)), await host.post("edr", payload(5))];
  const page = await signedIn();
  await page.goto(`${host.url}/console/events/${ids[1]}`);
  await page.getByText("medium → critical").waitFor();
  await page.getByText(/^Changes of INC-/).waitFor();
  await assertAccessible(page);
  await page.goto(`${host.url}/console/events/${ids[0]}`);
  await page.getByText("created, with the fields of the payload.").waitFor();
  assertClean(page);
});

test("the journey shows each stage, and offers a dry run, a command and a fixture", async () => {
  const page = await signedIn(admin, { permissions: ["clipboard-read", "clipboard-write"] });
  const id = await host.post("edr", SEED);
  await page.goto(`${host.url}/console/events/${id}`);
  const stages = page.getByRole("region", { name: "Stages" });
  for (const stage of ["Received", "Verified", "Mapped", "Stored", "Delivered"]) {
    await stages.getByRole("rowheader", { name: stage }).waitFor();
  }
  await stages.getByText("scheme none: the sender is not verified").waitFor();
  await stages.getByText(/^mapped; crowdstrike .*: read$/).waitFor();
  await page.getByText(/^crowdstrike .*: read, .*KiB$/).click();
  await page.getByText("It logged nothing.").waitFor();
  await page.locator("select", { hasText: "), live" }).selectOption({ index: 1 });
  await page.getByRole("button", { name: "Dry run" }).click();
  await page.getByText(/^would be mapped/).waitFor();
  await assertAccessible(page);
  const saved = [];
  page.on("download", (download) => saved.push(download));
  await page.getByRole("button", { name: "Save as a fixture" }).click();
  while (saved.length < 2) await page.waitForEvent("download");
  assert.deepEqual(saved.map((download) => download.suggestedFilename()), [`edr-${id}.json`, `edr-${id}.event.json`]);
  assert.equal(readFileSync(await saved[0].path(), "utf8"), SEED);
  const beside = JSON.parse(readFileSync(await saved[1].path(), "utf8"));
  assert.ok(beside.headers["content-type"] && !beside.headers.host, JSON.stringify(beside));

  const hostile = await host.post("lab", HOSTILE);
  await page.goto(`${host.url}/console/events/${hostile}`);
  await page.getByRole("button", { name: "Copy as curl" }).click();
  await page.getByText("The command is copied.").waitFor();
  const command = await page.evaluate(() => navigator.clipboard.readText());
  assert.match(command, /^[\x20-\x7e\n]*$/);
  // The shell makes the same bytes of it.
  const { execFileSync } = await import("node:child_process");
  const body = execFileSync("bash", ["-c", command.replace(/^curl/, "printf '%s\\0'")]).toString().split("\0").at(-2);
  assert.equal(body, HOSTILE);
  assertClean(page);
});

test("a change of an older event reaches open pages over a restart of the host", async () => {
  // The mapper of the event arrives while the host does not run, and newer events hide it from the newest page.
  const older = await host.post("later", SEED);
  for (let number = 0; number < 60; number += 1) await host.post("many", `newer ${number}`);
  const page = await signedIn();
  await page.getByRole("button", { name: "Older events" }).click();
  const row = page.locator("tr", { has: page.locator(`a[href$="${older}"]`) });
  await row.getByText("queued").waitFor();
  const journey = await signedIn();
  await journey.goto(`${host.url}/console/events/${older}`);
  await journey.getByRole("definition").getByText("queued").waitFor();
  await host.restart(() => {
    cpSync(new URL("../../target/plugins/crowdstrike.wasm", import.meta.url), join(host.folder, "plugins/later.wasm"));
  });
  await row.getByText("mapped").waitFor();
  await row.getByRole("link", { name: /^INC-/ }).waitFor();
  await journey.getByRole("definition").getByText("mapped").waitFor();
  assertClean(page);
  assertClean(journey);
});

test("both themes are readable, and a narrow page does not scroll sideways", async () => {
  const id = await host.post("edr", JSON.stringify({ ...JSON.parse(SEED), themes: true }));
  for (const colorScheme of ["light", "dark"]) {
    const page = await signedIn(admin, { colorScheme, viewport: { width: 320, height: 640 } });
    await link(page, id).waitFor();
    await page.getByRole("checkbox", { name: `Select event ${id}` }).check();
    await page.getByRole("button", { name: "Dry-run a replay" }).click();
    await page.getByRole("region", { name: "Results" }).waitFor();
    for (const path of ["events", `events/${id}`]) {
      if (path !== "events") await page.goto(`${host.url}/console/${path}`);
      await page.getByRole("region", { name: path === "events" ? "Table of events" : "Stages" }).waitFor();
      await assertAccessible(page);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, `${path} in ${colorScheme}`);
    }
    assertClean(page);
  }
});
