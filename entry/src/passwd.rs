//! `vixen-entry passwd`: from a password to a `[[realm.user]]` of the configuration.

use std::io::{IsTerminal, Read, stdin};

use anyhow::{Context, bail, ensure};
use clap::{Args, ValueEnum};

use vixen_entry::auth::credential;
use vixen_runtime::config::{Argon2Output, Kdf, Salting};
use vixen_runtime::telemetry::{print, remark};

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// What a password may have at most: more is no password but a wrong file.
const PASSWORD_BYTES_MAX: u64 = 1024;

/// Print a `[[realm.user]]` for the configuration file; the password is read from standard input.
#[derive(Debug, Args)]
pub(crate) struct Passwd {
    /// The name to log in with
    #[arg(long, value_name = "NAME")]
    authid: String,
    /// The role of the user
    #[arg(long, value_name = "NAME")]
    role: String,
    /// How the user logs in
    #[arg(long, value_enum, default_value = "scram")]
    method: Method,
    /// What makes SCRAM's keys of the password; argon2id-13 is for Autobahn|Python and Crossbar
    #[arg(long, value_enum, default_value = "argon2id13")]
    kdf: KdfName,
    /// How often the key derivation iterates; its default goes with the function
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..0x8000_0000))]
    iterations: Option<u32>,
    /// Memory that Argon2 uses, in KiB; its default goes with the function
    #[arg(long, value_name = "KIB", value_parser = clap::value_parser!(u32).range(8..0x8000_0000))]
    memory: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    Scram,
    Wampcra,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KdfName {
    #[value(name = "argon2id13")]
    Argon2id13,
    #[value(name = "argon2id-13")]
    Argon2id13Text,
    Pbkdf2,
}

impl Passwd {
    /// Reads the password and prints the table.
    pub(crate) fn run(&self) -> anyhow::Result<()> {
        if stdin().is_terminal() {
            remark("Password (shown as you type), then Enter and Ctrl-D:");
        }
        let mut text = String::new();
        stdin()
            .take(PASSWORD_BYTES_MAX + 2)
            .read_to_string(&mut text)
            .context("no password on standard input")?;
        let password = text.trim_end_matches(['\n', '\r']);
        ensure!(
            password.len() as u64 <= PASSWORD_BYTES_MAX && !password.contains('\n'),
            "the password is to be one line of at most {PASSWORD_BYTES_MAX} bytes"
        );
        let mut salt = [0; SALT_BYTES];
        if let Err(error) = getrandom::fill(&mut salt) {
            bail!("no random bytes: {error}");
        }
        Ok(print(&self.table(password, &salt)?)?)
    }

    /// The table as text. Quotes and escapes of JSON are those of TOML.
    fn table(&self, password: &str, salt: &[u8]) -> anyhow::Result<String> {
        let head = format!(
            "[[realm.user]]\nauthid = {}\nrole = {}\n",
            serde_json::to_string(&self.authid)?,
            serde_json::to_string(&self.role)?
        );
        Ok(head + &self.credential(password, salt)?)
    }

