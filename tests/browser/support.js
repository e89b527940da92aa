// What the browser test needs: the entry as a process, pages that are watched, and publishers.
"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { chromium } = require("playwright-core");

const WAIT_MS = 20_000;

/// Nobody comes in without a name.
const REALMS = `
[[realm]]
name = "realm1"
[[realm.role]]
name = "member"
[[realm.role.permission]]
uri = "test.*"
publish = true
subscribe = true
[[realm.user]]
authid = "jo\u00eb"
role = "member"
ticket = "geheim-\u2713-secret"
`;

/// Nearcast as a process; it keeps its port and its data over restarts.
class Entry {
  constructor(binary, dir) {
    Object.assign(this, { binary, dir, port: 0, child: null });
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /// Resolves when it is ready for clients.
  async start(env = {}) {
    const args = ["--listen", `127.0.0.1:${this.port}`, "--data-dir", path.join(this.dir, "data")];
    const own = Object.entries(process.env).filter(([name]) => !name.startsWith("VIXEN_"));
    this.child = spawn(this.binary, args, {
      env: { ...Object.fromEntries(own), ...env },
      stdio: ["ignore", "pipe", "inherit"],
    });
    const { child } = this;
    child.stdout.setEncoding("utf8");
    let said = "";
    await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`vixen-entry ended with ${code}: ${said}`)));
      child.stdout.on("data", (text) => {
        said += text;
        const port = /ws:\/\/127\.0\.0\.1:(\d+)\/ws/.exec(said)?.[1];
        if (port === undefined) return;
        this.port = Number(port);
        resolve();
      });
    });
    child.removeAllListeners("exit");
  }

  async stop() {
    const { child } = this;
    if (child === null || child.exitCode !== null) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGTERM");
    assert.equal(await ended, 0, "vixen-entry stops cleanly");
    this.child = null;
  }

  kill() {
    this.child?.kill("SIGKILL");
  }
}

/// A cluster of three processes with a realm for those who have a ticket.
class Guarded {
  constructor(bench, bins, dir) {
    Object.assign(this, { bench, bins, dir: path.join(dir, "guarded"), port: 0, child: null });
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  /// Resolves when all of it is ready.
  async start() {
    fs.mkdirSync(this.dir);
    const realms = path.join(this.dir, "realms.toml");
    fs.writeFileSync(realms, REALMS);
    const ports = path.join(this.dir, "ports.json");
    const args = ["--dir", path.join(this.dir, "nodes"), "--ports-file", ports, "--size", "1+1+1"];
    // It stops when its input ends, so when this process does.
    this.child = spawn(this.bench, ["cluster", ...args, "--config-append", realms], {
      env: { ...process.env, VIXEN_BIN_DIR: this.bins },
      stdio: ["pipe", "ignore", "pipe"],
    });
    const { child } = this;
    child.stderr.setEncoding("utf8");
    let said = "";
    await new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => reject(new Error(`the cluster ended with ${code}: ${said}`)));
      child.stderr.on("data", (text) => {
        said += text;
        if (said.includes("ready: ")) resolve();
      });
    });
    child.removeAllListeners("exit");
    this.port = Number(new URL(JSON.parse(fs.readFileSync(ports)).entries[0]).port);
  }

  async stop() {
    const ended = new Promise((resolve) => this.child.once("exit", resolve));
    this.child.stdin.end();
    assert.equal(await ended, 0, "the cluster stops cleanly");
  }
}

