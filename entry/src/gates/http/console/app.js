// The console: forms, feeds and the list, held together.

import { CallForm } from "./call.js";
import { Feed, messageOf } from "./feed.js";
import { showIdPanel } from "./id-panel.js";
import { isObject, typedJson } from "./json.js";
import { MessageList } from "./list.js";
import { MessageLog } from "./messages.js";
import { explainId } from "./permanent-id.js";
import { ProcedureList } from "./procedures.js";
import { Session } from "./session.js";

const MESSAGES_MAX = 3_000;
const MATCHES = ["exact", "prefix", "wildcard"];
const DEMO_TOPIC = "com.example.hello";
/// A place is known before a replica can give the message out.
const LOOK_UPS_MAX = 20;
const LOOK_UP_MS = 100;

const el = (id) => document.getElementById(id);
const log = new MessageLog(MESSAGES_MAX);
let feeds = [];
let isReading = false;

function show(output, kind, ...content) {
  output.className = kind;
  output.replaceChildren(...content);
}

const endpoint = new URL("ws", document.baseURI);
endpoint.protocol = location.protocol === "https:" ? "wss:" : "ws:";

const session = new Session(endpoint.href, {
  state(kind, text) {
    show(el("state"), kind, text);
    el("send").disabled = kind !== "open";
    callForm.refresh();
    el("disconnect").hidden = session.login === null;
    el("connect").textContent = session.login === null ? "Connect" : "Reconnect";
  },
  open() {
    for (const feed of feeds) feed.begin();
    procedures.begin(session.login.realm);
  },
  lost() {
    for (const feed of feeds) feed.onLost();
    procedures.end();
  },
  async unreachable() {
    try {
      const answer = await fetch("readyz", { cache: "no-store" });
      return answer.ok ? null : (await answer.text()).trim();
    } catch {
      return "the entry does not answer";
    }
  },
});

const list = new MessageList({
  box: el("box"),
  rows: el("rows"),
  onOlder: readOlder,
  onMessage: (message) => showIdPanel(el("id-panel"), session.login?.realm ?? realm(), message),
});

const callForm = new CallForm(el("call"), session);

const procedures = new ProcedureList({
  table: el("procedures"),
  note: el("procedures-note"),
  onProcedure: (uri) => callForm.choose(uri),
});

function realm() {
  return el("realm").value.trim();
}

// Messages

function take(messages) {
  for (const message of messages) {
    message.time ??= explainId(message.id)?.time ?? null;
    log.add(message);
  }
  // Someone who reads the past keeps it in sight.
  if (list.isFollowing) log.forgetOldest(feeds);
  else log.forgetNewest();
  refresh();
}

function refresh() {
  log.lookAt(feeds);
  list.schedule(log, () => {
    const { length } = log.shown();
    el("empty").hidden = length > 0;
    el("table").hidden = length === 0;
    el("count").textContent = length === 0 ? "" : `${length} shown`;
    el("older").hidden = !feeds.some(canReadOlder);
    el("newer").hidden = log.newer === 0;
    el("newer").textContent = `${log.newer} newer: go to the newest`;
  });
}

function canReadOlder(feed) {
  return feed.low !== null && !feed.isAtStart;
}

/// Reads further into the past where the least is known of it.
async function readOlder() {
  const open = feeds.filter(canReadOlder);
  const horizon = Math.max(...open.map((feed) => feed.low));
  const wanted = open.filter((feed) => feed.low === horizon);
  if (isReading || wanted.length === 0) return;
  isReading = true;
  el("older").textContent = "Reading older messages";
  show(el("trouble"), "");
  try {
    await Promise.all(wanted.map((feed) => feed.readOlder()));
  } catch (error) {
    show(el("trouble"), "bad", `Older messages: ${error.message}`);
  }
  isReading = false;
  el("older").textContent = "Show older messages";
  refresh();
}

/// Forgets what is shown, and begins with the newest messages.
function goToNewest() {
  log.clear();
  list.toEnd();
  for (const feed of feeds) feed.beginAnew();
  refresh();
}

function clear() {
  const { newer } = log;
  const end = Math.max(log.newest(), log.behind) + 1;
  log.clear();
  for (const feed of feeds) feed.forgetBelow(end);
  list.toEnd();
  if (newer > 0) goToNewest();
  refresh();
}

// Subscriptions

function addFeed(match, topic) {
  const has = (feed) => feed.match === match && feed.topic === topic;
  if (feeds.some(has)) {
    show(el("listening"), "bad", "This subscription is there already");
    return;
  }
  show(el("listening"), "");
  const feed = new Feed(realm(), match, topic, { session, take, changed: refreshFeeds });
  feeds.push(feed);
  remember();
  refreshFeeds();
  if (session.isOpen) feed.begin();
}

function removeFeed(feed) {
  feed.end();
  feeds = feeds.filter((other) => other !== feed);
  remember();
  refreshFeeds();
  refresh();
}

