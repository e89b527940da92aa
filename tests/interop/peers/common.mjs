// What the peers in JavaScript share: commands in, answers and events out, a line of JSON each. See
// ../peer.py for the commands.
import { createInterface } from 'node:readline';
import { writeSync } from 'node:fs';

/** The library has no way to do it. */
export class NotInLibrary extends Error {}

/** An error with the URI that the router gave it. */
export class Refused extends Error {
  constructor(uri, message) {
    super(message);
    this.uri = uri;
  }
}

/** What stands for bytes and large integers in JSON becomes such. */
export function decode(value) {
  if (Array.isArray(value)) return value.map(decode);
  if (value === null || typeof value !== 'object') return value;
  const keys = Object.keys(value);
  if (keys.length === 1 && keys[0] === '$bytes') return Buffer.from(value.$bytes, 'hex');
  if (keys.length === 1 && keys[0] === '$int') return BigInt(value.$int);
  return Object.fromEntries(keys.map((key) => [key, decode(value[key])]));
}

/** The other way round. */
export function encode(value) {
  if (typeof value === 'bigint') return { $int: value.toString() };
  if (value === undefined || value === null || typeof value !== 'object') return value;
  if (ArrayBuffer.isView(value)) {
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    return { $bytes: bytes.toString('hex') };
  }
  if (typeof value.toJSON === 'function' || value.constructor?.name === 'BigNumber') {
    return { $int: value.toString() };
  }
  if (Array.isArray(value)) return value.map(encode);
  return Object.fromEntries(Object.keys(value).map((key) => [key, encode(value[key])]));
}

/** Of the details of an event, what all scenarios know; `null` where it does not say. */
export function factsOf(details) {
  const names = ['publication', 'topic', 'publisher', 'publisher_authid', 'publisher_authrole'];
  return encode(Object.fromEntries(names.map((name) => [name, details[name] ?? null])));
}

/** Large integers throw in some encoders, and there where nothing catches it. */
export function checkValues(isEncoderWithout, values) {
  if (isEncoderWithout && JSON.stringify(values).includes('"$int"')) {
    throw new NotInLibrary('the encoder throws at large integers');
  }
}

/** Writes all of a line, also where the pipe is full. */
export function say(facts) {
  let rest = Buffer.from(JSON.stringify(facts) + '\n');
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writeSync(1, rest));
    } catch (error) {
      if (error.code !== 'EAGAIN') throw error;
    }
  }
}

/** Runs commands until the end of the input. `commands` answer with a promise of what is ok. */
export function serve(commands) {
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => process.exit(0));
  lines.on('line', async (line) => {
    const { id, do: name, ...rest } = JSON.parse(line);
    try {
      say({ id, ok: encode((await commands[name]({ id, ...rest })) ?? {}) });
    } catch (error) {
      if (error instanceof NotInLibrary) say({ id, not_in_library: error.message });
      else if (error instanceof Refused) say({ id, error: error.uri, message: error.message });
      else say({ id, failure: String(error?.stack ?? JSON.stringify(error)) });
    }
  });
}
