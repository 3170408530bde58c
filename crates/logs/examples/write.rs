//! What writing a log costs by itself: lines in batches as a shim reads them, against the same bytes to a plain file.
//!
//! Run: `cargo run --release -p dhow-logs --example write -- [lines]`

use std::error::Error;
use std::fs::File;
use std::io::Write;
use std::time::Instant;

use dhow_logs::{Config, Driver, Query, Reader, Step, Stream, Writer};

const LINE: &[u8] = b"a line of an ordinary log, neither short nor long, about eighty bytes of it\n";
const ROUNDS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let lines = std::env::args().nth(1).map_or(Ok(300_000), |lines| lines.parse())?;
    let text = LINE.repeat(lines);
    for size in [4096, 65_536] {
        println!("batches of {size} bytes");
        println!("  file       {:6.1} ms", plain(&text, size)?);
        for driver in [Driver::Local, Driver::JsonFile] {
            println!("  {:9}  {:6.1} ms", driver.as_str(), log(&text, size, driver)?);
        }
    }
    tail(&text)
}

fn plain(text: &[u8], size: usize) -> Result<f64, Box<dyn Error>> {
    median(|dir| {
        let mut file = File::create(dir.join("file"))?;
        let begin = Instant::now();
        text.chunks(size).try_for_each(|chunk| file.write_all(chunk))?;
        Ok(begin)
    })
}

fn log(text: &[u8], size: usize, driver: Driver) -> Result<f64, Box<dyn Error>> {
    median(|dir| {
        let mut writer = Writer::open(Some(&dir.join("log")), &Config::of(driver))?;
        let begin = Instant::now();
        text.chunks(size).for_each(|chunk| writer.write(Stream::Stdout, chunk));
        Ok(begin)
    })
}

fn median(round: impl Fn(&std::path::Path) -> Result<Instant, Box<dyn Error>>) -> Result<f64, Box<dyn Error>> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let dir = tempfile::tempdir()?;
        times.push(round(dir.path())?.elapsed().as_secs_f64() * 1000.0);
    }
    times.sort_by(f64::total_cmp);
    Ok(times[ROUNDS / 2])
}

fn tail(text: &[u8]) -> Result<(), Box<dyn Error>> {
    let dir = tempfile::tempdir()?;
    let (path, config) = (dir.path().join("log"), Config { max_size: None, ..Config::default() });
    let mut writer = Writer::open(Some(&path), &config)?;
    for _ in 0..10 {
        text.chunks(65_536).for_each(|chunk| writer.write(Stream::Stdout, chunk));
    }
    let begin = Instant::now();
    let mut reader = Reader::open(&path, &config, Query { tail: Some(100), ..Query::default() })?;
    let mut found = 0;
    while let Step::Entry(_) = reader.read()? {
        found += 1;
    }
    let size = path.metadata()?.len() / 1_000_000;
    println!("the last {found} lines of {size} MB: {:.2} ms", begin.elapsed().as_secs_f64() * 1000.0);
    Ok(())
}
