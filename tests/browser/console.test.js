// The console in a browser, against nearcast: see ./run.
"use strict";

const assert = require("node:assert/strict");
const http = require("node:http");
const path = require("node:path");
const { after, afterEach, before, test } = require("node:test");
const {
  Entry, Guarded, Watch, assertNumbers, isLive, publishNumbers, range, rows, rowsUntil, serve,
} = require("./support.js");

const { VIXEN_ENTRY, VIXEN_BENCH, DATA_DIR, VIXEN_BROWSER_SHOTS } = process.env;
/// What a browser itself says of an entry that is away or refuses.
const AWAY = /^(WebSocket connection to|Failed to load resource)/;
const STRANGER = new RegExp(`${AWAY.source}|has been blocked by CORS policy|asked for http`);

const entry = new Entry(VIXEN_ENTRY, DATA_DIR);
const watch = new Watch();

before(async () => {
  await entry.start();
  await watch.open();
});

afterEach(async () => {
  for (const page of watch.context.pages()) await page.close();
  assert.deepEqual(watch.take(), [], "no complaint of a page");
});

after(async () => {
  await watch.close();
  await entry.stop();
});

// Whoever ends this ends the entry and the browser as well.
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.once(signal, async () => {
    entry.kill();
    await watch.close().catch(() => null);
    process.exit(1);
  });
}

async function publishByForm(page, topic, text, kwargs = "") {
  await page.fill("#publish-topic", topic);
  await page.fill("#args", text);
  await page.fill("#kwargs", kwargs);
  await page.click("#send");
  const sent = page.locator("#sent.good, #sent.bad");
  await sent.filter({ hasText: /, id |:/ }).waitFor();
  return sent.textContent();
}

/// What the form says in the end, the arguments that it shows, and the parts before them.
async function callByForm(page, procedure, args = "", { kwargs = "", timeout = "" } = {}) {
  await page.fill("#procedure", procedure);
  await page.fill("#call-args", args);
  await page.fill("#call-kwargs", kwargs);
  await page.fill("#call-timeout", timeout);
  await page.click("#do-call");
  return answerOf(page);
}

async function answerOf(page) {
  await page.locator("#called.good, #called.bad").waitFor();
  return {
    said: (await page.textContent("#called")).replace(/ after \d+ ms$/, ""),
    answer: await page.textContent("#answer"),
    parts: await page.locator("#parts li").allTextContents(),
  };
}

/// Scrolls up, as with a wheel, until there is nothing older.
async function scrollToStart(page) {
  await page.hover("#box");
  while (!(await page.locator("#older").isHidden())) {
    const [{ position }] = await rows(page);
    await page.mouse.wheel(0, -100_000);
    await page.waitForFunction((position) => {
      const isAtStart = document.getElementById("older").hidden;
      return isAtStart || document.getElementById("rows").rows[0].position < position;
    }, position);
  }
}

async function picture(page, name) {
  if (VIXEN_BROWSER_SHOTS) await page.screenshot({ path: path.join(VIXEN_BROWSER_SHOTS, `${name}.png`) });
}

test("a first visitor presses Publish and sees the message and what its id says", async () => {
  const page = await watch.tab(entry);
  assert.equal((await rows(page)).length, 0);
  await page.click("#send");
  await page.locator("#sent button.id").waitFor();
  const shown = await rowsUntil(page, '["Hello, world!"]');
  assert.equal(shown.length, 1);
  const [{ position, id, topic }] = shown;
  assert.equal(topic, "com.example.hello");
  assert.equal(await page.textContent("#sent"), `acknowledged at position ${position}, id ${id}`);

  const answer = await page.request.get(`${entry.url}/history?topic=com.example.hello`);
  const stored = JSON.parse(await answer.text());
  assert.equal(stored.id, id);
  await page.click("#rows .id");
  const panel = page.locator("#id-panel");
  assert.equal(await panel.locator(".id-text").textContent(), id);
  const said = await panel.locator("dl").textContent();
  assert.ok(said.includes(stored.time.replace("T", " ").replace("Z", " UTC")), said);
  assert.ok(said.includes("Lane: 0,") && said.includes("Offset: 0,"), said);
  await picture(page, "panel");
  await page.keyboard.press("Escape");
  assert.equal(await panel.isVisible(), false);
});

