// The overview, and the screen of the host itself, against a real host.

import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Browser, assertAccessible, assertClean, signIn } from "./browser.mjs";
import { Host } from "./host.mjs";

const CONFIG = `
sources:
  lab: { scheme: none, plugin: none }
  late: { scheme: none, plugin: absent }
  edr: { scheme: none, plugin: crowdstrike }
  signed: { secret: only-a-secret-of-this-test, plugin: none, settings: { team: "<b>soc</b> \\u202e" } }
destinations:
  soc: { type: http, url: "http://127.0.0.1:9/", allow_networks: [127.0.0.0/8], retry_schedule: [] }
notifications: [{ name: incidents, trigger: incident_created, notify: [{ to: soc }] }]
`;
const SEED = readFileSync(new URL("../../plugins/crowdstrike/payloads/seed.json", import.meta.url));

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

async function opened(path, token = admin, options = {}) {
  const page = await browser.signedIn(host.url, token, options);
  await page.goto(`${host.url}/console/${path}`);
  await page.getByRole("heading", { level: 1 }).waitFor();
  return page;
}

test("the overview shows what waits, and every number leads to its list", async () => {
  const page = await browser.signedIn(host.url, admin);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.getByText("No payload arrived in the last hour.").waitFor();
  await assertAccessible(page);
  await host.post("edr", SEED);
  await host.post("edr", "no JSON");
  await host.post("late", "waits");
  await page.reload();
  await page.getByRole("link", { name: "1 event in quarantine" }).waitFor();
  await page.getByRole("link", { name: "1 event to be mapped" }).waitFor();
  // The receiver refuses every connection.
  await page.getByRole("link", { name: /^[1-9]\d* dead letters?$/ }).waitFor({ timeout: 20_000 });
  const all = page.locator(".open-incidents tr").last().getByRole("link").last();
  assert.ok(Number(await all.textContent()) >= 1);
  assert.match(await all.getAttribute("href"), /incidents\?status=new&status=triaged&status=in_progress&status=escalated$/);
  await page.getByRole("row", { name: /^edr / }).waitFor();
  await page.locator(".chart canvas").nth(2).waitFor();
  await assertAccessible(page);
  await page.getByText("Numbers of “Payloads”").press("Enter");
  const numbers = page.getByRole("region", { name: "Numbers of “Payloads”" });
  await numbers.getByRole("columnheader", { name: "received" }).waitFor();
  const received = await numbers.locator("tbody td:nth-of-type(1)").allTextContents();
  assert.equal(
    received.map(Number).reduce((sum, count) => sum + count, 0),
    3,
  );
  await assertAccessible(page);
  await page.getByRole("combobox", { name: "Show" }).selectOption("week");
  await page.getByRole("heading", { name: "What happened in the last 7 days" }).waitFor();
  assert.equal(new URL(page.url()).search, "?window=week");
  await page.getByRole("link", { name: "1 event in quarantine" }).click();
  await page.getByRole("heading", { name: "Quarantine" }).waitFor();
  await page.getByText("Events: 1. Groups: 1.").waitFor();
  // Another mapper in the place of this one maps none of its payloads, and is refused until an operator promotes it.
  copyFileSync(new URL("../../target/plugins/splunk.wasm", import.meta.url), join(host.folder, "plugins/crowdstrike.wasm"));
  await page.keyboard.press("o");
  const toPromote = page.getByRole("link", { name: "1 plugin with a version to promote" });
  await toPromote.waitFor();
  // Sources become silent after an hour at least.
  await page.route("**/api/overview", async (route) => {
    const response = await route.fetch();
    const silent_sources = ["lab", "<b>"].map((name) => ({ name, since: new Date().toISOString() }));
    await route.fulfill({ response, json: { ...(await response.json()), silent_sources } });
  });
  await page.getByRole("link", { name: "2 silent sources" }).click();
  await page.getByText("Only the silent ones are shown.").waitFor();
  await page.getByText("0 shown").waitFor();
  await page.getByRole("link", { name: "Show all sources" }).click();
  await page.getByRole("region", { name: "Table of sources" }).waitFor();
  await page.unroute("**/api/overview");
  await page.keyboard.press("o");
  await toPromote.click();
  await page.getByRole("heading", { name: "Versions of crowdstrike" }).waitFor();
  assert.match(await page.getByRole("combobox", { name: "Version" }).locator("option:checked").textContent(), /its proof failed/);
  await page.keyboard.press("o");
  await page.getByRole("link", { name: /dead letters?$/ }).click();
  await page.getByRole("heading", { name: "Some deliveries" }).waitFor();
  assertClean(page);
});

