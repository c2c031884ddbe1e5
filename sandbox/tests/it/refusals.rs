use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use sandbox::{Error, Options, Sandbox, Services};
use secrecy::ExposeSecret as _;

use crate::bed::Bed;

#[tokio::test]
async fn a_second_owner_is_refused_and_a_client_attaches() {
    let bed = Bed::new();
    assert!(sandbox::attach(&bed.options.data_dir).unwrap().is_none());
    let sandbox = bed.start().await;
    let refused = Sandbox::start(&bed.options, Services::BOTH).await.unwrap_err().to_string();
    assert!(refused.contains(&format!("process {} already runs", std::process::id())), "{refused}");
    let attached = sandbox::attach(&bed.options.data_dir).unwrap().unwrap();
    let url = |url: &Option<secrecy::SecretString>| url.as_ref().unwrap().expose_secret().to_owned();
    assert_eq!(url(&attached.nats_url), url(&sandbox.endpoints().nats_url));
    assert_eq!(url(&attached.database_url), url(&sandbox.endpoints().database_url));
    sandbox.stop().await.unwrap();
    assert!(sandbox::attach(&bed.options.data_dir).unwrap().is_none());
}

#[tokio::test]
async fn a_named_program_must_exist_and_fit() {
    let bed = Bed::new();
    let start =
        async |options: Options| Sandbox::start(&options, Services::BOTH).await.unwrap_err().to_string();
    let missing =
        start(Options { nats_server: Some("/nowhere/nats-server".into()), ..bed.options.clone() }).await;
    assert_eq!(missing, "failed to run /nowhere/nats-server");

    let old = bed.path().join("nats-server");
    fs::write(&old, "#!/bin/sh\necho nats-server: v2.9.10\n").unwrap();
    fs::set_permissions(&old, PermissionsExt::from_mode(0o755)).unwrap();
    let too_old = start(Options { nats_server: Some(old), ..bed.options.clone() }).await;
    assert!(too_old.ends_with("version 2.9 is too old; Millrace needs 2.12 or newer"), "{too_old}");

    let empty = start(Options { postgres_bin: Some(bed.path().to_owned()), ..bed.options.clone() }).await;
    assert!(empty.ends_with("cannot be used: it has no postgres"), "{empty}");
}

#[tokio::test]
async fn a_cluster_of_another_major_is_refused() {
    let bed = Bed::new();
    bed.start().await.stop().await.unwrap();
    fs::write(bed.file("postgres").join("PG_VERSION"), "13\n").unwrap();
    let error = Sandbox::start(&bed.options, Services::BOTH).await.unwrap_err();
    assert!(matches!(&error, Error::OtherMajor { made_by: 13, .. }), "{error}");
    assert!(error.to_string().contains("--fresh"), "{error}");
}

#[tokio::test]
async fn a_taken_port_gives_way_to_a_free_one() {
    let bed = Bed::new();
    bed.start().await.stop().await.unwrap();
    let port = |name: &str| fs::read_to_string(bed.file(name)).unwrap().trim().parse::<u16>().unwrap();
    let before = (port("nats.port"), port("postgres.port"));
    let taken = TcpListener::bind(("127.0.0.1", before.0)).unwrap();
    let sandbox = bed.start().await;
    let after = (port("nats.port"), port("postgres.port"));
    assert_ne!(before.0, after.0);
    assert_eq!(before.1, after.1);
    drop(taken);
    sandbox.stop().await.unwrap();
}

#[tokio::test]
async fn a_lost_password_is_not_replaced() {
    let bed = Bed::new();
    bed.start().await.stop().await.unwrap();
    fs::remove_file(bed.file("password")).unwrap();
    let error = Sandbox::start(&bed.options, Services::BOTH).await.unwrap_err();
    assert!(matches!(error, Error::PasswordLost { .. }), "{error}");
}