test("what one tab publishes, another one shows once, as it was written", async () => {
  const topic = "test.tabs";
  const reader = await watch.tab(entry, `#exact=${topic}`);
  const writer = await watch.tab(entry, "#exact=test.other");
  const messages = [
    ["plain", "", '["plain"]'],
    ["<img src=x onerror=alert(1)>", "", '["<img src=x onerror=alert(1)>"]'],
    ["[12345678901234567890, 1e400]", "", "[12345678901234567890, 1e400]"],
    ['["],[", "}{"]', '{"a": {"b": [1]}}', '["],[", "}{"] {"a": {"b": [1]}}'],
    ["last", "", '["last"]'],
  ];
  const said = [];
  for (const [text, kwargs] of messages) said.push(await publishByForm(writer, topic, text, kwargs));
  const shown = await rowsUntil(reader, '["last"]');
  assert.deepEqual(shown.map((row) => row.payload), messages.map(([, , wanted]) => wanted));
  assert.deepEqual(said, shown.map(({ position, id }) => `acknowledged at position ${position}, id ${id}`));
  assert.deepEqual(await rows(writer), []);
  await picture(reader, "reader");
});

test("what cannot be published is told", async () => {
  const page = await watch.tab(entry);
  assert.match(await publishByForm(page, "test.bad", "x", "[1]"), /^keyword arguments: not a JSON object$/);
  assert.match(await publishByForm(page, "test..bad", "x"), /^wamp\.error\.invalid_uri: /);
});

test("after a reload the past is there, back to its start", async () => {
  const topic = "test.past";
  const page = await watch.tab(entry, `#exact=${topic}`);
  await publishNumbers(page, range(0, 350), [topic]);
  assertNumbers(await rowsUntil(page, "[349]"), range(0, 350));
  await page.reload();
  await isLive(page);
  assertNumbers(await rowsUntil(page, "[349]"), range(250, 350));
  await scrollToStart(page);
  assertNumbers(await rows(page), range(0, 350));
  // Someone who reads the past is not carried away by the present.
  const before = await page.locator("#box").evaluate((box) => box.scrollTop);
  await publishNumbers(page, [350], [topic]);
  assertNumbers(await rowsUntil(page, "[350]"), range(0, 351));
  assert.equal(await page.locator("#box").evaluate((box) => box.scrollTop), before);
  await picture(page, "past");
});

test("the past of several subscriptions has no hole", async () => {
  const page = await watch.tab(entry, "#exact=test.rare");
  // One topic is a tenth of the other one.
  const topics = [...Array(9).fill("test.often"), "test.rare"];
  await publishNumbers(page, range(0, 500), topics);
  await page.goto("about:blank");
  await page.goto(`${entry.url}/#exact=test.rare&exact=test.often`);
  await isLive(page);
  const shown = await rowsUntil(page, "[499]");
  assertNumbers(shown, range(500 - shown.length, 500));
  await scrollToStart(page);
  assertNumbers(await rows(page), range(0, 500));
});

test("a subscription that ends gets nothing more, and others go on", async () => {
  const page = await watch.tab(entry, "#exact=test.ends&exact=test.stays");
  await publishNumbers(page, [0, 1], ["test.ends", "test.stays"]);
  await rowsUntil(page, "[1]");
  await page.click('button[aria-label="Unsubscribe exact test.ends"]');
  await page.locator("#feeds li").nth(1).waitFor({ state: "detached" });
  assert.ok(page.url().endsWith("#realm=realm1&exact=test.stays"), page.url());
  await publishNumbers(page, [2, 3], ["test.ends", "test.stays"]);
  assertNumbers(await rowsUntil(page, "[3]"), [0, 1, 3]);
});

