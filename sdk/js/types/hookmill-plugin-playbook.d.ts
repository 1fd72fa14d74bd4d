/// <reference path="./hookmill-plugin-types.d.ts" />
declare module 'hookmill:plugin/playbook@0.1.0' {
  /**
   * Returns the plugin's description. Called once, when the plugin is loaded.
   */
  export function describe(): Description;
  /**
   * Returns the actions to apply to an incident; an empty list changes nothing. Must be deterministic: the same
   * incident gives the same actions. After an error the incident is unchanged and shows the error text, which should
   * name what is missing.
   */
  export function triage(incident: StoredIncident): Array<Action>;
  export type StoredIncident = import('hookmill:plugin/types@0.1.0').StoredIncident;
  export type Action = import('hookmill:plugin/types@0.1.0').Action;
  export type Description = import('hookmill:plugin/types@0.1.0').Description;
}
