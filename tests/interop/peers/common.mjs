// What the peers in JavaScript share: commands in, answers and events out, a line of JSON each. See
// ../peer.py for the commands.
import { createInterface } from 'node:readline';
import { writeSync } from 'node:fs';

/** The library has no way to do it. */
export class NotInLibrary extends Error {}

/** An error with the URI that the router gave it, and its arguments where the library tells them. */
export class Refused extends Error {
  constructor(uri, message, args, kwargs) {
    super(message);
    Object.assign(this, { uri, args, kwargs });
  }
}

/** Calls that callees are to answer, by numbers of this process. */
export class Invocations {
  #calls = new Map();

  /** Has `facts` told, and is settled by `answer` or `fail`; `progress` takes args and kwargs. */
  begin(event, facts, progress) {
    const invocation = this.#calls.size + 1;
    const settled = new Promise((resolve, reject) => {
      this.#calls.set(invocation, { resolve, reject, progress });
    });
    say({ event, invocation, ...facts });
    return settled;
  }

  of(invocation) {
    return this.#calls.get(invocation);
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

const EVENT_FACTS = ['publication', 'topic', 'publisher', 'publisher_authid', 'publisher_authrole'];
export const INVOCATION_FACTS = ['procedure', 'caller', 'caller_authid', 'caller_authrole'];
export const RESULT_FACTS = ['callee', 'callee_authid', 'callee_authrole'];

/** Of some details, what all scenarios know; `null` where it does not say. */
export function factsOf(details, names = EVENT_FACTS) {
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

/** `ok` of what is done, or what went wrong. */
export async function outcomeOf(done) {
  try {
    return { ok: encode((await done()) ?? {}) };
  } catch (error) {
    if (error instanceof NotInLibrary) return { not_in_library: error.message };
    if (error instanceof Refused) {
      const { uri, message, args, kwargs } = error;
      return { error: uri, message, args: encode(args), kwargs: encode(kwargs) };
    }
    return { failure: String(error?.stack ?? JSON.stringify(error)) };
  }
}

/** Runs commands until the end of the input. `commands` answer with a promise of what is ok. */
export function serve(commands) {
  const lines = createInterface({ input: process.stdin });
  lines.on('close', () => process.exit(0));
  lines.on('line', async (line) => {
    const { id, do: name, ...rest } = JSON.parse(line);
    say({ id, ...(await outcomeOf(() => commands[name]({ id, ...rest }))) });
  });
}
