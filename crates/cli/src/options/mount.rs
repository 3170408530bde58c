//! `--mount type=bind,source=…,target=…`.

use dhow_api::container::{BindOptions, DriverConfig, Mount, TmpfsOptions, VolumeOptions};

use super::label::pair;
use super::volume::absolute;
use crate::flags::parse_bool;
use crate::format::parse_bytes;

/// Checks a value.
pub(super) fn check(text: &str) -> Result<(), String> {
    parse(text).map(drop)
}

/// Reads a value: fields of CSV, each a key, or a key and a value. The error is Docker's text.
pub(super) fn parse(text: &str) -> Result<Mount, String> {
    if text.trim().is_empty() {
        return Err("EOF".into());
    }
    let mut mount = Mount { kind: "volume".into(), ..Mount::default() };
    for field in fields(text)? {
        let (key, value) = match field.split_once('=') {
            Some((key, value)) => (key.to_lowercase(), Some(value)),
            None => (field.to_lowercase(), None),
        };
        set(&mut mount, &field, &key, value)?;
    }
    finish(mount)
}

fn set(mount: &mut Mount, field: &str, key: &str, value: Option<&str>) -> Result<(), String> {
    let flag = |value: Option<&str>| match value {
        None => Ok(true),
        Some(value) => parse_bool(value).ok_or_else(|| format!("invalid value for {key}: {value}")),
    };
    match key {
        "readonly" | "ro" => {
            mount.read_only = flag(value)?;
            return Ok(());
        }
        "volume-nocopy" => {
            volume(mount).no_copy = flag(value)?;
            return Ok(());
        }
        "bind-nonrecursive" => {
            bind(mount).non_recursive = flag(value)?;
            return Ok(());
        }
        // Of dhow alone.
        "idmap" => {
            bind(mount).id_map = flag(value)?;
            return Ok(());
        }
        "bind-create-mountpoint" => {
            bind(mount).create_mountpoint = flag(value)?;
            return Ok(());
        }
        _ => {}
    }
    let Some(value) = value else { return Err(format!("invalid field '{field}' must be a key=value pair")) };
    match key {
        "type" => mount.kind = value.to_lowercase(),
        "source" | "src" => mount.source = source(value),
        "target" | "dst" | "destination" => value.clone_into(&mut mount.target),
        "consistency" => mount.consistency = value.to_lowercase(),
        "bind-propagation" => bind(mount).propagation = value.to_lowercase(),
        "bind-recursive" => recursive(mount, value)?,
        "volume-subpath" => value.clone_into(&mut volume(mount).subpath),
        "volume-driver" => value.clone_into(&mut driver(mount).name),
        "volume-label" => volume(mount).labels.extend([pair(value)]),
        "volume-opt" => driver(mount).options.extend([pair(value)]),
        "image-subpath" => mount.image_options = Some(serde_json::json!({ "Subpath": value })),
        "tmpfs-size" => {
            // One too large for a number would be one that the kernel takes for no limit.
            let size = parse_bytes(value).ok().filter(|size| *size < i64::MAX);
            tmpfs(mount).size_bytes = size.ok_or_else(|| format!("invalid value for {key}: {value}"))?;
        }
        "tmpfs-mode" => {
            let mode = u32::from_str_radix(value, 8);
            tmpfs(mount).mode = mode.map_err(|_| format!("invalid value for {key}: {value}"))?;
        }
        _ => return Err(format!("unexpected key '{key}' in '{field}'")),
    }
    Ok(())
}

/// A path that begins with a dot is relative to the current folder; other words may be names of volumes.
fn source(value: &str) -> String {
    if value == "." || value.starts_with("./") || value == ".." || value.starts_with("../") {
        return absolute(value);
    }
    value.to_owned()
}

fn recursive(mount: &mut Mount, value: &str) -> Result<(), String> {
    match value {
        "enabled" => {}
        "disabled" => bind(mount).non_recursive = true,
        "writable" => bind(mount).read_only_non_recursive = true,
        "readonly" => bind(mount).read_only_force_recursive = true,
        _ => {
            return Err(format!(
                "invalid value for bind-recursive: {value} (must be \"enabled\", \"disabled\", \"writable\", or \"readonly\")"
            ));
        }
    }
    Ok(())
}

fn bind(mount: &mut Mount) -> &mut BindOptions {
    mount.bind_options.get_or_insert_default()
}

fn volume(mount: &mut Mount) -> &mut VolumeOptions {
    mount.volume_options.get_or_insert_default()
}

fn driver(mount: &mut Mount) -> &mut DriverConfig {
    volume(mount).driver_config.get_or_insert_default()
}

fn tmpfs(mount: &mut Mount) -> &mut TmpfsOptions {
    mount.tmpfs_options.get_or_insert_default()
}

