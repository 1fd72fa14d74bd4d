// The screens of sources in a browser, against real hosts: the first installation above all.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { createHmac } from "node:crypto";
import { once } from "node:events";
import { appendFileSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Browser, assertAccessible, assertClean } from "./browser.mjs";
import { Host, PROGRAM } from "./host.mjs";

const SEED = readFileSync(new URL("../../plugins/crowdstrike/payloads/seed.json", import.meta.url), "utf8");
// A host that was just installed, with two of the bundled mappers.
const FRESH = "";
const HOSTILE = "<img src=x onerror=alert(1)>\u202eb https://evil.example/";
const USED = `
sources:
  filed: { scheme: none, plugin: crowdstrike }
  polled: { kind: http-poll, url: "http://127.0.0.1:9/", allow_networks: [127.0.0.0/8], plugin: none }
`;
const MAPPERS = new URL("../../target/plugins", import.meta.url).pathname;
const SEVEN_MINUTES_MS = 7 * 60 * 1000;

let fresh, used, browser;

before(async () => {
  [fresh, used] = await Promise.all([Host.start(FRESH, ["crowdstrike", "generic"]), Host.start(USED)]);
  browser = await Browser.start();
});

after(async () => {
  await browser?.stop();
  await fresh?.stop();
  await used?.stop();
});

const admins = new Map();

async function signedIn(host, scope = "admin", options = {}) {
  const key = `${host.url} ${scope}`;
  if (!admins.has(key)) admins.set(key, host.token(scope, `${scope}-of-sources`));
  const page = await browser.signedIn(host.url, admins.get(key), { permissions: ["clipboard-read", "clipboard-write"], ...options });
  await page.goto(`${host.url}/console/events`);
  return page;
}

// Posts as CrowdStrike does.
function postSigned(url, secret, at) {
  const time = at.toISOString();
  const signature = createHmac("sha256", secret).update(SEED).update(time).digest("base64");
  return fetch(url, { method: "POST", body: SEED, headers: { "x-cs-primary-signature": signature, "x-cs-delivery-timestamp": time } });
}

async function textOf(page, label) {
  return (await page.getByRole("region", { name: label, exact: true }).textContent()).trim();
}

async function register(host, source) {
  const page = await signedIn(host);
  const headers = { "x-hookmill-console": "1" };
  const answer = await page.evaluate(
    async ([headers, body]) => (await fetch("/api/webhooks", { method: "POST", headers, body })).status,
    [headers, JSON.stringify(source)],
  );
  assert.equal(answer, 201);
  await page.context().close();
}

test("from nothing to the first incident, past every mistake on the way", async () => {
  const page = await signedIn(fresh);
  await page.getByText("There is no source either").waitFor();
  await assertAccessible(page);
  await page.keyboard.press("s");
  await page.getByRole("heading", { name: "The first source" }).waitFor();
  await assertAccessible(page);
  await page.getByRole("link", { name: "Add the first source" }).click();

  await page.getByRole("combobox", { name: "Vendor" }).selectOption({ label: "CrowdStrike Falcon" });
  await page.getByText("alerts of the Alerts API").waitFor();
  assert.equal(new URL(page.url()).search, "?vendor=crowdstrike");
  await assertAccessible(page);
  await page.getByLabel("Name, which is a part of the URL").fill("edr");
  await page.getByRole("button", { name: "Register the source" }).click();

  await page.getByText("The secret is shown only now.").waitFor();
  const url = await textOf(page, "URL");
  const secret = await textOf(page, "Secret");
  assert.equal(url, `${fresh.url}/api/webhooks/edr`);
  assert.match(secret, /^[0-9a-f]{64}$/);
  await page.getByRole("button", { name: "Copy Secret" }).click();
  await page.getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), secret);
  await page.getByRole("heading", { name: "At CrowdStrike Falcon: Webhook of a Fusion workflow" }).waitFor();
  await page.getByText("In the Falcon console, open the Webhook plugin of Fusion").waitFor();
  await page.getByText("Waiting for the first event…").waitFor();
  await page.getByText("If nothing arrives").click();
  await page.getByText("A 401 means that the HMAC secret differs").waitFor();
  await assertAccessible(page);

  assert.equal((await fetch(url, { method: "POST", body: SEED })).status, 401);
  await page.getByText("the header `x-cs-primary-signature` is missing").waitFor();
  await page.getByText("Requests arrived and were refused").waitFor();
  assert.equal((await postSigned(url, secret.replace(/^./, "x"), new Date())).status, 401);
  await page.getByText("another secret").waitFor();
  assert.equal((await postSigned(url, secret, new Date(Date.now() - SEVEN_MINUTES_MS))).status, 401);
  await page.getByText(/signed 7 min(utes)?( \d+ s)? before/).waitFor();
  await assertAccessible(page);

  const accepted = await (await postSigned(url, secret, new Date())).json();
  await page.getByText("The first event arrived.").waitFor();
  assert.equal(await page.getByRole("link", { name: "Add another source" }).getAttribute("href"), "/console/sources/new");
  const incident = page.getByRole("link", { name: accepted.incident_number });
  assert.ok((await incident.getAttribute("href")).endsWith(`/console/incidents/${accepted.incident_id}`));
  await assertAccessible(page);
  await page.getByRole("link", { name: accepted.event_id }).click();
  await page.getByRole("heading", { name: `Event ${accepted.event_id}` }).waitFor();

  await page.keyboard.press("s");
  await page.getByRole("link", { name: "edr" }).click();
  await page.getByRole("heading", { name: "Source edr" }).waitFor();
  await page.getByText("4 received, 1 new, 0 repeated, 3 refused").waitFor();
  const kept = await page.evaluate(() => JSON.stringify([document.body.textContent, localStorage, sessionStorage, location.href]));
  assert.ok(!kept.includes(secret), "the secret is shown once");
  assertClean(page);
});

