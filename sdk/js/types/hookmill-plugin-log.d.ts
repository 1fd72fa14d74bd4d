declare module 'hookmill:plugin/log@0.1.0' {
  /**
   * Writes one line.
   */
  export function write(level: Level, message: string): void;
  /**
   * How much a line matters.
   * # Variants
   * 
   * ## `"debug"`
   * 
   * For the plugin's author.
   * ## `"info"`
   * 
   * For the record.
   * ## `"warn"`
   * 
   * Odd, but it was dealt with.
   * ## `"error"`
   * 
   * Something was lost.
   */
  export type Level = 'debug' | 'info' | 'warn' | 'error';
}
