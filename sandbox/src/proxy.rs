//! A proxy between a client and a server that does what networks do: it cuts, holds back, delays, half-closes and
//! forgets connections. Tests use it, and `millrace chaos`.
//!
//! A server's URL enters; a URL that leads through the proxy leaves. What is held back goes on when it is mended, as
//! the packets do that TCP sends again; a connection that was stranded stays open for ever and carries nothing.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{self, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// What the client says.
    ToServer,
    /// What the server answers.
    ToClient,
}

/// A proxy on a port of its own; dropping it cuts its connections.
#[derive(Debug)]
pub struct Proxy {
    url: SecretString,
    faults: watch::Sender<Faults>,
    next: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

/// What is wrong now. Connections are numbered, so that a fault can concern those of before it.
#[derive(Clone, Debug, Default)]
struct Faults {
    refusing: bool,
    cut_below: u64,
    stranded_below: u64,
    half_closed_below: [u64; 2],
    held: [bool; 2],
    delay: Duration,
}

impl Proxy {
    /// A proxy to the server of a URL like `scheme://user:password@host:port/rest`, in which nothing is wrong.
    /// Fails where there is no free port on 127.0.0.1, or where the URL names no user.
    pub async fn start(server: &SecretString) -> io::Result<Self> {
        let server = server.expose_secret();
        let no_user = || io::Error::new(io::ErrorKind::InvalidInput, "the URL of a service names no user");
        let (before, after) = server.split_once('@').ok_or_else(no_user)?;
        let end = after.find('/').unwrap_or(after.len());
        let (target, rest) = (after[..end].to_owned(), &after[end..]);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let (faults, _) = watch::channel(Faults::default());
        let next = Arc::new(AtomicU64::new(0));
        let task = tokio::spawn(accept(listener, target, faults.clone(), Arc::clone(&next)));
        Ok(Self { url: format!("{before}@127.0.0.1:{port}{rest}").into(), faults, next, task })
    }

    /// The URL that leads through the proxy.
    pub fn url(&self) -> SecretString {
        self.url.clone()
    }

    /// Breaks every connection, and each new one, until it is mended.
    pub fn cut(&self) {
        let now = self.next.load(Ordering::SeqCst);
        self.faults.send_modify(|faults| (faults.refusing, faults.cut_below) = (true, now));
    }

    /// Carries nothing in this direction until it is mended; new connections are accepted and fare the same.
    pub fn hold(&self, way: Way) {
        self.faults.send_modify(|faults| faults.held[way as usize] = true);
    }

    /// Carries nothing in either direction until it is mended.
    pub fn hold_both(&self) {
        self.faults.send_modify(|faults| faults.held = [true; 2]);
    }

    /// Forgets the connections of now, which neither end is told; new ones are carried.
    pub fn strand(&self) {
        let now = self.next.load(Ordering::SeqCst);
        self.faults.send_modify(|faults| faults.stranded_below = now);
    }

    /// Ends this direction of the connections of now; the other one stays.
    pub fn half_close(&self, way: Way) {
        let now = self.next.load(Ordering::SeqCst);
        self.faults.send_modify(|faults| faults.half_closed_below[way as usize] = now);
    }

    /// Carries each piece so much later.
    pub fn delay(&self, by: Duration) {
        self.faults.send_modify(|faults| faults.delay = by);
    }

    /// Lets everything through again; what was cut, half-closed or stranded stays so.
    pub fn mend(&self) {
        self.faults.send_modify(|faults| {
            (faults.refusing, faults.held, faults.delay) = (false, [false; 2], Duration::ZERO);
        });
    }

    /// How many connections there have been, with those that were broken at once.
    pub fn connections(&self) -> u64 {
        self.next.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, target: String, faults: watch::Sender<Faults>, next: Arc<AtomicU64>) {
    // Ends them with this task.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let faults = faults.subscribe();
        let number = next.fetch_add(1, Ordering::SeqCst);
        if faults.borrow().refusing {
            continue;
        }
        let target = target.clone();
        connections.spawn(async move {
            // A server that is away is as good as a cut.
            let Ok(server) = TcpStream::connect(target).await else { return };
            let ((from_client, to_client), (from_server, to_server)) =
                (client.into_split(), server.into_split());
            let carried = async {
                tokio::try_join!(
                    carry(from_client, to_server, Way::ToServer, number, faults.clone()),
                    carry(from_server, to_client, Way::ToClient, number, faults.clone()),
                )
            };
            let mut cut = faults.clone();
            tokio::select! {
                _ = carried => {}
                _ = cut.wait_for(|faults| number < faults.cut_below) => {}
            }
        });
    }
}

/// Carries one direction of a connection until it ends, or is ended.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    way: Way,
    number: u64,
    mut faults: watch::Receiver<Faults>,
) -> io::Result<()> {
    let mut half_closed = faults.clone();
    let mut piece = vec![0; 64 << 10];
    loop {
        let read = tokio::select! {
            read = from.read(&mut piece) => read?,
            _ = half_closed.wait_for(|faults| number < faults.half_closed_below[way as usize]) => 0,
        };
        let passes = |faults: &Faults| !faults.held[way as usize] && number >= faults.stranded_below;
        let Ok(faults) = faults.wait_for(passes).await.map(|faults| faults.clone()) else { return Ok(()) };
        tokio::time::sleep(faults.delay).await;
        if read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&piece[..read]).await?;
    }
}
