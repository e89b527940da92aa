//! Credentials for the configuration, made from passwords.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use sha2::{Digest, Sha256};

use vixen_runtime::config::{Argon2Output, Kdf, Salting, ScramConfig, SecretKey};

use super::stand_in::hmac_sha256;

/// A password that no credential can be made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The password is empty.
    #[error("the password is empty")]
    Empty,
    /// The password has characters that SASLprep (RFC 4013) does not allow.
    #[error("the password has characters that SASLprep (RFC 4013) prohibits")]
    Prohibited,
    /// Argon2 does not take these costs, or this salt.
    #[error("argon2 does not take these iterations, this memory or this salt")]
    Argon2,
}

/// What the server keeps of a password for WAMP-SCRAM. Takes the time that `kdf` is meant to take.
///
/// # Errors
/// [`CredentialError`].
pub fn scram(password: &str, salt: &[u8], kdf: Kdf) -> Result<ScramConfig, CredentialError> {
    let salted = match kdf {
        Kdf::Pbkdf2 { iterations } => pbkdf2(prepared(password)?.as_bytes(), salt, iterations, 32),
        Kdf::Argon2id13 { iterations, memory_kib, output: Argon2Output::Bytes } => {
            argon2id(prepared(password)?.as_bytes(), salt, iterations, memory_kib)?.to_vec()
        }
        Kdf::Argon2id13 { iterations, memory_kib, output: Argon2Output::Text } => {
            // Autobahn takes the password as it is.
            not_empty(password)?;
            let hash = argon2id(password.as_bytes(), salt, iterations, memory_kib)?;
            STANDARD_NO_PAD.encode(hash).into_bytes()
        }
    };
    let client_key = hmac_sha256(&salted, &[b"Client Key"]);
    Ok(ScramConfig {
        kdf,
        salt: salt.to_vec(),
        stored_key: SecretKey(Sha256::digest(client_key).into()),
        server_key: SecretKey(hmac_sha256(&salted, &[b"Server Key"])),
    })
}

/// The `secret` of a salted WAMP-CRA user: the derived key in base64.
///
/// # Errors
/// [`CredentialError::Empty`].
pub fn wampcra(password: &str, salting: &Salting) -> Result<String, CredentialError> {
    not_empty(password)?;
    let salt = salting.salt.as_bytes();
    let key = pbkdf2(password.as_bytes(), salt, salting.iterations, salting.key_bytes as usize);
    Ok(STANDARD.encode(key))
}

const fn not_empty(password: &str) -> Result<(), CredentialError> {
    if password.is_empty() { Err(CredentialError::Empty) } else { Ok(()) }
}

fn prepared(password: &str) -> Result<Cow<'_, str>, CredentialError> {
    not_empty(password)?;
    let prepared = stringprep::saslprep(password).map_err(|_| CredentialError::Prohibited)?;
    // Soft hyphens, for example, are mapped to nothing.
    not_empty(&prepared)?;
    Ok(prepared)
}

fn pbkdf2(password: &[u8], salt: &[u8], iterations: u32, key_bytes: usize) -> Vec<u8> {
    let mut key = vec![0; key_bytes];
    pbkdf2::pbkdf2_hmac::<Sha256>(password, salt, iterations, &mut key);
    key
}

pub(super) fn argon2id(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    memory_kib: u32,
) -> Result<[u8; 32], CredentialError> {
    let params = argon2::Params::new(memory_kib, iterations, 1, Some(32))
        .map_err(|_| CredentialError::Argon2)?;
    let argon2 = argon2::Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let mut hash = [0; 32];
    argon2.hash_password_into(password, salt, &mut hash).map_err(|_| CredentialError::Argon2)?;
    Ok(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(credential: &ScramConfig) -> [String; 2] {
        [hex::encode(credential.stored_key.0), hex::encode(credential.server_key.0)]
    }

    /// Made with `hashlib`, `argon2-cffi` and, for the text form, `derive_scram_credential` of
    /// Autobahn|Python 24.4.2.
    #[test]
    fn keys_of_scram_are_those_of_other_implementations() {
        let salt = hex::decode("f7d54c22dda5b1780276601cd005909b").expect("hex");
        let argon2 = |iterations, output| Kdf::Argon2id13 { iterations, memory_kib: 512, output };
        let table = [
            (
                argon2(32, Argon2Output::Bytes),
                "f42112e3ad4c6fddde1f7ac12846cbcb6ba44a01a06a147aa6bc58fb37f085ed",
                "90dc980d17aae27c7f85e2d95df32ecc75acf10c1843199478d1419ab86579cd",
            ),
            (
                argon2(4096, Argon2Output::Text),
                "6ccd6fc58e09e5e6877c652d28d17e93b18e204dd3e10a1912859f77cd131046",
                "ad5a4f3af1979abfdfefea308158561d1d219f05c56785d4bc16b00c9a2dbf33",
            ),
        ];
        for (kdf, stored_key, server_key) in table {
            let credential = scram("p4ssw0rd-of-anna", &salt, kdf).expect("a password");
            assert_eq!(keys(&credential), [stored_key, server_key]);
        }
        // RFC 7677 §3.
        let salt = STANDARD.decode("W22ZaJ0SNY7soEsUEjb6gQ==").expect("base64");
        let credential = scram("pencil", &salt, Kdf::Pbkdf2 { iterations: 4096 });
        let expected = [
            "586e5df283e6dceb5c3e791d8b8528ec191e664045ce971792e2e6b5bb13e2a6",
            "c1f3cbc1c13a9d35a14c0990eed97629ea225863e566a4314ab99f3f00e5d9d5",
        ];
        assert_eq!(keys(&credential.expect("a password")), expected);
    }

    /// `derive_key` of Autobahn|Python 24.4.2, and its own test vector.
    #[test]
    fn keys_of_wampcra_are_those_of_autobahn() {
        let table = [
            ("L3L1YUE8Txlw", 1000, 32, "qzcdsr9uu/L5hnss3kjNTRe490ETgA70ZBaB5rvnJ5Y="),
            ("secret-of-peter", 100, 16, "ufsU4/cEeiiMPlTM5cdkZA=="),
            ("pässword", 1000, 32, "D0EoOPzrBrtQ5kJrRx2q+e2yOqrm2LbnaI7btL4MXew="),
        ];
        for (password, iterations, key_bytes, key) in table {
            let salting = Salting { salt: "salt123".to_owned(), iterations, key_bytes };
            assert_eq!(wampcra(password, &salting).as_deref(), Ok(key));
        }
    }

    #[test]
    fn passwords_are_normalised_and_must_be_some() {
        let salt = [7; 16];
        let kdf = Kdf::Pbkdf2 { iterations: 1 };
        assert_eq!(scram("I\u{ad}X", &salt, kdf), scram("\u{2168}", &salt, kdf));
        assert_eq!(scram("", &salt, kdf), Err(CredentialError::Empty));
        assert_eq!(scram("\u{ad}", &salt, kdf), Err(CredentialError::Empty));
        assert_eq!(scram("bell\u{7}", &salt, kdf), Err(CredentialError::Prohibited));
        let salting = Salting { salt: "s".to_owned(), iterations: 1, key_bytes: 32 };
        assert_eq!(wampcra("", &salting), Err(CredentialError::Empty));
        let costs = Kdf::Argon2id13 { iterations: 1, memory_kib: 1, output: Argon2Output::Bytes };
        assert_eq!(scram("p", &salt, costs), Err(CredentialError::Argon2));
    }
}
