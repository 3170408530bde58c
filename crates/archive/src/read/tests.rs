use std::io::{Cursor, Read};
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

fn entries(bytes: &[u8], lenient: bool) -> Result<Vec<Entry>> {
    let mut archive = Archive::new(Cursor::new(bytes), lenient);
    let mut entries = Vec::new();
    while let Some(entry) = archive.next()? {
        entries.push(entry);
    }
    archive.finish()?;
    Ok(entries)
}

/// A header block with its checksum.
fn block(kind: u8, name: &str, size: u64) -> [u8; BLOCK] {
    let mut header = Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(EntryType::new(kind));
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

/// Blocks and contents, each filled up to whole blocks, with the end marker.
fn archive(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(part);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
    }
    bytes.resize(bytes.len() + 2 * BLOCK, 0);
    bytes
}

/// PAX records with their lengths.
fn records(pairs: &[(&str, &str)]) -> Vec<u8> {
    let record = |(key, value): &(&str, &str)| {
        let rest = format!(" {key}={value}\n");
        // The length counts its own digits: two for every record here.
        format!("{:02}{rest}", rest.len() + 2)
    };
    pairs.iter().map(record).collect::<String>().into_bytes()
}

fn gnu_tar(folder: &std::path::Path, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new("tar").arg("-C").arg(folder).args(arguments).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success());
    output.stdout
}

#[test]
fn an_empty_archive_has_no_entries() {
    assert_eq!(entries(&archive(&[]), false).unwrap(), []);
    assert_eq!(entries(&[], true).unwrap(), []);
    assert_eq!(entries(&[], false).unwrap_err().class(), dhow_errdefs::Class::DataLoss);
}

#[test]
fn every_truncation_is_an_error() {
    let whole = archive(&[&block(b'0', "file", 700), &[7; 700], &block(b'5', "folder", 0)]);
    for length in 0..whole.len() - 2 * BLOCK {
        assert!(entries(&whole[..length], false).is_err(), "{length} of {} bytes", whole.len());
    }
    assert!(entries(&whole, false).is_ok());
}

#[test]
fn data_after_the_end_is_an_error() {
    let mut bytes = archive(&[&block(b'0', "file", 0)]);
    bytes.extend_from_slice(&[0; 4096]);
    assert!(entries(&bytes, false).is_ok(), "tar fills up to its blocking factor");
    bytes.push(b'x');
    assert!(entries(&bytes, false).is_err());
}

#[test]
fn a_wrong_checksum_is_an_error() {
    let mut bytes = archive(&[&block(b'0', "file", 0)]);
    bytes[0] ^= 1;
    let wrong = entries(&bytes, false).unwrap_err();
    let none = entries(&[b'x'; 1024], false).unwrap_err();
    for error in [wrong, none] {
        assert!(error.to_string().contains("checksum"), "{error}");
        assert_eq!(error.hint(), Some("is it a tar archive?"));
    }
}

#[test]
fn a_size_in_pax_wins_over_the_header_so_that_nothing_can_hide_between() {
    let hidden = block(b'0', "hidden", 0);
    let records = &records(&[("size", "512")]);
    let bytes = archive(&[
        &block(b'x', "pax", records.len() as u64),
        records,
        &block(b'0', "outer", 0),
        &hidden,
        &block(b'0', "next", 0),
    ]);
    let names: Vec<_> = entries(&bytes, false).unwrap().into_iter().map(|entry| entry.path).collect();
    assert_eq!(names, [b"outer".to_vec(), b"next".to_vec()]);
}

#[test]
fn a_size_on_what_has_no_contents_means_nothing() {
    let bytes = archive(&[&block(b'1', "link", 512), &block(b'0', "next", 0)]);
    assert_eq!(entries(&bytes, false).unwrap().len(), 2);
}

#[test]
fn records_are_bounded() {
    let error = entries(&archive(&[&block(b'L', "long", 1 << 40)]), false).unwrap_err();
    assert_eq!(error.class(), dhow_errdefs::Class::ResourceExhausted);
    assert!(entries(&archive(&[&block(b'0', "huge", u64::MAX >> 1)]), false).is_err());
}

#[test]
fn unknown_types_and_negative_sizes_are_refused() {
    assert!(entries(&archive(&[&block(b'M', "volume", 0)]), false).is_err());
    let mut header = Header::from_byte_slice(&block(b'0', "x", 0)).clone();
    header.as_old_mut().size = [0xff; 12];
    header.set_cksum();
    assert!(entries(&archive(&[header.as_bytes()]), false).is_err());
}

