// The console in a browser, against a real host.

import assert from "node:assert/strict";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { after, before, test } from "node:test";
import { gunzipSync } from "node:zlib";
import { Browser, OTHER_NAME, assertAccessible, assertClean, signIn } from "./browser.mjs";
import { Host } from "./host.mjs";

const FIRST_LOAD_BYTES_MAX = 60_000;
// All files without the editor of the bench, which is loaded when the bench is opened.
const BYTES_MAX = 150_000;
const EDITOR_BYTES_MAX = 120_000;
// A page that handles a payload of 10 MB character by character takes minutes.
const LARGE_MS_MAX = 30_000;
const CONFIG = `
sources:
  lab: { scheme: none, plugin: none }
  late: { scheme: none, plugin: absent }
  edr: { scheme: none, plugin: crowdstrike }
  large: { scheme: none, plugin: crowdstrike, payload_mib: 11 }
destinations: { kept: { type: file, path: kept.ndjson } }
notifications:
  - { name: payloads, trigger: event_received, notify: [{ to: kept }] }
  - { name: incidents, trigger: incident_created, notify: [{ to: kept }] }
`;
const SEED = readFileSync(new URL("../../plugins/crowdstrike/payloads/seed.json", import.meta.url));
// Everything that a page could take for HTML, a direction or a number.
const HOSTILE = `{"html": "<img src=x onerror=alert(1)><script>alert(2)</script>", "link": "https://evil.example/", "bidi": "a\u202eb\u2066c",
 "control": "\u009b1m\\u0000", "half": "\\ud800", "large": 9007199254740993, "larger": 10000000000000000000, "exact": 1.10}`;

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

test("a token becomes a session that scripts cannot read", async () => {
  const page = await browser.page(host.url);
  await page.getByRole("heading", { name: "Hookmill" }).waitFor();
  await assertAccessible(page);
  await signIn(page, "hm_0");
  await page.getByText("this token is not valid").waitFor();
  await assertAccessible(page);
  await signIn(page, admin);
  await page.getByText("operator (admin)").waitFor();
  const kept = await page.evaluate(() => JSON.stringify([document.cookie, localStorage, sessionStorage, location.href]));
  assert.ok(!kept.includes(admin) && !kept.includes("hookmill="), kept);
  await page.reload();
  await page.getByText("operator (admin)").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByLabel("Token").waitFor();
  assertClean(page);
});

test("the list follows what arrives, and waits while it is paused", async () => {
  const page = await signedIn();
  const rows = page.locator("tbody tr");
  await host.post("lab", "first");
  await rows.first().waitFor();
  await page.getByRole("button", { name: "Pause" }).click();
  const before = await rows.count();
  await host.post("late", "second");
  await page.getByRole("button", { name: "1 new" }).waitFor();
  assert.equal(await rows.count(), before);
  await assertAccessible(page);
  await page.getByRole("button", { name: "1 new" }).click();
  await page.waitForFunction((count) => document.querySelectorAll("tbody tr").length === count, before + 1);
  await page.getByRole("combobox", { name: "Status" }).selectOption("queued");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  assert.equal(new URL(page.url()).search, "?status=queued");
  await page.reload();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await page.getByRole("combobox", { name: "Source" }).fill("nobody");
  await page.getByRole("combobox", { name: "Source" }).press("Enter");
  await page.getByText("No event matches").waitFor();
  assertClean(page);
});

test("a page that follows by itself does not keep the session, and more than a page leaves no gap", async () => {
  const page = await signedIn();
  await page.waitForRequest((request) => request.url().includes("/api/session") && request.headers()["x-hookmill-console"] === "poll");
  await page.keyboard.press("p");
  const ids = [];
  for (let number = 0; number < 150; number += 1) ids.push(await host.post("lab", `one of many: ${number}`));
  await page.getByRole("button", { name: "150 new" }).click();
  const links = () => page.locator("tbody a").evaluateAll((all) => all.map((link) => link.href.split("/").at(-1)));
  await page.waitForFunction((id) => document.querySelector("tbody a").href.endsWith(id), ids.at(-1));
  assert.deepEqual((await links()).slice(0, ids.length), ids.reverse());
  assertClean(page);
});

