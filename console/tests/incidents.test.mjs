// The list of incidents and the screen of one, against a real host.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { after, before, test } from "node:test";
import { Browser, assertAccessible, assertClean } from "./browser.mjs";
import { Host } from "./host.mjs";

const HOSTILE = "<img src=x onerror=alert(1)>\u202e[link](https://evil.example/)`*";
const SHOWN_HOSTILE = "<img src=x onerror=alert(1)>\\u{202E}[link](https://evil.example/)`*";

let host, browser, admin, ticket;

before(async () => {
  // A receiver that refuses for good, so that there are dead letters.
  ticket = createServer((_, response) => response.writeHead(400).end("no"));
  await new Promise((resolve) => ticket.listen(0, "127.0.0.1", resolve));
  host = await Host.start(
    `
sources:
  edr: { scheme: none, plugin: crowdstrike, playbook: malware_triage }
  monday: { scheme: none, plugin: crowdstrike }
destinations:
  kept: { type: file, path: kept.ndjson }
  ticket: { type: http, url: "http://127.0.0.1:${ticket.address().port}/", allow_networks: [127.0.0.0/8] }
notifications:
  - { name: to-file, trigger: incident_created, notify: [{ to: kept }] }
  - { name: to-ticket, trigger: incident_created, filter: { _eq: { _field: object.title, _value: Refused malware } }, notify: [{ to: ticket }] }
`,
    ["crowdstrike", "malware_triage"],
  );
  browser = await Browser.start();
  admin = host.token("admin", "operator");
});

after(async () => {
  await browser?.stop();
  await host?.stop();
  ticket?.close();
});

// Calls the API with the operator's token.
async function api(method, path, body) {
  const headers = { authorization: `Bearer ${admin}` };
  const response = await fetch(`${host.url}/api/${path}`, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) });
  return response.status === 204 ? null : response.json();
}

function detection(id, fields = {}) {
  const event = { DetectId: id, Severity: 3, DetectName: `Detection ${id}`, ...fields };
  return JSON.stringify({ metadata: { eventType: "DetectionSummaryEvent", eventCreationTime: 1742892459000 }, event });
}

// Makes an incident and returns it.
async function make(id, fields = {}, source = "edr") {
  await host.post(source, detection(id, fields));
  const { data } = await api("GET", `incidents?source_ref=${encodeURIComponent(id)}`);
  assert.equal(data.length, 1, id);
  return data[0];
}

async function open(path, token = admin, options = {}) {
  const page = await browser.signedIn(host.url, token, options);
  await page.goto(`${host.url}/console/${path}`);
  return page;
}

function rows(page) {
  return page.locator(".incidents tbody tr[aria-rowindex]");
}

function numbers(page) {
  return rows(page).locator("th a").allTextContents();
}

function isInView(locator) {
  return locator.evaluate((element) => {
    const { top, bottom } = element.getBoundingClientRect();
    return top >= 0 && bottom <= window.innerHeight;
  });
}

async function waitForRows(page, count) {
  await page.waitForFunction((wanted) => document.querySelectorAll(".incidents tbody tr[aria-rowindex]").length === wanted, count);
}

