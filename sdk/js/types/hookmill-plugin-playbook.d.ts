/// <reference path="./hookmill-plugin-types.d.ts" />
declare module 'hookmill:plugin/playbook@0.1.0' {
  /**
   * Introduces the plugin. Called once when the plugin is loaded.
   */
  export function describe(): Description;
  /**
   * Says what to do with an incident; an empty list is nothing. The same incident must give the same actions. An error
   * leaves the incident as it is and is shown on it: say what is missing.
   */
  export function triage(incident: StoredIncident): Array<Action>;
  export type StoredIncident = import('hookmill:plugin/types@0.1.0').StoredIncident;
  export type Action = import('hookmill:plugin/types@0.1.0').Action;
  export type Description = import('hookmill:plugin/types@0.1.0').Description;
}