test("where others could read the session, the page says why there is none", async () => {
  const page = await browser.page(host.url.replace("127.0.0.1", OTHER_NAME));
  await signIn(page, admin);
  await page.getByText("a session needs HTTPS").waitFor();
  assertClean(page);
});

test("a list that lost its connection says so, and mends itself", async () => {
  const page = await signedIn();
  await page.locator("tbody tr").first().waitFor();
  await page.context().setOffline(true);
  await page.getByText("Not current:").waitFor();
  const id = await host.post("lab", "while offline");
  await page.context().setOffline(false);
  await page.locator(`a[href$="${id}"]`).waitFor();
  await page.getByText(/^\d+ shown$/).waitFor();
  assertClean(page);
});

test("a mapped event shows its incidents and their deliveries, a quarantined one its failure", async () => {
  const page = await signedIn();
  await page.goto(`${host.url}/console/events/${await host.post("edr", SEED)}`);
  await page.getByRole("link", { name: /^INC-\d+-\d+$/ }).waitFor();
  await page.getByText("kept: ✓ delivered, Creation, attempts: 1").waitFor();
  await page.getByText("Headers that prove the sender's identity are not kept").waitFor();
  await page.getByRole("cell", { name: "scheme none: the sender is not verified" }).waitFor();
  await assertAccessible(page);
  await page.goto(`${host.url}/console/events/${await host.post("edr", "no JSON")}`);
  await page.getByText("✗ quarantined").waitFor();
  await page.getByText(/^malformed: /).waitFor();
  await assertAccessible(page);
  assertClean(page);
});

test("a hostile payload is shown as the text that it is", async () => {
  const id = await host.post("lab", HOSTILE);
  const page = await signedIn();
  await page.goto(`${host.url}/console/events/${id}`);
  const body = page.getByRole("region", { name: "Body" });
  await body.waitFor();
  const shown = await body.textContent();
  for (const part of [
    "<img src=x onerror=alert(1)><script>alert(2)</script>",
    "https://evil.example/",
    "a\\u{202E}b\\u{2066}c",
    "\\u{009B}1m\\u0000",
    '"\\ud800"',
    "9007199254740993",
    "10000000000000000000",
    "1.10",
  ]) {
    assert.ok(shown.includes(part), `${part} in ${shown}`);
  }
  assert.equal(await page.locator("#main img, #main script, #main pre a").count(), 0);
  assert.ok(shown.includes('\n  "link": '), "with line breaks");
  await page.getByLabel("As received").check();
  assert.ok(!(await body.textContent()).includes('\n  "link": '));
  await page.getByText("kept: ✓ delivered, event, attempts: 1").click();
  await page.getByRole("cell", { name: /^\d+ ms$/ }).waitFor();
  await assertAccessible(page);
  await page.getByRole("link", { name: "Open in the bench" }).click();
  await page.getByText("As received, with its headers and context.", { exact: false }).waitFor();
  const edited = await page.getByRole("textbox", { name: "Payload", exact: true }).innerText();
  assert.ok(edited.includes('"a\\u202eb\\u2066c"') && edited.includes('"\\u009b1m\\u0000"'), edited);
  assertClean(page);
});

test("a payload beyond 256 KiB is folded", async () => {
  const id = await host.post("lab", "x".repeat(300 * 1024));
  const page = await signedIn();
  await page.goto(`${host.url}/console/events/${id}`);
  const body = page.getByRole("region", { name: "Body" });
  await body.waitFor();
  assert.equal((await body.textContent()).length, 256 * 1024);
  await page.getByRole("button", { name: "Show more (44 KiB are folded)" }).click();
  await page.waitForFunction((length) => document.querySelector("pre").textContent.length === length, 300 * 1024);
  assertClean(page);
});

