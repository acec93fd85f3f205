# cargo build, test, nextest, clippy, fmt, doc; rustc
crate() {
  put Cargo.toml <<'X'
[package]
name = "shop"
version = "0.1.0"
edition = "2021"
X
}
good_lib() {
  put src/lib.rs <<'X'
pub fn add(a: i32, b: i32) -> i32 {
    a + b
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds() {
        assert_eq!(add(1, 2), 3);
    }

    #[test]
    fn adds_negative() {
        assert_eq!(add(-1, 1), 0);
    }

    #[test]
    #[ignore = "slow"]
    fn slow() {}
}
X
}
bad_tests() {
  put src/lib.rs <<'X'
pub fn add(a: i32, b: i32) -> i32 {
    a + b
}

pub fn half(a: i32) -> i32 {
    if a % 2 == 1 {
        panic!("odd: {a}");
    }
    a / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds() {
        assert_eq!(add(1, 2), 3);
    }

    #[test]
    fn adds_wrong() {
        assert_eq!(add(2, 2), 5, "two and two");
    }

    #[test]
    fn halves() {
        assert_eq!(half(3), 1);
    }

    #[test]
    #[ignore = "slow"]
    fn slow() {}

    #[test]
    #[should_panic]
    fn should() {
        println!("error: this is only printed, test result: FAILED. 9 passed; 9 failed");
        panic!("wanted");
    }
}
X
}
put_errors() {
  put src/main.rs <<'X'
mod price;

fn main() {
    let total: u32 = price::of("apple");
    println!("{}", totl);
    let unused = 3;
}
X
  put src/price.rs <<'X'
use std::collections::HashMap;

pub fn of(name: &str) -> u64 {
    let n: u64 = "three";
    n
}
X
}
put_warnings() {
  put src/main.rs <<'X'
fn main() {
    let unused = 3;
    let mut x = 5;
    println!("{x}");
}

fn never() {}
X
}

tool cargo-build cargo --version
crate; put_errors
COLOUR='cargo build --color=always' shoot errors failed 101 - 'cargo build' E:src/main.rs:4:22:E0308 E:src/main.rs:5:20:E0425 E:src/price.rs:4:18:E0308 W:src/price.rs:1:5:
fresh; crate; put_warnings
BEFORE='rm -rf target' COLOUR='cargo build --color=always' shoot warnings complete 0 - 'cargo build' W:src/main.rs:2:9: W:src/main.rs:3:9: W:src/main.rs:7:4:
fresh; crate; put src/main.rs <<<'fn main() {}'
BEFORE='rm -rf target' shoot passing complete 0 - 'cargo build'
fresh; put src/main.rs <<<'fn main() {}'; put Cargo.toml <<'X'
[package]
name = "shop"
version = "0.1.0
X
COLOUR='cargo build --color=always' shoot bad-manifest failed 101 - 'cargo build' E:Cargo.toml:3:17:

tool cargo-test cargo --version
crate; good_lib
BEFORE='rm -rf target' shoot passing complete 0 2/0/0/1 'cargo test'
bad_tests; put tests/api.rs <<'X'
use shop::add;
#[test]
fn from_outside() {
    assert!(add(1, 1) == 2);
}
X
shoot failing failed 101 2/2/0/1 'cargo test' 'E:src/lib.rs:/add(2, 2)/:9:' E:src/lib.rs:7:9:
shoot failing-no-fail-fast failed 101 3/2/0/1 'cargo test --no-fail-fast' 'E:src/lib.rs:/add(2, 2)/:9:' E:src/lib.rs:7:9:
FORMS=plain shoot failing-backtrace failed 101 2/2/0/1 'RUST_BACKTRACE=1 cargo test --lib' 'E:src/lib.rs:/add(2, 2)/:9:' E:src/lib.rs:7:9:
shoot failing-quiet failed 101 2/2/0/1 'cargo test -q --lib' 'E:src/lib.rs:/add(2, 2)/:9:' E:src/lib.rs:7:9:
fresh; crate; put src/lib.rs <<'X'
/// Half of it.
///
/// ```
/// assert_eq!(shop::half(5), 3);
/// ```
pub fn half(n: i32) -> i32 {
    n / 2
}
X
shoot failing-doc failed 101 0/1/0/0 'cargo test' X:src/lib.rs:::
fresh; crate; good_lib; put tests/broken.rs <<'X'
#[test]
fn broken() {
    assert_eq!(shop::sub(1, 1), 0);
}
X
COLOUR='cargo test --color=always' shoot error-before-tests failed 101 - 'cargo test' E:tests/broken.rs:3:22:E0425
fresh; crate; put src/lib.rs <<'X'
#[test]
fn aborts() {
    std::process::abort();
}
X
shoot crash failed 101 - 'cargo test'

