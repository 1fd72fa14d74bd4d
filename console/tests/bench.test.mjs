// The bench and the quarantine: a night with a broken mapper, against a real host.

import assert from "node:assert/strict";
import { copyFileSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout } from "node:timers/promises";
import { Browser, assertAccessible, assertClean } from "./browser.mjs";
import { Host } from "./host.mjs";

// The first version of `edr` reads the shape of one vendor, the next one that of another vendor: as if a vendor had changed
// the shape of its alerts, and the mended version had lost the former shape.
const CONFIG = `
sources:
  edr: { scheme: none, plugin: edr }
`;
const FORMER = readFileSync(new URL("../../plugins/splunk/payloads/seed.json", import.meta.url));
const CHANGED = JSON.parse(readFileSync(new URL("../../plugins/crowdstrike/payloads/seed.json", import.meta.url)));
const CHANGED_COUNT = 41;
const OTHERS = ['{"other": 1}', '{"other": 2}'];
const HOSTILE = "<img src=x onerror=alert(1)> a\u202eb https://evil.example/";

let host, browser, admin, newest;

before(async () => {
  host = await Host.start(CONFIG);
  browser = await Browser.start();
  admin = host.token("admin", "engineer");
  put("splunk");
  await plugin((found) => found.state === "loaded");
  await host.post("edr", FORMER);
  for (let number = 0; number < CHANGED_COUNT; number += 1) await host.post("edr", changed(number));
  for (const other of OTHERS) newest = await host.post("edr", other);
  put("crowdstrike");
  await plugin((found) => found.error?.includes("newly fails on 1 of"));
});

after(async () => {
  await browser?.stop();
  await host?.stop();
});

// Returns an alert in the changed shape with an id of its own.
function changed(number) {
  return JSON.stringify({ ...CHANGED, note: number });
}

// Puts a bundled mapper into the plugins folder as the newest version of `edr`.
function put(bundled) {
  const file = join(host.folder, "plugins/edr.part");
  copyFileSync(new URL(`../../target/plugins/${bundled}.wasm`, import.meta.url), file);
  renameSync(file, join(host.folder, "plugins/edr.wasm"));
}

async function get(path) {
  const response = await fetch(host.url + path, { headers: { authorization: `Bearer ${admin}` } });
  return response.ok ? await response.json() : null;
}

// Resolves with the plugin when it is as wanted.
async function plugin(isWanted) {
  for (;;) {
    const found = await get("/api/plugins/edr");
    if (found && isWanted(found)) return found;
    await setTimeout(20);
  }
}

// Returns the id of an alert in quarantine.
async function anAlert() {
  const { data } = await get("/api/events?status=quarantined");
  return data.at(-1).id;
}

async function opened(path, token = admin, options = {}) {
  const page = await browser.signedIn(host.url, token, options);
  await page.goto(`${host.url}/console/${path}`);
  return page;
}

// Chooses an option whose label begins or ends with a text, as a user of the keyboard does.
async function choose(page, label, part) {
  const box = page.getByRole("combobox", { name: label });
  const text = await box.locator("option").filter({ hasText: part }).first().textContent();
  await box.selectOption({ label: text.trim() });
}

test("a payload of the night is run in both versions, and the difference is shown", async () => {
  const page = await opened(`bench?event=${await anAlert()}`);
  const payload = page.getByRole("textbox", { name: "Payload", exact: true });
  await page.getByText("As received, with its headers and context.", { exact: false }).waitFor();
  await choose(page, "Version", "its proof failed");
  await choose(page, "Compare with", ", live");
  await payload.press("Control+Enter");
  await page.getByText(/✓ mapped, incidents: 1/).waitFor();
  await page.getByText(/✗ unsupported: /).waitFor();
  await page.getByRole("rowheader", { name: "error", exact: true }).waitFor();
  await page.getByText(/^Time: [\d.]+ of \d+ ms\. Memory: /).first().waitFor();
  await assertAccessible(page);
  const url = new URL(page.url());
  assert.ok(url.searchParams.get("version") && url.searchParams.get("against") && url.searchParams.get("plugin") === "edr");
  await page.reload();
  await page.getByText("As received, with its headers and context.", { exact: false }).waitFor();
  assert.equal(new URL(page.url()).search, url.search);
  assertClean(page);
});

