declare module 'hookmill:plugin/log@0.1.0' {
  /**
   * Writes one line.
   */
  export function write(level: Level, message: string): void;
  /**
   * The level of a log line.
   * # Variants
   * 
   * ## `"debug"`
   * 
   * Details for the plugin's author.
   * ## `"info"`
   * 
   * Normal operation.
   * ## `"warn"`
   * 
   * An unexpected condition that the plugin handled.
   * ## `"error"`
   * 
   * A failure; data was lost.
   */
  export type Level = 'debug' | 'info' | 'warn' | 'error';
}
