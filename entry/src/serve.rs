//! An entry as a process: its port, its dialled links, and its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::watch;

use vixen_broker::dealer::CancelAnswer;
use vixen_broker::delivery::Numbering;
use vixen_core::name::NodeName;
use vixen_core::tier::Tier;
use vixen_core::wire::PeerId;
use vixen_runtime::config::{CancelAnswers, Config, ConfigError, EntryMember};
use vixen_runtime::ids::new_owner_id;
use vixen_runtime::link::{DialTarget, Expected, Identity, LinkSecrets, Owners, dial, dial_while};
use vixen_runtime::process::{outlive_file_size_limit, raise_open_files};
use vixen_runtime::recording::RecordArgs;
use vixen_runtime::reload::{Certificates, Load, Running, reload_on_hangup};
use vixen_runtime::server::{self, ListenError, PortBounds, Proxies, Timeouts, links_router};
use vixen_runtime::telemetry::{
    ReadyFn, StatusFn, install_metrics, ops_router, probe_router, shutdown_signal,
    tell_service_manager, with_problems,
};
use vixen_runtime::tls::Tls;

use crate::admission::{
    Admission, Answers, describe_admission_metrics, describe_answer_metrics, reload_realms,
    tell_exposure,
};
use crate::auth::number_key;
use crate::gates::wamp::describe_session_metrics;
use crate::gates::{
    SessionContext, SessionLimits, client_router, describe_host_metrics, describe_http_metrics,
    describe_request_metrics, describe_web_metrics, pages_of_known_hosts,
};
use crate::node::{EntryNode, EntryOptions, fresh_seed};

/// Time for the sessions to get their last answers and close. Whatever starts a node again waits
/// for this, so it is below the patience of all usual ones.
const STOP_TIME: Duration = Duration::from_secs(5);
/// Open files of an entry beside those of its sessions: links, the port, what it reads.
const OTHER_FILES: u64 = 256;

/// Where an entry listens, instead of where the file says.
#[derive(Clone, Debug, Default)]
pub struct Listens {
    /// For clients.
    pub clients: Option<SocketAddr>,
    /// For operators; without one they use the port of clients.
    pub admin: Option<SocketAddr>,
    /// What other entries dial.
    pub link_address: Option<String>,
    /// For other entries.
    pub links: Option<SocketAddr>,
}

impl Listens {
    /// What the entry `name` of `config` is with these.
    ///
    /// # Errors
    /// When it is not in the configuration and is told of no place for clients, or when two of its places are one.
    pub fn member_of(&self, config: &Config, name: &NodeName) -> Result<EntryMember, ConfigError> {
        let mut member = config.entry_member(name, self.clients)?;
        member.admin_listen = self.admin.or(member.admin_listen);
        member.with_link(self.link_address.clone(), self.links)
    }
}

/// The bound ports of an entry.
pub(crate) struct Ports {
    pub(crate) clients: TcpListener,
    pub(crate) admin: Option<TcpListener>,
}

impl Ports {
    /// # Errors
    /// One of them is taken.
    pub(crate) async fn bind(member: &EntryMember) -> Result<Self, ListenError> {
        let clients = server::listen(&member.listen.to_string()).await?;
        let admin = match member.admin_listen {
            Some(admin) => Some(server::listen(&admin.to_string()).await?),
            None => None,
        };
        Ok(Self { clients, admin })
    }
}