test("an error of a pasted payload points at its place, and hostile text is text", async () => {
  const page = await opened("bench?plugin=crowdstrike");
  const payload = page.getByRole("textbox", { name: "Payload", exact: true });
  await page.getByRole("combobox", { name: "Version" }).locator("option").first().waitFor({ state: "attached" });
  await payload.fill('{\n  "metadata": 9007199254740993,\n  "event": nonsense{}\n}');
  await payload.press("Control+Enter");
  const show = page.getByRole("button", { name: "Show line 3" });
  await show.waitFor();
  assert.equal(await payload.locator(".wrong").innerText(), "nonsense");
  await show.press("Enter");
  await page.waitForFunction(() => document.activeElement.shadowRoot?.activeElement?.getAttribute("role") === "textbox");
  assert.equal(await page.evaluate(() => getSelection().toString()), "nonsense");
  await assertAccessible(page);
  const hostile = JSON.stringify({ ...CHANGED, event: { ...CHANGED.event, DetectName: HOSTILE, Large: "LARGE" } });
  await payload.fill(hostile.replace('"LARGE"', "9007199254740993"));
  await payload.press("Control+Enter");
  const incidents = page.getByRole("region", { name: "Incidents" });
  await incidents.waitFor();
  const shown = await incidents.textContent();
  assert.ok(shown.includes("<img src=x onerror=alert(1)>") && shown.includes("a\\u{202E}b"), shown);
  assert.ok(shown.includes("9007199254740993"), shown);
  // The editor has images without a source beside a character that it replaces.
  assert.equal(await page.locator("#main img:not(.cm-widgetBuffer), #main pre a").count(), 0);
  await payload.fill(HOSTILE);
  assert.equal(await payload.innerText(), HOSTILE.replace("\u202e", "\\u{202E}"));
  assertClean(page);
});

test("a payload is typed and run by keyboard, and the editor is left with Tab", async () => {
  const page = await opened("bench?plugin=crowdstrike");
  const payload = page.getByRole("textbox", { name: "Payload", exact: true });
  await payload.focus();
  // Letters are keys of screens, outside of fields.
  await page.keyboard.type('{"id": 9007199254740993');
  await page.keyboard.press("Control+z");
  await page.keyboard.type(`${"\n".repeat(60)}{"overview": 1}`);
  await page.keyboard.press("Control+Enter");
  await page.getByRole("heading", { name: "Limits used" }).waitFor();
  assert.match(page.url(), /\/console\/bench\?plugin=crowdstrike$/);
  await assertAccessible(page);
  const hasFocus = () => page.evaluate(() => document.activeElement.shadowRoot !== null);
  assert.ok(await hasFocus());
  await page.keyboard.press("Tab");
  assert.ok(!(await hasFocus()), "Tab leaves the editor");
  await page.keyboard.press("Shift+Tab");
  assert.ok(await hasFocus());
  await page.keyboard.press("Shift+Tab");
  assert.ok(!(await hasFocus()), "Shift and Tab leave the editor");
  assertClean(page);
});

