//! Each method from HELLO to WELCOME. Signatures are those of Autobahn|Python 24.4.2 for the same
//! challenges, and of the vectors in the specification.

use super::*;
use crate::auth::Method;

const TICKET: &str = r#"{"authmethods":["ticket"],"authid":"joe"}"#;
const CRA: &str = r#"{"authmethods":["wampcra"],"authid":"peter"}"#;
const SALTED: &str = r#"{"authmethods":["wampcra"],"authid":"salted"}"#;
const SCRAM: &str = r#"{"authmethods":["scram"],"authid":"anna@example.com",
    "authextra":{"nonce":"MTIzNDU2Nzg5MGFiY2RlZg=="}}"#;
const SCRAM_PROOF: &str = "4tBzKaVC+aFsMKId/IbOg2HmjYiPsTsdLNpbe8dzH2k=";

#[test]
fn a_ticket_is_compared() {
    let realms = realms_of(FULL);
    let (extra, _) = challenged(hello(&realms, "full", TICKET));
    assert!(extra.is_empty());
    let identity = log_in(&realms, TICKET, "secret-of-joe").expect("right");
    assert_eq!((&*identity.realm, &*identity.authid), ("full", "joe"));
    assert_eq!((&*identity.authrole, identity.authmethod), ("user", Method::Ticket));
    assert!(login::authextra(&identity).is_empty());
    for wrong in ["", "secret-of-jo", "secret-of-joe ", "Secret-of-joe", "secret-of-peter", "ß"] {
        assert_eq!(log_in(&realms, TICKET, wrong), Err(Refusal::Denied), "{wrong}");
    }
    let huge = "secret-of-joe".repeat(100_000);
    assert_eq!(log_in(&realms, TICKET, &huge), Err(Refusal::Denied));
}

#[test]
fn the_challenge_of_wampcra_has_the_fields_of_the_specification() {
    let realms = realms_of(FULL);
    let (extra, _) = challenged(hello(&realms, "full", CRA));
    assert_eq!(extra.keys().collect::<Vec<_>>(), ["challenge"]);
    let challenge = extra["challenge"].as_str().expect("a text");
    let wanted = r#"{"authid":"peter","authmethod":"wampcra","authprovider":"static","authrole":"user","nonce":"AAECAwQFBgcICQoLDA0ODxAR","session":3251278072152162,"timestamp":"2014-06-22T16:36:25.448Z"}"#;
    assert_eq!(dict(challenge), dict(wanted));
    let (extra, _) = challenged(hello(&realms, "full", SALTED));
    assert_eq!(extra["salt"], "salt123");
    assert_eq!(extra["iterations"], 100);
    assert_eq!(extra["keylen"], 16);
}

#[test]
fn the_signatures_of_autobahn_pass_wampcra() {
    let realms = realms_of(FULL);
    let identity = log_in(&realms, CRA, CRA_SIGNATURE).expect("right");
    assert_eq!((&*identity.authid, identity.authmethod), ("peter", Method::WampCra));
    let identity = log_in(&realms, SALTED, SALTED_SIGNATURE).expect("right");
    assert_eq!(&*identity.authid, "salted");
    let no_padding = CRA_SIGNATURE.trim_end_matches('=');
    for wrong in ["", no_padding, SALTED_SIGNATURE, "secret-of-peter", "ä"] {
        assert_eq!(log_in(&realms, CRA, wrong), Err(Refusal::Denied), "{wrong}");
    }
}

const CRA_SIGNATURE: &str = "lJbLCHUNeKTGrjTOo0UaDc+TUHYIZnbvFSV3p956+fg=";
const SALTED_SIGNATURE: &str = "/GxpAqt1sgaLTb7nqbrnsE24pUl920C1yLm4dRDGOlQ=";