test("more than the window holds is let go at the far end, and read again", async () => {
  const topic = "test.window";
  const page = await watch.tab(entry, `#exact=${topic}`);
  await publishNumbers(page, range(0, 3_300), [topic]);
  assertNumbers(await rowsUntil(page, "[3299]"), range(300, 3_300));
  await scrollToStart(page);
  assertNumbers(await rows(page), range(0, 3_000));
  await publishNumbers(page, [3_300], [topic]);
  await page.locator("#newer").filter({ hasText: /^301 newer/ }).click();
  assertNumbers(await rowsUntil(page, "[3300]"), range(3_201, 3_301));
  await publishNumbers(page, [3_301], [topic]);
  assertNumbers(await rowsUntil(page, "[3301]"), range(3_201, 3_302));
});

test("patterns bring their topics, each message once", async () => {
  const page = await watch.tab(entry,
    "#prefix=test.pattern.&wildcard=test..b&exact=test.pattern.*&exact=other.%23");
  const topics = ["test.pattern.a", "test.pattern.a.b", "test.x.b", "test.none", "other", "other.a.b"];
  await publishNumbers(page, [...topics.keys(), 6], [...topics, "test.pattern.a"]);
  const shown = await rowsUntil(page, "[6]");
  assertNumbers(shown, [0, 1, 2, 4, 5, 6]);
  const wanted = [...topics.filter((topic) => topic !== "test.none"), "test.pattern.a"];
  assert.deepEqual(shown.map((row) => row.topic), wanted);
  await page.reload();
  await isLive(page);
  assert.deepEqual(await rowsUntil(page, "[6]"), shown);
});

test("who was disconnected gets what was missed, once", async () => {
  const topic = "test.away";
  const page = await watch.tab(entry, `#exact=${topic}`);
  await publishNumbers(page, range(0, 3), [topic]);
  await rowsUntil(page, "[2]");
  await page.click("#disconnect");
  await page.locator("#state.closed").waitFor();
  await publishNumbers(page, range(3, 200), [topic]);
  await page.click("#connect");
  await isLive(page);
  await publishNumbers(page, range(200, 203), [topic]);
  assertNumbers(await rowsUntil(page, "[202]"), range(0, 203));
});

test("when the entry restarts the console comes back, with no gap and no repeat", async () => {
  const topic = "test.restart";
  const reader = await watch.tab(entry, `#exact=${topic}`);
  const writer = await watch.tab(entry, "#exact=test.other");
  await publishNumbers(writer, range(0, 5), [topic]);
  await rowsUntil(reader, "[4]");
  await entry.stop();
  await reader.locator("#state.failed").filter({ hasText: "trying again" }).waitFor();
  await entry.start();
  // At once, most often before the reader is back.
  await publishNumbers(writer, range(5, 10), [topic]);
  await isLive(reader);
  await publishNumbers(writer, range(10, 15), [topic]);
  assertNumbers(await rowsUntil(reader, "[14]"), range(0, 15));
  assert.deepEqual(watch.take(AWAY), []);
});

test("with a name and a ticket the console signs in, and reads the past as its user", async (t) => {
  const guarded = new Guarded(VIXEN_BENCH, path.dirname(VIXEN_ENTRY), DATA_DIR);
  await guarded.start();
  t.after(() => guarded.stop());
  const page = await watch.page(guarded, "#exact=test.tickets");
  const state = page.locator("#state");
  await state.filter({ hasText: "refused: this realm lets nobody in without a name: sign in with a ticket" }).waitFor();
  await page.click("summary");
  await page.fill("#authid", "jo\u00eb");
  await page.fill("#ticket", "wrong");
  await page.click("#connect");
  await state.filter({ hasText: "refused: authentication denied" }).waitFor();
  await page.fill("#ticket", "geheim-\u2713-secret");
  await page.click("#connect");
  await isLive(page);
  const said = await publishByForm(page, "test.tickets", '["for members"]');
  const [{ position, id }] = await rowsUntil(page, '["for members"]');
  assert.equal(said, `acknowledged at position ${position}, id ${id}`);
  // What is stored is for members as well: connected anew, the list begins with it.
  const reading = page.waitForResponse((answer) => answer.url().includes("/history?"));
  await page.fill("#realm", "other");
  await page.click("#connect");
  await state.filter({ hasText: "refused: no such realm" }).waitFor();
  await page.fill("#realm", "realm1");
  await page.click("#connect");
  assert.equal((await reading).status(), 200);
  await isLive(page);
  assert.deepEqual((await rows(page)).map((row) => row.payload), ['["for members"]']);
  assert.deepEqual(watch.take(AWAY), []);
});

