// Chromium, in which anything that the content security policy stops, or that a page does wrong, fails the test.

import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { chromium } from "playwright-core";

const AXE = readFileSync(new URL("../node_modules/axe-core/axe.min.js", import.meta.url), "utf8");
// The program of Debian, and that of Ubuntu's machines for CI.
const PROGRAMS = ["/usr/bin/chromium", "/usr/bin/google-chrome"];
// A name of the host that is not one of the loopback interface, although it leads there.
export const OTHER_NAME = "soc.example";
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];

export class Browser {
  static async start() {
    const browser = new Browser();
    // The sandbox of Chromium does not work as root.
    const args = process.getuid?.() === 0 ? ["--no-sandbox"] : [];
    args.push(`--host-resolver-rules=MAP ${OTHER_NAME} 127.0.0.1`);
    const executablePath = PROGRAMS.find((program) => existsSync(program));
    assert.ok(executablePath, "`./setup browser` installs Chromium");
    browser.chromium = await chromium.launch({ executablePath, args });
    return browser;
  }

  // Opens a page with cookies of its own.
  async page(url, options = {}) {
    const context = await this.chromium.newContext({ viewport: { width: 1280, height: 800 }, ...options });
    const page = await context.newPage();
    page.wrongs = [];
    // How often the browser asked whether to leave the page. The answer is yes.
    page.timesAsked = 0;
    await page.exposeFunction("reportViolation", (text) => page.wrongs.push(text));
    await page.addInitScript(() => {
      document.addEventListener("securitypolicyviolation", (event) => {
        window.reportViolation(`${event.violatedDirective} ${event.blockedURI}`);
      });
    });
    page.on("pageerror", (error) => page.wrongs.push(String(error)));
    page.on("dialog", async (dialog) => {
      if (dialog.type() === "beforeunload") page.timesAsked += 1;
      else page.wrongs.push(`a dialog of a script: ${dialog.message()}`);
      await dialog.accept();
    });
    page.on("console", (message) => {
      if (message.text().includes("Content Security Policy")) page.wrongs.push(message.text());
    });
    await page.goto(`${url}/console/`);
    return page;
  }

  // Opens the first screen as the holder of a token.
  async signedIn(url, token, options = {}) {
    const page = await this.page(url, options);
    await signIn(page, token);
    await page.getByRole("button", { name: "Sign out" }).waitFor();
    return page;
  }

  stop() {
    return this.chromium.close();
  }
}

// Fails if the page did anything wrong so far.
export function assertClean(page) {
  assert.deepEqual(page.wrongs, []);
}

// Fails if the page as it is now violates a rule of accessibility.
export async function assertAccessible(page) {
  // A script tag would be stopped by the policy of the page; the debugger's evaluation is not.
  await page.evaluate(AXE);
  const violations = await page.evaluate(async (rules) => {
    const result = await window.axe.run(document, { runOnly: rules });
    return result.violations.map((found) => `${found.id}: ${found.nodes.map((node) => node.html).join(" ")}`);
  }, RULES);
  assert.deepEqual(violations, []);
}

export async function signIn(page, token) {
  await page.getByLabel("Token").fill(token);
  await page.getByRole("button", { name: "Sign in" }).click();
}
