// A WAMP v2 session over WebSocket (wamp.2.json) that comes back by itself after it was lost.

import { elements } from "./json.js";

const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 5_000;
const PUBLISH = 16;
const SUBSCRIBE = 32;
const UNSUBSCRIBE = 34;
const CALL = 48;
const CANCEL = 49;
/// Why an entry closes the socket of a session that may come back: reasons of the close frame, and
/// of ABORT and GOODBYE where the operator wants these.
const PASSING = new Map([
  ["wamp.close.system_shutdown", "the entry is shutting down"],
  ["wamp.close.timeout", "nothing was heard from this page for too long"],
  ["wamp.error.protocol_violation", "the session did not begin in time"],
  ["vixen.error.trimmed", "what was to come next is not stored any more"],
  ["vixen.error.too_many_failed_logins", "too many failed logins from this address"],
  ["vixen.error.unfinished_input", "too much of what clients send was not whole"],
  ["vixen.error.calls_unread", "answers to calls were left unread for too long"],
  ["vixen.error.registration_lost", "another session has what was registered here"],
  ["wamp.error.authentication_failed", "the procedure that decides who signs in does not answer"],
]);
/// Why an entry lets nobody in for good, where its own words are for those who write clients.
const REFUSED = new Map([
  ["wamp.error.authentication_required", "this realm lets nobody in without a name: sign in with a ticket, under Connection"],
  ["wamp.error.no_matching_auth_method", "no user of this realm has a ticket, by which alone one signs in here"],
]);

/// What the entry answered with ERROR, or why there was no answer.
export class WampError extends Error {
  constructor(uri, message, isLost = false) {
    super(message);
    this.uri = uri;
    /// No answer came: whether it was done is not known.
    this.isLost = isLost;
    /// Raw texts of its arguments, if it had any.
    this.payload = null;
  }
}

export class Session {
  /// `on.state(kind, text)` tells people how it stands, kind is open, waiting, failed or closed;
  /// `on.open()` and `on.lost()` frame the time in which requests can be made; `on.unreachable()`
  /// may resolve to a reason, where the browser tells none.
  constructor(url, on) {
    this.url = url;
    this.on = on;
    this.login = null;
    this.socket = null;
    this.isOpen = false;
    this.retryMs = RETRY_MS_MIN;
    this.timer = 0;
    this.nextRequest = 1;
    this.waiting = new Map();
    this.handlers = new Map();
  }

  /// Connects as `login`: realm, and authid and ticket or empty texts. A session of before ends.
  connect(login) {
    this.drop();
    this.login = login;
    this.retryMs = RETRY_MS_MIN;
    this.dial();
  }

  /// The answer of GET /history to this login.
  history(query) {
    const { authid, ticket } = this.login ?? { authid: "" };
    const headers = authid === "" ? {} : { authorization: `Basic ${base64(`${authid}:${ticket}`)}` };
    // Without `omit` a browser would ask for a name and a password by itself.
    return fetch(`history?${query}`, { cache: "no-store", credentials: "omit", headers });
  }

  /// Says goodbye and stays away.
  disconnect() {
    if (this.isOpen) this.send([6, {}, "wamp.close.close_realm"]);
    this.drop();
    this.login = null;
    this.on.state("closed", "disconnected");
  }

  /// Tries now, if it was waiting to.
  hurry() {
    if (this.timer !== 0) this.dial();
  }

  dial() {
    clearTimeout(this.timer);
    this.timer = 0;
    this.on.state("waiting", "connecting");
    const mine = new WebSocket(this.url, "wamp.2.json");
    this.socket = mine;
    // Why the session ends, once it is told.
    let ending = null;
    let wasAccepted = false;
    mine.onopen = () => {
      wasAccepted = true;
      this.send(hello(this.login));
    };
    mine.onmessage = (frame) => { ending = this.onFrame(frame.data) ?? ending; };
    mine.onclose = ({ code, reason }) => {
      this.drop();
      // The entry has closed what may come back.
      const mayComeBack = code === 1001 || code === 1013;
      const text = mayComeBack ? PASSING.get(reason) ?? (reason && `closed by the entry: ${reason}`) : "";
      this.retry(ending ?? (text ? { text, isFinal: false } : null), wasAccepted);
    };
  }

