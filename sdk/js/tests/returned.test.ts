// @ts-nocheck: types of Node.js are not installed, and the results are wrong on purpose.
import assert from "node:assert/strict";
import { test } from "node:test";
import { defineMapper, Incident, problem, readJson, unsupported, malformed } from "../index";

const EVENT = { body: new TextEncoder().encode("{}"), settings: [], headers: [], context: [] };
const outcomeOf = (toIncidents, event = EVENT) => defineMapper({ describe: () => ({}), toIncidents }).toIncidents(event);
const body = (text) => ({ ...EVENT, body: new TextEncoder().encode(text) });

test("a part of a wrong type is left out and names its field", () => {
  const { incidents, problems } = outcomeOf(() => ({
    incidents: [
      {
        sourceRef: "a", title: "half \ud83d", severity: "High", state: 7, occurredAt: "2026-02-30T00:00:00Z",
        changedAt: new Date(1705320000000), tags: ["x", 5, ""],
        observables: [{ dataType: "IP", value: "192.0.2.1" }, { dataType: "ip", value: 3 }, { dataType: "ip", value: "192.0.2.1" }],
        techniques: [{ id: "T1059" }, null], details: "none",
      },
      { title: "no id" },
      "text",
      new Incident("b"),
    ],
  }));
  assert.deepEqual(incidents.map((incident) => incident.sourceRef), ["a", "b"]);
  const [first] = incidents;
  assert.deepEqual([first.title, first.severity, first.state, first.occurredAt], ["half \ufffd", undefined, undefined, undefined]);
  assert.equal(first.changedAt, "2024-01-15T12:00:00.000Z");
  assert.deepEqual([first.tags, first.observables.length, first.techniques.length], [["x"], 1, 1]);
  for (const part of [
    'incidents[0].severity` = "High"; expected informational, low, medium, high, critical', "incidents[0].state", "2026-02-30",
    "incidents[0].tags[1]", "incidents[0].observables[0].dataType", "incidents[0].observables[1].value", "incidents[0].details",
    "incidents[1].sourceRef", 'incidents[2]` = "text"',
  ]) {
    assert.ok(problems.some((text) => text.includes(part)), `${part}: ${problems.join("\n")}`);
  }
});

