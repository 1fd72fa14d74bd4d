import { defineMapper, unsupported } from "@hookmill/sdk";
export const mapper = defineMapper({ describe: () => ({ name: "a", version: "1", summary: "s" }), toIncidents() { throw unsupported("x"); } });