#[test]
fn high_owners_come_in_base_256_and_in_pax() {
    let mut header = Header::from_byte_slice(&block(b'0', "x", 0)).clone();
    header.set_uid(4_000_000_000);
    header.set_cksum();
    let records = &records(&[("gid", "3000000000")]);
    let bytes = archive(&[&block(b'x', "pax", records.len() as u64), records, header.as_bytes()]);
    let entry = entries(&bytes, false).unwrap().remove(0);
    assert_eq!((entry.uid, entry.gid), (4_000_000_000, 3_000_000_000));
}

#[test]
fn sparse_maps_must_fit() {
    for (map, fits) in [("0,10,5,10,40,5", false), ("0,10,40,15", true), ("0,10,90,15", false), ("0,24", false)] {
        let records = &records(&[("GNU.sparse.size", "99"), ("GNU.sparse.map", map)]);
        let bytes = archive(&[&block(b'x', "pax", records.len() as u64), records, &block(b'0', "s", 25), &[1; 25]]);
        assert_eq!(entries(&bytes, false).is_ok(), fits);
    }
}

#[test]
fn what_gnu_tar_writes_is_read_in_every_format() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("{}/{}", "d".repeat(150), "f".repeat(150));
    std::fs::create_dir(folder.path().join("d".repeat(150))).unwrap();
    std::fs::write(folder.path().join(&long), "contents").unwrap();
    std::os::unix::fs::symlink("t".repeat(200), folder.path().join("link")).unwrap();
    for format in ["gnu", "posix", "oldgnu"] {
        let bytes = gnu_tar(folder.path(), &["-c", "--format", format, "--owner=:2000000000", "--numeric-owner", "."]);
        let found = entries(&bytes, false).unwrap();
        let file = found.iter().find(|entry| entry.path.ends_with(long.as_bytes())).unwrap();
        assert_eq!(file.kind, Kind::File { size: 8, extents: None }, "{format}");
        assert_eq!(file.uid, 2_000_000_000, "{format}");
        assert!(found.iter().any(|entry| entry.kind == Kind::Symlink(b"t".repeat(200))), "{format}");
    }
}

#[test]
fn sparse_files_of_gnu_tar_are_read_in_every_version() {
    use std::os::unix::fs::FileExt;
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("sparse")).unwrap();
    // More pieces than a header holds, so that extension blocks are needed.
    for piece in 0..40 {
        file.write_all_at(&[piece + 1; 4096], u64::from(piece) << 20).unwrap();
    }
    file.set_len(64 << 20).unwrap();
    let mut contents = Vec::new();
    File::open(folder.path().join("sparse")).unwrap().read_to_end(&mut contents).unwrap();
    let versions = [
        &["--format=gnu"][..],
        &["--format=posix", "--sparse-version=0.0"],
        &["--format=posix", "--sparse-version=0.1"],
        &["--format=posix", "--sparse-version=1.0"],
    ];
    for version in versions {
        let bytes = gnu_tar(folder.path(), &[version, &["-c", "-S", "sparse"]].concat());
        assert!(bytes.len() < 1 << 20, "tar found the holes");
        let mut archive = Archive::new(Cursor::new(&bytes), false);
        let entry = archive.next().unwrap().unwrap();
        assert_eq!(entry.path, b"sparse", "{version:?}");
        let Kind::File { size, extents: Some(extents) } = entry.kind else { panic!("{version:?}") };
        let mut found = vec![0; size as usize];
        for extent in extents {
            for at in extent.offset..extent.offset + extent.length {
                found[at as usize] = archive.byte().unwrap();
            }
        }
        assert!(found == contents, "{version:?}");
        assert!(archive.next().unwrap().is_none());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// Whatever the bytes are, reading ends, with entries or an error.
    #[test]
    fn damage_never_panics(flips in prop::collection::vec((0usize..4096, any::<u8>()), 1..8), cut in 0usize..4096) {
        let records =
            &records(&[("GNU.sparse.major", "1"), ("GNU.sparse.minor", "0"), ("GNU.sparse.realsize", "99")]);
        let mut bytes = archive(&[
            &block(b'x', "pax", records.len() as u64), records, &block(b'0', "s", 520), b"1\n0\n8\n", &[1; 8],
            &block(b'L', "long", 9), b"long name", &block(b'0', "f", 3), b"abc",
        ]);
        bytes.truncate(cut.max(BLOCK));
        for (at, value) in flips {
            let length = bytes.len();
            bytes[at % length] = value;
        }
        for start in (0..bytes.len() / BLOCK).map(|number| number * BLOCK) {
            // A right checksum, so that the damage is seen.
            let mut header = Header::new_old();
            header.as_mut_bytes().copy_from_slice(&bytes[start..start + BLOCK]);
            header.set_cksum();
            bytes[start..start + BLOCK].copy_from_slice(header.as_bytes());
            let _ = entries(&bytes, false);
        }
    }
}