test("a result that is not an outcome is an error that names the field", () => {
  assert.throws(() => outcomeOf(() => undefined), /toIncidents\(\) returned undefined/);
  assert.throws(() => outcomeOf(() => [new Incident("a")]), /returned `incidents` = undefined; expected \{ incidents/);
  assert.throws(() => outcomeOf(async () => ({ incidents: [] })), /a promise.*must not be async/);
  assert.match(logged.at(-1)[1], /must not be async/);
  assert.throws(() => defineMapper({ describe: () => ({ name: "n", version: 1 }) }).describe(), /`version` = 1; expected text/);
});

test("each value of a payload is mapped, and one that is wrong costs no other", () => {
  const map = (event) => {
    const value = readJson(event, "a thing");
    if (Array.isArray(value)) throw unsupported("expected a thing");
    if (!value.id) throw malformed("no id");
    return { incidents: [new Incident(value.id)], skipped: [], problems: [] };
  };
  for (const text of [
    '{"id":"a"}{"id":"b"}{}', '[{"id":"a"},{"id":"b"},{}]', '[{"id":"a"}]\n[{"id":"b"},{}]', '[{"id":"a"},{"id":"b"}]{}',
    '{"id":"a"}[{"id":"b"},{}]\0', JSON.stringify('[{"id":"a"},{"id":"b"},{}]'),
  ]) {
    const { incidents, problems } = outcomeOf(map, body(text));
    assert.deepEqual(incidents.map((incident) => incident.sourceRef), ["a", "b"], text);
    assert.deepEqual(problems, ["JSON value 3 of 3: no id"]);
  }
  for (const text of ["{}{}", "[{},{}]", "[{}]\n[{}]"]) assert.throws(() => outcomeOf(map, body(text)), /no id/);
  assert.throws(() => outcomeOf(map, body('[[{"id":"a"}]]')), /expected a thing/);
  const { incidents, problems } = outcomeOf(map, body('[{"id":"a"},7,{"id":"b"}]'));
  assert.deepEqual([incidents.length, problems], [2, ["JSON value 2 of 3: no id"]]);
  const many = outcomeOf(map, body(JSON.stringify(Array.from({ length: 2001 }, () => ({ id: "a" })))));
  assert.deepEqual([many.incidents.length, many.problems], [2000, ["1 of 2001 JSON values are not read: at most 2000 are"]]);
});

test("a kind that cannot be read is not skipped", () => {
  const skipped = (reason) => outcomeOf(() => ({ incidents: [], skipped: [reason], problems: [] }));
  assert.deepEqual(skipped("`login` is routine"), { incidents: [], skipped: ["`login` is routine"], problems: [] });
  const problem = "`log\ufffd` is routine; a character of it is broken";
  assert.deepEqual(skipped("`log\ud83d` is routine"), { incidents: [], skipped: [], problems: [problem] });
});

test("long ids are shortened and remain different", () => {
  const { incidents, problems } = outcomeOf(() => ({ incidents: ["1", "2"].map((end) => new Incident("é".repeat(300) + end)) }));
  const [one, other] = incidents.map((incident) => incident.sourceRef);
  assert.ok(one !== other && one.startsWith("é".repeat(248)) && new TextEncoder().encode(one).length === 512);
  assert.match(problems[0], /has 601 bytes and is shortened/);
});

test("many problems are counted", () => {
  const { problems } = outcomeOf(() => {
    for (let number = 0; number < 60; number += 1) problem(`problem ${number}`);
    return { incidents: [] };
  });
  assert.deepEqual([problems.length, problems.at(-1)], [51, "10 further problems"]);
});

test("any value can be logged", () => {
  const cycle = { list: [1n, 12345678901234567890n] };
  cycle.self = cycle;
  console.log("seen", cycle, undefined, () => 1, new Map());
  assert.match(logged.at(-1)[1], /^seen \{"list":\[1,12345678901234567890\],"self":"\[circular\]"\} undefined /);
});

test("stacks name the author's file", () => {
  globalThis.hookmillSources = { files: ["mapper.ts"], lines: [[0, 1], [0, 42]] };
  const error = new TypeError("null has no properties");
  error.stack = "name@bundle.js:2:10\nexport_mapper$toIncidents@/tmp/initializer.js:249:29\n";
  console.error(error);
  assert.equal(logged.at(-1)[1], "TypeError: null has no properties\n  at name (mapper.ts:42)");
});

test("the rest of a payload is kept within bounds", () => {
  const incident = new Incident("a");
  const large = Object.fromEntries(Array.from({ length: 20 }, (_, index) => [`big${index}`, "x".repeat(5000)]));
  incident.keep({ id: 1, risk: 7, empty: null, apiKey: "k", ...large }, ["id"], "acme_");
  const names = incident.details.map((detail) => detail.name);
  assert.equal(names[0], "acme_risk");
  assert.ok(names.includes("fields_not_kept") && names.length < 12 && !names.includes("acme_id") && !names.includes("acme_apiKey"), names.join());
});

test("a tag, an observable and a technique are compared with the first ones only", () => {
  const incident = new Incident("a");
  for (let number = 0; number < 1000; number++) {
    incident.tag(`tag ${number}`);
    incident.observe("hostname", `host-${number}`);
    incident.attack(`T${1000 + number}`);
  }
  for (const number of [0, 999]) {
    incident.tag(`tag ${number}`);
    incident.attack(`T${1000 + number}`);
    incident.observe("hostname", `host-${number}`);
  }
  assert.deepEqual([incident.tags, incident.techniques, incident.observables].map((list) => list.length), [1001, 1001, 1000]);
});