test("a secret that is shown once is not lost without a question, and a reload waits on", async () => {
  const page = await signedIn(fresh);
  await page.goto(`${fresh.url}/console/sources/new?vendor=crowdstrike`);
  const vendors = await page.getByRole("combobox", { name: "Vendor" }).locator("option").allTextContents();
  const products = vendors.slice(1, -1);
  assert.deepEqual(products, [...products].sort((one, other) => one.localeCompare(other)));
  const name = page.getByLabel("Name, which is a part of the URL");
  await register(fresh, { source: "taken", plugin: "none" });
  await name.fill("taken");
  await page.getByRole("button", { name: "Register the source" }).click();
  await page.getByText(/already/).waitFor();
  await name.fill("guarded");
  assert.equal(await page.getByText(/already/).count(), 0);
  await page.getByRole("button", { name: "Register the source" }).click();
  await page.getByText("The secret is shown only now.").waitFor();
  const secret = await textOf(page, "Secret");
  await page.keyboard.press("o");
  const question = page.getByRole("dialog", { name: "Leave this page?" });
  await question.getByText("is not copied yet").waitFor();
  await question.getByRole("button", { name: "Cancel" }).press("Enter");
  assert.equal(await textOf(page, "Secret"), secret);
  await page.reload();
  assert.equal(page.timesAsked, 1);
  await page.getByRole("heading", { name: "Source guarded" }).waitFor();
  await page.getByText("Waiting for the first event…").waitFor();
  assert.ok(!(await page.content()).includes(secret) && !page.url().includes(secret));

  await page.goto(`${fresh.url}/console/sources/new?vendor=crowdstrike`);
  await name.fill("kept");
  await page.getByRole("button", { name: "Register the source" }).click();
  await page.getByLabel("I have the secret").check();
  await assertAccessible(page);
  await page.keyboard.press("o");
  await page.getByRole("heading", { name: "Overview" }).waitFor();
  assert.equal(page.timesAsked, 1);
  assertClean(page);
});