/// A browser whose pages are watched: what they complain about is in `complaints`.
class Watch {
  async open() {
    this.browser = await chromium.launch({
      executablePath: process.env.CHROMIUM,
      args: ["--no-sandbox", "--disable-dev-shm-usage"],
    });
    this.complaints = [];
    this.context = await this.browser.newContext({ viewport: { width: 1400, height: 900 } });
    this.context.setDefaultTimeout(WAIT_MS);
    await this.context.addInitScript(() => {
      addEventListener("securitypolicyviolation", (event) => {
        console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sample}`);
      });
    });
  }

  /// A tab with the console at an address such as `#exact=a.b`.
  async page(entry, hash = "") {
    const page = await this.context.newPage();
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") {
        this.complaints.push(message.text());
      }
    });
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("request", (request) => {
      const { host } = new URL(request.url());
      if (host !== `127.0.0.1:${entry.port}`) this.complaints.push(`asked for ${request.url()}`);
    });
    await page.goto(`${entry.url}/${hash}`);
    return page;
  }

  /// The same, once it is connected and its subscriptions are confirmed.
  async tab(entry, hash = "") {
    const page = await this.page(entry, hash);
    await isLive(page);
    return page;
  }

  /// Complaints since the last call, but those that fit `expected`.
  take(expected = /^$/) {
    return this.complaints.splice(0).filter((text) => !expected.test(text));
  }

  async close() {
    await this.browser?.close();
  }
}

/// Resolves when the page is connected and its subscriptions are confirmed.
async function isLive(page) {
  await page.waitForFunction(() => {
    const states = [...document.querySelectorAll(".feed-state")];
    const isOpen = (element) => element.classList.contains("open");
    return isOpen(document.getElementById("state")) && states.every(isOpen);
  }, null, { timeout: WAIT_MS }).catch(async () => {
    const states = await page.locator("#state, .feed-state").allTextContents();
    throw new Error(`not live: ${states.join(" | ")}`);
  });
}

/// What the list shows: position, topic and arguments of each row.
function rows(page) {
  return page.locator("#rows").evaluate((body) => [...body.rows].map((row) => ({
    position: Number(row.cells[0].textContent),
    topic: row.querySelector(".topic").textContent,
    payload: row.querySelector(".payload").textContent,
    id: row.querySelector(".id").textContent,
  })));
}

/// Resolves to the rows when a row shows this, and everything before it is in place.
async function rowsUntil(page, payload) {
  await page.waitForFunction((payload) => {
    return [...document.querySelectorAll("#rows .payload")].some((cell) => cell.textContent === payload);
  }, payload, { timeout: WAIT_MS }).catch(async () => {
    const shown = (await rows(page)).map((row) => row.payload).slice(-20);
    throw new Error(`no row ${payload}; the last are ${shown.join(" ")}`);
  });
  return rows(page);
}

/// Publishes `[n]` for each number to `topicOf(n)`, from a WebSocket of its own in `page`, which it
/// opens as often as it takes. Resolves to the positions, after the last acknowledgement.
function publishNumbers(page, numbers, topics) {
  return page.evaluate(async ({ numbers, topics, timeoutMs }) => {
    const deadline = Date.now() + timeoutMs;
    const attempt = () => new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://${location.host}/ws`, "wamp.2.json");
      const positions = [];
      socket.onclose = () => reject(new Error("closed"));
      socket.onopen = () => socket.send(JSON.stringify([1, "realm1", { roles: { publisher: {} } }]));
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message[0] === 2) {
          numbers.forEach((n, index) => {
            const topic = topics[index % topics.length];
            socket.send(JSON.stringify([16, index + 1, { acknowledge: true }, topic, [n]]));
          });
        } else if (message[0] === 17) {
          positions.push(message[2]);
        } else {
          reject(new Error(data));
        }
        if (positions.length === numbers.length) {
          socket.onclose = null;
          socket.close();
          resolve(positions);
        }
      };
    });
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        // Nothing was published on a socket that never opened.
        if (error.message !== "closed" || Date.now() > deadline) throw error;
      }
    }
  }, { numbers, topics, timeoutMs: WAIT_MS });
}

/// Registers procedures by their URIs, from a WebSocket in `page` that stays open. `says` are the raw
/// messages that answer an invocation: ID is its id, PAYLOAD what it brought. Resolves when all are there.
function serve(page, procedures, realm = "realm1") {
  return page.evaluate(async ({ procedures, realm }) => {
    const { elements } = await import("/console/json.js");
    const uris = Object.keys(procedures);
    const registered = new Map();
    const socket = new WebSocket(`ws://${location.host}/ws`, "wamp.2.json");
    const features = { progressive_call_results: true, call_canceling: true };
    const answer = (text, [, invocation, registration]) => {
      const payload = elements(text).slice(4).map((part) => `,${part}`).join("");
      for (const said of registered.get(registration)) {
        socket.send(said.replace("ID", invocation).replace(",PAYLOAD", () => payload));
      }
    };
    await new Promise((resolve, reject) => {
      socket.onclose = () => reject(new Error("closed"));
      socket.onopen = () => socket.send(JSON.stringify([1, realm, { roles: { callee: { features } } }]));
      socket.onmessage = ({ data }) => {
        const message = JSON.parse(data);
        if (message[0] === 2) {
          uris.forEach((uri, index) => {
            socket.send(JSON.stringify([64, index + 1, procedures[uri].options ?? {}, uri]));
          });
        } else if (message[0] === 65) {
          registered.set(message[2], procedures[uris[message[1] - 1]].says);
          if (registered.size === uris.length) resolve();
        } else if (message[0] === 68) {
          answer(data, message);
        } else if (message[0] !== 69) {
          reject(new Error(data));
        }
      };
    });
    socket.onclose = null;
    window.callees = [...(window.callees ?? []), socket];
  }, { procedures, realm });
}

function range(from, to) {
  return Array.from({ length: to - from }, (_, index) => from + index);
}

/// Payloads and order of `rows` are those of `numbers`, each once.
function assertNumbers(rows, numbers) {
  assert.deepEqual(rows.map((row) => row.payload), numbers.map((n) => `[${n}]`));
  const positions = rows.map((row) => row.position);
  assert.deepEqual(positions, [...new Set(positions)].sort((a, b) => a - b), "positions rise");
}

module.exports = {
  Entry, Guarded, Watch, assertNumbers, isLive, publishNumbers, range, rows, rowsUntil, serve,
};
