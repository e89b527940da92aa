// The list of messages: newest last, older ones at the top when it is scrolled there.

const TEXT_CHARS_MAX = 1_000;
/// So near to an end counts as being there.
const NEAR_PX = 40;
/// Older messages are asked for so long before the top is reached.
const AHEAD_PX = 300;

export class MessageList {
  /// `rows` is the body of a table within `box`, which scrolls. `onOlder()` asks for older messages,
  /// `onMessage(message)` is told which id was pressed.
  constructor({ box, rows, onOlder, onMessage }) {
    Object.assign(this, { box, rows, onOlder, onMessage });
    this.isFollowing = true;
    this.frame = 0;
    this.scrolledTo = 0;
    box.addEventListener("scroll", () => this.onScroll(), { passive: true });
    new ResizeObserver(() => this.follow()).observe(box);
  }

  onScroll() {
    const { scrollTop, scrollHeight, clientHeight } = this.box;
    const isUp = scrollTop < this.scrolledTo;
    this.scrolledTo = scrollTop;
    this.isFollowing = scrollHeight - clientHeight - scrollTop < NEAR_PX;
    if (isUp && scrollTop < AHEAD_PX) this.onOlder();
  }

  follow() {
    if (this.isFollowing) this.box.scrollTop = this.box.scrollHeight;
    this.scrolledTo = this.box.scrollTop;
  }

  /// Goes to the newest message and stays there.
  toEnd() {
    this.isFollowing = true;
    this.follow();
  }

  /// Shows the log, with the next frame.
  schedule(log, done) {
    if (this.frame !== 0) return;
    this.frame = requestAnimationFrame(() => {
      this.frame = 0;
      this.render(log);
      done();
    });
  }

  render(log) {
    const anchor = this.anchor();
    let row = this.rows.firstElementChild;
    for (const position of log.shown()) {
      while (row && row.position < position) {
        const gone = row;
        row = row.nextElementSibling;
        gone.remove();
      }
      if (row?.position === position) row = row.nextElementSibling;
      else this.rows.insertBefore(this.rowOf(log.byPosition.get(position)), row);
    }
    while (row) {
      const gone = row;
      row = row.nextElementSibling;
      gone.remove();
    }
    if (this.isFollowing) this.follow();
    else this.keep(anchor);
  }

  /// The first row in sight, and where it is.
  anchor() {
    if (this.isFollowing) return null;
    const top = this.box.getBoundingClientRect().top;
    const row = [...this.rows.children].find((row) => row.getBoundingClientRect().bottom > top);
    return row ? { row, y: row.getBoundingClientRect().top } : null;
  }

  /// What was in sight stays where it was, whatever came above.
  keep(anchor) {
    if (anchor?.row.isConnected) {
      this.box.scrollTop += anchor.row.getBoundingClientRect().top - anchor.y;
    }
    this.scrolledTo = this.box.scrollTop;
  }

  rowOf(message) {
    const row = document.createElement("tr");
    row.position = message.position;
    row.dataset.position = message.position;
    const cell = (kind, content) => {
      const cell = document.createElement("td");
      cell.className = kind;
      cell.append(content);
      row.append(cell);
    };
    const id = document.createElement("button");
    id.type = "button";
    id.className = "id";
    id.textContent = message.id;
    id.title = "What this id says";
    id.addEventListener("click", () => this.onMessage(message));
    cell("number", String(message.position));
    cell("time", timeText(message.time));
    cell("topic", message.topic);
    cell("payload", shortened(payloadText(message)));
    cell("", id);
    return row;
  }
}

/// `2026-11-21 13:05:07.123`, UTC.
export function timeText(time) {
  return (time ?? "").replace("T", " ").replace("Z", "");
}

/// As it was published: arguments, then keyword arguments.
export function payloadText({ args, kwargs }) {
  return kwargs === "" ? args : `${args === "[]" ? "" : `${args} `}${kwargs}`;
}

function shortened(text) {
  if (text.length <= TEXT_CHARS_MAX) return text;
  return `${text.slice(0, TEXT_CHARS_MAX)}… (${text.length} characters, all behind the id)`;
}