/// Runs the entry `name` of `config` until SIGTERM or SIGINT. `listen` wins over the file. At SIGHUP
/// `load` reads the configuration again: its realms and certificates are taken, nothing else.
///
/// # Errors
/// When the entry is not in the configuration and has no `listen`, or its port is taken; or nothing
/// says who may use it; or it cannot be recorded.
pub async fn serve(
    config: &Config,
    name: &NodeName,
    listens: Listens,
    recording: &RecordArgs,
    load: Load,
) -> anyhow::Result<()> {
    // Before the node, which takes its handles from the recorder.
    install_metrics();
    outlive_file_size_limit();
    raise_files(config.limits.sessions_max);
    config.check_access()?;
    let member = listens.member_of(config, name)?;
    let (tls, links) = (Tls::of_clients(config)?, Tls::of_links(config)?);
    config.tell_secret_and_name_concerns(Tier::Entry, name, links.as_deref());
    config.tell_link_concern(&member);
    let ports = Ports::bind(&member).await?;
    let link_port = match &member.link {
        Some(link) => Some(server::listen_first(&link.bind_addresses()).await?),
        None => None,
    };
    // Before the node, which would be stalled while a key is made.
    let admission = Arc::new(Admission::new(config));
    let recorder = recording.recorder(Tier::Entry, name)?;
    let link_address = member.link.as_ref().map(|link| link.address.as_str().into());
    let options = EntryOptions { link_address, ..options_of(config, name) };
    let mut node = EntryNode::recorded(options, recorder);
    let identity = identity_of(config, links.clone(), &node);
    if let Some(port) = link_port {
        tokio::spawn(serve_links(port, config, identity.clone(), &node));
    }
    dial_all(config, &identity, &mut node);
    let (realms, certificates) =
        (Arc::clone(&admission), Certificates { has_clients: true, clients: tls.clone(), links });
    let running = Running { config: config.clone(), tier: Tier::Entry };
    tokio::spawn(reload_on_hangup(load, running, certificates, move |config| {
        reload_realms(&realms, config)
    }));
    let address = ports.clients.local_addr()?;
    tell_exposure(config, address);
    tracing::info!(%address, owner = %node.owner(), "listening");
    run(node, ports, tls, config, admission, async {
        shutdown_signal().await;
        Ok(())
    })
    .await
}

/// Takes all open files that may be had, and says so when `sessions_max` may need more.
fn raise_files(sessions_max: usize) {
    let needed = (sessions_max as u64).saturating_add(OTHER_FILES);
    match raise_open_files() {
        Ok(files) if files < needed => tracing::warn!(
            files,
            needed,
            "fewer open files than limits.sessions-max needs: raise `ulimit -Hn` (systemd: \
             LimitNOFILE), or lower the limit"
        ),
        Ok(_enough) => {}
        Err(error) => tracing::warn!(%error, "cannot raise the number of open files"),
    }
}

/// A new incarnation of the entry `name`.
pub(crate) fn options_of(config: &Config, name: &NodeName) -> EntryOptions {
    EntryOptions {
        owner: new_owner_id(),
        name: name.clone(),
        roster: config.roster(),
        membership: config.membership(),
        publish_timeout: config.cluster.publish_timeout,
        durability: config.cluster.durability,
        limits: config.limits.clone(),
        cancel_answer: match config.wamp.cancel_answer {
            CancelAnswers::Always => CancelAnswer::Always,
            CancelAnswers::Announced => CancelAnswer::Announced,
        },
        link_address: None,
        is_alone: false,
        numbering: numbering_of(config),
    }
}

/// All entries of a cluster give a subscription that its clients share one number, by what they know alike. The secret of
/// nearcast is everybody's, and it has no other entry.
fn numbering_of(config: &Config) -> Numbering {
    let seed = fresh_seed();
    let secret = config.cluster.secrets.of(Tier::Entry).filter(|_| config.file.is_some());
    secret.map_or(Numbering::Random(seed), |secret| Numbering::Keyed {
        key: number_key(secret),
        seed,
    })
}

/// How the entry presents itself to other nodes, and lets other entries in.
fn identity_of(config: &Config, tls: Option<Arc<Tls>>, node: &EntryNode) -> Identity {
    Identity {
        cluster: config.cluster.name.as_str().into(),
        secrets: LinkSecrets::of(&config.cluster.secrets, Tier::Entry),
        peer: PeerId::Entry { owner: node.owner() },
        name: node.name().clone(),
        roster: config.roster(),
        terms: config.terms(),
        queue_bytes_max: config.limits.link_queue_bytes_max,
        tls,
        // Any entry that knows the secret, and no node of another tier.
        admit: Arc::new(|_peer| true),
        owners: Owners::default(),
    }
}

/// Takes links of other entries.
fn serve_links(
    listener: TcpListener,
    config: &Config,
    identity: Identity,
    node: &EntryNode,
) -> impl Future<Output = ()> + Send + use<> {
    let tls = identity.tls.clone();
    let router = links_router(identity, node.inbox());
    let files = raise_open_files().unwrap_or(u64::MAX);
    let bounds = PortBounds::of(&config.limits, files);
    server::serve(listener, tls, router, bounds, std::future::pending())
}

