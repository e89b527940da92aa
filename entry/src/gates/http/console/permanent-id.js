// Permanent ids: what their text says.
//
// YYMMDDHHmm of the minute, key(rest of the stamp), key(offset); key(n) is a letter for the number
// of digits (a = 1) and n in base 36. A stamp is 42 bits of milliseconds since 2020, 16 bits of
// counter and 6 bits of lane; the rest is what the minute leaves of it.

const EPOCH_MS = Date.UTC(2020, 0, 1);
const MINUTE_MS = 60_000;
const LANES = 64;
const BELOW_MS = 2 ** 22;
/// Two-digit years from here on are 20YY, below it 21YY.
const CENTURY_PIVOT = 20;

/// The parts of a permanent id; null when the text is none.
export function explainId(text) {
  const digits = /^\d{10}/.exec(text)?.[0];
  const rest = digits && takeKey(text, 10);
  const offset = rest && takeKey(text, rest.end);
  if (!offset || offset.end !== text.length) return null;
  const [year, month, day, hour, minute] = digits.match(/../g).map(Number);
  const century = year >= CENTURY_PIVOT ? 2000 : 2100;
  const minuteMs = Date.UTC(century + year, month - 1, day, hour, minute);
  const msInMinute = Math.floor(rest.value / BELOW_MS);
  // There is no month 13, and no 30 February.
  const isReal = new Date(minuteMs).toISOString().replace(/\D/g, "").slice(2, 12) === digits;
  if (!isReal || msInMinute >= MINUTE_MS) return null;
  const below = rest.value % BELOW_MS;
  const ms = minuteMs + msInMinute;
  return {
    minute: digits,
    restKey: text.slice(10, rest.end),
    offsetKey: text.slice(rest.end),
    time: new Date(ms).toISOString(),
    msInMinute,
    counter: Math.floor(below / LANES),
    lane: below % LANES,
    stamp: (BigInt(ms - EPOCH_MS) << 22n) + BigInt(below),
    offset: offset.value,
    /// The same for all messages of a segment.
    segment: text.slice(0, rest.end),
  };
}

/// The key at `at`: its number, and where it ends; null when there is none.
function takeKey(text, at) {
  const length = (text.codePointAt(at) ?? 0) - "a".codePointAt(0) + 1;
  if (length < 1 || length > 13) return null;
  const digits = text.slice(at + 1, at + 1 + length);
  if (digits.length < length || !/^(0|[1-9a-z][0-9a-z]*)$/.test(digits)) return null;
  return { value: Number.parseInt(digits, 36), end: at + 1 + length };
}
