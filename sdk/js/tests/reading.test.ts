// @ts-nocheck: types of Node.js are not installed.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { at, list, techniqueId, readText, severity, stringify, tacticId, text, timestamp, unfold, defineMapper, readJson, Incident } from "../index";
import { takeProblems } from "../problems";

const cases = (name: string) => JSON.parse(readFileSync(`${process.env.CASES}/${name}.json`, "utf8"));

test("times are converted in every spelling, and others are problems", () => {
  for (const [given, expected, isProblem] of cases("times")) {
    takeProblems();
    assert.deepEqual([timestamp(given) ?? null, takeProblems().length > 0], [expected, isProblem], given);
  }
});

test("severities are words or numbers on a scale", () => {
  for (const [given, scale, expected, isProblem] of cases("severities")) {
    takeProblems();
    assert.deepEqual([severity(given, scale ?? undefined) ?? null, takeProblems().length > 0], [expected, isProblem], given);
  }
});

test("ATT&CK names are found in any spelling", () => {
  for (const [name, technique, tactic] of cases("attack")) {
    assert.deepEqual([techniqueId(name) ?? null, tacticId(name) ?? null], [technique, tactic], name);
  }
});

/** Returns the values of a body, as a mapper sees them, and the number of problems. */
function valuesOf(body: string | Uint8Array): [unknown[], number] {
  const seen: unknown[] = [];
  const mapper = defineMapper({
    describe: () => ({ name: "n", version: "v", summary: "s" }),
    toIncidents(event) {
      seen.push(readJson(event, "anything"));
      return { incidents: [], skipped: [], problems: [] };
    },
  });
  const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
  try {
    const { problems } = mapper.toIncidents({ body: bytes, settings: [], headers: [], context: [] });
    return [seen, problems.length];
  } catch (error) {
    return [[], error.message.includes("the body is empty") ? 0 : 1];
  }
}

const plain = (value: unknown) => JSON.parse(JSON.stringify(value, (_, member) => typeof member === "bigint" ? { $integer: String(member) } : member));

test("JSON with faults is repaired in its place", () => {
  for (const [body, values, problems] of cases("json")) {
    assert.deepEqual([plain(valuesOf(body)[0]), valuesOf(body)[1]], [values, problems], body);
  }
  assert.deepEqual(valuesOf(new Uint8Array([0x22, 0xff, 0x22]))[0], ["\ufffd"]);
});

test("what is too deep is kept as text", () => {
  const nested = (depth: number) => "[".repeat(depth) + '{"a":"]"}' + "]".repeat(depth);
  assert.equal(JSON.stringify(readText(nested(63), "x")), nested(63));
  for (const depth of [64, 100_000]) {
    const [[value]] = valuesOf(nested(depth));
    const shown = JSON.stringify(value);
    assert.ok(shown.startsWith("[".repeat(64) + (depth === 64 ? '"{' : '"[[[')), shown.slice(0, 80));
  }
});

test("integers keep all their digits", () => {
  const value = readText('{"id": 12345678901234567890, "small": 7}', "x");
  assert.equal(text(value, "id"), "12345678901234567890");
  assert.equal(stringify(value), '{"id":12345678901234567890,"small":7}');
  const incident = new Incident("x");
  incident.detail("id", value.id);
  assert.equal(incident.details[0].value, "12345678901234567890");
});

test("values in the wrong place are absent and reported", () => {
  takeProblems();
  const value = { list: [{ a: 1 }], text: "x", none: "N/A", empty: {}, number: 7 };
  assert.deepEqual([text(value, "text", "a"), text(value, "none", "a"), text(value, "empty"), text(value, "list"), at(value, "list", "a")], [undefined, undefined, undefined, undefined, undefined]);
  assert.deepEqual(takeProblems(), [
    "`x` stands where an object is expected; it is left out",
    '`{"a":1}` stands where a text or a number is expected; it is left out',
    '`[{"a":1}]` stands where an object is expected; it is left out',
  ]);
});

test("JSON inside a text is unfolded, other values stay", () => {
  takeProblems();
  const value = { host: '{"name": "h", "n": [1]}', files: '["f", "g"]', text: "[not JSON" };
  assert.deepEqual([text(value, "host", "name"), list(value, "files"), list(value, "text")], ["h", ["f", "g"], ["[not JSON"]]);
  assert.deepEqual([text(value, "host", "n"), takeProblems()], ["1", []]);
  assert.deepEqual(unfold('{"sample":true}'), { sample: true });
  for (const value of ["[1", "text", "7", 7, null]) assert.equal(unfold(value), value);
});
