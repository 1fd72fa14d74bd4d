/// <reference path="./hookmill-plugin-types.d.ts" />
declare module 'hookmill:plugin/notifier@0.1.0' {
  /**
   * Returns the plugin's description. Called once, when the plugin is loaded.
   */
  export function describe(): Description;
  /**
   * Renders one audit entry; none means that nothing is sent. After an error the host retries on the destination's
   * schedule.
   */
  export function render(notification: Notification): HttpRequest | undefined;
  export type Notification = import('hookmill:plugin/types@0.1.0').Notification;
  export type HttpRequest = import('hookmill:plugin/types@0.1.0').HttpRequest;
  export type Description = import('hookmill:plugin/types@0.1.0').Description;
}