test("Monday morning: 300 new incidents are triaged by keyboard alone", async () => {
  for (let number = 0; number < 300; number += 1) {
    await host.post("monday", detection(`monday-${number}`, { Severity: number % 6, ComputerName: `WS-${number % 7}` }));
  }
  const page = await browser.signedIn(host.url, admin);
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  await page.keyboard.press("i");
  await page.getByRole("heading", { name: "Incidents", exact: true }).waitFor();
  await page.goto(`${host.url}/console/incidents?status=new&source=monday&sort=created_at`);
  await rows(page).first().waitFor();
  assert.ok((await rows(page).count()) < 70, "only rows near those in view are in the page");
  const three = (await numbers(page)).slice(0, 3);
  await page.keyboard.press("j");
  await page.locator(`a:focus:text-is("${three[0]}")`).waitFor();
  assert.ok(await isInView(page.locator("a:focus")));
  const width = await page.locator(".incidents").evaluate(({ scrollWidth, clientWidth }) => ({ scrollWidth, clientWidth }));
  assert.ok(width.scrollWidth <= width.clientWidth, "all columns are visible at 1280 px");
  for (const key of ["x", "j", "x", "j", "j", "k", "x"]) await page.keyboard.press(key);
  await page.getByText("3 selected").waitFor();
  await page.keyboard.press("c");
  await page.keyboard.type("fal");
  await page.keyboard.press("Tab");
  await page.keyboard.type("me");
  await page.keyboard.press("Tab");
  await page.keyboard.type("a test of the vendor");
  await page.keyboard.press("Enter");
  await page.getByRole("dialog").getByText("false positive").waitFor();
  await assertAccessible(page);
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText("3 of 3 incidents changed.").waitFor();
  await assertAccessible(page);
  for (const number of three) {
    const { status, assignee, notes } = await api("GET", `incidents/${number}`);
    assert.deepEqual([status, assignee, notes[0].text], ["false_positive", "operator", "a test of the vendor"]);
  }
  // The rows are shown as they are now, and leave when the list is read again.
  await page.locator("tr", { hasText: three[0] }).getByText("false positive").first().waitFor();
  await page.keyboard.press("r");
  await page.waitForFunction((number) => !document.querySelector(".incidents").textContent.includes(number), three[0]);

  // To the end of the list, which is read in pages while the rows in the page stay few.
  const fourth = (await numbers(page))[0];
  // The key stays on the last row that is loaded until the next page is there.
  const end = page.locator('tr[aria-rowindex="298"] a:focus');
  for (let presses = 0; presses < 5_000 && (await end.count()) === 0; presses += 1) await page.keyboard.press("j");
  await page.getByText("All 297 incidents loaded", { exact: true }).waitFor();
  await end.waitFor();
  assert.ok(await isInView(end));
  assert.ok((await rows(page).count()) < 70);
  assert.ok(!(await numbers(page)).includes(fourth));

  // One incident, and back to the same row.
  const last = await page.locator("a:focus").textContent();
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: last }).waitFor();
  await page.getByLabel("Status or verdict").waitFor();
  await page.keyboard.press("c");
  await page.keyboard.type("esc");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.keyboard.press("Tab");
  await page.keyboard.type("to the second line");
  for (let tabs = 0; tabs < 2; tabs += 1) await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await page.getByText("Saved as revision 2.").waitFor();
  const { status, assignee, notes } = await api("GET", `incidents/${last}`);
  assert.deepEqual([status, assignee, notes[0].text], ["escalated", "operator", "to the second line"]);
  // From one incident to the next, without the list between.
  const previous = (await page.getByRole("link", { name: "Previous: INC-" }).textContent()).replace("Previous: ", "");
  await page.keyboard.press("k");
  await page.getByRole("heading", { name: previous }).waitFor();
  await page.keyboard.press("j");
  await page.getByRole("heading", { name: last }).waitFor();
  assert.equal(await page.getByRole("link", { name: "Next: INC-" }).count(), 0);
  await page.getByRole("link", { name: "Back to the list" }).click();
  await page.locator(`tr[aria-rowindex="298"]`, { hasText: "escalated" }).waitFor();
  assert.equal(new URL(page.url()).search, "?status=new&source=monday&sort=created_at");
  assertClean(page);
});