/// Keeps links to all sync and ndb nodes up, and to the other entries that have a place to be dialled, until the
/// node drops its inbox.
fn dial_all(config: &Config, identity: &Identity, node: &mut EntryNode) {
    let sync = config.sync.iter().map(|peer| (&peer.address, Expected::Sync(peer.sync_id())));
    let ndb = config.ndb_members().map(|(id, peer)| (&peer.address, Expected::Ndb(id)));
    for (address, expected) in sync.chain(ndb) {
        let target = DialTarget { address: address.clone(), expected };
        tokio::spawn(dial(identity.clone(), target, node.inbox()));
    }
    let own = node.name().clone();
    for entry in config.entries.iter().filter(|entry| entry.id != own) {
        let Some(link) = &entry.link else { continue };
        let expected = Expected::Entry(entry.id.clone());
        let target = DialTarget { address: link.address.clone(), expected };
        let wish = node.expect_entry(entry.id.clone());
        tokio::spawn(dial_while(identity.clone(), target, wish, node.inbox()));
    }
}

/// Runs `node` and its `ports`, with `tls` if given, until `stop`, whose error it returns.
///
/// The order of the end: no new sessions and calls, then the sessions' last answers and goodbyes, then
/// the core.
pub(crate) async fn run(
    node: EntryNode,
    ports: Ports,
    tls: Option<Arc<Tls>>,
    config: &Config,
    admission: Arc<Admission>,
    stop: impl Future<Output = anyhow::Result<()>>,
) -> anyhow::Result<()> {
    let handle = node.handle();
    let (stopping, is_stopping) = watch::channel(false);
    let Ports { clients, admin } = ports;
    let routers = routers_of(&node, config, admission, is_stopping, admin.is_some());
    let limits = &config.limits;
    let timeouts = Timeouts {
        first_head: limits.hello_timeout,
        next_head: limits.keep_alive_timeout,
        silence: limits.keep_alive_timeout,
        stall: limits.answer_stall_timeout,
    };
    let files = raise_open_files().unwrap_or(u64::MAX);
    let proxies = Proxies::of(&config.web);
    let bounds = PortBounds { timeouts, proxies, ..PortBounds::of(limits, files) };
    let until_stopping = || {
        let mut stopping = stopping.subscribe();
        async move {
            let _or_dropped = stopping.wait_for(|stopping| *stopping).await;
        }
    };
    let serve = |listener, router| {
        let serving =
            server::serve(listener, tls.clone(), router, bounds.clone(), until_stopping());
        tokio::spawn(serving)
    };
    let pages = admin.zip(routers.admin).map(|(listener, router)| serve(listener, router));
    let server = serve(clients, routers.clients);
    let mut core = tokio::spawn(node.run());
    let mut has_ended = false;
    let outcome = tokio::select! {
        outcome = stop => outcome,
        ended = &mut core => {
            has_ended = true;
            ended.context("the core of the entry failed").and(Err(anyhow::anyhow!("stopped early")))
        }
    };
    stopping.send_replace(true);
    if !has_ended {
        handle.drain().await;
    }
    let last_words = async {
        let _served = server.await;
        if let Some(pages) = pages {
            let _served = pages.await;
        }
        // Every session holds a receiver, and the router did.
        stopping.closed().await;
    };
    if tokio::time::timeout(STOP_TIME, last_words).await.is_err() {
        tracing::warn!("sessions cut off: they did not close in time");
    }
    if !has_ended {
        handle.stop().await;
        core.await.context("the core of the entry failed")?;
    }
    outcome
}

struct Routers {
    clients: Router,
    /// What operators look at, where it has a port of its own.
    admin: Option<Router>,
}

