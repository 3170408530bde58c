//! The project's own tasks. `cargo xtask` lists them.

mod bench;
mod docs;
mod shell;
mod test;
mod tidy;
mod vm;

use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask TASK

  tidy     check the walls of the house: dependencies, unsafe code, sizes, licences (--write updates deps.txt)
  test     build once, then run every check and test; installs what they need where it is root
  bench    measure against what is installed, as ratios in one run; writes target/bench.json; `bench run exec` only those
  docs     write docs/reference and the man pages (target/man), made of the tables of the command line
  vm       run test programs under a stock Debian kernel with cgroup v2 in QEMU
  boot     boot a machine in QEMU again, and look which containers are started
  power    kill machines that pull images in QEMU, and look at what they leave; `power 50` so many
";

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let task = args.next().unwrap_or_default();
    let rest: Vec<String> = args.collect();
    let result = match task.as_str() {
        "tidy" => tidy::run(&rest),
        "test" => test::run(&rest),
        "bench" => bench::run(&rest),
        "docs" => docs::run(&rest),
        "vm" => vm::run(&rest),
        "boot" => vm::boot::run(&rest),
        "power" => vm::power::run(&rest),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {task}: {error}");
            ExitCode::FAILURE
        }
    }
}
