//! The program in the embedded image `hello-world`: it prints the greeting and ends.

fn main() {
    print!("{}", include_str!("greeting.txt"));
}