test("filters, orders and views are addresses", async () => {
  await make("view-1", { Severity: 5, ComputerName: "VIEW-1" });
  await make("view-2", { Severity: 2, ComputerName: "VIEW-2" });
  const page = await open("incidents");
  await rows(page).first().waitFor();
  await page.locator("datalist option[value=monday]").waitFor({ state: "attached" });
  await page.keyboard.press("/");
  await page.keyboard.type("view*");
  await page.keyboard.press("Enter");
  await waitForRows(page, 2);
  await page.getByRole("button", { name: "Severity" }).click();
  await page.getByRole("button", { name: "Source" }).press("Shift+Enter");
  await page.getByRole("columnheader", { name: /Source.*2/ }).waitFor();
  assert.equal(new URL(page.url()).search, "?q=view*&sort=-severity%2Csource");
  assert.equal(await page.locator("th[aria-sort]").getAttribute("aria-sort"), "descending");
  await page.getByText("critical", { exact: false }).first().waitFor();
  await waitForRows(page, 2);
  assert.match(await rows(page).first().textContent(), /critical/);
  await page.getByRole("button", { name: "Severity" }).click();
  await page.waitForFunction(() => location.search.endsWith("sort=severity"));
  await waitForRows(page, 2);
  assert.doesNotMatch(await rows(page).first().textContent(), /critical/);

  await page.getByText("Severity: all").click();
  await page.getByRole("checkbox", { name: "critical" }).check();
  await waitForRows(page, 1);
  await page.getByLabel("Observable").fill("VIEW-2");
  await page.getByLabel("Observable").press("Enter");
  await page.getByText("No incident matches.").waitFor();
  await page.getByRole("checkbox", { name: "critical" }).uncheck();
  await waitForRows(page, 1);
  await page.getByPlaceholder("Name of this view").fill(HOSTILE);
  await page.getByRole("button", { name: "Save view" }).click();
  await assertAccessible(page);
  await page.getByRole("link", { name: "New", exact: true }).click();
  await page.waitForFunction(() => location.search === "?status=new");
  await page.reload();
  await page.getByRole("link", { name: SHOWN_HOSTILE }).click();
  await waitForRows(page, 1);
  await page.getByRole("button", { name: /Remove the view/ }).click();
  await page.getByText("Removed the view").waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem("incident-views")), "[]");

  await api("PATCH", "incidents", { numbers: [(await make("view-1")).number], change: { assignee: "operator" } });
  await page.getByRole("link", { name: "Mine" }).click();
  await page.getByText("Detection view-1").waitFor();
  await page.getByRole("link", { name: "Critical and open" }).click();
  await rows(page).first().waitFor();
  assert.ok((await rows(page).allTextContents()).every((text) => text.includes("critical")));
  await page.goto(`${host.url}/console/incidents?sort=colour`);
  await page.getByText(/expected some of created_at/).waitFor();
  assertClean(page);
});

test("what arrives waits, and what others change is shown", async () => {
  const first = await make("arrival-1", { ComputerName: "ARRIVAL" });
  const page = await open("incidents?observable=ARRIVAL");
  await waitForRows(page, 1);
  await make("elsewhere");
  await make("arrival-2", { ComputerName: "ARRIVAL" });
  await page.getByRole("button", { name: "1 new" }).waitFor();
  await api("PATCH", `incidents/${first.number}`, { status: "in_progress", assignee: "ann" });
  await rows(page).getByText("in progress").waitFor();
  assert.equal(await rows(page).count(), 1);
  await page.getByRole("button", { name: "1 new" }).click();
  await waitForRows(page, 2);
  assertClean(page);
});