test("charts follow the theme and the width of the page", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await opened("overview", admin, { colorScheme, viewport: { width: 320, height: 640 } });
    const canvas = page.locator(".chart canvas");
    await canvas.first().waitFor();
    await assertAccessible(page);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, colorScheme);
    await page.setViewportSize({ width: 900, height: 640 });
    await page.waitForFunction(() => document.querySelector(".chart canvas")?.getBoundingClientRect().width > 500);
    await page.getByRole("button", { name: /^Theme/ }).click();
    await canvas.nth(2).waitFor();
    assertClean(page);
  }
});

test("the system shows the configuration without secrets, and applies a changed file", async () => {
  const page = await opened("system");
  const row = (key) =>
    page
      .getByRole("region", { name: "Table of settings" })
      .locator("tr", { has: page.getByRole("rowheader", { name: key, exact: true }) });
  await row("sources.signed.secret").getByText("hidden").waitFor();
  await row("sources.signed.settings.team").getByText("<b>soc</b> \\u{202E}").waitFor();
  await row("limits.output_mib").getByText("default").waitFor();
  assert.ok(!(await page.content()).includes("only-a-secret"));
  await assertAccessible(page);
  await page.getByRole("textbox", { name: "Key contains" }).fill("drain");
  await page.waitForFunction(() => document.querySelectorAll("[aria-label='Table of settings'] tbody tr").length === 1);
  await page.getByRole("checkbox", { name: "Hide defaults" }).check();
  await page.getByText("No key contains this text.").waitFor();
  await page.getByRole("textbox", { name: "Key contains" }).fill("");
  const file = join(host.folder, "hookmill.yaml");
  const before = readFileSync(file, "utf8");
  writeFileSync(file, `${before}drain_timeout: 20s\n`);
  const reload = async () => {
    await page.getByRole("button", { name: "Reload…" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Reload" }).click();
  };
  await reload();
  await page.getByText(/drain_timeout takes effect only at a start/).waitFor();
  writeFileSync(file, before.replace("team:", "crew:"));
  await reload();
  await page.getByText("The configuration file is applied.").waitFor();
  await page.reload();
  await row("sources.signed.settings.crew").waitFor();
  await page.getByText("Applied the configuration file again").first().waitFor();
  assertClean(page);
});

test("the system shows plugins, space and backups", async () => {
  const page = await opened("system");
  await page
    .getByRole("row", { name: /^crowdstrike mapper/ })
    .getByText("✓ live")
    .waitFor();
  await page.getByText("Show the versions of crowdstrike").press("Enter");
  await page.getByText(/\([0-9a-f]{8}\), live$/).waitFor();
  await page.getByText(/^Hookmill \d+\.\d+\.\d+$/).waitFor();
  await page.getByText(/^[\d.,]+ [KM]iB, of which/).waitFor();
  await host.post("edr", SEED);
  await page.reload();
  await page.getByRole("row", { name: /^mapper crowdstrike \d+ [\d.]+ ms [\d.]+ ms$/ }).waitFor();
  await page.getByRole("row", { name: /^commit of the store [1-9]\d* [\d.]+ ms [\d.]+ ms$/ }).waitFor();
  await page.getByText("none: set backup in the configuration file, or run hookmill backup FILE").waitFor();
  await page.locator(".chart canvas").first().waitFor();
  await assertAccessible(page);
  await page.keyboard.press("y");
  assertClean(page);
});

test("tokens and sessions are revoked, and those of a reader are not shown", async () => {
  const other = await browser.signedIn(host.url, host.token("read", "<i>leaver"));
  await other.goto(`${host.url}/console/system`);
  await other.getByText("They are shown to a token of scope admin.").waitFor();
  await assertAccessible(other);
  const page = await opened("system");
  await page.getByRole("rowheader", { name: "operator (this browser)" }).waitFor();
  const session = page.getByRole("region", { name: "Table of sessions" }).locator("tr", { hasText: "<i>leaver" });
  await session.getByRole("button").press("Enter");
  await page.getByRole("dialog").getByText("Its user would have to sign in again.").waitFor();
  await assertAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "End" }).press("Enter");
  await page.getByText("A session of <i>leaver is ended.").waitFor();
  await session.waitFor({ state: "detached" });
  await other.getByText("The session has ended.").waitFor();
  const token = page.getByRole("region", { name: "Table of tokens" }).locator("tr", { hasText: "<i>leaver" });
  await token.getByRole("button").click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  await token.getByRole("button").click();
  await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
  await token.waitFor({ state: "detached" });
  await page.getByText("Revoked token").first().waitFor();
  await signIn(other, "hm_0");
  await other.getByText("this token is not valid").waitFor();
  assertClean(page);
  assertClean(other);
});

test("the system is readable in both themes on a narrow page", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const page = await opened("system", admin, { colorScheme, viewport: { width: 320, height: 640 } });
    await page.getByRole("region", { name: "Table of settings" }).waitFor();
    await page.locator(".chart canvas").first().waitFor();
    await assertAccessible(page);
    assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, colorScheme);
    assertClean(page);
  }
});
