//! A real database keeps what it has promised to keep.

use std::path::Path;
use std::process::Command;

use dhow_testkit::{World, eventually, finish};

use crate::busybox;

/// Puts PostgreSQL as Debian has installed it here into a folder, with the libraries it needs, and packs it.
const PACK: &str = r#"
set -e
bin=$(ls -d /usr/lib/postgresql/*/bin | tail -1); version=$(basename "$(dirname "$bin")")
lib=/usr/lib/postgresql/$version/lib
mkdir -p root/bin root/etc root/data root/usr/share/postgresql root/usr/share/zoneinfo "root$bin" "root$lib"
mkdir -m 1777 root/tmp
cp "$(command -v busybox)" root/bin/busybox
for name in sh cat sleep ls; do ln -s busybox root/bin/$name; done
cp "$bin/postgres" "$bin/initdb" "$bin/psql" "root$bin"
cp "$lib/dict_snowball.so" "$lib/plpgsql.so" "root$lib"
cp -r "/usr/share/postgresql/$version" root/usr/share/postgresql
for zone in UTC GMT; do cp -L "/usr/share/zoneinfo/$zone" root/usr/share/zoneinfo 2> /dev/null || true; done
for file in "root$bin"/* "root$lib"/*.so; do ldd "$file" | grep -o '/[^ ]*' || true; done | sort -u | while read -r file; do
    mkdir -p "root$(dirname "$file")"
    cp -L "$file" "root$file"
done
printf 'root:x:0:0:root:/root:/bin/sh\npostgres:x:70:70::/data:/bin/sh\n' > root/etc/passwd
chown 70:70 root/data
for name in initdb postgres psql; do ln -s "$bin/$name" root/bin/$name; done
tar -C root -cf postgres.tar .
"#;

const RUN: [&str; 12] =
    ["run", "-d", "--name", "db", "--network", "none", "-v", "pg:/data", "--user", "postgres", "--shm-size", "64m"];

/// The database answers; what it says to a statement.
fn ask(world: &World, statement: &str) -> String {
    let psql = ["exec", "db", "psql", "-h", "/tmp", "-U", "postgres", "-AtqX", "-c", statement];
    eventually("the database answers", || {
        world.dhow(&["exec", "db", "psql", "-h", "/tmp", "-U", "postgres", "-c", "select 1"]).code() == 0
    });
    world.dhow(&psql).ok()
}

fn start(world: &World) {
    let server = ["postgres", "postgres", "-D", "/data/db", "-k", "/tmp", "-c", "listen_addresses="];
    world.dhow(&[&RUN[..], &server[..]].concat()).exits(0);
}

/// Makes an image of PostgreSQL; `false` where it is not installed.
pub(crate) fn import_postgres(world: &World) -> bool {
    let installed = Path::new("/usr/lib/postgresql").read_dir().is_ok_and(|mut entries| entries.next().is_some());
    if installed {
        finish(Command::new("bash").args(["-c", PACK]).current_dir(world.path())).exits(0);
        let archive = world.path().join("postgres.tar").display().to_string();
        world.dhow(&["import", &archive, "postgres"]).exits(0);
    }
    installed
}

#[test]
fn a_database_keeps_its_data_over_removal_and_over_a_kill_of_everything() {
    let mut world = busybox();
    if !import_postgres(&world) {
        eprintln!("SKIPPED: PostgreSQL is not installed");
        return;
    }
    let init = ["initdb", "-D", "/data/db", "--no-locale", "-E", "UTF8", "-A", "trust", "--no-sync"];
    let run = ["run", "--rm", "--network", "none", "-v", "pg:/data", "--user", "postgres", "postgres"];
    world.dhow(&[&run[..], &init[..]].concat()).exits(0);
    start(&world);
    ask(&world, "create table kept (number integer)");
    ask(&world, "insert into kept select generate_series(1, 1000)");
    world.dhow(&["stop", "db"]).exits(0);
    world.docker(&["rm", "db"]).exits(0);
    start(&world);
    assert_eq!(ask(&world, "select count(*), sum(number) from kept"), "1000|500500");
    ask(&world, "insert into kept values (1001)");
    // Everything at once: engine, shim and database, without a word.
    let mut pids = vec![world.inspect("db", "{{.State.Pid}}")];
    pids.extend(world.shims().iter().map(ToString::to_string));
    world.crash_engine();
    finish(Command::new("kill").arg("-KILL").args(&pids)).exits(0);
    world.start_engine();
    eventually("the end is known", || world.inspect("db", "{{.State.Running}}") == "false");
    world.dhow(&["start", "db"]).exits(0);
    assert_eq!(ask(&world, "select count(*), sum(number) from kept"), "1001|501501");
}