#[test]
fn a_signature_of_wampcra_is_good_for_one_session_time_and_nonce() {
    let realms = realms_of(FULL);
    let details = dict(CRA);
    let log_in = |session, nonce: &Nonce, now| {
        let (_, pending) = challenged(hello_with(&realms, "full", &details, session, nonce, now));
        authenticate(&realms, pending, CRA_SIGNATURE, &Map::new()).is_ok()
    };
    assert!(log_in(SESSION, &nonce(), NOW));
    assert!(!log_in(SessionId(1), &nonce(), NOW));
    assert!(!log_in(SESSION, &Nonce([7; 32]), NOW));
    assert!(!log_in(SESSION, &nonce(), NOW.plus_millis(1)));
}

#[test]
fn autobahn_and_the_server_prove_each_other_by_scram() {
    let realms = realms_of(FULL);
    let (extra, _) = challenged(hello(&realms, "full", SCRAM));
    let wanted = r#"{"nonce":"MTIzNDU2Nzg5MGFiY2RlZg==AAECAwQFBgcICQoLDA0ODxAR",
        "salt":"99VMIt2lsXgCdmAc0AWQmw==","kdf":"argon2id-13","iterations":4096,"memory":512}"#;
    assert_eq!(extra, dict(wanted));
    let identity = log_in(&realms, SCRAM, SCRAM_PROOF).expect("right");
    assert_eq!((&*identity.authid, identity.authmethod), ("anna@example.com", Method::Scram));
    let signature = "W6czlBUrajCj5KhqSGdgg933ejJgXN3XbodXP63qnOs=";
    let authextra = login::authextra(&identity);
    assert_eq!(authextra["scram_server_signature"], signature);
    assert_eq!(authextra["verifier"], signature);
    let identity = log_in(&realms, &SCRAM.replace("scram", "wamp-scram"), SCRAM_PROOF);
    assert_eq!(identity.expect("right").authmethod, Method::WampScram);
    let others_nonce = SCRAM.replace("MTIz", "MTIy");
    assert_eq!(log_in(&realms, &others_nonce, SCRAM_PROOF), Err(Refusal::Denied));
    for wrong in
        ["", "4tBz", "4tBzKaVC+aFsMKId/IbOg2HmjYiPsTsdLNpbe8dzH2k", "AAAA".repeat(11).as_str()]
    {
        assert_eq!(log_in(&realms, SCRAM, wrong), Err(Refusal::Denied), "{wrong}");
    }
}