test("a change of several shows which failed and why, and keeps these selected", async () => {
  const made = [];
  for (const id of ["bulk-1", "bulk-2", "bulk-3"]) made.push(await make(id, { ComputerName: "BULK" }));
  const page = await open("incidents?observable=BULK");
  await waitForRows(page, 3);
  const all = page.getByLabel("Select all rows");
  await page.getByLabel(`Select ${made[0].number}`).check();
  await page.getByText("1 selected").waitFor();
  assert.ok(await all.evaluate((box) => box.indeterminate));
  await all.click();
  await page.getByText("3 selected").waitFor();
  assert.ok(await all.evaluate((box) => box.checked && !box.indeterminate));
  await all.click();
  await page.getByText("3 selected").waitFor({ state: "detached" });
  await all.click();
  await api("DELETE", `incidents/${made[1].number}`);
  await page.getByRole("button", { name: "Change 3 incidents…" }).click();
  await page.getByText("Choose a status, a verdict").waitFor();
  await page.getByLabel("Assignee").nth(1).selectOption("other");
  await page.getByLabel("Name", { exact: true }).fill("ann");
  await page.getByLabel("Status or verdict").selectOption("resolved");
  await page.getByRole("button", { name: "Change 3 incidents…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.equal((await api("GET", `incidents/${made[0].number}`)).status, "new");
  await page.getByRole("button", { name: "Change 3 incidents…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Change" }).click();
  await page.getByText("2 of 3 incidents changed. 1 failed and stay selected.").waitFor();
  const results = await page.locator(".results tbody tr").allTextContents();
  assert.match(results[0], new RegExp(`${made[1].number}.*not changed: there is no incident`));
  assert.equal(results.filter((text) => text.includes("✓ changed, revision 2")).length, 2);
  await page.getByText("1 selected").waitFor();
  const changed = await api("GET", `incidents/${made[0].number}`);
  assert.deepEqual([changed.status, changed.assignee], ["resolved", "ann"]);
  assertClean(page);
});

test("all incidents that match are changed in steps, and what was reached is said", async () => {
  const COUNT = 250;
  for (let number = 0; number < COUNT; number += 1) await host.post("monday", detection(`matching-${number}`, { ComputerName: "MATCHING" }));
  const page = await open("incidents?observable=MATCHING");
  await page.getByText(new RegExp(`^${COUNT} of [\\d,]+ incidents match$`)).waitFor();
  const { data } = await api("GET", "incidents?observable=MATCHING&limit=1");
  await api("PATCH", `incidents/${data[0].number}`, { status: "closed" });
  const change = async () => {
    await page.getByLabel("Select all rows").check();
    await page.getByRole("button", { name: `Select all ${COUNT} incidents that match` }).press("Enter");
    await page.getByLabel("Status or verdict").selectOption("closed");
    await page.getByRole("button", { name: `Change all ${COUNT} incidents that match…` }).click();
    await page.getByRole("dialog").getByText("They are changed in steps").waitFor();
    await assertAccessible(page);
    await page.getByRole("dialog").getByRole("button", { name: "Change" }).click();
  };
  // The second step fails.
  let requests = 0;
  await page.route("**/api/incidents", async (route) => {
    requests += 1;
    if (requests === 2) await route.abort();
    else await route.continue();
  });
  await change();
  await page.getByText(/^Not all incidents were reached: /).waitFor();
  await page.getByText("199 of 200 incidents changed. 1 skipped, because they were so already. Stopped before the end.").waitFor();
  assert.equal((await api("GET", "incidents/count?observable=MATCHING&status=closed")).count, 200);
  await page.getByRole("button", { name: "Read again" }).click();
  await page.getByText(`all ${COUNT} incidents that match: selected`).waitFor({ state: "detached" });
  await change();
  await page.getByText(`50 of ${COUNT} incidents changed. 200 skipped, because they were so already.`).waitFor();
  assert.equal((await api("GET", "incidents/count?observable=MATCHING&status=closed")).count, COUNT);
  assertClean(page);
});

test("a long timeline begins with the newest change, and older ones follow on request", async () => {
  const { number } = await make("long");
  for (let change = 0; change < 230; change += 1) await api("PATCH", `incidents/${number}`, { title: `Title ${change}` });
  const page = await open(`incidents/${number}`);
  const moments = page.locator(".timeline > li");
  await moments.first().getByText("Title 228 → Title 229").waitFor();
  assert.equal(await page.getByText("Created by a payload").count(), 0);
  const older = page.getByRole("button", { name: "Older changes" });
  await older.press("Enter");
  await page.getByText("Title 100 → Title 101", { exact: true }).waitFor();
  await api("PATCH", `incidents/${number}`, { title: "The newest" });
  await moments.first().getByText("Title 229 → The newest").waitFor();
  await older.press("Enter");
  await page.getByText("Created by a payload").waitFor();
  assert.equal(await older.count(), 0);
  const titles = (await moments.allTextContents()).flatMap((text) => /→ Title (\d+)/.exec(text)?.[1] ?? []);
  assert.deepEqual(titles.map(Number), Array.from({ length: 230 }, (_, index) => 229 - index));
  await assertAccessible(page);
  assertClean(page);
});

test("payloads that change nothing are one line of the timeline, and the newest events are shown first", async () => {
  const { number } = await make("often");
  for (let count = 1; count <= 12; count += 1) await host.post("edr", JSON.stringify({ count, ...JSON.parse(detection("often")) }));
  const page = await open(`incidents/${number}`);
  const idle = page.getByText(/12 payloads arrived and changed nothing, the first of them at /);
  await idle.waitFor();
  const events = page.getByRole("region", { name: "Table of events" }).locator("tbody tr");
  assert.equal(await events.count(), 10);
  await page.getByRole("button", { name: "Show all 13 events" }).press("Enter");
  await events.nth(12).waitFor();
  await idle.click();
  await page.getByText("A payload arrived and changed nothing").nth(11).waitFor();
  await assertAccessible(page);
  assertClean(page);
});

test("an incident shows its observables, relations, events and timeline", async () => {
  const fields = { ComputerName: "FIN-7", IOCType: "domain", IOCValue: "bad.example", Technique: "PowerShell", Tactic: "Execution" };
  const first = await make("whole-1", { ...fields, Counter: 0, DetectDescription: "Seen on a laptop." });
  const second = await make("whole-2", { ComputerName: "FIN-7", DetectName: "Earlier one" });
  await host.post("edr", detection("whole-1", { ...fields, Severity: 5 }));
  await api("PATCH", `incidents/${first.number}`, { status: "triaged", note: "looked at it" });
  const page = await open(`incidents/${first.number}`);
  const others = page.getByRole("row", { name: /FIN-7/ }).getByRole("link", { name: "1 other" });
  await others.waitFor();
  await page.getByRole("row", { name: /bad\.example/ }).getByText("none").waitFor();
  const related = page.getByRole("region", { name: "Table of related incidents" });
  await related.getByText("hostname FIN-7 (2 incidents have it)").waitFor();
  await page.getByRole("link", { name: "T1059.001" }).waitFor();
  const timeline = page.locator(".timeline > li");
  await page.waitForFunction(() => document.querySelectorAll(".timeline > li").length >= 4);
  const moments = await timeline.allTextContents();
  const at = (expression) => moments.findIndex((text) => expression.test(text));
  assert.ok(at(/Changed by operator.*new → triaged.*looked at it/) >= 0, moments.join("\n"));
  assert.ok(at(/Changed by a payload.*medium → critical/) > at(/Changed by operator/), "the newest first");
  assert.ok(at(/Created by a payload/) > at(/Changed by a payload/));
  assert.ok(at(/Delivery of the creation to kept: . delivered/) >= 0);
  await assertAccessible(page);
  assert.equal(await page.getByRole("button", { name: /^Show all/ }).count(), 0);
  await page.getByRole("region", { name: "Table of events" }).getByRole("link").first().click();
  await page.getByRole("heading", { name: /^Event / }).waitFor();
  await page.goBack();
  await others.click();
  await waitForRows(page, 2);
  assert.deepEqual((await numbers(page)).sort(), [first.number, second.number].sort());
  await page.goto(`${host.url}/console/incidents/INC-1999-0001`);
  await page.getByText("The incident was deleted, or the address is wrong.").waitFor();
  await assertAccessible(page);
  assertClean(page);
});

test("many related incidents are shown on request", async () => {
  const made = [];
  for (let number = 0; number < 13; number += 1) made.push(await make(`relative-${number}`, { ComputerName: "FAMILY" }));
  const page = await open(`incidents/${made[0].number}`);
  const related = page.getByRole("region", { name: "Table of related incidents" }).locator("tbody tr");
  await related.first().waitFor();
  assert.equal(await related.count(), 10);
  await page.getByRole("button", { name: "Show all 12 related incidents" }).press("Enter");
  await related.nth(11).waitFor();
  assert.equal(await related.count(), 12);
  await page.getByRole("button", { name: "Show the first 10 related incidents" }).press("Enter");
  await related.nth(10).waitFor({ state: "detached" });
  await page.setViewportSize({ width: 320, height: 640 });
  const top = (name) => page.getByRole("heading", { name, exact: true }).evaluate((heading) => heading.getBoundingClientRect().top);
  assert.ok((await top("Change")) < (await top("Related incidents")));
  assertClean(page);
});

test("a playbook runs, dead letters are retried, a change is sent again", async () => {
  const incident = await make("refused", { DetectName: "Refused malware", SHA256String: "5f".repeat(32) });
  const page = await open(`incidents/${incident.number}`);
  await page.getByRole("combobox", { name: "Playbook" }).waitFor();
  await page.getByRole("button", { name: "Run the playbook" }).click();
  await page.getByText("malware_triage: done", { exact: true }).waitFor();
  await page.getByText("Triage by playbook malware_triage: done").waitFor();
  await page.getByRole("button", { name: "Retry dead letters (1)" }).click();
  await page.getByText("1 delivery is tried again.").waitFor();
  await page.getByLabel("Notification").selectOption("to-ticket");
  await page.getByRole("button", { name: "Send the newest change again…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send" }).click();
  await page.getByText(/ticket: not sent, .*400/).waitFor();
  await page.getByLabel("Notification").selectOption("to-file");
  await page.getByRole("button", { name: "Send the newest change again…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Send" }).click();
  await page.getByText("kept: sent.").waitFor();
  await assertAccessible(page);
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).click();
  assert.equal((await api("GET", `incidents/${incident.number}`)).id, incident.id);
  await page.getByRole("button", { name: "Delete…" }).click();
  await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
  await page.getByRole("heading", { name: "Incidents", exact: true }).waitFor();
  assert.equal((await api("GET", `incidents/${incident.number}`)).error.code, "not_found");
  assertClean(page);
});

test("two browsers edit one incident: the second sees what changed, and loses nothing that was typed", async () => {
  const { number } = await make("conflict");
  const [one, two] = [await open(`incidents/${number}`), await open(`incidents/${number}`, host.token("admin", "second"))];
  await two.getByLabel("Note").fill("my long note");
  await two.getByRole("combobox", { name: "Severity" }).selectOption("low");
  // The second page does not hear of the first one's change before it saves.
  await two.route(/\/api\/incidents\/[^/?]+$/, async (route) => {
    if (route.request().headers()["x-hookmill-console"] !== "poll") await route.continue();
    else await route.abort();
  });
  await one.getByLabel("Note").fill("faster");
  await one.getByRole("combobox", { name: "Severity" }).selectOption("high");
  await one.getByRole("button", { name: "Save" }).click();
  await one.getByText("Saved as revision 2.").waitFor();
  await two.getByRole("button", { name: "Save", exact: true }).click();
  const conflict = two.locator(".conflict");
  await conflict.getByText("It is at revision 2; your change is based on 1.").waitFor();
  await conflict.getByText("medium → high").waitFor();
  await conflict.getByText("+ operator: faster").waitFor();
  await conflict.getByText("Changed by operator").waitFor();
  await conflict.getByText("You change severity too").waitFor();
  assert.equal(await two.getByLabel("Note").inputValue(), "my long note");
  await assertAccessible(two);
  assert.equal((await api("GET", `incidents/${number}`)).severity, "high");
  await two.unroute(/\/api\/incidents\/[^/?]+$/);
  await two.getByRole("button", { name: "Save my change on revision 2" }).click();
  await two.getByText("Saved as revision 3.").waitFor();
  const saved = await api("GET", `incidents/${number}`);
  assert.deepEqual([saved.severity, saved.notes.map(({ text }) => text)], ["low", ["faster", "my long note"]]);

  // A page that follows tells before saving, and the change can be dropped.
  await one.getByText("second: my long note").waitFor();
  await two.getByLabel("Note").fill("another");
  await api("PATCH", `incidents/${number}`, { title: "Renamed" });
  await conflict.getByText("→ Renamed").waitFor();
  await two.getByRole("button", { name: "Discard my change" }).click();
  await two.getByRole("heading", { name: `${number} Renamed` }).waitFor();
  assert.equal(await two.getByLabel("Note").inputValue(), "");
  assert.equal(await conflict.count(), 0);
  assertClean(one);
  assertClean(two);
});

test("hostile values in every field are text, in the list, in the incident and in its copy", async () => {
  const texts = ["DetectName", "DetectDescription", "ComputerName", "UserName", "FileName", "CommandLine", "IOCValue", "Tactic", "FalconHostLink", HOSTILE];
  const fields = Object.fromEntries(texts.map((name) => [name, `${name} ${HOSTILE}`]));
  const id = `ref ${HOSTILE}`;
  await host.post("edr", detection(id, { ...fields, IOCType: "domain", Technique: HOSTILE }).replace(/\}\}$/, ',"Exact":9007199254740993}}'));
  const { data } = await api("GET", `incidents?source_ref=${encodeURIComponent(id)}`);
  const [{ number }] = data;
  const change = { assignee: HOSTILE, category: HOSTILE, tags: [HOSTILE, "=1+1"], note: HOSTILE };
  await api("PATCH", `incidents/${number}`, change);
  const context = { permissions: ["clipboard-read", "clipboard-write"] };
  const page = await open(`incidents?assignee=${encodeURIComponent(HOSTILE)}`, admin, context);
  await waitForRows(page, 1);
  const row = await rows(page).first().textContent();
  for (const shown of [`DetectName ${SHOWN_HOSTILE}`, "ComputerName <img src=x", SHOWN_HOSTILE]) assert.ok(row.includes(shown), row);
  await assertAccessible(page);
  await rows(page).getByRole("link").click();
  await page.getByRole("heading", { name: number }).waitFor();
  await page.waitForFunction(() => document.querySelectorAll(".timeline > li").length >= 2);
  const main = await page.locator("#main").textContent();
  for (const name of texts.slice(0, -1)) assert.ok(main.includes(`${name} ${SHOWN_HOSTILE}`), name);
  assert.ok(main.includes("9007199254740993"));
  assert.equal(await page.locator("#main img, #main script, #main a[href*=evil]:not([href*='/console/'])").count(), 0);
  await assertAccessible(page);
  await page.getByRole("button", { name: "Copy as Markdown" }).click();
  await page.getByText("Copied as Markdown.").waitFor();
  const copied = await page.evaluate(() => navigator.clipboard.readText());
  // A run of marks that is longer than those inside keeps it from being a link.
  assert.ok(copied.startsWith(`## ${number}: \`\` DetectName ${HOSTILE} \`\``), copied);
  assertClean(page);
});