test("a sample of the plugin is run, and a payload that was typed is not lost without a question", async () => {
  const samples = join(host.folder, "plugins/crowdstrike.samples");
  mkdirSync(samples);
  writeFileSync(join(samples, "alert.json"), JSON.stringify(CHANGED));
  writeFileSync(join(samples, "other.json"), '{"other": 1}');
  const page = await opened("bench?plugin=crowdstrike");
  const payload = page.getByRole("textbox", { name: "Payload", exact: true });
  const sample = page.getByRole("combobox", { name: "Payload of a sample" });
  await sample.selectOption("alert.json");
  await page.getByText("As in the sample, with its headers and context.", { exact: false }).waitFor();
  await payload.press("Control+Enter");
  await page.getByText(/✓ mapped, incidents: 1/).waitFor();
  assert.equal(new URL(page.url()).searchParams.get("sample"), "alert.json");
  await assertAccessible(page);
  await payload.fill('{"typed": true}');
  await page.getByText("Changed. It is run with", { exact: false }).waitFor();
  await sample.selectOption("other.json");
  const replace = page.getByRole("dialog", { name: "Replace the payload?" });
  await replace.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await payload.innerText(), '{"typed": true}');
  await page.getByRole("link", { name: "Incidents", exact: true }).click();
  const leave = page.getByRole("dialog", { name: "Leave this page?" });
  await leave.getByText("The payload that you typed is not kept.").waitFor();
  await assertAccessible(page);
  await leave.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await payload.innerText(), '{"typed": true}');
  await sample.selectOption("other.json");
  await replace.getByRole("button", { name: "Replace" }).click();
  await page.getByText("As in the sample", { exact: false }).waitFor();
  assert.match(await payload.innerText(), /"other": 1/);
  assertClean(page);
});

test("two versions are compared on past traffic, and a file that is not in the folder too", async () => {
  const page = await opened("bench?plugin=edr");
  await choose(page, "Version", "its proof failed");
  await page.getByRole("combobox", { name: "Source", exact: true }).selectOption("edr");
  await page.getByRole("spinbutton", { name: "Newest events" }).fill("44");
  await page.getByRole("button", { name: "Compare versions" }).press("Enter");
  const traffic = page.getByRole("region", { name: "On past traffic" });
  await traffic.getByText(`Payloads: 44. Same: 2. Changed: 0. Newly failing: 1. Newly succeeding: ${CHANGED_COUNT}.`).waitFor();
  await traffic.locator("summary", { hasText: "Newly failing" }).press("Enter");
  await page.getByRole("columnheader", { name: "Before" }).first().waitFor();
  await assertAccessible(page);
  const inBench = await traffic.getByRole("link", { name: "in the bench" }).first().getAttribute("href");
  const both = await opened(inBench.replace("/console/", ""));
  await both.getByText("As received, with its headers and context.", { exact: false }).waitFor();
  await both.getByRole("textbox", { name: "Payload", exact: true }).press("Control+Enter");
  await both.getByRole("rowheader", { name: "error", exact: true }).waitFor();
  assertClean(both);
  const file = new URL("../../target/plugins/generic.wasm", import.meta.url).pathname;
  await page.getByLabel("A file that is not in the plugins folder").setInputFiles(file);
  await page.getByRole("button", { name: "Compare the file" }).press("Enter");
  await page.getByText("Compared.").waitFor();
  assertClean(page);
});

test("a reader sees the quarantine and the versions, and may change nothing", async () => {
  const page = await opened("quarantine", host.token("read", "reader"));
  await page.getByText("Events: 43. Groups: 1.").waitFor();
  await assertAccessible(page);
  await page.locator("tbody tr a").first().click();
  await page.getByText("Dry runs and changes need a token of scope admin.").waitFor();
  for (const name of ["Dry run", "Discard 43 events…"]) assert.ok(await page.getByRole("button", { name }).isDisabled(), name);
  await page.goto(`${host.url}/console/bench?plugin=edr`);
  await page.getByText("Running a version needs a token of scope admin.").waitFor();
  await page.getByRole("button", { name: "Promote…" }).waitFor();
  for (const name of ["Run", "Promote…", "Roll back…"]) assert.ok(await page.getByRole("button", { name, exact: true }).isDisabled(), name);
  assertClean(page);
});