test("10 MB of hostile text hold up neither the journey nor the bench", async () => {
  const piece = `${JSON.stringify("<img src=x onerror=alert(1)>\u202e https://evil.example/ \ud800")}, 10000000000000000000,\n`;
  const body = `[${piece.repeat(Math.ceil(10_000_000 / piece.length))}0]`;
  const id = await host.post("large", body);
  const page = await signedIn();
  const started = performance.now();
  await page.locator(`a[href$="${id}"]`).click();
  const shown = page.getByRole("region", { name: "Body" });
  await shown.waitFor();
  assert.ok((await shown.textContent()).startsWith('[\n  "<img src=x onerror=alert(1)>'));
  await page.getByRole("button", { name: /^Show more/ }).click();
  await page.getByLabel("As received").check();
  await page.getByRole("link", { name: "Open in the bench" }).click();
  await page.getByRole("button", { name: "Run" }).click();
  await page.getByRole("heading", { name: "Limits used" }).waitFor();
  const payload = page.getByRole("textbox", { name: "Payload", exact: true });
  await payload.getByText('"<img src=x onerror=alert(1)>\\u202e https://evil.example/ \\ud800",').first().waitFor();
  await payload.press("x");
  await page.getByText("Changed. It is run with", { exact: false }).waitFor();
  const ms = performance.now() - started;
  assert.ok(ms < LARGE_MS_MAX, `${Math.round(ms)} ms`);
  assert.equal(await page.locator("#main img").count(), 0);
  assertClean(page);
});

test("everything works by keyboard", async () => {
  const id = await host.post("late", "by keyboard");
  const page = await signedIn();
  await page.locator(`a[href$="${id}"]`).waitFor();
  await page.keyboard.press("?");
  await page.getByRole("dialog").waitFor();
  await assertAccessible(page);
  await page.keyboard.press("Escape");
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: `Event ${id}` }).waitFor();
  await page.getByRole("button", { name: "Discard…" }).press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).press("Enter");
  await page.getByText("Discarded: the event is discarded.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Replay" }).isDisabled());
  await page.keyboard.press("e");
  await page.getByRole("heading", { name: "Events" }).waitFor();
  assertClean(page);
});

test("an address that leads nowhere says so, and where to go on", async () => {
  const page = await signedIn();
  for (const [path, text, link] of [
    ["events/no-id", "Retention removed the event", "The list"],
    ["incidents/INC-2000-0001", "The incident was deleted", "The list"],
    ["sources/no-source", "The source was removed", "The list"],
    ["deliveries/no-id", "The delivery was removed", "The list"],
    ["nowhere", "The address is wrong.", "Overview"],
  ]) {
    await page.goto(`${host.url}/console/${path}`);
    await page.getByText(text, { exact: false }).waitFor();
    await assertAccessible(page);
    await page.locator("#main").getByRole("link", { name: link, exact: true }).click();
    await page.getByRole("heading", { name: link === "Overview" ? link : /^(Events|Incidents|Sources|Deliveries)$/, level: 1 }).waitFor();
  }
  assertClean(page);
});

test("a change is offered only to a token that may make it, and one that is refused says so", async () => {
  const id = await host.post("late", "to replay");
  const reader = await signedIn(host.token("read", "reader"));
  await reader.goto(`${host.url}/console/events/${id}`);
  await reader.getByText("Changes need a token of scope admin.").waitFor();
  assert.ok(await reader.getByRole("button", { name: "Replay" }).isDisabled());
  const page = await signedIn();
  await page.goto(`${host.url}/console/events/${id}`);
  await page.getByRole("button", { name: "Replay" }).click();
  await page.getByText(/Replayed: the event is queued|not loaded/).first().waitFor();
  await assertAccessible(page);
  assertClean(reader);
  assertClean(page);
});

test("a session that ends in the middle leads to the page for signing in", async () => {
  const page = await signedIn(host.token("read", "leaver"));
  host.run("token", "revoke", "leaver");
  await page.getByText("The session has ended.").waitFor();
  await assertAccessible(page);
  await signIn(page, admin);
  await page.getByRole("heading", { name: "Events" }).waitFor();
  assertClean(page);
});

