//! A nats-server of one test's own: it may be stopped, its store be changed, its configuration be reloaded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};
use sandbox::{Nats, Options};
use secrecy::{ExposeSecret as _, SecretString};
use tempfile::TempDir;

pub(crate) struct Broker {
    pub(crate) url: SecretString,
    options: Options,
    // Before the directory it lives in.
    nats: Option<Nats>,
    dir: TempDir,
}

impl Broker {
    pub(crate) async fn start() -> Self {
        Self::start_program(None).await
    }

    /// The oldest nats-server that Millrace supports, fetched where it is not there yet.
    pub(crate) async fn start_oldest() -> Self {
        Self::start_program(Some(sandbox::testing::oldest_nats_server().await)).await
    }

    async fn start_program(nats_server: Option<PathBuf>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { nats_server, ..Options::new(dir.path()) };
        let nats = Nats::start(&options, dir.path()).await.unwrap();
        Self { url: nats.url(), options, nats: Some(nats), dir }
    }

    /// Stops it in good order.
    pub(crate) async fn stop(&mut self) {
        self.nats.take().unwrap().stop().await.unwrap();
    }

    /// Starts it again at the same place.
    pub(crate) async fn start_again(&mut self) {
        let nats = Nats::start(&self.options, self.dir.path()).await.unwrap();
        assert_eq!(nats.url().expose_secret(), self.url.expose_secret(), "somebody else took the port");
        self.nats = Some(nats);
    }

    /// Where all streams are kept.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("nats")
    }

    /// Where the messages of our stream are, without what is known of its durables.
    pub(crate) fn messages(&self) -> PathBuf {
        self.store().join("jetstream/MILLRACE/streams/EVENTS/msgs")
    }

    /// Copies a part of the store.
    pub(crate) fn copy(&self, part: &Path) -> PathBuf {
        let copy = self.dir.path().join("copy");
        copy_dir(part, &copy);
        copy
    }

    /// Puts a copy back to where it comes from.
    pub(crate) fn put_back(copy: &Path, part: &Path) {
        fs::remove_dir_all(part).unwrap();
        copy_dir(copy, part);
    }

    /// Lets the running server read a changed configuration.
    pub(crate) fn reload(&self, change: impl FnOnce(String) -> String) {
        let path = self.dir.path().join("nats.conf");
        fs::write(&path, change(fs::read_to_string(&path).unwrap())).unwrap();
        let pid = Pid::from_raw(self.nats.as_ref().unwrap().pid().cast_signed()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
    }
}

/// User and password of a URL, which async-nats does not take from it by itself.
pub(crate) fn options(url: &SecretString) -> async_nats::ConnectOptions {
    let user = url.expose_secret().split_once("://").unwrap().1.split_once('@').unwrap().0;
    let (user, password) = user.split_once(':').unwrap();
    async_nats::ConnectOptions::new().user_and_password(user.to_owned(), password.to_owned())
}

fn copy_dir(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
}