    fn credential(&self, password: &str, salt: &[u8]) -> anyhow::Result<String> {
        const PBKDF2_ITERATIONS: u32 = 100_000;
        let salt_hex = hex::encode(salt);
        match self.method {
            Method::Wampcra => {
                let salting = Salting {
                    salt: salt_hex,
                    iterations: self.iterations.unwrap_or(PBKDF2_ITERATIONS),
                    key_bytes: Salting::KEY_BYTES,
                };
                let secret = credential::wampcra(password, &salting)?;
                let Salting { salt, iterations, key_bytes } = salting;
                Ok(format!(
                    "[realm.user.wampcra]\nsecret = \"{secret}\"\nsalt = \"{salt}\"\n\
                     iterations = {iterations}\nkeylen = {key_bytes}\n"
                ))
            }
            Method::Scram => {
                let argon2 = |iterations, memory_kib, output| Kdf::Argon2id13 {
                    iterations: self.iterations.unwrap_or(iterations),
                    memory_kib: self.memory.unwrap_or(memory_kib),
                    output,
                };
                let kdf = match self.kdf {
                    // RFC 9106 §4, second choice, with one lane.
                    KdfName::Argon2id13 => argon2(3, 65_536, Argon2Output::Bytes),
                    // What `derive_scram_credential` of Autobahn takes.
                    KdfName::Argon2id13Text => argon2(4096, 512, Argon2Output::Text),
                    KdfName::Pbkdf2 => {
                        Kdf::Pbkdf2 { iterations: self.iterations.unwrap_or(PBKDF2_ITERATIONS) }
                    }
                };
                let scram = credential::scram(password, salt, kdf)?;
                let memory = kdf.memory_kib().map(|kib| format!("memory = {kib}\n"));
                Ok(format!(
                    "[realm.user.scram]\nkdf = \"{}\"\niterations = {}\n{}salt = \"{salt_hex}\"\n\
                     stored-key = \"{}\"\nserver-key = \"{}\"\n",
                    kdf.name(),
                    kdf.iterations(),
                    memory.unwrap_or_default(),
                    hex::encode(scram.stored_key.0),
                    hex::encode(scram.server_key.0)
                ))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::path::Path;

    use clap::Parser;
    use vixen_runtime::config::{Config, Credential};

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        passwd: Passwd,
    }

    /// The credential that the configuration reads from what is printed.
    fn printed(arguments: &[&str]) -> Credential {
        const CLUSTER: &str = r#"
            cluster = { name = "t", secret = "a-long-secret", data-dir = "d", write-quorum = 1 }
            sync = [{ id = "S1", lane = 0, address = "127.0.0.1:9041" }]
            ndb-group = [{ member = [{ id = "D1", address = "127.0.0.1:9051" }] }]
            [[realm]]
            name = "realm1"
            role = [{ name = "user \"x\"" }]
        "#;
        let given = ["passwd", "--authid", "jö\"e", "--role", "user \"x\"", "--iterations", "2"];
        let cli = Cli::parse_from(given.iter().chain(arguments));
        let table = cli.passwd.table("p4ssw0rd-of-anna", &[7; SALT_BYTES]).expect("a password");
        let text = format!("{CLUSTER}{table}");
        let config = Config::parse(&text, Path::new("vixen.toml"), &BTreeMap::new());
        let config = config.unwrap_or_else(|error| panic!("{error}: {table}"));
        let user = config.realms[0].users[0].clone();
        assert_eq!(user.authid, "jö\"e");
        user.credential
    }

    #[test]
    fn what_is_printed_is_read_as_the_credential_of_the_password() {
        let argon2 = |memory_kib, output| Kdf::Argon2id13 { iterations: 2, memory_kib, output };
        let table: [(&[&str], Kdf); 3] = [
            (&["--memory", "64"], argon2(64, Argon2Output::Bytes)),
            (&["--kdf", "argon2id-13"], argon2(512, Argon2Output::Text)),
            (&["--kdf", "pbkdf2"], Kdf::Pbkdf2 { iterations: 2 }),
        ];
        for (arguments, kdf) in table {
            let wanted = credential::scram("p4ssw0rd-of-anna", &[7; SALT_BYTES], kdf);
            assert_eq!(printed(arguments), Credential::Scram(wanted.expect("a password")));
        }
        let Credential::WampCra { salting: Some(salting), secret } =
            printed(&["--method", "wampcra"])
        else {
            panic!("not salted WAMP-CRA");
        };
        assert_eq!((salting.iterations, salting.key_bytes), (2, 32));
        let wanted = credential::wampcra("p4ssw0rd-of-anna", &salting).expect("a password");
        assert_eq!(secret.as_bytes(), wanted.as_bytes());
    }
}
