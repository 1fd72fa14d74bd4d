// Measures the list of incidents and the screen of one with many incidents in the store, and fails if an interaction is slow:
// `npm run measure`, with a release build. `HOOKMILL_INCIDENTS` is the number of incidents.

import { Browser } from "./browser.mjs";
import { Host } from "./host.mjs";

const INCIDENTS = Number(process.env.HOOKMILL_INCIDENTS ?? 100_000);
const PAYLOAD = 500;
// The payloads that are sent at once.
const SENDERS = 4;
const TIMES = 10;
// An interaction of which one in twenty takes longer is too slow: the measurement fails.
const P95_MS_MAX = 200;
// Other work on the machine delays some interactions. One that takes too long is repeated, and its best time counts: what is
// slow by itself stays slow.
const TRIES_MAX = 10;
const CONFIG = `
limits: { deadline_ms: 60000, requests_per_second: 1000 }
sources:
${Array.from({ length: 8 }, (_, number) => `  edr-${number}: { scheme: none, plugin: crowdstrike }`).join("\n")}
`;

function detection(number) {
  const event = {
    ...{ DetectId: `measured-${number}`, Severity: number % 6, DetectName: `Detection ${number % 900} of kind ${number % 37}` },
    ...{ ComputerName: `WS-${number % 3_000}`, UserName: `user-${number % 5_000}`, SHA256String: number.toString(16).padStart(64, "0") },
    ...{ DetectDescription: `A process of ${number % 250} started another one.`, Technique: "PowerShell", Tactic: "Execution" },
  };
  return { metadata: { eventType: "DetectionSummaryEvent", eventCreationTime: 1742892459000 + number }, event };
}

async function seed(host) {
  const started = Date.now();
  let next = 0;
  const send = async () => {
    while (next < INCIDENTS) {
      const [first, count] = [next, Math.min(PAYLOAD, INCIDENTS - next)];
      next += count;
      const body = JSON.stringify(Array.from({ length: count }, (_, index) => detection(first + index)));
      const response = await fetch(`${host.url}/api/webhooks/edr-${(first / PAYLOAD) % 8}`, { method: "POST", body });
      const answer = await response.json();
      if (answer.status !== "accepted" || answer.incidents.length !== count) throw new Error(JSON.stringify(answer).slice(0, 500));
    }
  };
  await Promise.all(Array.from({ length: SENDERS }, send));
  console.log(`${INCIDENTS} incidents written in ${Math.round((Date.now() - started) / 1000)} s`);
}

