/// <reference path="./hookmill-plugin-types.d.ts" />
declare module 'hookmill:plugin/notifier@0.1.0' {
  /**
   * Introduces the plugin. Called once when the plugin is loaded.
   */
  export function describe(): Description;
  /**
   * Renders one audit entry; none sends nothing. After an error it is tried again on the destination's schedule.
   */
  export function render(notification: Notification): HttpRequest | undefined;
  export type Notification = import('hookmill:plugin/types@0.1.0').Notification;
  export type HttpRequest = import('hookmill:plugin/types@0.1.0').HttpRequest;
  export type Description = import('hookmill:plugin/types@0.1.0').Description;
}