test("an export has all pages, exact numbers, and no formulas", async () => {
  const titles = ["=HYPERLINK(\"https://evil.example\")", "+1", "-1", "@SUM(1)", "\tx", "＝1", 'a "quoted", text', "plain"];
  for (const [index, title] of titles.entries()) {
    const body = detection(`export-${index}`, { ComputerName: "EXPORT" }).replace(/\}\}$/, ',"Exact":9007199254740993}}');
    await host.post("edr", body);
    const { data } = await api("GET", `incidents?source_ref=export-${index}`);
    await api("PATCH", `incidents/${data[0].id}`, { title });
  }
  const page = await open("incidents?observable=EXPORT&sort=created_at");
  await waitForRows(page, titles.length);
  // Small pages, to have several.
  await page.route(/limit=500/, (route) => route.continue({ url: route.request().url().replace("limit=500", "limit=3") }));
  const exported = async (name) => {
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
    await page.getByText(`Saved ${titles.length} incidents`).waitFor();
    return readFileSync(await download.path(), "utf8");
  };
  const lines = (await exported("Export CSV")).trimEnd().split("\r\n");
  assert.equal(lines.length, titles.length + 1);
  const cells = lines.slice(1).map((line) => line.match(/"(?:[^"]|"")*"/g).map((cell) => cell.slice(1, -1).replaceAll('""', '"')));
  const title = lines[0].split(",").indexOf('"title"');
  assert.deepEqual(
    cells.map((row) => row[title]),
    titles.map((text) => (/^[=+\-@\t＝]/.test(text) ? `'${text}` : text)),
  );
  assert.ok(cells.flat().every((cell) => !/^[=+\-@\t\r＝＋－＠]/.test(cell)));
  const json = await exported("Export JSON");
  assert.deepEqual(
    JSON.parse(json).map((incident) => incident.title),
    titles,
  );
  assert.equal(json.match(/:9007199254740993\b/g).length, titles.length);
  await page.getByRole("link", { name: "All", exact: true }).click();
  await rows(page).first().waitFor();
  assertClean(page);
});

