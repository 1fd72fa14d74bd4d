// A real host in a folder of its own.

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

export const PROGRAM = process.env.HOOKMILL ?? new URL("../../target/release/hookmill", import.meta.url).pathname;

export class Host {
  static async start(config, plugins = ["crowdstrike"]) {
    const host = new Host();
    host.folder = mkdtempSync(join(tmpdir(), "hookmill-console-"));
    mkdirSync(join(host.folder, "plugins"), { mode: 0o700 });
    writeFileSync(join(host.folder, "hookmill.yaml"), `listen: 127.0.0.1:0\n${config}`);
    for (const name of plugins) {
      cpSync(new URL(`../../target/plugins/${name}.wasm`, import.meta.url), join(host.folder, `plugins/${name}.wasm`));
    }
    await host.#serve();
    return host;
  }

  async #serve() {
    this.process = spawn(PROGRAM, ["serve"], { cwd: this.folder, env: { NO_COLOR: "1" } });
    this.url = await this.#logged(/the console is at (\S+)\/console\//);
    await this.#ready();
  }

  // Starts the host again at the same address. `meanwhile` is called while it does not run.
  async restart(meanwhile) {
    this.process.kill();
    await once(this.process, "exit");
    const file = join(this.folder, "hookmill.yaml");
    writeFileSync(file, readFileSync(file, "utf8").replace(/^listen: .*/, `listen: ${new URL(this.url).host}`));
    meanwhile();
    await this.#serve();
  }

  // Resolves when every plugin is loaded.
  async #ready() {
    while (!(await fetch(`${this.url}/readyz`)).ok) await setTimeout(20);
  }

  // Resolves with the first group of the expression when the log matches it.
  #logged(expression) {
    return new Promise((resolve, reject) => {
      let log = "";
      this.process.stderr.on("data", (bytes) => {
        log += bytes;
        const found = expression.exec(log);
        if (found) resolve(found[1]);
      });
      this.process.on("exit", () => reject(new Error(`the host ended: ${log}`)));
    });
  }

  run(...command) {
    return execFileSync(PROGRAM, command, { cwd: this.folder, env: {}, encoding: "utf8" });
  }

  token(scope, name) {
    return this.run("token", "create", "--scope", scope, "--name", name).trim();
  }

  // Sends a payload and returns the id of its event.
  async post(source, body) {
    const response = await fetch(`${this.url}/api/webhooks/${source}`, { method: "POST", body });
    const answer = await response.json();
    return answer.event_id ?? answer.error.event_id;
  }

  async stop() {
    this.process.kill();
    await once(this.process, "exit");
    rmSync(this.folder, { recursive: true });
  }
}
