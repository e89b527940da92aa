// What the list shows: messages by position, each once, with no hole.
//
// Each feed (one subscription) has read the past down to its own `low`. A message below the `low`
// of any feed is kept and not shown, as what that feed has in between is not known yet:
//
//     feed A   . . . . a a a a a     low of A ----v
//     feed B   b . . . . b . . b b   low of B -v
//     shown                a b a a…            from the higher one: the horizon
//
// The log is a window: beyond `max` messages it forgets those that are farthest from where the
// reader is. What it forgets at the old end can be read again; when it forgets at the new end,
// `behind` says so until the feeds are begun anew.

export class MessageLog {
  constructor(max) {
    this.max = max;
    this.byPosition = new Map();
    /// Positions of all kept messages, rising.
    this.positions = [];
    /// Every message at this position or above is shown.
    this.horizon = 0;
    /// Newest position that was let go, 0 if none was.
    this.behind = 0;
    /// How many messages were let go at the new end.
    this.newer = 0;
  }

  /// Takes a message; false when it is here already, or beyond what is kept.
  add(message) {
    const { position } = message;
    if (this.byPosition.has(position)) return false;
    if (this.behind > 0 && position > this.newest()) {
      this.behind = Math.max(this.behind, position);
      this.newer += 1;
      return false;
    }
    this.byPosition.set(position, message);
    this.positions.splice(this.rank(position), 0, position);
    return true;
  }

  /// Number of kept positions below this one.
  rank(position) {
    let [low, high] = [0, this.positions.length];
    // Most come at the end.
    if (high === 0 || this.positions[high - 1] < position) return high;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.positions[middle] < position) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  newest() {
    return this.positions.at(-1) ?? 0;
  }

  /// Positions that are shown, rising.
  shown() {
    return this.positions.slice(this.rank(this.horizon));
  }

  /// The horizon is the highest `low` of the feeds that have more.
  lookAt(feeds) {
    const lows = feeds.filter((feed) => feed.low !== null && !feed.isAtStart).map((feed) => feed.low);
    this.horizon = Math.max(0, ...lows);
  }

  /// Forgets the oldest beyond `max`, and lets the feeds know from where they have to read again.
  forgetOldest(feeds) {
    const surplus = this.positions.length - this.max;
    if (surplus <= 0) return;
    for (const position of this.positions.splice(0, surplus)) this.byPosition.delete(position);
    for (const feed of feeds) feed.forgetBelow(this.positions[0]);
    this.lookAt(feeds);
  }

  /// Forgets the newest beyond `max`.
  forgetNewest() {
    const surplus = this.positions.length - this.max;
    if (surplus <= 0) return;
    this.behind = Math.max(this.behind, this.newest());
    this.newer += surplus;
    for (const position of this.positions.splice(this.max)) this.byPosition.delete(position);
  }

  clear() {
    this.byPosition.clear();
    this.positions = [];
    this.horizon = 0;
    this.behind = 0;
    this.newer = 0;
  }
}
