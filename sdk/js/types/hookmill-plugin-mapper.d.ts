/// <reference path="./hookmill-plugin-types.d.ts" />
declare module 'hookmill:plugin/mapper@0.1.0' {
  /**
   * Returns the plugin's description. Called once, when the plugin is loaded.
   */
  export function describe(): Description;
  /**
   * Maps one payload. Must be deterministic: the same event gives the same outcome.
   */
  export function toIncidents(event: Event): Outcome;
  export type Event = import('hookmill:plugin/types@0.1.0').Event;
  export type Outcome = import('hookmill:plugin/types@0.1.0').Outcome;
  export type MappingError = import('hookmill:plugin/types@0.1.0').MappingError;
  export type Description = import('hookmill:plugin/types@0.1.0').Description;
}