test("a procedure is called with what was typed, and its answer is shown as it came", async () => {
  const page = await watch.tab(entry);
  const callee = await watch.tab(entry, "#exact=test.other");
  await serve(callee, {
    "test.echo": { says: ["[70,ID,{},PAYLOAD]"] },
    "test.parts": { says: [
      '[70,ID,{"progress":true},["one"]]',
      '[70,ID,{"progress":true},["<b>two</b>"]]',
      '[70,ID,{},["three"]]',
    ] },
    "test.broken": { says: ['[8,68,ID,{},"com.example.broken",["<img src=x onerror=alert(1)>"],{"code": 7}]'] },
    "test.silent": { says: [] },
  });
  const typed = '[12345678901234567890, 1e400, "<img src=x onerror=alert(1)>"]';
  const echo = await callByForm(page, "test.echo", typed, { kwargs: '{"a": {"b": [1]}}' });
  assert.deepEqual(echo, { said: "result", answer: `${typed} {"a": {"b": [1]}}`, parts: [] });
  const kwargsOnly = await callByForm(page, "test.echo", "", { kwargs: '{"a": 1}' });
  assert.deepEqual(kwargsOnly, { said: "result", answer: '{"a": 1}', parts: [] });

  const parts = await callByForm(page, "test.parts");
  assert.deepEqual(parts, { said: "result", answer: '["three"]', parts: ["one", "<b>two</b>"].map((one) => `["${one}"]`) });
  await picture(page, "call");
  const broken = await callByForm(page, "test.broken");
  const answer = '["<img src=x onerror=alert(1)>"] {"code": 7}';
  assert.deepEqual(broken, { said: "error com.example.broken", answer, parts: [] });

  const unknown = await callByForm(page, "test.unknown");
  assert.equal(unknown.said, "error wamp.error.no_such_procedure");
  assert.match(unknown.answer, /test\.unknown/);
  const late = await callByForm(page, "test.silent", "", { timeout: "50" });
  assert.equal(late.said, "error wamp.error.timeout");

  // By keys alone; and who waits for too long gives it up.
  await page.fill("#call-timeout", "");
  await page.press("#procedure", "Enter");
  await page.locator("#called").filter({ hasText: "waiting for the result" }).waitFor();
  assert.equal(await page.isDisabled("#do-call"), true);
  await page.click("#give-up");
  assert.equal((await answerOf(page)).said, "error wamp.error.canceled");
  await page.fill("#procedure", "test.echo");
  await page.press("#procedure", "Enter");
  const none = await answerOf(page);
  assert.deepEqual(none, { said: "result", answer: "(no arguments)", parts: [] });
});

test("arguments that are no JSON are told at their field, and nothing is called", async () => {
  const page = await watch.tab(entry);
  const callee = await watch.tab(entry, "#exact=test.other");
  await serve(callee, { "test.echo": { says: ["[70,ID,{},PAYLOAD]"] } });
  const fields = [["#call-args", "[1"], ["#call-args", '{"a": 1}'], ["#call-kwargs", "[1]"], ["#call-kwargs", "{a: 1}"]];
  await page.fill("#procedure", "test.echo");
  for (const [field, text] of fields) {
    await page.fill(field, text);
    await page.click("#do-call");
    const complaint = page.locator(`${field}-bad`);
    await complaint.filter({ hasText: /^not a JSON (list|object), as in / }).waitFor();
    assert.equal(await page.getAttribute(field, "aria-invalid"), "true");
    assert.equal(await page.evaluate(() => `#${document.activeElement.id}`), field);
    assert.equal(await page.textContent("#called"), "");
    await page.fill(field, "");
    assert.equal(await complaint.textContent(), "");
    assert.equal(await page.getAttribute(field, "aria-invalid"), "false");
  }
  const { said, answer } = await callByForm(page, "test.echo", "[1]");
  assert.deepEqual([said, answer], ["result", "[1]"]);
  // What is shown then is of no call before.
  const nothing = async (what) => {
    assert.equal(await page.textContent("#called"), "", what);
    assert.deepEqual([await page.isHidden("#answer"), await page.isHidden("#parts")], [true, true], what);
  };
  await page.fill("#call-args", "[1");
  await page.click("#do-call");
  await nothing("a call that was not made");
  await callByForm(page, "test.echo", "[1]");
  await page.fill("#procedure", "test.other");
  await nothing("another procedure");
});

