// Sessions of wampy.js.
import { createRequire } from 'node:module';
import {
  INVOCATION_FACTS,
  Invocations,
  NotInLibrary,
  RESULT_FACTS,
  Refused,
  checkValues,
  decode,
  encode,
  factsOf,
  outcomeOf,
  say,
  serve,
} from './common.mjs';

const root = process.env.INTEROP_JS;
// By their files: the package's own names are looked up beside this one.
const part = (path) => import(`${root}/wampy/dist/esm/${path}.js`);
const { Wampy } = await part('wampy');
const { JsonSerializer } = await part('serializers/json-serializer');
const { MsgpackSerializer } = await part('serializers/msgpack-serializer');
const { CborSerializer } = await part('serializers/cbor-serializer');
const wampcra = await part('auth/wampcra/wampy-cra');
const cryptosign = await part('auth/cryptosign/wampy-cryptosign');
const require = createRequire(`${root}/`);
const nacl = require('tweetnacl');
const WebSocket = require('ws');

const SERIALIZERS = { json: JsonSerializer, msgpack: MsgpackSerializer, cbor: CborSerializer };
const PPT_OPTIONS = ['ppt_scheme', 'ppt_serializer', 'ppt_cipher', 'ppt_keyid'];
const SUBSCRIBE_OPTIONS = ['match', 'get_retained'];
const PUBLISH_OPTIONS = [
  'exclude',
  'exclude_authid',
  'exclude_authrole',
  'eligible',
  'eligible_authid',
  'eligible_authrole',
  'exclude_me',
  'disclose_me',
  ...PPT_OPTIONS,
];
const REGISTER_OPTIONS = ['match', 'invoke'];
const CALL_OPTIONS = ['timeout', 'disclose_me', 'progress', ...PPT_OPTIONS];
// Other options are left out by wampy without a word, but for attributes of this form.
const CUSTOM_OPTION = /^_[a-z0-9_]{3,}$/;

// Of what is not sent to the router at all.
const OWN_ERRORS = new Map([
  ['UriError', 'refuses the URI itself'],
  ['InvalidParamError', 'refuses the option itself'],
  ['NonExistUnsubscribeError', 'knows by itself what is subscribed'],
  ['NonExistRPCUnregistrationError', 'knows by itself what is registered'],
]);

const sessions = new Map();
const subscriptions = new Map();
const registrations = new Map();
const calls = new Map();
const invocations = new Invocations();

function taken(options, names) {
  for (const name of Object.keys(options)) {
    if (!names.includes(name) && !CUSTOM_OPTION.test(name)) {
      throw new NotInLibrary(`leaves the option \`${name}\` out`);
    }
  }
  return options;
}

function answerTo({ method, authid, secret }) {
  const names = { authmethods: [method], authid };
  switch (method) {
    case 'anonymous':
      return {};
    case 'ticket':
      return { ...names, onChallenge: () => secret };
    case 'wampcra':
      return { ...names, onChallenge: wampcra.sign(secret) };
    case 'cryptosign': {
      const seed = Buffer.from(secret, 'hex');
      const { publicKey } = nacl.sign.keyPair.fromSeed(seed);
      return {
        ...names,
        onChallenge: cryptosign.sign(secret),
        authextra: { pubkey: Buffer.from(publicKey).toString('hex') },
      };
    }
    default:
      throw new NotInLibrary(`has no \`${method}\``);
  }
}

async function refusable(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error?.errorUri) {
      const { argsList, argsDict, details } = error;
      const message = String(argsList ?? details?.message);
      throw new Refused(error.errorUri, message, argsList ?? [], argsDict ?? {});
    }
    const why = OWN_ERRORS.get(error?.name);
    if (why) throw new NotInLibrary(why);
    throw error;
  }
}

async function open({ name, url, realm, serializer, auth, announces = [] }) {
  let onClose;
  const left = new Promise((leave) => {
    onClose = leave;
  });
  const wampy = new Wampy(url, {
    ws: WebSocket,
    realm,
    serializer: new SERIALIZERS[serializer](),
    payloadSerializers: { json: new JsonSerializer(), cbor: new CborSerializer() },
    autoReconnect: false,
    uriValidation: 'loose',
    onClose,
    ...answerTo(auth),
  });
  // It has no option for that.
  for (const feature of announces) wampy._wamp_features.roles.callee.features[feature] = true;
  const welcome = await refusable(wampy.connect());
  sessions.set(name, { wampy, serializer, left });
  const { authid, authrole, authmethod } = welcome;
  return { session: wampy.getSessionId(), authid, authrole, authmethod };
}

async function subscribe({ id, session, topic, options }) {
  const onEvent = ({ details, argsList, argsDict }) => {
    const [args, kwargs] = [encode(argsList ?? []), encode(argsDict ?? {})];
    // The publication id is not told, but vixen's details have the same number.
    const publication = encode(details.position ?? null);
    say({ event: id, args, kwargs, ...factsOf(details), publication });
  };
  const { wampy: to } = sessions.get(session);
  // With options, even none, it does not find the subscription again when it is to end.
  const given = Object.keys(options).length > 0 ? taken(options, SUBSCRIBE_OPTIONS) : undefined;
  const asked = to.subscribe(topic, onEvent, given);
  const { subscriptionId, subscriptionKey } = await refusable(asked);
  subscriptions.set(id, { to, subscriptionKey });
  return { subscription: subscriptionId };
}

