//! The host boots again: who is started, in which order, and who lives in whose network (moby#31971, moby#11777).

use std::fs;

use super::life::{self, Machine};
use super::{common, cpio::Archive, folder, kernel};
use crate::shell::Result;

/// How often the power goes and comes again.
const BOOTS: usize = 2;

/// Containers are made, and the machine is cut off; the next ones look for them.
pub(crate) fn run(args: &[String]) -> Result {
    if !args.is_empty() {
        return Err("this task takes no arguments".to_owned());
    }
    let folder = folder()?;
    let modules = [&kernel::FOR_CONTAINERS[..], &kernel::FOR_A_DISK].concat();
    let kernel = kernel::fetch(&folder, &modules)?;
    let (start, disk) = (folder.join("boot-initrd"), folder.join("boot-disk"));
    fs::write(&start, initial_disk(&kernel)?).map_err(|error| format!("{}: {error}", start.display()))?;
    life::format(&disk)?;
    let lived = (0..=BOOTS).try_for_each(|_| live(Machine::start(&kernel.image, &start, &disk)?));
    life::closed(lived)
}

/// Until everything is as it should be; then the power goes.
fn live(mut machine: Machine) -> Result {
    loop {
        let told = machine.next()?;
        println!("{}", told.join(" "));
        if told == ["settled"] {
            machine.cut();
            return Ok(());
        }
    }
}

fn initial_disk(kernel: &kernel::Kernel) -> Result<Vec<u8>> {
    let mut archive = Archive::default();
    for folder in ["data", "dev", "proc", "root", "run", "sys", "tmp"] {
        archive.folder(folder);
    }
    let modules = common(&mut archive, kernel)?;
    archive.program("init", life::init(&modules, "", THEN).as_bytes());
    Ok(archive.finish())
}

/// By name the last one comes first, by age the first; all three write to a log server, which comes late after a boot.
const THEN: &str = "levels='z-base m-middle a-top'
get() { dhow inspect -f \"{{.State.$2}}\" $1; }
become() {
    tries=0
    until [ \"$(get $1 Status)\" = $2 ]; do
        tries=$((tries + 1))
        [ $tries = 600 ] && { cat /run/log; echo told: failed: $1 is $(get $1 Status), not $2; poweroff -f; }
        sleep 0.1
    done
    echo told: $1 is $2
}
run() { dhow run -d --name $* > /dev/null || echo told: failed: run $1; }
serve_logs() { nc -ll -p 514 -e cat > /dev/null 2>&1 & }
image() {
    mkdir -p /tmp/root/bin
    cp /bin/busybox /tmp/root/bin
    for name in sh sleep httpd; do ln -s busybox /tmp/root/bin/$name; done
    tar -C /tmp/root -c . | dhow import - small > /dev/null
}
make() {
    serve_logs
    image
    logs='--log-driver syslog --log-opt syslog-address=tcp://127.0.0.1:514'
    run z-base --restart always -p 8080:80 $logs small httpd -f -h /bin
    run m-middle --restart unless-stopped --network container:z-base $logs small sleep 100000
    run a-top --restart always --network container:m-middle $logs small sleep 100000
    run failure --restart on-failure small sleep 100000
    run never small sleep 100000
    run stopped --restart unless-stopped small sleep 100000
    dhow stop -t 0 stopped > /dev/null
}
find() {
    for name in $levels; do become $name restarting; done
    serve_logs
    for name in $levels failure; do become $name running; done
    for name in never stopped; do become $name exited; done
    for name in $levels; do
        namespace=$(readlink /proc/$(get $name Pid)/ns/net)
        [ ${first:=$namespace} = $namespace ] || echo told: failed: $name is in a network of its own
    done
    wget -q -O /dev/null http://127.0.0.1:8080/sh || echo told: failed: nobody answers at the published port
}
if [ -z \"$(dhow ps -aq)\" ]; then make; else find; fi
echo told: settled
sleep 100000
";