test("what was typed outlives the session, and is not left without a question", async () => {
  await host.post("edr", SEED);
  const page = await signedIn(host.token("admin", "typist"));
  await page.keyboard.press("i");
  await page.getByRole("link", { name: /^INC-/ }).first().click();
  const note = page.getByLabel("Note");
  await note.fill("an hour of work");
  host.run("token", "revoke", "typist");
  await page.getByText("The session has ended.").waitFor();
  await page.keyboard.press("Escape");
  await assertAccessible(page);
  assert.equal(await page.locator("[inert]").getByLabel("Note").count(), 1, "the screen below cannot be used");
  await signIn(page, host.token("read", "onlooker"));
  await page.getByText("onlooker (read)").waitFor();
  assert.equal(await note.inputValue(), "an hour of work");
  await page.getByText("Changes need a token of scope admin.").first().waitFor();
  host.run("token", "revoke", "onlooker");
  await page.getByText("The session has ended.").waitFor();
  await signIn(page, admin);
  await page.getByText("operator (admin)").waitFor();

  const question = page.getByRole("dialog", { name: "Leave this page?" });
  await page.getByRole("link", { name: "Sources" }).click();
  await question.getByText("Your change of the incident is not saved.").waitFor();
  await assertAccessible(page);
  await question.getByRole("button", { name: "Cancel" }).click();
  await page.getByRole("heading", { level: 1 }).click();
  await page.locator("dialog").waitFor({ state: "detached" });
  await page.keyboard.press("s");
  await question.getByRole("button", { name: "Cancel" }).click();
  await page.locator("dialog").waitFor({ state: "detached" });
  const address = page.url();
  await page.goBack();
  await question.getByRole("button", { name: "Cancel" }).click();
  await page.waitForURL(address);
  assert.equal(await note.inputValue(), "an hour of work");
  await page.getByRole("button", { name: "Save", exact: true }).click();
  await page.getByText(/^Saved as revision/).waitFor();
  await note.fill("of no worth");
  await page.reload();
  assert.equal(page.timesAsked, 1);
  await note.fill("of no worth either");
  await page.getByRole("link", { name: "Sources" }).click();
  await question.getByRole("button", { name: "Leave" }).click();
  await page.getByRole("heading", { name: "Sources" }).waitFor();
  assertClean(page);
});

test("both themes are readable, and a narrow page does not scroll sideways", async () => {
  const id = await host.post("lab", HOSTILE);
  for (const colorScheme of ["light", "dark"]) {
    const page = await signedIn(admin, { colorScheme, viewport: { width: 320, height: 640 } });
    await page.locator("tbody tr").first().waitFor();
    for (const path of ["events", `events/${id}`]) {
      await page.goto(`${host.url}/console/${path}`);
      await page.locator("table").first().waitFor();
      await assertAccessible(page);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, `${path} in ${colorScheme}`);
    }
    assertClean(page);
  }
});

test("these tests notice what they look for", async () => {
  const page = await browser.page(host.url);
  await page.getByLabel("Token").waitFor();
  await page.evaluate(() => {
    const image = document.createElement("img");
    image.src = "https://evil.example/";
    document.querySelector("main").append(image);
  });
  await page.waitForFunction(() => document.querySelector("img").complete);
  await assert.rejects(assertAccessible(page), /image-alt/);
  assert.throws(() => assertClean(page), /img-src https:\/\/evil.example/);
});

test("the whole is small, and the first load smaller", () => {
  const dist = new URL("../dist/", import.meta.url);
  const bytes = (names) => names.map((name) => statSync(new URL(name, dist)).size).reduce((sum, size) => sum + size, 0);
  const all = readdirSync(dist, { recursive: true }).filter((name) => name.endsWith(".gz"));
  const page = gunzipSync(readFileSync(new URL("index.html.gz", dist))).toString();
  const first = ["index.html.gz", ...[...page.matchAll(/\/console\/(assets\/[^"]+)/g)].map(([, name]) => `${name}.gz`)];
  assert.ok(first.length >= 3 && bytes(first) <= FIRST_LOAD_BYTES_MAX, `${first}: ${bytes(first)} bytes`);
  const editor = all.filter((name) => name.startsWith("assets/editor-"));
  assert.ok(editor.length === 1 && bytes(editor) <= EDITOR_BYTES_MAX, `${editor}: ${bytes(editor)} bytes`);
  const others = all.filter((name) => !editor.includes(name));
  assert.ok(bytes(others) <= BYTES_MAX, `${others}: ${bytes(others)} bytes`);
});