async function unsubscribe({ subscription }) {
  const { to, subscriptionKey } = subscriptions.get(subscription);
  await refusable(to.unsubscribe(subscriptionKey));
}

/** What is packed into bytes cannot go by its JSON. */
function checkPacking(serializer, { ppt_serializer: packs }) {
  if (serializer === 'json' && packs === 'cbor') {
    throw new NotInLibrary('its JSON does not know the form that WAMP gives to bytes');
  }
}

async function publish({ session, topic, args, kwargs, options }) {
  const { acknowledge, ...rest } = options;
  checkPacking(sessions.get(session).serializer, options);
  if (acknowledge !== true) throw new NotInLibrary('asks for an acknowledgement always');
  const { serializer, wampy } = sessions.get(session);
  checkValues(serializer === 'json', { args, kwargs });
  if (rest.exclude_me === false) throw new NotInLibrary('leaves `exclude_me=false` out');
  const payload = { argsList: decode(args), argsDict: decode(kwargs) };
  // Its binary encoders make a float of a number beyond 32 bits, and an integer of a BigInt.
  for (const list of ['exclude', 'eligible']) {
    if (serializer !== 'json' && rest[list]) rest[list] = rest[list].map(BigInt);
  }
  const done = wampy.publish(topic, payload, taken(rest, PUBLISH_OPTIONS));
  const { publicationId } = await refusable(done);
  return { publication: publicationId };
}

/** Its binary encoders make a float of an id, and an integer of a BigInt. */
function withIds(serializer, value) {
  if (serializer === 'json') return value;
  if (Array.isArray(value)) return value.map((item) => withIds(serializer, item));
  return Number.isInteger(value) && Math.abs(value) >= 2 ** 32 ? BigInt(value) : value;
}

function parts({ argsList, argsDict }) {
  return { args: encode(argsList ?? []), kwargs: encode(argsDict ?? {}) };
}

async function register({ id, session, procedure, options, answer }) {
  const { wampy: of } = sessions.get(session);
  const onCall = ({ details, result_handler: give, ...payload }) => {
    if (answer !== null) return { argsList: decode(answer) };
    const facts = { ...parts(payload), ...factsOf(details, INVOCATION_FACTS) };
    const progress = (argsList, argsDict) => {
      give({ options: { progress: true }, argsList, argsDict });
    };
    return invocations.begin(id, facts, progress);
  };
  const asked = of.register(procedure, onCall, taken(options, REGISTER_OPTIONS));
  const { registrationId } = await refusable(asked);
  registrations.set(id, { of, procedure });
  return { registration: encode(registrationId) };
}

async function unregister({ registration }) {
  const { of, procedure } = registrations.get(registration);
  await refusable(of.unregister(procedure));
}

async function give({ invocation, args, kwargs, options: { progress, ...options } }) {
  const { resolve, progress: give } = invocations.of(invocation);
  const [argsList, argsDict] = [decode(args), decode(kwargs)];
  if (progress) give(argsList, argsDict);
  else resolve({ argsList, argsDict, options: taken(options, PPT_OPTIONS) });
}

async function fail({ invocation, error, args, kwargs }) {
  invocations.of(invocation).reject({ error, argsList: decode(args), argsDict: decode(kwargs) });
}

async function call({ id, session, procedure, args, kwargs, options }) {
  const { serializer, wampy: by } = sessions.get(session);
  checkValues(serializer === 'json', { args, kwargs });
  checkPacking(serializer, options);
  const { receive_progress: isProgressive, ...rest } = options;
  const given = taken(rest, CALL_OPTIONS);
  if (isProgressive) given.progress_callback = (part) => say({ event: id, ...parts(part) });
  const payload = {
    argsList: withIds(procedure.startsWith('wamp.') ? serializer : 'json', decode(args)),
    argsDict: decode(kwargs),
  };
  let made;
  if (given.progress) {
    const { result, sendData } = by.progressiveCall(procedure, payload, given);
    made = result;
    calls.set(id, { by, sendData });
  } else {
    made = by.call(procedure, payload, given);
    calls.set(id, { by, request: by.getOpStatus().reqId });
  }
  outcomeOf(() => resultOf(made)).then((outcome) => say({ event: id, outcome }));
}

async function resultOf(made) {
  const { details, ...result } = await refusable(made);
  return { ...parts(result), ...factsOf(details, RESULT_FACTS) };
}

async function cancel({ call: id, options }) {
  const { by, request } = calls.get(id);
  by.cancel(request, options);
}

async function more({ call: id, args, kwargs, options }) {
  const payload = { argsList: decode(args), argsDict: decode(kwargs) };
  calls.get(id).sendData(payload, options);
}

async function ended({ session }) {
  await sessions.get(session).left;
  return { reason: null };
}

async function close({ session }) {
  await sessions.get(session).wampy.disconnect();
  // The reason of GOODBYE is not told.
  return { reason: null };
}

serve({
  open,
  subscribe,
  unsubscribe,
  publish,
  register,
  unregister,
  yield: give,
  fail,
  call,
  cancel,
  more,
  ended,
  close,
});