test("a token that may only read is offered no change, with the reason", async () => {
  const { number } = await make("reader");
  const page = await open("incidents?q=reader", host.token("read", "reader"));
  await waitForRows(page, 1);
  await page.getByLabel(`Select ${number}`).check();
  await page.getByText("Changes need a token of scope admin.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Change 1 incident…" }).isDisabled());
  await assertAccessible(page);
  await page.goto(`${host.url}/console/incidents/${number}`);
  await page.getByText("Changes need a token of scope admin.").first().waitFor();
  for (const name of ["Save", "Delete…", "Run the playbook"]) {
    assert.ok(await page.getByRole("button", { name, exact: true }).isDisabled(), name);
  }
  await assertAccessible(page);
  assertClean(page);
});

test("both screens fit 320 px in both themes, and a list without incidents says what to do", async () => {
  const { number } = await make("narrow", { DetectName: "x".repeat(500), ComputerName: "y".repeat(300) });
  for (const colorScheme of ["light", "dark"]) {
    const page = await open(`incidents?q=narrow`, admin, { colorScheme, viewport: { width: 320, height: 640 } });
    for (const path of ["incidents?q=narrow", `incidents/${number}`]) {
      await page.goto(`${host.url}/console/${path}`);
      await page.locator("table").first().waitFor();
      await assertAccessible(page);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, `${path} in ${colorScheme}`);
    }
    assertClean(page);
  }
  const empty = await Host.start("sources: {}", []);
  try {
    const page = await browser.signedIn(empty.url, empty.token("admin", "first"));
    await page.getByRole("heading", { name: "Overview" }).waitFor();
    await page.keyboard.press("i");
    await page.getByText("There are no incidents yet.").waitFor();
    await page.getByRole("link", { name: "add a source" }).waitFor();
    await assertAccessible(page);
    await page.keyboard.press("b");
    await page.getByText("No mapper is loaded.", { exact: false }).waitFor();
    await assertAccessible(page);
    await page.keyboard.press("o");
    await page.getByText("No plugin is loaded").waitFor();
    await assertAccessible(page);
    await page.getByRole("link", { name: "Add a source" }).click();
    await page.waitForFunction(() => location.pathname.endsWith("/sources/new"));
    assertClean(page);
  } finally {
    await empty.stop();
  }
});
