// Reading JSON that senders cut, glue together or write against the rules.

import { malformed, SeveralDocuments } from "./errors";
import { excerpt } from "./problems";
import type { Event } from "hookmill:plugin/types@0.1.0";

/** The depth up to which values stay structured. A deeper value becomes the text of its JSON. */
const DEPTH_MAX = 64;
/** The most values of one payload: more than the host takes incidents. */
export const VALUES_MAX = 2000;
/** The most values that cannot be read. */
const FAULTS_MAX = 50;
/** The JSON values of one text, with the reasons why parts of it are not values. */
interface Documents {
  list: unknown[];
  problems: string[];
}

/** An integer that a JavaScript number could not hold exactly, and its digits, which the engine finds much faster. Written one by one,
 * they let the engine skip 16 characters at once. */
const LONG_INTEGER = /[\[{:,\s]-?\d{16}/;
const LONG_DIGITS = new RegExp("[0-9]".repeat(16));
const HALF_PAIR_ESCAPE = /\\u[dD][89a-fA-F]/;
/** Between two JSON values; `\s` contains the byte order mark. RFC 7464 begins each with 0x1E. */
const GAP = /[\s,\0\x1e]*/y;
const SPACE = /\s*/y;
const PLAIN_TEXT = /[^"\\]*/y;
const WORD = /[\w+.-]*/y;
const BARE = /[^,}\]{[":\n]*/y;
const NESTING_OR_TEXT = /["{}[\]]/g;
const LINE = /\n[[{]/g;
const BRACKET_OR_END = /[[{\]]/g;
const UTF8 = new TextDecoder();
const { stringify: toJson } = JSON;
const HALF_PAIR = /[\ud800-\udfff]/u;

/**
 * Parses the body as JSON. `expected` names the expected payload in the error text.
 *
 * A fault costs only its part: half a surrogate pair and a byte that is not UTF-8 become U+FFFD, of members with the same
 * name the last is kept, a value nested deeper than 64 becomes a text, and a byte order mark is passed over. Integers that
 * are too large for a number are a `bigint`, integers of more than 64 bits a text.
 *
 * If the body contains several JSON values, one after the other, the mapper is called again for each of them: do not catch
 * the error that this function throws.
 *
 * @throws an error from `malformed` if the body is not JSON
 */
export function readJson(event: Event, expected: string): unknown {
  return readText(UTF8.decode(event.body), expected);
}

/** Parses a text inside a payload as `readJson` parses the body. */
export function readText(text: string, expected: string): unknown {
  const strict = parsed(text);
  if (strict !== undefined) return strict;
  const { list, problems } = documents(text);
  if (list.length === 0) throw malformed(`not JSON: ${problems[0] ?? "the body is empty"}; expected ${expected}`);
  if (list.length + problems.length > 1) throw new SeveralDocuments(list.map((value) => stringify(value)), problems);
  return list[0];
}

/** Returns the JSON value in a text that contains an object or an array. Other values are returned unchanged. */
export function unfold(value: unknown): unknown {
  if (typeof value !== "string" || !/^\s*[[{]/.test(value)) return value;
  const strict = parsed(value);
  if (strict !== undefined) return strict;
  const { list, problems } = documents(value);
  return list.length === 1 && problems.length === 0 ? list[0] : value;
}

/** Returns the elements of a JSON text that is a list with objects, or the values in a text that contains JSON. */
export function elementsOf(json: string): string[] {
  const value = parsed(json) ?? documents(json).list[0];
  if (typeof value === "string" && /^\s*[[{]/.test(value)) return documents(value).list.map((inner) => stringify(inner));
  if (!Array.isArray(value)) return [];
  const isObject = (element: unknown) => typeof element === "object" && element !== null && !Array.isArray(element);
  return value.some(isObject) ? value.map((element) => stringify(element)) : [];
}

/** Returns a value as JSON, with integers of any size. Returns undefined for undefined and functions. */
export function stringify(value: unknown): string;
export function stringify(value: unknown): string | undefined {
  if (typeof value === "string") return toJson(value);
  try {
    return JSON.stringify(value);
  } catch {
    return JSON.stringify(value, (_, member) => typeof member === "bigint" ? JSON.rawJSON(String(member)) : member);
  }
}

/** Returns the value of a text without faults, by the engine's own parser; undefined if the text has a fault. */
function parsed(text: string): unknown {
  if (LONG_DIGITS.test(text) && LONG_INTEGER.test(text)) return undefined;
  if (text.includes("\\u") && HALF_PAIR_ESCAPE.test(text)) return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return hasFewBrackets(text) || isShallow(value, DEPTH_MAX) ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Returns whether a text cannot nest too deep because it has too few brackets for that. */
function hasFewBrackets(text: string): boolean {
  return text.split("{", DEPTH_MAX).length + text.split("[", DEPTH_MAX).length < DEPTH_MAX;
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== "object" || value === null) return true;
  if (depth === 0) return false;
  for (const name in value) {
    if (!isShallow((value as Record<string, unknown>)[name], depth - 1)) return false;
  }
  return true;
}

/**
 * Reads the values of a text that contains one or several JSON values, one after the other, one per line or with commas
 * between them. A value that cannot be read is a problem; reading continues after its last bracket or, if that is missing, at
 * the next line that begins with a value. What is not JSON ends at the next bracket. If an element of a list cannot be read or
 * the list is cut off, the elements are values in place of the list.
 */
function documents(text: string): Documents {
  const found: Documents = { list: [], problems: [] };
  const reader = new Reader(text);
  let isInList = false;
  let lists = 0;
  while (!reader.isAtEnd()) {
    const number = found.list.length + found.problems.length + 1;
    if (found.list.length === VALUES_MAX || found.problems.length === FAULTS_MAX) {
      found.problems.push(`JSON value ${number} and what follows is not read: there are too many values or faults`);
      return found;
    }
    const start = reader.at;
    if (isInList && text[start] === "]") {
      isInList = false;
      reader.at += 1;
      continue;
    }
    try {
      reader.problems = [];
      found.list.push(reader.value(0));
      found.problems.push(...reader.problems);
    } catch (fault) {
      if (!(fault instanceof Fault)) throw fault;
      if (text[start] === "[" && lists < FAULTS_MAX && (!isInList || text[start - 1] === "\n")) {
        isInList = true;
        lists += 1;
        reader.at = start + 1;
      } else {
        found.problems.push(`JSON value ${number} ${fault.message}`);
        reader.skipValue(start);
      }
    }
  }
  if (isInList && !found.problems.at(-1)?.endsWith(CUT_OFF)) found.problems.push(`the list of JSON values ${CUT_OFF}`);
  return found;
}

class Fault extends Error {}

const CUT_OFF = "is cut off at the end";
const ESCAPES: Record<string, string> = { n: "\n", t: "\t", r: "\r", b: "\b", f: "\f", '"': '"', "\\": "\\", "/": "/" };
const WORDS: Record<string, unknown> = {
  null: null, None: null, NaN: null, nan: null, undefined: null, true: true, True: true, false: false, False: false,
};

/** A parser that repairs faults in their place. Runs only after the engine's parser rejected a text. */
class Reader {
  at = 0;
  /** The values that are not JSON although their places are known. */
  problems: string[] = [];

  constructor(private readonly text: string) {}

  isAtEnd(): boolean {
    this.match(GAP);
    return this.at === this.text.length;
  }

  /**
   * Moves to where to read on after what cannot be read: to the next bracket after a word; else after the last bracket of
   * the object or array or, if that is missing, to the next line that begins with a value.
   */
  skipValue(start: number): void {
    if (!/[[{]/.test(this.text[start] ?? "")) {
      BRACKET_OR_END.lastIndex = start + 1;
      this.at = BRACKET_OR_END.exec(this.text)?.index ?? this.text.length;
      return;
    }
    LINE.lastIndex = start;
    const line = LINE.exec(this.text);
    const end = line ? line.index + 1 : this.text.length;
    try {
      this.at = start;
      this.nestedText();
    } catch {
      this.at = end;
    }
    this.at = Math.min(this.at, end);
  }

  value(depth: number): unknown {
    const sign = this.peek();
    if ((sign === "{" || sign === "[") && depth === DEPTH_MAX) return this.nestedText();
    if (sign === "{") return this.object(depth);
    if (sign === "[") return this.array(depth);
    return sign === '"' ? this.string() : this.word(depth);
  }

  private match(pattern: RegExp): string {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0] ?? "";
    this.at += found.length;
    return found;
  }

  private peek(): string | undefined {
    this.match(SPACE);
    return this.text[this.at];
  }

  private fault(): Fault {
    const sign = this.text[this.at];
    return new Fault(sign === undefined ? CUT_OFF : `is not JSON: unexpected \`${sign}\` at character ${this.at}`);
  }

  private object(depth: number): unknown {
    const members: [string, unknown][] = [];
    this.at += 1;
    while (this.peek() !== "}") {
      if (this.peek() !== '"') throw this.fault();
      const name = this.string();
      if (this.peek() !== ":") throw this.fault();
      this.at += 1;
      members.push([name, this.value(depth + 1)]);
      this.separator("}");
    }
    this.at += 1;
    return Object.fromEntries(members);
  }

  private array(depth: number): unknown {
    const elements: unknown[] = [];
    this.at += 1;
    while (this.peek() !== "]") {
      elements.push(this.value(depth + 1));
      this.separator("]");
    }
    this.at += 1;
    return elements;
  }

  /** Passes the comma after an element. A comma before the end is ignored. */
  private separator(close: string): void {
    const sign = this.peek();
    if (sign === ",") this.at += 1;
    else if (sign !== close) throw this.fault();
  }

  /** Returns the value at the position as the text of its JSON. Does not recurse, however deep the value is. */
  private nestedText(): string {
    const start = this.at;
    let depth = 0;
    for (;;) {
      NESTING_OR_TEXT.lastIndex = this.at;
      const found = NESTING_OR_TEXT.exec(this.text);
      if (!found) throw new Fault(CUT_OFF);
      this.at = found.index;
      if (found[0] === '"') {
        this.string();
        continue;
      }
      depth += found[0] === "{" || found[0] === "[" ? 1 : -1;
      this.at += 1;
      if (depth === 0) return this.text.slice(start, this.at);
    }
  }

  private string(): string {
    this.at += 1;
    let text = "";
    for (;;) {
      text += this.match(PLAIN_TEXT);
      const sign = this.text[this.at];
      if (sign === undefined) throw new Fault(CUT_OFF);
      this.at += 1;
      if (sign === '"') return HALF_PAIR.test(text) ? text.toWellFormed() : text;
      text += this.escaped();
    }
  }

  /** Reads the rest of an escape. Returns the backslash of an unknown escape. */
  private escaped(): string {
    const sign = this.text[this.at];
    if (sign === undefined) throw new Fault(CUT_OFF);
    const digits = this.text.slice(this.at + 1, this.at + 5);
    if (sign === "u" && /^[0-9a-fA-F]{4}$/.test(digits)) {
      this.at += 5;
      return String.fromCharCode(parseInt(digits, 16));
    }
    const known = ESCAPES[sign];
    if (known !== undefined) this.at += 1;
    return known ?? "\\";
  }

  /** Reads a number, `true`, `false` or `null`, also as Python and JavaScript write them. */
  private word(depth: number): unknown {
    const start = this.at;
    const word = this.match(WORD);
    if (Object.hasOwn(WORDS, word)) return WORDS[word];
    if (!/^[\d+.-]/.test(word)) {
      this.at = start;
      return this.bare(depth);
    }
    if (/^-?(0|[1-9]\d*)$/.test(word)) {
      const whole = BigInt(word);
      if (whole >= -(2n ** 63n) && whole < 2n ** 64n) return Number.isSafeInteger(Number(word)) ? Number(word) : whole;
    } else if (/^-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?$/.test(word) && Number.isFinite(Number(word))) {
      return Number(word);
    }
    return word;
  }

  /** Returns a word without quotes as text, and null in place of nothing, as templates write them. */
  private bare(depth: number): string | null {
    const start = this.at;
    const word = this.match(BARE).trim();
    const end = this.text[this.at] ?? "";
    if (depth === 0 || !/[,}\]\n]/.test(end) || this.problems.length === FAULTS_MAX) {
      this.at = start;
      throw this.fault();
    }
    const what = word ? `\`${excerpt(word)}\` at character ${start} has no quotes` : `the value at character ${start} is missing`;
    this.problems.push(what);
    return word || null;
  }
}