function refreshFeeds() {
  el("feeds").replaceChildren(...feeds.map((feed) => {
    const item = document.createElement("li");
    const topic = document.createElement("span");
    topic.className = "topic";
    topic.textContent = feed.topic === "" ? "(every topic)" : feed.topic;
    const match = document.createElement("span");
    match.className = "match";
    match.textContent = feed.match;
    const text = document.createElement("span");
    text.className = `feed-state ${feed.kind}`;
    text.textContent = feed.text;
    const end = document.createElement("button");
    end.type = "button";
    end.className = "plain";
    end.textContent = "Unsubscribe";
    end.setAttribute("aria-label", `Unsubscribe ${feed.match} ${feed.topic}`);
    end.addEventListener("click", () => removeFeed(feed));
    text.prepend(match, " ");
    item.append(topic, end, text);
    return item;
  }));
  el("no-feeds").hidden = feeds.length > 0;
}

// The address keeps realm and subscriptions: it can be reloaded, kept and sent on.

function remember() {
  const state = new URLSearchParams({ realm: realm() });
  for (const { match, topic } of feeds) state.append(match, topic);
  history.replaceState(null, "", `#${state}`);
}

function recall() {
  const state = new URLSearchParams(location.hash.slice(1));
  if (state.get("realm")) el("realm").value = state.get("realm");
  const wanted = [...state].filter(([match]) => MATCHES.includes(match));
  // Who comes for the first time sees something when pressing Publish.
  if (!state.has("realm") && wanted.length === 0) wanted.push(["exact", DEMO_TOPIC]);
  for (const [match, topic] of wanted) addFeed(match, topic);
}

function connect() {
  const isOtherRealm = feeds.some((feed) => feed.realm !== realm());
  if (isOtherRealm) {
    log.clear();
    for (const feed of feeds) {
      feed.realm = realm();
      feed.reset();
    }
    refresh();
  }
  remember();
  session.connect({ realm: realm(), authid: el("authid").value.trim(), ticket: el("ticket").value });
}

// Publishing

async function publish() {
  const typed = el("args").value;
  const args = typedJson(typed, Array.isArray) ?? JSON.stringify([typed]);
  const typedKwargs = el("kwargs").value.trim();
  const kwargs = typedKwargs === "" ? "" : typedJson(typedKwargs, isObject);
  const topic = el("publish-topic").value.trim();
  const sent = el("sent");
  if (kwargs === null) {
    show(sent, "bad", "keyword arguments: not a JSON object");
    return;
  }
  show(sent, "", "sent, waiting for the acknowledgement");
  try {
    const position = await session.publish(topic, args, kwargs, el("acknowledge").checked);
    if (position === null) {
      show(sent, "", "sent; no acknowledgement was asked for");
      return;
    }
    show(sent, "good", `acknowledged at position ${position}`);
    showIdOf(sent, topic, position);
  } catch (error) {
    const lost = "the connection was lost: not known whether it was published";
    show(sent, "bad", error.isLost ? lost : [error.uri, error.message].filter(Boolean).join(": "));
  }
}

/// Adds the permanent id to what is said of a position: the answer to PUBLISH has none.
async function showIdOf(output, topic, position) {
  const said = output.firstChild;
  const query = new URLSearchParams({ realm: realm(), topic, from: position, limit: 1 });
  for (let tries = 0; tries < LOOK_UPS_MAX; tries += 1) {
    let message = log.byPosition.get(position);
    if (!message) {
      const answer = await session.history(query).catch(() => null);
      const line = answer?.ok ? (await answer.text()).trim() : "";
      const found = line === "" ? null : messageOf(line);
      if (found?.position === position) message = found;
    }
    // Another message may have been published meanwhile.
    if (output.firstChild !== said) return;
    if (message) {
      const id = document.createElement("button");
      id.type = "button";
      id.className = "id";
      id.textContent = message.id;
      id.addEventListener("click", () => list.onMessage(message));
      output.append(", id ", id);
      return;
    }
    await new Promise((resume) => setTimeout(resume, LOOK_UP_MS));
  }
}

// Forms

function onSubmit(form, act) {
  el(form).addEventListener("submit", (event) => {
    event.preventDefault();
    act();
  });
}

onSubmit("where", connect);
onSubmit("subscribe", () => addFeed(el("match").value, el("topic").value.trim()));
onSubmit("publish", publish);
el("disconnect").addEventListener("click", () => session.disconnect());
el("older").addEventListener("click", readOlder);
el("newer").addEventListener("click", goToNewest);
el("clear").addEventListener("click", clear);
el("close-panel").addEventListener("click", () => el("id-panel").close());
for (const area of [el("args"), el("call-args")]) {
  area.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      area.form.requestSubmit();
    }
  });
}
el("match").addEventListener("change", () => {
  el("topic").required = el("match").value === "exact";
});
addEventListener("online", () => session.hurry());

recall();
connect();
refresh();
