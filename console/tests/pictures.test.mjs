// The pictures of the README, of a host that received all fixtures of some mappers. With UPDATE_PICTURES=1 they replace
// those in docs/images.

import { mkdirSync, readFileSync, readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import { Browser, assertClean } from "./browser.mjs";
import { Host } from "./host.mjs";

const MAPPERS = ["crowdstrike", "defender-xdr", "elastic", "sentinelone", "splunk", "wazuh"];
const CONFIG = `
sources:
${MAPPERS.map((name) => `  ${name}: { scheme: none, plugin: ${name} }`).join("\n")}
destinations:
  archive: { type: file, path: archive.ndjson }
  ticket: { type: http, url: "http://127.0.0.1:9/", allow_networks: [127.0.0.0/8], retry_schedule: [] }
notifications:
  - { name: all, trigger: incident_created, notify: [{ to: archive }] }
  - { name: critical, trigger: incident_created, filter: { _field: object.severity, _value: critical }, notify: [{ to: ticket }] }
`;
const folder = new URL(process.env.UPDATE_PICTURES ? "../../docs/images/" : "../../target/pictures/", import.meta.url);

let host, browser, page;

before(async () => {
  host = await Host.start(CONFIG, MAPPERS);
  browser = await Browser.start();
  for (const name of MAPPERS) {
    const payloads = new URL(`../../plugins/${name}/payloads/`, import.meta.url);
    for (const file of readdirSync(payloads).sort()) {
      if (!file.endsWith(".json") || file.endsWith(".expected.json") || file.endsWith(".event.json")) continue;
      await host.post(name, readFileSync(new URL(file, payloads)));
    }
  }
  mkdirSync(folder, { recursive: true });
  page = await browser.signedIn(host.url, host.token("admin", "operator"), { colorScheme: "light" });
});

after(async () => {
  await browser?.stop();
  await host?.stop();
});

async function picture(name) {
  await page.screenshot({ path: new URL(`${name}.png`, folder).pathname });
  assertClean(page);
}

test("the overview", async () => {
  await page.goto(`${host.url}/console/overview`);
  await page.locator(".chart canvas").nth(2).waitFor();
  await page.getByRole("link", { name: /in quarantine$/ }).waitFor();
  await picture("overview");
});

test("the journey of an event", async () => {
  const payload = new URL("../../plugins/crowdstrike/payloads/xdr.json", import.meta.url);
  const again = readFileSync(payload, "utf8").replace(/\}\s*$/, ', "sent_again": true}');
  await page.goto(`${host.url}/console/events/${await host.post("crowdstrike", again)}`);
  await page.getByRole("region", { name: "Body" }).waitFor();
  await page.getByText("kept").or(page.getByText("archive")).first().waitFor();
  await picture("journey");
});