fn finish(mount: Mount) -> Result<Mount, String> {
    let kind = mount.kind.as_str();
    if kind.is_empty() {
        return Err("type is required".into());
    }
    if mount.target.is_empty() {
        return Err("target is required".into());
    }
    for (given, of) in [
        (mount.volume_options.is_some(), "volume"),
        (mount.bind_options.is_some(), "bind"),
        (mount.tmpfs_options.is_some(), "tmpfs"),
        (mount.image_options.is_some(), "image"),
    ] {
        if given && kind != of {
            return Err(format!("cannot mix '{of}-*' options with mount type '{kind}'"));
        }
    }
    if let Some(bind) = &mount.bind_options {
        check_recursion(bind, mount.read_only)?;
    }
    Ok(mount)
}

fn check_recursion(bind: &BindOptions, read_only: bool) -> Result<(), String> {
    let lacks = |value: &str, needed: &str| {
        Err(format!("option 'bind-recursive={value}' requires '{needed}' to be specified in conjunction"))
    };
    match bind {
        BindOptions { read_only_non_recursive: true, .. } if !read_only => lacks("writable", "readonly"),
        BindOptions { read_only_force_recursive: true, .. } if !read_only => lacks("readonly", "readonly"),
        BindOptions { read_only_force_recursive: true, propagation, .. } if propagation != "rprivate" => {
            lacks("readonly", "bind-propagation=rprivate")
        }
        _ => Ok(()),
    }
}

/// The fields of one line of CSV: quotes around a field keep its commas, two quotes are one.
pub(super) fn fields(text: &str) -> Result<Vec<String>, String> {
    let (mut fields, mut field) = (Vec::new(), String::new());
    let (mut quoted, mut characters) = (false, text.chars().peekable());
    while let Some(c) = characters.next() {
        match c {
            '"' if quoted && characters.peek() == Some(&'"') => {
                field.push('"');
                characters.next();
            }
            '"' if quoted => quoted = false,
            '"' if field.is_empty() => quoted = true,
            '"' => {
                return Err(format!("parse error on line 1, column {}: bare \" in non-quoted-field", field.len() + 1));
            }
            ',' if !quoted => fields.push(std::mem::take(&mut field)),
            other => field.push(other),
        }
    }
    if quoted {
        return Err("parse error on line 1: extraneous or missing \" in quoted-field".into());
    }
    fields.push(field);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn binds_volumes_and_tmpfs() {
        let mount = parse("type=bind,src=/a,dst=/b,readonly,bind-propagation=rshared").unwrap();
        assert_eq!((mount.kind.as_str(), mount.source.as_str(), mount.target.as_str()), ("bind", "/a", "/b"));
        assert!(mount.read_only);
        assert_eq!(mount.bind_options.unwrap().propagation, "rshared");

        assert!(parse("type=bind,src=/a,dst=/b,idmap").unwrap().bind_options.unwrap().id_map);

        let mount =
            parse("source=v,target=/d,volume-driver=local,\"volume-opt=o=addr=x,vers=4\",volume-nocopy").unwrap();
        let options = mount.volume_options.unwrap();
        assert!(options.no_copy);
        assert_eq!(options.driver_config.unwrap().options["o"], "addr=x,vers=4");

        let mount = parse("type=tmpfs,dst=/t,tmpfs-size=1m,tmpfs-mode=1777").unwrap();
        let options = mount.tmpfs_options.unwrap();
        assert_eq!((options.size_bytes, options.mode), (1 << 20, 0o1777));
    }

    #[test]
    fn errors_in_dockers_words() {
        for (text, error) in [
            ("foo", "invalid field 'foo' must be a key=value pair"),
            (
                "type=bind,dst=/x,bind-recursive=writable",
                "option 'bind-recursive=writable' requires 'readonly' to be specified in conjunction",
            ),
            ("type=bind,foo=x", "unexpected key 'foo' in 'foo=x'"),
            ("type=bind,src=/x", "target is required"),
            ("type=bind,dst=/x,readonly=maybe", "invalid value for readonly: maybe"),
            ("type=bind,dst=/x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
            ("type=tmpfs,dst=/x,tmpfs-size=99999999999g", "invalid value for tmpfs-size: 99999999999g"),
            ("type=tmpfs,dst=/x,tmpfs-mode=9", "invalid value for tmpfs-mode: 9"),
            ("", "EOF"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
        assert!(fields("a,\"b").is_err() && fields("a\"b").is_err());
    }

    proptest! {
        #[test]
        fn quoted_fields_come_back(words in proptest::collection::vec("[a-z,\" =]{0,6}", 1..4)) {
            let line: Vec<String> = words.iter().map(|word| format!("\"{}\"", word.replace('"', "\"\""))).collect();
            prop_assert_eq!(fields(&line.join(",")).unwrap(), words);
        }

        #[test]
        fn nothing_makes_it_panic(text in ".{0,24}") {
            drop(parse(&text));
        }
    }
}
