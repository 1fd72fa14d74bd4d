// The errors of payloads that could not be mapped.

import type { MappingError } from "hookmill:plugin/types@0.1.0";

/** The error of a payload that could not be mapped. The host receives `payload`. */
export class PayloadError extends Error {
  constructor(readonly payload: MappingError) {
    super(payload.val);
  }
}

/** Returns the error for a broken payload of a known kind, such as invalid JSON: `throw malformed("…")`. */
export function malformed(reason: string): PayloadError {
  return new PayloadError({ tag: "malformed", val: reason });
}

/** Returns the error for a payload of an unknown kind: `throw unsupported("expected …")`. */
export function unsupported(reason: string): PayloadError {
  return new PayloadError({ tag: "unsupported", val: reason });
}

/** The request of `readJson` to call the mapper once for each JSON value of a body. */
export class SeveralDocuments extends Error {
  constructor(readonly documents: string[], readonly problems: string[]) {
    super(`the body has ${documents.length} JSON values and ${problems.length} parts that are not JSON`);
  }
}
