// The procedures of a realm, from /status: who serves them, and what calls to them take.
//
// The entry counts from its start on. What has been lately follows from two looks at the counts:
//
//     look  . . . . . . |<---- WINDOW_MS ---->| now
//                       calls, latencies of now less those of then

const LOOK_MS = 2_000;
/// A little more than what the page says, so that a look is as old.
const WINDOW_MS = 11_000;
const ABSENT = "–";

export class ProcedureList {
  /// `table` gets a row for each procedure, `note` what else there is to say. `onProcedure(uri)` is told
  /// which one was pressed.
  constructor({ table, note, onProcedure }) {
    Object.assign(this, { table, note, onProcedure });
    this.body = table.tBodies[0];
    this.headings = [...table.tHead.rows[0].cells].map((cell) => cell.textContent);
    this.attempt = 0;
    this.timer = 0;
    this.forget(null);
  }

  /// Counts of another life of an entry, or of another entry, have nothing to do with these.
  forget(owner) {
    this.owner = owner;
    /// Looks at each registration, the newest last.
    this.looks = new Map();
  }

  /// Shows those of a realm, again and again.
  begin(realm) {
    this.end();
    this.realm = realm;
    this.forget(null);
    this.turn(this.attempt);
  }

  end() {
    this.attempt += 1;
    clearTimeout(this.timer);
  }

  async turn(attempt) {
    // Who does not see it need not have it read.
    const isOver = document.hidden ? false : await this.read(attempt);
    if (!isOver && attempt === this.attempt) this.timer = setTimeout(() => this.turn(attempt), LOOK_MS);
  }

  /// Returns whether there is nothing to read, now and later.
  async read(attempt) {
    try {
      const answer = await fetch("status", { cache: "no-store" });
      const page = answer.ok ? await answer.json() : null;
      if (attempt !== this.attempt) return true;
      if (page !== null) {
        this.take(page, performance.now());
        return false;
      }
      this.tell("bad", `The status page is not to be had at this address (${answer.status}).`);
      return answer.status < 500;
    } catch {
      // The session will notice if the entry is away.
      return false;
    }
  }

  tell(kind, text) {
    if (this.note.textContent !== text) this.note.textContent = text;
    this.note.className = kind;
  }

  /// Takes a status page that came at `now`, in ms.
  take(page, now) {
    if (this.owner !== page.owner) this.forget(page.owner);
    const { total, listed } = page.registrations;
    const seen = new Map();
    const shown = listed.filter(({ realm }) => realm === this.realm);
    for (const { id, calls, latency } of shown) {
      const before = (this.looks.get(id) ?? []).filter((look) => look.at >= now - WINDOW_MS);
      seen.set(id, [...before, { at: now, calls, below: new Map(latency?.below_us) }]);
    }
    this.looks = seen;
    this.show(shown.sort((a, b) => (a.uri < b.uri ? -1 : Number(a.uri > b.uri)) || a.id - b.id));
    const count = shown.length === 0 ? "None" : shown.length;
    const most = `${count} of realm ${this.realm}, as entry ${page.node} knows them.`;
    const rest = ` All realms have ${total}: only the ${listed.length} oldest are looked at.`;
    this.tell("", total > listed.length ? most + rest : most);
  }

  /// Rows stay where they are, so that what has the focus keeps it.
  show(listed) {
    const rows = new Map([...this.body.rows].map((row) => [row.registration, row]));
    let next = this.body.firstElementChild;
    for (const registration of listed) {
      const row = rows.get(registration.id) ?? this.rowOf(registration);
      rows.delete(registration.id);
      if (row === next) next = next.nextElementSibling;
      else this.body.insertBefore(row, next);
      this.fill(row, registration);
    }
    for (const row of rows.values()) row.remove();
    this.table.hidden = listed.length === 0;
  }

  rowOf({ id, uri }) {
    const row = document.createElement("tr");
    row.registration = id;
    for (const [index, heading] of this.headings.entries()) {
      const cell = document.createElement("td");
      // For narrow screens, which show no headings.
      cell.dataset.heading = heading;
      cell.className = ["topic", "", "", "callees"][index] ?? "number";
      row.append(cell);
    }
    const button = document.createElement("button");
    button.type = "button";
    button.className = "id";
    button.textContent = uri === "" ? "(every procedure)" : uri;
    button.title = "Put it into the form";
    button.addEventListener("click", () => this.onProcedure(uri));
    row.cells[0].append(button);
    return row;
  }

  fill(row, { id, match, invoke, callees, callees_total: total, calls }) {
    const looks = this.looks.get(id);
    const { rate, half, most } = between(looks[0], looks.at(-1));
    const texts = [match, invoke, calleesText(callees, total), String(calls), rate, half, most];
    for (const [index, text] of texts.entries()) {
      const cell = row.cells[index + 1];
      if (cell.textContent !== text) cell.textContent = text;
    }
  }
}

/// `E1 ×2, E3, and 5 more`.
function calleesText(callees, total) {
  const byEntry = new Map();
  for (const { entry } of callees) {
    const name = entry ?? "(unknown)";
    byEntry.set(name, (byEntry.get(name) ?? 0) + 1);
  }
  const texts = [...byEntry].map(([name, count]) => (count === 1 ? name : `${name} ×${count}`));
  if (total > callees.length) texts.push(`and ${total - callees.length} more`);
  return texts.join(", ");
}

/// What has been between two looks, as texts.
export function between(then, now) {
  const seconds = (now.at - then.at) / 1000;
  if (seconds === 0) return { rate: ABSENT, half: ABSENT, most: ABSENT };
  const calls = now.calls - then.calls;
  const spans = [...now.below].map(([us, count]) => [us, count - (then.below.get(us) ?? 0)]);
  const rate = calls / seconds;
  return {
    rate: rate === 0 || rate >= 100 ? String(Math.round(rate)) : rate.toFixed(1),
    half: calls === 0 ? ABSENT : timeText(reached(spans, calls * 0.5)),
    most: calls === 0 ? ABSENT : timeText(reached(spans, calls * 0.99)),
  };
}

/// The end of the span in which so many calls are reached.
function reached(spans, wanted) {
  let counted = 0;
  return spans.find(([, count]) => (counted += count) >= wanted)?.[0];
}

function timeText(us) {
  const [unit, size] = [["s", 1_000_000], ["ms", 1_000]].find(([, size]) => us >= size) ?? ["µs", 1];
  const value = us / size;
  return `${value < 10 ? Number(value.toFixed(1)) : Math.round(value)} ${unit}`;
}