  retry(ending, wasAccepted) {
    if (ending?.isFinal) {
      this.on.state("failed", `refused: ${ending.text}`);
      return;
    }
    // Not all clients of an entry that restarts come back in the same instant.
    this.timer = setTimeout(() => this.dial(), this.retryMs * (0.5 + Math.random() / 2));
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MS_MAX);
    const tell = (text) => this.on.state("failed", `${text}, trying again`);
    tell(ending?.text ?? (wasAccepted ? "connection lost" : "no connection"));
    if (!wasAccepted) {
      const attempt = this.timer;
      this.on.unreachable().then((reason) => {
        if (reason !== null && this.timer === attempt) tell(reason);
      });
    }
  }

  /// Forgets the socket, and all that waits for it.
  drop() {
    clearTimeout(this.timer);
    this.timer = 0;
    if (this.socket) {
      this.socket.onopen = this.socket.onmessage = this.socket.onclose = null;
      this.socket.close();
      this.socket = null;
    }
    const waiting = [...this.waiting.values()];
    this.waiting.clear();
    this.handlers.clear();
    this.nextRequest = 1;
    const wasOpen = this.isOpen;
    this.isOpen = false;
    for (const { reject } of waiting) reject(new WampError("", "the connection was lost", true));
    if (wasOpen) this.on.lost();
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }

  /// Returns why the session ends, if it does.
  onFrame(text) {
    const message = JSON.parse(text);
    switch (message[0]) {
      case 2:
        this.retryMs = RETRY_MS_MIN;
        this.isOpen = true;
        this.on.state("open", `connected to ${this.login.realm}`);
        this.on.open();
        return null;
      case 3:
        return { text: REFUSED.get(message[2]) ?? reasonOf(message), isFinal: !isPassing(message[2]) };
      case 4:
        // CHALLENGE: ticket is the only method that was offered.
        this.send([5, this.login.ticket, {}]);
        return null;
      case 6:
        if (this.isOpen && this.socket.readyState === WebSocket.OPEN) {
          this.send([6, {}, "wamp.close.goodbye_and_out"]);
        }
        return { text: reasonOf(message), isFinal: false };
      case 8:
        this.settle(message[2], ({ reject }) => {
          const error = new WampError(message[4], String(message[5]?.[0] ?? message[4]));
          if (message.length > 5) error.payload = payloadOf(elements(text), 5);
          reject(error);
        });
        return null;
      case 17:
      case 35:
        this.settle(message[1], ({ resolve }) => resolve(message[2]));
        return null;
      case 33:
        this.settle(message[1], ({ resolve, onEvent }) => {
          this.handlers.set(message[2], onEvent);
          resolve(message[2]);
        });
        return null;
      case 36:
        this.handlers.get(message[1])?.(eventOf(text, message));
        return null;
      case 50:
        if (message[2].progress === true) {
          this.waiting.get(message[1])?.onEvent(payloadOf(elements(text), 3));
        } else {
          this.settle(message[1], ({ resolve }) => resolve(payloadOf(elements(text), 3)));
        }
        return null;
      default:
        return null;
    }
  }

  settle(request, how) {
    const waiting = this.waiting.get(request);
    this.waiting.delete(request);
    if (waiting) how(waiting);
  }

  /// Sends `frame(request)` and waits for its answer.
  request(frame, onEvent = null) {
    if (!this.isOpen) return Promise.reject(new WampError("", "not connected"));
    const request = this.nextRequest++;
    return new Promise((resolve, reject) => {
      this.waiting.set(request, { resolve, reject, onEvent });
      this.socket.send(frame(request));
    });
  }

  /// Resolves to the subscription's id. Its events go to `onEvent`, the first one after that.
  subscribe(topic, options, onEvent) {
    return this.request((request) => JSON.stringify([SUBSCRIBE, request, options, topic]), onEvent);
  }

  unsubscribe(subscription) {
    this.handlers.delete(subscription);
    return this.request((request) => JSON.stringify([UNSUBSCRIBE, request, subscription]));
  }

  /// Publishes raw JSON texts, `kwargs` may be empty. Resolves to the position, or at once to null
  /// when no acknowledgement is wanted.
  publish(topic, args, kwargs, acknowledge) {
    // With exclude_me, one tab alone would not see its own messages.
    const options = JSON.stringify({ acknowledge, exclude_me: false });
    const frame = (request) =>
      `[${PUBLISH},${request},${options},${JSON.stringify(topic)},${args}${kwargs && `,${kwargs}`}]`;
    if (acknowledge) return this.request(frame);
    if (!this.isOpen) return Promise.reject(new WampError("", "not connected"));
    this.socket.send(frame(this.nextRequest++));
    return Promise.resolve(null);
  }

  /// Calls with raw JSON texts, which may be empty. `answer` resolves to those of the result, parts that
  /// come before it go to `onPart`. `cancel()` gives the call up, and `answer` says so.
  call(procedure, args, kwargs, options, onPart) {
    const payload = kwargs === "" ? args && `,${args}` : `,${args || "[]"},${kwargs}`;
    const wanted = JSON.stringify({ ...options, receive_progress: true });
    let number = null;
    const answer = this.request((request) => {
      number = request;
      return `[${CALL},${request},${wanted},${JSON.stringify(procedure)}${payload}]`;
    }, onPart);
    const mine = this.waiting.get(number);
    const cancel = () => {
      // A session of later counts from 1 again.
      if (mine && this.waiting.get(number) === mine) this.send([CANCEL, number, { mode: "killnowait" }]);
    };
    return { answer, cancel };
  }
}

function base64(text) {
  return btoa(String.fromCharCode(...new TextEncoder().encode(text)));
}

function hello({ realm, authid }) {
  const roles = {
    publisher: { features: { publisher_exclusion: true } },
    subscriber: { features: { pattern_based_subscription: true } },
    caller: { features: { progressive_call_results: true, call_canceling: true, call_timeout: true } },
  };
  const login = authid === "" ? {} : { authmethods: ["ticket"], authid };
  return [1, realm, { roles, ...login }];
}

/// Whether an ABORT for this reason is not for good.
function isPassing(uri) {
  // A violation is final: that HELLO was late is only told by the close frame.
  return uri !== "wamp.error.protocol_violation" && PASSING.has(uri);
}

/// Of ABORT and GOODBYE.
function reasonOf(message) {
  return message[1].message || message[2];
}

function eventOf(text, [, , position, details]) {
  const raw = elements(text);
  return {
    position,
    id: details.id ?? "",
    time: details.time ?? null,
    topic: details.topic ?? null,
    ...payloadOf(raw, 4),
  };
}

/// Arguments and keyword arguments, from there on.
function payloadOf(raw, from) {
  return { args: raw[from] ?? "", kwargs: raw[from + 1] ?? "" };
}
