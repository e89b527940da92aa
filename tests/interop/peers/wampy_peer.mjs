// Sessions of wampy.js.
import { createRequire } from 'node:module';
import { NotInLibrary, Refused, decode, encode, say, serve } from './common.mjs';

const require = createRequire(process.env.INTEROP_JS + '/');
const { Wampy } = require('wampy');
const { JsonSerializer } = require('wampy/JsonSerializer.js');
const { MsgpackSerializer } = require('wampy/MsgpackSerializer.js');
const { CborSerializer } = require('wampy/CborSerializer.js');
const wampcra = require('wampy/wampcra.js');
const cryptosign = require('wampy/cryptosign.js');
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

function answerTo({ method, secret }) {
  switch (method) {
    case 'anonymous':
      return {};
    case 'ticket':
      return { onChallenge: () => secret };
    case 'wampcra':
      return { onChallenge: wampcra.sign(secret) };
    case 'cryptosign': {
      const seed = Buffer.from(secret, 'hex');
      const { publicKey } = nacl.sign.keyPair.fromSeed(seed);
      return {
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
    if (error?.name === 'UriError' || error?.name === 'InvalidParamError') {
      throw new NotInLibrary('refuses it itself');
    }
    throw error;
  }
}

async function open({ name, url, realm, serializer, auth }) {
  const session = new Wampy(url, {
    ws: WebSocket,
    realm,
    serializer: new SERIALIZERS[serializer](),
    autoReconnect: false,
    uriValidation: 'loose',
    authmethods: [auth.method],
    authid: auth.authid,
    ...answerTo(auth),
  });
  const welcome = await refusable(session.connect());
  sessions.set(name, session);
  const { authid, authrole, authmethod } = welcome;
  return { session: session.getSessionId(), authid, authrole, authmethod };
}

async function subscribe({ id, session, topic, options }) {
  const onEvent = ({ details, argsList, argsDict }) => {
    const { publication, topic, publisher, publisher_authid, publisher_authrole } = details;
    const facts = { publication, topic, publisher, publisher_authid, publisher_authrole };
    say({ event: id, args: encode(argsList ?? []), kwargs: encode(argsDict ?? {}), ...facts });
  };
  const to = sessions.get(session);
  const asked = to.subscribe(topic, onEvent, taken(options, SUBSCRIBE_OPTIONS));
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
  if (rest.exclude_me === false) throw new NotInLibrary('leaves exclude_me=false out');
  const payload = { argsList: decode(args), argsDict: decode(kwargs) };
  const done = sessions.get(session).publish(topic, payload, taken(rest, PUBLISH_OPTIONS));
  const { publicationId } = await refusable(done);
  return { publication: publicationId };
}

async function close({ session }) {
  await sessions.get(session).disconnect();
  // The reason of GOODBYE is not told.
  return { reason: null };
}

serve({ open, subscribe, unsubscribe, publish, close });
