//! What nearcast says once it is ready.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;

use vixen_runtime::config::Durability;

/// Where nearcast listens when nothing else is said.
pub(crate) const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9031);

/// Plain words: where to connect, how to try it, where the status and the data are. Without `realms` all of them are open.
pub(crate) fn text(
    address: SocketAddr,
    data_dir: &Path,
    durability: Durability,
    realms: &[String],
) -> String {
    let host = reachable(address);
    let reach = reach(address);
    let data = data_dir.display();
    let promise = match durability {
        Durability::Fsync => "an acknowledged message is on disk, synced",
        Durability::Memory => "no syncs: a power cut loses messages",
    };
    let (realms, trials) = if realms.is_empty() {
        ("any realm, for example realm1".to_owned(), trials(&host))
    } else {
        let said = "Who may do what, the configuration says; SIGHUP has its realms read again.";
        (format!("realms {}", realms.join(", ")), said.to_owned())
    };
    format!(
        r#"vixen is ready: entry, storage and vote in this one process ("nearcast").

  clients   ws://{host}/ws   WAMP v2 (wamp.2.json, wamp.2.msgpack, wamp.2.cbor), {realms}
  page      http://{host}/   publish and watch in two browser tabs
  status    http://{host}/status
  reach     {reach}
  data      {data}   durability {durability}: {promise}

{trials}

Stop with Ctrl-C: the data stays, and the order goes on where it was.
"#,
    )
}

/// For an entry where everybody may do everything.
fn trials(host: &str) -> String {
    let (curl, demo, node) = (curl_line(host), demo_line(host), node_line(host));
    format!(
        "Try it in another terminal: with curl, from this checkout, or with Node.js 20.10 or later:\n\n  \
         {curl}\n  {demo}\n  {node}"
    )
}

fn curl_line(host: &str) -> String {
    let body = r#"{"topic": "com.example.hello", "args": ["hello"]}"#;
    format!("curl http://{host}/publish -d '{body}'")
}

fn demo_line(host: &str) -> String {
    format!(
        "cargo run --release -p vixen-tests --bin vixen-bench -- demo --publish ws://{host}/ws \
         --subscribe ws://{host}/ws"
    )
}

/// One client that subscribes, publishes to itself, and prints what it is told.
fn node_line(host: &str) -> String {
    format!(
        "node --experimental-websocket -e \"\
         let w=new WebSocket('ws://{host}/ws','wamp.2.json'),s=m=>w.send(JSON.stringify(m));\
         w.onopen=()=>s([1,'realm1',{{roles:{{publisher:{{}},subscriber:{{}}}}}}]);\
         w.onmessage=e=>{{console.log(e.data);let m=JSON.parse(e.data);\
         if(m[0]==2)s([32,1,{{}},'com.example.hello']);\
         if(m[0]==33)s([16,2,{{acknowledge:true,exclude_me:false}},'com.example.hello',['hello']]);\
         if(m[0]==36)setTimeout(()=>w.close(),100)}}\""
    )
}

/// Who can connect, and how others could: a loopback address in a container serves nobody.
fn reach(address: SocketAddr) -> String {
    let port = address.port();
    if address.ip().is_loopback() {
        return format!(
            "this machine only; --listen 0.0.0.0:{port} (VIXEN_LISTEN) opens it to others"
        );
    }
    if address.ip().is_unspecified() {
        return format!("all addresses of this machine or container, port {port}: open to others");
    }
    format!("whoever can reach {address}")
}

/// An address to type: a wildcard is not one.
fn reachable(address: SocketAddr) -> String {
    if address.ip().is_unspecified() {
        return format!("127.0.0.1:{}", address.port());
    }
    address.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_names_the_real_port_and_can_be_pasted() {
        let wildcard = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 4711);
        let text = text(wildcard, Path::new("./vixen-data"), Durability::Fsync, &[]);
        assert!(text.contains("ws://127.0.0.1:4711/ws"), "{text}");
        assert!(text.contains("http://127.0.0.1:4711/status"), "{text}");
        assert!(!text.contains("0.0.0.0"), "{text}");
        assert!(text.contains("open to others"), "{text}");
        let lines: Vec<_> = text.lines().filter(|line| line.starts_with("  node ")).collect();
        assert_eq!(lines.len(), 1, "one line: {text}");
        // Within double quotes, a shell expands these.
        assert!(!lines[0].contains(['$', '`', '!', '\\']), "{text}");
    }

    #[test]
    fn one_on_loopback_says_how_others_could_connect() {
        let text = text(LISTEN, Path::new("./vixen-data"), Durability::Fsync, &[]);
        assert!(text.contains("this machine only; --listen 0.0.0.0:9031 (VIXEN_LISTEN)"), "{text}");
    }

    /// The lines to paste are of somebody without a name.
    #[test]
    fn one_with_realms_names_them_and_shows_nothing_that_would_be_refused() {
        let realms = ["realm1".to_owned(), "office".to_owned()];
        let text = text(LISTEN, Path::new("./vixen-data"), Durability::Fsync, &realms);
        assert!(text.contains("realms realm1, office") && text.contains("SIGHUP"), "{text}");
        assert!(!text.contains("curl") && !text.contains("any realm"), "{text}");
    }
}
