//! etcd, by the two calls of its v3 API that are needed (`etcdserverpb` in its `rpc.proto`).

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use tokio::time::{Instant, sleep};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use super::PeerKind;
use super::nodes::Nodes;

const START_TIME: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// `PutRequest`, what is used of it.
#[derive(Clone, PartialEq, prost::Message)]
struct PutRequest {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// `ResponseHeader`.
#[derive(Clone, PartialEq, prost::Message)]
struct Header {
    #[prost(uint64, tag = "2")]
    member_id: u64,
    #[prost(int64, tag = "3")]
    revision: i64,
}

/// `PutResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct PutResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
}

/// `StatusRequest`.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusRequest {}

/// `StatusResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    header: Option<Header>,
    #[prost(uint64, tag = "4")]
    leader: u64,
}

pub(super) fn start(dir: Option<PathBuf>) -> anyhow::Result<Nodes> {
    Nodes::start(PeerKind::Etcd, dir, |place| {
        let url = |port: &u16| format!("http://127.0.0.1:{port}");
        let members = place.node_ports.iter().enumerate();
        let members: Vec<_> = members.map(|(n, port)| format!("e{n}={}", url(port))).collect();
        let (client, node) =
            (url(&place.client_ports[place.number]), url(&place.node_ports[place.number]));
        let data = place.dir.join("data").display().to_string();
        let arguments = [
            ("--name", format!("e{}", place.number)),
            ("--data-dir", data),
            ("--listen-client-urls", client.clone()),
            ("--advertise-client-urls", client),
            ("--listen-peer-urls", node.clone()),
            ("--initial-advertise-peer-urls", node),
            ("--initial-cluster", members.join(",")),
            ("--initial-cluster-state", "new".to_owned()),
            ("--log-level", "warn".to_owned()),
        ];
        Ok(arguments.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect())
    })
}

/// The address of the member that leads.
pub(super) async fn await_leader(nodes: &Nodes) -> anyhow::Result<String> {
    let deadline = Instant::now() + START_TIME;
    loop {
        for address in &nodes.addresses {
            let status = async {
                let mut member = connect(address).await?;
                let path = "/etcdserverpb.Maintenance/Status";
                let status: StatusResponse = call(&mut member, path, StatusRequest {}).await?;
                anyhow::Ok(status)
            };
            if let Ok(status) = status.await
                && status.leader != 0
                && status.header.is_some_and(|header| header.member_id == status.leader)
            {
                return Ok(address.clone());
            }
        }
        ensure!(Instant::now() < deadline, "no etcd member leads after {START_TIME:?}");
        sleep(LOOK).await;
    }
}

async fn connect(address: &str) -> anyhow::Result<Grpc<Channel>> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?.tcp_nodelay(true);
    Ok(Grpc::new(endpoint.connect().await?))
}

async fn call<Q, A>(
    member: &mut Grpc<Channel>,
    path: &'static str,
    question: Q,
) -> anyhow::Result<A>
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + Default + 'static,
{
    member.ready().await?;
    let path = PathAndQuery::from_static(path);
    let codec = ProstCodec::<Q, A>::default();
    Ok(member.unary(tonic::Request::new(question), path, codec).await?.into_inner())
}

pub(super) struct Publisher {
    member: Grpc<Channel>,
    /// Begins its keys.
    id: u32,
    keys: AtomicU64,
}

impl Publisher {
    pub(super) async fn connect(address: &str) -> anyhow::Result<Self> {
        Ok(Self { member: connect(address).await?, id: rand::random(), keys: AtomicU64::new(0) })
    }

    pub(super) async fn publish(&self, payload: Bytes) -> anyhow::Result<()> {
        let number = self.keys.fetch_add(1, Ordering::Relaxed);
        let key = format!("{:08x}.{number:012}", self.id).into();
        let put = PutRequest { key, value: payload };
        let mut member = self.member.clone();
        let answer: PutResponse = call(&mut member, "/etcdserverpb.KV/Put", put).await?;
        let header = answer.header.context("an answer of etcd without a header")?;
        ensure!(header.revision > 0, "etcd answered with revision {}", header.revision);
        Ok(())
    }
}
