// Sessions of wampy.js.
import { createRequire } from 'node:module';
import { NotInLibrary, Refused, checkValues, decode, encode, factsOf, say, serve } from './common.mjs';

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
];
// Other options are left out by wampy without a word, but for attributes of this form.
const CUSTOM_OPTION = /^_[a-z0-9_]{3,}$/;

// Of what is not sent to the router at all.
const OWN_ERRORS = ['UriError', 'InvalidParamError', 'NonExistUnsubscribeError'];

const sessions = new Map();
const subscriptions = new Map();

function taken(options, names) {
  for (const name of Object.keys(options)) {
    if (!names.includes(name) && !CUSTOM_OPTION.test(name)) {
      throw new NotInLibrary(`leaves the option ${name} out`);
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
      throw new NotInLibrary(`no ${method}`);
  }
}

async function refusable(promise) {
  try {
    return await promise;
  } catch (error) {
    if (error?.errorUri) {
      throw new Refused(error.errorUri, String(error.argsList ?? error.details?.message));
    }
    if (OWN_ERRORS.includes(error?.name)) throw new NotInLibrary(`itself: ${error.message}`);
    throw error;
  }
}

async function open({ name, url, realm, serializer, auth }) {
  const wampy = new Wampy(url, {
    ws: WebSocket,
    realm,
    serializer: new SERIALIZERS[serializer](),
    autoReconnect: false,
    uriValidation: 'loose',
    ...answerTo(auth),
  });
  const welcome = await refusable(wampy.connect());
  sessions.set(name, { wampy, serializer });
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

async function publish({ session, topic, args, kwargs, options }) {
  const { acknowledge, ...rest } = options;
  if (acknowledge !== true) throw new NotInLibrary('asks for an acknowledgement always');
  const { serializer, wampy } = sessions.get(session);
  checkValues(serializer === 'json', { args, kwargs });
  if (rest.exclude_me === false) throw new NotInLibrary('leaves exclude_me=false out');
  const payload = { argsList: decode(args), argsDict: decode(kwargs) };
  // Its binary encoders make a float of a number beyond 32 bits, and an integer of a BigInt.
  for (const list of ['exclude', 'eligible']) {
    if (serializer !== 'json' && rest[list]) rest[list] = rest[list].map(BigInt);
  }
  const done = wampy.publish(topic, payload, taken(rest, PUBLISH_OPTIONS));
  const { publicationId } = await refusable(done);
  return { publication: publicationId };
}

async function close({ session }) {
  await sessions.get(session).wampy.disconnect();
  // The reason of GOODBYE is not told.
  return { reason: null };
}

serve({ open, subscribe, unsubscribe, publish, close });