test("procedures are listed with who serves them and what calls to them take", async () => {
  const page = await watch.tab(entry);
  const callee = await watch.tab(entry, "#exact=test.other");
  const says = ["[70,ID,{},PAYLOAD]"];
  const shared = { "test.list.": { options: { match: "prefix", invoke: "roundrobin" }, says } };
  await serve(callee, { "test.<b>one</b>": { says }, ...shared });
  await serve(callee, shared);
  await serve(callee, { "test.elsewhere": { says } }, "elsewhere");
  const { node } = await (await fetch(`${entry.url}/status`)).json();
  const row = (uri) => page.locator("#procedures tbody tr")
    .filter({ has: page.getByRole("button", { name: uri, exact: true }) });
  const texts = (uri) => row(uri).locator("td").allTextContents();
  const until = async (uri, index, text) => {
    await row(uri).locator("td").nth(index).filter({ hasText: text }).waitFor().catch(async () => {
      throw new Error(`not ${text}: ${await page.locator("#procedures").textContent()}`);
    });
  };
  await until("test.list.", 3, `${node} ×2`);
  assert.deepEqual((await texts("test.list.")).slice(0, 5), ["test.list.", "prefix", "roundrobin", `${node} ×2`, "0"]);
  assert.deepEqual((await texts("test.<b>one</b>")).slice(0, 5), ["test.<b>one</b>", "exact", "single", node, "0"]);
  assert.match(await page.textContent("#procedures-note"), / of realm realm1, as entry /);
  for (let calls = 0; calls < 3; calls += 1) await callByForm(page, "test.list.any", "[1]");
  await until("test.list.", 4, /^3$/);
  const [rate, half, most] = (await texts("test.list.")).slice(5);
  assert.match(rate, /^\d\.\d$/);
  for (const latency of [half, most]) assert.match(latency, /^[\d.]+ (µs|ms|s)$/);
  assert.equal(await row("test.elsewhere").count(), 0);
  await picture(page, "procedures");

  // What has the focus keeps it when counts change.
  await row("test.list.").getByRole("button").focus();
  await page.evaluate(() => { document.activeElement.isMarked = true; });
  await page.request.post(`${entry.url}/call`, { data: { realm: "realm1", procedure: "test.list.any" } });
  await until("test.list.", 4, /^4$/);
  assert.equal(await page.evaluate(() => document.activeElement.isMarked), true);
  await page.keyboard.press("Enter");
  assert.equal(await page.inputValue("#procedure"), "test.list.");
  assert.equal(await page.evaluate(() => document.activeElement.id), "call-args");

  await callee.close();
  await row("test.list.").waitFor({ state: "detached" });
});

test("rates and latencies are of what has been between two looks", async () => {
  const page = await watch.tab(entry);
  const found = await page.evaluate(async () => {
    const { between } = await import("/console/procedures.js");
    const look = (at, ...below) => {
      return { at, calls: below.reduce((sum, [, calls]) => sum + calls, 0), below: new Map(below) };
    };
    const then = look(1_000, [4, 1_000], [2_097_152, 7]);
    return [
      between(then, then),
      between(then, look(11_000, [4, 1_000], [2_097_152, 7])),
      between(then, look(11_000, [4, 1_001], [112, 50], [1_280, 49], [2_097_152, 7])),
      between(then, look(2_000, [4, 3_000], [2_097_152, 28])),
    ];
  });
  assert.deepEqual(found, [
    { rate: "–", half: "–", most: "–" },
    { rate: "0", half: "–", most: "–" },
    { rate: "10.0", half: "112 µs", most: "1.3 ms" },
    { rate: "2021", half: "4 µs", most: "2.1 s" },
  ]);
});

