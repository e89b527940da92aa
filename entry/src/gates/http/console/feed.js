// One subscription: the past from GET /history, the present from SUBSCRIBE, joined without a gap.
//
//     low                    high
//     |<-- known and kept -->|<-- SUBSCRIBE with after = high
//
// The newest stored messages are read first; the subscription begins right after the last of them.
// After a reconnect it begins after the last one seen.

import { members } from "./json.js";

/// Messages of one read of the past.
const PAGE_MESSAGES = 100;
/// There is no going on after the last message seen.
const LOST = ["vixen.error.trimmed", "vixen.error.beyond_end", "vixen.error.not_of_this_order"];

export class Feed {
  /// `take(messages)` gets what comes, oldest first; `changed()` is called when `text` changed.
  constructor(realm, match, topic, { session, take, changed }) {
    Object.assign(this, { realm, match, topic, session, take, changed });
    this.reset();
    /// The id of the subscription, or null, once it is known.
    this.subscribed = Promise.resolve(null);
    this.kind = "waiting";
    this.text = "waiting for the connection";
    /// Each beginning has its number: what an older one still waits for does not count.
    this.attempt = 0;
  }

  /// Nothing is known, neither of the past nor of the present.
  reset() {
    /// All messages from here to `high` are known; null when there is none, or none is known.
    this.low = null;
    /// Where the subscription goes on, and the permanent id there: in another order it is unknown.
    this.high = null;
    this.highId = null;
    /// There is nothing below `low`, or nothing that can be read.
    this.isAtStart = false;
  }

  tell(kind, text) {
    this.kind = kind;
    this.text = text;
    this.changed();
  }

  /// Begins, or goes on: whenever a session opens.
  async begin() {
    const attempt = ++this.attempt;
    const isOver = () => attempt !== this.attempt;
    let note = "";
    if (this.high === null) {
      this.tell("waiting", "reading what is stored");
      try {
        const page = await this.page(null);
        if (isOver()) return;
        this.takePage(page);
        this.high = page.at(-1)?.position ?? 0;
        this.highId = page.at(-1)?.id ?? null;
      } catch (error) {
        if (isOver()) return;
        note = `, without what is stored: ${error.message}`;
      }
    }
    this.tell("waiting", "subscribing");
    try {
      await this.subscribe(isOver);
      if (!isOver()) this.tell(note ? "failed" : "open", `live${note}`);
    } catch (error) {
      if (!isOver() && !error.isLost) this.tell("failed", error.message);
    }
  }

  async subscribe(isOver) {
    const options = this.match === "exact" ? {} : { match: this.match };
    const begin = (options) => {
      const onEvent = (message) => isOver() || this.onEvent(message);
      const answer = this.session.subscribe(this.topic, options, onEvent);
      this.subscribed = answer.catch(() => null);
      return answer;
    };
    try {
      const after = this.highId ?? this.high;
      await begin(after === null ? options : { ...options, after });
    } catch (error) {
      if (!LOST.includes(error.uri) || isOver()) throw error;
      // Retention has dropped what followed, or the order is another one: go on with what there is.
      this.reset();
      await begin(options);
    }
  }

  onEvent(message) {
    message.topic ??= this.topic;
    if (message.position > (this.high ?? 0)) {
      this.high = message.position;
      this.highId = message.id || null;
    }
    this.low ??= message.position;
    this.take([message]);
  }

  /// The session is gone; what is known stays known.
  onLost() {
    this.attempt += 1;
    this.subscribed = Promise.resolve(null);
    this.tell("waiting", "waiting for the connection");
  }

  /// Ends the subscription; resolves when the entry has confirmed it, or cannot any more.
  async end() {
    this.attempt += 1;
    const subscription = await this.subscribed;
    this.subscribed = Promise.resolve(null);
    if (subscription === null || !this.session.isOpen) return;
    await this.session.unsubscribe(subscription).catch(() => null);
  }

  /// Forgets all, and begins with the newest messages.
  async beginAnew() {
    await this.end();
    this.reset();
    if (this.session.isOpen) await this.begin();
  }

  /// Reads one page further into the past.
  async readOlder() {
    const attempt = this.attempt;
    const page = await this.page(this.low);
    if (attempt === this.attempt) this.takePage(page);
  }

  takePage(page) {
    this.isAtStart = page.isLast;
    this.low = page[0]?.position ?? this.low;
    if (page.length > 0) this.take(page);
  }

  /// Messages below this position are no longer kept.
  forgetBelow(position) {
    if (this.low === null || this.low >= position) return;
    this.low = position;
    this.isAtStart = false;
  }

  /// Up to `PAGE_MESSAGES` messages before a position, or the newest, rising; `isLast` when there
  /// are no older ones.
  async page(before) {
    const query = new URLSearchParams({
      realm: this.realm, topic: this.topic, match: this.match,
      direction: "backward", limit: String(PAGE_MESSAGES),
    });
    if (before !== null) query.set("before", String(before));
    const answer = await this.session.history(query);
    const text = await answer.text();
    // Retention drops the oldest days: below them there is nothing to read.
    if (answer.status === 410) return Object.assign([], { isLast: true });
    if (!answer.ok) throw new Error(refusal(text) ?? `${answer.status} ${answer.statusText}`);
    const lines = text.split("\n").filter((line) => line !== "");
    const error = lines.length > 0 ? refusal(lines.at(-1)) : null;
    if (error !== null && lines.length === 1) throw new Error(error);
    if (error !== null) lines.pop();
    const isLast = error === null && lines.length < PAGE_MESSAGES;
    return Object.assign(lines.reverse().map(messageOf), { isLast });
  }
}

/// The message of an error object, null for other texts.
function refusal(text) {
  try {
    const { error, message } = JSON.parse(text);
    return error === undefined ? null : message ?? error;
  } catch {
    return null;
  }
}

/// A line of /history, with its payload as it was published.
export function messageOf(line) {
  const { position, id, time, topic, malformed } = JSON.parse(line);
  const raw = members(line);
  const args = malformed ? "(not JSON)" : raw.get("args") ?? "";
  return { position, id, time, topic, args, kwargs: raw.get("kwargs") ?? "" };
}