#[test]
fn what_scram_answers_must_agree_with_the_challenge() {
    let realms = realms_of(FULL);
    let nonce = "MTIzNDU2Nzg5MGFiY2RlZg==AAECAwQFBgcICQoLDA0ODxAR";
    let table = [
        ("{}".to_owned(), None),
        (format!(r#"{{"nonce":"{nonce}","channel_binding":null,"cbind_data":null}}"#), None),
        (r#"{"nonce":null,"other":[7]}"#.to_owned(), None),
        (r#"{"nonce":"MTIzNDU2"}"#.to_owned(), Some("denied")),
        (r#"{"nonce":7}"#.to_owned(), Some("malformed")),
        (r#"{"channel_binding":"tls-unique"}"#.to_owned(), Some("channel_binding")),
        (r#"{"cbind_data":"AAAA"}"#.to_owned(), Some("channel_binding")),
        (r#"{"cbind_data":{}}"#.to_owned(), Some("malformed")),
    ];
    for (extra, wanted) in table {
        let (_, pending) = challenged(hello(&realms, "full", SCRAM));
        let got = authenticate(&realms, pending, SCRAM_PROOF, &dict(&extra));
        assert_eq!(got.err().map(Refusal::label), wanted, "{extra}");
    }
}

/// The vectors of the specification without channel binding: public key, challenge and signature.
const SIGNED: [(&str, &str, &str); 2] = [
    (
        "1adfc8bfe1d35616e64dffbd900096f23b066f914c8c2ffbb66f6075b96e116d",
        "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
        "b32675b221f08593213737bef8240e7c15228b07028e19595294678c90d11c0c\
         ae80a357331bfc5cc9fb71081464e6e75013517c2cf067ad566a6b7b728e5d03",
    ),
    (
        "6ed32739ff04a6074044ff0b0e3bfc7c856bc9d5f1d25efc57363bda0af3a8b0",
        "b26c1f87c13fc1da14997f1b5a71995dff8fbe0a62fae8473c7bdbd05bfb607d",
        "d4209ad10d5aff6bfbc009d7e924795de138a63515efc7afc6b01b7fe5201372\
         190374886a70207b042294af5bd64ce725cd8dceb344e6d11c09d1aaaf4d660f",
    ),
];

/// Logs in by a key, with or without a name, with the challenge as nonce.
fn sign_in(
    authid: Option<&str>,
    key: &str,
    challenge: &str,
    answer: &str,
) -> Result<Identity, Refusal> {
    let realms = realms_of(FULL);
    let mut details = dict(r#"{"authmethods":["cryptosign"]}"#);
    details.insert("authid".to_owned(), authid.into());
    let mut authextra = Map::new();
    authextra.insert("pubkey".to_owned(), key.into());
    details.insert("authextra".to_owned(), authextra.into());
    let mut nonce = Nonce([0; 32]);
    hex::decode_to_slice(challenge, &mut nonce.0).expect("hex");
    let (extra, pending) = challenged(hello_with(&realms, "full", &details, SESSION, &nonce, NOW));
    assert_eq!(extra["challenge"], challenge);
    assert_eq!(extra["channel_binding"], Value::Null);
    authenticate(&realms, pending, answer, &Map::new())
}

#[test]
fn the_vectors_of_the_specification_pass_cryptosign() {
    for (key, challenge, signature) in SIGNED {
        for authid in [None, Some("robot")] {
            let answer = format!("{signature}{challenge}");
            let identity = sign_in(authid, key, challenge, &answer).expect("right");
            assert_eq!((&*identity.authid, &*identity.authrole), ("robot", "user"));
            assert_eq!(identity.authmethod, Method::Cryptosign);
        }
    }
}

#[test]
fn signatures_of_other_keys_names_and_challenges_are_denied() {
    let (key, challenge, signature) = SIGNED[0];
    let (other_key, other_challenge, other_signature) = SIGNED[1];
    let answer = format!("{signature}{challenge}");
    let table = [
        (Some("joe"), key, answer.clone()),
        (Some("nobody"), key, answer.clone()),
        (None, other_key, answer.clone()),
        (None, key, String::new()),
        (None, key, signature.to_owned()),
        (None, key, format!("{signature}{other_challenge}")),
        (None, key, format!("{other_signature}{challenge}")),
        (None, key, format!("{answer}00")),
        (None, key, "ä".repeat(96)),
        // The key of nobody: its signature is right, and it may not log in.
        (
            None,
            "28e11f427b82b9a625ee7ac89a7d29326b505f2dc11dd88c1245f83b6da79a85",
            format!("{signature}{challenge}"),
        ),
        // Bytes that are no key.
        (None, "0200000000000000000000000000000000000000000000000000000000000000", answer.clone()),
    ];
    for (authid, key, answer) in table {
        assert_eq!(sign_in(authid, key, challenge, &answer), Err(Refusal::Denied), "{answer}");
    }
    let stranger = "28e11f427b82b9a625ee7ac89a7d29326b505f2dc11dd88c1245f83b6da79a85";
    let challenge = "b05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2";
    let answer = "7beb282184baadd08f166f16dd683b39cab53816ed81e6955def951cb2ddad1e\
        c184e206746fd82bda075af03711d3d5658fc84a76196b0fa8d1ebc92ef9f30b\
        b05e6b8ad4d69abf74aa3be3c0ee40ae07d66e1895b9ab09285a2f1192d562d2";
    assert_eq!(sign_in(None, stranger, challenge, answer), Err(Refusal::Denied));
    assert_eq!(sign_in(Some("robot"), stranger, challenge, answer), Err(Refusal::Denied));
}
