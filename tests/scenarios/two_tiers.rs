//! An application of two tiers, of software as Debian has it: a web server that asks a database.

use std::process::Command;

use dhow_testkit::{World, eventually, finish};

use crate::busybox;
use crate::networks::ask;
use crate::volumes::database::import_postgres;

/// Puts lighttpd and psql as Debian has installed them here into a folder, with the libraries they need, and packs it.
const PACK: &str = r#"
set -e
psql=$(ls /usr/lib/postgresql/*/bin/psql | tail -1)
mkdir -p web/bin web/etc web/www web/tmp web/usr/sbin web/usr/lib/lighttpd "web$(dirname "$psql")"
cp "$(command -v busybox)" web/bin/busybox
ln -s busybox web/bin/sh
cp "$(command -v lighttpd)" web/usr/sbin/lighttpd
cp /usr/lib/lighttpd/mod_cgi.so web/usr/lib/lighttpd
cp "$psql" "web$psql"
ln -s "$psql" web/bin/psql
for file in web/usr/sbin/lighttpd web/usr/lib/lighttpd/*.so "web$psql"; do
    ldd "$file" | grep -o '/[^ ]*' || true
done | sort -u | while read -r file; do
    mkdir -p "web$(dirname "$file")"
    cp -L "$file" "web$file"
done
printf 'root:x:0:0:root:/:/bin/sh\n' > web/etc/passwd
cat > web/etc/lighttpd.conf <<'END'
server.modules = ("mod_cgi")
server.compat-module-load = "disable"
server.port = 80
server.document-root = "/www"
cgi.assign = ("" => "/bin/sh")
END
cat > web/www/name <<'END'
printf 'Content-Type: text/plain\n\n'
psql -h database -U postgres -AtqX -c 'insert into visits default values' -c 'select count(*) from visits' 2>&1
END
tar -C web -cf web.tar .
"#;

/// The database, in a network without a way out.
fn start_database(world: &World) {
    let run = ["run", "--network", "back", "--user", "postgres", "--shm-size", "64m", "-v", "data:/data"];
    let prepare = "initdb -D /data/db --no-locale -E UTF8 -A trust --no-sync > /dev/null && \
                   echo 'host all all all trust' >> /data/db/pg_hba.conf";
    world.dhow(&[&run[..], &["--rm", "postgres", "sh", "-c", prepare]].concat()).exits(0);
    let server = ["postgres", "postgres", "-D", "/data/db", "-k", "/tmp", "-c", "listen_addresses=*"];
    let named = ["-d", "--name", "db", "--network-alias", "database", "--restart", "always"];
    world.dhow(&[&run[..], &named[..], &server[..]].concat()).exits(0);
    let psql = ["exec", "db", "psql", "-h", "/tmp", "-U", "postgres", "-c", "create table visits (at serial)"];
    eventually("the database answers", || world.dhow(&psql).code() == 0);
}

#[test]
fn a_web_server_finds_its_database_by_name_and_is_reached_by_a_published_port() {
    let mut world = busybox();
    if !import_postgres(&world) || finish(Command::new("lighttpd").arg("-v")).code() != 0 {
        eprintln!("SKIPPED: PostgreSQL or lighttpd is not installed");
        return;
    }
    finish(Command::new("bash").args(["-c", PACK]).current_dir(world.path())).exits(0);
    let archive = world.path().join("web.tar").display().to_string();
    world
        .dhow(&["import", "-c", "CMD [\"lighttpd\", \"-D\", \"-f\", \"/etc/lighttpd.conf\"]", &archive, "web"])
        .exits(0);
    world.dhow(&["network", "create", "--internal", "back"]).exits(0);
    world.dhow(&["network", "create", "front"]).exits(0);
    start_database(&world);
    world
        .dhow(&["run", "-d", "--name", "web", "--network", "front", "--network", "back", "-p", "8080:80", "web"])
        .exits(0);
    let visit = || ask("127.0.0.1:8080").and_then(|text| text.parse::<u32>().ok());
    eventually("a visit is counted", || visit().is_some());
    let before = visit().expect("it has worked");
    // Whatever happens to the database or the engine, the web server finds it again.
    world.dhow(&["restart", "db"]).exits(0);
    eventually("it counts on", || visit().is_some_and(|number| number > before));
    world.crash_engine();
    world.start_engine();
    assert!(visit().is_some());
    let outside = ["run", "--rm", "--network", "front", "postgres", "psql", "-h", "database", "-U", "postgres"];
    world.dhow(&outside).exits(2).says("could not translate host name \"database\"");
}