test("both themes are readable, and a narrow page does not scroll sideways", async () => {
  const { data } = await get("/api/quarantine");
  for (const colorScheme of ["light", "dark"]) {
    const page = await opened("quarantine", admin, { colorScheme, viewport: { width: 320, height: 640 } });
    for (const [path, text] of [
      ["quarantine", "Events: 43. Groups: 1."],
      [`quarantine/${data[0].id}`, "Replay with another version"],
      ["bench?plugin=edr", "Versions of edr"],
    ]) {
      await page.goto(`${host.url}/console/${path}`);
      await page.getByText(text).waitFor();
      await assertAccessible(page);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, `${path} in ${colorScheme}`);
    }
    assertClean(page);
  }
});

test("a group is healed with the mended version and its rest discarded, all by keyboard", async () => {
  const page = await opened("events");
  await page.locator("tbody tr").first().waitFor();
  await page.keyboard.press("q");
  await page.getByText("Events: 43. Groups: 1.").waitFor();
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Replay with another version" }).waitFor();
  // The version that waits is chosen already.
  assert.match(await page.getByRole("combobox", { name: "Version" }).locator("option:checked").textContent(), /its proof failed/);
  await page.getByRole("combobox", { name: "Version" }).focus();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText("41 of 43 map").waitFor();
  await page.getByRole("row", { name: "still fail 2 stay" }).waitFor();
  await page.getByRole("region", { name: "Failures that stay" }).getByText("unsupported").first().waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "Replay 41 events…" }).press("Enter");
  await assertAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Replay" }).press("Enter");
  await page.getByText("41 of 43 events replayed. 2 left in quarantine.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Discard 2 events…" }).isDisabled(), "without a reason");
  await page.getByRole("textbox", { name: /^Reason/ }).focus();
  await page.keyboard.type(HOSTILE);
  await page.getByRole("button", { name: "Discard 2 events…" }).press("Enter");
  await page.getByRole("dialog").getByText("a\\u{202E}b", { exact: false }).waitFor();
  await assertAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Discard" }).press("Enter");
  await page.getByText("2 events discarded.").waitFor();
  await page.getByText(/ is still live, so that new payloads of this kind keep failing/).waitFor();
  const promote = page.getByRole("link", { name: /^Promote version .* in the bench$/ });
  assert.match(await promote.getAttribute("href"), /\/console\/bench\?plugin=/);
  await page.getByText("No event with this cause is in quarantine any more.").waitFor();
  await page.keyboard.press("q");
  await page.getByText("The quarantine is empty.").waitFor();
  await assertAccessible(page);
  assertClean(page);
  const discarded = await get(`/api/events/${newest}`);
  assert.deepEqual([discarded.status, discarded.discard_reason], ["discarded", HOSTILE]);
  assert.equal((await get("/api/events?status=mapped&limit=100")).data.length, CHANGED_COUNT + 1);
  const notes = (await get("/api/operator-actions")).data.map((action) => action.note);
  assert.equal(notes[0], `discarded 2 events: ${HOSTILE}`);
  assert.match(notes[1], /^replayed 41 of 43 events with edr /);
});

test("a version is promoted and rolled back with its proof beside it", async () => {
  const page = await opened("bench?plugin=edr");
  const live = async () => (await get("/api/plugins/edr")).sha256;
  const former = await live();
  await page.getByText("✗ Payloads newly fail").first().waitFor();
  await page.getByRole("button", { name: "Promote…" }).press("Enter");
  await assertAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Promote" }).press("Enter");
  await page.getByText(/^Version \S+ \([0-9a-f]{8}\) is live\./).waitFor();
  assert.notEqual(await live(), former);
  await page.getByRole("button", { name: "Roll back…" }).press("Enter");
  await page.getByRole("dialog", { name: `(${former.slice(0, 8)}) live again?` }).getByRole("button", { name: "Roll back" }).press("Enter");
  await page.locator("summary", { hasText: "held back since a rollback" }).waitFor();
  assert.equal(await live(), former);
  // There is no further version to return to.
  await page.getByRole("button", { name: "Roll back…", disabled: true }).waitFor();
  assertClean(page);
});