test("the command that is shown sends a first event, for each way of a sender of one's own", async () => {
  for (const way of [0, 1, 2]) {
    const page = await signedIn(fresh);
    await page.goto(`${fresh.url}/console/sources/new?vendor=generic&way=${way}`);
    const name = `own-${way}`;
    await page.getByLabel("Name, which is a part of the URL").fill(name);
    await page.getByRole("button", { name: "Register the source" }).click();
    await page.getByText("Send a first event from a terminal").click();
    const answer = execFileSync("sh", ["-c", await textOf(page, "Command")], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
    assert.match(answer, /^HTTP\/1.1 202 /, answer);
    await page.getByText("The first event arrived.").waitFor();
    await page.getByRole("link", { name: /^INC-/ }).waitFor();
    assertClean(page);
    await page.context().close();
  }
});

test("any other sender has the scheme and the plugin that are chosen", async () => {
  const page = await signedIn(fresh);
  await page.goto(`${fresh.url}/console/sources/new?vendor=other`);
  await page.getByLabel("Scheme, by which").waitFor();
  const offered = await page.getByLabel("Scheme, by which").locator("option").allTextContents();
  const refusal = await page.evaluate(async () => {
    const body = JSON.stringify({ source: "nothing", scheme: "?" });
    return (await fetch("/api/webhooks", { method: "POST", headers: { "x-hookmill-console": "1" }, body })).json();
  });
  const known = refusal.error.message.split("expected one of ")[1].split(", ");
  // These need keys that only the operator knows.
  const withKeys = ["hmac", "aws-sns", "jwt", "google-pubsub", "body-secret"];
  assert.deepEqual(offered.sort(), known.filter((name) => !withKeys.includes(name)).sort());

  await page.getByLabel("Name, which is a part of the URL").fill("new");
  await page.getByRole("button", { name: "Register the source" }).click();
  assert.equal(await page.locator("input:invalid").count(), 1, "the path of a source `new` is that of this screen");
  await page.getByLabel("Name, which is a part of the URL").fill("Other.1");
  await page.getByLabel("Scheme, by which").selectOption("static-header");
  await page.getByLabel("Header with the secret").fill("X-Own");
  await page.getByLabel("Plugin, which reads the payloads").selectOption("none");
  await page.getByLabel("Secret, if the vendor makes it").fill("it's a secret of the vendor");
  await assertAccessible(page);
  await page.getByRole("button", { name: "Register the source" }).click();
  await page.getByText("The secret is the one that you gave.").waitFor();
  await page.getByText("Send a first event from a terminal").click();
  const answer = execFileSync("sh", ["-c", await textOf(page, "Command")], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  assert.match(answer, /^HTTP\/1.1 202 /, answer);
  await page.getByText("none: the mapper found no incident in the payload").waitFor();
  assertClean(page);
});

test("before the first event there is the command that sends one", async () => {
  const page = await signedIn(used);
  const command = await textOf(page, "Command");
  assert.ok(command.includes(`'${used.url}/api/webhooks/filed'`), command);
  const answer = execFileSync("sh", ["-c", command], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  assert.match(answer, /^HTTP\/1.1 /, answer);
  await page.locator("tbody tr").first().waitFor();
  assertClean(page);
});

test("a vendor that the host reads has its section of the configuration file", async () => {
  const page = await signedIn(fresh);
  await page.goto(`${fresh.url}/console/sources/new?vendor=opencti`);
  assert.match(await textOf(page, "YAML"), /^sources:\n {2}opencti:\n {4}kind: opencti-stream\n/);
  await page.getByText("OPENCTI_TOKEN: the API token of a user").waitFor();
  await assertAccessible(page);
  await page.goto(`${fresh.url}/console/sources/new?vendor=guardduty`);
  await page.getByText("The plugin guardduty is not loaded.").waitFor();
  await page.getByLabel("TOPIC_ARN").fill("arn:aws:sns:eu-central-1:123456789012:alerts");
  await page.getByRole("button", { name: "Register the source" }).click();
  await page.getByText("This scheme has no secret.").waitFor();
  await page.getByText("The plugin guardduty is not loaded").waitFor();
  assertClean(page);
});

test("a source that the host reads is waited for, past the failure of its first request", async () => {
  let status = 403;
  const vendor = createServer((_, response) => response.writeHead(status, { "content-type": "application/json" }).end('[{"id": 1}]'));
  await new Promise((resolve) => vendor.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${vendor.address().port}/`;
  const host = await Host.start("public_url: https://hooks.example/soc\nsources:\n  posted: { scheme: none, plugin: none }\n", ["generic"]);
  try {
    const page = await signedIn(host);
    await page.getByText("curl -i 'https://hooks.example/soc/api/webhooks/posted'").waitFor();
    await page.goto(`${host.url}/console/sources/new?vendor=opencti`);
    await page.getByText("Waiting for the source opencti in the configuration file.").waitFor();
    await page.getByLabel("Name of the source in the file").fill("read");
    await page.getByLabel("Name of the source in the file").press("Enter");
    await page.getByText("Waiting for the source read in the configuration file.").waitFor();
    await assertAccessible(page);
    const read = `  read: { kind: http-poll, url: "${url}", interval: 1s, allow_networks: [127.0.0.0/8], plugin: none }\n`;
    appendFileSync(join(host.folder, "hookmill.yaml"), read);
    await page.getByText("The first request failed; see the newest error. Trying again…").waitFor();
    await page.getByText(/403/).first().waitFor();
    await assertAccessible(page);
    status = 200;
    await page.getByText("The host reads the source.").waitFor();
    await page.getByText("The first event arrived.").waitFor();
    await page.goto(`${host.url}/console/sources/posted`);
    await page.getByText("https://hooks.example/soc/api/webhooks/posted").waitFor();
    assertClean(page);
  } finally {
    await host.stop();
    vendor.close();
  }
});

test("what was typed for a new source stays while vendors are compared", async () => {
  const page = await signedIn(fresh);
  await page.goto(`${fresh.url}/console/sources/new?vendor=guardduty`);
  const vendor = page.getByRole("combobox", { name: "Vendor" });
  const name = page.getByLabel("Name, which is a part of the URL");
  const secret = page.getByLabel("Secret, if the vendor makes it");
  await page.getByLabel("TOPIC_ARN").fill("arn:aws:sns:eu-central-1:123456789012:alerts");
  await vendor.selectOption("crowdstrike");
  assert.equal(await name.inputValue(), "crowdstrike", "the name that was not typed is that of the vendor");
  await name.fill("typed");
  await secret.fill("a secret of the vendor");
  await vendor.selectOption("opencti");
  assert.equal(await page.getByLabel("Name of the source in the file").inputValue(), "typed");
  await vendor.selectOption("other");
  assert.deepEqual([await name.inputValue(), await secret.inputValue()], ["typed", "a secret of the vendor"]);
  await page.getByLabel("Scheme, by which").selectOption("static-header");
  await page.getByLabel("Header with the secret").fill("X-Own");
  await page.getByLabel("Plugin, which reads the payloads").selectOption("none");
  await vendor.selectOption("guardduty");
  assert.equal(await page.getByLabel("TOPIC_ARN").inputValue(), "arn:aws:sns:eu-central-1:123456789012:alerts");
  assert.equal(await name.inputValue(), "typed");
  await vendor.selectOption("other");
  await page.getByRole("button", { name: "Register the source" }).click();
  await page.getByText("The source typed is registered with the scheme static-header.").waitFor();
  assertClean(page);
});

// Moves the focus forward to the control with a name.
async function tabTo(page, name) {
  const focused = () => page.evaluate(() => [document.activeElement.labels?.[0], document.activeElement].map((one) => one?.textContent ?? ""));
  for (let presses = 0; presses < 50; presses += 1) {
    await page.keyboard.press("Tab");
    if ((await focused()).some((text) => text.trim().startsWith(name))) return;
  }
  assert.fail(`the keyboard does not reach ${name}`);
}

test("a source is added and removed by keyboard alone", async () => {
  const page = await signedIn(fresh);
  await page.getByRole("heading", { name: "Events" }).waitFor();
  await page.keyboard.press("s");
  await page.getByRole("link", { name: /^Add / }).waitFor();
  await tabTo(page, "Add ");
  await page.keyboard.press("Enter");
  await page.getByRole("combobox", { name: "Vendor" }).waitFor();
  await tabTo(page, "Vendor");
  await page.keyboard.type("CrowdStrike");
  await page.getByRole("heading", { name: "CrowdStrike Falcon" }).waitFor();
  await tabTo(page, "Name, which is a part of the URL");
  await page.keyboard.press("Control+a");
  await page.keyboard.type("by-keyboard");
  await page.keyboard.press("Enter");
  await page.getByText("The secret is shown only now.").waitFor();
  await tabTo(page, "I have the secret");
  await page.keyboard.press("Space");
  await page.keyboard.press("s");
  const source = page.getByRole("link", { name: "by-keyboard", exact: true });
  await source.waitFor();
  await tabTo(page, "by-keyboard");
  await page.keyboard.press("Enter");
  await page.getByRole("button", { name: "Remove…" }).waitFor();
  await tabTo(page, "Remove…");
  await page.keyboard.press("Enter");
  await tabTo(page, "Remove");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Sources" }).waitFor();
  await source.waitFor({ state: "detached" });
  assertClean(page);
});

test("what was typed for a new source is not left without a question", async () => {
  const page = await signedIn(fresh);
  await page.goto(`${fresh.url}/console/sources/new?vendor=crowdstrike`);
  const name = page.getByLabel("Name, which is a part of the URL");
  await name.fill("typed");
  await page.getByRole("link", { name: "Events", exact: true }).click();
  const question = page.getByRole("dialog", { name: "Leave this page?" });
  await question.getByText("The source is not registered, and what you typed is not kept.").waitFor();
  await assertAccessible(page);
  await question.getByRole("button", { name: "Cancel" }).click();
  assert.equal(await name.inputValue(), "typed");
  await page.getByRole("link", { name: "Events", exact: true }).click();
  await question.getByRole("button", { name: "Leave" }).click();
  await page.getByRole("heading", { name: "Events" }).waitFor();
  assertClean(page);
});

test("a source is tested, gets a new secret, moves to the file, and is removed", async () => {
  await register(used, { source: "temporary", plugin: "crowdstrike", scheme: "crowdstrike", settings: { team: HOSTILE } });
  const page = await signedIn(used);
  await page.goto(`${used.url}/console/sources/temporary`);
  await page.getByText("Waiting for the first event…").waitFor();
  await page.getByRole("heading", { name: "At CrowdStrike Falcon: Webhook of a Fusion workflow" }).waitFor();
  await page.getByRole("button", { name: "Test" }).press("Enter");
  await page.getByText(/^(✓|✗) Such a payload/).waitFor();
  await page.getByRole("row", { name: /^sign|^receive|^verify/ }).first().waitFor();
  await assertAccessible(page);

  await page.getByRole("button", { name: "Rotate…" }).press("Enter");
  await assertAccessible(page);
  const overlap = page.getByRole("dialog").getByRole("combobox");
  assert.equal(await overlap.inputValue(), "24h");
  await overlap.selectOption("1h");
  await page.getByRole("dialog").getByRole("button", { name: "Rotate" }).press("Enter");
  await page.getByText("The former one stays valid for 1h.").waitFor();
  const secret = await textOf(page, "Secret");
  const url = `${used.url}/api/webhooks/temporary`;
  assert.equal((await postSigned(url, secret, new Date())).status, 202);
  const secrets = page.getByRole("region", { name: "Secrets" });
  await secrets.getByRole("row").nth(2).waitFor();
  assert.equal(await secrets.getByText("no end").count(), 1);

  await page.getByText("For the configuration file").click();
  const yaml = await textOf(page, "YAML");
  assert.ok(yaml.includes('secret: "${TEMPORARY_SECRET}"'), yaml);
  assert.ok(yaml.includes("scheme: crowdstrike"), yaml);
  const shown = await page.locator("#main").textContent();
  assert.ok(shown.includes("team = <img src=x onerror=alert(1)>\\u{202E}b https://evil.example/"), shown);
  assert.equal(await page.locator("#main img").count(), 0);

  await page.getByRole("button", { name: "Remove…" }).press("Enter");
  await page.getByText("Queued and quarantined events stay as they are").waitFor();
  await assertAccessible(page);
  await page.getByRole("dialog").getByRole("button", { name: "Cancel" }).press("Enter");
  assert.equal((await postSigned(url, secret, new Date())).status, 202);
  await page.getByRole("button", { name: "Remove…" }).press("Enter");
  await page.getByRole("dialog").waitFor();
  await page.keyboard.press("Escape");
  await page.locator("dialog").waitFor({ state: "detached" });
  assert.equal((await postSigned(url, secret, new Date())).status, 202);
  await page.getByRole("button", { name: "Remove…" }).press("Enter");
  await page.getByRole("dialog").getByRole("button", { name: "Remove" }).press("Enter");
  await page.getByRole("heading", { name: "Sources", exact: true }).waitFor();
  await page.getByText("2 shown").waitFor();
  assert.equal((await postSigned(url, secret, new Date())).status, 404);
  assertClean(page);
});

test("the list shows what comes and what is wrong, and a source of the file is changed there", async () => {
  const page = await signedIn(used);
  await used.post("filed", SEED);
  await page.goto(`${used.url}/console/sources`);
  const row = (name) => page.getByRole("row", { name: new RegExp(`^${name} `) });
  await row("filed").getByText("not watched").waitFor();
  await row("filed").getByRole("time").or(row("filed").locator("time")).first().waitFor();
  await row("filed").getByRole("cell", { name: "2", exact: true }).waitFor();
  await row("polled").getByText("http-poll").waitFor();
  await row("polled").getByText(/connect/).first().waitFor();
  await assertAccessible(page);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  await page.keyboard.press("Enter");
  await page.getByText("This source stands in the configuration file.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Rotate…" }).isDisabled());
  assert.ok(await page.getByRole("button", { name: "Remove…" }).isDisabled());
  await page.getByRole("link", { name: "Events of this source" }).click();
  await page.getByRole("heading", { name: "Events" }).waitFor();
  assert.equal(await page.getByRole("combobox", { name: "Source" }).inputValue(), "filed");
  await page.goto(`${used.url}/console/sources/polled`);
  await page.getByText("Position", { exact: true }).waitFor();
  await page.goto(`${used.url}/console/sources/absent`);
  await page.getByText("there is no source `absent`").waitFor();
  assertClean(page);
});

test("changes are offered only to a token that may make them", async () => {
  const page = await signedIn(used, "read");
  await page.goto(`${used.url}/console/sources`);
  await page.getByText("Adding a source needs a token of scope admin.").waitFor();
  await page.goto(`${used.url}/console/sources/filed`);
  await page.getByText("Changes need a token of scope admin.").waitFor();
  assert.ok(await page.getByRole("button", { name: "Test" }).isDisabled());
  await page.goto(`${used.url}/console/sources/new`);
  await page.getByText("Adding a source needs a token of scope admin").waitFor();
  assertClean(page);
});

test("an address whose code is not valid says so, and keeps nothing of it", async () => {
  const page = await browser.page(`${used.url}`);
  await page.goto(`${used.url}/console/sources#code=0123456789abcdef`);
  await page.getByText("This address does not sign in").waitFor();
  assert.equal(new URL(page.url()).hash, "");
  await assertAccessible(page);
  assertClean(page);
});

test("the address that a demo prints signs in once", async () => {
  const demo = spawn(PROGRAM, ["demo", "--keep", "--plugins-dir", MAPPERS], { stdio: ["ignore", "pipe", "inherit"] });
  const address = await new Promise((resolve, reject) => {
    let printed = "";
    demo.stdout.on("data", (bytes) => {
      printed += bytes;
      const found = /http:\S+#code=\w+/.exec(printed);
      if (found) resolve(found[0]);
    });
    demo.on("exit", () => reject(new Error(`the demo ended: ${printed}`)));
  });
  try {
    const first = await browser.page(new URL(address).origin);
    await first.goto("about:blank");
    await first.goto(address);
    await first.getByText("HOOKMILL_ADMIN_TOKEN (admin)").waitFor();
    assert.equal(first.url(), address.split("#")[0]);
    await first.reload();
    await first.getByText("HOOKMILL_ADMIN_TOKEN (admin)").waitFor();
    const tops = await first.locator("header > *").evaluateAll((all) => all.map((child) => child.getBoundingClientRect().bottom));
    const [height] = await first.locator("header .account").evaluateAll((all) => all.map((one) => one.getBoundingClientRect().height));
    assert.ok(Math.max(...tops) - height < Math.min(...tops), `one row at 1280 px: ${tops}`);
    const second = await browser.page(new URL(address).origin);
    await second.goto("about:blank");
    await second.goto(address);
    await second.getByText("the code was used or has ended").waitFor();
    assertClean(first);
    assertClean(second);
  } finally {
    demo.kill();
    await once(demo, "exit");
  }
});

test("both themes are readable, and a narrow page does not scroll sideways", async () => {
  await register(used, { source: "a-long-name-of-a-source-that-is-as-long-as-such-a-name-can-be.64", plugin: "none", settings: { team: HOSTILE } });
  for (const colorScheme of ["light", "dark"]) {
    const page = await signedIn(used, "admin", { colorScheme, viewport: { width: 320, height: 640 } });
    for (const path of [
      "sources",
      "sources/filed",
      "sources/a-long-name-of-a-source-that-is-as-long-as-such-a-name-can-be.64",
      "sources/new?vendor=other",
      "sources/new?vendor=guardduty",
      "sources/new?vendor=defender-office365",
    ]) {
      await page.goto(`${used.url}/console/${path}`);
      await page.locator("h1").waitFor();
      await page.locator("section, table, form.new-source").first().waitFor();
      await assertAccessible(page);
      assert.ok((await page.evaluate(() => document.documentElement.scrollWidth)) <= 320, `${path} in ${colorScheme}`);
    }
    assertClean(page);
    await page.context().close();
  }
});