fn routers_of(
    node: &EntryNode,
    config: &Config,
    admission: Arc<Admission>,
    stopping: watch::Receiver<bool>,
    has_admin: bool,
) -> Routers {
    describe_request_metrics();
    describe_session_metrics();
    describe_answer_metrics();
    describe_admission_metrics();
    describe_web_metrics();
    describe_host_metrics();
    describe_http_metrics();
    let access = Arc::clone(&admission);
    let context = SessionContext {
        events: node.inbox(),
        limits: Arc::new(SessionLimits::of_config(config)),
        room: node.room(),
        stopping,
        reads: node.store(),
        admission,
        answers: Answers::new(&config.limits),
        node: node.name().clone(),
    };
    let handle = node.handle();
    let (ready, status) = (handle.clone(), handle);
    let ready: ReadyFn = Arc::new(move || ready.readiness());
    let status: StatusFn = Arc::new(move || {
        let (status, admission) = (status.clone(), Arc::clone(&access));
        Box::pin(async move {
            let mut page = status.status().await;
            page["access"] = admission.status();
            page
        })
    });
    tokio::spawn(tell_service_manager(Arc::clone(&ready), Arc::clone(&status)));
    let web = Arc::new(config.web.clone());
    let clients = client_router(context, &web);
    let probes = probe_router(Arc::clone(&ready));
    let pages = ops_router(install_metrics(), ready, status);
    let pages = if has_admin { with_problems(pages) } else { pages };
    let pages = pages_of_known_hosts(pages, &web);
    match has_admin {
        true => Routers { clients: clients.merge(probes), admin: Some(pages) },
        false => Routers { clients: clients.merge(pages), admin: None },
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::sync::oneshot;

    use super::*;

    async fn get_page(address: SocketAddr, path: &str) -> String {
        ask(address, path, "localhost").await
    }

    async fn ask(address: SocketAddr, path: &str, host: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("received");
        answer
    }

    #[tokio::test]
    async fn an_entry_that_is_not_ready_answers_operators_and_refuses_clients_with_the_reason() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let config = Config::nearcast(PathBuf::from("unused"), listen);
        let ports = Ports::bind(&config.entries[0]).await.expect("a free port");
        let address = ports.clients.local_addr().expect("bound");
        let node = EntryNode::new(options_of(&config, &config.entries[0].id));
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            let stop = async {
                stopped.await.expect("told to stop");
                Ok(())
            };
            let admission = Arc::new(Admission::new(&config));
            run(node, ports, None, &config, admission, stop).await
        });
        // The core says what it waits for with its first turn; the status page takes one.
        let status = get_page(address, "/status").await;
        assert!(status.contains("\"role\": \"entry\""), "{status}");
        assert!(get_page(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let reason = "0 of 1 sync nodes connected, waiting for S1 (no link)\n";
        let ready = get_page(address, "/readyz").await;
        assert!(ready.starts_with("HTTP/1.1 503") && ready.ends_with(reason), "{ready}");
        let refused = get_page(address, "/events?topic=a.b").await;
        assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
        assert!(refused.contains("not ready: 0 of 1 sync nodes connected"), "{refused}");
        assert!(refused.contains("retry-after: 1"), "{refused}");
        for page in ["/", "/console/app.js", "/openapi.json"] {
            assert!(get_page(address, page).await.starts_with("HTTP/1.1 200"), "{page}");
        }
        let foreign = ask(address, "/status", "evil.example").await;
        assert!(foreign.starts_with("HTTP/1.1 421"), "{foreign}");
        assert!(ask(address, "/healthz", "evil.example").await.starts_with("HTTP/1.1 200"));
        stop.send(()).expect("running");
        running.await.expect("no panic").expect("a clean end");
    }

    #[tokio::test]
    async fn pages_with_a_port_of_their_own_are_not_on_that_of_clients() {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::nearcast(PathBuf::from("unused"), listen);
        config.entries[0].admin_listen = Some(listen);
        let ports = Ports::bind(&config.entries[0]).await.expect("free ports");
        let clients = ports.clients.local_addr().expect("bound");
        let admin = ports.admin.as_ref().expect("one").local_addr().expect("bound");
        let node = EntryNode::new(options_of(&config, &config.entries[0].id));
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(async move {
            let admission = Arc::new(Admission::new(&config));
            let stop = async {
                stopped.await.expect("told to stop");
                Ok(())
            };
            run(node, ports, None, &config, admission, stop).await
        });
        let status = get_page(admin, "/status").await;
        assert!(status.contains("\"access\""), "{status}");
        assert!(get_page(admin, "/metrics").await.contains("vixen_build_info"));
        for page in ["/status", "/metrics"] {
            let hidden = get_page(clients, page).await;
            assert!(hidden.starts_with("HTTP/1.1 404"), "{page}: {hidden}");
            assert!(hidden.contains("vixen.error.not_found"), "{page}: {hidden}");
        }
        for port in [clients, admin] {
            assert!(get_page(port, "/healthz").await.starts_with("HTTP/1.1 200"));
            assert!(get_page(port, "/readyz").await.starts_with("HTTP/1.1 503"), "not ready yet");
        }
        for page in ["/ws", "/history", "/openapi.json", "/"] {
            assert!(get_page(admin, page).await.starts_with("HTTP/1.1 404"), "{page}");
        }
        stop.send(()).expect("running");
        running.await.expect("no panic").expect("a clean end");
    }
}