// Runs in the page: does something, and resolves with the milliseconds until its result is painted.
function timed({ act, isDone }) {
  const before = document.querySelector(".incidents table");
  const status = () => document.querySelector(".live [role=status]")?.textContent ?? "";
  const done = new Function("before", "status", "statusBefore", `return ${isDone}`);
  const statusBefore = status();
  const started = performance.now();
  new Function(act)();
  return new Promise((resolve, reject) => {
    const look = () => {
      const passed = performance.now() - started;
      if (done(before, status, statusBefore)) resolve(passed);
      else if (passed > 30_000) reject(new Error(`${act}: nothing after 30 s`));
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
}

const NEW_ROWS =
  "document.querySelector('.incidents table') !== before && document.querySelector('.incidents tbody tr[aria-rowindex] a') !== null && status().includes('incidents')";
const press = (key) => `document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "${key}", bubbles: true }))`;
const heading = (name) => `[...document.querySelectorAll(".incidents thead button")].find((button) => button.textContent.startsWith("${name}")).click()`;
const fill = (name, value) =>
  `const field = document.querySelector("[name=${name}]"); field.value = "${value}"; field.dispatchEvent(new Event("change", { bubbles: true }))`;

// The measurements: a path to begin at, unless each time goes on from the one before, an action, and its result.
const MEASURED = [
  ["open the list", (time) => ({ path: "events", act: press("i"), isDone: NEW_ROWS, time })],
  ["filter by severity", (time) => ({ path: "incidents", act: `document.querySelectorAll("[name=severity]")[${time % 5}].click()`, isDone: NEW_ROWS })],
  ["filter by severity, and count all that match", (time) => ({ path: "incidents", act: `document.querySelectorAll("[name=severity]")[${time % 5}].click()`, isDone: "document.querySelector('.total').textContent.includes('match')" })],
  ["filter by observable", (time) => ({ path: "incidents", act: fill("observable", `WS-${time * 7}`), isDone: NEW_ROWS })],
  ["search for words", (time) => ({ path: "incidents", act: fill("q", `detection ${time * 11} kind`), isDone: NEW_ROWS })],
  ["sort by severity", () => ({ path: "incidents", act: heading("Severity"), isDone: NEW_ROWS })],
  ["sort by a second key", () => ({ path: "incidents?sort=-severity", act: heading("Updated").replace("click()", "dispatchEvent(new MouseEvent('click', { bubbles: true, shiftKey: true }))"), isDone: NEW_ROWS })],
  ["next page", () => ({ act: `[...document.querySelectorAll("button")].find((button) => button.textContent === "Load more").click()`, isDone: "/^[0-9]+ incidents loaded/.test(status()) && status() !== statusBefore" })],
  ["open an incident", () => ({ path: "incidents", act: `document.querySelector(".incidents tbody a").click()`, isDone: "document.querySelector('#summary') !== null" })],
  ["open an incident, with its timeline", () => ({ path: "incidents", act: `document.querySelector(".incidents tbody a").click()`, isDone: "document.querySelector('.timeline li') !== null" })],
];

// Returns the time within which a share of the interactions ended.
function at(times, share) {
  return times.toSorted((one, other) => one - other)[Math.ceil(times.length * share) - 1] ?? 0;
}

function isSlow(times) {
  return at(times, 0.95) >= P95_MS_MAX;
}

const WIDTH = Math.max(...MEASURED.map(([name]) => name.length));

async function ready(page, host, path) {
  await page.goto(`${host.url}/console/${path}`);
  await page.locator("tbody tr").first().waitFor();
}

const host = await Host.start(CONFIG);
const browser = await Browser.start();
try {
  await seed(host);
  const page = await browser.signedIn(host.url, host.token("admin", "operator"));
  const started = performance.now();
  await ready(page, host, "incidents");
  console.log(`from an empty page to the first row: ${Math.round(performance.now() - started)} ms\n`);
  console.log(`${"interaction".padEnd(WIDTH)} ${"p50".padStart(8)} ${"p95".padStart(8)} ${"max".padStart(8)}`);
  for (const [name, of] of MEASURED) {
    // The times of the first tries, and the best of all tries.
    const [firsts, bests] = [[], []];
    if (!of(0).path) await ready(page, host, "incidents");
    for (let time = 0; time < TIMES; time += 1) {
      const { path, act, isDone } = of(time);
      const tries = [];
      do {
        if (path) await ready(page, host, path);
        tries.push(await page.evaluate(timed, { act, isDone }).catch((error) => { throw new Error(`${name}: ${error.message}`); }));
      } while (Math.min(...tries) >= P95_MS_MAX && tries.length < TRIES_MAX && !isSlow(bests));
      firsts.push(tries[0]);
      bests.push(Math.min(...tries));
    }
    const shown = [0.5, 0.95, 1].map((share) => `${Math.round(at(firsts, share))} ms`.padStart(8));
    console.log(`${name.padEnd(WIDTH)} ${shown.join(" ")}${isSlow(bests) ? `  TOO SLOW: ${P95_MS_MAX} ms at most` : ""}`);
    if (isSlow(bests)) process.exitCode = 1;
  }
  console.log(`\nrows in the page: ${await page.evaluate(() => document.querySelectorAll("tbody tr").length)}`);
} finally {
  await browser.stop();
  await host.stop();
}