test("pages of other hosts may use the entry when they are listed", async () => {
  const server = http.createServer((_request, response) => {
    response.setHeader("content-type", "text/html");
    response.end("<!doctype html><link rel=icon href=data:,><title>stranger</title>");
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${server.address().port}`;
  const tries = async () => {
    const page = await watch.context.newPage();
    await page.goto(origin);
    const outcome = await page.evaluate(async (entry) => {
      const read = await fetch(`${entry}/history?limit=1`).then((answer) => answer.status, () => "blocked");
      const socket = await new Promise((resolve) => {
        const socket = new WebSocket(`${entry.replace("http", "ws")}/ws`, "wamp.2.json");
        socket.onopen = () => { resolve("open"); socket.close(); };
        socket.onerror = () => resolve("refused");
      });
      return { read, socket };
    }, entry.url);
    await page.close();
    return outcome;
  };
  try {
    assert.deepEqual(await tries(), { read: "blocked", socket: "refused" });
    const metrics = await (await fetch(`${entry.url}/metrics`)).text();
    assert.match(metrics, /^vixen_entry_origins_refused_total 2$/m);
    await entry.stop();
    await entry.start({ VIXEN_WEB_ALLOWED_ORIGINS: origin });
    assert.deepEqual(await tries(), { read: 200, socket: "open" });
  } finally {
    server.close();
  }
  assert.deepEqual(watch.take(STRANGER), []);
});

test("the parts of an id and of JSON texts are told apart", async () => {
  const page = await watch.tab(entry);
  const found = await page.evaluate(async () => {
    const { explainId } = await import("/console/permanent-id.js");
    const { elements, members } = await import("/console/json.js");
    // The second is of 2026-11-21T08:30:59.999Z, counter 3, lane 2, offset 123.
    const rest = ((59_999 * 2 ** 22) + 3 * 64 + 2).toString(36);
    const id = `2611210830${"abcdefghijklm"[rest.length - 1]}${rest}b3f`;
    const { stamp, ...parts } = explainId(id);
    return {
      zero: explainId("2001010000a0a0").time,
      parts: { ...parts, stamp: String(stamp) },
      bad: ["", "x", "2601010000", "2613010000a0a0", "2601010060a0a0", "2601010000a0", "2601010000b01a0",
        "2601010000a0a0a", "2601010000A0a0", `2601010000${id.slice(10, -3).replace(/./, "i")}0a0`]
        .filter((text) => explainId(text) !== null),
      elements: elements(' [36, 1,{"a":"]}\\""},[1,[2]] , {"k":[{}]}]'),
      none: [elements("[]"), elements("[ ]"), [...members("{}")]],
      members: [...members('{"a,b":[1,{"c":2}], "d" : "x:y,z" }')],
    };
  });
  const ms = Date.UTC(2026, 10, 21, 8, 30, 59, 999);
  const stamp = (BigInt(ms - Date.UTC(2020, 0, 1)) << 22n) + BigInt(3 * 64 + 2);
  assert.equal(found.zero, "2020-01-01T00:00:00.000Z");
  const { time, counter, lane, offset, minute, offsetKey } = found.parts;
  assert.deepEqual({ time, counter, lane, offset, minute, offsetKey }, {
    time: "2026-11-21T08:30:59.999Z", counter: 3, lane: 2, offset: 123, minute: "2611210830", offsetKey: "b3f",
  });
  assert.equal(found.parts.stamp, String(stamp));
  assert.deepEqual(found.bad, []);
  assert.deepEqual(found.elements, ["36", "1", '{"a":"]}\\""}', "[1,[2]]", '{"k":[{}]}']);
  assert.deepEqual(found.none, [[], [], []]);
  assert.deepEqual(found.members, [["a,b", '[1,{"c":2}]'], ["d", '"x:y,z"']]);
});
