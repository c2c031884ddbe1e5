//! The connections between processes and services, each through a proxy of its own.

use std::collections::BTreeMap;

use anyhow::Context;
use sandbox::{Endpoints, Proxy};
use secrecy::SecretString;

use super::plan::{Disturbance, Link};

/// A proxy for each connection.
#[derive(Debug)]
pub(super) struct Network {
    proxies: BTreeMap<Link, Proxy>,
}

impl Network {
    /// For so many consumers; nothing is wrong yet.
    pub(super) async fn start(services: &Endpoints, consumers: u16) -> anyhow::Result<Self> {
        let nats = services.nats_url.as_ref().context("there is no nats-server")?;
        let database = services.database_url.as_ref().context("there is no database")?;
        let mut proxies = BTreeMap::new();
        let of_replica =
            |number| [(Link::ConsumerToNats(number), nats), (Link::ConsumerToPostgres(number), database)];
        let links = (1..=consumers).flat_map(of_replica).chain([(Link::ProducerToNats, nats)]);
        for (link, url) in links {
            let proxy =
                Proxy::start(url).await.with_context(|| format!("failed to start a proxy from {link}"))?;
            proxies.insert(link, proxy);
        }
        Ok(Self { proxies })
    }

    /// The URL that leads through the proxy.
    pub(super) fn url(&self, link: Link) -> Option<SecretString> {
        self.proxies.get(&link).map(Proxy::url)
    }

    /// Begins it.
    pub(super) fn disturb(&self, link: Link, how: Disturbance) {
        let Some(proxy) = self.proxies.get(&link) else { return };
        match how {
            Disturbance::Hold(way) => proxy.hold(way),
            Disturbance::HoldBoth => proxy.hold_both(),
            Disturbance::Cut => proxy.cut(),
            Disturbance::HalfClose(way) => proxy.half_close(way),
            Disturbance::Blackhole => proxy.strand(),
        }
    }

    /// Ends what is wrong with it.
    pub(super) fn mend(&self, link: Link) {
        if let Some(proxy) = self.proxies.get(&link) {
            proxy.mend();
        }
    }
}