tool cargo-nextest cargo nextest --version
crate; good_lib
shoot passing complete 0 2/0/0/1 'cargo nextest run'
bad_tests
shoot failing failed 100 2/2/0/1 'cargo nextest run --no-fail-fast' 'E:src/lib.rs:/add(2, 2)/:9:' E:src/lib.rs:7:9:
fresh; crate; put src/lib.rs <<'X'
#[test]
fn flaky() {
    let seen = std::path::Path::new("/tmp/captures/flaky-seen");
    if !seen.exists() {
        std::fs::write(seen, "").unwrap();
        panic!("not yet");
    }
    std::fs::remove_file(seen).unwrap();
}

#[test]
fn steady() {}
X
shoot flaky complete 0 2/0/0/0 'cargo nextest run --retries 2' X:src/lib.rs:6:9:
fresh; crate; put src/lib.rs <<'X'
#[test]
fn aborts() {
    std::process::abort();
}
#[test]
fn sleeps() {
    std::thread::sleep(std::time::Duration::from_secs(20));
}
X
put .config/nextest.toml <<'X'
[profile.default]
slow-timeout = { period = "300ms", terminate-after = 2 }
X
shoot crash failed 100 0/2/0/0 'cargo nextest run --no-fail-fast'

tool clippy cargo clippy --version
crate; put src/main.rs <<'X'
fn main() {
    let v = vec![1, 2, 3];
    if v.len() == 0 {
        return ();
    }
    let x = 3.14;
    println!("{}", x);
}
X
BEFORE='rm -rf target' COLOUR='cargo clippy --color=always' shoot errors failed 101 - 'cargo clippy' E:src/main.rs:6:13: W:src/main.rs:3:8: W:src/main.rs:4:16: W:src/main.rs:2:13:
put src/main.rs <<'X'
fn main() {
    let v = vec![1, 2, 3];
    if v.len() == 0 {
        println!("{}", v[0]);
    }
}
X
BEFORE='rm -rf target' COLOUR='cargo clippy --color=always' shoot warnings complete 0 - 'cargo clippy' W:src/main.rs:3:8: W:src/main.rs:2:13:
BEFORE='rm -rf target' COLOUR='cargo clippy --color=always -- -D warnings' shoot denied failed 101 - 'cargo clippy -- -D warnings' E:src/main.rs:3:8: E:src/main.rs:2:13:

tool rustfmt rustfmt --version
crate; put src/main.rs <<'X'
fn main() {
let x=1;
    println!("{x}");
}
X
shoot differs failed 1 - 'cargo fmt --check' X:src/main.rs:1::
put src/main.rs <<'X'
fn main() {
    println!("hi");
}
X
FORMS=plain ACCEPT=unknown shoot passing complete 0 - 'cargo fmt --check'

tool rustc rustc --version
put a.rs <<'X'
fn longest(a: &str, b: &str) -> &str {
    if a.len() > b.len() { a } else { b }
}

fn main() {
    let s = String::from("a");
    let t = s;
    println!("{}", s);
    println!("{}", longest(&t, "b"));
}
X
COLOUR='rustc --color=always a.rs' shoot errors failed 1 - 'rustc a.rs' E:a.rs:1:33:E0106
put b.rs <<'X'
fn main() {
    let s = String::from("a");
    let t = s;
    println!("{}", s);
    println!("{}", t);
}
X
COLOUR='rustc --color=always b.rs' shoot borrow failed 1 - 'rustc b.rs' E:b.rs:4:20:E0382
put c.rs <<'X'
fn main() {
    let v: Vec<i32> = Vec::new();
    println!("{}", v[3]);
}
X
FORMS=plain shoot panic failed 101 - 'rustc c.rs && ./c' E:c.rs:3:21:
COLOUR='rustc --color=always --error-format=short a.rs' shoot short failed 1 - 'rustc --error-format=short a.rs' E:a.rs:1:33:E0106
