//! A file with every kind of bad row, and what a person makes of it.

use crate::bed::rows;

/// What is wrong with each row of [`messy`], and what a person makes of it.
const MENDED: [(&[u8], &[u8]); 10] = [
    (b"6,view,2024-03-13T10:21:14Z,c,p,abc", b"6,view,2024-03-13T10:21:14Z,c,p,1.25"),
    (b"7,teleport,2024-03-13T10:21:14Z,c,p,1", b"7,view,2024-03-13T10:21:14Z,c,p,1"),
    (b"8,view,2024-03-13T10:21:14Z,c,p", b"8,view,2024-03-13T10:21:14Z,c,p,1"),
    (b"9,view,2024-03-13T10:21:14Z,c,p,1,more", b"9,view,2024-03-13T10:21:14Z,c,\"p,1\",1"),
    (b"10,view,2024-03-13T10:21:14Z,nul \0 here,p,1", b"10,view,2024-03-13T10:21:14Z,nothing here,p,1"),
    (b"11,view,2024-03-13T10:21:14Z,Andr\xe9,p,1", "11,view,2024-03-13T10:21:14Z,André,p,1".as_bytes()),
    (b"12,view,tomorrow,c,\"two\nlines\",1", b"12,view,2024-03-13T10:21:14Z,c,\"two\nlines\",1"),
    (b"13,view,2024-03-13T10:21:14Z,c,p,\"12,50\"", b"13,view,2024-03-13T10:21:14Z,c,p,12.50"),
    (&[b'x'; 300_000], b"14,view,2024-03-13T10:21:14Z,c,p,1"),
    (b"15,view,2024-03-13T10:21:14Z,c,\"open,1", b"15,view,2024-03-13T10:21:14Z,c,shut,1"),
];

/// Five good rows, then a bad one of each kind, the last one with a quote that is never closed.
pub(super) fn messy() -> Vec<u8> {
    let bad = MENDED.map(|(bad, _)| bad).join(&b"\n"[..]);
    [rows(1..=5).as_bytes(), &bad, b"\n"].concat()
}

/// Takes the exported text of each bad row for what a person makes of it.
pub(super) fn mend(exported: &[u8]) -> Vec<u8> {
    let mut text = exported.to_vec();
    for (bad, good) in MENDED {
        let quoted = [b"\"", String::from_utf8_lossy(bad).replace('"', "\"\"").as_bytes(), b"\""].concat();
        let found = [bad.to_vec(), quoted].into_iter().find_map(|bad| {
            let line = [b",", &bad[..], b"\n"].concat();
            text.windows(line.len()).position(|part| part == line).map(|at| at + 1..at + 1 + bad.len())
        });
        let found = found.unwrap_or_else(|| panic!("no {} in it", String::from_utf8_lossy(bad)));
        text.splice(found, good.iter().copied());
    }
    text
}
